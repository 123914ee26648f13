"""Open terminals on hosts: for a command in a terminal of this machine, and in a tab of JupyterLab.

The tab runs that command (``genops targets terminal``) in a terminal of the Jupyter server. So its login, its sizes and
its reload are JupyterLab's own, and no request names the program that runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genops_lab.agent.channels import ChannelReset
from genops_lab.agent.socket_forwarding import pipe
from genops_lab.core.errors import Conflict, GenOpsError
from genops_lab.core.paths import runtime_dir
from genops_lab.core.running_labs import SOCKET_VARIABLE
from genops_lab.core.services import Service
from genops_lab.kernels.named_hosts import host_named, kernel_named

from .models import OpenTerminal, TabQuery, Terminal, TerminalTab

if TYPE_CHECKING:
    import socket

    from genops_lab.core.jupyter import JupyterServer
    from genops_lab.core.settings import Settings
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.hosts.service import TargetsService
    from genops_lab.kernels.remote_service import RemoteKernelsService

SWITCH = "terminals"
#: Seconds for the caller to come to the socket.
_COMES_S = 30.0


class TerminalsService(Service):
    """Starts shells on connected hosts. They end with their terminal, or with this process."""

    def __init__(
        self,
        settings: Settings,
        targets: TargetsService,
        kernels: RemoteKernelsService,
        server: JupyterServer | None,
    ) -> None:
        self._settings = settings
        self._targets = targets
        self._kernels = kernels
        self._server = server

    async def open_terminal(self, body: OpenTerminal) -> Terminal:
        """Start a shell beside a kernel, or on a target. Raises Conflict where the target is not connected."""
        self._allow()
        from tornado.netutil import bind_unix_socket  # commands import this module, too

        link, kernel = await host_named(self._targets, self._kernels, body.where)
        kernel_id = kernel.kernel_id if kernel else ""
        size = {"rows": body.rows, "columns": body.columns, "term": body.term}
        params = {**size, "kernel_id": kernel_id}
        file = runtime_dir() / f"terminal-{os.getpid()}-{os.urandom(3).hex()}.sock"
        listener = bind_unix_socket(str(file), mode=0o600)
        self._targets.connections.links.submit(_carry(listener, file, link, params))
        return Terminal(
            socket=str(file),
            target=link.route.target,
            host_id=link.route.host_id,
            kernel_id=kernel_id,
            notebook=kernel.notebook if kernel else "",
        )

    async def open_tab(self, body: TabQuery) -> TerminalTab:
        """Start ``genops targets terminal`` in a new terminal of JupyterLab.

        Raises Conflict without JupyterLab or its terminals, and NotFound for a word that names nothing.
        """
        self._allow()
        manager = self._terminals_of_jupyter()
        await kernel_named(self._kernels, body.where)
        assert self._server is not None
        made: dict[str, Any] = manager.create(
            shell_command=[
                sys.executable,
                "-m",
                "genops_lab.commands",
                "targets",
                "terminal",
                "--",
                body.where,
            ],
            extra_env={SOCKET_VARIABLE: str(self._server.socket)},
        )
        return TerminalTab(name=str(made["name"]))

    def _allow(self) -> None:
        app = None if self._server is None else self._server.app
        if SWITCH not in self._settings.rooms or (app is not None and not app.terminals_enabled):
            raise Conflict(
                "The administrator of this JupyterLab has switched terminals off.",
                hint="Run the command in a cell instead, such as: !nvidia-smi",
                code="terminals_off",
            )

    def _terminals_of_jupyter(self) -> Any:
        manager = None if self._server is None else self._server.app.web_app.settings.get("terminal_manager")
        if manager is None:
            raise Conflict(
                "This Jupyter server has no terminals.",
                hint="Install jupyter-server-terminals, or run in a terminal: genops targets terminal TARGET",
                code="no_terminals",
            )
        return manager


async def _carry(listener: socket.socket, file: Path, link: HostConnection, params: dict[str, Any]) -> None:
    """Carry the first connection to a shell of the host until either ends."""
    loop = asyncio.get_running_loop()
    try:
        connection, _ = await asyncio.wait_for(loop.sock_accept(listener), _COMES_S)
    except asyncio.TimeoutError:
        return
    finally:
        listener.close()
        with contextlib.suppress(OSError):
            await asyncio.to_thread(file.unlink)
    release = link.hold()
    try:
        channel = link.open("terminal", params)
        try:
            await pipe(channel, connection)
        finally:
            channel.reset("left", "The terminal is closed.")
    except (ChannelReset, GenOpsError, OSError):
        return  # the caller sees a stream without an ending, and says that the connection was cut
    finally:
        release()
        connection.close()
