"""Known failures in the outputs: told in every state, counted apart."""

from xml.etree import ElementTree as ET

import pytest
import synthetic_log

from gradcheck.verification import junit, markdown, page, text
from gradcheck.verification.declared import STATES, word
from gradcheck.verification.summary import summarise


def test_a_known_failure_is_neither_pass_nor_fail_and_its_strata_are_skipped():
    summary = synthetic_log.summary("declared")
    [agreement] = [p for p in summary.properties if p.name == "agreement"]
    assert agreement.total.verdicts == {
        "PASS": 1, "FAIL": 0, "KNOWN": 1, "INCONCLUSIVE": 0, "UNSUPPORTED": 0,
    }  # fmt: skip
    assert (summary.failures, summary.state) == ((), "VERIFIED")
    root = ET.fromstring(junit.render(summary))  # noqa: S314 - this project's own file
    assert root.get("failures") == "0"
    strata = root.find("testsuite[@name='agreement']")
    assert strata.find("testcase[@name='corner saturated']/skipped") is not None
    assert strata.find("testcase[@name='corner generic']/skipped") is None


@pytest.mark.parametrize("state", STATES)
def test_every_output_tells_every_state(state):
    code = int(state in {"healed", "changed", "unmatched", "expired"})
    summary = summarise(synthetic_log.declared(state, code))
    heading = "NOT AS DECLARED" if code else word(summary.known[0])
    for output in (text, markdown, page):
        told = output.render(summary)
        assert (heading in told) or (state == "elsewhere" and output is text)
        assert "<script>" not in told or output is text
    root = ET.fromstring(junit.render(summary))  # noqa: S314 - this project's own file
    suite = root.find("testsuite[@name='known failures']")
    assert (suite.get("failures"), suite.get("tests")) == (str(code), "2")
