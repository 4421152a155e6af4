"""A formula is named where it gives every number, with the parameters that fit all of them."""

import numpy as np
import pytest
from planted import log_loss, planted, sigmoid

from gradcheck.engines.variants import CORRECT
from gradcheck.response import curves
from gradcheck.response.curve import ACTIVATION, DELTA, LOSS, SLOPE
from gradcheck.response.formulas import FORMULAS, Point
from gradcheck.response.intervals import intervals
from gradcheck.response.names import about_of, fit, names, told_of_names


def named(engine, quantity, dtype="float64", depths=(1,)):
    measured = curves(engine, dtype, depths=depths)
    wrong = {about_of(c) for c in measured if intervals(c, "flushed")}
    return [name.text for name in names(measured, wrong) if name.quantity == quantity]


def formula(text):
    (found,) = [f for f in FORMULAS if f.text == text]
    return found


# --- the output error -----------------------------------------------------------------------------


@pytest.mark.by_day(3)
@pytest.mark.parametrize("eps", [1e-15, 1e-12, 1e-8, 1e-6, 1e-3, float(np.finfo(np.float32).eps)])
def test_an_epsilon_beside_p_is_named(eps):
    def residual(p, y, z):
        return (-y / (p + eps) + (1 - y) / (1 - p + eps)) * p * (1 - p)

    (text,) = named(planted(residual=residual), DELTA)
    e = f"{eps:.3g}".replace("e-0", "e-")
    assert text == f"[-y / (p + {e}) + (1 - y) / (1 - p + {e})] p (1 - p)"


@pytest.mark.by_day(3)  # of two and two: each once
@pytest.mark.parametrize("eps", [1e-12, 1e-7])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_epsilon_beside_p_1_minus_p_is_told_from_a_floor_of_it(eps, dtype):
    def added(p, y, z):
        return (p - y) / (p * (1 - p) + p.dtype.type(eps)) * p * (1 - p)

    def floor(p, y, z):
        return (p - y) / np.maximum(p * (1 - p), p.dtype.type(eps)) * p * (1 - p)

    e = f"{eps:.3g}".replace("e-0", "e-")
    (text,) = named(planted(residual=added), DELTA, dtype)
    assert text == f"(p - y) p (1 - p) / (p (1 - p) + {e})"
    (text,) = named(planted(residual=floor), DELTA, dtype)
    assert text == f"(p - y) p (1 - p) / max(p (1 - p), {e})"


def test_an_epsilon_that_was_rounded_to_float32_is_told_so():
    eps = np.float32(1e-12)

    def residual(p, y, z):
        return (p - y) / np.maximum(p * (1 - p), p.dtype.type(eps)) * p * (1 - p)

    (text,) = named(planted(residual=residual), DELTA, "float64")
    assert text == "(p - y) p (1 - p) / max(p (1 - p), 1e-12 as float32 has it)"


def test_an_epsilon_that_nobody_writes_is_told_by_its_digits():
    def residual(p, y, z):
        return (p - y) / (p * (1 - p) + 3.7e-9) * p * (1 - p)

    (text,) = named(planted(residual=residual), DELTA)
    assert text == "(p - y) p (1 - p) / (p (1 - p) + 3.7e-9)"


def test_a_clip_whose_sides_differ_is_told_by_both():
    def residual(p, y, z):
        inside = (p >= 1e-9) & (p <= 1 - 1e-5)
        return np.where(inside, p - y, 0)

    (text,) = named(planted(residual=residual), DELTA)
    assert text == "the derivative of the loss with p clipped to [1e-9, 1 - 1e-5], 0 beyond"


def test_a_clip_without_its_derivative_is_told_from_one_with():
    (text,) = named(planted(residual=lambda p, y, z: np.clip(p, 1e-7, 1 - 1e-7) - y), DELTA)
    assert text == "p - y with p clipped to [1e-7, 1 - 1e-7]"


def test_a_clipped_p_in_the_quotients_alone_is_named():
    def residual(p, y, z):
        q = np.clip(p, 1e-7, 1 - 1e-7)
        return (q - y) / (q * (1 - q)) * p * (1 - p)

    (text,) = named(planted(residual=residual), DELTA)
    assert text == "[-y / q + (1 - y) / (1 - q)] p (1 - p), q = p clipped to [1e-7, 1 - 1e-7]"


def test_what_no_formula_gives_has_no_name():
    assert named(planted(residual=lambda p, y, z: np.sin(z) * (p - y)), DELTA) == []


def test_one_sample_that_differs_takes_the_name_away():
    def residual(p, y, z):
        told = (p - y) / np.maximum(p * (1 - p), 1e-12) * p * (1 - p)
        return np.where(z == 3, 1.001 * told, told)

    assert named(planted(residual=residual), DELTA) == []


def test_the_other_label_can_take_the_name_away():
    def residual(p, y, z):
        told = (p - y) / np.maximum(p * (1 - p), 1e-12) * p * (1 - p)
        return np.where(y == 1, told, p - y)

    assert named(planted(residual=residual), DELTA) == []


