"""check_jacobian on functions whose Jacobians are known, and on Jacobians that lie."""

import collections

import numpy as np
import pytest

import gradcheck
from gradcheck.checks import outputs
from gradcheck.checks.jacobian import check_jacobian
from gradcheck.outcomes.reasons import Reason, Verdict
from reference_models import sigmoid_network

X = np.array([0.5, -1.25, 2.0])
PASSES = (Verdict.PASS, None)
FAILS = Verdict.FAIL


def F(x):  # noqa: N802  (the symbol)
    return np.array([x[0] * x[1], np.sin(x[2]) * x[0], np.exp(x[1])])


def jacobian(x):
    return np.array(
        [[x[1], x[0], 0.0], [np.sin(x[2]), 0.0, np.cos(x[2]) * x[0]], [0.0, np.exp(x[1]), 0.0]]
    )


def verdict(*args, **kwargs):
    outcome = check_jacobian(*args, **kwargs)
    return outcome.verdict, outcome.reason


def scaled(factor, changed=lambda J: J):
    """The function and its Jacobian, changed, both times a factor."""
    return lambda x: factor * F(x), lambda x: factor * changed(jacobian(x))


def entry(k, j, factor):
    def changed(J):
        J[k, j] *= factor
        return J

    return changed


def row(k, value):
    def changed(J):
        J[k] = value
        return J

    return changed


# --- what passes --------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
def test_the_right_jacobian_passes_at_any_size_of_the_outputs(factor):
    assert verdict(*scaled(factor), X) == PASSES


@pytest.mark.parametrize(
    ("F", "jacobian", "x"),
    [
        (np.sin, lambda x: np.diag(np.cos(x)), X),
        (lambda x: x @ x, lambda x: 2 * x, X),
        (lambda x: np.array([x @ x]), lambda x: 2 * x[None, :], X),
        (lambda x: x["a"] @ x["b"],
         lambda x: {"b": np.einsum("ij,kl->iljk", x["a"], np.eye(2)),
                    "a": np.einsum("ik,jl->ilkj", np.eye(2), x["b"])},
         {"a": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]]),
          "b": np.array([[1.0, -2.0], [0.5, 3.0], [2.0, 1.5]])}),
        (lambda x: np.concatenate([np.sin(x[0]), np.exp(x[1])]),
         lambda x: [np.vstack([np.diag(np.cos(x[0])), np.zeros((2, 2))]),
                    np.vstack([np.zeros((2, 2)), np.diag(np.exp(x[1]))])],
         [np.array([0.3, 1.0]), np.array([-0.5, 0.25])]),
    ],
    ids=["diagonal", "a number", "one output", "matrix product", "separate blocks"],
)  # fmt: skip
def test_right_jacobians_of_every_shape_pass(F, jacobian, x):
    assert verdict(F, jacobian, x) == PASSES


def network(factor):
    """The outputs of the reference network by its parameters, and their complex-step Jacobian."""
    rng = np.random.default_rng(5)
    inputs = rng.standard_normal((2, 3))
    x = {"W1": rng.standard_normal((4, 3)), "b1": rng.standard_normal(4),
         "W2": rng.standard_normal((2, 4)), "b2": rng.standard_normal(2)}  # fmt: skip

    def outputs_of(p, inputs=inputs):
        return factor * sigmoid_network.forward([(p["W1"], p["b1"]), (p["W2"], p["b2"])], inputs)

    def complex_step(p):
        J = {}
        for name, array in p.items():
            J[name] = np.empty((2, 2, *array.shape))
            for index in np.ndindex(array.shape):
                q = {key: value.astype(complex) for key, value in p.items()}
                q[name][index] += 1e-100j
                J[name][..., *index] = outputs_of(q, inputs.astype(complex)).imag / 1e-100
        return J

    return outputs_of, complex_step, x


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
def test_the_jacobian_of_the_reference_network_passes_and_one_wrong_entry_in_it_fails(factor):
    outputs_of, complex_step, x = network(factor)
    assert verdict(outputs_of, complex_step, x) == PASSES

    def wrong(p):
        J = complex_step(p)
        J["W1"][1, 0, 2, 1] *= 1 + 1e-6
        return J

    outcome = check_jacobian(outputs_of, wrong, x)
    assert [d.name for d in outcome.discrepancies] == ["F[1,0] by W1[2,1]"]


