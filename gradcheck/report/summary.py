"""Four plain sentences: what the numbers say, whichever way they came out."""

from __future__ import annotations

from typing import Any

from gradcheck.report.words import MISSING, count, number, plus_minus, seconds, share, times

Sections = dict[str, Any]


def sentences(sections: Sections) -> list[str]:
    """Return one sentence a question, for the sections that were measured."""
    said = []
    if "agreement" in sections:
        said += [_agreement(sections["agreement"]), _differences(sections)]
    if "cost" in sections:
        said.append(_cost(sections["cost"]))
    if "real_data" in sections:
        said.append(_real_data(sections["real_data"]))
    return said


def _agreement(section: dict[str, Any]) -> str:
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


def _told(failure: dict[str, Any]) -> str:
    if failure["ratio"] is None:
        return f"reason {failure['reason']}"
    return f"off by {number(failure['ratio'])} times its allowance at `{failure['coordinate']}`"


def _differences(sections: Sections) -> str:
    parts = [part["coverage"] for part in sections["agreement"]["measured"]["by_dtype"]]
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
