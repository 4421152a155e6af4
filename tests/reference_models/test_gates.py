"""Every rule of the table, by every input, against a witness that knows only the forward value.

Gates that are linear in each input: at small integers every number is exact, and
f(x + e_j) - f(x) *is* the derivative along e_j. Tolerance zero.

Gates that are analytic, entry by entry: the complex step Im f(x + ih) / h of Squire and Trapp
(1998). Nothing cancels, entry by entry; a complex elementary function and the rule are each taken
to be within 40 roundings (test_activations counts them), a power x ** n within |n log x| more, as
it may be exp(n log x).
"""

from dataclasses import replace

import numpy as np
import pytest
from some import some

from reference_models import gates
from reference_models.circuit import Circuit, variable
from reference_models.gates import GATES

U = 2.0**-53
STEP = 1e-30

LINEAR = {
    "add": ([(2, 3), (2, 3)], ()),
    "subtract": ([(2, 3), (2, 3)], ()),
    "multiply": ([(2, 3), (2, 3)], ()),
    "negative": ([(2, 3)], ()),
    "sum": ([(2, 3)], ()),
    "mean": ([(2, 4)], ()),
    "matmul": ([(2, 3), (3, 4)], ()),
    "transpose": ([(2, 3)], ()),
    "broadcast_to_shape": ([(3, 1)], ((2, 3, 4),)),
    "sum_to_shape": ([(2, 3, 4)], ((3, 1),)),
}
BROAD = np.array([-700.0, -30.0, -3.0, -0.5, -1e-3, 1e-3, 0.25, 2.0, 20.0, 700.0])
POSITIVE = np.array([1e-8, 0.5, 1.5, 3.0, 700.0, 1e8])
ANALYTIC = [
    ("divide", [BROAD, BROAD[::-1].copy()], ()),
    ("power", [POSITIVE], (3,)),
    ("power", [-POSITIVE], (2,)),
    ("power", [POSITIVE], (-2,)),
    ("power", [POSITIVE], (0.5,)),
    ("exp", [BROAD], ()),
    ("log", [POSITIVE], ()),
    ("sigmoid", [BROAD], ()),
    ("tanh", [BROAD], ()),
    ("softplus", [BROAD], ()),
]


def applied(gate, values, parameters):
    """The circuit of one gate, with its value and inputs."""
    nodes = [variable(f"x{i}", value.shape) for i, value in enumerate(values)]
    return Circuit(gate(*nodes, *parameters)), nodes


def derivative_by_rule(gate, values, parameters, seed):
    """What the rules pass on to each input, by numbers and, the same bits, by nodes."""
    circuit, nodes = applied(gate, values, parameters)
    named = {f"x{i}": value for i, value in enumerate(values)}
    g = circuit.backward(circuit.forward(named), nodes, seed=seed)
    weights = variable("seed", seed.shape)
    symbolic = circuit.gradient(nodes, seed=weights)
    for node, value in zip(nodes, symbolic.evaluate(named | {"seed": seed}), strict=True):
        np.testing.assert_array_equal(value, g[node])
    return [g[node] for node in nodes]


def agrees_with_exact_differences(gate, shapes, parameters):
    generator = np.random.default_rng(3)
    values = [generator.integers(-4, 5, shape).astype(float) for shape in shapes]
    f = gate.forward(*values, *parameters)
    seed = generator.integers(1, 5, f.shape).astype(float)
    for i, derivative in enumerate(derivative_by_rule(gate, values, parameters, seed)):
        for index in np.ndindex(values[i].shape):
            moved = [value.copy() for value in values]
            moved[i][index] += 1.0
            difference = np.sum(seed * (gate.forward(*moved, *parameters) - f))
            if not abs(difference - derivative[index]) <= 0:
                return False
    return True


def agrees_with_the_complex_step(gate, values, parameters):
    seed = np.random.default_rng(4).uniform(0.5, 2.0, values[0].shape)
    for i, derivative in enumerate(derivative_by_rule(gate, values, parameters, seed)):
        moved = [value.astype(complex) for value in values]
        moved[i] = moved[i] + 1j * STEP
        step = seed * gate.forward(*moved, *parameters).imag / STEP
        roundings = 80 + sum(np.abs(n * np.log(np.abs(values[0]))) for n in parameters)
        allowed = roundings * U * np.abs(step) + 80 * 5e-324 / STEP
        if not np.all(np.abs(derivative - step) <= allowed):
            return False
    return True


