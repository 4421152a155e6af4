"""Derivatives of others that are wrong, as this suite found: a FAIL there is right."""

from __future__ import annotations

from collections.abc import Mapping

KNOWN: Mapping[str, Mapping[str, str]] = {
    "torch op_db": {
        "as_strided_scatter": "the entries that `src` overwrites keep a gradient where the "
        "windows of `as_strided` are not those of the input's own memory",
        "nn.functional.max_unpool": "where two inputs go to one place the later one is taken, and "
        "both get its derivative (PyTorch documents that such indices are not supported)",
        "normal": "the draw is taken for a constant, whose derivative is 0",
        "nn.functional.hardsigmoid": "the slope is 1/6 rounded to float32, in float64 too",
    },
    "jax.nn": {
        "dot_product_attention": "its softmax is computed in float32, in float64 too",
    },
    "jax.scipy.special": {
        "bessel_jn": "differentiates its recurrence, which is unstable for small x: 35307 at "
        "x = 0.002, where 0.40 is right (mostly of J_1, weighed); -6.4 at 4.4 in float32, where "
        "float64 has -0.77",
        "boxcox1p": "the derivative by lambda cancels: 3 digits are left at lambda = 1e-6",
        "hyp2f1": "the derivatives by a, b and c are sums that end too early: 3e-5 off at "
        "(0.32, 2.78, 0.68, 0.94), where 200-bit arithmetic gives 2775.12689 by a and JAX "
        "2775.04499",
        "log_ndtr": "exp(-x^2/2 - log_ndtr(x)) loses 9 digits at x = -1000, and has 11 left",
    },
    "jax.scipy.special float32": {
        "boxcox": "the derivative by lambda cancels: no digit is left at lambda = 1e-7",
    },
}
"""What the names of functions begin with, by source, or by source and dtype."""


def why_wrong(source: str, name: str, dtype: str = "float64") -> str:
    """Return what is known to be wrong in a sample's derivative; "" if nothing is.

    >>> why_wrong("torch op_db", "nn.functional.hardsigmoid #1")[:12]
    'the slope is'
    >>> bool(why_wrong("torch op_db", "nn.functional.max_unpool2d #4"))
    True
    >>> why_wrong("torch op_db", "nn.functional.hardswish #1")
    ''
    """
    reasons = [*KNOWN.get(source, {}).items(), *KNOWN.get(f"{source} {dtype}", {}).items()]
    return next((why for function, why in reasons if name.startswith(function)), "")
