"""Libraries behind adapters: their versions are known unimported, and what is missing is told."""

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from gradcheck import cli
from gradcheck.engines import installed, registry
from gradcheck.engines.base import EngineInfo, Unsupported
from gradcheck.engines.installed import Library, NotInstalledError, require_supported
from gradcheck.engines.registry import EngineNotFoundError, describe, find
from gradcheck.problems.case import Case

ROOT = Path(__file__).parents[2]
ADAPTERS = [name for name, target in registry.BUILT_IN.items() if "_adapter:" in target]
ABSENT = Library("absent", ["no-such-distribution"], "https://example.org")


@pytest.fixture
def nothing_installed(monkeypatch):
    def version(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installed, "version", version)


def test_a_version_is_that_of_the_first_distribution_there_is():
    there = Library("numpy", ["no-such-distribution", "numpy"], "https://example.org")
    assert there.version[0].isdigit()
    there.require()
    assert ABSENT.version == ""


def test_a_missing_library_is_told_in_one_line():
    with pytest.raises(NotInstalledError) as raised:
        ABSENT.require()
    assert str(raised.value) == "not installed: pip install 'gradcheck[absent]'"
    assert ABSENT.info("absent", ["float64"], "p_minus_y").version == "not installed"


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_whose_library_is_missing_is_told(name, nothing_installed):
    told = rf"engine '{name}' is not installed: pip install 'gradcheck\[\w+\]'"
    with pytest.raises(EngineNotFoundError, match=told):
        find(name)
    with pytest.raises(NotInstalledError, match="pip install"):
        describe(name)


def test_missing_libraries_are_lines_of_the_list(nothing_installed, capsys):
    assert cli.main(["engines"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ADAPTERS:
        (line,) = [line for line in lines if line.split()[0] == name]
        assert "not installed: pip install 'gradcheck[" in line


def is_missing(name):
    try:
        find(name)
    except EngineNotFoundError:
        return True
    return False


def test_asking_for_a_missing_one_is_exit_code_3(capsys):
    """The engine runs in a process of its own, from which nothing that is installed is kept."""
    missing = next(filter(is_missing, ADAPTERS), None)
    if missing is None:
        pytest.skip("every library is installed")
    assert cli.main(["replay", Case().token, missing]) == 3
    captured = capsys.readouterr()
    told = f"engine '{missing}' is not installed: pip install 'gradcheck["
    assert told in captured.err
    assert captured.out == ""


def test_every_extra_that_is_named_installs_the_library():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for name in ADAPTERS:
        found = registry._load(name, registry.BUILT_IN[name]).source
        requirements = " ".join(project["optional-dependencies"][found.extra])
        assert found.distributions[0] in requirements


def test_listing_engines_imports_no_library():
    program = (
        "import sys; from gradcheck.cli import main; main(['engines']); "
        "print('loaded', *[m for m in sys.modules if '.' not in m])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    *_, loaded = done.stdout.splitlines()
    heavy = {"torch", "jax", "tensorflow", "pytensor", "autograd", "sklearn"}
    assert loaded.startswith("loaded ")
    assert heavy.isdisjoint(loaded.split())


@pytest.mark.parametrize("name", ADAPTERS)
def test_names_are_those_that_engines_are_registered_under(name):
    assert registry._load(name, registry.BUILT_IN[name]).info.name == name


def test_what_the_lists_do_not_name_is_unsupported():
    info = EngineInfo("e", "1", ("float64",), ("quadratic",), ("sum",))
    require_supported(Case(loss="quadratic", reduction="sum").problem(), info)
    with pytest.raises(Unsupported, match="loss cross_entropy; e takes quadratic"):
        require_supported(Case(reduction="sum").problem(), info)
    with pytest.raises(Unsupported, match="reduction mean; e takes sum"):
        require_supported(Case(loss="quadratic").problem(), info)
    with pytest.raises(Unsupported, match="dtype float32; e takes float64"):
        require_supported(Case(loss="quadratic", dtype="float32").problem(), info)
