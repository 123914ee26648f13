"""``agent attach`` as it travels: one zip, any Python from 3.8 on, one connection."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from genops_lab.agent import attach
from genops_lab.agent.attach import Attachment
from genops_lab.agent.channels import ChannelReset
from genops_lab.agent.mux import Mux
from genops_lab.hosts.link.payload import _build, payload
from tests.support.exhaustive import times

from .hosts import attached


def run(test: Callable[[], Awaitable[Any]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test(), 170)

    asyncio.run(bounded())


def old_python() -> str:
    """An interpreter of the oldest version that is supported, else the name of what is missing skips the test."""
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        pytest.skip("pyenv is missing, and with it Python 3.8")
    found = subprocess.run(
        [pyenv, "prefix", "3.8.18"], capture_output=True, text=True, timeout=60, check=False
    )
    path = Path(found.stdout.strip()) / "bin" / "python3"
    if found.returncode or not path.exists():
        pytest.skip("Python 3.8.18 of pyenv is missing")
    return str(path)


@pytest.fixture
def zipped(agent_home: Path) -> Path:
    data, sha = payload()
    path = agent_home / f"agent-{sha}.pyz"
    path.write_bytes(data)
    return path


def test_the_zip_is_the_same_each_time_and_holds_no_more_than_it_must(zipped: Path) -> None:
    data, sha = payload()
    assert payload() == (data, sha) and _build() == data
    assert hashlib.sha256(data).hexdigest() == sha
    assert len(data) < 1_000_000
    names = zipfile.ZipFile(zipped).namelist()
    assert {"__main__.py", "genops_lab/__init__.py", "genops_lab/kernel/site/genops.py"} <= set(names)
    tops = {name.split("/")[1] for name in names if name.startswith("genops_lab/") and name.count("/") > 1}
    assert tops == {"agent", "kernel", "redaction", "runtime"}
    assert not [name for name in names if "pycache" in name or name.endswith(".pyc")]


@pytest.mark.parametrize("pings", [False, True])
def test_a_stream_whose_lab_is_silent_ends(monkeypatch: pytest.MonkeyPatch, pings: bool) -> None:
    monkeypatch.setattr(attach, "SILENT", 3)
    monkeypatch.setattr(attach, "SILENT_S", 0.1)

    async def test() -> None:
        near, far = socket.socketpair()
        serving = asyncio.ensure_future(Attachment(*await asyncio.open_connection(sock=far)).run())
        lab = Mux(*await asyncio.open_connection(sock=near), odd=True, accept=lambda _: None)
        reading = asyncio.ensure_future(lab.run())
        for _ in range(20 if pings else 0):
            await lab.ping()
            await asyncio.sleep(0.05)
        assert not serving.done()
        await serving
        lab.close()
        await reading

    run(test)


def compiled_by_an_attachment(zipped: Path) -> set[str]:
    """Start the agent from the zip and end it: the modules that it compiled."""
    program = (
        "import runpy, sys; path = sys.argv[1]; sys.argv[1:] = ['attach'];"
        "sys.addaudithook(lambda event, of: event == 'compile' and print(of[1], file=sys.stderr));"
        "runpy.run_path(path, run_name='__main__')"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(zipped)],
        input=b"", capture_output=True, timeout=60, check=False, env=environment,
    )  # fmt: skip
    lines = done.stderr.decode().splitlines()
    return {line.rpartition("/genops_lab/agent/")[2] for line in lines if "/genops_lab/agent/" in line}


def test_the_zip_is_compiled_once_in_a_folder_of_the_users_alone(zipped: Path) -> None:
    kept = zipped.with_name(f"{zipped.name}.{sys.implementation.cache_tag}")
    zipped.parent.chmod(0o770)
    assert {"attach.py", "mux.py"} <= compiled_by_an_attachment(zipped) and not kept.exists()
    zipped.parent.chmod(0o700)
    assert {"attach.py", "mux.py"} <= compiled_by_an_attachment(zipped)
    assert kept.stat().st_mode & 0o777 == 0o600
    outside = {"__init__.py", "__main__.py", "zip_imports.py"}  # imported before, and the program itself
    assert compiled_by_an_attachment(zipped) <= outside
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-100] + bytes(100))
    assert {"attach.py", "mux.py"} <= compiled_by_an_attachment(zipped), "damaged"
    assert compiled_by_an_attachment(zipped) <= outside, "mended"
    zipped.parent.chmod(0o770)
    assert {"attach.py", "mux.py"} <= compiled_by_an_attachment(zipped), "could be somebody else's"
    zipped.parent.chmod(0o700)
    os.utime(zipped, (1, 1))
    assert {"attach.py", "mux.py"} <= compiled_by_an_attachment(zipped), "another zip's"


def test_the_agent_imports_the_standard_library_alone(zipped: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import genops_lab.agent.attach, genops_lab.agent.probe,"
        " genops_lab.agent.metrics, genops_lab.agent.keep, genops_lab.agent.keeper, genops_lab.agent.builds,"
        " genops_lab.agent.folders, genops_lab.agent.unit, genops_lab.agent.kernel_unit;"
        "print([n for n in sys.modules if n.split('.')[0] in ('zmq', 'psutil', 'msgspec', 'jupyter_client')],"
        " [n for n in sys.modules if n.startswith('genops_lab.') and not n.startswith('genops_lab.agent')])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(zipped)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=zipped.parent,
    )
    assert done.stdout.strip() == "[] []"


def test_a_command_needs_neither_pyzmq_nor_a_new_python(agent_home: Path, zipped: Path) -> None:
    python = old_python()
    program = "import importlib.util as i, sys; sys.exit(3 if i.find_spec('zmq') is None else 4)"

    async def test() -> None:
        async with attached(agent_home, command=[python, str(zipped), "attach"]) as host:
            started = await host.call("commands.start", command_id="c", argv=["python", "-c", program])
            assert started["program"].endswith("/python3") and "3.8" in started["program"]
            while (ended := await host.call("commands.info", command_id="c"))["state"] == "running":
                await asyncio.sleep(0.02)
            assert ended["exit_code"] == 3

    run(test)


def test_an_old_python_runs_the_agent_and_starts_a_kernel_of_another(agent_home: Path, zipped: Path) -> None:
    python = old_python()

    async def test() -> None:
        async with attached(agent_home, command=[python, str(zipped), "attach"]) as host:
            assert host.hello["python"] == "3.8.18"
            probe = await host.call("probe")
            assert probe["python"] == "3.8.18" and probe["executable"] == python
            assert probe["state_dir"] == str(agent_home / "state") and probe["disk_free_bytes"] > 0
            assert (await host.call("readings"))["cpu_count"] > 0
            assert await host.call("kernels.list") == []
            if not probe["pyzmq"]:
                with pytest.raises(ChannelReset) as found:
                    await host.start(
                        "none", argv=["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
                    )
                assert found.value.code == "no_ipykernel" and "pip install ipykernel" in found.value.hint
            await host.start("k")  # by the interpreter of these tests
            client = await host.kernel("k").welcomed()
            msg_id = client.execute("import genops; print(genops.log.__module__)")
            await client.done(msg_id)
            assert client.text(msg_id).startswith("genops_lab.runtime")
            await host.call("kernels.stop", kernel_id="k", grace_s=10)
            await client.until(lambda: client.end)
            again = host.kernel("k")
            await again.until(lambda: again.end)
            assert again.text(msg_id) == client.text(msg_id)

    run(test)


def test_threads_of_an_old_python_get_whole_modules_from_the_zip(zipped: Path) -> None:
    """Each round two threads import a module that the other has begun; without our importer some get a half."""
    code = (
        f"ROUNDS = {times(30, 10)}"
        + """
