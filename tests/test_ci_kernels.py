"""CI runs the numerical tests under another kernel than the one that is live."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from some import some

ROOT = Path(__file__).parents[1]
KERNELS = runpy.run_path(str(ROOT / ".ci" / "kernels.py"))
AVX512 = {"pni", "avx", "avx2", "fma", "avx512f", "avx512dq", "avx512vl", "avx512bw"}


@pytest.mark.parametrize(
    ("live", "flags", "told"),
    [
        ("Haswell", AVX512, ["SkylakeX", "Sandybridge", "Prescott"]),
        ("SkylakeX", AVX512, ["Haswell", "Sandybridge", "Prescott"]),
        ("Haswell", {"pni", "avx", "avx2", "fma"}, ["Sandybridge", "Prescott"]),
        ("Sandybridge", {"pni", "avx"}, ["Prescott"]),
        ("Prescott", {"pni"}, []),
        ("Haswell", set(), []),
        (None, AVX512, []),
    ],
)
def test_another_kernel_is_one_that_the_processor_has_and_that_is_not_live(live, flags, told):
    assert KERNELS["others"](live, flags) == told


def test_the_flags_are_those_of_the_first_processor():
    assert KERNELS["flags_of"]("model\t: x\nflags\t\t: fpu avx\n\nflags\t: sse\n") == {"fpu", "avx"}
    assert KERNELS["flags_of"]("Features : neon") == set()


def test_the_kernel_that_is_asked_for_is_the_one_that_is_live():
    names = KERNELS["possible"](KERNELS["flags_of"](cpuinfo())) if KERNELS["live"]() else []
    if not names:
        pytest.skip("numpy has no kernels to choose from here")
    program = "import runpy; print(runpy.run_path('.ci/kernels.py')['live']())"
    for name in some(names):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"OPENBLAS_CORETYPE": name},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == name


def cpuinfo():
    path = Path("/proc/cpuinfo")
    return path.read_text("utf-8") if path.exists() else ""


def test_every_place_where_kernels_are_tested_exists():
    script = (ROOT / ".ci" / "kernels").read_text("utf-8")
    named = script.partition("numerical=(")[2].partition(")")[0].split()
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_ci_runs_them():
    assert '\n.ci/kernels "$python"\n' in (ROOT / ".ci" / "run").read_text("utf-8")
    assert '\n.ci/kernels "$1" all\n' in (ROOT / ".ci" / "nightly").read_text("utf-8")
