r"""Recognises a wrong step that is linear in something that is fixed, on problems drawn for that.

Symbols: delta = delta_l the right error, A = [a_{l-1}, 1], G = [dC/dW_l, dC/db_l] the engine's
blocks, or the one of them that is wrong with the same columns of A. Right is G = delta^T A; else

    factors     G = c delta^T A                    c another number on each problem
    counts      G = sum_i c_i delta_i^T A_i        c (m)
    units       G = ((F M) * R)^T A                M (n_l, n_l), F * R = delta
    examples    G = ((P F) * R)^T A                P (m, m)
    columns     dC/dW_l = delta^T [a_{l-1}, 1] N   N (n_{l-1} + 1, n_{l-1})
    weights     G = ((delta_{l+1} V) * sigmoid'(z_l))^T A          V for W_{l+1}, which is fixed
    inputs      dC/dW_1 = delta^T X'                               X' for X, which is fixed
    targets     G = ((a_L - Y') * top)^T A                         Y' for Y, which is fixed

All are solved for by least squares over several problems of one structure with TIMES as many
equations as unknowns at least, and must give every number of every one of them, within the room
(`seen`): what is not linear, or not fixed, does not fit. Only small networks are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import isqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcheck.diagnosis.arrays import DIGITS, NEAR, Told, mixed, replaced
from gradcheck.diagnosis.formula import BIAS, HIDDEN, OUTPUT, WEIGHT, expected
from gradcheck.diagnosis.peel import TOLD_APART, told_counts
from gradcheck.diagnosis.probes import answer, drawn, frame_of
from gradcheck.diagnosis.seen import ROOM, Seen
from gradcheck.outcomes.outcome import Suspect
from gradcheck.problem import Problem

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.engines.base import Engine

TIMES = 2
"""Equations for each unknown number, at least."""

MOST_ASKED, LEAST_ASKED = 16, 4
"""Problems that are asked for one relation."""

HOLDERS, ENTRIES = 5, 24
"""So many arrays are held one after the other, until they have so many entries."""

MOST_PARAMETERS, MOST_EXAMPLES = 60, 10
"""Of the problems for which a relation is looked for."""

W, B = 0, 1


LINEAR = "linear: "
"""What the keys of relations begin with."""


class Relation(NamedTuple):
    """What was found.

    Attributes:
        place, layer, told: the step, and what it does.
        expected: the right equation.
        calls: how often the engine was asked.
        problems: on how many problems it gives every number.
        also: what gives the same numbers, and is another mistake elsewhere.
    """

    place: str
    layer: int
    told: Told
    expected: str
    calls: int
    problems: int
    also: Told | None = None

    def _says(self, told: Told) -> str:
        step = {WEIGHT: "dC/dW", BIAS: "dC/db"}.get(self.place, "delta")
        return f"{step}_{self.layer} {told.says}"

    @property
    def text(self) -> str:
        """In the words of a diagnosis."""
        sure = f"sure: it gives every number on {self.problems} problems drawn for this"
        parts = [f"layer {self.layer}: {self._says(self.told)}", f"expected {self.expected}", sure]
        return "; ".join([*parts, *[self.told.detail] * bool(self.told.detail)])

    @property
    def suspects(self) -> tuple[Suspect, ...]:
        """As mistakes that would give the numbers."""
        every = [self.told, *[self.also] * bool(self.also)]
        return tuple(
            Suspect(self.place, self.layer, LINEAR + one.key, self._says(one), self.expected)
            for one in every
            if one is not None
        )


@dataclass(frozen=True)
class Step:
    """The step that is wrong, on one problem.

    Attributes:
        seen: the engine's answer.
        layer: l.
        which: the blocks that are wrong.
    """

    seen: Seen
    layer: int
    which: tuple[int, ...]

    @property
    def delta(self) -> Array:
        """The right error, (m, n_l)."""
        return self.seen.symbols.delta[self.layer]

    @property
    def A(self) -> Array:  # noqa: N802  (the symbol)
        """What the error is multiplied by: a_{l-1} for dC/dW_l, 1 for dC/db_l."""
        s = self.seen.symbols
        both = (s.a[self.layer - 1], np.ones((s.m, 1)))
        return np.hstack([both[k] for k in self.which])

    @property
    def G(self) -> Array:  # noqa: N802  (the symbol)
        """The engine's blocks."""
        return np.hstack([self.seen.g[self.layer][k] for k in self.which])

    @property
    def kappa(self) -> float:
        """What rounding may take of each term."""
        return ROOM * float(self.seen.kappa[self.layer].max())


