"""A real MLflow server over HTTP."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from .homes import Home
from .lab_server import free_port
from .warm import SERVER, program


@contextlib.contextmanager
def running_mlflow(
    home: Home, store: str, artifacts: Path, port: int | None = None, *, cold: bool = False
) -> Iterator[str]:
    """The address of an MLflow server on the database ``store``; ``cold`` by its own command line."""
    port = port or free_port()
    artifacts.mkdir(parents=True, exist_ok=True)
    command = [*program("tests.support.mlflow_app", SERVER), store, str(artifacts), str(port)]
    if cold:
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
            *("--backend-store-uri", store, "--artifacts-destination", str(artifacts), "--workers", "1"),
        ]
    process = subprocess.Popen(
        command,
        cwd=artifacts,
        env=home.environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url, process)
        yield url
    finally:
        os.killpg(process.pid, 9)
        process.wait()
        _wait_until_free(port)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "the MLflow server ended"
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AssertionError("the MLflow server did not come up")


def _wait_until_free(port: int) -> None:
    """A warm process ends a moment after the one that stands for it."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.01)
    raise AssertionError("the MLflow server goes on")
