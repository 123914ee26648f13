"""Judge a rollout: collect what happens to the requests of two revisions, and decide after each look."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from genops_lab.statistics.streams import Difference, LatencyRatio

from .evidence import MOST_UNITS, EndedRequest, Evidence, OutcomeBlocks, UnitCounter, UnitRequests
from .harm import Harm, HarmWatch, step_harms
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
HISTORY = 200

ENDED = ("promoted", "rolled back")


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
        self._last = now
        #: Requests that arrived before are not counted.
        self._counts_from = now + rollout.warm_up_s
        #: What margins are excluded by: a step tells nothing about the one after it.
        self._evidence = self._new_evidence()
        self._units = UnitCounter(rollout)
        self._watch = HarmWatch(rollout)
        self._values = {rule.name: OutcomeBlocks() for rule in rollout.outcomes}
        self._waiting: list[EndedRequest] = []
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
    def _stays(self) -> bool:
        """Whether a unit stays with a revision, and its requests are not by chance each."""
        return self.rollout.unit != "request"

    @property
    def _watches(self) -> bool:
        """Whether the candidate has passed all steps of the policy, and is watched."""
        return bool(self.rollout.judged_steps) and self.rollout.watches(self.step)

    @property
    def compares(self) -> bool:
        """Whether requests are counted: both revisions get some, and nobody has decided."""
        return self.state not in ENDED and 0 < self.traffic < 100

    def ended(
        self, candidate: bool, share: float, unit: bytes, *, failed: bool, arrived: float, now: float
    ) -> None:
        """Count a request that has ended. ``share`` is the chance that it was given to the candidate."""
        if self.compares:
            self._waiting.append(EndedRequest(candidate, share, unit, failed, arrived, now))

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
        once = (unit if self._stays else id, name)
        ended = not self.compares or (self._stays and episode != self.episode)
        # A unit that stays counts once in a step, and once in each window of the watch.
        watched = (
            self._stays and not ended and self._watch.take_outcome(unit, name, candidate, rule.worse(value))
        )
        if once in self._sent_back:
            return "" if watched else "This outcome was sent before."
        if ended:
            return "The step in which the request was answered has ended."
        self._sent_back.add(once)
        if self.log is not None and not self._stays:
            self.log.outcome(id, name)
        self._values[name].add(candidate, rule.worse(value))
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
        share = self.traffic / 100
        # One that arrived in the step before, in the warm-up, or before a gap, tells about that.
        counted = [each for each in waiting if each.arrived >= self._counts_from and each.share == share]
        self._evidence.count(counted)
        if self.compares:
            self._add(counted, share, now)
            self._add_outcomes(share)
            self._watch.begin(self.elapsed_s)
        before = (self.traffic, self.state)
        if self.elapsed_s - self._noted_s >= self._stride_s:
            self._note()
        self._decide()
        if (self.traffic, self.state) != before:
            self._note()
        return self.traffic != before[0]

    def _add(self, counted: list[EndedRequest], share: float, now: float) -> None:
        each_alone: list[UnitRequests] = []
        if not self._stays:
            each_alone = [(each.candidate, [(each.failed, each.seconds)]) for each in counted]
        units = self._units.add(counted, now) if self._stays else each_alone
        self._evidence.test(units, share)
        self._watch.add(counted, each_alone, share, now)

    def _add_outcomes(self, share: float) -> None:
        for name, values in self._values.items():
            block = values.whole(share)
            self._evidence.outcomes[name].add(*block)
            if not self._stays:
                self._watch.add_outcomes(name, *block)
        if self._stays:
            self._watch.add_unit_outcomes(share)

    # Decisions ------------------------------------------------------------------------------------------------------

    @property
    def alpha(self) -> float:
        """The error of a margin that this step excludes. Units that stay spend a part in each: 1/2, 1/6, 1/12, ..."""
        if not self._stays:
            return self.rollout.alpha
        return self.rollout.alpha / (self.episode * (self.episode + 1))

    def _decide(self) -> None:
        if not self.compares:
            return
        harm = next(self._harms(), None)
        if harm is not None:
            self._end("rolled back", harm.summary, "the judge")
            return
        if self.state != "running":
            return
        step = self.rollout.judged_steps[self.step]
        candidate, watches = self._evidence.stats[1], self._watches
        enough = candidate.requests >= step.requests and self.step_s >= step.seconds + self.rollout.warm_up_s
        passed = enough and (watches or candidate.requests > 0) and all(e["passed"] for e in self.metrics())
        if passed and not self._watch.suspects:
            if self.step + 1 < len(self.rollout.judged_steps):
                self._go_to(self.step + 1)
            elif self.rollout.promotes:
                why = "Every margin is excluded: the candidate is not worse by more."
                if watches:
                    why += f" No harm was seen in the {step.seconds / 60:.3g} min after it."
                self._end("promoted", why, "the judge")
            else:
                self._hold("Every margin is excluded. A person decides: promote or roll back.")
        elif enough and watches and not passed:
            self._hold(
                "The candidate has changed: what it excluded at first is contradicted by what came later."
            )
        elif self.elapsed_s >= self.until_s and not watches:
            why = f"The time is used up ({self.until_s / 3600:.3g} h). {self.excluded()}"
            if self.rollout.used_up == "rollback":
                self._end("rolled back", why, "the policy")
            else:
                self._hold(why)

    def _harms(self) -> Iterator[Harm]:
        """Yield the harm that is shown now, whatever a step has excluded."""
        yield from self._watch.harms(self.rollout.alpha, self.elapsed_s)
        if self._stays:
            yield from step_harms(self.rollout, self._evidence, self.alpha / 2)

    def metrics(self) -> list[dict[str, Any]]:
        """Return what is known of each metric: estimate, interval, margin, whether harm is shown or it has passed."""
        evidence = self._evidence
        share = self.alpha / evidence.metrics
        last = self.rollout.watches(self.step + 1) and not self._watches
        found = [
            self._difference(
                "failures",
                evidence.failures,
                self.rollout.failures,
                self.rollout.failure_margin(self.step),
                share,
            )
        ]
        if evidence.latency is not None:
            found.append(self._ratio(evidence.latency, share, last))
        for rule in self.rollout.outcomes:
            margin = self.rollout.outcome_margin(rule, self.step)
            test = evidence.outcomes[rule.name]
            found.append(self._difference(rule.name, test, rule.relative_margin, margin, share))
        harms = {harm.metric: harm.summary for harm in self._harms()}
        for each in found:
            each["harm"] = each["name"] in harms
            each["says"] = harms.get(each["name"], each["says"])
        return found

    def _difference(
        self, name: str, test: Difference, margin: float, needed: float, share: float
    ) -> dict[str, Any]:
        estimate = test.estimate
        low, high = test.interval(share)[0], test.interval(self.alpha)[1]
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
            "passed": low <= high and (self._watches or needed >= 1 or test.p_below(needed) <= self.alpha),
            "says": says,
        }

    def _ratio(self, test: LatencyRatio, share: float, last: bool) -> dict[str, Any]:
        champion, candidate = (each.times.quantile(test.quantile) for each in self._evidence.stats)
        low, high = test.interval(share)[0], test.interval(self.alpha)[1]
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
            "estimate": self._evidence.latency_ratio,
            "low": low or None,
            "high": _finite(high),
            "margin": self.rollout.ratio,
            "needed": self.rollout.ratio,
            "passed": low <= high and (high <= self.rollout.ratio or not last),
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
        left_out = self._units.left_out
        more = (
            f" {left_out:,} requests of {self.rollout.unit}s beyond {MOST_UNITS:,} are not in it."
            if left_out
            else ""
        )
        return f"Excluded so far: {', '.join(parts)}.{more}"

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
        step, candidate = self.rollout.judged_steps[self.step], self._evidence.stats[1]
        left = step.seconds + self.rollout.warm_up_s - self.step_s
        if self._watches:
            waits_for = f"{left:.0f} s more without harm" if left > 0 else "the next look"
            return (
                "The candidate has passed all steps. The revision before keeps "
                f"{100 - self.traffic:g} % of the requests to compare with. Then 100 % of the requests. "
                f"Waits for: {waits_for}."
            )
        open_ = [each["name"] for each in self.metrics() if not each["passed"]]
        waits = [f"{', '.join(open_)} within the margin"] if open_ else []
        if candidate.requests < max(step.requests, 1):
            waits.append(f"{max(step.requests, 1) - candidate.requests:,} more requests of the candidate")
        if left > 0:
            waits.append(f"{left:.0f} s more")
        last = self.rollout.watches(self.step + 1)
        traffic = f"{self.rollout.next_traffic(self.step):g} % of the requests"
        coming = traffic if self.rollout.promotes or not last else "a person decides"
        return f"{coming}. Waits for: {'; '.join(waits) or 'the next look'}."

    @property
    def _left_s(self) -> float:
        """Seconds until the rollout ends by itself."""
        if self._watches:
            watch = self.rollout.judged_steps[self.step]
            return max(0.0, watch.seconds + self.rollout.warm_up_s - self.step_s)
        return max(0.0, self.until_s - self.elapsed_s)

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
        self._evidence = self._new_evidence()
        self._next_episode()

    def _next_episode(self) -> None:
        """Units that stay are counted again in the next step."""
        self.episode += 1
        self._units = UnitCounter(self.rollout)
        if self._stays:
            self._values = {rule.name: OutcomeBlocks() for rule in self.rollout.outcomes}
            self._sent_back.clear()
            self._watch.begin(self.elapsed_s, anew=True)

    def _new_evidence(self) -> Evidence:
        rollout, steps = self.rollout, range(len(self.rollout.judged_steps))
        return Evidence(
            rollout,
            _margins(rollout.failures, [rollout.failure_margin(step) for step in steps]),
            {
                rule.name: _margins(
                    rule.relative_margin, [rollout.outcome_margin(rule, step) for step in steps]
                )
                for rule in rollout.outcomes
            },
            (*RATIOS, rollout.ratio),
        )

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
            "steps": self.rollout.shown_steps,
            "traffic": self.traffic,
            "elapsed_s": self.elapsed_s,
            "left_s": self._left_s,
            "arms": [each.shown() for each in self._evidence.stats],
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
                "step": self._evidence.state(),
                "watch": self._watch.state(),
                "values": {name: each.state() for name, each in self._values.items()},
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
        self._watch.restore(kept["watch"])
        self._evidence.restore(kept["step"])
        if self._stays and self.state not in ENDED:
            self._evidence = self._new_evidence()  # it is not known which units were counted
            self._next_episode()
            return
        for name, values in kept["values"].items():
            self._values[name].restore(values)


def _margins(margin: float, needed: list[float]) -> list[float]:
    mirrored = [-each for each in DIFFERENCES]
    return sorted({*DIFFERENCES, *mirrored, margin, *(each for each in needed if each < 1)})


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
