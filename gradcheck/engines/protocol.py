"""The messages between gradcheck and an engine in a process of its own: one JSON object a line.

    > {"id":0,"cmd":"start","protocol":1}
    < {"id":0,"ok":true,"protocol":1,"engine":{"name":"...","version":"...","dtypes":["float64"],
       "losses":["cross_entropy"],"reductions":["mean"]}}
    > {"id":1,"cmd":"echo","values":[0.1,5e-324,-0.0]}
    < {"id":1,"ok":true,"values":[0.1,5e-324,-0.0]}
    > {"id":2,"cmd":"value_and_grad","problem":{"sizes":[1,1],"loss":"cross_entropy",
       "reduction":"mean","dtype":"float64","weights":[[[0.5]]],"biases":[[0.0]],
       "inputs":[[1.0]],"targets":[[1.0]]}}
    < {"id":2,"ok":true,"loss":0.47,"gradient":[{"W":[[-0.37]],"b":[-0.37]}]}
    > {"id":3,"cmd":"loss","problem":{...}}
    < {"id":3,"ok":true,"loss":0.47}
    < {"id":3,"ok":false,"kind":"unsupported","message":"..."}
    > {"id":4,"cmd":"stop"}

Numbers are decimals that read back to the same float64; those that are not finite are the strings
"NaN", "Infinity", "-Infinity", also read as nan and inf, in any case. A loss may be null: the
engine returns none. Fields that are not known are ignored.
"""

from __future__ import annotations

import json
import math
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.engines.base import (
    EngineInfo,
    EngineProtocolError,
    EngineRaisedError,
    MalformedAnswerError,
    Unsupported,
)
from gradcheck.problem import DTYPES, LOSSES, REDUCTIONS, Gradient, Problem, dtype_name
from gradcheck.problems.strata import Limits
from gradcheck.rounding import ARITHMETICS

VERSION = 1
DTYPE_NAMES = ("float16", "float32", "float64")
"""The dtypes whose numbers float64 holds, all of them."""

NONFINITE = {
    sign + name: size * (-1 if sign == "-" else 1)
    for name, size in (("nan", math.nan), ("inf", math.inf), ("infinity", math.inf))
    for sign in ("", "+", "-")
}
SHOWN = 200
"""Characters of a reply that a message shows."""

ECHO = (0.1, 5e-324, -0.0, 1 / 3, -1.7976931348623157e308, 2.225073858507201e-308, 1 + 2.0**-52,
        -123456789012345680.0, 2.0**-149, 65519.99609375, 1.0, 0.0)  # fmt: skip
"""Numbers that only a reader and a writer of float64 send back unchanged: of 17 digits, subnormal,
extreme, a negative zero, the neighbour of 1, whole ones."""

SLACK = 2**20
DIGITS = 256
"""A reply may have this many bytes (for a traceback, say), and this many more for each number. A
number needs 25; those who write every digit of 2^-1074 set a limit of their own."""


# --- requests -----------------------------------------------------------------------------------


def request(number: int, command: str, **fields: Any) -> bytes:
    r"""Write a message.

    >>> request(1, "echo", values=[0.1, -0.0])
    b'{"id":1,"cmd":"echo","values":[0.1,-0.0]}\n'
    """
    message = {"id": number, "cmd": command, **fields}
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def encode(problem: Problem) -> dict[str, Any]:
    """Return a problem as a message holds it: every number exactly, in nested lists.

    Raises:
        Unsupported: a number that float64 does not hold.
    """
    network = problem.architecture
    return {
        "sizes": list(network.sizes),
        "loss": network.loss,
        "reduction": network.reduction,
        "dtype": dtype_name(problem.dtype),
        "weights": [_decimals(W) for W in problem.weights],
        "biases": [_decimals(b) for b in problem.biases],
        "inputs": _decimals(problem.inputs),
        "targets": _decimals(problem.targets),
    }


def largest_reply(problem: Problem | None = None) -> int:
    """Return how many bytes a reply may have: enough for every right one."""
    numbers = 0 if problem is None else problem.architecture.n_parameters + 1
    return SLACK + DIGITS * numbers


def _decimals(array: npt.ArrayLike) -> Any:
    exact = np.asarray(array)
    if exact.dtype.kind != "f":
        raise Unsupported(f"numbers of dtype {exact.dtype}; a message holds float64")
    with np.errstate(over="ignore", under="ignore"):
        values = exact.astype(np.float64)
    if not np.array_equal(values, exact, equal_nan=True):
        raise Unsupported(f"numbers of dtype {exact.dtype} that float64, as in messages, rounds")
    return values.tolist() if np.isfinite(values).all() else _with_names(values.tolist())


def _with_names(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_names(entry) for entry in value]
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


# --- replies ------------------------------------------------------------------------------------


