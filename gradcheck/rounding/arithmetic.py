"""Classes of algorithms, by the rounding errors that their members may make."""

from __future__ import annotations

from dataclasses import dataclass

K_EXP = {"float16": 4.0, "float32": 4.0, "float64": 2.0}
"""k_e: numpy's float32 exp errs by up to 3.57 u (measured, every argument); float16 is rounded from
it or worse; float64 is accurate to one unit in the last place."""

K_LOG = 4.0
K_TANH = 4.0
"""log, log1p and tanh: two units in the last place."""


@dataclass(frozen=True)
class Arithmetic:
    """A class of algorithms, by the rounding errors that its members may make.

    Each row of ARITHMETICS allows what the rows above it allow.

    Attributes:
        name: as engines declare it.
        meaning: in words, for reports.
        cancels: the residual may be p - y, the slope a (1 - a), the loss made of log p.
        flushes: float32 and float64 numbers below the normal range may be taken for 0.
        log_sum: the residual may be made of exp(z - log(1 + e^z)).
        k_a: absolute error of the sigmoid in units of u.
        u_g: unit roundoff of the inputs of products; 0 where they are not rounded.
        eta_g: smallest subnormal number of that format.
    """

    name: str
    meaning: str
    cancels: bool = False
    flushes: bool = False
    log_sum: bool = False
    k_a: float = 0.0
    u_g: float = 0.0
    eta_g: float = 0.0


K_ABSOLUTE = (K_TANH + 2) / 2

ARITHMETICS: dict[str, Arithmetic] = {
    row.name: row
    for row in (
        Arithmetic("cancellation_free", "nothing is subtracted that may be nearly equal"),
        Arithmetic("p_minus_y", "residual p - y and slope a (1 - a)", cancels=True),
        Arithmetic(
            "flushed",
            "residual p - y, slope a (1 - a), and 0 for numbers below the normal range",
            cancels=True,
            flushes=True,
        ),
        Arithmetic(
            "log_sum",
            "sigmoids made of exp(z - log(1 + e^z)), as the derivative of log(1 + e^z) is",
            cancels=True,
            flushes=True,
            log_sum=True,
        ),
        Arithmetic(
            "absolute_sigmoid",
            "a sigmoid of absolute accuracy only, such as one made of tanh",
            cancels=True,
            flushes=True,
            log_sum=True,
            k_a=K_ABSOLUTE,
        ),
        # 11 significant bits, the exponents of float32: 2^-126 2^-10
        Arithmetic(
            "tf32",
            "inputs of products rounded to TF32",
            cancels=True,
            flushes=True,
            log_sum=True,
            k_a=K_ABSOLUTE,
            u_g=2.0**-11,
            eta_g=2.0**-136,
        ),
        # 8 significant bits, the exponents of float32: 2^-126 2^-7
        Arithmetic(
            "bfloat16",
            "inputs of products rounded to bfloat16",
            cancels=True,
            flushes=True,
            log_sum=True,
            k_a=K_ABSOLUTE,
            u_g=2.0**-8,
            eta_g=2.0**-133,
        ),
    )
}

REQUIREMENTS = {"strict": "cancellation_free", "standard": "absolute_sigmoid"}
"""What may be asked of an engine besides a model's name: the widest model that is allowed.

The standard of the field is what textbooks and large frameworks do: p - y, a (1 - a), numbers
below the normal range taken for 0, and a sigmoid made of tanh or of log(1 + e^z).
"""


def models_up_to(require: str) -> tuple[str, ...]:
    """Return the models that a requirement allows, the narrowest first.

    Args:
        require: "strict", "standard", or the name of the widest model.

    Raises:
        ValueError: an unknown name.

    >>> models_up_to("flushed")
    ('cancellation_free', 'p_minus_y', 'flushed')
    """
    names = list(ARITHMETICS)
    widest = REQUIREMENTS.get(require, require)
    if widest not in names:
        known = ", ".join((*REQUIREMENTS, *names))
        raise ValueError(f"require={require!r}; it must be one of {known}")
    return tuple(names[: names.index(widest) + 1])
