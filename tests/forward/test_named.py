"""The loss of an engine is named where it is another one, and never where it is the one meant."""

import random

import numpy as np
import pytest
from other_losses import NAMELESS, OTHER_LOSSES, consistent, sigmoid
from some import some

from gradcheck.engines.base import EngineInfo, Unsupported, engine_from_callable
from gradcheck.engines.registry import find
from gradcheck.forward.named import named_loss
from gradcheck.forward.networks import Network, last
from gradcheck.forward.probes import single
from gradcheck.forward.search import UNKNOWN
from gradcheck.problems.case import Case, largest_preactivation, sample_cases

REFERENCE = find("reference")

ACTIVE = [
    ("clipped", 40),
    ("clipped finely", 40),
    ("clipped oddly", 20),
    ("epsilon", 30),
    ("cut off", 20),
]
"""What shows in the losses of saturated outputs alone, and where."""

PLAIN = [
    pytest.param(name, loss, id=f"{name}, {loss}")
    for name, (_, losses, _, _) in OTHER_LOSSES.items()
    for loss in losses
    if name not in dict(ACTIVE)
]


def problem(loss="cross_entropy", sizes=(3, 4, 2), **recipe):
    return Case(**{"sizes": sizes, "batch": 5, "targets": "soft", "loss": loss} | recipe).problem()


def planted(name):
    return consistent(name, **OTHER_LOSSES[name][0])


@pytest.mark.by_day(3)
@pytest.mark.parametrize(("name", "loss"), PLAIN)
def test_another_loss_is_named(name, loss):
    named = named_loss(planted(name), problem(loss))
    assert (named.says, named.kind) == OTHER_LOSSES[name][2:]


@pytest.mark.by_day(3)  # of five and two: each name once, and both signs
@pytest.mark.parametrize(("name", "z"), ACTIVE)
@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_done_to_probabilities_is_named_where_it_is_done(name, z, sign):
    named = named_loss(planted(name), single(float(sign * z), "mean", "float64"))
    assert (named.says, named.kind) == OTHER_LOSSES[name][2:]


@pytest.mark.parametrize("name", ["clipped", "clipped finely"])
def test_a_clip_that_clips_nothing_leaves_the_loss_that_is_meant(name):
    assert named_loss(planted(name), problem()) is None


@pytest.mark.by_day(2)
@pytest.mark.parametrize(
    ("name", "loss"), [(name, loss) for name, (_, losses) in NAMELESS.items() for loss in losses]
)
def test_a_loss_without_a_name_gets_none(name, loss):
    named = named_loss(consistent(name, **NAMELESS[name][0]), problem(loss))
    assert (named.says, named.kind) == ("", UNKNOWN)
    assert " is meant" in named.told


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sum", "the loss is m times the one that is meant"),
        ("mean twice", "the loss is a mean where a sum is meant: it is 1/m times the one that is "
         "meant"),
        ("over outputs", "the loss is divided by n_L"),
    ],
)  # fmt: skip
def test_a_factor_is_told_beside_the_sum_that_is_meant(name, says):
    assert named_loss(planted(name), problem(reduction="sum")).says == says


@pytest.mark.by_day(2)
@pytest.mark.parametrize("name", ["relu", "doubled", "clipped", "softmax cross-entropy", "l2"])
def test_a_loss_in_float32_is_named(name):
    engine = planted(name)
    engine.info = EngineInfo("single", "1", ("float32",), ("cross_entropy",), ("mean",))
    right = engine.loss
    engine.loss = lambda problem: float(np.float32(right(problem)))
    where = single(40.0, "mean", "float32") if name == "clipped" else problem(dtype="float32")
    assert named_loss(engine, where).says == OTHER_LOSSES[name][2]


# --- engines that take little ---------------------------------------------------------------------


def limited(name, **limits):
    engine = planted(name)
    info = engine.info
    engine.info = EngineInfo(
        info.name, "1", ("float64",), ("cross_entropy",), ("mean",), limits=limits
    )
    return engine


@pytest.mark.by_day(2)
@pytest.mark.parametrize("name", ["doubled", "no bias", "l2", "sum", "swapped"])
def test_one_layer_is_enough_for_a_name(name):
    engine = limited(name, max_depth=1, max_outputs=1)
    assert named_loss(engine, problem(sizes=(3, 1))).says == OTHER_LOSSES[name][2]


