"""Disks that are full or read-only: what writes says what happened, to what and what to do, and leaves nothing half."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from genops_lab.cards.models import KeepCard
from genops_lab.cards.service import CardsService
from genops_lab.core.errors import Failed, GenOpsError
from genops_lab.core.models import Task
from genops_lab.core.settings import Settings
from genops_lab.evaluations.models import EvaluationsQuery, LoggedPredictions
from genops_lab.registry.backends.importing import EXPERIMENT
from genops_lab.registry.models import ImportModel, PullModel
from genops_lab.registry.signatures import SignaturesService, SignVersion, VerifyVersion
from genops_lab.registry.unfinished import check_room
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.quota import fill, make_read_only, small_disk
from tests.support.rooms import Rooms, open_rooms
from tests.support.signing_keys import make_keys
from tests.support.warm import warm_workers

from .test_importing import client, ended, folder, imported, nothing_left, weights


@dataclass(frozen=True)
class Disk:
    """A small disk that takes nothing more, with the files of version 1 of the model "kept"."""

    rooms: Rooms
    folder: Path
    here: Path
    #: What the system says.
    reason: str


REASONS = {fill: "No space left on device", make_read_only: "Read-only file system"}


@pytest.fixture(scope="module", params=REASONS, ids=["full", "read-only"])
def disk(
    request: pytest.FixtureRequest, module_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Disk]:
    trouble: Callable[[Path], None] = request.param
    here = tmp_path_factory.mktemp("disk")
    data = module_home.path / trouble.__name__
    place_store(data)
    with (
        small_disk(here / "small", "1m") as small,
        warm_workers(),
        open_rooms(Settings(data_dir=data)) as rooms,
    ):
        rooms.run(rooms.mlflow.ensure())
        client(rooms).create_experiment(EXPERIMENT, artifact_location=small.as_uri())
        imported(rooms, "kept", folder(here / "source", w__safetensors=weights(5000)))
        make_keys(here, "earlier")
        rooms.run(signatures(rooms).sign_version("kept", "1", SignVersion(key=str(here / "earlier.key"))))
        rooms.run(cards(rooms).keep_card("kept", "1", KeepCard()))
        trouble(small)
        yield Disk(rooms, small, here, REASONS[request.param])


@pytest.fixture(autouse=True)
def as_before(disk: Disk) -> Iterator[None]:
    """No test changes a file of the disk, or adds one."""
    before = contents(disk.folder)
    yield
    assert contents(disk.folder) == before


def contents(place: Path) -> dict[str, bytes]:
    return {str(each.relative_to(place)): each.read_bytes() for each in place.rglob("*") if each.is_file()}


def signatures(rooms: Rooms) -> SignaturesService:
    return SignaturesService(rooms.settings, rooms.mlflow, rooms.events)


def cards(rooms: Rooms) -> CardsService:
    return CardsService(rooms.mlflow, rooms.registry, rooms.events)


def says(disk: Disk, found: GenOpsError | Task, what: str) -> None:
    if isinstance(found, Task):
        assert found.state == "failed"
    assert what in found.message and disk.reason in found.message, found
    assert re.search("disk space|writ|rights", found.hint), found.hint


def test_files_are_not_registered(disk: Disk) -> None:
    rooms = disk.rooms
    source = folder(disk.here / "other", v__safetensors=weights(5000))
    end = ended(rooms, rooms.run(rooms.imports.import_model("other", ImportModel(source=str(source)))))
    says(disk, end, "Cannot write v.safetensors into the artifacts of MLflow")
    lines = rooms.run(rooms.tasks.get_task_log(end.id)).lines
    assert not [each for each in lines if "Trying again" in each], "a full disk stays full"
    nothing_left(rooms, "other")


def test_a_version_is_not_pulled(disk: Disk) -> None:
    rooms, place = disk.rooms, disk.folder / "pulled"
    end = ended(rooms, rooms.run(rooms.uses.pull_version("kept", PullModel(folder=str(place)))))
    says(disk, end, f"Cannot write {place}")
    assert not place.exists()


def test_a_card_is_not_kept(disk: Disk) -> None:
    body = KeepCard(text="# kept version 1\n\n## Limits\n\nFails on sevens.\n")
    with pytest.raises(GenOpsError) as caught:
        disk.rooms.run(cards(disk.rooms).keep_card("kept", "1", body))
    says(disk, caught.value, "Cannot keep the card of 'kept' version 1")
    assert "Fails on sevens" not in disk.rooms.run(cards(disk.rooms).get_card("kept", "1")).text
    bill = disk.rooms.run(cards(disk.rooms).get_bill_of_materials("kept", "1")).document
    assert bill["bomFormat"] == "CycloneDX", "a bill of materials needs no disk"


def test_a_version_is_not_signed_anew(disk: Disk) -> None:
    service = signatures(disk.rooms)
    keys = make_keys(disk.here, "later")
    with pytest.raises(GenOpsError) as caught:
        disk.rooms.run(service.sign_version("kept", "1", SignVersion(key=str(keys.private))))
    says(disk, caught.value, "Cannot sign 'kept' version 1")
    body = VerifyVersion(keys={"earlier.pub": (disk.here / "earlier.pub").read_text()})
    assert disk.rooms.run(service.verify_version("kept", "1", body)).state == "valid"


def test_predictions_are_not_kept(disk: Disk) -> None:
    rooms = disk.rooms
    given = disk.here / "predictions.json"
    given.write_text(json.dumps({"ids": ["a", "b"], "labels": [0, 1], "predictions": [0, 1]}))
    body = LoggedPredictions(path=str(given), model="kept", data="holdout", digest="d1")
    with pytest.raises(GenOpsError) as caught:
        rooms.run(rooms.evaluations.log_predictions(body))
    says(disk, caught.value, "The evaluation of 'kept' version 1 could not be written")
    assert not rooms.run(rooms.evaluations.list_evaluations(EvaluationsQuery())).items
    runs = client(rooms).search_runs([client(rooms).get_experiment_by_name(EXPERIMENT).experiment_id])
    assert len(runs) == 1, "the evaluation's run is deleted"


def test_a_disk_with_too_little_room_is_told_before_anything_is_copied(disk: Disk) -> None:
    with pytest.raises(Failed, match=r"The files need 1\.0 GiB more, and the disk of .* has .* left\."):
        check_room(disk.folder, 1 << 30)
