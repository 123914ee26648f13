"""Runs read through MLflow's API, which does not tell what changed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from genops_lab.core.errors import NotFound

from .api import Api, Experiment, Run, as_changes, as_experiments
from .changes import Changes
from .narrowing import Narrowed, Part, experiments_of, spelled
from .snapshot import Snapshot
from .source import ReadAnew, SourceKind

NEWEST_FIRST = "attributes.start_time DESC"
_ENDED_LAST = "attributes.end_time DESC"
_RUNNING = "attributes.status = 'RUNNING'"
_RUNNING_AT_MOST = 200
_RECENT = 25
_ONE_BY_ONE = 50


class ApiSource:
    """Every poll reads the hot set (runs that go on, the latest started and ended ones, those that were touched) and
    one page of a sweep over all runs: so old is what is shown of the others at most.

    ``page`` is for the first reading, ``sweep`` for a sweep: a run of 49 values costs an MLflow server about 1.8 ms.
    """

    kind: SourceKind = "api"
    again_s = 0.0
    settled = True

    def __init__(self, api: Api, page: int = 500, sweep: int = 100, every_s: float = 2.0) -> None:
        self._api = api
        self._page = page
        self._sweep = sweep
        self.every_s = every_s
        self.swept_since: float | None = None
        self._experiments: list[Experiment] = []
        self._read_experiments()
        self._identity = self._identify()
        # Of the sweep that goes on: since when, the next page, what was known at its begin, and what it saw.
        self._since = time.time()
        self._token = ""
        self._known: set[str] | None = None
        self._seen: set[str] = set()
        self._missing: list[str] = []
        self._finished: float | None = None
        #: Runs to be read one by one, so many a poll.
        self._single: dict[str, None] = {}

    def identity(self) -> str:
        """The oldest experiment: its time of creation and its place for artifacts."""
        return self._identity

    def total(self) -> int | None:
        """MLflow does not count."""
        return None

    def newest(self, count: int) -> Changes:
        """The newest runs."""
        changes = as_changes(self._search("", NEWEST_FIRST, count))
        changes.experiments = as_experiments(self._experiments)
        return changes

    def some(self, asked: Narrowed) -> Part | None:
        """Those that a question needs, by MLflow's own search. It does not count."""
        known = as_experiments(self._experiments)
        ids = experiments_of(asked, known)
        if ids is None or not known:
            return None
        order = (
            f"metrics.`{asked.metric}` {'DESC' if asked.descending else 'ASC'}"
            if asked.metric
            else NEWEST_FIRST
        )
        where = " AND ".join(map(spelled, asked.where))
        runs: list[Run] = []
        token = ""
        while len(runs) <= asked.most:
            page = self._api.search(ids or self._ids(), where, order, min(self._page, asked.most), token)
            runs += page.runs
            token = page.next_page_token
            if not token:
                break
        changes = as_changes(runs)
        changes.experiments = known
        told = {"metric": changes.metrics.names, "param": changes.params.names, "tag": changes.tags.names}
        if any(name.kind != "attribute" and name.key not in told[name.kind] for name in asked.names):
            return None  # the candidates do not say whether other runs have it
        return Part(changes, whole=not token, total=None)

    def blocks(self) -> Iterator[Changes]:
        """All runs, page by page."""
        begun, token = time.time(), ""
        yield Changes(experiments=as_experiments(self._experiments))
        while self._experiments:
            page = self._api.search(self._ids(), "", NEWEST_FIRST, self._page, token)
            yield as_changes(page.runs)
            token = page.next_page_token
            if not token:
                break
        self.swept_since = begun

    def resume(self, mark: str) -> bool:
        """What was kept is as old as its last sweep, and is swept again from now on."""
        self.swept_since = float(mark)
        return True

    def mark(self) -> str:
        """When the last whole sweep began."""
        return str(self.swept_since or 0.0)

    def poll(self, known: Snapshot, touched: frozenset[str]) -> Changes:
        """The hot set and a page of the sweep."""
        self._read_experiments()
        if self._identify() != self._identity:
            raise ReadAnew("another MLflow answers at this address")
        runs = self._search(_RUNNING, NEWEST_FIRST, _RUNNING_AT_MOST)
        going_on = {run.info.run_id for run in runs}
        runs += self._search("", NEWEST_FIRST, _RECENT)
        runs += self._search("", _ENDED_LAST, _RECENT)
        read = {run.info.run_id for run in runs}
        ended = [run_id for run_id in known.running() if run_id not in read and run_id not in going_on]
        runs += self._swept(known)
        read = {run.info.run_id for run in runs}
        self._single = dict.fromkeys(
            run_id for run_id in (*touched, *ended, *self._single) if run_id not in read
        )
        suspects, self._missing = self._missing[:_ONE_BY_ONE], self._missing[_ONE_BY_ONE:]
        now = list(self._single)[:_ONE_BY_ONE]
        gone = []
        for run_id in dict.fromkeys([*now, *suspects]):
            self._single.pop(run_id, None)
            try:
                runs.append(self._api.get(run_id))
            except NotFound:
                gone.append(run_id)
        if self._finished is not None and not self._missing:
            self.swept_since, self._finished = self._finished, None
        changes = as_changes(runs)
        changes.gone = gone
        changes.experiments = as_experiments(self._experiments)
        return changes

    def _swept(self, known: Snapshot) -> list[Run]:
        """The sweep's next page."""
        if self._known is None:
            self._since, self._known, self._seen = time.time(), set(known.ids[: known.rows]), set()
        if not self._experiments:
            runs, self._token = [], ""
        else:
            page = self._api.search(self._ids(), "", NEWEST_FIRST, self._sweep, self._token)
            runs, self._token = page.runs, page.next_page_token
        self._seen.update(run.info.run_id for run in runs)
        if not self._token:
            # Runs that were deleted for good are in no page; nor is one that moved between two pages.
            self._missing += sorted(self._known - self._seen - set(self._missing))
            self._finished, self._known = self._since, None
        return runs

    def lacks_statistics(self) -> bool:
        """Nothing is known of the server's database."""
        return False

    def close(self) -> None:
        """Nothing is open between two requests."""

    def _search(self, where: str, order: str, limit: int) -> list[Run]:
        return self._api.search(self._ids(), where, order, limit).runs if self._experiments else []

    def _ids(self) -> list[str]:
        return [each.experiment_id for each in self._experiments]

    def _read_experiments(self) -> None:
        self._experiments = self._api.experiments()

    def _identify(self) -> str:
        oldest = min(
            self._experiments, key=lambda each: (len(each.experiment_id), each.experiment_id), default=None
        )
        told = oldest and [oldest.experiment_id, oldest.creation_time, oldest.artifact_location]
        return json.dumps(["api", told])
