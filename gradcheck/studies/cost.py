"""What a computation costs, counted by wrapping the computation itself.

Passes are counted by `CountedFunction`, floating-point operations by `count_flops`, seconds by
`time_call` and `time_in_turns`. The formulas at the end say what the counts of a fully connected
network should be.

Conventions of the operation counts:

- a product of (m, k) by (k, n) is 2 m n k flops, kept apart as `gemm`, also where k = 1 and it is
  written as the outer product of two vectors;
- add, subtract, multiply, divide, negative, reciprocal, square and sqrt are 1 flop an element,
  and a sum (or product) of n terms is n - 1, or n when it starts from an `initial` value;
- exp, log1p, tanh and their like are counted apart as `transcendental` and are no flops;
- comparisons, maxima, absolute values, signs, roundings, copies, and whatever yields integers or
  booleans are free;
- anything else raises `UncountedOperationError`, so that no operation is taken for nothing.
"""

from __future__ import annotations

import copy
import gc
import itertools
import math
import operator
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

from gradcheck.outcomes.ending import EndsCheckError

P = ParamSpec("P")
R = TypeVar("R")


# --- passes -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What was spent. Costs add.

    Attributes:
        forward_passes: evaluations of the loss for the whole batch.
        backward_passes: backward sweeps for the whole batch.
        flops: floating-point operations, None when they were not counted.
        seconds: wall-clock time inside the measured calls.
    """

    forward_passes: int = 0
    backward_passes: int = 0
    flops: int | None = None
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        """Add field by field; flops are known only where both are."""
        both_known = self.flops is not None and other.flops is not None
        return Cost(
            self.forward_passes + other.forward_passes,
            self.backward_passes + other.backward_passes,
            (self.flops or 0) + (other.flops or 0) if both_known else None,
            self.seconds + other.seconds,
        )


class CountedFunction(Generic[P, R]):
    """A function that keeps account of its own calls.

    A call that raises is counted too: the work was asked for.

    Args:
        function: what is called; its arguments and its result pass through unchanged.
        forward_passes: forward passes in one call, 1 for a loss and for a value with gradient.
        backward_passes: backward passes in one call, 0 for a loss, 1 for a value with gradient.
        with_flops: count flops by `count_flops` as well; the seconds are then those of the slow,
            counted run.

    Raises:
        TypeError: function is not callable.
        ValueError: a number of passes is negative.

    Example:
        >>> loss = CountedFunction(lambda w: w * w)
        >>> loss(3.0) - loss(2.0)
        5.0
        >>> loss.cost.forward_passes
        2
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        forward_passes: int = 1,
        backward_passes: int = 0,
        with_flops: bool = False,
    ) -> None:
        if not callable(function):
            raise TypeError(f"function must be callable, got {type(function).__name__}")
        if forward_passes < 0 or backward_passes < 0:
            raise ValueError(
                f"forward_passes={forward_passes} and backward_passes={backward_passes} "
                "must not be negative"
            )
        self._function = function
        self._passes_per_call = (forward_passes, backward_passes)
        self._with_flops = with_flops
        self.reset()

    def reset(self) -> None:
        """Start the account again from nothing."""
        self.calls = 0
        self._flops = 0
        self._seconds = 0.0

    @property
    def cost(self) -> Cost:
        """What all calls since the last reset have cost."""
        forward_passes, backward_passes = self._passes_per_call
        flops = self._flops if self._with_flops else None
        return Cost(self.calls * forward_passes, self.calls * backward_passes, flops, self._seconds)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function and enter the call into the account."""
        self.calls += 1
        start = time.perf_counter()
        try:
            if not self._with_flops:
                return self._function(*args, **kwargs)
            result, flops = count_flops(self._function, *args, **kwargs)
            self._flops += flops.total
            return result
        finally:
            self._seconds += time.perf_counter() - start


def counted_loss(loss: Callable[P, R], *, with_flops: bool = False) -> CountedFunction[P, R]:
    """Wrap a loss: each call is one forward pass."""
    return CountedFunction(loss, with_flops=with_flops)


def counted_value_and_grad(
    value_and_grad: Callable[P, R], *, with_flops: bool = False
) -> CountedFunction[P, R]:
    """Wrap a value with its gradient: each call is one forward and one backward pass."""
    return CountedFunction(value_and_grad, backward_passes=1, with_flops=with_flops)


# --- floating-point operations --------------------------------------------------------------------


class UncountedOperationError(EndsCheckError, TypeError):
    """An operation that the flop counter does not know, or whose result would escape it."""


@dataclass(frozen=True)
class FlopCount:
    """Floating-point operations by kind. Counts add.

    Attributes:
        gemm: flops of matrix products, 2 m n k each.
        elementwise: flops of elementwise arithmetic and of sums.
        transcendental: evaluations of exp, log and the like, which are not flops.
    """

    gemm: int = 0
    elementwise: int = 0
    transcendental: int = 0

    @property
    def total(self) -> int:
        """Flops in all, transcendental functions apart."""
        return self.gemm + self.elementwise

    def __add__(self, other: FlopCount) -> FlopCount:
        """Add kind by kind."""
        return FlopCount(
            self.gemm + other.gemm,
            self.elementwise + other.elementwise,
            self.transcendental + other.transcendental,
        )


class _Tally:
    """The running count that all counted arrays of one measurement share."""

    def __init__(self) -> None:
        self.count = FlopCount()
        self.operations = 0

    def add(self, kind: str, number: int) -> None:
        self.operations += 1
        if kind != _FREE:
            self.count += FlopCount(**{kind: number})


_GEMM, _ELEMENTWISE, _TRANSCENDENTAL, _FREE = "gemm", "elementwise", "transcendental", "free"

_KIND_OF_UFUNC: dict[str, str] = {
    name: kind
    for kind, names in {
        _GEMM: "matmul matvec vecmat vecdot",
        _ELEMENTWISE: "add subtract multiply divide negative reciprocal square sqrt",
        _TRANSCENDENTAL: (
            "exp exp2 expm1 log log2 log10 log1p logaddexp logaddexp2 power float_power cbrt hypot "
            "sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh"
        ),
        _FREE: (
            "less less_equal greater greater_equal equal not_equal logical_and logical_or "
            "logical_xor logical_not maximum minimum fmax fmin clip absolute fabs sign signbit "
            "copysign positive isfinite isinf isnan floor ceil trunc rint ldexp nextafter spacing"
        ),
    }.items()
    for name in names.split()
}

# Some numpy functions only move numbers or look at them; some numpy itself writes in terms of
# ufuncs, which are then counted one by one.
_MOVES, _IN_UFUNCS = "moves", "in ufuncs"

_RULE_OF_FUNCTION: dict[str, str] = {
    name: rule
    for rule, names in {
        _MOVES: (
            "copyto where copy empty_like zeros_like ones_like full_like reshape ravel transpose "
            "swapaxes moveaxis squeeze expand_dims broadcast_to broadcast_arrays atleast_1d "
            "atleast_2d concatenate stack vstack hstack column_stack split take flip sort argsort "
            "argmax argmin nonzero count_nonzero array_equal shape ndim size result_type can_cast "
            "iscomplexobj isrealobj may_share_memory shares_memory"
        ),
        _IN_UFUNCS: "sum prod mean cumsum cumprod max min amax amin all any clip",
    }.items()
    for name in names.split()
}


class CountedArray(np.ndarray[Any, Any]):
    """An array whose floating-point operations are entered into a tally.

    It computes with plain views of the same memory, so results are the same bit for bit. Whatever
    floating-point array comes out of an operation with a counted array is counted in its turn.
    """

    _tally: _Tally
    _is_scalar: bool = False  # stands for a numpy scalar, kept as a 0-d array

    def __array_finalize__(self, template: Any) -> None:
        if isinstance(template, CountedArray):
            self._tally = template._tally

    def __getitem__(self, index: Any) -> Any:
        """Index as an array does; a single number stays counted."""
        return _count(super().__getitem__(index), self._tally)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        """Compute with plain arrays, tally what was done, and hand back counted arrays."""
        out = keywords.pop("out", ())
        tally = next(x._tally for x in (*inputs, *out) if isinstance(x, CountedArray))
        kind = _kind_of(ufunc, method)
        if out and getattr(out[0], "_is_scalar", False):
            out = ()  # x += y with a number x makes a new number
        for target in out:
            _refuse_escape(target, ufunc.__name__)
        terms = [_plain(x) for x in inputs]
        keywords = {name: _plain(x) for name, x in keywords.items()}
        plain_out = {"out": tuple(_plain(x) for x in out)} if out else {}
        shape = np.shape(terms[0])  # before the call, which may write over its operands
        result = getattr(ufunc, method)(*terms, **keywords, **plain_out)
        tally.add(kind, _operations(kind, method, shape, result, keywords))
        return out[0] if out else _count(result, tally)

    def __array_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any, kwargs: Any
    ) -> Any:
        """Let numpy functions through that only move numbers or are written in ufuncs."""
        name = func.__name__ if func.__module__ == "numpy" else f"{func.__module__}.{func.__name__}"
        if name == "dot":
            return _dot(*args, **kwargs)
        rule = _RULE_OF_FUNCTION.get(name)
        if rule == _IN_UFUNCS:
            return super().__array_function__(func, types, args, kwargs)
        if rule != _MOVES:
            raise UncountedOperationError(
                f"{name} has no rule in the flop counter; write it with the operators and "
                "functions that have one (@, +, *, exp, sum, ...)"
            )
        if name == "copyto":
            _refuse_escape(args[0], name)
        result = func(*_map_arrays(_plain, args), **_map_arrays(_plain, kwargs))
        self._tally.add(_FREE, 0)
        return _map_arrays(lambda x: _count(x, self._tally), result)

    def dot(self, other: Any, out: Any = None) -> Any:
        """Multiply as `numpy.dot` does."""
        return _dot(self, other, out)


def _kind_of(ufunc: np.ufunc, method: str) -> str:
    kind = _KIND_OF_UFUNC.get(ufunc.__name__)
    if kind is None or method not in {"__call__", "reduce", "accumulate", "outer"}:
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        raise UncountedOperationError(f"numpy.{name} has no rule in the flop counter")
    return _GEMM if (ufunc.__name__, method) == ("multiply", "outer") else kind


def _operations(
    kind: str, method: str, shape: tuple[int, ...], result: Any, keywords: Mapping[str, Any]
) -> int:
    """Count the operations of one ufunc call from the shapes it worked on."""
    dtype = np.asarray(result).dtype
    if dtype.kind != "f" or kind == _FREE:
        if dtype.kind == "c":
            raise UncountedOperationError("the flop counter counts real arithmetic, got complex")
        return 0
    where = keywords.get("where", True)
    if kind == _GEMM:
        if {"axes", "axis"} & keywords.keys():
            raise UncountedOperationError("matrix products with axes= have no rule")
        k = 1 if method == "outer" else shape[-1]
        return 2 * np.size(result) * k
    if method == "reduce":
        terms = np.sum(np.broadcast_to(where, shape), axis=keywords.get("axis", 0), dtype=int)
        free_start = "initial" not in keywords
        return int(np.sum(np.maximum(terms - free_start, 0)))
    if method == "accumulate":
        axis = keywords.get("axis", 0)
        return math.prod(shape) - math.prod(
            n for i, n in enumerate(shape) if i != axis % len(shape)
        )
    return int(np.count_nonzero(np.broadcast_to(where, np.shape(result))))


def _dot(a: Any, b: Any, out: Any = None) -> Any:
    tally = next(x._tally for x in (a, b, out) if isinstance(x, CountedArray))
    if out is not None:
        _refuse_escape(out, "dot")
    result = np.dot(_plain(a), _plain(b), out=_plain(out))
    if 0 in (np.ndim(a), np.ndim(b)):
        tally.add(_ELEMENTWISE, np.size(result))
    else:
        tally.add(_GEMM, 2 * np.size(result) * np.shape(a)[-1])
    return out if out is not None else _count(result, tally)


def _refuse_escape(target: Any, operation: str) -> None:
    """Raise if a counted result would go to a plain array, whose operations nobody counts."""
    if type(target) is np.ndarray and target.dtype.kind == "f":
        raise UncountedOperationError(
            f"numpy.{operation} writes a counted result to a plain array of shape {target.shape}, "
            "and what is done with that would escape the count: hand the array, or the object "
            "that holds it, to count_flops as an argument"
        )


def _plain(x: Any) -> Any:
    if not isinstance(x, CountedArray):
        return x
    return x.view(np.ndarray)[()] if x._is_scalar else x.view(np.ndarray)


def _count(x: Any, tally: _Tally) -> Any:
    """View a floating-point array or numpy scalar as a counted array; leave the rest alone."""
    if not isinstance(x, np.ndarray | np.inexact) or x.dtype.kind not in "fc":
        return x
    counted = np.asarray(x).view(CountedArray)
    counted._tally = tally
    counted._is_scalar = not isinstance(x, np.ndarray) or getattr(x, "_is_scalar", False)
    return counted


def _map_arrays(convert: Callable[[Any], Any], node: Any) -> Any:
    """Convert every array in nested containers and among the attributes of objects.

    What holds an array that changes is rebuilt around it; all else is handed back as it is.
    """
    if isinstance(node, np.ndarray | np.generic):
        return convert(node)
    parts = _parts(node)
    converted = {key: _map_arrays(convert, part) for key, part in parts.items()}
    if all(converted[key] is part for key, part in parts.items()):
        return node
    if isinstance(node, Mapping):
        return converted
    if isinstance(node, list | tuple):
        values = converted.values()
        return type(node)(*values) if hasattr(node, "_fields") else type(node)(values)
    rebuilt = copy.copy(node)
    for name, part in converted.items():
        object.__setattr__(rebuilt, name, part)  # also where the object is frozen
    return rebuilt


def _parts(node: Any) -> Mapping[Any, Any]:
    """The parts of a container or object that may be or hold arrays, by key."""
    if isinstance(node, Mapping):
        return node
    if isinstance(node, list | tuple):
        return dict(enumerate(node))
    return {} if callable(node) else getattr(node, "__dict__", {})


def count_flops(function: Callable[..., R], *arrays: Any, **keywords: Any) -> tuple[R, FlopCount]:
    """Call `function(*arrays, **keywords)` and count the floating-point operations it does.

    Every argument may be an array, a nest of lists, tuples and dicts of arrays, or an object with
    arrays among its attributes, such as a workspace of `out=` buffers. The function works on the
    same memory as without counting and returns the same bits.

    Operations on Python numbers (after ``float(x)``) are not seen.

    Raises:
        UncountedOperationError: an operation without a rule; a result that would escape into a
            plain array; no operation seen at all, or a plain array returned, as happens when the
            function takes its arguments through `numpy.asarray`.

    Example:
        >>> A, B = np.ones((2, 3)), np.ones((3, 5))
        >>> _, flops = count_flops(lambda A, B: np.exp(A @ B + 1.0), A, B)
        >>> flops
        FlopCount(gemm=60, elementwise=10, transcendental=10)
    """
    tally = _Tally()
    result = function(
        *_map_arrays(lambda x: _count(x, tally), arrays),
        **_map_arrays(lambda x: _count(x, tally), keywords),
    )
    if tally.operations == 0:
        raise UncountedOperationError("no operation on the arguments was seen by the flop counter")
    return _map_arrays(_returned, result), tally.count


def _returned(x: Any) -> Any:
    if type(x) is np.ndarray and x.dtype.kind == "f":
        raise UncountedOperationError(
            f"a returned array of shape {x.shape} is not counted: the function dropped the counted "
            "type (numpy.asarray and numpy.array do)"
        )
    return _plain(x)


# --- seconds ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timing:
    """Seconds for one call: median and quartiles over `repeats` samples.

    Attributes:
        median: seconds.
        q25: first quartile, seconds.
        q75: third quartile, seconds.
        repeats: number of samples.
        calls_per_sample: calls that one sample averages over.
    """

    median: float
    q25: float
    q75: float
    repeats: int
    calls_per_sample: int


def time_call(
    function: Callable[[], object],
    *,
    repeats: int = 7,
    minimum_seconds: float = 0.01,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Time a call without arguments.

    The function is called once to warm up; then the number of calls in a sample is raised until
    every sample lasts `minimum_seconds`, so that the clock's resolution and cost do not matter.
    Garbage collection rests while a sample is taken.

    Args:
        function: what is timed.
        repeats: samples taken, at least 3 (fewer have no quartiles worth the name).
        minimum_seconds: the shortest a sample may last.
        clock: in seconds.

    Raises:
        ValueError: repeats below 3, or minimum_seconds not positive and finite.
    """
    if repeats < 3:
        raise ValueError(f"repeats={repeats} must be at least 3")
    if not (0 < minimum_seconds < math.inf):
        raise ValueError(f"minimum_seconds={minimum_seconds} must be positive and finite")
    function()
    calls = 1
    while True:
        samples = [_sample(function, calls, clock) for _ in range(repeats)]
        if min(samples) >= minimum_seconds:
            break
        shortfall = minimum_seconds / max(float(np.median(samples)), 1e-7)
        calls = math.ceil(calls * min(max(1.2 * shortfall, 1.5), 100.0))
    q25, median, q75 = (float(q) / calls for q in np.quantile(samples, [0.25, 0.5, 0.75]))
    return Timing(median, q25, q75, repeats, calls)


