r"""When a diagnosis is true: what it claims holds on problems that it never saw.

A diagnosis is a model of the engine: "layer 2: delta_2 has an extra factor 3; then layer 1: dC/db_1
is 0". On FRESH problems of the same structure (sizes, loss, reduction, batch, dtype) and of other
numbers, the model goes down the backward path as the text says, and is compared with the engine's
answer to them. The definition, which was written before anything was measured with it:

    above     every block above the first finding is right, or as its formula has it there too (a
              mistake of all layers need not show in each on every problem)
    limit     of a limit that lies in an interval, some number in it gives what is claimed
    formula   both blocks that follow from a wrong delta_l, or the one block that is named, are
              those that the formula gives for the fresh numbers, with the number c or the factor
              that was told; "(or so)" holds if any formula of that name does
    pattern   what is said holds: the rows that are said to be 0 are 0 and the others right, the
              ratio is the ratio, the order of rows the order, "wrong in ... only" wrong nowhere
              else; the examples are counted as told
    unknown   "dC/dW_l is wrong" holds if dC/db_l is right or told, and the other way round;
              "delta_l is wrong" if some delta_l gives both blocks; on fresh problems that are
              wrong above or right in this layer nothing is learnt
    then      the following findings likewise, with the errors above as they were told
    dtype     fresh problems are in float64 where that shows the mistake: in float32 a formula that
              is told rightly may differ by more than rounding takes of the right one
    shown     on one fresh problem at least, a block that is claimed to be wrong is wrong

All must hold on all fresh problems. A first candidate that does not hold is forgiven only if the
text says "or else" and the runner-up holds. "Within the room" is `Seen.room`, as in the diagnosis.
"""

import re
from dataclasses import replace

import numpy as np

from gradcheck.diagnosis.factors import FACTOR, known_factors
from gradcheck.diagnosis.finding import FORMULA, PATTERN, UNKNOWN
from gradcheck.diagnosis.formula import ANSWER, BIAS, HIDDEN, OUTPUT, WEIGHT
from gradcheck.diagnosis.formulas import LIBRARY
from gradcheck.diagnosis.probes import answer
from gradcheck.diagnosis.scale import changed
from gradcheck.diagnosis.seen import Frame, Seen, arithmetic_of, blocks_of, terms_of
from gradcheck.diagnosis.thresholds import again
from gradcheck.patterns import blocks

RIGHT, VAGUE, NOT_KNOWN, FALSE = "right", "vague but true", "unknown", "false"

WHERE = re.compile(
    r"(row|column|unit|entry|entrie)s? ([0-9]+(?:, [0-9]+)*)(?: to ([0-9]+))?(, \.\.\.)?"
)
NUMBER = r"(-?[0-9.]+(?:e[+-]?[0-9]+)?|1 [+-] [0-9.e+-]+)"

ENTRY = re.compile(r"(?<=[0-9]), [^,]*( times what it should be| in place of .*)")

W, B = 0, 1


class NotSo(Exception):  # noqa: N818 - reads as what it says of a claim
    """A claim does not hold."""


def fresh(case):
    """Problems of the same structure: mild ones, and ones as extreme as the case itself."""
    generic = "soft" if case.targets != "one_hot" else "one_hot"
    mild = {"corner": "generic", "targets": generic, "weight_scale": 1.0}
    changes = (
        {**mild, "seed": 90_001},
        {**mild, "seed": 90_002, "weight_scale": 3.0},
        {**mild, "seed": 90_003, "targets": case.targets},
        {**mild, "seed": 90_004, "weight_scale": case.weight_scale},
        {"seed": 90_005},
        {"seed": 90_006},
        {"seed": 90_007, "targets": generic} if case.corner != "stationary" else {"seed": 90_007},
    )
    return [replace(case, **change).problem() for change in changes]


def judged(diagnosis, make, case):
    """Return RIGHT, VAGUE, NOT_KNOWN or FALSE, and what does not hold."""
    try:
        holds(diagnosis, make, case)
    except NotSo as why:
        return FALSE, str(why)
    kinds = {f.kind for f in diagnosis.findings[:1]} or {UNKNOWN}
    return {FORMULA: RIGHT, PATTERN: VAGUE, UNKNOWN: NOT_KNOWN}[kinds.pop()], ""


