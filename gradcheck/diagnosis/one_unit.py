r"""Explains a wrong gradient by what the engine gives for networks of one unit.

An engine that is a composition of its units has, with functions A, s and r of its own,

    a_l = A(z_l),   delta_l = (delta_{l+1} W_{l+1}) * s(z_l),   delta_L = r(z_L, y) / M
    dC/dW_l = delta_l^T a_{l-1},   dC/db_l = sum_i delta_l

A and s are asked of 1-1-1, r of 1-1, at exactly the z and y of the problem. If the gradient that
they make is the engine's, entry by entry, then whatever is wrong is wrong in A, s or r, and the
response curves (`gradcheck.response`) say at which z, and what is given there. The right equations,
sums and shapes are shown by the same comparison.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from gradcheck.diagnosis.formula import ANSWER, HIDDEN, OUTPUT, expected
from gradcheck.diagnosis.probes import frame_of
from gradcheck.diagnosis.symbols import Symbols, sigmoid, slope
from gradcheck.outcomes.outcome import Suspect
from gradcheck.problem import dtype_name
from gradcheck.pytree import structure_of
from gradcheck.response import Interval, Responses, curves
from gradcheck.response.curve import ACTIVATION, DELTA, SLOPE
from gradcheck.response.sweep import Answer, EngineGoneError, Network, ask
from gradcheck.response.words import given, grouped, in_y, number, regions
from gradcheck.rounding import REQUIREMENTS, gradient_bound, models_up_to

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.engines.base import Engine
    from gradcheck.problem import Problem

WIDEST, USUAL = REQUIREMENTS["standard"], "flushed"

MOST_ASKED = 400
"""Numbers z that an engine is asked about for one problem."""

ROOM = 8.0
"""How often the rounding bound the engine may be from the gradient that its units make."""

TELLS = 4.0
"""How often that, a wrong entry must be from the exact one: else rounding would explain it."""

SURE = "sure: measured on networks of one unit, which give every entry here"

KEY = "one unit"

MOST_TOLD = 2


@dataclass(frozen=True)
class Cause:
    """What is wrong in one unit, and where.

    Attributes:
        says: what is wrong.
        expected: the right equation.
        place: OUTPUT or HIDDEN, ANSWER for the sigmoid itself.
        layer: 0 for all layers.
        calls: how often the engine was asked.
    """

    says: str
    expected: str
    place: str
    layer: int
    calls: int = 0

    @property
    def text(self) -> str:
        """In the words of a diagnosis."""
        where = f"layer {self.layer}" if self.layer else "all layers"
        return f"{where}: {self.says}; expected {self.expected}; {SURE}"

    @property
    def suspect(self) -> Suspect:
        """As a mistake that would give the numbers."""
        return Suspect(self.place, self.layer, KEY, self.says, self.expected)


def told_of_units(engine: Engine, problem: Problem, gradient: Array, failed: Array) -> Cause | None:
    """Say what single units of the engine give, if that explains every entry; else None.

    Args:
        engine: what computed the gradient; it is asked again.
        problem: where.
        gradient: the engine's, as one vector.
        failed: which entries are wrong.
    """
    dtype = dtype_name(problem.dtype)
    wrong = _wrong_arrays(problem, failed)
    if problem.architecture.loss not in engine.info.losses or "W" not in wrong:
        return None
    with np.errstate(all="ignore"):
        measured, calls = _responses(engine, dtype)
        units = Units(engine, problem, measured.intervals)
        made = units.gradient() if measured.intervals else None
        if made is None or not _explains(problem, made, gradient, failed):
            return None
        told = _told(measured, units, is_forward="b" in wrong)
    if told is None or not told.says:
        return None
    return replace(told, calls=len(units.answers) + calls)


def _wrong_arrays(problem: Problem, failed: Array) -> set[str]:
    """Say whether derivatives by weights (W), by biases (b) or by both are wrong.

    A wrong delta shows in dC/dW and in dC/db, and so does another activation, by all that is above
    it. The curves are those of dC/db; where biases alone are wrong, it may be that alone.
    """
    leaves = structure_of(problem.parameters).leaves
    return {leaf.name[0] for leaf in leaves if failed[leaf.start : leaf.stop].any()}


def _explains(problem: Problem, made: Array, gradient: Array, failed: Array) -> bool:
    """Whether the units make the engine's gradient, which is not what rounding makes of the right.

    The bound is that of the narrowest model in which they make it.
    """
    unit = float(np.finfo(problem.dtype).eps)
    right = frame_of(problem, WIDEST).right
    for model in models_up_to(WIDEST):
        room = ROOM * (gradient_bound(problem, model) + unit * np.abs(made))
        if (np.abs(gradient - made) <= room).all():
            return bool(((np.abs(gradient - right) > TELLS * room) & failed).any())
    return False


# ---------------------------------------------------------------------------------------- the units


@dataclass
class Units:
    """What an engine gives for single units at the z of a problem.

    Within the bound it gives what is right; in an interval where it gives 0, a constant, a multiple
    or a shifted value, that; anywhere else in an interval, and beside its ends, it is asked.

    Attributes:
        engine, problem: of both.
        intervals: of the engine in the problem's dtype.
        answers: by network and z.
        z: of the layers, as the engine's own activations make them; filled by `gradient`.
    """

    engine: Engine
    problem: Problem
    intervals: tuple[Interval, ...]
    answers: dict[tuple[int, float, float], Answer] = field(default_factory=dict)
    z: dict[int, Array] = field(default_factory=dict)

    def gradient(self) -> Array | None:
        """Return the gradient that the units make, as one vector; None where they give none."""
        try:
            return self._gradient()
        except (EngineGoneError, _NoAnswerError):
            return None

    def _gradient(self) -> Array:
        s = Symbols.of(self.problem)
        a = {0: s.X}
        for layer in range(1, s.L + 1):
            self.z[layer] = a[layer - 1] @ s.W[layer].T + s.b[layer]
            a[layer] = self._value(ACTIVATION, 0.0, self.z[layer]) if layer < s.L else s.Y
        low, high = (self._value(DELTA, y, self.z[s.L], s.Y + y != 1) for y in (0.0, 1.0))
        delta = ((1 - s.Y) * low + s.Y * high) / s.M
        blocks = []
        for layer in range(s.L, 0, -1):
            blocks += [delta.sum(axis=0), (delta.T @ a[layer - 1]).ravel()]
            if layer > 1:
                delta = (delta @ s.W[layer]) * self._value(SLOPE, 0.0, self.z[layer - 1])
        return np.concatenate(blocks[::-1])

    def _value(self, quantity: str, y: float, z: Array, used: Array | None = None) -> Array:
        """Return a quantity at every z that is used."""
        loss = self.problem.architecture.loss
        value = RIGHT[quantity, loss](z, y) if quantity == DELTA else RIGHT[quantity, ""](z, y)
        for i in self.intervals:
            if i.quantity != quantity or (quantity == DELTA and (i.loss, i.y) != (loss, y)):
                continue
            near = _is_near(i, z) if used is None else _is_near(i, z) & used
            inside = near & (i.low <= z) & (z <= i.high) & (i.kind in PLAIN)
            if i.kind in PLAIN:
                value = np.where(inside, PLAIN[i.kind](value, i.number), value)
            for at in np.argwhere(near & ~inside):
                value[tuple(at)] = self._asked(quantity, float(z[tuple(at)]), y)
        return value

    def _asked(self, quantity: str, z: float, y: float) -> float:
        answer = self._ask(1 if quantity == DELTA else 2, z, y)
        if quantity == DELTA:
            return answer.bias
        part = answer.bias if quantity == SLOPE else answer.weight_above
        return float(np.divide(part, answer.bias_above))

    def _ask(self, depth: int, z: float, y: float) -> Answer:
        network = self.problem.architecture
        dtype = dtype_name(self.problem.dtype)
        z = float(np.dtype(dtype).type(z))
        key = (depth, z, y)
        if key not in self.answers:
            if len(self.answers) >= MOST_ASKED or not np.isfinite(z):
                raise _NoAnswerError
            about = Network(depth, network.loss, network.reduction, y, dtype)
            self.answers[key] = ask(self.engine, about, z)
        if self.answers[key].told:
            raise _NoAnswerError
        return self.answers[key]


class _NoAnswerError(Exception):
    """The engine gives nothing for a unit, or is asked too often."""


RIGHT: dict[tuple[str, str], Callable[[Array, float], Array]] = {
    (ACTIVATION, ""): lambda z, y: sigmoid(z),  # noqa: ARG005  (as the others)
    (SLOPE, ""): lambda z, y: slope(z),  # noqa: ARG005  (as the others)
    (DELTA, "cross_entropy"): lambda z, y: -sigmoid(-z) if y else sigmoid(z),
    (DELTA, "quadratic"): lambda z, y: (-sigmoid(-z) if y else sigmoid(z)) * slope(z),
}
"""Quantities by loss, as functions of z and the label."""

PLAIN: dict[str, Callable[[Array, float], Array | float]] = {
    "zero": lambda right, c: c,  # noqa: ARG005  (as the others)
    "constant": lambda right, c: c,  # noqa: ARG005  (as the others)
    "kept": lambda right, c: c,  # noqa: ARG005  (as the others)
    "multiple": lambda right, c: c * right,
    "shifted": lambda right, c: right + c,
}
"""What is given in an interval, of the right value and the interval's number."""


