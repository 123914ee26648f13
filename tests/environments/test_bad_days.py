"""A Lab that is killed, an MLflow that is away, broken or slow, a store that is corrupt, a port that is taken."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from genops_lab.core.principals import this_user
from genops_lab.core.store import LocalStore
from tests.support.homes import Home
from tests.support.kernels import lab_kernel, register_kernel
from tests.support.lab_server import free_port, running_lab, start_lab
from tests.support.mlflow_file import kept_run, place_server_store, runs_in
from tests.support.mlflow_server import running_mlflow
from tests.support.postgres import missing, postgres
from tests.support.rooms import eventually
from tests.support.warm import program

from .conftest import SITE, leftovers

PASSWORD = "a-password-of-mlflow"
LOGGING = """
import genops, sys, time
points, pause_s = int(sys.argv[1]), float(sys.argv[2])
with genops.run("patient"):
    for i in range(points):
        genops.log({"loss": i}, step=i)
        time.sleep(pause_s)
"""


def start_script(home: Home, points: int, pause_s: float) -> subprocess.Popen[str]:
    """A script with the Lab's interpreter that logs."""
    script = home.work / "train.py"
    script.write_text(LOGGING)
    return subprocess.Popen(
        [sys.executable, str(script), str(points), str(pause_s)],
        cwd=home.work,
        env=home.environment(PYTHONPATH=str(SITE)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def genops(home: Home, *arguments: str) -> subprocess.Popen[str]:
    """A command that finds the home's Lab."""
    return subprocess.Popen(
        [*program("genops_lab.commands.main"), *arguments],
        cwd=home.work,
        env=home.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def broken_mlflow(release: threading.Event) -> Iterator[int]:
    """An MLflow that answers 500 to everything, once ``release`` says so; its port."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

        def _fail(self) -> None:
            release.wait(60)
            self.send_error(500, "oops")

        do_GET = do_POST = _fail

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port
        finally:
            release.set()
            server.shutdown()
            thread.join()


def test_a_lab_that_is_killed_while_a_script_logs_loses_nothing(home: Home) -> None:
    first = start_lab(home)
    script = start_script(home, 400, 0.02)
    try:
        eventually(lambda: runs_in(home.data / "mlflow" / "mlflow.db"), bool)
        eventually(lambda: kept_run(home, "patient").steps("loss"), bool)
        children = psutil.Process(first.process.pid).children(recursive=True)
        first.process.kill()
        first.process.wait()
        assert script.poll() is None, "the script ended before the Lab was killed"
        with running_lab(home):
            _, said = script.communicate(timeout=60)
            assert script.returncode == 0, said
            run = eventually(lambda: kept_run(home, "patient"), lambda run: run.status != "RUNNING")
            eventually(lambda: list((home.data / "spool").glob("*.jsonl")), lambda kept: not kept)
        assert run.status == "FINISHED"
        assert run.points["loss"] == [(step, float(step)) for step in range(400)]
        assert not any(child.is_running() for child in children), "a killed Lab's helpers go on"
    finally:
        script.kill()
        first.stop()


@pytest.mark.slow
def test_what_is_logged_while_mlflow_is_away_arrives_when_it_is_back(home: Home) -> None:
    port = free_port()
    with running_lab(
        home, arguments=[f"--GenOpsLab.mlflow_uri=http://127.0.0.1:{port}"], warm=True
    ) as server:
        script = start_script(home, 50, 0)
        _, said = script.communicate(timeout=60)
        assert "kept in" in said
        status = server.get("genops/status")
        assert (status["mlflow_kind"], status["mlflow_uri"]) == ("remote", f"http://127.0.0.1:{port}")
        database = home.path / "elsewhere" / "far.db"
        place_server_store(database)
        with running_mlflow(home, f"sqlite:///{database}", database.parent / "artifacts", port):
            (run,) = eventually(
                lambda: runs_in(database), lambda runs: bool(runs) and runs[0].status != "RUNNING", 90
            )
        assert (run.name, run.status) == ("patient", "FINISHED")
        assert run.points["loss"] == [(step, float(step)) for step in range(50)]
    assert leftovers(home) == set()


def test_an_mlflow_that_hangs_or_answers_500_is_named_and_holds_up_nothing_else(home: Home) -> None:
    release = threading.Event()
    with broken_mlflow(release) as port:
        uri = f"http://ada:{PASSWORD}@127.0.0.1:{port}"
        with running_lab(home, arguments=[f"--GenOpsLab.mlflow_uri={uri}"]) as server:
            for hangs in (True, False):
                if not hangs:
                    release.set()
                listing = genops(home, "runs", "list")
                answered = 0
                while listing.poll() is None or not answered:
                    for path in ("status", "deployments", "profiles", "compute/machine"):
                        server.get(f"genops/{path}", timeout=10)
                    answered += 1
                    time.sleep(0.1)
                out, said = listing.communicate()
                assert answered > 1 or not hangs, "nothing else was answered meanwhile"
                assert (listing.returncode, out) == (5, ""), said
                assert f"127.0.0.1:{port}" in said and "Hint:" in said and "Traceback" not in said
                assert PASSWORD not in said
            (locked,) = server.get("genops/status")["locked"]
            assert locked == {"name": "mlflow_uri", "value": f"http://127.0.0.1:{port}"}
            assert PASSWORD not in server.log + json.dumps(server.get("genops/doctor"))


def test_rooms_that_are_off_have_no_routes(home: Home) -> None:
    arguments = ["--GenOpsLab.rooms=compute", "--GenOpsLab.rooms=experiments"]
    with running_lab(home, arguments=arguments) as server:
        status = server.get("genops/status")
        assert status["rooms"] == ["compute", "experiments"]
        assert status["locked"] == [{"name": "rooms", "value": "compute, experiments"}]
        server.get("genops/compute/machine")
        server.get("genops/experiments")
        for path in ("models", "deployments", "profiles", "deployments/x", "compute/nsight"):
            assert server.request("GET", f"genops/{path}")[0] == 404, path
        off = genops(home, "models", "list")
        _, said = off.communicate(timeout=60)
        assert off.returncode == 3 and "switched the feature off" in said


def test_a_corrupt_store_is_set_aside_and_named(home: Home) -> None:
    home.data.mkdir(parents=True, mode=0o700)
    garbage = b"SQLite format 3\0" + b"\xff" * 8000
    (home.data / "store.db").write_bytes(garbage)
    with running_lab(home) as server:
        (notice,) = server.get("genops/status")["notices"]
        (aside,) = home.data.glob("store.db.corrupt-*")
        assert str(aside) in notice and "was renamed to" in notice
        assert server.get("genops/deployments") == []
    assert aside.read_bytes() == garbage
    store = LocalStore(home.data / "store.db")
    store.close()
    assert store.set_aside is None, "the next start has nothing to tell"


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_a_lab_goes_on_while_the_shared_store_is_away(home: Home) -> None:
    trace = {"schemaVersion": 1, "traceEvents": [{"ph": "X", "cat": "cpu_op", "name": "aten::relu", "pid": 7, "tid": 7,
                                                  "ts": 1, "dur": 8}]}  # fmt: skip

    with postgres() as database:
        engine = create_engine(database.uri())

        def audited() -> list[tuple[str, ...]]:
            with engine.connect() as connection:
                if connection.execute(text("SELECT to_regclass('genops_audit')")).scalar() is None:
                    return []
                asked = "SELECT principal, action, resource, operation, outcome FROM genops_audit ORDER BY at"
                return [tuple(row) for row in connection.execute(text(asked))]

        with running_lab(home, arguments=[f"--GenOpsLab.store_url={database.uri()}"]) as server:
            assert server.request("DELETE", "genops/targets/nowhere")[0] == 404
            eventually(audited, bool)
            engine.dispose()
            database.stop()
            with lab_kernel(server) as kernel:
                kernel.ok("%load_ext genops_lab")
                kernel.ok("%%track --name tracked --no-system --no-source\ngenops.log({'loss': 0.5}, step=0)")
            assert kept_run(home, "tracked").steps("loss") == [0]
            target = {"name": "box", "kind": "local", "python": sys.executable}
            assert server.request("POST", "genops/targets", target)[0] == 200
            file = home.data / "profiles" / "trace.json"
            file.parent.mkdir(mode=0o700, exist_ok=True)
            file.write_text(json.dumps(trace))
            asked = {"trace_path": str(file), "title": "meanwhile"}
            assert server.request("POST", "genops/profiles", asked)[0] == 200
            eventually(lambda: server.get("genops/profiles")[0]["state"], lambda state: state == "ready")
            sweep = {"code": "genops.log({'score': n})", "space": ["n=1,2"], "metric": "score", "on": ["python3"],
                     "cwd": str(home.work), "track": {"system_metrics": False}}  # fmt: skip
            status, sweep = server.request("POST", "genops/sweeps", sweep)
            assert status == 200, sweep
            done = eventually(
                lambda: server.get(f"genops/sweeps/{sweep['id']}"),
                lambda found: found["state"] in ("done", "failed"),
            )
            assert [each["value"] for each in done["trials"]] == [1, 2], done
            assert server.get("genops/deployments") == []
            (said,) = [each for each in server.get("genops/doctor")["checks"] if each["id"] == "shared_store"]
            assert said["state"] == "warning" and "in the data folder: 3" in said["detail"], said
            database.start()
            eventually(audited, lambda found: len(found) == 4, 120)
        me = str(this_user())
        assert audited() == [
            (me, "write", "targets", "hosts.remove_target", "not_found"),
            (me, "write", "targets", "hosts.add_target", "ok"),
            (me, "write", "profiles", "profiling.add_profile", "ok"),
            (me, "execute", "sweeps", "sweeps.start_sweep", "ok"),
        ]
        engine.dispose()


def take(listener: socket.socket, port: int) -> None:
    """Listen on a port that a process may just be leaving."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def bound() -> bool:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

    eventually(bound, bool, 20)
    listener.listen()


@pytest.mark.exhaustive  # tests/experiments/test_server.py takes its port too
@pytest.mark.slow
def test_a_taken_port_moves_the_supervised_server(home: Home, with_mlflow_2: Path) -> None:
    register_kernel(home, "mlflow2", with_mlflow_2)
    addresses = []
    with socket.socket() as taken:
        for number in range(2):
            with running_lab(home) as server, lab_kernel(server, "mlflow2") as kernel:
                kernel.ok("import mlflow")
                kernel.ok(f"with mlflow.start_run(run_name='try-{number}'): mlflow.log_metric('a', {number})")
                addresses.append(kernel.ok("mlflow.get_tracking_uri()").result.strip("'"))
            if number == 0:
                take(taken, int(addresses[0].rsplit(":", 1)[1]))
    assert addresses[0] != addresses[1]
    for number in range(2):
        assert kept_run(home, f"try-{number}").points["a"] == [(0, float(number))]
