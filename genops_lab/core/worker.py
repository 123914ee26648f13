"""Run heavy or blocking calls in a child process.

The child (:mod:`.worker_child`) has backends (``module:Class`` with one configuration) and answers calls in threads,
as length-prefixed msgpack over its standard input and output. Only the child imports mlflow, never the server. The
child ends after ``idle_s`` without a call. A crash fails only the calls in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import itertools
import logging
import os
import sys
import typing
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar, cast

import msgspec

from .errors import ErrorInfo, GenOpsError, Unavailable
from .worker_child import CANCEL, LENGTH, TOLD, Call, Reply, encoder

log = logging.getLogger("genops_lab")

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")

#: A cancelled call is waited for this long: its thread may wait for a line on which nothing moves.
CANCEL_S = 1.0


@functools.cache
def _locate(method: Callable[..., Any]) -> tuple[str, str, inspect.Signature, Any]:
    """Return the backend, the method's name, its signature and its return type, cached for each method."""
    owner, name = method.__qualname__.rsplit(".", 1)
    return (
        f"{method.__module__}:{owner}",
        name,
        inspect.signature(method),
        typing.get_type_hints(method)["return"],
    )


class _Running:
    """One child process and its pending calls."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.waiting: dict[int, asyncio.Future[Reply]] = {}
        self.listeners: dict[int, Callable[[int], None]] = {}
        self._name = name
        self._reader = asyncio.create_task(self._read())

    @property
    def alive(self) -> bool:
        """Whether calls can be sent."""
        return self.process.returncode is None and not self._reader.done()

    async def send(self, call: Call) -> Reply:
        """Send a call and return the reply. Raises Unavailable if the child ends before."""
        future = self.waiting[call.id] = asyncio.get_running_loop().create_future()
        try:
            self._write(call)
            assert self.process.stdin is not None
            await self.process.stdin.drain()
            reply: Reply = await future
            return reply
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._died() from error
        finally:
            del self.waiting[call.id]

    def _write(self, call: Call) -> None:
        payload = encoder.encode(call)
        assert self.process.stdin is not None
        self.process.stdin.write(LENGTH.pack(len(payload)) + payload)

    async def follow(self, call: Call, on_progress: Callable[[int], None]) -> Reply:
        """Send a call, report its progress and return the reply. A cancellation ends the call in the child too."""
        self.listeners[call.id] = on_progress
        sending = asyncio.create_task(self.send(call))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            if self.alive:
                self._write(Call(call.id, "", CANCEL, {}))
                await asyncio.wait([sending], timeout=CANCEL_S)
            sending.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            sending.cancel()
            raise
        finally:
            del self.listeners[call.id]

    async def _read(self) -> None:
        assert self.process.stdout is not None
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                (length,) = LENGTH.unpack(await self.process.stdout.readexactly(LENGTH.size))
                reply = msgspec.msgpack.decode(await self.process.stdout.readexactly(length), type=Reply)
                if reply.status == TOLD:
                    if reply.id in self.listeners:
                        self.listeners[reply.id](msgspec.msgpack.decode(reply.value, type=int))
                    continue
                future = self.waiting.get(reply.id)
                if future is not None and not future.done():
                    future.set_result(reply)
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(self._died())

    def _died(self) -> Unavailable:
        return Unavailable(
            f"The worker process of {self._name} ended during a call.",
            hint="Try again: a new process starts. If it ends again, check the machine's memory and JupyterLab's log.",
        )

    def no_more_calls(self) -> None:
        """Let the child end after the calls in flight."""
        if self.process.stdin is not None:
            self.process.stdin.close()

    def kill(self) -> None:
        """End the child at once."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def end(self, within_s: float) -> None:
        """End the child after the calls in flight; kill it after ``within_s``."""
        self.no_more_calls()
        try:
            await asyncio.wait_for(self.process.wait(), within_s)
        except asyncio.TimeoutError:
            self.kill()
            await self.process.wait()
        await self._reader


class Worker:
    """A child process with backends. ``call`` takes an unbound method of a backend and its arguments."""

    #: The command that starts the child.
    program: ClassVar[Iterable[str]] = (sys.executable, "-m", "genops_lab.core.worker_child")

    def __init__(
        self, name: str, config: dict[str, Any], *, env: dict[str, str] | None = None, idle_s: float = 600.0
    ) -> None:
        self._name = name
        self._config = config
        self._env = env or {}
        self._idle_s = idle_s
        self._running: _Running | None = None
        self._given_up: set[_Running] = set()
        self._idle: asyncio.TimerHandle | None = None
        self._ids = itertools.count(1)
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The child's pid while it runs."""
        return self._running.process.pid if self._running is not None else None

    async def call(self, method: Callable[Concatenate[S, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``method`` on the child's backend. Raises its error, or Unavailable if the child died."""
        return await self._run(None, method, *args, **kwargs)

    async def follow(
        self,
        on_progress: Callable[[int], None],
        method: Callable[Concatenate[S, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run ``method`` as :meth:`call` does, and call ``on_progress`` with the progress that it reports.

        See :func:`.call_progress.report_progress`. A cancellation ends the method at its next report. It is waited for,
        up to 1 s.
        """
        return await self._run(on_progress, method, *args, **kwargs)

    async def _run(
        self,
        on_progress: Callable[[int], None] | None,
        method: Callable[Concatenate[S, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        backend, name, signature, answer = _locate(method)
        bound = signature.bind(None, *args, **kwargs)
        arguments = dict(list(bound.arguments.items())[1:])
        running = await self._started()
        call = Call(next(self._ids), backend, name, arguments)
        try:
            reply = await (running.send(call) if on_progress is None else running.follow(call, on_progress))
        finally:
            self._retire_when_idle(running)
        if not reply.ok:
            raise GenOpsError.from_info(reply.status, msgspec.msgpack.decode(reply.value, type=ErrorInfo))
        return cast("R", msgspec.msgpack.decode(reply.value, type=answer))

    async def _started(self) -> _Running:
        async with self._starting:
            if self._idle is not None:
                self._idle.cancel()
                self._idle = None
            if self._running is None or not self._running.alive:
                env = {
                    **os.environ,
                    **self._env,
                    "GENOPS_WORKER_CONFIG": msgspec.json.encode(self._config).decode(),
                }
                process = await asyncio.create_subprocess_exec(
                    *self.program,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    env=env,
                )
                self._running = _Running(self._name, process)
            return self._running

    def give_up(self) -> None:
        """Let another child answer later calls: this one hangs. It is killed once nobody waits for its answers."""
        if self._running is not None:
            self._running.no_more_calls()
            self._given_up.add(self._running)
            self._retire_when_idle(self._running)
            self._running = None

    def _retire_when_idle(self, running: _Running) -> None:
        if running in self._given_up and not running.waiting:
            self._given_up.discard(running)
            running.kill()
        if running.waiting or running is not self._running:
            return
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._retire)

    def _retire(self) -> None:
        if self._running is not None and not self._running.waiting:
            self._running.no_more_calls()
            self._running = None

    async def stop(self, within_s: float = 5.0) -> None:
        """End the child after the calls in flight; kill it after ``within_s``."""
        if self._idle is not None:
            self._idle.cancel()
        while self._given_up:
            hanging = self._given_up.pop()
            hanging.kill()
            await hanging.end(within_s=5)
        if self._running is not None:
            await self._running.end(within_s)
            self._running = None
