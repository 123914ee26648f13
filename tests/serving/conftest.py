"""A gateway as a process, in front of scoring processes without a model."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.rooms import eventually

KEY = "a-key-of-the-callers"
SCORER = Path(__file__).with_name("scorer.py")


class Scorer:
    """A process that answers; ``kill`` ends it at once."""

    def __init__(self, name: str, port: int = 0) -> None:
        self.name, self.key = name, f"of-{name}"
        self.process = subprocess.Popen(
            [sys.executable, str(SCORER), name, self.key, str(port)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Asked:
    """An answer: status, headers in lower case, body."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        self.body = answer.read()

    @property
    def error(self) -> str:
        return str(json.loads(self.body)["message"])


class GatewayProcess:
    """A gateway, its folder and what one says to it."""

    def __init__(self, folder: Path, empty_s: float = 30.0) -> None:
        self.folder = folder
        self.routes = folder / "routes"
        self.routes.mkdir(mode=0o700, exist_ok=True)
        self.socket = folder / "control.sock"
        self.spec = folder / "spec.json"
        spec = {
            "folder": str(folder),
            "socket": str(self.socket),
            "routes": str(self.routes),
            "empty_s": empty_s,
        }
        self.spec.write_text(json.dumps(spec))
        self.generation = 0
        self.start()

    def start(self, *, wait: bool = True) -> None:
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-m", "genops_lab.serving.gateway", str(self.spec)], stderr=log
            )
        if wait:
            eventually(lambda: self.status().get("port"), bool, 20)
            self.port = int(self.status()["port"])

    def status(self) -> dict[str, Any]:
        try:
            return self.say({"op": "status"})
        except OSError:
            return {}

    def say(self, asked: dict[str, Any]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self.socket))
            connection.sendall(json.dumps(asked).encode() + b"\n")
            with connection.makefile() as lines:
                return dict(json.loads(lines.readline()))

    def route(
        self, *scorers: tuple[Scorer, int], name: str = "digits", keep: bool = False, **fields: Any
    ) -> dict[str, Any]:
        """Set a route to scorers with weights, the first being revision 1; ``keep`` writes its file too."""
        self.generation += 1
        keys = fields.pop("keys", [{"name": "default", "sha256": sha(KEY)}])
        revisions = [
            {"id": at, "number": at, "port": each.port, "key": each.key, "weight": weight}
            for at, (each, weight) in enumerate(scorers, 1)
        ]
        route = {"name": name, "generation": self.generation, "revisions": revisions, "keys": keys, **fields}
        if keep:
            (self.routes / name).mkdir(exist_ok=True)
            (self.routes / name / "route.json").write_text(json.dumps(route))
        answer = self.say({"op": "set", "route": route})
        assert answer == {"applied": True, "generation": self.generation}, answer
        return route

    def ask(self, path: str = "/invocations", body: bytes | None = b"1", method: str = "POST", *,
            key: str | None = KEY, name: str = "digits", **headers: str) -> Asked:  # fmt: skip
        given = {each.replace("_", "-"): value for each, value in headers.items()}
        if key is not None:
            given["Authorization"] = f"Bearer {key}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, f"/{name}{path}" if name else path, body, given)
            return Asked(connection.getresponse())
        finally:
            connection.close()

    def raw(self, *parts: bytes, timeout_s: float = 10) -> bytes:
        """Everything that comes back for these bytes until the gateway closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
            for part in parts:
                connection.sendall(part)
            found = b""
            try:
                while data := connection.recv(65536):
                    found += data
            except ConnectionError:
                pass
            return found

    def end(self, how: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, how)
        self.process.wait(15)


def sha(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gol-gateway-") as found:
        yield Path(found)


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with tempfile.TemporaryDirectory(prefix="gol-gateway-") as found:
        process = GatewayProcess(Path(found))
        yield process
        log = (Path(found) / "log.txt").read_text()
        process.end()
        assert "Traceback" not in log, log


@pytest.fixture(scope="module")
def one() -> Iterator[Scorer]:
    scorer = Scorer("one")
    yield scorer
    scorer.kill()


@pytest.fixture(scope="module")
def two() -> Iterator[Scorer]:
    scorer = Scorer("two")
    yield scorer
    scorer.kill()
