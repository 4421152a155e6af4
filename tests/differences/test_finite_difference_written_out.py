"""Steps and bounds of finite differences are what the module's text says, number by number."""

from math import floor, log2, sqrt

import numpy as np
import pytest

from gradcheck.differences import finite_difference as module
from gradcheck.differences.finite_difference import second_opinions
from gradcheck.differences.kinks import Jumps
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import Noise
from gradcheck.differences.stencils import CENTRAL_4
from gradcheck.outcomes.estimate import Estimate, Status

u = 2.0**-53
EPS, LEVEL = 2.0**-40, 2.0**-44
NOISE = Noise(LEVEL, EPS, u, 0)
A = float(CENTRAL_4.disagreement_noise)
SAME = 1e-12
"""Some tens of roundings."""

ONE = np.array([0])


def near(found, expected):
    return bool(np.all(np.abs(found - expected) <= SAME * np.abs(expected)))


class Points:
    """Stand for the points on the axes: D, the growth of f and all else given by exponent."""

    def __init__(self, D, growth=lambda e: 0.0, n=1):
        self.coordinates, self.evaluations = np.arange(n), np.full(n, 9)
        self.mantissas, self.D, self.growth = np.ones(n), D, growth
        self.fetched = []

    def steps(self, exponents, rows=None):
        return np.ldexp(1.0, exponents)

    def prefetch(self, stencil, levels, rows):
        self.fetched.append([level.tolist() for level in levels])

    def derivative(self, stencil, exponents, rows=None):
        each = np.asarray(exponents).tolist()
        return np.array([self.D(e) for e in each]), np.array([self.growth(e) for e in each])

    def constants(self, stencil, rows):
        return np.full(len(rows), 1.5), np.full(len(rows), A)

    def secant(self, exponents, rows):
        return np.full(len(rows), 0.75)

    def with_room(self, exponents):
        return exponents


def walk_of(x=(1.0, -2.0), f=lambda _: 1.0, noise=NOISE):
    return module._Walk(Lines(f, np.array(x)), noise, CENTRAL_4)


# --- the bound ------------------------------------------------------------------------------------


@pytest.fixture
def jumps(monkeypatch):
    """Let the slope jump as told: a list of established, uncertain and where it was lost."""

    def told(*answers):
        left = list(answers)

        def slope_jumps(points, exponents, noise, rows):
            established, uncertain, lost = left.pop(0) if left else (0.0, 0.0, 99)
            return Jumps(np.array([established]), np.array([uncertain]), np.array([lost]))

        monkeypatch.setattr(module, "slope_jumps", slope_jumps)

    told()
    return told


@pytest.mark.parametrize(
    ("above", "below"), [(0.25, 0.0), (0.0, 0.25), (-0.25, 0.125), (0.1, -0.25)]
)
def test_the_bound_is_noise_and_twice_the_larger_disagreement(above, below, jumps):
    D = {-2: 5 + above, -3: 5.0, -6: 5 + below}
    growth = {-2: 2.0**20, -3: 2.0**30, -6: 2.0**40}
    points = Points(D.get, growth.get)
    found = module._bounded(points, CENTRAL_4, NOISE, np.array([-3]))
    assert points.fetched == [[[-2], [-3], [-6]]]
    noise = 1.5 * float(NOISE.bound_at(np.array(2.0**20))) / 2.0**-3
    assert near(found.bound, noise + 2 * 0.25)
    assert (found.value[0], found.step[0], found.secant[0]) == (5.0, 0.125, 0.75)
    assert (found.status[0], found.jump[0], found.reach[0]) == (Status.RESOLVED, 0.0, 0.0)
    assert found.evaluations[0] == 9


def test_half_of_an_uncertain_jump_is_added_and_one_that_is_established_is_a_kink(jumps):
    noise = 1.5 * EPS / 2.0**-3
    jumps((0.0, 4.0, 99))
    found = module._bounded(Points(lambda _: 5.0), CENTRAL_4, NOISE, np.array([-3]))
    assert near(found.bound, noise + 2.0)
    jumps((-4.0, 0.0, 99))
    found = module._bounded(Points(lambda _: 5.0), CENTRAL_4, NOISE, np.array([-3]))
    assert (found.status[0], found.jump[0]) == (Status.KINK, -4.0)
    assert near(found.bound, noise)


