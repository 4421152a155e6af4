from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from some import some
from test_derivations import Bounds, Case, cases, deviation, real

from reference_models import chain_rule, sigmoid_network
from reference_models.circuit import Circuit, variable
from reference_models.counting import Tally
from reference_models.gates import exp, sigmoid
from reference_models.paths import (
    count_multiplications,
    derivatives,
    gradient_by_paths,
    local_derivatives,
    neurons,
    paths,
    reachable,
    sum_over_paths,
)

DIAMOND = {"w": {"p": 2, "q": 3}, "p": {"q": 11, "C": 5}, "q": {"C": 7}}


def network(sizes, seed=0):
    generator = np.random.default_rng(seed)
    parameters = [
        (generator.standard_normal((n, n_in)), generator.standard_normal(n))
        for n_in, n in pairwise(sizes)
    ]
    return parameters, generator.standard_normal(sizes[0]), generator.random(sizes[-1])


def exact(graph):
    return {v: {s: Fraction(float(d)) for s, d in edges.items()} for v, edges in graph.items()}


# --- paths ----------------------------------------------------------------------------------------


def test_every_path_is_found_once_with_its_factors():
    found = [(path.nodes, path.factors) for path in paths(DIAMOND, "w")]
    assert found == [
        (("w", "p", "q", "C"), (2, 11, 7)),
        (("w", "p", "C"), (2, 5)),
        (("w", "q", "C"), (3, 7)),
    ]
    assert sum_over_paths(DIAMOND, "w") == 2 * 11 * 7 + 2 * 5 + 3 * 7 == derivatives(DIAMOND)["w"]


def test_each_equals_what_is_counted_by_hand():
    by_paths, remembered = Tally(), Tally()
    sum_over_paths(DIAMOND, "w", tally=by_paths)
    derivatives(DIAMOND, tally=remembered)
    assert by_paths.multiplications == 2 + 1 + 1
    assert remembered.multiplications == 5  # the edges


def test_a_path_tells_its_nodes_and_factors():
    assert str(next(paths(DIAMOND, "w"))) == "w -> p -> q -> C: 2 * 11 * 7"


def test_without_a_path_the_derivative_is_zero():
    graph = DIAMOND | {"alone": {}}
    assert sum_over_paths(graph, "alone") == derivatives(graph)["alone"] == 0


def test_only_what_a_node_leads_to_is_reachable():
    assert reachable(DIAMOND, "p") == {"p": {"q": 11, "C": 5}, "q": {"C": 7}, "C": {}}


def test_bad_starts_and_cycles_are_named():
    with pytest.raises(ValueError, match="start='v' must be a node of the graph other than end"):
        paths(DIAMOND, "v")
    with pytest.raises(ValueError, match="start='C' must be"):
        paths(DIAMOND | {"C": {}}, "C")
    with pytest.raises(ValueError, match="cycle"):
        paths(DIAMOND | {"q": {"w": 1}}, "w")


# --- scalar circuits ------------------------------------------------------------------------------


def test_the_paths_of_the_textbook_circuit():
    x, y, z = variable("x"), variable("y"), variable("z")
    graph = local_derivatives(Circuit((x + y) * z), {"x": -2.0, "y": 5.0, "z": -4.0})
    assert {name: sum_over_paths(graph, name) for name in "xyz"} == {"x": -4, "y": -4, "z": 3}
    assert derivatives(graph) == {"C": 1, "v1": -4, "z": 3, "x": -4, "y": -4}


def test_an_input_that_enters_a_gate_twice_has_both_derivatives_on_its_edge():
    x = variable("x")
    graph = local_derivatives(Circuit(x * x), {"x": 5.0})
    assert graph == {"x": {"C": 10.0}, "C": {}}


