"""What a diagnosis says rests on evidence: answers, different points, conditions that separate."""

import numpy as np
import pytest

from gradcheck.checks.agreement import check_agreement
from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.diagnosis.evidence import ENOUGH, POINTS, Evidence
from gradcheck.diagnosis.explain import diagnose
from gradcheck.diagnosis.formula import OUTPUT
from gradcheck.engines.base import Unsupported
from gradcheck.mutants.backprop import Backprop, sigmoid
from gradcheck.mutants.registry import find_mutant
from gradcheck.outcomes.reasons import Kind, Verdict
from gradcheck.problems.case import parse

TOKEN = "gc1:3-4-4-2:cross_entropy:mean:m5:float64:w1:generic:soft:s0"
POINT = "gc1:1-1:cross_entropy:mean:m1:float64:w1:generic:soft:s0"


def engine(**steps):
    """A right backprop but for the steps that are given, as functions of it."""
    return type("Wrong", (Backprop,), steps)()


def only_on(token, **steps):
    """An engine that refuses problems of other inputs."""

    class Only(Backprop):
        def value_and_grad(self, problem):
            if not np.array_equal(problem.inputs, parse(token).problem().inputs):
                raise Unsupported("another problem")
            return super().value_and_grad(problem)

    return type("Wrong", (Only,), steps)()


def outcome(token, wrong):
    return explained_agreement(wrong, parse(token).problem())


def told(token, wrong):
    return outcome(token, wrong).diagnosis


def named(token, wrong):
    """What is said of the formulas alone."""
    problem = parse(token).problem()
    c = check_agreement(wrong, problem).comparison
    return diagnose(wrong, problem, c.engine, c.kind == Kind.FAILED).text


def residual(b):
    return Backprop.output_error(b)


# --- how sure -------------------------------------------------------------------------------------


def test_a_formula_that_all_problems_show_is_sure():
    assert "; sure: of " in told(TOKEN, engine(output_error=lambda b: 3 * residual(b)))


def test_a_refused_question_is_no_evidence():
    said = told(TOKEN, only_on(TOKEN, output_error=lambda b: 1.7 * residual(b)))
    assert said.startswith("layer 3: delta_3 has an extra factor 1.7; expected ")
    assert "sure" not in said
    assert "; fits the one problem that was answered; " in said
    assert said.endswith(" were refused")


def test_a_number_seen_on_one_problem_may_be_a_width_or_just_a_number():
    said = told(TOKEN, only_on(TOKEN, output_error=lambda b: 3 * residual(b)))
    assert "; or else, with the same numbers: delta_3 has an extra factor 3" in said


def test_a_ratio_at_one_point_is_no_formula():
    found = outcome(POINT, only_on(POINT, output_error=lambda b: 3 * residual(b)))
    assert found.diagnosis.startswith("unknown; layer 1: delta_1 is wrong")
    assert "delta_1 has an extra factor 3" in [s.says for s in found.suspects]


def test_points_and_problems_are_counted():
    assert Evidence(5, 0, ENOUGH, POINTS).is_enough
    assert not Evidence(5, 0, ENOUGH - 1, POINTS).is_enough
    assert not Evidence(5, 0, ENOUGH, POINTS - 1).is_formula
    assert Evidence(5, 3, 2, 9).told() == "found on 2 of 5 problems asked; 3 were refused"
    assert Evidence(5, 4, 1, 9).told() == "fits the one problem that was answered; 4 were refused"
    assert Evidence(5, 0, 2, 9).told() == "found on 2 of 5 problems asked"


def test_of_a_batch_of_one_nothing_is_said_about_the_batch():
    assert "example" not in told(POINT, only_on(POINT, output_error=lambda b: 0 * residual(b)))


def test_every_mistake_that_it_may_be_is_a_suspect():
    found = outcome(TOKEN, find_mutant("mean_missing").make())
    first = found.suspects[0]
    assert (first.place, first.layer, first.key) == (OUTPUT, 3, "factor m")
    assert first.says == "delta_3 lacks the factor 1/m"
    assert first.expected == "delta_3 = (a_3 - Y) / m"
    assert f"layer 3: {first.says}; expected {first.expected}" in found.diagnosis


