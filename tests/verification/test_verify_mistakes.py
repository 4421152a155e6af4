"""One mistake, one heading: the suspects of all failing problems are intersected."""

import pytest
import synthetic_log
from synthetic_log import finding

from gradcheck.diagnosis.formula import ANSWER, BIAS, HIDDEN, OUTPUT, WEIGHT
from gradcheck.diagnosis.linear import LINEAR
from gradcheck.diagnosis.one_unit import KEY as UNITS
from gradcheck.diagnosis.thresholds import UNTOLD
from gradcheck.verification.failing import PATTERN
from gradcheck.verification.findings import Witness, read_finding
from gradcheck.verification.mistakes import grouped

NOTHING = "is wrong in a way that nothing explains"
M, N_0 = "lacks the factor 1/m", "has an extra factor 1/n_0"


def token(sizes="3-4-1", m=2, seed=0, **how):
    loss, reduction = how.get("loss", "cross_entropy"), how.get("reduction", "mean")
    return f"gc1:{sizes}:{loss}:{reduction}:m{m}:float64:w1:generic:binary:s{seed}"


def wrong(at, *suspects, name="agreement", says="", reason="mismatch", **more):
    """A failing problem with its suspects: place, layer, key and what is said."""
    told = [[place, layer, key, what, "the right one"] for place, layer, key, what in suspects]
    found = finding(name, "FAIL", reason=reason, suspects=told, diagnosis=says, **more)
    return Witness(at, read_finding(found))


def output(what, layer=2, key="factor"):
    return OUTPUT, layer, key, f"delta_{layer} {what}"


def told(*witnesses):
    """What every heading says, with how many findings tell it themselves and how many join."""
    groups = grouped(witnesses)
    return [(group.what, len(group.members), len(group.joined)) for group in groups]


# --- the last layer ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "layers", "heading"),
    [
        (BIAS, [(1, 1), (2, 2), (3, 3)], "dC/db_L has a_{L-1} for delta_L"),
        (WEIGHT, [(2, 2)], "dC/dW_L has a_{L-1} for delta_L"),
        (BIAS, [(1, 1), (2, 2), (2, 3)], "dC/db_l has a_{l-1} for delta_l"),
        (BIAS, [(1, 1), (1, 1)], "dC/db_l has a_{l-1} for delta_l"),  # there is no other layer
        (HIDDEN, [(1, 2), (2, 3)], "delta_l has a_{l-1} for delta_l"),
    ],
)
def test_a_mistake_of_the_last_layer_alone_is_told_of_it(place, layers, heading):
    step = {BIAS: "dC/db", WEIGHT: "dC/dW", HIDDEN: "delta"}[place]
    problems = [
        wrong(
            token("-".join(["2"] * (depth + 1)), seed=seed),
            (place, l, "other", f"{step}_{l} has a_{l - 1} for delta_{l}"),
        )
        for seed, (l, depth) in enumerate(layers)  # noqa: E741
    ]
    (group,) = grouped(problems)
    assert group.heading == heading
    assert group.told(group.members[0]).layer == layers[0][0]


# --- factors --------------------------------------------------------------------------------------


def by_features(sizes, m, what):
    layers = sizes.count("-")
    return wrong(token(sizes, m), output(what, layers))


def test_a_factor_that_is_another_number_everywhere_is_one_mistake():
    problems = [
        by_features("3-4-1", 2, "has an extra factor 0.333333"),
        by_features("2-1", 1, "has an extra factor 1/2"),
        by_features("4-5-3", 4, "has an extra factor 1/m"),
        by_features("5-2-5", 3, "has an extra factor 1/n_2"),
        by_features("28-4", 18, "is divided by 504 in place of m"),
        by_features("7-1", 7, "has the factor 1/m twice"),
    ]
    assert told(*problems) == [("delta_L has an extra factor 1/n_0", 6, 0)]


