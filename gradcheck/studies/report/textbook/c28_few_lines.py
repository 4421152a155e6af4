"""C28: the difference quotient as code.

    (C(w + h e_j) - C(w)) / h = dC/dw_j + h C''/2 + rounding / h

`derivative` below is all of it. What it can tell of a wrong derivative ends at its own error, which
it does not state: here it is taken from the certified gradient. `check_gradient` states the error
of each of its differences; the smallest error that it would have seen follows from that alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.certified.gradient import certified_gradient
from gradcheck.checks.gradient import check_gradient
from gradcheck.outcomes.reasons import Kind
from gradcheck.problem import Problem
from gradcheck.problems.case import Case
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import Claim, Evidence, Finding
from reference_models import sigmoid_network

SIZES = ((3, 1), (4, 3, 2), (3, 4, 3, 1))
H = 2.0**-26
LINES = 4
LOOSE = 1e-4
"""Of the median derivative, the error that the quotient has to stay below: a hundredth of what
courses ask of it, 1e-2 (Karpathy, CS231n notes, gradient checks)."""

Array = npt.NDArray[Any]
Derivative = Callable[[Callable[[Array], float], Array, Array], float]


def derivative(C: Callable[[Array], float], w: Array, e: Array) -> float:  # noqa: D103 - as short as it gets
    h = H
    return (C(w + h * e) - C(w)) / h


def measure(settings: Settings, derivative: Derivative = derivative) -> Evidence:
    """Count the lines, run them, and compare what they and our own check see."""
    problems = [
        Case(sizes=sizes, batch=4, seed=settings.seed + i).problem()
        for i, sizes in enumerate(SIZES)
    ]
    errors = np.concatenate([_errors(problem, derivative) for problem in problems])
    return Evidence((_lines(derivative), _runs(errors), _beside(problems, errors)))


def _blocks(problem: Problem) -> list[Array]:
    pairs = zip(problem.weights, problem.biases, strict=True)
    return [block for pair in pairs for block in pair]


def _loss(problem: Problem) -> Callable[[Array], float]:
    shapes = [block.shape for block in _blocks(problem)]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

    def loss(w: Array) -> float:
        blocks = [part.reshape(s) for part, s in zip(np.split(w, ends[:-1]), shapes, strict=True)]
        parameters = list(zip(blocks[::2], blocks[1::2], strict=True))
        return float(sigmoid_network.loss(parameters, problem.inputs, problem.targets))

    return loss


def _point(problem: Problem) -> Array:
    return np.concatenate([block.reshape(-1) for block in _blocks(problem)])


def _errors(problem: Problem, derivative: Derivative) -> Array:
    """Return the errors of all quotients, in units of the median derivative."""
    g = certified_gradient(problem).gradient
    C, w = _loss(problem), _point(problem)
    D = np.array([derivative(C, w, e) for e in np.eye(w.size)])
    return np.asarray(np.abs(D - g) / np.median(np.abs(g)))


def _lines(derivative: Derivative) -> Finding:
    code = [line.partition("  #")[0] for line in inspect.getsource(derivative).splitlines()]
    return Finding(
        "it takes {lines} lines: {code}",
        0 < len(code) <= LINES,
        {"lines": len(code), "code": "; ".join(f"`{line.strip()}`" for line in code)},
    )


def _runs(errors: Array) -> Finding:
    return Finding(
        "run on {n} weights and biases of {networks} networks, they err by {median} of the median "
        "derivative in the median, and by up to {worst}",
        bool(np.max(errors) < LOOSE),
        {"n": len(errors), "networks": len(SIZES)},
        {"median": float(np.median(errors)), "worst": float(np.max(errors))},
    )


def _beside(problems: list[Problem], errors: Array) -> Finding:
    seen, passes = [], 0
    for problem in problems:
        gradient = certified_gradient(problem).gradient

        def right(_: Array, gradient: Array = gradient) -> Array:
            return gradient

        outcome = check_gradient(_loss(problem), right, _point(problem))
        passes += outcome.forward_passes
        if outcome.comparison is not None:
            told = outcome.comparison.kind == Kind.INFORMATIVE
            unit = np.median(np.abs(gradient))
            seen.extend((outcome.comparison.allowance[told] / unit).tolist())
    ours = float(np.median(seen)) if seen else np.inf
    return Finding(
        "`check_gradient` would have seen {ours} of it in the median, and says so, with {passes} "
        "forward passes where these lines take {two} and state no error",
        ours < float(np.median(errors)),
        {"two": 2 * len(errors)},
        {"ours": ours, "passes": passes},
    )


CLAIM = Claim(
    id="C28",
    title="The quotient takes 3-4 lines",
    statement="The difference quotient takes no more than 3 to 4 lines to code",
    how="the lines counted and run on three networks, their errors taken from the certified "
    "gradient, beside the smallest error that check_gradient states",
    source="Nielsen 2015, chapter 2",
    measure=measure,
)
