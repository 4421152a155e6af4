"""scikit-learn: the hand-written backpropagation of `MLPClassifier`.

The classifier is given its weights instead of being fitted, and asked for the loss and the
gradient that its solvers minimise. Without penalty (alpha = 0), with the logistic activation, and
with binary targets, one column for each label, it is the network of a problem; no hidden layer at
all is logistic regression. The loss is the mean over the examples of the cross-entropy of p clipped
to [eps, 1 - eps], eps the spacing of the dtype at 1; the gradient, p - y, knows of no clipping.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gradcheck.engines.base import EngineInfo, Unsupported
from gradcheck.engines.installed import Library, require_supported
from gradcheck.problem import Gradient, Problem


class MultilayerPerceptron:
    """`MLPClassifier(activation="logistic", alpha=0)`."""

    source: ClassVar = Library(
        "sklearn", ["scikit-learn"], "https://github.com/scikit-learn/scikit-learn/issues"
    )
    info: EngineInfo = source.info(
        "sklearn",
        ["float32", "float64"],
        "p_minus_y",
        losses=["cross_entropy"],
        reductions=["mean"],
        limits={"targets": ("binary", "zeros", "ones", "one_hot")},
    )

    def __init__(self) -> None:
        self.source.require()
        from sklearn import neural_network  # noqa: PLC0415 - heavy, loaded when needed
        from sklearn.neural_network import _base  # noqa: PLC0415

        self.neural_network: Any = neural_network
        self.binary_log_loss: Any = _base.binary_log_loss

    def loss(self, problem: Problem) -> float:
        """Compute the loss from `_forward_pass`, which is how `_backprop` begins."""
        classifier = self.classifier(problem)
        activations = classifier._forward_pass([problem.inputs, *[None] * classifier.n_layers_])
        return float(self.binary_log_loss(problem.targets, activations[classifier.n_layers_ - 1]))

    def value_and_grad(self, problem: Problem) -> tuple[float, Gradient]:
        """Compute the loss and the gradient by `_backprop`."""
        classifier, depth = self.classifier(problem), problem.architecture.depth
        activations = [problem.inputs, *[None] * depth]
        deltas, dW, db = ([None] * depth for _ in range(3))
        value, dW, db = classifier._backprop(
            problem.inputs, problem.targets, None, activations, deltas, dW, db
        )
        dtype = problem.dtype
        return float(value), [
            (np.array(W.T, dtype, order="C"), np.array(b, dtype))
            for W, b in zip(dW, db, strict=True)
        ]

    def close(self) -> None:
        """Do nothing: a classifier ends with the call that made it."""

    def classifier(self, problem: Problem) -> Any:
        """Make a classifier with the problem's weights, in the state that `fit` sets up.

        Raises:
            Unsupported: targets other than 0 and 1, a loss, a reduction or a dtype.
        """
        require_supported(problem, self.info)
        if not np.isin(problem.targets, (0, 1)).all():
            raise Unsupported("targets other than 0 and 1; MLPClassifier takes class labels")
        sizes = problem.architecture.sizes
        classifier = self.neural_network.MLPClassifier(sizes[1:-1], activation="logistic", alpha=0)
        classifier.n_layers_, classifier.n_outputs_ = len(sizes), sizes[-1]
        classifier.out_activation_ = "logistic"
        classifier.coefs_ = [W.T for W in problem.weights]
        classifier.intercepts_ = list(problem.biases)
        return classifier
