"""Every term of every bound is there: each is as the text writes it, where the term is needed.

A bound is compared with its text in exact arithmetic: not below it, since it is certain, and above
it by less than any of its terms amounts to, at an input that needs this term.
"""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
import written_out as text
from flint import ctx

from gradcheck.problems.case import Case
from gradcheck.rounding import (
    clipped,
    floored,
    gradient_bound,
    gradient_deviation,
    loss,
    sigmoid,
)
from gradcheck.rounding.bounded import Bounded, Deviation, Worst
from gradcheck.rounding.gradient import forward
from gradcheck.rounding.rounded_products import RoundedProducts

ROOM = 2.0**-42
"""Above 2 (n + 64) v of `upward`, several times over; the errors of numpy's functions are below."""

NEEDED = 16
"""The least share of its bound that every term has somewhere, in units of the room."""

END = 2.0**-1074
"""The least number of float64."""

DTYPES = ("float16", "float32", "float64")
CLASSES = tuple(text.CLASSES)


@pytest.fixture(autouse=True)
def exactly():
    """Evaluate texts to 200 bits, in which nothing is lost."""
    with ctx.workprec(200):
        yield


def rounding(dtype, name, kind=Worst, M=1):
    case = Case(sizes=(1, 1), batch=M, dtype=dtype, reduction="mean", targets="soft")
    return kind.of(case.problem(), name)


class Shares:
    """The greatest share that each term of each form has of its bound, in units of the room."""

    def __init__(self):
        self.seen = {}

    def hold(self, found, c, forms, *, below=0.0, room=ROOM, where=True):
        """Compare a bound with its text, where it is not infinite.

        It may be below by so much, relatively, and by what is lost where float64 ends.
        """
        whole = c.bound(forms)
        compared = np.broadcast_to(where, whole.shape) & np.isfinite(found)
        assert compared.any()
        for at in zip(*np.nonzero(compared), strict=True):
            assert whole[at] * (1 - below) - END <= found[at], (c, at)
            assert found[at] <= whole[at] * (1 + room) + END, (c, at)
        for form, terms in forms.items():
            total = c.total(terms)
            for name, term in terms.items():
                shares = [
                    float((term[at] / whole[at]) ** (2 if c.random else 1)) / room
                    for at in zip(*np.nonzero(compared), strict=True)
                    if whole[at] > 0 and not total[at] < whole[at]
                ]
                key = f"{form}: {name}"
                self.seen[key] = max([self.seen.get(key, 0.0), *shares])

    def all_needed(self, *never):
        """Every term counts somewhere, but for those of forms that are never the greatest."""
        told = {key: share for key, share in self.seen.items() if not key.startswith(never)}
        assert told
        assert [key for key, share in told.items() if not share > NEEDED] == []


# ---------------------------------------------------------------------------------- the constants


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_constants_of_a_format_and_a_class_are_those_of_the_tables(dtype, name):
    c, found = text.Class(dtype, name, M=3), rounding(dtype, name, M=3)
    assert (found.u, found.eta, found.tiny) == (float(c.u), float(c.eta), float(c.tiny))
    assert found.largest == float(np.finfo(dtype).max)
    assert (found.k_e, found.k_s, found.k_p, found.k_c) == (c.k_e, c.k_e + 2, c.k_e + 5, c.k_e + 8)
    row = found.row
    assert (row.k_a, row.u_g, row.eta_g) == (c.k_a, float(c.u_g), float(c.eta_g))
    assert (row.cancels, row.log_sum, found.M) == (c.cancels, c.log_sum, 3)
    for k in (1, 2, 7, 100):
        assert found.relative(k) == pytest.approx(float(c.gamma(k)), rel=1e-15, abs=0)
        likely = text.Class(dtype, name, random=True).gamma(k)
        of_deviation = rounding(dtype, name, Deviation).relative(k)
        assert of_deviation == pytest.approx(float(likely), rel=1e-15, abs=0)


def test_one_rounding_more_than_1_over_u_leaves_nothing_known():
    half = rounding("float16", "p_minus_y")
    assert np.isfinite(half.relative(2047))
    assert half.relative(2048) == np.inf


