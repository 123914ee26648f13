"""Read traces directly from MLflow's SQLite file, read-only."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from genops_lab.experiments.columns.changes import Changes, ExperimentRow
from genops_lab.experiments.columns.snapshot import Snapshot
from genops_lab.experiments.columns.source import SourceKind, UnknownSchema
from genops_lab.experiments.columns.sqlite_source import SqliteFile

from .metadata import OF_ATTRIBUTES, SIZES
from .rows import TraceChanges, TraceRow

_LEAST_BLOCK, _BLOCKS = 2000, 10
#: Rows of a slice; traces that were changed in one poll before the rest waits for the next.
_SLICE, _ENOUGH = 256, 600
_BUDGET_S = 0.01
#: Columns that MLflow has since 3.16; older stores are read through its API.
_NEEDED = {"trace_name", "session_id", "total_tokens", "total_cost", "request_preview"}
_TRACES = (
    "SELECT m.request_id, CAST(m.experiment_id AS TEXT), m.timestamp_ms, m.execution_time_ms, m.status, "
    "substr(m.request_preview, 1, 500), substr(m.response_preview, 1, 500), "
    # MLflow names no traces that came over OTLP.
    "coalesce(m.trace_name, (SELECT s.name FROM spans s WHERE s.trace_id = m.request_id "
    "AND s.parent_span_id IS NULL LIMIT 1)), m.session_id, "
    "m.input_tokens, m.output_tokens, m.total_tokens, m.total_cost "
    "FROM json_each(?) j CROSS JOIN trace_info m ON m.request_id = j.value"
)
_WANTED = json.dumps([*OF_ATTRIBUTES, SIZES])
_METADATA = (
    "SELECT j.key, m.key, substr(m.value, 1, 500) FROM json_each(?) j "
    "CROSS JOIN trace_request_metadata m ON m.request_id = j.value "
    "WHERE m.value != '' AND (m.key NOT LIKE 'mlflow.%' OR m.key IN (SELECT value FROM json_each(?)))"
)
_TAGS = (
    "SELECT j.key, m.key, coalesce(substr(m.value, 1, 500), '') FROM json_each(?) j "
    "CROSS JOIN trace_tags m ON m.request_id = j.value WHERE m.key NOT LIKE 'mlflow.%'"
)
_ASSESSMENTS = (
    "SELECT j.key, m.name, substr(m.value, 1, 500) FROM json_each(?) j "
    "CROSS JOIN assessments m ON m.trace_id = j.value "
    "WHERE m.valid AND m.error IS NULL AND m.assessment_type != 'issue' ORDER BY m.created_timestamp"
)
#: What may change in a table, as one text for a slice, and the traces of its rows.
_DIGESTS = {
    "trace_info": (
        "SELECT group_concat(request_id || status || experiment_id || coalesce(execution_time_ms, '') || '|' || "
        "coalesce(total_tokens, '') || '|' || coalesce(session_id, '') || '|' || coalesce(trace_name, '') || '|' || "
        "coalesce(total_cost, '') || '|' || timestamp_ms || '|' || db_payload_generation, x'1e'), "
        "group_concat(request_id) FROM trace_info WHERE rowid >= ? AND rowid < ?"
    ),
    "trace_tags": (
        "SELECT group_concat(request_id || key || x'1f' || coalesce(value, x'00'), x'1e'), "
        "group_concat(DISTINCT request_id) FROM trace_tags WHERE rowid >= ? AND rowid < ?"
    ),
    "assessments": (
        "SELECT group_concat(assessment_id || trace_id || valid || last_updated_timestamp, x'1e'), "
        "group_concat(DISTINCT trace_id) FROM assessments WHERE rowid >= ? AND rowid < ?"
    ),
}


class _Slice(NamedTuple):
    digest: int
    traces: str


class SqliteTraces(SqliteFile):
    """Traces of an SQLite file.

    After a commit of another connection the tables are compared with their earlier state: slice by slice, newest
    first, for some milliseconds a poll.
    """

    kind: SourceKind = "sqlite"
    every_s = 0.4
    again_s = 0.05
    swept_since: float | None = None

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self._seen_version = -1
        self._slices: dict[tuple[str, int], _Slice] = {}
        self._due: list[tuple[str, int]] = []
        self.settled = True
        try:
            with self._reading():
                self._check()
                lacks = _NEEDED - {row[1] for row in self._all("PRAGMA table_info(trace_info)")}
                if lacks:
                    raise UnknownSchema(f"trace_info has no {', '.join(sorted(lacks))}")
        except BaseException:
            self.close()
            raise

    def identity(self) -> str:
        """Return the file and its oldest experiment."""
        with self._reading():
            oldest = self._all(
                "SELECT experiment_id, creation_time FROM experiments ORDER BY experiment_id LIMIT 1"
            )
        return json.dumps(["traces", "sqlite", str(self._file), oldest])

    def total(self) -> int | None:
        """Return the number of traces."""
        with self._reading():
            return int(self._all("SELECT count(*) FROM trace_info")[0][0])

    def newest(self, count: int) -> Changes:
        """Return the newest traces."""
        with self._reading():
            return self._whole(self._ids(count), experiments=True)

    def some(self, asked: object) -> None:
        """Return None: all traces are read."""

    def blocks(self) -> Iterator[Changes]:
        """Yield all traces, newest first. Changes during the reading are found later."""
        with self._reading():
            self._check()
            self._seen_version = self._version()
            self._slices = {part: made for part in self._parts() if (made := self._look_at(part)) is not None}
            self._due, self.settled = [], True
            ids = self._ids(-1)
        block = max(len(ids) // _BLOCKS, _LEAST_BLOCK)
        for begin in range(0, len(ids), block):
            with self._reading():
                yield self._whole(ids[begin : begin + block], experiments=begin == 0)
        if not ids:
            yield TraceChanges(experiments=self._experiments())

    def resume(self, mark: str) -> bool:
        """Return False: the file is read again, while the saved traces are shown."""
        return False

    def mark(self) -> str:
        """Return an empty mark, because a file is always read again."""
        return ""

    def poll(self, known: Snapshot, touched: frozenset[str]) -> Changes:
        """Return the traces that changed since, as far as this poll's few milliseconds allow."""
        self._same_file()
        with self._reading():
            version = self._version()
            committed = version != self._seen_version
            if committed:
                self._check()
                self._due = self._parts()
                self._seen_version = version
            changed = touched | self._compare()
            self.settled = not self._due
            changes = self._whole(sorted(changed), experiments=committed)
        found = set(changes.ids)
        changes.gone = [each for each in changed if each not in found and known.place(each) is not None]
        return changes

    def lacks_statistics(self) -> bool:
        """Return False: these reads need no statistics."""
        return False

    # -- changes

    def _parts(self) -> list[tuple[str, int]]:
        """Return all slices, the newest last (where they are taken from)."""
        parts = {
            (table, at)
            for table in _DIGESTS
            for at in range(
                self._all(f"SELECT coalesce(max(rowid), 0) FROM {table}")[0][0] // _SLICE + 1  # noqa: S608
            )
        }
        last = {table: max(at for name, at in parts if name == table) for table in _DIGESTS}
        return sorted(parts | set(self._slices), key=lambda part: (part[1] - last[part[0]], part[0]))

    def _compare(self) -> set[str]:
        """Return the traces in slices that changed; at least one slice, then as time allows."""
        changed: set[str] = set()
        begin = time.thread_time()
        while self._due:
            part = self._due.pop()
            old, new = self._slices.get(part), self._look_at(part)
            if (old and old.digest) != (new and new.digest):
                changed.update(each for found in (old, new) if found for each in found.traces.split(","))
                if new is None:
                    del self._slices[part]
                else:
                    self._slices[part] = new
            if time.thread_time() - begin > _BUDGET_S or len(changed) > _ENOUGH:
                break
        return changed

    def _look_at(self, part: tuple[str, int]) -> _Slice | None:
        table, at = part
        content, traces = self._all(_DIGESTS[table], at * _SLICE, (at + 1) * _SLICE)[0]
        return None if content is None else _Slice(hash(content), traces)

    # -- reading

    def _ids(self, count: int) -> list[str]:
        newest = "SELECT request_id FROM trace_info ORDER BY timestamp_ms DESC, request_id LIMIT ?"
        return [row[0] for row in self._all(newest, count)]

    def _whole(self, ids: list[str], experiments: bool) -> TraceChanges:
        known = self._experiments() if experiments else None
        traces = [TraceRow(*row) for row in self._all(_TRACES, json.dumps(ids))] if ids else []
        found = json.dumps([each.trace_id for each in traces])
        if not traces:
            return TraceChanges(experiments=known)
        return TraceChanges(
            traces,
            self._all(_METADATA, found, _WANTED),
            self._all(_TAGS, found),
            self._all(_ASSESSMENTS, found),
            known,
        )

    def _experiments(self) -> dict[str, ExperimentRow]:
        rows = self._all("SELECT CAST(experiment_id AS TEXT), name, lifecycle_stage FROM experiments")
        return {id: ExperimentRow(name, stage) for id, name, stage in rows}
