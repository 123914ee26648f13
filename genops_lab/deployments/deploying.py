"""Check what is to be deployed, and begin the durable work that starts or updates a deployment."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, Failed, InvalidRequest, NotFound
from genops_lab.registry.models import ModelVersion
from genops_lab.serving.engines.memory import GpuNeed, Need, sized
from genops_lab.serving.engines.settings import COMMAND, LLAMA, read_settings

from .check import Checked, ModelChecker, refuse_misleading
from .description.shape import differences, shape_now
from .hub_origin import origin_of
from .llms import need_of, refuse_full_disk, refuse_too_large, said_of, serving_of
from .models import NOT_FETCHED, CheckDeploy, Deployable, DeployCheck, Deployment, NewDeployment, UpdatePlan
from .names import check_name
from .needs import Demanded, Needs, needs_of, refuse_too_many
from .policy import check_policy
from .record import LOCAL, KnownRevision, Record, Wanted, name_in_use, update_in_progress
from .records import KeyUsed, Records, as_it_is
from .scaling import Scale, ScaleChange, check_scale, with_scale
from .sources import commit_of, fetching_of, given_of, name_of, resolve
from .targets.base import DeploymentTarget, Machine
from .targets.by_name import TargetsByName
from .work import DeploymentWorks

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from genops_lab.core.settings import Settings
    from genops_lab.registry.service import RegistryService

    from .description.settings import FileSettings


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A version with the check of its files.

    ``serving`` is None for MLflow's scorer, whose settings are ``scorer``. ``need`` is None where none is known.
    ``machine`` is that of the target.
    """

    version: ModelVersion
    checked: Checked
    serving: dict[str, Any] | None = None
    scorer: dict[str, Any] = field(default_factory=dict)
    need: Need | GpuNeed | None = None
    machine: Machine = field(default_factory=lambda: Machine(name=LOCAL))

    @property
    def check(self) -> DeployCheck:
        """The check of the files."""
        return self.checked.check


#: The bytes of a repository up to which a check fetches them itself.
FETCHED_AT_ONCE = 32 * 2**20


