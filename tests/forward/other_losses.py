"""Forward passes that are not the one that is meant, written as a student would, with gradients.

Each takes a problem's numbers and returns a loss; everything is written so that it takes complex
numbers too: the gradient is that of the loss itself, by the complex step, exact to rounding.
"""

import numpy as np

from gradcheck.engines.base import engine_from_callable

STEP = 1e-150


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def relu(z):
    return np.where(z.real > 0, z, 0)


def leaky(z):
    return np.where(z.real > 0, z, 0.01 * z)


def clip(p, low, high):
    return np.where(p.real < low, low, np.where(p.real > high, high, p))


def softmax(z, axis=1):
    e = np.exp(z)
    return e / e.sum(axis=axis, keepdims=True)


def cross_entropy(p, y):
    return -y * np.log(p) - (1 - y) * np.log(1 - p)


def quadratic(p, y):
    return (p - y) ** 2 / 2


def softplus(z):
    return np.log(1 + np.exp(z))


def entries(
    X, Y, W, b, *, hidden=sigmoid, output=sigmoid, form=None, loss="cross_entropy", bias=None
):
    """The losses output by output, with one part or another replaced."""
    a = X
    for layer, (w, c) in enumerate(zip(W, b, strict=True), start=1):
        z = a @ w.T + (c if bias is None else bias(c, layer, len(W), w.shape[1]))
        a = output(z) if layer == len(W) else hidden(z)
    form = form or (cross_entropy if loss == "cross_entropy" else quadratic)
    return form(a, Y)


def loss_of(problem, *, scale=lambda m, n: 1, term=lambda W, b, m: 0, inputs=lambda X: X, **parts):
    """A function of all weights and biases."""
    network, m = problem.architecture, problem.batch
    X, Y = (np.asarray(x, np.float64) for x in (problem.inputs, problem.targets))

    def loss(W, b):
        each = entries(inputs(X), Y, W, b, loss=network.loss, **parts)
        M = m if network.reduction == "mean" else 1
        return np.sum(each) / M * scale(m, Y.shape[1]) + term(W, b, m)

    return loss


def consistent(name, **parts):
    """An engine whose gradient is that of its loss."""

    def value_and_grad(problem):
        with np.errstate(all="ignore"):
            loss = loss_of(problem, **parts)
            W, b = ([np.asarray(x, np.complex128) for x in each] for each in
                    (problem.weights, problem.biases))  # fmt: skip
            value = loss(W, b).real
            gradient = []
            for pair in zip(W, b, strict=True):
                found = []
                for array in pair:
                    d = np.empty(array.shape)
                    for at in np.ndindex(*array.shape):
                        array[at] += 1j * STEP
                        d[at] = loss(W, b).imag / STEP
                        array[at] = array[at].real
                    found.append(d.astype(problem.dtype))
                gradient.append(tuple(found))
        return float(value), gradient

    return LossAlone(engine_from_callable(value_and_grad, name), parts)


class LossAlone:
    """An engine whose loss costs no gradient."""

    def __init__(self, engine, parts):
        self.engine, self.info, self.parts = engine, engine.info, parts

    def loss(self, problem):
        with np.errstate(all="ignore"):
            W, b = ([np.asarray(x, np.float64) for x in each] for each in
                    (problem.weights, problem.biases))  # fmt: skip
            return float(loss_of(problem, **self.parts)(W, b).real)

    def value_and_grad(self, problem):
        return self.engine.value_and_grad(problem)

    def close(self):
        pass


def squares(W):
    return sum(np.sum(w * w) for w in W)


def smooth(y, s):
    return (1 - s) * y + s / 2


def standardised(X):
    return (X - X.mean(0)) / (X.std(0) + 0)


# name: the parts that are wrong, for which loss, what is said of it, and of which kind it is.
ANY, CE, QUAD = ("cross_entropy", "quadratic"), ("cross_entropy",), ("quadratic",)

