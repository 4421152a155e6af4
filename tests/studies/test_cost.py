"""Costs are counted by wrapping what is measured, and the counts equal the formulas."""

import gc
import itertools
import math
import time
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from some import some

from gradcheck.problem import Architecture, Problem
from gradcheck.studies.cost import (
    Cost,
    CountedArray,
    CountedFunction,
    FlopCount,
    Ratio,
    Timing,
    Turns,
    UncountedOperationError,
    central_difference_passes,
    cost_ratio,
    count_flops,
    counted_loss,
    counted_value_and_grad,
    forward_difference_passes,
    gemm_flops_backward,
    gemm_flops_forward,
    processor_clock,
    time_call,
    time_in_turns,
)
from reference_models import chain_rule, sigmoid_network

architectures = st.lists(st.integers(1, 9), min_size=2, max_size=6).map(tuple)
batches = st.integers(1, 7)
seeds = st.integers(0, 2**32 - 1)


def draw(seed, sizes, m, dtype=np.float64):
    """A network and a batch of random numbers."""
    rng = np.random.default_rng(seed)
    parameters = [
        (rng.normal(size=(n, n_in)).astype(dtype), rng.normal(size=n).astype(dtype))
        for n_in, n in itertools.pairwise(sizes)
    ]
    X = rng.normal(size=(m, sizes[0])).astype(dtype)
    return parameters, X, rng.uniform(size=(m, sizes[-1])).astype(dtype)


def bits(result):
    """Every number of a nested result with its type, as bytes."""
    if isinstance(result, list | tuple):
        return [bits(x) for x in result]
    return type(result), np.asarray(result).dtype, np.asarray(result).tobytes()


@pytest.fixture(name="A")
def small_matrix():
    return np.arange(6.0).reshape(2, 3)


# --- passes -------------------------------------------------------------------------------------


def test_a_loss_is_one_forward_pass_and_a_gradient_one_of_each():
    loss = counted_loss(lambda w: w**2)
    value_and_grad = counted_value_and_grad(lambda w: (w**2, 2 * w))
    assert [loss(w) for w in (1.0, 2.0, 3.0)] == [1.0, 4.0, 9.0]
    assert value_and_grad(3.0) == (9.0, 6.0)
    assert (loss.cost.forward_passes, loss.cost.backward_passes) == (3, 0)
    assert (value_and_grad.cost.forward_passes, value_and_grad.cost.backward_passes) == (1, 1)


def test_costs_add_and_flops_are_known_only_where_both_are():
    total = Cost(2, 1, 10, 0.5) + Cost(1, 0, 5, 0.25)
    assert total == Cost(3, 1, 15, 0.75)
    assert (total + Cost(1)).flops is None
    assert Cost(1, 0, 0) + Cost(1, 0, 0) == Cost(2, 0, 0)


