"""The witness: forward passes alone enclose the gradient, and convict a wrong backprop."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from flint import arb, arb_mat, ctx
from some import some

from gradcheck.certified import ball_differences, ball_network
from gradcheck.certified.ball_differences import (
    enclosed_differences,
    layer_differences,
    loss_from,
    step_exponent,
    third_derivative_bounds,
)
from gradcheck.certified.ball_network import BallNetwork, ball_gradient, residual, slope
from gradcheck.problems.case import Case, sample_cases

NETWORK = {"sizes": (3, 4, 3, 2), "batch": 3, "seed": 4, "targets": "soft"}


def witnessed(problem, precision=256):
    """The witness, and whether backprop at twice the precision lies inside it, one a coordinate."""
    witness = enclosed_differences(problem, precision=precision)
    _, gradient = ball_gradient(problem, precision=2 * precision)
    assert witness.convicts(gradient) == []
    return witness, witness.contains(gradient)


# --- agreement ------------------------------------------------------------------------------------


def test_backprop_lies_inside_the_differences_of_120_problems():
    cases = list(sample_cases(120, seed=11, max_parameters=60, max_batch=8, max_width=12))
    assert {case.dtype for case in cases} == {"float32", "float64"}
    results = [witnessed(case.problem()) for case in cases]
    assert all(inside.all() for _, inside in results)
    bits = np.concatenate([witness.bits() for witness, _ in results])
    assert len(bits) > 4000
    assert np.median(bits) > 100  # the others are 0, or saturated out of sight of 256 bits


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(5))
def test_backprop_lies_inside_the_differences_of_many_problems_at_1024_bits(seed):
    for case in sample_cases(100, seed=seed, max_parameters=400, max_batch=16):
        assert witnessed(case.problem(), 1024)[1].all(), case.token


@pytest.mark.nightly
def test_all_951_coordinates_of_a_network_are_witnessed_to_100_bits():
    witness, inside = witnessed(Case(sizes=(20, 30, 10, 1), batch=16).problem(), 300)
    assert inside.all()
    assert witness.bits().min() > 100
    assert witness.forward_passes == 1902


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_every_coordinate_of_a_mild_network_is_witnessed(dtype, loss, reduction):
    case = Case(**NETWORK, dtype=dtype, loss=loss, reduction=reduction)
    witness, inside = witnessed(case.problem())
    assert inside.all()
    assert witness.bits().min() > 100


def test_more_precision_sees_what_saturation_hides():
    problem = Case(sizes=(2, 3, 1), weight_scale=100, seed=3, batch=2).problem()
    blind, _ = witnessed(problem, 64)
    sharp, inside = witnessed(problem, 2048)
    assert blind.bits().min() == 0
    assert sharp.bits().min() > 100
    assert inside.all()


def test_a_problem_is_not_changed_and_every_parameter_is_moved_twice():
    problem = Case(**NETWORK).problem()
    before = {name: array.copy() for name, array in problem.parameters.items()}
    witness = enclosed_differences(problem, precision=128)
    assert all(np.array_equal(before[name], problem.parameters[name]) for name in some(before))
    assert witness.forward_passes == 2 * len(witness.enclosures) == 2 * witness.structure.size


# --- planted defects ------------------------------------------------------------------------------


def minus_delta_of(a, b, y):
    return -residual(a, b, y)


def one_unit_in_a_billion_too_steep(a, b):
    return slope(a, b) * (1 + arb(1) / 10**9)


def backward_with(**changes):
    return lambda network, layers: BACKWARD(replace(network, **changes), layers)


def backward_with_inputs_negated(network, layers):
    return BACKWARD(replace(network, inputs=network.inputs * -1), layers)


BACKWARD = ball_network.backward
DEFECTS = {
    "y - sigma": {"residual": minus_delta_of},
    "y squared": {"residual": lambda a, b, y: a - y**2},
    "no sigma'": {"slope": lambda a, b: arb(1)},
    "sigma for sigma'": {"slope": lambda a, b: a},
    "sigma(-z)^2 for sigma'": {"slope": lambda a, b: b * b},
    "sigma' too steep by 1e-9": {"slope": one_unit_in_a_billion_too_steep},
    "no 1/m": {"backward": backward_with(divisor=1)},
    "1/(m + 1)": {"backward": backward_with(divisor=4)},
    "inputs negated": {"backward": backward_with_inputs_negated},
    "one entry off by 2^-100": {
        "backward": lambda n, layers: [
            g * (1 + arb((1, -100))) if j == 9 else g for j, g in enumerate(BACKWARD(n, layers))
        ]
    },
}


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
def test_a_wrong_backprop_is_convicted(monkeypatch, defect, loss):
    problem = Case(**NETWORK, loss=loss).problem()
    for name, wrong in DEFECTS[defect].items():
        monkeypatch.setattr(ball_network, name, wrong)
    _, gradient = ball_gradient(problem, precision=512)
    monkeypatch.undo()
    convicted = enclosed_differences(problem, precision=256).convicts(gradient)
    assert convicted
    if defect == "one entry off by 2^-100":
        assert convicted == ["W1[3,0]"]
    if defect == "inputs negated":
        assert convicted == [f"W1[{j},{k}]" for j, k in product(range(4), range(3))]


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
def test_without_the_truncation_term_the_right_backprop_would_not_be_inside(monkeypatch, loss):
    problem = Case(**NETWORK, loss=loss).problem()
    exponent = step_exponent(arb(1), 256)
    monkeypatch.setattr(ball_differences, "third_derivative_bounds", lambda network: 3 * [arb(0)])
    monkeypatch.setattr(ball_differences, "step_exponent", lambda M3, precision: exponent // 2)
    witness = enclosed_differences(problem, precision=256)
    _, gradient = ball_gradient(problem, precision=512)
    assert not witness.contains(gradient).any()


def test_an_enclosure_that_is_not_finite_convicts_nobody_and_tells_nothing():
    witness = enclosed_differences(Case(**NETWORK).problem(), precision=2)
    unknown = [arb("nan")] * witness.structure.size
    assert witness.convicts(unknown) == []
    assert enclosed_differences(Case(**NETWORK).problem()).convicts(unknown) == []
    assert not enclosed_differences(Case(**NETWORK).problem()).contains(unknown).any()
    assert witness.bits().max() <= 2


# --- the truncation term --------------------------------------------------------------------------


def third_differences(network, i, A, parameter, row, column):
    """phi'''(t) at some t near steps of several sizes: the mean value theorem, in balls."""
    x = parameter[row, column]
    for h in (arb(1) / 64, arb(1) / 4, arb(1), arb(4)):
        values = []
        for k in (-3, -1, 1, 3):
            parameter[row, column] = x + k * h / 2
            values.append(loss_from(network, i, A))
        parameter[row, column] = x
        yield (values[3] - 3 * values[2] + 3 * values[1] - values[0]) / h**3


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_no_third_difference_exceeds_the_bound_and_some_come_near(loss, reduction):
    nearest = 0.0
    for seed, scale in product(range(6), (0.3, 1.0, 5.0)):
        case = Case(sizes=(2, 2, 1), batch=2, weight_scale=scale, seed=seed)
        case = Case(**{**vars(case), "loss": loss, "reduction": reduction})
        with ctx.workprec(200):
            network = BallNetwork.of(case.problem())
            bounds = third_derivative_bounds(network)
            layers = ball_network.forward(network)
            for i, A in enumerate([network.inputs, layers[0].A]):
                for parameter in (network.weights[i], network.biases[i]):
                    for third in some(third_differences(network, i, A, parameter, 0, 0)):
                        assert abs(third) <= bounds[i]
                        nearest = max(nearest, float(abs(third) / bounds[i]))
    assert 0.05 < nearest < 1


def test_the_derivatives_of_sigma_and_of_the_losses_stay_below_their_constants():
    z = np.linspace(-20, 20, 4001)
    sigma = 1 / (1 + np.exp(-z))
    s = sigma * (1 - sigma)
    s2, s3 = s * (1 - 2 * sigma), s * (1 - 6 * s)
    assert s.max() <= 1 / 4
    assert 0.096 < np.abs(s2).max() <= 1 / 10
    assert 0.124 < np.abs(s3).max() <= 1 / 8
    derivatives = {
        "cross_entropy": lambda y: (sigma - y, s, s2),
        "quadratic": lambda y: (
            (sigma - y) * s,
            s**2 + (sigma - y) * s2,
            3 * s * s2 + (sigma - y) * s3,
        ),
    }
    for name, q in derivatives.items():
        for y, k in product((0.0, 0.3, 1.0), range(3)):
            numerator, denominator = ball_differences.COST_BOUNDS[name][k]
            assert np.abs(q(y)[k]).max() <= numerator / denominator


def test_the_bound_of_one_layer_is_that_of_the_loss():
    network = BallNetwork(
        [arb_mat([[2, -3]])], [arb_mat([[0]])], arb_mat([[1], [4]]), arb_mat([[0]]), "quadratic", 1
    )
    (M3,) = third_derivative_bounds(network)
    assert M3.contains(arb(64) / 5)


def test_the_bound_is_carried_through_the_layers_as_worked_by_hand():
    """|W_2| = 4 and |W_3| = 10, one unit each.

    layer 1    z = 1, 0, 0           a = 1/4, 1/10, 1/8
    layer 2    z = 1, 2/5, 1/2       a = 1/4, 1/10 + 1/10, 1/8 + 3/25 + 1/8 = 1/4, 1/5, 37/100
    layer 3    z = 5/2, 2, 37/10     M3 = (5/2)^3/10 + 3/4 (5/2) 2 + 37/10 = 9.0125
    """
    weights = [arb_mat([[1]]), arb_mat([[-4]]), arb_mat([[10]])]
    zero = arb_mat([[0]])
    network = BallNetwork(weights, [zero] * 3, zero, zero, "cross_entropy", 1)
    assert third_derivative_bounds(network)[0].contains(arb("9.0125"))


@pytest.mark.parametrize("M3", [0, 1000])
def test_the_radius_is_a_sixth_of_h_squared_times_the_bound(M3):
    network = BallNetwork.of(Case().problem())
    (ball,) = layer_differences(network, 0, network.inputs, network.weights[0], 2, arb(M3))
    assert float(ball.rad()) == pytest.approx(M3 / 16 / 6, rel=1e-6, abs=1e-13)


@pytest.mark.parametrize("M3", [0.01, 1.0, 3e5, 1e300])
def test_the_step_balances_noise_and_truncation(M3):
    k = step_exponent(arb(M3), 300)
    size = np.log2(max(M3, 1.0))
    assert -3 * k <= -300 - size < -3 * (k - 1)


def test_a_bad_precision_is_named():
    with pytest.raises(TypeError, match="precision='high'; it must be a whole number of bits"):
        enclosed_differences(Case().problem(), precision="high")
