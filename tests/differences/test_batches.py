"""Batched black boxes: the same numbers in blocks, each point counted, x left alone."""

import collections

import numpy as np
import pytest

import gradcheck
from gradcheck.differences import batches
from gradcheck.differences.batches import Stack, batched, is_batched
from gradcheck.differences.lines import BudgetSpentError, InputChangedError, Lines
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.pytree import structure_of

N = 7


def point():
    return {"a": np.array([[-0.0, 1.5], [0.25, -2.0]], dtype=np.float32), "b": [np.array(0.5)]}


def one(p):
    return float(np.sum(p["a"].astype(float) ** 2) * np.exp(p["b"][0]))


def many(p):
    return np.sum(p["a"].astype(float) ** 2, axis=(1, 2)) * np.exp(p["b"][0])


def test_the_mark_is_a_wrapper_or_an_attribute():
    def f(x):
        return x

    assert not is_batched(f)
    assert is_batched(batched(f))
    f.batched = True
    assert is_batched(f)


def test_what_cannot_be_called_cannot_be_marked():
    with pytest.raises(TypeError, match="f must be callable, got int"):
        batched(3)


@pytest.mark.parametrize("rows", [1, 2, 3, 512])
def test_lines_see_the_same_numbers_in_blocks_of_any_size(rows, monkeypatch):
    monkeypatch.setattr(batches, "ROWS", rows)
    alone, together = Lines(one, point()), Lines(batched(many), point())
    axes, offsets = np.array([4, 0, 3, 1, 4]), np.array([0.25, -0.5, 1.0, 1e-3, 2.0])
    for left, right in zip(
        alone.along_axes(axes, offsets), together.along_axes(axes, offsets), strict=True
    ):
        np.testing.assert_array_equal(left, right)
    steps, v = np.array([-2.0, 0.5, 1.0, 3.0]), np.array([1.0, -1.0, 0.0, 0.1, 1.0])
    np.testing.assert_array_equal(
        alone.along(alone.origin, v, steps), together.along(together.origin, v, steps)
    )
    g = np.arange(5.0)
    for left, right in zip(
        alone.rises_along(v, steps, g), together.rises_along(v, steps, g), strict=True
    ):
        np.testing.assert_array_equal(left, right)
    assert alone.forward_passes == together.forward_passes == 14
    assert together.changed_leaf() is None


def test_a_block_is_as_large_as_its_memory(monkeypatch):
    monkeypatch.setattr(batches, "BLOCK_BYTES", 100)
    seen = []

    def f(X):
        seen.append(X.nbytes)
        return np.sum(X, axis=1)

    lines = Lines(batched(f), np.ones(4))
    lines.along_axes(np.arange(4), np.full(4, 0.5))
    lines.along(lines.origin, np.ones(4), np.arange(5.0))
    assert max(seen) <= 100
    assert sum(seen) == 32 * lines.forward_passes == 32 * 10


def test_the_independent_counter_agrees_and_the_outcome_is_that_of_single_points():
    counted = collections.Counter()

    def f(X):
        counted["f"] += len(X)
        return np.sum(np.sin(X), axis=1)

    x = np.linspace(0.1, 1.2, N)
    together = gradcheck.check_gradient(batched(f), np.cos, x)
    alone = gradcheck.check_gradient(lambda x: np.sum(np.sin(x)), np.cos, x)
    assert counted["f"] == together.forward_passes == alone.forward_passes
    assert str(together) == str(alone)
    wrong = gradcheck.check_gradient(batched(f), np.sin, x)
    assert wrong.verdict is Verdict.FAIL


@pytest.mark.parametrize("budget", [1, 5, 23, 45])
def test_a_block_never_exceeds_the_budget(budget):
    counted = collections.Counter()

    def f(X):
        counted["f"] += len(X)
        return np.sum(np.sin(X), axis=1)

    x = np.linspace(0.1, 1.2, N)
    outcome = gradcheck.check_gradient(batched(f), np.cos, x, budget=budget)
    assert outcome.reason is Reason.BUDGET
    assert counted["f"] == outcome.forward_passes <= budget
    with pytest.raises(BudgetSpentError):
        Lines(batched(f), x, budget=3).along_axes(np.arange(3), np.ones(3))


