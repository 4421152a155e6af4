"""A package of an extra that is missing is one sentence with the line that installs it."""

import builtins
import sys

import numpy as np
import pytest

import gradcheck
from gradcheck import cli
from gradcheck.writing.extras import EXTRAS, missing_extra


@pytest.fixture
def without(monkeypatch):
    """Returns what makes packages missing."""

    def make(*packages):
        real = builtins.__import__

        def imported(name, *arguments, **options):
            if name.partition(".")[0] in packages:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return real(name, *arguments, **options)

        for name in list(sys.modules):
            if name.startswith(
                ("gradcheck.cli.", "gradcheck.studies.report", "gradcheck.problems.strat")
            ):
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.delitem(vars(gradcheck), "strategies", raising=False)
        monkeypatch.setattr(builtins, "__import__", imported)

    return make


@pytest.mark.parametrize("package", ["pandas", "matplotlib", "tabulate"])
def test_a_report_without_its_extra_is_wrong_usage_and_says_what_to_install(
    package, without, capsys
):
    without(package)
    assert cli.main(["report"]) == 2
    told = f"gradcheck: {package} is not installed: pip install 'gradcheck[report]'\n"
    assert capsys.readouterr().err == told


def test_another_missing_module_is_our_own_failure(without, capsys):
    without("jinja2")
    assert cli.main(["report"]) == 4
    assert "gradcheck itself failed" in capsys.readouterr().err


def test_a_frame_needs_pandas(without):
    outcome = gradcheck.check_gradient(lambda x: float(x @ x), lambda x: 2 * x, np.ones(2))
    without("pandas")
    with pytest.raises(ImportError, match=r"pip install 'gradcheck\[report\]'"):
        outcome.to_frame()


def test_strategies_need_hypothesis(without):
    without("hypothesis")
    with pytest.raises(ImportError, match=r"hypothesis is not installed: pip install"):
        _ = gradcheck.strategies


def test_what_belongs_to_no_extra_is_not_told():
    assert EXTRAS.keys() >= {"pandas", "matplotlib", "tabulate", "hypothesis"}
    assert missing_extra(ModuleNotFoundError("no", name="numpy")) == ""
    assert missing_extra(ImportError("no")) == ""
