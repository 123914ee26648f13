"""A user's machine with a target, for tests that start real kernels on it in the test's own process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient, KernelManager

from genops_lab.core.errors import GenOpsError
from genops_lab.hosts.link.connection import HostConnection
from genops_lab.hosts.link.connections import HostConnections
from genops_lab.hosts.link.questions import Nobody
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.link.state import RemoteError
from genops_lab.hosts.models import TargetPolicy
from genops_lab.hosts.providers import route_of
from genops_lab.kernels import kernelspecs, process
from genops_lab.kernels.client.client import RemoteKernelClient
from genops_lab.kernels.remote_kernels import RemoteKernels
from tests.support.homes import Home

DEADLINE_S = 60.0
TARGET = "gpu"


class Place:
    """``remote`` is this process's; ``route`` leads to the target."""

    def __init__(self, home: Home, route: Route, secrets: list[str] | None = None) -> None:
        self.home = home
        self.route = route
        self.secrets = secrets or []
        self.policy = TargetPolicy()
        self.price_per_hour: float | None = None
        kernelspecs.install_kernelspec(route.target)
        self.remote = self._new()

    def _new(self) -> RemoteKernels:
        remote = RemoteKernels(HostConnections(self.home.data, Nobody()), self._entry)
        process.PROCESS.use(remote)
        return remote

    def new_process(self) -> RemoteKernels:
        """As if the process had ended (unannounced, as far as kernels are concerned) and another had begun."""
        self.remote.links.close()
        self.remote = self._new()
        return self.remote

    def _entry(self, _name: str) -> Any:
        return SimpleNamespace(
            route=self.route,
            secrets=self.secrets,
            policy=self.policy,
            price_per_hour=self.price_per_hour,
        )

    def do(self, work: Any) -> Any:
        """Run in the links' loop."""
        return self.remote.links.submit(work).result(DEADLINE_S)

    def call(self, method: str, **params: Any) -> Any:
        """Ask the target's agent."""
        link = self.remote.links.link(self.route)
        self.do(link.up())
        return self.do(link.call(method, params))

    def manager(self, kernel_id: str | None = None, **traits: Any) -> KernelManager:
        """A manager of a kernel on the target."""
        made = KernelManager(kernel_name=kernelspecs.name_of(self.route.target), **traits)
        made.kernel_id = kernel_id or str(uuid.uuid4())
        return made

    def bridge(self, manager: KernelManager) -> RemoteKernelClient:
        """The manager's bridge."""
        return self.remote.bridges[str(manager.kernel_id)]

    def close(self) -> None:
        """End every kernel there, and all connections."""
        with contextlib.suppress(GenOpsError):
            self.call("kernels.warm", argv=kernelspecs.ARGV, count=0)
            for info in self.call("kernels.list"):
                if info["state"] == "running":
                    self.call("kernels.stop", kernel_id=info["kernel_id"], grace_s=0)
        self.remote.links.close()


@contextmanager
def a_place(home: Home, route: Route | None = None, secrets: list[str] | None = None) -> Iterator[Place]:
    """A place whose variables this process has meanwhile. Without a route the target is this machine."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(home.environment())
    try:
        home.data.mkdir(parents=True, exist_ok=True)
        place = Place(home, route or route_of(target=TARGET, kind="local", python=sys.executable), secrets)
        try:
            yield place
        finally:
            place.close()
    finally:
        os.environ.clear()
        os.environ.update(before)


class Running:
    """A started kernel and a client of it."""

    def __init__(self, place: Place, manager: KernelManager) -> None:
        self.place = place
        self.manager = manager
        self.client: BlockingKernelClient = manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=DEADLINE_S)

    @property
    def bridge(self) -> RemoteKernelClient:
        """Its bridge."""
        return self.place.bridge(self.manager)

    def run(self, code: str, timeout_s: float = DEADLINE_S) -> tuple[dict[str, Any], str]:
        """Run a cell to its end: the reply's content, and what it printed."""
        return self.finish(self.client.execute(code), timeout_s)

    def printed(self, msg_id: str) -> str:
        """Wait for the next piece that a cell prints."""
        while True:
            message = self.client.get_iopub_msg(timeout=DEADLINE_S)
            if message["parent_header"].get("msg_id") == msg_id and message["msg_type"] == "stream":
                return str(message["content"]["text"])

    def rest(self, msg_id: str) -> str:
        """What a cell of an ended kernel printed that was not read yet."""
        printed = []
        with contextlib.suppress(queue.Empty):
            while True:
                message = self.client.get_iopub_msg(timeout=1)
                if message["parent_header"].get("msg_id") == msg_id and message["msg_type"] == "stream":
                    printed.append(message["content"]["text"])
        return "".join(printed)

    def finish(self, msg_id: str, timeout_s: float = DEADLINE_S) -> tuple[dict[str, Any], str]:
        """Wait for the end of a cell."""
        printed, idle = [], False
        deadline = time.monotonic() + timeout_s
        while not idle:
            message = self.client.get_iopub_msg(timeout=max(deadline - time.monotonic(), 0))
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])
            idle = message["content"].get("execution_state") == "idle"
        while True:
            reply = self.client.get_shell_msg(timeout=max(deadline - time.monotonic(), 0))
            if reply["parent_header"].get("msg_id") == msg_id:
                return reply["content"], "".join(printed)

    def close(self) -> None:
        """Shut down."""
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)


@contextmanager
def a_kernel(place: Place, kernel_id: str | None = None, **start: Any) -> Iterator[Running]:
    """A kernel on the target, with a client, shut down afterwards."""
    manager = place.manager(kernel_id)
    manager.start_kernel(**start)
    running = Running(place, manager)
    try:
        yield running
    finally:
        running.close()


def cut_starts(monkeypatch: pytest.MonkeyPatch, cut: Callable[[], Any]) -> list[str]:
    """Cut the connection in the next three starts of kernels, two before the host begins and one before it answers. The
    list grows with each."""
    begun: list[str] = []
    whole = HostConnection.call

    async def call(link: HostConnection, method: str, *params: Any, **options: Any) -> Any:
        if method != "kernels.start" or len(begun) == 3:
            return await whole(link, method, *params, **options)
        begun.append(method)
        if len(begun) == 3:
            await whole(link, method, *params, **options)
        await asyncio.to_thread(cut)
        raise RemoteError("gone", "The connection broke.")

    monkeypatch.setattr(HostConnection, "call", call)
    return begun


class Collector:
    """A tap that remembers."""

    def __init__(self) -> None:
        self.records: list[tuple[int, int, list[bytes]]] = []
        self.crowded = False
        self.changed = threading.Condition()

    def record(self, kernel_id: str, seq: int, channel: int, timestamp: float, frames: list[bytes]) -> None:
        with self.changed:
            self.records.append((seq, channel, frames))
            self.changed.notify_all()

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait for a record that makes this true."""
        with self.changed:
            assert self.changed.wait_for(reached, DEADLINE_S), len(self.records)


def wait(reached: Callable[[], Any], what: str = "", deadline_s: float = DEADLINE_S) -> None:
    """Look again until it is so."""
    deadline, pause_s = time.monotonic() + deadline_s, 0.01
    while not reached():
        assert time.monotonic() < deadline, what or "it did not happen in time"
        time.sleep(pause_s)
        pause_s = min(1.3 * pause_s, 0.1)
