"""Known failures: where an engine is wrong and its author knows it, declared in a TOML file.

Each table of the file is an entry, its title the entry's name:

    [clamped-log]
    engine = "py:my_engine:gradient"    # as `verify` takes it, or the name the engine gives itself
    property = "agreement"              # or "consistency", or "exact " and the name of a test
    outcome = "FAIL mismatch"           # FAIL and the reason
    reason = "log p is clamped, so that saturated outputs have no gradient"
    issue = "https://example.org/my-engine/issues/7"
    expires = 2027-01-31                # the last day on which the entry counts
    case = "gc1:1-1:cross_entropy:mean:m1:float64:w300:generic:ones:s0"

    [clamped-log.match]                 # what the failing problems have in common
    loss = "cross_entropy"
    min_weight_scale = 30
    explanation = "clipped loss"

`match` holds, all of them to be met, and none for every problem of the property:

    loss, reduction, dtype, corner, targets        a name, or a list of names
    min_ and max_ of depth, width, outputs, batch, whole numbers; depth counts layers, width is that
      parameters, and of weight_scale              of the widest layer; weight_scale is a number
    explanation                                    the class of algorithms that explains the
                                                   gradient, "" for none

A failing problem that an entry matches is known: counted apart, neither PASS nor FAIL. `case` is
pinned: it is examined in every run, whatever else is drawn. What becomes of an entry:

    known        it fails as declared: the pinned case, or other problems while that is undecided
    healed       the pinned case passes, which alone counts as being mended
    changed      the pinned case fails, but in another way than was declared
    unmatched    no problem of the run fails as declared, and the pinned case neither fails nor
                 passes
    expired      known still, and the day is over
    elsewhere    it is about another engine
    open         the engine became unusable before it could be examined, or the pinned case was
                 not answered in time

healed, changed, unmatched and expired entries are not as expected: exit code 1.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradcheck.checks.exact import TESTS
from gradcheck.outcomes.reasons import Reason
from gradcheck.problem import DTYPES, LOSSES, REDUCTIONS
from gradcheck.problems.case import Case, parse
from gradcheck.problems.corners import CORNERS, TARGETS

NAMES: Mapping[str, tuple[str, ...]] = {
    "loss": LOSSES,
    "reduction": REDUCTIONS,
    "dtype": tuple(DTYPES),
    "corner": tuple(CORNERS),
    "targets": tuple(TARGETS),
}

SIZES: Mapping[str, Callable[[Case], float]] = {
    "depth": lambda case: len(case.sizes) - 1,
    "width": lambda case: max(case.sizes),
    "outputs": lambda case: case.sizes[-1],
    "batch": lambda case: case.batch,
    "parameters": lambda case: case.architecture.n_parameters,
    "weight_scale": lambda case: case.weight_scale,
}

FAILING = (Reason.MISMATCH, Reason.LOSS, Reason.NONFINITE, Reason.SHAPE, Reason.DTYPE,
           Reason.NONDETERMINISTIC, Reason.INPUT_CHANGED, Reason.ALIASED,
           Reason.RAISED, Reason.SUBGRADIENT)  # fmt: skip
OUTCOMES = tuple(f"FAIL {reason.value}" for reason in FAILING)
PROPERTIES = ("agreement", "consistency", *(f"exact {name}" for name in TESTS))

LARGEST = 2**20
"""Bytes of a file of known failures."""

LONGEST = 4000
"""Characters of one of its lines: fewer than the digits that Python refuses to read."""

URL = re.compile(r"https?://[^\s<>\"]+")


class KnownError(ValueError):
    """A file of known failures that cannot be used; the message names file, entry and key."""


@dataclass(frozen=True)
class Known:
    """One declared failure.

    Attributes:
        name: the entry's title.
        engine: what it is about: as the command line names the engine, or as it names itself.
        property: "agreement", "consistency", or "exact " and the name of a test.
        outcome: "FAIL " and the reason.
        reason: why, in words.
        issue: where it is discussed.
        expires: the last day on which it counts.
        case: the token of the pinned case.
        match: what the failing problems have in common.
    """

    name: str
    engine: str
    property: str
    outcome: str
    reason: str
    issue: str
    expires: dt.date
    case: str
    match: Mapping[str, Any] = field(default_factory=dict)

    def is_about(self, *names: str) -> bool:
        """Whether the engine goes by one of these names."""
        return self.engine in names

    def holds(self, finding: Mapping[str, Any], explanation: str) -> bool:
        """Whether a finding is the declared outcome of the declared property.

        Args:
            finding: as the log has it.
            explanation: the class of algorithms that explains the gradient, or "".
        """
        outcome = f"{finding['verdict']} {finding['reason']}"
        return (
            (finding["property"], outcome) == (self.property, self.outcome)
            and self.match.get("explanation", explanation) == explanation
        )  # fmt: skip

    def misfit(self, case: Case) -> str:
        """Return the key of `match` that a problem does not meet, or "".

        >>> entry = Known("", "", "", "", "", "", dt.date.max, "", {"max_depth": 2})
        >>> entry.misfit(Case(sizes=(3, 4, 1))), entry.misfit(Case(sizes=(3, 4, 2, 1)))
        ('', 'max_depth')
        """
        return next((key for key, value in self.match.items() if not _meets(case, key, value)), "")

    def to_json(self) -> dict[str, Any]:
        """Write the entry as the log has it."""
        words = ("name", "engine", "property", "outcome", "reason", "issue", "case")
        told: dict[str, Any] = {word: getattr(self, word) for word in words}
        return told | {"expires": self.expires.isoformat(), "match": dict(self.match)}


def read_known(path: Path) -> tuple[Known, ...]:
    """Read the entries of a file, in its order.

    Raises:
        KnownError: the file cannot be read, is no TOML, or has an entry that is malformed.
    """
    try:
        tables = _tables(path)
    except (OSError, ValueError) as error:  # of TOML, of UTF-8, of whole numbers, of names of files
        raise KnownError(f"{path}: {error}") from None
    found = []
    for name, table in tables.items():
        try:
            found.append(_entry(name, table))
        except (TypeError, ValueError) as error:
            raise KnownError(f"{path}, entry {name!r}: {error}") from None
    return tuple(found)


def _tables(path: Path) -> dict[str, Any]:
    """Read TOML that is not too long, nor nested too deeply, for its reader.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no UTF-8, no TOML, or beyond a limit.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"it has more than {LARGEST:,} bytes, the most that are read")
    lines = content.decode("utf-8").split("\n")
    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST:
            raise ValueError(
                f"line {number} has {len(line):,} characters; at most {LONGEST:,} are read"
            )
    try:
        return tomllib.loads("\n".join(lines))
    except RecursionError:
        raise ValueError(f"line {_deepest(lines)}: nested too deeply") from None


