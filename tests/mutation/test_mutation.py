"""The defects are what they are said to be, and one that no test catches is seen to survive."""

import ast
import re
import resource
import signal
import subprocess
import sys

import forked
import pytest
import run
from accepted import accepted, entry, read_entries, stale
from forked import HUNG
from planting import defects, draw
from reached import Reached, Tracer
from trial import Fate, attempt
from trust import ROOT, files_with_tests, modules

# --- defects -------------------------------------------------------------------------------------


def planted(text):
    return {(d.operator, d.before, d.after) for d in defects("a.py", text)}


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("a < b", ("comparison", "a < b", "(a <= b)")),
        ("a == b", ("comparison", "a == b", "(a != b)")),
        ("a + b", ("arithmetic", "a + b", "(a - b)")),
        ("a * b", ("arithmetic", "a * b", "(a / b)")),
        ("a ** 2", ("arithmetic", "a ** 2", "(a * 2)")),
        ("a + b", ("term", "a + b", "a")),
        ("a - b", ("term", "a - b", "b")),
        ("a and b", ("and/or", "a and b", "(a or b)")),
        ("a or b or c", ("term", "a or b or c", "(a or c)")),
        ("not a", ("sign", "not a", "a")),
        ("-a", ("sign", "-a", "a")),
        ("x = 1", ("constant", "1", "0")),
        ("x = 0", ("constant", "0", "1")),
        ("x = 64", ("constant", "64", "32")),
        ("x = 0.5", ("constant", "0.5", "1.0")),
        ("x = True", ("constant", "True", "False")),
        ("max(a, b)", ("function", "max(a, b)", "min(a, b)")),
        ("np.any(a)", ("function", "np.any(a)", "np.all(a)")),
        ("a.min()", ("function", "a.min()", "a.max()")),
        ("floor(a)", ("function", "floor(a)", "ceil(a)")),
        ("abs(a)", ("function", "abs(a)", "a")),
        ("np.maximum(a, b)", ("term", "np.maximum(a, b)", "b")),
        ("total(a, b, c)", ("term", "total(a, b, c)", "total(a, c)")),
        ("f(a, b)", ("order", "f(a, b)", "f(b, a)")),
        ("f(a, k=b)", ("keyword", "f(a, k=b)", "f(a)")),
        ("x[a:b]", ("slice", "a:b", "a + 1:b")),
        ("x[:]", ("slice", ":", ":-1")),
        ("if a:\n    b()", ("condition", "a", "(not a)")),
        ("[a for a in b if a]", ("term", "a", "True")),
        ("a += b", ("statement", "a += b", "pass")),
        ("f(a)", ("statement", "f(a)", "pass")),
        ("a[0] = b", ("statement", "a[0] = b", "pass")),
        ("def f(a: int, b: int):\n    g = a", ("name", "a", "b")),
        ("def f(a):\n    return a", ("statement", "return a", "return None")),
    ],
)
def test_a_change_is_made(text, change):
    assert change in planted(text)


@pytest.mark.parametrize(
    "text",
    [
        '"""Text, 1 < 2."""',
        "x: tuple[1, 2]",
        "def f(a: Literal[1]) -> Literal[2]: ...",
        'raise ValueError(f"{a + b}")',
        'x = f"{a + b}"',
        'x = "a" + b',
        "from a import b",
        "@cache(1)\ndef f(): ...",
        "__all__ = [f(1)]",
    ],
)
def test_text_types_and_messages_are_left_alone(text):
    assert planted(text) <= {("statement", text, "pass")}


def test_every_defect_of_a_module_is_python_of_another_meaning():
    path = "gradcheck/outcomes/zeros.py"
    text = (ROOT / path).read_text("utf-8")
    sound, found = ast.dump(ast.parse(text)), defects(path, text)
    assert len(found) > 50
    assert len({(d.start, d.end, d.after) for d in found}) == len(found)
    for defect in found:
        assert ast.dump(ast.parse(defect.apply(text))) != sound, defect
        assert " ".join(text.encode()[defect.start : defect.end].decode().split()) == defect.before


def test_a_seed_draws_the_same_defects_whatever_else_is_written(tmp_path):
    (tmp_path / "a.py").write_text("def f(a, b):\n    return a + b < a * b - 1\n")
    (tmp_path / "b.py").write_text("x = 1\n")
    paths = ["a.py", "b.py"]
    first = draw(tmp_path, paths, 1, 6)
    assert len({(d.path, d.start, d.after) for d in first}) == 6
    assert {d.key for d in draw(tmp_path, paths, 2, 6)} != {d.key for d in first}
    (tmp_path / "a.py").write_text("# moved\n\n\ndef f(a, b):\n    return a + b < a * b - 1\n")
    assert [d.key for d in draw(tmp_path, paths, 1, 6)] == [d.key for d in first]


