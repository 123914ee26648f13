"""Store the list of recorded profiles. All functions block."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Row, select

from genops_lab.core.errors import NotFound
from genops_lab.core.paging import Page, PageQuery
from genops_lab.core.store import LocalStore
from genops_lab.core.store.keyset import page_of
from genops_lab.core.store.tables import profiles

from .backends.engine_files import split_target
from .models import CpuTime, DeviceTime, NewProfile, Profile, ProfileSummary

#: An analysis that takes longer has ended with its server.
ABANDONED_S = 900.0


class KeptProfiles:
    """The table of profiles."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def page(self, query: PageQuery) -> Page[Profile]:
        """Return profiles, newest first. Each summary has only the fields of the list, because a whole one
        can have 1 MB."""
        at, id, shown = profiles.c.created_at, profiles.c.id, partial(_profile, whole=False)
        with self._store.reading() as connection:
            return page_of(connection, select(profiles), at, id, query, shown)

    def get(self, profile_id: str) -> Profile:
        """Return one profile. Raises NotFound."""
        with self._store.reading() as connection:
            row = connection.execute(select(profiles).where(profiles.c.id == profile_id)).first()
        if row is None:
            raise _not_found(profile_id)
        return _profile(row)

    def trace_path(self, profile_id: str) -> str:
        """Return the path of a profile's trace, also before it is written. Raises NotFound."""
        with self._store.reading() as connection:
            found = connection.execute(
                select(profiles.c.trace_path).where(profiles.c.id == profile_id)
            ).scalar()
        if found is None:
            raise _not_found(profile_id)
        return str(found)

    def of_file(self, trace_path: str, size_bytes: int, changed_at: float) -> Profile | None:
        """Return the newest profile of an unchanged file. None without one, or where its analysis failed."""
        with self._store.reading() as connection:
            rows = connection.execute(
                select(profiles)
                .where(
                    profiles.c.trace_path == trace_path,
                    profiles.c.size_bytes == size_bytes,
                    profiles.c.created_at > changed_at,
                )
                .order_by(profiles.c.created_at.desc())
            ).all()
        return next((each for each in map(_profile, rows) if each.state != "failed"), None)

    def begin(self, profile_id: str, asked: NewProfile, trace_path: str, size_bytes: int) -> None:
        """Add a profile whose analysis begins; its trace will be at ``trace_path``."""
        with self._store.transaction() as connection:
            connection.execute(
                profiles.insert().values(
                    id=profile_id,
                    run_id=asked.run_id or None,
                    title=asked.title,
                    notebook=asked.notebook or None,
                    created_at=time.time(),
                    trace_path=trace_path,
                    size_bytes=size_bytes,
                    state="analyzing",
                    message="",
                    artifact="",
                    summary=None,
                )
            )

    def change(self, profile_id: str, **changes: object) -> None:
        with self._store.transaction() as connection:
            connection.execute(profiles.update().where(profiles.c.id == profile_id).values(**changes))

    def delete(self, profile_id: str) -> None:
        with self._store.transaction() as connection:
            connection.execute(profiles.delete().where(profiles.c.id == profile_id))


def _not_found(profile_id: str) -> NotFound:
    return NotFound(
        f"There is no profile {profile_id!r}.",
        hint="It may be deleted. List the profiles: genops profiles list",
    )


class _Head(msgspec.Struct):
    """The first fields of a summary."""

    events: int
    ranks: list[int]
    devices: list[DeviceTime]
    cpu: CpuTime
    damaged: str = ""


def _head(text: str) -> ProfileSummary:
    head = msgspec.json.decode(text, type=_Head)
    return ProfileSummary(
        events=head.events,
        ranks=head.ranks,
        devices=head.devices,
        cpu=head.cpu,
        operators=[],
        damaged=head.damaged,
    )


def _profile(row: Row[Any], *, whole: bool = True) -> Profile:
    summary = None
    if row.summary:
        summary = msgspec.json.decode(row.summary, type=ProfileSummary) if whole else _head(row.summary)
    state, message = row.state, row.message
    if state == "analyzing" and time.time() - row.created_at > ABANDONED_S:
        state, message = "failed", "The server ended during the analysis. Record the profile again."
    target, path = split_target(row.trace_path)
    return Profile(
        id=row.id,
        title=row.title,
        created_at=row.created_at,
        state=state,
        run_id=row.run_id or "",
        notebook=row.notebook or "",
        size_bytes=row.size_bytes,
        artifact=row.artifact,
        trace_path=path,
        trace_target=target,
        message=message,
        summary=summary,
    )
