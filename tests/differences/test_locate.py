"""Group testing names the wrong coordinates of a large gradient in a hundred forward passes."""

import collections
from dataclasses import replace

import numpy as np
import pytest
from some import some

from gradcheck.checks.gradient import check_gradient
from gradcheck.differences.directional import Direction
from gradcheck.differences.lines import Lines
from gradcheck.differences.locate import AFTERWARDS, DIRECTIONS, PILOTS, locate
from gradcheck.differences.noise import estimate_noise
from gradcheck.differences.screening import Settled
from gradcheck.outcomes.reasons import Kind, Reason, Verdict
from gradcheck.splitmix64 import Stream
from reference_models import sigmoid_network

FAILS = Verdict.FAIL


class Wave:
    """f = sum a x^2 / 2 + b sin x: N coordinates that do not know of each other."""

    def __init__(self, N, seed=0):
        generator = np.random.default_rng(seed)
        self.a, self.b = generator.uniform(0.5, 2, (2, N))
        self.x = generator.normal(size=N)
        self.passes = 0

    def f(self, x):
        self.passes += 1
        return float(self.a @ (x * x) / 2 + self.b @ np.sin(x))

    def gradient(self, x):
        return self.a * x + self.b * np.cos(x)


class Network:
    """A sigmoid network n-h-1 of about N weights as one vector: all of them share their units."""

    def __init__(self, N, seed=0):
        h = max(2, int(np.sqrt(N)))
        n = max(1, round((N - 1) / h) - 2)
        generator = np.random.default_rng(seed)
        self.X = generator.normal(size=(8, n))
        self.Y = (generator.random((8, 1)) < 0.5) * 1.0
        self.shapes = [(h, n), (h,), (1, h), (1,)]
        scales = [n**-0.5, 1.0, h**-0.5, 1.0]
        parts = zip(self.shapes, scales, strict=True)
        self.x = np.concatenate([s * generator.normal(size=int(np.prod(z))) for z, s in parts])
        self.out = sigmoid_network.Workspace((n, h, 1), 8, np.float64)
        self.passes = 0

    def parameters(self, x):
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        parts = zip(np.split(x, ends), self.shapes, strict=True)
        W1, b1, W2, b2 = (part.reshape(shape) for part, shape in parts)
        return [(W1, b1), (W2, b2)]

    def f(self, x):
        self.passes += 1
        return float(sigmoid_network.loss(self.parameters(x), self.X, self.Y, out=self.out))

    def gradient(self, x):
        _, layers = sigmoid_network.value_and_grad(self.parameters(x), self.X, self.Y, out=self.out)
        return np.concatenate([array.reshape(-1) for layer in layers for array in layer])


def planted(box, change):
    """The gradient of a box after `change` was done to it."""

    def wrong(x):
        g = box.gradient(x).copy()
        change(g)
        return g

    return wrong


def typical(box, count, seed):
    """Coordinates drawn from those at least as large as the median."""
    size = np.abs(box.gradient(box.x))
    drawn = np.random.default_rng(seed).choice(
        np.flatnonzero(size >= np.median(size)), count, replace=False
    )
    return np.sort(drawn)


def search(box, change=lambda g: None, **options):
    outcome = check_gradient(box.f, planted(box, change), box.x, method="directional", **options)
    assert outcome.forward_passes == box.passes
    return outcome


def scaled(js, error):
    def change(g):
        g[js] *= 1 + error

    return change


def named(outcome):
    return sorted(int(d.name[2:-1]) for d in outcome.discrepancies)


# --- one wrong, several wrong, none wrong ---------------------------------------------------------


