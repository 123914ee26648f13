"""``genops pull``, ``genops push`` and ``genops folders``: a notebook's folder on targets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from genops_lab.core.errors import Conflict, Failed
from genops_lab.core.tasks import TasksService
from genops_lab.kernels.folders.models import FolderQuery, FolderResult, FolderTransfer
from genops_lab.kernels.folders.service import FoldersService

from .completion import target_names
from .document import clean
from .session import Json, Session, command
from .views import folders as views

folders = typer.Typer(help="Notebooks' folders on targets.", no_args_is_help=True)

POLL_S = 0.3

Paths = Annotated[
    list[str] | None, typer.Argument(help="Files, folders or patterns; the whole folder without any.")
]
Target = Annotated[
    str,
    typer.Option(
        "--target", help="Where the copy is; needed where there are several.", autocompletion=target_names
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Also where much would travel.")]


@folders.command("status")
def show_folder(paths: Paths = None, target: Target = "", json: Json = False) -> None:
    """Compare this folder with its copy on a target: what would be sent, brought, and what changed on both sides."""
    with command(json) as session:
        body = FolderQuery(folder=str(Path.cwd()), target=target, paths=paths or [])
        found = session.call(FoldersService.look_at_folder, body=body)
        session.show(found, views.state(found))


def pull(
    paths: Paths = None,
    target: Target = "",
    theirs: Annotated[
        bool,
        typer.Option("--theirs", help="Also files that changed on both sides; yours are kept beside them."),
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Bring what is new or changed in this folder's copy on a target. What changed on both sides is left alone."""
    with command(json) as session:
        _transfer(session, FoldersService.pull_folder, _body(paths, target, theirs, yes))


def push(
    paths: Paths = None,
    target: Target = "",
    ours: Annotated[
        bool,
        typer.Option(
            "--ours", help="Also files that changed on both sides; those there are kept beside them."
        ),
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Send what is new or changed in this folder to its copy on a target, as each start of a kernel there does."""
    with command(json) as session:
        _transfer(session, FoldersService.push_folder, _body(paths, target, ours, yes))


def _body(paths: list[str] | None, target: str, replace: bool, yes: bool) -> FolderTransfer:
    return FolderTransfer(
        folder=str(Path.cwd()), target=target, paths=paths or [], replace=replace, confirmed=yes
    )


def _transfer(session: Session, operation: Any, body: FolderTransfer) -> None:
    try:
        result = _finished(session, operation, body)
    except Conflict as error:
        if error.code != "confirmation_needed" or not session.can_ask:
            raise
        session.say("\n".join(clean(line) for line in error.message.splitlines()))
        if not session.confirm("Do it?"):
            raise
        result = _finished(session, operation, msgspec.structs.replace(body, confirmed=True))
    session.show(result, views.result(result))
    if result.failed:
        raise Failed(
            f"{len(result.failed)} of the files could not be {result.direction}: {result.failed[0].why}"
        )


def _finished(session: Session, operation: Any, body: FolderTransfer) -> FolderResult:
    job = session.call(operation, body=body)
    told = ""
    try:
        while job.result is None:
            if job.task_id:
                message = session.call(TasksService.get_task, task_id=job.task_id).message
                if message != told:
                    told = message
                    session.say(told)
            time.sleep(POLL_S)
            job = session.call(FoldersService.get_folder_job, job_id=job.id)
    except KeyboardInterrupt:
        if job.task_id:
            session.call(TasksService.cancel_task, task_id=job.task_id)
        raise
    found: FolderResult = job.result
    return found
