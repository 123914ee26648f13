"""Record the kernels of targets in a Jupyter server while they run, and restore them in the next server."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from jupyter_core.utils import ensure_async

from genops_lab.hosts.link.route import HERE

from .provisioners import target_provisioner

if TYPE_CHECKING:
    from genops_lab.kernels.remote_kernels import RemoteKernels

    from .ledger import KernelLedger, Remembered

log = logging.getLogger("genops_lab")

KERNEL_ACTIONS = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"
_SESSION_CHANGES = ("save_session", "update_session", "delete_session")
_RESTORES_AT_ONCE = 4


class RemoteSessions:
    """``remote`` has the kernels of this process. Calls ``begun``, in the event loop, with kernels that
    appeared or whose notebook was moved, and ``gone`` with those that disappeared."""

    def __init__(
        self,
        serverapp: Any,
        ledger: KernelLedger,
        remote: RemoteKernels,
        *,
        begun: Callable[[Remembered], Awaitable[None]],
        gone: Callable[[Remembered], Awaitable[None]],
    ) -> None:
        self._serverapp = serverapp
        self._kernels = serverapp.kernel_manager
        self._sessions = serverapp.session_manager
        self._ledger = ledger
        self._remote = remote
        self._begun, self._gone = begun, gone
        self.remembered: dict[str, Remembered] = {}
        #: set while there are kernels of targets
        self.there = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._look_again = False
        self._comparing = asyncio.Lock()
        self._left = False

    def path_of(self, kernel_id: str) -> str:
        """Return a kernel's document; empty without one."""
        found = self.remembered.get(kernel_id)
        return (found.path or "") if found is not None and found.type == "notebook" else ""

    # Restoring

    async def restore(self) -> list[str]:
        """Restore the kernels and sessions of this user's last server; return their ids.

        Does not wait for the hosts. Kernels of another running server stay with it.
        """
        rows = await asyncio.to_thread(self._ledger.all)
        slots = asyncio.Semaphore(_RESTORES_AT_ONCE)

        async def one(row: Remembered) -> str | None:
            async with slots:
                return await self._restore(row)

        found = await asyncio.gather(*(one(row) for row in rows))
        return [kernel_id for kernel_id in found if kernel_id is not None]

    async def _restore(self, row: Remembered) -> str | None:
        if row.kernel_id in self._kernels or (row.owner and not self._remote.is_gone(row.owner)):
            return None
        if row.target == HERE.target and not self._remote.finds_here:
            return None
        if not await asyncio.to_thread(self._ledger.claim, row.kernel_id, self._remote.process, of=row.owner):
            return None
        self.remembered[row.kernel_id] = row
        self._remote.expect(row.kernel_id)
        self._remote.wishes.remember(row.kernel_id, row.chosen)
        options: dict[str, Any] = {"kernel_id": row.kernel_id, "kernel_name": row.kernel_name}
        if row.path:
            options["path"] = await ensure_async(
                self._serverapp.contents_manager.get_kernel_path(path=row.path)
            )
            options["env"] = self._environment(row)
        try:
            await ensure_async(self._kernels.start_kernel(**options))
            if row.session_id and row.path is not None and hasattr(self._sessions, "save_session"):
                name = row.path.rpartition("/")[2]
                await self._sessions.save_session(
                    row.session_id, path=row.path, name=name, type=row.type, kernel_id=row.kernel_id
                )
        except Exception as error:  # a boundary: one kernel that cannot be restored must not stop the others
            # The target or its kernelspec may have been removed. The kernel runs until its lease ends.
            log.warning("Kernel %s on %s was not restored: %s", row.kernel_id, row.target, error)
            self.remembered.pop(row.kernel_id, None)
            return None
        log.info("Kernel %s on %s ran in the last server; attaching.", row.kernel_id, row.target)
        return row.kernel_id

    def _environment(self, row: Remembered) -> dict[str, str]:
        path = row.path or ""
        jupyters_own = getattr(self._sessions, "get_kernel_env", None)
        if row.target == HERE.target and jupyters_own is not None:
            return dict(jupyters_own(path, path.rpartition("/")[2]))
        return {**os.environ, "JPY_SESSION_NAME": path}

    # Recording

    def watch(self) -> None:
        """Follow starts, ends, renames and moves from now on."""
        for name in _SESSION_CHANGES:
            if hasattr(self._sessions, name):
                self._follow(name)
        event_logger = self._serverapp.event_logger
        if KERNEL_ACTIONS not in event_logger.schemas:
            return

        async def on_event(logger: Any, schema_id: str, data: dict[str, Any]) -> None:
            self.look()

        event_logger.add_listener(schema_id=KERNEL_ACTIONS, listener=on_event)

    def _follow(self, name: str) -> None:
        change = getattr(self._sessions, name)

        async def followed(*args: Any, **kwargs: Any) -> Any:
            try:
                return await ensure_async(change(*args, **kwargs))
            finally:
                await self._look()

        setattr(self._sessions, name, followed)

    def look(self) -> None:
        """Record the present kernels and sessions (in the event loop)."""
        if self._looking is not None and not self._looking.done():
            self._look_again = True
            return
        self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while not self._left:
            self._look_again = False
            try:
                async with self._comparing:
                    await self._compare()
            except Exception:  # a boundary: Jupyter's own work must not fail because of the records
                log.exception("The kernels of targets were not recorded.")
            if not self._look_again:
                return

    async def _compare(self) -> None:
        there = {
            kernel_id: provisioner
            for kernel_id in self._kernels.list_kernel_ids()
            if (provisioner := target_provisioner(self._kernels, kernel_id)) is not None
        }
        if not there and not self.remembered:
            self.there.clear()
            return
        self.there.set()
        sessions = await self._sessions_by_kernel()
        for kernel_id, provisioner in there.items():
            await self._note(kernel_id, provisioner, sessions.get(kernel_id))
        for kernel_id in [each for each in self.remembered if each not in there]:
            if kernel_id not in self._kernels and not self._left:
                await self._gone(self.remembered.pop(kernel_id))

    async def _note(self, kernel_id: str, provisioner: Any, session: dict[str, Any] | None) -> None:
        from .ledger import Remembered

        known = self.remembered.get(kernel_id)
        now = known or Remembered(
            kernel_id=kernel_id,
            target=str(provisioner.target),
            kernel_name=str(self._kernels.get_kernel(kernel_id).kernel_name),
            owner=self._remote.process,
            started_at=time.time(),
        )
        if session is not None:
            now = msgspec.structs.replace(
                now,
                session_id=str(session["id"]),
                path=str(session.get("path") or ""),
                type=str(session.get("type") or ""),
            )
        if provisioner.chosen is not None:
            now = msgspec.structs.replace(now, chosen=dict(provisioner.chosen))
        if now == known:
            return
        self.remembered[kernel_id] = now
        if known is None:
            await asyncio.to_thread(self._ledger.remember, now)
        await asyncio.to_thread(
            self._ledger.change,
            kernel_id,
            session_id=now.session_id,
            path=now.path,
            type=now.type,
            chosen=now.chosen,
        )
        if known is None or known.path != now.path:
            await self._begun(now)

    async def _sessions_by_kernel(self) -> dict[str, dict[str, Any]]:
        """Return one session per kernel: a notebook's, if there is one."""
        found: dict[str, dict[str, Any]] = {}
        for session in await ensure_async(self._sessions.list_sessions()):
            kernel_id = str((session.get("kernel") or {}).get("id", ""))
            if kernel_id not in found or found[kernel_id].get("type") != "notebook":
                found[kernel_id] = session
        return found

    # Leaving

    def watch_no_more(self) -> list[str]:
        """Stop recording, because the server stops. Returns the kernels of this machine, which end with it."""
        self._left = True
        return [
            kernel_id
            for kernel_id in self._kernels.list_kernel_ids()
            if getattr(target_provisioner(self._kernels, kernel_id), "target", "") == HERE.target
        ]

    async def leave(self, detach: Callable[[], Awaitable[None]]) -> None:
        """Leave kernels on targets running, because the server stops. Called before Jupyter shuts down its
        kernels."""
        for kernel_id in list(self._kernels.list_kernel_ids()):
            if target_provisioner(self._kernels, kernel_id) is not None:
                self._kernels.get_kernel(kernel_id).stop_restarter()
        await detach()
