"""Clean clone to open Lab, and the second start. Named explicitly: it installs everything again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.homes import Home, temporary_home

from .figure import Figure

ROOT = Path(__file__).resolve().parents[1]
URL = re.compile(r"http://(localhost|127\.0\.0\.1):\d+/lab")


def _until_open_s(clone: Path, home: Home) -> float:
    started = time.monotonic()
    process = subprocess.Popen(
        ["make", "lab"], cwd=clone, env=home.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if URL.search(line):
                return time.monotonic() - started
        raise RuntimeError("make lab ended without a URL")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def figures() -> Iterator[Figure]:
    with temporary_home(debugger=True) as home, tempfile.TemporaryDirectory(prefix="gol-clone-") as folder:
        clone = Path(folder) / "genops-lab"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        yield Figure(
            name="clean_clone_to_open_lab", unit="s", values=[_until_open_s(clone, home)], target=600
        )
        again = [_until_open_s(clone, home) for _ in range(3)]
        yield Figure(name="second_start", unit="s", values=again, target=15)
