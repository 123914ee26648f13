"""Declare the features of tasks and of the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .features import Feature
from .operations import LazyService, Operation

if TYPE_CHECKING:
    from .services import Services
    from .store.audit import AuditService
    from .tasks import TasksService
else:
    AuditService = LazyService(__package__, "store.audit", "AuditService")
    TasksService = LazyService(__package__, "tasks", "TasksService")


def _provide_tasks(services: Services) -> None:
    from .events import EventBus
    from .settings import Settings
    from .store import LocalStore
    from .store.work import WorkTable
    from .tasks import TasksService
    from .work import WorkService

    services.provide(WorkTable, lambda get: WorkTable(get(LocalStore)))
    services.provide(TasksService, lambda get: TasksService(get(EventBus), get(WorkTable)))
    services.provide(WorkService, lambda get: WorkService(get(Settings), get(TasksService), get(WorkTable)))


def _provide_audit(services: Services) -> None:
    from .audit import AuditLog
    from .store import LocalStore, SharedStore
    from .store.audit import AuditService
    from .store.outbox import Outbox

    services.provide(Outbox, lambda get: Outbox(get(LocalStore), get(SharedStore)))
    services.provide(AuditLog, lambda get: AuditLog(get(LocalStore)))
    services.provide(AuditService, lambda get: AuditService(get(Outbox)))


TASKS = Feature(
    name="tasks",
    operations=[
        Operation("GET", "/tasks", TasksService.list_tasks),
        Operation("GET", "/tasks/{task_id}", TasksService.get_task),
        Operation("GET", "/tasks/{task_id}/log", TasksService.get_task_log),
        Operation("POST", "/tasks/{task_id}/cancel", TasksService.cancel_task),
    ],
    events=("task",),
    provide=_provide_tasks,
)
AUDIT = Feature(
    name="audit",
    operations=[Operation("GET", "/audit", AuditService.list_audit)],
    provide=_provide_audit,
)
