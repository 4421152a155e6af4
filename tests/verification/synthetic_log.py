"""Logs as `verify` writes them, made by hand."""

from functools import cache
from itertools import count

from gradcheck.problems.case import sample_cases
from gradcheck.verification.summary import summarise

TOKEN = "gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:binary:s0"
SATURATED = "gc1:2-3-1:cross_entropy:sum:m4:float64:w30:saturated:binary:s7"
SMALLEST = "gc1:1-1:cross_entropy:mean:m1:float64:w1:saturated:ones:s0"
HOSTILE = (
    "</failure><script>alert(1)</script> ]]> a|b `c` **d** "
    "\x00\x1b[31m \ud800 \u202e &amp; {{ 7*7 }}"
)


def header(**changes):
    engine = {
        "spec": "reference",
        "name": "reference",
        "version": "0.1.0",
        "language": "Python",
        "dtypes": ["float32", "float64"],
        "losses": ["cross_entropy", "quadratic"],
        "reductions": ["mean", "sum"],
        "deterministic": True,
        "issues_url": "",
        "arithmetic": "",
        "limits": {},
    }
    engine |= {name: value for name, value in changes.items() if name in engine}
    settings = {
        "examples": changes.get("examples", 2),
        "seed": 0,
        "dtypes": ["float64", "float32"],
        "shard": [1, 1],
        "properties": changes.get("properties", ["agreement", "consistency", "exact"]),
    }
    return {
        "kind": "header",
        "format": "gradcheck-log-2",
        "gradcheck": "0.1.0",
        "engine": engine,
        "settings": settings,
        "command": changes.get("command", f"python -m gradcheck verify {engine['spec']}"),
        "versions": {"python": "3.11.7", "numpy": "2.4.6"},
    }


def finding(name="agreement", verdict="PASS", **changes):
    return {
        "property": name,
        "verdict": verdict,
        "reason": "",
        "detail": "",
        "counts": {"failed": 0, "informative": 21},
        "wrong": 0,
        "worst": None,
        "explanation": "",
        "diagnosis": "",
        "notes": [],
        "resolution": 1e-13 if verdict == "PASS" else 1e-6,
        "forward_passes": 0,
        "backward_passes": 3,
        **changes,
    }


def coordinate(name="W2[0,1]", **changes):
    numbers = {"engine": 0.1, "oracle": 0.2, "bound": 1e-17, "allowance": 1e-16, "times": 1e15}
    return {"name": name, **numbers, **changes}


def case(n, token, *findings, seconds=0.004):
    return {"kind": "case", "n": n, "token": token, "findings": findings, "seconds": seconds}


def footer(exit_code=0, verdict="", *, complete=True):
    return {
        "kind": "footer",
        "complete": complete,
        "exit_code": exit_code,
        "verdict": verdict,
        "totals": {},
        "seconds": 12.3,
    }


EXACT = ("exact duplicated batch", "exact lattice", "exact powers of two", "exact zero column")


def right():
    """A right engine: two problems, one of them beyond what differences can decide."""
    noisy = finding(
        "consistency",
        "INCONCLUSIVE",
        reason="vacuous",
        detail="3 of 13 coordinates could not be decided, W1[0,0] first",
        counts={"informative": 10, "vacuous": 3},
        forward_passes=90,
    )
    near = coordinate(engine=0.5, oracle=0.5, times=0.25, allowance=4e-16)
    agrees = finding("agreement", worst=near, resolution=3e-15)
    differences = finding("consistency", resolution=2e-10, forward_passes=120)
    exact = [finding(name, resolution=0.0) for name in EXACT]
    return [
        header(),
        case(0, TOKEN, agrees, differences, *exact),
        case(1, SATURATED, finding("agreement", counts={"informative": 13}), noisy),
        footer(0, "both properties hold wherever they could be decided"),
    ]


CLIPPED = {
    "reason": "mismatch",
    "detail": "1 of 2 coordinates are wrong; the worst is b1[0]",
    "counts": {"failed": 1, "informative": 1},
    "wrong": 1,
    "explanation": "the gradient of the loss on probabilities clipped to [1e-7, 1 - 1e-7]",
    "diagnosis": "every wrong coordinate is exactly 0",
}


def saturated():
    """Probabilities whose gradient is 0 where the last sigmoid saturates."""
    worst = finding(
        verdict="FAIL",
        **CLIPPED | {"worst": coordinate("W2[0,1]", engine=0.0, oracle=-0.731, times="Infinity")},
    )
    zero = {"engine": -0.0, "oracle": -1.0, "bound": 1e-17, "allowance": 3e-16, "times": 3.3e15}
    smallest = finding(verdict="FAIL", **CLIPPED | {"worst": coordinate("b1[0]", **zero)})
    refused = {"detail": "float16 is not supported", "counts": {}}
    return [
        header(spec="torch-probabilities", name="torch-probabilities", version="2.13.0"),
        case(0, TOKEN, finding("agreement"), finding("consistency", forward_passes=120)),
        case(1, SATURATED, worst, finding("consistency", forward_passes=120)),
        case(2, TOKEN.replace("s0", "s3"), finding("agreement", "UNSUPPORTED", **refused),
             finding("consistency", "UNSUPPORTED", **refused)),
        {
            "kind": "failure",
            "property": "agreement",
            "reason": "mismatch",
            "signature": "agreement/mismatch/clipped loss",
            "count": 1,
            "worst": {"token": SATURATED, "finding": worst},
            "smallest": {"token": SMALLEST, "finding": smallest},
            "shrink_checks": 40,
            "replay": f"python -m gradcheck replay {SMALLEST} torch-probabilities",
        },
        footer(1, "1 of 3 problems fails"),
    ]  # fmt: skip


