"""A checkout stays as clean as it was, whatever is measured in it, and no link leads nowhere."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gradcheck import cli
from gradcheck.cli import report as report_command
from gradcheck.studies.bench import run as bench
from gradcheck.studies.report import run as report
from gradcheck.studies.report.engines import run as engines

ROOT = Path(__file__).parents[1]
OWN = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
"""The pages that are written by hand."""
PAGES = sorted([*OWN, *ROOT.glob("reports/*/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
TO_HEADING = re.compile(r"\]\(([^)#\s:]*\.md)?#([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clean clone, as git sees it, of this project's .gitignore and published pages."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    shutil.copy(ROOT / ".gitignore", tmp_path)
    for page in ROOT.glob("reports/*/*.md"):
        copy = tmp_path / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(page, copy)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    identity = "-c", "user.name=x", "-c", "user.email=x", "-c", "commit.gpgsign=false"
    git(tmp_path, *identity, "commit", "--quiet", "--message", "x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def git(folder, *words):
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)  # noqa: S607
    return done.stdout


WRITERS = {
    (report, "write_report"): ["report"],
    (engines, "write_comparison"): ["report", "--engine", "all"],
    (bench, "write_bench"): ["bench", "--quick"],
}


@pytest.mark.parametrize(("writer", "command"), WRITERS.items(), ids=lambda part: part[-1])
def test_what_is_measured_leaves_a_clean_clone_clean(writer, command, clone, monkeypatch):
    def written(folder, *_, **__):
        """A quick stand-in: writes everything that is published, and is interrupted."""
        for page in ROOT.glob("reports/*/*.md"):
            (folder / "tables").mkdir(parents=True, exist_ok=True)
            for name in (page.name, "report.json", "tables/cost.csv"):
                (folder / name).write_text("fresh", "utf-8")
        raise KeyboardInterrupt

    monkeypatch.setattr(*writer, written)
    assert cli.main(command) == 130
    assert list(clone.rglob("cost.csv"))
    assert git(clone, "status", "--porcelain") == ""


def test_what_is_published_is_told_to_git(clone):
    assert cli.main(["report", "--claim", "C99"]) == 2
    (clone / "reports" / "standard" / "report.md").write_text("fresh", "utf-8")
    assert git(clone, "status", "--porcelain") == " M reports/standard/report.md\n"


def test_what_is_published_is_what_check_compares_with(monkeypatch):
    asked = []
    monkeypatch.setattr(report_command, "_check_report", lambda folder: asked.append(folder) or 0)
    assert cli.main(["report", "--check"]) == 0
    assert [str(folder) for folder in asked] == ["reports/standard"]
    assert (ROOT / asked[0] / "report.json").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    links = LINK.findall(page.read_text("utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", OWN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_heading_finds_it(page):
    for name, heading in TO_HEADING.findall(page.read_text("utf-8")):
        target = page.parent / name if name else page
        titles = HEADING.findall(target.read_text("utf-8"))
        assert heading in [re.sub(r"[^\w\- ]", "", t).lower().replace(" ", "-") for t in titles]


def test_the_pages_that_are_published_are_among_those_whose_links_are_followed():
    names = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert {
        "README.md",
        "docs/measured.md",
        "reports/standard/report.md",
        "reports/bench/bench.md",
    } <= names
