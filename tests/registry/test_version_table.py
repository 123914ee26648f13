"""All versions of all models as a table: on SQLite, on PostgreSQL, through MLflow's server."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from genops_lab.core.errors import GenOpsError, InvalidRequest
from genops_lab.core.live import CHANGES
from genops_lab.core.settings import Settings
from genops_lab.experiments.columns.models import RunQueryText, RunSort, RunTable, RunTableQuery
from genops_lab.registry.models import RegisterModel, SetAlias
from genops_lab.registry.versions.backend import VersionMirror
from genops_lab.registry.versions.service import DeployedVersions, VersionTableService
from tests.support.homes import Home
from tests.support.mlflow_file import place_server_store, place_store
from tests.support.mlflow_server import running_mlflow
from tests.support.postgres import missing, running_postgres
from tests.support.rooms import Training, eventually, open_rooms
from tests.support.warm import warm_workers

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: The longest name that MLflow's tables take, of characters that need three bytes each.
LONG = "数" * 250
LONG_S = 60.0
COLUMNS = ["aliases", "gates", "run", "metrics.accuracy", "params.depth", "created"]


class Stand:
    """A store with a client of MLflow, and the table of its versions."""

    def __init__(self, uri: str, folder: Path, source: str) -> None:
        from mlflow import MlflowClient

        self.client: MlflowClient = MlflowClient(uri)
        self.source = source
        self.uri = uri
        self.mirror = VersionMirror(uri, str(folder / "runs"))
        self.deployed: dict[str, list[str]] = {}

    def ask(self, query: str = "", *, touched: tuple[str, ...] = (), **asked: Any) -> RunTable:
        asked = {"lifecycle": "all", **asked}
        return self.mirror.table(RunTableQuery(query=query, **asked), self.deployed, list(touched))

    def ids(self, query: str = "", **asked: Any) -> list[str]:
        return self.ask(query, **asked).run_ids

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONG_S
        while not is_so():
            assert time.monotonic() < deadline, "the table did not catch up"
            self.mirror.wait(self.mirror.state().version, 0.2)

    def version(self, model: str, run: str = "", **more: Any) -> str:
        """Register a version; a new name registers a model."""
        with contextlib.suppress(Exception):  # it exists
            self.client.create_registered_model(model)
        made = self.client.create_model_version(model, "s3://files/model", run or None, **more)
        return f"{model}/{made.version}"

    def run(self, **metrics: float) -> str:
        run = self.client.create_run("0", run_name="a run").info.run_id
        for key, value in metrics.items():
            self.client.log_metric(run, key, value)
        self.client.log_param(run, "depth", len(metrics))
        return str(run)


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "api"])
def stand(
    request: pytest.FixtureRequest, module_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("versions")
    file = folder / "mlflow.db"
    place_server_store(file)
    with contextlib.ExitStack() as stack:
        uri = f"sqlite:///{file}"
        if request.param == "postgresql":
            if missing():
                pytest.skip(missing())
            uri = stack.enter_context(running_postgres())
        if request.param == "api":
            uri = stack.enter_context(running_mlflow(module_home, uri, folder / "artifacts"))
        yield Stand(uri, folder, request.param)


@pytest.fixture
def model(request: pytest.FixtureRequest) -> str:
    """A name of the test's own."""
    return str(request.node.originalname).removeprefix("test_")


