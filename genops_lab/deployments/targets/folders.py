"""Lay out the folder of a deployment, and read what is in it.

``NAME`` has ``deployment.json``, ``key`` (of callers), ``route.json`` (the gateway's) and the folders of revisions,
``revisions/NUMBER``: ``model``, ``process.json``, ``spec.json``, ``key`` (the process's own), ``lease.json``,
``state.json`` and ``log.txt``. Older versions had one revision, in ``NAME`` itself: it stays there, since its process
writes there.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from genops_lab.deployments.models import DeploymentState
from genops_lab.deployments.record import CallerKey

T = TypeVar("T")

#: The name of the deployment's own key in the gateway.
OWN_KEY = "default"
#: What a revision of an older version has in the folder of its deployment, without the key, which callers have.
_OLDER = ("process.json", "spec.json", "state.json", "lease.json", "log.txt", "log.txt.1")


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """The report of the scoring process in ``state.json``. ``loading_s`` is how long the model took to load."""

    pid: int
    state: DeploymentState
    message: str = ""
    hint: str = ""
    port: int = 0
    lease_until: float = 0.0
    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None
    loading_s: float = 0.0
    asleep: bool = False


class Handle(msgspec.Struct, frozen=True, kw_only=True):
    """The target's record of a revision, in ``process.json``.

    ``begun`` is written before the process starts, ``pid`` after: with only ``begun`` a process may exist.
    ``generation`` is that of the change that started it, ``number`` the revision on the screen.
    """

    revision: int = 0
    number: int = 1
    version: str = ""
    generation: int = 0
    wanted: int = 1
    outlives_server: bool = True
    begun: bool = False
    pid: int | None = None
    pid_created: float | None = None


class DeploymentFile(msgspec.Struct, frozen=True, kw_only=True):
    """``deployment.json``: the generation of the last change, which an older one must not undo."""

    generation: int = 0


class RouteRevision(msgspec.Struct, frozen=True, kw_only=True):
    """A scoring process in ``route.json``."""

    id: int
    number: int
    port: int
    key: str
    weight: int


class RouteFile(msgspec.Struct, frozen=True, kw_only=True):
    """``route.json``: the desired state of the gateway for one deployment (``serving/gateway/routes.py: Route``)."""

    name: str
    generation: int
    revisions: list[RouteRevision]
    keys: list[CallerKey]
    timeout_s: float = 60.0
    scale: dict[str, Any] | None = None


class DeploymentFolder:
    """The folder of one deployment. All methods block."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def route_path(self) -> Path:
        """The gateway's file."""
        return self.path / "route.json"

    def of(self, revision: int) -> Path:
        """Return the folder of a revision."""
        older = read(self.path / "process.json", Handle)
        if older is not None and older.revision == revision:
            return self.path
        return self.path / "revisions" / str(revision)

    def revisions(self) -> list[Path]:
        """Return the folders of all revisions, the oldest first."""
        inside = self.path / "revisions"
        found = [each for each in inside.iterdir() if each.name.isdigit()] if inside.is_dir() else []
        older = (
            [self.path] if (self.path / "process.json").exists() or (self.path / "spec.json").exists() else []
        )
        return older + sorted(found, key=lambda each: int(each.name))

    def handles(self) -> list[tuple[Path, Handle]]:
        """Return the folders and handles of all revisions as they are written."""
        found = [(each, read(each / "process.json", Handle)) for each in self.revisions()]
        return [(folder, handle) for folder, handle in found if handle is not None]

    def generation(self) -> int:
        """Return the generation of the last change; 0 for an unknown deployment."""
        found = read(self.path / "deployment.json", DeploymentFile)
        older = read(self.path / "process.json", Handle)
        return max(found.generation if found else 0, older.generation if older else 0)

    def route(self) -> RouteFile | None:
        """Return the desired state of the gateway; None before the first."""
        return read(self.route_path, RouteFile)

    def key(self, folder: Path | None = None) -> str:
        """Return the key of callers, or that of the process of a revision's folder; empty without one."""
        try:
            return ((folder or self.path) / "key").read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    def forget(self, folder: Path) -> None:
        """Remove the files of a revision that has ended."""
        if folder != self.path:
            (folder / "process.json").unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            return
        for name in _OLDER:
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / "model", ignore_errors=True)


def hashed(key: str) -> str:
    """Return a key as the gateway and the store keep it."""
    return hashlib.sha256(key.encode()).hexdigest()


def read(path: Path, kind: type[T]) -> T | None:
    """Return the content of a JSON file, or None if it is missing or no such content."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def encoded(value: Any) -> str:
    """Return a value as JSON text."""
    return msgspec.json.encode(value).decode()
