"""gradcheck: does a backpropagation engine compute right gradients?

Checks any function's gradient by finite differences with error bounds, and reports which weight
is wrong, by how much, how sure that is and what it cost.

>>> import numpy as np, gradcheck
>>> x = {"w": np.array([0.3, -1.2]), "b": np.array(0.5)}
>>> f = lambda p: float(np.log1p(np.exp(p["w"] @ [1.0, 2.0] + p["b"])))
>>> def gradient(p):
...     s = 1 / (1 + np.exp(-(p["w"] @ [1.0, 2.0] + p["b"])))
...     return {"w": s * np.array([1.0, 2.0]), "b": s}
>>> gradcheck.check_gradient(f, gradient, x).verdict
<Verdict.PASS: 'PASS'>
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcheck.check import GradientMismatch as GradientMismatch
    from gradcheck.check import assert_gradient as assert_gradient
    from gradcheck.check import check_gradient as check_gradient
    from gradcheck.engines.base import Unsupported as Unsupported
    from gradcheck.hessian import (
        check_hessian_vector_product as check_hessian_vector_product,
    )
    from gradcheck.jacobian import check_jacobian as check_jacobian
    from gradcheck.oracles.batches import batched as batched
    from gradcheck.problem import Architecture as Architecture
    from gradcheck.problem import Problem as Problem
    from gradcheck.verdict import Discrepancy as Discrepancy
    from gradcheck.verdict import Outcome as Outcome
    from gradcheck.verdict import Reason as Reason
    from gradcheck.verdict import Verdict as Verdict

_HOMES = {
    "GradientMismatch": "gradcheck.check",
    "assert_gradient": "gradcheck.check",
    "check_gradient": "gradcheck.check",
    "check_hessian_vector_product": "gradcheck.hessian",
    "check_jacobian": "gradcheck.jacobian",
    "Unsupported": "gradcheck.engines.base",
    "batched": "gradcheck.oracles.batches",
    "Architecture": "gradcheck.problem",
    "Problem": "gradcheck.problem",
    "Discrepancy": "gradcheck.verdict",
    "Outcome": "gradcheck.verdict",
    "Reason": "gradcheck.verdict",
    "Verdict": "gradcheck.verdict",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - one table says where each name lives
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gradcheck' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
