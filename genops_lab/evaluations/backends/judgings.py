"""Claim in the shared store which versions a data set judges, before it does. All methods block.

The store is opened in the MLflow worker, which also reads the evaluations of the data set.
"""

from __future__ import annotations

import functools
import hashlib
import time

from sqlalchemy import Connection, select

from genops_lab.core.store import SharedStore, upsert
from genops_lab.core.store.shared_tables import judgings as rows


@functools.cache
def team_store(store_url: str) -> SharedStore | None:
    """Return the store that a team shares, one for all backends of a process; None without ``GenOpsLab.store_url``."""
    return SharedStore(store_url) if store_url else None


class Judgings:
    """The versions that the data sets of one MLflow have judged."""

    def __init__(self, store: SharedStore, address: str) -> None:
        self._store = store
        self._registry = hashlib.sha256(address.encode()).hexdigest()

    def claim(self, digest: str, versions: list[tuple[str, str]]) -> None:
        """Write that the data set judges these versions (model, number). Raises Unavailable."""

        def work(connection: Connection) -> None:
            for model, version in versions:
                row = {"registry": self._registry, "digest": digest, "model": model, "version": version}
                upsert(connection, rows, {**row, **self._store.whose, "at": time.time()})

        self._store.run(work)

    def of(self, digest: str) -> set[tuple[str, str]]:
        """Return the versions (model, number) that the data set has judged. Raises Unavailable."""
        asked = select(rows.c.model, rows.c.version).where(
            (rows.c.registry == self._registry) & (rows.c.digest == digest)
        )
        with self._store.reading() as connection:
            return {(row.model, row.version) for row in connection.execute(asked)}
