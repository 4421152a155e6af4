"""The log of a verification, read once into what all outputs are written from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradcheck.outcomes.reasons import Reason
from gradcheck.problems.case import parse, strata_of
from gradcheck.problems.strata import STRATA
from gradcheck.verification.declared import Declared, read_declared
from gradcheck.verification.failures import Failure, gather, on_the_path, read_failure
from gradcheck.verification.findings import (
    COUNTED,
    FAIL,
    KNOWN,
    PASS,
    VERDICTS,
    Record,
    read_finding,
)
from gradcheck.verification.shown import Shown, shown
from gradcheck.verification.tally import Entry, Tally, tally
from gradcheck.verification.words import line, plain

STATES: Mapping[int, tuple[str, str]] = {
    0: ("VERIFIED", "verified, as expected"),
    1: ("WRONG", "a gradient is wrong"),
    2: ("NOT RUN", "the command was used wrongly"),
    3: ("ENGINE UNUSABLE", "the engine is unusable"),
    4: ("NOTHING VERIFIED", "nothing was verified"),
    130: ("INTERRUPTED", "interrupted"),
}
"""What an exit code means: in a word, and in a sentence."""

FIRST = ("agreement", "consistency")


@dataclass(frozen=True)
class Stratum:
    """The problems of one stratum: a kind such as "depth", and its value."""

    kind: str
    value: str
    tally: Tally


@dataclass(frozen=True)
class Property:
    """What was found of one property.

    Attributes:
        name: "agreement", "consistency", or "exact ..." with the name of the test.
        total: over all problems.
        strata: over those of each stratum; a problem is in one stratum of every kind.
        entries: every finding.
    """

    name: str
    total: Tally
    strata: tuple[Stratum, ...]
    entries: tuple[Entry, ...] = field(repr=False)


@dataclass(frozen=True)
class Event:
    """What happened to the engine, such as its death."""

    name: str
    detail: str


@dataclass(frozen=True)
class Summary:
    """A verification, finished or not.

    Attributes:
        gradcheck: this program's version.
        engine: what the engine says of itself: spec, name, version, language, dtypes, ...
        settings: examples, seed, dtypes, shard, properties.
        command: that was run.
        versions: of the interpreter and the libraries.
        problems: how many problems the log holds.
        examples: how many of them are examples, the others being those of the exact tests.
        properties: by property, agreement first.
        failures: every way in which the engine fails, but for those that were declared; as the
            backward path meets them.
        known: the failures that were declared, and what became of them.
        events: what happened to the engine.
        shown: what was measured of it besides.
        missing: the strata (kind, value) without a problem that PASSes or FAILs.
        footed: the log ends with its footer.
        complete: and every problem was examined.
        exit_code: of the run; None without a footer.
        verdict: of the run, in the words of the footer.
        seconds: what it took.
    """

    gradcheck: str
    engine: Mapping[str, str]
    settings: Mapping[str, str]
    command: str
    versions: Mapping[str, str]
    problems: int
    examples: int
    properties: tuple[Property, ...]
    failures: tuple[Failure, ...]
    known: tuple[Declared, ...]
    events: tuple[Event, ...]
    shown: Shown
    missing: tuple[tuple[str, str], ...]
    footed: bool
    complete: bool
    exit_code: int | None
    verdict: str
    seconds: float

    @property
    def engine_name(self) -> str:
        """Name and version."""
        name = self.engine.get("name") or self.engine.get("spec") or "unknown engine"
        return f"{name} {self.engine.get('version', '')}".strip()

    @property
    def verdicts(self) -> tuple[str, ...]:
        """The verdicts that are told: KNOWN where failures were declared."""
        has_known = self.known or any(p.total.verdicts[KNOWN] for p in self.properties)
        return COUNTED if has_known else VERDICTS

    @property
    def state(self) -> str:
        """The verdict in a word or two."""
        if self.exit_code == 1 and not self.failures:
            return "NOT AS EXPECTED"
        if self.exit_code is None or (self.exit_code == 0 and not self.complete):
            return "INCOMPLETE"
        return STATES.get(self.exit_code, ("NOT VERIFIED", ""))[0]

    @property
    def meaning(self) -> str:
        """The exit code in words."""
        if self.exit_code is None:
            return "no exit code, since the run did not end"
        told = STATES.get(self.exit_code, ("", "not one of this program"))[1]
        if self.exit_code == 1 and not self.failures:
            told = "a known failure has healed or expired, or is not as declared"
        elif self.exit_code == 1 and all(f.reason == Reason.LOSS.value for f in self.failures):
            told = "the loss is wrong"
        return f"exit code {self.exit_code}: {told}"

    @property
    def warning(self) -> str:
        """Why the log is incomplete, or ""."""
        if self.complete:
            return ""
        asked = self.settings.get("examples", "")
        whole = f" of {asked}" if asked and self.settings.get("shard", "1, 1") == "1, 1" else ""
        held = f"it holds {self.examples:,}{whole} examples"
        if self.footed:
            return f"INCOMPLETE: the run ended early; {held}."
        return (
            f"INCOMPLETE: the log has no footer, so the run was cut off; {held}. What is missing "
            "was not verified."
        )


def summarise(records: Iterable[Record]) -> Summary:
    """Read the log.

    A problem or failure that is recorded twice, as after a resumption, counts once, as it was
    recorded last. A footer counts only when no problem follows it.

    Args:
        records: the objects of the log, in order.

    Raises:
        KeyError, TypeError, ValueError: a record that this version does not write.
    """
    header: Record = {}
    footer: Record | None = None
    cases: dict[tuple[Any, Any], Record] = {}
    failures: dict[tuple[Any, Any], Failure] = {}
    became: dict[Any, Record] = {}
    events: list[Event] = []
    response: Record = {}
    for record in records:
        match record["kind"]:
            case "header":
                header, footer = header or record, None
            case "case":
                cases[record.get("n"), record["token"]] = record
                footer = None
            case "failure":
                failures[record["property"], record.get("signature")] = read_failure(record)
            case "known":
                became[record["name"]] = record
            case "response":
                response = record
            case "engine":
                events.append(Event(line(record["event"]), plain(record.get("detail") or "")))
            case "footer":
                footer = record
    entries = [entry for record in cases.values() for entry in _entries(record)]
    drawn = [record for record in cases.values() if int(record.get("n") or 0) >= 0]
    sizes = len(cases), len(drawn)
    known = read_declared(header.get("known") or (), became.values())
    declared = line((header.get("engine") or {}).get("arithmetic") or "")
    seen = events, shown((entry.finding for entry in entries), declared, response)
    return _summary(header, footer, sizes, entries, (list(failures.values()), known), seen)


def _summary(
    header: Record,
    footer: Record | None,
    sizes: tuple[int, int],
    entries: Sequence[Entry],
    wrong: tuple[Sequence[Failure], tuple[Declared, ...]],
    seen: tuple[Sequence[Event], Shown],
) -> Summary:
    settings = header.get("settings") or {}
    end = footer or {}
    code = end.get("exit_code")
    return Summary(
        gradcheck=line(header.get("gradcheck") or "of unknown version"),
        engine=_facts(header.get("engine") or {}),
        settings=_facts(settings),
        command=line(header.get("command") or ""),
        versions=_facts(header.get("versions") or {}),
        problems=sizes[0],
        examples=sizes[1],
        properties=_properties(entries, settings.get("properties") or ()),
        failures=on_the_path(gather(wrong[0], entries)),
        known=wrong[1],
        events=tuple(seen[0]),
        shown=seen[1],
        missing=_missing(entries),
        footed=footer is not None,
        complete=bool(end.get("complete")),
        exit_code=None if code is None else int(code),
        verdict=line(end.get("verdict") or ""),
        seconds=float(end.get("seconds") or sum(entry.seconds for entry in entries)),
    )


def _facts(record: Mapping[str, Any]) -> dict[str, str]:
    return {line(name): _told(value) for name, value in record.items()}


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "; ".join(f"{line(name)}: {_told(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_told, value))
    return "" if value is None else line(value)


def _entries(record: Record) -> list[Entry]:
    token = line(record["token"])
    try:
        strata = strata_of(parse(record["token"]))
    except ValueError:  # a problem that no token stands for
        strata = {}
    findings = [read_finding(finding) for finding in record["findings"]]
    part = float(record.get("seconds") or 0) / max(len(findings), 1)
    return [Entry(token, strata, finding, part) for finding in findings]


def _properties(entries: Sequence[Entry], asked: Sequence[Any]) -> tuple[Property, ...]:
    """Group by property; one that was asked for and never examined is there with no problem."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.finding.property, []).append(entry)
    for name in map(line, asked):
        if not any(found.split()[0] == name for found in groups):
            groups[name] = []
    order = sorted(groups, key=lambda name: (name not in FIRST, name))
    return tuple(_property(name, groups[name]) for name in order)


def _property(name: str, entries: Sequence[Entry]) -> Property:
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        for item in entry.strata.items():
            groups.setdefault(item, []).append(entry)
    order = sorted(groups, key=_rank)
    strata = tuple(Stratum(kind, value, tally(groups[kind, value])) for kind, value in order)
    return Property(name, tally(entries), strata, tuple(entries))


def _rank(stratum: tuple[str, str]) -> tuple[int, float, int, str]:
    """Order strata as their table does; weight scales by size."""
    kind, value = stratum
    values = STRATA[kind]
    size = float(value) if kind == "scale" else 0.0
    place = values.index(value) if value in values else len(values)
    return list(STRATA).index(kind), size, place, value


def _missing(entries: Sequence[Entry]) -> tuple[tuple[str, str], ...]:
    decided = [entry for entry in entries if entry.finding.verdict in (PASS, FAIL, KNOWN)]
    seen = {item for entry in decided for item in entry.strata.items()}
    every = [(kind, value) for kind, values in STRATA.items() for value in values]
    return tuple(item for item in every if item not in seen)
