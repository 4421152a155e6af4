r"""Wrong errors with a limit or an epsilon in them, as families whose limit is fitted.

Symbols: t the limit, e an epsilon. a clipped to [e, 1 - e] is z clipped to [-c, c], where
e = sigmoid(-c).
"""

# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.formula import HIDDEN, OUTPUT
from gradcheck.diagnosis.symbols import sigmoid, slope
from gradcheck.diagnosis.thresholds import Family, Naming

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.diagnosis.symbols import Symbols
    from gradcheck.diagnosis.thresholds import Delta, Sizes

Beyond = Callable[["Symbols", int], "Array | None"]

Z_LIMITS = (15.0, 20.0, 30.0, 10.0, 40.0, 50.0, 100.0, 36.0, 37.0, 5.0, 6.0, 8.0, 12.0, 16.0, 18.0,
            25.0, 35.0, 45.0, 60.0, 80.0, 88.0, 200.0, 500.0, 700.0, 709.0, 4.0, 3.0, 2.0, 1.0,
            0.0)  # fmt: skip
EPSILONS = (1e-7, 1e-8, 1e-12, 1e-15, 1e-6, 1e-10, 2.0**-52, 1e-16, 1e-9, 2.0**-23, 1e-5, 1e-4,
            1e-3, 0.01, 1e-11, 1e-13, 1e-14, 0.05, 0.1, 1e-20, 1e-30)  # fmt: skip
CLIPS = (1.0, 5.0, 0.5, 0.1, 10.0, 0.01, 0.25, 2.0, 3.0, 100.0, 1e-3)
TINY = tuple(10.0**-k for k in range(2, 17))

SIDES: dict[str, tuple[str, Sizes]] = {
    "both": ("|z_{l}| is beyond {limit}", lambda s, k: np.abs(s.z[k])),
    "upper": ("z_{l} is beyond {limit}", lambda s, k: s.z[k]),
    "lower": ("-z_{l} is beyond {limit}", lambda s, k: -s.z[k]),
}
LABELS: dict[str, Callable[[Array], Array] | None] = {
    "": None,
    " and Y = 1": lambda Y: Y == 1,
    " and Y = 0": lambda Y: Y == 0,
    " and Y > 1/2": lambda Y: Y > 0.5,
    " and Y < 1/2": lambda Y: Y < 0.5,
}


def limited(sizes: Sizes, label: Callable[[Array], Array] | None) -> Sizes:
    """Compare the limit with examples of one label only."""

    def those(s: Symbols, layer: int) -> Array | None:
        v = sizes(s, layer)
        return v if label is None or v is None else np.where(label(s.Y), v, -np.inf)

    return those


def has_others(label: Callable[[Array], Array] | None) -> Callable[[Symbols], bool]:
    """Whether there are targets of a label and others: else nothing is known of the label."""

    def both(s: Symbols) -> bool:
        return label is None or bool(label(s.Y).any() and not label(s.Y).all())

    return both


def step(sizes: Sizes, beyond: Beyond) -> Delta:
    """Put something else in the place of delta_l beyond the limit."""

    def delta(s: Symbols, layer: int, t: Array) -> Array | None:
        v, other = sizes(s, layer), beyond(s, layer)
        return None if v is None or other is None else np.where(v > t, other, s.error(layer))

    return delta


def zero(s: Symbols, layer: int) -> Array:
    """0."""
    return 0 * s.z[layer]


def cut_off(s: Symbols, layer: int) -> Array:
    """(a - Y) / M [* sigmoid'(z)] with a = 0 or 1; a slope that is cut off too makes it 0."""
    return ((s.z[layer] > 0) - s.Y) * s.top


def without_slope(s: Symbols, layer: int) -> Array | None:
    """delta_l without sigmoid'(z_l)."""
    if layer < s.L:
        return s.passed_down(layer)
    return s.residual / s.M if s.is_quadratic else None


def targets_alone(s: Symbols, _: int) -> Array | None:
    """-Y / M."""
    return -s.Y * s.top