def test_a_call_that_raises_is_counted():
    broken = counted_loss(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        broken()
    assert broken.calls == 1


def test_a_counted_function_measures_its_own_seconds():
    wait = counted_loss(lambda: time.sleep(0.002))
    wait()
    wait()
    assert wait.cost.seconds >= 0.004


def test_reset_starts_from_nothing():
    f = counted_loss(lambda x: x @ x, with_flops=True)
    f(np.ones(3))
    assert f.cost.flops == 6
    f.reset()
    assert f.cost == Cost(0, 0, 0, 0.0)


def test_flops_are_summed_over_calls_when_asked_for(A):
    f = CountedFunction(lambda A: A + 1, with_flops=True)
    f(A)
    f(A[0])
    assert f.cost.flops == 6 + 3
    assert counted_loss(lambda A: A + 1).cost.flops is None


def test_counted_functions_refuse_nonsense():
    with pytest.raises(TypeError, match="function must be callable, got int"):
        CountedFunction(3)
    with pytest.raises(ValueError, match="backward_passes=-1"):
        CountedFunction(abs, backward_passes=-1)


# --- flops of one operation -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "flops"),
    [
        # (2, 3) by (3, 2): 2 * 2 * 3 * 2
        (lambda A: A @ A.T, FlopCount(gemm=24)),
        (lambda A: np.matmul(A, A.T), FlopCount(gemm=24)),
        (lambda A: np.dot(A, A.T), FlopCount(gemm=24)),
        (lambda A: A.dot(A.T), FlopCount(gemm=24)),
        (lambda A: A @ A[0], FlopCount(gemm=12)),
        (lambda A: A[0] @ A[0], FlopCount(gemm=6)),
        (lambda A: np.vecdot(A, A), FlopCount(gemm=12)),
        (lambda A: np.stack([A, A]) @ A.T, FlopCount(gemm=48)),
        (lambda A: A.dot(2.0), FlopCount(elementwise=6)),
        (lambda A: A + 1, FlopCount(elementwise=6)),
        (lambda A: A - A[0], FlopCount(elementwise=6)),
        (lambda A: 2 * A / 3, FlopCount(elementwise=12)),
        (lambda A: -A, FlopCount(elementwise=6)),
        (lambda A: A**2, FlopCount(elementwise=6)),
        (lambda A: A[0][:, None] @ A[1][None, :], FlopCount(gemm=18)),  # (3, 1) by (1, 3)
        (lambda A: np.multiply.outer(A[0], A[1]), FlopCount(gemm=18)),
        (lambda A: np.add.outer(A[0], A[1]), FlopCount(elementwise=9)),
        (lambda A: np.add(A, 1, where=A > 2, out=A), FlopCount(elementwise=3)),
        (lambda A: A[0, 0] + A[0, 1] * A[1, 1], FlopCount(elementwise=2)),
        # n terms: n - 1 additions, n from a given start
        (lambda A: A.sum(), FlopCount(elementwise=5)),
        (lambda A: np.sum(A, axis=0), FlopCount(elementwise=3)),
        (np.add.reduce, FlopCount(elementwise=3)),
        (lambda A: np.add.reduce(A, axis=1), FlopCount(elementwise=4)),
        (lambda A: np.sum(A, initial=1.0), FlopCount(elementwise=6)),
        (lambda A: np.sum(A, where=A > 2), FlopCount(elementwise=2)),
        (lambda A: np.sum(A[:0], axis=0), FlopCount()),
        (np.mean, FlopCount(elementwise=6)),
        (np.cumsum, FlopCount(elementwise=5)),
        (lambda A: np.cumsum(A, axis=1), FlopCount(elementwise=4)),
        (lambda A: A.prod(axis=0), FlopCount(elementwise=3)),
        (np.exp, FlopCount(transcendental=6)),
        (lambda A: np.log1p(A[0]) + np.tanh(A[1]), FlopCount(elementwise=3, transcendental=6)),
        (lambda A: np.logaddexp(A, 0), FlopCount(transcendental=6)),
        (lambda A: np.where(A > 1, np.maximum(A, 2), np.abs(A)).copy(), FlopCount()),
        (lambda A: A.max() > 3, FlopCount()),
        (lambda A: np.concatenate([A, A]).reshape(3, 4).T, FlopCount()),
    ],
)  # fmt: skip
def test_an_operation_costs(operation, flops, A):
    uncounted = operation(A.copy())
    result, counted = count_flops(operation, A.copy())
    assert counted == flops
    assert bits(result) == bits(uncounted)


