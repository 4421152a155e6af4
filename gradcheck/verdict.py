r"""Verdicts: the only place that compares a gradient with an oracle, and the only one that allows.

Symbols, for one coordinate: g the engine's number, D the oracle's, B the oracle's error bound,
u the unit roundoff of the engine's dtype, R and s the certain bound and the standard deviation of
the engine's rounding (rounding/), v the unit roundoff of the comparison itself.

    deviation  |g - D|
    allowance  B + u |g|             consistency: the error of finite differences, and the rounding
                                     that storing g takes
    allowance  (B + R) (1 + 4 v)     agreement: the width of the certified reference, and what
                                     rounding can do; four operations of the comparison

The coordinate FAILs unless deviation <= allowance. In agreement that is a proof: no engine of the
class that R was computed for returns g. One that does not fail is

    informative   allowance <= resolution |D|
    small         allowance <= resolution max |D| over its array: what could hide in it is
                  negligible beside its neighbours
    exact         neither, but g = D and B = 0: nothing hides in it, whatever was allowed
    vacuous       otherwise: the comparison could not have failed by enough to matter

and, in agreement, before all of these,

    anomalous     not (deviation + B <= CALIBRATED s): rounding errors that are independent are not
                  seen to be so large; ones that are not independent may be
    unresolved    it would not be vacuous if B were 0: the reference is too wide

and where the array was screened along random signs (locate.py), not along the axes,

    screened      2 tau <= resolution max |g| over its array: an error above 2 tau escapes k
                  directions with a probability of at most 2^-k; nothing more is known of this one

A vacuous or anomalous comparison, an unresolved reference, a kink, a missing step or an exhausted
budget is INCONCLUSIVE, never PASS. `resolution` is a power requirement, the relative error that
must not go unseen. It never enters the decision whether a coordinate fails.

CALIBRATED: errors that are sub-Gaussian with standard deviation s exceed z s with a probability of
at most 2 exp(-z^2 / 2). In n comparisons one does with a probability of at most p if
z = sqrt(2 log(2 n / p)) (Bonferroni); z grows so slowly with n that one value serves all sweeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from math import log, sqrt
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gradcheck.oracles.directional import norm_seen
from gradcheck.oracles.finite_difference import Estimate, Status
from gradcheck.structure import Leaf, Structure

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.intp]

UNIT = float(np.finfo(np.float64).eps) / 2
"""v, the unit roundoff of the comparison."""

DEFAULT_RESOLUTION: Mapping[int, float] = MappingProxyType({2: 0.5, 4: 0.1, 8: 1e-6})
"""Power asked of finite differences by the item size of x's least precise array, in bytes:
what they reach on nine of ten coordinates of a mild sigmoid network. Agreement is asked for no
less; it usually reaches 1e-12 in float64 and 1e-4 in float32, and says what it reached."""

COMPARISONS, FALSE_ALARM = 1e9, 1e-6
"""Coordinates that all sweeps together compare, and the probability that one of them is called
anomalous although its rounding errors are independent."""

CALIBRATED = sqrt(2 * log(2 * COMPARISONS / FALSE_ALARM))
"""Standard deviations that independent rounding errors are not seen to exceed: 8.4."""


class Verdict(Enum):
    """What is said of a gradient."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


class Reason(Enum):
    """Why a gradient did not pass; the text says what to do about it."""

    MISMATCH = "mismatch"
    NONFINITE = "nonfinite"
    SHAPE = "shape"
    DTYPE = "dtype"
    NONDETERMINISTIC = "nondeterministic"
    INPUT_CHANGED = "input_changed"
    ALIASED = "aliased"
    RAISED = "raised"
    LOSS = "loss"
    NOISE = "noise"
    NONDIFFERENTIABLE = "nondifferentiable"
    DOMAIN = "domain"
    VACUOUS = "vacuous"
    BUDGET = "budget"
    REFERENCE = "reference"
    ANOMALOUS = "anomalous"
    INTERNAL = "internal"


class Kind(IntEnum):
    """What the comparison of one coordinate was worth."""

    FAILED = 0
    INFORMATIVE = 1
    SMALL = 2
    VACUOUS = 3
    KINK = 4
    NOISY = 5
    NOT_EVALUATED = 6
    EXACT = 7
    ANOMALOUS = 8
    UNRESOLVED = 9
    SCREENED = 10
    UNDEFINED = 11


KIND_NAMES = tuple(kind.name.lower() for kind in Kind)