@pytest.mark.parametrize("Box", [Wave, Network])
@pytest.mark.parametrize("error", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize(("count", "most"), [(1, 150), (3, 350)])
def test_the_wrong_coordinates_are_named(Box, error, count, most):
    for seed in range(3):
        box = Box(3000, seed)
        js = typical(box, count, seed)
        outcome = search(box, scaled(js, error), seed=seed)
        assert outcome.verdict is FAILS
        assert named(outcome) == js.tolist(), str(outcome)
        assert outcome.forward_passes <= most


@pytest.mark.parametrize("Box", [Wave, Network])
def test_a_right_gradient_passes_with_its_power_stated(Box):
    for seed in range(3):
        outcome = search(Box(2000, seed), seed=seed)
        assert outcome.verdict is Verdict.PASS
        assert outcome.miss_probability == 2.0**-DIRECTIONS
        assert "none is known by itself" in outcome.detail
        assert "2^-20 = 1e-06" in outcome.detail
        assert np.isnan(outcome.comparison.oracle).all()
        assert outcome.forward_passes <= 150


def test_a_hundred_thousand_coordinates_take_no_more():
    box = Wave(100_000)
    outcome = search(box, scaled([12_345], 0.01))
    assert named(outcome) == [12_345]
    assert outcome.forward_passes <= 150


def test_no_error_above_the_stated_resolution_passes():
    right = search(Wave(500))
    (reach,) = set(right.comparison.allowance)
    for seed in range(5):
        box = Wave(500)
        error = np.zeros(500)
        error[37 * seed] = 1.1 * reach
        assert search(box, lambda g, e=error: g.__iadd__(e), seed=seed).verdict is not Verdict.PASS


def test_the_bound_that_a_pass_states_is_the_widest_of_its_directions(monkeypatch):
    """f is noisier along the fourth direction than along all that come after it."""
    bounds = []

    class Uneven(Direction):
        def at(self, exponent, truncation):
            slope = super().at(exponent, truncation)
            bounds.append(slope.bound if len(bounds) else 10 * slope.bound)
            return replace(slope, noise=slope.noise + bounds[-1] - slope.bound)

    monkeypatch.setattr("gradcheck.differences.locate.Direction", Uneven)
    box = Wave(50)
    lines = Lines(box.f, box.x)
    noise = estimate_noise(lines, Stream(0, "noise"))
    (block,) = locate(lines, noise, box.gradient(box.x), lambda _: np.empty(0), Stream(0, "signs"))
    assert block.state is Settled.SCREENED
    assert len(bounds) == DIRECTIONS - PILOTS
    assert block.threshold == pytest.approx(bounds[0])
    assert bounds[-1] < bounds[0] / 5


# --- what cancels -------------------------------------------------------------------------------


def test_errors_that_cancel_are_found_by_fresh_signs():
    for seed in range(6):
        box = Wave(1000, seed)

        def change(g):
            g[3] += 0.5
            g[800] -= 0.5

        assert named(search(box, change, seed=seed)) == [3, 800]


def test_two_that_are_swapped_are_both_named():
    def swap(g):
        g[[100, 700]] = g[[700, 100]]

    assert named(search(Wave(1000), swap)) == [100, 700]


# --- too many to be named -------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.0, -1.0, 2.0, 1 + 1e-4])
def test_a_wholly_wrong_block_is_recognised_and_not_hunted_one_by_one(factor):
    def change(g):
        g *= factor

    outcome = search(Wave(5000), change)
    assert outcome.verdict is FAILS
    assert 3 <= len(outcome.discrepancies) <= 4
    assert any("errors are widespread there" in note for note in outcome.notes)
    assert outcome.forward_passes <= 330
    assert outcome.diagnosis


def test_a_wholly_wrong_range_is_narrowed_down_to():
    def change(g):
        g[3000:3100] *= -1

    outcome = search(Wave(10_000), change)
    assert outcome.verdict is FAILS
    assert all(3000 <= j < 3100 for j in some(named(outcome)))
    (note,) = [note for note in outcome.notes if "widespread" in note]
    assert "x[29" in note


def test_not_more_than_ten_are_sought():
    outcome = search(Wave(20_000), lambda g: g.__setitem__(slice(None, None, 1000), 9.0))
    assert outcome.verdict is FAILS
    assert 3 <= len(outcome.discrepancies) <= 13
    assert outcome.counts["not_evaluated"] > 0


def test_many_errors_too_small_to_be_seen_alone_accuse_nobody():
    def change(g):
        g *= 1 + 1e-8

    outcome = search(Wave(10_000), change)
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert any("many small errors" in note for note in outcome.notes)
    assert outcome.forward_passes <= 1000


# --- the budget -----------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", range(1, 131, 13))
def test_the_budget_is_kept_and_what_is_known_is_said(budget):
    right = search(Wave(1000), budget=budget)
    assert right.verdict is Verdict.INCONCLUSIVE or right.forward_passes > 100
    assert right.forward_passes <= budget
    wrong = search(Wave(1000), scaled([500], 0.5), budget=budget)
    assert wrong.forward_passes <= budget
    assert wrong.verdict is not Verdict.PASS
    if wrong.verdict is FAILS:
        assert named(wrong) == [500]


def test_a_budget_that_ends_between_directions_states_how_many_agreed():
    outcome = search(Wave(1000), budget=80)
    assert outcome.reason is Reason.BUDGET
    assert "random directions agree" in " ".join(outcome.notes)


def test_a_hunt_that_the_budget_ends_says_where_something_is_wrong():
    outcome = search(Wave(1000), scaled([500], 0.5), budget=55)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.BUDGET)
    assert "something is wrong in" in " ".join(outcome.notes)


