"""Architectures and problems: frozen, validated at the edge, named coordinates."""

import copy
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from some import some

from gradcheck.problem import (
    DTYPES,
    LOSSES,
    REDUCTIONS,
    Architecture,
    Problem,
    dtype_name,
    gradient_as_dict,
)
from gradcheck.pytree import structure_of

SIZES = (3, 4, 2)
SHAPES = {"W1": (4, 3), "b1": (4,), "W2": (2, 4), "b2": (2,), "inputs": (5, 3), "targets": (5, 2)}


def arrays(dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    made = {name: rng.uniform(0, 1, shape) for name, shape in SHAPES.items()}
    return {name: array.astype(DTYPES[dtype]) for name, array in made.items()}


def problem_of(given, architecture=None):
    weights, biases = (given["W1"], given["W2"]), (given["b1"], given["b2"])
    architecture = architecture or Architecture(SIZES)
    return Problem(architecture, weights, biases, given["inputs"], given["targets"])


# --- architectures ------------------------------------------------------------------------------


def test_an_architecture_counts_its_parameters():
    network = Architecture((20, 30, 10, 1), "quadratic", "sum")
    assert network.depth == 3
    assert network.shapes == ((30, 20), (10, 30), (1, 10))
    assert (network.n_weights, network.n_biases, network.n_parameters) == (910, 41, 951)
    assert network.weight_names == ("W1", "W2", "W3")
    assert network.bias_names == ("b1", "b2", "b3")


def test_architectures_are_values():
    assert Architecture([3, np.int64(1)]) == Architecture((3, 1))
    assert hash(Architecture([3, 1])) == hash(Architecture((3, 1)))
    assert Architecture((3, 1)) != Architecture((3, 1), "quadratic")
    with pytest.raises(FrozenInstanceError):
        Architecture((3, 1)).loss = "quadratic"
    assert str(Architecture((3, 1))) == "3-1 cross_entropy mean"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (((),), ValueError, r"sizes=\(\) has 0 entr.*at least 2"),
        (((3,),), ValueError, r"sizes=\(3,\) has 1 entry; at least 2"),
        (((3, 0, 1),), ValueError, r"sizes\[1\]=0; a layer has at least 1 unit"),
        (((-1, 2),), ValueError, r"sizes\[0\]=-1"),
        ((3,), TypeError, r"sizes=3; it must be a sequence of whole numbers"),
        (((3, 1.0),), TypeError, r"sizes=\(3, 1.0\)"),
        (((True, 1),), TypeError, r"sizes=\(True, 1\)"),
        (("31",), TypeError, r"sizes='31'"),
        (((3, 1), "hinge"), ValueError, r"loss='hinge'; it must be one of cross_entropy, quad"),
        (((3, 1), None), TypeError, r"loss=None; it must be one of"),
        (((3, 1), "quadratic", "max"), ValueError, r"reduction='max'; it must be one of mean, sum"),
    ],
)
def test_a_bad_architecture_is_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=message):
        Architecture(*arguments)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_every_named_loss_and_reduction_is_taken(loss, reduction):
    network = Architecture((1, 1), loss, reduction)
    assert (network.loss, network.reduction) == (loss, reduction)


# --- problems -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_problem_keeps_its_numbers_and_its_dtype(dtype):
    given = arrays(dtype)
    problem = problem_of(given)
    assert problem.dtype == DTYPES[dtype]
    assert dtype_name(problem.dtype) == dtype
    assert problem.batch == 5
    assert (problem.inputs == given["inputs"]).all()
    assert all((problem.parameters[name] == given[name]).all() for name in ("W1", "b1", "W2", "b2"))


def test_what_the_caller_writes_later_does_not_reach_the_problem():
    given = arrays()
    problem, before = problem_of(given), problem_of(arrays())
    for array in given.values():
        array[...] = 0.25
    assert problem == before


def test_nor_through_a_read_only_view():
    given = arrays()
    base = given["W1"]
    given["W1"] = base.view()
    given["W1"].flags.writeable = False
    problem = problem_of(given)
    base[...] = 7
    assert problem == problem_of(arrays())


def test_arrays_nobody_can_write_to_are_shared():
    first = problem_of(arrays())
    second = Problem(first.architecture, first.weights, first.biases, first.inputs, first.targets)
    assert second.weights[0] is first.weights[0]