def test_limits_are_kept():
    engine, seen = limited("relu", max_depth=2, max_width=4, max_batch=6, targets="soft"), []
    loss = engine.loss
    engine.loss = lambda problem: seen.append(problem) or loss(problem)
    assert named_loss(engine, problem()).says == "hidden layers look like relu"
    assert all(p.architecture.depth <= 2 and max(p.architecture.sizes) <= 4 for p in some(seen))
    assert all(p.batch <= 6 for p in some(seen))


def test_limits_of_size_are_kept():
    engine, seen = limited("doubled", max_preactivation=3.0, max_weight_scale=1.0), []
    loss = engine.loss
    engine.loss = lambda problem: seen.append(problem) or loss(problem)
    assert named_loss(engine, problem()).says == "the loss is 2 times the one that is meant"
    assert len(seen) > 3
    assert all(largest_preactivation(p) <= 3 for p in seen)


def test_an_engine_that_refuses_every_other_problem_has_no_name_but_numbers():
    engine = planted("relu")
    loss = engine.loss

    def only_here(asked):
        if asked.architecture.sizes != (2, 3, 2) or asked.batch != 4:
            raise Unsupported("another network")
        return loss(asked)

    engine.loss = only_here
    named = named_loss(engine, problem(sizes=(2, 3, 2), batch=4))
    assert named.says in ("", "hidden layers look like relu")
    assert not named.says or named.kind == "network"


def test_an_engine_that_raises_elsewhere_is_unknown():
    engine = planted("relu")
    here, loss = problem(), engine.loss

    def only_here(asked):
        if asked is not here:
            raise ZeroDivisionError
        return loss(asked)

    engine.loss = only_here
    named = named_loss(engine, here)
    assert (named.says, named.kind, named.is_here) == ("", UNKNOWN, True)


# --- losses that are the one that is meant --------------------------------------------------------


def logs(problem):
    """Every course's loss, infinite or NaN where a rounds to 0 or 1."""
    network, a = problem.architecture, problem.inputs
    with np.errstate(all="ignore"):
        for W, b in zip(problem.weights, problem.biases, strict=True):
            a = sigmoid(a @ W.T + b)
        y = problem.targets
        if network.loss == "quadratic":
            value = np.sum((a - y) ** 2) / 2
        else:
            value = np.sum(-y * np.log(a) - (1 - y) * np.log(1 - a))
    return float(value / (problem.batch if network.reduction == "mean" else 1))


def textbook(problem):
    return logs(problem), REFERENCE.value_and_grad(problem)[1]


def in_any_order(problem):
    """The mean of the losses of single examples, in an order that changes."""
    network, order = problem.architecture, random.sample(range(problem.batch), problem.batch)
    one = [
        type(problem)(
            network,
            problem.weights,
            problem.biases,
            problem.inputs[i : i + 1],
            problem.targets[i : i + 1],
        )
        for i in order
    ]
    value = sum(map(logs, one)) / (problem.batch if network.reduction == "mean" else 1)
    return value, REFERENCE.value_and_grad(problem)[1]


RIGHT = {"reference": REFERENCE} | {
    f.__name__: engine_from_callable(f, f.__name__) for f in (textbook, in_any_order)
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("count", [30, pytest.param(80, marks=pytest.mark.nightly)])
def test_a_right_loss_gets_no_name(name, count):
    cases = list(sample_cases(count, 7, max_parameters=200))
    assert [case.token for case in cases if named_loss(RIGHT[name], case.problem())] == []


def test_an_engine_without_a_loss_gets_no_name():
    def gradient_alone(problem):
        return None, REFERENCE.value_and_grad(problem)[1]

    assert named_loss(engine_from_callable(gradient_alone, "alone"), problem()) is None


def test_square_weight_matrices_are_transposed_and_no_others():
    problem = Case(sizes=(3, 3, 2), batch=4).problem()
    first, _ = problem.weights
    turned = problem.with_parameters(problem.parameters | {"W1": first.T.copy()})
    z, meant = (last(problem, Network(weights="transposed"), 0.0), last(turned, Network(), 0.0))
    assert np.array_equal(z[0], meant[0])
    assert Network(weights="transposed").says == ["square weight matrices are transposed"]
