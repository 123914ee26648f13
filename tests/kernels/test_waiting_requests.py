"""Requests that wait for a kernel's host outlive their Lab: the next Lab runs each once."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from genops_lab.hosts import providers
from genops_lab.hosts.link.route import HostRef
from tests.kernels.outputs.notebooks import cells_of, text_of, write_notebook
from tests.kernels.outputs.pages import Page
from tests.kernels.places import DEADLINE_S, Collector, Place, Running, a_kernel, wait
from tests.kernels.toy_queue import (
    LAB_CONFIG,
    NEVER_S,
    a_queue,
    asked,
    come,
    give_hosts,
    is_pending,
    reply_to,
    until_it_waits,
    waiting_file,
)
from tests.support import toy_provider
from tests.support.homes import Home
from tests.support.lab_server import running_lab


@pytest.fixture
def place(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setitem(providers.PROVIDERS, "toy", toy_provider.PROVIDER)
    with a_queue(home, tmp_path / "queue") as found:
        yield found


def test_the_next_lab_answers_for_and_starts_what_the_last_one_waited_for(place: Place) -> None:
    first, second = place.manager(), place.manager()
    for manager in (first, second):
        manager.start_kernel()
        wait(lambda: len(asked(place)) == (1 if manager is first else 2))  # noqa: B023
    left = place.new_process()
    for manager in (first, second):
        left.expect(str(manager.kernel_id))
    with a_kernel(place, str(first.kernel_id)) as kernel:
        waiting = kernel.client.execute("1")
        wait(lambda: kernel.bridge.pending_since is not None)
        until_it_waits(place, str(first.kernel_id), waiting)
        kernel.manager.interrupt_kernel()
        assert reply_to(kernel, waiting)["ename"] == "KeyboardInterrupt"
        with a_kernel(place, str(second.kernel_id)):
            assert sorted(asked(place)) == sorted([str(first.kernel_id), str(second.kernel_id)])
        wait(lambda: asked(place) == [str(first.kernel_id)], "the place in the queue is still taken")
        come(place)
        assert kernel.run("print(6 * 7)")[1] == "42\n"
    wait(lambda: asked(place) == [], "the host was not given back")


def printed(kernel: Running, msg_id: str) -> str:
    """What a cell of an earlier client printed, once it has ended."""
    texts = []
    while (message := kernel.client.get_iopub_msg(timeout=DEADLINE_S))["content"].get(
        "execution_state"
    ) != "idle" or (message["parent_header"].get("msg_id") != msg_id):
        if message["msg_type"] == "stream" and message["parent_header"].get("msg_id") == msg_id:
            texts.append(message["content"]["text"])
    return "".join(texts)


def test_the_next_lab_runs_the_cells_that_waited_each_once(place: Place) -> None:
    manager = place.manager()
    manager.start_kernel()
    kernel_id = str(manager.kernel_id)
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=DEADLINE_S)
    wait(lambda: place.bridge(manager).pending_since is not None)
    taken_back = client.execute("n = 100")
    until_it_waits(place, kernel_id, taken_back)
    manager.interrupt_kernel()
    sent = [client.execute(code) for code in ("n = globals().get('n', 0) + 1", "n += 1; print(n)")]
    until_it_waits(place, kernel_id, sent[-1])
    assert waiting_file(place, kernel_id).stat().st_mode & 0o777 == 0o600
    client.stop_channels()
    place.new_process().expect(kernel_id)
    with a_kernel(place, kernel_id) as kernel:
        wait(lambda: kernel.bridge.pending_since is not None)
        later = kernel.client.execute("n += 1")
        until_it_waits(place, kernel_id, later)
        as_it_was = waiting_file(place, kernel_id).read_bytes()
        come(place)
        assert printed(kernel, sent[-1]) == "2\n"
        assert kernel.run("print(n)")[1] == "3\n"
        wait(lambda: not waiting_file(place, kernel_id).exists(), "the file stays")
        # As if that Lab had died before it heard that the keeper has the cells.
        place.new_process().expect(kernel_id)
        waiting_file(place, kernel_id).write_bytes(as_it_was)
        kernel.client.stop_channels()
        heard = Collector()
        place.remote.on_open(lambda bridge: bridge.exchange.add_tap(heard))
        with a_kernel(place, kernel_id) as again:
            assert again.run("print(n)")[1] == "3\n"
            # ipykernel refuses a signature that it has seen, and would owe the keeper a reply for ever.
            new = [frames for seq, channel, frames in heard.records if seq > again.bridge.exchange.backlog]
            assert sent[0].encode() not in b"".join(b"".join(frames) for frames in new)
            wait(lambda: not waiting_file(place, kernel_id).exists(), "the file stays")


def test_waiting_cells_that_cannot_be_written_run_all_the_same(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    manager = place.manager()
    waiting_file(place, str(manager.kernel_id)).with_suffix(".new").mkdir()
    manager.start_kernel()
    kernel = Running(place, manager)
    waiting = kernel.client.execute("print(6 * 7)")
    wait(lambda: is_pending(kernel))
    come(place)
    assert kernel.finish(waiting)[1] == "42\n"
    assert "are lost if this Lab ends: " in caplog.text
    kernel.close()


def test_the_next_lab_says_of_waiting_cells_that_their_host_is_gone(place: Place) -> None:
    manager = place.manager()
    manager.start_kernel()
    kernel_id, client = str(manager.kernel_id), manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=DEADLINE_S)
    wait(lambda: len(asked(place)) == 1)
    waiting = client.execute("1")
    until_it_waits(place, kernel_id, waiting)
    place.new_process().expect(kernel_id)
    place.do(toy_provider.PROVIDER.release(place.route.at(HostRef("queue", kernel_id))))
    client.stop_channels()
    later = place.manager(kernel_id, session=manager.session)  # as a page that connects again
    later.start_kernel()
    wait(lambda: place.bridge(later).state.state == "ended")
    client = later.client()
    client.start_channels()
    while (reply := client.get_shell_msg(timeout=DEADLINE_S))["parent_header"].get("msg_id") != waiting:
        pass
    assert "It was given back." in reply["content"]["evalue"] and "was not run" in reply["content"]["evalue"]
    assert not waiting_file(place, kernel_id).exists()
    client.stop_channels()
    later.shutdown_kernel(now=True)


@pytest.mark.timeout(180)
def test_the_cells_of_a_killed_lab_run_in_the_next_one_and_the_notebook_gets_their_outputs(
    home: Home, tmp_path: Path
) -> None:
    queue, notebook = tmp_path / "queue", home.work / "a.ipynb"
    config = {"python": sys.executable, "folder": str(queue), "wait_s": NEVER_S}
    file = home.path / "config" / "jupyter_server_config.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(LAB_CONFIG % config + "c.GenOpsLab.outputs_left_to_page_s = 0.5\n")
    write_notebook(notebook, {"cell": "print(6 * 7)"})
    with running_lab(home) as lab:
        body = {"path": "a.ipynb", "name": "a", "type": "notebook", "kernel": {"name": "genops-queue"}}
        kernel_id = lab.request("POST", "api/sessions", body)[1]["kernel"]["id"]
        page = Page(lab, kernel_id)
        sent = page.send("cell", "print(6 * 7)")
        wait(lambda: sent.encode() in (home.data / "remote" / "waiting" / kernel_id).read_bytes())
        wait(lambda: (home.data / "store.db").exists() and _remembers(home.data / "store.db", kernel_id))
        lab.process.kill()
        lab.process.wait(30)
    with running_lab(home) as lab:
        wait(lambda: lab.get("genops/targets")[0]["state"] == "pending")
        give_hosts(queue)
        wait(lambda: text_of(cells_of(notebook)[0]) == "42\n", "the output is not in the notebook")
        (session,) = lab.get("api/sessions")
        assert lab.request("DELETE", f"api/sessions/{session['id']}")[0] == 204
        wait(lambda: not list(queue.glob("*/asked.json")), "the host was not given back")
        lab.stop(signal.SIGTERM)


def _remembers(store: Path, kernel_id: str) -> bool:
    with contextlib.closing(sqlite3.connect(store)) as connection:
        return bool(
            connection.execute("SELECT 1 FROM remote_kernels WHERE kernel_id = ?", (kernel_id,)).fetchall()
        )
