"""Fixed steps, their promises and looks are what the module's text says, number by number."""

import numpy as np
import pytest

from gradcheck.differences.fixed_steps import BALANCE, C1, COARSEST, THREE, TWO, _Look, _Screen
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import Noise
from gradcheck.outcomes.estimate import Status

X = np.array([1.0, -2.0, 0.0, 2.0**-20])
J = np.arange(4)
EPS = 2.0**-50
SAME = 1e-12
"""Some tens of roundings, and a root."""

EVERY = pytest.mark.parametrize(("rule", "p", "T", "steps"), [(TWO, 2, 15, 2), (THREE, 4, 4080, 3)])


def screen_of(f=lambda _: 0.0, g=(1.0, 1.0, 1.0, 1.0), x=X, resolution=1e-6, **options):
    lines = Lines(f, x, **options)
    screen = _Screen(lines, Noise(EPS / 8, EPS, 0.0, 0), np.array(g), resolution)
    screen._size = 2.0
    screen._lengths[:] = 2.0
    return screen


@EVERY
def test_the_constants_of_a_rule(rule, p, T, steps):
    assert (rule.p, rule.T, rule.steps) == (p, T, steps)
    noise = sum(4 * abs(a) / 4**k for k, a in enumerate(rule.jump))
    assert abs(rule.jump_noise - noise) <= 1e-15 * noise


@EVERY
@pytest.mark.parametrize("size", [1.0, 2.0**-12, 2.0**12])
def test_the_step_is_best_for_the_length_and_stays_near_x(rule, p, T, steps, size):
    g = size * np.array([1.0, -8.0, 2.0, 1.0])
    screen = screen_of(g=g)
    h, c = screen._steps(rule, J), screen._mantissas[J]
    for j in range(4):
        best = (C1 * EPS * 2.0**p / (2 * p * T * abs(g[j]))) ** (1 / (p + 1))
        longest = min(abs(X[j]) or np.inf, 0.5) / 4 ** (steps - 1)
        least = min(best, longest)
        assert h[j] <= least * (1 + SAME)
        assert h[j] > least / 2 * (1 - SAME)
        assert np.frexp(h[j] / c[j])[0] == 0.5  # a power of two


def test_a_number_of_0_asks_for_the_longest_step():
    h = screen_of(g=np.zeros(4))._steps(TWO, J)
    assert (h <= [0.125, 0.125, 0.125, 2.0**-22]).all()
    assert (h > [0.0625, 0.0625, 0.0625, 2.0**-23]).all()


@EVERY
def test_a_bound_is_promised_within_the_resolution_of_the_number(rule, p, T, steps):
    g = np.array([1.0, -1.0, 1.0, 1.0])
    screen = screen_of(g=g)
    expected = (p + 1) / p * C1 * EPS / screen._steps(rule, J)
    for factor, promised in ((1 + 1e-9, True), (1 - 1e-9, False)):
        for j in range(4):
            screen._resolution = float(expected[j]) * factor
            assert bool(screen._promises(rule, J)[j]) is promised


def test_where_x_has_room_on_one_side_alone_nothing_is_promised():
    screen = screen_of()
    screen._resolution = 1.0
    assert screen._promises(TWO, J).all()
    with screen._lines.on_side(1):
        assert not screen._promises(TWO, J).any()


# --- one look -------------------------------------------------------------------------------------


def cubic(x):
    return float(x[0] ** 3)


@pytest.mark.parametrize("rule", [TWO, THREE])
def test_the_value_of_a_quartic_is_its_derivative_and_q_its_third(rule):
    screen = screen_of(cubic, g=(3.0, 0.0, 0.0, 0.0))
    h = screen._steps(rule, J[:1])
    look = screen._differences(rule, J[:1], h)
    t = h[0]
    # rounding of f: 4 ulps of 1 over t
    assert abs(look.value[0] - 3) <= 4 * 2.0**-52 / t
    q = 15 * t**2 if rule is TWO else 0.0
    assert abs(look.q[0] - q) <= 8 * 2.0**-52 / t
    assert look.noise[0] == C1 * (EPS / t)
    assert look.bound[0] == look.noise[0] + 2 * look.q[0]


def test_q_of_three_steps_is_what_the_fifth_derivative_leaves():
    screen = screen_of(lambda x: float(x[0] ** 5), g=(5.0, 0.0, 0.0, 0.0))
    t = 2.0**-7
    look = screen._differences(THREE, J[:1], np.array([t]))
    # D(t) = 5 - 16 t^4: of the powers of t in f, t^5 alone is left
    assert abs(look.value[0] - (5 - 16 * t**4)) <= 8 * 2.0**-52 / t
    assert abs(look.q[0] - 16 * 255 * t**4) <= 16 * 2.0**-52 / t


@pytest.mark.parametrize(("jump", "is_smooth"), [(0.99, True), (1.01, False), (-1.01, False)])
@pytest.mark.parametrize("rule", [TWO, THREE])
def test_a_jump_of_the_slope_beyond_its_noise_is_no_smooth_function(rule, jump, is_smooth):
    t = 2.0**-10
    size = jump * rule.jump_noise * EPS / t

    def kink(x):
        return size * max(float(x[0]) - 1, 0.0)

    screen = screen_of(kink, g=(size, 0.0, 0.0, 0.0))
    look = screen._differences(rule, J[:1], np.array([t]))
    assert bool(look.is_smooth[0]) is is_smooth


@pytest.mark.parametrize(("factor", "is_smooth"), [(0.99, True), (1.01, False)])
def test_a_disagreement_beyond_the_balance_is_no_smooth_function(factor, is_smooth):
    t = 2.0**-10
    # q = 15 a t^2 of f = a (x - 1)^3
    a = factor * BALANCE * C1 * EPS / t / (15 * t**2)

    def f(x):
        return a * float(x[0] - 1) ** 3

    look = screen_of(f)._differences(TWO, J[:1], np.array([t]))
    assert bool(look.is_smooth[0]) is is_smooth