def test_a_factor_is_told_of_each_problem_as_its_sizes_have_it():
    one, other = by_features("6-1", 3, "has an extra factor 1/6"), by_features("4-1-1", 4, "is 0")
    problems = [one, by_features("9-2-1", 2, "has an extra factor 0.111111"), other]
    [group, zero] = grouped(problems)
    assert group.told(group.members[0]).says == "delta_1 has an extra factor 1/n_0"
    assert group.told(zero.members[0]) is None
    assert zero.what == "delta_L is 0"


def test_a_lost_mean_is_one_mistake():
    said = {2: "has an extra factor 2", 4: "has an extra factor n_0", 7: M}
    said[32] = "is divided by 1 in place of m"
    problems = [wrong(token("4-3-1", m), output(what)) for m, what in said.items()]
    assert told(*problems) == [(f"delta_L {M}", 4, 0)]


@pytest.mark.parametrize(
    ("numbers", "what"),
    [
        ({2: 2, 3: 1.5, 8: 1.14286}, "is divided by m - 1 in place of m"),
        ({2: 1 / 16, 8: 0.25, 18: 0.5625}, "is divided by 32 in place of m"),
        ({2: 0.0625, 8: 1 / 64, 5: 1 / 40}, "has an extra factor 1/(m n_L)"),
        ({2: 4, 8: 16, 5: 10}, "is divided by 1/2 in place of m"),
        ({2: 3, 8: 3, 5: 3}, "has an extra factor 3"),
    ],
)
def test_what_a_number_is_made_of_is_found_over_all_problems(numbers, what):
    problems = [
        wrong(token("3-4-8", m), output(f"has an extra factor {r:.6g}")) for m, r in numbers.items()
    ]
    problems.append(wrong(token("5-9-8", 2), output(f"has an extra factor {numbers[2]:.6g}")))
    assert told(*problems) == [(f"delta_L {what}", len(problems), 0)]


def test_factors_of_two_steps_are_two_mistakes():
    bias = (BIAS, 1, "factor 1/m", "dC/db_1 has an extra factor 1/m")
    problems = [wrong(token(m=m), output(M)) for m in (2, 3)]
    problems += [wrong(token(m=m), bias) for m in (4, 5)]
    assert [what for what, *_ in told(*problems)] == [
        f"delta_L {M}",
        "dC/db_l has an extra factor 1/m",
    ]


# --- formulas -------------------------------------------------------------------------------------


def clipped(at, *epsilons, **more):
    every = [output(f"has a_2 clipped to [{e:g}, 1 - {e:g}]", key="clipped") for e in epsilons]
    return wrong(at, *every, **more)


def test_a_number_that_the_smallest_problem_leaves_open_is_told_as_the_others_tell_it():
    known, unknown = "has e = 1e-08", f"has e = a number {UNTOLD}, e.g. 1e-07"
    problems = [wrong(token(seed=seed), output(known, key="epsilon")) for seed in range(3)]
    smallest = wrong(token("1-1"), output(unknown, layer=1, key="epsilon"))
    (group,) = grouped([*problems, smallest])
    assert group.what == "delta_L has e = 1e-08"
    said = [group.told(one).says for one in group.members]
    assert said == ["delta_2 has e = 1e-08"] * 3 + ["delta_1 has e = 1e-08"]


def test_an_epsilon_that_one_problem_knows_names_all_that_allow_it():
    problems = [clipped(token(seed=n), 1e-12, 1e-8, 1e-7) for n in range(5)]
    problems.append(clipped(token(seed=9), 1e-7, 1e-6))
    what = "delta_L has a_L clipped to [1e-07, 1 - 1e-07]"
    assert told(*problems) == [(what, 6, 0)]
    [group] = grouped(problems)
    assert group.told(group.members[0]).says == "delta_2 has a_2 clipped to [1e-07, 1 - 1e-07]"


def test_numbers_that_no_two_problems_share_are_told_as_a_range():
    problems = [clipped(token(seed=n), 10.0**-n) for n in (6, 7, 8)]
    assert told(*problems) == [
        ("delta_L has a_L clipped to [c, 1 - c], c from 1e-08 to 1e-06", 3, 0)
    ]


