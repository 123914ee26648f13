"""A kernel to start on a target, and the parameters that its host's agent gets."""

from __future__ import annotations

from typing import Any

import msgspec

from genops_lab.agent.launch_spec import packed

from ..hosts.link.route import Route
from ..hosts.providers.base import Resources
from .folders.before_start import Cap


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel to start, or to attach to where it already runs."""

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
    #: the resources of its host, where one is requested
    resources: Resources = Resources()
    #: the folder to send to that host first: a folder here, the kernel's id, and the limit without a question
    folder: tuple[str, str, Cap] | None = None
    #: the agent's policy for idle kernels; None: they stay
    idle: dict[str, float] | None = None
    #: ``env`` is the kernel's whole environment: for :data:`hosts.link.route.HERE`
    whole_env: bool = False

    def params(self, *, owner: str) -> dict[str, Any]:
        """Return the parameters of ``kernels.start``."""
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
