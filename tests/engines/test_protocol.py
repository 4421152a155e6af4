"""Messages: what is sent is exact, and nothing that comes back is believed unread."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.engines import protocol
from gradcheck.engines.base import (
    EngineProtocolError,
    EngineRaisedError,
    MalformedAnswerError,
    Unsupported,
)
from gradcheck.problems.case import Case
from gradcheck.problems.strategies import problems

PROBLEM = Case(sizes=(2, 3, 1), batch=2).problem()
LAYERS = [
    {"W": [[0.5, -0.25], [1, 2], [3.0, 4.0]], "b": [0.0, -0.0, 1e-320]},
    {"W": [[1.0, 2.0, 3.0]], "b": [0.125]},
]
SAID = {"name": "e", "version": "1", "dtypes": ["float64"], "losses": ["quadratic"],
        "reductions": ["sum"]}  # fmt: skip


def line(**fields):
    return json.dumps({"id": 7, "ok": True, **fields}).encode()


# --- what is sent -------------------------------------------------------------------------------


@given(problems())
def test_every_number_of_a_problem_reads_back_to_the_same_bits(problem):
    message = protocol.request(3, "loss", problem=protocol.encode(problem))
    assert message.endswith(b"\n")
    assert message.count(b"\n") == 1
    sent = json.loads(message)
    assert (sent["id"], sent["cmd"]) == (3, "loss")
    told, network = sent["problem"], problem.architecture
    assert (tuple(told["sizes"]), told["loss"]) == (network.sizes, network.loss)
    assert (told["reduction"], told["dtype"]) == (network.reduction, problem.dtype.name)
    arrays = [*problem.weights, *problem.biases, problem.inputs, problem.targets]
    lists = [*told["weights"], *told["biases"], told["inputs"], told["targets"]]
    for array, values in zip(arrays, lists, strict=True):
        assert np.array(values, dtype=problem.dtype).tobytes() == array.tobytes()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_survives_both_ways(x):
    sent = json.loads(protocol.request(0, "echo", values=[x]))["values"][0]
    reply = protocol.read_reply(line(loss=sent), 7)
    assert protocol.read_loss(reply).hex() == x.hex()


def test_float16_and_float32_are_sent_exactly():
    for dtype in (np.float16, np.float32):
        problem = PROBLEM.astype(dtype)
        told = protocol.encode(problem)
        assert told["dtype"] == np.dtype(dtype).name
        assert told["weights"][0] == problem.weights[0].tolist()


def test_numbers_that_are_not_finite_are_sent_as_names():
    parameters = {name: p.copy() for name, p in PROBLEM.parameters.items()}
    parameters["b1"][:] = [np.nan, np.inf, -np.inf]
    told = protocol.encode(PROBLEM.with_parameters(parameters))
    assert told["biases"][0] == ["NaN", "Infinity", "-Infinity"]
    protocol.request(0, "loss", problem=told)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant <= 52, reason="longdouble is float64 here")
def test_what_float64_does_not_hold_is_not_sent():
    finer = np.longdouble(1) + np.finfo(np.longdouble).eps
    parameters = {**PROBLEM.parameters, "b2": np.array([finer])}
    with pytest.raises(Unsupported, match="that float64, as in messages, rounds"):
        protocol.encode(PROBLEM.with_parameters(parameters))


def test_complex_numbers_are_not_sent():
    parameters = {**PROBLEM.parameters, "b2": np.array([1 + 1j])}
    with pytest.raises(Unsupported, match="numbers of dtype complex128"):
        protocol.encode(PROBLEM.with_parameters(parameters))


# --- lines --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"Loading model...", "no JSON .*stdout is for the protocol only: 'Loading model...'"),
        (b"", "no JSON"),
        (b"[1, 2]", "no JSON object; its stdout is for the protocol only"),
        (b"3", "no JSON object"),
        (b'{"id": 7, "ok": tr', "no JSON"),
        (b'{"id": 7, "ok": true} {}', "no JSON"),
        (b'{"id": 7, "ok": true, "loss": "\xff\xfe"}', r"not UTF-8 \(byte 31: .*\\\\xff"),
        (b'{"id": 7, "ok": true, "loss": 1e999}', "1e999 is beyond the range of float64"),
        (b'{"id": 7, "ok": true, "loss": -1e999}', "-1e999 is beyond the range of float64"),
        (b'{"id": 7, "ok": true, "loss": 1' + 400 * b"0" + b"}", "beyond the range of float64"),
        (b'{"id": 7, "ok": true, "loss": 1' + 9000 * b"0" + b"}", "beyond the range of float64"),
        (b'{"id": 7, "ok": true, "loss": NaN}', 'NaN is no JSON; write the string "NaN"'),
        (b'{"id": 7, "ok": true, "loss": -Infinity}', "-Infinity is no JSON"),
        (200000 * b"[", "cannot be read"),
        (b'{"id": 8, "ok": true}', "a reply to message 8, where 7 was asked"),
        (b'{"ok": true}', "a reply with id None"),
        (b'{"id": null, "ok": true}', "a reply with id None"),
        (b'{"id": "7", "ok": true}', "a reply with id '7'"),
        (b'{"id": 7.0, "ok": true}', "a reply with id 7.0"),
        (b'{"id": true, "ok": true}', "a reply with id True"),
        (b'{"id": 7}', "a reply whose ok is None"),
        (b'{"id": 7, "ok": 1}', "a reply whose ok is 1"),
    ],
)
def test_a_line_that_is_no_reply_is_told_with_its_beginning(sent, told):
    with pytest.raises(EngineProtocolError, match=told) as raised:
        protocol.read_reply(sent, 7)
    assert len(str(raised.value)) < 2 * protocol.SHOWN + 200


def test_only_the_beginning_of_a_line_is_shown():
    with pytest.raises(EngineProtocolError) as raised:
        protocol.read_reply(b"x" * 10**6, 7)
    assert str(raised.value).endswith(": '" + 200 * "x" + "'")


def test_fields_that_are_not_known_are_ignored():
    assert protocol.read_loss(protocol.read_reply(line(loss=0.5, mood="good"), 7)) == 0.5
    info = protocol.read_info({"protocol": 1, "engine": {**SAID, "mascot": "owl"}})
    assert info.name == "e"


@pytest.mark.parametrize(
    ("reply", "error", "told"),
    [
        ({"kind": "unsupported", "message": "no biases"}, Unsupported, "^no biases$"),
        ({"kind": "error", "message": "oh"}, EngineRaisedError, "^oh$"),
        ({"kind": "error", "message": "oh", "traceback": "at x"}, EngineRaisedError, "oh\nat x"),
        ({"kind": "protocol", "message": "what"}, EngineProtocolError, "not understand: what"),
        ({"kind": "tired", "message": "zz"}, EngineProtocolError, "kind 'tired', which is none"),
        ({}, EngineProtocolError, "kind None"),
        ({"kind": "unsupported", "message": 3}, Unsupported, "no message"),
    ],
)
def test_what_went_wrong_is_raised(reply, error, told):
    with pytest.raises(error, match=told):
        protocol.require_ok({"id": 7, "ok": False, **reply})


def test_a_message_that_was_not_even_read_has_no_id():
    sent = b'{"id": null, "ok": false, "kind": "protocol", "message": "unreadable"}'
    with pytest.raises(EngineProtocolError, match="did not understand: unreadable"):
        protocol.require_ok(protocol.read_reply(sent, 7))
    with pytest.raises(EngineProtocolError, match="id None"):
        protocol.read_reply(sent.replace(b"false", b"true"), 7)


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["NaN", "nan", "NAN", "-nan"])
def test_nan_is_a_legal_loss(name):
    assert math.isnan(protocol.read_loss({"loss": name}))


@pytest.mark.parametrize("name", ["Infinity", "inf", "INF", "+infinity"])
def test_infinity_is_a_legal_loss(name):
    assert protocol.read_loss({"loss": name}) == math.inf
    assert protocol.read_loss({"loss": f"-{name.removeprefix('+')}"}) == -math.inf


def test_an_engine_may_have_no_loss():
    assert protocol.read_loss({"loss": None}) is None


def test_a_loss_that_is_left_out_is_not_one_that_is_null():
    with pytest.raises(EngineProtocolError, match="its reply has no loss"):
        protocol.read_loss({"ok": True})


@pytest.mark.parametrize("loss", ["0.5", "", True, [0.5], {}])
def test_a_loss_is_one_number(loss):
    with pytest.raises(EngineProtocolError, match="loss, which must be a number"):
        protocol.read_loss({"loss": loss})


def test_the_gradient_arrives_with_its_shapes_signs_and_values():
    reply = protocol.read_reply(line(gradient=LAYERS), 7)
    (dW1, db1), (dW2, db2) = protocol.read_gradient(reply, PROBLEM)
    assert (dW1.shape, db1.shape, dW2.shape, db2.shape) == ((3, 2), (3,), (1, 3), (1,))
    assert dW1.tolist() == [[0.5, -0.25], [1.0, 2.0], [3.0, 4.0]]
    assert [x.hex() for x in db1.tolist()] == [x.hex() for x in (0.0, -0.0, 1e-320)]
    assert dW1.dtype == np.float64


def test_minus_zero_without_a_point_keeps_its_sign():
    reply = protocol.read_reply(b'{"id":7,"ok":true,"loss":-0}', 7)
    assert math.copysign(1, protocol.read_loss(reply)) == -1


def test_nan_and_infinity_in_the_gradient_arrive():
    layers = [{**LAYERS[0], "b": ["NaN", "Infinity", "-inf"]}, LAYERS[1]]
    (_, db), _ = protocol.read_gradient({"gradient": layers}, PROBLEM)
    assert np.array_equal(db, [np.nan, np.inf, -np.inf], equal_nan=True)


def test_a_rectangular_array_of_wrong_shape_is_left_to_the_check():
    layers = [{"W": [[1.0], [2.0]], "b": []}, {"W": [], "b": [1.0, 2.0]}]
    (dW1, db1), (dW2, db2) = protocol.read_gradient({"gradient": layers}, PROBLEM)
    assert (dW1.shape, db1.shape, dW2.shape, db2.shape) == ((2, 1), (0,), (0, 0), (2,))


@pytest.mark.parametrize(
    ("gradient", "told"),
    [
        (None, "gradient, which must be a list: None"),
        ({}, "gradient, which must be a list"),
        ([LAYERS[0], [1.0]], r"gradient\[1\], which must be an object with W and b"),
        ([LAYERS[0], {"W": [[1.0]]}], r"no gradient\[1\]\.b"),
        ([LAYERS[0], {"b": [1.0]}], r"no gradient\[1\]\.W"),
        ([LAYERS[0], {"W": [1.0], "b": [1.0]}], r"gradient\[1\]\.W\[0\], which must be a list"),
        ([LAYERS[0], {"W": [["x"]], "b": [1.0]}], r"W\[0\]\[0\], which must be a number: 'x'"),
        ([LAYERS[0], {"W": [[None]], "b": [1.0]}], "must be a number: None"),
        ([LAYERS[0], {"W": [[True]], "b": [1.0]}], "must be a number: True"),
        ([LAYERS[0], {"W": [[1.0]], "b": ["0.5"]}], r"gradient\[1\]\.b\[0\].*number: '0.5'"),
        ([LAYERS[0], {"W": [[1.0]], "b": 1.0}], r"gradient\[1\]\.b, which must be a list"),
        ([{"W": [[1.0, 2.0], [1.0]], "b": []}, LAYERS[1]], r"\[0\]\.W, whose row 1 has 1 numbers"),
    ],
)
def test_a_gradient_of_other_things_than_numbers_is_told(gradient, told):
    with pytest.raises(EngineProtocolError, match=told):
        protocol.read_gradient({"gradient": gradient}, PROBLEM)


def test_too_few_and_too_many_layers_are_told():
    for layers in (LAYERS[:1], [*LAYERS, LAYERS[1]]):
        with pytest.raises(MalformedAnswerError, match=rf"{len(layers)} layers; it must have 2"):
            protocol.read_gradient({"gradient": layers}, PROBLEM)


def test_a_missing_field_is_told():
    with pytest.raises(EngineProtocolError, match="its reply has no loss"):
        protocol.read_loss({})
    with pytest.raises(EngineProtocolError, match="its reply has no gradient"):
        protocol.read_gradient({}, PROBLEM)


def test_a_gradient_has_the_dtype_of_the_problem_where_that_holds_it_exactly():
    problem = PROBLEM.astype(np.float32)
    layers = [{**LAYERS[0], "b": [0.0, "NaN", "-Infinity"]}, LAYERS[1]]
    gradient = protocol.read_gradient({"gradient": layers}, problem)
    assert {array.dtype for pair in gradient for array in pair} == {np.dtype(np.float32)}
    finer = [LAYERS[0], {"W": [[0.1, 1.0, 1.0]], "b": [1e300]}]
    gradient = protocol.read_gradient({"gradient": finer}, problem)
    assert {array.dtype for pair in gradient for array in pair} == {np.dtype(np.float64)}
    assert gradient[1][0][0, 0] == 0.1


# --- echo ---------------------------------------------------------------------------------------


def test_the_echo_holds_numbers_that_only_float64_holds():
    values = np.array(protocol.ECHO)
    with np.errstate(over="ignore"):
        assert (values.astype(np.float32) != values).any()
    assert (np.signbit(values) & (values == 0)).any()
    assert ((values != 0) & (np.abs(values) < np.finfo(float).tiny)).any()
    protocol.require_echo({"values": list(protocol.ECHO)})


@pytest.mark.parametrize("position", range(len(protocol.ECHO)))
def test_one_wrong_bit_in_the_echo_is_noticed(position):
    values = list(protocol.ECHO)
    values[position] = float(np.nextafter(values[position], 0.5))
    with pytest.raises(EngineProtocolError, match="must come back bit for bit as float64"):
        protocol.require_echo({"values": values})


def test_a_lost_sign_of_zero_or_a_lost_number_in_the_echo_is_noticed():
    with pytest.raises(EngineProtocolError, match=r"its echo of -0\.0 is 0\.0"):
        protocol.require_echo({"values": [x + 0.0 for x in protocol.ECHO]})
    with pytest.raises(EngineProtocolError, match="its echo has 11 of 12 numbers"):
        protocol.require_echo({"values": list(protocol.ECHO[:-1])})


def test_subnormal_numbers_that_come_back_as_zero_are_remarked_and_no_others_excused():
    tiny = np.finfo(float).tiny
    flushed = [0.0 if abs(x) < tiny and x else x for x in protocol.ECHO]
    assert flushed != list(protocol.ECHO)
    [remark] = protocol.require_echo({"values": flushed})
    assert "it takes numbers below the normal range for 0" in remark
    assert protocol.require_echo({"values": list(protocol.ECHO)}) == ()
    normal = protocol.ECHO.index(1 / 3)
    with pytest.raises(EngineProtocolError, match="must come back bit for bit"):
        protocol.require_echo({"values": [*flushed[:normal], 0.0, *flushed[normal + 1 :]]})


# --- what an engine says of itself ----------------------------------------------------------------


def test_an_engine_introduces_itself():
    info = protocol.read_info({"protocol": 1, "engine": SAID})
    assert (info.dtypes, info.losses, info.reductions) == (("float64",), ("quadratic",), ("sum",))
    assert (info.deterministic, info.language, info.arithmetic) == (True, "unknown", "")
    more = {
        "deterministic": False,
        "language": "Ada",
        "arithmetic": "tf32",
        "issues_url": "https://example.org",
        "limits": {"max_depth": 4, "targets": "binary"},
    }
    info = protocol.read_info({"protocol": 1, "engine": {**SAID, **more}})
    assert (info.deterministic, info.language, info.arithmetic) == (False, "Ada", "tf32")
    assert info.issues_url == "https://example.org"
    assert info.limits == {"max_depth": 4, "targets": ["binary"]}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            {"dtypes": ["bfloat16"]},
            "dtypes, which must be of float16, float32, float64: 'bfloat16'",
        ),
        ({"dtypes": ["longdouble"]}, "dtypes, which must be of float16, float32, float64"),
        ({"dtypes": "float64"}, "engine.dtypes, which must be a list: 'float64'"),
        ({"dtypes": []}, r"dtypes=\(\) must name at least one"),
        ({"losses": ["hinge"]}, "losses, which must be of cross_entropy, quadratic: 'hinge'"),
        ({"losses": [3]}, "losses, which must be of .*: 3"),
        ({"reductions": ["max"]}, "reductions, which must be of mean, sum: 'max'"),
        ({"name": ""}, "name='' must not be empty"),
        ({"name": 3}, "engine.name, which must be text: 3"),
        ({"version": None}, "engine.version, which must be text"),
        ({"deterministic": "yes"}, "engine.deterministic, which must be true or false: 'yes'"),
        ({"arithmetic": "exact"}, "arithmetic, which must be of cancellation_free, "),
        ({"limits": [3]}, r"limits=\[3\] must be a mapping"),
        ({"limits": {"max_layers": 3}}, "limits: max_layers not in corners"),
        ({"limits": {"max_depth": 0}}, "max_depth=0; it must be at least 1"),
        ({"limits": {"max_depth": "3"}}, "max_depth="),
        ({"limits": {"targets": ["real"]}}, "targets='real'"),
    ],
)
def test_an_engine_that_says_what_cannot_be_is_refused(said, told):
    with pytest.raises(EngineProtocolError, match=told):
        protocol.read_info({"protocol": 1, "engine": {**SAID, **said}})


@pytest.mark.parametrize("missing", SAID)
def test_an_introduction_without_a_field_is_refused(missing):
    said = {key: value for key, value in SAID.items() if key != missing}
    with pytest.raises(EngineProtocolError, match=missing):
        protocol.read_info({"protocol": 1, "engine": said})


def test_another_version_of_the_protocol_is_refused():
    with pytest.raises(EngineProtocolError, match="it speaks protocol 2; this is 1"):
        protocol.read_info({"protocol": 2, "engine": SAID})
    with pytest.raises(EngineProtocolError, match="its reply has no protocol"):
        protocol.read_info({"engine": SAID})
    with pytest.raises(EngineProtocolError, match="engine, which must be an object"):
        protocol.read_info({"protocol": 1, "engine": "e"})


# --- size ---------------------------------------------------------------------------------------


def test_the_limit_of_a_reply_holds_every_right_one():
    size = PROBLEM.architecture.n_parameters + 1
    longest = len("-2.2250738585072011e-308, ")
    assert protocol.largest_reply(PROBLEM) >= 2**20 + 2 * longest * size
    assert protocol.largest_reply() == 2**20
