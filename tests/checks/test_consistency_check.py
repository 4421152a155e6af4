"""Sweeps: one result a case, the same with one worker and with two; no false alarm."""

import sys
import types
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from some import some

from gradcheck.checks.consistency import check_consistency
from gradcheck.engines.base import Unsupported
from gradcheck.engines.registry import find
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problems.case import parse, sample_cases
from gradcheck.problems.strategies import problems
from gradcheck.studies.sweep import check_case, sweep

TOKEN = "gc1:3-4-2:cross_entropy:mean:m5:float64:w1:generic:soft:s3"
TOKENS = [case.token for case in sample_cases(12, 1, max_parameters=40)]


@pytest.fixture
def planted(monkeypatch):
    """Make engines importable as `py:planted:NAME`."""
    reference = find("reference")
    module = types.ModuleType("planted")

    def wrong_sign(problem):
        value, gradient = reference.value_and_grad(problem)
        return value, [(-W, -b) for W, b in gradient]

    def refuses(problem):
        raise Unsupported("anything")

    module.wrong_sign, module.refuses = wrong_sign, refuses
    monkeypatch.setitem(sys.modules, "planted", module)


def test_the_reference_engines_pass():
    for name in ("reference", "chain-rule"):
        assert check_case(name, TOKEN).verdict is Verdict.PASS


def test_a_wrong_engine_fails_in_every_case_with_the_line_that_repeats_it(planted):
    outcome = check_case("py:planted:wrong_sign", TOKEN)
    assert outcome.verdict is Verdict.FAIL
    assert "the sign is wrong" in outcome.diagnosis
    assert outcome.repeat == f"python -m gradcheck replay {TOKEN} py:planted:wrong_sign"


@pytest.fixture(scope="module")
def results():
    """What one process finds."""
    return list(sweep("reference", TOKENS))


def test_results_come_in_order_and_say_the_worst(planted, results):
    assert [r.token for r in results] == TOKENS
    assert all(r.verdict != "FAIL" for r in some(results))
    assert any(r.verdict == "PASS" and 0 <= r.worst <= 1 and r.worst_at for r in results)
    assert next(iter(sweep("py:planted:wrong_sign", [TOKEN]))).worst > 1


def test_two_workers_find_what_one_finds(results):
    assert repr(list(sweep("reference", TOKENS, jobs=2))) == repr(results)


def test_a_refused_problem_is_counted_as_such(planted):
    [result] = sweep("py:planted:refuses", [TOKEN])
    assert (result.verdict, result.reason) == ("UNSUPPORTED", "anything")


def test_the_engine_of_float32_is_checked_in_float32(planted):
    token = TOKEN.replace("float64", "float32")
    outcome = check_consistency(find("reference"), parse(token).problem())
    assert outcome.verdict is Verdict.PASS
    assert outcome.resolution > 1e-5
    assert check_case("py:planted:wrong_sign", token).verdict is Verdict.FAIL


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=12)
@given(problems(max_parameters=120))
def test_no_false_alarm_on_random_problems(problem):
    outcome = check_consistency(find("reference"), problem)
    assert outcome.verdict is not Verdict.FAIL, str(outcome)


@pytest.mark.nightly
def test_no_false_alarm_on_2000_problems():
    tokens = [case.token for case in sample_cases(2000, 0)]
    results = list(sweep("reference", tokens, jobs=2))
    assert [r for r in results if r.verdict == "FAIL"] == []
    assert np.mean([r.verdict == "PASS" for r in results]) > 0.3


def test_the_noise_of_the_loss_meant_is_not_asked_of_another_loss():
    """A large penalty rounds far more than the loss does; its gradient is right."""
    reference = find("reference")

    class Penalised:
        info = reference.info

        def loss(self, problem):
            penalty = sum(float(np.sum(W * W)) for W in problem.weights)
            return reference.loss(problem) + 1e6 * penalty

        def value_and_grad(self, problem):
            _, gradient = reference.value_and_grad(problem)
            pairs = zip(problem.weights, gradient, strict=True)
            return self.loss(problem), [(dW + 2e6 * W, db) for W, (dW, db) in pairs]

        def close(self):
            pass

    cases = list(sample_cases(10, 3, max_parameters=30, dtypes=["float64"]))
    verdicts = Counter(check_consistency(Penalised(), case.problem()).verdict for case in cases)
    assert verdicts[Verdict.FAIL] == 0
    assert verdicts[Verdict.PASS] >= 3


