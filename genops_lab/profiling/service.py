"""Recorded profiles."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.paging import FIRST, Page, PageQuery
from genops_lab.core.paths import contained, contents_path, private_dir
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.core.worker import Worker

from .backends.analysis import NCU_REPORT, SQLITE, Kept, TraceAnalysis
from .models import (
    NO_RANK,
    ComparedProfiles,
    Difference,
    Flame,
    KernelMetrics,
    NewProfile,
    OpenedFile,
    Profile,
    ProfileSummary,
    RankQuery,
)
from .timeline.backend import Timelines

if TYPE_CHECKING:
    from genops_lab.core.store import LocalStore
    from genops_lab.experiments.mlflow import MlflowConnection

log = logging.getLogger("genops_lab")

TRACE, SUMMARY, COLUMNS_ZIP = "trace.json.gz", "summary.json", "columns.zip"
#: An export of Nsight Systems, which its reader maps uncompressed, and the report that it was made from.
EXPORT, REPORT = "trace.sqlite", "report.nsys-rep"
#: A report of Nsight Compute.
MEASURED = "measured.ncu-rep"
#: Digits of the number of a launch in a report.
NUMBER_DIGITS = 9
#: USD an hour (None: no price), and the target with this price.
Price = tuple[float | None, str]
WORKER_IDLE_S = 120.0
CLOSE_TIMEOUT_S = 15.0

METRICS_PREFIX = "profile/"


class ProfilesService(Service):
    """Keep traces, analyze them in a worker and attach them to their runs."""

    def __init__(
        self,
        settings: Settings,
        mlflow: MlflowConnection,
        store: LocalStore,
        events: EventBus,
        price_of: Callable[[str], float | None],
    ) -> None:
        # The table of routes needs only this class; SQLAlchemy takes 135 ms to import.
        from .ledger import KeptProfiles
        from .remote_analysis.host_traces import HostTraces

        self.root = settings.data_dir / "profiles"
        self._root_dir = settings.root_dir
        self._mlflow = mlflow
        self._profiles = KeptProfiles(store)
        self.host_traces = HostTraces(store)
        self._events = events
        self.worker = Worker("profiler", {}, idle_s=WORKER_IDLE_S)
        self._keeping: set[asyncio.Task[None]] = set()
        #: Returns the price of a target in USD an hour, or None; blocks.
        self._price_of = price_of

    async def list_profiles(self, query: PageQuery = FIRST) -> Page[Profile]:
        """Return the profiles, newest first."""
        return await asyncio.to_thread(self._profiles.page, query)

    async def get_profile(self, profile_id: str) -> Profile:
        """Return a profile with its summary."""
        return await asyncio.to_thread(self._profiles.get, profile_id)

    async def profile_flame(self, profile_id: str, query: RankQuery = NO_RANK) -> Flame:
        """Return the call tree of a profile's trace, with host time and the device time that each call
        started."""
        return await self.worker.call(TraceAnalysis.flame, *await self.place(profile_id), query.rank)

    async def kernel_metrics(self, profile_id: str, number: str, query: RankQuery = NO_RANK) -> KernelMetrics:
        """Return all metrics that Nsight Compute measured of a launch, by its number in the report."""
        if not number.isdecimal() or len(number) > NUMBER_DIGITS:
            raise InvalidRequest(f"{number!r} is not a launch.", hint="Give the number of a launch, from 0.")
        place = await self.place(profile_id)
        return await self.worker.call(TraceAnalysis.kernel_metrics, *place, query.rank, int(number))

    async def difference(self, query: ComparedProfiles) -> Difference:
        """Compare two profiles. Raises NotFound, Conflict while one is analyzed, and Failed where an analysis
        failed."""
        return await self.worker.call(
            TraceAnalysis.difference, await self._kept(query.before), await self._kept(query.after)
        )

    async def _kept(self, profile_id: str) -> Kept:
        folder, trace = await self.place(profile_id)
        summary = (await self.get_profile(profile_id)).summary
        if summary is None:
            raise Failed("The profile has no summary.", hint="Record the profile again.")
        return folder, trace, summary

    async def expect_profile(self) -> None:
        """Start the analysis worker, which takes a second, while a kernel records a profile."""
        await self.worker.call(TraceAnalysis.ready)

    async def add_profile(self, body: NewProfile) -> Profile:
        """Analyze a trace that a kernel wrote, and store it as an artifact of its run.

        The given price applies to a step, else the price of the kernel's target. The answer comes after the
        analysis. The artifact follows, with an event.
        """
        source = await asyncio.to_thread(self._accept, body.trace_path)
        price = await asyncio.to_thread(self.price, body)
        # The kernel sends the path of the notebook's file; the Lab has its own path for it.
        notebook = contents_path(body.notebook, str(self._root_dir or "")) or body.notebook
        body = msgspec.structs.replace(body, notebook=notebook)
        size = (await asyncio.to_thread(source.stat)).st_size
        name = await asyncio.to_thread(_kept_name, source)
        profile_id, folder = await self.begin(body, "", size, name)
        await self._analyze(profile_id, source, folder, price)
        self.go_on(self._keep(profile_id, source, folder / name))
        return await self.get_profile(profile_id)

    async def open_profile(self, body: OpenedFile) -> Profile:
        """Make a profile of a trace below the server's folder, or return the one that exists.

        A folder stands for the traces of several ranks in it. The trace stays in its place. The answer comes
        before the analysis ends; an event follows then.
        """
        source, size, changed_at = await asyncio.to_thread(self._below_root, body.path)
        known = await asyncio.to_thread(self._profiles.of_file, str(source), size, changed_at)
        if known is not None:
            return known
        asked = NewProfile(trace_path=body.path, title=source.name)
        profile_id, folder = await self.begin(asked, str(source), size)
        self.go_on(self._analyze(profile_id, source, folder))
        return await self.get_profile(profile_id)

    async def begin(
        self, asked: NewProfile, trace_path: str, size_bytes: int, name: str = TRACE
    ) -> tuple[str, Path]:
        """Add a profile whose analysis begins. Return its id and its folder. Its trace will be there as
        ``name``, unless ``trace_path`` is given."""
        profile_id = secrets.token_hex(6)
        folder = await asyncio.to_thread(private_dir, self.root / profile_id)
        trace_path = trace_path or str(folder / name)
        await asyncio.to_thread(self._profiles.begin, profile_id, asked, trace_path, size_bytes)
        self._events.emit("profile", profile_id)
        return profile_id, folder

    async def place(self, profile_id: str) -> tuple[str, str]:
        """Return the folder and the trace of a profile that is ready. Raises NotFound, Conflict while it is
        analyzed, and Failed where the analysis failed."""
        profile = await self.get_profile(profile_id)
        if profile.state == "analyzing":
            raise Conflict(f"{profile.title!r} is still being analyzed.", hint="Try again in a moment.")
        if profile.state == "failed":
            raise Failed(f"{profile.title!r} could not be analyzed.", hint=profile.message)
        trace = await asyncio.to_thread(self._profiles.trace_path, profile_id)
        return str(contained(self.root, profile_id)), trace

    async def delete_profile(self, profile_id: str) -> None:
        """Delete a profile and its trace in the Lab; the artifact of the run stays."""
        await self.get_profile(profile_id)
        await asyncio.to_thread(self._profiles.delete, profile_id)
        folder = contained(self.root, profile_id)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        self._events.emit("profile", profile_id)

    async def close(self) -> None:
        """Finish storing traces with their runs, then stop the worker."""
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=CLOSE_TIMEOUT_S)
        await self.worker.stop()

    def go_on(self, work: Coroutine[None, None, None]) -> None:
        """Run work in the background and finish it before the server ends."""
        keeping = asyncio.create_task(work)
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)

    def price(self, body: NewProfile) -> Price:
        """Return the price of a profile in USD an hour. Raises InvalidRequest for an invalid price.
        Blocks."""
        if body.usd_per_hour is None:
            return (self._price_of(body.target) if body.target else None), body.target
        if not math.isfinite(body.usd_per_hour) or body.usd_per_hour < 0:
            raise InvalidRequest(
                f"{body.usd_per_hour} is not a price.", hint="Give a price in USD an hour, 0 or more."
            )
        return body.usd_per_hour, ""

    async def _analyze(self, profile_id: str, source: Path, folder: Path, price: Price = (None, "")) -> None:
        try:
            summary = await self.worker.call(TraceAnalysis.summarize, str(source), str(folder), *price)
        except GenOpsError as error:
            await self.failed(profile_id, error)
        else:
            await self.update(profile_id, state="ready", summary=msgspec.json.encode(summary).decode())

    def _below_root(self, path: str) -> tuple[Path, int, float]:
        """Return a trace or a folder of traces, their total bytes, and the time of the last change."""
        from .engine.reading.kinds_of_files import files_of

        if self._root_dir is None:
            raise InvalidRequest(
                "There is no Jupyter server to open the file.",
                hint="Open the file in JupyterLab's file browser.",
            )
        source = contained(self._root_dir, path.lstrip("/"))
        if not source.exists():
            raise NotFound(f"There is no file {path!r} in the server's folder.", hint="Check the path.")
        # A link in a folder may lead outside the server's folder.
        found = [contained(self._root_dir, str(each)).stat() for each in files_of(source)]
        return source, sum(each.st_size for each in found), max(each.st_mtime for each in found)

    def _accept(self, trace_path: str) -> Path:
        source = contained(private_dir(self.root), trace_path)
        if not source.is_file():
            raise InvalidRequest(
                f"There is no trace {trace_path!r} in the profiles folder.",
                hint=f"Write the trace below {self.root}, then send its path.",
            )
        return source

    async def _keep(self, profile_id: str, source: Path, trace: Path) -> None:
        """Pack the trace into the profile's folder, then store the profile with its run."""
        folder = trace.parent
        try:
            await asyncio.to_thread(_keep_report, source, folder)
            size = await self.worker.call(TraceAnalysis.pack, str(source), str(trace))
            await self.update(profile_id, size_bytes=size)
            if (await self.get_profile(profile_id)).state == "ready":
                await self.worker.call(Timelines.prepare, str(folder), str(trace))
        except (GenOpsError, OSError) as error:
            await self._not_given(profile_id, error)
        else:
            await self.try_to_give(profile_id)

    async def try_to_give(self, profile_id: str) -> None:
        """Store a profile with its run, if it has one: the trace unless it is on a target, columns, summary,
        metrics. An error becomes the message of the profile."""
        try:
            await self._give_to_run(profile_id)
        except (GenOpsError, OSError) as error:
            await self._not_given(profile_id, error)

    async def _not_given(self, profile_id: str, error: Exception) -> None:
        log.warning("profile %s could not be stored with its run: %s", profile_id, error)
        known = (await self.get_profile(profile_id)).message
        reason = f"The trace could not be stored with its run: {error}"
        await self.update(profile_id, message=f"{known} {reason}".strip())

    async def _give_to_run(self, profile_id: str) -> None:
        """Raises GenOpsError, OSError."""
        from .backends.artifacts import ProfileArtifacts

        shown = await self.get_profile(profile_id)
        if not shown.run_id:
            return
        folder = contained(self.root, profile_id)
        files = [] if shown.trace_target else [shown.trace_path, *map(str, folder.glob(REPORT))]
        figures: dict[str, float] = {}
        columns = folder / COLUMNS_ZIP
        try:
            if shown.summary is not None:
                summary = folder / SUMMARY
                await asyncio.to_thread(summary.write_bytes, msgspec.json.encode(shown.summary))
                await self.worker.call(TraceAnalysis.zip_columns, str(folder), str(columns))
                files += [str(columns), str(summary)]
                figures = metrics(shown.summary)
            await self._mlflow.ensure()
            artifact = f"profiles/{profile_id}"
            await self._mlflow.worker.call(ProfileArtifacts.keep, shown.run_id, artifact, files, figures)
        finally:
            await asyncio.to_thread(columns.unlink, missing_ok=True)
        if not shown.trace_target:
            await self.update(profile_id, artifact=f"{artifact}/{Path(shown.trace_path).name}")
        self._events.emit("run", shown.run_id)

    async def failed(self, profile_id: str, error: GenOpsError) -> None:
        """Mark a profile as failed, with the error."""
        await self.update(profile_id, state="failed", message=f"{error.message} {error.hint}".strip())

    async def update(self, profile_id: str, **changes: object) -> None:
        """Change fields of a profile and emit an event."""
        await asyncio.to_thread(self._profiles.change, profile_id, **changes)
        self._events.emit("profile", profile_id)


