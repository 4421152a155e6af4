"""What fails in a run and is right in a fresh process is told as what is kept between calls."""

from in_process import driven

from gradcheck.engines.registry import find
from gradcheck.verification.alone import DIAGNOSIS, FEW, MANY, asked_alone, told_of_calls
from gradcheck.verification.failures import read_failure
from gradcheck.verification.guarded import Guarded
from gradcheck.verification.shrink import failures, shrink
from gradcheck.verification.story import cause_of
from gradcheck.verification.worker import Reply, Task, work

TOKEN = "gc1:2-2-1:cross_entropy:mean:m2:float64:w1:generic:binary:s{}"
KEEPS = "py:faulty_engines:KeepsFirstWeights"


def test_weights_that_are_kept_from_an_earlier_call_are_told_as_that():
    def fresh(task):
        return work(Guarded(find(KEEPS)), task)

    engine = Guarded(find(KEEPS))
    replies = [(TOKEN.format(n), work(engine, Task(TOKEN.format(n), "agreement"))) for n in (0, 1)]
    records = [{"kind": "case", "token": t, "findings": [r.finding]} for t, r in replies]
    [way] = failures([*records, *asked_alone(records, fresh)])
    command = "python -m gradcheck verify ..."
    record = driven(shrink(way, engine.info, KEEPS, command=command), engine)
    failure = read_failure(record)
    assert failure.signature == (
        "the answer depends on the calls before: alone, in a fresh process, it is right"
    )
    assert (failure.count, failure.shrink_checks, failure.replay) == (1, 0, command)
    assert cause_of(failure)[0].text.startswith("all layers: the answer depends on the calls")


def case(token, verdict="FAIL", reason="mismatch", name="agreement"):
    finding = {"property": name, "verdict": verdict, "reason": reason, "diagnosis": "a formula"}
    return {"kind": "case", "token": token, "findings": [finding]}


RUN = [case("a"), case("b", "PASS", ""), *(case(f"c{n}") for n in range(20)), case("d", name="x")]


def asked(right):
    asked_of = []

    def fresh(task):
        asked_of.append(task)
        return Reply({"verdict": "PASS" if right(task.case) else "FAIL"})

    return asked_alone(RUN, fresh), asked_of


def test_few_problems_are_asked_alone_and_more_only_if_one_is_right():
    [record], tasks = asked(lambda token: False)
    assert record == {"kind": "alone", "asked": ["c19", "c9"], "right": []}
    assert tasks == [Task(token, "agreement") for token in record["asked"]]
    assert len(tasks) == FEW
    [record], tasks = asked(lambda token: token != "c19")
    assert len(tasks) == len(set(tasks)) == MANY
    assert set(record["asked"]) - set(record["right"]) == {"c19"}


def test_nothing_is_asked_where_nothing_fails():
    assert asked_alone([case("a", "PASS", "")], lambda task: 1 / 0) == []


def test_what_fails_alone_too_keeps_its_cause():
    failing = [(each["token"], each["findings"][0]) for each in RUN]
    [record], _ = asked(lambda token: token != "c19")
    told = dict(told_of_calls(failing, [record]))
    assert {t for t, finding in told.items() if finding["diagnosis"] != DIAGNOSIS} == {"b", "c19"}
    [record], _ = asked(lambda token: False)
    assert told_of_calls(failing, [record]) == failing
