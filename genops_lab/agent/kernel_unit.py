"""Implement a kernel as a unit: its sockets, its running requests, and its stop when idle."""

from __future__ import annotations

import select
import signal
from typing import TYPE_CHECKING, Any, Callable, Collection, Dict, List, Optional

from . import records, wire
from .idle import IdleWatch
from .idle_policy import policy_of
from .journal import Message
from .lease import Steps, ending, lease_ending
from .presence import attended
from .unit import KERNEL, Unit
from .unit_process import KernelProcess

if TYPE_CHECKING:
    from .keeper import Keeper

_IDLE_GRACE_S, _UNHEARD_GRACE_S = 5.0, 0.1


class KernelUnit(Unit):
    """``state``: the content of the state file. ``signer`` and ``prefix`` (of its ipc sockets): of a starting
    kernel. ``relay``: of a running one. ``order``: the order of its start."""

    kind = KERNEL
    first_step = "interrupted"
    inputs = (records.SHELL, records.CONTROL, records.STDIN)
    process: Optional[KernelProcess]

    def __init__(
        self,
        state: Dict[str, Any],
        process: Optional[KernelProcess] = None,
        signer: Optional[wire.Signer] = None,
        prefix: str = "",
        relay: Any = None,
        order: Optional[Dict[str, Any]] = None,
    ) -> None:
        super().__init__(process)
        self._state = state
        self._signer = signer
        self._prefix = prefix
        self._relay = relay
        self._activity = wire.Activity("" if process is None else "starting" if relay is None else "idle")
        asked = order or {}
        visible = asked.get("env", {}).get("CUDA_VISIBLE_DEVICES")
        self._idle = IdleWatch(
            process.pid if process else 0,
            visible,
            self._tell_idle,
            self._idle_too_long,
            attended=self._attended,
        )
        self._idle.change(policy_of(asked.get("idle")))
        self.calls = {
            "policy": lambda params: self._idle.change(policy_of(params.get("idle"))),
            "keep": lambda params: self._idle.keep(),
        }

    def open(self, keeper: Keeper) -> None:
        self._keeper = keeper
        if self.process is None:
            return
        if self._relay is None:
            assert self._signer is not None
            from .relay import Relay  # imports ZMQ while the kernel is starting

            self._relay = Relay(self._prefix, self._signer, keeper.poller)
        keeper.poller.register(self.process.output, select.POLLIN)

    # Messages both ways

    @property
    def unread(self) -> bool:
        return self._relay is not None and self._relay.unread

    @property
    def held_bytes(self) -> int:
        return 0 if self._relay is None else self._relay.held_bytes

    def look(self, *, ending: bool) -> Optional[float]:
        if self.process is None:
            return None
        due = None if ending else self._idle.look(self._activity.state == "busy")
        look = self._relay.look()
        return min((each for each in (due, look) if each is not None), default=None)

    def receive(self, ready: Collection[int]) -> List[Message]:
        if self.process is None:
            return []
        if self.process.output in ready:
            self._read_output(self.process)
        messages: List[Message] = self._relay.receive(ready)
        self._heard(messages)
        return messages

    def _read_output(self, process: KernelProcess) -> None:
        descriptor = process.output
        if not process.read_output():
            self._keeper.poller.unregister(descriptor)

    def _heard(self, messages: List[Message]) -> None:
        for channel, _, frames in messages:
            if channel == records.SHELL or (channel == records.IOPUB and self._idle.policy is not None):
                self._idle.said(frames)
            if channel == records.IOPUB:
                self._activity.saw(frames)
            elif channel in (records.SHELL, records.CONTROL):
                self._activity.answered(frames)

    def take(self, channel: int, timestamp: float, frames: List[bytes]) -> None:
        start = wire.after_delimiter(frames)
        if start is None or self._relay is None:
            return
        if channel != records.CONTROL:
            self._idle.asked(frames[start])
        if channel == records.SHELL and wire.msg_type(frames[start]) == b"execute_request":
            self._keeper.journal.append([(records.REQUEST, timestamp, frames[start : start + 4])])
        self._relay.send(channel, frames)

    # The end

    def ending(self, grace_s: float) -> Steps:
        """Return the steps to end the kernel. One that has not sent a message yet does not answer a request."""
        assert self.process is not None
        if grace_s > 0 and self._activity.state == "starting":
            grace_s = _UNHEARD_GRACE_S
        return ending(self._relay.request_shutdown, self.process.signal, grace_s)

    def lease_ending(self, grace_s: float) -> Steps:
        assert self.process is not None
        return lease_ending(self._relay.request_shutdown, self.process.signal, grace_s)

    def ended(self, take: Callable[[List[Message]], None], *, asked: bool) -> Dict[str, Any]:
        process = self.process
        assert process is not None

        def heard(messages: List[Message]) -> None:
            take(messages)
            self._heard(messages)

        self._relay.drain(heard)
        while process.output >= 0 and select.select([process.output], [], [], 0)[0]:
            self._read_output(process)
        if process.output >= 0:  # its children may keep the pipe open
            self._keeper.poller.unregister(process.output)
        if asked:
            process.signal(signal.SIGKILL)  # the rest of its group
        self.process = None
        self._relay.close()
        self._relay = None
        process.close()
        self._activity = wire.Activity("dead")
        return {"execution_state": "dead"}  # older agents read it from this key

    def _attended(self) -> bool:
        return attended(self._keeper.folder)

    def _tell_idle(self, step: str, **fields: Any) -> None:
        self._keeper.journal.note("idle", step=step, **fields)

    def _idle_too_long(self, reason: str) -> None:
        self._state["ended_by"] = "idle"
        self._keeper.stop(_IDLE_GRACE_S, reason)

    # Reports

    def info(self) -> Dict[str, Any]:
        return {
            "execution_state": self._activity.state or "dead",
            "ready": self._relay is not None and self._relay.ready,
            "idle": None if self.process is None else self._idle.info(),
        }

    def welcome(self) -> Dict[str, Any]:
        return {
            "key": self._state["key"],
            "signature_scheme": self._state["signature_scheme"],
            "requests": self._activity.requests,
        }
