"""Kernels on a target, through Jupyter's own managers: this machine is the target, the agent and its keepers
are real."""

from __future__ import annotations

import base64
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import AsyncKernelManager

from genops_lab.agent.records import IOPUB
from genops_lab.core.errors import GenOpsError
from tests.kernels.places import DEADLINE_S, TARGET, Collector, Place, Running, a_kernel, a_place, wait
from tests.support.homes import temporary_home
from tests.support.processes import runs


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with temporary_home() as home, a_place(home, secrets=["HF_TOKEN"]) as found:
        yield found


@pytest.fixture(scope="module")
def started(place: Place) -> Iterator[list[Running]]:
    """The kernel that tests share, once there is one."""
    found: list[Running] = []
    yield found
    for running in found:
        running.close()


@pytest.fixture
def kernel(place: Place) -> Iterator[Running]:
    with a_kernel(place) as found:
        yield found


@pytest.fixture
def shared(place: Place, started: list[Running]) -> Running:
    """A kernel that tests share and leave running, until another has a new process."""
    if started and str(started[0].manager.kernel_id) not in place.remote.bridges:
        started.pop().close()
    if not started:
        manager = place.manager()
        manager.start_kernel()
        started.append(Running(place, manager))
    return started[0]


def test_runs_code_and_is_ended_on_its_host(place: Place) -> None:
    with a_kernel(place) as kernel:
        reply, printed = kernel.run("print('hello'); 6 * 7")
        assert reply["status"] == "ok" and printed == "hello\n"
        assert kernel.manager.is_alive() and kernel.bridge.state.state == "connected"
        pid = int(kernel.run("import os; print(os.getpid())")[1])
        folder = kernel.bridge.exchange.endpoints.folder
        kernel.client.stop_channels()
        kernel.manager.shutdown_kernel()
    assert not kernel.manager.has_kernel and not runs(pid) and not folder.exists()
    assert str(kernel.manager.kernel_id) not in place.remote.bridges


def test_the_environment_and_the_folder_arrive(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf-secret")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "hub-secret")
    given = {**os.environ, "CUDA_VISIBLE_DEVICES": "1", "JPY_SESSION_NAME": "a.ipynb"}
    with a_kernel(place, env=given, cwd=str(tmp_path)) as kernel:
        code = "import os\nprint([os.environ.get(n) for n in %r], os.getcwd())"
        names = ["CUDA_VISIBLE_DEVICES", "HF_TOKEN", "JUPYTERHUB_API_TOKEN", "JPY_SESSION_NAME"]
        _, printed = kernel.run(code % names)
    assert printed == f"['1', 'hf-secret', None, None] {tmp_path}\n"


def test_an_interrupt_stops_a_cell_and_keeps_the_state(shared: Running) -> None:
    kernel = shared
    kernel.run("kept = 1")
    msg_id = kernel.client.execute("import time\nprint('begun', flush=True)\ntime.sleep(600)")
    while kernel.client.get_iopub_msg(timeout=DEADLINE_S)["msg_type"] != "stream":
        pass
    kernel.manager.interrupt_kernel()
    reply, _ = kernel.finish(msg_id)
    assert (reply["status"], reply["ename"]) == ("error", "KeyboardInterrupt")
    assert kernel.run("print(kept)")[1] == "1\n"


def test_an_interrupt_passes_a_flood_of_output(shared: Running) -> None:
    kernel = shared
    msg_id = kernel.client.execute("while True: print('x' * 1000)")
    while kernel.client.get_iopub_msg(timeout=DEADLINE_S)["msg_type"] != "stream":
        pass
    kernel.manager.interrupt_kernel()
    reply, _ = kernel.finish(msg_id)
    assert reply["ename"] == "KeyboardInterrupt"


def test_a_restart_is_a_new_process_for_the_same_clients(place: Place, kernel: Running) -> None:
    before = kernel.run("import os; print(os.getpid())")[1]
    kernel.manager.restart_kernel()
    kernel.client.wait_for_ready(timeout=DEADLINE_S)
    reply, after = kernel.run("print(os.getpid() if 'os' in dir() else 'new')")
    assert reply["status"] == "ok" and after == "new\n" != before
    late = kernel.manager.client()
    late.start_channels()
    try:
        late.wait_for_ready(timeout=DEADLINE_S)
    finally:
        late.stop_channels()


def test_a_restart_now_as_the_restarter_does(kernel: Running) -> None:
    kernel.run("kept = 1")
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=DEADLINE_S)
    assert kernel.run("print('kept' in dir())")[1] == "False\n"


def test_a_kernel_that_dies_is_dead_and_says_why(kernel: Running) -> None:
    msg_id = kernel.client.execute("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    wait(lambda: not kernel.manager.is_alive())
    assert kernel.manager.provisioner is not None and kernel.bridge.exit_code == -9
    said = ""
    while "signal 9" not in said:
        message = kernel.client.get_iopub_msg(timeout=DEADLINE_S)
        if message["msg_type"] == "stream" and message["parent_header"].get("msg_id") == msg_id:
            said += message["content"]["text"]
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=DEADLINE_S)
    assert kernel.run("print('again')")[1] == "again\n"


