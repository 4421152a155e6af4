"""Prints what became of functions that nobody here wrote, by source and dtype.

    python tests/wild/table.py --operators 100 --functions 30 --each 2 --seed 0

`--only` names one sample by a part of its name and prints the whole outcome; `--seconds` ends the
run early.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator

import cancelling_samples
import jax_samples
import scipy_samples
import torch
import torch_samples
from judged import Finding, judge
from samples import Sample

SOURCES = (
    "torch", "torch32", "torch-jacobian", "torch-product", "jax", "jax32", "scipy", "cancelling",
)  # fmt: skip


def drawn(
    sources: Iterable[str],
    *,
    operators: int | None = None,
    functions: int | None = None,
    each: int = 2,
    seed: int = 0,
) -> Iterator[Sample]:
    """Yield the samples of several sources.

    Args:
        sources: of SOURCES.
        operators: how many of PyTorch's operators; default: all.
        functions: how many of JAX' functions; default: all.
        each: samples of each operator or function, at most.
        seed: which.
    """
    for source in sources:
        dtype = "float32" if source.endswith("32") else "float64"
        if source.startswith("torch"):
            kind = source.partition("-")[2] or "gradient"
            yield from torch_samples.samples(
                dtype, operators_drawn=operators, each=each, seed=seed, kind_of=kind
            )
        elif source.startswith("jax"):
            yield from jax_samples.samples(dtype, functions=functions, each=each, seed=seed)
        else:
            module = scipy_samples if source == "scipy" else cancelling_samples
            yield from module.samples(each=each, seed=seed)


def table(findings: list[Finding]) -> str:
    """Return one row a source and dtype: how many samples, and what became of them."""
    groups = sorted(set(map(_group, findings)))
    columns = sorted({_verdict(f) for f in findings}, key=lambda name: (name != "PASS", name))
    head = ["source", "dtype", "samples", *columns, "plants", "missed", "unseen", "passes", "s"]
    rows = [head, ["---"] * len(head)]
    for group in groups:
        mine = [f for f in findings if _group(f) == group]
        counts = Counter(map(_verdict, mine))
        rows.append([
            *group, len(mine), *[counts[name] for name in columns],
            sum(f.planted for f in mine), sum(len(f.missed) for f in mine),
            sum(len(f.unseen) for f in mine), sum(f.passes for f in mine),
            f"{sum(f.seconds for f in mine):.1f}",
        ])  # fmt: skip
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def _group(finding: Finding) -> tuple[str, str]:
    """Name the row that a finding is counted in."""
    s = finding.sample
    return f"{s.source}, {s.kind}s" if s.kind != "gradient" else s.source, s.dtype


def _verdict(finding: Finding) -> str:
    if finding.verdict == "FAIL":
        return "FAIL true" if finding.known else f"FAIL false {finding.reason}"
    flat = "flat" if finding.flat else ""
    return " ".join(filter(None, (finding.verdict, finding.reason, flat)))


def told(finding: Finding) -> str:
    """Return one line on a sample that did not simply pass."""
    s = finding.sample
    missed = f" MISSED {', '.join(finding.missed)}" if finding.missed else ""
    detail = finding.detail.splitlines()[0] if finding.detail else ""
    return f"{_verdict(finding)}{missed}: {s.source} {s.dtype} {s.name}: {detail[:200]}"


def _show(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Judge samples and print the table, after a line for each that did not simply pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", nargs="+", default=SOURCES, choices=SOURCES)
    parser.add_argument("--operators", type=int)
    parser.add_argument("--functions", type=int)
    parser.add_argument("--each", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-plants", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    begun, started = time.process_time(), time.perf_counter()
    findings = []
    for sample in drawn(
        asked.sources, operators=asked.operators, functions=asked.functions,
        each=asked.each, seed=asked.seed,
    ):  # fmt: skip
        if time.perf_counter() - started > asked.seconds:
            break
        if asked.only not in sample.name:
            continue
        finding = judge(sample, seed=asked.seed, plants=not asked.no_plants)
        findings.append(finding)
        if asked.only or finding.verdict != "PASS" or finding.missed:
            _show(told(finding))
        if asked.only:
            _show(finding.detail)
    _show(table(findings))
    _show(f"{time.process_time() - begun:.0f} s of processor time")


if __name__ == "__main__":
    main()
