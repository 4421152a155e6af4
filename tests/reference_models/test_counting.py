import numpy as np
import pytest

from reference_models.circuit import Circuit, variable
from reference_models.counting import CountedArray, Tally, count_multiplications, counted
from reference_models.gates import mean, sigmoid, softplus


def test_products_are_counted_an_entry_and_matrix_products_m_k_n():
    tally = Tally()
    a, b = counted(np.ones((2, 3)), tally), np.ones((3, 4))
    product = a @ b
    assert tally.multiplications == 24
    (2.0 * product).T.sum(axis=0)[1:] * 3
    assert tally.multiplications == 24 + 8 + 1
    np.multiply(a, 2.0, out=a)
    assert tally.multiplications == 24 + 8 + 1 + 6
    assert tally.times(3, 4) == 12
    assert tally.multiplications == 40


def test_nothing_else_is_counted():
    tally = Tally()
    a = counted(np.full(3, 0.5), tally)
    assert isinstance((a + 1 - a) / 2 + np.exp(-a) + sigmoid(a) + softplus(a), CountedArray)
    assert mean(a) == 0.5
    assert tally.multiplications == 0


def test_counting_changes_no_bit():
    generator = np.random.default_rng(1)
    W, x = variable("W", (3, 4)), variable("x", (4, 2))
    circuit = Circuit(softplus(W @ x).mean() * 3)
    values = {"W": generator.standard_normal((3, 4)), "x": generator.standard_normal((4, 2))}
    tally = Tally()
    with_counting = circuit.forward({name: counted(v, tally) for name, v in values.items()})
    g, g_counted = circuit.backward(circuit.forward(values)), circuit.backward(with_counting)
    assert with_counting[circuit.outputs[0]] == circuit.evaluate(values)[0]
    for node in (W, x):
        np.testing.assert_array_equal(g[node], g_counted[node])


@pytest.mark.parametrize(("n", "h"), [(3, 2), (5, 7)])
def test_the_backward_pass_of_a_matrix_product_makes_twice_its_multiplications(n, h):
    W, x = variable("W", (h, n)), variable("x", (n, 1))
    values = {"W": np.ones((h, n)), "x": np.ones((n, 1))}
    assert count_multiplications(Circuit((W @ x).sum()), values) == (h * n, 2 * h * n)
    assert count_multiplications(Circuit((W @ x).sum()), values, [W]) == (h * n, h * n)
