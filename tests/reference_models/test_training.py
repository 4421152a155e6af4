from itertools import chain

import numpy as np
import pytest

from gradcheck import Verdict, check_gradient
from reference_models import sigmoid_network, training
from reference_models.datasets import (
    held_out_split,
    load_breast_cancer,
    load_digits,
    one_hot,
    standardise,
)
from reference_models.training import (
    batches,
    contributions,
    gradient_descent,
    lipschitz_constant,
    norm,
    stochastic_gradient_descent,
)


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
    with pytest.raises(ValueError, match="tolerance=nan must be positive"):
        gradient_descent(bowl, START, learning_rate=1.0, iterations=1, tolerance=float("nan"))


# --- shuffling ----------------------------------------------------------------------------------


def test_the_order_is_made_of_the_published_words():
    words = training._words(0, 3)  # splitmix64 from state 0, Vigna 2015
    assert [hex(int(word)) for word in words] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]


def test_the_order_of_an_epoch_never_changes():
    assert np.concatenate(batches(8, 3, seed=1, epoch=2)).tolist() == [7, 1, 6, 4, 5, 0, 3, 2]


def test_every_place_is_taken_by_every_example_equally_often():
    """4 examples, 4000 epochs: 1000 +- 6 sqrt(750) of each at every place, 5e-8 two-sided."""
    orders = np.array([np.concatenate(batches(4, 4, seed=0, epoch=e)) for e in range(4000)])
    counts = [np.bincount(orders[:, place], minlength=4) for place in range(4)]
    assert np.all(np.abs(np.array(counts) - 1000) < 6 * np.sqrt(4000 * 0.25 * 0.75))


# --- a convex model on real data ----------------------------------------------------------------

FEATURES = ("mean radius", "mean texture", "mean smoothness")


def tumours():
    """Three features in which the classes overlap, so that the loss has a minimum."""
    data = load_breast_cancer()
    columns = [data.feature_names.index(name) for name in FEATURES]
    X = standardise(data.inputs[:, columns])
    return X, data.labels[:, None].astype(float), [(np.zeros((1, 3)), np.zeros(1))]


def logistic(X, Y):
    return lambda theta: sigmoid_network.value_and_grad(theta, X, Y)


def hessian_spectrum(theta, X):
    """Eigenvalues of Z^T diag(p (1 - p)) Z / m, Z = [X, 1], rising."""
    Z = np.column_stack([X, np.ones(len(X))])
    p = sigmoid_network.forward(theta, X)
    return np.linalg.eigvalsh(Z.T @ (p * (1 - p) * Z) / len(X))


def minimum():
    X, Y, start = tumours()
    rate = 1 / lipschitz_constant(X)
    return gradient_descent(
        logistic(X, Y), start, learning_rate=rate, iterations=2000, tolerance=1e-9
    )


def test_at_the_minimum_of_a_convex_loss_the_gradient_vanishes():
    X, Y, _ = tumours()
    theta, record = minimum()
    assert record.converged
    assert record.gradient_norms[-1] <= 1e-9
    assert np.all(np.diff(record.gradient_norms) < 0)
    value, gradient = logistic(X, Y)(theta)
    assert (value, norm(gradient)) == (record.losses[-1], record.gradient_norms[-1])
    assert hessian_spectrum(theta, X)[0] > 0  # a minimum, and no other


def test_away_from_the_minimum_it_does_not():
    """The same stopping rule, not fulfilled: too few steps, or a slope that never ends."""
    X, Y, start = tumours()
    short = gradient_descent(
        logistic(X, Y), start, learning_rate=1.0, iterations=50, tolerance=1e-9
    )[1]
    slope = gradient_descent(
        lambda _: (0.0, [(np.ones(1), np.zeros(1))]), START, learning_rate=1, iterations=50,
        tolerance=1e-9,
    )[1]  # fmt: skip
    for record in (short, slope):
        assert not record.converged
        assert (record.iterations, min(record.gradient_norms) > 1e-9) == (50, True)


def test_the_lipschitz_constant_bounds_the_curvature_everywhere_and_is_reached_at_zero():
    X, _, start = tumours()
    L = lipschitz_constant(X)
    assert hessian_spectrum(start, X)[-1] == pytest.approx(L, rel=1e-12)  # p = 1/2
    rng = np.random.default_rng(0)
    for _ in range(20):
        theta = [(rng.standard_normal((1, 3)), rng.standard_normal(1))]
        assert hessian_spectrum(theta, X)[-1] < L


