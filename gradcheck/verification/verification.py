"""Verifies an engine from Python, as the command `verify` does."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcheck.outcomes.exit_codes import VERIFIED
from gradcheck.verification.outputs import summary_of
from gradcheck.verification.plan import EXAMPLES, Settings
from gradcheck.verification.run import verify as run_verification
from gradcheck.verification.summary import Summary
from gradcheck.verification.text import render


@dataclass(frozen=True)
class Verification:
    """What came of a verification; its text is what the command prints.

    Attributes:
        summary: counts, failures and findings.
    """

    summary: Summary

    @property
    def exit_code(self) -> int | None:
        """Exit code of the command (`gradcheck.outcomes.exit_codes`); None if interrupted."""
        return self.summary.exit_code

    @property
    def is_verified(self) -> bool:
        """Whether no gradient was wrong, and enough was decided."""
        return self.exit_code == VERIFIED

    @property
    def verdict(self) -> str:
        """The verdict in a sentence."""
        return self.summary.verdict

    def __str__(self) -> str:
        return render(self.summary)

    def __bool__(self) -> bool:
        raise TypeError("a verification is no truth value; use .is_verified or .exit_code")


def verify(
    engine: str | Callable[..., Any],
    examples: int = EXAMPLES,
    *,
    seed: int = 0,
    dtype: str = "",
    limits: Mapping[str, Any] | None = None,
    require: str = "",
    timeout: float = 60.0,
    jobs: int = 1,
    log: str | Path | None = None,
) -> Verification:
    """Verify an engine on random networks, in a process of its own.

    Args:
        engine: a registered name, "py:package.module:attribute", "cmd:COMMAND LINE", or a function
            or class of a module that can be imported.
        examples: number of networks.
        seed: random seed of the networks.
        dtype: the only precision to examine, "" for all that the engine computes in.
        limits: bounds of what is drawn, as max_depth=2; see `gradcheck.problems.strata.Limits`.
        require: widest rounding that is allowed: "strict", "standard" or a model's name; "" for
            what the engine declares, else "standard".
        timeout: seconds for one call of the engine.
        jobs: number of worker processes.
        log: path of the log, as JSON lines; None for none.

    Raises:
        ValueError: examples or jobs below 1, an engine that no other process can import, or nothing
            that the engine supports.
        EngineGoneError: the engine cannot be loaded.

    >>> found = verify("reference", examples=2, limits={"max_parameters": 9, "max_depth": 1})
    >>> found.is_verified, found.exit_code
    (True, 0)
    """
    for name, value in (("examples", examples), ("jobs", jobs)):
        if value < 1:
            raise ValueError(f"{name}={value} must be at least 1")
    settings = Settings(
        engine=engine if isinstance(engine, str) else _name_of(engine),
        examples=examples,
        seed=seed,
        dtype=dtype,
        require=require,
        timeout=timeout,
        limits=tuple((limits or {}).items()),
    )
    done = run_verification(settings, jobs=jobs, log=None if log is None else Path(log))
    return Verification(summary_of(done.records))


def _name_of(engine: Any) -> str:
    """Return py:package.module:attribute, by which the engine's process finds a function."""
    module, name = getattr(engine, "__module__", ""), getattr(engine, "__qualname__", "")
    found = inspect.getattr_static(sys.modules.get(module), name, None) if module and name else None
    if found is not engine or module == "__main__":
        raise ValueError(
            f"engine={engine!r:.60} is no function or class at the top of a module that another "
            "process can import; put it into one, and hand it in or name it "
            "py:package.module:attribute"
        )
    return f"py:{module}:{name}"
