"""A home in which an older GenOps Lab lived and was killed: runs, a target, a sweep that is half done.

    python -m tests.upgrade.older e5158fe     # makes the fixture older_home.tar.xz anew, with that commit's code

In the fixture, databases are SQL texts, and the paths of the machine that made it are placeholders.
"""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sqlite3
import sys
import tarfile
from pathlib import Path
from typing import Any

from tests.outputs.notebooks import write_notebook
from tests.support.environments import older_wheel, thin_environment
from tests.support.homes import Home, temporary_home
from tests.support.kernels import lab_kernel
from tests.support.lab_server import LabServer, start_lab
from tests.sweeps.conftest import Sweeper

FIXTURE = Path(__file__).with_name("older_home.tar.xz")
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
AGENT_STATE = ".local/state/genops-lab"
#: What a next Lab makes anew: sockets, keys, Jupyter's own.
_LEFT_OUT = (
    "__pycache__", "run", "s", "ipython", ".ipython", "settings", "workspaces", "config", "secret",
    "server.key", "server.port",
)  # fmt: skip


def lived_in(home: Home, python: Path) -> tuple[LabServer, dict[str, Any]]:
    """An older Lab that works in ``home``; the server, and the sweep whose second trial runs."""
    server = start_lab(home, python=python)
    target = {"name": TARGET, "kind": "local", "python": str(thin_environment(None))}
    status, answer = server.request("POST", "genops/targets", target)
    assert status == 200, answer
    with lab_kernel(server) as kernel:
        kernel.ok("%load_ext genops_lab")
        kernel.ok(TRACKED)
    sweeper = Sweeper(home, server)
    track = {"system_metrics": False, "source": False}
    sweep = sweeper.start(TRIAL, "n=1,2,3", metric="score", track=track)
    sweeper.until(sweep, lambda found: [trial["value"] for trial in found["trials"]] == [1, 2])
    write_notebook(home.work / NOTEBOOK, {"cell1": COUNTING})
    return server, sweep


def opened(server: LabServer) -> dict[str, Any]:
    """The notebook's session, whose kernel is on the target."""
    body = {"path": NOTEBOOK, "name": NOTEBOOK, "type": "notebook", "kernel": {"name": f"genops-{TARGET}"}}
    status, session = server.request("POST", "api/sessions", body, timeout=90)
    assert status == 201, session
    return dict(session)


def killed(server: LabServer) -> None:
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(30)


def pack(home: Home, sweep: dict[str, Any]) -> bytes:
    """The home as a small archive; ends what still runs on its host."""
    places = {str(thin_environment(None)): "@PYTHON@", str(home.path): "@HOME@"}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:xz", preset=9) as archive:

        def add(name: str, content: bytes) -> None:
            item = tarfile.TarInfo(name)
            item.size, item.mode = len(content), 0o600
            archive.addfile(item, io.BytesIO(content))

        add("sweep.json", json.dumps({"id": sweep["id"]}).encode())
        for path in sorted(home.path.rglob("*")):
            name = path.relative_to(home.path)
            if not path.is_file() or path.is_symlink() or set(name.parts) & set(_LEFT_OUT):
                continue
            if (
                name.is_relative_to(f"{AGENT_STATE}/kernels")
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
            if not content.startswith(b"PK"):
                for place, placeholder in places.items():
                    content = content.replace(place.encode(), placeholder.encode())
            add(name.as_posix(), content)
    return stream.getvalue()


def unpack(home: Home) -> str:
    """Put the fixture into ``home``; the id of its sweep."""
    places = {"@PYTHON@": str(thin_environment(None)), "@HOME@": str(home.path)}
    with tarfile.open(FIXTURE) as archive:
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
    return str(json.loads((home.path / "sweep.json").read_text())["id"])


def main() -> None:
    with temporary_home() as home:
        server, sweep = lived_in(home, thin_environment(older_wheel(sys.argv[1])))
        try:
            opened(server)
        finally:
            killed(server)
        FIXTURE.write_bytes(pack(home, sweep))
    print(f"{FIXTURE}: {FIXTURE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
