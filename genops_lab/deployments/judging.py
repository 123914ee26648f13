"""Follow the rollout that the gateway judges: begin it, wait for its end, and note the end with the version."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Failed
from genops_lab.core.tasks import TaskHandle
from genops_lab.registry.rollout_tag import TAG

from .policy import RolloutPolicy, for_gateway
from .record import KnownRevision, Record
from .rollout_models import Rollout
from .targets.base import DeploymentTarget

if TYPE_CHECKING:
    from genops_lab.registry.service import RegistryService

log = logging.getLogger("genops_lab")

POLL_S = 0.25
#: How long the gateway may take to write the evidence of a rollout that it was given.
BEGIN_S = 20.0
#: Who takes the requests from a candidate whose update failed: its process died, or a file could not be written.
FAILURE = "GenOps Lab"
#: Those who decide beside people.
JUDGES = ("the judge", "the policy", FAILURE)
#: MLflow keeps 5,000 characters of a tag.
_MOST_TAG = 5_000


class Judging:
    """Rollouts of one target. The judge needs no Lab; a Lab that was closed finds how it ended."""

    def __init__(self, target: DeploymentTarget, registry: RegistryService) -> None:
        self._target = target
        self._registry = registry

    async def begin(self, record: Record, candidate: KnownRevision, policy: RolloutPolicy) -> str:
        """Give the rollout to the gateway and return its id. The same one goes on."""
        id = str(candidate.id)
        asked = for_gateway(policy, id=id, name=record.name, champion=record.revision, candidate=candidate.id)
        await self._target.ask_gateway({"op": "rollout", "rollout": asked})
        return id

    async def until_it_ends(
        self,
        handle: TaskHandle,
        record: Record,
        candidate: KnownRevision,
        still: Callable[[], Awaitable[Any]],
    ) -> Rollout:
        """Wait until the requests have one revision. ``still`` raises if the update was cancelled.

        Raises Failed if the process of the candidate ended before anybody decided.
        """
        said, waited = "", 0.0
        while True:
            await still()
            seen = await self._target.observe(record.name)
            found = seen.rollout
            if found is not None and found.id == str(candidate.id):
                if found.ended:
                    return found
                line = told(found)
                if line != said:
                    handle.progress(line)
                    said = line
            elif (waited := waited + POLL_S) > BEGIN_S:
                raise Failed(
                    "The gateway does not write the evidence of the rollout.",
                    hint="Free some disk space, then deploy again.",
                )
            process = seen.revision(candidate.id)
            if process is None or process.state in ("failed", "ended", "stopped"):
                reason = (process.reason if process else "") or "its process has ended."
                raise Failed(f"Revision {candidate.number} ended in its rollout: {reason}")
            await asyncio.sleep(POLL_S)

    async def roll_back(self, name: str, id: str, by: str) -> None:
        """Take the requests from the candidate, unless the rollout has ended."""
        asked = {"op": "decide", "name": name, "id": id, "decision": "rollback", "by": by}
        await self._target.ask_gateway(asked)

    async def end(self, record: Record, candidate: KnownRevision) -> None:
        """Forget the rollout in the gateway, and keep its evidence with a registered version."""
        await self._target.ask_gateway({"op": "end", "name": record.name, "id": str(candidate.id)})
        found = (await self._target.observe(record.name)).rollout
        if found is None or found.id != str(candidate.id) or not candidate.is_registered:
            return
        try:
            text = evidence_tag(record.name, found)
            await self._registry.set_version_tag(candidate.model, candidate.version, TAG, text)
        except Exception as error:  # MLflow does not answer: the file at the deployment has the evidence too
            log.warning("Cannot keep the evidence of the rollout of %s: %s", record.name, error)


def told(found: Rollout) -> str:
    """Return the line of progress of a rollout."""
    if found.state == "held":
        return f"Held at {found.traffic:g} % of the requests. {found.why}"
    if found.kind == "shadow":
        return f"Shadow: the new revision gets copies of requests. {found.next}"
    kind = found.kind.upper() if found.kind == "a/b" else found.kind.capitalize()
    if not found.metrics:
        return f"{kind}: {found.traffic:g} % of the requests. {found.next}"
    where = f"step {found.step}, {found.traffic:g} % of the requests"
    return f"{kind}, {where}. Next: {found.next}"


def evidence_tag(deployment: str, found: Rollout) -> str:
    """Return the evidence as JSON that fits into a tag: with fewer points of the history if it is long."""
    history = list(found.history)
    while True:
        shown = msgspec.structs.replace(found, history=history)
        text = json.dumps({"deployment": deployment, **msgspec.to_builtins(shown)}, separators=(",", ":"))
        if len(text) <= _MOST_TAG or not history:
            return text[:_MOST_TAG]
        history = history[1::2]