def test_the_learning_rate_sets_the_speed():
    """Of a convex loss: below 2/L the smaller the slower, and never upward."""
    X, Y, start = tumours()
    L = lipschitz_constant(X)
    iterations = []
    for share in (0.5, 1.0, 1.9):
        record = gradient_descent(
            logistic(X, Y), start, learning_rate=share / L, iterations=5000, tolerance=1e-8
        )[1]
        assert record.converged
        assert np.all(np.diff(record.losses) <= np.spacing(1.0))
        iterations.append(record.iterations)
    slow, right, fast = iterations
    assert slow > 1.9 * right > 1.9 * 1.8 * fast


def test_too_small_a_learning_rate_is_too_slow():
    X, Y, start = tumours()
    record = gradient_descent(
        logistic(X, Y), start, learning_rate=0.01 / lipschitz_constant(X), iterations=1000
    )[1]
    assert np.all(np.diff(record.losses) < 0)
    assert record.gradient_norms[-1] > 1e-2


def test_what_decides_is_the_curvature_at_the_minimum():
    """2/L is sufficient. Necessary is 2/lambda_max(H) there: beyond it the minimum repels."""
    X, Y, _ = tumours()
    theta, _ = minimum()
    limit = 2 / hessian_spectrum(theta, X)[-1]
    assert limit > 4 * 2 / lipschitz_constant(X)
    beside = [(W + 1e-4, b - 1e-4) for W, b in theta]
    for share, settles in ((0.9, True), (1.1, False)):
        record = gradient_descent(
            logistic(X, Y), beside, learning_rate=share * limit, iterations=1000, tolerance=1e-8
        )[1]
        assert record.converged is settles
    # a cycle, no flight to infinity: the gradient of this loss is bounded
    assert record.losses[-1] > record.losses[0] + 1e-3
    assert max(record.gradient_norms) < np.sqrt(np.sum(np.mean(np.abs(X), axis=0) ** 2) + 1)


@pytest.mark.parametrize(("learning_rate", "grows"), [(1.9, False), (2.1, True)])
def test_on_a_quadratic_a_rate_above_two_over_l_diverges(learning_rate, grows):
    """L = 1: each step multiplies the distance by |1 - lambda|."""
    _, record = gradient_descent(bowl, START, learning_rate=learning_rate, iterations=200)
    assert np.all((np.diff(record.gradient_norms) > 0) == grows)
    assert (record.losses[-1] > 1e15) is grows


# --- single examples, batches, the whole set ----------------------------------------------------


@pytest.mark.parametrize(("batch_size", "expected"), [(1, 569), (32, 18), (569, 1)])
def test_an_epoch_is_m_over_batch_size_iterations(batch_size, expected):
    X, Y, start = tumours()
    steps = []
    _, record = stochastic_gradient_descent(
        sigmoid_network.value_and_grad,
        start,
        X,
        Y,
        learning_rate=0.1,
        batch_size=batch_size,
        epochs=2,
        seed=0,
        at_step=lambda step, *_: steps.append(step),
        loss=sigmoid_network.loss,
    )
    assert record.iterations == len(steps) == 2 * expected
    assert [step.iteration for step in steps] == list(range(2 * expected))
    assert [step.epoch for step in steps] == [0] * expected + [1] * expected
    for epoch in (0, 1):
        rows = np.concatenate([step.rows for step in steps if step.epoch == epoch])
        assert sorted(rows.tolist()) == list(range(569))
    assert [step.loss for step in steps] == list(record.losses)
    assert [step.gradient_norm for step in steps] == list(record.gradient_norms)
    assert len(record.epoch_losses) == 3
    assert record.epoch_losses[0] == pytest.approx(np.log(2), rel=1e-14)  # p = 1/2
    assert record.epoch_losses[2] < record.epoch_losses[1] < record.epoch_losses[0]


def small_network(seed=0):
    """Rows of the digits and a 64-5-10 network."""
    data = load_digits()
    rng = np.random.default_rng(seed)
    X, Y = data.inputs[:60] / 16, one_hot(data.labels[:60], 10)
    start = [(rng.standard_normal((5, 64)) / 8, rng.standard_normal(5)),
             (rng.standard_normal((10, 5)), rng.standard_normal(10))]  # fmt: skip
    return X, Y, start


def relative_gap(parts, whole):
    """|sum of parts - whole| over |whole|."""
    gap = [
        (sum(dW for dW, _ in layer) - W, sum(db for _, db in layer) - b)
        for layer, (W, b) in zip(zip(*parts, strict=True), whole, strict=True)
    ]
    return norm(gap) / norm(whole)