def test_a_total_is_rounded_upward_by_as_much_as_n_terms_ask_for():
    wide = rounding("float64", "p_minus_y")
    third = np.full(3, 1 / 3)
    for n in (1, 1000):
        assert wide.total(third, third, n=n) == pytest.approx(2 / 3, rel=2.0**-42 + n * 2.0**-51)
        assert (wide.total(third, third, n=n) >= 2 / 3 * (1 + 2 * n * 2.0**-53)).all()
    of_rounded = RoundedProducts.to("tf32", Case(dtype="float32").problem())
    own = of_rounded.total(third) / wide.total(third)
    assert own == pytest.approx(1 + 2.0**-24, rel=2.0**-50)
    assert rounding("float64", "p_minus_y", Deviation).total([3.0], [4.0], 12.0).tolist() == [13.0]


# -------------------------------------------------------------------------------------- products

X = np.array([[1.5, -2.25, 0.75], [-1e-6, 3e-7, 2e-7], [0.0, 1e-300, 0.0]])
Y = np.array([[0.3, 1e-30], [-0.7, 2e-30], [1.1, -1e-30]])
ERRORS = ((0.0, 0.0), (1e-3, 0.0), (0.0, 1e-3), (1e-4, 1e-3), (1e-7, 2e-7))


@pytest.mark.parametrize("kind", [Worst, Deviation])
def test_a_product_has_every_term_of_its_text(kind):
    shares = Shares()
    for dtype in DTYPES:
        for name in ("cancellation_free", "flushed", "tf32", "bfloat16"):
            c, one = text.Class(dtype, name, random=kind is Deviation), rounding(dtype, name, kind)
            for (ex, ey), bias in ((e, b) for e in ERRORS for b in (None, [0.5, -1e-9])):
                dx, dy = ex * np.abs(X), ey * np.abs(Y)
                plus = None if bias is None else np.array(bias)
                found = one.product(Bounded(X[:2], dx[:2]), Bounded(Y, dy), plus)
                written = [X[:2], dx[:2], Y, dy, None if bias is None else plus]
                forms = text.product(
                    c, *(part if part is None else text.of(part) for part in written)
                )
                shares.hold(found.d, c, forms, below=ROOM if c.random else 0.0)
    shares.all_needed()


@pytest.mark.parametrize("M", [1, 3])
@pytest.mark.parametrize("bias", [None, -9000.0])
def test_a_product_is_bounded_up_to_the_largest_sum_that_a_partial_sum_times_m_can_reach(M, bias):
    one = rounding("float16", "cancellation_free", M=M)
    G, b = one.relative(2 if bias is None else 3), abs(bias or 0.0)
    plus = None if bias is None else np.array([bias])
    for error in (0.0, 16.0):  # of each of two factors, which may be both too large
        edge = (65504 / M / (1 + G) - b) / 2 - 2 * error
        for inside, factor in ((True, 1 - 1e-9), (False, 1 + 1e-9)):
            x = Bounded(np.full((1, 2), edge * factor), np.full((1, 2), error))
            assert edge * factor > error
            found = one.product(x, Bounded.exact(np.ones((2, 1))), plus)
            assert np.isfinite(found.d).all() == inside


@pytest.mark.parametrize("kind", [Worst, Deviation])
def test_products_entry_by_entry_and_quotients_by_m_have_every_term_of_their_texts(kind):
    products, quotients = Shares(), Shares()
    x, y = np.array([1.5, -1e-6, 1e-300, 0.3]), np.array([-0.3, 2e-7, 1e-30, 1.0])
    for dtype, name, errors in ((d, n, e) for d in DTYPES for n in CLASSES[::2] for e in ERRORS):
        for M in (1, 3):
            c = text.Class(dtype, name, M, random=kind is Deviation)
            one, below = rounding(dtype, name, kind, M), ROOM if c.random else 0.0
            dx, dy = (e * np.abs(part) for e, part in zip(errors, (x, y), strict=True))
            written = [text.of(part) for part in (x, dx, y, dy)]
            for k in (1, 2):
                found = one.times(Bounded(x, dx), Bounded(y, dy), k)
                products.hold(found.d, c, text.times(c, *written, k), below=below)
            found = one.scaled(Bounded(x, dx)).d
            quotients.hold(found, c, text.scaled(c, *written[:2]), below=below)
    products.all_needed()
    quotients.all_needed()


