"""Store durable work and the leases under which one process at a time runs it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, func, select

from ..errors import Conflict, NotFound
from .local import LocalStore
from .tables import work as rows

#: Time for which ended work is kept, in seconds, and the most that is kept.
KEPT_S, KEPT = 86400.0, 50
RUNNING = "running"
_JSON = ("plan", "data", "lines")


class OldToken(Conflict):
    """Another process has taken the work over, so nothing was written."""

    code = "old_token"


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A row. ``step`` is the next step, ``data`` the result of the steps before.

    ``holder`` is the process that runs the work, empty for none. ``token`` grows with each takeover, ``renewals`` with
    each write.
    """

    id: str
    kind: str
    title: str
    subject: str
    client: str
    plan: dict[str, Any]
    created_at: float
    state: str = RUNNING
    step: str = ""
    data: dict[str, Any] = {}
    holder: str = ""
    token: int = 1
    renewals: int = 0
    cancel: bool = False
    progress: float | None = None
    message: str = ""
    hint: str = ""
    lines: list[str] = []
    ended_at: float | None = None


class WorkTable:
    """The table of :class:`Work`. All methods block."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def add(self, work: Work, also: Callable[[Connection], None] | None = None) -> Work:
        """Insert new work with the writes of ``also``; without ``also`` return running work of the subject instead."""
        with self._store.transaction() as connection:
            same = (rows.c.kind == work.kind) & (rows.c.subject == work.subject)
            if also is not None:
                also(connection)
            else:
                found = connection.execute(select(rows).where(same & (rows.c.state == RUNNING))).first()
                if found is not None:
                    return _work(found)
            # The newest is found by its time, also after the clock was set back.
            latest = connection.execute(select(func.max(rows.c.created_at)).where(same)).scalar()
            if latest is not None and latest >= work.created_at:
                work = msgspec.structs.replace(work, created_at=latest + 0.001)
            connection.execute(rows.insert().values(**_columns(msgspec.structs.asdict(work))))
            old = select(rows.c.id).where(rows.c.state != RUNNING).order_by(rows.c.ended_at.desc())
            connection.execute(
                rows.delete().where(
                    (rows.c.ended_at < time.time() - KEPT_S) | rows.c.id.in_(old.offset(KEPT).limit(-1))
                )
            )
        return work

    def take(self, work: Work, holder: str) -> Work | None:
        """Take work over. Return None if another process has written it since ``work`` was read."""
        with self._store.transaction() as connection:
            seen = (rows.c.token == work.token) & (rows.c.renewals == work.renewals)
            taken = connection.execute(
                rows.update()
                .where((rows.c.id == work.id) & (rows.c.state == RUNNING) & seen)
                .values(holder=holder, token=work.token + 1)
                .returning(rows)
            ).first()
        return None if taken is None else _work(taken)

    def write(self, work_id: str, token: int, **changes: Any) -> Work:
        """Write changes, which renews the lease. Raises OldToken."""
        with self._store.transaction() as connection:
            written = connection.execute(
                rows.update()
                .where((rows.c.id == work_id) & (rows.c.state == RUNNING) & (rows.c.token == token))
                .values(renewals=rows.c.renewals + 1, **_columns(changes))
                .returning(rows)
            ).first()
        if written is None:
            raise _old(work_id)
        return _work(written)

    def check(self, connection: Connection, work_id: str, token: int) -> None:
        """Raise OldToken unless the token is current. No process takes the work until the transaction ends."""
        owned = (rows.c.id == work_id) & (rows.c.state == RUNNING) & (rows.c.token == token)
        if connection.execute(select(rows.c.id).where(owned)).first() is None:
            raise _old(work_id)

    def confirm(self, work_id: str, token: int) -> None:
        """Raise OldToken unless the token is current."""
        with self._store.reading() as connection:
            self.check(connection, work_id, token)

    def cancel(self, work_id: str) -> None:
        """Request a cancellation from the process that runs the work, or takes it next."""
        with self._store.transaction() as connection:
            connection.execute(
                rows.update().where((rows.c.id == work_id) & (rows.c.state == RUNNING)).values(cancel=1)
            )

    def get(self, work_id: str) -> Work:
        """Return work by its id. Raises NotFound."""
        found = self._read(select(rows).where(rows.c.id == work_id))
        if not found:
            raise NotFound(f"There is no work {work_id!r}.", hint="Ended work is kept for a day.")
        return found[0]

    def all(self) -> list[Work]:
        """Return running and recently ended work, newest first."""
        return self._read(select(rows).order_by(rows.c.created_at.desc()))

    def running(self, kind: str = "", subject: str = "") -> list[Work]:
        """Return running work, optionally of one kind and subject."""
        query = select(rows).where(rows.c.state == RUNNING)
        if kind:
            query = query.where((rows.c.kind == kind) & (rows.c.subject == subject))
        return self._read(query)

    def latest(self, kind: str) -> dict[str, Work]:
        """Return the newest work of a kind for each subject, without its log."""
        columns = [column for column in rows.c if column.name != "lines"]
        found = self._read(select(*columns).where(rows.c.kind == kind).order_by(rows.c.created_at))
        return {work.subject: work for work in found}

    def _read(self, query: Select[Any]) -> list[Work]:
        with self._store.reading() as connection:
            return [_work(row) for row in connection.execute(query)]


def _old(work_id: str) -> OldToken:
    return OldToken(
        f"The work {work_id} was taken over by another GenOps Lab of yours.",
        hint="Follow its task there.",
    )


def _work(row: Row[Any]) -> Work:
    found = {str(name): value for name, value in row._mapping.items()}
    found |= {name: msgspec.json.decode(found[name]) for name in _JSON if name in found}
    return msgspec.convert(found, Work, strict=False)


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: msgspec.json.encode(value).decode() if name in _JSON else value
        for name, value in values.items()
    }
