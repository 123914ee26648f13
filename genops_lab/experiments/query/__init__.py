"""Parse and evaluate the query language of runs and versions: MLflow's filter strings, and more.

Example::

    query = parse("metrics.accuracy > 0.9 AND (params.optimizer = 'adam' OR NOT tags.debug IS NOT NULL)")
    mask = query.mask(columns, now=time.time())

``docs/users/queries.md`` describes the language, and ``Columns`` the data that a query needs. Importing this
is cheap: lark loads with the first ``parse``, numpy and pyarrow with the first ``mask`` or regular
expression.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import TYPE_CHECKING

from .columns import Columns, Kind, Numbers, Texts
from .errors import NotInColumns, QueryError, nearest
from .models import Completion, Doubt
from .names import Name
from .subjects import RUNS, Subject

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .nodes import Node

__all__ = [
    "Columns",
    "Completion",
    "Doubt",
    "Kind",
    "Name",
    "NotInColumns",
    "Numbers",
    "Query",
    "QueryError",
    "Texts",
    "complete",
    "parse",
]


@dataclass(frozen=True)
class Query:
    """A parsed query. It may be kept and applied to any columns at any time."""

    text: str
    node: Node
    subject: Subject
    _found: tuple[tuple[Name, int, int], ...] = field(repr=False)

    @property
    def names(self) -> tuple[Name, ...]:
        """The columns that the query uses, each once, in the order of the text."""
        return tuple(dict.fromkeys(name for name, _, _ in self._found))

    def mask(self, columns: Columns, *, now: float, timezone: tzinfo | None = None) -> npt.NDArray[np.bool_]:
        """Return the matching runs: bool, shape (rows,), a new array.

        ``now``: seconds since 1970, from which ``today`` and ``-7d`` are counted. ``timezone`` decides where
        days begin; None is this machine's.
        """
        from .evaluate import Evaluation
        from .times import Clock

        return Evaluation(columns, Clock(now, timezone)).mask(self.node)

    def doubts(self, columns: Columns) -> list[Doubt]:
        """Return the metrics, parameters and tags that no run has, with similar names."""
        doubts: list[Doubt] = []
        for name, position, length in self._found:
            if name.kind == "attribute":
                continue
            known = columns.names(name.kind)
            if name.key not in known:
                near = [str(Name(name.kind, key)) for key in nearest(name.key, known)]
                hint = f"Did you mean {' or '.join(near)}?" if near else ""
                doubts.append(
                    Doubt(
                        message=f"No {self.subject.one} has {name}.",
                        hint=hint,
                        position=position,
                        length=length,
                    )
                )
        return doubts


@functools.lru_cache(maxsize=64)  # the table asks the same one of each new state of the runs
def parse(text: str, subject: Subject = RUNS) -> Query:
    """Parse a query about runs or versions; a blank one matches every row.

    Raises QueryError with the error's position, and NotInColumns if the query uses data sets, which only
    MLflow can search.
    """
    from .build import Builder

    builder = Builder(text, subject)
    return Query(text, builder.build(), subject, tuple(builder.found))


def complete(text: str, cursor: int, columns: Columns, subject: Subject = RUNS) -> list[Completion]:
    """Return completions at ``cursor`` (a position in characters), best first, at most 50.

    They are names, operators and keywords by the grammar; after a comparison, the values of runs with their
    counts. There are none if the text before the cursor is wrong.
    """
    from .completion import completions

    return completions(text, cursor, columns, subject)