BEYOND: tuple[tuple[str, str, str, Beyond], ...] = (
    ("0 where saturated", OUTPUT, "is 0", zero),
    ("cut off", OUTPUT, "has 0 or 1 for a_{l}", cut_off),
    ("slope 1 where saturated", OUTPUT, "has 1 for sigmoid'(z_{l})", without_slope),
    ("Y alone where saturated", OUTPUT, "has 0 for a_{l}", targets_alone),
    ("slope 0 where saturated", HIDDEN, "is 0", zero),
    ("slope 1 where saturated", HIDDEN, "has 1 for sigmoid'(z_{l})", without_slope),
)


def _steps(key: str, place: str, says: str, beyond: Beyond, side: str, label: str) -> Family:
    where, sizes = SIDES[side]
    sizes = limited(sizes, LABELS[label])
    told = f"delta_{{l}} {says} where {where}{label}"
    meant = has_others(LABELS[label])
    return Family(key, place, told, step(sizes, beyond), sizes, Z_LIMITS, is_meant=meant)


STEPS = (
    *(_steps(*row, side, "") for row in BEYOND for side in SIDES),
    *(_steps(*row, side, label) for row, side, label in product(BEYOND[:2], SIDES, LABELS)
      if row[1] == OUTPUT and label),
)  # fmt: skip


# --- clips ----------------------------------------------------------------------------------------


def bounded(z: Array, e: Array, side: str) -> Array:
    """Clip z where a would be beyond [e, 1 - e], on one side or on both."""
    c = np.log((1 - e) / e)
    return np.clip(z, -c if side != "upper" else -np.inf, c if side != "lower" else np.inf)


def tail(side: str) -> Sizes:
    """min(a, 1 - a), or one of them: what is below e is clipped."""
    sign = {"upper": 1, "lower": -1}
    return lambda s, k: sigmoid(-sign[side] * s.z[k] if side in sign else -np.abs(s.z[k]))


def clipped(side: str, value: Callable[[Symbols, int, Array], Array | None]) -> Delta:
    """delta_L by its value for z clipped."""
    return lambda s, k, e: value(s, k, bounded(s.z[k], e, side))


def plain(s: Symbols, _: int, z: Array) -> Array:
    """(a_clipped - Y) / M [* sigmoid'(z)]."""
    return ((1 - s.Y) * sigmoid(z) - s.Y * sigmoid(-z)) * s.top


def chained(s: Symbols, layer: int, z: Array) -> Array | None:
    """(a_clipped - Y) / (a_clipped (1 - a_clipped)) * a (1 - a) / M."""
    if s.is_quadratic:
        return None
    return ((1 - s.Y) / sigmoid(-z) - s.Y / sigmoid(z)) * s.s(layer) * s.top


def clipped_in_denominator(side: str) -> Delta:
    """The same as numbers near 1 have it: 1 - a and 1 - a_clipped have few digits."""
    low, high = side != "upper", side != "lower"

    def delta(s: Symbols, layer: int, e: Array) -> Array | None:
        a, rest = rounded_parts(s, layer)
        c = np.minimum(np.maximum(a, e if low else 0.0), 1 - e if high else 1.0)
        return None if s.is_quadratic else ((1 - s.Y) / (1 - c) - s.Y / c) * a * rest * s.top

    return delta


def both_clipped(s: Symbols, _: int, z: Array) -> Array | None:
    """(a_clipped - Y) sigmoid'(z_clipped) / M."""
    return ((1 - s.Y) * sigmoid(z) - s.Y * sigmoid(-z)) * slope(z) / s.M if s.is_quadratic else None


def slope_clipped(s: Symbols, layer: int, z: Array) -> Array | None:
    """The right error above, times sigmoid'(z_clipped)."""
    if layer < s.L:
        return s.passed_down(layer) * slope(z)
    return s.residual * slope(z) / s.M if s.is_quadratic else None


