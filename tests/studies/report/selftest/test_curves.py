"""Detection power: curves of checkers whose power is known."""

import pytest
from stand_ins import BLIND, BROKEN, EAGER, IDEAL, SHRUGS, checker

from gradcheck.studies.report.selftest import planted
from gradcheck.studies.report.selftest.checkers import OWN, Answer
from gradcheck.studies.report.selftest.curves import curve, measure, rows, smallest_caught
from gradcheck.studies.report.selftest.extent import Extent
from gradcheck.studies.report.selftest.planted import SETTINGS, SIZES, Question, Setting, Walk, walk

SMALL = Setting("small", sizes=(2, 3, 1))
EXTENT = Extent(networks=6, jobs=1)


def measured(one, setting=SMALL):
    return measure([one], EXTENT, [setting])[0]


def test_who_passes_everything_has_no_power():
    found = measured(BLIND)
    assert found["caught"] == [0] * 15
    assert found["right"]["accused"] == 0
    assert found["most"] is None


def test_who_fails_everything_has_no_power_either_and_accuses_all():
    for one in (EAGER, BROKEN):
        found = measured(one)
        assert found["caught"] == [0] * 15
        assert found["right"]["accused"] == 6
        assert found["right"]["limits"][1] == 1.0


def test_who_decides_nothing_has_caught_nothing_and_accused_nobody():
    found = measured(SHRUGS)
    assert found["caught"] == [0] * 15
    assert found["undecided"][:3] == [6, 6, 0]  # the walk has ended
    assert found["right"] == {"accused": 0, "undecided": 6, "limits": found["right"]["limits"]}


@pytest.mark.parametrize("scale", [1.0, 2.0**-20, 2.0**20])
def test_a_threshold_gives_a_step(scale):
    found = measured(IDEAL, Setting("small", sizes=(2, 3, 1), loss_scale=scale))
    assert found["caught"] == [6] * 6 + [0] * 9
    assert found["half"] == found["most"] == 1e-5


def test_in_float32_errors_end_where_rounding_hides_them():
    assert measured(BLIND, Setting("single", sizes=(2, 3, 1), dtype="float32"))["sizes"] == [
        pytest.approx(10.0**-k) for k in range(8)
    ]


def test_our_own_checks_see_what_they_say_and_accuse_nobody():
    least = {"agreement": 1e-11, "every coordinate": 1e-6, "directional": 1e-5}
    for one in OWN:
        found = measure([one], Extent(networks=2, jobs=1), [SMALL])[0]
        assert found["half"] <= least[one.name]
        assert found["right"]["accused"] == 0


def test_walks_in_other_processes_are_the_same():
    alone = measure([IDEAL, BLIND], EXTENT, [SMALL])
    together = measure([IDEAL, BLIND], Extent(networks=6, jobs=2), [SMALL])
    assert alone == together


def test_a_walk_goes_on_until_two_sizes_in_a_row_pass():
    seen = []

    def misses_the_second(box):
        seen.append(getattr(box.engine, "relative", 0.0))
        return Answer.WRONG if len(seen) in (2, 4) else Answer.PASSED

    walked = walk(Question(checker("odd", misses_the_second), SMALL, 0, 0))
    assert seen == [0.0, *SIZES[:5]]
    assert [r for r, a in walked.answers.items() if a is Answer.WRONG] == [SIZES[0], SIZES[2]]


def test_the_error_is_planted_where_there_is_a_derivative():
    for number in range(5):
        _, box, j = planted.network(SETTINGS[4], 0, number)
        assert box.gradient(box.x)[j] != 0


def test_networks_differ_by_number_and_seed_and_are_the_same_again():
    tokens = {planted.network(SMALL, seed, n)[0].token for seed in (0, 1) for n in range(3)}
    assert len(tokens) == 6
    planted.network.cache_clear()
    assert planted.network(SMALL, 0, 0)[0].token in tokens


def test_settings_vary_one_thing_at_a_time():
    plain = SETTINGS[planted.PLAIN]
    fields = ("sizes", "dtype", "weight_scale", "loss_scale")
    for setting in SETTINGS:
        differing = [f for f in fields if getattr(setting, f) != getattr(plain, f)]
        assert len(differing) == (setting is not plain)
    assert [setting.size for setting in SETTINGS[:3]] == [21, 193, 951]


def test_an_error_that_is_not_told_from_none_is_not_caught():
    walks = [
        Walk("small", "x", "gc1", 0, right, {1.0: Answer.WRONG})
        for right in (Answer.WRONG, Answer.PASSED, Answer.UNDECIDED)
    ]
    found = curve(SMALL, "x", walks)
    assert found["caught"][0] == 2
    assert found["right"]["accused"] == 1


def test_shares_have_their_limits_and_errors_of_nothing_their_own_row():
    walks = [
        Walk("small", "x", "gc1", 0, Answer.PASSED, {1.0: Answer.WRONG, 0.1: answer})
        for answer in (Answer.WRONG, Answer.PASSED, Answer.PASSED)
    ]
    found = curve(SMALL, "x", walks)
    assert found["caught"][:3] == [3, 1, 0]
    assert found["limits"][0] == [pytest.approx(0.025 ** (1 / 3)), 1.0]
    points = list(rows([found]))
    assert [p["called_wrong"] for p in points[:2]] == [3, 1]
    assert points[-1]["error"] == 0.0
    assert points[-1]["called_wrong"] == 0
    assert len(points) == 16


def test_the_smallest_error_counts_only_if_all_larger_ones_are_caught():
    assert smallest_caught([1.0, 0.1, 0.01], [4, 1, 4], 4, 0.9) == 1.0
    assert smallest_caught([1.0, 0.1], [0, 4], 4, 0.5) is None
