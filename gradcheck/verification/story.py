"""What text, JUnit and Markdown tell in the same words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

from gradcheck.diagnosis.formula import HIDDEN, OUTPUT
from gradcheck.outcomes.reasons import Reason
from gradcheck.patterns.diagnose import UNKNOWN
from gradcheck.problems.case import is_token
from gradcheck.problems.strata import STRATA
from gradcheck.verification.declared import Declared
from gradcheck.verification.failures import Failure, first_of, told_by
from gradcheck.verification.findings import (
    COUNTED,
    FAIL,
    Coordinate,
    Witness,
    is_named_loss,
    loss_of,
)
from gradcheck.verification.summary import Property, Stratum, Summary
from gradcheck.verification.suspects import ELSE, place_of
from gradcheck.verification.tally import Tally, Why
from gradcheck.verification.unnamed import REASONS as SAID
from gradcheck.verification.words import count, exactly, number, place

REASONS = 2
"""How many reasons for a refusal are told."""

CURVES = "response curves of one unit, where they leave their bound"

AT_EVERY_Z = "at every z "
"""What a formula of a whole response curve begins with."""

NAMED = 8
"""More strata that are not covered than this are counted, not named."""

FEW = 4
"""Fewer failing problems than this lie in few strata anyway."""


def oracle_word(name: str) -> str:
    """Say what a property holds the engine's numbers to."""
    return "differences" if name == "consistency" else "exact"


def where(at: Coordinate) -> str:
    """Name a coordinate, and say where it is."""
    told = place(at.name)
    return f"{at.name} ({told})" if told else at.name


def numbers(at: Coordinate, name: str) -> str:
    """Put both values, the allowance and the excess into a clause."""
    bound = f" ± {number(at.bound)}" if at.bound else ""
    told = f"engine {exactly(at.engine)}, {oracle_word(name)} {exactly(at.oracle)}{bound}"
    off = abs(at.engine - at.oracle)
    if not isfinite(off):
        return told
    excess = f" ({number(at.times)} times over)" if not at.times <= 1 else ""
    return f"{told}: off by {number(off)}, allowed {number(at.allowance)}{excess}"


def evidence(witness: Witness) -> str:
    """Say what is wrong in a problem: its worst coordinate, else the finding's sentence."""
    finding = witness.finding
    at = finding.worst
    return f"{where(at)}: {numbers(at, finding.property)}" if at else finding.detail


def title(failure: Failure) -> str:
    """Say in a sentence what is wrong, and on how many problems of which property."""
    common = "/".join(part for part in (failure.property, failure.reason) if part)
    what = failure.signature.removeprefix(common).strip("/")
    what = what or SAID.get(failure.reason, "") or f"{failure.property} fails"
    counts = failure.properties
    told = ", ".join(f"{name} {n:,}" if len(counts) > 1 else name for name, n in counts.items())
    return f"{what}: {count(failure.count, 'problem')} ({told})"


@dataclass(frozen=True)
class Line:
    """One line of a failure's story: its label, and text that may be something to copy."""

    label: str
    text: str
    is_code: bool = False


def told_of(failure: Failure) -> list[Line]:
    """Tell a failure: the worst case, the smallest network, the causes, and how to repeat it."""
    finding = first_of(failure).finding
    lines = _case("worst", failure.worst)
    if failure.smallest:
        lines += _case("smallest", failure.smallest)
        lines.append(Line("", f"found in {count(failure.shrink_checks, 'check')}"))
    lines.append(Line("explained by", finding.explanation))
    if finding.reason != Reason.LOSS.value:
        lines.append(Line("the loss", "; ".join(filter(None, loss_of(finding)))))
    lines += cause_of(failure)
    lines += [Line("note", note) for note in finding.notes[:1]]
    lines.append(Line("replay", failure.replay, is_code=True))
    return [line for line in lines if line.text]


