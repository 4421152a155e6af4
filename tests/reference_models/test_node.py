import gc
import weakref

import numpy as np
import pytest

from reference_models.circuit import Circuit
from reference_models.gates import GATES, exp, multiply, power
from reference_models.node import constant, variable


def test_the_same_expression_is_the_same_node():
    x, y = variable("x"), variable("y")
    assert x * y + exp(x) is x * y + exp(x)
    assert x * y is not y * x
    assert variable("x") is x
    assert variable("x", (2,)) is not x
    assert constant(2) is constant(2.0)
    assert constant(0.0) is not constant(-0.0)


def test_nodes_no_longer_used_are_forgotten():
    node = weakref.ref(variable("x") * 12345.0)
    gc.collect()
    assert node() is None


def test_numbers_on_either_side_become_constants():
    x = variable("x")
    f = (1 - x) / 2 + 3 * x - 4 / x + (x - 5) * np.float32(0.5)
    (value,) = Circuit(f).evaluate({"x": 4.0})
    assert value == -1.5 + 12 - 1 - 0.5


def test_a_numpy_number_leaves_the_operator_to_the_node():
    x = variable("x")
    assert (np.float64(2.0) * x).gate is GATES["multiply"]
    assert np.array(2.0) * x is 2.0 * x


def test_powers_zero_and_one_are_no_gates():
    x = variable("x", (2,))
    assert x**1 is x
    assert x**0 is constant(1.0, (2,))
    (third,) = (
        Circuit(
            Circuit(Circuit((x**3).sum()).gradient([x]).outputs[0].sum())
            .gradient([x])
            .outputs[0]
            .sum()
        )
        .gradient([x])
        .evaluate({"x": np.array([0.0, 2.0])})
    )
    np.testing.assert_array_equal(third, [6.0, 6.0])  # at 0 too, where x ** -1 would be infinite


def test_a_gate_writes_itself():
    assert multiply.written("q", "z") == "q * z"
    assert exp.written("x") == "exp(x)"
    assert power.written("y", "3") == "y ** 3"


def test_what_cannot_enter_a_circuit_is_named():
    x = variable("x", (2,))
    with pytest.raises(TypeError, match=r"one number, is a ndarray of shape \(2,\); arrays enter"):
        x + np.ones(2)
    with pytest.raises(TypeError, match=r"one number, is a str"):
        x + "y"
    with pytest.raises(TypeError, match=r"power: n in x \*\* n must be no node"):
        x**x
    with pytest.raises(ValueError, match="name='' must not be empty"):
        variable("")
    with pytest.raises(ValueError, match=r"shape=\(2, 0\) of 'w' must hold sizes of at least 1"):
        variable("w", (2, 0))
