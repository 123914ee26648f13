"""Answer for a kernel whose host is requested: its clients are ready at once, its cells wait and show why."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from genops_lab.agent.records import IOPUB, SHELL

from .messages import Speaker, cell_of, content_of, kind_of, stderr

if TYPE_CHECKING:
    from .endpoints import Endpoints
    from .outbox import Outbox

_PYTHON = {
    "name": "python",
    "version": "3",
    "mimetype": "text/x-python",
    "file_extension": ".py",
    "pygments_lexer": "ipython3",
    "codemirror_mode": {"name": "ipython", "version": 3},
    "nbconvert_exporter": "python",
}
#: Answers of a kernel in which nothing has run. If such requests were kept, the kernel would later get
#: requests that nobody waits for: an editor sends some with each key.
_ANSWERS: dict[str, dict[str, Any]] = {
    "connect_request": {"status": "ok"},
    "kernel_info_request": {
        "status": "ok",
        "protocol_version": "5.3",
        "implementation": "ipython",
        "implementation_version": "",
        "language_info": _PYTHON,
        "banner": "This kernel waits for its host.",
        "debugger": True,  # as its kernelspec says
        "help_links": [],
    },
    "comm_info_request": {"status": "ok", "comms": {}},
    "history_request": {"status": "ok", "history": []},
    "is_complete_request": {"status": "unknown"},
    "inspect_request": {"status": "ok", "found": False, "data": {}, "metadata": {}},
    "complete_request": {"status": "ok", "matches": [], "metadata": {}},
    "interrupt_request": {"status": "ok"},
    "shutdown_request": {"status": "ok"},
}


class PendingStart:
    """Belongs to the connections' loop. Calls ``give_up`` when a client asks the kernel to end."""

    def __init__(
        self,
        speaker: Speaker,
        endpoints: Endpoints,
        outbox: Outbox,
        target: str,
        give_up: Callable[[], None],
    ) -> None:
        self.since = time.time()
        self._speaker = speaker
        self._endpoints = endpoints
        self._outbox = outbox
        self._target = target
        self._give_up = give_up
        self._reason = ""
        self._said = ""
        #: the header of the cell that shows the reason: the one that runs first
        self._cell: dict[str, Any] = {}
        self.say_status()

    def say_status(self) -> None:
        """Send the clients "starting": an "idle" after an answer from here is not the kernel's."""
        self._endpoints.deliver(IOPUB, self._speaker.status("starting"))

    def answers(self, channel: int, frames: list[bytes]) -> bool:
        """Answer a request if that is possible without the kernel."""
        kind = kind_of(frames)
        if kind not in _ANSWERS:
            return False
        content, asked = _ANSWERS[kind], content_of(frames)
        if kind == "complete_request":
            at = asked.get("cursor_pos", 0)
            content = {**content, "cursor_start": at, "cursor_end": at}
        elif kind == "interrupt_request":
            self.interrupt()
        elif kind == "shutdown_request":
            content = {**content, "restart": bool(asked.get("restart"))}
        self._answer(channel, frames, content)
        if content.get("restart") is False:  # a restart ends and starts the kernel by other means
            self._give_up()
        return True

    def waits(self, request: list[bytes]) -> None:
        """Note a request in the outbox: the first cell in it shows the reason."""
        if not self._cell and (header := cell_of(request)):
            self._cell = header
            self._say("display_data")

    def resumes(self, requests: list[list[bytes]]) -> None:
        """The last Lab said why the first cell of these waits; from now on this one does."""
        self._cell = next(filter(None, map(cell_of, requests)), {})

    def set_reason(self, reason: str) -> None:
        """Set what the kernel waits for."""
        self._reason = reason
        if self._cell:
            self._say("update_display_data")

    def interrupt(self) -> None:
        """Remove the waiting cells, as an interrupt of a kernel does: the first ends with KeyboardInterrupt,
        those behind it are aborted. The start continues."""
        text = (
            f"This cell was not run: its kernel waits to start on {self._target}. The start "
            "continues. To cancel the start, shut down the kernel."
        )
        self._clear()
        seen = False
        for frames in self._waiting():
            if cell_of(frames) and not seen:
                seen = True
                error = {
                    "ename": "KeyboardInterrupt",
                    "evalue": text,
                    "traceback": [f"KeyboardInterrupt: {text}"],
                }
                self._answer(SHELL, frames, {"status": "error", **error}, {"error": error})
            else:
                self._answer(SHELL, frames, {"status": "aborted"})
        self.say_status()

    def refuse(self, text: str) -> None:
        """Refuse the waiting cells with a text: the kernel does not start."""
        self._clear()
        for frames in self._waiting():
            error = {"ename": "KernelNotStarted", "evalue": text, "traceback": []}
            self._answer(SHELL, frames, {"status": "error", **error}, {"stream": stderr(text)})

    def over(self) -> None:
        """The kernel has started: its own messages follow."""
        self._clear()

    def _waiting(self) -> list[list[bytes]]:
        return self._outbox.take_back(lambda frames: kind_of(frames) == "execute_request")

    def _answer(self, channel: int, request: list[bytes], content: dict[str, Any], *outputs: Any) -> None:
        published, reply = self._speaker.answer(request, content, *outputs)
        for frames in published:
            self._endpoints.deliver(IOPUB, frames)
        self._endpoints.deliver(channel, reply)
        if kind_of(request) != "execute_request":
            self.say_status()

    def _say(self, kind: str) -> None:
        minutes = int((time.time() - self.since) / 60)
        waited = f" Waited {minutes} min." if minutes else ""
        text = (
            f"This cell waits for its kernel to start on {self._target}. {self._reason}{waited}\nTo remove the cell "
            "from the queue, interrupt the kernel. To cancel the start, shut down the kernel."
        )
        if text != self._said or kind == "display_data":
            self._said = text
            content = {
                "data": {"text/plain": text},
                "metadata": {},
                "transient": {"display_id": f"genops-pending-{self._cell['msg_id']}"},
            }
            self._endpoints.deliver(IOPUB, self._speaker.output(kind, content, self._cell))

    def _clear(self) -> None:
        if self._cell:
            cleared = self._speaker.output("clear_output", {"wait": False}, self._cell)
            self._endpoints.deliver(IOPUB, cleared)
            self._cell = {}
