r"""Exact tests of an engine: problems whose rounding is nil, or the same twice. Tolerance zero.

Symbols, for layers l = 1..L and m examples, which are rows:

    p, tiny, largest  significant bits, smallest normal and largest number of the engine's format
    X, W_l, b_l       inputs, weights, biases;   z_l, delta_l = dC/dz_l
    M                 m for `mean`, 1 for `sum`
    g(m), R(m)        the engine's gradient of a batch of m examples, and its rounding bound

**Lattice.** Where every number of forward and backward pass is a short integer times a power of two
(dyadic.py), every order of summation returns the exact gradient. An engine may still err by
rounding where none is needed, as approximate reciprocals do: deviations within the bound of a wider
model that it declares are INCONCLUSIVE. So are those of an engine that declares none, if its model
at half saturated units (measured.py) has a sigmoid that need not be 1/2 at 0. All others FAIL.
A mean over all m n_L elements, scaled back, is exact if m n_L is a power of two, which the drawn
problems see to; elsewhere deviations within the narrowest model are INCONCLUSIVE.

**Zero input column.** If x_ik = 0 for all examples i, column k of dC/dW_1 = sum_i delta_i x_ik is
exactly 0 wherever delta is finite, which the rounding bound being finite ensures.

**Powers of two.** W_1' = 2^k W_1 and X' = 2^-k X give the same real products w x, the same rounded
sums, the same bits of z_1 and so of every delta, db_l and dW_l, l > 1. As
C(W_1, X) = C(2^k W_1, 2^-k X), dC/dW_1' = 2^-k dC/dW_1; in floating point every term delta x is
scaled by 2^-k, and with it every rounding, exactly, unless something leaves the normal range.
A floating-point product, fused or not, is a multiple of the product of both last places: a
nonzero sum of terms of size t and more is at least 2^(-2p) t. It is asked beforehand, for k and
-k, that

    the nonzero entries of W_1, X and X / M stay normal numbers;
    min |delta x| 2^-|k| / M >= 2^(2p) tiny   (one example, nothing to sum: >= tiny);
    sum_i max |delta x| 2^|k| <= largest

with |delta| from the certified gradients of the single examples, less or more their rounding bound
and a factor 2 for the rounding of 1/M. Else the problem is not used. The engine is compared with
itself, bit for bit, where equal calls give equal bits. One that sums in another order each time
gives equal calls different bits, each within the bound R of its model: there, |2^k g' - g| <= 2 R.

**Duplicated batch.** The mean over a batch taken twice is the mean over the batch. The engine
rounds the two sums differently, each within the bound of its model: |g(2m) - g(m)| <= R(m) + R(2m).

0.0 and -0.0 are equal; a NaN equals nothing.

Sources: Higham (2002), Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1
(sums in any order); Chen et al. (2018), ACM Comput. Surv. 51(1) (metamorphic tests).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import cycle, islice, product, tee
from math import ldexp
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import FloatArray
from gradcheck.certified.dyadic import Format, lattice_gradient
from gradcheck.certified.gradient import certified_gradient
from gradcheck.checks.contract import DefectError, Layout
from gradcheck.checks.examine import default_resolution
from gradcheck.checks.ladder import is_of_class
from gradcheck.checks.measured import allowed_models, model_where_half_saturated, narrowest_model
from gradcheck.engines.base import Engine, EngineInfo, Unsupported
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.estimate import Estimate
from gradcheck.outcomes.judging import agree
from gradcheck.outcomes.outcome import Outcome, outcome_of
from gradcheck.outcomes.reasons import Kind, Reason, Verdict
from gradcheck.patterns.diagnose import likely_mistake
from gradcheck.problem import (
    LOSSES,
    REDUCTIONS,
    Problem,
    dtype_name,
    gradient_as_dict,
    require_name,
)
from gradcheck.problems.case import Case, has_preactivations_within, sample_cases
from gradcheck.problems.corners import TARGETS
from gradcheck.problems.strata import Limits, LimitsDict
from gradcheck.pytree import Leaf, Structure, structure_of
from gradcheck.rounding import ARITHMETICS, gradient_bound

DTYPES = ("float16", "float32", "float64")
STRICTEST = next(iter(ARITHMETICS))
"""The class that an engine is judged by unless it declares another."""

NOT_ONE_HALF = ("log_sum", "absolute_sigmoid")
"""The models of full precision whose sigmoids need not be 1/2 at 0."""

UNDECLARED = "absolute_sigmoid"
"""The class that such an engine is granted where something must not happen: overflow, underflow."""

TARGET_KINDS = tuple(kind for kind in TARGETS if kind != "half")
"""Of the cases drawn; with targets 1/2 all gradients of the lattice are 0."""

LARGEST_SCALE = 3.0
SHIFTS = (20, 8, 3, 1)
"""The k of the powers of two, the largest that is safe being used."""

TRIES = 300
"""Cases drawn, at most, for those of one test in one dtype."""


# ------------------------------------------------------------------------------------ the lattice


def lattice(engine: Engine, case: Case, require: str | None = None) -> Outcome:
    """Compare an engine's gradient of a lattice problem with the exact one, bit for bit.

    A case that is no lattice problem, or exceeds the bit budget, is INCONCLUSIVE.

    Raises:
        Unsupported: the engine does not take this problem.

    >>> from gradcheck.engines.registry import find
    >>> case = Case(sizes=(3, 4, 1), batch=2, corner="zero_preactivations", dtype="float16")
    >>> print(lattice(find("reference"), case).detail)
    21 coordinates are the exact derivatives, bit for bit
    """
    return _judged(Asked(engine, require), case, lattice_obstacle, _lattice)


def lattice_obstacle(problem: Problem, arithmetic: str) -> str:
    """Say why a problem is no lattice problem in its dtype, or return ""."""
    try:
        return lattice_gradient(problem).excess(Format.of(problem.dtype, arithmetic or UNDECLARED))
    except ValueError as error:
        return str(error)


def _lattice(ask: Asked, problem: Problem) -> Outcome:
    structure = structure_of(problem.parameters)
    exact = lattice_gradient(problem).vector(problem)
    comparison = bitwise(structure, ask(problem), exact)
    outcome = outcome_of(comparison)
    if outcome.verdict is not Verdict.FAIL:
        return outcome
    model = ask.approximate_model(problem)
    if model and is_of_class(model, problem, comparison.engine):
        return replace(_approximate(comparison, outcome), model=model)
    rounding = _is_rounding(problem, comparison, ask.info.arithmetic)
    told = [NO_HALF if rounding else "", likely_mistake(comparison, otherwise="")]
    return replace(outcome, diagnosis="; ".join(filter(None, told)))


NO_HALF = (
    "the deviations are no larger than rounding, but nothing here needs rounding: the sigmoid does "
    "not return exactly 1/2 at 0, or numbers pass through a format narrower than the declared one"
)


def _approximate(comparison: Comparison, outcome: Outcome) -> Outcome:
    """Leave deviations undecided that a rounding model explains."""
    wrong = comparison.kind == Kind.FAILED
    kind = np.where(wrong, np.uint8(Kind.ANOMALOUS), comparison.kind)
    detail = (
        f"{int(wrong.sum())} of {comparison.structure.size} coordinates are not exact, "
        f"{comparison.first_of(Kind.FAILED)} first; rounding allows that, "
        "but nothing here needs rounding under IEEE 754: an approximate reciprocal, or a sigmoid "
        "that does not return exactly 1/2 at 0"
    )
    undecided = replace(comparison, kind=kind)
    return replace(
        outcome,
        verdict=Verdict.INCONCLUSIVE,
        reason=Reason.ANOMALOUS,
        detail=detail,
        discrepancies=(),
        counts=undecided.counts(),
        comparison=undecided,
    )


def _is_rounding(problem: Problem, comparison: Comparison, arithmetic: str) -> bool:
    """Whether all deviations are within rounding, several of them, and in the last layer too.

    An error of sigma(0) enters at the outputs.
    """
    bound = gradient_bound(problem, arithmetic or UNDECLARED)
    failed = comparison.kind == Kind.FAILED
    deviation = np.abs(comparison.engine - comparison.oracle)
    within = bool(np.all(deviation[failed] <= bound[failed]))
    last = comparison.structure.leaves[-2].start  # W_L
    return within and int(failed.sum()) > 1 and bool(failed[last:].any())


# ------------------------------------------------------------------------------ zero input column


def zero_column(engine: Engine, case: Case, require: str | None = None) -> Outcome:
    """Demand exact zeros in the columns of dC/dW_1 whose inputs are 0 in every example.

    A case without such an input, or one that may overflow, is INCONCLUSIVE.

    Raises:
        Unsupported: the engine does not take this problem.
    """
    return _judged(Asked(engine, require), case, zero_column_obstacle, _zero_column)


def zero_column_obstacle(problem: Problem, arithmetic: str) -> str:
    """Say why a problem cannot be used, or return ""."""
    if problem.inputs.any(axis=0).all():
        return "no input column is 0 in every example"
    return _overflow(problem, arithmetic)


def _zero_column(ask: Asked, problem: Problem) -> Outcome:
    structure = structure_of(problem.parameters)
    zero = np.broadcast_to(~problem.inputs.any(axis=0), problem.weights[0].shape)
    chosen = np.flatnonzero(zero)
    leaf = structure.leaves[0]  # W1, which the vector begins with
    columns = Structure(
        tuple(Leaf(structure.name(int(j)), (), leaf.dtype, i, 1) for i, j in enumerate(chosen))
    )
    outcome = outcome_of(bitwise(columns, ask(problem)[chosen], np.zeros(len(chosen))))
    if outcome.verdict is Verdict.FAIL:
        return replace(outcome, diagnosis="something is added to dC/dW1 that no input brings in")
    return replace(outcome, detail=f"{len(chosen)} derivatives by weights of zero inputs are 0")


# -------------------------------------------------------------------------------- powers of two


def powers_of_two(engine: Engine, case: Case, require: str | None = None) -> Outcome:
    """Compare an engine's gradients of a problem before and after W_1 2^k, X 2^-k, bit for bit.

    Done for k and -k, the largest safe k in SHIFTS. A case without one is INCONCLUSIVE; so is an
    engine that declares not to be deterministic and gives equal calls different bits.

    Raises:
        Unsupported: the engine does not take this problem.
    """
    return _judged(Asked(engine, require), case, powers_obstacle, _powers_of_two)


def powers_obstacle(problem: Problem, arithmetic: str) -> str:
    """Say why a problem cannot be used, or return ""."""
    if safe_shift(problem, arithmetic):
        return ""
    return "scaling W1 or X by a power of two may underflow or overflow"


def safe_shift(problem: Problem, arithmetic: str) -> int:
    """Return the largest k in SHIFTS that keeps every number normal, in both directions; or 0."""
    form = Format.of(problem.dtype, arithmetic or UNDECLARED)
    m = problem.batch
    M = m if problem.architecture.reduction == "mean" else 1
    least, most = _error_sizes(problem, arithmetic or UNDECLARED)
    X, W = (np.abs(np.asarray(array, np.float64)) for array in (problem.inputs, problem.weights[0]))
    smallest_x = np.where(X > 0, X, np.inf).min(axis=1)
    with np.errstate(invalid="ignore"):  # a NaN is no safe number below
        smallest_term = np.min(least * smallest_x) / M
    largest_sum = np.sum(most * X.max(axis=1))
    smallest = min(smallest_x.min() / M, W[W > 0].min(initial=np.inf))
    largest = max(X.max(), W.max(), largest_sum)
    needed = form.tiny if m == 1 else ldexp(form.tiny, 2 * form.bits)
    limit = float(np.finfo(problem.dtype).max)
    for k in SHIFTS:
        normal = ldexp(smallest, -k) >= form.tiny and ldexp(smallest_term, -k) >= needed
        if normal and largest <= ldexp(limit, -k):
            return k
    return 0


def _error_sizes(
    problem: Problem, arithmetic: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the least and the largest |delta_1| of every example, as any engine has it."""
    single = replace(problem.architecture, reduction="sum")
    least, most = [], []
    for i in range(problem.batch):
        x, y = problem.inputs[i : i + 1], problem.targets[i : i + 1]
        one = Problem(single, problem.weights, problem.biases, x, y)
        exact = certified_gradient(one)
        leaf = exact.structure.leaves[1]  # b1: delta_1 itself
        size = np.abs(exact.gradient)[leaf.start : leaf.stop]
        doubt = (exact.bound + gradient_bound(one, arithmetic))[leaf.start : leaf.stop]
        least.append(max(float(np.min(size - doubt)), 0.0) / 2)
        most.append(float(np.max(size + doubt)) * 2)
    return np.array(least), np.array(most)


