"""Cases: whole problems named by a token, which rebuilds the same bits on any machine, for ever.

    token    = "gc1:" sizes ":" loss ":" reduction ":m" batch ":" dtype
               ":w" scale ":" corner ":" targets ":s" seed
    sizes    = whole numbers from 1, at least two, joined by "-":  3-4-1
    batch    = whole number from 1
    scale    = weight scale, 1e-6 to 1e6, the shortest decimals that read back to it:  0.3, 1, 300
    seed     = whole number, 0 to 2^64 - 1
    loss, reduction, dtype, corner, targets = names

for example ``gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:binary:s0``. A problem has one
spelling only: what `parse` takes is what `Case.token` writes. A change of the numbers that a token
stands for needs a new version, gc2.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import numpy as np

from gradcheck.problem import DTYPES, Architecture, Problem, require_name
from gradcheck.problems.case_file import read_case, write_case
from gradcheck.problems.corners import (
    CORNERS,
    LEAST_BATCH,
    LEAST_OUTPUTS,
    REQUIRED_TARGETS,
    TARGETS,
    make_problem,
)
from gradcheck.problems.strata import (
    STRATA,
    Limits,
    LimitsDict,
    batch_class,
    depth_class,
    draw_case,
    width_class,
)
from gradcheck.splitmix64 import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "Case",
    "has_preactivations_within",
    "is_token",
    "largest_preactivation",
    "load",
    "missing_strata",
    "parse",
    "read_case",
    "sample_cases",
    "strata_of",
    "write_case",
]

T = TypeVar("T")

VERSION = "gc1"
FIELDS = ("version", "sizes", "loss", "reduction", "batch", "dtype",
          "weight scale", "corner", "targets", "seed")  # fmt: skip
WHOLE = re.compile(r"0|[1-9][0-9]{0,19}")
LARGEST_DECK = 1000

MOST_LAYERS = 1000
"""Layers of a case: the exact gradient of more takes hours."""

MOST_NUMBERS = 10**7
"""Parameters and activations of a case together: as balls, more take gigabytes."""
SIZES = re.compile(r"[1-9][0-9]{0,6}(-[1-9][0-9]{0,6})+")
DECIMAL = re.compile(r"[0-9.]{1,20}(e[+-][0-9]{2})?")


@dataclass(frozen=True, kw_only=True)
class Case:
    """The recipe of a problem: its structure, and the seed that fills in the numbers.

    >>> case = Case(sizes=(3, 4, 1), batch=2)
    >>> case.token
    'gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:binary:s0'
    >>> case.problem()
    <Problem 3-4-1 cross_entropy mean m=2 float64>

    Args:
        sizes: n_0, ..., n_L.
        loss: "cross_entropy" or "quadratic".
        reduction: "mean" or "sum".
        batch: the number of examples m.
        dtype: "float64", "float32", "float16" or "longdouble"; all but float16 hold the same
            numbers, bit for bit.
        weight_scale: the standard deviation of W_l times sqrt(n_{l-1}).
        corner: a name in `gradcheck.problems.corners.CORNERS`.
        targets: a name in `gradcheck.problems.corners.TARGETS`.
        seed: of the random streams.

    Raises:
        TypeError: a field of the wrong type.
        ValueError: a value out of range, or a corner that the other fields rule out.
    """

    sizes: tuple[int, ...] = (1, 1)
    loss: str = "cross_entropy"
    reduction: str = "mean"
    batch: int = 1
    dtype: str = "float64"
    weight_scale: float = 1.0
    corner: str = "generic"
    targets: str = "binary"
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", self.architecture.sizes)
        require_name("dtype", self.dtype, tuple(DTYPES))
        require_name("corner", self.corner, tuple(CORNERS))
        require_name("targets", self.targets, tuple(TARGETS))
        _require_whole("seed", self.seed, 0, 2**64 - 1)
        _require_whole("batch", self.batch, LEAST_BATCH.get(self.corner, 1), None, self.corner)
        if not isinstance(self.weight_scale, int | float) or isinstance(self.weight_scale, bool):
            raise TypeError(f"weight_scale={self.weight_scale!r}; it must be a number")
        if not 1e-6 <= self.weight_scale <= 1e6:
            raise ValueError(f"weight_scale={self.weight_scale}; it must be in 1e-6..1e6")
        object.__setattr__(self, "weight_scale", float(self.weight_scale))
        self._require_size()
        if self.sizes[-1] < LEAST_OUTPUTS.get(self.targets, 1):
            least = LEAST_OUTPUTS[self.targets]
            raise ValueError(f"targets={self.targets!r} needs at least {least} outputs")
        required = REQUIRED_TARGETS.get(self.corner, self.targets)
        if self.targets != required:
            raise ValueError(f"corner={self.corner!r} needs targets={required!r}")

    def _require_size(self) -> None:
        layers = len(self.sizes) - 1
        if layers > MOST_LAYERS:
            raise ValueError(f"sizes name {layers:,} layers; at most {MOST_LAYERS:,} are built")
        numbers = self.architecture.n_parameters + self.batch * sum(self.sizes)
        if numbers > MOST_NUMBERS:
            raise ValueError(
                f"a case of {numbers:,} parameters and activations; at most {MOST_NUMBERS:,} "
                "are built"
            )

    @property
    def architecture(self) -> Architecture:
        """Layer sizes, loss and reduction."""
        return Architecture(self.sizes, self.loss, self.reduction)

    @property
    def token(self) -> str:
        """The case as text; `parse` reads it."""
        sizes = "-".join(map(str, self.sizes))
        scale = repr(self.weight_scale).removesuffix(".0")
        return (
            f"{VERSION}:{sizes}:{self.loss}:{self.reduction}:m{self.batch}:{self.dtype}"
            f":w{scale}:{self.corner}:{self.targets}:s{self.seed}"
        )

    def problem(self) -> Problem:
        """Build the problem; the same bits each time, on any platform.

        Raises:
            ValueError: a number overflows in float16.
        """
        return make_problem(
            self.architecture,
            self.batch,
            DTYPES[self.dtype],
            weight_scale=self.weight_scale,
            corner=self.corner,
            targets=self.targets,
            seed=self.seed,
        )


def parse(token: str) -> Case:
    """Read a case token.

    >>> parse("gc1:2-1:quadratic:sum:m4:float32:w0.3:saturated:soft:s7").sizes
    (2, 1)

    Raises:
        ValueError: an unknown version or field, a bad number, or a spelling that is not the one
            that `Case.token` writes; the message names the field and what is allowed.
    """
    parts = token.split(":")
    if parts[0] != VERSION:
        raise ValueError(f"token {token!r}: version is {parts[0]!r}; only {VERSION} can be read")
    if len(parts) != len(FIELDS):
        raise ValueError(
            f"token {token!r} has {len(parts)} fields; it must have {len(FIELDS)}: "
            + ":".join(FIELDS)
        )
    _, sizes, loss, reduction, batch, dtype, scale, corner, targets, seed = parts
    try:
        case = Case(
            sizes=_read("sizes", sizes, "", SIZES, _sizes, "whole numbers, as 3-4-1"),
            loss=loss,
            reduction=reduction,
            batch=_read("batch", batch, "m", WHOLE, int, "m and a whole number, as m2"),
            dtype=dtype,
            weight_scale=_read("weight scale", scale, "w", DECIMAL, float, "w and a decimal"),
            corner=corner,
            targets=targets,
            seed=_read("seed", seed, "s", WHOLE, int, "s and a whole number, as s0"),
        )
    except ValueError as error:
        raise ValueError(f"token {token!r}: {error}") from None
    if case.token != token:
        raise ValueError(f"token {token!r}: write {case.token!r}; a case has one spelling")
    return case


def is_token(text: str) -> bool:
    """Whether a text is meant as a token, of any version; else it is the name of a file.

    >>> is_token("gc1:3-4-1:..."), is_token("gcase.json")
    (True, False)
    """
    return re.match(r"gc[0-9]+:", text) is not None


def load(token_or_path: str | os.PathLike[str]) -> Problem:
    """Return the problem of a case token or of a case file.

    Raises:
        FileNotFoundError: the text is neither a token nor the name of a file.
        ValueError: the token or the file is malformed.
    """
    if isinstance(token_or_path, str) and is_token(token_or_path):
        return parse(token_or_path).problem()
    if not Path(token_or_path).exists():
        raise FileNotFoundError(
            f"{os.fspath(token_or_path)!r} is neither a case token ({VERSION}:...) nor a file"
        )
    return read_case(token_or_path)


def sample_cases(count: int, seed: int, **limits: Unpack[LimitsDict]) -> Iterator[Case]:
    """Draw cases at random, every stratum evenly represented; the same ones for the same seed.

    Each decision is dealt from a shuffled deck of its options, which is shuffled anew when it is
    used up: any run of as many cases as there are options holds each of them once.

    Args:
        count: how many.
        seed: of the draw.
        **limits: as in `gradcheck.problems.strata.Limits`: dtypes, losses, reductions, corners,
            targets, max_depth, max_width, max_outputs, max_batch, max_parameters, max_weight_scale,
            max_preactivation.

    Raises:
        ValueError: limits that leave nothing to draw, or a negative count; while drawing, |z|
            beyond `max_preactivation` in all of REDRAWN cases.
    """
    _require_whole("count", count, 0, None)
    _require_whole("seed", seed, 0, 2**64 - 1)
    allowed = Limits(**limits)
    dealer = _Dealer(seed)
    return (_drawn(dealer, allowed) for _ in range(count))


REDRAWN = 1000
"""Cases that are drawn, at most, until one has no |z| beyond the limit."""


def _drawn(dealer: _Dealer, limits: Limits) -> Case:
    for _ in range(REDRAWN):
        case = Case(**draw_case(dealer.choose, limits))
        if has_preactivations_within(case, limits.max_preactivation):
            return case
    raise ValueError(
        f"max_preactivation={limits.max_preactivation:g}: none of {REDRAWN} cases is within it"
    )


def has_preactivations_within(case: Case, most: float) -> bool:
    """Whether no |z| of a case's network exceeds a bound."""
    return most == inf or largest_preactivation(case.problem()) <= most