def _is_near(i: Interval, z: Array) -> Array:
    """Whether z is in an interval or beside one of its ends."""
    low = i.low if np.isnan(i.low_after) or i.is_point else i.low_after
    high = i.high if np.isnan(i.high_before) or i.is_point else i.high_before
    return np.asarray((low <= z) & (z <= high))


# --------------------------------------------------------------------------------------- the curves


_known: WeakKeyDictionary[Any, dict[str, Responses]] = WeakKeyDictionary()
"""What engines have shown, by dtype."""


def _responses(engine: Engine, dtype: str) -> tuple[Responses, int]:
    """Measure once; a sigmoid of absolute accuracy is held to that. Return the calls, too."""
    try:
        known = _known.setdefault(engine, {})
    except TypeError:  # it cannot be a key
        known = {}
    calls = 0
    if dtype not in known:
        measured = curves(engine, dtype)
        found = Responses.of(measured, USUAL)
        loses = any(i.quantity == ACTIVATION for i in found.intervals)
        wider = Responses.of(measured, WIDEST) if loses else found
        is_within = not any(i.quantity == ACTIVATION for i in wider.intervals)
        known[dtype] = wider if loses and is_within else found
        calls = known[dtype].calls
    return known[dtype], calls


def _told(measured: Responses, units: Units, *, is_forward: bool) -> Cause | None:
    """Return the first quantity, from the output down, that is wrong.

    Args:
        measured: the curves.
        units: of the problem.
        is_forward: whether the activations may be others in the forward pass, too.
    """
    s = Symbols.of(units.problem)
    loss = units.problem.architecture.loss
    of = {
        quantity: [i for i in measured.intervals if i.quantity == quantity]
        for quantity in (ACTIVATION, SLOPE)
    }
    of[DELTA] = [i for i in measured.intervals if i.quantity == DELTA and i.loss == loss]
    is_top = any(_is_hit(i, units.z[s.L], s.Y) for i in of[DELTA])
    hit = {q: _layers(of[q], units.z, s.L) for q in (ACTIVATION, SLOPE)}
    if of[ACTIVATION] and _follows(of[DELTA], of[ACTIVATION]) and (is_top or any(hit.values())):
        if not is_forward:
            return None
        told = _what(measured, of[ACTIVATION])
        return Cause(re.sub("_l", "", told), "a = sigmoid(z)", ANSWER, 0)
    if is_top:
        told = _what(measured, of[SLOPE] if s.is_quadratic and of[SLOPE] else of[DELTA])
        return _placed(told, OUTPUT, s.L, s)
    if hit[SLOPE]:
        return _placed(_what(measured, of[SLOPE]), HIDDEN, hit[SLOPE][0], s)
    return None