@pytest.mark.parametrize(
    "answer",
    [lambda X: X, lambda X: 1.0, lambda X: np.ones(len(X) + 1), lambda X: 1j * X[:, 0]],
)
def test_an_answer_that_is_not_one_real_number_a_point_is_refused(answer):
    with pytest.raises(TypeError, match="one real number for each"):
        Lines(batched(answer), np.ones(3))


def test_an_f_that_writes_to_its_stack_is_found():
    def rude(X):
        X += 1.0
        return np.sum(X, axis=1)

    def sly(X):
        if len(X) > 1:
            X[:, 0] += 1.0
        return np.sum(X, axis=1)

    x = np.ones(3)
    with pytest.raises(InputChangedError, match=r"x\[0\]"):
        Lines(batched(sly), x).along_axes(np.arange(3), np.ones(3))
    for f in (rude, sly):
        outcome = gradcheck.check_gradient(batched(f), lambda x: np.ones(3), x)
        assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, Reason.INPUT_CHANGED)
    np.testing.assert_array_equal(x, np.ones(3))


def test_a_block_that_raises_is_asked_point_by_point():
    def f(X):
        if np.any(X[:, 1] > 0):
            raise ValueError("math domain error")
        return np.sum(X, axis=1)

    lines = Lines(batched(f), np.array([1.0, -0.0, 2.0]))
    rise, _ = lines.along_axes(np.arange(3), np.full(3, 0.5))
    np.testing.assert_array_equal(rise, [0.5, np.nan, 0.5])
    assert np.isnan(lines.along(lines.origin, np.ones(3), np.array([1.0, 2.0]))).all()
    assert lines.undefined.count == 3
    assert lines.forward_passes == 6
    assert lines.changed_leaf() is None


@pytest.mark.parametrize(
    "keep", [lambda a: a, lambda a: a[:1, 1:], memoryview, lambda a: a.T.reshape(-1, order="F")]
)
def test_what_f_keeps_of_a_stack_is_not_written_to_again(keep):
    x = np.array([0.5, -1.0, 2.0])
    kept = []

    def keeping(stacked):
        part = keep(stacked)
        kept.append((part, np.array(part, copy=True)))
        return np.sum(np.sin(stacked), axis=1)

    lines = Lines(gradcheck.batched(keeping), x)
    for offset in (0.25, 0.5, 0.75):
        lines.along_axes(np.arange(3), np.full(3, offset))
    assert len(kept) == 4
    for part, before in kept:
        np.testing.assert_array_equal(np.asarray(part), before)


def test_memory_of_a_stack_that_f_has_let_go_is_handed_out_again(monkeypatch):
    made = []
    repeat = np.repeat

    def counted(*args, **kwargs):
        made.append(args)
        return repeat(*args, **kwargs)

    monkeypatch.setattr(np, "repeat", counted)
    lines = Lines(gradcheck.batched(lambda stacked: np.sum(stacked, axis=1)), np.ones(3))
    for offset in (0.25, 0.5, 0.75):
        lines.along_axes(np.arange(3), np.full(3, offset))
    assert len(made) == 1


@pytest.mark.parametrize("keeps", [False, True])
def test_a_batch_that_is_changed_elsewhere_than_where_it_was_moved_is_noticed(keeps):
    kept = []

    def rude(stacked):
        if keeps:
            kept.append(stacked)
        if len(stacked) > 1:
            stacked[0, 2] = 7.0
        return np.sum(stacked, axis=1)

    lines = Lines(gradcheck.batched(rude), np.array([0.5, -1.0, 2.0]))
    with pytest.raises(InputChangedError, match=r"x\[2\]"):
        lines.along_axes(np.arange(2), np.ones(2))


@pytest.mark.parametrize("row", [0, 1, 2, 3])
def test_x_is_put_back_where_it_was_written_to_and_nowhere_else(row):
    """So that what f changed elsewhere can still be seen."""
    x = np.arange(3.0)
    stack = Stack(x, structure_of(x))
    stack.write(np.full((3, 3), 7.0))
    stack.write(np.full((2, 3), 8.0))
    stack.restore()
    assert stack.changed() is None
    stack._memory[0][row, 1] = 9.0
    stack.write(np.full((1, 3), 7.0))
    stack.restore()
    assert stack.changed() == (None if row < 1 else 1)
