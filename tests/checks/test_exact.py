"""The exact tests: right engines pass in every order of summation; no mutant does."""

from dataclasses import replace
from functools import cache, reduce
from itertools import islice

import numpy as np
import pytest
from some import some

from gradcheck.certified.dyadic import lattice_gradient
from gradcheck.checks import exact
from gradcheck.checks.exact import (
    TESTS,
    duplicated_batch,
    exact_outcomes,
    lattice,
    powers_of_two,
    safe_shift,
    scaled,
    zero_column,
)
from gradcheck.engines.base import EngineInfo, Unsupported
from gradcheck.engines.registry import find
from gradcheck.outcomes.reasons import Kind, Reason, Verdict
from gradcheck.problem import LOSSES, REDUCTIONS, Architecture, Problem
from gradcheck.problems.case import Case, parse
from gradcheck.pytree import structure_of
from gradcheck.rounding import gradient_bound

DTYPES = ("float16", "float32", "float64")
INFO = EngineInfo("planted", "1", DTYPES, LOSSES, REDUCTIONS)
REFERENCE = find("reference")
NAMES = ("max_depth", "max_width", "max_outputs", "max_batch", "max_parameters")


class Planted:
    """An engine made of a function of the problem."""

    def __init__(self, gradient, **claims):
        self.info = replace(INFO, **claims)
        self.gradient = gradient

    def value_and_grad(self, problem):
        return 0.0, self.gradient(problem)


def right(problem):
    return REFERENCE.value_and_grad(problem)[1]


@cache
def cases(name, dtype, **claims):
    return tuple(TESTS[name].cases(replace(INFO, **claims), dtype, 0))


def judged(gradient, name, dtype):
    engine = Planted(gradient, dtypes=(dtype,))
    return (TESTS[name].check(engine, case) for case in cases(name, dtype))


def outcomes(gradient, name, dtype):
    return list(judged(gradient, name, dtype))


def failures(gradient, name, dtype, most=None):
    """The first failures, all of them by default."""
    wrong = (o for o in judged(gradient, name, dtype) if o.verdict is Verdict.FAIL)
    return list(islice(wrong, most))


# ------------------------------------------------------------- right engines, computed differently


def one_by_one(terms):
    return reduce(np.add, terms)


def reversed_order(terms):
    return reduce(np.add, terms[::-1])


