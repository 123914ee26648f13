"""Models over a slow line to a real MLflow server: progress moves, a cancel ends the copy, and nothing half is left.

Daily 5 MB; ``make test-all`` has 200 MB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from genops_lab.core.models import Task
from genops_lab.core.settings import Settings
from genops_lab.registry.backends.importing import EXPERIMENT
from genops_lab.registry.leftovers import ModelLeftovers
from genops_lab.registry.models import ImportModel, PullModel
from tests.support import exhaustive
from tests.support.faults import FaultProxy
from tests.support.homes import Home
from tests.support.mlflow_file import place_server_store, place_store
from tests.support.mlflow_server import running_mlflow
from tests.support.rooms import Rooms, eventually, open_rooms
from tests.support.warm import warm_workers

from .test_importing import client, ended, folder, imported, nothing_left, weights

SIZE = exhaustive.times(200_000_000, 5_000_000)
#: The whole copy takes some 4 s, in the exhaustive tests a minute.
RATE = exhaustive.times(3_500_000, 1_500_000)
#: A copy that is cancelled would take minutes.
CRAWL = 50_000
FIGURES = re.compile(
    r"(?P<there>[\d.]+) (?P<unit>bytes|KiB|MiB) of [\d.]+ MiB(, [\d.]+ \w+/s, [\d.]+ (s|min|h) left)?\.$"
)


@dataclass(frozen=True)
class Far:
    """An MLflow server behind a line, a Lab that uses it, and a Lab that has an MLflow of its own."""

    line: FaultProxy
    address: str
    artifacts: Path
    near: Rooms
    rooms: Rooms


@pytest.fixture(scope="module")
def far(module_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    place = tmp_path_factory.mktemp("far")
    place_store(module_home.data)
    place_server_store(place / "far.db")
    with (
        warm_workers(),
        running_mlflow(module_home, f"sqlite:///{place}/far.db", place / "artifacts") as url,
        FaultProxy(int(url.rpartition(":")[2]), held_bytes=1 << 17) as line,
    ):
        address = f"http://127.0.0.1:{line.port}"
        with (
            open_rooms(Settings(data_dir=place / "lab", mlflow_uri=address)) as rooms,
            open_rooms(Settings(data_dir=module_home.data)) as near,
        ):
            yield Far(line, address, place / "artifacts", near, rooms)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(
        tmp_path_factory.mktemp("large") / "source", w__safetensors=weights(SIZE // 4), config__json="{}"
    )


@pytest.fixture(autouse=True)
def fast_again(far: Far) -> Iterator[None]:
    yield
    far.line.set(bytes_per_s=0)


def bytes_in(message: str) -> float | None:
    found = FIGURES.search(message)
    if found is None:
        return None
    return float(found["there"]) * {"bytes": 1, "KiB": 1024, "MiB": 1 << 20}[found["unit"]]


def watched(rooms: Rooms, task: Task) -> tuple[Task, list[str]]:
    """The task's end, and the messages with figures on the way."""
    messages: list[str] = []

    def look() -> Task:
        found = rooms.run(rooms.tasks.get_task(task.id))
        if bytes_in(found.message) is not None and found.message not in messages:
            messages.append(found.message)
        return found

    return eventually(look, lambda found: found.state != "running", exhaustive.times(900, 120)), messages


def moves(messages: list[str]) -> None:
    figures = [bytes_in(each) or 0 for each in messages]
    assert len({*figures}) >= 3 and figures == sorted(figures), messages
    assert [each for each in messages if "/s, " in each and each.endswith(" left.")], messages


def cancelled(rooms: Rooms, task: Task) -> Task:
    """The end of a task that was cancelled once 0.1 MiB moved: long before its copy would have ended."""
    eventually(
        lambda: rooms.run(rooms.tasks.get_task(task.id)),
        lambda found: found.state != "running" or (bytes_in(found.message) or 0) > 100_000,
    )
    return rooms.run(rooms.tasks.cancel_task(task.id), timeout_s=20)


def test_files_are_registered_over_a_slow_line(far: Far, source: Path) -> None:
    rooms = far.rooms
    rooms.run(rooms.mlflow.ensure())
    far.line.set(bytes_per_s=CRAWL)
    task = rooms.run(rooms.imports.import_model("cancelled", ImportModel(source=str(source))))
    assert cancelled(rooms, task).state == "cancelled"
    far.line.set(bytes_per_s=0)
    nothing_left(rooms, "cancelled")
    eventually(lambda: [each for each in far.artifacts.rglob("*") if each.is_file()], lambda left: not left)
    far.line.set(bytes_per_s=RATE)
    task = rooms.run(rooms.imports.import_model("large", ImportModel(source=str(source))))
    end, messages = watched(rooms, task)
    assert end.state == "done", end
    moves(messages)
    kept = {each.name: each for each in far.artifacts.rglob("*") if each.is_file()}
    assert kept["w.safetensors"].read_bytes() == (source / "w.safetensors").read_bytes()


