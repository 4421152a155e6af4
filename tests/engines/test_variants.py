"""Right engines stay inside the bound of their class, however they compute; wrong ones do not."""

from fractions import Fraction
from functools import cache
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from some import some

from gradcheck.certified.gradient import certified_gradient
from gradcheck.engines import variants
from gradcheck.engines.base import Engine, Unsupported
from gradcheck.engines.registry import find
from gradcheck.engines.variants import (
    BIASES,
    CORRECT,
    MEANS,
    PRODUCTS,
    RESIDUALS,
    SIGMOIDS,
    SLOPES,
    SUMS,
    WIDER,
    Variant,
    to_bfloat16,
    to_tf32,
)
from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import Case, missing_strata, parse, sample_cases
from gradcheck.rounding import gradient_bound, loss_bound

SEED = 20
ALL = CORRECT | WIDER
CLASSED = {name: make for name, make in ALL.items() if make().info.arithmetic}
CLIPPED = sorted(ALL.keys() - CLASSED.keys())
ROUNDED = ("tf32", "bfloat16")


# -------------------------------------------------------------------------------------- measurement


@cache
def tokens():
    cases = sample_cases(120, SEED, max_parameters=60, max_width=12, max_batch=12)
    return tuple(case.token for case in cases)


@cache
def half_precision_tokens():
    """Cases of float16 whose numbers do not overflow."""
    cases = sample_cases(40, SEED, dtypes=("float16",), max_parameters=40, max_batch=8)
    return tuple(case.token for case in cases if not overflows(case))


def overflows(case):
    try:
        case.problem()
    except ValueError:
        return True
    return False


@cache
def problem_of(token):
    return parse(token).problem()


@cache
def exact(token):
    return certified_gradient(problem_of(token))


@cache
def bound_of(token, arithmetic):
    return gradient_bound(problem_of(token), arithmetic)


@cache
def loss_bound_of(token, arithmetic):
    return loss_bound(problem_of(token), arithmetic)


def flat(gradient):
    return np.concatenate([np.asarray(x, np.float64).ravel() for pair in gradient for x in pair])


def ratio_of(engine, token, arithmetic):
    """The greatest |error| / bound; infinite for a NaN and for an error where none is allowed."""
    gradient = flat(engine.value_and_grad(problem_of(token))[1])
    error = np.abs(gradient - exact(token).gradient) + exact(token).bound
    bound = bound_of(token, arithmetic)
    assert not np.isnan(bound).any()
    with np.errstate(over="ignore"):
        ratio = np.divide(error, bound, out=np.where(error > 0, np.inf, 0.0), where=bound > 0)
    return float(np.where(np.isnan(error), np.inf, ratio).max())


def worst(engine, arithmetic, among=None):
    """The greatest ratio over the cases that the engine takes, and its case."""
    dtypes = engine.info.dtypes
    taken = [t for t in among or tokens() if problem_of(t).dtype.name in dtypes]
    assert taken
    return max((ratio_of(engine, token, arithmetic), token) for token in taken)


def test_the_cases_have_every_corner_and_every_weight_scale():
    missing = {kind for kind, _ in missing_strata([parse(t) for t in tokens()])}
    assert missing <= {"width"}


# -------------------------------------------------------------------------- right engines are right


@pytest.mark.parametrize("name", CLASSED)
def test_no_engine_exceeds_the_bound_of_its_class(name):
    engine = CLASSED[name]()
    ratio, token = worst(engine, engine.info.arithmetic)
    assert ratio < 1, f"{name}: error / bound = {ratio:.3g} at {token}"
    assert ratio > 0.01, f"{name}: error / bound = {ratio:.3g}: the bound says nothing"


@pytest.mark.parametrize("name", CORRECT)
def test_no_right_engine_exceeds_the_bound_in_half_precision(name):
    engine = CORRECT[name]()
    ratio, token = worst(engine, engine.info.arithmetic, half_precision_tokens())
    assert ratio < 1, f"{name}: error / bound = {ratio:.3g} at {token}"