def test_nan_has_no_formula():
    assert (
        named(planted(residual=lambda p, y, z: (p - y) / (p * (1 - p)) * p * (1 - p)), DELTA) == []
    )


def test_a_right_curve_is_given_no_name():
    assert named(CORRECT["textbook"](), DELTA) == []


# --- hidden units ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slope", "told"),
    [
        (
            lambda z, a: np.where(np.abs(z) > 20, 0, a * (1 - a)),
            "a (1 - a) within |z| = 20, 0 beyond",
        ),
        (
            lambda z, a: sigmoid(np.clip(z, -20, 20)) * sigmoid(-np.clip(z, -20, 20)),
            "sigmoid'(z) with z clipped to [-20, 20]",
        ),
        (
            lambda z, a: np.clip(a, 1e-7, 1 - 1e-7) * (1 - np.clip(a, 1e-7, 1 - 1e-7)),
            "a (1 - a) with a clipped to [1e-7, 1 - 1e-7]",
        ),
        (lambda z, a: a * (1 - a) + 1e-8, "a (1 - a) + 1e-8"),
        (lambda z, a: 1 - a, "1 - a"),
        (lambda z, a: z * (1 - z), "z (1 - z)"),
        (lambda z, a: sigmoid(a) * (1 - sigmoid(a)), "sigmoid'(a)"),
        (lambda z, a: (z > 0) * 1.0, "the derivative of relu"),
    ],
)
def test_slopes_are_named(slope, told):
    assert named(planted(slope=slope), SLOPE, depths=(2,)) == [told]


@pytest.mark.parametrize(
    ("sig", "told"),
    [
        (np.tanh, "tanh(z)"),
        (lambda z: np.maximum(z, 0), "relu(z)"),
        (lambda z: sigmoid(np.clip(z, -30, 30)), "the sigmoid of z clipped to [-30, 30]"),
        (lambda z: np.clip(0.2 * z + 0.5, 0, 1), "min(max(z / 5 + 1/2, 0), 1)"),
        (lambda z: (1 + z / (1 + np.abs(z))) / 2, "(1 + z / (1 + |z|)) / 2"),
    ],
)
def test_activations_are_named(sig, told):
    assert told in named(planted(sig=sig), ACTIVATION, depths=(2,))


# --- the loss -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (
            lambda p, y, z: log_loss(np.clip(p, 1e-7, 1 - 1e-7), y, z),
            "the cross-entropy of p clipped to [1e-7, 1 - 1e-7]",
        ),
        (
            lambda p, y, z: -(y * np.log(p + 1e-9) + (1 - y) * np.log(1 - p + 1e-9)),
            "-y log(p + 1e-9) - (1 - y) log(1 - p + 1e-9)",
        ),
        (
            lambda p, y, z: (
                -(y * np.maximum(np.log(p), -100) + (1 - y) * np.maximum(np.log(1 - p), -100))
            ),
            "the cross-entropy with log p and log(1 - p) kept above -100",
        ),
    ],
)
def test_losses_are_named(loss, told):
    assert named(planted(loss=loss), LOSS) == [told]


# --- the search -----------------------------------------------------------------------------------


@pytest.mark.parametrize("each", FORMULAS, ids=lambda f: f.text)
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_every_formula_is_monotone_in_its_parameter(each, y):
    z = np.concatenate([-np.geomspace(800, 1e-3, 60), np.geomspace(1e-3, 800, 60)])
    with np.errstate(all="ignore"):
        values = [each.of(Point.of(z, y, np.full_like(z, c))) for c in np.geomspace(*each.span, 80)]
        steps = np.diff(values, axis=0)
    slack = 1e-12 * np.abs(values).max(axis=0)
    assert ((steps >= -slack).all(axis=0) | (steps <= slack).all(axis=0)).all()


def test_parameters_that_fit_are_an_interval_around_the_true_one():
    def residual(p, y, z):
        return (p - y) / (p * (1 - p) + 1e-9) * p * (1 - p)

    measured = [c for c in curves(planted(residual=residual), "float64", depths=(1,))
                if c.quantity == DELTA and c.loss == "cross_entropy"]  # fmt: skip
    below, above = fit(formula("(p - y) p (1 - p) / (p (1 - p) + {e})"), measured)
    assert below == above
    assert below[0] <= 1e-9 <= below[1] < 1e-9 * (1 + 1e-12)
    assert fit(formula("(p - y) p (1 - p) / max(p (1 - p), {e})"), measured) is None


def test_one_sentence_tells_both_precisions():
    def residual(p, y, z):
        return (p - y) / (p * (1 - p) + p.dtype.type(1e-7)) * p * (1 - p)

    engine = planted(residual=residual)
    measured = [c for d in ("float64", "float32") for c in curves(engine, d, depths=(1,))]
    wrong = {about_of(c) for c in measured if intervals(c, "flushed")}
    assert told_of_names(names(measured, wrong)) == (
        "at every z delta_L is (p - y) p (1 - p) / (p (1 - p) + 1e-7)",
    )
