"""The bound of layered differences is what the module's text says, worked out number by number."""

from itertools import pairwise, product
from math import exp, expm1, floor, isqrt, log2

import numpy as np
import pytest

from gradcheck.problem import Architecture, Problem
from gradcheck.splitmix64 import Stream
from gradcheck.studies.layered import bound as module
from gradcheck.studies.layered.bound import (
    Stretch,
    activation_errors,
    coordinate_bounds,
    cost_bounds,
    forward_errors,
    layer_bounds,
    row_blocks,
    row_sum_norm,
    stretches,
    times_absolute,
)
from gradcheck.studies.layered.network import LayeredNetwork

u, TINY, SLACK = 2.0**-53, 2.0**-1022, 1 + 2.0**-20
SIZES = (3, 5, 4, 2)
M = 3

SAME = 1e-11
"""Both sides round sums of some tens of numbers that are not negative, 1e-14 each, and powers."""


def are_same(found, expected):
    """Whether numbers are equal, but for the rounding of both sides."""
    return bool(np.all(np.abs(found - expected) <= SAME * np.abs(expected)))


def problem_of(loss, reduction, scale=1.0):
    """A network with numbers of both signs; the first example's inputs and W_1's biases are 0."""
    stream = Stream(3, "written out")
    W = [scale * stream.normal((n, k)) for k, n in pairwise(SIZES)]
    b = [np.zeros(5), stream.normal(4), stream.normal(2)]
    X, Y = stream.normal((M, 3)), stream.uniform(2 * M).reshape(M, 2)
    X[0] = 0
    X[:, 1] = 0
    return Problem(Architecture(SIZES, loss, reduction), tuple(W), tuple(b), X, Y)


NETWORKS = [
    LayeredNetwork.of(problem_of(loss, reduction, scale))
    for loss, reduction in product(("cross_entropy", "quadratic"), ("mean", "sum"))
    for scale in (1.0, 6.0)
]
EVERY = pytest.mark.parametrize("net", NETWORKS)


