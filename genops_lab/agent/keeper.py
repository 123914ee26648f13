"""Keep one unit (a kernel, a command): take its messages, write them to the journal, send them to the
attached client.

One thread, one loop. After the unit's end it serves the journal for a while; later another keeper does,
started on demand. :mod:`.unit` has the differences between kinds.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from typing import Any, Dict, List, Optional, Tuple

from . import zip_imports
from .attachments import Attachments
from .journal import Journal
from .lease import LEASE_GRACE_S, Lease, Steps
from .logs import log
from .paths import listen, socket_folder
from .state_file import SOCKET, public, write_state
from .unit import Unit

_TICK_S = 1.0
_SYNC_S = 5.0
_AGE_S = 3600.0
#: Seconds that a keeper stays after its unit's end and its last client.
LINGER_S = 60.0
_TERM_GRACE_S = 3.0


class Keeper:
    """``listener``: the bound unix socket. ``state``: the content of the state file. ``poller``: that of a
    running unit, with its sockets.

    ``unit`` has the state's kind, and no process where only the journal of an ended one is served.
    """

    def __init__(
        self,
        folder: str,
        state: Dict[str, Any],
        journal: Journal,
        listener: socket.socket,
        unit: Unit,
        lease: Optional[Dict[str, Any]] = None,
        poller: Optional[select.poll] = None,
    ) -> None:
        self._folder = folder
        self.state = state
        self.journal = journal
        self._listener = listener
        self.unit = unit
        asked = lease or {}
        self.lease = Lease(float(asked.get("seconds") or 0.0))
        self._lease_grace_s = float(asked.get("grace_s", LEASE_GRACE_S))
        self._attendance = Attachments(self, listener, dict(state.get("seen") or {}))
        self._ending: Optional[Steps] = None
        self._why = ""
        self._quiet_since = time.monotonic()
        self._next_sync = self._next_age = 0.0
        self._over = self._forgotten = False
        self.poller = poller or select.poll()
        self._signals, self._wakeup = socket.socketpair()

    @property
    def folder(self) -> str:
        """The unit's folder."""
        return self._folder

    @property
    def runs(self) -> bool:
        """Whether the unit runs."""
        return self.unit.process is not None

    # The loop

    def run(self) -> None:
        """Serve until this keeper is no longer needed."""
        self._catch_signals()
        self.unit.open(self)
        zip_imports.keep()
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
        """Handle SIGTERM: the host shuts down, or ends all of this user's processes."""
        if not self.runs:
            self._over = True
        elif self._ending is None:
            self.state["ended_by"] = "host"
            self.stop(_TERM_GRACE_S, "The host asked it to end (SIGTERM).")

    def _wait_ms(self) -> int:
        now = time.monotonic()
        due = now + _TICK_S if self._attendance.tell_at is None else self._attendance.tell_at
        if self._ending is not None:
            next_step = self._ending.proceed()
            due = min(due, next_step) if next_step is not None else due
        elif self.runs:
            left = self.lease.left()
            if left is not None and left <= 0:
                self._lease_ran_out()
                return 0
            due = due if left is None else min(due, now + left)
        look = self.unit.look(ending=self._ending is not None)
        due = due if look is None else min(due, look)
        if self.unit.unread:
            return 0
        return max(0, int((due - time.monotonic()) * 1000 + 0.999))

    def _turn(self, events: List[Tuple[int, int]]) -> None:
        for descriptor, mask in events:
            if descriptor == self._listener.fileno():
                self._attendance.accept()
            elif descriptor == self._signals.fileno():
                self._drain_signals()
            elif descriptor in self._attendance and mask & ~select.POLLOUT:
                self._attendance.receive(descriptor)
        messages = self.unit.receive({descriptor for descriptor, _ in events})
        self.journal.append(messages)
        if self.unit.process is not None:
            code = self.unit.process.poll()
            if code is not None:
                self._ended(code)
        self._attendance.pump(said=bool(messages))
        self._now_and_then()

    def _drain_signals(self) -> None:
        try:
            while self._signals.recv(4096):
                pass
        except BlockingIOError:
            return

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
        elif not self.runs and now - self._quiet_since > LINGER_S:
            self._over = True

    def _stay_findable(self) -> None:
        """Bind the socket again where a cleaner of /tmp removed it: otherwise the unit could not be reached."""
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
        """Touch the files: cleaners of /tmp leave files in use alone, and without the lock's file this keeper
        would count as dead."""
        for folder in {self._folder, os.path.dirname(self._listener.getsockname())}:
            os.utime(folder)
            for name in os.listdir(folder):
                os.utime(os.path.join(folder, name), follow_symlinks=False)

    # The unit's end

    def _ended(self, code: int) -> None:
        process, unit = self.unit.process, self.unit
        assert process is not None
        self.state.update(unit.ended(self.journal.append, asked=self._ending is not None))
        reason = self._why or process.why(code)
        self.state.update(state="ended", exit_code=code, reason=reason, ended_at=time.time(), noted=True)
        self._ending = None
        self.lease = Lease(0.0)
        self.journal.note("ended", exit_code=code, reason=reason, text=f"The {unit.kind} has ended. {reason}")
        self.save()
        self._attendance.unit_ended()

    def fail(self, error: BaseException) -> None:
        """Stop after an error: the unit ends too, since it could not be reached any more."""
        if self.unit.process is not None:
            self.unit.process.signal(signal.SIGKILL)
            reason = f"Its agent failed: {type(error).__name__}: {error}"
            self.state.update(state="ended", reason=reason, ended_at=time.time())
        self.save()

    def stop(self, grace_s: float, why: str) -> None:
        """Stop the unit, in its kind's way."""
        self._why = self._why or why
        self._ending = self.unit.ending(grace_s)

    def _lease_ran_out(self) -> None:
        assert self.unit.process is not None
        freed = self.unit.process.memory_bytes()
        self._why = (
            f"No Lab was attached for {_duration(self.lease.seconds)}, the length of its lease; {freed / 1024**3:.1f} "
            "GiB of memory and its share of the GPUs were freed."
        )
        self.journal.note(
            "lease",
            step="ending",
            seconds=self.lease.seconds,
            memory_bytes=freed,
            text=f"No Lab was attached to this {self.unit.kind} for {_duration(self.lease.seconds)}, "
            f"the length of its lease: it is {self.unit.first_step}, and stopped soon after.",
        )
        self._ending = self.unit.lease_ending(self._lease_grace_s)

    # Reports

    def info(self) -> Dict[str, Any]:
        """UnitInfo."""
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
            "journal_bytes": self.journal.size_bytes,
            "journal_trouble": self.journal.trouble,
            **self.unit.info(),
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
        if self._forgotten:  # the folder may belong to another unit already
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
        """End without writing to the folder: it is removed now, and may soon belong to another unit."""
        self._leave_folder()
        self._over = self._forgotten = True

    def _leave_folder(self) -> None:
        """Remove this keeper's socket and lock, so that nobody finds it."""
        if not self._forgotten and os.path.exists(self._listener.getsockname()):
            os.unlink(self._listener.getsockname())


def _duration(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"
