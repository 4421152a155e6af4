"""The report: complete, the same again, interrupted without loss, and plain about failure."""

import copy
import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from some import some

from gradcheck.engines.variants import CORRECT
from gradcheck.problems.case import parse
from gradcheck.problems.strata import WEIGHT_SCALES
from gradcheck.studies.report import run
from gradcheck.studies.report.accuracy import right_engines
from gradcheck.studies.report.claims import exit_code, judge
from gradcheck.studies.report.figures import draw
from gradcheck.studies.report.how_sure import grounds
from gradcheck.studies.report.render import render
from gradcheck.studies.report.run import SECTIONS, write_report
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.summary import sentences
from gradcheck.studies.report.textbook.registry import TEXTBOOK

SIGN_ERROR = """
from gradcheck.engines.registry import find
reference = find("reference")

def value_and_grad(problem):
    value, layers = reference.value_and_grad(problem)
    return value, [(-dW, db) for dW, db in layers]
"""


@pytest.fixture
def wrong_engine(tmp_path, monkeypatch):
    """An engine whose weights' derivatives have the wrong sign."""
    (tmp_path / "sign_error.py").write_text(SIGN_ERROR, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return "py:sign_error:value_and_grad"


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are drawn in `tiny_report`."""
    monkeypatch.setattr(run, "draw", lambda *_: {})


def read(out):
    return json.loads((out / "report.json").read_text("utf-8"))


# --- complete and repeatable ----------------------------------------------------------------------


def test_everything_is_on_disk(tiny_report):
    out, report = tiny_report
    assert read(out) == report
    assert report["complete"]
    figures = {path.name for path in (out / "figures").iterdir()}
    drawn = {
        "price",
        "consistency",
        "step_size",
        "cost",
        "c9_cost_ratio",
        "c16_training",
    }
    assert figures >= {f"{name}.{kind}" for name in drawn for kind in ("svg", "png")}
    for table in ("problems", "strata", "accuracy", "step_size", "cost", "million", "real_data"):
        assert len(pd.read_csv(out / "tables" / f"{table}.csv")) > 0


def test_every_file_the_page_names_exists(tiny_report):
    out, _ = tiny_report
    page = (out / "report.md").read_text("utf-8")
    named = re.findall(r"\]\(([^)#]+)\)", page)
    assert len(named) >= 6
    assert [name for name in named if not (out / name).exists()] == []
    shown = {path.stem for path in (out / "figures").iterdir()}
    assert [name for name in shown if f"](figures/{name}.svg)" not in page] == []
    anchors = re.findall(r"\]\(#([^)]+)\)", page)
    headings = [line.lstrip("# ").lower() for line in page.splitlines() if line.startswith("#")]
    assert len(anchors) == len(TEXTBOOK)
    assert [anchor for anchor in anchors if anchor not in headings] == []


def test_the_page_is_what_its_numbers_render_to(tiny_report):
    out, _ = tiny_report
    assert (out / "report.md").read_text("utf-8") == render(read(out))


def test_a_changed_number_changes_the_page(tiny_report):
    _, report = tiny_report
    altered = copy.deepcopy(report)
    altered["sections"]["real_data"]["measured"]["checks"][0]["forward_passes"] = 123_457
    assert "123,457" not in render(report)
    assert "123,457" in render(altered)


def test_the_page_names_no_folder_of_this_machine(tiny_report):
    out, _ = tiny_report
    assert str(out) not in (out / "report.md").read_text("utf-8")
    assert str(out) not in (out / "report.json").read_text("utf-8")


def test_figures_have_the_same_bytes_each_time(tiny_report):
    out, report = tiny_report
    frames = {"step_size": pd.read_csv(out / "tables" / "step_size.csv")}
    section = report["sections"]["step_size"]
    first = draw("step_size", section, frames)
    assert first == draw("step_size", section, frames)
    assert b"<dc:date>" not in first["step_size.svg"]


def test_every_worst_case_comes_with_its_token_and_coordinate(tiny_report):
    _, report = tiny_report
    page = render(report)
    for part in some(report["sections"]["consistency"]["measured"]["by_dtype"]):
        assert f"`{part['worst']['replay']}`" in page
        assert f"`{part['worst']['coordinate']}`" in page
        assert part["worst"]["token"] in part["worst"]["replay"]


def test_every_worst_error_comes_with_its_token_and_coordinate(tiny_report):
    out, report = tiny_report
    words = " ".join(render(report).split())
    table = pd.read_csv(out / "tables" / "accuracy.csv")
    for row in some(report["sections"]["accuracy"]["measured"]["rows"]):
        places = [row[name]["at"] for name in ("ulps", "ratio", "seen") if row[name]]
        assert places
        for place in places:
            assert f":{row['dtype']}:" in place["token"]
            assert place["replay"].endswith(f"{place['token']} {row['engine']}")
            if row["scale"] == "all":
                assert f"`{place['coordinate']}`; again with `{place['replay']}`" in words
            else:
                assert f":w{row['scale']}:" in place["token"]
                assert place["token"] in set(table["ratio_token"]) | set(table["ulps_token"]) | set(
                    table["seen_token"]
                )


def test_the_counts_add_up(tiny_report, tiny):
    _, report = tiny_report
    section = report["sections"]["consistency"]
    results, parts = section["results"], section["measured"]["by_dtype"]
    assert results["problems"] == tiny.problems == sum(part["problems"] for part in parts)
    assert sum(results["verdicts"].values()) == tiny.problems
    for part in some(parts):
        kinds = [part[kind] for kind in ("failed", "informative", "small", "inconclusive")]
        assert sum(kinds) == part["coordinates"]
    assert sum(part["coordinates"] for part in parts) == results["coordinates"]
    accuracy = report["sections"]["accuracy"]
    for engine in some(accuracy["results"]["engines"]):
        rows = [r for r in accuracy["measured"]["rows"] if r["engine"] == engine["engine"]]
        whole = [row for row in rows if row["scale"] == "all"]
        single = [row for row in rows if row["scale"] != "all"]
        assert sum(engine["verdicts"].values()) == engine["problems"]
        for name in ("problems", "coordinates", "rounded"):
            assert sum(row[name] for row in whole) == sum(row[name] for row in single)
        assert sum(row["coordinates"] for row in whole) == engine["coordinates"]
        assert all(sum(row["kinds"].values()) == row["coordinates"] for row in some(rows))
    for kind in ("depth", "scale", "corner", "dtype"):
        rows = [row for row in section["measured"]["by_stratum"] if row["kind"] == kind]
        assert sum(row["coordinates"] for row in rows) == results["coordinates"]


def test_passes_are_counted_where_they_were_run_and_left_open_elsewhere(tiny_report):
    _, report = tiny_report
    section = report["sections"]["cost"]
    for row, time in zip(
        section["results"]["networks"], section["timings"]["networks"], strict=True
    ):
        N = row["N"]
        assert row["forward_difference_passes"] == (N + 1 if N <= 100 else None)
        assert row["central_difference_passes"] == (2 * N if N <= 50 else None)
        assert time["forward_differences"]["extrapolated"] == (N > 100)


def test_the_orders_of_the_stencils_are_found(tiny_report):
    _, report = tiny_report
    for row in some(report["sections"]["step_size"]["measured"]["stencils"]):
        law, p = row["truncation"], row["order"]
        allowed = 3 * law["standard_error"] + row["bend"]
        assert abs(law["exponent"] - p) <= allowed < 0.5, row["stencil"]  # half way to the next


# --- what is said ---------------------------------------------------------------------------------


def test_three_answers_and_no_failure(tiny_report):
    _, report = tiny_report
    said = sentences(report["sections"])
    opened = [answer.split("**")[1] for answer in said]
    assert opened == [
        "They agree.",
        "They do not cost the same.",
        "What the textbooks say.",
    ]
    assert "FAIL" not in "".join(said)
    assert all(claim["holds"] for claim in some(report["claims"]))
    assert exit_code(report) == 0


def test_what_is_verified_and_what_is_small_are_said_apart(tiny_report):
    _, report = tiny_report
    altered = copy.deepcopy(report)
    for part in altered["sections"]["consistency"]["measured"]["by_dtype"]:
        part |= {"coordinates": 1000, "informative": 400, "small": 567, "inconclusive": 33}
        part["seen"]["largest"] = 0.104 if part["dtype"] == "float32" else 1e-6
    said = sentences(altered["sections"])[0]
    assert "40.0 % of the derivatives are *verified*" in said
    assert "1.0e-6 in float64 (40.0 % there) or 10 % in float32" in said
    assert "56.7 % are *small*" in said
    assert "3.3 % could not be decided" in said
    assert "96.7" not in said


def test_the_rulings_are_counted_and_listed(tiny_report):
    _, report = tiny_report
    altered = copy.deepcopy(report)
    textbook = altered["sections"]["textbook"]["results"]
    for name, claim in textbook.items():
        claim["ruling"] = claim["expected"] = {"C2": "refuted", "C3": "refined"}.get(
            name, "confirmed"
        )
    said = sentences(altered["sections"])[2]
    assert "1 need a word more (C3), and **1 are wrong (C2)**" in said
    assert f"Of {len(TEXTBOOK)} claims" in said
    assert f"{len(TEXTBOOK) - 2} are right (C1, C4, " in said
    textbook["C5"]["ruling"] = "refuted"
    assert "**Not as expected: C5.**" in sentences(altered["sections"])[2]


def test_every_claim_stands_in_one_table_with_its_title_and_ruling(tiny_report):
    _, report = tiny_report
    rows = [line for line in render(report).splitlines() if re.match(r"\| \[C\d+\]\(#", line)]
    assert len(rows) == len(TEXTBOOK)
    for row, claim in zip(rows, TEXTBOOK.values(), strict=True):
        _, name, title, ruling, _ = (cell.strip() for cell in row.split("|"))
        assert (name, title) == (f"[{claim.id}](#{claim.id.lower()})", claim.title)
        found = report["sections"]["textbook"]["results"][claim.id]
        assert ruling.strip("*") == found["ruling"] == found["expected"]


def test_the_docs_count_the_claims():
    root = Path(__file__).parents[3]
    readme = (root / "README.md").read_text("utf-8")
    measured = (root / "docs" / "measured.md").read_text("utf-8")
    said = f"{len(TEXTBOOK)} claims that textbooks make"
    assert said in " ".join(readme.split())
    assert f"which of {said}" in " ".join(measured.split())


def test_only_tables_have_lines_of_more_than_160_characters(tiny_report):
    _, report = tiny_report
    altered = copy.deepcopy(report)
    altered["sections"]["textbook"]["results"]["C1"]["statement"] = "a long word " * 40
    lines = [line for line in render(altered).splitlines() if not line.lstrip().startswith("|")]
    assert max(map(len, lines)) <= 160


def test_the_page_goes_from_the_answers_to_the_settings(tiny_report):
    _, report = tiny_report
    page = render(report)
    figure, answers = page.index("](figures/price.svg)"), page.index("1. **They agree.**")
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert figure < answers < page.index("## ")
    assert headings[:3] == ["The claims", "How sure is this?", "What a gradient costs"]
    assert headings[-1] == "Settings and machine"
    assert "gc1:" not in page[: page.index("## Settings and machine")]


def test_a_bound_that_was_too_narrow_is_one_clause_that_says_who_was_right(tiny_report):
    _, report = tiny_report
    altered = copy.deepcopy(report)
    for part in altered["sections"]["consistency"]["measured"]["by_dtype"]:
        part["coverage"] |= {"coordinates": 1000, "held": 1000, "right_beyond": 0}
    coverage = altered["sections"]["consistency"]["measured"]["by_dtype"][0]["coverage"]
    coverage["quantiles"]["worst"] = 1.25
    assert "too narrow" not in "".join(grounds(altered))
    coverage |= {"held": 999, "right_beyond": 1}
    clause = "1,999 of 2,000 derivatives; in 1 it was too narrow, by a factor of 1.2 at most, and"
    assert f"{clause} there backpropagation was right." in "".join(grounds(altered))
    coverage["right_beyond"] = 0
    assert f"{clause} in 0 of these backpropagation was right." in "".join(grounds(altered))


@pytest.mark.parametrize(
    ("path", "value", "claim", "told"),
    [
        ("consistency.measured.by_dtype.0.coverage.held", 0, "coverage", "it was too narrow"),
        ("consistency.results.chain_rule.verdicts.FAIL", 1, "chain-rule", "FAILS on 1 of 1"),
        ("accuracy.results.right_engines.beyond", 3, "right-engines", "are accused**"),
        ("accuracy.results.precision_loss.1.caught", 2, "precision", "2 of 16"),
        ("accuracy.results.bugs.called_a_class", 1, "ladder", "1 is taken for rounding"),
        ("accuracy.measured.ladder.named", 0, "ladder", "0 are named rightly"),
        ("step_size.results.stencils.1.order_shown", False, "order", "**does not fall**"),
        ("step_size.results.stencils.0.noise_shown", False, "noise", ""),
        ("cost.results.networks.0.passes_as_formula", False, "passes", ""),
        ("cost.results.networks.0.backprop_backward_passes", 7, "passes", ""),
        ("cost.results.networks.0.gemm_as_formula", False, "flops", ""),
        ("cost.results.networks.0.agree", False, "differences", ""),
        ("cost.results.ratios.0.gemm_ratio", 2.5, "flops", ""),
        ("million.results.rows.1.holds", False, "million", "of the 4 ways"),
        ("million.results.memory_kept", False, "memory", ""),
        ("real_data.results.checks.2.verdict", "FAIL", "real-data", "FAIL on real data**: digits"),
        ("textbook.results.C9.ruling", "refuted", "C9", "| **refuted**, expected: refined"),
        ("textbook.results.C9.ruling", "confirmed", "C9", "| **confirmed**, expected: refined"),
    ],
)
def test_a_planted_failure_is_said_and_ends_in_exit_code_1(path, value, claim, told, tiny_report):
    _, report = tiny_report
    altered = copy.deepcopy(report)
    *way, last = path.split(".")
    node = altered["sections"]
    for key in way:
        node = node[int(key) if isinstance(node, list) else key]
    node[last] = value
    altered["claims"] = judge(altered["sections"])
    assert [c["id"] for c in altered["claims"] if not c["holds"]] == [claim]
    assert exit_code(altered) == 1
    page = " ".join(render(altered).split())
    assert told in page
    assert "**Not as expected**" in page
    assert "**NO**" in page or "(expected: " in page


@pytest.mark.usefixtures("undrawn")
def test_a_wrong_engine_fails_in_the_first_sentence_and_in_the_exit_code(
    wrong_engine, tiny, tmp_path, monkeypatch
):
    chosen = {name: SECTIONS[name] for name in ("consistency", "real_data")}
    monkeypatch.setattr(run, "SECTIONS", chosen)
    few = {"problems": 2, "seed": 13, "chain_rule_problems": 1, "digits_hidden": 1}
    small = replace(tiny, engine=wrong_engine, **few)
    report = write_report(tmp_path / "out", small, command="x")
    page = " ".join((tmp_path / "out" / "report.md").read_text("utf-8").split())
    answer = page[page.index(" 1. ") : page.index("## How sure")]
    wrong = "**FAIL: the gradient of engine `py:sign_error:value_and_grad` is wrong**"
    assert answer.startswith(f" 1. **They do not agree.** {wrong} on ")
    assert "**FAIL on real data**: digits, initial; " in answer or "**FAIL on real data**" in answer
    assert "python -m gradcheck replay gc1:" in page
    assert (tmp_path / "out" / "cases" / "digits-trained.json").exists()
    assert exit_code(report) == 1


def test_power_that_misses_its_target_is_said_and_accuses_no_gradient(tiny_report):
    _, report = tiny_report
    assert "**NO** |" not in render(report)
    altered = copy.deepcopy(report)
    altered["sections"]["accuracy"]["measured"]["by_seed"][1]["target"] = 1e-9
    assert "**NO** |" in render(altered)
    assert judge(altered["sections"]) == report["claims"]


@pytest.mark.nightly
def test_a_wrong_engine_is_told_from_the_exact_gradient(wrong_engine, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "SECTIONS", {"accuracy": SECTIONS["accuracy"]})
    smaller = {"accuracy_problems": 4, "right_engine_problems": 1, "sensitivity_seeds": 1}
    settings = replace(tiny, engine=wrong_engine, ladder_draws=1, mistake_draws=0, **smaller)
    report = write_report(tmp_path / "out", settings, command="x")
    section = report["sections"]["accuracy"]
    wrong, right, second = section["results"]["engines"]
    assert wrong["engine"] == wrong_engine
    assert wrong["verdicts"]["FAIL"] == wrong["reasons"]["FAIL mismatch"] > 0
    assert right["verdicts"]["FAIL"] == second["verdicts"]["FAIL"] == 0
    rows = {row["engine"]: row for row in section["measured"]["rows"] if row["scale"] == "all"}
    assert rows["reference"]["ratio"]["worst"] < 1
    assert rows[wrong_engine]["ratio"]["worst"] > 1e3
    assert rows[wrong_engine]["kinds"]["failed"] > 0 == rows["reference"]["kinds"]["failed"]
    failure = section["measured"]["failures"][0]
    assert failure["explanation"].startswith("no class of arithmetic computes this value")
    page = " ".join((tmp_path / "out" / "report.md").read_text("utf-8").split())
    said = "1. **They do not agree.** **FAIL against the exact gradient**: `py:sign_error"
    assert said in page
    assert f"`{failure['token']}`" in page
    assert failure["coordinate"][0] == "W"
    assert exit_code(report) == 1


def test_nothing_verified_is_exit_code_4(tiny_report):
    _, report = tiny_report
    altered = copy.deepcopy(report)
    results = altered["sections"]["consistency"]["results"]
    accurate = altered["sections"]["accuracy"]["results"]["engines"]
    for part in (results, results["chain_rule"], *accurate):
        part["verdicts"] = {"PASS": 0, "FAIL": 0, "INCONCLUSIVE": 8, "UNSUPPORTED": 0}
    for check in altered["sections"]["real_data"]["results"]["checks"]:
        check["verdict"] = "UNSUPPORTED"
    assert exit_code(altered) == 4


# --- interrupted ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_what_was_measured_before_an_interruption_is_on_disk(stop, tiny, tmp_path, monkeypatch):
    def stopped(settings):
        raise stop("in the second section")

    quick_first = {"cost": SECTIONS["cost"], "accuracy": stopped, "million": SECTIONS["million"]}
    monkeypatch.setattr(run, "SECTIONS", quick_first)
    with pytest.raises(stop):
        write_report(tmp_path, tiny, command="x")
    report = read(tmp_path)
    assert list(report["sections"]) == ["cost"]
    assert not report["complete"]
    assert "**This report is incomplete**" in (tmp_path / "report.md").read_text("utf-8")
    assert (tmp_path / "tables" / "cost.csv").exists()
    assert list(tmp_path.rglob(".*")) == []


# --- settings -------------------------------------------------------------------------------------


def test_settings_read_back(tiny):
    assert Settings.from_json(json.loads(json.dumps(tiny.to_json()))) == tiny


def test_settings_of_another_version_are_refused(tiny):
    content = tiny.to_json()
    content["flavour"] = content.pop("seed")
    with pytest.raises(ValueError, match="flavour, seed"):
        Settings.from_json(content)


def test_the_full_report_asks_for_two_thousand_problems_and_whole_data_sets():
    full = Settings.full(seed=5)
    assert (full.problems, full.digits_rows, full.seed) == (2000, None, 5)
    assert full.longest_run > 1_000_000


def test_the_full_report_holds_right_engines_to_three_million_bounds():
    full = Settings.full()
    networks = [parse(token) for token in right_engines.tokens(full)]
    sizes = [(case.dtype, case.architecture.n_parameters) for case in networks]
    narrow = sum(n for dtype, n in sizes if dtype == "float32")
    fused = sum("fused" in name for name in CORRECT)
    everywhere = (1 + len(CORRECT) - fused) * sum(n for _, n in sizes)
    assert everywhere + fused * narrow >= 3_000_000
    assert full.jobs == 2
    assert {case.weight_scale for case in networks} == set(WEIGHT_SCALES)
    assert (full.accuracy_problems, full.ladder_draws >= 200) == (2000, True)


@pytest.mark.parametrize(("taken", "told"), [(1.0, "within"), (3.0, "**outside**"), (0.1, "out")])
def test_a_forecast_that_missed_is_said_where_it_is_said_how_sure_this_is(taken, told, tiny_report):
    _, report = tiny_report
    forecast = {"N": 99, "low": 0.5, "high": 2.0, "seconds": 1.0, "taken": taken}
    cost = report["sections"]["cost"]
    timings = cost["timings"] | {"foretold": forecast}
    sections = report["sections"] | {"cost": cost | {"timings": timings}}
    [said] = [text for text in grounds(report | {"sections": sections}) if "foretold" in text]
    assert told in said
    assert "N = 99" in said
