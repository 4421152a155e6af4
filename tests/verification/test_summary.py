"""What the outputs are written from."""

import pytest
import synthetic_log
from some import some
from synthetic_log import SATURATED, TOKEN, case, coordinate, finding, footer, header

from gradcheck.problems.strata import STRATA
from gradcheck.verification.summary import summarise


def of(*records):
    return summarise([header(), *records])


def agreement(summary):
    return next(p for p in summary.properties if p.name == "agreement")


def test_a_problem_is_counted_in_one_stratum_of_every_kind():
    strata = agreement(of(case(0, TOKEN, finding()))).strata
    assert [s.kind for s in strata] == list(STRATA)
    assert all(s.tally.problems == 1 for s in some(strata))


def test_counts_by_stratum_add_up_to_the_total():
    found = agreement(synthetic_log.summary("many"))
    for kind in STRATA:
        parts = [s.tally for s in found.strata if s.kind == kind]
        assert sum(part.problems for part in parts) == found.total.problems
        for verdict, n in some(found.total.verdicts.items()):
            assert sum(part.verdicts[verdict] for part in parts) == n


def test_strata_stand_in_the_order_of_their_table_and_scales_by_size():
    found = agreement(synthetic_log.summary("many"))
    for kind, values in STRATA.items():
        assert [s.value for s in found.strata if s.kind == kind] == list(values)


def test_the_smallest_error_seen_is_taken_over_the_passes_alone():
    seen = [finding(resolution=r) for r in (1e-12, 1e-10, 1e-11)]
    unsure = finding(verdict="INCONCLUSIVE", reason="noise")
    cases = [case(n, TOKEN, found) for n, found in enumerate([*seen, unsure])]
    assert agreement(of(*cases)).total.seen == (1e-11, 1e-10)
    assert agreement(of(case(0, TOKEN, unsure))).total.seen is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_non_finite_numbers_are_read_and_the_worst_of_them_is_nan(order):
    large = finding(worst=coordinate("b1[0]", times=1e300))
    undefined = finding(worst=coordinate("W1[0,0]", engine="-Infinity", times="NaN"))
    cases = [case(0, TOKEN, large), case(1, TOKEN, undefined), case(2, TOKEN, finding())]
    worst = agreement(of(*(cases[i] for i in order), cases[2])).total.worst.finding.worst
    assert (worst.name, worst.engine) == ("W1[0,0]", float("-inf"))


def test_a_stratum_is_covered_only_where_something_was_decided():
    refused = case(0, SATURATED, finding(verdict="UNSUPPORTED"))
    unsure = case(1, SATURATED, finding(verdict="INCONCLUSIVE"))
    assert ("corner", "saturated") in of(refused, unsure).missing
    assert ("corner", "saturated") not in of(case(2, SATURATED, finding())).missing


def test_unsupported_and_inconclusive_problems_are_counted_by_reason():
    refused = [finding(verdict="UNSUPPORTED", detail=why) for why in ("a", "b", "b")]
    total = agreement(of(*(case(n, TOKEN, f) for n, f in enumerate(refused)))).total
    assert [(why.reason, why.count) for why in total.unsupported] == [("b", 2), ("a", 1)]


def test_a_failure_that_the_log_did_not_come_to_record_is_gathered_from_the_problems():
    wrong = finding(verdict="FAIL", reason="mismatch", worst=coordinate(times=7.0))
    worse = finding(verdict="FAIL", reason="mismatch", worst=coordinate(times=8.0))
    (failure,) = of(case(0, TOKEN, wrong), case(1, SATURATED, worse)).failures
    assert (failure.count, failure.worst.token, failure.smallest) == (2, SATURATED, None)


def test_a_recorded_failure_is_not_gathered_again():
    assert len(synthetic_log.summary("saturated").failures) == 1


def test_a_recorded_failure_stands_for_all_its_properties_and_reasons():
    both = {"properties": {"agreement": 1, "consistency": 1}, "reasons": ["loss", "mismatch"]}
    [*log, failure, end] = synthetic_log.saturated()
    other = case(9, TOKEN, finding("consistency", "FAIL", reason="loss"))
    assert len(summarise([*log, other, failure, end]).failures) == 2
    assert len(summarise([*log, other, failure | both, end]).failures) == 1


@pytest.mark.parametrize(
    ("records", "state", "complete"),
    [
        ([footer(0)], "VERIFIED", True),
        ([footer(1)], "NOT AS EXPECTED", True),
        ([footer(130, complete=False)], "INTERRUPTED", False),
        ([footer(0, complete=False)], "INCOMPLETE", False),
        ([], "INCOMPLETE", False),
        ([footer(0), case(1, TOKEN, finding())], "INCOMPLETE", False),
        ([footer(130, complete=False), case(1, TOKEN, finding()), footer(0)], "VERIFIED", True),
        ([footer(0), header()], "INCOMPLETE", False),
    ],
)
def test_only_a_footer_at_the_end_makes_a_log_complete(records, state, complete):
    summary = of(case(0, TOKEN, finding()), *records)
    assert (summary.state, summary.complete) == (state, complete)
    assert bool(summary.warning) is not complete


def test_a_problem_recorded_twice_counts_once_as_it_was_recorded_last():
    total = agreement(of(case(0, TOKEN, finding(verdict="FAIL")), case(0, TOKEN, finding()))).total
    assert (total.problems, total.verdicts["PASS"]) == (1, 1)


def test_exact_tests_are_no_examples():
    summary = of(case(-1, SATURATED, finding("exact lattice")), case(0, TOKEN, finding()))
    assert (summary.problems, summary.examples) == (2, 1)
    assert "holds 1 of 2 examples" in summary.warning


def test_a_property_that_was_asked_for_and_never_examined_is_there_with_no_problem():
    names = {p.name: p.total.problems for p in of(case(0, TOKEN, finding())).properties}
    assert names == {"agreement": 1, "consistency": 0, "exact": 0}


def test_an_unknown_verdict_is_refused():
    with pytest.raises(ValueError, match="verdict='FINE'; it must be one of PASS, FAIL"):
        of(case(0, TOKEN, finding(verdict="FINE")))
