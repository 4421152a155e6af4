"""What was measured of an engine besides its verdicts: rounding model, lost digits, its loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradcheck.response import Responses
from gradcheck.response.figure import figures
from gradcheck.rounding import ARITHMETICS
from gradcheck.verification.findings import FAIL, Finding
from gradcheck.verification.words import line

STRICTEST = next(iter(ARITHMETICS))
DIFFERS = "two calls with the same arguments differ in their last bits, within rounding"


@dataclass(frozen=True)
class Shown:
    """What an engine has shown of its arithmetic.

    Attributes:
        declared: the rounding model that it declares, or "".
        models: how many problems needed which model, of those whose gradient agrees.
        problems: how many agree.
        has_failed: others did not.
        intervals: where its response curves leave the bound of its model, in sentences.
        notes: where it has no digit left, and where its loss is not finite.
        figures: its response curves beside the exact ones, as SVG, where they leave that bound.
        remarks: what was noted of problems that agree, and of how many of them.
    """

    declared: str = ""
    models: Mapping[str, int] | None = None
    problems: int = 0
    has_failed: bool = False
    intervals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    remarks: tuple[tuple[str, int], ...] = ()

    @property
    def model(self) -> str:
        """The narrowest model that explains every gradient which agrees, "" without any."""
        return max(self.models or (), key=list(ARITHMETICS).index, default="")

    def model_sentence(self) -> str:
        """Say which model it is, and on how many problems it was needed; "" where none agrees."""
        if not self.model:
            return ""
        meaning = f"{self.model} ({ARITHMETICS[self.model].meaning})"
        if self.declared:
            return f"{meaning}, as declared"
        of = f"of {self.problems:,} problems"
        if self.has_failed:
            of = f"of the {self.problems:,} problems that agree"
        needed = (self.models or {})[self.model]
        if self.model == STRICTEST:
            return f"{meaning}: no wider one is needed on any {of}"
        return f"{meaning}: needed on {needed:,} {of}, and nothing narrower explains them"

    def lines(self) -> tuple[str, ...]:
        """Tell all of it, one line each; what is told of failures comes with them."""
        model = self.model_sentence()
        noted = (f"on {n:,} of {self.problems:,} problems {what}" for what, n in self.remarks)
        return (*[f"rounding model: {model}"] * bool(model), *self.notes, *noted)


def shown(findings: Iterable[Finding], declared: str, response: Mapping[str, Any]) -> Shown:
    """Gather what was measured.

    Args:
        findings: all of the log.
        declared: the model that the engine declares, or "".
        response: the record of its response curves; empty if they were not measured.
    """
    agreement = [finding for finding in findings if finding.property == "agreement"]
    remarks = Counter(told for f in agreement if f.verdict != FAIL for told in _remarks(f))
    models = Counter(f.model for f in agreement if f.model in ARITHMETICS)
    sentences, notes = (_lines(response.get(name) or ()) for name in ("sentences", "notes"))
    return Shown(
        declared,
        dict(models),
        sum(models.values()),
        any(f.verdict == FAIL for f in agreement),
        sentences,
        notes,
        figures(Responses.from_json(response)) if response.get("curves") else (),
        tuple(remarks.most_common()),
    )


def _remarks(finding: Finding) -> Iterator[str]:
    """Yield what the notes of a problem that agrees say of every such problem."""
    for note in finding.notes:
        if note.startswith("the loss is not the one that is meant: "):
            yield note
        if note.startswith("two calls of ") and "within the allowance" in note:
            yield DIFFERS


def _lines(texts: Sequence[Any]) -> tuple[str, ...]:
    return tuple(line(text) for text in texts)
