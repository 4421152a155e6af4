"""Wrong backprops: each must FAIL, whatever the size of the loss; the right one must PASS."""

from functools import cache

import numpy as np
import pytest

from gradcheck.checks.gradient import check_gradient
from gradcheck.outcomes.reasons import Verdict
from gradcheck.problems.case import parse
from reference_models import sigmoid_network
from reference_models.activations import sigmoid, sigmoid_prime

# Two square hidden layers, so that a transposed matrix still fits; more examples than outputs.
CROSS_ENTROPY = parse("gc1:4-3-3-2:cross_entropy:mean:m4:float64:w1:generic:soft:s1").problem()
QUADRATIC = parse("gc1:4-3-3-2:quadratic:mean:m4:float64:w1:generic:soft:s1").problem()


class Backprop:
    """The right one: the four equations of backprop, one method each, over (m, n) arrays."""

    cost = "cross_entropy"
    W, zs, activations, m = (), (), (), 1

    def output_error(self, a, y, z):  # delta_L = dC/dz_L
        return (a - y) / self.m

    def hidden_error(self, delta, layer):  # delta_{l-1} = (delta_l W_l) sigma'(z_{l-1})
        return (delta @ self.W[layer]) * self.slope(layer - 1)

    def slope(self, layer):
        return sigmoid_prime(self.zs[layer])

    def weight_gradient(self, delta, layer):  # dC/dW_l = delta_l^T a_{l-1}
        return delta.T @ self.activations[layer]

    def bias_gradient(self, delta, layer):  # dC/db_l = sum_i delta_l
        return delta.sum(axis=0)

    def finish(self, gradient):
        return gradient

    def __call__(self, problem, parameters):
        depth = problem.architecture.depth
        self.W = [parameters[f"W{layer + 1}"] for layer in range(depth)]
        self.m = len(problem.inputs)
        self.activations, self.zs = [problem.inputs], []
        for layer, W in enumerate(self.W):
            self.zs.append(self.activations[-1] @ W.T + parameters[f"b{layer + 1}"])
            self.activations.append(sigmoid(self.zs[-1]))
        delta = self.output_error(self.activations[-1], problem.targets, self.zs[-1])
        gradient = {}
        for layer in reversed(range(depth)):
            gradient[f"W{layer + 1}"] = self.weight_gradient(delta, layer)
            gradient[f"b{layer + 1}"] = self.bias_gradient(delta, layer)
            if layer:
                delta = self.hidden_error(delta, layer)
        return self.finish(gradient)


class RightQuadratic(Backprop):
    cost = "quadratic"

    def output_error(self, a, y, z):
        return (a - y) * sigmoid_prime(z) / self.m


# --- the output error ---------------------------------------------------------------------------


class WrongSign(Backprop):
    def output_error(self, a, y, z):
        return (y - a) / self.m


class MissingMean(Backprop):
    def output_error(self, a, y, z):
        return a - y


class MeanTwice(Backprop):
    def output_error(self, a, y, z):
        return (a - y) / self.m**2


class MeanOverOutputs(Backprop):
    def output_error(self, a, y, z):
        return (a - y) / a.size


class MeanOfOneLess(Backprop):
    def output_error(self, a, y, z):
        return (a - y) / (self.m - 1)


class ExtraSigmoidPrime(Backprop):
    def output_error(self, a, y, z):
        return (a - y) * sigmoid_prime(z) / self.m


class MissingOutputSigmoidPrime(RightQuadratic):
    def output_error(self, a, y, z):
        return (a - y) / self.m


class FactorTwo(RightQuadratic):
    def output_error(self, a, y, z):
        return 2 * super().output_error(a, y, z)


class RoundedTargets(Backprop):
    def output_error(self, a, y, z):
        return (a - np.round(y)) / self.m


class ShuffledTargets(Backprop):
    def output_error(self, a, y, z):
        return (a - np.roll(y, 1, axis=0)) / self.m


# --- the recursion ------------------------------------------------------------------------------


class MissingHiddenSigmoidPrime(Backprop):
    def slope(self, layer):
        return 1.0


class SigmoidPrimeOfActivation(Backprop):
    def slope(self, layer):
        return sigmoid_prime(self.activations[layer + 1])


class ActivationForSlope(Backprop):
    def slope(self, layer):
        return self.activations[layer + 1]


class SlopeOfTanh(Backprop):
    def slope(self, layer):
        return 1 - self.activations[layer + 1] ** 2


class SlopeOfLayerBelow(Backprop):
    def slope(self, layer):
        return sigmoid_prime(self.zs[layer - 1]) if layer else super().slope(layer)


class ConstantSlope(Backprop):
    def slope(self, layer):
        return 0.25


class WeightsNotTransposed(Backprop):
    def hidden_error(self, delta, layer):
        W = self.W[layer]
        return (delta @ (W.T if W.shape[0] == W.shape[1] else W)) * self.slope(layer - 1)


class UpdatedWeights(Backprop):
    def hidden_error(self, delta, layer):
        stepped = self.W[layer] - 0.1 * self.weight_gradient(delta, layer)
        return (delta @ stepped) * self.slope(layer - 1)


# --- weights ------------------------------------------------------------------------------------


class OuterProductTransposed(Backprop):
    def weight_gradient(self, delta, layer):
        right = super().weight_gradient(delta, layer)
        return right.T if right.shape[0] == right.shape[1] else right


class PreActivationForActivation(Backprop):
    def weight_gradient(self, delta, layer):
        return delta.T @ (self.zs[layer - 1] if layer else self.activations[0])


