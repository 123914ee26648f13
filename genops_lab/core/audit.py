"""Write the audit log: a row of the shared store for each operation that writes or executes."""

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

#: Runs an operation with its service and checked arguments, within the caller's rights.
Call = Callable[[Operation, Any, dict[str, Any]], Awaitable[Any]]


class AuditLog:
    """The audit log. Rows wait in this user's local store until the shared store has them."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    async def note(self, operation: Operation, subject: Mapping[str, str], outcome: str) -> None:
        """Add a row.

        ``subject`` has ids of the path and names of the answer; a body may have secrets and is left out. ``outcome`` is
        ``ok`` or the error's code.
        """
        entry = AuditEntry(
            principal=str(PRINCIPAL.get() or ""),
            action=operation.action,
            resource=operation.resource,
            operation=operation.id,
            outcome=outcome,
            detail=dict(subject),
        )
        await self.add(entry)

    async def add(self, entry: AuditEntry) -> None:
        """Add a row, also of a request that no operation answers."""
        from .store.audit import record

        try:
            await asyncio.to_thread(record, self._store, entry)
        except GenOpsError as error:  # the operation is done, so its answer must not be lost
            log.error("%s by %s is not in the audit log: %s", entry.operation, entry.principal, error.message)


async def in_full(operation: Operation, service: Any, arguments: dict[str, Any]) -> Any:
    """Run an operation with the rights of a user."""
    return await operation.call(service, arguments)


async def perform(
    operation: Operation,
    service: Any,
    arguments: dict[str, Any],
    audit: AuditLog | None,
    call: Call = in_full,
) -> Any:
    """Run an operation with checked arguments and write its audit row.

    Raises the operation's errors, and NotAllowed if the operation does not admit the caller.
    """
    outcome = "failed"
    subject = {name: str(arguments[name]) for name in operation.path_parameters}
    try:
        who = PRINCIPAL.get() or this_user()
        if who.kind not in operation.admits:
            raise NotAllowed(
                f"{operation.id} is not for {who}.", hint="Use the panel or the `genops` command."
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