# --- Jacobians that lie -------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        (np.transpose, {"F[0] by x[1]", "F[1] by x[0]", "F[1] by x[2]", "F[2] by x[1]"}),
        (entry(1, 2, 1 + 1e-6), {"F[1] by x[2]"}),
        (entry(0, 0, -1), {"F[0] by x[0]"}),
        (np.negative, {f"F[{k}] by x[{j}]" for k, j in [(0, 0), (0, 1), (1, 0), (1, 2), (2, 1)]}),
        (row(1, 0.0), {"F[1] by x[0]", "F[1] by x[2]"}),
        (lambda J: J[[2, 1, 0]], {"F[0] by x[0]", "F[0] by x[1]", "F[2] by x[0]", "F[2] by x[1]"}),
    ],
    ids=["transposed", "one entry by 1e-6", "one sign", "every sign", "zero row", "rows swapped"],
)
def test_wrong_entries_are_found_and_no_others(changed, wrong, factor):
    outcome = check_jacobian(*scaled(factor, changed), X)
    assert (outcome.verdict, outcome.reason) == (FAILS, Reason.MISMATCH), str(outcome)
    assert {d.name for d in outcome.discrepancies} == wrong


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (np.transpose, "dF/dx holds the transpose"),
        (np.negative, "the sign is wrong"),
        (row(1, 0.0), "every wrong coordinate is exactly 0; only in F[1]"),
    ],
)
def test_the_likely_mistake_is_named(changed, told):
    assert told in check_jacobian(*scaled(1.0, changed), X).diagnosis


def test_an_error_in_a_small_output_is_not_hidden_by_a_large_one():
    scale = np.array([1e9, 1.0, 1e-9])

    def wrong(x):
        J = scale[:, None] * jacobian(x)
        J[2, 1] *= 1 + 1e-5
        return J

    assert verdict(lambda x: scale * F(x), lambda x: scale[:, None] * jacobian(x), X) == PASSES
    assert verdict(lambda x: scale * F(x), wrong, X) == (FAILS, Reason.MISMATCH)


class Counting:
    """A Jacobian that behaves differently from call to call."""

    def __init__(self, answer):
        self.calls, self.answer = 0, answer

    def __call__(self, x):
        self.calls += 1
        return self.answer(self.calls, x)


BUFFER = np.zeros((3, 3))


def overwrites(x):
    BUFFER[...] = jacobian(x)
    return BUFFER


def steps_x(x):
    x -= 0.1
    return jacobian(x)


@pytest.mark.parametrize(
    ("lie", "reason", "told"),
    [
        (lambda x: entry(2, 1, np.nan)(jacobian(x)), Reason.NONFINITE, "F[2] by x[1] is nan"),
        (lambda x: jacobian(x)[:2], Reason.SHAPE, "(2, 3), but must have (3, 3)"),
        (lambda x: jacobian(x).ravel(), Reason.SHAPE, "(9,), but must have (3, 3)"),
        (lambda x: {"x": jacobian(x), "y": jacobian(x)}, Reason.SHAPE, "with the keys x, y"),
        (lambda x: jacobian(x).astype(np.float32), Reason.DTYPE, "float32"),
        (lambda x: jacobian(x).astype(int), Reason.MISMATCH, "F[1] by x[0]: engine 0"),
        (steps_x, Reason.INPUT_CHANGED, "jacobian changes its argument"),
        (lambda x: np.broadcast_to(x, (3, 3)), Reason.ALIASED, "view of x"),
        (overwrites, Reason.ALIASED, "overwrites"),
        (Counting(lambda n, x: jacobian(x) + 1e-3 * (n > 2)), Reason.NONDETERMINISTIC, "differ"),
    ],
    ids=lambda v: v.value if isinstance(v, Reason) else "",
)
def test_bad_manners_are_found_and_named(lie, reason, told):
    outcome = check_jacobian(F, lie, X)
    assert (outcome.verdict, outcome.reason) == (FAILS, reason), str(outcome)
    assert told in str(outcome)


def test_a_function_that_changes_its_argument_is_found_at_once_or_later():
    def rude(x):
        x += 1e-3
        return F(x)

    def rude_elsewhere(x):
        value = F(x)
        if x[0] > 0.5:
            x[2] = 0.0
        return value

    assert verdict(rude, jacobian, X) == (FAILS, Reason.INPUT_CHANGED)
    assert verdict(rude_elsewhere, jacobian, X) == (FAILS, Reason.INPUT_CHANGED)


