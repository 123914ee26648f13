"""Wire types to add, show, change and remove targets. Prices in USD an hour, times in seconds since 1970
(``rtt_s`` and ages: seconds)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..configuration import FormField
from ..providers.base import Capacity
from .hosts import HostReading
from .presets import Preset
from .savings import SavedHours

LinkStateName = Literal["idle", "connecting", "asking", "pending", "up", "down", "failed"]
CarrierChoice = Literal["auto", "paramiko", "openssh"]


class TargetPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The policy for the kernels of a target.

    ``folder``: whether the notebook's folder is sent to the host before a start; above ``folder_max_files``
    or ``folder_max_bytes`` the user is asked first. ``warm_kernels`` is how many kernels the host keeps ready
    while a Lab is connected. Where each kernel gets its own host, they are hosts of their own, each for
    ``warm_minutes`` at most. A kernel is stopped after ``idle_minutes`` without work (None: never). A GPU
    used up to ``idle_gpu_percent`` counts as idle.
    """

    folder: Literal["sync", "off"] = "sync"
    folder_max_files: int = 5_000
    folder_max_bytes: int = 200 * 1024**2
    warm_kernels: int = 0
    warm_minutes: float = 60.0
    idle_minutes: float | None = None
    idle_gpu_percent: float = 5.0


class TakenKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel of this Lab that ``other`` has taken over. It keeps running; this Lab may take it back."""

    kernel_id: str
    other: str
    since: float


class EndedKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel of this Lab that ended without a request and was not restarted."""

    kernel_id: str
    reason: str
    since: float


class TargetHost(msgspec.Struct, frozen=True, kw_only=True):
    """A host of a target that gets one for each kernel.

    ``state``, ``message`` and ``hint`` describe its connection. ``path`` is the notebook of its kernel, or
    empty.

    ``ends_at`` is its known end. ``notice`` says why it ends soon, or is empty.

    ``left_over``: no kernel of this user needs the host. It is released at ``release_at``. Without
    ``release_at`` another machine of the user's may have requested it, and the user decides.
    """

    host_id: str
    state: LinkStateName = "idle"
    since: float | None = None
    rtt_s: float | None = None
    message: str = ""
    hint: str = ""
    path: str = ""
    reading: HostReading | None = None
    reading_age_s: float | None = None
    ends_at: float | None = None
    notice: str = ""
    left_over: bool = False
    release_at: float | None = None


class PendingKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel of this Lab whose host is requested. ``reason``: what it waits for, and its place in the queue
    where there is one."""

    kernel_id: str
    reason: str
    since: float


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A target that runs kernels, and the state of its connection.

    ``config`` has the fields of its ``kind``; those of SSH targets are also fields of this object. ``where``
    is the place as text.

    ``state``: ``idle`` was not connected in this Lab, ``asking`` waits for an answer (see the questions),
    ``pending`` waits for its host, ``down`` reconnects at ``retry_at``, ``failed`` waits until somebody
    connects. ``carrier_used`` is empty while not connected. ``locked``: the administrator's target, cannot be
    removed.

    ``warm_ready``: how many kernels the host keeps ready, None while unknown. ``warm_message``: why there are
    fewer than requested. ``reading_age_s`` is the time since the reading arrived.

    ``is_this_machine``: kernels see this machine's files. ``allocates``: each kernel gets its own host, shown
    as ``host_noun``. ``request_language`` is that of its manifest or script. ``hosts`` has the requested
    hosts, each with its own connection and reading; the price applies to each. ``state`` is that of the host
    which is nearest to being up. ``capacity``: the GPUs that were free ``capacity_age_s`` ago, None until
    somebody asked. ``saved``: by ends of idle kernels, this month. ``shares_files``: whether its hosts have the
    folders of the Lab's machine themselves, None until a kernel started.
    """

    name: str
    kind: str
    is_this_machine: bool = False
    allocates: bool = False
    host_noun: str = "host"
    request_language: Literal["", "yaml", "shell"] = ""
    hosts: list[TargetHost] = []
    config: dict[str, Any] = {}
    where: str = ""
    host: str = ""
    user: str = ""
    port: int = 0
    identity_file: str = ""
    python: str
    carrier: CarrierChoice = "auto"
    kernel_name: str
    price_per_hour: float | None = None
    secrets: list[str] = []
    policy: TargetPolicy = TargetPolicy()
    warm_ready: int | None = None
    warm_message: str = ""
    locked: bool = False
    state: LinkStateName = "idle"
    since: float | None = None
    rtt_s: float | None = None
    message: str = ""
    hint: str = ""
    retry_at: float | None = None
    carrier_used: str = ""
    reading: HostReading | None = None
    reading_age_s: float | None = None
    taken: list[TakenKernel] = []
    ended: list[EndedKernel] = []
    pending: list[PendingKernel] = []
    presets: list[Preset] = []
    capacity: Capacity | None = None
    capacity_age_s: float | None = None
    saved: SavedHours | None = None
    shares_files: bool | None = None


class KindStep(msgspec.Struct, frozen=True):
    """A step of the test of a kind of target, before the steps that all kinds have."""

    name: str
    label: str


class TargetKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of target: the fields of its form with the administrator's defaults, limits and locks, and the
    first steps of its test. ``name_pattern`` must match the whole name of a target."""

    kind: str
    label: str
    fields: list[FormField]
    steps: list[KindStep]
    name_pattern: str = ""


class NewTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A target to add.

    ``config`` has the fields of the form of its ``kind`` (see the kinds of targets). The fields of SSH
    targets may also be fields of this object; ``config`` takes precedence. ``secrets`` names variables of the
    Lab's environment that the target's kernels get.
    """

    name: str
    kind: str = "ssh"
    host: str = ""
    user: str = ""
    port: int = 0
    identity_file: str = ""
    python: str = "python3"
    carrier: CarrierChoice = "auto"
    price_per_hour: float | None = None
    secrets: list[str] = []
    policy: TargetPolicy = TargetPolicy()
    config: dict[str, Any] = {}

    def given(self) -> dict[str, Any]:
        """Return the given configuration: ``config``, and the fields that older clients give outside of it."""
        flat = {
            name: getattr(self, name)
            for name in ("host", "user", "port", "identity_file", "python", "carrier")
        }
        defaults = {"python": "python3", "carrier": "auto"}
        given = {name: value for name, value in flat.items() if value and value != defaults.get(name)}
        return {**given, **self.config}


class ChangeTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The changeable fields of a target; all are replaced."""

    price_per_hour: float | None = None
    secrets: list[str] = []
    policy: TargetPolicy = TargetPolicy()


class RemoveQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``force``: remove the target also while kernels of this Lab run on it."""

    force: bool = False


class RemovedTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The removed target. ``kernels_left`` keep running on the host, without this Lab."""

    name: str
    message: str
    kernels_left: list[str] = []


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A host of the user's ssh_config that is no target yet, with the file's own values. ``name`` is a
    possible name of the target."""

    alias: str
    name: str
    hostname: str = ""
    user: str = ""
    port: int = 0
