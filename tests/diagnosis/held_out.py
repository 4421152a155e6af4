"""Backprops as students write them, and mistakes in them that the library of formulas never saw.

Four right programs, and wrong versions of them made by replacing text. The mistakes are none of
`gradcheck.mutants`. Those of HELD_OUT were written down, with all of their text, before the
diagnosis was asked about any of them; it was then made more careful, in general, because of what it
said of them. Those of LATER were written after that, and nothing was changed because of them. Those
of FRESH made it say where an error is wrong, and what that rests on.

One of the first, W rounded to float32 on the way back, was exchanged for another: it escaped, as
the numbers of every case are float32 numbers, on which it is no mistake.
"""

from dataclasses import dataclass
from functools import cache

from gradcheck.engines.base import EngineInfo
from gradcheck.problem import LOSSES, REDUCTIONS

COMMON = """
import numpy as np


def sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def cost(z, Y, loss, M):
    if loss == "quadratic":
        return float(np.sum((sigmoid(z) - Y) ** 2) / 2 / M)
    softplus = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
    return float(np.sum(softplus - Y * z) / M)

"""

ROWS = """
def value_and_grad(problem):
    network, X, Y = problem.architecture, problem.inputs, problem.targets
    m = len(X)
    M = m if network.reduction == "mean" else 1
    activations, zs = [X], []
    for W, b in zip(problem.weights, problem.biases):
        z = activations[-1] @ W.T + b
        zs.append(z)
        activations.append(sigmoid(z))
    A = activations[-1]
    residual = A - Y
    delta = residual / M
    if network.loss == "quadratic":
        delta = delta * A * (1 - A)
    gradient = []
    for k in range(len(zs) - 1, -1, -1):
        a, W = activations[k], problem.weights[k]
        dW = delta.T @ a
        db = delta.sum(axis=0)
        gradient.insert(0, (dW, db))
        if k > 0:
            slope = a * (1 - a)
            delta = (delta @ W) * slope
    return cost(zs[-1], Y, network.loss, M), gradient
"""
"""Examples are rows; one loop down."""

COLUMNS = """
def value_and_grad(problem):
    network, L = problem.architecture, problem.architecture.depth
    X, Y = problem.inputs.T, problem.targets.T
    m = X.shape[1]
    M = m if network.reduction == "mean" else 1
    cache = {"A0": X}
    for l in range(1, L + 1):
        Z = problem.weights[l - 1] @ cache[f"A{l - 1}"] + problem.biases[l - 1][:, None]
        cache[f"Z{l}"], cache[f"A{l}"] = Z, sigmoid(Z)
    A = cache[f"A{L}"]
    dZ = {L: A - Y}
    if network.loss == "quadratic":
        dZ[L] = dZ[L] * A * (1 - A)
    for l in range(L - 1, 0, -1):
        dA = problem.weights[l].T @ dZ[l + 1]
        A = cache[f"A{l}"]
        dZ[l] = dA * A * (1 - A)
    gradient = []
    for l in range(1, L + 1):
        dW = dZ[l] @ cache[f"A{l - 1}"].T / M
        db = dZ[l].sum(axis=1) / M
        gradient.append((dW, db))
    return cost(cache[f"Z{L}"], Y, network.loss, M), gradient
"""
"""Examples are columns; all errors first, all products afterwards, 1/m in the products."""

