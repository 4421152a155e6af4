"""What the numbers show: each claim falls with each number that speaks against it, and alone."""

import copy

import pytest

from gradcheck.studies.report.claims import NOTHING, PASSED, WRONG, exit_code, judge, verdict_counts

VERDICTS = {"PASS": 3, "FAIL": 0, "INCONCLUSIVE": 2, "UNSUPPORTED": 1}
NETWORK = {
    "passes_as_formula": True,
    "agree": True,
    "backprop_forward_passes": 1,
    "backprop_backward_passes": 1,
    "gemm_as_formula": True,
    "gemm_ratio": 2.5,
    "formula": 2.5,
}
ROW = {"named": 2, "within": 2, "runs": 2, "failed": 2, "wrong": 1}
SECTIONS = {
    "consistency": {
        "results": {
            "verdicts": VERDICTS,
            "problems": 6,
            "chain_rule": {"verdicts": VERDICTS, "problems": 6},
        },
        "measured": {"by_dtype": [{"coverage": {"held": 999, "coordinates": 1000}}] * 2},
    },
    "accuracy": {
        "results": {
            "engines": [{"verdicts": VERDICTS, "problems": 6}] * 2,
            "right_engines": {"beyond": 0, "coordinates": 1},
            "precision_loss": [{"what": "a", "test": "b", "caught": 4, "problems": 4}] * 2,
            "bugs": {"called_a_class": 0, "failed": 1},
        },
        "measured": {"ladder": {"named": 19, "distinguishable": 20}},
    },
    "step_size": {
        "results": {"stencils": [{"order": 2, "order_shown": True, "noise_shown": True}] * 2}
    },
    "cost": {"results": {"networks": [NETWORK] * 2, "ratios": [NETWORK] * 2}},
    "location": {"results": {"N": 9, "rows": [ROW, ROW | {"wrong": 0, "failed": 0}]}},
    "million": {"results": {"rows": [{"N": 9, "holds": True}] * 2, "memory_kept": True}},
    "real_data": {"results": {"checks": [{"verdict": "PASS"}, {"verdict": "INCONCLUSIVE"}]}},
}


def test_all_of_these_hold():
    assert len(judge(SECTIONS)) == 16
    assert [claim["id"] for claim in judge(SECTIONS) if not claim["holds"]] == []


@pytest.mark.parametrize(
    ("path", "value", "fallen"),
    [
        ("consistency.results.verdicts.FAIL", 1, "consistency"),
        ("consistency.results.problems", 0, "consistency"),
        ("consistency.results.chain_rule.verdicts.FAIL", 1, "chain-rule"),
        ("consistency.results.chain_rule.problems", 0, "chain-rule"),
        ("consistency.measured.by_dtype.1.coverage.held", 998, "coverage"),
        ("accuracy.results.engines.1.verdicts.FAIL", 1, "agreement"),
        ("accuracy.results.engines.0.problems", 0, "agreement"),
        ("accuracy.results.right_engines.beyond", 1, "right-engines"),
        ("accuracy.results.right_engines.coordinates", 0, "right-engines"),
        ("accuracy.results.precision_loss.1.caught", 3, "precision"),
        ("accuracy.results.bugs.called_a_class", 1, "ladder"),
        ("accuracy.results.bugs.failed", 0, "ladder"),
        ("accuracy.measured.ladder.named", 18, "ladder"),
        ("step_size.results.stencils.1.order_shown", False, "order"),
        ("step_size.results.stencils.0.noise_shown", False, "noise"),
        ("cost.results.networks.1.passes_as_formula", False, "passes"),
        ("cost.results.networks.0.backprop_forward_passes", 2, "passes"),
        ("cost.results.networks.1.backprop_backward_passes", 2, "passes"),
        ("cost.results.networks.1.gemm_as_formula", False, "flops"),
        ("cost.results.networks.0.agree", False, "differences"),
        ("cost.results.ratios.1.gemm_ratio", 2.6, "flops"),
        ("location.results.rows.0.named", 1, "location"),
        ("location.results.rows.1.within", 1, "location"),
        ("location.results.rows.0.failed", 1, "location"),
        ("location.results.rows.1.failed", 1, "location"),
        ("million.results.rows.1.holds", False, "million"),
        ("million.results.memory_kept", False, "memory"),
        ("real_data.results.checks.1.verdict", "FAIL", "real-data"),
    ],
)
def test_a_claim_falls_with_any_one_number_and_no_other_claim_does(path, value, fallen):
    sections = copy.deepcopy(SECTIONS)  # of which equal parts are told apart below
    *way, last = path.split(".")
    node = sections
    for key in way:
        at = int(key) if isinstance(node, list) else key
        node[at] = copy.deepcopy(node[at])
        node = node[at]
    node[last] = value
    assert [claim["id"] for claim in judge(sections) if not claim["holds"]] == [fallen]


def test_verdicts_are_counted_over_every_gradient():
    counts = verdict_counts(SECTIONS)
    assert counts == {"PASS": 13, "FAIL": 0, "INCONCLUSIVE": 9, "UNSUPPORTED": 4}
    assert verdict_counts({}) == {"PASS": 0, "FAIL": 0, "INCONCLUSIVE": 0, "UNSUPPORTED": 0}


@pytest.mark.parametrize(
    ("verdicts", "holds", "code"),
    [
        (["PASS", "INCONCLUSIVE"], True, PASSED),
        (["PASS"], False, WRONG),
        (["PASS", "FAIL"], True, WRONG),
        (["INCONCLUSIVE"], True, NOTHING),
        (["INCONCLUSIVE"], False, WRONG),
        ([], True, NOTHING),
    ],
)
def test_the_exit_code_is_that_of_the_verdicts_and_the_claims(verdicts, holds, code):
    checks = [{"verdict": verdict} for verdict in verdicts]
    claims = [{"holds": True}, {"holds": holds}]
    report = {"sections": {"real_data": {"results": {"checks": checks}}}, "claims": claims}
    assert exit_code(report) == code
