"""The engine contract: what is asked of anything that claims to compute gradients.

A bare callable `value_and_grad(problem) -> (loss, [(dW, db), ...])` is enough to begin with;
`engine_from_callable` makes an engine of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np

from gradcheck.outcomes.ending import EndsCheckError
from gradcheck.problem import LOSSES, REDUCTIONS, Gradient, Problem, gradient_as_dict

T = TypeVar("T")

ValueAndGrad: TypeAlias = Callable[[Problem], tuple[float | None, Gradient]]

NO_LOSS = "the engine returns no loss"
"""Why nothing can be said about consistency with an engine's own loss where there is none."""

LIMITS = ("corners", "targets", "max_depth", "max_width", "max_outputs", "max_batch",
          "max_parameters", "max_weight_scale", "max_preactivation")  # fmt: skip


class Unsupported(EndsCheckError):  # noqa: N818  # an answer, not an error: neither pass nor fail
    """Raised by an engine for a problem it does not claim to handle. Counted, never a failure.

    Args:
        why: what the engine lacks, in words for the summary.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class MalformedAnswerError(EndsCheckError, TypeError):
    """An engine's answer is not a pair: a real number or None, and a list of pairs (dW, db)."""


class EngineRaisedError(EndsCheckError, RuntimeError):
    """An engine in a process of its own raised; the message holds its traceback. It lives on."""


class EngineProtocolError(EndsCheckError, RuntimeError):
    """An engine in a process of its own sent what the protocol does not allow."""


class EngineDiedError(EndsCheckError, RuntimeError):
    """An engine's process died, or was silent too long and was killed, during this call.

    The next call starts it again, unless that has been done too often.
    """


class EngineSilentError(EngineDiedError):
    """An engine did not answer one call in time, and its process was ended."""


class UnansweredError(BaseException):
    """Whoever asks gets no more answers: the engine's process is lost, or the time is spent.

    No exception of an engine's own: what looks for an explanation and takes whatever an engine
    raises for an answer lets it pass, and so does not take silence for one.

    Attributes:
        is_late: whether time is all that lacks.
    """

    def __init__(self, told: str, *, is_late: bool) -> None:
        super().__init__(told)
        self.is_late = is_late


class EngineUnusableError(EndsCheckError, RuntimeError):
    """An engine cannot be used any more; the message says what happened, each time."""


@dataclass(frozen=True)
class EngineInfo:
    """What an engine says of itself.

    Attributes:
        name: what it is called in reports.
        version: its own version, or that of the library behind it.
        dtypes: the dtypes it computes in, such as ("float32", "float64").
        losses: of "cross_entropy" and "quadratic".
        reductions: of "mean" and "sum".
        deterministic: the same problem gives the same bits.
        issues_url: where a wrong gradient is reported.
        language: what it is written in, or called from.
        arithmetic: the rounding model in `gradcheck.rounding.ARITHMETICS` that it declares, which
            also bounds the noise of its loss; "" declares none, and the narrowest that explains
            its answers is found.
        limits: what the lists cannot say, as keyword arguments of
            `gradcheck.problems.strata.Limits`: corners, targets, max_depth, max_width, max_outputs,
            max_batch, max_parameters, max_weight_scale, max_preactivation (a bound of |z| in every
            unit).
        remarks: what was seen of it when it was started.

    Raises:
        TypeError: limits that are no mapping.
        ValueError: an empty name, no dtype, loss or reduction at all, or an unknown limit.
    """

    name: str
    version: str
    dtypes: tuple[str, ...]
    losses: tuple[str, ...]
    reductions: tuple[str, ...]
    deterministic: bool = True
    issues_url: str = ""
    language: str = "Python"
    arithmetic: str = ""
    limits: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("name='' must not be empty")
        if not isinstance(self.limits, Mapping):
            raise TypeError(f"limits={self.limits!r} must be a mapping: engine {self.name}")
        unknown = ", ".join(sorted(set(self.limits) - set(LIMITS)))
        if unknown:
            raise ValueError(f"limits: {unknown} not in {', '.join(LIMITS)}: engine {self.name}")
        for claim in ("dtypes", "losses", "reductions"):
            if not getattr(self, claim):
                raise ValueError(f"{claim}=() must name at least one: engine {self.name}")


def limited(info: EngineInfo, asked: Iterable[tuple[str, Any]]) -> EngineInfo:
    """Return what an engine says of itself, within further limits.

    Args:
        info: says its own limits.
        asked: names and values; of two bounds the smaller counts, of two lists what both name.

    Raises:
        ValueError: the engine supports nothing of what was asked for.
    """
    limits: dict[str, Any] = dict(info.limits)
    for name, value in asked:
        own = limits.get(name, value)
        if isinstance(value, int | float):
            limits[name] = min(value, own)
            continue
        limits[name] = [one for one in value if one in own]
        if not limits[name]:
            told = ", ".join(own)
            raise ValueError(f"{info.name} has the {name} {told}: none is asked for")
    return replace(info, limits=limits)


