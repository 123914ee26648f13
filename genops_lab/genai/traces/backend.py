"""Answer questions about all traces in the process that holds the runs; cheap to import."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genops_lab.experiments.columns.backend import bounded, checked, state_of, window
from genops_lab.experiments.columns.models import RunColumns, RunQueryText, RunsState, RunTable, RunTableQuery
from genops_lab.experiments.query.models import Completion
from genops_lab.experiments.query.names import quoted_text

from .metadata import CALLER_TRACE

if TYPE_CHECKING:
    from genops_lab.experiments.columns.mirror import Shown
    from genops_lab.experiments.columns.selection import Asked
    from genops_lab.experiments.columns.source import Source

#: Columns with what requests and answers said.
CONTENT = ("request", "response")


class TraceMirror:
    """The traces of one MLflow, beside the mirror of its runs. All methods block."""

    def __init__(self, tracking_uri: str, cache: str, **_others: Any) -> None:
        from genops_lab.experiments.columns.mirror import Mirror

        self._mirror = Mirror(ways_to(tracking_uri), Path(cache).with_name("traces"), "traces")
        #: Questions to the last state of the traces: all columns, and those without content.
        self._last: tuple[Asked, Asked, Asked] | None = None
        self._last_hides: tuple[bool, int] = (False, 0)

    def table(self, query: RunTableQuery, content: bool) -> RunTable:
        """Return a window of the matching traces. Without ``content`` requests, responses and texts of assessments are
        empty and not searched."""
        checked(query.limit, query.offset)
        shown = self._mirror.now(bounded(query.wait_s))
        return window(self._asked(shown, content), query, _state(shown))

    def columns(self) -> RunColumns:
        """Return all columns."""
        shown = self._mirror.now(0)
        return RunColumns(columns=self._asked(shown, True).names(), state=_state(shown))

    def completions(self, text: RunQueryText) -> list[Completion]:
        """Return completions for a query, never from content."""
        return self._asked(self._mirror.now(0), False).completions(text.text, text.position)

    def find(self, reference: str, most: int) -> list[str]:
        """Return up to ``most`` ids of traces that begin with ``reference``, all read; ``latest``: the newest."""
        asked = self._asked(self._mirror.now(bounded(30.0)), False)
        if reference == "latest":
            rows = asked.find([], "", [], "all").rows[:1]
            return [asked.snapshot.ids[row] for row in rows.tolist()]
        known = asked.snapshot
        if known.place(reference) is not None:
            return [reference]
        begins = (reference, f"tr-{reference}")
        return [each for each in known.ids[: known.rows] if each.startswith(begins)][:most]

    def called(self, trace_id: str) -> list[str]:
        """Return traces of deployments that a span of this trace called, the newest 100."""
        asked = self._asked(self._mirror.now(0), False)
        if CALLER_TRACE not in asked.snapshot.columns["tag"]:
            return []
        query = RunTableQuery(
            query=f"tags.`{CALLER_TRACE}` = {quoted_text(trace_id)}", lifecycle="all", limit=100
        )
        return self.table(query, content=False).run_ids

    def state(self) -> RunsState:
        """Return how many of the traces are read."""
        return _state(self._mirror.state())

    def wait(self, version: int, wait_s: float) -> RunsState:
        """Return the state when its version changes, or after ``wait_s`` seconds."""
        return _state(self._mirror.wait(version, bounded(wait_s)))

    def touch(self, trace_ids: list[str]) -> None:
        """Note that GenOps Lab changed these traces."""
        self._mirror.touch(trace_ids)

    def _asked(self, shown: Shown, content: bool) -> Asked:
        from dataclasses import replace

        from genops_lab.experiments.columns.selection import Asked
        from genops_lab.experiments.query.subjects import TRACES

        from .rows import SAID

        # Until all traces are read again, nobody knows which params of the saved ones are texts of assessments.
        is_read = shown.complete and shown.current
        hides = (is_read, len(SAID))
        if self._last is None or self._last[0] is not shown.asked or self._last_hides != hides:
            snapshot = replace(shown.asked.snapshot, subject=TRACES)
            attributes, params = snapshot.columns["attribute"], snapshot.columns["param"]
            others = {name: column for name, column in attributes.items() if name not in CONTENT}
            own = {name: column for name, column in params.items() if is_read and name not in SAID}
            without = replace(snapshot, columns={**snapshot.columns, "attribute": others, "param": own})
            self._last, self._last_hides = (shown.asked, Asked(snapshot), Asked(without)), hides
        return self._last[1 if content else 2]


def _state(shown: Shown) -> RunsState:
    from msgspec.structs import replace

    return replace(state_of(shown), advice=[])


def ways_to(tracking_uri: str) -> list[Callable[[], Source]]:
    """Return the sources to try, the best first; the last one reads any store that mlflow can open."""
    from genops_lab.experiments.columns.sqlite_source import file_of

    from .api import ApiTraces
    from .sqlite import SqliteTraces

    ways: list[Callable[[], Source]] = []
    file = file_of(tracking_uri)
    if file is not None:
        ways.append(partial(SqliteTraces, file))
    ways.append(partial(ApiTraces, tracking_uri))
    return ways
