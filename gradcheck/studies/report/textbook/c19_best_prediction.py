r"""C19: bringing the loss to a minimum is said to generate the best prediction.

Symbols: logistic regression on breast cancer, trained on one part of the rows by gradient descent,
the parts taken in turn; for every row i that is held out of a training

    l_i(t) = -y_i log p_i(t) - (1 - y_i) log(1 - p_i(t))     its loss after t steps

With more features than a part needs, its classes can be separated: the training loss has infimum 0
and no minimum, the weights grow without end (Albert and Anderson 1984), and so does the loss of
every held-out row on the wrong side. Watched after 0, 1, 2, 4, ... steps:

    T   the last step, where the training loss is least
    s   the step with the least mean l_i over one half of the held-out rows

T and s are compared on the other half, which has had no part in the choice, and the halves change
places (early stopping: Morgan and Bourlard 1990; Goodfellow, Bengio and Courville 2016, section
7.8). D_i is the mean of l_i(T) - l_i(s) over the trainings that held row i out; over n rows

    D = mean D_i  +-  sqrt(sum (D_i - D)^2 / (n (n - 1)))

of which 2.6 are allowed; and the same for the rows told wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradcheck.studies.report.figures import BLUE, ORANGE, STYLE
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFUTED, Claim, Evidence, Finding
from gradcheck.studies.report.textbook.curves import Array, Parameters, ValueAndGrad
from reference_models import sigmoid_network
from reference_models.datasets import Dataset, load_breast_cancer, standardise
from reference_models.losses import LOSSES
from reference_models.products import matmul
from reference_models.training import Step, batches, gradient_descent

HeldOut = Callable[[Array, int], Array]

PARTS = 6
RATE = 2.0
SURE = 2.6
"""Standard errors: 99 % of a normal distribution lie within."""
NAME = "c19_best_prediction"


class Training(NamedTuple):
    """One training.

    Attributes:
        rows: of the data, held out.
        steps: the steps at which it was watched, the last one the last of the training.
        loss: of the training rows at each of them.
        held_out: loss of every held-out row, (steps, rows).
        right: whether it is classified rightly, (steps, rows).
    """

    rows: Array
    steps: list[int]
    loss: Array
    held_out: Array
    right: Array


class Judged(NamedTuple):
    """A training, the number of the look s at which it is stopped, and the rows that judge."""

    run: Training
    s: int
    judges: Array


def all_others(rows: Array, m: int) -> Array:
    """Return the rows that were not trained on."""
    return np.setdiff1d(np.arange(m), rows)


def measure(
    settings: Settings,
    value_and_grad: ValueAndGrad = sigmoid_network.value_and_grad,
    held_out: HeldOut = all_others,
) -> Evidence:
    """Train on every part and predict the rows held out, at the end and earlier."""
    data = load_breast_cancer()
    m = len(data.labels)
    dealt = batches(m, -(-m // PARTS), seed=settings.seed, epoch=0)
    runs = [
        _trained(data, rows, held_out(rows, m), settings.prediction_steps, value_and_grad)
        for rows in dealt
    ]
    frame, judged = _frame(runs), _judged(runs)
    return Evidence(
        (_falls(runs, [len(rows) for rows in dealt]), _loss(judged, m), _right(judged, m)),
        {NAME: frame},
        {NAME: _figure(frame)},
    )


def _trained(
    data: Dataset, rows: Array, others: Array, T: int, value_and_grad: ValueAndGrad
) -> Training:
    Y = data.labels[:, None].astype(float)
    X = standardise(data.inputs[rows])
    test = standardise(data.inputs[others], reference=data.inputs[rows])
    kept: dict[int, Parameters] = {}

    def watch(step: Step, theta: Parameters, _: Parameters) -> None:
        if step.iteration & (step.iteration - 1) == 0:
            kept[step.iteration] = theta

    end, _ = gradient_descent(
        lambda theta: value_and_grad(theta, X, Y[rows]),
        [(np.zeros((1, X.shape[1])), np.zeros(1))],
        learning_rate=RATE,
        iterations=T,
        at_step=watch,
    )
    kept[T] = end
    z = np.array([_logits(theta, test) for theta in kept.values()])
    y = Y[others, 0]
    return Training(
        others,
        list(kept),
        np.array([float(sigmoid_network.loss(p, X, Y[rows])) for p in kept.values()]),
        LOSSES["cross_entropy"].value(z, np.broadcast_to(y, z.shape)),
        (z >= 0) == (y == 1),
    )


def _logits(theta: Parameters, X: Array) -> Array:
    ((W, b),) = theta
    return np.asarray(matmul(X, W[0]) + b[0])


# --- findings -------------------------------------------------------------------------------------


def _falls(runs: list[Training], sizes: list[int]) -> Finding:
    falls = sum(int(np.sum(np.diff(run.loss) < 0)) for run in runs)
    n = sum(len(run.loss) - 1 for run in runs)
    return Finding(
        "{trainings} trainings on {least} or {most} rows, {T:,} steps each: the training loss "
        "falls from look to look, {falls} times of {n}, from {first} to {last}",
        falls == n,
        {
            "trainings": len(runs),
            "least": min(sizes),
            "most": max(sizes),
            "T": runs[0].steps[-1],
            "n": n,
        },
        {
            "falls": falls,
            "first": float(np.mean([run.loss[0] for run in runs])),
            "last": float(np.mean([run.loss[-1] for run in runs])),
        },
    )


def _loss(judged: list[Judged], m: int) -> Finding:
    last, stopped, more, error = _by_rows(judged, m, lambda run: run.held_out)
    return Finding(
        "the last parameters predict held-out rows best: mean loss {last}, of those stopped after "
        "{least} to {most} steps {stopped}, {more:.3f} ± {error:.3f} less",
        more <= SURE * error,
        {},
        {
            "last": last,
            "least": min(one.run.steps[one.s] for one in judged),
            "most": max(one.run.steps[one.s] for one in judged),
            "stopped": stopped,
            "more": more,
            "error": error,
        },
        expected=False,
    )


def _right(judged: list[Judged], m: int) -> Finding:
    wrong, wrong_stopped, more, error = _by_rows(judged, m, lambda run: 100.0 * ~run.right)
    return Finding(
        "they tell the most held-out rows right: {right:.1f} %, those stopped earlier "
        "{right_stopped:.1f} %, {more:.1f} ± {error:.1f} % more",
        more <= SURE * error,
        {},
        {
            "right": 100 - wrong,
            "right_stopped": 100 - wrong_stopped,
            "more": more,
            "error": error,
        },
        expected=None,
    )


def _judged(runs: list[Training]) -> list[Judged]:
    """Choose s on either half of the rows, to be judged on the other."""
    found = []
    for run in runs:
        halves = np.arange(0, len(run.rows), 2), np.arange(1, len(run.rows), 2)
        for chooses, judges in (halves, halves[::-1]):
            s = int(np.argmin(np.mean(run.held_out[:, chooses], axis=1)))
            found.append(Judged(run, s, judges))
    return found


def _by_rows(
    judged: list[Judged], m: int, badness: Callable[[Training], Array]
) -> tuple[float, float, float, float]:
    """Return the mean badness at T and at s, and D with its standard error."""
    total, seen = np.zeros((2, m)), np.zeros(m)
    for run, s, judges in judged:
        rows = run.rows[judges]
        total[:, rows] += badness(run)[[-1, s]][:, judges]
        seen[rows] += 1
    last, stopped = (total / np.maximum(seen, 1))[:, seen > 0]
    D = last - stopped
    error = float(np.std(D, ddof=1) / len(D) ** 0.5)
    return float(np.mean(last)), float(np.mean(stopped)), float(np.mean(D)), error


# --- figure ---------------------------------------------------------------------------------------


def _frame(runs: list[Training]) -> pd.DataFrame:
    return pd.concat(
        pd.DataFrame(
            {
                "training": k,
                "step": run.steps,
                "training_loss": run.loss,
                "held_out_loss": np.mean(run.held_out, axis=1),
                "held_out_right": np.mean(run.right, axis=1),
            }
        )
        for k, run in enumerate(runs, start=1)
    )


def _figure(frame: pd.DataFrame) -> Figure:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        axes = figure.subplots()
        curves = {"training_loss": ("trained on", BLUE), "held_out_loss": ("held out", ORANGE)}
        for column, (label, colour) in curves.items():
            for _, run in frame.groupby("training"):
                axes.loglog(run["step"] + 1, run[column], color=colour, lw=0.6, alpha=0.5)
            mean = frame.groupby("step")[column].mean()
            axes.loglog(mean.index + 1, mean, color=colour, lw=2.2, label=label)
        axes.set_xlabel("steps + 1")
        axes.set_ylabel("mean loss of rows")
        axes.set_title("Logistic regression on breast cancer")
        axes.legend(frameon=False)
    return figure


CLAIM = Claim(
    id="C19",
    title="Least loss gives the best prediction",
    statement="Bringing the loss to a minimum generates the best prediction",
    how="logistic regression on each sixth of the breast cancer data, the other rows held out; the "
    "parameters of the least training loss against parameters stopped earlier, on rows that have "
    "chosen neither",
    precise="the loss that is brought down is that of the rows trained on; for these the "
    "prediction gets better to the end. Others are predicted best by parameters whose training "
    "loss is not the least",
    source="Goodfellow, Bengio and Courville 2016, sections 5.2 and 7.8",
    measure=measure,
    look=f"figures/{NAME}.svg",
    expected=REFUTED,
)
