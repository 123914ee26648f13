"""Opening, migrating and changing the store."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, select, text
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, OperationalError

from ..errors import Failed, Unavailable
from ..locks import locked
from ..paths import on_network
from .tables import idempotency, revisions

HEAD = "0006"
MIGRATIONS = Path(__file__).parent / "migrations"


class Store:
    """SQLAlchemy Core on SQLite (WAL on a local disk, a rollback journal on a network one), or any URL.

    All methods block: call them through a thread. ``set_aside`` names a corrupt file that was moved away
    at opening, for :mod:`genops_lab.doctor` and the panel to tell.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.set_aside: Path | None = None
        self._path = (
            Path(self.url.database)
            if self.url.drivername.startswith("sqlite") and self.url.database
            else None
        )
        if self._path is None:
            self._engine = self._connect()
            self._migrate()
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(self._path.with_suffix(".lock")):
            self._set_aside_if_corrupt(self._path)
            self._engine = self._connect()
            self._migrate()
        self._path.chmod(0o600)

    @staticmethod
    def at(path: Path) -> Store:
        """The store in an SQLite file."""
        return Store(f"sqlite:///{path}")

    @property
    def path(self) -> Path | None:
        """The SQLite file, or None for a database server."""
        return self._path

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _connect(self) -> Engine:
        engine = create_engine(self.url)
        if self._path is not None:
            journal = "DELETE" if on_network(self._path.parent) else "WAL"

            @event.listens_for(engine, "connect")
            def _configure(connection: sqlite3.Connection, _record: Any) -> None:
                connection.isolation_level = None
                connection.execute("PRAGMA busy_timeout = 15000")
                connection.execute(f"PRAGMA journal_mode = {journal}")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA foreign_keys = ON")

            @event.listens_for(engine, "begin")
            def _begin(connection: Connection) -> None:
                # A transaction that reads and then writes must hold the write lock from its start.
                connection.exec_driver_sql("BEGIN IMMEDIATE")

        return engine

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

    def _migrate(self) -> None:
        with self._engine.connect() as connection:
            found = self._version(connection)
        if found == HEAD:
            return
        # Importing alembic costs 155 ms: only when a migration is due.
        from alembic.config import Config
        from alembic.script import ScriptDirectory
        from alembic.util.exc import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        script = ScriptDirectory.from_config(config)
        if found is not None:
            try:
                script.get_revision(found)
            except CommandError as error:
                raise Failed(
                    f"The GenOps store {self.url.render_as_string()} was written by a newer GenOps Lab "
                    f"(revision {found}).",
                    hint="Upgrade genops-lab, or point GenOpsLab.store_url elsewhere.",
                ) from error
        from alembic.runtime.environment import EnvironmentContext

        def upgrade(revision: Any, _context: Any) -> Any:
            return script._upgrade_revs("head", revision)

        with (
            EnvironmentContext(config, script, fn=upgrade) as environment,
            self._engine.begin() as connection,
        ):
            environment.configure(connection=connection, transaction_per_migration=False)
            environment.run_migrations()

    @staticmethod
    def _version(connection: Connection) -> str | None:
        try:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        except DatabaseError:
            return None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction; all of it or nothing. Raises Unavailable when the disk or the lock says no."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except OperationalError as error:
            raise Unavailable(
                f"The GenOps store could not be written: {error.orig}.",
                hint="Free some disk space, or see which process holds the file, then try again.",
            ) from error

    def bump(self, connection: Connection, kind: str) -> int:
        """Count a change of ``kind`` in the same transaction; other processes see it by this number."""
        statement = insert(revisions).values(kind=kind, revision=1)
        statement = statement.on_conflict_do_update(
            index_elements=["kind"], set_={"revision": revisions.c.revision + 1}
        )
        connection.execute(statement)
        return int(
            connection.execute(select(revisions.c.revision).where(revisions.c.kind == kind)).scalar_one()
        )

    def touch(self, kind: str) -> int:
        """Count a change that was made elsewhere than in the store."""
        with self.transaction() as connection:
            return self.bump(connection, kind)

    def revisions(self) -> dict[str, int]:
        """The present revision of each kind."""
        with self.transaction() as connection:
            return {row.kind: int(row.revision) for row in connection.execute(select(revisions))}

    def claim(self, key: str, operation: str, subject: str) -> str | None:
        """Remember an idempotency key. Returns the subject of an earlier claim, or None when it is new."""
        with self.transaction() as connection:
            found = connection.execute(select(idempotency.c.subject).where(idempotency.c.key == key)).scalar()
            if found is not None:
                return str(found)
            connection.execute(
                idempotency.insert().values(
                    key=key, operation=operation, subject=subject, created_at=time.time()
                )
            )
            return None

    def unclaim(self, key: str) -> None:
        """Forget an idempotency key whose work failed, so that the same request can be tried again."""
        with self.transaction() as connection:
            connection.execute(idempotency.delete().where(idempotency.c.key == key))
