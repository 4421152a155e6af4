"""What a person reads at the terminal."""

import pytest
import synthetic_log

from gradcheck.verification.summary import summarise
from gradcheck.verification.text import render


def text_of(name):
    return render(synthetic_log.summary(name))


RIGHT = """\
reference 0.1.0 (Python), examined by gradcheck 0.1.0
python -m gradcheck verify reference

property                problems  PASS  FAIL  INCONCLUSIVE  UNSUPPORTED  coordinates    smallest seen
agreement                      2     2     0             0            0           34  5.2e-14 / 1e-13
consistency                    2     1     0             1            0           34    2e-10 / 2e-10
exact duplicated batch         1     1     0             0            0           21            0 / 0
exact lattice                  1     1     0             0            0           21            0 / 0
exact powers of two            1     1     0             0            0           21            0 / 0
exact zero column              1     1     0             0            0           21            0 / 0
smallest seen: the relative error that would not have passed, median / worst problem
strata covered: 12 of 42; not covered: depth 4 of 5, width 4 of 5, batch 2 of 3, loss 1 of 2, dtype 1 of 2, scale 6 of 8, corner 7 of 9, targets 5 of 6

INCONCLUSIVE consistency, vacuous: 1 of 2 problems
  gc1:2-3-1:cross_entropy:sum:m4:float64:w30:saturated:binary:s7: 3 of 13 coordinates could not be decided, W1[0,0] first

cost: 210 forward and 24 backward passes, 12 s
VERIFIED: both properties hold wherever they could be decided; exit code 0: verified, as expected
"""  # noqa: E501 - a transcript

SATURATED = """\
torch-probabilities 2.13.0 (Python), examined by gradcheck 0.1.0
python -m gradcheck verify torch-probabilities

property     problems  PASS  FAIL  INCONCLUSIVE  UNSUPPORTED  coordinates  smallest seen
agreement           3     1     1             0            1           23  1e-13 / 1e-13
consistency         3     2     0             0            1           42  1e-13 / 1e-13
exact               0     0     0             0            0            0
smallest seen: the relative error that would not have passed, median / worst problem
strata covered: 12 of 42; not covered: depth 4 of 5, width 4 of 5, batch 2 of 3, loss 1 of 2, dtype 1 of 2, scale 6 of 8, corner 7 of 9, targets 5 of 6
unsupported (agreement, consistency): float16 is not supported (1)

FAIL clipped loss: 1 problem (agreement)
  worst         W2[0,1] (layer 2, weight to unit 0 from input 1)
                engine 0.0, exact -0.731 ± 1e-17: off by 0.73, allowed 1e-16 (∞ times over)
                gc1:2-3-1:cross_entropy:sum:m4:float64:w30:saturated:binary:s7
  smallest      b1[0] (layer 1, bias of unit 0)
                engine -0.0, exact -1.0 ± 1e-17: off by 1, allowed 3e-16 (3.3e15 times over)
                gc1:1-1:cross_entropy:mean:m1:float64:w1:saturated:ones:s0
                found in 40 checks
  explained by  the gradient of the loss on probabilities clipped to [1e-7, 1 - 1e-7]
  likely cause  every wrong coordinate is exactly 0
  replay        python -m gradcheck replay gc1:1-1:cross_entropy:mean:m1:float64:w1:saturated:ones:s0 torch-probabilities

cost: 240 forward and 18 backward passes, 12 s
WRONG: 1 of 3 problems fails; exit code 1: a gradient is wrong
"""  # noqa: E501 - a transcript

DIED = """\
INCOMPLETE: the log has no footer, so the run was cut off; it holds 1 of 200 examples. What is missing was not verified.
fast-engine 7 (C), examined by gradcheck 0.1.0
python -m gradcheck verify cmd:./engine
engine died: signal 11 on problem 1 its last words

property     problems  PASS  FAIL  INCONCLUSIVE  UNSUPPORTED  coordinates  smallest seen
agreement           1     1     0             0            0           21  1e-13 / 1e-13
consistency         1     1     0             0            0           21  1e-13 / 1e-13
exact               0     0     0             0            0            0
smallest seen: the relative error that would not have passed, median / worst problem
strata covered: 9 of 42; not covered: depth 4 of 5, width 4 of 5, batch 2 of 3, loss 1 of 2, reduction 1 of 2, dtype 1 of 2, scale 7 of 8, corner 8 of 9, targets 5 of 6

cost: 120 forward and 6 backward passes, 4 ms
INCOMPLETE: no exit code, since the run did not end
"""  # noqa: E501 - a transcript


@pytest.mark.parametrize(
    ("name", "transcript"), [("right", RIGHT), ("saturated", SATURATED), ("died", DIED)]
)
def test_the_transcript_is(name, transcript):
    assert text_of(name) == transcript


@pytest.mark.parametrize("name", synthetic_log.EVERY)
def test_it_fits_on_a_screen_and_can_be_written_anywhere(name):
    text = text_of(name)
    assert len(text.splitlines()) <= 60
    assert text.isprintable() or set(text) - {"\n"} <= set(filter(str.isprintable, text))
    text.encode()


@pytest.mark.parametrize("name", ["died", "empty", "header only", "unusable"])
def test_an_incomplete_log_says_so_in_the_first_line(name):
    assert text_of(name).startswith("INCOMPLETE: ")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nothing", "NOTHING VERIFIED: no problem was verified; exit code 4: nothing was verified"),
        ("unusable", "ENGINE UNUSABLE: it died 4 times; exit code 3: the engine is unusable"),
        ("empty", "INCOMPLETE: no exit code, since the run did not end"),
        ("many", "WRONG: many problems fail; exit code 1: a gradient is wrong"),
    ],
)
def test_the_last_line_has_the_verdict_and_the_exit_code_in_words(name, told):
    assert text_of(name).splitlines()[-1] == told


def test_of_many_failures_the_first_are_told_and_the_rest_counted():
    text = text_of("many")
    ways = len(synthetic_log.summary("many").failures)
    assert text.count("\nFAIL ") == 8
    assert f"... and {ways - 8} more ways to fail" in text


def test_failures_that_lie_in_few_strata_say_in_which():
    wrong = synthetic_log.finding(verdict="FAIL", reason="mismatch")
    bad = [synthetic_log.SATURATED.replace("s7", f"s{n}") for n in range(4)]
    good = [synthetic_log.TOKEN.replace("s0", f"s{n}") for n in range(4)]
    cases = [synthetic_log.case(n, token, wrong) for n, token in enumerate(bad)]
    cases += [synthetic_log.case(9, token, synthetic_log.finding()) for token in good]
    text = render(summarise([synthetic_log.header(), *cases]))
    assert "agreement fails only with: batch" not in text
    assert "agreement fails only with: reduction sum; scale 30; corner saturated\n" in text
