"""Case tokens: one spelling, the same bits for ever; the sampler reaches every stratum."""

import hashlib
from collections import Counter
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.problems.case import (
    Case,
    largest_preactivation,
    load,
    missing_strata,
    parse,
    read_case,
    sample_cases,
    strata_of,
    write_case,
)
from gradcheck.problems.corners import CORNERS, TARGETS
from gradcheck.problems.strata import STRATA, WEIGHT_SCALES
from gradcheck.problems.strategies import cases

SMALLEST = "gc1:1-1:cross_entropy:mean:m1:float64:w1:generic:binary:s0"


def digest(problem):
    """SHA-256 of all arrays in the order W1, b1, ..., inputs, targets, little-endian float64."""
    arrays = (*problem.parameters.values(), problem.inputs, problem.targets)
    return hashlib.sha256(b"".join(array.astype("<f8").tobytes() for array in arrays)).hexdigest()


# These never change: a token stands for the same bits for ever.
PINNED = {
    "gc1:1-1:cross_entropy:mean:m1:float64:w1:generic:binary:s0": (
        "995a0a9f9cc116324db5dcfcfbd516fbacef823aa2f504ea894c236c719a939b"
    ),
    "gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:binary:s0": (
        "feabf9fb08077378eb493b6ca8a0aeabfd56d8888344fdeb070263a70b1d8e18"
    ),
    "gc1:20-30-10-1:cross_entropy:mean:m16:float32:w10:generic:soft:s1": (
        "a848411b6889c078161326148fa3c0ff5fe63a9ab81594121359c58cd67fa8b1"
    ),
    "gc1:30-1:cross_entropy:sum:m64:float64:w0.1:zero_weights:binary:s2": (
        "a710f45e2e5cdec18c97646491167e8da39e76f3890577cf688d5874b19fd657"
    ),
    "gc1:5-7-3:quadratic:sum:m7:float64:w0.3:zero_last_layer:one_hot:s3": (
        "556531be909ab644bbd7cd525202dfcdae49c0c4073a57b812f421458a68c58a"
    ),
    "gc1:7-5-6-3:quadratic:mean:m8:float32:w1:zero_preactivations:zeros:s4": (
        "981d1c2aabf74d71cdb5744e396b4e70d179a1bb632064dbe4b0c2050fd88f72"
    ),
    "gc1:4-1:cross_entropy:mean:m1:float64:w1:zero_preactivations:ones:s5": (
        "7e46480af21574542f380777d05d3bf1b129b754b7f584c0b02b8aa0c027e298"
    ),
    "gc1:2-9-16-2:cross_entropy:sum:m3:float64:w30:stationary:half:s6": (
        "07f950e8169b46ef77f0870c125e9b04db81f8fb1e37a3c78f05d2e3849c0147"
    ),
    "gc1:8-1:quadratic:mean:m9:float64:w3:constant_feature:ones:s7": (
        "de021d3490aadd084885a60dffd789b7ee98a8d4cca39c3073a0ea718efefd02"
    ),
    "gc1:6-1-17-2:cross_entropy:mean:m4:float32:w100:zero_feature:soft:s4294967295": (
        "2418de4b7cc3d9419baa03b774ebea253db8aa7918df26855964439237463559"
    ),
    # The deepest network and the largest seed of a token.
    "gc1:3-3-3-3-3-3-3-3-3:quadratic:sum:m5:float64:w300:duplicated_examples:binary:s18446744073709551615": (  # noqa: E501  one token
        "d8edd587dbb97f9ae4aac76a3785b5e39390424bc199e3db66add914267f3d5d"
    ),
    "gc1:200-6-1:cross_entropy:mean:m2:longdouble:w300:saturated:zeros:s8": (
        "9911e30cea2d440ab4fd66aeddd5a43890575a63ca5d145c5f9afbb159c720c0"
    ),
    "gc1:5-4-3-2:quadratic:sum:m6:float16:w1:saturated:soft:s9": (
        "63e6580e423e70a4986b2bd0b39d6f94ba5300259dd43d0b2f60030bf4b33c80"
    ),
}


@pytest.mark.parametrize("token", PINNED)
def test_a_token_stands_for_the_same_bits_for_ever(token):
    assert digest(parse(token).problem()) == PINNED[token]


