"""The cases of the attack, by kind, each with the exit codes that it may end in."""

import os
import re
from pathlib import Path

import attackers
import process_attackers

CAUGHT = {1, 2, 3, 4}
"""A wrong engine is never verified, however it misbehaves."""

# --- engines --------------------------------------------------------------------------------------

IN_PROCESS = {
    **{f"right {name}": codes for name, (_, codes) in attackers.ATTACKS.items()},
    **{f"wrong {name}": CAUGHT for name, (_, codes) in attackers.ATTACKS.items() if 0 in codes},
}
PROCESS = {
    **{f"right {name}": codes for name, (_, codes) in process_attackers.ATTACKS.items()},
    **{f"wrong {n}": CAUGHT for n, (_, codes) in process_attackers.ATTACKS.items() if 0 in codes},
    **{f"right {name}": {3} for name in process_attackers.GREETINGS},
    "right escaped_name": {0},
    "right no_dtypes": {3, 4},
}

# --- output files ---------------------------------------------------------------------------------


def pipe(path):
    os.mkfifo(path)


def link(target):
    return lambda path: path.symlink_to(target)


def with_mode(mode):
    def make(path):
        path.write_text("", "utf-8")
        path.chmod(mode)

    return make


def nothing(path):
    pass


PLACES = {
    "new": ("out", nothing, {0}),
    "empty": ("out", with_mode(0o600), {0}),
    "link": ("out", link("there"), {0}),
    "loop": ("out", link("out"), {2}),
    "folder": ("out", lambda path: path.mkdir(), {2}),
    "pipe": ("out", pipe, {2}),
    "new folder": ("a/b/out", nothing, {0}),
    "below a file": ("run.py/out", lambda path: Path("run.py").touch(), {2}),
    "longest name": ("n" * 255, nothing, {0}),
    "too long a name": ("n" * 256, nothing, {2}),
    "too long a path": ("n/" * 3000 + "n", nothing, {2}),
    "nul": ("a\0b", nothing, {2}),
    "half a character": ("a\ud800b", nothing, {2}),
    "escapes": ("\x1b[31m", nothing, {0}),
    "nowhere": (os.devnull, nothing, {0}),
    "full": ("/dev/full", nothing, {2}),
}
FILES = {
    f"{option} {name}": codes
    for option in ("--log", "--junit", "--html", "--markdown")
    for name, (_, _, codes) in PLACES.items()
}

# --- logs -----------------------------------------------------------------------------------------


def cut(share):
    return lambda data: data[: int(share * len(data))]


def swap(old, new):
    return lambda data: data.replace(old, new, 1)


def lines(change):
    return lambda data: b"".join(change(data.splitlines(keepends=True)))


def flip(share):
    def change(data):
        place = int(share * len(data))
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    return change


DAMAGE = {
    **{f"cut at {k} of 12": (cut(k / 12), {0}) for k in range(2, 12)},
    # 0: where the bit is one of a timing, which no checksum covers
    **{f"a bit at {k} of 20": (flip(k / 20), {0, 2}) for k in range(20)},
    "empty": (lambda _: b"", {2}),
    "half a header": (lambda data: data[:50], {2}),
    "another verdict": (swap(b'"PASS"', b'"FAIL"'), {2}),
    "another exit code": (swap(b'"exit_code":0', b'"exit_code":1'), {2}),
    "another seed": (swap(b'"seed":19', b'"seed":18'), {2}),
    "another engine": (swap(b'"reference"', b'"preference"'), {2}),
    "another token": (swap(b"gc1:", b"gc2:"), {2}),
    "no footer": (lines(lambda all_: all_[:-1]), {0}),
    "no header": (lines(lambda all_: all_[1:]), {2}),
    "no second line": (lines(lambda all_: [all_[0], *all_[2:]]), {2}),
    "a line twice": (lines(lambda all_: [*all_[:2], *all_[1:]]), {2}),
    "reversed": (lines(lambda all_: all_[::-1]), {2}),
    "two logs": (lambda data: data + data, {2}),
    "deep": (lines(lambda all_: [all_[0], b"[" * 10**5 + b"\n", *all_[1:]]), {2}),
    "many digits": (lines(lambda all_: [all_[0], b'{"kind":' + b"1" * 5000 + b"}\n"]), {2}),
    "no json": (lines(lambda all_: [all_[0], b"hello\n", *all_[1:]]), {2}),
    "nul": (lines(lambda all_: [all_[0], b"\0" * 1000 + b"\n", *all_[1:]]), {2}),
    "half a line": (lambda data: data.rsplit(b"\n", 2)[0] + b'\n{"kind":"cas', {0}),
    "format 1": (swap(b"gradcheck-log-2", b"gradcheck-log-1"), {2}),
    "other line ends": (lambda data: data.replace(b"\n", b"\r\n"), {2}),
    "no checksums": (
        lambda data: re.sub(rb',"check":"[0-9a-f]{16}"', b"", data),
        {2},
    ),
}
LOGS = {name: codes for name, (_, codes) in DAMAGE.items()}

# --- tokens ---------------------------------------------------------------------------------------

TOKEN = "gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:binary:s0"


def field(place, text):
    parts = TOKEN.split(":")
    parts[place] = text
    return ":".join(parts)


SPELLINGS = {
    0: ["gc0", "gc2", "GC1", "gc01", "gc99999999999999999999", ""],
    1: ["", "3", "0-1", "-3-4", "3--4", "03-4", "3-4-", "1e3-1", "٣-1", "99999999-1",
        "1-" * 20_000 + "1", "100000-100000", "3 -4", "3-4\n", "9" * 5000],
    2: ["", "entropy", "CROSS_ENTROPY", "quadratic ", "\x1b[31m"],
    3: ["", "max", "mean\0"],
    4: ["", "2", "m0", "m-1", "m02", "m1.0", "m99999999", "m" + "9" * 5000, "mm2"],
    5: ["", "float8", "longdouble", "float", "float64,float32"],
    6: ["", "w", "w0", "w-1", "wnan", "winf", "w1e9", "w1.0", "w01", "w1e0",
        "w" + "9" * 30, "w0x1"],
    7: ["", "other", "generic ", "stationary"],
    8: ["", "other", "one_hot"],
    9: ["", "0", "s-1", "s01", "s18446744073709551616", "s" + "9" * 5000, "s0:", "s0\n"],
}  # fmt: skip
TOKENS = {
    field(place, text): {0, 2, 4} if text == "longdouble" else {2}
    for place, texts in SPELLINGS.items()
    for text in texts
}

KINDS = {
    "in-process engines": IN_PROCESS,
    "engines in processes of their own": PROCESS,
    "output files": FILES,
    "damaged logs": LOGS,
    "tokens": TOKENS,
}
