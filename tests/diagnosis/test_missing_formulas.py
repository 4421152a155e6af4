"""Mistakes that had no formula are called what they are; each engine has one, and its name."""

from functools import partial

import numpy as np
import pytest

from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.mutants.backprop import Backprop, sigmoid, sigmoid_prime
from gradcheck.problems.case import parse

CROSS = "gc1:3-4-5-2:cross_entropy:mean:m3:float64:w1:generic:soft:s0"
SQUARES = "gc1:3-4-5-2:quadratic:mean:m3:float64:w1:generic:soft:s0"
WIDE = "gc1:4-4-4-2:cross_entropy:mean:m3:float64:w1:generic:soft:s0"
ZERO = "gc1:3-4-2:cross_entropy:mean:m3:float64:w1:zero_weights:binary:s0"
ZERO_SQUARES = "gc1:3-4-2:quadratic:mean:m3:float64:w1:zero_weights:binary:s0"


def engine(**steps):
    """A right backprop but for the steps that are given, as functions of it."""
    return type("Wrong", (Backprop,), steps)()


def some(names):
    """Every third one, and all of them at night."""
    return [
        name if k % 3 == 0 else pytest.param(*as_row(name), marks=pytest.mark.nightly)
        for k, name in enumerate(names)
    ]


def as_row(name):
    return name if isinstance(name, tuple) else (name,)


def told(token, wrong):
    return explained_agreement(wrong, parse(token).problem()).diagnosis


def in_both(slope):
    """The slope of z, a in hidden layers and at the output of the quadratic loss."""
    return {
        "slope": lambda b, k: slope(b.z[k], b.a[k]),
        "output_slope": lambda b: slope(b.z[b.L], b.a[b.L]),
    }


SLOPES = {
    "z_3 (1 - z_3)": lambda z, a: z * (1 - z),
    "1 - a_3": lambda z, a: 1 - a,
    "a_3^2": lambda z, a: a**2,
    "a_3 (1 + a_3)": lambda z, a: a * (1 + a),
    "a_3": lambda z, a: a,
    "relu'(z_3)": lambda z, a: (z > 0) * 1.0,
    "the slope of max(z, 0.01 z)": lambda z, a: np.where(z > 0, 1, 0.01),
    "tanh'(z_3), as 1 - a_3^2,": lambda z, a: 1 - a**2,
    "1 - tanh(z_3)^2": lambda z, a: 1 - np.tanh(z) ** 2,
    "the slope of clip(z/5 + 1/2, 0, 1)": lambda z, a: np.where(np.abs(z) < 2.5, 0.2, 0),
    "the slope of elu(z_3)": lambda z, a: np.exp(np.minimum(z, 0)),
    "sigmoid(a_3)": lambda z, a: sigmoid(a),
    "sigmoid'(a_3)": lambda z, a: sigmoid_prime(a),
    "sigmoid'(2 z_3)": lambda z, a: sigmoid_prime(2 * z),
}


@pytest.mark.parametrize("name", some(SLOPES))
def test_a_wrong_slope_is_named_at_the_output_and_below(name):
    slope = SLOPES[name]
    at_output = {"output_slope": in_both(slope)["output_slope"]}
    expected = f"layer 3: delta_3 has {name} for sigmoid'(z_3); expected"
    assert told(SQUARES, engine(**at_output)).startswith(expected)
    extra = f"layer 3: delta_3 has an extra factor {name.rstrip(',')}; expected"
    assert told(CROSS, engine(**at_output)).startswith(extra)
    below = f"layer 2: delta_2 has {name.replace('_3', '_2')} for sigmoid'(z_2); expected"
    assert told(CROSS, engine(slope=in_both(slope)["slope"])).startswith(below)


def residual(b):
    return b.a[b.L] - b.Y


def over(y):
    return np.log(1 - y) - np.log(y)


