"""No correct engine exceeds the bound of its class; defects do."""

from functools import cache
from itertools import pairwise, product

import numpy as np
import pytest
from some import some

from gradcheck.certified.gradient import certified_gradient
from gradcheck.engines.reference import neuron_by_neuron, vectorised
from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import Case, parse, sample_cases
from gradcheck.rounding import ARITHMETICS, gradient_bound, gradient_deviation, loss_bound
from gradcheck.rounding.bounded import Bounded, Scaled, Worst, root_sum_squares
from gradcheck.rounding.gradient import forward
from gradcheck.rounding.sigmoid import increment

LADDER = tuple(ARITHMETICS)
POWER = 8.4  # standard deviations: once in 10^6 sweeps of 10^9 sub-Gaussian numbers
SEED = 11


def test_each_class_allows_what_the_classes_before_it_allow():
    rows = [vars(row) for row in ARITHMETICS.values()]
    for narrow, wide in pairwise(rows):
        allowed = [(narrow[name], wide[name]) for name in narrow if name not in ("name", "meaning")]
        assert all(a <= b for a, b in allowed)
        assert any(a < b for a, b in allowed)


# ----------------------------------------------------------------------------------------- engines


def pairwise_sum(x, y):
    return x @ y


def sequential_sum(x, y):
    terms = x[:, :, None] * y[None, :, :]
    return np.add.accumulate(terms, axis=1)[:, -1]


def backward_sum(x, y):
    return sequential_sum(x[:, ::-1], y[::-1])


def of_rounded(to_format):
    return lambda x, y: to_format(x) @ to_format(y)


def to_bits(dropped):
    """Round float32 to nearest even after cutting the last bits of the significand."""

    def rounded(x):
        bits = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
        half = (1 << (dropped - 1)) - 1 + ((bits >> dropped) & 1)
        return ((bits + half) >> dropped << dropped).astype(np.uint32).view(np.float32)

    return rounded


to_tf32, to_bfloat16 = to_bits(13), to_bits(16)


def naive_sigmoid(z):
    return 1 / (1 + np.exp(-z))


def branching_sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def tanh_sigmoid(z):
    return (1 + np.tanh(z / 2)) / 2


def engine(
    problem,
    sigmoid=branching_sigmoid,
    dot=pairwise_sum,
    *,
    cancels=False,
    mean_last=False,
    delta_through=None,
):
    """Backpropagation in the problem's dtype: loss by entries is not asked for here."""
    a, s = [problem.inputs], []
    with np.errstate(all="ignore"):
        for W, b in zip(problem.weights, problem.biases, strict=True):
            z = dot(a[-1], W.T) + b
            a.append(sigmoid(z))
            s.append(a[-1] * (1 - a[-1]) if cancels else sigmoid(z) * sigmoid(-z))
        y = problem.targets
        delta = a[-1] - y if cancels else (1 - y) * a[-1] - y * sigmoid(-z)
        delta = delta * s[-1] if problem.architecture.loss == "quadratic" else delta
        M = problem.dtype.type(problem.batch if problem.architecture.reduction == "mean" else 1)
        delta = delta if mean_last else delta / M
        gradient = []
        for i in reversed(range(len(s))):
            if delta_through is not None:
                delta = delta.astype(delta_through).astype(problem.dtype)
            db = dot(np.ones((1, len(delta)), problem.dtype), delta)[0]
            gradient.append((dot(delta.T, a[i]), db))
            if i:
                delta = dot(delta, problem.weights[i]) * s[i - 1]
        gradient = [(dW / M, db / M) for dW, db in gradient] if mean_last else gradient
        return flat(gradient[::-1])


def flat(gradient):
    arrays = [array for pair in gradient for array in pair]
    return np.concatenate([np.asarray(x, np.float64).ravel() for x in arrays])


def reference(problem):
    return flat(vectorised().value_and_grad(problem)[1])


def by_chain_rule(problem):
    return flat(neuron_by_neuron().value_and_grad(problem)[1])


