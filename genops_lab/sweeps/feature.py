"""Declare the sweeps feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Get, Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.core.jupyter import JupyterServer
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import LocalStore
    from genops_lab.core.store.work import WorkTable
    from genops_lab.core.work import WorkService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.experiments.tracking import TrackingService

    from .service import SweepsService

    def sweeps(get: Get) -> SweepsService:
        server = services.find(JupyterServer)
        kernels = None
        if server is not None and FEATURE.switch in get(Settings).rooms:
            from genops_lab.jobs.kernels import FreshKernels

            kernels = FreshKernels(server.app)
        return SweepsService(
            get(Settings),
            get(LocalStore),
            get(EventBus),
            get(MlflowConnection),
            get(TrackingService),
            kernels,
            get(WorkService),
            get(WorkTable),
        )

    services.provide(SweepsService, sweeps)


FEATURE = Feature(
    name="sweeps", switch="experiments", operations=OPERATIONS, events=("sweep",), provide=_provide
)
