"""What a finding says of itself besides formulas: the explaining class, the exception."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gradcheck.outcomes.reasons import Reason
from gradcheck.verification.findings import Finding

EXCEPTION = re.compile(r"(?:loss|value_and_grad) raised (\w+)")
DIED = "died"


def kind(finding: Finding) -> str:
    """Name what an engine raised, or that it died; "" for other reasons."""
    return raised(finding.detail) if finding.reason == Reason.RAISED.value else ""


def label(finding: Finding | Mapping[str, Any]) -> str:
    """Return the class of algorithms that explains the gradient, or "".

    >>> label({"explanation": "clipped loss: clipped at 1e-07; no sign"})
    'clipped loss'
    """
    told = finding.explanation if isinstance(finding, Finding) else finding["explanation"]
    first = str(told).split(";")[0]
    return first.partition(": ")[0] if ": " in first else ""


def raised(detail: str) -> str:
    """Return the exception, or that the engine died.

    >>> raised("value_and_grad raised OSError: no disk (e.py:3)")
    'OSError'
    """
    found = EXCEPTION.match(detail)
    return found[1] if found else DIED
