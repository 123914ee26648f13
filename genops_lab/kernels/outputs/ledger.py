"""The store's table of kernels on targets, with which a Lab restores them."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from genops_lab.core.store import LocalStore, upsert
from genops_lab.core.store.tables import remote_kernels


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel on a target and its session.

    ``file_hash`` is the SHA-256 of the notebook when it was last saved, or written by this Lab. ``owner``
    names the process whose kernel it is. ``chosen`` has the GPUs that it was given, as variables.
    """

    kernel_id: str
    target: str
    kernel_name: str
    session_id: str | None = None
    path: str | None = None
    type: str | None = None
    documented_seq: int = 0
    file_hash: str | None = None
    incarnation: str | None = None
    owner: str | None = None
    started_at: float
    chosen: dict[str, str] = {}


class KernelLedger:
    """The table of kernels. All methods block."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def all(self) -> list[Remembered]:
        """Return all kernels, the oldest first."""
        with self._store.reading() as connection:
            rows = connection.execute(select(remote_kernels).order_by(remote_kernels.c.started_at)).all()
        return [_remembered(row) for row in rows]

    def get(self, kernel_id: str) -> Remembered | None:
        """Return one kernel."""
        with self._store.reading() as connection:
            return _find(connection, kernel_id)

    def remember(self, kernel: Remembered) -> None:
        """Add a kernel; an existing one keeps its session, its hash and its documented runs."""
        with self._store.transaction() as connection:
            upsert(connection, remote_kernels, _stored(msgspec.structs.asdict(kernel)))

    def change(self, kernel_id: str, **values: Any) -> None:
        """Change columns of a kernel; do nothing when there is no such kernel."""
        with self._store.transaction() as connection:
            connection.execute(
                remote_kernels.update()
                .where(remote_kernels.c.kernel_id == kernel_id)
                .values(**_stored(values))
            )

    def claim(self, kernel_id: str, owner: str, *, of: str | None) -> bool:
        """Give a kernel to ``owner``; False when it no longer belongs to ``of``: another Lab was faster."""
        statement = remote_kernels.update().where(
            remote_kernels.c.kernel_id == kernel_id, remote_kernels.c.owner.is_not_distinct_from(of)
        )
        with self._store.transaction() as connection:
            return connection.execute(statement.values(owner=owner)).rowcount == 1

    def forget(self, kernel_id: str) -> None:
        """Remove a kernel."""
        with self._store.transaction() as connection:
            connection.execute(remote_kernels.delete().where(remote_kernels.c.kernel_id == kernel_id))


def _find(connection: Connection, kernel_id: str) -> Remembered | None:
    row = connection.execute(
        select(remote_kernels).where(remote_kernels.c.kernel_id == kernel_id)
    ).one_or_none()
    return None if row is None else _remembered(row)


def _stored(values: dict[str, Any]) -> dict[str, Any]:
    if "chosen" not in values:
        return values
    return {**values, "chosen": msgspec.json.encode(values["chosen"]).decode()}


def _remembered(row: Row[Any]) -> Remembered:
    values = {str(name): value for name, value in row._mapping.items()}
    chosen = values["chosen"]
    return Remembered(
        **{**values, "chosen": msgspec.json.decode(chosen, type=dict[str, str]) if chosen else {}}
    )
