"""Limits refuse what leaves nothing to draw; widths, depths and batches have their classes."""

from itertools import pairwise

import pytest

from gradcheck.problems.strata import (
    BATCH_CLASSES,
    STRATA,
    Limits,
    batch_class,
    depth_class,
    draw_case,
    draw_sizes,
    width_class,
)


def first(factor, options):
    """Choose the simplest option of everything, as shrinking does."""
    assert len(options) > 0, factor
    return options[0]


def last(factor, options):
    """Choose the largest option of everything."""
    assert len(options) > 0, factor
    return options[-1]


def test_the_first_options_are_the_smallest_case():
    assert draw_case(first, Limits()) == {
        "sizes": (1, 1),
        "loss": "cross_entropy",
        "reduction": "mean",
        "batch": 1,
        "dtype": "float64",
        "weight_scale": 1.0,
        "corner": "generic",
        "targets": "binary",
        "seed": 0,
    }


@pytest.mark.parametrize("choose", [first, last])
@pytest.mark.parametrize("max_parameters", [2, 3, 5, 16, 17, 100])
@pytest.mark.parametrize("max_width", [1, 2, 6, 7, 8, 200])
@pytest.mark.parametrize(("targets", "outputs"), [("binary", 1), ("one_hot", 2)])
def test_sizes_keep_to_the_limits(choose, max_parameters, max_width, targets, outputs):
    max_parameters, max_width = max(max_parameters, 2 * outputs), max(max_width, outputs)
    sizes = draw_sizes(choose, Limits(max_parameters=max_parameters, max_width=max_width), targets)
    parameters = sum(n * (before + 1) for before, n in pairwise(sizes))
    assert parameters <= max_parameters
    assert max(sizes) <= max_width
    assert sizes[-1] >= outputs


@pytest.mark.parametrize(
    ("limits", "error", "message"),
    [
        ({"dtypes": ()}, ValueError, "dtypes is empty; it must name some of float64"),
        ({"dtypes": "float64"}, TypeError, "dtypes='float64'; it must be a sequence of names"),
        ({"dtypes": ("float8",)}, ValueError, "dtypes='float8'; it must be one of"),
        ({"losses": ("hinge",)}, ValueError, "losses='hinge'"),
        ({"reductions": None}, TypeError, "reductions=None"),
        ({"corners": ("cursed",)}, ValueError, "corners='cursed'"),
        ({"targets": (1,)}, TypeError, "targets=1"),
        ({"max_depth": 0}, ValueError, "max_depth=0; it must be at least 1"),
        ({"max_width": 1.5}, TypeError, "max_width=1.5; it must be a whole number"),
        ({"max_batch": True}, TypeError, "max_batch=True"),
        ({"max_outputs": -1}, ValueError, "max_outputs=-1"),
        ({"max_parameters": 1}, ValueError, "max_parameters=1; it must be at least 2"),
        ({"corners": ("duplicated_examples",), "max_batch": 1}, ValueError, "nothing can be drawn"),
        ({"corners": ("stationary",), "targets": ("soft",)}, ValueError, "nothing can be drawn"),
        ({"targets": ("one_hot",), "max_outputs": 1}, ValueError, "nothing.*max_outputs=1"),
        ({"targets": ("one_hot",), "max_width": 1}, ValueError, "nothing.*max_width=1"),
        ({"targets": ("one_hot",), "max_parameters": 3}, ValueError, "nothing.*max_parameters=3"),
        ({"max_deep": 3}, TypeError, "max_deep"),
        ({"max_weight_scale": 0.01}, ValueError, "max_weight_scale=0.01; it must be at least 0.1"),
        ({"max_weight_scale": "1"}, TypeError, "max_weight_scale='1'; it must be a number"),
        ({"max_preactivation": 0.5}, ValueError, "max_preactivation=0.5; it must be at least 1"),
        ({"max_preactivation": float("nan")}, ValueError, "max_preactivation=nan"),
    ],
)
def test_impossible_limits_are_refused(limits, error, message):
    with pytest.raises(error, match=message):
        Limits(**limits)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("narrow", [6, 6, 6, 2]),
        ("eights", [6, 6, 39, 39]),
        ("broad", [6, 6, 40, 40]),
        ("wide", [6, 6, 200, 2]),
        ("bottleneck", [6, 9, 1, 2]),
    ],
)
def test_a_class_of_widths_shows_where_it_is_put(name, expected):
    def choose(factor, options):
        chosen = {"depth": 3, "width class": name}.get(factor, options[-1])
        assert chosen in options
        return chosen

    assert draw_sizes(choose, Limits(max_parameters=10_000)) == tuple(expected)


def test_corners_that_other_limits_rule_out_are_not_drawn():
    assert "duplicated_examples" not in Limits(max_batch=1).feasible_corners
    assert "stationary" not in Limits(targets=("soft",)).feasible_corners
    assert Limits().feasible_corners == STRATA["corner"]


@pytest.mark.parametrize(
    ("sizes", "depth", "width"),
    [
        ((4, 1), "1, logistic regression", "narrow"),
        ((4, 3), "1, several outputs", "narrow"),
        ((1, 1, 1), "2", "narrow"),
        ((3, 1, 1), "2", "bottleneck"),
        ((9, 5, 1, 4), "3-4", "bottleneck"),
        ((2, 2, 2, 2, 2), "3-4", "narrow"),
        ((2, 2, 2, 2, 2, 2), "5-8", "narrow"),
        ((12, 3, 1), "2", "broad"),
        ((12, 17, 1), "2", "eights"),
        ((7, 1), "1, logistic regression", "eights"),
        ((10, 1), "1, logistic regression", "broad"),
        ((200, 1), "1, logistic regression", "wide"),
        ((1,) * 10, "9-", "narrow"),
    ],
)
def test_architectures_have_their_classes(sizes, depth, width):
    assert depth_class(sizes) == depth
    assert width_class(sizes) == width


def test_every_batch_size_has_one_class():
    for m in range(1, 65):
        holding = [name for name, batches in BATCH_CLASSES.items() if m in batches]
        assert holding == [batch_class(m)]
