"""A kink has no derivative and is called one; what only looks like one at large steps is not."""

from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck.checks.gradient import check_gradient
from gradcheck.differences import kinks
from gradcheck.differences.finite_difference import finite_difference, second_opinions
from gradcheck.differences.kinks import slope_jumps
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import estimate_noise
from gradcheck.differences.points import AxisPoints
from gradcheck.outcomes.estimate import Status
from gradcheck.outcomes.reasons import Verdict
from gradcheck.splitmix64 import Stream

DTYPES = [np.float64, np.float32]


def differentiate(f, x, dtype=float):
    """Estimate the derivative of a function of one number; the estimate of one coordinate."""
    lines = Lines(lambda v: f(v[0]), np.array([x], dtype=dtype))
    return finite_difference(lines, estimate_noise(lines, Stream(0, "test")))


def relu(x):
    return np.maximum(x, 0)


def softplus(z):
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("f", "x", "jump"),
    [
        (relu, 0.0, 1.0),
        (np.abs, 0.0, 2.0),
        (lambda x: -3 * np.abs(x), 0.0, -6.0),
        (lambda x: np.maximum(x, 2 * x), 0.0, 1.0),
        (lambda x: np.minimum(x, 1), 1.0, -1.0),
        (lambda x: np.abs(x - 0.5), 0.5, 2.0),
        (lambda x: np.abs(x) + np.sin(3 * x), 0.0, 2.0),
        (lambda x: np.abs(x) + np.exp(2 * x), 0.0, 2.0),
        (lambda x: 1e-3 * np.abs(x) + np.sin(3 * x), 0.0, 2e-3),
        (lambda x: 1e9 * relu(x), 0.0, 1e9),
        (lambda x: 1e-9 * relu(x), 0.0, 1e-9),
    ],
)
def test_a_kink_at_x_is_found_with_its_jump(f, x, jump, dtype):
    estimate = differentiate(f, x, dtype)
    assert Status(estimate.status[0]) == Status.KINK
    assert estimate.jump[0] == pytest.approx(jump, rel=1e-2)


def test_a_cusp_is_a_kink():
    assert differentiate(lambda x: np.sqrt(np.abs(x)), 0.0).status[0] == Status.KINK


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("f", "x", "slope"),
    [
        (lambda x: softplus(1000 * x), 0.0, 500.0),
        (lambda x: softplus(1e6 * x), 0.0, 5e5),
        (lambda x: softplus(1e6 * x) / 1e6, 0.0, 0.5),
        (lambda x: np.sqrt(x * x + 1e-6), 0.0, 0.0),
        (lambda x: np.sqrt(x * x + 1e-6), 2.0**-10, 2.0**-10 / np.hypot(2.0**-10, 1e-3)),
        (lambda x: softplus(1000 * x), 2.0**-12, 1000 * sigmoid(1000 * 2.0**-12)),
        (lambda x: x * np.abs(x), 0.0, 0.0),
        (lambda x: np.abs(x) ** 3, 0.0, 0.0),
        (np.cos, 0.0, 0.0),
        (np.cosh, 0.0, 0.0),
    ],
)
def test_smooth_functions_are_resolved_however_sharp_they_look(f, x, slope, dtype):
    estimate = differentiate(f, x, dtype)
    assert Status(estimate.status[0]) == Status.RESOLVED
    assert abs(estimate.value[0] - slope) <= estimate.bound[0]
    assert estimate.bound[0] <= (1e-3 if dtype is np.float32 else 1e-8) * max(1.0, slope)
    assert estimate.jump[0] == 0


@pytest.mark.parametrize("s", [1e2, 1e4, 1e6, 1e8])
@pytest.mark.parametrize("displaced", [-1.0, 0.01, 0.3, 3.0])
def test_a_softened_kink_next_to_x_is_not_averaged(s, displaced):
    """The slope of softplus(s (x - d)) / s at 0 depends on s d, however small d is."""
    d = displaced / s
    estimate = differentiate(lambda x: softplus(s * (x - d)) / s + np.sin(x + 1), 0.0)
    assert Status(estimate.status[0]) == Status.RESOLVED
    error = abs(estimate.value[0] - (sigmoid(-s * d) + np.cos(1)))
    assert error <= estimate.bound[0] <= 1e-4


