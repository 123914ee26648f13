"""Choose the runs of a data set or commit that a picture needs, and count the others without reading them."""

# ruff: noqa: S608  values are parameters; only marks, numbers and our own names are put into statements

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from genops_lab.experiments.backends.client import quoted
from genops_lab.experiments.backends.run_source import datasets_of
from genops_lab.experiments.columns.postgres_source import PostgresDatabase
from genops_lab.experiments.columns.source import UnknownSchema
from genops_lab.experiments.columns.sqlite_source import SqliteFile, file_of

from .reading import COMMIT, EVALUATION, Reading, evaluated_by, listed, parts

#: Runs without a version that are drawn; of more, all are counted in one group.
FEW = 20
#: Runs that are read from a store that does not count, newest first.
NEWEST = 100


class Subject(NamedTuple):
    """A data set by name and digest, or a commit."""

    name: str
    digest: str
    commit: str = ""

    @property
    def condition(self) -> str:
        """The condition of MLflow's search for the runs."""
        if self.commit:
            return f"tags.`{COMMIT}` = {quoted(self.commit)}"
        return with_data(self.name, f"= {quoted(self.digest)}")

    def contexts(self, run: Any) -> list[str]:
        """Return MLflow's context of each use of the data set by a run."""
        return [
            each.context for each in datasets_of(run) if (each.name, each.digest) == (self.name, self.digest)
        ]

    def used_by(self, run: Any) -> bool:
        """Return whether a run used it: MLflow's search also finds other cases of letters."""
        return run.data.tags.get(COMMIT) == self.commit if self.commit else bool(self.contexts(run))


class Uses(NamedTuple):
    """The runs of a subject: ids of those that lead to a version, and of those that do not.

    ``leading`` and ``bare`` are the counts in the store. ``exact`` is false where these are the least numbers.
    """

    with_version: list[str]
    without_version: list[str]
    leading: int
    bare: int
    exact: bool = True


class Store(Protocol):
    """Finds the runs of a subject. All methods block."""

    def digests(self, name: str, beginning: str) -> list[str]:
        """Return the digests of a data set that begin so."""

    def commits(self, beginning: str) -> list[str]:
        """Return the commits of runs that begin so."""

    def uses(self, subject: Subject, most: int, judging: Sequence[str]) -> Uses:
        """Return at most ``most`` runs that lead to a version: those of aliases first, then the newest.

        ``judging``: further runs that judged a version. Runs without a version are returned only if they are few.
        """

    def bare(self, subject: Subject, judging: Sequence[str], limit: int, after: str) -> tuple[list[str], str]:
        """Return a page of the runs without a version, newest first, and the cursor of the next; empty: the last."""

    def close(self) -> None:
        """Close the store."""


class _Tables:
    """MLflow's tables, where the schema is known."""

    mark = "?"

    @abstractmethod
    def _all(self, statement: str, *values: Any) -> list[Any]: ...

    @abstractmethod
    def _reading(self) -> contextlib.AbstractContextManager[None]: ...

    def digests(self, name: str, beginning: str) -> list[str]:
        """Return the digests of a data set that begin so."""
        statement = (
            f"SELECT DISTINCT digest FROM datasets WHERE name = {self.mark} AND digest LIKE {self.mark}"
        )
        with self._reading():
            rows = self._all(statement, name, f"{beginning}%")
        return sorted(row[0] for row in rows if row[0].startswith(beginning))

    def commits(self, beginning: str) -> list[str]:
        """Return the commits of runs that begin so."""
        statement = f"SELECT DISTINCT value FROM tags WHERE key = '{COMMIT}' AND value LIKE {self.mark} ORDER BY value"
        with self._reading():
            return [row[0] for row in self._all(statement, f"{beginning}%")]

    def uses(self, subject: Subject, most: int, judging: Sequence[str]) -> Uses:
        """Return the runs that lead to a version, and the counts."""
        ranked, values = self._ranked(subject, judging)
        with self._reading():
            counts = dict(self._all(f"{ranked} SELECT place, count(*) FROM ranked GROUP BY place", *values))
            bare, total = int(counts.get(0, 0)), sum(map(int, counts.values()))
            rows = self._all(
                f"{ranked} SELECT run_uuid FROM ranked WHERE place > 0 "
                f"ORDER BY place DESC, start_time DESC, run_uuid LIMIT {int(most)}",
                *values,
            )
        few = self.bare(subject, judging, FEW, "")[0] if 0 < bare <= FEW else []
        return Uses([row[0] for row in rows], few, total - bare, bare)

    def bare(self, subject: Subject, judging: Sequence[str], limit: int, after: str) -> tuple[list[str], str]:
        """Return a page of the runs without a version. Raises ValueError for another text than a cursor."""
        if after and not after.isdecimal():
            raise ValueError(after)
        ranked, values = self._ranked(subject, judging)
        offset = int(after or 0)
        with self._reading():
            rows = self._all(
                f"{ranked} SELECT run_uuid FROM ranked WHERE place = 0 ORDER BY start_time DESC, run_uuid "
                f"LIMIT {int(limit) + 1} OFFSET {int(offset)}",
                *values,
            )
        return [row[0] for row in rows[:limit]], str(offset + limit) if len(rows) > limit else ""

    def _ranked(self, subject: Subject, judging: Sequence[str]) -> tuple[str, list[str]]:
        """Return the table ``ranked``: 2 for a run whose version has an alias, 1 with a version, 0 without."""
        mark = self.mark
        if subject.commit:
            used = f"SELECT run_uuid AS run FROM tags WHERE key = '{COMMIT}' AND value = {mark}"
            values = [subject.commit]
        else:
            used = (
                "SELECT DISTINCT i.destination_id AS run FROM datasets d JOIN inputs i ON i.source_type = 'DATASET' "
                f"AND i.source_id = d.dataset_uuid AND i.destination_type = 'RUN' "
                f"WHERE d.name = {mark} AND d.digest = {mark}"
            )
            values = [subject.name, subject.digest]
        versions = "SELECT v.run_id FROM model_versions v"
        there = "v.run_id IS NOT NULL AND coalesce(v.current_stage, '') != 'Deleted_Internal'"
        judges = "".join(f" OR u.run = {mark}" for _ in judging)
        return (
            f"WITH used AS ({used}), ranked AS (SELECT r.run_uuid, r.start_time, CASE "
            f"WHEN u.run IN ({versions} JOIN registered_model_aliases a ON a.name = v.name AND a.version = v.version "
            f"WHERE {there}) THEN 2 "
            f"WHEN u.run IN ({versions} WHERE {there}) "
            f"OR u.run IN (SELECT run_uuid FROM tags WHERE key = '{EVALUATION}model'){judges} "
            "THEN 1 ELSE 0 END AS place FROM used u JOIN runs r ON r.run_uuid = u.run)",
            [*values, *judging],
        )


