r"""The ladder: which other class of algorithms explains a gradient that is not the exact one.

Symbols: g the engine's gradient, G the exact one, u the unit roundoff, err32 and err64 the root
mean square of g - G over the wrong coordinates in float32 and float64.

The rungs, from the narrowest class to the widest:

    p_minus_y, flushed, log_sum,
    absolute_sigmoid               G, within the wider rounding bound of the class (rounding/)
    clipped loss, for several eps  the exact gradient of the loss whose probabilities are clipped
                                   to [eps, 1 - eps], within rounding
    floored slope, for several eps that of a loss on probabilities whose derivative divides by
                                   max(p (1 - p), eps), within rounding of p - y or log_sum
    tf32, bfloat16                 the gradient with the inputs of all products rounded to that
                                   format, within the rounding of float32

Wide bounds hold small bugs too. So a rung explains an engine only if it explains all that the
engine answers to the problem's **companions**, which differ from it in what the classes differ in:
the same numbers in the other precision; weights and biases halved until no sum is large, where no
sigmoid is saturated and nothing is clipped; both; and random numbers, where no zeros or equal terms
make classes agree. A rung that allows the last bit of saturated sigmoids allows next to nothing
there. Nothing is named that the companions contradict.

**Precision.** Rounding errors are proportional to u: err32 / err64 is near 2^29. A wrong formula
is wrong by as much in either precision: 2^0. Whichever is nearer is said, where both precisions
fail (in one that does not, its own rounding hides the error) and no rung explains the engine. This
sign needs no bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.arrays import FloatArray
from gradcheck.certified.gradient import certified_gradient
from gradcheck.outcomes.judging import beyond, is_within
from gradcheck.problem import Problem, dtype_name
from gradcheck.problems.case import Case
from gradcheck.rounding import ARITHMETICS, Sweep, emulated_gradient, gradient_bound

if TYPE_CHECKING:
    from gradcheck.certified.gradient import Certified
    from gradcheck.engines.base import Engine

Answer = tuple[str, Problem, FloatArray]
Explains = Callable[[Problem, FloatArray], bool]

OTHER = {"float32": "float64", "float64": "float32"}
PAIR = ("here", "other precision")

USUAL = (1e-15, 1e-12, 1e-10, 1e-8, 1e-7, 1e-6)
EPSILONS = {f"{epsilon:g}": epsilon for epsilon in USUAL} | {
    f"{epsilon:g} as float32 has it": float(np.float32(epsilon)) for epsilon in USUAL
}
"""What libraries clip probabilities at, or keep denominators above; some hold it in float32."""

ALTERED = (
    ("clipped loss", "the gradient of a loss whose probabilities are clipped at {}", "clip"),
    (
        "floored slope",
        "the output error is divided by max(p (1 - p), eps) with eps = {}, not by p (1 - p)",
        "floor",
    ),
)

NO_CLASS = "no class of arithmetic computes this value"
EXCUSE = (
    "{} would allow this value, but not what the engine answers at milder weights or in the other "
    "precision"
)

OVERFLOW = (
    "every exact derivative is finite, and at milder weights the engine is right; exp(-z) that "
    "overflows, or log(1 - p) and 1 / (1 - p) once p rounds to 1, give inf - inf, 0 inf or 0 / 0"
)

WIDER_LEVEL = "log_sum"
"""The widest class whose bound an altered gradient is held to."""

LARGE = 2.0
"""Sums of products up to this size leave sigmoids unsaturated: sigma(2) = 0.88."""


@dataclass(frozen=True)
class Explanation:
    """What else computes the engine's gradient.

    Attributes:
        label: the class in a few words, "" where none explains it.
        text: the label and what it means, and how the error changes with the precision.
        backward_passes: how often the engine was called for it.
    """

    label: str
    text: str
    backward_passes: int


@dataclass(frozen=True)
class Rung:
    """One class: its label, its meaning, and whether it explains a gradient of a problem.

    The rungs of one label differ in `epsilon`, which stands in their meaning. Those of one `level`
    are as wide as each other.
    """

    level: str
    label: str
    meaning: str
    explains: Explains
    epsilon: str = ""


def explain(
    engine: Engine, problem: Problem, gradient: FloatArray, *, refused: Sequence[str] = ()
) -> Explanation:
    """Climb the ladder with a gradient that FAILed.

    Args:
        engine: what computed it; it is asked about the companions too.
        problem: where.
        gradient: the engine's, as one vector.
        refused: classes that were looked at already, and do not explain the engine.
    """
    every = (rung for rung in rungs(problem) if rung.label not in refused)
    answers = list(answered(engine, companions(problem)))
    excused = ""
    for _, level in groupby(every, key=lambda rung: rung.level):
        climb = [rung for rung in level if rung.explains(problem, gradient)]
        held = [rung for rung in climb if all(rung.explains(*answer[1:]) for answer in answers)]
        if held:
            return Explanation(held[0].label, told_of(held), len(answers))
        excused = excused or (climb[0].label if climb else "")
    told = EXCUSE.format(excused) if excused else NO_CLASS
    sign = precision_sign([("here", problem, gradient), *answers])
    return Explanation("", "; ".join(filter(None, (told, sign))), len(answers))


def told_of(held: list[Rung]) -> str:
    """Tell the rungs of one level that hold, one phrase a label."""
    phrases = []
    for label in dict.fromkeys(rung.label for rung in held):
        same = [rung for rung in held if rung.label == label]
        usual = [rung.epsilon for rung in same if " " not in rung.epsilon]
        epsilons = " or ".join(usual or [rung.epsilon for rung in same])
        phrases.append(f"{label}: {same[0].meaning.format(epsilons)}")
    return "; or ".join(phrases)


def explain_overflow(engine: Engine, problem: Problem) -> Explanation:
    """Say what a gradient that is not finite comes of, if the engine is right at milder weights.

    Args:
        engine: what computed it.
        problem: where; every exact derivative is a finite number.
    """
    answers = list(answered(engine, iter([("milder", milder(problem))])))
    if not all(is_of_class("absolute_sigmoid", *answer[1:]) for answer in answers) or not answers:
        return Explanation("", "", len(answers))
    return Explanation("overflow", f"overflow: {OVERFLOW}", len(answers))


def rungs(problem: Problem) -> Iterator[Rung]:
    """Yield the rungs that there are for a problem, the narrowest class first."""
    exact = Exact()
    altered = Altered(exact)
    for name in ("p_minus_y", "flushed", "log_sum", "absolute_sigmoid"):
        yield Rung(name, name, ARITHMETICS[name].meaning, partial(is_of_class, name, exact=exact))
    if problem.architecture.loss == "cross_entropy":
        for level in ("p_minus_y", WIDER_LEVEL):
            for label, meaning, how in ALTERED:
                for name, epsilon in EPSILONS.items():
                    explains = partial(altered.explains, level, how, epsilon)
                    yield Rung(f"altered, {level}", label, meaning, explains, name)
    if dtype_name(problem.dtype) == "float32":
        for name in ("tf32", "bfloat16"):
            yield Rung(name, name, ARITHMETICS[name].meaning, partial(is_emulated, name))


class Exact:
    """Exact gradients, each computed once: several rungs compare with the same one."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, tuple[tuple[str, float], ...]], Certified] = {}
        self._kept: list[Problem] = []  # so that no other problem gets the id of one

    def __call__(self, problem: Problem, **how: float) -> Certified:
        """Return the exact gradient, with `clip` or `floor` if asked for."""
        key = id(problem), tuple(how.items())
        if key not in self._known:
            self._kept.append(problem)
            self._known[key] = certified_gradient(problem, **how)  # type: ignore[arg-type]  # clip or floor
        return self._known[key]


