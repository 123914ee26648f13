"""``genops compute``, ``genops quickstart``, ``genops status``, ``genops audit`` and ``genops doctor``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.core.paging import PageQuery
from genops_lab.doctor.service import DoctorService
from genops_lab.kernels.nsight.models import NewNsightKernel, SectionSet
from genops_lab.kernels.nsight.service import NsightService
from genops_lab.kernels.service import ComputeService
from genops_lab.quickstart.service import copy_into

from .document import Document, Note
from .session import EXIT_FAILED, Json, command
from .views import lab as views

_SETS: tuple[SectionSet, ...] = ("basic", "detailed", "full")

compute = typer.Typer(help="Places that run kernels and deployments.", no_args_is_help=True)


@compute.command("show")
def show_machine(json: Json = False) -> None:
    """Show this machine: cores, memory, disk, GPUs."""
    with command(json) as session:
        found = session.call(ComputeService.get_machine)
        session.show(found, views.machine(found))


@compute.command("nsight")
def show_nsight(json: Json = False) -> None:
    """Say whether Nsight Systems and Nsight Compute are installed on this machine, and can be used."""
    with command(json) as session:
        found = session.call(NsightService.list_nsight_tools)
        session.show(found, views.nsight_tools(found))


@compute.command("nsight-kernel")
def make_nsight_kernel(
    kernel: Annotated[str, typer.Argument(help="A kernelspec of this machine.")] = "python3",
    measured: Annotated[
        bool, typer.Option("--compute", help="Under Nsight Compute, which measures kernels.")
    ] = False,
    section_set: Annotated[
        str, typer.Option("--set", help=f"What Nsight Compute measures of each kernel: {', '.join(_SETS)}.")
    ] = "",
    json: Json = False,
) -> None:
    """Make the kernelspec of a Python that is started under Nsight Systems, or with --compute under Nsight Compute;
    %%profile is recorded by it there.

    The kernel picker has it then, and so have papermill and jupyter console.
    """
    with command(json) as session:
        if section_set and not measured:
            raise InvalidRequest("--set is for Nsight Compute.", hint="Add --compute.")
        known = next((each for each in _SETS if each == (section_set or "basic")), None)
        if known is None:
            raise InvalidRequest(f"There is no set {section_set!r}.", hint=f"Choose of {', '.join(_SETS)}.")
        wanted = NewNsightKernel(
            kernel_name=kernel,
            product="compute" if measured else "systems",
            section_set=known,
        )
        made = session.call(NsightService.prepare_nsight_kernel, body=wanted)
        session.show(made, views.done(f"The kernel {made.name} is there: {made.display_name}."))


def quickstart(
    folder: Annotated[Path, typer.Argument(help="Where to; made where it is missing.")] = Path(),
    json: Json = False,
) -> None:
    """Copy the quickstart notebook into a folder; one that is there already stays as it is."""
    with command(json) as session:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidRequest(
                f"{folder} cannot be made a folder: {error.strerror}.", hint="Give a folder of yours."
            ) from error
        path, copied = copy_into(folder)
        done = f"{path} was copied." if copied else f"{path} was there already and was not touched."
        lines = [done, f"Open it: jupyter lab {quote(str(path))}"]
        if not (find_spec("torch") and find_spec("sklearn") and find_spec("skops")):
            lines.append('It needs PyTorch, scikit-learn and skops: pip install "genops-lab[demo]"')
        session.show({"path": str(path), "copied": copied}, Document([Note(line) for line in lines]))


def status(json: Json = False) -> None:
    """Say which GenOps Lab and which MLflow are used."""
    with command(json) as session:
        found = session.call(DoctorService.get_status)
        session.show(found, views.status(found))


def audit(
    limit: Annotated[int, typer.Option(help="At most so many entries, 1 to 1,000.")] = 50,
    after: Annotated[str, typer.Option(help="Those before this end of an earlier page.")] = "",
    json: Json = False,
) -> None:
    """Say who changed or started what, the newest first: of all who share the store (GenOpsLab.store_url)."""
    with command(json) as session:
        from genops_lab.core.store.audit import AuditService  # imports SQLAlchemy

        found = session.call(AuditService.list_audit, query=PageQuery(limit=limit, after=after))
        session.show(found, views.audit(found))


def doctor(json: Json = False) -> None:
    """Examine everything; say what is wrong and what to do. Safe to paste into an issue.

    Exits with 1 when something is wrong.
    """
    with command(json) as session:
        found = session.call(DoctorService.diagnose)
        session.show(found, views.diagnosis(found))
        if any(check.state == "error" for check in found.checks):
            raise typer.Exit(EXIT_FAILED)