def holds(diagnosis, make, case):
    """Hold a diagnosis to fresh problems, one after the other.

    Raises:
        NotSo: it is not true.
    """
    if not diagnosis.findings:
        return
    seen = _answers(make, case)
    choices = [0, 1] if "; or else, with the same numbers" in diagnosis.text else [0]
    for choice in choices:
        try:
            shown = [_holds_on(s, diagnosis.findings, choice) for s in seen]
        except NotSo:
            if choice == choices[-1]:
                raise
        else:
            if not any(shown):
                raise NotSo("it does not show on any fresh problem")
            return


def _answers(make, case):
    """The engine's answers to fresh problems: in float64, if it takes that and is wrong there."""
    for dtype in dict.fromkeys(("float64" if case.dtype == "float32" else case.dtype, case.dtype)):
        if dtype in make().info.dtypes:
            every = [_seen(make(), problem) for problem in fresh(replace(case, dtype=dtype))]
            seen = [s for s in every if s is not None]
            if any(s.is_wrong for s in seen):
                break
    return seen


def _seen(engine, problem):
    gradient = answer(engine, problem)
    if gradient is None:
        return None
    with np.errstate(all="ignore"):
        frame = Frame.of(problem, arithmetic_of(engine.info.arithmetic, problem))
    return Seen.of(frame, gradient)


def _holds_on(seen, findings, choice):
    """Go down; return whether something that is claimed to be wrong is wrong here."""
    with np.errstate(all="ignore"):
        if findings[0].place == ANSWER:
            return _whole(seen, findings[0])
        return _down(seen, findings, choice)


def _down(seen, findings, choice):
    s, shown = seen.symbols, False
    by_step = {(f.place, f.layer): f for f in findings}
    first, lowest = findings[0], min(f.layer for f in findings)
    for layer in range(s.L, lowest - 1, -1):
        error = by_step.get((OUTPUT if layer == s.L else HIDDEN, layer))
        if layer > first.layer:
            delta = _above(s, layer, seen, first, choice)
            if delta is None:
                return False
        elif error is None:
            delta = s.error(layer)
        else:
            delta, is_wrong = _error(error, s, layer, seen, choice if error is first else 0)
            shown |= is_wrong
            if delta is None:
                return shown  # nothing below can be told from fresh numbers
        s = s.knowing(layer, delta, seen.g[layer][W])
        if layer > first.layer:
            continue
        for which, place in ((W, WEIGHT), (B, BIAS)):
            claim = by_step.get((place, layer))
            if claim is not None:
                pick = choice if claim is first else 0
                other = ({W: BIAS, B: WEIGHT}[which], layer)
                shown |= _block(claim, s, layer, which, place, seen, pick, other in by_step)
            elif error is not None and not _fits(s, layer, which, seen):
                raise NotSo(f"layer {layer}: block {which} does not follow from the delta told")
    return shown


def _fits(s, layer, which, seen):
    value, terms = blocks_of(s, layer, s.delta[layer]), terms_of(s, layer, s.delta[layer])
    return seen.fits(layer, which, value[which], terms[which])


def _right(s, layer, seen):
    """Whether both blocks are right, as far as the errors above are."""
    known = s.knowing(layer, s.error(layer))
    return all(_fits(known, layer, which, seen) for which in (W, B))


def _above(s, layer, seen, first, choice):
    """delta_l above the first finding: right, or wrong by its formula; None: nothing is learnt."""
    if _right(s, layer, seen):
        return s.error(layer)
    if first.kind != FORMULA:
        return None
    if first.place in (OUTPUT, HIDDEN) and layer < s.L:
        for delta, _ in _values(first, s, layer, seen, choice):
            known = s.knowing(layer, delta)
            if all(_fits(known, layer, which, seen) for which in (W, B)):
                return delta
    if first.place in (WEIGHT, BIAS):
        which = W if first.place == WEIGHT else B
        known = s.knowing(layer, s.error(layer))
        other = _fits(known, layer, 1 - which, seen)
        if other and _any_value(first, known, layer, which, seen, choice):
            return s.error(layer)
    raise NotSo(f"layer {layer}, above the first finding, is wrong otherwise")


