"""The engines to start from: written, built, run, and right."""

import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradcheck import cli
from gradcheck.certified.gradient import certified_gradient
from gradcheck.engines.base import EngineRaisedError, Unsupported
from gradcheck.engines.new_engine import LANGUAGES, new_engine
from gradcheck.engines.process import ProcessEngine
from gradcheck.engines.protocol import encode
from gradcheck.problems.case import parse, sample_cases
from gradcheck.rounding import gradient_bound, loss_bound

TOKEN = "gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:binary:s0"
NEEDED = {"python": [], "javascript": ["node"], "c": ["cc", "make"]}
WARNINGS = "-std=c99 -O2 -pedantic -Wall -Wextra -Wconversion -Werror"


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """Write and build an engine once; return the command line that runs it."""
    made = {}

    def make(language):
        missing = [program for program in NEEDED[language] if shutil.which(program) is None]
        if missing:
            pytest.skip(f"{', '.join(missing)} not installed")
        if language not in made:
            folder = tmp_path_factory.mktemp(language) / "my engine"
            *build, _ = new_engine(language, folder)
            for line in build:
                subprocess.run(
                    [*shlex.split(line), f"CFLAGS={WARNINGS}"], check=True, capture_output=True
                )
            run = LANGUAGES[language].run.format(folder=shlex.quote(str(folder)))
            words = shlex.split(run)
            made[language] = [sys.executable, *words[1:]] if language == "python" else words
        return made[language]

    return make


@pytest.fixture(scope="module", params=LANGUAGES)
def engine(request, command):
    """A running engine of each language."""
    engine = ProcessEngine(command(request.param))
    yield engine
    engine.close()


