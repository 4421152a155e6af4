"""Caffe as an engine: a network of its own layers, built for every architecture and batch.

For Python 3.8, beside Caffe; speaks the process protocol on standard input and output:

    python caffe_engine.py [caffe | caffe-textbook]

The layers are `InnerProduct` and `Sigmoid`, which Caffe computes as 0.5 tanh(0.5 z) + 0.5.

    cross_entropy    caffe            SigmoidCrossEntropyLoss, from z
                     caffe-textbook   -sum [y log a + (1 - y) log(1 - a)], of Log and Eltwise layers
    quadratic        both             EuclideanLoss: sum (a - y)^2 / (2 m)

The Python interface computes in float32 alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any

# beside this file, which is on the path when it runs as a program
from serving import (  # type: ignore[import-not-found] # isort: skip
    Unsupported,
    claim_stdout,
    serve,
)

claim_stdout()
os.environ.setdefault("GLOG_minloglevel", "2")  # no line for every layer of every network
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import caffe  # type: ignore[import-not-found] # noqa: E402 # reads the settings above; Python 3.8
import numpy as np  # noqa: E402 # the same

if TYPE_CHECKING:
    Problem = dict[str, Any]
    Pairs = list[tuple[Any, Any]]

VARIANTS = ("caffe", "caffe-textbook")


class Caffe:
    """The network of the latest sizes, batch, loss and reduction, kept for the next problem."""

    def __init__(self, variant: str) -> None:
        self.variant = variant
        self.info = {
            "name": variant,
            "version": caffe.__version__,
            "language": "C++",
            "dtypes": ["float32"],
            "losses": ["cross_entropy", "quadratic"],
            "reductions": ["mean", "sum"],
            "deterministic": True,
            "issues_url": "https://github.com/BVLC/caffe/issues",
            "arithmetic": "absolute_sigmoid",
        }
        self._fits: Any = None
        self._net: Any = None

    def loss(self, problem: Problem) -> float:
        """Run the layers forward."""
        net = self._loaded(problem)
        net.forward()
        return weighted_loss(net)

    def value_and_grad(self, problem: Problem) -> tuple[float, Pairs]:
        """Run the layers forward and backward."""
        net = self._loaded(problem)
        net.clear_param_diffs()  # backward adds to what is there
        net.forward()
        net.backward()
        layers = (net.params[f"z{layer}"] for layer in range(1, len(problem["sizes"])))
        return weighted_loss(net), [(W.diff.copy(), b.diff.copy()) for W, b in layers]

    def _loaded(self, problem: Problem) -> Any:
        """Put the numbers of a problem into a network that fits it."""
        if problem["dtype"] != "float32":
            raise Unsupported(f"dtype {problem['dtype']}; Caffe takes float32 from Python")
        m = len(problem["inputs"])
        fits = (problem["sizes"], m, problem["loss"], problem["reduction"])
        if self._fits != fits:
            self._net, self._fits = build(*fits, textbook=self.variant == "caffe-textbook"), fits
        net = self._net
        net.blobs["X"].data[...] = problem["inputs"]
        net.blobs["Y"].data[...] = problem["targets"]
        for layer, W in enumerate(problem["weights"], start=1):
            net.params[f"z{layer}"][0].data[...] = W
            net.params[f"z{layer}"][1].data[...] = problem["biases"][layer - 1]
        return net


def build(sizes: list[int], m: int, loss: str, reduction: str, *, textbook: bool) -> Any:
    """Let Caffe make the network that its description describes."""
    net = describe(sizes, m, loss, reduction, textbook=textbook)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "net.prototxt")  # noqa: PTH118 - Caffe takes text
        with open(path, "w", encoding="ascii") as file:  # noqa: PTH123 - the same
            file.write(str(net.to_proto()))
        return caffe.Net(path, caffe.TRAIN)


def describe(sizes: list[int], m: int, loss: str, reduction: str, *, textbook: bool) -> Any:
    """Name the blobs X, Y, z1, a1, z2, ..., and C, the loss."""
    layers, net = caffe.layers, caffe.NetSpec()
    net.X = layers.Input(shape={"dim": [m, sizes[0]]})
    net.Y = layers.Input(shape={"dim": [m, sizes[-1]]})
    a = net.X
    for layer, n in enumerate(sizes[1:], start=1):
        z = net[f"z{layer}"] = layers.InnerProduct(a, num_output=n)
        if layer + 1 < len(sizes) or loss == "quadratic" or textbook:
            a = net[f"a{layer}"] = layers.Sigmoid(z)
    if loss == "quadratic":
        weight = 1 if reduction == "mean" else m
        net.C = layers.EuclideanLoss(a, net.Y, loss_weight=weight)
    elif textbook:
        share = 1 / m if reduction == "mean" else 1
        net.C = layers.Reduction(textbook_cross_entropy(net, a), loss_weight=share)
    else:
        # BATCH_SIZE divides by m, NONE by nothing
        how = caffe.params.Loss.BATCH_SIZE if reduction == "mean" else caffe.params.Loss.NONE
        net.C = layers.SigmoidCrossEntropyLoss(
            z, net.Y, loss_weight=1, loss_param={"normalization": how}
        )
    return net


def textbook_cross_entropy(net: Any, a: Any) -> Any:
    """Return -[y log a + (1 - y) log(1 - a)], one for every example and output."""
    layers, product = caffe.layers, caffe.params.Eltwise.PROD
    net.yes = layers.Eltwise(layers.Log(a), net.Y, operation=product)
    not_a, not_Y = layers.Log(a, scale=-1, shift=1), layers.Power(net.Y, scale=-1, shift=1)
    net.no = layers.Eltwise(not_a, not_Y, operation=product)
    return layers.Eltwise(net.yes, net.no, coeff=[-1, -1])


def weighted_loss(net: Any) -> float:
    """Return the loss that was differentiated: the blob is kept without its weight."""
    return float(net.blobs["C"].data) * float(net.blob_loss_weights["C"])


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else VARIANTS[0]
    if chosen not in VARIANTS:
        sys.exit(f"variant {chosen!r}; it must be one of {', '.join(VARIANTS)}")
    np.seterr(all="ignore")
    engine = Caffe(chosen)
    serve(engine.info, engine.loss, engine.value_and_grad)
