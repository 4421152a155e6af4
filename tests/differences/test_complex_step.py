"""The complex step differentiates analytic code to the last digits, and refuses any other."""

import numpy as np
import pytest

from gradcheck.differences.complex_step import (
    ComplexLines,
    H,
    NotAnalyticError,
    complex_step,
    probe,
)
from gradcheck.differences.finite_difference import finite_difference
from gradcheck.differences.lines import BudgetSpentError, InputChangedError, Lines
from gradcheck.differences.noise import estimate_noise
from gradcheck.outcomes.estimate import Status
from gradcheck.problem import gradient_as_dict
from gradcheck.problems.case import sample_cases
from gradcheck.splitmix64 import Stream
from reference_models import sigmoid_network


def differentiate(f, x, seed=0, **options):
    return complex_step(ComplexLines(f, x), Stream(seed, "test"), **options)


# --- derivatives -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "derivative"),
    [
        (np.sin, np.cos),
        (np.exp, np.exp),
        (lambda x: x**9, lambda x: 9 * x**8),
        (lambda x: 1 / (1 + np.exp(-x)), lambda x: 1 / (2 + 2 * np.cosh(x))),
        (lambda x: np.log1p(np.exp(-x)), lambda x: -1 / (1 + np.exp(x))),
        (lambda x: np.expm1(x) / (1 + x**2), None),
        (lambda x: 1e9 * np.sin(x), lambda x: 1e9 * np.cos(x)),
        (lambda x: 1e-200 * np.sin(x), lambda x: 1e-200 * np.cos(x)),
        (lambda x: np.where(x.real > 0, x, 2 * x), lambda x: np.where(x > 0, 1.0, 2.0)),
        (lambda x: np.clip(x, -9, 9), lambda x: 1 + 0 * x),
    ],
)
def test_derivatives_are_right_to_a_few_units_in_the_last_place(f, derivative):
    if derivative is None:

        def derivative(x):
            return np.exp(x) / (1 + x**2) - np.expm1(x) * 2 * x / (1 + x**2) ** 2

    x = np.array([0.3, -1.2, 2.0, 1e-3])
    estimate = differentiate(lambda v: np.sum(f(v)), x)
    exact = derivative(np.longdouble(x)).astype(float)
    assert np.all(estimate.status == Status.RESOLVED)
    assert np.all(np.abs(estimate.value - exact) <= estimate.bound)
    assert np.all(estimate.bound <= 1e-12 * np.max(np.abs(exact)))
    np.testing.assert_allclose(estimate.value, exact, rtol=1e-14, atol=1e-15 * np.ptp(exact))
    assert np.all(estimate.step == H)
    assert np.all(estimate.jump == 0)


def test_the_two_oracles_agree():
    x = np.linspace(-1, 2, 7)

    def f(v):
        return np.sum(np.sin(v) * np.exp(v[::-1]))

    lines = Lines(f, x)
    differences = finite_difference(lines, estimate_noise(lines, Stream(0, "test")))
    estimate = differentiate(f, x)
    deviation = np.abs(estimate.value - differences.value)
    assert np.all(deviation <= differences.bound + estimate.bound)


def test_a_stationary_point_is_no_dropped_imaginary_part():
    estimate = differentiate(lambda v: np.sum(v**2), np.zeros(3))
    np.testing.assert_array_equal(estimate.value, 0.0)
    assert np.all(estimate.bound < 1e-200)


def test_named_structures_and_single_precision_points():
    x = {"W": np.array([[0.1, 1.0]], np.float32), "b": (np.array(0.25), np.zeros((2, 0)))}

    def f(p):
        assert p["W"].dtype in (np.float64, np.complex128)
        return np.sum(p["W"] ** 3) + np.exp(p["b"][0])

    estimate = differentiate(f, x)
    exact = [3 * float(np.float32(0.1)) ** 2, 3.0, np.exp(0.25)]
    np.testing.assert_allclose(estimate.value, exact, rtol=1e-15)


@pytest.mark.skipif(np.finfo(np.longdouble).eps == np.finfo(float).eps, reason="no longer double")
def test_longdouble_points_keep_their_precision():
    seen = []
    x = np.array([1.0], np.longdouble) + np.finfo(np.longdouble).eps
    differentiate(lambda v: seen.append(v[0]) or v[0] ** 2, x)
    assert any(v.real == x[0] for v in seen)


def test_one_number_in_any_dress_is_taken():
    for dress in (lambda c: c, lambda c: np.array([c]), lambda c: np.array([[c]])):
        estimate = differentiate(lambda v, dress=dress: dress(v[0] ** 2), np.array([1.5]))
        assert estimate.value[0] == 3.0


# --- code that is not analytic ---------------------------------------------------------------

