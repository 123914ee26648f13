"""Start the gateway of this host, find it again, and give it routes.

The gateway (``genops_lab.serving.gateway``) came with the files of a revision, and runs in the Python of one: with the
standard library and httptools alone. It holds a lock while it runs. Scoring processes start it again if it was killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List

from .deployment_files import is_locked, read, write
from .deployment_tls import of_host
from .detached import outliving, reap
from .model_variables import scoring_environment
from .paths import private_folder, socket_folder

START_S = 20.0
ASK_S = 10.0
_PAUSE_S = 0.05


class GatewayRefused(Exception):
    """The gateway did not start, or refused a route; the message says which."""


class GatewayAway(GatewayRefused):
    """The gateway did not answer; a scoring process starts it again."""


class HostGateway:
    """The gateway in front of all deployments in ``routes``. All methods block."""

    def __init__(self, routes: Path) -> None:
        self._routes = routes
        self._folder = routes / ".gateway"

    @property
    def port(self) -> int:
        """The port on loopback, which stays the same; 0 before the first start."""
        try:
            return int((self._folder / "port").read_text())
        except (OSError, ValueError):
            return 0

    @property
    def code(self) -> str:
        """The name of the folder with the code that it was started from."""
        return str((read(self._folder / "spec.json") or {}).get("code", ""))

    @property
    def runs(self) -> bool:
        """Whether there is a gateway."""
        return is_locked(self._folder / "lock")

    def problem(self, *, tls: bool = False) -> str:
        """Return what keeps the gateway from answering, with ``tls`` also other machines; empty if nothing does."""
        try:
            found = self._ask({"op": "status"})
        except (OSError, ValueError):
            return "The gateway of the host does not answer; a scoring process starts it again."
        port = found.get("waits_for")
        if port:
            return f"Another program on the host uses port {port} of the gateway: end that program."
        return str(found.get("disk_problem") or (tls and found.get("tls_problem")) or "")

    def keep_tls(self) -> None:
        """Write the port for other machines where the gateway looks for it each second."""
        spec, tls = read(self._folder / "spec.json"), of_host(self._routes)
        if spec is not None and spec.get("tls") != tls:
            spec.pop("tls", None)
            with contextlib.suppress(OSError):  # a full disk: the port stays as it is
                write(self._folder / "spec.json", {**spec, **({"tls": tls} if tls else {})})

    def revival(self, interpreter: str, code: Path) -> Dict[str, Any]:
        """Return what a scoring process needs to start a gateway that was killed."""
        return {
            "lock": str(self._folder / "lock"),
            "argv": self._argv(interpreter, code),
            "log": str(self._folder / "log.txt"),
        }

    def set(self, route: Dict[str, Any], interpreter: str, code: Path) -> None:
        """Set a route and wait until all new requests follow it. Raises GatewayRefused."""
        for last in (False, True):
            self._start(interpreter, code)
            try:
                self.ask({"op": "set", "route": route})
                return
            except GatewayAway:
                if last:
                    raise

    def ask(self, asked: Dict[str, Any]) -> Dict[str, Any]:
        """Ask a gateway that runs. Raises GatewayRefused."""
        try:
            found = self._ask(asked)
        except (OSError, ValueError) as error:
            raise GatewayAway(f"The gateway of the host does not answer: {error}.") from error
        if "error" in found:
            raise GatewayRefused(f"The gateway of the host refused the change: {found['error']}")
        return found

    def remove(self, name: str, generation: int) -> None:
        """Remove a route from a gateway that runs."""
        if self.runs:
            with contextlib.suppress(OSError, ValueError):  # it ends with its last route
                self._ask({"op": "remove", "name": name, "generation": generation})

    def _start(self, interpreter: str, code: Path) -> None:
        """Start the gateway if there is none, and wait until it answers."""
        private_folder(str(self._folder))
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError, ValueError):
                found = self._ask({"op": "status"})
                if found.get("port") or found.get("waits_for"):
                    return
            if time.monotonic() > deadline:
                raise GatewayRefused(f"The gateway of the host does not start.{self._last_words()}")
            if not self.runs:
                self._launch(interpreter, code)
            time.sleep(_PAUSE_S)

    def _launch(self, interpreter: str, code: Path) -> None:
        spec: Dict[str, Any] = {
            "folder": str(self._folder),
            "routes": str(self._routes),
            "socket": self._socket(),
            "code": code.name,
        }
        tls = of_host(self._routes)
        if tls:
            spec["tls"] = tls
        with contextlib.suppress(OSError):  # a full disk: it starts with the file of before
            write(self._folder / "spec.json", spec)
        with (self._folder / "log.txt").open("ab") as log:
            child = subprocess.Popen(
                outliving(self._argv(interpreter, code), "gateway"), cwd=str(self._folder),
                env=scoring_environment(os.environ),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        reap(child)
        deadline = time.monotonic() + START_S
        while not self.runs and child.returncode is None and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = (self._folder / "log.txt").read_text("utf-8", "replace").splitlines()
            return f" Its log ends: {lines[-1][:300]}" if lines else ""
        return ""

    def _argv(self, interpreter: str, code: Path) -> List[str]:
        return [interpreter, "-I", str(code), str(self._folder / "spec.json")]

    def _socket(self) -> str:
        """Return a path for the socket: short, and on a local disk."""
        name = hashlib.sha256(str(self._folder).encode()).hexdigest()[:12]
        return os.path.join(socket_folder(str(self._folder)), f"gateway-{name}.sock")

    def _ask(self, asked: Dict[str, Any]) -> Dict[str, Any]:
        path = json.loads((self._folder / "spec.json").read_bytes())["socket"]
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ASK_S)
            connection.connect(path)
            connection.sendall(json.dumps(asked).encode() + b"\n")
            with connection.makefile("rb") as lines:
                found = dict(json.loads(lines.readline()))
        if found.get("stopping"):
            raise ConnectionError("it is ending")
        return found
