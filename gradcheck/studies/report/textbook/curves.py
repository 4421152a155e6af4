"""Training on both data sets by single examples, mini-batches and the whole set.

Breast cancer: logistic regression on all features, from zero. Digits: a 64-30-10 network, from
random weights. A quarter of the examples is held out. One learning rate a data set, whatever the
batch, so that the curves differ by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradcheck.splitmix64 import Stream
from gradcheck.studies.report.figures import BLUE, GREEN, ORANGE, STYLE
from gradcheck.studies.report.textbook.nearest_mean import right_by_nearest_mean
from reference_models import sigmoid_network
from reference_models.datasets import (
    Dataset,
    held_out_split,
    load_breast_cancer,
    load_digits,
    one_hot,
    standardise,
)
from reference_models.training import Record, Step

Array = npt.NDArray[Any]
Parameters = list[tuple[Array, Array]]
Train = Callable[..., tuple[Parameters, Record]]
ValueAndGrad = Callable[..., tuple[Any, Parameters]]

HIDDEN = 30
KINDS = {"single examples": 1, "mini-batches": 32, "whole set": None}
"""Kinds of training by their batch size; None is all examples."""
EPOCHS = {"single examples": 4, "mini-batches": 20, "whole set": 300}
RATES = {"breast cancer": 0.1, "digits": 0.5}
NAME = "c16_training"


@dataclass(frozen=True, eq=False)
class Study:
    """A data set split in two, and a model before training."""

    name: str
    X: Array
    Y: Array
    start: Parameters
    test: Array
    labels: Array

    def right(self, theta: Parameters) -> int:
        """Count the held-out examples that are classified rightly."""
        a = sigmoid_network.forward(theta, self.test)
        told = np.argmax(a, axis=1) if a.shape[1] > 1 else a[:, 0] >= 0.5
        return int(np.sum(told == self.labels))

    @property
    def right_by_nearest_mean(self) -> int:
        """Count those that the nearest class mean classifies rightly."""
        return right_by_nearest_mean(self.X, self.Y, self.test, self.labels)


@dataclass(eq=False)
class Curve:
    """One training.

    Attributes:
        study, kind, batch_size, epochs: what was trained and how.
        record: what training saw.
        theta: the final parameters.
        complete: epochs in which every example was used exactly once.
        iterations: the different numbers of iterations that epochs took.
        last_steps: rows, parameters and gradient at the last step of the first and last epoch.
    """

    study: Study
    kind: str
    batch_size: int
    epochs: int
    record: Record = field(default_factory=lambda: Record((), ()))
    theta: Parameters = field(default_factory=list)
    complete: int = 0
    iterations: tuple[int, ...] = ()
    last_steps: list[tuple[Array, Parameters, Parameters]] = field(default_factory=list)


def breast_cancer(seed: int) -> Study:
    """Return the study of logistic regression."""
    train, held_out = held_out_split(load_breast_cancer(), seed=seed)
    X, Y = standardise(train.inputs), train.labels[:, None].astype(float)
    start = [(np.zeros((1, X.shape[1])), np.zeros(1))]
    test = standardise(held_out.inputs, reference=train.inputs)
    return Study("breast cancer", X, Y, start, test, held_out.labels)


def digits(seed: int) -> Study:
    """Return the study of the network."""
    train, held_out = held_out_split(load_digits(), seed=seed)
    start = [
        (Stream(seed, f"W{layer}").normal((n, n_in)) / np.sqrt(n_in), np.zeros(n))
        for layer, (n_in, n) in enumerate(pairwise((64, HIDDEN, 10)), start=1)
    ]
    X, Y = train.inputs / _brightest(train), one_hot(train.labels, 10)
    return Study("digits", X, Y, start, held_out.inputs / _brightest(train), held_out.labels)


def _brightest(data: Dataset) -> float:
    return float(data.inputs.max())


@lru_cache(maxsize=2)
def curves(seed: int, train: Train, value_and_grad: ValueAndGrad) -> tuple[Curve, ...]:
    """Train both models in all three ways."""
    return tuple(
        _trained(study, kind, seed, train, value_and_grad)
        for study in (breast_cancer(seed), digits(seed))
        for kind in KINDS
    )


def _trained(
    study: Study, kind: str, seed: int, train: Train, value_and_grad: ValueAndGrad
) -> Curve:
    curve = Curve(study, kind, KINDS[kind] or len(study.X), EPOCHS[kind])
    dealt: dict[int, list[Array]] = {}
    last: dict[int, tuple[Array, Parameters, Parameters]] = {}

    def watch(step: Step, theta: Parameters, gradient: Parameters) -> None:
        rows = np.arange(len(study.X)) if step.rows is None else step.rows
        dealt.setdefault(step.epoch, []).append(rows)
        last[step.epoch] = (rows, theta, gradient)

    curve.theta, curve.record = train(
        value_and_grad,
        study.start,
        study.X,
        study.Y,
        learning_rate=RATES[study.name],
        batch_size=curve.batch_size,
        epochs=curve.epochs,
        seed=seed,
        at_step=watch,
        loss=sigmoid_network.loss,
    )
    each = np.arange(len(study.X))
    whole = (np.sort(np.concatenate(rows)) for rows in dealt.values())
    curve.complete = sum(np.array_equal(rows, each) for rows in whole)
    curve.iterations = tuple(sorted({len(rows) for rows in dealt.values()}))
    curve.last_steps = [last[epoch] for epoch in sorted({min(last), max(last)})] if last else []
    return curve


# --- figure ---------------------------------------------------------------------------------------


def frame(found: tuple[Curve, ...]) -> pd.DataFrame:
    """Return the whole set's loss by data set, kind and epoch."""
    return pd.concat(
        pd.DataFrame(
            {
                "data": curve.study.name,
                "kind": curve.kind,
                "epoch": range(len(curve.record.epoch_losses)),
                "loss": curve.record.epoch_losses,
            }
        )
        for curve in found
    )


