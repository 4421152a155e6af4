"""Derivatives along directions are what the module's text says, worked out number by number."""

from math import log2

import numpy as np
import pytest

from gradcheck.differences import directional as module
from gradcheck.differences.bounds import Bounds
from gradcheck.differences.directional import Direction, Slope
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import Noise

u = 2.0**-53
EPS, LEVEL = 2.0**-40, 2.0**-44
SAME = 1e-12
"""Some tens of roundings."""


class Curve(Direction):
    """A direction along which psi and the rise of f are given functions of t."""

    def __init__(self, psi, rise=None, value=1.0, noise=None, **options):
        x, v = np.array([1.0, -2.0]), np.array([1.0, -1.0])
        lines = Lines(lambda _: value, x, **options)
        noise = noise or Noise(LEVEL, EPS, u, 0)
        super().__init__(lines, noise, np.zeros(2), np.arange(2), v)
        self._given, self._grows, self.asked = psi, rise or (lambda t: 0.0), []

    def _evaluate(self, exponents):
        for e in exponents:
            for s in (1, -1):
                if (e, s) not in self._psi:
                    self.asked.append((e, s))
                    t = s * self._h(e)
                    self._psi[e, s], self._rise[e, s] = self._given(t), self._grows(t)


def near(found, expected):
    return abs(found - expected) <= SAME * abs(expected)


# --- the formulas ---------------------------------------------------------------------------------


def test_the_constants_are_those_of_the_stencil():
    # h [D(h) - D(2h)] = sum a_k psi(k h): c = (2/3, -1/12) at 1, 2; less half of it at 2, 4
    a = (2 / 3, -1 / 12 - 1 / 3, 1 / 24)
    assert near(module.C1, 2 * (2 / 3 + 1 / 12))
    assert near(module.A, 2 * sum(map(abs, a)))


def test_the_derivative_has_no_error_of_the_third_power_and_one_of_the_fifth():
    curve = Curve(lambda t: 3 * t + 5 * t**2 - 7 * t**3)
    assert near(curve._derivative(-3), 3)
    h = curve._h(-3)
    # D(h) of t^5: (8 h^5 2 - 2 (2 h)^5) / 12 h = -4 h^4
    assert near(Curve(lambda t: t**5)._derivative(-3), -4 * h**4)


def test_the_testing_ratio_is_the_disagreement_over_its_noise():
    curve = Curve(lambda t: t**5)
    h = curve._h(-3)
    assert near(
        curve._testing_ratio(-3), h * abs(-4 * h**4 + 4 * (2 * h) ** 4) / (module.A * LEVEL)
    )
    assert Curve(lambda t: np.inf)._testing_ratio(-3) == np.inf


def test_the_noise_of_the_testing_ratio_is_that_of_the_widest_point():
    curve = Curve(lambda t: t**5, rise=lambda t: 1e9 * t**2 * (t < 0))
    h = curve._h(-3)
    eps_s = float(curve.noise.level_at(np.array(1e9 * (4 * h) ** 2)))
    assert eps_s > 2 * LEVEL
    assert near(curve._testing_ratio(-3), h * 60 * h**4 / (module.A * eps_s))


def test_the_jump_of_the_slope_is_seen_beside_a_quartic():
    curve = Curve(lambda t: 3 * abs(t) + t + 5 * t**2 - 2 * t**4, rise=lambda t: 1e9 * t**2)
    jump, uncertain = curve._jump(-3)
    assert near(jump, 6)
    eps = float(curve.noise.bound_at(np.array(1e9 * curve._h(-1) ** 2)))
    assert near(uncertain, module.JUMP_NOISE * eps / curve._h(-3))


@pytest.mark.parametrize(
    ("value", "right", "left", "growth"),
    [(2.0, 1.0, 0.5, 1.0), (-2.0, 1.0, -0.5, 0.5), (2.0, -1.0, -3.0, 0.0), (2.0, -9.0, 0.0, 5.0)],
)
def test_growth_is_that_of_the_size_of_f_on_either_side(value, right, left, growth):
    curve = Curve(lambda t: 0.0, rise=lambda t: right if t > 0 else left, value=value)
    assert curve._growth(-3) == growth


