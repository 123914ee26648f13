"""Compare what a file says with what a deployment is. Nothing here waits or writes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from genops_lab.core.formatting import size_of
from genops_lab.deployments.https import Https
from genops_lab.deployments.live_scorers import Scored
from genops_lab.deployments.models import DeploymentChange
from genops_lab.deployments.needs import Demanded
from genops_lab.deployments.record import DEFAULT_HEALTH, LOCAL, Given, Record
from genops_lab.deployments.scaling import Scale
from genops_lab.deployments.tracing_settings import Traced
from genops_lab.serving.engines.settings import CHAT_TEMPLATE

from . import document
from .document import HUB, Caller, Description, Lifetime, Resources, Revision

if TYPE_CHECKING:
    from pathlib import Path

    from genops_lab.deployments.policy import RolloutPolicy

_HOUR = 3600.0
ONE = Scale()


class Limits(NamedTuple):
    """The limits of a key: requests and tokens a minute; 0 is no limit."""

    requests: int = 0
    tokens: int = 0

    def __str__(self) -> str:
        found = [f"{self.requests:,} a minute"] if self.requests else []
        found += [f"{self.tokens:,} tokens a minute"] if self.tokens else []
        return ", ".join(found) or "no limit"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A deployment as it is, or as it should be.

    ``callers`` have limits; None leaves them as they are. ``commit`` is the whole commit of a repository of the hub.
    """

    model: str
    version: str
    on: str = LOCAL
    given: Given = field(default_factory=Given)
    commit: str = ""
    environment: Mapping[str, str]
    secrets: tuple[str, ...]
    lease_s: float
    warm_s: float
    memory_bytes: int
    gpus: int = 0
    sleep_s: float = 0.0
    scale: Scale = ONE
    https: Https | None = None
    traces: Traced | None = None
    scored: Scored | None = None
    callers: Mapping[str, Limits] | None

    @classmethod
    def plain(cls, model: str, version: str, *, lease_s: float = 0.0, warm_s: float = 0.0) -> Shape:
        """Return the shape of a version that a file says nothing more about."""
        return cls(
            model=model, version=version, environment={}, secrets=(), lease_s=lease_s, warm_s=warm_s,
            memory_bytes=0, callers=None,
        )  # fmt: skip

    @property
    def demanded(self) -> Demanded:
        """The memory and the GPUs that the file demands."""
        return Demanded(memory_bytes=self.memory_bytes, gpus=self.gpus, replicas=self.scale.max)

    def same_process(self, other: Shape) -> bool:
        """Return whether the processes of both are the same."""
        return self.process == other.process

    @property
    def process(self) -> tuple[object, ...]:
        """The facts that the processes of a revision get at their start."""
        return (
            self.model, self.version, self.given, dict(self.environment), set(self.secrets), self.lease_s, self.sleep_s,
        )  # fmt: skip


def given_in(description: Description, folder: Path | None = None) -> Given:
    """Return what a file says beside model and version. A relative path begins at ``folder``."""
    asked = description.revision

    def absolute(path: str) -> str:
        return str((folder / path).resolve()) if path and folder else path

    return Given(
        path=absolute(asked.path),
        adapter=asked.adapter if asked.adapter.startswith(HUB) else absolute(asked.adapter),
        command=asked.command,
        port=asked.port,
        health="" if asked.health == DEFAULT_HEALTH else asked.health,
        secret=asked.secret or "",
        settings={
            name: absolute(value) if name == CHAT_TEMPLATE else value
            for name, value in asked.given_settings.items()
        },
    )


def shape_of(
    description: Description,
    version: str,
    given: Given | None = None,
    *,
    lease_s: float,
    warm_s: float,
) -> Shape:
    """Return the shape that a file asks for; ``version`` is the number that its alias names now."""
    hours = description.lifetime
    callers = description.callers
    return Shape(
        model=description.revision.model,
        version=version,
        on=description.on,
        given=given or given_in(description),
        environment={name: str(value) for name, value in description.environment.items()},
        secrets=tuple(sorted(description.secrets)),
        lease_s=lease_s if hours.lease_hours is None else hours.lease_hours * _HOUR,
        warm_s=warm_s if hours.warm_hours is None else hours.warm_hours * _HOUR,
        memory_bytes=description.resources.memory_bytes if description.resources else 0,
        gpus=description.resources.gpus if description.resources else 0,
        sleep_s=60 * hours.sleep_minutes,
        scale=Scale(**msgspec.structs.asdict(description.scale)),
        traces=Traced(**msgspec.structs.asdict(description.traces)) if description.traces else None,
        callers=None if callers is None else {each.name: Limits(each.limit, each.tokens) for each in callers},
    )


def shape_now(record: Record, *, warm_s: float) -> Shape:
    """Return the shape of a deployment: that of an update in progress, or of the current revision."""
    wanted = record.wanted
    revision = record.known(wanted.update or record.revision) or record.revisions[-1]
    return Shape(
        model=revision.model,
        version=revision.version,
        on=record.target or LOCAL,
        given=revision.given,
        commit=revision.commit,
        environment=revision.environment,
        secrets=tuple(sorted(revision.secrets)),
        lease_s=wanted.lease_s,
        warm_s=wanted.warm_s or warm_s,
        memory_bytes=wanted.memory_bytes,
        gpus=wanted.gpus,
        sleep_s=revision.sleep_s,
        scale=wanted.scale,
        https=wanted.https,
        traces=wanted.traces,
        scored=wanted.scored,
        callers={each.name: Limits(each.limit, each.tokens) for each in wanted.keys},
    )


