"""Sabotages, one line of code each, and the ruling or the figure of the report that each turns.

A row names a module, the line as it stands, once (or what of it is enough to find it), what is put
in its place, the part of the report that is measured again, and what has to turn there: of a claim
of the textbook the new ruling and the numbers of findings that change; of a section the claims of
the report that fall. The same part has been measured with the line as it stands: there nothing of
that has turned.
"""

import copy
from typing import NamedTuple

import matplotlib as mpl
import pytest
from ruled import ruled
from sabotage import planted

from gradcheck import selftest
from gradcheck.problems.case import sample_cases
from gradcheck.studies.report import compare as comparing
from gradcheck.studies.report import figures, run
from gradcheck.studies.report.claims import exit_code, judge
from gradcheck.studies.report.compare import ABSENT, compare
from gradcheck.studies.report.textbook import c18_training_speed
from gradcheck.studies.report.textbook.claim import section
from gradcheck.studies.report.textbook.registry import TEXTBOOK

REPORT, TEXT = "gradcheck.studies.report", "gradcheck.studies.report.textbook"
NETWORK, PATHS = "reference_models.sigmoid_network", "reference_models.paths"
CIRCUIT, TRAINING = "reference_models.circuit", "reference_models.training"


class Sabotage(NamedTuple):
    """One line of code.

    Attributes:
        module: where it stands.
        old, new: the line, and what is put in its place.
        part: what is measured again: a claim of the textbook, or a section.
        turns: what has to turn there.
    """

    module: str
    old: str
    new: str
    part: str
    turns: str


VALUE = "    value = _value(z_L, Y, cost, reduction, out)"
PASSES_300 = f"{VALUE}; [_logits(parameters, X, out) for _ in range(300)]"
LAYER = "        delta, a_below = layers[l].delta, layers[l - 1].a if l else X"
PRODUCT = f"{LAYER}; delta.T @ a_below"
RETURNED = "    return [(layer.dW, layer.db) for layer in layers]"
A_THOUSANDTH = "    return [(layer.dW, layer.db * 1.001) for layer in layers]"
A_BILLIONTH = "    return [(layer.dW, layer.db * (1 + 1e-9)) for layer in layers]"
RECURSION = "            dC[v] = sum(tally.times(d, dC[s]) for s, d in graph.get(v, {}).items())"
LARGEST = RECURSION.replace("sum(", "max(")
TWICE = RECURSION.replace("tally.times(d, dC[s])", "tally.times(tally.times(d, 1), dC[s])")
SEED = "        one = np.ones_like(values[C])"
FAN_OUT = "                    g[x] = g[x] + passed if x in g else passed"
STEP = "        (W - learning_rate * dW, b - learning_rate * db)"
QUOTIENTS = "    return numerator / denominator"
DEAL = "    return [order[start : start + batch_size] for start in range(0, m, batch_size)]"

