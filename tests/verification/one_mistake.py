"""Engines with one mistake each, importable as `py:one_mistake:NAME`."""

import numpy as np

EPSILON = 1e-7


def sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e)).astype(z.dtype)


def engine(*, top=lambda problem, delta: delta, weight=lambda dW: dW, residual=None):
    """Backprop without cancellation, with one step replaced."""

    def value_and_grad(problem):
        k = 1 / len(problem.inputs) if problem.architecture.reduction == "mean" else 1.0
        a, z = [problem.inputs], []
        for W, b in zip(problem.weights, problem.biases, strict=True):
            z.append(a[-1] @ W.T + b)
            a.append(sigmoid(z[-1]))
        Y = problem.targets
        delta = (1 - Y) * sigmoid(z[-1]) - Y * sigmoid(-z[-1])
        value = np.sum((1 - Y) * np.logaddexp(0, z[-1]) + Y * np.logaddexp(0, -z[-1])) * k
        if residual is not None:
            delta = residual(a[-1], Y, z[-1])
        delta = top(problem, delta * k)
        layers = []
        for layer in reversed(range(len(z))):
            layers.append((weight(delta.T @ a[layer]), delta.sum(axis=0)))
            if layer:
                slope = sigmoid(z[layer - 1]) * sigmoid(-z[layer - 1])
                delta = (delta @ problem.weights[layer]) * slope
        return float(value), layers[::-1]

    value_and_grad.losses = ["cross_entropy"]
    return value_and_grad


def _without_mean(problem, delta):
    return delta * len(problem.inputs) if problem.architecture.reduction == "mean" else delta


def _with_epsilon(p, Y, z):
    return (-Y / (p + EPSILON) + (1 - Y) / (sigmoid(-z) + EPSILON)) * p * sigmoid(-z)


right = engine()
divided_by_features = engine(top=lambda problem, delta: delta / problem.inputs.shape[1])
mean_lost = engine(top=_without_mean)
transposed_where_square = engine(weight=lambda dW: dW.T if dW.shape[0] == dW.shape[1] else dW)
epsilon_in_the_denominators = engine(residual=_with_epsilon)
