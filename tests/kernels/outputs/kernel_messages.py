"""What a kernel says, as records of its journal."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

from genops_lab.agent.records import IOPUB, NOTE, REQUEST, SHELL
from genops_lab.kernels.outputs.recorder import Recorder

IDENTITIES = [b"client"]


class NoJournals:
    """Journals of no host: ``acked`` gets the records that may be dropped."""

    def __init__(self, acked: asyncio.Queue[int] | None = None) -> None:
        self._acked = acked

    def acknowledge(self, _kernel_id: str, _incarnation: str, seq: int) -> None:
        if self._acked is not None:
            self._acked.put_nowait(seq)

    def is_recovering(self, _kernel_id: str) -> bool:
        return False


@dataclass
class SpeakingKernel:
    """Hands messages to a recorder as a bridge does, and keeps them as a journal does."""

    recorder: Recorder
    kernel_id: str = "kernel-1"
    incarnation: str = "first"
    said: list[dict[str, Any]] = field(default_factory=list)
    journal: list[tuple[int, int, list[bytes]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._seqs = itertools.count(1)
        self._ids = itertools.count(1)

    def _record(self, channel: int, frames: list[bytes]) -> int:
        seq = next(self._seqs)
        self.journal.append((seq, channel, frames))
        self.recorder.record(self.kernel_id, self.incarnation, seq, channel, 1000.0 + seq, frames)
        return seq

    def say(self, kind: str, parent: str, content: dict[str, Any], channel: int = IOPUB) -> dict[str, Any]:
        """One message; as nbclient sees it."""
        header = {"msg_id": f"{self.incarnation}-{next(self._ids)}", "msg_type": kind}
        parent_header = {"msg_id": parent}
        frames = [*IDENTITIES, b"<IDS|MSG>", b"signature"]
        frames += [json.dumps(part).encode() for part in (header, parent_header, {}, content)]
        self._record(channel, frames)
        message = {
            "header": header,
            "msg_type": kind,
            "parent_header": parent_header,
            "metadata": {},
            "content": json.loads(json.dumps(content)),
        }
        self.said.append(message)
        return message

    def request(self, msg_id: str, cell_id: str | None, code: str = "code", *, silent: bool = False) -> int:
        """A client asks to run a cell."""
        header = {"msg_id": msg_id, "msg_type": "execute_request"}
        metadata = {} if cell_id is None else {"cellId": cell_id}
        content = {"code": code, "silent": silent}
        return self._record(REQUEST, [json.dumps(part).encode() for part in (header, {}, metadata, content)])

    def begin(self, msg_id: str, cell_id: str | None, count: int = 1, code: str = "code") -> None:
        """Ask for a cell's run and start it."""
        self.request(msg_id, cell_id, code)
        self.say("status", msg_id, {"execution_state": "busy"})
        self.say("execute_input", msg_id, {"code": code, "execution_count": count})

    def finish(self, msg_id: str, count: int = 1, status: str = "ok") -> None:
        """Reply, and fall idle."""
        self.say("execute_reply", msg_id, {"status": status, "execution_count": count}, SHELL)
        self.say("status", msg_id, {"execution_state": "idle"})

    def print(self, msg_id: str, text: str, name: str = "stdout") -> dict[str, Any]:
        """Write to a stream."""
        return self.say("stream", msg_id, {"name": name, "text": text})

    def note(self, **note: Any) -> None:
        """The keeper's own words."""
        self._record(NOTE, [json.dumps(note).encode()])

    def replay(self, recorder: Recorder, after: int = 0) -> None:
        """All records after ``after`` to another recorder, as a Lab gets them that attaches later."""
        for seq, channel, frames in self.journal:
            if seq > after:
                recorder.record(self.kernel_id, self.incarnation, seq, channel, 1000.0 + seq, frames)
