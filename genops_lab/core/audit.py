"""Who did what: one row of the shared store for each operation that changed or started something."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from .errors import GenOpsError, NotAllowed
from .models import AuditEntry
from .operations import Operation
from .principals import PRINCIPAL, this_user

if TYPE_CHECKING:
    from .store import LocalStore

log = logging.getLogger("genops_lab")

#: Does an operation with its service and checked arguments, as far as who asks may.
Call = Callable[[Operation, Any, dict[str, Any]], Awaitable[Any]]


class AuditLog:
    """Rows wait in this user's own store until the shared one has them, so that nothing is lost while it is away."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    async def note(self, operation: Operation, subject: Mapping[str, str], outcome: str) -> None:
        """Add a row. ``subject``: ids of the path, names of the answer; nothing of a body, which may hold secrets.
        ``outcome``: ``ok``, or the error's code."""
        from .store.audit import record

        entry = AuditEntry(
            principal=str(PRINCIPAL.get() or ""),
            action=operation.action,
            resource=operation.resource,
            operation=operation.id,
            outcome=outcome,
            detail=dict(subject),
        )
        try:
            await asyncio.to_thread(record, self._store, entry)
        except GenOpsError as error:  # the operation is done: its answer is not lost to its record
            log.error("%s by %s is not in the audit log: %s", operation.id, entry.principal, error.message)


async def in_full(operation: Operation, service: Any, arguments: dict[str, Any]) -> Any:
    """Do an operation as a user may: all of it."""
    return await operation.call(service, arguments)


async def perform(
    operation: Operation,
    service: Any,
    arguments: dict[str, Any],
    audit: AuditLog | None,
    call: Call = in_full,
) -> Any:
    """Do an operation with checked arguments, and note who did it. Raises what the operation raises, and NotAllowed
    where it does not admit who asks."""
    outcome = "failed"
    subject = {name: str(arguments[name]) for name in operation.path_parameters}
    try:
        who = PRINCIPAL.get() or this_user()
        if who.kind not in operation.admits:
            raise NotAllowed(
                f"{operation.id} is not for {who}.", hint="Do it in the panel, or with `genops`."
            )
        result = await call(operation, service, arguments)
        outcome = "ok"
        subject |= {name: str(getattr(result, name)) for name in operation.named}
        return result
    except GenOpsError as error:
        outcome = error.code
        raise
    finally:
        if audit is not None and operation.audited:
            await audit.note(operation, subject, outcome)