INCONCLUSIVE_KINDS: Mapping[Kind, Reason] = MappingProxyType(
    {
        Kind.KINK: Reason.NONDIFFERENTIABLE,
        Kind.UNDEFINED: Reason.DOMAIN,
        Kind.NOISY: Reason.NOISE,
        Kind.NOT_EVALUATED: Reason.BUDGET,
        Kind.ANOMALOUS: Reason.ANOMALOUS,
        Kind.UNRESOLVED: Reason.REFERENCE,
        Kind.VACUOUS: Reason.VACUOUS,
    }
)

ADVICE: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.NONDIFFERENTIABLE: "the slope of f jumps there, so no gradient is right or wrong; "
        "move x off the kink",
        Reason.DOMAIN: "f is not finite on one side of x, or on both: its domain ends there; pass "
        "bounds=(lo, hi), which differences never leave, or move x inside",
        Reason.NOISE: "no step lets differences of f agree with each other: f jumps, or its noise "
        "is larger than was estimated; pass noise=, the absolute error of one evaluation of f",
        Reason.BUDGET: "the forward passes ran out; raise budget=",
        Reason.VACUOUS: "the error bound is wider than the resolution asked for; move x to where "
        "these gradients are not negligible, evaluate f more accurately, or ask for less "
        "with resolution=",
        Reason.ANOMALOUS: "rounding could do that, but hardly does: either sums of many equal "
        "terms are rounded the same way again and again, or a small mistake hides below the "
        "bound; look at other problems, and at the other precision",
        Reason.REFERENCE: "the enclosure of the exact derivative is wider than rounding; raise its "
        "precision",
        Reason.INTERNAL: "gradcheck itself failed; nothing is known of the engine there",
    }
)

VACUOUS_AGREEMENT = (
    "rounding alone can do more there than what could matter: saturated units, or sums that cancel"
)


@dataclass(frozen=True)
class Discrepancy:
    """One coordinate whose two values differ by more than the allowance.

    Attributes:
        name: layer, parameter and index, such as ``W2[1,3]``.
        engine: the value under test.
        oracle: the value of the oracle.
        bound: the oracle's error bound.
        allowance: the largest deviation that correct rounding could explain.
        witness: where the oracle's value comes from: "differences" or "exact".
    """

    name: str
    engine: float
    oracle: float
    bound: float
    allowance: float
    witness: str = "differences"

    @property
    def deviation(self) -> float:
        """Engine minus oracle."""
        return self.engine - self.oracle

    def __str__(self) -> str:
        digits = 10 if f"{self.engine:.10g}" != f"{self.oracle:.10g}" else 17
        doubt = f" ± {self.bound:.1g}" if self.witness == "differences" else ""
        return (
            f"{self.name}: engine {self.engine:.{digits}g}, {self.witness} "
            f"{self.oracle:.{digits}g}{doubt}; off by {self.deviation:.3g}, "
            f"allowed {self.allowance:.1g} ({self.times:.3g} times over)"
        )

    @property
    def times(self) -> float:
        """The deviation in allowances."""
        return abs(self.deviation) / self.allowance if self.allowance > 0 else np.inf