def scaled(problem: Problem, k: int) -> Problem:
    """Return the problem with 2^k W_1 and 2^-k X."""
    W = np.ldexp(problem.weights[0], k)
    weights = (W, *problem.weights[1:])
    return replace(problem, weights=weights, inputs=np.ldexp(problem.inputs, -k))


def _powers_of_two(ask: Asked, problem: Problem) -> Outcome:
    structure, g = structure_of(problem.parameters), ask(problem)
    k = safe_shift(problem, ask.info.arithmetic)
    first, outcome = structure.leaves[0].stop, None
    for shift in (k, -k):
        other = scaled(problem, shift)
        found, expected = ask(other), g.copy()
        expected[:first] = np.ldexp(expected[:first], -shift)
        comparison = replace(bitwise(structure, found, expected), witness="unscaled")
        outcome = outcome_of(comparison)
        if outcome.verdict is Verdict.FAIL and not _repeats(ask, (problem, g), (other, found)):
            return _in_any_order(ask, problem, shift, (g, found, expected))
        if outcome.verdict is Verdict.FAIL:
            told = f"{MUST_NOT_CHANGE.format(shift, -shift)}: {outcome.detail}"
            return replace(outcome, detail=told, diagnosis=NOT_SCALED)
    assert outcome is not None  # noqa: S101 - two shifts were tried
    detail = f"{structure.size} coordinates keep their bits under W1 2^k, X 2^-k, k = {k} and {-k}"
    return replace(outcome, detail=detail)


