"""Factors: what is said of them is read, and the sizes that give them are found."""

from fractions import Fraction
from math import log, sqrt

import pytest
from some import some

from gradcheck.diagnosis.formula import BIAS, HIDDEN, OUTPUT
from gradcheck.verification.factors import Product, Sizes, factor_of, giving

SIZES = Sizes((3, 5, 2), m=8, layer=2, is_mean=True)


@pytest.mark.parametrize(
    ("says", "factor"),
    [
        ("has an extra factor 1/m", 1 / 8),
        ("has an extra factor n_1", 5),
        ("has an extra factor 1/(m n_2)", 1 / 16),
        ("has an extra factor 2 m", 16),
        ("has an extra factor m * n_2", 16),
        ("has an extra factor 0.0294118", 0.0294118),
        ("has an extra factor 1 + 3e-05", 1.00003),
        ("has an extra factor -1", -1),
        ("has an extra factor 1 / log 2", 1 / log(2)),
        ("has an extra factor sqrt(m)", sqrt(8)),
        ("lacks the factor 1/m", 8),
        ("has the factor 1/m twice", 1 / 8),
        ("is divided by 24 in place of m", 1 / 3),
        ("is divided by n_2 in place of m", 4),
        ("is divided by m - 1 in place of m", 8 / 7),
    ],
)
def test_a_factor_is_read(says, factor):
    assert factor_of(says, SIZES) == pytest.approx(factor)


@pytest.mark.parametrize(
    "says",
    [
        "lacks the factor sigmoid'(z_1)",
        "has an extra factor 2 in row 1",
        "has the factor sigmoid'(z_2) twice",
        "is divided by the norm of the whole gradient",
        "has an extra factor 1/",
        "has an extra factor n_7",
        "lacks the factor 0",
        "has the wrong sign",
    ],
)
def test_what_is_no_factor_is_none(says):
    assert factor_of(says, SIZES) is None


def test_one_problem_leaves_several_products():
    found = {product.text() for product in giving(0.5, OUTPUT, SIZES)}
    assert {"1/2", "1/n_l"} <= found
    assert "1/m" not in found


def test_a_number_in_place_of_a_size_is_found():
    by_32 = Sizes((3, 4, 1), m=7, layer=2, is_mean=True)
    [product] = [p for p in giving(7 / 32, OUTPUT, by_32) if p.text() == "m/32"]
    assert product.says(OUTPUT, is_mean=True) == "is divided by 32 in place of m"
    assert product.says(OUTPUT, is_mean=False) == "has an extra factor m/32"


def test_a_product_that_is_1_would_not_show():
    flat = Sizes((1, 1), m=1, layer=1, is_mean=True)
    assert [product.text() for product in giving(1.0, OUTPUT, flat)] == ["1"]


def test_a_factor_near_1_is_told_by_its_distance():
    [product] = giving(1 + 1.234e-5, OUTPUT, SIZES)
    assert product.says(OUTPUT, is_mean=True) == "has an extra factor 1 + 1.2e-05"


def test_a_number_of_a_short_format_is_known_less_well():
    near = 1 / 3 * 1.01
    assert len(giving(near, HIDDEN, SIZES)) == 1
    short = Sizes((3, 5, 2), m=8, layer=1, is_mean=True, is_short=True)
    assert "1/n_0" in {product.text() for product in giving(near, HIDDEN, short)}


@pytest.mark.parametrize(
    ("product", "place", "is_mean", "told"),
    [
        (Product(1.0, (("m", 1.0),)), OUTPUT, True, "lacks the factor 1/m"),
        (Product(1.0, (("m", 1.0),)), OUTPUT, False, "has an extra factor m"),
        (Product(1.0, (("m", 1.0),)), BIAS, True, "has an extra factor m"),
        (Product(1.0, (("m", -1.0),)), OUTPUT, True, "has the factor 1/m twice"),
        (Product(1.0, (("n_0", -1.0),)), OUTPUT, True, "has an extra factor 1/n_0"),
        (Product(0.5, (("m", 1.0),)), OUTPUT, True, "is divided by 2 in place of m"),
        (Product(1.0, (("m", 1.0), ("n_l", -1.0))), OUTPUT, True,
         "is divided by n_l in place of m"),
        (Product(1.0, (("m", -1.0), ("n_{l-1}", -1.0))), HIDDEN, True,
         "has an extra factor 1/(m n_{l-1})"),
        (Product(2.0, (("n_l", 1.0),)), HIDDEN, True, "has an extra factor 2 n_l"),
        (Product(1.0, (("m", 0.5),)), HIDDEN, True, "has an extra factor sqrt(m)"),
        (Product(1.0, (("m", 1.0), ("m - 1", -1.0))), OUTPUT, True,
         "is divided by m - 1 in place of m"),
        (Product(1.0, (("m", 1.0), ("m - 1", -1.0))), BIAS, True, "has an extra factor m/(m - 1)"),
        (Product(0.25), HIDDEN, True, "has an extra factor 1/4"),
    ],
)  # fmt: skip
def test_a_product_is_told(product, place, is_mean, told):
    assert product.says(place, is_mean=is_mean) == told


@pytest.mark.parametrize("place", [OUTPUT, HIDDEN])
def test_what_is_told_of_a_layer_is_read_back(place):
    for number in (Fraction(1, 2), 2, Fraction(1, 3)):
        for product in some(giving(float(number), place, SIZES)):
            says = product.says(place, SIZES, is_mean=True)
            assert factor_of(says, SIZES) == pytest.approx(product.value(SIZES))
