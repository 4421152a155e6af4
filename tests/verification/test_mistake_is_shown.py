"""Wherever a FAIL is told, the wrong equation is told with it; of a right engine, none is."""

import html
import json
import re
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from xml.etree import ElementTree as ET

import pytest
from in_process import without_processes
from some import some

from gradcheck import cli
from gradcheck.checks.gradient import GradientMismatch, assert_gradient
from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.engines.registry import find
from gradcheck.mutants.registry import MUTANTS
from gradcheck.problem import gradient_as_dict
from gradcheck.problems.case import parse
from gradcheck.verification import shrink
from gradcheck.verification.failures import Cause, on_the_path, read_failure
from gradcheck.verification.story import likely_cause

WRONG, RIGHT = "slope_missing_in_layer_one", "reference"
MISTAKE = "layer 1: delta_1 lacks the factor sigmoid'(z_1)"
EQUATION = "expected delta_1 = (delta_2 W_2) * sigmoid'(z_1)"
SURE = "sure: of "
TOKEN = "gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:soft:s0"
LATTICE = "gc1:2-2-1:cross_entropy:mean:m1:float32:w1:zero_preactivations:soft:s0"
SMALL = ("--limit", "max_parameters=30", "--limit", "max_batch=4")
WORDS = ("likely cause", "fix first", "expected delta", "lacks the factor")


@pytest.fixture(scope="module", params=[WRONG, RIGHT])
def told(request, tmp_path_factory):
    """What `verify` says of an engine, by output."""
    folder = tmp_path_factory.mktemp(request.param)
    spec = RIGHT if request.param == RIGHT else f"py:gradcheck.mutants:{request.param}"
    outputs = {name: folder / name for name in ("log", "junit", "html", "markdown")}
    files = [f"--{name}={path}" for name, path in outputs.items()]
    said = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        without_processes(patch)
        patch.setattr(shrink, "CHECKS", 20)
        patch.setattr(shrink, "TINY_CHECKS", 20)
        code = cli.main(["verify", spec, "--examples", "2", "--dtype", "float64", *SMALL, *files])
    assert code == (request.param == WRONG)
    texts = {name: path.read_text("utf-8") for name, path in outputs.items()}
    return request.param, texts | {"terminal": said.getvalue()}


def test_every_output_of_verify_tells_the_equation(told):
    name, outputs = told
    junit = ET.fromstring(outputs["junit"])  # noqa: S314 - this project's own
    shown = {
        "terminal": outputs["terminal"],
        "markdown": html.unescape(outputs["markdown"]),
        "html": html.unescape(outputs["html"]),
        "junit": "\n".join(e.text or "" for e in junit.iter("failure")),
    }
    for output, said in shown.items():
        if name == RIGHT:
            assert not any(word in said.lower() for word in WORDS), output
            continue
        flat = " ".join(re.sub(r"<[^>]+>", " ", said).split())
        for part in (MISTAKE, EQUATION, SURE):
            assert part in flat, (output, part)


def test_the_properties_that_fail_have_one_heading_and_one_equation(told):
    name, outputs = told
    records = [json.loads(line) for line in outputs["log"].splitlines()]
    failures = [record for record in records if record["kind"] == "failure"]
    if name == RIGHT:
        assert failures == []
        return
    [failure] = failures
    assert list(failure["properties"]) == ["agreement", "consistency", "exact lattice"]
    assert all(failure["properties"].values())
    said = failure["smallest"]["finding"]["diagnosis"]
    assert said.startswith(f"{MISTAKE}; {EQUATION}; {SURE}")
    cause = failure["cause"]
    assert f"layer {cause['layer']}: {cause['says']}" == MISTAKE
    assert f"expected {cause['expected']}" == EQUATION


def test_the_terminal_names_the_first_mistake_beside_the_verdict(told):
    name, outputs = told
    said = outputs["terminal"]
    if name == WRONG:
        lines = f"  likely cause  {MISTAKE}\n                {EQUATION}\n                {SURE}"
        assert lines in said
        assert f"\nfix first: on 1-1-1, {MISTAKE}; {EQUATION}\nWRONG: " in said
        assert "\nFAIL delta_l lacks the factor sigmoid'(z_l): 10 problems (agreement " in said


