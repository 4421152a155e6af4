"""Operations are counted as they are done, and the formulas say the same."""

from itertools import pairwise

import numpy as np
import pytest
from some import some

from gradcheck.problems.case import Case
from gradcheck.studies.cost import FlopCount, count_flops, gemm_flops_forward
from gradcheck.studies.layered.bound import coordinate_bounds, layer_bounds
from gradcheck.studies.layered.cost import (
    all_operations,
    difference_operations,
    forward_operations,
    number_of,
    sweep_operations,
)
from gradcheck.studies.layered.difference import MIB, layered_differences
from gradcheck.studies.layered.network import LayeredNetwork
from gradcheck.studies.layered.rises import Workspace, block_differences

SIZES = [(4, 1), (3, 2), (5, 4, 1), (5, 4, 3), (2, 6, 5, 1), (3, 4, 2, 5, 3)]


def network_of(sizes, loss="cross_entropy"):
    return LayeredNetwork.of(Case(sizes=sizes, batch=6, loss=loss, targets="soft").problem())


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("examples", [1, 4, 6])
def test_the_operations_of_a_block_are_as_the_formula_says(sizes, loss, examples):
    network = network_of(sizes, loss)
    for i, W in enumerate(some(network.weights)):
        rows, columns = (index.ravel() for index in np.indices((W.shape[0], W.shape[1] + 1)))
        given = network, i, rows, columns, 2.0**-20, examples
        room = Workspace(network.targets, len(rows) * examples * max(sizes))
        _, counted = count_flops(block_differences, *given, room)
        assert counted == difference_operations(sizes, 6, loss, i, len(rows))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_products_of_the_bounds_are_as_the_formula_says(sizes):
    network = network_of(sizes)

    def sweeps(network, out):
        layers = layer_bounds(network, 0.0, MIB)
        for i, part in enumerate(out):
            coordinate_bounds(network, layers, i, 2.0**-20, 0.0, part)

    out = [np.empty(W.size + len(W)) for W in network.weights]
    with np.errstate(over="raise"):
        _, counted = count_flops(sweeps, network, out)
    assert counted.gemm + gemm_flops_forward(sizes, 6) == sweep_operations(sizes, 6).gemm


@pytest.mark.parametrize("sizes", [(7, 5, 3, 1), (100, 97, 1)], ids=str)
def test_an_estimate_states_what_it_cost(sizes):
    estimate = layered_differences(Case(sizes=sizes, batch=8).problem())
    counts = [(n_in + 1) * n for n_in, n in pairwise(sizes)]
    assert estimate.operations == all_operations(sizes, 8, "cross_entropy", counts)
    one_pass = number_of(forward_operations(sizes, 8, "cross_entropy"))
    assert estimate.forward_pass_equivalents == number_of(estimate.operations) / one_pass


def test_one_hidden_layer_costs_18_passes_and_less_where_it_is_small():
    passes = [
        layered_differences(Case(sizes=(n, n, 1), batch=8).problem()).forward_pass_equivalents
        for n in (30, 100, 300)
    ]
    assert passes == sorted(passes)
    assert 16 < passes[0] < passes[-1] < 18.1


def test_a_plain_pass_is_products_and_functions():
    assert forward_operations((2, 3, 1), 5, "cross_entropy") == FlopCount(90, 90, 25)
    assert forward_operations((2, 3, 1), 5, "quadratic") == FlopCount(90, 100, 20)
