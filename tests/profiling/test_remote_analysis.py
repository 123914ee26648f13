"""Traces on a target, read there by the engine that travels: a real sshd, a real agent, real processes."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.agent.channels import ChannelReset
from genops_lab.agent.transfer import document, outgoing
from genops_lab.core.errors import Conflict, Failed, InvalidRequest, Unavailable
from genops_lab.profiling import analyze
from genops_lab.profiling.models import Profile, TraceOnTarget
from genops_lab.profiling.remote_analysis import unpacking
from genops_lab.profiling.remote_analysis.engine_parts import Host, engine, parts_for
from genops_lab.profiling.remote_analysis.host import ANSWER
from genops_lab.profiling.remote_analysis.unpacking import HostAnswers
from tests.hosts.labs import until
from tests.support.application import Lab
from tests.support.sshd import Sshd

from .worlds import World, a_world

EVENTS: list[dict[str, Any]] = [
    {
        "ph": "X",
        "cat": "user_annotation",
        "name": f"ProfilerStep#{n}",
        "pid": 1,
        "tid": 1,
        "ts": n * 1000,
        "dur": 1000,
    }
    for n in range(3)
] + [
    {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 1, "tid": 1, "ts": 10, "dur": 80},
    {
        "ph": "X",
        "cat": "kernel",
        "name": "gemm",
        "pid": 0,
        "tid": 7,
        "ts": 50,
        "dur": 20,
        "args": {"device": 0},
    },
]
TRACE = json.dumps({"traceEvents": EVENTS})


def python_with(folder: Path, *packages: str) -> str:
    """A Python that has these of the tests' packages, and no GenOps Lab."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(
        subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    )
    for package in packages:
        for found in Path(sysconfig.get_path("platlib")).glob(f"{package}*"):
            (site / found.name).symlink_to(found)
    return str(python)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world() as found:
        yield found


@pytest.fixture(scope="module")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> Callable[[World, str], Any]:
    """Connects ``gpu1``, whose Python has what the engine needs and which has a price, or ``bare``, which lacks it."""
    folder = tmp_path_factory.mktemp("pythons")
    made: dict[str, str] = {}

    async def connected(world: World, name: str) -> None:
        if name not in made:
            made[name] = python_with(folder / name, *(["numpy", "msgspec"] if name == "gpu1" else []))
        await world.connected(name, made[name], price_per_hour=3.6)

    return connected


async def opened(lab: Lab, path: str, target: str = "gpu1", **given: Any) -> Profile:
    """The profile of a trace there, after its analysis."""
    made = await lab.beside.open_on_target(TraceOnTarget(target=target, path=path, **given))
    return await until(lambda: lab.profiles.get_profile(made.id), lambda found: found.state != "analyzing")


async def brought(lab: Lab, profile_id: str) -> Profile:
    """The profile after its trace was fetched."""
    task = await lab.tasks.wait((await lab.beside.fetch_trace(profile_id)).id)
    assert task.state == "done", task
    return await lab.profiles.get_profile(profile_id)


def engine_folder(host: Sshd) -> Path:
    """Where the agent keeps the parts of engines."""
    return min(host.home.rglob("engine"), key=lambda path: len(path.parts))


def unpacked(path: str) -> str:
    return gzip.decompress(Path(path).read_bytes()).decode()


def test_a_trace_is_read_where_it_lies(world: World, pythons: Any) -> None:
    lab, host = world.lab, world.host
    trace = host.home / "run" / "t.json"
    trace.parent.mkdir()
    trace.write_text(TRACE)

    async def work() -> None:
        await pythons(world, "gpu1")
        found = await opened(lab, "run/t.json")
        assert (found.state, found.message) == ("ready", ""), found.message
        here = analyze(trace, usd_per_hour=3.6)
        assert found.summary is not None and found.summary.price is not None
        assert (found.summary.devices, found.summary.steps) == (here.devices, here.steps)
        assert (found.summary.price.target, found.summary.price.usd_a_step) == (
            "gpu1",
            pytest.approx(1e-6),
        )
        assert (found.trace_target, found.trace_path, found.size_bytes) == ("gpu1", str(trace), len(TRACE))
        folder = lab.profiles.root / found.id
        assert sorted(path.name for path in folder.iterdir()) == ["columns"], "the trace stayed there"
        flame = await lab.profiles.profile_flame(found.id)
        assert "aten::mm" in str(flame)
        assert [path.name for path in engine_folder(host).iterdir()] == [engine().sha], "nothing else is left"

        again = await opened(lab, str(trace), usd_per_hour=36)
        assert again.summary is not None and again.summary.price is not None
        assert again.summary.price.usd_a_step == pytest.approx(1e-5)

        fetched = await brought(lab, found.id)
        assert (fetched.trace_target, fetched.trace_path) == ("", str(folder / "trace.json.gz"))
        assert unpacked(fetched.trace_path) == TRACE
        assert await brought(lab, found.id) == fetched, "it is here already"

    world.run(work())


def test_a_part_of_another_hash_is_not_taken(world: World, pythons: Any) -> None:
    (world.host.home / "t.json").write_text(TRACE)
    right = hashlib.sha256(b"right").hexdigest()

    async def send() -> None:
        channel = (await world.lab.targets.link("gpu1")).open("engine", {"path": "t.json"})
        channel.write(document({"op": "analyze", "parts": [{"sha": right, "size": 5}]}))
        for piece in outgoing(io.BytesIO(b"wrong"), 5):
            channel.write(piece)
        while await channel.read():
            pass

    async def work() -> None:
        await pythons(world, "gpu1")
        with pytest.raises(ChannelReset, match="was damaged on its way"):
            await world.lab.targets.connections.run(send())
        assert {path.name for path in engine_folder(world.host).iterdir()} <= {engine().sha}

    world.run(work())