# --- what cannot be decided -----------------------------------------------------------------------


def test_a_kink_is_no_error():
    x = np.linspace(-1, 1, 1001)
    outcome = check_gradient(lambda x: np.abs(x).sum(), np.sign, x, method="directional")
    assert outcome.reason is Reason.NONDIFFERENTIABLE


def test_noise_makes_the_screen_vacuous_and_large_errors_still_fail():
    generator = np.random.default_rng(0)
    box = Wave(1000)

    def noisy(x):
        return box.f(x) + 1e-3 * generator.standard_normal()

    def wrong(x):
        return 3 * box.gradient(x)

    right = check_gradient(noisy, box.gradient, box.x, method="directional", resolution=1e-3)
    assert (right.verdict, right.reason) == (Verdict.INCONCLUSIVE, Reason.VACUOUS)
    assert check_gradient(noisy, wrong, box.x, method="directional").verdict is FAILS


def test_a_gradient_of_zeros_where_f_is_constant_is_vacuous():
    outcome = check_gradient(lambda x: 1.0, np.zeros_like, np.ones(100), method="directional")
    assert outcome.reason is Reason.VACUOUS


# --- blocks ---------------------------------------------------------------------------------------


def blocks_of(change=lambda g: None):
    box = Wave(206)
    x = {"w": box.x[:200].reshape(20, 10), "b": box.x[200:205], "c": box.x[205]}

    def flat(p):
        return np.concatenate([p["w"].reshape(-1), p["b"], np.reshape(p["c"], 1)])

    def gradient(p):
        g = box.gradient(flat(p))
        change(g)
        return {"w": g[:200].reshape(20, 10), "b": g[200:205].copy(), "c": g[205]}

    return check_gradient(lambda p: box.f(flat(p)), gradient, x, method="directional")


def test_small_arrays_are_differentiated_coordinate_by_coordinate():
    outcome = blocks_of()
    assert outcome.verdict is Verdict.PASS
    assert (outcome.counts["screened"], outcome.counts["informative"]) == (200, 6)


def test_errors_in_several_arrays_are_all_named():
    outcome = blocks_of(scaled([13, 203, 205], 0.01))
    assert {d.name for d in outcome.discrepancies} == {"w[1,3]", "b[3]", "c"}


def test_nobody_is_accused_whom_differences_of_their_own_do_not_accuse():
    box = Wave(300)
    lines = Lines(box.f, box.x)
    noise = estimate_noise(lines, Stream(0, "noise"))
    asked = collections.Counter()

    def acquit(coordinates):
        asked.update(coordinates.tolist())
        return np.full(len(coordinates), Kind.INFORMATIVE, dtype=np.uint8)

    g = box.gradient(box.x)
    g[[17, 250]] += 1.0
    (block,) = locate(lines, noise, g, acquit, Stream(0, "signs"))
    assert set(asked) <= {17, 250}
    assert block.state is Settled.UNEXPLAINED


