"""Deploy models and keep track of their deployments."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub
from genops_lab.core.paging import FIRST, Page, PageQuery
from genops_lab.core.paths import private_dir
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings

from . import caller_keys
from .build_spec import POLL_S, spec
from .check import ModelChecker
from .logs import MAX_LOG_LINES
from .models import (
    CheckDeploy,
    DeployCheck,
    Deployment,
    DeploymentCallerKey,
    DeploymentKey,
    KeyedDeployment,
    LogLines,
    LogQuery,
    LogTail,
    NewCallerKey,
    NewDeployment,
    RollBack,
)
from .presenting import deployment, state_of
from .record import ACTIVE, CallerKey, Record
from .supervision import Supervision
from .targets.base import DeploymentTarget
from .targets.by_name import TargetsByName
from .work import DeploymentWorks

if TYPE_CHECKING:
    from collections.abc import Callable

    from genops_lab.core.store import LocalStore
    from genops_lab.core.store.work import Work, WorkTable
    from genops_lab.core.work import WorkService
    from genops_lab.registry.service import RegistryService


log = logging.getLogger("genops_lab")


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
        on: Callable[[str], DeploymentTarget] | None = None,
    ) -> None:
        # Imported late: the table of routes needs only this class, and SQLAlchemy costs 135 ms.
        from .deploying import Deploying
        from .judging import Judging
        from .records import Records
        from .rollback import RollBacks
        from .rollouts import Rollouts

        self._settings = settings
        self._lease_s = settings.deployment_lease_s
        self._warm_s = settings.deployment_warm_s
        self._registry = registry
        self._events = events
        self._records = Records(store)
        self.target = self._target = target = TargetsByName(target, self._records.target_of, on)
        root = private_dir(settings.data_dir / "deployments")
        self._checker = ModelChecker(root / ".checked", registry, store, target.capabilities(), settings)
        self._supervision = Supervision(self._look, target, events, live)
        self._works = DeploymentWorks(work, works)
        #: Begins deployments and updates, also those of a file.
        self.deploying = Deploying(
            settings,
            registry,
            self._records,
            target,
            self._checker,
            self._works,
            self.get_deployment,
            self._changed,
        )
        self._roll_backs = RollBacks(self._records, target, self._works, self.get_deployment, self._changed)
        Rollouts(
            self._records, target, self._checker, work, self._warm_s, self.get_deployment, self._changed,
            Judging(target, registry),
        )  # fmt: skip

    async def close(self) -> None:
        """Follow the hosts of deployments no more."""
        await self._target.close()

    @property
    def checker(self) -> ModelChecker:
        """The checker of versions, whose files are those that are deployed."""
        return self._checker

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

    async def stay_on(self, target: str) -> str:
        """Return why a target must not be removed: the deployments on it; empty without any."""
        names = await asyncio.to_thread(self._records.on_target, target)
        first = f"Stop and delete them first: genops deployments delete {names[0]}" if names else ""
        return f"{target} has deployments: {', '.join(names)}. {first}" if names else ""

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
        works = await self._works.latest()
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
        return await self.deploying.check(body)

    async def deploy(self, body: NewDeployment) -> Deployment:
        """Deploy a model version, or update a running deployment to it; a task reports the progress.

        A running deployment that serves this version already is returned as it is.
        """
        return await self.deploying.begin(body)

    async def take_up(self, name: str) -> None:
        """Carry out here what a command or a JupyterLab that has ended left of an update."""
        await self._works.take_up(name)

    async def roll_back_deployment(self, name: str, body: RollBack) -> Deployment:
        """Go back to an earlier revision: at once if it is warm, else after it was started again.

        An update in progress is cancelled. Without another revision than the current one that is all.
        """
        return await self._roll_backs.roll_back(name, body)

    async def list_caller_keys(self, name: str) -> list[DeploymentCallerKey]:
        """List the named keys of a deployment, without the keys themselves."""
        record = await asyncio.to_thread(self._records.get, name)
        used = await caller_keys.uses(name, self._target) if record.active else {}
        return [caller_keys.shown(each, last_used_at=used.get(each.name, 0.0)) for each in record.wanted.keys]

    async def add_caller_key(self, name: str, body: NewCallerKey) -> DeploymentCallerKey:
        """Add a named key. The answer has the key, which is not shown again."""
        kept, text = caller_keys.new_key(name, body)
        await self._change_keys(name, caller_keys.added(name, kept))
        return caller_keys.shown(kept, text)

    async def revoke_caller_key(self, name: str, key: str) -> None:
        """Revoke a named key: requests with it are refused from now on. Idempotent."""
        await self._change_keys(name, caller_keys.revoked(name, key))

    async def _change_keys(self, name: str, change: Callable[[list[CallerKey]], list[CallerKey]]) -> None:
        found = await self.get_deployment(name)
        await self._target.reach(name)
        record = await asyncio.to_thread(self._records.get, name)
        record = await asyncio.to_thread(self._records.change_keys, record, change)
        if found.url:
            asked = spec(record, warm_s=self._warm_s, weights={record.revision: 100})
            await self._target.apply(asked, record.generation, log.debug)
        self._changed(name)

    async def stop_deployment(self, name: str) -> Deployment:
        """Finish the requests in flight, then stop a deployment."""
        found = await self.get_deployment(name)
        await self._target.reach(name)
        record = await asyncio.to_thread(self._records.get, name)
        if not record.active:
            return found
        if await self._works.cancel(name):
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
        await self._target.apply(spec(record, warm_s=self._warm_s, wanted=0), record.generation, log.debug)
        await asyncio.to_thread(self._records.change, record, state="stopped", message="Stopped.", hint="")
        self._changed(name)
        return await self.get_deployment(name)

    async def renew_deployment(self, name: str) -> Deployment:
        """Renew a deployment's lease."""
        found = await self.get_deployment(name)
        await self._target.reach(name)
        if found.state not in ("starting", "running"):
            raise Conflict(
                f"{name!r} is {found.state}: its time cannot be extended.", hint="Deploy the version again."
            )
        record = await asyncio.to_thread(self._records.get, name)
        record = await asyncio.to_thread(self._records.change, record, asks=True)
        until = time.time() + (record.wanted.lease_s or self._lease_s)
        asked = spec(record, warm_s=self._warm_s, lease_until=until)
        await self._target.apply(asked, record.generation, log.debug)
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
        revision = await self._log_of(name, query)
        found = [each async for each in self._target.logs(name, revision, lines=query.lines)]
        return LogTail(name=name, lines=[line for lines in found for line in lines])

    async def follow_deployment_log(self, name: str, query: LogQuery) -> AsyncIterator[LogLines]:
        """Stream the last lines of a deployment's log, then new lines until the deployment ends."""
        revision = await self._log_of(name, query)
        while (await self.get_deployment(name)).state == "preparing":
            await asyncio.sleep(POLL_S)
        async for lines in self._target.logs(name, revision, lines=query.lines, follow=True):
            yield LogLines(lines=lines)

    async def _log_of(self, name: str, query: LogQuery) -> int:
        if not 1 <= query.lines <= MAX_LOG_LINES:
            raise InvalidRequest(f"lines is {query.lines}.", hint=f"Request 1 to {MAX_LOG_LINES:,} lines.")
        record = await asyncio.to_thread(self._records.get, name)
        return record.numbered(query.revision).id if query.revision else _log_revision(record)

    def _changed(self, name: str) -> None:
        self._events.emit("deployment", name)
        self._supervision.wake()

    async def _look(self) -> list[Deployment]:
        return await self._observed(await asyncio.to_thread(self._records.all))

    async def _observed(self, records: list[Record]) -> list[Deployment]:
        found = []
        works = await self._works.latest()
        for record in records:
            with contextlib.suppress(NotFound):  # deleted meanwhile
                found.append(await self._observe(record, works))
        return found

    async def _observe(self, record: Record, works: dict[str, Work]) -> Deployment:
        """Compare the record with its target, store what changed, and return both as one deployment."""
        work = works.get(record.name)
        if work is not None and work.created_at < record.created_at:
            work = None
        seen = await self._target.observe(record.name)
        target = self._target.on(record.target)
        now = state_of(record, seen, work, target.name)
        if record.active and now != (record.state, record.message, record.hint):
            state, message, hint = now
            record = await asyncio.to_thread(
                self._records.observe, record, state=state, message=message, hint=hint
            )
            now = state_of(record, seen, work, target.name)
        self._supervision.log_revisions[record.name] = _log_revision(record)
        return deployment(record, now, seen, work, target, self._settings)


def _log_revision(record: Record) -> int:
    """Return the id of the revision whose log is shown: that of an update in progress or the current one."""
    return record.revision if record.wanted.update is None else record.wanted.update
