"""Rollouts that are simulated: false rollbacks of candidates that are no worse, and how soon harm is stopped.

The judge of the gateway gets requests of a simulated time. The baseline looks at the same requests with a test for one
look (Fisher's exact test of failures, as canary tools have it), after every 100 requests.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from genops_lab.serving.gateway.judge import Judge
from genops_lab.serving.gateway.rollout import Rollout

from . import rollout_stops
from .figure import Figure

RATE_S, ALPHA = 0.005, 0.01
WORKERS = 2


@dataclass(frozen=True, kw_only=True)
class World:
    """What is simulated, a request each ``apart_s`` seconds, and a look after each ``look`` of them.

    ``users`` are sticky and differ in their own rate of failures and latency; 0: none are. In ``bursts`` of 20 s half
    of the requests to both revisions fail; with a ``rhythm`` failures and latencies of both go up and down as over a
    day. ``watch_s`` is the time of the watch after the steps.
    """

    failures: tuple[float, float] = (0.01, 0.01)
    slower: float = 1.0
    users: int = 0
    traffic: tuple[float, ...] = (1.0, 10.0, 50.0)
    requests: int = 6_000
    look: int = 50
    apart_s: float = RATE_S
    alpha: float = ALPHA
    bursts: bool = False
    rhythm: bool = False
    watch_s: float = 0.0

    def at(self, now: float) -> tuple[float, float]:
        """Return by how much more requests of both fail at a time, and by what their latencies are multiplied."""
        day = math.sin(now / 400 * 2 * math.pi) if self.rhythm else 0.0
        return 0.5 * (self.bursts and now % 200 < 20) + 0.05 * (1 + day) * self.rhythm, math.exp(day)


@dataclass(frozen=True)
class End:
    """How a rollout ended, after how many requests, and after how many a test for one look found harm (0: never)."""

    state: str
    requests: int
    peeking: int


def simulate(world: World, seed: int) -> End:
    """Run one rollout to its end, or to the last request."""
    chance = random.Random(seed)
    given: dict[str, Any] = {
        "id": str(seed),
        "name": "simulated",
        "champion": 1,
        "candidate": 2,
        "alpha": world.alpha,
        "watch_s": world.watch_s,
        "steps": [{"traffic": each, "requests": 20} for each in world.traffic],
        "warm_up_s": 0.0,
        "unit": "header" if world.users else "request",
    }
    judge, now = Judge(Rollout.decode(given), 0.0), 0.0
    users = [(chance.random(), chance.betavariate(0.2, 8), chance.gauss(0, 0.5)) for _ in range(world.users)]
    counts, peeking = [[0, 0], [0, 0]], 0
    for number in range(1, world.requests + 1):
        now += world.apart_s
        more, slower = world.at(now)
        share, unit = judge.traffic / 100, b""
        rate, level, point = 0.0, 0.0, chance.random()
        if users:
            at = chance.randrange(len(users))
            point, rate, level = users[at]
            unit = at.to_bytes(4, "big")
        candidate = point < share
        failed = chance.random() < rate + more + world.failures[candidate]
        seconds = slower * math.exp(chance.gauss(-3 + level, 0.4)) * (world.slower if candidate else 1.0)
        judge.ended(candidate, share, unit, failed=failed, arrived=now, now=now + seconds)
        counts[candidate][failed] += 1
        if number % world.look == 0:
            judge.look(now)
            if judge.state != "running":
                return End(judge.state, number, peeking)
        if number % 100 == 0 and not peeking and _fisher(counts) < ALPHA:
            peeking = number
    return End(judge.state, world.requests, peeking)


def _fisher(counts: list[list[int]]) -> float:
    """Return the one-sided p-value of more failures of the candidate: Fisher's exact test."""
    (good, bad), (good_one, bad_one) = counts
    n, failed, drawn = good + bad + good_one + bad_one, bad + bad_one, good_one + bad_one

    def log_choose(total: int, k: int) -> float:
        return math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1)

    whole = log_choose(n, drawn)
    return sum(
        math.exp(log_choose(failed, k) + log_choose(n - failed, drawn - k) - whole)
        for k in range(bad_one, min(failed, drawn) + 1)
        if drawn - k <= n - failed
    )


def rollbacks(world: World, often: int) -> list[End]:
    """Return the ends of simulated rollouts."""
    with ProcessPoolExecutor(WORKERS) as pool:
        return list(pool.map(simulate, [world] * often, range(often), chunksize=8))


def figures() -> Iterator[Figure]:
    often = 1_000
    for name, world in (
        ("requests by chance", World()),
        ("300 sticky users who differ", World(users=300, traffic=(10.0, 50.0), failures=(0.0, 0.0))),
    ):
        ends = rollbacks(world, often)
        false = sum(each.state == "rolled back" for each in ends)
        yield Figure(
            name=f"rollouts false rollbacks of 1,000 A/A at alpha 1 %, {name}",
            unit="%",
            values=[100 * false / often],
            target=1.0,
            baseline="Fisher's exact test every 100 requests",
            baseline_values=[100 * sum(each.peeking > 0 for each in ends) / often],
            notes={"promoted": sum(each.state == "promoted" for each in ends)},
        )
    for failures in ((0.01, 0.05), (0.01, 1.0)):
        ends = rollbacks(World(failures=failures, traffic=(10.0,), requests=20_000, look=10), 300)
        yield Figure(
            name=f"rollouts requests until {failures[0]:.0%} -> {failures[1]:.0%} failures are stopped, 10 % traffic",
            unit="requests",
            values=[float(each.requests) for each in ends],
            target=2_000.0,
            notes={"rolled back": sum(each.state == "rolled back" for each in ends)},
        )
    yield from rollout_stops.figures()
