"""The parts of the bound, each held against what it bounds."""

from fractions import Fraction

import numpy as np
import pytest
from some import some

from gradcheck.certified.gradient import certified_gradient
from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import Case
from gradcheck.splitmix64 import Stream
from gradcheck.studies.layered.bound import (
    activation_errors,
    coordinate_bounds,
    forward_errors,
    layer_bounds,
    row_blocks,
    row_sum_norm,
    stretches,
    times_absolute,
)
from gradcheck.studies.layered.difference import MIB, layered_differences
from gradcheck.studies.layered.network import K_SIGMOID, LayeredNetwork, preactivations

UNIT = 2.0**-53


def network_of(**fields):
    return LayeredNetwork.of(Case(**fields).problem())


# --- rounding -------------------------------------------------------------------------------------


def test_the_first_preactivations_are_within_their_error():
    stream = Stream(2, "sums")
    W, b, a = stream.normal((3, 200)) / 7, np.zeros(3), stream.normal((4, 200)) / 3
    network = LayeredNetwork.of(Problem(Architecture((200, 3)), (W,), (b,), a, np.zeros((4, 3))))
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


def test_each_layer_adds_its_error_and_its_roundings():
    n, K = 7, K_SIGMOID
    W = (np.full((n, 1), 0.5), np.full((n, n), 0.25), np.full((1, n), -0.5))
    b = (np.zeros(n), np.zeros(n), np.zeros(1))
    problem = Problem(Architecture((1, n, n, 1)), W, b, np.ones((2, 1)), np.zeros((2, 1)))
    layers = layer_bounds(LayeredNetwork.of(problem), 0.0, MIB)
    share = [float(np.max(layer.B / layer.R)) for layer in layers]
    e = [float(np.max(layer.e)) for layer in layers]
    # the second layer's sum has n terms, the first's perturbation meets one of them
    assert share[1] - share[2] == pytest.approx(e[1] + (K + 1) * UNIT, rel=1e-4, abs=0)
    assert share[0] - share[1] == pytest.approx(e[0] + (K + n) * UNIT, rel=1e-4, abs=0)


def test_bounds_of_coordinates_are_sums_over_the_examples():
    network = network_of(sizes=(3, 4, 2), batch=5, targets="soft")
    layers, truncation = layer_bounds(network, 0.0, MIB), 5 * UNIT
    own = activation_errors(network, 1, [layer.e for layer in layers])
    out = np.empty(10)
    coordinate_bounds(network, layers, 1, 2.0**-20, truncation, out)
    B, R, a = layers[1].B, layers[1].R, network.units[0].q
    sums = truncation + (5 * 2 + 4) * UNIT
    for j in range(2):
        bias = sum(B[i, j] + sums * R[i, j] for i in range(5)) / 5
        assert out[8 + j] == pytest.approx(bias, rel=1e-5, abs=0)
        for k in range(4):
            terms = (a[i, k] * (B[i, j] + (sums + own[i, k]) * R[i, j]) for i in range(5))
            assert out[4 * j + k] == pytest.approx(sum(terms) / 5, rel=1e-5, abs=0)


# --- truncation -----------------------------------------------------------------------------------


def largest_step(problem):
    """The largest power of two that moves no pre-activation by more than 1/4."""
    delta = max(stretch.delta for stretch in stretches(LayeredNetwork.of(problem), MIB))
    return 2.0 ** np.floor(np.log2(0.25 / delta))


def chain(*weights, x=1.0, y=0.0, z=0.7, loss="cross_entropy"):
    """Layers of one unit each, all pre-activations at z."""
    b, a = [], x
    for w in weights:
        b.append(np.array([z - w * a]))
        a = 1 / (1 + np.exp(-z))
    W = tuple(np.array([[float(w)]]) for w in weights)
    architecture = Architecture((1,) * (len(weights) + 1), loss)
    return Problem(architecture, W, tuple(b), np.array([[x]]), np.array([[y]]))


def truncation_share(problem):
    """The largest |D(h) - derivative| / bound at the largest step."""
    estimate = layered_differences(problem, step=largest_step(problem))
    exact = certified_gradient(problem)
    error = np.abs(estimate.value - exact.gradient)
    assert (error <= estimate.bound + exact.bound).all()
    return float((error / estimate.bound).max())


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("weights", [(0.5,), (0.5, 40), (0.5, 12, 10), (0.5, 8, 8, 6), (0.5, 4, 4)])
@pytest.mark.parametrize("x", [1.0, -9.0])
def test_steep_chains_stay_within_the_truncation_at_the_largest_step(weights, loss, x):
    weights = (weights[0] / abs(x), *weights[1:])
    shares = [
        truncation_share(chain(*weights, x=x, y=y, z=z, loss=loss))
        for y in (0.0, 1.0)
        for z in (0.0, 0.7, -4.0, 4.0)
    ]
    assert max(shares) > 0.5  # the bound is nearly attained


@pytest.mark.parametrize(("loss", "Z"), [("cross_entropy", 33), ("quadratic", 63)])
def test_third_derivatives_of_a_chain_are_bounded_as_worked_by_hand(loss, Z):
    # delta 1, 2, 2; zeta_2 0, 1, 3; zeta_3 0, 1, 11; then 11 + 3 c_2 (2) (3) + c_3 (4)
    found = stretches(LayeredNetwork.of(chain(1, 8, -4, x=-1.0, loss=loss)), MIB)[0]
    assert abs(found.Z / Z - 1) < 1e-5
    assert abs(found.delta / 2 - 1) < 1e-5


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
        assert all(2 * W[part].nbytes <= max(memory, 2 * W[:1].nbytes) for part in some(rows))
        assert times_absolute(X, W, memory) == pytest.approx(X @ np.abs(W), rel=1e-14, abs=0)
        assert row_sum_norm(W, memory) == pytest.approx(
            np.abs(W).sum(axis=1).max(), rel=1e-5, abs=0
        )