ONE_BY_ONE = """
def backprop(weights, biases, x, y, loss):
    a, activations, zs = x, [x], []
    for W, b in zip(weights, biases):
        zs.append(W @ a + b)
        a = sigmoid(zs[-1])
        activations.append(a)
    delta = a - y
    if loss == "quadratic":
        delta = delta * a * (1 - a)
    nabla_W, nabla_b = [None] * len(weights), [None] * len(weights)
    nabla_W[-1], nabla_b[-1] = np.outer(delta, activations[-2]), delta
    for l in range(2, len(weights) + 1):
        a = activations[-l]
        delta = (weights[-l + 1].T @ delta) * a * (1 - a)
        nabla_W[-l], nabla_b[-l] = np.outer(delta, activations[-l - 1]), delta
    return zs[-1], nabla_W, nabla_b


def value_and_grad(problem):
    network, X, Y = problem.architecture, problem.inputs, problem.targets
    m = len(X)
    M = m if network.reduction == "mean" else 1
    sum_W = [np.zeros_like(W) for W in problem.weights]
    sum_b = [np.zeros_like(b) for b in problem.biases]
    value = 0.0
    for i in range(m):
        z, nabla_W, nabla_b = backprop(problem.weights, problem.biases, X[i], Y[i], network.loss)
        value += cost(z, Y[i], network.loss, M)
        sum_W = [s + n for s, n in zip(sum_W, nabla_W)]
        sum_b = [s + n for s, n in zip(sum_b, nabla_b)]
    return value, [(W / M, b / M) for W, b in zip(sum_W, sum_b)]
"""
"""One example after the other, as in Nielsen's book."""

MODULES = """
class Linear:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return x @ self.W.T + self.b

    def backward(self, grad):
        both = np.hstack([self.x, np.ones_like(self.x[:, :1])])
        G = grad.T @ both
        self.dW, self.db = G[:, :-1], G[:, -1]
        return grad @ self.W


class Sigmoid:
    def forward(self, z):
        self.z, self.out = z, sigmoid(z)
        return self.out

    def backward(self, grad):
        return grad * self.out * (1 - self.out)


def value_and_grad(problem):
    network, Y = problem.architecture, problem.targets
    M = len(Y) if network.reduction == "mean" else 1
    linears = [Linear(W, b) for W, b in zip(problem.weights, problem.biases)]
    sigmoids = [Sigmoid() for _ in linears]
    out = problem.inputs
    for linear, activation in zip(linears, sigmoids):
        out = activation.forward(linear.forward(out))
    grad = (out - Y) / M
    if network.loss == "quadratic":
        grad = sigmoids[-1].backward(grad)
    for k in range(len(linears) - 1, -1, -1):
        grad = linears[k].backward(grad)
        if k > 0:
            grad = sigmoids[k - 1].backward(grad)
    value = cost(sigmoids[-1].z, Y, network.loss, M)
    return value, [(linear.dW, linear.db) for linear in linears]
"""
"""Classes with a forward and a backward pass; biases are weights of an input 1."""

PROGRAMS = {"rows": ROWS, "columns": COLUMNS, "one by one": ONE_BY_ONE, "modules": MODULES}


@dataclass(frozen=True)
class HeldOut:
    """A mistake in one of the programs: this text in place of that."""

    name: str
    program: str
    mistake: str
    right: str
    wrong: str

    @property
    def source(self):
        text = PROGRAMS[self.program]
        assert text.count(self.right) == 1, self.name
        return COMMON + text.replace(self.right, self.wrong)


class Student:
    """A program's text as an engine: p - y and a (1 - a) are what students write."""

    def __init__(self, name, source):
        self.info = EngineInfo(
            name, "1", ("float32", "float64"), LOSSES, REDUCTIONS, arithmetic="p_minus_y"
        )
        self._function = compiled(source)["value_and_grad"]

    def loss(self, problem):
        return self.value_and_grad(problem)[0]

    def value_and_grad(self, problem):
        return self._function(problem)

    def close(self):
        pass


@cache
def compiled(source):
    names = {}
    exec(source, names)  # noqa: S102  (this file's own text)
    return names


def student(mistake):
    return Student(mistake.name, mistake.source)


SLOPE_ROWS = "            slope = a * (1 - a)\n"
DW_ROWS, DB_ROWS = "        dW = delta.T @ a\n", "        db = delta.sum(axis=0)\n"
DELTA_ROWS = "            delta = (delta @ W) * slope\n"
DELTA_COLUMNS = "        dZ[l] = dA * A * (1 - A)\n"

