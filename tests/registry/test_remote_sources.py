"""Versions from the Hugging Face hub (a stand-in on loopback), another MLflow and a URI: fetched, checked, copied."""

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
from genops_lab.core.errors import GenOpsError, InvalidRequest, NotAllowed, NotFound
from genops_lab.core.settings import Settings
from genops_lab.registry.leftovers import ModelLeftovers
from genops_lab.registry.models import ImportModel, PushModel
from genops_lab.registry.origins import words
from tests.support.homes import Home
from tests.support.hub import TOKEN, Hub, Repository, hub
from tests.support.mlflow_file import place_server_store, place_store
from tests.support.mlflow_server import running_mlflow
from tests.support.rooms import Logged, Rooms, Training, open_rooms
from tests.support.warm import warm_workers
from tests.support.watched_worker import before_calls

from .test_importing import ADAPTER, ORACLES, client, ended, folder, imported, nothing_left, weights


@pytest.fixture(scope="module")
def rooms(module_home: Home) -> Iterator[Rooms]:
    place_store(module_home.data)
    with pytest.MonkeyPatch.context() as patch, warm_workers():
        patch.setattr(work, "LOOK_S", 0.5)
        with open_rooms(Settings(data_dir=module_home.data)) as found:
            yield found


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub")
    with hub() as found:
        found.repositories["acme/small"] = Repository(
            {
                "config.json": b'{"architectures": ["LlamaForCausalLM"]}',
                "README.md": b"---\nlicense: mit\nbase_model: acme/base\n---\nA card.",
                "model.safetensors": weights(5000),
                "tokenizer.json": b"{}",
                "pytorch_model.bin": (ORACLES / "state.pt").read_bytes(),
                "modeling_acme.py": b"import os",
                ".gitattributes": b"",
            }
        )
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.setenv(
            "HF_HUB_DISABLE_XET", "1"
        )  # the stand-in stores large files in the hub's older way
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield found


def files_of(rooms: Rooms, run: str) -> dict[str, bytes]:
    root = Path(client(rooms).get_run(run).info.artifact_uri.removeprefix("file://")) / "model"
    return {str(each.relative_to(root)): each.read_bytes() for each in root.rglob("*") if each.is_file()}


def refused(rooms: Rooms, source: str, **more: Any) -> GenOpsError:
    with pytest.raises(GenOpsError) as caught:
        rooms.run(rooms.imports.import_model("refused", ImportModel(source=source, **more)))
    return caught.value


def test_a_repository_of_the_hub_becomes_a_version(rooms: Rooms, far: Hub) -> None:
    task = rooms.run(rooms.imports.import_model("small", ImportModel(source="hf:acme/small@main")))
    assert ended(rooms, task).state == "done"
    version = rooms.run(rooms.imports.get_import("small", task.id))
    repository = far.repositories["acme/small"]
    kept = ("README.md", "config.json", "model.safetensors", "tokenizer.json")
    assert files_of(rooms, version.run_id) == {each: repository.files[each] for each in kept}
    assert version.origin is not None and version.origin.revision == repository.commit
    assert words(version.origin) == f"Copied from hf:acme/small at commit {repository.commit[:12]}."
    assert version.base_model == "hf:acme/base"
    lines = rooms.run(rooms.tasks.get_task_log(task.id)).lines
    assert "Files that may run code are left out (2): modeling_acme.py, pytorch_model.bin." in lines
    assert not list(rooms.mlflow.scratch.iterdir())
    with_code = imported(rooms, "small", "hf:acme/small", allow_code=True)
    assert set(files_of(rooms, with_code.run_id)) == {*repository.files} - {".gitattributes"}