BY_DAY = [
    # passes and flops that nobody declares
    Sabotage(NETWORK, VALUE, PASSES_300, "C7", "refuted 3"),
    Sabotage(NETWORK, VALUE, PASSES_300, "cost", "passes flops"),
    Sabotage(NETWORK, LAYER, PRODUCT, "cost", "flops"),
    Sabotage(NETWORK, LAYER, PRODUCT, "C18", "refuted 2"),
    Sabotage(
        f"{REPORT}.forward_cost",
        "    loss.reset()  # f(x) itself does not enter",
        "    loss(network.parameters)",
        "cost",
        "passes",
    ),
    Sabotage(
        "gradcheck.studies.cost",
        "    return 2 * _batch(m) * M + 2 * m * (M - products[0])",
        "    return 2 * _batch(m) * M + 2 * m * M",
        "cost",
        "flops",
    ),
    Sabotage(NETWORK, RETURNED, A_THOUSANDTH, "cost", "differences"),
    # claims
    Sabotage(
        f"{TEXT}.c01_difference_quotient",
        "    return (f(x + h) - f(x - h)) / (2 * h)",
        "    return (f(x + h) - f(x)) / h",
        "C1",
        "refuted 1 3 5",
    ),
    Sabotage(
        f"{TEXT}.c01_difference_quotient", "LOST = 2.0**-54", "LOST = 2.0**-50", "C1", "confirmed 6"
    ),
    Sabotage(
        f"{TEXT}.c02_power_rule",
        "    return power.rules[0](1, None, x, n)",
        "    return power.rules[0](1, None, x, abs(n))",
        "C2",
        "refuted 2",
    ),
    Sabotage(
        NETWORK,
        RETURNED,
        "    return [(layer.dW, layer.db + 1e-6) for layer in layers]",
        "C3",
        "refuted 1",
    ),
    Sabotage(
        f"{TEXT}.landscape",
        "    W1, W2 = W1 - t * np.outer(e, v[0]), W2 + t * np.outer(w[:, 0], e)",
        "    W1, W2 = W1 - t * np.outer(e, v[0]), W2 - t * np.outer(w[:, 0], e)",
        "C3",
        "confirmed 4",
    ),
    Sabotage(NETWORK, RETURNED, A_THOUSANDTH, "C8", "refuted 2 3"),
    Sabotage(
        f"{TEXT}.curvature",
        "    return np.asarray(h * M / 2 + 2 * noise / h)",
        "    return np.asarray(h * M / 2 + 2 * noise / h) / 100",
        "C8",
        "refuted 2",
    ),
    Sabotage(CIRCUIT, SEED, "        one = np.full_like(values[C], 2)", "C10", "refuted 1 2 3"),
    Sabotage(
        f"{TEXT}.c10_gates",
        '    change = {name: STEP * gradient[name] for name in "xy"}',
        '    change = {name: -STEP * gradient[name] for name in "xy"}',
        "C10",
        "refuted 4",
    ),
    Sabotage(NETWORK, RETURNED, A_THOUSANDTH, "C15", "refuted 1 2 3 4"),
    Sabotage(
        f"{TEXT}.c15_small_networks",
        '        "W1[0,0]": (x, sigmoid_prime(z_1), w_2, delta_2),',
        '        "W1[0,0]": (x, sigmoid_prime(z_1), delta_2),',
        "C15",
        "refuted 1 2",
    ),
    Sabotage(
        f"{TEXT}.c22_intermediate",
        "    seed = received[q] if useful else np.ones(())",
        "    seed = received[q]",
        "C22",
        "refuted 2 3",
    ),
    Sabotage(PATHS, RECURSION, LARGEST, "C23", "refuted 1"),
    Sabotage(
        f"{TEXT}.c23_order",
        "            ds[s] = ds.get(s, 0) + tally.times(ds[v], d)",
        "            ds[s] = ds.get(s, 0) + ds[v] * d",
        "C23",
        "refuted 2 3 4",
    ),
    Sabotage(
        f"{TEXT}.c24_million_weights_trained",
        "    return task, first, _train(task, first.theta, epochs,",
        "    return task, first, first or (epochs,",
        "C24",
        "confirmed 5",
    ),
    Sabotage(
        f"{TEXT}.c26_layer_below",
        "            dW, delta = spoil_gradient(dW), spoil_delta(delta)",
        "            dW = spoil_gradient(dW)",
        "C26",
        "refuted 2",
    ),
    Sabotage(
        f"{TEXT}.c27_without_a_rate",
        '    _, added = run("sum", 1.0, STEPS)',
        '    _, added = run("mean", 1.0, STEPS)',
        "C27",
        "confirmed 2",
    ),
    Sabotage(
        f"{TEXT}.c28_few_lines",
        "    return (C(w + h * e) - C(w)) / h",
        "    return (C(w + h * e) - C(w)) / (2 * h)",
        "C28",
        "refuted 2",
    ),
    Sabotage(f"{TEXT}.c28_few_lines", "H = 2.0**-26", "H = 2.0**-8", "C28", "refuted 2"),
    Sabotage(
        f"{TEXT}.c30_one_path",
        "    return next(iter(paths(graph, v))).product()",
        "    return sum(path.product() for path in paths(graph, v))",
        "C30",
        "confirmed 2 3",
    ),
    Sabotage(PATHS, RECURSION, LARGEST, "C30", "confirmed 2 3"),
    Sabotage(PATHS, RECURSION, TWICE, "C31", "confirmed 2"),
    Sabotage(
        PATHS,
        "            product = tally.times(product, factor)",
        "            product = product * factor",
        "C31",
        "refuted 1",
    ),
    Sabotage(
        f"{TEXT}.c32_extrema",
        "    return (x - r_1) * (x - r_2)",
        "    return (x - r_1) * (r_2 - x)",
        "C32",
        "refuted 1",
    ),
    Sabotage(
        f"{TEXT}.c32_extrema",
        "    return (f(x + h) - f(x)) / h",
        "    return (f(x + h) - f(x - h)) / (2 * h)",
        "C32",
        "refined 3",
    ),
    # a ruling typed in
    Sabotage(
        f"{TEXT}.claim",
        "    return REFINED if loose else CONFIRMED",
        "    return CONFIRMED",
        "C30",
        "confirmed",
    ),
    Sabotage(f"{TEXT}.claim", "        return REFUTED", "        return REFINED", "C22", "refined"),
    # sections
    Sabotage(
        "gradcheck.studies.layered.difference",
        "            estimate.value[positions] = D",
        "            estimate.value[positions] = D * (1 + 2.0**-20)",
        "million",
        "million",
    ),
    # the checker of the checker
    Sabotage(
        "gradcheck.certified.gradient",
        "        gradient=rounded.value[:-1],",
        "        gradient=rounded.value[:-1] * (1 + 1e-6),",
        "selftest",
        "false alarms",
    ),
    Sabotage(
        "gradcheck.outcomes.judging",
        "        deviation = np.abs(gradient - estimate.value)",
        "        deviation = 0 * np.abs(gradient - estimate.value)",
        "selftest",
        "escapes",
    ),
]

