"""A deployment as the store remembers it: what was asked for, and what was seen last."""

from __future__ import annotations

import msgspec

from genops_lab.core.errors import Conflict

from .models import DeploymentState

ACTIVE = ("preparing", "starting", "running", "stopping")


class Wanted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What else was asked for; ``Record.spec`` has it as JSON."""

    lease_s: float = 0.0
    allow_pickle: bool = False


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment. ``generation`` grows with each change that is asked of the target; ``revision`` is the generation
    that began what runs."""

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
        """Whether it has not ended."""
        return self.state in ACTIVE

    @property
    def wanted(self) -> Wanted:
        """What else was asked for."""
        return msgspec.json.decode(self.spec, type=Wanted)


def name_in_use(record: Record) -> Conflict:
    """The error for a name that is taken."""
    return Conflict(
        f"A deployment {record.name!r} is {record.state} already ({record.model} version {record.version}).",
        hint="Stop it first, or give the new one another name.",
        code="name_in_use",
    )
