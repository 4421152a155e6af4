"""All central differences of a network: equal to plain ones, within certain bounds, in blocks."""

import sys
import time
import tracemalloc

import numpy as np
import pytest
from flint import arb, ctx
from some import some

from gradcheck.certified.ball_differences import layer_differences
from gradcheck.certified.ball_network import BallNetwork, activation, preactivation
from gradcheck.certified.gradient import certified_gradient
from gradcheck.differences.finite_difference import difference_quotients, finite_difference
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import estimate_noise
from gradcheck.differences.stencils import CENTRAL_2
from gradcheck.outcomes.estimate import Estimate, Status
from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import Case, sample_cases
from gradcheck.pytree import structure_of
from gradcheck.splitmix64 import Stream
from gradcheck.studies.layered import bound as layered_bound
from gradcheck.studies.layered import rises as layered_rises
from gradcheck.studies.layered.bound import coordinate_bounds, layer_bounds, stretches
from gradcheck.studies.layered.difference import MIB, layered_differences
from gradcheck.studies.layered.network import LayeredNetwork
from reference_models import sigmoid_network

DEEP = Case(sizes=(5, 6, 4, 3, 2), batch=7, targets="soft")
CASES = [
    Case(sizes=(4, 1), batch=5),
    Case(sizes=(4, 3), batch=5, targets="soft"),
    Case(sizes=(6, 5, 1), batch=4, reduction="sum"),
    Case(sizes=(3, 7, 5, 2), batch=6, loss="quadratic"),
    DEEP,
    Case(sizes=(5, 6, 4, 3, 2), batch=7, loss="quadratic", targets="soft", dtype="float32"),
]


def misfits(problem, **options):
    """Coordinates that differ from the exact gradient by more than their bound."""
    estimate = layered_differences(problem, **options)
    exact = certified_gradient(problem)
    error = np.abs(estimate.value - exact.gradient)
    return np.flatnonzero(~(error <= estimate.bound + exact.bound))


def exact_differences(problem, step):
    """D(h) of plain forward passes in 400 bits, one pair of passes a coordinate."""
    exponent = -int(np.log2(step))
    with ctx.workprec(400):
        network = BallNetwork.of(problem)
        A, found = network.inputs, []
        for i, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
            for parameter in (W, b):
                found += layer_differences(network, i, A, parameter, exponent, arb(0))
            A = activation(preactivation(W, b, A)).A
        return np.array([float(x) for x in found])


def rounding_bounds(problem, step):
    """The bound without truncation: of the distance from the exact D(h)."""
    network = LayeredNetwork.of(problem)
    rho = max(step * stretch.delta for stretch in stretches(network, MIB))
    layers = layer_bounds(network, rho, MIB)
    parts = []
    for i, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        parts.append(np.empty(W.size + b.size))
        coordinate_bounds(network, layers, i, step, 0.0, parts[-1])
    return np.concatenate(parts)


def distant(problem, step):
    """Coordinates whose D(h) is not the exact one, to within rounding."""
    estimate = layered_differences(problem, step=step)
    error = np.abs(estimate.value - exact_differences(problem, step))
    # exact differences are rounded to float64 once
    allowed = rounding_bounds(problem, step) + 2.0**-53 * np.abs(estimate.value)
    return np.flatnonzero(~(error <= allowed))


# --- derivatives ----------------------------------------------------------------------------------


def test_every_derivative_lies_within_its_bound_on_problems_of_every_kind():
    count = 0
    for case in sample_cases(150, seed=3, max_parameters=300, max_batch=16):
        problem = case.problem()
        assert misfits(problem).size == 0, case.token
        count += problem.architecture.n_parameters
    assert count > 10_000


def test_bounds_resolve_errors_far_below_those_of_plain_differences():
    estimate = layered_differences(Case(sizes=(20, 30, 10, 1), batch=16).problem())
    exact = certified_gradient(Case(sizes=(20, 30, 10, 1), batch=16).problem())
    resolution = estimate.bound / np.abs(exact.gradient)
    assert np.median(resolution) < 1e-12
    assert resolution.max() < 1e-9
    assert (estimate.status == Status.RESOLVED).all()
    assert (estimate.evaluations == 2).all()


