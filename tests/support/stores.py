"""Stores as older versions left them, and entries that wait for the shared store."""

from __future__ import annotations

import dataclasses

from sqlalchemy import select
from sqlalchemy.engine import make_url

from genops_lab.core.store import LocalStore, Store, post
from genops_lab.core.store.shared_tables import audit


def store_of_before(url: str, head: str = "0006") -> Store:
    """The one store of versions before two, at one of its migrations, in whatever database; open."""

    class Before(Store):
        schema = dataclasses.replace(LocalStore.schema, head=head)
        title, newer_hint = LocalStore.title, LocalStore.newer_hint

    store = Before(make_url(url))
    store.open()
    return store


ENTRY = {"at": 1.0, "principal": "ada", "action": "write", "resource": "genops:runs", "operation": "runs.delete",
         "outcome": "ok", "detail": "{}"}  # fmt: skip


def post_entries(local: LocalStore, *ids: str) -> None:
    """Post audit entries, which wait for the shared store."""
    for each in ids:
        with local.transaction() as connection:
            post(connection, audit, {"id": each, **ENTRY})


def audited(shared: Store) -> list[str]:
    """Return the ids of the audit entries that the shared store has."""
    with shared.reading() as connection:
        return list(connection.execute(select(audit.c.id).order_by(audit.c.id)).scalars())
