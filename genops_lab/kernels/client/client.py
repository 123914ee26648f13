"""Follow one kernel on a host: start or find it, attach again after each cut, end it.

:mod:`.exchange` carries its messages.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import zmq

from genops_lab.agent.channels import Channel, ChannelReset
from genops_lab.agent.records import (
    BUSY,
    GONE,
    HELLO,
    RECORD,
    SEEN,
    TAKEN,
    WELCOME,
    RecordReader,
    body,
    json_record,
)

from ...core.errors import GenOpsError, Unavailable
from ...core.paths import private_dir, read_or_create_private
from ...hosts.link.connection import HostConnection
from ...hosts.link.errors import LinkError, outside_words
from ...hosts.link.listeners import Listeners
from ...hosts.link.state import LinkDown, RemoteError
from .exchange import TAKE_BACK, BridgeState, Exchange, KernelBusy, busy, last_words
from .outbox import WaitingRequests

log = logging.getLogger("genops_lab")

_READ_BYTES = 262144
#: Seconds between attempts to reach a keeper over a working connection.
_PAUSES_S = (0.0, 0.05, 0.2, 1.0, 2.0)
_LASTED_S = 5.0

#: An automatic retry would ask again, or lock the account.
_NEED_SOMEBODY = ("host_key", "login")
_REATTACH_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


class RemoteKernelClient:
    """The client of one kernel. ``client`` names it to the keeper; ``label`` names it to users of another
    Lab; ``waiting`` is the folder for requests that wait for hosts."""

    def __init__(
        self,
        link: HostConnection,
        kernel_id: str,
        context: zmq.Context[Any],
        *,
        client: str,
        label: str,
        waiting: Path,
    ) -> None:
        self.link = link
        self.kernel_id = kernel_id
        requests = WaitingRequests(waiting, kernel_id, client)
        self.exchange = Exchange(
            kernel_id, context, lambda: self.state, lambda: self._watchers.tell(self), requests
        )
        self.client = client
        self.label = label
        self.state = BridgeState()
        #: the KernelInfo of the last welcome or end
        self.info: dict[str, Any] = {}
        self.expected_end = False
        self.closed = False
        #: returns why the host ends or has ended; empty where it goes on
        self.ask_host_end: Callable[[], Awaitable[str]] = _unknown
        self._away_since: float | None = None
        self._watchers: Listeners[[RemoteKernelClient]] = Listeners(f"kernel {kernel_id}")
        self._loop = asyncio.get_running_loop()
        self._keeping: asyncio.Task[None] | None = None
        self._attached: asyncio.Future[None] | None = None
        self._over = asyncio.Event()
        self._release: Callable[[], None] | None = None

    # For any caller

    def watch(self, changed: Callable[[RemoteKernelClient], None]) -> Callable[[], None]:
        """Call ``changed`` in the connections' thread when the state changes; return a function that stops this."""
        return self._watchers.add(changed)

    # The kernel's life, in the connections' loop

    def begin(self, info: dict[str, Any], key: bytes, signature_scheme: str) -> None:
        """Take a started kernel: this client can attach to no other."""
        self._another()
        self.exchange.begin(str(info.get("incarnation", "")), key, signature_scheme)
        self.info = info
        self._start(takeover=False)

    async def attach(self, *, takeover: bool, timeout_s: float) -> None:
        """Attach to the running kernel of this id.

        Messages from before a first attachment go only to the message listeners; a client that was attached
        continues where it was. Raises KernelBusy, Unavailable after ``timeout_s``, and RemoteError when there
        is no such kernel.
        """
        if self.state.state == "ended":
            self._another()
            self.exchange.reset("")
        self._attached = self._loop.create_future()
        self._start(takeover=takeover)
        try:
            await asyncio.wait_for(asyncio.shield(self._attached), timeout_s)
        except asyncio.TimeoutError:
            raise Unavailable(
                f"The kernel on {self.link.route.target} did not answer within {timeout_s:.0f} s.",
                hint="It keeps running. Try again when the host answers.",
            ) from None
        finally:
            self._attached.cancel()
            self._attached = None

    def expect(self, key: bytes, signature_scheme: str) -> None:
        """Take a kernel that the user's last Lab had: clients may connect before its host answers."""
        self.exchange.speak(key, signature_scheme)
        self.away("Not connected yet.")

    def wait_for_host(self, key: bytes, signature_scheme: str, give_up: Callable[[], None]) -> None:
        """Take a kernel that starts once its host runs: clients may connect before. Calls ``give_up`` when
        one asks the kernel to end."""
        self._another()
        if self._keeping is not None:
            # It waits for the last host, and would ask the new one for the kernel before the start.
            self._keeping.cancel()
            self._keeping = None
        self.info = {}
        self.exchange.wait_for_host(key, signature_scheme, self.link.route.target, give_up)
        self._set(BridgeState(state="disconnected"))
        self.waits("A host is requested.")

    def waits(self, reason: str) -> None:
        """Set what the kernel waits for while its host is requested."""
        if self.exchange.pending is not None:
            self.exchange.pending.set_reason(reason)
            self.away(reason)

    @property
    def pending_since(self) -> float | None:
        """Return since when the kernel waits for its host, in seconds since 1970; None while it does not
        wait."""
        pending = self.exchange.pending
        return None if pending is None else pending.since

    async def interrupt_waiting(self) -> bool:
        """Remove the cells that wait for the kernel's host; False where the host runs."""
        return self.exchange.interrupt_waiting()

    def not_started(self, error: GenOpsError) -> None:
        """Handle a failed start; a user may try again."""
        said = outside_words(f"{error.message} {error.hint}", 1000)
        reason = f"The kernel could not be started: {said}"
        self.exchange.refuse_waiting(f"{reason} This cell was not run.")
        self.info = {"ended_by": "start"}
        self.end(None, reason)

    def host_gone(self, reason: str) -> None:
        """Handle the end of the host, and of the kernel with it; nothing is started in its place without a
        request. The reason is completed by what was not safe yet."""
        if self.pending_since is None:
            reason = f"{reason} {self._lost()}"
        self.exchange.refuse_waiting(f"{reason} This cell was not run.")
        self.info = {**self.info, "ended_by": "host"}
        self.end(None, reason)

    def _lost(self) -> str:
        """Return what a kernel lost whose host is gone."""
        if self._away_since is None or time.time() - self._away_since < _LASTED_S:
            return "Its variables are lost."
        since = time.strftime("%H:%M:%S %Z", time.localtime(self._away_since)).strip()
        return f"Its variables are lost, and what it printed since {since}, when it was last connected."

    def away(self, reason: str) -> None:
        """Handle a host that does not answer; the kernel is assumed to run."""
        if self.state.state in ("connecting", "disconnected"):
            self._set(BridgeState(state="disconnected", reason=reason))

    async def wait_ended(self) -> int:
        """Wait for the kernel's end; return its exit code."""
        await self._over.wait()
        return self.exit_code or 0

    @property
    def exit_code(self) -> int | None:
        """Return the exit code; None while the kernel is not known to have ended."""
        if self.state.state != "ended":
            return None
        return 1 if self.state.exit_code is None else self.state.exit_code

    @property
    def ended_by(self) -> str:
        """Return ``idle`` for a kernel that its target's policy has stopped: no other kernel takes its place."""
        return str(self.info.get("ended_by") or "")

    async def detach(self) -> None:
        """Leave the kernel running, and close the sockets of its clients."""
        self.closed = True
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.wait([keeping], timeout=1.0)
        self.exchange.close()

    def end(self, exit_code: int | None, reason: str) -> None:
        """Handle the kernel's end."""
        if self.state.state == "ended":
            return
        unexpected = "" if self.expected_end else last_words(exit_code, reason, self.ended_by)
        if unexpected:
            log.warning("Kernel %s on %s: %s", self.kernel_id, self.link.route.target, unexpected)
            self._say(unexpected)
        self.exchange.refuse_waiting(
            "The kernel was shut down before its host was ready. This cell was not run."
        )
        self.exchange.ended()
        self._set(BridgeState(state="ended", exit_code=exit_code, reason=reason))
        self._over.set()
        why = reason or "It has ended."
        self._give_up_on(RemoteError("ended", f"There is no such kernel to attach to. {why}"))

    # The task that stays attached

    def _another(self) -> None:
        """Start again for another kernel."""
        self.expected_end = False
        self._over.clear()

    def _start(self, *, takeover: bool) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
        if self._release is None:
            self._release = self.link.hold()
        self._set(BridgeState(state="connecting"))
        self._keeping = self._loop.create_task(self._keep(takeover))

    async def _keep(self, takeover: bool) -> None:
        failures = 0
        try:
            while self.state.state not in ("ended", "taken"):
                await self._link_up()
                began, link_went, reason = time.monotonic(), False, ""
                try:
                    await self._serve(takeover)
                except ChannelReset as reset:
                    link_went = reset.code == "gone"
                    reason = "" if link_went else str(reset)
                except LinkDown:
                    link_went = True
                except KernelBusy:
                    raise
                except Exception as error:  # the boundary: whatever a host sends, the kernel is kept
                    reason = f"The host sent invalid data: {error}"
                    log.warning("Kernel %s: %s", self.kernel_id, reason, exc_info=True)
                takeover = takeover and self.state.state == "connecting"
                if self.state.state in ("connected", "connecting"):
                    self._set(BridgeState(state="disconnected", reason=reason))
                if link_went:
                    await asyncio.sleep(0)  # the connection learns of it in the same turn
                elif self.state.state == "disconnected":
                    failures = 0 if time.monotonic() - began > _LASTED_S else failures + 1
                    if failures > 1:  # at first, read what a kernel said before its end
                        await self._ask_host()
                    await asyncio.sleep(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
        except (KernelBusy, GenOpsError) as error:
            self.failed(error)
        finally:
            newer = self._keeping not in (None, asyncio.current_task())
            if self._release is not None and not newer:
                self._release()
                self._release = None

    async def _link_up(self) -> None:
        """Wait for the connection, also for one that a person has to restore."""
        while not self.link.is_up:
            try:
                await self.link.ready()
            except LinkDown as error:
                if self.state.state == "connecting":
                    self.away(error.message)
                self._give_up_on(error)
                await self.link.changed()

    async def _serve(self, takeover: bool) -> None:
        """Serve one channel. Raises ChannelReset, KernelBusy, LinkDown; returns at its clean end."""
        channel = self.link.open("kernel", {"kernel_id": self.kernel_id})
        hello = {
            "client": self.client,
            "after": self.exchange.last,
            "incarnation": self.exchange.incarnation,
            "takeover": takeover,
            "label": self.label,
            "continues": self.exchange.continues,
        }
        try:
            channel.write(json_record(HELLO, hello))
            reader = RecordReader((WELCOME, RECORD, SEEN, GONE, TAKEN, BUSY))
            while data := await channel.read(_READ_BYTES):
                for kind, seq, payload in reader.feed(data):
                    if kind == RECORD:
                        await self.exchange.take(seq, payload)
                    elif kind == SEEN:
                        self.exchange.seen(seq)
                    else:
                        said = body(payload)
                        if kind == GONE and said.get("ended_by") == "host":
                            said["reason"] = await self.ask_host_end() or said.get("reason", "")
                        self._keeper_said(channel, kind, said)
                        if kind in (GONE, TAKEN):
                            return
                if channel.readable:  # a channel with more data does not wait, so give others a turn
                    await asyncio.sleep(0)
        finally:
            self.exchange.disconnect()
            channel.reset("left", "The Lab has left.")

    def _keeper_said(self, channel: Channel, kind: int, body: dict[str, Any]) -> None:
        if kind == WELCOME:
            self._welcomed(channel, body)
        elif kind == GONE:
            self.info = {**self.info, **body, "state": "ended"}
            self.end(body.get("exit_code"), str(body.get("reason", "")))
        elif kind == TAKEN:
            other = str(body.get("label", "")) or "another Lab"
            self._say(
                f"{other} has taken over this kernel. The kernel keeps running; its output goes to that "
                f"Lab.\n{TAKE_BACK}"
            )
            self._set(BridgeState(state="taken", other=other, reason=f"Taken over by {other}."))
        elif kind == BUSY:
            raise busy(self.kernel_id, self.link.route.target, body)

    def _welcomed(self, channel: Channel, body: dict[str, Any]) -> None:
        known = self.exchange.incarnation
        if known and str(body.get("incarnation", "")) != known:
            self._another()
        self.exchange.connect(channel, body)
        body.pop("key", None)
        self.info = body
        self.link.proved()
        self._set(BridgeState(state="connected"))
        if self._attached is not None and not self._attached.done():
            self._attached.set_result(None)

    async def _ask_host(self) -> None:
        """Ask the host whether the kernel has ended: no keeper answers though the connection is up."""
        try:
            info = await self.link.call("kernels.info", {"kernel_id": self.kernel_id}, timeout_s=10.0)
        except RemoteError as error:
            if error.code == "not_found":
                self.end(None, f"{self.link.route.target} no longer has this kernel.")
            return
        except (LinkDown, Unavailable):
            return
        known = self.exchange.incarnation
        same = not known or info.get("incarnation") == known
        if same and info.get("state") == "ended":
            self.info = info
            self.end(info.get("exit_code"), str(info.get("reason", "")))

    def failed(self, error: GenOpsError) -> None:
        """Handle a failed attachment."""
        gave_up = self._give_up_on(error)
        if isinstance(error, KernelBusy):
            other = str(error.details.get("label", "")) or "another Lab"
            if not gave_up:
                self._say(f"{error.message} {error.hint}")
            self._set(BridgeState(state="taken", other=other, reason=error.message))
        else:
            log.warning("Kernel %s: %s", self.kernel_id, error.message)
            self._set(BridgeState(state="disconnected", reason=error.message))

    # Helpers

    def _give_up_on(self, error: GenOpsError) -> bool:
        """Pass an error to the caller that waits in :meth:`attach`, if there is one."""
        if self._attached is None or self._attached.done():
            return False
        self._attached.set_exception(error)
        return True

    def _say(self, text: str) -> None:
        self.exchange.say(text, to_clients=not self.closed)

    def _set(self, state: BridgeState) -> None:
        if state.state == "connected":
            self._away_since = None
        elif self.state.state == "connected":
            self._away_since = time.time()
        self.state = state
        self._watchers.tell(self)


async def _unknown() -> str:
    return ""


class Keys:
    """The keys with which kernels sign. They derive from a secret of this user, so that a later Lab knows a
    kernel's key before its host answers. ``folder`` is GenOps' data directory."""

    def __init__(self, folder: Path) -> None:
        self._file = private_dir(folder / "remote") / "secret"
        self._secret: bytes | None = None

    def of(self, kernel_id: str) -> bytes:
        """Return a kernel's key, as Jupyter writes it into connection files."""
        if self._secret is None:
            self._secret = read_or_create_private(self._file, lambda: secrets.token_bytes(32))
        return hmac.new(self._secret, kernel_id.encode(), hashlib.sha256).hexdigest().encode()


async def attach_when_it_answers(
    bridge: RemoteKernelClient, attach: Callable[[RemoteKernelClient], Awaitable[None]]
) -> None:
    """Connect and attach; repeat while the host is away. A login that needs a person waits for one."""
    failures = 0
    while not bridge.closed and bridge.state.state not in ("ended", "taken", "connected"):
        try:
            await bridge.link.up()
            await attach(bridge)
            return
        except KernelBusy as error:
            bridge.failed(error)
            return
        except RemoteError as error:
            if error.code in ("ended", "not_found"):
                bridge.end(None, error.message)
                return
            reason, waits = error.message, False
        except GenOpsError as error:
            reason, waits = error.message, isinstance(error, LinkError) and error.step in _NEED_SOMEBODY
        bridge.away(reason)
        log.info("Kernel %s on %s: %s", bridge.kernel_id, bridge.link.route.target, reason)
        pause_s = _REATTACH_PAUSES_S[min(failures, len(_REATTACH_PAUSES_S) - 1)]
        failures += 1
        changed = asyncio.ensure_future(bridge.link.changed())
        try:
            while waits and not bridge.link.is_up and not bridge.closed:
                await bridge.link.changed()
            await asyncio.wait([changed], timeout=pause_s)
        finally:
            changed.cancel()
