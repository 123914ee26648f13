"""Let the models of an evaluation predict on the host of a target. All methods belong to the Lab's loop.

The files of the models and the rows go to the host by their hash. The agent of the host runs the models as one command,
which outlives the connection and the Lab: a later Lab attaches to it. Each model's predictions come back as one Parquet
file.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from genops_lab.agent.evaluate import ROWS, RUNNER, SESSION
from genops_lab.agent.transfer import BadTransfer, Receiver, document
from genops_lab.core.errors import Failed, GenOpsError, InvalidRequest
from genops_lab.hosts.link.builds import build
from genops_lab.hosts.link.commands import CommandEnd, CommandOrder, HostCommands, Output
from genops_lab.hosts.link.connection import HostConnection
from genops_lab.hosts.link.placed_files import SentFile, send_needed, sent_file, sent_folder
from genops_lab.hosts.link.state import LinkDown, LinkState, RemoteError
from genops_lab.hosts.link.transfer import READING_S, HostTransfer, host_transfer, through_breaks
from genops_lab.hosts.providers import provider_of

from . import processes
from .loading import HostPython, ModelLoading
from .processes import PlannedModel
from .runner import ANSWERS

if TYPE_CHECKING:
    from genops_lab.core.tasks import TaskHandle
    from genops_lab.hosts.service import TargetsService

T = TypeVar("T")

#: Seconds that the models may run with no Lab connected.
_LEASE_S = 86400.0
_JOURNAL_BYTES = 16 * 1024 * 1024
#: Bounds of what a host may send for its predictions: for a file, and for each row.
_MORE_BYTES, _ROW_BYTES = 64 * 1024 * 1024, 16 * 1024
_BREAKS, _AWAY_S = 6, 600.0
_CANCEL_S, _REACH_S = 40.0, 10.0


class TargetEvaluations:
    """Evaluations on targets."""

    def __init__(self, targets: TargetsService, loading: ModelLoading, data_dir: Path) -> None:
        self._targets = targets
        self._loading = loading
        # The same after a restart, so that the next Lab's attachment replaces this one.
        self._client = hashlib.sha256(f"{socket.gethostname()}\n{data_dir}".encode()).hexdigest()[:32]

    async def check(self, target: str) -> None:
        """Raise NotFound, InvalidRequest or Conflict unless evaluations can run on the target now."""
        record = await self._targets.record(target)
        if provider_of(record.route.kind).allocates:
            raise InvalidRequest(
                f"Evaluations run on targets that are one host, and {target} requests a host for each kernel.",
                hint="Evaluate on this machine, or on an SSH host.",
            )
        await self._targets.connected_link(target)

    async def prepare(
        self,
        handle: TaskHandle,
        target: str,
        folder: Path,
        session: dict[str, Any],
        models: list[PlannedModel],
    ) -> list[str]:
        """Provide an environment for each model, send all files, and return the command that predicts.

        Raises Failed if an environment cannot be built.
        """
        link = await self._reached(handle, target)
        host = await self._talked(handle, link, lambda talk: talk.host())
        described = []
        for at, model in enumerate(models):
            python = await self._interpreter(handle, link, host, at, model)
            described.append({"name": model.name, "interpreter": python, "allow_pickle": model.allow_pickle})
        content = json.dumps({**session, "models": described})
        await asyncio.to_thread((folder / SESSION).write_text, content, encoding="utf-8")
        files = await asyncio.to_thread(_files, folder, models)
        size = sum(each.size for each in files)
        handle.progress(f"Sending the models and the rows to {target} ({size / 1e6:,.1f} MB).")
        return await self._talked(handle, link, lambda talk: talk.place(files))

    async def predict(
        self, handle: TaskHandle, target: str, command: list[str], models: list[PlannedModel], rows: int
    ) -> None:
        """Run the command, or follow the one that runs, and fetch the predictions. Raises Failed."""
        link = await self._reached(handle, target)
        commands = self._commands(link)
        order = CommandOrder(
            argv=command, name=handle.task.title, lease_s=_LEASE_S, journal_max_bytes=_JOURNAL_BYTES
        )
        with _watching(link, handle):
            while True:
                try:
                    await commands.start(self._id(handle), order)
                    await _followed(commands, self._id(handle), handle, target)
                    break
                except LinkDown:
                    handle.progress(
                        f"Waiting for you to connect {target}. The evaluation continues there.",
                        handle.task.progress,
                    )
                    await self._targets.connections.run(_up(link))
        handle.progress("Fetching the predictions.")
        limit = _MORE_BYTES + rows * _ROW_BYTES
        for at, model in enumerate(models):
            fetch = partial(
                _Talk.fetch, path=f"model-{at}/{ANSWERS}", file=model.folder / ANSWERS, limit=limit
            )
            await self._talked(handle, link, fetch)

    async def remove(self, handle: TaskHandle, target: str) -> None:
        """Stop what runs on the host, and remove the files of the session; say so if the host cannot be reached."""
        try:
            record = await self._targets.record(target)
            link = self._targets.connections.link(record.route)
            if not link.is_up:
                await asyncio.wait_for(self._reach(handle, link), _REACH_S)
            await asyncio.wait_for(self._removed(handle, link), _CANCEL_S)
        except (GenOpsError, asyncio.TimeoutError) as error:
            why = error.message if isinstance(error, GenOpsError) else "The host does not answer."
            handle.say(
                f"What the evaluation left on {target} was not removed: {why} It ends there within a day."
            )

    async def _removed(self, handle: TaskHandle, link: HostConnection) -> None:
        run = self._targets.connections.run
        for at in (0, 1):
            await run(link.call("builds.cancel", {"id": self._build(handle, at)}, timeout_s=_CANCEL_S))
        commands = self._commands(link)
        with contextlib.suppress(RemoteError):  # it was never started
            await commands.stop(self._id(handle), 0.0)
        await commands.forget(self._id(handle))
        await self._talked(handle, link, lambda talk: talk.remove())

    async def _interpreter(
        self, handle: TaskHandle, link: HostConnection, host: HostPython, at: int, model: PlannedModel
    ) -> str:
        """Return an interpreter on the host with the model's requirements: the target's own, or a new one."""
        target = link.route.target
        wanted = await asyncio.to_thread(self._loading.requirements, model.folder / "model", host)
        if not wanted.missing:
            handle.say(f"The Python of {target} has the requirements of {model.name}.")
            return host.executable
        handle.progress(f"Building the environment of {model.name} on {target}.")
        handle.say(f"Missing there: {', '.join(wanted.missing[:8])}.")
        order = {
            "id": self._build(handle, at),
            "source": {
                "kind": "requirements",
                "main": "requirements.txt",
                "files": {"requirements.txt": "\n".join(wanted.lines) + "\n"},
            },
            "project": model.name.split(" ")[0],
            "packages": wanted.packages,
            "python": "" if wanted.python in ("", host.version) else wanted.python,
            "folder": "",
        }
        loop = asyncio.get_running_loop()

        def listener(event: dict[str, Any]) -> None:
            words = str(event.get("step") or event.get("line") or "")
            if words:
                loop.call_soon_threadsafe(handle.say, words)

        with _watching(link, handle):
            end = await self._targets.connections.run(build(link, order, listener))
        if end["state"] != "done":
            reason = str(end.get("message") or "the build was cancelled.")
            raise Failed(
                f"{target} cannot run {model.name}: its environment was not built. {reason}",
                hint=str(end.get("hint") or "Evaluate again."),
                code="environment",
            )
        return str(end["interpreter"])

    async def _reached(self, handle: TaskHandle, target: str) -> HostConnection:
        record = await self._targets.record(target)
        link = self._targets.connections.link(record.route)
        await self._reach(handle, link)
        return link

    async def _reach(self, handle: TaskHandle, link: HostConnection) -> None:
        await self._targets.connections.reach(link, handle)

    async def _talked(
        self, handle: TaskHandle, link: HostConnection, do: Callable[[_Talk], Awaitable[T]]
    ) -> T:
        """Talk to the host's service, again from where it was if the connection breaks."""

        async def once() -> T:
            async with host_transfer(_Talk, link, "evaluation", {"id": self._id(handle)}) as talk:
                await talk.greet()
                return await do(talk)

        with _watching(link, handle):
            return await self._targets.connections.run(
                through_breaks(link, once, breaks=_BREAKS, within_s=_AWAY_S)
            )

    def _commands(self, link: HostConnection) -> HostCommands:
        return HostCommands(self._targets.connections.links, link.route, client=self._client)

    def _id(self, handle: TaskHandle) -> str:
        return f"evaluation-{handle.id}"

    def _build(self, handle: TaskHandle, at: int) -> str:
        return f"evaluation-{handle.id}-{at}"


