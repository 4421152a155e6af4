import numpy as np
import pytest

from reference_models.chain_rule import loss, value_and_grad


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_two_neurons_in_a_chain_are_the_product_of_their_factors(dtype):
    """w1 = b1 = b2 = 0 and w2 = 2, b2 = -1: z1 = z2 = 0, a = 1/2, sigma' = 1/4, delta_2 = a - y.

    dC/dw2 = delta_2 a_1,  dC/dw1 = delta_2 w2 sigma'(z1) x.
    """
    one = np.ones((1, 1), dtype)
    parameters = [(0 * one, 0 * one[0]), (2 * one, -one[0])]
    value, ((dW1, db1), (dW2, db2)) = value_and_grad(parameters, 3 * one, one)
    assert type(value) is dtype
    assert value == np.log1p(dtype(1)) == loss(parameters, 3 * one, one)
    assert (dW2[0, 0], db2[0]) == (-0.25, -0.5)
    assert (dW1[0, 0], db1[0]) == (-0.5 * 2 * 0.25 * 3, -0.5 * 2 * 0.25)
    assert {block.dtype for block in (dW1, db1, dW2, db2)} == {np.dtype(dtype)}


def test_contributions_of_all_paths_add():
    """Two outputs pull one hidden neuron: delta_1 = sum_j delta_2[j] w[j] / 4."""
    parameters = [
        (np.zeros((1, 1)), np.zeros(1)),
        (np.array([[4.0], [2.0]]), np.array([-2.0, -1.0])),
    ]
    _, ((_, db1), _) = value_and_grad(parameters, np.ones((1, 1)), np.array([[0.0, 1.0]]))
    assert db1[0] == (0.5 * 4 - 0.5 * 2) / 4


def test_examples_add_and_the_mean_divides_once():
    parameters = [(np.zeros((1, 2)), np.zeros(1))]
    X, Y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0], [0.0]])
    _, ((dW, db),) = value_and_grad(parameters, X, Y, reduction="sum")
    np.testing.assert_array_equal(dW, [[2.0, 3.0]])
    np.testing.assert_array_equal(db, [1.0])
    _, ((dW, db),) = value_and_grad(parameters, X, Y, reduction="mean")
    np.testing.assert_array_equal(dW, [[1.0, 1.5]])
    np.testing.assert_array_equal(db, [0.5])


def test_the_arguments_are_never_written():
    parameters = [(np.ones((1, 2)), np.ones(1))]
    X, Y = np.ones((3, 2)), np.ones((3, 1))
    for array in (*parameters[0], X, Y):
        array.flags.writeable = False
    value_and_grad(parameters, X, Y)


def test_bad_arguments_are_named():
    parameters = [(np.ones((1, 2)), np.ones(1))]
    X, Y = np.ones((3, 2)), np.ones((3, 1))
    with pytest.raises(ValueError, match=r"Y has shape \(3,\), must have shape \(3, 1\)"):
        loss(parameters, X, Y[:, 0])
    with pytest.raises(ValueError, match="b1 has dtype float32"):
        value_and_grad([(np.ones((1, 2)), np.ones(1, np.float32))], X, Y)
    with pytest.raises(ValueError, match="cost='hinge'"):
        loss(parameters, X, Y, cost="hinge")
    with pytest.raises(ValueError, match="reduction='max'"):
        loss(parameters, X, Y, reduction="max")
