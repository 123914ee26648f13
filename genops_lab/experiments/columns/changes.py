"""Define a source's report of changes: whole runs, in a form that is quick to make and to sort into columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class RunRow(NamedTuple):
    """A run's attributes in MLflow's form; times in milliseconds since 1970."""

    run_id: str
    name: str | None
    status: str
    start_time: int | None
    end_time: int | None
    lifecycle_stage: str
    experiment_id: str
    user: str | None
    artifact_uri: str | None


class ExperimentRow(NamedTuple):
    """An experiment."""

    name: str
    lifecycle_stage: str


@dataclass
class Entries:
    """Texts or numbers (None stands for NaN): the run's place in ``Changes.runs``, the name and the value of
    each.

    The lists have equal lengths.
    """

    runs: Sequence[int] = ()
    names: Sequence[str] = ()
    values: Sequence[Any] = ()

    def put(self, rows: list[tuple[int, str, Any]]) -> None:
        """Replace the content by these rows."""
        if rows:
            self.runs, self.names, self.values = zip(*rows, strict=True)


@dataclass
class Changes:
    """Runs that are new or changed, each whole; runs that were deleted (``gone``); all experiments by id.

    ``experiments`` None: unchanged.
    """

    runs: list[RunRow] = field(default_factory=list)
    metrics: Entries = field(default_factory=Entries)
    params: Entries = field(default_factory=Entries)
    tags: Entries = field(default_factory=Entries)
    gone: list[str] = field(default_factory=list)
    experiments: dict[str, ExperimentRow] | None = None

    def __bool__(self) -> bool:
        """Return whether there is any content (which may be known already)."""
        return bool(self.runs or self.gone or self.experiments is not None)
