"""Architectures and problems: everything that fixes the exact gradient, as frozen values.

The network, for layers l = 1..L and a batch of m examples:

    z_l = a_{l-1} W_l^T + b_l,   a_l = sigmoid(z_l),   a_0 = X
    X (m, n_0),   W_l (n_l, n_{l-1}),   b_l (n_l,),   targets Y (m, n_L) in [0, 1]
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Array

Gradient: TypeAlias = list[tuple[Array, Array]]
"""The pairs (dC/dW_l, dC/db_l), l = 1..L."""

LOSSES = ("cross_entropy", "quadratic")
REDUCTIONS = ("mean", "sum")
DTYPES: dict[str, np.dtype[Any]] = {
    "float64": np.dtype(np.float64),
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "longdouble": np.dtype(np.longdouble),
}


@dataclass(frozen=True)
class Architecture:
    """A sigmoid network's shape, its loss, and how the loss is reduced over the batch.

    Logistic regression on n features is ``Architecture((n, 1))``.

    >>> network = Architecture((3, 4, 1))
    >>> network.shapes
    ((4, 3), (1, 4))
    >>> network.n_weights, network.n_biases, network.n_parameters
    (16, 5, 21)

    Args:
        sizes: n_0, n_1, ..., n_L: features, then the width of every layer.
        loss: "cross_entropy" or "quadratic".
        reduction: "mean" or "sum" over the examples of the batch.

    Raises:
        TypeError: sizes that are not whole numbers; a loss or reduction that is not text.
        ValueError: fewer than two sizes, one below 1, or an unknown loss or reduction.
    """

    sizes: tuple[int, ...]
    loss: str = "cross_entropy"
    reduction: str = "mean"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", _whole_numbers("sizes", self.sizes))
        if len(self.sizes) < 2:
            raise ValueError(f"sizes={self.sizes} has {len(self.sizes)} entry; at least 2 needed")
        for position, size in enumerate(self.sizes):
            if size < 1:
                raise ValueError(f"sizes[{position}]={size}; a layer has at least 1 unit")
        require_name("loss", self.loss, LOSSES)
        require_name("reduction", self.reduction, REDUCTIONS)

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.sizes))} {self.loss} {self.reduction}"

    @property
    def depth(self) -> int:
        """L, the number of layers with weights."""
        return len(self.sizes) - 1

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """The shapes (n_l, n_{l-1}) of the weight matrices."""
        return tuple(zip(self.sizes[1:], self.sizes[:-1], strict=True))

    @cached_property
    def weight_names(self) -> tuple[str, ...]:
        """W1, W2, ..., WL."""
        return tuple(f"W{layer}" for layer in range(1, self.depth + 1))

    @cached_property
    def bias_names(self) -> tuple[str, ...]:
        """b1, b2, ..., bL."""
        return tuple(f"b{layer}" for layer in range(1, self.depth + 1))

    @property
    def n_weights(self) -> int:
        """How many entries the weight matrices have in all: sum of n_l n_{l-1}."""
        return sum(rows * columns for rows, columns in self.shapes)

    @property
    def n_biases(self) -> int:
        """How many biases there are: sum of n_l."""
        return sum(self.sizes[1:])

    @property
    def n_parameters(self) -> int:
        """How many numbers the gradient has."""
        return self.n_weights + self.n_biases


@dataclass(frozen=True, eq=False, repr=False)
class Problem:
    """An architecture with its parameters and a batch: everything that fixes the exact gradient.

    The arrays are read-only and C-contiguous; those given writable are copied. Two problems are
    equal when architecture, dtype and all numbers are (0.0 and -0.0 are equal numbers). A problem
    cannot be hashed: use its case token, or the bytes of its arrays.

    Args:
        architecture: layer sizes, loss, reduction.
        weights: W_1..W_L, W_l of shape (n_l, n_{l-1}).
        biases: b_1..b_L, b_l of shape (n_l,).
        inputs: X of shape (m, n_0), m >= 1.
        targets: Y of shape (m, n_L), values in [0, 1].

    Raises:
        TypeError: dtypes other than float16, float32, float64, longdouble, or not all the same.
        ValueError: a wrong number of layers, a wrong shape, a number that is not finite, or a
            target outside [0, 1].
    """

    architecture: Architecture
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    inputs: Array
    targets: Array

    __hash__ = None  # type: ignore[assignment]  # cannot be hashed, as the class text says

    def __post_init__(self) -> None:
        if not isinstance(self.architecture, Architecture):
            raise TypeError(f"architecture={self.architecture!r}; an Architecture is needed")
        network = self.architecture
        inputs = _frozen("inputs", self.inputs, None)
        if inputs.ndim != 2 or inputs.shape[0] < 1 or inputs.shape[1] != network.sizes[0]:
            limit = f"(m, {network.sizes[0]}) with m >= 1"
            raise ValueError(f"inputs has shape {inputs.shape}; it must be {limit}")
        dtype, m = inputs.dtype, inputs.shape[0]
        targets = _frozen("targets", self.targets, dtype, (m, network.sizes[-1]))
        if not ((targets >= 0) & (targets <= 1)).all():
            span = f"[{targets.min()}, {targets.max()}]"
            raise ValueError(f"targets has values in {span}; they must be in [0, 1]")
        weights = _layers("weights", self.weights, dtype, network.shapes)
        biases = _layers("biases", self.biases, dtype, [(n,) for n in network.sizes[1:]])
        self.__dict__.update(weights=weights, biases=biases, inputs=inputs, targets=targets)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Problem):
            return NotImplemented
        return (
            self.architecture == other.architecture
            and self.dtype == other.dtype
            and all(map(np.array_equal, self._arrays(), other._arrays()))
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies made by other processes are read-only again, which arrays alone would not be.
        arrays = (self.weights, self.biases, self.inputs, self.targets)
        return Problem, (self.architecture, *arrays)

    def __repr__(self) -> str:
        return f"<Problem {self.architecture} m={self.batch} {dtype_name(self.dtype)}>"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The one dtype of all arrays."""
        return self.inputs.dtype

    @property
    def batch(self) -> int:
        """The number of examples m."""
        return len(self.inputs)

    @property
    def parameters(self) -> dict[str, Array]:
        """The weights and biases by name, in the order W1, b1, W2, b2, ..."""
        return _by_name(zip(self.weights, self.biases, strict=True))

    def with_parameters(self, parameters: Mapping[str, Array]) -> Problem:
        """Return this problem with other weights and biases.

        Made for one call per forward pass of finite differences: nothing is validated and nothing
        is copied. The new problem holds the caller's own arrays, of whatever dtype, and sees what
        is written to them later.

        Args:
            parameters: arrays by name, W1, b1, ..., WL, bL.

        Raises:
            KeyError: a parameter is missing.
        """
        network = self.architecture
        weights = tuple([parameters[name] for name in network.weight_names])
        biases = tuple([parameters[name] for name in network.bias_names])
        return Problem.unchecked(network, weights, biases, self.inputs, self.targets)

    @classmethod
    def unchecked(
        cls,
        architecture: Architecture,
        weights: tuple[Array, ...],
        biases: tuple[Array, ...],
        inputs: Array,
        targets: Array,
    ) -> Problem:
        """Return a problem of the caller's own arrays, which nobody validates or copies."""
        new = object.__new__(cls)
        new.__dict__.update(
            architecture=architecture,
            weights=weights,
            biases=biases,
            inputs=inputs,
            targets=targets,
        )
        return new

    def astype(self, dtype: npt.DTypeLike) -> Problem:
        """Return the problem with every number rounded to `dtype`.

        Raises:
            TypeError: a dtype that problems do not have.
            ValueError: a number overflows in `dtype`.
        """
        with np.errstate(over="ignore", under="ignore"):
            weights = tuple(W.astype(dtype) for W in self.weights)
            biases = tuple(b.astype(dtype) for b in self.biases)
            inputs, targets = self.inputs.astype(dtype), self.targets.astype(dtype)
        return Problem(self.architecture, weights, biases, inputs, targets)

    def _arrays(self) -> tuple[Array, ...]:
        return (*self.weights, *self.biases, self.inputs, self.targets)


