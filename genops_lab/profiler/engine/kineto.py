"""Kineto and Chrome traces as columns."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from . import singly
from .columns import Columns
from .parts import Part, join
from .pieces import TraceFile

_KEYS = {
    "device_properties": re.compile(rb'"deviceProperties"\s*:\s*'),
    "distributed": re.compile(rb'"distributedInfo"\s*:\s*'),
}


def read(path: Path) -> Columns:
    """Raises InvalidRequest when it is no trace, OSError; damage is told in ``damage``."""
    source = TraceFile(path)
    parts = [part.packed() for part in source.parts()]
    pairs = [event for part in parts for event in part.pairs]
    if pairs:
        parts.append(singly.paired(pairs))
    return join(parts, {"events": sum(part.events for part in parts), **_told(source, parts)})


def _told(source: TraceFile, parts: list[Part]) -> dict[str, Any]:
    """What the trace says around its events, and what could not be read."""
    around = source.head + b" " + source.tail
    info = _value(around, "distributed")
    info = info if isinstance(info, dict) else {}
    properties = _value(around, "device_properties")
    damage = [source.damage] if source.damage else []
    skipped = source.skipped + sum(part.skipped for part in parts)
    unusable = sum(part.unusable for part in parts)
    if skipped:
        damage.append(f"{skipped} events could not be read.")
    if unusable:
        damage.append(f"{unusable} events have no usable time.")
    return {
        "rank": _natural(info.get("rank")),
        "world_size": _natural(info.get("world_size")),
        "device_properties": (
            [item for item in properties if isinstance(item, dict)] if isinstance(properties, list) else []
        ),
        "damage": damage,
    }


def _natural(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _value(text: bytes, key: str) -> Any:
    """What a key of the document has; None where it is not there or not whole."""
    found = _KEYS[key].search(text)
    if found is None:
        return None
    try:
        return json.JSONDecoder().raw_decode(text[found.end() :].decode("utf-8", "replace"))[0]
    except (ValueError, RecursionError):
        return None