X = np.array([0.3, -1.2, 2.0])
W = np.array([1.0, -0.5, 0.25])


def real_buffer(x):
    buffer = np.empty(3)
    buffer[:] = x
    return np.sum(buffer**2)


def complex_sum_of_a_real_buffer(x):
    buffer = np.empty(3)
    buffer[:] = x.real
    return np.sum(buffer**2) + 0 * x[0]


NOT_ANALYTIC = {
    "abs": lambda x: np.sum(np.abs(x)),
    "abs squared": lambda x: np.sum(np.abs(x) ** 2),
    "abs, hidden behind a complex factor": lambda x: np.sum(np.abs(x) ** 2) * (1 + 0 * x[0]),
    "norm": np.linalg.norm,
    "norm squared": lambda x: np.linalg.norm(x) ** 2,
    "vdot": lambda x: np.vdot(x, x),
    "conj": lambda x: x.conj() @ x,
    "conj once": lambda x: W @ np.conj(x),
    "real": lambda x: np.sum(x.real**2),
    "real, in a complex sum": lambda x: np.sum(x.real**2) + 0 * x[0],
    "maximum of squares": lambda x: np.sum(np.maximum(np.abs(x), 0.1)) + 0 * x[0],
    "maximum, all on the flat side": lambda x: np.sum(np.maximum(x, 5.0)),
    "softplus by abs": lambda x: np.sum(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))),
    "logaddexp": lambda x: np.sum(np.logaddexp(0, x)),
    "float": lambda x: float(np.sum(x**2)),
    "float of a complex number": lambda x: float(complex(np.sum(x**2)).real),
    "real buffer": real_buffer,
    "complex sum of a real buffer": complex_sum_of_a_real_buffer,
    "half of the terms": lambda x: np.sum(x**2) + np.sum(np.sin(x).real),
    "one coordinate": lambda x: np.sum(np.sin(x[1:])) + np.abs(x[0]),
    "a millionth": lambda x: np.sum(np.sin(x)) + 1e-6 * np.sum(np.abs(x) ** 2),
    "sign flipped": lambda x: np.conj(np.sum(np.sin(x))),
    "constant": lambda _: 2.5,
}


@pytest.mark.parametrize("name", NOT_ANALYTIC)
@pytest.mark.parametrize("seed", range(3))
def test_code_that_loses_the_imaginary_part_is_refused(name, seed):
    with pytest.raises(NotAnalyticError) as told:
        differentiate(NOT_ANALYTIC[name], X, seed)
    for culprit in ("np.abs", "np.linalg.norm", "np.vdot", "conj", "np.maximum", "float()"):
        assert culprit in str(told.value)


def test_what_the_refusal_says():
    told = {}
    for name, f in NOT_ANALYTIC.items():
        with pytest.raises(NotAnalyticError) as error:
            differentiate(f, X)
        told[name] = str(error.value)
    assert told["abs"].startswith("f(x + i h v) is float64, not complex")
    assert "the imaginary part of f(x + i h v) is 0" in told["maximum, all on the flat side"]
    assert "does not take complex numbers (ufunc 'logaddexp' not supported" in told["logaddexp"]
    assert "discards the imaginary part" in told["float"]
    assert "discards the imaginary part" in told["real buffer"]
    assert "f loses a part of the imaginary part" in told["half of the terms"]
    assert "+-" in told["a millionth"]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.where(x.real > 0, x, 0 * x)),
        lambda x: np.sum(np.maximum(x, 0)),
        lambda x: np.sum(np.where(x.real > 0, x, -x) + np.sin(x)),
    ],
)
def test_a_kink_at_x_is_refused(f):
    with pytest.raises(NotAnalyticError, match=r"not differentiable.*KINK"):
        differentiate(f, np.array([0.0, 1.0, -1.0]))


def test_maximum_away_from_its_kink_is_analytic():
    estimate = differentiate(lambda x: np.sum(np.maximum(x, 0)), X)
    np.testing.assert_array_equal(estimate.value, [1.0, 0.0, 1.0])


def test_without_the_probe_the_wrong_numbers_would_come_out_silently():
    """What the probe is for: the same evaluations, taken alone, give 0 or half of the slope."""
    for f in (lambda x: x.conj() @ x, lambda x: np.sum(x**2) + np.sum(np.sin(x).real)):
        lines = ComplexLines(f, X)
        with pytest.raises(NotAnalyticError):
            probe(lines, Stream(0, "test"))
        assert abs(lines.along_axis(0).imag / H) in (0.0, 2 * X[0])


# --- counting --------------------------------------------------------------------------------


class Counted:
    def __init__(self, f):
        self.f = f
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return self.f(x)


def smooth(x):
    return np.sum(np.sin(x) * np.exp(x[::-1]))


