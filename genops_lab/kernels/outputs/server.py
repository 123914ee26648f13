"""Connect a Jupyter server's contents, kernels and sessions to the recording of outputs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from jupyter_core.utils import ensure_async

from genops_lab.core.errors import GenOpsError
from genops_lab.hosts.link.route import HERE

from .document_writer import DocumentKeeper
from .documents import Documents
from .ownership import in_room, keeps_kernels, writes_documents
from .provisioners import target_provisioner
from .sessions import RemoteSessions
from .startup_gate import passing

if TYPE_CHECKING:
    from genops_lab.core.settings import Settings
    from genops_lab.kernels.client.client import RemoteKernelClient
    from genops_lab.kernels.remote_kernels import RemoteKernels

    from .ledger import Remembered
    from .recorder import Recorder
    from .service import OutputsService

log = logging.getLogger("genops_lab")

DETACH_S = 5.0
_AGAIN_S = 30.0
_LOOK_EVERY_S = 5.0
_HERE_ANSWERS_S = 5.0


class _RecorderListener:
    """Passes a kernel client's messages to the recorder, with their incarnation."""

    def __init__(self, bridge: RemoteKernelClient, recorder: Recorder) -> None:
        self._bridge, self._recorder = bridge, recorder

    def record(self, kernel_id: str, seq: int, channel: int, timestamp: float, frames: list[bytes]) -> None:
        """Pass one message on, in the connections' thread."""
        self._recorder.record(kernel_id, self._bridge.exchange.incarnation, seq, channel, timestamp, frames)

    @property
    def crowded(self) -> bool:
        """Return whether the recorder has fallen behind."""
        return self._recorder.crowded


