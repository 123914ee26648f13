"""Manage kernels that agents own on targets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest

from ..core.services import Service
from ..hosts.best_fit import GPU_VARIABLES
from ..hosts.models import (
    AttachedKernel,
    AttachKernel,
    KernelLog,
    KernelLogQuery,
    KernelNotice,
    NextStart,
    RemoteKernel,
    StopKernel,
    TargetKernels,
)
from ..hosts.names import kernel_name
from ..hosts.providers import provider_of
from ..hosts.resources import variables_of
from .notices import Notices

if TYPE_CHECKING:
    from genops_lab.kernels.remote_kernels import RemoteKernels

    from ..hosts.host_ends import HostEnds
    from ..hosts.presets import PresetsService
    from ..hosts.records import TargetRecord
    from ..hosts.service import TargetsService
    from .owners import KernelOwners
    from .server_kernels import ServerKernels

MAX_GRACE_S = 60.0
MAX_LOG_BYTES = 1024 * 1024
LIST_TIMEOUT_S = 10.0


class RemoteKernelsService(Service):
    """Lists, attaches, stops and reads the logs of kernels on targets. Only connected targets are asked."""

    def __init__(
        self,
        targets: TargetsService,
        presets: PresetsService,
        ends: HostEnds,
        remote: RemoteKernels,
        owners: KernelOwners,
        server: ServerKernels | None,
    ) -> None:
        self._targets = targets
        self._presets = presets
        self._ends = ends
        self._remote = remote
        self._owners = owners
        self._server = server
        self._notices = Notices(remote, targets.notice_changed)

    async def list_remote_kernels(self) -> list[TargetKernels]:
        """Return the kernels of all targets. Connected targets are asked at once, the others not at all."""
        records = await asyncio.to_thread(self._targets.ledger.all)
        return list(await asyncio.gather(*(self._kernels(record) for record in records)))

    async def list_target_kernels(self, name: str) -> TargetKernels:
        """Return the kernels of one target."""
        return await self._kernels(await self._targets.record(name))

    async def attach_remote_kernel(self, name: str, kernel_id: str, body: AttachKernel) -> AttachedKernel:
        """Attach a running kernel of a target to this Jupyter server, with its state and its notebook."""
        if self._server is None:
            raise Conflict(
                "No JupyterLab is running that could use the kernel.",
                hint="Start JupyterLab, then attach.",
                code="no_server",
            )
        found = await self._call(name, kernel_id, "kernels.info")
        if found["state"] != "running":
            raise Conflict(
                f"The kernel {kernel_id} has ended: {found.get('reason') or 'the reason is unknown'}",
                hint="Open its notebook and start a new kernel. Saved outputs appear in the notebook.",
                code="ended",
            )
        await self._remember_choice(name, kernel_id)
        if body.take_over:
            await self._owners.take_over(kernel_id)
        try:
            path = await self._server.attach(kernel_name(name), kernel_id, str(found.get("notebook") or ""))
        finally:
            if body.take_over:
                self._owners.take_no_more(kernel_id)
        self._targets.changed(name)
        message = (
            f"Open {path} in JupyterLab: the notebook has this kernel."
            if path
            else "JupyterLab lists it among the running kernels: choose it as the kernel of a notebook."
        )
        return AttachedKernel(target=name, kernel_id=kernel_id, path=path, message=message)

    async def _remember_choice(self, name: str, kernel_id: str) -> None:
        """Store the GPUs that another Lab of this user gave the kernel, so that its restarts here see the
        same."""
        for own in await asyncio.to_thread(self._targets.ledger.own_kernels, name):
            if own.kernel_id == kernel_id:
                self._remote.wishes.remember(kernel_id, own.chosen)

    async def choose_next_start(self, name: str, body: NextStart) -> None:
        """Limit the next kernel of a notebook on this target to these GPUs. If it gets its own host,
        request the host with these resources."""
        await self._targets.record(name)
        asked = variables_of(body.resources)
        if asked:
            await self._presets.check(name, body.resources)
        if not body.notebook or not set(body.environment) <= GPU_VARIABLES:
            raise InvalidRequest(
                "A notebook's next kernel accepts only a choice of GPUs.",
                hint=f"Name the notebook, and only these variables: {', '.join(sorted(GPU_VARIABLES))}.",
            )
        self._remote.wishes.make(name, body.notebook, {**body.environment, **asked})

    async def stop_remote_kernel(self, name: str, kernel_id: str, body: StopKernel) -> RemoteKernel:
        """Stop a kernel on its host; its journal stays until it is read or forgotten."""
        grace_s = min(max(body.grace_s, 0.0), MAX_GRACE_S)
        await self._call(name, kernel_id, "kernels.stop", grace_s + 30, grace_s=grace_s)
        found = await self._call(name, kernel_id, "kernels.info")
        self._targets.changed(name)
        return self._kernel(name, found, await self._own(name))

    async def keep_remote_kernel(self, name: str, kernel_id: str) -> RemoteKernel:
        """Restart a kernel's idle time, before its target's policy stops it."""
        found = await self._call(name, kernel_id, "kernels.keep")
        self._targets.changed(name)
        return self._kernel(name, found, await self._own(name))

    async def list_kernel_notices(self) -> list[KernelNotice]:
        """Return the notices about kernels of this Lab that will be stopped soon because they are idle, or
        were, and about kernels whose hosts end soon."""
        ends = []
        for host, seen in self._ends.soon().items():
            rows = await asyncio.to_thread(self._targets.ledger.own_kernels, host.target)
            paths = {row.kernel_id: row.path for row in rows}
            if host.host_id in paths:
                ends.append(
                    KernelNotice(
                        target=host.target,
                        kernel_id=host.host_id,
                        kind="host",
                        path=paths[host.host_id],
                        text=seen.notice,
                        ends_at=seen.ends_at,
                    )
                )
        return [*self._notices.all(), *ends]

    async def drop_kernel_notice(self, kernel_id: str) -> None:
        """Mark a notice as read."""
        self._notices.drop(kernel_id)

    async def close(self) -> None:
        """Stop following kernels."""
        self._notices.close()

    async def get_remote_kernel_log(self, name: str, kernel_id: str, query: KernelLogQuery) -> KernelLog:
        """Return the end of a kernel process's output."""
        max_bytes = min(max(query.max_bytes, 1), MAX_LOG_BYTES)
        found = await self._call(name, kernel_id, "kernels.log", max_bytes=max_bytes)
        return KernelLog(kernel_id=kernel_id, text=found["text"])

    async def _call(
        self, name: str, kernel_id: str, method: str, timeout_s: float = 30.0, **params: Any
    ) -> dict[str, Any]:
        """Call the agent of a kernel's host about the kernel."""
        route = (await self._targets.record(name)).route
        host = provider_of(route.kind).host_of(route, kernel_id)
        params = {"kernel_id": kernel_id, **params}
        found: dict[str, Any] = await self._targets.call(
            name, method, params, timeout_s, host_id=host.host_id
        )
        return {**found, "host_id": host.host_id}

    async def _own(self, name: str) -> set[str]:
        return {each.kernel_id for each in await asyncio.to_thread(self._targets.ledger.own_kernels, name)}

    async def _kernels(self, record: TargetRecord) -> TargetKernels:
        name = record.name
        if not self._targets.connected(name):
            return TargetKernels(target=name, connected=False, message="not connected")
        links = await self._targets.connected_links(name)
        asked = [link.call("kernels.list", {}, timeout_s=LIST_TIMEOUT_S) for link in links]
        answers = await asyncio.gather(*map(self._targets.connections.run, asked), return_exceptions=True)
        own, kernels, message = await self._own(name), [], ""
        for link, found in zip(links, answers, strict=True):
            if isinstance(found, GenOpsError):  # a failed target must not hide the kernels of the others
                message = found.message
            elif isinstance(found, BaseException):
                raise found
            else:
                there = {"host_id": link.route.host_id}
                kernels += [self._kernel(name, {**each, **there}, own) for each in found]
        kernels.sort(key=lambda each: each.started_at or 0.0)
        connected = not all(isinstance(each, BaseException) for each in answers)
        return TargetKernels(target=name, connected=connected, message=message, kernels=kernels)

    def _kernel(self, target: str, info: dict[str, Any], own: set[str]) -> RemoteKernel:
        elsewhere = self._owners.is_elsewhere(info.get("attached"))
        ours = {"target": target, "ours": info["kernel_id"] in own and not elsewhere}
        return msgspec.convert({**info, **ours}, RemoteKernel, strict=False)