def figure(found: tuple[Curve, ...]) -> Figure:
    """Draw the loss against epochs, each curve with its held-out accuracy."""
    with mpl.rc_context(STYLE):
        drawn = Figure(figsize=(8.0, 4.0), layout="constrained")
        panels = drawn.subplots(1, 2)
        for axes, name in zip(panels, RATES, strict=True):
            _panel(axes, [curve for curve in found if curve.study.name == name])
            axes.set_title(f"{name}, λ = {RATES[name]:g}")
        panels[0].set_ylabel("loss of the training part")
        drawn.supxlabel("right: of the held-out examples, after the last epoch", fontsize=9)
    return drawn


def _panel(axes: Axes, found: list[Curve]) -> None:
    places = ((6, 0), (6, -9), (6, 6))
    for curve, colour, place in zip(found, (ORANGE, GREEN, BLUE), places, strict=True):
        losses = curve.record.epoch_losses
        axes.plot(range(len(losses)), losses, "o-", ms=2.5, color=colour, lw=1.4)
        share = 100 * curve.study.right(curve.theta) / len(curve.study.labels)
        axes.annotate(
            f"{curve.kind}, {share:.0f} % right",
            (len(losses) - 1, losses[-1]),
            xytext=place,
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=9,
        )
    axes.set_xscale("symlog", linthresh=1)
    axes.set_yscale("log")
    axes.set_xlim(0, 9000)
    low, high = axes.get_ylim()
    ticks = [0, 1, 3, 10, 30, 100]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    marks = [mark for mark in (0.05, 0.1, 0.2, 0.5, 1, 2, 5) if low <= mark <= high]
    axes.set_yticks(marks, [f"{mark:g}" for mark in marks])
    axes.minorticks_off()
    axes.set_xlabel("epochs")