def gradient_as_dict(
    gradient: Sequence[Any], architecture: Architecture | None = None
) -> dict[str, Array]:
    """Name a gradient's arrays like the parameters: W1, b1, W2, b2, ...

    >>> gradient_as_dict([(np.zeros((1, 2)), np.zeros(1))])
    {'W1': array([[0., 0.]]), 'b1': array([0.])}

    Args:
        gradient: one pair (dW, db) a layer.
        architecture: whose number of layers the gradient must have; any number when not given.

    Raises:
        TypeError: the gradient is not a sequence of pairs.
        ValueError: it is empty, has another number of layers, or a layer is not a pair.
    """
    if not isinstance(gradient, Sequence) or isinstance(gradient, str | bytes):
        kind = type(gradient).__name__
        raise TypeError(f"gradient is a {kind}; it must be a list of pairs (dW, db), one a layer")
    layers = max(1, len(gradient)) if architecture is None else architecture.depth
    if len(gradient) != layers:
        raise ValueError(f"gradient has {len(gradient)} layers; it must have {layers}")
    for position, pair in enumerate(gradient):
        if not isinstance(pair, tuple | list):
            kind = type(pair).__name__
            raise TypeError(f"gradient[{position}] is a {kind}; it must be a pair (dW, db)")
        if len(pair) != 2:
            raise ValueError(f"gradient[{position}] has {len(pair)} entries; it must be (dW, db)")
    return _by_name(gradient)


