"""An engine rounds beside its largest numbers: what is small beside them is not accused of that."""

import numpy as np
import pytest

from gradcheck import check_gradient

RANDOM = np.random.default_rng(0)
UPSTREAM_Q, UPSTREAM_R = RANDOM.standard_normal((2, 4, 4))


def loss(A):
    Q, R = np.linalg.qr(A)
    return float(np.sum(UPSTREAM_Q * Q) + np.sum(UPSTREAM_R * R))


def gradient(A):
    """(Q' + Q sym(M)) R^-T, M = R R'^T - Q'^T Q: S. F. Walter and L. Lehmann, 2010, section 3."""
    Q, R = np.linalg.qr(A)
    Q_bar, R_bar = UPSTREAM_Q.astype(A.dtype), np.triu(UPSTREAM_R).astype(A.dtype)
    M = R @ R_bar.T - Q_bar.T @ Q
    symmetric = np.tril(M) + np.tril(M, -1).T
    return (Q_bar + Q @ symmetric) @ np.linalg.inv(R).T


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("seed", range(4))
def test_a_backward_pass_that_solves_is_not_accused_of_its_rounding(scale, seed):
    """R depends on the last column of A linearly, Q not at all: differences have all digits."""
    A = scale * np.random.default_rng(seed).standard_normal((4, 4))
    told = check_gradient(loss, gradient, A)
    assert told.verdict.value == "PASS", str(told)


@pytest.mark.parametrize("seed", range(4))
def test_where_it_has_lost_all_digits_it_is_not_accused_either(seed):
    A = 1e-6 * np.random.default_rng(seed).standard_normal((4, 4))
    told = check_gradient(lambda A: np.float32(loss(A)), gradient, A.astype(np.float32))
    assert told.verdict.value != "FAIL", str(told)


@pytest.mark.parametrize("error", [1e-4, 1.0, -2.0])
def test_a_mistake_in_a_small_number_is_seen_however_large_the_others_are(error):
    def wrong(x):
        return np.array([1e7 * np.cos(1e7 * x[0]), 1 + error])

    x = np.array([3e-8, 1e-6])
    told = check_gradient(lambda x: float(np.sin(1e7 * x[0]) + x[1]), wrong, x)
    assert told.verdict.value == "FAIL"
    assert [one.name for one in told.discrepancies] == ["x[1]"]


@pytest.mark.parametrize(("left", "verdict"), [(1e-11, "PASS"), (1e-5, "FAIL")])
def test_a_zero_may_be_what_rounding_left_of_it(left, verdict):
    def nearly(x):
        return np.array([1e7 * np.cos(1e7 * x[0]), left])

    told = check_gradient(lambda x: float(np.sin(1e7 * x[0])), nearly, np.array([3e-8, 1e-6]))
    assert told.verdict.value == verdict
