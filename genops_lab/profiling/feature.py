"""The feature "profiling", as the application registers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature, Route

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.jupyter import JupyterServer
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import LocalStore
    from genops_lab.core.tasks import TasksService
    from genops_lab.core.work import WorkService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.hosts.ledger import Ledger
    from genops_lab.hosts.service import TargetsService

    from .memory_timeline.service import MemoryService
    from .perfetto.service import PerfettoService
    from .remote_analysis.service import RemoteAnalysisService
    from .service import ProfilesService
    from .timeline.service import TimelineService

    services.provide(
        ProfilesService,
        lambda get: ProfilesService(
            get(Settings), get(MlflowConnection), get(LocalStore), get(EventBus), get(Ledger).price_of
        ),
    )
    services.provide(TimelineService, lambda get: TimelineService(get(ProfilesService)))
    services.provide(MemoryService, lambda get: MemoryService(get(ProfilesService)))
    services.provide(PerfettoService, lambda get: PerfettoService(get(ProfilesService)))
    services.provide(
        RemoteAnalysisService,
        lambda get: RemoteAnalysisService(
            get(Settings), get(ProfilesService), get(TargetsService), get(TasksService), get(WorkService)
        ),
    )


def _routes(server: JupyterServer) -> list[Route]:
    from .perfetto.download import CUT, UI, CutHandler, UiHandler

    return [
        (UI, UiHandler, {"services": server.services}),
        (CUT, CutHandler, {"services": server.services}),
    ]


FEATURE = Feature(
    name="profiling",
    switch="profiles",
    resource="profiles",
    operations=OPERATIONS,
    events=("profile",),
    provide=_provide,
    routes=_routes,
)