def read_reply(line: bytes, number: int) -> dict[str, Any]:
    """Read the reply to message `number`; what it says of itself is still to be read.

    Raises:
        EngineProtocolError: no JSON object in UTF-8, a number beyond the range of float64, or not
            the reply to that message. Whoever sent this cannot be understood any further.
    """
    try:
        reply = json.loads(
            line.decode("utf-8"), parse_float=_real, parse_int=_whole, parse_constant=_no_json
        )
    except UnicodeDecodeError as error:
        what = f"a line that is not UTF-8 (byte {error.start}: {error.reason})"
        raise malformed(what, line) from None
    except json.JSONDecodeError as error:
        what = f"a line that is no JSON ({error.msg}, column {error.colno})"
        raise malformed(f"{what}; its stdout is for the protocol only", line) from None
    except (ValueError, RecursionError) as error:
        raise malformed(f"a line that cannot be read ({error})", line) from None
    if not isinstance(reply, dict):
        what = "a line that is no JSON object; its stdout is for the protocol only"
        raise malformed(what, line)
    given = reply.get("id")
    unread = given is None and "id" in reply and reply.get("ok") is False
    if type(given) is not int and not unread:
        raise malformed(f"a reply with id {given!r}, which must be {number}", line)
    if type(given) is int and given != number:
        raise malformed(f"a reply to message {given}, where {number} was asked", line)
    if not isinstance(reply.get("ok"), bool):
        raise malformed(f"a reply whose ok is {reply.get('ok')!r}, not true or false", line)
    return reply


def require_ok(reply: dict[str, Any]) -> None:
    """Raise what the reply says went wrong, if anything.

    Raises:
        Unsupported: kind `unsupported`.
        EngineRaisedError: kind `error`; with the engine's traceback where one came.
        EngineProtocolError: kind `protocol`, or a kind that does not exist.
    """
    if reply["ok"]:
        return
    kind, message = reply.get("kind"), reply.get("message")
    told = message if isinstance(message, str) and message else "no message"
    if kind == "unsupported":
        raise Unsupported(told)
    if kind == "protocol":
        raise EngineProtocolError(f"it did not understand: {told[:SHOWN]}")
    if kind == "error":
        trace = reply.get("traceback")
        raise EngineRaisedError(f"{told}\n{trace}" if isinstance(trace, str) and trace else told)
    raise EngineProtocolError(
        f"it sent kind {kind!r}, which is none of unsupported, error, protocol: {told[:SHOWN]}"
    )


def read_loss(reply: dict[str, Any]) -> float | None:
    """Read the loss, finite or not; null is None: the engine returns no loss.

    Raises:
        EngineProtocolError: it is missing, or no number.
    """
    value = _field(reply, "loss")
    return None if value is None else _number("loss", value)


def read_gradient(reply: dict[str, Any], problem: Problem) -> Gradient:
    """Read the gradient, finite or not, in the shapes in which it came.

    It is an array of the problem's dtype where that holds every entry of it exactly, else of
    float64: an engine may compute more precisely than it is asked to.

    Raises:
        EngineProtocolError: no list of objects with a matrix W and a vector b of numbers.
        MalformedAnswerError: another number of layers than the problem has.
    """
    layers = _list("gradient", _field(reply, "gradient"))
    depth = problem.architecture.depth
    if len(layers) != depth:
        raise MalformedAnswerError(f"gradient has {len(layers)} layers; it must have {depth}")
    gradient = []
    for position, layer in enumerate(layers):
        place = f"gradient[{position}]"
        if not isinstance(layer, dict):
            raise malformed(f"{place}, which must be an object with W and b", layer)
        W = _matrix(f"{place}.W", _field(layer, "W", place))
        b = _vector(f"{place}.b", _field(layer, "b", place))
        gradient.append((W, np.array(b, dtype=np.float64)))
    return _in_dtype(gradient, problem.dtype)


FLUSHED = (
    "its echo of 5e-324 is 0: it takes numbers below the normal range for 0, which the rounding "
    "model `flushed` allows and no narrower one does"
)


def require_echo(reply: dict[str, Any]) -> tuple[str, ...]:
    """Compare the echo with what was sent, bit for bit; a subnormal number may come back as 0.

    Returns:
        What is remarkable of it.

    Raises:
        EngineProtocolError: it differs.
    """
    remarks: tuple[str, ...] = ()
    values = _vector("values", _field(reply, "values"))
    if len(values) != len(ECHO):
        raise EngineProtocolError(f"its echo has {len(values)} of {len(ECHO)} numbers")
    for sent, given in zip(ECHO, values, strict=True):
        if given == 0 and 0 < abs(sent) < sys.float_info.min:
            remarks = (FLUSHED,)
        elif sent.hex() != given.hex():
            raise EngineProtocolError(
                f"its echo of {sent!r} is {given!r}; every number must come back bit for bit as "
                "float64, whatever the engine computes in"
            )
    return remarks


