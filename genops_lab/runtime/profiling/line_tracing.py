"""Report which line of a cell begins, with ``sys.monitoring`` or ``sys.settrace``.

``sys.monitoring`` (Python 3.12 and later) watches only the cells' code. ``sys.settrace`` also costs each call
of other code. Neither costs anything while nothing is recorded.
"""

from __future__ import annotations

import _thread
import inspect
import signal
import sys
import threading
import time
from types import CodeType, FrameType
from typing import Any, Callable, Dict, Set

from .lines import LineMarkers, running_frames

_CAN_WAIT = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

#: The system ignores this signal by default; only out-of-band data of a socket would cause it.
_SIGNAL: Any = getattr(signal, "SIGURG", None)


class TraceWatch:
    """Reports lines through ``sys.settrace``, in the thread that starts it.

    While tracing is on, each instruction takes longer: a Python loop takes nearly three times as long. So
    tracing is switched off at a line that is not traced. The next step, or a regular ``wake``, switches it on
    again.
    """

    def __init__(self, markers: LineMarkers) -> None:
        self._markers = markers
        self._thread = 0
        self._paused_at = 0.0
        self._nudge = Nudge(self.resume)

    def start(self) -> bool:
        """Start; return False if a debugger or coverage tool is active, which is not disturbed."""
        if sys.gettrace() is not None and sys.gettrace() != self._call:
            return False
        self._thread, self._paused_at = threading.get_ident(), 0.0
        self._nudge.prepare()
        for frame in reversed(running_frames(self._markers.files)):
            frame.f_trace = self._local
            self._markers.enter(frame.f_code, frame.f_lineno)
        sys.settrace(self._call)
        return True

    def stop(self) -> None:
        """Stop, in the thread that started; from another thread the next line does it."""
        if threading.get_ident() == self._thread:
            self._end_pause()
        self._nudge.end()
        if sys.gettrace() == self._call:
            sys.settrace(None)

    def hears(self, code: CodeType) -> bool:
        """Return whether the next line of a frame of this code will be reported."""
        return not self._paused_at and code not in self._markers.budget.muted

    @property
    def wants_waking(self) -> bool:
        """Return whether ``wake`` may have something to do."""
        return bool(self._paused_at)

    def wake(self) -> None:
        """Trace again, from another thread, unless tracing has ended."""
        if self._paused_at and self._markers.on:
            self._nudge.ask()

    def resume(self) -> None:
        """Trace again if the budget allows, from the next line on, because this one may be half done."""
        markers = self._markers
        if not self._paused_at or not markers.on or threading.get_ident() != self._thread:
            return
        if sys.gettrace() is not None or not (markers.budget.can_go_on or markers.pending is not None):
            return
        self._end_pause()
        for frame in running_frames(markers.files):
            frame.f_trace = None if frame.f_code in markers.budget.muted else self._local
        sys.settrace(self._call)

    def _pause(self) -> None:
        self._markers.close_own()
        self._paused_at = time.perf_counter()
        sys.settrace(None)

    def _end_pause(self) -> None:
        if self._paused_at:
            self._markers.unheard_s += time.perf_counter() - self._paused_at
            self._paused_at = 0.0

    def _call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        markers = self._markers
        if not markers.on:
            self.stop()
            return None
        code = frame.f_code
        if code.co_filename not in markers.files or code in markers.budget.muted:
            if not markers.budget.call():
                self._pause()
            return None
        # A paused frame continues at its line; a new call has its first line still to come.
        markers.enter(code, frame.f_lineno if code.co_flags & _CAN_WAIT else 0)
        return self._local

    def _local(self, frame: FrameType, event: str, _argument: Any) -> Any:
        markers, code = self._markers, frame.f_code
        if not markers.on:
            self.stop()
            return None
        if event == "line":
            markers.line(code, frame.f_lineno)
            if markers.ended():
                return None
            if code in markers.budget.muted:
                frame.f_trace = None
            elif not markers.budget.marks(code, frame.f_lineno):
                self._pause()
        elif event == "return":
            markers.leave(code)
        return self._local