CORRECT = {
    "reference": reference,
    "naive": lambda p: engine(p, naive_sigmoid),
    "sequential": lambda p: engine(p, dot=sequential_sum),
    "backwards, mean last": lambda p: engine(p, naive_sigmoid, backward_sum, mean_last=True),
}
MEMBERS = {
    "cancellation_free": CORRECT,
    "p_minus_y": {
        "p - y": lambda p: engine(p, cancels=True),
        "naive p - y": lambda p: engine(p, naive_sigmoid, sequential_sum, cancels=True),
    },
    "absolute_sigmoid": {"tanh": lambda p: engine(p, tanh_sigmoid, cancels=True)},
    "tf32": {"tf32": lambda p: engine(p, dot=of_rounded(to_tf32), cancels=True)},
    "bfloat16": {"bfloat16": lambda p: engine(p, dot=of_rounded(to_bfloat16), cancels=True)},
}


# ------------------------------------------------------------------------------------- measurement


@cache
def cases(count=120, seed=SEED):
    return tuple(sample_cases(count, seed, max_parameters=60, max_width=12, max_batch=12))


@cache
def problem_of(token):
    return parse(token).problem()


@cache
def exact(token):
    return certified_gradient(problem_of(token))


def error_of(gradient, token):
    """What |gradient - exact gradient| does not exceed."""
    return np.abs(gradient - exact(token).gradient) + exact(token).bound


def ratio_of(error, allowed):
    """Error over allowance; infinite where there is an error and no allowance."""
    assert not np.isnan(allowed).any()
    return np.divide(error, allowed, out=np.where(error > 0, np.inf, 0.0), where=allowed > 0)


def worst(member, arithmetic, tokens, allowance=gradient_bound):
    """The greatest error over allowance, and the case it is from."""
    found = []
    for token in tokens:
        error = error_of(member(problem_of(token)), token)
        ratio = ratio_of(error, allowance(problem_of(token), arithmetic))
        found.append((float(ratio.max()), token))
    return max(found)


def tokens_of(*dtypes):
    return [case.token for case in cases() if case.dtype in dtypes]


BOTH = ("float32", "float64")
RUNS = [(arithmetic, name) for arithmetic, members in MEMBERS.items() for name in members]


# --------------------------------------------------------------------------------------- the bound


@pytest.mark.parametrize(("arithmetic", "name"), RUNS)
def test_no_member_of_a_class_exceeds_its_bound(arithmetic, name):
    tokens = tokens_of("float32") if ARITHMETICS[arithmetic].u_g else tokens_of(*BOTH)
    ratio, token = worst(MEMBERS[arithmetic][name], arithmetic, tokens)
    assert ratio < 1, f"{name}: error / bound = {ratio:.3g} at {token}"
    assert ratio > 1e-3, f"{name}: error / bound = {ratio:.3g}: the bound says nothing"


def test_the_chain_rule_neuron_by_neuron_does_not_exceed_the_bound():
    ratio, token = worst(by_chain_rule, "cancellation_free", tokens_of(*BOTH)[::5])
    assert ratio < 1, f"error / bound = {ratio:.3g} at {token}"


def test_half_precision_does_not_exceed_the_bound():
    for case in sample_cases(40, SEED, dtypes=("float16",), max_parameters=40, max_batch=8):
        try:
            case.problem()
        except ValueError:  # a number beyond 65504
            continue
        for member in CORRECT.values():
            ratio, token = worst(member, "cancellation_free", [case.token])
            assert ratio < 1, f"error / bound = {ratio:.3g} at {token}"


def test_every_class_allows_what_the_narrower_ones_allow():
    for token in some(tokens_of(*BOTH)[::4]):
        bounds = [gradient_bound(problem_of(token), name) for name in LADDER]
        losses = [loss_bound(problem_of(token), name) for name in LADDER]
        assert all((wide >= narrow).all() for narrow, wide in pairwise(bounds))
        assert losses == sorted(losses)


@pytest.mark.parametrize(("dtype", "most"), [("float64", 1e-12), ("float32", 1e-4)])
def test_the_bound_is_small_beside_the_gradient_at_weight_scale_1(dtype, most):
    case = Case(sizes=(20, 30, 10, 1), batch=16, dtype=dtype, seed=SEED)
    relative = gradient_bound(case.problem()) / np.abs(exact(case.token).gradient)
    assert np.median(relative) < most, f"median bound / |g| = {np.median(relative):.3g}"


def test_the_bound_scales_with_the_unit_roundoff():
    problem = Case(sizes=(8, 5, 2), batch=6, dtype="float32").problem()
    ratio = gradient_bound(problem) / gradient_bound(problem.astype(np.float64))
    np.testing.assert_allclose(np.log2(ratio), 29, atol=0.6)  # k_e is 4 and 2


