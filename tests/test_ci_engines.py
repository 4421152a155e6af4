"""CI's second stage: what cannot be installed is named test by test, and nothing is hidden."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from some import some

ROOT = Path(__file__).resolve().parent.parent
ADAPTERS = ("torch", "jax", "tensorflow", "pytensor", "autograd", "sklearn")
INDEX = "https://index.example/simple"

# Stands for python3: makes an "environment" whose python is this script again, installs what
# STAND_IN_HAS names and complains of an index at everything else, and runs tests by saying so.
STAND_IN = f"""#!/bin/sh
case "$*" in
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *"pip install"*)
        for last; do :; done
        case " .[test] $STAND_IN_HAS " in
            *" $last "*) ;;
            *) echo "Looking in indexes: {INDEX}" >&2; exit 1 ;;
        esac ;;
    *legacy_setup*) echo "{INDEX}"; exit 3 ;;
    *pytest*) echo "RAN $*"; exit "$STAND_IN_CODE" ;;
esac
"""

pytestmark = pytest.mark.skipif(
    os.name != "posix" or shutil.which("bash") is None, reason="a script for bash"
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout of what the stage reads, and no more: it makes a copy of its own each time."""
    root = tmp_path_factory.mktemp("checkout")
    for folder in (".ci", "tests/engines", "tests/studies/peers", "tests/wild"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture
def stage(tmp_path, checkout):
    """Run the stage with a stand-in for Python."""
    python = tmp_path / "python3"
    python.write_text(STAND_IN, "utf-8")
    python.chmod(0o755)

    def run(has="", code=0, **variables):
        installable = " ".join(f".[{extra}]" for extra in has.split())
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("GRADCHECK_")},
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "TMPDIR": str(tmp_path),
            "STAND_IN_HAS": installable,
            "STAND_IN_CODE": str(code),
            **variables,
        }
        return subprocess.run(
            [str(checkout / ".ci" / "engines")], capture_output=True, text=True, check=False,
            env=environment,
        )  # fmt: skip

    return run


def named(text, name, folder="engines"):
    return re.findall(
        rf"^NOT RUN tests/(?:studies/)?{folder}/{name}\.py::(test_\w+): ", text, re.MULTILINE
    )


def written_in(name, folder="engines"):
    (file,) = (ROOT / "tests").glob(f"**/{folder}/{name}.py")
    source = file.read_text("utf-8")
    return re.findall(r"^def (test_\w+)", source, re.MULTILINE)


@pytest.mark.parametrize("extra", ADAPTERS)
def test_without_a_library_every_test_of_its_adapter_is_named(extra, stage):
    others = " ".join(name for name in ADAPTERS if name != extra)
    done = stage(has=others)
    assert done.returncode == 0, done.stderr
    name = f"test_{extra}_adapter"
    assert named(done.stdout, name) == written_in(name) != []
    (ran,) = re.findall(r"^RAN .*", done.stdout, re.MULTILINE)
    assert name not in ran
    assert all(f"test_{other}_adapter.py" in ran for other in some(others.split()))
    assert ("test_other_libraries.py" in ran) == (extra not in ("torch", "jax"))


def test_the_peers_are_tested_or_named(stage):
    without = stage(has="torch").stdout
    assert named(without, "test_peers", "peers") == written_in("test_peers", "peers") != []
    assert named(without, "test_wild", "wild") == written_in("test_wild", "wild") != []
    (ran,) = re.findall(r"^RAN .*", without, re.MULTILINE)
    assert (
        "tests/studies/bench/test_bench_backprop.py tests/studies/bench/test_bench_by_hand.py"
        in ran
    )
    (ran,) = re.findall(r"^RAN .*", stage(has="peers").stdout, re.MULTILINE)
    assert "tests/studies/peers/test_peers.py tests/wild/test_wild.py" in ran
    assert "test_bench_backprop" not in ran
    assert "test_bench_by_hand" not in ran


def test_without_anything_nothing_is_said_to_have_passed(stage):
    done = stage()
    assert done.returncode == 0
    for extra in ADAPTERS:
        assert named(done.stdout, f"test_{extra}_adapter") == written_in(f"test_{extra}_adapter")
    assert "pytest -q --no-fold-skipped -p no:cacheprovider tests/engines/test_legacy.py" in (
        done.stdout
    )
    assert "passed" not in done.stdout


def test_a_failing_test_fails_the_stage(stage):
    assert stage(has="autograd", code=1).returncode == 1


def test_the_stage_can_be_left_out_and_says_so(stage):
    done = stage(has="torch", code=1, GRADCHECK_CI_ENGINES="0")
    assert done.returncode == 0
    assert "RAN" not in done.stdout
    assert len(named(done.stdout, "test_torch_adapter")) == len(written_in("test_torch_adapter"))
    assert named(done.stdout, "test_legacy") == written_in("test_legacy")


def test_only_the_extras_asked_for_are_installed(stage):
    done = stage(has="autograd sklearn", GRADCHECK_CI_ENGINES="sklearn")
    (ran,) = re.findall(r"^RAN .*", done.stdout, re.MULTILINE)
    assert ran.endswith("tests/engines/test_sklearn_adapter.py")
    assert "test_autograd_adapter.py::" in done.stdout


def test_no_index_is_shown(stage):
    done = stage(has="jax")
    assert INDEX not in done.stdout + done.stderr
    assert "torch cannot be installed here" in done.stdout