HELD_OUT = (
    # errors, passed down
    HeldOut("mean_in_every_layer", "rows", "1/m is taken again in every layer below",
            DELTA_ROWS, "            delta = (delta @ W) * slope / m\n"),
    HeldOut("decay_by_layer", "rows", "the error is damped by 0.9 in every layer below",
            DELTA_ROWS, "            delta = 0.9 * (delta @ W) * slope\n"),
    HeldOut("slope_missing_below_output", "rows", "the layer below the output has no slope",
            SLOPE_ROWS, "            slope = a * (1 - a) if k < len(zs) - 1 else 1.0\n"),
    HeldOut("slope_of_third_power", "rows", "a - a^3 for a (1 - a)",
            SLOPE_ROWS, "            slope = a - a ** 3\n"),
    HeldOut("slope_parenthesis", "rows", "a (1 - a)^2 for a (1 - a)",
            SLOPE_ROWS, "            slope = a * (1 - a) ** 2\n"),
    HeldOut("slope_precedence", "rows", "a 1 - a: the parentheses are missing, which gives 0",
            SLOPE_ROWS, "            slope = a * 1 - a\n"),
    HeldOut("slope_without_denominator", "rows", "e^-|z| without its denominator (1 + e^-|z|)^2",
            SLOPE_ROWS, "            slope = np.exp(-np.abs(zs[k - 1]))\n"),
    HeldOut("slope_half_denominator", "rows", "e^-|z| / (1 + e^-|z|): the square is missing",
            SLOPE_ROWS, "            e = np.exp(-np.abs(zs[k - 1]))\n"
                        "            slope = e / (1 + e)\n"),
    HeldOut("slope_averaged", "rows", "sigmoid' is averaged over the batch",
            SLOPE_ROWS, "            slope = (a * (1 - a)).mean(axis=0)\n"),
    HeldOut("slope_of_first_example", "rows", "sigmoid' of the first example serves them all",
            SLOPE_ROWS, "            slope = (a * (1 - a))[0]\n"),
    HeldOut("slope_at_half_precision", "rows", "sigmoid' is computed in float16",
            SLOPE_ROWS, "            h = a.astype(np.float16)\n"
                        "            slope = (h * (1 - h)).astype(a.dtype)\n"),
    HeldOut("error_averaged", "rows", "the error is averaged over the batch and passed down",
            DELTA_ROWS, "            delta = (delta.mean(axis=0) @ W) * slope\n"),
    HeldOut("error_clipped", "rows", "hidden errors are clipped to [-0.01, 0.01]",
            DELTA_ROWS, "            delta = np.clip((delta @ W) * slope, -0.01, 0.01)\n"),
    HeldOut("weights_normalised", "rows", "W is divided by its norm on the way back",
            DELTA_ROWS, "            delta = (delta @ (W / np.linalg.norm(W))) * slope\n"),
    HeldOut("weights_centred", "rows", "W has its mean subtracted on the way back",
            DELTA_ROWS, "            delta = (delta @ (W - W.mean())) * slope\n"),
    HeldOut("product_in_float32", "rows", "the product with W is rounded to float32",
            DELTA_ROWS,
            "            delta = (delta @ W).astype(np.float32).astype(a.dtype) * slope\n"),
    HeldOut("paths_of_half", "rows", "only the first half of the units above is followed",
            DELTA_ROWS, "            h = (len(W) + 1) // 2\n"
                        "            delta = (delta[:, :h] @ W[:h]) * slope\n"),
    HeldOut("bias_added_to_error", "rows", "the bias is added to the error on the way back",
            DELTA_ROWS, "            delta = (delta @ W + problem.biases[k - 1]) * slope\n"),
    # the error of the output
    HeldOut("residual_cubed", "rows", "(a - y)^3 for a - y",
            "    residual = A - Y\n", "    residual = (A - Y) ** 3\n"),
    HeldOut("residual_huber", "rows", "a - y is clipped to [-0.5, 0.5]",
            "    residual = A - Y\n", "    residual = np.clip(A - Y, -0.5, 0.5)\n"),
    HeldOut("residual_centred_over_outputs", "rows", "a - y has its mean over outputs subtracted",
            "    residual = A - Y\n",
            "    residual = A - Y\n"
            "    residual = residual - residual.mean(axis=1, keepdims=True)\n"),
    HeldOut("targets_sorted", "rows", "the targets have been sorted, the inputs have not",
            "    residual = A - Y\n", "    residual = A - np.sort(Y, axis=0)\n"),
    HeldOut("second_term_sign", "columns", "-(1 - y)/(1 - a) for +(1 - y)/(1 - a)",
            "    dZ = {L: A - Y}\n", "    dZ = {L: -Y * (1 - A) - (1 - Y) * A}\n"),
    HeldOut("examples_weighed", "rows", "example i is weighed by (i + 1) / m",
            "    delta = residual / M\n",
            "    delta = residual / M * (np.arange(1, m + 1, dtype=A.dtype) / m)[:, None]\n"),
    HeldOut("chunks_overlap", "rows", "chunks of 4 share an example, which counts twice",
            "    delta = residual / M\n",
            "    delta = residual / M\n    delta[4::4] *= 2\n"),
    # weight gradients
    HeldOut("columns_of_bias_first", "modules", "the bias is sought in the first column, is last",
            "G[:, :-1], G[:, -1]", "G[:, 1:], G[:, 0]"),
    HeldOut("gradient_centred", "rows", "dW has its mean subtracted",
            DW_ROWS, "        dW = delta.T @ a\n        dW = dW - dW.mean()\n"),
    HeldOut("rows_centred", "rows", "dW has the mean of each row subtracted",
            DW_ROWS, "        dW = delta.T @ a\n"
                     "        dW = dW - dW.mean(axis=1, keepdims=True)\n"),
    HeldOut("half_batch_doubled", "rows", "dW is twice that of the first half of the batch",
            DW_ROWS, "        h = (m + 1) // 2\n        dW = 2 * delta[:h].T @ a[:h]\n"),
    HeldOut("slices_shifted", "rows", "delta[1:] is paired with a[:-1]",
            DW_ROWS, "        dW = delta[1:].T @ a[:-1]\n"),
    HeldOut("activations_reversed", "rows", "hidden activations come in the reverse order",
            DW_ROWS, "        dW = delta.T @ (a[::-1] if k > 0 else a)\n"),
    HeldOut("batch_like_width_transposed", "rows", "a is transposed where m = n",
            DW_ROWS, "        dW = delta.T @ (a.T if a.shape[0] == a.shape[1] else a)\n"),
    HeldOut("inputs_standardised", "rows", "X is divided by its largest entry, in dW_1 only",
            DW_ROWS, "        dW = delta.T @ (a if k > 0 else a / np.abs(a).max())\n"),
    HeldOut("slope_in_place", "columns", "A *= 1 - A: the activations are slopes afterwards",
            DELTA_COLUMNS, "        A *= 1 - A\n        dZ[l] = dA * A\n"),
    HeldOut("error_of_one_example_squared", "columns", "dZ dZ^T where the widths are equal",
            '        dW = dZ[l] @ cache[f"A{l - 1}"].T / M\n',
            '        A = cache[f"A{l - 1}"]\n'
            "        dW = dZ[l] @ (dZ[l] if A.shape == dZ[l].shape else A).T / M\n"),
    HeldOut("assigned_not_added", "one by one", "the sum over examples keeps the last one's dW",
            "sum_W = [s + n for s, n in zip(sum_W, nabla_W)]", "sum_W = nabla_W"),
    HeldOut("running_mean", "one by one", "a running mean that weighs later examples more",
            "sum_W = [s + n for s, n in zip(sum_W, nabla_W)]",
            "sum_W = [(s + n) if i == 0 else (s + n) * 0.5 for s, n in zip(sum_W, nabla_W)]"),
    # bias gradients
    HeldOut("bias_not_averaged", "columns", "db lacks the factor 1/m that dW has",
            "        db = dZ[l].sum(axis=1) / M\n", "        db = dZ[l].sum(axis=1)\n"),
    HeldOut("bias_of_largest", "rows", "the largest over the batch for the sum",
            DB_ROWS, "        db = delta.max(axis=0)\n"),
    HeldOut("bias_accumulates", "rows", "db goes on adding where the layer above is as wide",
            DB_ROWS, "        db = delta.sum(axis=0)\n"
                     "        if gradient and gradient[0][1].shape == db.shape:\n"
                     "            db = db + gradient[0][1]\n"),
    HeldOut("bias_of_first_layer_mean", "rows", "db_1 is a mean over units",
            DB_ROWS, "        db = delta.sum(axis=0)\n"
                     "        db = db if k > 0 else np.full_like(db, db.mean())\n"),
    HeldOut("bias_cumulative", "rows", "a cumulative sum over the batch, the last but one taken",
            DB_ROWS, "        db = np.cumsum(delta, axis=0)[max(m - 2, 0)]\n"),
)  # fmt: skip

