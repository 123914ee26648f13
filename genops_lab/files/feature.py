"""The feature: operations, service and addresses of hosts' files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature, Route

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.jupyter import JupyterServer
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.hosts.service import TargetsService
    from genops_lab.kernels.remote_service import RemoteKernelsService

    from .service import FilesService

    services.provide(FilesService, lambda get: FilesService(get(TargetsService), get(RemoteKernelsService)))


def _routes(server: JupyterServer) -> list[Route]:
    from .handlers import CHECKPOINTS, CONTENTS, DOWNLOAD, CheckpointsOfHost, ContentsOfHost, HostDownload

    given = {"services": server.services}
    return [
        (DOWNLOAD, HostDownload, given),
        (CHECKPOINTS, CheckpointsOfHost, given),
        (CONTENTS, ContentsOfHost, given),
    ]


FEATURE = Feature(
    name="files", switch="compute", resource="files", operations=OPERATIONS, provide=_provide, routes=_routes
)
