"""JAX: automatic differentiation by tracing, compiled by XLA once for every architecture and batch.

JAX itself keeps what it compiled, by shapes and dtype; operation by operation it would compile
every operation for every shape instead, which takes longer. float64 is switched on by
`jax.enable_x64` as a context, in this thread and for the length of a call: the process keeps its
setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from gradcheck.arrays import Array
from gradcheck.engines.at_once import in_parts, networks_at_once
from gradcheck.engines.base import EngineInfo
from gradcheck.engines.installed import Library, require_supported
from gradcheck.problem import Gradient, Problem

DTYPES = ("float32", "float64")
ARITHMETIC = "log_sum"
"""XLA answers 0 for subnormal numbers on the processor; the residual is made of exp(z - log_sum),
the slope is a (1 - a)."""


class Jax:
    """-[y log_sigmoid(z) + (1 - y) log_sigmoid(-z)], as Optax has it.

    JAX differentiates log(1 + e^z) as exp(z - log(1 + e^z)): rounding the logarithm makes a
    relative error of u |z| in the residual, several times that of p - y where |z| is about 10 to
    36.
    """

    source: ClassVar = Library("jax", ["jax"], "https://github.com/jax-ml/jax/issues")
    info: EngineInfo = source.info("jax", DTYPES, ARITHMETIC)

    def __init__(self) -> None:
        self.source.require()
        import jax  # noqa: PLC0415 - heavy, loaded when needed

        self.jax: Any = jax
        fixed = ("loss", "reduction")
        self._loss = jax.jit(self.cost, static_argnames=fixed)
        self._losses = jax.jit(self._costs, static_argnames=fixed)
        self._value_and_grad = jax.jit(jax.value_and_grad(self.cost), static_argnames=fixed)

    def loss(self, problem: Problem) -> float:
        """Compute the loss in one forward pass."""
        return float(self._call(self._loss, problem))

    def losses(self, problem: Problem, stacked: Mapping[str, Array]) -> Array:
        """Compute the losses at many parameters, by `jax.vmap`, each one forward pass.

        They are taken in parts of one size, the last being filled up, so that XLA compiles once.

        Args:
            problem: says all but the parameters.
            stacked: arrays by name, W1, b1, ..., WL, bL, with one more leading axis.

        Raises:
            Unsupported: a dtype, loss or reduction that is not in `info`.
        """
        require_supported(problem, self.info)

        def many(some: dict[str, Array]) -> Array:
            count = len(some["b1"])
            rows = np.arange(networks_at_once(problem)).clip(max=count - 1)
            filled = problem.with_parameters({name: array[rows] for name, array in some.items()})
            return np.asarray(self._call(self._losses, filled))[:count]

        return in_parts(problem, stacked, self.loss, many)

    def value_and_grad(self, problem: Problem) -> tuple[float, Gradient]:
        """Compute the loss and the gradient by `jax.value_and_grad`."""
        value, layers = self._call(self._value_and_grad, problem)
        return float(value), [(np.array(dW), np.array(db)) for dW, db in layers]

    def close(self) -> None:
        """Let go of what was compiled."""
        self._loss.clear_cache()
        self._losses.clear_cache()
        self._value_and_grad.clear_cache()

    def cost(self, layers: Any, X: Any, y: Any, loss: str, reduction: str) -> Any:
        """Return C as a number of JAX; `layers` are the pairs (W_l, b_l)."""
        jnp = self.jax.numpy
        a = X
        for W, b in layers:
            z = a @ W.T + b
            a = self.jax.nn.sigmoid(z)
        each = (a - y) ** 2 / 2 if loss == "quadratic" else self.cross_entropy(z, y)
        return jnp.sum(each) / len(X) if reduction == "mean" else jnp.sum(each)

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """Return the cross-entropy entry by entry, from the logits z."""
        log_sigmoid = self.jax.nn.log_sigmoid
        return -y * log_sigmoid(z) - (1 - y) * log_sigmoid(-z)

    def _costs(self, layers: Any, X: Any, y: Any, loss: str, reduction: str) -> Any:
        """Return C of many networks: their arrays have one more leading axis."""
        cost = self.jax.vmap(lambda one: self.cost(one, X, y, loss, reduction))
        return cost(layers)

    def _call(self, function: Any, problem: Problem) -> Any:
        require_supported(problem, self.info)
        network = problem.architecture
        layers = list(zip(problem.weights, problem.biases, strict=True))
        with self.jax.enable_x64(True):
            return function(
                layers,
                problem.inputs,
                problem.targets,
                loss=network.loss,
                reduction=network.reduction,
            )


class Log1p(Jax):
    """max(z, 0) - y z + log1p(e^-|z|), the formula that other libraries use inside.

    JAX takes 1 for the derivative of |z| at 0 and 1/2 for that of max(z, 0): where z is exactly 0
    the residual is -y instead of 1/2 - y.
    """

    info = Jax.source.info("jax-log1p", DTYPES, ARITHMETIC, losses=["cross_entropy"])

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """Return the cross-entropy entry by entry, from the logits z."""
        jnp = self.jax.numpy
        return jnp.maximum(z, 0) - y * z + jnp.log1p(jnp.exp(-jnp.abs(z)))


class Textbook(Jax):
    """-[y log p + (1 - y) log(1 - p)], p = sigmoid(z), as it is written in textbooks."""

    info = Jax.source.info("jax-textbook", DTYPES, ARITHMETIC, losses=["cross_entropy"])

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """Return the cross-entropy entry by entry, as the formula stands."""
        jnp = self.jax.numpy
        p = self.jax.nn.sigmoid(z)
        return -(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))