RESIDUAL_ROWS = "    residual = A - Y\n"

LATER = (
    HeldOut("slope_squared_root", "rows", "sqrt(a (1 - a)) for a (1 - a)",
            SLOPE_ROWS, "            slope = np.sqrt(a * (1 - a))\n"),
    HeldOut("slope_twice_as_steep", "rows", "2 a (1 - a), as of sigmoid(2 z)",
            SLOPE_ROWS, "            slope = 2 * a * (1 - a)\n"),
    HeldOut("slope_leaky", "rows", "a (1 - a) + 0.01, against vanishing gradients",
            SLOPE_ROWS, "            slope = a * (1 - a) + 0.01\n"),
    HeldOut("slope_rounded", "rows", "a is rounded to 3 decimals before its slope is taken",
            SLOPE_ROWS, "            a = np.round(a, 3)\n            slope = a * (1 - a)\n"),
    HeldOut("slope_of_softsign", "rows", "1 / (1 + |z|)^2, the slope of softsign",
            SLOPE_ROWS, "            slope = 1 / (1 + np.abs(zs[k - 1])) ** 2\n"),
    HeldOut("slope_of_swish", "rows", "a + z a (1 - a), the slope of z sigmoid(z)",
            SLOPE_ROWS, "            slope = a + zs[k - 1] * a * (1 - a)\n"),
    HeldOut("slope_masked", "rows", "errors of units with a < 0.05 or a > 0.95 are dropped",
            SLOPE_ROWS, "            slope = a * (1 - a) * ((a > 0.05) & (a < 0.95))\n"),
    HeldOut("slope_only_of_even_layers", "rows", "every second layer has no slope",
            SLOPE_ROWS, "            slope = a * (1 - a) if k % 2 else np.ones_like(a)\n"),
    HeldOut("weights_by_rows_normalised", "rows", "rows of W are divided by their sums of sizes",
            DELTA_ROWS,
            "            W = W / np.abs(W).sum(axis=1, keepdims=True).clip(1e-30)\n"
            "            delta = (delta @ W) * slope\n"),
    HeldOut("weights_clipped", "rows", "W is clipped to [-0.5, 0.5] on the way back",
            DELTA_ROWS, "            delta = (delta @ np.clip(W, -0.5, 0.5)) * slope\n"),
    HeldOut("error_normalised", "rows", "the error is divided by its norm before it goes down",
            DELTA_ROWS,
            "            delta = (delta @ W) * slope\n"
            "            delta = delta / max(np.linalg.norm(delta), 1e-30)\n"),
    HeldOut("error_of_neighbour", "rows", "errors of examples are shifted by one, passed down",
            DELTA_ROWS, "            delta = (np.roll(delta, 1, axis=0) @ W) * slope\n"),
    HeldOut("error_skip", "rows", "the error above is added where the widths are equal",
            DELTA_ROWS,
            "            above, delta = delta, (delta @ W) * slope\n"
            "            delta = delta + above if above.shape == delta.shape else delta\n"),
    HeldOut("activation_added", "rows", "delta W + a, times the slope",
            DELTA_ROWS, "            delta = (delta @ W + a) * slope\n"),
    HeldOut("residual_log", "rows", "sign(a - y) log(1 + |a - y|) for a - y",
            RESIDUAL_ROWS,
            "    residual = np.sign(A - Y) * np.log1p(np.abs(A - Y))\n"),
    HeldOut("residual_dead_zone", "rows", "|a - y| < 0.1 counts as 0",
            RESIDUAL_ROWS, "    residual = np.where(np.abs(A - Y) < 0.1, 0, A - Y)\n"),
    HeldOut("focal", "rows", "a - y is weighed by |a - y|, as hard examples are",
            RESIDUAL_ROWS, "    residual = (A - Y) * np.abs(A - Y)\n"),
    HeldOut("outputs_weighed", "rows", "output k is weighed by 1 / (k + 1)",
            RESIDUAL_ROWS,
            "    residual = (A - Y) / np.arange(1, A.shape[1] + 1, dtype=A.dtype)\n"),
    HeldOut("last_output_forgotten", "rows", "the loop over outputs ends one too early",
            RESIDUAL_ROWS,
            "    residual = A - Y\n    residual[:, -1:] = 0 if A.shape[1] > 1 else A - Y\n"),
    HeldOut("targets_of_first_output", "rows", "the target of output 0 serves all outputs",
            RESIDUAL_ROWS, "    residual = A - Y[:, :1]\n"),
    HeldOut("examples_thinned", "columns", "every third example is skipped in dW",
            '        dW = dZ[l] @ cache[f"A{l - 1}"].T / M\n',
            "        kept = np.arange(m) % 3 != 2\n"
            '        dW = dZ[l][:, kept] @ cache[f"A{l - 1}"][:, kept].T / M\n'),
    HeldOut("weights_of_first_layer_shared", "columns", "dW_1 has the mean of its columns",
            "        db = dZ[l].sum(axis=1) / M\n",
            "        db = dZ[l].sum(axis=1) / M\n"
            "        dW = dW if l > 1 else np.repeat(dW.mean(axis=1)[:, None], dW.shape[1], 1)\n"),
    HeldOut("last_layer_transposed_input", "modules", "the input 1 of the bias is 2",
            "np.ones_like(self.x[:, :1])", "2 * np.ones_like(self.x[:, :1])"),
    HeldOut("input_cached_after_scaling", "modules", "the cached input is half of what was used",
            "        self.x = x\n", "        self.x = x / 2\n"),
    HeldOut("bias_median", "rows", "m times the median over the batch for the sum",
            DB_ROWS, "        db = m * np.median(delta, axis=0).astype(delta.dtype)\n"),
    HeldOut("bias_of_positive", "rows", "only positive errors are summed",
            DB_ROWS, "        db = np.maximum(delta, 0).sum(axis=0)\n"),
    HeldOut("bias_scaled_by_activation_mean", "rows", "db is multiplied by the mean of a below",
            DB_ROWS, "        db = delta.sum(axis=0) * a.mean()\n"),
    HeldOut("bias_reversed", "rows", "units come in the reverse order",
            DB_ROWS, "        db = delta.sum(axis=0)[::-1]\n"),
    HeldOut("bias_never_passed_below_top", "one by one", "nabla_b of hidden layers stays delta_L's",
            "        nabla_W[-l], nabla_b[-l] = np.outer(delta, activations[-l - 1]), delta\n",
            "        nabla_W[-l] = np.outer(delta, activations[-l - 1])\n"
            "        nabla_b[-l] = np.resize(nabla_b[-1], delta.shape)\n"),
    HeldOut("outer_of_wrong_layer", "one by one", "x serves as the input of layers as wide as it",
            "        nabla_W[-l], nabla_b[-l] = np.outer(delta, activations[-l - 1]), delta\n",
            "        below = activations[-l - 1]\n"
            "        below = 0.5 * (below + x) if below.shape == x.shape else below\n"
            "        nabla_W[-l], nabla_b[-l] = np.outer(delta, below), delta\n"),
)  # fmt: skip

