"""The reference derivations as engines: the same numbers, no shared memory, little overhead."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.engines.base import Engine, Unsupported
from gradcheck.engines.reference import neuron_by_neuron, vectorised
from gradcheck.problem import Architecture, Problem
from gradcheck.studies.cost import time_call
from reference_models import chain_rule, sigmoid_network

ENGINES = [(vectorised, sigmoid_network), (neuron_by_neuron, chain_rule)]

architectures = st.builds(
    Architecture,
    st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple),
    st.sampled_from(["cross_entropy", "quadratic"]),
    st.sampled_from(["mean", "sum"]),
)


def draw(seed, architecture, m=3, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return Problem(
        architecture,
        tuple(rng.normal(size=shape).astype(dtype) for shape in architecture.shapes),
        tuple(rng.normal(size=n).astype(dtype) for n, _ in architecture.shapes),
        rng.normal(size=(m, architecture.sizes[0])).astype(dtype),
        rng.uniform(size=(m, architecture.sizes[-1])).astype(dtype),
    )


def arguments(problem):
    return list(zip(problem.weights, problem.biases, strict=True)), problem.inputs, problem.targets


def flat(gradient):
    return [array for pair in gradient for array in pair]


@pytest.mark.parametrize(("make", "model"), ENGINES)
@given(
    architecture=architectures,
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_an_engine_gives_the_numbers_of_its_model_bit_for_bit(
    make, model, architecture, seed, dtype
):
    engine, problem = make(), draw(seed, architecture, dtype=dtype)
    names = {"cost": architecture.loss, "reduction": architecture.reduction}
    expected_value, expected = model.value_and_grad(*arguments(problem), **names)
    value, gradient = engine.value_and_grad(problem)
    assert value == expected_value == engine.loss(problem)
    assert [g.dtype for g in flat(gradient)] == [dtype] * (2 * architecture.depth)
    assert all(map(np.array_equal, flat(gradient), flat(expected)))
    assert [W.shape for W, _ in gradient] == list(architecture.shapes)


@pytest.mark.parametrize(("make", "model"), ENGINES)
def test_each_is_a_full_engine_and_says_what_it_is(make, model):
    engine = make()
    assert isinstance(engine, Engine)
    assert engine.info.name in {"reference", "chain-rule"}
    assert engine.info.version
    assert type(engine.loss(draw(0, Architecture((2, 1))))) is float
    engine.close()


def test_loss_and_reduction_reach_the_model():
    weights = draw(1, Architecture((3, 2, 2)))
    arrays = (weights.weights, weights.biases, weights.inputs, weights.targets)
    losses = {
        vectorised().loss(Problem(Architecture((3, 2, 2), loss, reduction), *arrays))
        for loss in ("cross_entropy", "quadratic")
        for reduction in ("mean", "sum")
    }
    assert len(losses) == 4


@pytest.mark.parametrize(("make", "model"), ENGINES)
def test_a_later_call_leaves_an_earlier_gradient_alone(make, model):
    engine, architecture = make(), Architecture((3, 2, 1))
    _, first = engine.value_and_grad(draw(1, architecture))
    kept = [g.copy() for g in flat(first)]
    _, second = engine.value_and_grad(draw(2, architecture))
    assert all(map(np.array_equal, flat(first), kept))
    assert not any(map(np.array_equal, flat(first), flat(second)))
    assert not any(map(np.shares_memory, flat(first), flat(second)))


def test_buffers_follow_sizes_batch_and_dtype():
    engine = vectorised()
    problems = [
        draw(seed, Architecture(sizes), m, dtype)
        for seed, (sizes, m, dtype) in enumerate(
            [
                ((3, 2, 1), 4, np.float64),
                ((3, 2, 1), 5, np.float64),
                ((3, 2, 1), 5, np.float32),
                ((2, 3, 1), 5, np.float32),
                ((3, 2, 1), 4, np.float64),
            ]
        )
    ]
    assert [engine.loss(p) for p in problems] == [vectorised().loss(p) for p in problems]


def test_buffers_are_kept_from_call_to_call(monkeypatch):
    made, make = [], sigmoid_network.Workspace
    monkeypatch.setattr(sigmoid_network, "Workspace", lambda *a: made.append(a) or make(*a))
    engine, problem = vectorised(), draw(0, Architecture((3, 2, 1)))
    for w in (0.0, 0.5, 1.0):
        moved = problem.with_parameters({**problem.parameters, "b2": np.array([w])})
        engine.loss(moved)
        engine.value_and_grad(moved)
    assert len(made) == 1
    engine.close()
    engine.loss(problem)
    assert len(made) == 2


def test_moved_parameters_are_seen():
    engine, problem = vectorised(), draw(0, Architecture((3, 2, 1)))
    parameters = {name: array.copy() for name, array in problem.parameters.items()}
    moved = problem.with_parameters(parameters)
    before = engine.loss(moved)
    assert before == engine.loss(problem)
    parameters["W1"][1, 2] += 0.5
    assert engine.loss(moved) != before


def test_many_losses_at_once_are_the_single_ones():
    engine = vectorised()
    for loss in ("cross_entropy", "quadratic"):
        network = Architecture((3, 4, 2), loss, "sum")
        problems = [draw(seed, network) for seed in range(5)]
        first = problems[0]
        stacked = {
            name: np.stack([problem.parameters[name] for problem in problems])
            for name in first.parameters
        }
        alone = [engine.loss(first.with_parameters(problem.parameters)) for problem in problems]
        np.testing.assert_allclose(engine.losses(first, stacked), alone, rtol=2.0**-48)
    extended = draw(0, Architecture((2, 1)), dtype=np.longdouble)
    with pytest.raises(Unsupported, match="float16, float32, float64"):
        engine.losses(extended, {})


@pytest.mark.parametrize(("make", "model"), ENGINES)
def test_a_dtype_whose_losses_a_float_cannot_hold_is_unsupported(make, model):
    problem = draw(0, Architecture((2, 1)), dtype=np.longdouble)
    for ask in (make().loss, make().value_and_grad):
        with pytest.raises(Unsupported, match="float16, float32, float64"):
            ask(problem)


@pytest.mark.nightly
def test_a_forward_pass_through_the_engine_costs_at_most_5_microseconds_more():
    problem = draw(0, Architecture((20, 30, 10, 1)), m=16)
    engine, values = vectorised(), arguments(problem)
    buffers = sigmoid_network.Workspace((20, 30, 10, 1), 16, np.float64)
    through = time_call(lambda: engine.loss(problem), repeats=15)
    bare = time_call(lambda: sigmoid_network.loss(*values, out=buffers), repeats=15)
    assert through.q25 - bare.q25 < 5e-6
