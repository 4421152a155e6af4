"""TensorFlow and Keras: automatic differentiation on a tape, executed operation by operation."""

from __future__ import annotations

from typing import Any, ClassVar

from gradcheck.engines.base import EngineInfo
from gradcheck.engines.installed import Library, require_supported
from gradcheck.problem import Gradient, Problem

DTYPES = ("float32", "float64")
ARITHMETIC = "flushed"
"""TensorFlow answers 0 for subnormal numbers on the processor; residual and slope are p - y and
a (1 - a)."""


class TensorFlow:
    """`tf.nn.sigmoid_cross_entropy_with_logits`."""

    source: ClassVar = Library(
        "tensorflow",
        ["tensorflow", "tensorflow-cpu"],
        "https://github.com/tensorflow/tensorflow/issues",
    )
    info: EngineInfo = source.info("tensorflow", DTYPES, ARITHMETIC)

    def __init__(self) -> None:
        self.source.require()
        import tensorflow as tf  # noqa: PLC0415 - heavy, loaded when needed

        self.tf: Any = tf

    def loss(self, problem: Problem) -> float:
        """Compute the loss; nothing is put on a tape."""
        return float(self.cost(self._layers(problem), problem))

    def value_and_grad(self, problem: Problem) -> tuple[float, Gradient]:
        """Compute the loss and run the tape backward."""
        layers = self._layers(problem)
        with self.tf.GradientTape() as tape:
            tape.watch(layers)
            C = self.cost(layers, problem)
        gradient = tape.gradient(C, layers)
        return float(C), [(dW.numpy().copy(), db.numpy().copy()) for dW, db in gradient]

    def close(self) -> None:
        """Do nothing: tensors end with the call that made them."""

    def cost(self, layers: list[tuple[Any, Any]], problem: Problem) -> Any:
        """Return C as a tensor without dimensions."""
        tf, network = self.tf, problem.architecture
        a, y = tf.constant(problem.inputs), tf.constant(problem.targets)
        for W, b in layers:
            z = tf.matmul(a, W, transpose_b=True) + b
            a = tf.sigmoid(z)
        each = (a - y) ** 2 / 2 if network.loss == "quadratic" else self.cross_entropy(z, y)
        total = tf.reduce_sum(each)
        return total / len(problem.inputs) if network.reduction == "mean" else total

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """Return the cross-entropy entry by entry, from the logits z."""
        return self.tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=z)

    def _layers(self, problem: Problem) -> list[tuple[Any, Any]]:
        require_supported(problem, self.info)
        constant = self.tf.constant
        pairs = zip(problem.weights, problem.biases, strict=True)
        return [(constant(W), constant(b)) for W, b in pairs]


class Probabilities(TensorFlow):
    """`keras.losses.binary_crossentropy(y, sigmoid(z))`."""

    info = TensorFlow.source.info(
        "tensorflow-probabilities", DTYPES, ARITHMETIC, losses=["cross_entropy"]
    )

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """Return the cross-entropy entry by entry: Keras takes the mean over the last axis."""
        p = self.tf.sigmoid(z)
        return self.tf.keras.losses.binary_crossentropy(y[..., None], p[..., None])


class Textbook(TensorFlow):
    """-[y log p + (1 - y) log(1 - p)], p = sigmoid(z), as it is written in textbooks."""

    info = TensorFlow.source.info(
        "tensorflow-textbook", DTYPES, ARITHMETIC, losses=["cross_entropy"]
    )

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """Return the cross-entropy entry by entry, as the formula stands."""
        log = self.tf.math.log
        p = self.tf.sigmoid(z)
        return -(y * log(p) + (1 - y) * log(1 - p))
