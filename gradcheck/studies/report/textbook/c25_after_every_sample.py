"""C25: updates after every sample are said to be impractical; a batch runs in one big pass.

Symbols: m examples; B the examples of one update, 1, 32 or m; W flops of the matrix products of one
example's forward and backward pass, sizes n_0, ..., n_L:

    W = 2 M + 4 M - 2 n_0 n_1,   M = sum_l n_{l-1} n_l                  (C9)

so that a training over t examples takes t W until the loss of the whole set is down to a goal that
is the same for all. The examples are counted, and so are the flops of an update of B examples,
which should be B W. Every B is trained with several rates and the best of them counts, as one rate
may suit one B and not another.

A pass over m examples at once does what m passes do, in fewer calls: the time of both is compared
apart. In seconds single examples may take longer to the goal than the whole set, most where the
model is small; for practical a minute is taken. (LeCun, Bottou, Orr and Mueller 1998, section 4.1;
Bottou 2010.)
"""

from __future__ import annotations

import time
from typing import NamedTuple

import pandas as pd

from gradcheck.studies.cost import count_flops, time_in_turns
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFUTED, Claim, Evidence, Finding
from gradcheck.studies.report.textbook.curves import Study, ValueAndGrad, breast_cancer, digits
from gradcheck.studies.report.words import number, seconds
from reference_models import sigmoid_network
from reference_models.training import batches

GOALS = {"breast cancer": 0.07, "digits": 0.5}
RATES = {
    "breast cancer": {1: (0.03, 0.1, 0.3), 32: (0.3, 1.0), 0: (1.0, 3.0, 10.0)},
    "digits": {1: (0.3,), 32: (1.0, 3.0), 0: (2.0, 4.0)},
}
"""By data set and examples of an update; 0 is all of them."""
MOST_EPOCHS = {1: 3, 32: 15, 0: 160}
LOOKS = 8
"""How often an epoch the loss of the whole set is taken, if it has as many updates."""
SINGLES = 64
"""Single examples that are timed."""
QUICKER = 4.0
"""How much quicker one big pass must be: it is some ten times or a hundred."""
PRACTICAL = 60.0
"""Seconds to the goal from which on it is not practical. It takes less than one, so that the ruling
does not hang on the machine."""


class Training(NamedTuple):
    """One training up to the goal, or until it is given up.

    Attributes:
        batch_size, rate: as it was trained.
        reached: whether the loss came down to the goal.
        updates, examples: spent until then.
        seconds: of the updates, without those of looking at the loss.
    """

    batch_size: int
    rate: float
    reached: bool
    updates: int
    examples: int
    seconds: float


def measure(
    settings: Settings, value_and_grad: ValueAndGrad = sigmoid_network.value_and_grad
) -> Evidence:
    """Train both models to one loss by single examples, mini-batches and the whole set."""
    studies = [breast_cancer(settings.seed), digits(settings.seed)]
    runs = {study.name: _trainings(study, settings.seed, value_and_grad) for study in studies}
    frame = pd.concat(pd.DataFrame(run).assign(data=name) for name, run in runs.items())
    return Evidence(
        (
            *(_one_pass(study, value_and_grad, settings) for study in studies),
            *(_work(study, runs[study.name], value_and_grad) for study in studies),
            _seconds(runs),
        ),
        frames={"c25_to_a_common_loss": frame},
    )


def _trainings(study: Study, seed: int, value_and_grad: ValueAndGrad) -> list[Training]:
    return [
        _train(study, B or len(study.X), rate, MOST_EPOCHS[B], seed, value_and_grad)
        for B, rates in RATES[study.name].items()
        for rate in rates
    ]


