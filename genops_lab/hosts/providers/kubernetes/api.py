"""The Lab's side of the process that talks to an API server: one process for each context, started when needed."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future
from typing import Any

from ..process_stream import visible_environment
from .config import KubernetesConfig
from .errors import error_of

_PROGRAM = (
    "import sys; sys.path = [entry for entry in sys.path if entry];"
    "from genops_lab.hosts.providers.kubernetes.api_child import main;"
    "main(int(sys.argv[1]), sys.argv[2], sys.argv[3])"
)
_MOST_S = 60.0


class _Process:
    """A process and the requests that wait for its answers. Methods may be called from any thread."""

    def __init__(self, kubeconfig: str, context: str) -> None:
        near, far = socket.socketpair()
        self._socket = near
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._number = 0
        self._changes: dict[tuple[str, str], int] = {}
        self._told: dict[tuple[str, str], set[Future[None]]] = {}
        self.ended = False
        self.owner = os.getpid()
        with far:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(far.fileno()), kubeconfig, context],
                pass_fds=[far.fileno()],
                stdin=subprocess.DEVNULL,
                env=visible_environment(),
                start_new_session=True,
            )
        threading.Thread(target=self._read, daemon=True).start()

    def request(self, op: str, params: dict[str, Any]) -> Future[dict[str, Any]]:
        """Send a request. Its result is the answer; ConnectionError where the process has ended."""
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            if self.ended:
                raise ConnectionError("the process has ended")
            self._number += 1
            number = self._number
            self._waiting[number] = future
            self._socket.sendall(json.dumps({"id": number, "op": op, **params}).encode() + b"\n")
        return future

    def changes(self, pod: tuple[str, str]) -> int:
        """Return how many changes of a pod (namespace, name) were told."""
        with self._lock:
            return self._changes.get(pod, 0)

    def change_after(self, pod: tuple[str, str], count: int) -> Future[None]:
        """Return what is done once more than ``count`` changes of a pod were told; never, if the process ends."""
        future: Future[None] = Future()
        with self._lock:
            if self._changes.get(pod, 0) > count:
                future.set_result(None)
            else:
                self._told.setdefault(pod, set()).add(future)
        return future

    def forget(self, pod: tuple[str, str], future: Future[None]) -> None:
        """Take back :meth:`change_after`."""
        with self._lock:
            self._told.get(pod, set()).discard(future)

    def _take(self, message: dict[str, Any]) -> None:
        if "changed" in message:
            namespace, name = message["changed"]
            with self._lock:
                self._changes[namespace, name] = self._changes.get((namespace, name), 0) + 1
                told = self._told.pop((namespace, name), set())
            for each in told:
                if each.set_running_or_notify_cancel():
                    each.set_result(None)
            return
        with self._lock:
            future = self._waiting.pop(message["id"], None)
        if future is not None and future.set_running_or_notify_cancel():
            future.set_result(message)

    def _read(self) -> None:
        buffer = b""
        try:
            while data := self._socket.recv(1 << 18):
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self._take(json.loads(line))
        except OSError:
            pass
        with self._lock:
            self.ended = True
            waiting, self._waiting = list(self._waiting.values()), {}
        self._socket.close()
        self._process.wait()
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(ConnectionError("the process has ended"))


_processes: dict[tuple[str, str], _Process] = {}
_lock = threading.Lock()


def _process(kubeconfig: str, context: str) -> _Process:
    """Return the process of a context, started where there is none. Blocks."""
    with _lock:
        found = _processes.get((kubeconfig, context))
        if found is None or found.ended or found.owner != os.getpid():
            found = _processes[(kubeconfig, context)] = _Process(kubeconfig, context)
        return found


def is_connected(config: KubernetesConfig) -> bool:
    """Return whether the process of the context runs: a request then starts nothing, and no plugin asks anybody."""
    found = _processes.get((config.kubeconfig, config.context))
    return found is not None and not found.ended and found.owner == os.getpid()


def changes(config: KubernetesConfig, name: str) -> int:
    """Return how many changes of a pod were told so far."""
    found = _processes.get((config.kubeconfig, config.context))
    return 0 if found is None else found.changes((config.namespace, name))


async def change_after(config: KubernetesConfig, name: str, count: int) -> None:
    """Wait until more than ``count`` changes of a pod were told. Never returns where no process runs."""
    found, pod = _processes.get((config.kubeconfig, config.context)), (config.namespace, name)
    if found is None:
        await asyncio.Event().wait()
        return
    future = found.change_after(pod, count)
    try:
        await asyncio.wrap_future(future)
    finally:
        found.forget(pod, future)


async def ask(target: str, config: KubernetesConfig, op: str, **params: Any) -> Any:
    """Return the result of a request to the API server. Raises KubernetesError."""
    for last in (False, True):
        try:
            process = await asyncio.to_thread(_process, config.kubeconfig, config.context)
            waiting = asyncio.wrap_future(process.request(op, params))
            answer = await asyncio.wait_for(waiting, _MOST_S)
        except asyncio.TimeoutError:
            answer = {"error": {"kind": "unreachable", "message": f"no answer within {_MOST_S:.0f} s"}}
        except (ConnectionError, OSError) as error:
            if not last:
                continue  # it had nothing to do for a while
            answer = {"error": {"kind": "unreachable", "message": f"the client's process ended: {error}"}}
        break
    if "error" in answer:
        raise error_of(answer["error"], target, config)
    return answer["result"]