class MonitoringWatch:
    """Reports lines through ``sys.monitoring``, in all threads.

    A line that is not traced is switched off on its own, unless a marker is open in its function. The next
    marked line switches it on again, so that no marker lasts beyond its line.
    """

    _TOOLS = (4, 3)  # tool ids to which PEP 669 gives no name

    def __init__(self, markers: LineMarkers) -> None:
        self._markers = markers
        self._monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
        self._tool = -1
        self._watched: Set[CodeType] = set()
        self._unheard: Dict[CodeType, float] = {}

    def start(self) -> bool:
        """Start; return False if all tool ids are taken."""
        monitoring = self._monitoring
        free = [tool for tool in self._TOOLS if monitoring.get_tool(tool) is None]
        if not free:
            return False
        self._tool = free[0]
        monitoring.use_tool_id(self._tool, "genops")
        events = monitoring.events
        for event, callback in (
            (events.PY_START, self._begins),
            (events.PY_RESUME, self._begins),
            (events.LINE, self._line),
            (events.PY_RETURN, self._ends),
            (events.PY_YIELD, self._ends),
            (events.PY_UNWIND, self._ends),
        ):
            monitoring.register_callback(self._tool, event, callback)
        for frame in reversed(running_frames(self._markers.files)):
            self._watch(frame.f_code)
            self._markers.enter(frame.f_code, frame.f_lineno)
        monitoring.set_events(self._tool, events.PY_START | events.PY_RESUME | events.PY_UNWIND)
        monitoring.restart_events()  # other code reports once that it is not ours
        return True

    def stop(self) -> None:
        """Stop reporting."""
        if self._tool < 0:
            return
        for code in list(self._unheard):
            self._counted(code)
        monitoring, tool, self._tool = self._monitoring, self._tool, -1
        monitoring.set_events(tool, 0)
        for code in self._watched:
            monitoring.set_local_events(tool, code, 0)
        self._watched.clear()
        monitoring.free_tool_id(tool)

    def hears(self, code: CodeType) -> bool:
        """Return whether the next line of a frame of this code will be reported."""
        return code not in self._unheard and code not in self._markers.budget.muted

    @property
    def wants_waking(self) -> bool:
        """Return whether ``wake`` may have something to do."""
        return bool(self._unheard) and self._markers.pending is not None

    def wake(self) -> None:
        """Trace again from another thread if something waits for a line, unless tracing has ended."""
        if self.wants_waking:
            for code in list(self._unheard):
                self._hear_again(code)

    def resume(self) -> None:
        """Do nothing: the next marked line is reported in any case."""

    def _watch(self, code: CodeType) -> None:
        if code not in self._watched:
            self._watched.add(code)
            events = self._monitoring.events
            self._monitoring.set_local_events(
                self._tool, code, events.LINE | events.PY_RETURN | events.PY_YIELD
            )

    def _unwatch(self, code: CodeType) -> None:
        if code in self._watched:
            self._watched.discard(code)
            self._monitoring.set_local_events(self._tool, code, 0)

    def _hear_again(self, code: CodeType) -> None:
        self._counted(code)
        self._unwatch(code)  # watching it again enables what was disabled
        self._watch(code)

    def _counted(self, code: CodeType) -> None:
        since = self._unheard.pop(code, 0.0)
        if since:
            self._markers.unheard_s += time.perf_counter() - since

    def _begins(self, code: CodeType, _offset: int) -> Any:
        markers = self._markers
        if code.co_filename not in markers.files or code in markers.budget.muted:
            return self._monitoring.DISABLE
        if markers.on:
            self._watch(code)
            markers.enter(code)
        return None

    def _line(self, code: CodeType, line: int) -> Any:
        markers = self._markers
        if not markers.on:
            return self._monitoring.DISABLE
        if markers.line(code, line):
            if code in self._unheard:
                self._hear_again(code)
                markers.budget.spend(code, line, 2)
            return None
        if markers.ended():  # the action that waited for this line ended the recording
            return self._monitoring.DISABLE
        if markers.others_in(code):
            return None
        if code in markers.budget.muted:
            self._unwatch(code)
        elif code not in self._unheard:
            self._unheard[code] = 0.0 if markers.budget.marks(code, line) else time.perf_counter()
        return self._monitoring.DISABLE

    def _ends(self, code: CodeType, _offset: int, _value: Any) -> None:
        markers = self._markers
        if markers.on and code.co_filename in markers.files:
            if code in self._unheard:
                # Another frame of this code may have a line open.
                self._hear_again(code)
                markers.budget.spend(code, 0, 2)
            markers.leave(code)


def watch(markers: LineMarkers) -> Any:
    """Return the best watch of this interpreter."""
    return MonitoringWatch(markers) if hasattr(sys, "monitoring") else TraceWatch(markers)


class Nudge:
    """Uses the interpreter's own signal handling without a system signal, so that no call is interrupted."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._ready = False

    def prepare(self) -> bool:
        """Prepare; False outside of the main thread, before Python 3.10, and if the program has its own
        handler.
        """
        if _SIGNAL is None or sys.version_info < (3, 10):
            return False
        if threading.current_thread() is not threading.main_thread():
            return False
        if signal.getsignal(_SIGNAL) is not signal.SIG_DFL:
            return False
        signal.signal(_SIGNAL, self._handle)
        self._ready = True
        return True

    def ask(self) -> None:
        """Request the call soon. Must not be used once ``end`` may have been called."""
        if self._ready and sys.version_info >= (3, 10):
            _thread.interrupt_main(_SIGNAL)

    def end(self) -> None:
        """Restore the handler, in the main thread."""
        if self._ready and threading.current_thread() is threading.main_thread():
            self._ready = False
            if signal.getsignal(_SIGNAL) == self._handle:
                signal.signal(_SIGNAL, signal.SIG_DFL)

    def _handle(self, _number: int, _frame: Any) -> None:
        if self._ready:
            self._action()