class Equations(NamedTuple):
    """Linear equations of one problem: coefficients @ unknowns = values, with the terms' sizes."""

    coefficients: Array
    values: Array
    sizes: Array
    rooms: Array


def is_asked(n_parameters: int, batch: int) -> bool:
    """Whether relations are looked for on problems of these sizes."""
    return n_parameters <= MOST_PARAMETERS and batch <= MOST_EXAMPLES


def related(
    engine: Engine,
    problem: Problem,
    g: Array,
    layer: int,
    arithmetic: str,
    *,
    is_open: bool = True,
) -> Relation | None:
    """Find a linear relation that gives a wrong step; None where there is none.

    Args:
        engine: is asked about further problems of the same structure.
        problem: where it is wrong.
        g: its gradient there, which the relation must give, too.
        layer: the highest layer in which it is.
        arithmetic: the class by which numbers are compared.
        is_open: whether no pattern is known that says more than other numbers of an array do.
    """
    if not layer or not is_asked(problem.architecture.n_parameters, problem.batch):
        return None
    try:
        with np.errstate(all="ignore"):
            asks = _Asks(engine, problem, layer, arithmetic, g)
            return _mixture(asks) or (_other_array(asks) if is_open else None)
    except np.linalg.LinAlgError:  # least squares that do not converge
        return None


# --- problems -------------------------------------------------------------------------------------


class _Asks:
    """Problems of one structure, asked one by one; some of their arrays may be those of one."""

    def __init__(
        self, engine: Engine, problem: Problem, layer: int, arithmetic: str, g: Array
    ) -> None:
        self.engine, self.problem, self.layer = engine, problem, layer
        self.arithmetic, self.calls = arithmetic, 0
        self.own = self._step(problem, g)
        self._steps: dict[tuple[str, int], list[Step | None]] = {}

    def holders(self) -> range:
        """Number the problems whose arrays may be held; the one that failed comes first."""
        return range(HOLDERS)

    def steps(self, many: int, fixed: str = "", holder: int = 0) -> list[Step]:
        """Return the step on so many problems; none where one of them is wrong in another way.

        Args:
            many: how many.
            fixed: "W", "X" or "Y" for arrays that are the same in all of them.
            holder: whose arrays they are.
        """
        known = self._steps.setdefault((fixed, holder), [])
        while len(known) < many and None not in known:
            known.append(self._asked(len(known), fixed, holder))
        found = [step for step in known if step is not None]
        if len(found) < len(known):
            return []
        which = tuple(sorted({k for step in found for k in step.which}))
        return [Step(step.seen, self.layer, which) for step in found]

    def _asked(self, number: int, fixed: str, holder: int) -> Step | None:
        probe = drawn(self.engine, self.problem, number)
        held = drawn(self.engine, self.problem, MOST_ASKED + holder) if holder else self.problem
        if probe is None or held is None:
            return None
        probe = _with_fixed(probe, held, fixed)
        self.calls += 1
        g = answer(self.engine, probe)
        return None if g is None else self._step(probe, g)

    def is_own(self, equations: Callable[[Step], Equations], x: Array, like: Step) -> bool:
        """Whether a solution gives the problem that failed, too."""
        if self.own is None:
            return False
        return holds(equations(Step(self.own.seen, self.layer, like.which)), x)

    def _step(self, probe: Problem, g: Array) -> Step | None:
        """Return the step on one problem; None where another one is the first that is wrong."""
        seen = Seen.of(frame_of(probe, self.arithmetic), g)
        wrong = {k: tuple(bool(block.any()) for block in pair) for k, pair in seen.wrong.items()}
        if max((k for k in wrong if any(wrong[k])), default=0) != self.layer:
            return None
        right = Seen(seen.symbols.right(), seen.g, seen.wrong, seen.kappa, seen.least)
        return Step(right, self.layer, tuple(k for k in (W, B) if wrong[self.layer][k]))

    def relation(self, place: str, told: Told, steps: list[Step]) -> Relation:
        """Put together what was found on some problems."""
        right = expected(place, self.layer, steps[0].seen.symbols)
        return Relation(place, self.layer, told, right, self.calls, len(steps))