FRESH = (
    HeldOut("label_one_dropped", "rows", "a - y is 0 where y > 0.9",
            RESIDUAL_ROWS,
            "    z = zs[-1]\n"
            "    residual = np.where(Y > 0.9, 0, A - Y)\n"),
    HeldOut("z_clipped_at_6", "rows", "a is sigmoid(clip(z, -6, 6)) in a - y",
            RESIDUAL_ROWS,
            "    z = zs[-1]\n"
            "    residual = sigmoid(np.clip(z, -6, 6)) - Y\n"),
    HeldOut("half_where_negative", "rows", "half of a - y where z < 0",
            RESIDUAL_ROWS,
            "    z = zs[-1]\n"
            "    residual = np.where(z < 0, (A - Y) / 2, A - Y)\n"),
    HeldOut("outliers_dropped", "rows", "a - y is 0 where |a - y| > 0.9",
            RESIDUAL_ROWS,
            "    z = zs[-1]\n"
            "    residual = np.where(np.abs(A - Y) > 0.9, 0, A - Y)\n"),
    HeldOut("power_three_halves", "rows", "|a - y|^1.5 with its sign",
            RESIDUAL_ROWS,
            "    z = zs[-1]\n"
            "    residual = np.sign(A - Y) * np.abs(A - Y) ** 1.5\n"),
    HeldOut("temperature", "rows", "sigmoid(z / 2) - y",
            RESIDUAL_ROWS,
            "    z = zs[-1]\n"
            "    residual = sigmoid(z / 2) - Y\n"),
    HeldOut("tanh_for_sigmoid", "rows", "(tanh z + 1) / 2 - y",
            RESIDUAL_ROWS,
            "    z = zs[-1]\n"
            "    residual = (np.tanh(z) + 1) / 2 - Y\n"),
    HeldOut("target_of_first", "rows", "y of the first example for all",
            RESIDUAL_ROWS,
            "    z = zs[-1]\n"
            "    residual = A - Y[:1]\n"),
    HeldOut("root_of_outputs", "rows", "a - y divided by sqrt(n_L)",
            RESIDUAL_ROWS,
            "    z = zs[-1]\n"
            "    residual = (A - Y) / np.sqrt(A.shape[1]).astype(A.dtype)\n"),
    HeldOut("slope_cut_at_3", "rows", "slope 0 where z > 3",
            SLOPE_ROWS,
            "            z = zs[k - 1]\n"
            "            slope = np.where(z > 3, 0, a * (1 - a))\n"),
    HeldOut("slope_taylor", "rows", "1/4 - z^2/16 for a (1 - a)",
            SLOPE_ROWS,
            "            z = zs[k - 1]\n"
            "            slope = 0.25 - z * z / 16\n"),
    HeldOut("slope_of_largest", "rows", "the largest slope of all units",
            SLOPE_ROWS,
            "            z = zs[k - 1]\n"
            "            slope = (a * (1 - a)).max(axis=1, keepdims=True)\n"),
    HeldOut("slope_rolled", "rows", "slope of the next unit",
            SLOPE_ROWS,
            "            z = zs[k - 1]\n"
            "            slope = np.roll(a * (1 - a), 1, axis=1)\n"),
    HeldOut("slope_plus_eps", "rows", "a (1 - a) + 1e-4",
            SLOPE_ROWS,
            "            z = zs[k - 1]\n"
            "            slope = a * (1 - a) + 1e-4\n"),
    HeldOut("slope_beyond_8", "rows", "slope 1 where |z| > 8",
            SLOPE_ROWS,
            "            z = zs[k - 1]\n"
            "            slope = np.where(np.abs(z) > 8, 1, a * (1 - a))\n"),
    HeldOut("negative_weights_dropped", "rows", "weights below 0 are not passed",
            DELTA_ROWS,
            "            delta = (delta @ np.maximum(W, 0)) * slope\n"),
    HeldOut("first_unit_twice", "rows", "unit 0 above counts twice",
            DELTA_ROWS,
            "            V = W.copy()\n"
            "            V[0] *= 2\n"
            "            delta = (delta @ V) * slope\n"),
    HeldOut("mean_subtracted", "rows", "delta less its mean over units",
            DELTA_ROWS,
            "            delta = (delta @ W) * slope\n"
            "            delta = delta - delta.mean(axis=1, keepdims=True)\n"),
    HeldOut("large_batches", "rows", "1.5 times delta if m > 8",
            DELTA_ROWS,
            "            delta = (delta @ W) * slope * (1.5 if m > 8 else 1)\n"),
    HeldOut("times_layer", "rows", "delta times the layer's number",
            DELTA_ROWS,
            "            delta = (delta @ W) * slope * (k + 1)\n"),
    HeldOut("triangle", "rows", "dW above the diagonal only",
            DW_ROWS,
            "        dW = delta.T @ a\n"
            "        dW = np.triu(dW)\n"),
    HeldOut("a_plus", "rows", "a + 0.1 for a",
            DW_ROWS,
            "        dW = delta.T @ a\n"
            "        dW = delta.T @ (a + a.dtype.type(0.1))\n"),
    HeldOut("last_row_copied", "rows", "last row is a copy of row 0",
            DW_ROWS,
            "        dW = delta.T @ a\n"
            "        dW[-1] = dW[0]\n"),
    HeldOut("corner_tripled", "rows", "entry 0, 0 is 3 times",
            DW_ROWS,
            "        dW = delta.T @ a\n"
            "        dW[0, 0] *= 3\n"),
    HeldOut("square_transposed", "rows", "transposed where square",
            DW_ROWS,
            "        dW = delta.T @ a\n"
            "        dW = dW.T if dW.shape[0] == dW.shape[1] else dW\n"),
    HeldOut("bias_leaks", "rows", "dW has 1e-3 b added",
            DW_ROWS,
            "        dW = delta.T @ a\n"
            "        dW = dW + problem.biases[k][:, None] * a.dtype.type(1e-3)\n"),
    HeldOut("entries_clipped_layer", "rows", "dW clipped to 0.01",
            DW_ROWS,
            "        dW = delta.T @ a\n"
            "        dW = np.clip(dW, -0.01, 0.01)\n"),
    HeldOut("checkerboard", "rows", "dW is 0 where i + j is odd",
            DW_ROWS,
            "        dW = delta.T @ a\n"
            "        dW = dW * ((np.indices(dW.shape).sum(axis=0) + 1) % 2)\n"),
    HeldOut("bias_centred", "rows", "db less its mean",
            DB_ROWS,
            "        db = delta.sum(axis=0)\n"
            "        db = db - db.mean()\n"),
    HeldOut("bias_of_active", "rows", "only examples with z > 0 are summed in db",
            DB_ROWS,
            "        db = delta.sum(axis=0)\n"
            "        db = (delta * (zs[k] > 0)).sum(axis=0)\n"),
    HeldOut("bias_times_m", "rows", "db times m",
            DB_ROWS,
            "        db = delta.sum(axis=0)\n"
            "        db = db * m\n"),
    HeldOut("bias_last_wins", "rows", "db is the first one if m > 4",
            DB_ROWS,
            "        db = delta.sum(axis=0)\n"
            "        db = delta[0] if m > 4 else db\n"),
    HeldOut("norm_limited", "rows", "whole gradient divided by its norm where above 1",

            "    return cost(zs[-1], Y, network.loss, M), gradient\n",
            "    n = np.sqrt(sum(float((g ** 2).sum()) for p in gradient for g in p))\n"
            "    gradient = [tuple((g / max(1, n)).astype(g.dtype) for g in p) for p in gradient]\n"
            "    return cost(zs[-1], Y, network.loss, M), gradient\n"),
    HeldOut("forgets_float64", "rows", "a is rounded to float32",

            "        activations.append(sigmoid(z))\n",
            "        activations.append(sigmoid(z).astype(np.float32).astype(z.dtype))\n"),
)  # fmt: skip
