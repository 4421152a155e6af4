"""One path is the derivative only where there is one."""

from ruled import ruled

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c30_one_path import CLAIM, by_one_path, measure
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFINED, REFUTED, ruling
from reference_models.paths import derivatives, sum_over_paths


def found(**broken):
    return ruled(measure(Settings(), **broken))


def test_the_claim_is_refined(measured):
    evidence = measured(CLAIM)
    assert ruling(evidence) == REFINED
    assert [f.results["paths"] for f in evidence.findings[1:]] == [2, 3]


def test_the_sum_over_all_paths_contradicts_nothing():
    assert found(by_choice=sum_over_paths) == (CONFIRMED, [True, False, False])


def test_a_product_that_leaves_out_a_factor_refutes_it():
    def short(graph, v):
        return by_one_path(graph, next(iter(graph[v])))

    assert found(by_choice=short)[0] == REFUTED


def test_a_recursion_that_forgets_an_edge_refutes_it():
    def forgetful(graph):
        kept = {v: dict(list(edges.items())[1:]) for v, edges in graph.items()}
        return {**dict.fromkeys(graph, 0), **derivatives(kept)}

    assert found(recursion=forgetful)[0] == REFUTED
