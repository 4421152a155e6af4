"""One thread a process, unless somebody has decided otherwise."""

import os
import sys

import pytest

from gradcheck.threads import THREAD_SETTINGS, one_thread_a_process


@pytest.fixture
def unset(monkeypatch):
    for name in THREAD_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_one_thread_is_asked_for_before_numpy_is_loaded(unset):

    unset.delitem(sys.modules, "numpy")
    one_thread_a_process()
    assert [os.environ[name] for name in THREAD_SETTINGS] == ["1", "1", "1"]
    for name in THREAD_SETTINGS:
        unset.delenv(name)


def test_the_users_number_stands(unset):

    unset.delitem(sys.modules, "numpy")
    unset.setenv("OMP_NUM_THREADS", "2")
    one_thread_a_process()
    assert os.environ["OMP_NUM_THREADS"] == "2"
    for name in THREAD_SETTINGS:
        unset.delenv(name)


def test_nothing_is_changed_once_numpy_is_there(unset):

    unset.setitem(sys.modules, "numpy", object())
    one_thread_a_process()
    assert all(name not in os.environ for name in THREAD_SETTINGS)
