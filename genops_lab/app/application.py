"""Put the services of all features together, without a web server.

The Jupyter extension runs an application in the server. The command line runs one in its own process if no server runs.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TypeVar

from ..core.events import EventBus
from ..core.features import Features
from ..core.jupyter import JupyterServer
from ..core.live import LiveHub
from ..core.locks import FileLock
from ..core.services import Services
from ..core.settings import Settings
from ..core.store import LocalStore, SharedStore
from ..core.tasks import TasksService
from .features import FEATURES, SWITCHES

T = TypeVar("T")


class Application:
    """The services of all features, also of those that are switched off, because others use them."""

    def __init__(
        self,
        settings: Settings,
        store: LocalStore,
        shared: SharedStore,
        live: LiveHub,
        server: JupyterServer | None,
    ) -> None:
        self.settings = dataclasses.replace(settings, rooms=settings.rooms or SWITCHES)
        self.store, self.shared = store, shared
        self.events = EventBus(store)
        self.services = Services()
        self.services.provide(Settings, lambda _get: self.settings)
        self.services.provide(LocalStore, lambda _get: store)
        self.services.provide(SharedStore, lambda _get: shared)
        self.services.provide(EventBus, lambda _get: self.events)
        self.services.provide(LiveHub, lambda _get: live)
        self.services.provide(Features, lambda _get: Features(FEATURES))
        if server is not None:
            self.services.provide(JupyterServer, lambda _get: server)
        for feature in FEATURES:
            feature.provide(self.services)
        self.services.make_all()
        # Of several servers of a user one supervises (spooled runs, dead kernels, leases of deployments).
        self._supervisor = FileLock(settings.data_dir / "supervisor.lock")
        self._supervising: asyncio.Task[None] | None = None

    @staticmethod
    async def open(
        settings: Settings,
        server: JupyterServer | None = None,
        *,
        live: LiveHub | None = None,
        supervise: bool = True,
    ) -> Application:
        """Open the stores in a thread, open the services and start the supervision."""
        shared = SharedStore.at(settings.store_url, settings.data_dir)
        former = shared.url if settings.store_url else None
        store = await asyncio.to_thread(LocalStore, settings.data_dir / "store.db", former=former)
        application = Application(settings, store, shared, live or LiveHub(), server)
        await application.services.open()
        if supervise:
            application._supervising = asyncio.create_task(application._supervise())
        return application

    def get(self, kind: type[T]) -> T:
        """Return the service of a class."""
        return self.services.get(kind)

    async def ready(self) -> None:
        """Tell the services that the Jupyter server answers."""
        await self.services.ready()

    @property
    def supervises(self) -> bool:
        """Whether this process supervises the user's work."""
        return self._supervisor.held

    async def _supervise(self) -> None:
        while not self._supervisor.try_acquire():
            await asyncio.sleep(5)
        await self.services.supervise()

    async def stop(self) -> None:
        """Stop supervision, tasks, each service before its dependencies, and the stores. Deployments keep running."""
        if self._supervising is not None:
            self._supervising.cancel()
            await asyncio.wait([self._supervising])
        await self.get(TasksService).close()
        await self.services.close()
        await self.events.close()
        self._supervisor.release()
        await asyncio.to_thread(self.store.close)
        await asyncio.to_thread(self.shared.close)
