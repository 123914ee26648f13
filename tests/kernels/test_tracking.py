"""Runs of kernels on a target: real keepers and ipykernels, cut, killed and found again; every event once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.experiments.models import MetricsQuery, Run
from genops_lab.experiments.tracking import KERNEL_ENDED
from genops_lab.hosts.providers import route_of
from tests.experiments.conftest import Room, made_folder, move_made, open_room  # noqa: F401 - a fixture
from tests.support.environments import environment_without_lab, find_python
from tests.support.faults import FaultProxy
from tests.support.homes import Home
from tests.support.kernels import lab_kernel
from tests.support.lab_server import start_lab
from tests.support.sshd import Sshd

from .places import TARGET, Place, Running, a_place
from .tracked import LONG_S, TrackingLab, eventually, loaded, ok, tracking_lab

LOOP = """
%%track --name far --experiment Far
import genops, time
for i in range({count}):
    genops.log({{"loss": float(i)}}, step=i)
    time.sleep({pause})
"""


#: Goes on until a file is there, however slow the machine is.
UNTIL = """
%%track --name far --experiment Far
import genops, os, time
count = 0
while not os.path.exists({stop!r}):
    genops.log({{"loss": float(count)}}, step=count)
    count += 1
    time.sleep(0.03)
print("logged", count)
"""

TRAINING = """
import torch
weight = torch.ones(99, 99, requires_grad=True)
optimizer = torch.optim.SGD([weight])
for _ in range(6):
    torch.mm(weight, weight).sum().backward()
    optimizer.step()
"""


@pytest.fixture
def place(home: Home, made_folder: Path) -> Iterator[Place]:  # noqa: F811
    """This machine, through the agent."""
    with a_place(home) as found:
        move_made(made_folder, home.data)
        yield found


@pytest.fixture
def lab(place: Place) -> Iterator[TrackingLab]:
    """A Lab that tracks what kernels of the place log."""
    opened = TrackingLab(place)
    yield opened
    opened.close()


def kill_attach(place: Place) -> None:
    """The connection's process on the host is killed."""
    link = place.remote.links.link(place.route)

    def killed() -> bool:
        if not link.is_up:  # the one before is not noticed yet, or the next one is not there yet
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(link.hello["pid"]), signal.SIGKILL)
            return True
        return False

    eventually(killed)


def pid_of(place: Place, kernel: Running) -> int:
    """The kernel's process on the host."""
    return int(place.call("kernels.info", kernel_id=kernel.bridge.kernel_id)["pid"])


def test_a_cell_is_tracked_through_cuts_each_metric_once(place: Place, lab: TrackingLab) -> None:
    stop = place.home.work / "stop"
    with loaded(place) as kernel:
        cell = kernel.client.execute(UNTIL.format(stop=str(stop)))
        eventually(lambda: [run for run in lab.runs() if lab.steps(run)])
        for _ in range(3):
            before = len(lab.steps(lab.the_run()))
            kill_attach(place)
            eventually(lambda seen=before: len(lab.steps(lab.the_run())) > seen)  # type: ignore[misc]
        eventually(lambda: lab_system(lab, lab.the_run()))
        stop.touch()
        reply, printed = kernel.finish(cell, LONG_S)
        assert reply["status"] == "ok", printed
        run = lab.ended("FINISHED")
        assert lab.steps(run) == list(range(logged(printed)))
        assert (run.name, run.experiment, run.tags["genops.target"]) == ("far", "Far", TARGET)
        assert "source/notebook.py" in {
            f"source/{entry.path.rpartition('/')[2]}" if "/" in entry.path else entry.path + "/notebook.py"
            for entry in lab.detail(run).artifacts
        }
        assert place.call("lab.sync", kernels={kernel.bridge.kernel_id: []}) == {
            "kernels": {kernel.bridge.kernel_id: {"gone": [], "spooled": []}}
        }


def logged(printed: str) -> int:
    """How many steps a cell says that it has logged."""
    return int(printed.partition("logged ")[2].split()[0])


def lab_system(lab: TrackingLab, run: Run) -> list[str]:
    """The machine's load."""
    found = lab.run(lab.room.experiments.get_run_metrics(run.run_id, MetricsQuery()))
    return [series.key for series in found.system]


