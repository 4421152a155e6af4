"""JUnit XML: one test case for every property and stratum.

How verdicts are told to CI, whose tests only pass, fail, err or are skipped:

    any problem of the stratum FAILs     failure, with the story of the worst
    gradcheck itself failed on any       error, with what it raised
    none FAILs, some are KNOWN           skipped, with the entries that declare them
    none of these, some PASS             passed; INCONCLUSIVE and UNSUPPORTED ones in system-out
    none FAILs, none PASSes              skipped, with why: nothing was verified there

A first suite, "verification", has the run itself: its log is complete, the engine stayed usable,
and the verdict is as expected, so that the file is red whenever the exit code is not 0.

A suite "known failures" has the entries of the file that declares them: skipped where they are as
declared, failing where not.

A problem lies in one stratum of every kind, so a failing one shows in several test cases. Its
time is shared out equally among them: the times add up. Names are the same in every run.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from gradcheck.outcomes.reasons import Reason
from gradcheck.verification.declared import Declared
from gradcheck.verification.failures import Failure
from gradcheck.verification.findings import FAIL, KNOWN, PASS, Witness
from gradcheck.verification.story import (
    conclusion,
    coordinates,
    covered,
    curves,
    evidence,
    heading,
    leads,
    reasons,
    title,
    told_of,
    told_of_known,
    verdicts,
)
from gradcheck.verification.summary import Property, Summary
from gradcheck.verification.tally import Tally, tally, worst_of
from gradcheck.verification.words import count, number

IN_FULL = 5
LISTED = 20
REASONS = 3


def render(summary: Summary) -> str:
    """Write a verification as JUnit XML, to be saved as UTF-8."""
    suites = [_run(summary), *[_known(summary)] * bool(summary.known)]
    suites += [_property(summary, p) for p in summary.properties]
    root = ET.Element("testsuites", name=f"gradcheck verify {summary.engine_name}")
    if not summary.complete:
        root.set("name", f"{root.get('name')} (INCOMPLETE)")
    for total in ("tests", "failures", "errors"):
        root.set(total, str(sum(int(suite.get(total, 0)) for suite in suites)))
    root.set("time", f"{summary.seconds:.3f}")
    root.extend(suites)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _run(summary: Summary) -> ET.Element:
    """Return the suite about the run itself."""
    family = _family(summary, "verification")
    complete = _case(family, "the log is complete")
    if summary.warning:
        _add(complete, "error", "incomplete", summary.warning, summary.warning)
    usable = _case(family, "the engine stayed usable")
    events = "\n".join(f"{event.name}: {event.detail}" for event in summary.events)
    if summary.exit_code == 3 or any(event.name == "unusable" for event in summary.events):
        _add(usable, "error", "unusable", "the engine became unusable", events)
    elif events:
        ET.SubElement(usable, "system-out").text = events
    verdict = _verdict(_case(family, "the verdict is as expected"), summary)
    suite = _suite("verification", [complete, usable, verdict])
    suite.insert(0, _properties(summary))
    return suite


def _verdict(case: ET.Element, summary: Summary) -> ET.Element:
    """Write the verdict, what to do first, and what was measured besides."""
    end, measured = conclusion(summary), [*summary.shown.lines(), *curves(summary)]
    if summary.exit_code != 0:
        kind = "failure" if summary.exit_code == 1 else "error"
        told = [f"{line.label}: {line.text}" for line in leads(summary)]
        _add(case, kind, "verdict", end, "\n".join([*told, end]))
    else:
        measured.insert(0, end)
    if measured:
        ET.SubElement(case, "system-out").text = "\n".join(measured)
    return case


def _properties(summary: Summary) -> ET.Element:
    facts = {"gradcheck": summary.gradcheck, "command": summary.command}
    facts |= {f"engine.{name}": value for name, value in summary.engine.items()}
    facts |= {f"settings.{name}": value for name, value in summary.settings.items()}
    facts |= {f"version.{name}": value for name, value in summary.versions.items()}
    facts["strata covered"] = covered(summary)
    element = ET.Element("properties")
    for name, value in facts.items():
        if value:
            ET.SubElement(element, "property", name=name, value=value)
    return element


def _known(summary: Summary) -> ET.Element:
    """Return the suite of the declared failures."""
    family = _family(summary, "known failures")
    cases = []
    for entry in summary.known:
        cases.append(_case(family, entry.name))
        lines = "\n".join(f"{line.label:<12}  {line.text}" for line in told_of_known(entry))
        if entry.is_unexpected:
            _add(cases[-1], "failure", entry.state, f"{entry.name}: {entry.told}", lines)
        else:
            _add(cases[-1], "skipped", "", f"{entry.state}: {heading(entry)}; {entry.told}", "")
            ET.SubElement(cases[-1], "system-out").text = lines
    return _suite("known failures", cases)


def _property(summary: Summary, p: Property) -> ET.Element:
    family = _family(summary, p.name)
    failures = [failure for failure in summary.failures if p.name in failure.properties]
    kinds = len({stratum.kind for stratum in p.strata})
    groups = [(f"{s.kind} {s.value}", s.tally, s.tally.seconds / kinds) for s in p.strata]
    outside = [entry for entry in p.entries if not entry.strata]
    if outside or not groups:
        rest = tally(outside)
        groups.append(("problems outside the strata", rest, rest.seconds))
    cases = []
    for name, total, seconds in groups:
        cases.append(_case(family, name, seconds))
        _judge(cases[-1], total, failures, summary.known)
    return _suite(p.name, cases)


def _judge(
    case: ET.Element, total: Tally, failures: Iterable[Failure], known: Iterable[Declared]
) -> None:
    counted = f"{count(total.problems, 'problem')}: {verdicts(total)}"
    if total.verdicts[FAIL]:
        worst = worst_of(total.failed) or total.failed[0]
        message = f"{total.verdicts[FAIL]:,} of {counted}; {evidence(worst)}"
        _add(case, "failure", worst.finding.reason, message, _story(total, failures))
    elif own := [why for why in total.inconclusive if why.reason == Reason.INTERNAL.value]:
        _add(case, "error", own[0].reason, f"{counted}; {own[0].token}: {own[0].detail}", "")
    elif total.verdicts[KNOWN]:
        why = {entry.name: f": {entry.reason} ({entry.issue})" for entry in known}
        names = [found.reason for found in total.known[:REASONS]]
        told = "; ".join(name + why.get(name, "") for name in names)
        _add(case, "skipped", "", f"known failures, {counted}; {told}", "")
    elif not total.verdicts[PASS]:
        whys = [*total.inconclusive, *total.unsupported]
        told = "; ".join(reasons(whys, REASONS)) or "no problem was examined"
        _add(case, "skipped", "", f"nothing verified: {told}", "")
    ET.SubElement(case, "system-out").text = "\n".join([counted, *_counted(total)])


def _story(total: Tally, failures: Iterable[Failure]) -> str:
    """Tell the ways in which problems of the stratum fail, and list those problems."""
    here = {witness.finding.reason for witness in total.failed}
    lines = []
    for failure in [failure for failure in failures if failure.reason in here][:IN_FULL]:
        lines.append(f"{title(failure)} in all")
        lines += [f"  {line.label:<12}  {line.text}" for line in told_of(failure)]
    lines.append("failing here:")
    lines += [_listed(witness) for witness in total.failed[:LISTED]]
    if len(total.failed) > LISTED:
        lines.append(f"  ... and {len(total.failed) - LISTED:,} more")
    return "\n".join(lines)


def _listed(witness: Witness) -> str:
    return f"  {witness.token}  {evidence(witness)}"


def _counted(total: Tally) -> list[str]:
    lines = [f"coordinates: {coordinates(total)}"]
    if total.seen:
        middle, largest = map(number, total.seen)
        lines.append(f"would have seen a relative error above {middle} (median), {largest} (worst)")
    kinds = (("known", total.known), ("inconclusive", total.inconclusive))
    for name, whys in (*kinds, ("unsupported", total.unsupported)):
        lines += [f"{name}: {reason}" for reason in reasons(whys, REASONS)]
    return lines


# --- elements -------------------------------------------------------------------------------------


def _family(summary: Summary, suite: str) -> str:
    """Return the class name, whose dots CI servers take for levels."""
    name = summary.engine.get("name") or summary.engine.get("spec") or "unknown engine"
    return f"gradcheck.{name.replace('.', '_')}.{suite.replace('.', '_')}"


def _case(family: str, name: str, seconds: float = 0.0) -> ET.Element:
    return ET.Element("testcase", classname=family, name=name, time=f"{seconds:.3f}")


def _suite(name: str, cases: list[ET.Element]) -> ET.Element:
    def holding(tag: str) -> str:
        return str(sum(case.find(tag) is not None for case in cases))

    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=holding("failure"),
        errors=holding("error"),
        skipped=holding("skipped"),
        time=f"{sum(float(case.get('time', 0)) for case in cases):.3f}",
    )
    suite.extend(cases)
    return suite


def _add(case: ET.Element, tag: str, kind: str, message: str, text: str) -> None:
    element = ET.SubElement(case, tag, message=message)
    if kind:
        element.set("type", kind)
    element.text = text or None
