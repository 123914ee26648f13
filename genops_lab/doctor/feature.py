"""Declare the feature of status and diagnosis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import LocalStore
    from genops_lab.core.store.outbox import Outbox
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.hosts.service import TargetsService
    from genops_lab.kernels.outputs.service import OutputsService

    from .service import DoctorService

    services.provide(
        DoctorService,
        lambda get: DoctorService(
            get(Settings),
            get(LocalStore),
            get(Outbox),
            get(MlflowConnection),
            get(TargetsService),
            get(OutputsService),
        ),
    )


FEATURE = Feature(name="doctor", operations=OPERATIONS, events=("settings",), provide=_provide)
