"""What a kernel's clients hear of whether it is busy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from genops_lab.agent.wire import Activity


class BusyStatus:
    """Clients take the last status for the kernel's, whichever request it was about. While a cell runs and another
    request ends, ``say`` is called with what holds."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._activity = Activity("")
        self._corrected = False

    def follow(self, welcome: dict[str, Any]) -> None:
        """What the keeper knows; one of an earlier version does not tell it."""
        requests = welcome.pop("requests", None)
        if requests is not None:
            self._activity.follow(str(welcome.get("execution_state", "")), requests)

    def heard(self, frames: list[bytes]) -> None:
        """Clients have heard this on iopub."""
        wrong = self._activity.saw(frames)
        if wrong is not None:
            self._corrected = False
        if wrong:
            self.tell()

    def answered(self, frames: list[bytes]) -> None:
        """A reply."""
        self._activity.answered(frames)
        if self._corrected and self._activity.state != "busy":
            self._corrected = False
            self._say("idle")

    def tell(self) -> None:
        """Somebody may not have heard that it is busy."""
        if self._activity.requests:
            self._corrected = True
            self._say("busy")

    def clear(self) -> None:
        """The kernel has ended."""
        self._activity = Activity("")
        self._corrected = False
