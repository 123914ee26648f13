"""What is said beside the runs that were asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from genops_lab.core.errors import GenOpsError

from .session import Session

if TYPE_CHECKING:
    from genops_lab.experiments.columns.models import RunsState
    from genops_lab.experiments.query.models import Doubt


@contextlib.contextmanager
def query_pointed_at(session: Session, query: str) -> Iterator[None]:
    """Where the query is what is wrong, point at the place."""
    try:
        yield
    except GenOpsError as error:
        if {"position", "length"} <= error.details.keys():
            from genops_lab.experiments.query.errors import pointed

            session.say(pointed(query, int(error.details["position"]), int(error.details["length"])))
        raise


def remarks(session: Session, query: str, doubts: list[Doubt], state: RunsState) -> None:
    """What was perhaps not meant so, what is not read yet, what would make MLflow better."""
    for doubt in doubts:
        from genops_lab.experiments.query.errors import pointed

        session.say(f"{pointed(query, doubt.position, doubt.length)}\n{doubt.message} {doubt.hint}".rstrip())
    if state.problem:
        session.say(f"MLflow does not answer; this is what was read before. {state.problem}")
    elif not state.complete:
        session.say(f"{state.read} of {state.total or 'all'} runs are read so far: try again later.")
    for advice in state.advice:
        session.say(f"{advice.message} {advice.hint}")
