"""Spools that were cut at any byte, Labs that were killed at any step, MLflows that were replaced: each event once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from genops_lab.core.errors import Conflict
from genops_lab.experiments.backends.writing import MlflowWriter
from genops_lab.experiments.models import MetricsQuery, RunQuery, TrackedProcess, TrackingEvent
from genops_lab.experiments.spool import is_gone, leftovers
from genops_lab.runtime.spool import Spool
from tests.support import exhaustive
from tests.support.exhaustive import times
from tests.support.homes import Home
from tests.support.warm import script, warm_address

from .conftest import Room, Sender, open_room, until
from .test_ended_processes import supervised

#: Writes a spool as a kernel does, and is killed.
WRITER = """
import os, signal, time
from genops_lab.runtime.spool import Spool
from genops_lab.runtime.paths import process_created
spool = Spool("cut", {"pid": os.getpid(), "created": process_created(), "kernel_id": "", "notebook": ""})
spool.append("start", time.time(), {"name": "cut", "experiment": "Cuts", "tags": {"a": "ü"}, "params": {"lr": "1"}})
for step in range(4):
    values = {"loss": step, "odd": "NaN"}
    spool.append("metrics", 1000.0 + step, {"values": values, "step": step, "timestamp": 1000.0 + step})
spool.append("params", time.time(), {"late": "2"})
spool.append("text", time.time(), {"path": "notes.txt", "content": "line\\nüber"})
spool.append("tags", time.time(), {"b": "c"})
spool.append("end", time.time(), {"status": "FINISHED"})
os.kill(os.getpid(), signal.SIGKILL)
"""


def recorded(home: Home) -> bytes:
    """The spool of a process that was killed."""
    done = subprocess.run([sys.executable, "-c", WRITER], env=home.environment(), cwd=home.work, check=False)
    assert done.returncode == -signal.SIGKILL
    (path,) = (home.data / "spool").iterdir()
    content = path.read_bytes()
    path.unlink()
    return content


def whole_events(content: bytes) -> list[TrackingEvent]:
    """What stands in whole lines."""
    lines = content[: content.rfind(b"\n") + 1].splitlines()[1:]
    return [msgspec.convert(json.loads(line), TrackingEvent) for line in lines]


def test_a_cut_at_any_byte_costs_the_torn_event_alone(home: Home, tmp_path: Path) -> None:
    content = recorded(home)
    header = content.index(b"\n") + 1
    for end in range(len(content) + 1):
        path = tmp_path / "cut.jsonl"
        path.write_bytes(content[:end])
        found = leftovers(tmp_path)
        if end < header - 1:
            assert found == [] and path.exists(), "it may still be written"
            continue
        (leftover,) = found
        expected = whole_events(content[:end])
        assert [event for batch in leftover.batches() for event in batch] == expected, end
        there, _ = Spool.left_behind(str(path))
        read = [msgspec.convert(event, TrackingEvent) for event in there.next_batch()]
        there.close(delete=False)
        assert read == expected, end


def test_a_line_that_is_damaged_in_the_middle_is_told(home: Home, tmp_path: Path) -> None:
    lines = recorded(home).splitlines(keepends=True)
    lines[3] = b"\0" * (len(lines[3]) - 1) + b"\n"
    (tmp_path / "cut.jsonl").write_bytes(b"".join(lines))
    (leftover,) = leftovers(tmp_path)
    batches = leftover.batches()
    assert [event.seq for event in next(batches)] == [1, 2]
    with pytest.raises(ValueError, match="line 4"):
        next(batches)


@pytest.mark.slow
async def test_what_was_cut_arrives_once_whatever_had_arrived_before(room: Room, home: Home) -> None:
    content = recorded(home)
    ends = [place + 1 for place, byte in enumerate(content) if byte == ord("\n")][1:]
    names: dict[str, list[TrackingEvent]] = {}
    for index, end in enumerate(ends):
        # What is read of each cut is told above.
        for cut in (end - 1, end, end + 1)[: times(3, 2)]:
            key = f"cut-{cut}"
            part = content[:cut].replace(b'"cut"', f'"{key}"'.encode())
            names[key] = whole_events(part)
            header = json.loads(part.splitlines()[0])
            if index % 2:  # the Lab had some of it
                sender = Sender(key, msgspec.convert(header["process"], TrackedProcess))
                sender.events = names[key]
                if names[key]:
                    await sender.send(room, 0, 1 + index // 2)
            (room.mlflow.spool / f"{key}.jsonl").write_bytes(part)
    async with supervised(room):
        await until(lambda: not list(room.mlflow.spool.glob("*.jsonl")), 120)
    runs = {run.name: run for run in (await room.experiments.list_runs(RunQuery(limit=500))).items}
    assert set(runs) == {key for key, events in names.items() if events}
    for key, events in names.items():
        if not events:
            continue
        run = runs[key]
        kinds = {event.kind for event in events}
        steps = [event.data["step"] for event in events if event.kind == "metrics"]
        found = (await room.experiments.get_run_metrics(run.run_id, MetricsQuery())).series
        assert [one.steps for one in found] == ([steps, steps] if steps else []), key
        assert run.params == ({"lr": "1", "late": "2"} if "params" in kinds else {"lr": "1"})
        assert run.status == ("FINISHED" if "end" in kinds else "FAILED")
        assert ("genops.failure" in run.tags) == ("end" not in kinds)
        assert run.tags.get("b") == ("c" if "tags" in kinds else None)
        detail = await room.experiments.get_run(run.run_id)
        assert [entry.path for entry in detail.artifacts] == (["notes.txt"] if "text" in kinds else [])


def everything(key: str, process: TrackedProcess | None = None) -> Sender:
    """A run with events of all kinds."""
    sender = Sender(key, process)
    sender.add("start", name=key, params={"lr": "1"})
    for step in range(3):
        sender.metrics(step, loss=step)
    sender.add("params", late="2")
    sender.add("text", path="notes.txt", content="x")
    sender.add("dataset", name="d", digest="1", source_type="local", source="{}")
    sender.add("tags", b="c")
    sender.metrics(3, loss=3)
    sender.add("end", status="FINISHED")
    return sender


async def assert_whole(room: Room, key: str) -> None:
    """The run is there, once, with each of its events once."""
    (run,) = (await room.experiments.list_runs(RunQuery(filter=f"attributes.run_name = '{key}'"))).items
    assert (run.status, run.params, run.tags) == ("FINISHED", {"lr": "1", "late": "2"}, {"b": "c"})
    (series,) = (await room.experiments.get_run_metrics(run.run_id, MetricsQuery())).series
    assert series.steps == [0, 1, 2, 3]
    assert [entry.path for entry in (await room.experiments.get_run(run.run_id)).artifacts] == ["notes.txt"]


@pytest.mark.slow
async def test_a_lab_that_ends_after_any_event_that_mlflow_has(room: Room) -> None:
    # Daily after one event of each kind.
    for written in range(1, 11) if exhaustive.ALL else (1, 4, 5, 6, 7, 8, 10):
        sender = everything(f"after-{written}")
        ack = await sender.send(room, 0, 1)
        # as if the Lab had ended before its own book had them
        await room.mlflow.worker.call(MlflowWriter.apply, ack.run_id, sender.events[1:written])
        await sender.send(room)
        await assert_whole(room, sender.run_key)


#: A Lab that is killed before (or after) the n-th word that it writes into its own book.
KILLED_LAB = """
import asyncio, os, signal, sys
from pathlib import Path
from genops_lab.experiments.ledger import TrackedRuns
from genops_lab.experiments.models import TrackingBatch
from tests.experiments.conftest import open_room
from tests.support import warm
import msgspec
data, batch, method, when = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:5]
warm.use(sys.argv[5])
real = getattr(TrackedRuns, method)
def killed(self, *given):
    if when == "after":
        real(self, *given)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(TrackedRuns, method, killed)
