"""What is said beside the runs that were asked for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from msgspec.structs import replace

from genops_lab.core.errors import Failed, GenOpsError, NotFound
from genops_lab.core.paths import data_dir, private_dir
from genops_lab.experiments.columns.models import RunSearch, RunsFound, RunSort, RunsState
from genops_lab.experiments.columns.service import RunTableService
from genops_lab.experiments.models import Run
from genops_lab.experiments.query import NotInColumns, parse
from genops_lab.experiments.query.errors import nearest, pointed
from genops_lab.experiments.query.models import Doubt
from genops_lab.experiments.service import ExperimentsService

from .session import Session

#: How many runs are asked for at once; the server answers with no more.
_PAGE = 1000
#: So many runs that go on are looked at, whether they still log.
_MOST_RUNNING = 20

DAY_S = 86_400.0


@contextlib.contextmanager
def query_pointed_at(session: Session, query: str) -> Iterator[None]:
    """Where the query is what is wrong, point at the place."""
    try:
        yield
    except GenOpsError as error:
        if {"position", "length"} <= error.details.keys():
            session.say(pointed(query, int(error.details["position"]), int(error.details["length"])))
        raise


def all_found(session: Session, asked: RunSearch, limit: int) -> RunsFound:
    """The first ``limit`` runs, fetched in as many answers as it takes."""
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
    """What was perhaps not meant so, what is not read yet (no matter where what is shown was read ``alone``),
    and what would make MLflow better."""
    for doubt in doubts:
        session.say(f"{pointed(query, doubt.position, doubt.length)}\n{doubt.message} {doubt.hint}".rstrip())
    if state.problem:
        session.say(f"MLflow does not answer; this is what was read before. {state.problem}")
    elif not state.complete and not alone:
        session.say(f"{state.read} of {state.total or 'all'} runs are read so far: try again later.")
    for advice in state.advice:
        if is_due(advice.code):
            session.say(f"{advice.message} {advice.hint}")


def metrics_asked_for(query: str, sort: list[RunSort]) -> list[str]:
    """The names of the metrics that runs are sorted by and asked for, each once, in this order."""
    names = [by.column.partition(".")[2] for by in sort if _kind(by) == "metric"]
    if query.strip():
        # What asks for data sets was answered by MLflow itself.
        with contextlib.suppress(NotInColumns):
            names += [name.key for name in parse(query).names if name.kind == "metric"]
    return list(dict.fromkeys(names))


def stalled(session: Session, runs: list[Run]) -> dict[str, float]:
    """By run, for how many seconds those that go on have logged nothing, where that is long."""
    going_on = [run for run in runs if run.status == "RUNNING"][:_MOST_RUNNING]
    quiet: dict[str, float] = {}
    for run in going_on:
        with contextlib.suppress(NotFound):  # deleted meanwhile
            latest = session.call(ExperimentsService.get_latest_metrics, run_id=run.run_id)
            if latest.stalled_s is not None:
                quiet[run.run_id] = latest.stalled_s
    return quiet


def sorted_by_nothing(session: Session, found: RunsFound, sort: list[RunSort]) -> None:
    """Say which metrics and parameters of the order no run has."""
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
            session.say(f"No run here has {by.column}: nothing is sorted by it.{hint}")


def _kind(by: RunSort) -> str:
    """Whether it is a metric or a parameter; empty for all else."""
    prefix, dot, _ = by.column.partition(".")
    kind = prefix.removesuffix("s") if dot else ""
    return kind if kind in ("metric", "param") else ""


def is_due(code: str) -> bool:
    """Whether what has this code was not said in the last day; it counts as said from now on."""
    # What cannot be noted is said again.
    with contextlib.suppress(OSError, Failed):
        said = private_dir(data_dir() / "said") / code
        if said.exists() and 0 <= time.time() - said.stat().st_mtime < DAY_S:
            return False
        said.touch()
    return True