INTERVALS = {
    "both": "[{limit}, 1 - {limit}]",
    "lower": "[{limit}, 1]",
    "upper": "[0, 1 - {limit}]",
}

FLOORS = (0.01, 0.1, 0.05, 1e-3, 1e-4, 1e-5, 1e-6, 0.02, 0.2)

SLOPE_NAMES = (
    Naming("delta_{l} has z_{l} clipped to [-{limit}, {limit}] in sigmoid'(z_{l})",
           lambda e: float(np.log((1 - e) / e)) if e > 0 else np.inf,
           lambda c: float(1 / (1 + np.exp(c))), Z_LIMITS),
    Naming("delta_{l} has max(sigmoid'(z_{l}), {limit}) for sigmoid'(z_{l})",
           lambda e: e * (1 - e), lambda f: (1 - float(np.sqrt(1 - 4 * f))) / 2, FLOORS),
)  # fmt: skip

CLIPPED = tuple(
    Family(key, place, f"delta_{{l}} {says.format(INTERVALS[side])}", clipped(side, value),
           tail(side), EPSILONS, is_step=False,
           also=SLOPE_NAMES if value is slope_clipped and side == "both" else (),
           rounded=clipped_in_denominator(side) if value is chained else None)
    for key, place, says, value in (
        ("clipped", OUTPUT, "has a_{{l}} clipped to {}", plain),
        ("clipped in the denominator", OUTPUT,
         "has a_{{l}} clipped to {} in its denominator a_{{l}} (1 - a_{{l}})", chained),
        ("clipped twice", OUTPUT, "has a_{{l}} clipped to {}, in sigmoid' too", both_clipped),
        ("slope of a clipped", OUTPUT, "has a_{{l}} clipped to {} in sigmoid'(z_{{l}})",
         slope_clipped),
        ("slope of a clipped", HIDDEN, "has a_{{l}} clipped to {} in sigmoid'(z_{{l}})",
         slope_clipped),
    )
    for side in SIDES
)  # fmt: skip


# --- epsilons -------------------------------------------------------------------------------------


Parts = Callable[["Symbols", int], "tuple[Array, Array]"]
"""a and 1 - a."""


def exact_parts(s: Symbols, layer: int) -> tuple[Array, Array]:
    """sigmoid(z) and sigmoid(-z)."""
    return sigmoid(s.z[layer]), sigmoid(-s.z[layer])


def rounded_parts(s: Symbols, layer: int) -> tuple[Array, Array]:
    """A as its dtype has it, and 1 - a, which has few digits near 0."""
    a = sigmoid(s.z[layer]).astype(s.problem.dtype)
    return a.astype(float), (1 - a).astype(float)


def logarithms(parts: Parts, *, first: bool, second: bool) -> Delta:
    """(-Y / (a + e) + (1 - Y) / (1 - a + e)) a (1 - a) / M, e in one term or in both."""

    def delta(s: Symbols, layer: int, e: Array) -> Array | None:
        if s.is_quadratic:
            return None
        a, rest = parts(s, layer)
        one = s.Y * a * rest / (a + e * first)
        other = (1 - s.Y) * a * rest / (rest + e * second)
        return (other - one) / s.M

    return delta


def one_moved(parts: Parts) -> Delta:
    """(-Y / (a + e) + (1 - Y) / (1 - (a + e))) a (1 - a) / M."""

    def delta(s: Symbols, layer: int, e: Array) -> Array | None:
        a, rest = parts(s, layer)
        if s.is_quadratic:
            return None
        return ((1 - s.Y) * a * rest / (rest - e) - s.Y * a * rest / (a + e)) / s.M

    return delta


def added_below(parts: Parts) -> Delta:
    """(a - Y) s / (s + e) / M, s = a (1 - a)."""

    def delta(s: Symbols, layer: int, e: Array) -> Array | None:
        a, rest = parts(s, layer)
        return None if s.is_quadratic else s.error(layer) * a * rest / (a * rest + e)

    return delta


