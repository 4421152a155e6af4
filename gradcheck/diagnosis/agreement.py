"""Agreement explained: of a gradient that is not the exact one, what is wrong.

Asked in this order: is it computed in another precision, is it within a wider class of algorithms
(`gradcheck.checks.ladder`), is the loss another one, and which mistake gives these numbers.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from gradcheck.checks.agreement import compare_gradients
from gradcheck.checks.ladder import Explanation, explain, explain_overflow
from gradcheck.diagnosis.precision import precision_first
from gradcheck.diagnosis.told import diagnosed, diagnosed_by_units
from gradcheck.engines.base import NO_LOSS, answered_or
from gradcheck.forward.told import loss_first, note_on_the_loss
from gradcheck.outcomes.reasons import Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcheck.certified.gradient import Certified
    from gradcheck.checks.agreement import Compared
    from gradcheck.engines.base import Engine
    from gradcheck.outcomes.outcome import Outcome
    from gradcheck.problem import Problem


def explained_agreement(
    engine: Engine,
    problem: Problem,
    *,
    resolution: float | None = None,
    require: str | None = None,
    exact: Certified | None = None,
) -> Outcome:
    """Compare an engine's gradient of a problem with the exact one, and explain.

    Of a FAIL the outcome's `explanation` names the narrowest other class that gives these numbers,
    if one does, and its `diagnosis` the likely mistake.

    Args:
        engine: the engine.
        problem: its problem, of dtype float16, float32 or float64.
        resolution: the relative error that must not go unseen, as of `check_agreement`.
        require: the widest rounding model that is allowed, as of `check_agreement`.
        exact: the exact gradient of the problem, if it is known already.

    Raises:
        TypeError: another dtype.
        ValueError: a resolution that is not between 0 and 1, or an unknown model.
        Unsupported: the engine does not take this problem.
    """
    found = compare_gradients(engine, problem, resolution=resolution, require=require, exact=exact)
    outcome = found.with_note(_note(engine, found))
    return answered_or(
        outcome, lambda: _explained(engine, found.problem, outcome, found.models, found.exact)
    )


def _note(engine: Engine, found: Compared) -> str:
    """Say what the loss is, beside a gradient that is right."""
    short = found.on_the_loss
    if not short or short == NO_LOSS or found.outcome.verdict is Verdict.FAIL:
        return short
    return answered_or("", lambda: note_on_the_loss(engine, found.problem, found.exact)) or short


def _explained(
    engine: Engine, problem: Problem, outcome: Outcome, models: tuple[str, ...], exact: Certified
) -> Outcome:
    outcome = precision_first(engine, problem, outcome)
    if outcome.suspects:
        return outcome
    found = _explanation(engine, problem, outcome, models)
    passes = outcome.backward_passes + found.backward_passes
    outcome = replace(outcome, explanation=found.text, backward_passes=passes)
    likely = partial(diagnosed, engine, problem, label=found.label)
    by_units = partial(diagnosed_by_units, engine, problem)
    return loss_first(engine, problem, outcome, likely, exact=exact, by_units=by_units)


def _explanation(
    engine: Engine, problem: Problem, outcome: Outcome, refused: Sequence[str]
) -> Explanation:
    """Look for a wider class that gives a wrong gradient; the models allowed are refused."""
    if outcome.verdict is Verdict.FAIL and outcome.comparison is not None:
        return explain(engine, problem, outcome.comparison.engine, refused=refused)
    if outcome.reason is Reason.NONFINITE:
        return explain_overflow(engine, problem)
    return Explanation("", "", 0)
