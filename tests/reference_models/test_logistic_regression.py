import numpy as np
import pytest

from reference_models.logistic_regression import forward, loss, value_and_grad

INPUTS = np.array([[1.0, 2.0], [3.0, -4.0], [0.0, 1.0], [5.0, 0.0]])
TARGETS = np.array([0.0, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_zero_weights_give_the_gradient_written_by_hand_bit_for_bit(dtype):
    """P = 1/2, so p - y = (1/2, -1/2, -1/2, -1/2)."""
    J, (dw, db) = value_and_grad(
        np.zeros(2, dtype), dtype(0), INPUTS.astype(dtype), TARGETS.astype(dtype)
    )
    assert type(J) is type(db) is dtype
    assert np.log1p(dtype(1)) == J
    np.testing.assert_array_equal(dw, [-7 / 8, 5 / 8])
    assert db == -1 / 4
    np.testing.assert_array_equal(forward(np.zeros(2, dtype), dtype(0), INPUTS.astype(dtype)), 0.5)


def test_zero_weights_with_the_quadratic_sum():
    """(p - y) sigma' = (p - y) / 4, and no division by m."""
    J, (dw, db) = value_and_grad(
        np.zeros(2), 0.0, INPUTS, TARGETS, cost="quadratic", reduction="sum"
    )
    assert J == 0.5
    np.testing.assert_array_equal(dw, [-7 / 8, 5 / 8])
    assert db == -1 / 4


def test_the_loss_alone_is_the_loss_with_the_gradient():
    w, b = np.array([0.3, -0.2]), np.array(0.1)
    assert loss(w, b, INPUTS, TARGETS) == value_and_grad(w, b, INPUTS, TARGETS)[0]


def test_gradient_shapes_are_those_of_the_parameters():
    _, (dw, db) = value_and_grad(np.ones(2), np.array(0.5), INPUTS, TARGETS)
    assert dw.shape == (2,)
    assert np.shape(db) == ()


def test_bad_arguments_are_named():
    w, b = np.zeros(2), np.float64(0)
    with pytest.raises(ValueError, match=r"w has shape \(3,\), must have shape \(2,\)"):
        forward(np.zeros(3), b, INPUTS)
    with pytest.raises(ValueError, match=r"b has shape \(1,\), must have shape \(\)"):
        loss(w, np.zeros(1), INPUTS, TARGETS)
    with pytest.raises(ValueError, match=r"y has shape \(4, 1\), must have shape \(4,\)"):
        value_and_grad(w, b, INPUTS, TARGETS[:, None])
    with pytest.raises(ValueError, match=r"b has dtype float32, must have .* float64"):
        loss(w, np.float32(0), INPUTS, TARGETS)
    with pytest.raises(ValueError, match="cost='hinge'"):
        loss(w, b, INPUTS, TARGETS, cost="hinge")
