"""The feature: operations, service and address of ports on hosts."""

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
    from genops_lab.hosts.service import TargetsService
    from genops_lab.kernels.remote_service import RemoteKernelsService

    from .service import PortsService

    services.provide(
        PortsService,
        lambda get: PortsService(
            get(Settings), get(EventBus), get(TargetsService), get(RemoteKernelsService)
        ),
    )


def _routes(server: JupyterServer) -> list[Route]:
    from .handler import ROUTE, PortHandler

    return [(ROUTE, PortHandler, {"services": server.services})]


FEATURE = Feature(
    name="ports",
    switch="compute",
    resource="kernels",
    operations=OPERATIONS,
    events=("port",),
    provide=_provide,
    routes=_routes,
)
