"""What a report was measured with: versions, processor, threads. No host names, no paths."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from gradcheck.engines.registry import find
from gradcheck.problems.case import parse
from gradcheck.studies.report.kernel import kernel
from gradcheck.threads import THREAD_SETTINGS

PROBES = (
    "gc1:20-30-10-1:cross_entropy:mean:m16:float64:w1:generic:binary:s1",
    "gc1:64-33-7:quadratic:sum:m17:float32:w3:generic:soft:s2",
)


def facts() -> dict[str, Any]:
    """Return versions, processor, cores, BLAS, its kernel and threads, date and arithmetic."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "gradcheck": sys.modules["gradcheck"].__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": cores(),
        "blas": f"{blas['name']} {blas['version']}",
        "blas_kernel": kernel(),
        "blas_threads": blas_threads(),
        "date": datetime.now(UTC).date().isoformat(),
        "arithmetic": arithmetic(),
    }


def processor() -> str:
    """Name the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not a Linux
    return platform.processor() or platform.machine()


def cores() -> int:
    """Count the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def blas_threads() -> str:
    """Say how many threads the linear algebra was told to use."""
    return next((os.environ[name] for name in THREAD_SETTINGS if name in os.environ), "not set")


def arithmetic() -> str:
    """Return a digest of the last bits of this machine's arithmetic.

    Matrix products and elementary functions may differ in their last bits from one processor or
    library to the next. Where the digests agree, so do all results, bit for bit.
    """
    digest = hashlib.sha256()
    engine = find("reference")
    for token in PROBES:
        value, layers = engine.value_and_grad(parse(token).problem())
        for array in (np.float64(value), *(part for pair in layers for part in pair)):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]
