"""What a report measures, and how much of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Settings:
    """The size of every measurement. The same settings give the same problems.

    Attributes:
        engine: the engine under test, as `gradcheck.engines.registry.find` takes it.
        seed: of the random cases and of the training.
        problems: random problems for the engine under test.
        chain_rule_problems: random problems, small ones, for the second derivation.
        accuracy_problems: random problems whose exact gradient engine and reference are held to.
        accuracy_chain_rule_problems: the same for the second derivation, small ones.
        right_engine_problems: random problems on which every right engine is held to its bound.
        sensitivity_seeds: how many networks 20-30-10-1 show the power of the comparison.
        ladder_draws: random problems for every engine of a wider class.
        mistake_draws: random problems for every wrong backprop.
        jobs: worker processes.
        curve_token: the case of the step-size curve.
        curve_coordinates: how many of its coordinates are differentiated.
        hidden: the widths h of the networks 2h-h-1 whose cost is measured, beside the million.
        longest_run: the largest N at which forward differences are run to the end.
        longest_central_run: the same for central differences, and for those in batches.
        longest_check: the same for the adaptive check.
        timing_seconds: the shortest a timed sample may last.
        ratio_networks: the networks whose gradient is weighed against their loss.
        location_size: weights of the network in which wrong coordinates are sought, at least.
        location_seeds: networks for every number of wrong ones and every error.
        location_right: networks whose right gradient is put to the same search.
        location_growth: the sizes N over which the growth of the passes is fitted.
        million_network: n_0, n_1, n_2 of the network of a million weights.
        deep_network: a deep one, all of whose central differences are computed as well, or None.
        digits_hidden: hidden units of the digits network.
        digits_rows: examples of the digits batch, None for the whole set.
        logistic_iterations: steps of gradient descent on breast cancer.
        digits_epochs: epochs of stochastic gradient descent on digits.
        prediction_steps: steps of gradient descent after which prediction is judged.
        million_epochs: epochs of digits for which a network of a million weights is trained.
        run_the_million: whether the N + 1 passes of a million weights are run to the end.
        libraries: which of the libraries of `textbook.libraries` are asked for derivatives.
    """

    engine: str = "reference"
    seed: int = 1
    problems: int = 48
    chain_rule_problems: int = 6
    accuracy_problems: int = 150
    accuracy_chain_rule_problems: int = 32
    right_engine_problems: int = 16
    sensitivity_seeds: int = 10
    ladder_draws: int = 20
    mistake_draws: int = 3
    jobs: int = 2
    curve_token: str = "gc1:20-30-10-1:cross_entropy:mean:m16:float64:w1:generic:binary:s1"  # noqa: S105 - a case
    curve_coordinates: int = 24
    hidden: tuple[int, ...] = (2, 4, 8, 16, 32, 45, 64, 90, 128, 256, 362, 512)
    longest_run: int = 40_000
    longest_central_run: int = 10_000
    longest_check: int = 3_000
    timing_seconds: float = 0.01
    ratio_networks: tuple[tuple[int, ...], ...] = (
        (30, 1),
        (20, 30, 10, 1),
        (700, 400),
        (784, 400, 10),
        (600, 400, 150),
        (500, 400, 250),
        (400, 400, 400, 1),
        (256, 512, 512, 1),
        (384, 384, 384, 384, 384, 1),
        (320,) * 11 + (1,),
    )
    location_size: int = 100_000
    location_seeds: int = 2
    location_right: int = 2
    location_growth: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
    million_network: tuple[int, ...] = (999, 999, 1)
    deep_network: tuple[int, ...] | None = None
    digits_hidden: int = 30
    digits_rows: int | None = 64
    logistic_iterations: int = 200
    digits_epochs: int = 30
    prediction_steps: int = 2048
    million_epochs: int = 2
    run_the_million: bool = False
    libraries: tuple[str, ...] = ()

    @classmethod
    def full(cls, **changes: Any) -> Settings:
        """Return the settings of a full report."""
        sizes = {
            "problems": 2000,
            "chain_rule_problems": 60,
            "accuracy_problems": 2000,
            "accuracy_chain_rule_problems": 320,
            "right_engine_problems": 740,
            "ladder_draws": 400,
            "mistake_draws": 40,
            "curve_coordinates": 951,
            "longest_run": 1_100_000,
            "longest_central_run": 140_000,
            "longest_check": 9_000,
            "location_seeds": 50,
            "location_right": 200,
            "location_growth": (100, 1_000, 10_000, 100_000, 1_000_000),
            "deep_network": (784, 600, 600, 1),
            "digits_rows": None,
            "run_the_million": True,
        }
        return cls(**{**sizes, **changes})

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON has them."""
        lists = {
            "hidden": list(self.hidden),
            "libraries": list(self.libraries),
            "location_growth": list(self.location_growth),
            "ratio_networks": [list(sizes) for sizes in self.ratio_networks],
            "million_network": list(self.million_network),
            "deep_network": list(self.deep_network) if self.deep_network else None,
        }
        return {**asdict(self), **lists}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Settings:
        """Read what `to_json` returns.

        Raises:
            ValueError: a setting is missing or unknown.
        """
        expected = cls().to_json().keys()
        if content.keys() != expected:
            wrong = ", ".join(sorted(content.keys() ^ expected))
            raise ValueError(f"settings: missing or unknown are {wrong}")
        tuples = {
            "hidden": tuple(content["hidden"]),
            "libraries": tuple(content["libraries"]),
            "location_growth": tuple(content["location_growth"]),
            "ratio_networks": tuple(tuple(sizes) for sizes in content["ratio_networks"]),
            "million_network": tuple(content["million_network"]),
            "deep_network": tuple(content["deep_network"]) if content["deep_network"] else None,
        }
        return cls(**{**content, **tuples})
