"""Numbers of a page that would be written otherwise if they were off in their last bits.

A test of what a page says hands it numbers, or computes them. Where one lies at a border of its
rounding (1.25 s is "1.2 s" or "1.3 s"), another order of a sum decides what the page says: a test
that reads it is right on one processor and wrong on another.
"""

import math

OFF = 2.0**-30
"""Relative: far more than sums of a few thousand terms err by, far less than a page shows."""


def numbers_at_a_border(render, report):
    """Name the numbers of a report, "place = value", whose last bits decide what the page says.

    Numbers are moved together, and by halves where that shows: few pages are written.
    """
    page = render(report)

    def shows(floats):
        return any(render(_moved(report, floats, 1 + sign * OFF)) != page for sign in (1, -1))

    def found(floats):
        if not floats or not shows(floats):
            return []
        if len(floats) == 1:
            return floats
        half = len(floats) // 2
        return found(floats[:half]) + found(floats[half:])

    return [f"{_name(place)} = {value!r}" for place, value in found([*_floats(report)])]


def _floats(node, place=()):
    """Yield (place, value) of every number that was rounded or measured: no whole ones."""
    if isinstance(node, float) and math.isfinite(node) and not node.is_integer():
        yield place, node
    for key, child in _children(node):
        yield from _floats(child, (*place, key))


def _children(node):
    if isinstance(node, dict):
        return node.items()
    return enumerate(node) if isinstance(node, list) else ()


def _moved(report, floats, factor):
    for place, value in floats:
        report = _replaced(report, place, value * factor)
    return report


def _replaced(node, place, value):
    """Return a copy with another number in one place."""
    if not place:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[place[0]] = _replaced(node[place[0]], place[1:], value)
    return copy


def _name(place):
    told = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place)
    return told.removeprefix(".")
