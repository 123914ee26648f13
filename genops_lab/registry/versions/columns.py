"""Join the versions with the columns of their runs and evaluations, with gates and deployments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import repeat

import msgspec
import numpy as np
import numpy.typing as npt

from genops_lab.core.arrow import strings
from genops_lab.experiments.columns.cells import Cells, Column, NumberColumn, Rows, TextColumn
from genops_lab.experiments.columns.snapshot import Columns, Snapshot
from genops_lab.experiments.query.columns import Kind
from genops_lab.experiments.query.subjects import LIST, VERSIONS

#: Begin of the tag of an evaluation, ``genops.evaluation.NAME:DIGEST`` (MLflow refuses @): its value is the run.
EVALUATION = "genops.evaluation."
GATES = "genops.gates"
SOURCE = "genops.source"
_COPIED = {"parent": "genops.parent", "base_model": "genops.base_model"}
#: Attributes of versions, by the attribute of their run.
_OF_RUNS = {"run_name": "run", "experiment_id": "experiment_id"}


class Join:
    """Makes the columns of all versions.

    Joined columns are kept with the column of runs that they come from: while a run logs, its own columns are joined
    again, and no others.
    """

    def __init__(self) -> None:
        self._places: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self._joined: dict[tuple[Kind, str], tuple[Column, Column | None]] = {}

    def of(
        self,
        versions: Snapshot,
        runs: Snapshot,
        deployed: Mapping[str, list[str]],
        formats: TextColumn | None = None,
    ) -> Snapshot:
        """Return the versions as rows. ``deployed``: names of deployments by the id of a version's row."""
        places = self._places_of(versions, runs)
        if not np.array_equal(places, self._places):
            self._places, self._joined = places, {}
        columns: Columns = {
            "attribute": dict(versions.columns["attribute"]),
            "metric": {},
            "param": {},
            "tag": dict(versions.columns["tag"]),
        }
        for kind in ("metric", "param"):
            for name, column in runs.columns[kind].items():
                if (joined := self._of_run(kind, name, column)) is not None:
                    columns[kind][name] = joined
        for of_run, name in _OF_RUNS.items():
            held = runs.columns["attribute"].get(of_run)
            if held is not None and (joined := self._of_run("attribute", of_run, held)) is not None:
                columns["attribute"][name] = joined
        columns["metric"].update(_evaluations(versions, runs))
        columns["attribute"].update(_from_tags(versions.columns["tag"]))
        if (served := _deployed(versions, deployed)) is not None:
            columns["attribute"]["deployed"] = served
        if formats is not None:
            columns["attribute"]["format"] = formats
        return Snapshot(
            versions.rows, versions.ids, versions.places, columns, runs.experiments, subject=VERSIONS
        )

    def _of_run(self, kind: Kind, name: str, column: Column) -> Column | None:
        known = self._joined.get((kind, name))
        if known is None or known[0] is not column:
            known = self._joined[kind, name] = (column, _at(column, self._places))
        return known[1]

    @staticmethod
    def _places_of(versions: Snapshot, runs: Snapshot) -> npt.NDArray[np.int32]:
        """Return the row of each version's run, -1 without one."""
        column = versions.columns["attribute"].get("run_id")
        ids = column.texts(np.arange(versions.rows)) if isinstance(column, TextColumn) else []
        return _rows_of(ids or [None] * versions.rows, runs)


def _rows_of(run_ids: list[str | None], runs: Snapshot) -> npt.NDArray[np.int32]:
    ids = [id or "" for id in run_ids]
    found = np.fromiter(map(runs.places.get, ids, repeat(-1)), np.int32, len(ids))
    return np.where(found < runs.rows, found, -1).astype(np.int32)


def _at(column: Column, places: npt.NDArray[np.int32]) -> Column | None:
    """Return the column with row ``at`` having the value of the row ``places[at]``; None without any value."""
    values, there = column.cells.at(np.maximum(places, 0))
    rows = np.flatnonzero(there & (places >= 0)).astype(np.int32)
    if not len(rows):
        return None
    cells = Cells.of(rows, values[rows])
    return NumberColumn(cells) if isinstance(column, NumberColumn) else TextColumn(cells, column.words)


def _evaluations(versions: Snapshot, runs: Snapshot) -> Iterator[tuple[str, Column]]:
    """Yield the metrics of evaluations, named ``NAME@DIGEST/METRIC``."""
    for key, tag in versions.columns["tag"].items():
        if not key.startswith(EVALUATION) or not isinstance(tag, TextColumn):
            continue
        places = np.full(versions.rows, -1, np.int32)
        rows = tag.cells.pairs()[0]
        places[rows] = _rows_of(tag.texts(rows), runs)
        name, _, digest = key.removeprefix(EVALUATION).rpartition(":")
        data = f"{name}@{digest}" if name else digest
        for metric, column in runs.columns["metric"].items():
            joined = _at(column, places)
            if joined is not None:
                yield f"{data}/{metric}", joined


def _from_tags(tags: Mapping[str, Column]) -> Iterator[tuple[str, Column]]:
    """Yield the attributes that GenOps Lab writes as tags."""
    for name, key in _COPIED.items():
        if key in tags:
            yield name, tags[key]
    for name, key, field in (("gates", GATES, "verdict"), ("origin", SOURCE, "kind")):
        made = _mapped(tags.get(key), lambda text, field=field: _field(text, field))  # type: ignore[misc]
        if made is not None:
            yield name, made


def _mapped(column: Column | None, read: Callable[[str], str | None]) -> TextColumn | None:
    if not isinstance(column, TextColumn):
        return None
    rows = column.cells.pairs()[0]
    words = [read(text or "") for text in column.texts(rows)]
    there = np.array([word is not None for word in words], np.bool_)
    return _texts(rows[there], [word for word in words if word is not None])


def _field(text: str, field: str) -> str | None:
    """Return a text of a JSON object; None if others wrote another thing there."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    value = found.get(field) if isinstance(found, dict) else None
    return value if isinstance(value, str) and value else None


def _deployed(versions: Snapshot, deployed: Mapping[str, list[str]]) -> TextColumn | None:
    served = sorted(
        (row, LIST.join(sorted(names)))
        for id, names in deployed.items()
        if (row := versions.place(id)) is not None
    )
    return _texts(np.array([row for row, _ in served], np.int32), [names for _, names in served])


def _texts(rows: Rows, texts: list[str]) -> TextColumn | None:
    return TextColumn.of(rows, strings(texts)) if len(texts) else None