import sys, threading
sys.argv = ["agent"]
try:
    import runpy
    runpy.run_path(sys.path[0], run_name="__main__")
except SystemExit:
    pass
names = "environments", "probe", "builds", "storage", "removal", "recipes", "survival"
faults = []
def take(name, barrier):
    barrier.wait()
    try:
        module = __import__("genops_lab.agent." + name, fromlist=["_"])
        if name == "environments":
            module.note_use
    except BaseException as error:
        faults.append(repr(error))
for _ in range(ROUNDS):
    for name in [name for name in sys.modules if name.startswith("genops_lab.agent.")]:
        del sys.modules[name]
    barrier = threading.Barrier(2 * len(names))
    threads = [threading.Thread(target=take, args=(name, barrier)) for name in names * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(faults)
"""
    )
    command = [old_python(), "-c", f"import sys; sys.path.insert(0, {str(zipped)!r})\n{code}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_every_file_compiles_where_python_is_old(agent_home: Path, zipped: Path) -> None:
    python = old_python()
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(agent_home / "all")
    command = [python, "-m", "compileall", "-q", str(agent_home / "all")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_an_input_that_is_no_stream_is_refused(zipped: Path) -> None:
    command = [sys.executable, str(zipped), "attach"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2 and b"is not a stream" in done.stderr


def test_the_agent_ends_with_its_input(agent_home: Path, zipped: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(zipped), "attach"],
        input=b"",
        capture_output=True,
        timeout=60,
        env={**os.environ, "GENOPS_AGENT_STATE": str(agent_home / "state")},
    )
    assert done.returncode == 0
    assert done.stdout.startswith(b"\0GENOPS1 {") and done.stdout.endswith(b"}\n")


def test_nonsense_ends_the_agent_with_a_reason(agent_home: Path, zipped: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(zipped), "attach"],
        input=b"\xff" * 100_000,
        capture_output=True,
        timeout=60,
        env={**os.environ, "GENOPS_AGENT_STATE": str(agent_home / "state")},
    )
    assert done.returncode == 1
    assert b"not allowed" in done.stderr and b"Traceback" not in done.stderr


def test_wrong_calls_are_told_and_cost_no_connection(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            for method, params, code in (
                ("nothing", {}, "unknown_method"),
                ("kernels.info", {}, "invalid"),
                ("kernels.info", {"kernel_id": "../.."}, "not_found"),
                ("kernels.signal", {"kernel_id": "x", "signal": "y"}, "invalid"),
                ("kernels.start", {"kernel_id": "x", "argv": []}, "invalid"),
                ("kernels.start", {"kernel_id": "x", "argv": ["python"], "env": 7}, "invalid"),
            ):
                with pytest.raises(ChannelReset) as found:
                    await host.call(method, **params)
                assert found.value.code == code
            for service, params in (("kernel", {"kernel_id": "x"}), ("kernel", {}), ("shell", {})):
                channel = host.mux.open(service, params)
                with pytest.raises(ChannelReset) as found:
                    await channel.read()
                assert found.value.code in ("not_found", "unknown_service")
            assert (await host.call("probe"))["python"]

    run(test)


def test_a_client_that_breaks_the_protocol_is_dropped_and_its_kernel_goes_on(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            await host.start("k")
            for said in (b"\x01" + bytes(12), b"\xff" * 100, b"\x02" + bytes(8) + b"\0\0\0\1x", bytes(100)):
                channel = host.mux.open("kernel", {"kernel_id": "k"})
                channel.write(said)
                assert await asyncio.wait_for(channel.read(), 60) == b""
            client = await host.kernel("k").welcomed()
            await client.done(client.execute("1"))

    run(test)


def test_a_stalled_channel_stalls_neither_calls_nor_another_kernel(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            await asyncio.gather(host.start("loud"), host.start("quiet"))
            loud, quiet = await host.kernel("loud").welcomed(), await host.kernel("quiet").welcomed()
            msg_id = loud.execute("for i in range(300): print('x' * 100_000)")
            while (await host.call("kernels.info", kernel_id="loud"))["journal_bytes"] < 20_000_000:
                await asyncio.sleep(0.05)
            for number in range(5):
                asked = quiet.execute(f"print({number})")
                await quiet.done(asked)
                assert quiet.text(asked) == f"{number}\n"
                assert (await host.call("kernels.info", kernel_id="loud"))["state"] == "running"
            await loud.done(msg_id)
            assert loud.text(msg_id) == ("x" * 100_000 + "\n") * 300

    run(test)
