"""Rollouts in a gateway of their own: harm is stopped, margins are excluded, people decide, evidence is kept."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from genops_lab.serving.gateway.judge import Judge
from genops_lab.serving.gateway.rollout import Rollout
from tests.support.rooms import eventually
from tests.support.wall_clock import WallClock

from .conftest import KEY, GatewayProcess, Scorer, sha

CHAMPION, CANDIDATE = 1, 2
#: No traffic of these tests is enough to exclude it.
TINY = 0.0001


@pytest.fixture
def alone(folder: Path) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(folder)
    yield gateway
    log = (folder / "log.txt").read_text()
    gateway.end()
    assert "Traceback" not in log, log


def rollout(*steps: float, id: str = "r1", **fields: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "id": id,
        "name": "digits",
        "champion": CHAMPION,
        "candidate": CANDIDATE,
        "steps": [{"traffic": each, "requests": 5} for each in steps],
        "warm_up_s": 0,
        "ratio": 0,
        "failures": TINY,
    }
    return given | fields


def begin(gateway: GatewayProcess, given: dict[str, Any]) -> None:
    assert gateway.say({"op": "rollout", "rollout": given}) == {"begun": True}


def evidence(gateway: GatewayProcess) -> dict[str, Any]:
    return dict(gateway.say({"op": "evidence", "name": "digits"})["evidence"])


def decide(gateway: GatewayProcess, decision: str, by: str = "ada", id: str = "r1") -> str:
    asked = {"op": "decide", "name": "digits", "id": id, "decision": decision, "by": by}
    return str(gateway.say(asked)["refused"])


class Traffic:
    """Requests one after the other until the end of the block."""

    def __init__(self, gateway: GatewayProcess, path: str = "/who", **headers: str) -> None:
        self._gateway, self._path, self._headers = gateway, path, headers
        self._ends = threading.Event()
        self.answers: list[tuple[int, str]] = []
        self._thread = threading.Thread(target=self._loop)

    def _loop(self) -> None:
        while not self._ends.is_set():
            try:
                found = self._gateway.ask(self._path, **self._headers)
            except OSError:  # the gateway was killed: its next one goes on
                continue
            self.answers.append((found.status, found.headers.get("x-genops-revision", "")))

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join(30)


def test_a_candidate_that_fails_is_rolled_back_by_the_gateway_alone(
    alone: GatewayProcess, one: Scorer
) -> None:
    refuses = Scorer("refuses")
    refuses.key = "another"  # it answers 401: the gateway says 502
    alone.route((one, 1), (refuses, 0), keep=True)
    begin(alone, rollout(20, 50, failures=0.2))
    with Traffic(alone) as traffic:
        found = eventually(lambda: evidence(alone), lambda now: now["state"] == "rolled back", 60)
        since = len(traffic.answers)
        eventually(lambda: len(traffic.answers), lambda count: count > since + 50)
    refuses.kill()
    assert found["by"] == "the judge" and found["traffic"] == 0
    assert "Failures: 100.00% with the candidate, 0.00% with the revision before" in found["why"]
    assert found["arms"][1]["failures"] == found["arms"][1]["requests"] > 0
    # One request may have been on its way at the decision.
    assert {status for status, _ in traffic.answers[since + 1 :]} == {200}
    kept = json.loads((alone.routes / "digits" / "evidence.json").read_bytes())
    assert kept["state"] == "rolled back" and kept["why"] == found["why"]


@pytest.mark.parametrize(
    ("does", "fields", "why"),
    [
        ("hangs", {"failures": 0.2}, "Failures: 100.00% with the candidate"),
        ("late", {"failures": 0.5, "ratio": 2.0}, "Latency p95: "),
    ],
)
def test_a_candidate_that_hangs_or_answers_late_is_rolled_back(
    alone: GatewayProcess, one: Scorer, does: str, fields: dict[str, Any], why: str
) -> None:
    """It accepts each request. A caller of one that hangs waits for the time limit of a request, here 0.5 s."""
    bad = Scorer(does)
    alone.route((one, 1), (bad, 0), timeout_s=0.5)
    begin(alone, rollout(50, **fields))
    with Traffic(alone) as traffic:
        found = eventually(lambda: evidence(alone), lambda now: now["state"] == "rolled back", 60)
        since = len(traffic.answers)
        eventually(lambda: len(traffic.answers), lambda count: count > since + 20)
    bad.kill()
    assert found["by"] == "the judge" and found["why"].startswith(why), found["why"]
    assert {status for status, _ in traffic.answers} == ({200, 504} if does == "hangs" else {200})
    assert set(traffic.answers[since + 1 :]) == {(200, "1")}


def test_a_candidate_that_dies_while_it_is_watched_is_rolled_back(alone: GatewayProcess, one: Scorer) -> None:
    """It has passed every step, and gets 95 % of the requests."""
    dying = Scorer("answers")
    alone.route((one, 1), (dying, 0), keep=True)
    begin(alone, rollout(50, failures=0.2, watch_s=3600))
    with Traffic(alone) as traffic:
        watched = eventually(lambda: evidence(alone), lambda now: now["traffic"] == 95, 60)
        assert (watched["state"], watched["step"], watched["steps"]) == ("running", 2, [50, 95])
        assert "The candidate has passed all steps" in watched["next"] and watched["left_s"] > 3500
        dying.kill()
        found = eventually(lambda: evidence(alone), lambda now: now["state"] == "rolled back", 60)
        since = len(traffic.answers)
        eventually(lambda: len(traffic.answers), lambda count: count > since + 20)
    assert found["by"] == "the judge" and found["why"].startswith("Failures: ")
    cut = [status for status, _ in traffic.answers if status != 200]
    assert len(cut) <= 1, (
        "only a request that had begun when the process was killed; the rest is answered by the other"
    )


def test_a_candidate_without_harm_goes_through_the_steps_and_gets_all(
    alone: GatewayProcess, one: Scorer, two: Scorer
) -> None:
    alone.route((one, 1), (two, 0), keep=True)
    begin(alone, rollout(30, 60, 100, failures=0.2))
    with Traffic(alone):
        found = eventually(lambda: evidence(alone), lambda now: now["state"] == "promoted", 90)
    assert alone.ask("/who").body == b"two"
    assert {each["traffic"] for each in found["history"]} == {30, 60, 100}
    assert found["metrics"][0]["high"] <= 0.2 and found["why"].startswith("Every margin is excluded")
    # The next route of the Lab does not take the traffic from it.
    alone.route((one, 1), (two, 0))
    assert alone.ask("/who").body == b"two"
    alone.say({"op": "end", "name": "digits", "id": "r1"})
    assert alone.ask("/who").body == b"one" and not (alone.routes / "digits" / "rollout.json").exists()


def test_a_gateway_that_was_killed_goes_on_from_its_evidence(
    alone: GatewayProcess, one: Scorer, two: Scorer
) -> None:
    alone.route((one, 1), (two, 0), keep=True)
    begin(alone, rollout(50))
    path = alone.routes / "digits" / "evidence.json"

    def written() -> int:
        return sum(arm["requests"] for arm in json.loads(path.read_bytes())["arms"])

    with Traffic(alone):
        counted = eventually(written, lambda count: count > 20, 30)
        alone.end(signal.SIGKILL)
        alone.start()
        found = eventually(lambda: evidence(alone), lambda now: now["arms"][0]["requests"] > counted, 30)
    assert found["state"] == "running" and found["traffic"] == 50


def test_a_gateway_that_was_stopped_for_a_while_takes_nothing_of_it_as_harm(
    alone: GatewayProcess, one: Scorer, two: Scorer
) -> None:
    alone.route((one, 1), (two, 0), timeout_s=2)
    begin(alone, rollout(50))
    with Traffic(alone):
        eventually(lambda: evidence(alone)["arms"][1]["requests"], lambda count: count > 10)
        before = evidence(alone)["elapsed_s"]
        os.kill(alone.process.pid, signal.SIGSTOP)
        began = time.monotonic()
        # The time itself is what is tested: it must be longer than a gap and than the deadline of requests.
        eventually(lambda: time.monotonic() - began, lambda passed: passed > 4)
        os.kill(alone.process.pid, signal.SIGCONT)
        count = evidence(alone)["arms"][1]["requests"]
        found = eventually(lambda: evidence(alone), lambda now: now["arms"][1]["requests"] > count + 10)
    assert found["state"] == "running" and found["elapsed_s"] - before < 3.5
    assert [arm["failures"] for arm in found["arms"]] == [0, 0]


def test_a_wall_clock_that_jumps_changes_no_time_limit(
    folder: Path, tmp_path: Path, one: Scorer, two: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits of keys, the deadline of a request, the time of a rollout, who gets which revision, late outcomes."""
    clock = WallClock(tmp_path)
    for name, value in clock.variables.items():
        monkeypatch.setenv(name, value)
    gateway = GatewayProcess(folder)
    slow = "slow-key"
    keys = [
        {"name": "default", "sha256": sha(KEY)},
        {"name": "slow", "sha256": sha(slow), "limit": 1},
    ]
    accepted = {"name": "accepted", "margin": 0.3}
    try:
        gateway.route((one, 1), (two, 0), keep=True, keys=keys, timeout_s=2)
        begin(gateway, rollout(50, outcomes=[accepted], lasts_s=600))
        assert gateway.ask(key=slow).status == 200
        gateway.ask("/who", X_Request_ID="before")
        for jump in (3600, -3600):
            began = time.monotonic()
            with ThreadPoolExecutor(1) as pool:
                late = pool.submit(gateway.ask, "/slow", b"20")
                eventually(lambda: b"in_flight" in gateway.ask("/metrics", None, "GET", name="").body, bool)
                clock.jump(jump)
                assert late.result().status == 504 and time.monotonic() - began >= 2
            refused = gateway.ask(key=slow)
            assert refused.status == 429 and 0 < int(refused.headers["retry-after"]) <= 60
            found = evidence(gateway)
            assert found["state"] == "running" and 0 < found["elapsed_s"] < 300 and found["left_s"] > 300
        clock.jump(7200)
        gateway.end(signal.SIGKILL)
        gateway.start()
        sent = json.dumps({"request_id": "before", "name": "accepted", "value": 1}).encode()
        assert json.loads(gateway.ask("/feedback", sent).body)["counted"]
        begin(gateway, rollout(50, id="r2", unit="header", header="X-User"))
        who = [gateway.ask("/who", X_User=f"user{number}").body for number in range(10)]
        clock.jump(3600)
        assert [gateway.ask("/who", X_User=f"user{number}").body for number in range(10)] == who
        assert decide(gateway, "rollback", id="r2") == ""
        at = evidence(gateway)["ended_at"] - time.time()
        assert 3500 < at < 3700, "people are shown the wall clock"
    finally:
        gateway.end(signal.SIGKILL)


