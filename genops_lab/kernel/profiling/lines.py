"""Markers of the user's lines while a recording runs, without a change to the code and without Python stacks.

The interpreter tells which line begins: ``sys.monitoring`` on the cells' code alone (Python 3.12 and later), or
``sys.settrace``, which also costs each call of other code. Neither costs anything when nothing is recorded. Functions
of earlier cells are seen as well. What is marked too often to be cheap is left to the line that called it.
"""

from __future__ import annotations

import inspect
import sys
import threading
import time
from types import CodeType, FrameType
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from .markers import line_marker

#: Of the time, for markers.
MARKER_SHARE = 0.01
#: Of the time, for hearing of calls of other code.
CALL_SHARE = 0.015
#: What is free of the bounds above, in seconds.
ALLOWANCE_S = 0.005
_CHECK_EVERY = 256
_CAN_WAIT = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Costs:
    """What one event costs here, in seconds: measured once a process, see ``recorder.warmed_up``."""

    def __init__(self, marker_s: float = 3e-6, call_s: float = 0.5e-6) -> None:
        self.marker_s = marker_s
        self.call_s = call_s


class _Open:
    """A frame of a cell that runs."""

    __slots__ = ("code", "line", "marker")

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.line = 0
        self.marker: Any = None


class LineMarkers:
    """Opens a marker where a line begins, closes it where the next one does. Each thread has markers of its own.

    ``files`` are the names of cells by their code's file name; ``make`` makes a marker: a context manager.
    """

    def __init__(self, files: Dict[str, str], make: Callable[[str], Any], costs: Costs) -> None:
        self.files = files
        self.on = False
        self.muted: Set[CodeType] = set()
        self.calls = 0
        self.calls_were_dear = False
        self.pending: Optional[Callable[[], None]] = None
        self._make = make
        self._costs = costs
        self._of_thread = threading.local()
        self._stacks: List[List[_Open]] = []
        self._names: Dict[Tuple[str, int], str] = {}
        self._counts: Dict[CodeType, int] = {}
        self._made = 0
        self._started = 0.0

    def begin(self) -> None:
        """A recording has begun."""
        self.on = True
        # Threads that did not hear of the last end have something left.
        self._of_thread, self._stacks = threading.local(), []
        self.calls = self._made = 0
        self._counts, self.pending = {}, None
        self._started = time.perf_counter()

    def enter(self, code: CodeType, line: int = 0) -> None:
        """A frame of a cell begins, or goes on at ``line``."""
        self._stack().append(_Open(code))
        if line:
            self.line(code, line)

    def line(self, code: CodeType, line: int) -> None:
        """A line of a cell begins."""
        if self.pending is not None:
            self._do_pending()
        stack = self._stack()
        if code in self.muted:
            return
        if not stack or stack[-1].code is not code:
            if any(one.code is code for one in stack):
                return
            stack.append(_Open(code))  # its frame began before it was heard of
        top = stack[-1]
        if top.line == line:
            return
        if top.marker is not None:
            top.marker.__exit__(None, None, None)
        top.line = line
        top.marker = self._opened(code.co_filename, line)
        self._counts[code] = self._counts.get(code, 0) + 1
        self._made += 1
        if not self._made % _CHECK_EVERY:
            self._stay_cheap()

    def leave(self, code: CodeType) -> None:
        """A frame of a cell ends, or waits."""
        if self.pending is not None:
            self._do_pending()
        stack = self._stack()
        if any(one.code is code for one in stack):
            while stack:
                one = stack.pop()
                _close(one)
                if one.code is code:
                    return

    def around(self, change: Callable[[], None]) -> None:
        """Do ``change`` with no line of this thread open, so that what it opens or closes cuts no slice in two."""
        stack = self._stack()
        lines = [one.line for one in stack]
        for one in reversed(stack):
            _close(one)
        change()
        if self.on:
            for one, line in zip(stack, lines):  # noqa: B905 - Python 3.8
                if line and one.code not in self.muted:
                    one.marker, one.line = self._opened(one.code.co_filename, line), line

    def end(self) -> None:
        """The recording ends: close what this thread has open, forget the rest."""
        self.on = False
        stack = self._stack()
        while stack:
            _close(stack.pop())

    def close_all(self) -> None:
        """Close what is open in all threads: behind the end of a recording, where it does nothing, see ``slices``.

        Their lines go on, in the next recording with new markers.
        """
        for stack in list(self._stacks):
            for one in list(stack):
                marker, one.marker = one.marker, None
                if marker is not None:
                    marker.__exit__(None, None, None)

    @property
    def calls_cost_too_much(self) -> bool:
        """Whether hearing of other code's calls is over its share."""
        elapsed = time.perf_counter() - self._started
        return self.calls * self._costs.call_s > CALL_SHARE * elapsed + ALLOWANCE_S

    def _stack(self) -> List[_Open]:
        try:
            stack: List[_Open] = self._of_thread.stack
        except AttributeError:
            stack = self._of_thread.stack = []
            self._stacks.append(stack)
        return stack

    def _opened(self, file: str, line: int) -> Any:
        name = self._names.get((file, line))
        if name is None:
            name = self._names[file, line] = line_marker(self.files[file], line)
        marker = self._make(name)
        marker.__enter__()
        return marker

    def _do_pending(self) -> None:
        action, self.pending = self.pending, None
        if action is not None:
            self.around(action)

    def _stay_cheap(self) -> None:
        elapsed = time.perf_counter() - self._started
        if self._made * self._costs.marker_s <= MARKER_SHARE * elapsed + ALLOWANCE_S:
            return
        most = max(self._counts, key=self._counts.__getitem__)
        self.muted.add(most)
        self._made -= self._counts.pop(most)
        stack = self._stack()
        for one in [one for one in stack if one.code is most]:
            _close(one)
            stack.remove(one)


