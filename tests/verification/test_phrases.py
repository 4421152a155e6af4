"""One sentence for many problems, without holes."""

import pytest

from gradcheck.verification.phrases import at_layer, common, of_any_layer, skeleton


@pytest.mark.parametrize(
    ("says", "layer", "last", "told"),
    [
        ("delta_3 has the wrong sign", 3, 3, "delta_L has the wrong sign"),
        ("dC/dW_2 has 1 - a_1 for a_1", 2, 0, "dC/dW_l has 1 - a_{l-1} for a_{l-1}"),
        ("delta_1 has an extra factor 1/n_2", 1, 0, "delta_l has an extra factor 1/n_{l+1}"),
        ("delta_2 has an extra factor n_0", 2, 0, "delta_l has an extra factor n_0"),
        ("the gradient is rounded to float32", 0, 0, "the gradient is rounded to float32"),
        ("delta_1 has 0.3 / M added (or so)", 1, 1, "delta_L has 0.3 / M added"),
    ],
)
def test_a_sentence_about_one_layer_is_told_of_any_and_back(says, layer, last, told):
    assert of_any_layer(says, layer, last) == told
    assert at_layer(told, layer) == says.removesuffix(" (or so)")


def test_numbers_that_differ_are_named_with_their_range():
    told = common([f"dC/dW_l has an extra term {c} W_l" for c in (0.25, -0.5, 3)])
    assert told == "dC/dW_l has an extra term c W_l, c from -0.5 to 3"
    clipped = [f"delta_L has a_L clipped to [{e:g}, 1 - {e:g}]" for e in (1e-7, 1e-6)]
    assert common(clipped) == "delta_L has a_L clipped to [c, 1 - c], c = 1e-07 or 1e-06"


def test_numbers_that_agree_stay():
    both = ["delta_L is 0 where |z_L| > 15 in unit 0", "delta_L is 0 where |z_L| > 15 in unit 3"]
    assert common(both) == "delta_L is 0 where |z_L| > 15 in some places"


def test_numbers_that_nearly_agree_are_one_that_was_measured():
    told = [f"delta_L has {e} added" for e in ("9.98e-08", "1e-07", "1e-07")]
    assert common(told) == "delta_L has 1e-07 added"


def test_of_sentences_that_differ_in_more_the_most_frequent_is_told():
    assert common(["it is 0 in row 1", "it is wrong", "it is 0 in row 2"]) == (
        "it is 0 in some places"
    )


@pytest.mark.parametrize("text", ["1 - a", "sigmoid'(z_1)", "W_2 a^2", "2e-7 to 5", "n_0"])
def test_a_skeleton_keeps_names_and_loses_numbers(text):
    assert "##" not in skeleton(text).replace("#.#", "##")
    assert [c for c in skeleton(text) if c.isalpha() and c != "e"] == [
        c for c in text if c.isalpha() and c != "e"
    ]
