"""Plain sentences: what the numbers say, whichever way they came out."""

from __future__ import annotations

from typing import Any

from gradcheck.report.accuracy.tables import at_scale_one
from gradcheck.report.million.tables import rows
from gradcheck.report.words import MISSING, count, number, plus_minus, seconds, share, times

Sections = dict[str, Any]


def sentences(sections: Sections) -> list[str]:
    """Return one sentence a question, for the sections that were measured."""
    said = []
    if "consistency" in sections:
        said += [_consistency(sections["consistency"]), _differences(sections)]
    if "accuracy" in sections:
        said += [_accuracy(sections["accuracy"]), _power(sections["accuracy"])]
    if "cost" in sections:
        said.append(_cost(sections["cost"]))
    if "location" in sections:
        said.append(_location(sections["location"]))
    if "million" in sections:
        said.append(_million(sections["million"]))
    if "real_data" in sections:
        said.append(_real_data(sections["real_data"]))
    return said


def _consistency(section: dict[str, Any]) -> str:
    results, parts = section["results"], section["measured"]["by_dtype"]
    problems, verdicts = results["problems"], results["verdicts"]
    name = results["engine"]["name"]
    among = (
        f"{count(problems, 'random network')} ({count(results['coordinates'], 'derivative')}, "
        f"{' and '.join(part['dtype'] for part in parts)})"
    )
    second = results["chain_rule"]
    aside = ""
    if second["verdicts"]["FAIL"]:
        aside = (
            f" The derivation neuron by neuron FAILS on {second['verdicts']['FAIL']} of "
            f"{second['problems']}."
        )
    if verdicts["FAIL"]:
        first = section["measured"]["failures"][0]
        return (
            f"**FAIL: the gradient of engine `{name}` is wrong** on {verdicts['FAIL']} of {among}; "
            f"worst `{first['token']}`, {_told(first)}.{aside}"
        )
    compared = [part["worst"] for part in parts if part["worst"]]
    decided = sum(part["informative"] + part["small"] for part in parts)
    total = sum(part["coordinates"] for part in parts)
    if not compared:
        return f"**Nothing was verified**: of {among} none could be compared.{aside}"
    worst = max(compared, key=lambda record: record["ratio"])
    return (
        f"**No contradiction between backpropagation and finite differences** was found in "
        f"{among}: the largest deviation is {number(worst['ratio'])} of its allowance, "
        f"{share(decided, total)} of the derivatives are verified and the others, too small to be "
        f"told from the noise of the loss, are INCONCLUSIVE ({verdicts['PASS']} networks PASS "
        f"whole, {verdicts['INCONCLUSIVE']} have such derivatives).{aside}"
    )


def _accuracy(section: dict[str, Any]) -> str:
    measured, engines = section["measured"], section["results"]["engines"]
    failed = [row for row in engines if row["verdicts"]["FAIL"]]
    if failed:
        first = measured["failures"][0]
        names = ", ".join(
            f"`{row['engine']}` on {row['verdicts']['FAIL']} of {row['problems']}" for row in failed
        )
        why = f" ({first['explanation']})" if first["explanation"] else ""
        return (
            f"**FAIL against the exact gradient**: {names} random networks; worst "
            f"`{first['token']}`, {_told(first)}{why}."
        )
    whole = [row for row in measured["rows"] if row["scale"] == "all"]
    rows = [row for row in whole if row["engine"] == engines[0]["engine"]]
    ratios = [row["ratio"]["worst"] for row in whole if row["ratio"]]
    if not ratios:
        return "**Nothing was held against the exact gradient**: no network could be compared."
    name, total = engines[0]["engine"], sum(row["coordinates"] for row in engines)
    rounded = " and ".join(
        f"{share(row['rounded'], row['coordinates'] - row['exactly_zero'])} in {row['dtype']} "
        f"(median error {number(row['ulps']['median'])} ulp)"
        for row in rows
        if row["ulps"]
    )
    told = f"`{name}` rounds {rounded} correctly" if rounded else f"`{name}` was not compared"
    return (
        f"**Against the exact gradient** no engine errs by more than rounding explains, in "
        f"{total:,} derivatives: the largest error is {number(max(ratios))} of its computed bound; "
        f"{told}."
    )


def _power(section: dict[str, Any]) -> str:
    results, measured = section["results"], section["measured"]
    right, ladder, bugs = results["right_engines"], measured["ladder"], results["bugs"]
    seen = " and ".join(
        f"{number(value)} in {dtype}" for dtype, _, value, _ in at_scale_one(section)
    )
    told = f" (median at weight scale 1: {seen})" if seen else ""
    accused = (
        f"**{right['beyond']:,} of {right['coordinates']:,} derivatives of right engines are "
        "accused**"
        if right["beyond"]
        else f"none of {right['coordinates']:,} derivatives of {right['engines']} right engines is "
        f"accused (worst: {number(measured['right_engines']['worst']['ratio'])} of its bound)"
    )
    return (
        f"**What that comparison is worth.** One wrong derivative is seen from a relative error of "
        f"bound over size{told}; {accused}; of engines of a wider class "
        f"{ladder['named']} of {ladder['distinguishable']} are named rightly, and "
        f"{bugs['called_a_class'] or 'none'} of {bugs['failed']} bugs is called one."
    )


def _told(failure: dict[str, Any]) -> str:
    if failure["ratio"] is None:
        return f"reason {failure['reason']}"
    return f"off by {number(failure['ratio'])} times its allowance at `{failure['coordinate']}`"


