"""Draws a response curve: what the engine gives beside what is right, and where it is wrong.

Both axes are logarithmic in both directions from 0 on: z by sign(z) log2(1 + |z|), values by
sign(v) log10(1 + |v| / least), where least is the smallest size that is drawn. Intervals beyond the
bound are shaded. It is an SVG of its own, in units of its view box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite, log2, log10

import numpy as np

from gradcheck.arrays import Float64Array
from gradcheck.response.curve import HIDDEN, Curve
from gradcheck.response.grid import FARTHEST
from gradcheck.response.intervals import Interval
from gradcheck.response.responses import Responses
from gradcheck.response.words import LOSSES, NAMES, plain, told_apart

WIDTH, HEIGHT = 360.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 16.0, 26.0, 34.0
DECADES = 20
"""The smallest size that is drawn is so many decades below the largest."""

Z_TICKS = (1, 10, 100, 800)
VALUE_TICKS = 3

RIGHT_COLOR, WRONG_COLOR, SHADE = "#2a7f62", "#b3261e", "#b3261e"


@dataclass(frozen=True)
class Scale:
    """Logarithmic on both sides of 0: sign(x) log(1 + |x| / least) from -most to most."""

    least: float
    low: float
    high: float
    start: float
    end: float

    def __call__(self, x: float) -> float:
        """Return the position of a number."""
        share = (self._log(x) - self._log(self.low)) / (self._log(self.high) - self._log(self.low))
        return round(self.start + share * (self.end - self.start), 1)

    def _log(self, x: float) -> float:
        size = log2(1 + abs(x) / self.least)
        return -size if x < 0 else size


def figures(responses: Responses) -> tuple[str, ...]:
    """Draw the curves that leave their bound, one picture for each label, in the first dtype.

    Args:
        responses: of one engine.
    """
    own = told_apart(responses.intervals)
    seen: set[tuple[str, str, float]] = set()
    drawn = []
    for curve in responses.curves:
        about = (curve.quantity, "", 0.0) if curve.quantity in HIDDEN else (
            curve.quantity, curve.loss, curve.y)  # fmt: skip
        shaded = [i for i in own if _is_of(i, curve)]
        if shaded and about not in seen:
            drawn.append(figure(curve, shaded))
            seen.add(about)
    return tuple(drawn)


def _is_of(i: Interval, curve: Curve) -> bool:
    return (i.quantity, i.loss, i.y, i.dtype) == (curve.quantity, curve.loss, curve.y, curve.dtype)


def figure(curve: Curve, intervals: Sequence[Interval]) -> str:
    """Draw one curve.

    Args:
        curve: as measured.
        intervals: of it, which are shaded.
    """
    x = Scale(1.0, -FARTHEST, FARTHEST, LEFT, WIDTH - RIGHT)
    y = _values(curve)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" '
        'font-family="sans-serif" font-size="10">',
        f"<title>{escape(title(curve))}: engine and exact</title>",
        f'<text x="{LEFT:g}" y="14" font-size="11">{escape(title(curve))}: '
        f'<tspan fill="{WRONG_COLOR}">engine</tspan> and '
        f'<tspan fill="{RIGHT_COLOR}">exact</tspan></text>',
        *(_shade(i, x) for i in intervals),
        *_axes(x, y),
        _line(curve.z, curve.exact, x, y, f'stroke="{RIGHT_COLOR}" stroke-width="3" opacity="0.5"'),
        _line(
            curve.z,
            _connected(curve, intervals),
            x,
            y,
            f'stroke="{WRONG_COLOR}" stroke-width="1.2"',
        ),
        *_alone(intervals, x, y),
        "</svg>",
    ]
    return "".join(parts)


def title(curve: Curve) -> str:
    """Return what a figure shows."""
    name = NAMES[curve.quantity]
    tags = [] if curve.quantity in HIDDEN else [f"y = {curve.y:g}"]
    if tags and curve.loss == "quadratic":
        tags.append(LOSSES[curve.loss])
    label = f" ({', '.join(tags)})" if tags else ""
    return f"{name}{label}, {curve.dtype}"


def _values(curve: Curve) -> Scale:
    finite = np.concatenate([curve.value[np.isfinite(curve.value)], curve.exact])
    most = float(np.abs(finite).max(initial=1e-300)) or 1.0
    least = most * 10.0**-DECADES
    low, high = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
    return Scale(least, min(low, 0.0), max(high, 0.0) or least, HEIGHT - BOTTOM, TOP)


def _shade(i: Interval, x: Scale) -> str:
    low, high = x(max(i.low, -FARTHEST)), x(min(i.high, FARTHEST))
    width = max(high - low, 2.0)
    return (
        f'<rect x="{low:g}" y="{TOP:g}" width="{width:g}" height="{HEIGHT - TOP - BOTTOM:g}" '
        f'fill="{SHADE}" opacity="0.1"/>'
    )


def _axes(x: Scale, y: Scale) -> list[str]:
    bottom = HEIGHT - BOTTOM
    ticks = [
        f'<rect x="{LEFT:g}" y="{TOP:g}" width="{WIDTH - LEFT - RIGHT:g}" '
        f'height="{bottom - TOP:g}" fill="none" stroke="#999"/>'
    ]
    for z in (*(-t for t in reversed(Z_TICKS)), 0, *Z_TICKS):
        ticks.append(f'<path d="M{x(z):g} {bottom:g}v4" stroke="#999"/>')
        ticks.append(f'<text x="{x(z):g}" y="{bottom + 14:g}" text-anchor="middle">{z}</text>')
    for v in _ticks(y):
        told = plain(f"{v:.0e}") if v else "0"
        ticks.append(f'<path d="M{LEFT - 4:g} {y(v):g}h4" stroke="#999"/>')
        ticks.append(f'<text x="{LEFT - 7:g}" y="{y(v) + 3.5:g}" text-anchor="end">{told}</text>')
    ticks.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:g}" y="{HEIGHT - 4:g}" text-anchor="middle">z</text>'
    )
    return ticks


def _ticks(y: Scale) -> list[float]:
    most = max(abs(y.low), abs(y.high))
    decades = [
        10.0 ** (int(np.floor(log10(most))) - k * DECADES // VALUE_TICKS)
        for k in range(VALUE_TICKS)
    ]
    signed = [sign * v for v in decades for sign in (-1, 1)]
    return [0.0, *(v for v in signed if y.low <= v <= y.high)]


def _line(z: Float64Array, v: Float64Array, x: Scale, y: Scale, style: str) -> str:
    """Draw a line through the numbers; it is broken where there is none."""
    path, pen = [], "M"
    for a, b in zip(z.tolist(), v.tolist(), strict=True):
        if isfinite(b):
            path.append(f"{pen}{x(a):g} {y(b):g}")
        pen = "L" if isfinite(b) else "M"
    return f'<path d="{"".join(path)}" fill="none" {style}/>'


def _connected(curve: Curve, intervals: Sequence[Interval]) -> Float64Array:
    """Return the values without those of single points, which have marks of their own."""
    points = [i.low for i in intervals if i.is_point]
    return np.where(np.isin(curve.z, points), curve.exact, curve.value)


def _alone(intervals: Sequence[Interval], x: Scale, y: Scale) -> list[str]:
    """Mark intervals of one point."""
    points = [i for i in intervals if i.is_point and isfinite(i.shown[1])]
    return [
        f'<circle cx="{x(i.low):g}" cy="{y(i.shown[1]):g}" r="3" fill="{WRONG_COLOR}"/>'
        for i in points
    ]