# ---------------------------------------------------------------------- sigmoid, slope, residual

Z = [-600.0, -88.5, -85.6, -80.0, -9.5, -3.0, -0.25, 0.0, 0.5, 4.0, 16.0, 37.5, 90.0]
D = [0.0, 1e-18, 1e-9, 1e-2, 0.75]
Y_ONE = [0.0, 0.3, 1.0]
POINTS = [(z, d, Y_ONE[i % 3]) for i, (z, d) in enumerate(product(Z, D))]
GRID = [np.array(part) for part in zip(*POINTS, strict=True)]
EVERY = [(dtype, name) for dtype in DTYPES for name in CLASSES]


def layer_of(dtype, name, kind=Worst):
    z, d, y = GRID
    one = rounding(dtype, name, kind)
    c = text.Class(dtype, name, random=kind is Deviation)
    with np.errstate(all="ignore"):
        return c, one, sigmoid.activation(Bounded(z, d), one), y, list(map(text.of, GRID))


@pytest.mark.parametrize("kind", [Worst, Deviation])
def test_sigmoid_slope_and_residual_have_every_term_of_their_texts(kind):
    activations, slopes, residuals = Shares(), Shares(), Shares()
    for dtype, name in EVERY[:: 1 if kind is Worst else 3]:
        c, one, layer, y, (Z, D, Y) = layer_of(dtype, name, kind)
        activations.hold(layer.a.d, c, text.activation(c, Z, D), below=ROOM)
        slopes.hold(layer.s.d, c, text.slope(c, Z, D), below=ROOM)
        residuals.hold(sigmoid.residual(layer, y, one).d, c, text.residual(c, Z, D, Y), below=ROOM)
    activations.all_needed()
    slopes.all_needed()
    residuals.all_needed()


# ------------------------------------------------------------------ clip points, floors, the loss


def test_the_clipped_residual_has_every_term_of_its_text():
    shares, epsilon, sides = Shares(), 1e-3, set()
    for dtype, name in EVERY[::2]:
        c, one, layer, y, (Z, D, Y) = layer_of(dtype, name)
        with np.errstate(all="ignore"):
            found = clipped.clipped_residual(layer, y, epsilon, one)
        zero, forms = text.clipped(c, Z, D, Y, text.arb(epsilon))
        assert np.array_equal(found.d == 0, zero)
        assert not found.x[zero].any()
        sides |= set(zero.tolist())
        shares.hold(found.d, c, forms, below=ROOM, where=~zero)
    assert sides == {False, True}
    shares.all_needed("p - y")  # of which by division is at least as much


@pytest.mark.parametrize("name", ["p_minus_y", "absolute_sigmoid"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])  # wider than float64 can tell
def test_a_clip_point_is_decided_from_as_far_away_as_the_text_says(dtype, name):
    """p and q are close to the edges that d, u, dp and dq make of the clip point, one at a time."""
    epsilon, one = 1e-2, rounding(dtype, name)
    u, dp, E = one.u, 3 * one.u * epsilon, one.u * epsilon
    d, rel = 4 * u * epsilon + 2 * one.eta, one.relative(one.k_s)
    dq = E + rel * 2 * E + one.row.k_a * one.relative(1) + 2 * one.eta  # and rel q
    edges = {  # p, q, and on which side it is decided
        "p clips": (epsilon - d - 2 * dp, 0.9, -1),
        "q clips": (0.9, (epsilon - d - u - dp - dq) / (1 + rel), -1),
        "p is inside": (epsilon + d + 2 * dp, 0.9, 1),
        "q is inside": (0.9, (epsilon + d + u + dp + dq) / (1 - rel), 1),
    }
    for (told, (p, q, side)), beyond in product(edges.items(), (-1, 1)):
        moved = beyond * 1e-3 * u * epsilon  # much less than any of them
        last = by_hand(p + moved * (p < q), q + moved * (q < p), dp, E, one.eta)
        found = clipped.clipped_residual(last, np.full(1, 0.5), epsilon, one)
        zero, inside = found.d[0] == 0, 0 < found.d[0] < abs(found.x[0])
        is_decided = beyond == side
        assert zero == (is_decided and side < 0), (told, beyond)
        assert inside == (is_decided and side > 0), (told, beyond)


