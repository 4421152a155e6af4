"""What is lost in products from the inputs up is within its bound, and excuses no mistake."""

import numpy as np
import pytest
from some import some

from gradcheck.certified.gradient import certified_gradient
from gradcheck.checks.agreement import check_agreement
from gradcheck.engines.base import EngineInfo
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problems.case import parse
from gradcheck.rounding import gradient_bound, underflow_from_below

FAR = "gc1:1-1-1-3-4:cross_entropy:sum:m8:float32:w300:saturated:one_hot:s6"
"""Derivatives of 3e-43, which underflow on the way up and are multiplied by 300 after it."""


def sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


class FromBelow:
    """Carries the derivatives by all parameters through the network, beside the values."""

    def __init__(self, factor=1):
        self.factor = factor
        self.info = EngineInfo(
            "from below", "1", ("float32", "float64"), ("cross_entropy",), ("mean", "sum")
        )

    def value_and_grad(self, problem):
        y, m = problem.targets, problem.batch
        parameters = [p for pair in zip(problem.weights, problem.biases, strict=True) for p in pair]
        a, ta, at = problem.inputs, np.zeros((sum(p.size for p in parameters), m, 1)), 0
        ta = np.zeros((len(ta), m, a.shape[1]), problem.dtype)
        for W, b in zip(problem.weights, problem.biases, strict=True):
            z, tz = a @ W.T + b, ta @ W.T
            for j, k in np.ndindex(W.shape):
                tz[at, :, j] += a[:, k]
                at += 1
            for j in range(len(b)):
                tz[at, :, j] += 1
                at += 1
            a = sigmoid(z)
            ta = tz * (a * sigmoid(-z))
        M = m if problem.architecture.reduction == "mean" else 1
        residual = ((1 - y) * a - y * sigmoid(-z)) / M
        flat = self.factor * np.einsum("pij,ij->p", tz, residual.astype(problem.dtype))
        C = np.sum((1 - y) * np.logaddexp(0, z) + y * np.logaddexp(0, -z)) / M
        parts = np.split(flat.astype(problem.dtype), np.cumsum([p.size for p in parameters])[:-1])
        shaped = [part.reshape(p.shape) for part, p in zip(parts, parameters, strict=True)]
        return float(C), list(zip(shaped[::2], shaped[1::2], strict=True))

    def loss(self, problem):
        return self.value_and_grad(problem)[0]

    def close(self):
        pass


def errors(problem):
    _, gradient = FromBelow().value_and_grad(problem)
    flat = np.concatenate([part.reshape(-1) for pair in gradient for part in pair])
    return np.abs(flat.astype(np.float64) - certified_gradient(problem).gradient)


def test_what_underflow_from_below_loses_is_within_its_bound_and_beyond_the_usual_one():
    beyond = 0
    for seed in range(40):
        problem = parse(FAR.replace(":s6", f":s{seed}")).problem()
        usual = gradient_bound(problem, "cancellation_free")
        assert np.all(errors(problem) <= usual + underflow_from_below(problem))
        beyond += bool(np.any(errors(problem) > usual))
    assert beyond > 0


def test_one_layer_loses_a_product_an_output_and_example():
    problem = parse("gc1:2-3:cross_entropy:sum:m4:float32:w1:generic:binary:s0").problem()
    eta = np.finfo(np.float32).smallest_subnormal
    assert underflow_from_below(problem).tolist() == [12 * eta] * 9


def test_a_layer_loses_what_the_layers_above_do_and_more():
    problem = parse("gc1:2-1-1:cross_entropy:mean:m1:float64:w1:generic:binary:s0").problem()
    first, last = some(dict.fromkeys(underflow_from_below(problem).tolist()))
    eta, w = np.finfo(np.float64).smallest_subnormal, abs(problem.weights[1][0, 0])
    delta = abs(FromBelow().value_and_grad(problem)[1][1][1][0])
    assert last == eta
    assert first / eta == pytest.approx(1 + delta + delta * w, abs=2)  # multiples of eta


def test_a_right_engine_is_undecided_where_that_explains_it():
    outcome = check_agreement(FromBelow(), parse(FAR).problem())
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.VACUOUS)
    assert dict(outcome.counts)["vacuous"] >= 3


@pytest.mark.parametrize("factor", [2, 1.001, 0])
def test_a_mistake_is_not_excused_by_it(factor):
    outcome = check_agreement(FromBelow(factor), parse(FAR).problem())
    assert outcome.verdict is Verdict.FAIL
