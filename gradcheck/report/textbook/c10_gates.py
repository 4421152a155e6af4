"""C10: the circuit f = (x + y) z, gate by gate.

At x = -2, y = 5, z = -4:  q = x + y = 3,  f = q z = -12, and by the chain rule

    df/dq = z = -4,   df/dz = q = 3,   df/dx = df/dq 1 = -4,   df/dy = df/dq 1 = -4.

A gate's local derivatives are those of the gate alone, taken out of the circuit and moved by
itself. Both gates are linear in each of their inputs, so that the difference quotient of a gate is
its local derivative, without remainder:

    [g(u + h, v) - g(u, v)] / h = dg/du.

Moved along their gradient by s of it, x and y become x - 4 s and y - 4 s, and f, linear in x + y,
changes by (16 + 16) s; moved against it, by -(16 + 16) s: the output *falls*. It is q that rises,
by 8 s, and f = q z falls because z is negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradcheck.report.settings import Settings
from gradcheck.report.textbook.claim import Claim, Evidence, Finding
from reference_models.circuit import Circuit, variable
from reference_models.drawing import drawing
from reference_models.node import Gate, Node

POINT = {"x": -2.0, "y": 5.0, "z": -4.0}
TEXTBOOK = {"x": -4.0, "y": -4.0, "z": 3.0}
STEP = 2.0**-7  # dyadic, as are all numbers below: nothing is rounded
OTHER_POINTS = 50

x, y, z = (variable(name) for name in POINT)
q = x + y
f = q * z
CIRCUIT = Circuit(f)


def measure(settings: Settings, backward: Any = Circuit.backward, draw: Any = drawing) -> Evidence:
    """Run the circuit forward and backward, take its gates out of it, then step x and y."""
    values = CIRCUIT.forward(POINT)
    g = backward(CIRCUIT, values)
    gradient = _named(g)
    return Evidence(
        (
            Finding(
                "f = {f:g} and the gradient is ({x:g}, {y:g}, {z:g}); q = {q:g} receives {g_q:g}",
                float(values[f]) == -12 and gradient == TEXTBOOK,
                {"f": float(values[f]), "q": float(values[q]), "g_q": float(g[q]), **gradient},
            ),
            _gates_alone(gradient, float(g[q])),
            _elsewhere(settings, backward),
            _stepped(gradient, float(values[f])),
            _drawn(draw, gradient, float(g[q])),
        )
    )


def _named(g: Mapping[Node, Any]) -> dict[str, float]:
    return {name: float(g[node]) for name, node in zip("xyz", (x, y, z), strict=True)}


# --- the gates ------------------------------------------------------------------------------------


def _alone(gate: Gate, inputs: tuple[float, float]) -> tuple[float, float]:
    """Return a gate's local derivatives from its forward value, moved by itself."""
    u, v = inputs
    here = gate.forward(u, v)
    moved = gate.forward(u + STEP, v), gate.forward(u, v + STEP)
    return float((moved[0] - here) / STEP), float((moved[1] - here) / STEP)


def _chained(point: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the local derivatives of both gates alone, and their products along the paths."""
    add_x, add_y = _alone(q.gate, (point["x"], point["y"]))
    mul_q, mul_z = _alone(f.gate, (point["x"] + point["y"], point["z"]))
    local = {"dq/dx": add_x, "dq/dy": add_y, "df/dq": mul_q, "df/dz": mul_z}
    return local, {"x": mul_q * add_x, "y": mul_q * add_y, "z": mul_z}


def _gates_alone(gradient: Mapping[str, float], g_q: float) -> Finding:
    local, product = _chained(POINT)
    return Finding(
        "each gate by itself, outside the circuit: {local}; multiplied along the paths they give "
        "({x:g}, {y:g}, {z:g})",
        product == gradient and local["df/dq"] == g_q,
        {"local": ", ".join(f"{name} = {d:g}" for name, d in local.items()), **product},
    )


def _elsewhere(settings: Settings, backward: Any) -> Finding:
    generator = np.random.default_rng(settings.seed)
    equal = 0
    for numbers in generator.integers(-64, 65, (OTHER_POINTS, 3)) / 8.0:
        point = dict(zip("xyz", numbers.tolist(), strict=True))
        found = _named(backward(CIRCUIT, CIRCUIT.forward(point)))
        equal += found == _chained(point)[1]
    return Finding(
        "so they do at {equal} of {n} other points",
        equal == OTHER_POINTS,
        {"equal": equal, "n": OTHER_POINTS},
    )


# --- the step -------------------------------------------------------------------------------------


def _stepped(gradient: Mapping[str, float], here: float) -> Finding:
    """Move x and y along and against their gradient; everything is exact."""

    def moved(sign: float) -> tuple[float, float]:
        step = {"x": sign * STEP * gradient["x"], "y": sign * STEP * gradient["y"], "z": 0.0}
        found = CIRCUIT.forward({name: value + step[name] for name, value in POINT.items()})
        return float(found[f]) - here, float(found[q]) - (POINT["x"] + POINT["y"])

    (up, q_up), (down, q_down) = moved(+1.0), moved(-1.0)
    predicted = STEP * (gradient["x"] ** 2 + gradient["y"] ** 2)
    return Finding(
        "x and y moved along their gradient by {s:g} of it change f by {up:g} and q by {q_up:g}, "
        "moved against it f by {down:g} and q by {q_down:g}; predicted for f ±{predicted:g}",
        up == predicted > 0 and down == -predicted and q_down > 0 > q_up,
        {
            "s": STEP,
            "up": up,
            "down": down,
            "q_up": q_up,
            "q_down": q_down,
            "predicted": predicted,
        },
    )


def _drawn(draw: Any, gradient: Mapping[str, float], g_q: float) -> Finding:
    """Read the printed circuit back."""
    table = draw(CIRCUIT, POINT, names={"q": q, "f": f})
    rows = [line.split() for line in table.splitlines()]
    read = {row[0]: row[1:] for row in rows if row[0] in ("value", "gradient")}
    as_drawn = {
        "value": [-2.0, 5.0, -4.0, 3.0, -12.0],
        "gradient": [*(gradient[name] for name in "xyz"), g_q, 1.0],
    }
    return Finding(
        "gate by gate:\n\n```text\n{table}\n```",
        rows[0] == ["x", "y", "z", "q", "f"]
        and {name: [float(cell) for cell in cells] for name, cells in read.items()} == as_drawn,
        {"table": table},
    )


CLAIM = Claim(
    id="C10",
    statement="The circuit f = (x + y) z at x = -2, y = 5, z = -4 gives f = -12 and gradient "
    "(-4, -4, 3); each gate needs only its own local derivative; moving x and y against their "
    "gradient raises f's output as predicted",
    how="the circuit run forward and backward; every gate taken out and differentiated alone, the "
    "local derivatives multiplied by hand; x and y moved by 1/128 of their gradient",
    precise="moving x and y along their gradient raises f, against it lowers f, by the "
    "squared length of the gradient a unit of step, exactly; what rises when they move against it "
    "is q = x + y, by which the derivative of f is negative",
    source="Karpathy, CS231n notes, backpropagation",
    measure=measure,
)
