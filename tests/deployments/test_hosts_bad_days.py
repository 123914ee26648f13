"""Bad days of a deployment on an SSH host: cut uploads, a killed agent, a full disk, a taken port, a host restarted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from genops_lab.deployments.build_spec import KIND
from genops_lab.deployments.models import Deployment, NewDeployment, RollBack
from genops_lab.deployments.policy import RolloutPolicy
from tests.hosts.labs import until
from tests.support.application import Lab
from tests.support.homes import Home
from tests.support.processes import commands_with, end_those_of
from tests.support.rooms import Logged, Rooms, Training, eventually
from tests.support.sshd import Sshd

from .conftest import ask, register
from .test_on_hosts import STATE, at_home, bounded, opened, processes_of, running

DISK_MB = 160
UPLOADED = 32 * 2**20


@pytest.fixture(scope="module")
def host(package_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A host with a boot id of its own, whose state lies on a small disk, where this machine lets the tests mount."""
    with at_home(package_home, tmp_path_factory) as found:
        state = found.home / ".local/state/genops-lab"
        state.mkdir(parents=True, mode=0o700)
        mounted = _mount(state)
        found.stop()
        found.own_boot_id()
        found.start()
        yield found
        end_those_of(found.folder)
        if mounted:
            subprocess.run(["umount", "-l", str(state)], check=True)


def _mount(folder: Path) -> bool:
    if os.geteuid() != 0 or not shutil.which("mount"):
        return False
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "none", str(folder)]
    return subprocess.run(mount, capture_output=True).returncode == 0


@pytest.fixture
def full(host: Sshd) -> Iterator[Callable[[bool], None]]:
    """Fills the disk of the host's state, and frees it again."""
    state = host.home / ".local/state/genops-lab"
    if not state.is_mount():
        pytest.skip("this machine lets nobody mount the small disk that this test fills")
    filler = state / "filler"

    def fill(wanted: bool) -> None:
        filler.unlink(missing_ok=True)
        if wanted:
            with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as stream:
                while True:
                    stream.write(b"x" * 4096)

    yield fill
    fill(False)


@pytest.fixture(scope="module")
def large(rooms: Rooms, training: Training) -> Logged:
    """A model with a file that takes a while to send."""
    logged = training.digits()
    (logged.folder / "padding.bin").write_bytes(os.urandom(UPLOADED))
    rooms.trust(logged.folder, logged.run_id)
    register(rooms, "large-digits", logged)
    return logged