@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize("arithmetic", LADDER)
def test_weight_scale_300_gives_numbers_or_infinity_never_nan(dtype, arithmetic):
    problem = Case(sizes=(9, 40, 8, 40, 3), batch=7, dtype=dtype, weight_scale=300).problem()
    assert np.isfinite(gradient_bound(problem, arithmetic)).all()
    assert not np.isnan(gradient_deviation(problem, arithmetic)).any()
    assert not np.isnan(loss_bound(problem, arithmetic))


def huge(value, dtype):
    W = (np.full((3, 2), value, dtype), np.zeros((1, 3), dtype))
    b = (np.zeros(3, dtype), np.zeros(1, dtype))
    batch = np.full((2, 2), 2.0, dtype), np.ones((2, 1), dtype)
    return Problem(Architecture((2, 3, 1)), W, b, *batch)


@pytest.mark.parametrize(
    "problem", [huge(6e4, np.float16), huge(2e38, np.float32), huge(1e308, float)]
)
def test_where_numbers_may_overflow_the_bound_is_infinite(problem):
    bound = gradient_bound(problem)
    assert np.isposinf(bound).all()
    assert np.isposinf(loss_bound(problem))
    assert not np.isnan(gradient_deviation(problem)).any()


def test_many_terms_in_half_precision_leave_nothing_known():
    problem = Case(sizes=(2100, 1), dtype="float16", weight_scale=0.1).problem()
    assert np.isposinf(gradient_bound(problem)).all()  # n u >= 1


def test_the_increment_of_the_sigmoid_holds_every_pair_of_points():
    z = np.linspace(-40, 40, 161)
    for d, from_, to in product((1e-9, 1e-3, 0.5, 30.0), (-1, 0, 1), (-1, 1)):
        start = z + from_ * d
        moved = np.abs(branching_sigmoid(start + to * d) - branching_sigmoid(start))
        assert (moved <= increment(z, np.full_like(z, d)) + 2**-51 * branching_sigmoid(z)).all()


def test_pre_activations_and_activations_are_inside_theirs():
    for token in some(tokens_of("float32")[:40]):
        problem = problem_of(token)
        a, wide = problem.inputs, Worst.of(problem, "cancellation_free")
        for layer, W, b in zip(
            forward(problem, wide), problem.weights, problem.biases, strict=True
        ):
            z = sequential_sum(a, W.T) + b
            a = branching_sigmoid(z)
            assert (np.abs(z - layer.z.x) <= 2 * layer.z.d).all(), token
            assert (np.abs(a - layer.a.x) <= 2 * layer.a.d).all(), token


# -------------------------------------------------------------------------------------- the classes


@pytest.mark.parametrize("name", ["p - y", "tanh"])
def test_cancelling_engines_exceed_the_strict_class_in_saturation(name):
    member = {**MEMBERS["p_minus_y"], **MEMBERS["absolute_sigmoid"]}[name]
    ratio, _ = worst(member, "cancellation_free", tokens_of(*BOTH))
    assert ratio > 1


def test_a_tanh_sigmoid_exceeds_the_class_of_p_minus_y():
    ratio, _ = worst(MEMBERS["absolute_sigmoid"]["tanh"], "p_minus_y", tokens_of(*BOTH))
    assert ratio > 1


@pytest.mark.parametrize(("name", "narrower"), [("tf32", "absolute_sigmoid"), ("bfloat16", "tf32")])
def test_rounded_inputs_of_products_exceed_the_narrower_class(name, narrower):
    ratio, _ = worst(MEMBERS[name][name], narrower, tokens_of("float32"))
    assert ratio > 1


# --------------------------------------------------------------------------------- planted defects


def test_a_gradient_scaled_by_1_and_1e_10_exceeds_the_bound():
    case = Case(sizes=(12, 12, 12, 1), batch=16, seed=SEED)
    error = error_of(reference(case.problem()) * (1 + 1e-10), case.token)
    assert (error > gradient_bound(case.problem())).mean() > 0.5


def test_delta_rounded_through_float32_exceeds_the_bound():
    case = Case(sizes=(12, 12, 12, 1), batch=16, seed=SEED)
    error = error_of(engine(case.problem(), delta_through=np.float32), case.token)
    assert (error > gradient_bound(case.problem())).mean() > 0.5


