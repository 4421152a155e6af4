"""A mutant: a backprop that is wrong on purpose, and what is known of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from inspect import getdoc
from typing import Any, TypeVar

from gradcheck.engines.base import Engine
from gradcheck.mutants.backprop import Backprop
from gradcheck.problem import LOSSES, REDUCTIONS, Problem, dtype_name
from gradcheck.problems.strata import LimitsDict

FAIL = "FAIL"
PROPERTIES = ("agreement", "consistency")

Predicate = Callable[[Problem], bool]
T = TypeVar("T", bound=Backprop)


@dataclass(frozen=True)
class Shows:
    """Where a mistake can show: nowhere else does it change the gradient beyond rounding.

    Attributes:
        losses, reductions, dtypes: any of these.
        depth, batch, outputs: at least so many layers, examples, output units.
        most_outputs: at most so many output units.
        when: what else a problem must have.
        words: the same in words.
    """

    losses: tuple[str, ...] = LOSSES
    reductions: tuple[str, ...] = REDUCTIONS
    dtypes: tuple[str, ...] = ("float64", "float32", "float16")
    depth: int = 1
    batch: int = 1
    outputs: int = 1
    most_outputs: int | None = None
    when: Predicate | None = None
    words: str = ""

    def __post_init__(self) -> None:
        if (self.when is None) != (not self.words):
            raise ValueError(f"words={self.words!r} must say what `when` asks for")

    def limits(self) -> LimitsDict:
        """Return the part that can be asked of `gradcheck.problems.case.sample_cases`.

        >>> Shows(losses=("quadratic",), batch=2).limits()
        {'losses': ('quadratic',)}
        """
        limits = LimitsDict()
        if self.losses != LOSSES:
            limits["losses"] = self.losses
        if self.reductions != REDUCTIONS:
            limits["reductions"] = self.reductions
        if "float32" not in self.dtypes:
            limits["dtypes"] = self.dtypes
        if self.most_outputs is not None:
            limits["max_outputs"] = self.most_outputs
        return limits

    def admits(self, problem: Problem) -> bool:
        """Whether the mistake can show on a problem."""
        network = problem.architecture
        n_out = network.sizes[-1]
        return (
            network.loss in self.losses
            and network.reduction in self.reductions
            and dtype_name(problem.dtype) in self.dtypes
            and network.depth >= self.depth
            and problem.batch >= self.batch
            and n_out >= self.outputs
            and (self.most_outputs is None or n_out <= self.most_outputs)
            and (self.when is None or self.when(problem))
        )

    def __str__(self) -> str:
        told = [
            "" if self.losses == LOSSES else f"loss {' or '.join(self.losses)}",
            "" if self.reductions == REDUCTIONS else f"reduction {' or '.join(self.reductions)}",
            "" if "float32" in self.dtypes else f"dtype {' or '.join(self.dtypes)}",
            f"depth {self.depth} and more" if self.depth > 1 else "",
            f"batch {self.batch} and more" if self.batch > 1 else "",
            f"outputs {self.outputs} and more" if self.outputs > 1 else "",
            "" if self.most_outputs is None else f"outputs {self.most_outputs} at most",
            self.words,
        ]
        return ", ".join(filter(None, told)) or "everywhere"


@dataclass(frozen=True)
class Mutant:
    """A wrong backprop.

    Attributes:
        name: as `py:gradcheck.mutants:NAME` finds it.
        mistake: in one sentence.
        equation: which equation is wrong, and what the right one is.
        shows: where the mistake can show.
        make: makes the engine.
        group: the place of the mistake, which is the module it is written in.
        smallest: the fewest weights (biases not counted) of a network that shows it.
        caught_by: the properties that can catch it.
        expected: the verdict on the whole.
        right: makes the same engine without the mistake: the class that the mutant derives from.
    """

    name: str
    mistake: str
    equation: str
    shows: Shows
    make: Callable[[], Engine]
    group: str
    smallest: int = 1
    caught_by: tuple[str, ...] = PROPERTIES
    expected: str = FAIL
    right: Callable[[], Engine] = Backprop


MUTANTS: dict[str, Mutant] = {}
"""Filled by the modules that define mutants; `gradcheck.mutants.registry` imports them all."""


def mutant(
    equation: str,
    *,
    smallest: int = 1,
    caught_by: tuple[str, ...] = PROPERTIES,
    **shows: Any,
) -> Callable[[type[T]], type[T]]:
    """Register a class as a mutant; its text is the mistake, its name in snake case the name.

    Args:
        equation: which equation is wrong, and what the right one is.
        smallest: the fewest weights of a network that shows it.
        caught_by: the properties that can catch it.
        **shows: the fields of `Shows`.

    Raises:
        ValueError: two mutants of one name.
    """

    def register(made: type[T]) -> type[T]:
        if "name" not in vars(made):
            made.name = snake_case(made.__name__)
        if made.name in MUTANTS:
            raise ValueError(f"two mutants are called {made.name!r}")
        MUTANTS[made.name] = Mutant(
            name=made.name,
            mistake=getdoc(made) or made.name,
            equation=equation,
            shows=Shows(**shows),
            make=made,
            group=made.__module__.rpartition(".")[2],
            smallest=smallest,
            caught_by=caught_by,
            right=next(base for base in made.__mro__[1:] if not is_mutant(base)),
        )
        return made

    return register


def is_mutant(made: type) -> bool:
    """Whether a class has been registered."""
    return any(known.make is made for known in MUTANTS.values())


def snake_case(name: str) -> str:
    """Return a class's name in lower case, the words joined by underscores.

    >>> snake_case("MeanOfOneLess")
    'mean_of_one_less'
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
