"""Known failures: what the file may say, what it matches, and what becomes of each entry."""

import datetime as dt
import json
import re
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from in_process import without_curves, without_processes

from gradcheck import cli
from gradcheck.problems.case import parse, sample_cases
from gradcheck.verification import known, shrink
from gradcheck.verification import run as running
from gradcheck.verification.declared import STATES
from gradcheck.verification.expected import Expected
from gradcheck.verification.judge import judge
from gradcheck.verification.known import Known, KnownError, read_known
from gradcheck.verification.plan import Settings
from gradcheck.verification.pool import Pool
from gradcheck.verification.summary import summarise
from gradcheck.verification.worker import Reply

TOKEN = "gc1:1-1:cross_entropy:mean:m1:float64:w1:generic:binary:s0"
TODAY = dt.date(2026, 6, 1)

ENTRY = {
    "engine": "py:known_engines:Doubled",
    "property": "agreement",
    "outcome": "FAIL mismatch",
    "reason": "narrow layers are counted twice",
    "issue": "https://example.org/issues/7",
    "expires": dt.date(2026, 6, 1),
    "case": TOKEN,
    "match": {"max_width": 2},
}

ENGINES = """
from gradcheck.engines.base import EngineInfo
from gradcheck.engines.registry import find

reference = find("reference")


class Right:
    limits = {"corners": ["generic"], "max_depth": 1, "max_parameters": 6}
    info = EngineInfo("right", "1", ("float64",), ("cross_entropy",), ("mean",), limits=limits)

    def loss(self, problem):
        return self.value_and_grad(problem)[0]

    def value_and_grad(self, problem):
        value, layers = reference.value_and_grad(problem)
        factor = self.factor(max(problem.architecture.sizes))
        return factor * value, [(factor * W, factor * b) for W, b in layers]

    def factor(self, width):
        return 1

    def close(self):
        pass


class Doubled(Right):
    def factor(self, width):
        return 2 if width < 3 else 1
"""


def toml(entries):
    """Write entries as TOML, which the standard library can only read."""

    def value(x):
        if isinstance(x, dict):
            return "{" + ", ".join(f"{k} = {value(v)}" for k, v in x.items()) + "}"
        return x.isoformat() if isinstance(x, dt.date) else json.dumps(x)

    tables = [
        "\n".join([f"[{json.dumps(name)}]", *(f"{k} = {value(v)}" for k, v in entry.items())])
        for name, entry in entries.items()
    ]
    return "\n\n".join(tables) + "\n"


@pytest.fixture
def file(tmp_path):
    def write(**entries):
        path = tmp_path / "known.toml"
        path.write_text(toml(entries), "utf-8")
        return path

    return write


def changed(**changes):
    return {key: value for key, value in (ENTRY | changes).items() if value is not None}


def entry(**changes):
    return Known("an entry", **changed(**changes))


# --- the file -------------------------------------------------------------------------------------


def test_the_example_in_the_documentation_is_a_file_that_can_be_read(tmp_path):
    lines = known.__doc__.split("\n")
    shown = [line for line in lines if re.match(r"    ([a-z_]+ =|\[)", line)]
    path = tmp_path / "known.toml"
    path.write_text("\n".join(shown), "utf-8")
    [read] = read_known(path)
    assert (read.name, read.expires) == ("clamped-log", dt.date(2027, 1, 31))
    assert read.match == {
        "loss": "cross_entropy",
        "min_weight_scale": 30,
        "explanation": "clipped loss",
    }


def test_entries_are_read_in_the_order_of_the_file(file):
    path = file(second=ENTRY, first=ENTRY)
    assert [read.name for read in read_known(path)] == ["second", "first"]
    assert read_known(path)[0] == Known("second", **ENTRY)


