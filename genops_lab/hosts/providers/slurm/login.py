"""Keep one connection to a login node; Slurm's commands and the streams into jobs go over it.

All connections of a process have a thread and loop of their own, so that callers of any loop share them.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.agent.channels import Channel, ChannelReset
from genops_lab.agent.programs import LENGTH

from ...link.connection import HostConnection
from ...link.connections import HostConnections
from ...link.errors import CarrierEnded, HostUnreachable, LinkError
from ...link.questions import Asker, Nobody, Question
from ...link.route import Route
from ...link.state import LinkDown

if TYPE_CHECKING:
    from ..ssh.config import SshConfig

#: Where sites install Slurm outside of the PATH of commands over SSH.
_PATH = 'PATH="$PATH:/usr/local/bin:/opt/slurm/bin:/usr/local/slurm/bin"; export PATH; '
#: Seconds after the last use until the connection is closed.
IDLE_S = 120.0
#: Seconds between two attempts for callers that no person waits for.
_RETRY_S = 5.0
_TRANSIENT = (HostUnreachable.code, CarrierEnded.code)


class SlurmError(LinkError):
    """A command of Slurm is missing, or failed."""

    code = "slurm"
    step: str = "slurm"


class SlurmAway(SlurmError):
    """Slurm's controller does not answer at the moment."""

    code = "slurm_away"
    is_cut = True


class Printed(msgspec.Struct, frozen=True):
    """The output of a command, and its exit code."""

    code: int
    stdout: str
    stderr: str

    @property
    def said(self) -> str:
        """Return its error in one line, without the program's name."""
        lines = [line.partition(": ")[2] or line for line in self.stderr.splitlines() if line.strip()]
        return " ".join(line.removeprefix("error: ") for line in lines)[:300].rstrip(".")


class FromLoop:
    """Passes questions to an asker that belongs to the present loop."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._loop = asyncio.get_running_loop()

    async def ask(self, question: Question) -> str | None:
        asked = asyncio.run_coroutine_threadsafe(self._asker.ask(question), self._loop)
        return await asyncio.wrap_future(asked)


class _Present:
    """Passes questions to the person who started the present attempt."""

    def __init__(self) -> None:
        self.asker: Asker = Nobody()

    async def ask(self, question: Question) -> str | None:
        return await self.asker.ask(question)


class Login:
    """The connection to one login node. Methods belong to the logins' loop."""

    def __init__(self, target: str, ssh: SshConfig, folder: Path) -> None:
        self.host = ssh.host
        self._present = _Present()
        route = Route(target=target, kind="ssh", config=ssh)
        self._link = HostConnection(route, folder, self._present)
        self._uses = 0
        self._closing: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_up(self) -> bool:
        """Return whether it is connected now."""
        return self._link.is_up

    async def reach(self, asker: Asker | None) -> None:
        """Connect where it is not connected; ask ``asker`` what the login asks. None: ask nobody, and try again
        after a refused login only once a person has connected. Raises LinkError."""
        if self._link.is_up:
            return
        try:
            if asker is not None:
                self._present.asker = asker
                await self._link.up()
                return
            state = self._link.state
            if state.state == "failed" and (
                state.code not in _TRANSIENT or time.time() - state.since < _RETRY_S
            ):
                raise LinkError.of(state.code, state.message, state.hint, code=state.code)
            await self._link.up_unasked(_fail)
        except LinkError as error:
            if error.step in ("python", "agent"):
                raise SlurmError(
                    f"The login node: {error.message}",
                    hint="Set the target's Python on the login node to a Python 3.8 or later.",
                ) from error
            raise

    async def run(self, line: str, stdin: bytes = b"", timeout_s: float = 60.0) -> Printed:
        """Run a line of sh on the login node. Raises LinkError."""
        self.begin()
        try:
            channel = self.open(line)
            return await asyncio.wait_for(_talk(channel, stdin), timeout_s)
        except asyncio.TimeoutError:
            channel.reset("cancelled", "It took too long.")
            raise SlurmAway(
                f"A command of Slurm did not answer within {timeout_s:.0f} s.",
                hint="Slurm's controller may be busy or away. GenOps Lab tries again.",
            ) from None
        except (ChannelReset, asyncio.IncompleteReadError) as error:
            raise CarrierEnded(
                f"The connection to the login node {self.host} broke during a command.",
                hint="GenOps Lab connects again.",
            ) from error
        finally:
            self.end()

    def open(self, line: str) -> Channel:
        """Start a line of sh on the login node. Raises CarrierEnded where it is not connected."""
        try:
            return self._link.open("program", {"argv": ["/bin/sh", "-c", _PATH + line]})
        except (LinkDown, ChannelReset) as error:
            raise CarrierEnded(
                f"The login node {self.host} is not connected.", hint="GenOps Lab connects again."
            ) from error

    def begin(self) -> None:
        """Count a use, during which the connection stays."""
        self._uses += 1
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def end(self) -> None:
        """End a use; the connection is closed some time after the last one."""
        self._uses -= 1
        if not self._uses:
            self._closing = asyncio.get_running_loop().call_later(IDLE_S, self._close)

    def _close(self) -> None:
        task = asyncio.ensure_future(self._link.down())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _talk(channel: Channel, stdin: bytes) -> Printed:
    channel.write(stdin)
    channel.write_eof()
    pieces = []
    while size := LENGTH.unpack(await channel.read_exactly(LENGTH.size))[0]:
        pieces.append(await channel.read_exactly(size))
    ending = await ending_of(channel)
    return Printed(ending["code"], b"".join(pieces).decode(errors="replace"), ending["stderr"])


async def ending_of(channel: Channel) -> dict[str, Any]:
    """Return the exit code and the standard error that follow a program's output."""
    pieces = []
    while data := await channel.read():
        pieces.append(data)
    found: dict[str, Any] = json.loads(b"".join(pieces))
    return found


def _fail(error: LinkError) -> None:
    raise error


connections = HostConnections(Path(), Nobody())
"""The thread and loop of all logins."""
