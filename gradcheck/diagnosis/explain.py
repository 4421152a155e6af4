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
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.checks.measured import model_where_half_saturated
from gradcheck.diagnosis.claims import Findings, confirmed, how_many_hold, located
from gradcheck.diagnosis.evidence import Evidence, evidence, held_elsewhere, without_batch
from gradcheck.diagnosis.factors import FACTOR
from gradcheck.diagnosis.finding import FORMULA, PATTERN, UNKNOWN, Candidate, Finding
from gradcheck.diagnosis.formula import ANSWER, BIAS, HIDDEN, OUTPUT, WEIGHT, expected
from gradcheck.diagnosis.formulas import LIBRARY, Library, only, size
from gradcheck.diagnosis.peel import Guide, Path, peel
from gradcheck.diagnosis.probes import (
    MOST,
    alike,
    ask,
    ask_others,
    frame_of,
    further,
    rich,
    rich_answers,
    seen_once,
    widened,
)
from gradcheck.diagnosis.seen import Seen, arithmetic_of, blocks_of, terms_of
from gradcheck.diagnosis.thresholds import is_step
from gradcheck.diagnosis.where import placed
from gradcheck.outcomes.outcome import Suspect

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.diagnosis.symbols import Symbols
    from gradcheck.engines.base import Engine
    from gradcheck.problem import Problem

USUAL = "p_minus_y"
"""What most engines compute, that declare nothing: p - y and a (1 - a)."""

TRIES = 3
"""How often the problem is explained anew, without what another problem has refuted."""

OTHERS = ", and another one in other networks"
"""Said of a factor that a problem of another structure has not, but some other factor."""

MOST_SEARCHED = 3
"""So many other problems of the same structure are explained anew, if it comes to that."""