def test_an_entry_comes_back_from_the_log_as_it_was_written():
    assert tomllib.loads(toml({"x": entry().to_json()}))["x"] == entry().to_json()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"because": "x"}, "unknown key because; known are engine, property, outcome"),
        ({"reason": None}, "the key reason is missing"),
        ({"match": None}, "the key match is missing"),
        ({"engine": ""}, "engine=''; it must be text"),
        ({"engine": 3}, "engine=3; it must be text"),
        ({"property": "correctness"}, "property='correctness'; it must be one of agreement, c"),
        ({"property": "exact"}, "property='exact'; it must be one of"),
        (
            {"outcome": "FAIL"},
            "outcome='FAIL'; it must be one of FAIL mismatch, FAIL loss, FAIL nonfinite",
        ),
        ({"outcome": "INCONCLUSIVE noise"}, "outcome='INCONCLUSIVE noise'"),
        ({"issue": "see above"}, "issue='see above'; it must be a link, https://..."),
        ({"issue": "javascript:alert(1)"}, "it must be a link"),
        ({"expires": "2026-06-01"}, "expires='2026-06-01'; it must be a date without quotation"),
        ({"expires": dt.datetime(2026, 6, 1, 12)}, "it must be a date"),
        ({"case": "gc1:1-1"}, "case: token 'gc1:1-1' has 2 fields"),
        ({"case": TOKEN.replace("m1", "m0")}, "batch"),
        ({"match": 3}, "match=3; it must be a table"),
        ({"match": {"colour": "red"}}, "unknown key match.colour; known are loss"),
        ({"match": {"loss": "hinge"}}, "match.loss='hinge'; it must be one of cross_entropy"),
        ({"match": {"loss": []}}, "match.loss is empty"),
        ({"match": {"dtype": ["float64", 8]}}, "match.dtype=8; it must be one of float64"),
        ({"match": {"max_depth": 0}}, "match.max_depth=0; it must be a whole number from 1"),
        ({"match": {"max_depth": True}}, "match.max_depth=True; it must be a whole number"),
        ({"match": {"max_depth": 1.5}}, "match.max_depth=1.5; it must be a whole number"),
        ({"match": {"min_weight_scale": "3"}}, "match.min_weight_scale='3'; it must be a number"),
        ({"match": {"explanation": 1}}, "match.explanation=1; it must be text"),
        ({"match": {"min_batch": 3, "max_batch": 2}}, "match.min_batch=3 is above match.max_b"),
        ({"match": {"min_width": 2}}, f"case='{TOKEN}' is not one of its own problems: match.min"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_by_file_entry_and_key(changes, told, file):
    path = file(fine=ENTRY, wrong=changed(**changes))
    with pytest.raises(KnownError) as error:
        read_known(path)
    assert str(error.value).startswith(f"{path}, entry 'wrong': ")
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a", "Expected ']'"),
        ("engine = 3", "entry 'engine': engine=3; an entry is a table"),
        ("[[a]]\nengine = 3", "an entry is a table"),
        ("[a]\nexpires = 2026-13-01", "line 2"),
        ("[a]\n[a]", "twice"),
    ],
)
def test_what_is_no_table_of_entries_is_refused(text, told, tmp_path):
    path = tmp_path / "known.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(KnownError, match=re.escape(str(path))) as error:
        read_known(path)
    assert told in str(error.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(KnownError, match="No such file"):
        read_known(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(KnownError, match="decode"):
        read_known(tmp_path / "binary.toml")


# --- matching -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, lambda c: True),
        ({"loss": "quadratic"}, lambda c: c.loss == "quadratic"),
        ({"dtype": ["float32"]}, lambda c: c.dtype == "float32"),
        ({"corner": ["saturated", "generic"]}, lambda c: c.corner in ("saturated", "generic")),
        ({"targets": "ones"}, lambda c: c.targets == "ones"),
        ({"reduction": "sum", "loss": "quadratic"}, lambda c: ":quadratic:sum:" in c.token),
        ({"min_depth": 2}, lambda c: len(c.sizes) >= 3),
        ({"max_depth": 2}, lambda c: len(c.sizes) <= 3),
        ({"min_width": 7}, lambda c: any(n >= 7 for n in c.sizes)),
        ({"max_width": 7}, lambda c: all(n <= 7 for n in c.sizes)),
        ({"max_outputs": 1}, lambda c: c.sizes[-1] == 1),
        ({"min_batch": 2, "max_batch": 8}, lambda c: 2 <= c.batch <= 8),
        ({"max_parameters": 30}, lambda c: c.problem().architecture.n_parameters <= 30),
        ({"min_weight_scale": 30}, lambda c: c.weight_scale >= 30),
        ({"max_weight_scale": 0.3}, lambda c: c.weight_scale <= 0.3),
        ({"explanation": "clipped loss"}, lambda c: True),
    ],
)  # fmt: skip
def test_a_problem_fits_where_it_meets_every_key(match, fits):
    cases = list(sample_cases(200, seed=1))
    fitting = [not entry(match=match).misfit(case) for case in cases]
    assert fitting == [fits(case) for case in cases]
    assert True in fitting


