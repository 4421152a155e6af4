"""What is taken of narrower bounds."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck.differences import narrower as module
from gradcheck.differences.finite_difference import EIGHTH
from gradcheck.outcomes.estimate import Estimate, Status


@pytest.mark.parametrize(
    ("value", "bound", "allowed", "is_taken"),
    [
        (-0.9, 0.25, True, True),  # within the first estimate, and not within the best so far
        (1.0, 0.25, True, True),
        (1.1, 0.25, True, False),  # not within the first
        (-1.1, 0.25, True, False),
        (0.5, 0.5, True, False),  # no narrower than the best so far
        (0.5, 0.4, False, False),
        (np.nan, 0.25, True, False),
        (0.5, np.nan, True, False),
    ],
)
def test_the_narrowest_bound_within_the_first_estimate_is_taken(value, bound, allowed, is_taken):
    own, found = Estimate.empty(1), Estimate.empty(1)
    own.value[0], own.bound[0] = 0.0, 1.0
    found.value[0], found.bound[0], found.step[0] = 0.5, 0.5, 2.0
    given = (np.array([x]) for x in (allowed, value, bound, 4.0))
    module._take(own, found, *given)
    best = (value, bound, 4.0) if is_taken else (0.5, 0.5, 2.0)
    assert (found.value[0], found.bound[0], found.step[0]) == best


IS, KINK, NONE = Status.RESOLVED, Status.KINK, Status.NO_STEP


@pytest.mark.parametrize(
    ("left", "right", "best"),
    [
        ((0.1, 0.3, IS), (0.2, 0.2, IS), (0.2, 0.2)),  # they agree: the narrower one
        ((0.1, 0.2, IS), (0.2, 0.3, IS), (0.1, 0.2)),
        ((-0.25, 0.25, IS), (0.25, 0.25, IS), (-0.25, 0.25)),
        ((-0.3, 0.25, IS), (0.25, 0.25, IS), None),  # both are within, and exclude each other
        ((-1.5, 0.1, IS), (0.5, 0.2, IS), (0.5, 0.2)),  # one is not within: it does not count
        ((-0.5, 0.1, IS), (1.5, 0.2, IS), (-0.5, 0.1)),
        ((-1.5, 0.1, IS), (1.5, 0.2, IS), None),
        ((-1.0, 0.1, IS), (0.5, 0.2, IS), None),
        ((-0.5, 0.1, IS), (1.0, 0.2, IS), None),
        ((0.1, 0.3, KINK), (0.2, 0.2, IS), None),  # one side is not known
        ((0.1, 0.3, IS), (0.2, 0.2, KINK), None),
        ((0.1, np.inf, NONE), (0.2, 0.2, IS), None),
        ((0.1, 0.3, IS), (np.nan, np.inf, NONE), None),
    ],
)
def test_both_sides_are_known_and_agree_where_one_is_taken(left, right, best, monkeypatch):
    asked, axes = [], np.array([2])

    def on_side(side):
        asked.append(left if side < 0 else right)
        return nullcontext()

    def differences(lines, noise, coordinates):
        assert coordinates is axes
        every = Estimate.empty(3)
        every.value[2], every.bound[2], every.status[2] = asked[-1]
        return every

    monkeypatch.setattr(module, "finite_difference", differences)
    own, found = Estimate.empty(1), Estimate.empty(1)
    for one in (own, found):
        one.value[0], one.bound[0] = 0.0, 1.0
    module._on_one_side(SimpleNamespace(on_side=on_side), None, axes, own, found)
    assert asked == [left, right]
    assert (found.value[0], found.bound[0]) == (best or (0.0, 1.0))


@pytest.mark.parametrize("sixth", [False, True])
@pytest.mark.parametrize("level", module.LEVELS)
@pytest.mark.parametrize("seed", range(3))
def test_a_step_has_the_noise_and_the_two_disagreements_of_its_formula(
    level, sixth, seed, monkeypatch
):
    """One level is smooth; D's table makes one formula the better one there."""
    generator = np.random.default_rng(seed)
    D, growth = (dict(zip(range(-9, 9), generator.uniform(0, 1, 18), strict=True)) for _ in "Dg")
    if sixth:  # D6 = 1 at each step
        D = {i: 1 + 16.0**i for i in D}
    points = SimpleNamespace(
        mantissas=np.array([1.5]),
        steps=lambda e: np.ldexp(1.5, e),
        derivative=lambda _, e: (np.array([D[int(e[0])]]), np.array([growth[int(e[0])]])),
    )
    monkeypatch.setattr(module, "fades", lambda points, e, noise, rows: e == level)
    noise = SimpleNamespace(bound_at=lambda growth: 1e-3 * growth)
    own, found = Estimate.empty(1), Estimate.empty(1)
    own.value[0], own.bound[0], found.bound[0] = 0.0, 99.0, 99.0
    module._at_other_steps(points, noise, own, found, np.array([1.5]))
    i, h = level, 1.5 * 2.0**level
    noisy = 3 / 2 * 1e-3 * max(growth[i], growth[i + 1]) / h
    formulas = [(D, noisy), ({k: (16 * D[k] - D[k + 1]) / 15 for k in range(-9, 8)}, 1.1 * noisy)]
    best = min(
        (noise + 2 * max(abs(F[i] - F[i + 1]), abs(F[i] - F[i - EIGHTH])), F[i])
        for F, noise in formulas
    )
    assert (found.bound[0], found.value[0], found.step[0]) == pytest.approx((*best, h), rel=1e-9)
    assert not sixth or found.value[0] == pytest.approx(1, rel=1e-9)


def test_the_passes_that_narrower_bounds_take_are_shared_by_their_coordinates(monkeypatch):
    lines, rows = SimpleNamespace(forward_passes=100), np.array([0, 2])

    def taking(passes):
        def take(*_):
            lines.forward_passes += passes

        return take

    monkeypatch.setattr(module, "AxisPoints", lambda lines, rows: None)
    monkeypatch.setattr(module, "_at_other_steps", taking(20))
    monkeypatch.setattr(module, "_on_one_side", taking(7))
    estimate = Estimate.empty(3)
    estimate.bound[:], estimate.evaluations[:] = 1.0, 5
    for wanted, beside, passes in ((2.0, 1.0, 20), (0.5, np.nan, 27), (0.5, 1.0, 47)):
        found = module.narrower(lines, None, estimate, rows, np.full(2, wanted), np.full(2, beside))
        assert found.evaluations.tolist() == [5 + passes // 2] * 2
