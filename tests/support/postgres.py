"""A real PostgreSQL of a test's own: Debian's, on a unix socket in a private folder, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

_USER = "mlflow"


def binaries() -> Path | None:
    """The folder of ``initdb`` and ``postgres``, None where there is none."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3])
    return versions[-1].parent if versions else None


def missing() -> str:
    """What a test would need; empty where all is there."""
    if binaries() is None:
        return "no PostgreSQL here (Debian: apt-get install postgresql)"
    if find_spec("psycopg") is None:
        return "no psycopg here"
    return ""


@contextlib.contextmanager
def running_postgres() -> Iterator[str]:
    """The address of an empty database, as SQLAlchemy and MLflow take it."""
    folder = Path(tempfile.mkdtemp(prefix="gol-pg-"))
    bin = binaries()
    assert bin is not None
    as_other = _other_user(folder)
    try:
        _run(
            as_other,
            bin / "initdb",
            "-D",
            folder / "data",
            "-U",
            _USER,
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
        )
        server = subprocess.Popen(
            [*as_other, str(bin / "postgres"), "-D", str(folder / "data"), "-k", str(folder), "-c", "listen_addresses=",
             "-c", "fsync=off"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
        )  # fmt: skip
        try:
            _wait(bin, folder, server)
            yield f"postgresql+psycopg://{_USER}@/postgres?host={quote(str(folder), safe='')}"
        finally:
            server.send_signal(signal.SIGINT)  # without waiting for those who are connected
            server.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _other_user(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root: there it runs as the user that Debian's package made."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, "postgres")
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def _run(as_other: list[str], *command: str | Path) -> None:
    subprocess.run([*as_other, *map(str, command)], check=True, stdout=subprocess.DEVNULL, cwd="/")


def _wait(bin: Path, folder: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    ready = [str(bin / "pg_isready"), "-h", str(folder), "-U", _USER, "-q"]
    while subprocess.run(ready, check=False).returncode:
        assert server.poll() is None and time.monotonic() < deadline, "PostgreSQL did not come up"
        time.sleep(0.05)