def finding(name="agreement", verdict="FAIL", reason="mismatch", explanation=""):
    """A finding with what matching, worst cases and sentences look at."""
    told = {"property": name, "verdict": verdict, "reason": reason, "explanation": explanation}
    return told | {"detail": "", "diagnosis": "", "worst": None}


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"name": "consistency"}, False),
        ({"verdict": "INCONCLUSIVE"}, False),
        ({"verdict": "PASS", "reason": ""}, False),
        ({"reason": "nonfinite"}, False),
    ],
)
def test_only_the_declared_outcome_of_the_declared_property_is_known(changes, holds):
    assert entry().holds(finding(**changes), "any class") is holds


def test_an_explanation_that_is_declared_must_be_that_of_the_finding():
    clipped = entry(match={"explanation": "clipped loss"})
    assert clipped.holds(finding(), "clipped loss")
    assert not clipped.holds(finding(), "")
    assert entry(match={"explanation": ""}).holds(finding(), "")


# --- what becomes of an entry ---------------------------------------------------------------------


def became(pinned, *cases, today=TODAY, **changes):
    """Let an entry meet the problems of a run and its pinned case; return the record."""
    expected = Expected([entry(**changes)], ENTRY["engine"], "doubled", today)
    log = [{"kind": "case", "token": token, "findings": [found]} for token, found in cases]
    [work] = expected.pieces(expected.mark(log))
    task = next(work)
    assert (task.case, task.property) == (TOKEN, "agreement")
    with pytest.raises(StopIteration) as end:
        work.send(Reply(pinned))
    [record] = end.value.value
    return record


PASSES = finding(verdict="PASS", reason="")
UNSURE = finding(verdict="INCONCLUSIVE", reason="vacuous")
REFUSED = finding(verdict="UNSUPPORTED", reason="")
LATE = finding(verdict="INCONCLUSIVE", reason="budget") | {"detail": "no answer within 6 seconds"}
BROKEN = finding(verdict="INCONCLUSIVE", reason="internal") | {"detail": "gradcheck itself failed"}
NAN = finding(reason="nonfinite")
FAILING = (TOKEN.replace("s0", "s9"), finding())


