"""A kernel whose host is asked for and waited for: a toy queue, with a real agent of this machine behind it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from genops_lab.core.errors import InvalidRequest
from genops_lab.hosts import providers
from genops_lab.hosts.link.connection import HostConnection
from genops_lab.hosts.link.route import HostRef, Route
from genops_lab.hosts.models import Preset, TargetPolicy
from genops_lab.hosts.operator_rules import OperatorRules, save
from genops_lab.hosts.providers.base import Resources
from genops_lab.kernels import kernelspecs
from genops_lab.kernels.preset_kernelspecs import install_preset
from tests.kernels.outputs.pages import Page
from tests.kernels.places import DEADLINE_S, Place, Running, a_kernel, wait
from tests.kernels.toy_queue import (
    LAB_CONFIG,
    a_queue,
    asked,
    come,
    configure,
    is_pending,
    reply_to,
    said,
    until_it_waits,
)
from tests.support import toy_provider
from tests.support.homes import Home
from tests.support.lab_server import running_lab
from tests.support.nginx import nginx


@pytest.fixture
def place(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setitem(providers.PROVIDERS, "toy", toy_provider.PROVIDER)
    with a_queue(home, tmp_path / "queue") as found:
        yield found


@pytest.mark.parametrize(  # papermill's engine is nbclient with more
    ("runner", "wait_s"),
    [
        ("papermill", 1.0),
        *(pytest.param(runner, 90.0, marks=pytest.mark.exhaustive) for runner in ("nbclient", "papermill")),
    ],
)
def test_a_program_runs_a_notebook_whose_host_comes_later(place: Place, runner: str, wait_s: float) -> None:
    import nbformat

    configure(place, wait_s=wait_s)
    name = kernelspecs.name_of(place.route.target)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(6 * 7)")])
    notebook.metadata["kernelspec"] = {"name": name, "display_name": name, "language": "python"}
    began = time.monotonic()
    # As docs/users/remote-kernels.md has it: the timeout of the start as it is, none of cells.
    if runner == "nbclient":
        from nbclient import NotebookClient

        NotebookClient(notebook, kernel_name=name, timeout=None).execute()
    else:
        import papermill

        file = place.home.work / "a.ipynb"
        nbformat.write(notebook, file)
        papermill.execute_notebook(file, file, execution_timeout=None, progress_bar=False)
        notebook = nbformat.read(file, as_version=4)
    assert time.monotonic() - began >= wait_s
    assert [output["text"] for output in notebook.cells[-1].outputs] == ["42\n"]
    wait(lambda: asked(place) == [], "the host was not given back")


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
    configure(place, wait_s=0.0)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    NotebookClient(notebook, kernel_name=kernelspecs.name_of(place.route.target)).execute()
    assert notebook.cells[0].outputs[0]["data"]["text/plain"] == "2" and asked(place) == []


def test_a_start_answers_at_once_and_cells_wait_for_the_host(place: Place) -> None:
    with a_kernel(place) as kernel:  # its start does not wait for the host, which has not come
        kernel_id = str(kernel.manager.kernel_id)
        assert asked(place) == [kernel_id]
        wait(lambda: "All toys are in use." in kernel.bridge.state.reason)
        assert is_pending(kernel)
        assert "Place in the queue: 1." in kernel.bridge.link.state.message
        for ask, answer in [
            (kernel.client.kernel_info(), ("language_info", "name", "python")),
            (kernel.client.complete("pri", 2), ("cursor_start", None, 2)),
            (kernel.client.comm_info(), ("comms", None, {})),
        ]:
            part, key, value = answer
            found = reply_to(kernel, ask)[part]
            assert (found if key is None else found[key]) == value
        first, second = kernel.client.execute("x = 20; print(x)"), kernel.client.execute("x + 1")
        come(place)
        assert kernel.finish(first)[1] == "20\n"
        assert reply_to(kernel, second)["execution_count"] == 2
        # The same host serves the kernel that takes its place.
        kernel.manager.restart_kernel(now=True)
        kernel.client.wait_for_ready(timeout=DEADLINE_S)
        assert kernel.run("print('x' in dir())")[1] == "False\n"
        assert asked(place) == [kernel_id]
    wait(lambda: asked(place) == [], "the host was not given back")


def test_an_interrupt_takes_waiting_cells_back_and_the_start_goes_on(place: Place) -> None:
    with a_kernel(place) as kernel:
        wait(lambda: is_pending(kernel))
        first, second = kernel.client.execute("ran = 1"), kernel.client.execute("ran = 2")
        note = said(kernel, "display_data")
        assert note["parent_header"]["msg_id"] == first
        assert (
            "waits for its kernel to start on queue. All toys are in use."
            in note["content"]["data"]["text/plain"]
        )
        until_it_waits(place, str(kernel.manager.kernel_id), second)
        kernel.manager.interrupt_kernel()
        assert said(kernel, "clear_output")["parent_header"]["msg_id"] == first
        error = said(kernel, "error")
        assert error["parent_header"]["msg_id"] == first and error["content"]["ename"] == "KeyboardInterrupt"
        assert "The start continues. To cancel the start, shut down the kernel." in error["content"]["evalue"]
        assert reply_to(kernel, first)["ename"] == "KeyboardInterrupt"
        assert reply_to(kernel, second)["status"] == "aborted"
        kernel.manager.interrupt_kernel()  # nothing waits
        assert asked(place) == [str(kernel.manager.kernel_id)]
        third = kernel.client.execute("print('ran' in dir())")
        assert said(kernel, "display_data")["parent_header"]["msg_id"] == third
        come(place)
        assert said(kernel, "clear_output")["parent_header"]["msg_id"] == third
        assert kernel.finish(third)[1] == "False\n"


def test_a_restart_keeps_the_place_in_the_queue_and_drops_what_waited(place: Place) -> None:
    with a_kernel(place) as kernel:
        dropped = kernel.client.execute("print('before'); before = 1")
        wait(lambda: is_pending(kernel))
        until_it_waits(place, str(kernel.manager.kernel_id), dropped)
        (asked_for,) = Path(place.route.config.folder).glob("*/asked.json")
        at_first = asked_for.read_bytes()
        kernel.manager.shutdown_wait_time = 4 * DEADLINE_S
        began = time.monotonic()
        kernel.manager.restart_kernel()
        assert time.monotonic() - began < DEADLINE_S, "it waited for a kernel that has not begun"
        assert reply_to(kernel, dropped)["ename"] == "KernelNotStarted"
        kernel.client.wait_for_ready(timeout=DEADLINE_S)
        assert asked_for.read_bytes() == at_first
        # Nothing is run: a page hears that it starts, and that it is idle, all the same.
        kernel.client.kernel_info()
        states = ["busy"]
        while states[-1] != "starting":
            states.append(said(kernel, "status")["content"]["execution_state"])
        come(place)
        while states[-1] != "idle":
            states.append(said(kernel, "status")["content"]["execution_state"])
        assert kernel.bridge.state.state == "connected", states
        assert kernel.run("print('before' in dir())")[1] == "False\n"


@pytest.mark.parametrize("by", ["its manager", "its manager at once", "a client"])
def test_a_kernel_that_is_shut_down_while_it_waits_gives_its_place_back(place: Place, by: str) -> None:
    with a_kernel(place) as kernel:
        wait(lambda: len(asked(place)) == 1)
        waiting = kernel.client.execute("1")
        kernel_id = str(kernel.manager.kernel_id)
        until_it_waits(place, kernel_id, waiting)
        if by == "its manager":
            kernel.manager.shutdown_kernel()
        elif by == "a client":
            kernel.client.shutdown()
        else:
            kernel.manager.shutdown_kernel(now=True)
        assert "was not run" in reply_to(kernel, waiting)["evalue"]
    wait(lambda: asked(place) == [], "the place in the queue is still taken")


def test_a_host_that_never_comes_is_said_and_no_cell_hangs(place: Place) -> None:
    with a_kernel(place) as kernel:
        waiting = kernel.client.execute("print('never')")
        wait(lambda: is_pending(kernel))
        host = place.route.at(toy_provider.PROVIDER.host_of(place.route, str(kernel.manager.kernel_id)))
        place.do(toy_provider.PROVIDER.release(host))
        reply, printed = kernel.finish(waiting)
        assert reply["status"] == "error" and "It was given back." in printed and "not run" in printed
        wait(lambda: not kernel.manager.is_alive())


def test_what_a_queue_says_is_one_short_line_of_plain_text(place: Place) -> None:
    configure(place, reason="<b>No\x1b[31m \u202eGPU\n\tfree</b> " + "wait " * 1000)
    with a_kernel(place) as kernel:
        wait(lambda: is_pending(kernel))
        kernel.client.execute("1")
        words = said(kernel, "display_data")["content"]["data"]
        assert list(words) == ["text/plain"]  # a page escapes it
        said_in_queue = kernel.bridge.link.state.message
        assert said_in_queue.startswith("<b>No [31m GPU free</b> wait")
        assert said_in_queue.isprintable() and len(said_in_queue) < 350
        assert said_in_queue in words["text/plain"]


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("allocate", "'A toy queue' target failed: 'partition'"),
        ("observe", "connection to queue failed: 'partition'"),
    ],
)
def test_a_provider_that_fails_leaves_no_cell_waiting(
    place: Place, monkeypatch: pytest.MonkeyPatch, method: str, words: str
) -> None:
    async def fail(*_: object) -> None:
        raise KeyError("partition")

    monkeypatch.setattr(toy_provider.ToyProvider, method, fail)
    manager = place.manager()
    manager.start_kernel()
    wait(lambda: place.bridge(manager).state.state == "ended")
    assert words in place.bridge(manager).state.reason
    manager.shutdown_kernel(now=True)


def test_each_kernel_has_a_host_and_a_connection_of_its_own(place: Place) -> None:
    configure(place, wait_s=0.0)
    with a_kernel(place) as one, a_kernel(place) as two:
        pids = [_pid(each) for each in (one, two)]
        assert len(set(pids)) == 2 and one.bridge.link is not two.bridge.link
        assert len([link for link in place.remote.links.known() if link.is_up]) == 2


def _pid(kernel: Running) -> str:
    return kernel.run("import os; print(os.getpid())")[1]


def test_a_host_that_is_gone_ends_its_kernel_and_none_is_asked_for_in_its_place(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(place, wait_s=0.0)
    whole = HostConnection.call

    async def late(link: HostConnection, method: str, *params: Any, **options: Any) -> Any:
        if method == "kernels.start":  # what still served the last kernel must not ask the new host before
            await asyncio.sleep(0.5)
        return await whole(link, method, *params, **options)

    monkeypatch.setattr(HostConnection, "call", late)
    with a_kernel(place) as kernel:
        host = place.route.at(toy_provider.PROVIDER.host_of(place.route, str(kernel.manager.kernel_id)))
        wait(lambda: kernel.bridge.state.state == "connected")
        place.do(toy_provider.PROVIDER.release(host))  # a job's time is over, a node is drained
        wait(lambda: kernel.bridge.state.state == "ended", "nobody says that its host is gone")
        if not kernel.bridge.ended_by:  # its agent told of its end, and Jupyter starts anew what died
            kernel.manager.restart_kernel(now=True)
            wait(lambda: kernel.bridge.state.state == "ended")
        assert "toy of queue no longer exists: It was given back." in kernel.bridge.state.reason
        assert asked(place) == []
        kernel.manager.restart_kernel(now=True)
        kernel.client.wait_for_ready(timeout=DEADLINE_S)
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
    assert "no longer exists: It was given back." in place.bridge(later).state.reason and asked(place) == []
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


def test_the_kernel_of_a_preset_asks_for_its_resources(place: Place) -> None:
    preset = Preset(
        name="2 x H100", kernel_name="genops-queue.2-x-h100", resources=Resources(gpus=2, gpu_type="H100")
    )
    install_preset(place.route.target, "a toy queue", preset)
    manager = place.manager()
    manager.kernel_name = preset.kernel_name
    manager.start_kernel()
    wait(lambda: len(asked(place)) == 1)
    (file,) = Path(place.route.config.folder).glob("*/asked.json")
    assert msgspec.json.decode(file.read_bytes(), type=toy_provider.Asked).resources == preset.resources
    # A Lab that finds the kernel again knows only its target, and restarts it with the same.
    assert manager.provisioner.chosen == {"GENOPS_GPUS": "2", "GENOPS_GPU_TYPE": "H100"}
    manager.shutdown_kernel(now=True)
    wait(lambda: asked(place) == [])


def test_a_start_over_the_administrators_limit_is_refused_at_once(place: Place) -> None:
    """By variables of the start, and by a kernelspec that was changed by hand."""
    save(place.home.data, OperatorRules(fields={"toy": {"gpus": {"maximum": 1}}}))
    with pytest.raises(InvalidRequest, match="A host with 2 GPUs cannot be requested"):
        place.manager().start_kernel(env={**os.environ, "GENOPS_GPUS": "2"})
    preset = Preset(name="two", kernel_name="genops-queue.two", resources=Resources(gpus=2))
    install_preset(place.route.target, "a toy queue", preset)
    manager = place.manager()
    manager.kernel_name = preset.kernel_name
    with pytest.raises(InvalidRequest, match="A host with 2 GPUs cannot be requested"):
        manager.start_kernel()
    assert asked(place) == []


def test_the_host_of_an_idle_kernel_is_given_back_with_its_outputs_here(place: Place) -> None:
    configure(place, wait_s=0.0)
    place.policy = TargetPolicy(idle_minutes=4 / 60)
    with a_kernel(place) as kernel:
        assert kernel.run("print('kept')")[1] == "kept\n" and len(asked(place)) == 1
        wait(lambda: not kernel.manager.is_alive(), "it is not ended")
        wait(lambda: asked(place) == [], "its host is kept")
        assert kernel.bridge.ended_by == "idle" and "without work" in kernel.bridge.state.reason
        place.policy = TargetPolicy()
        kernel.manager.restart_kernel()
        kernel.client.wait_for_ready(timeout=DEADLINE_S)
        assert kernel.run("print('again')")[1] == "again\n" and len(asked(place)) == 1


def test_the_folder_goes_to_the_host_that_comes(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "data.txt").write_text("data")
    configure(place, wait_s=0.5)
    with a_kernel(place, cwd=str(folder)) as kernel:
        reply, printed = kernel.run("import os; print(open('data.txt').read(), os.getcwd())")
        assert reply["status"] == "ok" and printed.startswith("data ") and str(tmp_path / "queue") in printed


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("wait_s", "cut_s"), [(15.0, 5), pytest.param(90.0, 30, marks=pytest.mark.exhaustive)]
)
def test_a_lab_behind_a_proxy_that_cuts_answers_at_once_and_runs_what_was_sent(
    home: Home, tmp_path: Path, wait_s: float, cut_s: int
) -> None:
    config = {"python": sys.executable, "folder": str(tmp_path / "queue"), "wait_s": wait_s}
    file = home.path / "config" / "jupyter_server_config.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(LAB_CONFIG % config)
    with running_lab(home) as lab, nginx(lab, tmp_path / "nginx", cut_s=cut_s) as door:
        body = {"path": "a.ipynb", "name": "a", "type": "notebook", "kernel": {"name": "genops-queue"}}
        began = time.monotonic()
        status, session = door.request("POST", "api/sessions", body)
        assert status == 201, session
        kernel_id = session["kernel"]["id"]
        page = Page(door, kernel_id, reconnects=True)
        sent = page.send("cell", "print(6 * 7)")
        (target,) = door.get("genops/targets")
        assert target["state"] == "pending", target
        (waits,) = target["pending"]
        assert waits["kernel_id"] == kernel_id and time.time() - wait_s < waits["since"] < time.time()
        assert waits["reason"] == target["message"] == "All toys are in use. Place in the queue: 1."
        assert door.get(f"api/kernels/{kernel_id}")["execution_state"] == "starting"
        got: dict[str, Any] = {}  # each on a channel of its own, in any order

        def is_whole(message: dict[str, Any]) -> bool:
            if message["parent_header"].get("msg_id") == sent:
                got[message["msg_type"]] = message["content"]
            return {"stream", "execute_reply"} <= got.keys()

        page.until(is_whole, timeout_s=wait_s + 60)
        assert time.monotonic() - began >= wait_s and page.cuts >= 2
        assert got["stream"]["text"] == "42\n" and got["execute_reply"]["execution_count"] == 1
        assert page.run("next", "assert _oh is not None")["execution_count"] == 2  # and nothing ran twice
        page.close()
        assert door.request("DELETE", f"api/sessions/{session['id']}")[0] == 204
        wait(lambda: not list((tmp_path / "queue").glob("*/asked.json")), "the host was not given back")
        lab.stop(signal.SIGTERM)  # Ctrl-C twice would not wait for what is being written


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
    file.write_text(LAB_CONFIG % config + _DIES % (str(queue), str(second)))
    with running_lab(home) as lab:
        body = {"path": "a.ipynb", "name": "a", "type": "notebook", "kernel": {"name": "genops-queue"}}
        with contextlib.suppress(OSError, http.client.HTTPException):
            lab.request("POST", "api/sessions", body)
        lab.process.wait(60)
    assert len(list(queue.glob("*/asked.json"))) == 1
    second.touch()
    with running_lab(home) as lab:
        wait(lambda: not list(queue.glob("*/asked.json")), "a host that nobody needs is kept")
        assert "is left over and will be released" in lab.log
