"""The models as circuits against the models by hand, and against themselves in more digits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_error import bounds
from test_derivations import Bounds, Case, cases, deviation, flat, real

from reference_models import circuit_models, logistic_regression, sigmoid_network
from reference_models.circuit import Circuit
from reference_models.circuit_models import MODES, logistic_value_and_grad, value_and_grad
from reference_models.losses import LOSSES, REDUCTIONS


def circuit_bounds(case):
    """Bounds of the circuit's loss and of its gradient, as pairs (W, b)."""
    sizes = (case.X.shape[1], *(len(b) for _, b in case.parameters))
    model = circuit_models.sigmoid_network(sizes, len(case.X), **case.names)
    gradient = model.circuit.gradient(model.parameters)
    (C,) = model.circuit.outputs
    both = Circuit(C, *gradient.outputs)
    found = both.forward(circuit_models.network_values(case.parameters, case.X, case.Y))
    error = bounds(both, found)
    blocks = [error[node] for node in gradient.outputs]
    return error[C], list(zip(blocks[::2], blocks[1::2], strict=True))


def added(first, second):
    return [(bW + cW, bb + cb) for (bW, bb), (cW, cb) in zip(first, second, strict=True)]


def wider(case, dtype=np.longdouble):
    parameters = [(W.astype(dtype), b.astype(dtype)) for W, b in case.parameters]
    return Case(parameters, case.X.astype(dtype), case.Y.astype(dtype), case.cost, case.reduction)


@given(cases(dtypes=[np.float32, np.float64]), st.sampled_from(MODES))
def test_the_circuit_of_the_network_has_the_gradient_derived_by_hand(case, mode):
    value, gradient = value_and_grad(case.parameters, case.X, case.Y, **case.names, mode=mode)
    by_hand, hand = sigmoid_network.value_and_grad(case.parameters, case.X, case.Y, **case.names)
    value_bound, gradient_bounds = circuit_bounds(case)
    hand_bounds = Bounds(case, real(case.X.dtype))
    assert abs(value - by_hand) <= value_bound + hand_bounds.value
    assert deviation(gradient, hand, added(gradient_bounds, hand_bounds.gradient())) <= 1


@given(cases(dtypes=[np.float32, np.float64]), st.sampled_from(MODES))
def test_the_circuit_in_more_digits_is_within_the_bound_of_fewer(case, mode):
    long = wider(case)
    value, gradient = value_and_grad(case.parameters, case.X, case.Y, **case.names, mode=mode)
    exact, exactly = value_and_grad(long.parameters, long.X, long.Y, **long.names, mode=mode)
    value_bound, gradient_bounds = circuit_bounds(case)
    long_value_bound, long_bounds = circuit_bounds(long)
    assert abs(value - exact) <= value_bound + long_value_bound
    assert deviation(gradient, exactly, added(gradient_bounds, long_bounds)) <= 1


@given(cases())
def test_both_modes_give_the_same_bits(case):
    first, second = (
        value_and_grad(case.parameters, case.X, case.Y, **case.names, mode=mode) for mode in MODES
    )
    assert first[0] == second[0]
    np.testing.assert_array_equal(flat(first[1]), flat(second[1]))


@given(cases(dtypes=[np.float32, np.float64], sizes=[4, 1]), st.sampled_from(MODES))
def test_the_circuit_of_logistic_regression_has_the_gradient_derived_by_hand(case, mode):
    """The bounds are those of the network of one neuron, with the same operations."""
    ((W, b),) = case.parameters
    w, b, y = W[0], b[0], case.Y[:, 0]
    J, (dw, db) = logistic_value_and_grad(w, b, case.X, y, **case.names, mode=mode)
    by_hand, hand = logistic_regression.value_and_grad(w, b, case.X, y, **case.names)
    value_bound, gradient_bounds = circuit_bounds(case)
    hand_bounds = Bounds(case, real(case.X.dtype))
    assert (dw.shape, np.shape(db)) == ((4,), ())
    assert abs(J - by_hand) <= value_bound + hand_bounds.value
    assert deviation([(dw, db)], [hand], added(gradient_bounds, hand_bounds.gradient())) <= 1


def example(cost="cross_entropy", reduction="mean", dtype=np.float64):
    generator = np.random.default_rng(8)
    parameters = [
        tuple(generator.standard_normal(shape).astype(dtype) for shape in ((n, n_in), (n,)))
        for n_in, n in ((3, 4), (4, 2))
    ]
    X = generator.standard_normal((5, 3)).astype(dtype)
    Y = np.round(generator.random((5, 2))).astype(dtype)
    return Case(parameters, X, Y, cost, reduction)