def _with_fixed(probe: Problem, problem: Problem, fixed: str) -> Problem:
    """Put arrays of the problem that failed into another one."""
    dtype = probe.dtype
    weights, biases = probe.weights, probe.biases
    if fixed == "W":
        weights = tuple(x.astype(dtype) for x in problem.weights)
        biases = tuple(x.astype(dtype) for x in problem.biases)
    X = problem.inputs.astype(dtype) if fixed == "X" else probe.inputs
    Y = problem.targets.astype(dtype) if fixed == "Y" else probe.targets
    return Problem(probe.architecture, weights, biases, X, Y) if fixed else probe


# --- least squares --------------------------------------------------------------------------------


def solved(each: Iterable[Equations]) -> Array | None:
    """Solve equations that must all hold; None where they do not, or have several solutions."""
    C, y, sizes, rooms = (np.concatenate(x) for x in zip(*each, strict=True))
    unknowns = C.shape[1]
    if len(y) < TIMES * unknowns or not np.all(rooms > 0):
        return None
    scaled, right = C / rooms[:, None], y / rooms
    if not (np.isfinite(scaled).all() and np.isfinite(right).all()):
        return None
    x, _, rank, singular = np.linalg.lstsq(scaled, right, rcond=1e-9)
    if rank < unknowns or not singular[-1] >= TOLD_APART:
        return None
    for solution in (np.asarray(np.round(x, DIGITS)) + 0.0, np.asarray(x)):
        if holds(Equations(C, y, sizes, rooms), solution):
            return solution
    return None


def holds(equations: Equations, x: Array) -> bool:
    """Whether equations hold, within the room."""
    C, y, sizes, rooms = equations
    return bool(np.all(np.abs(C @ x - y) <= rooms + sizes @ np.abs(x)))


def _equations(step: Step, C: Array, sizes: Array, y: Array) -> Equations:
    """Put together those of one problem: C[i] @ x = y[i] for every number y of a block."""
    least = step.seen.least
    terms = np.abs(step.delta).T @ np.abs(step.A)
    rooms = np.broadcast_to(step.kappa * terms + least, step.G.shape)
    shape = (y.size, -1)
    return Equations(C.reshape(shape), y.ravel(), step.kappa * sizes.reshape(shape), rooms.ravel())


def _counts(step: Step) -> Equations:
    """G_jp = sum_i c_i delta_ij A_ip."""
    C = np.einsum("ij,ip->jpi", step.delta, step.A)
    return _equations(step, C, np.abs(C), step.G)


Factors = tuple["Array", "Array"]
"""What is mixed, and what it is multiplied by, (m, n_l) each: their product is delta_l."""


def _units(step: Step, factors: Factors) -> Equations:
    """G_jp = sum_ik F_ik M_kj R_ij A_ip."""
    F, R = factors
    n = R.shape[1]
    operands = (F, R, step.A)
    C, sizes = (
        np.einsum("ik,ij,ip,jl->jpkl", *each, np.eye(n))
        for each in (operands, tuple(map(np.abs, operands)))
    )
    return _equations(step, C, sizes, step.G)


def _examples(step: Step, factors: Factors) -> Equations:
    """G_jp = sum_ik P_ik F_kj R_ij A_ip."""
    F, R = factors
    C = np.einsum("kj,ij,ip->jpik", F, R, step.A)
    return _equations(step, C, np.abs(C), step.G)


def _columns(step: Step) -> Equations:
    """G_jp = sum_q (delta^T [a, 1])_jq N_qp."""
    p = step.A.shape[1]
    A = np.hstack([step.A, np.ones((len(step.A), 1))])
    D, T = step.delta.T @ A, np.abs(step.delta).T @ np.abs(A)
    C, sizes = (np.einsum("jq,pr->jpqr", x, np.eye(p)) for x in (D, T))
    return _equations(step, C, sizes, step.G)


def _one_factor(step: Step) -> Equations:
    """G_jp = c (delta^T A)_jp."""
    D, T = step.delta.T @ step.A, np.abs(step.delta).T @ np.abs(step.A)
    return _equations(step, D, T, step.G)


def _weights(step: Step) -> Equations:
    """G_jp = sum_ik delta_{l+1},ik V_kj s_ij A_ip."""
    s = step.seen.symbols
    above, slope = s.delta[step.layer + 1], s.s(step.layer)
    n = step.delta.shape[1]
    C = np.einsum("ik,ij,ip,jl->jpkl", above, slope, step.A, np.eye(n))
    sizes = np.einsum("ik,ij,ip,jl->jpkl", np.abs(above), slope, np.abs(step.A), np.eye(n))
    return _equations(step, C, sizes, step.G)


