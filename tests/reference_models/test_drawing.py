import numpy as np

from reference_models.circuit import Circuit, variable
from reference_models.drawing import WIDTH, drawing
from reference_models.gates import sigmoid, softplus

TEXTBOOK = """\
           x   y   z      q      f
                      x + y  q * z
value     -2   5  -4      3    -12
gradient  -4  -4   3     -4      1"""


def test_the_textbook_circuit_is_drawn_with_values_above_and_gradients_below():
    x, y, z = variable("x"), variable("y"), variable("z")
    q = x + y
    f = q * z
    point = {"x": -2.0, "y": 5.0, "z": -4.0}
    assert drawing(Circuit(f), point, names={"q": q, "f": f}) == TEXTBOOK


def test_gates_without_name_are_numbered_and_constants_stand_in_the_expressions():
    x = variable("x")
    lines = drawing(Circuit((2 * x) ** 3 + 0.5), {"x": 1.0}).splitlines()
    assert lines[0].split() == ["x", "v1", "v2", "v3"]
    assert lines[1].split("  ")[-3:] == ["2 * x", "v1 ** 3", "v2 + 0.5"]
    assert lines[2].split() == ["value", "1", "2", "8", "8.5"]
    assert lines[3].split() == ["gradient", "24", "12", "1", "1"]


def test_arrays_are_shown_by_shape_and_norm():
    w = variable("w", (2,))
    text = drawing(Circuit((w * w).sum()), {"w": np.array([3.0, 4.0])})
    assert "(2,) |5|" in text
    assert "(2,) |10|" in text


def test_a_long_circuit_is_set_in_blocks_that_fit_the_page():
    node = variable("x")
    for _ in range(30):
        node = sigmoid(softplus(node))
    text = drawing(Circuit(node), {"x": 0.0})
    assert text.count("gradient") == text.count("value") > 3
    assert max(map(len, text.splitlines())) <= WIDTH
    assert all(f" v{i} " in text or f" v{i}\n" in text for i in range(1, 61))


def test_a_node_on_no_path_from_a_variable_has_no_gradient():
    x = variable("x")
    constant_gate = sigmoid(x * 0 + 1)  # depends on x, with gradient 0
    lines = drawing(Circuit(x + constant_gate), {"x": 3.0}).splitlines()
    assert lines[3].split()[1] == "1"