NIGHTLY = [
    Sabotage(
        f"{REPORT}.location",
        "    return named == wrong.tolist(), outcome",
        "    return named == wrong.tolist()[1:], outcome",
        "location",
        "location",
    ),
    Sabotage(NETWORK, RETURNED, A_BILLIONTH, "million", "million"),
    Sabotage(f"{TEXT}.c18_training_speed", "EPOCHS = 10", "EPOCHS = 0", "C18", "refuted 4"),
    Sabotage(NETWORK, RETURNED, A_THOUSANDTH, "real_data", "real-data"),
    Sabotage(
        f"{REPORT}.million.subject",
        "        g[self.at] += PLANTED * self.unit",
        "        g[self.at : self.at + 2] += PLANTED * self.unit",
        "million",
        "million",
    ),
    Sabotage(NETWORK, VALUE, PASSES_300, "C9", "refuted 2"),
    Sabotage(NETWORK, VALUE, PASSES_300, "C18", "refuted 2 5"),
    Sabotage(NETWORK, LAYER, PRODUCT, "C7", "refuted 3"),
    Sabotage(NETWORK, LAYER, PRODUCT, "C9", "refuted 2 3"),
    Sabotage(
        f"{REPORT}.cost.ratio",
        '        "gemm_ratio": gradient_flops.gemm / forward_flops.gemm,',
        '        "gemm_ratio": gradient_flops.total / forward_flops.total,',
        "cost",
        "flops",
    ),
    Sabotage(
        f"{TEXT}.c04_chain_rule",
        "        product, x = product * f.slope(x), f.value(x)",
        "        product, x = product * f.slope(f.value(x)), f.value(x)",
        "C4",
        "refuted 1 2 3",
    ),
    Sabotage(
        f"{TEXT}.c05_jacobian",
        "    seeds = np.eye(F.size).reshape(F.size, *F.shape)",
        "    seeds = np.eye(F.size)[::-1].reshape(F.size, *F.shape)",
        "C5",
        "refuted 1 3",
    ),
    Sabotage(PATHS, RECURSION, LARGEST, "C6", "refuted 1"),
    Sabotage(PATHS, RECURSION, TWICE, "C23", "refuted 2 3"),
    Sabotage(
        PATHS,
        "    return sum(path.product(tally) for path in paths(graph, start, end))",
        "    return next(iter(paths(graph, start, end))).product(tally)",
        "C6",
        "refuted 1 2 3",
    ),
    Sabotage(NETWORK, RETURNED, A_THOUSANDTH, "C7", "refuted 1 2"),
    Sabotage(CIRCUIT, SEED, "        one = np.full_like(values[C], 2)", "C11", "refuted 1"),
    Sabotage(CIRCUIT, FAN_OUT, "                    g[x] = passed", "C11", "refuted 1"),
    Sabotage(
        f"{TEXT}.c11_errors",
        "    return np.asarray((delta @ W) * sigmoid_prime(z_below))",
        "    return np.asarray((delta @ W) * sigmoid(z_below))",
        "C11",
        "refuted 3",
    ),
    Sabotage(
        f"{TEXT}.c11_errors",
        "    return np.asarray(delta.sum(axis=0))",
        "    return np.asarray(delta.mean(axis=0))",
        "C11",
        "refuted 4",
    ),
    Sabotage(
        CIRCUIT,
        "        g_C = constant(1.0, C.shape) if seed is None else seed",
        "        g_C = constant(1 + 2**-20, C.shape) if seed is None else seed",
        "C12",
        "refuted 1 3 4 5",
    ),
    Sabotage(CIRCUIT, FAN_OUT, "                    g[x] = passed", "C12", "refuted 3"),
    Sabotage(TRAINING, STEP, STEP.replace("b - ", "b - 0.5 * "), "C13", "refuted 2"),
    Sabotage(TRAINING, STEP, "        (W - learning_rate * dW, b)", "C27", "confirmed 2"),
    Sabotage(TRAINING, STEP, "        (W - learning_rate * dW, b)", "C3", "refuted 3"),
    Sabotage(TRAINING, STEP, "        (W - learning_rate * dW, b)", "C17", "refuted 1"),
    Sabotage(
        f"{TEXT}.c14_logistic",
        "    return p * (1 - p)",
        "    return p * (1 + p)",
        "C14",
        "refuted 1 3",
    ),
    Sabotage(
        TRAINING, DEAL, DEAL.replace("m, batch", "m - batch_size + 1, batch"), "C16", "refuted 1"
    ),
    Sabotage(
        TRAINING, STEP, STEP.replace("learning_rate", "1e-3 * learning_rate"), "C16", "refuted 6"
    ),
    Sabotage(
        TRAINING, STEP, STEP.replace("learning_rate", "1e-2 * learning_rate"), "C18", "refuted 4"
    ),
    Sabotage(
        TRAINING,
        "    return [(-learning_rate * dW**2, -learning_rate * db**2) for dW, db in gradient]",
        "    return [(-learning_rate * abs(dW), -learning_rate * abs(db)) for dW, db in gradient]",
        "C17",
        "refuted 3 4 5",
    ),
    Sabotage(
        f"{TEXT}.c19_best_prediction",
        "    return np.setdiff1d(np.arange(m), rows)",
        "    return rows",
        "C19",
        "confirmed 2 3",
    ),
    Sabotage(f"{TEXT}.c20_global_minimum", "SOLVED = 0.05", "SOLVED = 0.5", "C20", "confirmed 3 4"),
    Sabotage(f"{TEXT}.c20_global_minimum", "LARGE = 64.0", "LARGE = 4.0", "C20", "refuted 1"),
    Sabotage(NETWORK, VALUE, f"{VALUE}; parameters[0][1][...] += 1e-12", "C21", "refined 2"),
    Sabotage(
        f"{TEXT}.c25_after_every_sample",
        "            updates, examples = updates + 1, examples + len(rows)",
        "            updates, examples = updates + 1, examples + 32",
        "C25",
        "refuted 3 4",
    ),
    Sabotage(
        f"{TEXT}.c26_layer_below",
        "        delta = (delta @ problem.weights[l - 1]) * a[l - 1] * (1 - a[l - 1])",
        "        delta = (delta @ (problem.weights[l - 1] + dW)) * a[l - 1] * (1 - a[l - 1])",
        "C26",
        "refuted 1 3",
    ),
    Sabotage(
        f"{TEXT}.c29_optimisers",
        "        v = beta * v - rate * g",
        "        v = beta * v - rate * g / 1000",
        "C29",
        "refuted 1",
    ),
    Sabotage(NETWORK, RETURNED, A_THOUSANDTH, "consistency", "consistency"),
    Sabotage(
        "gradcheck.differences.finite_difference",
        "    bound = bound + 2 * disagreement + jumps.uncertain / 2",
        "    bound = (bound + 2 * disagreement + jumps.uncertain / 2) / 1000",
        "consistency",
        "consistency coverage",
    ),
    Sabotage(NETWORK, RETURNED, A_BILLIONTH, "accuracy", "agreement right-engines"),
    Sabotage(
        "gradcheck.rounding.gradient",
        "    return Sweep(problem, arithmetic).bound(clip=clip, floor=floor)",
        "    return Sweep(problem, arithmetic).bound(clip=clip, floor=floor) / 100",
        "accuracy",
        "right-engines",
    ),
    Sabotage(
        f"{REPORT}.accuracy.planting",
        "    deltas, scaled = Float32Deltas(), Scaled()",
        "    deltas, scaled = Float32Deltas(), Float32Deltas()",
        "accuracy",
        "precision",
    ),
    Sabotage(
        "gradcheck.differences.finite_difference",
        QUOTIENTS,
        "    return numerator / denominator * (1 + 1e-6)",
        "step_size",
        "order noise",
    ),
    Sabotage(
        f"{REPORT}.fits",
        "    s = float(dX @ dY) / spread",
        "    s = float(dX @ dY) / spread / 2",
        "step_size",
        "order noise",
    ),
    Sabotage(
        "gradcheck.differences.locate",
        " for half, part in both if stands_out(part.value, part.likely)]",
        " for half, part in both]",
        "location",
        "location",
    ),
    Sabotage(
        f"{REPORT}.million.subject",
        "        g[self.at] += PLANTED * self.unit",
        "        g[self.at] += 0 * self.unit",
        "million",
        "million",
    ),
]


