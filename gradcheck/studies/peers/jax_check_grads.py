"""JAX's `jax.test_util.check_grads`: one random direction, always the same.

A black box has no forward mode: it is checked in reverse mode alone. A network written in JAX is
checked in both, as is the default, and is compiled.

float64 is switched on for the process for the length of a check: large callbacks run in another
thread, where the context manager `jax.enable_x64` does not reach and float64 would become float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
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


def check(loss: Loss, gradient: GradientFunction, x: Vector) -> Check:
    """Prepare the check of a black box, as a `custom_vjp`; see `Peer.checker`."""
    import jax  # noqa: PLC0415 - heavy, loaded when needed

    number = jax.ShapeDtypeStruct((), x.dtype)
    vector = jax.ShapeDtypeStruct(x.shape, x.dtype)

    def value(point: Any) -> Vector:
        return np.asarray(loss(np.array(point)), x.dtype)

    def slope(point: Any) -> Vector:
        return np.asarray(gradient(np.array(point)), x.dtype)

    @jax.custom_vjp  # type: ignore[untyped-decorator]  # the library is not looked into
    def f(point: Any) -> Any:
        return jax.pure_callback(value, number, point)

    def backward(point: Any, upstream: Any) -> Any:
        return (upstream * jax.pure_callback(slope, vector, point),)

    f.defvjp(lambda point: (f(point), point), backward)
    return lambda: _run(f, x.copy(), modes=("rev",))


def check_network(problem: Problem, tick: Tick, wrong: Planted | None) -> Check:
    """Prepare the check of a network written in JAX; see `Peer.native`."""
    cost, parameters = _network(problem, tick, wrong)
    return lambda: _run(cost, parameters)


def forward_passes(problem: Problem) -> Passes:
    """Prepare forward passes of that network; see `Peer.forward`."""
    cost, parameters = _network(problem, lambda: None, None)

    def run(n: int) -> None:
        with _in_float64():
            for _ in range(n):
                cost(parameters).block_until_ready()

    return run


def _network(
    problem: Problem, tick: Tick, wrong: Planted | None
) -> tuple[Callable[[Any], Any], list[Vector]]:
    """Return the network's loss as a function of its parameters, and these."""
    network, parameters = problem.architecture, list(problem.parameters.values())
    m = problem.batch if network.reduction == "mean" else 1
    factors, cost = slices(wrong, parameters), _compiled()

    def counted(arrays: Any) -> Any:
        tick()
        return cost(arrays, factors, problem.inputs, problem.targets, m, network.loss)

    return counted, parameters


@cache
def _compiled() -> Any:
    """Return the network as a compiled function, one for all problems: JAX keeps it by shapes."""
    import jax  # noqa: PLC0415 - heavy, loaded when needed

    jnp = jax.numpy

    @jax.custom_jvp  # type: ignore[untyped-decorator]  # the library is not looked into
    def with_factor(array: Any, factor: Any) -> Any:
        del factor  # of the tangents alone
        return array

    with_factor.defjvp(lambda values, tangents: (values[0], tangents[0] * values[1]))

    @partial(jax.jit, static_argnums=(4, 5))
    def cost(arrays: Any, factors: Any, X: Any, Y: Any, m: int, loss: str) -> Any:
        pairs = zip(arrays, factors, strict=True)
        arrays = [array if f is None else with_factor(array, f) for array, f in pairs]
        a = X
        for W, b in zip(arrays[::2], arrays[1::2], strict=True):
            z = a @ W.T + b
            a = jax.nn.sigmoid(z)
        if loss == "quadratic":
            return jnp.sum((a - Y) ** 2) / (2 * m)
        log_p, log_q = jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)
        return -jnp.sum(Y * log_p + (1 - Y) * log_q) / m

    return cost


def _run(f: Any, argument: Any, **options: Any) -> Judgement:
    from jax.test_util import check_grads  # noqa: PLC0415 - loaded already

    try:
        with _in_float64():
            check_grads(f, (argument,), order=1, **options)
    except AssertionError as error:
        return Judgement(passed=False, told=shortened(error))
    return Judgement(passed=True)


@contextmanager
def _in_float64() -> Iterator[None]:
    import jax  # noqa: PLC0415 - loaded already

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


JAX = Peer(
    "jax check_grads",
    Library("peers", ["jax"], "https://github.com/jax-ml/jax/issues"),
    "check_grads(f, x, order=1): one direction, eps 1e-4, |a - n| <= t + t |n| with t = 1e-5 for "
    "float64, 2e-3 for float32; reverse and forward mode, reverse alone for a black box",
    every_coordinate=False,
    make=check,
    make_native=check_network,
    make_forward=forward_passes,
)
