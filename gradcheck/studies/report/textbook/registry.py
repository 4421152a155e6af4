"""Every claim, in the order of its number; one line each."""

from __future__ import annotations

from importlib import import_module

import matplotlib as mpl

from gradcheck.studies.report.figures import STYLE
from gradcheck.studies.report.progress import section_progress
from gradcheck.studies.report.section import Section
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import Claim, section

FILES = (
    "c01_difference_quotient",
    "c02_power_rule",
    "c03_minimum",
    "c04_chain_rule",
    "c05_jacobian",
    "c06_paths",
    "c07_moving_each_weight",
    "c08_million_weights",
    "c09_cost_ratio",
    "c10_gates",
    "c11_errors",
    "c12_symbols",
    "c13_learning_rate",
    "c14_logistic",
    "c15_small_networks",
    "c16_batches",
    "c17_descent",
    "c18_training_speed",
    "c19_best_prediction",
    "c20_global_minimum",
    "c21_finding_weights",
    "c22_intermediate",
    "c23_order",
    "c24_million_weights_trained",
    "c25_after_every_sample",
    "c26_layer_below",
    "c27_without_a_rate",
    "c28_few_lines",
    "c29_optimisers",
    "c30_one_path",
    "c31_each_weight",
    "c32_extrema",
)


def _claim(file: str) -> Claim:
    claim: Claim = import_module(f"gradcheck.studies.report.textbook.{file}").CLAIM
    return claim


TEXTBOOK: dict[str, Claim] = {claim.id: claim for claim in map(_claim, FILES)}


def measure(settings: Settings) -> Section:
    """Measure every claim."""
    return measure_claims(list(TEXTBOOK.values()), settings)


def measure_claims(claims: list[Claim], settings: Settings) -> Section:
    """Measure some claims, in the style of the report's figures."""
    evidence = []
    with mpl.rc_context(STYLE), section_progress("claims", len(claims)) as advance:
        for claim in claims:
            evidence.append(claim.measure(settings))
            advance(1)
    return section(claims, evidence)
