"""The pytest plugin and the conformance tests, each in a pytest of its own."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from gradcheck import conformance, pytest_plugin
from gradcheck.checks.exact import TESTS
from gradcheck.conformance import Verification, planned
from gradcheck.engines.base import EngineInfo
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problems.corners import CORNERS
from gradcheck.verification import plan
from gradcheck.verification.property import finding_of
from gradcheck.verification.worker import Reply

ROOT = Path(__file__).resolve().parent.parent

INFO = EngineInfo("some", "1", ("float64",), ("cross_entropy",), ("mean",))
FOUND = finding_of("agreement", Outcome(Verdict.FAIL, Reason.RAISED, "no answer"))

ENGINES = """
from gradcheck.engines.base import EngineInfo
from gradcheck.engines.registry import find

reference = find("reference")


class Right:
    limits = {"corners": ["generic", "saturated"], "max_depth": 1, "max_parameters": 6}
    info = EngineInfo("right", "1", ("float64",), ("cross_entropy",), ("mean",), limits=limits)

    def loss(self, problem):
        return reference.loss(problem)

    def value_and_grad(self, problem):
        value, layers = reference.value_and_grad(problem)
        return value, [self.gradient(problem, W, b) for W, b in layers]

    def gradient(self, problem, W, b):
        return W, b

    def close(self):
        pass


class Doubled(Right):
    def gradient(self, problem, W, b):
        return 2 * W, b


"""

OWN = """
import numpy as np

x = np.array([0.5, 1.0])


def f(x):
    return np.sum(np.sin(x))


def test_right(gradcheck):
    gradcheck.assert_gradient(f, np.cos, x)
    assert gradcheck.check_gradient(f, np.cos, x).repeat.endswith(f"seed={gradcheck.seed})")
    assert gradcheck.cost.forward_passes > 2 * x.size
    assert gradcheck.cost.backward_passes > 0


def test_seed(gradcheck):
    assert gradcheck.check_gradient(f, np.cos, x, seed=3).repeat.endswith("seed=3)")


def test_wrong(gradcheck):
    gradcheck.assert_gradient(f, np.sin, x)


def test_without():
    pass
"""

LIGHT = """
import sys


def test_nothing_was_loaded():
    assert "gradcheck.pytest_plugin" in sys.modules
    names = {name for name in sys.modules if name.startswith(("gradcheck.", "numpy"))}
    assert names == {"gradcheck.pytest_plugin"}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "conformance_engines.py").write_text(ENGINES, "utf-8")
    (tmp_path / "test_own.py").write_text(OWN, "utf-8")
    (tmp_path / "test_light.py").write_text(LIGHT, "utf-8")
    return tmp_path


