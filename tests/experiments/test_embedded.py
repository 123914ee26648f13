"""The embedded MLflow's file: made once, private, used directly by kernels of the Lab's own version."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from genops_lab.core.errors import Failed, Unavailable
from genops_lab.core.settings import Settings
from genops_lab.experiments.backends import empty_database
from genops_lab.experiments.backends.client import mlflow_errors
from genops_lab.experiments.backends.embedded import EmbeddedStore, is_ready, marker_of
from genops_lab.experiments.mlflow import MlflowConnection, without_credentials
from genops_lab.experiments.models import KernelTrackingQuery, MetricsQuery, RunQuery
from tests.support import exhaustive
from tests.support.homes import Home
from tests.support.warm import script

from .conftest import Room, open_room, until

KERNEL = """
import asyncio, os, sys
from importlib.metadata import version
from pathlib import Path
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.core.settings import Settings

async def environment():
    connection = MlflowConnection(Settings(data_dir=Path(sys.argv[1])))
    found = await connection.kernel_environment(version("mlflow"))
    await connection.close()
    return found

os.environ.update(asyncio.run(environment()))
import mlflow
# When another process makes the experiment first, mlflow's set_experiment returns it and does not activate it.
experiment = mlflow.set_experiment("shared")
with mlflow.start_run(experiment_id=experiment.experiment_id) as run:
    for step in range(25):
        mlflow.log_metric("loss", step * 1.5, step=step)
    mlflow.log_text("x", "note.txt")