def test_arrays_are_read_only_and_contiguous():
    given = arrays()
    given["W1"] = np.asfortranarray(given["W1"])
    given["inputs"] = np.repeat(given["inputs"], 2, axis=0)[::2]
    problem = problem_of(given)
    for array in (*problem.parameters.values(), problem.inputs, problem.targets):
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(FrozenInstanceError):
        problem.inputs = given["inputs"]


def damaged(name, damage):
    given = arrays()
    given[name] = damage(given[name])
    return given


def with_entry(value):
    def damage(array):
        array.flat[-1] = value
        return array

    return damage


@pytest.mark.parametrize(
    ("name", "damage", "error", "message"),
    [
        ("W2", lambda W: W.T, ValueError, r"weights\[1\] has shape \(4, 2\); it must be \(2, 4\)"),
        ("b1", lambda b: b[:, None], ValueError, r"biases\[0\] has shape \(4, 1\); .*\(4,\)"),
        ("inputs", lambda X: X[:, :2], ValueError, r"inputs has shape \(5, 2\); .*\(m, 3\) with m"),
        ("inputs", lambda X: X[0], ValueError, r"inputs has shape \(3,\)"),
        ("inputs", lambda X: X[:0], ValueError, r"inputs has shape \(0, 3\).*m >= 1"),
        ("targets", lambda Y: Y[:4], ValueError, r"targets has shape \(4, 2\); .*\(5, 2\)"),
        ("targets", with_entry(1.25), ValueError, r"targets has values .*1.25\]; .*\[0, 1\]"),
        ("targets", with_entry(-1e-300), ValueError, r"targets has values .*must be in \[0, 1\]"),
        ("targets", with_entry(np.nan), ValueError, r"targets holds NaN or infinity"),
        ("W1", with_entry(np.nan), ValueError, r"weights\[0\] holds NaN or infinity"),
        ("b2", with_entry(-np.inf), ValueError, r"biases\[1\] holds NaN or infinity"),
        ("inputs", with_entry(np.inf), ValueError, r"inputs holds NaN or infinity"),
        ("W1", np.float32, TypeError, r"weights\[0\] has dtype float32; inputs has float64"),
        ("inputs", np.float32, TypeError, r"targets has dtype float64; inputs has float32"),
        ("b1", lambda b: b.astype(int), TypeError, r"biases\[0\] has dtype int64; .*float64, flo"),
        ("W2", lambda W: W + 0j, TypeError, r"weights\[1\] has dtype complex128; .*longdouble"),
        ("W2", lambda W: W.astype(">f8"), TypeError, r"weights\[1\] has dtype >f8"),
        ("W2", lambda _: [[1.0], [1.0, 2.0]], ValueError, r"weights\[1\] is not an array"),
        ("inputs", lambda _: None, TypeError, r"inputs has dtype object"),
    ],
)
def test_a_bad_array_is_refused_by_name(name, damage, error, message):
    with pytest.raises(error, match=message):
        problem_of(damaged(name, damage))


def test_a_wrong_number_of_layers_is_refused():
    given = arrays()
    rest = ((given["b1"], given["b2"]), given["inputs"], given["targets"])
    with pytest.raises(ValueError, match="weights has 1 arrays; there are 2 layers"):
        Problem(Architecture(SIZES), (given["W1"],), *rest)
    with pytest.raises(TypeError, match="weights is a NoneType; a sequence is needed"):
        Problem(Architecture(SIZES), None, *rest)
    with pytest.raises(TypeError, match=r"architecture=\(3, 4, 2\); an Architecture is needed"):
        problem_of(given, architecture=SIZES)


def test_coordinates_are_named_by_layer_row_and_column():
    structure = structure_of(problem_of(arrays()).parameters)
    assert [leaf.name for leaf in structure.leaves] == ["W1", "b1", "W2", "b2"]
    names = [structure.name(coordinate) for coordinate in range(structure.size)]
    assert names[:4] == ["W1[0,0]", "W1[0,1]", "W1[0,2]", "W1[1,0]"]
    assert names[12] == "b1[0]"
    assert names[-3:] == ["W2[1,3]", "b2[0]", "b2[1]"]
    assert structure.size == Architecture(SIZES).n_parameters


def test_with_parameters_replaces_the_parameters_and_nothing_else():
    problem = problem_of(arrays())
    parameters = {name: array + 1 for name, array in problem.parameters.items()}
    moved = problem.with_parameters(parameters)
    assert isinstance(moved, Problem)
    assert all(moved.parameters[name] is parameters[name] for name in some(parameters))
    assert moved.inputs is problem.inputs
    assert moved.targets is problem.targets
    assert moved.architecture is problem.architecture
    assert moved != problem
    assert problem == problem_of(arrays())
    with pytest.raises(KeyError, match="W2"):
        problem.with_parameters({"W1": parameters["W1"]})


