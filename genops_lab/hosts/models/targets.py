"""Targets, as they are added, shown, changed and removed. Prices in USD an hour, times in seconds since 1970
(``rtt_s`` and ages: seconds)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..configuration import FormField
from .hosts import HostReading

LinkStateName = Literal["idle", "connecting", "asking", "pending", "up", "down", "failed"]
CarrierChoice = Literal["auto", "paramiko", "openssh"]


class TargetPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How the kernels of a target are kept.

    ``folder``: whether the notebook's folder is sent there before a start; of more than ``folder_max_files`` or
    ``folder_max_bytes`` it is asked first. ``warm_kernels`` stand ready while a Lab is connected. A kernel without
    work for ``idle_minutes`` is ended (None: never); its GPUs do not work while they are used up to
    ``idle_gpu_percent``.
    """

    folder: Literal["sync", "off"] = "sync"
    folder_max_files: int = 5_000
    folder_max_bytes: int = 200 * 1024**2
    warm_kernels: int = 0
    idle_minutes: float | None = None
    idle_gpu_percent: float = 5.0


class TakenKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel of this Lab that ``other`` has taken over. It runs on; this Lab may take it back."""

    kernel_id: str
    other: str
    since: float


class EndedKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel of this Lab that has ended, unasked, and was not started again."""

    kernel_id: str
    reason: str
    since: float


class TargetHost(msgspec.Struct, frozen=True, kw_only=True):
    """A host of a target that gets one for each kernel. ``state`` is that of its connection, with ``message`` and
    ``hint``; ``path`` the notebook whose kernel it is for, empty without one.

    ``left_over``: no kernel of this user needs it. It is given back at ``release_at``; without one another machine of
    the user's may have asked for it, and a person decides.
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
    left_over: bool = False
    release_at: float | None = None


class PendingKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel of this Lab whose host is asked for. ``reason``: what it waits for, with its place in the queue where
    there is one."""

    kernel_id: str
    reason: str
    since: float


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A place that runs kernels, and how its link is.

    ``config`` is of its ``kind``, ``where`` the place in words; fields of hosts over SSH also stand beside it.
    ``state``: ``idle`` was not asked for in this Lab, ``asking`` waits for an answer (see the questions),
    ``pending`` waits for its host, ``down`` is tried again at ``retry_at``, ``failed`` waits until somebody
    connects. ``carrier_used`` is empty while not connected. ``locked``: the administrator's, cannot be removed.
    ``warm_ready``: how many kernels stand ready there, None while that is not known; ``warm_message``: why there
    are fewer than wanted. ``reading_age_s`` counts since the reading arrived here.

    ``is_this_machine``: kernels see this machine's files. ``allocates``: each kernel gets a host of its own, which
    people call ``host_noun``; ``hosts`` has those that are asked for, each with its own connection and reading, and
    the price is of each. ``state`` is that of the one which is nearest to being up.
    """

    name: str
    kind: str
    is_this_machine: bool = False
    allocates: bool = False
    host_noun: str = "host"
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


class KindStep(msgspec.Struct, frozen=True):
    """A step of the test of a target of a kind, before those that all kinds have."""

    name: str
    label: str


class TargetKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of target: what the form of a new one asks for, with the administrator's defaults, limits and locks, and
    what its test goes through at first."""

    kind: str
    label: str
    fields: list[FormField]
    steps: list[KindStep]


class NewTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Add a target. ``config`` has what the form of its ``kind`` asks for (see the kinds of targets); the fields of
    hosts over SSH may also stand beside it, and ``config`` goes before them. ``secrets`` names variables of the Lab's
    environment that the target's kernels get."""

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
        """What was given of the configuration: ``config``, and what older clients give beside it."""
        flat = {
            name: getattr(self, name)
            for name in ("host", "user", "port", "identity_file", "python", "carrier")
        }
        defaults = {"python": "python3", "carrier": "auto"}
        given = {name: value for name, value in flat.items() if value and value != defaults.get(name)}
        return {**given, **self.config}


class ChangeTarget(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed of a target later; all fields are replaced."""

    price_per_hour: float | None = None
    secrets: list[str] = []
    policy: TargetPolicy = TargetPolicy()


class RemoveQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``force``: also while kernels of this Lab run there."""

    force: bool = False


class RemovedTarget(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed. ``kernels_left`` run on, on the host, without this Lab."""

    name: str
    message: str
    kernels_left: list[str] = []


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A host of the user's ssh_config that is no target yet, as the file words it. ``name`` would do for it."""

    alias: str
    name: str
    hostname: str = ""
    user: str = ""
    port: int = 0
