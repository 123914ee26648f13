"""A version is pulled whole or not at all; code loads it; descriptions and tags are changed."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.core.models import Task
from genops_lab.core.settings import Settings
from genops_lab.registry.files.models import FileFacts, ModelFacts
from genops_lab.registry.leftovers import ModelLeftovers
from genops_lab.registry.loading_code import loading_code
from genops_lab.registry.models import DeleteLeftovers, Describe, PullModel, RegisterModel
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.quota import small_disk
from tests.support.rooms import Logged, Rooms, Training, eventually, open_rooms
from tests.support.warm import warm_workers
from tests.support.watched_worker import before_calls

from .test_importing import client, ended, folder, imported, weights


@pytest.fixture(scope="module")
def rooms(module_home: Home) -> Iterator[Rooms]:
    place_store(module_home.data)
    with warm_workers(), open_rooms(Settings(data_dir=module_home.data)) as found:
        yield found


@pytest.fixture(scope="module")
def one(rooms: Rooms) -> Logged:
    found = Training(rooms).digits()
    rooms.run(rooms.registry.register_model(RegisterModel(name="digits", run=found.run_id)))
    return found


@pytest.fixture(scope="module")
def three(rooms: Rooms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of the model "three": three files."""
    source = folder(
        tmp_path_factory.mktemp("three") / "source",
        **{f"w{each}__safetensors": weights(each * 10_000) for each in (1, 2, 3)},
    )
    imported(rooms, "three", source)
    return source


def pulled(rooms: Rooms, name: str, place: Path) -> Task:
    return ended(rooms, rooms.run(rooms.uses.pull_version(name, PullModel(folder=str(place)))))


def contents(place: Path) -> dict[str, bytes]:
    return {str(each.relative_to(place)): each.read_bytes() for each in place.rglob("*") if each.is_file()}


def test_a_pulled_folder_has_the_files_of_the_version(
    rooms: Rooms, three: Path, one: Logged, tmp_path: Path
) -> None:
    end = pulled(rooms, "three", tmp_path / "new" / "three")
    assert end.state == "done" and "3 files" in end.message and end.message.endswith("hashes are right.")
    assert contents(tmp_path / "new" / "three") == contents(three)
    end = pulled(rooms, "digits", tmp_path / "digits")
    assert end.message.endswith("sizes are right, no hashes are kept.")
    assert contents(tmp_path / "digits") == contents(one.folder)
    with pytest.raises(Conflict, match="exists and is not empty"):
        rooms.run(rooms.uses.pull_version("three", PullModel(folder=str(tmp_path / "digits"))))
    with pytest.raises(NotFound, match="has no version 9"):
        rooms.run(rooms.uses.pull_version("three", PullModel(folder=str(tmp_path / "x"), version="9")))
    assert not list(tmp_path.rglob(".*"))


def test_a_changed_file_is_not_pulled(rooms: Rooms, tmp_path: Path) -> None:
    version = imported(rooms, "changed", folder(tmp_path / "source", w__safetensors=weights(300)))
    root = Path(client(rooms).get_run(version.run_id).info.artifact_uri.removeprefix("file://"))
    file = root / "model" / "w.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    end = pulled(rooms, "changed", tmp_path / "pulled")
    assert end.state == "failed" and "another size or content" in end.message
    assert not (tmp_path / "pulled").exists() and not [*tmp_path.glob(".pulled*")]


def killed_pull(home: Home, name: str, place: Path, at: int) -> None:
    """A Lab that pulls, and is killed before it copies the file of this number."""

    def live() -> None:
        with open_rooms(Settings(data_dir=home.data)) as dying:
            calls = 0

            def look(method: str, _arguments: Any) -> None:
                nonlocal calls
                calls += method == "fetch"
                if calls == at:
                    os.kill(os.getpid(), signal.SIGKILL)

            before_calls(dying.mlflow.transfers, look)
            pulled(dying, name, place)

    process = multiprocessing.get_context("fork").Process(target=live)
    process.start()
    process.join(90)
    assert process.exitcode == -signal.SIGKILL


def lines_of(rooms: Rooms, task: Task) -> list[str]:
    return rooms.run(rooms.tasks.get_task_log(task.id)).lines


def test_a_killed_pull_goes_on(module_home: Home, three: Path, rooms: Rooms, tmp_path: Path) -> None:
    killed_pull(module_home, "three", tmp_path / "three", 3)
    assert not (tmp_path / "three").exists()
    [left] = [each for each in tmp_path.iterdir() if each.name.startswith(".three")]
    before = {each.name: each.stat().st_mtime_ns for each in (left / "files").iterdir()}
    assert set(before) == {"w1.safetensors", "w2.safetensors"}
    end = pulled(rooms, "three", tmp_path / "three")
    assert end.state == "done", end
    assert [each for each in lines_of(rooms, end) if "are there from before" in each]
    after = {each.name: each.stat().st_mtime_ns for each in (tmp_path / "three").iterdir()}
    assert {each: after[each] for each in before} == before, "copied files are not copied again"
    assert contents(tmp_path / "three") == contents(three)
    assert not [*tmp_path.glob(".*")] and not [*(module_home.data / "pulls").iterdir()]