def floored_below(parts: Parts) -> Delta:
    """(a - Y) s / max(s, e) / M, s = a (1 - a)."""

    def delta(s: Symbols, layer: int, e: Array) -> Array | None:
        a, rest = parts(s, layer)
        return None if s.is_quadratic else s.error(layer) * a * rest / np.maximum(a * rest, e)

    return delta


def slopes(s: Symbols, layer: int) -> Array:
    """sigmoid'(z_l)."""
    return s.s(layer)


ADDED = tuple(
    Family(key, OUTPUT, f"delta_{{l}} has {says}", delta(exact_parts), slopes, EPSILONS,
           is_step=False, rounded=delta(rounded_parts))
    for key, says, delta in (
        ("epsilon in the denominator",
         "a_{l} (1 - a_{l}) + {limit} in its denominator a_{l} (1 - a_{l})", added_below),
        ("floor of the denominator",
         "max(a_{l} (1 - a_{l}), {limit}) in its denominator a_{l} (1 - a_{l})", floored_below),
        ("epsilon in the logarithms",
         "a_{l} + e and 1 - a_{l} + e, e = {limit}, in the denominators of dC/da_{l}",
         partial(logarithms, first=True, second=True)),
        ("epsilon in log a", "a_{l} + {limit} in the denominator of -Y / a_{l}",
         partial(logarithms, first=True, second=False)),
        ("epsilon in log (1 - a)",
         "1 - a_{l} + {limit} in the denominator of (1 - Y) / (1 - a_{l})",
         partial(logarithms, first=False, second=True)),
        ("epsilon moves a", "a_{l} + {limit} for a_{l} in the denominators of dC/da_{l}",
         one_moved),
    )
)  # fmt: skip


# --- small and large errors -----------------------------------------------------------------------


def size(s: Symbols, layer: int) -> Array:
    """|delta_l|."""
    return np.abs(s.error(layer))


def flushed(s: Symbols, layer: int, t: Array) -> Array:
    """0 below the limit."""
    right = s.error(layer)
    return np.where(np.abs(right) > t, right, 0.0)


def held(s: Symbols, layer: int, t: Array) -> Array:
    """delta_l clipped to [-t, t]."""
    return np.clip(s.error(layer), -t, t)


def residual_held(s: Symbols, _: int, t: Array) -> Array:
    """(a - Y) clipped to [-t, t], and the rest as it is."""
    return np.clip(s.residual, -t, t) * s.top


def norm_held(s: Symbols, layer: int, t: Array) -> Array:
    """Each example's delta_l scaled to a norm of t at most."""
    right = s.error(layer)
    norm = np.sqrt((right**2).sum(axis=1, keepdims=True))
    return right * np.minimum(1.0, t / np.where(norm > 0, norm, 1.0))


LARGE_AND_SMALL = (
    Family("residual clipped", OUTPUT, "delta_{l} has a_{l} - Y clipped to [-{limit}, {limit}]",
           residual_held, lambda s, _: np.abs(s.residual), CLIPS, is_step=False),
    *(Family(key, place, f"delta_{{l}} {says}", delta, sizes, usual, is_step)
    for place in (OUTPUT, HIDDEN)
    for key, says, delta, sizes, usual, is_step in (
        ("flushed", "is 0 where it is below {limit}", flushed, size, TINY, True),
        ("0 where large", "is 0 where it is beyond {limit}", step(size, zero), size, CLIPS, True),
        ("error clipped", "is clipped to [-{limit}, {limit}]", held, size, CLIPS, False),
        ("norm of examples clipped", "has each example scaled to a norm of {limit} at most",
         norm_held, size, CLIPS, False),
    )),
)  # fmt: skip

FAMILIES = (*STEPS, *CLIPPED, *ADDED, *LARGE_AND_SMALL)
FORMULAS = {
    place: tuple(f.formula() for f in FAMILIES if f.place == place) for place in (OUTPUT, HIDDEN)
}
