"""Talk with the agent of a host about deployments, over channels (:mod:`genops_lab.agent.deployment_service`)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from genops_lab.agent.transfer import BadTransfer, document
from genops_lab.core.errors import Conflict, Failed, GenOpsError
from genops_lab.hosts.link.placed_files import SentFile, send_needed
from genops_lab.hosts.link.state import RemoteError
from genops_lab.hosts.link.transfer import READING_S, HostTransfer

from .base import Check


class HostTalk(HostTransfer):
    """Place files, and read documents."""

    ABOUT = "the deployment"
    patience_s = READING_S

    async def documents(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the documents of the host up to the end."""
        while found := await self.document():
            yield found

    async def place(
        self,
        order: dict[str, Any],
        files: Sequence[SentFile],
        check: Check | None,
        fetched: Callable[[dict[str, Any]], None] = lambda _told: None,
    ) -> None:
        """Send the files that the host does not have, and let it place them if ``check`` still allows that.

        ``fetched`` gets what the host tells while it fetches files from a hub.
        """
        self.channel.write(document(order))
        answer = await self.document()
        while "hub" in answer:
            fetched(answer["hub"])
            answer = await self.document()
        if "need" in answer:
            await send_needed(self, files, answer["need"])
            answer = await self.document()
        if answer.get("locked"):
            if check is not None:
                await asyncio.to_thread(check)
            self.channel.write(document({"commit": True}))
            answer = await self.document()
        if not answer.get("placed"):
            raise BadTransfer("it did not place the files")


class Following(HostTalk):
    """Read what the host tells when something changes, however long that takes. A cut is noticed by the link."""

    patience_s = math.inf

    async def _portion(self) -> bytes:
        return await self.channel.read(65536)


def plain(error: RemoteError) -> GenOpsError:
    """Return what the host refused as an error of the deployment."""
    if error.code == "name_in_use":
        return Conflict(error.message, hint=error.hint, code=error.code)
    if error.code in ("failed", "invalid", "unknown_method", "unknown_service"):
        return Failed(error.message, hint=error.hint or "Deploy the version again.")
    return error