def test_a_kernel_killed_while_it_is_cut_off_leaves_a_failed_run_with_all(
    place: Place, lab: TrackingLab
) -> None:
    link = place.remote.links.link(place.route)
    with loaded(place) as kernel:
        ok(kernel, "import genops; run = genops.start('far', 'Far'); genops.log({'loss': 0}, step=0)")
        eventually(lambda: lab.runs() and lab.steps(lab.the_run()) == [0])
        pid = pid_of(place, kernel)
        begun, cut, done = (place.home.work / name for name in ("begun", "cut", "done"))
        code = f"""
import os, time
open({str(begun)!r}, "w").close()
while not os.path.exists({str(cut)!r}):
    time.sleep(0.05)
for i in range(1, 200):
    genops.log({{"loss": i}}, step=i)
genops.log_text("x", "last.txt")
open({str(done)!r}, "w").close()
time.sleep(600)
"""
        kernel.client.execute(code)
        eventually(begun.exists)
        place.do(link.down())
        cut.touch()
        eventually(done.exists)
        time.sleep(1.5)
        assert lab.the_run().status == "RUNNING", "a connection that is down ends no run"
        os.kill(pid, signal.SIGKILL)
        time.sleep(1.5)
        assert lab.the_run().status == "RUNNING"
        place.do(link.up())
        run = lab.ended("FAILED")
        assert lab.steps(run) == list(range(200))
        assert {entry.path for entry in lab.detail(run).artifacts} == {"last.txt", "source"}
        assert run.tags["genops.failure"] == KERNEL_ENDED
        spool = (
            place.home.path / ".local" / "state" / "genops-lab" / "lab" / kernel.bridge.kernel_id / "spool"
        )
        eventually(lambda: not list(spool.iterdir()))


def test_a_run_of_a_living_kernel_stays_open(place: Place, lab: TrackingLab) -> None:
    with loaded(place) as kernel:
        ok(kernel, "import genops; run = genops.start('far'); genops.log({'loss': 0}, step=0)")
        eventually(lambda: lab.runs() and lab.steps(lab.the_run()) == [0])
        time.sleep(5)  # some looks of the supervisor
        assert lab.the_run().status == "RUNNING"
        os.kill(pid_of(place, kernel), signal.SIGKILL)
        lab.ended("FAILED")


def test_files_and_profiles_travel_and_large_traces_when_they_are_fetched(
    place: Place, lab: TrackingLab
) -> None:
    with loaded(place) as kernel:
        code = """
%%track --name files
import genops, os
open("big.bin", "wb").write(os.urandom(5_000_000)); genops.log_file("big.bin", "weights/big.bin")
genops.log_file("big.bin", "again.bin")
open("gone.txt", "w").write("x"); genops.log_file("gone.txt"); os.unlink("gone.txt")
"""
        ok(kernel, code)
        run = lab.ended("FINISHED")
        kept = {path.name: path for path in (place.home.data / "mlflow" / "artifacts").rglob("*.bin")}
        written = (Path(kernel.run("import os; print(os.getcwd())")[1].strip()) / "big.bin").read_bytes()
        assert {name: path.read_bytes() == written for name, path in kept.items()} == {
            "big.bin": True,
            "again.bin": True,
        }
        assert "gone.txt" in run.tags["genops.notes"]
        pytest.importorskip("torch")
        lab.prices[TARGET] = 3.6
        said = ok(kernel, f"%%profile --title far --warmup 1 --steps 3\n{TRAINING}")
        (profile,) = lab.run(lab.profiles.list_profiles()).items
        assert (profile.title, profile.state) == ("far", "ready"), profile.message
        found = lab.run(lab.profiles.get_profile(profile.id))
        assert found.summary is not None
        operators = [each.name for each in found.summary.operators]
        assert "aten::mm" in operators, (said, found.summary.events, found.summary.damaged, operators)
        assert found.run_id == run.run_id
        price, spans = found.summary.price, [step.span_us for step in found.summary.steps if not step.warmup]
        assert price is not None and spans and (price.target, price.usd_per_hour) == (TARGET, 3.6)
        assert price.usd_a_step == pytest.approx(sum(spans) / len(spans) * 1e-9)
        eventually(lambda: lab.run(lab.profiles.get_profile(profile.id)).artifact)
        assert lab.detail(run).run.metrics["profile/usd_a_step"] == price.usd_a_step

        # A large trace stays on its host.
        ok(kernel, "from genops_lab.runtime.profiling import upload; upload.STAYS_ABOVE_BYTES = 0")
        cell = f"%%track --name large\n%%profile --title large --warmup 1 --steps 3\n{TRAINING}"
        assert "stays on this host" in ok(kernel, cell)
        eventually(lambda: {run.status for run in lab.runs()} == {"FINISHED"})
        (run,) = (run for run in lab.runs() if run.name == "large")
        (profile,) = (each for each in lab.run(lab.profiles.list_profiles()).items if each.title == "large")
        found = lab.run(lab.profiles.get_profile(profile.id))
        assert (found.state, found.trace_target, found.message) == ("ready", TARGET, "")
        assert found.summary is not None and "aten::mm" in [each.name for each in found.summary.operators]
        assert (
            Path(found.trace_path).is_file() and not (lab.profiles.root / found.id / "trace.json.gz").exists()
        )

        def files() -> set[str]:
            kept = place.home.data / "mlflow" / "artifacts"
            return {path.name for path in kept.rglob(f"profiles/{found.id}/*")}

        eventually(lambda: files() == {"columns.zip", "summary.json"})
        assert found.run_id == run.run_id
        task = lab.run(lab.beside.fetch_trace(found.id))
        lab.run(lab.tasks.wait(task.id))
        fetched = lab.run(lab.profiles.get_profile(found.id))
        assert (fetched.trace_target, fetched.message) == ("", "")
        assert fetched.artifact == f"profiles/{found.id}/trace.json.gz"
        assert files() == {"columns.zip", "summary.json", "trace.json.gz"}
        assert Path(fetched.trace_path).read_bytes() == Path(found.trace_path).read_bytes()
        assert lab.run(lab.beside.delete_profile(found.id)).left == ""
        assert not Path(found.trace_path).parent.exists(), "what the kernel wrote is gone from its host"


