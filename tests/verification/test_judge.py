"""What a run comes to: 0 only where each property that is supported passed on some problem."""

import pytest

from gradcheck.verification.judge import _late, ended, judge
from gradcheck.verification.replay import _code
from gradcheck.verification.worker import UNUSABLE

HEADER = {"kind": "header"}


def finding(name, verdict, reason="", **more):
    return {
        "property": name,
        "verdict": verdict,
        "reason": reason,
        "detail": "",
        "counts": {},
        "forward_passes": 0,
        "backward_passes": 0,
        **more,
    }


def case(n, *findings):
    return {"kind": "case", "n": n, "token": f"t{n}", "findings": list(findings)}


SILENT = finding("agreement", "INCONCLUSIVE", "budget")
SILENT_TOO = finding("consistency", "INCONCLUSIVE", "budget")
AGREES, CONSISTENT = finding("agreement", "PASS"), finding("consistency", "PASS")
EXACT = finding("exact lattice", "PASS")
OPEN = finding("agreement", "INCONCLUSIVE", "vacuous")
OPEN_TOO = finding("consistency", "INCONCLUSIVE", "noise")
NO_LOSS = finding("consistency", "UNSUPPORTED")
BROKEN = finding("agreement", "INCONCLUSIVE", "internal")
WRONG = finding("agreement", "FAIL", "mismatch")
DECLARED = finding("consistency", "FAIL", "mismatch", known="an entry")


def judged(*problems, failures=()):
    return judge([HEADER, *(case(n, *found) for n, found in enumerate(problems))], failures)


@pytest.mark.parametrize(
    ("problems", "code", "told"),
    [
        ([[AGREES, CONSISTENT]], 0, "agreement passes on 1 of 1, consistency passes on 1 of 1"),
        ([[AGREES, CONSISTENT], [OPEN]], 0, "agreement passes on 1 of 2, consistency"),
        ([[AGREES, NO_LOSS]], 0, "agreement passes on 1 of 1"),
        ([[AGREES]], 0, "agreement passes on 1 of 1"),
        ([[AGREES, DECLARED]], 0, "but for 1 that fail as declared; agreement passes"),
        ([[EXACT], [OPEN, OPEN_TOO]], 4, "agreement passes on none of 1 problems, consistency"),
        ([[EXACT], [AGREES, OPEN_TOO]], 4, ": consistency passes on none of 1 problems"),
        ([[EXACT], [OPEN, CONSISTENT]], 4, ": agreement passes on none of 1 problems"),
        ([[EXACT]], 4, "neither agreement nor consistency was examined"),
        ([[OPEN]], 4, "no problem passed"),
        ([[NO_LOSS]], 4, "no problem passed"),
        ([], 4, "no problem passed"),
    ],
)
def test_every_supported_property_must_pass_somewhere(problems, code, told):
    found = judged(*problems)
    assert found.exit_code == code
    assert told in found.verdict


def test_where_gradcheck_itself_failed_nothing_is_verified():
    found = judged([AGREES, CONSISTENT], [BROKEN], [EXACT])
    assert found.exit_code == 4
    assert "gradcheck itself failed on 1 of 3 problems, first in agreement of t1" in found.verdict


@pytest.mark.parametrize(("reason", "code"), [("internal", 4), ("mismatch", 0), (None, 0)])
def test_so_it_is_where_it_failed_on_a_pinned_case(reason, code):
    pinned = None if reason is None else {"reason": reason}
    entry = {"kind": "known", "name": "an entry", "state": "known", "told": "", "pinned": pinned}
    found = judge([HEADER, case(0, AGREES, CONSISTENT), entry], ())
    assert found.exit_code == code
    told = "gradcheck itself failed on the pinned case of an entry"
    assert (told in found.verdict) == (code == 4)


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        (["mismatch"], "wrong on 1 of 2 problems, in one way"),
        (["mismatch", "shape"], "wrong on 1 of 2 problems, in 2 ways"),
        (["mismatch", "loss"], "wrong on 1 of 2 problems, in 2 ways"),
        (["loss"], "the loss is wrong on 1 of 2 problems, in one way"),
    ],
)
def test_what_is_wrong_is_said_with_the_share_of_problems_and_the_number_of_ways(reasons, told):
    failures = [{"reason": reason} for reason in reasons]
    found = judged([WRONG, CONSISTENT], [AGREES, CONSISTENT], failures=failures)
    assert (found.exit_code, found.verdict) == (1, told)


def test_a_wrong_gradient_does_not_hide_what_was_not_answered_in_time():
    found = judged([WRONG], [SILENT], failures=[{"reason": "mismatch"}])
    assert found.verdict.startswith("wrong on 1 of 2 problems, in one way; 1 of 2 were not answere")


def test_problems_that_are_refused_are_not_among_those_examined():
    refused = [finding(name, "UNSUPPORTED") for name in ("agreement", "consistency")]
    found = judged([AGREES, CONSISTENT], refused, [OPEN, CONSISTENT])
    assert (found.exit_code, found.verdict) == (
        0,
        "no wrong gradient on 2 problems; agreement passes on 1 of 2, consistency passes on 2 of 2",
    )


