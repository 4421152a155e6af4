"""C31: the computation for each weight, alone and together.

In a network of D hidden layers of n neurons, one input and one output, one weight of the first
layer has n^(D-1) paths, (D + 1) multiplications along each; with memory its derivative takes about
n^2 D (`c06_paths`), and those of all N ~ n^2 D weights together little more: each of the
graph's edges is multiplied once. So the multiplications for each of the weights are

    path by path   (D + 1) n^(D-1),     alone with memory   ~ n^2 D,     all together   ~ 1.
"""

from __future__ import annotations

from collections.abc import Callable

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding
from reference_models.paths import Multiplications, count_multiplications

NETWORKS = ((2, 2), (3, 3), (4, 4), (4, 6))
"""Hidden layers, and neurons in each."""

Count = Callable[[int, int], Multiplications]


def measure(settings: Settings, count: Count = count_multiplications) -> Evidence:  # noqa: ARG001
    """Count the multiplications of one derivative, and of all."""
    counts = [(depth, width, count(depth, width)) for depth, width in NETWORKS]
    return Evidence((_alone(counts), _together(counts)))


def parameters(depth: int, width: int) -> int:
    """Return N, the weights and biases of 1, then `depth` times `width`, then 1 neuron."""
    return 2 * width + (depth - 1) * (width**2 + width) + width + 1


def _alone(counts: list[tuple[int, int, Multiplications]]) -> Finding:
    expected = [(D + 1) * n ** (D - 1) for D, n, _ in counts]
    found = [c.by_paths for _, _, c in counts]
    return Finding(
        "by itself, along its paths, a derivative of the first layer takes {found} "
        "multiplications in networks of {networks}: (D + 1) n^(D-1)",
        found == expected,
        {
            "found": ", ".join(map(str, found)),
            "networks": ", ".join(f"{D} x {n}" for D, n, _ in counts),
        },
    )


def _together(counts: list[tuple[int, int, Multiplications]]) -> Finding:
    each = [c.remembered_all / parameters(D, n) for D, n, c in counts]
    alone = [c.remembered for _, _, c in counts]
    return Finding(
        "together, with memory, all {N} derivatives of these take {each} multiplications each, "
        "where one alone takes {alone}",
        all(few < one for few, one in zip(each, alone, strict=True)) and max(each) <= 2,
        {
            "N": ", ".join(str(parameters(D, n)) for D, n, _ in counts),
            "each": ", ".join(f"{few:.2f}" for few in each),
            "alone": ", ".join(map(str, alone)),
        },
        contradicts=True,
    )


CLAIM = Claim(
    id="C31",
    title="Each weight needs the whole computation",
    statement="For each of the weights this much computation is needed",
    how="multiplications counted for one derivative along its paths, for one with memory, and for "
    "all with memory",
    precise="so it is for one weight alone; all of them together take less than two "
    "multiplications each, as what they share is computed once",
    source="Nielsen 2015, chapter 2; Baur and Strassen 1983",
    measure=measure,
    expected=REFINED,
)