def _inputs(step: Step) -> Equations:
    """G_jp = sum_i delta_ij X'_ip."""
    p = step.G.shape[1]
    C = np.einsum("ij,pq->jpiq", step.delta, np.eye(p))
    return _equations(step, C, np.abs(C), step.G)


def _targets(step: Step) -> Equations:
    """G_jp - (a top)^T A = sum_i -Y'_ij top_ij A_ip."""
    s = step.seen.symbols
    top = np.broadcast_to(s.top, s.Y.shape)
    n = top.shape[1]
    C = -np.einsum("ij,ip,jl->jpil", top, step.A, np.eye(n))
    y = step.G - (s.a[s.L] * top).T @ step.A
    return _equations(step, C, np.abs(C), y)


# --- what is looked for ---------------------------------------------------------------------------


def _mixture(asks: _Asks) -> Relation | None:
    """Find examples that are counted, or units, examples or columns that are mixed."""
    first = asks.steps(LEAST_ASKED)
    if not first:
        return None
    place = _place(asks, first[0])
    several = first[0].delta.size > 1  # one number always has some factor
    own = [] if asks.own is None else [asks.own]
    factors = [solved([_one_factor(step)]) for step in (*first, *own)]
    if several and (told := _told_of_factors(factors)):
        return asks.relation(place, told, first)
    for one in _mixtures(first[0]):
        many = _how_many(one.unknowns, first[0])
        steps = asks.steps(many) if many else []
        x = solved([one.equations(step) for step in steps]) if steps else None
        if x is None or not asks.is_own(one.equations, x, first[0]):
            continue
        if told := one.told(x):
            found = asks.relation(place, told, steps)
            is_residual = place == OUTPUT and not first[0].seen.symbols.is_quadratic
            return found._replace(also=_of_residual(told, asks.layer) if is_residual else None)
    return None


def _of_residual(told: Told, layer: int) -> Told:
    """Tell of a_L - Y what is told of delta_L: with cross-entropy they are one number."""
    return _in_factor(told, "residual", f"a_{layer} - Y")


def _told_of_factors(each: Sequence[Array | None]) -> Told | None:
    """Say that each problem has one factor, if they are not the same."""
    factors = [float(c[0]) for c in each if c is not None]
    if len(factors) < len(each) or max(factors) - min(factors) <= NEAR:
        return None
    here = f"here from {min(factors):.4g} to {max(factors):.4g}"
    return Told(
        "one factor", "has one factor in all its numbers, another one on each problem", here
    )