def test_the_few_that_know_another_number_than_all_others_do_not_name_it():
    problems = [clipped(token(seed=n), 1e-8) for n in range(20)]
    problems.append(clipped(token(seed=99), 1e-7))
    what = "delta_L has a_L clipped to [1e-08, 1 - 1e-08]"
    assert told(*problems) == [(what, 20, 1)]


def cut(at, low, high):
    says = f"is 0 where |z_2| is beyond a limit between {low} and {high}"
    return wrong(at, output(says, key="cut off"))


def test_thresholds_are_intersected_and_one_that_does_not_fit_stands_apart():
    problems = [cut(token(seed=0), 14.2, 15.8), cut(token(seed=1), 12, 15.1)]
    what = "delta_L is 0 where |z_L| is beyond a limit between 14.2 and 15.1, e.g. 15"
    assert told(*problems) == [(what, 2, 0)]
    [group] = grouped(problems)
    assert group.told(group.members[0]).says == what.replace("_L", "_2")
    problems.append(cut(token(seed=2), 3, 4))
    assert [count for _, count, _ in told(*problems)] == [2, 1]


def test_what_no_problem_bears_out_by_itself_several_do_that_are_not_alike():
    """One label, zero weights: the points of one problem may be all alike."""
    unsure = "unknown; layer 2: delta_2 is wrong in a way that nothing explains"
    slope = output("lacks sigmoid'", key="slope")
    alike = [wrong(token(seed=n), slope, says=unsure) for n in range(5)]
    lost = "delta_L is wrong in a way that nothing explains"
    assert told(*alike) == [(lost, 5, 0)]
    others = [wrong(token("2-3-1", 5), slope, says=unsure), *alike]
    assert told(*others) == [("delta_L lacks sigmoid'", 6, 0)]
    assert told(*others[:2]) == [(lost, 2, 0)]
    assert told(wrong(token("1-1-1"), slope), *alike) == [("delta_L lacks sigmoid'", 6, 0)]


def test_what_some_problems_allow_and_others_do_not_is_dropped():
    slope, sign = output("lacks sigmoid'", key="slope"), output("has the wrong sign", key="sign")
    half = output("has 1/4 for sigmoid'", key="slope 1/4")
    problems = [wrong(token(seed=0), half, slope), wrong(token(seed=1), slope, sign)]
    problems += [wrong(token(seed=2), sign, slope, half)]
    assert told(*problems) == [("delta_L lacks sigmoid'", 3, 0)]


def test_a_mistake_that_is_some_problems_only_suspect_comes_before_one_that_is_allowed_more_often():
    a, b = output("is a", key="a"), output("is b", key="b")
    c = output("is c", key="c")
    problems = [wrong(token(seed=n), c, a) for n in range(4)]
    problems += [wrong(token(seed=9), a), wrong(token(seed=10), b)]
    problems += [wrong(token(seed=n), c, b) for n in range(20, 23)]
    assert [(what, n) for what, n, _ in told(*problems)] == [
        ("delta_L is a", 5),
        ("delta_L is b", 4),
    ]


def test_of_mistakes_that_explain_as_much_the_likelier_is_told():
    a, b = output("is a", key="a"), output("is b", key="b")
    assert told(wrong(token(), b, a), wrong(token(seed=1), b, a)) == [("delta_L is b", 2, 0)]


def test_a_hidden_mistake_is_the_same_in_any_layer_and_another_at_the_output():
    def says(layer, place):
        return place, layer, "slope", f"delta_{layer} lacks the factor sigmoid'(z_{layer})"

    problems = [wrong(token("3-4-4-1"), says(2, HIDDEN)), wrong(token("3-4-1"), says(1, HIDDEN))]
    problems.append(wrong(token("3-4-1", seed=1), says(2, OUTPUT)))
    assert told(*problems) == [
        ("delta_l lacks the factor sigmoid'(z_l)", 2, 0),
        ("delta_L lacks the factor sigmoid'(z_L)", 1, 0),
    ]


