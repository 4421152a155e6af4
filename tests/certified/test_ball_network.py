"""The network in balls: no formula cancels, and numpy's models lie within their rounding."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from flint import arb, arb_mat, ctx
from some import some

from gradcheck.certified.ball_differences import third_derivative_bounds
from gradcheck.certified.ball_network import (
    BallNetwork,
    ball_gradient,
    clipped_cross_entropy,
    clipped_residual,
    cross_entropy,
    quadratic,
    residual,
    sigmoids,
    slope,
)
from gradcheck.certified.balls import exact_matrix
from gradcheck.problem import Architecture, Problem, gradient_as_dict
from gradcheck.problems.case import Case, sample_cases
from reference_models import sigmoid_network

SATURATED = [s * z for z in (0.0, 1e-300, 1e-9, 0.5, 3.0, 36.8, 745.2, 1e4, 1e6) for s in (1, -1)]


def naive(z, y):
    """Textbook forms, which cancel: sigma(z), sigma(-z), sigma', both residuals and both losses."""
    a = 1 / (1 + (-z).exp())
    return [a, 1 - a, a * (1 - a), a - y, -y * a.log() - (1 - y) * (1 - a).log(), (a - y) ** 2 / 2]


def formulas(z, y):
    a, b = sigmoids(z)
    return [a, b, slope(a, b), residual(a, b, y), cross_entropy(z, y), quadratic(z, y)]


# --- formulas -------------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [0.0, 1.0, 0.25, 2.0**-40])
@pytest.mark.parametrize("z", [-50.0, -36.8, -1.5, -1e-9, 0.0, 1e-9, 0.7, 36.8, 50.0])
def test_every_formula_is_the_textbook_one(z, y):
    with ctx.workprec(1000):
        expected = naive(arb(z), arb(y))
    with ctx.workprec(128):
        assert all(f in g for f, g in zip(expected, formulas(arb(z), arb(y)), strict=True))


@pytest.mark.parametrize("z", SATURATED)
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_no_formula_loses_a_bit_worth_mentioning_up_to_a_million(z, y):
    with ctx.workprec(128):
        assert all(value.rel_accuracy_bits() >= 100 for value in some(formulas(arb(z), arb(y))))


def test_the_textbook_forms_lose_them_all_so_the_test_above_can_fail():
    with ctx.workprec(128):
        assert [f.rel_accuracy_bits() > 100 for f in naive(arb(1e4), arb(1))] == [True] + 5 * [
            False
        ]


@pytest.mark.parametrize(("middle", "radius"), [(0.0, 0.1), (1e-3, 1.0), (-0.5, 0.75), (30, 1.0)])
def test_a_ball_that_holds_0_encloses_the_values_of_all_its_numbers(middle, radius):
    wide = formulas(arb(middle, radius), arb(0.75))
    for t in np.linspace(-radius, radius, 9):
        points = formulas(arb(middle + t), arb(0.75))
        assert all(ball.contains(point.mid()) for ball, point in zip(wide, points, strict=True))


# --- against numpy's models -----------------------------------------------------------------------


