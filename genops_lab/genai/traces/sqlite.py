"""Read traces directly from MLflow's SQLite file, read-only."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from genops_lab.experiments.columns.changes import Changes
from genops_lab.experiments.columns.slices import SliceDigests
from genops_lab.experiments.columns.snapshot import Snapshot
from genops_lab.experiments.columns.source import SourceKind, UnknownSchema
from genops_lab.experiments.columns.sqlite_source import SqliteFile

from .metadata import OF_ATTRIBUTES, SIZES
from .rows import TraceChanges, TraceRow

_LEAST_BLOCK, _BLOCKS = 2000, 10
#: Traces that may change in one poll, and the time for finding them, before the rest waits for the next.
_ENOUGH, _BUDGET_S = 600, 0.01
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


class SqliteTraces(SqliteFile):
    """Traces of an SQLite file.

    After a commit of another connection the tables are compared with their earlier state: slice by slice, newest
    first, for some milliseconds a poll.
    """

    kind: SourceKind = "sqlite"
    every_s = 0.4
    again_s = 0.05

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self._seen_version = -1
        self._digests = SliceDigests(_DIGESTS, self._all, _BUDGET_S, _ENOUGH)
        try:
            with self._reading():
                self._check()
                lacks = _NEEDED - {row[1] for row in self._all("PRAGMA table_info(trace_info)")}
                if lacks:
                    raise UnknownSchema(f"trace_info has no {', '.join(sorted(lacks))}")
        except BaseException:
            self.close()
            raise

    @property
    def settled(self) -> bool:
        """Whether the results of :meth:`poll` include all changes."""
        return self._digests.settled

    @property
    def swept_since(self) -> float | None:
        """Return the time before which all changes are known; later ones may be."""
        return self._digests.swept_since

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
            self._digests.remember()
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
        begun = time.time()
        with self._reading():
            version = self._version()
            committed = version != self._seen_version
            if committed:
                self._check()
                self._digests.committed()
                self._seen_version = version
            changed = touched | self._digests.changed(begun)
            changes = self._whole(sorted(changed), experiments=committed)
        found = set(changes.ids)
        changes.gone = [each for each in changed if each not in found and known.place(each) is not None]
        return changes

    def lacks_statistics(self) -> bool:
        """Return False: these reads need no statistics."""
        return False

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
