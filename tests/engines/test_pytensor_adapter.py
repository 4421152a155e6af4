"""PyTensor's gradients against the certified ones. What is said of versions was seen in 3.0.7."""

import pytest
from library_contract import (
    FEW_SHAPES,
    at_logit,
    cases_for,
    check_contract,
    check_derivatives,
    residual_at,
    worst_of,
)

from gradcheck.engines.base import Unsupported
from gradcheck.engines.pytensor_adapter import PyTensor
from gradcheck.problems.case import Case

pytest.importorskip("pytensor")

# While it compiles, Numba advises a layout that matrices of a symbolic graph need not have.
pytestmark = pytest.mark.filterwarnings("ignore:np.dot.. is faster on contiguous arrays")


@pytest.fixture(scope="module")
def engine():
    """One engine for all tests, as it keeps what it compiled."""
    return PyTensor()


def test_the_gradient_is_that_of_the_engines_own_loss(engine):
    check_derivatives(engine, "gc1:3-4-2:cross_entropy:mean:m5:float64:w1:generic:soft:s3")


def test_the_textbook_formula_belongs_to_the_class_p_minus_y(engine):
    worst, at = worst_of(engine, cases_for(engine, 120, shapes=FEW_SHAPES[:2]), "p_minus_y")
    assert worst <= 1, at


@pytest.mark.parametrize("z", [37.0, 100.0, 800.0])
def test_the_rewritten_graph_is_right_at_saturation(z, engine):
    assert residual_at(engine, z, 0.0) == pytest.approx(1, rel=1e-15)
    assert residual_at(engine, -z, 1.0) == pytest.approx(-1, rel=1e-15)
    assert engine.loss(at_logit(z, 0.0)) == pytest.approx(z, rel=1e-15)


def test_a_graph_is_compiled_once_for_every_depth_loss_and_dtype(engine):
    for sizes in ((1, 2), (3, 4), (2, 1)):
        for reduction in ("mean", "sum"):
            engine.loss(Case(sizes=sizes, batch=3, reduction=reduction).problem())
    compiled = engine.compiled.cache_info().misses
    engine.loss(Case(sizes=(5, 5), batch=9).problem())
    assert engine.compiled.cache_info().misses == compiled


def test_what_is_not_supported_is_told(engine):
    with pytest.raises(Unsupported, match="dtype float16; pytensor takes float32, float64"):
        engine.loss(Case(dtype="float16").problem())


def test_the_contract_is_kept(engine):
    check_contract(engine)
    assert engine.compiled.cache_info().currsize == 0  # closed
