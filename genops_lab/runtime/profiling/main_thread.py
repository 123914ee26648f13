"""Another thread has something done in the main thread, between two instructions of whatever runs there."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from typing import Any, Callable

#: The system ignores it by default, and nobody hears of it unless out-of-band data of a socket is asked for.
_SIGNAL: Any = getattr(signal, "SIGURG", None)


class Nudge:
    """The interpreter's own handling of signals, without a signal of the system: no call is interrupted by it."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._ready = False

    def prepare(self) -> bool:
        """False outside of the main thread, before Python 3.10, and where the program has a handler there itself."""
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
        """Have it done soon. Callers must not do this once ``end`` may have been called."""
        if self._ready and sys.version_info >= (3, 10):
            _thread.interrupt_main(_SIGNAL)

    def end(self) -> None:
        """Give the place back, in the main thread."""
        if self._ready and threading.current_thread() is threading.main_thread():
            self._ready = False
            if signal.getsignal(_SIGNAL) == self._handle:
                signal.signal(_SIGNAL, signal.SIG_DFL)

    def _handle(self, _number: int, _frame: Any) -> None:
        if self._ready:
            self._action()
