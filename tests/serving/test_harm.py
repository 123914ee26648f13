"""Candidates that turn bad at any time of a rollout are rolled back; those that are no worse rarely are."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from benchmarks.rollouts import World, rollbacks
from genops_lab.serving.gateway.evidence import MOST_UNITS, EndedRequest, UnitCounter
from genops_lab.serving.gateway.judge import Judge
from genops_lab.serving.gateway.rollout import Rollout
from tests.statistics.simulation import trials

LOOK_S, RATE = 0.5, 20
SIGNALS = ("failures", "latency", "outcome")


def rollout(**fields: Any) -> Rollout:
    """Two steps of a minute at least, and a watch of two. Every margin is excluded well before."""
    given: dict[str, Any] = {
        "id": "r1",
        "name": "digits",
        "champion": 1,
        "candidate": 2,
        "steps": [{"traffic": 20, "seconds": 60}, {"traffic": 50, "seconds": 60}],
        "failures": 0.1,
        "ratio": 1.5,
        "outcomes": [{"name": "outcome", "margin": 0.2}],
        "warm_up_s": 0,
        "watch_s": 120,
    }
    return Rollout.decode(given | fields)


@dataclass
class Traffic:
    """Requests of callers to both revisions. ``bad`` says how often one to the candidate is bad now."""

    judge: Judge
    bad: Callable[[float, int], float]
    signal: str = "failures"
    callers: int = 10
    now: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(3))
    points: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.points = [self.chance.random() for _ in range(self.callers)]

    def go(self, until: Callable[[], bool], most_s: float = 1_200) -> None:
        """Send requests until something holds, or the rollout has ended."""
        begun = self.now
        while self.judge.state == "running" and not until() and self.now < begun + most_s:
            self.now += LOOK_S
            for _ in range(int(RATE * LOOK_S)):
                self._request()
            self.judge.look(self.now)

    def _request(self) -> None:
        judge, caller = self.judge, self.chance.randrange(self.callers)
        stays = judge.rollout.unit != "request"
        unit = caller.to_bytes(4, "big") if stays else b""
        share = judge.traffic / 100
        candidate = (self.points[caller] if stays else self.chance.random()) < share
        bad = candidate and self.chance.random() < self.bad(self.now, caller)
        seconds = self.chance.lognormvariate(-3, 0.4) * (5 if bad and self.signal == "latency" else 1)
        failed = bad and self.signal == "failures"
        arrived = self.now - 0.01
        judge.ended(candidate, share, unit, failed=failed, arrived=arrived, now=arrived + seconds)
        id = self.chance.randbytes(8)
        judge.remember(id, candidate, unit, self.now)
        judge.feedback(id, "outcome", 0.1 if bad and self.signal == "outcome" else 0.9, self.now)


def never(_now: float, _caller: int) -> float:
    return 0.0


def excluded_in(judge: Judge, step: int) -> Callable[[], bool]:
    """Return whether every margin of a step is excluded, and the step goes on."""
    return lambda: judge.step == step and all(each["passed"] for each in judge.metrics())


MOMENTS: dict[str, Callable[[Judge], Callable[[], bool]]] = {
    "from the start": lambda _: lambda: True,
    "excluded in step 1": lambda judge: excluded_in(judge, 0),
    "step 2 begins": lambda judge: lambda: judge.step == 1,
    "excluded in step 2": lambda judge: excluded_in(judge, 1),
    "the watch begins": lambda judge: lambda: judge.step == 2,
    "late in the watch": lambda judge: lambda: judge.step == 2 and judge.step_s > 90,
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("signal", SIGNALS)
def test_a_candidate_that_turns_bad_is_rolled_back(signal: str, moment: str) -> None:
    judge = Judge(rollout(), 0.0)
    traffic = Traffic(judge, never, signal)
    traffic.go(MOMENTS[moment](judge))
    assert judge.state == "running", "it was good until now"
    traffic.bad, begun = lambda *_: 1.0, traffic.now
    traffic.go(lambda: False)
    assert judge.state == "rolled back", (judge.step, judge.metrics())
    assert traffic.now - begun < 40 and judge.why.lower().startswith(
        "failures" if signal == "failures" else signal
    )


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize(
    "bad",
    [
        lambda now, _: min(max(now - 45, 0) / 120, 1),
        lambda now, _: float(now > 45 and now % 20 < 8),
        lambda now, caller: float(now > 45 and caller < 3),
    ],
    ids=["ramp", "bursts", "some callers"],
)
def test_harm_that_grows_comes_in_bursts_or_meets_few_is_stopped(
    signal: str, bad: Callable[[float, int], float]
) -> None:
    judge = Judge(rollout(), 0.0)
    Traffic(judge, bad, signal).go(lambda: False)
    assert judge.state == "rolled back", judge.metrics()


@pytest.mark.parametrize("callers", [1, 8])
def test_one_caller_alone_is_enough(callers: int) -> None:
    """All requests of one caller of eight fail with the candidate: more than the margin of 10 points."""
    judge = Judge(rollout(), 0.0)
    traffic = Traffic(judge, lambda now, caller: float(now > 45 and caller == 0), callers=callers)
    traffic.go(lambda: False)
    assert judge.state == "rolled back"


@pytest.mark.parametrize("signal", SIGNALS)
def test_units_that_stay_are_seen_again_in_each_window(signal: str) -> None:
    """Each user's first minute is good: a test that counts a user once would see nothing of what comes later."""
    judge = Judge(
        rollout(unit="header", header="X-User", unit_s=20, steps=[{"traffic": 40, "seconds": 2_000}]), 0.0
    )
    traffic = Traffic(judge, lambda now, _: float(now > 400), signal, callers=200)
    traffic.go(lambda: False)
    assert judge.state == "rolled back", judge.metrics()
    assert (traffic.now < 800 and "users" not in judge.why and "headers" in judge.why) or signal == "latency"