class StaleActivations(Backprop):
    previous = None

    def weight_gradient(self, delta, layer):
        if layer == 0:
            return super().weight_gradient(delta, layer)
        fresh, self.previous = self.activations[layer], self.previous or {}
        stale = self.previous.get(layer, np.full_like(fresh, 0.5))
        self.previous[layer] = fresh
        return delta.T @ stale


class LastExampleDropped(Backprop):
    def weight_gradient(self, delta, layer):
        return delta[:-1].T @ self.activations[layer][:-1]


class FirstExampleOnly(Backprop):
    def weight_gradient(self, delta, layer):
        return delta[:1].T @ self.activations[layer][:1] * self.m


class Float32Inside(Backprop):
    def weight_gradient(self, delta, layer):
        return super().weight_gradient(delta.astype(np.float32).astype(float), layer)


# --- biases -------------------------------------------------------------------------------------


class BiasForgotten(Backprop):
    def bias_gradient(self, delta, layer):
        return np.zeros(delta.shape[1])


class BiasAveraged(Backprop):
    def bias_gradient(self, delta, layer):
        return delta.mean(axis=0)


class BiasSummedOverWrongAxis(Backprop):
    def bias_gradient(self, delta, layer):
        return np.resize(delta.sum(axis=1), delta.shape[1])


class BiasOfLastExample(Backprop):
    def bias_gradient(self, delta, layer):
        return delta[-1]


# --- the whole ----------------------------------------------------------------------------------


class WeightDecay(Backprop):
    def finish(self, gradient):
        return {k: g + 1e-6 * self.W[int(k[1:]) - 1] if k[0] == "W" else g
                for k, g in gradient.items()}  # fmt: skip


class ScaledByMillionth(Backprop):
    def finish(self, gradient):
        return {k: g * (1 + 1e-6) for k, g in gradient.items()}


class OneCoordinateOff(Backprop):
    def finish(self, gradient):
        g = gradient["W2"]
        at = np.unravel_index(np.argmax(np.abs(g)), g.shape)
        g[at] *= 1 + 1e-6
        return gradient


class OneCoordinateZero(Backprop):
    def finish(self, gradient):
        gradient["W1"][2, 3] = 0.0
        return gradient


class TwoCoordinatesSwapped(Backprop):
    def finish(self, gradient):
        gradient["b3"][[0, 1]] = gradient["b3"][[1, 0]]
        return gradient


class NeighbourLeaks(Backprop):
    def finish(self, gradient):
        gradient["W3"][0] += 1e-5 * gradient["W3"][1]
        return gradient


class NotANumber(Backprop):
    def finish(self, gradient):
        gradient["W1"][0, 0] = np.nan
        return gradient


RIGHT = [Backprop, RightQuadratic]
WRONG = [c for base in RIGHT for c in base.__subclasses__() if c is not RightQuadratic]


@cache
def loss_of(cost, loss_factor):
    """The loss, which remembers its values: most backprops are asked at the same points."""
    problem, known = CROSS_ENTROPY if cost == "cross_entropy" else QUADRATIC, {}

    def loss(p):
        at = b"".join(p[name].tobytes() for name in sorted(p))
        if at not in known:
            layers = [(p[f"W{i}"], p[f"b{i}"]) for i in (1, 2, 3)]
            known[at] = loss_factor * sigmoid_network.loss(
                layers, problem.inputs, problem.targets, cost=cost
            )
        return known[at]

    return loss


def check(backprop, loss_factor):
    problem = CROSS_ENTROPY if backprop.cost == "cross_entropy" else QUADRATIC
    engine = backprop()

    def gradient(p):
        return {name: loss_factor * g for name, g in engine(problem, p).items()}

    return check_gradient(loss_of(backprop.cost, loss_factor), gradient, problem.parameters)


def test_at_least_25_mistakes_are_planted():
    assert len(WRONG) >= 25


FACTORS = [1.0, *(pytest.param(factor, marks=pytest.mark.nightly) for factor in (1e-9, 1e9))]


@pytest.mark.parametrize("backprop", WRONG, ids=lambda c: c.__name__)
@pytest.mark.parametrize("loss_factor", FACTORS)
def test_wrong_backprop_fails(backprop, loss_factor):
    outcome = check(backprop, loss_factor)
    assert outcome.verdict is Verdict.FAIL, str(outcome)


@pytest.mark.parametrize("loss_factor", [1.0, 1e-9, 1e9])
@pytest.mark.parametrize("backprop", RIGHT, ids=lambda c: c.__name__)
def test_right_backprop_passes(backprop, loss_factor):
    outcome = check(backprop, loss_factor)
    assert outcome.verdict is Verdict.PASS, str(outcome)


@pytest.mark.by_day(3)
@pytest.mark.parametrize("backprop", WRONG[::6], ids=lambda c: c.__name__)
@pytest.mark.parametrize("loss_factor", [1e-9, 1e9])
def test_wrong_backprop_fails_whatever_the_size_of_the_loss(backprop, loss_factor):
    outcome = check(backprop, loss_factor)
    assert outcome.verdict is Verdict.FAIL, str(outcome)


def test_the_single_wrong_coordinate_is_the_one_named():
    outcome = check(OneCoordinateZero, 1.0)
    assert [d.name for d in outcome.discrepancies] == ["W1[2,3]"]


def test_every_wrong_coordinate_is_listed_and_no_other():
    outcome = check(BiasForgotten, 1.0)
    named = {d.name for d in outcome.discrepancies}
    assert named == {f"b{i}[{j}]" for i, n in ((1, 3), (2, 3), (3, 2)) for j in range(n)}
