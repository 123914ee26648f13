"""Define the record of a deployment in the store: the request and the last observed state."""

from __future__ import annotations

import msgspec

from genops_lab.core.errors import Conflict

from .models import DeploymentState

ACTIVE = ("preparing", "starting", "running", "stopping")


class Wanted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Further parts of the request, as JSON in ``Record.spec``. The lease is in seconds."""

    lease_s: float = 0.0
    allow_pickle: bool = False


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment.

    ``generation`` grows with each change that the target is asked for. ``revision`` is the generation that started the
    running process.
    """

    name: str
    model: str
    version: str
    target: str = ""
    spec: str = "{}"
    revision: int = 0
    generation: int = 0
    state: DeploymentState
    message: str = ""
    hint: str = ""
    created_at: float
    lease_until: float

    @property
    def active(self) -> bool:
        """Whether the deployment has not ended."""
        return self.state in ACTIVE

    @property
    def wanted(self) -> Wanted:
        """The further parts of the request."""
        return msgspec.json.decode(self.spec, type=Wanted)


def name_in_use(record: Record) -> Conflict:
    """Return the error for a name in use."""
    return Conflict(
        f"The deployment {record.name!r} is already {record.state} ({record.model} version {record.version}).",
        hint=f"Choose another name, or stop this deployment first: genops deployments stop {record.name}",
        code="name_in_use",
    )