def test_paths_add_up_to_backprop_in_a_circuit_with_shared_gates():
    """The same local derivatives in both, so in rationals both sums are the same number."""
    x, y = variable("x"), variable("y")
    q = sigmoid(x * y)
    circuit = Circuit(q * exp(q + x) / (q + 2.0) - y * q)
    graph = exact(local_derivatives(circuit, {"x": 0.5, "y": -1.25}))
    remembered = derivatives(graph)
    assert sum(1 for _ in paths(graph, "x")) == 5
    for name in "xy":
        assert sum_over_paths(graph, name) == remembered[name]
    g = circuit.backward(circuit.forward({"x": 0.5, "y": -1.25}))
    for node in (x, y):  # every path has at most 7 factors and there are fewer than 12 of them
        size = sum(abs(path.product()) for path in paths(graph, node.parameters[0]))
        name = node.parameters[0]
        assert abs(Fraction(float(g[node])) - remembered[name]) <= Fraction(40, 2**53) * size


def test_circuits_of_arrays_have_no_scalar_graph():
    v = variable("v", (2,))
    with pytest.raises(ValueError, match="must be of scalars and have one output"):
        local_derivatives(Circuit(v.sum()), {"v": np.ones(2)})


def test_a_variable_named_like_a_gate_is_refused():
    x, v1 = variable("x"), variable("v1")
    with pytest.raises(ValueError, match="x, v1: no variable may be named like a gate"):
        local_derivatives(Circuit((x + v1) * x), {"x": 1.0, "v1": 2.0})


# --- networks -------------------------------------------------------------------------------------


def rounding_of_paths(case):
    """What products along P paths and their sum may lose, beyond the errors of the factors.

    gamma_k S, S the sum of absolute values over all paths, k the roundings on the way of one
    path: a multiplication an edge, P + m additions, one division. A product that underflows loses
    eta times what is left of its path: in all at most eta P sum_v S_v.
    """
    arithmetic = real(case.X.dtype)
    blocks = [(np.zeros(W.shape), np.zeros(b.shape)) for W, b in case.parameters]
    for x, y in zip(case.X, case.Y, strict=True):
        graph = neurons(case.parameters, x, y, cost=case.cost)
        S = derivatives({v: {s: abs(float(d)) for s, d in e.items()} for v, e in graph.items()})
        P = derivatives({v: dict.fromkeys(edges, 1) for v, edges in graph.items()})
        for l, pair in enumerate(blocks, start=1):  # noqa: E741  (the layer's symbol)
            for letter, block in zip("Wb", pair, strict=True):
                for index in np.ndindex(block.shape):
                    v = f"{letter}{l}[{','.join(map(str, index))}]"
                    k = 2 * len(case.parameters) + 2 + P[v] + len(case.X) + 1
                    block[index] += arithmetic.gamma(k) * S[v]
                    block[index] += arithmetic.eta * P[v] * sum(S.values())
    return blocks


@given(cases(dtypes=[np.float32, np.float64]))
def test_the_sum_over_all_paths_is_the_gradient_by_backprop(case):
    by_paths = gradient_by_paths(case.parameters, case.X, case.Y, **case.names)
    _, gradient = sigmoid_network.value_and_grad(case.parameters, case.X, case.Y, **case.names)
    bound, rounding = Bounds(case, real(case.X.dtype)).gradient(), rounding_of_paths(case)
    allowed = [
        (2 * bW + rW, 2 * bb + rb) for (bW, bb), (rW, rb) in zip(bound, rounding, strict=True)
    ]
    assert deviation(by_paths, gradient, allowed) <= 1


def test_a_relative_error_of_1e_11_in_the_sum_is_seen():
    parameters, x, y = network((3, 2, 3, 2))
    case = Case(parameters, x[None], y[None], "cross_entropy", "mean")
    _, gradient = sigmoid_network.value_and_grad(parameters, case.X, case.Y)
    by_paths = gradient_by_paths(parameters, case.X, case.Y)
    bound, rounding = Bounds(case, real(np.float64)).gradient(), rounding_of_paths(case)
    allowed = [(2 * b[0] + r[0], 2 * b[1] + r[1]) for b, r in zip(bound, rounding, strict=True)]
    assert deviation(by_paths, gradient, allowed) <= 1
    wrong = [(dW * (1 + 1e-11), db * (1 + 1e-11)) for dW, db in by_paths]
    assert not deviation(wrong, gradient, allowed) <= 1


