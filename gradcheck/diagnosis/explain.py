"""Names the mistake behind a wrong gradient: which equation is wrong, where, and what is expected.

The engine is asked about more problems (probes.py). The first is small, random and rich
in shapes: there every formula of the library is tried. What is found there is tried on the problem
that failed; only if it does not explain that, the whole library is. Where several mistakes would
give the same numbers, those stay that also give what the engine answers to the other problems.
What is found is held to four problems of the same structure besides (claims.py): what they do not
bear out is not told, and where nothing is left, only which layer is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.claims import Findings, confirmed, how_many_hold, located
from gradcheck.diagnosis.factors import FACTOR
from gradcheck.diagnosis.finding import FORMULA, PATTERN, UNKNOWN, Candidate, Finding
from gradcheck.diagnosis.formula import ANSWER, BIAS, HIDDEN, OUTPUT, WEIGHT, expected
from gradcheck.diagnosis.formulas import LIBRARY, Library, only, size
from gradcheck.diagnosis.peel import Guide, Path, peel
from gradcheck.diagnosis.probes import MOST, alike, frame_of, further, others, rich, seen_on
from gradcheck.diagnosis.seen import Seen, arithmetic_of, blocks_of, terms_of

if TYPE_CHECKING:
    from gradcheck.diagnosis.symbols import Symbols
    from gradcheck.engines.base import Engine
    from gradcheck.problem import Array, Problem

TRIES = 3
"""How often the problem is explained anew, without what another problem has refuted."""

OR_SO = " (or so)"
"""Said of formulas that differ in a number only, if several fit."""

MOST_TOLD = 4
"""Mistakes that are told at once."""

NO_FORMULAS: Library = dict.fromkeys(LIBRARY, ())

WORK = 60_000
"""Products of a forward pass up to which the whole library is tried on the problem itself."""


@dataclass(frozen=True)
class Diagnosis:
    """The likely mistake.

    Attributes:
        text: in words; "" where nothing is known.
        key: of the mistake, "" if unknown.
        place: the step that is wrong.
        layer: 0 for the whole answer.
        kind: FORMULA, PATTERN or UNKNOWN.
        runner_up: the key of what would also give these numbers, or "".
        backward_passes: how often the engine was asked.
        findings: all that the text tells, in the order of the backward path.
    """

    text: str
    key: str = ""
    place: str = ""
    layer: int = 0
    kind: str = UNKNOWN
    runner_up: str = ""
    backward_passes: int = 0
    findings: tuple[Finding, ...] = ()


NOTHING = Diagnosis("")


def diagnose(
    engine: Engine,
    problem: Problem,
    gradient: Array,
    failed: Array,
    *,
    library: Library = LIBRARY,
) -> Diagnosis:
    """Name the first mistake on the backward path, and what else is wrong.

    Args:
        engine: what computed the gradient; it is asked about other problems too.
        problem: where it failed.
        gradient: the engine's, as one vector, every number finite.
        failed: which entries are wrong.
        library: wrong formulas by place.
    """
    arithmetic = arithmetic_of(engine.info.arithmetic, problem)
    witness = _witness(engine, problem, arithmetic, library)
    seen = Seen.of(frame_of(problem, arithmetic), gradient, failed)
    findings = _findings(seen, witness, library)
    if not findings:
        return replace(NOTHING, backward_passes=witness.asked)
    elsewhere = others(engine, problem, arithmetic)
    has_limit = any(c.formula and c.formula.span for c in findings[0].candidates)
    if has_limit or not any(other.is_wrong for other in elsewhere):
        elsewhere = [*elsewhere, *further(engine, problem, arithmetic)]
    findings = _borne_out(findings, seen, elsewhere, witness.hints(), library)
    told = tuple(map(distinct, alike_first(findings)))
    asked = witness.asked + len(elsewhere)
    return replace(_told(told, seen, size(library)), backward_passes=asked)


def _borne_out(
    findings: Findings,
    seen: Seen,
    elsewhere: list[Seen],
    hints: frozenset[tuple[str, str]],
    library: Library,
) -> Findings:
    """Keep what problems of the same structure bear out; else what is seen on one of them."""
    kept = confirmed(findings, elsewhere)
    if kept and kept[0].kind != UNKNOWN:
        return kept
    for other in elsewhere:
        searched = library if work(other) <= WORK else only(library, hints)
        path = peel(other, Guide(searched, hints))
        named = tuple(takewhile(lambda f: f.kind != UNKNOWN, path.findings))
        if named and (found := confirmed(named, [seen, *elsewhere])):
            return tuple(replace(f, is_elsewhere=True) for f in found)
    if kept:
        return kept
    place = located([seen, *elsewhere])
    return (place,) if place else findings


# --- other problems -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Witness:
    """What the engine does elsewhere.

    Attributes:
        wrong: the explanation of a problem on which it is wrong, if there is one.
        right: a problem of the same sizes on which it is right.
        rich: the problem rich in shapes, if it is right there.
        asked: how often it was asked.
        alike: what the engine answers to a problem of the same sizes, where that was asked.
    """

    wrong: Path | None
    right: Seen | None
    rich: Seen | None
    asked: int
    alike: Seen | None = None

    def hints(self) -> frozenset[tuple[str, str]]:
        """Places and keys of all that is wrong there."""
        found = self.wrong.findings if self.wrong else ()
        return frozenset((f.place, c.key) for f in found for c in f.candidates)

    def refutes(self, finding: Finding, candidate: Candidate, *, strict: bool) -> bool:
        """Whether the engine would have to be wrong elsewhere in a way in which it is not.

        A mistake of some sizes only need not show in the problem rich in shapes: that one refutes
        if `strict` only.
        """
        if self.wrong is not None:
            return not (
                is_among(finding, candidate, self.wrong) or self._is_alike(finding, candidate)
            )
        clean = (self.right, self.rich) if strict else (self.right,)
        return any(seen is not None and shows(finding, candidate, seen) for seen in clean)

    def _is_alike(self, finding: Finding, candidate: Candidate) -> bool:
        """Whether a mistake shows in the problem of the same sizes, beside what is known."""
        if self.alike is None:
            return False
        if candidate.key == "zero" and self._has_dead_units(finding.place):
            alone = replace(finding, candidates=(candidate,))
            return self.alike.is_wrong and how_many_hold((alone,), self.alike) == 1
        if candidate.formula is None:
            return False
        keys = self.hints() | {(finding.place, candidate.key)}
        path = peel(self.alike, Guide(only(LIBRARY, keys), keys))
        return is_among(finding, candidate, path)

    def _has_dead_units(self, place: str) -> bool:
        """Whether some units are 0 where there are many: a layer of one unit is 0 as a whole."""
        found = self.wrong.findings if self.wrong else ()
        return any(f.place == place and "units zero" in f.names() for f in found)


def is_among(finding: Finding, candidate: Candidate, path: Path) -> bool:
    """Whether a mistake is among those that were found elsewhere."""
    same = [f for f in path.findings if f.place == finding.place]
    return any(candidate.agrees(c) for f in same for c in f.candidates)


def _witness(engine: Engine, problem: Problem, arithmetic: str, library: Library) -> Witness:
    """Ask about a problem rich in shapes; if it is right there, about one of the same sizes."""
    asked, clean = 0, []
    for probe in (rich(engine, problem), alike(engine, problem)):
        seen = None if probe is None else seen_on(engine, probe, arithmetic)
        asked += probe is not None
        clean.append(seen)
        if seen is None:
            continue
        path = _explained(seen, library)
        if path.findings:
            other = None if len(clean) > 1 else alike(engine, problem)
            also = None if other is None else seen_on(engine, other, arithmetic)
            return Witness(path, None, None, asked + (other is not None), also)
    return Witness(None, clean[1], clean[0], asked)


_paths: dict[tuple[int, bytes], Path] = {}
"""Explanations by the problem (one of those that `probes` remembers) and the answer to it."""


def _explained(seen: Seen, library: Library) -> Path:
    """Explain the answer to a problem that is asked again and again; the whole library once."""
    searched = library if work(seen) <= WORK else NO_FORMULAS
    flat = b"".join(block.tobytes() for pair in seen.g.values() for block in pair)
    key = (id(seen.symbols.problem), flat)
    if library is LIBRARY and key in _paths and _paths[key].symbols.problem is seen.symbols.problem:
        return _paths[key]
    path = peel(seen, Guide(searched))
    if library is LIBRARY:
        if len(_paths) >= MOST:
            _paths.clear()
        _paths[key] = path
    return path


def shows(finding: Finding, candidate: Candidate, seen: Seen) -> bool:
    """Whether a mistake would change the right gradient of a problem, beyond the room."""
    s = seen.symbols.right()
    top = finding.place == OUTPUT
    layers = [s.L] if top else range(1, s.L + (finding.place != HIDDEN))
    return any(_differs(finding.place, candidate, s, layer, seen) for layer in layers)


def _differs(place: str, candidate: Candidate, s: Symbols, layer: int, seen: Seen) -> bool:
    formula = candidate.formula
    if formula is None:
        return place != ANSWER
    with np.errstate(all="ignore"):
        value = formula.value(s, layer)
        if value is None:
            return False
        terms = terms_of(s, layer, s.delta[layer])
        right = blocks_of(s, layer, s.delta[layer])
        if place in (OUTPUT, HIDDEN):
            delta = s.error(layer) + candidate.c * value if formula.is_term else value
            wrong = blocks_of(s, layer, delta)
            pairs = list(zip(wrong, right, terms, strict=True))
        else:
            k = 0 if place == WEIGHT else 1
            value = np.reshape(value, right[k].shape)
            wrong_k = right[k] + candidate.c * value if formula.is_term else value
            pairs = [(wrong_k, right[k], terms[k])]
        return any(bool(np.any(np.abs(x - y) > seen.room(layer, T))) for x, y, T in pairs)


# --- the problem itself ---------------------------------------------------------------------------


def work(seen: Seen) -> int:
    """Products of numbers in one forward pass."""
    return seen.symbols.m * sum(W.size for W in seen.symbols.W.values())


def _findings(seen: Seen, witness: Witness, library: Library) -> tuple[Finding, ...]:
    """Explain the problem by what was found elsewhere, else by what is not refuted there."""
    hints = witness.hints()
    banned: frozenset[tuple[str, str]] = frozenset()
    if hints:
        path = peel(seen, Guide(only(library, hints), hints))
        first = _confirmed(path, witness, strict=False)
        if first is not None and all(f.kind == FORMULA for f in path.findings):
            return (first, *path.findings[1:])
    searched = library if work(seen) <= WORK else NO_FORMULAS
    for strict in (True, False) if witness.wrong is None else (False,):
        banned = frozenset()
        for _ in range(TRIES):
            path = peel(seen, Guide(searched, hints, banned))
            if not path.findings or path.findings[0].kind != FORMULA:
                break
            first = _confirmed(path, witness, strict=strict)
            if first is not None:
                return (first, *path.findings[1:])
            refuted = path.findings[0]
            banned |= {(refuted.place, key) for key in refuted.names()}
    elsewhere = witness.wrong.findings[0] if witness.wrong else None
    if path.findings and elsewhere is not None and elsewhere.kind == FORMULA:
        moved = _moved(elsewhere, path.findings[0], seen)
        return path.findings if moved is None else (moved,)
    if path.findings and path.findings[0].kind == FORMULA:
        path = peel(seen, Guide(NO_FORMULAS, hints, banned))
    return tuple(_unnamed(f) if f.kind == FORMULA else f for f in path.findings)


def _unnamed(finding: Finding) -> Finding:
    """Leave of a refuted finding where it is."""
    layer = finding.layer
    names = {WEIGHT: f"dC/dW_{layer}", BIAS: f"dC/db_{layer}", ANSWER: "the gradient"}
    told = names.get(finding.place, f"delta_{layer}, dC/dW_{layer} or dC/db_{layer}")
    says = f"{told} is wrong in a way that nothing explains"
    return Finding(finding.place, layer, UNKNOWN, says=says)


def _confirmed(path: Path, witness: Witness, *, strict: bool) -> Finding | None:
    """Return the first finding with the candidates that are not refuted, None without any."""
    if not path.findings:
        return None
    first = path.findings[0]
    kept = tuple(c for c in first.candidates if not witness.refutes(first, c, strict=strict))
    return replace(first, candidates=kept) if kept else None


def _moved(elsewhere: Finding, here: Finding, seen: Seen) -> Finding | None:
    """Tell a mistake that was found elsewhere of the layer that is wrong here."""
    depth = seen.symbols.L
    layer = {OUTPUT: depth, HIDDEN: min(here.layer, depth - 1), ANSWER: 0}.get(
        elsewhere.place, here.layer
    )
    if layer < (elsewhere.place != ANSWER):
        return None
    moved = tuple(
        replace(
            c, says=c.formula.told(layer, c.c) if c.formula else _renumbered(c, elsewhere, layer)
        )
        for c in elsewhere.candidates
    )
    return replace(elsewhere, layer=layer, candidates=moved, is_elsewhere=True)


def _renumbered(candidate: Candidate, elsewhere: Finding, layer: int) -> str:
    return candidate.says.replace(f"_{elsewhere.layer}", f"_{layer}")


def alike_first(findings: Findings) -> Findings:
    """Put those candidates first that a layer above has, too: one mistake is likelier than two."""
    told: list[Finding] = []
    for f in findings:
        above = {(g.place, g.candidates[0].key) for g in told if g.candidates}
        order = sorted(f.candidates, key=lambda c: (f.place, c.key) not in above)
        told.append(replace(f, candidates=tuple(order)))
    return tuple(told)


def distinct(finding: Finding) -> Finding:
    """Keep one candidate of each key, and leave out a plain number that has a meaning."""
    kept: dict[str, Candidate] = {}
    for c in finding.candidates:
        first = kept.setdefault(c.key, c)
        if first.says != c.says and not first.says.endswith(OR_SO):
            kept[c.key] = replace(first, says=first.says + OR_SO)
    says = {c.says: key for key, c in reversed(kept.items())}
    kept = {key: c for key, c in kept.items() if says[c.says] == key}
    known = [c for c in kept.values() if c.key != FACTOR or c.formula is not None]
    has_meaning = any(c.formula is None for c in known)
    return replace(finding, candidates=tuple(known if has_meaning else kept.values()))


# --- in words -------------------------------------------------------------------------------------


def _told(findings: tuple[Finding, ...], seen: Seen, formulas: int) -> Diagnosis:
    first, *rest = findings[:MOST_TOLD]
    parts = [_sentence(first, seen), _how_sure(first, formulas)]
    parts += [f"then {_sentence(f, seen)}" for f in rest]
    best = first.candidates[0] if first.candidates else None
    second = first.candidates[1] if len(first.candidates) > 1 else None
    return Diagnosis(
        "; ".join(filter(None, parts)),
        best.key if best else "",
        first.place,
        first.layer,
        first.kind,
        second.key if second else "",
        findings=(first, *rest),
    )


def _sentence(f: Finding, seen: Seen) -> str:
    """Tell one finding: the layer, what is wrong, what is expected."""
    if f.kind == UNKNOWN:
        where = f"layer {f.layer}: {f.says}, and nothing above it" if f.layer else f.says
        return f"unknown; {where}"
    if f.place == ANSWER:
        return f"all layers: {f.candidates[0].says}; expected {expected(ANSWER, 0, seen.symbols)}"
    right = expected(f.place, f.layer, seen.symbols)
    return f"layer {f.layer}: {f.candidates[0].says}; expected {right}"


def _how_sure(f: Finding, formulas: int) -> str:
    if f.kind == UNKNOWN:
        return ""
    if f.kind == PATTERN:
        return "a pattern, no formula gives it"
    if f.is_elsewhere:
        return "found on another network; here rounding hides how"
    if len(f.candidates) == 1:
        return f"sure: of {formulas} formulas no other gives these numbers"
    return f"or else, with the same numbers: {f.candidates[1].says}"
