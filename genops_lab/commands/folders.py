"""``genops folders``: a notebook's folder on targets."""

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
from .grammar import noun
from .session import Json, Session, command
from .views import folders as views

folders = noun()

POLL_S = 0.3

Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATH", help="Files, folders or patterns. Default: the whole folder."),
]
Target = Annotated[
    str,
    typer.Option(
        "--target",
        metavar="TARGET",
        help="The target that has the copy. Default: the only one that has a copy.",
        autocompletion=target_names,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a large transfer.")]


@folders.command("status")
def show_folder(paths: Paths = None, target: Target = "", json: Json = False) -> None:
    """Compare this folder with its copy on a target. Nothing is transferred."""
    with command(json) as session:
        body = FolderQuery(folder=str(Path.cwd()), target=target, paths=paths or [])
        found = session.call(FoldersService.look_at_folder, body=body)
        session.show(found, views.state(found))


@folders.command("pull")
def pull(
    paths: Paths = None,
    target: Target = "",
    theirs: Annotated[
        bool,
        typer.Option(
            "--theirs",
            help="Pull files that changed on both sides too. Each file of yours is kept under another name.",
        ),
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Pull new and changed files from this folder's copy on a target. Files that changed on both sides stay."""
    with command(json) as session:
        _transfer(session, FoldersService.pull_folder, _body(paths, target, theirs, yes))


@folders.command("push")
def push(
    paths: Paths = None,
    target: Target = "",
    ours: Annotated[
        bool,
        typer.Option(
            "--ours",
            help="Push files that changed on both sides too. Each file of the target is kept under another name.",
        ),
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Push new and changed files of this folder to its copy on a target. Each start of a kernel does the same."""
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
        if not session.confirm("Transfer the files?"):
            raise
        result = _finished(session, operation, msgspec.structs.replace(body, confirmed=True))
    session.show(result, views.result(result))
    if result.failed:
        raise Failed(
            f"{len(result.failed)} files were not {result.direction}. The first is {result.failed[0].path}: "
            f"{result.failed[0].why}"
        )


def _finished(session: Session, operation: Any, body: FolderTransfer) -> FolderResult:
    job = session.call(operation, body=body)
    printed = ""
    try:
        while job.result is None:
            if job.task_id:
                message = session.call(TasksService.get_task, task_id=job.task_id).message
                if message != printed:
                    printed = message
                    session.say(printed)
            time.sleep(POLL_S)
            job = session.call(FoldersService.get_folder_job, job_id=job.id)
    except KeyboardInterrupt:
        if job.task_id:
            session.call(TasksService.cancel_task, task_id=job.task_id)
        raise
    found: FolderResult = job.result
    return found