# --- claims about delta_l -------------------------------------------------------------------------


def _error(finding, s, layer, seen, choice):
    """Return delta_l as it is claimed to be, None where only its being wrong is claimed."""
    is_right = _right(s, layer, seen)
    if finding.kind == UNKNOWN:
        is_error = not is_right and finding.says.startswith(f"delta_{layer} is wrong")
        if is_error and not _is_some_delta(s, layer, seen):
            raise NotSo(f"no delta_{layer} gives both blocks")
        return None, not is_right
    if finding.kind == PATTERN:
        return _masked(finding, s, layer, seen), not is_right
    for delta, slack in _values(finding, s, layer, seen, choice):
        known = s.knowing(layer, delta)
        value, terms = blocks_of(known, layer, delta), terms_of(known, layer, delta)
        spread = blocks_of(known, layer, np.abs(delta)) if slack else (0.0, 0.0)
        ok = []
        for k in (W, B):
            room = seen.room(layer, np.maximum(terms[k], np.abs(value[k]))) + slack * np.abs(
                spread[k]
            )
            ok.append(bool(np.all(np.abs(seen.g[layer][k] - value[k]) <= room)))
        if any(ok):
            return delta, not is_right
    raise NotSo(f"delta_{layer} is not what is told: {finding.candidates[choice].says}")


def _is_some_delta(s, layer, seen):
    """Whether some delta_l gives both blocks: the least residual is at most what rounding does."""
    A = np.hstack([s.a[layer - 1], np.ones((s.m, 1))])
    g = np.hstack(seen.g[layer])
    delta, _, rank, singular = np.linalg.lstsq(A.T, g.T, rcond=1e-10)
    if rank < s.m or singular[0] > 1e6 * singular[-1]:
        return True  # nothing is learnt
    room = np.hstack([seen.room(layer, T) for T in terms_of(s, layer, delta)])
    off = np.linalg.norm(A.T @ delta - g.T, axis=0)
    return bool(np.all(off <= np.linalg.norm(room, axis=1)))


def _within(finding, s, layer):
    """Yield delta_l for limits within the interval that is told."""
    value = finding.candidates[0].value
    yield value(s, layer)
    variable, middle, factor = value.args
    told = re.search(r"t is between (\S+) and (\S+)", finding.detail)
    for t in np.linspace(float(told[1]), float(told[2]), 65) if told else ():
        yield value.func(
            variable, np.copysign(t, middle) if t * middle < 0 else t, factor, s, layer
        )


def _masked(finding, s, layer, seen):
    says, right = finding.candidates[0].says, s.error(layer)
    if finding.candidates[0].key == "where":
        for value in _within(finding, s, layer):
            is_zero = f"z_{layer} = 0" in says  # and not z that are nearly 0
            delta = np.where(s.z[layer] == 0, value, right) if is_zero else value
            known = s.knowing(layer, delta)
            if any(_fits(known, layer, which, seen) for which in (W, B)):
                break
        else:
            raise NotSo(f"not where it is told: {says}")
        return delta
    if finding.candidates[0].key == "examples":
        delta = finding.candidates[0].value(s, layer)
        known = s.knowing(layer, delta)
        if not any(_fits(known, layer, which, seen) for which in (W, B)):
            raise NotSo(f"examples are not counted as told: {says}")
        return delta
    factor = 0.0 if " is 0 in " in says else _number(r"has an extra factor ", says)
    rows, is_all = _listed(says, ("unit",), right.shape[1])
    if not is_all:
        return right
    scale = np.ones(right.shape[1])
    scale[rows] = factor
    return right * scale


