"""Deletion of models and versions: refused while something uses them, gone for good afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.core.settings import Settings
from genops_lab.registry.deleting import DeploymentsOfModel, ModelDeletion
from genops_lab.registry.models import DeleteQuery, MovesQuery, RegisterModel, SetAlias
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.rooms import Logged, Rooms, Training, eventually, open_rooms
from tests.support.warm import warm_workers

FORCED = DeleteQuery(force=True)


@pytest.fixture(scope="module")
def rooms(module_home: Home) -> Iterator[Rooms]:
    place_store(module_home.data)
    with warm_workers(), open_rooms(Settings(data_dir=module_home.data)) as found:
        yield found


@pytest.fixture(scope="module")
def one(rooms: Rooms) -> Logged:
    return Training(rooms).digits()


@pytest.fixture
def deletion(rooms: Rooms) -> ModelDeletion:
    deployments = DeploymentsOfModel(rooms.deployments.of_model)
    return ModelDeletion(rooms.mlflow, rooms.events, deployments, rooms.moves)


def register(rooms: Rooms, name: str, run: str, versions: int = 1) -> None:
    for _ in range(versions):
        rooms.run(rooms.registry.register_model(RegisterModel(name=name, run=run)))


def test_a_version_goes_and_its_number_is_not_used_again(
    rooms: Rooms, deletion: ModelDeletion, one: Logged
) -> None:
    register(rooms, "two", one.run_id, versions=2)
    rooms.events_seen.clear()
    left = rooms.run(deletion.delete_version("two", "2", DeleteQuery()))
    assert [each.version for each in left.versions] == ["1"]
    eventually(lambda: rooms.events_seen, lambda seen: ("model", "two") in seen)
    with pytest.raises(NotFound, match="has no version 2"):
        rooms.run(deletion.delete_version("two", "2", DeleteQuery()))
    register(rooms, "two", one.run_id)
    assert rooms.run(rooms.registry.resolve("two", "")).version == "3"
    assert one.folder.is_dir(), "the files belong to the run"


def test_an_alias_refuses_the_deletion_and_force_deletes_it_too(
    rooms: Rooms, deletion: ModelDeletion, one: Logged
) -> None:
    register(rooms, "my model", one.run_id, versions=2)
    rooms.run(rooms.registry.set_alias("my model", "champion", SetAlias(version="1")))
    for refused in (
        deletion.delete_model("my model", DeleteQuery()),
        deletion.delete_version("my model", "1", DeleteQuery()),
        deletion.delete_version("my model", "champion", DeleteQuery()),
    ):
        with pytest.raises(Conflict, match="Version 1 of 'my model' has the alias champion") as error:
            rooms.run(refused)
        assert error.value.hint.endswith("genops models unalias 'my model' champion")
    left = rooms.run(deletion.delete_version("my model", "1", FORCED))
    assert [(each.version, each.aliases) for each in left.versions] == [("2", [])]
    with pytest.raises(NotFound, match="has no alias 'champion'"):
        rooms.run(rooms.registry.resolve("my model", "champion"))
    last = rooms.run(rooms.registry.list_moves("my model", MovesQuery())).items[0]
    assert (last.from_version, last.to_version, last.reason) == ("1", "", "Version 1 is deleted.")
    rooms.run(deletion.delete_model("my model", FORCED))
    with pytest.raises(NotFound, match="No model is registered as 'my model'"):
        rooms.run(rooms.registry.get_model("my model"))


def test_unknown_and_bad_names_are_refused(rooms: Rooms, deletion: ModelDeletion) -> None:
    with pytest.raises(NotFound, match="No model is registered as 'nobody'"):
        rooms.run(deletion.delete_model("nobody", FORCED))
    with pytest.raises(InvalidRequest, match="contains '/' or ':'"):
        rooms.run(deletion.delete_model("a/b", FORCED))
