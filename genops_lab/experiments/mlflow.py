"""Choose the MLflow that the Lab uses, and run the processes that talk to it."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar
from urllib.parse import urlsplit

from genops_lab.core.errors import InvalidRequest, Unavailable
from genops_lab.core.paths import private_dir
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.core.worker import Worker

from .backends.client import SLOW
from .backends.embedded import EmbeddedStore, is_ready
from .models import KernelTracking
from .server import MlflowServer
from .server_guard import BROWSER, OPEN, browser_key

P = ParamSpec("P")
R = TypeVar("R")

_USERINFO = re.compile(r"//[^/?#]*@")
#: Where a client that opens the SQLite file itself puts new experiments' artifacts; default: ./mlruns.
ARTIFACT_ROOT_VARIABLE = "_MLFLOW_SERVER_ARTIFACT_ROOT"
#: Variables of all processes that use MLflow.
QUIET = {
    # A server that is down must be noticed fast: the Lab tries again by itself.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # MLflow imports LiteLLM where it is installed, which asks the internet for its table of prices.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
#: Runs and versions are read while nobody waits for one answer: a slow MLflow shows them late, not never.
_READING = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
_PATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "120"}
TRANSFERS_IDLE_S = 30.0
#: Longest wait for an answer in seconds: less than the 120 s after which a command gives up, so that it says why.
ANSWER_S = 100.0
#: The same for work with files of any size.
LONG_ANSWER_S = 3600.0
_CREDENTIALS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")


def without_credentials(uri: str) -> str:
    """Return a URI for display: without user, password or query."""
    return _USERINFO.sub("//", uri, count=1).partition("?")[0].partition("#")[0]


class MlflowConnection(Service):
    """The embedded MLflow (a SQLite file, no server), or the one that ``settings.mlflow_uri`` names.

    ``worker`` has the backends of all features that talk to MLflow, ``columns`` the runs as columns.
    ``transfers`` copies the files of models. :meth:`call`, :meth:`call_columns` and :meth:`call_transfers` prepare the
    first call.
    """

    def __init__(self, settings: Settings) -> None:
        self.data_dir = settings.data_dir
        folder = settings.data_dir / "mlflow"
        self._database = folder / "mlflow.db"
        self._artifacts = folder / "artifacts"
        own = f"sqlite:///{self._database}"
        self.server = MlflowServer(folder, own, self._artifacts, QUIET)
        given = settings.mlflow_uri.strip()
        embedded = not given or given == own or self.server.is_at(given)
        self.kind: Literal["embedded", "remote"] = "embedded" if embedded else "remote"
        self.uri = own if embedded else given
        environment = {**QUIET, **{name: os.environ[name] for name in QUIET if name in os.environ}}
        environment["MLFLOW_TRACKING_URI"] = self.uri
        if embedded:
            environment[ARTIFACT_ROOT_VARIABLE] = str(self._artifacts)
        elif os.environ.get("MLFLOW_TRACKING_URI", given) != given:
            # One host's credentials are never sent to another host.
            environment.update(dict.fromkeys(_CREDENTIALS, ""))
        config = {
            "tracking_uri": self.uri,
            "artifact_root": str(self._artifacts),
            "database": str(self._database),
            "scratch": str(self.scratch),
            "spool": str(self.spool),
            "address": self.shown_uri,
            "store_url": settings.store_url,
        }
        self.worker = Worker("MLflow", config, env=environment)
        #: Copies large files: a server may store one for longer than other answers take.
        self.transfers = Worker(
            "Model files", config, env={**environment, **_PATIENT}, idle_s=TRANSFERS_IDLE_S
        )
        #: Holds the runs as columns (columns/backend.py): its memory is freed when no questions come.
        self.columns = Worker(
            "Runs",
            {"tracking_uri": self.uri, "cache": str(settings.data_dir / "runs")},
            # It does no linear algebra: threads for it would cost memory and start time.
            env={
                "OPENBLAS_NUM_THREADS": "1",
                **environment,
                **{name: seconds for name, seconds in _READING.items() if name not in os.environ},
            },
        )
        self._preparing: asyncio.Task[None] | None = None

    @staticmethod
    def other(uri: str, token: str = "") -> Worker:
        """Return a worker for another MLflow: it has no credentials of this one, but the token if one is given."""
        environment = {**QUIET, **_PATIENT, **dict.fromkeys(_CREDENTIALS, ""), "MLFLOW_TRACKING_URI": uri}
        if token:
            environment["MLFLOW_TRACKING_TOKEN"] = token
        return Worker("The other MLflow", {"tracking_uri": uri}, env=environment)

    @property
    def shown_uri(self) -> str:
        """The URI without credentials, for display."""
        return without_credentials(self.uri)

    @property
    def embedded_file(self) -> Path | None:
        """The embedded MLflow's SQLite file, or None."""
        return self._database if self.kind == "embedded" else None

    @property
    def spool(self) -> Path:
        """The folder in which kernels keep unacknowledged events."""
        return self.data_dir / "spool"

    @property
    def scratch(self) -> Path:
        """The folder for temporary copies of files."""
        return self.data_dir / "mlflow" / "scratch"

    async def ready(self) -> None:
        """Begin to make the embedded file before the first kernel asks for its address."""
        if self.kind == "embedded" and not is_ready(self._database):
            self._begin()

    def _begin(self) -> asyncio.Task[None]:
        if self._preparing is None or self._preparing.done():
            self._preparing = asyncio.create_task(self._prepare())
            # Whoever calls next gets the error; the start of the server has nobody to tell.
            self._preparing.add_done_callback(lambda done: done.cancelled() or done.exception())
        return self._preparing

    async def ensure(self) -> None:
        """Make the folders and the embedded file that the first call needs, once for all processes.

        Raises Unavailable (disk, another process holds the lock) or Failed (written by a newer MLflow).
        """
        if self.scratch.is_dir() and (self.kind == "remote" or is_ready(self._database)):
            return
        # A cancelled caller does not end it: MLflow's migrations must not be interrupted.
        await asyncio.shield(self._begin())

    async def call(self, method: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a method of a backend in ``worker``, after :meth:`ensure`. Raises Unavailable after ``ANSWER_S``."""
        await self.ensure()
        return await self._in_time(self.worker.call(method, *args, **kwargs), ANSWER_S)

    async def call_long(
        self, method: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Do what :meth:`call` does, for work with files of any size: it may take ``LONG_ANSWER_S``."""
        await self.ensure()
        return await self._in_time(self.worker.call(method, *args, **kwargs), LONG_ANSWER_S)

    async def _in_time(self, answer: Coroutine[Any, Any, R], within_s: float) -> R:
        """Return an answer of ``worker``. Raises Unavailable if it does not come in time, and starts a new worker.

        Single requests to a server end after seconds. Many slow ones do not, nor does a database that hangs.
        """
        try:
            return await asyncio.wait_for(answer, within_s)
        except asyncio.TimeoutError:
            self.worker.give_up()
            raise Unavailable(
                f"MLflow ({self.shown_uri}) has not answered within {within_s:.0f} s.",
                hint="MLflow may still carry the request out. Look whether it has before you try again.",
                code=SLOW,
            ) from None

    async def call_columns(
        self, method: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call a method of a backend in ``columns``, after :meth:`ensure`."""
        await self.ensure()
        return await self.columns.call(method, *args, **kwargs)

    async def call_transfers(
        self, method: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call a method of a backend in ``transfers``, after :meth:`ensure`."""
        await self.ensure()
        return await self.transfers.call(method, *args, **kwargs)

    async def follow_transfers(
        self,
        on_progress: Callable[[int], None],
        method: Callable[Concatenate[Any, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Call a method in ``transfers`` that tells how many bytes it has copied. A cancellation ends the copy."""
        await self.ensure()
        return await self.transfers.follow(on_progress, method, *args, **kwargs)

    @property
    def is_being_made(self) -> bool:
        """Return whether the embedded file is being made or migrated."""
        return self._preparing is not None and not self._preparing.done()

    async def _prepare(self) -> None:
        await asyncio.to_thread(self._make_folders)
        if self.kind == "embedded" and not is_ready(self._database):
            # A worker with a deleted file open would write into nothing.
            await self.worker.stop()
            store = EmbeddedStore(str(self._database), str(self._artifacts))
            try:
                made = await asyncio.to_thread(store.prepare_at_once)
            except sqlite3.Error:  # the worker meets the same, and says it in MLflow's words
                made = False
            if not made:
                await self.worker.call(EmbeddedStore.prepare)

    def _make_folders(self) -> None:
        for folder in (self.data_dir, self.data_dir / "mlflow", self._artifacts, self.scratch, self.spool):
            private_dir(folder)

    async def kernel_tracking(self, mlflow_version: str) -> KernelTracking:
        """Return where the ``mlflow.*`` calls of a kernel with this version of mlflow (empty: none yet) must
        go.

        Only the Lab's own version opens the file itself; a version that is installed later may be any other.
        The supervised server's address is given before the server runs: the server starts at the first
        connection, which waits for it.
        """
        if self.kind == "remote":
            return KernelTracking(tracking_uri=self.uri)
        await self.ensure()
        if mlflow_version == version("mlflow"):
            return KernelTracking(tracking_uri=self.uri, artifact_root=str(self._artifacts))
        url, key = await self.server.offer()
        return KernelTracking(tracking_uri=url, token=key)

    async def http_address(self) -> tuple[str, str]:
        """Return the address of MLflow's server without a slash at the end, and its key; empty without one.

        Raises InvalidRequest for a store without a server.
        """
        if self.kind == "embedded":
            await self.ensure()
            return await self.server.offer()
        if urlsplit(self.uri).scheme in ("http", "https"):
            return self.uri.rstrip("/"), os.environ.get("MLFLOW_TRACKING_TOKEN", "")
        raise InvalidRequest(
            f"The store {self.shown_uri} has no server that answers HTTP.",
            hint="Start one: mlflow server --backend-store-uri with the store's address.",
        )

    async def ui_address(self) -> str:
        """Return the address of MLflow's own pages; for the embedded MLflow with a browser's key, on this
        machine only.

        Raises InvalidRequest for a store without pages of its own.
        """
        if self.kind == "embedded":
            await self.ensure()
            url, key = await self.server.offer()
            return f"{url.replace('://', f'://{BROWSER}:{browser_key(key)}@')}{OPEN}"
        if urlsplit(self.uri).scheme in ("http", "https"):
            return self.shown_uri.rstrip("/") + "/"
        raise InvalidRequest(
            f"This Lab cannot show the store {self.shown_uri} in MLflow's pages.",
            hint="Run `mlflow ui --backend-store-uri` with the store's address.",
        )

    async def kernel_environment(self, mlflow_version: str) -> dict[str, str]:
        """Return the environment variables for a kernel with this version of mlflow (empty: none yet).

        The embedded file exists afterwards, so that no two kernels make it. A kernel with its own
        MLFLOW_TRACKING_URI keeps that: add these variables only without one.
        """
        tracking = await self.kernel_tracking(mlflow_version)
        environment = {"MLFLOW_TRACKING_URI": tracking.tracking_uri}
        if tracking.token:
            environment["MLFLOW_TRACKING_TOKEN"] = tracking.token
        if tracking.artifact_root:
            environment[ARTIFACT_ROOT_VARIABLE] = tracking.artifact_root
        return environment

    async def close(self) -> None:
        """End the workers and the supervised server; a running migration of the embedded file is finished
        first.
        """
        if self._preparing is not None:
            await asyncio.wait([self._preparing])
        await asyncio.gather(
            self.worker.stop(), self.columns.stop(), self.transfers.stop(), self.server.close()
        )