def rounding(problem, parameters):
    """How far longdouble's loss and gradient can be from the exact ones, by absolute values.

    The sweep of running error analysis (Higham 2002, section 3.3): da, dd bound the errors of
    activations and deltas; a sigmoid and what multiplies it err by at most 8 u each.
    """
    u = float(np.finfo(np.longdouble).eps)
    W, b = [[np.abs(p.astype(float)) for p in ps] for ps in zip(*parameters, strict=True)]
    X, Y = problem.inputs.astype(float), problem.targets.astype(float)
    m, network = problem.batch, problem.architecture
    A, S, da, dz = [X], [], [np.zeros_like(X)], np.zeros(1)
    for layer, (weight, bias) in enumerate(parameters):
        z = A[-1] @ weight.T.astype(float) + bias.astype(float)
        terms = (np.abs(A[-1]) + da[-1]) @ W[layer].T + b[layer]
        dz = da[-1] @ W[layer].T + 2 * (W[layer].shape[1] + 2) * u * terms
        e = np.exp(-np.abs(z))
        S.append(e / (1 + e) ** 2)
        A.append(np.where(z > 0, 1, e) / (1 + e))
        da.append(S[-1] * np.expm1(dz) + 8 * u * (A[-1] + S[-1] * np.expm1(dz)))
    ds = S[-1] * (np.expm1(dz) + 8 * u * np.exp(dz))
    size = (1 - Y) * A[-1] + Y * np.where(z > 0, e, 1) / (1 + e)
    dd, size = ds + 8 * u * (size + ds), size + ds
    loss = (dz + 8 * u * (np.abs(z) + 1 + dz)).sum() + 2 * dz.size * u * (np.abs(z) + 1 + dz).sum()
    if network.loss == "quadratic":
        dd, size = dd * (S[-1] + ds) + size * ds + 8 * u * size * S[-1], size * (S[-1] + ds)
    bounds = []
    for layer in reversed(range(network.depth)):
        a, g = np.abs(A[layer]) + da[layer], 2 * (m + 3) * u
        bounds += [(dd + g * size).sum(0), (dd.T @ a + size.T @ da[layer] + g * size.T @ a).ravel()]
        if layer:
            n = 2 * (W[layer].shape[0] + 3) * u
            back, size = (dd + n * size) @ W[layer], size @ W[layer]
            dz = np.log1p(da[layer] / np.maximum(A[layer], 1e-300))
            ds = S[layer - 1] * (np.expm1(dz) + 8 * u * np.exp(dz)) + da[layer]
            dd, size = back * (S[layer - 1] + ds) + size * ds, size * (S[layer - 1] + ds)
    scale = (1 + 1e-6) / (m if network.reduction == "mean" else 1)
    return loss * scale, np.concatenate(bounds[::-1]) * scale + 1e-300


def misses(problem):
    """How many of longdouble's loss and gradient entries lie further off than their rounding."""
    network = problem.architecture
    arrays = [[p.astype(np.longdouble) for p in ps] for ps in (problem.weights, problem.biases)]
    parameters = list(zip(*arrays, strict=True))
    X, Y = (x.astype(np.longdouble) for x in (problem.inputs, problem.targets))
    loss, gradient = sigmoid_network.value_and_grad(
        parameters, X, Y, cost=network.loss, reduction=network.reduction
    )
    numbers = [np.ravel(block) for block in gradient_as_dict(gradient).values()]
    with ctx.workprec(128):
        exact_loss, exact = ball_gradient(problem, precision=128)
        theirs = exact_matrix(np.concatenate([[loss], *numbers])[None]).entries()
        errors = [abs(t - g) for t, g in zip(theirs, [exact_loss, *exact], strict=True)]
        loss_bound, bounds = rounding(problem, parameters)
        allowed = [loss_bound, *bounds.tolist()]
        return sum(not e <= arb(b) for e, b in zip(errors, allowed, strict=True)), len(errors)


def test_longdouble_backprop_of_the_models_is_within_its_rounding():
    limits = {"max_parameters": 300, "max_batch": 12, "max_width": 20}
    found = [misses(case.problem()) for case in sample_cases(60, seed=3, **limits)]
    assert sum(n for n, _ in found) == 0
    assert sum(total for _, total in found) > 3000


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
def test_another_sigmoid_in_the_balls_is_seen_by_the_models(monkeypatch, loss):
    problem = Case(sizes=(3, 4, 2), batch=3, loss=loss, seed=1).problem()
    assert misses(problem)[0] == 0
    monkeypatch.setattr(
        "gradcheck.certified.ball_network.sigmoids", lambda z: sigmoids(z * (1 + arb((1, -40))))
    )
    assert misses(problem)[0] > 20


# --- exact cases ----------------------------------------------------------------------------------


def lattice_gradient(problem):
    """The gradient where every pre-activation is 0, in fractions: sigma = 1/2, sigma' = 1/4."""
    network, m = problem.architecture, problem.batch

    def fractions(array):
        return np.vectorize(lambda x: Fraction(float(x)), otypes=[object])(array)

    half = [np.full((m, n), Fraction(1, 2)) for n in network.sizes[1:]]
    A = [fractions(problem.inputs), *half]
    D = half[-1] - fractions(problem.targets)
    D = D / 4 if network.loss == "quadratic" else D
    D = D / m if network.reduction == "mean" else D
    blocks = []
    for layer in reversed(range(network.depth)):
        blocks += [D.sum(0), (D.T @ A[layer]).ravel()]
        D = D @ fractions(problem.weights[layer]) / 4
    return np.concatenate(blocks[::-1])


