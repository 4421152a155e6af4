"""What a user writes who knows the network and has PyTorch: two checks of a few lines each.

The gradient that is checked is the reference's, as in the other checks of known networks. It is
compared by `numpy.testing.assert_allclose`, array by array:

- with PyTorch's own backprop of the same network, at the default rtol = 1e-7, or with CLOSE: both
  gradients are off by a few u = 2^-53 of the sum of the absolute terms of each sum, here below 1,
  and CLOSE allows 90 u besides 1e-12 of the derivative;
- with layered differences, |a - n| <= 1e-9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from gradcheck.arrays import Array
from gradcheck.problem import gradient_as_dict
from gradcheck.studies.bench import layered_by_hand
from gradcheck.studies.bench.contender import (
    FAIL,
    NETWORK,
    NONE,
    PASS,
    Answer,
    Contender,
    Prepare,
    Run,
    Tick,
)
from gradcheck.studies.bench.ours import engine_of
from gradcheck.studies.bench.subject import Subject
from gradcheck.studies.peers import torch_gradcheck
from gradcheck.studies.peers.base import Passes, Planted
from gradcheck.studies.peers.torch_gradcheck import TORCH, network_in_torch

BACKPROP, BACKPROP_CLOSE, LAYERED = (
    "second backprop",
    "second backprop, 12 digits",
    "layered, by hand",
)
BACKPROPS = (BACKPROP, BACKPROP_CLOSE)
NAMES = (*BACKPROPS, LAYERED)

DEFAULT = {"rtol": 1e-7, "atol": 0.0}
CLOSE = {"rtol": 1e-12, "atol": 1e-14}


def contenders() -> list[Contender]:
    """Return these checks, none where PyTorch is not installed."""
    if not TORCH.version:
        return []
    beside = "the gradient of PyTorch's autograd, compared by numpy's assert_allclose"
    found: list[tuple[str, str, str, Prepare, Callable[[Subject], Passes]]] = [
        (BACKPROP, f"{beside} at its defaults, rtol=1e-7", "numpy",
         partial(second_backprop, DEFAULT), of_numpy),
        (BACKPROP_CLOSE, f"{beside}, rtol=1e-12, atol=1e-14", "numpy",
         partial(second_backprop, CLOSE), of_numpy),
        (LAYERED, "layered differences written in PyTorch, step 1e-5, compared by assert_allclose, "
         "rtol=0, atol=1e-9", "torch", layered, of_torch),
    ]  # fmt: skip
    return [
        Contender(
            name,
            ours=False,
            block=NETWORK,
            bound=NONE,
            written_in=written_in,
            settings=settings,
            version=f"torch {TORCH.version}",
            every_coordinate=False,
            slow_to_fail=False,
            prepare=prepare,
            forward=forward,
        )
        for name, settings, written_in, prepare, forward in found
    ]


def of_numpy(subject: Subject) -> Passes:
    """Prepare forward passes of the reference network."""

    def run(n: int) -> None:
        for _ in range(n):
            subject.engine.loss(subject.problem)

    return run


def of_torch(subject: Subject) -> Passes:
    """Prepare forward passes of the network in PyTorch."""
    return torch_gradcheck.forward_passes(subject.problem)


def second_backprop(
    tolerances: Mapping[str, float], subject: Subject, tick: Tick, planted: Planted | None
) -> Run:
    """Prepare the comparison with PyTorch's backprop of the same network."""
    import torch  # noqa: PLC0415 - heavy, loaded when needed

    engine, problem = engine_of(subject, planted), subject.problem
    cost, leaves = network_in_torch(problem, lambda: tick(1), None)

    def run() -> Answer:
        mine = gradient_as_dict(engine.value_and_grad(problem)[1]).values()
        theirs = [part.numpy() for part in torch.autograd.grad(cost(*leaves), leaves)]
        return judged(list(mine), theirs, **tolerances)

    return run


def layered(subject: Subject, _tick: Tick, planted: Planted | None) -> Run:
    """Prepare the comparison with layered differences; it makes no forward pass of the whole."""
    import torch  # noqa: PLC0415 - heavy, loaded when needed

    engine, problem = engine_of(subject, planted), subject.problem
    arrays = [torch.tensor(array) for array in problem.parameters.values()]
    layers = list(zip(arrays[::2], arrays[1::2], strict=True))
    X, Y = torch.tensor(problem.inputs), torch.tensor(problem.targets)

    def run() -> Answer:
        mine = gradient_as_dict(engine.value_and_grad(problem)[1]).values()
        theirs = [part.numpy() for part in layered_by_hand.differences(layers, X, Y)]
        return judged(list(mine), theirs, rtol=0.0, atol=layered_by_hand.ALLOWED)

    return run


def judged(mine: Sequence[Array], theirs: Sequence[Array], *, rtol: float, atol: float) -> Answer:
    """Compare as `numpy.testing.assert_allclose` does; the first that it shows is named."""
    try:
        for a, n in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(a, n, rtol=rtol, atol=atol)
    except AssertionError:
        a, n = (np.concatenate([np.ravel(part) for part in parts]) for parts in (mine, theirs))
        return Answer(FAIL, int(np.argmin(np.isclose(a, n, rtol=rtol, atol=atol))))
    return Answer(PASS)
