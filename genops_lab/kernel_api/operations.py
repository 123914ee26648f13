"""The operations of one kernel on another host, bound to it: whatever it says of itself is replaced."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from genops_lab.core.errors import InvalidRequest, NotAllowed, NotFound
from genops_lab.core.operations import Operation
from genops_lab.core.paths import private_dir
from genops_lab.experiments.limits import moment
from genops_lab.experiments.models import (
    ResumableRun,
    ResumeRequest,
    TrackedProcess,
    TrackingAck,
    TrackingBatch,
    TrackingEvent,
)
from genops_lab.kernels.folders.requests import PullAnswer, PullRequest
from genops_lab.profiling.models import NewProfile, Profile

from .uploads import IncomingFiles, Peer

if TYPE_CHECKING:
    from genops_lab.experiments.tracking import TrackingService
    from genops_lab.kernels.folders.requests import FolderRequests
    from genops_lab.profiling.remote_analysis.service import RemoteAnalysisService
    from genops_lab.profiling.service import ProfilesService

MAX_EVENTS = 1000
MAX_OPEN_RUNS = 200
MAX_TITLE = 500
_MAX_PID = 2**31


class OfferedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a kernel hands over: an artifact of its run or the trace of a profile. ``size`` in bytes."""

    kind: Literal["artifact", "trace"]
    size: int


class FileTicket(msgspec.Struct, frozen=True, kw_only=True):
    """What names the file from now on: PUT its bytes under it, then send it as ``source`` or ``trace_path``."""

    ticket: str


