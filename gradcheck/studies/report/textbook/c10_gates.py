"""C10: the circuit f = (x + y) z, gate by gate.

At x = -2, y = 5, z = -4:  q = x + y = 3,  f = q z = -12, and by the chain rule

    df/dq = z = -4,   df/dz = q = 3,   df/dx = df/dq 1 = -4,   df/dy = df/dq 1 = -4.

A gate's local derivatives are those of the gate alone, taken out of the circuit and moved by
itself. Both gates are linear in each of their inputs, so that the difference quotient of a gate is
its local derivative, without remainder:

    [g(u + h, v) - g(u, v)] / h = dg/du.

x and y have negative derivatives: moved along their gradient by s of it, they *decrease*, to
x - 4 s and y - 4 s. The add gate's output q falls by 8 s, and f = q z, z being negative, rises by
32 s: by the squared length of their gradient, 16 + 16, a unit of s. The force on q is -4: q + 1 in
place of q changes f by -4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import Claim, Evidence, Finding
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
            _force(float(g[q])),
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
    """Move x and y along their gradient; everything is exact."""
    change = {name: STEP * gradient[name] for name in "xy"}
    moved = {name: value + change.get(name, 0.0) for name, value in POINT.items()}
    found = CIRCUIT.forward(moved)
    f_change, q_change = float(found[f]) - here, float(found[q]) - (POINT["x"] + POINT["y"])
    predicted = STEP * (gradient["x"] ** 2 + gradient["y"] ** 2)
    return Finding(
        "x and y, moved along their negative gradient by {s:g} of it, decrease by {x:g} and {y:g}; "
        "the output of the add gate decreases by {q:g}, that of the multiply gate rises by {f:g} "
        "(predicted: {predicted:g}), to {there:g}",
        f_change == predicted > 0 > q_change and max(change.values()) < 0,
        {
            "s": STEP,
            **{name: -size for name, size in change.items()},
            "q": -q_change,
            "f": f_change,
            "predicted": predicted,
            "there": float(found[f]),
        },
    )


def _force(g_q: float) -> Finding:
    """Move the intermediate value q by 1, as nothing but the multiply gate sees it."""
    here, z = POINT["x"] + POINT["y"], POINT["z"]
    change = float(f.gate.forward(here + 1, z) - f.gate.forward(here, z))
    return Finding(
        "q moved by 1 changes f by {change:g}, the gradient that q receives",
        change == g_q,
        {"change": change},
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
    title="Gates need only local derivatives",
    statement="The circuit f = (x + y) z at x = -2, y = 5, z = -4 gives f = -12 and gradient "
    "(-4, -4, 3); each gate needs only its own local derivative; if x and y decrease, responding "
    "to their negative gradient, the add gate's output decreases and the multiply gate's increases",
    how="the circuit run forward and backward; every gate taken out and differentiated alone, the "
    "local derivatives multiplied by hand; x and y moved along their gradient by 1/128 of it, q by "
    "1",
    source="Karpathy, CS231n notes, backpropagation",
    measure=measure,
)