@pytest.fixture(autouse=True)
def no_other_lab(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Lab of the other tests, which has no targets, must not take the work."""
    monkeypatch.delitem(rooms.work._kinds, KIND)


def processes(host: Sshd, *, serving: bool) -> list[psutil.Process]:
    """The processes of the host that serve, with the gateway, or the others: its agents."""
    found = []
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if each.environ().get("HOME") == str(host.home):
                found.append(each)
    return [each for each in found if bool(commands_with(str(host.home / STATE), [each])) == serving]


async def answers(lab: Lab, found: Deployment, digits: Logged) -> int:
    key = (await lab.deployments.get_deployment_key(found.name)).key
    return (await asyncio.to_thread(ask, found.url, key, digits.inputs.tolist()))[0]


async def gone(lab: Lab, name: str) -> None:
    await lab.deployments.stop_deployment(name)
    await lab.deployments.delete_deployment(name)


def reboot(host: Sshd) -> None:
    """What the host's power switch does, but for the start: :meth:`Sshd.start`."""
    host.stop()
    for serving in (True, False):
        for each in processes(host, serving=serving):
            each.kill()
    if host.has_boot_id:
        host.boots_again()


@pytest.mark.parametrize("cut", ["the connection", "the host"])
def test_an_upload_that_is_cut_goes_on_where_it_was(
    rooms: Rooms, large: Logged, host: Sshd, cut: str
) -> None:
    """A host that is started again loses its processes too. What has arrived of the file is its beginning."""
    store = host.home / ".local/state/genops-lab/evaluations/files"
    shutil.rmtree(store, ignore_errors=True)

    def part() -> os.stat_result | None:
        found = [each.stat() for each in store.glob(".*") if each.is_file()]
        return max(found, key=lambda each: each.st_size, default=None)

    async def test() -> None:
        async with opened(rooms.settings.data_dir, host) as lab:
            begun = await lab.deployments.deploy(NewDeployment(model="large-digits", name="cut", on="box"))
            before = await until(
                lambda: asyncio.to_thread(part), lambda seen: seen is not None and seen.st_size > 2**20
            )
            if cut == "the host":
                await asyncio.to_thread(reboot, host)
            else:
                await asyncio.to_thread(host.kill_sessions)
            there = await asyncio.to_thread(part)
            assert there is not None and before is not None and there.st_size < UPLOADED, "it was not cut"
            assert not (host.home / STATE / "cut" / "revisions").exists(), "half of it is no revision"
            if cut == "the host":
                await until(
                    lambda: lab.tasks.get_task_log(begun.task_id),
                    lambda log: "upload continues when it is back" in log.lines[-1],
                )
                await asyncio.to_thread(host.start)
            found = await running(lab, "cut")
            (whole,) = [each.stat() for each in store.iterdir() if each.stat().st_size == UPLOADED]
            assert whole.st_ino == before.st_ino, "it was sent from its beginning"
            assert await answers(lab, found, large) == 200
            await gone(lab, "cut")

    bounded(test())


def test_a_killed_agent_leaves_the_deployment_and_the_next_one_takes_it_over(
    rooms: Rooms, digits: Logged, host: Sshd
) -> None:
    async def test() -> None:
        async with opened(rooms.settings.data_dir, host) as lab:
            await lab.deployments.deploy(NewDeployment(model="digits", name="orphan", on="box"))
            found = await running(lab, "orphan")
            key = (await lab.deployments.get_deployment_key("orphan")).key
            port = int((host.home / STATE / ".gateway" / "port").read_text())
            agents = processes(host, serving=False)
            assert agents
            for each in agents:
                each.kill()
            url = f"http://127.0.0.1:{port}/orphan"
            assert (await asyncio.to_thread(ask, url, key, digits.inputs.tolist()))[0] == 200
            assert processes_of(host, "orphan") == 1
            await until(lambda: lab.deployments.get_deployment("orphan"), lambda each: each.url)
            renewed = await _again(lambda: lab.deployments.renew_deployment("orphan"))
            assert renewed.lease_until >= found.lease_until and await answers(lab, found, digits) == 200
            await gone(lab, "orphan")
            assert processes_of(host, "orphan") == 0

    bounded(test())


def test_a_host_that_is_started_again_serves_when_a_person_says_so(
    rooms: Rooms, digits: Logged, host: Sshd
) -> None:
    """In an update: the update ends with its reason, and so does the deployment. Nothing is started unasked."""
    if not host.has_boot_id:
        pytest.skip("this machine lets nobody mount the boot id that this test changes")

    async def test() -> None:
        async with opened(rooms.settings.data_dir, host) as lab:
            await lab.deployments.deploy(NewDeployment(model="digits", name="booted", on="box"))
            before = await running(lab, "booted")
            policy = RolloutPolicy(kind="blue-green")
            batch = {"batch": "4"}
            await lab.deployments.deploy(
                NewDeployment(model="digits", name="booted", settings=batch, rollout=policy)
            )
            begun = await until(
                lambda: lab.deployments.get_deployment("booted"),
                lambda each: each.rollout is not None and each.updating_to == 2,
            )
            await asyncio.to_thread(reboot, host)
            await asyncio.to_thread(host.start)
            ended = await lab.tasks.wait(begun.task_id)
            why = "The deployment ended when its host was started again."
            assert ended.state == "failed" and why in ended.message, ended
            found = await until(
                lambda: lab.deployments.get_deployment("booted"), lambda each: each.state == "ended"
            )
            assert (found.message, found.updating_to, found.revision) == (why, 0, 1), found
            assert processes_of(host, "booted") == 0
            await lab.deployments.roll_back_deployment("booted", RollBack(to=1))
            found = await running(lab, "booted")
            assert found.url == before.url and await answers(lab, found, digits) == 200
            await gone(lab, "booted")

    bounded(test())


async def _again(call: Callable[[], Any]) -> Any:
    """Do it once the Lab has noticed that its agent is gone, and has the next one."""
    from genops_lab.core.errors import GenOpsError

    deadline = time.monotonic() + 60
    while True:
        try:
            return await call()
        except GenOpsError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)


