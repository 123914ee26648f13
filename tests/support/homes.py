"""A home of its own for each test server: nothing of the person who runs the tests is read or written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .processes import end_those_of

#: Variables that would lead a test to the real user's things.
LEAKING = ("MLFLOW_", "JUPYTER", "JPY_", "GENOPS_", "XDG_")


@dataclass(frozen=True)
class Home:
    """Folders of one pretended user. ``path`` is short: unix sockets must stay under 108 bytes."""

    path: Path

    @property
    def work(self) -> Path:
        """Where the Lab's file browser is rooted."""
        return self.path / "work"

    @property
    def data(self) -> Path:
        """GenOps Lab's data."""
        return self.path / "data" / "genops"

    def environment(self, **extra: str) -> dict[str, str]:
        """The environment of a process that lives here."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(LEAKING)}
        return {
            **kept,
            "HOME": str(self.path),
            "JUPYTER_DATA_DIR": str(self.path / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.path / "run"),
            "JUPYTER_CONFIG_DIR": str(self.path / "config"),
            "JUPYTERLAB_SETTINGS_DIR": str(self.path / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self.path / "workspaces"),
            "IPYTHONDIR": str(self.path / "ipython"),
            "GENOPS_RUNTIME_DIR": str(self.path / "s"),
            "GIT_CONFIG_GLOBAL": str(self.path / "gitconfig"),
            **extra,
        }


def without_debugger(ipython: Path) -> None:
    """Have kernels of the IPython folder ``ipython`` leave debugpy away: a fifth of the CPU of their start."""
    profile = ipython / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text("import sys\n\nsys.modules['debugpy'] = None\n")


@contextmanager
def temporary_home(*, debugger: bool = False) -> Iterator[Home]:
    """A home that is gone afterwards. ``debugger``: whether its kernels import debugpy."""
    path = Path(tempfile.mkdtemp(prefix="gol-"))
    home = Home(path)
    home.work.mkdir()
    if not debugger:
        without_debugger(path / "ipython")
    try:
        yield home
    finally:
        end_those_of(path)
        shutil.rmtree(path, ignore_errors=True)
