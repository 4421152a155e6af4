"""A small report, written once for all tests that read it."""

from dataclasses import replace

import matplotlib as mpl
import pytest

from gradcheck.studies.report import figures, run
from gradcheck.studies.report.million import plain_passes
from gradcheck.studies.report.run import write_report
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import (
    c05_jacobian,
    c08_million_weights,
    c09_cost_ratio,
    c11_errors,
    c24_million_weights_trained,
    curves,
)
from gradcheck.studies.report.textbook.claim import section
from gradcheck.studies.report.textbook.registry import TEXTBOOK


@pytest.fixture(scope="session")
def tiny():
    """The smallest settings that fill every table."""
    return Settings(
        problems=8,
        chain_rule_problems=1,
        accuracy_problems=16,
        accuracy_chain_rule_problems=2,
        right_engine_problems=2,
        sensitivity_seeds=2,
        ladder_draws=2,
        mistake_draws=1,
        jobs=1,
        curve_token="gc1:4-5-1:cross_entropy:mean:m8:float64:w1:generic:binary:s1",  # noqa: S106 - a case
        curve_coordinates=6,
        hidden=(2, 3, 4, 6, 8),
        longest_run=100,
        longest_central_run=50,
        longest_check=20,
        timing_seconds=1e-4,
        ratio_networks=((3, 1), (4, 3, 2)),
        location_size=60,
        location_seeds=1,
        location_right=1,
        location_growth=(40, 60, 80),
        million_network=(20, 30, 1),
        deep_network=(7, 6, 5, 1),
        digits_hidden=10,
        digits_rows=2,
        logistic_iterations=20,
        digits_epochs=1,
        prediction_steps=512,
        million_epochs=3,
    )


def draw_fast(patch):
    """Draw every figure as SVG, without a layout, and put a word in the place of the PNG.

    One test draws a figure as it is.
    """

    def as_svg(figure, kind, draw=figures._bytes):
        figure.set_layout_engine(None)
        return draw(figure, kind) if kind == "svg" else b"PNG"

    patch.setattr(figures, "_bytes", as_svg)


@pytest.fixture(scope="session")
def fast():
    """Returns what has figures drawn fast, for fixtures that other tests share."""
    return draw_fast


@pytest.fixture
def fast_figures(monkeypatch):
    """Figures are drawn once, without a layout."""
    draw_fast(monkeypatch)


def _ten_pixels(load):
    """Return what loads digits of ten pixels, for networks of so many inputs."""

    def loaded():
        data = load()
        return replace(data, inputs=data.inputs[:, 26:36])

    return loaded


def _few_digits(load):
    """Return what loads 400 digits."""

    def loaded():
        data = load()
        return replace(data, inputs=data.inputs[:400], labels=data.labels[:400])

    return loaded


def _remembering(make):
    """Return what makes a network of C11, with its differences, once for all tests."""
    made = {}

    def remembered(problem, seed):
        key = (problem.architecture, seed)
        if key not in made:
            made[key] = make(problem, seed)
        return made[key]

    return remembered


NETWORK_OF_C11 = _remembering(c11_errors.Network)


def shorten(patch):
    """Put small networks, data and times in the place of those that claims have as constants."""
    patch.setattr(c05_jacobian, "load_digits", _ten_pixels(c05_jacobian.load_digits))
    patch.setattr(c05_jacobian, "CHECKED", (10, 2, 4))
    patch.setattr(c05_jacobian, "COUNTED", (10, 3, 4))
    patch.setattr(c08_million_weights, "SIZES", (20, 30, 1))
    patch.setattr(c08_million_weights, "MILLION", 661)
    patch.setattr(c09_cost_ratio, "BATCH", 64)
    patch.setattr(c09_cost_ratio, "ENGINES", ())
    patch.setattr(c11_errors, "Network", NETWORK_OF_C11)
    patch.setattr(c24_million_weights_trained, "SIZES", (64, 400, 10))
    patch.setattr(c24_million_weights_trained, "MILLION", 30_010)
    patch.setattr(c24_million_weights_trained, "RATE", 0.04)
    patch.setattr(curves, "load_digits", _few_digits(curves.load_digits))
    patch.setattr(curves, "EPOCHS", dict(zip(curves.KINDS, (8, 24, 200), strict=True)))


@pytest.fixture(scope="session")
def shortened():
    """Returns what has claims measured on small networks, for fixtures that tests share."""
    return shorten


@pytest.fixture
def small_claims(monkeypatch):
    """Claims of the textbook are measured on small networks."""
    shorten(monkeypatch)


@pytest.fixture(scope="session")
def measured(tiny):
    """Returns the evidence of a claim of the textbook, measured once for all tests that read it."""
    known = {}

    def evidence(claim):
        if claim.id not in known:
            with mpl.rc_context(figures.STYLE), pytest.MonkeyPatch.context() as patch:
                shorten(patch)
                known[claim.id] = claim.measure(tiny)
        return known[claim.id]

    return evidence


@pytest.fixture(scope="session")
def tiny_report(tiny, measured, tmp_path_factory):
    """The folder and the content of a report with those settings."""

    def textbook(_settings):
        claims = list(TEXTBOOK.values())
        return section(claims, list(map(measured, claims)))

    out = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(run.SECTIONS, "textbook", textbook)
        patch.setattr(plain_passes, "FEWEST", 0)
        draw_fast(patch)
        return out, write_report(out, tiny, command="python -m gradcheck report")
