"""Verification from Python: what it returns, and what it refuses."""

import pytest
from in_process import without_curves, without_processes

import gradcheck
from gradcheck.verification import verification

FEW = {"max_parameters": 9, "max_depth": 1, "max_batch": 2, "corners": ("generic",)}


def right(problem):
    return gradcheck.engines.find("reference").value_and_grad(problem)


def wrong(problem):
    value, layers = right(problem)
    return value, [(2 * W, b) for W, b in layers]


@pytest.fixture(autouse=True)
def here(monkeypatch):
    without_processes(monkeypatch)
    without_curves(monkeypatch)


def test_a_right_engine_is_verified():
    found = gradcheck.verify("reference", examples=2, dtype="float64", limits=FEW)
    assert found.is_verified
    assert (found.exit_code, found.summary.state) == (0, "VERIFIED")
    assert found.verdict.startswith("no wrong gradient on ")
    assert "VERIFIED" in str(found)


def test_a_function_of_a_module_is_an_engine_and_a_wrong_one_is_told():
    found = gradcheck.verify(wrong, examples=2, dtype="float64", limits=FEW)
    assert not found.is_verified
    assert found.exit_code == 1
    assert found.summary.engine["spec"].endswith("test_verification:wrong")
    assert "fix first" in str(found)


def test_a_verification_is_no_truth_value():
    found = gradcheck.verify("reference", examples=1, dtype="float64", limits=FEW)
    with pytest.raises(TypeError, match="is_verified"):
        bool(found)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"examples": 0}, "examples=0 must be at least 1"),
        ({"examples": 2, "jobs": 0}, "jobs=0 must be at least 1"),
        ({"engine": lambda problem: None}, "no function or class at the top of a module"),
        ({"engine": right.__get__(1)}, "no function or class at the top of a module"),
    ],
)
def test_what_cannot_be_verified_is_refused(arguments, told):
    with pytest.raises(ValueError, match=told):
        verification.verify(**{"engine": "reference"} | arguments)