def cause_of(failure: Failure) -> list[Line]:
    """Tell the cause line by line: what is wrong, what is expected, how sure it is, what else.

    Where none is known, tell where to look.
    """
    diagnosis = first_of(failure).finding.diagnosis
    cause = failure.cause
    if cause is None or not cause.is_known:
        lines = likely_cause(diagnosis) if diagnosis and not diagnosis.startswith(UNKNOWN) else []
        if failure.look and cause is None:
            lines = here_alone(lines)
        if failure.look:
            lines.append(Line("wrong in", f"{failure.look}; no cause is known"))
            lines += [Line("", told) for told in diagnosis.split("; ") if told.startswith("then ")]
        return lines or likely_cause(diagnosis)
    texts = [str(cause), f"expected {cause.expected}" if cause.expected else ""]
    texts += how_sure(failure, diagnosis, str(cause))
    if failure.unnamed:
        alone = "itself" if failure.unnamed == 1 else "themselves"
        told = count(failure.unnamed, "problem")
        texts.append(f"and {told} whose cause is not known by {alone}")
    first, *rest = [text for text in texts if text]
    return [Line("likely cause", first), *(Line("", text) for text in rest)]


def here_alone(lines: Sequence[Line]) -> list[Line]:
    """Tell of one network what the other problems of its heading do not bear out."""
    told = [line for line in lines if not line.text.startswith("sure: ")]
    return [replace(line, label="here alone" if line.label else "") for line in told]


def how_sure(failure: Failure, diagnosis: str, cause: str) -> list[str]:
    """Say how sure a cause is: by the smallest network alone, or by all problems that fail."""
    first, *rest = [part for part in diagnosis.split("; ") if not part.startswith("expected ")]
    if first == cause and not (failure.count > 1 and any(p.startswith(ELSE) for p in rest)):
        return rest
    own = [first.partition(": ")[2]] if first != cause else []
    own += [part.removeprefix(ELSE) for part in rest if part.startswith(ELSE)]
    others = " or ".join(told for told in own if told and told != cause.partition(": ")[2])
    told = f"by {count(failure.count - failure.unnamed, 'problem')}"
    told += f"; the smallest alone would also allow: {others}" if others else ""
    return [told, *(part for part in rest if part.startswith("then "))]


def likely_cause(diagnosis: str) -> list[Line]:
    """Tell a diagnosis line by line: what is wrong, what is expected, how sure it is, what else."""
    first, *rest = diagnosis.split("; ")
    return [Line("likely cause", first), *(Line("", text) for text in rest)]


def fix_first(summary: Summary) -> str:
    """Name another loss, else the first mistake on the backward path, with what is expected.

    A pattern, which some mistake makes, is named only where nothing is wrong above it. What one
    problem tells by itself, and the others of its heading do not bear out, is no cause.
    """
    every = summary.failures
    first = [failure for failure in every[:1] if failure.cause or not failure.look]
    others = [
        failure
        for failure in every
        if any(loss_of(first_of(failure).finding)) and is_named_loss(first_of(failure).finding)
    ]
    known = [failure for failure in every if failure.cause and failure.cause.is_known]
    for failure in [*others, *known, *first]:
        witness = first_of(failure)
        cause = failure.cause or told_by(witness)
        if failure in others:
            loss = loss_of(witness.finding)
            return f"on {_network(witness)}, {'; '.join(filter(None, loss))}"
        if cause is not None and cause.expected:
            return f"on {_network(witness)}, {cause}; expected {cause.expected}"
    return ""


def look_first(summary: Summary) -> str:
    """Name the first step on the backward path that is wrong, where no cause is known; or ""."""
    if fix_first(summary):
        return ""
    failure = next((failure for failure in summary.failures if failure.look), None)
    if failure is None:
        return ""
    told = f"{failure.look}; everything above it is right"
    told += f"; {curve}" if (curve := curve_of(summary, failure)) else ""
    has_layer = re.search(r"_[0-9]", failure.look) is not None
    return f"on {_network(first_of(failure))}, {told}" if has_layer else told


def curves(summary: Summary, most: int = 100) -> list[str]:
    """Say where the response curves of an engine that fails leave their bound, formulas first."""
    if not summary.failures:
        return []
    told = sorted(summary.shown.intervals, key=lambda text: not text.startswith(AT_EVERY_Z))
    rest = len(told) - most
    return told if rest <= 0 else [*told[:most], f"... and {rest:,} more"]


def curve_of(summary: Summary, failure: Failure) -> str:
    """Return what the response curves say of the step where to look for a failure, or ""."""
    place = place_of(first_of(failure).token, failure.look)
    curve = {OUTPUT: "delta_L", HIDDEN: "sigmoid'(z_l)"}.get(place, "")
    told = (c for c in curves(summary) if c.removeprefix(AT_EVERY_Z).startswith(curve))
    return next(told, "") if curve else ""