@pytest.mark.parametrize("cost", ["cross_entropy", "quadratic"])
def test_in_rational_arithmetic_paths_and_recursion_are_equal(cost):
    parameters, x, y = network((3, 2, 3, 2))
    graph = exact(neurons(parameters, x, y, cost=cost))
    remembered = derivatives(graph)
    starts = [name for name in graph if name[0] in "Wbx"]
    assert len(starts) == 3 + (6 + 2) + (6 + 3) + (6 + 2)
    for start in starts:
        assert sum_over_paths(graph, start) == remembered[start]


def test_a_path_left_out_is_seen():
    graph = exact(neurons(*network((3, 2, 3, 2))))
    remembered = derivatives(graph)["W1[0,0]"]
    every = [path.product() for path in paths(graph, "W1[0,0]")]
    assert len(every) == 3 * 2
    for i in some(range(len(every))):
        assert sum(every[:i] + every[i + 1 :]) != remembered


def test_two_neurons_in_a_chain_are_one_path():
    """dC/dw1 = x * w2 sigma'(z1) * dC/dz2."""
    parameters, x, y = network((1, 1, 1), seed=3)
    graph = neurons(parameters, x, y)
    (path,) = paths(graph, "W1[0,0]")
    assert path.nodes == ("W1[0,0]", "z1[0]", "z2[0]", "C")
    _, ((dW, db), _) = chain_rule.value_and_grad(parameters, x[None], y[None])
    assert abs(path.product() - dW[0, 0]) <= 8 * 2.0**-53 * abs(dW[0, 0])  # 3 products each
    (bias,) = paths(graph, "b1[0]")
    assert abs(bias.product() - db[0]) <= 8 * 2.0**-53 * abs(db[0])


def test_three_inputs_two_hidden_neurons_one_output_path_by_path():
    """W1 is 2 x 3, W2 is 1 x 2; each weight has one path, and the gradients have their shapes."""
    parameters, x, y = network((3, 2, 1), seed=4)
    case = Case(parameters, x[None], y[None], "cross_entropy", "mean")
    graph = neurons(parameters, x, y)
    _, gradient = sigmoid_network.value_and_grad(parameters, case.X, case.Y)
    bound, rounding = Bounds(case, real(np.float64)).gradient(), rounding_of_paths(case)
    ways = {
        "W1": lambda j, k: (f"W1[{j},{k}]", f"z1[{j}]", "z2[0]", "C"),
        "W2": lambda j, k: (f"W2[{j},{k}]", "z2[0]", "C"),
    }
    for l, (name, way) in enumerate(ways.items()):  # noqa: E741  (the layer's symbol)
        dW = gradient[l][0]
        assert dW.shape == {"W1": (2, 3), "W2": (1, 2)}[name] == parameters[l][0].shape
        for j, k in np.ndindex(dW.shape):
            (path,) = paths(graph, f"{name}[{j},{k}]")
            assert path.nodes == way(j, k)
            allowed = 2 * bound[l][0][j, k] + rounding[l][0][j, k]
            assert abs(path.product() - dW[j, k]) <= allowed
            assert not abs(path.product() * (1 + 1e-12) - dW[j, k]) <= allowed


# --- the growth laws ------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_paths_grow_exponentially_and_the_recursion_linearly_with_depth(width):
    """From W1[0,0]: width^(depth-1) paths of depth + 2 edges; the recursion has an edge each."""
    counts = [count_multiplications(depth, width) for depth in range(2, 8)]
    assert [c.paths for c in counts] == [width ** (d - 1) for d in range(2, 8)]
    assert [c.by_paths for c in counts] == [(d + 1) * width ** (d - 1) for d in range(2, 8)]
    assert np.all(np.diff([c.remembered for c in counts]) == width**2)
    edges_a_layer = 2 * width**2 + width  # neuron to neuron, weight to neuron, bias to neuron
    assert np.all(np.diff([c.remembered_all for c in counts]) == edges_a_layer)


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match="depth=0 and width=3 must be at least 1"):
        count_multiplications(0, 3)
