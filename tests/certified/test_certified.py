"""The certified gradient: correctly rounded to the last bit, or said not to be."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from flint import arb, ctx

from gradcheck.certified import balls
from gradcheck.certified.ball_network import ball_gradient
from gradcheck.certified.balls import SMALLEST
from gradcheck.certified.gradient import certified_gradient
from gradcheck.outcomes.estimate import Status
from gradcheck.outcomes.judging import compare
from gradcheck.outcomes.outcome import outcome_of
from gradcheck.outcomes.reasons import Verdict
from gradcheck.outcomes.zeros import ROUNDINGS
from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import Case, sample_cases

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = Case(sizes=(20, 30, 10, 1), batch=16)


def single_neuron(w, x, y, loss="cross_entropy"):
    """One weight, no bias, one example a row of x."""
    x, y = np.array(x, float)[:, None], np.array(y, float)[:, None]
    return Problem(Architecture((1, 1), loss), (np.array([[float(w)]]),), (np.zeros(1),), x, y)


def symmetric():
    """Two examples, x and -x with opposite targets: the bias gradient cancels to 0."""
    return single_neuron(0.7, [1.3, -1.3], [1.0, 0.0])


def rounded_at(problem, precision):
    """Loss and gradient rounded to float64, from balls of another precision."""
    loss, gradient = ball_gradient(problem, precision=precision)
    return float(loss), [float(g) for g in gradient]


# --- correct rounding -----------------------------------------------------------------------------


def test_100_relative_bits_are_certified_at_128_bits_of_precision():
    certified = certified_gradient(DEFAULT.problem(), precision=128, max_precision=128)
    assert certified.is_settled
    assert certified.bits.min() >= 100
    assert certified.gradient.shape == (951,)


def test_every_float_is_the_nearest_one_as_2000_bits_say():
    for case in sample_cases(60, seed=7, max_parameters=200, max_batch=12):
        problem = case.problem()
        certified = certified_gradient(problem)
        loss, gradient = rounded_at(problem, 2000)
        assert certified.is_settled, case.token
        assert certified.loss == loss
        assert certified.gradient.tolist() == gradient


def test_the_bound_is_half_a_unit_in_the_last_place_and_holds():
    certified = certified_gradient(DEFAULT.problem())
    assert np.array_equal(certified.bound, np.spacing(np.abs(certified.gradient)) / 2)
    _, gradient = ball_gradient(DEFAULT.problem(), precision=300)
    with ctx.workprec(300):
        for v, bound, g in zip(certified.gradient, certified.bound, gradient, strict=True):
            assert abs(arb(float(v)) - g) <= float(bound)


def test_the_gradient_has_the_order_and_names_of_the_parameters():
    problem = Case(sizes=(3, 2, 1), batch=2).problem()
    certified = certified_gradient(problem)
    assert list(certified.arrays()) == list(problem.parameters)
    assert certified.structure.name(7) == "b1[1]"
    assert certified.arrays()["b1"][1] == certified.gradient[7]
    assert all(certified.arrays()[n].shape == p.shape for n, p in problem.parameters.items())


# --- exact and saturated --------------------------------------------------------------------------


@pytest.mark.parametrize("corner", ["zero_weights", "zero_preactivations"])
def test_on_the_dyadic_lattice_the_floats_are_the_gradient_itself(corner):
    case = Case(sizes=(6, 5, 2), batch=4, corner=corner, targets="soft", seed=1)
    certified = certified_gradient(case.problem())
    assert (certified.bound == 0).all()
    assert np.isposinf(certified.bits).all()
    assert np.any(certified.gradient != 0)


def test_a_stationary_point_has_the_gradient_0_exactly():
    case = Case(sizes=(6, 5, 2), batch=3, corner="stationary", targets="half")
    certified = certified_gradient(case.problem())
    assert (certified.gradient == 0).all()
    assert (certified.bound == 0).all()
    assert certified.loss == pytest.approx(2 * math.log(2), rel=1e-15)


@pytest.mark.parametrize("z", [30.0, 700.0, 745.0])
def test_a_saturated_neuron_keeps_its_gradient_down_to_the_smallest_floats(z):
    certified = certified_gradient(single_neuron(z, [1.0], [1.0]))
    expected = -math.exp(-z) / (1 + math.exp(-z))
    assert certified.gradient == pytest.approx([expected] * 2, rel=4e-16, abs=SMALLEST)
    assert np.all(certified.gradient < 0)
    assert certified.loss == pytest.approx(math.log1p(math.exp(-z)), rel=4e-16, abs=SMALLEST)
    assert certified.bits.min() >= 100


@pytest.mark.parametrize("z", [1e4, 1e6, -1e6])
@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_a_neuron_saturated_at_a_million_is_settled_in_one_round(z, loss, y):
    certified = certified_gradient(single_neuron(z, [1.0], [y], loss))
    right = (z > 0) == (y == 1)
    flat = right or loss == "quadratic"
    assert certified.is_settled
    assert certified.precision == 128
    assert certified.bits.min() >= 100
    assert certified.gradient.tolist() == [0 if flat else math.copysign(1, z)] * 2
    assert certified.bound.tolist() == pytest.approx([SMALLEST if flat else 2.0**-53] * 2, abs=0)
    assert certified.loss == (0 if right else {"cross_entropy": abs(z), "quadratic": 0.5}[loss])


# --- precision ------------------------------------------------------------------------------------


def test_precision_is_doubled_until_an_unlucky_cancellation_is_resolved():
    problem = single_neuron(0.7, [1.3, -np.nextafter(1.3, 2)], [1.0, 0.0])
    first = certified_gradient(problem, precision=64, max_precision=64)
    assert first.settled.tolist() == [True, False]
    certified = certified_gradient(problem, precision=64)
    assert certified.is_settled
    assert (certified.precision, certified.forward_passes, certified.backward_passes) == (128, 2, 2)
    assert abs(first.gradient[1] - certified.gradient[1]) <= first.bound[1]


def test_a_sum_that_cancels_to_0_is_settled_once_nothing_but_0_is_near():
    certified = certified_gradient(symmetric())
    assert certified.is_settled
    assert certified.precision == 2048
    assert certified.gradient[1] == 0
    assert certified.bound[1] == SMALLEST


def test_below_that_precision_it_is_not_settled_and_the_bound_says_why():
    certified = certified_gradient(symmetric(), max_precision=500)
    assert not certified.is_settled
    assert certified.settled.tolist() == [True, False]
    assert certified.bits[1] == 0
    assert 0 < certified.bound[1] < 2.0**-490
    assert certified.precision == 500


@pytest.mark.parametrize("cap", [4, 20, 40, 54, 60, 70])
def test_too_little_precision_never_settles_a_wrong_float(cap):
    problem = DEFAULT.problem()
    certified = certified_gradient(problem, precision=2, max_precision=cap)
    truth = certified_gradient(problem)
    assert certified.precision == cap
    assert not certified.is_settled
    assert np.array_equal(certified.gradient[certified.settled], truth.gradient[certified.settled])
    known = np.isfinite(certified.bound)
    assert np.isnan(certified.gradient[~known]).all()
    # Both are known to within their bounds; the sum is rounded once.
    allowed = np.nextafter(certified.bound + truth.bound, np.inf)
    assert (np.abs(certified.gradient - truth.gradient) <= allowed)[known].all()
    assert (certified.settled.mean() > 0.5) == (cap >= 70)


def test_a_derivative_beyond_float64_is_not_settled():
    problem = single_neuron(-1.0, [1.7e308] * 4, [1.0] * 4)
    problem = Problem(
        Architecture((1, 1), reduction="sum"),
        problem.weights, problem.biases, problem.inputs, problem.targets,
    )  # fmt: skip
    certified = certified_gradient(problem)
    assert certified.settled.tolist() == [False, True]
    assert np.isnan(certified.gradient[0])
    assert certified.bound[0] == np.inf
    assert certified.gradient[1] == -4
    assert certified.estimate().status.tolist() == [Status.NO_STEP, Status.RESOLVED]


# --- the clipped loss -----------------------------------------------------------------------------


def test_a_clipped_neuron_has_no_gradient_and_the_loss_of_the_clip_point():
    certified = certified_gradient(single_neuron(40.0, [1.0], [0.0]), clip=1e-7)
    assert certified.gradient.tolist() == [0, 0]
    assert certified.bound.tolist() == [0, 0]
    assert certified.loss == -math.log(1e-7)
    assert certified.is_settled


def test_precision_is_doubled_until_it_is_known_whether_an_output_is_clipped():
    z = 0.25
    p = 1 / (1 + math.exp(-z))
    clip = 1 - p  # a float next to sigma(-z)
    problem = single_neuron(z, [1.0], [1.0])
    first = certified_gradient(problem, clip=clip, precision=30, max_precision=30)
    assert not first.settled.any()
    certified = certified_gradient(problem, clip=clip, precision=30)
    assert certified.is_settled
    assert certified.precision > 53
    assert (np.abs(certified.gradient - first.gradient) <= first.bound).all()


def test_a_clip_that_no_output_reaches_changes_nothing():
    problem = single_neuron(1.0, [1.0], [0.0])
    plain, clipped = certified_gradient(problem), certified_gradient(problem, clip=1e-7)
    assert plain.gradient.tolist() == clipped.gradient.tolist()
    assert plain.loss == clipped.loss


# --- cost -----------------------------------------------------------------------------------------


def test_a_million_weights_of_one_example_are_settled_in_one_round_without_a_ball_each(monkeypatch):
    problem = Case(sizes=(1000, 1000, 1)).problem()
    counts = []
    true = balls.round_uniquely

    def counted(entries):
        counts.append(len(entries))
        return true(entries)

    for module in ("ball_network", "outer_products"):
        monkeypatch.setattr(f"gradcheck.certified.{module}.round_uniquely", counted)
    certified = certified_gradient(problem)
    assert certified.gradient.shape == (1_002_001,)
    assert certified.is_settled
    assert certified.forward_passes == certified.backward_passes == 1
    assert certified.bits.min() >= 100
    assert sum(counts) < 5000


# --- as an oracle ---------------------------------------------------------------------------------


def test_as_an_estimate_it_passes_the_right_gradient_and_fails_one_beyond_roundings():
    certified = certified_gradient(DEFAULT.problem())
    structure, gradient = certified.structure, certified.gradient.copy()
    roundings = np.sqrt(ROUNDINGS) * 2.0**-53 * np.abs(gradient).max()
    right = compare(structure, gradient, certified.estimate(), resolution=1e-15)
    assert outcome_of(right).verdict is Verdict.PASS
    gradient[77] += roundings / 2
    near = compare(structure, gradient, certified.estimate(), resolution=1e-15)
    assert outcome_of(near).verdict is Verdict.INCONCLUSIVE
    gradient[77] += roundings
    wrong = compare(structure, gradient, certified.estimate(), resolution=1e-15)
    assert [d.name for d in wrong.discrepancies()] == [structure.name(77)]


def test_an_unsettled_coordinate_keeps_its_bound_in_the_estimate():
    certified = certified_gradient(symmetric(), max_precision=128)
    estimate = certified.estimate()
    assert (estimate.status == Status.RESOLVED).all()
    assert np.array_equal(estimate.bound, certified.bound)
    assert np.array_equal(estimate.value, certified.gradient)


# --- edges ----------------------------------------------------------------------------------------


def test_bad_precisions_are_named():
    problem = Case().problem()
    with pytest.raises(ValueError, match="precision=1; it must be at least 2 bits"):
        certified_gradient(problem, precision=1)
    with pytest.raises(ValueError, match="max_precision=64; it must be at least 128 bits"):
        certified_gradient(problem, max_precision=64)
    with pytest.raises(TypeError, match=r"max_precision=1e3|max_precision=1000.0"):
        certified_gradient(problem, max_precision=1e3)


def test_ball_arithmetic_is_loaded_when_first_used():
    program = "import sys, gradcheck.certified.gradient; print('flint' in sys.modules)"
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "False"
