"""The parts of the search for a jump: the parabola, what leaves it, and where it is halved to."""

from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck.differences.jumps import NO_JUMP, _Axis, jump_near
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import Noise

BOUND = 2.0**-20


def axis_of(phi, step=1 / 8, least=0.0, x=1.0, side=0, farthest=None):
    """An axis along which f(x + t) - f(x) is phi(t)."""
    asked = []

    def along_axes(j, t):
        asked.append(float(t[0]))
        return np.array([phi(float(t[0]))]), t

    lines = SimpleNamespace(
        origin=np.array([x]), along_axes=along_axes, sides=lambda j: np.array([side])
    )
    axis = _Axis(lines, 0, step, BOUND, least)
    if farthest is not None:
        axis._farthest = farthest
    asked.clear()
    return axis, asked


@pytest.mark.parametrize("side", [0, 1, -1])
def test_a_parabola_is_met_exactly_by_what_leaves_it_nowhere(side):
    axis, asked = axis_of(lambda t: 3 * t - 5 * t**2, side=side)
    h = 1 / 8
    nodes = {0: [0, 2 * h, -2 * h], 1: [0, 2 * h, 4 * h], -1: [0, -2 * h, -4 * h]}[side]
    assert [t for t, _ in axis._nodes] == nodes
    assert axis.interval(1.0) is None
    assert asked == [2 * h, 4 * h]  # up to the size of x, or 1
    assert abs(axis._p(0.7) - (3 * 0.7 - 5 * 0.49)) <= 1e-14


@pytest.mark.parametrize(
    ("x", "farthest"), [(4.0, 2.0), (-4.0, 2.0), (4.1, 4.0), (1.0, 0.5), (0.1, 0.5), (0.0, 0.5)]
)
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_points_are_asked_up_to_the_size_of_x_or_1(x, farthest, side):
    axis, asked = axis_of(lambda t: 0.0, x=x)
    axis.interval(side)
    assert asked == [side * t for t in (1 / 4, 1 / 2, 1, 2, 4) if t <= farthest]


@pytest.mark.parametrize(("factor", "is_found"), [(1 - 1e-9, False), (1 + 1e-9, True)])
@pytest.mark.parametrize("sign", [1, -1])
def test_what_leaves_the_parabola_by_more_than_the_noise_of_all_its_points(factor, is_found, sign):
    # at t = 2: weights of nodes 0, 1/4, -1/4
    t = 2.0
    weights = [(t**2 - 1 / 16) * -16, t * (t + 1 / 4) * 8, t * (t - 1 / 4) * 8]
    noise = BOUND * (1 + sum(map(abs, weights)))
    axis, _ = axis_of(lambda s: sign * factor * noise * (s >= t), x=4.0)
    found = axis.interval(1.0)
    if is_found:
        assert found == ((1.0, 0.0), (2.0, sign * factor * noise))
    else:
        assert found is None


@pytest.mark.parametrize(("factor", "is_found"), [(0.99, False), (1.01, True)])
def test_a_jump_that_is_too_small_to_matter_is_left_alone(factor, is_found):
    axis, _ = axis_of(lambda s: factor * (s >= 0.5), least=1.0)
    assert (axis.interval(1.0) is not None) is is_found


def test_the_search_ends_where_f_is_not_finite():
    axis, asked = axis_of(lambda s: np.inf if s >= 0.5 else 0.0, x=9.0)
    assert axis.interval(1.0) is None
    assert asked == [1 / 4, 1 / 2]


@pytest.mark.parametrize("at", [0.3, 0.55, 0.97])
def test_an_interval_is_halved_to_its_jump(at):
    axis, _ = axis_of(lambda s: 1.0 * (s >= at), step=1 / 16)
    jump = axis.halved((0.25, 0.0), (1.0, 1.0))
    assert abs(jump.at - at) <= 2.0**-20
    assert jump.at < at
    assert jump.size == 1  # third differences of a step are 1, -2 and 1
    assert jump.flat


def test_what_is_flat_has_the_bits_of_x_up_to_the_jump():
    axis, _ = axis_of(lambda s: 1.0 * (s >= 0.6) + 2.0**-60 * (s >= 0.3), step=1 / 16)
    assert not axis.halved((0.25, 0.0), (1.0, 1.0)).flat
    axis, _ = axis_of(lambda s: 2.0**-60 * (s > 0), step=1 / 16)
    assert not axis._flat


@pytest.mark.parametrize(("least", "size"), [(1.0, 0.0), (0.99, 1.0)])
def test_halving_ends_where_no_jump_that_matters_is_left(least, size):
    axis, asked = axis_of(lambda s: 1.0 * (s >= 0.6), step=1 / 16, least=least)
    found = axis.halved((0.25, 0.0), (1.0, 1.0))
    assert found.size == size
    assert (len(asked) == 1) is (size == 0)


def test_beside_the_end_of_f_there_is_no_jump():
    axis, _ = axis_of(lambda s: 1.0 * (s >= 0.6) if s < 0.6 + 1e-9 else np.nan, step=1 / 16)
    assert axis._size((0.6 - 1e-12, 0.0), (0.6, 1.0)) == 1.0
    assert axis._size((0.6 - 1e-9, 0.0), (0.6, 1.0)) == 0.0


def test_both_sides_are_asked_and_none_beyond_the_first_jump(monkeypatch):
    asked = []

    def interval(axis, side):
        asked.append(side)
        return ((0.25, 0.0), (0.5, 1.0)) if side == found_at else None

    monkeypatch.setattr(_Axis, "interval", interval)
    monkeypatch.setattr(_Axis, "halved", lambda axis, a, b: (a, b))
    lines = Lines(lambda x: 0.0, np.ones(1))
    noise = Noise(BOUND, BOUND, 2.0**-53, 0)
    for found_at, sides in ((None, [1.0, -1.0]), (-1.0, [1.0, -1.0]), (1.0, [1.0])):
        asked.clear()
        found = jump_near(lines, noise, 0, 1 / 8)
        assert asked == sides
        assert found == (((0.25, 0.0), (0.5, 1.0)) if found_at else NO_JUMP)
