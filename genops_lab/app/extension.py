"""Define the Jupyter server extension: its traits, and the start and stop of the application."""

from __future__ import annotations

import asyncio
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Dict, Enum, Float, Int, List, Unicode

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
    from ..genai.endpoints.models import NewEndpoint
    from ..hosts.models import NewTarget
    from .application import Application
    from .socket_server import SocketServer

STOP_TIMEOUT_S = 20
LOG_HINT = "The log of JupyterLab has the details. `genops doctor` checks the installation."


class GenOpsLab(ExtensionApp):
    """From a notebook cell to a GPU, a tracked run, a profile, a registered model and a live deployment."""

    name = "genops_lab"
    extension_url = "/lab"
    load_other_extensions = True

    data_dir = Unicode(
        "", help="Folder for the data of GenOps Lab. Empty: 'genops' in the Jupyter data directory."
    ).tag(config=True)
    store_url = Unicode(
        "", help="URL of the shared store, such as postgresql://user@host/db. Empty: a file in data_dir."
    ).tag(config=True)
    mlflow_uri = Unicode(
        "", help="URI of the MLflow to use in place of the embedded one. Users cannot change it."
    ).tag(config=True)
    rooms = List(
        Unicode(), default_value=list(SWITCHES), help=f"Features that are on. Known: {', '.join(SWITCHES)}."
    ).tag(config=True)
    deployment_lease_hours = Float(
        24.0, help="Lease of a deployment, in hours: without requests and renewals it ends after this time."
    ).tag(config=True)
    deployment_warm_hours = Float(
        1.0,
        help="Time in hours for which the revision before an update stays ready, so that one can go back at once.",
    ).tag(config=True)
    deployment_https = Unicode(
        "",
        help="Name and port, such as gpu.example.org:8443, at which deployments also answer other machines, by TLS.",
    ).tag(config=True)
    deployment_certificate = Unicode(
        "",
        help="File of the certificate (PEM, with its chain) of deployment_https. A new one is read when it changes.",
    ).tag(config=True)
    deployment_certificate_key = Unicode(
        "", help="File of the private key (PEM, without a password) of deployment_certificate."
    ).tag(config=True)
    trusted_keys = List(
        Unicode(),
        help="Files of public keys (PEM, ECDSA) whose signatures of models count. Deployments verify with them.",
    ).tag(config=True)
    signature_required = Bool(
        False,
        help="Whether deployments refuse a version that none of trusted_keys signed, or that changed since.",
    ).tag(config=True)
    targets = List(
        Dict(),
        help="Targets for all users, who cannot change them. The fields are those of `genops targets add`, such as "
        '{"name": "gpu1", "host": "gpu1.example.org", "python": "/opt/python/bin/python", "price_per_hour": 2.5}.',
    ).tag(config=True)
    target_fields = Dict(
        help="Limits of the fields of users' targets, by kind and field: default, minimum, maximum, choices, locked. "
        'Example: {"ssh": {"carrier": {"default": "openssh", "locked": True}}}.'
    ).tag(config=True)
    target_presets = Dict(
        help="Presets by target, which users cannot change: the name, the resources, the price. "
        'Example: {"cluster": [{"name": "1 x H100", "resources": {"gpus": 1, "gpu_type": "H100"}}]}.'
    ).tag(config=True)
    endpoints = List(
        Dict(),
        help="Models that answer, for all users, who cannot change them. The fields are those of `genops endpoints "
        'add`, such as {"name": "house", "url": "https://llm.example.org/v1", "model": "m", "key_secret": "LLM_KEY"}. '
        "Each user keeps the secret.",
    ).tag(config=True)
    allow_user_targets = Bool(True, help="Whether users may add their own targets.").tag(config=True)
    max_price_per_hour = Float(
        None,
        allow_none=True,
        min=0.0,
        help="The highest price of a kernel's host in USD an hour, by its preset or target. None: no limit.",
    ).tag(config=True)
    outputs_left_to_page_s = Float(
        20.0,
        help="Time in seconds for a page to take the outputs of a target's kernel. After this time the server writes "
        "them into the notebook on disk.",
    ).tag(config=True)
    cell_output_mb = Float(
        1.0,
        min=0.01,
        help="Text in MB that a notebook shows of one cell of a target's kernel: the beginning of this size, then the "
        "end. A link opens the full output.",
    ).tag(config=True)
    cell_outputs = Int(
        2000,
        min=10,
        help="Number of other outputs (figures, displays) that a notebook shows of such a cell, before the last one.",
    ).tag(config=True)
    keep_local_kernels = Bool(
        False,
        help="Whether GenOps Lab's agent runs the kernels of this machine. Their outputs then survive a reload of the "
        "page, and the kernels a crash of the server.",
    ).tag(config=True)
    redact_traces = Enum(
        ("off", "secrets", "personal"),
        "off",
        help="Redaction of MLflow traces and evaluation rows before these leave the kernel: off, secrets, or personal "
        "(secrets and personal data). `%genops redaction set` changes it in a notebook.",
    ).tag(config=True)
    locked = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="Settings that the panel shows as locked, as name and value.",
    ).tag(config=True)

    lab: Application | None = None
    #: The start of the services, while the server already answers.
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
        """Register the event schema and let features change the server. The services start with the event loop."""
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
        # After this method Jupyter merges these settings into the application's own.
        for feature in FEATURES:
            feature.extend(self._jupyter)

    def initialize_handlers(self) -> None:
        """Register the routes of the features that are on."""
        from ..core.api import jupyter_handlers
        from ..core.live import LiveHub
        from ..core.live_socket import LiveHandler

        self._live = LiveHub()
        # Jupyter adds its base URL before these paths.
        handlers: list[Any] = jupyter_handlers(operations(self.rooms), self._gate)
        handlers.append(("/genops/live", LiveHandler, {"hub": self._live}))
        for feature in features(self.rooms):
            handlers += feature.routes(self._jupyter)
        self.handlers.extend(handlers)

    def settings_for_lab(self) -> Settings:
        """Return the traits as settings of the services. Settings of the administrator are locked."""
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
        if self.max_price_per_hour is not None:
            locked["max_price_per_hour"] = f"{self.max_price_per_hour:g}"
        if self.signature_required:
            locked["signature_required"] = "True"
        return Settings(
            data_dir=private_dir(Path(self.data_dir)) if self.data_dir else data_dir(),
            store_url=self.store_url,
            mlflow_uri=self.mlflow_uri or os.environ.get("MLFLOW_TRACKING_URI", ""),
            rooms=tuple(self.rooms),
            trusted_keys=tuple(self.trusted_keys),
            signature_required=self.signature_required,
            deployment_lease_s=self.deployment_lease_hours * 3600,
            deployment_warm_s=self.deployment_warm_hours * 3600,
            deployment_https=self.deployment_https,
            deployment_certificate=self.deployment_certificate,
            deployment_certificate_key=self.deployment_certificate_key,
            outputs_left_to_page_s=self.outputs_left_to_page_s,
            cell_output_bytes=int(self.cell_output_mb * 1_000_000),
            cell_outputs=self.cell_outputs,
            keep_local_kernels=self.keep_local_kernels,
            redact_traces=self.redact_traces,
            locked=locked,
            root_dir=Path(self._server.root_dir),
            base_url=self._server.base_url,
            hub="JUPYTERHUB_SERVICE_PREFIX" in os.environ,
            lab_url=self._address(),
            targets=targets,
            allow_user_targets=self.allow_user_targets,
            max_price_per_hour=self.max_price_per_hour,
            target_fields=self.target_fields,
            target_presets=self.target_presets,
            endpoints=self._administrators_endpoints(),
        )

    def _administrators_endpoints(self) -> tuple[NewEndpoint, ...]:
        import msgspec

        from ..core.errors import InvalidRequest
        from ..genai.endpoints.models import NewEndpoint

        try:
            return msgspec.convert(self.endpoints, tuple[NewEndpoint, ...])
        except msgspec.ValidationError as error:
            raise InvalidRequest(
                f"GenOpsLab.endpoints in the server's configuration is invalid: {error}",
                hint="Each endpoint needs name, url and model: genops endpoints add --help",
            ) from error

    def _address(self) -> str:
        """Return the address of this JupyterLab; HUB stands for a name that the server does not know."""
        found = self._server.connection_url
        if "JUPYTERHUB_SERVICE_PREFIX" in os.environ:
            found = os.environ.get("JUPYTERHUB_PUBLIC_URL") or f"https://HUB{self._server.base_url}"
        return f"{found.rstrip('/')}/"

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
                f"GenOpsLab.targets in the server's configuration is invalid: {error}",
                hint="Ask the administrator of this server to correct it.",
            ) from error
        names = [target.name for target in found]
        if len(set(names)) < len(names):
            raise InvalidRequest(
                "GenOpsLab.targets in the server's configuration has two targets of one name.",
                hint="Ask the administrator of this server to correct it.",
            )
        return found

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        """Begin to open the services when the event loop runs. The server answers meanwhile."""
        self._jupyter.started()
        self.opening = asyncio.create_task(self._open())

    async def _open(self) -> None:
        try:
            await self._open_services()
        except Exception as error:  # a boundary: JupyterLab keeps running, and the panel shows the error
            self._jupyter.failed()
            if self.lab is not None:
                self.log.exception("Kernels and the command line cannot reach this GenOps Lab")
                return
            self.log.exception("GenOps Lab did not start")
            if not isinstance(error, GenOpsError):
                error = Failed(f"GenOps Lab did not start: {error!r}.", hint=LOG_HINT)
            self._gate.fail(error)

    async def _open_services(self) -> None:
        # Importing SQLAlchemy and the services costs some 150 ms.
        application = (await asyncio.to_thread(import_module, ".application", __package__)).Application
        self.lab = await application.open(self.settings_for_lab(), self._jupyter, live=self._live)
        self._gate.open(self.lab.services)
        self.lab.events.listen(self._publish)
        self._socket.open(self._server.connection_url, __version__)
        await self.lab.ready()

    def _publish(self, kind: str, id: str, revision: int) -> None:
        event_logger = self._server.event_logger
        assert event_logger is not None
        change = {"kind": kind, "id": id, "revision": revision}
        event_logger.emit(schema_id=SCHEMA_ID, data=change)
        self._live.publish(CHANGES, change)

    async def stop_extension(self) -> None:
        """Wait up to 20 s for a running start, then close the private socket and the services."""
        if self.opening is not None:
            done, _ = await asyncio.wait([self.opening], timeout=STOP_TIMEOUT_S)
            if not done:
                self.opening.cancel()
                await asyncio.wait([self.opening])
        self._socket.close()
        self._jupyter.failed()
        if self.lab is not None:
            await asyncio.wait_for(self.lab.stop(), STOP_TIMEOUT_S)
