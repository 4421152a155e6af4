"""Verdicts: the one name under which all that is said of a gradient is found."""

from gradcheck.outcomes.comparison import (
    Comparison,
    Discrepancy,
    FloatArray,
)
from gradcheck.outcomes.judging import (
    CALIBRATED,
    COMPARISONS,
    DEFAULT_RESOLUTION,
    FALSE_ALARM,
    agree,
    beyond,
    compare,
    contested,
    is_within,
)
from gradcheck.outcomes.outcome import (
    Outcome,
    Suspect,
    outcome_of,
)
from gradcheck.outcomes.reasons import (
    Kind,
    Reason,
    Verdict,
)
from gradcheck.outcomes.screening import (
    ESCAPE,
    Screened,
    Settled,
    screened,
    stands_out,
)

__all__ = [
    "CALIBRATED",
    "COMPARISONS",
    "DEFAULT_RESOLUTION",
    "ESCAPE",
    "FALSE_ALARM",
    "Comparison",
    "Discrepancy",
    "FloatArray",
    "Kind",
    "Outcome",
    "Reason",
    "Screened",
    "Settled",
    "Suspect",
    "Verdict",
    "agree",
    "beyond",
    "compare",
    "contested",
    "is_within",
    "outcome_of",
    "screened",
    "stands_out",
]
