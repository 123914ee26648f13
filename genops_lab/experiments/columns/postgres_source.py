"""Read runs directly from MLflow's PostgreSQL, in read-only transactions."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from genops_lab.core.errors import Unavailable

from .changes import Changes, ExperimentRow, RunRow
from .narrowing import Narrowed, Part, part_of
from .snapshot import Snapshot
from .source import FullReadNeeded, SourceKind, UnknownSchema, refuse_unknown

if TYPE_CHECKING:
    from sqlalchemy import Connection

BLOCK = 2000
#: Row versions are compared modulo 2^32; older ones are read again instead.
_TOO_OLD = 1_000_000_000
#: Share of the server's time that polling, which reads whole tables, may take.
_SHARE = 0.05

_RUN = (
    "SELECT run_uuid, name, status, start_time, end_time, lifecycle_stage, experiment_id::text, user_id, artifact_uri "
    "FROM runs WHERE run_uuid = ANY(%s)"
)
_OF_RUNS = "SELECT j.place, m.key, {} FROM unnest(%s::int[], %s::text[]) j(place, run) JOIN {} m ON m.run_uuid = j.run"
_CHANGED = "SELECT DISTINCT run_uuid FROM {} WHERE age(xmin) <= age(%s::text::xid)"
_TABLES = ("runs", "tags", "params", "latest_metrics")


class PostgresDatabase:
    """MLflow's PostgreSQL, opened for reading. ``uri`` is in SQLAlchemy's form, as MLflow takes it."""

    def __init__(self, uri: str) -> None:
        from sqlalchemy import create_engine
        from sqlalchemy.exc import NoSuchModuleError
        from sqlalchemy.pool import NullPool

        try:
            engine = create_engine(
                uri,
                poolclass=NullPool,
                execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
            )
        except (ImportError, NoSuchModuleError) as error:
            raise UnknownSchema(f"no driver: {error}") from error
        with postgres_errors():
            self._connection: Connection = engine.connect()
        try:
            with postgres_errors(), self._reading():
                self._check()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        with postgres_errors():
            self._connection.close()

    def _now(self) -> tuple[str, int]:
        """Return the visible transactions, and the oldest one that may not have ended."""
        row = self._all(
            "SELECT s::text, txid_snapshot_xmin(s) FROM (SELECT txid_current_snapshot() AS s) AS now"
        )[0]
        return str(row[0]), int(row[1])

    def _check(self) -> None:
        from sqlalchemy.exc import ProgrammingError

        try:
            revisions = {
                row[0] for row in self._connection.exec_driver_sql("SELECT version_num FROM alembic_version")
            }
        except ProgrammingError as error:
            raise UnknownSchema("no alembic_version") from error
        refuse_unknown(revisions)

    def _all(self, statement: str, *values: Any) -> list[Any]:
        with postgres_errors():
            return list(self._connection.exec_driver_sql(statement, values or None).fetchall())

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Read one view of the database, without later commits."""
        try:
            yield
        finally:
            with postgres_errors():
                self._connection.rollback()


