"""One channel to a service of a host that answers in parcels, in the links' loop. The host is not trusted."""

from __future__ import annotations

import asyncio
from typing import Any

from genops_lab.agent.channels import Channel
from genops_lab.agent.transfer import DATA, BadTransfer, TransferReader, read_document

from .state import RemoteError

_READ_BYTES = 262144
#: Without one byte for so long a host counts as stuck; a link that is cut is noticed far sooner.
SILENCE_S = 120.0


class TransferChannel:
    """What comes over ``channel``, checked. ``about``: what the talk is of, for its errors (``the folder``)."""

    def __init__(self, channel: Channel, target: str, about: str) -> None:
        self._channel = channel
        self._target = target
        self._about = about
        self._reader = TransferReader()
        self._ready: list[tuple[int, bytes]] = []

    async def _parcel(self, patience_s: float = SILENCE_S) -> tuple[int, bytes]:
        while not self._ready:
            try:
                portion = await asyncio.wait_for(self._channel.read(_READ_BYTES), patience_s)
            except asyncio.TimeoutError:
                raise RemoteError("silent", f"{self._target} says nothing more of {self._about}.") from None
            if not portion:
                raise self._bad("its answer ended too early")
            try:
                self._ready = list(self._reader.feed(portion))[::-1]
            except BadTransfer as error:
                raise self._bad(str(error)) from None
        return self._ready.pop()

    async def _document(self) -> dict[str, Any]:
        kind, payload = await self._parcel()
        if kind == DATA:
            raise self._bad("it sends bytes that were not asked for")
        return self._read(payload)

    def _read(self, payload: bytes) -> dict[str, Any]:
        try:
            return read_document(payload)
        except BadTransfer as error:
            raise self._bad(str(error)) from None

    def _bad(self, what: str) -> RemoteError:
        return RemoteError(
            "broken",
            f"{self._target} answers for {self._about} what cannot be used: {what}.",
            "Test the target.",
        )
