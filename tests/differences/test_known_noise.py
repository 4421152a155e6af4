"""Noise that is known in advance: what textbook losses do where they saturate accuses nobody."""

import numpy as np
import pytest

from gradcheck.checks.consistency import check_consistency
from gradcheck.checks.gradient import check_gradient
from gradcheck.differences.known_noise import differentiate_again
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import Noise
from gradcheck.engines.base import EngineInfo
from gradcheck.outcomes.estimate import Status
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problem import LOSSES, REDUCTIONS
from gradcheck.problems.case import parse, sample_cases

STAIRS = 2.0**-6
SILENT = Noise(level=1e-16, bound=1e-15, unit_roundoff=2.0**-53, forward_passes=0)


def stairs(x):
    """sin, rounded down to whole steps: |stairs - sin| <= STAIRS."""
    return STAIRS * float(np.floor(np.sin(x[0]) / STAIRS))


class Textbook:
    """C = -(y log p + (1 - y) log(1 - p)) as it is written; the gradient is that of the exact C.

    0 log 0 is taken for 0; the gradient is computed in extended precision, without cancellation.
    """

    info = EngineInfo("textbook", "1", ("float32", "float64"), LOSSES, REDUCTIONS)
    sign = 1

    def loss(self, problem):
        a, y = problem.inputs, problem.targets
        with np.errstate(all="ignore"):
            for W, b in zip(problem.weights, problem.biases, strict=True):
                a = 1 / (1 + np.exp(-(a @ W.T + b)))
            if problem.architecture.loss == "quadratic":
                C = ((a - y) ** 2 / 2).sum(axis=1)
            else:
                one = np.where(y > 0, y * np.log(a), 0)
                C = -(one + np.where(y < 1, (1 - y) * np.log(1 - a), 0)).sum(axis=1)
        return float(C.mean() if problem.architecture.reduction == "mean" else C.sum())

    def value_and_grad(self, problem):
        wide = problem.astype(np.longdouble)
        a, b = [wide.inputs], [None]
        for W, bias in zip(wide.weights, wide.biases, strict=True):
            z = a[-1] @ W.T + bias
            e = np.exp(-np.abs(z))
            a.append(np.where(z >= 0, 1, e) / (1 + e))
            b.append(np.where(z >= 0, e, 1) / (1 + e))
        delta = (1 - wide.targets) * a[-1] - wide.targets * b[-1]
        if problem.architecture.loss == "quadratic":
            delta = delta * a[-1] * b[-1]
        if problem.architecture.reduction == "mean":
            delta = delta / problem.batch
        layers = []
        for layer in reversed(range(problem.architecture.depth)):
            pair = (delta.T @ a[layer], delta.sum(axis=0))
            layers.append(tuple((self.sign * g).astype(problem.dtype) for g in pair))
            if layer:
                delta = (delta @ wide.weights[layer]) * a[layer] * b[layer]
        return self.loss(problem), layers[::-1]

    def close(self):
        pass


class WrongSign(Textbook):
    sign = -1


def accused(engine, cases):
    """The cases where a coordinate is called wrong; an infinite loss is another matter."""
    outcomes = [(case.token, check_consistency(engine, case.problem())) for case in cases]
    return [(token, str(o)) for token, o in outcomes if o.reason is Reason.MISMATCH]


def test_a_bound_holds_through_stairs_that_small_steps_do_not_see():
    lines = Lines(stairs, np.array([0.4]))
    found = differentiate_again(lines, SILENT, lambda _: STAIRS, np.array([0]))
    assert found.status[0] == Status.RESOLVED
    assert abs(found.value[0] - np.cos(0.4)) <= found.bound[0]
    assert found.bound[0] < 1.5


def test_the_largest_noise_of_the_points_counts():
    lines = Lines(stairs, np.array([0.4]))
    x = np.array([0])
    even = differentiate_again(lines, SILENT, lambda _: STAIRS, x)
    rising = differentiate_again(lines, SILENT, lambda p: STAIRS * (1 + 9 * (p[0] > 0.4)), x)
    assert rising.step == even.step
    assert rising.bound == pytest.approx(even.bound + 1.5 * 9 * STAIRS / even.step)


@pytest.mark.parametrize("unknown", [np.inf, np.nan])
def test_where_nothing_is_known_there_is_no_step(unknown):
    found = differentiate_again(
        Lines(stairs, np.array([0.4])), SILENT, lambda _: unknown, np.array([0])
    )
    assert found.status[0] == Status.NO_STEP


def test_x_is_restored():
    lines = Lines(stairs, np.array([0.4]))
    differentiate_again(lines, SILENT, lambda _: STAIRS, np.array([0]))
    assert lines.changed_leaf() is None


def test_stairs_accuse_a_wrong_gradient_if_their_height_is_known():
    def right(x):
        return np.cos(x)

    x = np.array([0.4])
    assert check_gradient(stairs, right, x).verdict is Verdict.INCONCLUSIVE
    known = check_gradient(stairs, right, x, rounding=lambda _: STAIRS, resolution=0.9)
    assert known.verdict is Verdict.PASS
    wrong = check_gradient(stairs, lambda x: -np.cos(x), x, rounding=lambda _: STAIRS)
    assert wrong.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "token",
    [
        # log(1 - p) on one of the last steps below p = 1
        "gc1:3-2-4-4-3:cross_entropy:mean:m4:float64:w100:generic:zeros:s1358146844",
        "gc1:4-1-6-2:cross_entropy:mean:m1:float64:w100:generic:soft:s781147605",
        # log p = 0 throughout
        "gc1:1-4-1:cross_entropy:sum:m1:float64:w1:saturated:ones:s3181316405",
        "gc1:4-7-1:cross_entropy:mean:m1:float32:w1:saturated:ones:s302414549",
    ],
)
def test_a_saturated_textbook_loss_accuses_nobody(token):
    assert accused(Textbook(), [parse(token)]) == []


def test_a_textbook_loss_still_convicts_a_wrong_gradient():
    cases = list(sample_cases(20, 0, max_parameters=20, max_batch=4, corners=("generic",)))
    mild = [case for case in cases if case.weight_scale <= 3]
    assert len(mild) > 5
    assert len(accused(WrongSign(), mild)) >= 0.8 * len(mild)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(3))
def test_textbook_losses_accuse_nobody(seed):
    cases = sample_cases(1000, seed, max_parameters=60, max_batch=8)
    assert accused(Textbook(), cases) == []
