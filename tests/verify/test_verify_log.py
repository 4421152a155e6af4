"""The log: what is read is what was written, up to the last case that was finished."""

import json
import math

import pytest

from gradcheck.verify.log import FORMAT, Earlier, Log, LogError, decode, encode
from gradcheck.verify.plan import TRIES

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
    log.resume(earlier.records, earlier.size)
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