def test_what_a_pull_left_of_another_version_is_not_used(
    module_home: Home, three: Path, rooms: Rooms, tmp_path: Path
) -> None:
    killed_pull(module_home, "three", tmp_path / "one", 3)
    damaged = next(tmp_path.glob(".one*")) / "files" / "w1.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    assert pulled(rooms, "three", tmp_path / "one").state == "done"
    assert contents(tmp_path / "one") == contents(three), "a damaged file is copied again"
    other = folder(tmp_path / "other-source", v__safetensors=weights(10))
    imported(rooms, "other", other)
    killed_pull(module_home, "three", tmp_path / "two", 3)
    assert pulled(rooms, "other", tmp_path / "two").state == "done"
    assert contents(tmp_path / "two") == contents(other)


def test_left_copies_are_listed_and_deleted(
    module_home: Home, three: Path, rooms: Rooms, tmp_path: Path
) -> None:
    killed_pull(module_home, "three", tmp_path / "three", 3)
    cleaning = ModelLeftovers(rooms.settings, rooms.mlflow)
    [left] = rooms.run(cleaning.list_leftovers())
    assert (left.model, left.version, left.folder, left.in_use) == (
        "three",
        "1",
        str(tmp_path / "three"),
        False,
    )
    assert left.size_bytes == sum(each.stat().st_size for each in three.glob("w[12]*"))
    with pytest.raises(NotFound, match="has no unfinished copy"):
        rooms.run(cleaning.delete_leftovers(DeleteLeftovers(paths=[str(tmp_path)])))
    deleted = rooms.run(cleaning.delete_leftovers(DeleteLeftovers(paths=[left.path])))
    assert deleted == [left] and not [*tmp_path.glob(".three*")]
    assert rooms.run(cleaning.list_leftovers()) == []


