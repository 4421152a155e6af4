"""C22: the gradient on an intermediate value q is said not to be useful.

Symbols: f = q z with q = x + y, as in C10; g_q = df/dq the gradient that q receives.

    df/dx = g_q dq/dx,   df/dy = g_q dq/dy,   df/dz = q

g_q enters two of the three derivatives and not the third. In a network q is any z_l and g_q its
delta_l = dC/dz_l, of which all that lies below is made:

    dC/dW_l = delta_l^T a_{l-1},  dC/db_l = delta_l,  delta_{l-1} = (delta_l W_l) * sigma'(z_{l-1})

(Rumelhart, Hinton and Williams 1986; Nielsen 2015, chapter 2.) A circuit is cut at q: what lies
above hands g_q down, what lies below is differentiated with g_q for a seed, or with 1 in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradcheck.problems.case import Case
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c10_gates import POINT, f, q, x, y, z
from gradcheck.studies.report.textbook.claim import REFUTED, Claim, Evidence, Finding
from reference_models.circuit import Circuit
from reference_models.circuit_models import sigmoid_network
from reference_models.node import Node

Backward = Callable[..., Mapping[Any, Any]]

OTHER_POINTS = 50
SIZES, EXAMPLES = (4, 3, 2), 5


def measure(
    settings: Settings, backward: Backward = Circuit.backward, output: Node = f
) -> Evidence:
    """Differentiate what lies below q with its gradient and with 1 in its place."""
    generator = np.random.default_rng(settings.seed)
    drawn = generator.integers(-64, 65, (OTHER_POINTS, 3)) / 8.0
    points = [dict(zip("xyz", numbers.tolist(), strict=True)) for numbers in drawn]
    return Evidence(
        (
            _handed_down(output, backward, [POINT, *points]),
            _at_the_point(output, backward),
            _elsewhere(output, backward, points),
            _network(settings.seed, backward),
        )
    )


def _gradient(
    output: Node, backward: Backward, point: Mapping[str, float], *, useful: bool
) -> tuple[dict[str, float], float]:
    """Return the three derivatives, the circuit cut at q, and what q receives."""
    above = Circuit(output)
    received = backward(above, above.forward(point), [q, z])
    seed = received[q] if useful else np.ones(())
    below = Circuit(q)
    handed = backward(below, below.forward({n: point[n] for n in "xy"}), [x, y], seed=seed)
    gradient = {"x": float(handed[x]), "y": float(handed[y]), "z": float(received[z])}
    return gradient, float(received[q])


def _handed_down(output: Node, backward: Backward, points: list[Mapping[str, float]]) -> Finding:
    """Cut at q and put together again, the circuit has the gradient that it has whole."""
    whole, equal = Circuit(output), 0
    for point in points:
        g = whole.backward(whole.forward(point))
        cut, _ = _gradient(output, backward, point, useful=True)
        equal += cut == {"x": float(g[x]), "y": float(g[y]), "z": float(g[z])}
    return Finding(
        "handed down at q, df/dq gives df/dx, df/dy and df/dz as the whole circuit has them, to "
        "the bit, at {equal} of {n} points",
        equal == len(points),
        {"equal": equal, "n": len(points)},
    )


def _at_the_point(output: Node, backward: Backward) -> Finding:
    kept, g_q = _gradient(output, backward, POINT, useful=True)
    dropped, _ = _gradient(output, backward, POINT, useful=False)
    return Finding(
        "at ({x:g}, {y:g}, {z:g}) no derivative depends on the {g_q:g} that q receives: with 1 in "
        "its place ({kept}) becomes ({dropped})",
        dropped == kept,
        {
            **POINT,
            "g_q": g_q,
            "kept": ", ".join(f"{d:g}" for d in kept.values()),
            "dropped": ", ".join(f"{d:g}" for d in dropped.values()),
        },
        expected=False,
    )


def _elsewhere(output: Node, backward: Backward, points: list[dict[str, float]]) -> Finding:
    same = dict.fromkeys("xyz", 0)
    for point in points:
        kept, _ = _gradient(output, backward, point, useful=True)
        dropped, _ = _gradient(output, backward, point, useful=False)
        for name in "xyz":
            same[name] += kept[name] == dropped[name]
    return Finding(
        "at {n} other points none depends on it: with 1 in its place df/dx is right at {x}, df/dy "
        "at {y}, df/dz at {z} of them",
        all(count == len(points) for count in same.values()),
        {"n": len(points), **same},
        expected=False,
    )


def _network(seed: int, backward: Backward) -> Finding:
    """Put 1 in the place of delta_1 and count the derivatives that stay, bit by bit."""
    model = sigmoid_network(SIZES, EXAMPLES)
    problem = Case(sizes=SIZES, batch=EXAMPLES, seed=seed).problem()
    named = {"X": problem.inputs, "Y": problem.targets}
    for layer, (W, b) in enumerate(zip(problem.weights, problem.biases, strict=True), start=1):
        named |= {f"W{layer}": W, f"b{layer}": b}
    values = model.circuit.forward(named)
    right = model.circuit.backward(values, model.parameters)
    z_1, (W_1, b_1, *upper) = model.z[0], model.parameters
    received = backward(model.circuit, values, [z_1, *upper])
    below = Circuit(z_1)
    dropped = backward(below, values, [W_1, b_1], seed=np.ones(z_1.shape))
    stays = sum(int(np.sum(dropped[v] == right[v])) for v in (W_1, b_1))
    kept = sum(int(np.sum(received[v] == right[v])) for v in upper)
    n_below, n_above = (sum(right[v].size for v in vs) for vs in ((W_1, b_1), upper))
    return Finding(
        "in a network {sizes} none depends on dC/dz_1: with 1 in its place {stays} of {n_below} "
        "derivatives of layer 1 are right, {kept} of {n_above} of layer 2",
        stays == n_below and kept == n_above,
        {
            "sizes": "-".join(map(str, SIZES)),
            "stays": stays,
            "n_below": n_below,
            "kept": kept,
            "n_above": n_above,
        },
        expected=False,
    )


CLAIM = Claim(
    id="C22",
    title="An intermediate value's gradient is useless",
    statement="The gradient on the intermediate value q is not useful",
    how="the circuit of C10 cut at q, what lies below differentiated with the gradient that q "
    "receives and with 1 in its place; the same in a network for dC/dz_1",
    precise="it is no part of the answer and may be forgotten afterwards, but every derivative "
    "below q is a product of it: without it df/dx and df/dy are wrong, and only what does not pass "
    "through q is right",
    source="Karpathy, CS231n notes, backpropagation",
    measure=measure,
    expected=REFUTED,
)
