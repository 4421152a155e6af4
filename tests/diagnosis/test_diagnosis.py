"""The first guess is right for nearly every mutant, and what is said is never false."""

from functools import cache
from itertools import islice
from random import Random

import numpy as np
import pytest
from names_of_mutants import NAMES, first_guess, is_named
from some import some
from truth import FALSE, judged

from gradcheck.checks.agreement import check_agreement
from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.diagnosis.explain import diagnose
from gradcheck.diagnosis.finding import FORMULA
from gradcheck.diagnosis.formula import HIDDEN, OUTPUT, WEIGHT
from gradcheck.diagnosis.formulas import LIBRARY, size
from gradcheck.diagnosis.symbols import Symbols
from gradcheck.engines.variants import CORRECT
from gradcheck.mutants.backprop import Backprop
from gradcheck.mutants.registry import MUTANTS, find_mutant
from gradcheck.outcomes.reasons import Kind, Verdict
from gradcheck.problems.case import parse, sample_cases

AGREEMENT = [name for name, wrong in MUTANTS.items() if "agreement" in wrong.caught_by]
SMALL = {"max_parameters": 300, "max_batch": 16}
RIGHTLY, PAIRS_RIGHTLY, TRULY = 0.95, 0.85, 0.95


@cache
def drawn(seed=7):
    return [(case, case.problem()) for case in sample_cases(200, seed, **SMALL)]


def problems(seed=7):
    return [problem for _, problem in drawn(seed)]


def failures(name, seed=7):
    """Failing problems of a mutant with their outcomes, one engine for all of them."""
    wrong, engine = MUTANTS[name], MUTANTS[name].make()
    for problem in problems(seed):
        if wrong.shows.admits(problem):
            outcome = explained_agreement(engine, problem)
            if outcome.verdict is Verdict.FAIL:
                yield problem, outcome


def diagnosed(engine, problem, library=LIBRARY):
    """The diagnosis of a failure whose gradient could be compared, else None."""
    outcome = check_agreement(engine, problem)
    c = outcome.comparison
    if outcome.verdict is not Verdict.FAIL or c is None:
        return None
    return diagnose(engine, problem, c.engine, c.kind == Kind.FAILED, library=library)


# --- one mistake ----------------------------------------------------------------------------------


def shares(names, most, seed=7):
    """By mutant, the share of its failures that are named rightly, and wrong guesses."""
    found, wrong = {}, []
    for name in some(names):
        told = [outcome for _, outcome in islice(failures(name, seed), most)]
        assert told, f"{name} does not fail"
        found[name] = np.mean([is_named(name, outcome) for outcome in told])
        wrong += [(name, first_guess(o)) for o in told if not is_named(name, o)]
    return found, wrong


def test_what_every_mutant_is_to_be_called_is_written_down():
    assert set(NAMES) == set(AGREEMENT)


def test_mutants_are_named_rightly_as_first_guess():
    found, wrong = shares(AGREEMENT[::32], most=1)
    assert np.mean(list(found.values())) >= RIGHTLY, wrong


@pytest.mark.nightly
@pytest.mark.parametrize("seed", [7, 11, 12])
def test_all_mutants_are_named_rightly_as_first_guess(seed):
    found, wrong = shares(AGREEMENT, most=4, seed=seed)
    assert np.mean(list(found.values())) >= RIGHTLY, wrong


def test_a_clean_engine_has_no_diagnosis():
    for make in (Backprop, *list(CORRECT.values())[:3]):
        for problem in some(problems()[:6]):
            assert explained_agreement(make(), problem).diagnosis == ""


TOKEN = "gc1:3-4-5-2:cross_entropy:mean:m3:float64:w1:generic:soft:s0"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("slope_missing_in_layer_one",
         "layer 1: delta_1 lacks the factor sigmoid'(z_1); "
         "expected delta_1 = (delta_2 W_2) * sigmoid'(z_1); sure"),
        ("mean_missing", "layer 3: delta_3 lacks the factor 1/m; expected delta_3 = (a_3 - Y) / m"),
        ("bias_forgotten", "layer 3: dC/db_3 is 0; expected dC/db_3 = sum_i delta_3"),
        ("weight_decay", "layer 3: dC/dW_3 has an extra term 0.0001 W_3; "
         "expected dC/dW_3 = delta_3^T a_2"),
        ("two_columns_swapped", "layer 1: dC/dW_1 has entries swapped in columns 0, 1; "
         "expected dC/dW_1 = delta_1^T X; sure: it gives every number on 4 problems"),
    ],
)  # fmt: skip
def test_the_equation_and_the_layer_are_told(name, told):
    outcome = explained_agreement(find_mutant(name).make(), parse(TOKEN).problem())
    assert outcome.diagnosis.startswith(told), outcome.diagnosis
    assert f"likely cause: {told}" in str(outcome)


