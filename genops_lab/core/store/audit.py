"""Record audit entries in the local store first, so that no request waits for the shared store."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import msgspec
from sqlalchemy import select

from ..models import AuditedEntry, AuditEntry, AuditPage
from ..paging import PageQuery
from .keyset import behind, cursor, end_of
from .local import LocalStore, post
from .outbox import Outbox
from .shared_tables import audit


def record(store: LocalStore, entry: AuditEntry) -> None:
    """Queue an entry for the next delivery to the shared store. Blocks."""
    row = msgspec.structs.asdict(entry) | {"id": str(uuid.uuid4()), "at": time.time()}
    row["detail"] = msgspec.json.encode(entry.detail).decode()
    with store.transaction() as connection:
        post(connection, audit, row)


class AuditService:
    """Read the audit log of all users of the shared store, with this user's entries that are not delivered yet."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def list_audit(self, query: PageQuery) -> AuditPage:
        """List the audit log, newest first."""
        return await asyncio.to_thread(self._read, query)

    def _read(self, query: PageQuery) -> AuditPage:
        end = end_of(query)
        # Read the local entries first: an entry that is delivered meanwhile is then found twice, not missed.
        found = {row["id"]: AuditedEntry(**row) for row in self._waiting()}
        columns = [audit.c[name] for name in AuditedEntry.__struct_fields__]
        asked = behind(select(*columns), audit.c.at, audit.c.id, query)
        with self._outbox.shared.reading() as connection:
            for row in connection.execute(asked):
                entry = AuditedEntry(**{**row._asdict(), "detail": msgspec.json.decode(row.detail)})
                found[entry.id] = entry
        entries = sorted(
            (each for each in found.values() if end is None or (each.at, each.id) < end),
            key=lambda each: (each.at, each.id),
            reverse=True,
        )
        page, more = entries[: query.limit], len(entries) > query.limit
        return AuditPage(
            items=page,
            next=cursor((page[-1].at, page[-1].id)) if more else "",
            waiting=self._outbox.waiting(),
        )

    def _waiting(self) -> list[dict[str, Any]]:
        rows = [msgspec.json.decode(content) for content in self._outbox.contents(audit)]
        return [
            {**row, "owner": self._outbox.shared.owner, "detail": msgspec.json.decode(row["detail"])}
            for row in rows
        ]