def test_without_suspects_the_diagnosis_is_read():
    says = "layer 2: dC/dW_2 has 1 - a_1 for a_1; expected dC/dW_2 = delta_2^T a_1; sure: of 9"
    other = "layer 1: dC/dW_1 is 0; expected x; or else, with the same numbers: dC/dW_1 has 1 - a_0"
    problems = [wrong(token(), says=says), wrong(token(seed=1), says=f"{other} for a_0")]
    assert told(*problems) == [("dC/dW_l has 1 - a_{l-1} for a_{l-1}", 2, 0)]
    [group] = grouped(problems)
    assert group.told(group.members[0]).expected == "dC/dW_2 = delta_2^T a_1"


def test_all_that_is_said_of_answers_that_depend_on_calls_before_is_one_mistake():
    each = "expected the gradient of the problem that is given, each time"
    told_of = ("the answer depends on the calls before", "0.5 times the gradient is added")
    problems = [
        wrong(token(seed=n), says=f"all layers: {what}; {each}") for n, what in enumerate(told_of)
    ]
    says = f"all layers: the gradient of the call before is added; {each}"
    problems.append(wrong(token(seed=7), reason="nondeterministic", says=says))
    problems.append(wrong(token(seed=8), reason="nondeterministic"))
    assert [counts for _, *counts in told(*problems)] == [[3, 1]]


# --- several properties, and what is not known by itself ------------------------------------------


def test_all_properties_that_one_mistake_fails_are_one_heading():
    problems = [
        wrong(token(), output(M)),
        wrong(token(), output(M), name="consistency"),
        wrong(token(seed=1, m=4), output(M), name="exact lattice"),
    ]
    assert told(*problems) == [(f"delta_L {M}", 3, 0)]


UNKNOWN_W = (
    "unknown; layer 1: dC/dW_1 is wrong in a way that nothing explains, and nothing above it"
)


def test_a_problem_of_no_known_cause_joins_the_only_mistake_of_its_step():
    slope = (WEIGHT, 2, "slope", "dC/dW_2 is steep")
    unknown = wrong(token(seed=7), says=UNKNOWN_W)
    named = [wrong(token(seed=n), slope) for n in range(2)]
    assert told(*named, unknown) == [("dC/dW_l is steep", 2, 1)]
    flat = wrong(token(seed=8), (WEIGHT, 2, "flat", "dC/dW_2 is flat"))
    assert [joined for *_, joined in told(*named, flat, unknown)] == [0, 0, 0]
    assert [what for what, *_ in told(wrong(token(), output(M)), unknown)] == [
        f"delta_L {M}",
        "dC/dW_l is wrong in a way that nothing explains",
    ]


def test_it_joins_what_is_wrong_with_every_answer():
    cut = (ANSWER, 0, "cut off", "a is 0 and 1 beyond |z| = 15")
    problems = [wrong(token(seed=n), cut) for n in range(3)]
    unknown = wrong(token(seed=7), says=UNKNOWN_W)
    assert told(*problems, unknown) == [("a is 0 and 1 beyond |z| = 15", 3, 1)]
    assert told(problems[0], wrong(token(seed=8), (WEIGHT, 2, "x", "dC/dW_2 is x")), unknown)[
        -1
    ] == ("dC/dW_l is wrong in a way that nothing explains", 1, 0)


def test_it_joins_what_another_property_says_of_the_same_problem():
    both = [wrong(token(), output(M)), wrong(token(seed=1), (BIAS, 1, "x", "dC/db_1 is x"))]
    other = wrong(token(seed=1), name="consistency", says="every wrong coordinate is exactly 0")
    assert told(*both, other) == [(f"delta_L {M}", 1, 0), ("dC/db_l is x", 1, 1)]


def test_where_no_step_is_known_it_joins_only_the_only_mistake():
    ratio = "the mean depends on how often the same examples are given"
    lost = wrong(token(m=1), name="exact duplicated batch", says=ratio)
    assert told(wrong(token(), output(M)), lost) == [(f"delta_L {M}", 1, 1)]
    two = [wrong(token(), output(M)), wrong(token(seed=1), (BIAS, 1, "x", "dC/db_1 is x"))]
    assert [what for what, *_ in told(*two, lost)][-1] == ratio
    two.append(wrong(token(m=4), output(M), name="exact duplicated batch"))
    assert told(*two, lost)[0] == (f"delta_L {M}", 2, 1)


