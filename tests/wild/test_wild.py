"""Functions that nobody here wrote: no right derivative is accused, no wrong one passes.

Needs the extra `peers` (PyTorch, JAX, SciPy); skipped by name without. A sample, drawn by
GRADCHECK_WILD_SEED, runs in CI's second stage, all of it at night.
"""

import os
import warnings
from collections import Counter

import pytest
from judged import checked, judge, share

SEED = int(os.environ.get("GRADCHECK_WILD_SEED", "0"))
SOURCES = (
    "torch", "torch32", "torch-jacobian", "torch-product", "jax", "jax32", "scipy", "cancelling",
)  # fmt: skip

DECIDED = ("torch", "torch-jacobian", "torch-product", "jax", "scipy")
"""Where nearly all can be decided: float64, and terms that do not cancel to the last digits."""


@pytest.fixture(scope="module")
def drawn():
    with warnings.catch_warnings():  # what the libraries warn of at import is theirs
        warnings.simplefilter("ignore")
        return pytest.importorskip("table").drawn


def hold(findings):
    """Assert what is asked of every source."""
    assert findings
    false = [f for f in findings if f.verdict == "FAIL" and not f.known]
    assert not false, "\n".join(f"{f.sample.name}: {f.detail}" for f in false)
    stray = [(f.sample.name, f.reason) for f in findings if f.verdict in ("HANGS", "RAISES")]
    assert not stray
    missed = [(f.sample.name, f.missed) for f in findings if f.missed]
    assert not missed


@pytest.mark.parametrize("source", SOURCES)
def test_a_sample_of_right_gradients_passes_and_of_wrong_ones_does_not(source, drawn):
    samples = drawn([source], operators=8, functions=6, each=1, seed=SEED)
    hold([judge(sample, seed=SEED) for sample in samples])


@pytest.mark.nightly
@pytest.mark.parametrize("source", SOURCES)
def test_right_gradients_pass_and_wrong_ones_do_not(source, drawn):
    each = 1 if source.startswith("torch") else 2
    operators = 100 if "-" in source else None
    samples = drawn([source], operators=operators, each=each, seed=SEED)
    findings = [judge(sample, seed=SEED) for sample in samples]
    hold(findings)
    if source in DECIDED:
        assert share(findings) >= 0.96, Counter((f.verdict, f.reason) for f in findings)


@pytest.mark.nightly
def test_no_seed_accuses_a_right_gradient_and_all_decide_alike(drawn):
    """Of points of few numbers, which cost least; 50 seeds each."""
    operators = drawn(["torch"], operators=90, each=1, seed=3)
    few = [sample for sample in operators if sum(array.size for array in sample.x) <= 25]
    samples = [*drawn(["cancelling", "scipy"], each=1), *few][:100]
    assert len(samples) == 100
    unlike = {}
    for sample in samples:
        if not judge(sample, plants=False).known:
            verdicts = {
                checked(sample, sample.derivative, seed).verdict.value for seed in range(50)
            }
            if len(verdicts) > 1 or "FAIL" in verdicts:
                unlike[sample.name] = verdicts
    assert not unlike
