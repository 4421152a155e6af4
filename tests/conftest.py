"""Profiles of Hypothesis, and how tests are shared out among processes (`pytest -n 2`).

Hypothesis' profile `ci` repeats the same examples for ever, `nightly` searches new ones.
"""

import gc
import multiprocessing
from itertools import groupby

import pytest
from hypothesis import HealthCheck, settings

from gradcheck.studies.report.engines import worker
from gradcheck.threads import one_thread_a_process
from gradcheck.verification import pool

one_thread_a_process()  # matrices are small here

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=30, database=None)
settings.register_profile(
    "nightly",
    deadline=None,
    max_examples=2000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # large networks are drawn on purpose
)
settings.load_profile("ci")


ONE_REPORT = ("tests/studies/report/test_", "tests/studies/report/textbook/")
"""These tests read one report, which a process measures once."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Share out whole modules, which keep what is costly, and the reports' tests as one.

    Files with many tests are begun first, so that processes end at about the same time.
    """
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - there if processes are asked for

    class ByModule(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return "report" if nodeid.startswith(ONE_REPORT) else super()._split_scope(nodeid)

    return ByModule(config, log)


gc.disable()  # until all tests are known: collecting makes a million objects that stay


def pytest_collection_finish(session):
    """Leave what was collected out of every search for garbage: it lives as long as the tests."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)  # before the nightly tests are left out
def pytest_collection_modifyitems(items):
    """Refuse names that differ from process to process; keep cases for the night."""
    named = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if named:
        raise pytest.UsageError(f"an address in the name of a test: {', '.join(named[:3])}")
    by_day = [item for item in items if item.get_closest_marker("by_day")]
    for _, cases in groupby(by_day, lambda item: item.nodeid.partition("[")[0]):
        for i, case in enumerate(cases):
            if i % case.get_closest_marker("by_day").args[0]:
                case.add_marker(pytest.mark.nightly)


LOADED = (
    "pytest",
    "gradcheck.checks.ladder",
    "gradcheck.certified.ball_network",
    "gradcheck.studies.report.engines.worker",
    "gradcheck.engines.reference",
)
"""What a worker has loaded before it has done anything."""


@pytest.fixture(scope="session", autouse=True)
def warm():
    """Fork workers off a server that has everything loaded, in a tenth of the time.

    What they print goes where the server was started, and not to the test.
    """
    with pytest.MonkeyPatch.context() as patch:
        if "forkserver" in multiprocessing.get_all_start_methods():
            multiprocessing.set_forkserver_preload(list(LOADED))
            for module in (pool, worker):
                patch.setattr(module, "START", "forkserver")
        yield


@pytest.fixture
def cold(warm, monkeypatch):
    """Start workers as users have them, each in a fresh interpreter."""
    for module in (pool, worker):
        monkeypatch.setattr(module, "START", "spawn")
