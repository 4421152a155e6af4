"""The log: what is read is what was written, up to the last case that was finished."""

import io
import json
import math
from pathlib import Path

import pytest

from gradcheck.verification.log import FORMAT, Earlier, Log, LogError, decode, encode
from gradcheck.verification.plan import TRIES
from gradcheck.writing.terminal import UnwritableError

HEADER = {"kind": "header", "format": FORMAT, "settings": {"seed": 0}, "command": "one"}
WORST = {"name": "b1[0]", "engine": math.inf, "oracle": 0.1, "bound": 0.0, "allowance": 1e-300,
         "times": math.inf}  # fmt: skip
FOOTER = {"kind": "footer", "complete": True, "exit_code": 0, "verdict": "fine"}


def case(n, verdict="PASS"):
    finding = {"verdict": verdict, "resolution": math.nan, "worst": WORST}
    return {"kind": "case", "n": n, "token": f"t{n}", "findings": [finding], "seconds": 0.5}


def death(event="died"):
    return {"kind": "engine", "event": event, "detail": ""}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.log"


def written(path, *records):
    log = Log(path)
    log.begin(HEADER)
    log.write(records)
    log.close()
    return path


def test_numbers_that_json_has_no_word_for_are_words(path):
    line = encode(case(0))
    assert '"resolution":"NaN"' in line
    assert '"engine":"Infinity"' in line
    finding = decode(line)["findings"][0]
    assert math.isnan(finding["resolution"])
    assert finding["worst"] == WORST


def test_floats_come_back_bit_for_bit():
    numbers = [0.1, 5e-324, -0.0, 1.7976931348623157e308]
    assert list(map(repr, json.loads(encode({"kind": "x", "x": numbers}))["x"])) == list(
        map(repr, numbers)
    )


def test_every_record_is_in_the_file_as_soon_as_it_is_written(path):
    log = Log(path)
    log.begin(HEADER)
    log.write([case(0)])
    assert len(path.read_text("utf-8").splitlines()) == 2
    log.close()


def test_half_a_line_at_the_end_is_dropped(path):
    written(path, case(0), case(1))
    path.write_bytes(path.read_bytes() + b'{"kind":"case","n":2,"tok')
    earlier = Earlier(path)
    assert earlier.numbers == [0, 1]
    assert not earlier.finished
    log = Log(path)
    log.resume(earlier)
    log.write([case(2)])
    log.close()
    assert [json.loads(line).get("n") for line in path.read_text("utf-8").splitlines()] == [
        None,
        0,
        1,
        2,
    ]


def test_a_bad_line_elsewhere_is_refused(path):
    written(path, case(0))
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([lines[0], "{", lines[1], ""]), "utf-8")
    with pytest.raises(LogError, match="line 2"):
        Earlier(path)


CHANGES = {
    "a verdict": lambda lines: [lines[0], lines[1].replace("PASS", "FAIL"), *lines[2:]],
    "a header's key": lambda lines: [lines[0].replace('"seed":0', '"seed":1'), *lines[1:]],
    "a name of a key": lambda lines: [lines[0], lines[1].replace('"n":0', '"m":0'), *lines[2:]],
    "a checksum": lambda lines: [lines[0], lines[1][:-3] + '0"}', *lines[2:]],
    "no checksum": lambda lines: [lines[0], lines[1][:-27] + "}", *lines[2:]],
    "a line less": lambda lines: [lines[0], *lines[2:]],
    "a line twice": lambda lines: [*lines[:2], *lines[1:]],
    "lines exchanged": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "a byte more": lambda lines: [lines[0], lines[1] + " ", *lines[2:]],
    "an empty line": lambda lines: [lines[0], "", *lines[1:]],
    "deep": lambda lines: [lines[0], "[" * 100_000, *lines[1:]],
    "many digits": lambda lines: [lines[0], '{"kind":' + "1" * 5000 + "}", *lines[1:]],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_line_that_was_changed_is_not_believed(change, path):
    written(path, case(0), case(1), case(2))
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*CHANGES[change](lines), ""]), "utf-8")
    with pytest.raises(LogError, match=r"run\.log, line [123]: "):
        Earlier(path)


def test_timings_are_no_part_of_the_checksum(path):
    written(path, case(0))
    path.write_text(path.read_text("utf-8").replace('"seconds":0.5', '"seconds":1e-05'), "utf-8")
    assert Earlier(path).numbers == [0]


def test_a_log_of_the_first_format_cannot_be_gone_on_with(path):
    path.write_text('{"kind":"header","format":"gradcheck-log-1"}\n', "utf-8")
    with pytest.raises(LogError, match=r"of an earlier version .*: it cannot be gone on with"):
        Earlier(path)


def test_two_runs_cannot_write_one_log(path):
    first = Log(path)
    with pytest.raises(LogError, match="is written by another run just now"):
        Log(path)
    first.close()
    Log(path).close()


def test_a_log_that_nothing_was_written_to_is_not_left_behind(path):
    Log(path).close()
    assert not path.exists()
    path.touch()
    Log(path).close()
    assert path.exists()  # it was there before


def test_a_log_that_cannot_be_written_any_more_goes_on_in_memory(path):
    log = Log(path)
    log.begin(HEADER)
    log._file.close()
    log._file = _Full()
    log.write([case(0)])
    log.write([case(1)])
    log.close()
    assert [record.get("n") for record in log.records] == [None, 0, 1]
    assert log.trouble.startswith(f"--log={path} cannot be written: ")


class _Full(io.BytesIO):
    def write(self, _):
        raise OSError(28, "No space left on device")


def test_a_log_on_a_full_device_is_refused_before_the_run():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with pytest.raises(UnwritableError, match="--log=/dev/full cannot be written"):
        Log(Path("/dev/full")).begin(HEADER)


def test_what_followed_the_last_finished_case_is_done_again(path):
    written(path, death(), case(0), death(), case(1, "UNSUPPORTED"))
    assert [record["kind"] for record in Earlier(path).records] == ["header", "engine", "case"]
    assert Earlier(path).numbers == [0]


def test_a_number_is_finished_when_all_its_cases_were_refused(path):
    written(path, case(0), *[case(1, "UNSUPPORTED")] * TRIES)
    assert Earlier(path).numbers == [0, 1]


def test_failures_without_a_footer_are_written_again(path):
    failure = {"kind": "failure", "property": "agreement"}
    written(path, case(0), failure)
    assert [record["kind"] for record in Earlier(path).records] == ["header", "case"]


def test_a_log_is_finished_by_a_complete_footer_alone(path):
    assert Earlier(written(path, case(0), FOOTER)).finished
    assert not Earlier(written(path, case(0), FOOTER | {"complete": False})).finished


def test_another_header_cannot_be_resumed_but_for_the_command(path):
    earlier = Earlier(written(path))
    earlier.require(HEADER | {"command": "two"}, path)
    with pytest.raises(
        LogError, match=r"its settings is \{'seed': 0\}, that of this run \{'seed': 1\}"
    ):
        earlier.require(HEADER | {"settings": {"seed": 1}}, path)


@pytest.mark.parametrize("content", ["", "hello\n", '{"kind":"header"}\n', "[1]\n"])
def test_a_file_that_is_no_log_is_refused(content, path):
    path.write_text(content, "utf-8")
    with pytest.raises(LogError):
        Earlier(path)


def test_a_link_to_a_log_that_was_not_begun_stays_a_link_to_nothing(path):
    link = path.with_name("link")
    link.symlink_to(path)
    Log(link).close()
    assert link.is_symlink()
    assert not path.exists()