@pytest.mark.parametrize("scale", [0.1, 30, 300])
def test_saturated_networks_keep_bounds_that_say_something(scale):
    problem = Case(sizes=(6, 8, 5, 2), batch=9, weight_scale=scale, seed=2).problem()
    estimate = layered_differences(problem)
    exact = certified_gradient(problem)
    assert misfits(problem).size == 0
    assert np.median(estimate.bound / np.abs(exact.gradient)) < 1e-10


def test_logits_of_a_thousand_and_activations_that_underflow_are_held_by_the_bounds():
    x = np.array([[1000.0], [-1000.0], [745.0], [700.0]])
    W = (np.array([[1.0], [-1.0]]), np.array([[3.0, -800.0]]))
    b = (np.zeros(2), np.array([0.5]))
    for y in (0.0, 1.0, 0.25):
        problem = Problem(Architecture((1, 2, 1)), W, b, x, np.full((4, 1), y))
        assert misfits(problem).size == 0


def test_numbers_too_large_for_a_bound_give_no_derivative():
    problem = Case(sizes=(2, 3, 1)).problem()
    parameters = {name: array.copy() for name, array in problem.parameters.items()}
    parameters["W2"][:] = [[1e300, -1e300, 1e300]]
    estimate = layered_differences(problem.with_parameters(parameters))
    lost = slice(0, 9)
    assert (estimate.status[lost] == Status.NO_STEP).all()
    assert np.isinf(estimate.bound[lost]).all()


# --- differences ----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("step", [2.0**-5, 2.0**-12, 2.0**-26, 2.0**-60])
def test_every_difference_is_that_of_plain_forward_passes_at_the_same_step(case, step):
    assert distant(case.problem(), step).size == 0


@pytest.mark.parametrize("case", CASES, ids=str)
def test_large_steps_give_differences_and_no_derivatives(case):
    problem = case.problem()
    exact = certified_gradient(problem).gradient
    errors = [
        np.abs(layered_differences(problem, step=h).value - exact) for h in (2.0**-5, 2.0**-6)
    ]
    assert np.median(errors[0] / rounding_bounds(problem, 2.0**-5)) > 1e6
    assert 3.8 < np.median(errors[0] / errors[1]) < 4.2  # truncation goes with h^2


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("step", [2.0**-5, 2.0**-9])
def test_the_bound_holds_the_truncation_of_large_steps(case, step):
    assert misfits(case.problem(), step=step).size == 0


def test_the_default_step_is_the_largest_whose_truncation_is_one_rounding():
    network = LayeredNetwork.of(DEEP.problem())
    for stretch in some(stretches(network, MIB)):
        assert stretch.step**2 * stretch.Z / 6 <= 2.0**-53 < (2 * stretch.step) ** 2 * stretch.Z / 6


def plain(problem):
    """The reference loss as a black box of the parameters."""

    def loss(parameters):
        arrays = iter(parameters.values())
        pairs = list(zip(arrays, arrays, strict=True))
        architecture = problem.architecture
        return sigmoid_network.loss(
            pairs,
            problem.inputs,
            problem.targets,
            cost=architecture.loss,
            reduction=architecture.reduction,
        )

    return Lines(loss, problem.parameters)


@pytest.mark.parametrize("case", CASES[:5], ids=str)
def test_the_plain_oracle_agrees_within_both_bounds(case):
    problem = case.problem()
    lines = plain(problem)
    slow = finite_difference(lines, estimate_noise(lines, Stream(0, "noise")))
    fast = layered_differences(problem)
    assert (np.abs(slow.value - fast.value) <= slow.bound + fast.bound).all()
    assert np.median(slow.bound / fast.bound) > 100


def test_plain_differences_in_long_double_agree_to_their_noise():
    if np.finfo(np.longdouble).eps == np.finfo(float).eps:
        pytest.skip("long double is float64 here")
    problem, step = DEEP.problem(), 2.0**-6
    lines = plain(problem.astype(np.longdouble))
    slow = difference_quotients(lines, step, stencil=CENTRAL_2)
    fast = layered_differences(problem, step=step)
    noise = 1000 * float(lines.unit_roundoff) * abs(float(lines.value)) / step
    assert (np.abs(slow - fast.value) <= rounding_bounds(problem, step) + noise).all()


