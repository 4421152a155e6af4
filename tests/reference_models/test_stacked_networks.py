"""Many networks at once: each loss is that of its network alone."""

from itertools import pairwise

import numpy as np
import pytest

from reference_models import sigmoid_network, stacked_networks

K, M = 5, 3


def networks(sizes, dtype, seed=0):
    generator = np.random.default_rng(seed)
    layers = [
        (generator.normal(size=(K, n, n_in)), generator.normal(size=(K, n)))
        for n_in, n in pairwise(sizes)
    ]
    X, Y = generator.normal(size=(M, sizes[0])), generator.random((M, sizes[-1]))
    return [(W.astype(dtype), b.astype(dtype)) for W, b in layers], X.astype(dtype), Y.astype(dtype)


@pytest.mark.parametrize("sizes", [(4, 1), (3, 5, 2), (2, 3, 4, 3)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("cost", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("at_once", [1, 2**15])
def test_each_loss_is_that_of_its_network(sizes, dtype, cost, reduction, at_once, monkeypatch):
    monkeypatch.setattr(stacked_networks, "AT_ONCE", at_once)
    stacked, X, Y = networks(sizes, dtype)
    found = stacked_networks.losses(stacked, X, Y, cost=cost, reduction=reduction)
    alone = [
        sigmoid_network.loss(
            [(W[k], b[k]) for W, b in stacked], X, Y, cost=cost, reduction=reduction
        )
        for k in range(K)
    ]
    assert found.dtype == dtype
    # the same operations in the same order, but for sums of at most sum(sizes) terms
    steps = sum(sizes) + M
    np.testing.assert_allclose(found, alone, rtol=4 * steps * float(np.finfo(dtype).eps))


def test_shapes_that_do_not_fit_are_named():
    stacked, X, Y = networks((3, 5, 2), float)
    (W1, b1), (W2, b2) = stacked
    with pytest.raises(ValueError, match=r"W2.shape=\(5, 2, 4\)"):
        stacked_networks.losses([(W1, b1), (W2[:, :, :4], b2)], X, Y)
    with pytest.raises(ValueError, match=r"b1.shape=\(4, 5\)"):
        stacked_networks.losses([(W1, b1[:4]), (W2, b2)], X, Y)
    with pytest.raises(ValueError, match=r"Y.shape=\(3, 1\) must be \(3, 2\)"):
        stacked_networks.losses(stacked, X, Y[:, :1])
    with pytest.raises(ValueError, match="at least one layer"):
        stacked_networks.losses([], X, Y)
