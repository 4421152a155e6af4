"""Rises are identities between function values, of the stated rounding, for steps of any size."""

from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx
from some import some

from gradcheck.problems.case import Case
from gradcheck.splitmix64 import Stream
from gradcheck.studies.layered.network import (
    CONSTANTS,
    COST_RISES,
    K_CROSS_ENTROPY,
    K_QUADRATIC,
    K_SIGMA,
    K_SIGMOID,
    MOST,
    LayeredNetwork,
    preactivations,
    roundings_of_sum,
    sigmoid_rise,
    sigmoids,
)

UNIT = 2.0**-53


def exact(function, *arguments):
    """A function of numbers in 2000 bits, number by number."""
    with ctx.workprec(2000):
        return [function(*map(arb, numbers)) for numbers in zip(*arguments, strict=True)]


def sigma(z):
    return 1 / (1 + (-z).exp())


def relative_error(computed, references, sizes=None):
    """The largest |computed - reference| over |size|, the size being the reference by default."""
    with ctx.workprec(2000):
        sizes = references if sizes is None else map(arb, sizes)
        pairs = zip(computed.tolist(), references, sizes, strict=True)
        return max(float(abs((arb(x) - r) / s)) for x, r, s in pairs)


def arguments(count=400, largest=MOST):
    """Arguments z up to 30 either way, and steps d of every size up to `largest`."""
    stream = Stream(5, "arguments")
    z = 30 * (2 * stream.uniform(count) - 1)
    d = largest * 2.0 ** (-60 * stream.uniform(count) ** 2) * stream.signs(count)
    return z, d


def cost(loss, z, y):
    if loss == "cross_entropy":
        return -y * sigma(z).log() - (1 - y) * sigma(-z).log()
    return (sigma(z) - y) ** 2 / 2


# --- the functions that are taken from numpy -----------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reference", "roundings"),
    [
        ("expm1", lambda x: x.expm1(), 4),
        ("log1p", lambda x: x.log1p(), 4),
    ],
)
def test_functions_of_small_arguments_err_by_four_roundings_at_most(name, reference, roundings):
    _, d = arguments(4000, largest=0.29)
    computed = getattr(np, name)(d)
    assert relative_error(computed, exact(reference, d)) <= roundings * UNIT


def test_both_sigmoids_err_by_four_roundings_at_most_in_both_tails():
    z, _ = arguments(4000)
    units = sigmoids(np.concatenate([z, 20 * z]))
    zs = np.concatenate([z, 20 * z])
    assert relative_error(units.q, exact(sigma, zs)) <= K_SIGMA * UNIT
    assert relative_error(units.p, exact(lambda z: sigma(-z), zs)) <= K_SIGMA * UNIT
    product = exact(lambda z: sigma(z) * sigma(-z), zs)
    assert relative_error(units.s, product) <= (2 * K_SIGMA + 1) * UNIT


# --- rises ----------------------------------------------------------------------------------------


def test_the_rise_of_a_sigmoid_is_a_difference_of_sigmoids():
    z, d = arguments()
    units = sigmoids(z)
    rise = sigmoid_rise(d.copy(), units.q, units.s, np.empty_like(d))
    assert relative_error(rise, exact(lambda z, d: sigma(z + d) - sigma(z), z, d)) <= (
        K_SIGMOID * UNIT
    )


def test_a_slope_in_place_of_a_rise_would_be_noticed():
    z, d = arguments()
    slope = sigmoids(z).s * d
    assert relative_error(slope, exact(lambda z, d: sigma(z + d) - sigma(z), z, d)) > 0.05


@pytest.mark.parametrize("y", [0.0, 1.0, 0.5, 2.0**-30, 1 - 2.0**-30, 0.3, 0.7])
@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
def test_the_rise_of_a_cost_is_a_difference_of_costs(loss, y):
    z, d = arguments()
    units, targets = sigmoids(z), np.full_like(z, y)
    constants = CONSTANTS[loss](units, targets)
    rise = COST_RISES[loss](d.copy(), constants, np.empty_like(d))
    references = exact(lambda z, d, y: cost(loss, z + d, y) - cost(loss, z, y), z, d, targets)
    if loss == "cross_entropy":
        _, w, rest = constants
        sizes, roundings = (w + rest) * np.abs(d) * np.exp(np.abs(d)), K_CROSS_ENTROPY
    else:
        T = (1 - y) * units.q + y * units.p
        A = units.s * np.abs(d) * np.exp(np.abs(d))
        sizes, roundings = A * (T + A / 2), K_QUADRATIC
    assert relative_error(rise, references, sizes) <= roundings * UNIT


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_the_cross_entropy_of_a_label_cancels_nowhere(y):
    z, d = arguments()
    constants = CONSTANTS["cross_entropy"](sigmoids(z), np.full_like(z, y))
    rise = COST_RISES["cross_entropy"](d.copy(), constants, np.empty_like(d))
    sign = 1 - 2 * int(y)

    def difference(z, d):
        return (1 + (sign * (z + d)).exp()).log() - (1 + (sign * z).exp()).log()

    assert relative_error(rise, exact(difference, z, d)) <= 2 * K_CROSS_ENTROPY * UNIT


# --- the network ----------------------------------------------------------------------------------


def test_a_network_keeps_the_exact_numbers_of_a_problem():
    problem = Case(sizes=(3, 4, 2), batch=5, dtype="float32", targets="soft").problem()
    network = LayeredNetwork.of(problem)
    assert network.sizes == (3, 4, 2)
    assert network.batch == network.divisor == 5
    assert np.array_equal(network.inputs[0][:, :-1], problem.inputs)
    assert all(map(np.array_equal, network.weights, problem.weights))
    assert {W.dtype.name for W in network.weights} == {"float64"}
    assert all((a[:, -1] == 1).all() for a in some(network.inputs))


@pytest.mark.parametrize(("n", "roundings"), [(1, 2), (2, 3), (9, 6), (10, 7), (1000, 64)])
def test_a_sum_of_n_terms_takes_some_2_sqrt_n_roundings(n, roundings):
    assert roundings_of_sum(n) == roundings


@pytest.mark.parametrize("n", [1, 2, 5, 16, 17, 1000])
def test_preactivations_are_sums_of_products_within_their_roundings(n):
    stream = Stream(n, "sums")
    a, W, b = stream.normal((3, n)) / 3, stream.normal((4, n)) / 7, stream.normal(4) / 3
    z, errors = preactivations(a, W, b), []
    for i, j in np.ndindex(z.shape):
        terms = [
            Fraction(x) * Fraction(w) for x, w in zip(a[i].tolist(), W[j].tolist(), strict=True)
        ]
        terms.append(Fraction(b[j].item()))
        errors.append(abs(Fraction(z[i, j].item()) - sum(terms)))
        k = roundings_of_sum(n)
        assert errors[-1] <= Fraction(k, 2**53 - k) * sum(map(abs, terms))
    assert max(errors) > 0


def test_a_long_double_problem_is_refused():
    problem = Case(sizes=(2, 1), dtype="longdouble").problem()
    with pytest.raises(TypeError, match="longdouble; its numbers must fit float64"):
        LayeredNetwork.of(problem)
