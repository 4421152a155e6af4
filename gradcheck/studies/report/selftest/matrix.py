"""Who catches whom: every wrong backprop before every witness, and a right one too."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from statistics import median
from typing import Any

from gradcheck.checks.gradient import check_gradient
from gradcheck.engines.base import Unsupported
from gradcheck.mutants.backprop import Backprop
from gradcheck.mutants.circuit import WRONG_GATES, WRONG_SWEEPS
from gradcheck.mutants.registry import MUTANTS
from gradcheck.outcomes.reasons import Verdict
from gradcheck.selftest import CIRCUIT, Caught, Selftest
from gradcheck.studies.report.selftest.extent import Extent
from gradcheck.studies.report.selftest.pool import each
from gradcheck.studies.report.selftest.witnesses import WITNESSES, Trial, Witness

Numbers = dict[str, Any]

ASKED = "asked"
CAUGHT = "caught"

BLACK_BOX = ("every coordinate", "directional")
"""The witnesses that know nothing of networks: circuits are put to these."""


def measure(selftest: Selftest, extent: Extent) -> Numbers:
    """Put every mistake of a selftest to every witness, and a right engine to each of them.

    Args:
        selftest: whose mistakes; what its properties caught is told beside.
        extent: how many networks, and the seed.
    """
    names = [found.name for found in selftest.mutants]
    testify = partial(testimony, seed=extent.seed, problems=extent.problems)
    heard = each("witnesses", testify, names, jobs=extent.jobs, chunk=4)
    examine = partial(on_the_right_one, extent=extent)
    right = each("right gradients", examine, [w.name for w in WITNESSES], jobs=extent.jobs)
    return {
        "mutants": [_row(one, told) for one, told in zip(selftest.mutants, heard, strict=True)],
        "witnesses": [
            {"name": w.name, "question": w.question, "says": w.says, "certain": w.certain,
             **_counted(w.name, heard), **alarms}
            for w, alarms in zip(WITNESSES, right, strict=True)
        ],
    }  # fmt: skip


def testimony(name: str, *, seed: int, problems: int) -> dict[str, Numbers]:
    """Put one mistake to every witness that can be asked about it.

    Args:
        name: of a mutant, or of a wrong gate.
        seed: of the networks.
        problems: how many of them, at most.

    Returns:
        By witness, `asked`: on how many networks; and `caught`: on which of them, counted from 1,
        it said FAIL for the first time, None for never.
    """
    if name not in MUTANTS:
        return dict(_about_a_circuit(name))
    wrong = MUTANTS[name]
    heard = {}
    for witness in WITNESSES:
        trials = islice(witness.trials(wrong.make(), wrong.shows.admits, seed), problems)
        found = first_failure(trials)
        if found[ASKED]:
            heard[witness.name] = found
    return heard


def first_failure(trials: Iterator[Trial]) -> Numbers:
    """Hold trials until one FAILs; those that the engine refuses do not count."""
    asked = 0
    for trial in trials:
        try:
            verdict = trial().verdict
        except Unsupported:
            continue
        asked += 1
        if verdict is Verdict.FAIL:
            return {ASKED: asked, CAUGHT: asked}
    return {ASKED: asked, CAUGHT: None}


def _about_a_circuit(name: str) -> Iterator[tuple[str, Numbers]]:
    wrong = (WRONG_GATES | WRONG_SWEEPS)[name]
    for method in BLACK_BOX:
        outcome = check_gradient(*wrong.black_box(), method=method.replace(" ", "-"))
        yield method, {ASKED: 1, CAUGHT: 1 if outcome.verdict is Verdict.FAIL else None}


@dataclass
class _Tally:
    asked: int = 0
    accused: int = 0
    undecided: int = 0


def on_the_right_one(name: str, extent: Extent) -> Numbers:
    """Put a right engine to one witness.

    Returns:
        How often it was asked, accused the engine or was undecided, and the median time of a trial
        in seconds, its reference included.
    """
    witness = next(w for w in WITNESSES if w.name == name)
    tally, seconds = _Tally(), []
    for trial in _spread(witness, extent):
        start = time.perf_counter()
        verdict = trial().verdict
        seconds.append(time.perf_counter() - start)
        tally.asked += 1
        tally.accused += verdict is Verdict.FAIL
        tally.undecided += verdict is Verdict.INCONCLUSIVE
    return {"right": vars(tally), "seconds": median(seconds) if seconds else None}


def _spread(witness: Witness, extent: Extent) -> Sequence[Trial]:
    """Take trials from all over the draw, as many as asked for."""
    trials = list(witness.trials(Backprop(), lambda _: True, extent.seed))
    return trials[:: max(1, len(trials) // extent.right)][: extent.right]


def _row(found: Caught, heard: Mapping[str, Numbers]) -> Numbers:
    mutant = MUTANTS.get(found.name) or (WRONG_GATES | WRONG_SWEEPS)[found.name]
    return {
        "name": found.name,
        "group": found.group,
        "mistake": mutant.mistake,
        "equation": mutant.equation,
        "properties": dict(found.after),
        "witnesses": dict(heard),
        "escaped": found.escaped,
    }


def _counted(name: str, heard: Sequence[Mapping[str, Numbers]]) -> Numbers:
    answers = [told[name] for told in heard if name in told]
    return {
        ASKED: len(answers),
        CAUGHT: sum(one[CAUGHT] is not None for one in answers),
        "at_first": sum(one[CAUGHT] == 1 for one in answers),
    }


def by_group(matrix: Numbers) -> Iterator[Numbers]:
    """Count by place of the mistake: how many, how many each witness caught, how many escaped.

    Where a witness was asked about none, its entry is None.
    """
    rows = matrix["mutants"]
    for group in dict.fromkeys(row["group"] for row in rows):
        members = [row for row in rows if row["group"] == group]
        yield {
            "group": group,
            "mutants": len(members),
            "escaped": sum(row["escaped"] for row in members),
            "caught": {w["name"]: _caught(members, w["name"]) for w in matrix["witnesses"]},
            "asked": {w["name"]: sum(w["name"] in row["witnesses"] for row in members)
                      for w in matrix["witnesses"]},
        }  # fmt: skip


def _caught(members: Sequence[Numbers], witness: str) -> int | None:
    answers = [row["witnesses"][witness] for row in members if witness in row["witnesses"]]
    return sum(one[CAUGHT] is not None for one in answers) if answers else None


def rows(matrix: Numbers) -> Iterator[Numbers]:
    """Return one row a mistake: on which network each property and witness caught it.

    0 stands for never, an empty cell for not asked.
    """
    for row in matrix["mutants"]:
        heard = {w["name"]: row["witnesses"].get(w["name"]) for w in matrix["witnesses"]}
        yield {
            "mutant": row["name"],
            "place": "circuit" if row["group"] == CIRCUIT else row["group"],
            "mistake": row["mistake"],
            "escaped": row["escaped"],
            **{f"property {name}": after or 0 for name, after in row["properties"].items()},
            **{name: told and (told[CAUGHT] or 0) for name, told in heard.items()},
        }
