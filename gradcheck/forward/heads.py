"""What makes a loss of the last pre-activations: output activations, and forms of the loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.arrays import Float64Array
from gradcheck.forward.networks import Activation, hard, leaky, sigmoid, softmax, softplus
from gradcheck.forward.values import Value, total

if TYPE_CHECKING:
    from gradcheck.problem import Problem

Terms = Callable[[Float64Array, Float64Array], Sequence[Float64Array]]

SIGMOID, SOFTMAX, IDENTITY = "sigmoid", "softmax", "identity"

OUTPUTS: dict[str, Activation] = {
    SIGMOID: Activation("sigmoid", sigmoid, 0.25, is_sigmoid=True),
    SOFTMAX: Activation("softmax over the outputs", softmax(-1), 0.5, mixes=(-1,)),
    IDENTITY: Activation("identity, with no activation at all", lambda z: z),
    "softmax examples": Activation(
        "softmax over the examples, the wrong axis", softmax(-2), 0.5, mixes=(-2,)
    ),
    "softmax all": Activation(
        "softmax over outputs and examples together", softmax(-1, -2), 0.5, mixes=(-1, -2)
    ),
    "tanh": Activation("tanh", np.tanh),
    "half tanh": Activation("(1 + tanh(z)) / 2, which is sigmoid(2 z)", lambda z: sigmoid(2 * z)),
    "minus": Activation("sigmoid(-z)", lambda z: sigmoid(-z), 0.25),
    "relu": Activation("relu", lambda z: np.maximum(z, 0)),
    "leaky 0.01": Activation("leaky relu of slope 0.01", leaky(0.01)),
    "softplus": Activation("softplus", softplus),
    "hard 0.2": Activation("a hard sigmoid of slope 1/5", hard(0.2)),
    "hard 1/6": Activation("a hard sigmoid of slope 1/6", hard(1 / 6)),
    "hard 0.25": Activation("a hard sigmoid of slope 1/4", hard(0.25)),
    "twice": Activation("sigmoid, taken twice", lambda z: sigmoid(sigmoid(z)), 0.0625),
    "softmax of sigmoid": Activation(
        "softmax over the outputs, of sigmoids",
        lambda z: softmax(-1)(sigmoid(z)),
        0.125,
        mixes=(-1,),
    ),
    "softmax twice": Activation(
        "softmax over the outputs, taken twice",
        lambda z: softmax(-1)(softmax(-1)(z)),
        0.25,
        mixes=(-1,),
    ),
}


@dataclass(frozen=True)
class Form:
    """One form of the loss: what is said of it, and the terms of one output of one example."""

    says: str
    terms: Terms


def _positive(p: Float64Array, y: Float64Array) -> list[Float64Array]:
    return [_where(y, -np.log(p))]


def _negative(p: Float64Array, y: Float64Array) -> list[Float64Array]:
    return [_where(1 - y, -np.log(1 - p))]


def _cross_entropy(p: Float64Array, y: Float64Array) -> list[Float64Array]:
    return _positive(p, y) + _negative(p, y)


def _where(weight: Float64Array, x: Float64Array) -> Float64Array:
    """Return weight x, 0 where the weight is 0: 0 log 0 is left to the engine."""
    return np.where(weight == 0, 0.0, weight * x)


def _swapped(p: Float64Array, y: Float64Array) -> list[Float64Array]:
    return [-p * np.log(y), -(1 - p) * np.log(1 - y)]


def _swapped_with(epsilon: float) -> Terms:
    return lambda p, y: [-p * np.log(y + epsilon), -(1 - p) * np.log(1 - y + epsilon)]


def _swapped_clipped(epsilon: float) -> Terms:
    return lambda p, y: _swapped(p, np.clip(y, epsilon, 1 - epsilon))


def _focal(alpha: float | None) -> Terms:
    def terms(p: Float64Array, y: Float64Array) -> list[Float64Array]:
        left, right = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
        return [
            left * _where(y, (1 - p) ** 2 * -np.log(p)),
            right * _where(1 - y, p**2 * -np.log(1 - p)),
        ]

    return terms


def _kl(p: Float64Array, y: Float64Array) -> list[Float64Array]:
    entropy = [_where(y, np.log(np.where(y > 0, y, 1)))]
    entropy += [_where(1 - y, np.log(np.where(y < 1, 1 - y, 1)))]
    return _cross_entropy(p, y) + entropy


def smoothed(s: float, terms: Terms = _cross_entropy) -> Terms:
    """Return a form on targets that are drawn towards 1/2."""
    return lambda p, y: terms(p, (1 - s) * y + s / 2)


def _smoothed_over_outputs(s: float) -> Terms:
    return lambda p, y: _positive(p, (1 - s) * y + s / y.shape[-1])


def clipped(epsilon: float, terms: Terms = _cross_entropy) -> Terms:
    """Return a form on probabilities that are clipped to [epsilon, 1 - epsilon]."""
    return lambda p, y: terms(np.clip(p, epsilon, 1 - epsilon), y)


def with_epsilon(epsilon: float, terms: Terms = _cross_entropy) -> Terms:
    """Return a cross-entropy with an epsilon inside its logarithms."""
    if terms is _positive:
        return lambda p, y: [_where(y, -np.log(p + epsilon))]
    return lambda p, y: [
        _where(y, -np.log(p + epsilon)),
        _where(1 - y, -np.log(1 - p + epsilon)),
    ]


def cut_logarithms(least: float) -> Terms:
    """Return a cross-entropy whose logarithms are not less than a number."""

    def terms(p: Float64Array, y: Float64Array) -> list[Float64Array]:
        left, right = np.maximum(np.log(p), least), np.maximum(np.log(1 - p), least)
        return [_where(y, -left), _where(1 - y, -right)]

    return terms


def _hinge(power: int) -> Terms:
    return lambda s, y: [np.maximum(0, 1 - (2 * y - 1) * s) ** power]


CROSS_ENTROPY, QUADRATIC, POSITIVE = "cross_entropy", "quadratic", "positive"
LOG_P = "the loss has the term -y log p alone, not -(1 - y) log(1 - p)"
SMOOTHINGS = (0.1, 0.01, 0.05, 0.2)

FORMS: dict[str, Form] = {
    CROSS_ENTROPY: Form("the loss is the cross-entropy, not the quadratic one", _cross_entropy),
    QUADRATIC: Form(
        "the loss is the quadratic one, not the cross-entropy", lambda p, y: [(p - y) ** 2 / 2]
    ),
    POSITIVE: Form(LOG_P, _positive),
    "negative": Form("the loss has the term -(1 - y) log(1 - p) alone, not -y log p", _negative),
    "swapped": Form("the arguments of the cross-entropy are swapped", _swapped),
    "swapped positive": Form(
        "the loss is -p log y: the arguments are swapped, and the other term is missing",
        lambda p, y: [-p * np.log(y)],
    ),
    "absolute": Form("the loss is the absolute error", lambda p, y: [np.abs(p - y)]),
    "difference": Form("the loss is the sum of p - y, without a square", lambda p, y: [p, -y]),
    "fourth": Form("the loss is (p - y)^4", lambda p, y: [(p - y) ** 4]),
    "log cosh": Form("the loss is log cosh(p - y)", lambda p, y: [np.log(np.cosh(p - y))]),
    "focal": Form("the loss is the focal loss, gamma 2", _focal(None)),
    "focal alpha": Form("the loss is the focal loss, gamma 2 and alpha 1/4", _focal(0.25)),
    "poisson": Form("the loss is p - y log p", lambda p, y: [p, _where(y, -np.log(p))]),
    "wrong log": Form(
        "the second logarithm of the cross-entropy is log p, not log(1 - p)",
        lambda p, y: [_where(y, -np.log(p)), _where(1 - y, -np.log(p))],
    ),
    "wrong sign": Form(
        "the two terms of the cross-entropy are subtracted, not added",
        lambda p, y: [_where(y, -np.log(p)), _where(1 - y, np.log(1 - p))],
    ),
    "wrong targets": Form(
        "the targets of the cross-entropy are 1 - y", lambda p, y: _cross_entropy(p, 1 - y)
    ),
    "kl": Form("the entropy of the targets is subtracted, a constant", _kl),
    "hinge": Form("the loss is the hinge loss", _hinge(1)),
    "hinge squared": Form("the loss is the squared hinge loss", _hinge(2)),
    "logistic": Form(
        "the loss is log(1 + exp(-y z)), which is for targets -1 and 1",
        lambda s, y: [softplus(-y * s)],
    ),
    "error rate": Form(
        "the loss is the share of outputs on the wrong side of 1/2",
        lambda p, y: [np.abs((p > 0.5) - y)],
    ),
    "exponential": Form("the loss is exp(-(2 y - 1) z)", lambda s, y: [np.exp(-(2 * y - 1) * s)]),
}
FORMS |= {
    f"smoothed {s:g}": Form(f"targets are smoothed by {s:g}", smoothed(s)) for s in SMOOTHINGS
}
FORMS |= {
    f"smoothed outputs {s:g}": Form(f"targets are smoothed by {s:g}", _smoothed_over_outputs(s))
    for s in SMOOTHINGS
}
FORMS |= {
    f"smoothed quadratic {s:g}": Form(
        f"targets are smoothed by {s:g}", smoothed(s, FORMS[QUADRATIC].terms)
    )
    for s in SMOOTHINGS
}


def _of_targets(change: Callable[[Float64Array], Float64Array], terms: Terms) -> Terms:
    return lambda p, y: terms(p, change(y))


FORMS |= {
    f"{key} {loss}": Form(f"targets are {told}", _of_targets(change, FORMS[loss].terms))
    for loss in (CROSS_ENTROPY, QUADRATIC)
    for key, told, change in (
        ("truncated", "cut off to whole numbers", np.floor),
        ("rounded", "rounded to 0 and 1", np.round),
        ("above 0", "1 wherever they are not 0", lambda y: (y > 0) * 1.0),
    )
}

USUAL_EPSILONS = (1e-15, 1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 2.0**-52, 2.0**-23)
SCORES = ("hinge", "hinge squared", "logistic", "exponential")
"""Forms on the pre-activations themselves."""

PLAIN = (CROSS_ENTROPY, QUADRATIC, POSITIVE, "negative", "swapped", "swapped positive", "absolute")
"""Forms that are tried behind every output; the others behind sigmoids and softmax."""


@dataclass(frozen=True)
class Head:
    """An output activation with a form of the loss.

    Attributes:
        output, form: their keys.
        terms: the form's, with what is done to it besides.
        altered: that, in a clause, or "".
        bound: what -log p cannot exceed, where probabilities or logarithms are clipped; else None.
    """

    output: str
    form: str
    terms: Terms
    altered: str = ""
    bound: float | None = None

    def of(self, z: Value, y: Float64Array, u: float, floor: float = 1.0) -> Value:
        """Return the sum over examples and outputs; z may be that of many networks."""
        return total(self.terms, OUTPUTS[self.output].of(z, u, floor), y, u)

    @property
    def _is_one(self) -> bool:
        """Whether output and form go together, as one mistake."""
        return (self.output, self.form) == (SOFTMAX, POSITIVE) or self.form in SCORES

    def departures(self, loss: str) -> int:
        """Count how many parts are not those of a loss."""
        many = 1 if self._is_one else (self.output != SIGMOID) + (self.form != loss)
        return many + bool(self.altered)

    def says(self, loss: str) -> list[str]:
        """Say what is not as in a loss, in clauses."""
        output = f"the output looks like {OUTPUTS[self.output].says}"
        form = FORMS[self.form].says
        if self.form in SCORES:
            said = [form]
        elif self._is_one:
            said = [f"{output}, with its cross-entropy"]
        else:
            said = [output] * (self.output != SIGMOID) + [form] * (self.form != loss)
        return said + [self.altered] * bool(self.altered)


def _heads() -> list[Head]:
    found = [
        Head(output, key, form.terms)
        for output in OUTPUTS
        for key, form in FORMS.items()
        if key not in SCORES and (key in PLAIN or output in (SIGMOID, SOFTMAX))
    ]
    return found + [Head(IDENTITY, key, FORMS[key].terms) for key in SCORES]


CUT = tuple(
    Head(SIGMOID, CROSS_ENTROPY, cut_logarithms(x), f"logarithms are cut off at {x:g}", -x)
    for x in (-100.0, -50.0, -1000.0)
)


def _says_of_clip(epsilon: float) -> str:
    """Say it of z, where that is the simpler number: sigmoid(-z) = epsilon."""
    z, told = f"{np.log1p(-epsilon) - np.log(epsilon):.9g}", f"{epsilon:.10g}"
    if len(z) < DIGITS < len(told.partition("e")[0]):
        return f"outputs are cut off at |z_L| = {z}"
    return f"probabilities are clipped at {told}"


DIGITS = 5
"""A number that somebody chose has fewer."""


def with_epsilons(epsilons: Sequence[float]) -> tuple[Head, ...]:
    """Return the heads that clip probabilities or add an epsilon, for several epsilons."""
    found = []
    for epsilon in epsilons:
        clips = _says_of_clip(epsilon)
        adds = f"{epsilon:.10g} is added inside the logarithms"
        for output, form in (
            (SIGMOID, CROSS_ENTROPY),
            (SOFTMAX, POSITIVE),
            (SOFTMAX, CROSS_ENTROPY),
        ):
            terms = FORMS[form].terms
            most = -float(np.log(epsilon))
            found.append(Head(output, form, clipped(epsilon, terms), clips, most))
            found.append(Head(output, form, with_epsilon(epsilon, terms), adds, most))
        clips = f"targets are clipped at {epsilon:.10g}"
        found.append(Head(SIGMOID, "swapped", _swapped_clipped(epsilon), clips))
        found.append(Head(SIGMOID, "swapped", _swapped_with(epsilon), adds))
    return tuple(found)


HEADS: tuple[Head, ...] = (*_heads(), *CUT, *with_epsilons(USUAL_EPSILONS))


def targets_of(problem: Problem) -> Float64Array:
    """Return the targets in float64."""
    return np.asarray(problem.targets, np.float64)