def died():
    """An engine that died half way, and took the run with it: no footer."""
    return [
        header(spec="cmd:./engine", name="fast-engine", version="7", language="C", examples=200),
        case(0, TOKEN, finding("agreement"), finding("consistency", forward_passes=120)),
        {"kind": "engine", "event": "died", "detail": "signal 11 on problem 1\nits last words"},
    ]


def unusable():
    return [
        *died(),
        {"kind": "engine", "event": "unusable", "detail": "it died 4 times"},
        footer(3, "it died 4 times", complete=False),
    ]


def nothing():
    refused = finding("agreement", "UNSUPPORTED", reason="only float16", counts={})
    return [header(), case(0, TOKEN, refused), footer(4, "no problem was verified")]


def hostile():
    """Every text that an engine can choose is hostile."""
    wrong = finding(
        verdict="FAIL",
        reason="mismatch",
        detail=HOSTILE,
        explanation=HOSTILE,
        diagnosis=HOSTILE,
        notes=[HOSTILE],
        worst=coordinate(HOSTILE, engine="NaN", times="NaN"),
    )
    refused = finding("consistency", "UNSUPPORTED", reason=HOSTILE, detail=HOSTILE)
    unsure = finding("consistency", "INCONCLUSIVE", reason=HOSTILE, detail=HOSTILE)
    texts = dict.fromkeys(("spec", "name", "version", "language", "issues_url"), HOSTILE)
    return [
        header(**texts),
        case(0, TOKEN, wrong, refused),
        case(1, SATURATED, wrong, unsure),
        {
            "kind": "failure",
            "property": "agreement",
            "reason": "mismatch",
            "signature": HOSTILE,
            "count": 2,
            "worst": {"token": TOKEN, "finding": wrong},
            "smallest": None,
            "shrink_checks": 0,
            "replay": HOSTILE,
        },
        {"kind": "engine", "event": HOSTILE, "detail": HOSTILE},
        footer(1, HOSTILE),
    ]


def declared(state="known", exit_code=0):
    """A failure that was declared, in hostile words, and an entry about another engine."""
    wrong = finding(verdict="FAIL", **CLIPPED | {"worst": coordinate("b1[0]", times=3e15)})
    entry = {
        "name": "clipped",
        "engine": "reference",
        "property": "agreement",
        "outcome": "FAIL mismatch",
        "reason": HOSTILE,
        "issue": "https://example.org/?q=<b>&x",
        "expires": "2027-01-31",
        "case": SMALLEST,
        "match": {},
    }
    became = {
        "kind": "known",
        "name": "clipped",
        "state": state,
        "told": HOSTILE,
        "count": 1,
        "pinned": wrong,
        "worst": {"token": SATURATED, "finding": wrong | {"known": "clipped"}},
        "replay": f"python -m gradcheck replay {SMALLEST} reference",
    }
    rest = {"state": "elsewhere", "count": 0, "pinned": None, "worst": None, "replay": ""}
    return [
        header() | {"known": [entry, entry | {"name": HOSTILE}]},
        case(0, TOKEN, finding("agreement")),
        case(1, SATURATED, wrong | {"known": "clipped"}),
        became,
        became | rest | {"name": HOSTILE},
        footer(exit_code, "no wrong gradient, but for 1 that fails as declared"),
    ]


def many(problems=2000, ways=70):
    """Thousands of problems with many ways to fail."""
    numbers = count()
    records = [header(examples=problems)]
    failures = {}
    for drawn in sample_cases(problems, 0):
        n = next(numbers)
        times = 10.0 ** ((n * 7919 % 97) / 20 - 4.5) if n % 40 else 10.0 ** (n % 13 + 1)
        verdict = "FAIL" if times > 1 else "PASS"
        at = coordinate(f"W1[0,{n % 5}]", times=times)
        reason = f"way {n % ways}" if verdict == "FAIL" else ""
        agrees = finding("agreement", verdict, reason=reason, worst=at, detail="some are wrong")
        own = finding("consistency", worst=coordinate(times=times**0.5 / 1e4), forward_passes=99)
        records.append(case(n, drawn.token, agrees, own))
        if reason:
            failures[reason] = {
                "kind": "failure",
                "property": "agreement",
                "reason": reason,
                "signature": f"agreement/{reason}",
                "count": 2,
                "worst": {"token": drawn.token, "finding": agrees},
                "smallest": {"token": SMALLEST, "finding": agrees},
                "shrink_checks": 40,
                "replay": f"python -m gradcheck replay {SMALLEST} reference",
            }
    return [*records, *failures.values(), footer(1, "many problems fail")]


EVERY = {
    "right": right,
    "saturated": saturated,
    "died": died,
    "unusable": unusable,
    "nothing": nothing,
    "hostile": hostile,
    "declared": declared,
    "empty": list,
    "header only": lambda: [header()],
    "many": many,
}


@cache
def summary(name):
    """The summary of one of these logs; making that of many problems takes its time."""
    return summarise(EVERY[name]())
