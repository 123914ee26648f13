"""Long work that a command waits for."""

from __future__ import annotations

import time
from collections.abc import Callable

from genops_lab.core.errors import Failed
from genops_lab.core.models import Task
from genops_lab.core.tasks import TasksService

from .session import Session

POLL_S = 0.25


def followed(session: Session, task: Task, look: Callable[[], None] = lambda: None) -> None:
    """Show what a task says until it has ended well; an interrupt cancels it. ``look`` is called meanwhile.

    Raises Failed.
    """
    told = 0
    try:
        while True:
            lines = session.call(TasksService.get_task_log, task_id=task.id).lines
            for line in lines[told:]:
                session.say(line)
            told = len(lines)
            task = session.call(TasksService.get_task, task_id=task.id)
            if task.state != "running":
                break
            look()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        session.say("Cancelling.")
        session.call(TasksService.cancel_task, task_id=task.id)
        raise
    if task.state != "done":
        raise Failed(task.message, hint=task.hint)
