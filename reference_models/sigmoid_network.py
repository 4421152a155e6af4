"""The multi-layer sigmoid network, vectorised over examples and neurons.

Symbols, for layers l = 1..L and a batch of m examples:

    a_0 = X             inputs, (m, n_0)
    W_l, b_l            weights (n_l, n_{l-1}) and biases (n_l,)
    z_l, a_l            pre-activations and activations, (m, n_l)
    Y                   targets in [0, 1], (m, n_L)
    delta_l = dC/dz_l   error, (m, n_l)

Forward:   z_l = a_{l-1} W_l^T + b_l,   a_l = sigma(z_l).
Loss:      C = sum over examples and outputs of value(z_L, Y), divided by m for `mean`.
Backward:  delta_L     = residual(z_L, Y), divided by m for `mean`
           delta_{l-1} = (delta_l W_l) * sigma'(z_{l-1})
           dC/dW_l     = delta_l^T a_{l-1}
           dC/db_l     = sum over examples of delta_l

(Rumelhart, Hinton and Williams 1986; Nielsen 2015, chapter 2, with examples as rows.) All arrays
have one dtype: float16, float32, float64, longdouble, or complex128 for the complex step.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reference_models.activations import decay, sigmoid, sigmoid_prime_from_decay
from reference_models.edges import Parameters, check_dtype, network_sizes
from reference_models.losses import divisor, loss_named
from reference_models.memory import aligned_empty
from reference_models.products import deaf, outer_product, product

if TYPE_CHECKING:
    from collections.abc import Callable

Array = npt.NDArray[Any]
Gradient = list[tuple[Array, Array]]


class LayerBuffers(NamedTuple):
    """The arrays of one layer: e = exp(-|z|), the others named by their symbols.

    Once the a of a hidden layer is known, its z is no longer needed and holds 1 + e.
    """

    z: Array
    a: Array
    e: Array
    delta: Array
    dW: Array  # noqa: N815  (the symbol)
    db: Array


class Workspace:
    """Every buffer that one network and batch size need, made once and used by every call.

    Args:
        sizes: layer sizes (n_0, ..., n_L), L >= 1.
        m: number of examples.
        dtype: dtype of all arrays.
        allocate: makes a buffer from (shape, dtype); a subclass of ndarray that watches its own
            arithmetic enters here.

    Raises:
        ValueError: fewer than two sizes, a size or m below 1, or a dtype not computed in.
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        m: int,
        dtype: npt.DTypeLike,
        *,
        allocate: Callable[[tuple[int, ...], np.dtype[Any]], Array] = aligned_empty,
    ) -> None:
        self.sizes, self.m, self.dtype = tuple(sizes), m, np.dtype(dtype)
        if len(self.sizes) < 2 or min(self.sizes) < 1:
            raise ValueError(f"sizes={self.sizes} must be two or more numbers, each at least 1")
        if m < 1:
            raise ValueError(f"m={m} must be at least 1")
        check_dtype("dtype", self.dtype, m)
        self.layers: list[LayerBuffers] = []
        for n_in, n in pairwise(self.sizes):
            shapes = ((m, n), (m, n), (m, n), (m, n), (n, n_in), (n,))
            self.layers.append(LayerBuffers(*(allocate(s, self.dtype) for s in shapes)))
        self.scratch = allocate((m, self.sizes[-1]), self.dtype)
        self._X_shape, self._Y_shape = (m, self.sizes[0]), (m, self.sizes[-1])
        self._parameter_shapes = [(layer.dW.shape, layer.db.shape) for layer in self.layers]

    def __repr__(self) -> str:
        return f"Workspace(sizes={self.sizes}, m={self.m}, dtype={self.dtype})"

    def fits(self, parameters: Parameters, X: Array, Y: Array) -> bool:
        """Tell whether arrays have the shapes and the dtype this workspace was made for."""
        dtype = self.dtype
        try:
            if X.shape != self._X_shape or Y.shape != self._Y_shape:
                return False
            if X.dtype != dtype or Y.dtype != dtype or len(parameters) != len(self.layers):
                return False
            for (W, b), (W_shape, b_shape) in zip(parameters, self._parameter_shapes, strict=True):
                if W.shape != W_shape or b.shape != b_shape or W.dtype != dtype or b.dtype != dtype:
                    return False
        except AttributeError:
            return False
        return True


@deaf
def forward(parameters: Parameters, X: Array) -> Array:
    """Return the activations a_L of the last layer, (m, n_L).

    Args:
        parameters: (W_l, b_l) per layer, of shapes (n_l, n_{l-1}) and (n_l,).
        X: inputs, (m, n_0).

    Raises:
        ValueError: a wrong shape or mixed dtypes.
        TypeError: something that is not an array.

    >>> forward([(np.zeros((1, 2)), np.zeros(1))], np.ones((3, 2)))
    array([[0.5],
           [0.5],
           [0.5]])
    """
    out = Workspace(network_sizes(parameters, X, None), len(X), X.dtype)
    z = _logits(parameters, X, out)
    last = out.layers[-1]
    return np.asarray(sigmoid(z, out=last.a, e=last.e, scratch=z))


