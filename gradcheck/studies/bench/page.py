"""The page, from `bench.json` alone.

    python -m gradcheck.studies.bench.page [DIR]

writes it and its figures again, from the numbers in DIR (default: reports/bench).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from gradcheck.studies.bench import backprop, by_hand, ours
from gradcheck.studies.bench.contender import BLOCKS
from gradcheck.studies.bench.figures import draw
from gradcheck.studies.bench.power import CAUGHT, MISNAMED, MISSED, NAMED
from gradcheck.studies.bench.sentences import sentences, sizes_of
from gradcheck.studies.bench.subject import BATCH
from gradcheck.studies.report.files import write_bytes, write_text
from gradcheck.studies.report.tables import machine, markdown
from gradcheck.studies.report.words import MISSING, count, number, seconds, times

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


# --- tables ---------------------------------------------------------------------------------------


def _networks(report: dict[str, Any]) -> Iterator[str]:
    for N in dict.fromkeys(row["N"] for row in report["rows"]):
        rows = [row for row in report["rows"] if row["N"] == N]
        yield f"## N = {N:,}: {sizes_of(rows[0])}, batch {BATCH}"
        for block in BLOCKS:
            frame = table(report, rows, block)
            if len(frame):
                yield f"**{_capital(block)}**"
                yield markdown(frame)


def table(report: dict[str, Any], rows: Rows, block: str) -> pd.DataFrame:
    """Set out the checks of one network and block, one line each, the fastest first."""
    checks = {check["name"]: check for check in report["checks"] if check["block"] == block}
    by_threads = {n: {r["check"]: r for r in rows if r["threads"] == n} for n in _threads(report)}
    first = [row for row in by_threads[_threads(report)[0]].values() if row["check"] in checks]
    order = sorted(first, key=lambda row: row["seconds"] or float("inf"))
    return pd.DataFrame([_line(row, by_threads, checks[row["check"]]) for row in order])


def _line(row: Row, by_threads: dict[int, dict[str, Row]], check: dict[str, Any]) -> dict[str, str]:
    clocks = {
        f"time, {_threads_word(n)}": marked(seconds, part.get(row["check"]), "seconds")
        for n, part in by_threads.items()
    }
    repeats = [str(part[row["check"]]["repeats"]) for part in by_threads.values()
               if row["check"] in part]  # fmt: skip
    told = cells(row, check)
    return {
        "check": told.pop("check"),
        **clocks,
        "runs": " / ".join(repeats),
        "one wrong by 1 %": row["found"] or MISSING,
        **told,
    }


def cells(row: Row, check: dict[str, Any]) -> dict[str, str]:
    """Write what is told of a check besides its seconds, here and in docs/measured.md."""
    return {
        "check": f"**{row['check']}**" if row["ours"] else row["check"],
        "forward passes": _passes(row),
        "time in forward passes": marked(times, row, "in_passes"),
        "smallest error seen": number(row["smallest_error"]),
        "right gradient accused": _accused(row),
        "bound": check["bound"],
    }


def _passes(row: Row) -> str:
    """Write how many forward passes a check makes, or what its work amounts to."""
    if row["check"] == ours.LAYERED and row["passes"]:
        return f"the work of {number(row['passes'])}"
    if row["check"] in by_hand.BACKPROPS and row["passes"]:
        return f"{number(row['passes'])}, and back"
    if row["passes"] == 0:
        return "none"
    return marked(number if row["repeats"] else times, row, "passes")


def _accused(row: Row) -> str:
    """Say whether a check called a right gradient wrong, and of how many.

    >>> _accused({"tried": 20, "accused": 0, "undecided": 2})
    'no, of 20 (2 undecided)'
    """
    if not row["tried"]:
        return MISSING
    told = f"yes, {row['accused']} of" if row["accused"] else "no, of"
    undecided = f" ({row['undecided']} undecided)" if row["undecided"] else ""
    return f"{told} {row['tried']}{undecided}"


def marked(write: Any, row: Row | None, quantity: str) -> str:
    """Write a quantity of a row, marked where it is extrapolated."""
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
                "sees": check["block"],
                "calls the network in": check["written_in"],
                "bound": check["bound"],
                "settings, and what it passes": check["settings"].replace("|", "\\|"),
            }
            for check in report["checks"]
        ),
        left=6,
    )


def _backprop(report: dict[str, Any]) -> str:
    rows = [backprop.Row.from_json(row) for row in report["backprop"]]
    if not rows:
        return ""
    drawn = "\n\n![The reference beside PyTorch](figures/backprop.svg)"
    return backprop.section(rows) + (drawn if report["complete"] else "")


def _machine(report: dict[str, Any]) -> str:
    threads = ", then ".join(map(str, _threads(report)))
    return machine({"machine": {**report["machine"], "blas_threads": threads}})


# --- text -----------------------------------------------------------------------------------------


def _what(report: dict[str, Any]) -> str:
    settings = report["settings"]
    state = "" if report["complete"] else " The run is not complete."
    return (
        f"`{report['command']}`, {seconds(report['seconds'])}.{state} Every check was given the "
        f"same sigmoid network n-h-1 in float64, {count(BATCH, 'example')}, cross-entropy, and "
        "took turns with the others, each at its own defaults but for what its name says. There "
        "are two blocks: checks that see any function, and checks that have to know what the "
        "network is; times are compared within a block. Tools that differentiate have the network "
        "written in their own library, compiled where that is usual; the others, and ours, call "
        "the same numpy network. The time of one thread is the processor's, which other programs "
        "on the machine do not enter, that of several the clock's on the wall, which "
        f"they do{_unrest(report)}. Times are medians "
        f"of {settings['repeats']} runs after one to warm up, of {settings['often']} of a check "
        f"that takes at most {settings['short']:g} s; of one above {settings['long']:g} s, of as "
        "many as the table says. A check that would take more than "
        f"{settings['longest']:g} s ({settings['longest_again']:g} s for every number of threads "
        "but the first), judged by the sizes before, is not run: `≈` marks its forward passes in "
        "proportion to N, and its time by what a forward pass took on the larger network"
        f"{_model_error(report)}. Ours are not extrapolated."
    )


def _unrest(report: dict[str, Any]) -> str:
    """Say how far the quartiles of a check's times are apart, where they are the farthest."""
    told = [
        f"{times(max(widths))} times apart with {_threads_word(n)}"
        for n in _threads(report)
        if (widths := [r["q75"] / r["q25"] for r in report["rows"]
                       if r["threads"] == n and r["repeats"] > 1])
    ]  # fmt: skip
    return f": the quartiles of a check are up to {' and '.join(told)}" if told else ""


