"""Who did what: entries of the shared store's audit, kept here first, so that no request waits for that store."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import msgspec
from sqlalchemy import select, tuple_

from ..errors import InvalidRequest
from ..models import AuditedEntry, AuditEntry, AuditPage, AuditQuery
from .local import LocalStore, post
from .outbox import Outbox
from .shared_tables import audit


def record(store: LocalStore, entry: AuditEntry) -> None:
    """Keep an entry, which is written to the shared store with the next delivery. Blocks."""
    row = msgspec.structs.asdict(entry) | {"id": str(uuid.uuid4()), "at": time.time()}
    row["detail"] = msgspec.json.encode(entry.detail).decode()
    with store.transaction() as connection:
        post(connection, audit, row)


class AuditService:
    """Reads what was recorded, of all who share the store; this user's own entries before that store has them."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def list_audit(self, query: AuditQuery) -> AuditPage:
        """Who did what: the newest first, in pages."""
        return await asyncio.to_thread(self._read, query)

    def _read(self, query: AuditQuery) -> AuditPage:
        if not 1 <= query.limit <= 1000:
            raise InvalidRequest(f"limit is {query.limit}.", hint="Ask for 1 to 1,000 entries.")
        end = _end(query.after)
        # In this order: an entry that is delivered meanwhile is found twice, not missed.
        found = {row["id"]: AuditedEntry(**row) for row in self._waiting()}
        columns = [audit.c[name] for name in AuditedEntry.__struct_fields__]
        asked = select(*columns).order_by(audit.c.at.desc(), audit.c.id.desc()).limit(query.limit + 1)
        if end is not None:
            asked = asked.where(tuple_(audit.c.at, audit.c.id) < tuple_(*end))
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
            entries=page,
            next=f"{page[-1].at!r} {page[-1].id}" if more else "",
            waiting=self._outbox.waiting(),
        )

    def _waiting(self) -> list[dict[str, Any]]:
        rows = [msgspec.json.decode(content) for content in self._outbox.contents(audit)]
        return [
            {**row, "owner": self._outbox.shared.owner, "detail": msgspec.json.decode(row["detail"])}
            for row in rows
        ]


def _end(after: str) -> tuple[float, str] | None:
    """Where an earlier page ended. Raises InvalidRequest."""
    if not after:
        return None
    at, _, id = after.partition(" ")
    try:
        return float(at), id
    except ValueError as error:
        raise InvalidRequest("after is no end of a page.", hint="Use the next of an earlier page.") from error
