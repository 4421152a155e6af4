import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from some import some

from reference_models.losses import LOSSES, REDUCTIONS
from reference_models.sigmoid_network import Workspace, forward, loss, value_and_grad

REAL_DTYPES = [np.float16, np.float32, np.float64, np.longdouble]


def network(sizes, m, dtype=np.float64, seed=0):
    generator = np.random.default_rng(seed)
    parameters = [
        (
            (generator.standard_normal((n, n_in)) / np.sqrt(n_in)).astype(dtype),
            generator.standard_normal(n).astype(dtype),
        )
        for n_in, n in pairwise(sizes)
    ]
    X = generator.standard_normal((m, sizes[0])).astype(dtype)
    Y = generator.random((m, sizes[-1])).astype(dtype)
    return parameters, X, Y


def flat(gradient):
    return np.concatenate([block.ravel() for pair in gradient for block in pair])


@pytest.mark.parametrize("dtype", REAL_DTYPES)
@pytest.mark.parametrize("cost", LOSSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_everything_has_the_dtype_and_the_shapes_of_the_arrays(dtype, cost, reduction):
    parameters, X, Y = network((3, 4, 2), 5, dtype)
    value, gradient = value_and_grad(parameters, X, Y, cost=cost, reduction=reduction)
    assert type(value) is dtype
    assert value == loss(parameters, X, Y, cost=cost, reduction=reduction)
    assert forward(parameters, X).shape == (5, 2)
    assert forward(parameters, X).dtype == dtype
    for pair, gradient_pair in zip(parameters, gradient, strict=True):
        for array, derivative in zip(pair, gradient_pair, strict=True):
            assert derivative.shape == array.shape
            assert derivative.dtype == dtype
            assert np.all(np.isfinite(derivative))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_zero_weights_give_the_gradient_written_by_hand_bit_for_bit(dtype):
    """All z = 0, so a = 1/2, sigma' = 1/4, delta_2 = (1/2 - y)/m; W_2 = 0 stops the error."""
    X = np.array([[1, 2], [3, -4], [0, 1], [5, 0]], dtype)
    Y = np.array([[0], [1], [1], [1]], dtype)
    parameters = [
        (np.zeros((3, 2), dtype), np.zeros(3, dtype)),
        (np.zeros((1, 3), dtype), np.zeros(1, dtype)),
    ]
    value, ((dW1, db1), (dW2, db2)) = value_and_grad(parameters, X, Y)
    assert value == np.log1p(dtype(1))
    np.testing.assert_array_equal(dW1, np.zeros((3, 2)))
    np.testing.assert_array_equal(db1, np.zeros(3))
    np.testing.assert_array_equal(db2, [-0.25])  # (1/2 - 1/2 - 1/2 - 1/2) / 4
    np.testing.assert_array_equal(dW2, [[-0.125] * 3])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_zero_preactivations_with_live_weights_are_exact_too(dtype):
    """b_2 = -W_2 a_1 keeps z_2 = 0 with W_2 /= 0, so the error reaches the first layer:

    delta_2 = +-1/2, delta_1 = delta_2 W_2 / 4, quadratic: another factor 1/4.
    """
    X = np.array([[2, -1]], dtype)
    W1, b1 = np.zeros((2, 2), dtype), np.zeros(2, dtype)
    W2, b2 = np.array([[3, -1]], dtype), np.array([-1], dtype)
    Y = np.array([[1]], dtype)
    for cost, factor in (("cross_entropy", 1.0), ("quadratic", 0.25)):
        _, ((dW1, db1), (dW2, db2)) = value_and_grad([(W1, b1), (W2, b2)], X, Y, cost=cost)
        np.testing.assert_array_equal(db2, np.array([-0.5]) * factor)
        np.testing.assert_array_equal(dW2, np.array([[-0.25, -0.25]]) * factor)
        np.testing.assert_array_equal(db1, np.array([-0.375, 0.125]) * factor)
        np.testing.assert_array_equal(dW1, np.array([[-0.75, 0.375], [0.25, -0.125]]) * factor)


def test_the_mean_is_the_sum_divided_by_m():
    parameters, X, Y = network((3, 4, 2), 8)  # m a power of two: the division is exact
    mean, mean_gradient = value_and_grad(parameters, X, Y, reduction="mean")
    total, sum_gradient = value_and_grad(parameters, X, Y, reduction="sum")
    assert mean == total / 8
    np.testing.assert_array_equal(flat(mean_gradient), flat(sum_gradient) / 8)


def test_saturated_units_make_no_noise():
    """|z| = 1e6 in the hidden and in the last layer: finite, and no warning (which is an error)."""
    parameters = [
        (np.array([[1e6], [-1e6]]), np.zeros(2)),
        (np.array([[1e6, -1e6]]), np.zeros(1)),
    ]
    X, Y = np.array([[1.0], [-1.0]]), np.array([[0.0], [1.0]])
    for cost, expected in (("cross_entropy", 1e6), ("quadratic", 0.5)):
        value, gradient = value_and_grad(parameters, X, Y, cost=cost)
        assert value == expected
        assert np.all(np.isfinite(flat(gradient)))


def test_complex_parameters_pass_through_forward_and_loss():
    parameters, X, Y = network((3, 4, 2), 5)
    complex_parameters = [(W.astype(complex), b.astype(complex)) for W, b in parameters]
    value = loss(complex_parameters, X.astype(complex), Y.astype(complex))
    assert type(value) is np.complex128
    assert value.imag == 0
    activations = forward(complex_parameters, X.astype(complex))
    assert activations.dtype == np.complex128


# The workspace.


@pytest.mark.parametrize("cost", LOSSES)
@pytest.mark.parametrize("dtype", REAL_DTYPES)
def test_a_workspace_changes_no_bit_however_often_it_is_used(cost, dtype):
    workspace = Workspace((3, 4, 4, 2), 5, dtype)
    for seed in range(3):
        parameters, X, Y = network((3, 4, 4, 2), 5, dtype, seed)
        value, gradient = value_and_grad(parameters, X, Y, cost=cost, out=workspace)
        fresh_value, fresh_gradient = value_and_grad(parameters, X, Y, cost=cost)
        assert value == fresh_value == loss(parameters, X, Y, cost=cost, out=workspace)
        np.testing.assert_array_equal(flat(gradient), flat(fresh_gradient))


def test_the_gradient_is_the_workspace_itself_and_a_fresh_one_is_not():
    parameters, X, Y = network((3, 2), 4)
    workspace = Workspace((3, 2), 4, np.float64)
    _, ((dW, _),) = value_and_grad(parameters, X, Y, out=workspace)
    assert dW is workspace.layers[0].dW
    _, ((first, _),) = value_and_grad(parameters, X, Y)
    _, ((second, _),) = value_and_grad(parameters, X, Y)
    assert not np.shares_memory(first, second)


def test_the_arguments_are_never_written():
    parameters, X, Y = network((3, 4, 2), 5)
    for array in (X, Y, *(block for pair in parameters for block in pair)):
        array.flags.writeable = False
    for cost in LOSSES:
        value_and_grad(parameters, X, Y, cost=cost, out=Workspace((3, 4, 2), 5, np.float64))


def peak_bytes(sizes, m, dtype, function, cost, **buffers):
    parameters, X, Y = network(sizes, m, dtype)
    function(parameters, X, Y, cost=cost, **buffers)
    tracemalloc.start()
    try:
        function(parameters, X, Y, cost=cost, **buffers)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("function", [loss, value_and_grad])
@pytest.mark.parametrize("cost", LOSSES)
@pytest.mark.parametrize("dtype", REAL_DTYPES)
def test_with_buffers_memory_does_not_grow_with_widths_or_batch(function, cost, dtype):
    small, large = (3, 4, 2), (60, 80, 40)
    peaks = [
        peak_bytes(sizes, m, dtype, function, cost, out=Workspace(sizes, m, dtype))
        for sizes, m in ((small, 2), (large, 64))
    ]
    smallest_array = 64 * 40 * np.dtype(dtype).itemsize  # of one (m, n_l) of the large network
    assert peaks[1] - peaks[0] < smallest_array // 8
    assert peak_bytes(large, 64, dtype, function, cost) > smallest_array  # the meter works


class Watched(np.ndarray):
    """An array that notes every ufunc it takes part in."""

    seen: set[str] = set()  # noqa: RUF012  (one list for all, as the test reads it)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        Watched.seen.add(ufunc.__name__)

        def plain(x):
            return x.view(np.ndarray) if isinstance(x, Watched) else x

        if out is not None:
            kwargs["out"] = tuple(map(plain, out))
        result = getattr(ufunc, method)(*map(plain, inputs), **kwargs)
        return result if out is None else out[0]


def test_an_array_that_watches_its_arithmetic_sees_all_of_it():
    parameters, X, Y = network((3, 4, 2), 5)
    expected, expected_gradient = value_and_grad(parameters, X, Y)

    def watched(array):
        return array.view(Watched)

    workspace = Workspace(
        (3, 4, 2), 5, np.float64, allocate=lambda shape, dtype: watched(np.empty(shape, dtype))
    )
    Watched.seen.clear()
    value, gradient = value_and_grad(
        [(watched(W), watched(b)) for W, b in parameters], watched(X), watched(Y), out=workspace
    )
    assert value == expected
    np.testing.assert_array_equal(np.asarray(flat(gradient)), flat(expected_gradient))
    assert {"matmul", "add", "exp", "log1p", "divide", "multiply"} <= Watched.seen
    assert all(isinstance(block, Watched) for pair in some(gradient) for block in pair)


# Bad arguments.


def test_wrong_shapes_are_named_with_what_they_must_be():
    parameters, X, Y = network((3, 4, 2), 5)
    (W1, b1), (W2, b2) = parameters
    for bad, X_, Y_, message in (
        ([(W1, b1), (W2.T, b2)], X, Y, r"W2 has shape \(4, 2\), must have shape \(4, 4\)"),
        ([(W1, b2), (W2, b2)], X, Y, r"b1 has shape \(2,\), must have shape \(4,\)"),
        ([(W1[0], b1), (W2, b2)], X, Y, r"W1 has shape \(3,\), must have shape \(1, 3\)"),
        (parameters, X[:, :2], Y, r"W1 has shape \(4, 3\), must have shape \(4, 2\)"),
        (parameters, X[0], Y, r"X has shape \(3,\), must have shape \(m, n\)"),
        (parameters, X[:0], Y, r"X has shape \(0, 3\), .* m >= 1"),
        (parameters, X, Y[:, 0], r"Y has shape \(5,\), must have shape \(5, 2\)"),
        ([], X, Y, "parameters is empty"),
    ):
        for out in (None, Workspace((3, 4, 2), 5, np.float64)):
            with pytest.raises(ValueError, match=message):
                value_and_grad(bad, X_, Y_, out=out)


def test_mixed_and_unknown_dtypes_are_refused():
    parameters, X, Y = network((3, 2), 5)
    with pytest.raises(ValueError, match=r"W1 has dtype float64, must have .* float32"):
        loss(parameters, X.astype(np.float32), Y)
    with pytest.raises(ValueError, match=r"Y has dtype float32, must have .* float64"):
        loss(parameters, X, Y.astype(np.float32), out=Workspace((3, 2), 5, np.float64))
    with pytest.raises(ValueError, match="X has dtype int64, must be one of float16"):
        loss(parameters, X.astype(np.int64), Y)
    with pytest.raises(TypeError, match="W1 must be a numpy array, is a list"):
        loss([([[1.0, 2.0, 3.0]], np.zeros(1))], X, Y)
    with pytest.raises(TypeError, match="X must be a numpy array, is a list"):
        loss(parameters, [[1.0, 2.0, 3.0]], Y, out=Workspace((3, 2), 1, np.float64))


def test_a_workspace_of_another_problem_is_refused():
    parameters, X, Y = network((3, 2), 5)
    with pytest.raises(ValueError, match=r"out=.*m=4.* must be made for sizes=\(3, 2\), m=5"):
        loss(parameters, X, Y, out=Workspace((3, 2), 4, np.float64))


@pytest.mark.parametrize(
    ("sizes", "m", "dtype", "message"),
    [
        ((3,), 1, "float64", r"sizes=\(3,\) must be two or more"),
        ((3, 0), 1, "float64", r"sizes=\(3, 0\) must be"),
        ((3, 1), 0, "float64", "m=0 must be at least 1"),
        ((3, 1), 1, "int32", "dtype has dtype int32"),
        ((1, 1), 70000, "float16", "m=70000 examples exceed"),
    ],
)
def test_a_workspace_says_what_it_cannot_be(sizes, m, dtype, message):
    with pytest.raises(ValueError, match=message):
        Workspace(sizes, m, dtype)


def test_unknown_names_are_refused():
    parameters, X, Y = network((3, 2), 5)
    with pytest.raises(ValueError, match="cost='hinge'"):
        loss(parameters, X, Y, cost="hinge")
    with pytest.raises(ValueError, match="reduction='max'"):
        value_and_grad(parameters, X, Y, reduction="max")
