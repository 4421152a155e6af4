"""Numbers of any library are numpy arrays here, and that library's again where f is called."""

from fractions import Fraction

import numpy as np
import pytest

from gradcheck.arrays import as_array, kind_of, like
from gradcheck.checks.gradient import check_gradient
from gradcheck.checks.hessian import check_hessian_vector_product
from gradcheck.checks.jacobian import check_jacobian
from gradcheck.outcomes.reasons import Reason, Verdict

X = np.array([0.5, -1.25, 2.0])


class Tensor:
    """An array of some library: it has `__array__` and nothing else."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


class Exported:
    """An array that is handed on by DLPack alone."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __dlpack__(self, **options):
        return self.values.__dlpack__()

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


class OfAnArrayApi(Tensor):
    """An array whose library makes arrays of numpy's."""

    def __array_namespace__(self):
        return type("Library", (), {"asarray": staticmethod(OfAnArrayApi)})

    def sines(self):
        return OfAnArrayApi(np.sin(self.values))


class Broken:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("it is on another device")


@pytest.mark.parametrize("wrap", [list, tuple, Tensor, Exported, np.asarray, np.ndarray.tolist])
def test_what_holds_numbers_is_an_array(wrap):
    np.testing.assert_array_equal(as_array(wrap(X), "x"), X)


def test_numbers_and_rows_of_arrays_are_arrays_too():
    assert as_array(Fraction(1, 4), "x") == 0.25
    assert as_array([X, Tensor(X)], "x").shape == (2, 3)
    assert as_array([], "x").shape == (0,)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "x is None, not an array of real numbers"),
        ("1.0", r"x is text \('1.0'\), not an array"),
        ({"a": 1.0}, "x is a dict with the keys a, not an array"),
        (object(), "x is an object, not an array"),
        (Broken(), "x is a Broken that cannot be read: it is on another device"),
        ([1.0, None], r"x\[1\] is None"),
        ([np.zeros(2), np.zeros(3)], r"x is a list of rows of different shapes \(\(2,\), \(3,\)"),
        (np.array([1, "a"], dtype=object), "of Python objects, not of real numbers"),
    ],
)
def test_what_does_not_is_refused_by_what_it_is(value, told):
    with pytest.raises(TypeError, match=told):
        as_array(value, "x")


def test_a_numpy_array_becomes_what_the_original_is():
    assert like([[1.0], (2.0, 3.0)], [np.array([4.0]), np.array([5.0, 6.0])]) == [[4.0], (5.0, 6.0)]
    assert type(like(1.5, np.array(2.5))) is float
    assert type(like(np.float32(1.5), np.array(2.5, np.float32))) is np.float32
    assert isinstance(like(Tensor(X), X), np.ndarray)
    assert isinstance(like(OfAnArrayApi(X), X), OfAnArrayApi)


def test_the_kind_of_a_value_is_what_its_user_calls_it():
    assert kind_of(3) == "an int"
    assert kind_of(np.zeros((2, 3))) == "an array of shape (2, 3)"


# --- in the checks ------------------------------------------------------------------------------


def check(answer, f=lambda x: float(np.sum(np.sin(x))), x=X):
    outcome = check_gradient(f, answer, x)
    return outcome.verdict, outcome.reason


PASSES = (Verdict.PASS, None)


@pytest.mark.parametrize("wrap", [list, tuple, Tensor, Exported, np.ndarray.tolist])
def test_a_gradient_may_come_in_any_dress_and_a_wrong_one_still_fails(wrap):
    assert check(lambda x: wrap(np.cos(x))) == PASSES
    assert check(lambda x: wrap(np.sin(x)))[0] is Verdict.FAIL


@pytest.mark.parametrize("result", [float, Tensor, lambda v: Tensor([v]), lambda v: [v], Exported])
def test_a_loss_may_come_in_any_dress(result):
    assert check(np.cos, lambda x: result(np.sum(np.sin(x)))) == PASSES


def test_the_tuple_of_one_gradient_is_that_gradient():
    assert check(lambda x: (np.cos(x),)) == PASSES
    assert check(lambda x: (np.sin(x),))[0] is Verdict.FAIL
    assert check(lambda x: (np.cos(x), np.cos(x)))[1] is Reason.SHAPE
    assert "gradient(x) is None: is a return missing?" in str(
        check_gradient(lambda x: float(x @ x), lambda x: None, X)
    )


def test_a_jacobian_may_be_a_list_of_lists():
    for F in (np.sin, lambda x: list(np.sin(x)), lambda x: Tensor(np.sin(x))):
        outcome = check_jacobian(F, lambda x: np.diag(np.cos(x)).tolist(), X)
        assert outcome.verdict is Verdict.PASS, str(outcome)
        wrong = check_jacobian(F, lambda x: np.diag(np.sin(x)).tolist(), X)
        assert wrong.verdict is Verdict.FAIL
    ragged = check_jacobian(np.sin, lambda x: [[1.0], [1.0, 2.0]], X)
    assert ragged.reason is Reason.DTYPE
    assert "the Jacobian by x is a list of rows of different shapes" in str(ragged)


