"""Serve one connection of a Lab (``agent attach``). Standard input and output are the stream; the process
ends with them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import platform
import select
import socket
import stat
import sys
from typing import Any, Awaitable, Callable, Dict, Set

from . import version, zip_imports
from .calls import answer, table
from .channels import Channel, ChannelReset
from .commands import Commands
from .frames import preamble
from .kernel_sockets import KernelSockets
from .kernels import Kernels
from .mux import Mux, StreamEnded
from .processes import boot_id
from .socket_forwarding import pipe
from .stream_input import StreamInput, open_stream
from .threads import in_thread

_STREAM_LIMIT = 262144
_F_SETPIPE_SZ, _PIPE_BYTES = 1031, 262144

#: A Lab pings at least each 15 s. The stream ends after so many spans of seconds in a row without a byte of it.
SILENT, SILENT_S = 10, 60.0
DEPLOYMENT_SERVICES = ("deployment", "deployment-log", "deployments", "gateway")


class Attachment:
    """Serves the channels that a Lab opens. To add a service, add it to ``services``."""

    def __init__(self, reader: Any, writer: Any) -> None:
        self.mux = Mux(reader, writer, odd=False, accept=self._accept)
        self.kernels = Kernels()
        self._commands = Commands()
        self._doorways = KernelSockets(self.mux.open)
        self._calls = {
            **table(self.kernels, self._commands),
            "kernels.start": self._start_kernel,
            "kernels.forget": self._forget_kernel,
            "lab.sync": self._doorways.sync,
            "builds.cancel": _cancel_build,
            "deployments": _call_deployments,
            "ports.list": self._list_ports,
            "ports.check": self._check_port,
            "files": _call_files,
        }
        self._tasks: "Set[asyncio.Future[None]]" = set()
        self.services: Dict[str, Callable[[Channel], Awaitable[None]]] = {
            "call": self._serve_call,
            "kernel": self._serve_kernel,
            "command": self._serve_command,
            "folder": self._serve_folder,
            "port": self._serve_port,
            "terminal": self._serve_terminal,
            "file": _serve_file,
            "engine": _serve_engine,
            "build": _serve_build,
            "evaluation": _serve_evaluation,
            "program": _serve_program,
            **dict.fromkeys(DEPLOYMENT_SERVICES, _serve_deployments),
        }

    async def run(self) -> None:
        """Serve until the stream ends. Raises :class:`StreamEnded` unless it ended cleanly."""
        watching = asyncio.ensure_future(self._end_when_silent())
        try:
            await self.mux.run()
        finally:
            watching.cancel()
            self._doorways.close()
            self.kernels.pool.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _end_when_silent(self) -> None:
        """End the stream when its Lab has gone and no error says so (the srun of a step was killed)."""
        silent = 0
        while silent < SILENT:
            heard = self.mux.last_heard
            await asyncio.sleep(SILENT_S)
            silent = silent + 1 if self.mux.last_heard == heard else 0
        self.mux.close()

    def _accept(self, channel: Channel) -> None:
        service = self.services.get(channel.service)
        if service is None:
            channel.reset("unknown_service", f"The agent has no service {channel.service!r}.")
            return
        task = asyncio.ensure_future(self._guard(service, channel))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, service: Callable[[Channel], Awaitable[None]], channel: Channel) -> None:
        try:
            await service(channel)
        except ChannelReset as reset:
            channel.reset(reset.code, reset.message, reset.hint)
        except Exception as error:  # the boundary: a failed channel must not end the others
            channel.reset("failed", f"The agent failed: {type(error).__name__}: {error}")

    async def _serve_call(self, channel: Channel) -> None:
        result = await answer(self._calls, channel.params.get("method"), channel.params.get("params"))
        channel.write(json.dumps({"result": result}).encode() + b"\n")
        channel.write_eof()

    async def _start_kernel(self, params: Dict[str, Any]) -> Dict[str, Any]:
        info = await self.kernels.start(params)
        if info.get("here"):  # it reaches the Lab like the Lab's other kernels
            return info
        try:
            await self._doorways.open(str(info["kernel_id"]))
        except OSError as error:  # the kernel runs; its logged events wait
            print(f"Kernel {info['kernel_id']} cannot reach the Lab: {error}", file=sys.stderr)
        return info

    async def _forget_kernel(self, params: Dict[str, Any]) -> Dict[str, Any]:
        answer = await self.kernels.forget(params)
        await self._doorways.forgotten(params["kernel_id"])
        return answer

    async def _serve_kernel(self, channel: Channel) -> None:
        await pipe(channel, await self.kernels.open(channel.params.get("kernel_id")))

    async def _serve_command(self, channel: Channel) -> None:
        await pipe(channel, await self._commands.open(channel.params.get("command_id")))

    async def _serve_folder(self, channel: Channel) -> None:
        from . import folders  # a reattached kernel must not wait for this import

        await folders.serve(channel, await self.kernels.runs(channel.params.get("kernel_id")))

    async def _list_ports(self, params: Dict[str, Any]) -> Any:
        from . import ports

        return await ports.call_list(self.kernels, params)

    async def _check_port(self, params: Dict[str, Any]) -> Any:
        from . import ports

        return await ports.call_check(self.kernels, params)

    async def _serve_port(self, channel: Channel) -> None:
        from . import ports

        await ports.serve(channel, self.kernels)

    async def _serve_terminal(self, channel: Channel) -> None:
        from . import terminals

        await terminals.serve(channel, self.kernels)


async def _serve_engine(channel: Channel) -> None:
    from . import engine

    await engine.serve(channel)


async def _serve_build(channel: Channel) -> None:
    from .builds import Builds

    await Builds().serve(channel)


async def _serve_evaluation(channel: Channel) -> None:
    from . import evaluations

    await evaluations.serve(channel)


async def _serve_program(channel: Channel) -> None:
    from . import programs

    await programs.serve(channel)


async def _serve_file(channel: Channel) -> None:
    from . import home_files

    await home_files.serve(channel)


async def _call_files(params: Dict[str, Any]) -> Any:
    from . import home_files

    return await in_thread(lambda: home_files.call(params))


async def _serve_deployments(channel: Channel) -> None:
    from . import deployment_service

    await deployment_service.serve(channel)


async def _call_deployments(params: Dict[str, Any]) -> Any:
    from . import deployment_service

    return await deployment_service.call(params)


async def _cancel_build(params: Dict[str, Any]) -> Dict[str, Any]:
    from .builds import Builds

    return await Builds().cancel(params)


def _note_use() -> None:
    from .environments import note_use

    note_use(sys.prefix)
    zip_imports.keep()


def hello() -> Dict[str, Any]:
    """Return the content of the preamble."""
    return {
        "version": version(),
        "python": platform.python_version(),
        "pid": os.getpid(),
        "nonce": os.urandom(8).hex(),
        "hostname": socket.gethostname(),
        "boot_id": boot_id(),
    }


async def _streams(descriptor_in: int, descriptor_out: int) -> Any:
    there = os.fstat(descriptor_out)
    if stat.S_ISSOCK(there.st_mode) and os.path.samestat(there, os.fstat(descriptor_in)):
        # One socket for both ways: asyncio would take bytes that arrive on a write pipe for its end.
        both = socket.socket(fileno=descriptor_in)
        both.setblocking(False)
        return await open_stream(both, _STREAM_LIMIT)
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):  # not a pipe, or a system without large ones
        fcntl.fcntl(descriptor_out, _F_SETPIPE_SZ, _PIPE_BYTES)
    reader = StreamInput(limit=_STREAM_LIMIT)
    protocol = asyncio.StreamReaderProtocol(reader)
    await loop.connect_read_pipe(lambda: protocol, os.fdopen(descriptor_in, "rb", 0))
    transport, flow = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(descriptor_out, "wb", 0)
    )
    return reader, asyncio.StreamWriter(transport, flow, None, loop)


def _can_be_awaited(descriptor: int) -> bool:
    """Return False for files and /dev/null: asyncio would wait for them for ever."""
    if not hasattr(select, "epoll"):
        return True
    with select.epoll() as poll:
        try:
            poll.register(descriptor)
        except OSError:
            return False
    return True


async def _attach(descriptor_in: int, descriptor_out: int) -> None:
    reader, writer = await _streams(descriptor_in, descriptor_out)
    writer.write(preamble(hello()))
    asyncio.get_running_loop().run_in_executor(None, _note_use)
    await Attachment(reader, writer).run()


def main() -> int:
    """Serve standard input and output, then end the process.

    Nothing else may write to them: both are moved to other descriptors first.
    """
    if not _can_be_awaited(0):
        print("The agent's standard input is not a stream (ssh -n?).", file=sys.stderr)
        return 2
    descriptor_in, descriptor_out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    code = 0
    try:
        loop.run_until_complete(_attach(descriptor_in, descriptor_out))
    except (StreamEnded, KeyboardInterrupt) as error:
        print(f"The stream ended: {error}", file=sys.stderr)
        code = 1
    _note_use()
    sys.stderr.flush()
    os._exit(code)  # a thread that hangs in a driver or on a file server must not keep the process alive
