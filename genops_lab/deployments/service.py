"""Deploy models and keep track of their deployments."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub
from genops_lab.core.paging import FIRST, Page, PageQuery
from genops_lab.core.paths import private_dir
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.core.tasks import TaskHandle
from genops_lab.registry.models import ModelVersion

from .check import ModelChecker, refuse_misleading
from .logs import MAX_LOG_LINES
from .models import (
    CheckDeploy,
    DeployCheck,
    Deployment,
    DeploymentKey,
    DeploymentState,
    KeyedDeployment,
    LogLines,
    LogQuery,
    LogTail,
    NewDeployment,
)
from .names import check_name, default_name
from .record import ACTIVE, Record, Wanted, name_in_use
from .supervision import Supervision
from .targets.base import DeploymentSpec, DeploymentTarget, Observed, Revision

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from genops_lab.core.store import LocalStore
    from genops_lab.core.store.work import Work, WorkTable
    from genops_lab.core.work import WorkService
    from genops_lab.registry.service import RegistryService

log = logging.getLogger("genops_lab")

_POLL_S = 0.15
#: The kind of durable work that starts a deployment; its subject is ``deployment:<name>``.
KIND = "deployment"


class DeploymentsService(Service):
    """Start, observe and stop deployments.

    Durable work starts a deployment: if JupyterLab ends meanwhile, the next one continues.
    """

    def __init__(
        self,
        settings: Settings,
        registry: RegistryService,
        store: LocalStore,
        events: EventBus,
        live: LiveHub,
        work: WorkService,
        works: WorkTable,
        target: DeploymentTarget,
    ) -> None:
        # Imported late: the table of routes needs only this class, and SQLAlchemy costs 135 ms.
        from genops_lab.core.work import WorkKind

        from .records import Records

        self._lease_s = settings.deployment_lease_s
        self._registry = registry
        self._events = events
        self._work, self._works = work, works
        self._target = target
        self._records = Records(store)
        root = private_dir(settings.data_dir / "deployments")
        self._checker = ModelChecker(root / ".checked", registry, store, target.capabilities(), settings)
        self._supervision = Supervision(self._look, target, events, live)
        work.register(WorkKind(KIND, {"start": self._start, "answer": self._until_it_answers}, self._give_up))

    async def supervise(self) -> None:
        """Watch processes and leases until cancelled; one JupyterLab of a user does this."""
        await self._supervision.run()

    async def list_deployments(self, query: PageQuery = FIRST) -> Page[Deployment]:
        """List deployments, newest first."""
        page = await asyncio.to_thread(self._records.page, query)
        return Page(items=await self._observed(page.items), next=page.next)

    async def serving(self, run_ids: set[str]) -> list[str]:
        """Return the names of active deployments of models that these runs logged."""
        found = []
        for each in await self._look():
            if each.state not in ACTIVE:
                continue
            with contextlib.suppress(GenOpsError):  # the version was deleted, so its run is unknown
                version = await self._registry.resolve(each.model, each.version)
                if version.run_id in run_ids:
                    found.append(each.name)
        return found

    async def of_model(self, model: str) -> dict[str, list[str]]:
        """Return the names of active deployments of a model, by version."""
        return {
            version: names for (name, version), names in (await self.of_versions()).items() if name == model
        }

    async def of_versions(self) -> dict[tuple[str, str], list[str]]:
        """Return the names of active deployments, by model and version."""
        found: dict[tuple[str, str], list[str]] = {}
        for each in await self._look():
            if each.state in ACTIVE:
                found.setdefault((each.model, each.version), []).append(each.name)
        return found

    async def get_deployment(self, name: str) -> Deployment:
        """Return a deployment."""
        # Read the work first: the record then has everything that the work did before.
        works = await asyncio.to_thread(self._works.latest, KIND)
        return await self._observe(await asyncio.to_thread(self._records.get, name), works)

    async def get_deployment_key(self, name: str) -> DeploymentKey:
        """Return the key of an active deployment."""
        found = await self.get_deployment(name)
        key = await self._target.key(name) if found.state in ACTIVE else ""
        if not key:
            raise Conflict(f"{name!r} is {found.state}: it has no key.", hint="Wait until it is running.")
        return DeploymentKey(name=name, key=key)

    async def get_keyed_deployment(self, name: str) -> KeyedDeployment:
        """Return a deployment with its key."""
        found = await self.get_deployment(name)
        key = await self._target.key(name) if found.state in ACTIVE else ""
        return KeyedDeployment(**msgspec.structs.asdict(found), key=key)

    async def check_deploy(self, body: CheckDeploy) -> DeployCheck:
        """Check a version before it is deployed: origin, files, environment, lifetime."""
        version = await self._registry.resolve(body.model, body.version)
        return (await self._checker.check(version)).check

    async def deploy(self, body: NewDeployment) -> Deployment:
        """Deploy a model version; a task reports the progress."""
        from .records import KeyUsed

        name = check_name(body.name) if body.name else default_name(body.model)
        earlier = await asyncio.to_thread(self._records.keyed, body.idempotency_key)
        if earlier is not None:
            return await self.get_deployment(earlier.name)
        await self._refuse_active(name)
        version = await self._registry.resolve(body.model, body.version)
        checked = await self._checker.check(version)
        refuse_misleading(checked.check)
        if not checked.check.trusted and body.trust != checked.check.digest:
            raise _unconfirmed(checked.check, changed=bool(body.trust))
        now = time.time()
        wanted = Wanted(lease_s=self._lease_s, allow_pickle=checked.allow_pickle)
        # A number that no earlier revision of this name has, even if the store was lost.
        revision = int(now * 1000)
        record = Record(
            name=name,
            model=version.name,
            version=version.version,
            target=self._target.name,
            spec=msgspec.json.encode(wanted).decode(),
            revision=revision,
            generation=revision,
            state="preparing",
            message="Preparing the files.",
            created_at=now,
            lease_until=now + self._lease_s,
        )
        plan = {
            "name": name,
            "created_at": now,
            "version": msgspec.to_builtins(version),
            "digest": checked.check.digest,
            "stamp": checked.stamp,
        }

        def begin(connection: Connection) -> None:
            self._records.begin(connection, record, body.idempotency_key)

        title = f"Deploy {record.model} version {record.version} as {name}"
        try:
            await self._work.begin(KIND, plan, title=title, subject=_subject(name), also=begin)
        except KeyUsed:
            earlier = await asyncio.to_thread(self._records.keyed, body.idempotency_key)
            if earlier is None:
                raise NotFound(
                    "The deployment of this idempotency key was deleted.", hint="Deploy again with a new key."
                ) from None
            return await self.get_deployment(earlier.name)
        self._changed(name)
        return await self.get_deployment(name)

    async def _refuse_active(self, name: str) -> None:
        try:
            found = await self.get_deployment(name)
        except NotFound:
            return
        if found.url or found.state in ("preparing", "starting", "running", "stopping"):
            raise name_in_use(await asyncio.to_thread(self._records.get, name))

    # The steps of the durable work. Its failure becomes the record's (``_now``): an earlier Lab cannot overwrite it.

    async def _start(self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Start the deployment on its target with the files that were checked."""
        record = await self._asked_for(plan)
        handle.progress("Preparing the files.")
        files = None
        if (await self._target.observe(record.name)).revision(record.revision) is None:
            version = msgspec.convert(plan["version"], ModelVersion)
            files = await self._checker.take(version, plan["digest"], tuple(plan["stamp"]))
        await self._work.hold(handle)
        check = self._work.check(handle)
        await self._target.apply(_spec(record, files=files), record.generation, handle.say, check=check)
        self._changed(record.name)
        return data

    async def _until_it_answers(
        self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]
    ) -> dict[str, Any]:
        record = await self._asked_for(plan)
        handle.progress("Loading the model.")
        copying = asyncio.ensure_future(self._copy_log(handle, record))
        try:
            while True:
                await self._asked_for(plan)
                found = await self.get_deployment(record.name)
                if found.state not in ("preparing", "starting"):
                    await asyncio.wait([copying], timeout=2 * _POLL_S)  # for the last lines of its log
                if found.state == "running":
                    return {"message": f"{record.name} answers at {found.url}/invocations."}
                if found.state in ("failed", "ended"):
                    raise Failed(
                        found.message or f"{record.name} ended before it was ready.", hint=found.hint
                    )
                if found.state in ("stopped", "stopping"):
                    return {"message": "Stopped before it was ready."}
                await asyncio.sleep(_POLL_S)
        finally:
            copying.cancel()

    async def _copy_log(self, handle: TaskHandle, record: Record) -> None:
        copied = Counter(handle.lines)  # lines that the Lab before this one has copied
        async for lines in self._target.logs(record.name, record.revision, lines=MAX_LOG_LINES, follow=True):
            for line in lines:
                if copied[line] > 0:
                    copied[line] -= 1
                else:
                    handle.say(line)

    async def _give_up(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> None:
        try:
            record = await self._asked_for(plan)
        except NotFound:
            return
        found = await self.get_deployment(record.name)
        if found.state == "running" or not record.active:
            return  # it is ready already: only the task is cancelled
        asked = await asyncio.to_thread(self._records.change, record, asks=True)
        await self._target.apply(_spec(asked, wanted=0), asked.generation, handle.say)
        await asyncio.to_thread(
            self._records.change, asked, state="stopped", message="Cancelled before it was ready.", hint=""
        )
        self._changed(record.name)

    async def _asked_for(self, plan: dict[str, Any]) -> Record:
        """Return the deployment of the work. Raises NotFound if it was deleted, even if a new one has its name."""
        record = await asyncio.to_thread(self._records.get, plan["name"])
        if record.created_at != plan["created_at"]:
            raise NotFound(
                f"The deployment {record.name!r} was deleted.", hint="A new deployment has its name."
            )
        return record

    async def stop_deployment(self, name: str) -> Deployment:
        """Finish the requests in flight, then stop a deployment."""
        found = await self.get_deployment(name)
        record = await asyncio.to_thread(self._records.get, name)
        if not record.active:
            return found
        if found.state in ("preparing", "starting"):
            for work in await asyncio.to_thread(self._works.running, KIND, _subject(name)):
                await self._work.cancel(work)
            found = await self.get_deployment(name)
            record = await asyncio.to_thread(self._records.get, name)
            if not record.active:
                return found
        if found.state == "preparing":
            raise Conflict(
                f"Another GenOps Lab is preparing {name!r} and does not answer.",
                hint="It is cancelled once a GenOps Lab continues the work: genops deployments list",
            )
        message = "Finishing the requests in flight."
        record = await asyncio.to_thread(
            self._records.change, record, asks=True, state="stopping", message=message
        )
        self._changed(name)
        await self._target.apply(_spec(record, wanted=0), record.generation, log.debug)
        await asyncio.to_thread(self._records.change, record, state="stopped", message="Stopped.", hint="")
        self._changed(name)
        return await self.get_deployment(name)

    async def renew_deployment(self, name: str) -> Deployment:
        """Renew a deployment's lease."""
        found = await self.get_deployment(name)
        if found.state not in ("starting", "running"):
            raise Conflict(
                f"{name!r} is {found.state}: its time cannot be extended.", hint="Deploy the version again."
            )
        record = await asyncio.to_thread(self._records.get, name)
        record = await asyncio.to_thread(self._records.change, record, asks=True)
        until = time.time() + self._lease_s
        await self._target.apply(_spec(record, lease_until=until), record.generation, log.debug)
        await asyncio.to_thread(self._records.change, record, lease_until=until)
        self._changed(name)
        return await self.get_deployment(name)

    async def delete_deployment(self, name: str) -> None:
        """Delete a deployment that has ended, with its log; idempotent."""
        try:
            await self.get_deployment(name)
            record = await asyncio.to_thread(self._records.get, name)
        except NotFound:
            return
        if record.active:
            raise Conflict(
                f"{name!r} is {record.state}.", hint=f"Stop it first: genops deployments stop {name}"
            )
        await self._target.delete(name)
        await asyncio.to_thread(self._records.delete, record)
        self._changed(name)

    async def get_deployment_log(self, name: str, query: LogQuery) -> LogTail:
        """Return the last lines of a deployment's log."""
        record = await self._log_of(name, query)
        found = [each async for each in self._target.logs(name, record.revision, lines=query.lines)]
        return LogTail(name=name, lines=[line for lines in found for line in lines])

    async def follow_deployment_log(self, name: str, query: LogQuery) -> AsyncIterator[LogLines]:
        """Stream the last lines of a deployment's log, then new lines until the deployment ends."""
        record = await self._log_of(name, query)
        while (await self.get_deployment(name)).state == "preparing":
            await asyncio.sleep(_POLL_S)
        async for lines in self._target.logs(name, record.revision, lines=query.lines, follow=True):
            yield LogLines(lines=lines)

    async def _log_of(self, name: str, query: LogQuery) -> Record:
        if not 1 <= query.lines <= MAX_LOG_LINES:
            raise InvalidRequest(f"lines is {query.lines}.", hint=f"Request 1 to {MAX_LOG_LINES:,} lines.")
        return await asyncio.to_thread(self._records.get, name)

    def _changed(self, name: str) -> None:
        self._events.emit("deployment", name)
        self._supervision.wake()

    async def _look(self) -> list[Deployment]:
        return await self._observed(await asyncio.to_thread(self._records.all))

    async def _observed(self, records: list[Record]) -> list[Deployment]:
        found = []
        works = await asyncio.to_thread(self._works.latest, KIND)
        for record in records:
            with contextlib.suppress(NotFound):  # deleted meanwhile
                found.append(await self._observe(record, works))
        return found

    async def _observe(self, record: Record, works: dict[str, Work]) -> Deployment:
        """Compare the record with its target, store what changed, and return both as one deployment."""
        work = works.get(_subject(record.name))
        if work is not None and work.created_at < record.created_at:
            work = None
        seen = await self._target.observe(record.name)
        found = seen.revision(record.revision)
        now = self._now(record, found, work)
        if record.active and now != (record.state, record.message, record.hint):
            state, message, hint = now
            record = await asyncio.to_thread(
                self._records.observe, record, state=state, message=message, hint=hint
            )
            now = self._now(record, found, work)
        return self._deployment(record, now, seen if found is not None else Observed(), work)

    def _now(
        self, record: Record, found: Revision | None, work: Work | None
    ) -> tuple[DeploymentState, str, str]:
        if not record.active:
            return record.state, record.message, record.hint
        if found is not None and found.state != "preparing":
            if record.state == "stopping" and found.state in ("starting", "running"):
                return record.state, record.message, record.hint
            return found.state, found.reason, found.hint
        if record.state == "stopping":
            return "stopped", "Stopped.", ""
        if record.state == "preparing" and work is not None:
            if work.state == "running":
                return record.state, record.message, record.hint
            if work.state == "failed":
                return "failed", work.message, work.hint
        if record.state == "preparing" or found is not None:
            return "failed", "JupyterLab ended while it prepared the deployment.", "Deploy the version again."
        return "ended", f"The deployment is no longer on {self._target.name}.", "Deploy the version again."

    def _deployment(
        self, record: Record, now: tuple[DeploymentState, str, str], seen: Observed, work: Work | None
    ) -> Deployment:
        state, message, hint = now
        known = seen if seen.revisions else self._target.capabilities()
        return Deployment(
            name=record.name,
            model=record.model,
            version=record.version,
            state=state,
            url=seen.address if state == "running" else "",
            message=message,
            hint=hint,
            target=record.target or self._target.name,
            requests=seen.requests,
            errors=seen.errors,
            latency_ms=seen.latency_ms,
            outlives_server=known.outlives_server,
            task_id="" if work is None else work.id,
            created_at=record.created_at,
            lease_until=max(record.lease_until, seen.lease_until),
        )


def _spec(record: Record, **changes: Any) -> DeploymentSpec:
    """Return the desired state of a deployment."""
    asked = DeploymentSpec(
        name=record.name,
        version=record.version,
        revision=record.revision,
        lease_s=record.wanted.lease_s,
        lease_until=record.lease_until,
        allow_pickle=record.wanted.allow_pickle,
    )
    return replace(asked, **changes)


def _subject(name: str) -> str:
    return f"deployment:{name}"


def _unconfirmed(check: DeployCheck, *, changed: bool) -> Conflict:
    named = f"{check.model} version {check.version}"
    return Conflict(
        f"The files of {named} differ from those that you confirmed. {check.title} {check.reason}"
        if changed
        else f"{named} needs your confirmation. {check.title} {check.reason}",
        hint=f"{check.advice} To deploy it, add --trust {check.digest}",
        code="confirmation_needed",
        details={"check": msgspec.to_builtins(check)},
    )
