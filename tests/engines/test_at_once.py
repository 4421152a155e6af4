"""Many losses in parts of bounded size: the parts, their order, and few of them one by one."""

import numpy as np
import pytest

from gradcheck.engines import at_once
from gradcheck.engines.at_once import in_parts, networks_at_once
from gradcheck.problems.case import Case


def stack(problem, K):
    return {
        name: array + np.arange(K).reshape(-1, *(1,) * array.ndim)
        for name, array in problem.parameters.items()
    }


def first_bias(problem):
    return float(problem.biases[0][0])


def run(K, part, monkeypatch):
    """Losses that are b1[0], and the sizes of the calls."""
    monkeypatch.setattr(at_once, "MOST", part)
    problem, calls = Case(sizes=(3, 2, 1)).problem(), []

    def one(network):
        calls.append(1)
        return first_bias(network)

    def many(some):
        calls.append(len(some["W1"]))
        assert {len(array) for array in some.values()} == {calls[-1]}
        return some["b1"][:, 0]

    stacked = stack(problem, K)
    found = in_parts(problem, stacked, one, many)
    np.testing.assert_array_equal(found, stacked["b1"][:, 0])
    assert found.dtype == problem.dtype
    return calls


@pytest.mark.parametrize(
    ("K", "calls"),
    [
        (0, []),
        (1, [1]),
        (3, [1, 1, 1]),
        (4, [4]),
        (10, [10]),
        (11, [10, 1]),
        (24, [10, 10, 4]),
    ],
)
def test_parts_are_of_one_size_and_the_rest_is_taken_as_it_is(K, calls, monkeypatch):
    assert run(K, 10, monkeypatch) == calls


@pytest.mark.parametrize(
    ("sizes", "batch", "dtype", "most"),
    [
        ((3, 2, 1), 4, "float64", 64),
        ((100, 97, 1), 8, "float64", 13),  # 9,895 parameters
        ((100, 97, 1), 8, "float32", 26),
        ((3, 50, 1), 1000, "float64", 2),  # 50,000 activations
        ((600, 600, 1), 2, "float64", 1),
    ],
)
def test_parameters_and_activations_of_a_part_take_a_mebibyte_at_most(sizes, batch, dtype, most):
    problem = Case(sizes=sizes, batch=batch, dtype=dtype).problem()
    assert networks_at_once(problem) == most
