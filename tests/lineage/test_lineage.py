"""What stands on a data set, a commit, a run, a version; and what each was made from. With a real MLflow."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import GenOpsError, InvalidRequest, NotFound, Unavailable
from genops_lab.core.settings import Settings
from genops_lab.core.store.shared_tables import deployment_specs
from genops_lab.core.store.tables import deployments
from genops_lab.lineage.backends import uses
from genops_lab.lineage.backends.walking import MlflowLineage
from genops_lab.lineage.models import Direction, Lineage, LineageNode, LineageQuery, LineageRunsQuery
from genops_lab.lineage.names import parse
from genops_lab.lineage.service import LineageService
from tests.support.faults import closed_port
from tests.support.homes import Home, temporary_home
from tests.support.mlflow_file import place_server_store
from tests.support.mlflow_server import running_mlflow
from tests.support.postgres import missing, postgres
from tests.support.rooms import Rooms, open_rooms
from tests.support.warm import warm_workers

#: 250 characters with a quote, of which PostgreSQL counts characters.
LONG_NAME = "数𝛼é'" * 62 + "ab"
COMMIT = "9f8e7d6c" * 5


class World:
    """A Lab on an MLflow: a run of two data sets, two versions, one that is derived, an evaluation, deployments."""

    def __init__(self, rooms: Rooms, uri: str) -> None:
        import mlflow

        self.rooms = rooms
        self.client = mlflow.MlflowClient(uri)
        self.service = LineageService(rooms.mlflow, rooms.experiments, rooms.deployments, rooms.shared)
        client = self.client
        self.train = self.run("train", {"train": "aaa1", LONG_NAME: "bbb2"}, commit=COMMIT)
        client.set_tag(self.train, "mlflow.source.name", "/home/ada/train.ipynb")
        client.set_tag(self.train, "mlflow.source.git.dirty", "true")
        for _ in range(2):
            self.version("digits", self.train)
        client.set_registered_model_alias("digits", "champion", "2")
        self.version(LONG_NAME, self.train)
        self.version("small", None, {"genops.parent": "models:/digits/2"})
        self.version("tuned", None, {"genops.base_model": "hf:ORG/NAME@v1"})
        self.judge = self.run("judge", {"holdout": "ccc3"}, context="evaluation")
        client.set_tag(self.judge, "genops.evaluation.model", "digits")
        client.set_tag(self.judge, "genops.evaluation.version", "2")
        client.set_model_version_tag("digits", "2", "genops.evaluation.holdout:ccc3", self.judge)
        self.deploy("prod", "small", "1")
        self.deploy_of("bob", "theirs", "digits", "2")

    def run(self, name: str, data: dict[str, str], *, commit: str = "", context: str = "training") -> str:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        run = str(self.client.create_run("0", run_name=name).info.run_id)
        tags = [InputTag("mlflow.data.context", context)]
        self.client.log_inputs(
            run,
            [
                DatasetInput(Dataset(each, digest, "local", json.dumps({"uri": f"/data/{digest}"})), tags)
                for each, digest in data.items()
            ],
        )
        if commit:
            self.client.set_tag(run, "mlflow.source.git.commit", commit)
        self.client.set_terminated(run)
        return run

    def version(self, name: str, run: str | None, tags: dict[str, str] | None = None) -> str:
        from mlflow.exceptions import MlflowException

        with contextlib.suppress(MlflowException):  # the model exists
            self.client.create_registered_model(name)
        source = self.client.get_run(run).info.artifact_uri if run else "s3://elsewhere"
        return str(self.client.create_model_version(name, f"{source}/model", run, tags=tags).version)

    def deploy(self, name: str, model: str, version: str) -> None:
        """Add the record of a deployment. Real deployments are tested in tests/deployments."""
        now = time.time()
        row = {
            "name": name,
            "model": model,
            "version": version,
            "state": "stopped",
            "target": "",
            "spec": "{}",
        }
        row |= {
            "revision": 1,
            "generation": 1,
            "message": "",
            "hint": "",
            "created_at": now,
            "lease_until": now,
        }
        with self.rooms.store.transaction() as connection:
            connection.execute(deployments.insert().values(**row))

    def deploy_of(self, owner: str, name: str, model: str, version: str) -> None:
        """Add a deployment of another user, as the shared store has it."""
        row = {"owner": owner, "team": "", "name": name, "model": model, "version": version, "spec": "{}"}
        with self.rooms.shared.transaction() as connection:
            connection.execute(deployment_specs.insert().values(**row, created_at=time.time()))

    def ask(self, of: str, direction: Direction = "both", **more: Any) -> Lineage:
        return self.rooms.run(self.service.get_lineage(LineageQuery(of=of, direction=direction, **more)))

    def here(self, of: str, limit: int = 200) -> Lineage:
        """Ask in this process, whose limits a test may change, for what stands on an object."""
        serving, _ = self.rooms.run(self.service._serving())
        return MlflowLineage(self.client.tracking_uri).lineage(parse(of), "down", limit, serving)

    def names(self, of: str, direction: Direction = "both") -> set[str]:
        found = self.ask(of, direction)
        return {each.id for each in found.nodes} - {found.root}


@contextlib.contextmanager
def world(uri: str, data: Path) -> Iterator[World]:
    with open_rooms(Settings(data_dir=data, mlflow_uri=uri)) as rooms:
        yield World(rooms, uri)


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with temporary_home() as found, warm_workers():
        yield found


@pytest.fixture(
    scope="module", params=["sqlite", "http", pytest.param("postgresql", marks=pytest.mark.exhaustive)]
)
def lab(request: pytest.FixtureRequest, home: Home) -> Iterator[World]:
    data = home.path / request.param
    if request.param == "postgresql":
        if missing():
            pytest.skip(missing())
        with postgres() as server, world(server.uri(), data) as found:
            yield found
        return
    database = data / "mlflow.db"
    place_server_store(database)
    if request.param == "sqlite":
        with world(f"sqlite:///{database}", data) as found:
            yield found
    else:
        with (
            running_mlflow(home, f"sqlite:///{database}", data / "artifacts") as url,
            world(url, data) as found,
        ):
            yield found


def test_what_stands_on_a_data_set_reaches_the_deployments(lab: World) -> None:
    stands = {
        f"run:{lab.train}", "model:digits@1", "model:digits@2", f"model:{LONG_NAME}@1", "model:small@1",
        "deployment:prod", "deployment:bob/theirs",
    }  # fmt: skip
    assert lab.names("data:train@aaa1") == stands
    assert lab.names("data:train") == lab.names("data:train@aa", "down") == stands
    assert lab.names(f"data:{LONG_NAME}@bbb2") == stands
    assert lab.names("data:train@aaa1", "up") == set()
    found = lab.ask("data:train@aaa1")
    nodes = {each.id: each for each in found.nodes}
    assert nodes["model:digits@2"].aliases == ["champion"] and nodes["model:digits@1"].aliases == []
    assert (nodes["deployment:bob/theirs"].owner, nodes["deployment:prod"].state) == ("bob", "stopped")
    kinds = {(edge.start, edge.end): (edge.kind, edge.context) for edge in found.edges}
    assert kinds["data:train@aaa1", f"run:{lab.train}"] == ("input", "training")
    assert kinds[f"run:{lab.train}", "model:digits@2"] == ("logged", "")
    assert kinds["model:digits@2", "model:small@1"] == ("derived", "")
    assert kinds["model:small@1", "deployment:prod"] == ("serves", "")
    columns = [
        nodes[id].column for id in ("data:train@aaa1", f"run:{lab.train}", "model:digits@2", "model:small@1")
    ]
    assert columns == [0, 1, 2, 3] and nodes["deployment:prod"].column == 4 and found.notes == []


def test_what_an_evaluation_judged_stands_on_its_data(lab: World) -> None:
    found = lab.ask("data:holdout@ccc3", "down")
    kinds = {(edge.start, edge.end): (edge.kind, edge.context) for edge in found.edges}
    assert kinds["data:holdout@ccc3", f"run:{lab.judge}"] == ("input", "evaluation")
    assert kinds[f"run:{lab.judge}", "model:digits@2"] == ("evaluated", "")
    assert "model:digits@1" not in {each.id for each in found.nodes}


def test_a_deployment_knows_what_it_was_made_from(lab: World) -> None:
    made_from = {
        "model:small@1", "model:digits@2", f"run:{lab.train}", f"run:{lab.judge}", "data:train@aaa1",
        f"data:{LONG_NAME}@bbb2", "data:holdout@ccc3",
    }  # fmt: skip
    assert lab.names("deployment:prod") == lab.names("deployment:prod", "up") == made_from
    run = next(each for each in lab.ask("deployment:prod").nodes if each.id == f"run:{lab.train}")
    assert (run.name, run.commit, run.dirty, run.source) == ("train", COMMIT, True, "/home/ada/train.ipynb")
    assert lab.names("deployment:bob/theirs") == made_from - {"model:small@1"}
    data = next(
        each for each in lab.ask("deployment:prod").nodes if each.name == "train" and each.kind == "data"
    )
    assert (data.digest, data.source) == ("aaa1", "/data/aaa1")


def test_commits_runs_versions_and_base_models_are_found_by_their_beginnings(lab: World) -> None:
    assert f"run:{lab.train}" in lab.names("commit:9f8e7d")
    assert lab.ask("commit:9F8E").root == f"commit:{COMMIT}"
    assert lab.ask(f"run:{lab.train[:12]}").root == lab.ask("run:train").root == f"run:{lab.train}"
    assert lab.ask("model:digits@champion").root == lab.ask("model:digits").root == "model:digits@2"
    assert lab.ask("models:/digits/1").root == "model:digits@1"
    assert lab.names("base:hf:ORG/NAME") == {"model:tuned@1"}
    assert lab.names("model:tuned@1") == {"base:hf:ORG/NAME@v1"}
    assert lab.names(f"model:{LONG_NAME}@1", "up") == lab.names("model:digits@1", "up")


def test_unknown_objects_are_refused_with_what_was_meant(lab: World) -> None:
    other = lab.run("other", {"train": "aaa9"})
    refused: list[tuple[str, type[GenOpsError], str, str]] = [
        (
            "data:trian@aaa1",
            NotFound,
            "No run has a data set 'trian' with the digest aaa1",
            "Did you mean train?",
        ),
        ("data:train@ffff", NotFound, "No run has a data set 'train'", "data:train@aaa1"),
        ("data:train@aaa", InvalidRequest, "2 objects match", "data:train@aaa9"),
        ("commit:123456", NotFound, "No run was made from the commit 123456", "genops runs list"),
        ("commit:main", InvalidRequest, "'main' is not a commit", "hexadecimal"),
        ("run:nothing", NotFound, "nothing", ""),
        ("model:digts@1", NotFound, "No model is registered as 'digts'", "Did you mean digits?"),
        ("model:digits@77", NotFound, "has no version 77", "genops models show digits"),
        ("model:digits@chmpion", NotFound, "has no alias 'chmpion'", "champion"),
        ("deployment:prd", NotFound, "There is no deployment 'prd'", "Did you mean prod?"),
        ("base:hf:nobody", NotFound, "No version names the base model", "base:hf:ORG/NAME@REVISION"),
    ]
    for of, kind, message, hint in refused:
        with pytest.raises(kind, match=re.escape(message)) as error:
            lab.ask(of)
        assert hint in error.value.hint, of
    with pytest.raises(InvalidRequest, match="limit is 0"):
        lab.ask("data:train@aaa1", limit=0)
    lab.client.delete_run(other)
    with pytest.raises(InvalidRequest, match="2 objects match"):  # a deleted run still names its data
        lab.ask("data:train@aaa")


def test_deleted_runs_and_versions_are_shown_as_deleted(lab: World) -> None:
    run = lab.run("gone", {"old": "ddd4"})
    first, second = lab.version("gone", run), lab.version("gone", run)
    lab.version("heir", None, {"genops.parent": f"models:/gone/{first}"})
    lab.deploy("of-gone", "gone", first)
    lab.client.delete_model_version("gone", first)
    lab.client.delete_run(run)
    up = {each.id: each for each in lab.ask("model:heir@1", "up").nodes}
    assert up["model:gone@1"].deleted and not up["model:heir@1"].deleted
    served = {each.id: each for each in lab.ask("deployment:of-gone").nodes}
    assert served["model:gone@1"].deleted and set(served) == {"deployment:of-gone", "model:gone@1"}
    assert {"model:heir@1", "deployment:of-gone"} <= lab.names("model:gone@1")
    down = {each.id: each for each in lab.ask("data:old@ddd4").nodes}
    assert down[f"run:{run}"].deleted and not down[f"model:gone@{second}"].deleted


def test_a_run_that_is_gone_for_good_stays_in_the_chain(lab: World) -> None:
    lab.version("orphan", None)
    lab.client.set_model_version_tag("orphan", "1", "genops.evaluation.x:1", "f" * 32)
    [gone] = [each for each in lab.ask("model:orphan@1").nodes if each.kind == "run"]
    assert (gone.run_id, gone.deleted, gone.name) == ("f" * 32, True, "")


def test_circles_and_nonsense_in_tags_end(lab: World) -> None:
    lab.version("round", None, {"genops.parent": "models:/circle/1"})
    lab.version("circle", None, {"genops.parent": "models:/round/1", "genops.source": "{not JSON"})
    lab.version(
        "self", None, {"genops.parent": "models:/self/1", "genops.base_model": "models:/self@champion"}
    )
    assert lab.names("model:round@1") == {"model:circle@1"}
    assert lab.names("model:self@1") == {"base:models:/self@champion"}
    lab.client.set_model_version_tag("self", "1", "genops.parent", "models:/" + LONG_NAME + "/99999")
    missing_one = next(each for each in lab.ask("model:self@1").nodes if each.name == LONG_NAME)
    assert missing_one.deleted


def test_evaluations_by_mlflow_itself_are_found_both_ways(
    lab: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    from mlflow.entities import LoggedModelInput

    monkeypatch.setenv("MLFLOW_TRACKING_URI", lab.client.tracking_uri)
    mlflow.set_tracking_uri(lab.client.tracking_uri)  # MLflow asks it for the logged model
    source = lab.run("logs a model", {"train": "aaa1"})
    logged = lab.client.create_logged_model("0", name="model", source_run_id=source)
    lab.client.create_registered_model("by-mlflow")
    lab.client.create_model_version("by-mlflow", f"models:/{logged.model_id}", model_id=logged.model_id)
    judge = lab.run("mlflow.evaluate", {"exam": "eee5"}, context="eval")
    lab.client.log_inputs(judge, models=[LoggedModelInput(logged.model_id)])
    lab.client.log_metric(
        judge, "accuracy", 0.9, dataset_name="exam", dataset_digest="eee5", model_id=logged.model_id
    )
    assert lab.names("data:exam@eee5") == {f"run:{judge}", "model:by-mlflow@1"}
    assert lab.names(f"run:{judge}", "down") == {"model:by-mlflow@1"}
    up = lab.ask("model:by-mlflow@1", "up")
    kinds = {(edge.start, edge.end): edge.kind for edge in up.edges}
    assert kinds[f"run:{judge}", "model:by-mlflow@1"] == "evaluated"
    assert kinds[f"run:{source}", "model:by-mlflow@1"] == "logged"
    assert "data:exam@eee5" in {each.id for each in up.nodes}


def test_of_many_runs_those_with_versions_are_read_and_the_others_counted_and_paged(
    lab: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = lab.run("the oldest", {"many": "fff6"}, commit="abcd" * 10)
    lab.version("served", deployed)
    lab.version("served-int8", None, {"genops.parent": "models:/served/1"})
    lab.deploy("oldest", "served-int8", "1")
    judge = lab.run("many judge", {"many": "fff6"})
    lab.client.set_tag(judge, "genops.evaluation.model", "served")
    lab.client.set_tag(judge, "genops.evaluation.version", "1")
    champion = lab.run("the champion's", {"many": "fff6"})
    lab.client.set_registered_model_alias("many", "champion", lab.version("many", champion))
    newest = [lab.run(f"logs {number}", {"many": "fff6"}) for number in range(2)]
    for run in newest:
        lab.version("many", run)
    bare = [lab.run(f"bare {number}", {"many": "fff6"}, commit="abcd" * 10) for number in range(7)]
    monkeypatch.setattr(uses, "FEW", 2)
    monkeypatch.setattr(uses, "NEWEST", 4)
    counts = not lab.client.tracking_uri.startswith("http")

    found = lab.here("data:many@fff6", limit=6)  # three runs with versions, and that of the deployment
    read = lab.here("data:many@fff6").nodes
    runs = {each.run_id for each in read if each.kind == "run"}
    assert {deployed, champion, *newest} <= runs and not runs & set(bare)
    assert {"deployment:oldest", "model:served@1", "model:many@1"} <= {each.id for each in read}
    [group] = [fold for fold in found.folds if fold.without_version]
    assert (group.kind, group.column, group.upward) == ("run", 1, False)
    if counts:
        assert (group.count, group.at_least, found.notes) == (7, False, [])
        assert judge in runs
        hidden = sum(fold.count for fold in found.folds if fold.kind == "run" and not fold.without_version)
        assert hidden + sum(each.kind == "run" for each in found.nodes) == 5
    else:  # MLflow's API does not count
        assert (group.count, group.at_least) == (4, True)
        assert re.match("More than 4 runs used this data set", found.notes[0])
    assert "deployment:oldest" in {each.id for each in found.nodes}  # first of what is shown

    pages: list[str] = []
    query = LineageRunsQuery(of="data:many@fff6", limit=3)
    while True:
        page = lab.rooms.run(lab.service.list_runs_without_version(query))
        pages += [each.run_id for each in page.items]
        if not page.next:
            break
        query = LineageRunsQuery(of="data:many@fff6", limit=3, after=page.next)
    assert sorted(pages) == sorted(bare)
    of_commit = lab.rooms.run(lab.service.list_runs_without_version(LineageRunsQuery(of="commit:abcd")))
    assert {each.run_id for each in of_commit.items} == set(bare) and of_commit.next == ""
    by_commit = lab.here("commit:abcd")
    assert deployed in {each.run_id for each in by_commit.nodes} and by_commit.folds[-1].without_version


def test_few_runs_without_a_version_are_drawn(lab: World) -> None:
    bare = [lab.run(f"alone {number}", {"few": "fff7"}) for number in range(3)]
    found = lab.ask("data:few@fff7")
    assert {each.run_id for each in found.nodes if each.kind == "run"} == set(bare) and found.folds == []


def test_a_page_of_runs_is_refused_for_other_objects_and_cursors(lab: World) -> None:
    for of, after, message in (
        ("model:digits@1", "", "'model:digits@1' is neither a data set nor a commit"),
        ("data:train@aaa1", "nonsense", "after='nonsense' is not a cursor of this list"),
    ):
        with pytest.raises(InvalidRequest, match=message):
            lab.rooms.run(lab.service.list_runs_without_version(LineageRunsQuery(of=of, after=after)))


def test_without_mlflow_or_the_shared_store_the_answer_says_so(home: Home, lab: World) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lab.rooms.shared, "reading", _unavailable)
        found = lab.ask("model:digits@2")
        assert found.notes == ["The shared store does not answer: deployments of other people are missing."]
        assert "deployment:prod" in {each.id for each in found.nodes}
    with (
        closed_port() as port,
        open_rooms(Settings(data_dir=home.path / "down", mlflow_uri=f"http://127.0.0.1:{port}")) as rooms,
    ):
        service = LineageService(rooms.mlflow, rooms.experiments, rooms.deployments, rooms.shared)
        with pytest.raises(Unavailable, match="The lineage could not be read: the MLflow server at"):
            rooms.run(service.get_lineage(LineageQuery(of="data:train@aaa1")))


@contextlib.contextmanager
def _unavailable() -> Iterator[sqlite3.Connection]:
    raise Unavailable("The shared GenOps store does not answer.", hint="Start it.")
    yield


def test_a_long_lineage_says_what_is_left_out(lab: World) -> None:
    run = lab.run("wide", {"wide": "999"})
    for _ in range(12):
        lab.version("wide", run)
    found = lab.ask("data:wide@999", limit=6)
    assert len(found.nodes) == 6
    assert [(fold.kind, fold.count, fold.upward) for fold in found.folds] == [("version", 8, False)]
    assert all(isinstance(each, LineageNode) for each in found.nodes)


def test_a_version_in_a_store_without_a_driver_does_not_hide_the_others(lab: World) -> None:
    found = lab.rooms.run(lab.rooms.registry.list_models())  # `small` is in s3://, and boto3 is not installed
    assert {"digits", "small"} <= {each.name for each in found.items}
