"""Look prices up in the table that LiteLLM ships, where LiteLLM is installed. Nothing is imported or downloaded."""

from __future__ import annotations

import datetime
import functools
import importlib.util
from pathlib import Path
from typing import Any

import msgspec

from .limits import Price

_TABLE = "model_prices_and_context_window_backup.json"


def price_of(model: str) -> Price | None:
    """Return the price of a model, with the date of LiteLLM's table; None if it is not known."""
    table, date = _table()
    found = table.get(model)
    if not isinstance(found, dict):
        return None
    given, written = _each(found, "input_cost_per_token"), _each(found, "output_cost_per_token")
    if given is None or written is None:
        return None
    return Price(
        input=given, output=written, cached_input=_each(found, "cache_read_input_token_cost"),
        reasoning=_each(found, "output_cost_per_reasoning_token"),
        batch_input=_each(found, "input_cost_per_token_batches"),
        batch_output=_each(found, "output_cost_per_token_batches"), date=date, source="LiteLLM",
    )  # fmt: skip


def _each(found: dict[str, Any], name: str) -> float | None:
    value = found.get(name)
    return round(value * 1e6, 9) if isinstance(value, int | float) and value >= 0 else None


@functools.cache
def _table() -> tuple[dict[str, Any], str]:
    spec = importlib.util.find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        return {}, ""
    path = Path(next(iter(spec.submodule_search_locations))) / _TABLE
    try:
        date = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.timezone.utc).date()
        found = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}, ""
    return (found if isinstance(found, dict) else {}), date.isoformat()
