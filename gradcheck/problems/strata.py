"""What random cases are drawn from: the tables, the limits, and one procedure that draws.

The procedure asks for every decision through `choose(factor, options)`. The deterministic sampler
deals the options out evenly; the Hypothesis strategies sample and shrink them. In every table the
simplest option stands first, which is what a failing example shrinks to, and the frequent ones
are repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any, Protocol, TypedDict, TypeVar

from gradcheck.problem import DTYPES, LOSSES, REDUCTIONS, require_name
from gradcheck.problems.corners import (
    CORNERS,
    LEAST_BATCH,
    LEAST_OUTPUTS,
    REQUIRED_TARGETS,
    TARGETS,
)

T = TypeVar("T")

WEIGHT_SCALES = (1.0, 0.3, 3.0, 0.1, 10.0, 30.0, 100.0, 300.0)
LEAST_PREACTIVATION = 1.0
"""The least bound of |z| that cases can be drawn within: weights of scale 0.1 seldom exceed it."""

DEPTHS = (1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 7, 8)
# Every table of widths begins like the narrow one: a width keeps its place in the table when
# shrinking takes its class away.
NARROW = (1, 2, 3, 4, 5, 6)
EIGHTS = (8, 7, 9, 8, 7, 9, 16, 15, 17, 16, 15, 17, 24, 23, 25, 32, 31, 33, 40, 39)
BROAD = tuple(range(1, 41))
WIDE = (200,)
WIDTHS = {
    "narrow": NARROW,
    "eights": NARROW + 3 * EIGHTS,
    "broad": BROAD,
    "wide": NARROW + 30 * WIDE,
    "bottleneck": NARROW + 2 * EIGHTS[:3],
}
# The bottleneck, impossible at depth 1, stands last: the other options keep their places there,
# so that shrinking can take a layer away.
WIDTH_CLASSES = {"narrow": 6, "eights": 5, "broad": 4, "wide": 1, "bottleneck": 1}
OUTPUTS = (1, 2, 3, 4, 5, 1, 1, 1, 2)
BATCH_CLASSES = {"1": (1,), "2-8": tuple(range(2, 9)), "9-64": tuple(range(9, 65))}
BATCH_FREQUENCIES = {"1": 3, "2-8": 5, "9-64": 2}
CORNER_FREQUENCIES = dict.fromkeys(CORNERS, 1) | {"generic": len(CORNERS) - 1}
TARGET_FREQUENCIES = dict.fromkeys(TARGETS, 1) | {"binary": 3, "soft": 2}
SEEDS = range(2**32)

STRATA: dict[str, tuple[str, ...]] = {
    "depth": ("1, logistic regression", "1, several outputs", "2", "3-4", "5-8"),
    "width": ("narrow", "eights", "bottleneck", "broad", "wide"),
    "batch": tuple(BATCH_CLASSES),
    "loss": LOSSES,
    "reduction": REDUCTIONS,
    "dtype": ("float64", "float32"),
    "scale": tuple(f"{scale:g}" for scale in sorted(WEIGHT_SCALES)),
    "corner": tuple(CORNERS),
    "targets": tuple(TARGETS),
}
"""The values of every stratum that the default limits reach."""


class Choose(Protocol):
    """Decides for one of the options; `factor` says what is being decided."""

    def __call__(self, factor: str, options: Sequence[T]) -> T:
        """Return one of the options."""


class LimitsDict(TypedDict, total=False):
    """The keyword arguments of `Limits`, for the functions that pass them on."""

    dtypes: Sequence[str]
    losses: Sequence[str]
    reductions: Sequence[str]
    corners: Sequence[str]
    targets: Sequence[str]
    max_depth: int
    max_width: int
    max_outputs: int
    max_batch: int
    max_parameters: int
    max_weight_scale: float
    max_preactivation: float


@dataclass(frozen=True)
class Limits:
    """What may be drawn, for instance what an engine supports.

    A corner that the other limits rule out is not drawn (a stationary point needs targets of 1/2,
    duplicated examples a batch of 2, one-hot targets two outputs). `max_preactivation` bounds |z|
    in every unit; cases beyond it are drawn anew (`gradcheck.problems.case.sample_cases`).

    Raises:
        TypeError: a limit of the wrong type.
        ValueError: an unknown name, a bound below its least value, or limits that leave nothing.
    """

    dtypes: Sequence[str] = ("float64", "float32")
    losses: Sequence[str] = LOSSES
    reductions: Sequence[str] = REDUCTIONS
    corners: Sequence[str] = tuple(CORNERS)
    targets: Sequence[str] = tuple(TARGETS)
    max_depth: int = 8
    max_width: int = 200
    max_outputs: int = 40
    max_batch: int = 64
    max_parameters: int = 5000
    max_weight_scale: float = max(WEIGHT_SCALES)
    max_preactivation: float = inf

    def __post_init__(self) -> None:
        known = {
            "dtypes": tuple(DTYPES),
            "losses": LOSSES,
            "reductions": REDUCTIONS,
            "corners": tuple(CORNERS),
            "targets": tuple(TARGETS),
        }
        for name, values in known.items():
            object.__setattr__(self, name, _names(name, getattr(self, name), values))
        for name in ("max_depth", "max_width", "max_outputs", "max_batch"):
            _at_least(name, getattr(self, name), 1)
        _at_least("max_parameters", self.max_parameters, 2)
        _real_at_least("max_weight_scale", self.max_weight_scale, min(WEIGHT_SCALES))
        _real_at_least("max_preactivation", self.max_preactivation, LEAST_PREACTIVATION)
        if not self.feasible_corners:
            raise ValueError(
                f"nothing can be drawn: corners={self.corners} with targets={self.targets}, "
                f"max_batch={self.max_batch}, max_width={self.max_width}, "
                f"max_outputs={self.max_outputs}, max_parameters={self.max_parameters}"
            )

    @property
    def weight_scales(self) -> tuple[float, ...]:
        """The weight scales that can be drawn."""
        return tuple(scale for scale in WEIGHT_SCALES if scale <= self.max_weight_scale)

    @property
    def feasible_corners(self) -> tuple[str, ...]:
        """The corners that can be drawn within the other limits."""
        return tuple(
            corner
            for corner in self.corners
            if LEAST_BATCH.get(corner, 1) <= self.max_batch and self.feasible_targets(corner)
        )

    def feasible_targets(self, corner: str) -> tuple[str, ...]:
        """The kinds of targets that can be drawn with a corner."""
        required = REQUIRED_TARGETS.get(corner)
        return tuple(
            kind
            for kind in self.targets
            if required in (None, kind) and self.smallest(1, kind) <= self.max_parameters
            if LEAST_OUTPUTS.get(kind, 1) <= min(self.max_outputs, self.max_width)
        )

    def smallest(self, depth: int, targets: str) -> int:
        """The parameters of the smallest network of that depth: 1-1-...-1-n_L."""
        return 2 * (depth - 1) + 2 * LEAST_OUTPUTS.get(targets, 1)


def draw_case(choose: Choose, limits: Limits) -> dict[str, Any]:
    """Draw the fields of a case: structure and seed; the seed's streams fill in the numbers."""
    corner = choose("corner", _repeated(limits.feasible_corners, CORNER_FREQUENCIES))
    targets = choose("targets", _repeated(limits.feasible_targets(corner), TARGET_FREQUENCIES))
    return {
        "sizes": draw_sizes(choose, limits, targets),
        "loss": choose("loss", limits.losses),
        "reduction": choose("reduction", limits.reductions),
        "batch": draw_batch(choose, LEAST_BATCH.get(corner, 1), limits.max_batch),
        "dtype": choose("dtype", limits.dtypes),
        "weight_scale": choose("weight_scale", limits.weight_scales),
        "corner": corner,
        "targets": targets,
        "seed": choose("seed", SEEDS),
    }