@dataclass(frozen=True)
class Comparison:
    """Every coordinate of a gradient beside the oracle's.

    Attributes:
        structure: the names of the coordinates.
        engine, oracle, bound, allowance: one entry a coordinate.
        kind: one `Kind` a coordinate.
        resolution: the power requirement that was asked for.
        witness: where the oracle's values come from: "differences" or "exact".
        directions: k of the screened coordinates, whose oracle is NaN and whose allowance is
            2 tau; 0 where none is screened.
    """

    structure: Structure
    engine: FloatArray
    oracle: FloatArray
    bound: FloatArray
    allowance: FloatArray
    kind: npt.NDArray[np.uint8]
    resolution: float
    witness: str = "differences"
    directions: int = 0

    def counts(self) -> dict[str, int]:
        """Return how many coordinates are of each kind, by name; screened ones if there are any."""
        numbers = np.bincount(self.kind, minlength=len(KIND_NAMES)).tolist()
        found = dict(zip(KIND_NAMES, numbers, strict=True))
        if not found["screened"]:
            del found["screened"]
        return found

    def smallest_error_seen(self) -> FloatArray:
        """Return (deviation + allowance) / |D| of the informative coordinates.

        A relative error above this in such a coordinate would not have passed: it is beyond the
        allowance, which FAILs, or ends INCONCLUSIVE where smaller steps do not confirm it. Of the
        screened ones, 2 tau / |g| where that is at most the resolution: an error above it would
        have passed with a probability of at most 2^-k.
        """
        told = self.kind == Kind.INFORMATIVE
        error = (np.abs(self.engine - self.oracle) + self.allowance)[told]
        size = np.abs(self.oracle[told])
        seen = np.divide(error, size, out=np.zeros_like(error), where=error > 0)
        g, allowance = np.abs(self.engine), self.allowance
        large = (self.kind == Kind.SCREENED) & (allowance <= self.resolution * g)
        return np.concatenate([seen, allowance[large] / g[large]])

    def discrepancies(self) -> tuple[Discrepancy, ...]:
        """Return the failed coordinates, the one furthest beyond its allowance first."""
        failed = np.flatnonzero(self.kind == Kind.FAILED)
        if not failed.size:
            return ()
        with np.errstate(all="ignore"):
            excess = np.abs(self.engine - self.oracle)[failed] / self.allowance[failed]
        order = np.argsort(-np.nan_to_num(excess, nan=np.inf), kind="stable")
        return tuple(self._discrepancy(int(j)) for j in failed[order])

    def first_of(self, kind: Kind) -> str:
        """Name the first coordinate of a kind."""
        return self.structure.name(int(np.flatnonzero(self.kind == kind)[0]))

    def _discrepancy(self, j: int) -> Discrepancy:
        return Discrepancy(
            self.structure.name(j),
            engine=float(self.engine[j]),
            oracle=float(self.oracle[j]),
            bound=float(self.bound[j]),
            allowance=float(self.allowance[j]),
            witness=self.witness,
        )


def compare(
    structure: Structure, gradient: FloatArray, estimate: Estimate, *, resolution: float
) -> Comparison:
    """Compare a gradient with an oracle's estimate, coordinate by coordinate.

    Args:
        structure: names and dtypes of the coordinates.
        gradient: the engine's gradient as one vector.
        estimate: the oracle's.
        resolution: the power requirement.
    """
    u = np.concatenate(
        [np.full(leaf.size, np.finfo(leaf.dtype).eps / 2) for leaf in structure.leaves]
        or [np.empty(0)]
    )
    with np.errstate(invalid="ignore", over="ignore"):
        deviation = np.abs(gradient - estimate.value)
        allowance = estimate.bound + u * np.abs(gradient)
        agrees = np.isfinite(gradient) & (deviation <= allowance)
        size = np.where(estimate.status == Status.RESOLVED, np.abs(estimate.value), 0.0)
        kind = _power(structure, size, allowance, resolution)
    kind[~agrees] = Kind.FAILED
    kind[estimate.status == Status.KINK] = Kind.KINK
    unknown = ~np.isfinite(estimate.value) | np.isnan(estimate.bound)
    kind[(estimate.status == Status.NO_STEP) | unknown] = Kind.NOISY
    kind[estimate.status == Status.UNDEFINED] = Kind.UNDEFINED
    kind[estimate.status == Status.NOT_EVALUATED] = Kind.NOT_EVALUATED
    return Comparison(
        structure, gradient, estimate.value, estimate.bound, allowance, kind, resolution
    )


def agree(
    structure: Structure,
    gradient: FloatArray,
    reference: Estimate,
    rounding: FloatArray,
    deviation: FloatArray,
    *,
    resolution: float,
) -> Comparison:
    """Compare a gradient with the exact one, within what rounding can do.

    Where `rounding` is infinite the engine's dtype may overflow, and a number that is not finite
    proves nothing.

    Args:
        structure: names of the coordinates.
        gradient: the engine's gradient as one vector.
        reference: the exact gradient and the width of its enclosure.
        rounding: R, one entry a coordinate.
        deviation: s, one entry a coordinate.
        resolution: the power requirement.
    """
    g, D, B = gradient, reference.value, reference.bound
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(g - D)
        allowance = (B + rounding) * (1 + 4 * UNIT)
        agrees = (np.isfinite(g) & (off <= allowance)) | ~np.isfinite(rounding)
        usual = off + B <= CALIBRATED * deviation
        size = np.where(np.isfinite(D), np.abs(D), 0.0)
        kind = _power(structure, size, allowance, resolution)
        vacuous = kind == Kind.VACUOUS
        if vacuous.any():
            narrower = _power(structure, size, rounding, resolution)
            kind[vacuous & (narrower != Kind.VACUOUS)] = Kind.UNRESOLVED
            kind[(kind == Kind.VACUOUS) & (g == D) & (B == 0)] = Kind.EXACT
    kind[~usual & (kind != Kind.VACUOUS) & (kind != Kind.UNRESOLVED)] = Kind.ANOMALOUS
    kind[~agrees] = Kind.FAILED
    kind[~np.isfinite(D) | ~np.isfinite(B)] = Kind.UNRESOLVED
    return Comparison(structure, g, D, B, allowance, kind, resolution, "exact")