def test_modules_and_tests_are_there():
    assert len(modules()) > 50
    assert {"gradcheck/verification/judge.py", "gradcheck/outcomes/judging.py"} <= set(modules())
    assert "tests/outcomes/test_verdict.py" in files_with_tests()
    assert not [path for path in files_with_tests() if path.startswith("tests/mutation/")]


# --- trials --------------------------------------------------------------------------------------

TOY = """
LIMIT = 10


def clipped(x):
    if x > LIMIT:
        return LIMIT
    return x


def count(n):
    while n:
        n -= 1
    return n
"""
WEAK = """
from toy import clipped, count


def test_clipped():
    assert clipped(3) == 3
    assert clipped(11) == 10


def test_count():
    assert count(3) == 0
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A tree with one module and its tests, and what they reach."""
    tree = tmp_path_factory.mktemp("toy")
    (tree / "toy.py").write_text(TOY)
    (tree / "test_toy.py").write_text(WEAK)
    target = tree / "reached.json"
    forked.run_pytest(tree, ["test_toy.py"], [Tracer(tree, ["toy.py"], target)], seconds=60)
    return tree, Reached.read(target)


def fate(toy, before, after):
    tree, reached = toy
    [defect] = [d for d in defects("toy.py", TOY) if (d.before, d.after) == (before, after)]
    result = attempt(defect, tree, reached).fate
    assert (tree / "toy.py").read_text() == TOY
    return result


def test_what_tests_reach_is_told_line_by_line(toy):
    _, reached = toy
    assert reached.tests == ["test_toy.py::test_clipped", "test_toy.py::test_count"]
    assert reached.of_line("toy.py", "    return x") == [0]
    assert reached.of_line("toy.py", "n -= 1") == [1]
    assert reached.of_line("toy.py", "LIMIT = 10") == []
    assert reached.of_module("toy.py") == [0, 1]


def test_a_defect_that_a_test_sees_is_caught(toy):
    assert fate(toy, "x > LIMIT", "(x < LIMIT)") is Fate.CAUGHT


def test_a_defect_that_no_test_sees_survives(toy):
    assert fate(toy, "x > LIMIT", "(x >= LIMIT)") is Fate.SURVIVED


def test_a_constant_of_the_module_is_put_to_all_its_tests(toy):
    assert fate(toy, "10", "20") is Fate.CAUGHT


def test_a_defect_that_never_ends_is_caught(toy, monkeypatch):
    monkeypatch.setattr(forked, "PATIENCE", 0.5)
    assert fate(toy, "n -= 1", "pass") is Fate.HUNG


def test_a_fork_is_ended_by_force_and_has_limits():
    assert forked.forked(lambda: 3, seconds=1) == 3
    assert forked.forked(lambda: signal.raise_signal(signal.SIGKILL), seconds=1) == HUNG
    assert forked.forked(lambda: resource.getrlimit(resource.RLIMIT_CPU)[0], seconds=6) == 7


# --- what is accepted, and what is published -----------------------------------------------------


def test_every_accepted_defect_has_a_reason_and_can_still_be_planted():
    found = accepted()
    assert len(found) > 0
    assert stale(found, ROOT) == []


def test_an_entry_is_stale_without_its_text_or_function(tmp_path):
    (tmp_path / "a.py").write_text("def f(a):\n    return a + 1\n")
    found = [d.key for d in defects("a.py", "def f(a):\n    return a + 1\n")]
    assert len(found) > 2
    assert stale(found, tmp_path) == []
    (tmp_path / "a.py").write_text("def g(a):\n    return a + 1\n")
    assert stale(found, tmp_path) == found


def test_an_entry_without_a_reason_or_twice_is_refused(tmp_path):
    [defect, *_] = defects("a.py", "x = 'it' < 2")
    file = tmp_path / "accepted.toml"
    file.write_text(entry(defect, "why"))
    assert accepted(file) == {defect.key: "why"}
    file.write_text(entry(defect))
    assert read_entries(file) == {defect.key: ""}
    with pytest.raises(ValueError, match="no reason"):
        accepted(file)
    file.write_text(entry(defect, "why") * 2)
    with pytest.raises(ValueError, match="twice"):
        accepted(file)


def test_the_table_in_the_docs_adds_up():
    text = (ROOT / "docs" / "measured.md").read_text("utf-8")
    [table] = re.findall(r"<!-- mutation -->\n(.*?)\n\n", text, re.DOTALL)
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.split("\n")]
    assert tuple(rows[0]) == run.COLUMNS
    counts = {name: tuple(map(int, cells)) for name, *cells in rows[2:]}
    together = counts.pop("together")
    assert len(counts) > 1
    assert together == tuple(map(sum, zip(*counts.values(), strict=True)))
    assert all(row[0] == sum(row[1:]) for row in counts.values())
    assert together[1] > 0


@pytest.mark.nightly
def test_a_sample_of_defects_is_caught():
    """In a process of its own: forks must not have the modules loaded."""
    command = [sys.executable, run.__file__, "--seed", "20261201", "--count", "60"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
