"""Who did what: entries of the shared store's audit, kept here first, so that no request waits for that store."""

from __future__ import annotations

import asyncio
import time
import uuid

import msgspec
from sqlalchemy import select, tuple_

from ..errors import InvalidRequest
from ..models import AuditedEntry, AuditEntry, AuditPage, AuditQuery
from .local import LocalStore, post
from .outbox import Outbox
from .shared import SharedStore
from .shared_tables import audit


def record(store: LocalStore, entry: AuditEntry) -> None:
    """Keep an entry, which is written to the shared store with the next delivery. Blocks."""
    row = msgspec.structs.asdict(entry) | {"id": str(uuid.uuid4()), "at": time.time()}
    row["detail"] = msgspec.json.encode(entry.detail).decode()
    with store.transaction() as connection:
        post(connection, audit, row)


class AuditService:
    """Reads what was recorded, of all who share the store."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def list_audit(self, query: AuditQuery) -> AuditPage:
        """Who did what: the newest first, in pages."""
        page = await asyncio.to_thread(_read, self._outbox.shared, query)
        waiting = await asyncio.to_thread(self._outbox.waiting)
        return msgspec.structs.replace(page, waiting=waiting)


def _read(shared: SharedStore, query: AuditQuery) -> AuditPage:
    if not 1 <= query.limit <= 1000:
        raise InvalidRequest(f"limit is {query.limit}.", hint="Ask for 1 to 1,000 entries.")
    columns = [audit.c[name] for name in AuditedEntry.__struct_fields__]
    asked = select(*columns).order_by(audit.c.at.desc(), audit.c.id.desc()).limit(query.limit + 1)
    if query.after:
        at, _, id = query.after.partition(" ")
        try:
            asked = asked.where(tuple_(audit.c.at, audit.c.id) < tuple_(float(at), id))
        except ValueError as error:
            raise InvalidRequest(
                "after is no end of a page.", hint="Use the next of an earlier page."
            ) from error
    with shared.reading() as connection:
        rows = connection.execute(asked).all()
    entries = [
        AuditedEntry(**{**row._asdict(), "detail": msgspec.json.decode(row.detail)})
        for row in rows[: query.limit]
    ]
    more = len(rows) > query.limit
    return AuditPage(entries=entries, next=f"{entries[-1].at!r} {entries[-1].id}" if more else "")
