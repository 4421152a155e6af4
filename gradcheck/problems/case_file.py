"""Case files: any problem, exactly, as JSON that a person or another language can read.

    {"format": "gradcheck-case", "version": 1,
     "sizes": [2, 1], "loss": "cross_entropy", "reduction": "mean", "dtype": "float64",
     "weights": [[["0x1.8p+0", "-0x1p-3"]]], "biases": [["0x0p+0"]],
     "inputs": [["0x1p+0", "0x1.4p+1"]], "targets": [["0x1p+0"]]}

Numbers are hexadecimal floating-point constants of C99 (section 6.4.4.2) in strings, read by C's
strtod, by Java, and by Python's float.fromhex. The longdouble ones may have more digits than
float64 holds. A constant that the dtype cannot hold exactly is refused, never rounded.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gradcheck.problem import (
    DTYPES,
    LOSSES,
    REDUCTIONS,
    Architecture,
    Problem,
    dtype_name,
    require_name,
)
from gradcheck.writing.files import write_text

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT = "gradcheck-case"
VERSION = 1
KEYS = ("format", "version", "sizes", "loss", "reduction", "dtype",
        "weights", "biases", "inputs", "targets")  # fmt: skip
CONSTANT = re.compile(r"([+-]?)0x([0-9a-f]+)(?:\.([0-9a-f]*))?p([+-]?[0-9]{1,5})", re.IGNORECASE)


def write_case(path: str | os.PathLike[str], problem: Problem) -> None:
    """Write a problem to a file, all of it or nothing (`gradcheck.writing.files`)."""
    network = problem.architecture
    content = {
        "format": FORMAT,
        "version": VERSION,
        "sizes": network.sizes,
        "loss": network.loss,
        "reduction": network.reduction,
        "dtype": dtype_name(problem.dtype),
        "weights": [_hexadecimal(W) for W in problem.weights],
        "biases": [_hexadecimal(b) for b in problem.biases],
        "inputs": _hexadecimal(problem.inputs),
        "targets": _hexadecimal(problem.targets),
    }
    write_text(Path(path), _one_key_a_line(content))


def read_case(path: str | os.PathLike[str]) -> Problem:
    """Read a problem from a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a case file of this version, or some part of it is malformed; the
            message names the file and the place in it, as ``weights[0][2][1]``.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    try:
        return _problem_of(content)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from None


def to_hexadecimal(value: np.floating[Any]) -> str:
    """Write a finite number of any dtype as a hexadecimal constant, exactly.

    >>> to_hexadecimal(np.float64(-0.75)), to_hexadecimal(np.longdouble(3) / 1024)
    ('-0x1.8000000000000p-1', '0x3p-10')
    """
    if value.dtype != DTYPES["longdouble"]:
        return float(value).hex()
    numerator, denominator = abs(value).as_integer_ratio()
    mantissa, exponent = _odd(numerator, 1 - denominator.bit_length())
    return f"{'-' if np.signbit(value) else ''}0x{mantissa:x}p{exponent:+d}"


