"""What every deployment target keeps, this machine and a host over a real sshd; another kind joins by a parameter."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import psutil
import pytest

from genops_lab.core import paths
from genops_lab.deployments.environments import Environments
from genops_lab.deployments.targets import local
from genops_lab.deployments.targets.base import (
    Changes,
    DeploymentSpec,
    DeploymentTarget,
    Observed,
    Revision,
)
from genops_lab.deployments.targets.host import HostTarget
from genops_lab.deployments.targets.host_talk import HostTalk
from tests.support.homes import Home
from tests.support.processes import commands_with
from tests.support.rooms import Logged
from tests.support.sshd import Sshd

from .conftest import ask
from .hosts import disconnect, on_host

LEASE_UNTIL = 4e9
#: Of the local target: the model is moved, key, handle, key of callers and generation are written, the folder is named,
#: spec, lease and handle are written, the process is started, its number is written.
LOCAL_STARTS = 11
MOMENTS = [
    pytest.param(each, marks=() if each in (4, 5, 10) else pytest.mark.exhaustive)
    for each in range(LOCAL_STARTS)
]
_FORKED = multiprocessing.get_context("fork")


class Place:
    """A target of one kind, with what runs there as the place itself tells it."""

    #: The moments that change something when a revision starts and when requests are moved.
    moments: ClassVar = {"start": LOCAL_STARTS, "route": 3}

    def __init__(self, model: Path, root: Path) -> None:
        self.model, self.root = model, root
        self.target: DeploymentTarget = self.restarted()

    def restarted(self) -> DeploymentTarget:
        """The same target as the next Lab knows it."""
        return local.LocalTarget(self.root / "deployments", Environments(self.root / "environments"))

    @contextmanager
    def killed_at(self, moment: int) -> Iterator[DeploymentTarget]:
        """A target whose process is killed at one of the moments that change something, counted from 0."""
        before = _Killer(moment)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(local, "write_private", before(paths.write_private))
            patch.setattr(Path, "rename", before(Path.rename))
            patch.setattr(subprocess, "Popen", before(subprocess.Popen))
            yield self.restarted()

    @property
    def deployments(self) -> Path:
        """The folder of all deployments."""
        return self.root / "deployments"

    @property
    def gateway(self) -> str:
        """A word of the gateway's command."""
        return str(self.root / "gateway" / "spec.json")

    def running(self, name: str) -> int:
        """How many processes serve it."""
        found = commands_with(str(self.deployments / name) + "/")
        return sum(words[-1].endswith("/spec.json") for words in found)

    def spec(self, name: str, revision: int = 7) -> DeploymentSpec:
        """One copy of the model."""
        files = self.root / f"model-{name}-{revision}"
        if not files.exists():
            shutil.copytree(self.model, files)
        return DeploymentSpec(
            name=name,
            version="1",
            revision=revision,
            lease_s=60,
            lease_until=LEASE_UNTIL,
            files=files,
            allow_pickle=True,  # MLflow has skops behind it too
        )


class HostPlace(Place):
    """The host of a target."""

    #: Of the host: its Python is asked for, files are offered, sent and placed, the process is started; a route.
    moments: ClassVar = {"start": 5, "route": 1}

    def __init__(self, model: Path, root: Path, sshd: Sshd) -> None:
        self._sshd = sshd
        self._home = root / "home"
        super().__init__(model, root)

    def restarted(self) -> DeploymentTarget:
        if isinstance(before := getattr(self, "target", None), HostTarget):
            before.port.close()  # as the end of its Lab does
        self.target = HostTarget("box", cast(Any, on_host(self._sshd, self.root)), self.root / "ports")
        return self.target

    @contextmanager
    def killed_at(self, moment: int) -> Iterator[DeploymentTarget]:
        before = _Killer(moment)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(HostTarget, "_call", before(HostTarget._call))
            patch.setattr(HostTalk, "document", before(HostTalk.document))
            yield self.restarted()

    @property
    def deployments(self) -> Path:
        return self._sshd.home / ".local/state/genops-lab/deployments"

    @property
    def gateway(self) -> str:
        return str(self.deployments / ".gateway" / "spec.json")


