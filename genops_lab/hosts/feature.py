"""Register targets and their hosts as a feature of the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Get, Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.core.live import LiveHub
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import LocalStore
    from genops_lab.core.store.work import WorkTable
    from genops_lab.core.tasks import TasksService
    from genops_lab.core.work import WorkService

    from .allocated import AllocatedHosts, HostClaims
    from .async_connections import LoopConnections
    from .capacity import Capacities
    from .check_reports import Reports
    from .environments import EnvironmentsService
    from .host_ends import HostEnds
    from .ledger import Ledger
    from .link.connections import HostConnections
    from .metrics import HostMetrics
    from .presets import PresetsService
    from .questions import QuestionsService
    from .service import EVENT, NOTICE, TargetsService
    from .target_kernels import TargetKernels
    from .target_tests import TargetTestsService
    from .templates import TemplatesService
    from .variables import VariablesService

    services.provide(Ledger, lambda get: Ledger(get(LocalStore)))
    services.provide(QuestionsService, lambda get: QuestionsService(get(EventBus)))
    services.provide(
        HostConnections, lambda get: HostConnections(get(Settings).data_dir, get(QuestionsService))
    )
    services.provide(LoopConnections, lambda get: LoopConnections(get(HostConnections)))
    services.provide(HostMetrics, lambda get: HostMetrics(get(LoopConnections)))
    services.provide(Capacities, lambda get: Capacities(get(LoopConnections)))
    services.provide(HostClaims, lambda get: HostClaims(get(Settings).data_dir))

    def allocated_hosts(get: Get) -> AllocatedHosts:
        events = get(EventBus)
        return AllocatedHosts(
            get(Ledger), get(LoopConnections), get(HostClaims), lambda target: events.emit(EVENT, target)
        )

    def host_ends(get: Get) -> HostEnds:
        events = get(EventBus)
        return HostEnds(
            get(LoopConnections),
            get(LiveHub),
            lambda target: events.emit(EVENT, target),
            lambda host_id, _target: events.emit(NOTICE, host_id),
        )

    services.provide(AllocatedHosts, allocated_hosts)
    services.provide(HostEnds, host_ends)
    services.provide(Reports, lambda get: Reports(get(EventBus), get(LiveHub)))
    services.provide(
        TargetsService,
        lambda get: TargetsService(
            get(Settings), get(EventBus), get(LiveHub), get(TasksService), get(Reports), get(QuestionsService),
            get(Ledger), get(LoopConnections), get(AllocatedHosts), get(HostEnds), get(HostMetrics), get(Capacities),
            get(WorkTable), get(TargetKernels),
        ),
    )  # fmt: skip
    services.provide(
        TargetTestsService,
        lambda get: TargetTestsService(
            get(TargetsService), get(TasksService), get(Reports), get(TargetKernels)
        ),
    )
    services.provide(
        EnvironmentsService,
        lambda get: EnvironmentsService(
            get(Settings), get(TargetsService), get(TargetTestsService), get(WorkService), get(WorkTable)
        ),
    )
    services.provide(
        PresetsService, lambda get: PresetsService(get(Settings), get(TargetsService), get(TargetKernels))
    )
    services.provide(
        TemplatesService,
        lambda get: TemplatesService(get(Settings), get(TargetsService), get(PresetsService)),
    )
    services.provide(VariablesService, lambda _get: VariablesService())


def _target() -> object:
    from .models import Target

    return list[Target]


FEATURE = Feature(
    name="hosts",
    switch="compute",
    resource="targets",
    operations=OPERATIONS,
    events=("target", "question"),
    topics={"targets": _target},
    provide=_provide,
)