print(run.info.run_id)
"""


AT_ONCE = 8 if exhaustive.ALL else 3


async def test_processes_that_start_at_once_on_no_file_lose_nothing(empty_room: Room, home: Home) -> None:
    room = empty_room
    processes = [
        await asyncio.create_subprocess_exec(
            *script(KERNEL, str(home.data)),
            cwd=home.work,
            env=home.environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(AT_ONCE)
    ]
    answers = await asyncio.gather(*(process.communicate() for process in processes))
    for process, (_out, error) in zip(processes, answers, strict=True):
        assert process.returncode == 0, error.decode()[-3000:]
    written = {out.decode().split()[-1] for out, _error in answers}
    page = await room.experiments.list_runs(RunQuery(experiment="shared"))
    assert {run.run_id for run in page.items} == written and len(written) == AT_ONCE
    assert {run.status for run in page.items} == {"FINISHED"}
    for run_id in written:
        (series,) = (await room.experiments.get_run_metrics(run_id, MetricsQuery(after_step=4))).series
        assert series.values == [step * 1.5 for step in range(5, 25)]
    assert list(home.work.iterdir()) == []
    file = room.mlflow.embedded_file
    assert file is not None
    modes = {path: path.stat().st_mode & 0o777 for path in (file, file.parent, file.parent / "artifacts")}
    assert list(modes.values()) == [0o600, 0o700, 0o700]
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
        locations = [row[0] for row in connection.execute("SELECT artifact_location FROM experiments")]
    assert len(locations) == 2
    assert all(Path(location).parent == file.parent / "artifacts" for location in locations)


def _content(database: Path) -> dict[str, object]:
    """Each column in its order, the clauses of each table and index, and the first rows, without times.

    MLflow's migrations write the constraints of a table in another order each time.
    """
    with contextlib.closing(sqlite3.connect(database)) as opened:
        objects = opened.execute("SELECT name, sql FROM sqlite_master").fetchall()
        found: dict[str, object] = {
            name: (
                opened.execute("SELECT * FROM pragma_table_info(?)", (name,)).fetchall(),
                sorted(line.strip(" \t,") for line in (sql or "").splitlines()),
            )
            for name, sql in objects
        }
        found["rows"] = opened.execute(
            "SELECT experiments.name, artifact_location, workspaces.*, version_num "
            "FROM experiments, workspaces, alembic_version"
        ).fetchall()
    return found


async def test_the_first_kernel_does_not_wait_for_mlflows_import_and_migrations(
    empty_room: Room, home: Home, tmp_path: Path
) -> None:
    """The file is written without a worker, and is what MLflow itself makes."""
    mlflow = empty_room.mlflow
    await mlflow.ready()
    await mlflow.kernel_environment(version("mlflow"))
    assert mlflow.worker._running is None, "a worker was started, which imports mlflow"
    written = mlflow.embedded_file
    assert written is not None and is_ready(written) and written.stat().st_mode & 0o077 == 0
    made = tmp_path / "made.db"
    store = EmbeddedStore(str(made), str(home.data / "mlflow" / "artifacts"))
    store._by_migrations(made)
    assert _content(written) == _content(made), (
        "MLflow's schema has changed: write empty_database.dump(made) to schemas/<last_migration()>.sql"
    )


async def test_an_unknown_schema_is_made_by_mlflow(
    empty_room: Room, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(empty_database, "SCHEMAS", tmp_path)
    await empty_room.mlflow.ensure()
    assert empty_room.mlflow.worker._running is not None
    assert (await empty_room.experiments.list_runs(RunQuery())).items == []


async def test_a_file_of_an_older_or_newer_mlflow(room: Room, home: Home) -> None:
    await room.mlflow.ensure()
    file = room.mlflow.embedded_file
    assert file is not None and is_ready(file)
    inode = file.stat().st_ino
    marker_of(file).write_text("3.0.0")
    await room.mlflow.ensure()
    assert is_ready(file) and file.stat().st_ino == inode
    await room.mlflow.worker.stop()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    marker_of(file).write_text("99.0")
    with pytest.raises(Failed, match="does not know") as newer:
        await room.mlflow.ensure()
    assert "upgrade mlflow" in newer.value.hint
    assert file.with_name(f"mlflow.db.before-{version('mlflow')}").exists()


async def test_a_file_that_vanished_is_made_again(room: Room) -> None:
    assert [found.name for found in (await room.experiments.list_experiments()).items] == ["Default"]
    file = room.mlflow.embedded_file
    assert file is not None
    shutil.rmtree(file.parent)
    assert [found.name for found in (await room.experiments.list_experiments()).items] == ["Default"]
    assert file.exists()


async def test_kernels_get_the_file_or_the_remote_address(
    room: Room, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other_version in ("", "2.22.0"):  # without mlflow: what is installed later may be any version
        answer = await room.tracking.kernel_tracking(KernelTrackingQuery(mlflow_version=other_version))
        assert answer.tracking_uri.startswith("http://127.0.0.1:")
    answer = await room.tracking.kernel_tracking(KernelTrackingQuery(mlflow_version=version("mlflow")))
    assert answer.tracking_uri == f"sqlite:///{room.mlflow.embedded_file}"
    assert (answer.token, answer.artifact_root) == ("", str(home.data / "mlflow" / "artifacts"))
    again = MlflowConnection(Settings(data_dir=home.data, mlflow_uri=answer.tracking_uri))
    assert again.kind == "embedded"
    uri = "http://ada:secret@mlflow.example:5000/base"
    remote = open_room(home.path / "other", uri)
    assert (remote.mlflow.kind, remote.mlflow.embedded_file) == ("remote", None)
    answer = await remote.tracking.kernel_tracking(KernelTrackingQuery(mlflow_version="2.1"))
    assert (answer.tracking_uri, answer.token) == (uri, "")
    assert remote.mlflow.shown_uri == "http://mlflow.example:5000/base"
    await remote.close()
    # what belongs to the host of the environment is not sent to the one of the setting
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "for-elsewhere")
    other = MlflowConnection(Settings(data_dir=home.data, mlflow_uri=uri))
    assert other.worker._env["MLFLOW_TRACKING_TOKEN"] == ""


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://u:p@h:1/x?token=t#f", "http://h:1/x"),
        ("postgresql://u:p%40@h/db?password=q", "postgresql://h/db"),
        ("sqlite:////data/a b/mlflow.db", "sqlite:////data/a b/mlflow.db"),
        ("databricks", "databricks"),
    ],
)
def test_shown_addresses_hold_no_credentials(uri: str, shown: str) -> None:
    assert without_credentials(uri) == shown


CLIENT = """
import sys
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
print("open", flush=True)
for line in sys.stdin:
    if line.strip() == "run":
        client.create_run("0", run_name="from outside")
    elif line.strip() == "model":
        client.create_registered_model("outside-model")
    print("done", flush=True)