def test_with_parameters_holds_the_arrays_it_was_given():
    problem = problem_of(arrays())
    parameters = {name: array.copy() for name, array in problem.parameters.items()}
    moved = problem.with_parameters(parameters)
    parameters["W2"][1, 3] += 0.5
    assert moved.weights[1][1, 3] == problem.weights[1][1, 3] + 0.5


def test_astype_rounds_every_number():
    problem = problem_of(arrays())
    narrow = problem.astype("float32")
    assert narrow.dtype == np.float32
    assert (narrow.weights[1] == problem.weights[1].astype(np.float32)).all()
    assert narrow.astype("float64").astype("float32") == narrow
    assert problem.astype(np.longdouble).astype("float64") == problem
    assert narrow != problem


def test_astype_refuses_what_cannot_be_held():
    large = problem_of(damaged("W1", with_entry(1e6)))
    with pytest.raises(ValueError, match=r"weights\[0\] holds NaN or infinity"):
        large.astype("float16")
    with pytest.raises(TypeError, match="dtype int64"):
        large.astype(np.int64)


@pytest.mark.parametrize("name", SHAPES)
def test_problems_differ_in_any_one_number(name):
    nearby = arrays()
    nearby[name].flat[-1] = np.nextafter(nearby[name].flat[-1], 0)
    assert problem_of(arrays()) == problem_of(arrays())
    assert problem_of(nearby) != problem_of(arrays())


def test_problems_differ_in_architecture_and_from_everything_else():
    other_loss = Architecture(SIZES, "quadratic")
    assert problem_of(arrays(), other_loss) != problem_of(arrays())
    assert problem_of(arrays()) != "a problem"


def test_zeros_of_both_signs_are_equal_numbers():
    plus = problem_of(damaged("W1", with_entry(0.0)))
    minus = problem_of(damaged("W1", with_entry(-0.0)))
    assert plus == minus
    assert np.signbit(minus.weights[0].flat[-1])


def test_a_problem_cannot_be_hashed():
    with pytest.raises(TypeError, match="unhashable"):
        hash(problem_of(arrays()))


@pytest.mark.parametrize("send", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy])  # noqa: S301  the bytes are this test's own
def test_a_copy_in_another_process_is_equal_and_read_only(send):
    problem = problem_of(arrays())
    arrived = send(problem)
    assert arrived == problem
    assert not arrived.inputs.flags.writeable


def test_repr_is_short():
    assert repr(problem_of(arrays())) == "<Problem 3-4-2 cross_entropy mean m=5 float64>"


# --- gradients ----------------------------------------------------------------------------------


def test_a_gradient_is_named_like_the_parameters():
    problem = problem_of(arrays())
    gradient = list(zip(problem.weights, problem.biases, strict=True))
    named = gradient_as_dict(gradient, problem.architecture)
    assert list(named) == list(problem.parameters)
    assert all(named[name] is array for name, array in problem.parameters.items())
    assert list(gradient_as_dict(gradient)) == list(named)


@pytest.mark.parametrize(
    ("gradient", "error", "message"),
    [
        ([], ValueError, "gradient has 0 layers; it must have 2"),
        ([(1, 2)], ValueError, "gradient has 1 layers; it must have 2"),
        ([(1, 2)] * 3, ValueError, "gradient has 3 layers; it must have 2"),
        ([(1, 2), (1, 2, 3)], ValueError, r"gradient\[1\] has 3 entries; it must be \(dW, db\)"),
        ([(1, 2), 3.0], TypeError, r"gradient\[1\] is a float; it must be a pair"),
        ({"W1": 1, "b1": 2}, TypeError, "gradient is a dict; it must be a list of pairs"),
        ("Wb", TypeError, "gradient is a str"),
        (None, TypeError, "gradient is a NoneType"),
    ],
)
def test_a_malformed_gradient_is_refused(gradient, error, message):
    with pytest.raises(error, match=message):
        gradient_as_dict(gradient, Architecture(SIZES))


def test_an_empty_gradient_is_refused_without_an_architecture_too():
    with pytest.raises(ValueError, match="gradient has 0 layers"):
        gradient_as_dict([])


def test_dtypes_without_a_name_are_refused():
    with pytest.raises(TypeError, match="dtype int32; it must be one of float64"):
        dtype_name(np.dtype(np.int32))
