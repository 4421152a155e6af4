"""A small report, written once for all tests that read it."""

import pytest

from gradcheck.report.run import write_report
from gradcheck.report.settings import Settings


@pytest.fixture(scope="session")
def tiny():
    """The smallest settings that fill every table."""
    return Settings(
        problems=8,
        chain_rule_problems=2,
        accuracy_problems=16,
        accuracy_chain_rule_problems=2,
        right_engine_problems=2,
        sensitivity_seeds=2,
        ladder_draws=4,
        mistake_draws=1,
        jobs=1,
        curve_token="gc1:4-5-1:cross_entropy:mean:m8:float64:w1:generic:binary:s1",  # noqa: S106 - a case
        curve_coordinates=24,
        hidden=(2, 3, 4, 6, 8),
        longest_run=100,
        longest_central_run=50,
        longest_check=20,
        timing_seconds=1e-4,
        ratio_networks=((3, 1), (4, 3, 2)),
        digits_hidden=2,
        digits_rows=2,
        logistic_iterations=20,
        digits_epochs=1,
    )


@pytest.fixture(scope="session")
def tiny_report(tiny, tmp_path_factory):
    """The folder and the content of a report with those settings."""
    out = tmp_path_factory.mktemp("reports")
    return out, write_report(out, tiny, command="python -m gradcheck report")
