"""Let the models of an evaluation predict on the host of a target. All methods belong to the Lab's loop.

The files of the models and the rows go to the host by their hash. The agent of the host runs the models as one command.
Each model's predictions come back as one Parquet file.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genops_lab.agent.evaluate import ROWS, RUNNER, SESSION
from genops_lab.core.errors import Failed
from genops_lab.hosts.link.placed_files import SentFile, sent_file, sent_folder

from . import processes
from .host_sessions import HostSessions, Talk, command_order
from .loading import ModelLoading
from .processes import PlannedModel
from .runner import ANSWERS

if TYPE_CHECKING:
    from genops_lab.core.tasks import TaskHandle
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.hosts.service import TargetsService

#: Bounds of what a host may send for its predictions: for a file, and for each row.
_MORE_BYTES, _ROW_BYTES = 64 * 1024 * 1024, 16 * 1024


class TargetEvaluations:
    """Evaluations on targets."""

    def __init__(self, targets: TargetsService, loading: ModelLoading, data_dir: Path) -> None:
        self._sessions = HostSessions(targets, data_dir, "evaluate")
        self._loading = loading

    async def check(self, target: str) -> None:
        """Raise NotFound, InvalidRequest or Conflict unless evaluations can run on the target now."""
        await self._sessions.check(target)

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
        sessions, id = self._sessions, self._id(handle)
        link = await sessions.reached(handle, target)
        host = await sessions.talked(handle, link, id, lambda talk: talk.host())
        described = []
        for at, model in enumerate(models):
            wanted = await asyncio.to_thread(self._loading.requirements, model.folder / "model", host)
            python = await sessions.interpreter(
                handle, link, host, wanted, model.name, model.name.split(" ")[0], f"{id}-{at}"
            )
            described.append({"name": model.name, "interpreter": python, "allow_pickle": model.allow_pickle})
        content = json.dumps({**session, "models": described})
        await asyncio.to_thread((folder / SESSION).write_text, content, encoding="utf-8")
        files = await asyncio.to_thread(_files, folder, models)
        size = sum(each.size for each in files)
        handle.progress(f"Sending the models and the rows to {target} ({size / 1e6:,.1f} MB).")
        return await sessions.talked(handle, link, id, lambda talk: talk.place(files))

    async def predict(
        self, handle: TaskHandle, target: str, command: list[str], models: list[PlannedModel], rows: int
    ) -> None:
        """Run the command, or follow the one that runs, and fetch the predictions. Raises Failed."""
        sessions, id = self._sessions, self._id(handle)
        link = await sessions.reached(handle, target)

        def tell(event: dict[str, Any]) -> None:
            if "rows" in event:
                handle.progress(f"{target}: {event['rows']}", float(event.get("share") or 0.0))
            elif "line" in event:
                handle.say(str(event["line"]))

        last, end = await sessions.followed(handle, link, id, command_order(command, handle), tell)
        if "failed" in last:
            raise Failed(f"{target}: {last['failed']}", hint=str(last.get("hint") or "Evaluate again."))
        if "done" not in last:
            raise Failed(
                f"The evaluation on {target} ended before its last row: {end.reason or 'the host restarted'}",
                hint="Nothing was written. Evaluate again.",
            )
        handle.progress("Fetching the predictions.")
        limit = _MORE_BYTES + rows * _ROW_BYTES
        for at, model in enumerate(models):
            fetch = partial(
                Talk.fetch, path=f"model-{at}/{ANSWERS}", file=model.folder / ANSWERS, limit=limit,
                too_large="it has more predictions than the rows can have",
            )  # fmt: skip
            if not await sessions.talked(handle, link, id, fetch):
                raise Failed(f"{target} has no predictions of {model.name}.", hint="Evaluate again.")

    async def remove(self, handle: TaskHandle, target: str) -> None:
        """Stop what runs on the host, and remove the files of the session; say so if the host cannot be reached."""

        def remove(link: HostConnection) -> Any:
            id = self._id(handle)
            return self._sessions.removed(handle, link, id, [f"{id}-{at}" for at in (0, 1)])

        if why := await self._sessions.at_end(handle, target, remove):
            handle.say(
                f"What the evaluation left on {target} was not removed: {why} It ends there within a day."
            )

    def _id(self, handle: TaskHandle) -> str:
        return f"evaluation-{handle.id}"


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