COMBINATIONS = [
    parts
    for parts in product(SUMS, SIGMOIDS, ("cancellation_free", "p_minus_y"), SLOPES, BIASES, MEANS)
    if not (parts[1] == "tanh" and parts[2] == "cancellation_free")
]


def combined(parts):
    names = ("sums", "sigmoid", "residual", "slope", "bias", "mean")
    return Variant("+".join(parts), **dict(zip(names, parts, strict=True)))


def test_no_combination_of_parts_exceeds_the_bound_of_its_class():
    held = 0
    for i, parts in enumerate(COMBINATIONS):
        engine, token = combined(parts), tokens()[i % len(tokens())]
        if problem_of(token).dtype.name in engine.info.dtypes:
            ratio = ratio_of(engine, token, engine.info.arithmetic)
            assert ratio < 1, f"{engine.name}: error / bound = {ratio:.3g} at {token}"
            held += 1
    assert held > len(COMBINATIONS) / 2


@pytest.mark.parametrize("name", CLASSED)
def test_the_loss_stays_inside_the_bound_of_its_class(name):
    engine = CLASSED[name]()
    taken = [t for t in tokens() if problem_of(t).dtype.name in engine.info.dtypes]
    for token in some(taken):
        problem = problem_of(token)
        value, _ = engine.value_and_grad(problem)
        assert engine.loss(problem) == value
        error = abs(value - exact(token).loss) + exact(token).loss_bound
        assert error <= loss_bound_of(token, engine.info.arithmetic), token


def test_the_right_engines_differ_from_each_other_in_their_last_bits(monkeypatch):
    def in_halves(A, B):
        half = A.shape[1] // 2
        return variants.sum_forward(A[:, :half], B[:half]) + variants.sum_forward(
            A[:, half:], B[half:]
        )

    monkeypatch.setitem(SUMS, "blas", in_halves)  # numpy's own order is that of the processor
    problem = Case(sizes=(20, 30, 10, 2), batch=16, dtype="float32").problem()
    gradients = {name: flat(make().value_and_grad(problem)[1]) for name, make in CORRECT.items()}
    for one, other in combinations(gradients, 2):
        assert not np.array_equal(gradients[one], gradients[other]), (one, other)


# ---------------------------------------------------------------------- wider engines are no others


@pytest.mark.parametrize(
    ("name", "narrower"),
    [
        ("textbook", "cancellation_free"),
        ("tanh", "cancellation_free"),
        ("tanh", "p_minus_y"),
        ("tf32", "absolute_sigmoid"),
        ("bfloat16", "absolute_sigmoid"),
        ("bfloat16", "tf32"),
    ],
)
def test_an_engine_of_a_wider_class_exceeds_the_narrower_one(name, narrower):
    ratio, _ = worst(ALL[name](), narrower)
    assert ratio > 1


def test_a_tanh_sigmoid_loses_the_gradient_of_a_saturated_neuron_and_the_others_do_not():
    case = Case(sizes=(1, 1), loss="quadratic", corner="saturated", targets="soft")
    assert ratio_of(CORRECT["tanh"](), case.token, "cancellation_free") > 1e6
    assert ratio_of(CORRECT["blas"](), case.token, "cancellation_free") < 1


@pytest.mark.parametrize("name", CORRECT)
def test_the_class_follows_from_the_parts(name):
    parts = variants.ROWS[name]
    cancels = "p_minus_y" in parts.values() or "a_one_minus_a" in parts.values()
    expected = "p_minus_y" if cancels else "cancellation_free"
    expected = "absolute_sigmoid" if parts.get("sigmoid") == "tanh" else expected
    assert CORRECT[name]().info.arithmetic == expected


