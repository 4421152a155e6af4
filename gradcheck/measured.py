r"""The rounding model of an engine that declares none: the narrowest that explains its answers.

The models (`gradcheck.rounding.arithmetic`) are nested: each row allows what the rows above it
allow. Wide bounds hold small bugs too, so a model is accepted for a gradient only if it

    explains   every entry, and all that the engine answers to the problem's companions
               (`gradcheck.ladder`), within the model's bound; and
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

from gradcheck.ladder import (
    Answer,
    Exact,
    answered,
    companions,
    generic,
    is_of_class,
    milder,
)
from gradcheck.oracles.certified import certified_gradient
from gradcheck.problem import Architecture, Problem, dtype_name, require_name
from gradcheck.rounding import ARITHMETICS, loss_bound, may_lose_a_log, models_up_to

if TYPE_CHECKING:
    from gradcheck.engines.base import Engine
    from gradcheck.ladder import FloatArray

FRACTIONS = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
"""f: between digits that every model has and digits that a cut-off could take unseen."""

UNEVEN = 1 + 2.0**-7 + 2.0**-10
"""Keeps z from being a short number, at which an error of rounding may happen to be nil."""

PREDICTS: dict[str, tuple[str, tuple[int, ...]]] = {
    "p_minus_y": ("cancellation_free", (1,)),
    "flushed": ("cancellation_free", (1,)),
    "log_sum": ("flushed", (1, -1)),
    "absolute_sigmoid": ("log_sum", (-1,)),
}
"""By model, the model that lacks the errors it predicts, and the signs of z where they show."""

STANDARD = models_up_to("standard")


@dataclass(frozen=True)
class Model:
    """The narrowest rounding model that explains a gradient.

    Attributes:
        name: a name in ARITHMETICS, "" if none of those that were allowed does.
        backward_passes: how often the engine was asked.
    """

    name: str
    backward_passes: int


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
    exact = Exact()
    fits = [name for name in among if is_of_class(name, problem, gradient, exact)]
    if not fits:
        return Model("", 0)
    answers = list(answered(engine, companions(problem)))
    calls = len(answers)
    for name in fits:
        if all(is_of_class(name, *answer[1:], exact) for answer in answers):
            errs, asked = errs_as_predicted(engine, problem, name)
            calls += asked
            if errs:
                return Model(name, calls)
    return Model("", calls)


def model_where_half_saturated(engine: Engine, problem: Problem, among: Sequence[str]) -> str:
    """Find the narrowest model that explains one half saturated unit; "" if none does.

    Args:
        engine: asked in the problem's dtype, loss and reduction.
        problem: says these.
        among: the models to try, the narrowest first.
    """
    answers = _half_saturated_answers(engine, problem, (1, -1))
    explains = (name for name in among if not _leaves(name, answers))
    return next(explains, "") if answers else ""


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


def errs_as_predicted(engine: Engine, problem: Problem, name: str) -> tuple[bool, int]:
    """Say whether an engine lacks the digits that a model says it lacks, and no others.

    Args:
        engine: asked about one unit, in the problem's dtype, loss and reduction.
        problem: says these.
        name: of the model.

    Returns:
        Whether it does, true also where it answers none of the probes; and the calls it took.
    """
    if name not in PREDICTS:
        return True, 0
    narrower, signs = PREDICTS[name]
    known, key = _remembered(engine, problem, name)
    if key in known:
        return known[key], 0
    answers = _half_saturated_answers(engine, problem, signs)
    known[key] = not answers or (_leaves(narrower, answers) and not _leaves(name, answers))
    return known[key], len(answers)


def _half_saturated_answers(
    engine: Engine, problem: Problem, signs: tuple[int, ...]
) -> list[Answer]:
    """Ask about one unit; an engine that does not take that, about the problem's architecture."""
    answers = list(answered(engine, half_saturated(problem, signs)))
    return answers or list(answered(engine, half_saturated_layers(problem, signs)))


def _leaves(name: str, answers: Sequence[Answer]) -> bool:
    """Whether some answer is beyond the bound of a model."""
    return not all(is_of_class(name, *answer[1:]) for answer in answers)


def half_saturated(problem: Problem, signs: tuple[int, ...]) -> Iterator[tuple[str, Problem]]:
    """Yield one unit at z = sign f log(1 / u), as the output and as a hidden unit.

    Args:
        problem: has the dtype, loss and reduction.
        signs: of z.
    """
    dtype, network = problem.dtype, problem.architecture
    farthest = -float(np.log(np.finfo(dtype).eps / 2))
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
    problem: Problem, signs: tuple[int, ...]
) -> Iterator[tuple[str, Problem]]:
    """Yield the problem's architecture with all units of its last, or its last hidden, layer at z.

    Args:
        problem: has architecture, batch and dtype.
        signs: of z.
    """
    dtype, network = problem.dtype, problem.architecture
    farthest = -float(np.log(np.finfo(dtype).eps / 2))
    mild = milder(generic(problem))
    small = tuple(np.ldexp(W, -10) for W in mild.weights)
    for f, sign, up in product(FRACTIONS, signs, range(1, min(network.depth, 2) + 1)):
        biases = [np.zeros_like(b) for b in mild.biases]
        biases[-up] += dtype.type(sign * f * farthest * UNEVEN)
        Y = np.full_like(mild.targets, (1 + sign) / 2 if up == 1 else 0.25)
        yield "layer", replace(mild, weights=small, biases=tuple(biases), targets=Y)


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
        values = [(probe, _loss(engine, probe)) for probe in _one_unit(problem)]
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
