"""What failures have in common: property, reason and kind.

The kind is what the finding says of the cause, less its numbers: the class of algorithms that
explains the gradient; else the likely mistake; else, of an engine that raised, the exception, or
that it died, or that it did not answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from gradcheck.diagnose import UNKNOWN
from gradcheck.verdict import Reason

NUMBER = re.compile(r"[-+]?\b[0-9][0-9.]*(e[-+]?[0-9]+)?(/[0-9]+)?\b|(?<=[Wb_])[0-9]+")
FITTED = re.compile(r"-?[0-9]+(\.[0-9]+(e[-+]?[0-9]+)?|e[-+]?[0-9]+)")
LAYER = re.compile(r"(?:layer ([0-9]+)|all layers): (.*)")
INDEX = re.compile(r"_([0-9]+)")
COUNTED = re.compile(r", (but|it lacks) .*")
PLACE = re.compile(r" in (rows?|columns?|units?|entry|entries) .*")
FACTOR = re.compile(
    r" (has an extra factor|lacks the factor 1/m|has the factor 1/m|is divided by).*"
)
EACH_TIME = "expected the gradient of the problem that is given, each time"
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
    >>> mistake({"diagnosis": "layer 3: delta_3 is (delta_4 * sigmoid'(z_4)) W_4; expected ..."})
    "delta_l is (delta_{l+1} * sigmoid'(z_{l+1})) W_{l+1}"
    """
    first = str(finding["diagnosis"]).split(";")[0]
    if first.startswith(("only ", UNKNOWN)):
        return ""
    if named := LAYER.match(first):
        return _of_layers(int(named[1] or 0), named[2])
    what = PLACE.sub("", first.rpartition(": ")[2])
    return " ".join(NUMBER.sub("", what).split())


def _of_layers(layer: int, says: str) -> str:
    """Write an equation for any layer: indices beside l, no fitted numbers, no places."""

    def index(found: re.Match[str]) -> str:
        apart = int(found[1]) - layer
        return f"_{{l{apart:+d}}}" if apart else "_l"

    says = COUNTED.sub("", PLACE.sub("", says))
    return " ".join(FITTED.sub("", INDEX.sub(index, says)).split())


def is_same_failure(finding: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two findings fail for the same reason.

    Property, reason and explaining class must be equal. Of the likely mistakes one may be missing:
    the pattern that a mistake makes is lost in networks that are too small to show it. Two patterns
    in the same block are the same mistake, which looks simpler in a smaller block; so are two
    factors of one step, which may mean other widths there, and two things said of how answers
    depend on the calls before.
    """
    return _is_same(finding, other, _coarsely)


def is_same_step(finding: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two findings have the same step wrong, or one of them has none that is known."""
    return _is_same(finding, other, _step)


def _is_same(
    finding: Mapping[str, Any],
    other: Mapping[str, Any],
    mistake_of: Callable[[Mapping[str, Any]], str],
) -> bool:
    if any(finding[name] != other[name] for name in ("property", "verdict", "reason")):
        return False
    if finding["reason"] == Reason.RAISED.value:
        return kind(finding) == kind(other)
    mistakes = {mistake_of(finding), mistake_of(other)} - {""}
    return label(finding) == label(other) and len(mistakes) <= 1


def _step(finding: Mapping[str, Any]) -> str:
    """Return delta_l, dC/dW_l or dC/db_l, whichever is told to be wrong, or ""."""
    is_layer = str(finding["diagnosis"]).startswith("layer ")
    return mistake(finding).partition(" ")[0] if is_layer else ""


def _coarsely(finding: Mapping[str, Any]) -> str:
    """Return the likely mistake; of patterns and factors, the step; of what is kept, that it is."""
    told, what = str(finding["diagnosis"]), mistake(finding)
    if "; a pattern, no formula gives it" in told:
        return what.partition(" ")[0]
    if told.startswith("all layers: ") and EACH_TIME in told:
        return EACH_TIME
    return FACTOR.sub(" has a factor", what)


def _raised(detail: str) -> str:
    found = EXCEPTION.match(detail)
    if found:
        return found[1]
    return "no answer" if detail.startswith("no answer") else "died"