def test_a_slope_has_its_noise_truncation_and_storing():
    curve = Curve(lambda t: 3 * t, rise=lambda t: 1e9 * t**2)
    slope, h = curve._slope_at(-3, 0.25), curve._h(-3)
    growth = np.array(1e9 * (2 * h) ** 2)
    assert near(slope.value, 3)
    assert near(slope.noise, 1.5 / h * float(curve.noise.bound_at(growth)))
    assert near(slope.level, 1.5 / h * float(curve.noise.level_at(growth)))
    assert (slope.truncation, slope.exponent, slope.kink) == (0.25, -3, False)
    assert slope.storing == curve._storing


def test_the_bound_and_what_is_likely_are_sums():
    slope = Slope(5.0, 1.0, 0.5, 0.25, 0.125, -3)
    assert (slope.bound, slope.likely) == (1.375, 0.875)
    part = Slope(2.0, 10.0, 20.0, 40.0, 80.0, -9)
    assert slope.less(part) == Slope(3.0, 11.0, 20.5, 40.25, 80.125, -3)


@pytest.mark.parametrize("above", [True, False])
def test_truncation_is_twice_the_larger_disagreement(above):
    curve = Curve(lambda t: t**5)
    h = curve._h(-3)
    below, over = 4 * h**4 - 4 * (h / 2) ** 4, 4 * (2 * h) ** 4 - 4 * h**4
    assert near(curve._truncation(-3, above=above), 2 * (over if above else below))
    steep = Curve(lambda t: t**5 / (t * t + 1e-6) ** 3)
    d = [steep._derivative(e) for e in (-5, -4, -3)]
    assert abs(d[1] - d[0]) > abs(d[2] - d[1])
    assert near(steep._truncation(-4, above=above), 2 * abs(d[1] - d[0]))


@pytest.mark.parametrize("amplitude", [1.0, 3.0])
def test_storing_is_the_rounding_of_g_of_inexact_products_and_of_the_sum(amplitude):
    lines = Lines(lambda _: 0.0, np.array([1.0, -2.0, 5.0], np.float32))
    g = np.array([0.5, 0.25, 8.0])
    v = np.array([amplitude, -1.0])
    found = Direction(lines, Noise(LEVEL, EPS, u, 0), g, np.array([0, 1]), v)
    size = 0.5 * amplitude + 0.25
    products = 0.5 * amplitude if amplitude != 1 else 0.0
    storing = 2.0**-24 * size + u * (abs(0.5 * amplitude - 0.25) + products)
    assert near(found._storing, storing)
    assert found._slope == 0.5 * amplitude - 0.25
    assert found._size == 2.0
    assert found.direction.tolist() == [amplitude, -1.0, 0.0]


def test_a_direction_of_zeros_has_the_scale_of_x_and_one_without_coordinates_too():
    lines = Lines(
        lambda _: 0.0, np.array([0.0, -2.0]), bounds=Bounds(np.full(2, -9.0), np.full(2, 9.0))
    )
    noise = Noise(LEVEL, EPS, u, 0)
    found = Direction(lines, noise, np.zeros(2), np.array([0]), np.array([4.0]))
    assert (found._size, found._room) == (2.0, 9 / 4)
    nothing = Direction(lines, noise, np.zeros(2), np.array([], dtype=int), np.array([]))
    assert (nothing._size, nothing._room) == (2.0, np.inf)


def test_the_first_step_is_that_of_a_function_of_the_scale_of_x():
    curve = Curve(lambda t: 0.0)
    relative = curve.noise.relative(1.0)
    h = 2.0 * module.CENTRAL_4.best_step(relative, 1.0) / 2**0.25
    assert curve._first_exponent() == np.floor(log2(h / curve._c)) - 1


# --- the step -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "gains"), [(0.99, True), (1.01, False)])
def test_nothing_is_gained_where_f_has_outgrown_its_noise(factor, gains):
    most = LEVEL / u
    curve = Curve(lambda t: 0.0, rise=lambda t: factor * most * (t / curve._h(-2)) ** 2)
    assert curve._gains(-3) is gains


def test_a_step_is_halved_until_truncation_is_below_the_noise():
    curve = Curve(lambda t: 2.0**-18 * t**5)
    slope = curve._settled(0, above=True)
    assert slope.truncation <= slope.noise
    above = curve._slope_at(slope.exponent + 1, curve._truncation(slope.exponent + 1, above=True))
    assert above.truncation > above.noise
    assert slope.exponent > -8
    steep = Curve(lambda t: 2.0**40 * t**5)
    assert steep._settled(0, above=True).exponent == 1 - module.DESCENTS


