"""The plan of a verification: which cases, in which order, and what is examined on each.

The exact tests come first, numbered from -E to -1; then N examples, from 0 to N - 1. A shard I/S
takes the numbers n with n mod S = I - 1. Everything follows from the settings and from what the
engine says of itself, so that shards, resumed runs and any number of jobs see the same cases.

Finite differences cost 4 to 30 forward passes a coordinate, so consistency is examined on a share
of the examples, whose networks are small: those n with frac(n phi) < 1/4, phi the golden ratio.
That is every fourth one, in every shard alike (the multiples of phi are equidistributed along every
arithmetic progression). Agreement is examined on all of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast

from gradcheck.engines.base import EngineInfo, limited
from gradcheck.problem import LOSSES, REDUCTIONS
from gradcheck.problems.case import Case, sample_cases
from gradcheck.problems.strata import Limits, LimitsDict
from gradcheck.splitmix64 import stream_key
from gradcheck.verification.known import Known

EXAMPLES = 200
"""Problems of a default run."""

TRIES = 10
"""Cases drawn for one example, at most, until the engine takes one: with an engine that refuses
every second problem, one example in a thousand is left without."""

DTYPES = ("float64", "float32")
"""Examined unless another is asked for; float16 by the exact tests."""

COARSE = "float16"
"""Of 11 bits: no differences of a loss are within the resolution asked for, so none are taken."""

EXACT = ("float16", "float32", "float64")

SMALL: Mapping[str, int] = {"max_parameters": 40, "max_batch": 8}
"""Of the problems whose consistency is examined: about 600 forward passes each."""

GOLDEN = 0x9E3779B97F4A7C15
"""phi 2^64, less 2^64: as in Knuth, The Art of Computer Programming 3, section 6.4."""

Try = tuple[str, tuple[str, ...]]
"""A case token, and the properties that are examined there."""


class NothingToVerifyError(ValueError):
    """The engine supports nothing of what was asked for; the message says what."""


@dataclass(frozen=True)
class Settings:
    """What decides which cases there are.

    Attributes:
        engine: as `gradcheck.engines.registry.find` takes it.
        examples: how many problems, over all shards.
        seed: of the draw.
        dtype: the only one to examine, or "" for all that the engine has.
        shard: I and S of --shard I/S.
        timeout: seconds for one call of the engine.
        require: the widest rounding model that is allowed; "" for the one that the engine
            declares, else "standard".
        limits: what may be drawn, within what the engine supports: names and values of
            `gradcheck.engines.base.LIMITS`.
        known: the failures that are declared.
        known_file: where they were read.
    """

    engine: str
    examples: int = EXAMPLES
    seed: int = 0
    dtype: str = ""
    shard: tuple[int, int] = (1, 1)
    timeout: float = 60.0
    require: str = ""
    limits: tuple[tuple[str, Any], ...] = ()
    known: tuple[Known, ...] = ()
    known_file: str = ""

    @property
    def command(self) -> str:
        """The command line, less what does not change the results."""
        mine = {"examples": self.examples, "seed": self.seed, "dtype": self.dtype}
        mine |= {"shard": "/".join(map(str, self.shard)), "timeout": f"{self.timeout:g}"}
        mine["require"] = self.require
        usual = {"examples": EXAMPLES, "seed": 0, "dtype": "", "shard": "1/1", "timeout": "60"}
        usual["require"] = ""
        given = [f"--{name} {value}" for name, value in mine.items() if value != usual[name]]
        given += [f"--limit {shlex.quote(f'{n}={_written(value)}')}" for n, value in self.limits]
        given += [f"--known {shlex.quote(self.known_file)}"] * bool(self.known_file)
        return " ".join(["python -m gradcheck verify", shlex.quote(self.engine), *given])


class Plan:
    """The cases of a verification.

    Args:
        settings: what was asked for.
        info: what the engine says of itself.

    Attributes:
        info: the same, within the limits that were asked for.

    Raises:
        NothingToVerifyError: the engine supports nothing of what was asked for.
        ValueError: the engine's limits make no sense.
        TypeError: likewise.
    """

    def __init__(self, settings: Settings, info: EngineInfo) -> None:
        self.settings = settings
        self.info = info = _limited(info, settings.limits)
        self.dtypes = examined_dtypes(info, settings.dtype)
        self._limits = limits_of(info, self.dtypes)
        self._small_before = [0, *accumulate(map(is_small, range(settings.examples)))]
        self._drawn: dict[tuple[str, int], tuple[list[Case], Iterator[Case]]] = {}
        self._exact, self.untested = _exact_cases(settings, info)

    @property
    def properties(self) -> list[str]:
        """What is examined, in this order."""
        differences = ["consistency"] * (self.dtypes != (COARSE,))
        return ["agreement", *differences, *["exact"] * bool(self._exact)]

    def numbers(self) -> list[int]:
        """Return the n of this shard, in order."""
        place, shards = self.settings.shard
        every = range(-len(self._exact), self.settings.examples)
        return [n for n in every if n % shards == place - 1]

    def tries(self, n: int) -> Iterator[Try]:
        """Yield the cases of one n: each one but the first replaces a case that was refused."""
        if n < 0:
            yield self._exact[n]
            return
        kind = "small" if is_small(n) else "large"
        before = self._small_before[n]
        place = before if kind == "small" else n - before
        for attempt in range(TRIES):
            case = self._case(kind, attempt, place)
            has_differences = kind == "small" and case.dtype != COARSE
            yield case.token, ("agreement", "consistency") if has_differences else ("agreement",)

    def _case(self, kind: str, attempt: int, place: int) -> Case:
        """Return a case of the list of that kind and attempt, which grows as it is asked for."""
        if (kind, attempt) not in self._drawn:
            seed = stream_key(self.settings.seed, f"verify {kind} {attempt}")
            limits = self._limits if kind == "large" else smaller(self._limits)
            self._drawn[kind, attempt] = [], sample_cases(self.settings.examples, seed, **limits)
        cases, rest = self._drawn[kind, attempt]
        while len(cases) <= place:
            cases.append(next(rest))
        return cases[place]


def is_small(n: int) -> bool:
    """Whether the n-th example is one of the small ones: frac(n phi) < 1/4.

    >>> [n for n in range(12) if is_small(n)]
    [0, 2, 5, 10]
    """
    return n * GOLDEN % 2**64 < 2**62


def examined_dtypes(info: EngineInfo, asked: str) -> tuple[str, ...]:
    """Return the dtypes to examine.

    Raises:
        NothingToVerifyError: the engine does not compute in what was asked for, or in none of
            float64, float32, float16.
    """
    if asked:
        if asked not in info.dtypes:
            told = ", ".join(info.dtypes)
            raise NothingToVerifyError(f"{info.name} computes in {told}, not in {asked}")
        return (asked,)
    usual = tuple(name for name in DTYPES if name in info.dtypes)
    found = usual or tuple(name for name in EXACT if name in info.dtypes)
    if not found:
        told = ", ".join(info.dtypes)
        raise NothingToVerifyError(f"{info.name} computes in {told}: none that can be verified")
    return found


def limits_of(info: EngineInfo, dtypes: tuple[str, ...]) -> LimitsDict:
    """Return the limits of the draw that an engine's own account of itself sets.

    Raises:
        NothingToVerifyError: no loss or reduction is left.
        ValueError, TypeError: the engine's limits make no sense.
    """
    abilities = {
        "losses": [name for name in LOSSES if name in info.losses],
        "reductions": [name for name in REDUCTIONS if name in info.reductions],
    }
    for name, left in abilities.items():
        if not left:
            told = ", ".join(getattr(info, name))
            raise NothingToVerifyError(f"{info.name} has the {name} {told}: none is known")
    limits: dict[str, Any] = {"dtypes": list(dtypes), **abilities}
    for name, value in info.limits.items():
        limits[name] = _bounded(name, value)
    Limits(**limits)
    return cast("LimitsDict", limits)


def smaller(limits: LimitsDict) -> LimitsDict:
    """Return the limits with those of SMALL."""
    both: dict[str, Any] = dict(limits)
    for name, most in SMALL.items():
        both[name] = min(most, both.get(name, most))
    return cast("LimitsDict", both)


def _limited(info: EngineInfo, asked: Iterable[tuple[str, Any]]) -> EngineInfo:
    try:
        return limited(info, asked)
    except ValueError as error:
        raise NothingToVerifyError(str(error)) from None


def _bounded(name: str, value: Any) -> Any:
    """Take one name for a list of one, and no bound for more than the usual one."""
    if name in ("corners", "targets"):
        return [value] if isinstance(value, str) else value
    return min(value, getattr(Limits, name)) if isinstance(value, int | float) else value


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else ",".join(value)


def _exact_cases(settings: Settings, info: EngineInfo) -> tuple[list[Try], list[str]]:
    """Return the cases of the exact tests, and what is not tested and why."""
    from gradcheck.checks.exact import TESTS  # noqa: PLC0415 - loads the ball arithmetic

    found: list[Try] = []
    untested = []
    for test in TESTS.values():
        for dtype in info.dtypes:
            if dtype not in EXACT or settings.dtype not in ("", dtype):
                continue
            try:
                cases = test.cases(info, dtype, settings.seed)
            except ValueError as error:
                untested.append(f"{test.name}, {dtype}: {error}")
                continue
            found += [(case.token, (f"exact {test.name}",)) for case in cases]
    return found, untested
