"""What every check of a derivative does, whether f returns one number or many.

Between the calls of the derivative (contract.py) a witness differentiates f, and asks a second time
before it accuses anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import isfinite
from numbers import Integral, Real
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import FloatArray, IntArray
from gradcheck.checks.contract import DefectError, UndecidedError, UnderTest
from gradcheck.differences.finite_difference import finite_difference, second_opinions
from gradcheck.differences.fixed_steps import fixed_step_differences
from gradcheck.differences.jumps import Jump, jump_near, jumps_at_x, least_jump, noise_of_jump
from gradcheck.differences.known_noise import Rounding, differentiate_again
from gradcheck.differences.lines import BudgetSpentError, InputChangedError, Lines
from gradcheck.differences.narrower import narrower
from gradcheck.differences.noise import UNDERESTIMATE, Noise, noise_beside_one
from gradcheck.differences.one_sided import settle_kinks
from gradcheck.differences.own_scale import Moved, far_beyond, goes_away, opinion_near
from gradcheck.differences.points import FAR
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.conventions import conventions
from gradcheck.outcomes.estimate import Estimate, Status
from gradcheck.outcomes.judging import DEFAULT_RESOLUTION, compare, contested
from gradcheck.outcomes.outcome import Outcome, outcome_of
from gradcheck.outcomes.reasons import INCONCLUSIVE_KINDS, Kind, Reason, Verdict
from gradcheck.patterns.diagnose import likely_mistake
from gradcheck.pytree import Structure

Witness = Callable[[FloatArray], Comparison]


SHOWN = 2**6
"""By so many roundings f must have changed where it is said to have a slope: in float32, a tread of
1e-3 beside numbers near 10 is 2^10 of them."""

PROBES = 2
"""Coordinates along which jumps of f are looked for."""

DOUBTFUL = (Kind.FAILED, Kind.NOISY, Kind.KINK)
"""What jumps of f may have made of a coordinate."""

ROUNDS = 4
"""How often; each round asks at the larger steps of the one before."""


def examine(
    test: UnderTest,
    witness: Witness,
    *,
    resolution: float,
    budget: int | None,
    diagnosis: Callable[[Comparison], str] = likely_mistake,
) -> Outcome:
    """Hold a derivative to its manners and to the witness.

    Args:
        test: the derivative.
        witness: turns the derivative's numbers into a comparison with differences of f.
        resolution: the power requirement, for outcomes without a comparison.
        budget: the most forward passes, for the message.
        diagnosis: names the likely mistake.
    """
    try:
        g = test.first_answer()
        comparison = witness(g)
        test.must_repeat(g, comparison.allowance)
        outcome = outcome_of(comparison, diagnosis=diagnosis(comparison))
        test.notes.extend(conventions(comparison))
    except DefectError as defect:
        outcome = Outcome(Verdict.FAIL, defect.reason, defect.detail, resolution=resolution)
    except UndecidedError as error:
        told = str(error)
        outcome = Outcome(Verdict.INCONCLUSIVE, error.reason, told, resolution=resolution)
    except BudgetSpentError:
        detail = f"budget={budget} forward passes were spent before any coordinate was compared"
        outcome = Outcome(Verdict.INCONCLUSIVE, Reason.BUDGET, detail, resolution=resolution)
    if test.lines.undefined.count:
        test.notes.append(str(test.lines.undefined))
    return replace(outcome, backward_passes=test.backward_passes, notes=tuple(test.notes))


def differentiate(  # noqa: PLR0913 - options that are named
    lines: Lines,
    eps: Noise,
    g: FloatArray,
    *,
    names: Structure,
    resolution: float,
    notes: list[str],
    coordinates: IntArray | None = None,
    rounding: Rounding | None = None,
    progress: Callable[[int], None] | None = None,
    suspected: bool = False,
    jumps: bool = True,
    moved: Moved | None = None,
) -> Estimate:
    """Differentiate f along its axes; ask again, at smaller steps, where g would be accused.

    Args:
        lines: the black box.
        eps: its noise.
        g: the numbers under test.
        names: what the coordinates are called.
        resolution: the power requirement.
        notes: receives what could not be confirmed.
        coordinates: which, in the order they are to be evaluated; default: all.
        rounding: bounds the rounding error of f at a point; asked before anybody is accused.
        progress: called with the number of coordinates just finished.
        suspected: whether something else speaks against these coordinates: fixed steps do not
            decide them.
        jumps: whether jumps of f are looked for before anybody is accused.
        moved: gives the derivative under test where x_j is moved; asked before anybody is accused
            by steps far beyond x_j.

    Returns:
        An estimate in which a coordinate contradicts g only if every opinion does; one on which
        the opinions differ has no step (NO_STEP), so that it can neither pass nor fail.
    """
    try:
        estimate = (
            finite_difference(lines, eps, coordinates=coordinates, progress=progress)
            if suspected
            else _estimate(lines, eps, g, coordinates, resolution, progress)
        )
        if rounding is None and jumps:
            eps = _with_jumps(
                lines, eps, g, estimate, names, resolution, notes, suspected=suspected
            )
        _give_up_on_noise(lines, eps, estimate)
        settle_kinks(lines, eps, estimate)
    except InputChangedError as error:
        raise DefectError(Reason.INPUT_CHANGED, f"f changes its argument at {error}") from None
    comparison = compare(names, g, estimate, resolution=resolution)
    is_kink = estimate.status == Status.INTERVAL  # which three steps on each side have settled
    failed = np.flatnonzero((comparison.kind == Kind.FAILED) & ~is_kink)
    if not failed.size:
        if not suspected:
            _narrow(lines, eps, g, estimate, comparison)
        return estimate
    accused = _confirmed(lines, eps, g, estimate, comparison, failed, notes)
    if moved is not None:
        accused = _spare_hidden(lines, eps, g, estimate, comparison, accused, moved, notes)
    accused = _spare_treads(lines, estimate, accused, g, names, notes)
    if rounding is not None and accused.size:
        estimate.put(accused, differentiate_again(lines, eps, rounding, accused))
    return estimate


def _confirmed(
    lines: Lines,
    eps: Noise,
    g: FloatArray,
    estimate: Estimate,
    comparison: Comparison,
    failed: IntArray,
    notes: list[str],
) -> IntArray:
    """Ask at smaller steps; return the coordinates that these accuse too, and mark the others."""
    names = comparison.structure
    try:
        opinions = second_opinions(lines, eps, failed, estimate.step[failed])
    except BudgetSpentError:
        estimate.status[failed] = Status.NOT_EVALUATED
        notes.append(
            f"{comparison.first_of(Kind.FAILED)} looks wrong, but the budget is spent "
            "before that could be confirmed"
        )
        return np.empty(0, dtype=np.intp)
    undecided = contested(comparison, failed, opinions)
    accused = np.setdiff1d(failed, undecided)
    estimate.status[undecided] = Status.NO_STEP
    with suppress(BudgetSpentError):
        stairs = _stairs(lines, estimate, undecided, g, names, notes)
        undecided = np.setdiff1d(undecided, stairs)
    if undecided.size:
        notes.append(
            f"{undecided.size} coordinates, {names.name(int(undecided[0]))} first, contradict the "
            "differences at one step and not at a smaller one: neither wrong nor right"
        )
    return accused


def _spare_hidden(
    lines: Lines,
    eps: Noise,
    g: FloatArray,
    estimate: Estimate,
    comparison: Comparison,
    accused: IntArray,
    moved: Moved,
    notes: list[str],
) -> IntArray:
    """Accuse nobody by steps far beyond x_j whose slope may be hidden; return the accused still.

    PROBES of them first: the others are much alike.
    """
    far = far_beyond(lines, estimate, accused)
    if not far.size:
        return accused
    names, hidden = comparison.structure, np.empty(0, dtype=np.intp)
    try:
        far = contested(comparison, far, [opinion_near(lines, eps, far)])
        probes = (
            np.unique(far[np.linspace(0, len(far) - 1, PROBES).astype(int)]) if len(far) else far
        )
        for part in (probes, np.setdiff1d(far, probes)):
            away = [goes_away(lines, estimate, g, j, moved) for j in part.tolist()]
            hidden = np.union1d(hidden, part[np.array(away, dtype=bool)])
            if not any(away):
                break
    except BudgetSpentError:
        hidden = far
    estimate.status[hidden] = Status.NO_STEP
    if hidden.size:
        notes.append(
            f"{hidden.size} coordinates, {names.name(int(hidden[0]))} first, contradict "
            "differences at steps far beyond x, and agree with them once x is moved as far: f may "
            "change on the scale of x by less than its noise"
        )
    return np.setdiff1d(accused, hidden)


def _narrow(lines: Lines, eps: Noise, g: FloatArray, estimate: Estimate, seen: Comparison) -> None:
    """Seek narrower bounds where only vacuous coordinates keep g from passing, and g is within.

    PROBES of them first: the others are much alike.
    """
    others = [kind for kind in INCONCLUSIVE_KINDS if kind is not Kind.VACUOUS]
    if np.isin(seen.kind, others).any():
        return
    size = np.abs(estimate.value)
    wanted = seen.resolution * _of_array(lines, np.where(size > estimate.bound, size, 0.0), np.fmax)
    wide = (seen.kind == Kind.VACUOUS) & (estimate.status == Status.RESOLVED)
    rows = np.flatnonzero(wide & (estimate.reach == 0) & (wanted > 0))
    rows = rows[lines.sides(rows) == 0]
    if not rows.size:
        return
    decided = np.where(seen.kind == Kind.VACUOUS, np.nan, estimate.step)
    beside = _of_array(lines, decided, np.fmax)
    probes = np.unique(rows[np.linspace(0, len(rows) - 1, PROBES).astype(int)])
    with suppress(BudgetSpentError):
        for part in (probes, np.setdiff1d(rows, probes)):
            if not part.size:
                return
            found = narrower(lines, eps, estimate, part, wanted[part], beside[part])
            stored = lines.machine_epsilon[part] / 2 * np.abs(g[part])
            agrees = np.abs(found.value - g[part]) <= found.bound + stored
            estimate.put(part[agrees], found.part(np.flatnonzero(agrees)))
            now = compare(seen.structure, g, estimate, resolution=seen.resolution)
            if np.all(now.kind[part] == Kind.VACUOUS):
                return


def _of_array(lines: Lines, numbers: FloatArray, what: np.ufunc) -> FloatArray:
    """Return what a function makes of the numbers of the array of each coordinate."""
    found = np.empty(len(numbers))
    for leaf in filter(attrgetter("size"), lines.structure.leaves):
        found[leaf.start : leaf.stop] = what.reduce(numbers[leaf.start : leaf.stop])
    return found


def _estimate(
    lines: Lines,
    eps: Noise,
    g: FloatArray,
    coordinates: IntArray | None,
    resolution: float,
    progress: Callable[[int], None] | None,
) -> Estimate:
    """Differentiate at fixed steps, and by a search where these do not decide."""
    wanted = np.arange(lines.size) if coordinates is None else coordinates
    quick = fixed_step_differences(lines, eps, g, wanted, resolution=resolution)
    is_decided = quick.status[wanted] == Status.RESOLVED
    if progress is not None and is_decided.any():
        progress(int(is_decided.sum()))
    rest = wanted[~is_decided]
    if not rest.size:
        return quick
    estimate = finite_difference(lines, eps, coordinates=rest, progress=progress)
    estimate.evaluations[rest] += quick.evaluations[rest]
    decided = wanted[is_decided]
    estimate.put(decided, quick.part(decided))
    return estimate


def _with_jumps(
    lines: Lines,
    eps: Noise,
    g: FloatArray,
    estimate: Estimate,
    names: Structure,
    resolution: float,
    notes: list[str],
    *,
    suspected: bool,
) -> Noise:
    """Look for jumps of f where g would be accused, no step or a kink was found; try again.

    The coordinates asked are few, as the noise of f is much the same along all axes. Of suspected
    ones it was seen along directions too, so that jumps too small to matter are left alone.
    """
    stairs: dict[int, Jump] = {}
    with suppress(BudgetSpentError):  # too little is left for second opinions then
        for _ in range(ROUNDS):
            seen = compare(names, g, estimate, resolution=resolution)
            doubtful = np.flatnonzero(np.isin(seen.kind, DOUBTFUL) & np.isfinite(estimate.value))
            least = _least_jump(seen, estimate, doubtful) if suspected else 0.0
            found = _jumps(lines, eps, estimate, doubtful, least)
            largest = max((jump.size for jump in found.values()), default=0.0)
            if not largest > eps.bound:
                break
            stairs |= {j: jump for j, jump in found.items() if jump.flat}
            eps = noise_of_jump(eps, largest)
            again = finite_difference(lines, eps, coordinates=doubtful)
            estimate.put(doubtful, again.part(doubtful))
        else:
            seen = compare(names, g, estimate, resolution=resolution)
        if stairs and not suspected:
            _narrow(lines, eps, g, estimate, seen)
            seen = compare(names, g, estimate, resolution=resolution)
        still = (seen.kind == Kind.VACUOUS) & (estimate.value == 0) & (estimate.reach == 0)
        flat = _jumps(lines, eps, estimate, np.flatnonzero(still))
        if flat and all(jump.flat and jump.size > eps.bound for jump in flat.values()):
            estimate.status[still] = Status.STAIRS
            stairs |= flat
        _mark_jumps_at_x(lines, estimate, seen.kind, names, notes)
    for j, jump in stairs.items():
        if seen.kind[j] in (Kind.FAILED, Kind.NOISY, Kind.VACUOUS):
            estimate.status[j] = Status.STAIRS
            notes.append(_told_stairs(names.name(j), jump))
    return eps


def _mark_jumps_at_x(
    lines: Lines,
    estimate: Estimate,
    kind: npt.NDArray[np.uint8],
    names: Structure,
    notes: list[str],
) -> None:
    """Mark where f jumps at x among coordinates that no bound decides; PROBES are asked first."""
    rows = np.flatnonzero(np.isin(kind, (Kind.VACUOUS, Kind.NOISY)))
    rows = rows[lines.sides(rows) == 0]
    if not rows.size:
        return
    probes = np.unique(rows[np.linspace(0, len(rows) - 1, PROBES).astype(int)])
    if not jumps_at_x(lines, probes).any():
        return
    jumping = rows[jumps_at_x(lines, rows)]
    if not jumping.size:  # f keeps state, and does not jump there again
        return
    estimate.status[jumping] = Status.STAIRS
    notes.append(
        f"f jumps at x itself along {len(jumping)} coordinates, {names.name(int(jumping[0]))} first"
    )


def _spare_treads(
    lines: Lines,
    estimate: Estimate,
    accused: IntArray,
    g: FloatArray,
    names: Structure,
    notes: list[str],
) -> IntArray:
    """Accuse nobody on the tread of a staircase; return which coordinates are accused still."""
    treads = _unmoved_within_bounds(lines, estimate, accused)
    estimate.status[treads] = Status.STAIRS
    if treads.size:
        notes.append(
            f"f has the same bits wherever {treads.size} coordinates, {names.name(int(treads[0]))} "
            "first, were moved within their bounds, and that is not far: it may be a staircase"
        )
    accused = np.setdiff1d(accused, treads)
    try:
        stairs = _stairs(lines, estimate, accused, g, names, notes)
    except BudgetSpentError:
        zero = accused[g[accused] == 0]
        estimate.status[zero] = Status.NOT_EVALUATED
        notes.append(
            f"{names.name(int(zero[0]))} looks wrong, but the budget is spent before it was asked "
            "whether f is a staircase there"
        )
        return np.setdiff1d(accused, zero)
    return np.setdiff1d(accused, stairs)


def _stairs(
    lines: Lines,
    estimate: Estimate,
    coordinates: IntArray,
    g: FloatArray,
    names: Structure,
    notes: list[str],
) -> IntArray:
    """Find and mark the coordinates along which f is a staircase and g is 0."""
    stairs = _constant_near(lines, estimate, coordinates[g[coordinates] == 0])
    estimate.status[stairs] = Status.STAIRS
    if stairs.size:
        notes.append(
            f"f is a staircase along {stairs.size} coordinates, {names.name(int(stairs[0]))} "
            "first: it has the same bits nearer to x than its differences would have it"
        )
    return stairs


def _unmoved_within_bounds(lines: Lines, estimate: Estimate, coordinates: IntArray) -> IntArray:
    """Return where f has the same bits as far as bounds let x be moved, and that is not FAR."""
    size = np.abs(lines.origin[coordinates])
    far = FAR * np.where(size > 0, size, lines.scale)
    reach = estimate.reach[coordinates]
    near = (reach > 0) & (reach < far) & (lines.room(coordinates) < far)
    return np.asarray(coordinates[near])


def _constant_near(lines: Lines, estimate: Estimate, zero: IntArray) -> IntArray:
    """Return where f has the bits of f(x) at a t at which D t is SHOWN roundings of f(x).

    On one side of x at least: a tread may end on the other.

    Differences D of an f that is rounded, or read off a table, agree with each other over many of
    its stairs; a gradient that is 0 is right on each of them.

    Args:
        lines: the black box at x.
        estimate: its differences.
        zero: the coordinates at which the derivative under test is 0, and D is not.
    """
    ulps = 32 * lines.machine_epsilon[zero] * np.abs(lines.origin[zero])
    rise = SHOWN * lines.unit_roundoff * abs(float(lines.value))
    t = np.maximum(rise / np.abs(estimate.value[zero]), ulps)
    has_room = t <= lines.room(zero)
    zero, t = zero[has_room], t[has_room]
    right, left = (lines.along_axes(zero, side * t)[0] == 0 for side in (1, -1))
    return np.asarray(zero[right | left])


def _give_up_on_noise(lines: Lines, eps: Noise, estimate: Estimate) -> None:
    """Take away the step where the noise that is seen is as large as f, at x and a step away.

    An ulp of x may span waves of f: differences say how f changes on average, not at x.
    """
    silent = 4 * UNDERESTIMATE * (lines.unit_roundoff * abs(float(lines.value)) + lines.tiny)
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.maximum(estimate.secant * estimate.step, max(abs(float(lines.value)), eps.scale))
    searched = (estimate.status == Status.RESOLVED) & (estimate.secant > 0)  # by no fixed steps
    drowned = searched & (eps.level >= size) & (eps.level > silent)
    estimate.status[drowned] = Status.NO_STEP


def _least_jump(seen: Comparison, estimate: Estimate, doubtful: IntArray) -> float:
    """Return the smallest jump that would matter: one that lets a coordinate that failed pass."""
    if not doubtful.size or not np.all(seen.kind[doubtful] == Kind.FAILED):
        return 0.0
    excess = (np.abs(seen.engine - seen.oracle) - seen.allowance)[doubtful]
    return float(np.min(least_jump(excess, estimate.step[doubtful])))


def _jumps(
    lines: Lines, eps: Noise, estimate: Estimate, coordinates: IntArray, least: float = 0.0
) -> dict[int, Jump]:
    """Look for jumps along the first and the last of some coordinates."""
    if not coordinates.size:
        return {}
    some = np.linspace(0, len(coordinates) - 1, PROBES).astype(int)
    asked = np.unique(coordinates[some]).tolist()
    return {j: _jump(lines, eps, j, float(estimate.step[j]), least) for j in asked}


def _jump(lines: Lines, eps: Noise, coordinate: int, step: float, least: float) -> Jump:
    """Look for a jump along one axis; if there is none, for noise that f has beside 1."""
    jump = jump_near(lines, eps, coordinate, step, least)
    if jump.size > eps.bound:
        return jump
    noise = UNDERESTIMATE * noise_beside_one(lines, coordinate, eps.level, least / UNDERESTIMATE)
    return Jump(noise, np.inf, flat=False) if noise else jump


def _told_stairs(name: str, jump: Jump) -> str:
    return (
        f"f is a staircase along {name}: it has the same bits up to {jump.at:.2g} from x, where it "
        f"jumps by {jump.size:.2g}; differences of it say nothing of a gradient"
    )


def default_resolution(structure: Structure, shortest: int = 8) -> float:
    """Return what finite differences reach in the precision of the least precise array.

    Args:
        structure: that of x.
        shortest: the item size of the format that f is computed in, if that is shorter.
    """
    smallest = min((leaf.dtype.itemsize for leaf in structure.leaves), default=8)
    return DEFAULT_RESOLUTION[min(smallest, shortest, 8)]


def format_of(lines: Lines, eps: Noise) -> int:
    """Return the item size of the format that f is computed in, as its values and noise show.

    Short values alone do not show it: they may be whole numbers. Their noise must be that of the
    format, too: a quarter of its unit roundoff u to 2^6 of it.
    """
    for dtype in (np.float16, np.float32):
        u = float(np.finfo(dtype).eps) / 2
        size = max(abs(float(lines.value)), eps.scale)
        is_short = lines.value_bytes <= np.dtype(dtype).itemsize
        if is_short and u * size / 4 <= eps.level <= 2**6 * u * size:
            return np.dtype(dtype).itemsize
    return 8


def check_options(
    noise: float | None, budget: int | None, resolution: float | None, seed: int
) -> None:
    """Raise ValueError for a number out of its range."""
    if not (_is_whole(seed) and seed >= 0):
        raise ValueError(f"seed={seed!r} must be a whole number, at least 0")
    if noise is not None and not (_is_real(noise) and isfinite(noise) and noise > 0):
        raise ValueError(f"noise={noise!r} must be a finite number above 0")
    if budget is not None and not (_is_whole(budget) and budget >= 1):
        raise ValueError(f"budget={budget!r} must be at least 1 forward pass, and a whole number")
    if resolution is not None and not (_is_real(resolution) and 0 < resolution < 1):
        raise ValueError(f"resolution={resolution!r} must be between 0 and 1")


def _is_real(number: Any) -> bool:
    return isinstance(number, Real)


def _is_whole(number: Any) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)


def repeat_line(call: str, **options: Any) -> str:
    """Return the line that repeats a check; options that are None are left out.

    >>> repeat_line("check_gradient(f, gradient, x", noise=None, seed=3)
    'gradcheck.check_gradient(f, gradient, x, seed=3)'
    """
    extra = "".join(f", {name}={value!r}" for name, value in options.items() if value is not None)
    return f"gradcheck.{call}{extra})"