def _how_many(unknowns: int, step: Step) -> int:
    """Return on how many problems so many numbers can be solved for; 0 where on too many."""
    many = max(LEAST_ASKED, -(-TIMES * unknowns // step.G.size) + 1)
    return many if many <= MOST_ASKED else 0


class Mixture(NamedTuple):
    """One kind of mixture: how many numbers it has, its equations, and what is said of it."""

    unknowns: int
    equations: Callable[[Step], Equations]
    told: Callable[[Array], Told | None]


def _mixtures(step: Step) -> Iterator[Mixture]:
    """Yield the kinds of mixtures, the simplest first."""
    m, (n, p) = len(step.delta), step.G.shape
    if m > 1:
        yield Mixture(m, _counts, _told_of_counts)
    for name, factors in _factors(step):
        if n > 1:
            yield Mixture(n * n, _with(_units, factors), _of(name, n, "unit", "its units"))
        if m > 1:
            block = name or (("of delta", f"delta_{step.layer}") if len(step.which) == 1 else ())
            yield Mixture(m * m, _with(_examples, factors), _of(block, m, "example", "the batch"))
    if step.which == (W,):
        yield Mixture(p * (p + 1), _columns, partial(_told_of_columns, step.layer))


def _factors(step: Step) -> Iterator[tuple[tuple[str, ...], Callable[[Step], Factors]]]:
    """Yield what may be mixed: delta_l itself, or one of the two factors that it is made of."""
    s, k = step.seen.symbols, step.layer
    yield (), lambda one: (one.delta, np.ones_like(one.delta))
    if k < s.L or s.is_quadratic:
        passed = ("residual", f"a_{k} - Y") if k == s.L else ("passed", f"delta_{k + 1} W_{k + 1}")
        yield passed, _two
        yield ("slope", f"sigmoid'(z_{k})"), lambda one: _two(one)[::-1]


def _two(step: Step) -> Factors:
    s, k = step.seen.symbols, step.layer
    first = s.residual / s.M if k == s.L else s.passed_down(k)
    return first, s.s(k)


def _with(
    equations: Callable[[Step, Factors], Equations], factors: Callable[[Step], Factors]
) -> Callable[[Step], Equations]:
    return lambda step: equations(step, factors(step))


def _of(name: tuple[str, ...], n: int, one: str, what: str) -> Callable[[Array], Told | None]:
    """Return what names a matrix, of the factor that it is applied to."""

    def told(x: Array) -> Told | None:
        M = x.reshape(n, n)
        found = mixed(M.T if one == "example" else M, one, what)
        return _in_factor(found, *name) if found and name else found

    return told


def _in_factor(told: Told, key: str, name: str) -> Told:
    return told._replace(key=f"{told.key}, {key}", says=f"has {name} that {told.says}")


def _told_of_columns(layer: int, x: Array) -> Told | None:
    """Say what the columns of dC/dW_l are made of: of each other, or of dC/db_l too."""
    p = (isqrt(4 * len(x) + 1) - 1) // 2
    x = np.where(np.abs(x) <= NEAR, 0.0, x)  # what rounding leaves of a 0 that was solved for
    N, bias = x.reshape(p + 1, p)[:p], x.reshape(p + 1, p)[p]
    if not bias.any():
        return mixed(N, "column", "its columns")
    if np.all(bias == 1) and not N.any():
        return Told("ones for a", f"has dC/db_{layer} in each column")
    j = int(np.flatnonzero(bias)[0])
    is_it = bias[j] == 1 and not N[:, j].any()
    here = f"here column {j} is dC/db_{layer}" if is_it else f"here column {j} has some of it"
    return Told("columns of biases", f"has dC/db_{layer} among its columns", here)


def _told_of_counts(c: Array) -> Told | None:
    return None if np.ptp(c) <= NEAR else Told("examples", told_counts(c))


def _place(asks: _Asks, step: Step) -> str:
    if len(step.which) > 1:
        return _error(asks)
    return WEIGHT if step.which == (W,) else BIAS


def _error(asks: _Asks) -> str:
    return OUTPUT if asks.layer == asks.problem.architecture.depth else HIDDEN


def _other_array(asks: _Asks) -> Relation | None:
    """Find another array in the place of W_{l+1}, X or Y, and what it has to do with that."""
    for fixed, name, each, which in _slots(asks):
        found: list[tuple[Array, Array]] = []
        for holder in asks.holders():
            pair = _solved_for(asks, fixed, holder, each, which)
            if pair is not None:
                found.append(pair)
            elif not found:
                break
            if len(found) > 1 and sum(old.size for _, old in found) >= ENTRIES:
                break
        if found:
            place = WEIGHT if which == (W,) else _error(asks)
            return asks.relation(place, replaced(found, name), asks.steps(1, fixed))
    return None


Slot = tuple[str, str, Callable[[Step], Equations], tuple[int, ...]]


def _slots(asks: _Asks) -> Iterator[Slot]:
    """Yield what may be replaced: which array is held, its name, equations and wrong blocks."""
    if asks.layer == asks.problem.architecture.depth:
        yield "Y", "Y", _targets, (W, B)
    else:
        yield "W", f"W_{asks.layer + 1}", _weights, (W, B)
    if asks.layer == 1:
        yield "X", "X", _inputs, (W,)


def _solved_for(
    asks: _Asks,
    fixed: str,
    holder: int,
    each: Callable[[Step], Equations],
    which: tuple[int, ...],
) -> tuple[Array, Array] | None:
    """Solve for an array that is held; None where it is the right one, or none gives all numbers.

    Returns:
        What stands in its place, and the array.
    """
    first = asks.steps(LEAST_ASKED, fixed, holder)
    if not first or first[0].which != which:
        return None
    s = first[0].seen.symbols
    old = {"Y": s.Y, "X": s.X}[fixed] if fixed != "W" else s.W[asks.layer + 1]
    many = _how_many(old.size, first[0])
    steps = asks.steps(many, fixed, holder) if many else []
    x = solved([each(one) for one in steps]) if steps else None
    if x is None or np.allclose(x, old.ravel(), rtol=NEAR, atol=NEAR):
        return None
    if not holder and not asks.is_own(each, x, first[0]):
        return None
    return x.reshape(old.shape), old
