"""The public names: all of them are listed, and each leads somewhere."""

import gradcheck

PUBLIC = [
    "Architecture",
    "Discrepancy",
    "GradientMismatch",
    "Outcome",
    "Problem",
    "Reason",
    "Unsupported",
    "Verdict",
    "Verification",
    "assert_gradient",
    "batched",
    "check_agreement",
    "check_consistency",
    "check_gradient",
    "check_hessian_vector_product",
    "check_jacobian",
    "engines",
    "parse",
    "strategies",
    "verify",
]


def test_the_names_are_listed():
    assert sorted(PUBLIC) == gradcheck.__all__
    assert dir(gradcheck) == sorted([*PUBLIC, "__version__"])


def test_each_name_leads_somewhere_and_says_what_it_is():
    for name in PUBLIC:
        assert getattr(gradcheck, name).__doc__


def test_engines_are_found_by_name_and_cases_by_token():
    engine = gradcheck.engines.find("reference")
    case = gradcheck.parse("gc1:2-1:quadratic:mean:m2:float64:w1:generic:soft:s0")
    for check in (gradcheck.check_agreement, gradcheck.check_consistency):
        assert check(engine, case.problem()).verdict is gradcheck.Verdict.PASS
