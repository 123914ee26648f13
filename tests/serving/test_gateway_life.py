"""The gateway's process: killed and started again on its port, alone, ended with the last scorer; no request lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import runs
from tests.support.rooms import eventually

from .callers import calling
from .conftest import KEY, GatewayProcess, Scorer
from .test_rollouts import begin, evidence, rollout


@pytest.fixture
def own(folder: Path) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(folder)
    yield gateway
    gateway.end(signal.SIGKILL)


def test_a_killed_gateway_is_back_on_its_port_with_its_routes(own: GatewayProcess, one: Scorer) -> None:
    own.route((one, 1), keep=True)
    assert own.ask().status == 200
    port = own.port
    own.end(signal.SIGKILL)
    own.start()
    assert own.port == port and own.status()["generations"] == {"digits": own.generation}
    assert own.ask().status == 200
    own.socket.unlink()  # as a cleaner of /tmp does
    eventually(own.status, bool, 5)
    second = GatewayProcess.__new__(GatewayProcess)
    second.folder, second.spec = own.folder, own.spec
    second.start(wait=False)
    assert second.process.wait(20) == 0, "one gateway a folder"
    assert own.ask().status == 200
    own.end()
    assert own.process.returncode == 0 and not own.socket.exists()


def test_a_port_that_another_program_took_is_waited_for(own: GatewayProcess, one: Scorer) -> None:
    own.route((one, 1), keep=True)
    own.end(signal.SIGKILL)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", own.port))
        other.listen()
        own.start(wait=False)
        assert eventually(lambda: own.status().get("waits_for"), bool, 20) == own.port
    eventually(lambda: own.status().get("port"), lambda port: port == own.port, 10)
    assert own.ask().status == 200
    own.end(signal.SIGKILL)
    (own.routes / "digits" / "route.json").unlink()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", own.port))
        other.listen()
        before = own.port
        own.start()
        assert own.port != before, "nobody has an address of it: it takes another one"


def test_it_ends_some_time_after_the_last_scorer(folder: Path) -> None:
    scorer = Scorer("last")
    gateway = GatewayProcess(folder, empty_s=2)
    gateway.route((scorer, 1))
    with pytest.raises(Exception, match="timed out"):
        gateway.process.wait(4)
    scorer.kill()
    assert gateway.process.wait(20) == 0


def test_requests_under_way_are_answered_at_a_stop(own: GatewayProcess, one: Scorer) -> None:
    own.route((one, 1))
    head = b"POST /digits/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nAuthorization: Bearer "
    with socket.create_connection(("127.0.0.1", own.port), timeout=10) as connection:
        connection.sendall(head + KEY.encode() + b"\r\n\r\n1")
        eventually(
            lambda: b'in_flight{deployment="digits"} 1' in own.ask("/metrics", None, "GET", name="").body,
            bool,
        )
        own.process.terminate()
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert own.process.wait(20) == 0


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """The folder on a file system of 192 kB."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or not mount or not umount:
        pytest.skip("only root can mount the small disk that this test fills")
    tried = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=192k", "none", str(folder)], capture_output=True
    )
    if tried.returncode != 0:
        pytest.skip("this machine lets nobody mount the small disk that this test fills")
    try:
        yield folder
    finally:
        subprocess.run([umount, "-l", str(folder)], check=True)


def test_a_disk_that_is_full_stops_no_answers_and_evidence_catches_up(
    small_disk: Path, one: Scorer, two: Scorer
) -> None:
    gateway, filler = GatewayProcess(small_disk), small_disk / "filler"
    kept = gateway.routes / "digits"
    accepted = {"name": "accepted", "margin": 0.3}

    def ids() -> str:
        log = kept / "served.log"
        return log.read_text() if log.exists() else ""

    def counted() -> int:
        return sum(arm["requests"] for arm in json.loads((kept / "evidence.json").read_bytes())["arms"])

    try:
        gateway.route((one, 1), (two, 0), keep=True)
        begin(gateway, rollout(50, outcomes=[accepted]))
        gateway.ask(X_Request_ID="before")
        eventually(ids, lambda text: '"before"' in text)
        with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as stream:
            while True:
                stream.write(b"x" * 512)
        asked = [gateway.ask(X_Request_ID=f"full{number}").status for number in range(400)]
        assert set(asked) == {200}
        said = lambda: gateway.status()["disk_problem"]  # noqa: E731
        assert eventually(said, bool, 10).startswith("Cannot write the evidence of digits: No space left")
        gateway.route((one, 2), (two, 0))
        assert evidence(gateway)["state"] == "running" and counted() < 2
        filler.unlink()
        eventually(said, lambda text: not text, 10)
        assert counted() == 401
        assert all(f'["full{number}", ' in ids() for number in range(400)), "the journal has each request"
        assert [line for line in ids().splitlines() if line[-1] not in '"]'] == []
        assert "is written again" in (small_disk / "log.txt").read_text()
        filler.write_bytes(b"x" * 2048)
        with pytest.raises(OSError, match="No space"), filler.open("ab", buffering=0) as stream:
            while True:
                stream.write(b"x" * 512)
        port = gateway.port
        gateway.end(signal.SIGKILL)
        gateway.start()
        assert gateway.ask().status == 200 and gateway.port == port
        assert evidence(gateway)["state"] == "running"
    finally:
        gateway.end(signal.SIGKILL)


def test_no_request_fails_over_changes_of_weights_and_a_killed_scorer(
    gateway: GatewayProcess, one: Scorer, two: Scorer
) -> None:
    third = Scorer("third")
    gateway.route((one, 1), (two, 0), (third, 0))
    chance = random.Random(1)
    with calling(gateway.port, "/digits/invocations", KEY) as callers:
        for _ in range(20):
            gateway.route(*((each, chance.randint(0, 5)) for each in (one, two)), (third, 1))
            done = callers.done
            eventually(lambda done=done: callers.done, lambda now, done=done: now > done + 20)
        gateway.route((one, 0), (two, 0), (third, 1))
        done = callers.done
        eventually(lambda: callers.done, lambda now: now > done + 50)
        third.kill()
        done = callers.done
        eventually(lambda: callers.done, lambda now: now > done + 100)
    assert callers.failed == [] and not runs(third.process.pid)
    assert set(callers.answers) == {"1", "2", "3"}, callers.answers