def read_info(reply: dict[str, Any]) -> EngineInfo:
    """Read what an engine says of itself in its reply to `start`.

    Raises:
        EngineProtocolError: another version of the protocol, a field that is missing or of the
            wrong type, or a dtype, loss, reduction, arithmetic or limit that is not known.
    """
    if _field(reply, "protocol") != VERSION:
        raise EngineProtocolError(f"it speaks protocol {reply['protocol']!r}; this is {VERSION}")
    said = _field(reply, "engine")
    if not isinstance(said, dict):
        raise malformed("engine, which must be an object", said)
    deterministic = said.get("deterministic", True)
    if not isinstance(deterministic, bool):
        raise malformed("engine.deterministic, which must be true or false", deterministic)
    arithmetic = _text(said, "arithmetic", "")
    if arithmetic:
        _known("arithmetic", arithmetic, tuple(ARITHMETICS))
    dtypes = _names(said, "dtypes", DTYPE_NAMES)
    losses = _names(said, "losses", LOSSES)
    reductions = _names(said, "reductions", REDUCTIONS)
    try:
        info = EngineInfo(
            name=_text(said, "name"),
            version=_text(said, "version"),
            dtypes=dtypes,
            losses=losses,
            reductions=reductions,
            deterministic=deterministic,
            issues_url=_text(said, "issues_url", ""),
            language=_text(said, "language", "unknown"),
            arithmetic=arithmetic,
            limits=_limits(said.get("limits", {})),
        )
        Limits(dtypes=dtypes, losses=losses, reductions=reductions, **info.limits)
    except (TypeError, ValueError) as error:
        raise EngineProtocolError(f"its engine says what cannot be: {error}") from None
    return info


def malformed(what: str, shown: Any) -> EngineProtocolError:
    """Return the error that names what came, with its first characters."""
    if isinstance(shown, bytes | bytearray):
        text = repr(bytes(shown[: 4 * SHOWN]).decode("utf-8", "backslashreplace")[:SHOWN])
    else:
        text = repr(shown)[:SHOWN]
    return EngineProtocolError(f"it sent {what}: {text}")


# --- the parts of a reply -----------------------------------------------------------------------


def _real(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is beyond the range of float64")
    return value


def _whole(text: str) -> int | float:
    """Read digits: as a float where an int would lose the sign of zero, or grow without end."""
    return int(text) if len(text) <= 15 and text != "-0" else _real(text)


def _no_json(text: str) -> None:
    raise ValueError(f'{text} is no JSON; write the string "{text}"')


def _field(part: dict[str, Any], key: str, place: str = "") -> Any:
    if key not in part:
        raise EngineProtocolError(f"its reply has no {place + '.' if place else ''}{key}")
    return part[key]


def _list(place: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise malformed(f"{place}, which must be a list", value)
    return value


def _number(place: str, value: Any) -> float:
    if type(value) is float or type(value) is int:
        return float(value)
    if isinstance(value, str) and value.lower() in NONFINITE:
        return NONFINITE[value.lower()]
    raise malformed(f"{place}, which must be a number", value)


def _vector(place: str, value: Any) -> list[float]:
    if isinstance(value, list) and all(type(entry) is float for entry in value):
        return value
    return [_number(f"{place}[{i}]", entry) for i, entry in enumerate(_list(place, value))]


def _matrix(place: str, value: Any) -> npt.NDArray[np.float64]:
    rows = [_vector(f"{place}[{i}]", row) for i, row in enumerate(_list(place, value))]
    for i, (above, row) in enumerate(pairwise(rows), start=1):
        if len(row) != len(above):
            raise EngineProtocolError(
                f"it sent {place}, whose row {i} has {len(row)} numbers and row {i - 1} has "
                f"{len(above)}"
            )
    return np.array(rows, dtype=np.float64).reshape(len(rows), -1 if rows else 0)


def _in_dtype(gradient: Gradient, dtype: np.dtype[Any]) -> Gradient:
    if dtype == DTYPES["float64"]:
        return gradient
    with np.errstate(over="ignore", under="ignore"):
        rounded = [(dW.astype(dtype), db.astype(dtype)) for dW, db in gradient]
    exact = all(
        np.array_equal(array, given, equal_nan=True)
        for pair, givens in zip(rounded, gradient, strict=True)
        for array, given in zip(pair, givens, strict=True)
    )
    return rounded if exact else gradient


def _text(said: dict[str, Any], key: str, default: str | None = None) -> str:
    value = said.get(key, default)
    if not isinstance(value, str):
        raise malformed(f"engine.{key}, which must be text", value)
    return value


def _names(said: dict[str, Any], key: str, known: tuple[str, ...]) -> tuple[str, ...]:
    names = _list(f"engine.{key}", _field(said, key, "engine"))
    for name in names:
        _known(key, name, known)
    return tuple(names)


def _known(key: str, name: Any, known: tuple[str, ...]) -> None:
    if not isinstance(name, str) or name not in known:
        raise malformed(f"engine.{key}, which must be of {', '.join(known)}", name)


def _limits(limits: Any) -> Any:
    """Let a single name stand for a list of one."""
    if not isinstance(limits, dict):
        return limits
    return {
        key: [value] if key in ("corners", "targets") and isinstance(value, str) else value
        for key, value in limits.items()
    }
