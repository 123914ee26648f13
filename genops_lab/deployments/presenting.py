"""Compare the record of a deployment with what its target observes, and show both as one deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from .addresses import addresses_of
from .models import Deployment, DeploymentRevision, DeploymentState, Serving
from .record import LOCAL, KnownRevision, Record
from .rollout_models import Rollout
from .targets.base import DeploymentTarget, Observed, Revision

if TYPE_CHECKING:
    from genops_lab.core.settings import Settings
    from genops_lab.core.store.work import Work


def state_of(
    record: Record, seen: Observed, work: Work | None, target: str
) -> tuple[DeploymentState, str, str]:
    """Return the state of a deployment, with a message and a hint."""
    if not record.active:
        return record.state, record.message, record.hint
    if seen.away and (record.state != "preparing" or work is None):
        return record.state, seen.away, f"Connect it: genops targets connect {target}"
    found = seen.revision(record.revision)
    if record.state == "preparing" and found and not found.active and found.generation < record.generation:
        found = None  # it is started again, and this is how it ended before
    if found is not None and found.state != "preparing":
        return _observed(record, found, seen, work)
    if record.state == "stopping":
        return "stopped", "Stopped.", ""
    if record.wanted.update is not None and work is not None and work.state == "running":
        return "starting", "Starting the revision again.", ""
    if record.state == "preparing" and work is not None:
        if work.state == "running":
            return record.state, record.message, record.hint
        if work.state == "failed":
            return "failed", work.message, work.hint
    if record.state == "preparing" or found is not None:
        return "failed", "JupyterLab ended while it prepared the deployment.", "Deploy the version again."
    return "ended", f"The deployment is no longer on {target}.", "Deploy the version again."


def _observed(
    record: Record, found: Revision, seen: Observed, work: Work | None
) -> tuple[DeploymentState, str, str]:
    """Return the state of a deployment whose current revision has a process, or had one."""
    if record.state == "stopping" and found.state in ("starting", "running"):
        return record.state, record.message, record.hint
    if found.state == "running" and not seen.address:
        if work is not None and work.state == "failed":
            return "failed", work.message, work.hint
        return "starting", "Routing the requests.", ""
    if found.state == "running":
        return found.state, seen.problem or found.reason or record.wanted.note, found.hint
    others = [each for each in seen.revisions if each.state == "running" and each.number in seen.weights]
    if (
        found.state in ("failed", "ended")
        and seen.address
        and others
        and record.state in ("running", "starting")
    ):
        current, other = record.known(found.number), record.known(others[-1].number)
        if current is not None and other is not None:
            return (
                "running",
                f"Revision {current.number} does not run: {found.reason} Revision {other.number} answers.",
                f"Make it the current one: genops deployments rollback {record.name} --to {other.number}",
            )
    update = None if record.wanted.update is None else record.known(record.wanted.update)
    if not found.active and update is not None and work is not None and work.state == "running":
        return "starting", f"Waiting for revision {update.number}: the one before does not run.", ""
    return found.state, found.reason, found.hint


def deployment(
    record: Record,
    now: tuple[DeploymentState, str, str],
    seen: Observed,
    work: Work | None,
    target: DeploymentTarget,
    settings: Settings,
) -> Deployment:
    """Return a record and what its target observes as one deployment."""
    state, message, hint = now
    current = seen.revision(record.revision)
    known = seen if current is not None else target.capabilities()
    update = None if record.wanted.update is None else record.known(record.wanted.update)
    routed = bool(seen.weights.get(record.revision)) or len(record.revisions) == 1
    if update is None and current is not None and current.state == "running" and not routed:
        # The store has the change already, and the requests follow in a moment.
        update = record.known(record.revision) if work is not None and work.state == "running" else None
    if update is not None and state == "running" and work is not None:
        message = (
            f"Updating to revision {update.number} ({update.model} version {update.version}): {work.message}"
        )
    place = "" if record.target == LOCAL else record.target
    shown = record.known(record.revision)
    leases = [record.lease_until, current.lease_until if current else 0.0]
    return Deployment(
        name=record.name,
        model=record.model,
        version=record.version,
        state=state,
        url=seen.address if state == "running" else "",
        message=message,
        hint=hint,
        target=record.target or target.name,
        addresses=addresses_of(record.name, place, seen, settings) if state == "running" else [],
        requests=sum(each.requests for each in seen.revisions if record.known(each.number)),
        errors=sum(each.errors for each in seen.revisions if record.known(each.number)),
        latency_ms=current.latency_ms if current else None,
        outlives_server=known.outlives_server,
        task_id="" if work is None else work.id,
        created_at=record.created_at,
        lease_until=max(leases),
        file=record.wanted.described.file if record.wanted.described else "",
        revision=shown.number if shown else 1,
        updating_to=update.number if update else 0,
        revisions=_revisions(record, seen, state),
        rollout=_rollout(record, seen),
        serving=_serving(shown, current) if shown else None,
        settings=_texts(shown.scorer) if shown else {},
    )


def _rollout(record: Record, seen: Observed) -> Rollout | None:
    """Return the last rollout with the numbers of its revisions."""
    found = seen.rollout
    if found is None:
        return None
    champion, candidate = record.known(found.champion), record.known(found.candidate)
    return msgspec.structs.replace(
        found,
        champion=champion.number if champion else 0,
        candidate=candidate.number if candidate else 0,
        history=[],
    )


def _weights(seen: Observed, update: int | None) -> dict[int, float]:
    """Return the weights; those of a rollout in progress are the gateway's."""
    found = seen.rollout
    if found is None or update is None or found.candidate != update:
        return dict(seen.weights)
    return {found.champion: 100 - found.traffic, found.candidate: found.traffic}


def _revisions(record: Record, seen: Observed, state: DeploymentState) -> list[DeploymentRevision]:
    """Return the revisions that the target has, and the current one, the newest first."""
    weights = _weights(seen, record.wanted.update)
    total = sum(weights.values())
    found = []
    for known in reversed(record.revisions):
        there = seen.revision(known.id)
        is_current = known.id == record.revision
        if there is None and not is_current and known.id != record.wanted.update:
            continue
        found.append(
            DeploymentRevision(
                number=known.number,
                model=known.model,
                version=known.version,
                state=there.state if there is not None else (state if is_current else "preparing"),
                message=there.reason if there is not None else "",
                is_current=is_current,
                is_update=known.id == record.wanted.update,
                weight=round(100 * weights.get(known.id, 0) / total) if total else 0,
                requests=there.requests if there else 0,
                errors=there.errors if there else 0,
                latency_ms=there.latency_ms if there else None,
                created_at=known.created_at,
                lease_until=there.lease_until if there and there.active else 0.0,
                serving=_serving(known, there),
                replicas=there.replicas if there is not None else None,
                settings=_texts(known.scorer),
            )
        )
    return found


def _texts(settings: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in settings.items()}


def _serving(known: KnownRevision, there: Revision | None) -> Serving | None:
    if not known.serving:
        return None
    settings = _texts(known.serving.get("settings", {}))
    return Serving(
        engine=known.serving["engine"],
        settings=settings,
        adapter=known.serving.get("adapter_name", ""),
        tokens=there.tokens if there is not None else None,
    )
