"""The page, from `bench.json` alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from gradcheck.bench import backprop, ours
from gradcheck.bench.power import CAUGHT, MISNAMED, MISSED, NAMED
from gradcheck.bench.subject import BATCH
from gradcheck.report.tables import LABELS, markdown
from gradcheck.report.words import MISSING, count, number, seconds, times

SLOW, FAST = "torch slow", "torch fast"
FIGURES = (
    "![Seconds against N](figures/seconds.svg)",
    "![Forward passes against N](figures/passes.svg)",
)

Row = dict[str, Any]
Rows = list[Row]


def render(report: dict[str, Any]) -> str:
    """Write the page in Markdown; the same report gives the same bytes."""
    parts = [
        "# Gradient checkers, side by side",
        _numbered(sentences(report)),
        _what(report),
        "\n\n".join(FIGURES) if report["complete"] else "",
        "\n\n".join(_networks(report)),
        _legend(report),
        _backprop(report),
        "## The checks and their settings",
        _checks(report),
        "## Measured with",
        _machine(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


# --- sentences ------------------------------------------------------------------------------------


def sentences(report: dict[str, Any]) -> list[str]:
    """Say what was found, in sentences that stand alone."""
    found = [
        _layered_and_torch(report),
        _any_function(report),
        _directional(report),
        _largest(report),
        _not_installed(report),
    ]
    return [sentence for sentence in found if sentence]


def _rows_at(report: dict[str, Any], N: int) -> dict[str, Row]:
    """Return the rows of a network by check, for the first number of threads."""
    threads = report["settings"]["threads"][0]
    return {
        row["check"]: row
        for row in report["rows"]
        if row["N"] == N and row["threads"] == threads and row["seconds"]
    }


def _largest_measured(report: dict[str, Any], *names: str) -> dict[str, Row]:
    """Return the rows of the largest network up to 10,000 weights that all of these measured."""
    for N in sorted({row["N"] for row in report["rows"] if row["N"] <= 10_000}, reverse=True):
        rows = _rows_at(report, N)
        if all(name in rows and rows[name]["repeats"] for name in names):
            return rows
    return {}


def _layered_and_torch(report: dict[str, Any]) -> str:
    rows = _largest_measured(report, ours.LAYERED, SLOW)
    if not rows:
        return ""
    mine, theirs = rows[ours.LAYERED], rows[SLOW]
    return (
        f"**Every coordinate, of a network of ours.** At N = {mine['N']:,} "
        f"({_name(mine)}, batch {BATCH}) ours takes {seconds(mine['seconds'])}, torch gradcheck "
        f"slow {seconds(theirs['seconds'])}: ours is "
        f"**{times(theirs['seconds'] / mine['seconds'])} times faster**{_seen(mine, theirs)}."
    )


def _any_function(report: dict[str, Any]) -> str:
    rows = _largest_measured(report, ours.AXES_AT_ONCE, SLOW)
    if not rows:
        return ""
    mine, theirs, plain = rows[ours.AXES_AT_ONCE], rows[SLOW], rows.get(ours.AXES)
    by_point = f", point by point {seconds(plain['seconds'])}" if plain else ""
    before = rows.get(ours.SEARCHED)
    searched = (
        f"; a search for every step would take {number(before['passes'])} passes and "
        f"{seconds(before['seconds'])}"
        if before and before["passes"]
        else ""
    )
    return (
        f"**Every coordinate, of any function.** At N = {mine['N']:,} ours takes "
        f"{seconds(mine['seconds'])} in batches{by_point}, torch slow "
        f"{seconds(theirs['seconds'])}: {number(mine['passes'])} forward passes against "
        f"{number(theirs['passes'])}, for an error bound of each coordinate's own{searched}"
        f"{_seen(mine, theirs)}."
    )


def _seen(mine: Row, theirs: Row) -> str:
    """Say what both see of one wrong derivative, as far as that was sought."""
    told = ""
    if mine["smallest_error"] and theirs["smallest_error"]:
        told = (
            "; the smallest relative error seen in a derivative of median size is "
            f"{number(mine['smallest_error'])} against {number(theirs['smallest_error'])}"
        )
    if mine["found"] and theirs["found"]:
        told += f"; an error of 1 % there is {mine['found']}, by torch it is {theirs['found']}"
    return told


def _directional(report: dict[str, Any]) -> str:
    threads = report["settings"]["threads"][0]
    named = [
        row
        for row in report["rows"]
        if row["check"] == ours.DIRECTIONAL and row["found"] and row["threads"] == threads
    ]
    if not named:
        return ""
    row = named[-1]
    told = f"an error of 1 % in one derivative of median size is {row['found']}"
    fast = _rows_at(report, row["N"]).get(FAST)
    beside = (
        f"; torch fast takes {number(fast['passes'])} passes, and there it is {fast['found']}"
        if fast and fast["found"]
        else ""
    )
    return (
        f"**Random directions, of any function.** At N = {row['N']:,} ours takes "
        f"{number(row['passes'])} forward passes and {seconds(row['seconds'])}; {told}{beside}."
    )


def _largest(report: dict[str, Any]) -> str:
    mine = [row for row in report["rows"] if row["check"] == ours.LAYERED and row["repeats"]]
    if not mine:
        return ""
    N = max(row["N"] for row in mine)
    rows = _rows_at(report, N)
    slow = rows.get(SLOW)
    told = (
        f"; torch slow would take {seconds(slow['seconds'])}, by extrapolation"
        if slow and not slow["repeats"]
        else ""
    )
    certified = rows.get(ours.CERTIFIED)
    also = (
        f", and compares with the exact gradient in {seconds(certified['seconds'])}"
        if certified
        else ""
    )
    return (
        f"**The largest.** At N = {N:,} ours differentiates every coordinate in "
        f"{seconds(rows[ours.LAYERED]['seconds'])}{also}{told}."
    )


def _not_installed(report: dict[str, Any]) -> str:
    names = report["missing"]
    if not names:
        return ""
    return (
        f"**Not installed**, so not measured: {', '.join(names)}: pip install 'gradcheck[peers]'."
    )


# --- tables ---------------------------------------------------------------------------------------


def _networks(report: dict[str, Any]) -> Iterator[str]:
    for N in dict.fromkeys(row["N"] for row in report["rows"]):
        rows = [row for row in report["rows"] if row["N"] == N]
        title = f"## N = {N:,}: {_name(rows[0])}, batch {BATCH}"
        yield f"{title}\n\n{markdown(table(report, rows))}"


def table(report: dict[str, Any], rows: Rows) -> pd.DataFrame:
    """Set out the checks of one network, one line each, the fastest first."""
    by_threads = {n: {r["check"]: r for r in rows if r["threads"] == n} for n in _threads(report)}
    first = by_threads[_threads(report)[0]]
    order = sorted(first.values(), key=lambda row: row["seconds"] or float("inf"))
    return pd.DataFrame([_line(row, by_threads) for row in order])


def _line(row: Row, by_threads: dict[int, dict[str, Row]]) -> dict[str, str]:
    clocks = {
        f"time, {_threads_word(n)}": _marked(seconds, part.get(row["check"]), "seconds")
        for n, part in by_threads.items()
    }
    repeats = [str(part[row["check"]]["repeats"]) for part in by_threads.values()
               if row["check"] in part]  # fmt: skip
    return {
        "check": f"**{row['check']}**" if row["ours"] else row["check"],
        **clocks,
        "runs": " / ".join(repeats),
        "forward passes": _passes(row),
        "right gradient": row["verdict"] or MISSING,
        "one wrong by 1 %": row["found"] or MISSING,
        "smallest error seen": number(row["smallest_error"]),
    }


def _passes(row: Row) -> str:
    if row["check"] == ours.LAYERED and row["passes"]:
        return f"worth {number(row['passes'])}"
    if row["passes"] == 0:
        return "none"
    return _marked(number, row, "passes")


def _marked(write: Any, row: Row | None, quantity: str) -> str:
    if row is None or row[quantity] is None:
        return MISSING
    return ("" if row["repeats"] else "≈ ") + str(write(row[quantity]))


def _threads(report: dict[str, Any]) -> list[int]:
    return list(report["settings"]["threads"])


def _threads_word(n: int) -> str:
    return "one thread" if n == 1 else f"{n} threads"


def _checks(report: dict[str, Any]) -> str:
    return markdown(
        pd.DataFrame(
            {
                "check": check["name"],
                "version": check["version"],
                "is given": check["knows"],
                "settings, and what it passes": check["settings"].replace("|", "\\|"),
            }
            for check in report["checks"]
        ),
        left=4,
    )


def _backprop(report: dict[str, Any]) -> str:
    rows = [backprop.Row.from_json(row) for row in report["backprop"]]
    if not rows:
        return ""
    drawn = "\n\n![The reference beside PyTorch](figures/backprop.svg)"
    return backprop.section(rows) + (drawn if report["complete"] else "")


def _machine(report: dict[str, Any]) -> str:
    facts = {**report["machine"], "blas_threads": ", then ".join(map(str, _threads(report)))}
    return markdown(
        pd.DataFrame(
            {"what": list(LABELS.values()), "measured with": [str(facts[k]) for k in LABELS]}
        ),
        left=2,
    )


# --- text -----------------------------------------------------------------------------------------


def _numbered(lines: list[str]) -> str:
    return "\n".join(f"{place}. {line}" for place, line in enumerate(lines, start=1))


def _name(row: Row) -> str:
    return "-".join(map(str, row["sizes"]))


def _what(report: dict[str, Any]) -> str:
    settings = report["settings"]
    state = "" if report["complete"] else " The run is not complete."
    return (
        f"`{report['command']}`, {seconds(report['seconds'])}.{state} Every check was given the "
        f"same sigmoid network n-h-1 in float64, {count(BATCH, 'example')}, cross-entropy, and "
        "took turns with the others, each at its own defaults. Tools that differentiate have the "
        "network written in their own library, compiled where that is usual; the others, and "
        "ours, call the same numpy network. Times are medians of "
        f"{settings['repeats']} runs after one to warm up; of a check above "
        f"{settings['long']:g} s, of as many as the table says. A check that would take more than "
        f"{settings['longest']:g} s ({settings['longest_again']:g} s for every number of threads "
        "but the first), judged by the sizes before, is not run: `≈` marks what the power law "
        "through a peer's last three sizes gives, where there are three. As a pass takes longer "
        "on a larger network, that is on the low side; ours are not extrapolated."
    )


def _legend(report: dict[str, Any]) -> str:
    notes: dict[str, int] = {}
    for row in report["rows"]:
        if row["note"] and not row["note"].startswith("one check"):
            notes.setdefault(f"{row['check']}: {row['note']}", row["N"])
    lines = [
        "- *forward passes* are counted by wrapping the loss. The layered check makes none; what "
        "it is worth is its operations over those of one pass. The certified check compares with "
        "the exact gradient and makes none.",
        f"- *one wrong by 1 %*: an error of 1 % was planted into the derivative of median size; it "
        f"was {NAMED}, {CAUGHT}, {MISSED}, or {MISNAMED}. Asked where one check takes at most "
        f"{report['settings']['longest_named']:g} s and passes the right gradient.",
        "- *smallest error seen*: the smallest power of 2 that, planted there as a relative error, "
        "is called wrong, so it is known within a factor of 2. Sought where "
        f"one check takes at most {report['settings']['longest_search']:g} s.",
    ]
    return "\n".join([*lines, *(f"- {note}, from N = {N:,}" for note, N in notes.items())])
