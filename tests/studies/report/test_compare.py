"""`--check`: an unchanged report passes; a changed value is named with its path and line."""

import copy
import json
import math
import shutil

import pytest

from gradcheck.cli import main
from gradcheck.studies.report.compare import (
    ABSENT,
    UnreadableReportError,
    _is_near,
    _walk,
    check_report,
    compare,
    read_report,
)
from gradcheck.studies.report.files import write_json, write_text
from gradcheck.studies.report.render import render


def altered(report, path, value):
    changed = copy.deepcopy(report)
    *way, last = path.split(".")
    node = changed
    for key in way:
        node = node[int(key) if isinstance(node, list) else key]
    node[int(last) if isinstance(node, list) else last] = value
    return changed


@pytest.mark.nightly
def test_a_report_measured_again_is_the_same(tiny_report):
    out, _ = tiny_report
    differences, to_the_last_bit = check_report(out)
    assert [str(difference) for difference in differences] == []
    assert to_the_last_bit


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("sections.consistency.results.verdicts.PASS", 1),
        ("sections.consistency.results.coordinates", 7),
        ("sections.consistency.measured.by_dtype.0.informative", 3),
        ("sections.consistency.measured.by_dtype.0.worst.replay", "gc1:1-1"),
        ("sections.consistency.measured.by_dtype.1.coverage.quantiles.worst", 0.5),
        ("sections.accuracy.results.right_engines.beyond", 1),
        ("sections.accuracy.measured.rows.0.rounded", 1),
        ("sections.accuracy.measured.rows.0.ratio.at.replay", "gc1:1-1"),
        ("sections.step_size.measured.noise_level", 1e-15),
        ("sections.cost.results.networks.1.forward_difference_passes", 9),
        ("sections.cost.measured.check_passes.0", 1),
        ("sections.real_data.results.checks.3.verdict", "INCONCLUSIVE"),
        ("claims.0.holds", False),
    ],
)
def test_an_altered_value_is_named_with_its_path_both_values_and_line(path, value, tiny_report):
    _, fresh = tiny_report
    committed = altered(fresh, path, value)
    page = render(committed)
    (difference,) = compare(committed, fresh, page)
    assert difference.path == path
    assert difference.committed == value
    number, _, text = difference.line.removeprefix("report.md line ").partition(": ")
    assert page.splitlines()[int(number) - 1] == text
    assert path in str(difference)


@pytest.mark.parametrize(
    ("old", "new", "differ"),
    [
        ([1, 2], [1, 2], {}),
        ([1, 2], [1, 2, 3], {".2": (ABSENT, 3)}),
        ([1, 2, 3], [1, 2], {".2": (3, ABSENT)}),
        ([1, 2], [], {".0": (1, ABSENT), ".1": (2, ABSENT)}),
        ([[1], [2, 3]], [[1], [2]], {".1.1": (3, ABSENT)}),
        ({"a": 1}, {"a": 1, "b": [2]}, {".b": (ABSENT, [2])}),
        ({"a": 1, "b": None}, {"a": 1}, {".b": (None, ABSENT)}),
        ({"a": [1, {"b": 2.0}]}, {"a": [1, {"b": 2.5}]}, {".a.1.b": (2.0, 2.5)}),
        ([1], [1.0], {".0": (1, 1.0)}),
        ([1], [True], {".0": (1, True)}),
        ([1], {"0": 1}, {"": ([1], {"0": 1})}),
        ("ab", "a", {"": ("ab", "a")}),
    ],
)
def test_whatever_was_added_removed_or_changed_is_found_and_nothing_else(old, new, differ):
    assert {path: (a, b) for path, a, b in _walk("", old, new)} == differ


def test_a_list_of_the_report_that_grew_or_shrank_is_a_difference(tiny_report):
    _, fresh = tiny_report
    path = "sections.consistency.measured.by_stratum"
    rows = fresh["sections"]["consistency"]["measured"]["by_stratum"]
    for other, n in ((rows[:-1], len(rows) - 1), ([*rows, rows[0]], len(rows))):
        committed = altered(fresh, path, other)
        found = compare(committed, fresh, render(committed))
        assert [difference.path for difference in found] == [f"{path}.{n}"]


def planted(fresh, path, value, arithmetic=None):
    """The paths that differ where one number of a committed report is another one."""
    committed = altered(fresh, path, value)
    if arithmetic:
        committed["machine"]["arithmetic"] = arithmetic
    return [d.path for d in compare(committed, fresh, render(committed))]


def test_the_machine_may_differ(tiny_report):
    _, fresh = tiny_report
    assert planted(fresh, "machine.processor", "another") == []


def number_at(report, path):
    node = report
    for key in path.split("."):
        node = node[int(key) if isinstance(node, list) else key]
    return node


