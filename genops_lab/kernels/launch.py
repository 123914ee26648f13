"""What is needed to start a kernel: the target, as the store knows it, and the order to its agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from genops_lab.agent.launch_spec import packed

from ..hosts.link.route import Route

if TYPE_CHECKING:
    from ..hosts.models import TargetPolicy


class TargetEntry(Protocol):
    """What the store knows of a target (``targets.ledger.TargetRecord``)."""

    @property
    def route(self) -> Route:
        """How to reach it."""

    @property
    def secrets(self) -> list[str]:
        """Names of this process's variables that its kernels get."""

    @property
    def policy(self) -> TargetPolicy:
        """How its kernels are kept."""


def idle_order(policy: TargetPolicy) -> dict[str, float] | None:
    """A policy's part about kernels without work, as agents take it."""
    if policy.idle_minutes is None:
        return None
    return {"seconds": policy.idle_minutes * 60.0, "gpu_percent": policy.idle_gpu_percent}


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel to start, or to attach to where it runs already."""

    route: Route
    kernel_id: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    key: bytes
    signature_scheme: str
    name: str
    notebook: str
    lease_s: float
    #: what the agent is told of kernels without work; None: they stay
    idle: dict[str, float] | None = None
    #: ``env`` is all of its environment: for :data:`HERE`
    whole_env: bool = False

    def params(self, *, owner: str) -> dict[str, Any]:
        """The parameters of ``kernels.start``."""
        return {
            "kernel_id": self.kernel_id,
            "argv": self.argv,
            **({"whole_env": packed(self.env)} if self.whole_env else {"env": self.env}),
            "cwd": self.cwd,
            "key": self.key.decode(),
            "signature_scheme": self.signature_scheme,
            "name": self.name,
            "notebook": self.notebook,
            "owner": owner,
            "lease": {"seconds": self.lease_s},
            "idle": self.idle,
        }
