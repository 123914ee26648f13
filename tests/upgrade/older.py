"""Homes in which an older GenOps Lab lived and was killed: runs, a profile, a target, a sweep that is half done.

    python -m tests.upgrade.older e12cbea     # makes the fixture home_e12cbea.tar.xz anew, with that commit's code

In a fixture, databases are SQL texts, and the paths of the machine that made it are placeholders. The agent is the one
that was uploaded to the host, its zip not compressed, so that the archive's compression reaches its files.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import signal
import sqlite3
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from tests.kernels.outputs.notebooks import write_notebook
from tests.kernels.outputs.pages import eventually
from tests.support.environments import older_wheel, thin_environment
from tests.support.homes import Home, temporary_home
from tests.support.kernels import lab_kernel
from tests.support.lab_server import LabServer, start_lab
from tests.sweeps.conftest import Sweeper

#: The oldest home that must open, and one of the commit before modules were moved and renamed (issue 16).
COMMITS = ("e5158fe", "e12cbea")
TARGET = "box"
NOTEBOOK = "far.ipynb"
#: The second trial lasts until the file is there.
GO = "go"
TRIAL = f"""import genops, os, time
genops.log({{"score": n}})
while n == 2 and not os.path.exists({GO!r}):
    time.sleep(0.05)
"""
TRACKED = """%%track --name older --experiment before --no-system --no-source
import genops
rate = 0.5
for step in range(50):
    genops.log({"loss": 1 / (step + 1)}, step=step)
genops.log_text("kept", "note.txt")
"""
COUNTING = "import time\nfor i in range(100):\n    print(i, flush=True)\n    time.sleep(0.1)"
COUNTED = "".join(f"{i}\n" for i in range(100))
MADE = "made.json"
AGENT_STATE = ".local/state/genops-lab"
#: What a next Lab makes anew: sockets, keys, Jupyter's own.
_LEFT_OUT = (
    "__pycache__", "run", "s", "ipython", ".ipython", "settings", "workspaces", "config", "secret",
    "server.key", "server.port",
)  # fmt: skip


TRACE = {
    "schemaVersion": 1,
    "traceEvents": [
        {"ph": "X", "cat": "cpu_op", "name": name, "pid": 7, "tid": 7, "ts": 10 * number, "dur": 8}
        for number, name in enumerate(["aten::linear", "aten::relu"] * 5)
    ],
}


def fixture(commit: str) -> Path:
    """The archive of a commit's home."""
    return Path(__file__).with_name(f"home_{commit}.tar.xz")


def lived_in(home: Home, python: Path) -> tuple[LabServer, dict[str, Any]]:
    """An older Lab that works in ``home``; the server, and what was ``made`` there: a ``sweep`` whose second trial
    runs, ``profiles``."""
    server = start_lab(home, python=python)
    target = {"name": TARGET, "kind": "local", "python": str(thin_environment(None))}
    status, answer = server.request("POST", "genops/targets", target)
    assert status == 200, answer
    with lab_kernel(server) as kernel:
        kernel.ok("%load_ext genops_lab")
        kernel.ok(TRACKED)
    trace = home.data / "profiles" / "trace.json.gz"
    trace.parent.mkdir(mode=0o700, exist_ok=True)
    trace.write_bytes(gzip.compress(json.dumps(TRACE).encode()))
    status, profile = server.request("POST", "genops/profiles", {"trace_path": str(trace), "title": "before"})
    assert status == 200, profile
    eventually(lambda: server.get("genops/profiles")[0]["state"], lambda state: state == "ready")
    sweeper = Sweeper(home, server)
    track = {"system_metrics": False, "source": False}
    sweep = sweeper.start(TRIAL, "n=1,2,3", metric="score", track=track)
    sweeper.until(sweep, lambda found: [trial["value"] for trial in found["trials"]] == [1, 2])
    write_notebook(home.work / NOTEBOOK, {"cell1": COUNTING})
    return server, {"sweep": sweep["id"], "profiles": [profile["id"]]}


def opened(server: LabServer) -> dict[str, Any]:
    """The notebook's session, whose kernel is on the target."""
    body = {"path": NOTEBOOK, "name": NOTEBOOK, "type": "notebook", "kernel": {"name": f"genops-{TARGET}"}}
    status, session = server.request("POST", "api/sessions", body, timeout=90)
    assert status == 201, session
    return dict(session)


def killed(server: LabServer) -> None:
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(30)


def pack(home: Home, made: dict[str, Any]) -> bytes:
    """The home as a small archive; ends what still runs on its host."""
    places = {str(thin_environment(None)): "@PYTHON@", str(home.path): "@HOME@"}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:xz", preset=9) as archive:

        def add(name: str, content: bytes) -> None:
            item = tarfile.TarInfo(name)
            item.size, item.mode = len(content), 0o600
            archive.addfile(item, io.BytesIO(content))

        add(MADE, json.dumps(made).encode())
        for path in sorted(home.path.rglob("*")):
            name = path.relative_to(home.path)
            if not path.is_file() or path.is_symlink() or set(name.parts) & set(_LEFT_OUT):
                continue
            if (
                name.is_relative_to(f"{AGENT_STATE}/kernels")
                or name.is_relative_to(f"{AGENT_STATE}/site")  # unpacked anew from the agent
                or path.suffix in (".log", ".lock")
                or path.name.endswith(("-wal", "-shm"))
            ):
                continue
            content = path.read_bytes()
            if content.startswith(b"SQLite format 3\0"):
                with contextlib.closing(sqlite3.connect(path)) as database:
                    content, name = (
                        "\n".join(database.iterdump()).encode(),
                        name.with_name(f"{name.name}.sql"),
                    )
            if path.suffix == ".pyz":
                content = _uncompressed(content)
            elif not content.startswith(b"PK"):
                for place, placeholder in places.items():
                    content = content.replace(place.encode(), placeholder.encode())
            add(name.as_posix(), content)
    return stream.getvalue()


def _uncompressed(archive: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as found, zipfile.ZipFile(stream, "w") as stored:
        for item in found.infolist():
            data = found.read(item)
            item.compress_type = zipfile.ZIP_STORED
            stored.writestr(item, data)
    return stream.getvalue()


def unpack(home: Home, commit: str) -> dict[str, Any]:
    """Put a commit's home into ``home``; what was made there."""
    places = {"@PYTHON@": str(thin_environment(None)), "@HOME@": str(home.path)}
    with tarfile.open(fixture(commit)) as archive:
        archive.extractall(home.path, filter="data")
    for path in [each for each in home.path.rglob("*") if each.is_file()]:
        content = path.read_bytes()
        if not content.startswith(b"PK"):
            for placeholder, place in places.items():
                content = content.replace(placeholder.encode(), place.encode())
            path.write_bytes(content)
        if path.suffix == ".sql":
            with contextlib.closing(sqlite3.connect(path.with_suffix(""))) as database:
                database.executescript(content.decode())
            path.unlink()
    home.data.chmod(0o700)
    return dict(json.loads((home.path / MADE).read_text()))


def main() -> None:
    (commit,) = sys.argv[1:]
    with temporary_home(debugger=True) as home:
        server, made = lived_in(home, thin_environment(older_wheel(commit)))
        try:
            opened(server)
        finally:
            killed(server)
        fixture(commit).write_bytes(pack(home, made))
    print(f"{fixture(commit)}: {fixture(commit).stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