@pytest.mark.parametrize("batch_size", [1, 7, 60])
def test_the_gradients_of_the_parts_add_up_to_that_of_the_whole(batch_size):
    X, Y, theta = small_network()

    def of(rows):
        return sigmoid_network.value_and_grad(theta, X[rows], Y[rows], reduction="sum")[1]

    parts = [of(rows) for rows in batches(60, batch_size, seed=3, epoch=0)]
    # 60 additions of terms within a few units of roundoff: 1e-13 is 450 roundings of 2^-52
    assert relative_gap(parts, of(np.arange(60))) < 1e-13
    if len(parts) > 1:
        assert relative_gap(parts[:-1], of(np.arange(60))) > 1e-4  # one left out shows


@pytest.mark.by_day(2)
@pytest.mark.parametrize("batch_size", [1, 20, 60])
@pytest.mark.parametrize("factor", [1.0, 1 + 1e-6])
def test_gradients_are_right_along_the_trajectory(batch_size, factor):
    """Checked by differences at the last step of each epoch; a wrong factor is seen there too."""
    X, Y, _ = small_network()
    X, verdicts = X[:, 20:28], []
    rng = np.random.default_rng(1)
    start = [(rng.standard_normal((2, 8)), rng.standard_normal(2)),
             (rng.standard_normal((10, 2)), rng.standard_normal(10))]  # fmt: skip
    last = -(-60 // batch_size) - 1

    def check(step, theta, gradient):
        if step.iteration % (last + 1) == last:
            told = [(factor * dW, factor * db) for dW, db in gradient]
            outcome = check_gradient(
                lambda p: sigmoid_network.loss(p, X[step.rows], Y[step.rows]),
                lambda _: [(dW.copy(), db.copy()) for dW, db in told],
                theta,
            )
            verdicts.append(outcome.verdict)

    stochastic_gradient_descent(
        sigmoid_network.value_and_grad,
        start,
        X,
        Y,
        learning_rate=0.5,
        batch_size=batch_size,
        epochs=3,
        seed=0,
        at_step=check,
    )
    assert verdicts == [Verdict.PASS if factor == 1 else Verdict.FAIL] * 3


# --- what each weight contributes ---------------------------------------------------------------


def remainder(learning_rate, contribution):
    """Change of the loss in one step, less the sum of the weights' contributions."""
    X, Y, start = small_network()
    before, gradient = sigmoid_network.value_and_grad(start, X, Y)
    after, _ = gradient_descent(logistic(X, Y), start, learning_rate=learning_rate, iterations=1)
    change = sigmoid_network.loss(after, X, Y) - before
    return change - sum(part.sum() for pair in contribution(gradient, learning_rate)
                        for part in pair)  # fmt: skip


RATES = 2.0 ** -np.arange(6, 13)


def orders(contribution):
    """Slopes of log |remainder| against log lambda."""
    sizes = np.abs([remainder(rate, contribution) for rate in RATES])
    return np.diff(np.log2(sizes)) / np.diff(np.log2(RATES))


def test_the_contributions_of_the_weights_add_up_but_for_second_order():
    found = orders(contributions)
    assert np.all(np.abs(found - 2) < 0.1)
    assert abs(found[-1] - 2) < abs(found[0] - 2)  # and the closer the smaller the step


def test_contributions_that_are_wrong_leave_a_remainder_of_first_order():
    def half(gradient, learning_rate):
        return contributions(gradient, learning_rate / 2)

    def without_biases(gradient, learning_rate):
        return [(dW, 0 * db) for dW, db in contributions(gradient, learning_rate)]

    for wrong in (half, without_biases):
        assert np.all(np.abs(orders(wrong) - 1) < 0.2)


def test_no_remainder_exceeds_what_the_lipschitz_constant_allows():
    """|C(theta - lambda g) - C + lambda |g|^2| <= L lambda^2 |g|^2 / 2 (Nesterov 2004, 1.2.3)."""
    X, Y, start = tumours()
    L = lipschitz_constant(X)
    C, gradient = logistic(X, Y)(start)
    for rate in 2.0 ** np.arange(-6, 6):
        after, _ = gradient_descent(logistic(X, Y), start, learning_rate=rate, iterations=1)
        first_order = sum(part.sum() for pair in contributions(gradient, rate) for part in pair)
        gap = abs(sigmoid_network.loss(after, X, Y) - C - first_order)
        assert gap <= L * rate**2 * norm(gradient) ** 2 / 2
