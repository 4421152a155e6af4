"""x, losses and derivatives may be tensors: each function gets its own kind, new at every call."""

import numpy as np
import pytest

from gradcheck.checks.gradient import check_gradient
from gradcheck.checks.hessian import check_hessian_vector_product
from gradcheck.checks.jacobian import check_jacobian
from gradcheck.outcomes.reasons import Reason, Verdict

X = np.array([0.5, -1.25, 2.0])
W = np.array([0.7, -1.3, 0.4])
PASSES = (Verdict.PASS, None)


def verdict(outcome):
    return outcome.verdict, outcome.reason


# --- PyTorch ------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tensors_keep_their_precision(torch, dtype):
    w = torch.tensor(W, dtype=getattr(torch, dtype))

    def f(x):
        assert x.dtype == w.dtype
        return w @ torch.sin(x)

    x = torch.tensor(X, dtype=w.dtype)
    assert verdict(check_gradient(f, lambda x: w * torch.cos(x), x)) == PASSES
    assert check_gradient(f, lambda x: w * torch.sin(x), x).verdict is Verdict.FAIL


def test_a_leaf_that_requires_a_gradient_does_so_again_at_every_call(torch):
    x = torch.tensor(X, requires_grad=True)

    def gradient(x):
        assert x.grad is None
        torch.sin(x).sum().backward()
        return x.grad

    def by_autograd(x):
        return torch.autograd.grad(torch.sin(x).sum(), x)

    for answer in (gradient, by_autograd):
        assert verdict(check_gradient(lambda x: torch.sin(x).sum(), answer, x)) == PASSES
    assert x.grad is None


def test_the_parameters_of_a_module_are_a_dict_of_tensors(torch):
    linear, X = torch.nn.Linear(3, 2).double(), torch.randn(5, 3, dtype=torch.float64)
    weights = torch.randn(5, 2, dtype=torch.float64)

    def loss(p):
        return (weights * torch.func.functional_call(linear, p, (X,)).tanh()).sum()

    outcome = check_gradient(loss, torch.func.grad(loss), dict(linear.named_parameters()))
    assert verdict(outcome) == PASSES, str(outcome)


class Forgetful:
    """x^3, whose backward forgets what comes from above."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, _above):
        (x,) = ctx.saved_tensors
        return 3 * x**2


def test_weighed_outputs_find_a_backward_that_forgets_what_comes_from_above(torch):
    cube = type("Cube", (Forgetful, torch.autograd.Function), {}).apply

    def gradient(weights):
        def answer(a):
            x = torch.tensor(a, requires_grad=True)
            (torch.tensor(weights) * cube(x)).sum().backward()
            return x.grad.numpy()

        return answer

    ones = np.ones(3)
    assert verdict(check_gradient(lambda a: ones @ a**3, gradient(ones), X)) == PASSES
    assert check_gradient(lambda a: W @ a**3, gradient(W), X).verdict is Verdict.FAIL


def test_jacobians_and_products_of_tensors(torch):
    x = torch.tensor(X)
    jacobian = torch.autograd.functional.jacobian
    assert verdict(check_jacobian(torch.tanh, lambda x: jacobian(torch.tanh, x), x)) == PASSES
    outcome = check_hessian_vector_product(
        torch.cos, lambda x, v: -torch.sin(x) * v, x, torch.tensor(W)
    )
    assert verdict(outcome) == PASSES


def test_a_tensor_that_numpy_cannot_read_is_refused_in_words(torch):
    with pytest.raises(TypeError, match=r"x is a torch array of shape \(3,\) of bfloat16"):
        check_gradient(lambda x: x.sum(), torch.ones_like, torch.tensor(X).bfloat16())


# --- JAX ----------------------------------------------------------------------------------------


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield jax
    jax.config.update("jax_enable_x64", before)


def test_functions_of_jax_are_checked_as_they_are(jax):
    def f(x):
        return jax.numpy.asarray(W) @ jax.numpy.sin(x)

    x = jax.numpy.asarray(X)
    assert verdict(check_gradient(jax.jit(f), jax.grad(f), x)) == PASSES
    assert check_gradient(f, lambda x: 1.01 * jax.grad(f)(x), x).verdict is Verdict.FAIL
    tanh = jax.numpy.tanh
    assert verdict(check_jacobian(tanh, jax.jacobian(tanh), x)) == PASSES


def test_jax_in_float32_is_told_of_its_switch(jax):
    jax.config.update("jax_enable_x64", False)
    x32 = jax.numpy.asarray(X)

    def f(x):
        return jax.numpy.sin(x).sum()

    assert verdict(check_gradient(f, jax.grad(f), x32)) == PASSES
    outcome = check_gradient(f, jax.grad(f), X)
    assert outcome.reason is Reason.DTYPE
    assert 'jax.config.update("jax_enable_x64", True)' in str(outcome)


# --- pandas -------------------------------------------------------------------------------------


def test_labelled_numbers_keep_their_labels():
    pd = pytest.importorskip("pandas")

    def f(s):
        return s["a"] ** 2 + np.sin(s["b"])

    def gradient(s):
        return pd.Series({"b": np.cos(s["b"]), "a": 2 * s["a"]})

    x = pd.Series({"a": 0.5, "b": 1.0})
    assert verdict(check_gradient(f, gradient, x)) == PASSES
    assert check_gradient(f, lambda s: 2 * gradient(s), x).verdict is Verdict.FAIL
    other = check_gradient(f, lambda s: gradient(s).rename({"a": "c"}), x)
    assert other.reason is Reason.SHAPE
    assert "the gradient of x has the labels ['b', 'c'], but x has ['a', 'b']" in str(other)