def named(sabotages):
    return [pytest.param(one, id=f"{one.part}-{n}") for n, one in enumerate(sabotages)]


# --- what is measured again -----------------------------------------------------------------------


@pytest.fixture(scope="session")
def as_it_is(tiny, measured, shortened):
    """Returns what a part finds with every line as it stands, measured once."""
    known = {}

    def found(part):
        if part not in known:
            known[part] = ruled(measured(TEXTBOOK[part])) if part in TEXTBOOK else None
            if known[part] is None:
                known[part] = again(part, tiny, shortened)
        return known[part]

    return found


def again(part, settings, shortened):
    """Measure a part of the report."""
    if part == "selftest":
        return examined()
    with mpl.rc_context(figures.STYLE), pytest.MonkeyPatch.context() as patch:
        shortened(patch)
        if part in TEXTBOOK:
            return ruled(TEXTBOOK[part].measure(settings))
        return fallen({part: run.SECTIONS[part](settings).to_json()})


def fallen(sections):
    return [claim["id"] for claim in judge(sections) if not claim["holds"]]


def examined():
    """Return what is wrong with the checker: one mutant that escapes, right engines accused."""
    (case,) = sample_cases(1, 1, **selftest.SMALL)
    by_differences = {"consistency": selftest.PROPERTIES["consistency"]}
    escaped = selftest.caught("first_example_only", by_differences).escaped
    false = selftest.alarms([case]).false
    return ["escapes"] * escaped + ["false alarms"] * bool(false)