@pytest.fixture(params=LANGUAGES)
def converse(request, command):
    """Send lines to an engine of each language; return its replies when it has ended by itself."""

    def send(*lines):
        sent = b"".join(line if isinstance(line, bytes) else as_line(line) for line in lines)
        words = command(request.param)
        done = subprocess.run(words, input=sent, capture_output=True, timeout=60, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    return send


def as_line(message):
    return json.dumps(message).encode() + b"\n"


START = {"id": 0, "cmd": "start", "protocol": 1}
PROBLEM = encode(parse(TOKEN).problem())


# --- right gradients ------------------------------------------------------------------------------


def test_every_gradient_is_the_certified_one_within_the_bound_of_rounding(engine):
    compared = 0
    for case in sample_cases(10, 5, dtypes=("float64",), max_parameters=2000):
        problem = case.problem()
        certified = certified_gradient(problem)
        value, gradient = engine.value_and_grad(problem)
        flat = np.concatenate([array.ravel() for pair in gradient for array in pair])
        allowed = gradient_bound(problem, engine.info.arithmetic) + certified.bound
        assert (np.abs(flat - certified.gradient) <= allowed).all(), case.token
        assert value == engine.loss(problem)
        allowed_loss = loss_bound(problem, engine.info.arithmetic) + certified.loss_bound
        assert abs(value - certified.loss) <= allowed_loss, case.token
        compared += np.isfinite(allowed).sum()
    assert compared > 1000


def test_a_wrong_gradient_would_be_noticed(engine):
    problem = parse(TOKEN).problem()
    certified = certified_gradient(problem)
    allowed = gradient_bound(problem, "cancellation_free") + certified.bound
    _, ((dW, _), _) = engine.value_and_grad(problem)
    wrong = dW * (1 + 1e-9)
    assert not (np.abs(wrong.ravel() - certified.gradient[:12]) <= allowed[:12]).all()


def test_every_loss_and_reduction_is_claimed_in_float64(engine):
    assert engine.info.dtypes == ("float64",)
    assert engine.info.losses == ("cross_entropy", "quadratic")
    assert engine.info.reductions == ("mean", "sum")
    assert engine.info.arithmetic == "cancellation_free"
    assert engine.info.language in ("Python", "JavaScript", "C")
    with pytest.raises(Unsupported, match="dtype float32"):
        engine.loss(parse(TOKEN.replace("float64", "float32")).problem())


def test_an_engine_answers_a_problem_of_any_size(engine):
    problem = parse("gc1:300-200-1:quadratic:sum:m3:float64:w1:generic:soft:s1").problem()
    _, gradient = engine.value_and_grad(problem)
    assert [dW.shape for dW, _ in gradient] == [(200, 300), (1, 200)]


# --- the conversation -----------------------------------------------------------------------------


def test_a_conversation_ends_with_stop(converse):
    replies = converse(
        START,
        {"id": 1, "cmd": "value_and_grad", "problem": PROBLEM},
        {"id": 2, "cmd": "stop"},
        {"id": 3, "cmd": "loss", "problem": PROBLEM},
    )
    assert [(reply["id"], reply["ok"]) for reply in replies] == [(0, True), (1, True), (2, True)]
    assert replies[1]["counts"] == {"forward": 1, "backward": 1}


def test_the_end_of_input_is_stop(converse):
    assert [reply["id"] for reply in converse(START)] == [0]
    assert converse() == []


def test_nothing_but_start_is_answered_before_start(converse):
    early = [{"id": 4, "cmd": "echo", "values": [1.0]}, {"id": 5, "cmd": "loss", "problem": {}}]
    *refused, started = converse(*early, START)
    for reply, number, name in zip(refused, (4, 5), ("echo", "loss"), strict=True):
        assert (reply["id"], reply["ok"], reply["kind"]) == (number, False, "protocol")
        assert f"{name} before start" in reply["message"]
    assert started["ok"]


SENSELESS = (
    (b"hello\n", None),
    (b"\n", None),
    (b"[1]\n", None),
    (b'{"id": 3, "cmd"\n', None),
    (b'{"cmd": "loss"}\n', None),
    (b"\xff\xfe\n", None),
    (300 * b"[" + b"\n", None),
    (as_line({"id": 3, "cmd": "dance"}), 3),
    (as_line({"id": 3}), 3),
    (as_line({"id": 3, "cmd": "start", "protocol": 2}), 3),
    (as_line({"id": 3, "cmd": "loss"}), 3),
    (as_line({"id": 3, "cmd": "loss", "problem": {**PROBLEM, "inputs": [["x"]]}}), 3),
    (as_line({"id": 3, "cmd": "echo", "values": ["1.5"]}), 3),
)


def test_what_cannot_be_understood_is_said_and_the_engine_lives_on(converse):
    alive = {"id": 9, "cmd": "loss", "problem": PROBLEM}
    _, *replies = converse(START, *(part for line, _ in SENSELESS for part in (line, alive)))
    for (line, number), reply, after in zip(SENSELESS, replies[::2], replies[1::2], strict=True):
        said = (reply["id"], reply["ok"], reply["kind"])
        assert said == (number, False, "protocol"), (line, reply)
        assert reply["message"], line
        assert (after["id"], after["ok"]) == (9, True), (line, after)


def test_what_an_engine_does_not_take_is_unsupported(converse):
    changes = {"dtype": "float16", "loss": "hinge", "reduction": "max"}
    asked = [{"id": 1, "cmd": "loss", "problem": {**PROBLEM, k: v}} for k, v in changes.items()]
    _, *replies = converse(START, *asked)
    for told, reply in zip(changes.values(), replies, strict=True):
        assert (reply["id"], reply["ok"], reply["kind"]) == (1, False, "unsupported")
        assert told in reply["message"]


def test_numbers_that_are_not_finite_are_names_both_ways(converse):
    values = ["nan", "-INF", "Infinity", -0.0, 5e-324, 1]
    _, reply = converse(START, {"id": 1, "cmd": "echo", "values": values})
    assert reply["values"][:3] == ["NaN", "-Infinity", "Infinity"]
    assert reply["values"][4:] == [5e-324, 1.0]
    problem = {**PROBLEM, "weights": [PROBLEM["weights"][0], [["nan", 0.0, 0.0, 0.0]]]}
    _, reply = converse(START, {"id": 1, "cmd": "value_and_grad", "problem": problem})
    assert (reply["ok"], reply["loss"], reply["gradient"][1]["b"]) == (True, "NaN", ["NaN"])


@pytest.mark.parametrize("width", [400, 1000])  # the numbers do not fit, or not even their text
def test_an_engine_without_memory_says_so_and_lives_on(width, command):
    engine = ProcessEngine(command("c"), memory_limit=2**24)
    sizes = f"{width}-{width}-1"
    large = parse(f"gc1:{sizes}:quadratic:sum:m1:float64:w1:generic:soft:s1").problem()
    with pytest.raises(EngineRaisedError, match="out of memory"):
        engine.loss(large)
    assert math.isfinite(engine.loss(parse(TOKEN).problem()))
    engine.close()
    assert engine.losses == []


def test_what_a_python_engine_prints_does_not_disturb(tmp_path):
    new_engine("python", tmp_path)
    script = tmp_path / "engine.py"
    noisy = "import os\nprint('loading')\nos.system('echo from a child')\n"
    text = script.read_text("utf-8").replace(
        "def loss(problem):\n", "def loss(problem):\n    say()\n"
    )
    head = f"from serving import claim_stdout\nclaim_stdout()\n{noisy}def say(): print('hm')\n"
    script.write_text(head + text, "utf-8")
    engine = ProcessEngine([sys.executable, str(script)])
    assert engine.loss(parse(TOKEN).problem()) > 0
    engine.close()
    assert engine.log == "loading\nfrom a child\nhm\n"


# --- the command line -----------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_command_writes_an_engine_and_says_what_is_next(language, tmp_path, capsys):
    folder = tmp_path / "engine"
    assert cli.main(["new-engine", "--language", language, str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(LANGUAGES[language].sources)
    said = capsys.readouterr().out
    assert re.search("\n    python -m gradcheck verify '?cmd:", said)
    assert ("make -C" in said) == (language == "c")
    readme = (folder / "README.md").read_text("utf-8")
    assert 'python -m gradcheck verify "cmd:' in readme


def test_nothing_is_written_over(tmp_path, capsys):
    (tmp_path / "Makefile").write_text("mine", "utf-8")
    assert cli.main(["new-engine", "--language", "c", str(tmp_path)]) == 2
    assert "has Makefile already; nothing was written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]
    assert (tmp_path / "Makefile").read_text("utf-8") == "mine"


@pytest.mark.parametrize("arguments", [["--language", "ada", "x"], ["x"], ["--language", "c"]])
def test_wrong_usage_is_exit_code_2(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new-engine", *arguments]) == 2
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_language_is_told(tmp_path):
    with pytest.raises(ValueError, match="language='ada'; it must be one of python, javascript, c"):
        new_engine("ada", tmp_path)


def test_a_folder_that_is_a_file_is_told(capsys):
    assert cli.main(["new-engine", "--language", "c", __file__]) == 2
    assert Path(__file__).name in capsys.readouterr().err


@pytest.mark.parametrize("language", LANGUAGES)
def test_replay_checks_a_case_with_the_engine(language, command, capsys):
    spec = f"cmd:{shlex.join(command(language))}"
    assert cli.main(["replay", TOKEN, spec]) == 0
    said = capsys.readouterr().out
    assert "PASS: 21 coordinates agree" in said
    assert f"repeat: python -m gradcheck replay {TOKEN} {shlex.quote(spec)}" in said


def test_replay_with_a_program_that_is_not_there_is_exit_code_3(capsys):
    assert cli.main(["replay", TOKEN, "cmd:no-such-program"]) == 3
    assert "there is no program 'no-such-program'" in capsys.readouterr().err
