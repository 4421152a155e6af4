"""All response curves of one engine, judged by one rounding model, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

from gradcheck.response.curve import HIDDEN, WEIGHT, Curve
from gradcheck.response.curves import DTYPES, curves
from gradcheck.response.digits import lost_digits, not_finite
from gradcheck.response.intervals import Interval, intervals
from gradcheck.response.names import Name, about_of, names, told_of_names
from gradcheck.response.words import sentences, told_of_digits, told_of_loss

if TYPE_CHECKING:
    from gradcheck.engines.base import Engine

T = TypeVar("T")

INTERVALS = ("intervals", "lost", "unbounded")

STANDARD = "flushed"
"""p - y, a (1 - a), and 0 for numbers below the normal range: what nobody calls a mistake."""


@dataclass(frozen=True)
class Responses:
    """What an engine's response curves come to.

    Attributes:
        model: the rounding model whose bound is asked of it.
        intervals: where it leaves that bound.
        lost: where residual and slope have no digit left, which the model may allow.
        unbounded: where its loss is infinite or NaN.
        names: formulas that give a curve as a whole.
        curves: those that leave the bound, to be drawn.
        calls: how often the engine was asked.
    """

    model: str
    intervals: tuple[Interval, ...] = ()
    lost: tuple[Interval, ...] = ()
    unbounded: tuple[Interval, ...] = ()
    names: tuple[Name, ...] = ()
    curves: tuple[Curve, ...] = ()
    calls: int = 0

    @classmethod
    def of(cls, measured: Iterable[Curve], model: str = STANDARD) -> Responses:
        """Judge curves by a model.

        Args:
            measured: all curves of an engine, of any dtypes.
            model: a name in `gradcheck.rounding.ARITHMETICS`.
        """
        measured = tuple(measured)
        by_curve = [(curve, intervals(curve, model)) for curve in measured]
        asked = {(c.loss, c.y, c.dtype, c.quantity in HIDDEN): c.calls for c in measured}
        return cls(
            model,
            tuple(i for _, found in by_curve for i in found),
            lost_digits(measured),
            not_finite(measured),
            names(measured, {about_of(curve) for curve, found in by_curve if found}),
            tuple(curve for curve, found in by_curve if found and curve.quantity != WEIGHT),
            sum(asked.values()),
        )

    @property
    def is_within(self) -> bool:
        """Whether no curve leaves the bound."""
        return not self.intervals

    def sentences(self) -> tuple[str, ...]:
        """Say what formula gives whole curves, where the bound is left, and what is given there."""
        named = {(name.quantity, name.dtype) for name in self.names}
        return (*told_of_names(self.names), *sentences(self.intervals, named))

    def notes(self) -> tuple[str, ...]:
        """Say where digits are lost within the bound, and where the loss is not finite."""
        return (*told_of_digits(self.lost, self.intervals), *told_of_loss(self.unbounded))

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "model": self.model,
            "sentences": list(self.sentences()),
            "notes": list(self.notes()),
            "calls": self.calls,
            **{name: [asdict(i) for i in getattr(self, name)] for name in (*INTERVALS, "names")},
            "curves": [curve.to_json() for curve in self.curves],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Responses:
        """Read what `to_json` has written."""
        intervals_, lost, unbounded = (_read(Interval, record[name]) for name in INTERVALS)
        named = _read(Name, record["names"])
        drawn = tuple(map(Curve.from_json, record["curves"]))
        return cls(record["model"], intervals_, lost, unbounded, named, drawn, int(record["calls"]))


def measure(engine: Engine, model: str = STANDARD, *, dtypes: Sequence[str] = DTYPES) -> Responses:
    """Measure an engine's response curves and judge them by a model.

    Args:
        engine: what is measured; it is called a few hundred times for each dtype.
        model: a name in `gradcheck.rounding.ARITHMETICS`.
        dtypes: those of them that the engine has are asked about.
    """
    return Responses.of([c for dtype in dtypes for c in curves(engine, dtype)], model)


def _read(kind: type[T], records: Iterable[Mapping[str, Any]]) -> tuple[T, ...]:
    """Read values of a dataclass; infinity and NaN may be words."""
    own = fields(kind)  # type: ignore[arg-type]
    return tuple(
        kind(
            **{f.name: record[f.name] if f.type == "str" else _floats(record[f.name]) for f in own}
        )
        for record in records
    )


def _floats(value: Any) -> Any:
    return tuple(map(float, value)) if isinstance(value, list | tuple) else float(value)
