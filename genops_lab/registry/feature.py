"""Declare the registry feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import LocalStore, SharedStore
    from genops_lab.core.work import WorkService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.experiments.service import ExperimentsService

    from .deleting import DeploymentsOfModel, ModelDeletion
    from .moves import AliasMoves
    from .service import RegistryService
    from .signatures import SignaturesService

    services.provide(
        AliasMoves,
        lambda get: AliasMoves(
            get(Settings), get(MlflowConnection), get(SharedStore), get(WorkService), get(EventBus)
        ),
    )
    services.provide(
        RegistryService,
        lambda get: RegistryService(
            get(MlflowConnection), get(ExperimentsService), get(LocalStore), get(EventBus), get(AliasMoves)
        ),
    )
    services.provide(
        SignaturesService, lambda get: SignaturesService(get(Settings), get(MlflowConnection), get(EventBus))
    )
    services.provide(
        ModelDeletion,
        lambda get: ModelDeletion(
            get(MlflowConnection), get(EventBus), get(DeploymentsOfModel), get(AliasMoves)
        ),
    )


FEATURE = Feature(
    name="registry",
    switch="models",
    resource="models",
    operations=OPERATIONS,
    events=("model",),
    provide=_provide,
)