MANY = 2
"""Different problems at least that must show a pattern."""

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
        suspects: every mistake that the first one may be, the likeliest first.
    """

    text: str
    key: str = ""
    place: str = ""
    layer: int = 0
    kind: str = UNKNOWN
    runner_up: str = ""
    backward_passes: int = 0
    findings: tuple[Finding, ...] = ()
    suspects: tuple[Suspect, ...] = ()


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
    found, asked = NOTHING, 0
    for arithmetic in _classes(engine, problem):
        found = _diagnosed(engine, problem, gradient, failed, library, arithmetic)
        asked += found.backward_passes
        if found.kind == FORMULA:
            break
    return replace(found, backward_passes=asked)


def _classes(engine: Engine, problem: Problem) -> tuple[str, ...]:
    """Return the classes that formulas are compared in, the narrower first.

    In the wide one of an engine that declares none much is excused where units are saturated: what
    the usual one bears out needs no such excuse, nor does an engine whose half saturated units do.
    """
    widest = arithmetic_of(engine.info.arithmetic, problem)
    if engine.info.arithmetic:
        return (widest,)
    is_usual = model_where_half_saturated(engine, problem, (USUAL,)) == USUAL
    return (USUAL,) if is_usual else (USUAL, widest)


def _diagnosed(
    engine: Engine,
    problem: Problem,
    gradient: Array,
    failed: Array,
    library: Library,
    arithmetic: str,
) -> Diagnosis:
    """Name the mistake as far as one class of arithmetic tells it from rounding."""
    witness = _witness(engine, problem, arithmetic, library)
    seen = Seen.of(frame_of(problem, arithmetic), gradient, failed)
    held = _in_float64(engine, problem, arithmetic) or seen
    findings = _findings(seen, held, witness, library)
    if not findings:
        return replace(NOTHING, backward_passes=witness.asked)
    answers = ask_others(engine, problem, arithmetic)
    has_limit = any(is_step(c.formula) for c in findings[0].candidates)
    if has_limit or not all(other.is_wrong for other in answers.seen):
        answers = answers.and_also(further(engine, problem, arithmetic))
    every = [held, *answers.seen]
    asked = witness.asked + (held is not seen) + len(answers.seen) + answers.refused
    findings = alike_first(_borne_out(findings, every, witness, library))
    asks = _Asks(engine, problem, arithmetic, every, witness, answers.refused)
    findings, known, suspects = _weighed(findings, asks)
    first = distinct(findings[0], is_open=not known.is_enough)
    told = (first, *map(distinct, findings[1:]))
    text = _told(told, seen, size(library), known)
    return replace(text, backward_passes=asked + asks.count, suspects=suspects)


@dataclass
class _Asks:
    """What was asked about one failure, and problems rich in shapes, if they are asked for.

    Attributes:
        every: answers to problems of the structure that failed.
        witness: what the engine does elsewhere.
        refused: how many problems of the structure were not answered.
    """

    engine: Engine
    problem: Problem
    arithmetic: str
    every: list[Seen]
    witness: Witness
    refused: int

    @cached_property
    def more(self) -> list[Seen]:
        """Answers to further problems rich in shapes; they are asked when first looked at."""
        return rich_answers(self.engine, self.problem, self.arithmetic)

    @property
    def count(self) -> int:
        """How many of them were asked."""
        return len(self.__dict__.get("more", ()))


def _weighed(findings: Findings, asks: _Asks) -> tuple[Findings, Evidence, tuple[Suspect, ...]]:
    """Keep of the first finding what the evidence bears; say of it what it rests on."""
    every, first, right = asks.every, findings[0], asks.every[0].symbols
    beside = tuple(f for f in findings[1:] if f.layer == first.layer)
    known = _evidence((first, *beside), every, asks.witness, asks.refused)
    is_general = bool(asks.witness.shown(first))
    if not is_general:
        first = without_batch(first, every)
    is_other = asks.witness.far is not None and not is_general
    if _is_open(first, known) or (is_other and first.kind == FORMULA):
        first, known = held_elsewhere(first, beside, known, asks.more, is_general=is_general)
    suspects = _suspects(first if first.candidates else findings[0], right)
    is_seen_once = first.kind == PATTERN and known.shown < MANY
    is_no_formula = first.kind == FORMULA and not (known.is_formula and first.candidates)
    if is_seen_once or is_no_formula:
        findings = (located(every) or _unnamed(first),)
    else:
        findings = (first, *findings[1:])
    if _is_about_an_error(findings):
        findings = placed(findings, every, asks.more)
    return findings, known, suspects


def _in_float64(engine: Engine, problem: Problem, arithmetic: str) -> Seen | None:
    """Ask about the same numbers in float64, where a formula shows through less rounding.

    None where that is no other problem, or the engine is right on it.
    """
    wide = widened(engine, problem)
    seen = None if wide is problem else seen_once(engine, wide, arithmetic)
    return seen if seen is not None and seen.is_wrong else None


def _is_open(first: Finding, known: Evidence) -> bool:
    """Whether further problems may tell which formula it is, or whether it is one."""
    is_clear = len(first.candidates) == 1 and known.is_formula and known.is_varied
    return first.kind == FORMULA and not is_clear


def _is_about_an_error(findings: Findings) -> bool:
    """Whether nothing gives delta_l, or what is said of both its products has no formula."""
    first = findings[0]
    if first.kind == UNKNOWN and first.place in (OUTPUT, HIDDEN):
        return True
    both = {f.place for f in findings if f.layer == first.layer} >= {WEIGHT, BIAS}
    return both and first.kind != FORMULA


def _evidence(here: Findings, every: list[Seen], witness: Witness, refused: int) -> Evidence:
    """Count what the first finding rests on, with what else is wrong in its layer."""
    far = witness.shown(here[0])
    counted = evidence(here, every, refused, far)
    not_shown = int(witness.is_elsewhere and not far)
    return replace(
        counted,
        asked=counted.asked + not_shown + witness.refused,
        refused=counted.refused + witness.refused,
    )


def _suspects(first: Finding, s: Symbols) -> tuple[Suspect, ...]:
    """Return every mistake that the first finding may be."""
    right = "" if first.kind == UNKNOWN else expected(first.place, first.layer, s)
    return tuple(Suspect(first.place, first.layer, c.key, c.says, right) for c in first.candidates)


def _borne_out(
    findings: Findings, every: list[Seen], witness: Witness, library: Library
) -> Findings:
    """Keep what all problems of the same structure bear out; else what is seen on one of them."""
    kept = confirmed(findings, every)
    if kept and kept[0].kind != UNKNOWN:
        return kept
    hints = witness.hints()
    for other in [seen for seen in every[1:] if seen.is_wrong][:MOST_SEARCHED]:
        searched = library if work(other) <= WORK else only(library, hints)
        path = peel(other, Guide(searched, hints))
        named = tuple(takewhile(lambda f: f.kind != UNKNOWN, path.findings))
        if named and (found := confirmed(named, every)):
            first = found[0]
            meant = [c for c in first.candidates if not witness.refutes(first, c, strict=False)]
            return (replace(first, candidates=tuple(meant) or first.candidates), *found[1:])
    if kept:
        return kept
    place = located(every)
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
        is_elsewhere: whether a problem of another structure was answered.
        refused: how many problems of another structure were not.
        alike: what the engine answers to a problem of the same sizes, where that was asked.
        far: the problem of another structure that is wrong.
    """

    wrong: Path | None
    right: Seen | None
    rich: Seen | None
    asked: int
    is_elsewhere: bool = False
    refused: int = 0
    alike: Seen | None = None
    far: Seen | None = None

    def hints(self) -> frozenset[tuple[str, str]]:
        """Places and keys of all that is wrong there."""
        found = self.wrong.findings if self.wrong else ()
        return frozenset((f.place, c.key) for f in found for c in f.candidates)

    def shown(self, first: Finding) -> list[tuple[Findings, Seen]]:
        """Return a finding as a problem of another structure shows it; none if it does not.

        What else is wrong there in its layer stands beside it.
        """
        if self.wrong is None or self.far is None or not first.candidates:
            return []
        candidate, every = first.candidates[0], self.wrong.findings
        found = [
            replace(f, candidates=(c,))
            for f in every
            for c in f.candidates
            if f.place == first.place and candidate.agrees(c)
        ][:1]
        beside = (f for f in every if found and f.layer == found[0].layer)
        return [((*found, *(f for f in beside if f.place != first.place)), self.far)] * len(found)

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

    def has_factor(self, finding: Finding, candidate: Candidate) -> bool:
        """Whether a problem of the same sizes has the same factor, and others some other one."""
        found = self.wrong.findings if self.wrong else ()
        is_factor = any(
            f.place == finding.place and any(c.formula is None for c in f.candidates)
            for f in found
            if f.kind == FORMULA
        )
        is_number = candidate.key in (FACTOR, "factor 2", "factor 1/2")
        if self.alike is None or not (is_number and is_factor):
            return False
        alone = replace(finding, candidates=(candidate,))
        return self.alike.is_wrong and how_many_hold((alone,), self.alike) == 1

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
    for make in (rich, alike):
        seen, was_asked = ask(engine, problem, make, arithmetic)
        asked += was_asked
        clean.append(seen)
        refused = int(clean[0] is None and asked > 0)
        if seen is None:
            continue
        path = _explained(seen, library)
        if path.findings:
            is_rich = len(clean) == 1
            also, again = ask(engine, problem, alike, arithmetic) if is_rich else (None, False)
            far = seen if is_rich else None
            return Witness(path, None, None, asked + again, is_rich, refused, also, far)
    return Witness(None, clean[1], clean[0], asked, clean[0] is not None, refused)


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


