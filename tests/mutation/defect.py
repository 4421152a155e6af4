"""One defect of one line: a piece of a module's text, and what stands in its place."""

from __future__ import annotations

from dataclasses import dataclass

Key = tuple[str, str, str, str]
"""What names a defect although lines move: module, function, text before and after."""


@dataclass(frozen=True)
class Defect:
    """A piece of text replaced by another.

    Attributes:
        path: of the module, relative to the root.
        function: the function around it, with the class it is in; "" if there is none.
        operator: the kind of change.
        line: where the piece begins, counted from 1.
        statement: where the statement around it begins.
        start, end: the bytes of the module's text that are replaced.
        before, after: the piece, and what stands in its place, on one line each.
    """

    path: str
    function: str
    operator: str
    line: int
    statement: int
    start: int
    end: int
    before: str
    after: str

    @property
    def key(self) -> Key:
        """What names the defect although lines move."""
        return self.path, self.function, self.before, self.after

    def apply(self, text: str) -> str:
        """Return the module's text with the defect.

        >>> Defect("a.py", "", "constant", 1, 1, 4, 5, "1", "2").apply("a = 1")
        'a = 2'
        """
        data = text.encode()
        return (data[: self.start] + self.after.encode() + data[self.end :]).decode()

    def __str__(self) -> str:
        """Where it is, and what it changes."""
        return f"{self.path}:{self.line} {self.function}: {self.before} -> {self.after}"
