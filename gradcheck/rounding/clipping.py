r"""What many libraries compute in place of the cross-entropy that they name.

Symbols: p = sigma(z) an output, y its target, epsilon in (0, 1/2).

**Clipped**: the gradient of another loss.

    q = min(max(p, epsilon), 1 - epsilon)
    C = -[y log q + (1 - y) log(1 - q)]
    dC/dz = sigma(z) - y   where epsilon < p < 1 - epsilon,   else 0

At p = epsilon and p = 1 - epsilon there are two one-sided derivatives, those two.

**Floored**: dC/dp = (p - y) / [p (1 - p)] with a denominator that is kept from 0, times sigma'(z).
It is no loss's gradient.

    dC/dz = (p - y) p (1 - p) / max(p (1 - p), epsilon) = (p - y) min(1, p (1 - p) / epsilon)
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcheck.problem import Problem


def require_epsilon(argument: str, epsilon: Any, problem: Problem) -> float | None:
    """Return epsilon as a float, None if it is None.

    Raises:
        TypeError: it is not a real number.
        ValueError: it is not in (0, 0.5), or the problem's loss is not the cross-entropy.
    """
    if epsilon is None:
        return None
    if isinstance(epsilon, bool) or not isinstance(epsilon, Real):
        raise TypeError(f"{argument}={epsilon!r}; it must be a number in (0, 0.5)")
    if not 0 < float(epsilon) < 0.5:
        raise ValueError(f"{argument}={epsilon!r}; it must be in (0, 0.5)")
    if problem.architecture.loss != "cross_entropy":
        raise ValueError(
            f"{argument}={epsilon!r} with loss={problem.architecture.loss!r}; "
            "it is for cross_entropy alone"
        )
    return float(epsilon)
