"""What speaks for the three answers, what was not decided, and what was not looked at."""

from __future__ import annotations

from typing import Any

from gradcheck.studies.report.accuracy.tables import at_scale_one
from gradcheck.studies.report.million.tables import rows as million_rows
from gradcheck.studies.report.words import MISSING, count, number, seconds, share

Sections = dict[str, Any]


def grounds(report: dict[str, Any]) -> list[str]:
    """Return one paragraph a ground, for the sections that were measured."""
    sections = report["sections"]
    told = [_expected(report["claims"], sections)] if report["claims"] else []
    if "consistency" in sections:
        told.append(_bounds(sections))
    if "accuracy" in sections:
        told += [_exact(sections["accuracy"]), _accused(sections["accuracy"])]
    if "location" in sections or "million" in sections:
        told.append(_planted(sections))
    if "real_data" in sections:
        told.append(_real_data(sections["real_data"]))
    if "cost" in sections:
        told += _foretold(sections["cost"]["timings"].get("foretold"))
    if "consistency" in sections:
        told.append(_undecided(sections))
    return told


def _foretold(forecast: dict[str, Any] | None) -> list[str]:
    """Say how the one forecast of a time came out that a run to the end could test."""
    if not forecast or forecast["low"] is None:
        return []
    is_within = forecast["low"] <= forecast["taken"] <= forecast["high"]
    return [
        f"**Seconds beyond N = {forecast['N']:,} are foretold**, not taken. The largest run to the "
        f"end was foretold as well: it took {seconds(forecast['taken'])}, "
        f"{'within' if is_within else '**outside**'} the interval that was stated for it "
        f"({seconds(forecast['low'])} to {seconds(forecast['high'])})."
    ]


def _expected(claims: list[dict[str, Any]], sections: Sections) -> str:
    """Say what the exit code says: whether all statements hold, and which do not."""
    textbook = sections.get("textbook", {"results": ()})["results"]
    false = [
        f"what was found of {claim['id']}" if claim["id"] in textbook else claim["statement"]
        for claim in claims
        if not claim["holds"]
    ]
    if false:
        return f"**Not as expected**, so that the exit code is 1: {'; '.join(false)}."
    own = len(claims) - len(textbook)
    rulings = ", and all rulings and findings are as expected" if textbook else ""
    return (
        f"**As expected.** All of {count(own, 'statement')} at the end of this page hold{rulings}; "
        "else the exit code would be 1."
    )


def _bounds(sections: Sections) -> str:
    parts = [part["coverage"] for part in sections["consistency"]["measured"]["by_dtype"]]
    held, total = (sum(part[name] for part in parts) for name in ("held", "coordinates"))
    ratios = [part["quantiles"]["worst"] for part in parts if part["quantiles"]]
    worst = number(max(ratios)) if ratios else MISSING
    told = (
        f"**The differences say how far they can be trusted.** Each has an error bound; it held in "
        f"{held:,} of {total:,} derivatives"
    )
    if held == total:
        return f"{told} (worst error: {worst} of its bound).{_orders(sections)}"
    right = sum(part["right_beyond"] for part in parts)
    of_them = "there" if right == total - held else f"in {right:,} of these"
    return (
        f"{told}; in {total - held:,} it was too narrow, by a factor of {worst} at most, and "
        f"{of_them} backpropagation was right.{_orders(sections)}"
    )


def _orders(sections: Sections) -> str:
    """Say whether the errors of differences fall as they should."""
    if "step_size" not in sections:
        return ""
    stencils = sections["step_size"]["measured"]["stencils"]
    orders = ", ".join(str(stencil["order"]) for stencil in stencils)
    found = ", ".join(
        MISSING if law is None else f"{law['exponent']:.2f}"
        for law in (stencil["truncation"] for stencil in stencils)
    )
    shown = all(s["order_shown"] for s in sections["step_size"]["results"]["stencils"])
    verb = "falls" if shown else "**does not fall**"
    return (
        f" Their error {verb} with the step h as h to the powers {orders} that theory gives "
        f"(found: {found})."
    )


