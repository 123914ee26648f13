"""Read and write the store's table of deployments."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, select

from genops_lab.core.errors import NotFound
from genops_lab.core.paging import Page, PageQuery
from genops_lab.core.store import LocalStore, post
from genops_lab.core.store.keyset import page_of
from genops_lab.core.store.shared_tables import deployment_specs
from genops_lab.core.store.tables import deployments, idempotency, model_hashes
from genops_lab.experiments.query.errors import did_you_mean

from .live_scorers import Scored
from .record import CallerKey, KnownRevision, Record, name_in_use, update_in_progress
from .tracing_settings import Traced

#: How many earlier revisions one can go back to.
KEPT_EARLIER = 4


def as_it_is(record: Record) -> Record:
    """Return the record without other settings."""
    return record


class KeyUsed(Exception):
    """Another request has used this idempotency key meanwhile."""


class Records:
    """The table of deployments. All methods block."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def all(self) -> list[Record]:
        """Return all deployments, newest first."""
        with self._store.reading() as connection:
            rows = connection.execute(select(deployments).order_by(deployments.c.created_at.desc()))
            return [_record(row) for row in rows]

    def page(self, query: PageQuery) -> Page[Record]:
        """Return a page of deployments, newest first."""
        with self._store.reading() as connection:
            at, id = deployments.c.created_at, deployments.c.name
            return page_of(connection, select(deployments), at, id, query, _record)

    def get(self, name: str) -> Record:
        """Return a deployment. Raises NotFound."""
        with self._store.reading() as connection:
            row = connection.execute(select(deployments).where(deployments.c.name == name)).one_or_none()
            if row is None:
                raise _missing(name, connection.execute(select(deployments.c.name)).scalars())
        return _record(row)

    def target_of(self, name: str) -> str:
        """Return the target of a deployment; empty for an unknown one."""
        with self._store.reading() as connection:
            found = connection.execute(
                select(deployments.c.target).where(deployments.c.name == name)
            ).scalar()
        return str(found or "")

    def on_target(self, target: str) -> list[str]:
        """Return the names of the deployments on a target."""
        with self._store.reading() as connection:
            found = connection.execute(
                select(deployments.c.name).where(deployments.c.target == target)
            ).scalars()
            return sorted(found)

    def find(self, name: str) -> Record | None:
        """Return a deployment, or None."""
        with self._store.reading() as connection:
            row = connection.execute(select(deployments).where(deployments.c.name == name)).one_or_none()
        return None if row is None else _record(row)

    def keyed(self, key: str) -> Record | None:
        """Return the deployment that was begun with this idempotency key."""
        if not key:
            return None
        with self._store.reading() as connection:
            name = connection.execute(
                select(idempotency.c.subject).where(idempotency.c.key == _stored(key))
            ).scalar()
            row = connection.execute(select(deployments).where(deployments.c.name == name)).one_or_none()
            return None if row is None else _record(row)

    def begin(
        self,
        connection: Connection,
        record: Record,
        key: str,
        settings: Callable[[Record], Record] = as_it_is,
    ) -> None:
        """Insert a record with its ``settings`` and its idempotency key.

        Raises KeyUsed, and Conflict for a name in use.
        """
        if key and self._store.claim_in(connection, _stored(key), "deploy", record.name) is not None:
            raise KeyUsed
        row = connection.execute(select(deployments).where(deployments.c.name == record.name)).one_or_none()
        if row is not None:
            found = _record(row)
            if found.active:
                raise name_in_use(found)
            connection.execute(deployments.delete().where(deployments.c.name == record.name))
            number = max(record.revision, found.generation + 1)
            record = msgspec.structs.replace(record, revision=number, generation=number)
            record = _continued(record, found)
        record = settings(record)
        connection.execute(deployments.insert().values(**msgspec.to_builtins(record)))
        _publish(connection, record)

    def begin_update(
        self,
        connection: Connection,
        seen: Record,
        update: KnownRevision,
        key: str,
        settings: Callable[[Record], Record] = as_it_is,
    ) -> None:
        """Note that a revision is about to become the current one. Raises KeyUsed, and Conflict for a change meanwhile.

        A deployment that has ended begins again with it.
        """
        if key and self._store.claim_in(connection, _stored(key), "deploy", seen.name) is not None:
            raise KeyUsed
        row = connection.execute(select(deployments).where(_is(seen))).one_or_none()
        found = None if row is None else _record(row)
        if found is None or found.generation != seen.generation or found.wanted.update is not None:
            raise update_in_progress(seen.name)
        others = [each for each in found.revisions if each.id != update.id]
        listed = sorted([*others, update], key=lambda each: each.number)
        if found.active:
            found = found.with_wanted(revisions=listed, update=update.id, note="")
        else:
            found = _current(found.with_wanted(revisions=listed, update=None, note=""), update)
            message = "Starting the revision again."
            found = msgspec.structs.replace(found, state="preparing", message=message, hint="")
        found = settings(found)
        lease_until = max(found.lease_until, time.time() + found.wanted.lease_s)
        values = {"generation": found.generation + 1, "lease_until": lease_until}
        values = msgspec.to_builtins(found) | values
        connection.execute(deployments.update().where(_is(seen)).values(**values))
        _publish(connection, found)

    def end_update(self, record: Record, revision: int, *, done: bool, note: str = "") -> Record:
        """Make the revision of an update the current one or, if it is not ``done``, keep the ``note`` of its end.

        Repeating this changes nothing. Raises NotFound if the deployment was deleted.
        """
        with self._store.transaction() as connection:
            row = connection.execute(select(deployments).where(_is(record))).one_or_none()
            if row is None:
                raise _missing(record.name)
            found = _record(row)
            update = found.known(revision)
            if found.wanted.update == revision and update is not None:
                if done:
                    # The one that serves until now may be older than all others, after a way back.
                    others = [each for each in found.revisions if each.id != revision]
                    others.sort(key=lambda each: (each.id == found.revision, each.number))
                    kept = sorted([*others[-KEPT_EARLIER:], update], key=lambda each: each.number)
                    found = _current(found.with_wanted(revisions=kept, update=None, note=""), update)
                    # The revision before may have failed meanwhile.
                    found = msgspec.structs.replace(found, state="running", message="", hint="")
                else:
                    found = found.with_wanted(update=None, note=note)
                found = msgspec.structs.replace(found, generation=found.generation + 1)
                values = msgspec.to_builtins(found)
                connection.execute(deployments.update().where(_is(record)).values(**values))
                _publish(connection, found)
        return found

    def change_settings(
        self, connection: Connection, seen: Record, settings: Callable[[Record], Record]
    ) -> None:
        """Write settings. Raises Conflict for a change meanwhile."""
        row = connection.execute(select(deployments).where(_is(seen))).one_or_none()
        found = None if row is None else _record(row)
        if found is None or found.generation != seen.generation or found.wanted.update is not None:
            raise update_in_progress(seen.name)
        found = settings(msgspec.structs.replace(found, generation=found.generation + 1))
        values = {"spec": found.spec, "generation": found.generation}
        connection.execute(deployments.update().where(_is(seen)).values(**values))
        _publish(connection, found)

    def change_keys(self, record: Record, change: Callable[[list[CallerKey]], list[CallerKey]]) -> Record:
        """Replace the named keys by what ``change`` makes of them."""
        with self._store.transaction() as connection:
            row = connection.execute(select(deployments).where(_is(record))).one_or_none()
            if row is None:
                raise _missing(record.name)
            found = _record(row)
            found = found.with_wanted(keys=change(found.wanted.keys))
            found = msgspec.structs.replace(found, generation=found.generation + 1)
            connection.execute(
                deployments.update().where(_is(record)).values(spec=found.spec, generation=found.generation)
            )
        return found

    def change_traces(self, record: Record, traces: Traced | None) -> None:
        """Write which requests become traces: the target is not asked for it. Raises NotFound."""
        self._change_wanted(record, traces=traces)

    def change_scored(self, record: Record, scored: Scored | None) -> None:
        """Write which scorers look at the traces. Raises NotFound."""
        self._change_wanted(record, scored=scored)

    def _change_wanted(self, record: Record, **changes: Any) -> None:
        with self._store.transaction() as connection:
            row = connection.execute(select(deployments).where(_is(record))).one_or_none()
            if row is None:
                raise _missing(record.name)
            spec = _record(row).with_wanted(**changes).spec
            connection.execute(deployments.update().where(_is(record)).values(spec=spec))

    def change(self, record: Record, *, asks: bool = False, **changes: Any) -> Record:
        """Write changes. Raises NotFound if another deployment has the name by now.

        ``asks`` increases the generation: the target is about to be asked for the changes.
        """
        if asks:
            changes["generation"] = deployments.c.generation + 1
        with self._store.transaction() as connection:
            connection.execute(deployments.update().where(_is(record)).values(**changes))
            row = connection.execute(select(deployments).where(_is(record))).one_or_none()
        if row is None:
            raise _missing(record.name)
        return _record(row)

    def observe(self, record: Record, **changes: Any) -> Record:
        """Write an observed state, unless the state in the store differs from ``record``."""
        with self._store.transaction() as connection:
            connection.execute(
                deployments.update().where(_is(record), deployments.c.state == record.state).values(**changes)
            )
        return self.get(record.name)

    def delete(self, record: Record) -> None:
        """Delete a deployment, unless another one has its name by now."""
        with self._store.transaction() as connection:
            if connection.execute(deployments.delete().where(_is(record))).rowcount:
                post(connection, deployment_specs, {"name": record.name}, remove=True)


