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
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradcheck.report.figures import BLUE, ORANGE, STYLE
from gradcheck.report.settings import Settings
from gradcheck.report.textbook.claim import REFUTED, Claim, Evidence, Finding
from gradcheck.report.textbook.curves import Array, Parameters, ValueAndGrad
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
    frame = _frame(runs)
    return Evidence(
        (_falls(runs, [len(rows) for rows in dealt]), _predicts(runs, m)),
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
        "{trainings} trainings on {least} or {most} rows each, {T} steps, lambda = {rate:g}: from "
        "each step watched to the next the training loss falls, {falls} times of {n}, from {first} "
        "to a mean of {last}",
        falls == n,
        {
            "trainings": len(runs),
            "least": min(sizes),
            "most": max(sizes),
            "T": runs[0].steps[-1],
            "rate": RATE,
            "n": n,
        },
        {
            "falls": falls,
            "first": float(np.mean([run.loss[0] for run in runs])),
            "last": float(np.mean([run.loss[-1] for run in runs])),
        },
    )


def _predicts(runs: list[Training], m: int) -> Finding:
    """Judge the last parameters and the stopped ones on rows that chose neither."""
    D, seen = np.zeros(m), np.zeros(m)
    pairs: list[tuple[float, float]] = []
    right = np.zeros(2)
    stops: list[int] = []
    for run in runs:
        halves = np.arange(0, len(run.rows), 2), np.arange(1, len(run.rows), 2)
        for chooses, judges in (halves, halves[::-1]):
            s = int(np.argmin(np.mean(run.held_out[:, chooses], axis=1)))
            last, stopped = (run.held_out[t, judges] for t in (-1, s))
            D[run.rows[judges]] += last - stopped
            seen[run.rows[judges]] += 1
            pairs += zip(last.tolist(), stopped.tolist(), strict=True)
            right += [np.sum(run.right[t, judges]) for t in (-1, s)]
            stops.append(run.steps[s])
    each = D[seen > 0] / seen[seen > 0]
    more, error = float(np.mean(each)), float(np.std(each, ddof=1) / len(each) ** 0.5)
    last_loss, stopped_loss = np.mean(pairs, axis=0).tolist()
    return Finding(
        "the last parameters predict held-out rows best: their mean loss is {last}, that of the "
        "parameters after {least} to {most} steps, chosen on other held-out rows, {stopped}; the "
        "difference by rows is {more:.3f} ± {error:.3f}, {sure:g} standard errors being allowed; "
        "{right:.1f} % are told right at the end, {right_stopped:.1f} % where it is stopped",
        more <= SURE * error,
        {"sure": SURE},
        {
            "last": last_loss,
            "least": min(stops),
            "most": max(stops),
            "stopped": stopped_loss,
            "more": more,
            "error": error,
            "right": 100 * float(right[0]) / len(pairs),
            "right_stopped": 100 * float(right[1]) / len(pairs),
        },
    )


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