def test_transcendentals_are_no_flops():
    count = FlopCount(gemm=1, elementwise=2, transcendental=4)
    assert count.total == 3
    assert count + count == FlopCount(2, 4, 8)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda A: np.einsum("ij,kj->ik", A, A), "einsum has no rule"),
        (np.linalg.norm, "norm has no rule"),
        (lambda A: np.outer(A[0], A[1]), "outer has no rule"),  # goes through asarray
        (lambda A: np.heaviside(A, 0), "numpy.heaviside has no rule"),
        (lambda A: A // 2, "numpy.floor_divide has no rule"),
        (lambda A: np.add.reduceat(A, [0]), "numpy.add.reduceat has no rule"),
        (lambda A: np.add.at(A, 0, 1.0), "numpy.add.at has no rule"),
        (lambda A: A * 1j, "complex"),
        (lambda A: np.matmul(A, A, axes=[(0, 1), (1, 0), (0, 1)]), "axes="),
        (lambda A: np.add(A, 1, out=np.empty((2, 3))), r"numpy.add writes .* shape \(2, 3\)"),
        (lambda A: np.copyto(np.empty((2, 3)), A), "numpy.copyto writes a counted result"),
        (lambda A: np.dot(A, A.T, out=np.empty((2, 2))), "numpy.dot writes a counted result"),
        (lambda A: np.asarray(A) + 1, "no operation on the arguments was seen"),
        (lambda A: [A + 1, np.array(A)], "dropped the counted type"),
    ],
)
def test_what_would_escape_the_count_is_an_error(function, told, A):
    with pytest.raises(UncountedOperationError, match=told):
        count_flops(function, A)


def test_a_product_with_one_counted_operand_is_tallied_once(A):
    B = np.ones((3, 4))
    assert count_flops(lambda A: A @ B, A)[1].gemm == 2 * 2 * 3 * 4
    assert count_flops(lambda A, B: A @ B, A, B)[1].gemm == 2 * 2 * 3 * 4
    assert count_flops(lambda out: np.matmul(A, B, out=out), np.empty((2, 4)))[1].gemm == 48


def test_results_and_arguments_are_plain_again_and_share_memory_as_before(A):
    @dataclass(frozen=True)
    class Buffers:
        layers: list[np.ndarray]

    buffers = Buffers([np.empty((2, 3))])
    result, flops = count_flops(lambda A, out: np.add(A, 1, out=out.layers[0]), A, out=buffers)
    assert flops.elementwise == 6
    assert type(result) is np.ndarray
    assert type(buffers.layers[0]) is np.ndarray
    assert np.shares_memory(result, buffers.layers[0])
    assert np.array_equal(buffers.layers[0], A + 1)


def test_arguments_without_arrays_are_handed_on_as_they_are(A):
    settings, names = {"reduction": "mean"}, ["W1", "b1"]

    def f(A, settings_seen, names_seen, *, cost):
        assert settings_seen is settings
        assert names_seen is names
        assert cost == "quadratic"
        return A + 1

    assert count_flops(f, A, settings, names, cost="quadratic")[1].total == 6


def test_a_whole_problem_is_an_argument_like_any_other():
    network = Architecture((3, 2, 1))
    parameters, X, Y = draw(0, network.sizes, 4)
    weights, biases = zip(*parameters, strict=True)
    problem = Problem(network, weights, biases, X, Y)

    def loss(problem):
        (W1, W2), (b1, b2) = problem.weights, problem.biases
        assert problem.architecture is network
        return np.sum((sigmoid(problem.inputs @ W1.T + b1) @ W2.T + b2 - problem.targets) ** 2)

    value, flops = count_flops(loss, problem)
    assert bits(value) == bits(loss(problem))
    assert flops.gemm == gemm_flops_forward(network.sizes, 4)


def test_writing_into_an_argument_reaches_the_argument(A):
    def move(A):
        A[0, 0] += 2.5
        return A

    count_flops(move, A)
    assert A[0, 0] == 2.5


def test_counting_twice_side_by_side_keeps_the_counts_apart(A):
    def inner(A):
        return A + count_flops(lambda B: B * 2, np.ones(3))[0]

    assert count_flops(inner, A)[1] == FlopCount(elementwise=6)


# --- flops of the network -------------------------------------------------------------------------