MUST_NOT_CHANGE = "W1 times 2^{} and X times 2^{} must not change a bit"
UNEQUAL = "two calls with the same problem give different bits"
NOT_SCALED = "something depends on the size of X or of W1 alone: a clip, an epsilon, weight decay"
ANY_ORDER = f"{UNEQUAL}, within rounding, as sums in another order do"


def _repeats(ask: Asked, *answered: tuple[Problem, FloatArray]) -> bool:
    """Whether the same problems give the same bits again."""
    return all(_same(g, ask(problem)) for problem, g in answered)


def _in_any_order(
    ask: Asked, problem: Problem, shift: int, answers: tuple[FloatArray, FloatArray, FloatArray]
) -> Outcome:
    """Judge answers whose bits differ from call to call: within rounding, or not at all.

    Args:
        ask: asks the engine.
        problem: the unscaled problem.
        shift: by which it was scaled.
        answers: to the unscaled and the scaled problem, and what the second should be.
    """
    g, found, expected = answers
    again = ask(problem)
    models = [ask.model(problem, x) for x in (g, again)]
    if not all(models):
        if ask.info.deterministic:
            return Outcome(Verdict.FAIL, Reason.NONDETERMINISTIC, UNEQUAL)
        told = f"{UNEQUAL}, as declared"
        return Outcome(Verdict.INCONCLUSIVE, Reason.NONDETERMINISTIC, told)
    R = gradient_bound(problem, max(models, key=list(ARITHMETICS).index))
    first = structure_of(problem.parameters).leaves[0].stop
    R[:first] = np.ldexp(R[:first], -shift)
    comparison = replace(_beside(problem, found, expected, R, R), witness="unscaled")
    outcome = outcome_of(comparison)
    if outcome.verdict is Verdict.FAIL:
        told = f"{MUST_NOT_CHANGE.format(shift, -shift)} but by rounding: {outcome.detail}"
        return replace(outcome, detail=told, diagnosis=NOT_SCALED)
    return replace(outcome, notes=(ANY_ORDER,))