def test_a_repository_that_cannot_be_had_says_why(
    rooms: Rooms, far: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(refused(rooms, "hf:acme/none"), NotFound)
    assert "no revision 'v9'" in refused(rooms, "hf:acme/small@v9").message
    assert "is not the name of a repository" in refused(rooms, "hf:small").message
    far.repositories["acme/pickles"] = Repository({"pytorch_model.bin": (ORACLES / "state.pt").read_bytes()})
    assert refused(rooms, "hf:acme/pickles").code == "runs_code"
    far.repositories["acme/gated"] = Repository({"w.safetensors": weights()}, gated=True)
    assert isinstance(refused(rooms, "hf:acme/gated"), NotAllowed)
    assert "no variable OUR_TOKEN" in refused(rooms, "hf:acme/gated", secret="OUR_TOKEN").message
    monkeypatch.setenv("OUR_TOKEN", TOKEN)
    assert imported(rooms, "gated", "hf:acme/gated", secret="OUR_TOKEN").version == "1"
    with rooms.store.reading() as connection:
        kept = connection.exec_driver_sql("SELECT * FROM work").fetchall()
    assert TOKEN not in repr(kept)
    far.repositories["acme/lying"] = Repository({"w.safetensors": weights(5000)}, lying={"w.safetensors"})
    task = rooms.run(rooms.imports.import_model("lying", ImportModel(source="hf:acme/lying")))
    end = ended(rooms, task)
    assert end.state == "failed" and "another content than the hub says" in end.message
    nothing_left(rooms, "lying")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "The hub does not answer" in refused(rooms, "hf:acme/small").message


def test_a_broken_download_goes_on_where_it_was(rooms: Rooms, far: Hub) -> None:
    far.repositories["acme/large"] = Repository({"w.safetensors": weights(750_000)})
    far.cut_after = 2_500_000  # parts of 1 MiB are kept
    version = imported(rooms, "large", "hf:acme/large")
    assert files_of(rooms, version.run_id) == far.repositories["acme/large"].files
    assert len(far.asked) > 1 and far.asked[-1][1] >= 2_000_000, far.asked


@pytest.fixture(scope="module")
def other(module_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    """Another MLflow's server, with a Lab of its own."""
    place = tmp_path_factory.mktemp("other")
    place_server_store(place / "far.db")
    with (
        warm_workers(),
        running_mlflow(module_home, f"sqlite:///{place}/far.db", place / "artifacts") as url,
        open_rooms(Settings(data_dir=place / "lab", mlflow_uri=url)) as found,
    ):
        yield found


def test_a_version_of_another_mlflow_comes_with_its_lineage(
    rooms: Rooms, other: Rooms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "ours, never sent")
    source = folder(tmp_path / "source", adapter_config__json=ADAPTER, a__safetensors=weights(300))
    first = imported(other, "digits", source, alias="champion")
    there = client(other)
    there.log_param(first.run_id, "lr", "0.1")
    for step in (1, 2):
        there.log_metric(first.run_id, "accuracy", step / 10, timestamp=1000 + step, step=step)
    there.set_tag(first.run_id, "team", "vision")
    there.log_inputs(
        first.run_id,
        [DatasetInput(Dataset("holdout", "2b", "local", "{}"), [InputTag("mlflow.data.context", "test")])],
    )
    there.update_model_version("digits", first.version, description="The first one.")
    version = imported(rooms, "digits", "models:/digits@champion", mlflow=other.mlflow.uri)
    assert files_of(rooms, version.run_id) == {each.name: each.read_bytes() for each in source.iterdir()}
    run = client(rooms).get_run(version.run_id)
    assert run.data.params == {"lr": "0.1"} and run.data.tags["team"] == "vision"
    [metric] = client(rooms).get_metric_history(version.run_id, "accuracy")
    assert (metric.value, metric.step, metric.timestamp) == (0.2, 2, 1002)
    [data] = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest, data.tags[0].value) == ("holdout", "2b", "test")
    assert client(rooms).get_model_version("digits", version.version).description == "The first one."
    assert version.origin is not None and version.origin.run == first.run_id
    assert words(version.origin) == f"Copied from models:/digits/1 of {other.mlflow.uri}."
    assert version.base_model == "hf:acme/small"


def test_files_that_were_changed_there_are_not_copied(rooms: Rooms, other: Rooms, tmp_path: Path) -> None:
    version = imported(other, "changed", folder(tmp_path / "source", w__safetensors=weights(300)))
    place = tmp_path / "w.safetensors"
    place.write_bytes(weights(300)[:-1] + b"x")
    client(other).log_artifact(version.run_id, str(place), "model")
    task = rooms.run(
        rooms.imports.import_model(
            "changed", ImportModel(source="models:/changed/1", mlflow=other.mlflow.uri)
        )
    )
    end = ended(rooms, task)
    assert end.state == "failed" and "came with another size or content" in end.message
    nothing_left(rooms, "changed")


def test_a_killed_fetch_goes_on(module_home: Home, rooms: Rooms, other: Rooms, tmp_path: Path) -> None:
    source = folder(tmp_path / "source", **{f"w{each}__safetensors": weights(each) for each in (1, 2, 3)})
    imported(other, "killed", source)

    def live() -> None:
        with open_rooms(Settings(data_dir=module_home.data)) as dying:
            make, calls = dying.mlflow.other, 0

            def killing(*arguments: Any) -> Any:
                worker = make(*arguments)

                def look(method: str, _arguments: Any) -> None:
                    nonlocal calls
                    calls += method == "fetch"
                    if calls == 3:
                        os.kill(os.getpid(), signal.SIGKILL)

                before_calls(worker, look)
                return worker

            dying.mlflow.other = killing  # type: ignore[method-assign]
            imported(dying, "killed", "models:/killed/1", mlflow=other.mlflow.uri)

    process = multiprocessing.get_context("fork").Process(target=live)
    process.start()
    process.join(90)
    assert process.exitcode == -signal.SIGKILL
    [fetching] = rooms.mlflow.scratch.glob("import-*")
    before = {each: each.stat().st_mtime_ns for each in fetching.iterdir()}
    assert len(before) == 2
    [left] = [each for each in rooms.run(rooms.tasks.list_tasks()) if "killed" in each.title]
    assert ended(rooms, left).state == "done"
    assert len(rooms.run(rooms.registry.get_model("killed")).versions) == 1
    lines = rooms.run(rooms.tasks.get_task_log(left.id)).lines
    assert [each for each in lines if "Fetching file 3 of 3" in each]
    assert not fetching.exists()


def test_another_mlflow_that_cannot_be_asked_says_why(rooms: Rooms, other: Rooms) -> None:
    uri = other.mlflow.uri
    assert "No model is registered as 'none'" in refused(rooms, "models:/none/1", mlflow=uri).message
    assert "is not a version of another MLflow" in refused(rooms, "digits", mlflow=uri).message
    assert isinstance(refused(rooms, "models:/a/1", mlflow="http://me:secret@host"), InvalidRequest)
    assert "secret" not in refused(rooms, "models:/a/1", mlflow="http://me:secret@host").message
    assert "does not answer" in refused(rooms, "models:/a/1", mlflow="http://127.0.0.1:9").message


def test_a_uri_that_mlflow_reads_becomes_a_version(rooms: Rooms, tmp_path: Path) -> None:
    one: Logged = Training(rooms).digits()
    with Training(rooms).run() as run:
        import mlflow

        mlflow.log_artifact(str(ORACLES / "matmul.onnx"), "graph")
    version = imported(rooms, "from-uri", f"runs:/{run.info.run_id}/graph")
    assert version.origin is not None and version.origin.kind == "uri"
    assert set(files_of(rooms, version.run_id)) == {"matmul.onnx"}
    with_model = imported(rooms, "from-uri", f"file://{one.folder}")
    assert with_model.flavors == ["sklearn", "python_function"]
    assert "no files at" in refused(rooms, f"runs:/{run.info.run_id}/nothing").message
    assert json.loads(client(rooms).get_model_version("from-uri", "1").tags["genops.source"])["kind"] == "uri"


def test_a_version_is_pushed_as_one_commit(
    rooms: Rooms, far: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = "---\nlicense: mit\n---\nA card."
    source = folder(tmp_path / "source", README__md=card, w__safetensors=weights(5000))
    imported(rooms, "pushed", source)
    monkeypatch.setenv("OUR_TOKEN", TOKEN)
    body = PushModel(target="hf:acme/pushed", secret="OUR_TOKEN")
    end = ended(rooms, rooms.run(rooms.uses.push_version("pushed", body)))
    assert end.state == "done", end
    pushed = far.repositories["acme/pushed"]
    assert (
        pushed.private
        and end.message == f"pushed version 1 is at hf:acme/pushed, commit {pushed.commit[:12]}."
    )
    sent = {path: content for path, content in pushed.files.items() if path != ".gitattributes"}
    assert sent == {each.name: each.read_bytes() for each in source.iterdir()}
    assert not list(rooms.mlflow.scratch.glob("push-*"))
    end = ended(rooms, rooms.run(rooms.uses.push_version("pushed", PushModel(target="hf:acme/pushed"))))
    assert end.state == "failed" and "does not let you change" in end.message, end
    for wrong in (PushModel(target="hf:acme/x@v1"), PushModel(target="s3://bucket")):
        with pytest.raises(InvalidRequest, match="is not the name of a repository"):
            rooms.run(rooms.uses.push_version("pushed", wrong))
    with pytest.raises(InvalidRequest, match="no variable NONE"):
        rooms.run(rooms.uses.push_version("pushed", PushModel(target="hf:a/b", secret="NONE")))


def test_a_push_that_broke_uploads_only_what_is_missing(
    rooms: Rooms, far: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the stand-in: the real hub's storage knows large files by their hash too."""
    names = ("a.safetensors", "b.safetensors", "c.safetensors")
    sizes = dict(zip(names, (3_000_000, 2_800_000, 2000), strict=True))
    source = folder(tmp_path / "source", **{each.replace(".", "__"): weights(sizes[each]) for each in names})
    hashes = {each: hashlib.sha256((source / each).read_bytes()).hexdigest() for each in names}
    imported(rooms, "broken", source)
    monkeypatch.setenv("OUR_TOKEN", TOKEN)
    body = PushModel(target="hf:acme/broken", secret="OUR_TOKEN")
    far.held_uploads = {hashes["b.safetensors"]}
    task = rooms.run(rooms.uses.push_version("broken", body))
    assert far.is_holding.wait(60)
    rooms.run(rooms.tasks.cancel_task(task.id))
    assert ended(rooms, task).state == "cancelled"
    assert not far.repositories["acme/broken"].files, "nothing is committed"
    arrived = list(far.uploads)
    assert arrived == [hashes["a.safetensors"]]
    assert any(
        "To go on: genops models push broken hf:acme/broken --version 1 --secret OUR_TOKEN" in each
        for each in rooms.run(rooms.tasks.get_task_log(task.id)).lines
    )
    [left] = rooms.run(ModelLeftovers(rooms.settings, rooms.mlflow).list_leftovers())
    assert (left.model, left.folder) == ("broken", "")
    far.held_uploads, far.uploads = set(), []
    end = ended(rooms, rooms.run(rooms.uses.push_version("broken", body)))
    assert end.state == "done", end
    assert {*far.uploads} == {hashes["b.safetensors"], hashes["c.safetensors"]}
    sent = far.repositories["acme/broken"].files
    assert sent == {each: (source / each).read_bytes() for each in names}
    assert not list(rooms.mlflow.scratch.glob("push-*"))
    lines = rooms.run(rooms.tasks.get_task_log(end.id)).lines
    assert [each for each in lines if "are there from before" in each]