# --- defects --------------------------------------------------------------------------------------


def plant(monkeypatch, defect):
    """Let every block meet something else than it should."""
    right = layered_rises.moved_units
    monkeypatch.setattr(layered_rises, "moved_units", lambda *given: defect(right(*given)))


def forgotten_rank_one(moved):
    """All units of the next layer see the unit that moved with weight 1."""
    if moved.first is None:
        return moved
    q, s, onward = moved.first
    return moved._replace(first=(q, s, np.ones_like(onward)))


def wrong_block(moved):
    """The weights onward are those of another perturbation of the block."""
    if moved.first is None:
        return moved
    q, s, onward = moved.first
    return moved._replace(first=(q, s, np.roll(onward, 1, axis=1)))


def wrong_example(moved):
    return moved._replace(a=np.roll(moved.a, 1, axis=0))


def stale_activation(moved):
    """Full layers stand where they would for z = 0."""
    half = [(np.full_like(q, 0.5), np.full_like(s, 0.25), W) for q, s, W in moved.full]
    return moved._replace(full=tuple(half))


def straight_lines(moved):
    """The activations of full layers move by their slopes alone."""
    return moved._replace(full=tuple((np.zeros_like(q), s, W) for q, s, W in moved.full))


@pytest.mark.parametrize(
    "defect", [forgotten_rank_one, wrong_block, wrong_example, stale_activation]
)
def test_wrong_perturbations_leave_the_bounds(monkeypatch, defect):
    plant(monkeypatch, defect)
    assert misfits(DEEP.problem()).size > 20
    assert distant(DEEP.problem(), 2.0**-5).size > 20


def test_units_that_move_in_straight_lines_are_noticed_at_large_steps(monkeypatch):
    plant(monkeypatch, straight_lines)
    assert distant(DEEP.problem(), 2.0**-5).size > 20


def test_a_rise_that_is_wrong_by_a_billionth_leaves_the_bounds(monkeypatch):
    rise = layered_rises.sigmoid_rise

    def off(d, q, s, work):
        d = rise(d, q, s, work)
        d *= 1 + 1e-9
        return d

    monkeypatch.setattr(layered_rises, "sigmoid_rise", off)
    assert misfits(DEEP.problem()).size > 20


@pytest.mark.parametrize("name", ["K_SIGMOID", "K_CROSS_ENTROPY", "K_SIGMA"])
def test_bounds_grow_with_each_rounding_constant(monkeypatch, name):
    before = layered_differences(DEEP.problem()).bound
    monkeypatch.setattr(layered_bound, name, 0)
    assert (layered_differences(DEEP.problem()).bound[:20] < before[:20]).all()


# --- blocks, memory, threads, coordinates --------------------------------------------------------


@pytest.mark.parametrize("case", [DEEP, Case(sizes=(12, 15, 3), batch=9)], ids=str)
def test_any_split_into_blocks_gives_the_same_within_rounding(case):
    problem = case.problem()
    whole = layered_differences(problem)
    least = 8 * layered_rises.ARRAYS * max(case.sizes[2:])
    for memory in (least, 5 * least, 100 * least):
        split = layered_differences(problem, memory=memory)
        assert (np.abs(split.value - whole.value) <= split.bound).all()
        # absolute values are summed in parts, too
        assert split.bound == pytest.approx(whole.bound, rel=1e-12, abs=0)
    assert misfits(problem, memory=least).size == 0


def test_memory_for_less_than_one_example_is_refused():
    with pytest.raises(ValueError, match=r"memory is 100 bytes a thread; it must be at least 448"):
        layered_differences(DEEP.problem(), memory=100)


def test_threads_change_no_bit():
    problem = Case(sizes=(60, 70, 2), batch=8).problem()
    one = layered_differences(problem, memory=MIB)
    two = layered_differences(problem, memory=2 * MIB, threads=2)
    assert np.array_equal(one.value, two.value)
    assert np.array_equal(one.bound, two.bound)


