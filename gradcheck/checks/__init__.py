"""The checks: a derivative, or an engine, beside what it should be; each returns an outcome.

Of any function: `gradient`, `jacobian`, `hessian`. Of an engine: `consistency` with its own loss,
`agreement` with the exact gradient, and `exact` tests, whose rounding is nil.
"""
