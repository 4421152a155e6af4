"""Workers: what is lost with a slow or dying engine is told, and everything else is there."""

from multiprocessing.connection import wait
from pathlib import Path

import pytest

from gradcheck.studies.report.engines import worker
from gradcheck.studies.report.engines.jobs import Judge, Judged
from gradcheck.studies.report.engines.worker import Lost, Run

SMALL = "gc1:2-1:cross_entropy:mean:m2:float64:w1:generic:binary:s0"
FATAL = "gc1:1-1:cross_entropy:mean:m1:float64:w1:generic:binary:s0"


@pytest.fixture(autouse=True)
def found_by_workers(monkeypatch, request):
    monkeypatch.syspath_prepend(request.path.parent)


def run(engine, *tokens):
    spec = engine if ":" not in engine else f"py:comparison_engines{engine}"
    made = Run(spec, lambda _info: [Judge("agreement", token) for token in tokens], 30.0)
    return made, list(made.results())


def test_every_job_is_done_in_order():
    made, results = run("reference", SMALL, FATAL)
    assert [job.token for job, _ in results] == [SMALL, FATAL]
    assert [result.verdict for _, result in results] == ["PASS", "PASS"]
    assert made.info.name == "reference"
    assert (made.missing, made.ended) == (None, "")


@pytest.fixture
def impatient(monkeypatch, tmp_path):
    """Time is up when an engine says that it sleeps, and not before, whatever the load."""
    monkeypatch.chdir(tmp_path)
    asleep = Path("sleeps")

    def waited(over, seconds):
        while not (ready := wait(over, 0.02)) and not asleep.exists():
            pass
        if asleep.exists():
            asleep.unlink()
            monkeypatch.setattr(worker, "GRACE", 0)  # it would sleep on
        return ready

    monkeypatch.setattr(worker, "wait", waited)


@pytest.mark.parametrize(
    ("engine", "told"), [(":Dies", "died of SIGSEGV"), (":Sleeps", "no answer within 30 s")]
)
def test_one_job_is_lost_and_the_next_one_is_done(engine, told, impatient):
    made, results = run(engine, SMALL, FATAL, SMALL)
    first, second, third = (result for _, result in results)
    assert isinstance(first, Judged)
    assert second == Lost(told)
    assert third.verdict == "PASS"
    assert not made.ended


def test_an_engine_that_is_lost_too_often_is_given_up(monkeypatch):
    monkeypatch.setattr(worker, "RESTARTS", 1)
    made, results = run(":always_dies", *[SMALL] * 9)
    assert [result for _, result in results] == [Lost("exited with code 7")] * 2
    assert made.ended == "the engine was lost 2 times"


def test_an_engine_that_cannot_be_found_is_missing():
    made, results = run("nobody", SMALL)
    assert results == []
    assert made.missing.installed
    assert "no engine is registered as 'nobody'" in made.missing.why


def test_a_library_that_is_not_installed_is_told_with_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADCHECK_LEGACY", str(tmp_path))
    made, _ = run("theano", SMALL)
    assert not made.missing.installed
    assert made.missing.why == "python -m gradcheck.engines.legacy_setup theano"


def test_what_an_engine_prints_does_no_harm(capfd, cold):
    _, results = run(":says", SMALL)
    assert results[0][1].verdict == "PASS"
    assert capfd.readouterr().out == ""
