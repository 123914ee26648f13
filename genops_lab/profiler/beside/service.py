"""Profiles of traces that lie on targets."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import Failed, GenOpsError, InvalidRequest
from genops_lab.settings import Settings

from ..models import NewProfile, Profile, TraceOnTarget

if TYPE_CHECKING:
    from genops_lab.links.link import Link
    from genops_lab.targets.service import TargetsService

    from ..service import Price, ProfilesService

_ANSWER = "answer.tar.gz"
_MAX_PATH = 4096


class BesideService:
    """Has traces read where they lie; the trace itself comes when it is asked for, or where nothing else works."""

    def __init__(self, settings: Settings, profiles: ProfilesService, targets: TargetsService) -> None:
        self._wheels = settings.data_dir / "wheels"
        self._profiles = profiles
        self._targets = targets

    async def open_on_target(self, body: TraceOnTarget) -> Profile:
        """Make a profile of a trace on a target that is connected; the trace stays there.

        The answer comes before the analysis, whose end an event tells.
        """
        return await self.keep(
            NewProfile(
                trace_path=body.path,
                title=PurePosixPath(body.path).name,
                target=body.target,
                usd_per_hour=body.usd_per_hour,
            )
        )

    async def keep(self, asked: NewProfile) -> Profile:
        """Make a profile of the trace ``trace_path`` on ``target``, and give its run what comes from there.

        Raises NotFound, Conflict where the target is not connected, InvalidRequest.
        """
        path = asked.trace_path
        if not path or "\0" in path or len(path) > _MAX_PATH:
            raise InvalidRequest(
                "No trace can have that path.", hint="Give the path of a trace on the target."
            )
        link = await self._targets.connected_link(asked.target)
        price = await asyncio.to_thread(self._profiles.price, asked)
        profile_id, folder = await self._profiles.begin(asked, f"{asked.target}:{path}", 0)
        self._profiles.go_on(self._analyze(profile_id, folder, link, path, price))
        return await self._profiles.get_profile(profile_id)

    async def fetch_trace(self, profile_id: str) -> Profile:
        """Bring a profile's trace from its target, which must be connected; nothing is done for one that is here."""
        from ..service import TRACE
        from .talk import fetched

        profile = await self._profiles.get_profile(profile_id)
        if not profile.trace_target:
            return profile
        link = await self._targets.connected_link(profile.trace_target)
        trace = self._profiles.root / profile_id / TRACE
        try:
            await self._targets.connections.run(fetched(link, profile.trace_path, trace))
        except OSError as error:
            raise _no_place(error) from error
        await self._has_trace(profile_id, trace)
        await self._profiles.try_to_give(profile_id)
        return await self._profiles.get_profile(profile_id)

    async def _has_trace(self, profile_id: str, trace: Path) -> None:
        size = (await asyncio.to_thread(trace.stat)).st_size
        await self._profiles.update(profile_id, trace_path=str(trace), size_bytes=size)

    async def _analyze(self, profile_id: str, folder: Path, link: Link, path: str, price: Price) -> None:
        try:
            await self._analyzed(profile_id, folder, link, path, price)
        except GenOpsError as error:
            await self._failed(profile_id, error)
        except OSError as error:
            await self._failed(profile_id, _no_place(error))

    async def _analyzed(self, profile_id: str, folder: Path, link: Link, path: str, price: Price) -> None:
        from ..backends.analysis import TraceAnalysis
        from ..service import TRACE
        from .parts import parts_for
        from .talk import analyzed
        from .unpacking import BesideAnswers

        target, answer, trace = link.route.target, folder / _ANSWER, folder / TRACE
        came = await self._targets.connections.run(
            analyzed(link, path, lambda host: parts_for(host, self._wheels), answer, trace)
        )
        worker, message = self._profiles.worker, ""
        if came.why:
            message = f"The trace was brought from {target}: {came.why}."
            await self._has_trace(profile_id, trace)
            summary = await worker.call(TraceAnalysis.summarize, str(trace), str(folder), *price)
        else:
            await self._profiles.update(
                profile_id, trace_path=f"{target}:{came.host.path}", size_bytes=came.host.size
            )
            usd_per_hour, priced_target = price
            summary = await worker.call(
                BesideAnswers.take, str(answer), str(folder), usd_per_hour, priced_target
            )
        text = msgspec.json.encode(summary).decode()
        await self._profiles.update(profile_id, state="ready", summary=text, message=message)
        await self._profiles.try_to_give(profile_id)

    async def _failed(self, profile_id: str, error: GenOpsError) -> None:
        await self._profiles.update(
            profile_id, state="failed", message=f"{error.message} {error.hint}".strip()
        )


def _no_place(error: OSError) -> GenOpsError:
    return Failed(
        f"What came from the target could not be kept: {error}.",
        hint="See whether this machine's disk is full.",
    )