def test_the_first_of_two_people_decides(alone: GatewayProcess, one: Scorer, two: Scorer) -> None:
    alone.route((one, 1), (two, 0))
    begin(alone, rollout(50))
    refused: list[str] = []

    def say(decision: str, by: str) -> None:
        refused.append(decide(alone, decision, by))

    both = [threading.Thread(target=say, args=each) for each in (("promote", "ada"), ("rollback", "bob"))]
    for each in both:
        each.start()
    for each in both:
        each.join()
    found = evidence(alone)
    who, what = ("ada", "promoted") if found["state"] == "promoted" else ("bob", "rolled back")
    assert sorted(refused) == ["", f"The rollout is {what} already, by {who}."]
    again = {"ada": "promote", "bob": "rollback"}[who]
    assert decide(alone, again, "eve") == ""  # the same decision twice is one
    assert evidence(alone)["by"] == who


def test_without_traffic_it_is_held_when_its_time_is_used_up(
    alone: GatewayProcess, one: Scorer, two: Scorer
) -> None:
    alone.route((one, 1), (two, 0))
    begin(alone, rollout(10, lasts_s=0.5))
    found = eventually(lambda: evidence(alone), lambda now: now["state"] == "held", 20)
    assert found["why"] == "The time is used up (0.000139 h). Excluded so far: nothing about failures."
    assert found["traffic"] == 10 and "A person decides" in found["next"]
    assert decide(alone, "continue") == "" and evidence(alone)["state"] == "running"
    assert decide(alone, "hold") == "" and evidence(alone)["why"] == "ada holds it."
    assert decide(alone, "rollback") == "" and evidence(alone)["traffic"] == 0


