"""Verifies an engine as pytest tests: does it compute right gradients?

    pytest --pyargs gradcheck.conformance --gradcheck-engine ENGINE

examines the problems that `python -m gradcheck verify ENGINE` does: agreement with the exact
gradient and consistency with the engine's own loss, a test for every corner that problems are drawn
from, and the exact tests. A test fails where a problem FAILs, with the smallest network that shows
it, and is skipped where nothing was verified. The engine runs in a process of its own, which is
killed at a deadline and started again when it dies. Known failures, logs and shards are matters of
`verify`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from gradcheck.checks.exact import TESTS
from gradcheck.outcomes.reasons import Reason
from gradcheck.problems.case import parse
from gradcheck.problems.corners import CORNERS
from gradcheck.pytest_plugin import Record as Told
from gradcheck.pytest_plugin import record_of
from gradcheck.verification.failures import Failure, read_failure
from gradcheck.verification.findings import FAIL, PASS, read_finding
from gradcheck.verification.log import encode
from gradcheck.verification.plan import NothingToVerifyError, Plan, Settings
from gradcheck.verification.pool import EngineGoneError, Pool, Work
from gradcheck.verification.property import EXACT
from gradcheck.verification.run import RESTARTS
from gradcheck.verification.shrink import Way, failures, shrink
from gradcheck.verification.slot import Record
from gradcheck.verification.story import reasons, title, told_of, verdicts
from gradcheck.verification.tally import Entry, Tally, tally
from gradcheck.verification.words import count
from gradcheck.verification.worker import Task

SHOWN = 3
"""Ways to fail that one test tells in full, and reasons for not having verified anything."""


class UnusableError(Exception):
    """The engine cannot be used any more; the message says why."""


@dataclass
class Verification:
    """An engine under examination.

    Attributes:
        plan: which cases there are.
        pool: the process that the engine runs in.
        unusable: why the engine cannot be used any more, or "".
        deaths: how often it has died or been silent.
        groups: the numbers of the plan, by property and group.
    """

    plan: Plan
    pool: Pool[list[Record]]
    unusable: str = ""
    deaths: int = 0
    groups: Mapping[tuple[str, str], Sequence[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.groups = grouped(self.plan)

    def examine(self, name: str, group: str, test: pytest.Item) -> None:
        """Examine a property on a group of problems; pass, fail or skip the test that asks.

        Args:
            name: "agreement", "consistency", or "exact " and the name of a test.
            group: the corner, or that name again.
            test: the one that asks.
        """
        __tracebackhide__ = True
        found = [] if self.unusable else self._try_to_examine(name, group)
        if self.unusable:
            pytest.fail(f"the engine is unusable: {self.unusable}", pytrace=False)
        total = tallied(found)
        record = record_of(test)
        record.forward_passes += total.forward_passes
        record.backward_passes += total.backward_passes
        what = name if name.endswith(group) else f"{name}, {group}"
        told = f"{what}: {count(total.problems, 'problem')}: {verdicts(total)}"
        if any(why.reason == Reason.INTERNAL.value for why in total.inconclusive):
            [why] = (w for w in total.inconclusive if w.reason == Reason.INTERNAL.value)
            pytest.fail(f"{told}; {why.token}: {why.detail}", pytrace=False)
        if total.verdicts[FAIL]:
            pytest.fail("\n\n".join([told, *self._stories(found, record)]), pytrace=False)
        if not total.verdicts[PASS]:
            whys = reasons([*total.inconclusive, *total.unsupported], SHOWN)
            pytest.skip("; ".join([told, *whys]) if found else f"{told}: none was drawn")

    def _try_to_examine(self, name: str, group: str) -> list[Record]:
        try:
            work = (self._examined(n, name) for n in self.groups.get((name, group), ()))
            return [record for records in self.pool.drive(work) for record in records]
        except (UnusableError, EngineGoneError) as error:
            self.unusable = str(error)
            return []

    def _examined(self, n: int, name: str) -> Work[list[Record]]:
        """Examine one number of the plan; a case that is refused is replaced."""
        records: list[Record] = []
        for token, properties in self.plan.tries(n):
            if name not in properties:
                break
            reply = yield Task(token, name)
            self.deaths += reply.is_loss
            if reply.finding is None or self.deaths > RESTARTS:
                raise UnusableError(reply.event[1] if reply.event else "it is gone")
            records.append({"kind": "case", "token": token, "findings": [reply.finding]})
            if reply.finding["verdict"] != "UNSUPPORTED":
                break
        return records

    def _stories(self, found: list[Record], told: Told) -> Iterator[str]:
        """Tell every way to fail, shrunk, and record the lines that repeat it."""
        ways = failures(found)
        for way in ways[:SHOWN]:
            try:
                failure = self._shrunk(way)
            except EngineGoneError as error:
                self.unusable = str(error)
                token = way.failing[0][0]
                yield f"FAIL {way.group.what}, as on {token}; the engine is gone: {error}"
                return
            told.replay.append(failure.replay)
            lines = [f"  {line.label:<12}  {line.text}" for line in told_of(failure)]
            yield "\n".join([f"FAIL {title(failure)}", *lines])
        if len(ways) > SHOWN:
            yield f"... and {len(ways) - SHOWN} more ways to fail"

    def _shrunk(self, way: Way) -> Failure:
        info, engine = self.pool.info, self.plan.settings.engine

        def work() -> Work[list[Record]]:
            record = yield from shrink(way, info, engine)
            return [record]

        [[record]] = self.pool.drive([work()])
        return read_failure(json.loads(encode(record)))


def grouped(plan: Plan) -> dict[tuple[str, str], list[int]]:
    """Return the numbers of the plan by property and group: corner, or name of the exact test.

    A case that replaces one that was refused stays in the group of the first.
    """
    found: dict[tuple[str, str], list[int]] = {}
    for n in plan.numbers():
        token, properties = next(plan.tries(n))
        for name in properties:
            group = name.removeprefix(EXACT) if n < 0 else parse(token).corner
            found.setdefault((name, group), []).append(n)
    return found


def tallied(records: Sequence[Record]) -> Tally:
    """Count what was found."""
    plain = [json.loads(encode(record)) for record in records]
    found = [(record["token"], finding) for record in plain for finding in record["findings"]]
    return tally([Entry(token, {}, read_finding(finding), 0.0) for token, finding in found])


# --- tests ----------------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask for an engine before any test runs."""
    if not metafunc.config.getoption("gradcheck_engine", None):
        told = "gradcheck.conformance needs the option --gradcheck-engine ENGINE"
        raise pytest.Collector.CollectError(told)


