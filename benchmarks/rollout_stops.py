"""How soon a candidate gets no more requests once the judge has decided: a real gateway, scoring processes and callers.

The decision is ``ended_at`` of the evidence. A request counts by the time at which its caller sent it.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.serving.conftest import KEY, GatewayProcess, Scorer
from tests.support.rooms import eventually

from .figure import Figure
from .gateway import SCORER

OFTEN, CALLERS = 20, 8
CANDIDATE = "2"
#: Answers each request with 500.
FAILS = SCORER.replace("200 OK", "500 Error")


class _Failing(Scorer):
    def __init__(self) -> None:
        self.name = self.key = "fails"
        self.process = subprocess.Popen([sys.executable, "-c", FAILS, "0"], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())


class _Caller(threading.Thread):
    """Send requests one after the other until ``ends``; ``sent`` and ``answered`` are of those to the candidate."""

    def __init__(self, port: int, ends: threading.Event) -> None:
        super().__init__(daemon=True)
        self._port, self._ends = port, ends
        self.sent = self.answered = 0.0
        self.after = self.candidate = 0

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._ends.is_set():
            sent = time.time()
            connection.request("POST", "/digits/who", b"1", {"Authorization": f"Bearer {KEY}"})
            answer = connection.getresponse()
            answer.read()
            if answer.headers["x-genops-revision"] == CANDIDATE:
                self.sent, self.answered = sent, time.time()
                self.candidate += 1
            self.after += 1
        connection.close()


def figures() -> Iterator[Figure]:
    """Time the end of the candidate's requests over rollouts whose candidate always fails."""
    last_sent, last_answered = [], []
    with tempfile.TemporaryDirectory() as scratch:
        gateway = GatewayProcess(Path(scratch))
        good, bad = Scorer("good"), _Failing()
        try:
            for number in range(OFTEN):
                gateway.route((good, 1), (bad, 0))
                decided = _rolled_back(gateway, number)
                sent, answered = decided
                last_sent.append(sent)
                last_answered.append(max(0.0, 1000 * answered))
        finally:
            gateway.end()
            good.kill()
            bad.kill()
    yield Figure(
        name="rollout from the decision to the candidate's last answer", unit="ms", values=last_answered,
        target=1000.0, notes={"requests_sent_after": sum(each > 0 for each in last_sent), "callers": CALLERS},
    )  # fmt: skip


def _rolled_back(gateway: GatewayProcess, number: int) -> tuple[float, float]:
    """Run one rollout to its end. Return the seconds from the decision to the last request and to the last answer."""
    given: dict[str, Any] = {
        "id": f"r{number}", "name": "digits", "champion": 1, "candidate": 2, "ratio": 0, "warm_up_s": 0,
        "steps": [{"traffic": 10, "requests": 20}],
    }  # fmt: skip
    ends = threading.Event()
    gateway.say({"op": "rollout", "rollout": given})
    callers = [_Caller(gateway.port, ends) for _ in range(CALLERS)]
    for each in callers:
        each.start()
    found = eventually(
        lambda: gateway.say({"op": "evidence", "name": "digits"})["evidence"],
        lambda seen: seen["state"] == "rolled back",
    )
    before = [each.after for each in callers]
    eventually(lambda: [each.after for each in callers],
               lambda now: all(n > b + 50 for n, b in zip(now, before, strict=True)))  # fmt: skip
    ends.set()
    for each in callers:
        each.join(30)
    decided = float(found["ended_at"])
    if not any(each.candidate for each in callers):
        raise RuntimeError("the candidate answered nothing")
    return max(each.sent for each in callers) - decided, max(each.answered for each in callers) - decided
