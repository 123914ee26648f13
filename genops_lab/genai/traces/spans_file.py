"""Read the spans of a trace from MLflow's SQLite file, in the MLflow worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from genops_lab.experiments.columns.sqlite_source import SqliteFile

from .tree import MOST_SPANS, RawSpan, decoded

_SPANS = (
    "SELECT span_id, coalesce(parent_span_id, ''), coalesce(name, ''), start_time_unix_nano, end_time_unix_nano, "
    "content FROM spans WHERE trace_id = ? "
)


class SpansFile(SqliteFile):
    """The spans in an SQLite file."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def number(self, trace_id: str) -> int:
        return int(self._all("SELECT count(*) FROM spans WHERE trace_id = ?", trace_id)[0][0])

    def begin(self, trace_id: str) -> int | None:
        found = self._all("SELECT min(start_time_unix_nano) FROM spans WHERE trace_id = ?", trace_id)
        return None if found[0][0] is None else int(found[0][0])

    def spans(self, trace_id: str, only: str) -> Iterator[RawSpan]:
        statement, values = f"{_SPANS} ORDER BY start_time_unix_nano LIMIT {MOST_SPANS}", [trace_id]
        if only:
            statement, values = f"{_SPANS} AND span_id = ?", [trace_id, only]
        # One by one: the texts of a large trace are never all in memory.
        for id, parent, name, start, end, content in self._connection.execute(statement, values):
            yield RawSpan(id, parent, name, start, end, decoded(content), len(content))
