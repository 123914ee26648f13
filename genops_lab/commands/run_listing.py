"""Read what ``genops runs list`` shows with the runs: groups, best values of metrics, stalled runs and remarks."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from array import array
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from msgspec.structs import replace

from genops_lab.core.errors import Failed, GenOpsError, NotFound, Unavailable
from genops_lab.core.paths import data_dir, private_dir
from genops_lab.experiments.charts.models import HistoriesQuery
from genops_lab.experiments.columns.models import (
    Lifecycle,
    RunColumns,
    RunGroup,
    RunGrouping,
    RunSearch,
    RunsFound,
    RunSort,
    RunsState,
    RunTable,
    RunTableQuery,
)
from genops_lab.experiments.columns.service import RunTableService
from genops_lab.experiments.models import Run, RunDetail
from genops_lab.experiments.query import NotInColumns, parse
from genops_lab.experiments.query.errors import nearest, pointed
from genops_lab.experiments.query.models import Doubt
from genops_lab.experiments.query.subjects import RUNS, Subject
from genops_lab.experiments.service import ExperimentsService

from .session import Session
from .views.runs import groups as view

#: How many runs are asked for at once; the server answers with no more.
_PAGE = 1000
#: So many runs that go on are looked at, whether they still log.
_MOST_RUNNING = 20

DAY_S = 86_400.0


@contextlib.contextmanager
def query_pointed_at(session: Session, query: str) -> Iterator[None]:
    """Point at the place of a mistake in the query."""
    try:
        yield
    except GenOpsError as error:
        if {"position", "length"} <= error.details.keys():
            session.say(pointed(query, int(error.details["position"]), int(error.details["length"])))
        raise


def all_found(session: Session, asked: RunSearch, limit: int) -> RunsFound:
    """Return the first ``limit`` runs, fetched in pages."""
    found = session.call(RunTableService.search_runs, body=replace(asked, limit=min(limit, _PAGE)))
    while len(found.runs) < min(limit, found.matched):
        part = min(limit - len(found.runs), _PAGE)
        # A run that changed between two pages may be in both: it is listed once.
        seen = {run.run_id for run in found.runs}
        more = session.call(
            RunTableService.search_runs, body=replace(asked, offset=len(found.runs), limit=part, wait_s=0)
        )
        runs = found.runs + [run for run in more.runs if run.run_id not in seen]
        if len(runs) == len(found.runs):
            break
        found = replace(found, runs=runs)
    return found


def remarks(
    session: Session, query: str, doubts: list[Doubt], state: RunsState, *, alone: bool = False
) -> None:
    """Say which parts of the query are doubtful, whether runs are missing, and how MLflow would become faster.

    ``alone``: without a Lab, only the runs that are shown were read, so that others are not missing.
    """
    for doubt in doubts:
        session.say(f"{pointed(query, doubt.position, doubt.length)}\n{doubt.message} {doubt.hint}".rstrip())
    if state.problem:
        session.say(f"MLflow does not answer, so these are the runs as last read. {state.problem}")
    elif not state.complete and not alone:
        session.say(
            f"{state.read} of {state.total or 'all'} runs are read so far. Run this again later for all."
        )
    for advice in state.advice:
        if is_due(advice.code):
            session.say(f"{advice.message} {advice.hint}")


def sorting(key: str) -> RunSort:
    """Read a column to sort by, such as ``-metrics.loss`` or MLflow's ``metrics.loss DESC``."""
    column, _, direction = key.strip().rpartition(" ")
    if column and direction.upper() in ("ASC", "DESC"):
        return RunSort(column=_unquoted(column.strip()), descending=direction.upper() == "DESC")
    return RunSort(column=_unquoted(key.strip().removeprefix("-")), descending=key.strip().startswith("-"))


def _unquoted(column: str) -> str:
    """Return a column's name without the quotes that MLflow's ``order_by`` and ``--filter`` know.

    >>> _unquoted("metrics.`val loss`")
    'metrics.val loss'
    """
    kind, dot, name = column.partition(".")
    if len(name) > 2 and name[0] == name[-1] and name[0] in '`"':
        return f"{kind}{dot}{name[1:-1]}"
    return column


