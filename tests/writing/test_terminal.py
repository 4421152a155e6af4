"""The way out to a terminal: nothing that others wrote is obeyed there."""

import io
import subprocess
import sys

import pytest

from gradcheck import cli
from gradcheck.verification.run import progress
from gradcheck.writing import terminal
from gradcheck.writing.terminal import UnwritableError, printable


class Full(io.StringIO):
    def write(self, _):
        raise OSError(28, "No space left on device")


class Gone(io.StringIO):
    def write(self, _):
        raise BrokenPipeError


@pytest.fixture
def muted(monkeypatch):
    told = []
    monkeypatch.setattr(terminal, "_mute", told.append)
    return told


def test_what_a_terminal_would_obey_is_spelled_out():
    assert printable("a\tb\nc") == "a\tb\nc"
    assert printable("\x1b[31m\x9b\u202e\r") == r"\x1b[31m\x9b\u202e\r"


@pytest.mark.parametrize("speak", [terminal.say, terminal.complain])
def test_both_ways_of_printing_spell_it_out(speak, capsys):
    speak("\x1b]0;title\x07 \udcff")
    said = capsys.readouterr()
    assert r"\x1b]0;title\x07 \udcff" in said.out + said.err


def test_a_stream_that_lacks_a_character_is_no_error(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    terminal.prepare()
    terminal.say("1 ± 2 ∞")
    assert narrow.buffer.getvalue() == b"1 \\xb1 2 \\u221e\n"


def test_a_full_standard_output_is_told_and_a_reader_that_left_is_no_matter(monkeypatch, muted):
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(UnwritableError, match="standard output cannot be written to: "):
        terminal.say("verdict")
    monkeypatch.setattr(sys, "stdout", Gone())
    terminal.say("verdict")
    assert muted == [1, 1]


def test_without_standard_error_nothing_is_raised(monkeypatch, muted):
    for stream in (None, Full(), Gone()):
        monkeypatch.setattr(sys, "stderr", stream)
        terminal.complain("of something")
    assert muted == [2, 2]


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_was_closed_is_one_that_leads_nowhere(name, monkeypatch):
    monkeypatch.setattr(sys, name, None)
    terminal.prepare()
    assert not getattr(sys, name).isatty()
    with progress("problems", 1) as advance:
        advance()


def test_what_a_process_starts_has_the_streams_that_were_closed_for_it():
    program = (
        "import subprocess, sys; from gradcheck.writing import terminal; terminal.prepare(); "
        "print(subprocess.run([sys.executable, '-c', 'import os; os.fstat(2)']).returncode)"
    )
    closed = ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, program]
    assert subprocess.run(closed, capture_output=True, text=True, check=True).stdout == "0\n"


def test_messages_about_arguments_go_the_same_way(capsys):
    assert cli.main(["verify", "reference", "\x1b[31m"]) == 2
    assert r"unrecognized arguments: \x1b[31m" in capsys.readouterr().err