true_product = Worst.product


def without_propagation(rounding, x, y, plus=None):
    return true_product(rounding, Bounded.exact(x.x), Bounded.exact(y.x), plus)


def without_rounding(rounding, x, y, plus=None):
    plus = 0 if plus is None else plus
    return Bounded(x.x @ y.x + plus, x.d @ y.most + x.most @ y.d)


def without_bias(rounding, x, y, plus=None):
    plus = 0 if plus is None else plus
    return Bounded(x.x @ y.x + plus, true_product(rounding, x, y).d)


@pytest.mark.parametrize("defect", [without_propagation, without_rounding])
def test_a_bound_without_one_of_the_terms_of_products_is_exceeded(defect, monkeypatch):
    monkeypatch.setattr(Worst, "product", defect)
    ratio, _ = worst(CORRECT["sequential"], "cancellation_free", tokens_of(*BOTH))
    assert ratio > 1


def test_a_bound_without_the_bias_is_exceeded(monkeypatch):
    case = Case(sizes=(1, 1), dtype="float32", corner="zero_weights")
    problem = case.problem()
    moved = Problem(
        problem.architecture,
        (np.full((1, 1), 2.0**-7, np.float32),),
        (np.full(1, 1 - 2.0**-24, np.float32),),
        np.ones((1, 1), np.float32),
        problem.targets,
    )
    z = np.float64(2.0**-7) + np.float64(moved.biases[0][0])
    error = np.abs(np.float64(moved.weights[0][0, 0] + moved.biases[0][0]) - z)
    assert error > 0
    assert (error <= forward(moved, Worst.of(moved, LADDER[0]))[0].z.d).all()
    monkeypatch.setattr(Worst, "product", without_bias)
    assert not (error <= forward(moved, Worst.of(moved, LADDER[0]))[0].z.d).any()


def test_a_bound_that_forgets_underflow_is_exceeded(monkeypatch):
    true = Worst.of.__func__

    def without(cls, problem, arithmetic):
        found = true(cls, problem, arithmetic)
        return Worst(found.row, found.u, 0.0, 0.0, found.largest, found.k_e, found.M)

    monkeypatch.setattr(Worst, "of", classmethod(without))
    with np.errstate(all="ignore"):
        ratio, _ = worst(CORRECT["naive"], "cancellation_free", tokens_of("float32"))
    assert not ratio <= 1


# -------------------------------------------------------------------------------------- the loss


def textbook_loss(problem):
    y, a = problem.targets, problem.inputs
    for W, b in zip(problem.weights, problem.biases, strict=True):
        a = naive_sigmoid(a @ W.T + b)
    terms = np.where(y > 0, -y * np.log(a), 0) + np.where(y < 1, -(1 - y) * np.log(1 - a), 0)
    M = problem.batch if problem.architecture.reduction == "mean" else 1
    return float(terms.sum(dtype=problem.dtype) / problem.dtype.type(M))


def loss_ratio(value, token, arithmetic):
    error = abs(value - exact(token).loss) + exact(token).loss_bound
    return error / loss_bound(problem_of(token), arithmetic)


def test_the_loss_stays_inside_its_bound():
    for make in (vectorised, neuron_by_neuron):
        ratios = [
            (loss_ratio(make().loss(problem_of(t)), t, LADDER[0]), t) for t in tokens_of(*BOTH)
        ]
        ratio, token = max(ratios)
        assert 1e-3 < ratio < 1, f"error / bound = {ratio:.3g} at {token}"


def test_a_loss_made_of_logarithms_exceeds_the_strict_class_and_holds_its_own():
    tokens = [t for t in tokens_of(*BOTH) if "cross_entropy" in t]
    with np.errstate(all="ignore"):
        values = {t: textbook_loss(problem_of(t)) for t in tokens}
    finite = [t for t in tokens if np.isfinite(values[t])]
    assert max(loss_ratio(values[t], t, "cancellation_free") for t in finite) > 1
    assert max(loss_ratio(values[t], t, "p_minus_y") for t in finite) < 1
    infinite = [t for t in tokens if not np.isfinite(values[t])]
    assert infinite
    assert all(np.isposinf(loss_bound(problem_of(t), "p_minus_y")) for t in infinite)