def test_on_a_full_disk_an_upload_says_so_and_what_serves_goes_on(
    rooms: Rooms, digits: Logged, large: Logged, host: Sshd, full: Callable[[bool], None]
) -> None:
    async def test() -> None:
        async with opened(rooms.settings.data_dir, host) as lab:
            await lab.deployments.deploy(NewDeployment(model="digits", name="tight", on="box"))
            found = await running(lab, "tight")
            full(True)
            begun = await lab.deployments.deploy(
                NewDeployment(model="large-digits", name="no-room", on="box")
            )
            ended = await lab.tasks.wait(begun.task_id)
            assert ended.state == "failed" and "disk is full" in ended.message, ended
            assert "Free some disk space on the host" in ended.hint
            no_room = await lab.deployments.get_deployment("no-room")
            assert (no_room.state, no_room.message) == ("failed", ended.message)
            assert await answers(lab, found, digits) == 200
            begun = await lab.deployments.deploy(NewDeployment(model="large-digits", name="tight"))
            ended = await lab.tasks.wait(begun.task_id)
            now = await lab.deployments.get_deployment("tight")
            assert ended.state == "failed" and (now.state, now.revision) == ("running", 1), now
            assert "did not start" in now.message and now.message.endswith("Revision 1 goes on."), now.message
            assert await answers(lab, found, digits) == 200
            assert (await lab.deployments.stop_deployment("tight")).state == "stopped"
            assert processes_of(host, "tight") == 0
            full(False)
            await lab.deployments.deploy(NewDeployment(model="large-digits", name="no-room"))
            assert await answers(lab, await running(lab, "no-room"), digits) == 200
            await gone(lab, "no-room")
            await lab.deployments.delete_deployment("tight")

    bounded(test())


def test_a_taken_port_is_told_and_the_model_sleeps_there(rooms: Rooms, digits: Logged, host: Sshd) -> None:
    async def test() -> None:
        async with opened(rooms.settings.data_dir, host) as lab:
            asleep = NewDeployment(model="digits", name="sleepy", on="box", sleep_minutes=0.01)
            await lab.deployments.deploy(asleep)
            found = await running(lab, "sleepy")
            state = lambda: json.loads(  # noqa: E731
                next((host.home / STATE / "sleepy").glob("revisions/*/state.json")).read_bytes()
            )
            await asyncio.to_thread(eventually, state, lambda seen: seen["asleep"], 60)
            shown = await until(
                lambda: lab.deployments.get_deployment("sleepy"), lambda each: "sleeps" in each.message
            )
            assert shown.state == "running" and shown.url
            assert await answers(lab, found, digits) == 200, "the request waits while the model is loaded"

            port = int((host.home / STATE / ".gateway" / "port").read_text())
            (gateway,) = [
                each for each in processes(host, serving=True) if commands_with("/.gateway/", [each])
            ]
            gateway.kill()
            with _listening(port):
                shown = await until(
                    lambda: lab.deployments.get_deployment("sleepy"), lambda each: str(port) in each.message
                )
                assert shown.message == (
                    f"Another program on the host uses port {port} of the gateway: end that program."
                )
            shown = await until(
                lambda: lab.deployments.get_deployment("sleepy"), lambda each: str(port) not in each.message
            )
            assert await answers(lab, shown, digits) == 200
            await gone(lab, "sleepy")

    bounded(test())


def _listening(port: int) -> socket.socket:
    """Take the port as soon as nobody has it."""
    while True:
        found = socket.socket()
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(("127.0.0.1", port))
            found.listen()
            return found
        except OSError:
            found.close()
            time.sleep(0.001)
