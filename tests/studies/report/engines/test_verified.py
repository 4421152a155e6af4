"""The table of full verifications, from their logs."""

import sys
from pathlib import Path

import pytest
from some import some

from gradcheck.studies.report.engines import verified
from gradcheck.verification import shrink
from gradcheck.verification.plan import Settings
from gradcheck.verification.run import verify

sys.path.insert(0, str(Path(__file__).parents[3] / "verification"))
from in_process import without_processes

SMALL = (("max_parameters", 20), ("max_depth", 3), ("max_batch", 4), ("corners", ("generic",)))


@pytest.fixture(scope="module")
def logs(tmp_path_factory, request):
    """Logs of a right engine and of a wrong one."""
    folder = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(request.path.parent)
        patch.setattr(shrink, "CHECKS", 12)
        without_processes(patch)
        for name, spec in (("right", "reference"), ("wrong", "py:comparison_engines:doubled")):
            settings = Settings(engine=spec, examples=4, dtype="float64", limits=SMALL)
            verify(settings, log=folder / f"{name}.jsonl")
    return folder


def test_the_table_holds_verdict_counts_and_the_smallest_failure(logs):
    out = logs / "verify.md"
    command = ["--out", str(out), str(logs / "right.jsonl"), str(logs / "wrong.jsonl")]
    assert verified.main(command) == 0
    page = out.read_text("utf-8")
    right, *wrong = (line for line in page.splitlines() if line.startswith("| `"))
    cells = [cell.strip() for cell in right.split("|")[1:-1]]
    assert cells[0] == "`reference`"
    assert cells[2:4] == ["VERIFIED", "0"]
    assert cells[4].split(" / ")[1] == cells[5].split(" / ")[1] == "0"
    assert "**WRONG**" in wrong[0]
    failures = wrong[1:]
    assert any("`gc1:1-1:" in line and "| agreement" in line for line in failures)
    assert all(" times its allowance" in line or "bit for bit" in line for line in some(failures))


def test_no_folder_of_this_machine_is_named(logs):
    page = verified.render([verified.read(logs / "wrong.jsonl")])
    assert str(logs) not in page


@pytest.mark.parametrize("content", [b"", b"half a li", b'{"kind":"case"}\n'])
def test_what_is_no_log_is_refused(content, tmp_path, capsys):
    path = tmp_path / "some.jsonl"
    path.write_bytes(content)
    assert verified.main(["--out", str(tmp_path / "verify.md"), str(path)]) == 2
    assert "gradcheck: " in capsys.readouterr().err
    assert not (tmp_path / "verify.md").exists()
