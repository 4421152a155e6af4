"""The three ways through a circuit."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import contour
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_error import bounds

from reference_models.circuit import Circuit, variable
from reference_models.counting import count_multiplications
from reference_models.gates import exp, log, multiply, sigmoid, softplus, tanh
from reference_models.node import Node

X, Y, Z = variable("x"), variable("y"), variable("z")
Q = X + Y
F = Q * Z
POINT = {"x": -2.0, "y": 5.0, "z": -4.0}


# --- f = (x + y) z --------------------------------------------------------------------------------


def test_the_textbook_circuit_has_the_textbook_numbers():
    circuit = Circuit(F)
    values = circuit.forward(POINT)
    g = circuit.backward(values)
    assert [values[node] for node in (X, Y, Q, Z, F)] == [-2, 5, 3, -4, -12]
    assert [g[node] for node in (X, Y, Q, Z, F)] == [-4, -4, -4, 3, 1]
    assert circuit.gradient([X, Y, Z, Q]).evaluate(POINT) == (-4, -4, 3, -4)


def f_after(step, *names):
    """f after moving the named variables by `step` times their own gradients."""
    g = dict(zip("xyz", (-4.0, -4.0, 3.0), strict=True))
    moved = POINT | {name: POINT[name] + step * g[name] for name in names}
    (value,) = Circuit(F).evaluate(moved)
    return value


@pytest.mark.parametrize("h", [2.0**-k for k in range(1, 20)])
def test_x_and_y_moved_along_their_gradient_raise_f_by_its_squared_length(h):
    """dF = h (4^2 + 4^2), exactly, as f is linear in x and y; against it f falls by as much.

    Their gradient is negative, so "along" means that x and y decrease: q falls, f = q z rises.
    """
    assert f_after(+h, "x", "y") == -12 + 32 * h
    assert f_after(-h, "x", "y") == -12 - 32 * h


@pytest.mark.parametrize("h", [2.0**-k for k in range(1, 20)])
def test_all_three_moved_change_f_by_the_squared_length_to_first_order(h):
    """f(p + h g) = (3 - 8 h) (-4 + 3 h) = -12 + 41 h - 24 h^2, with |g|^2 = 41."""
    assert f_after(+h, "x", "y", "z") == -12 + 41 * h - 24 * h**2
    assert f_after(-h, "x", "y", "z") == -12 - 41 * h - 24 * h**2


def test_a_gate_set_from_outside_moves_what_comes_after_it():
    circuit = Circuit(F)
    values = circuit.forward(POINT, moved={Q: 4.0})
    assert (values[Q], values[F]) == (4, -16)
    assert values[F] - circuit.forward(POINT)[F] == -4  # df/dq times 1


# --- shared subexpressions ------------------------------------------------------------------------


def multiplications_of(expression):
    """How often the gate x y is evaluated in a circuit that contains it several times."""
    calls = Counter()

    def watched(x, y):
        calls["multiply"] += 1
        return x * y

    circuit = Circuit(expression(replace(multiply, forward=watched)))
    circuit.backward(circuit.forward({"x": 2.0, "y": 3.0}))
    return calls["multiply"]


def test_every_gate_is_evaluated_once():
    assert multiplications_of(lambda xy: exp(xy(X, Y)) + xy(X, Y) * xy(X, Y)) == 1


def test_unshared_nodes_would_be_evaluated_twice():
    assert multiplications_of(lambda xy: exp(xy(X, Y)) + Node(xy, (X, Y), (), ())) == 2


def test_contributions_of_all_uses_add():
    (g,) = Circuit(X * X + 3 * X + X).gradient([X]).evaluate({"x": 5.0})
    assert g == 14


def repeatedly_squared(n):
    node = X
    for _ in range(n):
        node = node * node
    return node


def test_a_power_of_two_costs_a_logarithm_of_multiplications():
    """x^(2^n): n multiplications forward, two a gate backward; written out it would be 2^n - 1."""
    for n in (1, 5, 10):
        assert count_multiplications(Circuit(repeatedly_squared(n)), {"x": 1.0}) == (n, 2 * n)
        assert Circuit(repeatedly_squared(n)).gradient([X]).evaluate({"x": 1.0}) == (2**n,)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.booleans()), min_size=1))
def test_backprop_costs_at_most_two_multiplications_for_each_one_forward(steps):
    """The cheap gradient (Baur and Strassen 1983), counted in multiplications; exact integers."""
    nodes = [X, Y, Z]
    for i, j, product in steps[:12]:
        a, b = nodes[i % len(nodes)], nodes[j % len(nodes)]
        nodes.append(a * b if product else a + b)
    forward, backward = count_multiplications(Circuit(nodes[-1]), dict.fromkeys(names(nodes), 1.0))
    assert backward <= 2 * forward


def names(nodes):
    return Circuit(nodes[-1]).variables


def test_only_what_lies_between_is_differentiated():
    circuit = Circuit(X * Y + Z * Z)
    assert count_multiplications(circuit, POINT) == (2, 4)
    assert count_multiplications(circuit, POINT, [X]) == (2, 1)


def test_a_chain_of_three_thousand_gates_works():
    node = X
    for _ in range(3_000):
        node = sigmoid(node) + node
    circuit = Circuit(node)
    g = circuit.backward(circuit.forward({"x": -3.0}))[X]
    assert np.isfinite(g)
    assert circuit.gradient([X]).evaluate({"x": -3.0}) == (g,)


# --- numbers and symbols --------------------------------------------------------------------------


@st.composite
def smooth(draw):
    """A random circuit of analytic gates in x, y, z, bounded in value, and a point for it."""
    nodes = [X, Y, Z]
    for _ in range(draw(st.integers(2, 8))):
        a, b = (nodes[draw(st.integers(0, len(nodes) - 1))] for _ in range(2))
        made = [
            sigmoid(a) * b,
            tanh(a + b),
            softplus(a - b),
            exp(tanh(a)) / (softplus(b) + 1.0),
            log(softplus(a * b) + 0.5),
            sigmoid(a) ** 3,
        ]
        nodes.append(made[draw(st.integers(0, len(made) - 1))])
    point = {name: draw(st.floats(-3, 3)) for name in "xyz"}
    return Circuit(nodes[-1], variables=[X, Y, Z]), point


@given(smooth())
def test_both_kinds_of_differentiation_give_the_same_bits(drawn):
    circuit, point = drawn
    g = circuit.backward(circuit.forward(point))
    assert circuit.gradient([X, Y, Z]).evaluate(point) == tuple(g[node] for node in (X, Y, Z))


@pytest.mark.parametrize("x", [-2.5, -0.3, 0.0, 1e-3, 1.25, 4.0])
@pytest.mark.parametrize(
    "function",
    [
        sigmoid,
        lambda x: softplus(2 * x) * tanh(x / 2),
        lambda x: exp(sigmoid(x)) / (softplus(x) + 2.0),
        lambda x: log(exp(x) + 30.0) * x**3,
    ],
)
def test_second_and_third_derivatives_are_differences_of_first_ones(function, x):
    """First derivatives by numbers, on a circle in the complex plane, give the higher ones.

    All four functions are analytic in |t| <= 1 around real x: their singularities are where
    exp(x), exp(2x) or exp(x) / 30 is -1, or softplus is -2, all with |Im x| >= pi / 2.
    """
    circuit = Circuit(function(X))

    def first(t):
        return circuit.backward(circuit.forward({"x": x + t}))[X]

    derivative = circuit
    for order in (1, 2):
        derivative = derivative if order > 1 else circuit.gradient([X])
        derivative = derivative.gradient([X])
        found = derivative.forward({"x": x})
        node = derivative.outputs[0]
        gates = 3 * len(circuit.nodes)
        expected, error = contour.derivative(first, order, inner=0.1, outer=1.0, gates=gates)
        assert abs(found[node] - expected) <= error + bounds(derivative, found)[node]
        wrong = found[node] * (1 + 1e-6) + 1e-9
        assert not abs(wrong - expected) <= error + bounds(derivative, found)[node]


def sigmoid_derivatives(z):
    """sigma' = s t, sigma'' = s t (t - s), sigma''' = s t (1 - 6 s t), with t = 1 - s, exactly.

    In rationals, for s to 40 digits: s t <= 1/4 and all three are below 1/4, so the error of s
    is passed on by a factor of at most 4.
    """
    e = Fraction(1)
    term = Fraction(1)
    z = Fraction(abs(z))
    for k in range(1, 120):  # exp(z) for z <= 8: the rest of the series is below 8^120/120! < 1e-89
        term = term * z / k
        e += term
    small, large = 1 / (1 + e), e / (1 + e)
    return small, large


@pytest.mark.parametrize("z", [-8.0, -2.0, -1.3169578969248166, -0.5, 0.0, 0.25, 1.0, 3.0, 8.0])
def test_the_derivatives_of_sigmoid_match_their_closed_forms(z):
    small, large = sigmoid_derivatives(z)
    s, t = (large, small) if z >= 0 else (small, large)
    closed = [s * t, s * t * (t - s), s * t * (1 - 6 * s * t)]
    derivative = Circuit(sigmoid(X))
    for expected in closed:
        derivative = derivative.gradient([X])
        found = derivative.forward({"x": z})
        node = derivative.outputs[0]
        allowed = bounds(derivative, found)[node]
        assert allowed <= 1e-14  # the comparison means something
        error = abs(Fraction(float(found[node])) - expected)
        assert error <= allowed
        assert not abs(error + Fraction(1, 10**13)) <= allowed


@given(smooth())
def test_mixed_partial_derivatives_are_symmetric(drawn):
    circuit, point = drawn
    for a, b in ((X, Y), (Y, Z), (X, Z)):
        values, allowed = [], 0.0
        for first, second in ((a, b), (b, a)):
            mixed = Circuit(
                *circuit.gradient([first]).outputs, variables=circuit.variables.values()
            ).gradient([second])
            found = mixed.forward(point)
            values.append(found[mixed.outputs[0]])
            allowed += bounds(mixed, found)[mixed.outputs[0]]
        assert abs(values[0] - values[1]) <= allowed


def test_asymmetric_mixed_partials_would_be_seen():
    """A product whose rule by y forgets x: d2f/dxdy = 1 and d2f/dydx = 0."""
    wrong = replace(multiply, rules=(multiply.rules[0], lambda g, f, x, y: 0.0 * g * y))
    circuit = Circuit(wrong(X, Y))
    mixed = [
        circuit.gradient([a]).gradient([b]).evaluate({"x": 2.0, "y": 3.0})[0]
        for a, b in ((X, Y), (Y, X))
    ]
    assert mixed == [1.0, 0.0]


# --- the chain rule -------------------------------------------------------------------------------


def test_the_derivative_of_a_composite_is_the_product_of_the_local_ones():
    """F(g(x)) with F = u^2, g = 3 x + 1: F' g' = 2 u 3, in integers."""
    u = 3 * X + 1
    circuit = Circuit(u * u)
    values = circuit.forward({"x": 2.0})
    assert circuit.backward(values, [u])[u] == 14
    assert circuit.backward(values)[X] == 14 * 3


# --- edges ----------------------------------------------------------------------------------------


def test_what_the_output_does_not_depend_on_has_derivative_zero_in_its_shape():
    w = variable("w", (2, 3))
    circuit = Circuit(X * X)
    g = circuit.backward(circuit.forward({"x": np.float32(3)}), [w, X])
    np.testing.assert_array_equal(g[w], np.zeros((2, 3)))
    assert g[w].dtype == np.float32
    zero, two_x = circuit.gradient([w, X]).evaluate({"x": np.float32(3)})
    np.testing.assert_array_equal(zero, np.zeros((2, 3)))
    assert (zero.dtype, two_x) == (np.float32, 6)


def test_a_derivative_takes_the_values_of_the_circuit_it_came_from():
    """d/dx of x + y depends on neither."""
    assert Circuit(X + Y).gradient([X]).evaluate({"x": 1.0, "y": 2.0}) == (1.0,)


def test_a_vector_has_a_gradient_for_every_seed():
    """Rows of the Jacobian of (x y, x + y): (y, x) and (1, 1)."""
    v = variable("v", (2,))
    circuit = Circuit(v * v)
    values = circuit.forward({"v": np.array([3.0, 5.0])})
    np.testing.assert_array_equal(circuit.backward(values, seed=[1.0, 0.0])[v], [6.0, 0.0])
    np.testing.assert_array_equal(circuit.backward(values, seed=[0.0, 1.0])[v], [0.0, 10.0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_constants_take_the_dtype_of_the_values(dtype):
    circuit = Circuit(sigmoid(0.1 * X) / 3 + 1)
    found = circuit.forward({"x": dtype(2)})
    assert {value.dtype for value in found.values()} == {np.dtype(dtype)}
    assert circuit.backward(found)[X].dtype == dtype


def test_integers_become_float64():
    assert Circuit(X / Y).evaluate({"x": 1, "y": 2}) == (0.5,)


def test_bad_values_are_named():
    circuit = Circuit(F)
    with pytest.raises(ValueError, match="'w' is no variable of this circuit, which has x, y, z"):
        circuit.forward(POINT | {"w": 1.0})
    with pytest.raises(ValueError, match="variable 'z' has no value; there are x, y"):
        circuit.forward({"x": 1.0, "y": 2.0})
    with pytest.raises(ValueError, match=r"variable 'z' has a value of shape \(3,\), must .* \(\)"):
        circuit.forward(POINT | {"z": np.ones(3)})
    with pytest.raises(ValueError, match="values have dtype bool, must be floating-point numbers"):
        circuit.forward({"x": True, "y": False, "z": True})
    with pytest.raises(ValueError, match=r"moved has <exp \(\)>, which is no node"):
        circuit.forward(POINT, moved={exp(X): 1.0})
    with pytest.raises(ValueError, match=r"moved <add \(\)> has a value of shape \(2,\)"):
        circuit.forward(POINT, moved={Q: np.ones(2)})


def test_a_circuit_tells_its_variables_and_its_size():
    assert repr(Circuit(F)) == "<circuit of x, y, z: 5 nodes>"


def test_bad_circuits_are_named():
    v = variable("v", (2,))
    with pytest.raises(ValueError, match="at least one output"):
        Circuit()
    with pytest.raises(TypeError, match="an output must be a node, is a float"):
        Circuit(1.0)
    with pytest.raises(ValueError, match=r"two variables 'x', of shapes \(\), \(2,\)"):
        Circuit(X + variable("x", (2,)))
    with pytest.raises(ValueError, match="2 outputs, must be one to be differentiated"):
        Circuit(X, Y).gradient([X])
    with pytest.raises(ValueError, match=r"output has shape \(2,\); without a seed it must be a"):
        Circuit(v).gradient([v])
    with pytest.raises(ValueError, match=r"seed has shape \(3,\), must have shape \(2,\)"):
        Circuit(v).backward(Circuit(v).forward({"v": np.ones(2)}), seed=np.ones(3))