@dataclass(frozen=True)
class Ratio:
    """Seconds of one function in units of another's: median and quartiles over the turns."""

    median: float
    q25: float
    q75: float


@dataclass(frozen=True)
class Turns:
    """Seconds for one call of each of several functions that took turns.

    Attributes:
        seconds: (turns, functions), in the order in which the functions were given.
    """

    seconds: np.ndarray[Any, np.dtype[np.float64]]

    def median(self, function: int) -> float:
        """Median seconds of one call."""
        return float(np.median(self.seconds[:, function]))

    def ratio(self, numerator: int, denominator: int) -> Ratio:
        """Compare two functions turn by turn, so that what slows both down falls out."""
        ratios = self.seconds[:, numerator] / self.seconds[:, denominator]
        q25, median, q75 = map(float, np.quantile(ratios, [0.25, 0.5, 0.75]))
        return Ratio(median, q25, q75)


def processor_clock() -> Callable[[], float]:
    """Return the clock of this process's processor time, all threads together.

    Other programs on the machine do not enter it. Where the system keeps it in coarse steps, the
    clock on the wall is returned.
    """
    fine = time.get_clock_info("process_time").resolution <= 1e-5
    return time.process_time if fine else time.perf_counter


def time_in_turns(
    *functions: Callable[[], object],
    turns: int = 7,
    minimum_seconds: float = 0.01,
    settle_seconds: float = 0.0,
    clock: Callable[[], float] = time.perf_counter,
) -> Turns:
    """Time functions side by side: every turn takes one sample of each.

    The load of the machine changes within seconds; samples of one turn are close in time, and
    the order is reversed every other turn, so that a steady drift falls out of the median.
    Each function is called to warm up; a sample averages over as many calls as last
    `minimum_seconds`.

    Args:
        functions: what is timed, called without arguments.
        turns: samples of each, at least 3.
        minimum_seconds: about how long a sample lasts, unless one call lasts longer.
        settle_seconds: how long a function runs before its samples, untimed: until caches hold
            its numbers, and threads of what ran before it have stopped waiting for work.
        clock: in seconds.

    Raises:
        ValueError: no function, turns below 3, or minimum_seconds not positive and finite.
    """
    if not functions:
        raise ValueError("functions=() must be at least one function")
    if turns < 3:
        raise ValueError(f"turns={turns} must be at least 3")
    if not (0 < minimum_seconds < math.inf):
        raise ValueError(f"minimum_seconds={minimum_seconds} must be positive and finite")
    calls = [_calls_lasting(minimum_seconds, function) for function in functions]
    seconds = np.empty((turns, len(functions)))
    for turn in range(turns):
        for i in range(len(functions))[:: -1 if turn % 2 else 1]:
            _run_for(settle_seconds, functions[i])
            seconds[turn, i] = _sample(functions[i], calls[i], clock) / calls[i]
    return Turns(seconds)


