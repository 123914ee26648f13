"""Declare the evaluations feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.core.settings import Settings
    from genops_lab.core.work import WorkService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.hosts.service import TargetsService
    from genops_lab.registry.service import RegistryService

    from .loading import ModelLoading
    from .service import EvaluationsService

    services.provide(
        EvaluationsService,
        lambda get: EvaluationsService(
            get(Settings), get(MlflowConnection), get(RegistryService), get(ModelLoading), get(EventBus),
            get(WorkService), get(TargetsService),
        ),
    )  # fmt: skip


FEATURE = Feature(
    name="evaluations",
    switch="models",
    resource="models",
    operations=OPERATIONS,
    events=("evaluation",),
    provide=_provide,
)
