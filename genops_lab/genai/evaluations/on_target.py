"""Ask and score on the host of a target. All methods belong to the Lab's loop.

The folder of the results, as far as the stages read it, and this package's Python files go to the host by their hash.
One command there asks and scores (:mod:`.host_command`). Its journals come back at its end, and are removed there.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.agent.run_evaluation import CODE, ENDPOINTS, SESSION
from genops_lab.core.errors import Failed, GenOpsError
from genops_lab.core.paths import private_dir
from genops_lab.core.tasks import SilentHandle
from genops_lab.deployments.environments import lines_on
from genops_lab.evaluations.host_sessions import FOLLOWED, HostSessions, Talk, command_order
from genops_lab.hosts.link.payload import INIT, python_files, zipped
from genops_lab.hosts.link.placed_files import SentFile, sent_file, sent_folder
from genops_lab.hosts.link.state import RemoteError

from .host_command import ROOT, HostEndpoints, HostSession, HostStage
from .host_results import HostNeeds, HostResults
from .results_folder import find_folder

if TYPE_CHECKING:
    from genops_lab.core.tasks import TaskHandle
    from genops_lab.core.worker import Worker
    from genops_lab.hosts.host_python import HostPython
    from genops_lab.hosts.link.commands import HostCommands, HostUnit
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.hosts.service import TargetsService

    from .models import AnswerEvaluation

#: The parts of this package that the stages import.
_CODE = ("agent", "core", "evaluations", "experiments", "genai", "runtime", "statistics")
#: What the stages read and do not write, by its path in the folder.
_READ = ("evaluation.yaml", "rows.jsonl", "order.json", "added.json")
_READ_FOLDERS = ("files", "attachments")
#: Bounds of a file of results: more than the largest answers need, and all that one file may have.
_MORE_BYTES, _ANSWER_BYTES, _MOST_BYTES = 64 << 20, 8 << 20, 4 << 30
#: Seconds that a command which is stopped has to keep what it has, and that its results may take to come.
_GRACE_S, _FETCH_S = 10.0, 300.0


class AnswersOnTarget:
    """The evaluations that run on targets. ``worker`` has the folders below ``root``."""

    def __init__(self, targets: TargetsService, worker: Worker, root: Path) -> None:
        self._sessions = HostSessions(targets, root, "answers")
        self._worker, self._root = worker, root
        self.check, self.check_kind = self._sessions.check, self._sessions.check_kind

    async def run(
        self, handle: TaskHandle, evaluation: AnswerEvaluation, stages: list[HostStage],
        endpoints: Callable[[], Awaitable[HostEndpoints]], tell: Callable[[dict[str, Any]], None],
    ) -> AnswerEvaluation:  # fmt: skip
        """Run stages on the host, or follow those that run there, and take the results.

        ``endpoints`` are asked for when something starts. A host that restarted meanwhile goes on. Raises Failed:
        :meth:`rescue` brings what was answered.
        """
        target, id = evaluation.target, _session(evaluation)
        owner = f"{handle.id} {work_of(evaluation, stages)}"
        link = await self._sessions.reached(handle, target)
        for is_last in (False, True):
            order = FOLLOWED
            if not await self._is_there(handle, link, id, owner):
                given = await endpoints()
                command = await self._placed(handle, link, evaluation, stages, given)
                secret = {ENDPOINTS: msgspec.json.encode(given).decode()}
                order = command_order(command, handle, env=secret, owner=owner)
            last, end = await self._sessions.followed(handle, link, id, order, tell)
            found = await self._taken(handle, link, evaluation)
            if "done" in last:
                return found
            is_cut = end.ended_by == "host" or (end.exit_code is None and "failed" not in last)
            if is_last or not is_cut:
                break
            handle.say(f"{target} restarted. The evaluation goes on there.")
            await self._sessions.ended(handle, link, id)
        if "failed" in last:
            raise Failed(f"{target}: {last['failed']}", hint=str(last.get("hint") or _resume(evaluation)))
        why = end.reason or "the host restarted."
        raise Failed(f"The evaluation ended early on {target}: {why}", hint=_resume(evaluation))

    async def _is_there(self, handle: TaskHandle, link: HostConnection, id: str, owner: str) -> bool:
        """Return whether the host has the command, which an earlier Lab or task started. Another one is ended.

        One of an earlier task counts only while it runs.
        """

        async def look(commands: HostCommands) -> HostUnit | None:
            try:
                return await commands.info(id)
            except RemoteError as error:
                if error.code != "not_found":
                    raise
                return None

        found = await self._sessions.with_commands(handle, link, look)
        if found is None:
            return False
        same = found.owner.partition(" ")[2] == owner.partition(" ")[2]
        if found.owner == owner or (same and found.state == "running"):
            return True
        await self._sessions.ended(handle, link, id, _GRACE_S)
        return False

    async def _placed(
        self, handle: TaskHandle, link: HostConnection, evaluation: AnswerEvaluation, stages: list[HostStage],
        endpoints: HostEndpoints,
    ) -> list[str]:  # fmt: skip
        """Provide an interpreter and the files, and return the command. Raises Failed."""
        id, sessions = _session(evaluation), self._sessions
        litellm = any(each.litellm for each in (*endpoints.answering, *endpoints.judges))
        needs = await self._worker.call(HostResults.needs, evaluation.id, litellm)
        host = await sessions.talked(handle, link, id, lambda talk: talk.host())
        first, *lines = needs.lines  # a build has at least one package
        wanted = lines_on(lines, host, [first], _python(host, needs))
        name = f"the evaluation {evaluation.name}"
        python = await sessions.interpreter(handle, link, host, wanted, name, evaluation.name, _build(handle))
        with tempfile.TemporaryDirectory(prefix="genops-host-") as folder:
            digest = await asyncio.to_thread(_write_code, Path(folder, CODE))
            session = HostSession(evaluation=evaluation.id, stages=stages, code=digest, interpreter=python)
            await asyncio.to_thread(Path(folder, SESSION).write_bytes, msgspec.json.encode(session))
            code = await asyncio.to_thread(sent_file, CODE, Path(folder, CODE))
            own, absent = await asyncio.to_thread(self._files, evaluation.id, needs)
            own.append(await asyncio.to_thread(sent_file, SESSION, Path(folder, SESSION)))
            size = sum(each.size for each in (code, *own, *absent))
            await asyncio.to_thread(find_folder(self._root, evaluation.id).on_host.touch)
            handle.progress(f"Sending the evaluation to {link.route.target} (at most {size / 1e6:,.1f} MB).")
            return await sessions.talked(handle, link, id, lambda talk: talk.place([code], own, absent))

    def _files(self, id: str, needs: HostNeeds) -> tuple[list[SentFile], list[SentFile]]:
        """Return the files that the stages read, and those that they go on writing."""
        folder = find_folder(self._root, id).path
        there = f"{ROOT}/{id}"
        own = [sent_file(f"{there}/{name}", folder / name) for name in _READ if (folder / name).is_file()]
        for name in _READ_FOLDERS:
            if (folder / name).is_dir():
                own += sent_folder(f"{there}/{name}", folder / name)
        absent = [
            sent_file(f"{there}/{name}", folder / name) for name in needs.results if (folder / name).is_file()
        ]
        for name in needs.folders:
            if (folder / name).is_dir():
                absent += sent_folder(f"{there}/{name}", folder / name)
        return own, absent

    async def _taken(
        self, handle: TaskHandle, link: HostConnection, evaluation: AnswerEvaluation
    ) -> AnswerEvaluation:
        """Fetch the results, and take them over."""
        needs = await self._worker.call(HostResults.needs, evaluation.id, False)
        answers = sum(each.wanted for each in evaluation.models)
        limit = min(_MOST_BYTES, _MORE_BYTES + answers * _ANSWER_BYTES) if answers else _MOST_BYTES
        incoming = await asyncio.to_thread(private_dir, self._root.parent / "incoming")  # the same disk
        with tempfile.TemporaryDirectory(prefix="answers-", dir=incoming) as folder:

            async def fetch(talk: Talk) -> None:
                root = f"{ROOT}/{evaluation.id}"
                inside = [path for name in needs.folders for path in await talk.files(f"{root}/{name}")]
                for name in [*needs.results, *(path.removeprefix(f"{root}/") for path in inside)]:
                    file = Path(folder, name)
                    await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True)
                    await talk.fetch(f"{root}/{name}", file, limit, f"{name} has over {limit:,} bytes")

            await self._sessions.talked(handle, link, _session(evaluation), fetch)
            return await self._worker.call(HostResults.take, evaluation.id, folder)

    async def rescue(self, handle: TaskHandle, evaluation: AnswerEvaluation) -> str:
        """Stop what runs on the host, take its results, and remove them there. Return why that is not possible."""

        async def end(link: HostConnection) -> None:
            id = _session(evaluation)
            await self._sessions.ended(handle, link, id, _GRACE_S)
            await self._taken(handle, link, evaluation)
            await self._removed(handle, link, evaluation)

        return await self._sessions.at_end(handle, evaluation.target, end, _FETCH_S)

    async def remove(self, handle: TaskHandle, evaluation: AnswerEvaluation) -> None:
        """Remove what is on the host; say so if that is not possible."""

        if left := await self._left(handle, evaluation):
            handle.say(left)

    async def left(self, evaluation: AnswerEvaluation) -> str:
        """Stop and remove what is on the host, if it is connected. Return what is left there, and why."""
        if not await asyncio.to_thread(find_folder(self._root, evaluation.id).on_host.exists):
            return ""
        try:
            await self.check(evaluation.target)
        except GenOpsError as error:
            return _left(evaluation, error.message)
        return await self._left(SilentHandle(f"Delete {evaluation.name}"), evaluation)

    async def _left(self, handle: TaskHandle, evaluation: AnswerEvaluation) -> str:
        why = await self._sessions.at_end(
            handle, evaluation.target, lambda link: self._removed(handle, link, evaluation)
        )
        return _left(evaluation, why) if why else ""

    async def _removed(self, handle: TaskHandle, link: HostConnection, evaluation: AnswerEvaluation) -> None:
        await self._sessions.removed(handle, link, _session(evaluation), [_build(handle)])
        found = find_folder(self._root, evaluation.id)
        await asyncio.to_thread(found.on_host.unlink, missing_ok=True)


def _session(evaluation: AnswerEvaluation) -> str:
    """Return the id of the session and of its command, which fits into their bounds."""
    return f"answers-{hashlib.sha256(evaluation.id.encode()).hexdigest()[:24]}"


def _left(evaluation: AnswerEvaluation, why: str) -> str:
    return (
        f"{evaluation.target} still has files of {evaluation.id}: {why} The command there ends within a day, and the "
        "files are removed when they are 30 days old."
    )


def work_of(evaluation: AnswerEvaluation, stages: list[HostStage]) -> str:
    """Return what a command does, for its owner: one that does the same is followed, and no other."""
    return hashlib.sha256("\n".join([*stages, *evaluation.scorers]).encode()).hexdigest()[:24]


def _build(handle: TaskHandle) -> str:
    """Return the id of the build of a task: a later task may build again."""
    return f"answers-{handle.id}"


def _python(host: HostPython, needs: HostNeeds) -> str:
    """Return the version for an environment; empty: that of the host will do."""
    major, _, minor = host.version.partition(".")
    return needs.python if (int(major), int(minor)) < needs.oldest else ""


def _resume(evaluation: AnswerEvaluation) -> str:
    return f"The answers so far are kept. Go on with: genops evaluate resume {evaluation.id}"


@cache
def _code() -> bytes:
    """Return this package's files for the host as a zip, once for a process: the same bytes for the same version."""
    root = {"genops_lab/__init__.py": INIT, "genops_lab/version.py": INIT}
    return zipped({**root, **python_files(*_CODE)})


def _write_code(path: Path) -> str:
    """Write the code, and return its digest. Blocks."""
    path.write_bytes(_code())
    return hashlib.sha256(_code()).hexdigest()
