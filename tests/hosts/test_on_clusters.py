"""A Lab whose kernels run in jobs of a real Slurm and pods of a real Kubernetes: their ports, and sweeps on them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from tests.support.homes import Home, temporary_home
from tests.support.kubernetes import Cluster as Pods
from tests.support.kubernetes import a_cluster
from tests.support.lab_kernels import LabKernel, lab_kernel
from tests.support.lab_server import LabServer, free_port, running_lab, start_lab
from tests.support.rooms import eventually
from tests.support.slurm import Cluster as Jobs
from tests.support.sshd import Sshd
from tests.support.warm import program

PROGRAM = Path(__file__).parents[1] / "ports" / "program.py"
PROXY = Path(__file__).parents[2] / "node_modules" / ".bin" / "configurable-http-proxy"
PATIENT_S = 90.0
#: Seconds. A hub's proxy has minutes, and a queue hours.
LIMIT_S = 2.0
NS = "ports"
EMPTY = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def jobs() -> Jobs:
    return Jobs.running()


@pytest.fixture(scope="module")
def pods() -> Iterator[Pods]:
    with a_cluster() as found:
        found.namespace(NS)
        found.gpus(2)
        yield found


@pytest.fixture(scope="module")
def login(jobs: Jobs) -> Iterator[Sshd]:
    with jobs.login() as host:
        yield host


@pytest.fixture(scope="module")
def lab(module_home: Home) -> Iterator[LabServer]:
    with running_lab(module_home, base_url="/team/ada/") as server:
        yield server


@pytest.fixture(scope="module", params=["slurm", "kubernetes"])
def config(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The configuration of a target of the kind."""
    if request.param == "slurm":
        login = request.getfixturevalue("login")
        return {"host": login.alias, "python": sys.executable, "memory": "400M", "gpus": 4}
    pods, folder = request.getfixturevalue("pods"), tmp_path_factory.mktemp("pods")
    route = pods.route("kubernetes", NS, folder, memory="400Mi", gpus=1)
    return {name: each for name, each in msgspec.to_builtins(route.config).items() if each}


def add(lab: LabServer, config: dict[str, Any], login: Sshd) -> str:
    """Add the target to a Lab; return its name, which is its kind."""
    (lab.home.path / ".ssh").mkdir(mode=0o700, exist_ok=True)
    (lab.home.path / ".ssh" / "config").write_text(f"Include {login.config}\n")
    kind = "slurm" if "host" in config else "kubernetes"
    status, answer = lab.request("POST", "genops/v1/targets", {"name": kind, "kind": kind, "config": config})
    assert status == 200, answer
    return kind


@pytest.fixture(scope="module")
def target(lab: LabServer, config: dict[str, Any], login: Sshd) -> str:
    """A target of the kind in the Lab."""
    return add(lab, config, login)


async def _repeated(url: str, headers: dict[str, str]) -> None:
    socket = await websocket_connect(HTTPRequest(url.replace("http", "ws", 1), headers=headers))
    await socket.write_message(b"\0" * 300_000, binary=True)
    assert await socket.read_message() == b"\0" * 300_000
    socket.close()


def test_a_port_of_a_program_answers(lab: LabServer, target: str) -> None:
    with lab_kernel(lab, f"genops-{target}") as kernel:
        command = [sys.executable, str(PROGRAM), "0", "."]
        kernel.run(f"import pathlib, subprocess, time\nprogram = subprocess.Popen({command!r})")
        code = "while not (pathlib.Path('port').exists() and open('port').read()): time.sleep(0.05)"
        port = kernel.run(f"{code}\nprint(open('port').read())")[0].strip()
        found = lab.get(f"genops/v1/ports?where={kernel.kernel_id}")
        assert [each["port"] for each in found] == [port], "not ipykernel's own"
        status, opened = lab.request(
            "POST", "genops/v1/ports", {"where": kernel.kernel_id, "port": port, "trusted": True}
        )
        assert status == 200, opened
        token = {"Authorization": f"token {lab.token}"}
        answer = httpx.get(f"{opened['url']}echo", headers=token, timeout=PATIENT_S)
        assert answer.status_code == 200 and answer.json()["path"] == "/echo"
        asyncio.run(_repeated(f"{opened['url']}repeats", token))


