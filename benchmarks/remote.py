"""Remote kernels beside a local one and beside sshpyk, over a real sshd on loopback, plain and with delays.

``GENOPS_BENCH_CUTS`` sets how many cuts a carrier gets (40; the issue's figure is 1,000).
``GENOPS_BENCH_REMOTE`` names the parts to run, separated by commas.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from .figure import Figure
from .process import figures_of

BASELINE = "sshpyk==1.25"
PARTS = ("starts", "ahead", "steady", "far", "loops", "stalled", "cuts")


def figures() -> Iterator[Figure]:
    chosen = [part for part in os.environ.get("GENOPS_BENCH_REMOTE", "").split(",") if part] or list(PARTS)
    with ExitStack() as stack:
        baseline = _baseline(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gol-baseline-"))))
        failed = []
        for part in chosen:
            try:
                yield from figures_of("benchmarks.remote_probe", part, path=baseline)
            except subprocess.CalledProcessError:
                failed.append(part)
        if failed:
            raise RuntimeError(f"these parts failed: {', '.join(failed)}")


def _baseline(folder: Path) -> str:
    """Where sshpyk lies, for this benchmark alone; empty when it cannot be had (its figures are then left out)."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), BASELINE],
        stdout=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    if done.returncode:
        print(f"{BASELINE} could not be installed: its figures are left out", file=sys.stderr, flush=True)
        return ""
    return str(folder)
