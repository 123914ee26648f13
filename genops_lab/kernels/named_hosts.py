"""Find the host that a person names by a notebook, a kernel or a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.hosts.providers import provider_of

if TYPE_CHECKING:
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.hosts.models import RemoteKernel
    from genops_lab.hosts.service import TargetsService

    from .remote_service import RemoteKernelsService


async def kernel_named(kernels: RemoteKernelsService, where: str) -> tuple[str, RemoteKernel | None]:
    """Return the target and the running kernel of a word; no kernel for the name of a target.

    Raises NotFound, and InvalidRequest where several kernels have this name.
    """
    places = await kernels.list_remote_kernels()
    if where in {place.target for place in places}:
        return where, None
    running = [each for place in places for each in place.kernels if each.state == "running"]
    matching = [each for each in running if _is_named(each, where)]
    if len(matching) == 1:
        return matching[0].target, matching[0]
    if matching:
        ids = ", ".join(f"{each.kernel_id} on {each.target}" for each in matching)
        raise InvalidRequest(f"Several kernels are named {where!r}: {ids}.", hint="Name one by its id.")
    away = ", ".join(place.target for place in places if not place.connected)
    raise NotFound(
        f"No notebook, kernel or target is named {where!r} on the connected targets.",
        hint=f"These targets are not connected: {away}. Connect one: genops targets connect TARGET"
        if away
        else "List the kernels: genops kernels list",
    )


async def host_named(
    targets: TargetsService, kernels: RemoteKernelsService, where: str
) -> tuple[HostConnection, RemoteKernel | None]:
    """Return the connection of the one host of a word, and the kernel: the named one, or that of the pod or job.

    Raises what :func:`kernel_named` raises, and Conflict where the target is not connected or has several hosts.
    """
    target, kernel = await kernel_named(kernels, where)
    links = await targets.connected_links(target, kernel.host_id if kernel else "")
    if len(links) > 1:
        noun = provider_of(links[0].route.kind).host_noun
        ids = ", ".join(each.route.host_id for each in links)
        raise Conflict(
            f"{target} has several {noun}s: {ids}.",
            hint="Name one by its notebook or the id of its kernel.",
            code="several_hosts",
        )
    link = links[0]
    if kernel is None and link.route.host_id:
        places = await kernels.list_remote_kernels()
        here = [
            each
            for place in places
            for each in place.kernels
            if each.target == target and each.host_id == link.route.host_id and each.state == "running"
        ]
        kernel = here[0] if here else None
    return link, kernel


def _is_named(kernel: RemoteKernel, word: str) -> bool:
    return bool(word) and (
        kernel.kernel_id.startswith(word) or kernel.notebook == word or kernel.notebook.endswith(f"/{word}")
    )
