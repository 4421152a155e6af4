"""Names the likely mistake behind wrong coordinates, from the pattern they make.

Symbols: g the engine's gradient, D the oracle's with bound B, over the failed coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from gradcheck.arrays import FloatArray
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.reasons import Kind
from gradcheck.patterns import blocks

DIFFERENT = 3
"""So many numbers of different sizes must have one ratio: two have one by a single factor that
belongs to something else, as dC/dw = delta x and dC/db = delta of one unit do whatever delta is."""

ALIKE = 1e-6
"""Numbers that differ by less than this much of themselves are the same number again."""

KNOWN_RATIOS: Mapping[float, str] = MappingProxyType(
    {
        -1.0: "the sign is wrong",
        2.0: "a factor 1/2 is missing (or a factor 2 too many)",
        0.5: "a factor 2 is missing (or a factor 1/2 too many)",
    }
)


RESOLVED = 2e-2
"""A ratio that is known less well than to this much of itself is none."""

UNKNOWN = "unknown"

UNKNOWN_KINDS = (Kind.NOT_EVALUATED, Kind.SCREENED, Kind.ANOMALOUS, Kind.NOISY)
"""Kinds of coordinates that may be wrong, too."""

FEWEST_SHORT = 8
"""Different numbers, with long significands, that must all be numbers of a shorter format: a number
is one of float32 by chance with probability 2^-29."""

FEWEST = 16
"""Different numbers that must be wrong for a word about rounding that does not show in them.

