"""A real JupyterLab in a process of its own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.minutes import shared_process

from .forked_labs import ForkedLab, fork_lab
from .homes import Home
from .mlflow_file import place_store
from .warm import warm_address

#: A server that cannot start ends, which is seen at once; on a machine with other work one that can takes minutes.
START_TIMEOUT_S = 300.0

#: A ``node`` that prints nothing: JupyterLab asks it at each start for npm's registry, half a second of CPU, for builds
#: that no test makes.
NO_NODE = Path(__file__).with_name("no_node")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_ports: list[int] = []


def _port_again() -> int:
    """A free port that a Lab of this process had before, or a new one: a browser keeps what it compiled by address."""
    for port in _ports:
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    _ports.append(free_port())
    return _ports[-1]


@dataclass
class LabServer:
    """A running JupyterLab: its address, token and process."""

    home: Home
    port: int
    base_url: str
    process: subprocess.Popen[bytes] | ForkedLab
    log_path: Path
    token: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def url(self) -> str:
        """The address, with the base URL and a final slash."""
        return f"{self.origin}{self.base_url}"

    @property
    def origin(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        timeout: float = 60,
    ) -> tuple[int, Any]:
        """An authenticated call; the status and the decoded JSON (or text)."""
        given = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path.lstrip("/"), data=data, method=method, headers={**given, **(headers or {})}
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                status, payload = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, payload = error.code, error.read()
        try:
            return status, json.loads(payload) if payload else None
        except ValueError:
            return status, payload.decode(errors="replace")

    def get(self, path: str, **options: Any) -> Any:
        """A GET that must succeed."""
        status, answer = self.request("GET", path, **options)
        assert status == 200, (status, answer, self.log[-3000:])
        return answer

    def stop(self, sign: signal.Signals = signal.SIGINT) -> None:
        """End the server (SIGTERM after 15 s, SIGKILL after 25 s)."""
        for number, wait_s in ((sign, 15), (signal.SIGTERM, 10), (signal.SIGKILL, 10)):
            if self.process.poll() is not None:
                return
            with suppress(ProcessLookupError):
                self.process.send_signal(number)
            if number == signal.SIGINT:
                self.process.send_signal(number)  # the second one answers Jupyter's question
            try:
                self.process.wait(wait_s)
            except subprocess.TimeoutExpired:
                continue


def _configure(home: Home) -> None:
    """Leave out JupyterLab's question about its news, and at each page the check by Node.js whether to build it."""
    page = home.path / "config" / "labconfig" / "page_config.json"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text('{"buildAvailable": false, "buildCheck": false}')
    folder = home.path / "settings" / "@jupyterlab" / "apputils-extension"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )


def start_lab(
    home: Home,
    *,
    base_url: str = "/",
    arguments: Sequence[str] = (),
    env: dict[str, str] | None = None,
    python: str | Path = sys.executable,
    after: LabServer | None = None,
    warm: bool | None = None,
) -> LabServer:
    """Start JupyterLab and wait until it answers; with the port and token of one that ended ``after`` it. A ``warm``
    one is forked (:mod:`.forked_labs`), finds MLflow's file made and its workers are forked (:mod:`.warm`): unasked
    each one that a test starts with its own Python."""
    _configure(home)
    if warm is None:
        warm = "PYTEST_VERSION" in os.environ and python == sys.executable
    if warm and not home.data.exists():
        place_store(home.data)
    port, token = (after.port, after.token) if after else (_port_again(), secrets.token_hex(16))
    log_path = home.path / f"lab-{port}.log"
    by = ("tests.support.warm_lab", warm_address()) if warm else ()
    command = [
        *by, "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0", f"--ServerApp.base_url={base_url}", f"--ServerApp.root_dir={home.work}",
        "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LanguageServerManager.autodetect=False",  # asks npm, 0.2 CPU seconds
        *arguments,
    ]  # fmt: skip
    if os.name == "posix" and os.geteuid() == 0:
        command.append("--allow-root")
    environment = home.environment(JUPYTER_TOKEN=token, **(env or {}))
    if not warm:
        environment["PATH"] = f"{NO_NODE}{os.pathsep}{environment.get('PATH', os.defpath)}"
    process: subprocess.Popen[bytes] | ForkedLab
    with log_path.open("wb") as log:
        if warm and not any(name.startswith("PYTHON") for name in env or ()):
            process = fork_lab(command[1:], home.work, environment, log.fileno())
        else:
            process = subprocess.Popen(
                [str(python), "-m", *command], cwd=home.work, env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
    server = LabServer(home, port, base_url, process, log_path, token)
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"JupyterLab ended at its start:\n{server.log[-5000:]}")
        with suppress(OSError):
            if server.request("GET", "api/status", timeout=2)[0] == 200:
                # Answered when GenOps' services are open, and its socket is there.
                server.request("GET", "genops/status", timeout=START_TIMEOUT_S)
                return server
        time.sleep(0.1)
    server.stop()
    raise RuntimeError(f"JupyterLab did not answer within {START_TIMEOUT_S:.0f} s:\n{server.log[-5000:]}")


@contextmanager
def running_lab(home: Home, **options: Any) -> Iterator[LabServer]:
    """A JupyterLab that is ended afterwards."""
    server = start_lab(home, **options)
    try:
        yield server
    finally:
        server.stop()


class SharedLab:
    """A JupyterLab that modules of tests use one after the other: started when first asked for, and again when dead."""

    def __init__(self, home: Home, **options: Any) -> None:
        self._home = home
        self._options = options
        self._server: LabServer | None = None

    def running(self) -> LabServer:
        """The server, which answers."""
        if self._server is None or self._server.process.poll() is not None:
            self._server = start_lab(self._home, **self._options)
            shared_process("the Lab of tests/ui", self._server.process.pid)
        return self._server

    def is_that(self, server: LabServer) -> bool:
        """Whether this is the shared one."""
        return server is self._server

    def check(self, user: str) -> None:
        """Fail where the server died while ``user`` had it."""
        if self._server is not None and (code := self._server.process.poll()) is not None:
            raise RuntimeError(
                f"the shared JupyterLab died under {user} ({code}):\n{self._server.log[-5000:]}"
            )

    def stop(self) -> None:
        """End the server, if there is one."""
        if self._server is not None:
            self._server.stop()
