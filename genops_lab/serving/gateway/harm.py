"""Watch for harm that begins at any time of a rollout.

A test that has seen an hour of good requests needs long to see that the candidate has become bad. So a new test begins
all the time. The first has half of the error, and the k-th after it ``1 / (2 k (k + 1))`` of it.
Together they err at most as often as the rollout states, however often one looks (a union bound over tests that are
valid at any time).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .evidence import MOST_UNITS, EndedRequest, Evidence, OutcomeBlocks, UnitCounter, UnitRequests
from .rollout import Rollout

#: A new test begins after so long, in seconds of the rollout.
WINDOW_S = 60.0
#: With units that stay. Each counts with the requests of its first minute.
UNITS_WINDOW_S = 300.0
#: Tests that go on at the same time; two of them have ages in each doubling of the age.
_MOST_WINDOWS = 12
#: The candidate goes on to no step while the requests of one test are so unlikely for one that is no worse.
SUSPICION = 0.05


@dataclass(frozen=True)
class Harm:
    """How much worse the candidate is in a metric, as a sentence."""

    metric: str
    summary: str


class Window:
    """The evidence since ``began_s`` seconds of the rollout."""

    def __init__(self, rollout: Rollout, number: int, began_s: float) -> None:
        self.number, self.began_s = number, began_s
        no_difference = (0.0,)
        names = [each.name for each in rollout.outcomes]
        self.evidence = Evidence(rollout, no_difference, dict.fromkeys(names, no_difference), (1.0,))
        self.units = UnitCounter(rollout)
        self.outcomes = {name: OutcomeBlocks() for name in names}
        self.outcomes_sent: set[tuple[bytes, str]] = set()

    @property
    def part_of_error(self) -> float:
        """The part of the error that the test of this window may spend."""
        return 0.5 if self.number == 0 else 0.5 / (self.number * (self.number + 1))


class HarmWatch:
    """The windows of a rollout. With units that stay one goes on at a time: units must not be counted twice in one."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        self._stays = rollout.unit != "request"
        self.windows = [Window(rollout, int(self._stays), 0.0)]

    @property
    def newest(self) -> Window:
        """The window that began last."""
        return self.windows[-1]

    def add(
        self, requests: Sequence[EndedRequest], units: Sequence[UnitRequests], share: float, now: float
    ) -> None:
        """Add the requests of a look. ``units`` are these requests where each is a unit."""
        for window in self.windows:
            window.evidence.count(requests)
            window.evidence.test(window.units.add(requests, now) if self._stays else units, share)

    def add_outcomes(self, name: str, block: Sequence[tuple[bool, float]], share: float) -> None:
        """Add values of an outcome to the test of each window."""
        for window in self.windows:
            window.evidence.outcomes[name].add(block, share)

    def take_outcome(self, unit: bytes, name: str, candidate: bool, value: float) -> bool:
        """Take the first value of a unit that stays; return False if the window has one of it."""
        newest = self.newest
        if (unit, name) in newest.outcomes_sent or len(newest.outcomes_sent) >= MOST_UNITS:
            return False
        newest.outcomes_sent.add((unit, name))
        newest.outcomes[name].add(candidate, value)
        return True

    def add_unit_outcomes(self, share: float) -> None:
        """Add to the test of the window what its units sent."""
        for name, values in self.newest.outcomes.items():
            self.newest.evidence.outcomes[name].add(*values.whole(share))

    def begin(self, elapsed_s: float, *, anew: bool = False) -> None:
        """Begin a window if it is time, or ``anew`` where it is not known which units were counted."""
        newest = self.newest
        old = elapsed_s - newest.began_s >= (UNITS_WINDOW_S if self._stays else WINDOW_S)
        if not anew and not (old and newest.evidence.failures.counts[1]):
            return
        following = Window(self._rollout, newest.number + 1, elapsed_s)
        self.windows = [following] if self._stays else [*_thinned(self.windows, elapsed_s), following]

    def harms(self, alpha: float, elapsed_s: float) -> Iterator[Harm]:
        """Yield the metrics in which a window shows that the candidate is worse, and by more than the margin.

        The newest window is the first: its figures are those of what happens now.
        """
        for window in reversed(self.windows):
            age_s = elapsed_s - window.began_s
            age = f"{age_s:.0f} s" if age_s < 120 else f"{age_s / 60:.0f} min"
            since = f", in the last {age}" if window.began_s else ""
            yield from _harms(self._rollout, window.evidence, alpha * window.part_of_error, since=since)

    @property
    def suspects(self) -> bool:
        """Whether the requests of a window make harm likely at this time, though they do not show it yet."""
        return any(
            True
            for window in self.windows
            for _ in _harms(
                self._rollout, window.evidence, SUSPICION * window.evidence.metrics, at_any_time=False
            )
        )

    def state(self) -> dict[str, Any]:
        """Return the state as JSON has it."""
        windows = [
            {"number": each.number, "began_s": each.began_s, "evidence": each.evidence.state()}
            for each in self.windows
        ]
        return {"windows": windows}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take what :meth:`state` returned. Raises KeyError, TypeError, ValueError or IndexError."""
        windows = []
        for each in state["windows"]:
            window = Window(self._rollout, int(each["number"]), float(each["began_s"]))
            window.evidence.restore(each["evidence"])
            windows.append(window)
        if not windows:
            raise ValueError("There is always a window.")
        self.windows = windows


def step_harms(rollout: Rollout, evidence: Evidence, alpha: float) -> Iterator[Harm]:
    """Yield the metrics in which the evidence of a step shows harm."""
    return _harms(rollout, evidence, alpha)


def _harms(
    rollout: Rollout, evidence: Evidence, alpha: float, *, at_any_time: bool = True, since: str = ""
) -> Iterator[Harm]:
    share = alpha / evidence.metrics
    tests = [("failures", evidence.failures, rollout.failures)]
    tests += [(each.name, evidence.outcomes[each.name], each.relative_margin) for each in rollout.outcomes]
    for name, test, margin in tests:
        estimate = test.estimate
        p = test.p_above(0.0) if at_any_time else test.p_above_now(0.0)
        if p <= share and estimate is not None and estimate > margin:
            rates = [total / count for total, count in zip(test.sums, test.counts, strict=True)]
            what = "Failures" if name == "failures" else f"Outcome {name} (0 best, 1 worst)"
            yield Harm(
                name,
                f"{what}: {rates[1]:.2%} with the candidate, {rates[0]:.2%} with the revision before, "
                f"in {test.counts[1]:,} and {test.counts[0]:,} {rollout.unit}s{since}.",
            )
    if evidence.latency is None:
        return
    p = evidence.latency.p_above(1.0) if at_any_time else evidence.latency.p_above_now(1.0)
    ratio = evidence.latency_ratio if p <= share else None
    if ratio is not None and ratio > rollout.ratio:
        quantile = evidence.latency.quantile
        champion, candidate = (each.times.quantile(quantile) or 0.0 for each in evidence.stats)
        yield Harm(
            "latency",
            f"Latency p{100 * quantile:g}: {1000 * candidate:.3g} ms with the candidate, "
            f"{1000 * champion:.3g} ms with the revision before{since}.",
        )


def _thinned(windows: list[Window], elapsed_s: float) -> list[Window]:
    """Return the windows to keep: the first, and of the others two whose ages are within a doubling."""
    kept: list[Window] = []
    for at, window in enumerate(windows):
        crowded = (
            0 < at < len(windows) - 1
            and elapsed_s - kept[-1].began_s < 2 * (elapsed_s - windows[at + 1].began_s)
            and len(kept) > 1
        )
        if not crowded:
            kept.append(window)
    return kept if len(kept) < _MOST_WINDOWS else [kept[0], *kept[2 - _MOST_WINDOWS :]]
