"""Kernels that agents own on targets. Times in seconds since 1970."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..providers.base import Resources


class AttachedClient(msgspec.Struct, frozen=True, kw_only=True):
    """The Lab that is attached to a kernel."""

    client: str
    since: float | None = None
    label: str = ""


class KernelIdle(msgspec.Struct, frozen=True, kw_only=True):
    """When an idle kernel is stopped. ``ends_in_s`` is set once the kernel was warned."""

    seconds: float
    gpu_percent: float
    ends_in_s: float | None = None


class RemoteKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel that an agent owns on a target, on its host ``host_id`` where the target has several.

    ``ours``: this user's Lab started the kernel here or attached to it. ``ended_by`` is ``idle`` where the
    target's policy stopped it, ``host`` where its host did. ``last_seq`` is the number of its last message,
    ``acked_seq`` the last that a Lab has saved.
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
    """The kernels of one target. Without ``connected`` they are unknown, and ``message`` says why."""

    target: str
    connected: bool
    message: str = ""
    kernels: list[RemoteKernel] = []


class StopKernel(msgspec.Struct, frozen=True, kw_only=True):
    """The time in which the kernel may end by itself."""

    grace_s: float = 5.0


class NextStart(msgspec.Struct, frozen=True, kw_only=True):
    """The next kernel of a notebook on a target: which GPUs it sees, in the words of a best fit. Where each
    kernel gets its own host, also the resources of that host."""

    notebook: str
    environment: dict[str, str] = {}
    resources: Resources = Resources()


class AttachKernel(msgspec.Struct, frozen=True, kw_only=True):
    """``take_over``: also take it from another Lab that is attached; the other Lab sees this and may take it
    back."""

    take_over: bool = False


class AttachedKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel that now belongs to this server. ``path``: the notebook that opens with it, or empty."""

    target: str
    kernel_id: str
    path: str = ""
    message: str


class KernelLogQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The size of the log's end, at most 1 MiB."""

    max_bytes: int = 65536


class KernelLog(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a kernel process's standard output and error."""

    kernel_id: str
    text: str


class KernelNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice for the owner of a notebook: its kernel on a target will be stopped because it is idle, or
    was. ``host`` is the kind of a notice that the kernel's host ends.

    ``path`` is its notebook, or empty; ``ends_at`` is by this machine's clock.
    """

    target: str
    kernel_id: str
    kind: Literal["warning", "ended", "host"]
    path: str = ""
    text: str
    ends_at: float | None = None
