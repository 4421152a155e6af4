"""Who catches whom: witnesses that are known to see, or not to see, a mistake."""

import numpy as np
import pytest

from gradcheck.certified.gradient import certified_gradient
from gradcheck.engines.reference import vectorised
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problems.case import Case
from gradcheck.selftest import Alarms, Caught, Selftest
from gradcheck.studies.report.selftest import matrix, witnesses
from gradcheck.studies.report.selftest.extent import Extent
from gradcheck.studies.report.selftest.matrix import by_group, first_failure, on_the_right_one
from gradcheck.studies.report.selftest.witnesses import WITNESSES, Witness

AGREEMENT = [w.name for w in WITNESSES if w.question == "agreement"]
CONSISTENCY = [w.name for w in WITNESSES if w.question == "consistency"]
SEED = 0


def passes():
    return Outcome(Verdict.PASS, None, "right")


def fails():
    return Outcome(Verdict.FAIL, Reason.MISMATCH, "wrong")


def heard(name):
    return {w: one["caught"] for w, one in matrix.testimony(name, seed=SEED, problems=2).items()}


def test_everybody_sees_a_wrong_sign():
    told = heard("wrong_sign")
    assert [told[name] for name in (*AGREEMENT, *CONSISTENCY, "lattice")] == [1] * 8
    assert told["duplicated batch"] is None  # the sign is the same for both


def test_only_agreement_sees_a_wrong_loss_whose_gradient_fits():
    told = heard("other_loss_in_both")
    assert all(told[name] for name in AGREEMENT)
    assert not any(told[name] for name in CONSISTENCY)


def test_only_consistency_sees_a_wrong_loss_beside_the_right_gradient():
    told = heard("loss_not_averaged")
    assert not any(told[name] for name in AGREEMENT if name != "complex step")
    assert all(told[name] for name in CONSISTENCY)


def test_wrong_gates_are_put_to_those_that_know_no_networks():
    assert matrix.testimony("multiply_x_own_input", seed=SEED, problems=4) == {
        "every coordinate": {"asked": 1, "caught": 1},
        "directional": {"asked": 1, "caught": 1},
    }


def test_a_witness_is_asked_about_networks_on_which_the_mistake_can_show_alone():
    asked = []

    def trials(engine, admits, seed):
        asked.extend(p.architecture.depth for p in witnesses.problems(seed) if admits(p))
        return iter(())

    known = matrix.WITNESSES
    try:
        matrix.WITNESSES = (Witness("listens", "agreement", "", trials),)
        assert matrix.testimony("depth_over3", seed=SEED, problems=4) == {}
    finally:
        matrix.WITNESSES = known
    assert asked
    assert min(asked) >= 4


def test_the_first_failure_is_counted_from_one():
    assert first_failure(iter([passes, passes, fails, fails])) == {"asked": 3, "caught": 3}
    assert first_failure(iter([passes, passes])) == {"asked": 2, "caught": None}
    assert first_failure(iter([])) == {"asked": 0, "caught": None}


@pytest.mark.parametrize("witness", [w.name for w in WITNESSES])
def test_no_witness_accuses_a_right_engine(witness):
    found = on_the_right_one(witness, Extent(right=2))
    assert found["right"]["asked"] == 2
    assert found["right"]["accused"] == 0
    assert found["seconds"] > 0


def test_a_witness_that_accuses_everybody_is_found_out(monkeypatch):
    eager = Witness("eager", "agreement", "", lambda *_: iter([fails] * 7))
    monkeypatch.setattr(matrix, "WITNESSES", (eager,))
    assert on_the_right_one("eager", Extent(right=3))["right"] == {
        "asked": 3, "accused": 3, "undecided": 0}  # fmt: skip


def test_references_from_elsewhere_are_the_certified_gradient_within_their_bounds():
    problem = Case(sizes=(3, 4, 2), batch=3, seed=4).problem()
    exact = certified_gradient(problem)
    for reference in (witnesses.ball_differences, witnesses.layered, witnesses.complex_steps):
        found = reference(problem)
        off = np.abs(found.gradient - exact.gradient)
        assert np.all(off <= found.bound + exact.bound)
        assert np.all(found.bound < 1e-12)


def test_where_complex_steps_do_not_apply_nothing_is_known(monkeypatch):
    def refuse(*_):
        raise witnesses.NotAnalyticError("no")

    monkeypatch.setattr(witnesses, "complex_step", refuse)
    problem = Case(sizes=(2, 1)).problem()
    assert np.isinf(witnesses.complex_steps(problem).bound).all()
    outcome = witnesses._agrees(vectorised(), problem, lambda: witnesses.complex_steps(problem))
    assert outcome.verdict is Verdict.INCONCLUSIVE


def test_the_matrix_has_a_row_for_each_mistake_and_counts_them_by_place():
    mutants = [
        Caught("wrong_sign", "output_error", {"agreement": 1, "consistency": 1, "exact": 1}),
        Caught("other_loss_in_both", "losses", {"agreement": None, "consistency": None}),
        Caught("add_x_forgotten", "circuit", {"consistency": 1}),
    ]
    found = matrix.measure(Selftest(mutants, Alarms(5, 0, ())), Extent(problems=2, right=1, jobs=1))
    groups = {one["group"]: one for one in by_group(found)}
    assert groups["output_error"]["caught"]["certified gradient"] == 1
    assert groups["losses"]["caught"]["every coordinate"] == 0
    assert groups["losses"]["escaped"] == 1
    assert groups["circuit"]["caught"]["lattice"] is None
    rows = {row["mutant"]: row for row in matrix.rows(found)}
    assert rows["wrong_sign"]["property agreement"] == 1
    assert rows["wrong_sign"]["duplicated batch"] == 0
    assert rows["other_loss_in_both"]["escaped"]
    assert rows["add_x_forgotten"]["certified gradient"] is None