def _exact(section: dict[str, Any]) -> str:
    measured, engines = section["measured"], section["results"]["engines"]
    whole = [row["ratio"]["worst"] for row in measured["rows"]
             if row["scale"] == "all" and row["ratio"]]  # fmt: skip
    if not whole:
        return "**Nothing was held against the exact gradient**: no network could be compared."
    total = sum(row["coordinates"] for row in engines)
    seen = " and ".join(
        f"{number(value)} of it in {dtype}" for dtype, _, value, _ in at_scale_one(section)
    )
    power = (
        f" At weight scale 1 an error of a derivative is seen from {seen} on (medians)."
        if seen
        else ""
    )
    if any(row["verdicts"]["FAIL"] for row in engines):
        return f"**Against the exact gradient** {total:,} derivatives were held.{power}"
    return (
        f"**The exact gradient says the same.** It was computed to the last digit, and in none of "
        f"{total:,} derivatives does backpropagation err by more than rounding can: by "
        f"{number(max(whole))} of that at most.{power}"
    )


def _accused(section: dict[str, Any]) -> str:
    results = section["results"]
    right, bugs = results["right_engines"], results["bugs"]
    accused = (
        f"**{right['beyond']:,} of {right['coordinates']:,} derivatives of right engines are "
        "accused**"
        if right["beyond"]
        else f"none of {right['coordinates']:,} derivatives of {right['engines']} right engines "
        "is, in whatever order these add"
    )
    mistaken = (
        f"; of {bugs['failed']:,} gradients that FAIL because of a mistake "
        f"{bugs['called_a_class'] or 'none'} is taken for rounding"
    )
    return f"**Nobody is accused wrongly**: {accused}{mistaken}."


def _planted(sections: Sections) -> str:
    told = []
    if "location" in sections:
        results = sections["location"]["results"]
        one = [row for row in results["rows"] if row["wrong"] == 1]
        most = max(
            passes["most"]
            for row, passes in zip(
                results["rows"], sections["location"]["measured"]["passes"], strict=True
            )
            if row["wrong"] == 1
        )
        right = results["rows"][-1]
        told.append(
            f"One wrong weight among {results['N']:,} is named in "
            f"{sum(row['named'] for row in one)} of {sum(row['runs'] for row in one)} networks, in "
            f"{most:.0f} forward passes at most, and of "
            f"{count(right['runs'], 'right gradient')} {right['failed'] or 'none'} was accused."
        )
    if "million" in sections:
        ways = million_rows(sections["million"])
        named = [way for way in ways if way["wrong"] == 1 and way["holds"]]
        asked = sum(way["named"] is not None for way in ways)
        size = number(sections["million"]["results"]["planted"], 1)
        told.append(
            f"An error of {size} of the median derivative in one of {ways[0]['N']:,} weights is "
            f"named by {len(named)} of the {asked} ways that were put to it."
        )
    return f"**Planted errors are found.** {' '.join(told)}"


def _real_data(section: dict[str, Any]) -> str:
    checks, numbers = section["results"]["checks"], section["measured"]["checks"]
    passed = sum(check["verdict"] == "PASS" for check in checks)
    total = sum(check["coordinates"] for check in checks)
    verified = sum(n.get("informative", 0) for n in numbers)
    small = sum(n.get("small", 0) for n in numbers)
    return (
        f"**On real data** (logistic regression on breast cancer, a network on digits, before and "
        f"after training) {passed} of {len(checks)} gradients PASS: {verified:,} of {total:,} "
        f"derivatives are verified and {small:,} are small."
    )


def _undecided(sections: Sections) -> str:
    results, measured = (sections["consistency"][group] for group in ("results", "measured"))
    parts = " and ".join(
        f"{share(part['inconclusive'], part['coordinates'])} in {part['dtype']}"
        for part in measured["by_dtype"]
    )
    against = ""
    if "accuracy" in sections:
        first = sections["accuracy"]["results"]["engines"][0]
        against = (
            f"; and {first['verdicts']['INCONCLUSIVE']} of "
            f"{count(first['problems'], 'network')} beside the exact gradient"
        )
    return (
        f"**Not decided** were those derivatives for which no step gives a narrow enough error "
        f"bound ({parts}), in {results['verdicts']['INCONCLUSIVE']} of "
        f"{count(results['problems'], 'network')}, while {results['verdicts']['PASS']} PASS"
        f"{against}. **Not looked at** were other networks "
        f"than those of sigmoid neurons, other formats than float64 and float32, and other engines "
        f"than `{results['engine']['name']}` and the two reference models "
        "(`python -m gradcheck report --engine all` compares those that are installed)."
    )