def test_versions_have_the_columns_of_their_runs(stand: Stand, model: str) -> None:
    good, bad = stand.run(accuracy=0.95), stand.run(accuracy=0.6, loss=1)
    one, two = stand.version(model, good), stand.version(model, bad, description="the second")
    files = stand.version(model)
    stand.client.set_registered_model_alias(model, "champion", "1")
    stand.client.set_registered_model_alias(model, "shadow", "1")
    stand.deployed = {one: ["prod"]}
    ours = f"model = '{model}'"
    stand.until(lambda: len(stand.ids(f"{ours} and aliases contains shadow", touched=(model,))) == 1)
    stand.until(lambda: set(stand.ids(f"{ours} and metrics.accuracy > 0")) == {one, two})
    table = stand.ask(
        f"{ours} and version < 3", columns=[*COLUMNS, "deployed", "description", "user", "run_id"]
    )
    assert table.state.source == stand.source
    values = {each.column: each.values for each in table.columns}
    rows = {id: {name: column[at] for name, column in values.items()} for at, id in enumerate(table.run_ids)}
    assert rows[one]["aliases"] == "champion, shadow" and rows[two]["aliases"] is None
    assert (rows[one]["metrics.accuracy"], rows[two]["metrics.accuracy"]) == (0.95, 0.6)
    assert (rows[one]["params.depth"], rows[one]["run"], rows[one]["run_id"]) == ("1", "a run", good)
    assert rows[two]["description"] == "the second" and rows[one]["deployed"] == "prod"
    assert abs(rows[one]["created"] - time.time()) < 3600

    assert stand.ids(f"{ours} and metrics.accuracy > 0.9") == [one]
    assert stand.ids(f"{ours} and metrics.loss is null and not deployed") == [files]
    assert stand.ids(f"{ours} and aliases = champion") == [one]
    assert stand.ids(f"{ours} and aliases contains champ") == [], "a whole alias"
    assert stand.ids(f"{ours} and aliases in (nobody, shadow)") == [one]
    assert set(stand.ids(f"{ours} and not aliases contains champion")) == {two, files}
    assert stand.ids(f"{ours} and deployed") == [one]
    assert set(stand.ids(f"{ours} and version between 2 and 3")) == {two, files}
    assert stand.ids(f"{ours} and description contains SECOND") == [two]
    assert len(stand.ids(f"{ours} and created in last 1 hour")) == 3
    by_accuracy = [RunSort(column="metrics.accuracy")]
    assert stand.ids(ours, sort=by_accuracy) == [two, one, files], "without a value last"
    assert stand.ids(ours, sort=[RunSort(column="version", descending=True)]) == [files, two, one]


def test_gates_origin_and_evaluations(stand: Stand, model: str) -> None:
    evaluation = stand.run(f1=0.5, recall=0.25)
    version = stand.version(model)
    tags = {
        "genops.gates": json.dumps({"verdict": "pass", "run": evaluation}),
        "genops.source": json.dumps({"kind": "hf", "uri": "hf:ORG/NAME"}),
        "genops.parent": "models:/base/1",
        "genops.evaluation.holdout:3f2a": evaluation,
    }
    for key, value in tags.items():
        stand.client.set_model_version_tag(model, "1", key, value)
    odd = stand.version(model)
    stand.client.set_model_version_tag(model, "2", "genops.gates", "written by somebody else")
    stand.client.set_model_version_tag(model, "2", "genops.evaluation.holdout:3f2a", "no run")
    ours = f"model = '{model}' and "
    stand.until(lambda: stand.ids(f"{ours} metrics.holdout@3f2a/f1 = 0.5", touched=(model,)) == [version])
    assert stand.ids(f'{ours} gates = "pass"') == [version]
    assert stand.ids(f"{ours} gates is null") == [odd]
    assert stand.ids(f"{ours} origin = hf and parent = 'models:/base/1'") == [version]
    wanted = {"metrics.holdout@3f2a/f1", "metrics.holdout@3f2a/recall", "tags.genops.parent"}
    # Over HTTP the two metrics may be read one after the other.
    stand.until(lambda: wanted <= {each.column for each in stand.mirror.columns({}).columns})


def test_changes_of_others_are_seen(stand: Stand, model: str) -> None:
    run = stand.run(accuracy=0.1)
    kept, gone = stand.version(model, run), stand.version(model)
    ours = f"model = '{model}'"
    stand.until(lambda: set(stand.ids(ours)) == {kept, gone})
    stand.client.delete_model_version(model, "2")
    stand.until(lambda: stand.ids(ours) == [kept])
    stand.client.set_registered_model_alias(model, "champion", "1")
    stand.until(lambda: stand.ids(f"{ours} and aliases = champion") == [kept])
    stand.client.set_model_version_tag(model, "1", "reviewed", "yes")
    stand.until(lambda: stand.ids(f"{ours} and tags.reviewed = yes", touched=(model,)) == [kept])
    stand.client.log_metric(run, "accuracy", 0.7)
    stand.until(lambda: stand.ids(f"{ours} and metrics.accuracy = 0.7") == [kept])
    stand.client.delete_run(run)
    assert stand.ids(f"{ours} and metrics.accuracy = 0.7") == [kept], "a deleted run keeps its metrics"
    stand.client.delete_registered_model(model)
    stand.until(lambda: stand.ids(ours) == [])