@pytest.fixture(scope="session")
def verification(request: pytest.FixtureRequest) -> Iterator[Verification]:
    """Load the engine into a process of its own, and plan what is asked of it."""
    options = request.config.getoption
    settings = Settings(
        engine=options("gradcheck_engine"),
        examples=options("gradcheck_examples"),
        seed=options("gradcheck_seed"),
    )
    here = str(request.config.invocation_params.dir)
    if here not in sys.path:
        sys.path.insert(0, here)  # where py: engines are looked for
    try:
        require = settings.require or None
        pool: Pool[list[Record]] = Pool(settings.engine, timeout=settings.timeout, require=require)
    except EngineGoneError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield Verification(planned(settings, pool), pool)
    finally:
        pool.close()


def planned(settings: Settings, pool: Pool[list[Record]]) -> Plan:
    """Make the plan."""
    try:
        return Plan(settings, pool.info)
    except NothingToVerifyError as error:
        pytest.skip(f"nothing was verified: {error}")
    except (TypeError, ValueError) as error:
        pytest.fail(f"the limits of {pool.info.name}: {error}", pytrace=False)


@pytest.mark.parametrize("corner", CORNERS)
def test_agreement(corner: str, verification: Verification, request: pytest.FixtureRequest) -> None:
    """The gradient is the exact one, within the rounding of the engine's arithmetic."""
    verification.examine("agreement", corner, request.node)


@pytest.mark.parametrize("corner", CORNERS)
def test_consistency(
    corner: str, verification: Verification, request: pytest.FixtureRequest
) -> None:
    """The gradient is that of the engine's own loss, by finite differences."""
    verification.examine("consistency", corner, request.node)


@pytest.mark.parametrize("name", TESTS)
def test_exact(name: str, verification: Verification, request: pytest.FixtureRequest) -> None:
    """The gradient is right to the last bit, where rounding is nil or the same twice."""
    verification.examine(EXACT + name, name, request.node)
