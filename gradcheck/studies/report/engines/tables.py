"""Tables of the page, from what `report.json` holds."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pandas as pd

from gradcheck.studies.report.engines.measure import MEASURED
from gradcheck.studies.report.engines.neuron import LOGITS, SHOWN, TARGETS
from gradcheck.studies.report.tables import markdown
from gradcheck.studies.report.words import MISSING, number, seconds
from gradcheck.studies.report.words import times as ratio

Numbers = dict[str, Any]
WORDS = {"NaN": nan, "Infinity": inf}
VERDICTS = ("PASS", "FAIL", "INCONCLUSIVE")


def compared(report: Numbers) -> list[Numbers]:
    """Return the engines that anything was measured of."""
    return [engine for engine in report["engines"] if "agreement" in engine]


def missing(report: Numbers) -> list[Numbers]:
    """Return the engines that nothing was measured of."""
    return [engine for engine in report["engines"] if "agreement" not in engine]


def stopped(report: Numbers) -> list[Numbers]:
    """Return the engines that were lost on the way, for good or for one network."""
    return [e for e in compared(report) if e["state"] != MEASURED or e["lost"]]


def agreement(report: Numbers) -> str:
    """Agreement and consistency: verdicts, the worst error, and what explains it."""
    return markdown(
        pd.DataFrame(
            {
                "engine": f"`{name(engine)}`",
                "version": engine["version"],
                **_verdicts(engine["agreement"], ""),
                "worst error / bound": _worst(engine["agreement"]),
                "explained as": _explained(engine["agreement"]["explanations"]),
                **_verdicts(engine["consistency"], " "),
                "worst deviation / allowance": _worst(engine["consistency"]),
            }
            for engine in compared(report)
        ),
        left=2,
    )


def cost(report: Numbers) -> str:
    """Rounding in ulps, and what the gradient costs."""
    return markdown(
        pd.DataFrame(
            {
                "engine": f"`{name(engine)}`",
                "language": engine["language"],
                "class": engine["arithmetic"].replace("_", " ") or MISSING,
                "derivatives": number((engine["ulps"] or {}).get("coordinates")),
                "ulps, median": _ulps(engine, "median"),
                "99 %": _ulps(engine, "p99"),
                **_times(engine["timings"]),
            }
            for engine in compared(report)
        ),
        left=3,
    )


def saturation(report: Numbers, dtype: str, target: int) -> str:
    """Relative errors at the logits of the table: a row for every engine that is wrong somewhere.

    The others share one row, which holds the largest error of any of them.
    """
    curves = [
        (engine, one)
        for engine in compared(report)
        for one in engine["saturation"]
        if (one["dtype"], one["target"]) == (dtype, target)
    ]
    rows = [_points(f"`{name(e)}`", one) for e, one in curves if is_wrong(e)]
    right = [one for e, one in curves if not is_wrong(e)]
    if right:
        worst = {z: max((error_at(one, z) for one in right), default=nan) for z in SHOWN}
        title = "the others, worst"
        rows.append({"z": title} | {f"{z:+d}": _error(worst[z], wrong=False) for z in SHOWN})
    return markdown(pd.DataFrame(rows)) if rows else "No engine was measured here."


def panels(report: Numbers) -> list[tuple[str, int]]:
    """Return dtype and target of every table that an engine is in."""
    found = {
        (one["dtype"], one["target"]) for engine in compared(report) for one in engine["saturation"]
    }
    every = [(dtype, target) for dtype in ("float64", "float32") for target in TARGETS]
    return [panel for panel in every if panel in found]


def places(report: Numbers) -> str:
    """Say where every cell's worst case is, and how to see it again."""
    rows = [
        {
            "engine": f"`{name(engine)}`",
            "what": what,
            "worst": value,
            "case": f"`{place['token']}`",
            "again": f"`{place['replay']}`",
        }
        for engine in compared(report)
        for what, value, place in _worst_of_all(engine)
    ]
    return markdown(pd.DataFrame(rows), left=5) if rows else ""


def name(engine: Numbers) -> str:
    """Return how an engine is called here: a program by its own name."""
    spec = str(engine["spec"])
    return str(engine.get("name", spec)) if spec.startswith("cmd:") else spec


def is_wrong(engine: Numbers) -> bool:
    """Whether the saturated neuron is beyond the bound at any logit."""
    return any(one["wrong"] for one in engine["saturation"])


def error_at(curve: Numbers, z: int) -> float:
    """Return the relative error of a curve at a logit."""
    return value_of(curve["errors"][LOGITS.index(z)])


def value_of(told: float | str) -> float:
    """Read a number that may be told in words."""
    return WORDS[told] if isinstance(told, str) else told


def _worst_of_all(engine: Numbers) -> list[tuple[str, str, Numbers]]:
    found = []
    for what in ("agreement", "consistency"):
        place = engine[what]["worst"]
        if place:
            at = f" at {place['coordinate']}" if place["coordinate"] else ""
            found.append((what, _times_over(place) + at, place))
    if engine["ulps"]:
        place = engine["ulps"]["at"]
        found.append(("ulps", _large(value_of(place["value"])), place))
    place = engine["saturated_worst"]
    if place:
        where = f"z = {place['z']}, target {place['target']}, {place['dtype']}"
        first = "wrong from " if place["wrong"] else "right; largest at "
        found.append(("saturation", f"{first}{where}: {_error(value_of(place['value']))}", place))
    if engine["timings"]:
        place = engine["timings"]
        found.append(("gradient / loss", ratio(place["ratio"]), place))
    return found


def _verdicts(counts: Numbers, pad: str) -> dict[str, str]:
    short = {"PASS": "PASS", "FAIL": "FAIL", "INCONCLUSIVE": "INC."}
    fail = counts["verdicts"]["FAIL"]
    told = {verdict: number(counts["verdicts"][verdict]) for verdict in VERDICTS}
    told["FAIL"] = f"**{fail}**" if fail else "0"
    return {short[verdict] + pad: told[verdict] for verdict in VERDICTS}


def _worst(counts: Numbers) -> str:
    place = counts["worst"]
    return MISSING if place is None else _times_over(place)


def _times_over(place: Numbers) -> str:
    if place["value"] in WORDS:
        return {"nonfinite": "not finite"}.get(place["reason"], place["reason"] or "unbounded")
    return _large(place["value"])


def _explained(labels: dict[str, int]) -> str:
    told = [f"{label or '**nothing**'} {n}" for label, n in labels.items()]
    return ", ".join(told) or MISSING


def _ulps(engine: Numbers, quantile: str) -> str:
    return _large(value_of(engine["ulps"][quantile])) if engine["ulps"] else MISSING


def _times(timing: Numbers | None) -> dict[str, str]:
    if timing is None:
        return {"loss": MISSING, "gradient": MISSING, "gradient / loss": MISSING}
    spread = f"[{ratio(timing['low'])}, {ratio(timing['high'])}]"
    return {
        "loss": seconds(timing["loss"]),
        "gradient": seconds(timing["gradient"]),
        "gradient / loss": f"{ratio(timing['ratio'])} {spread}",
    }


def _points(title: str, curve: Numbers) -> dict[str, str]:
    cells = {f"{z:+d}": _error(error_at(curve, z), wrong=z in curve["wrong"]) for z in SHOWN}
    return {"z": title} | cells


def _error(value: float, *, wrong: bool = False) -> str:
    text = "NaN" if value != value else "inf" if value == inf else number(value, 1)  # noqa: PLR0124 - NaN
    return f"**{text}**" if wrong else text


def _large(value: float) -> str:
    return "∞" if value == inf else number(value)
