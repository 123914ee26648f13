"""Kernels that agents own on targets. Times in seconds since 1970."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..providers.base import Resources


class AttachedClient(msgspec.Struct, frozen=True, kw_only=True):
    """The Lab that a kernel is attached to."""

    client: str
    since: float | None = None
    label: str = ""


class KernelIdle(msgspec.Struct, frozen=True, kw_only=True):
    """When a kernel without work is ended; ``ends_in_s`` once it was warned of that."""

    seconds: float
    gpu_percent: float
    ends_in_s: float | None = None


class RemoteKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel that an agent owns on a target, on its host ``host_id`` where it has many. ``ours``: this user's Lab
    started it here or took it up.

    ``ended_by`` is ``idle`` for one that its target's policy ended. ``last_seq`` and ``acked_seq`` count its messages
    and those that a Lab has in safety.
    """

    target: str
    kernel_id: str
    host_id: str = ""
    state: Literal["running", "ended"]
    name: str = ""
    incarnation: str = ""
    pid: int | None = None
    exit_code: int | None = None
    reason: str = ""
    ended_by: str = ""
    idle: KernelIdle | None = None
    started_at: float | None = None
    ended_at: float | None = None
    notebook: str = ""
    owner: str = ""
    execution_state: str = ""
    attached: AttachedClient | None = None
    lease_until: float | None = None
    first_seq: int = 0
    last_seq: int = 0
    acked_seq: int = 0
    journal_bytes: int = 0
    agent_version: str = ""
    ours: bool = False


class TargetKernels(msgspec.Struct, frozen=True, kw_only=True):
    """The kernels of one target. Without ``connected`` nothing is known of them, and ``message`` says why."""

    target: str
    connected: bool
    message: str = ""
    kernels: list[RemoteKernel] = []


class StopKernel(msgspec.Struct, frozen=True, kw_only=True):
    """How long the kernel may take to end by itself."""

    grace_s: float = 5.0


class NextStart(msgspec.Struct, frozen=True, kw_only=True):
    """For the next kernel of a notebook on a target: which GPUs it sees, as a best fit words it; where each kernel gets
    a host of its own, what that host shall have."""

    notebook: str
    environment: dict[str, str] = {}
    resources: Resources = Resources()


class AttachKernel(msgspec.Struct, frozen=True, kw_only=True):
    """``take_over``: also from another Lab that it is attached to, which sees that and may take it back."""

    take_over: bool = False


class AttachedKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel that is this server's now. ``path``: the notebook that opens with it, empty without one."""

    target: str
    kernel_id: str
    path: str = ""
    message: str


class KernelLogQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the log's end, at most 1 MiB."""

    max_bytes: int = 65536


class KernelLog(msgspec.Struct, frozen=True, kw_only=True):
    """The end of what a kernel's process wrote to its standard output and error."""

    kernel_id: str
    text: str


class KernelNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner of a notebook should know of its kernel on a target: it will be ended for want of work, or was.

    ``path`` is its notebook, empty without one; ``ends_at`` is of this machine's clock.
    """

    target: str
    kernel_id: str
    kind: Literal["warning", "ended"]
    path: str = ""
    text: str
    ends_at: float | None = None
