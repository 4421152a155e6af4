"""What is taken of narrower bounds."""

import numpy as np
import pytest

from gradcheck.oracles import narrower as module
from gradcheck.oracles.finite_difference import Estimate


@pytest.mark.parametrize(
    ("value", "bound", "allowed", "is_taken"),
    [
        (-0.9, 0.25, True, True),  # within the first estimate, and not within the best so far
        (1.0, 0.25, True, True),
        (1.1, 0.25, True, False),  # not within the first
        (-1.1, 0.25, True, False),
        (0.5, 0.5, True, False),  # no narrower than the best so far
        (0.5, 0.4, False, False),
        (np.nan, 0.25, True, False),
        (0.5, np.nan, True, False),
    ],
)
def test_the_narrowest_bound_within_the_first_estimate_is_taken(value, bound, allowed, is_taken):
    own, found = Estimate.empty(1), Estimate.empty(1)
    own.value[0], own.bound[0] = 0.0, 1.0
    found.value[0], found.bound[0], found.step[0] = 0.5, 0.5, 2.0
    given = (np.array([x]) for x in (allowed, value, bound, 4.0))
    module._take(own, found, *given)
    best = (value, bound, 4.0) if is_taken else (0.5, 0.5, 2.0)
    assert (found.value[0], found.bound[0], found.step[0]) == best