@pytest.mark.parametrize("d", [2.0**-k for k in range(1, 40, 3)])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_kink_within_the_stencil_is_stepped_back_from_or_called_one(d, side):
    """f = |x - d| + sin x at 0: smooth there, of slope cos 0 -+ 1."""
    estimate = differentiate(lambda x: np.abs(x - side * d) + np.sin(x + 1), 0.0)
    if estimate.status[0] == Status.RESOLVED:
        assert abs(estimate.value[0] - (np.cos(1) - side)) <= estimate.bound[0] <= 1e-2
    else:
        assert estimate.status[0] == Status.KINK
        assert d < 1e-9


@pytest.mark.parametrize(("C", "d"), [(0.0, 1e-13), (1.0, 1e-13), (1.0, 1e-10)])
def test_a_kink_very_near_is_still_stepped_back_from(C, d):
    estimate = differentiate(lambda x: C + np.abs(x - d), 0.0)
    assert Status(estimate.status[0]) == Status.RESOLVED
    assert abs(estimate.value[0] + 1) <= estimate.bound[0] < 0.5


def test_a_kink_nearer_than_the_rounding_of_f_shows_is_one_at_x():
    assert differentiate(lambda x: 1 + np.abs(x - 1e-17), 0.0).status[0] == Status.KINK


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("f", [lambda x: float(x >= 0), lambda x: float(x > 0), np.sign])
@pytest.mark.parametrize("x", [0.0, 0.5])
def test_a_step_at_x_is_never_resolved(f, x, dtype):
    estimate = differentiate(lambda v: f(v - x), x, dtype)
    assert Status(estimate.status[0]) in (Status.NO_STEP, Status.KINK)


@pytest.mark.parametrize("d", [1e-9, 1e-3, 0.3])
def test_a_step_beside_x_does_no_harm(d):
    estimate = differentiate(lambda x: float(x >= d) + np.sin(x + 1), 0.0)
    assert Status(estimate.status[0]) == Status.RESOLVED
    assert abs(estimate.value[0] - np.cos(1)) <= estimate.bound[0]


def test_a_jump_that_cannot_be_told_from_noise_is_inside_the_bound_of_a_second_opinion():
    seen = []
    for jump in np.logspace(-14, -4, 21):
        lines = Lines(lambda v, J=jump: J * np.abs(v[0]) + np.sin(v[0] + 1), np.zeros(1))
        noise = estimate_noise(lines, Stream(0, "test"))
        estimate = finite_difference(lines, noise)
        if estimate.status[0] == Status.RESOLVED:
            opinions = second_opinions(lines, noise, np.array([0]), estimate.step)
            for slope in (np.cos(1) - jump, np.cos(1) + jump):
                inside = [abs(e.value[0] - slope) <= e.bound[0] for e in (estimate, *opinions)]
                assert any(inside)
        else:
            # of which the noise is a 2^14-th where it stands out at all, at a step of 2^-17
            assert estimate.jump[0] == pytest.approx(2 * jump, rel=1e-4)
        seen.append(Status(estimate.status[0]))
    assert seen[:9] + seen[-9:] == [Status.RESOLVED] * 9 + [Status.KINK] * 9


def test_kinks_are_found_by_coordinate():
    x = np.array([0.0, 1.0, 0.0, -2.0])

    def f(x):
        return np.sum(np.abs(x[:2])) + np.sum(np.sin(x))

    lines = Lines(f, x)
    estimate = finite_difference(lines, estimate_noise(lines, Stream(0, "test")))
    np.testing.assert_array_equal(estimate.status == Status.KINK, [True, False, False, False])


