"""Plan and apply deployment files, and describe deployments as files."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.operations import require
from genops_lab.core.services import Service
from genops_lab.deployments.chat_templates import template_changes
from genops_lab.deployments.https import https_in
from genops_lab.deployments.live_scorers import LiveScorers, Scored, scorers_in
from genops_lab.deployments.models import (
    CheckDeploy,
    Deployable,
    DeployCheck,
    Deployment,
    DeploymentChange,
    NewDeployment,
)
from genops_lab.deployments.names import check_name
from genops_lab.deployments.record import LOCAL, Described, Record
from genops_lab.deployments.sources import commit_of, given_of, name_of
from genops_lab.serving.engines.memory import what_fits

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
from .naming import Body, located
from .reading import DeploymentFileError, read_description
from .settings import FileSettings
from .shape import Shape, description_of, differences, given_in, shape_now, shape_of, token
from .writing import text_of

if TYPE_CHECKING:
    from genops_lab.core.settings import Settings as LabSettings
    from genops_lab.deployments.deploying import Prepared
    from genops_lab.deployments.records import Records
    from genops_lab.deployments.secrets import Secrets
    from genops_lab.deployments.service import DeploymentsService
    from genops_lab.registry.models import ModelVersion


@dataclass(frozen=True, kw_only=True)
class _Planned:
    """A plan with what its application needs."""

    plan: DescriptionPlan
    description: Description
    asked: CheckDeploy
    shape: Shape
    record: Record | None
    prepared: Prepared


class DescriptionsService(Service):
    """The operations of deployment files."""

    def __init__(
        self,
        settings: LabSettings,
        deployments: DeploymentsService,
        records: Records,
        secrets: Secrets,
        live_scorers: LiveScorers | None = None,
    ) -> None:
        """Without ``live_scorers``, the feature that scores traces, a file with the key 'scorers' is refused."""
        self._live_scorers = live_scorers
        self._lease_s = settings.deployment_lease_s
        self._warm_s = settings.deployment_warm_s
        self._root_dir = settings.root_dir or Path.cwd()
        self._deployments = deployments
        self._records = records
        self._secrets = secrets

    async def plan_description(self, body: PlanDescription) -> DescriptionPlan:
        """Return what the application of a file would do. Nothing changes."""
        return (await self._plan(await self._located(body))).plan

    async def apply_description(self, body: ApplyDescription) -> AppliedDescription:
        """Make a deployment what a file says; durable work carries it out. Without a difference nothing changes."""
        body = await self._located(body)
        planned = await self._plan(body)
        plan, record = planned.plan, planned.record
        if body.expect not in ("", plan.expect):
            raise self._changed_since(plan, body.seen)
        if plan.problem and not (plan.code == "memory" and body.replace_first and record is not None):
            raise Conflict(plan.problem, hint=plan.hint, code=plan.code)
        before = record.wanted.described if record is not None else None
        if plan.other_file and not body.take_over:
            raise Conflict(
                f"The deployment {plan.name!r} was applied from {plan.other_file}, and this file is {body.file}.",
                hint="Use another name in this file, or replace the other file: genops apply FILE --take-over",
                code="other_file",
            )
        described = Described(file=body.file, text=body.text, at=time.time(), folder=body.folder)
        same_file = before is not None and (before.file, before.text) == (body.file, body.text)
        if not plan.changes and (same_file or record is None):
            unchanged = await self._deployments.get_deployment(plan.name)
            return AppliedDescription(name=plan.name, deployment=unchanged, changes=[])

        def check(found: Record | None) -> None:
            if token(found, warm_s=self._warm_s) != plan.expect:
                raise self._changed_since(plan, plan.now)

        kept = await self._kept_scorers(planned, body.folder)
        shape = dataclasses.replace(planned.shape, scored=kept)
        settings = FileSettings(shape=shape, described=described, check=check)
        try:
            deployment = await self._carried_out(planned, body, settings)
        except BaseException:
            await self._dropped(kept, record)
            raise
        changed = await asyncio.to_thread(self._records.get, plan.name)
        return AppliedDescription(
            name=plan.name, deployment=deployment, changes=plan.changes, keys=settings.new_keys(changed)
        )

    async def _carried_out(
        self, planned: _Planned, body: ApplyDescription, settings: FileSettings
    ) -> Deployment:
        """Begin the durable work that makes a deployment what its plan says."""
        plan, record = planned.plan, planned.record
        if plan.new_revision or record is None:
            new = NewDeployment(
                **msgspec.structs.asdict(_pinned(planned.asked, planned.prepared.version)),
                trust=plan.digest,
                replace_first=body.replace_first,
                rollout=planned.description.rollout,
                sleep_minutes=planned.shape.sleep_s / 60,
            )
            return await self._deployments.deploying.begin(new, settings)
        if record.state != "running":
            raise Conflict(
                f"The deployment {plan.name!r} is {record.state}.",
                hint="Apply the file again once it runs: genops deployments show " + plan.name,
                code="under_way",
            )
        return await self._deployments.deploying.begin_settings(record, settings)

    async def _kept_scorers(self, planned: _Planned, folder: str) -> Scored | None:
        """Return the scorers of a file with their id: those of now where they are the same. Raises NotAllowed."""
        asked = await asyncio.to_thread(scorers_in, planned.description, folder)
        before = planned.record.wanted.scored if planned.record else None
        wanted = planned.shape.scored
        if (wanted and wanted.facts) == (before and before.facts):
            return before
        await require("execute", "trace_content", "Scorers read the requests and answers of a deployment")
        if asked is None or self._live_scorers is None:
            return None
        return await self._live_scorers.keep(planned.plan.name, asked)

    async def _dropped(self, kept: Scored | None, record: Record | None) -> None:
        """Remove the copy of scorers that were not set."""
        before = record.wanted.scored if record else None
        if kept is not None and self._live_scorers is not None and (before is None or before.id != kept.id):
            await self._live_scorers.drop(kept.id)

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
            asked = asked_in(description, described.folder)
            version = await self._deployments.deploying.resolve(asked, description.on)
            port = await asyncio.to_thread(https_in, description, described.folder)
            scored = await self._scored(description, described.folder)
            shape = dataclasses.replace(self._shape(description, asked, version), https=port, scored=scored)
            drift = differences(shape_now(record, warm_s=self._warm_s), shape)
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
        name = check_name(body.name) if body.name else name_of(body)
        record = await asyncio.to_thread(self._records.find, name)
        shape = self._plain() if record is None else shape_now(record, warm_s=self._warm_s)
        on = body.on or shape.on
        deploying = self._deployments.deploying
        version = await deploying.resolve(body, on)
        check = (
            await deploying.prepare(name, version, body.settings, on, sleeps=bool(body.sleep_minutes))
        ).check
        shape = dataclasses.replace(
            shape,
            model=check.model,
            version=check.version,
            on=on,
            given=given_of(body, version),
            commit=commit_of(version),
            sleep_s=60 * body.sleep_minutes or shape.sleep_s,
            scale=body.scale or shape.scale,
        )
        description = description_of(
            name,
            shape,
            plain=self._plain(),
            version=body.version,
            trust=check.digest if body.pinned and not body.command else "",
            rollout=body.rollout,
        )
        return DescriptionText(text=text_of(description, _remarks(check)))

    async def _located(self, body: Body) -> Body:
        return await asyncio.to_thread(located, body, self._root_dir)

    def _plain(self) -> Shape:
        return Shape.plain("", "", lease_s=self._lease_s, warm_s=self._warm_s)

    def _shape(self, description: Description, asked: Deployable, version: ModelVersion) -> Shape:
        given = given_of(asked, version)
        shape = shape_of(description, version.version, given, lease_s=self._lease_s, warm_s=self._warm_s)
        return dataclasses.replace(shape, model=version.name, commit=commit_of(version))

    def _text_now(self, record: Record) -> str:
        """Return the file that would change nothing, also where the files are of unknown origin."""
        shape = shape_now(record, warm_s=self._warm_s)
        current = record.known(record.wanted.update or record.revision) or record.revisions[-1]
        rollout = None
        with contextlib.suppress(DeploymentFileError):
            described = record.wanted.described
            rollout = None if described is None else read_description(described.text).rollout
        trust = "" if shape.given.command else current.digest
        return text_of(description_of(record.name, shape, plain=self._plain(), trust=trust, rollout=rollout))

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
        shape = shape_of(found, str(found.revision.version), lease_s=self._lease_s, warm_s=self._warm_s)
        with contextlib.suppress(InvalidRequest):
            shape = dataclasses.replace(shape, https=https_in(found, ""))
        if (named := found.scorers) is not None:
            shape = dataclasses.replace(shape, scored=Scored(**msgspec.structs.asdict(named)))
        return dataclasses.replace(shape, callers=shape.callers or {})

    async def _plan(self, body: PlanDescription) -> _Planned:
        description = await asyncio.to_thread(read_description, body.text, body.file)
        name, asked = description.name, asked_in(description, body.folder)
        deploying = self._deployments.deploying
        await self._deployments.target.on(description.on).reach(name)
        record = await asyncio.to_thread(self._records.find, name)
        if record is not None:  # which notes how its process is
            await self._deployments.get_deployment(name)
            record = await asyncio.to_thread(self._records.get, name)
        version = await deploying.resolve(asked, description.on)
        port = await asyncio.to_thread(https_in, description, body.folder)
        scored = await self._scored(description, body.folder)
        shape = dataclasses.replace(self._shape(description, asked, version), https=port, scored=scored)
        prepared = await deploying.prepare(
            name, version, asked.settings, description.on, sleeps=bool(shape.sleep_s)
        )
        now = None if record is None else shape_now(record, warm_s=self._warm_s)
        contents = template_changes(record, prepared.serving)
        changes = [*differences(now, shape), *contents]
        ended = record is not None and not record.active
        if record is not None and ended:
            changes.insert(0, DeploymentChange(what="state", now=record.state, file="running"))
        new_revision = now is None or ended or bool(contents) or not now.same_process(shape)
        described = None if record is None else record.wanted.described
        other = "" if described is None or body.file in ("", described.file) else described.file
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
            other_file=other,
        )
        if new_revision:
            plan = await self._with_needs(plan, record if not ended else None, prepared, shape)
            plan = await self._with_trust(plan, body, description, prepared)
            plan = await self._with_secrets(plan, shape)
        plan = _with_place(plan, record, shape)
        return _Planned(
            plan=plan, description=description, asked=asked, shape=shape, record=record, prepared=prepared
        )

    async def _scored(self, description: Description, folder: str) -> Scored | None:
        """Return the scorers that a file names. Raises InvalidRequest, NotFound, YamlFileError."""
        asked = await asyncio.to_thread(scorers_in, description, folder)
        if asked is None:
            return None
        if self._live_scorers is None:
            raise InvalidRequest(
                "The key 'scorers' needs the feature genai, which is switched off here.",
                hint="Leave out 'scorers', or ask the administrator of this server to switch genai on.",
            )
        return await self._live_scorers.check(description.name, asked)

    async def _with_needs(
        self, plan: DescriptionPlan, running: Record | None, prepared: Prepared, shape: Shape
    ) -> DescriptionPlan:
        """Add what the new revision needs, and what happens to requests meanwhile."""
        deploying = self._deployments.deploying
        if running is not None:
            update = await deploying.update_plan(running, prepared, shape.demanded)
            plan = replace(
                plan,
                message=update.message if update.fits else "",
                downtime="" if update.fits else update.downtime,
            )
            hint = f"Add --replace-first, or free some memory. {update.downtime}"
            problem = update.message
            needs = await deploying.needs(plan.name, prepared, shape.demanded)
        else:
            needs = await deploying.needs(plan.name, prepared, shape.demanded)
            plan = replace(plan, message=f"A process starts. {needs.first_start()}")
            problem = f"{plan.name!r} needs {needs.amounts()}."
            hint = _smaller(prepared) or (
                "Free some memory, correct resources in the file, or use another target: on: TARGET"
            )
        plan = replace(
            plan,
            needs_bytes=needs.memory_bytes,
            free_bytes=needs.machine.free_bytes,
            needs_gpus=needs.gpus,
            free_gpus=needs.free_gpus,
            fits=needs.fits,
        )
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
        prepared: Prepared,
    ) -> DescriptionPlan:
        """Add why the files of the version may not be loaded, if they may not; it comes before other problems."""
        version, check = prepared.version, prepared.check
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
        whose = "you confirmed" if body.trust else f"{body.file} trusts"
        problem = (
            f"{named} needs your confirmation. {check.title} {check.reason}"
            if trust is None
            else f"{named} has other files than {whose} ({trust[:19]}...). {check.reason}"
        )
        then = "Then write into the file: trust:" if body.file else "To deploy it, add --trust"
        hint = f"{check.advice} {then} {check.digest}"
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


def asked_in(description: Description, folder: str = "") -> CheckDeploy:
    """Return what a file asks to deploy. A relative path in it begins at ``folder``."""
    revision = description.revision
    given = given_in(description, Path(folder) if folder else None)
    return CheckDeploy(
        model=revision.model,
        version=str(revision.version),
        name=description.name,
        on=description.on,
        path=given.path,
        adapter=given.adapter,
        command=given.command,
        port=given.port,
        health=given.health,
        secret=given.secret,
        settings=given.settings,
    )


def _pinned(asked: CheckDeploy, version: ModelVersion) -> CheckDeploy:
    """Return what was asked with the version that was planned, also where an alias or a branch moves meanwhile."""
    asked = replace(asked, adapter=given_of(asked, version).adapter)
    if commit := commit_of(version):
        return replace(asked, model=f"{version.name}@{commit}")
    return replace(asked, model=version.name, version=version.version) if asked.model else asked


def _smaller(prepared: Prepared) -> str:
    """Return the settings with which a language model would fit; empty where that is not the question."""
    need, model = prepared.need, prepared.checked.model
    return "" if need is None or model is None or need.fits else what_fits(need, model.token_bytes)


def _with_place(plan: DescriptionPlan, record: Record | None, shape: Shape) -> DescriptionPlan:
    if record is None or (record.target or LOCAL) == shape.on:
        return plan
    return replace(
        plan,
        problem=f"The deployment {plan.name!r} is on {record.target or LOCAL}, not on {shape.on}.",
        hint=f"Use another name in the file, or delete it there first: genops deployments delete {plan.name}",
        code="name_in_use",
    )


def _remarks(check: DeployCheck) -> tuple[str, ...]:
    return () if check.trusted else (f"Review before you apply it: {check.title}",)
