"""The pytest plugin: options, a fixture for gradients of one's own, and how to repeat a failure.

    def test_my_gradient(gradcheck):
        gradcheck.assert_gradient(loss, gradient, x)

checks by finite differences, as `gradcheck.assert_gradient` does, with the seed of the command
line. `pytest --pyargs gradcheck.conformance --gradcheck-engine ENGINE` verifies an engine.

Nothing but this file is loaded before a test asks for it.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gradcheck.outcomes.outcome import Outcome

EXAMPLES = 200
SETTINGS = ("engine", "examples", "seed")


@dataclass
class Record:
    """What a test has cost, and the lines that repeat it if it fails."""

    forward_passes: int = 0
    backward_passes: int = 0
    replay: list[str] = field(default_factory=list)


KEPT = pytest.StashKey[Record]()


def record_of(test: pytest.Item) -> Record:
    """Return the record of a test, which is told in the summary."""
    return test.stash.setdefault(KEPT, Record())


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("gradcheck", "gradients")
    group.addoption(
        "--gradcheck-engine",
        metavar="ENGINE",
        help="the engine that gradcheck.conformance verifies: a registered name, "
        "py:package.module:attribute, or cmd:COMMAND LINE",
    )
    group.addoption(
        "--gradcheck-examples",
        metavar="N",
        type=_examples,
        default=EXAMPLES,
        help=f"how many networks gradcheck.conformance draws (default: {EXAMPLES})",
    )
    group.addoption(
        "--gradcheck-seed",
        metavar="S",
        type=_seed,
        default=0,
        help="of those networks, and of the checks of the fixture `gradcheck` (default: 0)",
    )


def _examples(text: str) -> int:
    return _whole(text, 1)


def _seed(text: str) -> int:
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    value = int(text)
    if not least <= value < 2**64:
        raise argparse.ArgumentTypeError(f"{value} must be in {least}..{2**64 - 1}")
    return value


def pytest_report_header(config: pytest.Config) -> str:
    """Say which settings are in effect."""
    engine, examples, seed = (config.getoption(f"gradcheck_{name}") for name in SETTINGS)
    verified = f"engine {engine}, {examples} examples, " if engine else ""
    return f"gradcheck: {verified}seed {seed}"


class GradientChecks:
    """The checks of one test.

    Attributes:
        seed: that of the command line, which the checks take.
        cost: what they have cost so far.
    """

    def __init__(self, seed: int, cost: Record) -> None:
        self.seed = seed
        self.cost = cost

    def check_gradient(
        self, f: Callable[[Any], Any], gradient: Callable[[Any], Any], x: Any, **options: Any
    ) -> Outcome:
        """Check a gradient and return the outcome; the arguments are `gradcheck.check_gradient`'s.

        Raises:
            TypeError, ValueError: an argument makes no sense.
        """
        from gradcheck.checks.gradient import check_gradient  # noqa: PLC0415 - loads numpy, when needed

        outcome = check_gradient(f, gradient, x, **{"seed": self.seed, **options})
        self.cost.forward_passes += outcome.forward_passes
        self.cost.backward_passes += outcome.backward_passes
        return outcome

    def assert_gradient(
        self, f: Callable[[Any], Any], gradient: Callable[[Any], Any], x: Any, **options: Any
    ) -> None:
        """Do nothing if the gradient passes; else fail with the whole story.

        Raises:
            GradientMismatch: the verdict is FAIL or INCONCLUSIVE.
        """
        from gradcheck.checks.gradient import GradientMismatch  # noqa: PLC0415

        __tracebackhide__ = True
        outcome = self.check_gradient(f, gradient, x, **options)
        if outcome.verdict.value != "PASS":
            raise GradientMismatch(outcome)


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> GradientChecks:
    """Check gradients of one's own: `check_gradient`, `assert_gradient`, `seed`."""
    seed = request.config.getoption("gradcheck_seed")
    record = record_of(request.node)
    test = shlex.quote(request.node.nodeid)
    record.replay.append(f"python -m pytest {test} --gradcheck-seed {seed}")
    return GradientChecks(seed, record)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the record of a test into its report, which reaches the summary from any process."""
    report = yield
    if KEPT in item.stash:
        vars(report)["gradcheck"] = asdict(item.stash[KEPT])
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what the checks cost, and how to repeat those that failed."""
    every = [report for reports in terminalreporter.stats.values() for report in reports]
    ours = [(report, vars(report)["gradcheck"]) for report in every if "gradcheck" in vars(report)]
    if not ours:
        return
    ended = [record for report, record in ours if report.when == "teardown"]
    forward, backward = (
        sum(record[f"{way}_passes"] for record in ended) for way in ("forward", "backward")
    )
    terminalreporter.section("gradcheck")
    terminalreporter.line(f"{forward:,} forward and {backward:,} backward passes")
    for line in dict.fromkeys(line for r, record in ours if r.failed for line in record["replay"]):
        terminalreporter.line(f"replay: {line}")
