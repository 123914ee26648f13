"""Plan and apply deployment files, and describe deployments as files."""

from __future__ import annotations

import asyncio
import dataclasses
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.formatting import size_of
from genops_lab.core.services import Service
from genops_lab.deployments.models import CheckDeploy, DeployCheck, DeploymentChange, NewDeployment
from genops_lab.deployments.names import check_name, default_name
from genops_lab.deployments.record import Described, Record

from .document import Description, Signer
from .models import (
    AppliedDescription,
    ApplyDescription,
    DescribedDeployment,
    DescribeVersion,
    DescriptionPlan,
    DescriptionText,
    PlanDescription,
)
from .reading import DeploymentFileError, read_description
from .settings import FileSettings
from .shape import Shape, description_of, differences, shape_now, shape_of, token
from .writing import text_of

if TYPE_CHECKING:
    from genops_lab.core.settings import Settings as LabSettings
    from genops_lab.deployments.records import Records
    from genops_lab.deployments.secrets import Secrets
    from genops_lab.deployments.service import DeploymentsService
    from genops_lab.registry.models import ModelVersion
    from genops_lab.registry.service import RegistryService


@dataclass(frozen=True, kw_only=True)
class _Planned:
    """A plan with what its application needs."""

    plan: DescriptionPlan
    description: Description
    shape: Shape
    record: Record | None
    version: ModelVersion


