"""Define what a query can be about: runs, versions of models, or traces; and the attributes of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from .columns import NUMBER_ATTRIBUTES, TEXT_ATTRIBUTES


@dataclass(frozen=True, eq=False)
class Subject:
    """The attributes of the rows, and the words for a row.

    ``newest`` is the attribute by which the newest come first. A word alone is searched in the texts of ``parts``,
    and at the beginning of ``ids``. ``lists`` are texts of several values, joined by ``LIST``. A name of ``flags``
    alone finds the rows that have a value.
    """

    one: str
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    newest: str
    parts: tuple[str, ...]
    ids: tuple[str, ...] = ("run_id",)
    lists: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    other_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def attributes(self) -> tuple[str, ...]:
        """All attributes, numbers first."""
        return (*self.numbers, *self.texts)

    def attribute(self, written: str) -> str | None:
        """Return the attribute that is meant, or None."""
        name = written.casefold()
        name = self.other_names.get(name, name)
        return name if name in self.attributes else None


#: Between the values of a list.
LIST: Final = ", "

RUNS: Final = Subject(
    one="run",
    numbers=NUMBER_ATTRIBUTES,
    texts=TEXT_ATTRIBUTES,
    newest="start_time",
    parts=("run_name",),
    other_names={
        "created": "start_time",
        "run name": "run_name",
        "name": "run_name",
        "id": "run_id",
        "user_id": "user",
        "experiment_name": "experiment",
    },
)

VERSIONS: Final = Subject(
    one="version",
    numbers=("version", "created", "updated"),
    texts=(
        "model",
        "aliases",
        "gates",
        "deployed",
        "format",
        "status",
        "run",
        "run_id",
        "experiment",
        "source",
        "origin",
        "parent",
        "base_model",
        "stage",
        "user",
        "description",
    ),
    newest="created",
    parts=("model", "run"),
    lists=("aliases", "deployed", "format"),
    flags=("deployed",),
    other_names={
        "name": "model",
        "number": "version",
        "alias": "aliases",
        "gate": "gates",
        "deployments": "deployed",
        "formats": "format",
        "run name": "run",
        "run_name": "run",
        "created_at": "created",
        "updated_at": "updated",
        "user_id": "user",
    },
)

TRACES: Final = Subject(
    one="trace",
    numbers=(*NUMBER_ATTRIBUTES, "spans", "tokens", "input_tokens", "output_tokens", "cost"),
    texts=(
        "trace_id",
        "name",
        "status",
        "request",
        "response",
        "session",
        "user",
        "experiment",
        "experiment_id",
        "run_id",
        "model_id",
        "source",
        "notebook",
        "cell",
    ),
    newest="start_time",
    parts=("name", "request", "response"),
    ids=("trace_id",),
    other_names={
        "id": "trace_id",
        "created": "start_time",
        "timestamp": "start_time",
        "timestamp_ms": "start_time",
        "trace_name": "name",
        "state": "status",
        "input": "request",
        "output": "response",
        "session_id": "session",
        "total_tokens": "tokens",
        "total_cost": "cost",
        "execution_time": "duration",
        "experiment_name": "experiment",
    },
)

#: Attributes of one of them that are numbers or times; no text of another has such a name.
NUMBERS: Final = frozenset((*RUNS.numbers, *VERSIONS.numbers, *TRACES.numbers))
TIMES: Final = frozenset(("start_time", "end_time", "created", "updated"))