SECONDS = "sections.consistency.timings.seconds"
NOISE = "sections.step_size.measured.noise_level"
COUNT = "sections.consistency.measured.forward_passes"


@pytest.mark.parametrize(
    ("factor", "found"), [(9.0, []), (1 / 9, []), (11, [SECONDS]), (-1, [SECONDS])]
)
def test_times_may_differ_by_a_factor_of_ten(factor, found, tiny_report):
    _, fresh = tiny_report
    assert planted(fresh, SECONDS, factor * number_at(fresh, SECONDS)) == found


CALL = "sections.cost.timings.growth.call"
BELOW = "sections.cost.timings.growth.below"


def test_fits_beside_a_size_that_moves_are_not_compared(tiny_report):
    _, fresh = tiny_report
    for name, forged in (("points", 99), ("exponent", -3.0), ("model", None)):
        assert planted(fresh, f"{BELOW}.{name}", forged) == []
    assert planted(fresh, CALL, 11 * abs(number_at(fresh, CALL))) == [CALL]
    assert not _is_near(f"{BELOW}.points", ABSENT, 4)


@pytest.mark.parametrize(
    ("path", "factor", "is_near"),
    [
        (NOISE, 9, True),
        (NOISE, 1 / 11, False),
        (NOISE, -1, False),
        (COUNT, 1.05, True),
        (COUNT, 1.2, False),
    ],
)
def test_under_another_arithmetic_measured_numbers_are_near(path, factor, is_near, tiny_report):
    _, fresh = tiny_report
    fresh = altered(fresh, NOISE, 1e-7)  # which is no rounding error of a number near 1
    number = number_at(fresh, path)
    forged = type(number)(factor * number)
    assert planted(fresh, path, forged) == [path]
    assert planted(fresh, path, forged, "0123456789ab") == ([] if is_near else [path])


def test_results_do_not_differ_under_any_arithmetic(tiny_report):
    _, fresh = tiny_report
    path = "sections.cost.results.networks.0.N"
    assert planted(fresh, path, 14, "0123456789ab") == [path]


@pytest.mark.parametrize(
    ("old", "new", "is_near"),
    [
        (3, 5, True), (3, 6, False), (100, 110, True), (100, 112, False), (0, 2, True),
        (1e-17, 0.0, True), (1e-17, -3e-16, True), (1e-17, 1e-11, False), (0.0, 0.1, False),
        (math.nan, 1.0, False), (1.0, math.inf, False), (None, 1.0, False), (True, False, False),
        (1, True, False), ("here", "there", True), ("here", 1, False), (ABSENT, "here", False),
    ],
)  # fmt: skip
def test_what_is_near(old, new, is_near):
    assert _is_near("any", old, new) == is_near
    assert _is_near("any", new, old) == is_near


def test_a_missing_section_is_a_difference(tiny_report):
    _, fresh = tiny_report
    committed = copy.deepcopy(fresh)
    del committed["sections"]["cost"]
    found = compare(committed, fresh, render(committed))
    groups = ("results", "measured", "timings")
    assert [d.path for d in found] == [f"sections.cost.{group}" for group in groups]


def test_a_page_edited_by_hand_is_a_difference(tiny_report):
    _, fresh = tiny_report
    lines = render(fresh).splitlines()
    [n, *_] = [n for n, line in enumerate(lines) if "1 forward" in line]
    lines[n] = lines[n].replace("1 forward", "2 forward")
    (difference,) = compare(fresh, fresh, "\n".join(lines) + "\n")
    assert difference.path == f"report.md line {n + 1}"


@pytest.mark.nightly
def test_the_check_of_an_altered_report_ends_in_exit_code_1(tiny_report, tmp_path, capsys):
    out, report = tiny_report
    shutil.copytree(out, tmp_path / "reports")
    changed = altered(report, "sections.consistency.results.verdicts.PASS", 0)
    write_json(tmp_path / "reports" / "report.json", changed)
    write_text(tmp_path / "reports" / "report.md", render(changed))
    assert main(["report", "--out", str(tmp_path / "reports"), "--check"]) == 1
    printed = capsys.readouterr().out
    assert "sections.consistency.results.verdicts.PASS: committed 0, now" in printed
    assert "1 differences from" in printed  # everything else is measured again to the last bit
    assert "report.md line " in printed


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "does not exist: run the report first"),
        ("{", "is not JSON"),
        (json.dumps({"format": "other"}), "format='other' and schema=None"),
    ],
)
def test_what_is_no_report_is_refused(content, told, tmp_path):
    if content is not None:
        (tmp_path / "report.json").write_text(content, "utf-8")
    with pytest.raises(UnreadableReportError, match=told):
        read_report(tmp_path)
