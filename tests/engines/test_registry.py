"""Engines are found by registered name or by where they are in Python."""

import importlib.metadata
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from gradcheck.engines import registry
from gradcheck.engines.base import (
    Engine,
    EngineInfo,
    MalformedAnswerError,
    Unsupported,
    engine_from_callable,
)
from gradcheck.engines.registry import EngineNotFoundError, find, names
from gradcheck.problem import Architecture, Problem

PROBLEM = Problem(
    Architecture((2, 1)),
    (np.array([[0.5, -0.25]]),),
    (np.array([0.125]),),
    np.array([[1.0, 2.0]]),
    np.array([[1.0]]),
)
ANSWER = (0.25, [(np.ones((1, 2)), np.ones(1))])

SOURCE = """
import numpy as np
from gradcheck.engines.base import EngineInfo

def bare(problem):
    return 0.25, [(np.ones((1, 2)), np.ones(1))]

class Full:
    info = EngineInfo("full", "3", ("float64",), ("quadratic",), ("sum",))
    def loss(self, problem): return 0.25
    def value_and_grad(self, problem): return bare(problem)
    def close(self): pass

instance = Full()

class Box:
    bare = staticmethod(bare)

def factory(): return Full()
def with_options(size=3, *more, **rest): return Full()
def broken(): raise OSError("no device")
def nothing(): return None
number = 3
"""


@pytest.fixture(autouse=True)
def someones_module(tmp_path, monkeypatch):
    """A module `someones` with engines of every kind, and two that cannot be imported."""
    (tmp_path / "someones.py").write_text(SOURCE, "utf-8")
    (tmp_path / "needy.py").write_text("import a_library_that_is_not_there", "utf-8")
    (tmp_path / "crashing.py").write_text("raise RuntimeError('no licence')", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("someones", "needy", "crashing"):
        sys.modules.pop(name, None)


@pytest.fixture
def register(monkeypatch):
    """Make the installed distributions register these engines, and no others."""

    def registered(*entries):
        def entry_points(*, group):
            assert group == "gradcheck.engines"
            return [importlib.metadata.EntryPoint(n, value, group) for n, value in entries]

        monkeypatch.setattr(registry, "entry_points", entry_points)

    return registered


# --- finding ------------------------------------------------------------------------------------


def test_the_built_in_engines_are_those_the_distribution_registers():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert tomllib.loads(text)["project"]["entry-points"][registry.GROUP] == registry.BUILT_IN


@pytest.mark.parametrize("name", ["reference", "chain-rule"])
def test_built_in_engines_are_found_without_any_installed_distribution(name, register):
    register()
    assert names() == sorted(registry.BUILT_IN)
    assert find(name).info.name == name


def test_what_is_installed_is_read_once(monkeypatch):
    read = []

    def entry_points(*, group):
        read.append(group)
        return importlib.metadata.EntryPoints()

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    registry.entry_points.cache_clear()
    assert find("reference").info == find("reference").info
    registry.entry_points.cache_clear()
    assert read == ["gradcheck.engines"]


def test_an_installed_engine_is_found_by_its_name(register):
    register(("someones", "someones:Full"), ("reference", registry.BUILT_IN["reference"]))
    assert names() == sorted([*registry.BUILT_IN, "someones"])
    assert find("someones").info.name == "full"
    assert find("reference").info.name == "reference"


@pytest.mark.parametrize("attribute", ["Full", "instance", "factory", "with_options"])
def test_an_engine_is_found_as_class_instance_or_factory(attribute):
    engine = find(f"py:someones:{attribute}")
    assert isinstance(engine, Engine)
    assert engine.info.version == "3"
    assert engine.loss(PROBLEM) == 0.25


@pytest.mark.parametrize("attribute", ["bare", "Box.bare"])
def test_a_bare_callable_becomes_an_engine(attribute):
    engine = find(f"py:someones:{attribute}")
    assert engine.info.name == f"py:someones:{attribute}"
    value, ((dW, db),) = engine.value_and_grad(PROBLEM)
    assert (value, dW.shape, db.shape) == (0.25, (1, 2), (1,))
    assert engine.loss(PROBLEM) == 0.25


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("refrence", r"'refrence' \(did you mean 'reference'\?\); registered are autograd, "),
        ("zzz", r"'zzz'; registered are autograd, .*torch-textbook, and an engine of your own"),
        ("", "no engine is registered as ''"),
        ("py:someones", "must have the form py:package.module:attribute"),
        ("py::bare", "must have the form py:package.module:attribute"),
        ("py:someones:", "must have the form py:package.module:attribute"),
        ("py:someones:missing", "someones has no 'missing'"),
        ("py:someones:Box.missing", r"someones has no 'Box\.missing'"),
        ("py:someones:number", "is 3, neither engine nor callable"),
        ("py:someones:nothing", "calling it without arguments gave None, which lacks"),
        ("py:someones:broken", "making it failed: OSError: no device"),
        ("py:nowhere_at_all:x", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("py:needy:x", "importing needy failed: .*'a_library_that_is_not_there'"),
        ("py:crashing:x", "importing crashing failed: RuntimeError: no licence"),
    ],
)
def test_what_cannot_be_found_is_told(spec, told, register):
    register()
    with pytest.raises(EngineNotFoundError, match=told):
        find(spec)


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ("py:needy:x", ModuleNotFoundError),
        ("py:crashing:x", RuntimeError),
        ("py:someones:broken", OSError),
    ],
)
def test_the_cause_is_chained(spec, cause):
    with pytest.raises(EngineNotFoundError) as raised:
        find(spec)
    assert isinstance(raised.value.__cause__, cause)


