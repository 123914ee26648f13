"""Real kernels behind a real agent: what they say arrives once and in order, whatever the connections do."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from genops_lab.agent import records
from genops_lab.agent.channels import ChannelReset
from genops_lab.agent.paths import socket_folder
from tests.support.exhaustive import times

from .hosts import Host, KernelClient, attached
from .waiting import gone, ready, run

#: More than queues of messages hold.
DISPLAYS = times(20_000, 3_000)
COUNT = "for i in range({}): print('line', i, flush=True)"


async def joined(host: Host) -> KernelClient:
    """A new client of the kernel that tests share; the first of them starts it."""
    try:
        info = await host.call("kernels.info", kernel_id="k")
    except ChannelReset:
        return await ready(host)
    return await host.kernel("k", after=info["last_seq"]).welcomed()


def test_a_cell_runs_and_its_kernel_ends_when_asked(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            client = await ready(host, env={"GIVEN": "given"})
            assert client.welcome["key"] and client.welcome["seen"] == 0
            code = "import os; print(os.getcwd(), os.environ['GIVEN'])\n1 + 1"
            msg_id = client.execute(code)
            await client.done(msg_id)
            said = dict(client.said(msg_id))
            assert said["execute_input"]["code"] == code
            assert said["execute_result"]["data"] == {"text/plain": "2"}
            assert said["stream"]["text"] == f"{agent_home} given\n"
            assert client.seen == 1
            request = [frames for _, channel, frames in client.messages if channel == records.REQUEST]
            assert msg_id.encode() in request[0][0] and b"GIVEN" in request[0][3]
            assert not [f for _, _, f in client.messages if any(b"kernel_info" in part for part in f)]
            info = await host.call("kernels.info", kernel_id="k")
            assert (info["state"], info["execution_state"], info["name"]) == ("running", "idle", "python3")
            assert info["last_seq"] == client.last
            ended = await host.call("kernels.stop", kernel_id="k", grace_s=30)
            assert (ended["state"], ended["exit_code"]) == ("ended", 0)
            await client.until(lambda: client.end)
            assert client.end is not None and client.end[0] == records.GONE
            assert client.notes()[-1]["kind"] == "ended"
            with pytest.raises(ChannelReset) as found:
                await host.call("kernels.signal", kernel_id="k", signal=2)
            assert found.value.code == "ended"

    run(test)


def test_a_cell_that_runs_keeps_its_kernel_busy(shared_home: Path) -> None:
    """Answers on the control channel come with an idle state of their own: what looks after idle kernels would end
    one that trains."""

    async def test() -> None:
        async with attached(shared_home) as host:
            client = await joined(host)
            msg_id = client.execute("import time; print('begun', flush=True); time.sleep(600)")
            await client.until(lambda: "begun" in client.text(msg_id))
            asked = client.send(
                "debug_request", {"type": "request", "seq": 1, "command": "debugInfo"}, records.CONTROL
            )
            await client.until(lambda: ("status", {"execution_state": "idle"}) in client.said(asked))
            assert (await host.call("kernels.info", kernel_id="k"))["execution_state"] == "busy"
            await host.call("kernels.signal", kernel_id="k", signal=signal.SIGINT)
            await client.done(msg_id)
            assert (await host.call("kernels.info", kernel_id="k"))["execution_state"] == "idle"

    run(test)


def test_that_a_silent_cell_runs_is_told_while_it_does(shared_home: Path) -> None:
    go_on = shared_home / "go-on"

    async def test() -> None:
        async with attached(shared_home) as host:
            client = await joined(host)
            msg_id = client.execute(
                f"import os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.01)"
            )
            await client.until(lambda: "execute_input" in dict(client.said(msg_id)))
            assert client.said(msg_id)[0] == ("status", {"execution_state": "busy"})
            assert not client.is_done(msg_id)
            go_on.touch()
            await client.done(msg_id)

    run(test)


def test_no_secret_of_the_login_reaches_a_kernel(agent_home: Path) -> None:
    async def test() -> None:
        hidden = {
            "JUPYTERHUB_API_TOKEN": "a",
            "JPY_API_TOKEN": "b",
            "SSH_AUTH_SOCK": "c",
            "SSH_AGENT_PID": "1",
            "LOGIN": "d",
        }
        async with attached(agent_home, **hidden) as host:
            client = await ready(host, env={"JUPYTERHUB_USER": "x", "HF_TOKEN": "t0ken"})
            names = (
                "'JUPYTERHUB_API_TOKEN', 'JPY_API_TOKEN', 'SSH_AUTH_SOCK', 'SSH_AGENT_PID', 'JUPYTERHUB_USER'"
            )
            msg_id = client.execute(
                f"import os; print([n for n in ({names}) if n in os.environ],"
                " os.environ['LOGIN'], os.environ['HF_TOKEN'])"
            )
            await client.done(msg_id)
            assert client.text(msg_id) == "[] d t0ken\n"
            folder = agent_home / "state" / "kernels" / "k"
            for path in folder.rglob("*"):
                if path.is_file() and path.parent.name != "journal":
                    assert b"t0ken" not in path.read_bytes()
                    assert path.stat().st_mode & 0o077 == 0
            assert folder.stat().st_mode & 0o077 == 0
            pid = client.welcome["pid"]
            for process in (psutil.Process(pid), psutil.Process(pid).parent()):
                assert process is not None
                assert "t0ken" not in " ".join(process.cmdline()) and "012345" not in " ".join(
                    process.cmdline()
                )

    run(test)


def test_a_kernel_outlives_its_connection_and_nothing_is_lost(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            client = await ready(host)
            msg_id = client.execute(
                COUNT.format(400) + "\nimport time; time.sleep(0.3)\n" + COUNT.format(400)
            )
            await client.until(lambda: "line 10\n" in client.text(msg_id))
            host.process.kill()
            await host.process.wait()
        async with attached(agent_home) as host:
            again = host.kernel("k", client=client.client, after=client.last)
            again.follow(client)
            await again.done(msg_id)
            assert again.welcome["seen"] == 1
            lines = "".join(f"line {i}\n" for i in range(400))
            assert again.text(msg_id) == lines + lines
            assert [seq for seq, _, _ in again.messages] == list(range(1, again.last + 1))

    run(test)


def test_a_request_that_is_sent_twice_runs_once(shared_home: Path) -> None:
    async def test() -> None:
        async with attached(shared_home) as host:
            client = await joined(host)
            await client.done(client.execute("n = 0"))
            first = client.execute("n += 1; print(n)")
            await client.done(first)
            again = host.kernel("k", client=client.client, after=client.last)
            again.sent = 1  # as if the second request had not been answered with SEEN
            again.execute("n += 1; print(n)")
            last = again.execute("print('n is', n)")
            await again.done(last)
            assert again.welcome["seen"] == 2 and again.seen == 3
            assert again.text(last) == "n is 1\n"

    run(test)


def test_an_interrupt_passes_a_flood(shared_home: Path) -> None:
    async def test() -> None:
        async with attached(shared_home) as host:
            client = await joined(host)
            msg_id = client.execute("while True: print('x' * 1000)")
            await client.until(lambda: client.text(msg_id))
            await host.call("kernels.signal", kernel_id="k", signal=int(signal.SIGINT))
            await client.done(msg_id)
            assert dict(client.said(msg_id))["error"]["ename"] == "KeyboardInterrupt"

    run(test)


def test_a_reader_that_stalls_loses_nothing_and_holds_nobody_up(shared_home: Path) -> None:
    async def test() -> None:
        async with attached(shared_home) as host:
            client = await joined(host)
            code = f"from IPython.display import display\nfor i in range({DISPLAYS}): display(i)"
            msg_id = client.execute(code)
            await client.until(lambda: any(kind == "display_data" for kind, _ in client.said(msg_id)))
            while (await host.call("kernels.info", kernel_id="k"))["execution_state"] != "idle":
                await asyncio.sleep(0.05)
            keeper = psutil.Process(psutil.Process(client.welcome["pid"]).ppid())
            assert keeper.memory_info().rss < 150_000_000
            await client.done(msg_id)
            shown = [c["data"]["text/plain"] for kind, c in client.said(msg_id) if kind == "display_data"]
            assert shown == [str(i) for i in range(DISPLAYS)]

    run(test)


def test_the_second_client_is_told_who_has_the_kernel_and_may_take_over(shared_home: Path) -> None:
    async def test() -> None:
        async with attached(shared_home) as host:
            first = await joined(host)
            second = host.kernel("k", label="you@there")
            await second.until(lambda: second.end)
            assert second.end is not None and second.end[0] == records.BUSY
            assert (second.end[1]["client"], second.end[1]["label"]) == (first.client, "me@here")
            third = await host.kernel("k", label="you@there", takeover=True).welcomed()
            await first.until(lambda: first.end)
            assert first.end is not None and first.end[0] == records.TAKEN
            assert (first.end[1]["client"], first.end[1]["label"]) == (third.client, "you@there")
            with pytest.raises((EOFError, ChannelReset)):
                await first.until(lambda: False)
            msg_id = third.execute("print('mine')")
            await third.done(msg_id)
            assert third.text(msg_id) == "mine\n"

    run(test)


def test_the_same_client_replaces_its_own_dead_connection(shared_home: Path) -> None:
    async def test() -> None:
        async with attached(shared_home) as host:
            first = await joined(host)
            again = await host.kernel("k", client=first.client).welcomed()
            with pytest.raises((EOFError, ChannelReset)):
                await first.until(lambda: False)
            msg_id = again.execute("1")
            await again.done(msg_id)

    run(test)


@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        ("import os; os._exit(7)", 7, "exit code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, "killed by signal 9"),
        ("import os; os.write(2, b'the last words'); os.kill(os.getpid(), 11)", -11, "SIGSEGV"),
    ],
)
def test_a_kernel_that_dies_is_said_to_be_gone(
    agent_home: Path, code: str, exit_code: int, words: str
) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            client = await ready(host)
            client.execute(code)
            await client.until(lambda: client.end)
            assert client.end is not None and client.end[0] == records.GONE
            assert client.end[1]["exit_code"] == exit_code
            assert words in client.end[1]["reason"]
            info = await host.call("kernels.info", kernel_id="k")
            assert (info["state"], info["exit_code"]) == ("ended", exit_code)
            assert [kernel["kernel_id"] for kernel in await host.call("kernels.list")] == ["k"]
            again = host.kernel("k")
            await again.until(lambda: again.end)
            assert [seq for seq, _, _ in again.messages] == [seq for seq, _, _ in client.messages]
            await host.call("kernels.forget", kernel_id="k")
            assert await host.call("kernels.list") == []
            with pytest.raises(ChannelReset) as found:
                await host.call("kernels.info", kernel_id="k")
            assert found.value.code == "not_found"

    run(test)


def test_a_forgotten_kernel_leaves_no_folder(agent_home: Path) -> None:
    home = agent_home / ("far" * 25)  # too long for sockets
    kernel, runs = (str(home / "state" / kind / "k") for kind in ("kernels", "lab"))

    async def test() -> None:
        async with attached(home) as host:
            await host.start("k", argv=["python", "-c", "import time; time.sleep(600)"])
            sockets = [socket_folder(kernel), socket_folder(runs)]
            assert all(os.listdir(folder) for folder in sockets), sockets
            await host.call("kernels.stop", kernel_id="k", grace_s=0)
            await host.call("kernels.forget", kernel_id="k")
            assert not any(map(os.path.exists, [kernel, runs, *sockets]))
        assert not any(map(os.path.exists, [kernel, runs, *sockets]))

    run(test)


def test_a_kernel_that_cannot_start_says_why(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            with pytest.raises(ChannelReset) as found:
                await host.start("missing", argv=["/no/such/python", "-c", "1"])
            assert found.value.code == "no_such_program" and "/no/such/python" in found.value.message
            await host.start("broken", argv=["python", "-c", "raise SystemExit('the last words')"])
            client = host.kernel("broken")
            await client.until(lambda: client.end)
            assert client.end is not None and "the last words" in client.end[1]["reason"]
            log = await host.call("kernels.log", kernel_id="broken", max_bytes=1000)
            assert "the last words" in log["text"]
            for kernel_id in ("", "..", "a/b", ".hidden", "x" * 65, 3):
                with pytest.raises(ChannelReset) as found:
                    await host.call("kernels.start", kernel_id=kernel_id, argv=["python"])
                assert found.value.code == "invalid"

    run(test)


def test_starting_again_makes_a_new_incarnation_but_not_of_one_that_runs(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            first = await ready(host)
            await first.done(first.execute("a = 1"))
            with pytest.raises(ChannelReset) as found:
                await host.start("k")
            assert found.value.code == "running"
            await host.call("kernels.stop", kernel_id="k", grace_s=0)
            await host.start("k")
            stale = host.kernel(
                "k", client=first.client, after=first.last, incarnation=first.welcome["incarnation"]
            )
            stale.last = 0
            await stale.welcomed()
            assert stale.welcome["incarnation"] != first.welcome["incarnation"]
            assert stale.welcome["seen"] == 0
            msg_id = stale.execute("print('a' in globals())")
            await stale.done(msg_id)
            assert stale.text(msg_id) == "False\n"
            assert stale.messages[0][0] == 1

    run(test)


def test_what_a_kernel_prints_outside_of_cells_is_in_its_log(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            program = (
                "import os; os.write(1, b'outside\\n'); from ipykernel import kernelapp;"
                "kernelapp.launch_new_instance()"
            )
            client = await ready(host, argv=["python", "-c", program, "-f", "{connection_file}"])
            await client.done(client.execute("1"))
            assert "outside" in (await host.call("kernels.log", kernel_id="k", max_bytes=10_000))["text"]

    run(test)


def test_stopping_ends_what_the_kernel_has_started(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            client = await ready(host)
            msg_id = client.execute(
                "import subprocess; p = subprocess.Popen(['sleep', '600']); print(p.pid, end='')"
            )
            await client.done(msg_id)
            child = int(client.text(msg_id))
            await host.call("kernels.stop", kernel_id="k", grace_s=5)
            await gone(child)
            await gone(client.welcome["pid"])

    run(test)


def test_a_kernel_that_has_not_begun_is_not_waited_for(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            info = await host.start("k", argv=["python", "-c", "import time; time.sleep(900)"])
            ended = await host.call("kernels.stop", kernel_id="k", grace_s=600)
            assert (ended["state"], ended["exit_code"]) == ("ended", -signal.SIGTERM)
            await gone(info["pid"])

    run(test)


def test_stdin_is_asked_and_answered(shared_home: Path) -> None:
    async def test() -> None:
        async with attached(shared_home) as host:
            client = await joined(host)
            content = {"code": "print('got', input('name? '))", "silent": False, "allow_stdin": True}
            msg_id = client.send("execute_request", content)
            await client.until(lambda: any(kind == "input_request" for kind, _ in client.said(msg_id)))
            asked = next(frames for _, channel, frames in client.messages if channel == records.STDIN)
            assert asked[0] == b"client-ident"
            client.send("input_reply", {"value": "Ada", "status": "ok"}, channel=records.STDIN)
            await client.done(msg_id)
            assert client.text(msg_id) == "got Ada\n"

    run(test)
