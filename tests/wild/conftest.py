"""Which files of this folder hold no tests, and marks that SciPy's own tests have.

The files need libraries that are not always there; SciPy's functions are imported from its tests.
"""

import pytest

collect_ignore_glob = ["*_samples.py", "table.py"]

MARKS = (
    "array_api_backends",
    "fail_slow",
    "iterations",
    "parallel_threads_limit",
    "skip_xp_backends",
    "slow",
    "thread_unsafe",
    "timeout",
    "uses_xp_capabilities",
    "xfail_on_32bit",
    "xfail_xp_backends",
    "xslow",
)


def pytest_configure(config: pytest.Config) -> None:
    """Declare SciPy's marks, which pytest would refuse as unknown."""
    for mark in MARKS:
        config.addinivalue_line("markers", f"{mark}: one of SciPy's")
