"""Hypothesis strategies for architectures, cases and problems.

A strategy draws structure and a seed; the numbers come from the seed's streams. So an example is
named by its case token, and shrinks to the smallest network: 1-1, one example, the generic
corner, weight scale 1, seed 0.

All keyword arguments are those of `gradcheck.problems.strata.Limits`; limits that leave nothing to
draw are refused when the strategy is made.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import hypothesis
from hypothesis import strategies as st

from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import Case, has_preactivations_within
from gradcheck.problems.strata import Choose, Limits, LimitsDict, draw_case, draw_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


def architectures(**limits: Unpack[LimitsDict]) -> st.SearchStrategy[Architecture]:
    """Draw architectures: depth 1 to 8, widths 1 to 40 and now and then 200, small ones most often.

    >>> from hypothesis import find
    >>> find(architectures(max_depth=3), lambda architecture: True)
    Architecture(sizes=(1, 1), loss='cross_entropy', reduction='mean')
    """
    allowed = Limits(**limits)

    @st.composite
    def one(draw: st.DrawFn) -> Architecture:
        choose = _choose(draw)
        sizes = draw_sizes(choose, allowed)
        return Architecture(
            sizes, choose("loss", allowed.losses), choose("reduction", allowed.reductions)
        )

    return one()


def cases(**limits: Unpack[LimitsDict]) -> st.SearchStrategy[Case]:
    """Draw cases, evenly over weight scales and corners, the generic corner half of the time.

    A failing test names the case, whose token repeats it anywhere.
    """
    allowed = Limits(**limits)

    @st.composite
    def one(draw: st.DrawFn) -> Case:
        return Case(**draw_case(_choose(draw), allowed))

    most = allowed.max_preactivation
    return one() if most == inf else one().filter(lambda c: has_preactivations_within(c, most))


def problems(**limits: Unpack[LimitsDict]) -> st.SearchStrategy[Problem]:
    """Draw the problems of `cases`; a failing test prints the token as a note."""

    @st.composite
    def one(draw: st.DrawFn) -> Problem:
        case = draw(cases(**limits))
        if hypothesis.currently_in_test_context():
            hypothesis.note(f"case {case.token}")
        return case.problem()

    Limits(**limits)
    return one()


def _choose(draw: st.DrawFn) -> Choose:
    def choose(factor: str, options: Sequence[T]) -> T:  # noqa: ARG001  the contract of Choose
        # Hypothesis draws nothing for a single option, and shrinking prefers fewer draws: a corner
        # that leaves no choice elsewhere would pass for simpler than the generic one.
        alternatives = options if len(options) > 1 else (options[0], options[0])
        if isinstance(alternatives, range):
            strategy = _one_of(alternatives, int)
        else:
            strategy = _one_of(tuple(alternatives), *map(type, alternatives))
        chosen: T = draw(strategy)
        return chosen

    return choose


@lru_cache(maxsize=1000)
def _one_of(
    options: range | tuple[Any, ...],
    *_types: type,  # 1 and 1.0 are equal, and not the same option
) -> st.SearchStrategy[Any]:
    """Make the strategy of some options once: Hypothesis examines every new one at length."""
    return st.sampled_from(options)
