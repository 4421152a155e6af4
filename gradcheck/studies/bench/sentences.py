"""What was found, in sentences, from `bench.json` alone.

Every ratio is one of two times of the same run, on the same network, within one block.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gradcheck.studies.bench import by_hand, ours
from gradcheck.studies.bench.subject import BATCH
from gradcheck.studies.report.words import number, seconds, times

SLOW, STRICT, FAST = "torch slow", "torch slow, atol 1e-9", "torch fast"

LARGE = 10_000
"""Weights up to which all is compared."""

SEEN = (
    "*Sees r*: calls wrong a derivative of median size that is off by r of itself, and none that "
    "is off by half as much."
)

Row = dict[str, Any]


def sentences(report: dict[str, Any]) -> list[str]:
    """Say what was found, in sentences that stand alone."""
    found = [
        SEEN if any(row["smallest_error"] for row in report["rows"]) else "",
        _any_function(report),
        _directional(report),
        _known(report),
        _layered(report),
        _largest(report),
        _accusers(report),
        _not_installed(report),
    ]
    return [sentence for sentence in found if sentence]


def rows_at(report: dict[str, Any], N: int) -> dict[str, Row]:
    """Return the rows of a network by check, for the first number of threads."""
    return {row["check"]: row for row in _first(report) if row["N"] == N and row["seconds"]}


def largest_measured(report: dict[str, Any], *names: str) -> dict[str, Row]:
    """Return the rows of the largest network up to LARGE weights that all of these measured."""
    for N in sorted({row["N"] for row in report["rows"] if row["N"] <= LARGE}, reverse=True):
        rows = rows_at(report, N)
        if all(name in rows and rows[name]["repeats"] for name in names):
            return rows
    return {}


def sizes_of(row: Row) -> str:
    """Write the layer sizes of a row's network.

    >>> sizes_of({"sizes": [97, 100, 1]})
    '97-100-1'
    """
    return "-".join(map(str, row["sizes"]))


def _first(report: dict[str, Any]) -> list[Row]:
    threads = report["settings"]["threads"][0]
    return [row for row in report["rows"] if row["threads"] == threads]


def _any_function(report: dict[str, Any]) -> str:
    rows = largest_measured(report, ours.AXES_AT_ONCE, SLOW)
    if not rows:
        return ""
    mine, theirs = rows[ours.AXES_AT_ONCE], rows[SLOW]
    strict, plain, before = (rows.get(name) for name in (STRICT, ours.AXES, ours.SEARCHED))
    tight = f", with atol=1e-9 and rtol=0 {_told(strict)}" if strict else ""
    by_point = f", point by point {_told(plain)}" if plain else ""
    searched = (
        f"; a search for every step would take {number(before['passes'])} passes and "
        f"{seconds(before['seconds'])}"
        if before and before["passes"]
        else ""
    )
    return (
        f"**Every coordinate, of any function.** At N = {mine['N']:,} ({sizes_of(mine)}, batch "
        f"{BATCH}) torch slow takes {_told(theirs)}{tight}, without a bound. Ours takes, in "
        f"batches, {_told(mine)}{by_point}, and estimates a bound for each coordinate: "
        f"{number(mine['passes'])} forward passes against {number(theirs['passes'])}{searched}."
    )


def _told(row: Row) -> str:
    """Write the time of a check, in seconds and in passes, and what it sees, if that was sought."""
    sees = f"; sees {number(row['smallest_error'])}" if row["smallest_error"] else ""
    return f"{seconds(row['seconds'])} (the time of {times(row['in_passes'])} passes{sees})"


def _directional(report: dict[str, Any]) -> str:
    named = [row for row in _first(report) if row["check"] == ours.DIRECTIONAL and row["found"]]
    if not named:
        return ""
    row = named[-1]
    told = f"an error of 1 % in one derivative of median size is {row['found']}"
    fast = rows_at(report, row["N"]).get(FAST)
    beside = (
        f"; torch fast takes {number(fast['passes'])} passes, and there it is {fast['found']}"
        if fast and fast["found"]
        else ""
    )
    return (
        f"**Random directions, of any function.** At N = {row['N']:,} ours takes "
        f"{number(row['passes'])} forward passes, {_told(row)}; {told}{beside}."
    )


def _known(report: dict[str, Any]) -> str:
    rows = largest_measured(report, ours.LAYERED, by_hand.BACKPROP)
    if not rows:
        return ""
    mine, second = rows[ours.LAYERED], rows[by_hand.BACKPROP]
    close, hand, exact = (
        rows.get(name) for name in (by_hand.BACKPROP_CLOSE, by_hand.LAYERED, ours.CERTIFIED)
    )
    tight = f", to 12 digits {_told(close)}" if close else ""
    beside = (
        f", {times(mine['seconds'] / hand['seconds'])} times what the same takes by hand in "
        f"PyTorch, {_told(hand)}"
        if hand
        else ""
    )
    also = f"; the exact gradient takes {_told(exact)}" if exact else ""
    return (
        f"**The network is known.** At N = {mine['N']:,} a second library's backprop takes "
        f"{_told(second)}{tight}, without a bound, and blind to what both libraries have wrong. "
        f"Our layered differences take {_told(mine)}{beside}{also}. Both bounds of ours are "
        "certain."
    )


def _layered(report: dict[str, Any]) -> str:
    """Put the operations of the layered differences beside their time."""
    rows = [row for row in _first(report) if row["check"] == ours.LAYERED and row["repeats"]]
    if not rows:
        return ""
    work = _range(number(row["passes"]) for row in sorted(rows, key=lambda r: r["passes"]))
    clock = _range(times(row["in_passes"]) for row in sorted(rows, key=lambda r: r["in_passes"]))
    return (
        f"**Work and time.** The layered differences do the work of {work} forward passes, by "
        f"their operations, and take the time of {clock}."
    )


def _range(ascending: Iterable[str]) -> str:
    found = list(ascending)
    return found[0] if found[0] == found[-1] else f"{found[0]} to {found[-1]}"


def _largest(report: dict[str, Any]) -> str:
    mine = [row for row in _first(report) if row["check"] == ours.LAYERED and row["repeats"]]
    if not mine:
        return ""
    N = max(row["N"] for row in mine)
    rows = rows_at(report, N)
    parts = [
        f"{name} {'' if rows[check]['repeats'] else '≈ '}{seconds(rows[check]['seconds'])}"
        for check, name in (
            (by_hand.BACKPROP, "a second backprop"),
            (ours.LAYERED, "layered differences"),
            (by_hand.LAYERED, "the same by hand"),
            (ours.CERTIFIED, "the exact gradient"),
            (ours.DIRECTIONAL, "random directions"),
            (SLOW, "torch slow"),
        )
        if check in rows
    ]
    return f"**The largest.** At N = {N:,}: {', '.join(parts)}."


def _accusers(report: dict[str, Any]) -> str:
    rows = [row for row in _first(report) if row["tried"]]
    if not rows:
        return ""
    accused: dict[str, list[str]] = {}
    for row in rows:
        if row["accused"]:
            count = f"{row['accused']} of {row['tried']} at N = {row['N']:,}"
            accused.setdefault(row["check"], []).append(count)
    told = [f"{check} ({', '.join(counts)})" for check, counts in accused.items()]
    most = max(row["tried"] for row in rows)
    who = f"called wrong by {', '.join(told)}" if told else "called wrong by nobody"
    return f"**Right gradients**, up to {most} put to each check at each size, are {who}."


def _not_installed(report: dict[str, Any]) -> str:
    names = report["missing"]
    if not names:
        return ""
    return (
        f"**Not installed**, so not measured: {', '.join(names)}: pip install 'gradcheck[peers]'."
    )