@pytest.mark.parametrize("batch", [2, 20])
def test_working_memory_stays_below_the_setting(batch):
    problem = Case(sizes=(300, 150, 30, 1), batch=batch).problem()
    N = problem.architecture.n_parameters
    layered_differences(Case().problem())  # loads what is loaded once
    memory = MIB
    tracemalloc.start()
    estimate = layered_differences(problem, memory=memory)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    result = sum(getattr(estimate, name).nbytes for name in vars(Estimate.empty(1)))
    assert result == 57 * N
    activations = 8 * batch * sum(problem.architecture.sizes)
    # booleans of the status; inputs, units, errors and bounds of every layer
    assert peak <= memory + result + 4 * N + 20 * activations


def test_chosen_coordinates_are_evaluated_and_no_others():
    problem = DEEP.problem()
    structure = structure_of(problem.parameters)
    whole = layered_differences(problem)
    chosen = np.array([structure.size - 1, 0, 7, 31, 40, 60])
    part = layered_differences(problem, coordinates=chosen)
    assert (np.abs(part.value - whole.value)[chosen] <= whole.bound[chosen]).all()
    assert np.array_equal(part.bound[chosen], whole.bound[chosen])
    others = np.setdiff1d(np.arange(structure.size), chosen)
    assert (part.status[others] == Status.NOT_EVALUATED).all()
    assert np.isinf(part.bound[others]).all()
    assert np.isnan(part.value[others]).all()
    assert np.isnan(part.step[others]).all()
    assert np.array_equal(part.step[chosen], whole.step[chosen])
    assert part.evaluations.sum() == 2 * len(chosen)
    assert part.forward_pass_equivalents < whole.forward_pass_equivalents


@pytest.mark.parametrize("coordinates", [[-1, 2], [3, 1000]])
def test_coordinates_outside_the_vector_are_refused(coordinates):
    with pytest.raises(ValueError, match=r"coordinates go from .* must be in 0\.\."):
        layered_differences(DEEP.problem(), coordinates=np.array(coordinates))


@pytest.mark.parametrize("step", [0.3, 64.0, 0.0, -0.5, float("nan")])
def test_a_step_that_is_no_small_power_of_two_is_refused(step):
    with pytest.raises(ValueError, match=r"step=.* must be a power of two"):
        layered_differences(DEEP.problem(), step=step)


def test_no_threads_at_all_are_refused():
    with pytest.raises(ValueError, match="threads=0 must be at least 1"):
        layered_differences(DEEP.problem(), threads=0)


def test_a_problem_is_not_changed():
    problem = DEEP.problem()
    layered_differences(problem)
    assert problem == DEEP.problem()


# --- size -----------------------------------------------------------------------------------------


def test_ten_thousand_coordinates_take_the_work_of_twenty_passes():
    estimate = layered_differences(Case(sizes=(100, 97, 1), batch=8).problem())
    assert len(estimate.value) == 9895
    assert estimate.forward_pass_equivalents < 20


@pytest.mark.nightly
def test_a_million_weights_lie_within_their_bounds_in_a_minute_and_a_gibibyte():
    resource = pytest.importorskip("resource")
    problem = Case(sizes=(1000, 1000, 1), batch=8).problem()
    start = time.perf_counter()
    estimate = layered_differences(problem, threads=2)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert seconds < 60
    assert peak * (1 if sys.platform == "darwin" else 1024) < 2**30
    exact = certified_gradient(problem)
    assert (np.abs(estimate.value - exact.gradient) <= estimate.bound + exact.bound).all()
    assert (estimate.status == Status.RESOLVED).all()
    assert np.median(estimate.bound / np.abs(exact.gradient)) < 1e-10


@pytest.mark.nightly
def test_a_deep_network_of_800_000_weights_lies_within_its_bounds():
    problem = Case(sizes=(784, 600, 600, 1), batch=8).problem()
    estimate = layered_differences(problem, threads=2)
    exact = certified_gradient(problem)
    assert (np.abs(estimate.value - exact.gradient) <= estimate.bound + exact.bound).all()


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(4))
def test_every_derivative_lies_within_its_bound_on_many_problems(seed):
    for case in sample_cases(500, seed=seed, max_parameters=2000, max_batch=64):
        assert misfits(case.problem()).size == 0, case.token