def test_one_part_that_cancels_makes_an_engine_that_cancels():
    for parts in ({"residual": "p_minus_y"}, {"slope": "a_one_minus_a"}):
        assert Variant("one part", **parts).info.arithmetic == "p_minus_y"


# ----------------------------------------------------------------------------------- a clipped loss


def test_clipped_engines_declare_no_class():
    assert CLIPPED == ["clipped_1e-12", "clipped_1e-7"]


def three_outputs(z):
    """One example with x = 1/2, pre-activations z exactly, targets 1/4, 0 and 1."""
    b = np.array(z, np.float64)
    W = np.full((3, 1), 0.5)
    y = np.array([[0.25, 0.0, 1.0]])
    return Problem(Architecture((1, 3)), (W,), (b - 0.25,), np.full((1, 1), 0.5), y)


@pytest.mark.parametrize("name", CLIPPED)
def test_the_gradient_of_a_clipped_loss_is_zero_where_it_saturates(name):
    token = Case(sizes=(3, 1), corner="saturated", targets="half").token
    engine = ALL[name]()
    assert (flat(engine.value_and_grad(problem_of(token))[1]) == 0).all()
    assert np.abs(exact(token).gradient[-1]) == pytest.approx(0.5)
    assert ratio_of(engine, token, "absolute_sigmoid") > 1e6


@pytest.mark.parametrize("name", CLIPPED)
def test_a_clipped_output_keeps_the_loss_at_log_eps_and_leaves_the_others_alone(name):
    engine, problem = ALL[name](), three_outputs([1.0, 40.0, -40.0])
    _, ((dW, db),) = engine.value_and_grad(problem)
    _, ((whole_dW, whole_db),) = CORRECT["blas"]().value_and_grad(problem)
    assert (db[1:] == 0).all()
    assert (np.abs(whole_db[1:]) > 0.99).all()
    # p (1 - p) times its reciprocals: at most 16 roundings of either formula
    np.testing.assert_allclose(dW[0], whole_dW[0], rtol=16 * 2.0**-53)
    np.testing.assert_allclose(db[0], whole_db[0], rtol=16 * 2.0**-53)
    rest = -np.log(engine.eps) - np.log1p(-(1 - engine.eps))  # y = 0 at 1 - eps, y = 1 at eps
    first = 0.25 * np.log1p(np.exp(-1)) + 0.75 * np.log1p(np.exp(1))
    assert engine.loss(problem) == pytest.approx(first + rest, rel=16 * 2.0**-53)


H = 2.0**-10
TRUNCATION = H**2 / 6 * 0.1  # |d^3 C / dz^3| = |sigma''| <= 1 / (6 sqrt 3), or 0 where clipped
NOISE = 2.0**13 * 2.0**-53 / H  # 64 roundings of three terms, which are below 128 together


def differences(loss, problem):
    """Central differences of a loss, within TRUNCATION + NOISE of its derivatives."""
    found = []
    for name, values in problem.parameters.items():
        for at in np.ndindex(values.shape):
            moved = {sign: values.copy() for sign in (1, -1)}
            for sign, array in moved.items():
                array[at] += sign * H
            up, down = (
                loss(problem.with_parameters(problem.parameters | {name: moved[sign]}))
                for sign in (1, -1)
            )
            found.append((up - down) / (2 * H))
    return np.array(found)


@pytest.mark.parametrize("name", CLIPPED)
@pytest.mark.parametrize("z", [[1.0, -2.0, 3.0], [1.0, 40.0, -3.0], [40.0, 2.0, -40.0]])
def test_a_clipped_gradient_is_the_derivative_of_its_own_loss(name, z):
    engine, problem = ALL[name](), three_outputs(z)
    error = np.abs(flat(engine.value_and_grad(problem)[1]) - differences(engine.loss, problem))
    assert (error <= TRUNCATION + NOISE).all()