def in_pairs(terms):
    while len(terms) > 1:
        terms = [*map(np.add, terms[::2], terms[1::2]), *terms[len(terms) // 2 * 2 :]]
    return terms[0]


def wide(terms):
    return reduce(np.add, [t.astype(np.longdouble) for t in terms]).astype(terms[0].dtype)


def by_size(terms):
    return np.add.reduce(np.sort(np.stack(terms), axis=0), axis=0)


def backprop(
    problem,
    total=one_by_one,
    *,
    mean_last=False,
    bias_first=False,
    sigma=lambda z: 1 / (1 + np.exp(-z)),
    back=lambda W: W,
    rounded=lambda delta: delta,
):
    """Backpropagation with every sum done by `total`."""
    network, m, X = problem.architecture, problem.batch, problem.inputs
    divisor = X.dtype.type(m if network.reduction == "mean" else 1)
    a = [X]
    for W, b in zip(problem.weights, problem.biases, strict=True):
        terms = [np.outer(a[-1][:, k], W[:, k]) for k in range(W.shape[1])]
        bias = np.broadcast_to(b, terms[0].shape)
        a.append(sigma(total([bias, *terms] if bias_first else [*terms, bias])))
    delta = a[-1] - problem.targets
    if network.loss == "quadratic":
        delta = delta * (a[-1] * (1 - a[-1]))
    delta = rounded(delta if mean_last else delta / divisor)
    layers = []
    for W, x in zip(problem.weights[::-1], a[-2::-1], strict=True):
        dW = total([np.outer(delta[i], x[i]) for i in range(m)])
        db = total([delta[i] for i in range(m)])
        layers.append((dW / divisor, db / divisor) if mean_last else (dW, db))
        V = back(W)
        slope = x * (1 - x)
        delta = rounded(total([np.outer(delta[:, j], V[j]) for j in range(len(V))]) * slope)
    return layers[::-1]


TOTALS = [one_by_one, reversed_order, in_pairs, wide, by_size]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("total", TOTALS)
@pytest.mark.parametrize("late", [False, True])
def test_every_order_of_summation_gives_the_exact_gradient(dtype, total, late):
    def gradient(problem):
        return backprop(problem, total, mean_last=late, bias_first=late)

    found = outcomes(gradient, "lattice", dtype)
    assert len(found) == 12 + (0 if dtype == "float16" else 4)
    assert all(o.verdict is Verdict.PASS and o.resolution == 0 for o in found)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("total", TOTALS)
def test_and_passes_the_other_tests(dtype, total):
    engine = Planted(lambda p: backprop(p, total), dtypes=(dtype,), arithmetic="p_minus_y")
    for name in ("zero input column", "powers of two", "duplicated batch"):
        for case in some(cases(name, dtype, arithmetic="p_minus_y")):
            outcome = TESTS[name].check(engine, case)
            assert outcome.verdict is Verdict.PASS, str(outcome)


@pytest.mark.parametrize("engine", ["reference", "chain-rule"])
def test_the_reference_engines_pass_everything_in_every_dtype(engine):
    found = exact_outcomes(find(engine), seed=5)
    assert {(o.name, o.dtype) for o in found} == {(name, d) for name in TESTS for d in DTYPES}
    for o in some(found):
        assert o.verdict == "PASS", f"{o.token} {o.outcome}"


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.nightly
def test_no_false_alarm_in_a_long_search(seed):
    for engine in ("reference", "chain-rule"):
        assert {o.verdict for o in exact_outcomes(find(engine), seed=seed)} == {"PASS"}


# ------------------------------------------------------------------------------------- mutants


def times(factor):
    return lambda p: [(W * W.dtype.type(factor), b * b.dtype.type(factor)) for W, b in right(p)]


def with_problem(change):
    return lambda p: right(change(p))


def without_mean(problem):
    return replace(problem, architecture=replace(problem.architecture, reduction="sum"))


def without_bias(problem):
    return replace(problem, biases=tuple(0 * b for b in problem.biases))


def last_example_skipped(problem):
    if problem.batch == 1:
        return right(problem)
    kept = replace(problem, inputs=problem.inputs[:-1], targets=problem.targets[:-1])
    if problem.architecture.reduction == "sum":
        return right(kept)
    share = problem.dtype.type((problem.batch - 1) / problem.batch)
    return [(W * share, b * share) for W, b in right(kept)]


def one_ulp(problem):
    (W, b), *rest = right(problem)
    b[-1] = np.nextafter(b[-1], b.dtype.type(np.inf))
    return [(W, b), *rest]


def transposed(W):
    return W.T if W.shape[0] == W.shape[1] else W


def through(dtype):
    def rounded(delta):
        return delta.astype(dtype).astype(delta.dtype)

    return lambda p: backprop(p, rounded=rounded)


def above_a_half(z):
    a = 1 / (1 + np.exp(-z))
    return np.where(z == 0, np.nextafter(a, a.dtype.type(1)), a)


def with_decay(problem):
    rate = problem.dtype.type(1e-10)
    return [(g + rate * W, b) for (g, b), W in zip(right(problem), problem.weights, strict=True)]


LATTICE_MUTANTS = {
    "times 1 + 1e-12": (times(1 + 1e-12), "float64"),
    "times 1 + 2^-20": (times(1 + 2.0**-20), "float32"),
    "times 1 + 2^-10": (times(1 + 2.0**-10), "float16"),
    "1/m missing": (with_problem(without_mean), "float32"),
    "y - p": (times(-1), "float16"),
    "bias forgotten": (with_problem(without_bias), "float32"),
    "last example skipped": (last_example_skipped, "float16"),
    "one coordinate off by an ulp": (one_ulp, "float64"),
    "one coordinate off by an ulp in float16": (one_ulp, "float16"),
    "square matrix transposed": (lambda p: backprop(p, back=transposed), "float64"),
    "square matrix transposed in float16": (lambda p: backprop(p, back=transposed), "float16"),
    "delta through float16": (through(np.float16), "float64"),
    "delta through float32": (through(np.float32), "float64"),
    "delta through float16 in float32": (through(np.float16), "float32"),
    "sigmoid above a half": (lambda p: backprop(p, sigma=above_a_half), "float64"),
    "weight decay": (with_decay, "float64"),
    "weight decay in float32": (with_decay, "float32"),
}


@pytest.mark.parametrize("most", [1, pytest.param(None, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("mutant", LATTICE_MUTANTS)
def test_the_lattice_kills(mutant, most):
    gradient, dtype = LATTICE_MUTANTS[mutant]
    found = failures(gradient, "lattice", dtype, most)
    assert found
    for outcome in found:
        assert outcome.reason is Reason.MISMATCH
        assert all(d.allowance == 0 and d.bound == 0 for d in some(outcome.discrepancies))


def test_a_failure_names_coordinate_and_both_numbers():
    case = Case(sizes=(3, 2, 1), corner="zero_preactivations", seed=4)

    def gradient(problem):
        (W1, b1), (W2, b2) = right(problem)
        W2[0, 1] = np.nextafter(W2[0, 1], 9)
        return [(W1, b1), (W2, b2)]

    outcome = lattice(Planted(gradient), case)
    [discrepancy] = outcome.discrepancies
    assert discrepancy.name == "W2[0,1]"
    assert (discrepancy.oracle, discrepancy.allowance) == (-0.25, 0)
    assert discrepancy.engine == np.nextafter(-0.25, 9)
    assert "W2[0,1]: engine -0.24999999999999997, exact -0.25; off by" in str(outcome)
    assert (outcome.counts["failed"], outcome.counts["exact"]) == (1, 10)
    assert outcome.backward_passes == 1


@pytest.mark.parametrize("most", [4, pytest.param(None, marks=pytest.mark.nightly)])
def test_a_sigmoid_that_misses_a_half_is_named_as_the_likely_cause(most):
    def gradient(problem):
        return backprop(problem, sigma=above_a_half)

    for dtype in DTYPES:
        told = [o.diagnosis for o in failures(gradient, "lattice", dtype, most)]
        assert len(told) == len(cases("lattice", dtype)[:most])
        assert all("does not return exactly 1/2 at 0" in t for t in told)
    for mutant in ("y - p", "one coordinate off by an ulp"):
        other, dtype = LATTICE_MUTANTS[mutant]
        found = some(failures(other, "lattice", dtype, most))
        assert not any("1/2 at 0" in o.diagnosis for o in found)


def test_an_engine_of_a_declared_wider_class_may_round_where_it_need_not():
    def gradient(problem):
        return backprop(problem, sigma=above_a_half)

    def judged(made, arithmetic):
        engine = Planted(made)
        engine.info = replace(engine.info, arithmetic=arithmetic)
        return [lattice(engine, case) for case in cases("lattice", "float64")]

    assert {o.verdict for o in judged(gradient, "cancellation_free")} == {Verdict.FAIL}
    undecided = judged(gradient, "flushed")
    assert {(o.verdict, o.reason) for o in undecided} == {(Verdict.INCONCLUSIVE, Reason.ANOMALOUS)}
    assert all("are not exact" in o.detail and not o.discrepancies for o in some(undecided))
    assert Verdict.FAIL in {o.verdict for o in judged(times(1 + 1e-12), "flushed")}


def test_minus_zero_is_zero_and_nan_is_nothing():
    case = Case(sizes=(3, 2), corner="zero_preactivations", targets="half")
    assert lattice(Planted(times(-1)), case).verdict is Verdict.PASS
    spoilt = lattice(Planted(times(np.nan)), case)
    assert (spoilt.verdict, spoilt.reason) == (Verdict.FAIL, Reason.NONFINITE)


@pytest.mark.parametrize("tiny", [1e-300, 5e-324, -1e-12])
def test_a_zero_column_must_be_zero(tiny):
    def gradient(problem):
        (W1, b1), *rest = right(problem)
        W1[:, ~problem.inputs.any(axis=0)] += tiny
        return [(W1, b1), *rest]

    found = failures(gradient, "zero input column", "float64")
    assert len(found) == 4
    for outcome, case in zip(found, cases("zero input column", "float64"), strict=True):
        column = int(np.flatnonzero(~case.problem().inputs.any(axis=0))[0])
        assert outcome.discrepancies[0].name == f"W1[0,{column}]"
        assert outcome.discrepancies[0].engine == tiny


def clipped(problem):
    return with_problem(lambda p: replace(p, inputs=np.clip(p.inputs, -8, 8)))(problem)


def normalised(problem):
    X = problem.inputs
    size = np.abs(X).max()
    share = size / (size + X.dtype.type(1e-8))
    return with_problem(lambda p: replace(p, inputs=X * share))(problem)


def decayed(problem):
    (W1, b1), *rest = right(problem)
    return [(W1 + W1.dtype.type(1e-3) * problem.weights[0], b1), *rest]


def with_epsilon(problem):
    (W1, b1), *rest = right(problem)
    return [(W1 + np.sign(W1) * W1.dtype.type(2.0**-12), b1), *rest]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gradient", [clipped, decayed, with_epsilon])
def test_powers_of_two_show_what_depends_on_scale(gradient, dtype):
    found = failures(gradient, "powers of two", dtype)
    assert found
    assert all("W1 times 2^" in o.detail and "depends on the size" in o.diagnosis for o in found)


def test_powers_of_two_show_an_epsilon_below_the_rounding_bound_of_other_tests():
    assert failures(normalised, "powers of two", "float64")
    assert failures(normalised, "powers of two", "float32")


def test_a_clip_is_seen_only_by_scaling():
    case = Case(sizes=(3, 2, 1), batch=2)
    problem = case.problem()
    assert all(
        np.array_equal(a, b) for a, b in zip(right(problem)[0], clipped(problem)[0], strict=True)
    )
    assert powers_of_two(Planted(clipped), case).verdict is Verdict.FAIL


@pytest.mark.parametrize("dtype", DTYPES)
def test_division_by_m_minus_1_shows_in_the_duplicated_batch(dtype):
    def gradient(problem):
        m = problem.batch
        return times(m / max(m - 1, 1))(problem)

    assert failures(gradient, "duplicated batch", dtype)


# ----------------------------------------------------------------------------- when to keep quiet


def drifting(problem, calls=[0]):  # noqa: B006 - one counter for all calls is meant
    calls[0] += 1
    return times(1 + (calls[0] % 3) * 2.0**-30)(problem)


def test_an_engine_that_differs_from_itself_is_inconclusive_if_it_says_so():
    case = cases("powers of two", "float64")[0]
    honest = powers_of_two(Planted(drifting, deterministic=False), case)
    assert (honest.verdict, honest.reason) == (Verdict.INCONCLUSIVE, Reason.NONDETERMINISTIC)
    assert "different bits, as declared" in honest.detail
    claims_otherwise = powers_of_two(Planted(drifting), case)
    assert (claims_otherwise.verdict, claims_otherwise.reason) == (
        Verdict.FAIL,
        Reason.NONDETERMINISTIC,
    )


@pytest.mark.parametrize("shift", [8, -8])
@pytest.mark.parametrize("place", [0, 5, 6, -1])  # W1, and what follows it
@pytest.mark.parametrize(("size", "fails"), [(1.9, False), (-1.9, False), (2.1, True)])
def test_bits_that_change_from_call_to_call_are_held_to_rounding_scaled_as_w1_is(
    shift, place, size, fails
):
    problem, ask = Case(sizes=(3, 2, 1), batch=2).problem(), exact.Asked(Planted(right), None)
    g, R = ask(problem), gradient_bound(problem, "cancellation_free")
    expected = g.copy()
    for vector in (expected, R):
        vector[:6] = np.ldexp(vector[:6], -shift)
    found = expected.copy()
    found[place] += size * R[place]  # each of two answers has its rounding
    outcome = exact._in_any_order(ask, problem, shift, (g, found, expected))
    assert (outcome.verdict is Verdict.FAIL) is fails
    assert fails or outcome.notes == (exact.ANY_ORDER,)


def test_one_that_repeats_itself_is_judged_whatever_it_declares():
    case = cases("powers of two", "float64")[0]
    assert powers_of_two(Planted(right, deterministic=False), case).verdict is Verdict.PASS
    outcome = powers_of_two(Planted(clipped, deterministic=False), case)
    assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, Reason.MISMATCH)


def test_scaling_that_could_underflow_is_not_used():
    case = Case(sizes=(3, 2, 1), batch=2)
    problem = case.problem()
    assert safe_shift(problem, "") == 20
    assert safe_shift(problem.astype("float16"), "") == 0  # 2^22 tiny is 2^8
    assert 0 < safe_shift(Case(sizes=(3, 1), seed=1).problem().astype("float16"), "") < 20
    small = replace(problem, inputs=np.ldexp(problem.inputs, -900))
    assert 0 < safe_shift(small, "") < 20
    assert safe_shift(replace(problem, inputs=np.ldexp(problem.inputs, -910)), "") == 0
    large = replace(problem, inputs=np.ldexp(problem.inputs, 1015))
    weights = (np.ldexp(problem.weights[0], -1015), *problem.weights[1:])
    assert 0 < safe_shift(replace(large, weights=weights), "") < 8
    told = powers_of_two(Planted(right), replace(case, dtype="float16"))
    assert (told.verdict, told.reason) == (Verdict.INCONCLUSIVE, Reason.VACUOUS)
    assert "may underflow or overflow" in told.detail


@pytest.mark.parametrize(
    ("failed", "size", "is_rounding"),
    [
        ({"W1[0,0]", "W2[0,0]"}, 0.9, True),
        ({"W1[0,0]", "b2[0]"}, 0.9, True),
        ({"W2[0,0]", "W2[0,1]"}, -0.9, True),
        ({"W1[0,0]", "W2[0,0]"}, 1.1, False),  # more than rounding does
        ({"W1[0,0]", "W2[0,0]"}, -1.1, False),
        ({"W2[0,0]"}, 0.9, False),  # one alone
        ({"W1[0,0]", "b1[1]"}, 0.9, False),  # not where an error of sigma(0) enters
        (set(), 0.9, False),
    ],
)
def test_deviations_are_rounding_where_several_are_within_it_in_the_last_layer_too(
    failed, size, is_rounding
):
    problem = Case(sizes=(2, 2, 1), corner="zero_preactivations").problem()
    structure, bound = structure_of(problem.parameters), gradient_bound(problem, "absolute_sigmoid")
    wrong = np.array([structure.name(j) in failed for j in range(structure.size)])
    comparison = exact.bitwise(structure, size * bound * wrong, np.zeros(len(wrong)))
    assert int((comparison.kind == Kind.FAILED).sum()) == len(failed)
    assert exact._is_rounding(problem, comparison, "") is is_rounding
    if size > 1 and failed:  # one beyond it is enough
        comparison.engine[np.flatnonzero(wrong)[1:]] *= 0.5
        assert not exact._is_rounding(problem, comparison, "")


@pytest.mark.parametrize(
    ("x", "w", "least", "most", "k"),
    [
        (0, 0, 0, 0, 20),
        (1015, 0, -1000, -1000, 8),  # 2^1015 2^8 is finite
        (1016, 0, -1000, -1000, 3),
        (0, 1015, 0, 0, 8),
        (0, 1016, 0, 0, 3),
        (10, 0, 0, 1005, 8),
        (10, 0, 0, 1006, 3),
        (0, 0, 0, 1023, 0),
        (-1014, 0, 900, 0, 8),  # 2^-1014 2^-8 is normal
        (-1015, 0, 900, 0, 3),
        (0, -1014, 0, 0, 8),
        (0, -1015, 0, 0, 3),
        (-14, 0, -1000, 0, 8),
        (-15, 0, -1000, 0, 3),
    ],
)
def test_the_shift_keeps_inputs_weights_terms_and_sums_normal(x, w, least, most, k, monkeypatch):
    sizes = (np.array([2.0**e]) for e in (least, most))
    monkeypatch.setattr(exact, "_error_sizes", lambda *_: tuple(sizes))
    X, W = np.array([[2.0**x, 0.0]]), np.array([[0.0, -(2.0**w)]])
    problem = Problem(Architecture((2, 1)), (W,), (np.zeros(1),), X, np.ones((1, 1)))
    assert safe_shift(problem, "") == k


@pytest.mark.parametrize(
    ("reduction", "least", "k"),
    [("mean", -894, 20), ("mean", -895, 8), ("sum", -896, 20), ("sum", -897, 8)],
)
def test_the_terms_of_a_batch_stay_far_above_the_smallest_numbers(reduction, least, k, monkeypatch):
    """2^-894 / 4 2^-20 is 2^(2 53) times the smallest normal number, 2^-1022."""
    monkeypatch.setattr(exact, "_error_sizes", lambda *_: (np.full(4, 2.0**least), np.ones(4)))
    X, W = np.ones((4, 1)), np.ones((1, 1))
    architecture = Architecture((1, 1), reduction=reduction)
    problem = Problem(architecture, (W,), (np.zeros(1),), X, np.ones((4, 1)))
    assert safe_shift(problem, "") == k


def test_scaling_is_undone_by_its_inverse():
    problem = Case(sizes=(3, 2, 1), batch=2).problem()
    assert scaled(scaled(problem, 7), -7) == problem
    assert np.array_equal(scaled(problem, 3).weights[0], 8 * problem.weights[0])


@pytest.mark.parametrize(
    ("check", "case", "told"),
    [
        (lattice, Case(sizes=(2, 1)), "z1 is not 0 in all units"),
        (lattice, Case(sizes=(2, 1), batch=3, corner="zero_preactivations"), "power of two"),
        (lattice, Case(corner="zero_preactivations", dtype="longdouble"), "longdouble is not test"),
        (zero_column, Case(sizes=(2, 1)), "no input column is 0"),
        (duplicated_batch, Case(sizes=(2, 1), reduction="sum"), "the reduction is `sum`"),
        (duplicated_batch, Case(sizes=(2, 1), corner="stationary", targets="half"), "nothing to s"),
    ],
)
def test_a_case_that_cannot_be_used_is_inconclusive(check, case, told):
    outcome = check(Planted(right), case)
    assert (outcome.verdict, outcome.backward_passes) == (Verdict.INCONCLUSIVE, 0)
    assert told in outcome.detail


def test_an_answer_of_the_wrong_form_fails():
    case = Case(sizes=(3, 2, 1), corner="zero_preactivations")
    for gradient, reason in (
        (lambda p: [(W.T, b) for W, b in right(p)], Reason.SHAPE),
        (lambda p: right(p)[1:], Reason.SHAPE),
        (lambda p: [(W.astype(np.float32), b) for W, b in right(p)], Reason.DTYPE),
        (times(np.inf), Reason.NONFINITE),
    ):
        with np.errstate(invalid="ignore"):
            outcome = lattice(Planted(gradient), case)
        assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, reason)


# -------------------------------------------------------------------------- what an engine supports


def test_draws_keep_within_what_the_engine_supports():
    limits = {"max_depth": 2, "max_width": 3, "max_batch": 4, "targets": ("one_hot", "binary")}
    claims = {"dtypes": ("float32",), "losses": ("quadratic",), "limits": limits}
    seen = []

    def gradient(problem: Problem):
        seen.append(problem)
        return right(problem)

    found = exact_outcomes(Planted(gradient, **claims))
    assert {o.verdict for o in found} == {"PASS"}
    assert {o.name for o in found} == set(TESTS)
    assert {p.dtype.name for p in seen} == {"float32"}
    assert {p.architecture.loss for p in seen} == {"quadratic"}
    assert max(p.architecture.depth for p in seen) == 2
    assert max(max(p.architecture.sizes) for p in seen) == 3
    assert max(p.batch for p in seen) == 4


def test_the_draws_are_spread():
    drawn = [case for dtype in DTYPES for case in cases("lattice", dtype)]
    assert {case.batch for case in drawn} >= {1, 2, 4, 8, 16}
    assert {len(case.sizes) - 1 for case in drawn} >= {1, 2, 3, 4}
    assert {(case.loss, case.reduction) for case in drawn} == {
        (loss, reduction) for loss in LOSSES for reduction in REDUCTIONS
    }
    assert max(max(case.sizes) for case in drawn) > 30
    for dtype in DTYPES:
        sizes = [case.sizes for case in cases("lattice", dtype)]
        assert sum(len(s) > 2 and s[1] == s[2] > 1 for s in sizes) >= 2
        answers = [right(case.problem()) for case in cases("lattice", dtype)]
        assert all(any(b.any() for _, b in some(answer)) for answer in some(answers))


def test_every_dtype_but_float16_gets_errors_longer_than_the_next_narrower_dtype():
    for dtype, bits in (("float32", 11), ("float64", 24)):
        longest = [lattice_gradient(c.problem()).longest() for c in cases("lattice", dtype)]
        assert sum(n > bits for n in longest) >= 4


@pytest.mark.parametrize(
    ("limits", "is_within"),
    [
        ({}, True),
        ({"max_depth": 3, "max_width": 5, "max_parameters": 3 * 5 + 5 + 5 * 5 + 5 + 5 + 1}, True),
        ({"max_depth": 2}, False),
        ({"max_width": 4}, False),
        ({"max_parameters": 3 * 5 + 5 + 5 * 5 + 5 + 5}, False),
        ({"targets": ["soft", "ones"]}, True),
        ({"targets": ["ones"]}, False),
    ],
)
def test_a_deepened_case_is_within_the_limits_of_the_engine(limits, is_within):
    assert exact._is_within(Case(sizes=(3, 5, 5, 1), targets="soft"), limits) is is_within


@pytest.mark.parametrize(
    ("own", "found", "twice"),
    [
        ({}, (4, 40, 40, 31, 4000), 4),
        (dict.fromkeys(NAMES, 10**6), (4, 40, 40, 31, 4000), 8),
        (dict.fromkeys(NAMES, 9), (4, 9, 9, 9, 9), 4),
        (dict.fromkeys(NAMES, 2), (2, 2, 2, 2, 2), 1),
    ],
)
def test_what_is_drawn_is_within_the_limits_of_the_test_and_of_the_engine(own, found, twice):
    limits = TESTS["lattice"].limits(replace(INFO, limits=own), "float32")
    assert tuple(limits[name] for name in NAMES) == found
    most = TESTS["lattice"].limits(replace(INFO, limits=own), "float16")["max_parameters"]
    assert most == min(60, own.get("max_parameters", 60))
    doubled = TESTS["duplicated batch"].limits(replace(INFO, limits=own), "float32")
    assert (doubled["max_batch"], doubled["reductions"]) == (twice, ["mean"])


def test_float16_gets_none_though_a_deeper_problem_would_be_usable():
    case = Case(sizes=(2, 1), corner="zero_preactivations", weight_scale=0.1, dtype="float16")
    drawn = [replace(case, seed=seed) for seed in range(9)]
    lattices = TESTS["lattice"]
    assert any(not lattices.obstacle(exact._deepened(c, 2, 4).problem(), "") for c in drawn)
    assert not any(lattices._long_cases(iter([c]), INFO, "float16") for c in drawn)


def test_what_cannot_be_tested_is_said():
    engine = Planted(right, dtypes=("longdouble", "float32"), reductions=("sum",))
    untested = [o for o in exact_outcomes(engine) if not o.token]
    assert [(o.name, o.dtype) for o in untested] == [
        *((name, "longdouble") for name in list(TESTS)[:3]),
        ("duplicated batch", "longdouble"),
        ("duplicated batch", "float32"),
    ]
    assert {o.verdict for o in untested} == {"INCONCLUSIVE"}
    assert "none of the reductions that the test needs" in untested[-1].outcome.detail
    wants_no_lattice = replace(INFO, limits={"corners": ("generic",)})
    with pytest.raises(ValueError, match="none of the corners that the test needs"):
        TESTS["lattice"].cases(wants_no_lattice, "float32", 0)
    with pytest.raises(ValueError, match="max_batch=0"):
        TESTS["duplicated batch"].cases(replace(INFO, limits={"max_batch": 1}), "float32", 0)


def test_an_unknown_arithmetic_is_refused_by_name():
    engine = Planted(right, arithmetic="fast")
    with pytest.raises(ValueError, match="arithmetic='fast'"):
        exact_outcomes(engine)
    with pytest.raises(ValueError, match="arithmetic='fast'"):
        lattice(engine, cases("lattice", "float32")[0])


def test_what_the_engine_raises_is_not_swallowed():
    def gradient(problem):
        raise ValueError("out of luck")

    with pytest.raises(ValueError, match="out of luck"):
        exact_outcomes(Planted(gradient))


def test_a_refused_problem_is_counted():
    def gradient(problem):
        if problem.architecture.depth > 1:
            raise Unsupported("one layer only")
        return right(problem)

    found = exact_outcomes(Planted(gradient, dtypes=("float32",)))
    refused = [o for o in found if o.verdict == "UNSUPPORTED"]
    assert 0 < len(refused) < len(found)
    assert {o.refusal for o in refused} == {"one layer only"}


def test_a_token_replays_its_outcome():
    engine = Planted(with_decay, dtypes=("float64",))
    failed = [o for o in exact_outcomes(engine) if o.verdict == "FAIL"]
    assert {o.name for o in failed} == {"lattice", "zero input column", "powers of two"}
    for o in some(failed):
        again = TESTS[o.name].check(engine, parse(o.token))
        assert str(again) == str(o.outcome)


def test_the_same_seed_draws_the_same_cases():
    test = TESTS["lattice"]
    assert test.cases(INFO, "float32", 3) == test.cases(INFO, "float32", 3)
    assert test.cases(INFO, "float32", 3) != test.cases(INFO, "float32", 4)


def bfloat16(x):
    """Round float32 to 8 significant bits, to nearest, ties to even."""
    bits = np.ascontiguousarray(x).view(np.uint32)
    kept = bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))
    return (kept & np.uint32(0xFFFF0000)).view(np.float32)


def test_an_engine_with_rounded_inputs_of_products_is_held_to_its_own_bits():
    def gradient(problem):
        return backprop(problem, rounded=bfloat16)

    declared = Planted(gradient, dtypes=("float32",), arithmetic="bfloat16")
    drawn = TESTS["lattice"].cases(declared.info, "float32", 0)
    assert {lattice(declared, case).verdict for case in drawn} == {Verdict.PASS}
    assert failures(gradient, "lattice", "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_input_of_0_may_be_scaled_by_any_power_of_two(dtype):
    W, X = np.array([[0.5, -0.25]], dtype), np.array([[1.0, 0.0], [0.0, -2.0]], dtype)
    Y = np.ones((2, 1), dtype)
    problem = Problem(Architecture((2, 1)), (W,), (np.zeros(1, dtype),), X, Y)
    assert safe_shift(problem, "cancellation_free") == 20
    weights = (np.array([[0.5, 0.0]], dtype),)
    assert safe_shift(replace(problem, weights=weights), "cancellation_free") == 20


@pytest.mark.parametrize(
    ("sizes", "square", "adapted"),
    [
        ((3, 5, 7), True, (3, 4, 4)),  # outputs, a power of two, are the width
        ((3, 5, 7), False, (3, 5, 4)),
        ((3, 5, 6, 7), True, (3, 5, 5, 4)),
        ((3, 1, 6, 7), True, (3, 1, 6, 4)),  # nothing to make square
        ((5, 7), True, (5, 4)),
    ],
)
def test_cases_are_adapted_without_growing(sizes, square, adapted):
    found = exact._adapted(Case(sizes=sizes, batch=7, weight_scale=9.0), square=square)
    assert (found.sizes, found.batch, found.weight_scale) == (adapted, 4, 3.0)


@pytest.mark.parametrize("sizes", [(3, 7), (3, 2, 7), (3, 2, 2, 7)])
def test_a_deepened_case_keeps_its_inputs_and_outputs(sizes):
    found = exact._deepened(Case(sizes=sizes, batch=7, targets="ones"), 4, 9)
    assert (found.sizes, found.batch, found.targets) == ((3, 9, 9, 9, 4), 4, "soft")
