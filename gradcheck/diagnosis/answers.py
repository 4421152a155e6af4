"""Names what is wrong with an answer whose shapes are not those of the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gradcheck.engines.base import Engine
    from gradcheck.problem import Problem

Shapes = list[tuple[tuple[int, ...], ...]]


def told_of_shapes(engine: Engine, problem: Problem) -> str:
    """Say how the shapes of an answer came about, "" where nothing explains them.

    Args:
        engine: whose answer has wrong shapes.
        problem: where it has.
    """
    try:
        _, layers = engine.value_and_grad(problem)
        got = [tuple(_shape(part) for part in pair) for pair in layers]
    except Exception:  # noqa: BLE001  a diagnosis that fails must not end the check
        return ""
    return _told(got, [((n, low), (n,)) for n, low in problem.architecture.shapes])


def _shape(part: Any) -> tuple[int, ...]:
    return tuple(np.shape(part))


def _told(got: Shapes, meant: Shapes) -> str:
    L = len(meant)
    if len(got) < L:
        missing = "layer L is" if got == meant[: len(got)] else "layers are"
        return f"all layers: {missing} missing from the answer; expected {L} pairs (dW, db)"
    explained = (
        (meant[::-1], "they come in the order of the backward path, L first; expected 1 first"),
        ([(b, W) for W, b in meant],
         "dC/db_l stands where dC/dW_l belongs; expected pairs (dW, db)"),
        ([(W[::-1], b) for W, b in meant],
         "dC/dW_l has the shape (n_{l-1}, n_l); expected the shape (n_l, n_{l-1})"),
        ([(W, (1, *b)) for W, b in meant],
         "dC/db_l has the shape (1, n_l); expected the shape (n_l,)"),
        ([(W, (*b, 1)) for W, b in meant],
         "dC/db_l has the shape (n_l, 1); expected the shape (n_l,)"),
    )  # fmt: skip
    told = next((what for shapes, what in explained if got == shapes), "")
    return told and f"all layers: {told}"
