"""Answer questions to a snapshot: which runs, in which order, and their values."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.recent import Recent
from genops_lab.experiments.histories import finite
from genops_lab.experiments.models import Run
from genops_lab.experiments.query import complete, parse
from genops_lab.experiments.query.columns import Kind
from genops_lab.experiments.query.models import Completion, Doubt
from genops_lab.experiments.query.names import PREFIX_OF, PREFIXES
from genops_lab.experiments.query.subjects import NUMBERS, RUNS, Subject

from .cells import NumberColumn, TextColumn, order_by, word_ranks
from .changes import artifact_uri
from .models import Lifecycle, RunColumn, RunColumnInfo, RunSort
from .snapshot import Moment, Snapshot

if TYPE_CHECKING:
    from .grouping import Groups

Places = npt.NDArray[np.intp]

_KEPT, _GROUPINGS_KEPT = 8, 4
_KEPT_FOR_S = 2.0


@dataclass(frozen=True)
class Found:
    """The matching rows, in order; ``total``: those in the experiments. ``made`` is a monotonic time."""

    rows: Places
    total: int
    made: float
    doubts: list[Doubt]


class Asked:
    """Answers questions about one snapshot, and remembers the last answers: a scroll needs the same order
    again.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._found: Recent[tuple[Any, ...], Found] = Recent(_KEPT)
        self._newest: Places | None = None
        self._last_chosen: tuple[tuple[Any, ...], Places] | None = None
        #: Grouped runs, with the rows that were grouped.
        self.groupings: Recent[tuple[Any, ...], tuple[Places, Groups]] = Recent(_GROUPINGS_KEPT)

    def find(
        self,
        experiments: list[str],
        query: str,
        sort: list[RunSort],
        lifecycle: Lifecycle,
        time_zone: str = "",
    ) -> Found:
        """Return the matching runs. Raises NotFound (an experiment), InvalidRequest (a column, the query, the zone)."""
        key = (
            tuple(experiments),
            query,
            tuple((by.column, by.descending) for by in sort),
            lifecycle,
            time_zone,
        )
        known = self._found.get(key)
        if known is not None and time.monotonic() - known.made < _KEPT_FOR_S:
            return known
        moment = Moment(self.snapshot, time.time())
        subject = self.snapshot.subject
        wanted = [(*column_named(by.column, subject), by.descending) for by in sort]
        rows = self._chosen(experiments, lifecycle)
        total = len(rows)
        doubts: list[Doubt] = []
        if query.strip():
            asked = parse(query, subject)
            mask = asked.mask(moment, now=moment.now, timezone=_zone(time_zone))
            rows = rows[mask[rows]]
            doubts = asked.doubts(moment)
        for kind, name, descending in reversed(wanted):
            keys, there = _keys(moment, kind, name, rows)
            rows = rows[order_by(keys, there, descending)]
        if known is not None and np.array_equal(rows, known.rows):
            rows = known.rows  # remembered answers for them stay valid
        found = Found(rows, total, time.monotonic(), doubts)
        self._found[key] = found
        return found

    def columns(self, names: list[str], rows: Places) -> list[RunColumn]:
        """Return the values at ``rows``."""
        moment = Moment(self.snapshot, time.time())
        subject = self.snapshot.subject
        return [_values(moment, name, *column_named(name, subject), rows) for name in names]

    def names(self) -> list[RunColumnInfo]:
        """Return all columns, with the number of runs that have a value."""
        snapshot = self.snapshot
        # Columns that are made when they are asked for, and the one that they are made from.
        made = {"run_id": "status", "experiment": "experiment_id", "duration": "start_time"}
        found = [
            RunColumnInfo(
                column=name,
                kind="number" if name in NUMBERS else "text",
                runs=self._runs_with(name, made.get(name, name)),
            )
            for name in sorted(snapshot.subject.attributes)
        ]
        kinds: tuple[Kind, ...] = ("metric", "param", "tag")
        for kind in kinds:
            found += [
                RunColumnInfo(
                    column=f"{PREFIX_OF[kind]}.{name}",
                    kind="number" if kind == "metric" else "text",
                    runs=column.cells.count,
                )
                for name, column in sorted(snapshot.columns[kind].items())
            ]
        return found

    def completions(self, text: str, position: int) -> list[Completion]:
        """Return completions at ``position`` of a query that is being written."""
        return complete(text, position, Moment(self.snapshot, time.time()), self.snapshot.subject)

    def _runs_with(self, attribute: str, made_from: str) -> int:
        own = self.snapshot.columns["attribute"]
        column = own.get(attribute) or own.get(made_from)
        return 0 if column is None else column.cells.count

    def runs(self, rows: Places, hidden: tuple[str, ...]) -> list[Run]:
        """Return whole runs without tags that begin with ``mlflow.`` and without the ``hidden`` ones."""
        snapshot = self.snapshot
        params = self._texts("param", rows)
        tags = self._texts("tag", rows)
        metrics: list[dict[str, float | None]] = [{} for _ in rows]
        for name, column in snapshot.columns["metric"].items():
            if isinstance(column, NumberColumn):
                values, there = column.cells.at(rows)
                for at in np.flatnonzero(there).tolist():
                    metrics[at][name] = finite(float(values[at]))
        attributes = {
            column.column: column.values
            for column in self.columns(
                ["run_id", "run_name", "status", "experiment", "experiment_id", "start_time", "end_time"],
                rows,
            )
        }
        found = []
        for at, (own, own_params) in enumerate(zip(tags, params, strict=True)):
            of: dict[str, Any] = {name: values[at] for name, values in attributes.items()}
            found.append(
                Run(
                    run_id=of["run_id"],
                    experiment_id=of["experiment_id"],
                    experiment=of["experiment"],
                    name=of["run_name"] or own.get("mlflow.runName", ""),
                    status=of["status"],
                    started_at=of["start_time"] or None,
                    ended_at=of["end_time"] or None,
                    user=own.get("mlflow.user", ""),
                    params=own_params,
                    metrics=metrics[at],
                    tags={
                        name: text
                        for name, text in own.items()
                        if not name.startswith("mlflow.") and name not in hidden
                    },
                    source=own.get("mlflow.source.name", ""),
                    git_commit=own.get("mlflow.source.git.commit", ""),
                    git_dirty=own.get("mlflow.source.git.dirty", "").lower() == "true",
                )
            )
        return found

    def metric(self, name: str, rows: Places) -> npt.NDArray[np.float64]:
        """Return a metric's values, NaN for a run without one."""
        column = self.snapshot.columns["metric"].get(name)
        if column is None:
            return np.full(len(rows), np.nan)
        values, there = column.cells.at(rows)
        return np.where(there, values, np.nan)

    def parameters(self, rows: Places) -> dict[str, list[str | None]]:
        """Return all parameters that one of the runs has, with their values."""
        found = {
            name: list(column.texts(rows))
            for name, column in self.snapshot.columns["param"].items()
            if isinstance(column, TextColumn)
        }
        return {name: values for name, values in found.items() if any(value is not None for value in values)}

    def _texts(self, kind: Kind, rows: Places) -> list[dict[str, str]]:
        found: list[dict[str, str]] = [{} for _ in rows]
        for name, column in self.snapshot.columns[kind].items():
            if isinstance(column, TextColumn):
                for at, text in enumerate(column.texts(rows)):
                    if text is not None:
                        found[at][name] = text
        return found

    def _chosen(self, experiments: list[str], lifecycle: Lifecycle) -> Places:
        """Return the chosen runs, newest first. The last answer is kept, because query and order change more
        often.
        """
        key = (tuple(experiments), lifecycle)
        known = self._last_chosen
        if known is None or known[0] != key:
            newest = self._newest_first()
            known = self._last_chosen = (key, newest[self._are_chosen(experiments, lifecycle)[newest]])
        return known[1]

    def _are_chosen(self, experiments: list[str], lifecycle: Lifecycle) -> npt.NDArray[np.bool_]:
        chosen = np.ones(self.snapshot.rows, np.bool_)
        if lifecycle != "all":
            chosen &= self._is("lifecycle_stage", {lifecycle})
        if experiments:
            chosen &= self._is("experiment_id", {self._experiment(given) for given in experiments})
        return chosen

    def _is(self, attribute: str, wanted: set[str]) -> npt.NDArray[np.bool_]:
        column = self.snapshot.columns["attribute"].get(attribute)
        if not isinstance(column, TextColumn):
            return np.zeros(self.snapshot.rows, np.bool_)
        # The last one is that of the code -1: of runs without a value.
        is_wanted = np.array([word in wanted for word in column.words.to_pylist()] + [False])
        found: npt.NDArray[np.bool_] = is_wanted[column.codes(self.snapshot.rows)]
        return found

    def _experiment(self, given: str) -> str:
        by_name = [id for id, known in self.snapshot.experiments.items() if known.name == given]
        if by_name:
            return by_name[0]
        if given in self.snapshot.experiments:
            return given
        raise NotFound(
            f"There is no experiment {given[:80]!r}.", hint="List the experiments: `genops experiments list`."
        )

    def _newest_first(self) -> Places:
        """Return the runs by start, latest first, then by id: MLflow's own order."""
        if self._newest is None:
            rows = np.arange(self.snapshot.rows)
            column = self.snapshot.columns["attribute"].get(self.snapshot.subject.newest)
            if column is None:
                self._newest = np.array(sorted(rows, key=self.snapshot.ids.__getitem__), np.intp)
            else:
                keys, there = column.keys(rows)
                order = order_by(keys, there, True)
                starts = np.where(there, keys, -1)[order]
                self._newest = self._by_id_where_alike(order, starts)
        return self._newest

    def _by_id_where_alike(self, order: Places, keys: npt.NDArray[np.float64]) -> Places:
        bounds = np.flatnonzero(np.diff(keys)) + 1
        if len(bounds) + 1 < len(order):
            for begin, end in zip([0, *bounds], [*bounds, len(order)], strict=True):
                if end - begin > 1:
                    order[begin:end] = sorted(order[begin:end], key=self.snapshot.ids.__getitem__)
        return order


