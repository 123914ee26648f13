"""Limit a kernel on another host to its own runs, in the operations that admit it.

The host is not trusted. Its statements about itself are replaced by what the Lab knows, texts are bounded,
and no path of the Lab's machine is sent. This module has all of these rules; an operation without a rule here
is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from genops_lab.core.errors import GenOpsError, InvalidRequest, NotAllowed, NotFound
from genops_lab.core.operations import Operation
from genops_lab.core.paths import private_dir
from genops_lab.core.principals import Principal
from genops_lab.evaluations.models import EvaluationReport, LoggedPredictions
from genops_lab.experiments.limits import moment
from genops_lab.experiments.models import (
    ResumableRun,
    ResumeRequest,
    TrackedProcess,
    TrackingAck,
    TrackingBatch,
    TrackingEvent,
)
from genops_lab.genai.evaluations.models import KernelEvaluation, NewKernelEvaluation
from genops_lab.profiling.models import NewProfile, Profile

from .uploads import IncomingFiles

if TYPE_CHECKING:
    from genops_lab.experiments.tracking import TrackingService

MAX_EVENTS = 1000
MAX_OPEN_RUNS = 200
MAX_TITLE = 500
MAX_NAME = 100
MAX_TEXT = 10_000
_MAX_PID = 2**31
_KEY = re.compile(r"[0-9a-f]{32}")

#: The operation itself, with its service.
Do = Callable[..., Awaitable[Any]]


class KernelAuthority:
    """The authority of one kernel."""

    def __init__(
        self,
        kernel: Principal,
        tracking: TrackingService,
        profiles_dir: Path,
        files: IncomingFiles,
        started: Callable[[Principal], None],
    ) -> None:
        self._kernel = kernel
        self._tracking = tracking
        self._profiles_dir = profiles_dir
        self._files = files
        self._started = started
        self._own_profiles: set[str] = set()

    async def call(self, operation: Operation, service: Any, arguments: dict[str, Any]) -> Any:
        """Run an operation within this kernel's authority. Raises NotAllowed, and what the operation raises."""
        rule = RULES.get(operation.id)
        if rule is None:
            raise NotAllowed(
                f"Kernels on other hosts may not use {operation.id}.",
                hint="Use the panel, or `genops` in a terminal of the Lab.",
            )
        return await rule(self, partial(operation.function, service), **arguments)

    async def _as_asked(self, do: Do, **arguments: Any) -> Any:
        """Run an operation that itself reads which kernel asks
        (:func:`genops_lab.core.principals.asking_kernel`), or returns nothing of the Lab's machine."""
        return await do(**arguments)

    async def _track(self, do: Do, body: TrackingBatch) -> TrackingAck:
        if len(body.events) > MAX_EVENTS:
            raise InvalidRequest(
                f"A request has at most {MAX_EVENTS:,} events; this one has {len(body.events):,}.",
                hint=f"Send at most {MAX_EVENTS:,}.",
            )
        starts = any(event.seq == 1 for event in body.events)
        if starts:
            await self._check_open_runs(body.run_key)
        tickets = [_source(event) for event in body.events if event.kind == "file"]
        events = [await self._with_file(event) if event.kind == "file" else event for event in body.events]
        batch = TrackingBatch(run_key=body.run_key, process=self._process(body.process), events=events)
        try:
            ack: TrackingAck = await do(body=batch)
        except RecursionError as error:
            raise InvalidRequest("The events are nested too deeply.", hint="Send less.") from error
        for ticket in tickets:
            await asyncio.to_thread(self._files.discard, self._kernel, ticket)
        if starts:
            self._started(self._kernel)
        shown = ack.tracking_uri if ack.tracking_uri.startswith(("http://", "https://")) else ""
        return msgspec.structs.replace(ack, tracking_uri=shown)

    async def _resume(self, do: Do, body: ResumeRequest) -> ResumableRun:
        """Resume a run of this host."""
        asked = ResumeRequest(run=body.run[:MAX_TITLE], process=self._process(body.process))
        found: ResumableRun = await do(body=asked)
        return found

    async def _add_profile(self, do: Do, body: NewProfile) -> Profile:
        """Add a profile of an uploaded trace; ``trace_path`` is its ticket."""
        await self._check_run(body.run_id)
        trace = await asyncio.to_thread(self._move_trace, body.trace_path)
        try:
            return self._for_kernel(await do(body=self._bounded(body, str(trace))))
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, trace.parent, True)
            raise

    async def _add_profile_beside(self, do: Do, body: NewProfile) -> Profile:
        """Add a profile of a trace that stays on this host; ``trace_path`` is its path on the host."""
        await self._check_run(body.run_id)
        return self._for_kernel(await do(body=self._bounded(body, body.trace_path)))

    async def _get_profile(self, do: Do, profile_id: str) -> Profile:
        if profile_id not in self._own_profiles:
            raise NotAllowed(
                f"The profile {profile_id[:64]!r} does not belong to this kernel.",
                hint="Open it in the panel.",
            )
        return self._for_kernel(await do(profile_id=profile_id))

    async def _log_predictions(self, do: Do, body: LoggedPredictions) -> EvaluationReport:
        """Keep predictions; ``path`` is the ticket of their file, and no file of the Lab's machine is data."""
        if not _KEY.fullmatch(body.key):
            raise InvalidRequest(
                "The predictions have no key.", hint="Send a random one, 32 hexadecimal digits."
            )
        if not body.digest and (body.data.startswith("~") or "/" in body.data or "\\" in body.data):
            raise NotAllowed(
                f"A kernel on another host cannot name a file of the Lab's machine: {body.data[:80]!r}.",
                hint="Give NAME@DIGEST of a data set that MLflow knows, or a file of the kernel's host.",
            )
        file = await asyncio.to_thread(self._files.take, self._kernel, body.path, "predictions")
        own = hashlib.sha256(f"{self._kernel.target}\n{self._kernel.name}\n{body.key}".encode()).hexdigest()
        asked = msgspec.structs.replace(
            body, path=str(file), key=own[:32], place=self._kernel.target, source=body.source[:MAX_TEXT],
            source_type=body.source_type[:MAX_TITLE], data=body.data[:MAX_TITLE], digest=body.digest[:MAX_TITLE],
        )  # fmt: skip
        try:
            found: EvaluationReport = await do(body=asked)
        except GenOpsError as error:
            if error.code != "file_gone":  # its message has a path of the Lab's machine
                raise
            raise InvalidRequest(
                f"The file of the data set {body.data[:80]!r} is gone.", hint="Give the labels: labels=y."
            ) from None
        await asyncio.to_thread(self._files.discard, self._kernel, body.path)
        return found

    async def _evaluate(self, do: Do, body: NewKernelEvaluation) -> KernelEvaluation:
        """Ask for an evaluation; ``rows`` is the ticket of their file. The service checks the text, and asks a user."""
        file = await asyncio.to_thread(self._files.take, self._kernel, body.rows, "rows")
        asked = msgspec.structs.replace(
            body, rows=str(file), name=body.name[:MAX_NAME], rows_name=body.rows_name[:MAX_NAME]
        )
        found: KernelEvaluation = await do(body=asked)
        await asyncio.to_thread(self._files.discard, self._kernel, body.rows)
        return found

    def _bounded(self, body: NewProfile, trace_path: str) -> NewProfile:
        """Return a kernel's profile with bounded texts."""
        return NewProfile(
            trace_path=trace_path,
            title=body.title[:MAX_TITLE],
            run_id=body.run_id,
            notebook=body.notebook[:MAX_TITLE],
            target=self._kernel.target,
            usd_per_hour=body.usd_per_hour,
        )

    def _for_kernel(self, profile: Profile) -> Profile:
        """Return a profile for this kernel, without paths of the Lab's machine."""
        self._own_profiles.add(profile.id)
        trace_path = profile.trace_path if profile.trace_target else ""
        return msgspec.structs.replace(profile, artifact="", trace_path=trace_path)

    async def _check_run(self, run_id: str) -> None:
        owner = await self._tracking.owner_of(run_id) if run_id else None
        if run_id and (
            owner is None or (owner.place, owner.kernel_id) != (self._kernel.target, self._kernel.name)
        ):
            raise NotAllowed(
                f"The run {run_id[:64]!r} does not belong to this kernel.",
                hint="Profile within a run of this kernel, or without a run.",
            )

    async def _check_open_runs(self, run_key: str) -> None:
        runs = await self._tracking.open_runs_at(self._kernel.target)
        mine = [run.run_key for run in runs if run.process.kernel_id == self._kernel.name]
        if len(mine) >= MAX_OPEN_RUNS and run_key not in mine:
            raise NotAllowed(f"This kernel has {len(mine)} open runs.", hint="End some of them: genops.end()")

    def _process(self, given: TrackedProcess) -> TrackedProcess:
        if not 0 < given.pid < _MAX_PID:
            raise InvalidRequest(
                f"{str(given.pid)[:20]} is not a process id.", hint="Send the pid of the sender."
            )
        return TrackedProcess(
            pid=given.pid,
            created=moment(given.created),
            kernel_id=self._kernel.name,
            notebook=given.notebook[:MAX_TITLE],
            place=self._kernel.target,
        )

    async def _with_file(self, event: TrackingEvent) -> TrackingEvent:
        """Return the event with the file's path on this machine; a kernel sends no ticket for a file that it
        lost."""
        data: dict[str, Any] = {"path": event.data.get("path")}
        if ticket := _source(event):
            data["source"] = str(await asyncio.to_thread(self._files.take, self._kernel, ticket, "artifact"))
        else:
            data["why"] = str(event.data.get("why") or "The file was gone before it was read.")
        return msgspec.structs.replace(event, data=data)

    def _move_trace(self, ticket: str) -> Path:
        trace = self._files.take(self._kernel, ticket, "trace")
        target = private_dir(self._profiles_dir / uuid.uuid4().hex) / "trace.json.gz"
        try:
            trace.replace(target)
        except OSError as error:
            raise NotFound(
                f"The trace does not exist any more: {error.strerror}.", hint="Upload it again."
            ) from error
        self._files.discard(self._kernel, ticket)
        return target


#: By the operations' ids; each gets the operation and its arguments.
RULES: Final[dict[str, Callable[..., Awaitable[Any]]]] = {
    "experiments.wake": KernelAuthority._as_asked,
    "experiments.track": KernelAuthority._track,
    "experiments.resume": KernelAuthority._resume,
    "profiling.add_profile": KernelAuthority._add_profile,
    "profiling.add_profile_beside": KernelAuthority._add_profile_beside,
    "profiling.get_profile": KernelAuthority._get_profile,
    "evaluations.log_predictions": KernelAuthority._log_predictions,
    "kernels.ask_to_pull": KernelAuthority._as_asked,
    "kernels.get_pull": KernelAuthority._as_asked,
    "answer_evaluations.ask_to_evaluate": KernelAuthority._evaluate,
    "answer_evaluations.get_kernel_evaluation": KernelAuthority._as_asked,
    "answer_evaluations.cancel_kernel_evaluation": KernelAuthority._as_asked,
    "prompts.get_prompt_version": KernelAuthority._as_asked,
    "kernel_api.offer_file": KernelAuthority._as_asked,
}


def _source(event: TrackingEvent) -> str:
    return str(event.data.get("source") or "")