@pytest.mark.parametrize(
    ("pinned", "others", "state", "told"),
    [
        (finding(), 0, "known", "its pinned case fails as declared, and no other does"),
        (finding(), 1, "known", "fails as declared, and 1 problem of this run does"),
        (finding(), 2, "known", "2 problems of this run do"),
        (UNSURE, 1, "known", "its pinned case is INCONCLUSIVE vacuous, but 1 problem"),
        (PASSES, 0, "healed", "healed: its pinned case passes; remove the entry"),
        (PASSES, 2, "healed", "remove the entry, or pin another: 2 problems of this run do fail"),
        (NAN, 0, "changed", "fails in another way than declared: FAIL nonfinite"),
        (NAN, 2, "changed", "fails in another way than declared: FAIL nonfinite"),
        (UNSURE, 0, "unmatched", "matches nothing: no problem of this run fails as declared, and"),
        (REFUSED, 0, "unmatched", "its pinned case is UNSUPPORTED"),
        (LATE, 0, "open", "its pinned case was not decided: no answer within 6 seconds"),
        (LATE, 1, "known", "its pinned case is INCONCLUSIVE budget, but 1 problem"),
        (BROKEN, 0, "open", "its pinned case was not decided: gradcheck itself failed"),
    ],
)
def test_what_becomes_of_an_entry(pinned, others, state, told):
    record = became(pinned, *[FAILING] * others)
    assert (record["state"], record["count"]) == (state, others)
    assert told in record["told"]


def test_an_entry_expires_after_its_last_day():
    assert became(finding(), today=TODAY)["state"] == "known"
    late = became(finding(), FAILING, today=TODAY + dt.timedelta(days=1))
    assert late["state"] == "expired"
    assert late["told"].startswith("expired on 2026-06-01: its pinned case fails as declared")
    healed = became(PASSES, today=TODAY + dt.timedelta(days=1))
    assert healed["state"] == "healed"


def test_an_unexplained_failure_is_not_the_clipping_that_was_declared():
    record = became(finding(), match={"explanation": "clipped loss"})
    assert record["state"] == "changed"
    assert record["told"].endswith("FAIL mismatch (unexplained)")


def test_a_failure_outside_the_match_is_not_known():
    wider = TOKEN.replace("1-1", "3-1")
    record = became(finding(), (wider, finding()), FAILING, (TOKEN, PASSES))
    assert record["count"] == 1


def test_the_first_entry_that_matches_has_the_problem():
    both = [Known(name, **ENTRY) for name in ("first", "second")]
    assert Expected(both, "doubled", "", TODAY).declared(TOKEN, finding()) == ""
    assert Expected(both, ENTRY["engine"], "", TODAY).declared(TOKEN, finding()) == "first"
    assert Expected(both, "x", ENTRY["engine"], TODAY).declared(TOKEN, finding()) == "first"


def test_an_engine_that_ends_with_the_pinned_case_leaves_the_entry_open():
    [work] = Expected([entry()], ENTRY["engine"], "", TODAY).pieces([])
    next(work)
    with pytest.raises(StopIteration) as end:
        work.send(Reply(None, ("unusable", "gone")))
    record, event = end.value.value
    assert (record["state"], event["event"]) == ("open", "unusable")


