"""Keep the printed output of a run: the first and last part of each stream, as ``output/<stream>.txt``.

In a notebook ipykernel's streams are read: ``print``, and the standard output of subprocesses and C code. In
a script only Python's own output is read.
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

#: Characters that are kept from the beginning, and as many from the end.
MAX_PART = 100_000
_SETTLE_AT = 65_536
#: The whole text is written each time, so writes become rarer in a long run.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 600.0
_PIPE_WAIT_S = 0.5


class Kept:
    """A stream's bounded text. A line that was overwritten (a progress bar) counts in its last state."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: List[str] = []
        self._waiting_size = 0
        self._head = self._tail = self._line = ""
        self._head_full = False
        self._left_out = 0
        self.changed = False

    def add(self, text: str) -> None:
        """Add text, from any thread."""
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
        """Return the kept text, with a note on the characters that are left out."""
        with self._lock:
            self._settle()
            self._shorten()
            self.changed = False
            gap = ""
            if self._left_out:
                gap = f"\n[GenOps: {self._left_out:,} characters are left out here]\n\n"
            return self._head + gap + self._tail + self._line.rstrip("\r")


def _last_written(line: str) -> str:
    """Return a line's last state. A final carriage return only announces an overwrite."""
    if "\r" not in line:
        return line
    shown = line.rstrip("\r")
    return shown.rpartition("\r")[2] + ("\r" if len(shown) < len(line) else "")


_INNER = "_genops_inner"
#: A terminal does not show this mark: "visible text begins", many times.
_MARK = "\x1b[28m" * 3
#: Set in a thread that is inside a tap: a tap below it does not read the text again.
_heard = threading.local()


class _Tap:
    """Reads what is written to one stream object, and changes nothing else of it.

    IPython replaces the stream's ``write`` for each cell and restores it afterwards. So the tap is checked at
    each cell; output of subprocesses is waited for.
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
        """Put the tap into the stream's ``write``."""
        below = self._stream.write
        if getattr(below, "_genops_tap", None) is self:
            return
        below = getattr(below, _INNER, below)  # of one that is closed

        def write(text: Any) -> Any:
            # A forked process writes without the tap: its copy of a lock may never be released.
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
        """Remove the tap, unless another program wraps it by now."""
        if self._events is not None:
            self._events.unregister("pre_run_cell", self.look)
            self._events.unregister("post_run_cell", self._cell_ends)
        if getattr(self._stream.write, "_genops_tap", None) is self:
            self._stream.write = getattr(self._stream.write, _INNER)

    def wait_for_pipe(self) -> None:
        """Wait until the output of subprocesses has been read: a mark follows it through ipykernel's pipe."""
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
    """Pass written text to ``listener``; the returned function stops that. Raises AttributeError without a
    tap.
    """
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
    """Keeps the printed output with one run."""

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
                except GenOpsError:  # the run has ended by now
                    return

    def finish(self) -> None:
        """Write the rest, before the run ends."""
        for end in self._ends:
            end()
        self._stop.set()
        self._thread.join()
        self._write()
