"""Declare the lineage feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.store import SharedStore
    from genops_lab.deployments.service import DeploymentsService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.experiments.service import ExperimentsService

    from .service import LineageService

    services.provide(
        LineageService,
        lambda get: LineageService(
            get(MlflowConnection), get(ExperimentsService), get(DeploymentsService), get(SharedStore)
        ),
    )


FEATURE = Feature(name="lineage", switch="models", resource="models", operations=OPERATIONS, provide=_provide)