def statuses(client: Any) -> Iterator[tuple[str, str]]:
    """What iopub says of the kernel: the request that it is about, empty for none, and the state."""
    while True:
        message = client.get_iopub_msg(timeout=DEADLINE_S)
        if message["msg_type"] == "status":
            yield message["parent_header"].get("msg_id", ""), message["content"]["execution_state"]


def test_while_a_cell_runs_the_last_word_is_busy(place: Place, kernel: Running) -> None:
    stop = place.home.path / "stop-busy"
    client, manager = kernel.client, kernel.manager
    cell = client.execute(f"import os, time\nwhile not os.path.exists({str(stop)!r}): time.sleep(0.01)")
    heard = statuses(client)
    assert (cell, "busy") in heard
    asked = client.session.msg("kernel_info_request")
    client.control_channel.send(asked)
    assert (asked["header"]["msg_id"], "idle") in heard and next(heard) == ("", "busy")
    come_later = manager.client()
    come_later.start_channels()
    assert next(statuses(come_later)) == ("", "busy")
    come_later.stop_channels()
    client.stop_channels()

    place.new_process()
    again = place.manager(str(manager.kernel_id))
    again.start_kernel()
    client = again.client()
    client.start_channels()
    heard = statuses(client)
    assert next(heard) == ("", "busy")
    stop.touch()
    assert (cell, "idle") in heard
    client.stop_channels()
    again.shutdown_kernel(now=True)


def test_disconnected_is_not_dead(place: Place, shared: Running) -> None:
    kernel = shared
    states: list[str] = []
    kernel.bridge.watch(lambda bridge: states.append(bridge.state.state))
    msg_id = kernel.client.execute("import time\nfor i in range(30): print(i, flush=True); time.sleep(0.02)")
    place.do(kernel.bridge.link.down())
    wait(lambda: kernel.bridge.state.state == "disconnected")
    assert kernel.manager.is_alive()
    with pytest.raises(GenOpsError, match="not connected"):
        kernel.manager.interrupt_kernel()
    place.do(kernel.bridge.link.up())
    reply, printed = kernel.finish(msg_id)
    assert reply["status"] == "ok" and printed.split() == [str(i) for i in range(30)]
    assert states[:2] == ["disconnected", "connected"]


def test_a_kernel_shut_down_while_its_host_is_away_ends_when_that_is_back(place: Place) -> None:
    with a_kernel(place) as kernel:
        kernel_id = str(kernel.manager.kernel_id)
        pid = int(kernel.run("import os; print(os.getpid())")[1])
        link = kernel.bridge.link
        place.do(link.down())
        kernel.client.stop_channels()
        kernel.manager.shutdown_kernel()
        assert not kernel.manager.has_kernel and kernel_id not in place.remote.bridges
        assert runs(pid)
        place.do(link.up())
        wait(lambda: not runs(pid))


def said_so_far(file: Path) -> int:
    """The number in the file; 0 while it is made or written anew."""
    return int(file.read_text() or 0) if file.exists() else 0


def test_a_new_process_finds_its_kernel_and_what_it_said_meanwhile(place: Place) -> None:
    stop, said = place.home.path / "stop", place.home.path / "said"
    with a_kernel(place) as kernel:
        kernel_id = str(kernel.manager.kernel_id)
        kernel.run(f"import os, time\nstop, said, n = {str(stop)!r}, {str(said)!r}, 0")
        kernel.client.execute(
            "while not os.path.exists(stop):\n"
            "    print(f'<{n}>', flush=True); n += 1; time.sleep(0.01); open(said, 'w').write(str(n))"
        )
        while kernel.client.get_iopub_msg(timeout=DEADLINE_S)["msg_type"] != "stream":
            pass
        kernel.client.stop_channels()
        place.new_process()
        wait(lambda: said_so_far(said) > 0)
        left_at = said_so_far(said)
        wait(lambda: said_so_far(said) > left_at + 20)
        tap = Collector()
        end = place.remote.on_open(lambda bridge: bridge.exchange.add_tap(tap, acks=True))
        manager = place.manager(kernel_id)
        manager.start_kernel()
        stop.touch()
        again = Running(place, manager)
        try:
            count = int(again.run("print(n)")[1])
            text = b"".join(
                b"".join(frames) for _, channel, frames in tap.records if channel == IOPUB
            ).decode()
            assert [number for number in range(left_at, count) if f"<{number}>" not in text] == []
            numbers = [seq for seq, _, _ in tap.records]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert numbers[0] <= again.bridge.exchange.backlog
            again.bridge.exchange.ack(numbers[-1])
            wait(lambda: place.call("kernels.info", kernel_id=kernel_id)["acked_seq"] >= numbers[-1])
        finally:
            again.close()
        end()