def column_named(name: str, subject: Subject) -> tuple[Kind, str]:
    """Return the kind and name of a column. Raises InvalidRequest."""
    prefix, dot, rest = name.partition(".")
    kind = PREFIXES.get(prefix) if dot and rest else None
    if kind is None or kind == "attribute":
        attribute = rest if kind else name
        if attribute not in subject.attributes:
            raise InvalidRequest(
                f"There is no column {name[:80]!r}.",
                hint=f"Use metrics.NAME, params.NAME, tags.NAME or one of {', '.join(sorted(subject.attributes))}.",
            )
        return "attribute", attribute
    return kind, rest


def _keys(
    moment: Moment, kind: Kind, name: str, rows: Places
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return the sort keys, and which rows have one."""
    column = moment.snapshot.columns[kind].get(name)
    if column is not None and (kind, name) != ("attribute", "artifact_uri"):
        return column.keys(rows)
    if (kind, name) == ("attribute", "duration"):
        numbers = moment.numbers(kind, name)
        if numbers is not None:
            return numbers.values[rows], numbers.present[rows]
    texts = moment.texts(kind, name) if kind == "attribute" else None
    if texts is None:
        return np.zeros(len(rows)), np.zeros(len(rows), np.bool_)
    codes = texts.codes[rows]
    return word_ranks(texts.words)[codes], codes >= 0


def _values(moment: Moment, column: str, kind: Kind, name: str, rows: Places) -> RunColumn:
    snapshot = moment.snapshot
    values: list[float | str | None]
    if kind == "metric" or (kind == "attribute" and name in NUMBERS):
        return RunColumn(column=column, kind="number", values=_number_values(moment, kind, name, rows))
    texts = snapshot.columns[kind].get(name)
    if kind == "attribute" and name == "run_id" and snapshot.subject is RUNS:
        values = [snapshot.ids[row] for row in rows]
    elif kind == "attribute" and name == "experiment":
        ids = snapshot.columns["attribute"].get("experiment_id")
        values = [
            snapshot.experiments[id].name if id in snapshot.experiments else id
            for id in (ids.texts(rows) if isinstance(ids, TextColumn) else [None] * len(rows))
        ]
    elif not isinstance(texts, TextColumn):
        values = [None] * len(rows)
    elif kind == "attribute" and name == "artifact_uri":
        values = [
            artifact_uri(text, snapshot.ids[row]) for text, row in zip(texts.texts(rows), rows, strict=True)
        ]
    else:
        values = list(texts.texts(rows))
    return RunColumn(column=column, kind="text", values=values)


def _number_values(moment: Moment, kind: Kind, name: str, rows: Places) -> list[float | str | None]:
    if name == "duration" and kind == "attribute":
        numbers = moment.numbers(kind, name)
        if numbers is None:
            return [None] * len(rows)
        values, there = numbers.values[rows], numbers.present[rows]
    else:
        column = moment.snapshot.columns[kind].get(name)
        if column is None:
            return [None] * len(rows)
        values, there = column.cells.at(rows)
    sent: list[float | str | None] = values.tolist()
    if not (there & np.isfinite(values)).all():
        for at in np.flatnonzero(~np.isfinite(values)).tolist():
            sent[at] = _spelled(float(values[at]))
        for at in np.flatnonzero(~there).tolist():
            sent[at] = None
    return sent


def _spelled(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _zone(name: str) -> ZoneInfo | None:
    """Return a time zone by its name; None for that of this machine. Raises InvalidRequest."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidRequest(
            f"The time zone {name[:100]!r} is not known.", hint="Use a name such as Asia/Kolkata or UTC."
        ) from None
