"""Plants defects drawn by a seed, one at a time, and says which of them no test catches.

    python tests/mutation/run.py --seed 1 --count 300

prints each defect with what becomes of it, then a table by folder, and writes the survivors to
build/mutation/survivors.toml, as entries of accepted.toml that lack a reason. Ends with exit code 1
if there is a survivor that is not accepted.
The first run finds which tests reach which lines, which takes as long as the tests do under a
tracer (`python tests/mutation/reached.py FILE ...` does so again for some of them). `--again` tries
those alone that survived the last time; `--resume` goes on with a run that was ended.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import reached
from accepted import accepted, entry, read_entries
from defect import Defect
from forked import copied
from planting import draw, every
from reached import Reached
from trial import Fate, Trial, attempt
from trust import ROOT, modules

KEPT = ROOT / "build" / "mutation"
SURVIVORS = KEPT / "survivors.toml"

COLUMNS = ("modules", "drawn", "caught", "accepted", "survived")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _options().parse_args(arguments)
    if not reached.CACHE.exists():
        reached.measure()
    paths = [path for path in modules() if any(part in path for part in options.only or [""])]
    if options.again:
        before = set(read_entries(SURVIVORS))
        drawn = [defect for defect in every(ROOT, paths) if defect.key in before]
    else:
        drawn = draw(ROOT, paths, options.seed, options.count)
    kept = KEPT / f"seed-{options.seed}.jsonl"
    trials = run(drawn, reached.known(), kept, resume=options.resume)
    reasons = accepted()
    left = [t.defect for t in trials if not t.is_caught and t.defect.key not in reasons]
    print("\n" + table(trials, set(reasons)))  # noqa: T201
    SURVIVORS.write_text("\n".join(map(entry, left)), "utf-8")
    print(f"\n{len(left)} survived that are not accepted; {SURVIVORS} has them")  # noqa: T201
    return 1 if left else 0


def run(drawn: Sequence[Defect], tests: Reached, file: Path, *, resume: bool) -> list[Trial]:
    """Try one defect after another in a copy of the tree, and say what becomes of each.

    Args:
        drawn: the defects.
        tests: which tests reach which lines.
        file: keeps what became of each, a line of JSON.
        resume: whether what the file says of a defect is believed.
    """
    lines = file.read_text("utf-8").splitlines() if resume and file.exists() else []
    before = {place: Fate(fate) for place, fate in map(json.loads, lines)}
    trials = []
    with copied(ROOT) as tree, file.open("a" if resume else "w", encoding="utf-8") as kept:
        for i, defect in enumerate(drawn):
            place = f"{defect} {defect.start}"
            known = Trial(defect, before[place], 0.0) if place in before else None
            trial = known or attempt(defect, tree, tests)
            trials.append(trial)
            if known is None:
                print(json.dumps([place, trial.fate.value]), file=kept, flush=True)
                told = f"{i + 1}/{len(drawn)} {trial.fate.value} after {trial.asked:.1f} s"
                print(f"{told}: {defect}", flush=True)  # noqa: T201
    return trials


def table(trials: Sequence[Trial], keys: set[tuple[str, str, str, str]]) -> str:
    """Return a table in Markdown: what became of the defects, by folder."""
    rows: dict[str, Counter[str]] = {}
    for trial in sorted(trials, key=lambda t: t.defect.path):
        fate = "accepted" if trial.defect.key in keys else "survived"
        for name in (_group(trial.defect.path), "together"):
            counts = rows.setdefault(name, Counter())
            counts["drawn"] += 1
            counts["caught" if trial.is_caught else fate] += 1
    together = rows.pop("together", Counter())
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    for name, counts in (*rows.items(), ("together", together)):
        lines.append(f"| {' | '.join([name, *(str(counts[c]) for c in COLUMNS[1:])])} |")
    return "\n".join(lines)


def _group(path: str) -> str:
    folder = Path(path).parent.as_posix()
    return "`gradcheck/*.py`" if folder == "gradcheck" else f"`{folder}/`"


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="draws the defects")
    parser.add_argument("--count", type=int, default=300, help="how many")
    parser.add_argument("--only", action="append", help="modules whose path has this text")
    parser.add_argument("--again", action="store_true", help="those that survived the last time")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was ended")
    return parser


if __name__ == "__main__":
    sys.exit(main())