@pytest.mark.parametrize("cost", LOSSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_planted_relative_error_of_1e_12_disagrees_with_both_witnesses(cost, reduction):
    case = example(cost, reduction)
    _, gradient = value_and_grad(case.parameters, case.X, case.Y, **case.names)
    wrong = [(dW * (1 + 1e-12), db * (1 + 1e-12)) for dW, db in gradient]
    _, hand = sigmoid_network.value_and_grad(case.parameters, case.X, case.Y, **case.names)
    _, bound = circuit_bounds(case)
    allowed = added(bound, Bounds(case, real(np.float64)).gradient())
    assert deviation(gradient, hand, allowed) <= 1
    assert not deviation(wrong, hand, allowed) <= 1
    long = wider(case)
    _, exactly = value_and_grad(long.parameters, long.X, long.Y, **long.names)
    assert not deviation(wrong, exactly, added(bound, circuit_bounds(long)[1])) <= 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cost", LOSSES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_value_and_gradient_have_the_dtype_and_the_shapes_of_the_arrays(mode, cost, dtype):
    case = example(cost, dtype=dtype)
    value, gradient = value_and_grad(case.parameters, case.X, case.Y, cost=cost, mode=mode)
    assert value.dtype == dtype
    for pair, gradient_pair in zip(case.parameters, gradient, strict=True):
        assert [a.shape for a in gradient_pair] == [a.shape for a in pair]
        assert {a.dtype for a in gradient_pair} == {np.dtype(dtype)}


@pytest.mark.parametrize("mode", MODES)
def test_saturated_networks_make_no_noise(mode):
    """|z| = 1e6 in the hidden and in the last layer, right and wrong targets."""
    parameters = [
        (np.array([[1e6], [-1e6]]), np.zeros(2)),
        (np.array([[1e6, -1e6]]), np.zeros(1)),
    ]
    X, Y = np.array([[1.0], [-1.0]]), np.array([[0.0], [1.0]])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        value, ((dW1, _), (_, db2)) = value_and_grad(parameters, X, Y, reduction="sum", mode=mode)
    assert value == 2e6
    np.testing.assert_array_equal(db2, [0.0])  # +1 and -1
    assert np.all(np.isfinite(dW1))


# --- the four equations of backprop, each alone, from the nodes of the circuit --------------------


def four_equations(case):
    """(model, values, gradients) with the errors delta_l = dC/dz_l, the z being nodes."""
    sizes = (case.X.shape[1], *(len(b) for _, b in case.parameters))
    model = circuit_models.sigmoid_network(sizes, len(case.X), **case.names)
    values = model.circuit.forward(circuit_models.network_values(case.parameters, case.X, case.Y))
    g = model.circuit.backward(values, [*model.parameters, *model.z])
    return model, values, g


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("cost", LOSSES)
def test_the_error_of_a_neuron_is_what_moving_its_z_does_to_the_loss(layer, cost):
    """delta = dC/dz, by the complex step Im C(z + ih) / h in extended precision.

    The step has 40 roundings a gate of the sums of absolute values that the bound of delta has
    one of at least, in the digits of longdouble.
    """
    case = example(cost)
    model, values, g = four_equations(case)
    node = model.z[layer]
    delta = model.circuit.gradient([node])
    named = circuit_models.network_values(case.parameters, case.X, case.Y)
    bound = bounds(delta, delta.forward(named))[delta.outputs[0]]
    digits = float(np.finfo(np.longdouble).eps / np.finfo(np.float64).eps)
    allowed = bound * (1 + 40 * len(model.circuit.nodes) * digits)
    long = {name: array.astype(np.clongdouble) for name, array in named.items()}
    (C,) = model.circuit.outputs
    for index in np.ndindex(node.shape):
        moved = values[node].astype(np.clongdouble)
        moved[index] += 1e-30j
        step = model.circuit.forward(long, moved={node: moved})[C].imag / np.longdouble(1e-30)
        assert abs(g[node][index] - step) <= allowed[index]
        assert not abs(g[node][index] * (1 + 1e-11) - step) <= allowed[index]


def test_the_recursion_and_the_gradients_of_weights_and_biases():
    """delta_1 = (delta_2 W_2) * sigma'(z_1), dC/db = sum of delta, dC/dW = delta^T a below."""
    case = example()
    model, values, g = four_equations(case)
    W1, b1, W2, b2 = model.parameters
    delta1, delta2 = (g[z] for z in model.z)
    a1, s = values[model.a[0]], values[model.z[0]]
    slope = 1 / (2 + np.exp(s) + np.exp(-s))
    by_layer = [(g[W1], g[b1]), (g[W2], g[b2])]
    expected = [
        (((delta2 @ values[W2]) * slope).T @ case.X, delta1.sum(axis=0)),
        (delta2.T @ a1, delta2.sum(axis=0)),
    ]
    allowed = added(circuit_bounds(case)[1], Bounds(case, real(np.float64)).gradient())
    assert deviation(by_layer, expected, allowed) <= 1
    without_slope = [((delta2 @ values[W2]).T @ case.X, expected[0][1]), expected[1]]
    assert not deviation(by_layer, without_slope, allowed) <= 1


def test_bad_arguments_are_named():
    case = example()
    with pytest.raises(ValueError, match="mode='forward' must be one of symbol-to-number, symbol"):
        value_and_grad(case.parameters, case.X, case.Y, mode="forward")
    with pytest.raises(ValueError, match=r"Y has shape \(5, 1\), must have shape \(5, 2\)"):
        value_and_grad(case.parameters, case.X, case.Y[:, :1])
    with pytest.raises(ValueError, match="cost='hinge'"):
        value_and_grad(case.parameters, case.X, case.Y, cost="hinge")
    with pytest.raises(ValueError, match=r"sizes=\(3,\) must be two or more"):
        circuit_models.sigmoid_network((3,), 1)
    with pytest.raises(ValueError, match=r"y has shape \(5, 2\), must have shape \(5,\)"):
        logistic_value_and_grad(np.ones(3), 0.0, case.X, case.Y)
