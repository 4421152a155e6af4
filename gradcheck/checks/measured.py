r"""The rounding model of an engine that declares none: the narrowest that explains its answers.

The models (`gradcheck.rounding.arithmetic`) are nested: each row allows what the rows above it
allow. Wide bounds hold small bugs too, so a model is accepted for a gradient only if it

    explains   every entry, and all that the engine answers to the problem's companions
               (`gradcheck.checks.ladder`), within the model's bound; and
    predicts   the size that is seen: where the model loses digits, the engine loses them, too,
               and no more of them.

**What a model predicts.** One unit, z = f log(1 / u) with f in FRACTIONS: half saturated, so that

    p - y, a (1 - a)       y = 1, z > 0: sigma(-z) = u^f is left of the difference of two numbers
                           near 1, which are rounded by u / 2: relative error u^(1 - f) / 2
    absolute sigmoid       y = 0, z < 0: sigma(z) = u^f, with an absolute error of the order of u
    exp(z - log(1 + e^z))  either sign: an exponent of size |z| that is rounded by |z| u / 2

and likewise for the slope in a hidden unit. The relative bound of the narrower model is of the
order of u there: for the first two 1e5 times less and more. An engine all of whose answers stay
within it has these digits, and what it lacks elsewhere it does not lack by that model: a special
case, a cut-off, an overflow. At f <= 0.8 the probes lie below every |z| at which the wider model
could excuse a cut-off: its bound is at most 10 u, a cut-off at |z| errs by e^-|z|, and
u^0.8 > 10 u in float32 and float64.

**Wider formats.** An engine may keep its numbers in a wider format than the problem's, of unit
roundoff v < u, and round the gradient at last. It then loses the same digits where v, not u, is
left of e^-|z|; its bound is that of the model in the wider format, and the strictest one in the
problem's own for what is rounded at last. Each format is tried, the problem's own first, with
z = f log(1 / v). The 80-bit format has the bound of float64, which is wider.

An engine that does not take one unit is asked about the architecture of the problem, with all units
of one layer at such a z. One that answers nothing has shown nothing: the first condition decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from gradcheck.certified.gradient import certified_gradient
from gradcheck.checks.ladder import Answer, Exact, answered, companions, generic, milder
from gradcheck.outcomes.judging import is_within
from gradcheck.problem import Architecture, Problem, dtype_name, require_name
from gradcheck.problems.case import largest_preactivation
from gradcheck.rounding import ARITHMETICS, gradient_bound, loss_bound, may_lose_a_log, models_up_to

if TYPE_CHECKING:
    from gradcheck.arrays import FloatArray
    from gradcheck.engines.base import Engine

FRACTIONS = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
"""f: between digits that every model has and digits that a cut-off could take unseen."""

UNEVEN = 1 + 2.0**-7 + 2.0**-10
"""Keeps z from being a short number, at which an error of rounding may happen to be nil."""

OUTPUT, EVERYWHERE = ("output", "output layer"), ("output", "output layer", "hidden", "layer")
"""Which probes there are of outputs, and in all."""

PREDICTS: dict[str, tuple[str, tuple[int, ...]]] = {
    "p_minus_y": ("cancellation_free", (1,)),
    "flushed": ("cancellation_free", (1,)),
    "log_sum": ("flushed", (1, -1)),
    "absolute_sigmoid": ("log_sum", (-1,)),
}
"""By model, the model that lacks the errors it predicts, and the signs of z where they show."""

STANDARD = models_up_to("standard")


@dataclass(frozen=True)
class Format:
    """A format that an engine may keep its numbers in.

    Attributes:
        dtype: the one whose bounds hold in it.
        u: its unit roundoff.
    """

    dtype: str
    u: float


FORMATS = (Format("float32", 2.0**-24), Format("float64", 2.0**-53), Format("float64", 2.0**-64))


@dataclass(frozen=True)
class Model:
    """The narrowest rounding model that explains a gradient.

    Attributes:
        name: a name in ARITHMETICS, "" if none of those that were allowed does.
        wider: the dtype whose rounding it is, "" for the problem's own.
        backward_passes: how often the engine was asked.
        refuted_by: where none does, though one explains this answer, and half saturated outputs
            bear it out: the first companion that it does not explain, and what that is.
        excuse: the name and format of that model, where half saturated hidden units alone do not
            bear it out.
    """

    name: str
    wider: str = ""
    backward_passes: int = 0
    refuted_by: tuple[str, Problem] | None = None
    excuse: tuple[str, str] | None = None


def formats_of(problem: Problem) -> tuple[Format, ...]:
    """Return the formats that an engine may keep its numbers in, the problem's own first."""
    own = Format(dtype_name(problem.dtype), float(np.finfo(problem.dtype).eps) / 2)
    return (own, *(each for each in FORMATS if each.u < own.u))


