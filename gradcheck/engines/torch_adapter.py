"""PyTorch: automatic differentiation on a tape, on the processor, operation by operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gradcheck.arrays import Array
from gradcheck.engines.at_once import in_parts
from gradcheck.engines.base import EngineInfo
from gradcheck.engines.installed import Library, require_supported
from gradcheck.problem import Gradient, Problem


class Torch:
    """`binary_cross_entropy_with_logits`, `mse_loss`."""

    source: ClassVar = Library("torch", ["torch"], "https://github.com/pytorch/pytorch/issues")
    info: EngineInfo = source.info("torch", ["float16", "float32", "float64"], "p_minus_y")

    def __init__(self) -> None:
        self.source.require()
        import torch  # noqa: PLC0415 - heavy, loaded when needed

        self.torch: Any = torch

    def loss(self, problem: Problem) -> float:
        """Compute the loss; nothing is put on the tape."""
        return float(self.cost(self._layers(problem), problem).item())

    def losses(self, problem: Problem, stacked: Mapping[str, Array]) -> Array:
        """Compute the losses at many parameters, by `torch.func.vmap`, each one forward pass.

        Args:
            problem: says all but the parameters.
            stacked: arrays by name, W1, b1, ..., WL, bL, with one more leading axis.

        Raises:
            Unsupported: a dtype, loss or reduction that is not in `info`.
        """
        require_supported(problem, self.info)
        network = problem.architecture

        def cost(*parameters: Any) -> Any:
            W, b = parameters[: network.depth], parameters[network.depth :]
            return self.cost(list(zip(W, b, strict=True)), problem)

        def many(some: dict[str, Array]) -> Any:
            names = (*network.weight_names, *network.bias_names)
            return self.torch.func.vmap(cost)(*(self.torch.tensor(some[name]) for name in names))

        return in_parts(problem, stacked, self.loss, many)

    def value_and_grad(self, problem: Problem) -> tuple[float, Gradient]:
        """Compute the loss and run the tape backward."""
        layers = self._layers(problem, requires_grad=True)
        C = self.cost(layers, problem)
        C.backward()
        return float(C.item()), [(W.grad.numpy(), b.grad.numpy()) for W, b in layers]

    def close(self) -> None:
        """Do nothing: tensors end with the call that made them."""

    def cost(self, layers: list[tuple[Any, Any]], problem: Problem) -> Any:
        """Return C as a tensor without dimensions."""
        torch, network = self.torch, problem.architecture
        a = torch.tensor(problem.inputs)
        for W, b in layers:
            z = torch.nn.functional.linear(a, W, b)
            a = torch.sigmoid(z)
        y = torch.tensor(problem.targets)
        if network.loss == "quadratic":
            total = torch.nn.functional.mse_loss(a, y, reduction="sum") / 2
        else:
            total = self.cross_entropy(z, y)
        return total / len(problem.inputs) if network.reduction == "mean" else total

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """Sum over examples and outputs, from the logits z."""
        F = self.torch.nn.functional
        return F.binary_cross_entropy_with_logits(z, y, reduction="sum")

    def _layers(self, problem: Problem, **options: bool) -> list[tuple[Any, Any]]:
        require_supported(problem, self.info)
        tensor = self.torch.tensor  # copies, as read-only arrays cannot be wrapped
        pairs = zip(problem.weights, problem.biases, strict=True)
        return [(tensor(W, **options), tensor(b, **options)) for W, b in pairs]


class Probabilities(Torch):
    """`binary_cross_entropy(sigmoid(z), y)`."""

    info = Torch.source.info(
        "torch-probabilities", ["float32", "float64"], "p_minus_y", losses=["cross_entropy"]
    )

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """Sum over examples and outputs, from the probabilities sigmoid(z)."""
        torch = self.torch
        return torch.nn.functional.binary_cross_entropy(torch.sigmoid(z), y, reduction="sum")


class Textbook(Torch):
    """-[y log p + (1 - y) log(1 - p)], p = sigmoid(z), as it is written in textbooks."""

    info = Torch.source.info(
        "torch-textbook", ["float16", "float32", "float64"], "p_minus_y", losses=["cross_entropy"]
    )

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """Sum over examples and outputs, as the formula stands."""
        p = self.torch.sigmoid(z)
        return -(y * self.torch.log(p) + (1 - y) * self.torch.log(1 - p)).sum()