def draw_batch(choose: Choose, least: int, most: int) -> int:
    """Draw the number of examples, small ones most often."""
    allowed = {
        name: [m for m in batches if least <= m <= most] for name, batches in BATCH_CLASSES.items()
    }
    names = [name for name, batches in allowed.items() if batches]
    return choose("batch", allowed[choose("batch class", _repeated(names, BATCH_FREQUENCIES))])


def draw_sizes(choose: Choose, limits: Limits, targets: str = "binary") -> tuple[int, ...]:
    """Draw n_0..n_L within the limits: narrow layers, with the class's layers put among them."""
    depths = [
        depth
        for depth in DEPTHS
        if depth <= limits.max_depth and limits.smallest(depth, targets) <= limits.max_parameters
    ]
    depth = choose("depth", depths)
    least = [1] * depth + [LEAST_OUTPUTS.get(targets, 1)]
    most = [limits.max_width] * depth + [min(limits.max_outputs, limits.max_width)]
    sizes = [
        choose("width", [n for n in table if low <= n <= high])
        for table, low, high in zip(draw_tables(choose, limits, depth), least, most, strict=True)
    ]
    return _within(limits.max_parameters, sizes, least)


def draw_tables(choose: Choose, limits: Limits, depth: int) -> list[tuple[int, ...]]:
    """Draw a class of widths and where it shows; return the table of widths of every n_l."""
    tables: list[tuple[int, ...]] = [NARROW] * depth + [OUTPUTS]
    name = choose("width class", _repeated(_feasible_widths(limits, depth), WIDTH_CLASSES))
    if name in ("eights", "broad"):
        place = choose("place", range(depth))
        tables[place] = WIDTHS[name]
        # A single output is the common case: the pair reaches into the outputs half of the time.
        if place + 1 < depth or choose("outputs too", (False, True)):
            tables[place + 1] = WIDTHS[name]
    elif name == "bottleneck":
        place = choose("place", range(1, depth))
        tables[place - 1 : place + 1] = [WIDTHS[name], (1,)]
    elif name == "wide":
        tables[choose("place", range(depth))] = WIDTHS[name]
    return tables