def is_of_class(
    name: str, problem: Problem, gradient: FloatArray, exact: Exact | None = None
) -> bool:
    """Whether every entry is within the rounding bound of a class."""
    right = (exact or Exact())(problem)
    bound = gradient_bound(problem, name)
    return is_within(gradient, right.gradient, bound + right.bound)


class Altered:
    """Gradients with clipped probabilities or a floored slope: which one is it, within rounding?

    The forward pass of a problem is swept once for all epsilons. What the wider level does not
    allow the narrower one need not be asked about.
    """

    def __init__(self, exact: Exact) -> None:
        self._exact = exact
        self._sweeps: dict[tuple[int, str], tuple[Problem, Sweep]] = {}  # with the id's problem
        self._allowed: dict[tuple[int, int, str, float], tuple[FloatArray, bool]] = {}

    def explains(
        self, level: str, how: str, epsilon: float, problem: Problem, gradient: FloatArray
    ) -> bool:
        """Whether it is the gradient altered by `how` ("clip" or "floor") with that epsilon."""
        key = id(problem), id(gradient), how, epsilon
        if key not in self._allowed:
            is_allowed = self._is_within(WIDER_LEVEL, how, epsilon, problem, gradient)
            self._allowed[key] = gradient, is_allowed
        is_allowed = self._allowed[key][1]
        if level == WIDER_LEVEL or not is_allowed:
            return is_allowed
        return self._is_within(level, how, epsilon, problem, gradient)

    def _is_within(
        self, level: str, how: str, epsilon: float, problem: Problem, gradient: FloatArray
    ) -> bool:
        altered = self._exact(problem, **{how: epsilon})
        _, sweep = self._sweeps.setdefault((id(problem), level), (problem, Sweep(problem, level)))
        bound = sweep.bound(**{how: epsilon})
        return is_within(gradient, altered.gradient, bound + altered.bound)


