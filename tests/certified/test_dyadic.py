"""The bit budget of lattice problems: kept, every order of summation is exact; broken, not."""

from fractions import Fraction

import numpy as np
import pytest
from some import some

from gradcheck.certified.dyadic import Dyadic, Format, lattice_gradient
from gradcheck.certified.gradient import certified_gradient
from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import Case, sample_cases

DTYPES = ("float16", "float32", "float64")
CASES = [
    Case(**fields, corner="zero_preactivations", seed=seed)
    for seed, fields in enumerate(
        [
            {"sizes": (3, 1), "batch": 8, "targets": "binary"},
            {"sizes": (2, 3, 1), "batch": 4, "targets": "ones", "loss": "quadratic"},
            {"sizes": (3, 2, 2, 2), "batch": 1, "targets": "one_hot"},
            {"sizes": (4, 3, 2), "batch": 2, "targets": "zeros", "reduction": "sum"},
            {"sizes": (2, 2), "batch": 1, "targets": "soft"},
            {"sizes": (5, 4, 3), "batch": 4, "targets": "soft"},
            {"sizes": (6, 5, 4, 3), "batch": 16, "targets": "soft", "loss": "quadratic"},
        ]
    )
]
LONG = Case(sizes=(1,) * 9, corner="zero_preactivations")


def form_of(dtype):
    return Format.of(np.dtype(dtype), "cancellation_free")


def fits(x, dtype):
    """Whether a dtype holds a rational number exactly, as a normal number or 0."""
    near = np.dtype(dtype).type(float(x))
    return Fraction(float(near)) == x and (x == 0 or abs(near) >= np.finfo(dtype).tiny)


def fractions(array):
    return [[Fraction(float(x)) for x in row] for row in np.atleast_2d(array)]


def sums_of(problem):
    """Every sum of backpropagation as the list of its terms, all products multiplied out.

    delta_l[i][j] is the list of the terms of all paths from the outputs, r of two terms.
    """
    network, m = problem.architecture, problem.batch
    X, Y = fractions(problem.inputs), fractions(problem.targets)
    half, quadratic = Fraction(1, 2), network.loss == "quadratic"
    first = Fraction(1, m if network.reduction == "mean" else 1) / (4 if quadratic else 1)
    delta = [[[half * first, -y * first] for y in row] for row in Y]
    found = []
    for l in reversed(range(network.depth)):  # noqa: E741 - the layer's symbol, from 0
        W, n_in = fractions(problem.weights[l]), network.sizes[l]
        a = [[half] * n_in] * m if l else X
        for j, W_j in enumerate(W):
            z = [[W_j[k] * a[i][k] for k in range(n_in)] for i in range(m)]
            found += [[*terms, Fraction(float(problem.biases[l][j]))] for terms in z]
            found.append([t for i in range(m) for t in delta[i][j]])
            found += [[t * a[i][k] for i in range(m) for t in delta[i][j]] for k in range(n_in)]
        delta = [
            [[t * W_j[k] / 4 for j, W_j in enumerate(W) for t in row[j]] for k in range(n_in)]
            for row in delta
        ]
    return found


def partial_sums(terms, rng):
    """Add two random ones of the numbers that are left, until one is left: any tree of sums."""
    left = list(terms)
    while len(left) > 1:
        i, j = sorted(rng.choice(len(left), 2, replace=False))
        left[i] += left.pop(j)
        yield left[i]


def usable(case, dtype):
    return not lattice_gradient(case.problem()).excess(form_of(dtype))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.token)
def test_the_exact_gradient_is_the_certified_one_whose_bound_is_zero(case):
    exact = certified_gradient(case.problem())
    assert not exact.bound.any()
    assert np.array_equal(lattice_gradient(case.problem()).vector(case.problem()), exact.gradient)


def test_so_it_is_for_random_architectures():
    limits = {"corners": ["zero_preactivations"], "max_depth": 4, "max_width": 40, "max_batch": 16}
    for case in sample_cases(40, 3, reductions=["sum"], **limits):
        problem = case.problem()
        exact = certified_gradient(problem)
        assert not exact.bound.any()
        assert np.array_equal(lattice_gradient(problem).vector(problem), exact.gradient)


@pytest.mark.parametrize("dtype", DTYPES)
def test_within_the_budget_every_partial_sum_is_a_number_of_the_dtype(dtype):
    rng = np.random.default_rng(1)
    kept = [case for case in CASES if usable(case, dtype)]
    assert len(kept) >= (4 if dtype == "float16" else len(CASES))
    for case in kept:
        problem = case.problem()
        places = problem.batch if case.reduction == "mean" else 1
        for terms in some(sums_of(problem)):
            for s in some(partial_sums(terms, rng)):
                assert fits(s, dtype)
                assert fits(s * places, dtype)  # 1/m last