@pytest.mark.parametrize("reason", ["nonfinite", "shape", "raised", "nondeterministic", "loss"])
def test_what_is_no_wrong_number_joins_no_mistake(reason):
    problems = [wrong(token(), output(M)), wrong(token(seed=1), reason=reason)]
    assert [(n, joined) for _, n, joined in told(*problems)] == [(1, 0), (1, 0)]


def test_exceptions_are_told_apart_by_their_class_and_not_by_property():
    def raised(what, name="agreement"):
        return wrong(token(), reason="raised", name=name, detail=f"value_and_grad raised {what}")

    problems = [raised("OSError: a"), raised("OSError: b", "consistency"), raised("KeyError: 1")]
    problems.append(wrong(token(), reason="raised", detail="the engine's process exited with 3"))
    assert [(what, n) for what, n, _ in told(*problems)] == [
        ("the engine raises OSError", 2),
        ("the engine raises KeyError", 1),
        ("the engine dies", 1),
    ]


def test_a_class_of_arithmetic_is_no_wrong_formula():
    tf32 = "tf32: inputs rounded; like rounding"
    problems = [wrong(token(), output(M)), wrong(token(seed=1), output(M), explanation=tf32)]
    assert [what for what, *_ in told(*problems)] == [
        f"delta_L {M}",
        "the gradient is that of tf32 arithmetic",
    ]


def test_another_loss_joins_the_only_mistake_of_the_output_error():
    loss = wrong(token(seed=1), explanation="clipped loss: clipped at 1e-07")
    assert told(clipped(token(), 1e-7), loss) == [
        ("delta_L has a_L clipped to [1e-07, 1 - 1e-07]", 1, 1)
    ]
    assert told(loss) == [("the gradient is that of a clipped loss", 1, 0)]


def pattern(at, what):
    says = f"layer 1: dC/dW_1 {what}; expected x; a pattern, no formula gives it"
    return wrong(at, says=says)


def test_patterns_of_one_step_are_one_heading_and_no_cause():
    same = [pattern(token(), "is 0 in row 1"), pattern(token(seed=1), "is 0 in rows 0 to 3")]
    assert told(*same) == [("dC/dW_l is 0 in some places", 2, 0)]
    every = [*same, pattern(token(seed=2), "is wrong in column 1 only")]
    assert told(*every) == [("dC/dW_l is wrong in some places", 3, 0)]
    array = wrong(token(seed=4), says="W3 has one wrong entry in row 0, 2 times what it should be")
    lost = wrong(token(seed=5), says=UNKNOWN_W)
    assert told(*every, array, lost) == [("dC/dW_l is wrong in some places", 4, 1)]
    [group] = grouped(every)
    assert (group.mistake, group.is_named) == ((WEIGHT, PATTERN), False)


DELTA = "unknown; layer 2: delta_2 is wrong in a way that nothing explains; look first: delta_2"


def test_what_explains_fewer_problems_than_it_leaves_open_at_its_step_is_a_coincidence():
    lost = [wrong(token(seed=n), says=DELTA) for n in range(20)]
    slope = [wrong(token(m=3 + n), output("is steep", key="steep")) for n in range(3)]
    what = "delta_L is wrong in a way that nothing explains"
    assert told(*slope[:1], *lost) == [(what, 21, 0)]
    assert told(*slope, *lost) == [(what, 23, 0)]
    assert told(*slope, *lost[:4]) == [(what, 7, 0)]
    assert told(*slope, *lost[:3]) == [("delta_L is steep", 3, 3)]
    below = wrong(token(seed=50), (BIAS, 1, "x", "dC/db_1 is x"))
    assert told(below, *lost) == [("dC/db_l is x", 1, 0), (what, 20, 0)]


