"""C18 holds where both kinds of training end alike and one is quicker."""

import numpy as np
import pytest

from gradcheck.differences.finite_difference import difference_quotients
from gradcheck.differences.lines import Lines
from gradcheck.differences.stencils import CENTRAL_8
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import c18_training_speed as c18
from gradcheck.studies.report.textbook import c24_million_weights_trained as c24
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFUTED, ruling
from reference_models import sigmoid_network

SMALL = Settings(hidden=(2, 3), digits_hidden=4, digits_rows=16, million_epochs=3)
AT_ONCE = Settings(hidden=(2, 3), digits_rows=16, million_epochs=3)


@pytest.fixture
def one_epoch(monkeypatch, small_claims):
    monkeypatch.setattr(c18, "EPOCHS", 0)


def off_by_a_thousandth(theta, X, Y, **out):
    value, gradient = sigmoid_network.value_and_grad(theta, X, Y, **out)
    return value, [(1.001 * dW, db) for dW, db in gradient]


def by_differences(theta, X, Y, out=None):
    """No backprop at all: differences of order 8, 8 N passes."""
    if out is not None:  # flops are counted, or a million weights are trained
        return sigmoid_network.value_and_grad(theta, X, Y, out=out)
    lines = Lines(lambda moved: sigmoid_network.loss(moved, X, Y), theta)
    D = difference_quotients(lines, 2.0**-8, stencil=CENTRAL_8)
    return lines.value, c18._pairs(D, theta)


def uphill(theta, X, Y, **out):
    value, gradient = sigmoid_network.value_and_grad(theta, X, Y, **out)
    return value, [(-dW, -db) for dW, db in gradient]


def from_scratch(lines, h, *, stencil):
    lines.along(lines.origin, np.zeros(lines.size), np.zeros(1))
    return difference_quotients(lines, h, stencil=stencil)


def test_the_claim_is_confirmed(small_claims):
    evidence = c18.measure(Settings(hidden=(2, 3), million_epochs=3))
    assert ruling(evidence) == CONFIRMED
    _, passes, time, *_ = evidence.findings
    assert passes.results["by_differences"] == 4 * 2261
    assert passes.results["ratio"] == time.results["passes"] == 2261 / 2


def test_a_gradient_off_by_a_thousandth_ends_elsewhere(one_epoch):
    found = c18.measure(SMALL, backprop=off_by_a_thousandth).findings
    assert [finding.holds for finding in found[:3]] == [False, True, True]


def test_the_bound_is_tight_enough_to_see_a_ten_thousandth(one_epoch):
    def slightly_off(theta, X, Y, **out):
        value, gradient = sigmoid_network.value_and_grad(theta, X, Y, **out)
        return value, [(dW * (1 + 1e-4), db) for dW, db in gradient]

    assert not c18.measure(SMALL, backprop=slightly_off).findings[0].holds


def test_passes_beyond_n_plus_1_refute_it(one_epoch):
    evidence = c18.measure(SMALL, differences=from_scratch)
    assert ruling(evidence) == REFUTED
    assert not evidence.findings[1].holds


def test_forward_passes_hidden_in_the_gradient_refute_it(one_epoch):
    def wasteful(theta, X, Y, **out):
        for _ in range(30 if out else 300):
            sigmoid_network.loss(theta, X, Y, **out)
        return sigmoid_network.value_and_grad(theta, X, Y, **out)

    evidence = c18.measure(SMALL, backprop=wasteful)
    assert ruling(evidence) == REFUTED
    passes, million = evidence.findings[1], evidence.findings[4]
    assert not passes.holds
    assert not million.holds
    assert passes.results["forward"] == 301 * passes.results["backward"]
    assert million.results["forward"] == 31 * million.results["backward"]


def test_matrix_products_that_are_no_pass_refute_it(one_epoch):
    def wasteful(theta, X, Y, **out):
        X @ theta[0][0].T
        return sigmoid_network.value_and_grad(theta, X, Y, **out)

    found = c18.measure(SMALL, backprop=wasteful).findings
    assert [finding.holds for finding in found[:3]] == [True, False, True]


def test_differences_called_backprop_are_no_quicker(one_epoch):
    assert not c18.measure(SMALL, backprop=by_differences).findings[2].holds


def last_layer_alone(theta, X, Y, **out):
    """Leaves the hidden layer as it was drawn."""
    value, gradient = sigmoid_network.value_and_grad(theta, X, Y, **out)
    return value, [*((0 * dW, 0 * db) for dW, db in gradient[:-1]), gradient[-1]]


def a_tenth(theta, X, Y, **out):
    value, gradient = sigmoid_network.value_and_grad(theta, X, Y, **out)
    return value, [(dW / 10, db / 10) for dW, db in gradient]


@pytest.mark.usefixtures("small_claims")
@pytest.mark.parametrize(
    ("method", "good"),
    [
        pytest.param(uphill, False, marks=pytest.mark.nightly),
        (last_layer_alone, True),
        pytest.param(a_tenth, False, marks=pytest.mark.nightly),
    ],
)
def test_mediocre_training_finds_no_good_weights(method, good):
    """With 13,334 random hidden units, and with 400, training the last layer alone is good."""
    found = c18.measure(AT_ONCE, backprop=method).findings
    assert not found[3].holds
    assert found[4].holds is good


def test_a_million_weights_are_a_million():
    n_0, n_1, k = c24.SIZES
    assert (n_0 + 1) * n_1 + (n_1 + 1) * k >= c24.MILLION == 10**6


def test_the_hessian_product_is_that_of_the_gradients_slope():
    """Two calls along v and u agree in v H u = u H v, as a symmetric matrix does."""
    task = c18._digits(SMALL)
    x, y = task.X[:8], task.Y[:8]
    generator = np.random.default_rng(0)
    u, v = generator.normal(size=(2, c18._vector(task.start).size))
    left = v @ c18._hessian_times(task.start, u, x, y)
    right = u @ c18._hessian_times(task.start, v, x, y)
    assert left == pytest.approx(right, rel=1e-5)


def test_vectors_are_cut_into_the_shapes_they_came_from():
    pairs = [(np.arange(6.0).reshape(2, 3), np.array([6.0, 7.0]))]
    (again,) = c18._pairs(c18._vector(pairs), pairs)
    assert np.array_equal(again[0], pairs[0][0])
    assert np.array_equal(again[1], pairs[0][1])