def _values(finding, s, layer, seen, choice):
    """Yield the values that a formula may have, and how far a told number may be off."""
    candidate = finding.candidates[min(choice, len(finding.candidates) - 1)]
    place = finding.place
    base = s.error(layer) if place in (OUTPUT, HIDDEN) else None
    if candidate.formula is None:
        for factor, doubt in _factors(candidate, s, layer, place):
            yield (factor * base, doubt) if base is not None else (factor, doubt)
        return
    same = [candidate.formula]
    if candidate.says.endswith("(or so)"):
        same = [f for f in LIBRARY[place] if f.key == candidate.key]
    if candidate.formula.span is not None:
        same = [again(candidate.formula, s, layer, seen)]
    for formula in same:
        value = formula.value(s, layer)
        if value is None:
            value, doubt = base, 0.0
        elif formula.is_term:
            told = base if base is not None else _product(s, layer, place)
            value, doubt = told + candidate.c * np.reshape(value, np.shape(told)), candidate.doubt
        else:
            doubt = 0.0
        if value is None:
            value = _product(s, layer, place)
        yield value, doubt


def _product(s, layer, place):
    return blocks_of(s, layer, s.delta[layer])[W if place == WEIGHT else B]


def _factors(candidate, s, layer, place):
    if candidate.key == FACTOR:
        yield candidate.c, candidate.doubt
    elif re.fullmatch("divided by [0-9]+", candidate.key):
        yield s.m / float(candidate.key.split()[-1]), 0.0
    else:
        for known in known_factors(s, layer, place):
            if known.key == candidate.key:
                yield known.value, 0.0


# --- claims about one block -----------------------------------------------------------------------


def _any_value(finding, s, layer, which, seen, choice):
    D = blocks_of(s, layer, s.delta[layer])[which]
    T = terms_of(s, layer, s.delta[layer])[which]
    g = seen.g[layer][which]
    for told, doubt in _values(finding, s, layer, seen, choice):
        if np.ndim(told) == 0:
            value, terms, slack = told * D, max(1.0, abs(told)) * T, doubt * np.abs(D)
        else:
            value = np.reshape(told, g.shape)
            terms, slack = np.maximum(T, np.abs(value)), doubt * np.abs(value - D)
        if np.all(np.abs(g - value) <= seen.room(layer, terms) + slack):
            return True
    return False


def _block(finding, s, layer, which, place, seen, choice, is_other_told):
    """Hold one block to what is claimed; return whether it is wrong here."""
    is_right = _fits(s, layer, which, seen)
    D = blocks_of(s, layer, s.delta[layer])[which]
    room = seen.room(layer, terms_of(s, layer, s.delta[layer])[which])
    g = seen.g[layer][which]
    if finding.kind == UNKNOWN:
        if "delta_" in finding.says:
            return not is_right
        if not is_right and not is_other_told and not _fits(s, layer, 1 - which, seen):
            raise NotSo(f"layer {layer}: more is wrong than {finding.says}")
        return not is_right
    if finding.kind == FORMULA:
        if not _any_value(finding, s, layer, which, seen, choice):
            raise NotSo(f"not so: {finding.candidates[0].says}")
        return not is_right
    candidate = finding.candidates[0]
    if candidate.key == "examples":
        value = candidate.value(s, layer)
        if not np.all(np.abs(g - value) <= np.maximum(room, seen.room(layer, np.abs(value)))):
            raise NotSo(f"examples are not counted as told: {candidate.says}")
        return not is_right
    _pattern(candidate, g, D, room, place)
    return not is_right


def _pattern(candidate, g, D, room, place):
    says, wrong = candidate.says, ~(np.abs(g - D) <= room)
    names = ("row", "column") if place == WEIGHT else ("unit", "")
    where, is_all = _mask(says.partition(", ")[0] if place == BIAS and candidate.key == "entry"
                          else ENTRY.sub("", says), names, g.shape)  # fmt: skip

    def require(held, why):
        if not np.all(held):
            raise NotSo(f"{why}: {says}")

    if is_all and candidate.key in ("zero entries", "entry", "ratio of some", "confined"):
        require(~wrong[~where], "wrong elsewhere too")
    if candidate.key == "zero entries":
        require(g[where] == 0 if where.any() else g[wrong] == 0, "not 0 there")
    elif candidate.key in ("entry", "ratio of some") and "in place of" not in says:
        r = _number("factor " if "factor" in says else ", ", says)
        slack = 1e-5 * max(abs(r - 1), 1e-3 * abs(r)) * np.abs(D)
        require((np.abs(g - r * D) <= (1 + abs(r)) * room + slack)[where], "not that factor")
    elif candidate.key == "permuted" and wrong.any():
        axis = 0 if f"{names[0]}" in says else 1
        _ordered(says, g if axis == 0 else g.T, D if axis == 0 else D.T,
                 room if axis == 0 else room.T, require)  # fmt: skip


