import ctypes
import sys

import numpy as np
import pytest

from reference_models import logistic_regression, paths, sigmoid_network, stacked_networks
from reference_models.products import FEW, LARGE, deaf, matmul, outer_product, product

SHAPES = [(1, 1), (2, 3), (1, 700), (129, 127), (130, 127), (3, 9000), (9000, 3)]


def vectors(shape, dtype):
    generator = np.random.default_rng(3)
    return (generator.standard_normal(n).astype(dtype) for n in shape)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_product_of_a_column_by_a_row_bit_for_bit(shape, dtype):
    x, y = vectors(shape, dtype)
    out = np.empty(shape, dtype)
    assert outer_product(x, y, out=out) is out
    np.testing.assert_array_equal(out, x[:, None] @ y[None, :])
    assert out[-1, -1] == x[-1] * y[-1]


def test_both_ways_are_taken():
    sizes = [np.prod(shape) for shape in SHAPES]
    assert min(sizes) < LARGE < max(sizes)


def test_strided_columns_and_rows_are_read_as_they_lie():
    A, B = np.arange(400.0).reshape(200, 2), np.arange(600.0).reshape(3, 200).T
    np.testing.assert_array_equal(
        outer_product(A[:, 1], B[:, 2], out=np.empty((200, 200))), A[:, 1:] @ B[:, 2:].T
    )


def test_a_zero_has_the_sign_of_the_product():
    product = outer_product(np.array([-1.0, 1.0]), np.zeros(2), out=np.empty((2, 2)))
    np.testing.assert_array_equal(product, np.zeros((2, 2)))
    np.testing.assert_array_equal(np.signbit(product), [[True, True], [False, False]])


@pytest.mark.parametrize("entries", [LARGE - 1, LARGE])
def test_the_buffers_of_numpy_are_as_large_after_as_before(entries):
    before = np.getbufsize()
    outer_product(np.ones(1), np.ones(entries), out=np.empty((1, entries)))
    assert np.getbufsize() == before
    with pytest.raises(ValueError, match=r"mismatch|broadcast"):
        outer_product(np.ones(1), np.ones(entries), out=np.empty((2, entries - 1)))
    assert np.getbufsize() == before


# Any shape.


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("m", [1, 2, FEW, FEW + 1, 9])
@pytest.mark.parametrize(("k", "n"), [(1, 5), (4, 1), (4, 5), (130, 128), (128, 129)])
def test_a_product_of_any_shape_is_within_rounding_of_the_exact_one(m, k, n, dtype):
    """Small whole numbers: every sum is exact, in any order (float16: 130 * 9 < 2^11)."""
    generator = np.random.default_rng(5)
    A, B = (generator.integers(-3, 4, shape).astype(dtype) for shape in ((m, k), (k, n)))
    out = np.empty((m, n), dtype)
    assert product(A, B, out=out) is out
    np.testing.assert_array_equal(out, A.astype(int) @ B.astype(int))
    transposed = np.ascontiguousarray(B.T).T
    np.testing.assert_array_equal(product(A, transposed, out=np.empty((m, n), dtype)), out)


def test_few_rows_by_a_large_matrix_are_taken_row_by_row_and_others_at_once():
    generator = np.random.default_rng(6)
    for m, n in ((FEW, 128), (FEW + 1, 128), (FEW, 127), (1, 128)):
        A, B = generator.standard_normal((m, 128)), generator.standard_normal((128, n))
        got = product(A, B, out=np.empty((m, n)))
        rows = np.array([row @ B for row in A])
        is_by_rows = 1 < m <= FEW and B.size >= LARGE
        np.testing.assert_array_equal(got, rows if is_by_rows else A @ B)


# Flags.


def test_the_flag_of_an_invalid_operation_is_not_asked_for_and_the_value_shows_it(monkeypatch):
    """A kernel that computes with garbage in its padding, and throws that away."""
    right = np.matmul

    def with_padding(A, B, **out):
        np.subtract(np.inf, np.inf)
        return right(A, B, **out)

    monkeypatch.setattr(np, "matmul", with_padding)
    A, out = np.ones((2, 2)), np.empty((2, 2))
    with np.errstate(invalid="raise"):
        np.testing.assert_array_equal(deaf(product)(A, A, out=out), [[2, 2], [2, 2]])
        assert np.isnan(matmul(np.array([[np.inf, 1.0]]), np.array([[0.0], [1.0]])))


class Block(ctypes.Structure):
    """64 KiB of signalling NaNs of float32, to be handed over on the stack."""

    _fields_ = (("words", ctypes.c_uint64 * 2**13),)


@pytest.fixture
def garbage():
    """Fills the unused stack: a call by value copies its argument there, and returns."""
    if sys.platform == "win32":
        pytest.skip("needs a C library whose getpid can be called with too many arguments")
    call, block = ctypes.CDLL(None).getpid, Block()
    call.argtypes = [Block]
    block.words[:] = [0x7FA000017FA00001] * 2**13
    return lambda: call(block)


@pytest.mark.parametrize("m", [2, 3, 6, 7])
def test_what_lies_in_memory_raises_no_flag(m, garbage):
    """numpy's own product does, of float32 with the kernel SkylakeX: m = 2 or 3 modulo 4, k = 5."""
    one = np.float32(1)
    A, W, b, Y = (np.full(shape, one) for shape in ((m, 5), (1, 5), (1,), (m, 1)))
    calls = [
        lambda: matmul(A, W.T),
        lambda: matmul(W, A.T),
        lambda: sigmoid_network.loss([(W, b)], A, Y),
        lambda: sigmoid_network.value_and_grad([(Y.T, b)], A.T.copy(), W.T),  # five examples
        lambda: stacked_networks.losses([(W[None], b[None])], A, Y),
        lambda: logistic_regression.value_and_grad(W[0], one, A, Y[:, 0]),
        lambda: paths.neurons([(A, Y[:, 0])], W[0], Y[:, 0]),
    ]
    for call in calls:
        with np.errstate(invalid="raise"):
            garbage()
            call()
