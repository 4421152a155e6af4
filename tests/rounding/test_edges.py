"""Edges of the rounding bounds that no network meets: long sums, and halfway numbers."""

import numpy as np
import pytest

from gradcheck.problems.case import Case
from gradcheck.rounding.bounded import Bounded, Worst
from gradcheck.rounding.rounded_products import RoundedProducts

SINGLE = Case(sizes=(2, 1), dtype="float32").problem()


def test_the_bound_of_a_sum_makes_up_for_all_its_operations():
    n = 2**15
    nothing = Bounded.exact(np.zeros((1, n))), Bounded.exact(np.zeros((n, 1)))
    found = Worst.of(SINGLE, "p_minus_y").product(*nothing)
    # of products of zeros, underflow alone; 2 (n + 64) v for n + 64 operations
    expected = 2.0**-149 * 2 * n * (1 + 2 * (n + 64) * 2.0**-53)
    assert abs(float(found.d[0, 0]) / expected - 1) <= 2.0**-50


@pytest.mark.parametrize(
    ("x", "d", "width"),
    [
        # x - d = 1 + 2^-11 is halfway: what is below it rounds to 1
        (1.25 - 2.0**-12, 0.25 - 2.0**-12 - 2.0**-11, 0.25),
        # x + d = 1.5 + 2^-11 is halfway: what is above it rounds to 1.5 + 2^-10
        (1.25 + 2.0**-12, 0.25 + 2.0**-12, 0.25 + 2.0**-10),
    ],
)
def test_an_end_that_is_halfway_may_round_either_way(x, d, width):
    rounding = RoundedProducts.to("tf32", SINGLE)
    found = rounding.rounded(Bounded(np.array([x]), np.array([d])))
    assert (found.x[0], found.d[0]) == (1.25, width)