def _ordered(says, g, D, room, require):
    if shift := re.search(r"by (-?[0-9]+)", says):
        k = int(shift[1])
        require(np.abs(g - np.roll(D, k, axis=0)) <= np.roll(room, k, axis=0), "not that shift")
    elif swapped := re.search(r"swapped in [a-z]+ ([0-9]+), ([0-9]+)", says):
        i, j = int(swapped[1]), int(swapped[2])
        order = np.arange(len(D))
        order[[i, j]] = j, i
        require(np.abs(g - D[order]) <= room[order], "not swapped")
    else:
        require(blocks._permuted(g, D, room, "row") is not None, "no other order")


def _mask(says, names, shape):
    """The entries that a text names, and whether it names all of them."""
    rows, all_rows = _listed(says, (names[0],), shape[0])
    columns, all_columns = _listed(says, (names[1],), shape[1]) if names[1] else (None, True)
    mask = np.zeros(shape, bool)
    if rows is None and columns is None:
        return mask, False
    r = np.arange(shape[0]) if rows is None else rows
    c = np.arange(shape[1]) if columns is None else columns
    mask[np.ix_(r, c)] = True
    return mask, all_rows and all_columns


def _listed(says, names, n):
    for name, numbers, end, more in WHERE.findall(says):
        if name in names:
            every = [int(k) for k in numbers.split(", ")]
            if end:
                every = list(range(every[0], int(end) + 1))
            return np.array([k for k in every if k < n], int), not more
    return None, True


def _number(before, says):
    found = re.search(before + NUMBER + r"( times| in |;|$)", says)
    text = found[1]
    parts = text.split()
    if len(parts) == 3:
        return float(parts[0]) + float(parts[1] + parts[2])
    return float(text)


# --- claims about the whole answer ----------------------------------------------------------------


def _whole(seen, finding):
    s = seen.symbols.right()
    layers = range(1, s.L + 1)
    pairs = [(layer, k) for layer in layers for k in (W, B)]
    D = np.concatenate([blocks_of(s, layer, s.delta[layer])[k].ravel() for layer, k in pairs])
    g = np.concatenate([seen.g[layer][k].ravel() for layer, k in pairs])
    terms = [terms_of(s, layer, s.delta[layer])[k] for layer, k in pairs]
    room = np.concatenate(
        [seen.room(layer, T).ravel() for (layer, _), T in zip(pairs, terms, strict=True)]
    )
    if np.all(np.abs(g - D) <= room):
        return False
    if finding.kind == UNKNOWN:
        return True
    says = finding.candidates[0].says.removeprefix("the gradient ")
    if limit := re.search(r"clipped to \[-.*, (.*)\]", says):
        most = float(limit[1]) * (1 + 1e-5)
        if np.all(np.abs(g - np.clip(D, -most, most)) <= room + 1e-5 * most):
            return True
    if small := re.search(r"smaller than (.*) or so made 0", says):
        kept = np.where(np.abs(D) < float(small[1]), 0.0, D)
        if np.all(np.abs(g - kept) <= room):
            return True
    for way in changed(g, D, s.problem.dtype):
        value = D if way.slack else way.value(D)
        slack = way.slack(D) if way.slack else 0.0
        growth = np.maximum(1.0, np.abs(value / np.where(D == 0, 1.0, D)))
        is_round = way.is_round is None or way.is_round(g)
        if way.says == says and is_round and np.all(np.abs(g - value) <= room * growth + slack):
            return True
    raise NotSo(f"not so: {finding.candidates[0].says}")