def _layers(intervals: Sequence[Interval], z: dict[int, Array], top: int) -> list[int]:
    """Return the hidden layers with some z in an interval, the highest first."""
    return [k for k in range(top - 1, 0, -1) if any(_is_hit(i, z[k]) for i in intervals)]


def _is_hit(i: Interval, z: Array, y: Array | None = None) -> bool:
    """Whether some z of a layer lies in an interval, with its label or one between both."""
    inside = (i.low <= z) & (z <= i.high)
    if y is not None:
        inside = inside & ((y == i.y) | ((y > 0) & (y < 1)))
    return bool(inside.any())


def _follows(output: Iterable[Interval], sigmoid: Sequence[Interval]) -> bool:
    """Whether the output error is wrong nowhere but where the sigmoid is."""
    return all(any(j.low <= i.low and i.high <= j.high for j in sigmoid) for i in output)


NAMES = {DELTA: "delta_L", SLOPE: "delta_l", ACTIVATION: "a_l"}


def _what(measured: Responses, chosen: Sequence[Interval]) -> str:
    """Say what a quantity is: by its formula, else interval by interval; "" where neither can."""
    at = chosen[0]
    loss = at.loss if at.quantity == DELTA else ""
    texts = {n.text for n in measured.names if (n.quantity, n.loss) == (at.quantity, loss)}
    if len(texts) == 1:
        (text,) = texts
        return _by_formula(at.quantity, text)
    if any(i.kind not in (*PLAIN, "nan", "inf") for i in chosen):
        return ""
    points = {i.y: i for i in chosen if i.is_point and i.low == 0}
    if at.quantity == DELTA and len(points) == len(chosen) == 2:
        return f"delta_L is {in_y(points[0].number, points[1].number)} where z_L is exactly 0"
    parts = [f"{_given(g[0])} where {regions(g)}" for g in grouped(chosen)]
    told = " and ".join(parts[:MOST_TOLD]) + (" and wrong elsewhere" if parts[MOST_TOLD:] else "")
    return f"{NAMES[at.quantity]} {told}"