def leads(summary: Summary) -> list[Line]:
    """Say what to do first: mend a mistake, or look at a step."""
    lines = [Line("fix first", fix_first(summary)), Line("look first", look_first(summary))]
    return [line for line in lines if line.text]


def _network(witness: Witness) -> str:
    return witness.token.split(":")[1] if is_token(witness.token) else "the case"


def heading(entry: Declared) -> str:
    """Say what was declared."""
    return f"{entry.name} ({entry.property}, {entry.outcome})"


def told_of_known(entry: Declared) -> list[Line]:
    """Tell a known failure: what became of it, why it is there, and its pinned case."""
    lines = [Line(entry.state, entry.told), Line("reason", entry.reason)]
    lines.append(Line("issue", f"{entry.issue}, until {entry.expires}"))
    if entry.worst:
        lines += _case("worst", entry.worst)
    if entry.pinned:
        lines += _case("pinned", entry.pinned)
    lines.append(Line("replay", entry.replay, is_code=True))
    return [line for line in lines if line.text]


def _case(label: str, witness: Witness) -> list[Line]:
    at, name = witness.finding.worst, witness.finding.property
    told = [where(at), numbers(at, name)] if at else [witness.finding.detail or "no detail given"]
    first, *rest = told
    lines = [Line(label, first), *(Line("", text) for text in rest)]
    return [*lines, Line("", witness.token, is_code=True)]


def verdicts(tally: Tally) -> str:
    """Count the verdicts that occur."""
    return ", ".join(f"{tally.verdicts[v]:,} {v}" for v in COUNTED if tally.verdicts[v]) or "none"


def coordinates(tally: Tally) -> str:
    """Count the coordinates by kind."""
    told = [f"{n:,} {kind.replace('_', ' ')}" for kind, n in tally.coordinates.items() if n]
    return ", ".join(told) or "none"


def covered(summary: Summary) -> str:
    """Say in how many of the strata a problem was decided, and in which none was."""
    every = sum(map(len, STRATA.values()))
    told = f"{every - len(summary.missing)} of {every}"
    missing: dict[str, list[str]] = {}
    for kind, value in summary.missing:
        missing.setdefault(kind, []).append(value)
    if not missing:
        return told
    if len(summary.missing) <= NAMED:
        kinds = [f"{kind} {', '.join(values)}" for kind, values in missing.items()]
        return f"{told}; not covered: {'; '.join(kinds)}"
    kinds = [f"{kind} {len(values)} of {len(STRATA[kind])}" for kind, values in missing.items()]
    return f"{told}; not covered: {', '.join(kinds)}"


def reasons(every: Sequence[Why], most: int) -> list[str]:
    """Say why problems were not decided, the most frequent reason first."""
    told = [f"{why.reason} ({why.count:,})" for why in every[:most]]
    rest = sum(why.count for why in every[most:])
    return [*told, f"other reasons ({rest:,})"] if rest else told


def unsupported(summary: Summary) -> dict[str, list[str]]:
    """Return what the engine refused, with why, and the properties that it concerns."""
    groups: dict[str, list[str]] = {}
    for p in summary.properties:
        if p.total.unsupported:
            told = "; ".join(reasons(p.total.unsupported, REASONS))
            groups.setdefault(told, []).append(p.name)
    return groups


def concentrated(p: Property) -> str:
    """Name the strata that hold all the failing problems, of the kinds where these are few."""
    if p.total.verdicts[FAIL] < FEW:
        return ""
    kinds: dict[str, list[Stratum]] = {}
    for stratum in p.strata:
        kinds.setdefault(stratum.kind, []).append(stratum)
    told = []
    for kind, strata in kinds.items():
        failing = [s.value for s in strata if s.tally.verdicts[FAIL]]
        if len(failing) <= len(strata) / 2:
            told.append(f"{kind} {', '.join(failing)}")
    return "; ".join(told)


def passes(summary: Summary) -> str:
    """Say what the run cost, time apart."""
    forward = sum(p.total.forward_passes for p in summary.properties)
    backward = sum(p.total.backward_passes for p in summary.properties)
    return f"{forward:,} forward and {backward:,} backward passes"


def conclusion(summary: Summary) -> str:
    """Say the verdict and the exit code in words."""
    verdict = f"{summary.verdict.rstrip('.')}; " if summary.verdict else ""
    return f"{summary.state}: {verdict}{summary.meaning}"