def test_what_cannot_be_read_there_is_said(world: World, pythons: Any) -> None:
    lab = world.lab
    (world.host.home / "oops.json").write_text("oops")

    async def work() -> None:
        await pythons(world, "gpu1")
        oops = await opened(lab, "oops.json")
        assert (oops.state, "is not a trace" in oops.message) == ("failed", True), oops.message
        gone = await opened(lab, "gone.json")
        assert gone.state == "failed" and "No such file" in gone.message
        folder = await opened(lab, ".")
        assert folder.state == "failed" and "is not a plain file" in folder.message
        with pytest.raises(InvalidRequest):
            await opened(lab, "")
        await lab.targets.disconnect_target("gpu1")
        with pytest.raises(Conflict, match="not connected"):
            await opened(lab, "oops.json")

    world.run(work())


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("bare", "no wheels could be downloaded"),
        ("gpu1", "the engine ended with 1: ModuleNotFoundError"),
    ],
)
def test_a_trace_is_brought_where_the_engine_cannot_run(
    world: World, pythons: Any, monkeypatch: pytest.MonkeyPatch, target: str, why: str
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    shutil.rmtree(world.home.data / "wheels", ignore_errors=True)
    (world.host.home / "t.json").write_text(TRACE)
    if target == "gpu1":
        monkeypatch.setattr("genops_lab.profiling.remote_analysis.engine_parts._SOURCES", ("core/errors.py",))
    engine.cache_clear()

    async def work() -> None:
        await pythons(world, target)
        found = await opened(world.lab, "t.json", target)
        assert found.state == "ready" and why in found.message, found.message
        assert found.summary is not None and found.summary.devices[0].busy_us == 20
        assert found.trace_target == ""
        assert unpacked(found.trace_path) == TRACE

    try:
        world.run(work())
    finally:
        engine.cache_clear()


def test_what_the_hosts_python_lacks_goes_along(
    world: World, pythons: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.host.home / "t.json.gz").write_bytes(gzip.compress(TRACE.encode()))
    data_dir = world.home.data

    async def work() -> None:
        await pythons(world, "bare")
        found = await opened(world.lab, "t.json.gz", "bare")
        if "no wheels could be downloaded" in found.message:
            pytest.skip(f"pip has no index here: {found.message}")
        assert (found.state, found.message, found.trace_target) == ("ready", "", "bare")
        wheels = {hashlib.sha256(path.read_bytes()).hexdigest() for path in data_dir.rglob("*.whl")}
        assert {engine().sha, *wheels} <= {path.name for path in engine_folder(world.host).iterdir()}
        assert len(wheels) == 2

        for path in data_dir.rglob("msgspec*.whl"):
            path.write_bytes(b"another")
        other = Host(
            path="", size=1, python=sys.version_info[:2], implementation="cpython", machine="x86_64", glibc="2.36",
            has={},
        )  # fmt: skip
        monkeypatch.setenv("PIP_NO_INDEX", "1")  # a wheel of another hash is fetched anew
        with pytest.raises(Unavailable, match="no wheels could be downloaded"):
            await asyncio.to_thread(parts_for, other, data_dir / "wheels")

    world.run(work())


@pytest.mark.parametrize("name", ["../out", "columns/../../out", "/out", "columns/a/b"])
def test_an_answer_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "a" / "profile"
    folder.mkdir(parents=True)
    answer = tmp_path / "answer.tar.gz"
    with tarfile.open(answer, "w:gz") as archive:
        for member, content in ((ANSWER, b"{}"), (name, b"x")):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    with pytest.raises(Failed, match="is not part of a profile"):
        HostAnswers().take(str(answer), str(folder), None, "")
    assert not answer.exists() and list(tmp_path.rglob("*")) == [tmp_path / "a", folder]


def test_an_answer_that_grows_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_MAX_ANSWER_BYTES", 1 << 20)
    answer = tmp_path / "answer.tar.gz"
    with tarfile.open(answer, "w:gz") as archive:
        info = tarfile.TarInfo("columns/zeros.npy")
        info.size = 10 << 20
        with Path("/dev/zero").open("rb") as zeros:
            archive.addfile(info, zeros)
    with pytest.raises(Failed, match="is not part of a profile"):
        HostAnswers().take(str(answer), str(tmp_path), None, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("host_has", "why"),
    [
        ({"python": (3, 8)}, "needs 3.10"),
        ({"implementation": "pypy"}, "needs 3.10"),
        ({"machine": "riscv64"}, "no wheels"),
        ({"glibc": ""}, "no wheels"),
        ({"python": (3, 99)}, "no wheels"),
    ],
)
def test_where_the_engine_cannot_go_is_told(tmp_path: Path, host_has: dict[str, Any], why: str) -> None:
    offer: dict[str, Any] = {
        "python": (3, 11),
        "implementation": "cpython",
        "machine": "x86_64",
        "glibc": "2.36",
    }
    with pytest.raises(Unavailable, match=why):
        parts_for(
            Host(path="/t", size=1, has={"numpy": "1.20", "msgspec": ""}, **{**offer, **host_has}), tmp_path
        )
    assert list(tmp_path.iterdir()) == []
