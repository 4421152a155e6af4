"""Reads the names of rounding models and the limits of what is drawn."""

from __future__ import annotations

import argparse
from typing import Any

from gradcheck.engines.base import LIMITS
from gradcheck.problems.strata import Limits
from gradcheck.rounding import models_up_to


def model(text: str) -> str:
    """Read "strict", "standard" or the name of a rounding model."""
    try:
        models_up_to(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def limit(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE, a limit of what is drawn."""
    name, equals, value = text.partition("=")
    if not equals or name not in LIMITS:
        known = ", ".join(LIMITS)
        raise argparse.ArgumentTypeError(f"{text!r} must be NAME=VALUE with NAME one of {known}")
    try:
        usual = getattr(Limits, name)
        wanted: Any = tuple(value.split(",")) if isinstance(usual, tuple) else type(usual)(value)
        Limits(**{name: wanted})
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    return name, wanted