def _findings(seen: Seen, held: Seen, witness: Witness, library: Library) -> Findings:
    """Explain the problem by what was found elsewhere, else by what is not refuted there.

    What was found elsewhere must hold here, too: on `held`, which is the same problem in float64.
    """
    hints = witness.hints()
    if hints:
        path = peel(seen, Guide(only(library, hints), hints))
        first = _confirmed(path, witness, strict=False)
        if first is not None and all(f.kind == FORMULA for f in path.findings):
            return (first, *path.findings[1:])
    searched = library if work(seen) <= WORK else NO_FORMULAS
    path, is_confirmed, own, banned = _searched(seen, witness, searched)
    if is_confirmed:
        return path.findings
    elsewhere = witness.wrong.findings[0] if witness.wrong else None
    if path.findings and elsewhere is not None and elsewhere.kind == FORMULA:
        moved = _moved(elsewhere, path.findings[0], held)
        if moved is not None:
            return (moved,)
    if own:
        return own
    if path.findings and path.findings[0].kind == FORMULA:
        path = peel(seen, Guide(NO_FORMULAS, hints, banned))
    return tuple(_unnamed(f) if f.kind == FORMULA else f for f in path.findings)


def _searched(
    seen: Seen, witness: Witness, searched: Library
) -> tuple[Path, bool, Findings, frozenset[tuple[str, str]]]:
    """Explain the problem again and again, without what is refuted elsewhere.

    Returns:
        The last explanation, whether it is not refuted, one that has a factor of its own, and what
        is refuted.
    """
    own: Findings = ()
    for strict in (True, False) if witness.wrong is None else (False,):
        banned: frozenset[tuple[str, str]] = frozenset()
        for _ in range(TRIES):
            path = peel(seen, Guide(searched, witness.hints(), banned))
            if not path.findings or path.findings[0].kind != FORMULA:
                break
            first = _confirmed(path, witness, strict=strict)
            if first is not None:
                return replace(path, findings=(first, *path.findings[1:])), True, own, banned
            own = own or _with_own_factor(path.findings, witness)
            refuted = path.findings[0]
            banned |= {(refuted.place, key) for key in refuted.names()}
    return path, False, own, banned


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


