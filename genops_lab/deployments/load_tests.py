"""Test how many requests a deployment can answer in time, and keep the figures with its revision."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.core.errors import Failed, InvalidRequest
from genops_lab.core.models import Task
from genops_lab.core.paths import contained, private_dir, write_private
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.core.tasks import TaskHandle, TasksService

from .asking import AskingService
from .load_models import LoadFigures, LoadTest, NewLoadTest
from .models import Deployment
from .recording import RecordingService

#: The newest tests of a deployment are kept.
KEPT = 30
#: The source of a test with requests that were recorded.
RECORDED = "recorded requests"
#: How long the last answers are waited for.
TIMEOUT_S = 30.0
_MOST_REQUESTS, _MOST_BYTES = 1000, 8 * 2**20
_MOST_RATE, _MOST_SECONDS = 5000.0, 3600.0
#: A line of the process has the figures of all steps.
_LINE = 2**20


class LoadTestsService(Service):
    """Run load tests as tasks, each in a process of its own."""

    def __init__(
        self, settings: Settings, tasks: TasksService, asking: AskingService, recording: RecordingService
    ) -> None:
        self._root = settings.data_dir / "load_tests"
        self._tasks = tasks
        self._asking = asking
        self._recording = recording

    async def load_deployment(self, name: str, body: NewLoadTest) -> Task:
        """Test a running deployment under load; a task reports the progress."""
        _check(body)
        found = await self._asking.running(name)
        if body.recorded:
            path, requests = await self._recording.requests(name)
            body = msgspec.structs.replace(body, requests=requests, path=path, source=RECORDED)
        elif not (body.requests and body.path):
            body = await self._filled(found, body)

        async def work(handle: TaskHandle) -> str:
            return await self._run(handle, found, body)

        title = f"Load test of {name}"
        return self._tasks.start(title, work, subject=f"deployment:{name}", kind="load_test")

    async def _filled(self, found: Deployment, body: NewLoadTest) -> NewLoadTest:
        """Return a test with the path where the deployment is asked first, and with its example without requests."""
        shown = await self._asking.get_deployment_interface(found.name)
        body = msgspec.structs.replace(body, path=body.path or shown.path)
        if body.requests:
            return body
        if not shown.example:
            raise InvalidRequest(
                f"The model of {found.name!r} was logged without an input example.",
                hint=f"Give requests in a file: genops deployments load {found.name} --data FILE",
            )
        source = "example request" if found.serving else "input example of the model"
        return msgspec.structs.replace(body, requests=[shown.example], path=shown.path, source=source)

    async def list_load_tests(self, name: str) -> list[LoadTest]:
        """List the load tests of a deployment, the newest first."""
        created = (await self._asking.deployment(name)).created_at
        return await asyncio.to_thread(self._kept, name, created)

    async def _run(self, handle: TaskHandle, found: Deployment, plan: NewLoadTest) -> str:
        content = msgspec.to_builtins(plan) | {
            "url": found.url,
            "headers": await self._asking.headers(found.name, "application/json"),
            "steps": min(max(round(plan.seconds / 3), 2), 10),
            "timeout_s": TIMEOUT_S,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-m", "genops_lab.serving.load",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            limit=_LINE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdin.write(json.dumps(content).encode())
            process.stdin.close()
            figures = None
            async for line in process.stdout:
                news: dict[str, Any] = json.loads(line)
                if news.pop("kind") == "result":
                    figures = msgspec.convert(news, LoadFigures)
                else:
                    handle.progress(_told(news), news["number"] / news["of"])
            if figures is None:
                lines = (await process.stderr.read()).decode("utf-8", "replace").strip().splitlines()
                raise Failed(
                    f"The load test of {found.name!r} ended without a result: {lines[-1] if lines else 'no message'}."
                )
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        test = LoadTest(
            id=str(int(time.time() * 1000)),
            deployment=found.name,
            revision=found.revision,
            model=found.model,
            version=found.version,
            at=time.time(),
            # What was sent is not kept: it may be personal data.
            plan=msgspec.structs.replace(plan, requests=[]),
            figures=figures,
        )
        await asyncio.to_thread(self._keep, test)
        return summary(figures, plan.limit_ms)

    def _folder(self, name: str) -> Path:
        return contained(self._root, name)

    def _keep(self, test: LoadTest) -> None:
        folder = private_dir(self._folder(test.deployment))
        write_private(folder / f"{test.id}.json", msgspec.json.encode(test).decode())
        for old in sorted(folder.glob("*.json"))[:-KEPT]:
            old.unlink(missing_ok=True)

    def _kept(self, name: str, since: float) -> list[LoadTest]:
        """Return the tests since the deployment was made: an earlier one of its name may have had others."""
        folder = self._folder(name)
        paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
        tests = []
        for path in reversed(paths):
            with contextlib.suppress(
                OSError, msgspec.DecodeError
            ):  # deleted meanwhile, or of a newer version
                tests.append(msgspec.json.decode(path.read_bytes(), type=LoadTest))
        tests = [each for each in tests if each.at >= since]
        return [
            msgspec.structs.replace(each, before=_before(each, tests[at + 1 :]))
            for at, each in enumerate(tests)
        ]


def _before(test: LoadTest, earlier: list[LoadTest]) -> str:
    """Return the newest earlier test with the same plan, rather one of another revision."""
    alike = [each for each in earlier if each.plan == test.plan]
    others = [each for each in alike if each.revision != test.revision]
    return next((each.id for each in [*others, *alike]), "")


def _check(body: NewLoadTest) -> None:
    if not 0 < body.first_rate <= body.last_rate <= _MOST_RATE:
        raise InvalidRequest(
            f"The rates {body.first_rate:g} to {body.last_rate:g} are no ramp.",
            hint=f"Give two rates of up to {_MOST_RATE:,.0f} requests a second, the lower one first: --rate 10..200",
        )
    if not 1 <= body.seconds <= _MOST_SECONDS:
        raise InvalidRequest(
            f"seconds is {body.seconds:g}.", hint=f"A test takes 1 to {_MOST_SECONDS:,.0f} seconds."
        )
    if body.limit_ms <= 0:
        raise InvalidRequest(f"limit_ms is {body.limit_ms:g}.", hint="The limit must be more than 0 ms.")
    size = sum(len(each) for each in body.requests)
    if len(body.requests) > _MOST_REQUESTS or size > _MOST_BYTES:
        raise InvalidRequest(
            f"There are {len(body.requests):,} requests with {size:,} bytes.",
            hint=f"Give at most {_MOST_REQUESTS:,} requests and {_MOST_BYTES // 2**20} MiB. They are sent in turn.",
        )


def _told(step: dict[str, Any]) -> str:
    p99 = "no answer" if step["p99_ms"] is None else f"p99 {step['p99_ms']:.0f} ms"
    return f"{step['rate']:g} requests/s: {p99}, {step['in_time']} of {step['sent']} in time"


def summary(figures: LoadFigures, limit_ms: float) -> str:
    """Return the result of a test as a sentence."""
    first, last = figures.steps[0].rate, figures.steps[-1].rate
    if figures.knee is None:
        return f"Already {first:g} requests/s are too many for {limit_ms:g} ms."
    if figures.knee == last and not figures.stopped:
        return f"99 of 100 requests were answered within {limit_ms:g} ms at each rate, up to {last:g} requests/s."
    return f"Up to {figures.knee:g} requests/s, 99 of 100 requests are answered within {limit_ms:g} ms."