def test_odd_names_states_and_prompts(stand: Stand, model: str) -> None:
    long = stand.version(LONG, run="0" * 32)
    stand.client.register_prompt(f"prompt-{model}", "Say {{what}}")
    stand.until(lambda: stand.ids(f"model = '{LONG}'") == [long])
    table = stand.ask(f"model = '{LONG}'", columns=["model", "status", "run", "metrics.accuracy"])
    assert [each.values[0] for each in table.columns] == [LONG, "READY", None, None]
    assert stand.ids(f"model contains 'prompt-{model}'") == []
    quoted = stand.version("it's a model")
    stand.until(lambda: stand.ids("model = 'it''s a model'") == [quoted])


def test_a_wrong_question_says_what_is_wrong(stand: Stand) -> None:
    with pytest.raises(InvalidRequest, match="There is no attribute modle"):
        stand.ask("modle = x")
    with pytest.raises(InvalidRequest, match="version is a number"):
        stand.ask("version = latest")
    with pytest.raises(InvalidRequest, match="There is no column 'start_time'"):
        stand.ask(sort=[RunSort(column="start_time")])
    assert [each.message for each in stand.ask("metrics.nobody > 1").doubts] == [
        "No version has metrics.nobody."
    ]


def test_completions_name_attributes_and_single_aliases(stand: Stand, model: str) -> None:
    stand.version(model)
    for alias in ("first-of-all", "second-of-all"):
        stand.client.set_registered_model_alias(model, alias, "1")
    stand.until(lambda: bool(stand.ids("aliases = second-of-all", touched=(model,))))

    def offered(text: str) -> list[str]:
        found = stand.mirror.completions(RunQueryText(text=text, position=len(text)), {})
        return [each.text for each in found]

    assert offered("ali") == ["aliases"]
    assert "CONTAINS" in offered("aliases ")
    assert offered("aliases contains second-of")[0] == "'second-of-all'"


