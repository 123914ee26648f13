"""Files of runs in a kernel on another host: the Lab gets their bytes, for it cannot open them there."""

from __future__ import annotations

from typing import Any, Dict, List

from . import lab
from .errors import FileLost, LabAway, Refused

#: Of one batch, so that a cut costs few files that must be sent again.
MAX_AT_ONCE = 8
_NEVER_TAKEN = (400, 413)

Event = Dict[str, Any]


class FileTickets:
    """What was handed over and is not acknowledged yet, by the number of its event."""

    def __init__(self) -> None:
        self._tickets: Dict[int, str] = {}

    def put_into(self, events: List[Event]) -> List[Event]:
        """The events, or the first of them, with tickets in place of paths. Raises LabAway."""
        prepared: List[Event] = []
        files = 0
        for event in events:
            if event["kind"] == "file":
                files += 1
                if files > MAX_AT_ONCE:
                    break
                event = {**event, "data": self._handed_over(event)}
            prepared.append(event)
        return prepared

    def _handed_over(self, event: Event) -> Dict[str, Any]:
        path, number = event["data"]["path"], int(event["seq"])
        try:
            if number not in self._tickets:
                self._tickets[number] = lab.hand_over(event["data"]["source"], "artifact")
        except FileLost as error:
            return {"path": path, "source": "", "why": error.message}
        except Refused as error:
            if error.status in _NEVER_TAKEN:
                return {"path": path, "source": "", "why": str(error)}
            raise LabAway(error.message, error.hint) from error  # no room now, perhaps later
        return {"path": path, "source": self._tickets[number]}

    def used(self, acked: int) -> None:
        """Events up to this number are safe: a ticket is good once."""
        self._tickets = {number: ticket for number, ticket in self._tickets.items() if number > acked}

    def forget(self) -> None:
        """The Lab knows none of them any more."""
        self._tickets = {}