def _with_own_factor(findings: Findings, witness: Witness) -> Findings:
    """Tell a factor that networks of other sizes have not, but some other one; or nothing."""
    first = findings[0]
    here = (c for c in first.candidates if witness.has_factor(first, c))
    kept = tuple(replace(c, says=c.says + OTHERS) for c in here)
    return (replace(first, candidates=kept), *findings[1:]) if kept else ()


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
    each = [replace(elsewhere, layer=layer, candidates=(c,)) for c in moved]
    kept = tuple(one.candidates[0] for one in each if how_many_hold((one,), seen))
    return replace(elsewhere, layer=layer, candidates=kept) if kept else None


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


def distinct(finding: Finding, *, is_open: bool = False) -> Finding:
    """Keep one candidate of each key, and leave out a plain number that has a meaning.

    Args:
        finding: whose candidates are looked at.
        is_open: whether too few problems show it for the meaning to be known.
    """
    kept: dict[str, Candidate] = {}
    for c in finding.candidates:
        first = kept.setdefault(c.key, c)
        if first.says != c.says and not first.says.endswith(OR_SO):
            kept[c.key] = replace(first, says=first.says + OR_SO)
    says = {c.says: key for key, c in reversed(kept.items())}
    kept = {key: c for key, c in kept.items() if says[c.says] == key}
    known = [c for c in kept.values() if c.key != FACTOR or c.formula is not None]
    has_meaning = not is_open and any(c.formula is None for c in known)
    return replace(finding, candidates=tuple(known if has_meaning else kept.values()))


# --- in words -------------------------------------------------------------------------------------


def _told(findings: Findings, seen: Seen, formulas: int, known: Evidence) -> Diagnosis:
    first, *rest = findings[:MOST_TOLD]
    parts = [_sentence(first, seen), first.detail, _how_sure(first, formulas, known)]
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
        if not f.layer:
            return f"unknown; {f.says}"
        what = f.says.partition(" is wrong")[0]
        return f"unknown; layer {f.layer}: {f.says}; look first: {what}; everything above is right"
    if f.place == ANSWER:
        return f"all layers: {f.candidates[0].says}; expected {expected(ANSWER, 0, seen.symbols)}"
    right = expected(f.place, f.layer, seen.symbols)
    return f"layer {f.layer}: {f.candidates[0].says}; expected {right}"


def _how_sure(f: Finding, formulas: int, known: Evidence) -> str:
    if f.kind == UNKNOWN:
        return ""
    if f.kind == PATTERN:
        return "a pattern, no formula gives it"
    if len(f.candidates) > 1:
        return f"or else, with the same numbers: {f.candidates[1].says}"
    if known.is_enough:
        return f"sure: of {formulas} formulas no other gives these numbers"
    return known.told()