def test_an_output_that_is_not_finite_has_no_derivative():
    outcome = check_jacobian(lambda x: np.append(F(x), np.nan), jacobian, X)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.DOMAIN)
    assert "1 of 4 outputs of F(x) is nan" in outcome.detail


# --- what cannot be decided ---------------------------------------------------------------------


def test_the_slope_at_a_kink_of_one_output_is_a_convention_or_wrong():
    def kinked(x):
        return np.array([abs(x[0]), x[0] + 1])

    outcome = check_jacobian(kinked, lambda _: np.array([[0.0], [1.0]]), np.zeros(1))
    assert (outcome.verdict, outcome.counts["subgradient"]) == (Verdict.PASS, 1)
    found = verdict(kinked, lambda _: np.array([[1.5], [1.0]]), np.zeros(1))
    assert found == (FAILS, Reason.SUBGRADIENT)


def test_the_zeros_of_a_constant_output_are_decided_and_a_wrong_one_fails():
    def constant(x):
        return np.array([x[0], 7.0])

    outcome = check_jacobian(constant, lambda _: np.array([[1.0], [0.0]]), np.array([2.0]))
    assert (outcome.verdict, outcome.counts["unchanged"]) == (Verdict.PASS, 1)
    wrong = verdict(constant, lambda _: np.array([[1.0], [1e-3]]), np.array([2.0]))
    assert wrong == (FAILS, Reason.MISMATCH)


@pytest.mark.parametrize("size", [1e-9, 1e-7, 1.0])
def test_a_block_of_zeros_that_was_forgotten_fails_however_small_it_is_beside_others(size):
    """F[1] depends on b a little; a large block, or a large output, does not make that small."""

    def two(x):
        return np.array([np.sin(x["a"]), size * np.sin(x["a"] + x["b"])])

    def right(x, kept=1.0):
        both = size * np.cos(x["a"] + x["b"])
        return {"a": np.array([np.cos(x["a"]), both]), "b": np.array([0.0, kept * both])}

    x = {"a": np.array(0.5), "b": np.array(0.25)}
    assert verdict(two, right, x) == PASSES
    outcome = check_jacobian(two, lambda x: right(x, kept=0.0), x)
    assert [d.name for d in outcome.discrepancies] == ["F[1] by b"]


def test_the_jacobian_of_a_relu_is_decided():
    x = np.array([-1.0, 0.5, -0.25, 2.0])
    right, wrong = np.diag((x > 0).astype(float)), np.diag((x > -0.5).astype(float))
    outcome = check_jacobian(lambda x: np.maximum(x, 0), lambda _: right, x)
    assert outcome.verdict is Verdict.PASS, str(outcome)
    found = check_jacobian(lambda x: np.maximum(x, 0), lambda _: wrong, x)
    assert [d.name for d in found.discrepancies] == ["F[2] by x[2]"]


def test_zeros_are_judged_beside_their_own_output_alone():
    """F[1] is noisy and does not depend on b; F[0], large as it is, vouches for nothing in it."""
    generator = np.random.default_rng(0)

    def noisy(x):
        return np.array([1e9 * np.sin(x["b"]), np.sin(x["a"]) + 1e-3 * generator.random()])

    def right(x):
        return {"a": np.array([0.0, np.cos(x["a"])]), "b": np.array([1e9 * np.cos(x["b"]), 0.0])}

    x = {"a": np.array(0.5), "b": np.array(0.25)}
    outcome = check_jacobian(noisy, right, x)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.VACUOUS)
    assert outcome.counts["vacuous"] == 2


@pytest.mark.parametrize(
    ("F", "x"), [(lambda _: np.zeros(0), X), (lambda _: np.ones(2), np.zeros(0))]
)
def test_no_entries_are_no_pass(F, x):
    found = verdict(F, lambda x: np.zeros((F(x).size, x.size)), x)
    assert found == (Verdict.INCONCLUSIVE, Reason.VACUOUS)


