"""Track which kernels a page is connected to, and whether a page was connected all the time."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

_JUST_S = 5.0


class Presence:
    """Counts the websockets of a Jupyter server's kernels. A *claim*: a page of ours asked for the outputs."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._epochs: Counter[str] = Counter()
        self._claimed: set[str] = set()
        self._left_at: dict[str, float] = {}
        self._absent_since: dict[str, float] = {}

    def watch(self, kernel_manager: Any) -> bool:
        """Follow this manager's connections; False when it does not report them."""
        connect = getattr(kernel_manager, "notify_connect", None)
        disconnect = getattr(kernel_manager, "notify_disconnect", None)
        if connect is None or disconnect is None:
            return False

        def connected(kernel_id: str) -> None:
            self.connected(kernel_id)
            connect(kernel_id)

        def disconnected(kernel_id: str) -> None:
            self.disconnected(kernel_id)
            disconnect(kernel_id)

        self._open.update(getattr(kernel_manager, "_kernel_connections", {}))
        kernel_manager.notify_connect, kernel_manager.notify_disconnect = connected, disconnected
        return True

    def connected(self, kernel_id: str) -> None:
        """Count an opened websocket."""
        self._open[kernel_id] += 1
        self._epochs[kernel_id] += 1

    def disconnected(self, kernel_id: str) -> None:
        """Count a closed websocket."""
        self._open[kernel_id] = max(0, self._open[kernel_id] - 1)
        if not self._open[kernel_id]:
            self._left_at[kernel_id] = time.monotonic()

    def connections(self, kernel_id: str) -> int:
        """Return the number of open websockets."""
        return self._open[kernel_id]

    def epoch(self, kernel_id: str) -> int:
        """Return a number that grows with each new connection: the same number means the same pages, if any
        is left."""
        return self._epochs[kernel_id]

    def just_left(self, kernel_id: str) -> bool:
        """Return whether the last page left a moment ago, as after a shutdown of its kernel."""
        left_at = self._left_at.get(kernel_id)
        return left_at is not None and time.monotonic() - left_at < _JUST_S

    def claim(self, kernel_id: str) -> None:
        """Note that a page of ours asked for this kernel's outputs: it merges and saves them itself."""
        self._claimed.add(kernel_id)
        self._absent_since.pop(kernel_id, None)

    def absent_for(self, kernel_id: str, *, restored: bool) -> float:
        """Return the seconds since a page last took care of this kernel's document.

        After a restore only a page that asked for the outputs does: another client's connection has missed
        them.
        """
        if self.connections(kernel_id) > 0 and (kernel_id in self._claimed or not restored):
            self._absent_since.pop(kernel_id, None)
            return 0.0
        since = self._absent_since.setdefault(kernel_id, time.monotonic())
        return time.monotonic() - since

    def forget(self, kernel_id: str) -> None:
        """Drop a removed kernel."""
        for kept in (self._open, self._epochs, self._left_at, self._absent_since):
            kept.pop(kernel_id, None)
        self._claimed.discard(kernel_id)
