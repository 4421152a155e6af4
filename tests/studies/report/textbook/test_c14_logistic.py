import numpy as np
import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import c14_logistic
from gradcheck.studies.report.textbook.c14_logistic import CLAIM, FORMULAS, by_p, measure, product
from gradcheck.studies.report.textbook.claim import ruling, section, sentences
from reference_models import logistic_regression

IDENTITY, BY_P, BY_Z, PRODUCT, GRADIENT, EXACT, BREAKDOWN, FINITE, DIGITS = range(9)


def refuted_by(ruled="refuted", **broken):
    evidence = measure(Settings(), FORMULAS._replace(**broken))
    assert ruling(evidence) == ruled
    return [i for i, finding in enumerate(evidence.findings) if not finding.holds]


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """A quarter of the places: every power of 2 in the way is among them."""
    monkeypatch.setattr(c14_logistic, "STEP", 1 / 4)


@pytest.fixture(scope="module")
def right(measured):
    return measured(CLAIM)


def test_the_formulas_hold_and_the_factors_break_down(right):
    assert ruling(right) == "refined"
    assert len(right.findings) == DIGITS + 1
    assert all(sentences(section([CLAIM], [right]).to_json(), "C14"))


def test_the_table_holds_every_scan(right):
    table = right.frames["c14_logistic"]
    assert sorted(set(zip(table["dtype"], table["y"], strict=True))) == [
        ("float32", 0),
        ("float32", 1),
        ("float64", 0),
        ("float64", 1),
    ]
    top = table[(table["dtype"] == "float64") & (table["y"] == 1) & (table["z"] == 38)]
    assert np.isinf(top["factored"]).all()
    assert (top["product"] == 1).all()
    assert (top["kept_apart"] <= 4 * 2.0**-53).all()


def test_a_wrong_sign_in_the_first_factor_is_refuted():
    found = refuted_by(by_p=lambda p, y: -by_p(p, y))
    assert found == [IDENTITY, BY_P]


def test_a_forgotten_slope_is_refuted():
    assert refuted_by(by_z=lambda p: p)[:2] == [IDENTITY, BY_Z]


def test_factors_that_do_not_break_down_contradict_nothing():
    """Clipped, as many do: never NaN."""

    def clipped(p, y):
        if isinstance(p, np.ndarray):
            p = np.clip(p, p.dtype.type(1e-7), 1 - p.dtype.type(1e-7))
        return by_p(p, y)

    assert refuted_by("confirmed", by_p=clipped) == [BREAKDOWN]


def test_a_product_off_by_1e_8_is_refuted():
    found = refuted_by(product=lambda p, y: product(p, y) * (1 + 2.0**-26))
    assert {IDENTITY, PRODUCT, FINITE} <= set(found)


def test_a_gradient_that_forgets_x_or_drops_digits_is_refuted():
    def of(change):
        def gradient(w, b, X, y):
            J, (dw, db) = logistic_regression.value_and_grad(w, b, X, y)
            return J, change(dw, db)

        return gradient

    assert refuted_by(gradient=of(lambda dw, db: (db + 0 * dw, db))) == [GRADIENT, EXACT]
    slightly = FORMULAS._replace(gradient=of(lambda dw, db: (dw * (1 + 1e-13), db)))
    assert c14_logistic._exact_gradient(Settings(), FORMULAS).holds
    assert not c14_logistic._exact_gradient(Settings(), slightly).holds
