"""scikit-learn's gradients against the certified ones. Seen in scikit-learn 1.9.1."""

import numpy as np
import pytest
from library_contract import (
    at_logit,
    cases_for,
    check_contract,
    check_derivatives,
    residual_at,
    worst_of,
)

from gradcheck.engines.base import Unsupported
from gradcheck.engines.sklearn_adapter import MultilayerPerceptron
from gradcheck.problems.case import Case

neural_network = pytest.importorskip("sklearn.neural_network")


def test_the_contract_is_kept():
    check_contract(MultilayerPerceptron())


def test_the_gradient_is_that_of_the_engines_own_loss():
    check_derivatives(
        MultilayerPerceptron(),
        "gc1:3-4-2:cross_entropy:mean:m5:float64:w1:generic:binary:s3",
        "gc1:4-1:cross_entropy:mean:m6:float64:w1:generic:binary:s1",
    )


def test_the_gradient_belongs_to_the_class_p_minus_y():
    engine = MultilayerPerceptron()
    worst, at = worst_of(engine, cases_for(engine, 120), "p_minus_y")
    assert worst <= 1, at


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_loss_is_clipped_and_the_gradient_does_not_know(dtype):
    """p is clipped to [eps, 1 - eps] in the loss, which is constant from |z| = 36.04 on.

    The gradient agrees with the one that was meant, and is not that of the engine's own loss.
    """
    engine = MultilayerPerceptron()
    eps = np.finfo(dtype).eps
    assert engine.loss(at_logit(40.0, 0.0, dtype)) == pytest.approx(-np.log(eps), rel=1e-6)
    assert engine.loss(at_logit(40.0, 0.0, dtype)) == engine.loss(at_logit(41.0, 0.0, dtype))
    assert residual_at(engine, 40.0, 0.0, dtype) == 1


@pytest.mark.parametrize("sizes", [(3, 1), (3, 2), (3, 4, 1), (3, 4, 2)])
def test_what_the_classifier_fits_is_the_network_of_a_problem(sizes):
    """A fitted classifier, its own weights put into a problem, predicts what the loss says."""
    case = Case(sizes=sizes, batch=12, seed=1)
    problem = case.problem()
    Y = problem.targets if sizes[-1] > 1 else problem.targets.ravel()
    classifier = neural_network.MLPClassifier(
        sizes[1:-1], activation="logistic", alpha=0, solver="lbfgs", max_iter=3, random_state=0
    )
    with np.errstate(all="ignore"), pytest.warns(Warning, match="max_iter"):
        classifier.fit(problem.inputs, Y)
    fitted = {f"W{i}": np.ascontiguousarray(W.T) for i, W in enumerate(classifier.coefs_, 1)}
    fitted |= {f"b{i}": b for i, b in enumerate(classifier.intercepts_, 1)}
    p = classifier.predict_proba(problem.inputs)
    p = p if sizes[-1] > 1 else p[:, 1:]
    y = problem.targets
    expected = -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p)) / len(y)
    engine = MultilayerPerceptron()
    assert engine.loss(problem.with_parameters(fitted)) == pytest.approx(expected, rel=1e-9)
    assert classifier.loss_ == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"targets": "soft"}, "targets other than 0 and 1; MLPClassifier takes class labels"),
        ({"loss": "quadratic"}, "loss quadratic; sklearn takes cross_entropy"),
        ({"reduction": "sum"}, "reduction sum; sklearn takes mean"),
        ({"dtype": "float16"}, "dtype float16; sklearn takes float32, float64"),
    ],
)
def test_what_is_not_supported_is_told(fields, told):
    problem = Case(sizes=(3, 1), batch=2, **fields).problem()
    for ask in (MultilayerPerceptron().loss, MultilayerPerceptron().value_and_grad):
        with pytest.raises(Unsupported, match=told):
            ask(problem)