def test_a_derivative_may_be_whole_numbers():
    x = {"a": X, "b": np.array(2.0)}
    right = {"a": np.ones(3, dtype=int), "b": 2}
    assert check(lambda _: right, lambda p: p["a"].sum() + 2 * p["b"], x) == PASSES
    assert check(lambda _: {**right, "b": 3}, lambda p: p["a"].sum() + 2 * p["b"], x) == (
        Verdict.FAIL,
        Reason.MISMATCH,
    )
    assert check(lambda x: x > 0)[1] is Reason.DTYPE


def test_none_stands_for_what_f_does_not_depend_on():
    x = {"a": X, "b": np.ones(2)}
    outcome = check_gradient(
        lambda p: float(np.sum(np.sin(p["a"]))), lambda p: {"a": np.cos(p["a"]), "b": None}, x
    )
    assert outcome.verdict is Verdict.PASS
    wrong = check_gradient(
        lambda p: float(np.sum(np.sin(p["a"])) + p["b"] @ p["b"]),
        lambda p: {"a": np.cos(p["a"]), "b": None},
        x,
    )
    assert {d.name for d in wrong.discrepancies} == {"b[0]", "b[1]"}


def test_a_model_of_lists_of_floats_is_given_lists_of_floats():
    def f(p):
        assert type(p["w"]) is list
        assert type(p["w"][0]) is type(p["b"]) is float
        return sum(w * w for w in p["w"]) * p["b"]

    def gradient(p):
        return {"w": [2 * w * p["b"] for w in p["w"]], "b": sum(w * w for w in p["w"])}

    x = {"w": [0.5, -1.5, 2.0], "b": 1.25}
    assert check(gradient, f, x) == PASSES
    assert check(lambda p: {**gradient(p), "b": 0.0}, f, x)[0] is Verdict.FAIL
    assert x == {"w": [0.5, -1.5, 2.0], "b": 1.25}


def test_a_list_that_f_changes_is_noticed():
    def rude(x):
        x[1] = 0.0
        return sum(x)

    outcome = check_gradient(rude, lambda x: [1.0, 1.0], [0.5, 1.5])
    assert outcome.reason is Reason.INPUT_CHANGED


def test_x_may_be_arrays_of_a_library_and_f_gets_them_back():
    def f(x):
        assert isinstance(x, OfAnArrayApi)
        return x.sines().values.sum()

    assert check(lambda x: OfAnArrayApi(np.cos(x.values)), f, OfAnArrayApi(X)) == PASSES
    assert check(lambda x: x.sines(), f, OfAnArrayApi(X))[0] is Verdict.FAIL
    assert check(np.cos, lambda x: np.sin(x).sum(), Tensor(X)) == PASSES


def test_x_in_float32_stays_float32():
    def f(x):
        assert x.values.dtype == np.float32
        return x.sines().values.sum(dtype=np.float64)

    x = OfAnArrayApi(X.astype(np.float32))
    outcome = check_gradient(f, lambda x: OfAnArrayApi(np.cos(x.values)), x)
    assert outcome.verdict is Verdict.PASS, str(outcome)


def test_products_and_directions_may_be_tensors():
    outcome = check_hessian_vector_product(
        lambda x: Tensor(np.cos(x)), lambda x, v: list(-np.sin(x) * v), X, Tensor(np.ones(3))
    )
    assert outcome.verdict is Verdict.PASS, str(outcome)


class OfJax(Tensor):
    __module__ = "jaxlib.xla_extension"
    shape = (3,)


def test_a_float32_answer_of_jax_names_the_switch():
    outcome = check_gradient(
        lambda x: float(np.sum(np.sin(x))), lambda x: OfJax(np.cos(x).astype(np.float32)), X
    )
    assert outcome.reason is Reason.DTYPE
    assert 'jax.config.update("jax_enable_x64", True)' in str(outcome)


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (None, r"f\(x\) is None; it must return one real number: is a return missing"),
        ("0.5", r"f\(x\) is text \('0.5'\), not an array of real numbers"),
        ({"loss": 1.0}, r"f\(x\) is a dict with the keys loss"),
        (
            np.zeros(2),
            r"f\(x\) returned ndarray of shape \(2,\) .* one real number; weigh its outputs",
        ),
    ],
)
def test_a_loss_that_is_no_number_is_refused_by_what_it_is(result, told):
    with pytest.raises(TypeError, match=told):
        check_gradient(lambda x: result, np.cos, X)
