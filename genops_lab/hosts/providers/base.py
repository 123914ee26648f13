"""What a kind of target must know: its configuration, how its hosts are had, and how a byte stream leads to one.

A provider is one object, listed in ``providers/__init__.py``; nothing else knows kinds.
docs/developers/add-provider.md has an example.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import msgspec

from ..configuration import FormField, HostConfig, check, form_of
from ..link.route import HostRef, Route

if TYPE_CHECKING:
    from ..link.carrier import HostStream
    from ..link.questions import Asker
    from ..models import Candidate


class TestStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step on the way to a host, as a test tells it when it was done. A LinkError whose ``step`` is ``name`` fails
    it."""

    name: str
    #: how the list of steps calls it, such as "Log in"
    label: str
    message: str
    state: Literal["ok", "skipped"] = "ok"
    #: in place of ``message`` once the host was asked; ``{user}`` and the like are of its answer
    detail: str = ""


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What a host is asked to have; None: as the target's configuration says. Bytes, seconds."""

    gpus: int | None = None
    gpu_type: str | None = None
    cpus: float | None = None
    memory_bytes: int | None = None
    time_s: float | None = None


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A host that is asked for and not there yet. ``reason``: a sentence that people read, unchanged as long as it
    holds. ``position`` in a queue, from 1; None where there is none."""

    reason: str
    position: int | None = None


class Running(msgspec.Struct, frozen=True):
    """A host that is there: a stream can be opened."""


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """A host that is not there any more, or never was, and does not come."""

    why: str


Observed: TypeAlias = Pending | Running | Gone


class HostProvider(ABC):
    """One kind of target. Methods that are coroutines run in the links' loop and do not block it."""

    kind: ClassVar[str]
    #: how people call a target of this kind, such as "A host over SSH"
    label: ClassVar[str]
    config_type: ClassVar[type[HostConfig]] = HostConfig
    #: the steps on the way to a host, before those of its Python and the agent
    test_steps: ClassVar[tuple[TestStep, ...]] = ()
    #: whether its hosts see this machine's files and figures
    is_this_machine: ClassVar[bool] = False
    #: whether hosts are made for who asks, and may be waited for; a target is one host that is always there otherwise
    allocates: ClassVar[bool] = False
    #: how people call one of its hosts, where it allocates them: host, pod, job
    host_noun: ClassVar[str] = "host"

    # The configuration

    def form(self) -> list[FormField]:
        """The fields of the configuration, from its Struct."""
        return form_of(self.config_type)

    def check(self, config: HostConfig) -> None:
        """Raises InvalidRequest for a value that cannot be what its field says."""
        check(config)

    def where(self, config: HostConfig) -> str:
        """The place as a person knows it: a host's name, a namespace."""
        return self.label

    def by_hand(self, config: HostConfig, command: str) -> str:
        """The line by which a person at this machine's terminal runs a shell command there."""
        return command

    def candidates(self, known: Sequence[Route]) -> list[Candidate]:
        """Targets of this kind that could be added, without those that are known. Blocks."""
        return []

    # Hosts

    def shares_storage(self, config: HostConfig) -> bool:
        """Whether files in a host's home are on the target's next host, too (a file system of all, a volume). Where
        they are not, a notebook's folder is sent to each host anew, and no environment is built."""
        return not self.allocates

    def host_of(self, target: Route, name: str) -> HostRef:
        """The host that is asked for by this name: the target's one host, or the one that bears the name."""
        return HostRef(target.target, name if self.allocates else "")

    async def allocate(self, target: Route, name: str, resources: Resources) -> HostRef:
        """Ask for a host; the same ``name`` again gives the same host. Does not wait for it. Raises LinkError."""
        return self.host_of(target, name)

    async def observe(self, host: Route) -> Observed:
        """How a host is now; Gone for a name that nobody asked for. Raises LinkError where that cannot be known."""
        return Running()

    async def release(self, host: Route) -> None:  # noqa: B027 - one host has nothing to do
        """Give a host back and end all that runs there (the agent's processes outlive the stream); harmless when
        repeated. A target that is one host stays as it is. Raises LinkError: the host is then
        left over, and given back later."""

    async def list_hosts(self, target: Route) -> list[HostRef]:
        """The hosts that GenOps allocated for this user and that are not gone, those that are pending too. Raises
        LinkError."""
        return []

    # The stream

    def load(self) -> None:  # noqa: B027
        """Import what opening a stream needs. Blocks."""

    @abstractmethod
    async def open_stream(
        self, host: Route, command: Sequence[str], asker: Asker, folder: Path
    ) -> HostStream:
        """Run a command on a running host; its standard input and output are the stream, bytes in order.

        The first word is the configuration's ``python``. It may begin with ``~/`` (the host's home), which this method
        expands; none needs more quoting than single quotes. A stream that ends with 126 or 127 means that there is no
        such program. The command runs in the host's home. What must be asked is asked of ``asker``; ``folder`` is
        GenOps' data directory. Raises LinkError.
        """
