"""Checks that are made up: they tick, take their time by a clock of their own, and answer."""

from gradcheck.studies.bench.contender import ANY, FAIL, NONE, PASS, Answer, Contender

FORWARD = 0.000717


class Watch:
    """A clock that goes on only when somebody works."""

    def __init__(self):
        self.now = 0.0
        self.pace = 1

    def __call__(self):
        return self.now

    def work(self, seconds):
        self.now += self.pace * seconds


def made_up(watch, name="made up", **changes):
    """A check of 2 N passes of a millisecond each that sees relative errors from 2^-10.

    A forward pass takes FORWARD seconds.
    """
    plan = {
        "passes": lambda N: 2 * N,
        "seconds": lambda N: 0.002 * N,
        "sees": 2.0**-10,
        "verdict": PASS,
        "names": True,
        "own_count": None,
        "every_coordinate": True,
        "raises": None,
        "slow_to_fail": False,
        "when_wrong": 1,
        "ours": False,
        "block": ANY,
        "bound": NONE,
        **changes,
    }

    def prepare(subject, tick, planted):
        def run():
            if plan["raises"]:
                raise plan["raises"]
            tick(plan["passes"](subject.N))
            slower = plan["when_wrong"] if planted is not None else 1
            watch.work(slower * plan["seconds"](subject.N))
            if planted is not None and abs(planted.relative) >= plan["sees"]:
                named = plan["names"] and planted.coordinate
                return Answer(FAIL, None if named is False else named, plan["own_count"])
            return Answer(plan["verdict"], None, plan["own_count"])

        return run

    def forward(subject):
        return lambda n: watch.work(FORWARD * n)

    flags = plan["every_coordinate"], plan["slow_to_fail"]
    described = plan["ours"], plan["block"], plan["bound"], "numpy", "none", "0"
    return Contender(name, *described, *flags, prepare, forward)
