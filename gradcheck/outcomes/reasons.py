"""Verdicts, reasons and kinds: the words for what a comparison was worth."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum
from types import MappingProxyType


class Verdict(Enum):
    """What is said of a gradient."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


class Reason(Enum):
    """Why a gradient did not pass; the text says what to do about it."""

    MISMATCH = "mismatch"
    SUBGRADIENT = "subgradient"
    NONFINITE = "nonfinite"
    SHAPE = "shape"
    DTYPE = "dtype"
    NONDETERMINISTIC = "nondeterministic"
    INPUT_CHANGED = "input_changed"
    ALIASED = "aliased"
    RAISED = "raised"
    LOSS = "loss"
    NOISE = "noise"
    NONDIFFERENTIABLE = "nondifferentiable"
    DOMAIN = "domain"
    VACUOUS = "vacuous"
    BUDGET = "budget"
    REFERENCE = "reference"
    ANOMALOUS = "anomalous"
    INTERNAL = "internal"


class Kind(IntEnum):
    """What the comparison of one coordinate was worth."""

    FAILED = 0
    INFORMATIVE = 1
    SMALL = 2
    VACUOUS = 3
    KINK = 4
    NOISY = 5
    NOT_EVALUATED = 6
    EXACT = 7
    ANOMALOUS = 8
    UNRESOLVED = 9
    SCREENED = 10
    UNDEFINED = 11
    UNCHANGED = 12
    SUBGRADIENT = 13


KIND_NAMES = tuple(kind.name.lower() for kind in Kind)

RARE = tuple(
    kind.name.lower() for kind in (Kind.SCREENED, Kind.UNDEFINED, Kind.UNCHANGED, Kind.SUBGRADIENT)
)
"""Kinds that are counted only where there are any."""

INCONCLUSIVE_KINDS: Mapping[Kind, Reason] = MappingProxyType(
    {
        Kind.KINK: Reason.NONDIFFERENTIABLE,
        Kind.UNDEFINED: Reason.DOMAIN,
        Kind.NOISY: Reason.NOISE,
        Kind.NOT_EVALUATED: Reason.BUDGET,
        Kind.ANOMALOUS: Reason.ANOMALOUS,
        Kind.UNRESOLVED: Reason.REFERENCE,
        Kind.VACUOUS: Reason.VACUOUS,
    }
)

ADVICE: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.NONDIFFERENTIABLE: "the slope of f jumps there, and the slopes on both sides do not "
        "settle, so no gradient is right or wrong; move x off the kink",
        Reason.DOMAIN: "f is not finite on one side of x, or on both: its domain ends there; pass "
        "bounds=(lo, hi), which differences never leave, or move x inside",
        Reason.NOISE: "no step lets differences of f agree with each other: f jumps, or its noise "
        "is larger than was estimated; pass noise=, the absolute error of one evaluation of f (of "
        "a solver or an integral inside f, about its tolerance), and ask for less with resolution=",
        Reason.BUDGET: "the forward passes ran out; raise budget=",
        Reason.VACUOUS: "the error bound is wider than the resolution asked for; move x to where "
        "these gradients are not negligible, evaluate f more accurately, or ask for less "
        "with resolution=",
        Reason.ANOMALOUS: "rounding could do that, but hardly does: either sums of many equal "
        "terms are rounded the same way again and again, or a small mistake hides below the "
        "bound; look at other problems, and at the other precision",
        Reason.REFERENCE: "the enclosure of the exact derivative is wider than rounding; raise its "
        "precision",
        Reason.INTERNAL: "gradcheck itself failed; nothing is known of the engine there",
    }
)

FLAT = (
    "f does not show that it depends on x at all: x is a stationary point, or a sum cancels what "
    "is asked (that of a softmax or of a layer norm is the same for every x). Weigh the outputs at "
    "random, f = lambda x: np.sum(w * F(x)), and give gradient the upstream gradient w; or move x"
)
"""What to do where no coordinate stands out of its error bound."""

GLOSSES: Mapping[str, str] = MappingProxyType(
    {
        "small": "small (an error in them would be negligible)",
        "vacuous": "vacuous (the error bound is wider than what was asked for)",
        "kink": "at a kink",
        "noisy": "noisy (no step settles)",
        "not_evaluated": "not evaluated",
        "undefined": "undefined (f is not finite beside x)",
        "unchanged": "unchanged (f does not depend on them)",
        "subgradient": "at a kink (the engine's slope is between those on both sides)",
        "screened": "screened (along random directions only)",
    }
)
"""Kinds as they are printed, where their name does not say what they are."""

VACUOUS_AGREEMENT = (
    "rounding alone can do more there than what could matter: saturated units, or sums that cancel"
)