def from_hexadecimal(text: str, dtype: np.dtype[Any]) -> np.floating[Any]:
    """Read a hexadecimal constant as a number of the dtype, exactly.

    >>> from_hexadecimal("0x1.8p+0", np.dtype(np.float64))
    np.float64(1.5)

    Raises:
        ValueError: not such a constant, or the dtype cannot hold it exactly.
    """
    match = CONSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a hexadecimal constant such as '0x1.8p+1'")
    sign, whole, digits, power = match.groups(default="")
    mantissa, exponent = _odd(int(whole + digits, 16), int(power) - 4 * len(digits))
    value = dtype.type(0)
    with np.errstate(over="ignore", under="ignore"):
        for byte in mantissa.to_bytes((mantissa.bit_length() + 7) // 8, "big"):
            value = value * dtype.type(256) + dtype.type(byte)
        value = np.ldexp(value, exponent)
    if not np.isfinite(value) or _ratio(mantissa, exponent) != value.as_integer_ratio():
        raise ValueError(f"{text!r} is not exactly a {dtype_name(dtype)}")
    result: np.floating[Any] = dtype.type(-value if sign == "-" else value)
    return result


def _odd(mantissa: int, exponent: int) -> tuple[int, int]:
    """Write mantissa 2^exponent with an odd mantissa; zero as 0 2^0."""
    if mantissa == 0:
        return 0, 0
    zeros = (mantissa & -mantissa).bit_length() - 1
    return mantissa >> zeros, exponent + zeros


def _ratio(mantissa: int, exponent: int) -> tuple[int, int]:
    """Write an odd mantissa times 2^exponent as a fraction in lowest terms."""
    return (mantissa << exponent, 1) if exponent >= 0 else (mantissa, 1 << -exponent)


def _hexadecimal(array: npt.NDArray[Any]) -> Any:
    if array.ndim == 1:
        return [to_hexadecimal(value) for value in array]
    return [_hexadecimal(row) for row in array]


def _one_key_a_line(content: dict[str, Any]) -> str:
    lines = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _problem_of(content: Any) -> Problem:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f'not a case file: it must be an object with "format": "{FORMAT}"')
    if content.get("version") != VERSION or isinstance(content["version"], bool):
        raise ValueError(f"version is {content.get('version')!r}; only {VERSION} can be read")
    for key in KEYS:
        if key not in content:
            raise ValueError(f"{key} is missing")
    for key in content:
        require_name("key", key, KEYS)
    require_name("dtype", content["dtype"], tuple(DTYPES))
    require_name("loss", content["loss"], LOSSES)
    require_name("reduction", content["reduction"], REDUCTIONS)
    sizes = _list_of("sizes", content["sizes"], _whole_number)
    network = Architecture(tuple(sizes), content["loss"], content["reduction"])
    dtype = DTYPES[content["dtype"]]

    def arrays(key: str, shapes: list[tuple[int, ...]]) -> tuple[npt.NDArray[Any], ...]:
        parts = _list_of(key, content[key], lambda _, part: part, len(shapes))
        return tuple(
            _array(f"{key}[{position}]", part, dtype, shape)
            for position, (part, shape) in enumerate(zip(parts, shapes, strict=True))
        )

    m = len(_list_of("inputs", content["inputs"], lambda _, row: row))
    if m < 1:
        raise ValueError("inputs has 0 entries; it must have at least 1")
    return Problem(
        network,
        arrays("weights", list(network.shapes)),
        arrays("biases", [(n,) for n in network.sizes[1:]]),
        _array("inputs", content["inputs"], dtype, (m, network.sizes[0])),
        _array("targets", content["targets"], dtype, (m, network.sizes[-1])),
    )


def _array(
    place: str, value: Any, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    def number(place: str, text: Any) -> np.floating[Any]:
        if not isinstance(text, str):
            raise TypeError(f"{place} is {text!r}; it must be a string such as '0x1.8p+1'")
        try:
            return from_hexadecimal(text, dtype)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None

    def entries(place: str, value: Any, shape: tuple[int, ...]) -> list[Any]:
        inner: Callable[[str, Any], Any] = number
        if len(shape) > 1:

            def inner(place: str, value: Any) -> list[Any]:
                return entries(place, value, shape[1:])

        return _list_of(place, value, inner, shape[0])

    return np.array(entries(place, value, shape), dtype=dtype).reshape(shape)


def _list_of(
    place: str, value: Any, read: Callable[[str, Any], Any], length: int | None = None
) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{place} is {type(value).__name__}; it must be a list")
    if length is not None and len(value) != length:
        raise ValueError(f"{place} has {len(value)} entries; it must have {length}")
    return [read(f"{place}[{position}]", entry) for position, entry in enumerate(value)]


def _whole_number(place: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{place} is {value!r}; it must be a whole number")
    return value
