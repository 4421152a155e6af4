"""The parts of an examination: what each decides, at its edges, of numbers that are told."""

import numpy as np
import pytest

from gradcheck.checks import examine as module
from gradcheck.differences.bounds import Bounds
from gradcheck.differences.jumps import Jump
from gradcheck.differences.lines import BudgetSpentError, Lines
from gradcheck.differences.noise import Noise
from gradcheck.outcomes.estimate import Estimate, Status
from gradcheck.outcomes.judging import compare
from gradcheck.outcomes.reasons import Kind
from gradcheck.pytree import structure_of

u = 2.0**-53
EPS = Noise(2.0**-44, 2.0**-40, u, 0)


def estimate_of(value, **fields):
    found = Estimate.empty(len(value))
    found.value[:], found.bound[:], found.step[:] = value, 2.0**-30, 2.0**-10
    found.status[:] = Status.RESOLVED
    for name, given in fields.items():
        getattr(found, name)[:] = given
    return found


def lines_of(x, f=lambda _: 0.0, bounds=None):
    return Lines(f, x, bounds=bounds)


# --- noise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "size", "secant", "gone"),
    [
        (1.0, 1.0, 1.0, True),
        (1.0, 1.0 + 2.0**-40, 1.0, False),
        (1.0, 0.5, 1.0, True),
        (1.0, 0.5, 2.0**10 * (1 + 2.0**-40), False),  # f a step away is as large as the noise
        (1.0, 0.5, 0.0, False),  # no search has been here
    ],
)
def test_where_the_noise_is_as_large_as_f_there_is_no_step(level, size, secant, gone):
    for value, scale in ((size, 0.0), (0.0, size), (-size, 0.0)):
        estimate = estimate_of([1.0, 1.0], secant=secant)
        estimate.status[1] = Status.KINK
        lines = lines_of(np.ones(2), lambda _, value=value: value)
        module._give_up_on_noise(lines, Noise(level, 9 * level, u, 0, scale), estimate)
        assert estimate.status.tolist() == [Status.NO_STEP if gone else 0, Status.KINK]


@pytest.mark.parametrize(("factor", "gone"), [(1.0, False), (1.01, True)])
def test_the_rounding_of_f_itself_is_no_such_noise(factor, gone):
    lines = lines_of(np.ones(1))
    level = 12 * lines.tiny * factor  # of a value of 0
    estimate = estimate_of([1.0], secant=2.0**-1016)
    module._give_up_on_noise(lines, Noise(level, level, u, 0), estimate)
    assert estimate.status.tolist() == [Status.NO_STEP if gone else Status.RESOLVED]


@pytest.mark.parametrize(
    ("level", "item"),
    [(0.24, 8), (0.25, 4), (1.0, 4), (64.0, 4), (65.0, 8), (2.0**13 / 4, 2), (2.0**13 * 64, 2)],
)
@pytest.mark.parametrize("value", [3.0, -3.0, 0.5])
def test_the_format_shows_in_noise_and_values(level, item, value):
    lines = lines_of(np.ones(1), lambda _: value)
    size = max(abs(value), 1.0)  # of f nearby
    noise = Noise(level * 2.0**-24 * size, 1.0, u, 0, scale=1.0)
    lines.value_bytes = 2
    assert module.format_of(lines, noise) == item
    lines.value_bytes = 4
    assert module.format_of(lines, noise) == (8 if item == 2 else item)
    lines.value_bytes = 8
    assert module.format_of(lines, noise) == 8


# --- jumps ----------------------------------------------------------------------------------------


def test_the_smallest_jump_that_matters_lets_one_that_failed_pass(monkeypatch):
    structure = structure_of(np.ones(3))
    estimate = estimate_of([1.0, 2.0, 3.0])
    seen = compare(structure, np.array([1.5, 2.25, 3.0]), estimate, resolution=1e-6)
    monkeypatch.setattr(module, "least_jump", lambda excess, step: excess / step)
    failed = np.array([0, 1])
    excess = np.array([0.5, 0.25]) - seen.allowance[:2]
    assert module._least_jump(seen, estimate, failed) == float(excess[1] / 2.0**-10)
    assert module._least_jump(seen, estimate, np.arange(3)) == 0.0
    assert module._least_jump(seen, estimate, failed[:0]) == 0.0


def test_jumps_are_looked_for_along_the_first_and_the_last(monkeypatch):
    asked = []

    def jump(lines, eps, j, step, least):
        asked.append((j, step, least))
        return Jump(1.0, 0.0, flat=False)

    monkeypatch.setattr(module, "_jump", jump)
    estimate = estimate_of(np.ones(9), step=np.arange(9.0))
    found = module._jumps(None, EPS, estimate, np.array([2, 5, 7]), 0.25)
    assert (list(found), asked) == ([2, 7], [(2, 2.0, 0.25), (7, 7.0, 0.25)])
    asked.clear()
    assert list(module._jumps(None, EPS, estimate, np.array([5]))) == [5]
    assert asked == [(5, 5.0, 0.0)]
    assert module._jumps(None, EPS, estimate, np.array([], dtype=int)) == {}


