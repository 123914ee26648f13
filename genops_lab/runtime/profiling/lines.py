"""Mark the user's lines while a recording runs, without changing the code and without Python stacks.

``line_tracing`` reports which line begins, also in functions of earlier cells. Lines that run too often are
not marked, see ``budget``.
"""

from __future__ import annotations

import dis
import sys
import threading
from types import CodeType, FrameType
from typing import Any, Callable, Dict, List, Optional, Tuple

from .budget import Budget, Costs
from .markers import cell_marker, line_marker


class _Open:
    """A running frame of a cell."""

    __slots__ = ("code", "line", "marker")

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.line = 0
        self.marker: Any = None


class _Statement:
    """A running statement at the top of a cell."""

    __slots__ = ("file", "line", "marker", "thread")

    def __init__(self, file: str, line: int) -> None:
        self.file = file
        self.line = line
        self.thread = threading.get_ident()
        self.marker: Any = None


class LineMarkers:
    """Opens a marker where a line begins and closes it where the next line does. Each thread has its own.

    ``files`` maps file names of code to names of cells; ``make`` makes a marker: a context manager.
    """

    def __init__(self, files: Dict[str, str], make: Callable[[str], Any], costs: Costs) -> None:
        self.files = files
        self.on = False
        self.budget = Budget(costs)
        self.unheard_s = 0.0
        self.seconds = 0.0
        self.pending: Optional[Callable[[], None]] = None
        self._not_theirs: Optional[Tuple[CodeType, int]] = None
        self._make = make
        self._of_thread = threading.local()
        self._stacks: List[List[_Open]] = []
        self._names: Dict[Tuple[str, int], str] = {}
        self._statement: Optional[_Statement] = None

    def begin(self) -> None:
        """Start marking for a recording."""
        self.on = True
        # Threads that did not notice the last end have markers left.
        self._of_thread, self._stacks = threading.local(), []
        self.budget.begin()
        self.pending = None
        self.unheard_s = self.seconds = 0.0
        self._mark_statement()

    def ended(self) -> bool:
        """Return whether the recording has ended."""
        return not self.on

    def begin_statement(self, code: CodeType) -> None:
        """Open a marker for a statement at the top of a cell, compiled by itself as ``code``.

        The marker lasts as long as the statement, around all markers of its lines, traced or not.
        """
        # Its first line follows from its instructions; the very first one may have no line.
        line = next((line for _, line in dis.findlinestarts(code) if line), 0)
        if line and code.co_filename in self.files:
            self._unmark_statement()
            self._statement = _Statement(code.co_filename, line)
            self.around(lambda: None)

    def end_statement(self) -> None:
        """Close the marker of the statement."""

        def forget() -> None:
            self._statement = None

        self.around(forget)

    def leave_out_this_line(self, left_out: bool = True) -> None:
        """Leave out the line of a cell that runs now: it is not the user's own."""
        frames = running_frames(self.files) if left_out else []
        self._not_theirs = (frames[0].f_code, frames[0].f_lineno) if frames else None

    def enter(self, code: CodeType, line: int = 0) -> None:
        """Note a cell's frame that begins, or continues at ``line``."""
        self.budget.enter(code)
        self._stack().append(_Open(code))
        if line and (code, line) != self._not_theirs:
            self.line(code, line)

    def line(self, code: CodeType, line: int) -> bool:
        """Mark a line of a cell that begins. False if it is not marked, or if the same line continues.

        After False, this line need not be reported until another line of ``code`` begins.
        """
        if self.pending is not None and not self._go_on_after_pending():
            return False
        stack = self._stack()
        if not self.budget.marks(code, line):
            self._unmark(stack, code)
            return False
        if not stack or stack[-1].code is not code:
            if any(one.code is code for one in stack):
                return True
            stack.append(_Open(code))  # its frame began before tracing did
        top = stack[-1]
        self.budget.spend(code, line)
        if top.line == line:
            return False
        if top.marker is not None:
            top.marker.__exit__(None, None, None)
        top.line = line
        top.marker = self._within(stack, code.co_filename, line)
        return True

    def leave(self, code: CodeType) -> None:
        """Note a cell's frame that ends or pauses."""
        if self.pending is not None and not self._go_on_after_pending():
            return
        stack = self._stack()
        if any(one.code is code for one in stack):
            while stack:
                one = stack.pop()
                _close(one)
                if one.code is code:
                    return

    def around(self, change: Callable[[], None]) -> None:
        """Call ``change`` with no line of this thread open, so that it cuts no slice in two."""
        stack = self._stack()
        lines = [one.line for one in stack]
        for one in reversed(stack):
            _close(one)
        self._unmark_statement()
        change()
        if self.on:
            self._mark_statement()
            for one, line in zip(stack, lines):  # noqa: B905 - Python 3.8
                if line and self.budget.marks(one.code, line):
                    one.marker, one.line = self._within(stack, one.code.co_filename, line), line

    def end(self) -> None:
        """End: close what this thread has open, and forget the rest."""
        if self.on:
            self.seconds = self.budget.elapsed_s
        self.on = False
        self.close_own()
        self._unmark_statement()

    def close_own(self) -> None:
        """Close what this thread has open, and forget its frames."""
        stack = self._stack()
        while stack:
            _close(stack.pop())

    def others_in(self, code: CodeType) -> bool:
        """Return whether another thread has a line of this code open."""
        own = self._stack()
        return any(
            one.code is code and one.marker is not None
            for stack in list(self._stacks)
            if stack is not own
            for one in list(stack)
        )

    def close_all(self) -> None:
        """Close the markers of all threads after the end of a recording, which has no effect, see ``slices``.

        Their lines continue, in the next recording with new markers.
        """
        for stack in list(self._stacks):
            for one in list(stack):
                marker, one.marker = one.marker, None
                if marker is not None:
                    marker.__exit__(None, None, None)
        self._unmark_statement(of_any_thread=True)

    def whole_cell(self) -> str:
        """Return the name of the slice around the cell that runs in this thread; empty for none."""
        frames = running_frames(self.files)
        if not frames:
            return ""
        file = frames[0].f_code.co_filename
        return self._names.setdefault((file, 0), cell_marker(self.files[file]))

    def named(self) -> List[Tuple[str, int]]:
        """Return the files and lines that had a marker; line 0 is the whole file."""
        return list(self._names)

    def _stack(self) -> List[_Open]:
        try:
            stack: List[_Open] = self._of_thread.stack
        except AttributeError:
            stack = self._of_thread.stack = []
            self._stacks.append(stack)
        return stack

    def _mark_statement(self) -> None:
        statement = self._statement
        if statement is not None and statement.thread == threading.get_ident():
            statement.marker = self._opened(statement.file, statement.line)

    def _unmark_statement(self, *, of_any_thread: bool = False) -> None:
        statement = self._statement
        if statement is None or statement.marker is None:
            return
        if of_any_thread or statement.thread == threading.get_ident():
            marker, statement.marker = statement.marker, None
            marker.__exit__(None, None, None)

    def _within(self, stack: List[_Open], file: str, line: int) -> Any:
        """Return a line's marker; None if that of its statement is the same."""
        statement = self._statement
        if (
            statement is not None
            and line == statement.line
            and len(stack) == 1
            and file == statement.file
            and statement.marker is not None
            and statement.thread == threading.get_ident()
        ):
            return None
        return self._opened(file, line)

    def _opened(self, file: str, line: int) -> Any:
        name = self._names.get((file, line))
        if name is None:
            name = self._names[file, line] = line_marker(self.files[file], line)
        marker = self._make(name)
        marker.__enter__()
        return marker

    def _go_on_after_pending(self) -> bool:
        """Do the action that waited for a line; return False if that ended the recording."""
        action, self.pending = self.pending, None
        if action is not None:
            self.around(action)
        return self.on

    def _unmark(self, stack: List[_Open], code: CodeType) -> None:
        if stack and stack[-1].code is code:
            _close(stack[-1])
            if code in self.budget.muted:
                stack.pop()


def _close(one: _Open) -> None:
    if one.marker is not None:
        one.marker.__exit__(None, None, None)
        one.marker, one.line = None, 0


def running_frames(files: Dict[str, str]) -> List[FrameType]:
    """Return this thread's frames of these files, the innermost first."""
    found: List[FrameType] = []
    frame: Optional[FrameType] = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename in files:
            found.append(frame)
        frame = frame.f_back
    return found
