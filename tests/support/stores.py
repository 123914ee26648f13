"""Stores as older versions left them."""

from __future__ import annotations

import dataclasses

from sqlalchemy.engine import make_url

from genops_lab.core.store import LocalStore, Store


def store_of_before(url: str, head: str = "0006") -> Store:
    """The one store of versions before two, at one of its migrations, in whatever database; open."""

    class Before(Store):
        schema = dataclasses.replace(LocalStore.schema, head=head)
        title, newer_hint = LocalStore.title, LocalStore.newer_hint

    store = Before(make_url(url))
    store.open()
    return store