def test_a_server_that_stops_leaves_its_kernels(place: Place) -> None:
    with a_kernel(place) as kernel:
        kernel_id = str(kernel.manager.kernel_id)
        kernel.run("kept = 1")
        kernel.client.stop_channels()
        place.do(place.remote.detach_all())
        assert not kernel.manager.has_kernel and not kernel.manager.is_alive()
        kernel.manager.shutdown_kernel()
        with a_kernel(place, kernel_id) as again:
            assert again.run("print(kept)")[1] == "1\n"


def test_what_a_recorder_cannot_take_yet_waits_and_holds_up_no_other_kernel(place: Place) -> None:
    with a_kernel(place) as slow, a_kernel(place) as other:
        tap = Collector()
        tap.crowded = True
        place.do(_add_tap(slow, tap))
        msg_id = slow.client.execute("for n in range(200): print(n, flush=True)")
        assert other.run("print(6 * 7)")[1] == "42\n"
        wait(lambda: place.call("kernels.info", kernel_id=str(slow.manager.kernel_id))["last_seq"] > 200)
        assert tap.records == []
        tap.crowded = False
        while slow.client.get_shell_msg(timeout=DEADLINE_S)["parent_header"].get("msg_id") != msg_id:
            pass
        wait(lambda: len(tap.records) > 200)  # what it has missed comes from the journal, beside the reply
        numbers = [seq for seq, _, _ in tap.records]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def _add_tap(kernel: Running, tap: Collector) -> None:
    kernel.bridge.exchange.add_tap(tap, acks=True)


def test_very_long_and_binary_output(shared: Running) -> None:
    kernel = shared
    code = (
        "import hashlib, os\nfrom comm import create_comm\nfrom IPython.display import display\n"
        "everything = bytes(range(256)) * 40_000\n"
        "print('x' * 20_000_000)\n"
        "display({'application/octet-stream': everything}, raw=True)\n"
        "create_comm(target_name='binary', data={'n': 1}, buffers=[everything, b'', everything[:3]])\n"
        "print('\\0\\x1b[31m\\udc80 end')"
    )
    msg_id = kernel.client.execute(code)
    text, shown, buffers = "", b"", []
    while True:
        message = kernel.client.get_iopub_msg(timeout=DEADLINE_S)
        if message["parent_header"].get("msg_id") != msg_id:
            continue
        content = message["content"]
        if message["msg_type"] == "stream":
            text += content["text"]
        elif message["msg_type"] == "display_data":
            shown = base64.b64decode(content["data"]["application/octet-stream"])
        elif message["msg_type"] == "comm_open":
            buffers = [bytes(each) for each in message["buffers"]]
        elif content.get("execution_state") == "idle":
            break
    everything = bytes(range(256)) * 40_000
    assert text.startswith("x" * 20_000_000 + "\n") and text.endswith("end\n")
    assert shown == everything
    assert buffers == [everything, b"", everything[:3]]
    # Past Python: a thread of the kernel reads it, and says it when it comes to that.
    kernel.run("os.write(1, everything[:5000])")
    assert "still here\n" in kernel.run("print('still here')")[1]


def test_an_agent_that_is_killed_is_no_loss(place: Place, shared: Running) -> None:
    kernel = shared
    msg_id = kernel.client.execute("import time\nfor i in range(100): print(i, flush=True); time.sleep(0.01)")
    for _ in range(3):
        pid = int(kernel.bridge.link.hello["pid"])
        os.kill(pid, signal.SIGKILL)
        wait(lambda pid=pid: kernel.bridge.link.hello["pid"] != pid and kernel.bridge.link.is_up)
    reply, printed = kernel.finish(msg_id)
    assert reply["status"] == "ok" and printed.split() == [str(i) for i in range(100)]


def test_an_asynchronous_manager(place: Place) -> None:
    import asyncio

    async def body() -> None:
        manager = AsyncKernelManager(kernel_name=f"genops-{TARGET}")
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=DEADLINE_S)
            reply = await client.execute_interactive("1 + 1", timeout=DEADLINE_S)
            assert reply["content"]["status"] == "ok"
            assert await manager.is_alive()
        finally:
            client.stop_channels()
            await manager.shutdown_kernel()
        assert not await manager.is_alive()

    asyncio.run(body())


def test_the_provisioners_own_persistence(place: Place) -> None:
    with a_kernel(place) as kernel:
        provisioner = kernel.manager.provisioner
        assert provisioner is not None
        info = _run(provisioner.get_provisioner_info())
        kernel.run("kept = 1")
        kernel.client.stop_channels()
        place.new_process()
        other = place.manager()
        made = type(provisioner)(kernel_id="", kernel_spec=other.kernel_spec, parent=other)
        _run(made.load_provisioner_info(info))
        assert made.has_process and _run(made.poll()) is None and made.kernel_id == kernel.manager.kernel_id
        _run(made.kill())
        _run(made.wait())
        _run(made.cleanup())
        assert not made.has_process


def _run(work: object) -> object:
    import asyncio

    return asyncio.run(work)  # type: ignore[arg-type]
