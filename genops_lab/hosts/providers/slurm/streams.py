"""Open a byte stream to a command in a job: a step of srun, started on the login node."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any

from genops_lab.agent.channels import Channel, ChannelReset
from genops_lab.agent.programs import LENGTH
from genops_lab.agent.stream_input import open_stream

from ...link.carrier import READ_LIMIT, End, HostStream
from ...link.errors import LinkError
from .login import connections, ending_of
from .script import STEP

if TYPE_CHECKING:
    from .login import Login

#: Seconds for the step to end by itself once its stream has.
_GRACE_S = 5.0
_TASKS = re.compile(r"srun: error: \S+: tasks? .*")
_PORTION_BYTES = 262144


def step_of(job_id: int, command: Sequence[str]) -> str:
    """Return the line of sh that runs a command in a job."""
    options = [f"--jobid={job_id}", "--overlap", "--unbuffered", "--nodes=1", "--ntasks=1", "--mpi=none"]
    return f"exec srun {shlex.join(options)} bash -c {shlex.quote(STEP)} bash {shlex.join(command)}"


class JobStream(HostStream):
    """A stream whose bytes pass through srun and the login node's connection."""

    carrier = "srun"

    async def connect(
        self, channel: Channel, login: Login, why: Callable[[str], Awaitable[LinkError]]
    ) -> None:
        """Take the channel of an opened step. ``why`` turns srun's words into an error."""
        near, far = socket.socketpair()
        self.reader, self.writer = await open_stream(near, READ_LIMIT)
        self._carrying: Future[End] = connections.submit(_carry(channel, far, login, why))

    async def end(self) -> End:
        """Wait for the step."""
        try:
            return await asyncio.shield(asyncio.wrap_future(self._carrying))
        except CancelledError:
            return End(None, "", reason="its stream was closed")

    async def close(self) -> None:
        """End the stream; the step ends with it."""
        self.writer.close()
        ended = asyncio.wrap_future(self._carrying)
        await asyncio.wait([ended], timeout=_GRACE_S)
        self._carrying.cancel()


async def _carry(
    channel: Channel, far: socket.socket, login: Login, why: Callable[[str], Awaitable[LinkError]]
) -> End:
    login.begin()
    reader, writer = await open_stream(far, READ_LIMIT)
    feeding = asyncio.ensure_future(_feed(reader, channel))
    try:
        while size := LENGTH.unpack(await channel.read_exactly(LENGTH.size))[0]:
            writer.write(await channel.read_exactly(size))
            await writer.drain()
        ending = await ending_of(channel)
    except (ChannelReset, asyncio.IncompleteReadError):
        return End(None, "", reason="the connection to the login node ended")
    except ConnectionError:
        return End(None, "", reason="its stream was closed")
    finally:
        channel.reset("closed", "Nobody reads it any more.")
        feeding.cancel()
        writer.close()
        login.end()
    lines = [line for line in ending["stderr"].splitlines() if not _TASKS.match(line)]
    code: int = ending["code"]
    failed = [line for line in lines if line.startswith("srun: error:")]
    error = await why(failed[0].removeprefix("srun: error: ")) if code and failed else None
    return End(code, "\n".join(lines), error)


async def _feed(reader: Any, channel: Channel) -> None:
    with contextlib.suppress(ChannelReset, ConnectionError):
        while data := await reader.read(_PORTION_BYTES):
            channel.write(data)
            await channel.drain()
        channel.write_eof()