async def main():
    await open_room(data).tracking.track(msgspec.json.decode(batch.read_bytes(), type=TrackingBatch))
asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "when"),
    [("add", "before"), ("add", "after"), ("acknowledge", "before"), ("acknowledge", "after")],
)
async def test_a_lab_that_is_killed_beside_its_book(room: Room, home: Home, method: str, when: str) -> None:
    sender = everything("killed-lab")
    await room.mlflow.ensure()
    batch = home.path / "batch.json"
    batch.write_bytes(msgspec.json.encode(sender.batch()))
    process = await asyncio.create_subprocess_exec(
        *script(KILLED_LAB, str(home.data), str(batch), method, when, warm_address()),
        cwd=Path(__file__).parents[2],
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await process.communicate()
    assert process.returncode == -signal.SIGKILL, error.decode()[-2000:]
    await sender.send(room)
    await assert_whole(room, "killed-lab")


#: Another Lab of this user.
OTHER_LAB = """
import asyncio, sys
from pathlib import Path
from genops_lab.experiments.models import TrackingBatch
from tests.experiments.conftest import open_room
from tests.support import warm
import msgspec
warm.use(sys.argv[2])
async def main():
    room = open_room(Path(sys.argv[1]))
    await room.experiments.list_experiments()
    print("ready", flush=True)
    for line in sys.stdin:
        await room.tracking.track(msgspec.json.decode(line, type=TrackingBatch))
    await room.close()
asyncio.run(main())
"""


@pytest.mark.slow
async def test_two_labs_that_are_given_the_same_events(room: Room, home: Home) -> None:
    senders = [everything(f"twice-{number}") for number in range(times(8, 5))]
    await room.experiments.list_experiments()
    other = await asyncio.create_subprocess_exec(
        *script(OTHER_LAB, str(home.data), warm_address()), cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert other.stdin is not None and other.stdout is not None
    assert await other.stdout.readline() == b"ready\n"
    other.stdin.write(b"".join(msgspec.json.encode(sender.batch()) + b"\n" for sender in senders))
    other.stdin.close()
    for sender in senders:
        await sender.send(room)
    _, error = await other.communicate()
    assert other.returncode == 0, error.decode()[-2000:]
    for sender in senders:
        await assert_whole(room, sender.run_key)
    assert len((await room.experiments.list_runs(RunQuery())).items) == len(senders)


async def test_a_run_that_mlflow_lost_is_written_anew(room: Room, home: Home) -> None:
    sender = everything("lost")
    first = await sender.send(room, 0, 4)
    await room.close()
    for path in (home.data / "mlflow").glob("mlflow.db*"):
        path.unlink()  # another MLflow at the same address
    later = open_room(home.data)
    with pytest.raises(Conflict) as refused:
        await sender.send(later, 4)
    assert refused.value.details == {"acked_seq": 0}
    ack = await sender.send(later)
    assert ack.run_id != first.run_id and ack.acked_seq == len(sender.events)
    await assert_whole(later, "lost")
    await later.close()


@pytest.fixture
def dead() -> TrackedProcess:
    """A process that has ended."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return TrackedProcess(pid=gone.pid, created=1.0)


def test_a_clock_that_was_set_ends_no_process(home: Home, tmp_path: Path) -> None:
    """The start time of a process moves with the clock, as here by 100 s; the file that it writes does not."""
    path = tmp_path / f"{'a' * 32}.jsonl"
    code = "import os, sys; os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT); print('on', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"on\n"
        process = TrackedProcess(pid=writer.pid, created=psutil.Process(writer.pid).create_time() - 100)
        header = {"run_key": path.stem, "process": msgspec.to_builtins(process)}
        path.write_text(json.dumps(header) + "\n")
        assert not is_gone(process, path) and leftovers(tmp_path) == []
        other = tmp_path / f"{'b' * 32}.jsonl"
        other.write_text(path.read_text().replace("a" * 32, "b" * 32))
        assert is_gone(process, other) and is_gone(process)
        assert [each.path for each in leftovers(tmp_path)] == [other], "another process has this pid by now"
        writer.kill()
    assert is_gone(process, path)


async def test_a_deleted_run_keeps_nobody_from_being_looked_after(room: Room, dead: TrackedProcess) -> None:
    deleted, other = everything("deleted", dead), everything("other", dead)
    ack = await deleted.send(room, 0, 2)
    await other.send(room, 0, 2)
    from genops_lab.experiments.columns.models import RunIds

    await room.run_table.delete_runs(RunIds(run_ids=[ack.run_id]))
    for sender in (deleted, other):
        header = {"run_key": sender.run_key, "process": msgspec.to_builtins(sender.process)}
        lines = [header, *(msgspec.to_builtins(event) for event in sender.events)]
        path = room.mlflow.spool / f"{sender.run_key}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    async with supervised(room):
        await until(lambda: not list(room.mlflow.spool.glob("*.jsonl")))
    assert [path.name for path in room.mlflow.spool.iterdir()] == ["deleted.broken"]
    await assert_whole(room, "other")
    assert (await room.tracking.open_runs_at("")) == []


async def test_an_end_that_lies_in_the_spool_is_the_runs_end(room: Room, dead: TrackedProcess) -> None:
    sender = everything("late", dead)
    ack = await sender.send(room, 0, 4)
    (room.mlflow.spool / "late.jsonl").write_bytes(
        b"{"
    )  # as a look at the spool finds it that came too early
    await room.tracking.process_ended("late")
    assert (await room.experiments.resolve_run(ack.run_id)).status == "RUNNING"
    (room.mlflow.spool / "late.jsonl").unlink()
    await sender.send(room)
    await assert_whole(room, "late")


async def test_what_two_take_over_in_one_moment_is_no_error(room: Room, dead: TrackedProcess) -> None:
    """Whoever resumes a run takes over what is left of it, and so does the look at all runs."""
    sender = everything("twice", dead)
    await sender.send(room, 0, 2)
    header = {"run_key": sender.run_key, "process": msgspec.to_builtins(sender.process)}
    lines = [header, *(msgspec.to_builtins(event) for event in sender.events)]
    (room.mlflow.spool / "twice.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    [leftover] = leftovers(room.mlflow.spool)
    await asyncio.gather(*(room.tracking._take_over(leftover) for _ in range(2)))
    await assert_whole(room, "twice")
    # One that comes later still finds it in its list.
    await room.tracking._take_over(leftover)
    await assert_whole(room, "twice")
    assert list(room.mlflow.spool.iterdir()) == []