def test_the_pinned_tokens_reach_every_corner_and_kind_of_targets():
    pinned = [parse(token) for token in PINNED]
    assert {case.corner for case in pinned} == set(CORNERS)
    assert {case.targets for case in pinned} == set(TARGETS)


def test_a_pinned_number_read_by_eye():
    # W1[0,0] = scale N / sqrt(n_0) with the first number of the stream "W1".
    problem = parse("gc1:4-1:cross_entropy:mean:m1:float64:w1:generic:binary:s0").problem()
    assert problem.weights[0].tolist() == [
        [0.2808380126953125, -0.2369232177734375, -0.35349273681640625, 0.6723861694335938]
    ]


# --- tokens -------------------------------------------------------------------------------------


@given(cases(dtypes=("float64", "float32", "float16", "longdouble")))
def test_a_token_reads_back_to_its_case(case):
    assert parse(case.token) == case
    assert parse(case.token).token == case.token


@given(st.floats(1e-6, 1e6))
def test_any_weight_scale_survives_the_token(scale):
    case = Case(weight_scale=scale)
    assert parse(case.token).weight_scale == scale


def test_the_smallest_case_is_the_default():
    assert Case().token == SMALLEST
    assert parse(SMALLEST) == Case()


OTHER_VALUES = {
    "sizes": (1, 2, 1),
    "loss": "quadratic",
    "reduction": "sum",
    "batch": 2,
    "dtype": "float32",
    "weight_scale": 0.3,
    "corner": "zero_feature",
    "targets": "soft",
    "seed": 1,
}


@pytest.mark.parametrize("field", [field.name for field in fields(Case)])
def test_every_field_is_in_the_token(field):
    changed = replace(Case(), **{field: OTHER_VALUES[field]})
    assert changed.token != SMALLEST
    assert parse(changed.token) == changed


def test_a_case_is_a_value():
    case = Case(sizes=[2, 1], weight_scale=3)
    assert case == Case(sizes=(2, 1), weight_scale=3.0)
    assert hash(case) == hash(Case(sizes=(2, 1), weight_scale=3.0))
    with pytest.raises(FrozenInstanceError):
        case.seed = 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gc1", "gc2", "version is 'gc2'; only gc1 can be read"),
        ("gc1", "", "version is ''"),
        (":s0", "", "has 9 fields; it must have 10: version:sizes:loss"),
        (":s0", ":s0:", "has 11 fields"),
        ("1-1", "1", "sizes is '1'; it must be whole numbers, as 3-4-1"),
        ("1-1", "0-1", "sizes is '0-1'"),
        ("1-1", "1-1-", "sizes is '1-1-'"),
        ("1-1", "1--1", "sizes is '1--1'"),
        ("1-1", "01-1", "sizes is '01-1'"),
        ("1-1", "1.5-1", "sizes is '1.5-1'"),
        ("1-1", "\u0661-1", "sizes is"),
        ("cross_entropy", "hinge", "loss='hinge'; it must be one of cross_entropy, quadratic"),
        ("mean", "max", "reduction='max'; it must be one of mean, sum"),
        ("m1", "1", "batch is '1'; it must be m and a whole number"),
        ("m1", "m0", "batch=0; it must be at least 1"),
        ("m1", "m-1", "batch is 'm-1'"),
        ("m1", "m1.0", "batch is 'm1.0'"),
        ("float64", "float8", "dtype='float8'; it must be one of float64, float32"),
        ("w1", "1", "weight scale is '1'; it must be w and a decimal"),
        ("w1", "wnan", "weight scale is 'wnan'"),
        ("w1", "w1.2.3", "weight scale is 'w1.2.3'"),
        ("w1", "w0", "weight_scale=0.0; it must be in 1e-6..1e6"),
        ("w1", "w-1", "weight scale is 'w-1'"),
        ("w1", "w1e+99", "weight_scale=1e.99; it must be in"),
        ("w1", "w1.0", "write 'gc1:1-1:cross_entropy:mean:m1:float64:w1:generic:binary:s0'"),
        ("w1", "w0.30", "write .*:w0.3:"),
        ("generic", "cursed", "corner='cursed'; it must be one of generic, zero_weights"),
        ("generic", "stationary", "corner='stationary' needs targets='half'"),
        ("generic", "duplicated_examples", "batch=1; it must be at least 2 with corner='dup"),
        ("binary", "odd", "targets='odd'; it must be one of binary, zeros"),
        ("binary", "one_hot", "targets='one_hot' needs at least 2 outputs"),
        ("s0", "s-1", "seed is 's-1'; it must be s and a whole number"),
        ("s0", "s00", "seed is 's00'"),
        ("s0", "s18446744073709551616", "seed=18446744073709551616; it must be in 0"),
        ("s0", "s0\n", "seed is"),
    ],
)
def test_a_bad_token_is_refused_naming_the_field(old, new, message):
    bad = SMALLEST.replace(old, new, 1)
    assert bad != SMALLEST
    with pytest.raises(ValueError, match=message) as refusal:
        parse(bad)
    assert repr(bad) in str(refusal.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("batch", True, "batch=True; it must be a whole number"),
        ("batch", 2.0, "batch=2.0"),
        ("seed", "0", "seed='0'; it must be a whole number"),
        ("weight_scale", "1", "weight_scale='1'; it must be a number"),
        ("weight_scale", True, "weight_scale=True"),
        ("sizes", 3, "sizes=3"),
        ("corner", 1, "corner=1; it must be one of"),
    ],
)
def test_a_field_of_the_wrong_type_is_refused(field, value, message):
    with pytest.raises(TypeError, match=message):
        Case(**{field: value})


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 0.0, -1.0, 1e7])
def test_weight_scales_out_of_range_are_refused(scale):
    with pytest.raises(ValueError, match=r"weight_scale=.* must be in 1e-6..1e6"):
        Case(weight_scale=scale)


