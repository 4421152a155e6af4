"""How much memory a worker gets: a share of the machine's, or of its container's."""

import multiprocessing
import resource
import sys

import numpy as np
import pytest

from gradcheck.verification import memory

GIB = 2**30


@pytest.fixture
def machine(monkeypatch, tmp_path):
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**22}.get)
    monkeypatch.setattr(memory, "GROUP", tmp_path / "memory.max")
    return tmp_path / "memory.max"


@pytest.mark.parametrize(("jobs", "size"), [(1, 12 * GIB), (4, 3 * GIB), (100, GIB)])
def test_workers_share_three_quarters_of_the_machine(jobs, size, machine):
    assert memory.usual_memory(jobs) == size


@pytest.mark.parametrize(("told", "size"), [(f"{8 * GIB}\n", 6 * GIB), ("max\n", 12 * GIB)])
def test_a_container_has_what_it_was_given(told, size, machine):
    machine.write_text(told, "ascii")
    assert memory.usual_memory(1) == size


def _takes(most, answer):
    memory.limit_memory(most)
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    try:
        np.ones(most // 8)
    except MemoryError:
        answer.put((hard, "MemoryError"))
    else:
        answer.put((hard, "taken"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts so")
def test_more_than_the_limit_is_a_memory_error_and_the_limit_cannot_be_raised():
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    process = context.Process(target=_takes, args=(GIB, answer))
    process.start()
    assert answer.get(timeout=60) == (GIB, "MemoryError")
    process.join()
