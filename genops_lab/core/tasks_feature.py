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
    from .tasks import TasksService

    services.provide(TasksService, lambda get: TasksService(get(EventBus)))


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