class ServerOutputs:
    """Opens before the startup gate; closes before Jupyter shuts down its kernels."""

    def __init__(
        self, serverapp: Any, settings: Settings, outputs: OutputsService, remote: RemoteKernels
    ) -> None:
        self._serverapp = serverapp
        self._kernels = serverapp.kernel_manager
        self._seen_alive: set[str] = set()
        self._outputs = outputs
        self._remote = remote
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._documents = Documents(serverapp.contents_manager)
        self.sessions = RemoteSessions(serverapp, outputs.ledger, remote, begun=self._begun, gone=self._gone)
        self._keeper = DocumentKeeper(
            outputs,
            self._documents,
            self.sessions.path_of,
            self._left_to_pages,
            wait_s=settings.outputs_left_to_page_s,
        )

    async def open(self) -> None:
        """Restore the kernels of the last server, and follow events from now on."""
        outputs = self._outputs
        for limit in outputs.limits:
            log.warning("%s", limit)
        if not keeps_kernels(self._serverapp):
            return
        self._remote.on_open(self._tap)
        self._remote.watch(self._bridge_changed)
        outputs.presence.watch(self._kernels)
        for row in await asyncio.to_thread(outputs.ledger.all):
            outputs.recorder.remember(row.kernel_id, row.incarnation or "", row.documented_seq)
        with passing():
            self._keeper.restored.update(await self.sessions.restore())
        for kernel_id in self._keeper.restored:
            kernel = self._kernel(kernel_id)
            # A kernel that ended meanwhile is dead, with its reason: nobody requested a new one in its place.
            kernel.stop_restarter()
            # Jupyter would delay a page's connection until the kernel answers: a busy one may take hours.
            kernel._kernel_info_future = self._loop.create_future()
            kernel._kernel_info_future.set_result({})
        await self._known_here()
        self._follow_saves()

    def follow(self) -> None:
        """Follow starts, moves and ends of kernels; once the gate is open."""
        if not keeps_kernels(self._serverapp):
            return
        self.sessions.watch()
        self._in_background(self._outputs.acknowledging())
        self._in_background(asyncio.to_thread(self._outputs.recorder.texts.prune))
        self._in_background(self._looking())

    async def close(self) -> None:
        """Leave the kernels of targets running, and end this machine's, as Jupyter does."""
        own = self.sessions.watch_no_more()
        await asyncio.gather(*(self._end_with_the_server(kernel_id) for kernel_id in own))
        await self._keeper.close()
        for task in list(self._tasks):
            task.cancel()
        await self.sessions.leave(self._detach)

    async def _detach(self) -> None:
        try:
            await asyncio.wait_for(self._remote.links.run(self._remote.detach_all()), DETACH_S)
        except asyncio.TimeoutError:
            log.warning("Kernels of targets were not detached within %.0f s; they keep running.", DETACH_S)

    def _left_to_pages(self, path: str) -> bool:
        return not writes_documents(self._serverapp) or in_room(self._serverapp, path)

    # In the connections' thread

    def _tap(self, bridge: RemoteKernelClient) -> None:
        bridge.exchange.add_tap(_RecorderListener(bridge, self._outputs.recorder), acks=True)

    def _bridge_changed(self, bridge: RemoteKernelClient) -> None:
        state, info = bridge.state, dict(bridge.info)
        if state.state == "ended":
            self._outputs.recorder.ended(bridge.kernel_id, state.reason, state.since)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._kernel_changed, bridge.kernel_id, state.state, info)

    # In the server's loop

    def _kernel_changed(self, kernel_id: str, state: str, info: dict[str, Any]) -> None:
        if (
            state == "ended"
            and info.get("ended_by")
            and target_provisioner(self._kernels, kernel_id) is not None
        ):
            self._leave_ended(kernel_id, str(info.get("reason") or ""))
        if kernel_id in self._keeper.restored and target_provisioner(self._kernels, kernel_id) is not None:
            self._show(kernel_id, state, info)
        self._outputs.tell(kernel_id)

    def _leave_ended(self, kernel_id: str, reason: str) -> None:
        """Leave a kernel dead, with its reason, that its target's policy has stopped; a user may restart it."""
        kernel = self._kernel(kernel_id)
        kernel.stop_restarter()
        kernel.execution_state, kernel.reason = "dead", reason

    def _show(self, kernel_id: str, state: str, info: dict[str, Any]) -> None:
        """Show Jupyter the kernel's state: its messages before the attachment are not repeated."""
        kernel = self._kernel(kernel_id)
        if state == "connected" and info.get("state") != "ended":
            if info.get("execution_state") in ("busy", "idle"):
                kernel.execution_state = info["execution_state"]
            kernel.start_restarter()
        elif state == "ended" and kernel.execution_state != "dead" and kernel_id not in self._seen_alive:
            kernel.execution_state = "dead"
            kernel.reason = str(info.get("reason") or "It ended while no Lab was connected.")
            if target_provisioner(self._kernels, kernel_id).target == HERE.target:
                self._in_background(self._drop(kernel_id))
        if state == "connected" and info.get("state") != "ended":
            self._seen_alive.add(kernel_id)

    async def _known_here(self) -> None:
        """Wait until the first lists can include this machine's running kernels, and no others."""
        deadline = time.monotonic() + _HERE_ANSWERS_S
        while any(map(self._is_unclear, self._keeper.restored)) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)

    def _is_unclear(self, kernel_id: str) -> bool:
        provisioner = target_provisioner(self._kernels, kernel_id)
        bridge = None if provisioner is None else provisioner.bridge
        if bridge is None or provisioner.target != HERE.target:
            return False
        return bool(bridge.state.state != "connected" or bridge.info.get("state") == "ended")

    async def _drop(self, kernel_id: str) -> None:
        """Remove a kernel that ended with its server, or without one: Jupyter would not know it. Its outputs
        go into the notebook."""
        remembered = self.sessions.remembered.get(kernel_id)
        try:
            if remembered is not None and remembered.session_id:
                await ensure_async(self._serverapp.session_manager.delete_session(remembered.session_id))
            if kernel_id in self._kernels:
                await ensure_async(self._kernels.shutdown_kernel(kernel_id, now=True))
        except Exception:  # a boundary: a kernel that is left is shown as dead
            log.exception("Kernel %s has ended, but is still shown.", kernel_id)

    def _kernel(self, kernel_id: str) -> Any:
        return self._kernels.get_kernel(kernel_id)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _looking(self) -> None:
        """Notice kernels that died and could not be restarted: they disappear without an event."""
        self.sessions.look()
        while True:
            await self.sessions.there.wait()
            await asyncio.sleep(_LOOK_EVERY_S)
            self.sessions.look()

    async def _begun(self, kernel: Remembered) -> None:
        if kernel.path and kernel.kernel_id not in self._keeper.restored:
            await self._keeper.see(kernel.kernel_id, kernel.path)

    async def _gone(self, kernel: Remembered) -> None:
        self._in_background(self._end(kernel))

    async def _end(self, kernel: Remembered) -> None:
        """Handle a kernel that was shut down, or died without a restart: save its outputs, then forget it."""
        outputs, kernel_id = self._outputs, kernel.kernel_id
        page = bool(outputs.presence.connections(kernel_id)) or outputs.presence.just_left(kernel_id)
        await asyncio.to_thread(outputs.recorder.ended, kernel_id, "It was shut down.", 0.0)
        if page:  # the page has seen them, and may be about to save
            await self._keeper.left_to_page(kernel_id)
        while await asyncio.to_thread(outputs.recorder.wanted, kernel_id):
            try:
                if await self._keeper.write_now(kernel_id, kernel.path or ""):
                    break
            except GenOpsError as error:
                log.warning("%s %s", error.message, error.hint)
            await asyncio.sleep(_AGAIN_S)
        await outputs.forget(kernel_id)
        await self._forget_on_host(kernel)

    async def _end_with_the_server(self, kernel_id: str) -> None:
        outputs = self._outputs
        page = outputs.presence.connections(kernel_id) > 0
        kernel = self.sessions.remembered.get(kernel_id)
        try:
            await ensure_async(self._kernels.shutdown_kernel(kernel_id))
            await asyncio.to_thread(outputs.recorder.ended, kernel_id, "Its server was stopped.", 0.0)
            if kernel is None:
                return
            # An open page saves what it has seen, once a server runs again. Outputs that cannot be written
            # now are written when the next server finds the kernel ended.
            if not page and not await self._keeper.write_now(kernel_id, kernel.path or ""):
                return
            await outputs.forget(kernel_id)
            await self._forget_on_host(kernel)
        except Exception:  # a boundary: a failed kernel must not delay the others' end
            log.exception("Kernel %s did not end cleanly with its server.", kernel_id)

    async def _forget_on_host(self, kernel: Remembered) -> None:
        try:
            entry = await asyncio.to_thread(self._remote.find, kernel.target)
            link = self._remote.links.link(entry.route)
            if link.is_up:
                params = {"kernel_id": kernel.kernel_id}
                await self._remote.links.run(link.call("kernels.forget", params))
        except GenOpsError as error:  # its journal is removed by age
            if error.code == "not_found":  # already forgotten
                return
            log.info("%s keeps its records of kernel %s: %s", kernel.target, kernel.kernel_id, error.message)

    def _follow_saves(self) -> None:
        contents = self._serverapp.contents_manager
        register = getattr(contents, "register_post_save_hook", None)
        if register is None:
            return

        def saved(model: Any = None, os_path: str = "", contents_manager: Any = None, **_: Any) -> None:
            if isinstance(model, dict) and model.get("type") == "notebook":
                self._keeper.saved(str(model.get("path") or ""))

        register(saved)
