"""What every adapter of a library is held to, whatever the library."""

from dataclasses import replace

import numpy as np
from some import some

from gradcheck.certified.gradient import certified_gradient
from gradcheck.checks.consistency import check_consistency
from gradcheck.engines.base import Engine
from gradcheck.outcomes.reasons import Verdict
from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import Case, parse, sample_cases
from gradcheck.problems.strata import Limits
from gradcheck.rounding import gradient_bound, loss_bound

FEW_SHAPES = (((1, 2), 2), ((3, 4, 2), 3), ((6, 2, 5, 2), 2))
"""Layer sizes and batches, for libraries that compile for each of them."""


def flat(gradient):
    return [array for pair in gradient for array in pair]


def vector(gradient):
    return np.concatenate([array.ravel() for array in flat(gradient)]).astype(np.float64)


def at_logit(z, y, dtype="float64"):
    """One weight, one example: z = w 1 + 0, so that dC/db is the residual sigma(z) - y."""
    one = np.ones((1, 1), dtype)
    return Problem(Architecture((1, 1)), (z * one,), (np.zeros(1, dtype),), one, y * one)


def residual_at(engine, z, y, dtype="float64"):
    _, ((_, db),) = engine.value_and_grad(at_logit(z, y, dtype))
    return float(db[0])


def residual_errors(engine, zs, y):
    """The errors of the residual in units of u = 2^-53."""
    exact = [certified_gradient(at_logit(z, y)).gradient[-1] for z in zs]
    found = [residual_at(engine, z, y) for z in zs]
    return np.abs(np.subtract(found, exact)) * 2.0**53


def cases_for(engine, count, *, shapes=(), **limits):
    """Cases that the engine claims to handle; of the given shapes if there are any."""
    info = engine.info
    limits = {"max_parameters": 500, **info.limits, **limits}
    drawn = sample_cases(
        count, 7, dtypes=limits.pop("dtypes", info.dtypes), losses=info.losses,
        reductions=info.reductions, **limits,
    )  # fmt: skip
    for number, case in enumerate(drawn):
        if shapes:
            sizes, batch = shapes[number % len(shapes)]
            case = replace(case, sizes=sizes, batch=batch)  # noqa: PLW2901 - the same, reshaped
        yield case


def worst_of(engine, cases, arithmetic):
    """The largest |gradient - certified| / bound over all coordinates; NaN counts as infinite."""
    worst, at = 0.0, ""
    for case in cases:
        problem = case.problem()
        exact = certified_gradient(problem)
        _, gradient = engine.value_and_grad(problem)
        error = np.abs(vector(gradient) - exact.gradient)
        allowed = gradient_bound(problem, arithmetic) + exact.bound
        ratio = np.divide(error, allowed, out=np.zeros_like(error), where=error != 0)
        ratio = np.where(np.isfinite(ratio), ratio, np.inf)
        if ratio.max() > worst:
            worst, at = ratio.max(), case.token
    return worst, at


# ------------------------------------------------------------------------------------ the contract


def check_contract(engine):
    """Assert what every engine promises, on small problems."""
    check_info(engine)
    for dtype in engine.info.dtypes:
        for loss in engine.info.losses:
            for sizes, batch in (((1, 1), 1), ((3, 4, 2), 3)):
                case = Case(
                    sizes=sizes, batch=batch, dtype=dtype, loss=loss,
                    reduction=engine.info.reductions[0], seed=batch,
                )  # fmt: skip
                check_answers(engine, case.problem())
    engine.close()


def check_info(engine):
    info = engine.info
    assert isinstance(engine, Engine)
    assert info.version[0].isdigit()
    assert info.issues_url.startswith("https://github.com/")
    Limits(dtypes=info.dtypes, losses=info.losses, reductions=info.reductions, **info.limits)


def check_answers(engine, problem):
    inputs = [*problem.weights, *problem.biases, problem.inputs, problem.targets]
    assert not any(array.flags.writeable for array in inputs)
    before = [array.tobytes() for array in inputs]
    value, first = engine.value_and_grad(problem)  # a warning is an error in all tests
    again, second = engine.value_and_grad(problem)
    loss = engine.loss(problem)
    assert [array.tobytes() for array in inputs] == before
    assert type(value) is float
    assert type(loss) is float
    assert [dW.shape for dW, _ in first] == [W.shape for W in problem.weights]
    assert [db.shape for _, db in first] == [b.shape for b in problem.biases]
    for array in some(flat(first)):
        assert type(array) is np.ndarray
        assert array.dtype == problem.dtype
        assert array.flags.c_contiguous
        assert array.flags.writeable
    assert value == again
    assert all(map(np.array_equal, flat(first), flat(second)))
    check_memory(flat(first), [*flat(second), *inputs])
    assert abs(loss - value) <= 2 * loss_bound(problem, "absolute_sigmoid")
    check_movement(engine, problem, loss)


def check_losses(engine, cases):
    """Assert that many losses at once are the single ones, within the declared bound of both."""
    for number, case in enumerate(some(cases)):
        problem, K = case.problem(), (1, 5, 9)[number % 3]
        stacked = moved(problem, K)
        before = {name: array.tobytes() for name, array in stacked.items()}
        together = engine.losses(problem, stacked)
        assert (type(together), together.shape, together.dtype) == (np.ndarray, (K,), problem.dtype)
        assert {name: array.tobytes() for name, array in stacked.items()} == before
        for k, many in enumerate(some(together.tolist())):
            there = problem.with_parameters({name: array[k] for name, array in stacked.items()})
            one, allowed = engine.loss(there), 2 * loss_bound(there, engine.info.arithmetic)
            assert abs(many - one) <= allowed or np.array_equal(many, one, equal_nan=True), case


def moved(problem, K):
    """K copies of the parameters, each stretched a little more, stacked."""
    scales = 1 + np.arange(K) / 64
    return {
        name: np.stack([(array * s).astype(array.dtype) for s in scales])
        for name, array in problem.parameters.items()
    }


def check_memory(answer, others):
    """Arrays of an answer share memory neither with each other nor with anything else."""
    for position, array in enumerate(some(answer)):
        for other in (*answer[:position], *others):
            assert not np.shares_memory(array, other)


def check_movement(engine, problem, loss):
    """What is written to parameters between two calls is seen, and earlier answers stay."""
    parameters = {name: array.copy() for name, array in problem.parameters.items()}
    moved = problem.with_parameters(parameters)
    assert engine.loss(moved) == loss
    _, first = engine.value_and_grad(moved)
    kept = [array.copy() for array in flat(first)]
    parameters["W1"][0, 0] += 0.5
    parameters["b1"][0] -= 0.75
    assert engine.loss(moved) != loss
    _, second = engine.value_and_grad(moved)
    assert all(map(np.array_equal, flat(first), kept))
    assert not all(map(np.array_equal, flat(second), kept))


def check_derivatives(engine, *tokens):
    """The gradient is the derivative of the engine's own loss, by finite differences."""
    for token in some(tokens):
        outcome = check_consistency(engine, parse(token).problem())
        assert outcome.verdict is Verdict.PASS, str(outcome)
