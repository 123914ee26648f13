"""Versions from the best run and from files: judged first, hashed, resumed after kill -9, registered last."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core import work
from genops_lab.core.errors import GenOpsError, InvalidRequest, NotFound
from genops_lab.core.models import Task
from genops_lab.core.settings import Settings
from genops_lab.registry.backends.importing import EXPERIMENT, MANIFEST, ModelFiles
from genops_lab.registry.models import ImportModel, ModelVersion, RegisterBest
from genops_lab.registry.origins import words
from tests.support.faults import FaultProxy
from tests.support.homes import Home
from tests.support.mlflow_file import place_server_store, place_store
from tests.support.mlflow_server import running_mlflow
from tests.support.quota import small_disk
from tests.support.rooms import Logged, Rooms, Training, eventually, open_rooms
from tests.support.warm import warm_workers
from tests.support.watched_worker import before_calls

from .hostile_bytes import pickled, tensor, tensors

ORACLES = Path(__file__).parent / "oracles"
ADAPTER = json.dumps({"peft_type": "LORA", "base_model_name_or_path": "acme/small"})


@pytest.fixture(scope="module")
def rooms(module_home: Home) -> Iterator[Rooms]:
    place_store(module_home.data)
    with pytest.MonkeyPatch.context() as patch, warm_workers():
        patch.setattr(work, "LOOK_S", 0.5)
        with open_rooms(Settings(data_dir=module_home.data)) as found:
            yield found


@pytest.fixture(scope="module")
def one(rooms: Rooms) -> Logged:
    return Training(rooms).digits()


def client(rooms: Rooms) -> Any:
    import mlflow

    return mlflow.MlflowClient(rooms.mlflow.uri)


def ended(rooms: Rooms, task: Task) -> Task:
    return eventually(
        lambda: rooms.run(rooms.tasks.get_task(task.id)), lambda found: found.state != "running"
    )


def imported(rooms: Rooms, name: str, source: Path | str, **more: Any) -> ModelVersion:
    task = rooms.run(rooms.imports.import_model(name, ImportModel(source=str(source), **more)))
    end = ended(rooms, task)
    assert end.state == "done", end
    return rooms.run(rooms.imports.get_import(name, task.id))


def refused(rooms: Rooms, source: Path, **more: Any) -> GenOpsError:
    with pytest.raises(GenOpsError) as caught:
        rooms.run(rooms.imports.import_model("refused", ImportModel(source=str(source), **more)))
    return caught.value


def folder(path: Path, **files: bytes | str) -> Path:
    """A folder with these files (``__`` stands for a dot)."""
    path.mkdir(parents=True)
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (path / name.replace("__", ".")).write_bytes(data)
    return path


def weights(size: int = 8) -> bytes:
    return tensors({"w": tensor(0, 4 * size)}, 4 * size)


def nothing_left(rooms: Rooms, name: str) -> None:
    with pytest.raises(NotFound):
        rooms.run(rooms.registry.get_model(name))
    experiment = client(rooms).get_experiment_by_name(EXPERIMENT)
    runs = [] if experiment is None else client(rooms).search_runs([experiment.experiment_id])
    assert not [each for each in runs if f"{name} from" in each.info.run_name]


def test_the_best_run_is_registered_and_says_of_how_many(rooms: Rooms, one: Logged) -> None:
    mlflow = client(rooms)
    experiment = mlflow.get_run(one.run_id).info.experiment_id
    mlflow.log_metric(one.run_id, "accuracy", 0.9)
    mlflow.log_metric(one.run_id, "loss", 0.1)
    from mlflow.entities import Dataset, DatasetInput, InputTag

    mlflow.log_inputs(
        one.run_id,
        [
            DatasetInput(Dataset(name, digest, "local", "{}"), [InputTag("mlflow.data.context", context)])
            for name, digest, context in (("train", "1a", "training"), ("holdout", "2b", "evaluation"))
        ],
    )
    for value, status in (
        (0.5, "FINISHED"),
        (float("nan"), "FINISHED"),
        (None, "FINISHED"),
        (0.99, "FAILED"),
    ):
        run = mlflow.create_run(experiment)
        if value is not None:
            mlflow.log_metric(run.info.run_id, "accuracy", value)
            mlflow.log_metric(run.info.run_id, "loss", 1 - value)
        mlflow.set_terminated(run.info.run_id, status)
    body = RegisterBest(metric="metrics.accuracy", experiment="digits", alias="champion", idempotency_key="k")
    version = rooms.run(rooms.registry.register_best("best", body))
    assert rooms.run(rooms.registry.register_best("best", body)).version == version.version == "1"
    assert version.run_id == one.run_id and version.aliases == ["champion"]
    assert version.origin is not None and version.origin.chosen_by is not None
    by = version.origin.chosen_by
    assert (by.runs, by.left_out, by.unfinished, by.value, by.data) == (2, 2, 1, 0.9, "holdout@2b")
    assert words(version.origin) == (
        "Best of 2 runs by accuracy on holdout@2b: the best of many is partly luck."
    )
    kept = json.loads(mlflow.get_model_version("best", "1").tags["genops.source"])
    assert kept["kind"] == "best" and kept["chosen_by"]["runs"] == 2
    smallest = RegisterBest(metric="loss", experiment="digits", smallest=True)
    assert rooms.run(rooms.registry.register_best("best", smallest)).run_id == one.run_id
    with pytest.raises(NotFound, match="logged no model"):
        rooms.run(rooms.registry.register_best("best", RegisterBest(metric="loss", experiment="digits")))
    with pytest.raises(NotFound, match="has a number for the metric 'f1'"):
        rooms.run(rooms.registry.register_best("best", RegisterBest(metric="f1", experiment="digits")))


def test_files_become_a_version_with_their_hashes(rooms: Rooms, tmp_path: Path, one: Logged) -> None:
    (tmp_path / "w.safetensors").write_bytes(weights())
    sources = {
        tmp_path / "w.safetensors": "safetensors",
        ORACLES / "tiny.gguf": "GGUF",
        ORACLES / "matmul.onnx": "ONNX",
        folder(
            tmp_path / "snap", config__json='{"architectures": ["X"]}', m__safetensors=weights()
        ): "safetensors",
        one.folder: "skops",
    }
    for source, format in sources.items():
        version = imported(rooms, "files", source, alias="newest")
        facts = rooms.run(rooms.registry.get_version_facts("files", version.version))
        assert format in facts.formats and facts.verdict == "data"
        assert version.origin is not None and words(version.origin) == f"Files from {source}."
        assert rooms.run(rooms.registry.resolve("files", "newest")).version == version.version
        root = Path(client(rooms).get_run(version.run_id).info.artifact_uri.removeprefix("file://"))
        listed = json.loads((root / MANIFEST).read_bytes())["files"]
        there = {
            str(each.relative_to(root / "model")): hashlib.sha256(each.read_bytes()).hexdigest()
            for each in (root / "model").rglob("*")
            if each.is_file()
        }
        assert {path: each["sha256"] for path, each in listed.items()} == there != {}
        assert client(rooms).get_run(version.run_id).info.status == "FINISHED"
    assert [each.version for each in rooms.run(rooms.registry.get_model("files")).versions] == list("54321")


def test_an_adapter_names_its_base(rooms: Rooms, tmp_path: Path) -> None:
    named = folder(tmp_path / "named", adapter_config__json=ADAPTER, adapter_model__safetensors=weights())
    assert imported(rooms, "adapter", named).base_model == "hf:acme/small"
    base = imported(rooms, "the-base", ORACLES / "tiny.gguf", alias="stable")
    version = imported(rooms, "adapter", named, base="models:/the-base@stable")
    assert version.base_model == f"models:/the-base/{base.version}"
    tags = client(rooms).get_model_version("adapter", version.version).tags
    assert tags["genops.parent"] == tags["genops.base_model"] == "models:/the-base/1"
    with pytest.raises(NotFound, match="no version 7"):
        rooms.run(rooms.imports.import_model("x", ImportModel(source=str(named), base="models:/the-base/7")))
    assert "is not the name of a base" in refused(rooms, named, base="the-base").message
    bare = folder(tmp_path / "bare", adapter_config__json='{"peft_type": "LORA"}', a__safetensors=weights())
    assert "does not name its base" in refused(rooms, bare).message


def test_what_is_no_model_is_refused_with_the_reason(rooms: Rooms, tmp_path: Path) -> None:
    assert "No such file" in refused(rooms, tmp_path / "nowhere").message
    assert "has no files" in refused(rooms, folder(tmp_path / "empty")).message
    texts = folder(tmp_path / "texts", notes__md="x", table__csv="a,b")
    assert "has no model: its files are text" in refused(rooms, texts).message
    lying = folder(tmp_path / "lying", w__safetensors=pickled(4))
    assert refused(rooms, lying).code == "refused"
    assert "--allow-code" not in refused(rooms, lying, allow_code=True).hint
    pickle = ORACLES / "list.pkl"
    assert refused(rooms, pickle).code == "runs_code"
    assert imported(rooms, "with-code", pickle, allow_code=True).version == "1"
    mixed = folder(
        tmp_path / "mixed", w__safetensors=weights(), optimizer__pt=(ORACLES / "state.pt").read_bytes()
    )
    assert "optimizer.pt" in refused(rooms, mixed).message
    assert "outside of the Lab's folder" in refused(rooms, Path("../../etc")).message
    nothing_left(rooms, "refused")


#: The methods of the worker before which the process is killed, and the number of the call.
KILLS = [("hashed", 2), ("begin", 1), ("upload", 1), ("upload", 3), ("finish", 1), ("point", 1)]


@pytest.mark.parametrize("moment", KILLS, ids=lambda each: f"{each[0]} {each[1]}")
def test_a_killed_import_goes_on_and_registers_one_version(
    module_home: Home, rooms: Rooms, tmp_path: Path, moment: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody_looks(*_: Any) -> None:
        return

    monkeypatch.setattr(work.WorkService, "_look", nobody_looks)  # until the dead process' files are counted
    name = f"killed-{moment[0]}-{moment[1]}"
    source = folder(tmp_path / name, **{f"w{each}__safetensors": weights(each) for each in (1, 2, 3)})

    def live() -> None:
        with open_rooms(Settings(data_dir=module_home.data)) as dying:
            calls = 0

            def look(method: str, _arguments: Any) -> None:
                nonlocal calls
                calls += method == moment[0]
                if method == moment[0] and calls == moment[1]:
                    os.kill(os.getpid(), signal.SIGKILL)

            for worker in (dying.mlflow.transfers, dying.mlflow.worker):
                before_calls(worker, look)
            imported(dying, name, source, alias="champion")

    process = multiprocessing.get_context("fork").Process(target=live)
    process.start()
    process.join(90)
    assert process.exitcode == -signal.SIGKILL
    experiment = client(rooms).get_experiment_by_name(EXPERIMENT)
    copied = {}
    if experiment is not None:
        for run in client(rooms).search_runs([experiment.experiment_id]):
            if run.info.run_name.startswith(f"{name} from"):
                root = Path(run.info.artifact_uri.removeprefix("file://")) / "model"
                copied |= {each: each.stat().st_mtime_ns for each in root.glob("*")}
    assert len(copied) == {"upload": moment[1] - 1, "finish": 3, "point": 3}.get(moment[0], 0)
    monkeypatch.undo()
    [left] = eventually(
        lambda: [each for each in rooms.run(rooms.tasks.list_tasks()) if name in each.title], bool
    )
    assert ended(rooms, left).state == "done"
    [version] = rooms.run(rooms.registry.get_model(name)).versions
    assert version.aliases == ["champion"]
    assert {each: each.stat().st_mtime_ns for each in copied} == copied, "copied files are not copied again"


def test_a_cancelled_import_leaves_nothing(rooms: Rooms, tmp_path: Path) -> None:
    source = folder(tmp_path / "source", **{f"w{each}__safetensors": weights(each) for each in (1, 2)})
    import asyncio

    reached = asyncio.Event()

    async def hold(method: str, arguments: Any) -> None:
        if method == "upload" and arguments[2].path == "w2.safetensors":
            reached.set()
            await asyncio.Event().wait()

    undo = before_calls(rooms.mlflow.transfers, hold)
    try:
        task = rooms.run(rooms.imports.import_model("cancelled", ImportModel(source=str(source))))
        rooms.run(asyncio.wait_for(reached.wait(), 60))
        rooms.run(rooms.tasks.cancel_task(task.id))
        assert ended(rooms, task).state == "cancelled"
    finally:
        undo()
    nothing_left(rooms, "cancelled")


def test_files_that_change_meanwhile_are_not_registered(rooms: Rooms, tmp_path: Path) -> None:
    source = folder(tmp_path / "source", w__safetensors=weights())
    call = rooms.mlflow.call_transfers

    async def changing(method: Any, *arguments: Any, **more: Any) -> Any:
        if method is ModelFiles.begin:
            (source / "w.safetensors").write_bytes(weights(9))
        return await call(method, *arguments, **more)

    rooms.mlflow.call_transfers = changing  # type: ignore[method-assign, assignment]
    try:
        task = rooms.run(rooms.imports.import_model("changing", ImportModel(source=str(source))))
        end = ended(rooms, task)
    finally:
        rooms.mlflow.call_transfers = call  # type: ignore[method-assign]
    assert end.state == "failed" and "w.safetensors changed while it was read" in end.message
    nothing_left(rooms, "changing")


def test_a_full_disk_registers_nothing(rooms: Rooms, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "1m") as disk:
        mlflow = client(rooms)
        known = mlflow.get_experiment_by_name(EXPERIMENT)
        if known is not None:
            mlflow.rename_experiment(known.experiment_id, "Imported before")
        full = mlflow.create_experiment(EXPERIMENT, artifact_location=disk.as_uri())
        source = folder(
            tmp_path / "source", **{f"w{each}__safetensors": weights(150_000) for each in (1, 2, 3)}
        )
        task = rooms.run(rooms.imports.import_model("full", ImportModel(source=str(source))))
        end = ended(rooms, task)
        assert end.state == "failed" and "No space left" in end.message, end
        assert not [each for each in disk.rglob("*") if each.is_file()], "the copied files are gone again"
        nothing_left(rooms, "full")
        mlflow.rename_experiment(full, "Full disk")
        if known is not None:
            mlflow.rename_experiment(known.experiment_id, EXPERIMENT)


def test_a_line_that_breaks_is_tried_again(module_home: Home, tmp_path: Path) -> None:
    database = tmp_path / "far.db"
    place_server_store(database)
    source = folder(tmp_path / "source", **{f"w{each}__safetensors": weights(400_000) for each in (1, 2)})
    with (
        warm_workers(),
        running_mlflow(module_home, f"sqlite:///{database}", tmp_path / "artifacts") as url,
        FaultProxy(int(url.rpartition(":")[2])) as proxy,
        open_rooms(Settings(data_dir=tmp_path / "lab", mlflow_uri=f"http://127.0.0.1:{proxy.port}")) as rooms,
    ):
        broken = 0

        def cut(method: str, _arguments: Any) -> None:
            nonlocal broken
            if method == "upload" and not broken:
                broken += 1
                proxy.reset_after(500_000, way="up")

        before_calls(rooms.mlflow.transfers, cut)
        version = imported(rooms, "far", source)
        log = rooms.run(rooms.tasks.list_tasks())[0]
        lines = rooms.run(rooms.tasks.get_task_log(log.id)).lines
        assert broken and [each for each in lines if each.endswith("Trying again.")], lines
        import mlflow

        mlflow.MlflowClient(rooms.mlflow.uri).download_artifacts(version.run_id, "model", str(tmp_path))
        copied = tmp_path / "model"
        assert {each.name: each.read_bytes() for each in copied.iterdir()} == {
            each.name: each.read_bytes() for each in source.iterdir()
        }


def test_two_sources_are_two_errors(rooms: Rooms) -> None:
    with pytest.raises(InvalidRequest, match="No source was given"):
        rooms.run(rooms.imports.import_model("x", ImportModel(source=" ")))