@deaf
def loss(
    parameters: Parameters,
    X: Array,
    Y: Array,
    *,
    cost: str = "cross_entropy",
    reduction: str = "mean",
    out: Workspace | None = None,
) -> Any:
    """Return the loss C, a scalar of the arrays' dtype, from one forward pass.

    Args:
        parameters: (W_l, b_l) per layer, of shapes (n_l, n_{l-1}) and (n_l,).
        X: inputs, (m, n_0).
        Y: targets, (m, n_L).
        cost: a name in `losses.LOSSES`.
        reduction: `mean` or `sum` over the examples.
        out: buffers; with them nothing of array size is allocated (real dtypes, contiguous
            arrays).

    Raises:
        ValueError: a wrong shape, mixed dtypes, an unknown name, or an `out` that does not fit.
        TypeError: something that is not an array.
    """
    out = _workspace_for(parameters, X, Y, out)
    return _value(_logits(parameters, X, out), Y, cost, reduction, out)


@deaf
def value_and_grad(
    parameters: Parameters,
    X: Array,
    Y: Array,
    *,
    cost: str = "cross_entropy",
    reduction: str = "mean",
    out: Workspace | None = None,
) -> tuple[Any, Gradient]:
    """Return the loss C and its gradient [(dC/dW_l, dC/db_l), ...] by backpropagation.

    The arguments are those of `loss`. With `out` the returned gradient *is* the workspace's: the
    next call overwrites it, so copy what must outlive it.
    """
    out = _workspace_for(parameters, X, Y, out)
    z_L = _logits(parameters, X, out)
    value = _value(z_L, Y, cost, reduction, out)
    last = out.layers[-1]
    scratch = (last.a, out.scratch)
    loss_named(cost).residual(z_L, Y, e=last.e, out=last.delta, scratch=scratch)
    M = divisor(reduction, out.m)
    if M != 1:
        np.divide(last.delta, M, out=last.delta)
    return value, _backpropagate(parameters, X, out)


def _logits(parameters: Parameters, X: Array, out: Workspace) -> Array:
    """Run the forward pass up to z_L; leave a_l, e_l and 1 + e_l of the hidden layers in `out`."""
    a = X
    last = out.layers[-1]
    for (W, b), layer in zip(parameters, out.layers, strict=True):
        np.copyto(layer.z, b)  # adding b by broadcasting would allocate an iterator's buffer
        np.add(product(a, W.T, out=layer.a), layer.z, out=layer.z)
        if layer is not last:
            a = sigmoid(layer.z, out=layer.a, e=layer.e, scratch=layer.z)
    return last.z


def _value(z_L: Array, Y: Array, cost: str, reduction: str, out: Workspace) -> Any:
    """Return C; leave exp(-|z_L|) in `out`."""
    last = out.layers[-1]
    e = decay(z_L, out=last.e)
    C = loss_named(cost).value(z_L, Y, e=e, out=last.delta, scratch=(last.a, out.scratch))
    return np.add.reduce(C, axis=None) / divisor(reduction, out.m)


def _backpropagate(parameters: Parameters, X: Array, out: Workspace) -> Gradient:
    """Turn delta_L and the activations in `out` into the gradient."""
    layers = out.layers
    for l in reversed(range(len(layers))):  # noqa: E741  (the layer's symbol)
        delta, a_below = layers[l].delta, layers[l - 1].a if l else X
        if out.m == 1:
            outer_product(delta[0], a_below[0], out=layers[l].dW)
        else:
            np.matmul(delta.T, a_below, out=layers[l].dW)
        np.add.reduce(delta, axis=0, out=layers[l].db)
        if l:
            below = layers[l - 1]
            product(delta, parameters[l][0], out=below.delta)
            slope = sigmoid_prime_from_decay(
                below.e, one_plus_e=below.z, out=below.e, scratch=below.z
            )
            np.multiply(below.delta, slope, out=below.delta)
    return [(layer.dW, layer.db) for layer in layers]


def _workspace_for(parameters: Parameters, X: Array, Y: Array, out: Workspace | None) -> Workspace:
    """Return `out` if it fits the arrays; else say what is wrong, or make one if it is None."""
    if out is not None and out.fits(parameters, X, Y):
        return out
    sizes = network_sizes(parameters, X, Y)
    if out is not None:
        raise ValueError(f"out={out} must be made for sizes={sizes}, m={len(X)}, dtype={X.dtype}")
    return Workspace(sizes, len(X), X.dtype)
