"""A load test: the schedule, the figures, and requests to processes that are slow, fail, stream and vanish."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Conflict, InvalidRequest
from genops_lab.deployments.asking import AskingService
from genops_lab.deployments.load_models import LoadTest, NewLoadTest
from genops_lab.deployments.load_tests import LoadTestsService, summary
from genops_lab.deployments.recording import RecordingService
from genops_lab.deployments.targets.base import DeploymentTarget
from genops_lab.serving.load.figures import knee, quantile
from genops_lab.serving.load.schedule import ramp


def test_arrivals_do_not_depend_on_answers_and_are_the_same_each_time() -> None:
    steps = ramp(10, 1000, 30, 3)
    assert [round(each.rate) for each in steps] == [10, 100, 1000]
    assert [len(each.arrivals) for each in steps] == [len(each.arrivals) for each in ramp(10, 1000, 30, 3)]
    for step in steps:
        assert step.arrivals == sorted(step.arrivals)
        assert step.begins_s <= step.arrivals[0]
        assert step.arrivals[-1] < step.ends_s
        # Poisson: the count is within 4 standard deviations, and the gaps differ as much as their mean.
        expected = step.rate * 10
        assert abs(len(step.arrivals) - expected) < 4 * expected**0.5
    assert len(ramp(50, 50, 10, 5)) == 1


def test_a_quantile_is_a_value_that_was_seen() -> None:
    values = [float(each) for each in range(1, 101)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1.0)) == (50.0, 99.0, 100.0)
    assert (quantile([7.0], 0.99), quantile([], 0.5)) == (7.0, None)


class Answerer:
    """An HTTP server whose answers a test decides: one after the other, each after ``delay_s``, streamed or broken."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.status = 200
        self.chunks = 0
        self.breaks = False
        self.bodies: list[bytes] = []
        self.keys: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._lock = asyncio.Lock()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result(10)
        self.port = int(server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except asyncio.IncompleteReadError:
                break
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            self.bodies.append(await reader.readexactly(int(fields.get("Content-Length", 0))))
            self.keys.add(fields.get("Authorization", ""))
            async with self._lock:
                await asyncio.sleep(self.delay_s)
            if self.breaks:
                break
            if self.chunks:
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                for _ in range(self.chunks):
                    await asyncio.sleep(0.02)
                    writer.write(b"9\r\ndata: x\n\n\r\n")
                writer.write(b"0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 %d OK\r\ncontent-length: 2\r\n\r\n{}" % self.status)
        writer.close()


@pytest.fixture
def answerer() -> Answerer:
    return Answerer()


def load(answerer: Answerer, **plan: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Run the process of a load test: the lines of its steps, and the result."""
    given = {
        "url": f"http://127.0.0.1:{answerer.port}/digits", "path": "/invocations", "requests": ["{}"],
        "headers": {"Authorization": "Bearer key"}, "first_rate": 20, "last_rate": 80, "seconds": 2, "steps": 2,
        "limit_ms": 500, "timeout_s": 5, **plan,
    }  # fmt: skip
    command = [sys.executable, "-I", "-m", "genops_lab.serving.load"]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    *steps, result = [json.loads(line) for line in done.stdout.splitlines()]
    return steps, result


def test_a_deployment_that_is_fast_enough_has_its_knee_at_the_last_rate(answerer: Answerer) -> None:
    steps, result = load(answerer, requests=["1", "2", "3"])
    assert [each["rate"] for each in steps] == [20, 80]
    assert (result["knee"], result["stopped"], result["failures"]) == (80, False, [])
    for step in result["steps"]:
        assert step["sent"] == step["answered"] == step["in_time"]
        assert 0 < step["p50_ms"] <= step["p95_ms"] <= step["p99_ms"]
        assert step["first_p50_ms"] is None
    assert answerer.bodies[:4] == [b"1", b"2", b"3", b"1"], "they are sent in turn"
    assert answerer.keys == {"Bearer key"}


def test_a_queue_counts_into_the_latency(answerer: Answerer) -> None:
    """Each answer takes 40 ms alone. At 80 a second the later ones wait: a closed loop would see 40 ms for all."""
    answerer.delay_s = 0.04
    _, result = load(answerer, limit_ms=300, seconds=4)
    first, last = result["steps"]
    assert result["knee"] == 20
    assert first["p50_ms"] < 300 < last["p99_ms"]
    assert last["p99_ms"] > 10 * 40
    assert last["in_time"] < last["answered"] == last["sent"]


def test_a_test_of_an_overloaded_deployment_ends_early(answerer: Answerer) -> None:
    answerer.delay_s = 0.3
    steps, result = load(
        answerer, first_rate=20, last_rate=320, steps=4, seconds=4, limit_ms=100, timeout_s=1
    )
    assert (len(steps), len(result["steps"])) == (1, 1)
    assert (result["knee"], result["stopped"]) == (None, True)
    assert [each["what"] for each in result["failures"]] == ["no answer in 1 s"]


@pytest.mark.parametrize(("case", "what"), [("refused", "HTTP 503"), ("broken", "the connection was lost")])
def test_failures_are_counted_apart(answerer: Answerer, case: str, what: str) -> None:
    answerer.status, answerer.breaks = (503, False) if case == "refused" else (200, True)
    _, result = load(answerer, first_rate=20, last_rate=20, seconds=1)
    step = result["steps"][0]
    assert result["failures"] == [{"what": what, "count": step["sent"]}]
    assert (step["failed"], step["answered"], step["p99_ms"]) == (step["sent"], 0, None)
    assert result["knee"] is None


def test_a_closed_port_is_a_failure_not_a_crash(answerer: Answerer) -> None:
    answerer.port = 1
    _, result = load(answerer, first_rate=20, last_rate=20, seconds=1)
    assert "cannot connect" in result["failures"][0]["what"]


def test_streamed_answers_have_a_first_event_and_gaps(answerer: Answerer) -> None:
    answerer.chunks = 4
    _, result = load(answerer, first_rate=20, last_rate=20, seconds=1)
    step = result["steps"][0]
    assert step["answered"] == step["sent"]
    assert 20 <= step["first_p50_ms"] < step["p50_ms"]
    assert 10 <= step["between_p50_ms"] < step["p50_ms"]


# The operation -------------------------------------------------------------------------------------------------------


class Deployed:
    """Stands in for the service of deployments: one that answers at the port of an Answerer."""

    def __init__(self, answerer: Answerer, url: str | None = None) -> None:
        self._url = f"http://127.0.0.1:{answerer.port}/digits" if url is None else url
        self.revision = 1

    async def get_deployment(self, name: str) -> Any:
        from genops_lab.deployments.models import Deployment

        return Deployment(
            name=name, model="digits", version=str(self.revision), state="running" if self._url else "stopped",
            url=self._url, created_at=1.0, lease_until=2.0, revision=self.revision,
        )  # fmt: skip

    async def get_deployment_key(self, name: str) -> Any:
        from genops_lab.deployments.models import DeploymentKey

        return DeploymentKey(name=name, key="key")


class Tests:
    """The services of load tests."""

    def __init__(self, folder: Path, deployed: Deployed) -> None:
        from genops_lab.core.events import EventBus
        from genops_lab.core.settings import Settings
        from genops_lab.core.store import LocalStore
        from genops_lab.core.store.work import WorkTable
        from genops_lab.core.tasks import TasksService

        self.store = LocalStore(folder / "store.db")
        self.tasks = TasksService(EventBus(self.store), WorkTable(self.store))
        asking = AskingService(deployed)  # type: ignore[arg-type]
        recording = RecordingService(asking, DeploymentTarget)  # type: ignore[arg-type]
        self.service = LoadTestsService(Settings(data_dir=folder), self.tasks, asking, recording)

    async def run(self, **plan: Any) -> Any:
        task = await self.service.load_deployment("digits", NewLoadTest(**plan))
        return await self.tasks.wait(task.id)

    async def kept(self) -> list[LoadTest]:
        return await self.service.list_load_tests("digits")


@pytest.fixture
def tests(tmp_path: Path, answerer: Answerer) -> Iterator[tuple[Tests, Deployed]]:
    deployed = Deployed(answerer)
    made = Tests(tmp_path, deployed)
    yield made, deployed
    made.store.close()


async def test_a_test_is_a_task_and_is_kept_with_its_revision(
    tests: tuple[Tests, Deployed], tmp_path: Path
) -> None:
    found, deployed = tests
    plan = {
        "first_rate": 20.0,
        "last_rate": 40.0,
        "seconds": 1.0,
        "limit_ms": 800.0,
        "requests": ['{"secret": 1}'],
    }
    task = await found.run(**plan)
    assert (task.state, task.kind, task.subject) == ("done", "load_test", "deployment:digits"), task
    assert task.message == "99 of 100 requests were answered within 800 ms at each rate, up to 40 requests/s."
    deployed.revision = 2
    await found.run(**plan)
    await found.run(**{**plan, "limit_ms": 900.0})
    third, second, first = await found.kept()
    assert [each.revision for each in (first, second, third)] == [1, 2, 2]
    assert (first.before, second.before, third.before) == ("", first.id, ""), "only the same plan is compared"
    written = [path.read_text() for path in (tmp_path / "load_tests" / "digits").iterdir()]
    assert len(written) == 3
    assert "secret" not in "".join(written)
    assert "Bearer" not in "".join(written)


async def test_a_cancelled_test_ends_its_process(tests: tuple[Tests, Deployed]) -> None:
    import psutil

    found, _ = tests
    body = NewLoadTest(first_rate=20, last_rate=40, seconds=600, requests=["{}"])
    task = await found.service.load_deployment("digits", body)

    def processes() -> list[psutil.Process]:
        found = []
        for each in psutil.Process().children():
            try:
                if "genops_lab.serving.load" in each.cmdline():
                    found.append(each)
            except psutil.Error:  # it begins or has ended
                continue
        return found

    while not processes():
        await asyncio.sleep(0.05)
    assert (await found.tasks.cancel_task(task.id)).state == "cancelled"
    assert processes() == []
    assert await found.kept() == []


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        ({"first_rate": 20.0, "last_rate": 10.0}, "no ramp"),
        ({"first_rate": 0.0}, "no ramp"),
        ({"last_rate": 1e9}, "no ramp"),
        ({"seconds": 0.1}, "seconds is 0.1"),
        ({"limit_ms": 0.0}, "limit_ms is 0"),
        ({"requests": ["{}"] * 1001}, "1,001 requests"),
        ({"requests": []}, "without an input example"),
    ],
)
async def test_plans_that_cannot_be_run_are_refused(
    tests: tuple[Tests, Deployed], plan: Any, text: str
) -> None:
    found, _ = tests
    with pytest.raises(InvalidRequest, match=text):
        await found.service.load_deployment("digits", NewLoadTest(**{"requests": ["{}"], **plan}))


async def test_a_stopped_deployment_is_not_tested(tmp_path: Path, answerer: Answerer) -> None:
    found = Tests(tmp_path, Deployed(answerer, url=""))
    with pytest.raises(Conflict, match="it does not answer"):
        await found.run(requests=["{}"])
    found.store.close()


def test_a_summary_says_the_knee() -> None:
    from genops_lab.deployments.load_models import LoadFigures, LoadStep

    def figures(knee: float | None, **more: Any) -> LoadFigures:
        steps = [
            LoadStep(rate=rate, seconds=1, sent=9, answered=9, failed=0, in_time=9, goodput=9)
            for rate in (10, 20)
        ]
        return LoadFigures(steps=steps, knee=knee, **more)

    assert summary(figures(None), 50) == "Already 10 requests/s are too many for 50 ms."
    assert summary(figures(10), 50).startswith("Up to 10 requests/s, 99 of 100")
    assert summary(figures(20), 50).endswith("at each rate, up to 20 requests/s.")
    assert summary(figures(20, stopped=True), 50).startswith("Up to 20 requests/s")


def test_a_step_in_which_nothing_was_due_decides_nothing() -> None:
    steps = [{"rate": 0.5, "sent": 0, "in_time": 0}, {"rate": 1.0, "sent": 4, "in_time": 4}]
    assert knee(steps) == 1.0
    assert knee(steps[:1]) is None
