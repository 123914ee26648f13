"""Models: register once, choose, alias, refuse bad names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.paging import Page, PageQuery
from genops_lab.core.settings import Settings
from genops_lab.experiments.hashes import model_digest
from genops_lab.registry.files.models import ModelFacts
from genops_lab.registry.models import RegisteredModel, RegisterModel, SetAlias
from tests.support.homes import Home
from tests.support.mlflow_file import copy_row, place_store
from tests.support.rooms import Logged, Rooms, Training, eventually, open_rooms
from tests.support.warm import warm_workers


@pytest.fixture(scope="module")
def rooms(module_home: Home) -> Iterator[Rooms]:
    place_store(module_home.data)
    with warm_workers(), open_rooms(Settings(data_dir=module_home.data)) as found:
        yield found


@pytest.fixture(scope="module")
def training(rooms: Rooms) -> Training:
    return Training(rooms)


@pytest.fixture(scope="module")
def one(training: Training) -> Logged:
    return training.digits()


def register(rooms: Rooms, name: str, run: str, **fields: str):
    return rooms.run(rooms.registry.register_model(RegisterModel(name=name, run=run, **fields)))


def test_a_runs_model_is_registered_listed_and_told(rooms: Rooms, one: Logged) -> None:
    rooms.events_seen.clear()
    first = register(rooms, "listed", one.run_id)
    second = register(rooms, "listed", one.run_id, alias="champion")
    assert (first.version, second.version) == ("1", "2")
    assert second.run_id == one.run_id
    assert second.aliases == ["champion"]
    assert second.flavors == ["sklearn", "python_function"]
    [model] = [each for each in rooms.run(rooms.registry.list_models()).items if each.name == "listed"]
    assert [version.version for version in model.versions] == ["2", "1"]
    eventually(lambda: rooms.events_seen, lambda events: ("model", "listed") in events)


def test_a_model_comes_with_its_newest_versions_and_the_others_in_pages(rooms: Rooms, one: Logged) -> None:
    register(rooms, "long", one.run_id)
    file = rooms.settings.data_dir / "mlflow" / "mlflow.db"
    rows = [{"version": number} for number in range(2, 251)]
    copy_row(file, "model_versions", "name = 'long' AND version = 1", rows)
    copy_row(file, "registered_models", "name = 'long'", [{"name": f"long{each}"} for each in range(3)])
    model = rooms.run(rooms.registry.get_model("long"))
    assert [each.version for each in model.versions] == [str(number) for number in range(250, 150, -1)]
    second = rooms.run(rooms.registry.list_versions("long", PageQuery(after=model.older)))
    register(rooms, "long", one.run_id)
    third = rooms.run(rooms.registry.list_versions("long", PageQuery(after=second.next)))
    listed = dict.fromkeys(each.version for each in (*model.versions, *second.items, *third.items))
    assert list(listed) == [str(number) for number in range(250, 0, -1)] and third.next == ""
    # An alias of a version that does not come with the model.
    rooms.run(rooms.registry.set_alias("long", "old", SetAlias(version="3")))
    assert rooms.run(rooms.registry.resolve("long", "old")).version == "3"
    rooms.run(rooms.registry.delete_alias("long", "old"))
    with pytest.raises(NotFound, match="has no alias 'old'"):
        rooms.run(rooms.registry.resolve("long", "old"))
    names: list[str] = []
    page = Page[RegisteredModel](items=[], next="")
    while not names or page.next:
        page = rooms.run(rooms.registry.list_models(PageQuery(limit=2, after=page.next)))
        assert len(page.items) <= 2
        names += [each.name for each in page.items]
    assert len(set(names)) == len(names) >= 4
    with pytest.raises(InvalidRequest, match="is not a cursor of this list"):
        rooms.run(rooms.registry.list_models(PageQuery(after="no cursor")))


def test_one_key_registers_one_version(rooms: Rooms, one: Logged) -> None:
    body = RegisterModel(name="twice", run=one.run_id, idempotency_key="a double click")
    versions = rooms.gather(*(rooms.registry.register_model(body) for _ in range(3)))
    assert {version.version for version in versions} == {"1"}
    assert rooms.run(rooms.registry.register_model(body)).version == "1"
    assert len(rooms.run(rooms.registry.get_model("twice")).versions) == 1


def test_two_processes_with_one_key_register_one_version(rooms: Rooms, one: Logged) -> None:
    body = RegisterModel(name="two-tabs", run=one.run_id, idempotency_key="two tabs")
    with open_rooms(rooms.settings) as other:
        import threading

        found: list[str] = []
        threads = [
            threading.Thread(
                target=lambda each=each: found.append(each.run(each.registry.register_model(body)).version)
            )
            for each in (rooms, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == ["1", "1"]
    assert len(rooms.run(rooms.registry.get_model("two-tabs")).versions) == 1


def test_a_key_whose_work_failed_can_be_used_again(rooms: Rooms, training: Training, one: Logged) -> None:
    with training.run() as run:
        pass
    with pytest.raises(NotFound, match="logged no model"):
        register(rooms, "again", run.info.run_id, idempotency_key="again")
    assert register(rooms, "again", one.run_id, idempotency_key="again").version == "1"


def test_a_run_with_several_models_asks_which(rooms: Rooms, training: Training) -> None:
    several = training.digits("small", "large")
    with pytest.raises(InvalidRequest, match="large, small") as caught:
        register(rooms, "several", several.run_id)
    assert caught.value.code == "ambiguous"
    assert caught.value.details["models"] == ["large", "small"]
    with pytest.raises(NotFound, match="large, small"):
        register(rooms, "several", several.run_id, model="medium")
    assert register(rooms, "several", several.run_id, model="large").version == "1"


def test_a_run_without_a_model_says_how_to_log_one(rooms: Rooms, training: Training) -> None:
    with training.run() as run:
        pass
    with pytest.raises(NotFound) as caught:
        register(rooms, "none", run.info.run_id)
    assert "log_model" in caught.value.hint


def test_a_model_among_the_artifacts_is_found(
    rooms: Rooms, training: Training, one: Logged, tmp_path: Path
) -> None:
    """MLflow 2 logged models as artifacts of their run."""
    import mlflow

    with training.run() as run:
        mlflow.log_artifacts(str(one.folder), "old-model")
    version = register(rooms, "old", run.info.run_id)
    assert version.flavors == ["sklearn", "python_function"]
    rooms.run(rooms.registry.download(version, tmp_path / "files"))
    assert model_digest(tmp_path / "files") == model_digest(one.folder)


def test_aliases_are_set_moved_and_taken_away(rooms: Rooms, one: Logged) -> None:
    for _ in range(2):
        register(rooms, "aliased", one.run_id)
    registry = rooms.registry
    rooms.run(registry.set_alias("aliased", "champion", SetAlias(version="1")))
    model = rooms.run(registry.set_alias("aliased", "champion", SetAlias(version="2")))
    assert [version.aliases for version in model.versions] == [["champion"], []]
    assert rooms.run(registry.resolve("aliased", "champion")).version == "2"
    assert rooms.run(registry.resolve("aliased", "1")).version == "1"
    assert rooms.run(registry.resolve("aliased", "")).version == "2"
    for _ in range(2):
        model = rooms.run(registry.delete_alias("aliased", "champion"))
    assert [version.aliases for version in model.versions] == [[], []]
    with pytest.raises(NotFound):
        rooms.run(registry.set_alias("aliased", "champion", SetAlias(version="7")))
    with pytest.raises(NotFound):
        rooms.run(registry.resolve("aliased", "champion"))


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", "../up", "..", "x" * 257, "a\nb"])
def test_bad_names_are_refused(rooms: Rooms, one: Logged, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        register(rooms, name, one.run_id)
    assert caught.value.hint


@pytest.mark.parametrize("alias", ["latest", "v1", "a b", "x" * 256])
def test_bad_aliases_are_refused(rooms: Rooms, one: Logged, alias: str) -> None:
    with pytest.raises(InvalidRequest):
        register(rooms, "aliases", one.run_id, alias=alias)


@pytest.mark.parametrize("name", ["Ziffern-großartig-数字", "it's", 'say "hi"', "x" * 256])
def test_unusual_names_work(rooms: Rooms, one: Logged, name: str) -> None:
    assert register(rooms, name, one.run_id).name == name
    assert rooms.run(rooms.registry.get_model(name)).versions[0].version == "1"


def test_an_unknown_model_is_not_found(rooms: Rooms, one: Logged) -> None:
    register(rooms, "digits-net", one.run_id)
    with pytest.raises(NotFound) as caught:
        rooms.run(rooms.registry.get_model("digitsnet"))
    assert (caught.value.message, caught.value.hint) == (
        "No model is registered as 'digitsnet'.",
        "Did you mean digits-net? List the models: genops models list",
    )
    with pytest.raises(NotFound) as caught:
        rooms.run(rooms.registry.resolve("digits-net", "7"))
    assert (caught.value.message, caught.value.hint) == (
        "The model 'digits-net' has no version 7.",
        "List its versions: genops models show digits-net",
    )


def test_files_come_byte_for_byte(rooms: Rooms, one: Logged, tmp_path: Path) -> None:
    version = register(rooms, "files", one.run_id)
    rooms.run(rooms.registry.download(version, tmp_path / "files"))
    assert model_digest(tmp_path / "files") == model_digest(one.folder)


def test_the_files_of_a_version_are_read_once_and_again_where_they_changed(rooms: Rooms, one: Logged) -> None:
    register(rooms, "told", one.run_id, alias="champion")
    found = rooms.run(rooms.registry.get_version_facts("told", "champion"))
    assert (found.headline, found.formats) == ("Files hold data only", ["skops"])
    assert found.flavors == ["sklearn", "python_function"]
    assert found.requirements == ["mlflow", "scikit-learn", "skops"]
    assert found.complete and found.problems == []
    (one.folder / "extra.py").write_text("import os\n")
    try:
        found = rooms.run(rooms.registry.get_version_facts("told", "1"))
        assert found.headline == "Runs code when loaded: extra.py"
    finally:
        (one.folder / "extra.py").unlink()
    assert rooms.run(rooms.registry.get_version_facts("told", "1")).verdict == "data"
    with pytest.raises(NotFound, match="has no version 9"):
        rooms.run(rooms.registry.get_version_facts("told", "9"))


def test_facts_are_kept_by_place_and_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genops_lab.registry.backends import version_facts

    reads: list[Path] = []

    def read(folder: Path) -> ModelFacts:
        reads.append(folder)
        return ModelFacts(verdict="data", headline="read")

    class Client:
        """MLflow's client as far as it is asked: where the files of a version are."""

        def get_model_version_download_uri(self, name: str, version: str) -> str:
            return str(tmp_path / version)

    monkeypatch.setattr(version_facts, "read_model", read)
    monkeypatch.setattr(version_facts, "MAX_KEPT", 1)
    facts = version_facts.VersionFacts(Client())  # type: ignore[arg-type]
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
    facts.read("m", "1"), facts.read("m", "1")
    assert len(reads) == 1
    (tmp_path / "1" / "new").write_text("x")
    facts.read("m", "1"), facts.read("m", "2"), facts.read("m", "1")
    assert len(reads) == 4  # one is kept
    with pytest.raises(NotFound, match="do not exist"):
        facts.read("m", "3")
