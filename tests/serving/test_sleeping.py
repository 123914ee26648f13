"""A scoring process that nobody uses unloads its model, and no request is lost when one comes: scale to zero."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.support.rooms import eventually

from .conftest import GatewayProcess, sha
from .scoring import KEY
from .test_scorer_bad_days import Start, behaving, start

__all__ = ["behaving", "start"]


def test_requests_from_zero_wait_while_the_model_is_loaded(start: Start, folder: Path) -> None:
    """Several wake it at once, over a gateway that would end without it, and that does not wake it to look."""
    process = start(sleep_s=0.5).runs()
    port, pid, awake = process.state["port"], process.state["pid"], psutil.Process(process.state["pid"])
    used = awake.memory_info().rss
    gateway = GatewayProcess(folder, empty_s=6.0)
    revision = {"id": 1, "number": 1, "port": port, "key": KEY, "weight": 100}
    route = {
        "name": "sleepy", "generation": time.time_ns(), "revisions": [revision], "idle_s": 0.1,
        "keys": [{"name": "default", "sha256": sha("a-key-of-the-callers")}],
    }  # fmt: skip
    assert gateway.say({"op": "set", "route": route})["applied"]
    body = json.dumps({"dataframe_split": {"columns": ["do", "x"], "data": [["", 2.5]]}}).encode()

    def asked(_at: int) -> tuple[int, bytes]:
        found = gateway.ask(body=body, name="sleepy", Content_Type="application/json")
        return found.status, found.body

    for again in range(1, 3):
        found = eventually(lambda: process.state, lambda state: bool(state["asleep"]), 30)
        assert (found["state"], found["port"], found["pid"]) == ("running", port, pid)
        assert found["message"].startswith("It sleeps") and found["requests"] == 4 * (again - 1)
        eventually(lambda: awake.memory_info().rss, lambda now: now < used / 4, 10)
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(asked, range(4))) == [(200, b'{"predictions": [2.5]}')] * 4
        done = 4 * again
        found = eventually(lambda: process.state, lambda state, done=done: state["requests"] == done)
        assert found["asleep"] is False
    gateway.end()


def test_a_process_that_sleeps_ends_with_its_lease_and_with_a_stop(start: Start) -> None:
    one, two = start(sleep_s=0.5).runs(), start(sleep_s=0.5).runs()
    for each in (one, two):
        eventually(lambda each=each: each.state, lambda state: bool(state["asleep"]), 30)
    lease(one.folder, time.time() - 1)
    assert one.process.wait(10) == 0 and one.state["state"] == "ended"
    two.process.terminate()
    assert two.process.wait(10) == 0 and two.state["state"] == "stopped"


def lease(folder: Path, until: float) -> None:
    """As the target writes one for a revision that gets no requests any more."""
    fresh = folder / ".lease.json"
    fresh.write_text(json.dumps({"until": until, "warm_s": 1}))
    fresh.replace(folder / "lease.json")
