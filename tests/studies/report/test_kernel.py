"""The kernel of numpy's matrix products is named, or said to be unknown."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradcheck.studies.report import machine, tables
from gradcheck.studies.report.kernel import UNKNOWN, kernel


def has_avx():
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and " avx " in cpuinfo.read_text("utf-8")


@pytest.mark.skipif(kernel() == UNKNOWN or not has_avx(), reason="no kernel to choose from here")
def test_the_kernel_that_is_asked_for_is_named():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from gradcheck.studies.report.kernel import kernel; print(kernel())",
        ],
        env=os.environ | {"OPENBLAS_CORETYPE": "Sandybridge"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "Sandybridge"


def test_a_numpy_without_openblas_has_an_unknown_one(tmp_path):
    package = tmp_path / "numpy"
    package.mkdir()
    assert kernel(package) == UNKNOWN
    libraries = tmp_path / "numpy.libs"
    libraries.mkdir()
    (libraries / "libgfortran.so").write_bytes(b"")
    assert kernel(package) == UNKNOWN


def test_it_stands_in_the_table_of_the_machine():
    facts = machine.facts()
    assert facts["blas_kernel"] == kernel(Path(np.__file__).parent)
    planted = tables.machine({"machine": {**facts, "blas_kernel": "Planted"}})
    (line,) = (line for line in planted.splitlines() if "its kernel" in line)
    assert "Planted" in line
    del facts["blas_kernel"]
    assert "its kernel" not in tables.machine({"machine": facts})
