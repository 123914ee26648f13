"""What others see of a bridge, and the errors and words about it."""

from __future__ import annotations

import time
from typing import Any, Literal

import msgspec

from ...core.errors import Conflict

#: What a notebook says whose kernel another Lab has.
TAKE_BACK = "To have it here again, click on the target in the notebook's toolbar, then on “Take it back”."

BridgeStateName = Literal["connecting", "connected", "disconnected", "ended", "taken"]


class BridgeState(msgspec.Struct, frozen=True, kw_only=True):
    """A bridge at one moment. ``disconnected``: the kernel runs on as far as anybody knows, and what it says
    comes when the link is back. ``ended``: with its ``exit_code`` and ``reason``. ``taken``: ``other`` has it."""

    state: BridgeStateName = "connecting"
    since: float = msgspec.field(default_factory=time.time)
    reason: str = ""
    exit_code: int | None = None
    other: str = ""


class KernelBusy(Conflict):
    """Another Lab is attached to the kernel. ``details``: client, label."""

    code = "kernel_busy"


def busy(kernel_id: str, target: str, body: dict[str, Any]) -> KernelBusy:
    """The error of a kernel that another Lab has."""
    label = str(body.get("label", "")) or "another Lab"
    return KernelBusy(
        f"The kernel on {target} is attached to {label}.",
        hint="Close it there, or take it over: in the panel, under “Kernels there”, or with"
        f" genops kernels attach {kernel_id} --take-over",
        details={"client": str(body.get("client", "")), "label": label},
    )


def last_words(exit_code: int | None, reason: str, ended_by: str = "") -> str:
    """What the notebook says about a kernel's end; nothing where the code itself ended it."""
    if ended_by:
        return f"{reason} Restart the kernel to go on."
    if exit_code == 0:
        return ""
    if reason:
        return f"The kernel has ended. {reason}"
    if exit_code is None:
        return "The kernel has ended."
    return f"The kernel has ended (exit code {exit_code})."
