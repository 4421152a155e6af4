"""The plan: the same cases for the same settings, in every shard, within what is supported."""

from itertools import islice

import pytest
from some import some

from gradcheck.engines.base import EngineInfo, limited
from gradcheck.problem import LOSSES, REDUCTIONS
from gradcheck.problems.case import largest_preactivation, missing_strata, parse
from gradcheck.verification.plan import (
    EXAMPLES,
    SMALL,
    TRIES,
    NothingToVerifyError,
    Plan,
    Settings,
    is_small,
)

BOTH = ("float32", "float64")
INFO = EngineInfo("any", "1", BOTH, LOSSES, REDUCTIONS)


@pytest.fixture(autouse=True)
def without_exact_tests(monkeypatch, request):
    """Leave the exact tests out, whose problems take their time to be found."""
    if "exact" not in request.node.name:
        monkeypatch.setattr("gradcheck.verification.plan._exact_cases", lambda *_: ([], []))


def plan(info=INFO, **settings):
    return Plan(Settings(engine="any", **{"examples": 40} | settings), info)


def cases_of(a_plan):
    return [parse(next(iter(a_plan.tries(n)))[0]) for n in a_plan.numbers() if n >= 0]


def test_the_same_seed_gives_the_same_cases_and_another_one_others():
    assert cases_of(plan()) == cases_of(plan())
    assert cases_of(plan()) != cases_of(plan(seed=1))


def test_more_examples_begin_with_the_same_ones():
    assert cases_of(plan(examples=60))[:40] == cases_of(plan())


@pytest.mark.by_day(2)
@pytest.mark.parametrize("shards", [2, 3])
def test_shards_partition_the_cases_and_the_exact_tests(shards):
    parts = [plan(shard=(i + 1, shards), dtype="float64") for i in range(shards)]
    numbers = [part.numbers() for part in parts]
    whole = plan(dtype="float64")
    assert sorted(n for part in numbers for n in part) == whole.numbers()
    for part, own in zip(parts, numbers, strict=True):
        assert [list(part.tries(n)) for n in own] == [list(whole.tries(n)) for n in own]


@pytest.mark.parametrize("shards", range(1, 9))
def test_consistency_has_the_same_share_in_every_shard(shards):
    for i in range(shards):
        own = range(i, 1000, shards)
        assert sum(map(is_small, own)) == pytest.approx(len(own) / 4, abs=4)


def test_consistency_is_examined_on_small_networks_and_agreement_on_all():
    a_plan = plan(examples=EXAMPLES)
    for n, case in enumerate(some(cases_of(a_plan))):
        _, properties = next(iter(a_plan.tries(n)))
        assert properties == ("agreement", "consistency")[: 1 + is_small(n)]
        if is_small(n):
            assert case.architecture.n_parameters <= SMALL["max_parameters"]
            assert case.batch <= SMALL["max_batch"]


def test_the_default_number_of_examples_reaches_every_stratum():
    assert missing_strata(cases_of(plan(examples=EXAMPLES))) == []


def test_draws_are_steered_to_what_the_engine_supports():
    limits = {"targets": "binary", "max_outputs": 1, "max_depth": 2, "max_width": 500}
    info = EngineInfo("some", "1", ("float64",), ("quadratic",), ("sum",), limits=limits)
    for case in some(cases_of(plan(info))):
        assert (case.dtype, case.loss, case.reduction) == ("float64", "quadratic", "sum")
        assert (case.targets, case.sizes[-1]) == ("binary", 1)
        assert len(case.sizes) <= 3


def test_weights_and_preactivations_keep_to_their_limits():
    limits = {"max_weight_scale": 10, "max_preactivation": 20.0}
    info = EngineInfo("some", "1", BOTH, LOSSES, REDUCTIONS, limits=limits)
    cases = cases_of(plan(info))
    assert max(case.weight_scale for case in cases) == 10
    assert max(largest_preactivation(case.problem()) for case in cases) <= 20
    assert max(largest_preactivation(case.problem()) for case in cases_of(plan())) > 20


def test_limits_that_are_asked_for_narrow_those_of_the_engine():
    own = {"max_depth": 3, "max_batch": 2, "targets": ["soft", "binary"]}
    info = EngineInfo("some", "1", BOTH, LOSSES, REDUCTIONS, limits=own)
    asked = (("max_depth", 2), ("max_batch", 5), ("targets", ("binary", "half")))
    assert dict(limited(info, asked).limits) == {
        "max_depth": 2,
        "max_batch": 2,
        "targets": ["binary"],
    }
    for case in some(cases_of(plan(info, limits=asked))):
        assert (len(case.sizes) <= 3, case.batch <= 2, case.targets) == (True, True, "binary")
    with pytest.raises(NothingToVerifyError, match="has the targets soft, binary: none is asked"):
        plan(info, limits=(("targets", ("half",)),))


def test_a_refused_case_is_replaced_by_others_of_its_kind_up_to_a_limit():
    tries = list(plan().tries(0))
    assert len({token for token, _ in tries}) == TRIES
    assert {properties for _, properties in tries} == {("agreement", "consistency")}
    assert all(parse(token).architecture.n_parameters <= 40 for token, _ in some(tries))


def test_the_exact_tests_come_first_and_are_numbered_below_0():
    a_plan = plan(dtype="float64")
    exact = [n for n in a_plan.numbers() if n < 0]
    assert a_plan.numbers() == [*range(-len(exact), 40)]
    assert len(exact) > 4
    for n in exact:
        [(token, [name])] = a_plan.tries(n)
        assert name.startswith("exact ")
        assert parse(token).dtype == "float64"


@pytest.mark.parametrize(
    ("info", "settings", "told"),
    [
        (INFO, {"dtype": "float16"}, "any computes in float32, float64, not in float16"),
        (EngineInfo("a", "1", ("bfloat16",), LOSSES, REDUCTIONS), {}, "none that can be verified"),
        (EngineInfo("a", "1", BOTH, ("hinge",), REDUCTIONS), {}, "has the losses hinge: none is"),
    ],
)
def test_nothing_to_verify_is_said(info, settings, told):
    with pytest.raises(NothingToVerifyError, match=told):
        plan(info, **settings)


def test_the_command_holds_what_decides_the_results():
    settings = Settings(engine="cmd:node engine.js", examples=9, shard=(2, 3))
    assert settings.command == (
        "python -m gradcheck verify 'cmd:node engine.js' --examples 9 --shard 2/3"
    )
    settings = Settings("reference", require="flushed", limits=(("targets", ("soft", "half")),))
    assert settings.command == (
        "python -m gradcheck verify reference --require flushed --limit targets=soft,half"
    )
    assert Settings(engine="reference").command == "python -m gradcheck verify reference"


def test_the_work_of_a_plan_grows_as_the_number_of_its_cases(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "gradcheck.verification.plan.is_small", lambda n: asked.append(n) or is_small(n)
    )
    cases_of(plan(examples=100))
    assert len(asked) == 200


def test_no_differences_are_taken_in_half_precision():
    info = EngineInfo("half", "1", ("float16",), LOSSES, REDUCTIONS)
    a_plan = plan(info)
    assert "consistency" not in a_plan.properties
    assert {p for n in range(20) for _, p in islice(a_plan.tries(n), 4)} == {("agreement",)}