@pytest.mark.parametrize("corner", ["zero_weights", "zero_preactivations"])
@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("batch", [1, 4])
def test_on_the_dyadic_lattice_every_ball_is_a_single_number(corner, loss, batch):
    case = Case(sizes=(5, 4, 3), batch=batch, loss=loss, corner=corner, targets="soft", seed=2)
    _, gradient = ball_gradient(case.problem(), precision=128)
    expected = lattice_gradient(case.problem())
    assert all(g.is_exact() for g in some(gradient))
    assert all(g.fmpq() == arb_rational(x) for g, x in zip(gradient, expected, strict=True))
    assert any(x != 0 for x in expected)


def arb_rational(x):
    return arb((x.numerator, 1 - x.denominator.bit_length())).fmpq()


def test_a_stationary_point_has_the_gradient_0_and_no_radius():
    case = Case(sizes=(6, 5, 3), batch=7, corner="stationary", targets="half")
    _, gradient = ball_gradient(case.problem(), precision=64)
    assert all(g == 0 for g in some(gradient))


def test_a_feature_that_is_0_has_no_gradient_even_in_products_of_large_blocks():
    problem = Case(sizes=(90, 80, 1), batch=70, corner="zero_feature").problem()
    _, gradient = ball_gradient(problem, precision=128)
    (zero,) = np.flatnonzero((problem.inputs == 0).all(axis=0))
    is_zero = np.array([g == 0 for g in gradient[: 90 * 80]]).reshape(80, 90)
    assert is_zero[:, zero].all()
    assert is_zero.sum() == 80


def test_examples_that_cancel_three_ways_leave_exactly_0():
    zero = np.zeros((1, 1))
    problem = Problem(
        Architecture((1, 1)), (zero,), (zero[0],), np.ones((3, 1)), np.array([[0.0], [1.0], [0.5]])
    )
    _, gradient = ball_gradient(problem, precision=64)
    assert gradient == [0, 0]


# --- the clipped loss -----------------------------------------------------------------------------


def clipped_loss(problem, parameters, clip):
    """The textbook form in balls: q = min(max(sigma(z), clip), 1 - clip), logarithms of q."""
    A = [[arb(float(x)) for x in row] for row in problem.inputs]
    for W, b in parameters:
        Z = [
            [
                sum((w * x for w, x in zip(row, a, strict=True)), c)
                for row, c in zip(W, b, strict=True)
            ]
            for a in A
        ]
        A = [[1 / (1 + (-z).exp()) for z in row] for row in Z]
    total = arb(0)
    for a, y in zip(A, problem.targets, strict=True):
        for p, t in zip(a, map(arb, map(float, y)), strict=True):
            q = p.max(arb(clip)).min(1 - arb(clip))
            total -= t * q.log() + (1 - t) * (1 - q).log()
    return total / (problem.batch if problem.architecture.reduction == "mean" else 1)


def as_balls(problem):
    pairs = zip(problem.weights, problem.biases, strict=True)
    return [
        ([[arb(float(w)) for w in row] for row in W], [arb(float(c)) for c in b]) for W, b in pairs
    ]


def differences(problem, clip, h, bounds):
    """Central differences of the clipped loss, each with h^2 M3 / 6, by coordinate."""
    parameters = as_balls(problem)
    found = []
    for (W, b), M3 in zip(parameters, bounds, strict=True):
        for row in [*W, b]:
            for k, x in enumerate(row):
                row[k] = x + h
                right = clipped_loss(problem, parameters, clip)
                row[k] = x - h
                left = clipped_loss(problem, parameters, clip)
                row[k] = x
                found.append((right - left) / (2 * h) + arb(0, (h**2 * M3 / 6).upper()))
    return found


CLIPPED = [
    Case(sizes=(3, 2, 2), batch=3, targets=targets, weight_scale=scale, reduction=r, seed=seed)
    for seed, (targets, scale, r) in enumerate(
        product(["binary", "soft"], [1.0, 5.0, 30.0, 300.0], ["mean", "sum"])
    )
]


