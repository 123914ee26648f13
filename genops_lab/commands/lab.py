"""``genops quickstart``, ``genops status``, ``genops audit`` and ``genops doctor``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.core.paging import PageQuery
from genops_lab.doctor.service import DoctorService
from genops_lab.quickstart.service import copy_into

from .document import Document, Note
from .session import EXIT_FAILED, Json, command
from .views import lab as views


def quickstart(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="The folder to copy to. A missing folder is made. Default: this folder.",
            show_default=False,
        ),
    ] = Path(),
    json: Json = False,
) -> None:
    """Copy the quickstart notebook into a folder. A quickstart notebook that exists there stays as it is."""
    with command(json) as session:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidRequest(
                f"Cannot make the folder {folder}: {error.strerror}.",
                hint="Give a folder that you may write to.",
            ) from error
        path, copied = copy_into(folder)
        done = f"{path} was copied." if copied else f"{path} exists and was not changed."
        lines = [done, f"Open it: jupyter lab {quote(str(path))}"]
        if not (find_spec("torch") and find_spec("sklearn") and find_spec("skops")):
            lines.append('The notebook needs PyTorch, scikit-learn and skops: pip install "genops-lab[demo]"')
        session.show({"path": str(path), "copied": copied}, Document([Note(line) for line in lines]))


def status(json: Json = False) -> None:
    """Show which GenOps Lab and which MLflow are used."""
    with command(json) as session:
        found = session.call(DoctorService.get_status)
        session.show(found, views.status(found))


def audit(
    limit: Annotated[int, typer.Option(help="The most entries to list, 1 to 1,000.")] = 50,
    after: Annotated[
        str, typer.Option(metavar="CURSOR", help="Continue a list: the value that its last line names.")
    ] = "",
    json: Json = False,
) -> None:
    """Show the audit log: who changed or started what, the newest first.

    A store that several users share (GenOpsLab.store_url) has the entries of all of them.
    """
    with command(json) as session:
        from genops_lab.core.store.audit import AuditService  # imports SQLAlchemy

        found = session.call(AuditService.list_audit, query=PageQuery(limit=limit, after=after))
        session.show(found, views.audit(found))


def doctor(json: Json = False) -> None:
    """Check GenOps Lab, MLflow, targets and kernels, and say what to do. The output is safe to paste into an issue.

    The exit code is 1 if a check failed.
    """
    with command(json) as session:
        found = session.call(DoctorService.diagnose)
        session.show(found, views.diagnosis(found))
        if any(check.state == "error" for check in found.checks):
            raise typer.Exit(EXIT_FAILED)
