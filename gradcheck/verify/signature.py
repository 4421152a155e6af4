"""What failures have in common: property, reason and kind.

The kind is what the finding says of the cause, less its numbers: the class of algorithms that
explains the gradient; else the likely mistake; else, of an engine that raised, the exception, or
that it died, or that it did not answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gradcheck.diagnose import UNKNOWN
from gradcheck.verdict import Reason

NUMBER = re.compile(r"[-+]?\b[0-9][0-9.]*(e[-+]?[0-9]+)?(/[0-9]+)?\b|(?<=[Wb_])[0-9]+")
PLACE = re.compile(r" in (rows?|columns?|units?|entry|entries) .*")
EXCEPTION = re.compile(r"(?:loss|value_and_grad) raised (\w+)")


def signature(finding: Mapping[str, Any]) -> str:
    """Return property/reason/kind, the kind being left out where nothing is known.

    >>> signature({"property": "agreement", "reason": "mismatch", "detail": "", "diagnosis": "",
    ...            "explanation": "clipped loss: clipped at 1e-07; no sign"})
    'agreement/mismatch/clipped loss'
    """
    parts = (finding["property"], finding["reason"], kind(finding))
    return "/".join(part for part in parts if part)


def kind(finding: Mapping[str, Any]) -> str:
    """Name the kind of a failure, or return ""."""
    if finding["reason"] == Reason.RAISED.value:
        return _raised(finding["detail"])
    return label(finding) or mistake(finding)


def label(finding: Mapping[str, Any]) -> str:
    """Return the class of algorithms that explains the gradient, or ""."""
    first = str(finding["explanation"]).split(";")[0]
    return first.partition(": ")[0] if ": " in first else ""


def mistake(finding: Mapping[str, Any]) -> str:
    """Return the likely mistake without its numbers and places, or "".

    >>> mistake({"diagnosis": "engine = 2.0 x the derivative in every wrong coordinate: "
    ...                       "a factor 1/2 is missing; only W1, b1 wholly wrong"})
    'a factor is missing'
    >>> mistake({"diagnosis": "layer 1: delta_1 lacks the factor sigmoid'(z_1); expected ..."})
    "delta_ lacks the factor sigmoid'(z_)"
    """
    first = str(finding["diagnosis"]).split(";")[0]
    if first.startswith(("only ", UNKNOWN)):
        return ""
    what = PLACE.sub("", first.rpartition(": ")[2])
    return " ".join(NUMBER.sub("", what).split())


def is_same_failure(finding: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two findings fail for the same reason.

    Property, reason and explaining class must be equal. Of the likely mistakes one may be missing:
    the pattern that a mistake makes is lost in networks that are too small to show it.
    """
    if any(finding[name] != other[name] for name in ("property", "verdict", "reason")):
        return False
    if finding["reason"] == Reason.RAISED.value:
        return kind(finding) == kind(other)
    mistakes = {mistake(finding), mistake(other)} - {""}
    return label(finding) == label(other) and len(mistakes) <= 1


def _raised(detail: str) -> str:
    found = EXCEPTION.match(detail)
    if found:
        return found[1]
    return "no answer" if detail.startswith("no answer") else "died"
