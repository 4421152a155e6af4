"""Structures: arrays in a dict, list or tuple are one vector whose coordinates have names."""

from collections import OrderedDict
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from some import some

from gradcheck.pytree import UnlikeError, arrays_like, copy_of, leaves_of, structure_of


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
        ([np.zeros(1), np.zeros(1)], ["x[0][0]", "x[1][0]"]),
        ((np.zeros((1, 1)), [np.zeros(1)]), ["x[0][0,0]", "x[1][0][0]"]),
        ([0.5, 1.5], ["x[0]", "x[1]"]),
        ([[0.5, 1.5]], ["x[0,0]", "x[0,1]"]),
        ({"w": [0.5, 1], "b": 2.0}, ["w[0]", "w[1]", "b"]),
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
        assert all(structure.leaf_of(j) is leaf for j in some(range(leaf.start, leaf.stop)))
        position = leaf.stop
    assert structure.size == position == 14


@pytest.mark.parametrize("coordinate", [-1, 14, 100])
def test_a_coordinate_outside_is_refused(coordinate):
    with pytest.raises(IndexError, match=rf"coordinate={coordinate} is not in 0\.\.13"):
        structure_of(nested()).name(coordinate)


@pytest.mark.parametrize(
    ("leaf", "told"),
    [
        (np.arange(3), "has dtype int64; a point is made of real floating-point arrays .* 1.0"),
        ([1, 2], "has dtype int64; .*write 1.0, not 1, or use .astype"),
        (3, "has dtype int64; "),
        (np.ones(2, bool), r"has dtype bool; .* or longdouble\)$"),
        (np.ones(1, complex), "has dtype complex128; "),
        ("text", r"is text \('text'\), not an array of real numbers"),
        (None, "is None, not an array of real numbers"),
        (object(), "is an object, not an array of real numbers"),
        (np.array([None]), r"is an array of shape \(1,\) of Python objects, not of real numbers"),
        ([[1.0, 2.0], [3.0]], r"is a list of rows of different shapes \(\(2,\), \(1,\), "),
    ],
)
def test_a_leaf_that_is_not_real_floating_point_is_named_and_refused(leaf, told):
    with pytest.raises(TypeError, match=r"^layers\[1\]\.b " + told):
        structure_of({"layers": [{"b": np.zeros(1)}, {"b": leaf}]})


@pytest.mark.parametrize("x", [{0: 1.5, "0": 2.5}, {"a.b": 1.5, "a": {"b": 2.5}}])
def test_two_names_that_read_alike_are_refused(x):
    with pytest.raises(
        ValueError, match=r"two arrays of x are both named '(0|a\.b)': rename a key"
    ):
        structure_of(x)


TREE = structure_of({"a": [np.zeros(2), 1.0], "b": np.zeros(1)}).tree


def test_an_answer_is_read_as_x_is_built():
    answer = {"b": [3.0], "a": np.array([[1.0, 2.0], [5.0, 6.0]])}
    found = dict(arrays_like(TREE, answer, "g"))
    assert [np.asarray(found[i]).tolist() for i in range(3)] == [[1.0, 2.0], [5.0, 6.0], [3.0]]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (np.zeros(2), r"g is an array of shape \(2,\), but must be a dict, like x"),
        (None, "g is None, but must be a dict, like x"),
        ({"a": [0.0, 1.0]}, "g lacks b$"),
        ({"a": [0.0], "c": 0.0}, "g lacks b and has c, which x has not"),
        ({"a": [0.0], "b": 0.0}, r"g\['a'\] has 1 parts, but x has 2"),
        ({"a": 0.0, "b": 0.0}, r"g\['a'\] is a float, but must be a list or tuple, like x"),
        ({"a": "no", "b": 0.0}, r"g\['a'\] is text \('no'\), but must be a list or tuple"),
        ({"a": [0.0, {"c": 0.0}], "b": 0.0}, r"g\['a'\]\[1\] is a dict with the keys c, but must"),
    ],
)
def test_an_answer_that_is_built_otherwise_is_refused_in_words(answer, told):
    with pytest.raises(UnlikeError, match=told):
        arrays_like(TREE, answer, "g")


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