def roundings(n):
    size = isqrt(n - 1) + 1
    return size + -(-n // size)


def errors_of(net):
    """e_l and eps_l, entry by entry."""
    eps = [[0.0] * SIZES[0] for _ in range(M)]
    e, shares = [], [np.zeros((M, SIZES[0]))]
    for W, b, inputs, units in zip(net.weights, net.biases, net.inputs, net.units, strict=True):
        n, a = W.shape[1], np.abs(inputs)
        k = roundings(n)
        gamma = k * u / (1 - k * u)
        own = [
            [
                SLACK * (sum((eps[i][j] + gamma * (a[i, j] + eps[i][j])) * abs(w)
                             for j, w in enumerate(ws)) + gamma * abs(c) + n * TINY)
                for ws, c in zip(W.tolist(), b.tolist(), strict=True)
            ]
            for i in range(M)
        ]  # fmt: skip
        share = [
            [SLACK * (expm1(p * exp(x) * x) + 4 * u) for p, x in zip(*rows, strict=True)]
            for rows in zip(units.p.tolist(), own, strict=True)
        ]
        eps = [[s * q for s, q in zip(*r, strict=True)] for r in zip(share, units.q, strict=True)]
        e.append(np.array(own))
        shares.append(np.array(share))
    return e, shares


@EVERY
def test_errors_of_preactivations_and_activations(net):
    e, shares = errors_of(net)
    found = forward_errors(net, 2**20)
    assert len(found) == 3
    for i in range(3):
        assert are_same(found[i], e[i])
        assert are_same(activation_errors(net, i, found), shares[i])
    assert e[0][0, 0] == SLACK * 3 * TINY  # nothing but what underflows


@EVERY
def test_large_errors_of_preactivations_move_the_share_that_they_grow_by(net):
    e = np.full((M, 5), 0.5)
    share = activation_errors(net, 1, [e])
    expected = [[expm1(p * exp(0.5) * 0.5) for p in row] for row in net.units[0].p.tolist()]
    assert are_same(share, SLACK * (np.array(expected) + 4 * u))


def rises_of(net, rho):
    """R_l, B_l with the roundings of one unit, and the tiny numbers, layer by layer."""
    e, _ = errors_of(net)
    F = exp(rho + 2 * max(float(x.max()) for x in e)) * SLACK
    q, p, s = net.units[-1]
    y = net.targets
    if net.loss == "cross_entropy":
        w, y = np.where(y > 0.5, p, q), np.where(y > 0.5, 1 - y, y)
        R = (w + y) * F
        B = R * 16 * u + s * F * e[-1]
    else:
        R = ((1 - y) * q + y * p) * s * F * F
        B = R * (44 * u + 2 * e[-1])
    tiny = SIZES[-1] * (1 + (1 + SIZES[-2]) * R.max())
    found = [(R, B, tiny)]
    for i in (1, 0):
        A, s, n = np.abs(net.weights[i + 1]), net.units[i].s, SIZES[i + 1]
        X, Y = ([[sum(r * a for r, a in zip(row, col, strict=True)) for col in A.T.tolist()]
                 for row in G.tolist()] for G in (R, B))  # fmt: skip
        X, Y = np.array(X), np.array(Y)
        R = s * F * X
        B = s * F * (Y + (e[i] + (20 + n) * u) * X)
        tiny += n * (1 + X.max() + (1 + SIZES[i]) * R.max())
        found.append((R, s * F * (Y + (e[i] + 21 * u) * X), tiny))
    return found[::-1]


@EVERY
@pytest.mark.parametrize("rho", [0.0, 0.25])
def test_rises_and_their_errors(net, rho):
    found, expected = layer_bounds(net, rho, 2**20), rises_of(net, rho)
    assert len(found) == 3
    for layer, (R, B, tiny), e in zip(found, expected, errors_of(net)[0], strict=True):
        assert are_same(layer.R, R)
        assert are_same(layer.B, B)
        assert are_same(layer.e, e)
        assert are_same(layer.underflow, tiny)


@pytest.mark.parametrize("net", NETWORKS[::4])
def test_errors_of_the_last_layer_count_beside_roundings(net):
    e = np.full((M, 2), 2.0**-30)
    q, p, s = net.units[-1]
    y = net.targets
    R, B = cost_bounds(net, e, 1.5)
    if net.loss == "cross_entropy":
        w, y = np.where(y > 0.5, p, q), np.where(y > 0.5, 1 - y, y)
        assert are_same(R, 1.5 * (w + y))
        assert are_same(B, 16 * u * R + 1.5 * s * e)
    else:
        assert are_same(R, 2.25 * s * ((1 - y) * q + y * p))
        assert are_same(B, R * (44 * u + 2 * e))


def test_slopes_change_by_the_largest_error_of_all_layers(monkeypatch):
    net = NETWORKS[0]
    e = [np.full((M, n), x) for n, x in zip(SIZES[1:], (0.25, 0.5, 0.125), strict=True)]
    monkeypatch.setattr(module, "forward_errors", lambda *_: e)
    monkeypatch.setattr(module, "cost_bounds", lambda net, e, F: (np.full_like(e, F), e))
    found = layer_bounds(net, 0.25, 2**20)
    assert are_same(found[-1].R, exp(0.25 + 2 * 0.5) * SLACK)


@EVERY
def test_bounds_of_weights_and_biases(net):
    layers, truncation, h = layer_bounds(net, 0.25, 2**20), 2.0**-51, 2.0**-20
    _, shares = errors_of(net)
    for i, (R, B, tiny) in enumerate(rises_of(net, 0.25)):
        n, k = SIZES[i + 1], SIZES[i]
        out = np.full(n * k + n, np.nan)
        coordinate_bounds(net, layers, i, h, truncation, out)
        a = np.abs(net.inputs[i])
        G = B + (truncation + (M * 2 + 4) * u) * R
        spare = 16 * layers[i].underflow * TINY * M / net.divisor / h
        assert are_same(spare, 16 * tiny * M / net.divisor * 2.0**-1002)
        for j, c in product(range(n), range(k)):
            terms = (a[m, c] * (G[m, j] + shares[i][m, c] * R[m, j]) for m in range(M))
            expected = sum(terms) * SLACK**2 / net.divisor + spare
            assert are_same(out[j * k + c], expected)
        expected = [sum(G[m, j] for m in range(M)) * SLACK**2 / net.divisor for j in range(n)]
        assert are_same(out[n * k :], np.array(expected) + spare)
    assert not net.inputs[0][:, 1].any()  # of an input of 0 nothing but what underflows is seen


def test_a_bound_that_is_no_number_is_infinite():
    net = NETWORKS[0]
    layers, out = layer_bounds(net, np.inf, 2**20), np.empty(20)
    with np.errstate(invalid="ignore"):
        coordinate_bounds(net, layers, 0, 2.0**-20, 2.0**-51, out)
    assert (out == np.inf).all()


@EVERY
def test_stretches_of_each_layer(net):
    c_2, c_3 = {"cross_entropy": (1, 1), "quadratic": (2, 4)}[net.loss]
    entries = [max(abs(w) for w in W.ravel().tolist()) for W in net.weights]
    norms = [SLACK * max(sum(map(abs, row)) for row in W.tolist()) for W in net.weights]
    found = stretches(net, 2**20)
    assert len(found) == 3
    for i, stretch in enumerate(found):
        delta = largest = max(map(abs, net.inputs[i].ravel().tolist()))
        zeta_2 = zeta_3 = 0.0
        # one unit of layer i + 1 moves, and all of the layers after the next
        for size in [*entries[i + 1 : i + 2], *norms[i + 2 :]]:
            zeta_3, zeta_2 = zeta_3 + 3 * delta * zeta_2 + delta**2, zeta_2 + delta
            delta = delta * size / 4 * SLACK
            largest = max(largest, delta)
        Z = SLACK * (zeta_3 + 3 * c_2 * delta * zeta_2 + c_3 * delta**2)
        assert are_same(stretch.Z, Z)
        assert are_same(stretch.delta, largest)
        assert stretch.step == 2.0 ** floor(log2(6 * u / Z) / 2)


@pytest.mark.parametrize("Z", [1.0, 6.0, 6.1, 5.9, 2.0**40, 1.5 * 2.0**-33])
def test_the_step_is_the_largest_power_of_two_whose_truncation_is_one_rounding(Z):
    h = Stretch(1.0, Z).step
    assert h * h * Z / 6 <= u < 4 * h * h * Z / 6


def test_a_stretch_without_limit_has_no_step():
    with np.errstate(divide="ignore"):
        assert Stretch(1.0, np.inf).step == 0


# 3 columns of 8 bytes, half of the memory: 1, 1, 2 and all 7 rows
@pytest.mark.parametrize(("memory", "rows"), [(0, 1), (95, 1), (96, 2), (2**20, 7)])
def test_blocks_of_rows_take_half_of_the_memory_and_add_up(memory, rows):
    W = Stream(1, "blocks").normal((7, 3))
    blocks = list(row_blocks(W, memory))
    assert len(W[blocks[0]]) == rows
    assert np.array_equal(np.concatenate([W[block] for block in blocks]), W)
    X = Stream(2, "blocks").uniform(14).reshape(2, 7)
    assert are_same(times_absolute(X, W, memory), X @ np.abs(W))
    largest = max(sum(map(abs, row)) for row in W.tolist())
    assert are_same(row_sum_norm(W, memory), largest * SLACK)
