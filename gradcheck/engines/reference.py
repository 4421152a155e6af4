"""The two reference derivations of the gradient as engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from gradcheck.arrays import Array
from gradcheck.engines.base import EngineInfo, Unsupported
from gradcheck.problem import LOSSES, REDUCTIONS, Gradient, Problem
from reference_models import chain_rule, sigmoid_network, stacked_networks

if TYPE_CHECKING:
    from gradcheck.engines.base import Engine

# Those whose losses a float holds exactly.
DTYPES = ("float16", "float32", "float64")


def vectorised() -> Engine:
    """Make the engine that runs backpropagation over the whole batch at once."""
    return Vectorised()


def neuron_by_neuron() -> Engine:
    """Make the engine that follows the chain rule neuron by neuron: slow, and independent."""
    return NeuronByNeuron()


class Vectorised:
    """`reference_models.sigmoid_network`, in buffers that are kept from call to call.

    The buffers fit the layer sizes, batch and dtype of the latest problem.
    """

    def __init__(self) -> None:
        self.info = _info("reference")
        self._fits: object = None
        self._workspace: sigmoid_network.Workspace | None = None

    def loss(self, problem: Problem) -> float:
        """Compute the loss in one forward pass.

        Raises:
            Unsupported: a dtype not in `info.dtypes`.
        """
        return float(_of(problem, sigmoid_network.loss, out=self._workspace_for(problem)))

    def losses(self, problem: Problem, stacked: Mapping[str, Array]) -> Array:
        """Compute the losses at many parameters, each one forward pass.

        Args:
            problem: says all but the parameters.
            stacked: arrays by name, W1, b1, ..., WL, bL, with one more leading axis.

        Raises:
            Unsupported: a dtype not in `info.dtypes`.
        """
        _require_dtype(problem)
        network = problem.architecture
        names = zip(network.weight_names, network.bias_names, strict=True)
        return stacked_networks.losses(
            [(stacked[W], stacked[b]) for W, b in names],
            problem.inputs,
            problem.targets,
            cost=network.loss,
            reduction=network.reduction,
        )

    def value_and_grad(self, problem: Problem) -> tuple[float, Gradient]:
        """Compute the loss and a gradient that later calls leave alone.

        Raises:
            Unsupported: a dtype not in `info.dtypes`.
        """
        value, gradient = _of(
            problem, sigmoid_network.value_and_grad, out=self._workspace_for(problem)
        )
        return float(value), [(dW.copy(), db.copy()) for dW, db in gradient]

    def close(self) -> None:
        """Let go of the buffers."""
        self._workspace = None

    def _workspace_for(self, problem: Problem) -> sigmoid_network.Workspace:
        X = problem.inputs
        fits = (problem.architecture.sizes, X.shape[0], X.dtype)
        if self._workspace is None or fits != self._fits:
            _require_dtype(problem)
            self._workspace = sigmoid_network.Workspace(*fits)
            self._fits = fits
        return self._workspace


class NeuronByNeuron:
    """`reference_models.chain_rule`."""

    def __init__(self) -> None:
        self.info = _info("chain-rule")

    def loss(self, problem: Problem) -> float:
        """Compute the loss in one forward pass.

        Raises:
            Unsupported: a dtype not in `info.dtypes`.
        """
        _require_dtype(problem)
        return float(_of(problem, chain_rule.loss))

    def value_and_grad(self, problem: Problem) -> tuple[float, Gradient]:
        """Compute the loss and the gradient.

        Raises:
            Unsupported: a dtype not in `info.dtypes`.
        """
        _require_dtype(problem)
        value, gradient = _of(problem, chain_rule.value_and_grad)
        return float(value), gradient

    def close(self) -> None:
        """Do nothing: it holds nothing."""


def _of(problem: Problem, function: Callable[..., Any], **options: Any) -> Any:
    """Call a function of networks with a problem's parameters, examples, loss and reduction."""
    return function(
        [*zip(problem.weights, problem.biases, strict=True)],
        problem.inputs,
        problem.targets,
        cost=problem.architecture.loss,
        reduction=problem.architecture.reduction,
        **options,
    )


@cache
def _info(name: str) -> EngineInfo:
    try:
        installed = version("gradcheck")
    except PackageNotFoundError:
        installed = "not installed"
    return EngineInfo(name, installed, DTYPES, LOSSES, REDUCTIONS, arithmetic="cancellation_free")


def _require_dtype(problem: Problem) -> None:
    if problem.dtype.name not in DTYPES:
        raise Unsupported(
            f"dtype {problem.dtype}; the reference engines compute in {', '.join(DTYPES)}"
        )
