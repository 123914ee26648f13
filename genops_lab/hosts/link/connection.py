"""Keep one connection to a host, with its channels, and reconnect after a cut.

    idle --up()--> connecting <--> asking --> up --broken--> down --> connecting ...
                        | <--> pending                         |
                        +-- first attempt failed --> failed <--+-- an attempt needs a person, or cannot succeed

Everything here belongs to the loop of :class:`~genops_lab.hosts.link.connections.HostConnections`. Other
threads may use only ``state``, ``route`` and ``watch``.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.agent.frames import PreambleReader, ProtocolError
from genops_lab.agent.mux import Channel, ChannelReset, Mux, StreamEnded

from ...core.errors import GenOpsError
from . import calls
from .deadline import Answers, Deadline
from .errors import (
    AgentRefused,
    AuthenticationFailed,
    CarrierEnded,
    HostGone,
    HostKeyChanged,
    HostKeyUnknown,
    HostPending,
    HostUnreachable,
    LinkError,
    QuestionUnanswered,
)
from .keepalive import Keepalive
from .listeners import Listeners
from .questions import Asker
from .route import Route
from .state import LinkDown, LinkState, LinkStateName

if TYPE_CHECKING:
    from .carrier import HostStream

log = logging.getLogger("genops_lab")

Handler = Callable[[Channel], Awaitable[None]]
Opener = Callable[[Route, Asker, Path], Awaitable["HostStream"]]

#: The first connection may upload the agent, and rc files take seconds.
FIRST_ATTEMPT_S = 90.0
#: Reconnecting: short, so that an attempt that began in a black hole ends soon; longer for a host whose login
#: is known to be slow.
ATTEMPT_S = 4.0
_SLOW_LOGIN = 4.0
#: Repeated attempts would lock an account, hide an attack, or never succeed.
_FINAL = (AuthenticationFailed, HostGone, HostKeyChanged, HostKeyUnknown, QuestionUnanswered)
#: Seconds. A connection that breaks sooner and served nothing counts as a failed attempt.
_LASTED_S = 1.0
_LEAST_PAUSE_S, _FIRST_LOOK_S, _RARE_LOOK_S = 0.02, 0.5, 15.0
#: The same where the provider tells of changes. Places in a queue move untold.
_TOLD_LOOK_S = 60.0
#: Seconds that the reconnection waits for the reason of the cut.
_WHY_S = 0.02
_WHY_SILENT_S = 2.0

CLOSE_S = 2.0
_FIRST_PAUSE_S, _MAX_PAUSE_S, _MAX_PAUSE_AT_FIRST_S, _AT_FIRST_S = 0.05, 30.0, 5.0, 600.0


class HostConnection:
    """The connection to one host."""

    def __init__(self, route: Route, folder: Path, asker: Asker, opener: Opener | None = None) -> None:
        self.route = route
        self.state = LinkState()
        #: the agent's greeting: version, python, pid, nonce, hostname, boot_id
        self.hello: dict[str, Any] = {}
        self._folder = folder
        self._opener = opener or open_it
        self._answers = Answers(asker, self._asking)
        self._patience: Deadline | None = None
        self._watchers: Listeners[[LinkState]] = Listeners(f"the link to {route.target}")
        self._services: dict[str, Handler] = {}
        self._holds = 0
        self._mux: Mux | None = None
        self._pulse: Keepalive | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self._hurry = asyncio.Event()
        self._may_ask = False
        self._took_s = 0.0
        self._proved = False
        self._tasks: set[asyncio.Task[Any]] = set()

    # For any caller

    def watch(self, on_change: Callable[[LinkState], None]) -> Callable[[], None]:
        """Call ``on_change`` in the connections' thread at each change of the state; return a function that stops
        this."""
        return self._watchers.add(on_change)

    @property
    def is_up(self) -> bool:
        """Return whether channels can be opened now."""
        return self._mux is not None

    async def up(self) -> None:
        """Connect if not connected; may ask a person. Raises LinkError when that fails."""
        if self._mux is None:
            self._may_ask = self._answers.may_ask = True  # also for an attempt that already runs
            self._start()
            await self._outcome()

    async def up_unasked(self, waits: Callable[[LinkError], None]) -> None:
        """Connect without asking a person.

        Where a person must answer, or the host is away, call ``waits`` with the reason and wait until
        somebody connects. Raises LinkError when the connection fails for another reason.
        """
        if self._mux is not None:
            return
        self._start()
        try:
            await self._outcome()
        except (HostKeyUnknown, HostUnreachable, QuestionUnanswered) as error:
            waits(error)
            while self._mux is None:
                await self.changed()

    async def renew(self) -> None:
        """Connect again by the present route; kernels on the host see a short cut. May ask a person. Raises
        LinkError when that fails."""
        mux, self._mux = self._mux, None
        if mux is not None:
            mux.close()
        await self.up()

    async def ready(self, timeout_s: float | None = None) -> None:
        """Wait until a wanted connection is up; ask nobody. Raises LinkDown when nobody wants it, when it has
        failed, or after ``timeout_s``."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while self._mux is None:
            if self.state.state in ("idle", "failed"):
                raise self._not_connected()
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise self._not_connected()
            with contextlib.suppress(GenOpsError, asyncio.TimeoutError):
                await asyncio.wait_for(self._outcome(), left)

    async def changed(self) -> None:
        """Wait for the next change of the state."""
        change = asyncio.Event()
        end = self.watch(lambda _state: change.set())
        try:
            await change.wait()
        finally:
            end()

    async def call(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        timeout_s: float = 30.0,
        progress: Callable[[Any], None] | None = None,
    ) -> Any:
        """Call the host's agent. A connection that is back within ``timeout_s`` is used.

        Raises RemoteError where the agent refused, or with the code "gone" where the connection broke and the
        call cannot be repeated. Raises LinkDown, and Unavailable after ``timeout_s``.
        """
        return await calls.call(self, method, params or {}, timeout_s, progress)

    def open(self, service: str, params: dict[str, Any], urgent: bool = False) -> Channel:
        """Open a channel to a service of the host. Raises LinkDown, ChannelReset."""
        if self._mux is None:
            raise self._not_connected()
        return self._mux.open(service, params, urgent)

    def proved(self) -> None:
        """Mark this connection as useful: after a cut, the next attempt starts at once."""
        self._proved = True

    def serve(self, service: str, handler: Handler) -> None:
        """Let ``handler`` serve the channels of this service that the host opens, each in a task of its own."""
        self._services[service] = handler

    def hold(self) -> Callable[[], None]:
        """Ping the host each second instead of each 15, because a kernel needs the connection at any moment;
        return a function that stops this."""
        self._holds += 1
        self._attend()
        counted = True

        def release() -> None:
            nonlocal counted
            if counted:
                counted = False
                self._holds -= 1
                self._attend()

        return release

    async def down(self) -> None:
        """Disconnect until the next ``up``."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.wait([keeping], timeout=CLOSE_S)
        if self._tasks:  # its process ends
            await asyncio.wait(self._tasks, timeout=CLOSE_S)
        self._set("idle")
        self._tell_waiting(self._not_connected())

    # The task that keeps the connection up

    def _start(self) -> None:
        self._hurry.set()
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def _outcome(self) -> None:
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(outcome)
        try:
            await outcome
        finally:
            self._waiting.discard(outcome)

    def _tell_waiting(self, error: Exception | None) -> None:
        for outcome in list(self._waiting):
            if not outcome.done():
                if error is None:
                    outcome.set_result(None)
                else:
                    outcome.set_exception(error)

    async def _keep(self) -> None:
        was_up, failures, broken_at = False, 0, time.monotonic()
        while True:
            may_ask, self._may_ask = self._may_ask, False
            self._hurry.clear()
            try:
                carriage, mux = await self._connect(may_ask=may_ask, first=not was_up)
            except HostPending as waiting:
                self._set("pending", error=waiting)
                self._may_ask = may_ask
                await self._until_worth_it(_pending_pause(waiting, time.time() - self.state.since), waiting)
                continue
            except GenOpsError as error:
                failures += 1
                if not was_up or not isinstance(error, LinkError) or isinstance(error, _FINAL):
                    self._set("failed", error=error)
                    self._tell_waiting(error)
                    return
                pause = pause_after(failures, time.monotonic() - broken_at)
                self._set("down", error=error, retry_at=time.time() + pause)
                self._tell_waiting(error)
                await self._until_worth_it(pause, error)
                continue
            was_up, self._may_ask, began = True, False, time.monotonic()
            reason = await self._live(carriage, mux)
            broken_at = time.monotonic()
            failures = 0 if self._proved or broken_at - began > _LASTED_S else failures + 1
            pause = pause_after(failures, 0.0) if failures > 1 else 0.0
            self._set("down", message=reason, retry_at=time.time() + pause)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), pause)

    async def _until_worth_it(self, pause_s: float, error: LinkError) -> None:
        """Wait until another attempt is due, wanted or worth it."""
        reasons: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._hurry.wait())]
        if error.changed is not None:
            reasons.append(asyncio.ensure_future(error.changed()))
            await asyncio.sleep(_LEAST_PAUSE_S)  # many changes at once are worth one look
        try:
            await asyncio.wait(reasons, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in reasons:
                each.cancel()
            await asyncio.gather(*reasons, return_exceptions=True)

    async def _connect(self, *, may_ask: bool, first: bool) -> tuple[HostStream, Mux]:
        if self.state.state != "pending":
            self._set("connecting", message=self.state.message)
        self._answers.begin(may_ask=may_ask)
        started = time.monotonic()
        allowed = FIRST_ATTEMPT_S if first or may_ask else max(ATTEMPT_S, _SLOW_LOGIN * self._took_s)
        attempt = asyncio.ensure_future(self._attempts())
        self._patience = patience = Deadline(allowed)
        patience.watch(attempt)
        try:
            carriage, mux, self.hello = await attempt
        except asyncio.CancelledError:
            if patience.over:
                raise await self._silent(allowed) from None
            attempt.cancel()
            await asyncio.wait([attempt], timeout=CLOSE_S)
            raise
        except GenOpsError:
            raise
        except (
            Exception
        ) as error:  # the boundary to providers and carriers: waiting callers must get any error
            log.warning("The connection to %s failed.", self.route.target, exc_info=True)
            failed = CarrierEnded(
                f"The connection to {self.route.target} failed: {error}",
                hint=f"Test the target: genops targets test {self.route.target}",
            )
            failed.is_cut = False  # another attempt would fail as well
            raise failed from error
        finally:
            self._patience = None
        self._took_s = time.monotonic() - started
        self._answers.keep()
        return carriage, mux

    async def _silent(self, waited_s: float) -> LinkError:
        """Return the error for a host that did not answer: its provider's reason, where it knows one."""
        from ..providers import provider_of

        with contextlib.suppress(GenOpsError, asyncio.TimeoutError):
            provider = provider_of(self.route.kind)
            known = await asyncio.wait_for(provider.why_silent(self.route), _WHY_SILENT_S)
            if known is not None:
                return known
        return HostUnreachable(
            f"{self.route.target} did not answer within {waited_s:.0f} s.",
            hint="Check that the host is running and the network reaches it.",
        )

    async def _attempts(self) -> tuple[HostStream, Mux, dict[str, Any]]:
        while True:
            try:
                return await self._attempt()
            except (HostUnreachable, CarrierEnded, OSError, EOFError):
                if not self._answers.again():
                    raise

    async def _attempt(self) -> tuple[HostStream, Mux, dict[str, Any]]:
        carriage = await self._opener(self.route, self._answers, self._folder)
        try:
            hello, rest = await greeting(carriage)
        except BaseException:
            self._later(close_soon(carriage))
            raise
        mux = Mux(carriage.reader, carriage.writer, odd=True, accept=self._accept, heard=rest)
        return carriage, mux, hello

    async def _live(self, carriage: HostStream, mux: Mux) -> str:
        """Serve until the connection breaks; return the reason."""
        self._mux, self._proved = mux, False
        self._pulse = Keepalive(mux, self._measured, attentive=self._holds > 0)
        running = asyncio.ensure_future(mux.run())
        beating = asyncio.ensure_future(self._pulse.run())
        self._set("up", carrier=carriage.carrier)
        self._tell_waiting(None)
        try:
            await asyncio.wait([running, beating], return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                return f"{self.route.target} no longer answers."
            self._mux = None
            error = running.exception()
            if error is not None and not isinstance(error, StreamEnded):
                log.error("The connection to %s failed.", self.route.target, exc_info=error)
            return (await carriage.why(_WHY_S)).message
        finally:
            self._mux = self._pulse = None
            mux.close()
            for task in (running, beating):
                task.cancel()
            self._later(close_soon(carriage))

    # Helpers

    def _attend(self) -> None:
        if self._pulse is not None:
            self._pulse.attend(self._holds > 0)

    def _measured(self, seconds: float) -> None:
        self.state = msgspec.structs.replace(self.state, rtt_s=seconds)

    def _asking(self, begins: bool) -> None:
        if self._patience is not None:
            if begins:
                self._patience.pause()
            else:
                self._patience.resume()
            self._set("asking" if begins else "connecting")

    def _accept(self, channel: Channel) -> None:
        handler = self._services.get(channel.service)
        if handler is None:
            channel.reset("unknown_service", f"This Lab has no service {channel.service[:40]!r}.")
        else:
            self._later(self._serve(handler, channel))

    async def _serve(self, handler: Handler, channel: Channel) -> None:
        try:
            await handler(channel)
        except ChannelReset:
            return  # the host's side has left
        except Exception:  # the boundary: a failed channel must not break the others
            log.warning("Serving %s for %s failed.", channel.service, self.route.target, exc_info=True)
            channel.reset("failed", "The Lab failed to serve this channel.")

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _set(
        self,
        state: LinkStateName,
        *,
        message: str = "",
        error: GenOpsError | None = None,
        retry_at: float | None = None,
        carrier: str = "",
    ) -> None:
        previous = self.state
        self.state = LinkState(
            state=state,
            since=previous.since if previous.state == state else time.time(),
            message=error.message if error else message,
            hint=error.hint if error else "",
            retry_at=retry_at,
            carrier=carrier or previous.carrier,
            code=error.code if error else "",
            step=error.step if isinstance(error, LinkError) else "",
        )
        self._watchers.tell(self.state)

    def _not_connected(self) -> LinkDown:
        if self.state.state == "failed":
            return LinkDown(
                f"{self.route.target} is not connected: {self.state.message}",
                hint=self.state.hint or "Connect it (genops targets connect, or the Targets panel).",
            )
        return LinkDown(f"{self.route.target} is not connected.", hint="Connect the target, then try again.")


def _pending_pause(waiting: HostPending, waited_s: float) -> float:
    """Return the seconds until a pending host is checked again: often at first, then rarely, so that a
    queue's scheduler gets few requests."""
    if waiting.changed is not None:
        return _TOLD_LOOK_S if waiting.position is None else _RARE_LOOK_S
    return min(max(_FIRST_LOOK_S, waited_s / 10), _RARE_LOOK_S)


async def open_it(route: Route, asker: Asker, folder: Path) -> HostStream:
    carrier = await asyncio.to_thread(importlib.import_module, f"{__package__}.carrier")
    opened: HostStream = await carrier.open_carriage(route, asker, folder)
    return opened


async def greeting(carriage: HostStream) -> tuple[dict[str, Any], bytes]:
    preamble = PreambleReader()
    while True:
        data = await carriage.reader.read(65536)
        if not data:
            raise await carriage.why()
        try:
            found = preamble.feed(data)
        except ProtocolError as error:
            raise AgentRefused(
                str(error), hint="Check what the login shell's rc files print without a terminal."
            ) from error
        if found is not None:
            return found


async def close_soon(carriage: HostStream) -> None:
    try:
        await asyncio.wait_for(carriage.close(), CLOSE_S)
    except asyncio.TimeoutError:
        log.warning("The process of a connection did not end within %.0f s.", CLOSE_S)


def pause_after(failures: int, broken_for_s: float) -> float:
    longest = _MAX_PAUSE_AT_FIRST_S if broken_for_s < _AT_FIRST_S else _MAX_PAUSE_S
    return float(min(_FIRST_PAUSE_S * 2 ** min(failures - 1, 16), longest)) * random.uniform(0.8, 1.0)  # noqa: S311
