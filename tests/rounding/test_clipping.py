"""The epsilon of a clip or a floor is a number in (0, 0.5), of the cross-entropy alone."""

import numpy as np
import pytest

from gradcheck.certified.ball_network import ball_gradient
from gradcheck.certified.gradient import certified_gradient
from gradcheck.problems.case import Case
from gradcheck.rounding import gradient_bound
from gradcheck.rounding.clipping import require_epsilon

FUNCTIONS = [
    certified_gradient,
    gradient_bound,
    lambda problem, **how: ball_gradient(problem, precision=64, **how),
]
ARGUMENTS = ["clip", "floor"]


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("number", [0, 0.5, -1e-7, 1.0, float("nan"), float("inf")])
def test_what_is_outside_the_interval_is_refused_by_value(function, number, argument):
    with pytest.raises(ValueError, match=rf"{argument}={number}; it must be in \(0, 0.5\)"):
        function(Case().problem(), **{argument: number})


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("value", ["1e-7", True, 1j])
def test_what_is_no_number_is_refused(function, value, argument):
    with pytest.raises(TypeError, match=f"{argument}=.*; it must be a number in"):
        function(Case().problem(), **{argument: value})


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_quadratic_loss_is_not_altered(function, argument):
    with pytest.raises(ValueError, match=f"{argument}=1e-07 .* for cross_entropy alone"):
        function(Case(loss="quadratic").problem(), **{argument: 1e-7})


def test_numbers_of_numpy_are_taken():
    assert require_epsilon("clip", np.float32(0.25), Case().problem()) == 0.25
    assert require_epsilon("clip", None, Case().problem()) is None