def witness(name):
    """(check of a gate in place of this one) for every row of the tables above."""
    if name in LINEAR:
        return [lambda gate: agrees_with_exact_differences(gate, *LINEAR[name])]
    rows = [row[1:] for row in ANALYTIC if row[0] == name]
    return [lambda gate, row=row: agrees_with_the_complex_step(gate, *row) for row in rows]


@pytest.mark.parametrize("name", GATES)
def test_every_rule_is_the_derivative_of_its_forward_value(name):
    checks = witness(name)
    assert checks
    for check in checks:
        assert check(GATES[name])


DEFECTS = {
    "negated": lambda passed: -passed,
    "off by 1e-12": lambda passed: passed * (1 + 1e-12),
    "zero": lambda passed: 0.0 * passed,
}


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize(
    ("name", "by"), [(name, i) for name, gate in GATES.items() for i in range(len(gate.rules))]
)
def test_a_wrong_rule_for_any_input_is_seen(name, by, defect):
    gate = GATES[name]

    def wrong(g, *rest):
        return DEFECTS[defect](gate.rules[by](g, *rest))

    rules = tuple(wrong if i == by else rule for i, rule in enumerate(gate.rules))
    for check in some(witness(name)):
        assert not check(replace(gate, rules=rules))


def test_a_textbook_mistake_is_seen_where_it_matters():
    """a (1 - a) and 1 - tanh^2 are right on paper and lose every digit where they saturate."""
    lossy = {
        "sigmoid": lambda g, f, x: g * (f * (1 - f)),
        "tanh": lambda g, f, x: g * (1 - f * f),
        "multiply": lambda g, f, x, y: g * x,
    }
    for name, rule in lossy.items():
        rules = (rule, *GATES[name].rules[1:])
        assert not any(check(replace(GATES[name], rules=rules)) for check in some(witness(name)))


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "tanh"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_saturated_gates_neither_overflow_nor_lose_their_dtype(name, dtype):
    x = variable("x", (4,))
    largest = min(1e6, float(np.finfo(dtype).max) / 2)  # the rule of tanh doubles x
    values = {"x": np.array([-largest, -20.0, 20.0, largest], dtype)}
    circuit = Circuit(GATES[name](x).sum())
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = circuit.forward(values)
        g = circuit.backward(found)[x]
    assert found[circuit.outputs[0]].dtype == g.dtype == dtype
    assert np.all(np.isfinite(g))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble, np.complex128])
@pytest.mark.parametrize("name", GATES)
def test_every_gate_keeps_the_dtype_of_its_inputs(name, dtype):
    shapes, parameters = LINEAR.get(name, ([(3,)] * len(GATES[name].rules), ()))
    parameters = (0.5,) if name == "power" else parameters
    values = [np.linspace(0.25, 2.0, int(np.prod(s))).reshape(s).astype(dtype) for s in shapes]
    circuit, nodes = applied(GATES[name], values, parameters)
    found = circuit.forward({f"x{i}": value for i, value in enumerate(values)})
    f = found[circuit.outputs[0]]
    g = circuit.backward(found, seed=np.ones(f.shape))
    assert {f.dtype, *(g[node].dtype for node in nodes)} == {np.dtype(dtype)}
    assert [g[node].shape for node in nodes] == [value.shape for value in values]


def test_a_gate_of_numbers_is_its_forward_value():
    assert gates.sigmoid(0.0) == 0.5
    np.testing.assert_array_equal(gates.sum_to(np.ones((2, 3)), (3,)), [2.0, 2.0, 2.0])


def test_shapes_that_do_not_fit_are_told_by_the_gates_name():
    x, y = variable("x", (2, 3)), variable("y", (4,))
    with pytest.raises(ValueError, match=r"add: shapes \(2, 3\) and \(4,\) do not fit"):
        x + y
    with pytest.raises(ValueError, match=r"matmul: .* must be \(m, k\) and \(k, n\)"):
        x @ x
    with pytest.raises(ValueError, match=r"broadcast_to_shape: .* cannot be broadcast to \(2,\)"):
        gates.broadcast_to(x, (2,))
    with pytest.raises(ValueError, match=r"sum_to_shape: .* cannot be summed to \(4,\)"):
        gates.sum_to(x, (4,))