@pytest.mark.parametrize(
    ("here", "above", "status"),
    [
        (np.nan, 5.0, Status.UNDEFINED),
        (np.inf, 5.0, Status.UNDEFINED),
        (5.0, np.inf, Status.NO_STEP),
    ],
)
def test_what_is_not_finite_has_no_bound(here, above, status, jumps):
    D = {-2: above, -3: here, -6: 5.0}
    jumps((3.0, 0.0, 99))
    with np.errstate(invalid="ignore"):
        found = module._bounded(Points(D.get), CENTRAL_4, NOISE, np.array([-3]))
    assert (found.status[0], found.bound[0]) == (status, np.inf)


@pytest.mark.parametrize("wide", [True, False])
def test_a_jump_that_is_lost_is_asked_again_there_and_the_smaller_bound_is_kept(wide, jumps):
    jumps((0.0, 4.0 if wide else 1e-13, -5), (2.0**-20, 0.0, 99))
    found = module._bounded(Points(lambda e: 5.0 + (e < -4)), CENTRAL_4, NOISE, np.array([-3]))
    # the step below sees no disagreement; the jump that it sees is an uncertainty
    closer = 1.5 * EPS / 2.0**-5 + 2 * 1.0 + 2.0**-21
    own = 1.5 * EPS / 2.0**-3 + 2 * 1.0 + (2.0 if wide else 5e-14)
    assert near(found.bound, closer if wide else own)
    assert (found.value[0], found.step[0]) == ((6.0, 2.0**-5) if wide else (5.0, 2.0**-3))
    assert (found.status[0], found.jump[0]) == (Status.RESOLVED, 0.0)


def test_noise_between_two_steps_is_that_of_both():
    eps, h = np.array([EPS]), np.array([0.25])
    assert near(module._noise_between(CENTRAL_4, eps, h), 1.5 * 9 * EPS / 0.25)


def test_second_opinions_are_at_an_eighth_and_a_64th_with_the_likely_noise():
    x = np.array([1.0, 3.0])
    lines = Lines(lambda x: float(x[0] ** 2 + x[1]), x)
    noise = Noise(2.0**-40, 1.0, u, 0)
    found = second_opinions(lines, noise, np.array([1, 0]), np.array([2.0**-3, 2.0**-5]))
    assert len(found) == 2
    for opinion, factor in zip(found, (8, 64), strict=True):
        c = lines.mantissas("second opinions", 2)[[1, 0]]
        h = c * 2.0 ** np.floor(np.log2(np.array([2.0**-3, 2.0**-5]) / c)) / factor
        assert near(opinion.step, h)
        assert np.abs(opinion.value - [1.0, 2.0]).max() < 1e-9
        # of 2^-40 and what f grows, and of the rounding of f, which shows as disagreement
        assert (opinion.bound >= 1.5 * 2.0**-40 / h).all()
        assert (opinion.bound <= 1.5 * 2.0**-40 / h * 1.1).all()


@pytest.mark.parametrize(("size", "has_opinion"), [(0.95, True), (1.05, False)])
def test_there_is_no_opinion_where_the_stencils_differ_by_more_than_six_noises(
    size, has_opinion, monkeypatch, jumps
):
    h = 2.0**-6
    most = 6 * 1.5 * 9 * LEVEL / h
    D = {-6: 5 + size * most, -9: 5.0, -12: 5.0}
    points = Points(lambda e: D.get(e, 5.0 + size * most))
    monkeypatch.setattr(module, "AxisPoints", lambda *_: points)
    first = second_opinions(None, NOISE, ONE, np.array([2.0**-3]))[0]
    assert np.isfinite(first.bound[0]) == has_opinion


# --- the step -------------------------------------------------------------------------------------


def test_the_testing_ratio_is_the_disagreement_over_its_noise():
    points = Points({-3: 5.0, -2: 5.5}.get, {-3: 2.0**30, -2: 2.0**7}.get)
    r, gains = walk_of()._testing_ratio(points, np.array([-3]), ONE)
    eps_s = float(NOISE.level_at(np.array(2.0**7)))
    assert near(r, 2.0**-3 * 0.5 / (A * eps_s))
    assert gains.tolist() == [True]
    assert points.fetched == [[[-3], [-2]]]  # what is needed, and nothing else


@pytest.mark.parametrize(("factor", "gained"), [(1.0, True), (1.01, False)])
def test_nothing_is_gained_where_the_noise_has_doubled(factor, gained):
    growth = factor * LEVEL / (3 * u)
    _, gains = walk_of()._testing_ratio(
        Points(lambda _: 0.0, lambda _: growth), np.array([-3]), ONE
    )
    assert bool(gains[0]) is gained