def by_hand(p, q, dp, E, f):
    p, q, dp, E, f = (np.full(1, x) for x in (p, q, dp, E, f))
    z = Bounded.exact(np.log(p) - np.log1p(-p))
    return sigmoid.Layer(z, Bounded(p, dp), q, Bounded(p * q, dp), E, np.ones(1), f)


def test_the_residual_with_a_floored_slope_has_every_term_of_its_text():
    """What the slope moves is a difference, of which float64 keeps fewer digits in float32."""
    shares = Shares()
    for dtype, room in (("float16", ROOM), ("float32", 2.0**-29)):
        for name in CLASSES[::2]:
            c, one, layer, y, (Z, D, Y) = layer_of(dtype, name)
            with np.errstate(all="ignore"):
                found = floored.floored_residual(layer, y, 0.1, one)
            forms = text.floored(c, Z, D, Y, text.arb(0.1))
            shares.hold(found.d, c, forms, below=room, room=room)
            r, s = (1 - Y) * text.sigma(Z) - Y * text.sigma(-Z), text.sigma(Z) * text.sigma(-Z)
            held_to(found.x, r * text.lesser(s / text.arb(0.1), 1))
    shares.all_needed()


def held_to(found, exact):
    """Numbers up to 1, and differences of such, after a few roundings."""
    assert len(exact)
    assert (np.abs(found - exact.astype(float)) <= 8 * 2.0**-53).all()


def test_sigmoid_slope_residual_and_loss_are_those_of_their_texts():
    _, one, layer, y, (Z, D, Y) = layer_of("float64", "absolute_sigmoid")
    p, q = text.sigma(Z), text.sigma(-Z)
    for found, exact in ((layer.a.x, p), (layer.b, q), (layer.s.x, p * q)):
        assert found == pytest.approx(exact.astype(float), rel=ROOM, abs=0)
    held_to(sigmoid.residual(layer, y, one).x, (1 - Y) * p - Y * q)
    assert pytest.approx(text.increment(Z, D).astype(float), rel=ROOM, abs=2e-308) == layer.E
    C = (1 - Y) * text.softplus(Z) + Y * text.softplus(-Z)
    with np.errstate(all="ignore"):
        entries = loss.cross_entropy(layer, OfTargets(y), one)
    assert entries.x == pytest.approx(C.astype(float), rel=ROOM, abs=0)


class OfTargets(NamedTuple):
    """What the losses read of a problem."""

    targets: Any


def test_the_cross_entropy_has_every_term_of_its_text():
    shares = Shares()
    for dtype, name in EVERY[::2]:
        c, one, layer, y, (Z, D, Y) = layer_of(dtype, name)
        with np.errstate(all="ignore"):
            found = loss.cross_entropy(layer, OfTargets(y), one)
        p, q, da = layer.a.x, layer.b, layer.a.d
        known = (np.minimum(p, q) > 4 * da) | (not c.cancels)
        one_sided = ((y == 0) & (q > 4 * da)) | ((y == 1) & (p > 4 * da))
        assert np.array_equal(np.isfinite(found.d), known | one_sided)
        shares.hold(found.d, c, text.cross_entropy(c, Z, D, Y), below=ROOM, where=known)
    shares.all_needed()


def test_the_least_cross_entropy_takes_logarithms_from_above():
    """log p^ - log p is at most log(1 + d / p), however small p is beside d."""
    for name in ("p_minus_y", "absolute_sigmoid"):
        c, one, layer, y, (Z, D, Y) = layer_of("float32", name)
        with np.errstate(all="ignore"):
            found = loss.cross_entropy(layer, OfTargets(y), one, error=loss.log_rise)
        rise = [text.log(1 + c.bound(text.activation(c, Z, D)) / text.sigma(z)) for z in (Z, -Z)]
        forms = text.cross_entropy(c, Z, D, Y, logs=rise)
        Shares().hold(found.d, c, forms, below=ROOM)


