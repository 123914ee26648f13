"""What the application knows of tasks: long work of every feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .features import Feature
from .operations import LazyService, Operation

if TYPE_CHECKING:
    from .services import Services
    from .tasks import TasksService as Service
else:
    Service = LazyService(__package__, "tasks", "TasksService")


def _provide(services: Services) -> None:
    from .events import EventBus
    from .settings import Settings
    from .store import LocalStore
    from .store.work import WorkTable
    from .tasks import TasksService
    from .work import WorkService

    services.provide(WorkTable, lambda get: WorkTable(get(LocalStore)))
    services.provide(TasksService, lambda get: TasksService(get(EventBus), get(WorkTable)))
    services.provide(WorkService, lambda get: WorkService(get(Settings), get(TasksService), get(WorkTable)))


FEATURE = Feature(
    name="tasks",
    operations=[
        Operation("GET", "/tasks", Service.list_tasks),
        Operation("GET", "/tasks/{task_id}", Service.get_task),
        Operation("GET", "/tasks/{task_id}/log", Service.get_task_log),
        Operation("POST", "/tasks/{task_id}/cancel", Service.cancel_task),
    ],
    events=("task",),
    provide=_provide,
)
