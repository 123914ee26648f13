"""Captured profiles."""

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
#: An export of Nsight Systems, which its reader maps as it is, and the report that it was made of.
EXPORT, REPORT = "trace.sqlite", "report.nsys-rep"
#: A report of Nsight Compute.
MEASURED = "measured.ncu-rep"
#: The number of a launch in one.
NUMBER_DIGITS = 9
#: USD an hour, None where there is none; and the target whose price it is.
Price = tuple[float | None, str]
WORKER_IDLE_S = 120.0
CLOSE_TIMEOUT_S = 15.0

METRICS_PREFIX = "profile/"


class ProfilesService(Service):
    """Keeps traces, has them analysed near the data, and attaches them to their runs."""

    def __init__(
        self,
        settings: Settings,
        mlflow: MlflowConnection,
        store: LocalStore,
        events: EventBus,
        price_of: Callable[[str], float | None],
    ) -> None:
        # The routes' table needs this class alone; SQLAlchemy costs 135 ms.
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
        #: what a target costs an hour in USD, None where it has no price; blocks
        self._price_of = price_of

    async def list_profiles(self, query: PageQuery = FIRST) -> Page[Profile]:
        """The profiles, newest first."""
        return await asyncio.to_thread(self._profiles.page, query)

    async def get_profile(self, profile_id: str) -> Profile:
        """A profile with its summary."""
        return await asyncio.to_thread(self._profiles.get, profile_id)

    async def profile_flame(self, profile_id: str, query: RankQuery = NO_RANK) -> Flame:
        """What called what in a profile's trace, with the host's time and the device time it started."""
        return await self.worker.call(TraceAnalysis.flame, *await self.place(profile_id), query.rank)

    async def kernel_metrics(self, profile_id: str, number: str, query: RankQuery = NO_RANK) -> KernelMetrics:
        """All that Nsight Compute measured of a launch, by its number in the report."""
        if not number.isdecimal() or len(number) > NUMBER_DIGITS:
            raise InvalidRequest(f"{number!r} is no launch.", hint="Give the number of one, from 0.")
        place = await self.place(profile_id)
        return await self.worker.call(TraceAnalysis.kernel_metrics, *place, query.rank, int(number))

    async def difference(self, query: ComparedProfiles) -> Difference:
        """Two profiles side by side. Raises NotFound, Conflict while one is analysed, and Failed where that failed."""
        return await self.worker.call(
            TraceAnalysis.difference, await self._kept(query.before), await self._kept(query.after)
        )

    async def _kept(self, profile_id: str) -> Kept:
        folder, trace = await self.place(profile_id)
        summary = (await self.get_profile(profile_id)).summary
        if summary is None:
            raise Failed("The profile was kept without a summary.", hint="Capture it again.")
        return folder, trace, summary

    async def expect_profile(self) -> None:
        """Start what analyses profiles, which takes a second, while a kernel records one."""
        await self.worker.call(TraceAnalysis.ready)

    async def add_profile(self, body: NewProfile) -> Profile:
        """Analyse a trace that a kernel wrote, and keep it as an artifact of its run.

        A step has the price that is given, else that of the kernel's target. The answer comes with the analysis; the
        artifact follows, and an event tells it.
        """
        source = await asyncio.to_thread(self._accept, body.trace_path)
        price = await asyncio.to_thread(self.price, body)
        # A kernel knows the file; the Lab opens it by its own name for it.
        notebook = contents_path(body.notebook, str(self._root_dir or "")) or body.notebook
        body = msgspec.structs.replace(body, notebook=notebook)
        size = (await asyncio.to_thread(source.stat)).st_size
        name = await asyncio.to_thread(_kept_name, source)
        profile_id, folder = await self.begin(body, "", size, name)
        await self._analyze(profile_id, source, folder, price)
        self.go_on(self._keep(profile_id, source, folder / name))
        return await self.get_profile(profile_id)

    async def open_profile(self, body: OpenedFile) -> Profile:
        """Make a profile of a trace below the server's folder, or find the one that was made of it.

        A folder stands for the traces of several ranks in it. The trace stays where it is. The answer comes before
        the analysis, whose end an event tells.
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
        """Remember a profile whose analysis begins; its id and its folder, where its trace will be as ``name``
        unless ``trace_path`` is given."""
        profile_id = secrets.token_hex(6)
        folder = await asyncio.to_thread(private_dir, self.root / profile_id)
        trace_path = trace_path or str(folder / name)
        await asyncio.to_thread(self._profiles.begin, profile_id, asked, trace_path, size_bytes)
        self._events.emit("profile", profile_id)
        return profile_id, folder

    async def place(self, profile_id: str) -> tuple[str, str]:
        """The folder of a profile that is ready, and its trace. Raises NotFound, Conflict while it is analysed, and
        Failed where that failed."""
        profile = await self.get_profile(profile_id)
        if profile.state == "analyzing":
            raise Conflict(f"{profile.title!r} is still being analysed.", hint="Try again in a moment.")
        if profile.state == "failed":
            raise Failed(f"{profile.title!r} could not be analysed.", hint=profile.message)
        trace = await asyncio.to_thread(self._profiles.trace_path, profile_id)
        return str(contained(self.root, profile_id)), trace

    async def delete_profile(self, profile_id: str) -> None:
        """Delete a profile and its trace here (the run's artifact stays)."""
        await self.get_profile(profile_id)
        await asyncio.to_thread(self._profiles.delete, profile_id)
        folder = contained(self.root, profile_id)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        self._events.emit("profile", profile_id)

    async def close(self) -> None:
        """Let traces be put where they belong, then end the worker."""
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=CLOSE_TIMEOUT_S)
        await self.worker.stop()

    def go_on(self, work: Coroutine[None, None, None]) -> None:
        """Do work that nobody waits for, and finish it before the end."""
        keeping = asyncio.create_task(work)
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)

    def price(self, body: NewProfile) -> Price:
        """The price an hour that holds for a profile. Raises InvalidRequest for one that is none. Blocks."""
        if body.usd_per_hour is None:
            return (self._price_of(body.target) if body.target else None), body.target
        if not math.isfinite(body.usd_per_hour) or body.usd_per_hour < 0:
            raise InvalidRequest(
                f"{body.usd_per_hour} is no price an hour.", hint="Give USD an hour, 0 or more."
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
        """A trace or a folder of traces, the bytes of all, and when one of them changed last."""
        from .engine.reading.kinds_of_files import files_of

        if self._root_dir is None:
            raise InvalidRequest(
                "No Jupyter server shows its files here.", hint="Open the file in JupyterLab's file browser."
            )
        source = contained(self._root_dir, path.lstrip("/"))
        if not source.exists():
            raise NotFound(f"There is no file {path!r} in the server's folder.", hint="Check the path.")
        # A link in a folder may lead out of the server's.
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
        """Pack the trace into the profile's folder, then give the profile to its run."""
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
        """Put what there is of a profile with its run, if it has one: the trace unless it lies elsewhere, columns,
        summary, metrics. The profile itself tells what did not work."""
        try:
            await self._give_to_run(profile_id)
        except (GenOpsError, OSError) as error:
            await self._not_given(profile_id, error)

    async def _not_given(self, profile_id: str, error: Exception) -> None:
        log.warning("profile %s: %s", profile_id, error)
        known = (await self.get_profile(profile_id)).message
        reason = f"The trace could not be put with its run: {error}"
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
        """Say why a profile could not be analysed."""
        await self.update(profile_id, state="failed", message=f"{error.message} {error.hint}".strip())

    async def update(self, profile_id: str, **changes: object) -> None:
        """Change what is remembered of a profile, and tell it."""
        await asyncio.to_thread(self._profiles.change, profile_id, **changes)
        self._events.emit("profile", profile_id)


def _kept_name(source: Path) -> str:
    with source.open("rb") as stream:
        head = stream.read(len(SQLITE))
    if head.startswith(NCU_REPORT):
        return MEASURED
    return EXPORT if head == SQLITE else TRACE


def _keep_report(source: Path, folder: Path) -> None:
    """What Nsight Systems itself opens stays beside the trace that was made of it."""
    report = source.with_name(REPORT)
    if report.is_file():
        report.replace(folder / REPORT)


def metrics(summary: ProfileSummary) -> dict[str, float]:
    """``idle_percent`` and ``exposed_comm_percent`` of all devices' spans, ``mfu_percent`` and
    ``usd_a_step`` where they are known.

    Without a device there is no idle time to speak of, nor of kernels that Nsight Compute ran one by one: no metric.
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