def _same(g: FloatArray, again: FloatArray) -> bool:
    return bool(np.array_equal(g, again))


# ------------------------------------------------------------------------------- duplicated batch


def duplicated_batch(engine: Engine, case: Case, require: str | None = None) -> Outcome:
    """Compare an engine's gradients of a batch and of the batch taken twice, within rounding.

    A case that is no `mean`, or may overflow, is INCONCLUSIVE.

    Raises:
        Unsupported: the engine does not take this problem.
    """
    return _judged(Asked(engine, require), case, duplicated_obstacle, _duplicated_batch)


def duplicated_obstacle(problem: Problem, arithmetic: str) -> str:
    """Say why a problem cannot be used, or return ""."""
    if problem.architecture.reduction != "mean":
        return "the reduction is `sum`: a batch taken twice has twice the gradient"
    if told := _overflow(duplicated(problem), arithmetic):  # whose sums are the longer ones
        return told
    exact = certified_gradient(problem)
    comparison = _twice(problem, exact.gradient, exact.gradient, arithmetic or STRICTEST)
    return (
        "" if outcome_of(comparison).verdict is Verdict.PASS else "the bounds leave nothing to see"
    )


def duplicated(problem: Problem) -> Problem:
    """Return the problem with its batch taken twice."""
    X, Y = problem.inputs, problem.targets
    return replace(problem, inputs=np.concatenate([X, X]), targets=np.concatenate([Y, Y]))


