"""Describe a rollout: which revision is judged beside which, on how much traffic, by which margins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from .routes import STICKY

KINDS = ("canary", "blue-green", "a/b", "shadow")
#: Percent are counted in hundredths, because weights are whole numbers.
WEIGHTS = 10_000
#: Percent of the requests that the champion keeps while a promoted candidate is watched.
HELD_BACK = 5.0


@dataclass(frozen=True)
class Step:
    """A share of the requests in percent, and the least requests of the candidate and seconds in this step."""

    traffic: float
    requests: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class OutcomeRule:
    """A value that callers send back, from ``low`` to ``high``. ``better`` is "higher" or "lower"."""

    name: str
    margin: float
    low: float = 0.0
    high: float = 1.0
    better: str = "higher"

    def worse(self, value: float) -> float:
        """Return the value as a number from 0, the best, to 1, the worst."""
        at = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return 1 - at if self.better == "higher" else at

    @property
    def relative_margin(self) -> float:
        """The margin as a part of the range."""
        return self.margin / (self.high - self.low)


@dataclass(frozen=True)
class Rollout:
    """The rollout of revision ``candidate`` beside ``champion`` (both ids of upstreams).

    ``failures`` is the margin of the share of failed requests, ``ratio`` that of the latency at ``quantile`` (0: not
    judged). ``unit`` is what is given to a revision by chance: a request, a key, or the value of ``header``.
    ``lasts_s`` bounds the time. ``share`` is the percentage of requests that a shadow gets.
    """

    id: str
    name: str
    champion: int
    candidate: int
    kind: str = "canary"
    steps: tuple[Step, ...] = ()
    unit: str = "request"
    header: str = ""
    alpha: float = 0.01
    failures: float = 0.01
    quantile: float = 0.95
    ratio: float = 1.2
    outcomes: tuple[OutcomeRule, ...] = ()
    lasts_s: float = 86_400.0
    warm_up_s: float = 10.0
    #: "rollback", or a person decides.
    used_up: str = "hold"
    promotes: bool = True
    share: float = 0.0
    unit_requests: int = 20
    unit_s: float = 60.0
    #: Seconds after the last step in which the champion keeps ``HELD_BACK`` percent of the requests, to compare.
    watch_s: float = 0.0

    @staticmethod
    def decode(given: Mapping[str, Any]) -> Rollout:
        """Return the rollout of decoded JSON. Unknown fields are left out; raises ValueError for a wrong one."""
        known = {each.name for each in fields(Rollout)}
        try:
            found = {name: value for name, value in given.items() if name in known}
            found["steps"] = tuple(Step(**each) for each in given.get("steps", ()))
            found["outcomes"] = tuple(OutcomeRule(**each) for each in given.get("outcomes", ()))
            rollout = Rollout(**found)
        except (AttributeError, TypeError) as error:
            raise ValueError(f"This is not a rollout: {error}.") from error
        if rollout.kind not in KINDS or rollout.unit not in STICKY:
            raise ValueError(f"kind is one of {', '.join(KINDS)}, unit one of {', '.join(STICKY)}.")
        if any(not 0 <= each.traffic <= 100 for each in rollout.steps) or not 0 < rollout.alpha < 1:
            raise ValueError("traffic is 0 to 100 percent, and alpha between 0 and 1.")
        return rollout

    def encoded(self) -> dict[str, Any]:
        """Return the rollout as JSON has it."""
        return asdict(self)

    @property
    def judged_steps(self) -> list[Step]:
        """The steps in which both revisions get requests: those of the policy, and the watch behind them."""
        rising = self._rising
        if not (self.watch_s and rising and self.promotes):
            return rising
        return [*rising, Step(max(100 - HELD_BACK, rising[-1].traffic), 0, self.watch_s)]

    @property
    def _rising(self) -> list[Step]:
        return [each for each in self.steps if 0 < each.traffic < 100]

    @property
    def shown_steps(self) -> list[float]:
        """The percentages of the steps as people see them: the watch is the step before all requests."""
        shown = [each.traffic for each in self.steps]
        return shown if len(shown) >= len(self.judged_steps) else [*shown, self.judged_steps[-1].traffic]

    def watches(self, step: int) -> bool:
        """Whether a step is the watch of a candidate that has passed all steps of the policy."""
        return step >= len(self._rising)

    def next_traffic(self, step: int) -> float:
        """Return the percentage after a step of the policy."""
        judged = self._rising
        return judged[step + 1].traffic if step + 1 < len(judged) else 100.0

    def failure_margin(self, step: int) -> float:
        """Return how many more of the candidate's requests may fail for the next step.

        The margin is then the most of all requests that fail because of it.
        """
        return self.failures * 100 / self.next_traffic(step)

    def outcome_margin(self, rule: OutcomeRule, step: int) -> float:
        """Return by which part of its range an outcome of the candidate may be worse for the next step."""
        return rule.relative_margin * 100 / self.next_traffic(step)
