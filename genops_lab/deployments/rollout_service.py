"""Show rollouts, take what people decide about them, and pass on outcomes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec

from genops_lab.core.errors import Conflict, GenOpsError, NotFound
from genops_lab.core.principals import PRINCIPAL, this_user
from genops_lab.core.services import Service

from .models import Deployment
from .outlook import outlook
from .policy import RolloutPolicy, check_policy
from .record import ACTIVE
from .rollout_models import DecideRollout, Feedback, NewFeedback, Rollout, RolloutOutlook
from .service import DeploymentsService
from .targets.base import DeploymentTarget

#: How long the end of an update is waited for after a decision.
_END_S = 15.0
_LOOK_S = 0.1


class RolloutsService(Service):
    """Rollouts of deployments. The gateway has them; the answers are what it knows."""

    def __init__(self, deployments: DeploymentsService, target: DeploymentTarget) -> None:
        self._deployments = deployments
        self._target = target

    async def get_rollout(self, name: str) -> Rollout:
        """Return the last rollout of a deployment with its history. Raises NotFound."""
        shown = (await self._deployments.get_deployment(name)).rollout
        found = (await self._target.observe(name)).rollout
        if shown is None or found is None:
            raise NotFound(
                f"{name!r} has had no rollout.",
                hint=f"Begin one: genops deploy MODEL --name {name} --rollout canary",
            )
        return msgspec.structs.replace(shown, history=found.history)

    async def decide_rollout(self, name: str, body: DecideRollout) -> Deployment:
        """Promote, roll back, hold or continue a rollout. Raises Conflict if another person or the judge was first."""
        found = await self._deployments.get_deployment(name)
        if found.rollout is None or not found.updating_to:
            raise Conflict(
                f"{name!r} has no rollout in progress.",
                hint=f"Go back to an earlier revision: genops deployments rollback {name}"
                if body.decision == "rollback"
                else f"Begin one: genops deploy MODEL --name {name} --rollout canary",
            )
        id = body.rollout or found.rollout.id
        principal = PRINCIPAL.get() or this_user()
        asked = {"op": "decide", "name": name, "id": id, "decision": body.decision, "by": principal.name}
        refused = (await self._target.ask_gateway(asked)).get("refused")
        if refused:
            raise Conflict(str(refused), hint=f"Look at it: genops deployments show {name}")
        if body.decision in ("promote", "rollback"):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._until_it_ended(name), _END_S)
        return await self._deployments.get_deployment(name)

    async def _until_it_ended(self, name: str) -> None:
        await self._deployments.take_up(name)
        while (await self._deployments.get_deployment(name)).updating_to:
            await asyncio.sleep(_LOOK_S)

    async def add_feedback(self, body: NewFeedback) -> Feedback:
        """Pass an outcome of a request to the rollout that answered it."""
        names = [body.deployment] if body.deployment else await self._collecting()
        sent = {"request_id": body.request_id, "name": body.name, "value": body.value}
        answer: dict[str, Any] = {
            "counted": False,
            "reason": "No deployment has a rollout that collects outcomes.",
        }
        for name in names:
            if body.deployment:
                await self._deployments.get_deployment(name)
            answer = await self._target.ask_gateway({"op": "feedback", "name": name, "body": sent})
            if answer["counted"]:
                break
        return Feedback(counted=bool(answer["counted"]), reason=str(answer["reason"]))

    async def _collecting(self) -> list[str]:
        found, page = [], await self._deployments.list_deployments()
        for each in page.items:
            if each.state in ACTIVE and each.updating_to and each.rollout is not None:
                found.append(each.name)
        return found

    async def get_rollout_outlook(self, name: str, body: RolloutPolicy) -> RolloutOutlook:
        """Say what the recent traffic of a deployment can show by a policy, before the rollout begins."""
        check_policy(body)
        await self._deployments.get_deployment(name)
        traffic = {"requests": 0, "failures": 0, "seconds": 0.0}
        with contextlib.suppress(GenOpsError):  # no gateway runs: nothing is known
            traffic = await self._target.ask_gateway({"op": "traffic", "name": name})
        return outlook(body, int(traffic["requests"]), int(traffic["failures"]), float(traffic["seconds"]))
