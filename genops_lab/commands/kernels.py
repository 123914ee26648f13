"""``genops kernels``: kernels on targets."""

from __future__ import annotations

from typing import Annotated

import typer

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.hosts.models import AttachKernel, KernelLogQuery, RemoteKernel, StopKernel
from genops_lab.kernels.remote_service import RemoteKernelsService

from .completion import remote_kernel_ids, target_names
from .session import Json, Session, command
from .views import kernels as views

kernels = typer.Typer(help="Kernels on targets: they live without the Lab.", no_args_is_help=True)

Kernel = Annotated[
    str, typer.Argument(help="A kernel's id, or a unique prefix of it.", autocompletion=remote_kernel_ids)
]
Target = Annotated[str, typer.Option("--target", help="Of this target alone.", autocompletion=target_names)]


@kernels.command("list")
def list_kernels(target: Target = "", json: Json = False) -> None:
    """List the kernels on targets that are connected; the others are not asked."""
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
        bool, typer.Option("--take-over", help="Also from another Lab that it is attached to.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a kernel that runs on a target one of the running JupyterLab, with its state."""
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
        float, typer.Option("--grace", min=0, max=60, help="Seconds it may take to end by itself.")
    ] = 5.0,
    json: Json = False,
) -> None:
    """Stop a kernel on its host; outputs that are not in the notebook yet are kept."""
    with command(json) as session:
        found = _found(session, kernel, target)
        stopped = session.call(
            RemoteKernelsService.stop_remote_kernel,
            name=found.target,
            kernel_id=found.kernel_id,
            body=StopKernel(grace_s=grace),
        )
        session.show(stopped, views.kernel(stopped))


@kernels.command("keep")
def keep_kernel(kernel: Kernel, target: Target = "", json: Json = False) -> None:
    """Give a kernel that does nothing its whole time anew, before its target's policy ends it."""
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
        int, typer.Option("--bytes", min=1, max=1024 * 1024, help="How much of the end.")
    ] = 65536,
    json: Json = False,
) -> None:
    """Show the end of what a kernel's process wrote (not its cells' outputs)."""
    with command(json) as session:
        found = _found(session, kernel, target)
        log = session.call(
            RemoteKernelsService.get_remote_kernel_log,
            name=found.target,
            kernel_id=found.kernel_id,
            query=KernelLogQuery(max_bytes=max_bytes),
        )
        session.show(log, views.log(log))


def _found(session: Session, prefix: str, target: str) -> RemoteKernel:
    """The one kernel whose id begins so."""
    places = session.call(RemoteKernelsService.list_remote_kernels)
    places = [place for place in places if target in ("", place.target)]
    matching = [each for place in places for each in place.kernels if each.kernel_id.startswith(prefix)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        ids = ", ".join(f"{each.kernel_id} on {each.target}" for each in matching)
        raise InvalidRequest(f"Several kernels begin with {prefix!r}: {ids}.", hint="Give more of the id.")
    away = ", ".join(place.target for place in places if not place.connected)
    raise NotFound(
        f"There is no kernel {prefix!r} on the targets that are connected.",
        hint=f"Not connected: {away}. Connect it: genops targets connect NAME"
        if away
        else "See: genops kernels list",
    )