def _kept_name(source: Path) -> str:
    with source.open("rb") as stream:
        head = stream.read(len(SQLITE))
    if head.startswith(NCU_REPORT):
        return MEASURED
    return EXPORT if head == SQLITE else TRACE


def _keep_report(source: Path, folder: Path) -> None:
    """Keep the report of Nsight Systems next to the trace that was made from it."""
    report = source.with_name(REPORT)
    if report.is_file():
        report.replace(folder / REPORT)


def metrics(summary: ProfileSummary) -> dict[str, float]:
    """Return ``idle_percent`` and ``exposed_comm_percent`` of all devices' spans, and ``mfu_percent`` and
    ``usd_a_step`` where they are known.

    Without a device there is no idle time, and kernels that Nsight Compute ran one by one have none: these
    have no metric.
    """
    found: dict[str, float] = {}
    span = sum(device.span_us for device in summary.devices)
    if span > 0 and summary.measured is None:
        found["idle_percent"] = 100 * sum(device.idle_us for device in summary.devices) / span
        exposed = sum(device.exposed_comm_us for device in summary.devices)
        found["exposed_comm_percent"] = 100 * exposed / span
    mfu = None if summary.roofline is None else summary.roofline.mfu
    if mfu is not None:
        found["mfu_percent"] = 100 * mfu
    if summary.price is not None and summary.price.usd_a_step is not None:
        found["usd_a_step"] = summary.price.usd_a_step
    return {METRICS_PREFIX + name: value for name, value in found.items()}