def is_within(gradient: FloatArray, value: FloatArray, allowance: FloatArray) -> bool:
    """Whether every coordinate is finite and within its allowance, which must be finite too."""
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(gradient - value)
    return bool(np.all(np.isfinite(allowance) & (off <= allowance * (1 + 4 * UNIT))))


def beyond(gradient: FloatArray, value: FloatArray, allowance: FloatArray) -> FloatArray:
    """Return the deviation where it is beyond the allowance, NaN elsewhere."""
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(gradient - value)
    return np.where(off <= allowance * (1 + 4 * UNIT), np.nan, off)


def _power(
    structure: Structure, size: FloatArray, allowance: FloatArray, resolution: float
) -> npt.NDArray[np.uint8]:
    """Tell informative, small and vacuous coordinates apart."""
    largest = np.zeros(len(size))
    for leaf in structure.leaves:
        largest[leaf.start : leaf.stop] = size[leaf.start : leaf.stop].max(initial=0.0)
    kind = np.full(len(size), Kind.VACUOUS, dtype=np.uint8)
    kind[allowance <= resolution * largest] = Kind.SMALL
    kind[allowance <= resolution * size] = Kind.INFORMATIVE
    return kind


class Settled(Enum):
    """How far the screen of a block along random signs has come."""

    OPEN = "open"
    SCREENED = "screened"
    ONE_BY_ONE = "one by one"
    WIDESPREAD = "widespread"
    UNEXPLAINED = "unexplained"
    KINK = "kink"
    NOISY = "noisy"


UNSETTLED: Mapping[Settled, Kind] = MappingProxyType(
    {
        Settled.OPEN: Kind.NOT_EVALUATED,
        Settled.WIDESPREAD: Kind.NOT_EVALUATED,
        Settled.UNEXPLAINED: Kind.ANOMALOUS,
        Settled.NOISY: Kind.NOISY,
        Settled.KINK: Kind.KINK,
    }
)
"""What the coordinates of a block are that were not differentiated one by one."""

ESCAPE = 0.01
"""The probability for which the smallest error of many small entries is stated."""


@dataclass(frozen=True)
class Screened:
    """What random directions say of one block of coordinates.

    Attributes:
        leaf: the block: an array of x.
        directions: k, how many agreed since the last wrong coordinate was left out.
        threshold: tau, the largest error bound among these.
        state: how it ended.
        story: what was seen.
    """

    leaf: Leaf
    directions: int
    threshold: float
    state: Settled
    story: tuple[str, ...] = ()

    def told(self) -> str:
        """Say what is known of the block, and what is not."""
        name, k, tau = self.leaf.name, self.directions, self.threshold
        if not k:
            return f"{name}: no random direction was found to agree"
        norm = norm_seen(tau, k, ESCAPE)
        spread = (
            f"; errors spread over many, above {norm:.1g} in norm, with at most {ESCAPE:.0%}"
            if norm < np.inf
            else ""
        )
        return (
            f"{name}: {k} random directions agree; an error above {2 * tau:.1g} in one coordinate "
            "alone would have been seen; beside others it has escaped with probability at most "
            f"2^-{k} = {2.0**-k:.1g}{spread}"
        )


def stands_out(value: float, bound: float) -> bool:
    """Whether a deviation is beyond its bound; NaN is."""
    return not abs(value) <= bound


def screened(comparison: Comparison, blocks: tuple[Screened, ...]) -> Comparison:
    """Judge the coordinates that were screened along random signs, not along their axes.

    Args:
        comparison: that of the coordinates which were differentiated; the others are
            NOT_EVALUATED.
        blocks: what the screen says of each array.
    """
    c = comparison
    kind, bound, allowance = c.kind.copy(), c.bound.copy(), c.allowance.copy()
    k = []
    for block in blocks:
        part = np.arange(block.leaf.start, block.leaf.stop)
        rest = part[kind[part] == Kind.NOT_EVALUATED]
        if block.state in UNSETTLED:
            kind[rest] = UNSETTLED[block.state]
        elif block.state is Settled.SCREENED and rest.size:
            reach = 2 * block.threshold
            bound[rest] = allowance[rest] = reach
            largest = float(np.abs(c.engine[rest]).max())
            kind[rest] = Kind.SCREENED if reach <= c.resolution * largest else Kind.VACUOUS
            k.append(block.directions)
    return replace(c, kind=kind, bound=bound, allowance=allowance, directions=min(k, default=0))


