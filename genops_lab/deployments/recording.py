"""Record requests of a deployment for load tests. The gateway has them, in its memory alone."""

from __future__ import annotations

from typing import Any

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.services import Service
from genops_lab.serving.gateway.recordings import MOST_REQUESTS

from .asking import AskingService
from .load_models import NewRecording, Recording
from .targets.base import DeploymentTarget


class RecordingService(Service):
    """Begin, show and forget recordings."""

    def __init__(self, asking: AskingService, target: DeploymentTarget) -> None:
        self._asking = asking
        self._target = target

    async def record_requests(self, name: str, body: NewRecording) -> Recording:
        """Record the next requests to a running deployment, in place of an earlier recording."""
        if not 1 <= body.requests <= MOST_REQUESTS:
            raise InvalidRequest(
                f"{body.requests:,} requests cannot be recorded.",
                hint=f"Record 1 to {MOST_REQUESTS:,} requests.",
            )
        await self._asking.running(name)
        await self._target.ask_gateway({"op": "record", "name": name, "requests": body.requests})
        return await self.get_recording(name)

    async def get_recording(self, name: str) -> Recording:
        """Return how far a recording is, without the requests. Raises NotFound."""
        found = await self._asked(name, whole=False)
        return Recording(
            wanted=found["wanted"],
            requests=found["requests"],
            full=found["full"],
            path=found["path"],
            left_s=round(found["left_s"]),
        )

    async def delete_recording(self, name: str) -> None:
        """Forget the recorded requests; idempotent."""
        await self._asking.deployment(name)
        await self._target.ask_gateway({"op": "forget", "name": name})

    async def requests(self, name: str) -> tuple[str, list[str]]:
        """Return the path and the bodies of the recorded requests. Raises NotFound without any."""
        found = await self._asked(name, whole=True)
        if not found["bodies"]:
            raise _nothing(name)
        return found["path"], found["bodies"]

    async def _asked(self, name: str, *, whole: bool) -> dict[str, Any]:
        await self._asking.running(name)
        found = await self._target.ask_gateway({"op": "recorded", "name": name, "whole": whole})
        if not found["wanted"]:
            raise _nothing(name)
        return found


def _nothing(name: str) -> NotFound:
    return NotFound(
        f"No requests of {name!r} are recorded.", hint=f"Record some: genops deployments record {name}"
    )
