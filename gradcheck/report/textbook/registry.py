"""Every claim, in the order of its number; one line each."""

from __future__ import annotations

import matplotlib as mpl

from gradcheck.report.figures import STYLE
from gradcheck.report.progress import section_progress
from gradcheck.report.section import Section
from gradcheck.report.settings import Settings
from gradcheck.report.textbook import (
    c01_difference_quotient,
    c02_power_rule,
    c03_minimum,
    c04_chain_rule,
    c05_jacobian,
    c06_paths,
    c07_moving_each_weight,
    c08_million_weights,
    c09_cost_ratio,
    c10_gates,
    c11_errors,
    c12_symbols,
    c13_learning_rate,
    c14_logistic,
    c15_small_networks,
    c16_batches,
    c17_descent,
    c18_training_speed,
)
from gradcheck.report.textbook.claim import Claim, section

TEXTBOOK: dict[str, Claim] = {
    module.CLAIM.id: module.CLAIM
    for module in (
        c01_difference_quotient,
        c02_power_rule,
        c03_minimum,
        c04_chain_rule,
        c05_jacobian,
        c06_paths,
        c07_moving_each_weight,
        c08_million_weights,
        c09_cost_ratio,
        c10_gates,
        c11_errors,
        c12_symbols,
        c13_learning_rate,
        c14_logistic,
        c15_small_networks,
        c16_batches,
        c17_descent,
        c18_training_speed,
    )
}


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