def dtype_name(dtype: np.dtype[Any]) -> str:
    """Return a dtype's name in tokens and files; longdouble is called so on every platform.

    Raises:
        TypeError: a dtype that problems do not have.
    """
    for name, known in DTYPES.items():
        if dtype == known:
            return name
    raise TypeError(f"dtype {dtype}; it must be one of {', '.join(DTYPES)}")


def require_name(argument: str, value: object, known: Sequence[str]) -> None:
    """Refuse a value that is not one of the known names.

    Raises:
        TypeError: the value is not text.
        ValueError: the value is not known.
    """
    if not isinstance(value, str):
        raise TypeError(f"{argument}={value!r}; it must be one of {', '.join(known)}")
    if value not in known:
        raise ValueError(f"{argument}={value!r}; it must be one of {', '.join(known)}")


def _whole_numbers(argument: str, values: Any) -> tuple[int, ...]:
    def whole(value: Any) -> int:
        if isinstance(value, bool | np.bool):
            raise TypeError("a truth value is no number")
        return operator.index(value)

    try:
        return tuple(map(whole, values))
    except TypeError:
        raise TypeError(f"{argument}={values!r}; it must be a sequence of whole numbers") from None


def _by_name(pairs: Any) -> dict[str, Array]:
    named = {}
    for layer, (W, b) in enumerate(pairs, start=1):
        named[f"W{layer}"] = W
        named[f"b{layer}"] = b
    return named


def _layers(
    argument: str, arrays: Any, dtype: np.dtype[Any], shapes: Sequence[tuple[int, ...]]
) -> tuple[Array, ...]:
    try:
        arrays = tuple(arrays)
    except TypeError:
        raise TypeError(f"{argument} is a {type(arrays).__name__}; a sequence is needed") from None
    if len(arrays) != len(shapes):
        raise ValueError(f"{argument} has {len(arrays)} arrays; there are {len(shapes)} layers")
    return tuple(
        _frozen(f"{argument}[{position}]", array, dtype, shape)
        for position, (array, shape) in enumerate(zip(arrays, shapes, strict=True))
    )


def _frozen(
    argument: str,
    values: Any,
    dtype: np.dtype[Any] | None,
    shape: tuple[int, ...] | None = None,
) -> Array:
    """Return the values as a read-only, contiguous, finite array of the given dtype and shape."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{argument} is not an array: {error}") from None
    if array.dtype not in DTYPES.values():
        known = ", ".join(DTYPES)
        raise TypeError(f"{argument} has dtype {array.dtype}; it must be one of {known}")
    if dtype is not None and array.dtype != dtype:
        raise TypeError(f"{argument} has dtype {array.dtype}; inputs has {dtype}; all must agree")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{argument} has shape {array.shape}; it must be {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{argument} holds NaN or infinity; every number must be finite")
    if not _is_fixed(array):
        array = np.array(array, order="C", copy=True)
        array.flags.writeable = False
    return array


def _is_fixed(array: Array) -> bool:
    """Whether nobody can write to the array, not even through the array it is a view of."""
    node: Any = array
    while isinstance(node, np.ndarray):
        if node.flags.writeable:
            return False
        node = node.base
    return node is None and bool(array.flags.c_contiguous)