RESIDUALS = {
    "log((1 + d) / (1 - d)), d = a_3 - Y, for a_3 - Y": lambda b: 2 * np.arctanh(residual(b)),
    "log((1 - Y) / Y) sigmoid'(z_3), of a loss -a log Y - ... whose arguments are swapped":
        lambda b: over(b.Y) * sigmoid_prime(b.z[b.L]),
    "-log(Y) sigmoid'(z_3), of a loss -a log Y whose arguments are swapped":
        lambda b: -np.log(b.Y) * sigmoid_prime(b.z[b.L]),
    "(a_3 - Y) sigmoid'(z_3) / (Y (1 - Y)) for a_3 - Y":
        lambda b: residual(b) * sigmoid_prime(b.z[b.L]) / (b.Y * (1 - b.Y)),
    "-Y (1 - a_3) - (1 - Y) a_3 for":
        lambda b: -b.Y * (1 - b.a[b.L]) - (1 - b.Y) * b.a[b.L],
    "-Y + (1 - Y) a_3 for": lambda b: -b.Y + (1 - b.Y) * b.a[b.L],
    "1 - a_3 for a_3": lambda b: 1 - b.a[b.L] - b.Y,
    "max(z_3, 0) for a_3": lambda b: np.maximum(b.z[b.L], 0) - b.Y,
    "tanh(z_3) for a_3": lambda b: np.tanh(b.z[b.L]) - b.Y,
    "sigmoid(a_3) for a_3": lambda b: sigmoid(b.a[b.L]) - b.Y,
    "targets cut off to whole numbers": lambda b: b.a[b.L] - np.floor(b.Y),
    "Y > 0 for Y": lambda b: b.a[b.L] - (b.Y > 0),
    "1 for the largest target of an example":
        lambda b: b.a[b.L] - (b.Y.max(axis=1, keepdims=True) == b.Y),
    "the targets read in the wrong order": lambda b: b.a[b.L] - b.Y.T.reshape(b.Y.shape),
}  # fmt: skip


@pytest.mark.parametrize("name", some(RESIDUALS))
def test_what_stands_for_the_residual_is_named(name):
    assert told(CROSS, engine(residual=RESIDUALS[name])).startswith(f"layer 3: delta_3 has {name}")


def with_input(other):
    def step(b, k):
        a = other(b, k)
        right = b.a[k - 1]
        return b.delta[k].T @ (a if a is not None and a.shape == right.shape else right)

    return {"weight_gradient": step}


INPUTS = {
    "sigmoid(a_2) for a_2": lambda b, k: sigmoid(b.a[k - 1]) if k > 1 else None,
    "a_2^2 for a_2": lambda b, k: b.a[k - 1] ** 2,
    "sigmoid'(a_2) for a_2": lambda b, k: sigmoid_prime(b.a[k - 1]),
    "tanh(z_2) for a_2": lambda b, k: np.tanh(b.z[k - 1]) if k > 1 else None,
    "max(z_2, 0) for a_2": lambda b, k: np.maximum(b.z[k - 1], 0) if k > 1 else None,
    "the decision a_2 > 1/2 for a_2": lambda b, k: b.z[k - 1] > 0 if k > 1 else None,
    "a of another layer, the one below, for a_2": lambda b, k: b.a[k - 2] if k > 2 else None,
    "z of another layer, the one below, for a_2": lambda b, k: b.z[k - 2] if k > 2 else None,
}


@pytest.mark.parametrize("name", some(INPUTS))
def test_what_stands_for_an_activation_is_named(name):
    wrong = engine(**with_input(INPUTS[name]))
    assert told(WIDE, wrong).startswith(f"layer 3: dC/dW_3 has {name}; expected")


OTHERS = {
    "delta_3 has 2 of its term -Y (1 - a_3) too much":
        {"residual": lambda b: (1 - b.Y) * b.a[b.L] - 3 * b.Y * (1 - b.a[b.L])},
    "delta_3 has 0.5 of its term (1 - Y) a_3 too much":
        {"residual": lambda b: 1.5 * (1 - b.Y) * b.a[b.L] - b.Y * (1 - b.a[b.L])},
    "delta_2 lacks the last unit in the sum delta_3 W_3":
        {"passed_down": lambda b, k: b.delta[k + 1][:, :-1] @ b.W[k + 1][:-1]},
    "delta_2 has W_3 rounded to float16 for W_3":
        {"passed_down": lambda b, k: b.delta[k + 1] @ b.W[k + 1].astype(np.float16).astype(float)},
    "delta_3 is scaled so that the whole gradient has a norm of 0.1 at most":
        {"finish": lambda b: b.change(partial(np.multiply, min(1, 0.1 / b.norm())))},
    "dC/db_3 is its mean over the units, in every unit":
        {"bias_gradient": lambda b, k: np.full_like(b.b[k], b.delta[k].sum(axis=0).mean())},
    "dC/dW_3 has a_2 + c for a_2, c = -0.5":
        {"weight_gradient": lambda b, k: b.delta[k].T @ (b.a[k - 1] - 0.5)},
    "dC/db_3 is the first column of dC/dW_3": {"bias_gradient": lambda b, k: b.dW[k][:, 0].copy()},
    "dC/dW_3 has a_2 of the first example for all":
        {"weight_gradient": lambda b, k: np.outer(b.delta[k].sum(axis=0), b.a[k - 1][0])},
}  # fmt: skip