def test_the_whole_gradient_is_not_the_derivative_of_a_clipped_loss():
    whole, problem = CORRECT["blas"](), three_outputs([1.0, 40.0, -3.0])
    gradient = flat(whole.value_and_grad(problem)[1])
    for name, right in [("blas", True), ("clipped_1e-7", False), ("clipped_1e-12", False)]:
        error = np.abs(gradient - differences(ALL[name]().loss, problem))
        assert (error <= TRUNCATION + NOISE).all() == right


def test_a_clipped_gradient_inside_the_limits_is_that_of_the_whole_loss():
    token = Case(sizes=(4, 3, 2), batch=5, targets="soft", seed=SEED).token
    loss = ALL["clipped_1e-12"]().loss(problem_of(token))
    assert ratio_of(ALL["clipped_1e-12"](), token, "p_minus_y") < 1
    assert abs(loss - exact(token).loss) <= loss_bound(problem_of(token), "p_minus_y")


def test_clipping_takes_the_dtypes_in_which_one_minus_eps_is_below_one():
    assert WIDER["clipped_1e-7"]().info.dtypes == ("float32", "float64")
    assert WIDER["clipped_1e-12"]().info.dtypes == ("float64",)


# ---------------------------------------------------------------------------------- planted defects


def without_last_term(A, B):
    return variants.sum_forward(A[:, : max(1, A.shape[1] - 1)], B[: max(1, A.shape[1] - 1)])


def first_term_twice(A, B):
    return variants.sum_forward(A, B) + A[:, :1] * B[:1]


def summed_in_half_precision(A, B):
    return (A.astype(np.float16) @ B.astype(np.float16)).astype(A.dtype)


def slope_without_its_second_factor(z, sigma):
    return sigma(z)


def slope_a_little_too_large(z, sigma):
    return variants.two_sigmoids(z, sigma) * z.dtype.type(1 + 1e-3)


def sigmoid_of_minus_z(z):
    return variants.sigmoid_stable(-z)


def residual_of_the_other_sign(z, y, sigma, eps):
    return y - sigma(z)


OTHER_SIGN = (residual_of_the_other_sign, RESIDUALS["cancellation_free"][1])


@pytest.mark.parametrize(
    ("table", "part", "defect", "share"),
    [
        (SUMS, "blas", without_last_term, 0.8),
        (SUMS, "blas", first_term_twice, 0.8),
        (SUMS, "blas", summed_in_half_precision, 0.5),
        (SLOPES, "two_sigmoids", slope_without_its_second_factor, 0.5),
        (SLOPES, "two_sigmoids", slope_a_little_too_large, 0.3),
        (SIGMOIDS, "stable", sigmoid_of_minus_z, 0.7),
        (RESIDUALS, "cancellation_free", OTHER_SIGN, 0.8),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_a_planted_defect_exceeds_the_bound(table, part, defect, share, monkeypatch):
    monkeypatch.setitem(table, part, defect)
    engine = CORRECT["blas"]()
    accused = [not ratio_of(engine, token, "cancellation_free") <= 1 for token in tokens()]
    assert np.mean(accused) > share


def test_a_mean_that_is_forgotten_exceeds_the_bound(monkeypatch):
    monkeypatch.setattr(variants, "_divisor", lambda problem: np.ones((), problem.dtype))
    token = Case(sizes=(3, 2), batch=2).token
    for mean in MEANS:
        assert ratio_of(Variant("sum", mean=mean), token, "cancellation_free") > 1


# ------------------------------------------------------------------------------------- the products

matrices = st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 4), st.integers(0, 99))


@pytest.mark.parametrize("sums", SUMS)
@given(shape=matrices, dtype=st.sampled_from([np.float16, np.float32, np.float64]))
def test_every_order_of_a_sum_of_small_integers_is_exact(sums, shape, dtype):
    m, k, n, seed = shape
    rng = np.random.default_rng(seed)
    A, B = rng.integers(-5, 6, (m, k)), rng.integers(-5, 6, (k, n))
    result = SUMS[sums](A.astype(dtype), B.astype(dtype))
    assert result.dtype == dtype
    assert np.array_equal(result, A @ B)