def test_problems_of_two_dtypes_differ_though_their_numbers_do_not():
    single, double = Case(dtype="float32").problem(), Case(dtype="float64").problem()
    assert single.weights[0] == double.weights[0]
    assert single != double
    assert single.astype("float64") == double


def test_seeds_make_different_problems():
    seeds = [0, 1, 2**32, 2**64 - 1]
    built = [Case(sizes=(3, 2), seed=seed).problem() for seed in seeds]
    for position, problem in enumerate(built):
        assert problem not in built[:position]


# --- load ---------------------------------------------------------------------------------------


def test_load_takes_a_token_or_a_file(tmp_path):
    case = Case(sizes=(2, 3, 1), batch=3)
    path = tmp_path / "problem.json"
    write_case(path, case.problem())
    assert load(case.token) == load(path) == load(str(path)) == read_case(path) == case.problem()


def test_load_says_what_it_takes(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither a case token \(gc1:...\) nor a file"):
        load(str(tmp_path / "absent.json"))
    with pytest.raises(ValueError, match="version is 'gc7'"):
        load("gc7:1-1")


# --- sampling -----------------------------------------------------------------------------------


def test_the_sampler_repeats_itself():
    first = [case.token for case in sample_cases(50, 3)]
    assert first == [case.token for case in sample_cases(50, 3)]
    assert first[:20] == [case.token for case in sample_cases(20, 3)]
    assert first != [case.token for case in sample_cases(50, 4)]
    assert len(set(first)) == 50


def test_the_sampler_draws_the_same_cases_on_every_machine():
    assert [case.token for case in sample_cases(3, 0)] == [
        "gc1:6-5-1:quadratic:mean:m5:float32:w10:generic:ones:s1525127913",
        "gc1:200-1:cross_entropy:sum:m3:float64:w300:zero_weights:zeros:s3589935442",
        "gc1:16-7:quadratic:sum:m6:float64:w0.1:generic:binary:s2282538388",
    ]


@pytest.mark.parametrize("seed", range(5))
def test_samples_reach_every_stratum(seed):
    assert missing_strata(list(sample_cases(200, seed))) == []


@pytest.fixture(scope="module")
def sampled():
    """Cases that reach every stratum."""
    return list(sample_cases(400, 0))


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in STRATA.items() for value in values]
)
def test_a_stratum_left_out_is_noticed(kind, value, sampled):
    crippled = [case for case in sampled if strata_of(case)[kind] != value]
    assert (kind, value) in missing_strata(crippled)
    # Stationary points have targets of 1/2: without the one, the other is missing too.
    assert set(missing_strata(crippled)) <= {(kind, value), ("corner", "stationary")}