def test_on_one_weight_many_mistakes_look_alike_and_other_problems_tell_them_apart():
    case = "gc1:1-1:cross_entropy:mean:m2:float64:w1:generic:ones:s1"
    for name in ("mean_missing", "factor_half", "wrong_sign", "quadratic_for_cross_entropy"):
        assert is_named(name, explained_agreement(find_mutant(name).make(), parse(case).problem()))


def test_a_mistake_of_some_shapes_is_not_refuted_by_a_problem_of_others():
    case = "gc1:3-1-2:cross_entropy:sum:m3:float64:w1:generic:soft:s0"
    outcome = explained_agreement(find_mutant("width_one").make(), parse(case).problem())
    assert outcome.diagnosis.startswith("layer 1: delta_1 lacks the factor sigmoid'(z_1)")


def test_what_nothing_explains_is_unknown():
    class Odd(Backprop):
        def hidden_error(self, layer):
            return super().hidden_error(layer) * np.cos(5 * self.z[layer] * self.a[layer])

    outcome = explained_agreement(Odd(), parse(TOKEN).problem())
    assert outcome.diagnosis.startswith("unknown; layer 2: delta_2"), outcome.diagnosis
    assert "layer 3" not in outcome.diagnosis


# --- two mistakes ---------------------------------------------------------------------------------

STEPS = {"output_error": 0, "batches": 0, "hidden_error": 1, "weight_gradient": 2,
         "bias_gradient": 2}  # fmt: skip
STATEFUL = {"accumulated_over_calls", "stale_activations", "stale_batch", "bias_keeps_dimensions"}
ORDER = {OUTPUT: 0, HIDDEN: 0, WEIGHT: 1}


def pairs(how_many, seed):
    """Mutants of two steps that show on one problem, with the diagnosis of each and of both."""
    random, found = Random(seed), 0  # noqa: S311 - which pairs are drawn is no secret
    names = [n for n, wrong in MUTANTS.items() if wrong.group in STEPS and n not in STATEFUL]
    while found < how_many:
        both = [MUTANTS[name] for name in random.sample(names, 2)]
        both.sort(key=lambda wrong: STEPS[wrong.group])
        fit = [p for p in problems() if all(wrong.shows.admits(p) for wrong in both)]
        if STEPS[both[0].group] == STEPS[both[1].group] or not fit:
            continue
        problem = random.choice(fit[:10])
        alone = [diagnosed(wrong.make(), problem) for wrong in both]
        if any(d is None or d.kind != FORMULA for d in alone):
            continue
        pair = type("Pair", tuple(wrong.make for wrong in both), {})
        together = diagnosed(pair(), problem)
        if together is not None:
            found += 1
            first = min(alone, key=lambda d: (-d.layer, ORDER.get(d.place, 2)))
            yield first, together, [wrong.name for wrong in both]


def share_of_pairs(how_many, seed):
    right, wrong = 0, []
    for first, together, names in pairs(how_many, seed):
        is_right = (first.place, first.layer, first.key) == (
            together.place,
            together.layer,
            together.key,
        )
        right += is_right
        wrong += [] if is_right else [(names, together.text)]
    return right / how_many, wrong


def test_of_two_mistakes_the_first_on_the_backward_path_is_named():
    share, wrong = share_of_pairs(8, seed=2)
    assert share >= PAIRS_RIGHTLY, wrong


@pytest.mark.nightly
def test_of_many_pairs_of_mistakes_the_first_on_the_backward_path_is_named():
    share, wrong = share_of_pairs(200, seed=1)
    assert share >= PAIRS_RIGHTLY, wrong


def test_several_mistakes_are_told_in_the_order_of_the_backward_path():
    names = ("mean_missing", "slope_missing", "bias_sign")
    several = type("Several", tuple(find_mutant(name).make for name in names), {})
    told = explained_agreement(several(), parse(TOKEN).problem()).diagnosis
    parts = [
        "layer 3: delta_3 lacks the factor 1/m",
        "then layer 3: dC/db_3 has the wrong sign",
        "then layer 2: delta_2 lacks the factor sigmoid'(z_2)",
    ]
    places = [told.find(part) for part in parts]
    assert places == sorted(places), told
    assert places[0] == 0, told


