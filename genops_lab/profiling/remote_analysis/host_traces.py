"""The store's table of traces that kernels wrote on targets: they go with their profiles. All functions block."""

from __future__ import annotations

import time
from typing import NamedTuple

from sqlalchemy import Connection, select

from genops_lab.core.store import LocalStore
from genops_lab.core.store.tables import host_traces, profiles


class HostTrace(NamedTuple):
    """``path`` on ``target``."""

    profile_id: str
    target: str
    path: str


class HostTraces:
    """The table."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def add(self, trace: HostTrace) -> None:
        """A kernel wrote the trace for the profile."""
        with self._store.transaction() as connection:
            connection.execute(host_traces.insert().values(**trace._asdict()))

    def lies_at(self, profile_id: str, path: str) -> None:
        """The host has said where the trace really is, which is how other profiles name it."""
        with self._store.transaction() as connection:
            this = host_traces.c.profile_id == profile_id
            connection.execute(host_traces.update().where(this).values(path=path))

    def deleted(self, profile_id: str) -> HostTrace | None:
        """The profile is deleted, so its trace is to go; None where it has none. One that another profile also reads
        goes with that one."""
        with self._store.transaction() as connection:
            return _deleted(connection, profile_id)

    def to_remove(self, target: str) -> list[HostTrace]:
        """What lies on a target of profiles that are deleted, also where the server stopped before it noted that."""
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
        """The trace is gone, or not ours."""
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