def test_samples_spread_evenly_over_the_strata_dealt_directly():
    drawn = [strata_of(case) for case in sample_cases(320, 1)]
    for kind, values in (("loss", 2), ("reduction", 2), ("dtype", 2), ("scale", 8)):
        assert set(Counter(strata[kind] for strata in drawn).values()) == {320 // values}
    corners = Counter(strata["corner"] for strata in drawn)
    assert corners.pop("generic") == 160
    assert set(corners.values()) == {20}


def test_samples_meet_awkward_pairs():
    drawn = list(sample_cases(2000, 0))
    logistic = [c for c in drawn if len(c.sizes) == 2 and c.sizes[1] == 1]
    assert {c.corner for c in logistic} == set(CORNERS)
    for corner in CORNERS:
        scales = {case.weight_scale for case in drawn if case.corner == corner}
        assert scales == set(WEIGHT_SCALES)
    assert any(case.sizes[-1] >= 7 for case in drawn)
    assert any(1 in case.sizes[1:-1] and max(case.sizes) > 6 for case in drawn)
    assert {len(case.sizes) - 1 for case in drawn} == set(range(1, 9))
    assert {case.batch for case in drawn} == set(range(1, 65))
    assert {n for case in drawn for n in case.sizes} >= {*range(1, 41), 200}


def test_sampled_networks_are_mostly_small():
    # A finite-difference check takes about 10 N forward passes.
    n = np.array([case.architecture.n_parameters for case in sample_cases(2000, 0)])
    assert 50 <= np.median(n) <= 150
    assert np.mean(n <= 1500) >= 0.95
    assert n.max() <= 5000


def test_cases_beyond_a_preactivation_are_drawn_anew():
    within = list(sample_cases(40, 7, max_preactivation=5.0, max_parameters=60))
    assert all(largest_preactivation(case.problem()) <= 5 for case in within)
    assert any(largest_preactivation(case.problem()) > 2 for case in within)


def test_a_preactivation_that_no_case_keeps_to_is_said(monkeypatch):
    monkeypatch.setattr("gradcheck.problems.case.REDRAWN", 5)
    with pytest.raises(ValueError, match="max_preactivation=1: none of 5 cases is within it"):
        list(sample_cases(40, 7, max_preactivation=1.0, corners=["saturated"]))


def test_samples_keep_to_their_limits():
    limits = {"dtypes": ("float32",), "losses": ("quadratic",), "targets": ("zeros", "one_hot")}
    bounds = {"max_depth": 3, "max_width": 9, "max_outputs": 3, "max_batch": 4}
    drawn = list(sample_cases(200, 0, max_parameters=40, **limits, **bounds))
    for case in drawn:
        assert case.dtype == "float32"
        assert case.loss == "quadratic"
        assert case.targets in limits["targets"]
        assert case.corner != "stationary"
        assert len(case.sizes) <= 4
        assert max(case.sizes) <= 9
        assert case.sizes[-1] <= 3
        assert case.batch <= 4
        assert case.architecture.n_parameters <= 40
    assert {case.targets for case in drawn} == {"zeros", "one_hot"}
    assert max(len(case.sizes) for case in drawn) == 4


@pytest.mark.parametrize("count", [-1, 1.5, True])
def test_a_bad_count_is_refused_at_once(count):
    with pytest.raises((TypeError, ValueError), match="count="):
        sample_cases(count, 0)


def test_strata_name_what_lies_outside_the_tables_too():
    case = Case(sizes=(1,) * 12, batch=100, dtype="float16", weight_scale=2.5)
    strata = strata_of(case)
    assert list(strata) == list(STRATA)
    assert (strata["depth"], strata["batch"], strata["scale"]) == ("9-", "65-", "2.5")


@pytest.mark.parametrize(
    ("sizes", "batch", "told"),
    [
        ((1,) * 1002, 1, "sizes name 1,001 layers; at most 1,000 are built"),
        ((4000, 4000), 1, "a case of 16,012,000 parameters and activations; at most 10,000,000"),
        ((1, 1), 10**7, "a case of 20,000,002 parameters and activations"),
    ],
)
def test_a_case_that_is_too_large_to_be_built_is_refused(sizes, batch, told):
    with pytest.raises(ValueError, match=told):
        Case(sizes=sizes, batch=batch)
    Case(sizes=(1,) * 1001)