A mistake that has nothing to do with rounding gives FEWEST signs of which a quarter at least is of
either kind by chance with probability 0.98 if it tosses a coin for each, and with 0 if it has one
sign; that all their sizes are those of rounding, too, is what the quartiles below ask for."""

LONG = 8
"""Bits beyond which the significand of a number is long: 0, 1, -1, 1/2, 3/4 are short."""

CENTRE, SPREAD = (1 / 16, 8.0), 8.0
"""Rounded numbers deviate by 0 to 1/2 unit in the last place, sums of some by a few: the median is
within CENTRE units, and the upper quartile at most SPREAD times the lower one (3 for one rounding,
3.6 for a normal distribution)."""

Mask = np.typing.NDArray[np.bool_]
Recogniser = Callable[[Comparison, Mask], str]


def likely_mistake(
    comparison: Comparison,
    *,
    otherwise: str = UNKNOWN,
    first: Sequence[Recogniser] = (),
    also: Sequence[Recogniser] = (),
) -> str:
    """Return what the failed coordinates have in common.

    First what holds of all of them (zeros, one ratio, a lower precision), then of one array (its
    transpose, a permutation, zeros or a ratio in some rows), and which arrays hold them.

    Args:
        comparison: of a gradient with an oracle.
        otherwise: what is returned where nothing shows.
        first: what else may hold of the failed coordinates; asked before all of this.
        also: the same; asked before one array is looked at by itself.
    """
    failed = comparison.kind == Kind.FAILED
    if comparison.jump is not None:  # a kink has no derivative to be a multiple of
        failed &= comparison.jump == 0
    if not failed.any():
        return ""
    with np.errstate(all="ignore"):  # engines return numbers of any size
        found = (
            _first(first, comparison, failed)
            or _zero(comparison, failed)
            or _ratio(comparison, failed)
            or _transposed(comparison)
            or _first(also, comparison, failed)
            or _in_one_array(comparison, failed)
            or _precision(comparison, failed)
        )
    where = "" if found.startswith("only ") else _confined(comparison, failed)
    return "; ".join(part for part in (found, where) if part) or otherwise


def _first(recognisers: Sequence[Recogniser], c: Comparison, failed: Mask) -> str:
    return next(filter(None, (recognise(c, failed) for recognise in recognisers)), "")


def _zero(c: Comparison, failed: Mask) -> str:
    return "every wrong coordinate is exactly 0" if not c.engine[failed].any() else ""


def _ratio(c: Comparison, failed: Mask) -> str:
    """Recognise g = r D for one number r: every interval [D - B, D + B] r must hold its g."""
    g, D, B = c.engine[failed], c.oracle[failed], c.allowance[failed]
    size = np.abs(D)
    if different(size) < DIFFERENT:
        return ""
    best = int(np.argmin(np.divide(B, size, out=np.full_like(B, np.inf), where=size > 0)))
    if not np.isfinite(g[best]) or D[best] == 0:
        return ""
    r = g[best] / D[best]
    doubt = abs(r) * B[best] / abs(D[best])
    if not doubt <= RESOLVED * max(abs(r), 1.0):
        return ""
    if not np.all(np.abs(g - r * D) <= abs(r) * B + doubt * np.abs(D)):
        return ""
    return _meaning(r, doubt)


def different(sizes: FloatArray) -> int:
    """Count numbers that are not the same again, up to ALIKE, 0 not among them."""
    kept = np.sort(sizes[sizes > 0])
    return 0 if not len(kept) else 1 + int(np.sum(kept[1:] > kept[:-1] * (1 + ALIKE)))


def _meaning(r: float, doubt: float) -> str:
    """Say what a constant ratio r, known to within `doubt`, usually comes from.

    A whole number m may be that of the examples, of the features, or just a number: one ratio does
    not tell.
    """
    told = f"engine = {r:.8g} x the derivative in every wrong coordinate"
    for known, meaning in KNOWN_RATIOS.items():
        if abs(r - known) <= doubt:
            return f"{told}: {meaning}"
    return told


def _transposed(c: Comparison) -> str:
    """Recognise a matrix that is the transpose of the right one."""
    for leaf in c.structure.leaves:
        if len(leaf.shape) != 2 or min(leaf.shape) < 2:
            continue
        part = slice(leaf.start, leaf.stop)
        if not np.any(c.kind[part] == Kind.FAILED):
            continue
        g = c.engine[part].reshape(leaf.shape)
        D, B = (a[part].reshape(leaf.shape) for a in (c.oracle, c.allowance))
        for turned in (g.reshape(leaf.shape[::-1]).T, g.T if g.shape[0] == g.shape[1] else g):
            if np.all(np.abs(turned - D) <= B):
                return f"{leaf.name} holds the transpose of its derivative"
    return ""


def _in_one_array(c: Comparison, failed: Mask) -> str:
    """Look for a pattern inside the one array that holds all wrong coordinates."""
    wrong = [x for x in c.structure.leaves if failed[x.start : x.stop].any()]
    if len(wrong) != 1 or len(wrong[0].shape) not in (1, 2) or _is_partial(c):
        return ""
    leaf = wrong[0]
    shape = (leaf.shape[0], leaf.size // max(leaf.shape[0], 1))
    part = slice(leaf.start, leaf.stop)
    g, D, B = (a[part].reshape(shape) for a in (c.engine, c.oracle, c.allowance))
    names = ("row", "column") if len(leaf.shape) == 2 else ("entry", "")
    with np.errstate(all="ignore"):
        found = blocks.pattern(g, D, B, failed[part].reshape(shape), names)
    return f"{leaf.name} {found[1]}" if found else ""


def _precision(c: Comparison, failed: Mask) -> str:
    """Recognise numbers that are those of a shorter format, or that deviate as if they had been.

    Only of most of the numbers that could show it: of different sizes, with long significands.
    """
    if any(leaf.dtype != np.float64 for leaf in c.structure.leaves):
        return ""
    could = _is_long(c.oracle) & _is_long(c.engine)
    g, D = c.engine[failed & could].astype(np.float64), c.oracle[failed & could]
    many = different(np.abs(g))
    is_random = _has_both_signs(g - D) and _has_both_signs(np.abs(g) - np.abs(D))
    if many < FEWEST_SHORT or 2 * len(g) < could.sum() or not is_random:
        return ""
    for dtype in (np.float16, np.float32):
        with np.errstate(all="ignore"):
            short = g.astype(dtype)
            near = np.abs(g - D) <= np.abs(np.spacing(short)).astype(float)
        is_short = np.array_equal(short.astype(np.float64), g) and np.all(near)
        if is_short and _is_spread_as_rounding(g, D, dtype):
            return f"every wrong coordinate is rounded to {dtype.__name__}"
    if many >= FEWEST and _is_spread_as_rounding(g, D, np.float32):
        return "the deviations have both signs and the size of rounding to float32"
    return ""


def _is_long(numbers: FloatArray) -> Mask:
    """Whether significands have more than LONG bits."""
    significand = np.frexp(np.where(np.isfinite(numbers), numbers, 0.0))[0] * 2.0**LONG
    return np.asarray(significand != np.round(significand))


def _has_both_signs(off: FloatArray) -> bool:
    few, signs = len(off) // 4, int(np.sum(off > 0))
    return few <= signs <= len(off) - few


def _is_spread_as_rounding(g: FloatArray, D: FloatArray, dtype: type[np.floating]) -> bool:
    """Whether |g - D| in units in the last place of a format has the quartiles of roundings."""
    with np.errstate(all="ignore"):
        unit = np.abs(np.spacing(D.astype(dtype))).astype(np.float64)
    low, middle, high = np.quantile(np.abs(g - D) / unit, [0.25, 0.5, 0.75])
    return bool(CENTRE[0] <= middle <= CENTRE[1] and high <= SPREAD * low)


def _is_partial(c: Comparison) -> bool:
    """Whether some coordinates were not compared one by one: they may be wrong, too."""
    return bool(np.isin(c.kind, UNKNOWN_KINDS).any())


def _confined(c: Comparison, failed: Mask) -> str:
    """Name the arrays that hold all wrong coordinates, if all others are known to be right."""
    if _is_partial(c):
        return ""
    wrong = [x.name for x in c.structure.leaves if failed[x.start : x.stop].any()]
    if len(wrong) == len(c.structure.leaves):
        return ""
    whole = all(failed[x.start : x.stop].all() for x in c.structure.leaves if x.name in wrong)
    told = f"only {', '.join(wrong)} {'wholly' if whole else 'partly'} wrong"
    leaf = next(x for x in c.structure.leaves if x.name == wrong[0])
    if whole or len(wrong) > 1 or len(leaf.shape) != 2:
        return told
    place = blocks.place(failed[leaf.start : leaf.stop].reshape(leaf.shape), ("row", "column"))
    return f"{told} ({place})" if place else told
