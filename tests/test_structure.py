"""Structures: arrays in a dict, list or tuple are one vector whose coordinates have names."""

from collections import OrderedDict
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck.structure import copy_of, leaves_of, structure_of


class Layer(NamedTuple):
    W: Any
    b: Any


def nested():
    return {
        "layers": [Layer(np.zeros((2, 3)), np.zeros(2)), Layer(np.ones((1, 2)), np.ones(1))],
        "scale": np.float64(2.0),
        "pair": (np.zeros(1, np.float32), np.array(5.0)),
    }


def test_every_coordinate_has_a_name():
    structure = structure_of(nested())
    assert [structure.name(j) for j in range(structure.size)] == [
        *(f"layers[0][0][{i},{k}]" for i in range(2) for k in range(3)),
        "layers[0][1][0]",
        "layers[0][1][1]",
        "layers[1][0][0,0]",
        "layers[1][0][0,1]",
        "layers[1][1][0]",
        "scale",
        "pair[0][0]",
        "pair[1]",
    ]


@pytest.mark.parametrize(
    ("x", "names"),
    [
        (np.zeros(2), ["x[0]", "x[1]"]),
        (np.zeros((1, 2)), ["x[0,0]", "x[0,1]"]),
        (np.float32(1.0), ["x"]),
        (1.5, ["x"]),
        ([np.zeros(1), np.zeros(1)], ["[0][0]", "[1][0]"]),
        ({"W1": np.zeros((1, 1)), "b1": np.zeros(1)}, ["W1[0,0]", "b1[0]"]),
        ({0: np.array(1.0)}, ["0"]),
        ({"empty": np.zeros((0, 3)), "b": np.zeros(1)}, ["b[0]"]),
        ({}, []),
        (MappingProxyType(OrderedDict(z=np.zeros(1), a=np.zeros(1))), ["z[0]", "a[0]"]),
    ],
)
def test_names_of_small_structures(x, names):
    structure = structure_of(x)
    assert [structure.name(j) for j in range(structure.size)] == names


def test_a_bare_array_may_be_called_otherwise():
    assert structure_of(np.zeros(1), "weights").name(0) == "weights[0]"


def test_leaves_lie_end_to_end():
    structure = structure_of(nested())
    position = 0
    for leaf, array in zip(structure.leaves, leaves_of(nested()), strict=True):
        assert (leaf.start, leaf.shape, leaf.dtype) == (position, array.shape, array.dtype)
        assert leaf.stop - leaf.start == leaf.size == array.size
        assert all(structure.leaf_of(j) is leaf for j in range(leaf.start, leaf.stop))
        position = leaf.stop
    assert structure.size == position == 14


@pytest.mark.parametrize("coordinate", [-1, 14, 100])
def test_a_coordinate_outside_is_refused(coordinate):
    with pytest.raises(IndexError, match=rf"coordinate={coordinate} is not in 0\.\.13"):
        structure_of(nested()).name(coordinate)


@pytest.mark.parametrize(
    "leaf", [np.arange(3), np.ones(2, bool), np.ones(1, complex), "text", None, 3, object()]
)
def test_a_leaf_that_is_not_real_floating_point_is_named_and_refused(leaf):
    with pytest.raises(TypeError, match=r"^layers\[1\]\.b has dtype .*made of real floating-point"):
        structure_of({"layers": [{"b": np.zeros(1)}, {"b": leaf}]})


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_every_real_precision_is_taken(dtype):
    assert structure_of(np.zeros(2, dtype)).leaves[0].dtype == dtype


def test_a_copy_is_equal_in_kind_and_bits_and_shares_nothing():
    x = nested()
    copy, leaves = copy_of(x)
    assert isinstance(copy["layers"][0], Layer)
    assert isinstance(copy["pair"], tuple)
    assert structure_of(copy) == structure_of(x)
    for mine, theirs, seen in zip(leaves, leaves_of(x), leaves_of(copy), strict=True):
        assert seen is mine
        assert mine.tobytes() == theirs.tobytes()
        assert not np.shares_memory(mine, theirs)


def test_copies_are_writable_and_contiguous_whatever_they_come_from():
    frozen = np.arange(12.0).reshape(3, 4).T[::2]
    frozen.flags.writeable = False
    _, (leaf,) = copy_of(frozen)
    assert leaf.flags.writeable
    assert leaf.flags.c_contiguous
    np.testing.assert_array_equal(leaf, frozen)


def test_signs_of_zeros_survive_a_copy():
    _, (leaf,) = copy_of(np.array([-0.0, 0.0]))
    np.testing.assert_array_equal(np.signbit(leaf), [True, False])


def test_a_copy_may_have_another_dtype():
    copy, leaves = copy_of(nested(), np.complex128)
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.complex128)}
    np.testing.assert_array_equal(copy["layers"][1].W, np.ones((1, 2)))
