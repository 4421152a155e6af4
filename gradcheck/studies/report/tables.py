"""Tables of the page, from what `report.json` holds."""

from __future__ import annotations

from typing import Any

import pandas as pd
from tabulate import tabulate

from gradcheck.studies.report.textbook.claim import REFUTED
from gradcheck.studies.report.words import MISSING, number, plus_minus, seconds, share
from gradcheck.studies.report.words import times as ratio

VERDICTS = ("PASS", "FAIL", "INCONCLUSIVE", "UNSUPPORTED")


def markdown(frame: pd.DataFrame, *, left: int = 1) -> str:
    """Set a data frame as a Markdown table, the first `left` columns to the left."""
    align = ("left",) * left + ("right",) * (frame.shape[1] - left)
    return tabulate(
        frame.to_dict("list"),
        headers="keys",
        tablefmt="pipe",
        colalign=align,
        disable_numparse=True,
    )


def claims(report: dict[str, Any]) -> str:
    """Every statement of the report itself, and whether it holds."""
    textbook = report["sections"].get("textbook", {"results": {}})["results"]
    return markdown(
        pd.DataFrame(
            {
                "statement": claim["statement"],
                "holds": "yes" if claim["holds"] else "**NO**",
            }
            for claim in report["claims"]
            if claim["id"] not in textbook
        )
    )


def rulings(section: dict[str, Any]) -> str:
    """Every claim of the textbooks in six words, with its ruling."""
    rows = [
        {
            "": f"[{name}](#{name.lower()})",
            "claim": claim["title"],
            "ruling": _ruling(claim),
        }
        for name, claim in section["results"].items()
    ]
    return markdown(pd.DataFrame(rows), left=3)


def _ruling(claim: dict[str, Any]) -> str:
    word = claim["ruling"]
    expected = "" if word == claim["expected"] else f", expected: {claim['expected']}"
    return (f"**{word}**" if word == REFUTED or expected else word) + expected


def machine(report: dict[str, Any]) -> str:
    """What the report was measured with."""
    facts = report["machine"]
    known = [name for name in LABELS if name in facts]  # older reports know fewer
    return markdown(
        pd.DataFrame(
            {
                "what": [LABELS[name] for name in known],
                "measured with": [str(facts[name]) for name in known],
            }
        ),
        left=2,
    )


LABELS = {
    "date": "date",
    "gradcheck": "gradcheck",
    "python": "Python",
    "numpy": "numpy",
    "blas": "linear algebra",
    "blas_kernel": "its kernel",
    "blas_threads": "its threads",
    "system": "system",
    "processor": "processor",
    "cores": "cores",
    "arithmetic": "digest of the arithmetic",
}


def by_dtype(section: dict[str, Any]) -> str:
    """Consistency, one row a dtype."""
    return markdown(
        pd.DataFrame(
            {
                "dtype": part["dtype"],
                "resolution": number(part["resolution"]),
                "networks": number(part["problems"]),
                **_verdicts(part["verdicts"]),
                "derivatives": number(part["coordinates"]),
                "verified": share(part["informative"], part["coordinates"]),
                "small": share(part["small"], part["coordinates"]),
                "not decided": share(part["inconclusive"], part["coordinates"]),
                "largest deviation / allowance": number(part["worst"] and part["worst"]["ratio"]),
            }
            for part in section["measured"]["by_dtype"]
        )
    )


def seen(section: dict[str, Any]) -> str:
    """The smallest relative error that would have been caught, and the coverage of the bounds."""
    rows = []
    for part in section["measured"]["by_dtype"]:
        caught, coverage = part["seen"] or {}, part["coverage"]
        quantiles = coverage["quantiles"] or {}
        rows.append(
            {
                "dtype": part["dtype"],
                "what would have been seen: smallest": number(caught.get("smallest")),
                "median": number(caught.get("median")),
                "largest": number(caught.get("largest")),
                "bound holds": f"{coverage['held']:,} of {coverage['coordinates']:,}",
                "error / bound: median": number(quantiles.get("median")),
                "99 %": number(quantiles.get("p99")),
                "worst": number(quantiles.get("worst")),
            }
        )
    return markdown(pd.DataFrame(rows))


def strata(section: dict[str, Any]) -> str:
    """Verdicts and kinds of coordinates in every stratum."""
    rows, before = [], ""
    for row in section["measured"]["by_stratum"]:
        total = row["coordinates"]
        rows.append(
            {
                "stratum": "" if row["kind"] == before else f"**{row['kind']}**",
                "value": row["value"].replace("_", " "),
                "networks": number(row["problems"]),
                "PASS": str(row["PASS"]),
                "FAIL": str(row["FAIL"]),
                "INCONCL.": str(row["INCONCLUSIVE"]),
                "derivatives": number(total),
                "verified": share(row["informative"], total),
                "small": share(row["small"], total),
                "not decided": share(row["inconclusive"], total),
            }
        )
        before = row["kind"]
    return markdown(pd.DataFrame(rows), left=2)


