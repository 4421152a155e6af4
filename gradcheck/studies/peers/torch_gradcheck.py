"""PyTorch's `torch.autograd.gradcheck`, slow (every coordinate) and fast (one projection a tensor).

It prints both Jacobians where it fails, and names no coordinate. Where the fast mode fails, it runs
the slow one to tell more.

The slow mode also takes part as who knows rounding would set it. Central differences of step eps of
a loss C(x), each rounded to about u |C|, are off by about u |C| / eps, where u = 2^-53:

    atol = LEAST_SEEN |C(x)|,  rtol = 0,  eps = 1e-6:   u / eps = 1.1e-10

so LEAST_SEEN = 1e-9 leaves nine times that. Of a loss about 1, as most are, that is atol = 1e-9.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from gradcheck.engines.installed import Library
from gradcheck.problem import Problem
from gradcheck.studies.peers.base import (
    Check,
    GradientFunction,
    Judgement,
    Loss,
    Passes,
    Peer,
    Planted,
    Tick,
    Vector,
    shortened,
    slices,
)

TORCH = Library("peers", ["torch"], "https://github.com/pytorch/pytorch/issues")

LEAST_SEEN = 1e-9

Options: TypeAlias = dict[str, Any]
"""Settings of `gradcheck`, by name."""

OptionsFor: TypeAlias = Callable[[Callable[[], float]], Options]
"""The settings, from what computes the loss at x."""


def slow(_loss: Callable[[], float]) -> Options:
    """Leave all at its default."""
    return {}


def fast(_loss: Callable[[], float]) -> Options:
    """Ask for the fast mode alone."""
    return {"fast_mode": True}


def strict(_loss: Callable[[], float]) -> Options:
    """Set the tolerances of a loss about 1."""
    return {"atol": LEAST_SEEN, "rtol": 0.0}


def scaled(loss: Callable[[], float]) -> Options:
    """Set the tolerances by the loss, which takes one forward pass more."""
    return {"atol": LEAST_SEEN * abs(loss()), "rtol": 0.0}


def check(loss: Loss, gradient: GradientFunction, x: Vector, *, options: OptionsFor) -> Check:
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
    return partial(_run, BlackBox.apply, [leaf], options)


def check_network(
    problem: Problem, tick: Tick, wrong: Planted | None, *, options: OptionsFor
) -> Check:
    """Prepare the check of a network written in PyTorch; see `Peer.native`."""
    return partial(_run, *network_in_torch(problem, tick, wrong), options)


def forward_passes(problem: Problem) -> Passes:
    """Prepare forward passes of that network; see `Peer.forward`."""
    cost, leaves = network_in_torch(problem, lambda: None, None)
    return lambda n: [cost(*leaves) for _ in range(n)]


def network_in_torch(
    problem: Problem, tick: Tick, wrong: Planted | None
) -> tuple[Callable[..., Any], list[Any]]:
    """Return the network's loss as a function of its parameters, and these, as PyTorch has them."""
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

    return cost, leaves


def _with_factor(tensor: Any, factor: Any) -> Any:
    """Return the tensor, whose gradient is multiplied by the factor where there is one."""
    if factor is None or not tensor.requires_grad:
        return tensor
    same = tensor.view_as(tensor)
    same.register_hook(lambda gradient: None if gradient is None else gradient * factor)
    return same


def _run(function: Any, leaves: list[Any], options: OptionsFor) -> Judgement:
    import torch  # noqa: PLC0415 - loaded already
    from torch.autograd.gradcheck import GradcheckError  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not a double precision.*")
        try:
            settings = options(lambda: float(function(*leaves).detach()))
            passed = bool(torch.autograd.gradcheck(function, leaves, **settings))
        except GradcheckError as error:
            return Judgement(passed=False, told=shortened(error))
    return Judgement(passed=passed)


def _peer(name: str, settings: str, options: OptionsFor, *, every_coordinate: bool = True) -> Peer:
    return Peer(
        name,
        TORCH,
        settings,
        every_coordinate=every_coordinate,
        make=partial(check, options=options),
        make_native=partial(check_network, options=options),
        make_forward=forward_passes,
        slow_to_fail=not every_coordinate,
    )


CENTRAL = "central differences, eps 1e-6"

TORCH_SLOW = _peer("torch slow", f"gradcheck(f, x): {CENTRAL}, |a - n| <= 1e-5 + 1e-3 |n|", slow)

TORCH_STRICT = _peer(
    "torch slow, atol 1e-9",
    f"gradcheck(f, x, atol=1e-9, rtol=0): {CENTRAL}, |a - n| <= 1e-9",
    strict,
)

TORCH_SCALED = _peer(
    "torch slow, scaled",
    f"gradcheck(f, x, atol=1e-9 * abs(f(x)), rtol=0): {CENTRAL}, |a - n| <= 1e-9 |f(x)|",
    scaled,
)

TORCH_FAST = _peer(
    "torch fast",
    "gradcheck(f, x, fast_mode=True): one random projection a tensor, eps 1e-6, atol 1e-5 times "
    "the sums of the projection, rtol 1e-3",
    fast,
    every_coordinate=False,
)