def _duplicated_batch(ask: Asked, problem: Problem) -> Outcome:
    doubled = duplicated(problem)
    once, twice = ask(problem), ask(doubled)
    outcome = outcome_of(_twice(problem, once, twice, ask.models[0]))
    if outcome.verdict is not Verdict.PASS and len(ask.models) > 1:
        models = ask.model(problem, once), ask.model(doubled, twice)
        if all(models):
            wider = max(models, key=list(ARITHMETICS).index)
            outcome = replace(outcome_of(_twice(problem, once, twice, wider)), model=wider)
    if outcome.verdict is Verdict.FAIL:
        told = "the mean depends on how often the same examples are given"
        return replace(outcome, diagnosis=told)
    return outcome


def _twice(problem: Problem, once: FloatArray, twice: FloatArray, arithmetic: str) -> Comparison:
    R = gradient_bound(problem, arithmetic)
    both = _beside(problem, twice, once, R, gradient_bound(duplicated(problem), arithmetic))
    return replace(both, witness="once")


def _beside(
    problem: Problem, one: FloatArray, other: FloatArray, R: FloatArray, S: FloatArray
) -> Comparison:
    """Compare two answers of an engine, the rounding of each within its bound."""
    structure = structure_of(problem.parameters)
    reference = Estimate.empty(structure.size)
    reference.value[:], reference.bound[:] = other, R
    no_figure = np.full(structure.size, np.inf)  # the calibrated one is for exact references
    asked = default_resolution(structure)
    return agree(structure, one, reference, S, no_figure, resolution=asked)


# ------------------------------------------------------------------------------------ in common


def bitwise(structure: Structure, engine: FloatArray, oracle: FloatArray) -> Comparison:
    """Compare numbers without any allowance: equal is EXACT, all else FAILED."""
    zero = np.zeros(structure.size)
    kind = np.where(engine == oracle, np.uint8(Kind.EXACT), np.uint8(Kind.FAILED))
    return Comparison(structure, engine, oracle, zero, zero, kind, 0.0, "exact")


Obstacle: TypeAlias = Callable[[Problem, str], str]


