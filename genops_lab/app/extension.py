"""The Jupyter server extension: traitlets and wiring, nothing else."""

from __future__ import annotations

import asyncio
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Dict, Float, Int, List, Unicode

from ..core.errors import Failed, GenOpsError
from ..core.events import SCHEMA_ID
from ..core.live import CHANGES
from ..core.settings import Settings
from ..version import __version__
from .features import FEATURES, SWITCHES, features, operations

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from ..core.api import ServiceGate
    from ..core.jupyter import JupyterServer
    from ..core.live import LiveHub
    from ..hosts.models import NewTarget
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
        Unicode(), default_value=list(SWITCHES), help="Features that are on: " + ", ".join(SWITCHES) + "."
    ).tag(config=True)
    deployment_lease_hours = Float(
        24.0, help="A local deployment that nobody uses or renews ends after so many hours."
    ).tag(config=True)
    targets = List(
        Dict(),
        help="Targets for everybody, which users see as locked: fields of `genops targets add`, such as "
        '{"name": "gpu1", "host": "gpu1.example.org", "python": "/opt/python/bin/python", "price_per_hour": 2.5}.',
    ).tag(config=True)
    target_fields = Dict(
        help="What users may give when they add a target, by its kind and field: default, minimum, maximum, choices, "
        'locked. Such as {"ssh": {"carrier": {"default": "openssh", "locked": True}}}.'
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
    _gate: ServiceGate
    _jupyter: JupyterServer
    _live: LiveHub
    _socket: SocketServer

    @property
    def _server(self) -> ServerApp:
        assert self.serverapp is not None  # set before any of the methods below is called
        return self.serverapp

    def initialize_settings(self) -> None:
        """Announce the event schema and let features change the server (cheap; the rest waits for the loop)."""
        from ..core.api import ServiceGate
        from ..core.events import SCHEMA_ID, schema
        from ..core.jupyter import JupyterServer
        from .socket_server import SocketServer

        event_logger = self._server.event_logger
        assert event_logger is not None
        if SCHEMA_ID not in event_logger.schemas:
            event_logger.register_event_schema(schema(kind for each in FEATURES for kind in each.events))
        self._gate = ServiceGate()
        self._socket = SocketServer(operations(self.rooms), self._gate)
        self._jupyter = JupyterServer(
            app=self._server, config=self, web_settings=self.settings, socket=self._socket.path,
            services=self._gate,
        )  # fmt: skip
        # Jupyter puts these settings back over the application's own after this method.
        for feature in FEATURES:
            feature.extend(self._jupyter)

    def initialize_handlers(self) -> None:
        """Register the routes of the features that are on."""
        from ..core.api import jupyter_handlers
        from ..core.live import LiveHub
        from ..core.live_socket import LiveHandler

        self._live = LiveHub()
        # Jupyter puts its base URL before these paths.
        handlers: list[Any] = jupyter_handlers(operations(self.rooms), self._gate)
        handlers.append(("/genops/live", LiveHandler, {"hub": self._live}))
        for feature in features(self.rooms):
            handlers += feature.routes(self._jupyter)
        self.handlers.extend(handlers)

    def settings_for_lab(self) -> Settings:
        """The traitlets as the services' settings; what the administrator set is locked."""
        from pathlib import Path

        from ..core.paths import data_dir, private_dir

        locked = dict(self.locked)
        if self.mlflow_uri:
            from ..experiments.mlflow import without_credentials

            locked["mlflow_uri"] = without_credentials(self.mlflow_uri)
        if set(self.rooms) != set(SWITCHES):
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
            cell_output_bytes=int(self.cell_output_mb * 1_000_000),
            cell_outputs=self.cell_outputs,
            keep_local_kernels=self.keep_local_kernels,
            locked=locked,
            root_dir=Path(self._server.root_dir),
            base_url=self._server.base_url,
            hub="JUPYTERHUB_SERVICE_PREFIX" in os.environ,
            targets=targets,
            allow_user_targets=self.allow_user_targets,
            target_fields=self.target_fields,
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
        self._jupyter.started()
        self.opening = asyncio.create_task(self._open())

    async def _open(self) -> None:
        try:
            await self._open_services()
        except Exception as error:  # a boundary: JupyterLab goes on, and the panel says what is wrong with us
            self._jupyter.failed()
            if self.lab is not None:
                self.log.exception("Kernels and the command line do not reach this GenOps Lab")
                return
            self.log.exception("GenOps Lab did not start")
            if not isinstance(error, GenOpsError):
                error = Failed(f"GenOps Lab did not start: {error!r}.", hint=LOG_HINT)
            self._gate.fail(error)

    async def _open_services(self) -> None:
        # SQLAlchemy and the features' insides cost some 150 ms.
        application = (await asyncio.to_thread(import_module, ".application", __package__)).Application
        self.lab = await application.open(self.settings_for_lab(), self._jupyter, live=self._live)
        self._gate.open(self.lab.services)
        self.lab.events.listen(self._tell)
        self._socket.open(self._server.connection_url, __version__)
        await self.lab.ready()

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
        self._socket.close()
        self._jupyter.failed()
        if self.lab is not None:
            await asyncio.wait_for(self.lab.stop(), STOP_TIMEOUT_S)
