from itertools import chain

import numpy as np
import pytest

from reference_models import sigmoid_network
from reference_models.datasets import held_out_split, load_breast_cancer, standardise
from reference_models.training import gradient_descent, norm, stochastic_gradient_descent


def bowl(parameters):
    """C = (w^2 + b^2) / 2 with gradient (w, b): each step multiplies by 1 - lambda."""
    ((w, b),) = parameters
    return (w @ w + b @ b) / 2, [(w, b)]


START = [(np.array([4.0]), np.array([3.0]))]


@pytest.mark.parametrize("learning_rate", [0.5, 1.0, 1.5, 2.5])
def test_a_quadratic_bowl_follows_its_closed_form(learning_rate):
    ((w, b),), record = gradient_descent(bowl, START, learning_rate=learning_rate, iterations=5)
    factors = (1 - learning_rate) ** np.arange(6)  # dyadic: every number is exact
    assert (w[0], b[0]) == (4 * factors[5], 3 * factors[5])
    assert record.losses == tuple(12.5 * factors[:5] ** 2)
    assert record.gradient_norms == tuple(5 * np.abs(factors[:5]))


def test_the_start_is_never_changed():
    gradient_descent(bowl, START, learning_rate=0.5, iterations=3)
    assert (START[0][0][0], START[0][1][0]) == (4.0, 3.0)


def test_no_iterations_return_the_start():
    parameters, record = gradient_descent(bowl, START, learning_rate=0.5, iterations=0)
    assert parameters == START
    assert record.losses == ()


def batches_seen(batch_size, epochs, seed):
    seen = []

    def watch(parameters, X, Y):
        np.testing.assert_array_equal(X[:, 0], Y[:, 0])  # examples and targets stay together
        seen.append(X[:, 0].astype(int).tolist())
        return 0.0, [(np.zeros(1), np.zeros(1))]

    numbers = np.arange(7.0)[:, None]
    stochastic_gradient_descent(
        watch,
        START,
        numbers,
        numbers,
        learning_rate=1,
        batch_size=batch_size,
        epochs=epochs,
        seed=seed,
    )
    return seen


@pytest.mark.parametrize(("batch_size", "lengths"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7])])
def test_an_epoch_is_one_pass_over_the_examples(batch_size, lengths):
    seen = batches_seen(batch_size, 2, seed=1)
    assert list(map(len, seen)) == lengths * 2
    half = len(lengths)
    for epoch in (seen[:half], seen[half:]):
        assert sorted(chain.from_iterable(epoch)) == list(range(7))
    assert seen[:half] != seen[half:]  # newly shuffled


def test_the_seed_fixes_the_order():
    assert batches_seen(3, 2, seed=1) == batches_seen(3, 2, seed=1)
    assert batches_seen(3, 2, seed=1) != batches_seen(3, 2, seed=2)


def test_one_batch_of_everything_is_gradient_descent():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((1, 3)), np.ones((1, 1))
    start = [(rng.standard_normal((1, 3)), np.zeros(1))]
    whole, record = gradient_descent(
        lambda p: sigmoid_network.value_and_grad(p, X, Y), start, learning_rate=0.5, iterations=4
    )
    batch, batch_record = stochastic_gradient_descent(
        sigmoid_network.value_and_grad,
        start,
        X,
        Y,
        learning_rate=0.5,
        batch_size=1,
        epochs=4,
        seed=0,
    )
    assert record == batch_record
    np.testing.assert_array_equal(whole[0][0], batch[0][0])


def test_a_workspace_may_be_shared_by_all_steps():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((6, 3)), np.ones((6, 1))
    start = [(rng.standard_normal((1, 3)), np.zeros(1))]
    workspace = sigmoid_network.Workspace((3, 1), 6, np.float64)
    plain, shared = (
        gradient_descent(
            lambda p, out=out: sigmoid_network.value_and_grad(p, X, Y, out=out),
            start,
            learning_rate=0.5,
            iterations=4,
        )
        for out in (None, workspace)
    )
    assert plain[1] == shared[1]
    np.testing.assert_array_equal(plain[0][0][0], shared[0][0][0])


def test_training_keeps_float32():
    X, Y = np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)
    start = [(np.zeros((1, 3), np.float32), np.zeros(1, np.float32))]
    ((W, b),), _ = gradient_descent(
        lambda p: sigmoid_network.value_and_grad(p, X, Y), start, learning_rate=0.1, iterations=2
    )
    assert W.dtype == b.dtype == np.float32


def test_logistic_regression_learns_to_tell_the_tumours():
    """Convex, with lambda below 2 / L (L <= trace(X^T X) / (4 m) = 31/4): the loss must fall."""
    training, held_out = held_out_split(load_breast_cancer())
    X = standardise(training.inputs)
    Y = training.labels[:, None].astype(np.float64)
    start = [(np.zeros((1, 30)), np.zeros(1))]
    parameters, record = gradient_descent(
        lambda p: sigmoid_network.value_and_grad(p, X, Y), start, learning_rate=0.25, iterations=200
    )
    assert np.all(np.diff(record.losses) < 0)
    p = sigmoid_network.forward(parameters, standardise(held_out.inputs, reference=training.inputs))
    right = np.mean((p[:, 0] > 0.5) == held_out.labels)
    always_benign = np.mean(held_out.labels)
    assert right > (1 + always_benign) / 2  # more than half of what guessing gets wrong


def test_the_norm_is_that_of_all_entries_together():
    assert norm([(np.array([[1.0, 2.0]]), np.array([2.0])), (np.array([[4.0]]), np.zeros(1))]) == 5


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be positive"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"batch_size": 8}, "batch_size=8 must be at most m=7"),
        ({"epochs": -1}, "epochs=-1 must be at least 0"),
    ],
)
def test_numbers_out_of_range_are_named(numbers, message):
    arguments = {"learning_rate": 1.0, "batch_size": 2, "epochs": 1, "seed": 0} | numbers
    with pytest.raises(ValueError, match=message):
        stochastic_gradient_descent(
            lambda p, _X, _Y: (0.0, p), START, np.ones((7, 1)), np.ones((7, 1)), **arguments
        )
    with pytest.raises(ValueError, match="iterations=-1 must be at least 0"):
        gradient_descent(bowl, START, learning_rate=1.0, iterations=-1)