class Asked:
    """An engine under an exact test.

    Args:
        engine: the engine.
        require: the widest rounding model allowed, as of
        `gradcheck.checks.agreement.check_agreement`.

    Attributes:
        info: what it says of itself.
        models: the rounding models that it may be explained by, the narrowest first.
        calls: how often it was asked.

    Raises:
        ValueError: an unknown model.
    """

    def __init__(self, engine: Engine, require: str | None) -> None:
        self._engine = engine
        self.info: EngineInfo = engine.info
        self.models = allowed_models(self.info.arithmetic, require)
        self.calls = 0

    def __call__(self, problem: Problem) -> FloatArray:
        """Ask for a gradient, as one vector."""
        self.calls += 1
        return _gradient(self._engine, problem)

    def model(self, problem: Problem, g: FloatArray) -> str:
        """Return the narrowest model that explains an answer, "" if none does."""
        found = narrowest_model(self._engine, problem, g, self.models)
        self.calls += found.backward_passes
        return found.name

    def approximate_model(self, problem: Problem) -> str:
        """Return the model by which it may err where none needs to, "" if it may not."""
        if self.info.arithmetic:
            return self.models[-1] if self.models[-1] != STRICTEST else ""
        found = model_where_half_saturated(self._engine, problem, self.models)
        if found in NOT_ONE_HALF:
            return found
        elements = problem.targets.size
        return "" if elements == _power_of_two_below(elements) else STRICTEST


def _judged(
    ask: Asked, case: Case, obstacle: Obstacle, judge: Callable[[Asked, Problem], Outcome]
) -> Outcome:
    """Run one test on one case, counting the engine's calls."""
    problem = case.problem()
    if told := _unusable(problem, ask.info, obstacle):
        return Outcome(Verdict.INCONCLUSIVE, Reason.VACUOUS, told)
    try:
        outcome = judge(ask, problem)
    except DefectError as defect:
        outcome = Outcome(Verdict.FAIL, defect.reason, defect.detail)
    return replace(outcome, backward_passes=ask.calls)


def _require_known(info: EngineInfo) -> None:
    require_name("arithmetic", info.arithmetic or STRICTEST, tuple(ARITHMETICS))


def _unusable(problem: Problem, info: EngineInfo, obstacle: Obstacle) -> str:
    if dtype_name(problem.dtype) not in DTYPES:
        return f"{dtype_name(problem.dtype)} is not tested; {', '.join(DTYPES)} are"
    return obstacle(problem, info.arithmetic)


def _gradient(engine: Engine, problem: Problem) -> FloatArray:
    """Ask for a gradient; return it as one vector of float64 or wider.

    Raises:
        DefectError: a wrong number of layers, shape or precision, or a number that is not finite.
    """
    structure = structure_of(problem.parameters)
    layout = Layout("value_and_grad(problem)", "the gradient of", structure)
    _, layers = engine.value_and_grad(problem)
    try:
        answer = gradient_as_dict(layers, problem.architecture)
    except (TypeError, ValueError) as error:
        raise DefectError(Reason.SHAPE, str(error)) from None
    g = layout.vector(answer)
    bad = np.flatnonzero(~np.isfinite(g))
    if bad.size:
        first = structure.name(int(bad[0]))
        told = f"{bad.size} of {g.size} coordinates are not finite, {first} first"
        raise DefectError(Reason.NONFINITE, told)
    return g.astype(np.promote_types(g.dtype, np.float64))


def _overflow(problem: Problem, arithmetic: str) -> str:
    fits = np.isfinite(gradient_bound(problem, arithmetic or UNDECLARED)).all()
    return "" if fits else f"the gradient may overflow in {dtype_name(problem.dtype)}"


# ---------------------------------------------------------------------------------- all of them