@pytest.mark.parametrize("clip", [1e-7, 1e-3, 0.2])
def test_the_clipped_gradient_is_the_derivative_of_the_clipped_loss(clip):
    kinds = set()
    for case in CLIPPED:
        problem = case.problem()
        loss, gradient = ball_gradient(problem, precision=300, clip=clip)
        with ctx.workprec(900):  # sigma(-z) is left of 1 - sigma(z) for z of some hundreds
            h = arb((1, -200))
            bounds = third_derivative_bounds(BallNetwork.of(problem))
            assert loss.overlaps(clipped_loss(problem, as_balls(problem), clip))
            assert loss.rel_accuracy_bits() > 200
            quotients = differences(problem, clip, h, bounds)
        assert all(d.overlaps(g) for d, g in zip(quotients, gradient, strict=True)), case.token
        # what stays open is of the differences' size, and no entry is merely "anything"
        assert all(g.rad() < arb((1, -150)) for g in some(gradient))
        exact = ball_gradient(problem, precision=300)[1]
        kinds.add(all(g.overlaps(e) for g, e in zip(gradient, exact, strict=True)))
    assert kinds == {False, True}


def test_a_residual_that_is_not_stopped_at_the_clip_point_is_no_derivative(monkeypatch):
    problem = next(case for case in CLIPPED if case.weight_scale == 300).problem()
    monkeypatch.setattr(
        "gradcheck.certified.ball_network.clipped_residual", lambda a, b, y, clip: residual(a, b, y)
    )
    _, gradient = ball_gradient(problem, precision=300, clip=1e-3)
    with ctx.workprec(900):
        bounds = third_derivative_bounds(BallNetwork.of(problem))
        quotients = differences(problem, 1e-3, arb((1, -200)), bounds)
    assert not all(d.overlaps(g) for d, g in zip(quotients, gradient, strict=True))


def test_only_clipped_outputs_lose_their_residual():
    z = [-20.0, -3.0, 3.0, 20.0]
    for x, y in product(z, [0.0, 0.4, 1.0]):
        a, b = sigmoids(arb(x))
        inside = abs(x) < 10
        r = clipped_residual(a, b, arb(y), arb(1e-6))
        assert r.overlaps(residual(a, b, arb(y))) if inside else r == 0


@pytest.mark.parametrize("y", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("side", [1, -1])
def test_a_ball_across_a_clip_point_has_both_residuals_and_the_losses_of_both_sides(y, side):
    with ctx.workprec(128):
        clip = arb(1e-3)
        z = side * (clip.log() - (-clip).log1p())
        wide = arb(z.mid(), 1e-5)
        r = clipped_residual(*sigmoids(wide), arb(y), clip)
        loss = clipped_cross_entropy(wide, arb(y), clip)
        assert 0 in r
        for step in (-1e-5, -1e-9, 0, 1e-9, 1e-5):
            point = z.mid() + step
            assert clipped_residual(*sigmoids(point), arb(y), clip) in r
            assert clipped_cross_entropy(point, arb(y), clip).mid() in loss
        assert residual(*sigmoids(z.mid()), arb(y)) in r
        assert loss.rad() < 1e-2  # the loss is continuous


def test_a_clip_of_none_is_the_exact_loss():
    problem = Case(sizes=(3, 2, 2), batch=3).problem()
    assert str(ball_gradient(problem, precision=99, clip=None)) == str(
        ball_gradient(problem, precision=99)
    )


# --- the engine's bits ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "longdouble"])
def test_the_numbers_are_those_of_the_dtype_and_not_the_float64_ones(dtype):
    third = np.array([[1 / np.longdouble(3)]])
    if np.finfo(dtype).eps == np.finfo(np.float64).eps:
        pytest.skip("longdouble is float64 on this platform")
    one = Problem(Architecture((1, 1)), (third,), (third[0],), third, third)
    gradients = [ball_gradient(one.astype(d), precision=128)[1] for d in (dtype, "float64")]
    assert not any(g.overlaps(h) for g, h in zip(*gradients, strict=True))


def test_examples_are_columns():
    problem = Case(sizes=(3, 4, 2), batch=5).problem()
    network = BallNetwork.of(problem)
    matrices = [network.inputs, network.targets, *network.weights, *network.biases]
    shapes = [(M.nrows(), M.ncols()) for M in matrices]
    assert shapes == [(3, 5), (2, 5), (4, 3), (2, 4), (4, 1), (2, 1)]
    assert all(isinstance(M, arb_mat) for M in matrices)


def test_the_working_precision_of_others_is_left_alone():
    before = ctx.prec
    ball_gradient(Case().problem(), precision=321)
    with pytest.raises(ValueError, match="precision=1; it must be at least 2 bits"):
        ball_gradient(Case().problem(), precision=1)
    assert ctx.prec == before
