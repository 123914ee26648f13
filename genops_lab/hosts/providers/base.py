"""The interface of a kind of target: its configuration, the life of its hosts, and a byte stream to a host.

A provider is one object, listed in ``providers/__init__.py``; no other code knows kinds.
docs/developers/add-provider.md has an example.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import msgspec

from ..configuration import FormField, HostConfig, check, form_of
from ..link.route import HostRef, Route

if TYPE_CHECKING:
    from ..link.carrier import HostStream
    from ..link.errors import LinkError
    from ..link.questions import Asker
    from ..models import Candidate


class TestStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step on the way to a host, as a test reports it when done. The step fails when a LinkError has
    ``name`` as its ``step``."""

    name: str
    #: the label in the list of steps, such as "Log in"
    label: str
    message: str
    state: Literal["ok", "skipped"] = "ok"
    #: replaces ``message`` once the host has answered; ``{user}`` and the like come from its answer
    detail: str = ""


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """The resources of a new host, in bytes and seconds; None: as the target's configuration says."""

    gpus: int | None = None
    gpu_type: str | None = None
    cpus: float | None = None
    memory_bytes: int | None = None
    time_s: float | None = None


class GpuKind(msgspec.Struct, frozen=True, kw_only=True):
    """The GPUs of one kind on a target. ``kind`` is the cluster's own name, empty where it gives none.

    ``on_one_host`` is the most that one new host can get now. None: not known.
    """

    kind: str = ""
    free: int | None = None
    total: int | None = None
    on_one_host: int | None = None


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """The GPUs that a target can give to new hosts now. None: not known, which is never 0.

    ``waiting`` counts the jobs or pods of all users that wait for it. ``source`` says what was read, and
    ``note`` why something is not known.
    """

    gpus: list[GpuKind] | None = None
    waiting: int | None = None
    source: str = ""
    note: str = ""


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A host that is requested and does not run yet.

    ``reason`` is a sentence for users, unchanged as long as it holds. ``position`` is the place in a queue,
    from 1, or None.
    """

    reason: str
    position: int | None = None


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A host that runs: a stream can be opened.

    ``over`` is why the host can start no kernel any more: it ends, or serves the outputs of its ended one.
    ``ends_at`` is its known end in seconds since 1970 (a time limit), or None. ``notice`` is a sentence for
    users that it ends soon, and why (a preemption); empty without one.
    """

    over: str = ""
    ends_at: float | None = None
    notice: str = ""


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """A host that no longer exists, or never existed, and will not come."""

    why: str


Observed: TypeAlias = Pending | Running | Gone


