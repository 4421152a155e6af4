"""PyTorch's `torch.autograd.gradcheck`, slow (every coordinate) and fast (one projection a tensor).

It prints both Jacobians where it fails, and names no coordinate. Where the fast mode fails, it runs
the slow one to tell more.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

from gradcheck.engines.installed import Library
from gradcheck.peers.base import (
    Check,
    GradientFunction,
    Judgement,
    Loss,
    Peer,
    Planted,
    Tick,
    Vector,
    shortened,
    slices,
)
from gradcheck.problem import Problem

TORCH = Library("peers", ["torch"], "https://github.com/pytorch/pytorch/issues")


def check(loss: Loss, gradient: GradientFunction, x: Vector, *, fast: bool) -> Check:
    """Prepare the check of a black box, as an `autograd.Function`; see `Peer.checker`."""
    import torch  # noqa: PLC0415 - heavy, loaded when needed

    class BlackBox(torch.autograd.Function):  # type: ignore[misc]  # a class of no known type
        @staticmethod
        def forward(ctx: Any, point: Any) -> Any:
            ctx.save_for_backward(point)
            return torch.tensor(loss(point.detach().numpy()), dtype=point.dtype)

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            (point,) = ctx.saved_tensors
            return upstream * torch.tensor(gradient(point.detach().numpy()))

    leaf = torch.tensor(x, requires_grad=True)
    return partial(_run, BlackBox.apply, [leaf], fast)


def check_network(problem: Problem, tick: Tick, wrong: Planted | None, *, fast: bool) -> Check:
    """Prepare the check of a network written in PyTorch; see `Peer.native`."""
    import torch  # noqa: PLC0415 - heavy, loaded when needed

    F = torch.nn.functional
    network, parameters = problem.architecture, problem.parameters
    leaves = [torch.tensor(array, requires_grad=True) for array in parameters.values()]
    X, Y = torch.tensor(problem.inputs), torch.tensor(problem.targets)
    m = problem.batch if network.reduction == "mean" else 1
    factors = [
        None if part is None else torch.tensor(part)
        for part in slices(wrong, list(parameters.values()))
    ]

    def cost(*tensors: Any) -> Any:
        tick()
        a = X
        tensors = tuple(map(_with_factor, tensors, factors))
        for W, b in zip(tensors[::2], tensors[1::2], strict=True):
            z = F.linear(a, W, b)
            a = torch.sigmoid(z)
        if network.loss == "quadratic":
            return F.mse_loss(a, Y, reduction="sum") / (2 * m)
        return F.binary_cross_entropy_with_logits(z, Y, reduction="sum") / m

    return partial(_run, cost, leaves, fast)


def _with_factor(tensor: Any, factor: Any) -> Any:
    """Return the tensor, whose gradient is multiplied by the factor where there is one."""
    if factor is None or not tensor.requires_grad:
        return tensor
    same = tensor.view_as(tensor)
    same.register_hook(lambda gradient: None if gradient is None else gradient * factor)
    return same


def _run(function: Any, leaves: list[Any], fast: bool) -> Judgement:
    import torch  # noqa: PLC0415 - loaded already
    from torch.autograd.gradcheck import GradcheckError  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not a double precision.*")
        try:
            passed = bool(torch.autograd.gradcheck(function, leaves, fast_mode=fast))
        except GradcheckError as error:
            return Judgement(passed=False, told=shortened(error))
    return Judgement(passed=passed)


TORCH_SLOW = Peer(
    "torch slow",
    TORCH,
    "gradcheck(f, x): central differences, eps 1e-6, |a - n| <= 1e-5 + 1e-3 |n|",
    every_coordinate=True,
    make=partial(check, fast=False),
    make_native=partial(check_network, fast=False),
)

TORCH_FAST = Peer(
    "torch fast",
    TORCH,
    "gradcheck(f, x, fast_mode=True): one random projection a tensor, eps 1e-6, atol 1e-5 times "
    "the sums of the projection, rtol 1e-3",
    every_coordinate=False,
    make=partial(check, fast=True),
    make_native=partial(check_network, fast=True),
    slow_to_fail=True,
)