def check(sabotage, tiny, as_it_is, shortened):
    before = as_it_is(sabotage.part)
    with planted(sabotage.module, sabotage.old, sabotage.new):
        after = again(sabotage.part, tiny, shortened)
    if sabotage.part not in TEXTBOOK:
        assert before == []
        assert " ".join(after) == sabotage.turns
        return
    ruling, *numbers = sabotage.turns.split()
    assert before[0] == TEXTBOOK[sabotage.part].expected or sabotage.part == "C12"
    assert after[0] == ruling
    pairs = enumerate(zip(before[1], after[1], strict=True), start=1)
    changed = {str(n) for n, (was, now) in pairs if was != now}
    assert set(numbers) <= changed
    assert changed or after[0] != before[0]


@pytest.mark.parametrize("sabotage", named(BY_DAY))
def test_a_sabotage_turns_what_it_should(sabotage, tiny, as_it_is, shortened):
    check(sabotage, tiny, as_it_is, shortened)


@pytest.mark.nightly
@pytest.mark.parametrize("sabotage", named(NIGHTLY))
def test_a_longer_sabotage_turns_what_it_should(sabotage, tiny, as_it_is, shortened, monkeypatch):
    as_it_is(sabotage.part)
    if sabotage.new is PASSES_300:  # 300 times as many passes in each of its steps
        monkeypatch.setattr(c18_training_speed, "EPOCHS", 0)
    check(sabotage, tiny, as_it_is, shortened)


