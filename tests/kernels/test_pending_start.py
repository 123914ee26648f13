"""A kernel whose host is asked for and waited for: a toy queue, with a real agent of this machine behind it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from genops_lab.hosts import providers
from genops_lab.hosts.link.route import HostRef, Route
from genops_lab.hosts.providers.base import Resources
from genops_lab.kernels import kernelspecs
from tests.kernels.outputs.pages import Page
from tests.kernels.places import Place, Running, a_kernel, a_place, wait
from tests.support import toy_provider
from tests.support.homes import Home
from tests.support.lab_server import running_lab

WAIT_S = 4.0


@pytest.fixture
def place(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setitem(providers.PROVIDERS, "toy", toy_provider.PROVIDER)
    route = providers.route_of(
        "queue", "toy", python=sys.executable, folder=str(tmp_path / "queue"), wait_s=WAIT_S
    )
    with a_place(home, route) as found:
        yield found


@pytest.mark.parametrize("wait_s", [1.0, pytest.param(90.0, marks=pytest.mark.exhaustive)])
def test_nbclient_runs_a_notebook_whose_host_comes_later(place: Place, wait_s: float) -> None:
    import nbformat
    from nbclient import NotebookClient

    place.route = msgspec.structs.replace(
        place.route, config=msgspec.structs.replace(place.route.config, wait_s=wait_s)
    )
    cells = [nbformat.v4.new_code_cell("print(6 * 7)")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    began = time.monotonic()
    NotebookClient(
        notebook, kernel_name=kernelspecs.name_of(place.route.target), startup_timeout=60
    ).execute()
    assert notebook.cells[0].outputs[0]["text"] == "42\n" and time.monotonic() - began >= wait_s


def asked(place: Place) -> list[str]:
    """The hosts that are asked for."""
    return [ref.host_id for ref in place.do(toy_provider.PROVIDER.list_hosts(place.route))]


def test_a_program_that_ends_after_its_notebook_has_given_its_host_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nbformat
    from nbclient import NotebookClient

    release = toy_provider.PROVIDER.release

    async def slow(host: Route) -> None:
        await asyncio.sleep(1.0)
        await release(host)

    monkeypatch.setattr(toy_provider.PROVIDER, "release", slow)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    NotebookClient(notebook, kernel_name=kernelspecs.name_of(place.route.target)).execute()
    assert notebook.cells[0].outputs[0]["data"]["text/plain"] == "2" and asked(place) == []


def test_a_start_answers_at_once_and_cells_wait_for_the_host(place: Place) -> None:
    began = time.monotonic()
    with a_kernel(place) as kernel:
        assert time.monotonic() - began < 2.0
        kernel_id = str(kernel.manager.kernel_id)
        assert asked(place) == [kernel_id]
        wait(lambda: "All toys are in use." in kernel.bridge.state.reason)
        assert kernel.bridge.link.state.state == "pending"
        assert "number 1 in the queue" in kernel.bridge.link.state.message
        kernel.client.kernel_info()
        assert kernel.client.get_shell_msg(timeout=2)["content"]["language_info"]["name"] == "python"
        first, second = kernel.client.execute("x = 20; print(x)"), kernel.client.execute("x + 1")
        assert kernel.finish(first)[1] == "20\n"
        assert time.monotonic() - began >= WAIT_S
        assert kernel.client.get_shell_msg(timeout=10)["parent_header"]["msg_id"] == second
        # The same host serves the kernel that takes its place.
        kernel.manager.restart_kernel(now=True)
        kernel.client.wait_for_ready(timeout=30)
        assert kernel.run("print('x' in dir())")[1] == "False\n"
        assert asked(place) == [kernel_id]
    wait(lambda: asked(place) == [], "the host was not given back")


def test_a_restart_keeps_the_place_in_the_queue_and_drops_what_waited(place: Place) -> None:
    with a_kernel(place) as kernel:
        kernel.client.execute("print('before'); before = 1")
        wait(lambda: kernel.bridge.link.state.state == "pending")
        (asked_for,) = Path(place.route.config.folder).glob("*/asked.json")
        at_first = asked_for.read_bytes()
        kernel.manager.restart_kernel()
        kernel.client.wait_for_ready(timeout=30)
        assert kernel.run("print('before' in dir())")[1] == "False\n"
        assert asked_for.read_bytes() == at_first


def test_a_kernel_that_is_shut_down_while_it_waits_gives_its_place_back(place: Place) -> None:
    with a_kernel(place):
        wait(lambda: len(asked(place)) == 1)
    wait(lambda: asked(place) == [], "the place in the queue is still taken")


def test_a_host_that_never_comes_is_said_and_no_cell_hangs(place: Place) -> None:
    with a_kernel(place) as kernel:
        waiting = kernel.client.execute("print('never')")
        wait(lambda: kernel.bridge.link.state.state == "pending")
        host = place.route.at(toy_provider.PROVIDER.host_of(place.route, str(kernel.manager.kernel_id)))
        place.do(toy_provider.PROVIDER.release(host))
        reply, printed = kernel.finish(waiting)
        assert reply["status"] == "error" and "It was given back." in printed and "not run" in printed
        wait(lambda: not kernel.manager.is_alive())


def test_each_kernel_has_a_host_and_a_connection_of_its_own(place: Place) -> None:
    with a_kernel(place) as one, a_kernel(place) as two:
        pids = [_pid(each) for each in (one, two)]
        assert len(set(pids)) == 2 and one.bridge.link is not two.bridge.link
        assert len([link for link in place.remote.links.known() if link.is_up]) == 2


def _pid(kernel: Running) -> str:
    return kernel.run("import os; print(os.getpid())")[1]


def test_the_next_lab_starts_what_the_last_one_waited_for(place: Place) -> None:
    first = place.manager()
    first.start_kernel()
    kernel_id = str(first.kernel_id)
    wait(lambda: place.bridge(first).link.state.state == "pending")
    place.new_process().expect(kernel_id)
    with a_kernel(place, kernel_id) as kernel:
        assert asked(place) == [kernel_id]
        assert kernel.run("print(6 * 7)")[1] == "42\n"
    wait(lambda: asked(place) == [], "the host was not given back")


def test_a_host_that_is_gone_ends_its_kernel_and_none_is_asked_for_in_its_place(place: Place) -> None:
    place.route = msgspec.structs.replace(
        place.route, config=msgspec.structs.replace(place.route.config, wait_s=0.0)
    )
    with a_kernel(place) as kernel:
        host = place.route.at(toy_provider.PROVIDER.host_of(place.route, str(kernel.manager.kernel_id)))
        wait(lambda: kernel.bridge.state.state == "connected")
        place.do(toy_provider.PROVIDER.release(host))  # a job's time is over, a node is drained
        wait(lambda: kernel.bridge.state.state == "ended", "nobody says that its host is gone")
        if not kernel.bridge.ended_by:  # its agent told of its end, and Jupyter starts anew what died
            kernel.manager.restart_kernel(now=True)
            wait(lambda: kernel.bridge.state.state == "ended")
        assert "toy of queue is gone: It was given back." in kernel.bridge.state.reason
        assert asked(place) == []
        kernel.manager.restart_kernel(now=True)
        kernel.client.wait_for_ready(timeout=30)
        assert kernel.run("print(6 * 7)")[1] == "42\n" and len(asked(place)) == 1
    first = place.manager()
    first.start_kernel()
    wait(lambda: place.bridge(first).state.state == "connected")
    kernel_id = str(first.kernel_id)
    remote = place.new_process()
    place.do(toy_provider.PROVIDER.release(place.route.at(HostRef("queue", kernel_id))))
    remote.expect(kernel_id)
    later = place.manager(kernel_id)
    later.start_kernel()
    wait(lambda: place.bridge(later).state.state == "ended", "the next Lab waits for a host that is gone")
    assert "is gone: It was given back." in place.bridge(later).state.reason and asked(place) == []
    later.shutdown_kernel(now=True)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, Resources()),
        ({"GENOPS_GPUS": "2", "GENOPS_GPU_TYPE": "h100"}, Resources(gpus=2, gpu_type="h100")),
        ({"CUDA_VISIBLE_DEVICES": "0,1,2"}, Resources(gpus=3)),
        ({"GENOPS_MEMORY_BYTES": "64000", "GENOPS_CPUS": "1.5"}, Resources(memory_bytes=64000, cpus=1.5)),
    ],
)
def test_what_a_start_asks_for_reaches_who_gives_hosts(
    place: Place, given: dict[str, str], wanted: Resources
) -> None:
    manager = place.manager()
    manager.start_kernel(env={**os.environ, **given})
    wait(lambda: len(asked(place)) == 1)
    (file,) = Path(place.route.config.folder).glob("*/asked.json")
    assert msgspec.json.decode(file.read_bytes(), type=toy_provider.Asked).resources == wanted
    manager.shutdown_kernel(now=True)
    wait(lambda: asked(place) == [])


def test_the_folder_goes_to_the_host_that_comes(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "data.txt").write_text("data")
    with a_kernel(place, cwd=str(folder)) as kernel:
        reply, printed = kernel.run("import os; print(open('data.txt').read(), os.getcwd())")
        assert reply["status"] == "ok" and printed.startswith("data ") and str(tmp_path / "queue") in printed


_CONFIG = """
from genops_lab.hosts.providers import PROVIDERS
from tests.support.toy_provider import PROVIDER
PROVIDERS[PROVIDER.kind] = PROVIDER
c.GenOpsLab.targets = [{"name": "queue", "kind": "toy", "config": %r}]
"""


@pytest.mark.parametrize("wait_s", [6.0, pytest.param(90.0, marks=pytest.mark.exhaustive)])
def test_a_lab_answers_at_once_says_why_it_waits_and_runs_what_was_sent(
    home: Home, tmp_path: Path, wait_s: float
) -> None:
    config = {"python": sys.executable, "folder": str(tmp_path / "queue"), "wait_s": wait_s}
    file = home.path / "config" / "jupyter_server_config.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_CONFIG % config)
    with running_lab(home) as lab:
        body = {"path": "a.ipynb", "name": "a", "type": "notebook", "kernel": {"name": "genops-queue"}}
        began = time.monotonic()
        status, session = lab.request("POST", "api/sessions", body)
        assert status == 201 and time.monotonic() - began < 2.0, session
        page = Page(lab, session["kernel"]["id"])
        sent = page.send("cell", "print(6 * 7)")
        (target,) = lab.get("genops/targets")
        assert target["state"] == "pending", target
        assert target["message"] == "All toys are in use. It is number 1 in the queue."
        page.close()  # a proxy cuts, a laptop closes: the request waits here
        again = Page(lab, session["kernel"]["id"])
        again.run("next", "pass")
        assert time.monotonic() - began >= wait_s
        assert again.run("last", "assert _oh is not None")["execution_count"] == 3, sent
        again.close()
        assert lab.request("DELETE", f"api/sessions/{session['id']}")[0] == 204
        wait(lambda: not list((tmp_path / "queue").glob("*/asked.json")), "the host was not given back")


_DIES = """
import os, signal, time
from pathlib import Path
from genops_lab.hosts import allocated
from genops_lab.kernels.outputs.ledger import KernelLedger

allocated.GRACE_S, allocated._LOOK_EVERY_S = 1.0, 0.2

def remember(self, kernel):
    while not list(Path(%r).glob("*/asked.json")):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

if not Path(%r).exists():
    KernelLedger.remember = remember
"""


def test_a_lab_that_dies_before_it_notes_a_kernel_leaves_no_host_that_costs(
    home: Home, tmp_path: Path
) -> None:
    queue, second = tmp_path / "queue", tmp_path / "second"
    config = {"python": sys.executable, "folder": str(queue), "wait_s": 0.0}
    file = home.path / "config" / "jupyter_server_config.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_CONFIG % config + _DIES % (str(queue), str(second)))
    with running_lab(home) as lab:
        body = {"path": "a.ipynb", "name": "a", "type": "notebook", "kernel": {"name": "genops-queue"}}
        with contextlib.suppress(OSError, http.client.HTTPException):
            lab.request("POST", "api/sessions", body)
        lab.process.wait(60)
    assert len(list(queue.glob("*/asked.json"))) == 1
    second.touch()
    with running_lab(home) as lab:
        wait(lambda: not list(queue.glob("*/asked.json")), "a host that nobody needs is kept")
        assert "is left over: it is given back" in lab.log
