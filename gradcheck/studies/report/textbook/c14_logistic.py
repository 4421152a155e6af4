r"""C14: the gradient of logistic regression, factor by factor, and in saturation.

Symbols, for one example: z = w.x + b, p = sigma(z), L = -[y log p + (1 - y) log(1 - p)], u the
unit roundoff.

    dL/dp = -y/p + (1 - y)/(1 - p)        dp/dz = p (1 - p)
    dL/dz = dL/dp dp/dz = p - y           dL/dw = (p - y) x        dL/db = p - y

As numbers the three ways of writing dL/dz are equal; as computations they are not:

    factored      dL/dp dp/dz. sigma(z) rounds to 1 where exp(-z) falls to u, so from
                  z = log(1/u) on 1 - p is 0, and 0 0/0 or 0 1/0 is NaN. For z -> -oo 1/p overflows,
                  then p is 0: not before p has left the normal numbers.
    product       p - y, finite everywhere; with p within k u of itself (k = 4 in float64, 6 in
                  float32) within (k + 1) u. Where p -> y = 1 that is all there is of
                  |p - y|: from z = log(1/u) on p - y is 0.
    kept apart    (1 - y) sigma(z) - y sigma(-z), within k u relative for y = 0 and 1.

Exact values are taken at 60 digits.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from math import log
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradcheck.checks.gradient import check_gradient
from gradcheck.studies.report.figures import BLUE, GREEN, ORANGE, STYLE, WIDTH
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding
from gradcheck.studies.report.textbook.witness import U, told, worst_ratio
from gradcheck.studies.report.words import number
from reference_models import logistic_regression
from reference_models.activations import sigmoid
from reference_models.losses import LOSSES

Array = npt.NDArray[Any]
Way = Callable[[Any, Any], Any]

DIGITS = 60
FEATURES, EXAMPLES = 5, 8
LOGITS = np.array([-3.0, -1.5, -0.5, 0.25, 1.0, 2.5])
STEP = 1 / 16
NEAR, REACH = 40.0, {"float32": 120.0, "float64": 760.0}
SIGMA = {"float32": 6, "float64": 4}


# --- the formulas ---------------------------------------------------------------------------------


def by_p(p: Any, y: Any) -> Any:
    """dL/dp."""
    return -y / p + (1 - y) / (1 - p)


def by_z(p: Any) -> Any:
    """dp/dz."""
    return p * (1 - p)


def product(p: Any, y: Any) -> Any:
    """dL/dz."""
    return p - y


class Formulas(NamedTuple):
    """What is under test; `gradient` is that of a whole model, (J, (dJ/dw, dJ/db))."""

    by_p: Callable[[Any, Any], Any] = by_p
    by_z: Callable[[Any], Any] = by_z
    product: Callable[[Any, Any], Any] = product
    gradient: Callable[..., Any] = logistic_regression.value_and_grad


FORMULAS = Formulas()


def measure(settings: Settings, formulas: Formulas = FORMULAS) -> Evidence:
    """Test each factor and the products, then follow all three ways into saturation."""
    scans = [_Scan(formulas, dtype, y) for dtype in REACH for y in (0, 1)]
    return Evidence(
        (
            _identity(settings, formulas),
            *_by_differences(settings, formulas),
            _exact_gradient(settings, formulas),
            _breakdown(scans),
            _stays_finite(scans),
            _digits(scans),
        ),
        frames={"c14_logistic": pd.concat([scan.frame() for scan in scans], ignore_index=True)},
        figures={"c14_logistic": draw(scans)},
    )


# --- where nothing saturates ----------------------------------------------------------------------


def _identity(settings: Settings, formulas: Formulas) -> Finding:
    """The product of both factors, in rational arithmetic."""
    generator = np.random.default_rng(settings.seed)
    drawn = generator.integers(1, 1000, (200, 2)).tolist()
    pairs = [(Fraction(i, 1000), Fraction(k, 1000)) for i, k in drawn]
    pairs += [(p, Fraction(y)) for p, _ in pairs for y in (0, 1)]
    equal = sum(
        formulas.by_p(p, y) * formulas.by_z(p) == formulas.product(p, y) == p - y for p, y in pairs
    )
    return Finding(
        "in rational arithmetic dL/dp dp/dz = p - y exactly for {equal} of {n} pairs of p and y",
        equal == len(pairs),
        {"equal": equal, "n": len(pairs)},
    )


def _by_differences(settings: Settings, formulas: Formulas) -> list[Finding]:
    """Every formula beside differences of its own function."""
    findings = []
    for name, (f, gradient, x) in _functions(settings, formulas).items():
        found = told([check_gradient(f, gradient, x, seed=settings.seed)])
        findings.append(
            Finding(
                "{name}: {n} numbers, the worst off by {worst} of what differences allow; a "
                "relative error of {seen} would have been seen",
                found.passed,
                {"name": name, "n": found.n},
                {"worst": found.worst, "seen": found.seen},
            )
        )
    return findings


def _functions(settings: Settings, formulas: Formulas) -> dict[str, tuple[Any, Any, Any]]:
    """Every function of its own argument: L of p, p of z, L of z, J of w and b."""
    L = LOSSES["cross_entropy"].value
    P = sigmoid(LOGITS)
    Y = np.array([0.0, 1.0, 0.25])[:, None]
    generator = np.random.default_rng(settings.seed)
    X = generator.standard_normal((EXAMPLES, FEATURES))
    y = generator.integers(0, 2, EXAMPLES).astype(float)
    model = {"w": generator.standard_normal(FEATURES), "b": generator.standard_normal(1)}

    def loss_of_p(p: Array) -> Any:
        return -np.sum(Y * np.log(p) + (1 - Y) * np.log1p(-p))

    def loss(at: dict[str, Array]) -> Any:
        return logistic_regression.loss(at["w"], at["b"][0], X, y)

    def gradient(at: dict[str, Array]) -> dict[str, Array]:
        _, (dw, db) = formulas.gradient(at["w"], at["b"][0], X, y)
        return {"w": np.array(dw), "b": np.array([db])}

    return {
        "dL/dp = -y/p + (1 - y)/(1 - p)": (
            loss_of_p,
            lambda p: np.asarray(formulas.by_p(p, Y)).sum(axis=0),
            P,
        ),
        "dp/dz = p (1 - p)": (lambda z: np.sum(sigmoid(z)), lambda z: formulas.by_z(sigmoid(z)),
                              LOGITS),
        "dL/dz = p - y": (
            lambda z: np.sum(L(z + 0 * Y, Y + 0 * z)),
            lambda z: np.asarray(formulas.product(sigmoid(z), Y)).sum(axis=0),
            LOGITS,
        ),
        f"dJ/dw = (p - y) x and dJ/db = p - y, mean over {EXAMPLES} examples": (
            loss,
            gradient,
            model,
        ),
    }  # fmt: skip


def _exact_gradient(settings: Settings, formulas: Formulas) -> Finding:
    """dL/dw and dL/db of single examples against 60 digits.

    |dz| <= gamma_{n+1} (|w|.|x| + |b|), p - y moves by at most sigma'(z) expm1(|dz|), and is
    rounded: k u for sigma, u for the difference, u for the product with x.
    """
    generator = np.random.default_rng(settings.seed)
    pairs = []
    for _ in range(EXAMPLES):
        w, x = generator.standard_normal((2, FEATURES)) * 2
        b, y = generator.standard_normal(), float(generator.integers(0, 2))
        _, (dw, db) = formulas.gradient(w, np.float64(b), x[None], np.array([y]))
        exact = _exact_residual(w.tolist(), float(b), x.tolist(), y)
        n = FEATURES + 1
        dz = n * U / (1 - n * U) * (np.abs(w) @ np.abs(x) + abs(b))
        p = sigmoid(w @ x + b)
        off = p * (1 - p) * np.expm1(dz) * np.exp(dz) + (SIGMA["float64"] + 3) * U
        pairs.append((float(Decimal(float(db)) - exact), off))
        for value, x_j in zip(np.asarray(dw).tolist(), x.tolist(), strict=True):
            error = float(Decimal(value) - exact * Decimal(x_j))
            pairs.append((error, (off + U) * abs(x_j)))
    worst = worst_ratio(pairs)
    return Finding(
        "dL/dw and dL/db of {m} single examples against {digits} digits: {n} numbers, off by at "
        "most {largest}, {worst} of what rounding can do",
        worst <= 1,
        {"m": EXAMPLES, "digits": DIGITS, "n": len(pairs)},
        {"largest": max(abs(d) for d, _ in pairs), "worst": worst},
    )


def _exact_residual(w: list[float], b: float, x: list[float], y: float) -> Decimal:
    with localcontext() as context:
        context.prec = DIGITS
        z = sum((Decimal(i) * Decimal(k) for i, k in zip(w, x, strict=True)), Decimal(b))
        return 1 / (1 + (-z).exp()) - Decimal(y)


# --- saturation -----------------------------------------------------------------------------------


class _Scan:
    """dL/dz in three ways against z, in one precision and for one y.

    Attributes:
        z: multiples of STEP up to NEAR, whole numbers beyond; exact in both precisions.
        ways: the numbers computed, by name.
        size: |sigma(z) - y|, the exact number.
        error: |computed - exact| / |exact|, infinite where the computed number is not finite.
        one: log(1/u), where sigma(z) rounds to 1.
    """

    def __init__(self, formulas: Formulas, dtype: str, y: int) -> None:
        self.dtype, self.y = dtype, y
        far = np.arange(-REACH[dtype], REACH[dtype] + 1)
        near = np.arange(-NEAR, NEAR + STEP, STEP)
        self.z = np.union1d(near, far)
        z, one = self.z.astype(dtype), np.full(len(self.z), y, dtype)
        with np.errstate(all="ignore"):
            p = sigmoid(z)
            self.ways = {
                "factored": formulas.by_p(p, one) * formulas.by_z(p),
                "product": formulas.product(p, one),
                "kept apart": LOSSES["cross_entropy"].residual(z, one),
            }
        exact = _residuals(self.z.tolist(), y)
        self.size = np.array([float(abs(e)) for e in exact])
        self.error = {name: _relative(values, exact) for name, values in self.ways.items()}
        info = np.finfo(dtype)
        self.u, self.tiny = float(info.eps) / 2, float(info.tiny)
        self.one = log(1 / self.u)

    def frame(self) -> pd.DataFrame:
        columns = {name.replace(" ", "_"): error for name, error in self.error.items()}
        return pd.DataFrame({"dtype": self.dtype, "y": self.y, "z": self.z, **columns})

    def first(self, way: str, sign: int, *, above: float | None = None) -> float | None:
        """Return the first |z| on this side at which a way is not finite, or its error above."""
        side = np.sign(self.z) == sign
        bad = ~np.isfinite(self.ways[way]) if above is None else ~(self.error[way] <= above)
        found = np.abs(self.z[side & bad])
        return float(found.min()) if found.size else None


def _residuals(z: list[float], y: int) -> list[Decimal]:
    """sigma(z) - y without cancellation: -sigma(-z) for y = 1."""
    with localcontext() as context:
        context.prec = DIGITS
        sign = 1 - 2 * y
        return [sign / (1 + (Decimal(-sign) * Decimal(at)).exp()) for at in z]


def _relative(values: Array, exact: list[Decimal]) -> Array:
    with localcontext() as context:
        context.prec = DIGITS
        return np.array(
            [
                float(abs(Decimal(value) - e) / abs(e)) if np.isfinite(value) else np.inf
                for value, e in zip(values.astype(float).tolist(), exact, strict=True)
            ]
        )


def _breakdown(scans: list[_Scan]) -> Finding:
    """The factored form: not a number from where p rounds to 1, and not before."""
    holds, lines = True, []
    for scan in scans:
        up, down = scan.first("factored", 1), scan.first("factored", -1)
        holds &= up is not None and scan.one <= up <= scan.one + STEP
        holds &= bool(np.all(np.isnan(scan.ways["factored"][scan.z > scan.one])))
        holds &= down is None or down >= -log(scan.tiny)
        lines.append(
            f"{scan.dtype}, y = {scan.y}: z = {number(up, 4)} (predicted {scan.one:.2f}) and "
            f"z = {number(None if down is None else -down, 4)}"
        )
    return Finding(
        "the factored form is NaN or infinite from these z outwards, in steps of {step:g} "
        "up to {near:g} and of 1 beyond: {where}",
        holds,
        {"step": STEP, "near": NEAR},
        {"where": "; ".join(lines)},
        contradicts=True,
    )


def _stays_finite(scans: list[_Scan]) -> Finding:
    """That of p - y: finite, and within (k + 1) u absolutely."""
    finite = sum(int(np.sum(np.isfinite(scan.ways["product"]))) for scan in scans)
    n = sum(len(scan.z) for scan in scans)
    worst = {
        dtype: max(
            float(np.max(scan.error["product"] * scan.size)) / scan.u
            for scan in scans
            if scan.dtype == dtype
        )
        for dtype in REACH
    }
    return Finding(
        "p - y is finite at {finite} of {n} points of the same scans, its error at most {double} "
        "unit roundoffs in float64 (allowed {k_double}) and {single} in float32 (allowed "
        "{k_single})",
        finite == n and all(worst[dtype] <= SIGMA[dtype] + 1 for dtype in REACH),
        {
            "finite": finite,
            "n": n,
            "k_double": SIGMA["float64"] + 1,
            "k_single": SIGMA["float32"] + 1,
        },
        {"double": worst["float64"], "single": worst["float32"]},
    )


def _digits(scans: list[_Scan]) -> Finding:
    """Towards p = y = 1 the digits of p - y go as exp(z) u; kept apart they stay."""
    holds = True
    half: dict[str, float | None] = {}
    gone: dict[str, float] = {}
    kept: dict[str, float] = {}
    for scan in scans:
        normal = scan.size >= scan.tiny / scan.u
        k = SIGMA[scan.dtype]
        stays = float(np.max(scan.error["kept apart"][normal])) / scan.u
        kept[scan.dtype] = max(kept.get(scan.dtype, 0.0), stays)
        holds &= stays <= k
        if scan.y == 1:
            half[scan.dtype] = scan.first("product", 1, above=float(np.sqrt(scan.u)))
            gone[scan.dtype] = float(np.min(scan.z[scan.ways["product"] == 0], initial=np.inf))
            holds &= scan.one <= gone[scan.dtype] <= scan.one + STEP
    return Finding(
        "for y = 1 half of the digits of p - y are gone from z = {half_double} (float64) and "
        "{half_single} (float32), all of them from {gone_double} and {gone_single}, "
        "where it is 0; -sigma(-z) keeps them, to {kept_double} and {kept_single} unit roundoffs",
        holds,
        {},
        {
            "half_double": number(half["float64"], 4),
            "half_single": number(half["float32"], 4),
            "gone_double": number(gone["float64"], 4),
            "gone_single": number(gone["float32"], 4),
            "kept_double": kept["float64"],
            "kept_single": kept["float32"],
        },
    )


# --- figure ---------------------------------------------------------------------------------------


def draw(scans: list[_Scan]) -> Figure:
    """Relative error of dL/dz against z for y = 1."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
        panels = figure.subplots(1, 2)
        for axes, scan in zip(panels, [s for s in scans if s.y == 1], strict=True):
            _panel(axes, scan)
        panels[0].set_ylabel("relative error of dL/dz")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _panel(axes: Axes, scan: _Scan) -> None:
    step = 4 * STEP if scan.dtype == "float64" else 2 * STEP
    inside = (scan.z >= -10) & (scan.z <= 1.2 * scan.one) & (scan.z % step == 0)
    z = scan.z[inside]
    ways = {
        "factored": ("o", ORANGE, "factored: -y/p + (1 - y)/(1 - p), times p (1 - p)"),
        "product": (".", BLUE, "p - y"),
        "kept apart": (".", GREEN, "-sigma(-z)"),
    }
    for name, (marker, colour, label) in ways.items():
        error = scan.error[name][inside]
        shown = np.where(np.isfinite(error) & (error > 0), error, np.nan)
        axes.semilogy(z, shown, marker, ls="none", ms=4 if marker == "o" else 3,
                      mfc="none" if marker == "o" else colour, color=colour, mew=0.7,
                      label=label)  # fmt: skip
    axes.axvline(scan.one, color=ORANGE, lw=1, ls=":")
    axes.annotate("factored: NaN from here", (scan.one, 300), xytext=(-4, 0),
                  textcoords="offset points", color=ORANGE, fontsize=9, ha="right",
                  va="center")  # fmt: skip
    axes.set_ylim(scan.u / 100, 3000)
    axes.set_xlabel("z")
    axes.set_title(f"{scan.dtype}, y = 1")


CLAIM = Claim(
    id="C14",
    title="Logistic regression's gradient: (p - y)x",
    statement="Logistic regression: J = -(1/m) sum [y log p + (1 - y) log(1 - p)]; "
    "dL/dp = -y/p + (1 - y)/(1 - p) and dp/dz = p (1 - p), so dL/dw = (p - y) x and dL/db = p - y",
    how="the identity in rational arithmetic; each factor and the products against differences; "
    "the gradient against 60 digits; three ways of computing dL/dz followed into saturation",
    precise="as numbers the factors multiply to p - y everywhere; as computations the product of "
    "factors is NaN as soon as p rounds to 1, while p - y stays finite and within a few unit "
    "roundoffs; its relative digits still go where p tends to y = 1, unless written -sigma(-z)",
    source="Goodfellow, Bengio and Courville 2016, sections 5.7.1 and 6.2.2",
    measure=measure,
    look="figures/c14_logistic.svg",
    expected=REFINED,
)