def test_looking_for_kinks_by_hand():
    lines = Lines(lambda v: np.abs(v[0]) + np.abs(v[1] - 2.0**-12), np.zeros(2))
    noise = estimate_noise(lines, Stream(0, "test"))
    found = slope_jumps(AxisPoints(lines, np.arange(2)), np.array([-4, -4]), noise)
    np.testing.assert_allclose(found.established, [2.0, 0.0], rtol=1e-9)
    assert found.lost_at[0] == -4
    assert found.lost_at[1] in (-10, -13)  # where 2^-12 was stepped back from
    assert found.uncertain[1] > 0


@pytest.mark.parametrize("sign", [1, -1])
def test_slopes_between_those_of_both_sides_are_allowed_whichever_is_the_larger(sign):
    def verdict(slope):
        x = np.zeros(1)
        return check_gradient(
            lambda x: float(sign * abs(x[0])), lambda x: np.array([slope]), x
        ).verdict

    for slope in (-1.0, -0.5, 0.0, 1.0):
        assert verdict(slope) is not Verdict.FAIL
    for slope in (-1.5, 1.5):
        assert verdict(slope) is Verdict.FAIL


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("jumps", "unsure", "is_so"),
    [
        ((2.0, 9.0, 9.0), (1.0, 0.5, 0.5), True),  # within twice its noise
        ((2.1, 0.9, 0.9), (1.0, 9.0, 9.0), False),
        ((64.0, 8.0, 1.0), (0.0, 0.0, 0.0), True),  # by 2^3, twice
        ((64.0, 8.1, 1.0), (0.0, 0.0, 0.0), False),
        ((64.0, 8.0, 1.1), (0.0, 0.0, 0.0), False),
        ((64.0, 7.0, 0.5), (9.0, 1.0, 0.0), True),
        ((64.0, 7.1, 0.5), (0.0, 1.0, 0.0), False),  # the first time noise counts against it
        ((64.0, 0.0, 2.0), (0.0, 0.0, 1.0), True),  # the second time it does not, up to twice
        ((64.0, 0.0, 2.1), (9.0, 8.0, 1.0), False),
        ((64.0, 6.0, 2.7), (1.0, 1.0, 1.0), True),
        ((64.0, 6.0, 2.8), (1.0, 1.0, 1.0), False),
        ((64.0, 64.0, 64.0), (0.0, 0.0, 0.0), False),  # a kink
    ],
)
def test_a_jump_fades_by_eight_twice_or_is_within_its_noise(
    jumps, unsure, is_so, sign, monkeypatch
):
    def looked(points, exponents, noise, rows):
        k = -int(exponents[0])
        return np.array([sign * jumps[k]]), np.array([unsure[k]])

    monkeypatch.setattr(kinks, "_jump", looked)
    assert kinks.fades(None, np.array([0]), None, np.array([0])).tolist() == [is_so]


@pytest.mark.parametrize(
    ("value", "right", "left", "growth"),
    [
        (2.0, 1.0, 0.5, 1.0),
        (2.0, 0.5, 1.0, 1.0),
        (-2.0, 0.5, -1.0, 1.0),
        (-2.0, -0.25, 1.0, 0.25),
        (2.0, -1.0, -3.0, 0.0),  # smaller on both sides
        (2.0, -9.0, 0.0, 5.0),
        (0.0, 0.0, -3.0, 3.0),
    ],
)
def test_a_second_difference_is_of_slopes_over_realised_steps(value, right, left, growth):
    rises = {1: (right, 0.25), -1: (left, -0.5)}
    points = SimpleNamespace(
        lines=SimpleNamespace(value=value),
        rise=lambda k, exponents, rows: tuple(np.array([number]) for number in rises[k]),
    )
    S, grown = kinks._second_difference(points, np.array([-2]), np.array([0]))
    assert (S.tolist(), grown.tolist()) == ([right / 0.25 + left / 0.5], [growth])
