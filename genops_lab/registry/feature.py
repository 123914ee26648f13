"""Declare the registry feature."""

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
    from genops_lab.core.store import LocalStore, SharedStore
    from genops_lab.core.tasks import TasksService
    from genops_lab.core.work import WorkService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.experiments.service import ExperimentsService

    from .cleaning import ModelCleaning
    from .deleting import DeploymentsOfModel, ModelDeletion
    from .importing import ModelImports
    from .leftovers import ModelLeftovers
    from .moves import AliasMoves
    from .service import RegistryService
    from .signatures import SignaturesService
    from .using import ModelUses
    from .versions.service import DeployedVersions, VersionTableService

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
        VersionTableService,
        lambda get: VersionTableService(
            get(MlflowConnection), get(EventBus), get(LiveHub), get(DeployedVersions)
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
    services.provide(
        ModelImports,
        lambda get: ModelImports(
            get(Settings), get(MlflowConnection), get(RegistryService), get(WorkService), get(EventBus)
        ),
    )
    services.provide(
        ModelUses,
        lambda get: ModelUses(
            get(Settings), get(MlflowConnection), get(RegistryService), get(TasksService), get(EventBus)
        ),
    )
    services.provide(ModelLeftovers, lambda get: ModelLeftovers(get(Settings), get(MlflowConnection)))
    services.provide(
        ModelCleaning,
        lambda get: ModelCleaning(
            get(MlflowConnection), get(ModelDeletion), get(DeploymentsOfModel), get(AliasMoves)
        ),
    )


FEATURE = Feature(
    name="registry",
    switch="models",
    resource="models",
    operations=OPERATIONS,
    events=("model", "version"),
    provide=_provide,
)
