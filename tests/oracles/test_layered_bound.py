"""The parts of the bound, each held against what it bounds."""

from fractions import Fraction

import numpy as np
import pytest

from gradcheck.case import Case
from gradcheck.oracles.certified import certified_gradient
from gradcheck.oracles.layered_bound import (
    activation_errors,
    forward_errors,
    row_blocks,
    row_sum_norm,
    stretches,
    times_absolute,
)
from gradcheck.oracles.layered_difference import MIB, layered_differences
from gradcheck.oracles.layered_network import LayeredNetwork, preactivations
from gradcheck.problem import Architecture, Problem
from gradcheck.splitmix64 import Stream

UNIT = 2.0**-53


def network_of(**fields):
    return LayeredNetwork.of(Case(**fields).problem())


# --- rounding -------------------------------------------------------------------------------------


def test_the_first_preactivations_are_within_their_error():
    network = network_of(sizes=(200, 3, 1), batch=4)
    (W, b), a = (network.weights[0], network.biases[0]), network.inputs[0][:, :-1]
    z, e = preactivations(a, W, b), forward_errors(network, MIB)[0]
    exact = [
        [
            sum(Fraction(x) * Fraction(w) for x, w in zip(xs, ws, strict=True)) + Fraction(c)
            for ws, c in zip(W.tolist(), b.tolist(), strict=True)
        ]
        for xs in a.tolist()
    ]
    errors = np.array([[float(abs(Fraction(x) - y)) for x, y in zip(*rows, strict=True)]
                       for rows in zip(z.tolist(), exact, strict=True)])  # fmt: skip
    assert (errors <= e).all()
    assert (errors > e / 1000).any()


def test_errors_of_activations_are_shares_of_them():
    network = network_of(sizes=(3, 4, 2), batch=5, weight_scale=30)
    errors = forward_errors(network, MIB)
    assert (activation_errors(network, 0, errors) == 0).all()
    share = activation_errors(network, 1, errors)
    assert share.shape == (5, 4)
    assert (share >= 4 * UNIT).all()
    assert (share <= 2 * errors[0] + 5 * UNIT).all()


# --- truncation -----------------------------------------------------------------------------------


def largest_step(problem):
    """The largest power of two that moves no pre-activation by more than 1/4."""
    delta = max(stretch.delta for stretch in stretches(LayeredNetwork.of(problem), MIB))
    return 2.0 ** np.floor(np.log2(0.25 / delta))


def chain(*weights, x=1.0, y=0.0, loss="cross_entropy"):
    """Layers of one unit each; each sees its predecessor about its middle, where it is steepest."""
    W = tuple(np.array([[float(w)]]) for w in weights)
    b = (np.array([0.7]), *(np.array([0.7 - w / 2]) for w in weights[1:]))
    sizes = (1,) * (len(weights) + 1)
    return Problem(Architecture(sizes, loss), W, b, np.array([[x]]), np.array([[y]]))


def truncation_share(problem):
    """The largest |D(h) - derivative| / bound at the largest step."""
    estimate = layered_differences(problem, step=largest_step(problem))
    exact = certified_gradient(problem)
    error = np.abs(estimate.value - exact.gradient)
    assert (error <= estimate.bound + exact.bound).all()
    return float((error / estimate.bound).max())


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("weights", [(0.5,), (0.5, 40), (0.5, 12, 10), (0.5, 8, 8, 6)])
@pytest.mark.parametrize("x", [1.0, -9.0])
def test_steep_chains_stay_within_the_truncation_at_the_largest_step(weights, loss, x):
    weights = (weights[0] / abs(x), *weights[1:])
    shares = [truncation_share(chain(*weights, x=x, y=y, loss=loss)) for y in (0, 1)]
    assert max(shares) > 0.002


def test_the_largest_step_on_networks_of_every_scale_stays_within_the_truncation():
    for seed in range(40):
        scale = (0.3, 3, 30)[seed % 3]
        case = Case(sizes=(3, 4, 3, 2), batch=3, seed=seed, weight_scale=scale, targets="soft")
        assert truncation_share(case.problem()) > 0


def test_negative_inputs_and_weights_stretch_as_positive_ones_do():
    right, left = chain(2, 3, x=5.0), chain(2, -3, x=-5.0)
    pairs = zip(*(stretches(LayeredNetwork.of(p), MIB) for p in (right, left)), strict=True)
    assert all(a == b for a, b in pairs)


def test_the_step_falls_as_the_network_stretches():
    steps = [stretches(LayeredNetwork.of(chain(1, w)), MIB)[0].step for w in (1, 100, 10_000)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > 1000 * steps[-1]


# --- absolute values in parts --------------------------------------------------------------------


def test_absolute_products_are_taken_in_parts_of_half_the_memory():
    stream = Stream(1, "parts")
    X, W = np.abs(stream.normal((3, 50))), stream.normal((50, 20))
    for memory in (1, 1000, 10**6):
        rows = list(row_blocks(W, memory))
        assert sum(len(W[part]) for part in rows) == 50
        assert all(2 * W[part].nbytes <= max(memory, 2 * W[:1].nbytes) for part in rows)
        assert times_absolute(X, W, memory) == pytest.approx(X @ np.abs(W), rel=1e-14)
        assert row_sum_norm(W, memory) == pytest.approx(np.abs(W).sum(axis=1).max(), rel=1e-5)
