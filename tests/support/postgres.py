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


class Postgres:
    """A server that can be stopped and started, with as many empty databases as are asked for."""

    def __init__(self) -> None:
        bin = binaries()
        assert bin is not None
        self._bin = bin
        self._folder = Path(tempfile.mkdtemp(prefix="gol-pg-"))
        self._as_other = _other_user(self._folder)
        self._server: subprocess.Popen[bytes] | None = None
        self._databases = 0
        options = ["-U", _USER, "--auth=trust", "--no-sync", "-E", "UTF8"]
        _run(self._as_other, bin / "initdb", "-D", self._folder / "data", *options)

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        self._server = subprocess.Popen(
            [*self._as_other, str(self._bin / "postgres"), "-D", str(self._folder / "data"), "-k", str(self._folder),
             "-c", "listen_addresses=", "-c", "fsync=off"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
        )  # fmt: skip
        _wait(self._bin, self._folder, self._server)

    def stop(self) -> None:
        """Stop the server without waiting for those who are connected."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(30)
            self._server = None

    def uri(self, database: str = "postgres") -> str:
        """The address of a database, as SQLAlchemy and MLflow take it."""
        return f"postgresql+psycopg://{_USER}@/{database}?host={quote(str(self._folder), safe='')}"

    def database(self, like: str = "") -> str:
        """The address of a new database: empty, or with what the one at the address ``like`` has, which nobody uses."""
        import psycopg
        from sqlalchemy.engine import make_url

        self._databases += 1
        name = f"of_a_test_{self._databases}"
        with psycopg.connect(
            host=str(self._folder), user=_USER, dbname="postgres", autocommit=True
        ) as connection:
            template = f" TEMPLATE {make_url(like).database}" if like else ""
            connection.execute(f"CREATE DATABASE {name}{template}".encode())
        return self.uri(name)

    def remove(self) -> None:
        """Stop the server and delete its files."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server."""
    found = Postgres()
    try:
        found.start()
        yield found
    finally:
        found.remove()


@contextlib.contextmanager
def running_postgres() -> Iterator[str]:
    """The address of an empty database, as SQLAlchemy and MLflow take it."""
    with postgres() as server:
        yield server.uri()


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
