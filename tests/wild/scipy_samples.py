"""SciPy's special functions and the problems that its own tests of optimisers are made of.

`rosen` has its gradient and its product of the Hessian beside it, near and far from its minimum
at 1: x = 1 + s N(0, 1). The special functions stand here with the derivative that the Digital
Library of Mathematical Functions (dlmf.nist.gov) gives them, by the section named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from samples import Sample, generator, some
from scipy import special as sp
from scipy.optimize import rosen, rosen_der, rosen_hess_prod
from scipy.optimize.tests import test_least_squares, test_minimize_constrained, test_tnc
from scipy.optimize.tests.test_optimize import himmelblau, himmelblau_grad

SPREADS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
"""s of the points 1 + s N(0, 1)."""

ROOT_PI = np.sqrt(np.pi)
ROOT_2PI = np.sqrt(2 * np.pi)

REAL: dict[str, tuple[Any, Any]] = {
    "erf": (sp.erf, lambda x: 2 / ROOT_PI * np.exp(-x * x)),  # 7.10
    "erfc": (sp.erfc, lambda x: -2 / ROOT_PI * np.exp(-x * x)),
    "erfcx": (sp.erfcx, lambda x: 2 * x * sp.erfcx(x) - 2 / ROOT_PI),
    "dawsn": (sp.dawsn, lambda x: 1 - 2 * x * sp.dawsn(x)),
    "ndtr": (sp.ndtr, lambda x: np.exp(-x * x / 2) / ROOT_2PI),
    "log_ndtr": (sp.log_ndtr, lambda x: np.exp(-x * x / 2 - sp.log_ndtr(x)) / ROOT_2PI),
    "expit": (sp.expit, lambda x: sp.expit(x) * sp.expit(-x)),
    "log_expit": (sp.log_expit, lambda x: sp.expit(-x)),
    "exprel": (sp.exprel, lambda x: sp.hyp1f1(2, 3, x) / 2),  # 13.3
    "expm1": (sp.expm1, np.exp),
    "cosm1": (sp.cosm1, lambda x: -np.sin(x)),
    "j0": (sp.j0, lambda x: -sp.j1(x)),  # 10.6
    "j1": (sp.j1, lambda x: (sp.j0(x) - sp.jv(2, x)) / 2),
    "i0": (sp.i0, sp.i1),  # 10.29
    "i0e": (sp.i0e, lambda x: sp.i1e(x) - np.sign(x) * sp.i0e(x)),
    "airy": (lambda x: sp.airy(x)[0], lambda x: sp.airy(x)[1]),
    "sici": (lambda x: sp.sici(x)[0], lambda x: np.sinc(x / np.pi)),  # 6.2
    "fresnel": (lambda x: sp.fresnel(x)[0], lambda x: np.sin(np.pi * x * x / 2)),  # 7.2
    "struve": (lambda x: sp.struve(0, x), lambda x: 2 / np.pi - sp.struve(1, x)),  # 11.4
    "legendre P5": (lambda x: sp.eval_legendre(5, x),
                    lambda x: (315 * x**4 - 210 * x**2 + 15) / 8),  # 18.5
    "huber": (lambda x: sp.huber(1.0, x), lambda x: np.clip(x, -1, 1)),
    "pseudo_huber": (lambda x: sp.pseudo_huber(1.0, x), lambda x: x / np.sqrt(1 + x * x)),
}  # fmt: skip
POSITIVE: dict[str, tuple[Any, Any]] = {
    "gammaln": (sp.gammaln, sp.digamma),  # 5.2
    "gamma": (sp.gamma, lambda x: sp.gamma(x) * sp.digamma(x)),
    "digamma": (sp.digamma, lambda x: sp.polygamma(1, x)),
    "y0": (sp.y0, lambda x: -sp.y1(x)),
    "k0": (sp.k0, lambda x: -sp.k1(x)),
    "exp1": (sp.exp1, lambda x: -np.exp(-x) / x),  # 6.2
    "expi": (sp.expi, lambda x: np.exp(x) / x),
    "log1p": (sp.log1p, lambda x: 1 / (1 + x)),
    "entr": (sp.entr, lambda x: -np.log(x) - 1),
    "spence": (sp.spence, lambda x: np.log(x) / (1 - x)),  # 25.12
    "lambertw": (lambda x: sp.lambertw(x).real, lambda x: 1 / (x + np.exp(sp.lambertw(x).real))),
    "gammainc": (lambda x: sp.gammainc(2.5, x), lambda x: x**1.5 * np.exp(-x) / sp.gamma(2.5)),
    "chdtr": (lambda x: sp.chdtr(4, x), lambda x: x * np.exp(-x / 2) / 4),
    "xlogy": (lambda x: sp.xlogy(x, x), lambda x: np.log(x) + 1),
    "boxcox": (lambda x: sp.boxcox(x, 0.3), lambda x: x**-0.7),
}
UNIT: dict[str, tuple[Any, Any]] = {
    "logit": (sp.logit, lambda x: 1 / (x * (1 - x))),
    "erfinv": (sp.erfinv, lambda x: ROOT_PI / 2 * np.exp(sp.erfinv(x) ** 2)),  # 7.17
    "ndtri": (sp.ndtri, lambda x: ROOT_2PI * np.exp(sp.ndtri(x) ** 2 / 2)),
    "ellipk": (sp.ellipk, lambda m: np.pi / 8 * sp.hyp2f1(1.5, 1.5, 2, m)),  # 19.5
    "ellipe": (sp.ellipe, lambda m: -np.pi / 8 * sp.hyp2f1(0.5, 1.5, 2, m)),
    "betainc": (lambda x: sp.betainc(2, 3, x), lambda x: 12 * x * (1 - x) ** 2),  # 8.17
}
DRAWN: tuple[tuple[dict[str, tuple[Any, Any]], Callable[..., Any]], ...] = (
    (REAL, lambda random, s: s * random.standard_normal(5)),
    (POSITIVE, lambda random, s: s * random.exponential(size=5)),
    (UNIT, lambda random, s: min(s, 1.0) * random.uniform(size=5)),
)
SCALES = (1.0, 1e-6, 1e-2, 5.0)


def samples(*, each: int | None = None, seed: int = 0) -> Iterator[Sample]:
    """Yield all samples, or `each` points of every function."""
    yield from _rosenbrock(each, seed)
    yield from _special(each, seed)
    yield from _optimizers()


def _rosenbrock(each: int | None, seed: int) -> Iterator[Sample]:
    for n in (2, 5, 20):
        for s in some(each, list(SPREADS), "rosen", n, seed):
            random = generator("rosen", n, s, seed)
            x, v = 1 + s * random.standard_normal(n), random.standard_normal(n)
            name = f"n = {n}, 1 + {s:g} N(0, 1)"
            yield Sample("scipy", "float64", f"rosen {name}", rosen, rosen_der, x)
            yield Sample(
                "scipy", "float64", f"rosen_hess_prod {name}",
                rosen_der, rosen_hess_prod, x, "product", v,
            )  # fmt: skip


def _special(each: int | None, seed: int) -> Iterator[Sample]:
    for table, draw in DRAWN:
        for name, (function, derivative) in table.items():
            for s in some(each, list(SCALES), name, seed):
                x = draw(generator("scipy", name, s, seed), s)
                w = generator("weights", name).standard_normal(len(x))
                if not np.isfinite([*function(x), *derivative(x)]).all():
                    continue
                yield Sample(
                    "scipy", "float64", f"{name} at {s:g}",
                    lambda x, f=function, w=w: float(w @ f(x)),
                    lambda x, d=derivative, w=w: w * d(x), x,
                )  # fmt: skip


def _optimizers() -> Iterator[Sample]:
    """Problems of SciPy's tests, at the points where its optimisers begin."""
    for name, f, gradient, x in _scalar_problems():
        array = np.array(x, dtype=float)
        yield Sample(
            "scipy", "float64", name, f, lambda x, g=gradient: np.array(g(x), dtype=float), array
        )
    t = test_least_squares
    fit = t.ExponentialFittingProblem(1.0, 1.0, 0.1, rng=0)
    for name, F, jacobian, x in (
        ("fun_rosenbrock", t.fun_rosenbrock, t.jac_rosenbrock, [-2.0, 1.0]),
        ("fun_rosenbrock_cropped", t.fun_rosenbrock_cropped, t.jac_rosenbrock_cropped, [-2.0, 1.0]),
        ("ExponentialFittingProblem", fit.fun, fit.jac, fit.p0),
    ):
        yield Sample("scipy", "float64", name, F, jacobian, np.array(x, dtype=float), "jacobian")


def _scalar_problems() -> Iterator[tuple[str, Any, Any, Any]]:
    yield "himmelblau", himmelblau, himmelblau_grad, [0.3, -1.2]
    tnc = test_tnc.TestTnc()
    starts = {"1": [-2, 1], "3": [10, 1], "4": [1.125, 0.125], "5": [0, 0], "38": [-3, -1, -3, -1],
              "45": [2, 2, 2, 2, 2]}  # fmt: skip
    for number, x in starts.items():
        yield f"TestTnc.f{number}", getattr(tnc, f"f{number}"), getattr(tnc, f"g{number}"), x
    for name in ("Maratos", "HyperbolicIneq", "Rosenbrock", "IneqRosenbrock", "BoundedRosenbrock"):
        problem = getattr(test_minimize_constrained, name)()
        yield name, problem.fun, problem.grad, problem.x0
    electrons = test_minimize_constrained.Elec(n_electrons=4)
    yield "Elec", electrons.fun, electrons.grad, electrons.x0
