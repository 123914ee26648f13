"""Read versions directly from MLflow's database, where its schema is known: SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import time
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genops_lab.experiments.columns.changes import Changes
from genops_lab.experiments.columns.postgres_source import PostgresDatabase
from genops_lab.experiments.columns.snapshot import Snapshot
from genops_lab.experiments.columns.source import SourceKind, UnknownSchema
from genops_lab.experiments.columns.sqlite_source import SqliteFile

from .rows import VersionChanges, VersionRow, id_of, joined

_VERSIONS = (
    "SELECT name, version, creation_time, last_updated_time, description, user_id, current_stage, source, run_id, "
    "status FROM model_versions WHERE coalesce(current_stage, '') != 'Deleted_Internal' AND name NOT IN "
    "(SELECT name FROM registered_model_tags WHERE key = 'mlflow.prompt.is_prompt' AND lower(value) = 'true') "
    "ORDER BY creation_time DESC"
)
_TABLES = ("model_versions", "model_version_tags", "registered_model_aliases", "registered_model_tags")
#: Share of PostgreSQL's time that polling may take.
_SHARE = 0.05


class _VersionTables:
    """The tables of versions. A poll reads all versions again if one of the tables changed."""

    again_s = 0.0
    settled = True
    swept_since: float | None = None
    _seen = ""

    @abstractmethod
    def _all(self, statement: str, *values: Any) -> list[Any]: ...

    @abstractmethod
    def _reading(self) -> contextlib.AbstractContextManager[None]: ...

    @abstractmethod
    def _fingerprint(self) -> str:
        """Return a text that differs after a change of one of the tables."""

    def total(self) -> int | None:
        """Return the number of versions."""
        with self._reading():
            return int(self._all("SELECT count(*) FROM model_versions")[0][0])

    def newest(self, count: int) -> Changes:
        """Return the newest versions."""
        with self._reading():
            return self._read(f"{_VERSIONS} LIMIT {int(count)}")

    def some(self, asked: object) -> None:
        """Return None: all versions are read."""

    def blocks(self) -> Iterator[Changes]:
        """Yield all versions at once."""
        with self._reading():
            self._seen = self._fingerprint()
            yield self._read(_VERSIONS)

    def resume(self, mark: str) -> bool:
        """Return False: reading all versions takes as long as comparing them."""
        return False

    def mark(self) -> str:
        """Return an empty mark."""
        return ""

    def lacks_statistics(self) -> bool:
        """Return False: these reads need no statistics."""
        return False

    def _poll(self, known: Snapshot) -> Changes:
        """Return all versions if one of the tables changed."""
        with self._reading():
            now = self._fingerprint()
            if now == self._seen:
                return Changes()
            changes = self._read(_VERSIONS)
        there = {row[0] for row in changes.runs}
        changes.gone = [id for id in known.ids[: known.rows] if id not in there]
        self._seen = now
        return changes

    def _read(self, statement: str) -> VersionChanges:
        rows = self._all(statement)
        aliases: dict[str, list[str]] = {}
        for name, version, alias in self._all("SELECT name, version, alias FROM registered_model_aliases"):
            aliases.setdefault(id_of(name, version), []).append(alias)
        changes = VersionChanges()
        for row in rows:
            id = id_of(row[0], row[1])
            changes.runs.append(VersionRow._make((id, *row, joined(aliases.get(id, ())))))
        tags = self._all("SELECT name, version, key, coalesce(value, '') FROM model_version_tags")
        changes.put_tags((id_of(name, version), key, value) for name, version, key, value in tags)
        return changes

    def _refuse_workspaces(self, columns: set[str]) -> None:
        """Models of several workspaces may have one name: only MLflow knows which are this user's."""
        if "workspace" in columns and self._all(
            "SELECT 1 FROM registered_models WHERE workspace != 'default' LIMIT 1"
        ):
            raise UnknownSchema("several workspaces")


class SqliteVersions(SqliteFile, _VersionTables):
    """Versions of an SQLite file. ``PRAGMA data_version`` differs after each commit; then digests are compared."""

    kind: SourceKind = "sqlite"
    every_s = 0.4

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self._commits = -1
        try:
            with self._reading():
                self._check()
                self._columns = {
                    table: [row[1] for row in self._all(f"PRAGMA table_info({table})")] for table in _TABLES
                }
                self._refuse_workspaces(set(self._columns["model_versions"]))
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

    def _fingerprint(self) -> str:
        contents = []
        for table, columns in self._columns.items():
            content = " || '|' || ".join(f"coalesce({column}, x'00')" for column in columns)
            contents += self._all(f"SELECT group_concat({content}, x'1e') FROM {table}")[0]  # noqa: S608  # tables named above
        return str(hash(tuple(contents)))


class PostgresVersions(PostgresDatabase, _VersionTables):
    """Versions of a PostgreSQL database. Nothing is read while no transaction writes."""

    kind: SourceKind = "postgresql"

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

    def _fingerprint(self) -> str:
        counted = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {} t"
        return str([list(self._all(counted.format(table))[0]) for table in _TABLES])
