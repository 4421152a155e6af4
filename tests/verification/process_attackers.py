"""A program that speaks the protocol of engines in processes, and misbehaves.

Its argument says how; a second one, `wrong`, asks for a gradient that is twice too large besides.
"""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np

from gradcheck.engines.registry import find
from gradcheck.problem import Architecture, Problem

REFERENCE = find("reference")
started = []
INFO = {
    "name": "attacker",
    "version": "1",
    "language": "none",
    "dtypes": ["float64"],
    "losses": ["cross_entropy", "quadratic"],
    "reductions": ["mean", "sum"],
    "arithmetic": "cancellation_free",
}

FINE, FAULT, GONE, OPEN = {0}, {1, 3}, {3}, {0, 4}


def write(text):
    os.write(1, text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))


def tell(reply):
    write(json.dumps(reply) + "\n")


def answered(message, factor):
    told = message["problem"]
    network = Architecture(tuple(told["sizes"]), told["loss"], told["reduction"])
    rows = [[np.array(a) for a in told[name]] for name in ("weights", "biases")]
    problem = Problem(network, *rows, np.array(told["inputs"]), np.array(told["targets"]))
    value, layers = REFERENCE.value_and_grad(problem)
    reply = {"id": message["id"], "ok": True, "loss": value}
    if message["cmd"] == "value_and_grad":
        reply["gradient"] = [
            {"W": (factor * W).tolist(), "b": (factor * b).tolist()} for W, b in layers
        ]
    return reply


def changed(**fields):
    return lambda message, reply: tell(reply | fields)


def without(key):
    return lambda message, reply: tell({k: v for k, v in reply.items() if k != key})


def say(text, *, then=True):
    def attack(message, reply):
        write(text)
        if then:
            tell(reply)

    return attack


def after(call, *arguments):
    def attack(message, reply):
        tell(reply)
        call(*arguments)

    return attack


def before(call, *arguments):
    def attack(message, reply):
        call(*arguments)
        tell(reply)

    return attack


def half(message, reply):
    write(json.dumps(reply)[:40])
    time.sleep(1000)


def half_and_end(message, reply):
    write(json.dumps(reply)[:40])
    os._exit(0)


def twice(message, reply):
    tell(reply)
    tell(reply)


def slowly(message, reply):
    for part in json.dumps(reply) + "\n":
        write(part)


def flood():
    while True:
        os.write(1, b"x" * 2**16)


def daemon():
    if started:
        return
    started.append(True)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"],
                     start_new_session=True)  # fmt: skip


def gradient(change):
    def attack(message, reply):
        if "gradient" in reply:
            reply["gradient"] = change(reply["gradient"])
        tell(reply)

    return attack


ATTACKS = {
    "polite": (changed(), FINE),
    "more_fields": (changed(more={"a": [1]}), FINE),
    "no_id": (without("id"), GONE),
    "other_id": (changed(id=-1), GONE),
    "text_id": (changed(id="1"), GONE),
    "no_ok": (without("ok"), GONE),
    "no_loss": (without("loss"), FAULT),
    "text_loss": (changed(loss="x"), FAULT),
    "list_loss": (changed(loss=[1]), FAULT),
    "null_loss": (changed(loss=None), OPEN),
    "named_loss": (changed(loss="NaN"), FAULT),
    "no_gradient": (without("gradient"), FAULT),
    "text_gradient": (gradient(lambda _: "x"), FAULT),
    "empty_gradient": (gradient(lambda _: []), FAULT),
    "ragged": (gradient(lambda g: [{"W": [[1.0], [1.0, 2.0]], "b": [1.0]}] * len(g)), FAULT),
    "deep_gradient": (gradient(lambda g: [{"W": [[[1.0]]], "b": [1.0]}] * len(g)), FAULT),
    "named_gradient": (gradient(lambda g: [{"W": "NaN", "b": "NaN"}] * len(g)), FAULT),
    "true_gradient": (gradient(lambda g: [{"W": [[True]], "b": [True]}] * len(g)), FAULT),
    "unsupported": (
        lambda m, r: tell(
            {"id": m["id"], "ok": False, "kind": "unsupported", "message": "\x1b[31m"}
        ),
        {4},
    ),
    "error": (
        lambda m, r: tell(
            {"id": m["id"], "ok": False, "kind": "error", "message": "\x1b[31m" + "x" * 10**5}
        ),
        FAULT,
    ),
    "protocol": (
        lambda m, r: tell({"id": m["id"], "ok": False, "kind": "protocol", "message": "x"}),
        FAULT,
    ),
    "kind": (
        lambda m, r: tell({"id": m["id"], "ok": False, "kind": "other", "message": "x"}),
        FAULT,
    ),
    "noise": (say("noise\n"), GONE),
    "no_line": (say("\n"), GONE),
    "escapes": (say("\x1b]0;owned\x07\n"), GONE),
    "not_utf8": (say(b"\xff\xfe\n"), GONE),
    "surrogate": (say("\ud800\n"), GONE),
    "nul": (say(b"\0" * 100 + b"\n"), GONE),
    "deep": (say("[" * 100_000 + "\n"), GONE),
    "digits": (say('{"id":' + "1" * 5000 + "}\n"), GONE),
    "infinite": (say('{"id":1e999}\n'), GONE),
    "list": (say("[]\n"), GONE),
    "nan": (say("NaN\n"), GONE),
    "half": (half, {3, 4}),
    "half_and_end": (half_and_end, GONE),
    "twice": (twice, FAULT),
    "slowly": (slowly, FINE),
    "flood": (before(flood), GONE),
    "silent": (before(time.sleep, 1000), {3, 4}),
    "stopped": (before(lambda: os.kill(os.getpid(), signal.SIGSTOP)), {3, 4}),
    "exit_0": (before(os._exit, 0), GONE),
    "exit_later": (after(os._exit, 0), {0, 1, 3}),
    "killed": (before(lambda: os.kill(os.getpid(), signal.SIGKILL)), GONE),
    "aborted": (before(os.abort), GONE),
    "closes": (before(os.close, 1), {1, 3, 4}),
    "closes_input": (after(os.close, 0), {0, 1, 3}),
    "errors": (before(lambda: os.write(2, b"\x1b[31m\xff" * 1000)), FINE),
    "daemon": (before(daemon), FINE),
}

GREETINGS = {
    "other_protocol": {"protocol": 99},
    "no_engine": {"engine": None},
    "no_name": {"engine": INFO | {"name": ""}},
    "no_dtypes": {"engine": INFO | {"dtypes": []}},
    "other_dtype": {"engine": INFO | {"dtypes": ["float8"]}},
    "other_limits": {"engine": INFO | {"limits": {"x": 1}}},
    "mad_limits": {"engine": INFO | {"limits": {"max_depth": -1}}},
    "other_arithmetic": {"engine": INFO | {"arithmetic": "exact"}},
    "escaped_name": {"engine": INFO | {"name": "\x1b[31mred"}},
}
"""Replies to `start`; all but the last are refused."""


def main(name, factor):
    attack = ATTACKS.get(name, (changed(), FINE))[0]
    for line in sys.stdin:
        message = json.loads(line)
        start = {"id": message["id"], "ok": True}
        match message["cmd"]:
            case "start":
                tell(start | {"protocol": 1, "engine": INFO} | GREETINGS.get(name, {}))
            case "echo":
                tell(start | {"values": message["values"]})
            case "stop":
                tell(start)
                return
            case _:
                attack(message, answered(message, factor))


if __name__ == "__main__":
    main(sys.argv[1], 2 if "wrong" in sys.argv[2:] else 1)
