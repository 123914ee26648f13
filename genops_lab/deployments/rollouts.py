"""Carry out the start of a deployment and its updates: durable work that leads the requests to a revision."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError, NotFound, Unavailable
from genops_lab.core.store.work import OldToken
from genops_lab.core.tasks import TaskHandle
from genops_lab.core.work import Step, WorkKind, WorkService
from genops_lab.registry.models import ModelVersion

from .build_spec import KIND, POLL_S, spec
from .check import ModelChecker
from .hub_origin import origin_of
from .judging import FAILURE, JUDGES, Judging
from .logs import MAX_LOG_LINES
from .models import Deployment
from .policy import RolloutPolicy
from .record import KnownRevision, Record
from .targets.base import DeploymentTarget

if TYPE_CHECKING:
    from .records import Records

log = logging.getLogger("genops_lab")

T = TypeVar("T")

_LOG_END = 5
#: Lines of a scoring process about itself: the state has them already.
_STATES = ("starting: ", "running: ", "stopped: ")

#: How often a host that is not connected is looked at.
AWAY_S = 1.0


class Rollouts:
    """The steps: ``start`` a revision, wait until it can ``answer``, let it ``serve``.

    An update that fails leaves the earlier revision as it was: the failure becomes a note of the deployment. That of a
    first start becomes the deployment's own state (``shown.py: state_of``), so an earlier Lab cannot overwrite it.
    """

    def __init__(
        self,
        records: Records,
        target: DeploymentTarget,
        checker: ModelChecker,
        work: WorkService,
        warm_s: float,
        get: Callable[[str], Awaitable[Deployment]],
        changed: Callable[[str], None],
        judging: Judging,
    ) -> None:
        self._records = records
        self._target = target
        self._checker = checker
        self._work = work
        self._warm_s = warm_s
        self._get = get
        self._changed = changed
        self._judging = judging
        steps = {
            "start": self._start,
            "answer": self._until_it_answers,
            "judge": self._judge,
            "serve": self._serve,
        }
        work.register(
            WorkKind(KIND, {name: self._ending(step) for name, step in steps.items()}, self._give_up)
        )

    def _ending(self, step: Step) -> Step:
        """Return the step, which ends the update if it fails for any reason: an update without work never ends."""

        async def carried_out(
            handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]
        ) -> dict[str, Any]:
            try:
                return await self._connected(handle, plan, lambda: step(handle, plan, data))
            except OldToken:  # another Lab has the update
                raise
            except Exception as error:
                await self._end_update(handle, plan, error)
                raise

        return carried_out

    async def _connected(
        self, handle: TaskHandle, plan: dict[str, Any], does: Callable[[], Awaitable[T]]
    ) -> T:
        """Wait while the host is not connected, then do it again: it finds its results.

        A Lab that takes the work over may not be connected yet.
        """
        while True:
            try:
                await self._target.reach(plan["name"])
                return await does()
            except Conflict as error:
                if error.code != "not_connected":
                    raise
                said = f"{error.message} {error.hint} The work goes on then."
                if handle.task.message != said:
                    handle.progress(said)
                await asyncio.sleep(AWAY_S)

    async def _end_update(self, handle: TaskHandle, plan: dict[str, Any], why: Exception | None) -> None:
        """End the update, if need be in the record alone: its target may not answer, and its disk may be full."""
        reason = (
            why if why is None or isinstance(why, GenOpsError) else Failed(f"{type(why).__name__}: {why}.")
        )
        try:
            await self._connected(handle, plan, lambda: self._abandon(handle, plan, reason))
        except OldToken:
            raise
        except Exception as error:
            log.warning("The update of %s was not ended on its target: %s", plan["name"], error)
            await self._close(plan, reason)

    async def _close(self, plan: dict[str, Any], reason: GenOpsError | None) -> None:
        """End the update in the record. A store that does not answer is asked again, under the lease of the work."""
        while True:
            try:
                record, revision, updates = await self._asked_for(plan)
                if updates:
                    note = f"{_ended(revision, reason)} Its processes may still run for a while."
                    await asyncio.to_thread(
                        self._records.end_update, record, revision.id, done=False, note=note
                    )
                    self._changed(record.name)
                return
            except NotFound:  # deleted, or ended already
                return
            except Unavailable:
                await asyncio.sleep(AWAY_S)

    async def _start(self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Start the revision on its target, with the files that were checked or that it has already."""
        record, revision, _updates = await self._asked_for(plan)
        if plan.get("left"):
            raise Failed("JupyterLab ended while it was updated.", hint="Deploy the version again.")
        handle.progress("Preparing the files.")
        files = origin = None
        if (await self._target.observe(record.name)).revision(revision.id) is None:
            if "version" not in plan:
                raise Failed(
                    f"The files of revision {revision.number} are gone.",
                    hint=f"Deploy version {revision.version} again.",
                )
            version = msgspec.convert(plan["version"], ModelVersion)
            files = await self._checker.take(version, plan["digest"], tuple(plan["stamp"]))
            origin = origin_of(version)
        await self._work.hold(handle)
        check = self._work.check(handle)
        asked = spec(record, revision, warm_s=self._warm_s, files=files, origin=origin)
        asked = replace(asked, since=record.generation if plan.get("again") else 0)
        if plan.get("replace_first"):
            asked = replace(asked, beside=())
        await self._target.apply(asked, record.generation, handle.say, check=check)
        self._changed(record.name)
        return data

    async def _until_it_answers(
        self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]
    ) -> dict[str, Any]:
        record, revision, updates = await self._asked_for(plan)
        handle.progress("Loading the model.")
        copying = asyncio.ensure_future(self._copy_log(handle, record.name, revision.id))
        try:
            while True:
                await self._asked_for(plan)
                if not updates:
                    await self._get(record.name)  # which notes the state
                seen = await self._target.observe(record.name)
                if seen.away:
                    handle.progress(seen.away)
                    await asyncio.sleep(POLL_S)
                    continue
                found = seen.revision(revision.id)
                if found is not None and found.state not in ("preparing", "starting"):
                    await asyncio.wait([copying], timeout=2 * POLL_S)  # for the last lines of its log
                if found is None and not updates:
                    raise Failed(f"{record.name} is no longer on {record.target}.", hint="Deploy it again.")
                if found is None or found.state in ("failed", "ended", "stopped", "stopping"):
                    if not updates and found is not None and found.state in ("stopped", "stopping"):
                        return {"message": "Stopped before it was ready."}
                    reason = (found.reason if found else "") or "It ended before it was ready."
                    raise Failed(reason, hint=found.hint if found else "Deploy the version again.")
                if found.state == "running":
                    return {}
                await asyncio.sleep(POLL_S)
        finally:
            copying.cancel()

    async def _judge(self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Let the gateway share the requests and judge, until one of both revisions has all of them.

        The gateway goes on without a Lab. A Lab that comes later begins the same rollout again and finds its state.
        """
        record, revision, updates = await self._asked_for(plan)
        if data.get("message") or not updates or not plan.get("rollout"):
            return data
        await self._work.hold(handle)
        policy = msgspec.convert(plan["rollout"], RolloutPolicy)
        # First the rollout, then the route: else the new revision had requests that nobody counts.
        await self._judging.begin(record, revision, policy)
        await self._route(record, handle, {record.revision: 1, revision.id: 1})
        found = await self._judging.until_it_ends(handle, record, revision, lambda: self._asked_for(plan))
        if found.state == "promoted":
            return data
        ended = Failed(found.why, hint=f"Its evidence: genops deployments show {record.name}")
        judged = found.by in JUDGES
        await self._abandon(handle, plan, ended, by_person=not judged)
        if judged:
            raise ended
        return {"message": found.why}  # a person wanted it: nothing has failed

    async def _serve(self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Make the revision the current one and route the requests to it. The revision before stays warm."""
        if data.get("message"):  # it was stopped or rolled back
            return data
        record, revision, updates = await self._asked_for(plan)
        before = record.known(record.revision)
        if updates:
            await self._work.hold(handle)
            record = await asyncio.to_thread(self._records.end_update, record, revision.id, done=True)
        try:
            await self._route(record, handle)
        except GenOpsError:
            # Else the gateway has the route of before, and `keep` starts it again.
            if not updates and not plan.get("settings"):
                await self._end(record, handle)
            raise
        if plan.get("rollout"):  # also by a Lab after the one that made it the current one
            await self._judging.end(record, revision)
        self._changed(record.name)
        found = await self._get(record.name)
        if not updates or before is None:
            path = "/invocations" if found.serving is None else "/v1"
            return {"message": f"{record.name} answers at {found.url}{path}."}
        return {
            "message": f"Revision {revision.number} ({revision.model} version {revision.version}) answers."
        }

    async def _route(self, record: Record, handle: TaskHandle, weights: dict[int, int] | None = None) -> None:
        asked = spec(record, warm_s=self._warm_s, weights=weights or {record.revision: 100})
        await self._target.apply(asked, record.generation, handle.say)

    async def _end(self, record: Record, handle: TaskHandle) -> Record:
        asked = await asyncio.to_thread(self._records.change, record, asks=True)
        await self._target.apply(spec(asked, warm_s=self._warm_s, wanted=0), asked.generation, handle.say)
        return asked

    async def _abandon(
        self,
        handle: TaskHandle,
        plan: dict[str, Any],
        reason: GenOpsError | None,
        *,
        by_person: bool = False,
    ) -> None:
        """End the revision of an update; the current one goes on, or is started again if it was stopped first."""
        record, revision, _ = await self._asked_for(plan)
        current = record.known(record.revision)
        if record.wanted.update != revision.id or current is None:
            return
        end = await self._log_end(record, revision)  # before its stop is the end
        record = await asyncio.to_thread(self._records.change, record, asks=True)
        judged = (await self._target.observe(record.name)).rollout
        begun = judged is not None and judged.id == str(revision.id)
        rollout = plan.get("rollout") or (begun and plan.get("left"))
        if rollout:
            by = FAILURE if reason is not None else "a person who cancelled it"
            await self._judging.roll_back(record.name, str(revision.id), by)
            await self._route(record, handle)
        asked = spec(record, warm_s=self._warm_s)
        asked = replace(asked, beside=tuple(each for each in asked.beside if each != revision.id))
        if plan.get("replace_first"):
            await self._target.apply(replace(asked, since=record.generation), record.generation, handle.say)
            handle.progress(f"Starting revision {current.number} again.")
            await self._until_current_runs(record)
            await self._route(record, handle)
        else:
            # Without its longer lease, which a full disk does not take: the update would never end.
            await self._target.apply(replace(asked, lease_until=0.0), record.generation, handle.say)
        note = _ended(revision, reason, "was rolled back" if begun and rollout else "did not start")
        if reason is not None and end and reason.message not in end and not by_person:
            note += f" Its log ends: {end[:200]}"
        note += f" Revision {current.number} goes on."
        if rollout:
            await self._judging.end(record, revision)
        record = await asyncio.to_thread(self._records.end_update, record, revision.id, done=False, note=note)
        self._changed(record.name)
        try:
            await self._target.apply(spec(record, warm_s=self._warm_s), record.generation, handle.say)
        except GenOpsError as error:
            handle.say(f"The time of revision {current.number} was not extended: {error.message}")

    async def _log_end(self, record: Record, revision: KnownRevision) -> str:
        """Return the last line of a revision's log that is more than a state; empty without any."""
        parts = [each async for each in self._target.logs(record.name, revision.id, lines=_LOG_END)]
        lines = [line.strip() for part in parts for line in part]
        return next((each for each in reversed(lines) if each and not each.startswith(_STATES)), "")

    async def _until_current_runs(self, record: Record) -> None:
        while True:
            found = (await self._target.observe(record.name)).revision(record.revision)
            if found is None or found.state not in ("preparing", "starting"):
                return
            await asyncio.sleep(POLL_S)

    async def _copy_log(self, handle: TaskHandle, name: str, revision: int) -> None:
        copied = Counter(handle.lines)  # lines that the Lab before this one has copied
        async for lines in self._target.logs(name, revision, lines=MAX_LOG_LINES, follow=True):
            for line in lines:
                if copied[line] > 0:
                    copied[line] -= 1
                else:
                    handle.say(line)

    async def _give_up(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> None:
        try:
            record, _revision, updates = await self._asked_for(plan)
        except NotFound:
            return
        if updates:
            await self._end_update(handle, plan, None)
            return
        found = await self._get(record.name)
        if found.state == "running" or not record.active:
            return  # it is ready already: only the task is cancelled
        asked = await self._end(record, handle)
        await asyncio.to_thread(
            self._records.change, asked, state="stopped", message="Cancelled before it was ready.", hint=""
        )
        self._changed(record.name)

    async def _asked_for(self, plan: dict[str, Any]) -> tuple[Record, KnownRevision, bool]:
        """Return the deployment of the work, its revision, and whether this is an update in progress.

        Raises NotFound if the deployment was deleted, even if a new one has its name.
        """
        record = await asyncio.to_thread(self._records.get, plan["name"])
        if record.created_at != plan["created_at"]:
            raise NotFound(
                f"The deployment {record.name!r} was deleted.", hint="A new deployment has its name."
            )
        revision = record.known(plan.get("revision", record.revision))
        if revision is None:
            raise NotFound(f"{record.name!r} no longer has this revision.", hint="Deploy its version again.")
        if revision.id not in (record.revision, record.wanted.update):
            raise NotFound(f"The update of {record.name!r} was cancelled.", hint="Deploy the version again.")
        return record, revision, record.wanted.update == revision.id


def _ended(revision: KnownRevision, reason: GenOpsError | None, how: str = "did not start") -> str:
    """Return the sentence of an update that has ended, without the current revision."""
    what = f"Revision {revision.number} ({revision.model} version {revision.version})"
    return f"{what} was cancelled." if reason is None else f"{what} {how}: {reason.message}"