def test_what_is_known_stays_while_the_store_is_away(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    place_server_store(file)
    stand = Stand(f"sqlite:///{file}", tmp_path, "sqlite")
    version = stand.version("kept")
    stand.until(lambda: stand.ids() == [version])
    away = file.with_suffix(".away")
    shutil.move(file, away)
    stand.until(lambda: bool(stand.ask(wait_s=0).state.problem))
    assert stand.ids(wait_s=0) == [version]
    shutil.move(away, file)
    stand.until(lambda: not stand.ask(wait_s=0).state.problem)

    nothing = VersionMirror(f"sqlite:///{tmp_path}/nothing.db", str(tmp_path / "nothing" / "runs"))
    with pytest.raises(GenOpsError, match=r"nothing\.db does not exist"):
        nothing.table(RunTableQuery(lifecycle="all"), {}, [])


def test_formats_are_read_for_those_who_ask_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    place_server_store(file)
    stand = Stand(f"sqlite:///{file}", tmp_path, "sqlite")
    one, two, three = (stand.version("formatted") for _ in range(3))
    stand.until(lambda: set(stand.ids()) == {one, two, three})
    assert stand.mirror.unread_formats(9) == [], "nobody asks"
    stand.ask("version = 1", columns=["format"])
    assert [id for id, _ in stand.mirror.unread_formats(9)] == [one], "what the page shows"
    table = stand.ask("format = ONNX", columns=["format"])
    assert [each.message for each in table.doubts] == ["The format of 3 versions is not read yet."]
    unread = dict(stand.mirror.unread_formats(9))
    assert set(unread) == {one, two, three}, "a question about formats needs all"
    before = stand.mirror.state().version
    stand.mirror.put_formats(
        [(one, unread[one], "ONNX, pickle"), (two, unread[two], "pickle"), (three, unread[three], None)]
    )
    assert stand.mirror.wait(before, LONG_S).version != before, "the page hears of it"
    table = stand.ask("format = ONNX", columns=["format"])
    assert (table.run_ids, table.columns[0].values, table.doubts) == ([one], ["ONNX, pickle"], [])
    assert stand.mirror.unread_formats(9) == [], "unreadable files are not tried again at once"

    kept = tmp_path / "versions"
    (file_of_formats,) = kept.glob("formats-*.jsonl")
    with file_of_formats.open("ab") as stream:
        stream.write(b'["formatted/3", 1')  # its process was killed
    stand.client.delete_registered_model("formatted")
    again = stand.version("formatted")
    later = VersionMirror(stand.uri, str(tmp_path / "runs"))
    found = later.table(RunTableQuery(lifecycle="all", columns=["format"], wait_s=LONG_S), {}, [])
    assert (found.run_ids, found.columns[0].values) == ([again], [None]), (
        "another version with the same number"
    )


def test_an_unknown_schema_is_read_through_mlflow(tmp_path: Path) -> None:
    import sqlite3

    from genops_lab.experiments.columns.source import UnknownSchema
    from genops_lab.registry.versions.databases import SqliteVersions

    file = tmp_path / "mlflow.db"
    place_server_store(file)
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("INSERT INTO registered_models (workspace, name) VALUES ('another', 'digits')")
    with pytest.raises(UnknownSchema, match="several workspaces"):
        SqliteVersions(file)
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of the future'")
    with pytest.raises(UnknownSchema, match="of the future"):
        SqliteVersions(file)


def test_the_service_tells_changes_while_a_page_listens(module_home: Home) -> None:
    place_store(module_home.data)
    with warm_workers(), open_rooms(Settings(data_dir=module_home.data)) as rooms:

        async def deployments() -> dict[tuple[str, str], list[str]]:
            return {("served", "1"): ["prod"]}

        async def made() -> VersionTableService:
            service = VersionTableService(
                rooms.mlflow, rooms.events, rooms.live, DeployedVersions(deployments)
            )
            rooms.live.join(CHANGES, listener)
            return service

        async def closed() -> None:
            rooms.live.leave(CHANGES, listener)
            await service.close()

        def listener(_topic: str, _data: object) -> None: ...

        service = rooms.run(made())
        try:
            asked = RunTableQuery(query="deployed = prod", columns=["aliases"], wait_s=LONG_S)
            assert rooms.run(service.query_versions(asked)).total == 0
            run = Training(rooms).digits().run_id
            rooms.run(rooms.registry.register_model(RegisterModel(name="served", run=run)))
            found = rooms.run(service.query_versions(asked))
            assert (found.run_ids, found.columns[0].values) == (["served/1"], [None])
            rooms.events_seen.clear()
            rooms.run(rooms.registry.set_alias("served", "champion", SetAlias(version="1")))
            eventually(lambda: rooms.events_seen, lambda seen: ("version", "") in seen)
            assert rooms.run(service.query_versions(asked)).columns[0].values == ["champion"]
            assert rooms.run(service.get_versions_state()).complete
            counts = {each.column: each.runs for each in rooms.run(service.list_version_columns()).columns}
            assert (counts["aliases"], counts["deployed"], counts["gates"]) == (1, 1, 0)
            facts = rooms.run(rooms.registry.get_version_facts("served", "1"))
            with_format = RunTableQuery(columns=["format"])
            eventually(
                lambda: rooms.run(service.query_versions(with_format)).columns[0].values,
                lambda values: values == [", ".join(facts.formats)] and facts.formats,
            )
            with pytest.raises(InvalidRequest, match="cannot be chosen by experiments"):
                rooms.run(service.query_versions(RunTableQuery(experiments=["0"])))
        finally:
            rooms.run(closed())