def stencils(section: dict[str, Any]) -> str:
    """Fitted slopes, and predicted and measured best steps."""
    return markdown(
        pd.DataFrame(
            {
                "formula": row["stencil"],
                "order p": str(row["order"]),
                "slope, truncation": plus_minus(row["truncation"], row["bend"]),
                "slope, noise": plus_minus(row["noise"]),
                "predicted h*": number(row["predicted_step"]),
                "predicted error": number(row["predicted_error"]),
                "error there": number(row["error_at_predicted_step"]),
                "best h": number(row["best_step"]),
                "error there ": number(row["best_error"]),
            }
            for row in section["measured"]["stencils"]
        )
    )


def passes(section: dict[str, Any]) -> str:
    """Counted passes of every way, one row a network."""
    rows = zip(section["results"]["networks"], section["measured"]["check_passes"], strict=True)
    return markdown(
        pd.DataFrame(
            {
                "N": f"{row['N']:,}",
                "network": "-".join(map(str, row["sizes"])),
                "forward differences": _count(row["forward_difference_passes"]),
                "in batches": _in_batches(row),
                "central": _count(row["central_difference_passes"]),
                "by layers": f"{row['layered_differences']:,} in part, "
                f"the work of {number(row['layered_work'])}",
                "with error bounds": _count(check),
                "backprop": f"{row['backprop_forward_passes']} + {row['backprop_backward_passes']}",
            }
            for row, check in rows
        ),
        left=0,
    )


def _in_batches(row: dict[str, Any]) -> str:
    passes, copies = row["batched_passes"], row["copies"]
    return MISSING if passes is None else f"{passes:,} by {copies}"


def flops(section: dict[str, Any]) -> str:
    """Counted flops of every way, one row a network."""
    return markdown(
        pd.DataFrame(
            {
                "N": f"{row['N']:,}",
                "one loss": number(row["forward_flops"]),
                "forward differences": number(
                    row["forward_difference_passes"]
                    and row["forward_difference_passes"] * row["forward_flops"]
                ),
                "in batches": number(row["batched_flops"]),
                "by layers": number(row["layered_flops"]),
                "backprop": number(row["backprop_flops"]),
                "backprop / loss": f"{_ratio(row):.3f}",
                "(N + 1) / that": ratio((row["N"] + 1) / _ratio(row), 3),
            }
            for row in section["results"]["networks"]
        ),
        left=0,
    )


def _ratio(row: dict[str, Any]) -> float:
    return float(row["backprop_flops"] / row["forward_flops"])


def times(section: dict[str, Any]) -> str:
    """Seconds of every way, one row a network."""
    rows = zip(section["results"]["networks"], section["timings"]["networks"], strict=True)
    return markdown(
        pd.DataFrame(
            {
                "N": f"{row['N']:,}",
                "one loss": _quartiles(time["forward_pass"]),
                "forward differences": duration(time["forward_differences"]),
                "in batches": seconds(time["in_batches"]["seconds"]),
                "by layers": seconds(time["by_layers"]["seconds"]),
                "backprop": _quartiles(time["backprop"]),
                "forward differences / backprop": ratio(
                    time["forward_differences"]["seconds"] / time["backprop"]["median"]
                ),
                "by flops": ratio((row["N"] + 1) / _ratio(row)),
            }
            for row, time in rows
        ),
        left=0,
    )


def ratios(section: dict[str, Any]) -> str:
    """Loss with gradient in units of the loss: by formula, counted and by the clock."""
    rows = zip(section["results"]["ratios"], section["timings"]["ratios"], strict=True)
    return markdown(
        pd.DataFrame(
            {
                "network": _repeated(row["sizes"]),
                "N": f"{row['N']:,}",
                "3 - n_0 n_1 / M": f"{row['formula']:.3f}",
                "matrix flops, counted": f"{row['gemm_ratio']:.3f}",
                "all flops, counted": f"{row['flop_ratio']:.3f}",
                "time (quartiles)": f"{time['ratio']:.2f} "
                f"({time['low']:.2f} to {time['high']:.2f})",
                "off the formula": f"{time['ratio'] / row['formula'] - 1:+.0%}",
                "E_f / T": f"{time['entries_share']:.0%}",
                "with E_f, E_b": f"{time['with_entries']:.2f}",
                "off that": f"{time['ratio'] / time['with_entries'] - 1:+.0%}",
            }
            for row, time in rows
        )
    )


