"""Start the gateway of this machine, find it again, and give it routes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genops_lab.agent.model_variables import scoring_environment
from genops_lab.core.errors import Failed
from genops_lab.core.locks import FileLock, locked
from genops_lab.core.paths import private_dir, runtime_dir, write_private

from .folders import encoded

START_S = 20.0
ASK_S = 10.0
#: After a start that failed, the next one waits so long.
AGAIN_S = 30.0


class LocalGateway:
    """The gateway of one data folder. All methods block.

    Its process holds the lock of ``folder`` while it runs; so any process can see whether there is one.
    """

    #: After how many seconds without a scoring process it ends.
    empty_s = 30.0

    def __init__(self, folder: Path, routes: Path, tls: Mapping[str, Any] | None = None) -> None:
        self._folder = folder
        self._routes = routes
        #: The certificate, its key, the name and the port for other machines; None without.
        self._tls = dict(tls) if tls else None
        self._is_spec_current = False
        #: Children are kept so that they can be waited for: else they would stay as zombies.
        self._children: list[subprocess.Popen[bytes]] = []
        #: What keeps the gateway from answering; empty if nothing does.
        self.problem = ""
        self._again_at = 0.0

    @property
    def port(self) -> int:
        """The port, which stays the same; 0 before the first start."""
        try:
            return int((self._folder / "port").read_text())
        except (OSError, ValueError):
            return 0

    @property
    def https(self) -> str:
        """The address for other machines; empty if they do not reach the gateway."""
        return f"https://{self._tls['host']}:{self._tls['port']}" if self._tls else ""

    def revival(self) -> dict[str, Any]:
        """Return what a scoring process needs to start a gateway that was killed while there is no Lab."""
        return {
            "lock": str(self._folder / "lock"),
            "argv": self._argv(),
            "log": str(self._folder / "log.txt"),
        }

    def runs(self) -> bool:
        """Return whether there is a gateway."""
        self._children = [each for each in self._children if each.poll() is None]
        if not self._folder.is_dir():
            return False
        lock = FileLock(self._folder / "lock")
        free = lock.try_acquire()
        lock.release()
        return not free

    def keep(self) -> None:
        """Start a gateway that has ended although it has routes; note what keeps it from answering."""
        if time.monotonic() < self._again_at:
            return
        try:
            found = self._started()
        except Failed as error:
            self.problem, self._again_at = error.message, time.monotonic() + AGAIN_S
            return
        port = found.get("waits_for")
        self.problem = (
            f"Another program uses port {port} of the gateway: end that program."
            if port
            else str(found.get("tls_problem") or found.get("disk_problem", ""))
        )

    def set(self, route: Any) -> None:
        """Set a route and wait until all new requests follow it. Raises Failed."""
        self._changed({"op": "set", "route": json.loads(encoded(route))})

    def remove(self, name: str, generation: int) -> None:
        """Remove a route from a gateway that runs."""
        if self.runs():
            with contextlib.suppress(OSError, ValueError):  # it ends with its last route
                self._ask({"op": "remove", "name": name, "generation": generation})

    def ask(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Ask about a rollout. Raises Failed."""
        return self._changed(asked)

    def _changed(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        for last in (False, True):
            self._started()
            try:
                found = self._ask(asked)
            except (OSError, ValueError) as error:
                if last:
                    raise Failed(
                        f"The gateway does not answer: {error}.",
                        hint=f"Its log is {self._folder / 'log.txt'}.",
                    ) from error
                continue
            if "error" in found:
                raise Failed(f"The gateway refused the change: {found['error']}", hint="Update GenOps Lab.")
            return found
        raise AssertionError("The second try returns or raises.")

    def _started(self) -> dict[str, Any]:
        """Return the status of the gateway; start it if there is none. Raises Failed."""
        deadline = time.monotonic() + START_S
        private_dir(self._folder)
        while True:
            with contextlib.suppress(OSError, ValueError):
                found = self._ask({"op": "status"})
                if found.get("port") or found.get("waits_for"):
                    if not self._is_spec_current:  # another Lab wrote it, perhaps with another certificate
                        self._write_spec()
                    return found
            if time.monotonic() > deadline:
                raise Failed(
                    "The gateway of this machine does not start.",
                    hint=f"Its log is {self._folder / 'log.txt'}.",
                )
            if not self.runs():
                with locked(self._folder / "starting.lock"):
                    if not self.runs():
                        self._start()
            time.sleep(0.05)

    def _write_spec(self) -> None:
        spec: dict[str, Any] = {
            "folder": str(self._folder),
            "routes": str(self._routes),
            "socket": str(self._socket()),
            "empty_s": self.empty_s,
        }
        if self._tls:
            spec["tls"] = self._tls
        with contextlib.suppress(OSError):  # a full disk: it starts with the file of before
            write_private(self._folder / "spec.json", encoded(spec))
            self._is_spec_current = True

    def _start(self) -> None:
        self._write_spec()
        with (self._folder / "log.txt").open("ab") as log:
            child = subprocess.Popen(
                self._argv(), cwd=self._folder, env=scoring_environment(os.environ), stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._children.append(child)
        deadline = time.monotonic() + START_S
        while not self.runs() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)

    def _argv(self) -> list[str]:
        return [sys.executable, "-I", "-m", "genops_lab.serving.gateway", str(self._folder / "spec.json")]

    def _socket(self) -> Path:
        """Return a path for a new socket: short, and on a local disk."""
        name = hashlib.sha256(str(self._folder).encode()).hexdigest()[:12]
        return runtime_dir() / f"gateway-{name}.sock"

    def _ask(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        path = json.loads((self._folder / "spec.json").read_bytes())["socket"]
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ASK_S)
            connection.connect(path)
            connection.sendall(json.dumps(dict(asked)).encode() + b"\n")
            with connection.makefile("rb") as lines:
                found = dict(json.loads(lines.readline()))
        if found.get("stopping"):
            raise ConnectionError("it is ending")
        return found
