"""The three answers of the first screen, whichever way the numbers came out."""

from __future__ import annotations

from typing import Any

from gradcheck.studies.report.million.tables import rows as million_rows
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFINED, REFUTED
from gradcheck.studies.report.words import count, number, part_of, seconds, share, times

Sections = dict[str, Any]


def sentences(sections: Sections) -> list[str]:
    """Say whether they agree, what each costs and which claims hold, as far as was measured."""
    answers = (_agreement(sections), _cost(sections), _textbooks(sections))
    return [answer for answer in answers if answer]


# --- do they agree? -------------------------------------------------------------------------------


def _agreement(sections: Sections) -> str:
    failed = [told for told in (_contradicted(sections), _inexact(sections), _wrong(sections))
              if told]  # fmt: skip
    if failed:
        return f"**They do not agree.** {' '.join(failed)}"
    if "consistency" not in sections:
        return ""
    results, parts = (sections["consistency"][group] for group in ("results", "measured"))
    among = (
        f"{count(results['coordinates'], 'derivative')} of "
        f"{count(results['problems'], 'random network')}"
    )
    kinds = {
        kind: sum(part[kind] for part in parts["by_dtype"])
        for kind in ("informative", "small", "inconclusive", "coordinates")
    }
    if not kinds["informative"]:
        return f"**Nothing was verified**: none of {among}."
    seen = " or ".join(
        f"{part_of(part['seen']['largest'])} in {part['dtype']} "
        f"({share(part['informative'], part['coordinates'])} there)"
        for part in parts["by_dtype"]
        if part["seen"]
    )
    total = kinds["coordinates"]
    return (
        f"**They agree.** In none of {among} does backpropagation contradict finite differences "
        f"of the same loss. {share(kinds['informative'], total)} of the derivatives are "
        f"*verified*: a relative error above {seen} would have been seen. "
        f"{share(kinds['small'], total)} are *small*: held to that part not of themselves but of "
        "the largest derivative of their array (a layer's weights, or its biases). "
        f"{share(kinds['inconclusive'], total)} could not be decided."
    )


def _contradicted(sections: Sections) -> str:
    """Say which gradients are not the derivatives of their own loss."""
    if "consistency" not in sections:
        return ""
    results, measured = (sections["consistency"][group] for group in ("results", "measured"))
    second, told = results["chain_rule"], []
    if results["verdicts"]["FAIL"]:
        first = measured["failures"][0]
        told.append(
            f"**FAIL: the gradient of engine `{results['engine']['name']}` is wrong** on "
            f"{results['verdicts']['FAIL']} of {count(results['problems'], 'random network')}; "
            f"worst `{first['token']}`, {_off(first)}."
        )
    if second["verdicts"]["FAIL"]:
        told.append(
            f"The derivation neuron by neuron FAILS on {second['verdicts']['FAIL']} of "
            f"{second['problems']}."
        )
    return " ".join(told)


def _inexact(sections: Sections) -> str:
    """Say which gradients are further from the exact one than rounding explains."""
    if "accuracy" not in sections:
        return ""
    results, measured = (sections["accuracy"][group] for group in ("results", "measured"))
    failed = [row for row in results["engines"] if row["verdicts"]["FAIL"]]
    if not failed:
        return ""
    first = measured["failures"][0]
    names = ", ".join(
        f"`{row['engine']}` on {row['verdicts']['FAIL']} of {row['problems']}" for row in failed
    )
    why = f" ({first['explanation']})" if first["explanation"] else ""
    return (
        f"**FAIL against the exact gradient**: {names} random networks; worst `{first['token']}`, "
        f"{_off(first)}{why}."
    )


def _wrong(sections: Sections) -> str:
    """Say on which real data the gradient is wrong."""
    if "real_data" not in sections:
        return ""
    checks = sections["real_data"]["results"]["checks"]
    names = "; ".join(f"{c['data']}, {c['state']}" for c in checks if c["verdict"] == "FAIL")
    return f"**FAIL on real data**: {names}: the gradient is wrong." if names else ""


def _off(failure: dict[str, Any]) -> str:
    if failure["ratio"] is None:
        return f"reason {failure['reason']}"
    return f"off by {number(failure['ratio'])} times its allowance at `{failure['coordinate']}`"


# --- what does each cost? -------------------------------------------------------------------------


def _cost(sections: Sections) -> str:
    if "cost" not in sections:
        return ""
    results, clock = sections["cost"]["results"], sections["cost"]["timings"]
    pairs = list(zip(results["networks"], clock["networks"], strict=True))
    counted = [(row, time) for row, time in pairs if row["forward_difference_passes"] is not None]
    if not counted or not results["ratios"]:
        return ""
    row, time = counted[-1]
    ratios = [ratio["gemm_ratio"] for ratio in results["ratios"]]
    low, high = min(ratios), max(ratios)
    passes = (
        "N + 1 forward passes"
        if all(row["forward_difference_passes"] == row["N"] + 1 for row, _ in counted)
        else f"**not N + 1** forward passes but {row['forward_difference_passes']:,}"
    )
    backprop = (
        f"{count(row['backprop_forward_passes'], 'forward pass', 'forward passes')} and "
        f"{count(row['backprop_backward_passes'], 'backward pass', 'backward passes')}"
    )
    return (
        f"**They do not cost the same.** Finite differences take {passes} for N weights, counted "
        f"up to N = {row['N']:,}, in {seconds(time['forward_differences']['seconds'])}; "
        f"backpropagation takes {backprop}, there in {seconds(time['backprop']['median'])}, "
        f"and in general {low:.1f} to {high:.1f} times the arithmetic of the loss, by the shape of "
        f"the network. "
        f"{_for_a_million(sections, low, high)}"
    )


def _for_a_million(sections: Sections, low: float, high: float) -> str:
    """Say how much more arithmetic the passes of a large network are, and whether they were run."""
    N = 1_000_000
    told = (
        f"For a million weights differences are {times((N + 1) / high)} to {times((N + 1) / low)} "
        "times the work"
    )
    if "million" in sections:
        plain = million_rows(sections["million"])[0]
        if plain["whole"]:
            return f"{told}, and took {seconds(plain['seconds'])}."
    return f"{told}."


# --- what do the textbooks say? -------------------------------------------------------------------

RULINGS = {CONFIRMED: "are right", REFINED: "need a word more", REFUTED: "are wrong"}


def _textbooks(sections: Sections) -> str:
    if "textbook" not in sections:
        return ""
    results = sections["textbook"]["results"]
    groups = {
        ruling: [name for name, claim in results.items() if claim["ruling"] == ruling]
        for ruling in RULINGS
    }
    told = [
        f"{len(names)} {RULINGS[ruling]} ({', '.join(names)})" if names else f"0 {RULINGS[ruling]}"
        for ruling, names in groups.items()
    ]
    otherwise = [name for name, claim in results.items() if claim["ruling"] != claim["expected"]]
    unexpected = f" **Not as expected: {', '.join(otherwise)}.**" if otherwise else ""
    return (
        f"**What the textbooks say.** Of {count(len(results), 'claim')} about backpropagation, "
        f"each measured, {told[0]}, {told[1]}, and **{told[2]}**.{unexpected}"
    )
