"""Experiments are added, deleted and restored, in the embedded MLflow and on a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.core.paging import FIRST
from genops_lab.core.settings import Settings
from genops_lab.experiments.columns.backend import RunMirror
from genops_lab.experiments.columns.models import RunSearch
from genops_lab.experiments.models import ExperimentRef, NewExperiment
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.mlflow_server import running_mlflow
from tests.support.rooms import Rooms, eventually, open_rooms
from tests.support.warm import warm_workers


@pytest.fixture(scope="module", params=["embedded", "server"])
def rooms(request: pytest.FixtureRequest, module_home: Home) -> Iterator[Rooms]:
    data = module_home.path / request.param
    data.mkdir(mode=0o700)
    with warm_workers():
        if request.param == "embedded":
            place_store(data)
            with open_rooms(Settings(data_dir=data)) as found:
                yield found
            return
        store = f"sqlite:///{module_home.path / 'server.db'}"
        with (
            running_mlflow(module_home, store, module_home.path / "served") as url,
            open_rooms(Settings(data_dir=data, mlflow_uri=url)) as found,
        ):
            yield found


def named(rooms: Rooms, name: str) -> bool:
    return any(each.name == name for each in rooms.run(rooms.experiments.list_experiments()).items)


def runs_of(rooms: Rooms, experiment_id: str) -> int:
    asked = RunSearch(experiments=[experiment_id], wait_s=30)
    return rooms.run(rooms.mlflow.call_columns(RunMirror.search, asked)).matched


def test_an_experiment_is_added_deleted_with_its_runs_and_restored(rooms: Rooms) -> None:
    import mlflow

    rooms.events_seen.clear()
    added = rooms.run(rooms.experiments.add_experiment(NewExperiment(name="team/vision")))
    assert named(rooms, "team/vision") and added.updated_at
    eventually(lambda: rooms.events_seen, lambda events: ("experiment", added.id) in events)
    client = mlflow.MlflowClient(rooms.mlflow.uri)
    run = client.create_run(added.id)
    client.set_terminated(run.info.run_id)
    eventually(lambda: runs_of(rooms, added.id), lambda count: count == 1)

    with pytest.raises(Conflict, match="The experiment 'team/vision' exists"):
        rooms.run(rooms.experiments.add_experiment(NewExperiment(name="team/vision")))
    rooms.events_seen.clear()
    gone = rooms.run(rooms.experiments.delete_experiment(ExperimentRef(experiment="team/vision")))
    assert gone.id == added.id and not named(rooms, "team/vision")
    eventually(
        lambda: rooms.events_seen, lambda events: {"experiment", "run"} <= {kind for kind, _ in events}
    )
    eventually(lambda: runs_of(rooms, added.id), lambda count: count == 0)
    deleted = rooms.run(rooms.experiments.list_deleted_experiments(query=FIRST)).items
    assert [each.name for each in deleted] == ["team/vision"]
    with pytest.raises(Conflict, match="was deleted, and MLflow keeps its name"):
        rooms.run(rooms.experiments.add_experiment(NewExperiment(name="team/vision")))

    back = rooms.run(rooms.experiments.undelete_experiment(ExperimentRef(experiment=added.id)))
    assert back.name == "team/vision" and named(rooms, "team/vision")
    eventually(lambda: runs_of(rooms, added.id), lambda count: count == 1)


def test_what_cannot_be_deleted_is_refused(rooms: Rooms) -> None:
    for ref in ("Default", "0"):
        with pytest.raises(InvalidRequest, match="MLflow needs it for runs that name no experiment"):
            rooms.run(rooms.experiments.delete_experiment(ExperimentRef(experiment=ref)))
    for ref in ("nobody", "999999", "", "-1", "²"):
        with pytest.raises(NotFound, match="There is no experiment"):
            rooms.run(rooms.experiments.delete_experiment(ExperimentRef(experiment=ref)))
        with pytest.raises(NotFound, match="There is no deleted experiment"):
            rooms.run(rooms.experiments.undelete_experiment(ExperimentRef(experiment=ref)))
    with pytest.raises(InvalidRequest, match="has no name"):
        rooms.run(rooms.experiments.add_experiment(NewExperiment(name=" ")))
