"""A tracked run as the Lab remembers it."""

from __future__ import annotations

import msgspec

from .models import TrackedProcess

OPEN, ENDED, FAILED = "open", "ended", "failed"


class TrackedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run whose events come through the Lab."""

    run_key: str
    run_id: str
    experiment_id: str
    name: str
    state: str
    acked_seq: int
    process: TrackedProcess
