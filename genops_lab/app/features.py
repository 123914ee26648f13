"""The rooms of the house, and all that they offer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..core.operations import LazyService, Operation
from ..deployments.routes import OPERATIONS as DEPLOYMENTS
from ..doctor.routes import OPERATIONS as DOCTOR
from ..experiments.routes import OPERATIONS as EXPERIMENTS
from ..hosts.routes import OPERATIONS as TARGETS
from ..kernels.folders.routes import OPERATIONS as FOLDERS
from ..kernels.outputs.routes import OPERATIONS as OUTPUTS
from ..kernels.routes import OPERATIONS as COMPUTE
from ..profiling.routes import OPERATIONS as PROFILES
from ..quickstart.routes import OPERATIONS as QUICKSTART
from ..registry.routes import OPERATIONS as MODELS
from ..sweeps.routes import OPERATIONS as SWEEPS

if TYPE_CHECKING:
    from ..core.tasks import TasksService
else:
    TasksService = LazyService("genops_lab.core", "tasks", "TasksService")

TASKS = [
    Operation("GET", "/tasks", TasksService.list_tasks),
    Operation("GET", "/tasks/{task_id}", TasksService.get_task),
    Operation("GET", "/tasks/{task_id}/log", TasksService.get_task_log),
    Operation("POST", "/tasks/{task_id}/cancel", TasksService.cancel_task),
]

#: Rooms that an administrator can switch off (``GenOpsLab.rooms``), in the order of the panel.
ROOMS: dict[str, list[Operation]] = {
    "compute": [*COMPUTE, *TARGETS, *FOLDERS, *OUTPUTS],
    "experiments": [*EXPERIMENTS, *SWEEPS],
    "profiles": PROFILES,
    "models": MODELS,
    "deployments": DEPLOYMENTS,
}


def operations(rooms: Iterable[str]) -> list[Operation]:
    """What is offered with these rooms on."""
    return [
        *DOCTOR,
        *TASKS,
        *QUICKSTART,
        *(operation for room in ROOMS if room in set(rooms) for operation in ROOMS[room]),
    ]


OPERATIONS = operations(ROOMS)