class Offering:
    """An engine that offers many losses at once, and counts them."""

    def __init__(self, engine, losses):
        self.engine, self.info, self._losses = engine, engine.info, losses
        self.single = self.stacked = self.largest = 0

    def loss(self, problem):
        self.single += 1
        return self.engine.loss(problem)

    def losses(self, problem, stacked):
        found = self._losses(problem, stacked)
        self.stacked += len(found)
        self.largest = max(self.largest, len(found))
        return found

    def value_and_grad(self, problem):
        return self.engine.value_and_grad(problem)

    def close(self):
        pass


def test_many_losses_at_once_are_used_where_they_are_offered_and_counted_one_by_one():
    reference, problem = find("reference"), parse(TOKEN).problem()
    together = Offering(reference, reference.losses)
    outcome = check_consistency(together, problem)
    assert together.stacked > 100
    assert together.single + together.stacked == outcome.forward_passes
    assert str(outcome) == str(check_consistency(reference, problem))


def first_for_all(p, stacked):
    found = find("reference").losses(p, stacked)
    return np.full_like(found, found[0])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p, stacked: 1.5 * find("reference").losses(p, stacked),
        lambda p, stacked: (1 + 1e-9) * find("reference").losses(p, stacked),
        lambda p, stacked: find("reference").losses(p, stacked)[::-1],
        first_for_all,
        lambda p, stacked: np.nan * find("reference").losses(p, stacked),
    ],
    ids=["half as much again", "a little", "in another order", "one for all", "nan"],
)
def test_many_losses_that_are_not_the_single_ones_are_told_and_not_used(wrong):
    reference, problem = find("reference"), parse(TOKEN).problem()
    other = Offering(reference, wrong)
    outcome = check_consistency(other, problem)
    assert outcome.verdict is Verdict.PASS
    assert outcome.notes[-1].startswith("losses(problem, stacked) answers ")
    assert other.stacked == 8
    assert other.single + other.stacked == outcome.forward_passes


def test_right_many_losses_do_not_hide_a_wrong_single_one():
    class Other(Offering):
        def loss(self, problem):
            return 1.5 * super().loss(problem)

    reference, problem = find("reference"), parse(TOKEN).problem()
    outcome = check_consistency(Other(reference, reference.losses), problem)
    assert outcome.verdict is Verdict.FAIL
    assert "where loss(problem) answers" in outcome.notes[-1]


def test_right_many_losses_are_used_on_problems_of_every_kind():
    reference = find("reference")
    for case in sample_cases(12, 5, max_parameters=20):
        told = check_consistency(Offering(reference, reference.losses), case.problem()).notes
        assert not any("losses(problem" in note for note in told), case.token


def test_many_losses_of_a_large_network_are_compared_within_bounded_memory():
    reference = find("reference")
    problem = parse("gc1:400-300-1:cross_entropy:mean:m1:float64:w1:generic:soft:s1").problem()
    together = Offering(reference, reference.losses)
    outcome = check_consistency(together, problem, method="directional", budget=60)
    assert together.largest == 1
    assert together.single + together.stacked == outcome.forward_passes <= 60


@pytest.mark.parametrize("declared", ["cancellation_free", ""])
def test_many_losses_of_another_function_in_another_order_are_used(declared):
    """A penalty of a million times the squares is summed forwards and backwards."""
    reference, problem = find("reference"), parse(TOKEN).problem()

    def penalty(arrays):
        return 1e6 * float(sum(x * x for a in arrays for x in a.ravel().tolist()))

    class Penalised(Offering):
        def loss(self, problem):
            return super().loss(problem) + penalty(problem.weights)

    def losses(p, stacked):
        names = p.architecture.weight_names
        rows = range(len(stacked["W1"]))
        backwards = [penalty([stacked[n][k][::-1, ::-1] for n in names[::-1]]) for k in rows]
        return reference.losses(p, stacked) + backwards

    engine = Penalised(reference, losses)
    engine.info = replace(engine.info, arithmetic=declared)
    assert not any("losses(problem" in note for note in check_consistency(engine, problem).notes)


def test_a_large_engine_is_screened_along_directions():
    problem = parse("gc1:60-50-1:cross_entropy:mean:m4:float64:w1:generic:soft:s1").problem()
    outcome = check_consistency(find("reference"), problem, method="directional")
    assert (outcome.verdict, outcome.method) == (Verdict.PASS, "directional")
    assert outcome.forward_passes < 600


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_where_the_one_that_is_meant_is_small_is_wrong(value):
    reference, problem = find("reference"), parse(TOKEN).problem()
    engine = Offering(reference, lambda p, stacked: np.full(len(stacked["W1"]), value))
    engine.loss = lambda problem: value
    outcome = check_consistency(engine, problem)
    assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, Reason.LOSS)
    assert f"the loss is {value}, the one that is meant" in outcome.detail