class Deploying:
    """Deploy a version, with or without a file. ``get`` returns a deployment, ``changed`` tells that one changed."""

    def __init__(
        self,
        settings: Settings,
        registry: RegistryService,
        records: Records,
        target: TargetsByName,
        checker: ModelChecker,
        works: DeploymentWorks,
        get: Callable[[str], Awaitable[Deployment]],
        changed: Callable[[str], None],
    ) -> None:
        self._root_dir = settings.root_dir or Path.cwd()
        self._lease_s = settings.deployment_lease_s
        self._warm_s = settings.deployment_warm_s
        self._registry = registry
        self._records = records
        self._target = target
        self._checker = checker
        self._works = works
        self._get = get
        self._changed = changed

    async def check(self, body: CheckDeploy) -> DeployCheck:
        """Check a version before it is deployed: origin, files, environment, lifetime."""
        name = body.name or name_of(body)
        target = self._target.on(body.on) if body.on else await self._target.of(name)
        version = await self.resolve(body, target.name)
        prepared = await self.prepare(name, version, body.settings, target.name)
        check, serving, need = prepared.check, prepared.serving, prepared.need
        if check.verdict != "refused":
            check = await target.checked(self._checker.folder(version), check, serving)
            needs = await self.needs(name, prepared)
            check = msgspec.structs.replace(
                check,
                engine="" if serving is None else serving["engine"],
                memory=needs.first_start() if serving is None else said_of(need, serving, prepared.machine),
            )
            if (origin := origin_of(version)) is not None:
                said = await target.bringing(origin, check.files)
                check = msgspec.structs.replace(check, memory=f"{check.memory} {said}".strip())
        with contextlib.suppress(NotFound):
            record = await asyncio.to_thread(self._records.get, name)
            if record.state == "running" and record.wanted.update is None and not _serves(record, version):
                planned = await self.update_plan(record, prepared)
                return msgspec.structs.replace(check, update=planned)
        return check

    async def begin(self, body: NewDeployment, settings: FileSettings | None = None) -> Deployment:
        """Deploy with the settings of a file, or with those that the deployment has."""
        name = check_name(body.name) if body.name else name_of(body)
        if body.rollout is not None:
            check_policy(body.rollout)
        earlier = await asyncio.to_thread(self._records.keyed, body.idempotency_key)
        if earlier is not None:
            return await self._get(earlier.name)
        on = body.on or (await self._target.of(name)).name
        await self._check_place(name, on)
        await self._end_decided(name)
        running = await self._running(name)
        version = await self.resolve(body, on)
        if body.scale is not None:
            check_scale(body.scale)
        if settings is not None:
            settings.check(running or await asyncio.to_thread(self._records.find, name))
        elif (
            running is not None
            and _serves(running, version)
            and not (body.settings or _has_settings(running))
        ):
            return await self._rescaled(running, body.scale)
        prepared = await self.prepare(name, version, body.settings, on, sleeps=bool(body.sleep_minutes))
        checked, serving, need = prepared.checked, prepared.serving, prepared.need
        refuse_misleading(checked.check)
        scorer = prepared.scorer
        same = (
            running is not None
            and _serves(running, version)
            and _current_settings(running) == (serving or {}, scorer)
        )
        if same and settings is None and running is not None:
            return await self._rescaled(running, body.scale)
        scale = body.scale or (running.wanted.scale if running else Scale())
        demanded = _kept(running, scale) if settings is None else settings.shape.demanded
        check_scale(scale if settings is None else settings.shape.scale, serving)
        if running is None:
            refuse_too_large(version, need, checked.model, prepared.machine)
            refuse_too_many(name, await self.needs(name, prepared, demanded), need)
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
            scorer=scorer,
            environment=dict(shape.environment) if shape else current.environment if current else {},
            secrets=list(shape.secrets) if shape else current.secrets if current else [],
            given=given_of(body, version),
            digest=checked.check.digest,
            commit=commit_of(version),
        )
        plan = {
            "name": name,
            "created_at": now if running is None else running.created_at,
            "version": msgspec.to_builtins(version),
            "digest": checked.check.digest,
            "stamp": checked.stamp,
        }
        if running is not None:
            planned = await self.update_plan(running, prepared, demanded)
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
        described = with_scale(body.scale, as_it_is if settings is None else settings.on)

        def begin(connection: Connection) -> None:
            if running is None:
                self._records.begin(connection, record, body.idempotency_key, described)
            else:
                self._records.begin_update(connection, running, revision, body.idempotency_key, described)

        title = f"Deploy {record.model} version {record.version} as {name}"
        try:
            await self._works.begin(name, plan, title, begin)
        except KeyUsed:
            earlier = await asyncio.to_thread(self._records.keyed, body.idempotency_key)
            if earlier is None:
                raise NotFound(
                    "The deployment of this idempotency key was deleted.", hint="Deploy again with a new key."
                ) from None
            return await self._get(earlier.name)
        self._changed(name)
        return await self._get(name)

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

    async def _end_decided(self, name: str) -> None:
        """Finish an update whose rollout the gateway decided while no JupyterLab ran, and one without work."""
        record = await asyncio.to_thread(self._records.find, name)
        if record is None or record.wanted.update is None:
            return
        await self._works.end_left(record)
        seen = (await self._target.observe(name)).rollout
        if seen is not None and seen.ended and seen.id == str(record.wanted.update):
            await self._works.take_up(name)
            await self._works.until_ended(name)

    async def _rescaled(self, running: Record, scale: Scale | None) -> Deployment:
        """Return a deployment that serves what is asked for, after its scale was changed if another is asked for."""
        if scale is None or scale == running.wanted.scale:
            return await self._get(running.name)
        check_scale(scale, _current_settings(running)[0])
        return await self.begin_settings(running, ScaleChange(scale))

    async def begin_settings(self, record: Record, settings: FileSettings | ScaleChange) -> Deployment:
        """Give a running deployment the settings of a file, or a scale, without a new revision."""
        plan = {"name": record.name, "created_at": record.created_at, "settings": True}

        def begin(connection: Connection) -> None:
            self._records.change_settings(connection, record, settings.on)

        title = f"Change the settings of {record.name}"
        await self._works.begin(record.name, plan, title, begin)
        await self._works.until_ended(record.name)
        work = (await self._works.latest()).get(record.name)
        if work is not None and work.state == "failed":
            raise Failed(work.message, hint=work.hint)
        self._changed(record.name)
        return await self._get(record.name)

    async def _running(self, name: str) -> Record | None:
        """Return the record of a deployment that can be updated, or None. Raises Conflict for one that is changing."""
        try:
            found = await self._get(name)
        except NotFound:
            return None
        record = await asyncio.to_thread(self._records.get, name)
        if record.wanted.update is not None:
            raise update_in_progress(name)
        if found.state in ("preparing", "starting", "stopping"):
            raise name_in_use(record)
        return record if found.state == "running" else None

    async def resolve(self, body: Deployable, on: str) -> ModelVersion:
        """Return what is to be deployed on a target. Nothing is fetched."""
        return await resolve(
            self._registry,
            body,
            body.settings,
            self._root_dir,
            fetched=self._checker.fetched,
            here=on == LOCAL,
        )

    async def _refuse_before_fetch(
        self, name: str, version: ModelVersion, settings: Mapping[str, str], target: DeploymentTarget
    ) -> None:
        """Refuse a model of a repository that cannot be served there, before its weights are fetched.

        Large weights are fetched by a task of their own, which shows its progress. Where the deployment runs, the
        memory is that of an update: it may be free once the earlier revision is stopped.
        """
        looked = await self._checker.look(version)
        if looked is None:
            return
        model, size = looked
        serving = await asyncio.to_thread(serving_of, version, model, settings, self._root_dir, target.name)
        machine = await target.machine(name)
        record = await asyncio.to_thread(self._records.find, name)
        if record is None or record.state != "running":
            refuse_too_large(version, need_of(serving, model, machine), model, machine)
        refuse_full_disk(version, size, machine)
        if size > FETCHED_AT_ONCE:
            raise Conflict(
                f"The files of {version.name} at {version.version} must be fetched first: {sized(size)}.",
                hint=f"Fetch them: genops deployments fetch {version.name}@{version.version}",
                code=NOT_FETCHED,
                details={"bytes": size, "fetch": msgspec.to_builtins(fetching_of(version))},
            )

    async def prepare(
        self, name: str, version: ModelVersion, settings: Mapping[str, str], on: str, *, sleeps: bool = False
    ) -> Prepared:
        """Fetch and check the files of a version, and decide how the target ``on`` serves it.

        Raises InvalidRequest for settings that do not apply, and Failed for an engine that is missing.
        """
        target = self._target.on(on)
        await self._refuse_before_fetch(name, version, settings, target)
        checked = await self._checker.check(version)
        if checked.check.verdict == "refused" and not checked.check.trusted:
            return Prepared(version=version, checked=checked)
        serving = await asyncio.to_thread(serving_of, version, checked.model, settings, self._root_dir, on)
        if serving is not None and sleeps and serving["engine"] != LLAMA:
            engine = serving["engine"]
            raise InvalidRequest(
                "A command does not sleep." if engine == COMMAND else f"{engine} does not let a model sleep.",
                hint="Leave out --sleep-after, and sleep_minutes in a file.",
            )
        scorer = read_settings(settings) if serving is None else {}
        if scorer.get("workers", 1) > 1 and sleeps:
            raise InvalidRequest(
                "A model with several workers does not sleep.", hint="Leave out --sleep-after or workers."
            )
        machine = await target.machine(name)
        need = need_of(serving, checked.model, machine)
        return Prepared(
            version=version, checked=checked, serving=serving, scorer=scorer, need=need, machine=machine
        )

    async def needs(self, name: str, prepared: Prepared, said: Demanded | None = None) -> Needs:
        """Return what the start of a version needs; ``said`` is what a file demands."""
        loading_s = await self._loading_s(name, prepared.version.name)
        said = said or Demanded()
        return needs_of(
            prepared.machine,
            prepared.check,
            prepared.serving,
            prepared.need,
            said,
            loading_s,
            processes=prepared.scorer.get("workers", 1),
        )

    async def update_plan(
        self, running: Record, prepared: Prepared, said: Demanded | None = None
    ) -> UpdatePlan:
        """Return what an update of a running deployment needs; ``said`` is what a file demands."""
        current = running.known(running.revision) or running.revisions[-1]
        wanted = running.wanted
        needs = await self.needs(running.name, prepared, said or _kept(running, wanted.scale))
        number = max(each.number for each in running.revisions) + 1
        now = shape_now(running, warm_s=self._warm_s)
        version = prepared.version
        return msgspec.structs.replace(
            needs.update(running.name, number, current.number),
            changes=differences(now, replace(now, model=version.name, version=version.version)),
            file=wanted.described.file if wanted.described else "",
        )

    async def _loading_s(self, name: str, model: str) -> float:
        """Return how long a model loaded the last time, of this deployment or another one; 0.0 if that is not known."""
        records = await asyncio.to_thread(self._records.all)
        for record in sorted(records, key=lambda each: each.name != name):
            known = [each.id for each in record.revisions if each.model == model]
            if known:
                seen = [
                    each for each in (await self._target.observe(record.name)).revisions if each.loading_s
                ]
                if times := [each.loading_s for each in seen if each.number in known]:
                    return times[-1]
        return 0.0


def _kept(record: Record | None, scale: Scale) -> Demanded:
    """Return what a deployment demands as it is, with another scale."""
    wanted = Wanted() if record is None else record.wanted
    return Demanded(memory_bytes=wanted.memory_bytes, gpus=wanted.gpus, replicas=scale.max)


def _serves(record: Record, version: ModelVersion) -> bool:
    return record.state == "running" and (record.model, record.version) == (version.name, version.version)


def _has_settings(record: Record) -> bool:
    return any(_current_settings(record))


def _current_settings(record: Record) -> tuple[dict[str, Any], dict[str, Any]]:
    current = record.known(record.revision)
    return (current.serving, current.scorer) if current is not None else ({}, {})


def _does_not_fit(planned: UpdatePlan) -> Conflict:
    return Conflict(
        planned.message,
        hint=f"Add --replace-first, or free some memory. {planned.downtime}",
        code="memory",
        details={"update": msgspec.to_builtins(planned)},
    )


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