@pytest.mark.parametrize(
    ("size", "least", "asks"),
    [(2.0**-40, 0.0, True), (2.0**-39, 0.0, False), (0.0, 0.75, True)],
)
def test_noise_beside_1_is_looked_for_where_no_jump_is_seen(size, least, asks, monkeypatch):
    seen = Jump(size, 0.5, flat=True)
    monkeypatch.setattr(module, "jump_near", lambda *_: seen)
    asked = []
    monkeypatch.setattr(module, "noise_beside_one", lambda *given: asked.append(given) or 0.125)
    lines = lines_of(np.ones(3))
    found = module._jump(lines, EPS, 1, 0.5, least)
    assert bool(asked) is asks
    if asks:
        assert asked == [(lines, 1, EPS.level, least / 3)]  # it is taken for 3 times as much
        assert (found.size, found.at, found.flat) == (3 * 0.125, np.inf, False)
        monkeypatch.setattr(module, "noise_beside_one", lambda *_: 0.0)
        assert module._jump(lines, EPS, 1, 0.5, least) is seen
    else:
        assert found is seen


# --- stairs ---------------------------------------------------------------------------------------


def test_f_is_constant_near_x_where_a_side_has_its_bits_within_the_room():
    moved = []

    def f(p):
        moved.append(p.copy())
        return 2.0 if p[1] == 1 and p[2] >= 1 else 2.5

    lines = lines_of(np.ones(4), f)
    moved.clear()
    estimate = estimate_of([0.5, 0.5, 0.5, 0.5])
    assert module._constant_near(lines, estimate, np.arange(4)).tolist() == [0, 2, 3]
    t = 2.0**6 * u * 2.0 / 0.5  # 64 roundings of f
    assert np.abs(np.array(moved[0]) - 1).max() == t
    room = np.array([np.inf, np.inf, np.inf, t / 2])
    near = lines_of(np.ones(4), f, Bounds(1 - room, 1 + room))
    assert module._constant_near(near, estimate, np.arange(4)).tolist() == [0, 2]


def test_x_is_moved_by_32_ulps_at_least():
    moved = []
    lines = lines_of(np.full(1, 8.0), lambda p: moved.append(p.copy()) or 1.0)
    moved.clear()
    module._constant_near(lines, estimate_of([2.0**30]), np.array([0]))
    assert sorted(float(p[0]) for p in moved) == [8 - 2.0**-44, 8 + 2.0**-44]


def test_treads_are_where_bounds_end_before_anything_is_far():
    far = module.FAR
    x = np.array([1.0, -2.0, 0.0])
    for room, reach, treads in (
        (far / 2, far / 4, [0, 1, 2]),
        (far / 2, 0.0, []),
        (far * 1.5, far / 4, [1, 2]),  # of |x| where x is not 0, else of the scale
        (far / 2, far * 1.5, [1, 2]),
        (far * 3, far / 4, []),
    ):
        lines = lines_of(x, bounds=Bounds(x - room, x + room))
        estimate = estimate_of(np.ones(3), reach=reach)
        assert module._unmoved_within_bounds(lines, estimate, np.arange(3)).tolist() == treads


# --- narrower bounds ------------------------------------------------------------------------------


@pytest.fixture
def narrow(monkeypatch):
    """Seek narrower bounds as told; return the estimate, and which were asked for."""

    def found(value, bound, g, answer=lambda part: 2.0**-40, x=None, **statuses):
        x = np.ones(len(value)) if x is None else x
        lines, asked = lines_of(x), []
        estimate = estimate_of(value, bound=bound)
        for j, status in statuses.get("status", {}).items():
            estimate.status[j] = status

        def narrower(lines, eps, estimate, part, wanted, *_):
            asked.append((part.tolist(), wanted.tolist()))
            one = estimate.part(part)
            one.bound[:] = answer(part)
            return one

        monkeypatch.setattr(module, "narrower", narrower)
        seen = compare(lines.structure, np.array(g), estimate, resolution=1e-6)
        module._narrow(lines, EPS, np.array(g), estimate, seen)
        return estimate, asked

    return found


def test_probes_come_first_and_the_others_if_one_of_them_is_decided(narrow):
    value = np.array([1.0, 2.0, 3.0, 4.0])
    estimate, asked = narrow(value, 2.0**-4, value)
    wanted = 1e-6 * 4.0
    assert asked == [([0, 3], [wanted] * 2), ([1, 2], [wanted] * 2)]
    assert (estimate.bound == 2.0**-40).all()
    estimate, asked = narrow(value, 2.0**-4, value, answer=lambda part: 2.0**-5)
    assert len(asked) == 1
    estimate, asked = narrow(value[:1], 2.0**-4, value[:1])
    assert asked == [([0], [1e-6])]


def test_a_narrower_bound_is_kept_only_where_the_number_is_within_it(narrow):
    value = np.array([1.0, 2.0])
    estimate, _ = narrow(value, 2.0**-4, value + np.array([0.0, 2.0**-39]))
    assert estimate.bound.tolist() == [2.0**-40, 2.0**-4]