def metrics_asked_for(query: str, sort: list[RunSort], subject: Subject = RUNS) -> list[str]:
    """Return the metrics of the order, then those of the query, each once."""
    names = [by.column.partition(".")[2] for by in sort if _kind(by) == "metric"]
    if query.strip():
        # What asks for data sets was answered by MLflow itself.
        with contextlib.suppress(NotInColumns):
            names += [name.key for name in parse(query, subject).names if name.kind == "metric"]
    return list(dict.fromkeys(names))


def stalled(session: Session, runs: list[Run]) -> dict[str, float]:
    """Return, by run, for how many seconds a running run has logged no metric, where it is stalled."""
    going_on = [run for run in runs if run.status == "RUNNING"][:_MOST_RUNNING]
    quiet: dict[str, float] = {}
    for run in going_on:
        with contextlib.suppress(NotFound):  # deleted meanwhile
            latest = session.call(ExperimentsService.get_latest_metrics, run_id=run.run_id)
            if latest.stalled_s is not None:
                quiet[run.run_id] = latest.stalled_s
    return quiet


def sorted_by_nothing(session: Session, found: RunsFound, sort: list[RunSort]) -> None:
    """Say which metrics and parameters of the order no listed run has."""
    for level, by in enumerate(sort):
        # Runs without a value come last: where the first ones have none, no run has. Further levels: all must be seen.
        kind, seen = _kind(by), level == 0 or len(found.runs) == found.matched
        if not kind or not found.runs or not seen:
            continue
        prefix, _, name = by.column.partition(".")
        known = {key for run in found.runs for key in (run.metrics if kind == "metric" else run.params)}
        if name not in known:
            near = " or ".join(f"{prefix}.{key}" for key in nearest(name, sorted(known)))
            hint = f" Did you mean {near}?" if near else ""
            session.say(f"No run here has {by.column}, so nothing is sorted by it.{hint}")


def _kind(by: RunSort) -> str:
    """Return ``metric`` or ``param``; empty for another column."""
    prefix, dot, _ = by.column.partition(".")
    kind = prefix.removesuffix("s") if dot else ""
    return kind if kind in ("metric", "param") else ""


def is_due(code: str) -> bool:
    """Return whether the advice with this code was not given in the last 24 h, and note that it is given now."""
    # Advice that cannot be noted is given again.
    with contextlib.suppress(OSError, Failed):
        said = private_dir(data_dir() / "said") / code
        if said.exists() and 0 <= time.time() - said.stat().st_mtime < DAY_S:
            return False
        said.touch()
    return True


_WAIT_S = 60
_MOST_ROWS = 1000
#: The most metrics of a group in the answer: those that most runs have.
_METRICS = 50


def list_groups(
    session: Session,
    by: list[str],
    *,
    experiments: list[str],
    query: str,
    sort: list[RunSort],
    lifecycle: Lifecycle,
    limit: int,
) -> None:
    """List the groups of the innermost level, each once."""
    asked = RunTableQuery(
        experiments=experiments,
        query=query,
        sort=sort,
        lifecycle=lifecycle,
        limit=_MOST_ROWS,
        wait_s=_WAIT_S,
        groups=RunGrouping(by=by, open_levels=len(by) - 1),
    )
    with query_pointed_at(session, query):
        # Waits until all runs are read, so that their columns are known.
        session.call(RunTableService.query_runs, body=replace(asked, limit=0))
    metrics = _metrics(session.call(RunTableService.list_run_columns), sort)
    found = session.call(RunTableService.query_runs, body=replace(asked, columns=["start_time", *metrics]))
    inner = [group for group in found.groups if len(group.path) == len(by)]
    shown = [_as_data(by, group, found, metrics) for group in inner[:limit]]
    session.show(shown, view(by, shown, metrics))
    if len(shown) < len(inner) or found.places > len(found.run_ids):
        more = "more" if found.places > len(found.run_ids) else str(len(inner))
        session.say(
            f"These are {len(shown)} of {more} groups. A larger --limit shows more, and --filter narrows them."
        )
    remarks(session, query, found.doubts, found.state)


def _metrics(known: RunColumns, sort: list[RunSort]) -> list[str]:
    """Return the metrics of the order, then those that most runs have."""
    sorted_by = [each.column for each in sort if each.column.startswith("metrics.")]
    used = sorted(
        (each for each in known.columns if each.column.startswith("metrics.") and each.runs),
        key=lambda each: -each.runs,
    )
    of_machines = [each.column for each in used if not each.column.startswith("metrics.system/")]
    return list(dict.fromkeys([*sorted_by, *of_machines]))[:_METRICS]


