"""The estimate of the noise is what the module's text says, worked out number by number."""

from fractions import Fraction
from itertools import pairwise
from math import factorial, isqrt

import numpy as np
import pytest

from gradcheck.differences import noise as module
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import (
    AWAY,
    NARROW,
    SAMPLES,
    STANDARD_DEVIATIONS,
    UNDERESTIMATE,
    UNMOVED,
    Noise,
    estimate_noise,
    given_noise,
    line_noise,
    table_noise,
)
from gradcheck.splitmix64 import Stream

u = 2.0**-53
SAME = 1e-13
"""Some tens of roundings of either side."""


def sigmas(samples):
    """sigma_k of the table, k = 1, 2, ..., as roots of fractions; and whether signs change."""
    T, found, changes = [Fraction(x) for x in samples], [], []
    for k in range(1, len(samples)):
        T = [b - a for a, b in pairwise(T)]
        square = Fraction(factorial(k) ** 2, factorial(2 * k)) * sum(t * t for t in T) / len(T)
        scale = 10**60
        found.append(isqrt(square.numerator * scale // square.denominator) / 10**30)
        changes.append(min(T) < 0 < max(T))
    return found, changes


def expected(samples):
    found, changes = sigmas(samples)
    for k in range(len(found) - 2):
        if changes[k] and max(found[k : k + 3]) <= 4 * min(found[k : k + 3]):
            return found[k], "settled"
    return max(found[-3:]), "varies"


@pytest.mark.parametrize("trend", [0.0, 2.0, 40.0])
@pytest.mark.parametrize("bend", [0.0, 3.0, 50.0])
def test_sigma_is_that_of_the_first_difference_that_is_believed(trend, bend):
    t = np.arange(7.0) - 3
    seen = set()
    for seed in range(30):
        samples = trend * t + bend * t**2 + Stream(seed, "table").normal(7)
        estimate, state = table_noise(samples)
        told, word = expected(samples.tolist())
        assert (abs(estimate / told - 1) <= SAME, state) == (True, word)
        seen.add(word)
    assert "settled" in seen or bend


def test_tables_are_believed_at_any_difference_and_some_at_none():
    """So that the test above has met all of them."""
    found = set()
    for seed in range(60):
        size = 30.0 ** (seed % 4)
        samples = size * (np.arange(7.0) - 3) ** (seed % 5) + Stream(seed, "table").normal(7)
        told, word = expected(samples.tolist())
        assert table_noise(samples) == (pytest.approx(told, rel=SAME, abs=0), word)
        found.add(word if word == "varies" else sigmas(samples.tolist())[0].index(told))
    assert found == {"varies", 0, 1, 2, 3}


@pytest.mark.parametrize(("equal", "state"), [(2, "settled"), (3, "constant"), (4, "constant")])
def test_a_table_is_constant_if_half_of_its_neighbours_are_equal(equal, state):
    steps = np.array([0.0] * equal + [1, -1, 1, -1, 1, -1])[:6]
    assert table_noise(np.concatenate([[0.0], np.cumsum(steps)]))[1] == state


# --- what is made of it ---------------------------------------------------------------------------


def test_levels_and_bounds_grow_with_f():
    noise = Noise(level=2.0, bound=5.0, unit_roundoff=0.25, forward_passes=3, scale=100.0)
    growth = np.array([0.0, 8.0])
    assert noise.level_at(growth).tolist() == [2.0, 2.0 + 3 * 0.25 * 8]
    assert noise.bound_at(growth) == pytest.approx([5.0, 5.0 + 8.4 * 3 * 0.25 * 8], rel=SAME, abs=0)
    assert noise.at_level() == Noise(2.0, 2.0, 0.25, 3, 100.0)


@pytest.mark.parametrize(
    ("level", "scale", "value", "relative"),
    [
        (2.0, 100.0, 3.0, 0.02),
        (2.0, 100.0, -400.0, 0.005),
        (2.0, 0.0, 0.5, 1.0),
        (2.0, 1e9, 0.5, 2.0**-10),
    ],
)
def test_the_relative_level_is_over_the_larger_one_of_f_and_its_scale(
    level, scale, value, relative
):
    assert Noise(level, 9.0, 2.0**-10, 0, scale).relative(value) == relative


def test_noise_that_is_given_knows_the_size_of_f():
    lines = Lines(lambda x: -float(x[0]), np.array([3.0]))
    assert given_noise(0.5, lines) == Noise(0.5, 0.5, lines.unit_roundoff, 0, 3.0)


def test_the_floor_is_the_rounding_of_f_and_the_bound_its_deviations():
    lines = Lines(lambda _: -2.5, np.ones(3))
    found = estimate_noise(lines, Stream(0, "test"))
    level = UNDERESTIMATE * (2.5 * u + lines.tiny)
    assert (found.level, found.bound) == (level, STANDARD_DEVIATIONS * level)
    assert (found.unit_roundoff, found.scale) == (lines.unit_roundoff, 2.5)


@pytest.mark.parametrize(
    ("dtype", "widths"), [(np.float64, (2.0**17, 2.0**26)), (np.float32, (2.0**8, 2.0**12))]
)
def test_the_wide_tables_are_as_wide_as_the_bits_say(dtype, widths, monkeypatch):
    seen = []
    monkeypatch.setattr(
        module, "_wide_noise", lambda lines, stream, spacing, _: seen.append(spacing) or 0.0
    )
    estimate_noise(Lines(lambda x: float(x[0]), np.ones(1, dtype)), Stream(0, "test"))
    assert tuple(seen) == widths


# --- lines and tables -----------------------------------------------------------------------------


def line_of(x, spacing, bounds=None):
    lines = Lines(lambda _: 0.0, x) if bounds is None else Lines(lambda _: 0.0, x, bounds=bounds)
    return module._exact_line(lines, Stream(4, "line"), spacing, lines.origin)


@pytest.mark.parametrize("spacing", [1.0, 2.0**6, 2.0**17])
def test_a_line_is_exact_and_changes_the_last_bits_of_all_coordinates(spacing):
    x = np.array([1.0, -3.7, 5e-9, 1.9e12] * 5)
    origin, direction = line_of(x, spacing)
    unit = 2.0 ** np.floor(np.log2(np.abs(x))) * 2.0**-51  # 2 ulps
    odd = np.abs(direction) / unit
    assert (odd % 2 == 1).all()
    most = max(spacing / 2, 1.0)
    assert ((odd >= most / 2) & (odd <= 2 * most + 1)).all()
    assert odd.max() > odd.min() or spacing == 1
    assert ((origin / unit) % 1 == 0).all()
    assert (np.abs(origin - x) <= unit / 2).all()
    assert set(np.sign(direction * np.sign(x)).tolist()) == {-1.0, 1.0}
    for k in range(-3, 4):
        point = [Fraction(o) + k * Fraction(d) for o, d in zip(origin, direction, strict=True)]
        assert [Fraction(float(p)) for p in point] == point


def test_what_is_0_moves_by_little_of_the_smallest_other_number():
    def scales(*x):
        return module._scales(Lines(lambda _: 0.0, np.array(x))).tolist()

    assert scales(0.0, -4.0, 0.5) == [UNMOVED / 2, 4.0, 0.5]
    assert scales(0.0, 0.0) == [2.0**-10, 2.0**-10]
    least = 2.0**-1022 / 2.0**-52
    assert scales(1e-300, 1.0) == [least, 1.0]


def test_f_is_asked_a_thousandth_of_x_away():
    asked = []

    def f(x):
        asked.append(x.copy())
        return float(np.sin(x[0]) - np.sin(2.0)) ** 2

    lines = Lines(f, np.array([2.0, -8.0]))
    asked.clear()
    size, relative = module._away(lines, Stream(5, "away"))
    assert np.abs(asked[0] / lines.origin - 1).tolist() == [AWAY, AWAY]
    d = np.sin(asked[0][0]) - np.sin(2.0)
    assert size == d * d
    # sin is within an ulp or so of itself, which d^2 has 2 sin 2 / d times
    assert u / 8 <= relative * abs(d) <= 8 * u


@pytest.mark.parametrize(
    ("far", "expected_size"), [(1.0, 1.0), (-1.9, 1.9), (np.inf, 0.0), (np.nan, 0.0)]
)
def test_f_that_is_no_larger_away_has_the_noise_that_it_has(far, expected_size):
    lines = Lines(lambda x: 1.0 if x[0] == 2 else far, np.array([2.0]))
    assert module._away(lines, Stream(5, "away")) == (expected_size, 0.0)


def spacings(values, x=None, **options):
    """The spacings, in ulps, of the tables that are asked for, and what comes of them."""
    lines = Lines(lambda _: 0.0, np.ones(1) if x is None else x)
    seen, tables = [], iter(values)

    def sample(origin, direction, steps):
        assert steps.tolist() == [-3, -2, -1, 0, 1, 2, 3]
        seen.append(float(np.max(np.abs(direction))) / 2.0**-52)
        return np.asarray(next(tables), dtype=float)

    found = line_noise(lines, Stream(6, "line"), sample, **options)
    return found, [float(np.log2(s)) for s in seen]


CONSTANT, LINEAR = np.zeros(7), np.arange(7.0)
NOISY = np.array([0.0, 1, -1, 2, -2, 1, 0])
WILD = 10.0 ** np.arange(7)


def are_near(found, expected):
    return len(found) == len(expected) and all(
        -1e-6 <= a - b <= 1.1 for a, b in zip(found, expected, strict=True)
    )


def test_a_constant_table_is_followed_by_one_that_is_128_times_wider():
    found, seen = spacings([CONSTANT, CONSTANT, NOISY])
    assert are_near(seen, [6, 13, 20])
    assert found == table_noise(NOISY)[0]


def test_a_table_that_varies_counts_if_it_is_the_first_and_else_is_narrowed():
    found, seen = spacings([WILD])
    assert (found, len(seen)) == (table_noise(WILD)[0], 1)
    found, seen = spacings([CONSTANT, WILD, NOISY])
    assert are_near(seen, [6, 13, 9])
    assert found == table_noise(NOISY)[0]


def test_an_exactly_linear_table_has_no_noise_wherever_it_is_met():
    assert spacings([LINEAR])[0] == 0
    found, seen = spacings([CONSTANT, LINEAR, NOISY])
    assert (found, len(seen)) == (0.0, 2)


def test_tables_end_at_a_256th_of_x_and_after_so_many():
    found, seen = spacings([CONSTANT] * 9)
    assert (found, len(seen)) == (0.0, module.TABLES)
    found, seen = spacings([CONSTANT] * 9, tables=2)
    assert (found, len(seen)) == (0.0, 2)
    found, seen = spacings([CONSTANT] * 9, x=np.ones(1, np.float32))
    # ulps of 2^-23: spacings 2^6 and 2^13, and 2^20 would be beyond 2^-8
    assert (found, len(seen)) == (0.0, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_table_that_is_not_finite_shows_nothing(value):
    assert spacings([[0, 1, 0, value, 1, 0, 1]]) == (0.0, pytest.approx([6.5], abs=0.6))


def test_a_table_has_seven_samples_three_on_each_side():
    assert (SAMPLES, NARROW, module.EDGES.tolist()) == (7, 64, [-3, 3])


# --- jumps ----------------------------------------------------------------------------------------


class Straight:
    """Stands for lines of the black box: a function of the t of the samples."""

    def __init__(self, f):
        self.f, self.asked = f, []

    def along(self, origin, direction, ts):
        self.asked.append(ts.tolist())
        return np.array([self.f(t) for t in ts.tolist()])


def rough(t):
    """Noise of about 1 that is constant over a 16th of a sample's distance, and jumps there."""
    return float(Stream(int(np.floor(16 * t)) + 1000, "rough").normal(1)[0])


def jumping(f, spacing=2.0**6, narrow=0.0):
    lines = Straight(f)
    return module._jumping_noise(lines, np.zeros(1), np.ones(1), spacing, narrow), lines.asked


def test_samples_are_taken_in_the_middle_and_three_to_each_side():
    _, asked = jumping(rough)
    assert asked[0] == [-3, -2, -1, 0, 1, 2, 3]


def test_noise_is_believed_where_f_jumps_and_beside_a_cubic():
    samples = np.array([rough(t) for t in range(-3, 4)])
    level, state = table_noise(samples)
    assert state == "settled"
    assert jumping(rough)[0] == level
    found, asked = jumping(lambda t: rough(t) + (t - 0.3) ** 3 / 64)
    assert found > 0
    assert len(asked) > 1


def test_waves_that_settle_are_no_noise():
    def wave(t):
        return rough(round(t)) + (rough(round(t) + np.sign(t - round(t))) - rough(round(t))) * abs(
            t - round(t)
        )

    found, asked = jumping(wave)
    assert table_noise(np.array([wave(t) for t in range(-3, 4)]))[1] == "settled"
    assert found == 0
    assert all(len(ts) == 1 for ts in asked[1:])
    assert len(asked) > 6  # between each two samples


def test_no_more_than_was_seen_before_needs_no_jump():
    level = table_noise(np.array([rough(t) for t in range(-3, 4)]))[0]
    found, asked = jumping(rough, narrow=level / 8)
    assert (found, len(asked)) == (level, 1)
    found, asked = jumping(rough, narrow=level / 9)
    assert (found, len(asked) > 1) == (level, True)


@pytest.mark.parametrize("f", [lambda t: 1.0, lambda t: np.exp(3 * t), lambda t: np.inf])
def test_tables_that_do_not_settle_or_are_not_finite_show_nothing(f):
    found, asked = jumping(f)
    assert (found, len(asked)) == (0.0, 1)


@pytest.mark.parametrize(
    ("jump", "least", "found"), [(1.0, 0.9, True), (1.0, 1.0, False), (-1.0, 0.9, True)]
)
@pytest.mark.parametrize("at", [0.01, 0.4, 0.97])
def test_an_interval_is_halved_to_the_jump_that_is_in_it(jump, least, found, at):
    asked = []

    def f(t):
        asked.append(t)
        return jump * (t > at)

    assert module._jumps_between(f, (0.0, 0.0), (1.0, jump), 1 / 64, least) is found
    assert asked[0] == 0.5
    assert len(asked) == (6 if found else 1)
    assert all(abs(b - at) <= abs(a - at) + 1 / 4 for a, b in pairwise(asked))
