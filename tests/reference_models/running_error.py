"""How far the value of any node of a circuit can be from its exact value.

Running error analysis (Higham 2002, section 3.3), gate by gate. With x^ the computed and x the
exact value of a node and |x^ - x| <= e_x, each row of ROWS bounds |f^ - f|: the first term is what
the errors of the inputs become, the second the rounding of the gate itself. Rigorous for any order
of summation; u is the unit roundoff, gamma_n = n u / (1 - n u). The entrywise functions' own
roundings are those counted in test_activations; numpy's exp, log, power and tanh are taken to be
within two units in the last place (4 u). An operation that underflows may err by eta more.
"""

from dataclasses import dataclass

import numpy as np

from reference_models.gates import sum_to_shape
from reference_models.node import CONSTANT, VARIABLE


@dataclass(frozen=True)
class Arithmetic:
    u: float
    eta: float

    def gamma(self, n):
        return n * self.u / (1 - n * self.u)


def relative_growth(e, x):
    """|x^ - x| / |x| at its largest; infinite where an error reaches the value."""
    x = np.abs(x)
    unknown = np.where(e > 0, np.inf, 0.0)
    return np.divide(e, x - e, out=unknown, where=x > e)


def summed(t, f, x, e, n, shape):
    """A sum of n terms: errors add, and each is rounded at most n - 1 times."""
    return sum_to_shape(e + t.gamma(max(n - 1, 0)) * (np.abs(x) + e), shape)


def multiply(t, f, x, ex, y, ey):
    return np.abs(x) * ey + ex * np.abs(y) + ex * ey + t.u * np.abs(f)


def divide(t, f, x, ex, y, ey):
    """x^/y^ - x/y = ((x^ - x) - (x^/y^) (y^ - y)) / y."""
    y, f = np.abs(y), np.abs(f)
    moved = ex + (1 + 2 * t.u) * f * ey
    room = np.divide(moved, y - ey, out=np.full(np.shape(f), np.inf), where=y > ey)
    return room + t.u * f


def matmul(t, f, x, ex, y, ey):
    X, Y = np.abs(x), np.abs(y)
    return X @ ey + ex @ Y + ex @ ey + t.gamma(x.shape[1]) * (X + ex) @ (Y + ey)


def power(t, f, x, ex, n):
    """|x^n - x^^n| <= |f| ((1 + r)^|n| - 1), r = |x^ - x| / |x| either way round.

    For n > 0 also |x^n - x^^n| <= (|x^| + e_x)^n + |f|, which is all that is known where r > 1.
    """
    f, r = np.abs(f), relative_growth(ex, x)
    known = np.expm1(abs(n) * np.log1p(np.minimum(r, 1.0))) * f
    crude = (np.abs(x) + ex) ** n + f if n > 0 else np.inf
    return np.where(r <= 1, known, crude) + 4 * t.u * f


ROWS = {
    "add": lambda t, f, x, ex, y, ey: ex + ey + t.u * np.abs(f),
    "subtract": lambda t, f, x, ex, y, ey: ex + ey + t.u * np.abs(f),
    "multiply": multiply,
    "divide": divide,
    "negative": lambda t, f, x, ex: ex,
    "power": power,
    "exp": lambda t, f, x, ex: np.abs(f) * (np.expm1(ex) + 4 * t.u * np.exp(ex)),
    "log": lambda t, f, x, ex: np.log1p(relative_growth(ex, x)) + 4 * t.u * np.abs(f),
    # |d log sigma / dx| <= 1 and |d log softplus / dx| <= 1, |softplus'| <= 1, |tanh'| <= 1
    "sigmoid": lambda t, f, x, ex: np.abs(f) * (np.expm1(ex) + 4 * t.u * np.exp(ex)),
    "softplus": lambda t, f, x, ex: np.minimum(ex, np.abs(f) * np.expm1(ex)) + 5 * t.u * np.abs(f),
    "tanh": lambda t, f, x, ex: ex + 4 * t.u * np.abs(f),
    "sum": lambda t, f, x, ex: summed(t, f, x, ex, x.size, ()),
    "mean": lambda t, f, x, ex: summed(t, f, x, ex, x.size, ()) / x.size + 2 * t.u * np.abs(f),
    "matmul": matmul,
    "transpose": lambda t, f, x, ex: ex.T,
    "broadcast_to_shape": lambda t, f, x, ex, n: np.broadcast_to(ex, n),
    "sum_to_shape": lambda t, f, x, ex, n: summed(t, f, x, ex, x.size // f.size, n),
}
UNDERFLOWS = 3  # the most operations inside one gate that can underflow, matmul apart


def bounds(circuit, found):
    """The bound of every node from the values that `circuit.forward` found, in float64."""
    info = np.finfo(found[circuit.nodes[-1]].dtype)
    t = Arithmetic(float(info.eps) / 2, float(info.smallest_subnormal))
    e = {}
    for node in circuit.nodes:
        if node.gate in (VARIABLE, CONSTANT):
            e[node] = np.zeros(node.shape)
            continue
        f = np.asarray(found[node], float)
        inputs = [a for x in node.inputs for a in (np.asarray(found[x], float), e[x])]
        with np.errstate(over="ignore"):  # a bound may be infinite
            rounded = ROWS[node.gate.name](t, f, *inputs, *node.parameters)
        terms = node.inputs[0].shape[-1] if node.gate.name == "matmul" else 0
        exact = node.gate.name in ("transpose", "broadcast_to_shape", "negative")
        e[node] = rounded * (1 + 1e-12) + (0 if exact else UNDERFLOWS + terms) * t.eta
    return e
