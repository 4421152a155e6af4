"""Four ways on one network: what backprop gets wrong each of them says, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from some import some

from gradcheck.studies.report.million import plain_passes, tables, ways
from gradcheck.studies.report.million import subject as subjects
from gradcheck.studies.report.million.measure import measure
from gradcheck.studies.report.million.subject import Subject
from gradcheck.studies.report.network import Network
from gradcheck.studies.report.settings import Settings

SIZES = (20, 30, 1)
N = 661
SETTINGS = Settings(hidden=(2, 3, 4, 6))
"""Networks of at most 145 weights, which are run to the end."""
WHOLE = replace(SETTINGS, run_the_million=True)
WAYS = {
    "plain": lambda gradient: ways.plain(SIZES, WHOLE, gradient),
    "layered": lambda gradient: ways.layered(Subject(SIZES, 8, 1, gradient)),
    "certified": lambda gradient: ways.certified(Subject(SIZES, 8, 1, gradient)),
    "directional": lambda gradient: ways.directional(Subject(SIZES, 8, 1, gradient)),
}


def off_by(relative, name="b1", place=7):
    """Backprop with one entry that is wrong by a relative error, or by all but nothing."""

    def gradient(network, parameters):
        found = {k: g.copy() for k, g in Network.gradient(network, parameters).items()}
        found[name].reshape(-1)[place] *= 1 + relative
        return found

    return gradient


@pytest.fixture(scope="module", autouse=True)
def _small_models():
    """Networks of few weights are good enough to foretell larger ones from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_passes, "FEWEST", 0)
        yield


@pytest.fixture(scope="module")
def rows():
    return {way: run(Network.gradient) for way, run in WAYS.items()}


def test_every_way_finds_backprop_right_and_names_the_planted_error(rows):
    for row in some(rows.values()):
        assert row.results["holds"]
        assert row.results["named"] == ["W1[9,15]"] == [row.results["planted"]]
        assert row.results["N"] == N
        assert row.timings["seconds"] > 0


@pytest.mark.parametrize(
    ("way", "relative"),
    [("plain", 1e-3), ("layered", 1e-10), ("certified", 1e-10), ("directional", 1e-3)],
)
def test_one_entry_of_backprop_wrong_by_little_is_seen(way, relative):
    row = WAYS[way](off_by(relative))
    assert not row.results["holds"]
    if way == "directional":
        assert set(row.results["named"]) == {"b1[7]", row.results["planted"]}
    else:
        assert row.measured["deviation"] > 1
        assert "b1[7]" in row.results["named"]


@pytest.mark.parametrize("way", ["plain", "layered", "certified"])
def test_what_is_called_the_smallest_error_seen_is_about_that(way, rows):
    """An error of twice the worst allowance is beyond it; a thousandth of the median is not."""
    seen = rows[way].measured["resolution"]
    assert 0 < seen["median"] <= seen["worst"] < 1e-3
    unit = Subject(SIZES, 1 if way == "plain" else 8, 1).unit

    def moved(by):
        def gradient(network, parameters):
            found = {k: g.copy() for k, g in Network.gradient(network, parameters).items()}
            found["W1"][3, 4] += by * unit
            return found

        return WAYS[way](gradient)

    assert not moved(2.1 * seen["worst"]).results["holds"]
    assert moved(1e-3 * seen["median"]).results["holds"]


def test_an_error_too_small_to_be_named_is_not_claimed(monkeypatch):
    monkeypatch.setattr(subjects, "PLANTED", 1e-16)
    for run in WAYS.values():
        row = run(Network.gradient)
        assert row.results["named"] == []
        assert not row.results["holds"]


def test_passes_are_counted_by_wrapping_what_is_called(rows, monkeypatch):
    assert rows["plain"].results["forward_passes"] == N + 1
    assert rows["layered"].results["differences"] == 2 * N
    assert rows["certified"].results["forward_passes"] == 3
    assert rows["directional"].measured["forward_passes"] < 200
    right = ways.check_gradient

    def uncounted(loss, gradient, x, **options):
        loss(x)
        return right(loss, gradient, x, **options)

    monkeypatch.setattr(ways, "check_gradient", uncounted)
    assert not WAYS["directional"](Network.gradient).results["holds"]