def test_beyond_the_budget_some_order_leaves_the_dtype():
    for case in CASES[-2:]:
        assert not usable(case, "float16")
        sums = [sorted(terms) for terms in sums_of(case.problem())]
        orders = [np.cumsum(terms) for terms in sums]
        assert any(not fits(s, "float16") for order in orders for s in order)


def test_beyond_the_budget_float16_gives_two_answers_in_two_orders():
    problem = CASES[-1].problem()
    sums = [[np.float16(float(t)) for t in terms] for terms in sums_of(problem)]
    forward = [sum(sorted(terms), np.float16(0)) for terms in sums]
    backward = [sum(sorted(terms, key=abs), np.float16(0)) for terms in sums]
    assert any(x != y for x, y in zip(forward, backward, strict=True))


@pytest.mark.parametrize(
    ("case", "dtype", "told"),
    [
        (CASES[5], "float16", "W2 may need 13 significant bits; float16 has 11"),
        (LONG, "float16", "W2 may need 2^-15; float16 has 2^-14"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(case, dtype, told):
    assert lattice_gradient(case.problem()).excess(form_of(dtype)) == told


def problem_of(X, W, b, Y, **architecture):
    arrays = [np.array(x, np.float16) for x in (W, b, X, Y)]
    network = Architecture((np.shape(X)[1], np.shape(Y)[1]), **architecture)
    return Problem(network, (arrays[0],), (arrays[1],), arrays[2], arrays[3])


def test_overflow_is_part_of_the_budget():
    large, small = (problem_of([[x]], [[0]], [0], [[0]]) for x in (2.0**15, 2.0**10))
    assert lattice_gradient(large).excess(form_of("float16")) == "W1 may overflow in float16"
    assert lattice_gradient(small).excess(form_of("float16")) == ""


def test_the_most_bits_that_fit_do():
    # dW = sum_i x_i / 2 of integers that add up to 2^10; S counts r as max(1/2 + 0, 1) = 2 halves
    for extra, told in ((0, ""), (1, "W1 may need 12 significant bits; float16 has 11")):
        problem = problem_of([[1023.0], [1.0 + extra]], [[0]], [0], [[0], [0]], reduction="sum")
        assert lattice_gradient(problem).excess(form_of("float16")) == told


def test_the_longest_error_is_counted_from_its_first_bit_to_its_last():
    halves = Case(sizes=(2, 1), corner="zero_preactivations", targets="zeros")
    assert lattice_gradient(halves.problem()).longest() == 1
    eighths = problem_of([[1]], [[0]], [0], [[0.375]])  # r = 1/8
    sixteenths = problem_of([[1]], [[0]], [0], [[0.1875]])  # r = 5/16
    assert [lattice_gradient(p).longest() for p in (eighths, sixteenths)] == [1, 3]


def test_the_mean_needs_a_power_of_two():
    odd = Case(sizes=(2, 1), batch=3, corner="zero_preactivations")
    with pytest.raises(ValueError, match="m=3 examples is inexact; m must be a power of two"):
        lattice_gradient(odd.problem())
    summed = Case(sizes=(2, 1), batch=3, corner="zero_preactivations", reduction="sum")
    assert lattice_gradient(summed.problem()).excess(form_of("float16")) == ""


def test_a_preactivation_that_is_not_zero_is_refused():
    with pytest.raises(ValueError, match="z1 is not 0 in all units"):
        lattice_gradient(Case(sizes=(2, 1)).problem())


def test_products_of_rounded_inputs_have_the_bits_of_the_narrow_format():
    names = ("absolute_sigmoid", "tf32", "bfloat16")
    assert [Format.of(np.dtype("float32"), name).bits for name in names] == [24, 11, 8]
    assert [form_of(dtype).bits for dtype in DTYPES] == [11, 24, 53]
    assert [form_of(dtype).tiny for dtype in DTYPES] == [np.finfo(dtype).tiny for dtype in DTYPES]


def test_dyadic_arithmetic_is_that_of_rationals():
    rng = np.random.default_rng(0)
    x, y = (np.ldexp(rng.integers(-99, 99, (4, 4)), rng.integers(-30, 5, (4, 4))) for _ in "xy")
    A, B = Dyadic.of(x), Dyadic.of(y)
    unit = Fraction(2) ** (A @ B).q
    product = np.array(fractions(x), dtype=object) @ np.array(fractions(y), dtype=object)
    assert ((A @ B).n * unit == product).all()
    size = np.array(fractions(abs(x)), dtype=object) @ np.array(fractions(abs(y)), dtype=object)
    assert ((A @ B).S * unit == size).all()
    assert np.array_equal((A + -B).values(), (x - y).ravel())
    assert np.array_equal(A.T.shifted(3).values(), (8 * x.T).ravel())