def _deepest(lines: Sequence[str]) -> int:
    """Return the number of the line in which the most brackets are open."""
    depths, depth = [], 0
    for line in lines:
        depth += line.count("[") + line.count("{")
        depths.append(depth)
        depth -= line.count("]") + line.count("}")
    return depths.index(max(depths)) + 1


def _entry(name: str, table: Any) -> Known:
    if not isinstance(table, dict):
        raise TypeError(f"{name}={table!r}; an entry is a table, [{name}]")
    _require_keys(table, (*READ, "match"))
    match = table["match"]
    if not isinstance(match, dict):
        raise TypeError(f"match={match!r}; it must be a table, empty for every problem")
    _require_keys(match, ())
    for key, value in match.items():
        _require_match(key, value)
    _require_ranges(match)
    entry = Known(name, **{key: read(key, table[key]) for key, read in READ.items()}, match=match)
    if misfit := entry.misfit(parse(entry.case)):
        told = f"match.{misfit}={match[misfit]!r}"
        raise ValueError(f"case={entry.case!r} is not one of its own problems: {told}")
    return entry


def _require_keys(table: Mapping[str, Any], required: tuple[str, ...]) -> None:
    """Refuse unknown keys, and missing ones; with none required, the keys of a match."""
    allowed, prefix = (required, "") if required else (MATCHES, "match.")
    for key in table:
        if key not in allowed:
            raise ValueError(f"unknown key {prefix}{key}; known are {', '.join(allowed)}")
    for key in required:
        if key not in table:
            raise ValueError(f"the key {key} is missing")


# --- values ---------------------------------------------------------------------------------------


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key}={value!r}; it must be text")
    return value


def _issue(key: str, value: Any) -> str:
    if not isinstance(value, str) or not URL.fullmatch(value):
        raise ValueError(f"{key}={value!r}; it must be a link, https://...")
    return value


def _day(key: str, value: Any) -> dt.date:
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        raise TypeError(f"{key}={value!r}; it must be a date without quotation marks: 2027-01-31")
    return value


def _token(key: str, value: Any) -> str:
    try:
        return parse(_text(key, value)).token
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _one_of(*allowed: str) -> Callable[[str, Any], str]:
    def read(key: str, value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"{key}={value!r}; it must be one of {', '.join(allowed)}")
        return str(value)

    return read


READ: Mapping[str, Callable[[str, Any], Any]] = {
    "engine": _text,
    "property": _one_of(*PROPERTIES),
    "outcome": _one_of(*OUTCOMES),
    "reason": _text,
    "issue": _issue,
    "expires": _day,
    "case": _token,
}

MATCHES = (*NAMES, *(f"{end}_{size}" for size in SIZES for end in ("min", "max")), "explanation")


def _require_match(key: str, value: Any) -> None:
    """Hold one key of `match` to its type.

    Raises:
        ValueError: it has another type, or is a name that is none.
    """
    shown = f"match.{key}"
    if key == "explanation":
        if not isinstance(value, str):
            raise ValueError(f"{shown}={value!r}; it must be text")
    elif key in NAMES:
        for name in _listed(shown, value):
            _one_of(*NAMES[key])(shown, name)
    elif key.endswith("weight_scale"):
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ValueError(f"{shown}={value!r}; it must be a number above 0")
    elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{shown}={value!r}; it must be a whole number from 1")


def _listed(key: str, value: Any) -> list[Any]:
    every = value if isinstance(value, list) else [value]
    if not every:
        raise ValueError(f"{key} is empty; it must name at least one")
    return every


def _require_ranges(match: Mapping[str, Any]) -> None:
    for size in SIZES:
        least, most = match.get(f"min_{size}"), match.get(f"max_{size}")
        if least is not None and most is not None and least > most:
            raise ValueError(f"match.min_{size}={least} is above match.max_{size}={most}")


def _meets(case: Case, key: str, value: Any) -> bool:
    """Whether a problem meets one key; what explains its gradient is no matter of the problem."""
    if key == "explanation":
        return True
    if key in NAMES:
        return getattr(case, key) in (value if isinstance(value, list) else [value])
    size = SIZES[key[4:]](case)
    return bool(value <= size if key.startswith("min_") else size <= value)
