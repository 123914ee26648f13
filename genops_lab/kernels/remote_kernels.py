"""Start, attach, leave and stop the kernels on targets of this process."""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import zmq

from ..core.errors import Conflict, Failed, GenOpsError, NotFound, Unavailable
from ..hosts.allocated import HostClaims, ask_for, give_back
from ..hosts.link.connection import HostConnection
from ..hosts.link.connections import HostConnections
from ..hosts.link.errors import HostGone
from ..hosts.link.listeners import Listeners
from ..hosts.link.route import HERE, Route
from ..hosts.link.state import LinkDown, LinkState, RemoteError
from ..hosts.providers import provider_of
from ..hosts.providers.base import Gone, Resources, Running
from .client.client import Keys, RemoteKernelClient, attach_when_it_answers
from .client.exchange import KernelBusy
from .client.outbox import WaitingRequests
from .folders.before_start import Folders, Watch
from .folders.last_sync import copies_on
from .gpu_choices import GpuChoices
from .kernel_start import Start
from .live_labs import LiveLabs
from .repeated_start import REQUEST_S, until_known
from .target_entry import TargetEntry

log = logging.getLogger("genops_lab")

START_S, ATTACH_S = 60.0, 30.0
_STOP_S, _QUIET_S = 3.0, 10.0
#: Seconds that the end of a kernel waits for the release of its host, which then continues.
_RELEASE_S = 10.0
#: Seconds that the end of a kernel waits for the reason of its host's end.
_WHY_S = 15.0
#: Seconds that the outputs of an idle kernel have to arrive until its host is given back.
_OUTPUTS_S = 60.0