class DescriptionsService(Service):
    """The operations of deployment files."""

    def __init__(
        self,
        settings: LabSettings,
        deployments: DeploymentsService,
        registry: RegistryService,
        records: Records,
        secrets: Secrets,
        target: str,
    ) -> None:
        self._lease_s = settings.deployment_lease_s
        self._warm_s = settings.deployment_warm_s
        self._deployments = deployments
        self._registry = registry
        self._records = records
        self._secrets = secrets
        self._target = target

    async def plan_description(self, body: PlanDescription) -> DescriptionPlan:
        """Return what the application of a file would do. Nothing changes."""
        return (await self._plan(body)).plan

    async def apply_description(self, body: ApplyDescription) -> AppliedDescription:
        """Make a deployment what a file says; durable work carries it out. Without a difference nothing changes."""
        planned = await self._plan(body)
        plan, record = planned.plan, planned.record
        if body.expect not in ("", plan.expect):
            raise self._changed_since(plan, body.seen)
        if plan.problem and not (plan.code == "memory" and body.replace_first and record is not None):
            raise Conflict(plan.problem, hint=plan.hint, code=plan.code)
        before = record.wanted.described if record is not None else None
        if before is not None and before.file != body.file and not body.take_over:
            raise Conflict(
                f"The deployment {plan.name!r} was applied from {before.file}, and this file is {body.file}.",
                hint="Use another name in this file, or replace the other file: genops apply FILE --take-over",
                code="other_file",
            )
        described = Described(file=body.file, text=body.text, at=time.time())
        same_file = before is not None and (before.file, before.text) == (body.file, body.text)
        if not plan.changes and (same_file or record is None):
            unchanged = await self._deployments.get_deployment(plan.name)
            return AppliedDescription(name=plan.name, deployment=unchanged, changes=[])

        def check(found: Record | None) -> None:
            if token(found, warm_s=self._warm_s) != plan.expect:
                raise self._changed_since(plan, plan.now)

        settings = FileSettings(shape=planned.shape, described=described, check=check)
        if plan.new_revision or record is None:
            new = NewDeployment(
                model=planned.version.name,
                version=planned.version.version,
                name=plan.name,
                trust=plan.digest,
                replace_first=body.replace_first,
                rollout=planned.description.rollout,
                sleep_minutes=planned.shape.sleep_s / 60,
            )
            deployment = await self._deployments.deploying.begin(new, settings)
        elif record.state != "running":
            raise Conflict(
                f"The deployment {plan.name!r} is {record.state}.",
                hint="Apply the file again once it runs: genops deployments show " + plan.name,
                code="under_way",
            )
        else:
            deployment = await self._deployments.deploying.begin_settings(record, settings)
        changed = await asyncio.to_thread(self._records.get, plan.name)
        return AppliedDescription(
            name=plan.name, deployment=deployment, changes=plan.changes, keys=settings.new_keys(changed)
        )

    async def get_description(self, name: str) -> DescribedDeployment:
        """Return the file of a deployment, and what differs from the file by now."""
        found = await self._deployments.get_deployment(name)
        record = await asyncio.to_thread(self._records.get, name)
        now = self._text_now(record)
        described = record.wanted.described
        if described is None:
            return DescribedDeployment(name=name, text=now, now=now)
        drift: list[DeploymentChange] = []
        problem = ""
        try:
            description = read_description(described.text, described.file)
            revision = description.revision
            version = await self._registry.resolve(revision.model, str(revision.version))
            drift = differences(shape_now(record, warm_s=self._warm_s), self._shape(description, version))
        except GenOpsError as error:  # the version was deleted, or MLflow is away
            problem = error.message
        if not record.active:
            drift.insert(0, DeploymentChange(what="state", now=found.state, file="running"))
        return DescribedDeployment(
            name=name,
            text=described.text,
            now=now,
            file=described.file,
            applied_at=described.at,
            drift=drift,
            problem=problem,
        )

    async def describe_version(self, body: DescribeVersion) -> DescriptionText:
        """Return the file that deploys a version, with the digest of its files as they are."""
        name = check_name(body.name) if body.name else default_name(body.model)
        check = await self._deployments.check_deploy(CheckDeploy(model=body.model, version=body.version))
        shape = self._plain()
        record = await asyncio.to_thread(self._records.find, name)
        if record is not None:
            shape = dataclasses.replace(
                shape_now(record, warm_s=self._warm_s), model=check.model, version=check.version
            )
        shape = dataclasses.replace(shape, model=check.model, version=check.version)
        description = description_of(
            name, shape, plain=self._plain(), version=body.version, trust=check.digest if body.pinned else ""
        )
        return DescriptionText(text=text_of(description, _remarks(check)))

    def _plain(self) -> Shape:
        return Shape.plain("", "", lease_s=self._lease_s, warm_s=self._warm_s)

    def _shape(self, description: Description, version: ModelVersion) -> Shape:
        shape = shape_of(description, version.version, lease_s=self._lease_s, warm_s=self._warm_s)
        return dataclasses.replace(shape, model=version.name, version=version.version)

    def _text_now(self, record: Record) -> str:
        shape = shape_now(record, warm_s=self._warm_s)
        return text_of(description_of(record.name, shape, plain=self._plain()))

    def _changed_since(self, plan: DescriptionPlan, seen: str) -> Conflict:
        """Return the error for a deployment that somebody changed after it was planned for."""
        before, after = self._shape_in(seen), self._shape_in(plan.now)
        listed = differences(before, after) if before is not None and after is not None else []
        what = ", ".join(f"{each.what}: {each.now or 'none'} -> {each.file or 'none'}" for each in listed)
        return Conflict(
            f"The deployment {plan.name!r} changed since this was planned{f' ({what})' if what else ''}.",
            hint="Nothing was applied. Look at the difference again: genops diff FILE",
            code="changed_since",
        )

    def _shape_in(self, text: str) -> Shape | None:
        """Return the shape in a text that a plan had as its ``now``; None for another one."""
        try:
            found = read_description(text)
        except DeploymentFileError:
            return None
        version = str(found.revision.version)
        shape = shape_of(found, version, lease_s=self._lease_s, warm_s=self._warm_s)
        return dataclasses.replace(shape, callers=shape.callers or {})

    async def _plan(self, body: PlanDescription) -> _Planned:
        description = await asyncio.to_thread(read_description, body.text, body.file)
        if description.on != self._target:
            raise InvalidRequest(
                f"{body.file}: no target {description.on!r} runs deployments.",
                hint=f"Leave out the key 'on', or write: on: {self._target}",
            )
        name, asked = description.name, description.revision
        record = await asyncio.to_thread(self._records.find, name)
        if record is not None:  # which notes how its process is
            await self._deployments.get_deployment(name)
            record = await asyncio.to_thread(self._records.get, name)
        version = await self._registry.resolve(asked.model, str(asked.version))
        check = (await self._deployments.checker.check(version)).check
        shape = self._shape(description, version)
        now = None if record is None else shape_now(record, warm_s=self._warm_s)
        changes = differences(now, shape)
        ended = record is not None and not record.active
        if record is not None and ended:
            changes.insert(0, DeploymentChange(what="state", now=record.state, file="running"))
        new_revision = now is None or ended or not now.same_process(shape)
        plan = DescriptionPlan(
            name=name,
            exists=record is not None,
            model=version.name,
            version=version.version,
            changes=changes,
            expect=token(record, warm_s=self._warm_s),
            now="" if record is None else self._text_now(record),
            new_revision=new_revision,
            message="Only settings change: the processes go on." if changes else "Nothing would change.",
        )
        if new_revision:
            plan = await self._with_needs(plan, record if not ended else None, check, shape)
            plan = await self._with_trust(plan, body, description, version, check)
            plan = await self._with_secrets(plan, shape)
        return _Planned(plan=plan, description=description, shape=shape, record=record, version=version)

    async def _with_needs(
        self, plan: DescriptionPlan, running: Record | None, check: DeployCheck, shape: Shape
    ) -> DescriptionPlan:
        """Add what the new revision needs, and what happens to requests meanwhile."""
        from genops_lab.deployments.memory import PROCESS_BYTES, free_bytes

        if running is not None:
            update = await self._deployments.deploying.update_plan(running, check, shape.memory_bytes)
            plan = replace(
                plan,
                message=update.message if update.fits else "",
                downtime="" if update.fits else update.downtime,
                needs_bytes=update.needs_bytes,
                free_bytes=update.free_bytes,
                fits=update.fits,
            )
            hint = f"Free some memory, or add --replace-first. {update.downtime}"
            problem = update.message
        else:
            needs = shape.memory_bytes or sum(each.size_bytes for each in check.files) + PROCESS_BYTES
            free = await asyncio.to_thread(free_bytes)
            fits = needs <= free
            plan = replace(
                plan,
                message="A process starts; requests are answered once it has loaded the model.",
                needs_bytes=needs,
                free_bytes=free,
                fits=fits,
            )
            problem = f"{plan.name!r} needs {size_of(needs)} of memory, and {size_of(free)} are free."
            hint = "Free some memory, or correct resources.memory in the file."
        return plan if plan.fits else replace(plan, problem=problem, hint=hint, code="memory")

    async def _with_secrets(self, plan: DescriptionPlan, shape: Shape) -> DescriptionPlan:
        try:
            await asyncio.to_thread(self._secrets.values, shape.secrets)
        except NotFound as error:
            return replace(plan, problem=error.message, hint=error.hint, code="no_secret")
        return plan

    async def _with_trust(
        self,
        plan: DescriptionPlan,
        body: PlanDescription,
        description: Description,
        version: ModelVersion,
        check: DeployCheck,
    ) -> DescriptionPlan:
        """Add why the files of the version may not be loaded, if they may not; it comes before other problems."""
        plan = replace(plan, digest=check.digest)
        named = f"{check.model} version {check.version}"
        if check.verdict == "refused" and not check.trusted:
            problem = f"{named}: {check.title} {' '.join(check.findings)}"
            return replace(plan, problem=problem, hint=check.advice, code="model_refused")
        trust = body.trust or description.trust
        if isinstance(trust, Signer):
            return await self._with_signer(plan, Path(body.folder), trust, version, named)
        if trust == check.digest or (check.trusted and trust is None):
            return plan
        problem = (
            f"{named} needs your confirmation. {check.title} {check.reason}"
            if trust is None
            else f"{named} has other files than {body.file} trusts ({trust[:19]}...). {check.reason}"
        )
        hint = f"{check.advice} Then write into the file: trust: {check.digest}"
        return replace(plan, problem=problem, hint=hint, code="confirmation_needed")

    async def _with_signer(
        self, plan: DescriptionPlan, folder: Path, trust: Signer, version: ModelVersion, named: str
    ) -> DescriptionPlan:
        key = folder / trust.signer
        if not await asyncio.to_thread(key.is_file):
            raise Failed(
                f"The public key {trust.signer!r} of the file does not exist in {folder}.",
                hint="Put the key beside the deployment file, or correct trust.signer.",
            )
        found = await self._deployments.checker.signed_by(version, key)
        if found.state == "valid":
            return plan
        return replace(
            plan,
            problem=f"{named} is not signed with {trust.signer}: {found.reason or found.state}",
            hint=f"Sign it: genops models sign {shlex.quote(version.name)} --version {version.version} --key FILE",
            code="confirmation_needed",
        )


def _remarks(check: DeployCheck) -> tuple[str, ...]:
    return () if check.trusted else (f"Review before you apply it: {check.title}",)