def largest_preactivation(problem: Problem) -> float:
    """Return the largest |z| over all units and examples, in float64.

    >>> largest_preactivation(Case(sizes=(1, 1), corner="zero_preactivations").problem())
    0.0
    """
    a, largest = problem.inputs.astype(np.float64), 0.0
    for W, b in zip(problem.weights, problem.biases, strict=True):
        z = a @ W.astype(np.float64).T + b
        largest = max(largest, float(np.abs(z).max()))
        a = (1 + np.tanh(z / 2)) / 2
    return largest


def strata_of(case: Case) -> dict[str, str]:
    """Say which stratum of each kind a case belongs to, for results by stratum."""
    return {
        "depth": depth_class(case.sizes),
        "width": width_class(case.sizes),
        "batch": batch_class(case.batch),
        "loss": case.loss,
        "reduction": case.reduction,
        "dtype": case.dtype,
        "scale": f"{case.weight_scale:g}",
        "corner": case.corner,
        "targets": case.targets,
    }


def missing_strata(cases: Sequence[Case]) -> list[tuple[str, str]]:
    """List the strata (kind, value) that none of the cases belongs to."""
    seen = {item for case in cases for item in strata_of(case).items()}
    every = [(kind, value) for kind, values in STRATA.items() for value in values]
    return [item for item in every if item not in seen]


