"""Register kernels, their outputs and their folders as a feature of the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature, Route

from .folders.routes import OPERATIONS as FOLDERS
from .outputs.routes import OPERATIONS as OUTPUTS
from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.jupyter import JupyterServer
    from genops_lab.core.services import Get, Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.core.jupyter import JupyterServer
    from genops_lab.core.live import LiveHub
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import LocalStore
    from genops_lab.core.tasks import TasksService
    from genops_lab.hosts.allocated import AllocatedHosts, HostClaims
    from genops_lab.hosts.async_connections import LoopConnections
    from genops_lab.hosts.host_ends import HostEnds
    from genops_lab.hosts.ledger import Ledger
    from genops_lab.hosts.link.connections import HostConnections
    from genops_lab.hosts.link.route import HostRef
    from genops_lab.hosts.presets import PresetsService
    from genops_lab.hosts.service import EVENT, TargetsService
    from genops_lab.hosts.target_kernels import TargetKernels

    from .folders.host_copies import Copies
    from .folders.requests import FolderRequests
    from .folders.service import FoldersService
    from .folders.task import PassageTasks
    from .idle_savings import IdleSavings
    from .jupyter import JupyterKernels, finds_here
    from .outputs.ownership import limits
    from .outputs.server import ServerOutputs
    from .outputs.service import OutputsService
    from .owners import KernelOwners
    from .process import PROCESS, MlflowVariables
    from .remote_kernels import RemoteKernels
    from .remote_service import RemoteKernelsService
    from .server_kernels import ServerKernels
    from .service import ComputeService
    from .storage import StorageService
    from .target_kernels import KernelsOnTargets

    server = services.find(JupyterServer)

    def remote_kernels(get: Get) -> RemoteKernels:
        remote = RemoteKernels(
            get(HostConnections),
            get(Ledger).get,
            finds_here=server is not None and finds_here(server.app),
            watch_folders=PassageTasks(get(TasksService)),
            claims=get(HostClaims),
        )
        PROCESS.use(remote)  # the provisioners of this process use the same connections
        return remote

    def kernels_on_targets(get: Get) -> KernelsOnTargets:
        events = get(EventBus)
        return KernelsOnTargets(
            get(RemoteKernels), get(LoopConnections), get(AllocatedHosts), get(Ledger), get(KernelOwners),
            get(IdleSavings), services.find(ServerKernels), lambda target: events.emit(EVENT, target),
        )  # fmt: skip

    def owners(get: Get) -> KernelOwners:
        events = get(EventBus)
        return KernelOwners(get(RemoteKernels), lambda target: events.emit(EVENT, target))

    def outputs(get: Get) -> OutputsService:
        stand_in_way = [] if server is None else limits(server.app)
        return OutputsService(get(Settings), get(LocalStore), get(EventBus), get(RemoteKernels), stand_in_way)

    services.provide(RemoteKernels, remote_kernels)

    def savings(get: Get) -> IdleSavings:
        ends = get(HostEnds)
        return IdleSavings(
            get(Settings).data_dir,
            get(RemoteKernels),
            get(Ledger),
            lambda target, kernel: ends.of(HostRef(target, kernel)).ends_at,
        )

    services.provide(KernelOwners, owners)
    services.provide(IdleSavings, savings)
    services.provide(TargetKernels, kernels_on_targets)
    services.provide(OutputsService, outputs)
    services.provide(ComputeService, lambda get: ComputeService(get(LiveHub), services.find(ServerKernels)))
    services.provide(
        FoldersService,
        lambda get: FoldersService(
            get(Settings), get(TasksService), get(Ledger).get, get(RemoteKernels).folders
        ),
    )
    services.provide(FolderRequests, lambda get: get(FoldersService).requests)
    services.provide(
        RemoteKernelsService,
        lambda get: RemoteKernelsService(
            get(TargetsService),
            get(PresetsService),
            get(HostEnds),
            get(RemoteKernels),
            get(KernelOwners),
            services.find(ServerKernels),
        ),
    )
    services.provide(
        StorageService,
        lambda get: StorageService(get(TargetsService), Copies(get(RemoteKernels).folders.memories)),
    )
    if server is None:
        return
    app = server.app
    services.provide(ServerKernels, lambda _get: ServerKernels(app))

    def jupyter_kernels(get: Get) -> JupyterKernels:
        get(TargetsService)  # its start corrects the kernelspecs before sessions are restored
        settings, remote, outputs = get(Settings), get(RemoteKernels), get(OutputsService)
        server_outputs = ServerOutputs(app, settings, outputs, remote)
        return JupyterKernels(server, settings, remote, outputs, server_outputs, get(MlflowVariables))

    services.provide(JupyterKernels, jupyter_kernels)


def _routes(server: JupyterServer) -> list[Route]:
    from .outputs.download import DOWNLOAD, DownloadHandler

    return [(DOWNLOAD, DownloadHandler, {"services": server.services})]


def _extend(server: JupyterServer) -> None:
    from .jupyter import extend

    extend(server)


def _machine() -> object:
    from genops_lab.hosts.machine.models import MachineReading

    return MachineReading


FEATURE = Feature(
    name="kernels",
    switch="compute",
    operations=[*OPERATIONS, *FOLDERS, *OUTPUTS],
    events=("machine", "kernel_notice", "output"),
    topics={"machine": _machine},
    provide=_provide,
    routes=_routes,
    extend=_extend,
)