def _continued(record: Record, found: Record) -> Record:
    """Return the record of a new start with the earlier revisions and the keys of the deployment that has ended."""
    ordered = sorted(found.revisions, key=lambda each: (each.id == found.revision, each.number))
    earlier = sorted(ordered[-KEPT_EARLIER:], key=lambda each: each.number)
    now = record.revisions[-1]
    again = msgspec.structs.replace(now, id=record.revision, number=max(each.number for each in earlier) + 1)
    kept = found.wanted
    return record.with_wanted(
        revisions=[*earlier, again], keys=kept.keys, warm_s=kept.warm_s, memory_bytes=kept.memory_bytes,
        gpus=kept.gpus,
        described=kept.described, https=kept.https, traces=kept.traces, scored=kept.scored,
    )  # fmt: skip


def _current(record: Record, revision: KnownRevision) -> Record:
    record = record.with_wanted(allow_pickle=revision.allow_pickle)
    return msgspec.structs.replace(
        record, revision=revision.id, model=revision.model, version=revision.version
    )


def _publish(connection: Connection, record: Record) -> None:
    columns = ("name", "model", "version", "created_at", "spec")
    shown = record.with_wanted(keys=[])
    post(connection, deployment_specs, {each: getattr(shown, each) for each in columns})


def _stored(key: str) -> str:
    """Return the key as stored: a hash, because clients choose keys of any length."""
    return hashlib.sha256(f"deploy:{key}".encode()).hexdigest()


def _is(record: Record) -> ColumnElement[bool]:
    """Select the row of this record, unless another deployment has its name by now."""
    return (deployments.c.name == record.name) & (deployments.c.created_at == record.created_at)


def _missing(name: str, known: Iterable[str] = ()) -> NotFound:
    hint = f"{did_you_mean(name, known)} List the deployments: genops deployments list".strip()
    return NotFound(f"There is no deployment {name!r}.", hint=hint)


def _record(row: Row[Any]) -> Record:
    return Record(**dict(row._mapping))


def run_that_recorded(store: LocalStore, digest: str) -> str | None:
    """Return the id of the run that recorded this digest, or None. Blocks."""
    with store.reading() as connection:
        found = connection.execute(
            select(model_hashes.c.run_id).where(model_hashes.c.digest == digest)
        ).scalar()
    return None if found is None else str(found)