def run(folder, *arguments, autoload=False, path=()):
    """Run pytest; return its exit code and what it says."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT]))}
    environment.pop("PYTEST_ADDOPTS", None)
    plugin = ["-p", "no:hypothesispytest" if autoload else "gradcheck.pytest_plugin"]
    if not autoload:
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    program = [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", *plugin]
    done = subprocess.run(
        [*program, *arguments], capture_output=True, text=True, check=False, cwd=folder,
        env=environment,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def conform(folder, engine, *arguments):
    options = ["--gradcheck-engine", engine, "--gradcheck-examples", "4", *arguments]
    return run(folder, "--pyargs", "gradcheck.conformance", *options)


# --- the conformance tests ------------------------------------------------------------------------


def test_a_right_engine_conforms(folder):
    spec = "py:conformance_engines:Right"
    code, said = conform(folder, spec, "--gradcheck-seed", "1", "-v", "-rs")
    assert code == 0
    assert f"gradcheck: engine {spec}, 4 examples, seed 1" in said
    for name in ("agreement[generic]", "consistency[generic]", "exact[powers of two]"):
        assert f"test_{name} PASSED" in said
    collected = len(CORNERS) * 2 + len(TESTS)
    assert f"collected {collected} items" in said
    assert "agreement, stationary: 0 problems: none: none was drawn" in " ".join(said.split())
    assert re.search(r"= gradcheck =+\n[0-9,]{2,} forward and [1-9][0-9,]* backward passes\n", said)
    assert "replay:" not in said
    assert "likely cause" not in said


def test_a_wrong_engine_fails_with_the_whole_story_and_how_to_repeat_it(folder):
    spec = "py:conformance_engines:Doubled"
    code, said = conform(folder, spec, "--junitxml", "j.xml", "-k", "agreement and generic")
    assert code == 1
    assert re.search(r"\nagreement, generic: [34] problems: [34] FAIL\n", said)
    for told in ("worst", "smallest", "explained by", "likely cause"):
        assert f"\n  {told}  " in said
    assert "layer 1: dC/dW_1 has an extra factor 2\n" in said
    assert "\n                expected dC/dW_1 = delta_1^T X\n" in said
    token = "gc1:1-1:cross_entropy:mean:m1:float64:w1:generic:binary:s0"
    assert f"\nreplay: python -m gradcheck replay {token} {spec}\n" in said
    assert "Traceback" not in said
    root = ET.parse(folder / "j.xml").getroot()  # noqa: S314 - this project's own file
    [failure] = root.iter("failure")
    assert f"replay        python -m gradcheck replay {token} {spec}" in failure.text


def test_an_engine_that_cannot_be_loaded_is_an_error(folder):
    code, said = conform(folder, "py:conformance_engines:Absent", "-k", "exact")
    assert code == 1
    assert f"{len(TESTS)} errors" in said
    assert "has no 'Absent'" in said
    assert "Traceback" not in said


class Answers:
    """A pool whose engine gives the same reply to everything."""

    def __init__(self, reply, info=INFO):
        self.reply, self.info = reply, info

    def drive(self, pieces):
        for work in pieces:
            try:
                next(work)
                while True:
                    work.send(self.reply)
            except StopIteration as end:
                yield end.value


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(None, ("unusable", "it is lost")), "the engine is unusable: it is lost"),
        (Reply(FOUND, ("died", "it died again")), "the engine is unusable: it died again"),
    ],
)
def test_an_engine_that_is_lost_or_dies_again_and_again_is_unusable(reply, told):
    run = Verification(plan.Plan(plan.Settings(engine="", examples=60), INFO), Answers(reply))
    for _ in range(2):  # and it is so for every test that follows
        with pytest.raises(pytest.fail.Exception, match=told):
            run.examine("agreement", "generic", SimpleNamespace(stash=pytest.Stash()))


def test_what_is_refused_is_replaced_and_verifies_nothing():
    refused = Reply(FOUND | {"verdict": "UNSUPPORTED", "detail": "only on Sundays"})
    run = Verification(plan.Plan(plan.Settings(engine="", examples=4), INFO), Answers(refused))
    told = r"agreement, generic: [1-9][0-9]* problems: [0-9]+ UNSUPPORTED; only on Sundays \("
    with pytest.raises(pytest.skip.Exception, match=told):
        run.examine("agreement", "generic", SimpleNamespace(stash=pytest.Stash()))


def test_an_engine_of_another_loss_is_not_verified():
    other = replace(INFO, losses=("hinge",))
    with pytest.raises(pytest.skip.Exception, match="nothing was verified: some has the losses"):
        planned(plan.Settings(engine=""), Answers(None, other))
    senseless = replace(INFO, limits={"max_depth": 0})
    with pytest.raises(pytest.fail.Exception, match="the limits of some: max_depth=0"):
        planned(plan.Settings(engine=""), Answers(None, senseless))


@pytest.mark.parametrize("plugin", [{"gradcheck_engine": None}, {}])
def test_conformance_asks_for_an_engine(plugin):
    metafunc = SimpleNamespace(config=SimpleNamespace(getoption=plugin.get))
    with pytest.raises(pytest.Collector.CollectError, match="needs the option --gradcheck-engine"):
        conformance.pytest_generate_tests(metafunc)


# --- the fixture ----------------------------------------------------------------------------------


def test_the_fixture_checks_with_the_seed_and_tells_cost_and_how_to_repeat(folder):
    code, said = run(folder, "test_own.py", "--gradcheck-seed", "7")
    assert code == 1
    assert "1 failed, 3 passed" in said
    assert "gradcheck: seed 7" in said
    assert "GradientMismatch: FAIL (mismatch): 2 of 2 coordinates are wrong" in said
    assert "pytest_plugin.py" not in said
    assert re.search(r"= gradcheck =+\n[1-9][0-9,]* forward and [1-9][0-9]* backward", said)
    again = "python -m pytest test_own.py::test_wrong --gradcheck-seed 7"
    assert f"\nreplay: {again}\n" in said
    assert said.count("replay:") == 1


@pytest.mark.by_day(2)
@pytest.mark.parametrize(
    "option", ["--gradcheck-examples=0", "--gradcheck-seed=-1", "--gradcheck-seed=x"]
)
def test_a_senseless_option_is_wrong_usage(option, folder):
    code, said = run(folder, option, "test_light.py")
    assert code == 4
    assert option.partition("=")[0] in said


# --- unused ---------------------------------------------------------------------------------------


def test_unused_the_plugin_loads_nothing_and_says_one_line(folder):
    code, said = run(folder, "test_light.py")
    assert code == 0, said
    assert said.count("gradcheck") == 1
    assert "\ngradcheck: seed 0\n" in said


def test_loading_the_plugin_loads_the_plugin_alone():
    program = (
        "import sys, pytest\n"
        "before = {*sys.modules}\n"
        "import gradcheck.pytest_plugin\n"
        "print(*{*sys.modules} - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert set(done.stdout.split()) == {"gradcheck", "gradcheck.pytest_plugin"}


# --- as installed ---------------------------------------------------------------------------------


@pytest.fixture
def installed(folder):
    """A folder that looks to Python like an installation of this distribution."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    info = folder / "site" / f"{declared['name']}-{declared['version']}.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {declared['name']}\nVersion: {declared['version']}\n"
    (info / "METADATA").write_text(metadata, "utf-8")
    lines = [f"{name} = {target}" for name, target in declared["entry-points"]["pytest11"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines, ""]), "utf-8")
    files = [f"gradcheck/{name}.py,," for name in ("__init__", "pytest_plugin", "conformance")]
    (info / "RECORD").write_text("\n".join([*files, ""]), "utf-8")
    return folder


def test_an_installed_plugin_is_found(installed):
    [found] = importlib.metadata.distributions(path=[str(installed / "site")])
    assert [(e.group, e.name) for e in found.entry_points] == [("pytest11", "gradcheck")]
    code, said = run(installed, "test_light.py", autoload=True, path=[installed / "site"])
    assert code in (0, 1)  # other plugins of this environment may load what they like
    assert "\ngradcheck: seed 0\n" in said
    assert "plugins: " in said


def test_an_installed_plugin_can_be_switched_off(installed):
    off = ("-p", "no:gradcheck", "test_own.py", "-k", "without")
    code, said = run(installed, *off, autoload=True, path=[installed / "site"])
    assert (code, "gradcheck: " in said) == (0, False)


def test_the_plugin_repeats_the_defaults_of_verify():
    assert pytest_plugin.EXAMPLES == plan.EXAMPLES
    assert plan.Settings(engine="").seed == 0
