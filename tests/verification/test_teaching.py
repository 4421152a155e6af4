"""Several mistakes at once: the first on the backward path is named first; mended in this order,
the file is verified in the end."""

import re
import sys
from pathlib import Path

import pytest
from in_process import without_curves, without_processes

from gradcheck import cli
from gradcheck.verification import shrink

HERE = Path(__file__).resolve().parent
PAGE = (HERE.parents[1] / "docs" / "verifying.md").read_text("utf-8")

HANDED_IN = (HERE / "student_backprop.py").read_text("utf-8")

MENDED = (
    ("(Y - a[-1]) / m", "(a[-1] - Y) / m"),
    ("delta.mean(axis=0)", "delta.sum(axis=0)"),
    ("* a[k]\n", "* a[k] * (1 - a[k])\n"),
)
"""The three mistakes in the order in which the backward path meets them, and what is right."""

TOLD = (
    "delta_1 has the wrong sign; expected delta_1 = (a_1 - Y) / m",
    "dC/db_1 has an extra factor 1/m; expected dC/db_1 = sum_i delta_1",
    "delta_1 has a_1 for sigmoid'(z_1); expected delta_1 = (delta_2 W_2) * sigmoid'(z_1)",
)


def versions():
    """The file as it was handed in, and after each repair."""
    text = HANDED_IN
    yield text
    for wrong, right in MENDED:
        assert text.count(wrong) == 1
        text = text.replace(wrong, right)
        yield text


@pytest.fixture
def verified(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the file changes faster than clocks

    def verify(text, *options):
        Path("student_backprop.py").write_text(text, "utf-8")
        monkeypatch.delitem(sys.modules, "student_backprop", raising=False)
        code = cli.main(["verify", "py:student_backprop:value_and_grad", "--jobs", "1", *options])
        return code, capsys.readouterr().out

    return verify


def fix_first(said):
    found = re.search(r"^fix first: on [0-9-]+, layer [0-9]+: (.*)$", said, re.MULTILINE)
    return found[1] if found else ""


def walk(verified, *options, more=""):
    """The exit code, and the mistake that is named first, of every version."""
    found = [verified(text + more, *options) for text in versions()]
    return [code for code, _ in found], [fix_first(said) for _, said in found]


SMALL = (
    'value_and_grad.limits = {"max_depth": 2, "max_parameters": 20, "max_batch": 4, '
    '"corners": "generic"}'
)
QUICK = ("--examples", "2", "--dtype", "float64")


def test_mistakes_mended_in_the_order_in_which_they_are_named_end_in_a_verified_file(
    verified, monkeypatch
):
    without_processes(monkeypatch)
    without_curves(monkeypatch)
    monkeypatch.setattr(shrink, "CHECKS", 6)
    monkeypatch.setattr(shrink, "TINY_CHECKS", 6)
    codes, told = walk(verified, *QUICK, more=SMALL)
    assert told == [*TOLD, ""]
    assert codes == [1, 1, 1, 0]


@pytest.mark.nightly
@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_so_they_do_on_the_problems_of_a_default_run(verified, seed):
    codes, told = walk(verified, "--seed", seed)
    assert told == [*TOLD, ""]
    assert codes == [1, 1, 1, 0]


def shown():
    """The transcript in docs/verifying.md: its command, and two lines of each run of it."""
    [text] = re.findall(r"<!-- course transcript -->\n```\n(.*?)```\n", PAGE, re.DOTALL)
    command, *runs = [line for line in text.split("\n") if line and not line.startswith("#")]
    return command.removeprefix("$ python -m gradcheck "), runs


def test_the_page_names_the_three_mistakes_in_their_order():
    command, lines = shown()
    assert command.startswith("verify py:student_backprop:value_and_grad")
    assert [fix_first(line) for line in lines if line.startswith("fix first")] == list(TOLD)
    assert lines[-1].startswith("VERIFIED: ")


@pytest.mark.nightly
def test_the_transcript_on_the_page_is_what_is_said(verified):
    command, lines = shown()
    options = command.split()[2:]
    said = []
    for text in versions():
        told = verified(text, *options)[1].splitlines()
        said += [line for line in told if line.startswith(("fix first: ", "WRONG: ", "VERIFIED: "))]
    assert said == lines