def _calls_lasting(minimum_seconds: float, function: Callable[[], object]) -> int:
    """Return how many calls last so long by the clock on the wall, after a call to warm up."""
    function()
    shortest = _sample(function, 1)
    if shortest < minimum_seconds:  # the shortest of five: a call may be interrupted
        shortest = min(shortest, *(_sample(function, 1) for _ in range(4)))
    return math.ceil(minimum_seconds / max(shortest, 1e-7))


def _run_for(seconds: float, function: Callable[[], object]) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        function()


def _sample(
    function: Callable[[], object], calls: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    collecting = gc.isenabled()
    gc.disable()
    try:
        start = clock()
        for _ in itertools.repeat(None, calls):
            function()
        return clock() - start
    finally:
        if collecting:
            gc.enable()


# --- formulas -----------------------------------------------------------------------------------
#
# A fully connected network has layers of n_0, ..., n_L units and
# M = sum_{l=1..L} n_{l-1} n_l matrix entries; the batch has m examples; N numbers are learned.


def _products(sizes: Sequence[int]) -> list[int]:
    n = [operator.index(size) for size in sizes]
    if len(n) < 2 or min(n) < 1:
        raise ValueError(f"sizes={list(sizes)} must name at least two layers of at least one unit")
    return [n_in * n_out for n_in, n_out in itertools.pairwise(n)]


def _batch(m: int) -> int:
    if operator.index(m) < 1:
        raise ValueError(f"m={m} must be at least 1 example")
    return operator.index(m)


def gemm_flops_forward(sizes: Sequence[int], m: int) -> int:
    """Flops of the matrix products in one forward pass over m examples.

    Raises:
        ValueError: fewer than two layers, an empty layer or an empty batch.
    """
    # z_l = a_{l-1} W_l^T is (m, n_{l-1}) by (n_{l-1}, n_l):  sum_l 2 m n_{l-1} n_l = 2 m M
    return 2 * _batch(m) * sum(_products(sizes))


def gemm_flops_backward(sizes: Sequence[int], m: int) -> int:
    """Flops of the matrix products in one backward pass over m examples.

    Raises:
        ValueError: fewer than two layers, an empty layer or an empty batch.
    """
    # dC/dW_l = delta_l^T a_{l-1} for l = 1..L:         2 m M
    # delta_l W_l, the error handed down, for l = 2..L:  2 m (M - n_0 n_1)
    products = _products(sizes)
    M = sum(products)
    return 2 * _batch(m) * M + 2 * m * (M - products[0])


def cost_ratio(sizes: Sequence[int]) -> float:
    """Matrix-product flops of loss and gradient together, in units of the loss alone.

    In [2, 3): 2 for a single layer, towards 3 for deep networks. The bound for any computation
    is Baur and Strassen (1983) and Griewank and Walther (2008), chapters 3 and 4.

    Raises:
        ValueError: fewer than two layers or an empty layer.

    Example:
        >>> cost_ratio([30, 1])
        2.0
    """
    # omega = (2mM + 2mM + 2m(M - n_0 n_1)) / 2mM = 3 - n_0 n_1 / M
    products = _products(sizes)
    return 3 - products[0] / sum(products)


def forward_difference_passes(N: int) -> int:
    """Forward passes for all N derivatives by forward differences: each moved point and x."""
    # (C(w + h e_j) - C(w)) / h for j = 1..N:  N + 1
    return N + 1


def central_difference_passes(N: int) -> int:
    """Forward passes for all N derivatives by central differences: two moved points each."""
    # (C(w + h e_j) - C(w - h e_j)) / 2h for j = 1..N:  2 N
    return 2 * N
