"""Define a unit, which a keeper keeps: a kernel or a command.

Process, journal, lease, clients, records and end are the same for both (:mod:`.keeper`). This module has the
differences, and commands; :mod:`.kernel_unit` has kernels.
"""

from __future__ import annotations

import select
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Callable, Collection, Dict, List, Optional, Tuple

from .journal import Message
from .lease import Steps, terminating
from .logs import log
from .unit_process import LOOK_S, CommandProcess, UnitProcess

if TYPE_CHECKING:
    from .keeper import Keeper

KERNEL, COMMAND = "kernel", "command"
#: Seconds in which output is still taken after the end: a process that nobody can end may keep the pipe open.
_DRAIN_S = 3.0
#: Seconds in which a command's other processes may end by themselves after the first one.
_REST_GRACE_S = 5.0


class Unit(ABC):
    """``process`` is None where only the journal of an ended unit is served."""

    kind = ""
    #: The first step when its lease runs out.
    first_step = ""
    #: The channels that clients may write to.
    inputs: Tuple[int, ...] = ()

    def __init__(self, process: Optional[UnitProcess]) -> None:
        self.process = process
        #: More calls of this host's ``attach``, by name; ValueError for invalid parameters.
        self.calls: Dict[str, Callable[[Dict[str, Any]], None]] = {}

    @property
    def unread(self) -> bool:
        """Whether there may be data to receive that the poller does not report."""
        return False

    @property
    def held_bytes(self) -> int:
        """Bytes of clients that the unit has not taken."""
        return 0

    def open(self, keeper: Keeper) -> None:  # noqa: B027 - what has no sockets has nothing to do
        """Begin to listen, with the keeper's poller."""

    def look(self, *, ending: bool) -> Optional[float]:
        """Do what is due. Returns when to look again (monotonic); None: never."""
        return None

    def receive(self, ready: Collection[int]) -> List[Message]:
        """Return the unit's messages on the ``ready`` descriptors, a limited portion."""
        return []

    def take(self, channel: int, timestamp: float, frames: List[bytes]) -> None:  # noqa: B027
        """Take a client's message on one of :attr:`inputs`."""

    @abstractmethod
    def ending(self, grace_s: float) -> Steps:
        """Return the steps that end the running unit."""

    @abstractmethod
    def lease_ending(self, grace_s: float) -> Steps:
        """Return the steps that end it when its lease has run out."""

    @abstractmethod
    def ended(self, take: Callable[[List[Message]], None], *, asked: bool) -> Dict[str, Any]:
        """Handle the end of the process (``asked``: on request): take its last messages, close what is open.
        Returns the new content of the state file."""

    def info(self) -> Dict[str, Any]:
        """Return its own part of a UnitInfo."""
        return {}

    def welcome(self) -> Dict[str, Any]:
        """Return its own part of the welcome for its client."""
        return {}


class CommandUnit(Unit):
    """Its output goes into the journal, piece by piece as it comes."""

    kind = COMMAND
    first_step = "asked to end (SIGTERM)"
    process: Optional[CommandProcess]

    def open(self, keeper: Keeper) -> None:
        self._keeper, self._poller = keeper, keeper.poller
        if self.process is not None:
            for descriptor in self.process.outputs:
                self._poller.register(descriptor, select.POLLIN)

    def receive(self, ready: Collection[int]) -> List[Message]:
        process = self.process
        found: List[Message] = []
        if process is not None:
            for descriptor, channel in list(process.outputs.items()):
                data = process.read(descriptor) if descriptor in ready else b""
                if data is None:
                    self._poller.unregister(descriptor)
                elif data:
                    found.append((channel, time.time(), [data]))
        return found

    def look(self, *, ending: bool) -> Optional[float]:
        """Also end what is left when the first process has ended."""
        if self.process is None or not self.process.left_others:
            return None
        if not ending:
            self._keeper.stop(_REST_GRACE_S, "")
        return time.monotonic() + LOOK_S

    def ending(self, grace_s: float) -> Steps:
        assert self.process is not None
        return terminating(self.process.signal, grace_s)

    lease_ending = ending

    def ended(self, take: Callable[[List[Message]], None], *, asked: bool) -> Dict[str, Any]:
        process = self.process
        assert process is not None
        if process.left_others:
            log("Some processes of the command could not be ended.")
        deadline = time.monotonic() + _DRAIN_S
        while process.outputs and time.monotonic() < deadline:
            ready = select.select(list(process.outputs), [], [], 0)[0]
            if not ready:
                break
            take(self.receive(ready))
        for descriptor in process.outputs:
            self._poller.unregister(descriptor)
        process.close()
        self.process = None
        return {}
