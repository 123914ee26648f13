"""Serve chart histories from the runs worker; cheap to import."""

from __future__ import annotations

from typing import Any

from genops_lab.core.errors import InvalidRequest

from .models import Histories, HistoriesQuery

MAX_RUNS = 200
_BUCKETS = (16, 4000)
_MAX_WINDOW = 1001


class RunHistories:
    """Histories for charts. All methods block."""

    def __init__(self, tracking_uri: str, **_others: Any) -> None:
        from .readers import KeptHistories, readers_of

        self._kept = KeptHistories(readers_of(tracking_uri))

    def histories(self, query: HistoriesQuery) -> Histories:
        """Return the points to draw. Raises InvalidRequest, Unavailable."""
        from .drawing import drawn

        _check(query)
        known = self._kept.now(query.key, list(dict.fromkeys(query.run_ids)))
        return drawn(known, query)


def _check(query: HistoriesQuery) -> None:
    if not 1 <= len(query.run_ids) <= MAX_RUNS:
        raise InvalidRequest(
            f"Histories of {len(query.run_ids)} runs were requested at once.",
            hint=f"Name 1 to {MAX_RUNS} runs.",
        )
    least, most = _BUCKETS
    if not least <= query.buckets <= most:
        raise InvalidRequest(
            f"A chart of {query.buckets} pixels width is not possible.",
            hint=f"Request {least} to {most} buckets.",
        )
    if query.first is not None and query.last is not None and not query.first < query.last:
        raise InvalidRequest(
            f"The range from {query.first:g} to {query.last:g} is empty.", hint="Give the lower end first."
        )
    how = query.smoothing
    if how.kind == "ema" and not 0 <= how.amount < 1:
        raise InvalidRequest(
            f"The smoothing weight {how.amount:g} is outside of its range.",
            hint="Use a weight from 0 to below 1.",
        )
    if how.kind == "mean" and not 1 <= how.amount <= _MAX_WINDOW:
        raise InvalidRequest(
            f"A mean of {how.amount:g} points is not possible.", hint=f"Use 1 to {_MAX_WINDOW} points."
        )