def test_every_claim_and_every_section_is_sabotaged():
    parts = {sabotage.part for sabotage in BY_DAY + NIGHTLY}
    assert parts == {*TEXTBOOK, *run.SECTIONS, "selftest"} - {"textbook"}


@pytest.mark.parametrize("sabotage", named(BY_DAY + NIGHTLY))
def test_every_line_stands_once(sabotage):
    """Also by day: a table that names lines that are gone shows nothing."""
    with planted(sabotage.module, sabotage.old, sabotage.new):
        pass


# --- forged reports -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def honest(tiny, measured):
    """A report of two claims and a section, as `--check` compares it."""
    claims = [TEXTBOOK["C10"], TEXTBOOK["C30"]]
    sections = {
        "cost": run.SECTIONS["cost"](tiny).to_json(),
        "textbook": section(claims, list(map(measured, claims))).to_json(),
    }
    machine = {"arithmetic": "these last bits"}
    return {"machine": machine, "complete": True, "sections": sections, "claims": judge(sections)}


def differences(committed, fresh, monkeypatch):
    monkeypatch.setattr(comparing, "render", lambda _: "")
    return {found.path: found for found in compare(committed, fresh, "")}


COST, CLAIMS = "sections.cost", "sections.textbook"
FORGERIES = [
    # path, how the number is forged, whether it is named under the same and another arithmetic
    (f"{COST}.results.networks.0.forward_difference_passes", lambda n: n + 1, True, True),
    (f"{COST}.results.networks.1.backprop_forward_passes", lambda n: n + 300, True, True),
    (f"{COST}.results.ratios.0.gemm_ratio", lambda w: w * 1.001, True, True),
    (f"{COST}.measured.check_passes.0", lambda n: 3 * n, True, True),
    (f"{COST}.measured.check_passes.0", lambda n: n + 1, True, False),
    (f"{COST}.timings.networks.0.backprop.median", lambda t: 1e3 * t, True, True),
    (f"{COST}.timings.networks.0.backprop.median", lambda t: -t, True, True),
    (f"{CLAIMS}.measured.C30.1.median", lambda x: 20 * x, True, True),
    (f"{CLAIMS}.measured.C30.1.median", lambda x: x * (1 + 1e-15) + 1e-15, True, False),
    (f"{CLAIMS}.results.C30.ruling", lambda _: "confirmed", True, True),
    (f"{CLAIMS}.results.C30.findings.1.holds", lambda _: False, True, True),
    (f"{CLAIMS}.results.C30.findings.1.contradicts", lambda _: False, True, True),
    (f"{CLAIMS}.results.C10.findings.0.numbers.f", lambda f: -f, True, True),
    (f"{CLAIMS}.results.C10.expected", lambda _: "refuted", True, True),
    ("claims.0.holds", lambda _: False, True, True),
    ("complete", lambda _: False, True, True),
]


@pytest.mark.parametrize("another", [False, True], ids=["same bits", "other bits"])
@pytest.mark.parametrize(("path", "forge", "same", "elsewhere"), FORGERIES)
def test_a_forged_number_is_named(path, forge, same, elsewhere, another, honest, monkeypatch):
    forged, fresh = copy.deepcopy(honest), copy.deepcopy(honest)
    *way, last = (int(key) if key.isdigit() else key for key in path.split("."))
    node = forged
    for key in way:
        node = node[key]
    node[last] = forge(node[last])
    if another:
        fresh["machine"]["arithmetic"] = "other last bits"
    assert list(differences(honest, fresh, monkeypatch)) == []
    told = list(differences(forged, fresh, monkeypatch))
    assert told == ([path] if (elsewhere if another else same) else [])


