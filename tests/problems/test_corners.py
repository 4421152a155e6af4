"""The corners are what their names say, exactly."""

import numpy as np
import pytest
from some import some

from gradcheck.problem import DTYPES
from gradcheck.problems.case import Case
from gradcheck.problems.corners import (
    CORNERS,
    LEAST_BATCH,
    LEAST_OUTPUTS,
    REQUIRED_TARGETS,
    TARGETS,
)

NETWORKS = [(1, 1), (4, 1), (3, 4, 1), (5, 7, 6, 3), (2, 1, 9, 1, 2), (3,) * 9, (30, 200, 2)]
SCALES = [0.1, 1.0, 300.0]


def case_of(corner, sizes, **fields):
    fields = {"batch": 6, "targets": REQUIRED_TARGETS.get(corner, "binary")} | fields
    return Case(sizes=sizes, corner=corner, **fields)


def preactivations(problem):
    """Return z_1..z_L; sigmoid by tanh, good enough away from the verdicts."""
    a, all_z = problem.inputs, []
    for W, b in zip(problem.weights, problem.biases, strict=True):
        z = a @ W.T + b
        all_z.append(z)
        a = 0.5 * (1 + np.tanh(z / 2))
    return all_z


def every_array(problem):
    return (*problem.weights, *problem.biases, problem.inputs, problem.targets)


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("sizes", NETWORKS, ids=str)
def test_every_dtype_holds_the_same_numbers(corner, sizes):
    wide = case_of(corner, sizes, weight_scale=3.0).problem()
    for dtype in ("float32", "longdouble"):
        other = case_of(corner, sizes, weight_scale=3.0, dtype=dtype).problem()
        assert other.dtype == DTYPES[dtype]
        assert all(map(np.array_equal, every_array(wide), every_array(other)))
    narrow = case_of(corner, sizes, weight_scale=3.0, dtype="float16").problem()
    assert narrow == wide.astype("float16")


@pytest.mark.parametrize("sizes", NETWORKS, ids=str)
def test_zero_weights_are_all_zero(sizes):
    problem = case_of("zero_weights", sizes).problem()
    assert not any(array.any() for array in some(problem.parameters.values()))
    assert problem.inputs.all()


@pytest.mark.parametrize("sizes", NETWORKS, ids=str)
def test_a_zero_last_layer_leaves_the_others_if_there_are_any(sizes):
    problem = case_of("zero_last_layer", sizes).problem()
    assert not problem.weights[-1].any()
    assert not problem.biases[-1].any()
    assert [W.all() for W in problem.weights] == [True] * (len(sizes) - 2) + [False]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("sizes", NETWORKS, ids=str)
@pytest.mark.parametrize("batch", [1, 2, 6])
def test_zero_preactivations_are_exactly_zero_in_every_layer(dtype, sizes, batch):
    case = case_of("zero_preactivations", sizes, dtype=dtype, batch=batch, seed=2)
    problem = case.problem()
    for z in some(preactivations(problem)):
        assert not z.any()
        assert not np.signbit(z).any()
    for W, b in zip(problem.weights, problem.biases, strict=True):
        assert W.any()
        assert (np.abs(W) <= 3).all()
        assert (np.rint(W) == W).all()
        assert (2 * b == np.rint(2 * b)).all()


def test_zero_preactivations_have_features_that_vary():
    problem = case_of("zero_preactivations", (5, 7, 1), batch=20).problem()
    varies = problem.inputs.std(axis=0) > 0
    assert varies.tolist() == [False, False, False, True, True]
    assert not problem.weights[0][:, varies].any()
    assert problem.weights[0][:, ~varies].any()


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("sizes", NETWORKS, ids=str)
def test_stationary_outputs_equal_their_targets(loss, sizes):
    problem = case_of("stationary", sizes, loss=loss).problem()
    assert not preactivations(problem)[-1].any()
    assert (problem.targets == 0.5).all()


@pytest.mark.parametrize(("corner", "value"), [("constant_feature", 1), ("zero_feature", 0)])
@pytest.mark.parametrize("sizes", NETWORKS, ids=str)
def test_one_feature_is_constant(corner, value, sizes):
    inputs = case_of(corner, sizes).problem().inputs
    assert (inputs == value).all(axis=0).sum() == 1