def test_a_candidate_that_died_is_rolled_back_and_no_caller_sees_it(
    alone: GatewayProcess, one: Scorer
) -> None:
    dies = Scorer("dies")
    alone.route((one, 1), (dies, 0))
    begin(alone, rollout(50))
    with Traffic(alone, Idempotency_Key="a") as traffic:
        eventually(lambda: len(traffic.answers), lambda count: count > 10)
        dies.kill()
        found = eventually(lambda: evidence(alone), lambda now: now["state"] == "rolled back", 30)
    assert {status for status, _ in traffic.answers} == {200}
    assert found["arms"][1]["failures"] > 0


def test_outcomes_come_late_twice_and_for_unknown_requests(
    alone: GatewayProcess, one: Scorer, two: Scorer
) -> None:
    alone.route((one, 1), (two, 0))
    accepted = {"name": "accepted", "margin": 0.3}
    begin(alone, rollout(50, outcomes=[accepted]))

    def send(id: str, value: object = 1, name: str = "accepted") -> dict[str, Any]:
        given = json.dumps({"request_id": id, "name": name, "value": value}).encode()
        return dict(json.loads(alone.ask("/feedback", given).body))

    harm: list[str] = []
    for number in range(200):
        answered = alone.ask("/who", X_Request_ID=f"r{number}").headers["x-genops-revision"]
        sent = send(f"r{number}", int(answered == "1"))
        if (found := evidence(alone))["state"] == "rolled back":
            harm.append(found["why"])
            break
        assert sent == {"counted": True, "reason": ""}
    assert harm and "Outcome accepted" in harm[0]
    alone.route((one, 1), (two, 0), keep=True)
    begin(alone, rollout(50, outcomes=[accepted], id="r2"))
    for id in ("once", "late"):
        alone.ask("/who", X_Request_ID=id)
    assert send("once")["counted"] and send("once")["reason"] == "This outcome was sent before."
    assert (
        "unknown" in send("nobody")["reason"] and "no outcome 'other'" in send("once", 1, "other")["reason"]
    )
    assert alone.ask("/feedback", b"{}").status == 400 and alone.ask("/feedback", None, "GET").status == 405
    assert alone.ask("/feedback", b"{}", key="wrong").status == 401
    kept = alone.routes / "digits" / "served.log"
    eventually(
        lambda: kept.exists() and kept.read_text(),
        lambda text: text and '"late"' in text and '["once", "accepted"]' in text,
    )
    assert kept.stat().st_mode & 0o777 == 0o600
    with kept.open("a") as stream:
        stream.write('["torn')  # as a kill leaves it
    alone.end(signal.SIGKILL)
    alone.start()
    assert send("once")["reason"] == "This outcome was sent before." and send("late")["counted"]
    assert "unknown" in send("r1")["reason"], "those of another rollout are gone"