def test_nothing_is_sought_of_what_is_not_above_its_bound_or_where_more_is_open(narrow):
    assert narrow([1.0], 2.0, [1.0])[1] == []
    assert narrow([1.0], 1.0, [1.0])[1] == []
    value = np.array([1.0, 2.0])
    assert narrow(value, 2.0**-4, value, status={1: Status.NO_STEP})[1] == []
    assert narrow(value, 2.0**-40, value)[1] == []


def test_a_budget_that_is_spent_keeps_what_is_known(monkeypatch):
    def narrower(*_):
        raise BudgetSpentError

    monkeypatch.setattr(module, "narrower", narrower)
    lines, estimate, g = lines_of(np.ones(1)), estimate_of([1.0], bound=2.0**-4), np.ones(1)
    seen = compare(lines.structure, g, estimate, resolution=1e-6)
    assert seen.kind[0] == Kind.VACUOUS
    module._narrow(lines, EPS, g, estimate, seen)
    assert estimate.bound[0] == 2.0**-4


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noise", "budget", "resolution", "seed"),
    [(None, None, None, 0), (1e-300, 1, 0.999, np.int64(7)), (1, np.int32(5), 1e-9, 10**30)],
)
def test_options_in_range_are_taken(noise, budget, resolution, seed):
    assert module.check_options(noise, budget, resolution, seed) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [(n, v) for n, values in {
        "seed": (-1, 1.0, True, "0"),
        "noise": (0, -1.0, np.inf, np.nan, "1", 1j),
        "budget": (0, -3, 2.0, True, "9"),
        "resolution": (0, 1, 1.5, np.nan, "0.5"),
    }.items() for v in values],
)  # fmt: skip
def test_options_out_of_range_are_refused_by_name(name, value):
    usual = {"noise": None, "budget": None, "resolution": None, "seed": 0}
    with pytest.raises(ValueError, match=f"^{name}="):
        module.check_options(**{**usual, name: value})


def test_where_the_budget_ends_before_stairs_are_looked_for_zeros_are_not_accused(monkeypatch):
    def stairs(*_):
        raise BudgetSpentError

    monkeypatch.setattr(module, "_stairs", stairs)
    lines, estimate, notes = lines_of(np.ones(4)), estimate_of(np.ones(4)), []
    g = np.array([0.0, 5.0, 0.0, 0.0])
    given = (lines, estimate, np.array([0, 1, 3]), g, lines.structure, notes)
    assert module._spare_treads(*given).tolist() == [1]
    waiting = Status.NOT_EVALUATED
    assert estimate.status.tolist() == [waiting, Status.RESOLVED, Status.RESOLVED, waiting]
    assert [note.partition(" ")[0] for note in notes] == ["x[0]"]


def test_coordinates_on_which_steps_differ_are_told_unless_f_is_a_staircase_there(monkeypatch):
    monkeypatch.setattr(module, "second_opinions", lambda *_: [])
    monkeypatch.setattr(module, "contested", lambda *_: np.array([0, 2]))
    monkeypatch.setattr(module, "_stairs", lambda *_: np.array([2]))
    lines, estimate, notes = lines_of(np.ones(3)), estimate_of(np.ones(3)), []
    g = np.zeros(3)
    seen = compare(lines.structure, g, estimate, resolution=1e-6)
    given = (lines, EPS, g, estimate, seen, np.arange(3), notes)
    assert module._confirmed(*given).tolist() == [1]
    assert estimate.status.tolist() == [Status.NO_STEP, Status.RESOLVED, Status.NO_STEP]
    assert [note.partition(",")[0] for note in notes] == ["1 coordinates"]
    assert "x[0] first" in notes[0]


@pytest.mark.parametrize(
    ("sizes", "rounds"),
    [
        ([0.0], 0),
        ([1.0, 0.0], 1),
        ([1.0, 2.0], 1),  # within the noise of the first
        ([1.0, 1e2, 0.0], 2),
        ([1.0, 1e2, 1e4, 1e6, 1e8], 4),
    ],
)
def test_jumps_are_looked_for_again_while_they_are_larger_than_the_noise_of_those_before(
    sizes, rounds, monkeypatch
):
    left, asked = list(sizes), []

    def differences(lines, eps, coordinates):
        asked.append((eps.level, coordinates.tolist()))
        return estimate_of([1.0, 1.0, 1.0])

    def jumps(lines, eps, estimate, coordinates, least=0.0):
        return {1: Jump(left.pop(0), 1.0, flat=False)} if coordinates.size else {}

    monkeypatch.setattr(module, "finite_difference", differences)
    monkeypatch.setattr(module, "_jumps", jumps)
    x, notes = np.ones(3), []
    given = (lines_of(x), EPS, np.array([1.0, 2.0, 1.0]), estimate_of([1.0, 1.0, 1.0]))
    found = module._with_jumps(*given, structure_of(x), 1e-6, notes, suspected=False)
    assert asked == [(size, [1]) for size in sizes[:rounds]]
    assert found.level == (sizes[rounds - 1] if rounds else EPS.level)
