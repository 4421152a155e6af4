r"""C7: every weight and bias differentiated by moving it a little.

Symbols: C the loss, w the N weights and biases in a row, e_j the j-th unit vector, h the step.

    forward   (C(w + h e_j) - C(w)) / h              j = 1..N:  N + 1 evaluations of C
    central   (C(w + h e_j) - C(w - h e_j)) / (2 h)  j = 1..N:  2 N evaluations of C

With C1 the sum of the stencil's weights' sizes and eps_f the noise of one evaluation,

    |D(h) - dC/dw_j|  <=  C1 eps_f / h + 2 |D(2h) - D(h)|

(`gradcheck.differences.finite_difference`); the passes that D(2h) takes are counted apart. Those of
backprop are counted inside, by its two halves and by its matrix products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gradcheck.differences.finite_difference import difference_quotients
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import estimate_noise
from gradcheck.differences.stencils import CENTRAL_2, FORWARD, Stencil
from gradcheck.splitmix64 import Stream
from gradcheck.studies.cost import (
    central_difference_passes,
    count_flops,
    counted_loss,
    forward_difference_passes,
    gemm_flops_backward,
    gemm_flops_forward,
)
from gradcheck.studies.report.inside import counted_passes
from gradcheck.studies.report.network import Network
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import Claim, Evidence, Finding

NETWORKS = ((30, 1), (7, 5, 6, 3), (20, 30, 10, 1))
BATCH = 16
STEPS = {FORWARD.name: 2.0**-22, CENTRAL_2.name: 2.0**-13}

Differences = Callable[..., npt.NDArray[Any]]
Gradient = Callable[[Network, dict[str, Any]], dict[str, Any]]
Loss = Callable[[Network, dict[str, Any]], Any]


class Run(NamedTuple):
    """One network, differentiated in every coordinate.

    Attributes:
        N: its number of weights and biases.
        passes: evaluations of the loss, counted at the loss, times the forward passes that the
            matrix products of one make.
        worst: the largest deviation from backprop, in units of its bound.
        told: whether every bound is below the largest derivative.
        bound: the median bound over the median derivative.
    """

    N: int
    passes: float
    worst: float
    told: bool
    bound: float


def measure(
    settings: Settings,
    differences: Differences = difference_quotients,
    gradient: Gradient = Network.gradient,
    loss: Loss = Network.loss,
) -> Evidence:
    """Count the passes of both stencils on every network, and compare with backprop."""
    networks = [Network(sizes, BATCH, settings.seed) for sizes in NETWORKS]
    by_stencil = (
        _finding(stencil, formula, passes, networks, differences, gradient, loss, settings.seed)
        for stencil, formula, passes in (
            (FORWARD, "N + 1", forward_difference_passes),
            (CENTRAL_2, "2N", central_difference_passes),
        )
    )
    return Evidence((*by_stencil, _backprop(networks, gradient)))


def _finding(
    stencil: Stencil,
    formula: str,
    expected: Callable[[int], int],
    networks: list[Network],
    differences: Differences,
    gradient: Gradient,
    loss: Loss,
    seed: int,
) -> Finding:
    runs = [_run(network, stencil, differences, gradient, loss, seed) for network in networks]
    counted = all(run.passes == expected(run.N) for run in runs)
    return Finding(
        "{name} differences on {networks} with N = {N} weights and biases: {passes} forward "
        "passes counted, {formula} are {expected}; deviation from backprop at most {worst} of its "
        "bound, the median bound being {bound} of the median derivative",
        counted and all(run.worst <= 1 and run.told for run in runs),
        {
            "name": stencil.name,
            "networks": ", ".join("-".join(map(str, network.sizes)) for network in networks),
            "N": ", ".join(str(run.N) for run in runs),
            "passes": ", ".join(f"{run.passes:g}" for run in runs),
            "formula": formula,
            "expected": ", ".join(str(expected(run.N)) for run in runs),
        },
        {
            "worst": max(run.worst for run in runs),
            "bound": float(np.median([run.bound for run in runs])),
        },
    )


def _backprop(networks: list[Network], gradient: Gradient) -> Finding:
    """Count what the gradient takes that the differences are compared with."""
    with counted_passes() as passes:
        flops = [count_flops(gradient, net, net.parameters)[1].gemm for net in networks]
    n = len(networks)
    formulas = [
        gemm_flops_forward(net.sizes, net.m) + gemm_flops_backward(net.sizes, net.m)
        for net in networks
    ]
    return Finding(
        "backprop, which they are compared with, took {forward:g} forward and {backward:g} "
        "backward pass for all N, whatever N",
        passes.forward == passes.backward == n and flops == formulas,
        {"forward": passes.forward / n, "backward": passes.backward / n},
    )


def _run(
    network: Network,
    stencil: Stencil,
    differences: Differences,
    gradient: Gradient,
    loss: Loss,
    seed: int,
) -> Run:
    h = STEPS[stencil.name]
    counted = counted_loss(lambda parameters: loss(network, parameters))
    lines = Lines(counted, network.parameters)
    if 0 not in stencil.offsets:
        counted.reset()  # C(w) does not enter
    D = differences(lines, h, stencil=stencil)
    _, flops = count_flops(lambda network: loss(network, network.parameters), network)
    inside = flops.gemm / gemm_flops_forward(network.sizes, network.m)
    passes = counted.cost.forward_passes * inside
    others = Lines(network.loss, network.parameters)
    noise = estimate_noise(others, Stream(seed, "noise"))
    truncation = np.abs(difference_quotients(others, 2 * h, stencil=stencil) - D)
    bound = float(stencil.noise_constant) * noise.bound / h + 2 * truncation
    g = np.concatenate([a.reshape(-1) for a in gradient(network, network.parameters).values()])
    return Run(
        network.N,
        passes,
        float(np.max(np.abs(D - g) / bound)),
        bool(np.max(bound) < np.max(np.abs(g))),
        float(np.median(bound) / np.median(np.abs(D))),
    )


CLAIM = Claim(
    id="C7",
    title="Differentiating by moving each weight",
    statement="Weights and biases can be differentiated by moving each a little: "
    "(C(w + eps e_j) - C(w)) / eps, at the price of one forward pass for each",
    how="forward and central differences of real networks, passes counted where the loss is "
    "evaluated and inside it, by its matrix products; derivatives compared with backprop within "
    "error bounds",
    source="Nielsen 2015, chapter 2",
    measure=measure,
)
