"""Puts a sample to its check, and then four wrong derivatives of it.

A right derivative should PASS. The wrong ones are the right one times 1.01, times (1 + 1e-4), set
to 0, and with the sign of one array changed. None of them may PASS where it is visible: where the
plant is larger than the resolution that the PASS of the right derivative states.
"""

from __future__ import annotations

import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from known_defects import why_wrong
from samples import Sample, generator

from gradcheck import check_gradient, check_hessian_vector_product, check_jacobian
from gradcheck.differences.noise import STANDARD_DEVIATIONS, UNDERESTIMATE
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Verdict
from gradcheck.pytree import leaves_of, with_leaves

PATIENCE = 60
"""Seconds after which a check is held to hang: the longest right one takes a few."""

ASIDE = ("nondifferentiable",)
"""Reasons that are right answers of their own: f has no derivative at x."""


@dataclass(frozen=True)
class Finding:
    """What became of one sample.

    Attributes:
        sample: the sample.
        verdict: on the right derivative: PASS, FAIL, INCONCLUSIVE, HANGS or RAISES.
        reason: of the verdict, or the type of the exception.
        detail: the whole outcome as text.
        missed: the plants that PASSed although visible.
        unseen: the plants that PASSed below the stated resolution.
        planted: how many wrong derivatives were checked.
        passes: forward passes of the right one.
        seconds: of the right one.
        flat: no step can tell the derivative, as `is_flat` says.
    """

    sample: Sample
    verdict: str
    reason: str
    detail: str
    missed: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    planted: int = 0
    passes: int = 0
    seconds: float = 0.0
    flat: bool = False

    @property
    def known(self) -> str:
        """Why the derivative is known to be wrong; "" if it is not."""
        return why_wrong(self.sample.source, self.sample.name, self.sample.dtype)


def is_flat(sample: Sample, resolution: float) -> bool:
    """Say whether rounding hides all that is asked of the derivative, whatever the step.

    Differences at a step t know the derivative to C1 eps_f / t at best, C1 = 3/2, where the bound
    of the noise is eps_f >= 8.4 UNDERESTIMATE u |f|. With t up to |x| or 1 they cannot tell
    resolution max |g| where resolution max |g| max(|x|, 1) <= C1 eps_f.
    """
    if sample.kind != "gradient":
        return False
    size = max(*(float(np.abs(leaf).max(initial=0.0)) for leaf in leaves_of(sample.x)), 1.0)
    g = max(float(np.abs(leaf).max(initial=0.0)) for leaf in leaves_of(sample.derivative(sample.x)))
    u = float(np.finfo(sample.dtype).eps) / 2
    eps = STANDARD_DEVIATIONS * UNDERESTIMATE * u * abs(sample.f(sample.x))
    return 0 < resolution * g * size <= 1.5 * eps


def share(findings: list[Finding]) -> float:
    """Return the share of PASS among right derivatives, where f has one and is not flat."""
    right = [f for f in findings if not f.known and f.reason not in ASIDE and not f.flat]
    return sum(f.verdict == "PASS" for f in right) / max(len(right), 1)


class HangError(BaseException):
    """A check took longer than PATIENCE; no handler of a library's errors swallows it."""


def checked(sample: Sample, derivative: Callable[..., Any], seed: int) -> Outcome:
    """Put a derivative of the sample's function to its check."""
    f, x = sample.f, sample.x
    if sample.kind == "jacobian":
        return check_jacobian(f, derivative, x, seed=seed)
    if sample.kind == "product":
        return check_hessian_vector_product(f, derivative, x, sample.v, seed=seed)
    return check_gradient(f, derivative, x, seed=seed)


def judge(sample: Sample, *, seed: int = 0, plants: bool = True) -> Finding:
    """Check the right derivative of a sample and, where it PASSes, four wrong ones."""
    begun = time.perf_counter()
    try:
        with _limits():
            outcome = checked(sample, sample.derivative, seed)
    except HangError:
        return Finding(sample, "HANGS", "", f"more than {PATIENCE} s")
    except Exception as error:  # noqa: BLE001 - any stray exception is what is counted
        return Finding(sample, "RAISES", type(error).__name__, str(error)[:500])
    seconds = time.perf_counter() - begun
    reason = outcome.reason.value if outcome.reason else ""
    found = (sample, outcome.verdict.value, reason, str(outcome))
    missed, unseen, planted = [], [], 0
    if plants and outcome.verdict is Verdict.PASS:
        for name, size, wrong in _plants(sample, outcome.resolution):
            planted += 1
            if _passes(sample, wrong, seed):
                (missed if size > outcome.resolution else unseen).append(name)
    flat = outcome.verdict is Verdict.INCONCLUSIVE and is_flat(sample, outcome.resolution)
    cost = (planted, outcome.forward_passes, seconds)
    return Finding(*found, tuple(missed), tuple(unseen), *cost, flat)


def _passes(sample: Sample, wrong: Callable[..., Any], seed: int) -> bool:
    try:
        with _limits():
            return checked(sample, wrong, seed).verdict is Verdict.PASS
    except Exception:  # noqa: BLE001 - not a pass
        return False


def _plants(sample: Sample, resolution: float) -> Iterator[tuple[str, float, Callable[..., Any]]]:
    """Yield name, relative size and function of every plant that changes the derivative."""
    arguments = (sample.x,) if sample.v is None else (sample.x, sample.v)
    right = [np.array(leaf) for leaf in leaves_of(sample.derivative(*arguments))]
    sizes = [float(np.abs(leaf).max(initial=0.0)) for leaf in right]
    largest = max(sizes, default=0.0)
    if largest == 0:
        return
    for factor in (1.01, 1 + 1e-4, 0.0):
        wrong = _changed(sample.derivative, lambda leaves, c=factor: [c * g for g in leaves])
        name = "set to 0" if factor == 0 else f"times {factor:.6g}"
        yield name, abs(factor - 1), wrong
    visible = [i for i, size in enumerate(sizes) if size > resolution * largest]
    chosen = int(generator("sign", sample.name).choice(visible))

    def signed(leaves: list[Any]) -> list[Any]:
        return [-g if i == chosen else g for i, g in enumerate(leaves)]

    yield "sign of one array", 2.0, _changed(sample.derivative, signed)


def _changed(
    derivative: Callable[..., Any], change: Callable[[list[Any]], list[Any]]
) -> Callable[..., Any]:
    def wrong(*arguments: Any) -> Any:
        answer = derivative(*arguments)
        given = leaves_of(answer)
        changed = zip(change(given), given, strict=True)
        return with_leaves(answer, [np.asarray(new, dtype=old.dtype) for new, old in changed])

    return wrong


@contextmanager
def _limits() -> Iterator[None]:
    """Raise HangError after PATIENCE seconds; keep the libraries' warnings quiet."""

    def stop(*_: Any) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
