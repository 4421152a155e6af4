"""The likely mistake, from the pattern of wrong coordinates; silence where there is none."""

from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck.check import check_gradient
from gradcheck.diagnose import _ratio

GENERATOR = np.random.default_rng(7)
A = GENERATOR.standard_normal((3, 3))
POINT = {"W": GENERATOR.standard_normal((3, 3)), "b": GENERATOR.standard_normal(3)}


def f(x):
    return float(np.sum(A * np.sin(x["W"])) + np.sum(np.cos(x["b"])))


def right(x):
    return {"W": A * np.cos(x["W"]), "b": -np.sin(x["b"])}


def diagnosis(change):
    return check_gradient(f, lambda x: change(right(x)), POINT).diagnosis


def scaled(factor):
    return lambda g: {k: factor * v for k, v in g.items()}


def only(name, change):
    return lambda g: g | {name: change(g[name])}


def turned(g):
    return g.T.copy()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (scaled(-1), "the sign is wrong"),
        (scaled(2), "a factor 1/2 is missing"),
        (scaled(0.5), "a factor 2 is missing"),
        (scaled(6), "a sum where a mean is meant"),
        (scaled(1 / 6), "1/6: a mean taken twice"),
        (scaled(1.01), "engine = 1.01 x the derivative"),
        (scaled(0), "every wrong coordinate is exactly 0"),
        (only("W", turned), "W holds the transpose"),
        (only("W", lambda W: W[[1, 0, 2]]), "W has entries swapped in rows 0, 1; only W"),
        (only("W", lambda W: np.roll(W, 1, axis=0)), "W is shifted in its rows, by 1"),
        (only("W", lambda W: W[:, [2, 1, 0]]), "W has entries swapped in columns 0, 2"),
        (only("W", lambda W: W * [[1], [1], [3]]), "only W partly wrong (row 2)"),
        (only("W", lambda W: W + np.diag([0, 1e-3, 0])), "W has one wrong entry in row 1, col"),
        (only("W", lambda W: W + W**2 * [[1], [0], [0]]), "W is wrong in row 0 only; only W"),
        (lambda g: {k: v.astype(np.float32).astype(float) for k, v in g.items()},
         "every wrong coordinate is rounded to float32"),
        (only("b", np.zeros_like), "only b wholly wrong"),
        (only("b", lambda b: -b), "only b wholly wrong"),
    ],
)  # fmt: skip
def test_patterns_are_named(change, told):
    assert told in diagnosis(change)


def test_a_right_gradient_has_no_diagnosis():
    assert diagnosis(lambda g: g) == ""


def test_a_ratio_that_is_hardly_known_is_none():
    """Where the bound is larger than the derivative, any number would be a ratio, -1 too."""
    D, B = np.array([1e-20, 2e-20, -1e-20]), np.full(3, 1e-19)
    comparison = SimpleNamespace(engine=4e18 * D, oracle=D, allowance=B)
    assert _ratio(comparison, np.ones(3, bool)) == ""
    known = SimpleNamespace(engine=-D, oracle=D, allowance=1e-6 * np.abs(D))
    assert "the sign is wrong" in _ratio(known, np.ones(3, bool))


def test_noise_has_no_pattern_and_is_unknown():
    wrong = {k: 1 + 0.1 * GENERATOR.standard_normal(v.shape) for k, v in POINT.items()}
    assert diagnosis(lambda g: {k: v * wrong[k] for k, v in g.items()}) == "unknown"
