"""All derivatives together take less each than one alone."""

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c31_each_weight import CLAIM, measure, parameters
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFINED, REFUTED, ruling
from reference_models.paths import count_multiplications


def ruled(**changed):
    def count(depth, width):
        counts = count_multiplications(depth, width)
        return counts._replace(**{name: f(counts) for name, f in changed.items()})

    return ruling(measure(Settings(), count))


def test_the_claim_is_refined(measured):
    assert ruling(measured(CLAIM)) == REFINED


def test_the_parameters_are_those_of_the_network():
    assert parameters(1, 1) == 2 + 2  # 1-1-1
    assert parameters(2, 3) == 3 + 3 + 9 + 3 + 3 + 1  # 1-3-3-1


def test_a_gradient_computed_weight_by_weight_contradicts_nothing():
    assert ruled(remembered_all=lambda c: c.remembered * 1000) == CONFIRMED


def test_memory_that_saves_nothing_contradicts_nothing():
    assert ruled(remembered=lambda c: 1) == CONFIRMED


def test_paths_that_are_not_counted_refute_it():
    assert ruled(by_paths=lambda c: c.by_paths - 1) == REFUTED
