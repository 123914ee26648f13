"""Connect GenOps Lab to a Jupyter server's kernels: restore those of the last server, and start new ones."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.services import Service
from .local_provisioner import is_default, take_over
from .outputs.ownership import keeps_kernels
from .process import PROCESS, KernelHost

if TYPE_CHECKING:
    from ..core.jupyter import JupyterServer
    from ..core.settings import Settings
    from .outputs.server import ServerOutputs
    from .outputs.service import OutputsService
    from .outputs.startup_gate import StartupGate
    from .process import MlflowVariables
    from .remote_kernels import RemoteKernels

GATE = "genops_startup_gate"

log = logging.getLogger("genops_lab")


def extend(server: JupyterServer) -> None:
    """Take over kernel websockets and the start of kernels.

    The first lists of kernels wait until the kernels of the last server are restored. This function is cheap;
    the rest waits for the event loop.
    """
    from jupyter_core.paths import jupyter_data_dir

    from .outputs.page_limits import Bounds
    from .outputs.service import OutputsService
    from .outputs.startup_gate import StartupGate, may_remember
    from .outputs.websocket import install

    config = server.config

    def cut(kernel_id: str, msg_id: str) -> tuple[int, int, int] | None:
        outputs = server.services.now(OutputsService)
        return None if outputs is None else outputs.recorder.cut(kernel_id, msg_id)

    def begin() -> None:
        folder = Path(config.data_dir) if config.data_dir else Path(jupyter_data_dir()) / "genops"
        if may_remember(folder / "store.db", config.store_url):
            gate.close(server.app)

    install(server.web_settings, Bounds(int(config.cell_output_mb * 1_000_000), config.cell_outputs, cut))
    gate: StartupGate = StartupGate()
    server.web_settings[GATE] = gate
    server.at_start(begin)
    server.at_failure(gate.open)
    server.at_failure(PROCESS.leave)
    if take_over(server.app):
        PROCESS.expect()


def finds_here(serverapp: Any) -> bool:
    """Return whether this machine's own kernels can be restored: GenOps Lab then starts Jupyter's kernels."""
    return keeps_kernels(serverapp) and is_default(serverapp)


class JupyterKernels(Service):
    """Opens before the first lists of kernels are answered; closes before Jupyter shuts down its kernels."""

    def __init__(
        self,
        server: JupyterServer,
        settings: Settings,
        remote: RemoteKernels,
        outputs: OutputsService,
        server_outputs: ServerOutputs,
        mlflow: MlflowVariables,
    ) -> None:
        self._server = server
        self._settings = settings
        self._remote = remote
        self._outputs = outputs
        self._server_outputs = server_outputs
        self._mlflow = mlflow

    async def open(self) -> None:
        """Restore the kernels of the last server; a failure does not stop the Lab."""
        gate: StartupGate = self._server.web_settings[GATE]
        if self._settings.redact_traces != "off":
            PROCESS.variables = {"GENOPS_REDACT_TRACES": self._settings.redact_traces}
        try:
            await self._keep_local_kernels()
            await self._server_outputs.open()
        except Exception:  # a boundary
            log.exception("The kernels of targets were not restored")
        gate.open()
        self._server_outputs.follow()

    async def ready(self) -> None:
        """Give the private socket to kernels that start from now on."""
        if take_over(self._server.app):
            PROCESS.open(KernelHost(self._settings.data_dir, self._server.socket, self._mlflow))

    async def close(self) -> None:
        """Leave kernels of targets running; stop this machine's, as Jupyter does."""
        await self._server_outputs.close()
        PROCESS.leave()

    async def _keep_local_kernels(self) -> None:
        from .local_agent import LocalAgent

        agent = LocalAgent(self._remote, self._outputs.not_kept.append)
        if not finds_here(self._server.app):
            if self._settings.keep_local_kernels:
                agent.leave(
                    "Another extension, or the server's configuration, starts kernels in its own way."
                )
            return
        if self._settings.keep_local_kernels:
            await agent.begin()
        PROCESS.keeper = agent
