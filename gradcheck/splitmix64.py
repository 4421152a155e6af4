"""SplitMix64 read as a counter-based generator: the same numbers on any machine, for ever.

    word(key, i) = mix(key + (i + 1) gamma  mod 2^64),   i = 0, 1, 2, ...
    mix(z):  z = (z ^ z >> 30) A,  z = (z ^ z >> 27) B,  z ^ z >> 31        (mod 2^64)

gamma = floor(2^64 / golden ratio), made odd; A and B are Stafford's thirteenth variant.
A word depends on its key and its index alone, so any part of a stream can be computed alone.
The key is the start of SHA-256 over the seed and the purpose of the numbers ("W1", "inputs"):
each purpose has a stream of its own, and drawing from one never moves another.

Numbers are made with integer arithmetic; what becomes floating point is an integer times a power
of two, exact in float32. No elementary function is called, so nothing depends on a library.

Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators", OOPSLA,
section 4.1 and figure 17; the constants of mix64 also in Vigna 2015, splitmix64.c.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import numpy.typing as npt

GAMMA = np.uint64(0x9E3779B97F4A7C15)
A = np.uint64(0xBF58476D1CE4E5B9)
B = np.uint64(0x94D049BB133111EB)
S30, S27, S31, S32, S41 = (np.uint64(shift) for shift in (30, 27, 31, 32, 41))

SUMMANDS = 12  # uniform numbers in one approximately normal one; 12 give a variance of 1
LANES = 4  # 16-bit numbers in a word

Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Shape = int | tuple[int, ...]


def words(key: int, start: int, count: int) -> Words:
    """Return the words `start` to `start + count - 1` of the stream of `key`.

    >>> [hex(int(word)) for word in words(0, 0, 2)]
    ['0xe220a8397b1dcdaf', '0x6e789e6aa1b965f4']
    """
    z = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    z *= GAMMA
    z += np.uint64(key)
    z ^= z >> S30
    z *= A
    z ^= z >> S27
    z *= B
    z ^= z >> S31
    return z


def stream_key(seed: int, purpose: str) -> int:
    """Return the 64-bit key of the stream for `purpose` under `seed`."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


class Stream:
    """The random numbers of one purpose under one seed.

    >>> Stream(0, "W1").integers(0, 10, 5).tolist() == Stream(0, "W1").integers(0, 10, 5).tolist()
    True
    """

    def __init__(self, seed: int, purpose: str) -> None:
        self.key = stream_key(seed, purpose)
        self.position = 0

    def words(self, count: int) -> Words:
        """Return the next `count` words of 64 random bits."""
        start = self.position
        self.position += count
        return words(self.key, start, count)

    def uniform(self, shape: Shape) -> Floats:
        """Return numbers k 2^-23, k uniform in 0..2^23 - 1: in [0, 1), exact in float32."""
        k = self.words(_size(shape)) >> S41
        return (k.astype(np.float64) * 2.0**-23).reshape(shape)

    def signs(self, shape: Shape) -> Floats:
        """Return -1.0 or 1.0, each as likely."""
        return 1.0 - 2.0 * self.integers(0, 2, shape).astype(np.float64)

    def normal(self, shape: Shape) -> Floats:
        """Return approximately normal numbers k 2^-16, exact in float32.

        The sum of 12 uniform 16-bit integers u, centred (Irwin 1927, Hall 1927):
            k = sum u - 12 (2^16 - 1) / 2,   mean 0,   variance of k 2^-16 = 1 - 2^-32,
        excess kurtosis -0.1, |k 2^-16| < 6. Adding the lanes of a word does not depend on the
        byte order in which they are read.
        """
        n = _size(shape)
        u = self.words(n * SUMMANDS // LANES).view(np.uint16).reshape(n, SUMMANDS)
        k: Integers = u.sum(axis=1, dtype=np.int64) - SUMMANDS * (2**16 - 1) // 2
        return (k.astype(np.float64) * 2.0**-16).reshape(shape)

    def integers(self, low: int, high: int, shape: Shape) -> Integers:
        """Return integers in low..high - 1, high - low <= 2^32.

        floor(u n / 2^32) of a 32-bit u (Lemire 2019, section 3, without the rejection step):
        no probability is off by more than 2^-32.

        Raises:
            ValueError: an empty range, or one above 2^32.
        """
        n = high - low
        if not 1 <= n <= 2**32:
            raise ValueError(f"high - low = {n}; it must be 1 to 2^32")
        u = self.words(_size(shape)) >> S32
        return ((u * np.uint64(n) >> S32).astype(np.int64) + low).reshape(shape)

    def integer(self, low: int, high: int) -> int:
        """Return one integer in low..high - 1."""
        return int(self.integers(low, high, 1)[0])

    def permutation(self, n: int) -> Integers:
        """Return 0..n - 1 in random order: the order that sorts n random words."""
        return np.argsort(self.words(n), kind="stable").astype(np.int64)


def _size(shape: Shape) -> int:
    return shape if isinstance(shape, int) else math.prod(shape)