def model_bound(problem: Problem, name: str, wider: str = "") -> FloatArray:
    """Bound what rounding does to a gradient by a model in a wider format, and at last in its own.

    Args:
        problem: of dtype float16, float32 or float64.
        name: of the model.
        wider: the dtype of the wider format; "" for the problem's own.
    """
    if not wider or wider == dtype_name(problem.dtype):
        return gradient_bound(problem, name)
    return gradient_bound(problem) + gradient_bound(problem.astype(wider), name)


def explains(
    name: str, wider: str, problem: Problem, gradient: FloatArray, exact: Exact | None = None
) -> bool:
    """Say whether every entry of a gradient is within the bound of a model.

    Args:
        name: of the model.
        wider: the dtype of its wider format; "" for the problem's own.
        problem: where.
        gradient: as one vector.
        exact: remembers exact gradients.
    """
    right = (exact or Exact())(problem)
    return is_within(gradient, right.gradient, model_bound(problem, name, wider) + right.bound)


def allowed_models(declared: str, require: str | None) -> tuple[str, ...]:
    """Return the models that an engine may be explained by, the narrowest first.

    Args:
        declared: the one that the engine declares, which binds it; "" if it declares none.
        require: what is asked of it, which binds it too: "strict", "standard" or a model's name;
            None asks for what it declares, else for "standard".

    Raises:
        TypeError: a declared model that is not text.
        ValueError: an unknown name.

    >>> allowed_models("", "p_minus_y"), allowed_models("tf32", None)
    (('cancellation_free', 'p_minus_y'), ('tf32',))
    """
    if not declared:
        return models_up_to(require or "standard")
    require_name("arithmetic", declared, tuple(ARITHMETICS))
    if require is None:
        return models_up_to(declared)[-1:]
    return min(models_up_to(declared), models_up_to(require), key=len)[-1:]


def narrowest_model(
    engine: Engine, problem: Problem, gradient: FloatArray, among: Sequence[str]
) -> Model:
    """Find the narrowest model that explains a gradient, and all else that the engine answers.

    Args:
        engine: what computed it; it is asked about other problems, too.
        problem: where.
        gradient: the engine's, as one vector.
        among: the models to try, the narrowest first.
    """
    exact, calls = Exact(), 0
    answers: list[Answer] | None = None
    refuted_by, excuse = None, None
    for name, kept in product(among, formats_of(problem)):
        wider = "" if kept == formats_of(problem)[0] else kept.dtype
        if not explains(name, wider, problem, gradient, exact):
            continue
        if answers is None:
            answers = list(answered(engine, companions(problem)))
            calls += len(answers)
        left = (answer for answer in answers if not explains(name, wider, *answer[1:], exact))
        first = next(left, None)
        errs, asked = errs_as_predicted(engine, problem, name, kept)
        calls += asked
        if errs and not first:
            return Model(name, wider, calls)
        if not errs:
            errs, asked = errs_as_predicted(engine, problem, name, kept, places=OUTPUT)
            calls += asked
        if errs and first:
            refuted_by = refuted_by or first[:2]
        elif errs:
            excuse = excuse or (name, wider)
    return Model("", "", calls, None if excuse else refuted_by, excuse)


