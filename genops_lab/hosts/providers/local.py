"""Start the agent on this machine, by the same command that starts it on a host."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..link.errors import NoPython
from .base import HostProvider, TestStep

if TYPE_CHECKING:
    from ..configuration import HostConfig
    from ..link.carrier import HostStream
    from ..link.questions import Asker
    from ..link.route import Route

_NO_CONNECTION = "This machine needs no connection."


class LocalProvider(HostProvider):
    """A target that is this machine. ``python3`` means the interpreter of this process."""

    kind = "local"
    label = "This machine"
    test_steps = tuple(
        TestStep(name=name, label=label, message=_NO_CONNECTION, state="skipped")
        for name, label in (("reachable", "Reachable"), ("host_key", "Host key"), ("login", "Login"))
    )
    is_this_machine = True

    def where(self, config: HostConfig) -> str:
        return "this machine"

    def load(self) -> None:
        """Import what opening a stream needs."""
        from . import process_stream  # noqa: F401

    async def open_stream(
        self, host: Route, command: Sequence[str], asker: Asker, folder: Path
    ) -> HostStream:
        """Start the command on this machine. Raises NoPython."""
        from .process_stream import ProcessCarriage

        carriage = ProcessCarriage(host, self.kind)
        python = sys.executable if command[0] == "python3" else os.path.expanduser(command[0])  # noqa: PTH111, ASYNC240 - reads no disk
        try:
            await carriage.spawn([python, *command[1:]])
        except OSError as error:
            raise NoPython(
                f"{python} cannot be started on this machine: {error.strerror}.",
                hint="Give the target the path of an interpreter on this machine.",
            ) from error
        return carriage


PROVIDER = LocalProvider()
