"""Who did what: entries of the shared store's audit, kept here first, so that no request waits for that store."""

from __future__ import annotations

import time
import uuid
from typing import Any, Literal

import msgspec

from .local import LocalStore, post
from .shared_tables import audit


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What ``principal`` did or tried. ``operation`` is its id, ``outcome`` ``ok`` or an error's code. ``detail`` holds
    no secret: names, never values."""

    principal: str
    action: Literal["read", "write", "execute"]
    resource: str
    operation: str
    outcome: str
    detail: dict[str, Any] = {}


def record(store: LocalStore, entry: AuditEntry) -> None:
    """Keep an entry, which is written to the shared store with the next delivery. Blocks."""
    row = msgspec.structs.asdict(entry) | {"id": str(uuid.uuid4()), "at": time.time()}
    row["detail"] = msgspec.json.encode(entry.detail).decode()
    with store.transaction() as connection:
        post(connection, audit, row)
