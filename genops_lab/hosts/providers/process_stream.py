"""Use a child process as a byte stream: the agent on this machine, or the system's ssh."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Sequence

from genops_lab.agent.stream_input import open_stream

from ..link.carrier import READ_LIMIT, End, HostStream, Way

_UNWANTED = ("JUPYTERHUB_", "JPY_", "GENOPS_SOCKET", "GENOPS_RUNTIME_DIR")
#: Seconds for the agent to end by itself after its stream has ended.
_GRACE_S = 5.0
_MAX_STDERR = 8192


def visible_environment() -> dict[str, str]:
    """Return the part of this process's environment that the process of a connection may see."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_UNWANTED)}


class ProcessCarriage(HostStream):
    """A stream made of the standard input and output of a child of this process."""

    carrier = "process"

    def __init__(self, route: Way, carrier: str = "") -> None:
        super().__init__(route)
        self.carrier = carrier or self.carrier
        self._stderr = b""

    async def spawn(self, arguments: Sequence[str], environment: dict[str, str] | None = None) -> None:
        """Start the child, with the part of this process's environment that it may see. Raises OSError."""
        if environment is None:
            environment = visible_environment()
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        errors, their_errors = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=far.fileno(),
                stdout=far.fileno(),
                stderr=their_errors,
                env=environment,
                start_new_session=True,
            )
        except OSError:
            near.close()
            os.close(errors)
            raise
        finally:
            far.close()
            os.close(their_errors)
        self.pid = self._process.pid
        self.reader, self.writer = await open_stream(near, READ_LIMIT)
        stderr = asyncio.StreamReader()
        self._pipe, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stderr), os.fdopen(errors, "rb", 0)
        )
        self._errors = asyncio.ensure_future(self._read_errors(stderr))

    async def _read_errors(self, stderr: asyncio.StreamReader) -> None:
        while data := await stderr.read(4096):
            self._stderr = (self._stderr + data)[-_MAX_STDERR:]

    async def end(self) -> End:
        code = await self._process.wait()
        # A process that the child left running may keep its standard error open.
        await asyncio.wait([self._errors], timeout=0.5)
        stderr = self._stderr.decode(errors="replace")
        if code < 0:
            return End(None, stderr, reason=f"signal {-code} ended its process")
        return End(code, stderr)

    async def close(self) -> None:
        self.writer.close()
        if self._process.returncode is None:
            try:
                await asyncio.wait_for(self._process.wait(), self._grace_s)
            except asyncio.TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
        self._pipe.close()
        self._errors.cancel()

    _grace_s = _GRACE_S
