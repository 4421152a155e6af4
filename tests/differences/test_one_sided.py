"""Slopes on both sides of a kink: what holds them, and where they settle."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck.differences import one_sided as module
from gradcheck.outcomes.estimate import Estimate, Status

AXES = np.array([1, 3])
SLOPES = Status.RESOLVED


def estimates(values, bounds, status=SLOPES, step=1.0):
    found = Estimate.empty(len(values))
    found.value[:], found.bound[:], found.status[:], found.step[:] = values, bounds, status, step
    return found


@pytest.fixture
def told(monkeypatch):
    """Answer with slopes and second opinions by side; record what those were asked of."""
    asked, at = [], []

    def given(slopes, opinions=lambda side: []):
        def differences(lines, noise, coordinates):
            every = Estimate.empty(4)
            every.put(coordinates, slopes[at[-1]])
            return every

        def second(lines, noise, coordinates, steps):
            asked.append((coordinates.tolist(), steps.tolist()))
            return opinions(at[-1])

        monkeypatch.setattr(module, "finite_difference", differences)
        monkeypatch.setattr(module, "second_opinions", second)
        lines = SimpleNamespace(
            sides=lambda j: np.zeros(len(j), int),
            on_side=lambda side: at.append(side) or nullcontext(),
            forward_passes=0,
        )
        return lines, asked

    return given


@pytest.mark.parametrize(
    ("opinions", "low", "high"),
    [
        ([], 1.5, 2.5),
        ([(2.0, 0.25)], 1.5, 2.5),
        ([(1.5, 0.25)], 1.25, 2.5),
        ([(2.25, 0.5)], 1.5, 2.75),
        ([(1.25, 0.125), (2.75, 0.125)], 1.125, 2.875),
        ([(9.0, np.inf), (np.nan, 0.25), (2.0, 1.0)], 1.0, 3.0),  # what is not known is nothing
    ],
)
def test_a_side_holds_its_slope_and_those_of_smaller_steps(opinions, low, high, told):
    lines, asked = told(
        {1: estimates([2.0, 7.0], [0.5, 0.5], [SLOPES, Status.NO_STEP], [0.25, 0.5])},
        lambda side: [estimates([value], [bound]) for value, bound in opinions],
    )
    side = module._OneSide(lines, None, AXES, 1)
    assert (side.low[0], side.high[0]) == (low, high)
    assert (side.bound.tolist(), side.value.tolist()) == ([0.5, np.inf], [2.0, 7.0])
    assert (side.low[1], side.high[1]) == (-np.inf, np.inf)  # no slope was found there
    assert asked == [([1], [0.25])]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("left", "right", "is_settled"),
    [
        ((-1.0, 0.5), (1.0, 0.5), True),  # B_L + B_R = |R - L| / 2
        ((-1.0, 0.5), (1.0, 0.51), False),
        ((-1.0, 0.1), (3.0, 0.2), True),
        ((-1.0, 0.1), (1.0, np.inf), False),
        ((-1.0, 0.1), (np.nan, 0.1), False),
        ((1.0, 0.1), (1.0, 0.1), False),
    ],
)
def test_the_slopes_on_both_sides_settle_with_less_error_than_half_their_jump(
    left, right, is_settled, swapped, told
):
    sides = {-1: right if swapped else left, 1: left if swapped else right}
    slopes = {s: estimates([value, 5.0], [bound, 0.1]) for s, (value, bound) in sides.items()}
    lines, _ = told(slopes)
    estimate = estimates([9.0] * 4, [9.0] * 4, [SLOPES, Status.KINK, Status.NO_STEP, Status.KINK])
    module.settle_kinks(lines, None, estimate)
    assert estimate.status.tolist() == [
        SLOPES, Status.INTERVAL if is_settled else Status.KINK, Status.NO_STEP, Status.KINK,
    ]  # fmt: skip
    if is_settled:
        low, high = left[0] - left[1], right[0] + right[1]
        assert estimate.value[1] == pytest.approx((low + high) / 2)
        assert estimate.bound[1] == pytest.approx((high - low) / 2)
        assert estimate.jump[1] == (-1 if swapped else 1) * (right[0] - left[0])
    assert (estimate.value[[0, 2, 3]] == 9).all()
    assert (estimate.bound[[0, 2, 3]] == 9).all()