@pytest.mark.parametrize("token", [TOKEN, LATTICE])
def test_replay_tells_the_equation_for_every_property(token, monkeypatch, capsys):
    without_processes(monkeypatch)
    assert cli.main(["replay", token, f"py:gradcheck.mutants:{WRONG}"]) == 1
    blocks = [b for b in capsys.readouterr().out.split("\n\n") if "\nFAIL (mismatch)" in b]
    assert {block.split("\n")[0] for block in blocks} >= {"agreement", "consistency"}
    for block in some(blocks):
        assert f"\nlikely cause: {MISTAKE}; {EQUATION}; {SURE}" in block
    assert cli.main(["replay", token, RIGHT]) == 0
    assert "likely cause" not in capsys.readouterr().out


def test_the_message_of_check_agreement_tells_the_equation():
    problem = parse(TOKEN).problem()
    wrong = explained_agreement(find(f"py:gradcheck.mutants:{WRONG}"), problem)
    assert f"\nlikely cause: {MISTAKE}; {EQUATION}; {SURE}" in str(wrong)
    assert "likely cause" not in str(explained_agreement(find(RIGHT), problem))


def test_the_message_of_a_black_box_tells_the_pattern():
    """No equation is known of a function; what its wrong coordinates have in common is."""
    problem, engine = parse(TOKEN).problem(), find(RIGHT)

    def loss(p):
        return engine.loss(problem.with_parameters(p))

    def gradient(p):
        return gradient_as_dict(engine.value_and_grad(problem.with_parameters(p))[1])

    def doubled(p):
        return {name: 2 * g if name.startswith("W") else g for name, g in gradient(p).items()}

    assert_gradient(loss, gradient, dict(problem.parameters))
    with pytest.raises(GradientMismatch) as raised:
        assert_gradient(loss, doubled, dict(problem.parameters))
    assert "likely cause: engine = 2 x the derivative in every wrong coordinate" in str(
        raised.value
    )
    assert "; only W1, W2 wholly wrong" in str(raised.value)


@pytest.mark.parametrize(
    "name", [name for name, wrong in MUTANTS.items() if wrong.caught_by == ("consistency",)]
)
def test_no_equation_is_called_wrong_where_the_loss_is_another_and_the_gradient_right(
    name, monkeypatch, capsys
):
    without_processes(monkeypatch)
    cli.main(["replay", TOKEN, f"py:gradcheck.mutants:{name}"])
    said = capsys.readouterr().out
    assert not re.search("expected (delta|dC/d)", said)


# --- in which order, in which words ---------------------------------------------------------------


def failure(diagnosis, *, token=TOKEN, name="agreement", reason="mismatch"):
    finding = {"property": name, "verdict": "FAIL", "reason": reason, "diagnosis": diagnosis}
    witness = {"token": token, "finding": finding}
    return read_failure({"property": name, "reason": reason, "worst": witness})


def test_failures_come_in_the_order_of_the_backward_path():
    deep = "gc1:3-4-4-1:cross_entropy:mean:m2:float64:w1:generic:soft:s0"
    ordered = [
        failure("all layers: layers are missing from the answer"),
        failure("layer 2: delta_2 has the wrong sign"),
        failure("layer 2: delta_2 has the wrong sign", name="consistency"),
        failure("layer 3: dC/dW_3 is 0", token=deep),
        failure("layer 2: dC/db_2 is 0"),
        failure("layer 2: delta_2 lacks the factor sigmoid'(z_2)", token=deep),
        failure("unknown; layer 1: delta_1 is wrong in a way that nothing explains", token=deep),
        failure("only W1 wholly wrong"),
    ]
    assert list(on_the_path(ordered[::-1])) == ordered
    raised = failure("", reason="raised")
    assert on_the_path([*ordered[1:], raised])[0] == raised


def test_what_is_not_explained_comes_after_what_is():
    below = failure("layer 1: dC/db_1 is 0")
    above = replace(failure("unknown; layer 2: delta_2 is wrong"), look="delta_2")
    known = replace(below, cause=Cause("bias", 1, "dC/db_1 is 0", "dC/db_1 = sum_i delta_1"))
    nothing = replace(above, look="", signature="the gradient is wrong")
    for open_ in (above, nothing):
        assert on_the_path([open_, known]) == on_the_path([known, open_]) == (known, open_)


def test_a_diagnosis_is_told_line_by_line():
    told = likely_cause("layer 1: dC/db_1 is 0; expected dC/db_1 = sum_i delta_1; sure: of 236")
    assert [line.label for line in told] == ["likely cause", "", ""]
    assert [line.text for line in told][1] == "expected dC/db_1 = sum_i delta_1"