def _train(
    study: Study, B: int, rate: float, epochs: int, seed: int, value_and_grad: ValueAndGrad
) -> Training:
    theta, goal, m = study.start, GOALS[study.name], len(study.X)
    looks = max(1, m // (LOOKS * B))
    updates = examples = 0
    spent = 0.0
    for epoch in range(epochs):
        for rows in batches(m, B, seed=seed, epoch=epoch):
            begin = time.perf_counter()
            _, gradient = value_and_grad(theta, study.X[rows], study.Y[rows])
            theta = [
                (W - rate * dW, b - rate * db)
                for (W, b), (dW, db) in zip(theta, gradient, strict=True)
            ]
            spent += time.perf_counter() - begin
            updates, examples = updates + 1, examples + len(rows)
            if updates % looks == 0 and sigmoid_network.loss(theta, study.X, study.Y) <= goal:
                return Training(B, rate, True, updates, examples, spent)
    return Training(B, rate, False, updates, examples, spent)


# --- findings -------------------------------------------------------------------------------------


def _one_pass(study: Study, value_and_grad: ValueAndGrad, settings: Settings) -> Finding:
    """Time one pass over all examples and passes over single ones, in turns."""
    X, Y, m = study.X, study.Y, len(study.X)

    def singly() -> None:
        for i in range(SINGLES):
            value_and_grad(study.start, X[i : i + 1], Y[i : i + 1])

    turns = time_in_turns(
        lambda: value_and_grad(study.start, X, Y),
        singly,
        turns=3,
        minimum_seconds=settings.timing_seconds,
    )
    ratio = turns.ratio(1, 0).median * m / SINGLES
    return Finding(
        "{name}: a batch runs in one big pass; one by one its {m:,} examples take {ratio:times} "
        "times as long (more than {quicker:g} is asked)",
        ratio > QUICKER,
        {"name": study.name, "m": m, "quicker": QUICKER},
        timings={"ratio": ratio},
    )


def _work(study: Study, runs: list[Training], value_and_grad: ValueAndGrad) -> Finding:
    """Compare the work to the goal; what never gets there is dearest."""
    m = len(study.X)
    best = {B: _best(runs, B) for B in (1, 32, m)}
    flops = {B: run.examples * _flops(study, B, value_and_grad) for B, run in best.items()}
    told = [
        number(flops[B]) + ("" if run.reached else " without getting there")
        for B, run in best.items()
    ]
    return Finding(
        "{name}: single examples take more flops to a loss of {goal:g} than the whole set: "
        "{single} against {whole} (batches of 32: {few})",
        not best[1].reached or (best[m].reached and flops[1] >= flops[m]),
        {"name": study.name, "goal": GOALS[study.name]},
        {"single": told[0], "few": told[1], "whole": told[2]},
        expected=False,
    )


def _seconds(runs: dict[str, list[Training]]) -> Finding:
    """Ask whether it takes impractically long."""
    single = {name: _best(found, 1) for name, found in runs.items()}
    whole = {
        name: _best(found, max(run.batch_size for run in found)) for name, found in runs.items()
    }
    told = ", ".join(
        f"{name} {seconds(single[name].seconds)} (whole set {seconds(whole[name].seconds)})"
        for name in runs
    )
    return Finding(
        "it takes impractically long after every example, more than {practical:g} s: {told}",
        all(not run.reached or run.seconds > PRACTICAL for run in single.values()),
        {"practical": PRACTICAL},
        timings={"told": told},
        expected=False,
    )


def _best(runs: list[Training], B: int) -> Training:
    """Return the training that got to the goal with the fewest examples, else the longest."""
    return min(
        (run for run in runs if run.batch_size == B),
        key=lambda run: (not run.reached, run.examples if run.reached else -run.examples),
    )


def _flops(study: Study, B: int, value_and_grad: ValueAndGrad) -> float:
    """Count the flops of the matrix products of one update, an example."""
    sizes = (study.X.shape[1], *(len(b) for _, b in study.start))
    out = sigmoid_network.Workspace(sizes, B, study.X.dtype)
    _, flops = count_flops(value_and_grad, study.start, study.X[:B], study.Y[:B], out=out)
    return flops.gemm / B


CLAIM = Claim(
    id="C25",
    title="Updates after every sample are impractical",
    statement="Updates after every sample are usually not practical; a batch runs in one big pass",
    how="both data sets trained to a common loss in batches of 1, of 32 and of all, each with the "
    "best of several rates; flops counted, seconds told; one pass over all examples timed beside "
    "passes over single ones",
    precise="a pass over many examples at once takes less time an example, but a loss is reached "
    "by updates, and with one after every example it takes a small part of the whole set's work. "
    "Which is the first in seconds depends on the model and the machine; mini-batches have "
    "something of both",
    source="LeCun, Bottou, Orr and Mueller 1998, section 4.1; Bottou 2010",
    measure=measure,
    expected=REFUTED,
)