def _repeated(sizes: list[int]) -> str:
    """Write n-n-...-n-k as repeats of n, and k."""
    if len(sizes) < 6:
        return "-".join(map(str, sizes))
    return f"{sizes.count(sizes[0])} x {sizes[0]}, {sizes[-1]}"


def growth(section: dict[str, Any]) -> str:
    """Fitted exponents of N, below the change of regime and above."""
    found = section["timings"]["growth"]
    told = found["change"]
    if told is None:
        names = {"below": "all"}
    else:
        names = {"below": f"up to {ratio(told)}", "above": f"beyond {ratio(told)}"}
    return markdown(
        pd.DataFrame(
            {
                "N": name,
                "networks run to the end": str(found[regime]["points"]),
                "s, measured": plus_minus(found[regime]["exponent"] and found[regime]),
                "s of (N + 1) t(N)": number(found[regime]["model"], 3),
            }
            for regime, name in names.items()
        )
    )


def location(section: dict[str, Any]) -> str:
    """Wrong coordinates that were sought, how many were named, and the passes."""
    results, measured = section["results"], section["measured"]
    rows = [
        {
            "wrong coordinates": row["wrong"] or "none",
            "relative error": number(row["error"]) if row["wrong"] else MISSING,
            "networks": row["runs"],
            "exactly those named": row["named"],
            "FAIL": row["failed"],
            "passes, median": number(passes["median"]),
            "most": number(passes["most"]),
        }
        for row, passes in zip(results["rows"], measured["passes"], strict=True)
    ]
    return markdown(pd.DataFrame(rows))


def location_growth(section: dict[str, Any]) -> str:
    """Passes against the number of weights."""
    sizes, passes = section["results"]["growth"]["N"], section["measured"]["growth"]["passes"]
    frame = pd.DataFrame({"N": [f"{n:,}" for n in sizes], "passes": [number(n) for n in passes]})
    return markdown(frame)


def real_data(section: dict[str, Any]) -> str:
    """The checks on real data."""
    rows = zip(
        section["results"]["checks"],
        section["measured"]["checks"],
        section["timings"]["checks"],
        strict=True,
    )
    return markdown(pd.DataFrame(_real_row(*row) for row in rows), left=2)


def _real_row(
    check: dict[str, Any], measured: dict[str, Any], timing: dict[str, Any]
) -> dict[str, str]:
    worst, caught = measured.get("worst"), measured.get("seen") or {}
    return {
        "data": check["data"],
        "weights": check["state"],
        "network": "-".join(map(str, check["sizes"])),
        "examples": number(check["rows"]),
        "verdict": check["verdict"],
        "verified": _count(measured.get("informative")),
        "small": _count(measured.get("small")),
        "not decided": _count(measured.get("inconclusive")),
        "failed": _count(measured.get("failed")),
        "largest deviation / allowance": f"{number(worst['ratio'])} at {worst['coordinate']}"
        if worst and worst["coordinate"]
        else MISSING,
        "error seen, median": number(caught.get("median")),
        "forward passes": _count(measured.get("forward_passes")),
        "time": seconds(timing["seconds"]),
    }


def training(section: dict[str, Any]) -> str:
    """Loss and accuracy before and after training."""
    rows = zip(section["results"]["studies"], section["measured"]["training"], strict=True)
    return markdown(
        pd.DataFrame(
            {
                "data": study["data"],
                "training": study["training"],
                "loss": f"{trained['loss'][0]:.3f} → {trained['loss'][1]:.3f}",
                "held out": number(study["held_out"]),
                "classified rightly": " → ".join(f"{100 * a:.1f} %" for a in trained["accuracy"]),
            }
            for study, trained in rows
        ),
        left=2,
    )


def _verdicts(counts: dict[str, int]) -> dict[str, str]:
    shown = [name for name in VERDICTS if name != "UNSUPPORTED" or counts[name]]
    return {name: number(counts[name]) for name in shown}


def _count(n: int | None) -> str:
    return MISSING if n is None else f"{n:,}"


def _quartiles(timing: dict[str, float]) -> str:
    median, low, high = (seconds(timing[name], 3) for name in ("median", "low", "high"))
    return f"{median} ({low} to {high})"


def duration(timing: dict[str, Any]) -> str:
    """Write seconds, in italics and with an interval where they are extrapolated."""
    if not timing["extrapolated"]:
        return seconds(timing["seconds"])
    told = seconds(timing["seconds"])
    if timing["low"] is None:
        return f"*{told}*"
    return f"*{told} ({seconds(timing['low'])} to {seconds(timing['high'])})*"