def test_a_factor_that_differs_from_network_to_network_is_told_as_that():
    wrong = engine(output_error=lambda b: residual(b) * (2 + b.L))
    assert "delta_3 has an extra factor 5;" in told(TOKEN, wrong)
    two = told("gc1:4-4-2:cross_entropy:mean:m5:float64:w1:generic:soft:s0", wrong)
    assert "delta_2 has an extra factor 4, and another one in other networks; " in two


# --- conditions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "step"),
    [
        ("delta_3 has an extra factor 0.5 where z_3 < t",
         {"output_error": lambda b: residual(b) * np.where(b.z[b.L] < 0, 0.5, 1)}),
        ("delta_3 has an extra factor 0.5 where Y > t",
         {"output_error": lambda b: residual(b) * np.where(b.Y > 0.7, 0.5, 1)}),
        ("delta_3 is 0 where |a_3 - Y| > t",
         {"output_error": lambda b: residual(b) * (np.abs(b.a[b.L] - b.Y) < 0.3)}),
    ],
)  # fmt: skip
def test_a_condition_is_told_on_the_variable_that_separates(says, step):
    said = named(TOKEN, engine(**step))
    assert said.startswith(f"layer 3: {says}; expected delta_3 = (a_3 - Y) / m; t is between "), (
        said
    )
    low, high = (float(x) for x in said.partition("t is between ")[2].split(";")[0].split(" and "))
    assert low <= {"z": 0.0, "Y": 0.7, "|": 0.3}[says.partition("where ")[2][0]] <= high


def test_where_no_condition_separates_none_is_told():
    for power in (1.5, 3):
        wrong = engine(
            output_error=lambda b, p=power: np.sign(residual(b)) * np.abs(residual(b)) ** p
        )
        assert " where " not in named(TOKEN, wrong)


def test_an_unknown_mistake_leads_with_its_place():
    class Odd(Backprop):
        def hidden_error(self, layer):
            return super().hidden_error(layer) * np.cos(5 * self.z[layer] * self.a[layer])

    said = told(TOKEN, Odd())
    assert said.startswith("unknown; layer 2: delta_2 is wrong ")
    assert "; look first: delta_2; everything above is right" in said


# --- engines that were called what they are not ---------------------------------------------------


def focal(b):
    """(1 - p)^2 (-log p) with a sign slip."""
    p, z, y = b.a[b.L], b.z[b.L], b.Y
    if ((y != 0) & (y != 1)).any():
        raise Unsupported("targets 0 and 1")
    t1, t0 = np.log1p(np.exp(-z)), np.log1p(np.exp(z))
    d = y * (1 - p) ** 2 * (p - 1 + 2 * p * t1) + (1 - y) * p**2 * (p + 2 * p * t0)
    return d / b.M


def cut(z):
    """A sigmoid that is 0 or 1 beyond |z| = 15."""
    return np.where(z > 15, 1.0, np.where(z < -15, 0.0, sigmoid(z)))


FOCAL = engine(output_error=focal)
CUT = engine(
    activation=lambda b, k: cut(b.z[k]),
    output_error=lambda b: (cut(b.z[b.L]) - b.Y) / b.M,
    slope=lambda b, k: b.a[k] * (1 - b.a[k]),
)
AT_ZERO = engine(output_error=lambda b: np.where(b.z[b.L] == 0, -0.5 - b.Y, b.a[b.L] - b.Y) / b.M)


def test_a_focal_loss_with_a_sign_slip_is_no_extra_slope():
    said = told("gc1:1-1-1:cross_entropy:mean:m1:float32:w1:saturated:zeros:s0", FOCAL)
    assert said.startswith("unknown; layer 2: delta_2")
    assert "sure" not in said


def test_what_is_0_or_1_is_not_rounded_to_float32():
    said = told("gc1:1-1:cross_entropy:mean:m1:float64:w30:generic:binary:s5", CUT)
    assert "float32" not in said
    assert "15" in said


