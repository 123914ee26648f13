"""Export any number of whole runs as CSV."""

from __future__ import annotations

import csv
import io
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import IO

import msgspec
from msgspec.structs import replace

from genops_lab.experiments.columns.models import RunSearch, RunsFound, RunTableQuery
from genops_lab.experiments.columns.service import RunTableService
from genops_lab.experiments.models import Run

from .session import Session

_PAGE = 1000
#: One wait, in seconds, for a Lab that still reads its MLflow.
_WAIT_S = 60.0
_ATTRIBUTES: dict[str, Callable[[Run], str]] = {
    "run_id": lambda run: run.run_id,
    "name": lambda run: run.name,
    "experiment": lambda run: run.experiment,
    "status": lambda run: run.status,
    "start_time": lambda run: _time(run.started_at),
    "end_time": lambda run: _time(run.ended_at),
    "user": lambda run: run.user,
    "source": lambda run: run.source,
    "git_commit": lambda run: run.git_commit,
}
#: A spreadsheet takes a text that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Exported:
    """Runs that were fetched page by page into a temporary file, and the names of their columns.

    ``found``: the answer of the last page, without its runs.
    """

    def __init__(self, session: Session, asked: RunSearch, limit: int | None) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close
        self._names: dict[str, set[str]] = {"params": set(), "metrics": set(), "tags": set()}
        self.count = 0
        self.found = self._fetch(session, asked, limit)

    def _fetch(self, session: Session, asked: RunSearch, limit: int | None) -> RunsFound:
        seen: set[str] = set()
        offset = 0
        while True:
            left = _PAGE if limit is None else min(_PAGE, limit - self.count)
            page = replace(asked, offset=offset, limit=left, wait_s=0 if offset else _WAIT_S)
            found = session.call(RunTableService.search_runs, body=page)
            reads_on = found.state.version and not found.state.complete and not found.state.problem
            if not offset and reads_on:
                continue  # a large MLflow is read for minutes
            odd = _not_finite(session, page, found.runs)
            # A run that changed between two pages may be in both: it is listed once.
            for run in found.runs:
                if run.run_id not in seen:
                    seen.add(run.run_id)
                    self._keep(run, odd)
            offset += len(found.runs)
            if not found.runs or offset >= found.matched or self.count == limit:
                return replace(found, runs=[])

    def _keep(self, run: Run, odd: dict[tuple[str, str], str]) -> None:
        metrics = {
            key: odd.get((run.run_id, key), "NaN") if value is None else repr(value)
            for key, value in run.metrics.items()
        }
        attributes = {name: value(run) for name, value in _ATTRIBUTES.items()}
        kept = {"params": run.params, "metrics": metrics, "tags": run.tags}
        for kind, values in kept.items():
            self._names[kind].update(values)
        self._file.write(msgspec.json.encode([attributes, kept]) + b"\n")
        self.count += 1

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns: attributes, then ``params.``, ``metrics.`` and ``tags.``, each by name."""
        others = [f"{kind}.{name}" for kind, names in self._names.items() for name in sorted(names)]
        return [*_ATTRIBUTES, *others]

    def lines(self, *, spreadsheet: bool) -> Iterator[str]:
        """Yield the CSV line by line. ``spreadsheet``: put ' before texts that could be formulas."""
        names = {kind: sorted(found) for kind, found in self._names.items()}
        yield _line(_harmless(self.columns) if spreadsheet else self.columns)
        self._file.seek(0)
        for line in self._file:
            attributes, kept = msgspec.json.decode(
                line, type=tuple[dict[str, str], dict[str, dict[str, str]]]
            )
            cells: list[str] = list(attributes.values())
            for kind, known in names.items():
                values = [kept[kind].get(name, "") for name in known]
                cells += values if kind == "metrics" or not spreadsheet else _harmless(values)
            yield _line(
                _harmless(cells[: len(_ATTRIBUTES)]) + cells[len(_ATTRIBUTES) :] if spreadsheet else cells
            )

    def close(self) -> None:
        """Delete the temporary file."""
        self._file.close()


def _not_finite(session: Session, page: RunSearch, runs: list[Run]) -> dict[tuple[str, str], str]:
    """Return, by run and metric, the values that JSON cannot hold: NaN, Infinity, -Infinity."""
    keys = sorted({key for run in runs for key, value in run.metrics.items() if value is None})
    found: dict[tuple[str, str], str] = {}
    if keys:
        query = RunTableQuery(
            experiments=page.experiments, query=page.query, sort=page.sort, lifecycle=page.lifecycle,
            columns=[f"metrics.{key}" for key in keys], offset=page.offset, limit=page.limit,
        )  # fmt: skip
        table = session.call(RunTableService.query_runs, body=query)
        for key, column in zip(keys, table.columns, strict=True):
            for run_id, value in zip(table.run_ids, column.values, strict=True):
                if isinstance(value, str):
                    found[run_id, key] = value
                elif (
                    value is not None and abs(value) == sys.float_info.max
                ):  # MLflow's databases hold no infinity
                    found[run_id, key] = "Infinity" if value > 0 else "-Infinity"
    return found


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")


def _harmless(cells: Iterable[str]) -> list[str]:
    return [f"'{cell}" if cell.startswith(_FORMULA) and not _is_number(cell) else cell for cell in cells]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
