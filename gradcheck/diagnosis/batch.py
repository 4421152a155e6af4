"""Mistakes with the batch: delta_L with examples counted wrongly, or against other targets."""

# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.formula import OUTPUT, Formula

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradcheck.arrays import Array
    from gradcheck.diagnosis.symbols import Symbols

    Counts = Callable[[Symbols], Array | None]


def without_last(s: Symbols) -> Array:
    """0 for the last example, 1 for the others."""
    return np.where(np.arange(s.m) == s.m - 1, 0.0, 1.0)


def first_only(s: Symbols) -> Array | None:
    """1 for the first example, 0 for the others."""
    return np.where(np.arange(s.m) == 0, 1.0, 0.0) if s.m > 1 else None


def last_only(s: Symbols) -> Array | None:
    """1 for the last example, 0 for the others."""
    return 1 - without_last(s) if s.m > 1 else None


def without_first(s: Symbols) -> Array:
    """0 for the first example, 1 for the others."""
    return np.where(np.arange(s.m) == 0, 0.0, 1.0)


def every_second(s: Symbols) -> Array | None:
    """1, 0, 1, 0, ..."""
    return 1.0 - np.arange(s.m) % 2 if s.m > 1 else None


def first_twice(s: Symbols) -> Array:
    """2 for the first example, 1 for the others."""
    return np.where(np.arange(s.m) == 0, 2.0, 1.0)


def repeated_once(s: Symbols) -> Array | None:
    """0 for examples that have occurred before."""
    _, first = np.unique(np.hstack([s.X, s.Y]), axis=0, return_index=True)
    return None if len(first) == s.m else np.isin(np.arange(s.m), first).astype(float)