def test_a_truncation_larger_than_that_of_the_pilots_alarms_nobody():
    """One unit behind all weights: along v its curvature grows like (v x)^5."""
    for seed in range(12):
        generator = np.random.default_rng(seed)
        X, w = generator.normal(size=2000), generator.normal(size=2000) / 40

        def f(w, X=X):
            return float(np.logaddexp(0.0, w @ X))

        def gradient(w, X=X):
            return X / (1 + np.exp(-(w @ X)))

        outcome = check_gradient(f, gradient, w, method="directional", seed=seed)
        assert outcome.verdict is Verdict.PASS, str(outcome)


class Recording(Stream):
    """A stream that remembers that it was asked for signs."""

    def __init__(self, seed, purpose, events):
        super().__init__(seed, purpose)
        self.events = events

    def signs(self, shape):
        self.events.append("signs")
        return super().signs(shape)


def test_directions_that_agreed_before_an_error_was_found_do_not_count():
    for seed in range(10):
        box, events = Wave(300), []
        lines = Lines(box.f, box.x)
        noise = estimate_noise(lines, Stream(0, "noise"))

        def accuse(coordinates, events=events):
            events.append("named")
            return np.full(len(coordinates), Kind.FAILED, dtype=np.uint8)

        g = box.gradient(box.x)
        g[[17, 250]] += (1.0, -1.0)
        (block,) = locate(lines, noise, g, accuse, Recording(seed, "signs", events))
        assert events[-AFTERWARDS - 1 :] == ["named"] + ["signs"] * AFTERWARDS
        assert block.directions == AFTERWARDS


# --- the tables: long -----------------------------------------------------------------------------


@pytest.mark.nightly
@pytest.mark.parametrize("Box", [Wave, Network])
@pytest.mark.parametrize("error", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize(("count", "most"), [(1, 150), (3, 350)])
def test_fifty_of_fifty_seeds(Box, error, count, most):
    for seed in range(50):
        box = Box(100_000, seed)
        js = typical(box, count, seed)
        outcome = search(box, scaled(js, error), seed=seed)
        assert named(outcome) == js.tolist(), (seed, str(outcome))
        assert outcome.forward_passes <= most


@pytest.mark.nightly
@pytest.mark.parametrize("Box", [Wave, Network])
def test_no_location_in_two_hundred_of_two_hundred_seeds(Box):
    for seed in range(200):
        outcome = search(Box(100_000, seed), seed=seed)
        assert outcome.discrepancies == ()
        assert outcome.verdict is not FAILS


@pytest.mark.nightly
@pytest.mark.parametrize("Box", [Wave, Network])
def test_passes_grow_no_faster_than_the_logarithm_of_the_size(Box):
    sizes = 10 ** np.arange(2, 7)
    passes = []
    for N in sizes.tolist():
        boxes = [Box(N, seed) for seed in range(5)]
        passes.append(
            np.mean([
                search(box, scaled(typical(box, 1, 0), 0.01), seed=seed).forward_passes
                for seed, box in enumerate(boxes)
            ])
        )  # fmt: skip
    slope, _ = np.polyfit(np.log2(sizes), passes, 1)
    assert slope <= 4, f"{slope} passes a doubling; halving alone takes 4"


def test_along_directions_no_right_gradient_of_a_printed_function_is_accused():
    """f is a staircase; the first coordinate that is suspected is asked for its jumps."""
    stream = Stream(3, "printed")
    a, x = stream.normal(40), stream.normal(40)

    def f(p):
        return float(f"{np.sum(a * np.sin(p)):.7g}")

    def verdicts(g):
        return {
            check_gradient(f, g, x, method="directional", seed=seed).verdict.value
            for seed in range(8)
        }

    def one_doubled(p):
        return a * np.cos(p) * np.where(np.arange(40) == 7, 2.0, 1.0)

    assert "FAIL" not in verdicts(lambda p: a * np.cos(p))
    assert "PASS" not in verdicts(one_doubled)
