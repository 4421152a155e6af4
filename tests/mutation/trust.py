"""Names the modules that are put under mutation, and the tests that are asked about them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MODULES = (
    *(f"gradcheck/{folder}/*.py" for folder in ("outcomes", "differences", "certified")),
    *("gradcheck/rounding/*.py", "gradcheck/studies/layered/*.py", "gradcheck/patterns/causes.py"),
    *(
        f"gradcheck/checks/{name}.py"
        for name in (
            *("agreement", "contract", "exact", "examine", "gradient", "hessian", "jacobian"),
            "measured",
        )
    ),
    *(f"gradcheck/verification/{name}.py" for name in ("guarded", "judge", "property", "tally")),
)
"""What decides verdicts, bounds and exit codes."""

ELSEWHERE = (
    *(
        "tests/studies/report",
        "tests/studies/bench",
        "tests/studies/peers",
        "tests/wild",
        "tests/mutation",
    ),
    *("tests/reference_models", "tests/response", "tests/forward", "tests/test_imports.py"),
)
"""Tests that are not asked: of other packages, of pages, of text, and of other libraries."""


def modules(root: Path = ROOT) -> list[str]:
    """Return the paths of the modules, relative to the root."""
    found = [path for pattern in MODULES for path in root.glob(pattern)]
    return sorted(path.relative_to(root).as_posix() for path in found if path.stat().st_size > 99)


def files_with_tests(root: Path = ROOT) -> list[str]:
    """Return the paths of the files with tests, and of the modules, for their doctests."""
    found = [path.relative_to(root).as_posix() for path in root.glob("tests/**/test_*.py")]
    return sorted(path for path in found if not path.startswith(ELSEWHERE)) + modules(root)
