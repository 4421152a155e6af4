"""Autograd (HIPS): automatic differentiation of numpy programs on a tape."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gradcheck.engines.base import EngineInfo
from gradcheck.engines.installed import Library, require_supported
from gradcheck.problem import Gradient, Problem


class Autograd:
    """max(z, 0) - y z + log1p(e^-|z|), with `expit` for the sigmoid."""

    source: ClassVar = Library("autograd", ["autograd"], "https://github.com/HIPS/autograd/issues")
    info: EngineInfo = source.info("autograd", ["float32", "float64"], "p_minus_y")

    def __init__(self) -> None:
        self.source.require()
        import autograd  # noqa: PLC0415 - heavy, loaded when needed
        import autograd.numpy  # noqa: PLC0415
        import autograd.scipy.special  # noqa: PLC0415

        self.anp: Any = autograd.numpy
        self.expit: Any = autograd.scipy.special.expit
        self._value_and_grad: Any = autograd.value_and_grad(self.cost)

    def loss(self, problem: Problem) -> float:
        """Compute the loss; outside of a derivative autograd calls numpy itself."""
        require_supported(problem, self.info)
        with np.errstate(all="ignore"):  # infinities and NaN are for the check to judge
            return float(self.cost(_layers(problem), problem))

    def value_and_grad(self, problem: Problem) -> tuple[float, Gradient]:
        """Compute the loss and the gradient by `autograd.value_and_grad`."""
        require_supported(problem, self.info)
        with np.errstate(all="ignore"):
            value, gradient = self._value_and_grad(_layers(problem), problem)
        dtype = problem.dtype
        return float(value), [
            (np.array(dW, dtype, order="C"), np.array(db, dtype, order="C")) for dW, db in gradient
        ]

    def close(self) -> None:
        """Do nothing: the tape ends with the call."""

    def cost(self, layers: list[tuple[Any, Any]], problem: Problem) -> Any:
        """Return C."""
        network, y = problem.architecture, problem.targets
        a: Any = problem.inputs
        for W, b in layers:
            z = self.anp.dot(a, W.T) + b
            a = self.sigmoid(z)
        each = (a - y) ** 2 / 2 if network.loss == "quadratic" else self.cross_entropy(z, y)
        total = self.anp.sum(each)
        return total / len(problem.inputs) if network.reduction == "mean" else total

    def sigmoid(self, z: Any) -> Any:
        """Return SciPy's sigmoid."""
        return self.expit(z)

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """Return the cross-entropy entry by entry, from the logits z."""
        anp = self.anp
        return anp.maximum(z, 0) - y * z + anp.log1p(anp.exp(-anp.abs(z)))


class LogAddExp(Autograd):
    """logaddexp(0, z) - y z.

    Autograd differentiates log(1 + e^z) as exp(z - log(1 + e^z)): rounding the logarithm to u |z|
    makes a relative error of u |z| in the residual, several times that of p - y where z is about
    10 to 36.
    """

    info = Autograd.source.info(
        "autograd-logaddexp", ["float32", "float64"], "p_minus_y", losses=["cross_entropy"]
    )

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """Return the cross-entropy entry by entry, from the logits z."""
        return self.anp.logaddexp(0, z) - y * z


class Textbook(Autograd):
    """-[y log p + (1 - y) log(1 - p)], p = (tanh(z / 2) + 1) / 2: the sigmoid of its examples."""

    info = Autograd.source.info(
        "autograd-textbook", ["float32", "float64"], "absolute_sigmoid", losses=["cross_entropy"]
    )

    def sigmoid(self, z: Any) -> Any:
        """Return the sigmoid as the library's own example of logistic regression has it."""
        return 0.5 * (self.anp.tanh(z / 2) + 1)

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """Return the cross-entropy entry by entry, as the formula stands."""
        p, log = self.sigmoid(z), self.anp.log
        return -(y * log(p) + (1 - y) * log(1 - p))


def _layers(problem: Problem) -> list[tuple[Any, Any]]:
    return list(zip(problem.weights, problem.biases, strict=True))
