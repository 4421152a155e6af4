import numpy as np
import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c06_paths import CLAIM, DEPTHS, WIDTHS, measure
from gradcheck.studies.report.textbook.claim import ruling, section, sentences
from reference_models.paths import count_multiplications, derivatives, paths, sum_over_paths


def refuted_by(**broken):
    evidence = measure(Settings(), **broken)
    assert ruling(evidence) == "refuted"
    return [finding.text for finding in evidence.findings if not finding.holds]


@pytest.fixture(scope="module")
def right(measured):
    return measured(CLAIM)


def test_the_contributions_of_all_paths_add_and_memory_saves(right):
    assert ruling(right) == "refined"
    assert all(sentences(section([CLAIM], [right]).to_json(), "C6"))


def test_the_table_has_a_row_for_every_depth_and_width(right):
    table = right.frames["c6_paths"]
    assert len(table) == sum(map(len, DEPTHS.values())) + len(WIDTHS)
    assert np.all(
        table["by_paths"] == (table["depth"] + 1) * table["width"] ** (table["depth"] - 1)
    )
    assert list(right.figures) == ["c6_paths"]


def test_one_path_left_out_refutes_it():
    def all_but_one(graph, start):
        every = [path.product() for path in paths(graph, start)]
        return sum(every[1:]) if len(every) > 1 else every[0]

    told = refuted_by(by_paths=all_but_one)
    assert [text.split()[0] for text in told] == ["in", "where", "elsewhere", "in"]


def test_a_relative_error_of_1e_11_in_the_sum_refutes_it():
    told = refuted_by(by_paths=lambda graph, start: sum_over_paths(graph, start) * (1 + 1e-11))
    assert any(text.startswith("elsewhere") for text in told)


def test_a_recursion_that_takes_one_edge_of_many_refutes_it():
    def first_edges(graph):
        return derivatives({v: dict(list(edges.items())[:1]) for v, edges in graph.items()})

    assert len(refuted_by(recursion=first_edges)) == 2


def test_a_recursion_that_remembers_nothing_refutes_the_growth_laws():
    def forgetful(depth, width):
        counts = count_multiplications(depth, width)
        return counts._replace(remembered=counts.by_paths)

    told = refuted_by(count=forgetful)
    assert len(told) == len(DEPTHS) + 1


def test_paths_that_grow_linearly_refute_the_growth_laws():
    def frugal(depth, width):
        counts = count_multiplications(depth, width)
        return counts._replace(paths=width * depth, by_paths=width * depth)

    assert len(refuted_by(count=frugal)) >= len(DEPTHS) + 1