def test_one_problem_of_hundreds_names_no_mistake_beside_theirs():
    many = [wrong(token(seed=n), (WEIGHT, 1, "x", "dC/dW_1 is x")) for n in range(101)]
    odd = wrong(token(seed=500), output("lacks examples", key=f"{LINEAR}examples"))
    named, unnamed = told(*many, odd)
    assert named == ("dC/dW_l is x", 101, 0)
    assert unnamed == ("delta_L is wrong in a way that nothing explains", 1, 0)
    assert ("delta_L lacks examples", 1, 0) in told(*many[:50], odd)


def test_patterns_that_say_what_a_formula_says_do_not_speak_against_it():
    says = "layer 1: dC/dW_1 is 0 where |dC/dW_1| < t; expected x; a pattern, no formula gives it"
    patterns = [wrong(token(seed=n), says=says) for n in range(9)]
    small = "dC/dW_1 is 0 where it is below 0.0001"
    formulas = [wrong(token(m=3 + n), (WEIGHT, 1, "small", small)) for n in range(3)]
    assert told(*formulas, *patterns) == [("dC/dW_l is 0 where it is below 0.0001", 3, 9)]
    others = [wrong(token(seed=n), says=says.replace("is 0", "is 1")) for n in range(9)]
    assert told(*formulas, *others) != [("dC/dW_l is 0 where it is below 0.0001", 3, 9)]


def test_what_has_no_known_cause_is_one_heading_with_a_wrong_delta_above_it():
    delta = [wrong(token(seed=n), says=DELTA) for n in range(3)]
    rest = [pattern(token(seed=10 + n), "is 0 in every wrong entry") for n in range(9)]
    rest.append(wrong(token(seed=30), says="every wrong coordinate is exactly 0"))
    rest.append(wrong(token(seed=31), explanation="clipped loss: clipped at 1e-07"))
    assert told(*delta, *rest) == [("delta_L is wrong in a way that nothing explains", 3, 11)]
    many = [pattern(token(seed=40 + n), "is 0 in every wrong entry") for n in range(40)]
    assert len(told(*delta, *many)) == 2
    assert len(told(*delta, wrong(token(seed=9), reason="nonfinite"))) == 2


OPEN = "whether the gradient is that of this loss could not be decided"


def of_another_loss(at, which, *, right, name="agreement"):
    """A problem whose loss is another one: its gradient is that of this loss, or not, or is it?"""
    if right:
        return wrong(at, reason="loss", says=f"the loss {which}; the gradient is that of this loss")
    what = OPEN if right is None else "the gradient is not that of this loss either"
    told = f"the loss {which}; {what}; 1 of 2 are wrong"
    return wrong(at, says=DELTA, detail=told, name=name)


def test_another_loss_is_one_heading_also_where_its_gradient_is_wrong_on_some_problems():
    focal = [of_another_loss(token(seed=n), "is the focal loss", right=n > 3) for n in range(6)]
    what = "the loss is the focal loss; the gradient is not that of this loss either"
    assert told(*focal) == [(what, 4, 2)]
    assert told(*focal[4:]) == [("the loss is the focal loss", 2, 0)]
    four = of_another_loss(token(seed=9), "is 4 times ours", right=True)
    assert told(*focal, four) == [(what, 4, 2), ("the loss is 4 times ours", 1, 0)]
    unknown = wrong(token(seed=8), says=DELTA)
    assert len(told(*focal, unknown)) == 2


def test_a_gradient_that_nothing_shows_to_be_wrong_is_that_of_its_loss_as_elsewhere():
    open_ones = [of_another_loss(token(seed=n), "is not ours", right=None) for n in range(2)]
    right = [of_another_loss(token(seed=2 + n), "is not ours", right=True) for n in range(3)]
    for every in ([*open_ones, *right], [*right, *open_ones]):
        assert told(*every) == [("the loss is not ours", 3, 2)]
    assert told(*open_ones) == [(f"the loss is not ours; {OPEN}", 2, 0)]
    shown = of_another_loss(token(seed=9), "is not ours", right=False)
    what = "the loss is not ours; the gradient is not that of this loss either"
    assert told(*open_ones, shown, *right) == [(what, 3, 3)]