@pytest.mark.parametrize(
    ("half", "sixteenth", "holds"),
    [
        (0.99, 0.99, True),
        (-0.99, -0.99, True),
        (1.01, 0.0, False),
        (0.0, 1.01, False),
        (0.0, -1.01, False),
    ],
)
def test_stencils_below_must_agree_within_six_noises(half, sixteenth, holds):
    e = -3
    most_half, most_16 = 6 * A * LEVEL / 2.0 ** (e - 1), 6 * 1.5 * 9 * LEVEL / 2.0 ** (e - 1)
    near_value = 5.0 + half * most_half
    D = {e: 5.0, e - 1: near_value, e - 4: near_value + sixteenth * most_16}
    found = walk_of()._holds_below(Points(D.get), np.array([e]), ONE)
    assert bool(found[0]) is holds


def searched(ratio, first, lowest=-60, highest=0, gains=lambda e: True, holds=lambda e: True):
    """Where the search ends, whether r was small enough there, and where it asked."""
    walk, asked = walk_of(), []

    def testing_ratio(points, e, rows):
        asked.extend(e.tolist())
        each = e.tolist()
        return np.array([ratio(k) for k in each]), np.array([gains(k) for k in each])

    walk._testing_ratio = testing_ratio
    walk._holds_below = lambda points, e, rows: np.array([holds(k) for k in e.tolist()], dtype=bool)
    walk._limits = lambda points: (np.array([lowest]), np.array([highest]))
    walk._first_exponents = lambda points: np.array([first])
    e, found = walk._search(Points(lambda _: 0.0))
    return int(e[0]), bool(found[0]), asked


def rising(end):
    return lambda e: 1.0 if e < end else 2.0 if e == end else 99.0


@pytest.mark.parametrize("end", [-19, -14, -11, -7, -1])
def test_the_search_goes_up_to_the_first_step_where_truncation_shows(end):
    assert searched(rising(end), -20)[:2] == (end, True)


def test_the_search_strides_after_six_steps_and_halves_back():
    _, _, asked = searched(rising(-15), -40)
    assert asked == [*range(-40, -32), -31, -27, -19, -3, -11, -15]


def test_the_search_goes_down_to_where_r_is_small_enough_and_the_stencils_below_agree():
    assert searched(lambda e: 7.0 if e > -25 else 6.0, -20)[:2] == (-25, True)
    assert searched(lambda e: 7.0, -20)[:2] == (-60, False)
    assert searched(lambda e: 2.0, -20, holds=lambda e: e <= -22)[:2] == (-22, True)
    assert searched(lambda e: 1.0 if e < -25 else 7.0, -20)[:2] == (-26, True)  # and not up again


def test_the_search_ends_at_the_largest_step_and_where_nothing_is_gained():
    assert searched(lambda e: 0.0, -3)[:2] == (0, True)
    assert searched(lambda e: 1.5, -3)[:2] == (-3, True)
    assert searched(lambda e: 0.0, -20, gains=lambda e: e < -17)[:2] == (-17, True)


def test_a_first_step_beyond_the_limits_is_brought_within():
    assert searched(lambda e: 2.0, 5)[0] == 0
    assert searched(lambda e: 2.0, -99)[0] == -60
    assert searched(lambda e: 2.0, 5, lowest=3, highest=-7)[0] == -7


def test_steps_are_between_32_ulps_of_x_and_the_size_of_its_array():
    walk = walk_of((8.0, -2.0, 0.0, 2.0**-30))
    points = Points(None, n=4)
    lowest, highest = walk._limits(points)
    # 0 counts as 2^-40 of the smallest other number
    assert lowest.tolist() == [3 - 47, 1 - 47, -70 - 47, -30 - 47]
    assert highest.tolist() == [3] * 4
    assert walk_of((2.0**-9, 2.0**-9))._limits(Points(None, n=2))[1].tolist() == [0, 0]
    lowest, _ = walk_of((0.0, 1e-300))._limits(Points(None, n=2))
    assert lowest.tolist() == [-1022 + 5] * 2


