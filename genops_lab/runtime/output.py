"""What is printed while a run is open: the first and the last part of each stream, kept as ``output/<stream>.txt``.

In a notebook that is what ipykernel sees: ``print``, and what subprocesses and C code write to the process's own
standard output. In a script it is what Python writes.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, List

from .artifacts import OUTPUT, STREAMS, of_session
from .display import shell
from .errors import GenOpsError
from .provenance import redactor_now

if TYPE_CHECKING:
    from .run import Run

#: Characters that are kept of the beginning, and as many of the end.
MAX_PART = 100_000
_SETTLE_AT = 65_536
#: What is kept is written as a whole each time, so seldom when a run lasts long.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 600.0
_PIPE_WAIT_S = 0.5


class Kept:
    """A stream's text, bounded. A line that is overwritten (a progress bar's) counts as it was left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: List[str] = []
        self._waiting_size = 0
        self._head = self._tail = self._line = ""
        self._head_full = False
        self._left_out = 0
        self.changed = False

    def add(self, text: str) -> None:
        """More of it, from any thread."""
        with self._lock:
            self._waiting.append(text)
            self._waiting_size += len(text)
            self.changed = True
            if self._waiting_size > _SETTLE_AT:
                self._settle()

    def _settle(self) -> None:
        *lines, last = (self._line + "".join(self._waiting)).split("\n")
        self._waiting, self._waiting_size = [], 0
        self._line = _last_written(last)
        if lines:
            self._take("".join(_last_written(line.rstrip("\r")) + "\n" for line in lines))
        if len(self._line) > MAX_PART:
            self._take(self._line)
            self._line = ""

    def _take(self, text: str) -> None:
        if not self._head_full:
            room = MAX_PART - len(self._head)
            if len(text) <= room:
                self._head += text
                return
            self._head_full = True
            end = text.rfind("\n", 0, room) + 1 or (0 if self._head else room)
            self._head, text = self._head + text[:end], text[end:]
        self._tail += text
        if len(self._tail) > 2 * MAX_PART:
            self._shorten()

    def _shorten(self) -> None:
        if len(self._tail) > MAX_PART:
            begin = len(self._tail) - MAX_PART
            begin = self._tail.find("\n", begin) + 1 or begin
            self._left_out += begin
            self._tail = self._tail[begin:]

    def text(self) -> str:
        """What is kept, with a word on what is left out."""
        with self._lock:
            self._settle()
            self._shorten()
            self.changed = False
            gap = ""
            if self._left_out:
                gap = f"\n[GenOps: {self._left_out:,} characters are left out here]\n\n"
            return self._head + gap + self._tail + self._line.rstrip("\r")


def _last_written(line: str) -> str:
    """A line's last state. A carriage return at its end says that it will be overwritten, and has not been."""
    if "\r" not in line:
        return line
    shown = line.rstrip("\r")
    return shown.rpartition("\r")[2] + ("\r" if len(shown) < len(line) else "")


_INNER = "_genops_inner"
#: Passes through a terminal unseen: "visible text begins", many times.
_MARK = "\x1b[28m" * 3
#: In a thread that is in a tap: what lies below it is not heard again.
_heard = threading.local()


class _Tap:
    """Listens to what is written to one stream object, which stays as it is otherwise.

    IPython puts a ``write`` of its own into the stream for the time of each cell, and another one back afterwards; so
    it is looked at with each cell, whose subprocesses are waited for.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._pid = os.getpid()
        self._passed = threading.Event()
        self.listeners: List[Callable[[str], None]] = []
        self.look()
        self._events = getattr(shell(), "events", None)
        if self._events is not None:
            self._events.register("pre_run_cell", self.look)
            self._events.register("post_run_cell", self._cell_ends)

    def look(self, _info: Any = None) -> None:
        """Be in the way of what is written."""
        below = self._stream.write
        if getattr(below, "_genops_tap", None) is self:
            return
        below = getattr(below, _INNER, below)  # of one that is closed

        def write(text: Any) -> Any:
            # A forked process writes for itself: its copy of a lock may never be given back.
            if not self.listeners or not isinstance(text, str) or os.getpid() != self._pid:
                return below(text)
            if getattr(_heard, "now", False):
                return below(text)
            text = self._without_mark(text)
            if not text:
                return 0
            _heard.now = True
            try:
                for listener in self.listeners:
                    listener(text)
                return below(text)
            finally:
                _heard.now = False

        setattr(write, _INNER, below)
        write._genops_tap = self  # type: ignore[attr-defined]
        self._stream.write = write

    def _cell_ends(self, _result: Any = None) -> None:
        if self.listeners:
            self.wait_for_pipe()

    def close(self) -> None:
        """Leave the stream as it was, where nobody else listens through this by now."""
        if self._events is not None:
            self._events.unregister("pre_run_cell", self.look)
            self._events.unregister("post_run_cell", self._cell_ends)
        if getattr(self._stream.write, "_genops_tap", None) is self:
            self._stream.write = getattr(self._stream.write, _INNER)

    def wait_for_pipe(self) -> None:
        """Until what subprocesses have written is heard: a mark goes behind it through ipykernel's pipe."""
        if not isinstance(getattr(self._stream, "_fid", None), int) or os.getpid() != self._pid:
            return
        if threading.current_thread() is getattr(self._stream, "watch_fd_thread", None):
            return
        self._passed.clear()
        try:
            os.write(self._stream._original_stdstream_fd, _MARK.encode())
        except (AttributeError, OSError):
            return
        self._passed.wait(_PIPE_WAIT_S)

    def _without_mark(self, text: str) -> str:
        if _MARK not in text:
            return text
        self._passed.set()
        return text.replace(_MARK, "")


_taps: Dict[int, _Tap] = {}
_taps_lock = threading.Lock()


def _after_fork() -> None:
    global _taps_lock
    _taps_lock = threading.Lock()
    _taps.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _listen(stream: Any, listener: Callable[[str], None]) -> Callable[[], None]:
    """Hear what is written; call the answer to stop. Raises AttributeError for a stream that cannot be tapped."""
    with _taps_lock:
        tap = _taps.get(id(stream))
        if tap is None:
            tap = _taps[id(stream)] = _Tap(stream)
        tap.listeners = [*tap.listeners, listener]

    def stop() -> None:
        tap.wait_for_pipe()
        with _taps_lock:
            tap.listeners = [one for one in tap.listeners if one is not listener]
            if not tap.listeners and _taps.get(id(stream)) is tap:
                del _taps[id(stream)]
                tap.close()

    return stop


class OutputKeeper:
    """Keeps what is printed with one run, from now on."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._kept: Dict[str, Kept] = {}
        self._ends: List[Callable[[], None]] = []
        self._stop = threading.Event()
        for name in STREAMS:
            kept = Kept()
            try:
                self._ends.append(_listen(getattr(sys, name), kept.add))
            except (AttributeError, TypeError):  # pythonw has none, another program's may be of any kind
                continue
            self._kept[name] = kept
        self._thread = threading.Thread(target=self._send, name="genops-output", daemon=True)
        self._thread.start()

    def _send(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stop.wait(pause_s):
            self._write()
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _write(self) -> None:
        for name, kept in self._kept.items():
            if kept.changed:
                try:
                    text = redactor_now().redact(kept.text())
                    self._run.log_text(text, of_session(f"{OUTPUT}/{name}.txt", self._run.session))
                except GenOpsError:  # the run has ended meanwhile
                    return

    def finish(self) -> None:
        """Before the run ends: the rest."""
        for end in self._ends:
            end()
        self._stop.set()
        self._thread.join()
        self._write()
