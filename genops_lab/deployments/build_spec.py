"""Say what a target should run for a record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from genops_lab.serving.engines.settings import scorer_options

from .record import KnownRevision, Record
from .targets.base import DeploymentSpec

POLL_S = 0.15
#: The kind of durable work that starts or updates a deployment; its subject is ``deployment:<name>``.
KIND = "deployment"


def spec(
    record: Record, revision: KnownRevision | None = None, *, warm_s: float, **changes: Any
) -> DeploymentSpec:
    """Return the desired state: the current revision or a given one, with all others beside it as they are."""
    chosen = revision or record.known(record.revision) or record.revisions[-1]
    known = tuple(each.id for each in record.revisions)
    asked = DeploymentSpec(
        name=record.name,
        version=chosen.version,
        revision=chosen.id,
        number=chosen.number,
        lease_s=record.wanted.lease_s,
        lease_until=record.lease_until,
        allow_pickle=chosen.allow_pickle,
        sleep_s=chosen.sleep_s,
        serving=chosen.serving,
        scorer=scorer_options(chosen.scorer),
        beside=tuple(each for each in known if each != chosen.id),
        known=known,
        keys=tuple(record.wanted.keys),
        warm_s=record.wanted.warm_s or warm_s,
        environment=chosen.environment,
        secrets=tuple(chosen.secrets),
        scale=record.wanted.scale,
        https=record.wanted.https,
    )
    return replace(asked, **changes)