def returned(at, what):
    """A problem on which agreement passes, and the loss alone differs."""
    return wrong(at, reason="loss", says=f"the returned loss {what}", name="consistency")


def test_a_returned_loss_joins_the_same_loss_where_agreement_fails():
    log2 = [of_another_loss(token(seed=n), "has log 2", right=True) for n in range(3)]
    right = returned(token(seed=7), "has log 2; the gradient is right")
    for every in ([right, *log2], [*log2, right]):
        assert told(*every) == [("the loss has log 2", 3, 1)]
    assert told(right) == [("the returned loss has log 2", 1, 0)]
    doubled = returned(token(seed=8), "is doubled; the gradient is right")
    assert len(told(*log2, doubled)) == 2


def test_a_loss_that_is_too_small_joins_the_one_without_a_name():
    small = returned(token(seed=7), f"is 80 where rounding leaves 132 at least; {OPEN}")
    other = of_another_loss(token(seed=3), "is not the one that is meant", right=True)
    assert told(small, other) == [("the loss is not the one that is meant", 1, 1)]
    assert told(wrong(token(), output(M)), small) == [(f"delta_L {M}", 1, 1)]


def test_a_loss_that_is_another_one_stands_above_a_delta_that_nothing_explains():
    lost = [
        wrong(
            token(seed=n), says="unknown; layer 2: delta_2 is wrong in a way that nothing explains"
        )
        for n in range(8)
    ]
    at = "the loss is not the one that is meant; it is 1.5 where 1.25 is meant; the gradient is "
    other = [
        wrong(token(seed=10 + n), detail=f"{at}not that of this loss either; 3 of 9 coordinates")
        for n in range(3)
    ]
    what = "the loss is not the one that is meant; the gradient is not that of this loss either"
    assert told(*lost, *other) == [(what, 3, 8)]


def test_a_loss_without_a_name_joins_the_only_mistake():
    lost = of_another_loss(token(seed=3), "is not the one that is meant", right=True)
    assert told(wrong(token(), output(M)), lost) == [(f"delta_L {M}", 1, 1)]
    two = [wrong(token(), output(M)), wrong(token(seed=1), (BIAS, 1, "x", "dC/db_1 is x"))]
    assert len(told(*two, lost)) == 3


def test_what_single_units_give_joins_the_formula_that_says_why():
    sign = [wrong(token(seed=n), output("has the wrong sign", key="sign")) for n in range(4)]
    unit = [
        wrong(token(seed=9 + n), output("is -1 times what is right where z_2 > -7", key=UNITS))
        for n in range(3)
    ]
    assert told(*unit, *sign) == [("delta_L has the wrong sign", 4, 3)]
    assert told(*unit) == [("delta_L is -1 times what is right where z_L > -7", 3, 0)]
    assert told(*unit, sign[0]) == [("delta_L is -1 times what is right where z_L > -7", 3, 1)]


def test_headings_stand_in_the_order_of_the_log():
    problems = [wrong(token(seed=3), says=UNKNOWN_W), wrong(token(), output(M))]
    assert [group.every[0].number for group in grouped(problems)] == [0, 1]


@pytest.mark.parametrize("name", synthetic_log.EVERY)
def test_no_problem_is_lost(name):
    summary = synthetic_log.summary(name)
    failing = [
        Witness(entry.token, entry.finding)
        for p in summary.properties
        for entry in p.entries
        if entry.finding.verdict == "FAIL"
    ]
    groups = grouped(failing)
    assert sorted(one.number for g in groups for one in g.every) == list(range(len(failing)))


def test_a_problem_that_no_token_stands_for_has_a_mistake_too():
    assert told(wrong("my.case.json", output(M))) == [(f"delta_l {M}", 1, 0)]


# --- whether a smaller network shows it -----------------------------------------------------------


