"""Send a run's spool to the Lab in a thread; the training never waits for it."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Callable, Dict, List, Optional

from . import lab
from .errors import FileLost, GenOpsError, LabAway, Refused
from .paths import is_remote
from .spool import Spool

INTERVAL_S = 0.2
MAX_BACKOFF_S = 15.0
#: Without a Lab a look costs one system call, so a Lab that is back is noticed soon.
MAX_BACKOFF_REMOTE_S = 1.0
ANSWER_TIMEOUT_S = 60.0
NOT_FOUND, CONFLICT = 404, 409

Ack = Dict[str, Any]

#: Files in one batch, so that after a cut few files must be sent again.
MAX_FILES_AT_ONCE = 8
_NEVER_TAKEN = (400, 413)

Event = Dict[str, Any]


class Sender:
    """Posts batches, keeps events that are not acknowledged, and retries. ``on_news`` gets acks and failures.

    It waits until the Lab has the start of the run that ``after`` sends or, with ``whole``, all of that run.
    It also waits while ``after_file`` exists, in which another process left earlier events.
    """

    def __init__(
        self,
        run_key: str,
        process: Dict[str, Any],
        spool: Spool,
        on_news: Callable[[Optional[Ack], str], None],
        after: "Optional[Sender]" = None,
        *,
        whole: bool = False,
        after_file: str = "",
    ) -> None:
        self._after_file = after_file
        self._after = after
        self._whole = whole
        self._run_key = run_key
        self._process = process
        self._spool = spool
        self._on_news = on_news
        self._condition = threading.Condition()
        self._hurry = False
        self._ended = False
        self.ack: Optional[Ack] = None
        self.trouble = ""
        self.refused = False
        self._rewound = False
        self._tried = False
        self._away = False
        self._tickets = FileTickets() if is_remote() else None
        self.done = False
        self._thread = threading.Thread(target=self._run, name=f"genops-sender-{run_key[:8]}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        if self._after is not None and not self._whole:
            self._after.wait_for_ack(ANSWER_TIMEOUT_S)
        backoff = INTERVAL_S
        while True:
            sent = self._send_all()
            longest = MAX_BACKOFF_REMOTE_S if self._away and is_remote() else MAX_BACKOFF_S
            backoff = INTERVAL_S if sent else min(backoff * 2, longest)
            with self._condition:
                self._tried = True
                if self.refused or (sent and self._ended and self._spool.empty):
                    # First, because the process may end as soon as anyone knows of the ack.
                    self._spool.close(delete=self._spool.empty)
                    self.done = True
                self._condition.notify_all()
                if self.done:
                    return
                if not self._hurry:
                    self._condition.wait(backoff)
                self._hurry = False

    def _must_wait(self) -> str:
        """Return why this run must wait; empty if it may send."""
        before = self._after
        if before is None or before.refused or (before.done if self._whole else before.ack is not None):
            self._after = None
            if not self._after_file or not os.path.exists(self._after_file):
                return ""
        return (before and before.trouble) or "An earlier part of this run has not been sent yet."

    def _send_all(self) -> bool:
        waiting = self._must_wait()
        if waiting:
            return self._failed(waiting)
        there = self._spool.last_seq
        while True:
            self._away = False
            try:
                events = self._spool.next_batch()
                if not events:
                    return True
                if self._tickets is not None:
                    events = self._tickets.put_into(events)
                ack = lab.call(
                    "POST",
                    "/tracking/events",
                    {"run_key": self._run_key, "process": self._process, "events": events},
                    timeout_s=ANSWER_TIMEOUT_S,
                )
                acked = int(ack["acked_seq"])
                self._spool.acknowledge(acked)
                if self._tickets is not None:
                    self._tickets.used(acked)
            except LabAway as error:
                self._away = True
                return self._failed(str(error))
            except Refused as error:
                if error.status == CONFLICT and "acked_seq" in error.details and not self._rewound:
                    self._rewound = True  # once: a Lab that refuses all events again will not change
                    self._spool.rewind()
                    self._spool.acknowledge(int(error.details["acked_seq"]))
                    continue
                if error.status == NOT_FOUND and self._tickets is not None:
                    self._tickets.forget()  # tickets of a Lab that was restarted
                # A malformed event stays malformed; a backend that is down comes back.
                self.refused = error.status in (400, 403, CONFLICT, 413)
                return self._failed(str(error))
            except (GenOpsError, OSError, KeyError, TypeError, ValueError) as error:
                return self._failed(f"Could not send the run's events: {error!r}.")
            with self._condition:
                self.ack, self.trouble, self._rewound = ack, "", False
                self._condition.notify_all()
            self._on_news(ack, "")
            if acked < events[0]["seq"]:
                return False  # the Lab took nothing: do not send again at once
            if acked >= there and not self._ended:
                return True  # later events go with the next batch: a busy loop must not keep the Lab busy

    def _failed(self, trouble: str) -> bool:
        with self._condition:
            self.trouble = trouble
            self._condition.notify_all()
        self._on_news(None, trouble)
        return False

    def wait_for_ack(self, timeout_s: float) -> Optional[Ack]:
        """Return the first ack; None after ``timeout_s`` seconds, or as soon as it is known that no Lab runs."""
        deadline = time.monotonic() + timeout_s
        with self._condition:
            while self.ack is None and not self._tried:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._condition.wait(left)
            return self.ack

    def finish(self, wait_s: float) -> bool:
        """Send the rest and wait at most ``wait_s`` seconds; the thread continues. No more events follow.

        Returns whether all events are safe.
        """
        deadline = time.monotonic() + wait_s
        with self._condition:
            self._ended = True
            self._hurry = True
            self._tried = False
            self._condition.notify_all()
            while not self.done:
                left = deadline - time.monotonic()
                away = self._tried and self.trouble
                if left <= 0 or away:
                    break
                self._condition.wait(left)
            return self.done and not self.refused


class FileTickets:
    """Tickets of uploaded files whose events are not acknowledged yet, by the event's number."""

    def __init__(self) -> None:
        self._tickets: Dict[int, str] = {}

    def put_into(self, events: List[Event]) -> List[Event]:
        """Return the events, or the first of them, with tickets in place of paths. Raises LabAway."""
        prepared: List[Event] = []
        files = 0
        for event in events:
            if event["kind"] == "file":
                files += 1
                if files > MAX_FILES_AT_ONCE:
                    break
                event = {**event, "data": self._handed_over(event)}
            prepared.append(event)
        return prepared

    def _handed_over(self, event: Event) -> Dict[str, Any]:
        path, number = event["data"]["path"], int(event["seq"])
        try:
            if number not in self._tickets:
                self._tickets[number] = lab.upload_file(event["data"]["source"], "artifact")
        except FileLost as error:
            return {"path": path, "source": "", "why": error.message}
        except Refused as error:
            if error.status in _NEVER_TAKEN:
                return {"path": path, "source": "", "why": str(error)}
            raise LabAway(error.message, error.hint) from error  # no room now, perhaps later
        return {"path": path, "source": self._tickets[number]}

    def used(self, acked: int) -> None:
        """Drop the tickets of events up to this number, which are safe: a ticket works once."""
        self._tickets = {number: ticket for number, ticket in self._tickets.items() if number > acked}

    def forget(self) -> None:
        """Drop all tickets: the Lab no longer knows them."""
        self._tickets = {}
