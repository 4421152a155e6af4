"""The size of an error, and when a smaller network has kept it."""

from math import inf, nan

import pytest

from gradcheck.verification.findings import Coordinate
from gradcheck.verification.size import Size, size_at


def at(engine, exact, times=1e10):
    return size_at(Coordinate("W1[0,0]", engine, exact, 0.0, 1.0, times))


def test_a_factor_and_its_inverse_are_errors_of_one_size():
    assert at(2.0, 1.0).error == at(1.0, 2.0).error == 0.5
    assert at(-1.0, 1.0).error == 2.0
    assert at(0.0, 1.0).error == at(1.0, 0.0).error == 1.0
    assert at(0.0, 0.0).error == 0.0


def test_what_cannot_be_compared_is_the_worst():
    worst = [at(nan, 1.0), at(inf, 1.0), size_at(None)]
    assert all(size.order > at(-1.0, 1.0, inf).order for size in worst)


def test_all_gross_errors_are_of_one_decade():
    assert at(1.0, 2.0).decade == at(-1.0, 2.0).decade == at(1.0, 1.2).decade
    assert at(1.0, 1.0 + 1e-7).decade < at(1.0, 1.0 + 1e-5).decade < at(1.0, 2.0).decade


@pytest.mark.parametrize(
    ("smaller", "kept"),
    [
        (Size(0.5, 1e14), True),
        (Size(0.1, 1e14), True),
        (Size(0.05, 1e14), False),
        (Size(1e-7, 1e9), False),
        (Size(0.5, 1e6), False),
        (Size(nan, 1e14), False),
        (Size(0.5, nan), False),
    ],
)
def test_a_lost_1_over_504_is_still_one_where_m_is_2_and_that_of_an_epsilon_is_another(
    smaller, kept
):
    assert smaller.is_kept_from(Size(503 / 504, 1e14)) is kept


def test_an_error_of_the_size_of_rounding_keeps_its_size_too():
    assert Size(3e-9, 20.0).is_kept_from(Size(1e-8, 100.0))
    assert not Size(3e-10, 20.0).is_kept_from(Size(1e-8, 100.0))
    assert not Size(3e-9, 9.0).is_kept_from(Size(1e-8, 100.0))
    assert Size(3e-9, 1e8).is_kept_from(Size(1e-8, inf))