@dataclass(frozen=True)
class ExactTest:
    """One exact test, and the cases that are drawn for it.

    Attributes:
        name: as reports call it.
        check: takes an engine, a case, and the widest rounding model that is allowed.
        obstacle: says why a problem cannot be used in an arithmetic.
        corner: of the cases.
        draws: problems a dtype.
        max_parameters, max_batch: of what is drawn.
        copies: how often the engine is given the batch at once.
        long_draws: deeper lattice problems besides, whose errors need more bits than NARROWER: an
            engine that rounds to a narrower dtype on the way does not return them.
    """

    name: str
    check: Callable[..., Outcome]
    obstacle: Obstacle
    corner: str
    draws: int
    max_parameters: int
    max_batch: int
    copies: int = 1
    long_draws: int = 0

    def limits(self, info: EngineInfo, dtype: str) -> LimitsDict:
        """Return what can be drawn, within what the engine supports.

        Raises:
            ValueError: the engine supports none of what the test needs.
        """
        own = info.limits
        reductions = ("mean",) if self.copies > 1 else REDUCTIONS
        targets = own.get("targets", TARGET_KINDS)
        names = {
            "losses": [name for name in LOSSES if name in info.losses],
            "reductions": [name for name in reductions if name in info.reductions],
            "corners": [self.corner] if self.corner in own.get("corners", [self.corner]) else [],
            "targets": [name for name in TARGET_KINDS if name in targets],
        }
        for kind, supported in names.items():
            if not supported:
                raise ValueError(f"the engine supports none of the {kind} that the test needs")
        return LimitsDict(
            dtypes=[dtype],
            losses=names["losses"],
            reductions=names["reductions"],
            corners=names["corners"],
            targets=names["targets"],
            max_depth=min(4, own.get("max_depth", 4)),
            max_width=min(40, own.get("max_width", 40)),
            max_outputs=min(40, own.get("max_outputs", 40)),
            max_batch=min(self.max_batch, own.get("max_batch", self.max_batch) // self.copies),
            max_parameters=min(
                FLOAT16_PARAMETERS if dtype == "float16" else self.max_parameters,
                own.get("max_parameters", self.max_parameters),
            ),
            max_weight_scale=own.get("max_weight_scale", Limits.max_weight_scale),
            max_preactivation=own.get("max_preactivation", Limits.max_preactivation),
        )

    def cases(self, info: EngineInfo, dtype: str, seed: int) -> list[Case]:
        """Draw usable cases, as many as `draws` if there are so many among TRIES.

        Raises:
            ValueError: the test cannot be put to the engine in that dtype; the message says why.
        """
        if dtype not in DTYPES:
            raise ValueError(f"only {', '.join(DTYPES)} are tested")
        limits = self.limits(info, dtype)
        drawn, again = tee(sample_cases(TRIES, seed, **limits))  # no more than are looked at
        adapted = (_adapted(case, square=i % 2 == 0) for i, case in enumerate(drawn))
        found = list(islice(self._usable(adapted, info), self.draws))
        if not found:
            raise ValueError(f"none of {TRIES} problems is usable")
        return found + self._long_cases(again, info, dtype) if self.long_draws else found

    def _long_cases(self, drawn: Iterator[Case], info: EngineInfo, dtype: str) -> list[Case]:
        """Deepen cases; keep some whose errors have more bits than the next narrower dtype."""
        if dtype not in NARROWER or ARITHMETICS[info.arithmetic or UNDECLARED].u_g:
            return []
        deep = (_deepened(case, *shape) for case, shape in zip(drawn, cycle(DEEP), strict=False))
        allowed = (case for case in deep if _is_within(case, info.limits))
        usable = self._usable(allowed, info)
        long = (c for c in usable if lattice_gradient(c.problem()).longest() > NARROWER[dtype])
        return list(islice(long, self.long_draws))

    def _usable(self, cases: Iterable[Case], info: EngineInfo) -> Iterator[Case]:
        most = info.limits.get("max_preactivation", Limits.max_preactivation)
        return (
            case
            for case in cases
            if has_preactivations_within(case, most)
            and not self.obstacle(case.problem(), info.arithmetic)
        )


NARROWER = {"float32": 11, "float64": 24}
"""Significant bits of the next narrower dtype; float16 has too few to need more than its own."""

DEEP = tuple(product(range(2, 9), (4, 8, 16)))
"""Depth and width of the hidden layers of long cases."""

FLOAT16_PARAMETERS = 60
"""Larger networks seldom fit float16."""

TESTS: dict[str, ExactTest] = {
    test.name: test
    for test in (
        ExactTest(
            "lattice", lattice, lattice_obstacle, "zero_preactivations", 12, 4000, 31, long_draws=4
        ),
        ExactTest(
            "zero input column", zero_column, zero_column_obstacle, "zero_feature", 4, 600, 31
        ),
        ExactTest("powers of two", powers_of_two, powers_obstacle, "generic", 4, 200, 8),
        ExactTest(
            "duplicated batch",
            duplicated_batch,
            duplicated_obstacle,
            "generic",
            4,
            200,
            8,
            copies=2,
        ),
    )
}


def _deepened(case: Case, depth: int, width: int) -> Case:
    """Replace the hidden layers; take soft targets, which have the most bits."""
    adapted = _adapted(case, square=False)
    sizes = (case.sizes[0], *[width] * (depth - 1), adapted.sizes[-1])
    return replace(adapted, sizes=sizes, targets="soft")


def _is_within(case: Case, limits: Mapping[str, Any]) -> bool:
    """Whether a case that was drawn within the limits still is after `_deepened`."""
    return (
        len(case.sizes) - 1 <= limits.get("max_depth", np.inf)
        and max(case.sizes) <= limits.get("max_width", np.inf)
        and case.architecture.n_parameters <= limits.get("max_parameters", np.inf)
        and case.targets in limits.get("targets", TARGETS)
    )


def _adapted(case: Case, *, square: bool) -> Case:
    """Make batch and outputs powers of two, the weights mild; W_2 square, if asked and possible.

    Nothing grows, so that the case stays within the limits it was drawn from.
    """
    sizes = list(case.sizes)
    sizes[-1] = _power_of_two_below(sizes[-1])
    if square and len(sizes) > 2 and min(sizes[1:3]) > 1:
        width = min(sizes[1:3])
        sizes[1] = sizes[2] = _power_of_two_below(width) if len(sizes) == 3 else width
    return replace(
        case,
        sizes=tuple(sizes),
        batch=_power_of_two_below(case.batch),
        weight_scale=min(case.weight_scale, LARGEST_SCALE),
    )


def _power_of_two_below(n: int) -> int:
    return 1 << (n.bit_length() - 1)


@dataclass(frozen=True)
class ExactOutcome:
    """What one test found on one case.

    Attributes:
        name: of the test.
        dtype: of the problem.
        token: the case; "" where a dtype was not tested.
        outcome: None where the engine refused the problem.
        refusal: why it did, else "".
    """

    name: str
    dtype: str
    token: str
    outcome: Outcome | None
    refusal: str = ""

    @property
    def verdict(self) -> str:
        """PASS, FAIL, INCONCLUSIVE or UNSUPPORTED."""
        return "UNSUPPORTED" if self.outcome is None else self.outcome.verdict.value


def exact_outcomes(engine: Engine, *, seed: int = 0) -> list[ExactOutcome]:
    """Put an engine through every exact test, in each dtype that it declares.

    Args:
        engine: the cases are drawn within its `info`.
        seed: of the draw.

    Returns:
        One entry a case. Where a test has no usable case in a dtype, one INCONCLUSIVE entry
        without token says why.

    Raises:
        ValueError: the engine declares an unknown arithmetic.
        Exception: whatever the engine raises, except Unsupported, which is counted.

    >>> from gradcheck.engines.registry import find
    >>> {outcome.verdict for outcome in exact_outcomes(find("reference"))}
    {'PASS'}
    """
    _require_known(engine.info)
    return [
        found
        for test in TESTS.values()
        for dtype in engine.info.dtypes
        for found in _outcomes(engine, test, dtype, seed)
    ]


def _outcomes(engine: Engine, test: ExactTest, dtype: str, seed: int) -> list[ExactOutcome]:
    try:
        cases = test.cases(engine.info, dtype, seed)
    except ValueError as error:
        told = f"{dtype} is not tested: {error}"
        untested = Outcome(Verdict.INCONCLUSIVE, Reason.VACUOUS, told)
        return [ExactOutcome(test.name, dtype, "", untested)]
    return [_outcome(engine, test, case) for case in cases]


def _outcome(engine: Engine, test: ExactTest, case: Case) -> ExactOutcome:
    try:
        return ExactOutcome(test.name, case.dtype, case.token, test.check(engine, case))
    except Unsupported as refusal:
        return ExactOutcome(test.name, case.dtype, case.token, None, refusal.why)