def _as_data(by: list[str], group: RunGroup, found: RunTable, metrics: list[str]) -> dict[str, Any]:
    """Return a group as data: by metric the mean, smallest and largest finite value, and how many there are."""
    values = {column.column: column.values[group.at] for column in found.columns}
    return {
        "group": dict(zip(by, group.path, strict=True)),
        "runs": group.runs,
        "newest_at": values["start_time"],
        "metrics": {
            name.removeprefix("metrics."): {
                "mean": values[name],
                "min": spread.low,
                "max": spread.high,
                "finite": spread.finite,
                "not_finite": spread.other,
            }
            for name in metrics
            if (spread := group.spreads.get(name)) is not None
        },
    }


#: The most runs of one query for best values.
MOST_RUNS = 200
#: MLflow's API needs two requests a run.
MOST_ASKED_BY_API = 20
#: The most metrics of a run that are shown with their lowest and highest value.
MOST_METRICS = 20
#: The fewest parts of a history in an answer: each part has its lowest and its highest point.
_BUCKETS = 16


class Point(NamedTuple):
    """A metric's value, and the step at which it was logged."""

    value: float
    step: int


class Best(NamedTuple):
    """The best value of a metric: its highest (``max``) or its lowest (``min``)."""

    word: str
    point: Point


class Extremes(NamedTuple):
    """The lowest and the highest finite value of a metric, each at its first step."""

    low: Point
    high: Point


def best_values(session: Session, found: RunsFound, sort: list[RunSort]) -> dict[str, dict[str, Best]]:
    """Return, by run and metric, the best value of each metric of the order.

    The best value is the highest where the largest comes first, else the lowest.
    """
    best: dict[str, dict[str, Best]] = {}
    most = MOST_ASKED_BY_API if found.state.source == "api" else MOST_RUNS
    run_ids = [run.run_id for run in found.runs][:most]
    for by in sort if run_ids else []:
        kind, dot, key = by.column.partition(".")
        if not dot or kind not in ("metric", "metrics"):
            continue
        for run_id, known in extremes(session, run_ids, key).items():
            point, word = (known.high, "max") if by.descending else (known.low, "min")
            best.setdefault(run_id, {})[key] = Best(word, point)
    return best


def extremes_of_run(session: Session, detail: RunDetail) -> dict[str, Extremes]:
    """Return the extremes of a run's own metrics that were logged more than once, by name."""
    logged_at = {metric.key: metric.step for metric in detail.latest}
    keys = [key for key in sorted(detail.run.metrics) if not key.startswith("system/") and logged_at.get(key)]
    run_id = detail.run.run_id
    found = {key: extremes(session, [run_id], key).get(run_id) for key in keys[:MOST_METRICS]}
    return {key: known for key, known in found.items() if known is not None and known.low != known.high}


def points_as_data(found: dict[str, Extremes]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the extremes for ``--json``: by metric ``{"min": {"value", "step"}, "max": ...}``."""
    return {key: {"min": each.low._asdict(), "max": each.high._asdict()} for key, each in found.items()}


def extremes(session: Session, run_ids: list[str], key: str) -> dict[str, Extremes]:
    """Return a metric's extremes by run, without runs that have no finite value; nothing if MLflow does not answer."""
    query = HistoriesQuery(run_ids=run_ids[:MOST_RUNS], key=key, buckets=_BUCKETS)
    try:
        found = session.call(ExperimentsService.query_histories, body=query)
    except Unavailable as error:
        session.say(f"Cannot read the best values of {key}. {error.message}")
        return {}
    read = {each.run_id: _of(_doubles(each.x), _doubles(each.y)) for each in found.histories}
    return {run_id: known for run_id, known in read.items() if known is not None}


def _of(steps: Iterable[float], values: Iterable[float]) -> Extremes | None:
    points = [
        Point(value, int(step))
        for step, value in zip(steps, values, strict=True)
        if math.isfinite(value)
        and abs(value) < sys.float_info.max  # which stands for an infinity in MLflow's databases
    ]
    if not points:
        return None
    return Extremes(min(points, key=lambda point: point.value), max(points, key=lambda point: point.value))


def _doubles(content: bytes) -> array[float]:
    doubles = array("d")
    doubles.frombytes(content)
    if sys.byteorder == "big":
        doubles.byteswap()
    return doubles
