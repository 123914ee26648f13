"""Judge a rollout: collect what happens to the requests of two revisions, and decide after each look."""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from typing import Any

from genops_lab.statistics.streams import Difference, Latencies, LatencyRatio

from .rollout import Rollout
from .served import SERVED, SERVED_S, Entry, ServedLog

#: Differences of failure rates and of outcomes that are tested beside the margins: the ends of their intervals.
DIFFERENCES = (
    0.0,
    0.001,
    0.002,
    0.003,
    0.005,
    0.0075,
    0.01,
    0.015,
    0.02,
    0.03,
    0.05,
    0.075,
    0.1,
    0.2,
    0.3,
    0.5,
)
RATIOS = (0.5, 0.67, 0.8, 0.9, 1.0, 1.05, 1.1, 1.2, 1.3, 1.5, 2.0, 3.0, 5.0)
#: A look that is so late means that the process was stopped: requests in flight then tell nothing about revisions.
GAP_S = 3.0
MOST_UNITS = 200_000
QUEUED = 5_000
HISTORY = 200

ENDED = ("promoted", "rolled back")


class Arm:
    """The requests of one revision in this step."""

    def __init__(self, given: dict[str, Any] | None = None) -> None:
        given = given or {}
        self.requests = int(given.get("requests", 0))
        self.failures = int(given.get("failures", 0))
        self.times = Latencies({int(at): int(n) for at, n in given.get("times", {}).items()})

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


class Unit:
    """The first requests of a unit in a step, as (failed, seconds)."""

    def __init__(self, candidate: bool, began: float) -> None:
        self.candidate, self.began = candidate, began
        self.requests: list[tuple[bool, float]] = []


