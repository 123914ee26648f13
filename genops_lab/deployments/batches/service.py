"""Score whole files with deployments."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, Failed, InvalidRequest
from genops_lab.core.paths import private_dir
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.core.tasks import TaskHandle
from genops_lab.evaluations.backends.data_sets import ROWS, EvaluationData

from .models import BegunBatch, NewBatch

if TYPE_CHECKING:
    from genops_lab.core.work import WorkService
    from genops_lab.deployments.service import DeploymentsService
    from genops_lab.experiments.mlflow import MlflowConnection

#: The kind of durable work; its subject is ``batch:<file>``.
KIND = "batch"
MOST_ROWS, MOST_PARALLEL = 100_000, 64
_LEFT_S = 7 * 86400.0
_END_S = 5.0


class BatchesService(Service):
    """Score rows with a deployment, in a process of its own.

    Durable work: if JupyterLab ends meanwhile, or the deployment does not answer, the rows that have answers are kept.
    The same request goes on from there.
    """

    def __init__(
        self, settings: Settings, mlflow: MlflowConnection, deployments: DeploymentsService, work: WorkService
    ) -> None:
        # Imported late: the table of routes needs only this class, and SQLAlchemy costs 135 ms.
        from genops_lab.core.work import WorkKind

        self._root = settings.data_dir / "batches"
        self._files = settings.root_dir
        self._mlflow = mlflow
        self._deployments = deployments
        self._work = work
        work.register(WorkKind(KIND, {"read": self._read, "score": self._score}, self._cancelled))

    async def score_deployment(self, name: str, body: NewBatch) -> BegunBatch:
        """Score the rows of a file with a running deployment. A task reports the progress.

        Raises Conflict if the deployment does not run or the output file exists.
        """
        if not 1 <= body.batch_rows <= MOST_ROWS or not 1 <= body.parallel <= MOST_PARALLEL:
            raise InvalidRequest(
                f"{body.batch_rows} rows a request and {body.parallel} requests at once are asked for.",
                hint=f"Give 1 to {MOST_ROWS:,} rows and 1 to {MOST_PARALLEL} requests.",
            )
        found = await self._deployments.get_deployment(name)
        if found.state != "running":
            raise Conflict(
                f"{name!r} is {found.state}.", hint="Wait until it runs, or deploy the version again."
            )
        out = await asyncio.to_thread(self._checked_out, body)
        body = msgspec.structs.replace(
            body, out=str(out), data=await asyncio.to_thread(self._located, body.data)
        )
        data = await self._mlflow.call(EvaluationData.find, body.data, "")
        plan = {
            "name": name,
            "created_at": found.created_at,
            "digest": data.digest,
            "body": msgspec.to_builtins(body),
        }
        await asyncio.to_thread(self._remove_left)
        title = f"Score {data.name} with {name}"
        task = await self._work.begin(KIND, plan, title=title, subject=f"batch:{out}")
        return BegunBatch(task=task, out=str(out))

    def _checked_out(self, body: NewBatch) -> Path:
        out = Path(body.out).expanduser()
        out = (out if out.is_absolute() else (self._files or Path.home()) / out).absolute()
        if out.suffix != ".parquet":
            raise InvalidRequest(f"{out.name} is no name of a Parquet file.", hint="Give a file *.parquet.")
        if not out.parent.is_dir():
            raise InvalidRequest(f"There is no folder {out.parent}.", hint="Create it, or give another file.")
        if out.exists() and not body.overwrite:
            raise Conflict(
                f"{out} exists.", hint="Give another file, or add --overwrite.", code="file_exists"
            )
        return out

    def _located(self, data: str) -> str:
        """Return the absolute path of a file that is named below the home or the Jupyter server's folder."""
        if data.startswith("~/"):
            return str(Path(data).expanduser())
        file = None if self._files is None or "\0" in data else self._files / data
        return str(file) if file is not None and file.is_file() else data

    # The steps of the durable work ---------------------------------------------------------------------------------

    async def _read(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> dict[str, Any]:
        """Copy the rows, so that a file that changes meanwhile does not mix two contents."""
        body = msgspec.convert(plan["body"], NewBatch)
        folder = await asyncio.to_thread(private_dir, self._folder(plan))
        handle.progress(f"Reading {body.data}.")
        data = await self._mlflow.call_long(EvaluationData.copy, body.data, str(folder))
        if data.digest != plan["digest"]:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise Failed(f"{data.name} changed while it was read.", hint="Score again once it is written.")
        return {"rows": data.rows, "data": data.name}

    async def _score(self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        body = msgspec.convert(plan["body"], NewBatch)
        folder, rows = self._folder(plan), int(data["rows"])
        deployment = await self._deployments.get_deployment(plan["name"])
        key = await self._deployments.get_deployment_key(plan["name"])
        if not deployment.url or deployment.created_at != plan["created_at"]:
            raise Failed(f"{plan['name']!r} was deployed anew.", hint="Score again.")
        parts = await asyncio.to_thread(private_dir, folder / "parts")
        spec = {
            "rows": str(folder / ROWS), "parts": str(parts), "out": body.out, "url": deployment.url, "key": key.key,
            "without": body.without, "settings": body.settings, "batch_rows": body.batch_rows,
            "parallel": body.parallel,
        }  # fmt: skip
        kept = len(list(parts.glob("part-*"))) * body.batch_rows
        if kept:
            handle.say(f"Some {min(kept, rows):,} rows have answers already.")
        await self._work.hold(handle)
        async for message in _scored(spec):
            if "error" in message:
                raise Failed(message["error"], hint=message["hint"])
            if "rows" in message:
                kept += message["rows"]
                handle.show(f"{min(kept, rows):,} of {rows:,} rows are scored.", min(kept / rows, 1.0))
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return {"message": f"{rows:,} rows of {data['data']} are scored: {body.out}"}

    async def _cancelled(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> None:
        handle.say("The answers so far are kept for a week: the same request goes on from there.")

    def _folder(self, plan: dict[str, Any]) -> Path:
        """Return the folder of a request: the same request finds its answers there."""
        chosen = {"digest": plan["digest"], "name": plan["name"], "created_at": plan["created_at"]}
        asked = {name: plan["body"][name] for name in ("out", "without", "settings", "batch_rows")}
        text = json.dumps({**chosen, **asked}, sort_keys=True)
        return self._root / hashlib.sha256(text.encode()).hexdigest()[:24]

    def _remove_left(self) -> None:
        """Remove folders of requests that nobody repeated for a week."""
        for folder in private_dir(self._root).iterdir():
            if folder.stat().st_mtime < time.time() - _LEFT_S:
                shutil.rmtree(folder, ignore_errors=True)


async def _scored(spec: dict[str, Any]) -> Any:
    """Yield the messages of the process that scores, and end it if nobody reads on. Raises Failed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "genops_lab.deployments.batches.run",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    errors = asyncio.ensure_future(process.stderr.read())
    try:
        process.stdin.write(json.dumps(spec).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await process.stdin.drain()
        ended = False
        async for line in process.stdout:
            message = json.loads(line)
            ended = ended or "done" in message or "error" in message
            yield message
        if not ended:
            last = (await errors).decode(errors="replace").strip().splitlines()[-1:]
            raise Failed(
                f"The process that scores ended at once. {''.join(last)[:300]}".strip(),
                hint="The machine may have run out of memory. Score again with the same options: it goes on.",
            )
    finally:
        process.stdin.close()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), _END_S)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        errors.cancel()
