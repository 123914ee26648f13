"""Commands that a host's agent keeps, over real links: this machine and a real sshd. A new way to hosts adds a place
(:data:`PLACES`); the tests stay as they are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from genops_lab.agent import records
from genops_lab.agent.channels import Channel
from genops_lab.core.errors import Conflict, InvalidRequest
from genops_lab.hosts.link.commands import (
    CommandEnd,
    CommandOrder,
    Event,
    HostCommands,
    HostUnit,
    LeftOut,
    Output,
)
from genops_lab.hosts.link.connections import HostConnections
from genops_lab.hosts.link.questions import Nobody
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.link.state import RemoteError
from genops_lab.hosts.providers import route_of
from tests.agent.waiting import gone
from tests.kernels.fake_host import FakeHost
from tests.support.exhaustive import times
from tests.support.homes import temporary_home
from tests.support.processes import commands_with, runs
from tests.support.sshd import Sshd

SH, SECRET = "/bin/sh", "s3cret-of-the-command"
#: Counts until the file that it is given is there; each number once on either stream.
COUNTS = """import os, sys, time
number = 0
while not os.path.exists(sys.argv[1]):
    print(number, file=(sys.stdout, sys.stderr)[number % 2], flush=True)
    number += 1
    time.sleep(0.002)
print('end', number)
sys.exit(3)
"""
#: A Lab's process: says each piece that it has, with its number.
FOLLOWS = """import asyncio, sys, msgspec
from pathlib import Path
from genops_lab.hosts.link.commands import HostCommands
from genops_lab.hosts.link.connections import HostConnections
from genops_lab.hosts.link.questions import Nobody
from genops_lab.hosts.providers import route_of
target, kind, config, folder, command_id = sys.argv[1:]
route = route_of(target, kind, **msgspec.json.decode(config))
connections = HostConnections(Path(folder), Nobody())
async def follow():
    await connections.run(connections.link(route).up())
    async with HostCommands(connections, route, client="lab").attach(command_id) as output:
        async for event in output:
            sys.stdout.write(f"{event.seq} {event.stream} {event.data.hex()}\\n")
            sys.stdout.flush()
asyncio.run(follow())
"""


class Place:
    """A host, and a Lab's connection to it. ``cut`` ends the connection without a word."""

    def __init__(self, route: Route, home: Path, cut: Callable[[], object]) -> None:
        self.route, self.home, self.cut = route, home, cut
        self.folder = home / "lab"
        self.connections = HostConnections(self.folder, Nobody())
        self.commands = HostCommands(self.connections, route, client="lab", label="me@here")

    @property
    def state(self) -> Path:
        """Where the agent keeps what it knows."""
        return self.home / ".local" / "state" / "genops-lab"

    async def connect(self) -> None:
        await self.connections.run(self.connections.link(self.route).up())

    async def start(self, *argv: str, **more: Any) -> HostUnit:
        """A command with an id of its own."""
        return await self.commands.start(uuid.uuid4().hex, CommandOrder(argv=list(argv), **more))


def _end_attached(home: Path) -> None:
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "attach" in process.cmdline() and process.environ().get("HOME") == str(home):
                process.kill()


def _local(stack: ExitStack) -> Place:
    home = stack.enter_context(temporary_home())
    patch = stack.enter_context(pytest.MonkeyPatch.context())
    for name, value in {**home.environment(), "XDG_STATE_HOME": ""}.items():
        patch.setenv(name, value)
    route = route_of("here", "local", python=sys.executable)
    return Place(route, home.path, lambda: _end_attached(home.path))


def _sshd(stack: ExitStack) -> Place:
    host = stack.enter_context(Sshd(environment={"XDG_STATE_HOME": ""}))
    return Place(host.route(python=sys.executable), host.home, host.kill_sessions)


