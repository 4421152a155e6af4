"""Optional packages, and the extra of gradcheck that installs each."""

from __future__ import annotations

EXTRAS = {
    "hypothesis": "report",
    "pandas": "report",
    "tabulate": "report",
    "matplotlib": "report",
    "pytest": "test",
}
"""The extra that installs a package which the core does without."""


def missing_extra(error: ImportError) -> str:
    """Return what to install where an optional package is missing, "" where it is none of them.

    >>> missing_extra(ModuleNotFoundError("No module named 'pandas'", name="pandas"))
    "pandas is not installed: pip install 'gradcheck[report]'"
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return ""
    return f"{package} is not installed: pip install 'gradcheck[{EXTRAS[package]}]'"