def _differences(sections: Sections) -> str:
    parts = [part["coverage"] for part in sections["consistency"]["measured"]["by_dtype"]]
    held = sum(part["held"] for part in parts)
    total = sum(part["coordinates"] for part in parts)
    ratios = [part["quantiles"]["worst"] for part in parts if part["quantiles"]]
    worst = number(max(ratios)) if ratios else MISSING
    said = f"in {held:,} of {total:,} derivatives (worst error: {worst} of its bound)"
    opening = (
        f"**The differences can be trusted as far as they say**: their error bounds held {said}"
        if held == total
        else f"**The error bounds of the differences did not always hold**: only {said}"
    )
    if "step_size" not in sections:
        return opening + "."
    stencils = sections["step_size"]["measured"]["stencils"]
    found = ", ".join(_slope(stencil) for stencil in stencils)
    shown = all(s["order_shown"] for s in sections["step_size"]["results"]["stencils"])
    orders = ", ".join(str(stencil["order"]) for stencil in stencils)
    if shown:
        return (
            f"{opening}; with the step h their error falls "
            f"as h to the powers {orders} (found: {found})."
        )
    return (
        f"{opening}; **their error does not fall** as h to the powers {orders}: found are {found}."
    )


def _slope(stencil: dict[str, Any]) -> str:
    law = stencil["truncation"]
    return MISSING if law is None else f"{law['exponent']:.2f}"


def _cost(section: dict[str, Any]) -> str:
    rows, clock = section["results"]["networks"], section["timings"]["networks"]
    growth = section["measured"]["passes_growth"]
    counted = [row for row in rows if row["forward_difference_passes"] is not None]
    last, time = rows[-1], clock[-1]
    passes = (
        f"Forward differences took {number(counted[-1]['forward_difference_passes'])} forward "
        f"passes for {number(counted[-1]['N'])} parameters and grow as N to the power "
        f"{plus_minus(growth['forward_differences'])}; backpropagation took "
        f"{last['backprop_forward_passes']} forward and {last['backprop_backward_passes']} "
        f"backward pass (power {plus_minus(growth['backprop'])})"
    )
    differences = time["forward_differences"]
    about = "by extrapolation " if differences["extrapolated"] else ""
    ratio = differences["seconds"] / time["backprop"]["median"]
    return (
        f"**Cost.** {passes}: for {last['N']:,} parameters that is {about}"
        f"{seconds(differences['seconds'])} against {seconds(time['backprop']['median'])}, "
        f"{times(ratio)} times as long."
    )


def _location(section: dict[str, Any]) -> str:
    results, measured = section["results"], section["measured"]
    pairs = list(zip(results["rows"], measured["passes"], strict=True))
    one = [(row, passes) for row, passes in pairs if row["wrong"] == 1]
    named, runs = sum(row["named"] for row, _ in one), sum(row["runs"] for row, _ in one)
    most, doubling = max(passes["most"] for _, passes in one), measured["growth"]["a_doubling"]
    right = results["rows"][-1]
    growth = f"{number(doubling)} more" if doubling > 0 else "no more"
    return (
        f"**One wrong weight among {results['N']:,}** of a black box was named in {named} of "
        f"{runs} networks, in at most {most:.0f} forward passes where differences take "
        f"{results['N'] + 1:,}; twice the weights take {growth}. Of "
        f"{count(right['runs'], 'right gradient')} {right['failed'] or 'none'} was accused."
    )


def _million(section: dict[str, Any]) -> str:
    plain, layered, certified, directional = rows(section)[:4]
    about = "" if plain["whole"] else "by extrapolation "
    named = [way for way in rows(section) if way["wrong"] == 1 and way["holds"]]
    asked = sum(way["named"] is not None for way in rows(section))
    return (
        f"**All {plain['N']:,} weights and biases of one network**: one plain forward pass for "
        f"each, and one more, take {about}{seconds(plain['seconds'])}, all {2 * layered['N']:,} "
        f"central differences of what each changes {seconds(layered['seconds'])}, the certified "
        f"check {seconds(certified['seconds'])}, a screen along random signs "
        f"{directional['forward_passes']} passes and {seconds(directional['seconds'])}. An error "
        f"of {number(section['results']['planted'], 1)} of the median derivative in one of them is "
        f"named by {len(named)} of the {asked} ways that were put to it."
    )


def _real_data(section: dict[str, Any]) -> str:
    checks = section["results"]["checks"]
    numbers = section["measured"]["checks"]
    total = sum(check["coordinates"] for check in checks)
    failed = [c for c in checks if c["verdict"] == "FAIL"]
    if failed:
        names = "; ".join(f"{c['data']}, {c['state']}" for c in failed)
        return f"**FAIL on real data**: {names}: the gradient is wrong."
    worst = [n["worst"]["ratio"] for n in numbers if n.get("worst")]
    known = [ratio for ratio in worst if ratio is not None]
    passed = sum(check["verdict"] == "PASS" for check in checks)
    verified = sum(n.get("informative", 0) + n.get("small", 0) for n in numbers)
    largest = number(max(known)) if known else MISSING
    return (
        f"**On real data** (logistic regression on breast cancer, a network on digits, before and "
        f"after training) {passed} of {len(checks)} gradients PASS in every derivative and none "
        f"FAILs; {verified:,} of {total:,} derivatives are verified, the largest deviation being "
        f"{largest} of its allowance."
    )
