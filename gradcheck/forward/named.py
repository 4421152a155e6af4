"""Names the loss that an engine computes, where it is not the one that is meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.certified.gradient import certified_gradient
from gradcheck.checks.measured import loss_model
from gradcheck.forward.probes import AT_ONCE, Answer, Asking, asked
from gradcheck.forward.search import UNKNOWN, Found, explained, most_of
from gradcheck.forward.tables import evaluated, may_be_meant, meant_by
from gradcheck.rounding import loss_bound, loss_floor

if TYPE_CHECKING:
    from gradcheck.certified.gradient import Certified
    from gradcheck.engines.base import Engine
    from gradcheck.problem import Problem

UNDECLARED = "absolute_sigmoid"
"""The arithmetic granted to an engine that declares none: full precision, any form."""


@dataclass(frozen=True)
class LossNamed:
    """A loss that is not the one that is meant.

    Attributes:
        says: what it is, in a clause; "" where that is unknown.
        kind: FACTOR, CONSTANT, TERM, FORM, NETWORK or UNKNOWN.
        engine, meant: both losses, of the problem at hand or of another one on which they differ.
        is_here: they are those of the problem at hand.
        calls: how often the engine was asked.
        found: what gives it, None where that is unknown.
    """

    says: str
    kind: str
    engine: float
    meant: float
    is_here: bool
    calls: int
    found: Found | None = None

    def noise(self, problem: Problem) -> float:
        """Bound what rounding does to this loss, by a sigmoid of absolute accuracy."""
        with np.errstate(all="ignore"):
            if self.found is None:
                return loss_bound(problem, UNDECLARED)
            return self.found.error(problem)

    @property
    def told(self) -> str:
        """Say that the loss is not the one that is meant, and what it is."""
        if self.says.startswith("the loss "):
            return self.says
        if self.says:
            return f"the loss is not the one that is meant: {self.says}"
        where = "" if self.is_here else "on another problem "
        digits = 10 if f"{self.engine:.10g}" != f"{self.meant:.10g}" else 17
        return (
            f"the loss is not the one that is meant; {where}it is {self.engine:.{digits}g} where "
            f"{self.meant:.{digits}g} is meant"
        )


def named_loss(
    engine: Engine, problem: Problem, *, exact: Certified | None = None
) -> LossNamed | None:
    """Return what an engine's loss is; None where it is the one that is meant.

    Args:
        engine: it is asked for its loss of this problem, and of others.
        problem: where.
        exact: the exact loss of the problem, if it is known already.

    >>> from gradcheck.problems.case import Case
    >>> from gradcheck.engines.base import engine_from_callable
    >>> from gradcheck.engines.registry import find
    >>> def doubled(problem):
    ...     value, gradient = find("reference").value_and_grad(problem)
    ...     return 2 * value, gradient
    >>> problem = Case(sizes=(3, 4, 1), batch=2).problem()
    >>> named_loss(engine_from_callable(doubled, "doubled"), problem).says
    'the loss is 2 times the one that is meant'
    """
    with np.errstate(all="ignore"):  # engines return numbers of any size, candidates too
        return _named(engine, problem, exact)


def _named(engine: Engine, problem: Problem, exact: Certified | None) -> LossNamed | None:
    asking = Asking(engine, problem)
    here = asked(engine, problem)
    generic = asking.generic()
    first = [answer for answer, _ in zip(generic, range(AT_ONCE), strict=False)]
    is_same = _is_meant(engine, problem, here, exact)
    elsewhere = [answer for answer in first if not may_be_meant(answer)]
    if is_same and not elsewhere:
        return None
    rest = [] if is_same is None and not elsewhere else generic
    answers = [*first, *rest, *asking.saturated()]
    if is_same is None and all(map(may_be_meant, answers)) and most_of(answers) is None:
        return None
    if here is not None:
        answers.append(Answer(problem, here))
    found = explained(answers, problem.architecture.loss)
    if is_same is None and not elsewhere and not _matters(found, problem, here):
        return None
    different = None if is_same or here is None else Answer(problem, here)
    shown = different or next((a for a in answers if not may_be_meant(a)), None)
    if shown is None:
        return None
    says, kind = ("", UNKNOWN) if found is None else (found.says, found.kind)
    meant = certified_gradient(shown.problem).loss
    calls = asking.calls + 1
    return LossNamed(says, kind, shown.loss, meant, shown.problem is problem, calls, found)


def model_of(engine: Engine, problem: Problem) -> str:
    """Return the rounding model of an engine's loss: declared, found on one unit, or the widest."""
    return engine.info.arithmetic or loss_model(engine, problem) or UNDECLARED


def _is_meant(
    engine: Engine, problem: Problem, loss: float | None, exact: Certified | None
) -> bool | None:
    """Whether a loss is the one that is meant; None where rounding allows anything so large."""
    bound = loss_bound(problem, model_of(engine, problem))
    if loss is None or not np.isfinite(bound):
        too_small = loss is not None and loss < loss_floor(problem, UNDECLARED)
        return False if too_small else None
    known = certified_gradient(problem) if exact is None else exact
    return bool(abs(loss - known.loss) <= bound + known.loss_bound)


def _matters(found: Found | None, problem: Problem, here: float | None) -> bool:
    """Whether what was found makes the loss of the problem at hand another one."""
    if found is None or here is None:
        return False
    value, error = evaluated(problem, found.candidate.network, found.candidate.head)
    meant = meant_by(problem)[0]
    return bool(abs(value - meant) > error)
