"""Random numbers that are the same for ever: published vectors, exactness, moments, streams."""

import math
from fractions import Fraction

import numpy as np
import pytest

from gradcheck.splitmix64 import Stream, stream_key, words

# Outputs of Vigna's splitmix64.c, as published for these seeds.
PUBLISHED = {
    0: [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC],
    1234567: [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ],
}


def splitmix64_in_whole_numbers(state: int, count: int) -> list[int]:
    """Steele, Lea, Flood 2014, figure 17, word by word with Python's integers."""
    output = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        output.append(z ^ (z >> 31))
    return output


@pytest.mark.parametrize("seed", PUBLISHED)
def test_words_are_the_published_ones(seed):
    assert words(seed, 0, len(PUBLISHED[seed])).tolist() == PUBLISHED[seed]


@pytest.mark.parametrize("key", [0, 1, 2**63, 2**64 - 1, stream_key(3, "W1")])
def test_words_equal_the_sequential_definition(key):
    assert words(key, 0, 1000).tolist() == splitmix64_in_whole_numbers(key, 1000)


def test_a_word_depends_on_key_and_index_alone():
    assert words(5, 700, 300).tolist() == words(5, 0, 1000)[700:].tolist()


def test_drawing_in_parts_is_drawing_at_once():
    whole, parts = Stream(1, "x"), Stream(1, "x")
    assert parts.words(3).tolist() + parts.words(4).tolist() == whole.words(7).tolist()


def test_purposes_and_seeds_have_streams_of_their_own():
    purposes = [f"{kind}{layer}" for kind in "Wb" for layer in range(1, 9)] + ["inputs", "targets"]
    keys = {stream_key(seed, purpose) for seed in range(200) for purpose in purposes}
    assert len(keys) == 200 * len(purposes)
    first_words = {int(words(key, 0, 1)[0]) for key in keys}
    assert len(first_words) == len(keys)


def test_a_key_is_the_start_of_sha256():
    # sha256("0/W1") = 9d86ec20a8b21088...
    assert stream_key(0, "W1") == int.from_bytes(bytes.fromhex("9d86ec20a8b21088"), "little")


@pytest.mark.parametrize(("draw", "bits"), [("uniform", 23), ("normal", 16)])
def test_numbers_are_dyadic_and_exact_in_float32(draw, bits):
    values = getattr(Stream(0, draw), draw)(10_000)
    assert values.dtype == np.float64
    assert (values == values.astype(np.float32)).all()
    assert (values * 2**bits == np.rint(values * 2**bits)).all()


def test_normal_numbers_are_the_exact_sum_of_twelve_uniform_ones():
    stream, again = Stream(9, "x"), Stream(9, "x")
    value = stream.normal(5)[3]
    raw = again.words(15)[9:12].tolist()
    u = [word >> shift & 0xFFFF for word in raw for shift in (0, 16, 32, 48)]
    assert Fraction(value) == Fraction(sum(u) - 6 * 65535, 2**16)


def test_moments_of_the_normal_numbers():
    # n values with kurtosis 3 - 0.1: standard errors 1/sqrt(n), sqrt(1.9/n), sqrt(15/n), and for
    # the fourth moment sqrt(96/n) at most (normal numbers). Five of them each.
    n = 200_000
    x = Stream(0, "moments").normal(n)
    assert abs(x.mean()) <= 5 / math.sqrt(n)
    assert abs((x**2).mean() - 1) <= 5 * math.sqrt(2 / n)
    assert abs((x**3).mean()) <= 5 * math.sqrt(15 / n)
    assert abs((x**4).mean() - 2.9) <= 5 * math.sqrt(96 / n)
    assert np.abs(x).max() < 6


def test_uniform_numbers_fill_the_interval():
    n = 200_000
    x = Stream(0, "spread").uniform((n // 2, 2))
    assert 0 <= x.min() <= 1e-3
    assert 1 - 1e-3 <= x.max() < 1
    assert abs(x.mean() - 0.5) <= 5 / math.sqrt(12 * n)
    counts, _ = np.histogram(x, bins=64, range=(0, 1))
    chi_square = ((counts - n / 64) ** 2 / (n / 64)).sum()
    assert abs(chi_square - 63) <= 5 * math.sqrt(2 * 63)


def test_streams_of_neighbouring_seeds_are_uncorrelated():
    n = 20_000
    rows = np.array([Stream(seed, "W1").normal(n) for seed in range(8)])
    correlation = np.corrcoef(rows) - np.eye(8)
    assert np.abs(correlation).max() <= 5 / math.sqrt(n)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 4), (5, 6), (0, 2**32), (-(2**31), 2**31)])
def test_integers_stay_in_their_range(low, high):
    values = Stream(0, "integers").integers(low, high, (40, 25))
    assert values.shape == (40, 25)
    assert values.dtype == np.int64
    assert low <= values.min() <= values.max() < high
    if high - low <= 7:
        assert set(values.ravel().tolist()) == set(range(low, high))


@pytest.mark.parametrize(("low", "high"), [(0, 0), (1, 0), (0, 2**32 + 1)])
def test_integers_refuse_an_impossible_range(low, high):
    with pytest.raises(ValueError, match="high - low"):
        Stream(0, "x").integers(low, high, 3)


@pytest.mark.parametrize("n", [0, 1, 2, 100])
def test_a_permutation_holds_every_number_once(n):
    assert sorted(Stream(0, "x").permutation(n).tolist()) == list(range(n))


def test_permutations_reach_every_order():
    stream = Stream(0, "orders")
    assert len({tuple(stream.permutation(4).tolist()) for _ in range(400)}) == math.factorial(4)


def test_values_are_pinned():
    stream = Stream(42, "pinned")
    assert stream.normal(3).tolist() == [1.145294189453125, 0.4611358642578125, 0.9212646484375]
    assert stream.uniform(2).tolist() == [0.8237500190734863, 0.5738328695297241]
    assert stream.integers(-3, 4, 8).tolist() == [3, 1, -3, -1, 2, 2, -3, -3]
    assert stream.permutation(6).tolist() == [0, 5, 1, 3, 2, 4]


def test_signs_are_minus_one_and_one_about_equally_often():
    signs = Stream(3, "signs").signs(10_000)
    assert set(signs.tolist()) == {-1.0, 1.0}
    assert abs(signs.sum()) < 5 * 100  # five standard deviations
