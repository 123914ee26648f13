"""The feature: operations and service of terminals on hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.jupyter import JupyterServer
    from genops_lab.core.settings import Settings
    from genops_lab.hosts.service import TargetsService
    from genops_lab.kernels.remote_service import RemoteKernelsService

    from .service import TerminalsService

    services.provide(
        TerminalsService,
        lambda get: TerminalsService(
            get(Settings), get(TargetsService), get(RemoteKernelsService), services.find(JupyterServer)
        ),
    )


FEATURE = Feature(
    name="terminals",
    switch="terminals",
    resource="kernels",
    operations=OPERATIONS,
    provide=_provide,
)
