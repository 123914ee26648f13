"""Open, migrate, read and write a database of GenOps Lab: SQLite or PostgreSQL."""

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

#: Time in seconds for which a write waits for others: for SQLite's write lock, or PostgreSQL's locks.
BUSY_S = 15.0
#: SQLSTATEs of PostgreSQL after which a repeated transaction may succeed: serialisation failure, deadlock.
_RUN_AGAIN = ("40001", "40P01")
_NO_RIGHT = "42501"
#: PostgreSQL's advisory lock for migrations ("GOL" and a number).
_MIGRATING = 0x474F4C01
_READING = "genops_reading"
#: Alembic's environment is global in the process.
_ALEMBIC = threading.Lock()


@dataclass(frozen=True)
class Schema:
    """The tables of a store and the folder of their migrations. Names of tables begin with ``prefix``."""

    tables: MetaData
    migrations: Path
    head: str
    prefix: str = ""

    def table(self, name: str) -> Table:
        """Return a table by its name without the prefix."""
        return self.tables.tables[self.prefix + name]


class Store:
    """A database. All methods block: call them in a thread.

    SQLite uses WAL mode on a local disk and a rollback journal on a network file system. Write transactions are
    serialisable. SQLite has one writer at a time. PostgreSQL refuses one of two conflicting transactions, and
    :meth:`run` repeats it. Errors name the database without its password. ``set_aside`` is the path of a corrupt file
    that was renamed when the store was opened.
    """

    schema: ClassVar[Schema]
    #: The store's name in errors, and the hint for a store of a newer version.
    title: ClassVar[str]
    newer_hint: ClassVar[str]

    def __init__(self, url: URL) -> None:
        self.url = url
        self.set_aside: Path | None = None
        #: Owner and team of this process's rows in a shared store.
        self.whose: dict[str, str] = {}
        self.path = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
        self._opening = threading.Lock()
        self._engine: Engine | None = None
        self._reader: Engine | None = None

    @property
    def place(self) -> str:
        """The SQLite file, or the server and name of the database."""
        if self.path is not None:
            return str(self.path)
        host = self.url.host or self.url.query.get("host", "localhost")
        return f"PostgreSQL {host}{f':{self.url.port}' if self.url.port else ''}/{self.url.database or ''}"

    def open(self) -> Engine:
        """Connect and migrate the tables once. Raises Unavailable, and Failed for a store of a newer version."""
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
        """Begin a write transaction. Raises Unavailable: full disk, lock timeout, no answer of the server."""
        with self._explained("written"), self.open().begin() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Begin a read transaction: a snapshot that neither waits for writers nor blocks them. Raises Unavailable."""
        self.open()
        assert self._reader is not None
        with self._explained("read"), self._reader.begin() as connection:
            yield connection

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a write transaction, again after a serialisation failure of PostgreSQL.

        ``work`` may be called several times, so it must change only the database.
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
        """Increase the revision of ``kind`` in a transaction and return it; other processes notice changes by it."""
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
        """Increase the revision of ``kind`` for a change outside the store and return it."""
        return self.run(lambda connection: self.bump(connection, kind))

    def revisions(self) -> dict[str, int]:
        """Return the current revision of each kind."""
        with self.reading() as connection:
            rows = connection.execute(select(self.schema.table("revisions")))
            return {row.kind: int(row.revision) for row in rows}

    def claim(self, key: str, operation: str, subject: str) -> str | None:
        """Store an idempotency key. Return None if the key is new, else the subject of the earlier claim."""
        return self.run(lambda connection: self.claim_in(connection, key, operation, subject))

    def claim_in(self, connection: Connection, key: str, operation: str, subject: str) -> str | None:
        """Do the same as :meth:`claim` in an open transaction."""
        table = self.schema.table("idempotency")
        claimed = {"key": key, "operation": operation, "subject": subject, "created_at": time.time()}
        if upsert(connection, table, claimed | self.whose):
            return None
        return str(connection.execute(select(table.c.subject).where(self._is_claim(key))).scalar_one())

    def unclaim(self, key: str) -> None:
        """Delete an idempotency key whose request failed, so that it can be repeated."""
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
        hint = "Check that the database server runs and accepts this user, then try again."
        if sqlstate(error) in _RUN_AGAIN:
            hint = "Another change came first. Try again."
        elif self.path is not None:
            hint = "Free some disk space, or check which process uses the file, then try again."
        where = "" if self.path is not None else f" ({self.place})"
        return Unavailable(f"{self.title}{where} cannot be {done}: {reason.rstrip('.')}.", hint=hint)

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
            engine.dispose()  # the next open makes its own connections
            raise
        return engine

    def _opened(self, engine: Engine) -> None:
        """Called at opening, while other processes that open the file wait."""

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
                # A transaction that reads and then writes needs the write lock from its start.
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
        # Importing alembic costs 155 ms: import it only for a migration.
        from alembic.config import Config
        from alembic.runtime.environment import EnvironmentContext
        from alembic.script import ScriptDirectory
        from alembic.util.exc import CommandError

        config = Config()
        config.set_main_option("script_location", str(self.schema.migrations))
        script = ScriptDirectory.from_config(config)
        # Read committed on PostgreSQL: tables that another server made while this one waited must be visible.
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
    """Return an engine for PostgreSQL with serialisable transactions. Raises Failed without a driver."""
    # Give up after some seconds on a network that drops all packets.
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
            # Many Labs share the server: an idle one keeps one connection.
            pool_size=1,
            max_overflow=4,
            pool_timeout=BUSY_S,
            pool_pre_ping=True,
            connect_args={name: value for name, value in known.items() if name not in url.query},
        )
    except ImportError as error:
        raise Failed(
            f"GenOpsLab.store_url is a PostgreSQL database, and its driver is not installed: {error}.",
            hint="Install the driver: pip install 'genops-lab[postgresql]'",
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
    """Insert a row. If its primary key exists, apply ``change``, or without it leave the row and return False."""
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
    """Return the version of the store's tables; None if there are no tables."""
    if not inspect(connection).has_table(table):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {table}")).scalar()  # noqa: S608
    return None if found is None else str(found)


def sqlstate(error: BaseException | None) -> str:
    """Return PostgreSQL's code of an error; empty without one."""
    cause = getattr(error, "orig", None)
    return str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or "")