OTHER_LOSSES = {
    "relu": ({"hidden": relu}, ANY, "hidden layers look like relu", "network"),
    "leaky relu": (
        {"hidden": leaky}, ANY, "hidden layers look like leaky relu of slope 0.01", "network"),
    "tanh": ({"hidden": np.tanh}, ANY, "hidden layers look like tanh", "network"),
    "identity": (
        {"hidden": lambda z: z}, ANY,
        "hidden layers look like identity, with no activation at all", "network"),
    "softplus": ({"hidden": softplus}, ANY, "hidden layers look like softplus", "network"),
    "hard sigmoid": (
        {"hidden": lambda z: clip(0.2 * z + 0.5, 0, 1)}, ANY,
        "hidden layers look like a hard sigmoid of slope 1/5", "network"),
    "softmax": (
        {"output": softmax}, ANY, "the output looks like softmax over the outputs", "network"),
    "softmax cross-entropy": (
        {"output": softmax, "form": lambda p, y: -y * np.log(p)}, CE,
        "the output looks like softmax over the outputs, with its cross-entropy", "network"),
    "softmax over examples": (
        {"output": lambda z: softmax(z, 0), "form": lambda p, y: -y * np.log(p)}, CE,
        "the output looks like softmax over the examples, the wrong axis and the loss has the term "
        "-y log p alone, not -(1 - y) log(1 - p)", "network"),
    "linear output": (
        {"output": lambda z: z}, QUAD,
        "the output looks like identity, with no activation at all", "network"),
    "tanh output": ({"output": np.tanh}, QUAD, "the output looks like tanh", "network"),
    "sigmoid twice": (
        {"output": lambda z: sigmoid(sigmoid(z))}, ANY,
        "the output looks like sigmoid, taken twice", "network"),
    "quadratic": (
        {"form": quadratic}, CE, "the loss is the quadratic one, not the cross-entropy", "form"),
    "cross-entropy": (
        {"form": cross_entropy}, QUAD,
        "the loss is the cross-entropy, not the quadratic one", "form"),
    "positive term": (
        {"form": lambda p, y: -y * np.log(p)}, CE,
        "the loss has the term -y log p alone, not -(1 - y) log(1 - p)", "form"),
    "swapped": (
        {"form": lambda p, y: cross_entropy(y, p)}, CE,
        "the arguments of the cross-entropy are swapped", "form"),
    "swapped with an epsilon": (
        {"form": lambda p, y: -p * np.log(y + 1e-8) - (1 - p) * np.log(1 - y + 1e-8)}, CE,
        "the arguments of the cross-entropy are swapped and 1e-08 is added inside the logarithms",
        "form"),
    "absolute": (
        {"form": lambda p, y: np.where(p.real > y, p - y, y - p)}, ANY,
        "the loss is the absolute error", "form"),
    "hinge": (
        {"output": lambda z: z, "form": lambda s, y: relu(1 - (2 * y - 1) * s)}, ANY,
        "the loss is the hinge loss", "network"),
    "focal": (
        {"form": lambda p, y: -y * (1 - p) ** 2 * np.log(p) - (1 - y) * p**2 * np.log(1 - p)}, CE,
        "the loss is the focal loss, gamma 2", "form"),
    "smoothed": (
        {"form": lambda p, y: cross_entropy(p, smooth(y, 0.1))}, CE,
        "targets are smoothed by 0.1", "form"),
    "targets truncated": (
        {"form": lambda p, y: cross_entropy(p, np.floor(y))}, CE,
        "targets are cut off to whole numbers", "form"),
    "targets rounded": (
        {"form": lambda p, y: quadratic(p, np.round(y))}, QUAD,
        "targets are rounded to 0 and 1", "form"),
    "entropy subtracted": (
        {"form": lambda p, y: cross_entropy(p, y) - np.where(
            (y > 0) & (y < 1), cross_entropy(clip(y, 1e-9, 1 - 1e-9), y), 0)}, CE,
        "the entropy of the targets is subtracted, a constant", "constant"),
    "clipped": (
        {"form": lambda p, y: cross_entropy(clip(p, 1e-7, 1 - 1e-7), y)}, CE,
        "probabilities are clipped at 1e-07", "form"),
    "clipped finely": (
        {"form": lambda p, y: cross_entropy(clip(p, 1e-15, 1 - 1e-15), y)}, CE,
        "probabilities are clipped at 1e-15", "form"),
    "clipped oddly": (
        {"form": lambda p, y: cross_entropy(clip(p, 3e-5, 1 - 3e-5), y)}, CE,
        "probabilities are clipped at 3e-05", "form"),
    "epsilon": (
        {"form": lambda p, y: -y * np.log(p + 1e-8) - (1 - y) * np.log(1 - p + 1e-8)}, CE,
        "1e-08 is added inside the logarithms", "form"),
    "no bias": ({"bias": lambda b, *_: 0}, ANY, "the loss lacks the biases", "network"),
    "no last bias": (
        {"bias": lambda b, layer, depth, _: b * (layer < depth)}, ANY,
        "the last layer lacks its bias", "network"),
    "bias an input": (
        {"bias": lambda b, _l, _d, n: n * b}, ANY, "a bias is added once for each input",
        "network"),
    "standardised": (
        {"inputs": standardised}, ANY, "inputs are standardised over the batch", "network"),
    "clipped inputs": (
        {"inputs": lambda X: np.clip(X, -1, 1)}, ANY, "inputs are clipped to [-1, 1]", "network"),
    "doubled": (
        {"scale": lambda m, n: 2}, ANY, "the loss is 2 times the one that is meant", "factor"),
    "four times": (
        {"scale": lambda m, n: 4}, ANY, "the loss is 4 times the one that is meant", "factor"),
    "seven times": (
        {"scale": lambda m, n: 7.25}, ANY, "the loss is 7.25 times the one that is meant",
        "factor"),
    "minus": (
        {"scale": lambda m, n: -1}, ANY, "the loss is -1 times the one that is meant", "factor"),
    "base 2": (
        {"scale": lambda m, n: 1 / np.log(2)}, ANY, "the loss has logarithms to the base 2",
        "factor"),
    "over outputs": (
        {"scale": lambda m, n: 1 / n}, ANY, "the loss is divided by m n_L, not by m", "factor"),
    "sum": (
        {"scale": lambda m, n: m}, ANY,
        "the loss is a sum where a mean is meant: it is m times the one that is meant", "factor"),
    "mean twice": (
        {"scale": lambda m, n: 1 / m}, ANY, "the loss is divided by m twice", "factor"),
    "m - 1": (
        {"scale": lambda m, n: m / (m - 1) if m > 1 else np.inf}, ANY,
        "the loss is divided by m - 1, not by m", "factor"),
    "l2": (
        {"term": lambda W, b, m: 0.01 / 2 * squares(W)}, ANY,
        "the loss has a term 0.01/2 sum W^2", "term"),
    "l2 over m": (
        {"term": lambda W, b, m: 0.7 / (2 * m) * squares(W)}, ANY,
        "the loss has a term 0.7/2 sum W^2 / m", "term"),
    "l2 with biases": (
        {"term": lambda W, b, m: 0.001 * (squares(W) + squares(b))}, ANY,
        "the loss has a term 0.002/2 sum of W^2 and b^2", "term"),
    "l2 as in ex4": (
        {"term": lambda W, b, m: 1.5 / (2 * m) * squares([w[:, 1:] for w in W])}, ANY,
        "the loss has a term 1.5/2 sum W^2 / m without the first column of W_l", "term"),
    "error rate": (
        {"form": lambda p, y: np.abs((p.real > 0.5) - y) + 0 * p}, ANY,
        "the loss is the share of outputs on the wrong side of 1/2", "form"),
    "logistic": (
        {"output": lambda z: z, "form": lambda s, y: np.log(1 + np.exp(-y * s))}, ANY,
        "the loss is log(1 + exp(-y z)), which is for targets -1 and 1", "network"),
    "epsilon and minus": (
        {"form": lambda p, y: y * np.log(p + 1e-8) + (1 - y) * np.log(1 - p + 1e-8)}, CE,
        "1e-08 is added inside the logarithms and the loss is -1 times the one that is meant",
        "form"),
    "cut off": (
        {"output": lambda z: sigmoid(clip(z, -10, 10))}, CE,
        "outputs are cut off at |z_L| = 10", "form"),
    "l1": (
        {"term": lambda W, b, m: 0.02 * sum(np.sum(np.sqrt(w * w)) for w in W)}, ANY,
        "the loss has a term 0.02 sum |W|", "term"),
    "a constant": (
        {"term": lambda W, b, m: 3.5}, ANY, "a constant, 3.5, is added to the loss", "constant"),
    # two at once
    "relu doubled": (
        {"hidden": relu, "scale": lambda m, n: 2}, ANY,
        "hidden layers look like relu and the loss is 2 times the one that is meant", "network"),
    "relu and softmax": (
        {"hidden": relu, "output": softmax, "form": lambda p, y: -y * np.log(p)}, CE,
        "hidden layers look like relu and the output looks like softmax over the outputs, with its "
        "cross-entropy", "network"),
    "tanh without biases": (
        {"hidden": np.tanh, "bias": lambda b, *_: 0}, ANY,
        "hidden layers look like tanh and the loss lacks the biases", "network"),
    "l2 over outputs": (
        {"term": lambda W, b, m: 0.05 / 2 * squares(W), "scale": lambda m, n: 1 / n}, ANY,
        "the loss is divided by m n_L, not by m and the loss has a term 0.05/2 sum W^2", "term"),
    "relu and l2": (
        {"hidden": relu, "term": lambda W, b, m: 0.05 / 2 * squares(W)}, ANY,
        "hidden layers look like relu and the loss has a term 0.05/2 sum W^2", "network"),
}  # fmt: skip


NAMELESS = {
    "error rate of leaky relu": (  # which is hardly ever another one than that of relu
        {"hidden": leaky, "form": lambda p, y: np.abs((p.real > 0.5) - y) + 0 * p}, ANY),
    "cubic hidden": ({"hidden": lambda z: z**3}, ANY),
    "cubic": ({"form": lambda p, y: (p - y) ** 3}, ANY),
    "first example twice": (
        {"form": lambda p, y: cross_entropy(p, y) * (1 + (np.arange(len(y)) == 0))[:, None]}, CE),
    "swish of three": ({"hidden": lambda z: z * sigmoid(3 * z)}, ANY),
    "odd weight": ({"term": lambda W, b, m: 0.1 * np.sum(W[0][0, 0] ** 2)}, ANY),
    "class weights": (
        {"form": lambda p, y: -3 * y * np.log(p) - (1 - y) * np.log(1 - p)}, CE),
}  # fmt: skip