def test_a_name_registered_twice_is_not_guessed_at(register):
    register(("reference", "someones:Full"))
    told = "'reference' is registered more than once.*py:gradcheck.*py:someones:Full"
    with pytest.raises(EngineNotFoundError, match=told):
        find("reference")


def test_a_broken_installed_engine_does_not_hide_the_others(register):
    register(("needy", "needy:x"))
    assert find("reference").info.name == "reference"
    with pytest.raises(EngineNotFoundError, match="engine 'needy': importing needy failed"):
        find("needy")


def test_a_name_is_text():
    with pytest.raises(TypeError, match="spec must be text, got int"):
        find(3)


# --- engines made of callables -------------------------------------------------------------------


def test_lists_and_numpy_numbers_are_good_answers():
    engine = engine_from_callable(lambda _: [np.float32(0.5), [[[[1.0, 2.0]], [3.0]]]], "lists")
    value, ((dW, db),) = engine.value_and_grad(PROBLEM)
    assert (value, type(value)) == (0.5, float)
    assert (dW.tolist(), db.tolist()) == ([[1.0, 2.0]], [3.0])


def test_arrays_are_handed_on_as_they_are():
    _, ((dW, db),) = engine_from_callable(lambda _: ANSWER, "same").value_and_grad(PROBLEM)
    assert dW is ANSWER[1][0][0]
    assert db is ANSWER[1][0][1]


def test_wrong_shapes_and_numbers_are_left_to_the_check():
    engine = engine_from_callable(lambda _: (np.nan, [(np.ones(7), np.full(1, np.inf))]), "wrong")
    value, ((dW, db),) = engine.value_and_grad(PROBLEM)
    assert np.isnan(value)
    assert dW.shape == (7,)
    assert np.isinf(db).all()


def test_a_callable_may_have_no_loss():
    engine = engine_from_callable(lambda _: (None, ANSWER[1]), "gradient only")
    assert engine.value_and_grad(PROBLEM)[0] is None
    with pytest.raises(Unsupported, match="the engine returns no loss"):
        engine.loss(PROBLEM)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, r"must return a pair \(loss, gradient\), got NoneType None"),
        (0.5, "must return a pair .*, got float 0.5"),
        ((0.5,), "got a tuple of 1"),
        ((0.5, ANSWER[1], 1), "got a tuple of 3"),
        ((1j, ANSWER[1]), "one real number, got complex 1j"),
        ((np.complex128(1), ANSWER[1]), "one real number"),
        (("0.5", ANSWER[1]), "one real number, got str '0.5'"),
        ((np.ones(1), ANSWER[1]), r"one real number, got an array of shape \(1,\)"),
        ((0.5, np.ones((1, 2))), "engine bad: gradient is a ndarray; it must be a list of pairs"),
        ((0.5, []), "engine bad: gradient has 0 layers; it must have 1"),
        ((0.5, [*ANSWER[1], *ANSWER[1]]), "engine bad: gradient has 2 layers; it must have 1"),
        ((0.5, [np.ones((1, 2))]), r"engine bad: gradient\[0\] is a ndarray; it must be a pair"),
        ((0.5, [(1, 2, 3)]), r"engine bad: gradient\[0\] has 3 entries"),
    ],
)
def test_a_malformed_answer_is_told(answer, told):
    engine = engine_from_callable(lambda _: answer, "bad")
    for ask in (engine.value_and_grad, engine.loss):
        with pytest.raises(MalformedAnswerError, match=told):
            ask(PROBLEM)


def test_a_callable_may_say_that_a_problem_is_not_for_it():
    def cautious(problem):
        raise Unsupported("no cross-entropy")

    with pytest.raises(Unsupported, match="no cross-entropy") as raised:
        engine_from_callable(cautious, "cautious").loss(PROBLEM)
    assert raised.value.why == "no cross-entropy"


def test_an_engine_needs_a_callable_and_a_name():
    with pytest.raises(TypeError, match="value_and_grad must be callable, got int 3"):
        engine_from_callable(3, "three")
    with pytest.raises(ValueError, match="name='' must not be empty"):
        engine_from_callable(lambda _: ANSWER, "")
    with pytest.raises(ValueError, match=r"dtypes=\(\) must name at least one: engine e"):
        EngineInfo("e", "1", (), ("quadratic",), ("sum",))
