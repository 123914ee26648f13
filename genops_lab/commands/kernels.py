"""``genops kernels``: kernels on targets, and kernels under Nsight."""

from __future__ import annotations

from typing import Annotated

import typer

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.hosts.models import AttachKernel, KernelLogQuery, RemoteKernel, StopKernel
from genops_lab.kernels.nsight.models import NewNsightKernel, SectionSet
from genops_lab.kernels.nsight.service import NsightService
from genops_lab.kernels.remote_service import RemoteKernelsService

from .completion import remote_kernel_ids, target_names
from .grammar import noun
from .session import Json, Session, command
from .views import kernels as views
from .views import lab as lab_views

kernels = noun()

Kernel = Annotated[
    str,
    typer.Argument(
        metavar="KERNEL", help="A kernel's id, or a unique prefix of it.", autocompletion=remote_kernel_ids
    ),
]
Target = Annotated[
    str,
    typer.Option(
        "--target",
        metavar="TARGET",
        help="Only kernels of this target. Default: all connected targets.",
        autocompletion=target_names,
    ),
]


@kernels.command("list")
def list_kernels(target: Target = "", json: Json = False) -> None:
    """List the kernels on connected targets."""
    with command(json) as session:
        if target:
            found = [session.call(RemoteKernelsService.list_target_kernels, name=target)]
        else:
            found = session.call(RemoteKernelsService.list_remote_kernels)
        session.show(found, views.kernels(found))


@kernels.command("attach")
def attach_kernel(
    kernel: Kernel,
    target: Target = "",
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Detach the kernel from another Lab first.")
    ] = False,
    json: Json = False,
) -> None:
    """Attach a kernel on a target to the running JupyterLab. The kernel keeps its variables."""
    with command(json) as session:
        found = _found(session, kernel, target)
        attached = session.call(
            RemoteKernelsService.attach_remote_kernel,
            name=found.target,
            kernel_id=found.kernel_id,
            body=AttachKernel(take_over=take_over),
        )
        session.show(attached, views.attached(attached))


@kernels.command("stop")
def stop_kernel(
    kernel: Kernel,
    target: Target = "",
    grace: Annotated[
        float,
        typer.Option(
            "--grace",
            metavar="SECONDS",
            min=0,
            max=60,
            help="Seconds that the kernel has to end by itself before it is killed.",
        ),
    ] = 5.0,
    json: Json = False,
) -> None:
    """Stop a kernel on its host. Outputs that are not in the notebook yet are kept."""
    with command(json) as session:
        found = _found(session, kernel, target)
        stopped = session.call(
            RemoteKernelsService.stop_remote_kernel,
            name=found.target,
            kernel_id=found.kernel_id,
            body=StopKernel(grace_s=grace),
        )
        session.show(stopped, views.kernel(stopped))


@kernels.command("extend-lifetime")
def extend_kernel(kernel: Kernel, target: Target = "", json: Json = False) -> None:
    """Extend the time until an idle kernel is stopped. The time begins again."""
    with command(json) as session:
        found = _found(session, kernel, target)
        kept = session.call(
            RemoteKernelsService.keep_remote_kernel, name=found.target, kernel_id=found.kernel_id
        )
        session.show(kept, views.kernel(kept))


@kernels.command("logs")
def show_log(
    kernel: Kernel,
    target: Target = "",
    max_bytes: Annotated[
        int,
        typer.Option("--bytes", min=1, max=1024 * 1024, help="The bytes to show, from the end of the log."),
    ] = 65536,
    json: Json = False,
) -> None:
    """Show the end of the log of a kernel's process. Outputs of cells are not part of it."""
    with command(json) as session:
        found = _found(session, kernel, target)
        log = session.call(
            RemoteKernelsService.get_remote_kernel_log,
            name=found.target,
            kernel_id=found.kernel_id,
            query=KernelLogQuery(max_bytes=max_bytes),
        )
        session.show(log, views.log(log))


_SETS: tuple[SectionSet, ...] = ("basic", "detailed", "full")


@kernels.command("add-nsight")
def add_nsight_kernel(
    kernel: Annotated[
        str, typer.Argument(metavar="KERNEL", help="A kernelspec of this machine.")
    ] = "python3",
    measured: Annotated[
        bool, typer.Option("--compute", help="Use Nsight Compute, which measures single launches.")
    ] = False,
    section_set: Annotated[
        str,
        typer.Option(
            "--set",
            metavar="SET",
            help=f"What Nsight Compute measures of a launch: {', '.join(_SETS)}. Default: basic.",
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Add a kernelspec whose kernels run under NVIDIA Nsight.

    %%profile in such a kernel records with Nsight Systems, or with --compute by Nsight Compute. The kernel picker,
    papermill and jupyter console offer the kernelspec.
    """
    with command(json) as session:
        if section_set and not measured:
            raise InvalidRequest("--set belongs to Nsight Compute.", hint="Add --compute.")
        known = next((each for each in _SETS if each == (section_set or "basic")), None)
        if known is None:
            raise InvalidRequest(f"There is no set {section_set!r}.", hint=f"Choose {', '.join(_SETS)}.")
        wanted = NewNsightKernel(
            kernel_name=kernel,
            product="compute" if measured else "systems",
            section_set=known,
        )
        made = session.call(NsightService.prepare_nsight_kernel, body=wanted)
        session.show(made, lab_views.done(f"Kernelspec {made.name} is ready: {made.display_name}."))


def _found(session: Session, prefix: str, target: str) -> RemoteKernel:
    """Return the kernel whose id begins with ``prefix``. Raises InvalidRequest, NotFound."""
    places = session.call(RemoteKernelsService.list_remote_kernels)
    places = [place for place in places if target in ("", place.target)]
    matching = [each for place in places for each in place.kernels if each.kernel_id.startswith(prefix)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        ids = ", ".join(f"{each.kernel_id} on {each.target}" for each in matching)
        raise InvalidRequest(
            f"Several kernels begin with {prefix!r}: {ids}.", hint="Give more characters of the id."
        )
    away = ", ".join(place.target for place in places if not place.connected)
    raise NotFound(
        f"There is no kernel {prefix!r} on the connected targets.",
        hint=f"These targets are not connected: {away}. Connect one: genops targets connect TARGET"
        if away
        else "List the kernels: genops kernels list",
    )
