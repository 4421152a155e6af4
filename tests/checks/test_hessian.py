"""check_hessian_vector_product against Hessians that are known, and on products that lie."""

import collections

import numpy as np
import pytest

import gradcheck
from gradcheck.checks import hessian
from gradcheck.checks.hessian import check_hessian_vector_product
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.splitmix64 import Stream
from reference_models import sigmoid_network

# f(x) = 1/2 s.A s with s = sin x: gradient and Hessian in closed form.
A = np.array([[2.0, 1.0, -0.5], [1.0, 3.0, 0.25], [-0.5, 0.25, 1.5]])
X = np.array([0.5, -1.25, 2.0])
V = np.array([1.0, 0.5, -2.0])
PASSES = (Verdict.PASS, None)
FAILS = Verdict.FAIL


def gradient(x):
    return np.cos(x) * (A @ np.sin(x))


def H(x):  # noqa: N802  (the symbol)
    s, c = np.sin(x), np.cos(x)
    return np.diag(-s * (A @ s)) + c[:, None] * A * c


def product(x, v):
    return H(x) @ v


def verdict(*args, **kwargs):
    outcome = check_hessian_vector_product(*args, **kwargs)
    return outcome.verdict, outcome.reason


# --- what passes --------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("length", [1e-9, 1.0, 1e9])
def test_the_right_product_passes_at_any_size_of_the_loss_and_length_of_v(factor, length):
    found = verdict(
        lambda x: factor * gradient(x), lambda x, v: factor * product(x, v), X, length * V
    )
    assert found == PASSES


def test_the_scale_of_x_does_not_matter():
    for scale in (1e-6, 1e6):
        found = verdict(
            lambda x, c=scale: gradient(x / c) / c,
            lambda x, v, c=scale: product(x / c, v) / c**2,
            scale * X,
            V,
        )
        assert found == PASSES


def test_a_quadratic_at_the_origin_passes():
    assert verdict(lambda x: A @ x, lambda _, v: A @ v, np.zeros(3), V) == PASSES


def test_a_direction_along_one_array_of_a_separable_function_passes():
    x = {"a": np.array([0.5, 1.0]), "b": np.array([0.25])}
    v = {"b": np.array([0.0]), "a": np.array([1.0, -1.0])}
    found = verdict(
        lambda p: {k: np.sin(array) for k, array in p.items()},
        lambda p, q: {k: np.cos(p[k]) * q[k] for k in p},
        x,
        v,
    )
    assert found == PASSES


@pytest.mark.parametrize("size", [1e-9, 1e-7, 1.0])
def test_a_block_of_zeros_that_was_forgotten_fails_however_small_it_is_beside_others(size):
    def gradient(p):
        return {"a": np.sin(p["a"]), "b": size * np.sin(p["b"])}

    def product(p, q, kept=1.0):
        return {"a": np.cos(p["a"]) * q["a"], "b": kept * size * np.cos(p["b"]) * q["b"]}

    x = {"a": np.array([0.5, 1.0]), "b": np.array([0.25, 0.75])}
    v = {"a": np.array([1.0, -1.0]), "b": np.array([1.0, 0.5])}
    assert verdict(gradient, product, x, v) == PASSES
    outcome = check_hessian_vector_product(gradient, lambda p, q: product(p, q, kept=0.0), x, v)
    assert outcome.verdict is FAILS
    assert {d.name for d in outcome.discrepancies} == {"(H v) at b[0]", "(H v) at b[1]"}


def network(factor):
    """Gradient and Hessian-vector product (by complex step) of the reference network."""
    rng = np.random.default_rng(7)
    X, Y = rng.standard_normal((4, 3)), rng.random((4, 2))
    shapes = {"W1": (4, 3), "b1": (4,), "W2": (2, 4), "b2": (2,)}
    x, v = ({k: rng.standard_normal(shape) for k, shape in shapes.items()} for _ in range(2))

    def value_of(p, X=X, Y=Y):
        layers = [(p["W1"], p["b1"]), (p["W2"], p["b2"])]
        (dW1, db1), (dW2, db2) = sigmoid_network.value_and_grad(layers, X, Y)[1]
        return {"W1": factor * dW1, "b1": factor * db1, "W2": factor * dW2, "b2": factor * db2}

    def complex_step(p, q):
        moved = {k: p[k] + 1e-100j * q[k] for k in p}
        g = value_of(moved, X.astype(complex), Y.astype(complex))
        return {k: array.imag / 1e-100 for k, array in g.items()}

    return value_of, complex_step, x, v


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
def test_the_product_of_the_reference_network_passes_and_one_wrong_entry_in_it_fails(factor):
    value_of, complex_step, x, v = network(factor)
    assert verdict(value_of, complex_step, x, v) == PASSES

    def wrong(p, q):
        Hv = complex_step(p, q)
        Hv["W1"][2, 1] *= 1 + 1e-6
        return Hv

    outcome = check_hessian_vector_product(value_of, wrong, x, v)
    assert [d.name for d in outcome.discrepancies] == ["(H v) at W1[2,1]"]


# --- products that lie --------------------------------------------------------------------------