def test_the_orders_are_what_their_names_say():
    u = np.float32(2.0**-24)  # 1 + u = 1, and u + u + 1 is more
    ones = np.ones((3, 1), np.float32)
    assert variants.sum_forward(np.array([[1, u, u]], np.float32), ones) == 1
    assert variants.sum_reversed(np.array([[1, u, u]], np.float32), ones) == 1 + 2 * u
    many = np.array([[1] + 15 * [u]], np.float32)
    assert variants.sum_forward(many, np.ones((16, 1), np.float32)) == 1
    assert variants.sum_blocked(many, np.ones((16, 1), np.float32)) == 1 + 8 * u
    assert (
        variants.sum_shuffled(np.array([[1, u, u, u, u]], np.float32), np.ones((5, 1), "f4")) == 1
    )


def nearest(x, dtype):
    """The number of the dtype nearest to a fraction, to even where two are."""
    guess = dtype(float(x))
    near = [np.nextafter(guess, dtype(-np.inf)), guess, np.nextafter(guess, dtype(np.inf))]
    return min(near, key=lambda y: (abs(Fraction(float(y)) - x), abs(Fraction(float(y))) / 2 % 1))


def fused_by_fractions(x, y, dtype):
    total = dtype(0)
    for a, b in zip(x, y, strict=True):
        sum_ = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(total))
        total = nearest(sum_, dtype)
    return total


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@given(k=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_fused_multiply_add_rounds_the_exact_sum_once(dtype, k, seed):
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(size=k).astype(dtype) for _ in "xy")
    assert variants.sum_fused(x[None], y[:, None]).item() == fused_by_fractions(x, y, dtype)


def test_fused_multiply_add_is_not_rounded_twice():
    odd = 1 + 2.0**-23
    A = np.array([[odd, 2.0**-12 * (1 + 2.0**-20)]], np.float32)
    B = np.array(
        [[1.0], [2.0**-12 * (1 - 2.0**-20)]], np.float32
    )  # 2^-24 less a little: below half
    assert variants.sum_fused(A, B).item() == odd
    assert np.float32((A.astype(np.float64) @ B.astype(np.float64)).item()) == 1 + 2.0**-22


@pytest.mark.parametrize(("rounded", "bits"), [(to_tf32, 10), (to_bfloat16, 7)])
def test_rounding_is_to_nearest_with_ties_to_even(rounded, bits):
    unit = 2.0**-bits
    x = [
        1 + unit / 2,
        1 + 1.5 * unit,
        1 + unit / 2 + 2.0**-23,
        2 - unit / 2,
        -1 - unit,
        0.0,
        2**-149,
    ]
    expected = [1, 1 + 2 * unit, 1 + unit, 2, -1 - unit, 0, 0]
    assert rounded(np.array(x, np.float32)).tolist() == expected
    assert rounded(np.array([3.4e38, np.inf, -np.inf], np.float32)).tolist()[1:] == [
        np.inf,
        -np.inf,
    ]
    assert rounded(np.array([np.finfo(np.float32).max])) == np.inf
    assert np.isnan(rounded(np.array([0x7FFFFFFF], np.uint32).view(np.float32)))


@pytest.mark.parametrize(("rounded", "bits"), [(to_tf32, 10), (to_bfloat16, 7)])
@given(x=st.floats(2.0**-126, 2.0**127, width=32))
def test_rounding_errs_by_half_a_unit_at_most_and_keeps_that_many_bits(rounded, bits, x):
    y = float(rounded(np.array([x], np.float32))[0])
    assert abs(y - x) <= 2.0 ** -(bits + 1) * x
    assert (np.frexp(y)[0] * 2 ** (bits + 1)).is_integer()


