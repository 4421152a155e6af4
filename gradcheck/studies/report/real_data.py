"""Real data: logistic regression on breast cancer, a 64-30-10 network on digits.

Each is checked in every coordinate where it starts and where training has taken it.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gradcheck.checks.consistency import check_consistency
from gradcheck.engines.base import Unsupported
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Verdict
from gradcheck.problem import Architecture, Problem
from gradcheck.splitmix64 import Stream
from gradcheck.studies.report.consistency import INCONCLUSIVE
from gradcheck.studies.report.guard import Guarded, find_guarded
from gradcheck.studies.report.progress import section_progress
from gradcheck.studies.report.section import Section
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.sweep import worst_deviation
from reference_models import sigmoid_network
from reference_models.datasets import (
    held_out_split,
    load_breast_cancer,
    load_digits,
    one_hot,
    standardise,
)
from reference_models.training import (
    Record,
    gradient_descent,
    stochastic_gradient_descent,
)

Array = npt.NDArray[Any]
Parameters = list[tuple[Array, Array]]

LOGISTIC_RATE = 0.5
DIGITS_RATE = 0.5
DIGITS_BATCH = 32


class Study:
    """A data set, a network on it, and its parameters before and after training.

    Attributes:
        name: as the report calls it.
        how: the training in words.
        X, Y: the batch on which the gradient is checked.
        start, end: parameters before and after training.
        loss_before, loss_after: mean cross-entropy of the training part.
        accuracy: part of the held-out examples that is classified rightly, before and after.
        held_out: how many examples were held out.
    """

    def __init__(self, name: str, how: str, X: Array, Y: Array) -> None:
        self.name, self.how, self.X, self.Y = name, how, X, Y
        self.start: Parameters = []
        self.end: Parameters = []
        self.held_out = 0
        self.accuracy = (0.0, 0.0)
        self.losses = (0.0, 0.0)

    def problem(self, parameters: Parameters) -> Problem:
        """Return the problem of the batch at the given parameters."""
        sizes = (self.X.shape[1], *(len(b) for _, b in parameters))
        weights, biases = zip(*parameters, strict=True)
        return Problem(Architecture(sizes), weights, biases, self.X, self.Y)


def measure(settings: Settings) -> Section:
    """Train both models and check the gradient before and after."""
    start = time.perf_counter()
    engine = find_guarded(settings.engine)
    studies = [breast_cancer(settings), digits(settings)]
    results, measured, timings, frames = [], [], [], []
    cases: dict[str, Problem] = {}
    total = 2 * sum(study.problem(study.start).architecture.n_parameters for study in studies)
    with section_progress("real data", total) as advance:
        for study in studies:
            for state, parameters in (("initial", study.start), ("trained", study.end)):
                begin = time.perf_counter()
                problem = study.problem(parameters)
                outcome, verdict = _check(engine, problem, advance)
                timings.append({"seconds": time.perf_counter() - begin})
                where = {"data": study.name, "state": state}
                results.append({**where, **_facts(problem), "verdict": verdict})
                measured.append({**where, **_numbers(outcome)})
                if verdict in ("FAIL", "INCONCLUSIVE"):
                    cases[f"{study.name.replace(' ', '-')}-{state}.json"] = problem
                if outcome is not None and outcome.comparison is not None:
                    frames.append(outcome.to_frame().assign(**where))
    return Section(
        results={"checks": results, "studies": [_described(study) for study in studies]},
        measured={"checks": measured, "training": [_trained(study) for study in studies]},
        timings={"seconds": time.perf_counter() - start, "checks": timings},
        frames={"real_data": pd.concat(frames)} if frames else {},
        cases=cases,
    )


def breast_cancer(settings: Settings) -> Study:
    """Logistic regression from zero, by gradient descent on the training part."""
    data = load_breast_cancer()
    train, held_out = held_out_split(data, seed=settings.seed)
    X, Y = standardise(train.inputs), train.labels[:, None].astype(float)
    all_rows = standardise(data.inputs, reference=train.inputs)
    how = (
        f"gradient descent on the whole training part, learning rate {LOGISTIC_RATE}, "
        f"{settings.logistic_iterations} steps from zero"
    )
    study = Study("breast cancer", how, all_rows, data.labels[:, None].astype(float))
    study.start = [(np.zeros((1, X.shape[1])), np.zeros(1))]
    study.end, _ = gradient_descent(
        lambda theta: sigmoid_network.value_and_grad(theta, X, Y),
        study.start,
        learning_rate=LOGISTIC_RATE,
        iterations=settings.logistic_iterations,
    )
    test = standardise(held_out.inputs, reference=train.inputs)
    _judge(study, (X, Y), lambda theta: _right_of_two(theta, test, held_out.labels))
    study.held_out = len(held_out.labels)
    return study


def digits(settings: Settings) -> Study:
    """A network with one hidden layer from random weights, by stochastic gradient descent."""
    data = load_digits()
    train, held_out = held_out_split(data, seed=settings.seed)
    X, Y = train.inputs / 16, one_hot(train.labels, 10)
    rows = settings.digits_rows or len(data.labels)
    how = (
        f"stochastic gradient descent in batches of {DIGITS_BATCH}, learning rate {DIGITS_RATE}, "
        f"{settings.digits_epochs} epochs from random weights"
    )
    study = Study("digits", how, data.inputs[:rows] / 16, one_hot(data.labels[:rows], 10))
    study.start = [
        (Stream(settings.seed, f"W{layer}").normal((n, n_in)) / np.sqrt(n_in), np.zeros(n))
        for layer, (n_in, n) in enumerate(pairwise((64, settings.digits_hidden, 10)), start=1)
    ]
    study.end, _ = _train_digits(study.start, X, Y, settings)
    test = held_out.inputs / 16
    _judge(study, (X, Y), lambda theta: _right_of_many(theta, test, held_out.labels))
    study.held_out = len(held_out.labels)
    return study


def _train_digits(
    start: Parameters, X: Array, Y: Array, settings: Settings
) -> tuple[Parameters, Record]:
    return stochastic_gradient_descent(
        sigmoid_network.value_and_grad,
        start,
        X,
        Y,
        learning_rate=DIGITS_RATE,
        batch_size=DIGITS_BATCH,
        epochs=settings.digits_epochs,
        seed=settings.seed,
    )


def _judge(study: Study, train: tuple[Array, Array], accuracy: Any) -> None:
    study.losses = (
        float(sigmoid_network.loss(study.start, *train)),
        float(sigmoid_network.loss(study.end, *train)),
    )
    study.accuracy = (accuracy(study.start), accuracy(study.end))


def _right_of_two(theta: Parameters, X: Array, labels: Array) -> float:
    return float(np.mean((sigmoid_network.forward(theta, X)[:, 0] >= 0.5) == labels))


def _right_of_many(theta: Parameters, X: Array, labels: Array) -> float:
    return float(np.mean(np.argmax(sigmoid_network.forward(theta, X), axis=1) == labels))


def _check(engine: Guarded, problem: Problem, advance: Any) -> tuple[Outcome | None, str]:
    try:
        outcome = check_consistency(engine, problem, progress=advance)
    except Unsupported:
        return None, "UNSUPPORTED"
    return outcome, outcome.verdict.value


def _facts(problem: Problem) -> dict[str, Any]:
    return {
        "sizes": list(problem.architecture.sizes),
        "rows": problem.batch,
        "coordinates": problem.architecture.n_parameters,
    }


def _numbers(outcome: Outcome | None) -> dict[str, Any]:
    if outcome is None:
        return {"reason": "unsupported"}
    ratio, coordinate = worst_deviation(outcome)
    counts = outcome.counts
    c = outcome.comparison
    seen = np.empty(0) if c is None else c.smallest_error_seen()
    return {
        "reason": outcome.reason.value if outcome.reason else "",
        "detail": outcome.detail if outcome.verdict is Verdict.FAIL else "",
        **{name: counts.get(name, 0) for name in ("failed", "informative", "small")},
        "inconclusive": sum(counts.get(name, 0) for name in INCONCLUSIVE),
        "worst": {"ratio": ratio, "coordinate": coordinate},
        "seen": {"median": float(np.median(seen)), "largest": float(seen.max())}
        if seen.size
        else None,
        "forward_passes": outcome.forward_passes,
        "backward_passes": outcome.backward_passes,
    }


def _described(study: Study) -> dict[str, Any]:
    return {"data": study.name, "training": study.how, "held_out": study.held_out}


def _trained(study: Study) -> dict[str, Any]:
    return {
        "data": study.name,
        "loss": list(study.losses),
        "accuracy": list(study.accuracy),
    }