class Judge:
    """The evidence of a rollout and its state. Times are those of the event loop: no change of the clock moves them."""

    def __init__(self, rollout: Rollout, now: float, saved: dict[str, Any] | None = None) -> None:
        self.rollout = rollout
        self.state, self.step, self.why, self.by = "running", 0, "", ""
        self.elapsed_s = self.step_s = 0.0
        self.until_s = rollout.lasts_s
        self.ended_at = 0.0
        self.episode = 1
        self.history: list[dict[str, Any]] = []
        self.shadow = {"requests": 0, "equal": 0, "different": 0, "failed": 0, "seconds": 0.0}
        #: Copies on their way.
        self.shadows = 0
        self._stride_s, self._noted_s = 1.0, -math.inf
        self._arms = (Arm(), Arm())
        self._last = now
        #: Requests that arrived before are not counted.
        self._counts_from = now + rollout.warm_up_s
        self._begin_tests()
        self._waiting: list[tuple[bool, float, bytes, bool, float, float]] = []
        self._units: OrderedDict[bytes, Unit] = OrderedDict()
        self._frozen: set[bytes] = set()
        self.served: OrderedDict[bytes, tuple[bool, float, int, bytes]] = OrderedDict()
        self._sent_back: set[tuple[bytes, str]] = set()
        #: Keeps what feedback needs over a restart; None where nothing is kept, such as in simulations.
        self.log: ServedLog | None = None
        if saved is not None and saved.get("id") == rollout.id:
            self._restore(saved)

    # What happens ---------------------------------------------------------------------------------------------------

    @property
    def traffic(self) -> float:
        """The candidate's percentage of the requests."""
        if self.state == "promoted":
            return 100.0
        judged = self.rollout.judged_steps
        return 0.0 if self.state == "rolled back" or not judged else judged[self.step].traffic

    @property
    def compares(self) -> bool:
        """Whether requests are counted: both revisions get some, and nobody has decided."""
        return self.state not in ENDED and 0 < self.traffic < 100

    def ended(
        self, candidate: bool, share: float, unit: bytes, *, failed: bool, arrived: float, now: float
    ) -> None:
        """Count a request that has ended. ``share`` is the chance that it was given to the candidate."""
        if self.compares:
            self._waiting.append((candidate, share, unit, failed, arrived, now))

    def remember(self, id: bytes, candidate: bool, unit: bytes, now: float) -> None:
        """Remember for a time which revision a request was given to."""
        if self.rollout.outcomes and self.compares:
            self.served[id] = (candidate, now, self.episode, unit)
            if self.log is not None:
                self.log.request(id, candidate, self.episode)
            if len(self.served) > SERVED:
                self._forget()

    def recall(self, entries: list[Entry], taken: set[tuple[bytes, str]], now: float) -> None:
        """Take what a gateway before knew. Units that stay have new evidence, so theirs tell only why."""
        for id, candidate, episode, age in entries:
            self.served[id] = (candidate, now - age, episode, b"")
        self._sent_back |= taken

    def feedback(self, id: bytes, name: str, value: float, now: float) -> str:
        """Take a value that a caller sends back for a request. Return why it is not counted, or an empty string."""
        rule = next((each for each in self.rollout.outcomes if each.name == name), None)
        if rule is None:
            known = ", ".join(each.name for each in self.rollout.outcomes) or "none"
            return f"This rollout has no outcome {name!r}; its outcomes: {known}."
        while self.served and now - next(iter(self.served.values()))[1] > SERVED_S:
            self._forget()
        found = self.served.get(id)
        if found is None:
            return f"The request is unknown, or more than {SERVED_S / 60:.0f} min old."
        candidate, _, episode, unit = found
        once = (unit if self.rollout.unit != "request" else id, name)
        if once in self._sent_back:
            return "This outcome was sent before."
        if not self.compares or (self.rollout.unit != "request" and episode != self.episode):
            return "The step in which the request was answered has ended."
        self._sent_back.add(once)
        if self.log is not None and self.rollout.unit == "request":
            self.log.outcome(id, name)
        self._values[name][candidate].append(rule.worse(value))
        return ""

    def _forget(self) -> None:
        id, _ = self.served.popitem(last=False)
        for rule in self.rollout.outcomes:
            self._sent_back.discard((id, rule.name))

    # Looks ----------------------------------------------------------------------------------------------------------

    def look(self, now: float) -> bool:
        """Add what happened to the evidence and decide. Return whether the share of the candidate has changed."""
        passed, self._last = now - self._last, now
        waiting, self._waiting = self._waiting, []
        if passed > GAP_S:
            passed, self._counts_from = 0.0, max(now, self._counts_from)
        if self.state in ENDED:
            return False
        self.elapsed_s += passed
        self.step_s += passed
        share_now = self.traffic / 100
        counted = []
        for each in waiting:
            # One that arrived in the step before, in the warm-up, or before a gap, tells about that.
            if each[4] >= self._counts_from and each[1] == share_now:
                counted.append(each)
                arm = self._arms[each[0]]
                arm.requests += 1
                arm.failures += each[3]
                if not each[3]:
                    arm.times.add(each[5] - each[4])
        if self.compares:
            self._add(counted, share_now, now)
            self._add_outcomes()
        before = (self.traffic, self.state)
        if self.elapsed_s - self._noted_s >= self._stride_s:
            self._note()
        self._decide()
        if (self.traffic, self.state) != before:
            self._note()
        return self.traffic != before[0]

    def _add(
        self, counted: list[tuple[bool, float, bytes, bool, float, float]], share: float, now: float
    ) -> None:
        if self.rollout.unit == "request":
            units = [(each[0], [(each[3], each[5] - each[4])]) for each in counted]
        else:
            units = self._whole_units(counted, now)
        if not units:
            return
        self._failures.add(
            [(candidate, sum(f for f, _ in seen) / len(seen)) for candidate, seen in units], share
        )
        if self._latency is not None:
            self._latency.add([(c, [0.0 if f else s for f, s in seen]) for c, seen in units], share)

    def _whole_units(
        self, counted: list[tuple[bool, float, bytes, bool, float, float]], now: float
    ) -> list[tuple[bool, list[tuple[bool, float]]]]:
        """Return the units that have all requests that count; each counts once in a step."""
        whole = []
        for candidate, _, name, failed, arrived, at in counted:
            if name in self._frozen or len(self._frozen) + len(self._units) > MOST_UNITS:
                continue
            unit = self._units.setdefault(name, Unit(candidate, arrived))
            if unit.candidate == candidate:
                unit.requests.append((failed, at - arrived))
            if len(unit.requests) >= self.rollout.unit_requests:
                whole.append(name)
        for name, unit in self._units.items():
            if now - unit.began <= self.rollout.unit_s:
                break
            whole.append(name)
        found = []
        for name in whole:
            unit_ = self._units.pop(name, None)
            if unit_ is not None and unit_.requests:
                self._frozen.add(name)
                found.append((unit_.candidate, unit_.requests))
        return found

    def _add_outcomes(self) -> None:
        """Add values in blocks of one of the candidate and k of the champion: who sends any is not by chance."""
        share = self.traffic / 100
        k = min(max(round((1 - share) / share), 1), 99)
        for name, (champion, candidate) in self._values.items():
            block: list[tuple[bool, float]] = []
            while candidate and len(champion) >= k:
                block.append((True, candidate.popleft()))
                block += [(False, champion.popleft()) for _ in range(k)]
            self._outcomes[name].add(block, 1 / (k + 1))

    # Decisions ------------------------------------------------------------------------------------------------------

    @property
    def alpha(self) -> float:
        """The error that this look may spend. Units that stay spend a part of it in each step: 1/2, 1/6, 1/12, ..."""
        if self.rollout.unit == "request":
            return self.rollout.alpha
        return self.rollout.alpha / (self.episode * (self.episode + 1))

    def _decide(self) -> None:
        if not self.compares:
            return
        harm = self._harm()
        if harm:
            self._end("rolled back", harm, "the judge")
            return
        if self.state != "running":
            return
        step = self.rollout.judged_steps[self.step]
        candidate = self._arms[1]
        enough = candidate.requests >= step.requests and self.step_s >= step.seconds + self.rollout.warm_up_s
        if enough and candidate.requests and all(each["passed"] for each in self.metrics()):
            if self.step + 1 < len(self.rollout.judged_steps):
                self._go_to(self.step + 1)
            elif self.rollout.promotes:
                self._end(
                    "promoted", "Every margin is excluded: the candidate is not worse by more.", "the judge"
                )
            else:
                self._hold("Every margin is excluded. A person decides: promote or roll back.")
        elif self.elapsed_s >= self.until_s:
            why = f"The time is used up ({self.until_s / 3600:.3g} h). {self.excluded()}"
            if self.rollout.used_up == "rollback":
                self._end("rolled back", why, "the policy")
            else:
                self._hold(why)

    def _harm(self) -> str:
        """Return the harm that is shown; empty without any. A margin that is excluded already is no harm."""
        for each in self.metrics():
            if each["harm"] and not each["below"]:
                return str(each["says"])
        return ""

    def metrics(self) -> list[dict[str, Any]]:
        """Return what is known of each metric: estimate, interval, margin, whether harm is shown or it has passed."""
        share = self.alpha / (1 + (self._latency is not None) + len(self._outcomes))
        last = self.step + 1 >= len(self.rollout.judged_steps)
        found = [
            self._difference(
                "failures",
                self._failures,
                self.rollout.failures,
                self.rollout.failure_margin(self.step),
                share,
            )
        ]
        if self._latency is not None:
            found.append(self._ratio(self._latency, share, last))
        for rule in self.rollout.outcomes:
            margin = self.rollout.outcome_margin(rule, self.step)
            test = self._outcomes[rule.name]
            found.append(self._difference(rule.name, test, rule.relative_margin, margin, share))
        return found

    def _difference(
        self, name: str, test: Difference, margin: float, needed: float, share: float
    ) -> dict[str, Any]:
        estimate = test.estimate
        low, high = test.interval(share)[0], test.interval(self.alpha)[1]
        below = test.p_below(margin) <= self.alpha
        harm = low >= 0 and estimate is not None and estimate > margin
        rates = [total / count if count else 0.0 for total, count in zip(test.sums, test.counts, strict=True)]
        what = "Failures" if name == "failures" else f"Outcome {name} (0 best, 1 worst)"
        says = (
            f"{what}: {rates[1]:.2%} with the candidate, {rates[0]:.2%} with the revision before, "
            f"in {test.counts[1]:,} and {test.counts[0]:,} {self.rollout.unit}s."
        )
        return {
            "name": name,
            "kind": "difference",
            "estimate": estimate,
            "low": _finite(low),
            "high": _finite(high),
            "margin": margin,
            "needed": min(needed, 1.0),
            "below": below,
            "harm": harm,
            "passed": needed >= 1 or test.p_below(needed) <= self.alpha,
            "says": says,
        }

    def _ratio(self, test: LatencyRatio, share: float, last: bool) -> dict[str, Any]:
        quantiles = [arm.times.quantile(test.quantile) for arm in self._arms]
        champion, candidate = quantiles
        estimate = None if champion is None or candidate is None else candidate / champion
        low, high = test.interval(share)[0], test.interval(self.alpha)[1]
        below = high <= self.rollout.ratio
        named = f"p{100 * test.quantile:g}"
        says = f"Latency {named}: no times yet."
        if candidate is not None and champion is not None:
            says = (
                f"Latency {named}: {1000 * candidate:.3g} ms with the candidate, "
                f"{1000 * champion:.3g} ms with the revision before."
            )
        return {
            "name": "latency",
            "kind": "ratio",
            "estimate": estimate,
            "low": low or None,
            "high": _finite(high),
            "margin": self.rollout.ratio,
            "needed": self.rollout.ratio,
            "below": below,
            "harm": low >= 1 and estimate is not None and estimate > self.rollout.ratio,
            "passed": below or not last,
            "says": says,
        }

    def excluded(self) -> str:
        """Say in a sentence which effects are excluded so far."""
        parts = []
        for each in self.metrics():
            high = each["high"]
            if high is None:
                parts.append(f"nothing about {each['name']}")
            elif each["kind"] == "ratio":
                parts.append(f"a latency above {high:g} times that of before")
            elif each["name"] == "failures":
                parts.append(f"more than {100 * high:g} points more failures")
            else:
                parts.append(f"{each['name']} worse by {100 * high:g} % of its range")
        return f"Excluded so far: {', '.join(parts)}."

    def next_line(self) -> str:
        """Say what comes next."""
        if self.state == "rolled back":
            return "The revision before gets all requests."
        if self.state == "promoted":
            return "The candidate gets all requests."
        if not self.rollout.judged_steps:
            return "A person decides: promote or roll back."
        if self.state == "held":
            return "A person decides: promote, roll back or go on. Harm still rolls it back."
        step, candidate = self.rollout.judged_steps[self.step], self._arms[1]
        open_ = [each["name"] for each in self.metrics() if not each["passed"]]
        waits = [f"{', '.join(open_)} within the margin"] if open_ else []
        if candidate.requests < max(step.requests, 1):
            waits.append(f"{max(step.requests, 1) - candidate.requests:,} more requests of the candidate")
        left = step.seconds + self.rollout.warm_up_s - self.step_s
        if left > 0:
            waits.append(f"{left:.0f} s more")
        last = self.step + 1 >= len(self.rollout.judged_steps)
        traffic = f"{self.rollout.next_traffic(self.step):g} % of the requests"
        coming = traffic if self.rollout.promotes or not last else "a person decides"
        return f"{coming}. Waits for: {'; '.join(waits) or 'the next look'}."

    def decide(self, decision: str, by: str) -> str:
        """Take the decision of a person. Return why it is refused, or an empty string."""
        if self.state in ENDED:
            same = (self.state, decision) in (("promoted", "promote"), ("rolled back", "rollback"))
            return "" if same else f"The rollout is {self.state} already, by {self.by}."
        if decision == "promote":
            self._end("promoted", f"{by} promoted it. {self._compared()}".strip(), by)
        elif decision == "rollback":
            self._end("rolled back", f"{by} rolled it back. {self._compared()}".strip(), by)
        elif decision == "hold":
            self._hold(f"{by} holds it.")
        elif decision == "continue":
            if self.state != "held":
                return "The rollout is not held."
            self.state, self.why = "running", ""
            if self.elapsed_s >= self.until_s:
                self.until_s = self.elapsed_s + self.rollout.lasts_s
        else:
            return f"There is no decision {decision!r}: promote, rollback, hold or continue."
        self._note()
        return ""

    def reloaded(self, why: str) -> None:
        """Roll back because the process of the candidate had to load its model again: it hung, or leaked memory."""
        if self.state not in ENDED:
            self._end("rolled back", f"The model of the candidate was loaded again: {why}", "the judge")
            self._note()

    def _compared(self) -> str:
        return self.excluded() if self.rollout.judged_steps else ""

    def _end(self, state: str, why: str, by: str) -> None:
        self.state, self.why, self.by, self.ended_at = state, why, by, time.time()

    def _hold(self, why: str) -> None:
        self.state, self.why = "held", why

    def _go_to(self, step: int) -> None:
        self.step, self.step_s = step, 0.0
        self._counts_from = self._last + self.rollout.warm_up_s
        self._arms = (Arm(), Arm())
        self._next_episode()

    def _next_episode(self) -> None:
        """Units that stay are counted again in the next step, so its evidence stands for itself."""
        self.episode += 1
        self._units.clear()
        self._frozen.clear()
        if self.rollout.unit != "request":
            self._begin_tests()
            self._sent_back.clear()

    def _begin_tests(self) -> None:
        rollout, steps = self.rollout, range(len(self.rollout.judged_steps))
        wanted = [rollout.failure_margin(step) for step in steps]
        self._failures = Difference(_margins(rollout.failures, wanted))
        self._latency: LatencyRatio | None = None
        if rollout.ratio:
            self._latency = LatencyRatio(rollout.quantile, (*RATIOS, rollout.ratio))
        self._outcomes = {
            rule.name: Difference(
                _margins(rule.relative_margin, [rollout.outcome_margin(rule, step) for step in steps])
            )
            for rule in rollout.outcomes
        }
        self._values: dict[str, tuple[deque[float], deque[float]]] = {
            rule.name: (deque(maxlen=QUEUED), deque(maxlen=QUEUED)) for rule in rollout.outcomes
        }

    # The file -------------------------------------------------------------------------------------------------------

    def _note(self) -> None:
        """Note a point of the picture; with too many of them every second one goes."""
        if not self.rollout.judged_steps:
            return
        ends = {each["name"]: [each["low"], each["estimate"], each["high"]] for each in self.metrics()}
        self.history.append({"s": round(self.elapsed_s, 1), "traffic": self.traffic, "metrics": ends})
        self._noted_s = self.elapsed_s
        if len(self.history) > HISTORY:
            self.history = self.history[::2]
            self._stride_s *= 2

    def shown(self) -> dict[str, Any]:
        """Return what people see."""
        steps = self.rollout.judged_steps
        return {
            "id": self.rollout.id,
            "kind": self.rollout.kind,
            "unit": self.rollout.unit,
            "champion": self.rollout.champion,
            "candidate": self.rollout.candidate,
            "state": self.state,
            "step": min(self.step + 1, len(steps)),
            "steps": [each.traffic for each in self.rollout.steps],
            "traffic": self.traffic,
            "elapsed_s": self.elapsed_s,
            "left_s": max(0.0, self.until_s - self.elapsed_s),
            "arms": [each.shown() for each in self._arms],
            "metrics": self.metrics() if steps else [],
            "excluded": self.excluded() if steps else "",
            "next": self.next_line(),
            "why": self.why,
            "by": self.by,
            "ended_at": self.ended_at,
            "shadow": self.shadow if self.rollout.kind == "shadow" else None,
            "history": self.history,
        }

    def saved(self) -> dict[str, Any]:
        """Return all that a gateway needs to go on."""
        return {
            **self.shown(),
            "episode": self.episode,
            "step_s": self.step_s,
            "until_s": self.until_s,
            "copies": self.shadow,
            "stride_s": self._stride_s,
            "saved": {
                "arms": [each.state() for each in self._arms],
                "failures": self._failures.state(),
                "latency": None if self._latency is None else self._latency.state(),
                "outcomes": {name: each.state() for name, each in self._outcomes.items()},
                "values": {name: [list(each) for each in both] for name, both in self._values.items()},
            },
        }

    def _restore(self, saved: dict[str, Any]) -> None:
        self.state, self.why, self.by = str(saved["state"]), str(saved["why"]), str(saved["by"])
        self.step = min(max(int(saved["step"]) - 1, 0), max(len(self.rollout.judged_steps) - 1, 0))
        self.elapsed_s, self.step_s = float(saved["elapsed_s"]), float(saved["step_s"])
        self._counts_from = self._last + max(0.0, self.rollout.warm_up_s - self.step_s)
        self.until_s, self.ended_at = float(saved["until_s"]), float(saved["ended_at"])
        self.episode, self.history = int(saved["episode"]), list(saved["history"])
        self.shadow, self._stride_s = dict(saved["copies"]), float(saved["stride_s"])
        kept = saved["saved"]
        if self.rollout.unit != "request" and self.state not in ENDED:
            self._next_episode()  # it is not known which units were counted
            return
        self._arms = (Arm(kept["arms"][0]), Arm(kept["arms"][1]))
        self._failures = Difference.of(kept["failures"])
        self._latency = None if kept["latency"] is None else LatencyRatio.of(kept["latency"])
        self._outcomes = {name: Difference.of(each) for name, each in kept["outcomes"].items()}
        for name, both in kept.get("values", {}).items():
            for queue, values in zip(self._values[name], both, strict=True):
                queue.extend(float(each) for each in values)


def _margins(margin: float, needed: list[float]) -> list[float]:
    mirrored = [-each for each in DIFFERENCES]
    return sorted({*DIFFERENCES, *mirrored, margin, *(each for each in needed if each < 1)})


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
