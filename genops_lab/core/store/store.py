"""A database of GenOps Lab, SQLite or PostgreSQL: opened, migrated, read and changed."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    Table,
    create_engine,
    event,
    inspect,
    select,
    text,
)  # fmt: skip
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError
from sqlalchemy.sql.dml import Insert

from ..errors import Failed, Unavailable
from ..locks import locked
from ..paths import on_network

T = TypeVar("T")

#: So long does a change wait for others: SQLite for the write lock, PostgreSQL for a row or for its turn.
BUSY_S = 15.0
#: SQLSTATEs of PostgreSQL after which the same unit of work may succeed: serialisation failure, deadlock.
_RUN_AGAIN = ("40001", "40P01")
_NO_RIGHT = "42501"
#: Of PostgreSQL's advisory locks, the one under which tables are made ("GOL" and a number).
_MIGRATING = 0x474F4C01
_READING = "genops_reading"
#: What migrations call is one for the whole process.
_ALEMBIC = threading.Lock()


@dataclass(frozen=True)
class Schema:
    """The tables of a store, and the folder of the migrations that make them. ``prefix`` begins their names."""

    tables: MetaData
    migrations: Path
    head: str
    prefix: str = ""

    def table(self, name: str) -> Table:
        """Return a table by its name without the prefix."""
        return self.tables.tables[self.prefix + name]


class Store:
    """A database. Its methods block: call them through a thread.

    SQLite is in WAL mode on a local disk, with a rollback journal on a network one. A write transaction is serialisable
    in both databases: SQLite has one writer at a time, PostgreSQL refuses one of two that contradict each other, and
    :meth:`run` runs that one again. Errors name the database without its password. ``set_aside`` names a corrupt file
    that was moved away at opening.
    """

    schema: ClassVar[Schema]
    #: how errors call it, and what to do where a newer version wrote it
    title: ClassVar[str]
    newer_hint: ClassVar[str]

    def __init__(self, url: URL) -> None:
        self.url = url
        self.set_aside: Path | None = None
        #: owner and team of this process's rows, in a store that others share
        self.whose: dict[str, str] = {}
        self.path = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
        self._opening = threading.Lock()
        self._engine: Engine | None = None
        self._reader: Engine | None = None

    @property
    def place(self) -> str:
        """Where the database is: the SQLite file, or the server and the database's name."""
        if self.path is not None:
            return str(self.path)
        host = self.url.host or self.url.query.get("host", "localhost")
        return f"PostgreSQL {host}{f':{self.url.port}' if self.url.port else ''}/{self.url.database or ''}"

    def open(self) -> Engine:
        """Connect, and make or migrate the tables, if not done. Raises Unavailable, Failed where it is newer."""
        with self._opening:
            if self._engine is None:
                with self._explained("opened"):
                    engine = self._open()
                options: dict[str, Any] = {_READING: True}
                if self.path is None:
                    options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
                self._engine, self._reader = engine, engine.execution_options(**options)
            return self._engine

    def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            self._engine.dispose()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction; all of it or nothing. Raises Unavailable: the disk, the lock or the server says no."""
        with self._explained("written"), self.open().begin() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read that sees one moment, waits for no writer and holds up none. Raises Unavailable."""
        self.open()
        assert self._reader is not None
        with self._explained("read"), self._reader.begin() as connection:
            yield connection

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run a unit of work in a write transaction, again where PostgreSQL gave another writer precedence.

        ``work`` may be called several times, so it changes nothing but the database.
        """
        until, wait = time.monotonic() + BUSY_S, 0.005
        while True:
            try:
                with self.transaction() as connection:
                    return work(connection)
            except Unavailable as error:
                if sqlstate(error.__cause__) not in _RUN_AGAIN or time.monotonic() > until:
                    raise
            time.sleep(random.uniform(0, wait))  # noqa: S311
            wait = min(wait * 2, 0.1)

    def bump(self, connection: Connection, kind: str) -> int:
        """Count a change of ``kind`` in the same transaction; other processes see it by this number."""
        revisions = self.schema.table("revisions")
        upsert(
            connection,
            revisions,
            {"kind": kind, "revision": 1},
            change={"revision": revisions.c.revision + 1},
        )
        return int(
            connection.execute(select(revisions.c.revision).where(revisions.c.kind == kind)).scalar_one()
        )

    def touch(self, kind: str) -> int:
        """Count a change that was made elsewhere than in the store."""
        return self.run(lambda connection: self.bump(connection, kind))

    def revisions(self) -> dict[str, int]:
        """The present revision of each kind."""
        with self.reading() as connection:
            rows = connection.execute(select(self.schema.table("revisions")))
            return {row.kind: int(row.revision) for row in rows}

    def claim(self, key: str, operation: str, subject: str) -> str | None:
        """Remember an idempotency key. Returns the subject of an earlier claim, or None when the key is new."""
        return self.run(lambda connection: self.claim_in(connection, key, operation, subject))

    def claim_in(self, connection: Connection, key: str, operation: str, subject: str) -> str | None:
        """Do as :meth:`claim`, in a transaction that does more."""
        table = self.schema.table("idempotency")
        claimed = {"key": key, "operation": operation, "subject": subject, "created_at": time.time()}
        if upsert(connection, table, claimed | self.whose):
            return None
        return str(connection.execute(select(table.c.subject).where(self._is_claim(key))).scalar_one())

    def unclaim(self, key: str) -> None:
        """Forget an idempotency key whose work failed, so that the same request can be tried again."""
        table = self.schema.table("idempotency")
        self.run(lambda connection: connection.execute(table.delete().where(self._is_claim(key))))

    def _is_claim(self, key: str) -> ColumnElement[bool]:
        table = self.schema.table("idempotency")
        mine = table.c.key == key
        return mine & (table.c.owner == self.whose["owner"]) if self.whose else mine

    @contextlib.contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError, TimeoutError) as error:
            raise self._unavailable(error, done) from error
        except DBAPIError as error:
            if sqlstate(error) != _NO_RIGHT:
                raise
            raise self._unavailable(error, done) from error

    def _unavailable(self, error: Exception, done: str) -> Unavailable:
        reason = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()[0]
        for secret in (self.url.password, self.url.query.get("password")):
            if secret:
                reason = reason.replace(str(secret), "***")
        hint = "See that the database server runs and lets this user in, then try again."
        if sqlstate(error) in _RUN_AGAIN:
            hint = "Another change came first: try again."
        elif self.path is not None:
            hint = "Free some disk space, or see which process holds the file, then try again."
        where = "" if self.path is not None else f" ({self.place})"
        return Unavailable(f"{self.title}{where} could not be {done}: {reason.rstrip('.')}.", hint=hint)

    def _open(self) -> Engine:
        if self.path is None:
            return self._migrated()
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(self.path.with_suffix(".lock")):
            self._set_aside_if_corrupt(self.path)
            engine = self._migrated()
        self.path.chmod(0o600)
        return engine

    def _migrated(self) -> Engine:
        engine = self._connect()
        try:
            self._migrate(engine)
            self._opened(engine)
        except BaseException:
            engine.dispose()  # the next opening has connections of its own
            raise
        return engine

    def _opened(self, engine: Engine) -> None:
        """What else is done at an opening, while other processes that open the file wait."""

    def _connect(self) -> Engine:
        if self.path is not None:
            engine = create_engine(self.url, hide_parameters=True)
            journal = "DELETE" if on_network(self.path.parent) else "WAL"

            @event.listens_for(engine, "connect")
            def _configure(connection: sqlite3.Connection, _record: Any) -> None:
                connection.isolation_level = None
                connection.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000:.0f}")
                connection.execute(f"PRAGMA journal_mode = {journal}")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA foreign_keys = ON")

            @event.listens_for(engine, "begin")
            def _begin(connection: Connection) -> None:
                # A transaction that reads and then writes must hold the write lock from its start.
                reads = connection.get_execution_options().get(_READING, False)
                connection.exec_driver_sql(f"PRAGMA query_only = {int(reads)}")
                connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

            return engine
        return connect_to_server(self.url)

    def _set_aside_if_corrupt(self, path: Path) -> None:
        if not path.exists() or path.stat().st_size == 0:
            return
        try:
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                return
            verdict = str(error)
        if verdict == "ok":
            return
        aside = path.with_name(f"{path.name}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}")
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            side = path.with_name(path.name + suffix)
            if side.exists():
                side.rename(aside.with_name(aside.name + suffix))
        self.set_aside = aside

    def _migrate(self, engine: Engine) -> None:
        with engine.execution_options(**{_READING: True}).begin() as connection:
            if self._version(connection) == self.schema.head:
                return
        # Importing alembic costs 155 ms: only when a migration is due.
        from alembic.config import Config
        from alembic.runtime.environment import EnvironmentContext
        from alembic.script import ScriptDirectory
        from alembic.util.exc import CommandError

        config = Config()
        config.set_main_option("script_location", str(self.schema.migrations))
        script = ScriptDirectory.from_config(config)
        # Not serialisable on PostgreSQL: what another server made while this one waited must be seen.
        options = {} if self.path is not None else {"isolation_level": "READ COMMITTED"}
        with engine.execution_options(**options).begin() as connection:
            if self.path is None:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
            found = self._version(connection)
            if found is not None:
                try:
                    script.get_revision(found)
                except CommandError as error:
                    raise Failed(
                        f"{self.title} {self.place} was written by a newer GenOps Lab (revision {found}).",
                        hint=self.newer_hint,
                    ) from error

            def upgrade(revision: Any, _context: Any) -> Any:
                return script._upgrade_revs(self.schema.head, revision)

            with _ALEMBIC, EnvironmentContext(config, script, fn=upgrade) as environment:
                environment.configure(
                    connection=connection,
                    transaction_per_migration=False,
                    version_table=f"{self.schema.prefix}alembic_version",
                )
                environment.run_migrations()

    def _version(self, connection: Connection) -> str | None:
        return version_in(connection, f"{self.schema.prefix}alembic_version")


def connect_to_server(url: URL) -> Engine:
    """Return an engine of a PostgreSQL whose transactions are serialisable. Raises Failed without a driver."""
    # A server behind a network that drops everything is given up within seconds.
    known: dict[str, Any] = {
        "connect_timeout": 5,
        "tcp_user_timeout": 10_000,
        "application_name": "genops-lab",
    }
    known |= {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
    try:
        engine = create_engine(
            url,
            hide_parameters=True,
            isolation_level="SERIALIZABLE",
            # Many users' Labs share the server: one that is idle keeps one connection.
            pool_size=1,
            max_overflow=4,
            pool_timeout=BUSY_S,
            pool_pre_ping=True,
            connect_args={name: value for name, value in known.items() if name not in url.query},
        )
    except ImportError as error:
        raise Failed(
            f"GenOpsLab.store_url names a PostgreSQL, and no driver for it is installed: {error}.",
            hint="Install it with: pip install 'genops-lab[postgresql]'",
        ) from error

    @event.listens_for(engine, "connect")
    def _bound(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {BUSY_S * 1000:.0f}")
        connection.commit()

    return engine


def upsert(
    connection: Connection,
    table: Table,
    values: Mapping[str, Any],
    *,
    change: Mapping[str, Any] | None = None,
) -> bool:
    """Insert a row. Where its primary key is taken, make these changes there, or leave it. False: it was left."""
    statement: Any = _insert(connection, table).values(**values)
    keys = list(table.primary_key.columns)
    if change:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=dict(change))
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    return connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount == 1


def _insert(connection: Connection, table: Table) -> Insert:
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def version_in(connection: Connection, table: str) -> str | None:
    """The revision that the store's tables have; None where there are none."""
    if not inspect(connection).has_table(table):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {table}")).scalar()  # noqa: S608
    return None if found is None else str(found)


def sqlstate(error: BaseException | None) -> str:
    """PostgreSQL's code for what went wrong; empty without one."""
    cause = getattr(error, "orig", None)
    return str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or "")