class KernelOperations:
    """Its own runs, their files and profiles; and what a person is asked for its folder."""

    def __init__(
        self,
        peer: Peer,
        tracking: TrackingService,
        profiles: ProfilesService,
        files: IncomingFiles,
        started: Callable[[Peer], None],
        folders: FolderRequests | None = None,
        beside: RemoteAnalysisService | None = None,
    ) -> None:
        self._peer = peer
        self._tracking = tracking
        self._profiles = profiles
        self._files = files
        self._started = started
        self._folders = folders
        self._beside = beside
        self._own_profiles: set[str] = set()

    async def wake(self) -> None:
        """Start what answers for MLflow before a cell waits for it."""
        await self._tracking.wake()

    async def track(self, body: TrackingBatch) -> TrackingAck:
        """Take the events of a run of this kernel."""
        if len(body.events) > MAX_EVENTS:
            raise InvalidRequest(
                f"{len(body.events):,} events came at once.", hint=f"Send at most {MAX_EVENTS:,}."
            )
        starts = any(event.seq == 1 for event in body.events)
        if starts:
            await self._check_open_runs(body.run_key)
        tickets = [_source(event) for event in body.events if event.kind == "file"]
        events = [await self._with_file(event) if event.kind == "file" else event for event in body.events]
        batch = TrackingBatch(run_key=body.run_key, process=self._process(body.process), events=events)
        try:
            ack = await self._tracking.track(batch)
        except RecursionError as error:
            raise InvalidRequest("The events are nested too deeply.", hint="Send less.") from error
        for ticket in tickets:
            await asyncio.to_thread(self._files.discard, self._peer, ticket)
        if starts:
            self._started(self._peer)
        shown = ack.tracking_uri if ack.tracking_uri.startswith(("http://", "https://")) else ""
        return msgspec.structs.replace(ack, tracking_uri=shown)

    async def resume(self, body: ResumeRequest) -> ResumableRun:
        """A run of this host that the kernel may go on with."""
        return await self._tracking.resume(
            ResumeRequest(run=body.run[:MAX_TITLE], process=self._process(body.process))
        )

    async def offer_file(self, body: OfferedFile) -> FileTicket:
        """Announce a file; its bytes follow under the ticket."""
        ticket = await asyncio.to_thread(self._files.offer, self._peer, body.kind, body.size)
        return FileTicket(ticket=ticket)

    async def add_profile(self, body: NewProfile) -> Profile:
        """Analyse a trace that was handed over; ``trace_path`` is its ticket."""
        await self._check_run(body.run_id)
        trace = await asyncio.to_thread(self._move_trace, body.trace_path)
        try:
            profile = await self._profiles.add_profile(self._bounded(body, str(trace)))
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, trace.parent, True)
            raise
        self._own_profiles.add(profile.id)
        return self._without_paths(profile)

    async def add_profile_beside(self, body: NewProfile) -> Profile:
        """Have a trace read on this host, where it stays; ``trace_path`` is its path here."""
        await self._check_run(body.run_id)
        if self._beside is None:
            raise NotAllowed("This Lab reads no traces on hosts.", hint="Hand the trace over.")
        profile = await self._beside.keep(self._bounded(body, body.trace_path))
        self._own_profiles.add(profile.id)
        return self._without_paths(profile)

    def _bounded(self, body: NewProfile, trace_path: str) -> NewProfile:
        """Of what a kernel says of its profile, what it may say."""
        return NewProfile(
            trace_path=trace_path,
            title=body.title[:MAX_TITLE],
            run_id=body.run_id,
            notebook=body.notebook[:MAX_TITLE],
            target=self._peer.place,
            usd_per_hour=body.usd_per_hour,
        )

    async def _check_run(self, run_id: str) -> None:
        if run_id and not await self._is_own(run_id):
            raise NotAllowed(
                f"The run {run_id[:64]!r} is not one of this kernel.",
                hint="Profile within a run of this kernel, or without one.",
            )

    async def get_profile(self, profile_id: str) -> Profile:
        """A profile of this kernel."""
        if profile_id not in self._own_profiles:
            raise NotAllowed(
                f"The profile {profile_id[:64]!r} is not one of this kernel.", hint="See it in the panel."
            )
        return self._without_paths(await self._profiles.get_profile(profile_id))

    async def ask_to_pull(self, body: PullRequest) -> PullAnswer:
        """Ask the person to have files of this host brought into the notebook's folder."""
        return await self._requests().ask(self._peer.place, self._peer.kernel_id, body)

    async def get_pull(self, request_id: str) -> PullAnswer:
        """How that went, as soon as it is known."""
        return await self._requests().answer(self._peer.place, self._peer.kernel_id, request_id)

    def _requests(self) -> FolderRequests:
        if self._folders is None:
            raise NotAllowed("This Lab brings no files.", hint="Use `genops pull` in a terminal of the Lab.")
        return self._folders

    @staticmethod
    def _without_paths(profile: Profile) -> Profile:
        """Of where things lie on the Lab's machine a host learns nothing."""
        trace_path = profile.trace_path if profile.trace_target else ""
        return msgspec.structs.replace(profile, artifact="", trace_path=trace_path)

    async def _check_open_runs(self, run_key: str) -> None:
        runs = await self._tracking.open_runs_at(self._peer.place)
        mine = [run.run_key for run in runs if run.process.kernel_id == self._peer.kernel_id]
        if len(mine) >= MAX_OPEN_RUNS and run_key not in mine:
            raise NotAllowed(
                f"This kernel has {len(mine)} runs open.", hint="End some of them: genops.end()."
            )

    async def _is_own(self, run_id: str) -> bool:
        owner = await self._tracking.owner_of(run_id)
        return owner is not None and (owner.place, owner.kernel_id) == self._peer

    def _process(self, given: TrackedProcess) -> TrackedProcess:
        if not 0 < given.pid < _MAX_PID:
            raise InvalidRequest(f"{str(given.pid)[:20]} is no process.", hint="Send the pid of the sender.")
        return TrackedProcess(
            pid=given.pid,
            created=moment(given.created),
            kernel_id=self._peer.kernel_id,
            notebook=given.notebook[:MAX_TITLE],
            place=self._peer.place,
        )

    async def _with_file(self, event: TrackingEvent) -> TrackingEvent:
        """The event with the file's place here; a kernel sends no ticket for a file that it lost."""
        data: dict[str, Any] = {"path": event.data.get("path")}
        if ticket := _source(event):
            data["source"] = str(await asyncio.to_thread(self._files.take, self._peer, ticket, "artifact"))
        else:
            data["why"] = str(event.data.get("why") or "It was gone when it was to be read.")
        return msgspec.structs.replace(event, data=data)

    def _move_trace(self, ticket: str) -> Path:
        trace = self._files.take(self._peer, ticket, "trace")
        target = private_dir(self._profiles.root / uuid.uuid4().hex) / "trace.json.gz"
        try:
            trace.replace(target)
        except OSError as error:
            raise NotFound(f"The trace is gone: {error.strerror}.", hint="Hand it over again.") from error
        self._files.discard(self._peer, ticket)
        return target


def _source(event: TrackingEvent) -> str:
    return str(event.data.get("source") or "")


OPERATIONS = [
    Operation("POST", "/tracking/wake", KernelOperations.wake),
    Operation("POST", "/tracking/events", KernelOperations.track),
    Operation("POST", "/tracking/resume", KernelOperations.resume),
    Operation("POST", "/tracking/files", KernelOperations.offer_file),
    Operation("POST", "/profiles", KernelOperations.add_profile, named=("id",)),
    Operation("POST", "/profiles/beside", KernelOperations.add_profile_beside, named=("id",)),
    Operation("GET", "/profiles/{profile_id}", KernelOperations.get_profile),
    Operation("POST", "/folder/pull", KernelOperations.ask_to_pull),
    Operation("GET", "/folder/pull/{request_id}", KernelOperations.get_pull),
]