def _model_error(report: dict[str, Any]) -> str:
    """Say by how much that would have been off where it was measured after all."""
    measured: dict[tuple[str, int], Rows] = {}
    every = {check["name"] for check in report["checks"] if not check["ours"]}
    for row in report["rows"]:
        if row["repeats"] and row["check"] in every and row["passes"] and row["passes"] >= row["N"]:
            measured.setdefault((row["check"], row["threads"]), []).append(row)
    ratios = [
        after["in_passes"] / (before["in_passes"] * after["N"] / before["N"])
        for rows in measured.values()
        for before, after in pairwise(rows)
    ]
    if not ratios:
        return ""
    return (
        f" (between sizes that were both measured, {len(ratios)} times, what was taken is "
        f"{times(min(ratios))} to {times(max(ratios))} times what this gives)"
    )


def _legend(report: dict[str, Any]) -> str:
    notes: dict[str, int] = {}
    for row in report["rows"]:
        if row["note"] and not row["note"].startswith("one check"):
            notes.setdefault(f"{row['check']}: {row['note']}", row["N"])
    settings = report["settings"]
    lines = [
        "- *forward passes* are counted by wrapping the loss. The layered checks make none; what "
        "ours is worth is its operations over those of one pass. The certified check compares with "
        "the exact gradient and makes none.",
        "- *time in forward passes*: the time of a check over that of one forward pass of the same "
        "function, in the library that the check calls, measured right after each run; the median. "
        "It is more than the passes where a check works besides, or makes small steps of work.",
        f"- *one wrong by 1 %*: an error of 1 % was planted into the derivative of median size; it "
        f"was {NAMED}, {CAUGHT}, {MISSED}, or {MISNAMED}. Asked where one check takes at most "
        f"{settings['longest_named']:g} s and passes the right gradient.",
        "- *smallest error seen*: the smallest power of 2 that, planted there as a relative error, "
        "is called wrong, so it is known within a factor of 2. Sought where "
        f"one check takes at most {settings['longest_search']:g} s.",
        f"- *right gradient accused*: of up to {settings['right']} networks of the same sizes with "
        "other numbers, as many as a check gets through in "
        f"{settings['longest_right']:g} s, and the one that was timed.",
        "- *bound*: what is stated of the error of the derivatives that the gradient is compared "
        "with: a bound that is certain, one that is estimated, or none.",
    ]
    return "\n".join([*lines, *(f"- {note}, from N = {N:,}" for note, N in notes.items())])


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _numbered(lines: Sequence[str]) -> str:
    return "\n".join(f"{place}. {line}" for place, line in enumerate(lines, start=1))


# --- again ----------------------------------------------------------------------------------------


def write_page(out: Path, report: dict[str, Any]) -> None:
    """Write the page, and the figures of a complete report."""
    write_text(out / "bench.md", render(report))
    if report["complete"]:
        for file, content in draw(report).items():
            write_bytes(out / "figures" / file, content)


if __name__ == "__main__":
    folder = Path(*sys.argv[1:2] or ("reports", "bench"))
    write_page(folder, json.loads((folder / "bench.json").read_text("utf-8")))
