"""Loss and gradient over loss of the libraries that are installed, for C9."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.engines.installed import NotInstalledError
from gradcheck.engines.registry import describe, find
from gradcheck.problem import Architecture, Problem
from gradcheck.studies.cost import processor_clock, time_in_turns
from gradcheck.studies.report.network import Network

TURNS = 5
NONE = "none is installed here"


def ratios(engines: tuple[str, ...], network: Network, seconds: float) -> str:
    """Say what each engine takes, with quartiles, and which are not installed.

    Args:
        engines: registered names.
        network: of one output; its targets are rounded to 0 and 1, which all of them take.
        seconds: about how long a sample lasts.
    """
    return ", ".join(_ratios(engines, network, seconds)) or NONE


def _ratios(engines: tuple[str, ...], network: Network, seconds: float) -> Iterator[str]:
    arrays = tuple(network.parameters.values())
    Y = np.round(network.Y)
    problem = Problem(Architecture(network.sizes), arrays[::2], arrays[1::2], network.X, Y)
    for name in engines:
        try:
            info = describe(name)
        except NotInstalledError:
            continue
        engine = find(name)
        turns = time_in_turns(
            lambda engine=engine: engine.loss(problem),  # type: ignore[misc]  # bound at once
            lambda engine=engine: engine.value_and_grad(problem),  # type: ignore[misc]
            turns=TURNS,
            minimum_seconds=seconds,
            clock=processor_clock(),
        )
        engine.close()
        both = turns.ratio(1, 0)
        yield f"{name} {info.version} {both.median:.2f} ({both.q25:.2f} to {both.q75:.2f})"