def test_a_kernel_cannot_write_anothers_run_nor_ask_for_more(place: Place, lab: TrackingLab) -> None:
    forged = """
from genops_lab.runtime import lab
from genops_lab.runtime.errors import Refused
events = [{{"seq": 3, "kind": "metrics", "timestamp": 1.0, "data": {{"values": {{"loss": 9}}, "step": 9}}}}]
process = {{"pid": 1, "kernel_id": {kernel_id!r}}}
def refused(*arguments):
    try:
        lab.call(*arguments)
    except Refused as error:
        return error.status
print(refused("POST", "/tracking/events", {{"run_key": {key!r}, "process": process, "events": events}}),
      refused("GET", "/experiments"), refused("DELETE", "/models/m"), refused("GET", "/deployments/d"))
"""
    with loaded(place) as kernel, loaded(place) as other:
        printed = ok(
            kernel, "import genops; run = genops.start('a'); genops.log({'loss': 0}, step=0); print(run.key)"
        )
        eventually(lambda: lab.runs() and lab.steps(lab.the_run()) == [0])
        code = forged.format(key=printed.split()[-1], kernel_id=kernel.bridge.kernel_id)
        assert ok(other, code).split()[-4:] == ["403"] * 4
        assert lab.steps(lab.the_run()) == [0]
        ok(kernel, "genops.end()")
        lab.ended("FINISHED")


def test_commands_and_secrets_stay_with_the_lab(
    place: Place, lab: TrackingLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "planted-secret")
    place.do(place.remote.links.link(place.route).down())
    with loaded(place) as kernel:
        shown = ok(
            kernel, "import os; print({k: v for k, v in os.environ.items() if k.startswith(('GENOPS', 'J'))})"
        )
        assert "planted" not in shown and "GENOPS_CLI" not in shown and "'GENOPS_REMOTE': '1'" in shown
        reply, _ = kernel.run("%genops status")
        assert reply["status"] == "error" and "this kernel runs on another host" in reply["evalue"]
        printed = ok(
            kernel, "%%track --name m\nimport genops; genops.log({'loss': 1}); import_mlflow = 'mlflow'"
        )
        assert "mlflow's own calls" not in printed


@pytest.mark.slow
@pytest.mark.parametrize("minor", [8, pytest.param(11, marks=pytest.mark.exhaustive)])
def test_nothing_of_genops_is_needed_there(home: Home, made_folder: Path, minor: int) -> None:  # noqa: F811
    found = find_python(minor)
    if found is None:
        pytest.skip(f"no Python 3.{minor} here")
    python = environment_without_lab("ipykernel", python=found)
    route = route_of(target=TARGET, kind="local", python=str(python))
    with tracking_lab(home, made_folder, route) as lab, loaded(lab.place) as kernel:
        shown = ok(kernel, "import sys; print(sys.executable, sys.version_info[1], 'msgspec' in sys.modules)")
        assert shown.split() == [str(python), str(minor), "False"]
        ok(kernel, LOOP.format(count=20, pause=0))
        assert lab.steps(lab.ended("FINISHED")) == list(range(20))


@pytest.mark.slow
def test_through_sshd_with_resets_and_black_holes(home: Home, made_folder: Path) -> None:  # noqa: F811
    with Sshd() as host, FaultProxy(host.port) as proxy:
        host.write_config(port=proxy.port)
        route = host.route(target=TARGET, python=sys.executable)
        stop = home.work / "stop"
        with tracking_lab(home, made_folder, route) as lab, loaded(lab.place) as kernel:
            cell = kernel.client.execute(UNTIL.format(stop=str(stop)))
            eventually(lambda: [run for run in lab.runs() if lab.steps(run)])

            def black_hole() -> None:
                proxy.hole()
                time.sleep(6)
                proxy.heal()

            cuts: list[Callable[[], object]] = [proxy.reset, host.kill_sessions, black_hole]
            for cut in cuts:
                before = len(lab.steps(lab.the_run()))
                cut()
                eventually(lambda seen=before: len(lab.steps(lab.the_run())) > seen)  # type: ignore[misc]
            stop.touch()
            reply, printed = kernel.finish(cell, LONG_S)
            assert reply["status"] == "ok", printed
            assert lab.steps(lab.ended("FINISHED")) == list(range(logged(printed)))