def depth_class(sizes: Sequence[int]) -> str:
    """Name the depth stratum of an architecture."""
    depth = len(sizes) - 1
    if depth == 1:
        return "1, logistic regression" if sizes[1] == 1 else "1, several outputs"
    return "2" if depth == 2 else "3-4" if depth <= 4 else "5-8" if depth <= 8 else "9-"


def width_class(sizes: Sequence[int]) -> str:
    """Name the width stratum of an architecture.

    wide: a layer of more than 41 units. bottleneck: a hidden layer of 1 unit behind a wider one.
    eights: a width next to a multiple of 8. narrow: at most 6 units in every layer. Else broad.
    """
    if max(sizes) > 41:
        return "wide"
    if any(before > 1 and width == 1 for before, width in pairwise(sizes[:-1])):
        return "bottleneck"
    if any(abs(width - 8 * round(width / 8)) <= 1 and width >= 7 for width in sizes):
        return "eights"
    return "narrow" if max(sizes) <= 6 else "broad"


def batch_class(batch: int) -> str:
    """Name the batch stratum."""
    return next((name for name, batches in BATCH_CLASSES.items() if batch in batches), "65-")


def _feasible_widths(limits: Limits, depth: int) -> list[str]:
    least = {"eights": 7, "bottleneck": 2, "broad": 2, "wide": WIDE[0]}
    names = [name for name in WIDTH_CLASSES if least.get(name, 1) <= limits.max_width]
    return [name for name in names if name != "bottleneck" or depth > 1]


def _within(max_parameters: int, sizes: list[int], least: list[int]) -> tuple[int, ...]:
    """Halve the widest layer until the parameters are within the limit."""
    while sum(n * (before + 1) for before, n in pairwise(sizes)) > max_parameters:
        place = max(range(len(sizes)), key=lambda place: sizes[place] - least[place])
        sizes[place] = max(least[place], sizes[place] // 2)
    return tuple(sizes)


def _repeated(names: Sequence[str], frequencies: Mapping[str, int]) -> list[str]:
    return [name for name in names for _ in range(frequencies[name])]


def _names(argument: str, values: Any, known: Sequence[str]) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise TypeError(f"{argument}={values!r}; it must be a sequence of names, as {tuple(known)}")
    if not values:
        raise ValueError(f"{argument} is empty; it must name some of {', '.join(known)}")
    for value in values:
        require_name(argument, value, known)
    return tuple(values)


def _at_least(argument: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{argument}={value!r}; it must be a whole number from {least}")
    if value < least:
        raise ValueError(f"{argument}={value}; it must be at least {least}")


def _real_at_least(argument: str, value: Any, least: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{argument}={value!r}; it must be a number from {least:g}")
    if not value >= least:
        raise ValueError(f"{argument}={value}; it must be at least {least:g}")
