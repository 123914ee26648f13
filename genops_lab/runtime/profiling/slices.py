"""Close slices that are open when a recording ends.

torch writes the end of such a slice into the old recording, even when another recording runs by then. That
memory belongs to others by then (heap corruption, seen with torch 2.13).
"""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any, Callable, Container, Dict, Optional


class OpenSlices:
    """The open ``record_function`` blocks of all threads that began between ``watch`` and ``unwatch``."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._enter, self._exit = kind.__enter__, kind.__exit__
        self._open: Dict[int, Any] = {}
        self._behind: Dict[int, Callable[[], None]] = {}
        self._watching = False

    def watch(self) -> None:
        """Begin to watch for blocks."""
        began, ended, opened, behind = self._enter, self._exit, self._open, self._behind

        def enter(block: Any) -> Any:
            entered = began(block)
            opened[id(block)] = block
            return entered

        def leave(block: Any, exc_type: Any, exc_value: Any, traceback: Any) -> Any:
            opened.pop(id(block), None)
            result = ended(block, exc_type, exc_value, traceback)
            if behind:
                action = behind.pop(id(block), None)
                if action is not None:
                    action()
            return result

        self._kind.__enter__, self._kind.__exit__ = enter, leave
        self._watching = True

    def unwatch(self) -> None:
        """Stop watching."""
        if self._watching:
            self._watching = False
            self._kind.__enter__, self._kind.__exit__ = self._enter, self._exit
        self._open.clear()
        self._behind.clear()

    def behind(self, beginning: str, action: Callable[[], None]) -> bool:
        """Call ``action`` when the latest open block with such a name is closed, in the thread that closes
        it.

        Returns False if no such block is open.
        """
        for key, block in reversed(list(self._open.items())):
            if str(block.name).startswith(beginning):
                self._behind[key] = action
                return True
        return False

    def end(self) -> None:
        """End the blocks while nothing records, which has no effect; their own end then has none either."""
        for key, block in list(self._open.items()):
            self._exit(block, None, None, None)
            self._open.pop(key, None)


def inside_torch(files: Container[str]) -> bool:
    """Return whether torch called code of ``files`` in this thread, so that it may have operators open."""
    frame: Optional[FrameType] = sys._getframe(1)
    torch_calls = False
    while frame is not None:
        if is_of_torch(frame.f_code.co_filename) or frame.f_code.co_name == "__torch_dispatch__":
            torch_calls = True
        if torch_calls and frame.f_code.co_filename in files:
            return True
        frame = frame.f_back
    return False


def is_of_torch(file: str) -> bool:
    """Return whether this is one of torch's own files."""
    return f"{os.sep}torch{os.sep}" in file
