r"""What a loss and a gradient are made of, each part timed by itself.

Symbols: T the time of the loss; G_b that of the products of the backward pass, delta_l^T a_{l-1}
and delta_l W_l; E_b that of what it does entry by entry (`cost.ratio`).

    ratio = 1 + (G_b + E_b) / T

A product of the same number of flops may take longer or less long in the backward pass: its
matrices have other shapes. How long depends on the kernel of the linear algebra.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradcheck.studies.cost import (
    gemm_flops_backward,
    gemm_flops_forward,
    processor_clock,
    time_in_turns,
)
from gradcheck.studies.report.cost.ratio import entries_backward
from gradcheck.studies.report.network import Network, pairs
from reference_models.products import product

TURNS = 5


class Parts(NamedTuple):
    """What the parts take.

    Attributes:
        forward, backward: Gflop/s of the products of either pass.
        ratio: loss and gradient in units of the loss, as the parts add up to.
    """

    forward: float
    backward: float
    ratio: float


def parts(network: Network, seconds: float) -> Parts:
    """Time the products of both passes, and the rest of the backward one, beside the loss.

    Args:
        network: of at least two examples.
        seconds: about how long a sample lasts.
    """
    network.gradient(network.parameters)  # fills the buffers
    turns = time_in_turns(
        lambda: network.loss(network.parameters),
        lambda: forward_products(network),
        lambda: backward_products(network),
        lambda: entries_backward(network),
        turns=TURNS,
        minimum_seconds=seconds,
        clock=processor_clock(),
    )
    sizes, m = network.sizes, network.m
    return Parts(
        gemm_flops_forward(sizes, m) / turns.median(1) / 1e9,
        gemm_flops_backward(sizes, m) / turns.median(2) / 1e9,
        1 + turns.ratio(2, 0).median + turns.ratio(3, 0).median,
    )


def forward_products(network: Network) -> None:
    """Multiply as the forward pass does: a_{l-1} W_l^T."""
    a = network.X
    for (W, _), layer in zip(pairs(network.parameters), network.workspace.layers, strict=True):
        product(a, W.T, out=layer.z)
        a = layer.a


def backward_products(network: Network) -> None:
    """Multiply as the backward pass does: delta_l^T a_{l-1} and delta_l W_l."""
    layers, parameters = network.workspace.layers, pairs(network.parameters)
    for l in reversed(range(len(layers))):  # noqa: E741 - the layer's symbol
        np.matmul(layers[l].delta.T, layers[l - 1].a if l else network.X, out=layers[l].dW)
        if l:
            product(layers[l].delta, parameters[l][0], out=layers[l - 1].delta)