@pytest.mark.parametrize("cost", ["cross_entropy", "quadratic"])
@given(seed=seeds, sizes=architectures, m=batches)
def test_the_vectorised_network_does_the_products_of_the_formula(cost, seed, sizes, m):
    problem = draw(seed, sizes, m)
    buffers = sigmoid_network.Workspace(sizes, m, np.float64)
    _, loss = count_flops(sigmoid_network.loss, *problem, cost=cost, out=buffers)
    _, both = count_flops(sigmoid_network.value_and_grad, *problem, cost=cost, out=buffers)
    forward, backward = gemm_flops_forward(sizes, m), gemm_flops_backward(sizes, m)
    assert loss.gemm == forward
    assert both.gemm == forward + backward
    assert both.gemm / loss.gemm == pytest.approx(cost_ratio(sizes), rel=4 * np.finfo(float).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(seed=seeds, sizes=architectures, m=batches)
def test_counting_changes_no_bit_of_the_networks_results(dtype, seed, sizes, m):
    problem = draw(seed, sizes, m, dtype)
    buffers = sigmoid_network.Workspace(sizes, m, dtype)
    for network in (sigmoid_network.loss, sigmoid_network.value_and_grad):
        expected = bits(network(*problem))
        assert bits(count_flops(network, *problem, out=buffers)[0]) == expected


def test_buffers_may_be_allocated_counted():
    problem = draw(0, (3, 2, 1), 4)

    def loss(parameters, X, Y):
        def allocate(shape, dtype):
            return np.empty_like(X, shape=shape, dtype=dtype)

        out = sigmoid_network.Workspace((3, 2, 1), 4, np.float64, allocate=allocate)
        assert all(isinstance(buffer, CountedArray) for buffer in some(out.layers[0]))
        return sigmoid_network.loss(parameters, X, Y, out=out)

    assert count_flops(loss, *problem)[1].gemm == gemm_flops_forward((3, 2, 1), 4)


def test_buffers_that_nobody_counts_are_noticed():
    problem = draw(0, (3, 2, 1), 4)
    with pytest.raises(UncountedOperationError, match="hand the array, or the object that holds"):
        count_flops(sigmoid_network.loss, *problem)


@given(seed=seeds, sizes=architectures, m=st.integers(1, 2))
def test_the_chain_rule_does_its_products_number_by_number(seed, sizes, m):
    problem = draw(seed, sizes, m)
    expected = bits(chain_rule.value_and_grad(*problem))
    result, flops = count_flops(chain_rule.value_and_grad, *problem)
    assert bits(result) == expected
    assert flops.gemm == 0
    # at least every multiplication and addition of the two derivations' common formula
    assert flops.elementwise >= gemm_flops_backward(sizes, m)


# --- defects that the comparison of count and formula must notice ---------------------------------


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def two_layers(parameters, X, Y):
    """Loss and gradient of a network of two layers, written out."""
    (W1, b1), (W2, b2) = parameters
    a1 = sigmoid(X @ W1.T + b1)
    delta2 = sigmoid(a1 @ W2.T + b2) - Y
    delta1 = (delta2 @ W2) * a1 * (1 - a1)
    return [(delta1.T @ X, delta1.sum(axis=0)), (delta2.T @ a1, delta2.sum(axis=0))]


def with_inputs_gradient(parameters, X, Y):
    """One product more: the error is handed down to the inputs, where nobody needs it."""
    gradient = two_layers(parameters, X, Y)
    gradient[0][0].T @ parameters[0][0]
    return gradient


def with_second_forward(parameters, X, Y):
    (W1, _), _ = parameters
    X @ W1.T
    return two_layers(parameters, X, Y)


def without_handing_down(parameters, X, Y):
    """One product less: a wrong gradient that is too cheap."""
    (W1, b1), (W2, b2) = parameters
    a1 = sigmoid(X @ W1.T + b1)
    delta2 = sigmoid(a1 @ W2.T + b2) - Y
    delta1 = a1 * (1 - a1) * delta2.sum()
    return [(delta1.T @ X, delta1.sum(axis=0)), (delta2.T @ a1, delta2.sum(axis=0))]


@pytest.mark.parametrize(
    ("network", "equal"),
    [
        (two_layers, True),
        (with_inputs_gradient, False),
        (with_second_forward, False),
        (without_handing_down, False),
    ],
)
@given(seed=seeds, n=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)), m=batches)
def test_one_product_more_or_less_is_noticed(network, equal, seed, n, m):
    _, flops = count_flops(network, *draw(seed, n, m))
    assert (flops.gemm == gemm_flops_forward(n, m) + gemm_flops_backward(n, m)) is equal


