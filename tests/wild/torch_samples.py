"""PyTorch's own tests of its operators: `op_db`, each operator with the inputs it is tested at.

What is left out, and why:

- operators without autograd in the dtype on a CPU: there is no gradient;
- inputs that are sparse, nested or complex, or have more than LARGEST numbers, or none, or
  one that is not finite: a point here is made of real dense arrays;
- outputs that are integers or do not depend on x: there is nothing to differentiate;
- inputs that are windows onto larger storage, which as_strided looks beyond: a copy has none;
- points at which an output is not finite: outside the domain;
- operators whose output is uninitialised memory: there is no function.

Besides gradients there are Jacobians of all outputs, and products of the Hessian of the weighed
outputs with a random v, by PyTorch's double backward; of points of at most FEW numbers, and as many
outputs.

Random operators (dropout) are seeded before every call, which makes them functions.
"""

from __future__ import annotations

import sys
import unittest
import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from types import ModuleType
from typing import Any

import numpy as np
import torch
from samples import LARGEST, Sample, generator, some
from torch.utils._pytree import tree_flatten, tree_unflatten

FEW = 30
"""Numbers in a point, and of outputs, of a Jacobian or a product."""

OFFERED = 60
"""Inputs of one operator that are drawn from: some have thousands."""


def operators() -> list[Any]:
    """Return PyTorch's table of operators.

    Its module imports `expecttest` for test classes that are not used here; an empty one does.
    """
    stand_in = ModuleType("expecttest")
    stand_in.TestCase = unittest.TestCase
    missing = "expecttest" not in sys.modules
    sys.modules.setdefault("expecttest", stand_in)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db  # noqa: PLC0415
    if missing:
        del sys.modules["expecttest"]
    return list(op_db)


def full_name(operator: Any) -> str:
    """Name an operator and its variant."""
    return ".".join(part for part in (operator.name, operator.variant_test_name) if part)


def samples(
    dtype: str,
    *,
    operators_drawn: int | None = None,
    each: int = 2,
    seed: int = 0,
    kind_of: str = "gradient",
) -> Iterator[Sample]:
    """Yield samples of the table's operators.

    Args:
        dtype: "float64" or "float32".
        operators_drawn: how many operators; default: all.
        each: samples of each operator, at most.
        seed: which operators and which samples.
        kind_of: "gradient", "jacobian" or "product".
    """
    kind = getattr(torch, dtype)
    usable = [
        operator
        for operator in operators()
        if operator.supports_autograd
        and kind in operator.supported_backward_dtypes("cpu")
        and not operator.has_nondeterministic_output
        and (kind_of != "product" or operator.supports_gradgrad)
    ]
    for operator in some(operators_drawn, usable, "torch", seed):
        found = [s for s in _of(operator, kind, kind_of) if s is not None]
        yield from some(each, found, full_name(operator), seed)


def _of(operator: Any, dtype: torch.dtype, kind_of: str) -> Iterator[Sample | None]:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - some of the table's inputs are drawn with it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = islice(operator.sample_inputs("cpu", dtype, requires_grad=True), OFFERED)
        for i, sample in enumerate(given):
            function = _Function(operator, sample)
            found = function.sample(f"{full_name(operator)} #{i}")
            yield found if kind_of == "gradient" else function.of_kind(found, kind_of)


