"""Layered differences as a user would write them, in PyTorch: no bound, plain subtraction.

    D = [f(x + h e) - f(x - h e)] / (2 h),   h = STEP,   for every weight and bias

Moving W_l[j,k] by t moves z_l[j] alone, by t a_{l-1}[k] (b_l[j]: by t); what follows is computed
from there on, for many (j, k) at once, and nothing before or beside it. What does not change with
the moved weight cancels exactly, as only the sums of the terms that do are subtracted.

D is off by about u |C| / h from rounding and by h^2 |C'''| / 6: with u = 2^-53 and C about 1, 1e-11
of each at h = 1e-5. ALLOWED is a hundred times that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

STEP = 1e-5
ALLOWED = 1e-9

BLOCK = 2**15
"""Numbers in the largest array at once, which stays in the cache."""


def differences(layers: Sequence[tuple[Any, Any]], X: Any, Y: Any) -> list[Any]:
    """Return D of W_1, b_1, W_2, ..., for the cross-entropy, averaged over the examples.

    Args:
        layers: (W_l, b_l), as tensors.
        X: inputs, (m, n_0).
        Y: targets, (m, n_L).
    """
    import torch  # noqa: PLC0415 - heavy, loaded when needed

    z, a = [], [X]
    for W, b in layers:
        z.append(torch.nn.functional.linear(a[-1], W, b))
        a.append(torch.sigmoid(z[-1]))
    found = []
    for i in range(len(layers)):
        inputs = torch.cat([a[i], torch.ones_like(a[i][:, :1])], dim=1).T.contiguous()
        D = torch.cat([_rows(layers, i, rows, z, a, inputs, Y) for rows in _blocks(layers, i, X)])
        found += [D[:, :-1], D[:, -1]]
    return found


def _blocks(layers: Sequence[tuple[Any, Any]], i: int, X: Any) -> list[slice]:
    """Share out the units of the layer with index i, so that BLOCK numbers are moved at once."""
    units, inputs = layers[i][0].shape
    widest = max((len(b) for _, b in layers[i + 2 :]), default=1)
    count = max(1, BLOCK // ((inputs + 1) * len(X) * widest))
    return [slice(j, min(j + count, units)) for j in range(0, units, count)]


def _rows(
    layers: Sequence[tuple[Any, Any]], i: int, rows: slice, z: Any, a: Any, inputs: Any, Y: Any
) -> Any:
    """Return D of some units' weights and biases, shape (units, n_{l-1} + 1)."""
    at = z[i].T[rows, None]  # (units, 1, m)
    step = STEP * inputs  # (n_{l-1} + 1, m)
    if i == len(layers) - 1:
        y = Y.T[rows, None]
        risen = _cost(at + step, y) - _cost(at - step, y)
    else:
        up, down = (_costs_after(layers, i, rows, at + t, z, a, Y) for t in (step, -step))
        risen = up - down
    return risen.sum(dim=-1) / (2 * STEP * len(Y))


def _costs_after(
    layers: Sequence[tuple[Any, Any]], i: int, rows: slice, moved: Any, z: Any, a: Any, Y: Any
) -> Any:
    """Return the loss of each example where a unit of layer i has moved, (units, inputs, m)."""
    import torch  # noqa: PLC0415 - loaded already

    change = moved.sigmoid_().sub_(a[i + 1].T[rows, None])
    weights = layers[i + 1][0].T[rows]  # (units, n_{l+1})
    if weights.shape[1] == 1 and i + 2 == len(layers):
        return _cost(change.mul_(weights[:, :, None]).add_(z[i + 1][:, 0]), Y[:, 0])
    at = change[..., None] * weights[:, None, None] + z[i + 1]  # (units, inputs, m, n_{l+1})
    for W, b in layers[i + 2 :]:
        at = torch.nn.functional.linear(at.sigmoid_(), W, b)
    return _cost(at, Y).sum(dim=-1)


def _cost(z: Any, y: Any) -> Any:
    """Return log(1 + e^z) - y z, the cross-entropy of one output."""
    import torch  # noqa: PLC0415 - loaded already

    return torch.nn.functional.softplus(z).sub_(y * z)
