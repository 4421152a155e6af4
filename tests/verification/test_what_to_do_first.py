"""`fix first` and `look first`: one line that leads, whatever else failed, in every output."""

import html
import re

import pytest
from synthetic_log import TOKEN, case, coordinate, finding, footer, header

from gradcheck.diagnosis.formula import BIAS, OUTPUT, WEIGHT
from gradcheck.verification import junit, markdown, page, text
from gradcheck.verification.failures import highest
from gradcheck.verification.findings import Witness, read_finding
from gradcheck.verification.story import fix_first, leads, look_first, title
from gradcheck.verification.summary import summarise

OUTPUTS = {"terminal": text, "markdown": markdown, "html": page, "junit": junit}
DEEP = TOKEN.replace("3-4-1", "3-4-4-1")

SIGN = [OUTPUT, 2, "sign", "delta_2 has the wrong sign", "delta_2 = (a_2 - Y) / m"]
HALF = [BIAS, 1, "half", "dC/db_1 is half", "dC/db_1 = sum_i delta_1"]
FLAT = [WEIGHT, 2, "flat", "dC/dW_2 is flat", "dC/dW_2 = delta_2^T a_1"]
NOWHERE = "unknown; layer 1: dC/dW_1 is wrong in a way that nothing explains, and nothing above it"


def wrong(*suspects, reason="mismatch", name="agreement", **more):
    more.setdefault("worst", coordinate())
    return finding(name, "FAIL", reason=reason, suspects=list(suspects), **more)


def cases_of(findings):
    tokens = [TOKEN.replace("s0", f"s{n}") for n in range(len(findings))]
    return [case(n, *found) for n, found in enumerate(zip(tokens, findings, strict=True))]


def summary(*findings):
    return summarise([header(), *cases_of(findings), footer(1, "some problems fail")])


def said(output, summary):
    """What an output says, as one line without markup."""
    plain = html.unescape(re.sub(r"<[^>]+>", " ", OUTPUTS[output].render(summary)))
    return " ".join(plain.split()).lower()


OTHERS = {
    "nothing else": [],
    "numbers that are not finite": [wrong(reason="nonfinite", worst=None)],
    "an exception": [wrong(reason="raised", detail="value_and_grad raised OSError: x")],
    "another loss": [wrong(reason="loss", worst=None)],
    "a step above without a cause": [wrong(diagnosis=NOWHERE.replace("1", "2"))],
    "what has no step": [wrong(diagnosis="every wrong coordinate is exactly 0")],
}


@pytest.mark.parametrize("others", OTHERS)
def test_fix_first_stands_whenever_one_problem_has_a_cause(others):
    known = wrong(HALF)
    for findings in ([*OTHERS[others], known], [known, *OTHERS[others]]):
        told = fix_first(summary(*findings))
        assert told == "on 3-4-1, layer 1: dC/db_1 is half; expected dC/db_1 = sum_i delta_1"
        assert look_first(summary(*findings)) == ""


def other_loss(which, **more):
    diagnosis = f"the loss {which}; the gradient is that of this loss"
    return wrong(reason="loss", diagnosis=diagnosis, **more)


def test_another_loss_comes_before_any_mistake_in_the_gradient_if_it_has_a_name():
    focal = other_loss("is the focal loss")
    for both in ([focal, wrong(SIGN)], [wrong(SIGN), focal]):
        assert fix_first(summary(*both)).startswith("on 3-4-1, the loss is the focal loss;")
    unnamed = other_loss("is not the one that is meant", worst=None)
    for both in ([unnamed, wrong(SIGN)], [wrong(SIGN), unnamed]):
        assert fix_first(summary(*both)).startswith("on 3-4-1, layer 2: delta_2 has the wrong")
    lost = wrong(diagnosis=NOWHERE)
    assert fix_first(summary(unnamed, lost)) == ""
    assert look_first(summary(unnamed, lost)).startswith("on 3-4-1, dC/dW_1;")


def test_the_cause_that_the_backward_path_meets_first_is_fixed_first():
    both = [wrong(HALF), wrong(FLAT), wrong(SIGN)]
    assert fix_first(summary(*both)).startswith("on 3-4-1, layer 2: delta_2 has the wrong sign;")
    assert fix_first(summary(*both[:2])).startswith("on 3-4-1, layer 2: dC/dW_2 is flat;")


def test_of_two_at_one_step_the_worse_is_told_first():
    mild = wrong(HALF, worst=coordinate(engine=1.0, oracle=1.0 + 1e-7))
    gross = wrong([*HALF[:2], "zero", "dC/db_1 is 0", HALF[4]], worst=coordinate(engine=0.0))
    for both in ([mild, gross], [gross, mild]):
        assert [f.signature for f in summary(*both).failures] == ["dC/db_l is 0", "dC/db_l is half"]


@pytest.mark.parametrize("output", OUTPUTS)
def test_where_no_cause_is_known_every_output_says_where_to_look(output):
    told = said(output, summary(wrong(diagnosis=NOWHERE), wrong(diagnosis=NOWHERE)))
    assert "look first: on 3-4-1, dc/dw_1; everything above it is right" in told.replace(" :", ":")
    assert "fix first" not in told


@pytest.mark.parametrize("output", OUTPUTS)
def test_where_a_cause_is_known_every_output_says_what_to_fix(output):
    told = said(output, summary(wrong(diagnosis=NOWHERE), wrong(SIGN)))
    assert "fix first: on 3-4-1, layer 2: delta_2 has the wrong sign; expected" in told
    assert "look first" not in told
    assert "everything above it is right" not in told
    assert re.search("wrong in:? +dc/dw_1; no cause is known", told.replace(" :", ":"))