def test_a_network_that_drops_the_counted_type_is_noticed():
    def network(parameters, X, Y):
        return two_layers([(np.array(W), np.array(b)) for W, b in parameters], np.array(X), Y)

    def half(parameters, X, Y):
        (dW1, db1), above = two_layers(parameters, X, Y)
        return [(np.asarray(dW1), db1), above]

    parameters, X, Y = draw(0, (3, 2, 1), 4)
    # delta2 depends on Y, which is still counted: the products before it are lost
    _, flops = count_flops(network, parameters, X, Y)
    assert flops.gemm < gemm_flops_forward((3, 2, 1), 4) + gemm_flops_backward((3, 2, 1), 4)
    with pytest.raises(UncountedOperationError, match="dropped the counted type"):
        count_flops(half, parameters, X, Y)


def test_a_wrapper_that_counts_nothing_is_noticed():
    class Idle(CountedFunction):
        def __call__(self, *args):
            return self._function(*args)

    def central_difference(loss, x, h):
        return [(loss(x + h * e) - loss(x - h * e)) / (2 * h) for e in np.eye(len(x))]

    counted, idle = counted_loss(np.sum), Idle(np.sum)
    for loss in (counted, idle):
        assert central_difference(loss, np.ones(5), 0.5) == [1.0] * 5
    assert counted.cost.forward_passes == central_difference_passes(5)
    assert idle.cost.forward_passes != central_difference_passes(5)


# --- formulas -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "omega"),
    [
        ((30, 1), 2),
        ((784, 30, 10), 2.013),
        ((20, 30, 10, 1), 2.341),
        ((512, 512, 512, 1), 2.5),
        ((512,) * 5 + (1,), 2.75),
    ],
)
def test_known_cost_ratios(sizes, omega):
    assert cost_ratio(sizes) == pytest.approx(omega, abs=5e-4)


@given(sizes=architectures, m=batches)
def test_the_ratio_is_that_of_the_flops_and_lies_in_2_to_3(sizes, m):
    forward, backward = gemm_flops_forward(sizes, m), gemm_flops_backward(sizes, m)
    assert forward * cost_ratio(sizes) == pytest.approx(forward + backward, rel=1e-14)
    assert 2 <= cost_ratio(sizes) < 3


def test_passes_of_finite_differences():
    assert forward_difference_passes(1_000_000) == 1_000_001
    assert central_difference_passes(951) == 1902


@pytest.mark.parametrize("formula", [gemm_flops_forward, gemm_flops_backward])
def test_formulas_refuse_what_is_no_network(formula):
    with pytest.raises(ValueError, match=r"sizes=\[3\]"):
        formula((3,), 1)
    with pytest.raises(ValueError, match=r"sizes=\[3, 0\]"):
        formula((3, 0), 1)
    with pytest.raises(ValueError, match="m=0"):
        formula((3, 1), 0)


# --- seconds ------------------------------------------------------------------------------------


def test_a_timing_is_a_median_between_its_quartiles():
    timing = time_call(lambda: time.sleep(0.001), repeats=5, minimum_seconds=0.002)
    assert 0.001 <= timing.q25 <= timing.median <= timing.q75
    assert timing.repeats == 5
    assert timing.calls_per_sample >= 2


def test_samples_last_long_enough_and_the_function_is_warmed_up():
    calls = counted_loss(lambda: None)
    timing = time_call(calls, repeats=3, minimum_seconds=0.005)
    assert timing.q25 * timing.calls_per_sample >= 0.005
    assert calls.calls > 1 + 3 * timing.calls_per_sample


def test_a_first_slow_call_does_not_enter_the_timing():
    clock = Clock()
    slow, quick = clock.lasting(0.125), clock.lasting(0.25**4)
    first = [slow]

    @counted_loss
    def wait():
        return (first.pop() if first else quick)()

    timing = time_call(wait, repeats=3, minimum_seconds=0.001, clock=clock)
    assert wait.calls == 1 + 3
    assert timing.q25 == timing.q75 == 0.25**4


