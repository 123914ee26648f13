"""Wire types of what a person does in the run table: a query that is being typed, tags for many runs."""

from __future__ import annotations

import msgspec

from genops_lab.experiments.query.models import Completion


class QueryDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A query that is being typed; ``cursor`` is a place among its characters (code points)."""

    text: str
    cursor: int


class Completions(msgspec.Struct, frozen=True, kw_only=True):
    """What may stand at the cursor, best first."""

    completions: list[Completion]


class RunsTagging(msgspec.Struct, frozen=True, kw_only=True):
    """Tags to set on runs, by whole ids, at most 1,000."""

    run_ids: list[str]
    set: dict[str, str]
