"""Supervise the MLflow HTTP server for kernels whose mlflow cannot open the embedded file itself.

The Lab holds the listening socket. The server's process starts at the first connection, which waits for it,
and ends when it was unused for long. The next connection starts it again. So its address is known at once,
stays the same, and costs nothing while unused.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from genops_lab.core.errors import Unavailable
from genops_lab.core.locks import FileLock
from genops_lab.core.paths import write_private

HOST = "127.0.0.1"
IDLE_S = 1800.0
_FIRST_PORT, _LAST_PORT = 5601, 5700
_LONGEST_PAUSE_S = 30.0
_STABLE_S = 60.0

log = logging.getLogger("genops_lab")


class MlflowServer:
    """One server for all Labs of a user: the Lab with the lock serves, the others give out its address."""

    #: The command that starts the process.
    program: ClassVar[Iterable[str]] = (sys.executable, "-m", "genops_lab.experiments.server_guard")

    def __init__(
        self, folder: Path, uri: str, artifacts: Path, env: dict[str, str], idle_s: float = IDLE_S
    ) -> None:
        self._key_path, self._port_path = folder / "server.key", folder / "server.port"
        self._log_path = folder / "server.log"
        self._uri = uri
        self._artifacts = artifacts
        self._env = env
        self.idle_s = idle_s
        self._lock = FileLock(folder / "server.lock")
        self._listener: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._serving: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The server's pid while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def is_at(self, uri: str) -> bool:
        """Return whether ``uri`` is the address under which this server was last offered."""
        port = self._last_port()
        return port is not None and uri.rstrip("/") == _address(port)

    async def offer(self) -> tuple[str, str]:
        """Return the address and the key. The process starts at the first connection (some 5 to 20 s)."""
        async with self._beginning:
            if self._serving is None:
                self._serving = await self._begin()
        port = self._last_port()
        if port is None:
            raise Unavailable("Another GenOps Lab of yours is starting the MLflow server.", hint="Try again.")
        return _address(port), await asyncio.to_thread(self._key)

    async def _begin(self) -> asyncio.Task[None]:
        await asyncio.to_thread(self._key)
        if not self._lock.try_acquire():
            return asyncio.get_running_loop().create_task(self._take_over())
        self._listener = await asyncio.to_thread(self._listen)
        return asyncio.get_running_loop().create_task(self._serve(self._listener))

    async def close(self) -> None:
        """End the process and release the port."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving])
            self._serving = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._lock.release()

    async def _take_over(self) -> None:
        """Serve at the same address once the Lab that does so ends."""
        while not self._lock.try_acquire():
            await asyncio.sleep(2)
        self._listener = await asyncio.to_thread(self._listen)
        await self._serve(self._listener)

    async def _serve(self, listener: socket.socket) -> None:
        pause_s = 0.5
        while True:
            await _connection_waits(listener)
            started = time.monotonic()
            code = await self._run(listener)
            if code == 0:
                continue
            pause_s = 0.5 if time.monotonic() - started > _STABLE_S else min(pause_s * 2, _LONGEST_PAUSE_S)
            log.warning(
                "The supervised MLflow server ended with code %s; it may start again in %.0f s. See %s.",
                code,
                pause_s,
                self._log_path,
            )
            await asyncio.sleep(pause_s)

    async def _run(self, listener: socket.socket) -> int:
        """Run the process to its end; cancelling ends the process."""
        descriptor = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self.program,
                f"--fd={listener.fileno()}",
                f"--key-file={self._key_path}",
                f"--idle={self.idle_s}",
                f"--log-file={self._log_path}",
                stdin=asyncio.subprocess.PIPE,
                stdout=descriptor,
                stderr=descriptor,
                pass_fds=(listener.fileno(),),
                env=self._environment(),
            )
        finally:
            os.close(descriptor)
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                await _end(process)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **self._env,
            "_MLFLOW_SERVER_FILE_STORE": self._uri,
            "_MLFLOW_SERVER_REGISTRY_STORE": self._uri,
            "_MLFLOW_SERVER_ARTIFACT_ROOT": str(self._artifacts),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_TRACKING_URI": self._uri,
        }

    def _listen(self) -> socket.socket:
        """Listen on the port of the last time, or on the next free one."""
        last = self._last_port()
        candidates = [*([last] if last else []), *range(_FIRST_PORT, _LAST_PORT), 0]
        for port in candidates:
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError:
                listener.close()
                continue
            listener.listen(128)
            listener.setblocking(False)
            write_private(self._port_path, str(listener.getsockname()[1]))
            return listener
        raise Unavailable(
            "No port is free for the MLflow server.", hint="End some programs that listen on ports."
        )

    def _last_port(self) -> int | None:
        try:
            return int(self._port_path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def _key(self) -> str:
        with contextlib.suppress(OSError):
            if key := self._key_path.read_text(encoding="ascii").strip():
                return key
        write_private(self._key_path, secrets.token_urlsafe(32))
        return self._key_path.read_text(encoding="ascii").strip()


def _address(port: int) -> str:
    return f"http://{HOST}:{port}"


async def _connection_waits(listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    waits = asyncio.Event()
    loop.add_reader(listener, waits.set)
    try:
        await waits.wait()
    finally:
        loop.remove_reader(listener)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close the pipe that the process watches; kill the process if it takes longer than 8 s."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), 8)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
