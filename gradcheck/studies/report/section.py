"""What a section hands back.

`results` follow from the settings alone: they are the same on every machine. `measured` numbers
depend on the last bits of the arithmetic: they are the same wherever `machine.arithmetic` is.
`timings` are the same nowhere. All three are as JSON has them; NaN and infinity are None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradcheck.problem import Problem


@dataclass(frozen=True)
class Section:
    """One section of the report.

    Attributes:
        results, measured, timings: see above.
        frames: tables to be written as CSV, by file name; figures are drawn from them.
        figures: those that are drawn already, by file name.
        cases: problems that did not pass and have no token, by file name.
    """

    results: dict[str, Any]
    measured: dict[str, Any]
    timings: dict[str, Any]
    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    cases: Mapping[str, Problem] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the three groups."""
        groups = {"results": self.results, "measured": self.measured, "timings": self.timings}
        converted: dict[str, Any] = to_json(groups)
        return converted


def to_json(value: Any) -> Any:
    """Convert numpy numbers and arrays, tuples and mappings to what JSON has."""
    if isinstance(value, Mapping):
        return {str(key): to_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [to_json(part) for part in value]
    if isinstance(value, bool | np.bool):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if isfinite(value) else None
    return value
