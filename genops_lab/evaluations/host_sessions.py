"""Keep the files of an evaluation on the host of a target, and run a command over them. For the Lab's loop.

A session is a folder on the host (:mod:`genops_lab.agent.evaluations`) and a command with the same id, which outlives
the connection and the Lab: a later Lab attaches to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from genops_lab.agent.placing import relative
from genops_lab.agent.transfer import BadTransfer, Receiver, document
from genops_lab.core.errors import GenOpsError
from genops_lab.hosts.host_python import HostPython, Requirements, interpreter_on, require_one_host
from genops_lab.hosts.link.commands import CommandEnd, CommandOrder, HostCommands, Output
from genops_lab.hosts.link.connection import HostConnection
from genops_lab.hosts.link.placed_files import SentFile, send_needed
from genops_lab.hosts.link.state import LinkDown, LinkState, RemoteError
from genops_lab.hosts.link.transfer import READING_S, HostTransfer, host_transfer, through_breaks

if TYPE_CHECKING:
    from genops_lab.core.tasks import TaskHandle
    from genops_lab.hosts.service import TargetsService

T = TypeVar("T")

#: Seconds that a command may run with no Lab connected.
LEASE_S = 86400.0
_JOURNAL_BYTES = 16 * 1024 * 1024
_BREAKS, _AWAY_S = 6, 600.0
_CANCEL_S, _REACH_S = 40.0, 10.0
_MOST_FILES = 10_000

#: What the agent runs over the files: it predicts rows, or asks models and scores their answers.
Program = Literal["evaluate", "answers"]


class HostSessions:
    """Sessions of one program on targets. ``id`` of a method is that of a session."""

    def __init__(self, targets: TargetsService, data_dir: Path, program: Program) -> None:
        self._targets = targets
        self._program = program
        # The same after a restart, so that the next Lab's attachment replaces this one.
        self._client = hashlib.sha256(f"{socket.gethostname()}\n{data_dir}".encode()).hexdigest()[:32]

    async def check(self, target: str) -> None:
        """Raise NotFound, InvalidRequest or Conflict unless evaluations can run on the target now."""
        await self.check_kind(target)
        await self._targets.connected_link(target)

    async def check_kind(self, target: str) -> None:
        """Raise NotFound or InvalidRequest unless evaluations can run on such a target."""
        record = await self._targets.record(target)
        require_one_host(record.route, "Evaluations", "Evaluate on this machine, or on an SSH host.")

    async def reached(self, handle: TaskHandle, target: str) -> HostConnection:
        """Return the connection to a target once it is there."""
        record = await self._targets.record(target)
        link = self._targets.connections.link(record.route)
        await self._targets.connections.reach(link, handle)
        return link

    async def talked(
        self, handle: TaskHandle, link: HostConnection, id: str, do: Callable[[Talk], Awaitable[T]]
    ) -> T:
        """Talk to the host's service, again from where it was if the connection breaks."""

        async def once() -> T:
            params = {"id": id, "program": self._program}
            async with host_transfer(Talk, link, "evaluation", params) as talk:
                await talk.greet()
                return await do(talk)

        with watching(link, handle):
            return await self._targets.connections.run(
                through_breaks(link, once, breaks=_BREAKS, within_s=_AWAY_S)
            )

    async def interpreter(
        self, handle: TaskHandle, link: HostConnection, host: HostPython, wanted: Requirements, name: str,
        project: str, build_id: str,
    ) -> str:  # fmt: skip
        """Return an interpreter on the host with what ``name`` requires: the target's own, or a new one.

        ``project`` names a new environment. Raises Failed if it cannot be built.
        """
        return await interpreter_on(
            self._targets.connections, link, host, wanted, name=name, project=project, build_id=build_id,
            hint="Evaluate again.", progress=handle.progress, say=handle.say,
        )  # fmt: skip

    async def followed(
        self, handle: TaskHandle, link: HostConnection, id: str, order: CommandOrder,
        tell: Callable[[dict[str, Any]], None],
    ) -> tuple[dict[str, Any], CommandEnd]:  # fmt: skip
        """Run a command, or follow the one that is there, until its end. Return its last event and its end.

        ``tell`` gets its events: the lines of JSON that it prints. See :data:`FOLLOWED`.
        """

        async def follow(commands: HostCommands) -> tuple[dict[str, Any], CommandEnd]:
            if order.argv:
                await commands.start(id, order)
            return await _followed(commands, id, tell)

        return await self.with_commands(handle, link, follow)

    async def with_commands(
        self, handle: TaskHandle, link: HostConnection, do: Callable[[HostCommands], Awaitable[T]]
    ) -> T:
        """Do something with the commands of a host, again each time somebody connected it again."""
        commands = HostCommands(self._targets.connections.links, link.route, client=self._client)
        with watching(link, handle):
            while True:
                try:
                    return await do(commands)
                except LinkDown:
                    handle.progress(
                        f"Waiting for you to connect {link.route.target}. The evaluation continues there.",
                        handle.task.progress,
                    )
                    await self._targets.connections.run(_up(link))

    async def ended(self, handle: TaskHandle, link: HostConnection, id: str, grace_s: float = 0.0) -> None:
        """Stop the command of a session, and forget it. Harmless where there is none."""

        async def end(commands: HostCommands) -> None:
            with contextlib.suppress(RemoteError):  # it was never started
                await commands.stop(id, grace_s)
            await commands.forget(id)

        await self.with_commands(handle, link, end)

    async def removed(self, handle: TaskHandle, link: HostConnection, id: str, builds: Sequence[str]) -> None:
        """Stop what runs on the host for a session, builds of environments too, and remove its files."""
        run = self._targets.connections.run
        for build_id in builds:
            await run(link.call("builds.cancel", {"id": build_id}, timeout_s=_CANCEL_S))
        await self.ended(handle, link, id)
        await self.talked(handle, link, id, lambda talk: talk.remove())

    async def at_end(
        self, handle: TaskHandle, target: str, do: Callable[[HostConnection], Awaitable[None]],
        within_s: float = _CANCEL_S,
    ) -> str:  # fmt: skip
        """Do the last thing with a host that may be away. Return why it could not be done; empty: it is done."""
        connections = self._targets.connections
        try:
            record = await self._targets.record(target)
            link = connections.link(record.route)
            if not link.is_up:
                await asyncio.wait_for(connections.reach(link, handle), _REACH_S)
            work = asyncio.ensure_future(do(link))
            away = asyncio.ensure_future(connections.run(_away(link)))
            try:
                await asyncio.wait([work, away], timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()
                    return ""
            finally:
                for each in (work, away):
                    each.cancel()
                await asyncio.gather(work, away, return_exceptions=True)
        except GenOpsError as error:
            return error.message
        except asyncio.TimeoutError:
            pass
        return "The host does not answer."


#: No order: the command is there, and is only followed.
FOLLOWED = CommandOrder(argv=[])


def command_order(argv: list[str], handle: TaskHandle, **more: Any) -> CommandOrder:
    """Return the order of the command of a task."""
    return CommandOrder(
        argv=argv, name=handle.task.title, lease_s=LEASE_S, journal_max_bytes=_JOURNAL_BYTES, **more
    )


class Talk(HostTransfer):
    """A talk with the host's service about a session."""

    ABOUT = "the evaluation"
    patience_s = READING_S

    async def greet(self) -> None:
        """Take the host's description of its Python."""
        try:
            self._python = msgspec.convert(await self.document(), HostPython)
        except msgspec.ValidationError as error:
            raise BadTransfer(str(error)) from None

    async def host(self) -> HostPython:
        """Return the Python of the target."""
        return self._python

    async def place(
        self, files: Sequence[SentFile], own: Sequence[SentFile] = (), absent: Sequence[SentFile] = ()
    ) -> list[str]:
        """Send files that the host does not have, and return the command that works with them.

        ``own`` are kept by the session alone, and ``absent`` too, but only where the session has no such file.
        """
        order = {"files": files, "own": own, "absent": absent}
        listed = {name: [each.listed for each in found] for name, found in order.items()}
        self.channel.write(document({"op": "place", **listed}))
        await send_needed(self, files, (await self.document()).get("need"))
        if own or absent:
            await send_needed(self, [*own, *absent], (await self.document()).get("need"))
        command = (await self.document()).get("command")
        if not isinstance(command, list) or not command:
            raise BadTransfer("it has no command")
        return [str(each) for each in command]

    async def fetch(self, path: str, file: Path, limit: int, too_large: str) -> bool:
        """Fetch a file of at most ``limit`` bytes. The file is whole or absent; False: the host has none."""
        self.channel.write(document({"op": "fetch", "path": path}))
        size = (await self.document()).get("size")
        if size is None:
            return False
        if type(size) is not int or not 0 <= size <= limit:
            raise BadTransfer(too_large)
        part = file.with_name(f".{file.name}")
        with await asyncio.to_thread(part.open, "wb") as stream:
            await self.receive(Receiver(size), lambda each: stream.write(each.raw))
        await asyncio.to_thread(part.replace, file)
        return True

    async def files(self, path: str) -> list[str]:
        """Return the paths of the files in a folder of the session and below it, at most 10,000."""
        self.channel.write(document({"op": "list", "path": path}))
        found = (await self.document()).get("files")
        if not isinstance(found, list) or len(found) > _MOST_FILES:
            raise BadTransfer(f"{path} has no list of files, or over {_MOST_FILES:,} of them")
        try:
            paths = [relative(str(each)) for each in found]
        except ValueError as error:
            raise BadTransfer(str(error)) from None
        if any(not each.startswith(f"{path}/") for each in paths):
            raise BadTransfer(f"a file is not in {path}")
        return paths

    async def remove(self) -> None:
        """Remove the session from the host."""
        self.channel.write(document({"op": "remove"}))
        await self.document()


async def _up(link: HostConnection) -> None:
    while not link.is_up:
        await link.changed()


async def _away(link: HostConnection) -> None:
    """Return once a connection broke and is not soon back."""
    while True:
        while link.is_up:
            await link.changed()
        try:
            await asyncio.wait_for(_up(link), _REACH_S)
        except asyncio.TimeoutError:
            return


@contextlib.contextmanager
def watching(link: HostConnection, handle: TaskHandle) -> Iterator[None]:
    """Say when the connection breaks, and when it is back."""
    loop, away = asyncio.get_running_loop(), False

    def changed(state: LinkState) -> None:
        nonlocal away
        if state.state == "up" and away:
            away = False
            loop.call_soon_threadsafe(handle.say, f"{link.route.target} is connected again.")
        elif state.state in ("down", "failed") and not away:
            away = True
            words = f"The connection to {link.route.target} is down. {state.message}".strip()
            loop.call_soon_threadsafe(handle.progress, words, handle.task.progress)

    end = link.watch(changed)
    try:
        yield
    finally:
        end()


async def _followed(
    commands: HostCommands, command_id: str, tell: Callable[[dict[str, Any]], None]
) -> tuple[dict[str, Any], CommandEnd]:
    """Tell what the command says until it has ended. Raises LinkDown."""
    rest, last = b"", dict[str, Any]()
    async with commands.attach(command_id) as output:
        async for event in output:
            if isinstance(event, Output) and event.stream == "stdout":
                *lines, rest = (rest + event.data).split(b"\n")
                for line in lines:
                    last = _event(line)
                    tell(last)
            elif isinstance(event, CommandEnd):
                return last, event
    raise AssertionError("an attachment ends with the end of its command")


def _event(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}
