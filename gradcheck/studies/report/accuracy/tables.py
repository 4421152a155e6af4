"""Tables of the section, from what `report.json` holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from gradcheck.studies.report.accuracy.errors import ALL
from gradcheck.studies.report.tables import markdown
from gradcheck.studies.report.words import MISSING, number, share

Section = dict[str, Any]
Tell = Callable[[float | None], str]

KINDS = {"informative": "verified"}
"""What a kind of derivative is called on the page."""

WORST = {
    "ulps": "{0} ulps",
    "ratio": "{0} of its bound",
    "seen": "bound over size {1}",
}


def engines(section: Section) -> str:
    """Verdicts with their reasons, one row an engine."""
    return markdown(
        pd.DataFrame(
            {
                "engine": f"`{row['engine']}`",
                "networks": number(row["problems"]),
                "derivatives": number(row["coordinates"]),
                "PASS": number(row["verdicts"]["PASS"]),
                "FAIL": number(row["verdicts"]["FAIL"]),
                "INCONCLUSIVE": number(row["verdicts"]["INCONCLUSIVE"]),
                **_unsupported(section, row),
                "reasons": ", ".join(
                    f"{n} {name.split(maxsplit=1)[-1]}" for name, n in row["reasons"].items()
                )
                or MISSING,
            }
            for row in section["results"]["engines"]
        )
    )


def _unsupported(section: Section, row: dict[str, Any]) -> dict[str, str]:
    if not any(other["verdicts"]["UNSUPPORTED"] for other in section["results"]["engines"]):
        return {}
    return {"UNSUPPORTED": number(row["verdicts"]["UNSUPPORTED"])}


def rounding(section: Section, *, scales: bool = True) -> str:
    """Errors in ulps and over their bounds, by engine and dtype, or by weight scale as well."""
    return markdown(
        pd.DataFrame(
            {
                **_labels(row, scales),
                "derivatives": number(row["coordinates"]),
                "correctly rounded": share(
                    row["rounded"], row["coordinates"] - row["exactly_zero"]
                ),
                **_three(row["ulps"], "ulps: "),
                **_three(row["ratio"], "error / bound: "),
            }
            for row in _rows(section, scales)
        ),
        left=2 + scales,
    )


def power(section: Section, *, scales: bool = True) -> str:
    """The smallest errors seen, and what the comparisons were worth, of the first engine."""
    first = section["measured"]["rows"][0]["engine"] if section["measured"]["rows"] else ""
    return markdown(
        pd.DataFrame(
            {
                **{k: v for k, v in _labels(row, scales).items() if k != "engine"},
                **_three(row["seen"], "bound / size: ", _relative),
                **{
                    KINDS.get(kind, kind): share(row["kinds"][kind], row["coordinates"])
                    for kind in ("informative", "small", "exact", "vacuous", "anomalous")
                },
            }
            for row in _rows(section, scales)
            if row["engine"] == first
        ),
        left=1 + scales,
    )


def sensitivity(section: Section) -> str:
    """Whether the targets are met, with the numbers."""
    measured = section["measured"]
    rows = [
        _met(
            f"{dtype}, random networks at weight scale 1, {number(n)} derivatives: bound / size",
            target,
            value,
        )
        for dtype, target, value, n in at_scale_one(section)
    ]
    rows += [
        {
            "what": f"{row['dtype']}, {_at(row['scale'])}, one derivative planted wrong by 2^k",
            "target": MISSING,
            "median": number(row["median"]),
            "met": "",
        }
        for row in measured["planted"]
    ]
    rows += [
        {
            "what": f"{row['dtype']}, network 20-30-10-1, 16 examples, {row['seeds']} seeds: "
            "bound / size",
            "target": number(row["target"]),
            "median": f"{number(row['smallest'])} to {number(row['largest'])}",
            "met": f"by {row['within']} of {row['seeds']}",
        }
        for row in measured["by_seed"]
    ]
    return markdown(pd.DataFrame(rows))


def at_scale_one(section: Section) -> list[tuple[str, float, float, int]]:
    """Return dtype, target, median of bound over |G|, and coordinates, of the reference."""
    targets = {row["dtype"]: row["target"] for row in section["measured"]["by_seed"]}
    return [
        (row["dtype"], targets[row["dtype"]], row["seen"]["median"], row["coordinates"])
        for row in section["measured"]["rows"]
        if (row["engine"], row["scale"]) == ("reference", "1")
        and row["seen"]
        and row["dtype"] in targets
    ]


def _met(what: str, target: float, value: float | None) -> dict[str, str]:
    met = value is not None and value <= target
    return {"what": what, "target": number(target), "median": number(value),
            "met": "yes" if met else "**NO**"}  # fmt: skip


def _at(scale: str) -> str:
    return "all weight scales" if scale == ALL else f"weight scale {scale}"


def caught(section: Section) -> str:
    """Losses of precision that are planted in a float64 engine."""
    return markdown(
        pd.DataFrame(
            {
                "planted": row["what"],
                "test": row["test"],
                "caught": f"{row['caught']} of {row['problems']}",
                "": "yes" if row["caught"] == row["problems"] else "**NO**",
            }
            for row in section["results"]["precision_loss"]
        ),
        left=2,
    )


def right_engines(section: Section) -> str:
    """The right engines, each with its class and its worst error."""
    return markdown(
        pd.DataFrame(
            {
                "engine": f"`{row['engine'].rpartition(':')[2]}`",
                "class": row["arithmetic"].replace("_", " "),
                "derivatives": number(row["coordinates"]),
                "beyond the bound": number(row["beyond"]),
                "worst error / bound, float64": number(row["worst"]["float64"]),
                "float32": number(row["worst"]["float32"]),
            }
            for row in section["measured"]["right_engines"]["by_engine"]
        ),
        left=2,
    )


def ladder(section: Section) -> str:
    """How often each engine of a wider class was named rightly."""
    return markdown(
        pd.DataFrame(
            {
                "engine": f"`{row['engine']}`",
                "its class": row["label"].replace("_", " "),
                "networks": number(row["draws"]),
                "FAIL": number(row["failed"]),
                "distinguishable": number(row["distinguishable"]),
                "named rightly": number(row["named"]),
            }
            for row in section["measured"]["ladder"]["classes"]
        ),
        left=2,
    )


def worst(section: Section) -> list[dict[str, Any]]:
    """Return the worst of every quantity over all weight scales, told with its place."""
    return [
        {
            "engine": row["engine"],
            "dtype": row["dtype"],
            "told": told.format(number(value), _relative(value)),
            "at": row[name]["at"],
        }
        for row in section["measured"]["rows"]
        if row["scale"] == ALL
        for name, told in WORST.items()
        if row[name]
        for value in [row[name]["worst"]]
    ]


def _rows(section: Section, scales: bool) -> list[dict[str, Any]]:
    return [row for row in section["measured"]["rows"] if scales or row["scale"] == ALL]


def _labels(row: dict[str, Any], scales: bool) -> dict[str, str]:
    labels = {"engine": f"`{row['engine']}`", "dtype": row["dtype"]}
    if not scales:
        return labels
    return {**labels, "weight scale": f"**{ALL}**" if row["scale"] == ALL else row["scale"]}


def _relative(value: float | None) -> str:
    """Write a relative error; above 1 nothing that matters is seen, infinite (None) included."""
    return "> 1" if value is None or value > 1 else number(value)


def _three(quantiles: dict[str, Any] | None, prefix: str, tell: Tell = number) -> dict[str, str]:
    values = quantiles or dict.fromkeys(("median", "p99", "worst"), float("nan"))
    names = {"median": f"{prefix}median", "p99": "99 %", "worst": "worst"}
    # Columns must differ; blanks that Markdown drops tell them apart.
    pad = " " * len(prefix)
    return {
        (title if name == "median" else title + pad): tell(values[name])
        for name, title in names.items()
    }