# --- without its own formula ----------------------------------------------------------------------

FORMULAS = sorted({(place, f.key) for place, formulas in LIBRARY.items() for f in formulas})


def without(place, key):
    return {p: tuple(f for f in formulas if (p, f.key) != (place, key))
            for p, formulas in LIBRARY.items()}  # fmt: skip


def left_out(names, most, seed):
    """Mutants whose formula is taken out, with what is said then, and how true that is."""
    for name in names:
        make = MUTANTS[name].make
        shown = ((case, p) for case, p in drawn(seed) if MUTANTS[name].shows.admits(p))
        told = ((case, p, diagnosed(make(), p)) for case, p in shown)
        for case, problem, with_it in islice((one for one in told if one[2]), most):
            own = with_it.place, with_it.key
            if own in FORMULAS:
                said = diagnosed(make(), problem, without(*own))
                yield name, said.text, *judged(said, make, case)


def share_of_truth(names, most=1, seed=7):
    every = list(left_out(names, most, seed))
    false = [told for told in every if told[2] == FALSE]
    return 1 - len(false) / len(every), len(every), false


def test_without_its_formula_a_mistake_is_called_nothing_false():
    share, n, false = share_of_truth(AGREEMENT[2::90])
    assert n >= 2
    assert share >= TRULY, false


@pytest.mark.nightly
@pytest.mark.parametrize("seed", [7, 11])
def test_without_their_formulas_no_mistakes_are_called_anything_false(seed):
    share, n, false = share_of_truth(AGREEMENT, most=2, seed=seed)
    assert n >= 180
    assert share >= TRULY, false


@pytest.mark.nightly
def test_what_is_said_with_all_formulas_is_true_as_well():
    false, n = [], 0
    for name in AGREEMENT:
        for case, problem in islice(failing_cases(name), 2):
            n += 1
            said = diagnosed(MUTANTS[name].make(), problem)
            truth, why = judged(said, MUTANTS[name].make, case)
            false += [(name, said.text, why)] if truth == FALSE else []
    assert n >= 290
    assert len(false) <= (1 - TRULY) * n, false


def failing_cases(name, seed=7):
    """Cases whose diagnosis is of formulas and patterns, not of what is kept between calls."""
    make = MUTANTS[name].make
    for case, problem in drawn(seed):
        if MUTANTS[name].shows.admits(problem):
            said, outcome = diagnosed(make(), problem), explained_agreement(make(), problem)
            if said is not None and said.text == outcome.diagnosis:
                yield case, problem


# --- the library ----------------------------------------------------------------------------------


def test_no_wrong_formula_is_the_right_one():
    case = "gc1:4-4-4-3:{}:mean:m7:float64:w10:generic:soft:s3"
    for loss in ("cross_entropy", "quadratic"):
        s = Symbols.of(parse(case.format(loss)).problem()).right()
        s = s.knowing(3, s.delta[3], s.weight_gradient(3))
        for place, formulas in LIBRARY.items():
            layer = s.L if place == OUTPUT else 2
            right = {OUTPUT: s.error, HIDDEN: s.error, WEIGHT: s.weight_gradient}.get(
                place, s.bias_gradient
            )(layer)
            for formula in some(formulas):
                value = formula.value(s, layer)
                if value is not None and formula.is_term:
                    assert value.any(), formula
                if value is not None:
                    assert np.shape(value) == np.shape(right), formula


def test_the_library_is_not_the_list_of_mutants():
    assert size(LIBRARY) >= 200
    assert {f.key for formulas in LIBRARY.values() for f in formulas}.isdisjoint(MUTANTS)


@pytest.mark.parametrize("place", LIBRARY)
def test_formulas_say_in_which_layer_and_nothing_else_of_it(place):
    for formula in LIBRARY[place]:
        told = formula.told(4, 0.5)
        assert told.startswith({OUTPUT: "delta_4", HIDDEN: "delta_4", WEIGHT: "dC/dW_4"}.get(
            place, "dC/db_4")), formula  # fmt: skip
        assert ("{c}" in formula.says) == formula.is_term
