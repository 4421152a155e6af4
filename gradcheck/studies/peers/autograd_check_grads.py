"""autograd's `autograd.test_util.check_grads`: one random direction.

A black box has one derivative, in reverse mode: order 1, mode "rev". A network written in autograd
is checked at the defaults: second derivatives too, in both modes. The directions come from numpy's
global generator, which is seeded for the length of a check and then put back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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

SEED = 0


def check(loss: Loss, gradient: GradientFunction, x: Vector) -> Check:
    """Prepare the check of a black box, as a primitive; see `Peer.checker`."""
    from autograd.extend import defvjp, primitive  # noqa: PLC0415 - loaded when needed

    @primitive  # type: ignore[untyped-decorator]  # the library has no types
    def f(point: Vector) -> Any:
        return x.dtype.type(loss(point))

    defvjp(f, lambda _value, point: lambda upstream: upstream * gradient(point))
    return lambda: _run(f, x.copy(), modes=["rev"], order=1)


def check_network(problem: Problem, tick: Tick, wrong: Planted | None) -> Check:
    """Prepare the check of a network written in autograd; see `Peer.native`."""
    cost, parameters = _network(problem, tick, wrong)
    return lambda: _run(cost, parameters)


def forward_passes(problem: Problem) -> Passes:
    """Prepare forward passes of that network; see `Peer.forward`."""
    cost, parameters = _network(problem, lambda: None, None)
    return lambda n: [cost(parameters) for _ in range(n)]


def _network(
    problem: Problem, tick: Tick, wrong: Planted | None
) -> tuple[Callable[[Any], Any], list[Vector]]:
    """Return the network's loss as a function of its parameters, and these."""
    import autograd.numpy as anp  # noqa: PLC0415 - loaded when needed

    network = problem.architecture
    parameters = list(problem.parameters.values())
    X, Y = problem.inputs, problem.targets
    m = problem.batch if network.reduction == "mean" else 1
    factors = slices(wrong, parameters)

    def cost(arrays: Any) -> Any:
        tick()
        a = X
        arrays = [_with_factor(array, part) for array, part in zip(arrays, factors, strict=True)]
        for W, b in zip(arrays[::2], arrays[1::2], strict=True):
            z = anp.dot(a, W.T) + b
            a = 1 / (1 + anp.exp(-z))
        if network.loss == "quadratic":
            return anp.sum((a - Y) ** 2) / (2 * m)
        return anp.sum(anp.logaddexp(0, z) - Y * z) / m

    return cost, parameters


def _with_factor(array: Any, factor: Vector | None) -> Any:
    """Return the array, whose derivative is multiplied by the factor where there is one."""
    from autograd.extend import defjvp, defvjp, primitive  # noqa: PLC0415 - loaded already

    if factor is None:
        return array

    @primitive  # type: ignore[untyped-decorator]  # the library has no types
    def same(value: Vector) -> Vector:
        return value.copy()

    defvjp(same, lambda _value, _point: lambda upstream: upstream * factor)
    defjvp(same, lambda tangent, _value, _point: tangent * factor)
    return same(array)


def _run(f: Any, argument: Any, **options: Any) -> Judgement:
    from autograd.test_util import check_grads  # noqa: PLC0415 - loaded already

    state = np.random.get_state()  # noqa: NPY002 - the generator that the library draws from
    np.random.seed(SEED)  # noqa: NPY002
    try:
        check_grads(f, **options)(argument)
    except AssertionError as error:
        return Judgement(passed=False, told=shortened(error))
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return Judgement(passed=True)


AUTOGRAD = Peer(
    "autograd check_grads",
    Library("peers", ["autograd"], "https://github.com/HIPS/autograd/issues"),
    "check_grads(f)(x): one direction, eps 1e-6, |a - n| < 1e-6 or |a - n| / |a + n| < 1e-6; "
    "order 2 in both modes, order 1 in reverse mode alone for a black box",
    every_coordinate=False,
    make=check,
    make_native=check_network,
    make_forward=forward_passes,
)
