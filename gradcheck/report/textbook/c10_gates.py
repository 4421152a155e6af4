"""C10: the circuit f = (x + y) z, gate by gate.

At x = -2, y = 5, z = -4:  q = x + y = 3,  f = q z = -12, and by the chain rule

    df/dq = z = -4,   df/dz = q = 3,   df/dx = df/dq 1 = -4,   df/dy = df/dq 1 = -4.

Moved against their gradient by a step s, x and y become x + 4 s and y + 4 s; f changes by
-(16 + 16) s: its output *falls*. It is q that rises, and f = q z falls because z is negative; moved
along the gradient, f rises by as much.
"""

from __future__ import annotations

from typing import Any

from gradcheck.report.settings import Settings
from gradcheck.report.textbook.claim import Claim, Evidence, Finding
from reference_models.circuit import Circuit, variable
from reference_models.drawing import drawing

POINT = {"x": -2.0, "y": 5.0, "z": -4.0}
STEP = 2.0**-7  # exact, and so is every number below


def measure(settings: Settings, backward: Any = Circuit.backward) -> Evidence:  # noqa: ARG001
    """Run the circuit forward and backward, then step x and y."""
    x, y, z = (variable(name) for name in POINT)
    q = x + y
    f = q * z
    circuit = Circuit(f)
    values = circuit.forward(POINT)
    g = backward(circuit, values)
    gradient = {name: float(g[node]) for name, node in zip("xyz", (x, y, z), strict=True)}

    def moved(sign: float) -> float:
        step = {"x": sign * STEP * gradient["x"], "y": sign * STEP * gradient["y"], "z": 0.0}
        at = {name: value + step[name] for name, value in POINT.items()}
        return float(circuit.evaluate(at)[0])

    up, down = moved(+1.0) - float(values[f]), moved(-1.0) - float(values[f])
    predicted = STEP * (gradient["x"] ** 2 + gradient["y"] ** 2)
    return Evidence(
        (
            Finding(
                "f = {f:g} and the gradient is ({x:g}, {y:g}, {z:g}); q = {q:g} receives {g_q:g}",
                float(values[f]) == -12 and gradient == {"x": -4.0, "y": -4.0, "z": 3.0},
                {"f": float(values[f]), "q": float(values[q]), "g_q": float(g[q]), **gradient},
            ),
            Finding(
                "x and y moved along their gradient by {s:g} of it change f by {up:g}, moved "
                "against it by {down:g}; predicted ±{predicted:g}",
                up == predicted and down == -predicted,
                {"s": STEP, "up": up, "down": down, "predicted": predicted},
            ),
            Finding(
                "gate by gate:\n\n```text\n{table}\n```",
                drawing(circuit, POINT).count("\n") == 3,
                {"table": drawing(circuit, POINT, names={"q": q, "f": f})},
            ),
        )
    )


CLAIM = Claim(
    id="C10",
    statement="The circuit f = (x + y) z at x = -2, y = 5, z = -4 gives f = -12 and gradient "
    "(-4, -4, 3); each gate needs only its own local derivative; moving x and y against their "
    "gradient raises f's output as predicted",
    how="the circuit run forward and backward; x and y moved by 1/128 of their gradient",
    precise="moving x and y along their gradient raises f, against it lowers f, by |g|^2 a unit "
    "of step, exactly; what rises when they move against it is q = x + y",
    source="Karpathy, CS231n notes, backpropagation",
    measure=measure,
)
