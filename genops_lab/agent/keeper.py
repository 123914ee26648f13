"""The keeper of one kernel: takes what the kernel says, journals it, gives it to whoever is attached.

One thread, one loop. After the kernel's end it serves the journal for a while; later another keeper does, started
on demand.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from typing import Any, Dict, List, Optional, Tuple

from . import records, wire, zip_imports
from .attachments import Attachments
from .idle import IdleWatch
from .idle_policy import IdlePolicy
from .journal import Journal, Message
from .kernel_process import KernelProcess
from .lease import LEASE_GRACE_S, Lease, Steps, ending, lease_ending
from .logs import log
from .paths import listen, socket_folder
from .state_file import SOCKET, public, write_state

_TICK_S = 1.0
_SYNC_S = 5.0
_AGE_S = 3600.0
#: How long a keeper stays after its kernel's end and its last client.
LINGER_S = 60.0
_TERM_GRACE_S, _IDLE_GRACE_S, _UNHEARD_GRACE_S = 3.0, 5.0, 0.1


class Keeper:
    """``listener``: the bound unix socket. ``state``: what the state file holds. ``process`` is None where only the
    journal of an ended kernel is served."""

    def __init__(
        self,
        folder: str,
        state: Dict[str, Any],
        journal: Journal,
        listener: socket.socket,
        process: Optional[KernelProcess],
        lease: Optional[Dict[str, Any]] = None,
        idle: Optional[IdlePolicy] = None,
        visible: Optional[str] = None,
    ) -> None:
        self._folder = folder
        self.state = state
        self.journal = journal
        self._listener = listener
        self.process = process
        asked = lease or {}
        self.lease = Lease(float(asked.get("seconds") or 0.0))
        self._lease_grace_s = float(asked.get("grace_s", LEASE_GRACE_S))
        self.idle = IdleWatch(process.pid if process else 0, visible, self._tell_idle, self._idle_too_long)
        self.idle.change(idle)
        self._attendance = Attachments(self, listener, dict(state.get("seen") or {}))
        self._ending: Optional[Steps] = None
        self._why = ""
        self.relay: Any = None
        self._activity = wire.Activity("starting" if process is not None else "")
        self._quiet_since = time.monotonic()
        self._next_sync = self._next_age = 0.0
        self._over = self._forgotten = False
        self.poller = select.poll()
        self._signals, self._wakeup = socket.socketpair()

    # The loop

    def run(self, signer: Optional[wire.Signer], prefix: str, relay: Any = None, poller: Any = None) -> None:
        """Serve until nobody needs this keeper any more. ``relay`` and its ``poller``: of a kernel that stands."""
        self._catch_signals()
        if self.process is not None and relay is not None:
            self.relay, self.poller = relay, poller
            self._activity = wire.Activity("idle")
        elif self.process is not None and signer is not None:
            from .relay import Relay  # and ZMQ: the kernel, which takes longer to start, is on its way

            self.relay = Relay(prefix, signer, self.poller)
        zip_imports.keep()
        if self.process is not None:
            self.poller.register(self.process.output, select.POLLIN)
        self.poller.register(self._listener.fileno(), select.POLLIN)
        self.poller.register(self._signals.fileno(), select.POLLIN)
        while not self._over:
            self._turn(self.poller.poll(self._wait_ms()))
        self._close()

    def _catch_signals(self) -> None:
        self._signals.setblocking(False)
        self._wakeup.setblocking(False)
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._asked_to_end())
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)

    def _asked_to_end(self) -> None:
        """The host goes down, or logs everything of this user out."""
        if self.process is None:
            self._over = True
        elif self._ending is None:
            self.stop(_TERM_GRACE_S, "The host asked it to end (SIGTERM).")

    def _wait_ms(self) -> int:
        now = time.monotonic()
        due = now + _TICK_S if self._attendance.tell_at is None else self._attendance.tell_at
        if self._ending is not None:
            next_step = self._ending.proceed()
            due = min(due, next_step) if next_step is not None else due
        elif self.process is not None:
            left = self.lease.left()
            if left is not None and left <= 0:
                self._lease_ran_out()
                return 0
            due = due if left is None else min(due, now + left)
            look = self.idle.look(self._activity.state == "busy")
            due = due if look is None else min(due, look)
        if self.relay is not None:
            look = self.relay.look()
            due = due if look is None else min(due, look)
            if self.relay.unread:
                return 0
        return max(0, int((due - time.monotonic()) * 1000 + 0.999))

    def _turn(self, events: List[Tuple[int, int]]) -> None:
        for descriptor, mask in events:
            if descriptor == self._listener.fileno():
                self._attendance.accept()
            elif descriptor == self._signals.fileno():
                self._drain_signals()
            elif descriptor in self._attendance:
                if mask & ~select.POLLOUT:
                    self._attendance.receive(descriptor)
            elif self.process is not None and descriptor == self.process.output:
                self._read_output(self.process)
        messages: List[Message] = []
        if self.relay is not None:
            messages = self.relay.receive({descriptor for descriptor, _ in events})
            self._take(messages)
        if self.process is not None:
            code = self.process.poll()
            if code is not None:
                self._kernel_ended(code)
        self._attendance.pump(said=bool(messages))
        self._now_and_then()

    def _drain_signals(self) -> None:
        try:
            while self._signals.recv(4096):
                pass
        except BlockingIOError:
            return

    def _read_output(self, process: KernelProcess) -> None:
        descriptor = process.output
        if not process.read_output():
            self.poller.unregister(descriptor)

    def _now_and_then(self) -> None:
        now = time.monotonic()
        if now >= self._next_sync:
            self._next_sync = now + _SYNC_S
            self._stay_findable()
            if self.journal.dirty:
                self.journal.sync_soon()
        if now >= self._next_age:
            self._next_age = now + _AGE_S
            self.journal.cut_old()
            self._touch()
        if len(self._attendance):
            self._quiet_since = now
        elif self.process is None and now - self._quiet_since > LINGER_S:
            self._over = True

    def _stay_findable(self) -> None:
        """Bind the socket again where a cleaner of /tmp removed it: nobody could reach the kernel any more."""
        path = self._listener.getsockname()
        if self._forgotten or os.path.lexists(path):
            return
        try:
            again = listen(os.path.join(socket_folder(self._folder), SOCKET))
        except OSError as error:
            log(f"The socket {path} was removed and cannot be made again: {error}")
            return
        os.dup2(again.fileno(), self._listener.fileno(), inheritable=False)
        again.close()
        log(f"The socket {path} was removed, and was made again.")

    def _touch(self) -> None:
        """Cleaners of /tmp leave alone what is in use; without the lock's file this keeper would count as dead."""
        for folder in {self._folder, os.path.dirname(self._listener.getsockname())}:
            os.utime(folder)
            for name in os.listdir(folder):
                os.utime(os.path.join(folder, name), follow_symlinks=False)

    # What the kernel says

    def _take(self, messages: List[Message]) -> None:
        if not messages:
            return
        self.journal.append(messages)
        for channel, _, frames in messages:
            if channel == records.SHELL or (channel == records.IOPUB and self.idle.policy is not None):
                self.idle.said(frames)
            if channel == records.IOPUB:
                self._activity.saw(frames)
            elif channel in (records.SHELL, records.CONTROL):
                self._activity.answered(frames)

    def _kernel_ended(self, code: int) -> None:
        process = self.process
        assert process is not None
        self.relay.drain(self._take)
        while process.output >= 0 and select.select([process.output], [], [], 0)[0]:
            self._read_output(process)
        if process.output >= 0:  # its children may keep it open
            self.poller.unregister(process.output)
        reason = self._why or process.why(code)
        if self._ending is not None:
            process.signal(signal.SIGKILL)  # what is left of its group
        self.process = None
        self.relay.close()
        self.relay = None
        process.close()
        self.state.update(
            state="ended",
            exit_code=code,
            reason=reason,
            ended_at=time.time(),
            execution_state="dead",
            noted=True,
        )
        self._activity = wire.Activity("dead")
        self._ending = None
        self.lease = Lease(0.0)
        self.journal.note("ended", exit_code=code, reason=reason, text=f"The kernel has ended. {reason}")
        self.save()
        self._attendance.kernel_ended()

    def fail(self, error: BaseException) -> None:
        """This keeper cannot go on: a kernel that nobody could reach any more ends with it."""
        if self.process is not None:
            self.process.signal(signal.SIGKILL)
            reason = f"Its agent failed: {type(error).__name__}: {error}"
            self.state.update(state="ended", reason=reason, ended_at=time.time())
        self.save()

    # Its end

    def stop(self, grace_s: float, why: str) -> None:
        """End the kernel: ask, wait, terminate, kill. One that has not said a word yet hears no question."""
        assert self.process is not None
        if grace_s > 0 and self._activity.state == "starting":
            grace_s = _UNHEARD_GRACE_S
        process = self.process
        self._why = self._why or why
        self._ending = ending(
            self.relay.request_shutdown,
            lambda: _signal(process, signal.SIGTERM),
            lambda: _signal(process, signal.SIGKILL),
            grace_s,
        )

    def _lease_ran_out(self) -> None:
        assert self.process is not None
        process = self.process
        freed = process.memory_bytes()
        self._why = (
            f"Nobody was attached for {_duration(self.lease.seconds)}, as long as its lease allowed;"
            f" {freed / 1024**3:.1f} GiB of memory and its share of the GPUs were freed."
        )
        self.journal.note(
            "lease",
            step="ending",
            seconds=self.lease.seconds,
            memory_bytes=freed,
            text=f"Nobody was attached to this kernel for {_duration(self.lease.seconds)}, as long as its lease"
            " allows: it is interrupted, and ended soon after.",
        )
        self._ending = lease_ending(
            lambda: _signal(process, signal.SIGINT),
            self.relay.request_shutdown,
            lambda: _signal(process, signal.SIGTERM),
            lambda: _signal(process, signal.SIGKILL),
            self._lease_grace_s,
        )

    def _tell_idle(self, step: str, **fields: Any) -> None:
        self.journal.note("idle", step=step, **fields)

    def _idle_too_long(self, reason: str) -> None:
        self.state["ended_by"] = "idle"
        self.stop(_IDLE_GRACE_S, reason)

    @property
    def requests(self) -> List[str]:
        """Which requests the kernel works at."""
        return self._activity.requests

    def info(self) -> Dict[str, Any]:
        """KernelInfo."""
        client, left = self._attendance.client, self.lease.left()
        return {
            **public(self.state),
            "first_seq": self.journal.first_seq,
            "last_seq": self.journal.last_seq,
            "acked_seq": self.journal.acked_seq,
            "attached": {"client": client.client, "label": client.label, "since": client.since}
            if client
            else None,
            "lease_seconds": self.lease.seconds,
            "lease_until": None if left is None else time.time() + left,
            "execution_state": self._activity.state or self.state.get("execution_state", ""),
            "journal_bytes": self.journal.size_bytes,
            "journal_trouble": self.journal.trouble,
            "ready": self.relay is not None and self.relay.ready,
            "idle": None if self.process is None else self.idle.info(),
        }

    def save(self) -> None:
        """Write the state file."""
        self.state.update(
            seen=dict(list(self._attendance.seen.items())[-64:]),
            first_seq=self.journal.first_seq,
            last_seq=self.journal.last_seq,
            acked_seq=self.journal.acked_seq,
            journal_bytes=self.journal.size_bytes,
        )
        if self._forgotten:  # the folder may be another kernel's already
            return
        try:
            write_state(self._folder, self.state)
        except OSError as error:
            log(f"The state cannot be written: {error}")

    def _close(self) -> None:
        self.save()
        self._attendance.close()
        self._leave_folder()
        self.journal.close()

    def forget(self) -> None:
        """End without a word in the folder: it is removed now, and may be another kernel's soon."""
        self._leave_folder()
        self._over = self._forgotten = True

    def _leave_folder(self) -> None:
        """From now on nobody finds this keeper."""
        if not self._forgotten and os.path.exists(self._listener.getsockname()):
            os.unlink(self._listener.getsockname())


def _signal(process: KernelProcess, number: int) -> None:
    process.signal(number)


def _duration(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"
