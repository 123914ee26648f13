"""Run a part of a suite in a process of its own, whose home is a throwaway one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.homes import temporary_home

from .figure import Figure

ROOT = Path(__file__).resolve().parents[1]


def figures_of(module: str, *arguments: str, path: str = "") -> Iterator[Figure]:
    """Yield the figures that ``python -m module`` prints as lines of JSON; it also imports from ``path``. Raises
    CalledProcessError."""
    with temporary_home(debugger=True) as home:
        paths = os.pathsep.join(filter(None, [str(ROOT), path]))
        kept = {name: value for name, value in os.environ.items() if name.startswith("GENOPS_BENCH_")}
        environment = home.environment(PYTHONPATH=paths, GENOPS_BENCH_HOME=str(home.path), **kept)
        command = [sys.executable, "-m", module, *arguments]
        noise = home.path / "noise"  # kernels warn on every start
        with noise.open("wb") as errors:
            process = subprocess.Popen(
                command, cwd=home.work, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    yield Figure(**json.loads(line))
                else:
                    print(line, end="", file=sys.stderr, flush=True)
            if process.wait():
                print(noise.read_text(errors="replace")[-3000:], file=sys.stderr, flush=True)
                raise subprocess.CalledProcessError(process.returncode, command)
        finally:
            process.terminate()
            process.wait()
