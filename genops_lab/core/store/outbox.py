"""Deliver changes to the shared store, which the local store keeps until the shared one answers.

So no request waits for an unreachable database server, and a killed JupyterLab loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Table, delete, func, select

from ..errors import GenOpsError
from ..services import Service
from .local import LocalStore
from .shared import SharedStore
from .store import upsert
from .tables import outbox

log = logging.getLogger("genops_lab")

INTERVAL_S, AWAY_S = 5.0, 60.0
_AT_ONCE = 200


class Outbox(Service):
    """The queue of :func:`~genops_lab.core.store.post`. The supervising process delivers it."""

    def __init__(self, local: LocalStore, shared: SharedStore) -> None:
        self._local, self.shared = local, shared

    def waiting(self) -> int:
        """Return how many changes have not been written to the shared store."""
        with self._local.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(outbox)).scalar_one())

    def contents(self, table: Table) -> list[str]:
        """Return the rows, as JSON, that wait to be put into a table of the shared store."""
        wanted = (outbox.c.table_name == table.name) & (outbox.c.action == "put")
        with self._local.reading() as connection:
            return list(connection.execute(select(outbox.c.content).where(wanted)).scalars())

    def deliver(self) -> None:
        """Write all changes to the shared store in order; a repeated write changes nothing. Blocks.

        Raises Unavailable if the shared store does not answer; the remaining changes stay in the queue.
        """
        while True:
            with self._local.reading() as connection:
                rows = connection.execute(select(outbox).order_by(outbox.c.number).limit(_AT_ONCE)).all()
            if not rows:
                return
            self.shared.run(lambda connection, rows=rows: self._write(connection, rows))  # type: ignore[misc]
            with self._local.transaction() as connection:
                connection.execute(delete(outbox).where(outbox.c.number <= rows[-1].number))

    async def supervise(self) -> None:
        """Deliver every 5 s until cancelled; wait up to 60 s between tries while the shared store does not answer."""
        wait = INTERVAL_S
        while True:
            try:
                await asyncio.to_thread(self.deliver)
                wait = INTERVAL_S
            except GenOpsError as error:
                if wait == INTERVAL_S:
                    log.warning("%s Changes wait in the data folder until it answers.", error.message)
                wait = min(2 * wait, AWAY_S)
            await asyncio.sleep(wait)

    def _write(self, connection: Connection, rows: list[Row[Any]]) -> None:
        for row in rows:
            table = self.shared.schema.tables.tables[row.table_name]
            values = {
                "owner": self.shared.owner,
                "team": self.shared.team,
                **msgspec.json.decode(row.content),
            }
            # PostgreSQL takes no NUL in a text.
            values = {
                name: value.replace("\0", "") if isinstance(value, str) else value
                for name, value in values.items()
            }
            keys = {column.name for column in table.primary_key.columns}
            if row.action == "remove":
                here = [table.c[name] == values[name] for name in keys]
                connection.execute(delete(table).where(*here))
            else:
                rest = {name: value for name, value in values.items() if name not in keys}
                upsert(connection, table, values, change=rest)