class HostProvider(ABC):
    """One kind of target. Coroutines run in the connections' loop and do not block it."""

    kind: ClassVar[str]
    #: the label of this kind, such as "A host over SSH"
    label: ClassVar[str]
    config_type: ClassVar[type[HostConfig]] = HostConfig
    #: the steps on the way to a host, before those of its Python and the agent
    test_steps: ClassVar[tuple[TestStep, ...]] = ()
    #: whether its hosts see this machine's files and metrics
    is_this_machine: ClassVar[bool] = False
    #: whether hosts are made on request and may be pending; otherwise a target is one host that always exists
    allocates: ClassVar[bool] = False
    #: whether :meth:`changed` tells of changes
    tells_changes: ClassVar[bool] = False
    #: the noun for one of its hosts, where it allocates them: host, pod, job
    host_noun: ClassVar[str] = "host"
    #: the language of :meth:`request`; empty where it returns nothing
    request_language: ClassVar[Literal["", "yaml", "shell"]] = ""
    #: the field of the configuration with the file that each request is built on; empty without one
    template_field: ClassVar[str] = ""

    # The configuration

    def form(self) -> list[FormField]:
        """Return the fields of the configuration, from its Struct."""
        return form_of(self.config_type)

    def check(self, config: HostConfig) -> None:
        """Raise InvalidRequest for a value that its field does not allow."""
        check(config)

    def where(self, config: HostConfig) -> str:
        """Return the place as a user knows it: a host's name, a namespace."""
        return self.label

    def by_hand(self, config: HostConfig, command: str) -> str:
        """Return the line that runs a shell command on the host from this machine's terminal."""
        return command

    def forwarding(self, config: HostConfig, port: int) -> str:
        """Return the command that leads this port of another machine to the host's; empty without one."""
        return ""

    def candidates(self, known: Sequence[Route]) -> list[Candidate]:
        """Return targets of this kind that could be added, without the known ones. Blocks."""
        return []

    async def step_details(self, target: Route) -> dict[str, str]:
        """Return what a test has found out about steps, by their names, in place of their messages; asked once the
        test has reached a host. Raises LinkError."""
        return {}

    # Hosts

    def default_resources(self, config: HostConfig) -> Resources:
        """Return the resources of a new host for which nobody chose others, as far as they are known.

        By itself: the fields of the configuration with the names of those of :class:`Resources`.
        """
        named = {name: getattr(config, name, None) for name in Resources.__struct_fields__}
        return Resources(**{name: value or None for name, value in named.items()})

    def shares_storage(self, config: HostConfig) -> bool:
        """Return whether the target's next host has the files of a host's home (a shared file system, a
        volume).

        Otherwise the notebook's folder is sent to each new host, and no environment is built.
        """
        return not self.allocates

    def host_of(self, target: Route, name: str) -> HostRef:
        """Return the reference of the host with this name: the target's one host, or the one made under the
        name."""
        return HostRef(target.target, name if self.allocates else "")

    def request(self, target: Route, name: str, resources: Resources) -> str:
        """Return what :meth:`allocate` sends for a host with this name, as a user reads it (a manifest, a script).
        Blocks. Raises InvalidRequest, LinkError."""
        return ""

    def check_request(  # noqa: B027 - a request has nothing more
        self, target: Route, name: str, resources: Resources, fields: Sequence[FormField]
    ) -> None:
        """Raise InvalidRequest where :meth:`request` breaks the administrator's limits of these fields.

        The configuration and ``resources`` are checked already; a template, a script and free options are not.
        Blocks.
        """

    async def allocate(self, target: Route, name: str, resources: Resources) -> HostRef:
        """Request a host without waiting until it runs; the same ``name`` returns the same host. Raises
        LinkError."""
        return self.host_of(target, name)

    async def observe(self, host: Route) -> Observed:
        """Return the present state of a host; Gone for a name that nobody requested. Raises LinkError where
        the state cannot be read."""
        return Running()

    async def changed(self, host: Route) -> None:
        """Return when :meth:`observe` may answer anew, and at once where that happened since the last look. Only
        providers with ``tells_changes`` return; for others, looks at intervals find a change."""
        await asyncio.Event().wait()

    async def capacity(self, target: Route, *, connect: bool) -> Capacity:
        """Return which GPUs are free, and how many jobs or pods wait; without an answer nothing is known.

        One request serves all targets of a cluster, and is repeated after 15 s at the earliest. Without
        ``connect`` nothing is connected for it; nobody is asked in either case. Raises LinkError.
        """
        return Capacity()

    async def release(self, host: Route) -> None:  # noqa: B027 - one host has nothing to do
        """Release a host and end all that runs on it (the agent's processes outlive the stream); harmless
        when repeated.

        A target that is one host stays as it is. Raises LinkError: the host is then left over, and released
        later.
        """

    async def list_hosts(self, target: Route) -> list[HostRef]:
        """Return the hosts that GenOps Lab requested for this user and that still exist, also pending ones.
        Raises LinkError."""
        return []

    async def why_silent(self, host: Route) -> LinkError | None:
        """Return why a running host may not answer; None where nothing is known. Raises LinkError."""
        return None

    # The stream

    def load(self) -> None:  # noqa: B027
        """Import what opening a stream needs. Blocks."""

    @abstractmethod
    async def open_stream(
        self, host: Route, command: Sequence[str], asker: Asker, folder: Path
    ) -> HostStream:
        """Run a command on a running host; its standard input and output are the stream, bytes in order.

        The first word is the configuration's ``python``. It may begin with ``~/`` (the host's home), which
        this method expands; all words need at most single quotes. Exit codes 126 and 127 mean that the
        program does not exist. The command runs in the host's home. Questions go to ``asker``; ``folder`` is
        GenOps' data directory. Raises LinkError.
        """
