"""Sort one kernel's outputs by the run of the cell that they belong to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from genops_lab.agent.records import IOPUB, NOTE, REQUEST, SHELL

from .messages import Message, decoded, display_id_of, output_of, without_data
from .output_limits import Fixed, OutputArea
from .widgets import OutputWidgets

MESSAGE_IDS = 1000
#: Runs that the document has are kept for a while: a page that was away may wait for them, a later cell may
#: update one of their displays, and a thread that they started may still print.
KEPT_RUNS = 100
KEPT_BYTES = 32_000_000


class Run:
    """One execute request of a cell."""

    def __init__(
        self, msg_id: str, cell_id: str, code: str, seq: int, started_at: float, area: OutputArea
    ) -> None:
        self.msg_id = msg_id
        self.cell_id = cell_id
        self.code = code
        self.area = area
        self.started_at = started_at
        self.ended_at: float | None = None
        self.status = ""
        self.execution_count: int | None = None
        self.message_ids: deque[str] = deque(maxlen=MESSAGE_IDS)
        #: where it begins in the journal of the running kernel; None when that journal is gone
        self.first_seq: int | None = seq
        self.begun = self.idle = False
        self.documented = False
        #: the document had it, with its end, before this process began
        self.had = False
        self.display_ids: set[str] = set()

    @property
    def done(self) -> bool:
        """Whether the run is complete."""
        return self.ended_at is not None


class KernelOutputs:
    """Takes the records of one kernel in order. Not thread-safe: the recorder holds a lock.

    ``area(msg_id)`` makes the outputs of a run. Calls ``run_again(msg_id)`` for a run that a later one
    replaces.
    """

    def __init__(self, area: Callable[[str], OutputArea], run_again: Callable[[str], None]) -> None:
        self._area = area
        self._run_again = run_again
        self.runs: dict[str, Run] = {}
        self.incarnation = ""
        #: the incarnation and record up to which the document had runs when this process began
        self.had = ("", 0)
        self.last_seq = 0
        self.ended = False
        self.reason = ""
        self._cursor = 0
        self._displays: dict[str, list[tuple[Run, Fixed]]] = {}
        self._widgets = OutputWidgets()

    @property
    def cursor(self) -> int:
        """Return the record up to which the journal is no longer needed."""
        needed = [
            run.first_seq for run in self.runs.values() if run.first_seq is not None and not run.documented
        ]
        self._cursor = max(self._cursor, min(needed, default=self.last_seq + 1) - 1)
        return self._cursor

    def wanted(self) -> list[Run]:
        """Return the runs that the saved document does not have."""
        return [run for run in self.runs.values() if not run.documented]

    def is_new(self, seq: int, incarnation: str) -> bool:
        """Count a record; False when it came before: a client that attaches again gets earlier records again.

        ``seq`` 0 is a message of the Lab itself.
        """
        if incarnation != self.incarnation:
            if self.incarnation:
                self._begin_anew()
            self.incarnation = incarnation
        if seq == 0:
            return True
        if seq <= self.last_seq:
            return False
        self.last_seq = seq
        return True

    def apply(self, seq: int, channel: int, timestamp: float, parsed: Message | dict[str, Any]) -> bool:
        """Take one new record; return True when a run started or ended. Raises ValueError for a content that
        is not JSON."""
        if isinstance(parsed, dict):
            return channel == NOTE and self._note(parsed, timestamp)
        if channel == REQUEST:
            return self._request(seq, timestamp, parsed)
        run = self.runs.get(parsed.parent_id)
        if channel == IOPUB:
            if parsed.msg_type in ("comm_open", "comm_msg", "comm_close"):
                self._widgets.comm(parsed)
                return False
            if run is not None:
                run.message_ids.append(parsed.msg_id)
                return self._publish(run, parsed, timestamp)
            if parsed.msg_type == "update_display_data":
                shown = self._displays.get(display_id_of(without_data(parsed)), ())
                if shown:
                    content = self._content(parsed, shown[0][0].area)
                    self._update_displays(display_id_of(content), content)
        elif channel == SHELL and run is not None and parsed.msg_type == "execute_reply":
            run.message_ids.append(parsed.msg_id)
            return self._reply(run, parsed.content, timestamp)
        return False

    @staticmethod
    def _content(message: Message, area: OutputArea) -> dict[str, Any]:
        if message.msg_type == "update_display_data" and area.is_too_large(len(message.raw_content)):
            return without_data(message)
        return message.content

    def documented(self, run: Run) -> None:
        """Note that the saved document has this run's outputs."""
        run.documented = True
        self._tidy()

    def end(self, reason: str, timestamp: float) -> None:
        """Handle the kernel's end. The kernel client writes the sentence for the cell that ran."""
        self.ended, self.reason = True, reason
        for run in self.runs.values():
            if run.done:
                continue
            run.status = "error" if run.begun else "aborted"
            self._close(run, timestamp)

    def _begin_anew(self) -> None:
        """Start again: another process has replaced the kernel, and its records count from 1."""
        self.end("The kernel was restarted.", 0.0)
        self.ended, self.reason = False, ""
        self._cursor = self.last_seq = 0
        self._displays.clear()
        self._widgets.clear()
        for run in self.runs.values():
            run.first_seq = None
        self._tidy()

    def _request(self, seq: int, timestamp: float, request: Message) -> bool:
        content, metadata = request.content, decoded(request.metadata)
        cell_id = metadata.get("cellId") or metadata.get("cell_id")
        if not isinstance(cell_id, str) or content.get("silent") or request.msg_id in self.runs:
            return False
        for other in [run for run in self.runs.values() if run.cell_id == cell_id]:
            self._forget(other)  # a cell that runs again has the outputs of its last run
            if other.area.cut:
                self._run_again(other.msg_id)
        area = self._area(request.msg_id)
        code = str(content.get("code", ""))
        run = self.runs[request.msg_id] = Run(request.msg_id, cell_id, code, seq, timestamp, area)
        run.had = self.had[0] == self.incarnation and seq <= self.had[1]
        return True

    def _publish(self, run: Run, message: Message, timestamp: float) -> bool:
        kind = message.msg_type
        content = self._content(message, run.area)
        if kind == "status":
            state = content.get("execution_state")
            run.begun = run.begun or state == "busy"
            if state == "idle":
                run.idle = True
                return self._close_if_complete(run, timestamp)
            return False
        if kind == "execute_input":
            run.execution_count = content.get("execution_count")
            return False
        display_id = display_id_of(content)
        if display_id:
            self._update_displays(display_id, content)
        if self._widgets.take(run.msg_id):
            return False
        if kind in ("stream", "clear_output", "display_data", "execute_result", "error"):
            # A thread that a cell started may continue after the cell.
            run.documented = False
        if kind == "stream":
            run.area.stream(str(content.get("name", "stdout")), str(content.get("text", "")))
        elif kind == "clear_output":
            run.area.clear(bool(content.get("wait")))
        elif kind in ("display_data", "execute_result", "error"):
            shown = run.area.add(output_of(kind, content), len(message.raw_content))
            if kind == "execute_result":
                run.execution_count = content.get("execution_count")
            if display_id:
                run.display_ids.add(display_id)
                self._displays.setdefault(display_id, []).append((run, shown))
        return False

    def _reply(self, run: Run, content: dict[str, Any], timestamp: float) -> bool:
        run.status = str(content.get("status", ""))
        if isinstance(content.get("execution_count"), int):
            run.execution_count = content["execution_count"]
        for each in content.get("payload") or []:
            if isinstance(each, dict) and each.get("source") == "page" and run.status == "ok":
                run.area.add(
                    {"output_type": "display_data", "data": each.get("data") or {}, "metadata": {}}, 1000
                )
                break
        return self._close_if_complete(run, timestamp)

    def _close_if_complete(self, run: Run, timestamp: float) -> bool:
        # A request that was dropped after another's error may get no "idle" of its own.
        if run.done or not run.status or not (run.idle or run.status in ("aborted", "abort")):
            return False
        if run.status == "abort":
            run.status = "aborted"
        self._close(run, timestamp)
        return True

    def _close(self, run: Run, timestamp: float) -> None:
        run.ended_at = timestamp or run.started_at
        run.area.finish()
        if run.had:
            self.documented(run)

    def _note(self, note: dict[str, Any], timestamp: float) -> bool:
        if note.get("kind") == "ended":
            self.end(str(note.get("reason") or ""), timestamp)
            return True
        return False

    def _update_displays(self, display_id: str, content: dict[str, Any]) -> None:
        for run, shown in self._displays.get(display_id, ()):
            shown.output = {
                **shown.output,
                "data": content.get("data") or {},
                "metadata": content.get("metadata") or {},
            }
            run.documented = False

    def _forget(self, run: Run) -> None:
        self.runs.pop(run.msg_id, None)
        for display_id in run.display_ids:
            left = [pair for pair in self._displays.get(display_id, ()) if pair[0] is not run]
            if left:
                self._displays[display_id] = left
            else:
                self._displays.pop(display_id, None)

    def _tidy(self) -> None:
        size = 0
        kept = [run for run in self.runs.values() if run.documented]
        for number, run in enumerate(reversed(kept)):
            size += run.area.size
            if number and (number >= KEPT_RUNS or size > KEPT_BYTES):
                self._forget(run)
