"""Keep the history of aliases in the shared store, and arbitrate there between movers. All methods block."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, select

from genops_lab.core.paging import Page
from genops_lab.core.store import SharedStore, upsert
from genops_lab.core.store.keyset import page_of
from genops_lab.core.store.shared_tables import alias_moves as rows
from genops_lab.core.store.shared_tables import aliases as heads

from .agreement import UNWRITTEN, Changes, Head, Kept, Known, Step
from .models import AliasMove, MovesQuery

#: Models in one statement.
_AT_ONCE = 500


class AliasLedger:
    """The events and the heads (:class:`Head`) of the aliases of one MLflow."""

    def __init__(self, store: SharedStore, address: str) -> None:
        self._store = store
        self._address = address

    def known(self, name: str) -> dict[int, Known]:
        """Return what is known of the models that had this name, by the time in ms at which MLflow made each."""
        found: dict[int, Known] = {}
        with self._store.reading() as connection:
            for row in connection.execute(select(heads).where(heads.c.registry == self._registry(name))):
                known = found.setdefault(row.made, Known())
                if row.alias:
                    known.heads[row.alias] = Head(row.alias, row.version, row.last, row.moving)
                else:
                    known.seen_at = row.seen_at
            for row in connection.execute(select(rows).where(rows.c.registry == self._registry(name))):
                kept = Kept(_move(row), row.tagged, row.state == "moving", row.holder)
                found.setdefault(row.made, Known()).events[row.id] = kept
        return found

    def claim(self, name: str, made: int, head: Head | None, move: AliasMove, holder: str) -> bool:
        """Write the intent of a move, if the alias still has this head. Return False if another mover was first."""

        def work(connection: Connection) -> bool:
            before = head or Head(move.alias)
            taken = Head(before.alias, before.version, before.last, move.id)
            if not self._replace(connection, name, made, head, taken, move.at):
                return False
            self._add(connection, name, made, Kept(move, moving=True, holder=holder))
            return True

        return self._store.run(work)

    def finish(self, name: str, made: int, move: AliasMove, tagged: int) -> bool:
        """Write that a claimed move has been made. Return False if another process has settled the move."""

        def work(connection: Connection) -> bool:
            mine = self._of(name, made) & (heads.c.alias == move.alias) & (heads.c.moving == move.id)
            after = {"version": move.to_version, "last": move.id, "moving": ""}
            if connection.execute(heads.update().where(mine).values(**after)).rowcount != 1:
                return False
            self._settle(connection, name, made, move.id, tagged)
            return True

        return self._store.run(work)

    def apply(self, name: str, made: int, changes: Changes, seen_at: float) -> None:
        """Write the changes, each unless another process was first. ``seen_at`` is the time of the reading."""

        def work(connection: Connection) -> None:
            for kept in changes.learnt:
                self._add(connection, name, made, kept)
            for step in changes.steps:
                if self._replace(connection, name, made, step.before, step.after, seen_at):
                    self._carry_out(connection, name, made, step)
            for kept in changes.replaced:
                connection.execute(rows.delete().where(self._is(name, made, kept.move.id)))
            self._seen(connection, name, made, seen_at)

        self._store.run(work)

    def written(self, name: str, made: int, id: str, tagged: int) -> None:
        """Write what became of the tag of an event."""
        change = rows.update().where(self._is(name, made, id)).values(tagged=tagged)
        self._store.run(lambda connection: connection.execute(change))

    def page(self, name: str, made: int, query: MovesQuery) -> Page[AliasMove]:
        """Return a page of the events of a model, newest first. Raises InvalidRequest."""
        asked = select(rows).where(
            (rows.c.registry == self._registry(name)) & (rows.c.made == made) & (rows.c.state == "moved")
        )
        if query.alias:
            asked = asked.where(rows.c.alias == query.alias)
        with self._store.reading() as connection:
            return page_of(connection, asked, rows.c.at, rows.c.id, query, _move)

    def under_way(self, place: str) -> list[str]:
        """Return the models with moves that processes of this user on this machine have not finished."""
        mine = (rows.c.state == "moving") & rows.c.holder.startswith(place, autoescape=True)
        with self._store.reading() as connection:
            return list(connection.execute(select(rows.c.model).where(mine).distinct()).scalars())

    def seen(self, models: Iterable[tuple[str, int]]) -> dict[tuple[str, int], dict[str, str]]:
        """Return the versions by alias of those models (name, time made) that have a history."""
        wanted = {(self._registry(name), made): (name, made) for name, made in models}
        keys = sorted({registry for registry, _ in wanted})
        found: dict[tuple[str, int], dict[str, str]] = {}
        with self._store.reading() as connection:
            for at in range(0, len(keys), _AT_ONCE):
                chosen = heads.c.registry.in_(keys[at : at + _AT_ONCE])
                for row in connection.execute(select(heads).where(chosen)):
                    if (model := wanted.get((row.registry, row.made))) is not None:
                        versions = found.setdefault(model, {})
                        if row.alias and row.version:
                            versions[row.alias] = row.version
        return found

    def saw(self, names: Iterable[str], seen_at: float) -> None:
        """Write that a Lab saw these models unchanged."""
        keys = sorted(map(self._registry, names))

        def work(connection: Connection) -> None:
            for at in range(0, len(keys), _AT_ONCE):
                chosen = (heads.c.alias == "") & heads.c.registry.in_(keys[at : at + _AT_ONCE])
                connection.execute(heads.update().where(chosen).values(seen_at=seen_at))

        self._store.run(work)

    def _carry_out(self, connection: Connection, name: str, made: int, step: Step) -> None:
        if step.drop:
            connection.execute(rows.delete().where(self._is(name, made, step.drop)))
        if step.finish:
            self._settle(connection, name, made, step.finish, UNWRITTEN)
        if step.add is not None:
            self._add(connection, name, made, step.add)

    def _replace(
        self, connection: Connection, name: str, made: int, before: Head | None, after: Head, at: float
    ) -> bool:
        """Replace the head of an alias in one statement, unless another process has replaced it."""
        if before is None:
            row = self._keys(name, made) | self._store.whose | {"alias": after.alias, "seen_at": at}
            return upsert(connection, heads, row | _columns(after))
        same = self._of(name, made) & (heads.c.alias == before.alias)
        for column, value in _columns(before).items():
            same &= heads.c[column] == value
        return connection.execute(heads.update().where(same).values(**_columns(after))).rowcount == 1

    def _settle(self, connection: Connection, name: str, made: int, id: str, tagged: int) -> None:
        change = {"state": "moved", "holder": "", "tagged": tagged}
        connection.execute(rows.update().where(self._is(name, made, id)).values(**change))

    def _add(self, connection: Connection, name: str, made: int, kept: Kept) -> None:
        """Insert an event, unless another process has."""
        values = msgspec.structs.asdict(kept.move)
        values |= {"evidence": msgspec.json.encode(kept.move.evidence).decode()}
        values |= {
            "state": "moving" if kept.moving else "moved",
            "tagged": kept.tagged,
            "holder": kept.holder,
        }
        upsert(connection, rows, self._keys(name, made) | self._store.whose | values)

    def _seen(self, connection: Connection, name: str, made: int, seen_at: float) -> None:
        row = self._keys(name, made) | self._store.whose | {"alias": "", "seen_at": seen_at}
        upsert(connection, heads, row | _columns(Head("")), change={"seen_at": seen_at})

    def _registry(self, name: str) -> str:
        return hashlib.sha256(f"{self._address}\n{name}".encode()).hexdigest()

    def _keys(self, name: str, made: int) -> dict[str, Any]:
        return {"registry": self._registry(name), "made": made}

    def _of(self, name: str, made: int) -> ColumnElement[bool]:
        return (heads.c.registry == self._registry(name)) & (heads.c.made == made)

    def _is(self, name: str, made: int, id: str) -> ColumnElement[bool]:
        return (rows.c.registry == self._registry(name)) & (rows.c.made == made) & (rows.c.id == id)


def _columns(head: Head) -> dict[str, str]:
    return {"version": head.version, "last": head.last, "moving": head.moving}


def _move(row: Row[Any]) -> AliasMove:
    found = row._mapping
    values = {name: found[name] for name in AliasMove.__struct_fields__ if name != "evidence"}
    return AliasMove(**values, evidence=msgspec.json.decode(found["evidence"]))