def test_noise_grows_with_f_at_any_of_the_points():
    lines = Lines(lambda x: 1.0 + 1e6 * float(x[0] - 1) ** 2, X)
    noise = Noise(EPS / 8, EPS, 2.0**-53, 0)
    screen = _Screen(lines, noise, np.zeros(4), 1e-6)
    t = 2.0**-4
    look = screen._differences(TWO, J[:1], np.array([t]))
    growth = 1e6 * (4 * t) ** 2  # at 4 t, both sides
    assert abs(look.noise[0] / (C1 * float(noise.bound_at(np.array(growth))) / t) - 1) <= SAME


def looked(value, q, g, noise=1e-9, smooth=True, resolution=1.0, x=X):
    """What a look decides and keeps of the first coordinate."""
    screen = screen_of(g=(g, 0.0, 0.0, 0.0), resolution=resolution, x=x)
    look = _Look(np.array([value]), np.array([noise]), np.array([q]), np.array([smooth]))
    screen._steps = lambda *_: np.array([0.25])
    screen._differences = lambda *_: look
    screen._look(TWO, J[:1])
    e = screen.estimate
    return screen, bool(e.status[0] == Status.RESOLVED), e


def test_a_number_is_decided_within_the_bound_and_its_own_rounding():
    for off, is_within in ((3e-9, True), (3e-9 * (1 + 1e-6), False), (-3e-9 * (1 + 1e-6), False)):
        screen, decided, e = looked(5.0, 1e-9, 5.0 + off * (1 - 1e-9))
        assert decided is is_within
        assert (e.step[0], e.evaluations[0]) == (0.25, 4)
        assert np.isfinite(screen._lengths[0]) == is_within
        if decided:
            assert (e.value[0], e.bound[0]) == (5.0, 1e-9 + 2e-9)
    # storing g = 1 in single precision takes u g, here as much as the bound
    single = X.astype(np.float32)
    for off, is_within in ((1.9, True), (2.1, False)):
        assert looked(1.0, 0.0, 1 + off * 2.0**-24, noise=2.0**-24, x=single)[1] is is_within


def test_what_is_not_smooth_or_not_within_the_resolution_is_left_open():
    assert looked(5.0, 1e-9, 5.0)[1]
    assert not looked(5.0, 1e-9, 5.0, smooth=False)[1]
    allowance = 3e-9 + 2.0**-53 * 5
    assert looked(5.0, 1e-9, 5.0, resolution=allowance / 5 * (1 + 1e-9))[1]
    assert not looked(5.0, 1e-9, 5.0, resolution=allowance / 5 * (1 - 1e-9))[1]


def test_the_length_is_what_q_shows_and_at_most_16_times_the_size_of_x():
    screen, _, _ = looked(5.0, 1.5, 5.0)
    assert abs(screen._lengths[0] - 0.25 * (15 * 5 / 1.5) ** (1 / 2)) <= SAME
    screen, _, _ = looked(5.0, 1e-9, 5.0)
    assert screen._lengths[0] == 16 * 2.0
    assert screen._lengths[1] == 2.0


# --- which coordinates are looked at --------------------------------------------------------------


def test_a_second_look_is_taken_where_the_step_changes_by_a_factor_of_two():
    screen, seen = screen_of(x=np.ones(7), g=np.ones(7)), []
    screen._promises = lambda rule, j: np.full(len(j), fill_value=True)
    screen._look = lambda rule, j: seen.append((rule, j.tolist()))
    screen._steps = lambda rule, j: np.array([0.3, 0.5, 0.6, 1.0, 1.9, 2.0, 3.0])[j]
    screen.estimate.step[:] = 1.0
    screen._decide(np.arange(7))
    assert seen == [(TWO, list(range(7))), (TWO, [0, 1, 5, 6]), (THREE, list(range(7)))]


def test_what_is_decided_or_disagrees_is_looked_at_no_more():
    screen = screen_of()
    screen.estimate.status[0] = Status.RESOLVED
    screen._lengths[1] = np.nan
    assert screen._still_open(J).tolist() == [2, 3]


def test_each_look_needs_a_promise():
    screen, seen = screen_of(x=np.ones(4)), []
    screen._promises = lambda rule, j: j != (1 if rule is TWO else 2)
    screen._look = lambda rule, j: seen.append((rule, j.tolist()))
    screen._steps = lambda rule, j: np.full(len(j), 4.0)
    screen.estimate.step[:] = 1.0
    screen._decide(np.arange(4))
    assert seen == [(TWO, [0, 2, 3]), (TWO, [0, 2, 3]), (THREE, [0, 1, 3])]


def test_no_resolution_is_coarser_than_the_coarsest():
    assert COARSEST == 2.0**-15


def test_two_steps_are_taken_again_where_the_length_is_off_by_two_and_then_three(monkeypatch):
    screen, asked = screen_of(), []
    monkeypatch.setattr(screen, "_look", lambda rule, j: asked.append((rule, j.tolist())))
    monkeypatch.setattr(screen, "_promises", lambda rule, j: np.ones(len(j), bool))
    monkeypatch.setattr(screen, "_still_open", lambda j: j)
    monkeypatch.setattr(screen, "_steps", lambda rule, j: np.array([16.0, 15.9, 4.0, 4.1]))
    screen.estimate.step[:] = 8.0
    screen._decide(J)
    assert asked == [(TWO, [0, 1, 2, 3]), (TWO, [0, 2]), (THREE, [0, 1, 2, 3])]
