"""What the numbers show: each claim holds or does not, by the sections' results alone.

The exit code of the report is decided here, before anything is set out for reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gradcheck.studies.report.location import LIMITS

COVERAGE = 0.999
"""The part of all coordinates in which a stated error bound must hold the true error."""

NAMED = 0.95
"""The part of the draws in which the class of an engine must be recognised."""

Sections = dict[str, Any]

PASSED, WRONG, NOTHING = 0, 1, 4


def verdict_counts(sections: Sections) -> dict[str, int]:
    """Count verdicts over every gradient that was checked."""
    counts = dict.fromkeys(("PASS", "FAIL", "INCONCLUSIVE", "UNSUPPORTED"), 0)
    if "consistency" in sections:
        results = sections["consistency"]["results"]
        for part in (results, results["chain_rule"]):
            for name, n in part["verdicts"].items():
                counts[name] += n
    if "accuracy" in sections:
        for part in sections["accuracy"]["results"]["engines"]:
            for name, n in part["verdicts"].items():
                counts[name] += n
    if "real_data" in sections:
        for check in sections["real_data"]["results"]["checks"]:
            counts[check["verdict"]] += 1
    return counts


def judge(sections: Sections) -> list[dict[str, Any]]:
    """Return the claims that the finished sections bear on: id, statement, whether it holds."""
    return [
        {"id": name, "statement": statement, "holds": holds}
        for section, judged in _JUDGES.items()
        if section in sections
        for name, statement, holds in judged(sections[section])
    ]


def exit_code(report: dict[str, Any]) -> int:
    """Return 0 as expected; 1 a gradient is wrong or a claim does not hold; 4 nothing verified."""
    counts = verdict_counts(report["sections"])
    if counts["FAIL"] or not all(claim["holds"] for claim in report["claims"]):
        return WRONG
    return PASSED if counts["PASS"] else NOTHING


Claim = tuple[str, str, bool]


def _consistency(section: dict[str, Any]) -> Iterator[Claim]:
    results = section["results"]
    failed, second = results["verdicts"]["FAIL"], results["chain_rule"]
    yield (
        "consistency",
        "over random architectures no gradient of the engine contradicts differences of its loss",
        failed == 0 and results["problems"] > 0,
    )
    yield (
        "chain-rule",
        "nor does any gradient derived neuron by neuron",
        second["verdicts"]["FAIL"] == 0 and second["problems"] > 0,
    )
    parts = [part["coverage"] for part in section["measured"]["by_dtype"]]
    yield (
        "coverage",
        f"the error bounds of the differences hold the true error in at least {COVERAGE:.1%} "
        "of the coordinates, for each dtype",
        bool(parts) and all(part["held"] >= COVERAGE * part["coordinates"] > 0 for part in parts),
    )


def _accuracy(section: dict[str, Any]) -> Iterator[Claim]:
    results, ladder = section["results"], section["measured"]["ladder"]
    engines, right, bugs = results["engines"], results["right_engines"], results["bugs"]
    yield (
        "agreement",
        "over random architectures no gradient of the engine or of the reference models is further "
        "from the exact one than rounding explains",
        bool(engines)
        and all(row["verdicts"]["FAIL"] == 0 and row["problems"] > 0 for row in engines),
    )
    yield (
        "right-engines",
        "no right engine is accused, in whatever order it adds and whatever form it computes",
        right["beyond"] == 0 and right["coordinates"] > 0,
    )
    yield (
        "precision",
        "; ".join(f"{row['what']} ({row['test']})" for row in results["precision_loss"])
        + ": always caught",
        bool(results["precision_loss"])
        and all(row["caught"] == row["problems"] > 0 for row in results["precision_loss"]),
    )
    yield (
        "ladder",
        f"an engine of a wider class is named in at least {NAMED:.0%} of the draws that tell the "
        "classes apart, and a bug is never called a class",
        bugs["called_a_class"] == 0
        and ladder["named"] >= NAMED * ladder["distinguishable"]
        and min(bugs["failed"], ladder["distinguishable"]) > 0,
    )


def _step_size(section: dict[str, Any]) -> Iterator[Claim]:
    stencils = section["results"]["stencils"]
    orders = ", ".join(str(stencil["order"]) for stencil in stencils)
    yield (
        "order",
        f"with the step h the truncation errors of the stencils fall as h^p, p = {orders}",
        bool(stencils) and all(stencil["order_shown"] for stencil in stencils),
    )
    yield (
        "noise",
        "below the best step the error of every stencil grows as 1/h",
        bool(stencils) and all(stencil["noise_shown"] for stencil in stencils),
    )


def _cost(section: dict[str, Any]) -> Iterator[Claim]:
    results = section["results"]
    networks = results["networks"]
    yield (
        "passes",
        "wherever they were counted, forward differences took N + 1 forward passes, one at a time "
        "and in batches, central ones 2N, backpropagation one forward and one backward pass",
        bool(networks)
        and all(
            row["passes_as_formula"]
            and row["backprop_forward_passes"] == row["backprop_backward_passes"] == 1
            for row in networks
        ),
    )
    yield (
        "differences",
        "taken one at a time, in batches and by layers, all of them agree with backpropagation "
        "within their bounds",
        bool(networks) and all(row["agree"] for row in networks),
    )
    yield (
        "flops",
        "the counted flops of matrix products are those of the formulas, and loss with gradient "
        "costs 3 - n_0 n_1 / M losses",
        bool(networks and results["ratios"])
        and all(row["gemm_as_formula"] for row in networks)
        and all(row["gemm_ratio"] == row["formula"] for row in results["ratios"]),
    )


def _location(section: dict[str, Any]) -> Iterator[Claim]:
    results, rows = section["results"], section["results"]["rows"]
    limits = ", ".join(f"{n} in {most}" for n, most in LIMITS.items())
    yield (
        "location",
        f"wrong coordinates of a black box of {results['N']:,} weights are named within so many "
        f"forward passes: {limits}; and none is named in a right gradient",
        bool(rows)
        and all(row["named"] == row["within"] == row["runs"] > 0 for row in rows)
        and all(row["failed"] == (row["runs"] if row["wrong"] else 0) for row in rows),
    )


def _million(section: dict[str, Any]) -> Iterator[Claim]:
    results = section["results"]
    yield (
        "million",
        f"every derivative of a network of {results['rows'][0]['N']:,} weights and biases that "
        "plain differences, layered differences and the certified check compare with backprop is "
        "within its bound; a small error in one of them is named, and nothing else is, also along "
        "random signs",
        all(row["holds"] for row in results["rows"]),
    )
    yield (
        "memory",
        "all its central differences are held in less than a gibibyte",
        results["memory_kept"],
    )


def _real_data(section: dict[str, Any]) -> Iterator[Claim]:
    checks = section["results"]["checks"]
    yield (
        "real-data",
        "on breast cancer and digits, before and after training, no coordinate of the gradient "
        "contradicts the differences",
        bool(checks) and all(check["verdict"] != "FAIL" for check in checks),
    )


def _textbook(section: dict[str, Any]) -> Iterator[Claim]:
    for name, claim in section["results"].items():
        found = all(f["expected"] in (None, f["holds"]) for f in claim["findings"])
        yield name, claim["statement"], found and claim["ruling"] == claim["expected"]


_JUDGES: dict[str, Callable[[dict[str, Any]], Iterator[Claim]]] = {
    "consistency": _consistency,
    "accuracy": _accuracy,
    "step_size": _step_size,
    "cost": _cost,
    "location": _location,
    "million": _million,
    "real_data": _real_data,
    "textbook": _textbook,
}