def test_a_wrong_oracle_is_seen(monkeypatch):
    right = ways.layered_differences

    def wrong(problem, **options):
        estimate = right(problem, **options)
        estimate.value[5] *= 1 + 1e-9
        return estimate

    monkeypatch.setattr(ways, "layered_differences", wrong)
    row = WAYS["layered"](Network.gradient)
    assert row.measured["deviation"] > 1
    assert not row.results["holds"]


def test_a_derivative_that_is_not_there_is_not_passed(monkeypatch):
    right = ways.layered_differences

    def hole(problem, **options):
        estimate = right(problem, **options)
        estimate.value[5] = np.nan
        return estimate

    monkeypatch.setattr(ways, "layered_differences", hole)
    assert not WAYS["layered"](Network.gradient).results["holds"]


def test_the_single_example_is_the_first_of_the_batch():
    one, eight = Subject(SIZES, 1, 1), Subject(SIZES, 8, 1)
    np.testing.assert_array_equal(one.network.X[0], eight.network.X[0])
    np.testing.assert_array_equal(one.network.Y[0], eight.network.Y[0])
    for name, array in some(one.network.parameters.items()):
        np.testing.assert_array_equal(array, eight.network.parameters[name])
        np.testing.assert_array_equal(array, one.problem.parameters[name])
    assert one.at == eight.at


def test_the_wrong_gradient_is_wrong_in_one_entry():
    subject = Subject(SIZES, 8, 1)
    parameters = subject.network.parameters
    off = subject.wrong(parameters) - subject.right(parameters)
    assert np.flatnonzero(off).tolist() == [subject.at]
    assert off[subject.at] == pytest.approx(subjects.PLANTED * subject.unit, rel=1e-9)
    np.testing.assert_array_equal(subject.right(parameters), subject.g)


def test_memory_is_what_the_oracle_holds(monkeypatch):
    subject = Subject(SIZES, 8, 1)
    usual = ways.memory_of_layered(subject)
    assert 41 * N < usual < 2**20
    right = ways.layered_differences

    def greedy(problem, **options):
        block = np.ones(2**18)
        return right(problem, **options), block

    monkeypatch.setattr(ways, "layered_differences", greedy)
    assert ways.memory_of_layered(subject) > usual + 2**20


# --- the section ----------------------------------------------------------------------------------

SMALL = replace(SETTINGS, million_network=SIZES, deep_network=(7, 6, 5, 1))


@pytest.fixture(scope="module")
def section():
    return measure(SMALL).to_json()


def test_the_section_samples_the_passes_and_does_the_rest(section):
    plain, layered, certified, directional, deep = tables.rows(section)
    assert (plain["batch"], layered["batch"]) == (1, 8)
    assert (plain["whole"], plain["named"]) == (False, None)
    assert plain["low"] < plain["seconds"] < plain["high"]
    assert 0 < layered["memory"] < 2**20
    assert certified["verdict"] == "PASS"
    assert directional["verdict"] == "FAIL"
    assert deep["sizes"] == [7, 6, 5, 1]
    assert all(row["holds"] for row in some(section["results"]["rows"]))
    assert section["results"]["memory_kept"]


def test_with_the_million_every_pass_is_run():
    section = measure(replace(WHOLE, million_network=SIZES)).to_json()
    plain, *others = tables.rows(section)
    assert (plain["whole"], plain["forward_passes"]) == (True, N + 1)
    assert len(others) == 3
    assert "662 |" in tables.ways(section)
    assert plain["low"] < plain["high"]  # as they were foretold
    assert "*" not in tables.duration(plain)


def test_memory_beyond_the_limit_is_said(monkeypatch):
    monkeypatch.setattr("gradcheck.studies.report.million.measure.MEMORY", 1000)
    assert not measure(SMALL).results["memory_kept"]


def test_the_table_tells_what_was_named_and_what_was_not(section):
    table = tables.ways(section)
    assert table.count("W1[9,15] named") == 3
    assert "*662* (662 run)" in table  # of so few all are drawn
    assert "1,322 in part, the work of 16" in table
    results = section["results"]["rows"][1]
    for named, told in (
        (["b1[7]"], "**named: b1[7]** (1)"),
        ([], "**named: nothing** (0)"),
        (["b1[7]", "W1[9,15]"], "**named: b1[7], W1[9,15]** (2)"),
    ):
        altered = {**results, "named": named, "wrong": len(named)}
        assert tables.found(altered) == told


def test_a_second_run_gives_the_same_numbers_times_apart(section):
    again = measure(SMALL).to_json()
    assert (again["results"], again["measured"]) == (section["results"], section["measured"])