class _Function:
    """One operator at one of its inputs, as a scalar function of what requires grad."""

    def __init__(self, operator: Any, sample: Any) -> None:
        self.call = operator.gradcheck_wrapper
        self.operator = operator.op
        self.processed = sample.output_process_fn_grad
        arguments = (sample.input, sample.args, sample.kwargs)
        self.leaves, self.shape = tree_flatten(arguments)
        self.variable = [i for i, leaf in enumerate(self.leaves) if _is_variable(leaf)]
        self.weights = generator("torch", operator.name)

    def sample(self, name: str) -> Sample | None:
        """Return the sample, or None where it is left out."""
        tensors = [self.leaves[i] for i in self.variable]
        dense = all(t.layout is torch.strided and not t.is_nested for t in tensors)
        real = all(t.is_floating_point() for t in tensors)
        if not (tensors and dense and real):
            return None
        x = tuple(t.detach().numpy().copy() for t in tensors)
        if not 0 < sum(a.size for a in x) <= LARGEST or not all(np.isfinite(a).all() for a in x):
            return None
        try:
            outputs = self._outputs(self._tensors(x))
        except RuntimeError:
            return None
        if not outputs or not all(bool(o.isfinite().all()) for o in outputs):
            return None
        self.weights = [
            torch.from_numpy(self.weights.standard_normal(o.shape)).to(o.dtype) for o in outputs
        ]
        dtype = str(tensors[0].dtype).removeprefix("torch.")
        return Sample("torch op_db", dtype, name, self.value, self.gradient, x)

    def of_kind(self, sample: Sample | None, kind: str) -> Sample | None:
        """Return the Jacobian or a product in place of the gradient; None where it is too large."""
        if sample is None or sum(a.size for a in sample.x) > FEW:
            return None
        if kind == "jacobian":
            if not 0 < self.outputs(sample.x).size <= FEW:
                return None
            return replace(sample, f=self.outputs, derivative=self.jacobian, kind=kind)
        random = generator("direction", sample.name)
        v = tuple(random.standard_normal(a.shape).astype(a.dtype) for a in sample.x)
        try:
            product = self.product(sample.x, v)
        except RuntimeError:  # some derivatives are not differentiable, or not implemented
            return None
        if not all(np.isfinite(a).all() for a in (*self.gradient(sample.x), *product)):
            return None
        return replace(sample, f=self.gradient, derivative=self.product, kind=kind, v=v)

    def outputs(self, x: Any) -> np.ndarray:
        """Return all outputs as one vector."""
        found = self._outputs(self._tensors(x))
        return torch.cat([o.detach().reshape(-1) for o in found]).numpy().copy()

    def jacobian(self, x: Any) -> tuple[np.ndarray, ...]:
        """Return the gradients of all outputs, one a row, by PyTorch's autograd."""
        tensors = self._tensors(x)
        every = torch.cat([o.reshape(-1) for o in self._outputs(tensors)])
        rows = [self._gradient(y, tensors, x, retain_graph=True) for y in every]
        return tuple(np.stack(parts) for parts in zip(*rows, strict=True))

    def product(self, x: Any, v: Any) -> tuple[np.ndarray, ...]:
        """Return H v, H the Hessian of `value`, by PyTorch's double backward."""
        tensors = self._tensors(x)
        total = self._total(tensors)
        g = torch.autograd.grad(total, tensors, allow_unused=True, create_graph=True)
        known = [(one, torch.from_numpy(w)) for one, w in zip(g, v, strict=True) if one is not None]
        along = sum((one * w).sum() for one, w in known)
        if not (isinstance(along, torch.Tensor) and along.requires_grad):
            return tuple(np.zeros_like(a) for a in x)
        return self._gradient(along, tensors, x)

    def value(self, x: Any) -> float:
        """Return sum_k w_k y_k of all outputs y."""
        with torch.no_grad():
            return float(self._total(self._tensors(x)))

    def gradient(self, x: Any) -> tuple[np.ndarray, ...]:
        """Return its gradient by PyTorch's autograd."""
        tensors = self._tensors(x)
        return self._gradient(self._total(tensors), tensors, x)

    @staticmethod
    def _gradient(total: Any, tensors: Any, x: Any, **options: bool) -> tuple[np.ndarray, ...]:
        found = torch.autograd.grad(total, tensors, allow_unused=True, **options)
        return tuple(
            np.zeros_like(a) if g is None else g.detach().numpy().copy()
            for g, a in zip(found, x, strict=True)
        )

    def _tensors(self, x: Any) -> list[torch.Tensor]:
        return [torch.from_numpy(np.array(a)).requires_grad_() for a in x]

    def _total(self, tensors: list[torch.Tensor]) -> Any:
        with torch.enable_grad():
            outputs = self._outputs(tensors)
        return sum((w * o).sum() for w, o in zip(self.weights, outputs, strict=True))

    def _outputs(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the outputs that depend on x, complex ones as pairs of reals."""
        torch.manual_seed(0)
        leaves = list(self.leaves)
        for i, tensor in zip(self.variable, tensors, strict=True):
            leaves[i] = tensor
        leaves = [leaf.clone() if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        first, args, kwargs = tree_unflatten(leaves, self.shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = self.processed(self.call(self.operator, first, *args, **kwargs))
        flat = [o for o in tree_flatten(results)[0] if isinstance(o, torch.Tensor)]
        depend = [o.to_dense() if o.layout is not torch.strided else o for o in flat]
        depend = [o for o in depend if o.requires_grad]
        return [torch.view_as_real(o.resolve_conj()) if o.is_complex() else o for o in depend]


def _is_variable(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.requires_grad
