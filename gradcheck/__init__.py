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
    from gradcheck import engines as engines
    from gradcheck.checks.consistency import check_consistency as check_consistency
    from gradcheck.checks.gradient import GradientMismatch as GradientMismatch
    from gradcheck.checks.gradient import assert_gradient as assert_gradient
    from gradcheck.checks.gradient import check_gradient as check_gradient
    from gradcheck.checks.hessian import (
        check_hessian_vector_product as check_hessian_vector_product,
    )
    from gradcheck.checks.jacobian import check_jacobian as check_jacobian
    from gradcheck.diagnosis.agreement import (
        explained_agreement as check_agreement,  # noqa: F401 - a name of the package
    )
    from gradcheck.differences.batches import batched as batched
    from gradcheck.engines.base import Unsupported as Unsupported
    from gradcheck.outcomes.comparison import Discrepancy as Discrepancy
    from gradcheck.outcomes.outcome import Outcome as Outcome
    from gradcheck.outcomes.reasons import Reason as Reason
    from gradcheck.outcomes.reasons import Verdict as Verdict
    from gradcheck.problem import Architecture as Architecture
    from gradcheck.problem import Problem as Problem
    from gradcheck.problems import strategies as strategies
    from gradcheck.problems.case import parse as parse
    from gradcheck.verification.verification import Verification as Verification
    from gradcheck.verification.verification import verify as verify

_HOMES = {
    "Architecture": "gradcheck.problem:Architecture",
    "Discrepancy": "gradcheck.outcomes.comparison:Discrepancy",
    "GradientMismatch": "gradcheck.checks.gradient:GradientMismatch",
    "Outcome": "gradcheck.outcomes.outcome:Outcome",
    "Problem": "gradcheck.problem:Problem",
    "Reason": "gradcheck.outcomes.reasons:Reason",
    "Unsupported": "gradcheck.engines.base:Unsupported",
    "Verdict": "gradcheck.outcomes.reasons:Verdict",
    "Verification": "gradcheck.verification.verification:Verification",
    "assert_gradient": "gradcheck.checks.gradient:assert_gradient",
    "batched": "gradcheck.differences.batches:batched",
    "check_agreement": "gradcheck.diagnosis.agreement:explained_agreement",
    "check_consistency": "gradcheck.checks.consistency:check_consistency",
    "check_gradient": "gradcheck.checks.gradient:check_gradient",
    "check_hessian_vector_product": "gradcheck.checks.hessian:check_hessian_vector_product",
    "check_jacobian": "gradcheck.checks.jacobian:check_jacobian",
    "parse": "gradcheck.problems.case:parse",
    "verify": "gradcheck.verification.verification:verify",
    "engines": "gradcheck.engines",
    "strategies": "gradcheck.problems.strategies",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - one table says where each name lives
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gradcheck' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        from gradcheck.writing.extras import missing_extra  # noqa: PLC0415 - seldom

        raise ImportError(missing_extra(error) or str(error)) from error
    value = getattr(found, attribute) if attribute else found
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