def differences(now: Shape | None, file: Shape) -> list[DeploymentChange]:
    """Return what differs, one change a fact; ``now`` is None for a new deployment.

    >>> three = Shape.plain("digits", "3")
    >>> [(each.what, each.now, each.file) for each in differences(three, Shape.plain("digits", "4"))]
    [('version', '3', '4')]
    """
    wanted, found = _facts(file), {} if now is None else _facts(now)
    if now is not None and file.callers is None:
        found = {what: value for what, value in found.items() if not what.startswith("key ")}
    whats = [*wanted, *(each for each in found if each not in wanted)]
    return [
        DeploymentChange(what=what, now=found.get(what, ""), file=wanted.get(what, ""))
        for what in whats
        if found.get(what, "") != wanted.get(what, "")
    ]


def _facts(shape: Shape) -> dict[str, str]:
    facts = _served(shape)
    if shape.on != LOCAL:
        facts["target"] = shape.on
    facts |= {f"setting {name}": value for name, value in sorted(shape.given.settings.items())}
    facts |= {f"variable {name}": value for name, value in sorted(shape.environment.items())}
    facts |= {f"secret {name}": "given" for name in shape.secrets}
    facts |= {f"key {name}": str(limits) for name, limits in (shape.callers or {}).items()}
    if shape.memory_bytes:
        facts["memory"] = size_of(shape.memory_bytes)
    if shape.gpus:
        facts["GPUs"] = str(shape.gpus)
    if shape.scale != ONE:
        facts["replicas"] = shape.scale.text
    if shape.https:
        facts["https"] = shape.https.text
    if shape.traces:
        facts["traces"] = shape.traces.text
    if shape.scored:
        facts |= shape.scored.facts
    if shape.sleep_s:
        facts["unloads the model without callers after"] = f"{shape.sleep_s / 60:g} min"
    return facts | {
        "ends without requests after": _hours(shape.lease_s),
        "earlier revision stays warm for": _hours(shape.warm_s),
    }


def _served(shape: Shape) -> dict[str, str]:
    given = shape.given
    if given.command:
        facts = {"command": given.command, "port": str(given.port or ""), "health": given.health}
    elif given.path:
        facts = {"path": given.path, "adapter": given.adapter, "files": shape.version}
    else:
        facts = {"model": shape.model, "version": shape.version, "token of the repository": given.secret}
        facts["adapter"] = given.adapter
    return {what: value for what, value in facts.items() if value}


def _hours(seconds: float) -> str:
    return f"{seconds / _HOUR:g} h" if seconds >= _HOUR / 10 else f"{seconds:g} s"


def description_of(
    name: str,
    shape: Shape,
    *,
    plain: Shape,
    version: str = "",
    trust: str = "",
    rollout: RolloutPolicy | None = None,
) -> Description:
    """Return the description of a shape, without the parts that are as in ``plain``; ``version`` may be an alias."""
    lease = None if shape.lease_s == plain.lease_s else shape.lease_s / _HOUR
    warm = None if shape.warm_s == plain.warm_s else shape.warm_s / _HOUR
    return Description(
        apiVersion="genops/v1",
        kind="Deployment",
        name=name,
        revisions=[_revision(shape, version or shape.version)],
        on=shape.on,
        scale=document.Scale(**msgspec.structs.asdict(shape.scale)),
        https=document.Https(**shape.https.described) if shape.https else None,
        resources=Resources.of(shape.memory_bytes, shape.gpus) if shape.memory_bytes or shape.gpus else None,
        environment=dict(shape.environment),
        secrets=list(shape.secrets),
        callers=[
            Caller(name=each, limit=limits.requests, tokens=limits.tokens)
            for each, limits in (shape.callers or {}).items()
        ]
        or None,
        lifetime=Lifetime(lease_hours=lease, warm_hours=warm, sleep_minutes=shape.sleep_s / 60),
        traces=document.Traces(**msgspec.structs.asdict(shape.traces)) if shape.traces else None,
        scorers=_scorers(shape),
        trust=trust or None,
        rollout=rollout,
    )


def _scorers(shape: Shape) -> document.Scorers | None:
    """Return the scorers; those without traces, which look at nothing, have no place in a file."""
    found = shape.scored
    if found is None or shape.traces is None:
        return None
    return document.Scorers(file=found.file, sample=found.sample, money_per_day=found.money_per_day)


def _revision(shape: Shape, version: str) -> Revision:
    given = shape.given
    settings: dict[str, Any] = {
        name: int(value) if value.isdecimal() else value for name, value in given.settings.items()
    }
    if given.command:
        return Revision(command=given.command, port=given.port, health=given.health, settings=settings)
    if given.path:
        return Revision(path=given.path, adapter=given.adapter, settings=settings)
    if shape.model.startswith(HUB):
        return Revision(
            model=f"{shape.model}@{shape.commit or version}",
            adapter=given.adapter,
            secret=given.secret or None,
            settings=settings,
        )
    number = int(version) if version.isdecimal() else version
    return Revision(model=shape.model, version=number, settings=settings)


def token(record: Record | None, *, warm_s: float) -> str:
    """Return a text that changes whenever a deployment does, except for its lease and its requests."""
    if record is None:
        return "new"
    facts = [
        _facts(shape_now(record, warm_s=warm_s)),
        record.revision,
        record.wanted.update,
        record.active,
        record.created_at,
    ]
    return hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()[:16]
