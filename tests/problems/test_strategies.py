"""The strategies reach every stratum, shrink to the smallest network, and refuse bad limits."""

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from some import some

from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import Case, missing_strata, parse
from gradcheck.problems.strategies import architectures, cases, problems


def drawn_from(strategy, examples=300):
    """Collect what a derandomised Hypothesis run draws from a strategy."""
    collected = []

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example):
        collected.append(example)

    collect()
    return collected


@pytest.fixture(scope="module")
def drawn():
    """What a run draws from `cases()`, once for all tests that read it."""
    return drawn_from(cases())


def test_cases_reach_every_stratum(drawn):
    assert missing_strata(drawn) == []


CRIPPLED = {
    "single precision forgotten": cases(dtypes=("float64",)),
    "shallow": cases(max_depth=4),
    "never wide": cases(max_width=40),
    "hard targets": cases(targets=("binary", "zeros", "ones", "half", "one_hot")),
}


@pytest.mark.by_day(4)
@pytest.mark.parametrize("name", CRIPPLED)
def test_a_crippled_strategy_does_not_reach_every_stratum(name):
    assert missing_strata(drawn_from(CRIPPLED[name]))


LACKING = {
    "no saturated units": lambda found: [case for case in found if case.corner != "saturated"],
    "no logistic regression": lambda found: [case for case in found if case.sizes[1:] != (1,)],
    "always the same": lambda found: [Case(seed=case.seed) for case in found],
}


@pytest.mark.parametrize("name", LACKING)
def test_draws_that_lack_something_do_not_reach_every_stratum(name, drawn):
    assert missing_strata(LACKING[name](drawn))


def test_cases_are_mostly_small(drawn):
    n = sorted(case.architecture.n_parameters for case in drawn)
    assert 30 <= n[len(n) // 2] <= 200
    assert n[int(0.9 * len(n))] <= 1500
    assert n[-1] <= 5000


@given(cases())
def test_a_drawn_case_builds_its_problem(case):
    problem = case.problem()
    assert problem.architecture == case.architecture
    assert problem.batch == case.batch
    assert parse(case.token).problem() == problem


@given(problems(max_depth=2, dtypes=("float32",), max_parameters=50, corners=("generic",)))
def test_problems_keep_to_the_limits(problem):
    assert isinstance(problem, Problem)
    assert problem.dtype == "float32"
    assert problem.architecture.depth <= 2
    assert problem.architecture.n_parameters <= 50
    assert all(W.all() for W in some(problem.weights))


@given(architectures(losses=("quadratic",), max_width=3))
def test_architectures_keep_to_the_limits(architecture):
    assert isinstance(architecture, Architecture)
    assert architecture.loss == "quadratic"
    assert max(architecture.sizes) <= 3


SMALLEST = "gc1:1-1:cross_entropy:mean:m1:float64:w1:generic:binary:s0"


def smallest(strategy, predicate):
    quiet = settings(database=None, derandomize=True, max_examples=2000, deadline=None)
    return find(strategy, predicate, settings=quiet)


def test_a_failure_everywhere_shrinks_to_the_smallest_case():
    assert smallest(cases(), lambda _: True).token == SMALLEST


@pytest.mark.by_day(3)
@pytest.mark.parametrize(
    ("fails", "old", "new"),
    [
        (lambda case: case.loss == "quadratic", "cross_entropy", "quadratic"),
        (lambda case: case.reduction == "sum", "mean", "sum"),
        (lambda case: case.dtype == "float32", "float64", "float32"),
        (lambda case: case.weight_scale >= 100, "w1", "w100"),
        (lambda case: case.batch >= 5, "m1", "m5"),
        (lambda case: len(case.sizes) == 4, "1-1", "1-1-1-1"),
        (lambda case: case.sizes[-1] > 1, "1-1", "1-2"),
        (lambda case: case.sizes[0] >= 3, "1-1", "3-1"),
        (lambda case: max(case.sizes) >= 7, "1-1", "8-1"),
        (lambda case: max(case.sizes) == 200, "1-1", "200-1"),
        (lambda case: case.corner == "saturated", "generic", "saturated"),
        (lambda case: case.corner == "stationary", "generic:binary", "stationary:half"),
        (lambda case: case.targets == "one_hot", "1-1", "1-2"),
        (lambda case: case.seed >= 1000, "s0", "s1000"),
    ],
)
def test_a_failure_shrinks_to_the_smallest_case_that_shows_it(fails, old, new):
    expected = SMALLEST.replace(old, new)
    shrunk = smallest(cases(), fails).token
    assert shrunk.replace("one_hot", "binary") == expected


def test_a_failure_that_depends_on_the_numbers_shrinks_too():
    shrunk = smallest(problems(), lambda problem: (problem.inputs > 1).any())
    assert shrunk.architecture.sizes in {(n, 1) for n in range(1, 5)}
    assert shrunk.batch == 1


@pytest.mark.parametrize("strategy", [architectures, cases, problems])
def test_bad_limits_are_refused_when_the_strategy_is_made(strategy):
    with pytest.raises(ValueError, match="max_depth=0; it must be at least 1"):
        strategy(max_depth=0)
    with pytest.raises(ValueError, match="nothing can be drawn"):
        strategy(corners=("duplicated_examples",), max_batch=1)
    with pytest.raises(TypeError, match="max_deep"):
        strategy(max_deep=3)


def test_a_failing_test_prints_the_token():
    @settings(database=None, derandomize=True, phases=(Phase.generate, Phase.shrink))
    @given(problems())
    def fails(problem):
        assert problem.batch < 1

    with pytest.raises(AssertionError) as failure:
        fails()
    assert f"case {SMALLEST}" in failure.value.__notes__