def test_the_constant_feature_moves_with_the_seed():
    places = {
        int((case_of("zero_feature", (4, 1), seed=s).problem().inputs == 0).all(axis=0).argmax())
        for s in range(50)
    }
    assert places == {0, 1, 2, 3}


@pytest.mark.parametrize("batch", [2, 3, 8, 9])
def test_duplicated_examples_repeat_inputs_and_targets(batch):
    case = case_of("duplicated_examples", (4, 3), batch=batch, targets="soft")
    problem = case.problem()
    distinct = (batch + 1) // 2
    again = np.arange(batch - distinct)
    assert (problem.inputs[distinct:] == problem.inputs[again]).all()
    assert (problem.targets[distinct:] == problem.targets[again]).all()
    assert len(np.unique(problem.inputs, axis=0)) == distinct


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("sizes", NETWORKS, ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_saturated_units_lie_far_out(scale, sizes, seed):
    problem = case_of("saturated", sizes, weight_scale=scale, seed=seed).problem()
    # |z| = |bias + w.a| with |bias| in [30, 80) and w.a of standard deviation about 1 for
    # generic inputs: six of them on either side.
    first = np.abs(preactivations(problem)[0][:, 0])
    assert first.min() > 30 - 6 * np.sqrt(2)
    assert first.max() < 80 + 6 * np.sqrt(2)


def test_saturated_networks_keep_units_that_are_not():
    far = np.concatenate(
        [
            np.abs(z).min(axis=0) > 20
            for seed in range(20)
            for z in preactivations(case_of("saturated", (5, 6, 4, 2), seed=seed).problem())
        ]
    )
    assert 0.4 < far.mean() < 0.7


@pytest.mark.parametrize("scale", SCALES)
def test_generic_numbers_have_the_scale_they_name(scale):
    problem = case_of("generic", (50, 60, 40), weight_scale=scale, batch=64).problem()
    for W, b in zip(problem.weights, problem.biases, strict=True):
        n = W.size
        assert abs(W.std() * np.sqrt(W.shape[1]) / scale - 1) <= 5 / np.sqrt(2 * n)
        assert abs(4 * b.std() / scale - 1) <= 5 / np.sqrt(2 * b.size)
        assert len(np.unique(W)) > 0.9 * n
    assert abs(problem.inputs.std() - 1) <= 5 / np.sqrt(2 * problem.inputs.size)


def test_one_array_does_not_move_another():
    large = case_of("generic", (3, 8, 5, 2), batch=7, seed=4).problem()
    small = case_of("generic", (3, 8, 2), batch=7, seed=4).problem()
    assert (large.weights[0] == small.weights[0]).all()
    assert (large.biases[0] == small.biases[0]).all()
    assert (large.inputs == small.inputs).all()
    assert (large.targets == small.targets).all()
    fewer = case_of("generic", (3, 8, 5, 2), batch=3, seed=4).problem()
    assert all(map(np.array_equal, fewer.weights, large.weights))
    assert (fewer.inputs == large.inputs[:3]).all()


@pytest.mark.parametrize("targets", TARGETS)
def test_targets_are_what_they_are_called(targets):
    Y = case_of("generic", (2, 4), batch=50, targets=targets).problem().targets
    values = set(Y.ravel().tolist())
    expected = {"zeros": {0.0}, "ones": {1.0}, "half": {0.5}}.get(targets, {0.0, 1.0})
    if targets == "soft":
        assert 0 < Y.min() < 0.1
        assert 0.9 < Y.max() < 1
        assert len(values) > 100
    else:
        assert values == expected
    if targets == "one_hot":
        assert (Y.sum(axis=1) == 1).all()
        assert (Y.sum(axis=0) > 0).all()


def test_the_tables_of_conditions_name_what_exists():
    assert set(LEAST_BATCH) | set(REQUIRED_TARGETS) <= set(CORNERS)
    assert set(LEAST_OUTPUTS) | set(REQUIRED_TARGETS.values()) <= set(TARGETS)