class _Dealer:
    """Deals options out evenly: a shuffled deck for every factor and list of options."""

    def __init__(self, seed: int) -> None:
        self.stream = Stream(seed, "sample_cases")
        self.decks: dict[tuple[str, Any], list[int]] = {}

    def choose(self, factor: str, options: Sequence[T]) -> T:
        """Return the next option of the factor's deck; very many options need no deck."""
        if len(options) > LARGEST_DECK:
            return options[self.stream.integer(0, len(options))]
        deck = self.decks.setdefault((factor, tuple(options)), [])
        if not deck:
            deck.extend(self.stream.permutation(len(options)).tolist())
        return options[deck.pop()]


def _read(
    field: str,
    text: str,
    prefix: str,
    form: re.Pattern[str],
    read: Callable[[str], T],
    allowed: str,
) -> T:
    number = text.removeprefix(prefix)
    if not text.startswith(prefix) or not form.fullmatch(number):
        raise ValueError(f"{field} is {text!r}; it must be {allowed}")
    try:
        return read(number)
    except ValueError:
        raise ValueError(f"{field} is {text!r}; it must be {allowed}") from None


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("-")))


def _require_whole(name: str, value: Any, least: int, most: int | None, why: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}={value!r}; it must be a whole number")
    if value < least or (most is not None and value > most):
        limit = f"at least {least}" if most is None else f"in {least}..{most}"
        reason = f" with corner={why!r}" if why else ""
        raise ValueError(f"{name}={value}; it must be {limit}{reason}")
