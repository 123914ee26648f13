"""The Jupyter server extension: traitlets and wiring, nothing else."""

from __future__ import annotations

import asyncio
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Dict, Float, Int, List, Unicode

from .. import __version__
from ..core.errors import Failed, GenOpsError
from ..core.events import SCHEMA, SCHEMA_ID
from ..core.live import CHANGES
from ..core.settings import ROOM_NAMES, Settings

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from ..hosts.models import NewTarget
    from ..kernels.outputs.server import ServerOutputs
    from ..kernels.outputs.startup_gate import StartupGate
    from ..kernels.remote_kernels import RemoteKernels
    from .application import Application
    from .socket_server import SocketServer

STOP_TIMEOUT_S = 20
LOG_HINT = "The server's log has the details; `genops doctor` may know what to do."


class GenOpsLab(ExtensionApp):
    """From a notebook cell to a GPU, a tracked run, a profile, a registered model and a live deployment."""

    name = "genops_lab"
    extension_url = "/lab"
    load_other_extensions = True

    data_dir = Unicode(
        "", help="Where GenOps Lab keeps its data; empty: 'genops' in the Jupyter data directory."
    ).tag(config=True)
    store_url = Unicode(
        "", help="URL of the shared store, such as postgresql://user@host/db; empty: a file in data_dir."
    ).tag(config=True)
    mlflow_uri = Unicode(
        "", help="URI of an MLflow to use in place of the embedded one (locks the setting)."
    ).tag(config=True)
    rooms = List(
        Unicode(), default_value=list(ROOM_NAMES), help="Rooms that are on: " + ", ".join(ROOM_NAMES) + "."
    ).tag(config=True)
    deployment_lease_hours = Float(
        24.0, help="A local deployment that nobody uses or renews ends after so many hours."
    ).tag(config=True)
    targets = List(
        Dict(),
        help="Targets for everybody, which users see as locked: fields of `genops targets add`, such as "
        '{"name": "gpu1", "host": "gpu1.example.org", "python": "/opt/python/bin/python", "price_per_hour": 2.5}.',
    ).tag(config=True)
    allow_user_targets = Bool(True, help="Whether users may add targets of their own.").tag(config=True)
    outputs_left_to_page_s = Float(
        20.0,
        help="Outputs of a target's kernel are left to a page that may come for so many seconds; then they are "
        "written into the notebook on disk.",
    ).tag(config=True)
    cell_output_mb = Float(
        1.0,
        min=0.01,
        help="Of one cell of a target's kernel, a notebook shows the first MB of text, so many, and the end; the "
        "rest opens beside it.",
    ).tag(config=True)
    cell_outputs = Int(
        2000, min=10, help="And of other outputs (figures, displays) the first ones, so many, and the last."
    ).tag(config=True)
    keep_local_kernels = Bool(
        False,
        help="Whether kernels of this machine are started through GenOps Lab's agent: their outputs outlive a "
        "reloaded page and a stalled browser, and they themselves a server that crashes.",
    ).tag(config=True)
    locked = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="Front-end settings that users see as locked: name to value.",
    ).tag(config=True)

    lab: Application | None = None
    #: the services' start, which goes on while the server answers
    opening: asyncio.Task[None] | None = None
    _doorway: SocketServer | None = None
    _outputs: ServerOutputs | None = None
    _gate: StartupGate | None = None

    @property
    def _server(self) -> ServerApp:
        assert self.serverapp is not None  # set before any of the methods below is called
        return self.serverapp

    def initialize_settings(self) -> None:
        """Announce the event schema and take over kernel websockets (cheap; the rest waits for the loop)."""
        event_logger = self._server.event_logger
        assert event_logger is not None
        if SCHEMA_ID not in event_logger.schemas:
            event_logger.register_event_schema(SCHEMA)
        from ..kernels.outputs.page_limits import Bounds
        from ..kernels.outputs.websocket import install

        # Jupyter puts these back over the application's own after this method.
        install(self.settings, Bounds(self._cell_output_bytes, self.cell_outputs, self._cut))

    @property
    def _cell_output_bytes(self) -> int:
        return int(self.cell_output_mb * 1_000_000)

    def _cut(self, kernel_id: str, msg_id: str) -> tuple[int, int, int] | None:
        return None if self.lab is None else self.lab.outputs.recorder.cut(kernel_id, msg_id)

    def initialize_handlers(self) -> None:
        """Register the routes of the rooms that are on."""
        from ..core.api import Services, jupyter_handlers
        from ..core.live import LiveHub
        from ..core.live_socket import LiveHandler
        from ..experiments.comparison.download import ARTIFACT, ArtifactHandler
        from ..kernels.local_provisioner import expect
        from ..kernels.outputs.download import DOWNLOAD, DownloadHandler
        from ..profiling.perfetto.download import CUT, UI, CutHandler, UiHandler
        from .features import operations

        self._services = Services()
        self._live = LiveHub()
        # Jupyter puts its base URL before these paths.
        handlers: list[Any] = jupyter_handlers(operations(self.rooms), self._services)
        handlers.append(("/genops/live", LiveHandler, {"hub": self._live}))
        handlers.append((DOWNLOAD, DownloadHandler, {"services": self._services}))
        if "experiments" in self.rooms:
            handlers.append((ARTIFACT, ArtifactHandler, {"services": self._services}))
        if "profiles" in self.rooms:
            handlers.append((UI, UiHandler, {"services": self._services}))
            handlers.append((CUT, CutHandler, {"services": self._services}))
        self.handlers.extend(handlers)
        expect(self.serverapp)

    def settings_for_lab(self) -> Settings:
        """The traitlets as the services' settings; what the administrator set is locked."""
        from pathlib import Path

        from ..core.paths import data_dir, private_dir

        locked = dict(self.locked)
        if self.mlflow_uri:
            from ..experiments.mlflow import without_credentials

            locked["mlflow_uri"] = without_credentials(self.mlflow_uri)
        if set(self.rooms) != set(ROOM_NAMES):
            locked["rooms"] = ", ".join(self.rooms)
        targets = self._administrators_targets()
        if targets:
            locked["targets"] = ", ".join(target.name for target in targets)
        if not self.allow_user_targets:
            locked["allow_user_targets"] = "False"
        return Settings(
            data_dir=private_dir(Path(self.data_dir)) if self.data_dir else data_dir(),
            store_url=self.store_url,
            mlflow_uri=self.mlflow_uri or os.environ.get("MLFLOW_TRACKING_URI", ""),
            rooms=tuple(self.rooms),
            deployment_lease_s=self.deployment_lease_hours * 3600,
            outputs_left_to_page_s=self.outputs_left_to_page_s,
            cell_output_bytes=self._cell_output_bytes,
            cell_outputs=self.cell_outputs,
            keep_local_kernels=self.keep_local_kernels,
            locked=locked,
            root_dir=Path(self._server.root_dir),
            base_url=self._server.base_url,
            hub="JUPYTERHUB_SERVICE_PREFIX" in os.environ,
            targets=targets,
            allow_user_targets=self.allow_user_targets,
        )

    def _administrators_targets(self) -> tuple[NewTarget, ...]:
        import msgspec

        from ..core.errors import InvalidRequest
        from ..hosts.models import NewTarget
        from ..hosts.records import record_of

        try:
            found = msgspec.convert(self.targets, tuple[NewTarget, ...])
            for target in found:
                record_of(target, locked=True)
        except (msgspec.ValidationError, InvalidRequest) as error:
            raise InvalidRequest(
                f"GenOpsLab.targets in the server's configuration cannot be used: {error}",
                hint="Ask who runs this Lab to correct it.",
            ) from error
        names = [target.name for target in found]
        if len(set(names)) < len(names):
            raise InvalidRequest(
                "GenOpsLab.targets in the server's configuration names a target twice.",
                hint="Ask who runs this Lab to correct it.",
            )
        return found

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        """Begin to open the services, once the event loop runs. The server answers meanwhile."""
        self._hold_lists_back(serverapp)
        self.opening = asyncio.create_task(self._open(serverapp))

    def _hold_lists_back(self, serverapp: ServerApp) -> None:
        """Kernels of targets are in the first lists of kernels and sessions that a page gets."""
        from pathlib import Path

        from jupyter_core.paths import jupyter_data_dir

        from ..kernels.outputs.startup_gate import StartupGate, may_remember

        folder = Path(self.data_dir) if self.data_dir else Path(jupyter_data_dir()) / "genops"
        if may_remember(folder / "store.db", self.store_url):
            self._gate = StartupGate(serverapp)

    async def _open(self, serverapp: ServerApp) -> None:
        try:
            await self._open_lab(serverapp)
        except Exception as error:  # a boundary: JupyterLab goes on, and the panel says what is wrong with us
            from ..kernels.local_provisioner import uninstall

            self._let_lists_through()
            uninstall()
            if self.lab is not None:
                self.log.exception("Kernels and the command line do not reach this GenOps Lab")
                return
            self.log.exception("GenOps Lab did not start")
            if not isinstance(error, GenOpsError):
                error = Failed(f"GenOps Lab did not start: {error!r}.", hint=LOG_HINT)
            self._services.fail(error)

    async def _open_lab(self, serverapp: ServerApp) -> None:
        # SQLAlchemy and the rooms' insides cost some 150 ms.
        Application = (await asyncio.to_thread(import_module, ".application", __package__)).Application
        from ..kernels.local_provisioner import install
        from ..kernels.server_kernels import ServerKernels
        from ..sweeps.fresh_kernels import FreshKernels
        from .features import operations
        from .socket_server import SocketServer

        lab = await Application.open(self.settings_for_lab(), ServerKernels(serverapp), live=self._live)
        self.lab = lab
        await self._open_outputs(serverapp, lab)
        self._services.open(lab.services)
        lab.events.listen(self._tell)
        self._doorway = SocketServer(operations(self.rooms), self._services)
        self._doorway.open(serverapp.connection_url, __version__)
        install(serverapp, lab, self._doorway.path)
        if "experiments" in self.rooms:
            lab.sweeps.open(FreshKernels(serverapp))

    async def _open_outputs(self, serverapp: ServerApp, lab: Application) -> None:
        from ..hosts.ledger import Ledger
        from ..kernels.outputs.server import ServerOutputs
        from ..kernels.process import configure

        remote = configure(lab.settings.data_dir, lab.questions, Ledger(lab.store).get, links=lab.links)
        self._outputs = ServerOutputs(serverapp, lab, remote)
        try:
            await self._keep_local_kernels(serverapp, lab, remote)
            await self._outputs.open()
        except Exception:  # a boundary: without the kernels of before there is still a Lab
            self.log.exception("Kernels of targets were not found again")
        self._let_lists_through()
        self._outputs.follow()

    async def _keep_local_kernels(
        self, serverapp: ServerApp, lab: Application, remote: RemoteKernels
    ) -> None:
        from ..kernels.local_agent import LocalAgent
        from ..kernels.local_provisioner import is_default, keep_with
        from ..kernels.outputs.ownership import keeps_kernels

        outputs = lab.outputs
        here = LocalAgent(remote, outputs.not_kept.append)
        if not (keeps_kernels(serverapp) and is_default(serverapp)):
            if self.keep_local_kernels:
                here.leave("Another extension, or the server's configuration, says how kernels start.")
            return
        remote.finds_here = True
        if self.keep_local_kernels:
            await here.begin()
        keep_with(here)

    def _let_lists_through(self) -> None:
        if self._gate is not None:
            self._gate.open()

    def _tell(self, kind: str, id: str, revision: int) -> None:
        event_logger = self._server.event_logger
        assert event_logger is not None
        change = {"kind": kind, "id": id, "revision": revision}
        event_logger.emit(schema_id=SCHEMA_ID, data=change)
        self._live.publish(CHANGES, change)

    async def stop_extension(self) -> None:
        """Let a start in progress end, then close the private socket and the services."""
        if self.opening is not None:
            done, _ = await asyncio.wait([self.opening], timeout=STOP_TIMEOUT_S)
            if not done:
                self.opening.cancel()
                await asyncio.wait([self.opening])
        self._let_lists_through()
        if self._doorway is not None:
            self._doorway.close()
        if self._outputs is not None:
            await self._outputs.close()
        if self.lab is not None:
            await asyncio.wait_for(self.lab.stop(), STOP_TIMEOUT_S)
