"""The Lab's end of :mod:`genops_lab.agent.transfer`, in the connections' loop: a channel to a service of an
untrusted host, with retries after a cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from genops_lab.agent.channels import Channel, ChannelReset
from genops_lab.agent.transfer import BadTransfer, TransferChannel

from ...core.errors import Unavailable
from .connection import HostConnection
from .state import LinkDown, RemoteError

#: Seconds without a byte while the host reads a large file.
READING_S = 600.0
_BREATH_S = 0.05
_BROKEN = ("gone", "not_connected")
T = TypeVar("T")


class HostTransfer(TransferChannel):
    """The messages from a host; made by :func:`host_transfer`."""

    #: The subject of the transfer, for errors.
    ABOUT = ""
    #: Seconds without a byte after which the host counts as stuck. A cut connection is noticed far sooner.
    patience_s = 120.0

    def __init__(self, channel: Channel, target: str) -> None:
        super().__init__(channel)
        self._target = target

    async def _portion(self) -> bytes:
        try:
            portion = await asyncio.wait_for(super()._portion(), self.patience_s)
        except asyncio.TimeoutError:
            raise RemoteError("silent", f"{self._target} sends nothing more about {self.ABOUT}.") from None
        if not portion:
            raise BadTransfer("its answer is incomplete")
        return portion


_Talk = TypeVar("_Talk", bound=HostTransfer)


@asynccontextmanager
async def host_transfer(
    kind: type[_Talk], link: HostConnection, service: str, params: dict[str, Any]
) -> AsyncIterator[_Talk]:
    """Open a channel to a service of a host.

    Raises LinkDown, and RemoteError: with the code "gone" when the connection breaks, with "broken" for an
    invalid answer.
    """
    target = link.route.target
    try:
        channel = link.open(service, params)
        channel.bulk = True
        try:
            yield kind(channel, target)
            channel.write_eof()
        finally:
            channel.reset("left", "The Lab has left.")
    except BadTransfer as error:
        raise RemoteError(
            "broken",
            f"{target} sent an invalid answer about {kind.ABOUT}: {str(error).rstrip('.')}.",
            "Test the target.",
        ) from None
    except ChannelReset as reset:
        if reset.code == "gone":
            raise RemoteError("gone", f"The connection to {target} broke.", "Try again.") from None
        raise RemoteError(reset.code, reset.message, reset.hint) from None


async def through_breaks(
    link: HostConnection,
    work: Callable[[], Awaitable[T]],
    *,
    breaks: int,
    within_s: float,
    came: Callable[[], int] = lambda: 0,
    waits: Callable[[str], None] = lambda _: None,
) -> T:
    """Run ``work``; repeat it each time the connection broke and is back within ``within_s`` seconds.

    Calls ``waits`` with the reason before each wait. Raises what ``work`` raises, LinkDown, and Unavailable
    after ``breaks`` cuts between which ``came`` did not grow.
    """
    vain = 0
    while True:
        before = came()
        try:
            return await work()
        except (LinkDown, RemoteError) as error:
            if error.code not in _BROKEN:
                raise
            vain = vain + 1 if came() == before else 1
            if vain >= breaks:
                raise Unavailable(
                    f"The connection to {link.route.target} breaks repeatedly.", hint="Test the target."
                ) from error
            waits(error.message)
        await asyncio.sleep(_BREATH_S)  # the connection may not have seen yet that it is down
        await link.ready(within_s)