def test_a_rollout_of_equal_revisions_is_promoted_after_the_watch() -> None:
    judge = Judge(rollout(), 0.0)
    traffic = Traffic(judge, never)
    traffic.go(lambda: judge.step == 2)
    assert judge.traffic == 95 and judge.shown()["steps"] == [20, 50, 95] and judge.shown()["step"] == 3
    assert "The revision before keeps 5 % of the requests" in judge.next_line()
    assert 100 < judge.shown()["left_s"] <= 120
    traffic.go(lambda: False)
    assert judge.state == "promoted" and judge.by == "the judge" and 238 <= traffic.now < 260
    assert judge.why.endswith("No harm was seen in the 2 min after it.")


def test_a_person_promotes_without_the_watch() -> None:
    judge = Judge(rollout(), 0.0)
    Traffic(judge, never).go(lambda: judge.step == 2)
    assert judge.decide("promote", "ada") == "" and judge.traffic == 100


def test_evidence_that_contradicts_itself_never_promotes() -> None:
    """It fails three of five requests from 40 s on: within the margin, and not what was excluded at first."""
    steps = [{"traffic": 50, "seconds": 100}]
    judge = Judge(rollout(failures=0.9, outcomes=[], ratio=0, steps=steps, lasts_s=200), 0.0)
    traffic = Traffic(judge, lambda now, _: 0.6 * (now > 40))
    traffic.go(lambda: judge.step_s > 150)
    (failures,) = judge.metrics()
    assert failures["low"] > failures["high"] and not failures["passed"] and judge.step == 0
    traffic.go(lambda: False)
    assert judge.state == "held" and judge.why.startswith("The time is used up")


@pytest.mark.parametrize("unit", ["request", "header"])
def test_what_was_seen_is_kept_over_a_restart(unit: str) -> None:
    given = rollout(unit=unit, header="X-User", unit_s=20, steps=[{"traffic": 40, "seconds": 2_000}])
    judge = Judge(given, 0.0)
    traffic = Traffic(judge, never, callers=200)
    traffic.go(lambda: False, 150)
    traffic.judge = judge = Judge(given, traffic.now, json.loads(json.dumps(judge.saved())))
    assert judge.elapsed_s == 150 and len(judge._watch.windows) >= (1 if unit == "header" else 3)
    traffic.bad = lambda *_: 1.0
    traffic.go(lambda: False)
    assert judge.state == "rolled back"


def test_requests_of_units_that_are_not_remembered_are_told() -> None:
    given = rollout(unit="header", header="X-User")
    judge = Judge(given, 0.0)
    requests = [
        EndedRequest(at % 5 == 0, 0.2, at.to_bytes(4, "big"), False, 1.0, 1.01)
        for at in range(MOST_UNITS + 7)
    ]
    assert len(UnitCounter(given).add(requests, 1.0)) == 0
    judge._waiting = requests
    judge.look(1.02)
    assert judge.excluded().endswith("7 requests of headers beyond 200,000 are not in it.")


@pytest.mark.parametrize(
    "world",
    [
        World(requests=3_000, apart_s=0.5, look=4, watch_s=300, traffic=(10.0, 50.0)),
        World(requests=3_000, apart_s=0.5, look=4, watch_s=300, traffic=(10.0, 50.0), rhythm=True),
        World(requests=3_000, apart_s=0.5, look=4, watch_s=300, traffic=(10.0, 50.0), bursts=True),
        World(
            requests=3_000,
            apart_s=0.5,
            look=4,
            watch_s=300,
            traffic=(10.0, 50.0),
            users=200,
            failures=(0.0, 0.0),
        ),
        World(
            requests=3_000,
            apart_s=0.5,
            look=4,
            watch_s=300,
            traffic=(10.0, 50.0),
            users=200,
            failures=(0.0, 0.0),
            bursts=True,
            rhythm=True,
        ),
    ],
    ids=["steady", "rhythm", "bursts", "users", "users with both"],
)
def test_equal_revisions_are_stopped_at_most_as_often_as_stated(world: World) -> None:
    """Over all steps and the watch, with a look each 2 s: 1,500 s and 25 windows of harm each."""
    ends = rollbacks(world, n := trials(2_000, 16))
    wrong = sum(each.state == "rolled back" for each in ends)
    print(
        f"{wrong} of {n} equal revisions were rolled back, {[e.state for e in ends].count('promoted')} promoted"
    )
    assert wrong <= max(1, 0.01 * n)