# ------------------------------------------------------------------------------ standard deviations


@pytest.mark.parametrize("name", CORRECT)
def test_errors_stay_within_the_stated_power_of_their_deviation(name):
    ratio, token = worst(CORRECT[name], LADDER[0], tokens_of(*BOTH), gradient_deviation)
    assert ratio < POWER, f"{name}: error / deviation = {ratio:.3g} at {token}"


def of_equal_examples(m, seed):
    """A problem whose m examples are all one, and the exact gradient, which is that of the one."""
    one = Case(sizes=(3, 2, 1), targets="soft", seed=seed).problem()
    batch = (np.repeat(one.inputs, m, axis=0), np.repeat(one.targets, m, axis=0))
    many = Problem(one.architecture, one.weights, one.biases, *batch)
    return many, certified_gradient(one).gradient


def test_equal_examples_make_equal_errors_which_the_deviation_holds():
    for m, seed in product((3, 16, 61, 64), range(6)):
        problem, gradient = of_equal_examples(m, seed)
        for name, member in CORRECT.items():
            ratio = np.max(np.abs(member(problem) - gradient) / gradient_deviation(problem))
            assert ratio < POWER / 2, f"{name}: error / deviation = {ratio:.3g}, m = {m}"


def test_thousands_of_equal_examples_stay_inside_the_bound_though_not_the_deviation():
    problem, gradient = of_equal_examples(3001, seed=0)
    errors = [np.abs(member(problem) - gradient) for member in CORRECT.values()]
    assert all((error < gradient_bound(problem)).all() for error in errors)
    assert any((error > POWER * gradient_deviation(problem)).any() for error in errors)


def test_the_deviation_is_sharper_than_the_bound():
    problem = Case(sizes=(20, 30, 10, 1), batch=16).problem()
    assert np.median(gradient_bound(problem) / gradient_deviation(problem)) > 20


def test_squares_of_the_deviation_do_not_underflow():
    token = Case(sizes=(3, 4, 1), batch=2, targets="binary").token
    problem = problem_of(token)
    far = Problem(
        problem.architecture,
        problem.weights,
        (problem.biases[0], np.full(1, -400.0)),  # gradients of 1e-174
        problem.inputs,
        np.zeros_like(problem.targets),
    )
    gradient, deviation = reference(far), gradient_deviation(far)
    relative = deviation / np.abs(gradient)
    assert (np.abs(gradient) < 1e-160).all()
    assert ((relative > 1e-17) & (relative < 1e-11)).all()


def test_a_root_of_sums_of_squares_keeps_terms_whose_squares_vanish():
    def of(X, Y):
        return root_sum_squares(Scaled.of(X, axis=1), Scaled.of(Y, axis=0)).item()

    X, Y = np.array([[1.0, 1e-200]]), np.array([[1e-200], [1.0]])
    assert of(X, Y) == pytest.approx(2e-200, abs=0)
    X, Y = np.array([[3e-200, 4e-200]]), np.ones((2, 1))
    assert of(X, Y) == pytest.approx(5e-200, abs=0)


# ------------------------------------------------------------------------------------------- edges


@pytest.mark.parametrize("function", [gradient_bound, gradient_deviation, loss_bound])
def test_what_is_not_known_is_refused_by_name(function):
    problem = Case().problem()
    with pytest.raises(ValueError, match="arithmetic='exact'; it must be one of cancellation_free"):
        function(problem, "exact")
    with pytest.raises(TypeError, match="arithmetic=3"):
        function(problem, 3)
    with pytest.raises(TypeError, match="problem has dtype longdouble; it must be one of float16"):
        function(problem.astype(np.longdouble))


@pytest.mark.nightly
def test_no_member_of_a_class_exceeds_its_bound_in_a_long_search():
    for case in sample_cases(4000, SEED + 1, max_parameters=600):
        certified = certified_gradient(case.problem())
        for arithmetic, name in RUNS:
            if ARITHMETICS[arithmetic].u_g and case.dtype != "float32":
                continue
            gradient = MEMBERS[arithmetic][name](case.problem())
            error = np.abs(gradient - certified.gradient) + certified.bound
            ratio = ratio_of(error, gradient_bound(case.problem(), arithmetic)).max()
            assert ratio < 1, f"{name}: error / bound = {ratio:.3g} at {case.token}"
