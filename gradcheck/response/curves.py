"""Measures the response curves of an engine: loss and gradient of one unit as functions of z.

First z runs over a grid (grid.py). Then, wherever a curve changes its kind between two neighbours,
the place is sought by halving: where it leaves or enters the bound of a model, where it becomes 0,
infinite or NaN, where its last digit is lost, where an answer ceases. Of many such places on one
side of 0 the first and the last are sought.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Float64Array
from gradcheck.response.curve import ACTIVATION, DELTA, LOSS, SLOPE, WEIGHT, Curve
from gradcheck.response.grid import FARTHEST, between, grid
from gradcheck.response.samples import flat_runs
from gradcheck.response.sweep import REFUSED, Answer, EngineGoneError, Network, ask

if TYPE_CHECKING:
    from gradcheck.engines.base import Engine, EngineInfo

MODELS = ("cancellation_free", "flushed")
"""Whose bounds a curve is seen to leave at the right place."""

DTYPES = ("float64", "float32")
LABELS = (0.0, 1.0)
KINDS = {"binary": LABELS, "zeros": (0.0,), "ones": (1.0,)}
"""Labels by the kinds of targets that an engine may be limited to."""

WIDTHS = 6.0
"""|W| and |b| are taken to half as many weight scales, which are standard deviations."""

PATIENCE = 4
"""So many refusals before the first answer, and an engine is not asked about a network again."""

MOST_CALLS = 220
"""Calls for one network."""

LAST_DIGIT = 0.5
"""The relative error from which on no digit is right."""


def curves(
    engine: Engine,
    dtype: str,
    *,
    most_calls: int = MOST_CALLS,
    depths: Sequence[int] = (1, 2),
) -> tuple[Curve, ...]:
    """Measure an engine's response curves in one dtype.

    A network of one unit is asked for both labels and every loss; the hidden unit of 1-1-1 once for
    every loss, with label 1 and 0 in turn. What the engine does not support is left out.

    Args:
        engine: what is measured; it is called a few hundred times.
        dtype: "float64" or "float32".
        most_calls: for one network; there are six at most.
        depths: of the networks.

    Returns:
        The curves; none where the engine answers nothing. `calls` of each says how often it was
        asked for those of one network together.
    """
    measured: list[Curve] = []
    for network in networks(engine, dtype, depths):
        sweep = _Sweep(engine, network, most_calls)
        measured += sweep.run()
        if sweep.is_gone:
            break
    return tuple(measured)


def networks(engine: Engine, dtype: str, depths: Sequence[int] = (1, 2)) -> Iterator[Network]:
    """Yield what an engine is asked about, within its limits."""
    info = engine.info
    if dtype not in info.dtypes or dtype not in DTYPES:
        return
    deepest = info.limits.get("max_depth") or max(depths)
    kinds = info.limits.get("targets") or KINDS
    labels = [y for y in LABELS if any(y in KINDS[kind] for kind in kinds if kind in KINDS)]
    for depth in (d for d in depths if d <= deepest and (d == 1 or reach(info) >= 2)):
        for number, loss in enumerate(info.losses):
            own = (
                labels if depth == 1 else labels[-1 - number % len(labels) :][:1] if labels else ()
            )
            for y in own:
                yield Network(depth, loss, info.reductions[0], y, dtype)


def reach(info: EngineInfo) -> float:
    """Return how far from 0 an engine lets z be taken."""
    scale = info.limits.get("max_weight_scale", inf)
    return float(min(FARTHEST, info.limits.get("max_preactivation", inf), WIDTHS * scale))


@dataclass
class _Sweep:
    """The answers to one network."""

    engine: Engine
    network: Network
    most_calls: int
    answers: dict[float, Answer] = field(default_factory=dict)
    is_gone: bool = False

    def run(self) -> list[Curve]:
        """Ask about the grid, then halve."""
        try:
            farthest = reach(self.engine.info)
            if self._refuses_all([z for z in grid(self.network.dtype) if abs(z) <= farthest]):
                return []
            while (wanted := self._between()) and len(self.answers) < self.most_calls:
                for z in wanted[: self.most_calls - len(self.answers)]:
                    self._ask(z)
        except EngineGoneError:
            self.is_gone = True
        return self._curves()

    def _ask(self, z: float) -> Answer:
        if z not in self.answers:
            self.answers[z] = ask(self.engine, self.network, z)
        return self.answers[z]

    def _refuses_all(self, zs: list[float]) -> bool:
        """Ask about every z, from the middle of the grid outward, unless all is refused."""
        for z in sorted(zs, key=lambda z: (abs(abs(z) - 1), z)):
            self._ask(z)
            told = [answer.told for answer in self.answers.values()]
            if len(told) == PATIENCE and all(t.startswith(REFUSED) for t in told):
                return True
        return False

    def _between(self) -> list[float]:
        """Return where to ask next: the middle of every bracket that is too wide."""
        found = set()
        measured = self._curves()
        for curve in (c for n, c in enumerate(measured) if not _is_same(c, measured[n - 1])):
            for low, high in brackets(curve):
                middle = between(low, high, curve.dtype)
                if middle is not None:
                    found.add(middle)
        return sorted(found)

    def _curves(self) -> list[Curve]:
        if not self.answers:
            return []
        asked = [self.answers[z] for z in sorted(self.answers)]
        return list(_of_answers(asked, self.network))


def _is_same(one: Curve, other: Curve) -> bool:
    """Whether dC/dW is the delta that it is, times 1."""
    pair = (one.quantity, other.quantity) == (WEIGHT, DELTA)
    return pair and np.array_equal(one.value, other.value, equal_nan=True)


def _of_answers(asked: list[Answer], network: Network) -> Iterator[Curve]:
    if network.depth > 1:  # an error of 0 above shows nothing of the unit below
        asked = [answer for answer in asked if answer.bias_above != 0]
    told = tuple(answer.told for answer in asked)

    def column(name: str) -> Float64Array:
        return np.array([getattr(answer, name) for answer in asked], np.float64)

    def curve(quantity: str, value: Float64Array) -> Curve:
        common = (network.loss, network.y, network.dtype, column("z"), value, told, len(asked))
        return Curve(quantity, *common)

    if network.depth == 1:
        yield curve(DELTA, column("bias"))
        yield curve(WEIGHT, column("weight"))
        yield curve(LOSS, column("cost"))
        return
    with np.errstate(all="ignore"):
        above = column("bias_above")
        yield curve(SLOPE, column("bias") / above)
        yield curve(ACTIVATION, column("weight_above") / above)


# ------------------------------------------------------------------------------- where kinds change


def brackets(curve: Curve) -> set[tuple[float, float]]:
    """Return neighbours between which a curve changes its kind: first and last on each side of 0.

    Args:
        curve: in its present state.
    """
    found: set[tuple[float, float]] = set()
    z = curve.z
    for kinds in _kinds(curve):
        changes = np.flatnonzero(kinds[1:] != kinds[:-1])
        for side in (changes[z[changes + 1] <= 0], changes[z[changes] >= 0]):
            if side.size:
                found |= {(float(z[i]), float(z[i + 1])) for i in (side[0], side[-1])}
    return found


def _kinds(curve: Curve) -> Iterator[npt.NDArray[Any]]:
    """Yield what is asked of every value: in a bound, 0, finite, with a digit, an answer."""
    for model in MODELS:
        yield curve.is_beyond(model)
    value, exact = curve.value, curve.exact
    with np.errstate(all="ignore"):
        yield (value == 0) & (exact != 0)
        yield np.where(np.isnan(value), 2, np.isinf(value))
        yield ~(np.abs(value - exact) < LAST_DIGIT * np.abs(exact)) & (exact != 0)
    yield flat_runs(curve)
    yield np.array(curve.told, object)