def test_every_evaluation_is_counted_and_each_coordinate_takes_one():
    f = Counted(smooth)
    lines = ComplexLines(f, np.linspace(0.1, 1, 40))
    estimate = complex_step(lines, Stream(0, "test"))
    assert lines.forward_passes == f.calls
    np.testing.assert_array_equal(estimate.evaluations, 1)
    assert f.calls - 40 < 120


def test_what_the_budget_leaves_is_not_evaluated():
    f = Counted(smooth)
    lines = ComplexLines(f, np.linspace(0.1, 1, 400), budget=200)
    estimate = complex_step(lines, Stream(0, "test"))
    assert f.calls == lines.forward_passes == 200
    left = estimate.status == Status.NOT_EVALUATED
    assert 0 < left.sum() < 400
    assert np.all(np.isnan(estimate.value[left]))
    assert np.all(estimate.bound[left] == np.inf)
    assert np.all(np.isfinite(estimate.bound[~left]))


@pytest.mark.parametrize("budget", [1, 2, 20, 30])
def test_a_budget_too_small_to_probe_is_told(budget):
    f = Counted(smooth)
    with pytest.raises(BudgetSpentError):
        complex_step(ComplexLines(f, np.ones(3), budget=budget), Stream(0, "test"))
    assert f.calls == budget


def test_only_the_coordinates_asked_for_are_evaluated():
    told = []
    x = {"a": np.ones(3), "b": np.ones(3)}
    estimate = differentiate(
        lambda p: smooth(p["a"]) + smooth(p["b"]),
        x,
        coordinates=np.array([4, 1]),
        progress=told.append,
    )
    np.testing.assert_array_equal(np.flatnonzero(estimate.evaluations), [1, 4])
    assert told == [1, 1]


def test_x_is_never_changed():
    x = np.array([-0.0, 0.0, 1.5])
    before = x.tobytes()
    lines = ComplexLines(smooth, x)
    complex_step(lines, Stream(0, "test"))
    assert x.tobytes() == before
    np.testing.assert_array_equal(np.signbit(lines.real.point), [True, False, False])


@pytest.mark.parametrize("part", [0.5, 1e-31j])
def test_a_function_that_writes_to_its_argument_is_noticed(part):
    def f(x):
        value = smooth(x)
        if np.iscomplexobj(x):
            x += part
        return value

    with pytest.raises(InputChangedError):
        differentiate(f, np.linspace(0.1, 1, 5))


def test_a_vector_is_refused():
    with pytest.raises(TypeError, match="one real number"):
        differentiate(lambda x: x, np.ones(2))


# --- coverage over random networks -----------------------------------------------------------


def errors_over_bounds(count, seed):
    """|value - f'| over the bound, f' by backpropagation in longdouble."""
    ratios = []
    for case in sample_cases(count, seed, max_parameters=60, max_width=12, corners=("generic",)):
        problem = case.problem()
        network, exact = problem.architecture, problem.astype(np.longdouble)

        def pairs(p, network=network):
            names = zip(network.weight_names, network.bias_names, strict=True)
            return [(p[W], p[b]) for W, b in names]

        options = {"cost": network.loss, "reduction": network.reduction}

        def loss(p, problem=problem, pairs=pairs, options=options):
            X, Y = (a.astype(p["W1"].dtype) for a in (problem.inputs, problem.targets))
            return sigmoid_network.loss(pairs(p), X, Y, **options)

        _, gradient = sigmoid_network.value_and_grad(
            pairs(exact.parameters), exact.inputs, exact.targets, **options
        )
        derivative = np.concatenate([a.ravel() for a in gradient_as_dict(gradient).values()])
        try:
            estimate = differentiate(loss, problem.parameters, case.seed)
        except NotAnalyticError:  # a saturated network: nothing reaches the output
            assert np.max(np.abs(derivative)) < 1e-270, case.token
            continue
        ratios.append(np.abs(estimate.value - derivative) / estimate.bound)
    return np.concatenate(ratios).astype(float)


def check_coverage(ratios, share):
    assert np.mean(ratios <= 1) >= share, f"worst error over bound {ratios.max():.3g}"
    assert ratios.max() <= 100, f"worst error over bound {ratios.max():.3g}"


@pytest.fixture(scope="module")
def ratios():
    return errors_over_bounds(60, seed=4)


def test_the_estimated_bound_covers_the_error_on_random_networks(ratios):
    check_coverage(ratios, share=0.995)


def test_an_estimate_1000_times_too_small_is_noticed(ratios):
    with pytest.raises(AssertionError, match="worst error over bound"):
        check_coverage(1000 * ratios, share=0.995)


@pytest.mark.nightly
def test_the_estimated_bound_covers_the_error_on_many_random_networks():
    check_coverage(errors_over_bounds(3000, seed=5), share=0.99)
