"""Deploy models and keep track of their deployments."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub
from genops_lab.core.paging import FIRST, Page, PageQuery
from genops_lab.core.paths import private_dir
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.registry.models import ModelVersion

from . import caller_keys
from .check import Checked, ModelChecker, refuse_misleading
from .desired import KIND, POLL_S, spec
from .llms import LOCAL, need_of, refuse_too_large, serving_of
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
    UpdatePlan,
)
from .names import check_name
from .policy import check_policy
from .record import ACTIVE, CallerKey, KnownRevision, Record, Wanted, name_in_use, update_in_progress
from .shown import deployment, state_of
from .sources import name_of, resolve
from .supervision import Supervision
from .targets.base import DeploymentTarget, Machine
from .targets.by_name import TargetsByName

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from genops_lab.core.store import LocalStore
    from genops_lab.core.store.work import Work, WorkTable
    from genops_lab.core.work import WorkService
    from genops_lab.registry.service import RegistryService
    from genops_lab.serving.engines.memory import Need

    from .description.settings import FileSettings

log = logging.getLogger("genops_lab")

#: How long a way back to a warm revision is waited for.
_BACK_S = 10.0


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
        from .judging import Judging
        from .records import Records
        from .rollouts import Rollouts

        self._root_dir = settings.root_dir or Path.cwd()
        self._lease_s = settings.deployment_lease_s
        self._warm_s = settings.deployment_warm_s
        self._registry = registry
        self._events = events
        self._work, self._works = work, works
        self._records = Records(store)
        self.target = self._target = target = TargetsByName(target, self._records.target_of, on)
        root = private_dir(settings.data_dir / "deployments")
        self._checker = ModelChecker(root / ".checked", registry, store, target.capabilities(), settings)
        self._supervision = Supervision(self._look, target, events, live)
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
        name = body.name or name_of(body)
        target = self._target.on(body.on) if body.on else await self._target.of(name)
        version = await self._resolve(body, target.name)
        checked = await self._checker.check(version)
        check = checked.check
        if check.verdict != "refused":
            serving, need, _ = await _serving(name, version, checked, body.settings, target)
            check = await target.checked(self._checker.folder(version), check, serving)
            if serving is not None:
                memory = "" if need is None else need.text()
                check = msgspec.structs.replace(check, engine=serving["engine"], memory=memory)
        with contextlib.suppress(NotFound):
            record = await asyncio.to_thread(self._records.get, name)
            if record.state == "running" and record.wanted.update is None and not _serves(record, version):
                planned = await self.update_plan(record, check)
                return msgspec.structs.replace(check, update=planned)
        return check

    async def deploy(self, body: NewDeployment) -> Deployment:
        """Deploy a model version, or update a running deployment to it; a task reports the progress.

        A running deployment that serves this version already is returned as it is.
        """
        return await self.begin(body)

    async def begin(self, body: NewDeployment, settings: FileSettings | None = None) -> Deployment:
        """Deploy with the settings of a file, or with those that the deployment has."""
        from .records import KeyUsed, as_it_is

        name = check_name(body.name) if body.name else name_of(body)
        if body.rollout is not None:
            check_policy(body.rollout)
        earlier = await asyncio.to_thread(self._records.keyed, body.idempotency_key)
        if earlier is not None:
            return await self.get_deployment(earlier.name)
        on = body.on or (await self._target.of(name)).name
        await self._check_place(name, on)
        running = await self._running(name)
        version = await self._resolve(body, on)
        if settings is not None:
            settings.check(running or await asyncio.to_thread(self._records.find, name))
        elif running is not None and _serves(running, version) and not (body.settings or _is_engine(running)):
            return await self.get_deployment(name)
        checked = await self._checker.check(version)
        refuse_misleading(checked.check)
        serving, need, machine = await _serving(name, version, checked, body.settings, self._target.on(on))
        same = (
            running is not None and _serves(running, version) and _current_serving(running) == (serving or {})
        )
        if same and settings is None:
            return await self.get_deployment(name)
        if serving is not None and body.sleep_minutes:
            raise InvalidRequest(
                "Language models and commands do not sleep yet.", hint="Leave out --sleep-after."
            )
        if running is None:
            refuse_too_large(version, need, checked.model, machine)
        if not checked.check.trusted and body.trust != checked.check.digest:
            raise _unconfirmed(checked.check, changed=bool(body.trust))
        now = time.time()
        # A number that no earlier revision of this name has, even if the store was lost.
        id = max(int(now * 1000), 0 if running is None else running.generation + 1)
        numbers = [0] if running is None else [each.number for each in running.revisions]
        current = None if running is None else running.known(running.revision)
        shape = None if settings is None else settings.shape
        revision = KnownRevision(
            number=max(numbers) + 1,
            id=id,
            model=version.name,
            version=version.version,
            created_at=now,
            allow_pickle=checked.allow_pickle,
            sleep_s=60 * body.sleep_minutes,
            serving=serving or {},
            environment=dict(shape.environment) if shape else current.environment if current else {},
            secrets=list(shape.secrets) if shape else current.secrets if current else [],
        )
        plan = {
            "name": name,
            "created_at": now if running is None else running.created_at,
            "version": msgspec.to_builtins(version),
            "digest": checked.check.digest,
            "stamp": checked.stamp,
        }
        if running is not None:
            said = shape.memory_bytes if shape else 0
            planned = await self.update_plan(running, checked.check, said, need)
            if not planned.fits and not body.replace_first:
                raise _does_not_fit(planned)
            plan |= {"revision": id, "replace_first": body.replace_first}
            if body.rollout is not None and body.rollout.judged:
                if body.replace_first:
                    raise Conflict(
                        "A rollout needs both revisions at once.",
                        hint="Leave out --replace-first or --rollout.",
                    )
                plan["rollout"] = msgspec.to_builtins(body.rollout)
        record = self._first(name, revision, on)
        described = as_it_is if settings is None else settings.on

        def begin(connection: Connection) -> None:
            if running is None:
                self._records.begin(connection, record, body.idempotency_key, described)
            else:
                self._records.begin_update(connection, running, revision, body.idempotency_key, described)

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

    def _first(self, name: str, revision: KnownRevision, target: str) -> Record:
        """Return the record of a deployment that begins with a revision."""
        wanted = Wanted(lease_s=self._lease_s, allow_pickle=revision.allow_pickle, revisions=[revision])
        return Record(
            name=name,
            model=revision.model,
            version=revision.version,
            target=target,
            spec=msgspec.json.encode(wanted).decode(),
            revision=revision.id,
            generation=revision.id,
            state="preparing",
            message="Preparing the files.",
            created_at=revision.created_at,
            lease_until=revision.created_at + self._lease_s,
        )

    async def _check_place(self, name: str, on: str) -> None:
        """Raise Conflict if the deployment is in another place, or if its place cannot be changed now."""
        await self._target.on(on).reach(name)
        before = await asyncio.to_thread(self._records.target_of, name)
        if before and before != on:
            raise Conflict(
                f"The deployment {name!r} is on {before}, not on {on}.",
                hint=f"Choose another name, or delete it there first: genops deployments delete {name}",
                code="name_in_use",
            )

    async def begin_settings(self, record: Record, settings: FileSettings) -> Deployment:
        """Give a running deployment the settings of a file, without a new revision."""
        plan = {"name": record.name, "created_at": record.created_at, "settings": True}

        def begin(connection: Connection) -> None:
            self._records.change_settings(connection, record, settings.on)

        title = f"Change the settings of {record.name}"
        await self._work.begin(KIND, plan, title=title, subject=_subject(record.name), also=begin)
        await self._works_end(record.name)
        work = (await asyncio.to_thread(self._works.latest, KIND)).get(_subject(record.name))
        if work is not None and work.state == "failed":
            raise Failed(work.message, hint=work.hint)
        self._changed(record.name)
        return await self.get_deployment(record.name)

    async def _running(self, name: str) -> Record | None:
        """Return the record of a deployment that can be updated, or None. Raises Conflict for one that is changing."""
        try:
            found = await self.get_deployment(name)
        except NotFound:
            return None
        record = await asyncio.to_thread(self._records.get, name)
        if record.wanted.update is not None:
            raise update_in_progress(name)
        if found.state in ("preparing", "starting", "stopping"):
            raise name_in_use(record)
        return record if found.state == "running" else None

    async def _resolve(self, body: CheckDeploy | NewDeployment, on: str) -> ModelVersion:
        return await resolve(self._registry, body, body.settings, self._root_dir, here=on == LOCAL)

    async def update_plan(
        self, running: Record, check: DeployCheck, needs: int = 0, need: Need | None = None
    ) -> UpdatePlan:
        """Return what an update of a running deployment needs; ``needs`` is the memory that a file says, or 0."""
        from .memory import update_plan

        seen = (await self._target.observe(running.name)).revision(running.revision)
        current = running.known(running.revision) or running.revisions[-1]
        from .description.shape import differences, shape_now

        now = shape_now(running, warm_s=self._warm_s)
        planned = update_plan(
            name=running.name,
            number=max(each.number for each in running.revisions) + 1,
            serving=current.number,
            files_bytes=sum(each.size_bytes for each in check.files) + (need.cache if need else 0),
            needs=needs or running.wanted.memory_bytes,
            loading_s=seen.loading_s if seen else 0.0,
            free=(await self._target.machine(running.name)).free_bytes,
        )
        described = running.wanted.described
        return msgspec.structs.replace(
            planned,
            changes=differences(now, replace(now, model=check.model, version=check.version)),
            file=described.file if described else "",
        )

    async def roll_back_deployment(self, name: str, body: RollBack) -> Deployment:
        """Go back to an earlier revision: at once if it is warm, else after it was started again.

        An update in progress is cancelled. Without another revision than the current one that is all.
        """
        from .records import KeyUsed

        earlier = await asyncio.to_thread(self._records.keyed, body.idempotency_key)
        if earlier is not None:
            return await self.get_deployment(earlier.name)
        await self.get_deployment(name)
        await self._target.reach(name)
        record = await asyncio.to_thread(self._records.get, name)
        before = record.revision
        updating = record.wanted.update is not None
        if updating:
            await self._cancel_works(name)
        else:
            await self._works_end(name)
        record = await asyncio.to_thread(self._records.get, name)
        current = record.known(record.revision) or record.revisions[-1]
        # An update that ended just before it was cancelled is one to go back from.
        if updating and record.revision == before and body.to in (0, current.number):
            return await self.get_deployment(name)
        chosen = _earlier(record, current, body.to)
        if chosen.id == current.id and record.active:
            raise Conflict(f"Revision {chosen.number} of {name!r} is the current one already.")
        plan = {"name": name, "created_at": record.created_at, "revision": chosen.id, "again": True}

        def begin(connection: Connection) -> None:
            self._records.begin_update(connection, record, chosen, body.idempotency_key)

        title = f"Roll {name} back to revision {chosen.number}"
        with contextlib.suppress(KeyUsed):
            await self._work.begin(KIND, plan, title=title, subject=_subject(name), also=begin)
        self._changed(name)
        deadline = time.monotonic() + _BACK_S
        found = await self.get_deployment(name)
        while found.updating_to and time.monotonic() < deadline:
            if any(each.number == chosen.number and each.state != "running" for each in found.revisions):
                break  # it is started again: the task tells how it goes
            await asyncio.sleep(POLL_S / 3)
            found = await self.get_deployment(name)
        return found

    async def _works_end(self, name: str) -> None:
        """Wait for work that has all but ended: its update is the current revision already."""
        deadline = time.monotonic() + _BACK_S
        while time.monotonic() < deadline:
            if not await asyncio.to_thread(self._works.running, KIND, _subject(name)):
                return
            await asyncio.sleep(POLL_S)

    async def _cancel_works(self, name: str) -> bool:
        works = await asyncio.to_thread(self._works.running, KIND, _subject(name))
        for work in works:
            await self._work.cancel(work)
        return bool(works)

    async def list_caller_keys(self, name: str) -> list[DeploymentCallerKey]:
        """List the named keys of a deployment, without the keys themselves."""
        record = await asyncio.to_thread(self._records.get, name)
        return [caller_keys.shown(each) for each in record.wanted.keys]

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
        if await self._cancel_works(name):
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
        return _numbered(record, query.revision).id if query.revision else _log_revision(record)

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
        target = self._target.on(record.target)
        now = state_of(record, seen, work, target.name)
        if record.active and now != (record.state, record.message, record.hint):
            state, message, hint = now
            record = await asyncio.to_thread(
                self._records.observe, record, state=state, message=message, hint=hint
            )
            now = state_of(record, seen, work, target.name)
        self._supervision.log_revisions[record.name] = _log_revision(record)
        return deployment(record, now, seen, work, target)


def _log_revision(record: Record) -> int:
    """Return the id of the revision whose log is shown: that of an update in progress or the current one."""
    return record.revision if record.wanted.update is None else record.wanted.update


def _numbered(record: Record, number: int) -> KnownRevision:
    found = next((each for each in record.revisions if each.number == number), None)
    if found is None:
        known = ", ".join(str(each.number) for each in record.revisions)
        raise NotFound(f"{record.name!r} has no revision {number}.", hint=f"Its revisions: {known}.")
    return found


def _earlier(record: Record, current: KnownRevision, number: int) -> KnownRevision:
    """Return the revision to go back to: the given one, or the one before the current."""
    if number:
        return _numbered(record, number)
    earlier = [each for each in record.revisions if each.number < current.number]
    if not earlier:
        others = [each.number for each in record.revisions if each.id != current.id]
        raise Conflict(
            f"{record.name!r} has no revision before {current.number}.",
            hint=f"Choose another one: genops deployments rollback {record.name} --to {others[-1]}"
            if others
            else f"Deploy another version: genops deploy {record.model} --version VERSION --name {record.name}",
        )
    return earlier[-1]


def _serves(record: Record, version: ModelVersion) -> bool:
    return record.state == "running" and (record.model, record.version) == (version.name, version.version)


def _is_engine(record: Record) -> bool:
    return bool(_current_serving(record))


def _current_serving(record: Record) -> dict[str, Any]:
    current = record.known(record.revision)
    return current.serving if current is not None else {}


async def _serving(
    name: str, version: ModelVersion, checked: Checked, settings: dict[str, str], target: DeploymentTarget
) -> tuple[dict[str, Any] | None, Need | None, Machine]:
    """Return how a version is served, what that needs, and what the machine has."""
    serving = await asyncio.to_thread(serving_of, version, checked.model, settings, target.name)
    if serving is None:
        return None, None, Machine(name=target.name)
    machine = await target.machine(name)
    return serving, need_of(serving, checked.model, machine), machine


def _does_not_fit(planned: UpdatePlan) -> Conflict:
    return Conflict(
        planned.message,
        hint=f"Free some memory, or add --replace-first. {planned.downtime}",
        code="memory",
        details={"update": msgspec.to_builtins(planned)},
    )


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
