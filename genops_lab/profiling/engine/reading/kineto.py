"""Read Kineto and Chrome traces into columns."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from genops_lab.core.errors import InvalidRequest

from ..columns import Columns, MarkedCell
from ..formatting import counted
from . import slow_path, spans
from .helpers import Helpers
from .parts import Joined
from .pieces import TraceFile

_KEYS = {
    "device_properties": re.compile(rb'"deviceProperties"\s*:\s*'),
    "distributed": re.compile(rb'"distributedInfo"\s*:\s*'),
    "cells": re.compile(rb'"genopsCells"\s*:\s*'),
}
#: Characters that are kept of a line's text.
LINE_CHARACTERS = 500


#: Columns of this many events take about 0.9 GB.
MAX_EVENTS = 20_000_000


def read(path: Path, helpers: Helpers | None = None) -> Columns:
    """Read a trace. Raises OSError, and InvalidRequest for a file that is not a trace. ``damage`` of the
    columns has the damage."""
    reading = Reading(path)
    reading.take(helpers)
    return reading.columns()


class Reading:
    """``read`` in two steps; only the first step needs helpers."""

    def __init__(self, path: Path) -> None:
        self._source, self._joined = TraceFile(path), Joined()
        self._doubt = ""

    def take(self, helpers: Helpers | None) -> None:
        """Read all events. Raises InvalidRequest where there are none, and where there are too many."""
        for part in self._source.parts(helpers):
            self._joined.add(part)
            if self._joined.events > MAX_EVENTS:
                raise InvalidRequest(
                    f"{self._source.path.name} has more than {MAX_EVENTS:,} events.",
                    hint="Record fewer steps (`%%profile --steps 3`), or split the trace into parts.",
                    code="too_many_events",
                )
        if self._joined.strange and self._joined.strange == self._joined.events:
            raise self._source.no_trace("its list has no events")
        if self._joined.pairs:
            self._joined.add(slow_path.paired(self._joined.pairs))
        if self._joined.marks:
            part, self._doubt = spans.spanning(self._joined.marks, self._joined.end)
            self._joined.add(part)

    def columns(self) -> Columns:
        """Return the columns. Call this once."""
        joined = self._joined
        found = _around_events(self._source, joined)
        found["damage"] += [doubt for doubt in (self._doubt, joined.find_devices()) if doubt]
        return joined.columns(events=joined.events, **found)


def _around_events(source: TraceFile, joined: Joined) -> dict[str, Any]:
    """Return the data around the events, and sentences on data that could not be read."""
    around = source.head + b" " + source.tail
    info = _value(around, "distributed")
    info = info if isinstance(info, dict) else {}
    properties = _value(around, "device_properties")
    damage = [source.damage] if source.damage else []
    if source.skipped or joined.skipped:
        damage.append(f"{counted(source.skipped + joined.skipped, 'event', 'events')} could not be read.")
    more = source.more
    if more:
        damage.append(more)
    if joined.unusable:
        damage.append(f"{counted(joined.unusable, 'event has', 'events have')} no usable time.")
    damage += joined.damage
    return {
        "rank": _natural(info.get("rank")),
        "world_size": _natural(info.get("world_size")),
        "device_properties": (
            [item for item in properties if isinstance(item, dict)] if isinstance(properties, list) else []
        ),
        "cells": _cells(_value(around, "cells")),
        "damage": damage,
        "incomplete": bool(source.damage or source.skipped or more),
    }


def _cells(value: Any) -> list[MarkedCell]:
    """Return the valid cells of ``genopsCells``."""
    return [
        MarkedCell(each["name"], _natural(each.get("number")), _texts(each.get("lines")))
        for each in (value if isinstance(value, list) else [])
        if isinstance(each, dict) and isinstance(each.get("name"), str)
    ]


def _texts(lines: Any) -> dict[int, str]:
    found = lines.items() if isinstance(lines, dict) else ()
    numbered = ((_natural(line), text) for line, text in found if isinstance(text, str))
    return {line: text[:LINE_CHARACTERS] for line, text in numbered if line is not None}


def _natural(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _value(text: bytes, key: str) -> Any:
    """Return the value of a key of the document; None where it is missing or incomplete."""
    found = _KEYS[key].search(text)
    if found is None:
        return None
    try:
        value = json.JSONDecoder().raw_decode(text[found.end() :].decode("utf-8", "replace"))[0]
        # JSON can escape half a UTF-16 pair, which cannot be encoded.
        return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
