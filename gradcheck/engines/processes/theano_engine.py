"""Theano as an engine: one symbolic graph for every depth, loss, reduction and dtype.

For Python 3.8, beside Theano 1.0; speaks the process protocol on standard input and output:

    python theano_engine.py [theano | theano-logits | theano-fast-compile | theano-textbook]

The variants of the cross-entropy, and what Theano may rewrite:

    theano                binary_crossentropy(sigmoid(z), y), rewritten as softplus(z)
    theano-logits         sigmoid_binary_crossentropy(z, y)
    theano-fast-compile   the first, in the mode FAST_COMPILE: few rewritings, Python instead of C
    theano-textbook       the first, computed as it is written

Shapes are left open, so that a graph is compiled once. The C code that Theano makes is kept in the
environment that the program runs in, for the next time; without a C++ compiler Theano computes in
Python, which takes 30 to 600 times as long.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Any

# beside this file, which is on the path when it runs as a program
from serving import (  # type: ignore[import-not-found] # isort: skip
    Unsupported,
    claim_stdout,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Problem = dict[str, Any]
    Pairs = list[tuple[Any, Any]]


def compile_folder() -> str:
    """Return where compiled graphs are kept: this environment, or a folder that ends with us."""
    if sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK):
        return os.path.join(sys.prefix, "theano-graphs")  # noqa: PTH118 - Theano takes text
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


claim_stdout()
# Products by numpy: which BLAS would be linked otherwise depends on the machine. Processes that
# share the folder look every second or two whether it is free.
FLAGS = (
    "device=cpu",
    "blas.ldflags=",
    f"base_compiledir={compile_folder()}",
    "compile.wait=1",
    "compile.timeout=120",
)
os.environ["THEANORC"] = os.devnull
os.environ["THEANO_FLAGS"] = ",".join(FLAGS)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402 # reads the settings above
import theano  # type: ignore[import-not-found] # noqa: E402 # and Python 3.8
from theano import tensor  # noqa: E402 # the same

MODES: dict[str, Any] = {
    "theano": theano.compile.mode.FAST_RUN,
    "theano-logits": theano.compile.mode.FAST_RUN,
    "theano-fast-compile": theano.compile.mode.FAST_COMPILE,
    "theano-textbook": theano.compile.mode.Mode(
        linker="cvm" if theano.config.cxx else "py", optimizer=None
    ),
}
DTYPES = ("float32", "float64")


class Theano:
    """The compiled functions of one variant, by depth, loss, reduction and dtype."""

    def __init__(self, variant: str) -> None:
        self.variant = variant
        self.info = {
            "name": variant,
            "version": theano.__version__ + ("" if theano.config.cxx else ", no C++ compiler"),
            "language": "Python",
            "dtypes": list(DTYPES),
            "losses": ["cross_entropy", "quadratic"],
            "reductions": ["mean", "sum"],
            "deterministic": True,
            "issues_url": "https://github.com/Theano/Theano/issues",
            "arithmetic": "p_minus_y",
        }
        self._compiled: dict[Any, Callable[..., Any]] = {}

    def loss(self, problem: Problem) -> float:
        """Run the graph of the loss."""
        return float(self._function(problem, gradient=False)(*numbers(problem)))

    def value_and_grad(self, problem: Problem) -> tuple[float, Pairs]:
        """Run the graph of loss and gradient."""
        C, *gradient = self._function(problem, gradient=True)(*numbers(problem))
        # dC/dW1, dC/db1, dC/dW2, ...
        return float(C), [*zip(gradient[::2], gradient[1::2])]  # noqa: B905 - Python 3.8

    def _function(self, problem: Problem, *, gradient: bool) -> Callable[..., Any]:
        if problem["dtype"] not in DTYPES:
            raise Unsupported(f"dtype {problem['dtype']}; Theano takes {', '.join(DTYPES)}")
        depth, dtype = len(problem["sizes"]) - 1, problem["dtype"]
        key = (depth, problem["loss"], problem["reduction"], dtype, gradient)
        if key not in self._compiled:
            inputs, parameters, C = graph(
                depth, problem["loss"], problem["reduction"], dtype, logits="logits" in self.variant
            )
            outputs = [C, *tensor.grad(C, parameters)] if gradient else C
            self._compiled[key] = theano.function(
                [*inputs, *parameters], outputs, mode=MODES[self.variant]
            )
        return self._compiled[key]


def graph(
    depth: int, loss: str, reduction: str, dtype: str, *, logits: bool
) -> tuple[list[Any], list[Any], Any]:
    """Return the variables [X, Y], [W1, b1, W2, ...] and the expression C."""
    X, Y = tensor.matrix("X", dtype), tensor.matrix("Y", dtype)
    parameters, a = [], X
    for layer in range(1, depth + 1):
        W, b = tensor.matrix(f"W{layer}", dtype), tensor.vector(f"b{layer}", dtype)
        z = tensor.dot(a, W.T) + b
        a = tensor.nnet.sigmoid(z)
        parameters += [W, b]
    if loss == "quadratic":
        each = (a - Y) ** 2 / 2
    elif logits:
        each = tensor.nnet.sigmoid_binary_crossentropy(z, Y)
    else:
        each = tensor.nnet.binary_crossentropy(a, Y)
    examples = each.sum(axis=1)
    return [X, Y], parameters, examples.mean() if reduction == "mean" else examples.sum()


def numbers(problem: Problem) -> list[Any]:
    """Return X, Y, W1, b1, W2, ... as arrays."""
    arrays = [problem["inputs"], problem["targets"]]
    for W, b in zip(problem["weights"], problem["biases"]):  # noqa: B905 - Python 3.8
        arrays += [W, b]
    return [np.array(array, problem["dtype"]) for array in arrays]


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else next(iter(MODES))
    if chosen not in MODES:
        sys.exit(f"variant {chosen!r}; it must be one of {', '.join(MODES)}")
    np.seterr(all="ignore")
    engine = Theano(chosen)
    serve(engine.info, engine.loss, engine.value_and_grad)