def test_the_first_step_is_far_below_the_best_one_of_a_function_of_the_scale_of_x():
    walk = walk_of((8.0, -2.0))
    h = 8 * CENTRAL_4.best_step(NOISE.relative(1.0), 1.0) / 2**5
    assert near(walk._blind_start(walk.lines.structure.leaves[0]), h)
    assert walk._first_exponents(Points(None, n=2)).tolist() == [floor(log2(h))] * 2
    # never above |x_j|, and from the smallest step for a 0 beside large numbers
    small = walk_of((8.0, 2.0**-30, 0.0))._first_exponents(Points(None, n=3)).tolist()
    assert small == [floor(log2(h)), -30, floor(log2(h))]
    one = 2**5 / CENTRAL_4.best_step(NOISE.relative(1.0), 1.0)  # the size whose first step is 1
    large = walk_of((one * 1.01, 0.0))
    assert large._first_exponents(Points(None, n=2)).tolist()[1] == -1022
    assert large._has_no_scale(np.arange(2)).tolist() == [False, True]
    assert walk_of((one / 1.01, 0.0))._has_no_scale(np.arange(2)).tolist() == [False, False]
    # its own array says what is large; where that is 0, x does
    many = {"a": np.array([0.0, 1.0]), "b": np.array([2 * one, 0.0]), "c": np.zeros(1)}
    walk = module._Walk(Lines(lambda _: 1.0, many), NOISE, CENTRAL_4)
    assert walk._has_no_scale(np.arange(5)).tolist() == [False, False, False, True, True]


def test_the_smallest_step_of_the_pilots_is_kept_and_the_others_start_a_step_below():
    walk = walk_of((8.0, -2.0, 1.0))
    steps, found = np.array([0.5, 0.25, 0.125]), np.array([True, True, False])
    walk._remember(np.arange(3), steps, found)
    [start] = walk._start.values()
    assert start == 0.25 / sqrt(2)
    exponents = walk._first_exponents(Points(None, n=3))
    assert exponents.tolist() == [-3, -3, -3]
    zero = walk_of((2.0**30, 0.0))
    zero._remember(np.arange(2), np.array([0.5, 0.25]), np.full(2, fill_value=True))
    assert list(zero._start.values()) == [0.5 / sqrt(2)]


# --- what becomes of a coordinate -----------------------------------------------------------------


def test_half_of_the_step_found_is_used_and_no_step_is_no_derivative(jumps):
    walk = walk_of((1.0, -2.0), lambda x: float(x[0]))
    walk._search = lambda points: (np.array([-8, -9]), np.array([True, False]))
    asked = []
    real = module._bounded

    def bounded(points, stencil, noise, exponents, rows=None):
        asked.append(exponents.tolist())
        return real(points, stencil, noise, exponents, rows)

    jumps()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_bounded", bounded)
        patch.setattr(module._Walk, "_settle_constant", lambda *_: None)
        patch.setattr(module, "slope_jumps", lambda points, e, noise, rows: Jumps(
            np.zeros(2), np.zeros(2), np.full(2, 99)))  # fmt: skip
        found = walk.differentiate(np.arange(2))
    assert asked == [[-9, -10]]
    assert found.status.tolist() == [Status.RESOLVED, Status.NO_STEP]


def estimate_of(**fields):
    found = Estimate.empty(1)
    for name, value in fields.items():
        getattr(found, name)[0] = value
    return found


@pytest.mark.parametrize(
    ("step", "reach", "is_flat"), [(0.25, 2.0, True), (3.0, 2.0, False), (0.25, 0.0, False)]
)
def test_what_does_not_change_f_is_0_with_a_quarter_of_the_reach_for_a_step(step, reach, is_flat):
    points = Points(lambda _: 0.0)
    points.unchanged = lambda: np.array([reach])
    estimate = estimate_of(value=7.0, bound=5.0, step=step, status=Status.KINK, jump=2.0)
    walk_of()._settle_constant(points, estimate)
    found = (estimate.value[0], estimate.step[0], estimate.status[0], estimate.jump[0])
    if is_flat:
        assert found == (0.0, reach / 4, Status.RESOLVED, 0.0)
        assert near(estimate.bound, 1.5 * EPS / (reach / 4))
        assert estimate.reach[0] == reach
    else:
        assert found == (7.0, step, Status.KINK, 2.0)
        assert (estimate.bound[0], estimate.reach[0]) == (5.0, 0.0)


def test_pilots_of_each_array_come_first_and_others_in_blocks():
    lines = Lines(lambda p: 0.0, {"a": np.ones(9), "b": np.ones(2), "c": np.ones(0)})
    batches = module._Walk(lines, NOISE, CENTRAL_4).batches(np.arange(11), 4)
    assert [b.tolist() for b in batches if len(b)] == [[0, 4, 8, 9], [10], [1, 2, 3, 5], [6, 7]]