def test_the_budget_is_kept_and_what_it_left_undecided_is_said():
    calls = collections.Counter()

    def counted(x):
        calls["F"] += 1
        return np.array([np.sin(x).sum(), np.cos(x).sum()])

    def right(x):
        return np.array([np.cos(x), -np.sin(x)])

    x = np.linspace(0.1, 1.0, 40)
    outcome = check_jacobian(counted, right, x, budget=150)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.BUDGET)
    assert calls["F"] == outcome.forward_passes <= 150
    assert 0 < outcome.counts["informative"] < 80
    assert outcome.counts["not_evaluated"] > 0
    assert verdict(counted, right, x, budget=5) == (Verdict.INCONCLUSIVE, Reason.BUDGET)


def test_a_random_function_is_called_so():
    generator = np.random.default_rng(0)
    outcome = check_jacobian(lambda x: F(x) + 1e-4 * generator.random(), jacobian, X)
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert "F is random or keeps state" in str(outcome)


# --- cost ---------------------------------------------------------------------------------------


def counted_function(K):
    """K outputs that differ in slope and a counter of evaluations."""
    calls = collections.Counter()
    A = np.random.default_rng(1).standard_normal((K, 3))

    def many(x):
        calls["F"] += 1
        return np.sin(A @ x)

    return many, lambda x: np.cos(A @ x)[:, None] * A, calls


def test_the_cost_is_what_an_independent_counter_says_and_outputs_share_it():
    costs = {}
    for K in (1, 20):
        many, right, calls = counted_function(K)
        outcome = check_jacobian(many, right, X)
        assert outcome.verdict is Verdict.PASS, str(outcome)
        assert (outcome.forward_passes, outcome.backward_passes) == (calls["F"], 3)
        costs[K] = calls["F"]
    assert costs[20] < 3 * costs[1]  # 20 outputs that shared nothing would cost 20 times as much


def test_evaluations_are_forgotten_where_they_would_fill_the_memory(monkeypatch):
    sizes = []

    def forget(self):
        sizes.append(len(self._known))
        self._known.clear()

    monkeypatch.setattr(outputs.Outputs, "forget", forget)
    for memory in (outputs.MEMORY, 1):
        monkeypatch.setattr(outputs, "MEMORY", memory)
        many, right, _ = counted_function(4)
        assert verdict(many, right, X) == PASSES
    whole, *blocks = sizes
    assert len(blocks) == 3  # one a coordinate
    assert max(blocks) < whole


# --- manners ------------------------------------------------------------------------------------


def test_x_is_never_changed():
    x = {"w": np.array([0.1, -0.0, 3.0])}
    before = x["w"].tobytes()
    x["w"].flags.writeable = False
    check_jacobian(lambda p: np.sin(p["w"]), lambda p: {"w": np.diag(np.cos(p["w"]))}, x)
    assert x["w"].tobytes() == before


def test_a_function_may_return_its_buffer_or_its_argument():
    assert verdict(lambda x: x, lambda _: np.eye(3), X) == PASSES


def test_float32_points_pass_at_their_own_resolution():
    x = X.astype(np.float32)

    def single(x):
        return F(x).astype(np.float32)

    def right(x):
        return jacobian(x).astype(np.float32)

    assert verdict(single, right, x) == PASSES
    assert verdict(single, lambda x: entry(0, 1, 1.5)(right(x)), x) == (FAILS, Reason.MISMATCH)


def test_the_same_seed_gives_the_same_outcome_and_the_line_that_repeats_it():
    first, second = (str(check_jacobian(F, np.diag, X, seed=3, noise=1e-12)) for _ in range(2))
    assert first == second
    assert "gradcheck.check_jacobian(F, jacobian, x, noise=1e-12, seed=3)" in first


def test_misuse_is_named():
    with pytest.raises(ValueError, match=r"resolution=1\.0 must be between"):
        check_jacobian(F, jacobian, X, resolution=1.0)
    with pytest.raises(TypeError, match="dtype int64"):
        check_jacobian(F, jacobian, np.array([1, 2, 3]))
    with pytest.raises(TypeError, match="returned dtype complex128"):
        check_jacobian(lambda x: 1j * F(x), jacobian, X)
    with pytest.raises(ValueError, match=r"F\(x\) has shape \(1,\), but had \(2,\)"):
        check_jacobian(lambda x: x[: 1 + (x[0] == X[0])], lambda _: np.eye(3)[:2], X)
    assert gradcheck.check_jacobian is check_jacobian
