"""Declare the feature of cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.registry.service import RegistryService

    from .service import CardsService

    services.provide(
        CardsService, lambda get: CardsService(get(MlflowConnection), get(RegistryService), get(EventBus))
    )


FEATURE = Feature(name="cards", switch="models", resource="models", operations=OPERATIONS, provide=_provide)