def test_a_network_on_which_the_mistake_cannot_show_does_not_allow_it():
    problems = [wrong(token(m=m), output(f"has an extra factor {m}")) for m in (2, 3, 7)]
    [group] = grouped(problems)

    def allows(witness):
        [other] = grouped([witness])
        return group.allows(other.members[0])

    assert allows(wrong(token("1-1", 2), output(M, 1)))
    assert allows(wrong(token("1-1", 2), output("has an extra factor 2", 1)))
    assert not allows(wrong(token("1-1", 1), output("has an extra factor 2", 1)))
    assert not allows(wrong(token("1-1", 2), output("has the wrong sign", 1)))
    assert not allows(wrong(token("1-1", 2)))


def test_what_the_smallest_network_does_not_allow_is_not_told():
    half = "has an extra factor 1/2"
    [group] = grouped([wrong(token("2-2-3"), output(half))])
    [other] = grouped([wrong(token("2-1-1"), output(half, 2))])
    smaller = other.members[0]
    assert group.allows(smaller)
    assert group.with_smallest(smaller).what == group.what == "delta_L has an extra factor 1/2"
    above = [output("has an extra factor 1/n_1"), output("has an extra factor 1/n_2")]
    [group] = grouped([wrong(token("5-3-3"), *above)])
    assert group.what == "delta_L has an extra factor 1/n_{L-1}"
    [other] = grouped([wrong(token("1-1-3"), output("has an extra factor 1/n_2"))])
    assert group.allows(other.members[0])
    assert group.with_smallest(other.members[0]).what == "delta_L has an extra factor 1/n_L"


def test_where_no_cause_is_known_the_step_must_be_the_same():
    [group] = grouped([wrong(token(seed=n), says=UNKNOWN_W) for n in range(2)])

    def allows(says):
        [other] = grouped([wrong(token("1-1-1"), says=says)])
        return group.allows(other.members[0])

    assert allows(UNKNOWN_W)
    assert allows("layer 1: dC/dW_1 is 0; expected x")
    assert not allows("layer 1: dC/db_1 is 0; expected x")
    assert not allows(UNKNOWN_W.replace("dC/dW_1", "delta_1"))


# --- a delta and its products ---------------------------------------------------------------------


def with_last_only(place, step, seed):
    return wrong(token(seed=seed), (place, 2, "last example only", f"{step}_2 has the last only"))


def test_a_delta_that_few_problems_tell_beside_many_of_one_product_is_not_told():
    few = [with_last_only(OUTPUT, "delta", n) for n in range(2)]
    many = [with_last_only(WEIGHT, "dC/dW", n) for n in range(2, 32)]
    groups = grouped([*few, *many])
    assert [g.what for g in groups if g.is_named] == ["dC/dW_l has the last only"]


def test_patterns_of_few_products_join_the_wrong_delta_that_is_the_only_mistake():
    deltas = [wrong(token(seed=n), output("is centred", key="centred")) for n in range(20)]
    entry = (WEIGHT, 1, "entry", "dC/dW_1 has one wrong entry in row 0")
    products = [wrong(token(seed=n), entry) for n in range(20, 24)]
    assert told(*deltas, *products) == [("delta_L is centred", 20, 4)]
    assert len(told(*deltas[:10], *products)) == 2


def test_a_relation_is_borne_by_the_small_problems_that_were_held_to_it():
    mixed = (HIDDEN, 1, f"{LINEAR}units zero", "delta_1 is 0 in its last unit")
    small = [wrong(token(seed=n), mixed) for n in range(3)]
    lost = "unknown; layer 1: delta_1 is wrong in a way that nothing explains"
    large = [wrong(token("30-20-1", seed=n), says=lost) for n in range(9)]
    [group] = grouped([*small, *large])
    assert (group.what, group.is_linear, len(group.joined)) == (
        "delta_l is 0 in its last unit",
        True,
        9,
    )
    open_ones = [wrong(token(seed=n), says=lost) for n in range(10, 19)]
    assert not any(group.is_named for group in grouped([*small, *open_ones]))
