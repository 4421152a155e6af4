"""What a check advises, which method it chooses and what it asks for, at the edges."""

from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck.checks import gradient as module
from gradcheck.outcomes.judging import DEFAULT_RESOLUTION
from gradcheck.outcomes.reasons import Reason
from gradcheck.pytree import structure_of

u = 2.0**-53


def advice(value=1.0, noise=1e-15, reason=Reason.MISMATCH, off=(), is_short=False, size=3):
    lines = SimpleNamespace(value=value, unit_roundoff=u, size=size, is_short_of_jax=is_short)
    found = [SimpleNamespace(deviation=d, oracle=o) for d, o in off]
    outcome = SimpleNamespace(reason=reason, discrepancies=found)
    return module._advice(lines, outcome, noise)


def test_noise_is_mentioned_beyond_a_million_roundings_of_f_and_below_f_itself():
    million = 2.0**20 * u
    for size in (1.0, -8.0):
        assert advice(size, million * abs(size)) == []
        [told] = advice(size, million * abs(size) * 1.01)
        assert told.startswith(f"one evaluation of f, {abs(size):.3g}, is taken to be uncertain")
        assert len(advice(size, abs(size) * 0.99)) == 1
        assert advice(size, abs(size)) == []


@pytest.mark.parametrize(
    ("off", "is_slight"),
    [
        ([(1e-3, 1.0)], True),
        ([(-1e-3, 1.0), (2e-4, -0.25)], True),
        ([(1.01e-3, 1.0)], False),
        ([(-1.01e-3, -1.0)], False),
        ([(1e-4, 1.0), (2.0, 1.0)], False),
        ([], False),
    ],
)
def test_slight_deviations_may_be_those_of_a_solver(off, is_slight):
    told = advice(off=off)
    assert len(told) == is_slight
    assert all("off by more than 1e-03 of itself" in line for line in told)


def test_a_spent_budget_is_told_what_would_suffice():
    [told] = advice(reason=Reason.BUDGET, size=10, is_short=True)
    assert told.startswith(f"about {module.DECIDED * 10} forward passes decide 10 coordinates")
    assert f"{module.SEARCHED * 10} those of any" in told
    assert advice(is_short=True) == [f"f(x) is float32 and x is not{module.JAX_ADVICE}"]


@pytest.mark.parametrize(
    ("n", "budget", "resolution", "method"),
    [
        (2**15 - 1, None, None, "every-coordinate"),
        (2**15, None, None, "directional"),
        (2**15, None, 0.1, "every-coordinate"),
    ],
)
def test_size_chooses_the_method_where_nothing_else_is_said(n, budget, resolution, method):
    assert module._chosen(structure_of(np.ones(n)), budget, resolution) == method


@pytest.mark.parametrize("arrays", [1, 2])
def test_a_budget_chooses_the_method_by_what_it_suffices_for(arrays):
    along = module.ALONG_DIRECTIONS * arrays
    few = along // module.DECIDED // arrays
    small = structure_of([np.ones(few) for _ in range(arrays)])
    assert module._chosen(small, 1, None) == "every-coordinate"
    large = structure_of([np.ones(few + 1) for _ in range(arrays)])
    enough = module.SEARCHED * large.size + module.ALONG_DIRECTIONS
    assert module._chosen(large, enough, None) == "every-coordinate"
    assert module._chosen(large, enough - 1, None) == "directional"


def test_along_n_signs_the_root_of_n_times_as_much_is_asked_for():
    structure = structure_of([np.ones(3), np.ones(16)])
    reached = DEFAULT_RESOLUTION[8]
    assert module._asked(structure, may_be_along=False) == reached
    assert module._asked(structure, may_be_along=True) == reached * 4
    assert module._asked(structure, may_be_along=True, shortest=4) == 4 * DEFAULT_RESOLUTION[4]
    assert module._asked(structure, may_be_along=True, shortest=2) == 0.5
    assert module._asked(structure_of([]), may_be_along=True) == reached