def test_the_quadratic_loss_is_half_a_product_with_the_error_of_the_whole():
    _, one, layer, y, _ = layer_of("float32", "absolute_sigmoid")
    r = sigmoid.residual(layer, y, one)
    found, square = loss.quadratic(layer, OfTargets(y), one), one.times(r, r, roundings=2)
    assert np.array_equal(found.x, r.x**2 / 2)
    assert np.array_equal(found.d, square.d)


def test_the_error_of_a_logarithm_is_known_from_four_times_its_error_on():
    p, d = np.array([5.0, 4.0, 3.9, 0.0]), np.ones(4)
    assert loss.log_error(p, d).tolist() == [pytest.approx(-np.log1p(-1 / 4)), *[np.inf] * 3]
    rises = [np.log1p(1 / 5), np.log1p(1 / 4), np.log1p(1 / 3.9), np.inf]
    assert loss.log_rise(p, d).tolist() == pytest.approx(rises)


@pytest.mark.parametrize(("z", "may"), [(-8.0, False), (8.0, False), (-80.0, True), (80.0, True)])
def test_a_logarithm_may_be_lost_where_its_argument_is_not_four_times_its_error(z, may):
    one = Case(sizes=(1, 1), batch=1, dtype="float32").problem()
    at = one.with_parameters({"W1": np.zeros((1, 1), np.float32), "b1": np.float32([z])})
    assert loss.may_lose_a_log(at, "absolute_sigmoid") == may
    last = forward(at, rounding("float32", "absolute_sigmoid"))[-1]
    for factor in (3.9, 4.1):  # on both sides of the edge
        p = last.a.x if z < 0 else last.b
        near = last._replace(a=last.a._replace(d=p / factor))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loss, "forward", lambda *_, near=near: [near])
            assert loss.may_lose_a_log(at, "absolute_sigmoid") == (factor < 4)


# ------------------------------------------------------------------------------- the whole gradient


@pytest.mark.parametrize("random", [False, True])
@pytest.mark.parametrize(("dtype", "loss_name", "reduction"), [
    ("float16", "cross_entropy", "mean"),
    ("float32", "quadratic", "mean"),
    ("float32", "cross_entropy", "sum"),
    ("float64", "quadratic", "sum"),
])  # fmt: skip
def test_the_bound_of_a_gradient_is_made_of_these_step_by_step(dtype, loss_name, reduction, random):
    options = {"dtype": dtype, "loss": loss_name, "reduction": reduction, "targets": "soft"}
    problem = Case(sizes=(3, 2, 2), batch=3, **options).problem()
    for name in ("cancellation_free", "p_minus_y", "absolute_sigmoid", "bfloat16"):
        c = text.Class(dtype, name, 3 if reduction == "mean" else 1, random)
        found = (gradient_deviation if random else gradient_bound)(problem, name)
        Shares().hold(found, c, {"": {"": text.gradient(c, problem)}}, below=ROOM)


@pytest.mark.parametrize("loss_name", ["cross_entropy", "quadratic"])
def test_the_bound_of_a_loss_is_that_of_its_entries_and_of_their_sum_over_m(loss_name):
    case = Case(sizes=(2, 2), batch=3, dtype="float32", loss=loss_name, targets="soft")
    problem, name = case.problem(), "absolute_sigmoid"
    one = rounding("float32", name, M=3)
    last = forward(problem, one)[-1]
    entries = loss.COSTS[loss_name](last, problem, one)
    c = text.Class("float32", name, M=3)
    x, d = (text.of(part.reshape(1, -1)) for part in entries)
    ones, zeros = (text.of(np.full((6, 1), value)) for value in (1, 0))
    whole = c.bound(text.product(c, x, d, ones, zeros, None))
    found = np.full((1, 1), loss.loss_bound(problem, name))
    Shares().hold(found, c, text.scaled(c, x @ ones, whole), below=ROOM)
    least = loss.LEAST[loss_name](last, problem, one)
    d = text.of(least.d.reshape(1, -1))
    whole = c.bound(text.scaled(c, x @ ones, c.bound(text.product(c, x, d, ones, zeros, None))))
    floor = float((x @ ones / 3 - whole).item())
    assert loss.loss_floor(problem, name) == pytest.approx(floor, rel=1e-9)
    assert floor < float((x @ ones).item()) / 3