def hosts_of(lab: LabServer, target: str) -> list[str]:
    return [each["host_id"] for each in lab.get(f"genops/v1/targets/{target}/hosts")]


def swept(lab: LabServer, target: str, code: str, **more: Any) -> dict[str, Any]:
    body = {"code": code, "space": ["n=1,2,3"], "on": [target], "track": {"system_metrics": False}, **more}
    status, sweep = lab.request("POST", "genops/sweeps", body)
    assert status == 200, sweep
    return dict(sweep)


def shown(lab: LabServer, sweep: dict[str, Any], good: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    return eventually(lambda: dict(lab.get(f"genops/sweeps/{sweep['id']}")), good, PATIENT_S)


def test_each_trial_has_a_host_of_its_own_and_a_stop_gives_all_back(lab: LabServer, target: str) -> None:
    sweep = swept(lab, target, "import genops\ngenops.log({'x': n * 2})", parallel=2, metric="x")
    done = shown(lab, sweep, lambda found: found["ended_at"] is not None)
    assert [(each["state"], each["value"]) for each in done["trials"]] == [
        ("finished", 2.0 * n) for n in (1, 2, 3)
    ], done
    assert len({each["kernel_id"] for each in done["trials"]}) == 3
    sweep = swept(lab, target, "import time\ntime.sleep(600 + n)", parallel=3)  # one of them waits for a GPU
    eventually(lambda: len(hosts_of(lab, target)), lambda count: count == 3, PATIENT_S)
    eventually(lambda: len(pending(lab, target)), lambda count: count == 1, PATIENT_S)
    status, answer = lab.request("POST", f"genops/sweeps/{sweep['id']}/stop")
    assert status == 200, answer
    shown(lab, sweep, lambda found: found["state"] == "stopped")
    eventually(lambda: hosts_of(lab, target), lambda each: each == [], PATIENT_S)


def pending(lab: LabServer, target: str) -> list[Any]:
    return list(lab.get(f"genops/v1/targets/{target}")["pending"])


def told(lab: LabServer, folder: Path, *arguments: str) -> str:
    """What a command prints in a folder, on one line."""
    done = subprocess.run(
        [*program("genops_lab.commands.main"), *arguments],
        cwd=folder, env=lab.home.environment(COLUMNS="400"), capture_output=True, text=True, timeout=PATIENT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_folder_that_the_job_has_itself_is_not_copied(lab: LabServer, target: str) -> None:
    """The jobs see this machine's files, as those of a cluster see the login node's; the pods have their own."""
    folder = lab.home.work / f"project-{target}"
    folder.mkdir()
    (folder / "data.txt").write_text("whole")
    body = {"path": f"{folder.name}/a.ipynb", "name": "a", "type": "notebook"}
    body |= {"kernel": {"name": f"genops-{target}"}}  # type: ignore[dict-item]
    status, session = lab.request("POST", "api/sessions", body, timeout=PATIENT_S)
    assert status == 201, session
    kernel = LabKernel(lab, session["kernel"]["id"])
    where, _ = kernel.run(
        "import os; print(os.getcwd(), open('data.txt').read()); open('new.txt', 'w').close()"
    )
    shared = target == "slurm"
    assert where.split()[1] == "whole" and (where.split()[0] == str(folder)) == shared
    assert (folder / "new.txt").exists() == shared
    assert lab.get(f"genops/v1/targets/{target}")["shares_files"] is (True if shared else None)
    about = {"folder": str(folder), "target": target}
    if shared:
        _status, said = lab.request("POST", "genops/v1/folders/look", about)
        same = f"Nothing needs to be copied: each job of slurm works in {folder} itself."
        assert (said["there"], said["message"]) == (str(folder), same)
        assert same in told(lab, folder, "push", "--target", target)
        assert same in told(lab, folder, "pull", "--target", target)
        assert "works in the folders of this machine" in told(lab, folder, "targets", "show", target)
    kernel.client.stop_channels()
    lab.request("DELETE", f"api/sessions/{session['id']}", timeout=PATIENT_S)
    assert sorted(each.name for each in folder.iterdir()) == ["data.txt", *(["new.txt"] if shared else [])]


def test_a_killed_labs_kernel_goes_on_in_a_lab_on_another_machine(
    lab: LabServer, target: str, config: dict[str, Any], login: Sshd
) -> None:
    """Both Labs have data folders of their own, and one user of the cluster. Never do two hosts have one kernel."""
    with temporary_home() as home:
        first = start_lab(home)
        try:
            add(first, config, login)
            body = {
                "path": "a.ipynb",
                "name": "a",
                "type": "notebook",
                "kernel": {"name": f"genops-{target}"},
            }
            (home.work / "a.ipynb").write_text(EMPTY)
            status, session = first.request("POST", "api/sessions", body, timeout=PATIENT_S)
            assert status == 201, session
            kernel_id = session["kernel"]["id"]
            kernel = LabKernel(first, kernel_id)
            kernel.run("kept = 42")
            kernel.send("import time\nfor i in range(100): print(i, flush=True); time.sleep(0.05)")
            while kernel.client.get_iopub_msg(timeout=PATIENT_S)["msg_type"] != "stream":
                pass  # the kernel has the cell
            first.process.send_signal(signal.SIGKILL)
            first.process.wait(30)
            kernel.client.stop_channels()

            place = f"genops/v1/targets/{target}"
            assert lab.request("POST", f"{place}/connect", {})[0] == 200
            eventually(lambda: lab.get(place)["state"], lambda state: state == "up", PATIENT_S)
            there = [each["host_id"] for each in lab.get(f"{place}/hosts")]
            assert there == [kernel_id]
            found = lab.get(f"{place}/kernels")["kernels"]
            assert [(each["kernel_id"], each["state"]) for each in found] == [(kernel_id, "running")]
            status, answer = lab.request("POST", f"{place}/kernels/{kernel_id}/attach", {}, timeout=PATIENT_S)
            assert status == 200, answer
            taken = LabKernel(lab, kernel_id)
            assert taken.run("print(i, kept)")[0].split() == ["99", "42"]

            # The first machine is back. Its Lab knows the kernel, which another Lab has now.
            first = start_lab(home)
            told = eventually(
                lambda: first.get(f"genops/v1/targets/{target}")["taken"], lambda each: each != [], PATIENT_S
            )
            assert [each["kernel_id"] for each in told] == [kernel_id]
            assert hosts_of(lab, target) == hosts_of(first, target) == [kernel_id]
            assert taken.run("print(kept)")[0] == "42\n"
            taken.client.stop_channels()
            lab.request("DELETE", f"api/kernels/{kernel_id}", timeout=PATIENT_S)
            eventually(lambda: hosts_of(lab, target), lambda each: each == [], PATIENT_S)
        finally:
            first.stop()
        assert hosts_of(lab, target) == []


def test_a_kernel_kept_ready_is_the_next_one_that_starts(lab: LabServer, target: str) -> None:
    place = f"genops/v1/targets/{target}"

    def shown(**policy: Any) -> dict[str, Any]:
        status, answer = lab.request("PUT", place, {"policy": policy, "price_per_hour": 2.5})
        assert status == 200, answer
        return dict(answer)

    def ready(count: int) -> list[str]:
        eventually(lambda: lab.get(place), lambda each: each["warm_ready"] == count, PATIENT_S)
        return hosts_of(lab, target)

    assert hosts_of(lab, target) == []
    shown(warm_kernels=1)
    [waits] = ready(1)
    [host] = lab.get(place)["hosts"]
    assert host["message"] == "It is kept ready for the next kernel."
    with lab_kernel(lab, f"genops-{target}") as kernel:
        assert kernel.kernel_id == waits and kernel.run("print(6 * 7)")[0] == "42\n"
        # The next one is made ready. A person who disconnects ends it, and not the kernel.
        assert len(ready(1)) == 2
        assert lab.request("POST", f"{place}/disconnect", {})[0] == 200
        eventually(lambda: hosts_of(lab, target), lambda each: each == [waits], PATIENT_S)
        shown(warm_kernels=0)
        assert lab.request("POST", f"{place}/connect", {})[0] == 200
        eventually(lambda: lab.get(place)["state"], lambda state: state == "up", PATIENT_S)
        assert kernel.run("print(6 * 7)")[0] == "42\n"
    eventually(lambda: hosts_of(lab, target), lambda each: each == [], PATIENT_S)


class Notebook:
    """A page's websocket to a kernel, as JupyterLab opens it."""

    def __init__(self, address: str, kernel_id: str, token: dict[str, str]) -> None:
        self.url = f"{address.replace('http', 'ws', 1)}api/kernels/{kernel_id}/channels"
        self.token = token

    async def read(self, until: Callable[[dict[str, Any]], bool], run: str = "") -> list[dict[str, Any]]:
        """Send a cell, and return the messages up to a good one, or to the end of the connection."""
        session = uuid.uuid4().hex
        request = HTTPRequest(f"{self.url}?session_id={session}", headers=self.token)
        socket = await websocket_connect(request)
        if run:
            content = {"code": run, "silent": False, "store_history": True, "user_expressions": {}}
            header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": session}
            header |= {"username": "ada", "version": "5.3", "date": "2026-12-01T00:00:00Z"}
            message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
            await socket.write_message(json.dumps({**message, "channel": "shell", "buffers": []}))
        found: list[dict[str, Any]] = []
        while (text := await asyncio.wait_for(socket.read_message(), PATIENT_S)) is not None:
            found.append(json.loads(text))
            if until(found[-1]):
                break
        socket.close()
        return found


@contextmanager
def a_hubs_proxy(lab: LabServer, limit_s: float) -> Iterator[str]:
    """The Lab's address behind the proxy of JupyterHub, which ends what is idle for so long."""
    port = free_port()
    command = [str(PROXY), "--port", str(port), "--api-port", str(free_port()), "--ip", "127.0.0.1"]
    limits = [f"--{name}={limit_s * 1000:.0f}" for name in ("timeout", "proxy-timeout")]
    environment = {**os.environ, "CONFIGPROXY_AUTH_TOKEN": uuid.uuid4().hex}
    with subprocess.Popen([*command, *limits, "--default-target", lab.origin], env=environment) as process:
        try:
            eventually(lambda: _answers(port), bool, PATIENT_S)
            yield lab.url.replace(str(lab.port), str(port), 1)
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(not PROXY.exists(), reason="configurable-http-proxy is not installed (jlpm install)")
def test_a_start_waits_longer_than_the_limits_of_a_hubs_proxy(
    lab: LabServer, target: str, request: pytest.FixtureRequest
) -> None:
    if target != "slurm":
        pytest.skip("one kind shows it")
    jobs = request.getfixturevalue("jobs")
    command = ("sbatch", "--parsable", "-t", "10", "--gres=gpu:4", "--mem=100M", "-o", "/dev/null")
    taken = [jobs.run(*command, "--wrap", "exec sleep 600").strip() for _ in range(2)]
    token = {"Authorization": f"token {lab.token}"}
    with a_hubs_proxy(lab, LIMIT_S) as address:
        made = httpx.post(f"{address}api/kernels", headers=token, json={"name": f"genops-{target}"})
        assert made.status_code == 201, made.text
        kernel_id = made.json()["id"]
        notebook, began = Notebook(address, kernel_id, token), time.monotonic()
        first = asyncio.run(notebook.read(lambda _: time.monotonic() > began + LIMIT_S, "print(6 * 7)"))
        assert "waits for its kernel" in str([each["content"] for each in first]), first
        rest: list[dict[str, Any]] = []
        while time.monotonic() < began + 5 * LIMIT_S:  # reloads of the page
            rest += asyncio.run(notebook.read(lambda _: time.monotonic() > began + 5 * LIMIT_S))
        assert [each["kernel_id"] for each in pending(lab, target)] == [kernel_id]
        jobs.run("scancel", *taken)
        while "42\n" not in [each["content"].get("text") for each in rest]:
            rest += asyncio.run(notebook.read(lambda each: each["content"].get("text") == "42\n"))
        assert httpx.delete(f"{address}api/kernels/{kernel_id}", headers=token).status_code == 204
