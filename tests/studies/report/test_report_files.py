"""A file is there whole, or as it was before."""

import json

import pytest

from gradcheck.studies.report import files


def test_a_file_is_written_with_its_folders(tmp_path):
    files.write_text(tmp_path / "a" / "b.txt", "π\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"\xcf\x80\n"


def test_json_reads_back(tmp_path):
    content = {"x": [1, 2.5, None, "σ", True]}
    files.write_json(tmp_path / "x.json", content)
    assert json.loads((tmp_path / "x.json").read_text("utf-8")) == content


def test_a_nan_is_refused_and_leaves_the_old_file(tmp_path):
    files.write_json(tmp_path / "x.json", [1])
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "x.json", [float("nan")])
    assert json.loads((tmp_path / "x.json").read_text("utf-8")) == [1]


def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "x.txt"
    files.write_text(path, "old")

    class FullDisk:
        def __init__(self, handle, mode):
            self.file = open(handle, mode)  # noqa: PTH123, SIM115 - a file descriptor

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def fileno(self):
            return self.file.fileno()

        def write(self, content):
            self.file.write(content[:1])
            raise OSError("no space left")

    monkeypatch.setattr("gradcheck.writing.files.os.fdopen", FullDisk)
    with pytest.raises(OSError, match="no space"):
        files.write_text(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]
    assert path.read_text("utf-8") == "old"


def test_an_interruption_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupted(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write_text(tmp_path / "x.txt", "new")
    assert list(tmp_path.iterdir()) == []