class _Talk(HostTransfer):
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

    async def place(self, files: list[SentFile]) -> list[str]:
        """Send the files that the host does not have, and return the command that predicts."""
        self.channel.write(document({"op": "place", "files": [each.listed for each in files]}))
        await send_needed(self, files, (await self.document()).get("need"))
        command = (await self.document()).get("command")
        if not isinstance(command, list) or not command:
            raise BadTransfer("it has no command")
        return [str(each) for each in command]

    async def fetch(self, path: str, file: Path, limit: int) -> None:
        """Fetch a file of at most ``limit`` bytes. The file is whole or absent."""
        self.channel.write(document({"op": "fetch", "path": path}))
        size = (await self.document()).get("size")
        if type(size) is not int or not 0 <= size <= limit:
            raise BadTransfer("it has more predictions than the rows can have")
        part = file.with_name(f".{file.name}")
        with await asyncio.to_thread(part.open, "wb") as stream:
            await self.receive(Receiver(size), lambda each: stream.write(each.raw))
        await asyncio.to_thread(part.replace, file)

    async def remove(self) -> None:
        """Remove the session from the host."""
        self.channel.write(document({"op": "remove"}))
        await self.document()


def _files(folder: Path, models: list[PlannedModel]) -> list[SentFile]:
    """Return the files that the host needs, with their hashes."""
    found = [
        sent_file(RUNNER, processes.RUNNER),
        sent_file(SESSION, folder / SESSION),
        sent_file(ROWS, folder / ROWS),
    ]
    for model in models:
        inside = model.folder / "model"
        found += sent_folder(inside.relative_to(folder).as_posix(), inside)
    return found


async def _up(link: HostConnection) -> None:
    while not link.is_up:
        await link.changed()


@contextlib.contextmanager
def _watching(link: HostConnection, handle: TaskHandle) -> Iterator[None]:
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


async def _followed(commands: HostCommands, command_id: str, handle: TaskHandle, target: str) -> None:
    """Report what the command says until it has ended. Raises Failed, LinkDown."""
    rest, last = b"", {}
    async with commands.attach(command_id) as output:
        async for event in output:
            if isinstance(event, Output) and event.stream == "stdout":
                *lines, rest = (rest + event.data).split(b"\n")
                for line in lines:
                    last = _event(line)
                    if "rows" in last:
                        handle.progress(f"{target}: {last['rows']}", float(last.get("share") or 0.0))
                    elif "line" in last:
                        handle.say(str(last["line"]))
            elif isinstance(event, CommandEnd):
                if "done" in last:
                    return
                if "failed" in last:
                    raise Failed(
                        f"{target}: {last['failed']}", hint=str(last.get("hint") or "Evaluate again.")
                    )
                raise Failed(
                    f"The evaluation on {target} ended before its last row: {event.reason or 'the host restarted'}",
                    hint="Nothing was written. Evaluate again.",
                )


def _event(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}
