"""Output files: whole or not at all; links, pipes, devices and permissions are left as they are."""

import os
import stat
import threading
from pathlib import Path

import pytest

from gradcheck.writing.files import require_distinct, require_writable, write_bytes, write_text
from gradcheck.writing.terminal import UnwritableError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names():
    return sorted(path.name for path in Path().iterdir())


def test_a_file_is_written_whole_and_nothing_else_is_left():
    write_text(Path("new/a.txt"), "one ü \ud800")
    assert Path("new/a.txt").read_text("utf-8") == "one ü \\ud800"
    assert names() == ["new"]


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755])
def test_a_file_that_is_replaced_keeps_its_permissions(mode):
    Path("a").write_text("old", "utf-8")
    Path("a").chmod(mode)
    write_text(Path("a"), "new")
    assert (Path("a").read_text("utf-8"), stat.S_IMODE(Path("a").stat().st_mode)) == ("new", mode)


def test_a_new_file_has_the_permissions_that_the_mask_leaves():
    before = os.umask(0o027)
    try:
        write_text(Path("a"), "")
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("a").stat().st_mode) == 0o640


def test_what_a_link_leads_to_is_written_and_the_link_stays():
    Path("there").mkdir()
    Path("there/a").write_text("old", "utf-8")
    Path("link").symlink_to("there/a")
    write_text(Path("link"), "new")
    assert Path("link").is_symlink()
    assert Path("there/a").read_text("utf-8") == "new"


def test_a_link_to_nothing_makes_what_it_leads_to():
    Path("link").symlink_to("a")
    write_text(Path("link"), "new")
    assert Path("link").is_symlink()
    assert Path("a").read_text("utf-8") == "new"


def test_a_file_with_two_names_keeps_both():
    Path("a").write_text("older and longer", "utf-8")
    os.link("a", "b")
    write_text(Path("a"), "new")
    assert Path("b").read_text("utf-8") == "new"


def test_a_pipe_is_written_to_and_never_replaced():
    os.mkfifo("pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append(Path("pipe").read_bytes()))
    reader.start()
    while not got and reader.is_alive():
        try:
            write_bytes(Path("pipe"), b"new")
        except OSError:  # the reader has not opened it yet
            continue
        break
    reader.join()
    assert got == [b"new"]
    assert stat.S_ISFIFO(Path("pipe").stat().st_mode)


def test_a_pipe_without_a_reader_is_an_error_and_no_wait():
    os.mkfifo("pipe")
    require_writable("--junit", Path("pipe"))  # a reader may come
    with pytest.raises(OSError, match="pipe"):
        write_bytes(Path("pipe"), b"new")


def test_a_device_is_written_to():
    write_bytes(Path(os.devnull), b"new")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_file_in_a_folder_that_takes_no_other_is_written_in_place(monkeypatch):
    def refuse(*_):
        raise PermissionError("read-only folder")

    Path("a").write_text("older and longer", "utf-8")
    monkeypatch.setattr("gradcheck.writing.files._replace", refuse)
    write_text(Path("a"), "new")
    assert Path("a").read_text("utf-8") == "new"
    with pytest.raises(PermissionError):
        write_text(Path("b"), "new")


def test_a_failure_leaves_the_old_file_and_nothing_else(monkeypatch):
    def fail(*_):
        raise OSError("no space")

    Path("a").write_text("old", "utf-8")
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_text(Path("a"), "new")
    assert names() == ["a"]
    assert Path("a").read_text("utf-8") == "old"


@pytest.mark.parametrize(
    "name", ["n" * 255, "n" * 256, "n/" * 3000 + "n", ".", "a\0b", "file/x", "loop", "\ud800"]
)
def test_whether_a_file_can_be_written_is_known_before(name):
    Path("file").touch()
    Path("loop").symlink_to("loop")
    path, before = Path(name), names()
    possible = name in ("n" * 255,)
    if possible:
        require_writable("--html", path)
        write_text(path, "new")
        assert path.read_text("utf-8") == "new"
    else:
        with pytest.raises(UnwritableError, match="--html="):
            require_writable("--html", path)
        assert names() == before


def test_two_options_cannot_name_one_file_but_may_name_one_device():
    Path("a").touch()
    Path("link").symlink_to("a")
    for first, second in (("a", "a"), ("a", "link"), ("b", "./b")):
        with pytest.raises(UnwritableError, match="--log and --junit are the same file"):
            require_distinct({"--log": Path(first), "--html": None, "--junit": Path(second)})
    require_distinct({"--log": Path(os.devnull), "--junit": Path(os.devnull)})
    require_distinct({"--log": Path("a"), "--junit": Path("b")})
