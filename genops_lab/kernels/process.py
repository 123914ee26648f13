"""Share the kernels on targets, and the additions to this machine's kernels, with the provisioners of this
process.

Jupyter makes provisioners by the names in kernelspecs and passes them nothing.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_client.connect import KernelConnectionInfo

from ..core.paths import data_dir
from ..hosts.link.connections import HostConnections
from .remote_kernels import RemoteKernels
from .target_entry import TargetEntry
from .terminal_questions import asker_of_this_process

if TYPE_CHECKING:
    from ..core.errors import GenOpsError

#: Seconds that a kernel waits for a server to open its services.
OPENS_WITHIN_S = 15.0


@dataclass(frozen=True)
class MlflowVariables:
    """``of(version)``: the variables that lead ``mlflow.*`` calls to the tracking store, for a kernel with
    this version of MLflow (empty: without). Raises GenOpsError."""

    of: Callable[[str], Awaitable[Mapping[str, str]]]


@dataclass(frozen=True)
class KernelHost:
    """The Lab that kernels of this machine belong to."""

    data_dir: Path
    socket_path: Path
    mlflow: MlflowVariables


class KeptKernel(Protocol):
    """Starts and ends a kernel in Jupyter's place: the used part of a provisioner."""

    @property
    def has_process(self) -> bool: ...
    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]: ...
    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo: ...
    async def poll(self) -> int | None: ...
    async def wait(self) -> int | None: ...
    async def send_signal(self, signum: int) -> None: ...
    async def shutdown_requested(self, restart: bool = False) -> None: ...
    async def terminate(self, restart: bool = False) -> None: ...
    async def kill(self, restart: bool = False) -> None: ...
    async def cleanup(self, restart: bool = False) -> None: ...
    def get_shutdown_wait_time(self, recommended: float = 5.0) -> float: ...


class KernelKeeper(Protocol):
    """Keeps kernels of this machine (:class:`genops_lab.kernels.local_agent.LocalAgent`)."""

    def finds(self, kernel_id: str) -> bool:
        """Return whether the next start of this kernel attaches to a running one."""
        ...

    def takes(self, manager: Any) -> bool:
        """Return whether this manager's kernel shall be kept."""
        ...

    def provisioner(self, manager: Any, kernel_spec: Any) -> KeptKernel:
        """Return the provisioner for a kept kernel."""
        ...

    def gives_up(self, error: GenOpsError) -> bool:
        """Return whether Jupyter may start the kernel after this error."""
        ...


class ProcessKernels:
    """May be used from any thread and event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._remote: RemoteKernels | None = None
        #: whether ``_remote`` belongs to this process's services
        self._is_theirs = False
        self._pid = 0
        self._host: KernelHost | None = None
        #: keeps kernels of this machine that start from now on; None: Jupyter itself
        self.keeper: KernelKeeper | None = None
        #: what each kernel gets of the operator's settings
        self.variables: Mapping[str, str] = {}
        self._expected_until = 0.0
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = set()

    def expect(self) -> None:
        """Announce services: kernels that start meanwhile wait briefly for them."""
        self._expected_until = time.monotonic() + OPENS_WITHIN_S

    def use(self, remote: RemoteKernels) -> None:
        """Set the services' kernels on targets."""
        with self._lock:
            self._remote, self._is_theirs, self._pid = remote, True, os.getpid()
        self._wake()

    def open(self, host: KernelHost) -> None:
        """Set the Lab that kernels of this machine belong to from now on."""
        self._host = host
        self._wake()

    def leave(self) -> None:
        """Remove the services, which close or cannot be opened: later kernels get nothing from them."""
        self._host = self.keeper = None
        self.variables = {}
        self._expected_until = 0.0
        self._wake()

    @property
    def host(self) -> KernelHost | None:
        """Return the Lab that kernels of this machine belong to; None without one, or before it is open."""
        return self._host

    @property
    def remote(self) -> RemoteKernels:
        """Return the kernels on targets; without services they are made at the first use, for a user at a
        terminal."""
        with self._lock:
            if self._remote is None or self._pid != os.getpid() or self._remote.links.closed:
                folder = data_dir()
                links = HostConnections(folder, asker_of_this_process())
                self._remote, self._is_theirs = RemoteKernels(links, _finder(folder)), False
                self._pid = os.getpid()
            return self._remote

    async def host_when_open(self) -> KernelHost | None:
        """Return :attr:`host`; wait for services that are about to open."""
        await self._while_expected(lambda: self._host is not None)
        return self._host

    async def remote_when_open(self) -> RemoteKernels:
        """Return :attr:`remote`; wait for services that are about to open."""
        await self._while_expected(
            lambda: self._is_theirs and self._remote is not None and not self._remote.links.closed
        )
        return await asyncio.to_thread(lambda: self.remote)

    async def _while_expected(self, there: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        while not there() and (left_s := self._expected_until - time.monotonic()) > 0:
            waiting = loop, loop.create_future()
            self._waiting.add(waiting)
            if not there():  # it may have come before the wait began
                await asyncio.wait([waiting[1]], timeout=left_s)
            self._waiting.discard(waiting)

    def _wake(self) -> None:
        for loop, waiting in list(self._waiting):
            if not loop.is_closed():
                loop.call_soon_threadsafe(_set, waiting)


def _set(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _finder(folder: Path) -> Callable[[str], TargetEntry]:
    """Return a function that finds targets in the user's store, for a process without services."""

    def find(name: str) -> TargetEntry:
        from ..core.store import LocalStore
        from ..hosts.ledger import Ledger

        store = LocalStore(folder / "store.db")
        try:
            return Ledger(store).get(name)
        finally:
            store.close()

    return find


#: The object of this process.
PROCESS = ProcessKernels()