def test_one_folder_is_pulled_once_at_a_time(
    module_home: Home, three: Path, rooms: Rooms, tmp_path: Path
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold(method: str, _arguments: Any) -> None:
        if method == "fetch":
            reached.set()
            await go_on.wait()

    undo = before_calls(rooms.mlflow.transfers, hold)
    try:
        body = PullModel(folder=str(tmp_path / "three"))
        first = rooms.run(rooms.uses.pull_version("three", body))
        rooms.run(asyncio.wait_for(reached.wait(), 60))
        cleaning = ModelLeftovers(rooms.settings, rooms.mlflow)
        [left] = rooms.run(cleaning.list_leftovers())
        assert left.in_use
        with pytest.raises(Conflict, match="is being copied"):
            rooms.run(cleaning.delete_leftovers(DeleteLeftovers(paths=[left.path])))
        second = ended(rooms, rooms.run(rooms.uses.pull_version("three", body)))
        assert second.state == "failed" and "is being copied" in second.message
    finally:
        undo()
        rooms.loop.call_soon_threadsafe(go_on.set)
    assert ended(rooms, first).state == "done"
    assert contents(tmp_path / "three") == contents(three)


def test_a_disk_that_fills_up_keeps_the_whole_files(rooms: Rooms, three: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "100k") as disk:
        end = pulled(rooms, "three", disk / "three")
        assert end.state == "failed" and "need" in end.message and "left" in end.message, end
        assert not [*disk.iterdir()], "the files do not fit, and nothing is begun"
    with small_disk(tmp_path / "small", "300k") as disk:

        def fill(method: str, arguments: Any) -> None:
            if method == "fetch" and arguments[1].path == "w2.safetensors":
                (disk / "other").write_bytes(bytes(200_000))

        undo = before_calls(rooms.mlflow.transfers, fill)
        try:
            end = pulled(rooms, "three", disk / "three")
        finally:
            undo()
        assert end.state == "failed" and "Cannot write w2.safetensors: No space left" in end.message, end
        assert not (disk / "three").exists()
        assert any("To go on: genops models pull three" in each for each in lines_of(rooms, end))
        (disk / "other").unlink()
        assert pulled(rooms, "three", disk / "three").state == "done"
        assert contents(disk / "three") == contents(three)


def facts(*files: tuple[str, str], flavors: list[str] | None = None) -> ModelFacts:
    return ModelFacts(
        verdict="data",
        headline="",
        formats=[format for _, format in files if format != "JSON"],
        flavors=flavors or [],
        files=[FileFacts(path=path, size_bytes=1, format=format, verdict="data") for path, format in files],
    )


CODE = {
    "Llama(model_path=f": facts(("q4.gguf", "GGUF")),
    "InferenceSession(f": facts(("m.onnx", "ONNX")),
    "AutoModel.from_pretrained(folder)": facts(("m.safetensors", "safetensors"), ("config.json", "JSON")),
    "load_file(f": facts(('{"odd".safetensors', "safetensors")),
    "PeftModel.from_pretrained(base, folder)": facts(
        ("adapter_config.json", "JSON"), ("a.safetensors", "safetensors")
    ),
    "download_artifacts": facts(("weights.h5", "HDF5")),
}


@pytest.mark.parametrize("expected", CODE)
def test_each_format_has_its_code(expected: str) -> None:
    code = loading_code("models:/a b/1", "http://far", CODE[expected], "hf:acme/base@v1")
    compile(code, "code", "exec")
    assert expected in code and 'mlflow.set_tracking_uri("http://far")' in code
    assert ('"acme/base", revision="v1"' in code) == ("Peft" in expected)


def test_the_code_loads_the_model(rooms: Rooms, one: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", rooms.mlflow.uri)
    mlflow.set_tracking_uri(rooms.mlflow.uri)
    names: dict[str, Any] = {}
    exec(rooms.run(rooms.uses.get_loading_code("digits", "latest")).code, names)
    assert names["model"].predict(one.inputs).tolist() == one.predictions


def test_descriptions_and_tags_are_changed(rooms: Rooms, one: Logged) -> None:
    rooms.events_seen.clear()
    body = Describe(description="Digits of 8 x 8.", tags={"team": "vision", "stage": "a"})
    model = rooms.run(rooms.uses.describe_model("digits", body))
    assert (model.description, model.tags) == ("Digits of 8 x 8.", {"stage": "a", "team": "vision"})
    model = rooms.run(rooms.uses.describe_model("digits", Describe(untag=["stage", "none"])))
    assert (model.description, model.tags) == ("Digits of 8 x 8.", {"team": "vision"})
    version = rooms.run(
        rooms.uses.describe_version("digits", "1", Describe(description="n", tags={"a": "1"}))
    )
    assert (version.description, version.tags, version.origin is not None) == ("n", {"a": "1"}, True)
    assert rooms.run(rooms.uses.describe_version("digits", "1", Describe(description=""))).description == ""
    eventually(lambda: rooms.events_seen, lambda events: ("model", "digits") in events)
    for body in (
        Describe(tags={"genops.source": "{}"}),
        Describe(untag=["mlflow.x"]),
        Describe(tags={" ": "x"}),
    ):
        with pytest.raises(InvalidRequest, match="is not a tag that you can change"):
            rooms.run(rooms.uses.describe_version("digits", "1", body))
    with pytest.raises(InvalidRequest, match=r"has 5,001 characters"):
        rooms.run(rooms.uses.describe_model("digits", Describe(description="x" * 5001)))
    with pytest.raises(NotFound, match="No model is registered as 'none'"):
        rooms.run(rooms.uses.describe_model("none", Describe(description="x")))
    assert json.loads(client(rooms).get_model_version("digits", "1").tags["genops.source"])["kind"] == "run"


def test_what_others_wrote_meanwhile_is_not_overwritten(rooms: Rooms, one: Logged) -> None:
    seen = Describe(description="mine", tags={"team": "a"}, expected="", expected_tags={"team": None})
    assert rooms.run(rooms.uses.describe_version("digits", "1", seen)).description == "mine"
    client(rooms).update_model_version("digits", "1", "theirs")
    for body, now in (
        (Describe(description="mine again", expected="mine"), "theirs"),
        (Describe(tags={"team": "b"}, expected_tags={"team": None}), "a"),
        (Describe(untag=["team"], expected_tags={"team": "b"}), "a"),
    ):
        with pytest.raises(Conflict, match="of digits version 1 was changed while you wrote") as refused:
            rooms.run(rooms.uses.describe_version("digits", "1", body))
        assert (refused.value.code, refused.value.details) == ("changed", {"now": now})
    kept = client(rooms).get_model_version("digits", "1")
    assert (kept.description, kept.tags["team"]) == ("theirs", "a")
    with pytest.raises(Conflict, match="The description of the model 'digits' was changed"):
        rooms.run(rooms.uses.describe_model("digits", Describe(description="x", expected="never there")))
    again = Describe(description="mine again", untag=["team"], expected="theirs", expected_tags={"team": "a"})
    version = rooms.run(rooms.uses.describe_version("digits", "1", again))
    assert version.description == "mine again" and "team" not in version.tags


def test_prompts_of_mlflow_are_no_models(rooms: Rooms, one: Logged) -> None:
    import mlflow

    mlflow.set_tracking_uri(rooms.mlflow.uri)
    mlflow.genai.register_prompt(name="greeting", template="Hello {{name}}")
    names = [each.name for each in rooms.run(rooms.registry.list_models()).items]
    assert "digits" in names and "greeting" not in names