def test_users_who_stay_count_once_and_keep_the_candidate(
    alone: GatewayProcess, one: Scorer, two: Scorer
) -> None:
    alone.route((one, 1), (two, 0))
    begin(alone, rollout(30, unit="header", header="X-User", unit_requests=5))
    users = [f"user{number}" for number in range(20)]
    who = {user: {alone.ask("/who", X_User=user).body for _ in range(6)} for user in users}
    assert all(len(each) == 1 for each in who.values())
    found = eventually(lambda: evidence(alone), lambda now: sum(a["requests"] for a in now["arms"]) == 120)
    judge = Judge(Rollout.decode(rollout(30, unit="header")), 0.0)
    assert found["unit"] == "header" and judge.alpha == pytest.approx(0.005)
    begin(alone, rollout(60, id="r2", unit="header", header="X-User"))
    for user in (user for user in users if who[user] == {b"two"}):
        assert alone.ask("/who", X_User=user).body == b"two"


def test_a_shadow_gets_copies_and_no_caller_sees_its_answers(
    alone: GatewayProcess, one: Scorer, two: Scorer
) -> None:
    alone.route((one, 1), (two, 0))
    begin(alone, rollout(kind="shadow", share=100.0))

    def copied(count: int) -> dict[str, Any]:
        return dict(eventually(lambda: evidence(alone)["shadow"], lambda seen: seen["requests"] == count, 20))

    assert {alone.ask("/who").body for _ in range(10)} == {b"one"}
    assert (copied(10)["different"], copied(10)["equal"]) == (10, 0)
    for _ in range(5):
        assert alone.ask("/invocations", b"same").body == b"same"
    seen = copied(15)
    assert (seen["equal"], seen["failed"]) == (5, 0) and seen["seconds"] > 0
    assert alone.ask("/invocations", b'{"tools": []}').status == 200
    assert alone.ask("/invocations", b"x" * 2_000_000).status == 200
    assert alone.ask("/who", None, "GET").body == b"one"
    text = alone.ask("/metrics", None, "GET", name="").body.decode()
    assert 'revision="2"' not in text, "copies are no requests of callers"
    assert copied(15) == seen and evidence(alone)["traffic"] == 0