def model_where_half_saturated(engine: Engine, problem: Problem, among: Sequence[str]) -> str:
    """Find the narrowest model that explains one half saturated unit; "" if none does.

    Args:
        engine: asked in the problem's dtype, loss and reduction.
        problem: says these.
        among: the models to try, the narrowest first.
    """
    among_these = f"half saturated {_probes_of(problem)}, among {', '.join(among)}"
    known, key = _remembered(engine, problem, among_these)
    if key not in known:
        own = formats_of(problem)[0]
        answers = _half_saturated_answers(engine, problem, (1, -1), own.u, _probes_of(problem))
        fits = (name for name in among if not _leaves(name, "", answers))
        known[key] = next(fits, "") if answers else ""
    return str(known[key])


# --- what a model predicts ------------------------------------------------------------------------

_known: WeakKeyDictionary[Any, dict[tuple[str, ...], Any]] = WeakKeyDictionary()
"""What engines have shown: by dtype, loss, reduction and question."""


def _remembered(engine: Engine, problem: Problem, question: str) -> tuple[Any, tuple[str, ...]]:
    """Return what an engine has shown, and the key of a question; nothing if it cannot be a key."""
    network = problem.architecture
    key = (dtype_name(problem.dtype), network.loss, network.reduction, question)
    try:
        return _known.setdefault(engine, {}), key
    except TypeError:
        return {}, key


def errs_as_predicted(
    engine: Engine,
    problem: Problem,
    name: str,
    kept: Format | None = None,
    *,
    places: Sequence[str] = (),
) -> tuple[bool, int]:
    """Say whether an engine lacks the digits that a model says it lacks, and no others.

    Args:
        engine: asked about one unit, in the problem's dtype, loss and reduction.
        problem: says these.
        name: of the model.
        kept: the format of the engine's numbers; default: the problem's own.
        places: the probes that count; default: those that the problem is like.

    Returns:
        Whether it does, true also where it answers none of the probes; and the calls that takes,
        also where the answer is remembered: what is counted does not depend on what came before.
    """
    if name not in PREDICTS:
        return True, 0
    narrower, signs = PREDICTS[name]
    own, places = formats_of(problem)[0], places or _probes_of(problem)
    kept = kept or own
    known, key = _remembered(engine, problem, f"{name} {kept.u} {places}")
    if key in known:
        errs, asked = known[key]
        return errs, asked
    wider = "" if kept == own else kept.dtype
    answers = _half_saturated_answers(engine, problem, signs, kept.u, places)
    errs = _leaves(narrower, "", answers) and not _leaves(name, wider, answers)
    known[key] = errs or not answers, len(answers)
    return errs or not answers, len(answers)


def _half_saturated_answers(
    engine: Engine, problem: Problem, signs: tuple[int, ...], u: float, places: Sequence[str]
) -> list[Answer]:
    """Ask about one unit; an engine that does not take that, about the problem's architecture."""
    for probes in (half_saturated, half_saturated_layers):
        every = probes(problem, signs, u)
        taken = (one for one in every if one[0] in places and _takes(engine, one[1]))
        if answers := list(answered(engine, taken)):
            return answers
    return []


def _probes_of(problem: Problem) -> tuple[str, ...]:
    """Return which probes a problem is like: without a hidden layer, none of a hidden unit.

    What an engine does to hidden layers, right or wrong, says nothing about such a problem.
    """
    return OUTPUT if problem.architecture.depth == 1 else EVERYWHERE


def _takes(engine: Engine, problem: Problem) -> bool:
    """Whether a problem is within the engine's limit of |z|."""
    most = engine.info.limits.get("max_preactivation", np.inf)
    return bool(most == np.inf or largest_preactivation(problem) <= most)


def _leaves(name: str, wider: str, answers: Sequence[Answer]) -> bool:
    """Whether some answer is beyond the bound of a model."""
    return not all(explains(name, wider, *answer[1:]) for answer in answers)