def large_errors_only(s: Symbols) -> Array | None:
    """1 for the half of the batch whose sum_k |a - y| is larger."""
    size = np.abs(s.residual).sum(axis=1)
    return (size >= np.sort(size)[s.m // 2]).astype(float) if s.m > 1 else None


def first_of(k: int) -> Counts:
    """1 for the first k examples, 0 for the others."""
    return lambda s: (np.arange(s.m) < k).astype(float) if s.m > k else None


def whole_chunks(k: int) -> Counts:
    """0 for the last m mod k examples, 1 for the others: all 0 where m < k."""
    return lambda s: (np.arange(s.m) < s.m - s.m % k).astype(float) if s.m % k else None


def last_chunk(k: int) -> Counts:
    """1 for the last chunk of k examples, which may be shorter; 0 for the others."""
    return lambda s: (np.arange(s.m) >= (s.m - 1) // k * k).astype(float) if s.m > k else None


def first_half(s: Symbols) -> Array | None:
    """1 for the first m // 2 examples, 0 for the others."""
    return (np.arange(s.m) < s.m // 2).astype(float) if s.m > 1 else None


def second_half(s: Symbols) -> Array | None:
    """0 for the first m // 2 examples, 1 for the others."""
    return (np.arange(s.m) >= s.m // 2).astype(float) if s.m > 1 else None


def mean_of_means(k: int) -> Counts:
    """What the mean over chunks of k of their means counts each example."""

    def counts(s: Symbols) -> Array | None:
        chunk = np.arange(s.m) // k
        sizes = np.bincount(chunk)
        return s.m / len(sizes) / sizes[chunk] if k < s.M and s.m % k else None

    return counts


CHUNKS = (2, 4, 8, 16, 32)

PARTS: tuple[tuple[str, str, Counts], ...] = (
    *((f"first {k} examples only", f"lacks the examples from {k} on", first_of(k)) for k in CHUNKS),
    *((f"whole chunks of {k} only", f"lacks the last m mod {k} examples", whole_chunks(k))
      for k in CHUNKS),
    *((f"last chunk of {k} only", f"has the last chunk of {k} examples only", last_chunk(k))
      for k in CHUNKS),
    ("first half only", "has the first half of the batch only", first_half),
    ("second half only", "has the second half of the batch only", second_half),
)  # fmt: skip

COUNTS: tuple[tuple[str, str, Counts], ...] = (
    ("last example missing", "lacks the last example", without_last),
    ("first example missing", "lacks the first example", without_first),
    ("first example only", "has the first example only", first_only),
    ("last example only", "has the last example only", last_only),
    ("every second example", "lacks every second example", every_second),
    ("first example twice", "counts the first example twice", first_twice),
    ("large errors only", "is 0 for the half of the batch whose error is smaller",
     large_errors_only),
    *PARTS,
    *((f"mean of means of {k}", f"is the mean over chunks of {k} of their means", mean_of_means(k))
      for k in CHUNKS),
)  # fmt: skip


REPEATED: tuple[str, str, Counts] = (
    "repeated examples once",
    "counts an example that is repeated once",
    repeated_once,
)
"""Has a meaning where all examples are equal, too."""

NONE: tuple[str, str, Counts] = ("zero", "is 0", lambda s: np.zeros(s.m))
"""Leaves no example: what a batch shorter than its parts gives, and simpler."""


def _counted(key: str, says: str, counts: Counts, *, of_batch: bool = True) -> Formula:
    def value(s: Symbols, layer: int) -> Array | None:
        weights = counts(s)
        return None if weights is None else s.error(layer) * weights[:, None]

    return Formula(key, OUTPUT, f"delta_{{l}} {says}", value, of_batch=of_batch)


def _targets(key: str, says: str, targets: Counts, *, of_batch: bool = False) -> Formula:
    def value(s: Symbols, layer: int) -> Array | None:
        other = targets(s)
        return None if other is None else (s.a[layer] - other) * s.top

    return Formula(key, OUTPUT, f"delta_{{l}} has {says}", value, of_batch=of_batch)


def rolled(by: int) -> Counts:
    """Y of other examples."""
    return lambda s: np.roll(s.Y, by, axis=0) if s.m > 1 else None


TARGETS: tuple[tuple[str, str, Counts], ...] = (
    ("targets of the example before", "the targets of the example before", rolled(1)),
    ("targets of the example after", "the targets of the example after", rolled(-1)),
    ("targets reversed", "the targets in the reverse order", lambda s: s.Y[::-1]),
    ("targets read by columns", "the targets read in the wrong order, column by column",
     lambda s: s.Y.T.reshape(s.Y.shape) if min(s.Y.shape) > 1 else None),
    ("mean target", "the mean of all targets for Y, as (m, 1) broadcast against (m,) has it",
     lambda s: np.full_like(s.Y, s.Y.mean())),
    ("mean target of each output", "the mean over the batch for Y",
     lambda s: np.broadcast_to(s.Y.mean(axis=0), s.Y.shape)),
)  # fmt: skip
"""Targets of other examples."""

LABELS: tuple[tuple[str, str, Counts], ...] = (
    ("targets flipped", "1 - Y for Y", lambda s: 1 - s.Y),
    ("targets rounded", "targets rounded to 0 and 1", lambda s: np.round(s.Y)),
    ("targets cut off", "targets cut off to whole numbers", lambda s: np.floor(s.Y)),
    ("targets above 0", "Y > 0 for Y", lambda s: (s.Y > 0).astype(float)),
    ("largest target", "1 for the largest target of an example and 0 for the others",
     lambda s: (s.Y.max(axis=1, keepdims=True) == s.Y).astype(float) if s.n(s.L) > 1 else None),
    ("targets -1 and 1", "2 Y - 1 for Y", lambda s: 2 * s.Y - 1),
    ("targets missing", "no targets: it lacks the term -Y", lambda s: np.zeros_like(s.Y)),
    ("targets added", "-Y for Y: a_{l} + Y", lambda s: -s.Y),
)  # fmt: skip
"""Other targets of the same example."""


def running(s: Symbols, layer: int) -> Array | None:
    """delta_L with that of the examples before added, as a buffer that is not set to 0 has it."""
    return np.cumsum(s.error(layer), axis=0) if s.m > 1 else None


FORMULAS = (
    Formula("examples before added", OUTPUT, "delta_{l} has that of the examples before added",
            running, of_batch=True),
    _counted(*NONE, of_batch=False),
    *(_counted(*row) for row in COUNTS),
    _counted(*REPEATED, of_batch=False),
    *(_targets(*row, of_batch=True) for row in TARGETS),
    *(_targets(*row) for row in LABELS),
)  # fmt: skip
