"""Read versions directly from MLflow's database, where its schema is known: SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from genops_lab.experiments.columns.changes import Changes
from genops_lab.experiments.columns.postgres_source import PostgresDatabase
from genops_lab.experiments.columns.snapshot import Snapshot
from genops_lab.experiments.columns.source import SourceKind, UnknownSchema
from genops_lab.experiments.columns.sqlite_source import SqliteFile

from .rows import VersionChanges

#: In the order of :data:`rows.FIELDS`.
_COLUMNS = (
    "name, version, creation_time, last_updated_time, "
    "description, user_id, current_stage, source, run_id, status"
)
_VERSIONS = (
    "SELECT {} FROM model_versions WHERE coalesce(current_stage, '') != 'Deleted_Internal' AND name NOT IN "
    "(SELECT name FROM registered_model_tags WHERE key = 'mlflow.prompt.is_prompt' AND lower(value) = 'true') "
    "ORDER BY creation_time DESC"
)
_ALL = _VERSIONS.format(_COLUMNS)
_ALIASES = "SELECT name, version, alias FROM registered_model_aliases"
_TAGS = "SELECT name, version, key, coalesce(value, '') FROM model_version_tags"
_TAGS_OF = (
    "SELECT t.name, t.version, t.key, coalesce(t.value, '') FROM ({}) newest JOIN model_version_tags t "
    "ON t.name = newest.name AND t.version = newest.version"
)
#: Tables whose changes PostgreSQL is asked for.
_TABLES = ("model_versions", "model_version_tags", "registered_model_aliases", "registered_model_tags")
#: Share of PostgreSQL's time that polling may take.
_SHARE = 0.05


class _VersionTables:
    """The tables of versions. A poll reports all versions if one of the tables changed."""

    again_s = 0.0
    settled = True
    swept_since: float | None = None
    #: The column that names a row of a table.
    _row_id: ClassVar[str]
    #: Differs after each change of what is read; saved with the versions.
    _seen = ""

    @abstractmethod
    def _all(self, statement: str, *values: Any) -> list[Any]: ...

    @abstractmethod
    def _reading(self) -> contextlib.AbstractContextManager[None]: ...

    @abstractmethod
    def _changed(self) -> VersionChanges | None:
        """Return all versions, and note what was seen; None if nothing changed since."""

    def total(self) -> int | None:
        """Return the number of versions."""
        with self._reading():
            return int(self._all("SELECT count(*) FROM model_versions")[0][0])

    def newest(self, count: int) -> Changes:
        """Return the newest versions."""
        # Only the ids are sorted: of all columns it would take three times as long.
        newest, rest = f"{_VERSIONS} LIMIT {int(count)}", "ORDER BY creation_time DESC"
        ids = newest.format(self._row_id)
        rows = f"SELECT {_COLUMNS} FROM model_versions WHERE {self._row_id} IN ({ids}) {rest}"  # noqa: S608
        with self._reading():
            tags = self._all(_TAGS_OF.format(newest.format("name, version")))
            return VersionChanges(self._all(rows), self._all(_ALIASES), tags)

    def some(self, asked: object) -> None:
        """Return None: all versions are read."""

    def blocks(self) -> Iterator[Changes]:
        """Yield all versions at once."""
        self._seen = ""
        with self._reading():
            yield self._changed() or VersionChanges()

    def resume(self, mark: str) -> bool:
        """Return whether these versions were read before: the next :meth:`poll` compares them with the store."""
        self._seen = mark
        return bool(mark)

    def mark(self) -> str:
        """Return what was seen last."""
        return self._seen

    def lacks_statistics(self) -> bool:
        """Return False: these reads need no statistics."""
        return False

    def _poll(self, known: Snapshot) -> Changes:
        """Return all versions if one of the tables changed."""
        with self._reading():
            changes = self._changed()
        if changes is None:
            return Changes()
        there = set(changes.ids)
        changes.gone = [id for id in known.ids[: known.rows] if id not in there]
        return changes

    def _tables(self) -> tuple[list[Any], list[Any], list[Any]]:
        return self._all(_ALL), self._all(_ALIASES), self._all(_TAGS)

    def _refuse_workspaces(self, columns: set[str]) -> None:
        """Models of several workspaces may have one name: only MLflow knows which are this user's."""
        if "workspace" in columns and self._all(
            "SELECT 1 FROM registered_models WHERE workspace != 'default' LIMIT 1"
        ):
            raise UnknownSchema("several workspaces")


class SqliteVersions(SqliteFile, _VersionTables):
    """Versions of an SQLite file. ``PRAGMA data_version`` differs after each commit; then all are read and compared."""

    kind: SourceKind = "sqlite"
    _row_id = "rowid"
    every_s = 0.4

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self._commits = -1
        try:
            with self._reading():
                self._check()
                self._refuse_workspaces({row[1] for row in self._all("PRAGMA table_info(model_versions)")})
        except BaseException:
            self.close()
            raise

    def identity(self) -> str:
        """Return the file."""
        return json.dumps(["sqlite", str(self._file)])

    def poll(self, known: Snapshot, touched: frozenset[str]) -> Changes:
        """Return all versions if one of the tables changed."""
        self._same_file()
        commits = self._version()
        if commits == self._commits and not touched:
            return Changes()
        changes = self._poll(known)
        self._commits = commits
        return changes

    def _changed(self) -> VersionChanges | None:
        tables = self._tables()
        # The statement is a part of it: saved versions have the columns that another release read.
        digest = hashlib.blake2b(msgspec.msgpack.encode((_ALL, tables)), digest_size=16).hexdigest()
        if digest == self._seen:
            return None
        self._seen = digest
        return VersionChanges(*tables)


class PostgresVersions(PostgresDatabase, _VersionTables):
    """Versions of a PostgreSQL database. Nothing is read while no transaction writes."""

    kind: SourceKind = "postgresql"
    _row_id = "ctid"

    def __init__(self, uri: str, every_s: float = 1.0) -> None:
        super().__init__(uri)
        self.every_s = self._least_every_s = every_s
        self._snapshot = ""
        try:
            with self._reading():
                found = self._all(
                    "SELECT column_name FROM information_schema.columns WHERE table_name = 'model_versions'"
                )
                self._refuse_workspaces({row[0] for row in found})
        except BaseException:
            self.close()
            raise

    def identity(self) -> str:
        """Return the database."""
        with self._reading():
            found = self._all("SELECT oid::bigint FROM pg_database WHERE datname = current_database()")
        return json.dumps(["postgresql", *map(list, found)])

    def poll(self, known: Snapshot, touched: frozenset[str]) -> Changes:
        """Return all versions if one of the tables changed."""
        begun = time.monotonic()
        with self._reading():
            snapshot, _ = self._now()
        if snapshot == self._snapshot and not touched:
            return Changes()
        changes = self._poll(known)
        self._snapshot = snapshot
        self.every_s = max(self._least_every_s, (time.monotonic() - begun) / _SHARE)
        return changes

    def _changed(self) -> VersionChanges | None:
        counted = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {} t"
        digest = str([_ALL, *(list(self._all(counted.format(table))[0]) for table in _TABLES)])
        if digest == self._seen:
            return None
        changes = VersionChanges(*self._tables())
        self._seen = digest
        return changes