PLACES = {"local": _local, "sshd": _sshd}


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A host of each kind, connected."""
    with ExitStack() as stack:
        found = PLACES[request.param](stack)
        stack.callback(found.connections.close)
        found.connections.submit(found.connections.link(found.route).up()).result(60)
        yield found


def run(work: Awaitable[Any]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(work, 60)

    return asyncio.run(bounded())


async def followed(commands: HostCommands, command_id: str, **how: Any) -> list[Event]:
    """All that a command says."""
    async with commands.attach(command_id, **how) as output:
        return [event async for event in output]


def printed(events: list[Event], stream: str = "") -> str:
    return b"".join(e.data for e in events if isinstance(e, Output) and stream in ("", e.stream)).decode()


def numbers(events: list[Event]) -> list[int]:
    """What :data:`COUNTS` printed, by either stream; each in its own order."""
    found = []
    for stream in ("stdout", "stderr"):
        lines = [line for line in printed(events, stream).splitlines() if line.isdigit()]
        assert lines == sorted(lines, key=int)
        found += [int(line) for line in lines]
    return sorted(found)


def counted(events: list[Event]) -> None:
    """Every number once, and the end as it was."""
    assert isinstance(events[-1], CommandEnd) and events[-1].exit_code == 3, events[-1]
    count = int(printed(events, "stdout").splitlines()[-1].split()[1])
    assert numbers(events) == list(range(count))
    seqs = [event.seq for event in events[:-1]]
    assert seqs == sorted(set(seqs))


def test_what_a_command_says_comes_in_order_and_its_end_with_it(place: Place) -> None:
    async def test() -> None:
        unit = await place.start(SH, "-c", "echo out; echo err >&2; echo $0 $HOME; pwd; exit 3", name="four")
        assert (unit.kind, unit.state, unit.name) == ("command", "running", "four")
        events = await followed(place.commands, unit.unit_id)
        assert printed(events, "stderr") == "err\n"
        assert printed(events, "stdout") == f"out\n{SH} {place.home}\n{place.home}\n"
        end = events[-1]
        assert isinstance(end, CommandEnd) and end.exit_code == 3 and end.ended_at
        assert end.reason == "It ended with exit code 3: err"
        again = await followed(place.commands, unit.unit_id)
        assert msgspec.structs.astuple(again[-1]) == msgspec.structs.astuple(end)
        assert printed(again) == printed(events)
        await place.commands.forget(unit.unit_id)
        await place.commands.forget(unit.unit_id)
        with pytest.raises(RemoteError, match=f"no command {unit.unit_id}"):
            await place.commands.info(unit.unit_id)

    run(test())


def test_nothing_is_lost_or_doubled_while_the_link_is_cut_again_and_again(
    place: Place, tmp_path: Path
) -> None:
    async def test() -> None:
        stop = tmp_path / "stop"
        unit = await place.start("python", "-c", COUNTS, str(stop))
        events: list[Event] = []
        cuts = times(20, 3)
        async with place.commands.attach(unit.unit_id) as output:
            async for event in output:
                events.append(event)
                output.acknowledge(event.seq - 5)
                if cuts and len(events) % 40 == 0:
                    cuts -= 1
                    await asyncio.to_thread(place.cut)
                elif not cuts:
                    stop.touch()
        assert not cuts
        counted(events)

    run(test())


def test_a_lab_that_is_killed_is_gone_on_from_its_last_number(place: Place, tmp_path: Path) -> None:
    async def test() -> None:
        stop = tmp_path / "stop"
        unit = await place.start("python", "-c", COUNTS, str(stop))
        config = msgspec.json.encode(place.route.config).decode()
        there = [place.route.target, place.route.kind, config, str(place.folder), unit.unit_id]
        lab = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FOLLOWS, *there, stdout=asyncio.subprocess.PIPE
        )
        assert lab.stdout is not None
        lines = [await lab.stdout.readline() for _ in range(50)]
        lab.kill()
        lines += (await lab.stdout.read()).splitlines(keepends=True)
        await lab.wait()
        had = [line.split() for line in lines if line.endswith(b"\n")]
        before: list[Event] = [
            Output(
                seq=int(seq),
                at=0,
                stream="stderr" if stream == b"stderr" else "stdout",
                data=bytes.fromhex(data.decode()),
            )
            for seq, stream, data in had
        ]
        stop.touch()
        after = await followed(
            place.commands, unit.unit_id, after=before[-1].seq, incarnation=unit.incarnation
        )
        assert isinstance(after[-1], CommandEnd) and after[-1].exit_code == 3
        seen = sorted(numbers([*before, *after]))
        assert seen == list(range(len(seen))) and len(seen) > 50

    run(test())


def test_the_end_is_told_to_whoever_comes_later(place: Place) -> None:
    async def test() -> None:
        exits = await place.start(SH, "-c", "echo said; exit 3")
        killed = await place.start(SH, "-c", "sleep 600 & echo said; kill -TERM $$")
        for unit in (exits, killed):
            while (await place.commands.info(unit.unit_id)).state == "running":
                await asyncio.sleep(0.05)
        found = {unit.unit_id: unit for unit in await place.commands.list()}
        assert (found[exits.unit_id].exit_code, found[exits.unit_id].signal) == (3, "")
        assert (found[killed.unit_id].exit_code, found[killed.unit_id].signal) == (-15, "SIGTERM")
        # Keepers of what has ended go after a while; another one serves what they left.
        keeper = psutil.Process(_state(place, killed)["keeper_pid"])
        keeper.kill()
        await gone(keeper.pid)
        events = await followed(place.commands, killed.unit_id)
        assert printed(events) == "said\n"
        assert isinstance(events[-1], CommandEnd) and events[-1].signal == "SIGTERM"
        assert events[-1].reason == "It was killed by signal 15 (SIGTERM)."

    run(test())


def _state(place: Place, unit: HostUnit) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(
        (place.state / "commands" / unit.unit_id / "state.json").read_bytes()
    )
    return found


@pytest.mark.parametrize("how", ["stopped", "ended"])
def test_all_that_a_command_has_started_ends_with_it(place: Place, how: str) -> None:
    heedless = "trap '' TERM; " if how == "stopped" else ""
    apart = f"setsid {SH} -c '{heedless}echo $$; exec sleep 600' &"
    after = "wait; sleep 600" if how == "stopped" else "sleep 0.5"
    script = f"{heedless}sleep 600 & echo $!; {apart} ({apart}) ; {after}"

    async def test() -> None:
        unit = await place.start(SH, "-c", script)
        pids: list[int] = []
        async with place.commands.attach(unit.unit_id) as output:
            text = b""
            while len(pids) < 3:
                event = await output.__anext__()
                assert isinstance(event, Output)
                text += event.data
                pids = [int(line) for line in text.split(b"\n")[:-1]]
            if how == "stopped":
                assert all(runs(pid) for pid in pids)
                ended = await place.commands.stop(unit.unit_id, grace_s=0.3)
                assert (ended.state, ended.signal, ended.reason) == (
                    "ended",
                    "SIGKILL",
                    "It was stopped on request.",
                )
            async for event in output:
                assert isinstance(event, CommandEnd)
                assert event.exit_code == (-9 if how == "stopped" else 0)
        for pid in (*pids, unit.pid or 0):
            await gone(pid)
        assert (await place.commands.stop(unit.unit_id)).state == "ended"

    run(test())


def test_a_command_that_heeds_sigterm_is_not_killed(place: Place) -> None:
    async def test() -> None:
        unit = await place.start(
            SH, "-c", "trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done"
        )
        async with place.commands.attach(unit.unit_id) as output:
            await output.__anext__()
            ended = await place.commands.stop(unit.unit_id, grace_s=60)
            assert (ended.exit_code, ended.signal) == (0, "")
            assert printed([event async for event in output], "stdout") == "saved\n"

    run(test())


def test_a_child_gets_the_grace_though_its_shell_ends_at_once(place: Place) -> None:
    child = "trap 'sleep 0.5; echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done"

    async def test() -> None:
        unit = await place.start(SH, "-c", f'{SH} -c "$0" 2>&1; echo never', child)
        async with place.commands.attach(unit.unit_id) as output:
            await output.__anext__()
            ended = await place.commands.stop(unit.unit_id, grace_s=60)
            assert ended.signal == "SIGTERM"
            assert printed([event async for event in output]).splitlines()[-1] == "saved"

    run(test())


def test_one_id_is_one_command(place: Place) -> None:
    async def test() -> None:
        order = CommandOrder(argv=[SH, "-c", "echo $$; exec sleep 600"], env={"A": "b"})
        command_id = uuid.uuid4().hex
        other = HostCommands(HostConnections(place.folder, Nobody()), place.route, client="other")
        try:
            await other._connections.run(other._link().up())
            asked = [(place.commands, other)[number % 2].start(command_id, order) for number in range(6)]
            units = await asyncio.gather(*asked)
            assert len({unit.pid for unit in units}) == 1 and units[0].pid
            with pytest.raises(RemoteError, match="belongs to another command") as found:
                await place.commands.start(command_id, CommandOrder(argv=["true"]))
            assert found.value.code == "another" and found.value.hint
            async with place.commands.attach(command_id) as output:
                first = await output.__anext__()
                assert isinstance(first, Output) and int(first.data) == units[0].pid
                with pytest.raises(RemoteError, match="attached to me@here"):
                    await followed(other, command_id)
                with pytest.raises(Conflict):
                    async with place.commands.attach(command_id):
                        pass
                async with other.attach(command_id, take_over=True) as taken:
                    await taken.__anext__()
                    with pytest.raises(RemoteError, match="attached to another Lab") as busy:
                        await output.__anext__()
                    assert (busy.value.code, busy.value.status) == ("busy", 409)
            await place.commands.stop(command_id, grace_s=0)
            again = await other.start(command_id, order)
            assert (again.state, again.pid, again.exit_code) == ("ended", units[0].pid, -9)
        finally:
            await asyncio.to_thread(other._connections.close)

    run(test())


def test_a_start_whose_answer_is_cut_off_starts_nothing_twice(place: Place) -> None:
    async def test() -> None:
        for pause_s in (0.0, 0.03, 0.1):
            command_id, mark = uuid.uuid4().hex, uuid.uuid4().hex
            order = CommandOrder(argv=["python", "-c", "import time; time.sleep(600)", mark])
            starting = asyncio.ensure_future(place.commands.start(command_id, order))
            await asyncio.sleep(pause_s)
            await asyncio.to_thread(place.cut)
            unit = await starting
            while not (started := commands_with(mark)):  # the fork has not become the program yet
                await asyncio.sleep(0.02)
            assert len(started) == 1 and runs(unit.pid or 0)
            await place.commands.stop(command_id, grace_s=0)

    run(test())


def test_what_cannot_be_started_says_why_and_is_not_listed(place: Place, tmp_path: Path) -> None:
    not_executable = tmp_path / "script.sh"
    not_executable.write_text("#!/bin/sh\n")
    cases = [
        (
            CommandOrder(argv=["no-such-program", "1"]),
            "no_such_program",
            "no-such-program cannot be started: No such file",
            "full path",
        ),
        (CommandOrder(argv=[str(not_executable)]), "no_such_program", "Permission denied", "chmod"),
        (
            CommandOrder(argv=[SH], cwd="no/such/folder"),
            "no_such_folder",
            f"{place.home}/no/such/folder",
            "Make it",
        ),
        (CommandOrder(argv=[]), "invalid", "command is empty", ""),
        (CommandOrder(argv=[SH], journal_max_bytes=1), "invalid", "journal of 1 bytes", ""),
    ]

    async def test() -> None:
        for order, code, message, hint in cases:
            for _ in range(2):  # asked again it is refused again
                with pytest.raises(RemoteError) as found:
                    await place.commands.start("cannot", order)
                assert found.value.code == code, found.value
                assert message in found.value.message and hint in found.value.hint
        with pytest.raises(InvalidRequest, match="a host accepts at most"):
            await place.commands.start("cannot", CommandOrder(argv=[SH], env={"LARGE": "x" * 70_000}))
        with pytest.raises(RemoteError, match="cannot be the name of a folder"):
            await place.commands.start("../up", CommandOrder(argv=["true"]))
        assert "cannot" not in {unit.unit_id for unit in await place.commands.list()}

    run(test())


def test_a_full_journal_says_what_was_left_out(place: Place) -> None:
    program = "import os\nfor n in range(2000): os.write(1, b'%05d' % n + b'.' * 994 + b'\\n')"

    async def test() -> None:
        unit = await place.start("python", "-c", program, journal_max_bytes=262144)
        while (found := await place.commands.info(unit.unit_id)).state == "running":
            await asyncio.sleep(0.05)
        assert found.exit_code == 0 and found.journal_bytes <= 262144 + 65536
        events = await followed(place.commands, unit.unit_id)
        left_out = [event for event in events if isinstance(event, LeftOut)]
        assert len(left_out) == 1 and left_out[0].reason == "size"
        assert "MiB of output are missing" in left_out[0].text
        text = printed(events)
        assert 100_000 < len(text) <= 262144
        assert text.endswith("." * 994 + "\n") and text.splitlines()[-1].startswith("01999")
        missing = 2_000_000 - len(text)
        assert missing <= left_out[0].bytes <= missing * 1.1
        assert left_out[0].last_seq < min(event.seq for event in events if isinstance(event, Output))

    run(test())


def test_the_end_of_the_lease_stops_it(place: Place) -> None:
    script = "trap 'echo asked; exit 7' TERM; echo up; while :; do sleep 0.05; done"

    async def test() -> None:
        unit = await place.start(SH, "-c", script, lease_s=1.0)
        async with place.commands.attach(unit.unit_id) as output:
            await output.__anext__()
            assert (await place.commands.info(unit.unit_id)).lease_until is None
            await asyncio.sleep(1.5)
            assert (await place.commands.info(unit.unit_id)).state == "running"
        while (found := await place.commands.info(unit.unit_id)).state == "running":
            await asyncio.sleep(0.1)
        assert found.exit_code == 7 and "No Lab was attached for 1 s" in found.reason
        events = await followed(place.commands, unit.unit_id)
        assert printed(events, "stdout") == "up\nasked\n"
        kept = await place.start("sleep", "600", lease_s=600)
        assert (await place.commands.renew(kept.unit_id, 0)).lease_until is None
        await place.commands.stop(kept.unit_id, grace_s=0)

    run(test())


def test_secrets_reach_the_command_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'echo ${#HF_TOKEN} "$JPY_API_TOKEN$SSH_AUTH_SOCK$JUPYTERHUB_API_TOKEN"; exec sleep 600'

    async def test() -> None:
        hidden = {"JPY_API_TOKEN": "no", "JUPYTERHUB_API_TOKEN": "no", "SSH_AUTH_SOCK": "no"}
        unit = await place.start(SH, "-c", script, env={"HF_TOKEN": SECRET, **hidden}, name="secrets")
        async with place.commands.attach(unit.unit_id) as output:
            first = await output.__anext__()
            assert isinstance(first, Output) and first.data == f"{len(SECRET)} \n".encode()
        folder = place.state / "commands" / unit.unit_id
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert {path.name for path in files} >= {"state.json", "keeper.log"}
        for path in files:
            assert SECRET.encode() not in path.read_bytes(), path
            assert path.stat().st_mode & 0o077 == 0
        assert folder.stat().st_mode & 0o077 == 0
        keeper = psutil.Process(_state(place, unit)["keeper_pid"])
        for process in (keeper, psutil.Process(unit.pid)):
            assert SECRET not in " ".join(process.cmdline())
        assert SECRET not in str(keeper.environ())
        assert SECRET not in str(await place.commands.info(unit.unit_id))
        await place.commands.stop(unit.unit_id, grace_s=0)

    run(test())


def test_a_wait_that_is_given_up_loses_nothing(place: Place, tmp_path: Path) -> None:
    async def test() -> None:
        stop = tmp_path / "stop"
        unit = await place.start("python", "-c", COUNTS, str(stop))
        events: list[Event] = []
        async with place.commands.attach(unit.unit_id) as output:
            while not (events and isinstance(events[-1], CommandEnd)):
                with contextlib.suppress(asyncio.TimeoutError):
                    events.append(await asyncio.wait_for(output.__anext__(), 0.002))
                if len(events) > 100:
                    stop.touch()
        counted(events)

    run(test())


def test_a_keeper_that_is_gone_takes_all_of_its_command_along(place: Place) -> None:
    hangs = place.route.kind == "local"  # on one place: a stop waits 10 s for it
    apart = f"setsid {SH} -c 'echo $$; exec sleep 600' &"

    async def test() -> None:
        unit = await place.start(SH, "-c", f"{apart} ({apart}) ; wait; exec sleep 600")
        keeper = _state(place, unit)["keeper_pid"]
        async with place.commands.attach(unit.unit_id) as output:
            text = b""
            while text.count(b"\n") < 2:
                event = await output.__anext__()
                assert isinstance(event, Output)
                text += event.data
            os.kill(keeper, signal.SIGSTOP if hangs else signal.SIGKILL)
            if hangs:
                assert (await place.commands.stop(unit.unit_id, grace_s=1)).state == "ended"
            events = [event async for event in output]
        assert isinstance(events[-1], CommandEnd) and events[-1].exit_code is None
        assert events[-1].reason == "Its agent was killed, and the command ended with it."
        for pid in (keeper, unit.pid or 0, *map(int, text.split())):
            await gone(pid)

    run(test())


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff" * 20,
        records.record(records.WELCOME, 0, b"{}"),
        records.record(records.RECORD, 6, b"junk"),
        records.record(records.RECORD, 6, records.pack(records.STDOUT, 0.0, [])),
        records.record(records.RECORD, 6, records.pack(records.NOTE, 0.0, [b"[1]"])),
        records.record(records.RECORD, 6, records.pack(records.NOTE, 0.0, [b'{"kind": "cut"}'])),
        records.json_record(records.GONE, {"exit_code": "x", "reason": 1}),
    ],
)
def test_what_a_host_sends_and_cannot_be_read_is_said(tmp_path: Path, sent: bytes) -> None:
    good = records.record(records.RECORD, 5, records.pack(records.STDOUT, 0.0, [b"good"]))

    async def serve(channel: Channel) -> None:
        channel.write(good + sent)

    async def test() -> None:
        host = FakeHost()
        host.kernel = serve
        connections = HostConnections(tmp_path, Nobody(), opener=host.open)
        route = route_of("here", "local")
        try:
            await connections.run(connections.link(route).up())
            async with HostCommands(connections, route, client="lab").attach("c") as output:
                with pytest.raises(RemoteError, match="sent invalid data") as found:
                    async for event in output:
                        assert event == Output(seq=5, at=0.0, stream="stdout", data=b"good")
                assert found.value.code == "broken"
        finally:
            await asyncio.to_thread(connections.close)

    run(test())