class RemoteKernels:
    """All kernel clients of a process. Coroutines run in the connections' loop (``remote.links.run(...)``);
    other methods may be called from any thread."""

    def __init__(
        self,
        links: HostConnections,
        find: Callable[[str], TargetEntry],
        *,
        finds_here: bool = False,
        watch_folders: Watch | None = None,
        claims: HostClaims | None = None,
    ) -> None:
        self.links = links
        self._claims = claims or HostClaims(links.folder)
        #: returns the target of a name, without this machine's own; blocks, raises NotFound
        self.find_target = find
        #: whether this machine's own kernels can be restored: GenOps Lab then starts Jupyter's kernels
        self.finds_here = finds_here
        self.bridges: dict[str, RemoteKernelClient] = {}
        self._context: zmq.Context[Any] = zmq.Context()
        self._clients = LiveLabs(links.folder)
        self._openers: Listeners[[RemoteKernelClient]] = Listeners("new kernels")
        self._watchers: Listeners[[RemoteKernelClient]] = Listeners("kernels")
        self._take_over: set[str] = set()
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._expected: set[str] = set()
        self._freeing: dict[str, asyncio.Task[None]] = {}
        self.keys = Keys(links.folder)
        self._requests = WaitingRequests.folder(links.folder)
        #: the notebooks' folders on the targets
        self.folders = Folders(links, watch_folders)
        self.wishes = GpuChoices()
        self._to_stop: dict[str, HostConnection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        #: starts that wait for their hosts
        self._waiting: dict[str, asyncio.Task[None]] = {}
        links.at_close(self._close)
        links.watch_all(self._link_changed)

    def find(self, name: str) -> TargetEntry:
        """Return the target of a name, or the one for this machine's own kernels. Blocks, raises NotFound."""
        if name != HERE.target:
            return self.find_target(name)
        from ..hosts.records import TargetRecord

        return TargetRecord(route=HERE)

    def on_open(self, opened: Callable[[RemoteKernelClient], None]) -> Callable[[], None]:
        """Call ``opened`` in the connections' thread for each new kernel client before its first message, so
        that it can add message listeners. Returns a function that stops this."""
        return self._openers.add(opened)

    def watch(self, changed: Callable[[RemoteKernelClient], None]) -> Callable[[], None]:
        """Call ``changed`` in the connections' thread at each change of a kernel client's state; return a
        function that stops this."""
        return self._watchers.add(changed)

    def take_over_next(self, kernel_id: str) -> None:
        """Let the next start or attach of this kernel take it from another Lab."""
        self._take_over.add(kernel_id)

    def take_over_no_more(self, kernel_id: str) -> None:
        """Undo :meth:`take_over_next`."""
        self._take_over.discard(kernel_id)

    def is_own(self, client: str) -> bool:
        """Return whether a client name belongs to this process."""
        return self._clients.is_own(client)

    @property
    def process(self) -> str:
        """Return this process's name among those that had kernels on hosts."""
        return self._clients.process

    def is_gone(self, process: str) -> bool:
        """Return whether a process of that name has ended on this machine."""
        return self._clients.is_dead(process)

    def acknowledge(self, kernel_id: str, incarnation: str, seq: int) -> None:
        """Let a kernel's host drop its journal up to a record; harmless where the kernel is not here."""
        bridge = self.bridges.get(kernel_id)
        if bridge is not None:
            bridge.exchange.ack(seq, incarnation)

    def is_recovering(self, kernel_id: str) -> bool:
        """Return whether earlier outputs of a kernel are still arriving."""
        bridge = self.bridges.get(kernel_id)
        return bridge is not None and (
            bridge.state.state in ("connecting", "disconnected")
            or bridge.exchange.last < bridge.exchange.backlog
        )

    def expect(self, kernel_id: str) -> None:
        """Note that the user's last Lab had this kernel: the next start attaches once its host answers, and
        starts no new kernel."""
        self._expected.add(kernel_id)

    def allowed(
        self, target: Route, kernel_id: str, resources: Resources, price_per_hour: float | None = None
    ) -> Resources:
        """Return the resources that a kernel's host may request under the administrator's rules, at a price in USD
        where it is known. Blocks. Raises InvalidRequest."""
        return self._claims.allowed(target, kernel_id, resources, price_per_hour)

    def expects(self, kernel_id: str) -> bool:
        """Return whether the next start of this kernel only attaches."""
        return kernel_id in self._expected

    # In the connections' loop

    async def launch(self, start: Start) -> RemoteKernelClient:
        """Start the kernel, or attach when it already runs on the host.

        Where hosts are requested and may be pending, the kernel starts once its host runs. Raises LinkError,
        RemoteError, KernelBusy.
        """
        start = msgspec.structs.replace(start, route=_host_of(start.route, start.kernel_id))
        if start.kernel_id in self._expected:
            self._expected.discard(start.kernel_id)
            return self._find_again(start)
        if provider_of(start.route.kind).allocates:
            return await self._on_a_connected_host(start) or self._start_on_a_new_host(start)
        async with self._turn(start.kernel_id):
            bridge, new = await self._connected_bridge(start.route, start.kernel_id)
            try:
                await self._start_or_attach(bridge, start)
            except BaseException:
                if new:
                    await self.close(bridge)
                raise
            return bridge

    async def attach(self, route: Route, kernel_id: str, *, take_over: bool = False) -> RemoteKernelClient:
        """Attach to a kernel of a host; never start one. Raises LinkError, RemoteError, KernelBusy."""
        async with self._turn(kernel_id):
            bridge, new = await self._connected_bridge(route, kernel_id)
            try:
                await self._attach(bridge, take_over)
            except BaseException:
                if new:
                    await self.close(bridge)
                raise
            return bridge

    async def take_over(self, kernel_id: str) -> None:
        """Take a kernel back that another Lab has taken. Raises NotFound, Conflict, and the errors of
        ``attach``."""
        bridge = self.bridges.get(kernel_id)
        if bridge is None:
            raise NotFound(f"This Lab has no kernel {kernel_id}.", hint="Start its notebook to attach to it.")
        if bridge.state.state != "taken":
            raise Conflict(
                f"No other Lab has taken the kernel: it is {bridge.state.state} in this Lab.",
                hint="Nothing to do.",
            )
        async with self._turn(kernel_id):
            await bridge.link.up()
            await self._attach(bridge, take_over=True)

    async def close(self, bridge: RemoteKernelClient) -> None:
        """Drop a kernel that the Lab no longer needs. A running one keeps running; the host forgets one that
        was ended on purpose and whose outputs are saved."""
        if self.bridges.get(bridge.kernel_id) is bridge:
            del self.bridges[bridge.kernel_id]
            waiting = self._waiting.pop(bridge.kernel_id, None)
            if waiting is not None:  # its cells wait for the next Lab, whatever the host says now
                waiting.cancel()
        await bridge.detach()
        if provider_of(bridge.link.route.kind).allocates and bridge.state.state == "ended":
            # A program that ends right after its kernel (jupyter execute) would otherwise leave the host
            # behind.
            await asyncio.wait({self._later(self._release(bridge))}, timeout=_RELEASE_S)
        elif (
            bridge.state.state == "ended"
            and bridge.expected_end
            and bridge.exchange.all_safe
            and bridge.link.is_up
        ):
            self._later(self._quietly(bridge.link, "kernels.forget", {"kernel_id": bridge.kernel_id}))

    async def detach_all(self) -> None:
        """Leave all kernels running on their hosts, before the Jupyter server would shut them down."""
        await asyncio.gather(*(self.close(bridge) for bridge in list(self.bridges.values())))

    async def stop(self, bridge: RemoteKernelClient) -> bool:
        """Stop the kernel. False when its host is away: the kernel is stopped once the host is back."""
        bridge.expected_end = True
        if bridge.state.state == "ended":
            return True
        waiting = self._waiting.pop(bridge.kernel_id, None)
        if waiting is not None and waiting.cancel():
            bridge.end(None, "")
            return True
        params = {"kernel_id": bridge.kernel_id, "grace_s": 0.0}
        try:
            await bridge.link.call("kernels.stop", params, timeout_s=_STOP_S if bridge.link.is_up else 0.0)
        except (RemoteError, LinkDown, Unavailable) as error:
            if isinstance(error, RemoteError) and error.code != "gone":
                if error.code == "not_found":
                    bridge.end(None, "")
                else:
                    log.warning("Kernel %s was not stopped: %s", bridge.kernel_id, error.message)
                return error.code == "not_found"
            log.warning(
                "%s is not connected: kernel %s is stopped once the host is back.",
                bridge.link.route.target,
                bridge.kernel_id,
            )
        else:
            return True
        self._to_stop[bridge.kernel_id] = bridge.link
        return False

    # Helpers

    def _turn(self, kernel_id: str) -> asyncio.Lock:
        """Return the lock of a kernel: one action at a time (a double click asks twice). Kept while in use."""
        lock = self._turns.get(kernel_id)
        if lock is None:
            lock = self._turns[kernel_id] = asyncio.Lock()
        return lock

    async def _connected_bridge(self, route: Route, kernel_id: str) -> tuple[RemoteKernelClient, bool]:
        """Return the kernel client, and whether it is a new one."""
        link = self.links.link(_host_of(route, kernel_id))
        await link.up()
        return self._bridge(link, kernel_id)

    async def _on_a_connected_host(self, start: Start) -> RemoteKernelClient | None:
        """Attach to a kernel that another Lab started, whose key its host knows, or start it on a host that was kept
        ready. None where its host is not connected or its kernel has ended. Raises KernelBusy."""
        link = self.links.link(start.route)
        if start.kernel_id in self.bridges or not link.is_up:
            return None
        async with self._turn(start.kernel_id):
            bridge, _new = self._bridge(link, start.kernel_id)
            try:
                await asyncio.to_thread(self._claims.claim, start.route.ref)
                if await self._is_unknown(bridge):
                    await self._start_on_its_host(bridge, start)
                else:
                    await self._attach(bridge, take_over=False)
            except BaseException as error:
                await self.close(bridge)
                if isinstance(error, GenOpsError) and not isinstance(error, KernelBusy):
                    log.info("Kernel %s asks for its host again: %s", start.kernel_id, error.message)
                    return None
                raise
            return bridge

    def _start_on_a_new_host(self, start: Start) -> RemoteKernelClient:
        bridge, _new = self._bridge(self.links.link(start.route), start.kernel_id)
        waiting = self._waiting.get(start.kernel_id)
        if waiting is None or waiting.done():
            # Jupyter restarts a kernel that died, but nobody requested another host for it.
            died = bridge.state.state == "ended" and not bridge.expected_end and not bridge.ended_by
            self._wait_for_host(bridge, start)
            self._waiting[start.kernel_id] = self._later(self._start_when_there(bridge, start, died))
        return bridge

    async def _start_when_there(self, bridge: RemoteKernelClient, start: Start, died: bool) -> None:
        if freeing := self._freeing.get(start.kernel_id):
            await asyncio.wait([freeing])
        unwatch = bridge.link.watch(lambda state: self._tell_wait(bridge, start, state))
        provider = provider_of(start.route.kind)

        async def request() -> None:
            await ask_for(self._claims, start.route, start.kernel_id, start.resources)

        async def begin() -> None:
            await bridge.link.up()
            async with self._turn(start.kernel_id):
                await self._start_on_its_host(bridge, start)

        try:
            if died and (why := await _why_host_ends(start.route)):
                bridge.host_gone(why)
                return
            await until_known(bridge.link, request, bridge.waits, REQUEST_S)
            await until_known(bridge.link, begin, bridge.waits)
        except GenOpsError as error:
            bridge.not_started(error)
        except Exception as error:  # the boundary: a failing provider must not leave cells waiting for ever
            log.exception("The start of kernel %s failed.", bridge.kernel_id)
            bridge.not_started(
                Failed(
                    f"The {provider.label!r} target failed: {error}", hint="The Lab's log has the details."
                )
            )
        finally:
            unwatch()

    async def _start_on_its_host(self, bridge: RemoteKernelClient, start: Start) -> None:
        """Start the kernel on its host, which now runs, after sending the folder."""
        said: list[str] = []
        if start.folder is not None:
            prepared = await self.folders.prepare(start.route, *start.folder)
            said, start = prepared.said, msgspec.structs.replace(start, cwd=prepared.cwd)
        bridge.exchange.say_first(said)
        await self._start_or_attach(bridge, start)

    def _wait_for_host(self, bridge: RemoteKernelClient, start: Start) -> None:
        async def stop() -> None:
            await self.stop(bridge)

        def give_up() -> None:
            self._later(stop())

        bridge.wait_for_host(start.key, start.signature_scheme, give_up)

    def _tell_wait(self, bridge: RemoteKernelClient, start: Start, state: LinkState) -> None:
        """Tell a kernel's clients how the wait for its host proceeds."""
        if state.state == "pending":
            if bridge.pending_since is None:  # the last Lab requested the host
                self._wait_for_host(bridge, start)
            bridge.waits(state.message)
        elif state.state == "up":
            bridge.waits("The host is ready, and the kernel starts.")

    async def _release(self, bridge: RemoteKernelClient) -> None:
        """Release the kernel's host."""
        host = bridge.link.route
        if bridge.exchange.all_safe and bridge.link.is_up:  # its journal may be on a volume that stays
            await self._quietly(bridge.link, "kernels.forget", {"kernel_id": bridge.kernel_id})
        await bridge.link.down()
        self.links.drop(bridge.link)
        try:
            await give_back(self._claims, host)
        except GenOpsError as error:
            log.warning("The host of kernel %s was not released: %s", bridge.kernel_id, error.message)
        await asyncio.to_thread(self.folders.memories.host_is_gone, copies_on(host), host.target)

    def _free_when_idle(self, bridge: RemoteKernelClient) -> None:
        """Give back the host of a kernel that its target's policy has ended: no GPU waits for its restart."""
        kernel_id = bridge.kernel_id
        if (
            bridge.state.state == "ended"
            and bridge.ended_by == "idle"
            and provider_of(bridge.link.route.kind).allocates
            and kernel_id not in self._freeing
        ):
            self._freeing[kernel_id] = task = self._later(self._free(bridge))
            task.add_done_callback(lambda _done: self._freeing.pop(kernel_id, None))

    async def _free(self, bridge: RemoteKernelClient) -> None:
        deadline = time.monotonic() + _OUTPUTS_S
        while not bridge.exchange.all_safe and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        if not bridge.exchange.all_safe or bridge.state.state != "ended":
            return  # its outputs are only there, or somebody has restarted it
        await bridge.link.down()  # the link stays for a restart, whose clients keep their ports
        try:
            await give_back(self._claims, bridge.link.route)
        except GenOpsError as error:
            log.warning("The host of kernel %s was not released: %s", bridge.kernel_id, error.message)

    def _find_again(self, start: Start) -> RemoteKernelClient:
        bridge, _new = self._bridge(self.links.link(start.route), start.kernel_id)
        bridge.expect(start.key, start.signature_scheme)
        bridge.exchange.load_waiting()

        async def attach(found: RemoteKernelClient) -> None:
            async with self._turn(found.kernel_id):
                # A host of its own ends with its kernel: a host without a kernel still waits for its start.
                if provider_of(start.route.kind).allocates and await self._is_unknown(found):
                    await self._start_on_its_host(found, start)
                else:
                    await self._attach(found, take_over=False)

        if provider_of(start.route.kind).allocates:
            self._waiting[start.kernel_id] = self._later(self._find_pending(bridge, start, attach))
        else:
            self._later(attach_when_it_answers(bridge, attach))
        return bridge

    async def _find_pending(
        self,
        bridge: RemoteKernelClient,
        start: Start,
        attach: Callable[[RemoteKernelClient], Coroutine[Any, Any, None]],
    ) -> None:
        def changed(state: LinkState) -> None:
            if state.code == HostGone.code:
                if bridge.pending_since is None:  # the cells that wait hear of it
                    self._wait_for_host(bridge, start)
                bridge.host_gone(state.message)
            else:
                self._tell_wait(bridge, start, state)

        unwatch = bridge.link.watch(changed)
        try:
            await attach_when_it_answers(bridge, attach)
        finally:
            unwatch()

    @staticmethod
    async def _is_unknown(bridge: RemoteKernelClient) -> bool:
        """Return whether the kernel's host reports that it never had the kernel."""
        try:
            await bridge.link.call("kernels.info", {"kernel_id": bridge.kernel_id})
        except RemoteError as error:
            if error.code == "not_found":
                return True
            raise
        return False

    def _bridge(self, link: HostConnection, kernel_id: str) -> tuple[RemoteKernelClient, bool]:
        bridge = self.bridges.get(kernel_id)
        if bridge is not None and bridge.link is link:
            bridge.exchange.endpoints.name_sockets()
            return bridge, False
        bridge = RemoteKernelClient(
            link,
            kernel_id,
            self._context,
            client=self._clients.new(),
            label=self._clients.label,
            waiting=self._requests,
        )
        if provider_of(link.route.kind).allocates:
            bridge.ask_host_end = lambda: _why_host_ends(link.route, quietly=True)
        self.bridges[kernel_id] = bridge
        self._openers.tell(bridge)
        bridge.watch(self._watchers.tell)
        bridge.watch(self._free_when_idle)
        return bridge, True

    async def _start_or_attach(self, bridge: RemoteKernelClient, start: Start) -> None:
        link = bridge.link
        params = start.params(owner=self._clients.label)
        self._to_stop.pop(start.kernel_id, None)
        for _ in range(2):
            try:
                info = await link.call("kernels.start", params, timeout_s=START_S)
            except RemoteError as error:
                if error.code == "gone":  # it may have started: then the retry reports "is running"
                    continue
                if error.code != "running":
                    raise
                await self._attach(bridge, take_over=False)
            else:
                bridge.begin(info, start.key, start.signature_scheme)
            return
        raise LinkDown(f"The connection to {link.route.target} breaks repeatedly.", hint="Test the target.")

    async def _attach(self, bridge: RemoteKernelClient, take_over: bool) -> None:
        take_over = take_over or bridge.kernel_id in self._take_over
        try:
            await bridge.attach(takeover=take_over, timeout_s=ATTACH_S)
        except KernelBusy as error:
            client = str(error.details.get("client", ""))
            if not self._clients.is_own(client) and not self._clients.is_dead(client):
                raise
            await bridge.attach(takeover=True, timeout_s=ATTACH_S)
        self._take_over.discard(bridge.kernel_id)

    def _link_changed(self, target: str, state: LinkState) -> None:
        if state.code == HostGone.code:
            for bridge in list(self.bridges.values()):
                starts = self._waiting.get(bridge.kernel_id)
                if bridge.link.state is state and (starts is None or starts.done()):
                    bridge.host_gone(state.message)
        elif state.state == "up":
            for kernel_id, link in list(self._to_stop.items()):
                if link.route.target == target and link.is_up:
                    del self._to_stop[kernel_id]
                    params = {"kernel_id": kernel_id, "grace_s": 2.0}
                    self._later(self._quietly(link, "kernels.stop", params))

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _quietly(self, link: HostConnection, method: str, params: dict[str, Any]) -> None:
        try:
            await link.call(method, params, timeout_s=_QUIET_S)
        except GenOpsError as error:
            log.info("%s of %s: %s", method, params["kernel_id"], error.message)

    async def _close(self) -> None:
        # A process that ends by itself ends this machine's kernels, as Jupyter's own do.
        own = [bridge for bridge in self.bridges.values() if bridge.link.route.target == HERE.target]
        await asyncio.gather(
            *(self.stop(each) for each in own if each.state.state in ("connecting", "connected"))
        )
        await self.detach_all()
        self._clients.close()
        self._context.destroy(linger=0)


def _host_of(target: Route, kernel_id: str) -> Route:
    """Return the route to a kernel's host, which may not exist yet."""
    return target.at(provider_of(target.kind).host_of(target, kernel_id))


async def _why_host_ends(host: Route, *, quietly: bool = False) -> str:
    """Return why a host is gone, or ends; empty where it goes on. Raises LinkError, unless ``quietly``."""
    provider = provider_of(host.kind)
    try:
        observed = await asyncio.wait_for(provider.observe(host), _WHY_S)
    except (GenOpsError, asyncio.TimeoutError):
        if not quietly:
            raise
        return ""
    why = observed.why if isinstance(observed, Gone) else ""
    if isinstance(observed, Running):
        why = observed.over or observed.notice
    return HostGone.because(host.target, provider.host_noun, why).message if why else ""
