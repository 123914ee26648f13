"""Which MLflow the Lab works with, and the processes through which it does."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar
from urllib.parse import urlsplit

from genops_lab.core.errors import InvalidRequest
from genops_lab.core.paths import private_dir
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.core.worker import Worker

from .backends.embedded import EmbeddedStore, is_ready
from .models import KernelTracking
from .server import MlflowServer
from .server_guard import BROWSER, OPEN, browser_key

P = ParamSpec("P")
R = TypeVar("R")

_USERINFO = re.compile(r"//[^/?#]*@")
#: Where a client that opens the SQLite file itself puts new experiments' artifacts; ./mlruns without it.
ARTIFACT_ROOT_VARIABLE = "_MLFLOW_SERVER_ARTIFACT_ROOT"
_QUIET = {
    # A server that is down shall be noticed fast: the Lab tries again by itself.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_CREDENTIALS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")


def without_credentials(uri: str) -> str:
    """A URI as it may be shown: no user, password or query."""
    return _USERINFO.sub("//", uri, count=1).partition("?")[0].partition("#")[0]


class MlflowConnection(Service):
    """The embedded MLflow (a SQLite file, no server), or the one that ``settings.mlflow_uri`` names.

    ``worker`` holds the backends of all rooms that talk to MLflow, ``columns`` the runs as columns: :meth:`call` and
    :meth:`call_columns` make what the first call needs.
    """

    def __init__(self, settings: Settings) -> None:
        self.data_dir = settings.data_dir
        folder = settings.data_dir / "mlflow"
        self._database = folder / "mlflow.db"
        self._artifacts = folder / "artifacts"
        own = f"sqlite:///{self._database}"
        self.server = MlflowServer(folder, own, self._artifacts, _QUIET)
        given = settings.mlflow_uri.strip()
        embedded = not given or given == own or self.server.is_at(given)
        self.kind: Literal["embedded", "remote"] = "embedded" if embedded else "remote"
        self.uri = own if embedded else given
        environment = {**_QUIET, **{name: os.environ[name] for name in _QUIET if name in os.environ}}
        environment["MLFLOW_TRACKING_URI"] = self.uri
        if embedded:
            environment[ARTIFACT_ROOT_VARIABLE] = str(self._artifacts)
        elif os.environ.get("MLFLOW_TRACKING_URI", given) != given:
            # One host's credentials are never sent to another.
            environment.update(dict.fromkeys(_CREDENTIALS, ""))
        self.worker = Worker(
            "MLflow",
            {
                "tracking_uri": self.uri,
                "artifact_root": str(self._artifacts),
                "database": str(self._database),
                "scratch": str(self.scratch),
                "spool": str(self.spool),
            },
            env=environment,
        )
        #: Holds the runs as columns (columns/backend.py): its memory is given back when nobody asks.
        self.columns = Worker(
            "Runs",
            {"tracking_uri": self.uri, "cache": str(settings.data_dir / "runs")},
            # No linear algebra is done there: its threads would be memory and a slower start.
            env={"OPENBLAS_NUM_THREADS": "1", **environment},
        )
        self._preparing: asyncio.Task[None] | None = None

    @property
    def shown_uri(self) -> str:
        """The URI without credentials, for people."""
        return without_credentials(self.uri)

    @property
    def embedded_file(self) -> Path | None:
        """The embedded MLflow's SQLite file, or None."""
        return self._database if self.kind == "embedded" else None

    @property
    def spool(self) -> Path:
        """Where kernels keep what the Lab has not acknowledged yet."""
        return self.data_dir / "spool"

    @property
    def scratch(self) -> Path:
        """Where files are copied to on their way."""
        return self.data_dir / "mlflow" / "scratch"

    async def ensure(self) -> None:
        """Make what the first call needs: folders, and the embedded file, once for all processes.

        Raises Unavailable (disk, another process holds the lock) or Failed (written by a newer MLflow).
        """
        if self.scratch.is_dir() and (self.kind == "remote" or is_ready(self._database)):
            return
        if self._preparing is None or self._preparing.done():
            self._preparing = asyncio.create_task(self._prepare())
        # Who no longer waits does not end it: MLflow's migrations must not be cut.
        await asyncio.shield(self._preparing)

    async def call(self, method: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a method of a backend in ``worker``, after :meth:`ensure`."""
        await self.ensure()
        return await self.worker.call(method, *args, **kwargs)

    async def call_columns(
        self, method: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call a method of a backend in ``columns``, after :meth:`ensure`."""
        await self.ensure()
        return await self.columns.call(method, *args, **kwargs)

    @property
    def is_being_made(self) -> bool:
        """Whether the embedded file is being made, or brought to this MLflow's schema."""
        return self._preparing is not None and not self._preparing.done()

    async def _prepare(self) -> None:
        await asyncio.to_thread(self._make_folders)
        if self.kind == "embedded" and not is_ready(self._database):
            # A worker that has a vanished file open would go on writing into nothing.
            await self.worker.stop()
            await self.worker.call(EmbeddedStore.prepare)

    def _make_folders(self) -> None:
        for folder in (self.data_dir, self.data_dir / "mlflow", self._artifacts, self.scratch, self.spool):
            private_dir(folder)

    async def kernel_tracking(self, mlflow_version: str) -> KernelTracking:
        """Where the ``mlflow.*`` calls of a kernel with this version of mlflow (empty: none yet) shall go.

        Only the Lab's own version opens the file itself; one that is installed later may be any other. The
        supervised server's address is told before it is up: it starts at the first connection, which
        waits for it.
        """
        if self.kind == "remote":
            return KernelTracking(tracking_uri=self.uri)
        await self.ensure()
        if mlflow_version == version("mlflow"):
            return KernelTracking(tracking_uri=self.uri, artifact_root=str(self._artifacts))
        url, key = await self.server.offer()
        return KernelTracking(tracking_uri=url, token=key)

    async def ui_address(self) -> str:
        """Where MLflow's own pages are; of the embedded MLflow with a browser's key, and on this machine alone.

        Raises InvalidRequest for a store without pages of its own.
        """
        if self.kind == "embedded":
            await self.ensure()
            url, key = await self.server.offer()
            return f"{url.replace('://', f'://{BROWSER}:{browser_key(key)}@')}{OPEN}"
        if urlsplit(self.uri).scheme in ("http", "https"):
            return self.shown_uri.rstrip("/") + "/"
        raise InvalidRequest(
            f"{self.shown_uri} is a store that no MLflow server of this Lab shows.",
            hint="Run `mlflow ui --backend-store-uri` with its address.",
        )

    async def kernel_environment(self, mlflow_version: str) -> dict[str, str]:
        """The variables with which a kernel of this version of mlflow (empty: none yet) starts.

        The embedded file exists afterwards, so that no two kernels make it. A kernel that has a
        MLFLOW_TRACKING_URI already keeps it: add these only where it has none.
        """
        tracking = await self.kernel_tracking(mlflow_version)
        environment = {"MLFLOW_TRACKING_URI": tracking.tracking_uri}
        if tracking.token:
            environment["MLFLOW_TRACKING_TOKEN"] = tracking.token
        if tracking.artifact_root:
            environment[ARTIFACT_ROOT_VARIABLE] = tracking.artifact_root
        return environment

    async def close(self) -> None:
        """End the workers and the supervised server; what is being made of the embedded file is finished first."""
        if self._preparing is not None:
            await asyncio.wait([self._preparing])
        await asyncio.gather(self.worker.stop(), self.columns.stop(), self.server.close())
