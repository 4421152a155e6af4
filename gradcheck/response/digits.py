r"""Where an engine has no digit left, and where its loss is not finite.

A quantity has **no digit left** beyond t on one side of 0 if |v - f| >= |f| / 2 at every z from t
on that was asked about and where f is a normal number of the dtype. 0 in place of f has no digit;
nor has a number of another sign or another size. That is what p - y and a (1 - a) come to: they are
right to u, not to u times themselves, and no model that allows them calls it an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf

import numpy as np
import numpy.typing as npt

from gradcheck.response.curve import DELTA, LOSS, SLOPE, Curve
from gradcheck.response.intervals import Interval
from gradcheck.response.samples import INFINITE, NAN, kinds_of

LOST = "lost"
HALF = 0.5


def lost_digits(curves: Iterable[Curve]) -> tuple[Interval, ...]:
    """Return where residual and slope have no digit left.

    The residual is delta_L of the cross-entropy, or of the quadratic loss if there is no other.

    Args:
        curves: of one engine.
    """
    curves = tuple(curves)
    losses = {c.loss for c in curves if c.quantity == DELTA}
    asked = "cross_entropy" if "cross_entropy" in losses else "quadratic"
    return tuple(
        lost
        for curve in curves
        if curve.quantity == SLOPE or (curve.quantity == DELTA and curve.loss == asked)
        for lost in _lost(curve)
    )


def _lost(curve: Curve) -> Iterator[Interval]:
    z, v, e = curve.z, curve.value, curve.exact
    with np.errstate(all="ignore"):
        known = (np.abs(e) >= np.finfo(curve.dtype).tiny) & np.isfinite(v)
        none = known & ~(np.abs(v - e) < HALF * np.abs(e))
    for sign in (-1, 1):
        side = np.flatnonzero(known & (sign * z > 0))[::-sign]  # from the far end
        count = int(np.argmin(none[side])) if side.size and not none[side].all() else side.size
        if count >= 2:
            first, last = sorted((int(side[0]), int(side[count - 1])))
            outside = [first > 0 and sign > 0, last < len(z) - 1 and sign < 0]
            yield _interval(curve, first, last, LOST, outside)


def not_finite(curves: Iterable[Curve]) -> tuple[Interval, ...]:
    """Return where the loss is infinite or NaN although the exact one is a finite number.

    A loss that is never a number is one that the engine does not give.

    Args:
        curves: of one engine.
    """
    found: list[Interval] = []
    for curve in curves:
        if curve.quantity != LOSS or curve.has_no_value:
            continue
        kinds = kinds_of(curve)
        odd = np.array([k in (NAN, INFINITE, f"-{INFINITE}") for k in kinds])
        for first, last in _runs(odd, kinds):
            kind = NAN if kinds[first] == NAN else INFINITE
            outside = [first > 0, last < len(curve.z) - 1]
            found.append(_interval(curve, first, last, kind, outside))
    return tuple(found)


def _runs(
    chosen: npt.NDArray[np.bool_], kinds: npt.NDArray[np.object_]
) -> Iterator[tuple[int, int]]:
    """Yield first and last sample of every run of chosen samples of one kind."""
    start: int | None = None
    for i in range(len(chosen) + 1):
        ends = i == len(chosen) or not chosen[i] or (start is not None and kinds[i] != kinds[start])
        if start is not None and ends:
            yield start, i - 1
            start = None
        if start is None and i < len(chosen) and chosen[i]:
            start = i


def _interval(curve: Curve, first: int, last: int, kind: str, outside: list[bool]) -> Interval:
    """Make an interval; it reaches to infinity where nothing is outside."""
    z, e, v = curve.z, curve.exact, curve.value
    near, far = sorted((first, last), key=lambda i: abs(z[i]))
    number = float(v[near]) if kind == INFINITE else np.nan
    with np.errstate(all="ignore"):
        errors = np.abs(v[first : last + 1] / e[first : last + 1] - 1)
    return Interval(
        curve.quantity,
        curve.loss,
        curve.y,
        curve.dtype,
        float(z[first]) if outside[0] else -inf,
        float(z[last]) if outside[1] else inf,
        float(z[first - 1]) if outside[0] else np.nan,
        float(z[last + 1]) if outside[1] else np.nan,
        kind,
        number,
        "",
        (float(e[near]), float(e[far])),
        (float(np.min(errors)), float(np.max(errors))),
        (float(z[first]), float(z[last])),
        (float(z[near]), float(v[near]), float(e[near])),
    )