OTHERS |= {
    "delta_2 has sigmoid'(z_2) + c for sigmoid'(z_2), c = 0.1":
        {"slope": lambda b, k: sigmoid_prime(b.z[k]) + 0.1},
    "dC/dW_3 has a_2 rounded to float16":
        {"weight_gradient": lambda b, k:
            b.delta[k].T @ b.a[k - 1].astype(np.float16).astype(float)},
    "delta_3 is scaled so that the whole gradient has a norm of 0.1 at most, by "
    "0.1 / (norm + 1e-06)":
        {"finish": lambda b: b.change(partial(np.multiply, min(1, 0.1 / (b.norm() + 1e-6))))},
    "delta_2 has max(x, 0) for x = delta_3 W_3":
        {"passed_down": lambda b, k: np.maximum(b.delta[k + 1] @ b.W[k + 1], 0)},
    "delta_2 has |delta_3| for delta_3":
        {"passed_down": lambda b, k: np.abs(b.delta[k + 1]) @ b.W[k + 1]},
    "delta_1 lacks the factor sigmoid'(z_2) in its delta_2":
        {"passed_down": lambda b, k: (b.delta[k + 1] / (sigmoid_prime(b.z[k + 1]) if k + 1 < b.L
                                                        else 1)) @ b.W[k + 1]},
    "delta_3 has tanh(a_3 - Y) for a_3 - Y": {"residual": lambda b: np.tanh(residual(b))},
    "dC/db_3 is m times the median of delta_3 over the batch":
        {"bias_gradient": lambda b, k: b.m * np.median(b.delta[k], axis=0)},
    "dC/db_3 is the last column of dC/dW_3":
        {"bias_gradient": lambda b, k: b.dW[k][:, -1].copy()},
    "dC/dW_3 is rounded to multiples of 1/65536":
        {"weight_gradient": lambda b, k:
            np.round(b.delta[k].T @ b.a[k - 1] * 65536) / 65536},
    "dC/dW_3 has the last example only":
        {"weight_gradient": lambda b, k: np.outer(b.delta[k][-1], b.a[k - 1][-1])},
    "delta_2 has the slope of z_2 sigmoid(z_2) for sigmoid'(z_2)":
        {"slope": lambda b, k: sigmoid(b.z[k]) + b.z[k] * sigmoid_prime(b.z[k])},
}  # fmt: skip


@pytest.mark.parametrize("name", some(OTHERS))
def test_terms_paths_and_norms_are_named(name):
    said = told(CROSS.replace("5-2:", "5-3:"), engine(**OTHERS[name]))
    assert f": {name}" in said.partition("; expected")[0], said


# --- factors --------------------------------------------------------------------------------------

FACTORS = {
    "delta_3 is divided by n_0, the number of features, in place of m":
        (CROSS.replace("m3", "m4"),
         {"output_error": lambda b: residual(b) / b.X.shape[1]}),
    "delta_3 is divided by n_0, the number of features;":
        (CROSS.replace("mean", "sum"), {"output_error": lambda b: residual(b) / b.X.shape[1]}),
    "delta_3 is divided by n_2, in place of m":
        (CROSS, {"output_error": lambda b: residual(b) / b.a[b.L - 1].shape[1]}),
    "delta_3 has an extra factor 1/(2 m)":
        (SQUARES, {"output_error": lambda b: Backprop.output_error(b) / (2 * b.m)}),
    "delta_3 has an extra factor 1/(m n_3)":
        (SQUARES.replace("mean", "sum"),
         {"output_error": lambda b: Backprop.output_error(b) / b.Y.size}),
    "delta_3 has an extra factor 1/sqrt(m)":
        (CROSS, {"output_error": lambda b: Backprop.output_error(b) / np.sqrt(b.m)}),
    "dC/dW_3 is divided by n_2;":
        (CROSS, {"weight_gradient":
                 lambda b, k: Backprop.weight_gradient(b, k) / b.a[k - 1].shape[1]}),
    "dC/dW_3 is divided by n_0, the number of features;":
        (CROSS, {"weight_gradient": lambda b, k: Backprop.weight_gradient(b, k) / b.X.shape[1]}),
    "dC/db_3 has an extra factor 1/n_3":
        (CROSS, {"bias_gradient": lambda b, k: Backprop.bias_gradient(b, k) / len(b.b[k])}),
    "dC/db_3 has an extra factor m":
        (CROSS, {"bias_gradient": lambda b, k: Backprop.bias_gradient(b, k) * b.m}),
}  # fmt: skip


