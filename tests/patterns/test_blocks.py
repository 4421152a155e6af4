"""A pattern of one block says nothing of a block of another shape, and no such block refutes it."""

import numpy as np
import pytest

from gradcheck.patterns.blocks import pattern

D = np.arange(1.0, 13.0).reshape(4, 3)
ROOM = np.full((4, 3), 1e-12)
NAMES = ("row", "column")

CHANGES = {
    "one entry": lambda g: g + (np.arange(12) == 5).reshape(4, 3),
    "a row that is 0": lambda g: g * [[1], [1], [0], [1]],
    "a factor in a row": lambda g: g * [[1], [3], [1], [1]],
    "rows swapped": lambda g: g[[1, 0, 2, 3]],
    "columns swapped": lambda g: g[:, [2, 1, 0]],
    "a row that is wrong": lambda g: g + g**2 * [[1], [0], [0], [0]],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_pattern_of_rows_holds_where_it_is_seen_and_where_it_cannot_be(change):
    g = change(D)
    found = pattern(g, D, ROOM, np.abs(g - D) > ROOM, NAMES)
    assert found is not None
    assert found.holds(g, D, ROOM)
    other, room = np.ones((25, 2)), np.full((25, 2), 1e-12)
    assert found.holds(2 * other, other, room)
    assert not found.holds(2 * D, D, ROOM)
