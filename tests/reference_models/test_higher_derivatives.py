import contour
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_error import bounds

from reference_models.circuit import Circuit, variable
from reference_models.circuit_models import logistic_regression, sigmoid_network
from reference_models.higher_derivatives import hessian, hessian_vector_product


def random_values(circuit, seed, dtype=np.float64):
    generator = np.random.default_rng(seed)
    return {
        name: generator.uniform(0, 1, node.shape).astype(dtype)
        if name == "Y"
        else generator.standard_normal(node.shape).astype(dtype)
        for name, node in circuit.variables.items()
    }


def test_a_quadratic_form_has_its_matrix_for_a_hessian():
    """C = x^T A x / 2 with A symmetric, in integers: H = A."""
    A = np.array([[2.0, -1.0, 3.0], [-1.0, 4.0, 5.0], [3.0, 5.0, -6.0]])
    x, M = variable("x", (3, 1)), variable("A", (3, 3))
    C = (x.T @ M @ x).sum() / 2
    found = hessian(Circuit(C), [x], {"x": np.array([[7.0], [-2.0], [1.0]]), "A": A})
    np.testing.assert_array_equal(found, A)


def test_blocks_of_several_nodes_are_in_their_order():
    """C = x^2 y: d2C = [[2y, 2x], [2x, 0]]."""
    x, y = variable("x"), variable("y")
    values = {"x": 3.0, "y": 5.0}
    np.testing.assert_array_equal(hessian(Circuit(x * x * y), [x, y], values), [[10, 6], [6, 0]])
    np.testing.assert_array_equal(hessian(Circuit(x * x * y), [y, x], values), [[0, 6], [6, 10]])


def test_the_hessian_of_logistic_regression_is_its_textbook_form():
    """H = X~^T diag(p (1 - p)) X~ / m with X~ = (X, 1) (Bishop 2006, equation 4.97)."""
    model = logistic_regression(3, 7)
    values = random_values(model.circuit, 2)
    H = hessian(model.circuit, model.parameters, values)
    extended = np.hstack([values["X"], np.ones((7, 1))])
    z = extended @ np.vstack([values["w"], values["b"].reshape(1, 1)])
    slope = 1 / (2 + np.exp(z) + np.exp(-z))
    size = np.abs(extended).T @ (slope * np.abs(extended)) / 7
    # slope: z within 4 roundings of |X| |w|, then 10; the sums 7; as much on the other side
    roundings = 2 * (
        17 + 4 * np.max(np.abs(extended) @ np.abs(np.append(values["w"], values["b"])))
    )
    allowed = roundings * 2.0**-53 * size
    assert np.all(np.abs(H - extended.T @ (slope * extended) / 7) <= allowed)
    assert not np.all(np.abs(H * (1 + 1e-12) - extended.T @ (slope * extended) / 7) <= allowed)


def difference_of_gradients(model, values, direction):
    """d/dt of the gradient at w + t v, from gradients on a circle of complex t, and its error.

    Analytic as long as |Im z| < pi in every neuron; |t| <= 0.2 keeps far from that here.
    """

    def gradient(t):
        moved = dict(values)
        for node, v in zip(model.parameters, direction, strict=True):
            name = node.parameters[0]
            moved[name] = values[name] + t * v
        found = model.circuit.forward(moved)
        assert max(np.max(np.abs(found[z].imag)) for z in model.z) < 2
        g = model.circuit.backward(found, model.parameters)
        return np.concatenate([np.ravel(g[p]) for p in model.parameters])

    gates = 3 * len(model.circuit.nodes)
    return contour.derivative(gradient, 1, inner=0.02, outer=0.2, gates=gates)


@given(
    st.sampled_from([(1, 1), (3, 1), (3, 2, 1), (2, 3, 2, 2)]),
    st.sampled_from(["cross_entropy", "quadratic"]),
    st.integers(0, 2**32 - 1),
)
def test_hessian_vector_products_are_differences_of_gradients(sizes, cost, seed):
    model = sigmoid_network(sizes, 3, cost=cost)
    values = random_values(model.circuit, seed)
    generator = np.random.default_rng(seed + 1)
    direction = [generator.standard_normal(p.shape) for p in model.parameters]
    v = [variable(f"v{i}", p.shape) for i, p in enumerate(model.parameters)]
    product = hessian_vector_product(model.circuit, model.parameters, v)
    found = product.forward(values | {f"v{i}": d for i, d in enumerate(direction)})
    error = bounds(product, found)
    Hv = np.concatenate([np.ravel(found[o]) for o in product.outputs])
    allowed = np.concatenate([np.ravel(error[o]) for o in product.outputs])
    expected, stated = difference_of_gradients(model, values, direction)
    assert np.all(np.abs(Hv - expected) <= allowed + stated)
    assert not np.all(np.abs(Hv * (1 + 1e-9) - expected) <= allowed + stated)
    assert not np.all(np.abs(-Hv - expected) <= allowed + stated)


def test_the_hessian_of_a_network_is_symmetric():
    model = sigmoid_network((3, 2, 2), 4)
    values = random_values(model.circuit, 5)
    H = hessian(model.circuit, model.parameters, values)
    assert H.shape == (14, 14)
    allowed = hessian_bounds(model, values)
    assert np.all(np.abs(H - H.T) <= allowed + allowed.T)
    assert not np.all(np.abs(H - (1 + 1e-12) * H.T) <= allowed + allowed.T)


def hessian_bounds(model, values):
    """The bound of every entry of H, column by column."""
    v = [variable(f"v{i}", p.shape) for i, p in enumerate(model.parameters)]
    product = hessian_vector_product(model.circuit, model.parameters, v)
    sizes = np.cumsum([p.size for p in model.parameters])
    columns = []
    for e_j in np.eye(sizes[-1]):
        parts = zip(v, np.split(e_j, sizes[:-1]), strict=True)
        unit = {node.parameters[0]: part.reshape(node.shape) for node, part in parts}
        error = bounds(product, product.forward(values | unit))
        columns.append(np.concatenate([np.ravel(error[o]) for o in product.outputs]))
    return np.stack(columns, axis=1)


def test_bad_directions_are_named():
    x, y = variable("x"), variable("y", (2,))
    with pytest.raises(ValueError, match="w is empty"):
        hessian_vector_product(Circuit(x), [], [])
    with pytest.raises(
        ValueError, match=r"v has shapes \[\(2,\)\], must have those of w, \[\(\)\]"
    ):
        hessian_vector_product(Circuit(x), [x], [y])
