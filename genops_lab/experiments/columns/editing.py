"""Wire types of changes to many runs at once."""

from __future__ import annotations

import msgspec


class RunsTagging(msgspec.Struct, frozen=True, kw_only=True):
    """Tags to set on runs, by whole ids, at most 1,000."""

    run_ids: list[str]
    set: dict[str, str]