class _SqliteUses(SqliteFile, _Tables):
    def __init__(self, file: Path) -> None:
        super().__init__(file)
        try:
            self._check()
        except BaseException:
            self.close()
            raise


class _PostgresUses(PostgresDatabase, _Tables):
    mark = "%s"


class ApiUses:
    """Any MLflow. It does not count: the newest runs are read, and those of the newest versions."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def digests(self, name: str, beginning: str) -> list[str]:
        """Return the digests of the newest 300 runs of a data set that begin so."""
        runs, _ = self._reading.runs_where(with_data(name, f"LIKE {quoted(beginning + '%')}"))
        found = [each for run in runs for each in datasets_of(run) if each.name == name]
        return sorted({each.digest for each in found if each.digest.startswith(beginning)})

    def commits(self, beginning: str) -> list[str]:
        """Return the commits of the newest 300 runs that begin so."""
        runs, _ = self._reading.runs_where(f"tags.`{COMMIT}` LIKE {quoted(beginning + '%')}")
        return sorted({str(run.data.tags[COMMIT]) for run in runs})

    def uses(self, subject: Subject, most: int, judging: Sequence[str]) -> Uses:
        """Return the newest runs, and those of the newest 1,000 versions."""
        newest, more = self._runs(subject, limit=NEWEST)
        found = {run.info.run_id: run for run in newest}
        if more:
            named = {each.run_id for each in self._reading.newest_versions() if each.run_id}
            for some in parts(sorted(id for id in named - found.keys() if "'" not in id)):
                runs, _ = self._runs(subject, f" AND attributes.run_id IN ({listed(some)})", len(some))
                found.update({run.info.run_id: run for run in runs})
        leading = self._leading(found, judging)
        bare = [id for id in found if id not in leading]
        drawn = bare if not more and len(bare) <= FEW else []
        most_leading = [id for id in found if id in leading][:most]
        return Uses(most_leading, drawn, len(leading), len(bare), exact=not more)

    def bare(self, subject: Subject, judging: Sequence[str], limit: int, after: str) -> tuple[list[str], str]:
        """Return a page of the runs without a version. It has fewer runs than ``limit`` where some have one."""
        page, token = self._runs(subject, limit=limit, after=after)
        found = {run.info.run_id: run for run in page}
        leading = self._leading(found, judging)
        return [id for id in found if id not in leading], token

    def close(self) -> None:
        """Do nothing: the client stays open."""

    def _runs(
        self, subject: Subject, more: str = "", limit: int = 0, after: str = ""
    ) -> tuple[list[Any], str]:
        page, token = self._reading.runs_where(subject.condition + more, limit, after or None)
        text = token.decode() if isinstance(token, bytes) else token or ""  # of a database: bytes
        return [run for run in page if subject.used_by(run)], text

    def _leading(self, runs: Mapping[str, Any], judging: Sequence[str]) -> set[str]:
        named = {each.run_id for each in self._reading.versions_of_runs(runs)}
        return {
            id for id, run in runs.items() if id in named or id in judging or evaluated_by(run) is not None
        }


def store_of(tracking_uri: str, reading: Reading) -> Store:
    """Return the best way to find runs in this MLflow: its database where the schema is known."""
    try:
        if (file := file_of(tracking_uri)) is not None:
            return _SqliteUses(file)
        if tracking_uri.startswith("postgresql"):
            return _PostgresUses(tracking_uri)
    except UnknownSchema:
        pass
    return ApiUses(reading)


def with_data(name: str, digest: str) -> str:
    """Return the condition of a data set; one with both kinds of quotes cannot be named in MLflow's filters."""
    named = "" if "'" in name and '"' in name else f"dataset.name = {quoted(name)} AND "
    return f"{named}dataset.digest {digest}"