def test_a_version_is_pulled_over_a_slow_line(far: Far, source: Path, tmp_path: Path) -> None:
    rooms, body = far.rooms, PullModel(folder=str(tmp_path / "large"))
    if not (far.artifacts.is_dir() and [*far.artifacts.rglob("w.safetensors")]):
        imported(rooms, "large", source)
    far.line.set(bytes_per_s=CRAWL)
    task = rooms.run(rooms.uses.pull_version("large", body))
    assert cancelled(rooms, task).state == "cancelled" and not (tmp_path / "large").exists()
    lines = rooms.run(rooms.tasks.get_task_log(task.id)).lines
    assert any(
        each.endswith(f"To go on: genops models pull large {tmp_path}/large --version 1") for each in lines
    ), lines
    [left] = rooms.run(ModelLeftovers(rooms.settings, rooms.mlflow).list_leftovers())
    assert 60_000 < left.size_bytes < SIZE
    # The rest comes, with one more break in the middle: each byte once.
    far.line.set(bytes_per_s=RATE)
    before = far.line.status()["down_bytes"]
    far.line.reset_after((SIZE - left.size_bytes) // 2)
    end, messages = watched(rooms, rooms.run(rooms.uses.pull_version("large", body)))
    assert end.state == "done" and end.message.endswith("hashes are right."), end
    moves(messages)
    assert any("Trying again" in each for each in rooms.run(rooms.tasks.get_task_log(end.id)).lines)
    # What the line held when it broke is lost.
    carried = far.line.status()["down_bytes"] - before
    assert carried < SIZE - left.size_bytes + 1_000_000, (carried, left.size_bytes)
    pulled = tmp_path / "large" / "w.safetensors"
    assert pulled.read_bytes() == (source / "w.safetensors").read_bytes()
    assert not [*tmp_path.glob(".*")]


def test_a_version_of_another_mlflow_is_copied_over_a_slow_line(far: Far, source: Path) -> None:
    near = far.near
    if not (far.artifacts.is_dir() and [*far.artifacts.rglob("w.safetensors")]):
        imported(far.rooms, "large", source)
    body = ImportModel(source="models:/large/1", mlflow=far.address)
    far.line.set(bytes_per_s=CRAWL)
    task = near.run(near.imports.import_model("stopped", body))
    assert cancelled(near, task).state == "cancelled"
    nothing_left(near, "stopped")
    assert not [*near.mlflow.scratch.iterdir()]
    assert client(near).get_experiment_by_name(EXPERIMENT) is None, "no run was begun"
    far.line.set(bytes_per_s=RATE)
    end, messages = watched(near, near.run(near.imports.import_model("copied", body)))
    assert end.state == "done", end
    moves([each for each in messages if each.startswith("Fetching")])
    [version] = near.run(near.registry.get_model("copied")).versions
    root = Path(client(near).get_run(version.run_id).info.artifact_uri.removeprefix("file://"))
    assert (root / "model" / "w.safetensors").read_bytes() == (source / "w.safetensors").read_bytes()


def test_a_pull_of_a_changed_file_does_not_mix_two_files(far: Far, tmp_path: Path) -> None:
    """Without a kept hash, only the server's ETag tells that the rest belongs to another file."""
    rooms = far.rooms
    mlflow = client(rooms)
    first, second = weights(SIZE // 8), weights(SIZE // 8)[:-4] + b"zzzz"
    place = tmp_path / "w.safetensors"
    place.write_bytes(first)
    run = mlflow.create_run("0").info
    mlflow.log_artifact(run.run_id, str(place), "model")
    mlflow.create_registered_model("changing")
    mlflow.create_model_version("changing", f"{run.artifact_uri}/model", run_id=run.run_id)
    body = PullModel(folder=str(tmp_path / "pulled"))
    far.line.set(bytes_per_s=CRAWL)
    task = rooms.run(rooms.uses.pull_version("changing", body))
    assert cancelled(rooms, task).state == "cancelled"
    far.line.set(bytes_per_s=0)
    place.write_bytes(second)
    mlflow.log_artifact(run.run_id, str(place), "model")
    end = ended(rooms, rooms.run(rooms.uses.pull_version("changing", body)))
    assert end.state == "done", end
    assert (tmp_path / "pulled" / "w.safetensors").read_bytes() == second