@runtime_checkable
class Engine(Protocol):
    """A full engine.

    It may offer `losses(problem, stacked)` besides: the losses at many parameters at once, one
    vector, where the arrays W1, b1, ... of `stacked` have one more leading axis. Checks use it
    for their differences; each loss is one forward pass.
    """

    @property
    def info(self) -> EngineInfo:
        """What the engine says of itself."""

    def loss(self, problem: Problem) -> float:
        """Compute the engine's own loss: one forward pass, no backward pass.

        Raises:
            Unsupported: the engine does not claim to handle the problem, or returns no loss.
        """

    def value_and_grad(self, problem: Problem) -> tuple[float | None, Gradient]:
        """Compute the loss and the pairs (dC/dW_l, dC/db_l), shaped like W_l and b_l.

        The arrays are the caller's: a later call leaves them alone. An engine that has no loss to
        call returns None for it: its gradient is compared with the exact one alone.

        Raises:
            Unsupported: the engine does not claim to handle the problem.
        """

    def close(self) -> None:
        """Give back what the engine holds; it is not called again."""


class CallableEngine:
    """A bare `value_and_grad` as a full engine.

    Its loss is the value that comes with the gradient, so that a forward pass costs a backward
    pass too.
    """

    def __init__(self, value_and_grad: ValueAndGrad, info: EngineInfo) -> None:
        self.info = info
        self._function = value_and_grad

    def loss(self, problem: Problem) -> float:
        """Compute the value and drop the gradient.

        Raises:
            Unsupported: the function returns None for it.
        """
        return require_loss(self.value_and_grad(problem)[0])

    def value_and_grad(self, problem: Problem) -> tuple[float | None, Gradient]:
        """Call the function and hold its answer to the contract's form.

        Shapes, dtypes and numbers are left as they are: to judge them is the check's part.

        Raises:
            MalformedAnswerError: the answer is no pair, its value neither a real number nor None,
                or its gradient no list of L pairs.
        """
        answer: Any = self._function(problem)
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise MalformedAnswerError(
                f"engine {self.info.name} must return a pair (loss, gradient), got {_kind(answer)}"
            )
        value, gradient = answer
        try:
            gradient_as_dict(gradient, problem.architecture)
        except (TypeError, ValueError) as error:
            raise MalformedAnswerError(f"engine {self.info.name}: {error}") from error
        pairs = [(np.asarray(dW), np.asarray(db)) for dW, db in gradient]
        return None if value is None else self._real(value), pairs

    def close(self) -> None:
        """Do nothing: a function holds nothing."""

    def _real(self, value: Any) -> float:
        if np.ndim(value) == 0 and not np.iscomplexobj(value) and not isinstance(value, str):
            try:
                return float(value)
            except (TypeError, ValueError):
                pass
        raise MalformedAnswerError(
            f"engine {self.info.name} must return its loss as one real number, got {_kind(value)}"
        )


def require_loss(value: float | None) -> float:
    """Return a loss that is there.

    Raises:
        Unsupported: it is None.
    """
    if value is None:
        raise Unsupported(NO_LOSS)
    return value


def engine_from_callable(value_and_grad: ValueAndGrad, name: str) -> Engine:
    """Make an engine of a function `problem -> (loss, [(dW, db), ...])`; the loss may be None.

    A function that does less than everything says so by attributes of its own, which are called
    as in `EngineInfo`: dtypes, losses, reductions, arithmetic, limits.

    Args:
        value_and_grad: the function; it may raise `Unsupported`.
        name: what the engine is called in reports.

    Raises:
        TypeError: value_and_grad is not callable, or an attribute is of the wrong type.
        ValueError: the name is empty, or an attribute claims what there is not.

    >>> def slope(problem): ...
    >>> slope.losses, slope.arithmetic = ("quadratic",), "p_minus_y"
    >>> engine_from_callable(slope, "mine").info.losses
    ('quadratic',)
    """
    if not callable(value_and_grad):
        raise TypeError(f"value_and_grad must be callable, got {_kind(value_and_grad)}")
    return CallableEngine(value_and_grad, _claimed(value_and_grad, name))


def _claimed(value_and_grad: ValueAndGrad, name: str) -> EngineInfo:
    """Read what a function claims; everything, if it has no such attributes."""
    claims: dict[str, Any] = {
        "dtypes": ("float32", "float64"),
        "losses": LOSSES,
        "reductions": REDUCTIONS,
        "arithmetic": "",
        "limits": {},
    }
    for claim, usual in claims.items():
        said = getattr(value_and_grad, claim, usual)
        if isinstance(usual, tuple):
            said = (said,) if isinstance(said, str) else tuple(said)
        elif not isinstance(said, type(usual)):
            raise TypeError(f"{claim}={said!r} must be a {type(usual).__name__}: engine {name}")
        claims[claim] = said
    return EngineInfo(name, "unknown", **claims)


def _kind(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    return f"{type(value).__name__} {value!r:.60}"


def answered_or(known: T, more: Callable[[], T]) -> T:
    """Return what asking more says; what is known where the engine gives no more answers."""
    try:
        return more()
    except UnansweredError:
        return known