class PostgresSource(PostgresDatabase):
    """One database. Changes are found by the rows' versions (``xmin``: the transaction that wrote a row).

    Deletions are found by the number of rows. A poll uses one snapshot of the database.
    """

    kind: SourceKind = "postgresql"
    again_s = 0.0
    settled = True
    swept_since: float | None = None

    def __init__(self, uri: str, every_s: float = 1.0) -> None:
        super().__init__(uri)
        self.every_s = self._least_every_s = every_s
        self._snapshot = ""
        self._base = 0

    def identity(self) -> str:
        """Return the database and its oldest experiment."""
        with self._reading():
            database = self._all("SELECT oid::bigint FROM pg_database WHERE datname = current_database()")
            oldest = self._all(
                "SELECT experiment_id, creation_time, artifact_location FROM experiments ORDER BY experiment_id LIMIT 1"
            )
        return json.dumps(["postgresql", *map(list, [*database, *oldest])])

    def total(self) -> int | None:
        """Return the number of runs."""
        with self._reading():
            return self._count("runs")

    def newest(self, count: int) -> Changes:
        """Return the newest runs."""
        with self._reading():
            ids = self._all("SELECT run_uuid FROM runs ORDER BY start_time DESC NULLS LAST LIMIT %s", count)
            return self._whole([row[0] for row in ids], experiments=True)

    def some(self, asked: Narrowed) -> Part | None:
        """Return the runs that a question needs."""
        with self._reading():
            return part_of(
                asked, self._experiments(), self._all, partial(self._whole, experiments=True), "%s"
            )

    def blocks(self) -> Iterator[Changes]:
        """Yield all runs, newest first. Changes during the reading are found later."""
        with self._reading():
            self._check()
            self._snapshot, self._base = self._now()
            ids = [
                row[0] for row in self._all("SELECT run_uuid FROM runs ORDER BY start_time DESC NULLS LAST")
            ]
            experiments = self._experiments()
        yield Changes(experiments=experiments)
        for begin in range(0, len(ids), BLOCK):
            with self._reading():
                yield self._whole(ids[begin : begin + BLOCK], experiments=False)

    def resume(self, mark: str) -> bool:
        """Return whether so few transactions have run since that they can be told apart."""
        base = int(mark)
        with self._reading():
            _, now = self._now()
        self._base = base
        return 0 <= now - base < _TOO_OLD

    def mark(self) -> str:
        """Return the oldest transaction that was not seen to have ended."""
        return str(self._base)

    def poll(self, known: Snapshot, touched: frozenset[str]) -> Changes:
        """Return the changes since. Nothing is read while no transaction writes."""
        begun = time.monotonic()
        with self._reading():
            snapshot, base = self._now()
            if snapshot == self._snapshot and not touched:
                return Changes()
            self._check()
            ids = set(touched)
            for table in _TABLES:
                ids.update(row[0] for row in self._all(_CHANGED.format(table), str(self._base % 2**32)))
            changes = self._whole(sorted(ids), experiments=True)
            found = {run.run_id for run in changes.runs}
            changes.gone = [
                run_id for run_id in ids if run_id not in found and known.place(run_id) is not None
            ]
            after = known.apply(changes)
            if self._count("runs") != after.rows:
                there = {row[0] for row in self._all("SELECT run_uuid FROM runs")}
                changes.gone += [run_id for run_id in after.ids[: after.rows] if run_id not in there]
                after = known.apply(changes)
            untagged = self._untagged(after)
            if untagged:
                changes = self._whole(sorted(found | untagged), experiments=True, gone=changes.gone)
            if self._count("runs") != after.rows:
                raise FullReadNeeded("the runs do not add up")
        self._snapshot, self._base = snapshot, base
        self.every_s = max(self._least_every_s, (time.monotonic() - begun) / _SHARE)
        return changes

    def lacks_statistics(self) -> bool:
        """Return False: PostgreSQL makes statistics by itself."""
        return False

    def _untagged(self, known: Snapshot) -> set[str]:
        """Return the runs whose number of tags differs from the known one."""
        columns = known.columns["tag"].values()
        if self._count("tags") == sum(column.cells.count for column in columns):
            return set()
        counts = np.zeros(known.rows, np.int64)
        for column in columns:
            counts[column.cells.pairs()[0]] += 1
        there = dict(self._pairs("SELECT run_uuid, count(*) FROM tags GROUP BY run_uuid"))
        return {
            run_id
            for run_id, row in known.places.items()
            if row < known.rows and there.get(run_id, 0) != counts[row]
        }

    # -- reading

    def _whole(self, ids: Sequence[str], experiments: bool, gone: Sequence[str] = ()) -> Changes:
        changes = Changes(experiments=self._experiments() if experiments else None, gone=list(gone))
        if not ids:
            return changes
        changes.runs = [RunRow(*row) for row in self._all(_RUN, list(ids))]
        found = [run.run_id for run in changes.runs]
        places = list(range(len(found)))
        changes.metrics.put(
            self._all(
                _OF_RUNS.format("CASE WHEN m.is_nan THEN NULL ELSE m.value END", "latest_metrics"),
                places,
                found,
            )
        )
        changes.params.put(self._all(_OF_RUNS.format("m.value", "params"), places, found))
        changes.tags.put(self._all(_OF_RUNS.format("coalesce(m.value, '')", "tags"), places, found))
        return changes

    def _experiments(self) -> dict[str, ExperimentRow]:
        rows = self._all("SELECT experiment_id::text, name, lifecycle_stage FROM experiments")
        return {id: ExperimentRow(name, stage) for id, name, stage in rows}

    def _count(self, table: str) -> int:
        return int(self._all(f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608  # tables named above

    def _pairs(self, statement: str) -> list[tuple[str, int]]:
        return [(row[0], row[1]) for row in self._all(statement)]


@contextlib.contextmanager
def postgres_errors() -> Iterator[None]:
    """Turn errors of PostgreSQL into ours."""
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        first = (said.strip().splitlines() or ["no reason given"])[0]
        raise Unavailable(
            f"MLflow's database could not be read: {first[:300]}",
            hint=(
                "Check that PostgreSQL runs and that you may read the database. GenOps Lab tries again by "
                "itself."
            ),
        ) from error
