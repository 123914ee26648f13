"""Open the agent's byte stream to a host, by whichever carrier fits the route.

    carriage = await open_carriage(route, asker, folder)
    carriage.reader, carriage.writer      # the agent's stream, from its preamble on

The bytes always pass through a child process: paramiko in one of ours, the system's ssh, or, for this
machine, the agent itself. Nothing here blocks the loop.
"""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...core.errors import GenOpsError
from . import bootstrap
from .errors import AgentRefused, CarrierEnded, HostGone, HostPending, LinkError, NoPython
from .questions import Asker, is_present
from .route import Route

if TYPE_CHECKING:
    from ..providers.base import HostProvider

#: Bytes that may wait to be read here before the host is slowed down.
READ_LIMIT = 256 * 1024


class Way(Protocol):
    """The target and interpreter that a stream leads to."""

    @property
    def target(self) -> str:
        """Return the target's name."""

    @property
    def python(self) -> str:
        """Return the interpreter on the host."""


class End:
    """How a carrier ended.

    The command's exit code (None: the connection was cut), its standard error, and the carrier's own reason.
    """

    def __init__(
        self, exit_code: int | None, stderr: str, error: LinkError | None = None, reason: str = ""
    ) -> None:
        self.exit_code = exit_code
        self.stderr = stderr
        self.error = error
        self.reason = reason


class HostStream(ABC):
    """An open stream. ``carrier`` is ``paramiko``, ``openssh`` or ``local``; ``pid`` is the child's."""

    carrier: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    pid: int = 0
    established: bool = False
    """Whether the agent has answered: a later end is a cut, not a failure to connect."""

    def __init__(self, route: Way) -> None:
        self.route = route

    @property
    def asking(self) -> bool:
        """Return whether a person is answering a question at the moment."""
        return False

    @abstractmethod
    async def end(self) -> End:
        """Wait until the stream has ended, and return how."""

    @abstractmethod
    async def close(self) -> None:
        """End the stream; return when the child has exited. May be called at any time, and repeatedly."""

    async def why(self, patience_s: float = 2.0) -> LinkError:
        """Return why the stream ended, once reading came to its end."""
        target = self.route.target
        try:
            end = await asyncio.wait_for(self.end(), patience_s)
        except asyncio.TimeoutError:
            return CarrierEnded(f"The connection to {target} ended.", hint="GenOps Lab reconnects by itself.")
        if end.error is not None:
            return end.error
        last = bootstrap.tail(end.stderr.encode())
        if end.exit_code is not None:
            last_output = f" Its last output: {last}" if end.stderr.strip() else ""
            return AgentRefused(
                f"The agent on {target} ended with exit code {end.exit_code}.{last_output}",
                hint="Connect again. If the agent ends again, its last output says why.",
            )
        return CarrierEnded(
            f"The connection to {target} was cut: {end.reason or 'its process ended'}.",
            hint="GenOps Lab reconnects by itself. Kernels on the host keep running.",
        )


async def open_carriage(
    route: Route, asker: Asker, folder: Path, *, payload: tuple[bytes, str] | None = None
) -> HostStream:
    """Connect, start the agent, return its stream.

    ``folder`` is GenOps' data directory, which has the accepted host keys. ``payload`` is the agent's zip and
    its SHA-256, in place of this version's own. Questions go to ``asker`` and may take as long as a person
    does.

    Raises :class:`~genops_lab.hosts.link.errors.LinkError`, and InvalidRequest for an invalid route.
    """
    from ..providers import provider_of

    provider = provider_of(route.kind)
    provider.check(route.config)
    try:
        return await _open(provider, route, asker, folder, payload)
    except LinkError as error:
        if provider.tells_changes:
            error.changed = lambda: provider.changed(route)
        raise


async def _open(
    provider: HostProvider, route: Route, asker: Asker, folder: Path, payload: tuple[bytes, str] | None
) -> HostStream:
    from ..providers.base import Gone, Pending

    is_present(asker, folder)
    await asyncio.to_thread(provider.load)
    observed = await provider.observe(route)
    if isinstance(observed, Pending):
        raise HostPending(observed.reason, observed.position)
    if isinstance(observed, Gone):
        raise HostGone.because(route.target, provider.host_noun, observed.why)
    data, sha = await asyncio.to_thread(_own_payload) if payload is None else payload
    nonce = secrets.token_hex(8)
    carriage = await provider.open_stream(route, bootstrap.command(route.python, sha, nonce), asker, folder)
    try:
        await bootstrap.start(
            carriage.reader,
            carriage.writer,
            target=route.target,
            nonce=nonce,
            payload=data,
            asking=lambda: carriage.asking,
        )
    except bootstrap.NoAnswer as silence:
        error = await _silent(carriage, silence.noise)
        await carriage.close()
        raise error from None
    except OSError:
        error = await carriage.why()
        await carriage.close()
        raise error from None
    except BaseException:
        await carriage.close()
        raise
    carriage.established = True
    return carriage


def _own_payload() -> tuple[bytes, str]:
    from .payload import payload

    return payload()


async def _silent(carriage: HostStream, noise: bytes) -> GenOpsError:
    """Return the error for a stream that ended before the host's Python answered."""
    route = carriage.route
    try:
        end = await asyncio.wait_for(carriage.end(), 10)
    except asyncio.TimeoutError:
        return await carriage.why()
    if end.error is not None:
        return end.error
    said = end.stderr.strip() or noise.decode(errors="replace").strip()
    words = bootstrap.tail(said.encode())
    missing = "not found" in said or "No such file" in said or "Unknown command" in said
    if end.exit_code in (126, 127) or (end.exit_code is not None and missing):
        return NoPython(
            f"{route.target} has no interpreter {route.python}: {words}",
            hint="Install Python 3.8 or later on the host, or give the target the path of an "
            "interpreter (such as conda's).",
        )
    if end.exit_code is not None:
        return AgentRefused(
            f"The login shell of {route.target} ended with exit code {end.exit_code} before Python started: {words}",
            hint="Check whether the account may run commands (its shell, a forced command), and check "
            "its rc files.",
        )
    return await carriage.why()