def beside_their_row(comparison: Comparison, outputs: int) -> Comparison:
    """Judge exact zeros beside everything that their output depends on.

    An output that does not depend on an array of x has a block of zeros there, without a
    neighbour to be small beside. Where engine and oracle are both exactly 0 (f did not change by
    a bit), a vacuous coordinate is SMALL if allowance <= resolution max |D| over its output.

    Args:
        comparison: that of `outputs` outputs, one after the other, each with as many coordinates.
        outputs: how many.
    """
    c = comparison
    size = np.where(np.isin(c.kind, (Kind.INFORMATIVE, Kind.SMALL)), np.abs(c.oracle), 0.0)
    largest = size.reshape(outputs, -1).max(axis=1, initial=0.0) if outputs else size
    row = np.repeat(largest, c.structure.size // max(outputs, 1))
    zero = (c.kind == Kind.VACUOUS) & (c.engine == 0) & (c.oracle == 0)
    small = zero & (c.allowance <= c.resolution * row)
    return replace(c, kind=np.where(small, np.uint8(Kind.SMALL), c.kind))


def contested(comparison: Comparison, opinions: list[Estimate]) -> IntArray:
    """Return the failed coordinates that some opinion does not accuse.

    They are neither wrong nor right: the steps do not agree on them.

    Args:
        comparison: the comparison whose failed coordinates were looked at again.
        opinions: estimates at smaller steps, one entry a failed coordinate, in their order.
    """
    failed = np.flatnonzero(comparison.kind == Kind.FAILED)
    g = comparison.engine[failed]
    accused = np.ones(len(failed), dtype=bool)
    for opinion in opinions:
        known = np.isfinite(opinion.value) & np.isfinite(opinion.bound)
        with np.errstate(invalid="ignore", over="ignore"):
            accused &= known & ~(np.abs(g - opinion.value) <= opinion.bound)
    return failed[~accused]


class Suspect(NamedTuple):
    """A mistake that would give the numbers of one problem.

    Attributes:
        place: the step that is wrong, as `gradcheck.diagnosis.formula` names it.
        layer: its layer; 0 for the whole answer.
        key: names the mistake, without layers and numbers.
        says: what is wrong, with layers and numbers.
        expected: the right equation.
    """

    place: str
    layer: int
    key: str
    says: str
    expected: str


@dataclass(frozen=True)
class Outcome:
    """What a check found, what it rests on, and what it cost.

    Attributes:
        verdict: PASS, FAIL or INCONCLUSIVE.
        reason: why not PASS; None on PASS.
        detail: the reason in one sentence.
        discrepancies: the failed coordinates, worst first.
        resolution: on PASS, the largest relative error that could have gone unseen in an
            informative coordinate; else the power requirement asked for.
        counts: coordinates by kind: failed, informative, small, vacuous, kink, noisy,
            not_evaluated.
        forward_passes, backward_passes: what it cost.
        model: the narrowest rounding model that explains the gradient, in agreement; else "".
        explanation: what else would compute this value, in agreement that fails; else "".
        diagnosis: the likely mistake, or "".
        suspects: every mistake that would give these numbers, the likeliest first.
        notes: what was seen besides.
        repeat: the line that repeats the check.
        comparison: every coordinate, or None where none could be compared.
        method: "every-coordinate" or "directional".
        miss_probability: 2^-k: of an error in the coordinates that were screened along k random
            directions; 0 where none was.
    """

    verdict: Verdict
    reason: Reason | None
    detail: str
    discrepancies: tuple[Discrepancy, ...] = ()
    resolution: float = float("nan")
    counts: Mapping[str, int] = field(default_factory=dict)
    forward_passes: int = 0
    backward_passes: int = 0
    model: str = ""
    explanation: str = ""
    diagnosis: str = ""
    suspects: tuple[Suspect, ...] = ()
    notes: tuple[str, ...] = ()
    repeat: str = ""
    comparison: Comparison | None = None
    method: str = "every-coordinate"
    miss_probability: float = 0.0

    def to_frame(self) -> pd.DataFrame:
        """Return one row a coordinate: name, both values, bound, allowance and kind."""
        import pandas as pd  # noqa: PLC0415 - loaded when first used, so that importing is cheap

        if self.comparison is None:
            return pd.DataFrame(columns=["name", "engine", "oracle", "bound", "allowance", "kind"])
        c = self.comparison
        return pd.DataFrame(
            {
                "name": [c.structure.name(j) for j in range(c.structure.size)],
                "engine": c.engine,
                "oracle": c.oracle,
                "bound": c.bound,
                "allowance": c.allowance,
                "kind": [Kind(k).name.lower() for k in c.kind],
            }
        )

    def __str__(self) -> str:
        title = self.verdict.value + (f" ({self.reason.value})" if self.reason else "")
        lines = [f"{title}: {self.detail}"]
        shown = self.discrepancies[:10]
        lines += [f"  {d}" for d in shown]
        if len(self.discrepancies) > len(shown):
            lines.append(f"  ... and {len(self.discrepancies) - len(shown)} more (to_frame())")
        if self.explanation:
            lines.append(f"explanation: {self.explanation}")
        if self.diagnosis:
            lines.append(f"likely cause: {self.diagnosis}")
        if self.counts:
            told = ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in self.counts.items() if n)
            lines.append(f"coordinates: {told}")
        lines.append(
            f"cost: {self.forward_passes} forward and {self.backward_passes} backward passes"
        )
        lines += [f"note: {note}" for note in self.notes]
        if self.repeat:
            lines.append(f"repeat: {self.repeat}")
        return "\n".join(lines)


