r"""C27: the gradient subtracted from the weights as it is.

    theta <- theta - dC/dtheta,   which is gradient descent with lambda = 1.

Near a minimum a step multiplies the error along the steepest direction by 1 - lambda M, M the
largest eigenvalue of the Hessian: it dies out if lambda < 2/M (`c13_learning_rate`). M has a unit,
that of the loss: of m examples whose losses are added in place of averaged, the gradient and M are
m times as large, and 2/M is a number m times as small. Whether 1 lies below it is a matter of what
the loss is measured in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding
from gradcheck.studies.report.textbook.landscape import eigensystem, tumours
from reference_models import sigmoid_network
from reference_models.training import Record, gradient_descent, lipschitz_constant

STEPS = 200
TO_THE_MINIMUM, TOLERANCE = 2000, 1e-6

Descend = Callable[..., tuple[Any, Record]]


def measure(settings: Settings, descend: Descend = gradient_descent) -> Evidence:  # noqa: ARG001
    """Subtract the gradient of a mean, and that of the same loss added up."""
    convex = tumours()
    m = len(convex.X)

    def run(reduction: str, rate: float, steps: int, tolerance: float | None = None) -> Any:
        return descend(
            lambda theta: sigmoid_network.value_and_grad(
                theta, convex.X, convex.Y, reduction=reduction
            ),
            convex.start,
            learning_rate=rate,
            iterations=steps,
            tolerance=tolerance,
        )

    bottom, _ = run("mean", 1 / lipschitz_constant(convex.X), TO_THE_MINIMUM, TOLERANCE)
    M = float(eigensystem(bottom, convex.X)[0][-1])
    _, mean = run("mean", 1.0, STEPS)
    _, added = run("sum", 1.0, STEPS)
    return Evidence((_averaged(mean, M), _added(added, M * m, m)))


def _averaged(record: Record, M: float) -> Finding:
    C = np.array(record.losses)
    falls = int(np.sum(np.diff(C) < 0))
    return Finding(
        "subtracted from the weights, the gradient of the mean loss lowers it at {falls} of "
        "{steps} steps, from {first} to {last}: 1 is {share} of 2/M",
        falls == STEPS - 1 and 2 / M > 1,
        {"falls": falls, "steps": STEPS - 1},
        {"first": float(C[0]), "last": float(C[-1]), "share": M / 2},
    )


def _added(record: Record, M: float, m: int) -> Finding:
    C = np.array(record.losses)
    return Finding(
        "that of the same losses of {m} examples, added, does not: from {first} the loss comes to "
        "{last} in {steps} steps, and its least value after the first is {least}; 1 is {share} "
        "times 2/M",
        bool(np.min(C[1:]) > C[0]) and 2 / M < 1,
        {"m": m, "steps": STEPS - 1},
        {
            "first": float(C[0]),
            "last": float(C[-1]),
            "least": float(np.min(C[1:])),
            "share": M / 2,
        },
        contradicts=True,
    )


CLAIM = Claim(
    id="C27",
    title="Subtract the gradient from the weight",
    statement="The gradient value is subtracted from the weight value",
    how="logistic regression on breast cancer, descent with lambda = 1 on the mean of the losses "
    "and on their sum",
    precise="a multiple of it is subtracted, and the multiple has to fit the loss: lambda = 1 "
    "lowers a loss whose curvature is below 2, and drives one with more away",
    source="Nielsen 2015, chapter 1; Nesterov 2004, section 1.2.3",
    measure=measure,
    expected=REFINED,
)
