"""PyTensor: a symbolic graph, rewritten and compiled, in the mode that the user has configured.

The formula is the textbook's; the rewriting turns log(sigmoid(z)) into -softplus(-z). Shapes are
free in the graph, so it is compiled once for every depth, loss and dtype. Read-only arrays are
copied, as Numba would compile once more for every combination of them.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import numpy as np

from gradcheck.engines.base import EngineInfo
from gradcheck.engines.installed import Library, require_supported
from gradcheck.problem import Gradient, Problem


class PyTensor:
    """-[y log p + (1 - y) log(1 - p)], p = sigmoid(z)."""

    source: ClassVar = Library(
        "pytensor", ["pytensor"], "https://github.com/pymc-devs/pytensor/issues"
    )
    info: EngineInfo = source.info("pytensor", ["float32", "float64"], "p_minus_y")

    def __init__(self) -> None:
        self.source.require()
        import pytensor  # noqa: PLC0415 - heavy, loaded when needed

        self.pytensor: Any = pytensor
        self.compiled = cache(self._compiled)

    def loss(self, problem: Problem) -> float:
        """Compute the loss by a graph of the forward pass alone."""
        (C,) = self._call(problem, backward=False)
        return float(C)

    def value_and_grad(self, problem: Problem) -> tuple[float, Gradient]:
        """Compute the loss and the gradient by one graph."""
        C, *gradient = self._call(problem, backward=True)
        flat = [np.array(g, order="C") for g in gradient]
        return float(C), list(zip(flat[::2], flat[1::2], strict=True))

    def close(self) -> None:
        """Let go of what was compiled."""
        self.compiled.cache_clear()

    def cost(self, layers: list[tuple[Any, Any]], X: Any, y: Any, divisor: Any, loss: str) -> Any:
        """Return the expression of C."""
        pt = self.pytensor.tensor
        a = X
        for W, b in layers:
            a = pt.sigmoid(a @ W.T + b)
        each = (a - y) ** 2 / 2 if loss == "quadratic" else self.cross_entropy(a, y)
        return pt.sum(each) / divisor

    def cross_entropy(self, p: Any, y: Any) -> Any:
        """Return the cross-entropy entry by entry, as the formula stands."""
        log = self.pytensor.tensor.log
        return -(y * log(p) + (1 - y) * log(1 - p))

    def _compiled(self, depth: int, loss: str, dtype: str, backward: bool) -> Any:
        pt = self.pytensor.tensor
        X, y = pt.matrix("X", dtype=dtype), pt.matrix("y", dtype=dtype)
        divisor = pt.scalar("divisor", dtype=dtype)
        layers = [
            (pt.matrix(f"W{layer}", dtype=dtype), pt.vector(f"b{layer}", dtype=dtype))
            for layer in range(1, depth + 1)
        ]
        C = self.cost(layers, X, y, divisor, loss)
        parameters = [parameter for pair in layers for parameter in pair]
        gradient = self.pytensor.grad(C, parameters) if backward else []
        return self.pytensor.function([X, y, divisor, *parameters], [C, *gradient])

    def _call(self, problem: Problem, *, backward: bool) -> Any:
        require_supported(problem, self.info)
        network = problem.architecture
        function = self.compiled(network.depth, network.loss, problem.dtype.name, backward)
        divisor = problem.dtype.type(problem.batch if network.reduction == "mean" else 1)
        arrays = (problem.inputs, problem.targets, *problem.parameters.values())
        X, y, *parameters = (array if array.flags.writeable else array.copy() for array in arrays)
        return function(X, y, divisor, *parameters)