"""


async def test_changes_of_a_plain_client_are_told_while_somebody_looks(room: Room, home: Home) -> None:
    environment = home.environment(**await room.mlflow.kernel_environment(version("mlflow")))
    client = await asyncio.create_subprocess_exec(
        *script(CLIENT, room.mlflow.uri),
        env=environment,
        cwd=home.work,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert client.stdin is not None and client.stdout is not None

    async def do(command: str) -> None:
        assert client.stdin is not None and client.stdout is not None
        client.stdin.write(command.encode() + b"\n")
        assert await client.stdout.readline() == b"done\n"

    assert await client.stdout.readline() == b"open\n"
    await do("run")
    await asyncio.sleep(1)
    assert room.events_seen == [], "nobody looks"

    def listener(_topic: str, _data: object) -> None:
        """A panel."""

    room.live.join("changes", listener)
    await asyncio.sleep(1)
    await do("run")
    await until(lambda: ("run", "") in room.events_seen)
    room.events_seen.clear()
    await do("model")
    await until(lambda: ("model", "") in room.events_seen)
    room.live.leave("changes", listener)
    client.stdin.close()
    assert await client.wait() == 0


#: How LiteLLM reads its prices when it is imported, without the other 1,900 modules of an import.
PRICES = """
import importlib.util, logging, sys
sys.modules["litellm"] = package = importlib.util.module_from_spec(importlib.util.find_spec("litellm"))
package.verbose_logger = logging.getLogger()
from litellm.litellm_core_utils.get_model_cost_map import get_model_cost_map
print(len(get_model_cost_map("http://127.0.0.1:9/prices")))
"""


def test_litellm_asks_nobody_for_prices_in_the_processes_of_mlflow(home: Home) -> None:
    if importlib.util.find_spec("litellm") is None:
        pytest.skip("LiteLLM is not installed.")
    connection = MlflowConnection(Settings(data_dir=home.data))
    of_mlflow = (connection.worker, connection.transfers, connection.columns, connection.other("http://h"))
    (quiet,) = {each._env["LITELLM_LOCAL_MODEL_COST_MAP"] for each in (*of_mlflow, connection.server)}
    asked = "Failed to fetch remote model cost map from http://127.0.0.1:9/prices"
    for value, asks in (("", True), (quiet, False)):
        environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": value}
        command = [sys.executable, "-c", PRICES]
        ended = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=60, check=True
        )
        assert (asked in ended.stderr) is asks and int(ended.stdout) > 1_000


def test_nothing_heavy_is_imported_by_the_services() -> None:
    code = (
        "import sys; import genops_lab.experiments.service, genops_lab.experiments.tracking\n"
        "print([name for name in ('mlflow', 'pandas', 'numpy', 'uvicorn', 'alembic') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert found.stdout.strip() == "[]", found.stdout + found.stderr


def test_a_locked_database_is_named_with_what_to_do(tmp_path: Path) -> None:
    from sqlalchemy import create_engine

    file = tmp_path / "mlflow.db"
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 0})
    try:
        with (
            pytest.raises(Unavailable) as locked,
            mlflow_errors("Cannot read the labels"),
            engine.connect() as one,
        ):
            one.exec_driver_sql("SELECT * FROM sqlite_master")
    finally:
        engine.dispose()
        holder.close()
    assert locked.value.message == (
        "Cannot read the labels: another process writes to MLflow's database, and the database is locked."
    )
    assert locked.value.hint == "Try again. If this goes on, stop the other process."


def test_an_error_of_mlflow_ends_with_a_full_stop() -> None:
    from mlflow.exceptions import MlflowException

    said = r"^Cannot read the labels: no answer\.$"
    with pytest.raises(Unavailable, match=said), mlflow_errors("Cannot read the labels"):
        raise MlflowException("no answer")
