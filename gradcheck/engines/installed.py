"""The libraries behind the adapters: which version is installed, and how to get one that is not.

An adapter is a class with two attributes, `library` and `info`, which are known without importing
the library; making an engine of the class imports it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gradcheck.engines.base import EngineInfo, Unsupported
from gradcheck.problem import LOSSES, REDUCTIONS, Problem, dtype_name


class NotInstalledError(ImportError):
    """The library behind an engine is not installed; the message says how to get it."""


@dataclass(frozen=True)
class Library:
    """A library that engines are made of.

    Attributes:
        extra: the extra of this distribution that installs it.
        distributions: the names it is distributed under, the usual one first.
        issues_url: where its wrong gradients are reported.
    """

    extra: str
    distributions: Sequence[str]
    issues_url: str

    @property
    def version(self) -> str:
        """The installed version, "" if there is none."""
        for name in self.distributions:
            try:
                return version(name)
            except PackageNotFoundError:
                continue
        return ""

    def require(self) -> None:
        """Say in one line what is missing.

        Raises:
            NotInstalledError: no distribution of the library is installed.
        """
        if not self.version:
            raise NotInstalledError(f"not installed: pip install 'gradcheck[{self.extra}]'")

    def info(
        self,
        name: str,
        dtypes: Sequence[str],
        arithmetic: str,
        *,
        losses: Sequence[str] = LOSSES,
        reductions: Sequence[str] = REDUCTIONS,
        limits: Mapping[str, Any] | None = None,
    ) -> EngineInfo:
        """Describe an engine of this library; arguments as in `EngineInfo`."""
        return EngineInfo(
            name,
            self.version or "not installed",
            tuple(dtypes),
            tuple(losses),
            tuple(reductions),
            issues_url=self.issues_url,
            arithmetic=arithmetic,
            limits=limits or {},
        )


def require_supported(problem: Problem, info: EngineInfo) -> None:
    """Refuse what the lists of an engine do not name.

    Raises:
        Unsupported: its dtype, loss or reduction is not among them.
    """
    network = problem.architecture
    asked = (
        ("dtype", dtype_name(problem.dtype), info.dtypes),
        ("loss", network.loss, info.losses),
        ("reduction", network.reduction, info.reductions),
    )
    for kind, value, known in asked:
        if value not in known:
            raise Unsupported(f"{kind} {value}; {info.name} takes {', '.join(known)}")
