"""Define a source's report of changes: whole runs, in a form that is quick to make and to sort into columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from genops_lab.core.arrow import strings

from .cells import Rows

#: The name of a column, its rows in ascending order, and their values: numbers (numpy) or texts (Arrow).
Part = tuple[str, Rows, Any]
#: An artifact URI has its run's id: stored once for all runs of an experiment, with this in the id's place.
_RUN_ID = "\x00"


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
    """Runs (:class:`RunRow`) that are new or changed, each whole; ``gone`` ones; all experiments by id.

    ``experiments`` None: unchanged.
    """

    runs: list[Any] = field(default_factory=list)
    metrics: Entries = field(default_factory=Entries)
    params: Entries = field(default_factory=Entries)
    tags: Entries = field(default_factory=Entries)
    gone: list[str] = field(default_factory=list)
    experiments: dict[str, ExperimentRow] | None = None
    #: Whether metrics and parameters can be deleted. Those of runs cannot.
    may_lose_values: ClassVar[bool] = False

    @property
    def ids(self) -> list[str]:
        """The id of each row in ``runs``."""
        return [row[0] for row in self.runs]

    def attributes(self, where: Rows) -> Iterator[Part]:
        """Yield the columns of the attributes of ``runs``, which stand at the rows ``where``."""
        runs: list[RunRow] = self.runs
        return attribute_parts(
            where,
            {
                "run_name": [run.name for run in runs],
                "status": [run.status for run in runs],
                "experiment_id": [run.experiment_id for run in runs],
                "user": [run.user or None for run in runs],
                "lifecycle_stage": [run.lifecycle_stage for run in runs],
                "artifact_uri": [
                    run.artifact_uri.replace(run.run_id, _RUN_ID) if run.artifact_uri else None
                    for run in runs
                ],
            },
            {
                "start_time": [None if run.start_time is None else run.start_time / 1000 for run in runs],
                "end_time": [None if run.end_time is None else run.end_time / 1000 for run in runs],
            },
        )

    def __bool__(self) -> bool:
        """Return whether there is any content (which may be known already)."""
        return bool(self.runs or self.gone or self.experiments is not None)


def attribute_parts(
    where: Rows, texts: Mapping[str, Sequence[str | None]], numbers: Mapping[str, Sequence[float | None]]
) -> Iterator[Part]:
    """Yield columns of ``texts`` and ``numbers``, whose values stand at the rows ``where``."""
    in_order = bool((where[1:] > where[:-1]).all())
    order = [] if in_order else np.argsort(where, kind="stable").tolist()
    rows = where if in_order else where[order]
    for name, values in (*texts.items(), *numbers.items()):
        ordered = values if in_order else [values[at] for at in order]
        held, present = rows, ordered
        if None in ordered:
            there = np.fromiter((value is not None for value in ordered), np.bool_, len(ordered))
            held, present = rows[there], [value for value in ordered if value is not None]
        if len(present):
            made = strings(present) if name in texts else np.array(present, np.float64)  # type: ignore[arg-type]
            yield name, held, made


def artifact_uri(template: str | None, run_id: str) -> str | None:
    """Return a run's artifact URI from the text in its column."""
    return None if template is None else template.replace(_RUN_ID, run_id)
