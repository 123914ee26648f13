"""Clean-up of old versions: never one that is deployed, aliased or a parent. Stages of MLflow 2 become aliases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from genops_lab.core.errors import InvalidRequest
from genops_lab.core.settings import Settings
from genops_lab.registry.cleaning import ModelCleaning
from genops_lab.registry.deleting import DeploymentsOfModel, ModelDeletion
from genops_lab.registry.models import MovesQuery, OldVersions, Prune
from tests.support.homes import Home
from tests.support.mlflow_file import copy_row, place_store
from tests.support.rooms import Rooms, open_rooms
from tests.support.warm import warm_workers


@pytest.fixture(scope="module")
def rooms(module_home: Home) -> Iterator[Rooms]:
    place_store(module_home.data)
    with warm_workers(), open_rooms(Settings(data_dir=module_home.data)) as found:
        yield found


@pytest.fixture
def deployed() -> dict[str, list[str]]:
    """The deployments by version, in place of running ones."""
    return {}


@pytest.fixture
def cleaning(rooms: Rooms, deployed: dict[str, list[str]]) -> ModelCleaning:
    async def of(_model: str) -> dict[str, list[str]]:
        await asyncio.sleep(0)
        return deployed

    deployments = DeploymentsOfModel(of)
    deletion = ModelDeletion(rooms.mlflow, rooms.events, deployments, rooms.moves)
    return ModelCleaning(rooms.mlflow, deletion, deployments, rooms.moves)


@pytest.fixture(scope="module")
def client(rooms: Rooms) -> Any:
    import mlflow

    rooms.run(rooms.mlflow.ensure())
    return mlflow.MlflowClient(rooms.mlflow.uri)


def model(client: Any, name: str, versions: int) -> None:
    client.create_registered_model(name)
    run = client.create_run("0")
    for _ in range(versions):
        client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)


def test_what_something_needs_stays(
    rooms: Rooms, cleaning: ModelCleaning, client: Any, deployed: dict[str, list[str]]
) -> None:
    model(client, "old", 7)
    model(client, "child", 1)
    client.set_registered_model_alias("old", "champion", "1")
    client.set_model_version_tag("child", "1", "genops.parent", "models:/old/2")
    deployed["3"] = ["serving"]
    found = rooms.run(cleaning.list_old_versions("old", OldVersions(keep=2)))
    assert found.deletes == ["5", "4"]
    assert found.stays == {
        "3": "deployed as serving", "2": "child version 1 is made from it", "1": "has the alias champion",
    }  # fmt: skip
    assert not rooms.run(cleaning.list_old_versions("old", OldVersions(keep=1, older_than_days=1))).deletes
    # What became needed after the question stays too.
    client.set_registered_model_alias("old", "late", "5")
    done = rooms.run(cleaning.delete_old_versions("old", Prune(versions=["5", "4", "3", "2"])))
    assert done.deleted == ["4"] and sorted(done.stays) == ["2", "3", "5"]
    assert "has the alias late" in done.stays["5"]
    left = rooms.run(rooms.registry.get_model("old")).versions
    assert [each.version for each in left] == ["7", "6", "5", "3", "2", "1"]
    with pytest.raises(InvalidRequest, match="keeps at least 1 version"):
        rooms.run(cleaning.list_old_versions("old", OldVersions(keep=0)))


def test_an_age_counts_from_the_version(rooms: Rooms, cleaning: ModelCleaning, client: Any) -> None:
    model(client, "aged", 1)
    file = rooms.settings.data_dir / "mlflow" / "mlflow.db"
    copy_row(file, "model_versions", "name = 'aged'", [{"version": 2, "creation_time": 1_000}])
    client.create_model_version("aged", "somewhere")
    found = rooms.run(cleaning.list_old_versions("aged", OldVersions(keep=1, older_than_days=90)))
    assert found.deletes == ["2"] and found.stays == {}


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_stages_become_aliases(rooms: Rooms, cleaning: ModelCleaning, client: Any) -> None:
    model(client, "staged", 4)
    for version, stage in (("1", "Production"), ("2", "Production"), ("3", "Staging"), ("4", "Archived")):
        client.transition_model_version_stage("staged", version, stage)
    client.set_registered_model_alias("staged", "archived", "1")
    shown = rooms.run(cleaning.list_stages("staged"))
    assert [(each.version, each.stage) for each in shown] == [
        ("4", "Archived"), ("3", "Staging"), ("2", "Production"), ("1", "Production"),
    ]  # fmt: skip
    done = rooms.run(cleaning.alias_stages("staged"))
    assert {each.version: each.alias for each in done} == {
        "4": "",
        "3": "staging",
        "2": "production",
        "1": "",
    }
    aliases = client.get_registered_model("staged").aliases
    assert {alias: int(version) for alias, version in aliases.items()} == {
        "archived": 1, "staging": 3, "production": 2,
    }  # fmt: skip
    reasons = [each.reason for each in rooms.run(rooms.registry.list_moves("staged", MovesQuery())).items]
    assert "The version has the stage Production." in reasons
    assert all(not each.alias for each in rooms.run(cleaning.alias_stages("staged")))
