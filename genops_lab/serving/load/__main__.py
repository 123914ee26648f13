"""``python -m genops_lab.serving.load``: the plan on standard input, JSON lines on standard output."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from itertools import cycle
from typing import Any

from .client import Client, Sent
from .figures import LATE_MS, failures, knee, of_step
from .schedule import Step, ramp

#: Below this share of requests in time, the steps after it tell nothing.
OVERLOADED = 0.5
TICK_S = 0.001


def _say(kind: str, content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"kind": kind, **content}) + "\n")
    sys.stdout.flush()


async def run(plan: dict[str, Any]) -> None:
    """Send the requests of a plan. ``timeout_s`` bounds the wait for the last answers."""
    client = Client(plan["url"], plan["path"], plan["headers"])
    bodies = cycle([text.encode() for text in plan["requests"]])
    steps = ramp(plan["first_rate"], plan["last_rate"], plan["seconds"], plan["steps"])
    limit_ms, timeout_s = float(plan["limit_ms"]), float(plan["timeout_s"])
    done: list[dict[str, Any]] = []
    every: list[Sent] = []
    began = client.loop.time()
    stopped = False
    for number, step in enumerate(steps):
        sent = await _step(client, step, number, began, bodies)
        every += sent
        await _answered(client, sent, min(timeout_s, limit_ms / 1000))
        figures = of_step(step, [each for each in sent if each.ended], limit_ms)
        figures["sent"] = len(sent)
        if figures["in_time"] < OVERLOADED * len(sent) and number + 1 < len(steps):
            steps, stopped = steps[: number + 1], True
        _say("step", {"number": number + 1, "of": len(steps), **figures})
        if stopped:
            break
    await _answered(client, every, timeout_s)
    for request in every:
        client.over(request, f"no answer in {timeout_s:g} s")
    for number, step in enumerate(steps):
        done.append(of_step(step, [each for each in every if each.step == number], limit_ms))
    late = max((each["late_ms"] for each in done if not _saturated(each)), default=0.0)
    _say(
        "result",
        {
            "steps": done,
            "knee": knee(done),
            "stopped": stopped,
            "client_late_ms": late if late > LATE_MS else 0.0,
            "failures": failures(every),
        },
    )


def _saturated(step: dict[str, Any]) -> bool:
    """Return whether requests waited for connections because the answers were slow."""
    return bool(step["in_time"] < step["sent"])


async def _step(client: Client, step: Step, number: int, began: float, bodies: Any) -> list[Sent]:
    """Send each request when it is due, however slow the answers are."""
    sent = []
    for arrival in step.arrivals:
        due = began + arrival
        if (wait := due - client.loop.time()) > TICK_S:
            await asyncio.sleep(wait)
        request = Sent(due, number, next(bodies))
        sent.append(request)
        client.send(request)
        if len(sent) % 20 == 0:
            await asyncio.sleep(0)  # answers are read also while the schedule is behind
    if (wait := began + step.ends_s - client.loop.time()) > 0:
        await asyncio.sleep(wait)
    return sent


async def _answered(client: Client, requests: list[Sent], most_s: float) -> None:
    """Wait until the requests have ended, but not for ever."""
    until = client.loop.time() + most_s
    while client.loop.time() < until and any(not each.ended for each in requests):
        await asyncio.sleep(0.01)


def main() -> int:
    """Run the plan of standard input."""
    plan = json.load(sys.stdin)
    gc.freeze()  # a collection in the middle would look like a slow answer
    asyncio.run(run(plan))
    return 0


if __name__ == "__main__":
    sys.exit(main())