@pytest.mark.parametrize(
    ("factor", "smaller", "kink"),
    [(1, 1.0, True), (1, 0.51, True), (1, 3.9, True), (1, 0.49, False), (1, 4.1, False)],
)
def test_a_jump_that_persists_is_a_kink_and_one_that_does_not_is_an_uncertainty(
    factor, smaller, kink
):
    curve = Curve(lambda t: t)
    jumps = {-3: (factor * 8.0, 1.0), -3 - module.DESCENT: (smaller * 8.0, 1.9)}
    curve._jump = lambda e: jumps[e]
    curve._settled = lambda e, *, above: Slope(1.0, 1e-9, 1e-9, 0.5, 0.0, e)
    slope = curve._checked(-3)
    assert slope.kink is kink
    assert slope.truncation == (0.5 if kink else 0.5 + 4.0)


@pytest.mark.parametrize(
    ("jump", "uncertain", "below", "kink", "truncation"),
    [
        (2.0, 1.0, 0.1, False, 0.5),  # no more than twice its noise
        (2.01, 1.0, 0.1, True, 0.5),
        (-2.01, 1.0, 0.1, True, 0.5),
        (8.0, 1.0, 1.99, True, 0.5),
        (8.0, 1.0, 2.0, False, 4.5),  # at the smaller step it would not be seen
        (-8.0, 1.0, 2.0, False, 4.5),
    ],
)
def test_a_jump_counts_beyond_its_noise_at_both_steps(jump, uncertain, below, kink, truncation):
    curve = Curve(lambda t: t)
    jumps = {-3: (jump, uncertain), -3 - module.DESCENT: (jump, below)}
    curve._jump = lambda e: jumps[e]
    curve._settled = lambda e, *, above: Slope(1.0, 1e-9, 1e-9, 0.5, 0.0, e)
    slope = curve._checked(-3)
    assert (slope.kink, slope.truncation) == (kink, truncation)


def walked(ratios, first, gains=lambda e: True, room=np.inf, size=None):
    """Where the walk of a pilot ends: the exponent that is checked."""
    curve = Curve(lambda t: 0.0)
    curve._testing_ratio = ratios
    curve._first_exponent = lambda: first
    curve._gains, curve._checked, curve._room = gains, lambda e: e, room
    curve._size = size or curve._size
    return curve.pilot()


def test_the_walk_goes_up_while_noise_rules_and_half_of_the_step_is_used():
    for end in (-19, -13, -10, -2):
        assert walked(lambda e, end=end: (1.0, 2.0, 99.0)[(e >= end) + (e > end)], -20) == end - 1


def test_the_walk_goes_down_to_where_truncation_ends():
    assert walked(lambda e: 7.0 if e > -25 else 6.0, -20) == -26
    assert walked(lambda e: 7.0 if e > -25 else 1.0, -20) == -26  # above it r exceeds 6
    assert walked(lambda e: 7.0, -20) == (0 - 40) - 1  # 40 steps below x's size, c in [1, 2)


def test_the_walk_does_not_go_beyond_x_or_where_nothing_is_gained():
    assert walked(lambda e: 0.0, -20) == -1
    assert walked(lambda e: 0.0, -20, size=2.0**9) in (7, 8)
    assert walked(lambda e: 0.0, -20, gains=lambda e: e <= -12) == -13


def test_strides_double_after_six_and_are_halved_before_truncation():
    seen = []
    assert walked(lambda e: seen.append(e) or (1.0 if e < -2 else 99.0), -60 + 22) == -4
    reached = list(dict.fromkeys(seen))
    assert reached[:11] == [*range(-38, -30), -29, -25, -17]
    assert max(reached) > -3


@pytest.mark.parametrize("room", [1.0, 2.0**-9, 3.0])
def test_the_stencils_of_the_walk_stay_within_the_room(room):
    e = walked(lambda e: 0.0, -20, room=room) + 1
    assert 8 * 2.0 * 2.0**e <= 2 * room  # c < 2
    assert e == min(0, int(np.floor(log2(room / 8))) - 1)