def test_entries_that_were_not_come_to_are_open():
    both = [Known(name, **ENTRY) for name in ("first", "second")]
    both.append(Known("third", **changed(engine="torch")))
    expected = Expected(both, ENTRY["engine"], "", TODAY)
    rest = expected.unexamined([{"kind": "known", "name": "first"}], "unusable")
    assert [(r["name"], r["state"]) for r in rest] == [("second", "open"), ("third", "elsewhere")]


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "known_engines.py").write_text(ENGINES, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    without_processes(monkeypatch)
    without_curves(monkeypatch)
    return tmp_path


LATER = dt.date(9999, 1, 1)
DOUBLED = changed(expires=LATER, outcome="FAIL loss")


def run(engine, *options):
    spec = f"py:known_engines:{engine}"
    settings = ["--examples", "3", "--jobs", "1", "--log", "run.log", *options]
    code = cli.main(["verify", spec, *settings])
    log = Path("run.log").read_text("utf-8") if Path("run.log").exists() else ""
    return code, [json.loads(line) for line in log.splitlines()]


def tree(name):
    return ET.parse(name).getroot()  # noqa: S314 - this project's own file


def timeless(name="run.log"):
    return re.sub(r'"seconds":[0-9.e-]+', '"seconds":0', Path(name).read_text("utf-8"))


def test_a_declared_failure_is_told_as_known_and_is_no_failure(folder, file, monkeypatch, capsys):
    file(twice=DOUBLED, elsewhere=DOUBLED | {"engine": "torch"})
    out = ("--junit", "j.xml", "--html", "h.html", "--markdown", "m.md")
    code, log = run("Doubled", "--known", "known.toml", *out)
    assert code == log[-1]["exit_code"] == 0
    assert log[-1]["totals"]["known"] >= 1
    assert log[-1]["totals"]["agreement"].keys() == {"PASS", "KNOWN"}
    assert log[-1]["totals"]["failing"] == 0
    assert [(r["name"], r["state"]) for r in log if r["kind"] == "known"] == [
        ("twice", "known"),
        ("elsewhere", "elsewhere"),
    ]
    assert [r for r in log if r["kind"] == "failure"] == []
    text = capsys.readouterr().out
    assert "KNOWN twice (agreement, FAIL loss): its pinned case fails as declared" in text
    assert "known failures of other engines: torch" in text
    assert ", but for " in text.splitlines()[-1]
    for name in ("h.html", "m.md"):
        told = Path(name).read_text("utf-8")
        assert "counted twice" in told
        assert "KNOWN" in told

    root = tree("j.xml")
    assert root.get("failures") == root.get("errors") == "0"
    one = root.find("testsuite[@name='agreement']/testcase[@name='width narrow']/skipped")
    assert "known failures" in one.get("message")
    assert "twice: narrow layers are counted twice (https://example" in one.get("message")
    assert (
        root.find("testsuite[@name='known failures']/testcase[@name='twice']/skipped") is not None
    )

    first = timeless()
    with monkeypatch.context() as patch:  # the others are without processes
        patch.setattr(running, "Pool", Pool)
        assert run("Doubled", "--known", "known.toml", "--jobs", "2")[0] == 0
    assert timeless() == first
    whole = Path("run.log").read_bytes().splitlines(keepends=True)
    Path("run.log").write_bytes(b"".join(whole[:9]))
    assert run("Doubled", "--known", "known.toml", "--resume")[0] == 0
    assert timeless() == first
    Path("run.log").write_bytes(b"".join(whole[:9]))
    assert run("Doubled", "--resume")[0] == 2
    assert "its known is" in capsys.readouterr().err


def test_what_is_not_declared_is_a_failure_and_is_shrunk_among_its_like(folder, file, monkeypatch):
    for name in ("CHECKS", "TINY_CHECKS"):
        monkeypatch.setattr(shrink, name, 8)
    file(some=changed(expires=LATER, outcome="FAIL loss", match={"max_width": 1}))
    code, log = run("Doubled", "--known", "known.toml")
    assert code == 1
    [failure] = [r for r in log if r["kind"] == "failure" and r["property"] == "agreement"]
    assert failure["shrink_checks"] > 0
    assert max(parse(failure["smallest"]["token"]).sizes) == 2  # 1-1 is the declared one


def test_an_entry_that_does_not_hold_is_exit_code_1(folder, file, capsys):
    file(twice=changed(engine="right", expires=LATER))
    code, log = run("Right", "--known", "known.toml", "--junit", "j.xml")
    assert code == log[-1]["exit_code"] == 1
    assert [r["state"] for r in log if r["kind"] == "known"] == ["healed"]
    said = capsys.readouterr().out
    assert "NOT AS DECLARED twice (agreement, FAIL mismatch)" in said
    assert "known failure twice: healed: its pinned case passes" in said.splitlines()[-1]
    suite = tree("j.xml").find("testsuite[@name='known failures']")
    red = suite.find("testcase[@name='twice']/failure")
    assert "healed: its pinned case passes" in red.get("message")


def test_the_states_are_those_of_the_documentation():
    told = re.findall(
        r"^    (\w+)  +\w", known.__doc__.split("becomes of an entry:")[1], re.MULTILINE
    )
    assert set(told) == set(STATES)


def test_where_gradcheck_failed_on_a_pinned_case_nothing_is_verified():
    passing = PASSES | {"counts": {}, "forward_passes": 0, "backward_passes": 0}
    case = {"kind": "case", "n": 0, "token": TOKEN, "findings": [passing]}
    became = {"kind": "known", "name": "twice", "state": "open", "told": "", "pinned": BROKEN}
    judgement = judge([case, became], [])
    assert judgement.exit_code == 4
    assert "gradcheck itself failed on the pinned case of twice" in judgement.verdict


@pytest.mark.parametrize(
    "state", ["known", "healed", "changed", "unmatched", "expired", "elsewhere", "open"]
)
def test_an_entry_that_does_not_hold_outweighs_that_all_passes(state):
    passing = PASSES | {"counts": {}, "forward_passes": 0, "backward_passes": 0}
    case = {"kind": "case", "n": 0, "token": TOKEN, "findings": [passing]}
    became = {"kind": "known", "name": "twice", "state": state, "told": "so it is"}
    judgement = judge([case, became], [])
    assert judgement.exit_code == (state in {"healed", "changed", "unmatched", "expired"})
    assert ("known failure twice: so it is" in judgement.verdict) is bool(judgement.exit_code)


def test_the_command_takes_the_day_from_the_clock(folder, file, monkeypatch):
    asked = []

    class StoppedError(Exception):
        pass

    def stop(*arguments):
        asked.append(arguments[-1])
        raise StoppedError

    class Idle:
        info = None

        def __init__(self, *_, **__):
            pass

        def close(self):
            pass

    monkeypatch.setattr(running, "Pool", Idle)
    monkeypatch.setattr(running, "_planned", lambda *_: None)
    monkeypatch.setattr(running, "_Run", stop)
    for given in (None, TODAY):
        with pytest.raises(StoppedError):
            running.verify(Settings(engine="x"), today=given)
    assert abs(asked[0] - dt.datetime.now().astimezone().date()) <= dt.timedelta(days=1)
    assert asked[1] == TODAY


def test_a_file_that_is_wrong_is_wrong_usage_before_the_engine_is_loaded(folder, file, capsys):
    file(twice=changed(issue="none"))
    code, log = run("Absent", "--known", "known.toml")
    assert (code, log) == (2, [])
    assert "known.toml, entry 'twice': issue='none'" in capsys.readouterr().err


# --- reading the log ------------------------------------------------------------------------------


def test_a_log_that_was_cut_off_tells_its_declarations_as_not_examined():
    header = {"kind": "header", "known": [entry().to_json()]}
    [declared] = summarise([header]).known
    assert (declared.state, declared.is_unexpected) == ("open", False)


def test_an_unknown_state_is_refused():
    header = {"kind": "header", "known": [entry().to_json()]}
    with pytest.raises(ValueError, match="state='cured'; it must be one of healed"):
        summarise([header, {"kind": "known", "name": "an entry", "state": "cured"}])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a = 1\nb = " + "[" * 3000, "line 2: nested too deeply"),
        ("a = 1\nb = " + "[\n" * 3000, "line 3001: nested too deeply"),
        ("a = " + "{b=" * 1300, "line 1: nested too deeply"),
        ("\na = " + "9" * 5000, "line 2 has 5,004 characters; at most 4,000 are read"),
        (".".join("a" * 100_000) + " = 1", "line 1 has 200,003 characters"),
        ("a = 0x" + "f" * 3900, "entry 'a': "),
        ("#\n" * 2**20, "it has more than 1,048,576 bytes, the most that are read"),
        ("a = \ud800", "'utf-8' codec can't decode"),
    ],
)
def test_a_file_that_no_reader_survives_is_refused(content, told, tmp_path):
    path = tmp_path / "known.toml"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(KnownError, match=re.escape(str(path))) as refused:
        read_known(path)
    assert told in str(refused.value)
