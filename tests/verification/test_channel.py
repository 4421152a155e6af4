"""Frames: what is sent comes bit for bit, and nothing else is taken for a message."""

import json
import socket
import struct
import time
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck.verification import channel
from gradcheck.verification.channel import (
    HEAD,
    KEY,
    SLACK,
    Channel,
    ClosedError,
    GarbledError,
    SilentError,
)

OURS = b"k" * KEY
NUMBERS = np.array([0.0, -0.0, 5e-324, 1 / 3, np.inf, -np.inf, np.nan])


@pytest.fixture
def ends():
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def sent(ends, arrays, **options):
    Channel(ends[0], OURS).send(7, {"kind": "answer"}, arrays, **options)
    number, message, found = Channel(ends[1], OURS).receive(7)
    assert (number, message["kind"]) == (7, "answer")
    return found


DTYPES = [
    "float16",
    "float32",
    "float64",
    "longdouble",
    ">f8",
    "complex64",
    "int8",
    "uint64",
    "bool",
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_come_bit_for_bit(ends, dtype):
    with np.errstate(all="ignore"):
        array = NUMBERS.astype(dtype).reshape(7, 1)
    [found] = sent(ends, [array])
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, (7, 1), array.tobytes())
    assert found.flags.writeable
    assert found.flags.owndata


def test_which_nan_it_is_is_kept(ends):
    array = np.frombuffer(struct.pack("<Q", 0x7FF8DEADBEEF0001), "<f8")
    assert sent(ends, [array])[0].tobytes() == array.tobytes()


def test_arrays_of_any_layout_come_as_they_look(ends):
    array = np.arange(24.0).reshape(4, 6)[::2, ::-3].T
    empty = np.zeros((0, 3))
    found = sent(ends, [array, empty, np.float64(2).reshape(())])
    assert np.array_equal(found[0], array)
    assert [a.shape for a in found[1:]] == [(0, 3), ()]


def test_what_is_no_number_or_too_large_comes_as_its_shape_alone(ends):
    arrays = [np.array([None, "x"]), np.array(["text"]), np.zeros(100), np.ones(3), np.ones(3)]
    found = sent(ends, arrays, most=47)
    assert [a.dtype.kind for a in found] == ["O", "U", "f", "f", "f"]
    assert [a.shape for a in found] == [(2,), (1,), (100,), (3,), (3,)]
    assert [a.strides for a in found[2:]] == [(0,), (8,), (0,)]
    assert found[3].tolist() == [1, 1, 1]


def framed(text, blob=b"", *, key=OURS, number=7, sizes=None):
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    return HEAD.pack(key, number, *(sizes or (len(text), len(blob)))) + text + blob


def with_array(*described, blob=b""):
    return framed({"arrays": [list(described)]}, blob)


@pytest.mark.parametrize(
    "frame",
    [
        framed({"arrays": []}, key=b"x" * KEY),
        framed({"arrays": []}, number=8),
        framed({"arrays": []}, sizes=(2**63, 0)),
        framed({"arrays": []}, sizes=(SLACK + 1001, 0)),
        framed({"arrays": []}, sizes=(14, 1001)),
        framed(b"[" * 100_000),
        framed(b"\xff\xfe"),
        framed(b"[]"),
        framed(b"3"),
        framed({}),
        framed({"arrays": 3}),
        framed({"arrays": []}, b"x"),
        with_array("<f8", [2], True, blob=b"12345678"),
        with_array("<f8", [-1], True),
        with_array("<f8", [1.5], True),
        with_array("<f8", [2**62, 2**62], False),
        with_array("<f8", [1] * 40, True, blob=b"12345678"),
        with_array("<f3", [1], True, blob=b"123"),
        with_array(3, [1], True, blob=b"12345678"),
        with_array("|O", [1], True, blob=b"12345678"),
        with_array("<f8", "12345678", True),
    ],
    ids=map(str, range(21)),
)
def test_what_is_no_message_is_told_as_such(ends, frame):
    ends[0].sendall(frame)
    ends[0].close()
    with pytest.raises(GarbledError):
        Channel(ends[1], OURS).receive(7, most=1000)


def test_a_reader_without_a_key_takes_the_first(ends):
    other = Channel(ends[1], None)
    ends[0].sendall(framed({"arrays": []}) + framed({"arrays": []}, key=b"x" * KEY))
    other.receive()
    with pytest.raises(GarbledError, match="begins with"):
        other.receive()


def test_half_a_message_is_waited_for_until_the_deadline(ends):
    ends[0].sendall(framed({"arrays": []})[:-3])
    with pytest.raises(SilentError):
        Channel(ends[1], OURS).receive(7, deadline=time.monotonic())


def test_a_message_that_comes_byte_by_byte_has_one_deadline(ends, monkeypatch):
    now = count()
    monkeypatch.setattr(channel, "time", SimpleNamespace(monotonic=lambda: next(now)))
    frame = framed({"arrays": []})
    drops = (frame[i : i + 1] for i in range(len(frame)))
    drip = SimpleNamespace(recv=lambda _: next(drops), settimeout=lambda _: None)
    with pytest.raises(SilentError):
        Channel(drip, OURS).receive(7, deadline=20)
    assert next(now) == 21


def test_a_reader_that_takes_nothing_is_waited_for_until_the_deadline(ends):
    with pytest.raises(SilentError):
        Channel(ends[0], OURS).send(7, {}, [np.zeros(2**20)], deadline=time.monotonic())


def test_an_end_that_is_closed_is_noticed(ends):
    ends[0].close()
    with pytest.raises(ClosedError):
        Channel(ends[1], OURS).receive()
    with pytest.raises(ClosedError):
        Channel(ends[1], OURS).send(7, {}, [np.zeros(2**20)])


def test_a_process_that_is_gone_is_noticed_where_others_hold_its_end(ends):
    with pytest.raises(ClosedError):
        Channel(ends[1], OURS, lambda: False).receive()


def test_messages_are_read_one_by_one_and_remembered_in_bounds(ends):
    one, other = Channel(ends[0], OURS), Channel(ends[1], OURS)
    for number in range(3):
        one.send(number, {"kind": "x" * channel.SHORT * number}, [np.full(2, number)])
    for number in range(3):
        _, message, [array] = other.receive(number)
        assert len(message["kind"]) == channel.SHORT * number
        assert array.tolist() == [number, number]