def half_saturated(
    problem: Problem, signs: tuple[int, ...], u: float
) -> Iterator[tuple[str, Problem]]:
    """Yield one unit at z = sign f log(1 / u), as the output and as a hidden unit.

    Args:
        problem: has the dtype, loss and reduction.
        signs: of z.
        u: the unit roundoff of the numbers that the engine keeps.
    """
    dtype, network = problem.dtype, problem.architecture
    farthest = -float(np.log(u))
    one = np.ones((1, 1), dtype)
    for f, sign in product(FRACTIONS, signs):
        W, b = np.array([[sign * f * farthest * UNEVEN]], dtype), np.zeros(1, dtype)
        y = np.array([[(1 + sign) / 2]], dtype)
        output = Architecture((1, 1), network.loss, network.reduction)
        yield "output", Problem(output, (W,), (b,), one, y)
        hidden = Architecture((1, 1, 1), network.loss, network.reduction)
        V, c = np.array([[0.625]], dtype), np.array([-0.375], dtype)
        yield "hidden", Problem(hidden, (W, V), (b, c), one, 0.25 * one)


def half_saturated_layers(
    problem: Problem, signs: tuple[int, ...], u: float
) -> Iterator[tuple[str, Problem]]:
    """Yield the problem's architecture with all units of its last, or its last hidden, layer at z.

    Args:
        problem: has architecture, batch and dtype.
        signs: of z.
        u: the unit roundoff of the numbers that the engine keeps.
    """
    dtype, network = problem.dtype, problem.architecture
    farthest = -float(np.log(u))
    mild = milder(generic(problem))
    small = tuple(np.ldexp(W, -10) for W in mild.weights)
    for f, sign, up in product(FRACTIONS, signs, range(1, min(network.depth, 2) + 1)):
        biases = [np.zeros_like(b) for b in mild.biases]
        biases[-up] += dtype.type(sign * f * farthest * UNEVEN)
        Y = np.full_like(mild.targets, (1 + sign) / 2 if up == 1 else 0.25)
        yield (
            "output layer" if up == 1 else "layer",
            replace(mild, weights=small, biases=tuple(biases), targets=Y),
        )


# --- the loss -------------------------------------------------------------------------------------

SATURATIONS = (0.0, 0.1, 0.3, 0.5, 0.65, 0.8, 0.95, 1.1)
"""|z| / log(1 / u) of the outputs at which an engine's loss is held to the models."""


def loss_model(engine: Engine, problem: Problem) -> str:
    """Find the narrowest model that explains an engine's loss on one unit; "" if none does.

    A loss that is not finite is explained by a model that lets p or 1 - p round to 0 there.

    Args:
        engine: asked for its loss, in the problem's dtype, loss and reduction.
        problem: says these.
    """
    known, key = _remembered(engine, problem, "loss")
    if key not in known:
        probes = (probe for probe in _one_unit(problem) if _takes(engine, probe))
        values = [(probe, _loss(engine, probe)) for probe in probes]
        told = [(probe, value) for probe, value in values if value is not None]
        fits = (name for name in STANDARD if all(_has_loss(name, *pair) for pair in told))
        known[key] = next(fits, "") if told else ""
    return str(known[key])


def _has_loss(name: str, problem: Problem, value: float) -> bool:
    if not np.isfinite(value):
        return may_lose_a_log(problem, name)
    exact = certified_gradient(problem)
    allowed = loss_bound(problem, name) + exact.loss_bound
    return not np.isfinite(allowed) or abs(value - exact.loss) <= allowed


def _loss(engine: Engine, problem: Problem) -> float | None:
    try:
        return float(engine.loss(problem))
    except Exception:  # noqa: BLE001  what it does not answer says nothing
        return None


def _one_unit(problem: Problem) -> Iterator[Problem]:
    dtype, network = problem.dtype, problem.architecture
    farthest = -float(np.log(np.finfo(dtype).eps / 2))
    architecture = Architecture((1, 1), network.loss, network.reduction)
    one, b = np.ones((1, 1), dtype), np.zeros(1, dtype)
    for f in SATURATIONS:
        for sign in (1, -1):
            for y in (0, 1):
                W = np.array([[sign * f * farthest * UNEVEN]], dtype)
                yield Problem(architecture, (W,), (b,), one, np.array([[y]], dtype))


def may_be_infinite(problem: Problem) -> bool:
    """Say whether a right loss may not be finite, by rounding: log of a p or 1 - p that is 0."""
    return may_lose_a_log(problem, STANDARD[-1])