def outcome_of(comparison: Comparison, *, diagnosis: str = "") -> Outcome:
    """Turn a comparison into the verdict on the whole gradient.

    FAIL if any coordinate fails; PASS if none fails and every one is informative, small or exact;
    else INCONCLUSIVE. A gradient without coordinates is INCONCLUSIVE.
    """
    counts, found = comparison.counts(), comparison.discrepancies()
    seen = comparison.smallest_error_seen()
    verdict, reason, detail = _decide(comparison, counts, found, seen)
    reached = float(seen.max(initial=0.0))
    return Outcome(
        verdict,
        reason,
        detail,
        discrepancies=found,
        resolution=reached if verdict is Verdict.PASS else comparison.resolution,
        counts=counts,
        diagnosis=diagnosis,
        comparison=comparison,
        miss_probability=2.0**-comparison.directions if comparison.directions else 0.0,
    )


def _decide(
    comparison: Comparison,
    counts: Mapping[str, int],
    found: tuple[Discrepancy, ...],
    seen: FloatArray,
) -> tuple[Verdict, Reason | None, str]:
    """Decide by the comparison's counts, discrepancies and smallest errors seen."""
    total = comparison.structure.size
    if found:
        detail = f"{len(found)} of {total} coordinates are wrong; the worst is {found[0].name}"
        return Verdict.FAIL, Reason.MISMATCH, detail
    for kind, reason in INCONCLUSIVE_KINDS.items():
        n = counts[kind.name.lower()]
        if n:
            where = comparison.first_of(kind)
            detail = f"{n} of {total} coordinates could not be decided, {where} first; "
            by_bound = kind == Kind.VACUOUS and comparison.witness == "exact"
            advice = VACUOUS_AGREEMENT if by_bound else ADVICE[reason]
            return Verdict.INCONCLUSIVE, reason, detail + advice
    if not total:
        return Verdict.INCONCLUSIVE, Reason.VACUOUS, "nothing was compared: x has no coordinates"
    if not seen.size and not comparison.directions:
        return Verdict.PASS, None, f"{total} coordinates are the exact derivatives, bit for bit"
    if comparison.directions:
        return Verdict.PASS, None, _agree_along_directions(comparison, seen)
    detail = (
        f"{total} coordinates agree; an error above {seen.max():.1g} of an informative "
        f"coordinate (median {np.median(seen):.1g}) would not have passed"
    )
    return Verdict.PASS, None, detail


def _agree_along_directions(comparison: Comparison, seen: FloatArray) -> str:
    k, n = comparison.directions, comparison.counts()["screened"]
    return (
        f"{n} of {comparison.structure.size} coordinates agree along {k} random directions of "
        f"their arrays, none is known by itself; an error above {seen.max():.1g} of a coordinate "
        f"that is not small beside its neighbours (median {np.median(seen):.1g}) has escaped with "
        f"probability at most 2^-{k} = {2.0**-k:.1g}"
    )