@pytest.mark.parametrize("name", ALL)
def test_products_and_gradients_have_the_dtype_of_the_problem(name, monkeypatch):
    engine = ALL[name]()
    true, seen = SUMS[engine.sums], set()

    def watched(A, B):
        result = true(A, B)
        seen.update({A.dtype.name, B.dtype.name, result.dtype.name})
        return result

    monkeypatch.setitem(SUMS, engine.sums, watched)
    for dtype in some(engine.info.dtypes):
        seen.clear()
        problem = Case(sizes=(3, 4, 2), batch=3, dtype=dtype, targets="soft").problem()
        _, gradient = engine.value_and_grad(problem)
        assert seen == {dtype}
        assert {x.dtype.name for pair in gradient for x in pair} == {dtype}
        assert [W.shape for W, _ in gradient] == [W.shape for W in problem.weights]


# --------------------------------------------------------------------------------------- as engines


@pytest.mark.parametrize("name", ALL)
def test_every_variant_is_found_by_its_name(name):
    engine = find(f"py:gradcheck.engines.variants:{name}")
    assert isinstance(engine, Engine)
    assert engine == ALL[name]()
    assert engine.info.name == name
    engine.close()


def test_a_name_in_no_table_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = variants.nothing


def test_what_a_variant_does_not_take_is_unsupported():
    double = Case(sizes=(2, 1)).problem()
    quadratic = Case(sizes=(2, 1), loss="quadratic").problem()
    for name, problem, why in [
        ("tf32", double, "dtype float64; tf32 takes float32"),
        ("fused", double, "dtype float64; fused takes float16, float32"),
        ("blas", double.astype(np.longdouble), "blas takes float16, float32, float64"),
        ("clipped_1e-7", quadratic, "loss quadratic; clipped_1e-7 takes cross_entropy"),
    ]:
        engine = ALL[name]()
        for ask in (engine.loss, engine.value_and_grad):
            with pytest.raises(Unsupported, match=why):
                ask(problem)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"sums": "kahan"}, "sums='kahan'; it must be one of blas, forward"),
        ({"sigmoid": "relu"}, "sigmoid='relu'"),
        ({"residual": "hinge"}, "residual='hinge'"),
        ({"slope": "1"}, "slope='1'"),
        ({"products": "int8"}, "products='int8'"),
        ({"bias": "none"}, "bias='none'"),
        ({"mean": "none"}, "mean='none'"),
        ({"eps": 0.5}, "eps=0.5; it must be in"),
        ({"eps": float("nan")}, "eps=nan; it must be in"),
        ({"sigmoid": "tanh"}, "sigmoid='tanh' cancels"),
        ({"products": "tf32", "bias": "as_weight"}, "would round the bias"),
    ],
)
def test_a_part_that_does_not_exist_or_fit_is_refused(parts, why):
    with pytest.raises(ValueError, match=why):
        Variant("no", **parts)


def test_every_part_is_in_some_named_variant():
    for field, table in [
        ("sums", SUMS),
        ("sigmoid", SIGMOIDS),
        ("residual", RESIDUALS),
        ("slope", SLOPES),
        ("products", PRODUCTS),
        ("bias", BIASES),
        ("mean", MEANS),
    ]:
        assert {getattr(make(), field) for make in ALL.values()} == set(table)


@pytest.mark.nightly
def test_no_engine_exceeds_the_bound_of_its_class_in_a_long_search():
    for i, case in enumerate(sample_cases(2000, SEED + 1, max_parameters=600)):
        engines = [make() for make in CLASSED.values()]
        engines.append(combined(COMBINATIONS[i % len(COMBINATIONS)]))
        for engine in engines:
            if case.dtype in engine.info.dtypes:
                ratio = ratio_of(engine, case.token, engine.info.arithmetic)
                assert ratio < 1, f"{engine.name}: error / bound = {ratio:.3g} at {case.token}"