@pytest.mark.parametrize(
    ("path", "grows"),
    [
        (f"{COST}.results.networks", True),
        (f"{COST}.results.networks", False),
        (f"{COST}.measured.check_passes", True),
        (f"{COST}.measured.check_passes", False),
        (f"{COST}.timings.networks", False),
        (f"{CLAIMS}.results.C30.findings", False),
        (f"{CLAIMS}.measured.C30", True),
        ("claims", False),
    ],
)
def test_a_list_that_grew_or_shrank_is_named(path, grows, honest, monkeypatch):
    forged, fresh = copy.deepcopy(honest), copy.deepcopy(honest)
    fresh["machine"]["arithmetic"] = "other last bits"
    node = forged
    for key in path.split("."):
        node = node[key]
    node.append(copy.deepcopy(node[-1])) if grows else node.pop()
    told = differences(forged, fresh, monkeypatch)
    assert told
    assert all(name.startswith(f"{path}.") for name in told)
    values = [(found.committed, found.fresh) for found in told.values()]
    assert all((fresh if grows else committed) == ABSENT for committed, fresh in values)


@pytest.mark.parametrize(
    ("module", "old", "new", "part", "path"),
    [
        pytest.param(
            *(NETWORK, VALUE, PASSES_300, "cost", "results.networks.0.backprop_forward_passes"),
            marks=pytest.mark.nightly,
        ),
        (NETWORK, LAYER, PRODUCT, "cost", "results.ratios.1.gemm_ratio"),
    ],
)
def test_what_a_sabotage_turns_is_named_by_check(
    module, old, new, part, path, tiny, honest, monkeypatch
):
    fresh = copy.deepcopy(honest)
    with planted(module, old, new):
        fresh["sections"][part] = run.SECTIONS[part](tiny).to_json()
    fresh["claims"] = judge(fresh["sections"])
    told = differences(honest, fresh, monkeypatch)
    assert f"sections.{part}.{path}" in told
    assert any(name.startswith("claims.") for name in told)


COMPARE = f"{REPORT}.compare"


@pytest.mark.parametrize(
    ("old", "new", "path", "value"),
    [
        (
            "        for i in range(max(len(old), len(new))):",
            "        for i in range(min(len(old), len(new))):",
            f"{COST}.measured.check_passes",
            [],
        ),
        (
            "    if ABSENT in (old, new):\n        return False",
            "    if ABSENT in (old, new):\n        return True",
            f"{COST}.timings.ratios",
            [],
        ),
        (
            '    exactly = {"results": True, "measured": same, "timings": False}',
            '    exactly = {"results": False, "measured": same, "timings": False}',
            f"{CLAIMS}.results.C30.ruling",
            "confirmed",
        ),
        (
            "    return size < ROUNDING or (a * b > 0 and 1 / FACTOR <= a / b <= FACTOR)",
            "    return size < ROUNDING or 1 / FACTOR <= abs(a / b) <= FACTOR",
            f"{COST}.timings.networks.0.backprop.median",
            -1e-4,
        ),
    ],
    ids=["lists cut", "absent is near", "results by word", "sign"],
)
def test_a_comparison_that_is_sabotaged_names_less(old, new, path, value, honest, monkeypatch):
    forged = copy.deepcopy(honest)
    *way, last = (int(key) if key.isdigit() else key for key in path.split("."))
    node = forged
    for key in way:
        node = node[key]
    node[last] = value
    assert differences(forged, honest, monkeypatch)
    with planted(COMPARE, old, new):
        assert differences(forged, honest, monkeypatch) == {}


def test_a_finding_typed_in_ends_the_report_with_exit_code_1(honest):
    assert all(claim["holds"] for claim in honest["claims"])
    forged = copy.deepcopy(honest["sections"])
    forged["textbook"]["results"]["C30"]["findings"][1]["holds"] = False
    assert fallen(forged) == ["C30"]
    assert exit_code({"sections": forged, "claims": judge(forged)}) == 1
