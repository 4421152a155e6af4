"""Engines: whatever computes a loss and its gradient for a problem.

`base` is the contract, `registry` finds an engine by name, and each adapter has a file.

>>> from gradcheck import engines
>>> engines.find("reference").info.name
'reference'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcheck.engines.registry import find as find
    from gradcheck.engines.registry import names as names

__all__ = ["find", "names"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'gradcheck.engines' has no attribute {name!r}")
    from gradcheck.engines import registry  # noqa: PLC0415 - adapters are imported without it

    return getattr(registry, name)