def test_a_condition_of_the_place_is_kept():
    place = "unknown; layer 1: delta_1, in units whose |z_1| > 4, is wrong; nothing above it"
    assert look_first(summary(wrong(diagnosis=place), wrong(diagnosis=place))) == (
        "on 3-4-1, delta_1, in units whose |z_1| > 4; everything above it is right"
    )


def test_a_right_engine_has_nothing_to_do_first():
    assert leads(summary(finding())) == []


# --- what was measured besides -------------------------------------------------------------------

RESPONSE = {
    "kind": "response",
    "sentences": ["delta_L is 0 where z_L > 15", "sigmoid'(z_l) is 0", "at every z delta_L is cut"],
    "notes": ["a (1 - a): no digit left where z_l > 36.45 in float64"],
}


def measured(*findings):
    fails = any(found["verdict"] == "FAIL" for found in findings)
    return summarise([header(), *cases_of(findings), RESPONSE, footer(int(fails), "so")])


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_says_what_was_measured(output):
    told = said(output, measured(finding(model="p_minus_y")))
    assert "rounding model: p_minus_y (residual p - y" in told
    assert "no digit left where z_l > 36.45 in float64" in told
    assert "where z_l > 15" not in told  # nothing fails


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_of_an_engine_that_fails_tells_its_response_curves(output):
    told = said(output, measured(wrong(SIGN)))
    at = [told.index(s.lower()) for s in (RESPONSE["sentences"][2], *RESPONSE["sentences"][:2])]
    assert at == sorted(at)


def test_where_no_cause_is_known_the_curve_of_the_step_is_told_with_the_place():
    above = "everything above it is right"
    top = wrong(diagnosis="unknown; layer 2: delta_2 is wrong in a way that nothing explains")
    assert look_first(measured(top)) == f"on 3-4-1, delta_2; {above}; at every z delta_L is cut"
    hidden = wrong(diagnosis="unknown; layer 1: delta_1 is wrong in a way that nothing explains")
    assert look_first(measured(hidden)) == f"on 3-4-1, delta_1; {above}; sigmoid'(z_l) is 0"
    assert look_first(measured(wrong(diagnosis=NOWHERE))) == f"on 3-4-1, dC/dW_1; {above}"


# --- where the diagnosis is missing ---------------------------------------------------------------


def at(*blocks, token=TOKEN):
    return Witness(token, read_finding(wrong(blocks=list(blocks))))


@pytest.mark.parametrize(
    ("problems", "step"),
    [
        ([at("W1"), at("W1", token=DEEP)], "dC/dW_1"),
        ([at("W2", "W1", "b2"), at("W2", token=TOKEN.replace("s0", "s1"))], "delta_2"),
        ([at("W2"), at("W3", "W2", token=DEEP)], "dC/dW_L"),
        ([at("b1", "W1"), at("b1", "b2", token=DEEP)], "delta_l"),
        ([at("b1"), at("b1", token=TOKEN.replace("s0", "s1"))], "dC/db_1"),
    ],
)
def test_the_highest_wrong_step_is_found_over_all_problems(problems, step):
    assert highest(problems) == step
    assert highest(problems[::-1]) == step


def test_it_is_never_found_from_a_single_problem():
    assert highest([at("W1")]) == ""
    assert highest([at("W1"), at("W1")]) == ""
    assert highest([at(), at(token=DEEP)]) == ""


def test_it_leads_where_no_diagnosis_was_made():
    found = summary(wrong(blocks=["W1"], name="consistency"), wrong(blocks=["W1"]))
    assert look_first(found) == "on 3-4-1, dC/dW_1; everything above it is right"


# --- headings -------------------------------------------------------------------------------------


def test_a_title_counts_problems_and_says_by_which_property():
    found = summary(wrong(SIGN), wrong(SIGN, name="exact lattice"), wrong(SIGN))
    [failure] = found.failures
    assert title(failure) == (
        "delta_L has the wrong sign: 3 problems (agreement 2, exact lattice 1)"
    )
    [alone] = summary(wrong(SIGN)).failures
    assert title(alone) == "delta_L has the wrong sign: 1 problem (agreement)"


@pytest.mark.parametrize("reason", ["mismatch", "nonfinite", "shape", "dtype", "aliased", "other"])
def test_a_title_says_something_of_every_reason(reason):
    [failure] = summary(wrong(reason=reason)).failures
    assert re.match(r"[a-z][a-z ]+: 1 problem \(agreement\)", title(failure))


def test_what_one_network_tells_and_the_others_do_not_bear_out_is_no_cause():
    told = (
        "layer 1: dC/db_1 is half; expected dC/db_1 = sum_i delta_1; sure: of 9 formulas no other"
    )
    below = NOWHERE.replace("dC/dW_1", "dC/db_1")
    worst = coordinate(times=1e18)
    findings = [wrong(HALF, diagnosis=told, worst=worst), *[wrong(diagnosis=below)] * 5]
    found = summary(*findings)
    assert fix_first(found) == ""
    assert look_first(found).startswith("on 3-4-1, dC/db_1; everything above it is right")
    shown = said("terminal", found)
    assert "here alone layer 1: dc/db_1 is half" in shown
    assert "sure: " not in shown
    assert fix_first(summary(*findings[:2])).startswith("on 3-4-1, layer 1: dC/db_1 is half")
