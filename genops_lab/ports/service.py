"""Open ports of programs on hosts at JupyterLab's own address."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genops_lab.core.errors import Conflict, GenOpsError, NotFound, Unavailable
from genops_lab.core.paths import runtime_dir
from genops_lab.core.services import Service
from genops_lab.hosts.link.forwarding import forward
from genops_lab.kernels.named_hosts import kernel_named

from .models import ListeningPort, OpenedPort, OpenPort, PortsQuery

if TYPE_CHECKING:
    from genops_lab.core.events import EventBus
    from genops_lab.core.settings import Settings
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.hosts.models import RemoteKernel
    from genops_lab.hosts.service import TargetsService
    from genops_lab.kernels.remote_service import RemoteKernelsService

EVENT = "port"
#: The path below JupyterLab's base URL.
PORTS_PATH = "genops/ports"
#: Seconds that a request waits for a connection that was cut.
PATIENCE_S = 15.0


class Forward:
    """An open port: a socket of this machine that only this user can use, and an HTTP client for it."""

    def __init__(self, opened: OpenedPort, client: Any, file: Path, accepting: Future[None]) -> None:
        self.opened = opened
        self.client = client
        #: Why the last connection was refused.
        self.refusal: GenOpsError | None = None
        self._file = file
        self._accepting = accepting

    def refused(self, reason: GenOpsError) -> None:
        """Remember why a connection was refused."""
        self.refusal = reason

    def failure(self, error: Exception) -> GenOpsError:
        """Return what a caller is told when the program did not answer."""
        return self.refusal or Unavailable(
            f"The program on port {self.opened.port} of {self.opened.target} ended the connection: {error}.",
            hint="Look at the output of the program.",
        )

    async def close(self) -> None:
        """Listen no more."""
        self._accepting.cancel()
        with contextlib.suppress(OSError):
            self._file.unlink()
        await self.client.aclose()


class PortsService(Service):
    """Keeps the ports that this JupyterLab passes on; they are closed with it."""

    def __init__(
        self, settings: Settings, events: EventBus, targets: TargetsService, kernels: RemoteKernelsService
    ) -> None:
        self._settings = settings
        self._events = events
        self._targets = targets
        self._kernels = kernels
        self._open: dict[tuple[str, str], Forward] = {}

    async def list_ports(self, query: PortsQuery) -> list[ListeningPort]:
        """Return the ports on which processes of kernels listen; with a target, also those of your other processes.

        Only connected targets are asked. A host that does not say who listens (macOS) has no such ports.
        """
        if query.where:
            return await self._listening(*await self._found(query.where))
        places = await self._kernels.list_remote_kernels()
        running = [each for place in places for each in place.kernels if each.state == "running"]
        asked = [self._listening(each.target, each.host_id, each) for each in running]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        found = []
        for answer in answers:
            if isinstance(answer, BaseException):
                if not isinstance(answer, GenOpsError):  # a kernel that has just ended hides no other
                    raise answer
                continue
            found += answer
        return found

    async def list_opened_ports(self) -> list[OpenedPort]:
        """Return the ports that JupyterLab passes on."""
        return [each.opened for each in self._open.values()]

    async def open_port(self, body: OpenPort) -> OpenedPort:
        """Pass a port on at JupyterLab's own address, for its user alone.

        Raises Conflict without JupyterLab, and what the host says if the port is not the kernel's or does not answer.
        """
        if not self._settings.lab_url:
            raise Conflict(
                "No JupyterLab is running that could open the port.",
                hint="Start JupyterLab, then open the port.",
                code="no_server",
            )
        target, host_id, kernel = await self._found(body.where)
        link = await self._targets.connected_link(target, host_id)
        params = {"port": body.port, "kernel_id": kernel.kernel_id if kernel else ""}
        await self._targets.connections.run(link.call("ports.check", params))
        host = f"{target},{link.route.host_id}" if link.route.host_id else target
        name = (
            body.port
            if body.port.isdigit()
            else f"socket-{hashlib.sha256(body.port.encode()).hexdigest()[:8]}"
        )
        path = f"{PORTS_PATH}/{host}/{name}/"
        opened = OpenedPort(
            host=host,
            name=name,
            target=target,
            host_id=link.route.host_id,
            kernel_id=params["kernel_id"],
            port=body.port,
            trusted=body.trusted,
            path=f"{self._settings.base_url}{path}",
            url=f"{self._settings.lab_url}{path}",
        )
        await self._close(host, name)
        self._open[host, name] = await self._forwarded(opened, link, params)
        self._events.emit(EVENT, f"{host}/{name}")
        return opened

    async def close_port(self, host: str, name: str) -> None:
        """Pass a port on no more; the program on the host goes on. Raises NotFound."""
        self.forward(host, name)
        await self._close(host, name)
        self._events.emit(EVENT, f"{host}/{name}")

    def forward(self, host: str, name: str) -> Forward:
        """Return an open port. Raises NotFound."""
        found = self._open.get((host, name))
        if found is None:
            target = host.partition(",")[0]
            raise NotFound(
                f"The port {name} of {target} is not open in this JupyterLab.",
                hint=f"Open it: genops ports open {target} {name}",
            )
        return found

    async def close(self) -> None:
        """Close all ports."""
        for host, name in list(self._open):
            await self._close(host, name)

    async def _close(self, host: str, name: str) -> None:
        found = self._open.pop((host, name), None)
        if found is not None:
            await found.close()

    async def _forwarded(self, opened: OpenedPort, link: HostConnection, params: dict[str, Any]) -> Forward:
        from tornado.netutil import bind_unix_socket

        from genops_lab.core.passing import http_client  # commands import this module, too

        file = runtime_dir() / f"port-{os.getpid()}-{os.urandom(3).hex()}.sock"
        listener = bind_unix_socket(str(file), mode=0o600)
        client = await http_client(uds=str(file))
        forwards: list[Forward] = []
        accepting = self._targets.connections.links.submit(
            forward(
                listener, link, "port", params, lambda: None,
                refused=lambda reason: forwards[0].refused(reason), patience_s=PATIENCE_S,
            )
        )  # fmt: skip
        forwards.append(Forward(opened, client, file, accepting))
        return forwards[0]

    async def _listening(self, target: str, host_id: str, kernel: RemoteKernel | None) -> list[ListeningPort]:
        params = {"kernel_id": kernel.kernel_id if kernel else ""}
        found = await self._targets.call(target, "ports.list", params, host_id=host_id)
        own = {"kernel_id": kernel.kernel_id, "notebook": kernel.notebook} if kernel else {}
        return [
            ListeningPort(
                target=target,
                host_id=host_id,
                port=str(each["port"]),
                pid=int(each["pid"]),
                command=str(each["command"]),
                **own,
            )
            for each in found
        ]

    async def _found(self, where: str) -> tuple[str, str, RemoteKernel | None]:
        """Return the target, the host and the kernel of a word. Raises NotFound, InvalidRequest, Conflict."""
        target, kernel = await kernel_named(self._kernels, where)
        if kernel is None:
            return target, (await self._targets.connected_link(target)).route.host_id, None
        return target, kernel.host_id, kernel
