"""What a user writes by hand who knows the network: right where it passes, and it names errors."""

import numpy as np
import pytest

from gradcheck.studies.bench import by_hand, layered_by_hand
from gradcheck.studies.bench.contender import FAIL, NONE, PASS
from gradcheck.studies.bench.contenders import contenders, missing
from gradcheck.studies.bench.subject import Subject
from gradcheck.studies.peers import torch_gradcheck
from gradcheck.studies.peers.base import Planted
from gradcheck.studies.peers.registry import PEERS
from gradcheck.studies.peers.torch_gradcheck import TORCH

needs_torch = pytest.mark.skipif(not TORCH.version, reason="torch is missing")

NETWORKS = ((3, 1), (4, 3, 1), (5, 4, 3, 2), (3, 4, 2, 3, 1))


NUMPY = [one for one in contenders() if one.written_in == "numpy"]
"""Those whose time is told in forward passes of the reference network."""


@pytest.fixture(params=by_hand.NAMES)
def check(request):
    """A check that is written by hand."""
    found = {one.name: one for one in by_hand.contenders()}
    if request.param not in found:
        pytest.skip("torch is missing")
    return found[request.param]


def differences(subject):
    import torch  # noqa: PLC0415 - asked for only where it is installed

    arrays = [torch.tensor(array) for array in subject.problem.parameters.values()]
    layers = list(zip(arrays[::2], arrays[1::2], strict=True))
    data = torch.tensor(subject.problem.inputs), torch.tensor(subject.problem.targets)
    found = layered_by_hand.differences(layers, *data)
    return np.concatenate([part.numpy().ravel() for part in found])


@needs_torch
@pytest.mark.parametrize("sizes", NETWORKS)
def test_layered_differences_are_the_derivatives(sizes):
    subject = Subject(sizes)
    error = np.abs(differences(subject) - subject.gradient(subject.x))
    assert error.max() < layered_by_hand.ALLOWED / 10


@needs_torch
@pytest.mark.parametrize("sizes", NETWORKS)
def test_blocks_change_no_more_than_rounding(sizes, monkeypatch):
    subject = Subject(sizes)
    whole = differences(subject)
    monkeypatch.setattr(layered_by_hand, "BLOCK", 1)
    # one sum of 8 examples a coordinate, each rounded to u = 2^-53 of a loss below 4, over 2h
    np.testing.assert_allclose(
        differences(subject), whole, rtol=0, atol=8 * 4 * 2.0**-53 / layered_by_hand.STEP
    )


def test_a_right_gradient_passes_and_a_wrong_one_is_named(check):
    subject = Subject((5, 4, 1))
    passes = []
    assert check.prepare(subject, passes.append, None)().verdict == PASS
    assert sum(passes) == (0 if check.name == by_hand.LAYERED else 1)
    planted = Planted(subject.median_coordinate, 1e-3)
    found = check.prepare(subject, passes.append, planted)()
    assert (found.verdict, found.named) == (FAIL, subject.median_coordinate)
    assert (check.bound, check.ours) == (NONE, False)


def test_more_digits_see_smaller_errors():
    found = {one.name: one for one in by_hand.contenders()}
    if not found:
        pytest.skip("torch is missing")
    subject = Subject((5, 4, 1))
    planted = Planted(subject.median_coordinate, 1e-9)
    said = {
        name: check.prepare(subject, lambda passes: None, planted)().verdict
        for name, check in found.items()
    }
    assert said == {
        by_hand.BACKPROP: PASS,
        by_hand.BACKPROP_CLOSE: FAIL,
        by_hand.LAYERED: PASS,
    }


def test_whoever_is_not_measured_is_named():
    present = {one.name for one in contenders()}
    assert not present & {*missing()}
    expected = {*by_hand.NAMES, *PEERS} - {torch_gradcheck.TORCH_SCALED.name}
    assert {one.name for one in contenders() if not one.ours} | {*missing()} == expected


@pytest.mark.parametrize("check", NUMPY, ids=lambda one: one.name)
def test_forward_passes_are_made_as_often_as_is_asked(check, monkeypatch):
    subject, calls = Subject((3, 2, 1)), []
    monkeypatch.setattr(subject.engine, "loss", calls.append)
    check.forward(subject)(3)
    assert len(calls) == 3


@needs_torch
def test_forward_passes_in_torch_are_made_as_often_as_is_asked(monkeypatch):
    calls = []

    def network(*_):
        return lambda *leaves: calls.append(leaves), ()

    monkeypatch.setattr(torch_gradcheck, "network_in_torch", network)
    by_hand.of_torch(Subject((3, 2, 1)))(3)
    assert len(calls) == 3


def test_arrays_are_compared_one_by_one():
    mine, theirs = [np.zeros((2, 2)), np.ones(3)], [np.zeros((2, 2)), np.array([1.0, 1.1, 1.0])]
    assert by_hand.judged(mine, mine, rtol=1e-7, atol=0.0).verdict == PASS
    found = by_hand.judged(mine, theirs, rtol=1e-7, atol=0.0)
    assert (found.verdict, found.named) == (FAIL, 5)
    assert by_hand.judged(mine, theirs, rtol=0.0, atol=0.2).verdict == PASS
