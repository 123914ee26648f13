"""Store the traces that kernels wrote on targets, which are deleted with their profiles. All functions
block."""

from __future__ import annotations

import time
from typing import NamedTuple

from sqlalchemy import Connection, select

from genops_lab.core.store import LocalStore
from genops_lab.core.store.tables import host_traces, profiles


class HostTrace(NamedTuple):
    """The trace ``path`` on ``target``."""

    profile_id: str
    target: str
    path: str


class HostTraces:
    """The table of traces on targets."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def add(self, trace: HostTrace) -> None:
        """Add the trace that a kernel wrote for the profile."""
        with self._store.transaction() as connection:
            connection.execute(host_traces.insert().values(**trace._asdict()))

    def set_path(self, profile_id: str, path: str) -> None:
        """Set the real path of the trace, as the host reports it; other profiles name it by this path."""
        with self._store.transaction() as connection:
            this = host_traces.c.profile_id == profile_id
            connection.execute(host_traces.update().where(this).values(path=path))

    def deleted(self, profile_id: str) -> HostTrace | None:
        """Mark the trace of a deleted profile for deletion and return it; None where it has none. A trace
        that another profile also reads is deleted with that profile."""
        with self._store.transaction() as connection:
            return _deleted(connection, profile_id)

    def to_remove(self, target: str) -> list[HostTrace]:
        """Return the traces of deleted profiles on a target, also those that the server did not mark before
        it ended."""
        here = host_traces.c.target == target
        gone = host_traces.c.profile_id.not_in(select(profiles.c.id))
        with self._store.transaction() as connection:
            unnoted = connection.execute(
                select(host_traces.c.profile_id).where(here, gone, host_traces.c.deleted_at.is_(None))
            ).scalars()
            for profile_id in unnoted.all():
                _deleted(connection, profile_id)
            rows = connection.execute(
                select(host_traces).where(here, host_traces.c.deleted_at.is_not(None))
            ).all()
        return [HostTrace(row.profile_id, row.target, row.path) for row in rows]

    def forget(self, profile_id: str) -> None:
        """Remove a trace that was deleted, or that is not ours."""
        with self._store.transaction() as connection:
            connection.execute(host_traces.delete().where(host_traces.c.profile_id == profile_id))


def _deleted(connection: Connection, profile_id: str) -> HostTrace | None:
    this = host_traces.c.profile_id == profile_id
    row = connection.execute(select(host_traces).where(this)).first()
    if row is None:
        return None
    known = select(host_traces.c.profile_id)
    others = select(profiles.c.id).where(profiles.c.trace_path == f"{row.target}:{row.path}")
    heir = connection.execute(others.where(profiles.c.id.not_in(known))).scalar()
    if heir is None:
        change = host_traces.update().where(this).values(deleted_at=time.time())
    else:
        change = host_traces.update().where(this).values(profile_id=heir)
    connection.execute(change)
    return HostTrace(row.profile_id, row.target, row.path) if heir is None else None