def _by_formula(quantity: str, text: str) -> str:
    """Put a formula's name into the symbols of a diagnosis."""
    symbols = {"p": "a_L", "y": "Y", "z": "z_L"} if quantity == DELTA else {"a": "a_l", "z": "z_l"}
    for name, symbol in symbols.items():
        text = re.sub(rf"(?<![a-z]){name}(?![a-z])(?! sigmoid)", symbol, text)
    has = {DELTA: "delta_L is", SLOPE: "delta_l has, for sigmoid'(z_l),", ACTIVATION: "a_l is"}
    return f"{has[quantity]} {text}"


def _given(at: Interval) -> str:
    """Say what is given; of a slope, what delta_l has in its place."""
    told = given(at)
    if at.quantity != SLOPE:
        return told
    if at.kind in ("zero", "constant"):
        return f"has {number(at.number)} for sigmoid'(z_l)"
    if at.kind == "multiple":
        return f"has {number(at.number)} times sigmoid'(z_l)"
    return f"has a sigmoid'(z_l) that {told}"


def _placed(told: str, place: str, layer: int, s: Symbols) -> Cause:
    """Put the layer's number for l and L."""
    for name in ("delta_", "z_", "a_"):
        told = re.sub(rf"{name}[lL]", f"{name}{layer}", told)
    return Cause(told, expected(place, layer, s), place, layer)
