"""Where the dots of a figure stand: the worst |deviation| / allowance against the weight scale.

Both axes are logarithmic; ratios that are 0 or next to it have a row of their own, and so have
infinite ones. Dots of one
weight scale that would lie on each other are one dot, whose area grows with their number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, inf, isnan, log10, sqrt

from gradcheck.verification.findings import COUNTED, FAIL, KNOWN
from gradcheck.verification.summary import Property
from gradcheck.verification.tally import Entry
from gradcheck.verification.words import count, number

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 58, 46, 20, 40
ROW = 18.0  # the height of the row of the least ratios, and of that of infinite ones
LEAST = -4  # the lowest decade of the axis
BINS = 10  # dots a decade
TICKS = 6
SCALES_NAMED = 8


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Dot:
    """One or more problems; `told` says which."""

    x: float
    y: float
    radius: float
    verdict: str
    told: str


@dataclass(frozen=True)
class Panel:
    """The figure of one property, in units of its own view box.

    Attributes:
        name: the property.
        dots: the FAILs last, so that they are drawn on top.
        x_ticks, y_ticks: of the axes.
        limit: the height of ratio 1, where deviation and allowance are equal.
        told: the figure in a sentence.
    """

    name: str
    dots: tuple[Dot, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    limit: float
    told: str


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis from 10^low to 10^high between two positions."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, logarithm: float) -> float:
        """Return the position of 10^logarithm."""
        share = (logarithm - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def panel(p: Property) -> Panel | None:
    """Return the figure of a property, or None where no ratio was recorded."""
    points = list(_points(p.entries))
    if not points:
        return None
    scales = sorted({scale for scale, _, _ in points})
    logs = [log10(times) for _, times, _ in points if 0 < times < inf]
    low, high = max(LEAST, floor(min([0.0, *logs]))), ceil(max([0.0, *logs]))
    y = Axis(low, max(high, low + 1), HEIGHT - BOTTOM - ROW, TOP + ROW)
    x = Axis(log10(scales[0]) - 0.3, log10(scales[-1]) + 0.3, LEFT, WIDTH - RIGHT)
    failed = sum(verdict in (FAIL, KNOWN) for _, _, verdict in points)
    told = f"{p.name}: {count(len(points), 'problem')}, {failed:,} of them above the allowance"
    return Panel(p.name, _dots(points, x, y), _scales(scales, x), _decades(y, points), y(0), told)


def _points(entries: Iterable[Entry]) -> Iterable[tuple[float, float, str]]:
    """Yield weight scale, ratio and verdict."""
    for entry in entries:
        at = entry.finding.worst
        if at is not None and "scale" in entry.strata:
            times = inf if isnan(at.times) else abs(at.times)
            yield float(entry.strata["scale"]), times, entry.finding.verdict


def _dots(points: Sequence[tuple[float, float, str]], x: Axis, y: Axis) -> tuple[Dot, ...]:
    counts = Counter((scale, _height(times, y), verdict) for scale, times, verdict in points)
    order = sorted(counts, key=lambda key: (-COUNTED.index(key[2]), key[:2]))
    order.sort(key=lambda key: key[2] == FAIL)
    return tuple(
        Dot(
            x(log10(scale)),
            height,
            round(min(2 + sqrt(counts[scale, height, verdict]) / 1.5, 7), 1),
            verdict,
            f"{count(counts[scale, height, verdict], 'problem')}, {verdict}, scale {scale:g}",
        )
        for scale, height, verdict in order
    )


def _height(times: float, y: Axis) -> float:
    if times < 10.0**LEAST:
        return y.start + ROW
    return y.end - ROW if times == inf else y(round(log10(times) * BINS) / BINS)


def _scales(scales: Sequence[float], x: Axis) -> tuple[Tick, ...]:
    if len(scales) > SCALES_NAMED:
        decades = range(ceil(x.low), floor(x.high) + 1)
        return tuple(Tick(x(k), number(10.0**k)) for k in decades)
    return tuple(Tick(x(log10(scale)), f"{scale:g}") for scale in scales)


def _decades(y: Axis, points: Sequence[tuple[float, float, str]]) -> tuple[Tick, ...]:
    step = ceil((y.high - y.low) / TICKS)
    ticks = [
        Tick(y(k), number(10.0**k)) for k in range(int(y.low), int(y.high) + 1) if k % step == 0
    ]
    least = max((times for _, times, _ in points if times < 10.0**LEAST), default=None)
    if least is not None:
        ticks.append(Tick(y.start + ROW, f"< {number(10.0**LEAST)}" if least else "0"))
    if any(times == inf for _, times, _ in points):
        ticks.append(Tick(y.end - ROW, "∞"))
    return tuple(ticks)