def gauss_newton(x, v):
    """The curvature of the outer function alone: the term with f'' of the inner one is missing."""
    return np.cos(x) * (A @ (np.cos(x) * v))


@pytest.mark.parametrize(
    "lie",
    [
        lambda x, v: np.triu(H(x)) @ v,
        lambda x, v: (np.tril(H(x)) + np.tril(H(x), -1).T * 0.5) @ v,
        gauss_newton,
        lambda x, v: -product(x, v),
        lambda x, v: product(x, v) * (1 + 1e-6),
        lambda x, v: product(x, v) * np.array([1, 1, 1 + 1e-6]),
        lambda x, v: product(x, v) / np.linalg.norm(v),
        lambda x, _: product(x, x),
        lambda x, _: gradient(x),
        lambda *_: np.zeros(3),
    ],
    ids=["triangle alone", "half of the upper triangle", "gauss-newton", "sign", "1e-6",
         "one entry by 1e-6", "v normalised", "x for v", "the gradient", "zeros"],
)  # fmt: skip
@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
def test_wrong_products_fail(lie, factor):
    found = verdict(lambda x: factor * gradient(x), lambda x, v: factor * lie(x, v), X, V)
    assert found == (FAILS, Reason.MISMATCH)


def steps_v(x, v):
    v *= 2
    return product(x, v)


class Counting:
    """A product that behaves differently from call to call."""

    def __init__(self, answer):
        self.calls, self.answer = 0, answer

    def __call__(self, x, v):
        self.calls += 1
        return self.answer(self.calls, x, v)


BUFFER = np.zeros(3)


def overwrites(x, v):
    BUFFER[...] = product(x, v)
    return BUFFER


@pytest.mark.parametrize(
    ("lie", "reason", "told"),
    [
        (lambda _, v: np.where(v == 0.5, np.nan, v), Reason.NONFINITE, "(H v) at x[1] is nan"),
        (lambda x, v: product(x, v)[:2], Reason.SHAPE, "(2,), but must have (3,)"),
        (lambda x, _: H(x), Reason.SHAPE, "(3, 3), but must have (3,)"),
        (lambda x, v: product(x, v).astype(np.float32), Reason.DTYPE, "float32"),
        (steps_v, Reason.INPUT_CHANGED, "product changes its argument: v"),
        (lambda _, v: v, Reason.ALIASED, "view of v"),
        (lambda x, _: x, Reason.ALIASED, "view of x"),
        (overwrites, Reason.ALIASED, "overwrites"),
        (Counting(lambda n, x, v: product(x, v) + 1e-3 * (n > 2)), Reason.NONDETERMINISTIC, ""),
    ],
    ids=lambda v: v.value if isinstance(v, Reason) else "",
)
def test_bad_manners_are_found_and_named(lie, reason, told):
    outcome = check_hessian_vector_product(gradient, lie, X, V)
    assert (outcome.verdict, outcome.reason) == (FAILS, reason), str(outcome)
    assert told in str(outcome)


def test_a_gradient_that_changes_its_argument_is_found_at_once_or_later():
    def rude(x):
        x += 1e-3
        return gradient(x)

    def rude_elsewhere(x):
        value = gradient(x)
        if x[0] > X[0]:
            x[2] = 0.0
        return value

    assert verdict(rude, product, X, V) == (FAILS, Reason.INPUT_CHANGED)
    assert verdict(rude_elsewhere, product, X, V) == (FAILS, Reason.INPUT_CHANGED)


def test_a_gradient_that_is_not_finite_has_no_derivative():
    found = verdict(lambda x: gradient(x) * np.array([1, np.inf, 1]), product, X, V)
    assert found == (Verdict.INCONCLUSIVE, Reason.DOMAIN)


# --- what cannot be decided ---------------------------------------------------------------------


def test_a_kink_of_the_gradient_is_reported_as_such():
    assert verdict(np.abs, lambda _, v: v + 0, np.zeros(1), np.ones(1)) == PASSES
    found = verdict(np.abs, lambda _, v: 2 * v, np.zeros(1), np.ones(1))
    assert found == (FAILS, Reason.SUBGRADIENT)


def test_a_direction_of_zeros_is_vacuous():
    assert verdict(gradient, product, X, np.zeros(3)) == (Verdict.INCONCLUSIVE, Reason.VACUOUS)


def test_no_coordinates_are_no_pass():
    empty = np.zeros(0)
    found = verdict(lambda x: x + 0, lambda _, v: v + 0, empty, empty)
    assert found == (Verdict.INCONCLUSIVE, Reason.VACUOUS)


def test_the_budget_is_kept():
    calls = collections.Counter()

    def counted(x):
        calls["gradient"] += 1
        return gradient(x)

    for budget in (1, 5, 30):
        calls.clear()
        outcome = check_hessian_vector_product(counted, product, X, V, budget=budget)
        assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.BUDGET)
        assert calls["gradient"] == outcome.forward_passes <= budget


# --- rounding of x + t v ------------------------------------------------------------------------