def is_emulated(name: str, problem: Problem, gradient: FloatArray) -> bool:
    """Whether products with rounded inputs compute it; in another precision none are rounded."""
    if dtype_name(problem.dtype) != "float32":
        return is_of_class("absolute_sigmoid", problem, gradient)
    emulated, bound = emulated_gradient(problem, name)
    return is_within(gradient, emulated, bound)


# ------------------------------------------------------------------------------------- companions


def companions(problem: Problem) -> Iterator[tuple[str, Problem]]:
    """Yield the problem's companions, each with what it is."""
    mild = milder(problem)
    yield "milder", mild
    yield "generic", generic(problem)
    other = OTHER.get(dtype_name(problem.dtype))
    if other is not None:
        yield "other precision", problem.astype(other)
        yield "milder, other precision", mild.astype(other)


def generic(problem: Problem) -> Problem:
    """Return a random problem of the same architecture, batch and dtype."""
    network = problem.architecture
    case = Case(
        sizes=network.sizes,
        loss=network.loss,
        reduction=network.reduction,
        batch=problem.batch,
        dtype=dtype_name(problem.dtype),
    )
    return case.problem()


def milder(problem: Problem) -> Problem:
    """Halve weights and biases, layer by layer, until no |z| can exceed LARGE."""
    reach = np.abs(problem.inputs).max(axis=0).astype(np.float64)
    weights, biases = [], []
    for W, b in zip(problem.weights, problem.biases, strict=True):
        sums = np.abs(W.astype(np.float64)) @ reach + np.abs(b)
        halvings = max(0, int(np.ceil(np.log2(max(float(sums.max()), LARGE) / LARGE))))
        weights.append(np.ldexp(W, -halvings))
        biases.append(np.ldexp(b, -halvings))
        reach = np.ones(len(b))  # what an activation does not exceed
    return Problem(
        problem.architecture, tuple(weights), tuple(biases), problem.inputs, problem.targets
    )


def answered(engine: Engine, asked: Iterator[tuple[str, Problem]]) -> Iterator[Answer]:
    """Ask the engine about companions; those that it gives no gradient of are left out."""
    for name, companion in asked:
        try:
            _, layers = engine.value_and_grad(companion)
            parts = [np.ravel(part) for pair in layers for part in pair]
            vector = np.concatenate(parts).astype(np.float64)
        except Exception:  # noqa: BLE001, S112  an explanation that fails must not end the check
            continue
        if vector.size == companion.architecture.n_parameters:
            yield name, companion, vector


# -------------------------------------------------------------------------------------- precision


def precision_sign(answers: Sequence[Answer]) -> str:
    """Say whether the error shrinks with u or stays, where both precisions fail; else ""."""
    pair = {dtype_name(p.dtype): errors_beyond(p, g) for name, p, g in answers if name in PAIR}
    if not {"float32", "float64"} <= pair.keys():
        return ""
    wrong = np.isfinite(pair["float32"]) & np.isfinite(pair["float64"])
    if not wrong.any():
        return ""
    err32, err64 = (float(np.hypot.reduce(pair[name][wrong])) for name in ("float32", "float64"))
    bits = float(np.log2(err32 / err64))
    as_rounding = float(np.log2(np.finfo(np.float32).eps / np.finfo(np.float64).eps))
    if abs(bits - as_rounding) < abs(bits):
        return f"the error shrinks by 2^{bits:.1f} from float32 to float64, as rounding does"
    return f"the error is as large in float64 as in float32 (2^{bits:.1f}): a formula, not rounding"


def errors_beyond(problem: Problem, gradient: FloatArray) -> FloatArray:
    """Return |g - G| where it is beyond the narrowest bound, NaN elsewhere."""
    exact = certified_gradient(problem)
    allowed = gradient_bound(problem) + exact.bound
    return np.asarray(beyond(gradient, exact.gradient, allowed))
