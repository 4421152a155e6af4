"""Engines of other libraries, as their users would hand them in: a bare function of a problem.

These need the extras `torch` and `jax`; without them the tests are reported as skipped by name.
"""

import numpy as np
import pytest

from gradcheck.checks.consistency import check_consistency
from gradcheck.engines.base import engine_from_callable
from gradcheck.outcomes.reasons import Verdict
from gradcheck.problems.case import parse

CASES = [
    "gc1:3-4-2:cross_entropy:mean:m5:float64:w1:generic:soft:s3",
    "gc1:4-1:cross_entropy:mean:m6:float64:w3:generic:binary:s1",
    "gc1:3-5-4-1:cross_entropy:mean:m4:float32:w1:generic:binary:s2",
]


def with_torch(problem):
    torch = pytest.importorskip("torch")

    def tensor(array):
        return torch.tensor(np.array(array))

    layers = [
        (tensor(W).requires_grad_(), tensor(b).requires_grad_())
        for W, b in zip(problem.weights, problem.biases, strict=True)
    ]
    a = tensor(problem.inputs)
    for W, b in layers:
        z = a @ W.T + b
        a = torch.sigmoid(z)
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        z, tensor(problem.targets), reduction="none"
    )
    loss = each.sum() / len(problem.inputs)
    loss.backward()
    return loss.item(), [(W.grad.numpy(), b.grad.numpy()) for W, b in layers]


def with_jax(problem):
    jax = pytest.importorskip("jax")
    jnp = jax.numpy

    def loss(layers):
        a = jnp.asarray(problem.inputs)
        for W, b in layers:
            z = a @ W.T + b
            a = jax.nn.sigmoid(z)
        Y = jnp.asarray(problem.targets)
        return jnp.sum((1 - Y) * jax.nn.softplus(z) + Y * jax.nn.softplus(-z)) / len(a)

    with jax.enable_x64(True):
        layers = list(zip(problem.weights, problem.biases, strict=True))
        value, gradient = jax.value_and_grad(loss)(layers)
    return float(value), [(np.array(dW), np.array(db)) for dW, db in gradient]


@pytest.mark.parametrize("token", CASES)
@pytest.mark.parametrize("library", [with_torch, with_jax])
def test_the_gradients_of_the_library_pass(library, token):
    engine = engine_from_callable(library, library.__name__)
    outcome = check_consistency(engine, parse(token).problem())
    assert outcome.verdict is Verdict.PASS, str(outcome)