def test_a_declaration_that_does_not_hold_condemns():
    healed = {"kind": "known", "name": "an entry", "state": "healed", "told": "it passes now"}
    found = judge([HEADER, case(0, AGREES, CONSISTENT), healed], ())
    assert found.exit_code == 1
    assert "known failure an entry: it passes now" in found.verdict


def test_a_wrong_gradient_is_wrong_even_where_gradcheck_failed_elsewhere():
    found = judged([WRONG], [BROKEN], failures=[{"reason": "mismatch"}])
    assert found.exit_code == 1
    assert "gradcheck itself failed on 1 of 2 problems" in found.verdict


@pytest.mark.parametrize("failures", [(), ({"reason": "mismatch"},)])
def test_an_engine_that_cannot_be_used_any_more_outweighs_what_it_did_before(failures):
    end = {"kind": "engine", "event": UNUSABLE, "detail": "it died four times"}
    found = judge([HEADER, case(0, WRONG if failures else AGREES), end], failures)
    assert (found.exit_code, found.verdict) == (3, "the engine is unusable: it died four times")


@pytest.mark.parametrize("failures", [(), ({"reason": "raised"},)])
def test_so_does_one_that_raises_on_every_problem_and_not_one_that_answers_one(failures):
    raised = finding("agreement", "FAIL", "raised") | {"detail": "ValueError: no"}
    later = raised | {"detail": "TypeError: never"}
    found = judged([raised, NO_LOSS], [later], failures=failures)
    assert found.exit_code == 3
    assert found.verdict == "the engine raises on every one of 2 problems: ValueError: no"
    assert judged([raised], [AGREES], failures=[{"reason": "raised"}]).exit_code == 1


@pytest.mark.parametrize(
    ("problems", "code", "told"),
    [
        (
            [[AGREES, CONSISTENT], [SILENT, SILENT_TOO]],
            0,
            "; 1 of 2 were not answered in time, raise --timeout",
        ),
        (
            [[AGREES, CONSISTENT], [AGREES, SILENT_TOO], [SILENT]],
            0,
            "; 2 of 3 were not answered in time",
        ),
        ([[SILENT], [SILENT_TOO]], 4, "; 2 of 2 were not answered in time, raise --timeout"),
        ([[AGREES, CONSISTENT], [SILENT], [BROKEN]], 4, "; 1 of 3 were not answered in time"),
    ],
)
def test_the_share_that_was_not_answered_in_time_is_told(problems, code, told):
    found = judged(*problems)
    assert found.exit_code == code
    assert told in found.verdict
    assert "not answered in time" in found.verdict


def test_where_all_was_answered_nothing_is_said_of_time():
    assert "time" not in judged([AGREES, CONSISTENT], [OPEN, OPEN_TOO]).verdict


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([AGREES, CONSISTENT, EXACT], 0),
        ([AGREES, OPEN_TOO], 0),
        ([AGREES, SILENT_TOO, EXACT], 0),
        ([finding("agreement", "UNSUPPORTED"), CONSISTENT], 0),
        ([SILENT, CONSISTENT, EXACT], 4),
        ([OPEN, CONSISTENT], 4),
        ([OPEN, OPEN_TOO], 4),
        ([finding("agreement", "UNSUPPORTED"), NO_LOSS], 4),
        ([BROKEN, CONSISTENT], 4),
        ([SILENT, finding("consistency", "FAIL", "mismatch")], 1),
    ],
)
def test_a_replayed_problem_is_right_only_where_it_agrees_as_far_as_that_is_supported(
    findings, code
):
    assert _code(findings) == code


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        (["loss"], "the loss is wrong on 1 of 2 problems, in one way"),
        (["loss", "loss"], "the loss is wrong on 1 of 2 problems, in 2 ways"),
        (["loss", "mismatch"], "wrong on 1 of 2 problems, in 2 ways"),
        (["mismatch"], "wrong on 1 of 2 problems, in one way"),
    ],
)
def test_a_wrong_engine_is_told_by_its_failures(reasons, told):
    found = judged([WRONG], [AGREES], failures=[{"reason": reason} for reason in reasons])
    assert (found.exit_code, found.verdict) == (1, told)


@pytest.mark.parametrize("verdict", ["PASS", "FAIL", "UNSUPPORTED"])
def test_late_is_only_what_was_left_undecided_for_want_of_time(verdict):
    assert _late([case(0, SILENT), case(1, AGREES)], 2).startswith("; 1 of 2 were not answered")
    assert _late([case(0, finding("agreement", verdict, "budget"))], 1) == ""


def test_an_engine_that_was_started_again_has_not_ended():
    again = {"kind": "engine", "event": "died"}
    last = {"kind": "engine", "event": UNUSABLE}
    assert ended([HEADER, again]) is None
    assert ended([HEADER, again, last]) is last