def test_where_both_products_are_0_it_is_the_error_that_is_wrong():
    said = told("gc1:2-1:quadratic:sum:m8:float64:w300:generic:ones:s3934750379", CUT)
    assert "dC/dW_1 is 0" not in said
    assert "dC/db_1 is 0" not in said


@pytest.mark.parametrize("targets", ["ones", "zeros", "soft"])
def test_a_special_case_at_0_is_no_factor(targets):
    said = told(f"gc1:1-1:cross_entropy:mean:m1:float64:w1:zero_weights:{targets}:s0", AT_ZERO)
    assert "where z_1 is exactly 0" in said
    assert "factor" not in said
    assert "sign" not in said


def test_a_square_gradient_that_is_transposed_has_no_other_targets():
    def turned(b, k):
        g = Backprop.weight_gradient(b, k)
        return g.T if g.shape[0] == g.shape[1] else g

    wrong = engine(weight_gradient=turned)
    for token in (TOKEN, "gc1:2-2:cross_entropy:mean:m2:float64:w1:generic:soft:s0",
                  "gc1:1-12-12:quadratic:sum:m2:float64:w30:generic:soft:s3486418927"):  # fmt: skip
        said = told(token, wrong)
        assert "its own transpose" in said
        assert "targets" not in said


def test_errors_that_give_the_right_biases_explain_no_weights():
    wrong = engine(weight_gradient=lambda b, k: b.delta[k].T @ (b.a[k - 1] + 0.1))
    for token in ("gc1:5-2-3-12-15-1-1:cross_entropy:sum:m5:float64:w0.3:constant_feature:soft:s3",
                  TOKEN):  # fmt: skip
        said = told(token, wrong)
        assert "dC/dW_" in said.partition("; expected")[0]
        assert "targets" not in said


def test_rounding_needs_many_numbers_that_are_not_round():
    def to_float32(b):
        b.change(lambda g: g.astype(np.float32).astype(float))

    assert "is rounded to float32" in told(TOKEN, engine(finish=to_float32))
    assert "float32" not in told(POINT, only_on(POINT, finish=to_float32))


# --- calls ----------------------------------------------------------------------------------------


class Noisy(Backprop):
    """Every entry is off by a part of itself that differs from call to call."""

    size = 1e-6

    def finish(self):
        random = np.random.default_rng()
        self.change(lambda g: g * (1 + self.size * random.standard_normal(g.shape)))


def test_noise_is_seen_in_most_entries_and_last_bits_are_none():
    assert "random noise of relative size" in told(TOKEN, Noisy())
    bits = type("Bits", (Noisy,), {"size": 1e-16})()
    found = outcome(TOKEN, bits)
    assert "noise" not in found.diagnosis
    assert found.verdict is not Verdict.FAIL or "last bits differ" in found.diagnosis


class OneEntryDiffers(Backprop):
    """One entry is another one in every call."""

    calls = 0

    def finish(self):
        OneEntryDiffers.calls += 1
        self.dW[1][0, 0] += 1e-3 * (OneEntryDiffers.calls % 7)


def test_one_entry_that_differs_is_neither_noise_nor_dropout():
    said = told(TOKEN, OneEntryDiffers())
    assert said.startswith("all layers: answers to one problem differ from call to call; expected ")


FLIPPED = "gc1:5-4-1-2:cross_entropy:sum:m14:float64:w0.3:constant_feature:ones:s1495018121"
TWINS = "gc1:3-12-15-1:quadratic:mean:m2:float32:w30:duplicated_examples:zeros:s3889987603"


@pytest.mark.parametrize(
    ("token", "mutant", "says"),
    [
        (FLIPPED, "targets_flipped", "has 1 - Y for Y"),
        (TWINS, "duplicates_dropped", "counts an example that is repeated once"),
    ],
)
def test_rounding_where_units_are_saturated_and_equal_examples_refute_nothing(token, mutant, says):
    said = told(token, find_mutant(mutant).make())
    assert said.startswith(f"layer 3: delta_3 {says}; expected ")
