"""What a test looks through has to hold something: else it could not fail."""

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def some(results: Iterable[T]) -> list[T]:
    """Return results as a list, of which there must be some."""
    found = list(results)
    assert found, "there is nothing to look at"
    return found
