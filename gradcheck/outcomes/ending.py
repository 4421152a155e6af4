"""Exceptions that end a check: they say something of more than the point f was called at.

Whatever else f raises away from x counts as an f that is not finite there.
"""


class EndsCheckError(Exception):
    """The base of what an oracle must never take for a point outside of f's domain."""


ENDS_CHECK = (EndsCheckError, MemoryError)
"""To be raised again."""
