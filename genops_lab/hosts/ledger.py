"""The store's table of targets. Any process of the user reads it: kernel provisioners find their route in it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select

from genops_lab.core.errors import Conflict, NotAllowed, NotFound
from genops_lab.core.store import LocalStore
from genops_lab.core.store.tables import remote_kernels, targets
from genops_lab.hosts.link.route import Route

from .models import ChangeTarget, TargetPolicy
from .providers import route_of
from .records import TargetRecord


class OwnKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel that a Lab of this user has on a target.

    ``path`` is its notebook, or empty. ``chosen`` has the GPUs that it was given, as variables.
    """

    kernel_id: str
    target: str
    path: str = ""
    chosen: dict[str, str] = {}


class Ledger:
    """The table of targets. All methods block."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def all(self) -> list[TargetRecord]:
        """Return all targets: the administrator's first, then in the order in which they were added."""
        with self._store.reading() as connection:
            rows = connection.execute(
                select(targets).order_by(targets.c.locked.desc(), targets.c.position, targets.c.name)
            )
            return [_record(row) for row in rows]

    def get(self, name: str) -> TargetRecord:
        """Return one target. Raises NotFound."""
        with self._store.reading() as connection:
            return _get(connection, name)

    def price_of(self, name: str) -> float | None:
        """Return a target's price in USD an hour; None where it has no price or does not exist."""
        try:
            return self.get(name).price_per_hour
        except NotFound:
            return None

    def add(self, record: TargetRecord) -> tuple[TargetRecord, bool]:
        """Add a target; return the existing one and False where it is the same. Raises Conflict where it
        differs."""
        with self._store.transaction() as connection:
            found = _find(connection, record.name)
            if found is not None:
                if found.route != record.route:
                    raise Conflict(
                        f"A target {record.name!r} exists already, for {found.where}.",
                        hint="Give the new target another name, or remove the existing one first.",
                        code="name_in_use",
                    )
                return found, False
            _insert(connection, record)
        return record, True

    def change(self, name: str, change: ChangeTarget) -> TargetRecord:
        """Replace price, secrets and policy. Raises NotFound, and NotAllowed for the administrator's targets."""
        changes = {
            "price_per_hour": change.price_per_hour,
            "secrets": _json(change.secrets),
            "policy": _json(change.policy),
        }
        with self._store.transaction() as connection:
            return _change(connection, _get(connection, name), changes)

    def use_python(self, name: str, python: str) -> TargetRecord:
        """Set a target's interpreter. Raises NotFound, and NotAllowed for the administrator's targets."""
        return self.use_fields(name, python=python)

    def use_fields(self, name: str, **fields: str) -> TargetRecord:
        """Set fields of a target's configuration. Raises NotFound, and NotAllowed for the administrator's
        targets."""
        with self._store.transaction() as connection:
            found = _get(connection, name)
            route = found.route.with_fields(**fields)
            return _change(connection, found, {"options": _json(_options(route))})

    def remove(self, name: str) -> bool:
        """Remove a target and the records of kernels on it; False when there is no such target."""
        with self._store.transaction() as connection:
            found = _find(connection, name)
            if found is None:
                return False
            if found.locked:
                raise _locked(name)
            connection.execute(targets.delete().where(targets.c.name == name))
            connection.execute(remote_kernels.delete().where(remote_kernels.c.target == name))
        return True

    def adopt(self, records: Sequence[TargetRecord]) -> list[str]:
        """Make the administrator's targets equal to ``records``; return the names of those that were removed."""
        names = {record.name for record in records}
        with self._store.transaction() as connection:
            locked = connection.execute(select(targets.c.name).where(targets.c.locked == 1)).scalars().all()
            gone = [str(name) for name in locked if name not in names]
            for name in {*gone, *names}:
                connection.execute(targets.delete().where(targets.c.name == name))
            for record in records:
                _insert(connection, msgspec.structs.replace(record, locked=True))
        return gone

    def own_kernels(self, target: str) -> list[OwnKernel]:
        """Return the recorded kernels of this user's Labs on a target."""
        with self._store.reading() as connection:
            rows = connection.execute(select(remote_kernels).where(remote_kernels.c.target == target)).all()
        return [
            OwnKernel(
                kernel_id=row.kernel_id,
                target=row.target,
                path=row.path or "",
                chosen=msgspec.json.decode(row.chosen, type=dict[str, str]) if row.chosen else {},
            )
            for row in rows
        ]


def _find(connection: Connection, name: str) -> TargetRecord | None:
    row = connection.execute(select(targets).where(targets.c.name == name)).one_or_none()
    return None if row is None else _record(row)


def _get(connection: Connection, name: str) -> TargetRecord:
    found = _find(connection, name)
    if found is None:
        raise NotFound(f"There is no target {name[:80]!r}.", hint="List the targets: genops targets list")
    return found


def _change(connection: Connection, found: TargetRecord, changes: dict[str, Any]) -> TargetRecord:
    if found.locked:
        raise _locked(found.name)
    connection.execute(targets.update().where(targets.c.name == found.name).values(**changes))
    return _get(connection, found.name)


def _insert(connection: Connection, record: TargetRecord) -> None:
    connection.execute(
        targets.insert().values(
            name=record.name,
            kind=record.route.kind,
            host=getattr(record.route.config, "host", ""),
            options=_json(_options(record.route)),
            price_per_hour=record.price_per_hour,
            secrets=_json(record.secrets),
            policy=_json(record.policy),
            locked=int(record.locked),
            created_at=record.created_at or time.time(),
            position=select(func.coalesce(func.max(targets.c.position), 0) + 1).scalar_subquery(),
        )
    )


def _options(route: Route) -> dict[str, Any]:
    """Return the configuration, without what has a column of its own."""
    return {name: value for name, value in msgspec.to_builtins(route.config).items() if name != "host"}


def _record(row: Row[Any]) -> TargetRecord:
    config = {"host": row.host, **msgspec.json.decode(row.options)}
    return TargetRecord(
        route=route_of(row.name, row.kind, **config),
        price_per_hour=row.price_per_hour,
        secrets=msgspec.json.decode(row.secrets, type=list[str]),
        policy=msgspec.json.decode(row.policy, type=TargetPolicy),
        locked=bool(row.locked),
        created_at=row.created_at,
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _locked(name: str) -> NotAllowed:
    return NotAllowed(
        f"The administrator manages the target {name!r}.",
        hint="Ask the administrator of this Lab to change GenOpsLab.targets.",
    )
