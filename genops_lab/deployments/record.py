"""A deployment as the store remembers it: what was asked for, and what was seen last."""

from __future__ import annotations

import msgspec

from genops_lab.core.errors import Conflict

from .models import DeploymentState

ACTIVE = ("preparing", "starting", "running", "stopping")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment. While it is preparing, ``pid`` is the process that prepares it; later its own."""

    name: str
    model: str
    version: str
    state: DeploymentState
    message: str = ""
    hint: str = ""
    folder: str
    port: int | None = None
    pid: int | None = None
    pid_created: float | None = None
    outlives_server: int = 1
    created_at: float
    lease_until: float

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.state in ACTIVE


def name_in_use(record: Record) -> Conflict:
    """The error for a name that is taken."""
    return Conflict(
        f"A deployment {record.name!r} is {record.state} already ({record.model} version {record.version}).",
        hint="Stop it first, or give the new one another name.",
        code="name_in_use",
    )
