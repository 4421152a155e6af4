"""Many questions, asked by several processes; the answers come in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from gradcheck.studies.report.progress import section_progress

Question = TypeVar("Question")
Found = TypeVar("Found")


def each(
    title: str,
    work: Callable[[Question], Found],
    questions: Sequence[Question],
    *,
    jobs: int,
    chunk: int = 1,
) -> list[Found]:
    """Answer every question, in order.

    Args:
        title: what is said of it on the way.
        work: answers one question; a function of a module.
        questions: each a value that can be handed to another process.
        jobs: worker processes; 1 works in this one.
        chunk: questions that go to one process together.
    """
    with section_progress(title, len(questions)) as advance:
        if jobs == 1:
            return list(_counted(map(work, questions), advance))
        with ProcessPoolExecutor(jobs) as pool:
            return list(_counted(pool.map(work, questions, chunksize=chunk), advance))


def _counted(found: Iterator[Found], advance: Callable[[int], object]) -> Iterator[Found]:
    for one in found:
        advance(1)
        yield one
