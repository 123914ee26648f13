"""Claim looks at plans in the shared store, before the judging. All methods block."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from genops_lab.core.store import SharedStore, upsert
from genops_lab.core.store.shared_tables import looks as rows
from genops_lab.gates.looks import Look, count, same_plan


class LookLedger:
    """The looks at versions of one model. ``made``: the time in ms at which MLflow made the version."""

    def __init__(self, store: SharedStore, address: str, model: str) -> None:
        self._store = store
        self._registry = hashlib.sha256(f"{address}\n{model}".encode()).hexdigest()

    def claim(
        self, version: str, made: int, look: Look, known: list[Look], most: int
    ) -> tuple[int, Look | None, list[Look]]:
        """Return the how manieth look this is, the one before it, and all looks at the plan with this one.

        ``known`` are the looks of the version's tag: those that the store does not have are added. One of two
        claims at the same moment is the first. A look after the last planned one, ``most``, is counted and not kept.
        """

        def work(connection: Connection) -> tuple[int, Look | None, list[Look]]:
            kept = self._of(connection, version, made, look)
            before = list(kept)
            for each in known:
                if same_plan(each, look):
                    _number, _last, before = count(before, each)
            number, last, after = count(before, look)
            if number > most:
                after = before
            for at, each in enumerate(after):
                if at >= len(kept) or kept[at] != each:
                    self._put(connection, version, made, at + 1, each)
            return number, last, after

        return self._store.run(work)

    def _of(self, connection: Connection, version: str, made: int, look: Look) -> list[Look]:
        asked = select(rows).where(self._is(version, made, look)).order_by(rows.c.number)
        return [
            Look(row.plan, row.data, row.against, row.mine, row.theirs, row.at)
            for row in connection.execute(asked)
        ]

    def _is(self, version: str, made: int, look: Look) -> ColumnElement[bool]:
        version_is = (rows.c.registry == self._registry) & (rows.c.made == made) & (rows.c.version == version)
        return (
            version_is
            & (rows.c.plan == look.plan)
            & (rows.c.data == look.data)
            & (rows.c.against == look.against)
        )

    def _put(self, connection: Connection, version: str, made: int, number: int, look: Look) -> None:
        key: dict[str, Any] = {
            "registry": self._registry, "made": made, "version": version, "plan": look.plan, "data": look.data,
            "against": look.against, "number": number,
        }  # fmt: skip
        seen = {"mine": look.mine, "theirs": look.theirs, "at": look.at}
        upsert(connection, rows, {**key, **seen, **self._store.whose}, change=seen)