@pytest.mark.slow
def test_in_a_jupyter_server_that_is_killed_in_the_middle(home: Home) -> None:
    server = start_lab(home)
    try:
        status, answer = server.request("POST", "genops/targets", {"name": TARGET, "kind": "local"})
        assert status == 200, answer
        with lab_kernel(server, f"genops-{TARGET}") as kernel:
            kernel.ok("%load_ext genops_lab")
            stop, counted = home.work / "stop", home.work / "counted"
            kernel.send(UNTIL.format(stop=str(stop)) + f"open({str(counted)!r}, 'w').write(str(count))")

            def the_run() -> dict[str, Any]:
                return next(iter(server.get("genops/runs")["runs"]), {})

            def steps() -> list[int]:
                found = server.get(f"genops/runs/{the_run()['run_id']}/metrics")["series"]
                return list(found[0]["steps"]) if found else []

            eventually(the_run)
            eventually(steps)
            server.stop(signal.SIGKILL)
            server = start_lab(home, after=server)
            before = len(steps())
            eventually(lambda: len(steps()) > before)
            stop.touch()
            eventually(lambda: the_run()["status"] == "FINISHED")
            assert steps() == list(range(int(counted.read_text()))), "each metric once"
            run = the_run()
            assert run["tags"]["genops.target"] == TARGET and run["source"].endswith("lesson.ipynb")
            kernel.server = server
    finally:
        server.stop()


def test_runs_there_stand_below_others_and_are_gone_on_with(place: Place, lab: TrackingLab) -> None:
    def foreign() -> str:
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{place.home.data}/mlflow/mlflow.db")
        return str(client.create_run("0", run_name="foreign").info.run_id)

    here = foreign()
    with loaded(place) as kernel:
        cell = (
            "with genops.run('outer', 'Far') as outer:\n    with genops.run('inner') as inner:\n"
            "        genops.log({'loss': 1})\n        print('said there')"
        )
        ok(kernel, f"import genops\n{cell}")
        eventually(lambda: {run.status for run in lab.runs() if run.run_id != here} == {"FINISHED"})
        named = {run.name: run for run in lab.runs()}
        detail = lab.detail(named["inner"])
        assert detail.parent is not None and detail.parent.run_id == named["outer"].run_id
        assert [run.name for run in lab.detail(named["outer"]).children] == ["inner"]
        assert detail.output is True
        printed = lab.run(lab.room.experiments.get_run_output(named["inner"].run_id))
        assert [text.text for text in printed.texts] == ["said there\n"]
        reply, _ = kernel.run(f"genops.start(resume={here!r})", LONG_S)
        assert reply["status"] == "error" and "does not belong to this host" in reply["evalue"]
        forged = (
            "from genops_lab.runtime import resuming\nreal = resuming.lab.call\n"
            f"answer = {{'run_id': {here!r}, 'name': 'forged', 'experiment': 'Far', 'next_step': 0, "
            "'next_system_step': 0, 'next_auto_step': 0}\n"
            "resuming.lab.call = lambda *a, **k: answer if a[1] == '/tracking/resume' else real(*a, **k)\n"
            f"forged = genops.start(resume={here!r}); genops.log({{'loss': 9}}); genops.end()\n"
            "resuming.lab.call = real; print(forged.run_id)"
        )
        assert here not in ok(kernel, forged)
        ok(kernel, "genops.start(resume='inner'); genops.log({'loss': 2}); genops.end()")
        eventually(lambda: lab.steps(named["inner"]) == [0, 1])
        link = place.remote.links.link(place.route)
        begun, cut, done = (place.home.work / name for name in ("begun", "cut", "done"))
        cell = kernel.client.execute(
            f"import os, time\nopen({str(begun)!r}, 'w').close()\n"
            f"while not os.path.exists({str(cut)!r}): time.sleep(0.05)\n"
            "genops.start(resume='inner'); genops.log({'loss': 3}); genops.end(wait_s=0)\n"
            f"open({str(done)!r}, 'w').close()"
        )
        eventually(begun.exists)
        place.do(link.down())
        cut.touch()
        eventually(done.exists)
        assert lab.steps(named["inner"]) == [0, 1]
        place.do(link.up())
        assert kernel.finish(cell, LONG_S)[0]["status"] == "ok"
        eventually(lambda: lab.steps(named["inner"]) == [0, 1, 2])
    assert lab.detail(next(run for run in lab.runs() if run.run_id == here)).run.metrics == {}