class _Killer:
    """Kills this process with SIGKILL before the call with this number, counted from 0."""

    def __init__(self, moment: int) -> None:
        self._left = moment

    def __call__(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def counted(*arguments: Any, **options: Any) -> Any:
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1
            return call(*arguments, **options)

        return counted


@pytest.fixture(scope="module")
def sshd(package_home: Home) -> Iterator[Sshd]:
    with Sshd(environment={"XDG_STATE_HOME": ""}) as found:
        yield found
        disconnect()


@pytest.fixture(params=["local", "host"])
def place(request: pytest.FixtureRequest, digits: Logged, tmp_path: Path) -> Iterator[Place]:
    found = (
        Place(digits.folder, tmp_path)
        if request.param == "local"
        else HostPlace(digits.folder, tmp_path, request.getfixturevalue("sshd"))
    )
    yield found
    for folder in found.deployments.iterdir():
        if not folder.name.startswith("."):
            asyncio.run(found.restarted().delete(folder.name))


def say(_line: str) -> None:
    """Nobody waits."""


async def settled(target: DeploymentTarget, name: str) -> Observed:
    """What is observed once nothing starts or stops."""
    for _ in range(600):
        seen = await target.observe(name)
        if all(each.state not in ("preparing", "starting", "stopping") for each in seen.revisions):
            return seen
        await asyncio.sleep(0.05)
    raise AssertionError(f"still {seen}")


async def log_of(target: DeploymentTarget, name: str) -> list[str]:
    return [line async for lines in target.logs(name, lines=1000) for line in lines]


def test_a_plan_is_pure(place: Place) -> None:
    def seen(state: Any, wanted: int = 1, **fields: Any) -> Observed:
        ready = int(state == "running")
        revision = Revision(
            number=7, version="1", state=state, wanted=wanted, ready=ready, lease_until=LEASE_UNTIL
        )
        return Observed(revisions=(revision,), **fields)

    spec = place.spec("planned")
    before = sorted(place.root.rglob("*"))
    stopped, renewed, next_one = (
        replace(spec, wanted=0),
        replace(spec, lease_until=5e9),
        place.spec("planned", 7),
    )
    next_one = replace(next_one, revision=8)
    for _ in range(2):
        plan = place.target.plan
        assert plan(spec, Observed()) == Changes(steps=("place", "start"))
        assert plan(spec, seen("preparing")) == Changes(steps=("start",))
        for state in ("starting", "running", "failed", "ended"):
            assert plan(spec, seen(state)) == Changes(), state
        assert plan(renewed, seen("running")) == Changes(steps=("renew",))
        assert plan(next_one, seen("running")) == Changes(steps=("stop", "place", "start"))
        assert plan(next_one, seen("failed")) == Changes(steps=("place", "start"))
        for state in ("preparing", "starting", "running"):
            assert plan(stopped, seen(state)) == Changes(steps=("stop",)), state
        assert plan(stopped, seen("stopped", 0)) == plan(stopped, Observed()) == Changes()
        assert plan(stopped, seen("running", weights={7: 1})) == Changes(steps=("unroute", "stop"))
        beside = replace(next_one, beside=(7,))
        assert plan(beside, seen("running")) == Changes(steps=("place", "start")), "the one before goes on"
        routed = replace(spec, weights={7: 100})
        assert plan(routed, seen("running")) == Changes(steps=("route",))
        assert plan(routed, seen("running", weights={7: 100})) == Changes()
        assert plan(spec, seen("running", weights={7: 100})) == Changes(), "weights stay as they are"
        assert plan(replace(spec, since=1), seen("ended")) == Changes(steps=("start",))
        assert plan(replace(spec, since=1), seen("running")) == Changes()
    assert sorted(place.root.rglob("*")) == before
    assert asyncio.run(place.target.observe("planned")) == Observed()


def test_twice_is_once_and_the_next_lab_finds_it(place: Place, digits: Logged) -> None:
    async def work() -> None:
        spec, target = place.spec("twice"), place.target
        await asyncio.gather(target.apply(spec, 7, say), target.apply(spec, 7, say))
        first = await settled(target, "twice")
        assert [(each.version, each.ready, each.wanted) for each in first.revisions] == [("1", 1, 1)], first
        for other in (target, place.restarted()):
            await other.apply(spec, 7, say)
            assert other.plan(spec, await other.observe("twice")) == Changes()
            assert await other.observe("twice") == first
        assert place.running("twice") == 1
        target = place.restarted()
        key = await target.key("twice")
        assert first.address == "", "requests are routed once it is ready"
        spec = replace(spec, weights={7: 100})
        await asyncio.gather(target.apply(spec, 7, say), target.apply(spec, 7, say))
        first = await target.observe("twice")
        assert ask(first.address, key, digits.inputs.tolist())[0] == 200
        await target.apply(replace(spec, lease_until=5e9), 8, say)
        assert (await target.observe("twice")).lease_until == 5e9
        await target.apply(replace(spec, wanted=0), 7, say)
        assert (await target.observe("twice")).revisions[0].ready == 1, (
            "that was asked before the lease was renewed"
        )
        for _ in range(2):
            await target.apply(replace(spec, wanted=0), 9, say)
            (ended,) = (await target.observe("twice")).revisions
            assert (ended.state, ended.ready, ended.wanted) == ("stopped", 0, 0)
        assert place.running("twice") == 0
        await target.apply(spec, 8, say)
        assert place.running("twice") == 0, "that was asked before the stop"
        for _ in range(2):
            await target.delete("twice")
            assert await target.observe("twice") == Observed()
            assert await target.key("twice") == "" and await log_of(target, "twice") == []

    asyncio.run(work())


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_was_killed_in_its_middle_is_done_again(place: Place, moment: int) -> None:
    if moment >= place.moments["start"]:
        pytest.skip(f"a start has {place.moments['start']} moments there")
    spec = place.spec("cut")

    def work() -> None:
        with place.killed_at(moment) as target:
            asyncio.run(target.apply(spec, 7, say))

    process = _FORKED.Process(target=work)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, "it was done before"

    async def again() -> None:
        target = place.restarted()
        for _ in range(2):
            await target.apply(spec, 7, say)
        seen = await settled(target, "cut")
        assert seen.revisions[0].ready == 1, seen
        assert place.running("cut") == 1
        assert sum(line.startswith("running: ") for line in await log_of(target, "cut")) == 1
        await target.apply(replace(spec, wanted=0), 8, say)
        assert place.running("cut") == 0

    asyncio.run(again())


@pytest.mark.parametrize(
    "moment",
    [pytest.param(each, marks=() if each in (0, 2) else pytest.mark.exhaustive) for each in range(3)],
)
def test_a_route_that_was_killed_in_its_middle_is_set_again(place: Place, moment: int) -> None:
    """The generation, the short lease of the revision before and the route are written."""
    if moment >= place.moments["route"]:
        pytest.skip(f"a route has {place.moments['route']} moments there")
    before = replace(place.spec("moved", 7), weights={7: 100})
    after = replace(place.spec("moved", 8), number=2, beside=(7,))

    async def start(spec: DeploymentSpec) -> Observed:
        await place.target.apply(replace(spec, weights=None), spec.revision, say)
        await settled(place.target, "moved")
        await place.target.apply(spec, spec.revision, say)
        return await place.target.observe("moved")

    first = asyncio.run(start(before))
    second = asyncio.run(start(after))
    assert (first.weights, second.weights) == ({7: 100}, {7: 100}) and place.running("moved") == 2
    after = replace(after, weights={8: 100})

    def work() -> None:
        with place.killed_at(moment) as target:
            asyncio.run(target.apply(after, 9, say))

    process = _FORKED.Process(target=work)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, "it was done before"

    async def again() -> None:
        target = place.restarted()
        key = await target.key("moved")
        await target.observe("moved")  # a Lab leads a port of its own to a host
        assert ask(first.address, key, [[0.0] * 64])[0] == 200, "requests went on"
        for _ in range(2):
            await target.apply(after, 9, say)
        seen = await target.observe("moved")
        assert (seen.weights, seen.address) == ({7: 0, 8: 100}, first.address)
        warm = seen.revision(7)
        assert warm is not None and warm.lease_until < time.time() + 3700 and warm.state == "running"
        assert ask(seen.address, key, [[0.0] * 64])[0] == 200
        await target.apply(replace(before, beside=(8,)), 8, say)
        assert (await target.observe("moved")).weights == {7: 0, 8: 100}, "that was asked before"

    asyncio.run(again())


def test_a_killed_gateway_is_started_again_without_a_lab(place: Place) -> None:
    async def work() -> None:
        spec = place.spec("watched")
        await place.target.apply(spec, 7, say)
        await settled(place.target, "watched")
        await place.target.apply(replace(spec, weights={7: 100}), 7, say)
        address, key = (await place.target.observe("watched")).address, await place.target.key("watched")
        (command,) = [each for each in psutil.process_iter() if commands_with(place.gateway, [each])]
        command.kill()
        command.wait(10)
        for _ in range(400):
            with contextlib.suppress(OSError):
                if ask(address, key, [[0.0] * 64])[0] == 200:
                    return
            await asyncio.sleep(0.1)
        raise AssertionError("the scoring process did not start it")

    asyncio.run(work())


def test_a_log_is_followed_to_its_end(place: Place) -> None:
    async def work() -> None:
        spec, target = place.spec("told"), place.target
        await target.apply(spec, 7, say)
        heard: list[str] = []

        async def follow() -> None:
            async for lines in target.logs("told", 7, lines=1000, follow=True):
                heard.extend(lines)

        following = asyncio.ensure_future(follow())
        await settled(target, "told")
        last = place.restarted().logs("told", lines=1, follow=True)
        assert len(await anext(last)) == 1, "the last line of before"
        await last.aclose()  # type: ignore[attr-defined]
        await target.apply(replace(spec, wanted=0), 8, say)
        await asyncio.wait_for(following, 10)
        assert heard == await log_of(target, "told")
        assert heard[0].startswith("starting: ") and heard[-1].startswith("stopped: ")
        assert [lines async for lines in target.logs("told", 6, lines=10, follow=True)] == [], (
            "no such revision"
        )

    asyncio.run(work())


class SlowEnvironment(Environments):
    """An environment that is ready when the test says so."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def interpreter(self, model: Path, tell: Callable[[str], None]) -> Path:
        self.asked.set()
        await self.go.wait()
        return await super().interpreter(model, tell)


def test_deleting_while_it_starts_leaves_nothing(place: Place) -> None:
    async def work() -> None:
        target = place.target
        await target.apply(replace(place.spec("hasty", 6), wanted=0), 7, say)
        await target.apply(place.spec("hasty", 6), 6, say)
        assert place.running("hasty") == 0, "that was asked before the stop"
        await target.apply(place.spec("hasty"), 7, say)
        await target.delete("hasty")
        assert await target.observe("hasty") == Observed() and place.running("hasty") == 0

    asyncio.run(work())


@pytest.mark.parametrize("place", ["local"], indirect=True)
def test_deleting_while_its_environment_is_built_leaves_nothing(place: Place) -> None:
    async def work() -> None:
        slow = SlowEnvironment(place.root / "environments")
        target = local.LocalTarget(place.root / "deployments", slow)
        starting = asyncio.ensure_future(target.apply(place.spec("hasty", 8), 8, say))
        await slow.asked.wait()
        (found,) = (await target.observe("hasty")).revisions
        assert (found.state, found.ready) == ("preparing", 0)
        await target.delete("hasty")
        slow.go.set()
        await starting
        assert await target.observe("hasty") == Observed() and place.running("hasty") == 0

    asyncio.run(work())
