"""The judge counts what it says it counts: tried on samples with planted mistakes of its own."""

import time
from dataclasses import replace
from types import SimpleNamespace

import judged
import numpy as np
import pytest
from judged import judge, share
from known_defects import why_wrong
from samples import Sample, some

from gradcheck.outcomes.reasons import Verdict


def value(x):
    return float(np.sum(np.sin(x[0])) + 3 * x[1][0])


def gradient(x):
    return (np.cos(x[0]), np.array([3.0]))


RIGHT = Sample("ours", "float64", "sines", value, gradient, (np.array([0.5, 1.0]), np.array([2.0])))


def test_a_right_gradient_passes_and_all_four_plants_are_caught():
    found = judge(RIGHT)
    assert (found.verdict, found.reason, found.planted) == ("PASS", "", 4)
    assert found.missed == found.unseen == ()


def test_a_wrong_gradient_fails():
    found = judge(replace(RIGHT, derivative=lambda x: (np.sin(x[0]), np.array([3.0]))))
    assert (found.verdict, found.reason) == ("FAIL", "mismatch")


@pytest.mark.parametrize(
    ("kind", "derivative", "v"),
    [
        ("jacobian", lambda x: np.diag(np.cos(x)), None),
        ("product", lambda x, v: np.cos(x) * v, np.array([1.0, -2.0])),
    ],
)
def test_jacobians_and_products_are_checked_as_such(kind, derivative, v):
    sample = Sample("ours", "float64", kind, np.sin, derivative, np.array([0.5, 1.0]), kind, v)
    found = judge(sample)
    assert (found.verdict, found.planted, found.missed) == ("PASS", 4, ())
    assert judge(replace(sample, f=np.cos)).verdict == "FAIL"


def test_a_check_that_passes_everything_misses_every_visible_plant(monkeypatch):
    blind = SimpleNamespace(verdict=Verdict.PASS, reason=None, resolution=1e-3, forward_passes=1)
    monkeypatch.setattr(judged, "checked", lambda *_: blind)
    found = judge(RIGHT)
    assert found.missed == ("times 1.01", "set to 0", "sign of one array")
    assert found.unseen == ("times 1.0001",)


def test_a_derivative_that_is_0_has_no_plants():
    found = judge(Sample("ours", "float64", "0", lambda x: 1.0, lambda x: 0 * x, np.ones(2)))
    assert found.planted == 0


def test_an_exception_is_counted_not_raised():
    def broken(x):
        raise ZeroDivisionError("no")

    found = judge(replace(RIGHT, derivative=broken))
    assert (found.verdict, found.reason, found.detail) == ("RAISES", "ZeroDivisionError", "no")


def test_a_check_that_does_not_end_is_counted_as_such(monkeypatch):
    monkeypatch.setattr(judged, "PATIENCE", 0.01)

    def endless(x):
        while True:
            time.sleep(0.001)

    assert judge(replace(RIGHT, derivative=endless)).verdict == "HANGS"


def test_a_draw_keeps_the_order_and_depends_on_the_seed_alone():
    drawn = some(10, list(range(1000)), "seed", 0)
    assert drawn == sorted(set(drawn)) == some(10, list(range(1000)), "seed", 0)
    assert len(drawn) == 10
    assert drawn != some(10, list(range(1000)), "seed", 1)
    assert some(None, [3, 1], "seed") == [3, 1]


def test_known_defects_are_those_of_one_source():
    assert why_wrong("torch op_db", "as_strided_scatter #3")
    assert not why_wrong("jax.nn", "as_strided_scatter #3")


def test_where_no_step_can_tell_the_derivative_f_is_flat_and_counted_apart():
    tail = Sample(
        "ours", "float64", "tail", lambda x: float(np.sum(1 + 1e-12 * x)),
        lambda x: np.full(2, 1e-12), np.ones(2),
    )  # fmt: skip
    found = judge(tail)
    assert (found.verdict, found.flat) == ("INCONCLUSIVE", True)
    assert share([found, judge(RIGHT)]) == 1.0
    steep = replace(
        tail, f=lambda x: float(np.sum(1 + 1e-8 * x)), derivative=lambda x: 0 * x + 1e-8
    )
    assert not judge(steep).flat
    assert share([replace(found, flat=False), judge(RIGHT)]) == 0.5
