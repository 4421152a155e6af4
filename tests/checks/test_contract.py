"""A derivative under test: what f says at x again is the same, is noise, or ends the check."""

import numpy as np
import pytest

from gradcheck.checks.contract import DefectError, Layout, UndecidedError, UnderTest
from gradcheck.differences.lines import Lines
from gradcheck.outcomes.reasons import Reason
from gradcheck.pytree import structure_of

VALUES = np.array([1.0, -2.0])


def under_test(noise=0.0, latest=None):
    x = np.ones(1)
    structure = structure_of(x)
    lines, layout = Lines(lambda _: 0.0, x), Layout("d(x)", "d", structure)
    return UnderTest(lines, lambda _: x, layout, structure, VALUES, noise=noise, latest=latest)


def test_the_same_values_again_need_no_word():
    test = under_test()
    test.must_be_a_function(VALUES.copy())
    assert test.notes == []


@pytest.mark.parametrize(
    ("again", "noise"),
    [
        ([1.5, -2.0], 0.5),
        ([0.5, -2.5], 0.5),
        ([1.0, -2.5], np.array([0.0, 0.5])),
    ],
)
@pytest.mark.parametrize("as_latest", [False, True])
def test_a_difference_up_to_the_noise_is_noted_as_noise(again, noise, as_latest):
    again = np.array(again)
    test = under_test(noise, (lambda: again) if as_latest else None)
    test.must_be_a_function(VALUES if as_latest else again)
    [note] = test.notes
    k = int(np.flatnonzero(again != VALUES)[0])
    assert note.startswith(f"f(x) is {VALUES[k]:.17g}, then {again[k]:.17g} at the same x")
    assert "counts as noise" in note


@pytest.mark.parametrize(
    ("again", "noise"),
    [
        ([1.0 + 1e-15, -2.0], 0.0),
        ([1.5, -2.6], 0.5),  # one of both is beyond
        ([1.5, -2.0], np.array([0.0, 0.5])),
        ([np.nan, -2.0], 0.5),
    ],
)
def test_a_difference_beyond_the_noise_leaves_nothing_to_say(again, noise):
    test = under_test(noise)
    with pytest.raises(UndecidedError, match="f is random or keeps state") as raised:
        test.must_be_a_function(np.array(again))
    assert raised.value.reason is Reason.NOISE
    assert test.notes == []


# --- the form of an answer ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (np.array([1.0, 2.0]), [1, 2]),
        ((1.0, 2.0), [1, 2]),
        ([1.0, 2.0], [1, 2]),
        ((np.array([1.0, 2.0]),), [1, 2]),  # as torch.autograd.grad answers
        ([np.array([1.0, 2.0])], None),
        (np.array([[1.0, 2.0]]), None),
        ((np.array([1.0, 2.0]), np.array([1.0, 2.0])), None),
        ((1.0,), None),
    ],
)
def test_one_array_alone_in_a_tuple_is_that_array_and_nothing_else_is_turned(answer, found):
    layout = Layout("d(x)", "d", structure_of(np.ones(2)))
    if found is None:
        with pytest.raises(DefectError, match="has shape") as raised:
            layout.vector(answer)
        assert raised.value.reason is Reason.SHAPE
    else:
        assert layout.vector(answer).tolist() == found