def single_precision(a):
    """The loss of this file in float64 at a float32 point: the line is coarser than the loss."""
    x, v = np.sin(np.arange(1, 4) * a), np.cos(np.arange(1, 4) * a * 0.7)

    def wide_gradient(x):
        return gradient(x.astype(float))

    def wide_product(x, v):
        return product(x.astype(float), v.astype(float))

    return wide_gradient, wide_product, x.astype(np.float32), v.astype(np.float32)


def test_the_rounding_of_the_line_accuses_nobody(monkeypatch):
    cases = range(200, 240)
    assert all(verdict(*single_precision(a)) == PASSES for a in cases)
    monkeypatch.setattr(hessian._Ray, "rounding_noise", lambda ray, _: np.zeros(ray._x.size))
    assert any(verdict(*single_precision(a)) != PASSES for a in cases)


def test_noise_that_is_told_is_allowed_for():
    def wrong(x, v):
        return product(x, v) * (1 + 1e-4)

    assert verdict(gradient, wrong, X, V) == (FAILS, Reason.MISMATCH)
    found = verdict(gradient, wrong, X, V, noise=0.1)
    assert found == (Verdict.INCONCLUSIVE, Reason.VACUOUS)


# --- cost and manners ---------------------------------------------------------------------------


def test_the_cost_is_what_an_independent_counter_says_and_does_not_grow_with_x():
    costs = []
    for n in (3, 60):
        calls = collections.Counter()
        x = np.linspace(0.1, 1.5, n)

        def counted(x, calls=calls):
            calls["gradient"] += 1
            return np.sin(x)

        def counted_product(x, v, calls=calls):
            calls["product"] += 1
            return np.cos(x) * v

        outcome = check_hessian_vector_product(counted, counted_product, x, np.ones(n))
        assert outcome.verdict is Verdict.PASS
        assert outcome.forward_passes == calls["gradient"]
        assert outcome.backward_passes == calls["product"] == 3
        costs.append(calls["gradient"])
    assert costs[1] < 3 * costs[0]


def test_x_and_v_are_never_changed():
    x, v = X.copy(), V.copy()
    x.flags.writeable = v.flags.writeable = False
    assert verdict(gradient, product, x, v) == PASSES


def test_the_same_seed_gives_the_same_outcome_and_the_line_that_repeats_it():
    options = {"noise": 1e-9, "budget": 900, "resolution": 1e-3, "seed": 3}
    first, second = (
        str(check_hessian_vector_product(gradient, gauss_newton, X, V, **options)) for _ in range(2)
    )
    assert first == second
    told = ", ".join(f"{name}={value}" for name, value in options.items())
    assert f"gradcheck.check_hessian_vector_product(gradient, product, x, v, {told})" in first


@pytest.mark.parametrize(
    ("vector", "power"),
    [
        ([], 1.0),
        ([0.0, 0.0], 1.0),
        ([0.25, -0.4], 0.25),
        ([2.0**-900], 2.0**-900),
        ([3.9, -4.0, 0.0], 4.0),
        ([7.9], 4.0),
    ],
)
def test_the_unit_of_a_vector_is_the_power_of_two_below_its_largest_entry(vector, power):
    assert hessian._power_of_two(np.array(vector)) == power


@pytest.mark.parametrize(
    ("v", "error", "told"),
    [
        (np.ones(2), ValueError, r"v has arrays of shapes .*\(2,\).*, but x has .*\(3,\)"),
        ({"x": V, "y": V}, ValueError, "v is a dict with the keys x, y"),
        (np.array([1, 2, 3]), TypeError, "v has dtype int64"),
        (np.array([1.0, np.inf, 0.0]), ValueError, r"v must be finite, but is inf at x\[1\]"),
    ],
)
def test_a_direction_that_does_not_fit_is_named(v, error, told):
    with pytest.raises(error, match=told):
        check_hessian_vector_product(gradient, product, X, v)


def test_misuse_is_named():
    with pytest.raises(ValueError, match=r"gradient is no gradient at x: .* shape \(2,\)"):
        check_hessian_vector_product(lambda x: x[:2], product, X, V)
    with pytest.raises(ValueError, match=r"noise=0\.0 must be"):
        check_hessian_vector_product(gradient, product, X, V, noise=0.0)
    assert gradcheck.check_hessian_vector_product is check_hessian_vector_product


@pytest.mark.parametrize("scale", [1.0, 2.0**-20])
def test_the_noise_of_a_ray_is_that_of_half_an_ulp_of_what_moves(scale):
    x, v = np.array([1.0, -4.0, 2.0]), np.array([1.0, 0.0, -2.0])
    slopes = np.array([8.0, 2.0, -1.0])
    ray = hessian._Ray(lambda p: scale * slopes * p, x, v)
    ulps = np.array([2.0**-52, 0.0, 2.0**-51])
    # a gradient of one coordinate each moves by as much whatever the signs are
    noise = hessian.UNDERESTIMATE * scale * np.abs(slopes) * ulps / 2
    assert ray.rounding_noise(Stream(0, "ray")).tolist() == noise.tolist()
    lost = hessian._Ray(lambda p: np.where(p == x, p, np.nan), x, v)
    assert lost.rounding_noise(Stream(0, "ray")).tolist() == [np.inf, 0.0, np.inf]