@pytest.mark.parametrize("name", some(FACTORS))
def test_a_factor_is_told_by_what_it_is_on_networks_of_any_size(name):
    token, steps = FACTORS[name]
    assert told(token, engine(**steps)).startswith(f"layer 3: {name}")


@pytest.mark.parametrize("sizes", ["1-1", "2-2", "5-5-3", "3-3"])
def test_a_division_by_the_number_of_features_is_never_called_a_lost_mean(sizes):
    token = f"gc1:{sizes}:cross_entropy:mean:m3:float64:w1:generic:soft:s0"
    wrong = engine(output_error=lambda b: residual(b) / b.X.shape[1])
    said = told(token, wrong)
    assert "lacks the factor 1/m" not in said
    if sizes != "3-3":
        assert "n_0, the number of features, in place of m" in said


# --- z exactly 0 ----------------------------------------------------------------------------------


def at_zero(value, right):
    return lambda b: np.where(b.z[b.L] == 0, value(b), right(b))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("-1/2 - Y for a_2 - Y", lambda b: -0.5 - b.Y),
        ("-Y for a_2 - Y", lambda b: -b.Y),
        ("1 - Y for a_2 - Y", lambda b: 1 - b.Y),
    ],
)
def test_a_wrong_residual_where_z_is_exactly_0_is_named(name, value):
    wrong = engine(residual=at_zero(value, Backprop.residual))
    said = told(ZERO, wrong)
    assert f"layer 2: delta_2 has {name} where z_2 is exactly 0" in said, said


@pytest.mark.parametrize(("name", "slope"), [("1", 1.0), ("1/2", 0.5)])
def test_a_wrong_slope_where_z_is_exactly_0_is_named(name, slope):
    wrong = engine(output_slope=at_zero(lambda b: slope, Backprop.output_slope))
    said = told(ZERO_SQUARES, wrong)
    assert f"delta_2 has {name} for sigmoid'(z_2) where z_2 is exactly 0" in said, said


# --- the batch ------------------------------------------------------------------------------------


@pytest.mark.parametrize("corner", ["generic", "saturated"])
@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
def test_nothing_is_said_of_a_batch_of_one_example(corner, loss):
    wrong = engine(output_error=lambda b: Backprop.output_error(b) * (0 if b.m == 1 else 1))
    said = told(f"gc1:2-3-1:{loss}:mean:m1:float64:w1:{corner}:soft:s0", wrong)
    assert "example" not in said
    assert "layer 2: delta_2 is 0; expected" in said


def not_the_last(b):
    return (np.arange(b.m) < b.m - 1)[:, None]


def test_what_other_problems_show_of_the_batch_is_said_of_one_example_too():
    counted = engine(output_error=lambda b: Backprop.output_error(b) * not_the_last(b))
    said = told("gc1:2-3-1:cross_entropy:mean:m1:float64:w1:generic:soft:s0", counted)
    assert said.startswith("layer 2: delta_2 lacks the last example")


@pytest.mark.parametrize("sizes", ["2-2", "2-2-2", "3-3-1"])
@pytest.mark.parametrize("m", some([2, 1, 4]))
def test_a_transposed_weight_gradient_is_that_in_square_layers(sizes, m):
    def step(b, k):
        right = Backprop.weight_gradient(b, k)
        return right.T.copy() if right.shape[0] == right.shape[1] else right

    said = told(f"gc1:{sizes}:cross_entropy:mean:m{m}:float64:w1:generic:soft:s0",
                engine(weight_gradient=step))  # fmt: skip
    assert ", its own transpose; expected" in said.partition("; or else")[0]
