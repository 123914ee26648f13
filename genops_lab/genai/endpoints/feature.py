"""Declare the feature: models that answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.core.live import LiveHub
    from genops_lab.core.settings import Settings
    from genops_lab.deployments.service import DeploymentsService
    from genops_lab.experiments.mlflow import MlflowConnection

    from .service import EndpointsService

    services.provide(
        EndpointsService,
        lambda get: EndpointsService(
            get(Settings), get(DeploymentsService), get(MlflowConnection), get(EventBus), get(LiveHub)
        ),
    )


FEATURE = Feature(
    name="endpoints", switch="genai", operations=OPERATIONS, events=("endpoint",), provide=_provide
)