def test_garbage_collection_is_on_again_afterwards():
    with pytest.raises(ZeroDivisionError):
        time_call(lambda: 1 / 0, repeats=3, minimum_seconds=0.001)
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"repeats": 2}, "repeats=2 must be at least 3"),
        ({"minimum_seconds": 0.0}, r"minimum_seconds=0\.0"),
        ({"minimum_seconds": float("nan")}, "minimum_seconds=nan"),
    ],
)
def test_timing_refuses_nonsense(keywords, told):
    with pytest.raises(ValueError, match=told):
        time_call(lambda: None, **keywords)


def test_a_timing_is_a_value():
    assert Timing(1.0, 0.5, 2.0, 3, 1) == Timing(1.0, 0.5, 2.0, 3, 1)


class Clock:
    """Time passes in the functions alone: `pace` times their seconds."""

    def __init__(self, pace=1.0):
        self.now, self.pace, self.order = 0.0, pace, []

    def __call__(self):
        return self.now

    def lasting(self, seconds, slower=0.0):
        def function():
            self.order.append(seconds)
            self.now += self.pace * seconds
            self.pace += slower

        return function


def test_functions_take_turns_and_the_second_turn_runs_backwards():
    clock = Clock()
    turns = time_in_turns(
        clock.lasting(1.0), clock.lasting(3.0), turns=3, minimum_seconds=1e-9, clock=clock
    )
    np.testing.assert_array_equal(turns.seconds, [[1.0, 3.0]] * 3)
    assert clock.order[-6:] == [1.0, 3.0, 3.0, 1.0, 1.0, 3.0]
    assert (turns.median(1), turns.ratio(1, 0)) == (3.0, Ratio(3.0, 3.0, 3.0))


def test_a_machine_that_slows_down_changes_the_seconds_and_not_the_ratio():
    clock = Clock()
    f, g = clock.lasting(1.0), clock.lasting(3.0, slower=1.0)
    turns = time_in_turns(f, g, turns=9, minimum_seconds=1e-9, clock=clock)
    assert turns.seconds[-1, 0] > 3 * turns.seconds[0, 0]
    ratio = turns.ratio(1, 0)
    assert ratio.q25 <= ratio.median <= ratio.q75
    assert ratio.median == 3.0  # of every other turn, in which the machine slows down in between


def test_the_quartiles_are_those_of_the_turns():
    turns = Turns(np.array([[1.0, 2.0], [1.0, 3.0], [2.0, 8.0], [1.0, 5.0], [2.0, 12.0]]))
    assert turns.ratio(1, 0) == Ratio(4.0, 3.0, 5.0)
    assert turns.median(0) == 1.0


def test_short_functions_are_called_often_enough_to_be_timed():
    calls = []
    time_in_turns(lambda: calls.append(1), turns=3, minimum_seconds=1e-2)
    assert len(calls) > 300  # less than 0.1 ms each, on any machine


def test_the_processors_clock_stands_still_while_a_process_sleeps():
    clock = processor_clock()
    if clock is time.perf_counter:
        pytest.skip("the system keeps processor time in coarse steps")
    turns = time_in_turns(lambda: time.sleep(0.01), turns=3, minimum_seconds=1e-9, clock=clock)
    assert turns.median(0) < 0.005


@pytest.mark.parametrize(
    ("functions", "keywords", "told"),
    [
        ((), {}, "must be at least one function"),
        ((int,), {"turns": 2}, "turns=2 must be at least 3"),
        ((int,), {"minimum_seconds": 0.0}, r"minimum_seconds=0.0 must be positive"),
        ((int,), {"minimum_seconds": math.inf}, "minimum_seconds=inf must be positive"),
    ],
)
def test_turns_that_cannot_be_taken(functions, keywords, told):
    with pytest.raises(ValueError, match=told):
        time_in_turns(*functions, **keywords)
