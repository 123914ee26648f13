"""Count the requests of two revisions since one time, and test their failures, latencies and outcomes."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genops_lab.statistics.streams import Difference, Latencies, LatencyRatio

from .rollout import Rollout

MOST_UNITS = 200_000
#: Values of an outcome that wait for those of the other revision.
QUEUED = 500

#: A unit: whether it was given to the candidate, and its requests as (failed, seconds).
UnitRequests = tuple[bool, list[tuple[bool, float]]]


@dataclass(frozen=True)
class EndedRequest:
    """A request that has ended: ``share`` was the chance that it was given to the candidate. Times in seconds."""

    candidate: bool
    share: float
    unit: bytes
    failed: bool
    arrived: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.arrived


class RevisionStats:
    """The requests of one revision."""

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        given = given or {}
        self.requests = int(given.get("requests", 0))
        self.failures = int(given.get("failures", 0))
        self.times = Latencies({int(at): int(n) for at, n in given.get("times", {}).items()})

    def count(self, request: EndedRequest) -> None:
        """Count a request. One that failed has no latency."""
        self.requests += 1
        self.failures += request.failed
        if not request.failed:
            self.times.add(request.seconds)

    def state(self) -> dict[str, Any]:
        """Return the state as JSON has it."""
        times = {str(at): count for at, count in self.times.counts.items()}
        return {"requests": self.requests, "failures": self.failures, "times": times}

    def shown(self) -> dict[str, Any]:
        """Return the figures; latencies in milliseconds."""
        p50, p95 = (self.times.quantile(each) for each in (0.5, 0.95))
        return {
            "requests": self.requests,
            "failures": self.failures,
            "p50_ms": None if p50 is None else 1000 * p50,
            "p95_ms": None if p95 is None else 1000 * p95,
        }


class UnitCounter:
    """Units that stay with a revision, each counted once: its first requests, or those of its first seconds."""

    def __init__(self, rollout: Rollout) -> None:
        self._most, self._most_s = rollout.unit_requests, rollout.unit_s
        self._open: OrderedDict[bytes, tuple[bool, float, list[tuple[bool, float]]]] = OrderedDict()
        self._counted: set[bytes] = set()
        #: Requests of units beyond the most that are remembered.
        self.left_out = 0

    def add(self, requests: Sequence[EndedRequest], now: float) -> list[UnitRequests]:
        """Add requests, and return the units of which all requests that count are known now."""
        whole = []
        for each in requests:
            name = each.unit
            if name in self._counted:
                continue
            unit = self._open.get(name)
            if unit is None:
                if len(self._counted) + len(self._open) >= MOST_UNITS:
                    self.left_out += 1
                    continue
                unit = self._open[name] = (each.candidate, each.arrived, [])
            if unit[0] == each.candidate:
                unit[2].append((each.failed, each.seconds))
            if len(unit[2]) >= self._most:
                whole.append(name)
        for name, (_, began, _) in self._open.items():
            if now - began <= self._most_s:
                break
            whole.append(name)
        units: list[UnitRequests] = []
        for name in whole:
            unit = self._open.pop(name, None)
            if unit is not None:
                self._counted.add(name)
                units.append((unit[0], unit[2]))
        return units


class OutcomeBlocks:
    """Values of an outcome in blocks with the shares of the revisions: who sends any is not by chance."""

    def __init__(self) -> None:
        self._values: tuple[deque[float], deque[float]] = (deque(maxlen=QUEUED), deque(maxlen=QUEUED))

    def add(self, candidate: bool, value: float) -> None:
        """Add a value from 0, the best, to 1, the worst."""
        self._values[candidate].append(value)

    def whole(self, share: float) -> tuple[list[tuple[bool, float]], float]:
        """Return the values of whole blocks, and the chance of a value in a block to be the candidate's."""
        champion, candidate = self._values
        champions = min(max(round((1 - share) / share), 1), 99)
        candidates = min(max(round(share / (1 - share)), 1), 99)
        block: list[tuple[bool, float]] = []
        while len(candidate) >= candidates and len(champion) >= champions:
            block += [(True, candidate.popleft()) for _ in range(candidates)]
            block += [(False, champion.popleft()) for _ in range(champions)]
        return block, candidates / (candidates + champions)

    def state(self) -> list[list[float]]:
        """Return the state as JSON has it."""
        return [list(each) for each in self._values]

    def restore(self, state: Sequence[Sequence[float]]) -> None:
        """Take what :meth:`state` returned. Raises TypeError or ValueError."""
        for queue, values in zip(self._values, state, strict=True):
            queue.extend(float(each) for each in values)


class Evidence:
    """The tests of one rollout since one time. ``margins`` and ``ratios`` are what is tested."""

    def __init__(
        self,
        rollout: Rollout,
        margins: Sequence[float],
        outcome_margins: Mapping[str, Sequence[float]],
        ratios: Sequence[float],
    ) -> None:
        self.stats = (RevisionStats(), RevisionStats())
        self.failures = Difference(margins)
        self.latency = LatencyRatio(rollout.quantile, ratios) if rollout.ratio else None
        self.outcomes = {rule.name: Difference(outcome_margins[rule.name]) for rule in rollout.outcomes}

    @property
    def metrics(self) -> int:
        """The number of metrics, which share the error."""
        return 1 + (self.latency is not None) + len(self.outcomes)

    @property
    def latency_ratio(self) -> float | None:
        """The candidate's quantile by that of the champion; None without times of both."""
        if self.latency is None:
            return None
        champion, candidate = (each.times.quantile(self.latency.quantile) for each in self.stats)
        return None if champion is None or candidate is None else candidate / champion

    def count(self, requests: Sequence[EndedRequest]) -> None:
        """Count requests in the figures of their revisions."""
        for each in requests:
            self.stats[each.candidate].count(each)

    def test(self, units: Sequence[UnitRequests], share: float) -> None:
        """Add units, which were given to the candidate with the chance ``share``, to the tests."""
        if not units:
            return
        rates = [(candidate, sum(f for f, _ in seen) / len(seen)) for candidate, seen in units]
        self.failures.add(rates, share)
        if self.latency is not None:
            self.latency.add([(c, [0.0 if f else s for f, s in seen]) for c, seen in units], share)

    def state(self) -> dict[str, Any]:
        """Return the state as JSON has it."""
        return {
            "stats": [each.state() for each in self.stats],
            "failures": self.failures.state(),
            "latency": None if self.latency is None else self.latency.state(),
            "outcomes": {name: each.state() for name, each in self.outcomes.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take what :meth:`state` returned. Raises KeyError, TypeError or ValueError."""
        self.stats = (RevisionStats(state["stats"][0]), RevisionStats(state["stats"][1]))
        self.failures = Difference.of(state["failures"])
        self.latency = None if state["latency"] is None else LatencyRatio.of(state["latency"])
        self.outcomes = {name: Difference.of(each) for name, each in state["outcomes"].items()}
