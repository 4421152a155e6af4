r"""C5: the derivatives of a vector function stack into the Jacobian.

Symbols: F(w) = a_L the K outputs of a network for one example, N parameters, J = dF/dw, (K, N).

    row k      dF_k/dw, the gradient of output k: one backward pass started with e_k at a_L
    column j   dF/dw_j, how all outputs move with one parameter: (F(w + h e_j) - F(w)) / h

K backward passes against N + 1 forward ones. The gradient of a loss C(F(w)) is u^T J, u = dC/dF:
one backward pass started with u, without J. Both ways are sums of at most K products of the same
local derivatives, so that with unit roundoff U they differ by at most

    2 (K + 8) U sum_k |u_k J_kj|
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from gradcheck.checks.jacobian import check_jacobian
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Verdict
from gradcheck.splitmix64 import Stream
from gradcheck.studies.report.fits import fit_power_law
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import Claim, Evidence, Finding
from gradcheck.studies.report.textbook.landscape import Array, Parameters
from gradcheck.studies.report.textbook.witness import U
from gradcheck.studies.report.words import plus_minus
from reference_models import sigmoid_network
from reference_models.circuit import Circuit, Values
from reference_models.circuit_models import network_values
from reference_models.circuit_models import sigmoid_network as network_circuit
from reference_models.datasets import load_digits, one_hot
from reference_models.node import Node

CHECKED, COUNTED = (64, 3, 10), (64, 30, 10)
"""Layer sizes: every entry held to error bounds; passes counted."""
STEPS = 2.0 ** -np.arange(8, 14, 2)

Rows = Callable[[Circuit, Values, Sequence[Node]], list[Array]]


def jacobian_by_rows(circuit: Circuit, values: Values, wrt: Sequence[Node]) -> list[Array]:
    """Return dF/dx for every x of `wrt`, (K, *x.shape), by one backward pass an output."""
    F = circuit.outputs[0]
    seeds = np.eye(F.size).reshape(F.size, *F.shape)
    rows = [circuit.backward(values, wrt, seed=e_k) for e_k in seeds]
    return [np.stack([np.asarray(row[x]) for row in rows]) for x in wrt]


def measure(settings: Settings, rows: Rows = jacobian_by_rows) -> Evidence:
    """Build Jacobians by rows and by columns and compare them, entry by entry."""
    small, network = (_Network(sizes, settings.seed, rows) for sizes in (CHECKED, COUNTED))
    return Evidence((_entries(small), _passes(network), _loss(network)))


class _Counted(Circuit):
    """A circuit that counts its passes."""

    forward_passes = 0
    backward_passes = 0

    def forward(self, *args: Any, **keywords: Any) -> Values:
        self.forward_passes += 1
        return super().forward(*args, **keywords)

    def backward(self, *args: Any, **keywords: Any) -> Values:
        self.backward_passes += 1
        return super().backward(*args, **keywords)


class _Network:
    """A network with random weights and the first digit as its example."""

    def __init__(self, sizes: tuple[int, ...], seed: int, rows: Rows) -> None:
        data = load_digits()
        self.sizes, self._rows = sizes, rows
        self.X, self.Y = data.inputs[:1] / 16, one_hot(data.labels[:1], sizes[-1])
        self.x: list[Array] = []
        for l, (n_in, n) in enumerate(pairwise(sizes), start=1):  # noqa: E741  (the layer's symbol)
            W = Stream(seed, f"W{l}").normal((n, n_in)) / np.sqrt(n_in)
            self.x += [W, Stream(seed, f"b{l}").normal((n,))]
        model = network_circuit(sizes, 1)
        self.circuit, self.wrt = _Counted(model.a[-1]), model.parameters
        self.columns_passes = 0

    @property
    def N(self) -> int:  # noqa: N802  (the symbol)
        """How many parameters there are."""
        return sum(block.size for block in self.x)

    def outputs(self, x: list[Array]) -> Array:
        """F, by the vectorised network, counted."""
        self.columns_passes += 1
        return np.asarray(sigmoid_network.forward(_pairs(x), self.X)[0])

    def rows(self, x: list[Array]) -> list[Array]:
        """J by rows, one array (K, *shape) a parameter."""
        values = self.circuit.forward(self._values(x))
        return self._rows(self.circuit, values, self.wrt)

    def weighed(self, u: Array) -> list[Array]:
        """u^T J by one backward pass."""
        values = self.circuit.forward(self._values(self.x))
        g = self.circuit.backward(values, self.wrt, seed=u[None, :])
        return [np.asarray(g[node]) for node in self.wrt]

    def columns(self, h: float) -> Array:
        """J, (K, N), by moving every parameter by h."""
        x, F = [block.copy() for block in self.x], self.outputs(self.x)
        columns = []
        for block in x:
            flat = block.reshape(-1)
            for j, saved in enumerate(flat):
                flat[j] = saved + h
                columns.append((self.outputs(x) - F) / (flat[j] - saved))
                flat[j] = saved
        return np.stack(columns, axis=1)

    def _values(self, x: list[Array]) -> dict[str, Array]:
        values = network_values(_pairs(x), self.X, self.Y)
        return {name: values[name] for name in self.circuit.variables}


def _pairs(x: list[Array]) -> Parameters:
    return list(zip(x[::2], x[1::2], strict=True))


def _matrix(blocks: list[Array]) -> Array:
    return np.concatenate([block.reshape(len(block), -1) for block in blocks], axis=1)


def _name(sizes: tuple[int, ...]) -> str:
    return "-".join(str(n) for n in sizes)


def _entries(network: _Network) -> Finding:
    outcome: Outcome = check_jacobian(network.outputs, network.rows, network.x)
    compared = sum(outcome.counts.values())
    return Finding(
        "digits, {sizes}: {compared} entries of the Jacobian, {K} x {N}, by rows held against "
        "differences of every output: {verdict}, {failed} wrong; an error above {seen} of an "
        "informative entry would have been seen",
        outcome.verdict is Verdict.PASS and compared == network.sizes[-1] * network.N,
        {
            "sizes": _name(network.sizes),
            "K": network.sizes[-1],
            "N": network.N,
            "compared": compared,
            "verdict": outcome.verdict.value,
            "failed": outcome.counts.get("failed", 0),
        },
        {"seen": outcome.resolution},
    )


def _passes(network: _Network) -> Finding:
    """Count what either way takes; the two matrices differ by O(h)."""
    J = _matrix(network.rows(network.x))
    forward, backward = network.circuit.forward_passes, network.circuit.backward_passes
    errors = [float(np.max(np.abs(network.columns(h) - J))) for h in STEPS]
    columns = network.columns_passes / len(STEPS)
    law = fit_power_law(STEPS, errors)
    bend = abs(float(np.log2(errors[0] * errors[2] / errors[1] ** 2))) / 2
    K, N = network.sizes[-1], network.N
    return Finding(
        "digits, {sizes}: {K} x {N} by rows takes {forward} forward and {backward} backward "
        "passes, by columns {columns} forward passes; the two differ as h^p, p = {order} "
        "(standard error, systematic)",
        J.shape == (K, N)
        and (forward, backward, columns) == (1, K, N + 1)
        and law.identifies(1, bend),
        {
            "sizes": _name(network.sizes),
            "K": K,
            "N": N,
            "forward": forward,
            "backward": backward,
            "columns": columns,
        },
        {"order": plus_minus(law.to_json(), bend)},
    )


def _loss(network: _Network) -> Finding:
    """Weigh the rows by dC/dF; start one backward pass with it."""
    a = sigmoid_network.forward(_pairs(network.x), network.X)[0]
    y = network.Y[0]
    u = -y / a + (1 - y) / (1 - a)
    J = network.rows(network.x)
    before = network.circuit.backward_passes
    direct = network.weighed(u)
    passes = network.circuit.backward_passes - before
    K, worst = len(u), 0.0
    for rows, g in zip(J, direct, strict=True):
        allowed = 2 * (K + 8) * U * np.tensordot(np.abs(u), np.abs(rows), 1)
        deviation = np.abs(np.tensordot(u, rows, 1) - g)
        ratio = np.divide(deviation, allowed, out=np.zeros_like(g), where=allowed > 0)
        worst = max(worst, float(np.max(np.where((allowed == 0) & (deviation > 0), np.inf, ratio))))
    return Finding(
        "the gradient of a loss needs no Jacobian: {passes} backward pass started with dC/da gives "
        "the rows weighed with dC/da; the largest deviation is {worst} of what rounding allows",
        worst <= 1 and passes == 1,
        {"passes": passes},
        {"worst": worst},
    )


CLAIM = Claim(
    id="C5",
    title="Vector derivatives stack into the Jacobian",
    statement="Derivatives of a vector function stack into the Jacobian",
    how="networks with 10 outputs on digits: rows by one backward pass an output, columns by "
    "moving one parameter; entries compared, passes counted",
    source="Griewank and Walther 2008, section 3.2",
    measure=measure,
)