def _close(one: _Open) -> None:
    if one.marker is not None:
        one.marker.__exit__(None, None, None)
        one.marker, one.line = None, 0


def running_frames(files: Dict[str, str]) -> List[FrameType]:
    """This thread's frames of these files, the innermost first."""
    found: List[FrameType] = []
    frame: Optional[FrameType] = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename in files:
            found.append(frame)
        frame = frame.f_back
    return found


class TraceWatch:
    """Hears of lines through ``sys.settrace``, in the thread that starts it."""

    def __init__(self, markers: LineMarkers) -> None:
        self._markers = markers

    def start(self) -> bool:
        """False where a debugger or a coverage tool is there already: it stays undisturbed."""
        if sys.gettrace() is not None and sys.gettrace() != self._call:
            return False
        for frame in reversed(running_frames(self._markers.files)):
            frame.f_trace = self._local
            self._markers.enter(frame.f_code, frame.f_lineno)
        sys.settrace(self._call)
        return True

    def stop(self) -> None:
        """Hear no more, where this is the thread that started; else its next line does it."""
        if sys.gettrace() == self._call:
            sys.settrace(None)

    def _call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        markers = self._markers
        if not markers.on:
            self.stop()
            return None
        code = frame.f_code
        if code.co_filename not in markers.files:
            markers.calls += 1
            if not markers.calls % _CHECK_EVERY and markers.calls_cost_too_much:
                markers.calls_were_dear = True
                markers.end()
                self.stop()
            return None
        if code in markers.muted:
            return None
        # What waited goes on where it was; of a call the first line is still to come.
        markers.enter(code, frame.f_lineno if code.co_flags & _CAN_WAIT else 0)
        return self._local

    def _local(self, frame: FrameType, event: str, _argument: Any) -> Any:
        markers = self._markers
        if not markers.on:
            self.stop()
            return None
        if event == "line":
            markers.line(frame.f_code, frame.f_lineno)
        elif event == "return":
            markers.leave(frame.f_code)
        return None if frame.f_code in markers.muted else self._local


class MonitoringWatch:
    """Hears of lines through ``sys.monitoring``, in all threads."""

    _TOOLS = (4, 3)  # those that PEP 669 gives no name

    def __init__(self, markers: LineMarkers) -> None:
        self._markers = markers
        self._monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
        self._tool = -1
        self._watched: Set[CodeType] = set()

    def start(self) -> bool:
        """False where all tools' places are taken."""
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
        monitoring.restart_events()  # other code says once that it is not ours
        return True

    def stop(self) -> None:
        """Hear no more."""
        if self._tool < 0:
            return
        monitoring, tool, self._tool = self._monitoring, self._tool, -1
        monitoring.set_events(tool, 0)
        for code in self._watched:
            monitoring.set_local_events(tool, code, 0)
        self._watched.clear()
        monitoring.free_tool_id(tool)

    def _watch(self, code: CodeType) -> None:
        if code not in self._watched:
            self._watched.add(code)
            events = self._monitoring.events
            self._monitoring.set_local_events(
                self._tool, code, events.LINE | events.PY_RETURN | events.PY_YIELD
            )

    def _begins(self, code: CodeType, _offset: int) -> Any:
        if code.co_filename not in self._markers.files:
            return self._monitoring.DISABLE
        if self._markers.on and code not in self._markers.muted:
            self._watch(code)
            self._markers.enter(code)
        return None

    def _line(self, code: CodeType, line: int) -> Any:
        if not self._markers.on or code in self._markers.muted:
            return self._monitoring.DISABLE
        self._markers.line(code, line)
        return None

    def _ends(self, code: CodeType, _offset: int, _value: Any) -> None:
        if self._markers.on and code.co_filename in self._markers.files:
            self._markers.leave(code)


def watch(markers: LineMarkers) -> Any:
    """What this interpreter has."""
    return MonitoringWatch(markers) if hasattr(sys, "monitoring") else TraceWatch(markers)
