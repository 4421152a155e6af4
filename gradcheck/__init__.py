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
    from gradcheck.checks.gradient import GradientMismatch as GradientMismatch
    from gradcheck.checks.gradient import assert_gradient as assert_gradient
    from gradcheck.checks.gradient import check_gradient as check_gradient
    from gradcheck.checks.hessian import (
        check_hessian_vector_product as check_hessian_vector_product,
    )
    from gradcheck.checks.jacobian import check_jacobian as check_jacobian
    from gradcheck.differences.batches import batched as batched
    from gradcheck.engines.base import Unsupported as Unsupported
    from gradcheck.outcomes.comparison import Discrepancy as Discrepancy
    from gradcheck.outcomes.outcome import Outcome as Outcome
    from gradcheck.outcomes.reasons import Reason as Reason
    from gradcheck.outcomes.reasons import Verdict as Verdict
    from gradcheck.problem import Architecture as Architecture
    from gradcheck.problem import Problem as Problem

_HOMES = {
    "GradientMismatch": "gradcheck.checks.gradient",
    "assert_gradient": "gradcheck.checks.gradient",
    "check_gradient": "gradcheck.checks.gradient",
    "check_hessian_vector_product": "gradcheck.checks.hessian",
    "check_jacobian": "gradcheck.checks.jacobian",
    "Unsupported": "gradcheck.engines.base",
    "batched": "gradcheck.differences.batches",
    "Architecture": "gradcheck.problem",
    "Problem": "gradcheck.problem",
    "Discrepancy": "gradcheck.outcomes.comparison",
    "Outcome": "gradcheck.outcomes.outcome",
    "Reason": "gradcheck.outcomes.reasons",
    "Verdict": "gradcheck.outcomes.reasons",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - one table says where each name lives
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gradcheck' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
