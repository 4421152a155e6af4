"""The JUnit file: read back by a parser, and held to the schema that CI servers publish."""

from xml.etree import ElementTree as ET

import pytest
import synthetic_log

from gradcheck.verification.junit import render
from gradcheck.verification.summary import summarise
from gradcheck.verification.tally import tally

# For every element: the attributes it must have, those it may have, and its children, as in the
# schema of the Jenkins xUnit plugin, less what is never written.
SCHEMA = {
    "testsuites": ({"name"}, {"time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"skipped", "time"},
        {"properties", "testcase", "system-out"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, set(), set()),
    "testcase": (
        {"name", "classname"},
        {"time"},
        {"failure", "error", "skipped", "system-out"},
    ),
    "failure": ({"message", "type"}, set(), set()),
    "error": ({"message", "type"}, set(), set()),
    "skipped": ({"message"}, set(), set()),
    "system-out": (set(), set(), set()),
}
COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def violations(element):
    """What breaks the schema, from an element downward."""
    required, optional, children = SCHEMA[element.tag]
    found = []
    if not required <= set(element.keys()) <= required | optional:
        found.append(f"{element.tag} has the attributes {sorted(element.keys())}")
    found += [f"{c.tag} in {element.tag}" for c in element if c.tag not in children]
    if any(name in element.attrib and not element.get(name).strip() for name in required):
        found.append(f"{element.tag} has an empty attribute")
    if "time" in element.attrib and not element.get("time").replace(".", "", 1).isdecimal():
        found.append(f"time={element.get('time')}")
    for total, tag in COUNTED.items():
        if total in element.attrib and int(element.get(total)) != len(list(element.iter(tag))):
            found.append(f"{element.tag} counts {element.get(total)} {total}")
    if "tests" in element.attrib and int(element.get("tests")) != len(
        list(element.iter("testcase"))
    ):
        found.append(f"{element.tag} counts {element.get('tests')} tests")
    return found + [violation for child in element for violation in violations(child)]


def parsed(summary):
    return ET.fromstring(render(summary).encode())  # noqa: S314 - this project's own file


def read(name):
    return parsed(synthetic_log.summary(name))


def case(root, suite, name):
    return root.find(f"testsuite[@name='{suite}']/testcase[@name='{name}']")


@pytest.mark.parametrize("name", synthetic_log.EVERY)
def test_the_file_keeps_to_the_schema(name):
    assert violations(read(name)) == []


@pytest.mark.parametrize(
    ("defect", "told"),
    [
        (lambda root: root[0].attrib.pop("errors"), "testsuite has the attributes"),
        (lambda root: root[0].set("hostname", "x"), "testsuite has the attributes"),
        (lambda root: root[1].set("tests", "0"), "testsuite counts 0 tests"),
        (lambda root: root.set("failures", "7"), "testsuites counts 7 failures"),
        (lambda root: root[1][0].set("time", "1e-5"), "time=1e-5"),
        (lambda root: ET.SubElement(root, "skipped", message="x"), "skipped in testsuites"),
    ],
)
def test_the_schema_finds_a_planted_defect(defect, told):
    root = read("saturated")
    defect(root)
    assert any(violation.startswith(told) for violation in violations(root))


def test_a_stratum_with_a_failing_problem_fails_with_the_whole_story():
    failure = case(read("saturated"), "agreement", "scale 30").find("failure")
    assert failure.get("message").startswith("1 of 1 problem: 1 FAIL; W2[0,1] (layer 2, weight")
    assert failure.get("type") == "mismatch"
    replay = f"python -m gradcheck replay {synthetic_log.SMALLEST} torch-probabilities"
    for told in (replay, "clipped to [1e-7", "exactly 0", "-0.731", synthetic_log.SATURATED):
        assert told in failure.text


def test_a_stratum_without_a_failing_problem_passes():
    passed = case(read("saturated"), "agreement", "corner generic")
    assert [child.tag for child in passed] == ["system-out"]
    assert "1 UNSUPPORTED" in passed.find("system-out").text


def test_inconclusive_is_no_failure_and_passes_only_beside_a_pass():
    root = read("right")
    undecided = case(root, "consistency", "corner saturated")
    assert [child.tag for child in undecided] == ["skipped", "system-out"]
    assert undecided.find("skipped").get("message") == "nothing verified: vacuous (1)"
    beside = case(root, "consistency", "dtype float64")
    assert [child.tag for child in beside] == ["system-out"]
    assert "inconclusive: vacuous (1)" in beside.find("system-out").text


def test_unsupported_is_skipped_with_the_reason():
    refused = case(read("nothing"), "agreement", "dtype float64").find("skipped")
    assert refused.get("message") == "nothing verified: only float16 (1)"


@pytest.mark.parametrize("name", ["died", "unusable", "empty", "header only"])
def test_an_incomplete_log_is_an_error_at_the_top(name):
    root = read(name)
    assert "INCOMPLETE" in root.get("name")
    assert root[0].find("testcase[@name='the log is complete']/error") is not None


@pytest.mark.parametrize("name", synthetic_log.EVERY)
def test_the_file_is_red_exactly_when_the_exit_code_is_not_0(name):
    root = read(name)
    red = int(root.get("failures")) + int(root.get("errors"))
    assert (red == 0) == (synthetic_log.summary(name).exit_code == 0)


def test_a_healed_known_failure_is_red_without_any_failing_problem():
    log = [*synthetic_log.right()[:-1], synthetic_log.footer(1, "an entry has healed")]
    root = parsed(summarise(log))
    (red,) = root.iter("failure")
    assert "healed" in red.get("message")


def test_hostile_names_are_text_and_nothing_else():
    root = read("hostile")
    name = root.get("name")
    assert "</failure><script>alert(1)</script> ]]>" in name
    assert r"\x00\x1b[31m \ud800 \u202e" in name
    assert list(root.iter("script")) == []


def test_times_add_up_to_that_of_the_problems():
    seconds = 4 * 9 * 0.018
    log = [synthetic_log.header()]
    log += [
        synthetic_log.case(n, synthetic_log.TOKEN, synthetic_log.finding(), seconds=seconds)
        for n in range(3)
    ]
    suite = parsed(summarise(log)).find("testsuite[@name='agreement']")
    assert float(suite.get("time")) == pytest.approx(3 * seconds)


def test_a_problem_without_a_token_has_its_own_test_case():
    log = [synthetic_log.header(), synthetic_log.case(0, "my.case.json", synthetic_log.finding())]
    root = parsed(summarise(log))
    assert case(root, "agreement", "problems outside the strata").find("skipped") is None


def test_names_of_test_cases_do_not_depend_on_the_results():
    def names(log):
        root = parsed(summarise(log))
        return [(c.get("classname"), c.get("name")) for c in root.iter("testcase")]

    good, bad = (
        [synthetic_log.header(), synthetic_log.case(0, synthetic_log.TOKEN, finding)]
        for finding in (synthetic_log.finding(), synthetic_log.finding(verdict="FAIL"))
    )
    assert names(good) == names(bad)


def test_a_stratum_of_nothing_is_skipped():
    assert tally(()).problems == 0
    asked = case(read("nothing"), "consistency", "problems outside the strata")
    assert asked.find("skipped").get("message") == "nothing verified: no problem was examined"


def test_thousands_of_problems_stay_small():
    assert len(render(synthetic_log.summary("many")).encode()) < 1_000_000
