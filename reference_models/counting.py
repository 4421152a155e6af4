"""Arrays that count the multiplications made with them.

    x * y     one multiplication an entry of the result
    x @ y     m k n multiplications for (m, k) by (k, n)

Divisions, powers and elementary functions are not multiplications and are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reference_models.circuit import Circuit
    from reference_models.node import Node


@dataclass
class Tally:
    """The number of scalar multiplications so far."""

    multiplications: int = 0

    def times(self, x: Any, y: Any) -> Any:
        """Return x y, one scalar multiplication."""
        self.multiplications += 1
        return x * y


class CountedArray(np.ndarray[Any, Any]):
    """An array whose products, and the products of whatever is computed from it, are counted."""

    tally: Tally

    def __array_finalize__(self, parent: Any) -> None:
        self.tally = getattr(parent, "tally", None) or Tally()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute on plain arrays, count, and return a counted array."""
        if "out" in options:
            options["out"] = tuple(map(_plain, options["out"]))
        plain = [_plain(x) for x in inputs]
        result = getattr(ufunc, method)(*plain, **options)
        if method == "__call__" and ufunc is np.multiply:
            self._tally_of(inputs).multiplications += np.size(result)
        if method == "__call__" and ufunc is np.matmul:
            self._tally_of(inputs).multiplications += np.size(result) * plain[0].shape[-1]
        return counted(result, self._tally_of(inputs))

    @staticmethod
    def _tally_of(inputs: tuple[Any, ...]) -> Tally:
        return next(x.tally for x in inputs if isinstance(x, CountedArray))


def counted(values: Any, tally: Tally) -> CountedArray:
    """Return the values as an array, not copied, whose products count towards `tally`.

    >>> tally = Tally()
    >>> product = counted(np.ones((2, 3)), tally) @ np.ones((3, 4)) * 2.0
    >>> tally.multiplications
    32
    """
    array = np.asarray(values).view(CountedArray)
    array.tally = tally
    return array


def count_multiplications(
    circuit: Circuit, values: Mapping[str, Any], wrt: Sequence[Node] | None = None
) -> tuple[int, int]:
    """Run a circuit forward and backward and return the multiplications made in each.

    Args:
        circuit: a circuit of one scalar output.
        values: arrays or numbers by the names of the variables.
        wrt: nodes to differentiate by, all variables by default.
    """
    tally = Tally()
    found = circuit.forward({name: counted(value, tally) for name, value in values.items()})
    forward = tally.multiplications
    circuit.backward(found, wrt)
    return forward, tally.multiplications - forward


def _plain(x: Any) -> Any:
    return x.view(np.ndarray) if isinstance(x, CountedArray) else x
