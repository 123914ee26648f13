"""A real Slurm of this machine for tests: two nodes with faked GPUs, and a login node that is a loopback sshd.

    cluster = Cluster.running("cgroup")           # skips, by name, where it cannot be
    with cluster.login() as host:
        route = cluster.route(host, python=sys.executable)

One Slurm a machine: its ports and folder are fixed. Another kind of process tracking starts it over.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from genops_lab.hosts.link.route import Route
from genops_lab.hosts.providers import route_of
from tests.minutes import shared_process

from .sshd import Sshd, ThrowawayUser

_SCRIPTS = Path(__file__).parents[3] / "shared" / "slurm"
#: Its first port. Two checkouts on one machine have different ones, and different folders by TMPDIR.
_PORT = int(os.environ.get("GENOPS_SLURM_PORT", "26817"))
_START_S = 300.0


class Cluster:
    """A running Slurm. ``environment`` is what its commands need."""

    _running: Cluster | None = None

    def __init__(self, tracking: str) -> None:
        self.tracking = tracking
        self.folder = Path(tempfile.gettempdir()) / "gol-slurm"
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}

    @classmethod
    def running(cls, tracking: str = "") -> Cluster:
        """The cluster with ``proctrack/linuxproc`` or ``proctrack/cgroup``; by default, the one that runs."""
        if cls._running is not None and tracking in ("", cls._running.tracking):
            return cls._running
        tracking = tracking or "linuxproc"
        if not (_SCRIPTS / "up.sh").exists():
            pytest.skip("no ../shared/slurm to start a Slurm with")
        if os.getuid() != 0 or shutil.which("apt-get") is None:
            pytest.skip("a Slurm of its own needs root and Debian")
        if tracking == "cgroup" and not Path("/sys/fs/cgroup/freezer").is_dir():
            pytest.skip("proctrack/cgroup needs cgroup v1 here")
        found = cls(tracking)
        found.down()
        found.up()
        cls._running = found
        return found

    def up(self) -> None:
        """Start what does not run."""
        self._script("up.sh", PROCTRACK=self.tracking, PORT=str(_PORT))
        for file in (self.folder / "run").glob("*.pid"):
            if not file.name.endswith(".own.pid"):
                shared_process("the Slurm of tests/support/slurm.py", int(file.read_text()))

    def down(self) -> None:
        """End it, and remove all it wrote."""
        steps = self._steps()
        self._script("down.sh", WIPE="1")
        for step in steps:  # what its daemon did not end: a step whose srun was killed outlives both
            with contextlib.suppress(ProcessLookupError):
                os.kill(step, signal.SIGKILL)

    def login(self, user: ThrowawayUser | None = None) -> Sshd:
        """A login node."""
        return Sshd(user=user, environment=self.environment)

    def route(self, host: Sshd, **config: Any) -> Route:
        """A target whose login node is ``host``."""
        fields = {"target": "slurm", "kind": "slurm", "host": host.alias, "ssh_config": str(host.config)}
        return route_of(**{**fields, "memory": "500M", **config})

    def run(self, *command: str) -> str:
        """What a command of Slurm prints."""
        return subprocess.run(
            command,
            env={"PATH": "/usr/bin:/bin", **self.environment},
            check=True,
            text=True,
            capture_output=True,
        ).stdout

    def end(self, daemon: str) -> None:
        """SIGKILL to a daemon (``slurmctld``); ``up`` brings it back."""
        file = self.folder / "run" / f"{daemon}.pid"
        os.kill(int(file.read_text()), 9)
        file.unlink()  # an ended process that nobody waits for seems to live

    def _steps(self) -> list[int]:
        """The processes of this cluster's steps: each has files of the cluster open."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "comm").read_text().startswith("slurmstepd") and any(
                    os.readlink(file).startswith(str(self.folder)) for file in (process / "fd").iterdir()
                ):
                    found.append(int(process.name))
        return found

    def _script(self, name: str, **variables: str) -> None:
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        environment = {**os.environ, "PATH": path, "S": str(self.folder), **variables}
        environment.pop("BASH_ENV", None)
        done = subprocess.run(
            ["bash", str(_SCRIPTS / name)], env=environment, text=True, capture_output=True, timeout=_START_S
        )
        assert done.returncode == 0, done.stderr[-2000:]


def end() -> None:
    """End the cluster that this process started, if any."""
    if Cluster._running is not None:
        Cluster._running.down()
        Cluster._running = None
