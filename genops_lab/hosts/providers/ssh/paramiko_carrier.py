"""The carrier that works everywhere: paramiko, in a process of its own (see :mod:`.paramiko_child`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.agent.stream_input import open_stream

from ...link.carrier import READ_LIMIT, End, HostStream
from ...link.errors import CarrierEnded, LinkError
from ...link.questions import Asker, Question
from .config import SshRoute
from .ssh_config import Plan

#: Variables that no process of a connection needs.
UNWANTED = ("JUPYTERHUB_", "JPY_", "GENOPS_")

# `-m` would look for modules in the current folder first, which may have a socket.py.
_PROGRAM = (
    "import sys; sys.path = [entry for entry in sys.path if entry];"
    "from genops_lab.hosts.providers.ssh.paramiko_child import main; main(int(sys.argv[1]))"
)

#: Connections at most until a server that failed gets all requests at once again.
_MOST_PAUSE = 256
#: Seconds for a process to end after its control has.
_GRACE_S = 2.0

_last_keys: dict[str, str] = {}
"""The fingerprint of the key that a host accepted the last time: offered first, it costs no failed tries."""


class _EagerLogins:
    """Decides whether to send login, channel and command to a server at once.

    A server that does not accept this looks like a network that resets, so the next connection tries it
    again. From the second failure in a row on, some connections send one by one first, and more of them each
    time.
    """

    def __init__(self) -> None:
        self._failed: dict[str, int] = {}
        self._pause: dict[str, int] = {}

    def wanted(self, label: str) -> bool:
        """Return whether the next connection sends all at once."""
        return self._pause.get(label, 0) == 0

    def went(self, label: str, *, asked: bool, worked: bool) -> None:
        """Record the result of a connection that is up."""
        if worked:
            self._failed.pop(label, None)
        elif asked:
            failed = self._failed[label] = self._failed.get(label, 0) + 1
            self._pause[label] = 0 if failed == 1 else min(4 ** (failed - 1), _MOST_PAUSE)
        else:
            # Of two parallel connections both may have sent all at once.
            self._pause[label] = max(0, self._pause.get(label, 0) - 1)


_eager_logins = _EagerLogins()


class _ForkServer:
    """The process that imports paramiko once and forks for each connection; started when first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def hand_over(self, stream: socket.socket, control: socket.socket) -> None:
        """Start a connection's process with these sockets. Blocks at most until the fork server has started;
        raises OSError."""
        with self._lock:
            for last in (False, True):
                if self._requests is None or self._owner != os.getpid() or not self._lives():
                    self._start()
                assert self._requests is not None
                try:
                    socket.send_fds(self._requests, [b"+"], [stream.fileno(), control.fileno()])
                except OSError:
                    if last:
                        raise
                    self._requests.close()
                    self._requests = None
                else:
                    return

    def _lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process now, so that the first connection does not wait for it."""
        with self._lock:
            if self._requests is None or self._owner != os.getpid() or not self._lives():
                self._start()

    def _start(self) -> None:
        if self._requests is not None:
            self._requests.close()
        near, far = socket.socketpair()
        with far:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(far.fileno())],
                pass_fds=[far.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env={name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)},
            )
        self._requests = near
        self._owner = os.getpid()


_fork_server = _ForkServer()


async def prepare() -> None:
    """Start what connections need before the first one."""
    await asyncio.to_thread(_fork_server.start)


class ParamikoCarriage(HostStream):
    """A connection with a forked process of its own."""

    carrier = "paramiko"

    def __init__(self, route: SshRoute, asker: Asker) -> None:
        super().__init__(route)
        self._asker = asker
        self._task: asyncio.Future[None]
        self._lines: asyncio.StreamReader
        self._control: asyncio.StreamWriter
        self._ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._up: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._stderr = ""
        self._questions: set[asyncio.Task[None]] = set()
        self.server: dict[str, Any] = {}

    @classmethod
    async def start(
        cls, route: SshRoute, plan: Plan, asker: Asker, folder: Path, command: str
    ) -> ParamikoCarriage:
        """Connect, log in, and run the command. Raises LinkError."""
        self = cls(route, asker)
        pairs = socket.socketpair(), socket.socketpair()
        (near, far), (near_control, far_control) = pairs
        try:
            await asyncio.to_thread(_fork_server.hand_over, far, far_control)
        except OSError as error:
            near.close()
            near_control.close()
            raise CarrierEnded(
                f"The process of the connection to {route.target} cannot be started: {error.strerror}.",
                hint="Free some memory or processes on this machine.",
            ) from error
        finally:
            far.close()
            far_control.close()
        self.reader, self.writer = await open_stream(near, READ_LIMIT)
        self._lines, self._control = await asyncio.open_connection(sock=near_control, limit=1 << 20)
        self._task = asyncio.ensure_future(self._listen())
        label = plan.hops[-1].label
        eager = _eager_logins.wanted(label)
        self._tell(
            hops=msgspec.to_builtins(plan.hops),
            folder=str(folder),
            command=command,
            first_keys={hop.label: _last_keys[hop.label] for hop in plan.hops if hop.label in _last_keys},
            eager=eager,
        )
        try:
            self.server = await self._up
        except BaseException:
            await self.close()
            raise
        _last_keys.update(self.server["taken"])
        _eager_logins.went(label, asked=eager, worked=self.server["eager"])
        return self

    def _tell(self, **fields: Any) -> None:
        self._control.write(json.dumps(fields).encode() + b"\n")

    async def _listen(self) -> None:
        error: LinkError | None = None
        end: End | None = None
        with contextlib.suppress(OSError, ValueError):
            while line := await self._lines.readline():
                event = json.loads(line)
                kind = event.pop("event")
                if kind == "pid":
                    self.pid = event["pid"]
                elif kind == "question":
                    task = asyncio.ensure_future(self._ask(event))
                    self._questions.add(task)
                    task.add_done_callback(self._questions.discard)
                elif kind == "up" and not self._up.done():
                    self._up.set_result(event)
                elif kind == "stderr":
                    self._stderr = (self._stderr + event["text"])[-8192:]
                elif kind == "error":
                    error = LinkError.of(**event)
                elif kind == "ended":
                    end = End(event["exit"], self._stderr, reason=event["reason"])
        for task in self._questions:
            task.cancel()
        if error is None and not self._up.done():
            error = CarrierEnded(
                f"The process of the connection to {self.route.target} ended before the connection was up.",
                hint="Connect again.",
            )
        if not self._up.done():
            assert error is not None
            self._up.set_exception(error)
            self._up.exception()
        if not self._ended.done():
            self._ended.set_result(end or End(None, self._stderr, error, "its process ended"))

    async def _ask(self, event: dict[str, Any]) -> None:
        number = event.pop("id")
        question = Question(id=secrets.token_hex(8), target=self.route.target, **event)
        self._tell(answer=number, text=await self._asker.ask(question))

    async def end(self) -> End:
        return await asyncio.shield(self._ended)

    async def close(self) -> None:
        self.writer.close()
        if not self._ended.done():
            self._ended.set_result(End(None, self._stderr, reason="the Lab closed it"))
        for task in list(self._questions):
            task.cancel()
        with contextlib.suppress(OSError):
            self._control.write_eof()  # the process ends with its control, and its end of the stream with the process
        await asyncio.wait([self._task], timeout=_GRACE_S)
        self._task.cancel()
        self._control.close()
