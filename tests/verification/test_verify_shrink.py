"""Shrinking: to the smallest network that fails for the same reason, always the same one."""

import pytest
from in_process import driven
from some import some

from gradcheck.engines.base import EngineInfo
from gradcheck.engines.registry import find
from gradcheck.mutants.registry import MUTANTS
from gradcheck.problem import LOSSES, REDUCTIONS
from gradcheck.problems.case import Case, parse, sample_cases
from gradcheck.verification.guarded import Guarded
from gradcheck.verification.plan import Plan, Settings
from gradcheck.verification.shrink import (
    CHECKS,
    is_supported,
    shrink,
    simpler,
    simplicity,
    tiny,
    ways,
)
from gradcheck.verification.signature import label
from gradcheck.verification.worker import Task, work

INFO = EngineInfo("any", "1", ("float32", "float64"), LOSSES, REDUCTIONS)
LARGE = "gc1:5-7-4-3:quadratic:sum:m6:float32:w3:constant_feature:soft:s77"


def failing(engine, token, property_="agreement"):
    finding = work(engine, Task(token, property_)).finding
    assert finding["verdict"] == "FAIL", finding
    return token, finding


def shrunk(name, *tokens, property_="agreement"):
    engine = Guarded(find(f"py:faulty_engines:{name}"))
    found = [failing(engine, token, property_) for token in tokens]
    [way] = ways(found)
    return driven(shrink(way, engine.info, "py:any:engine"), engine)


def test_a_wrong_engine_shrinks_to_one_weight_and_one_example():
    record = shrunk("doubled", LARGE)
    case = parse(record["smallest"]["token"])
    assert case == Case(sizes=(1, 1))
    assert record["smallest"]["finding"]["worst"]["name"] == "W1[0,0]"
    assert record["replay"] == f"python -m gradcheck replay {case.token} py:any:engine"
    assert 0 < record["shrink_checks"] <= CHECKS


@pytest.mark.by_day(2)
@pytest.mark.parametrize("sizes", ["2-1:cross_entropy:mean:m1", "3-2-1:cross_entropy:mean:m3"])
def test_a_saturated_defect_shrinks_to_one_weight_and_keeps_its_explanation(sizes):
    token = f"gc1:{sizes}:float64:w100:generic:binary:s3"
    record = shrunk("ClippedLoss", token)
    case = parse(record["smallest"]["token"])
    assert label(record["worst"]["finding"]) == "clipped loss"
    assert (case.sizes, case.batch) == ((1, 1), 1)
    assert label(record["smallest"]["finding"]) == "clipped loss"


def test_an_exception_shrinks_to_the_same_exception():
    record = shrunk("raises_on_one_example", LARGE.replace("m6", "m1"), property_="consistency")
    assert record["signature"] == "the engine raises ZeroDivisionError"
    assert (record["property"], record["reason"]) == ("consistency", "raised")
    assert parse(record["smallest"]["token"]) == Case(sizes=(1, 1))


def test_the_worst_case_is_kept_beside_the_smallest():
    mild = "gc1:5-7-4-3:quadratic:sum:m6:float64:w1:generic:soft:s77"
    record = shrunk("doubled", mild, mild.replace("5-7-4-3", "2-1"))
    both = [record["worst"]["finding"]["worst"]["times"]]
    engine = Guarded(find("py:faulty_engines:doubled"))
    tokens = (mild, mild.replace("5-7-4-3", "2-1"))
    both += [failing(engine, t)[1]["worst"]["times"] for t in tokens]
    assert both[0] == max(both)
    assert record["count"] == 2


def test_a_dead_engine_is_not_asked_again():
    finding = failing(Guarded(find("py:faulty_engines:raises")), LARGE)[1]
    finding["detail"] = "the engine's process was killed by SIGSEGV"
    [way] = ways([(LARGE, finding)])
    assert way.group.what == "the engine dies"
    piece = shrink(way, INFO, "e")
    with pytest.raises(StopIteration) as finished:
        next(piece)
    assert finished.value.value["smallest"]["token"] == LARGE


TINY_MUTANTS = [name for name, wrong in MUTANTS.items() if wrong.smallest <= 3]
"""Those that a direct search over tiny networks finds to fail there (tests/mutants)."""

COUPLED = ["bias_of_layer_above", "batch_like_width", "stale_batch"]
"""What no change of one width, or of the batch alone, leaves wrong; and what calls leave behind."""


def first_failures(name, most):
    """Failures of a mutant on the problems of a default run."""
    wrong, engine = MUTANTS[name], Guarded(MUTANTS[name].make())
    examined, plan = wrong.caught_by[0], Plan(Settings(engine="py:any:engine"), engine.info)
    for n in (n for n in plan.numbers() if n >= 0):
        token, properties = next(plan.tries(n))
        if examined in properties and wrong.shows.admits(parse(token).problem()):
            found = work(engine, Task(token, examined)).finding
            if found["verdict"] == "FAIL":
                yield engine, token, found
                most -= 1
        if not most:
            return


def weights_of_the_smallest(name, starts):
    """From how many weights each failure was shrunk to how many."""
    for engine, token, found in first_failures(name, starts):
        [way] = ways([(token, found)])
        piece = shrink(way, engine.info, "py:any:engine")
        case = parse(driven(piece, engine)["smallest"]["token"])
        yield parse(token).architecture.n_weights, case.architecture.n_weights


@pytest.mark.parametrize("name", COUPLED)
def test_a_mutant_that_shows_on_three_weights_is_reported_on_three_at_most(name, monkeypatch):
    monkeypatch.setattr("gradcheck.verification.plan._exact_cases", lambda *_: ([], []))
    [(before, after)] = weights_of_the_smallest(name, 1)
    assert before > 3
    assert after <= 3


SHOWS_LATER = {"dropout_mask": 8}
"""Units of which some are 0 and others not are seen where there are two of them at least."""


@pytest.mark.nightly
@pytest.mark.parametrize("name", TINY_MUTANTS)
def test_every_mutant_that_shows_on_three_weights_is_reported_on_three_at_most(name):
    most = SHOWS_LATER.get(name, 3)
    assert all(after <= most for _, after in some(weights_of_the_smallest(name, 2)))


@pytest.mark.by_day(2)
@pytest.mark.parametrize("count", [12, 40])
def test_tiny_networks_are_simpler_than_a_large_case_and_of_three_weights_at_most(count):
    for case in sample_cases(count, 6):
        for often in (False, True):
            found = list(tiny(case, INFO, often=often))
            assert all(c.architecture.n_weights <= 3 for c in some(found))
            assert all(simplicity(c) < simplicity(case) for c in some(found))
            assert bool(found) == (case.architecture.n_weights > 3)
    limited = EngineInfo("a", "1", ("float32",), ("quadratic",), ("sum",), limits={"max_depth": 1})
    assert {len(c.sizes) for c in tiny(parse(LARGE), limited)} == {2}


@pytest.mark.by_day(2)
@pytest.mark.parametrize("count", [20, 60])
def test_candidates_are_simpler_valid_supported_and_different(count):
    for case in sample_cases(count, 5):
        candidates = list(simpler(case, INFO))
        assert all(simplicity(candidate) < simplicity(case) for candidate in candidates)
        assert len({candidate.token for candidate in candidates}) == len(candidates)
    limited = EngineInfo("a", "1", ("float32",), ("quadratic",), ("sum",))
    assert all(
        is_supported(candidate, limited) for candidate in some(simpler(parse(LARGE), limited))
    )


def test_nothing_is_simpler_than_the_simplest_case():
    assert list(simpler(Case(sizes=(1, 1)), INFO)) == []
