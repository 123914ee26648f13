"""Read async slices: begins and ends that an id links, without a thread (``ph: "b"`` and ``"e"``, formerly
``"S"`` and ``"F"``).

They get separate lanes, one per process and category. They never count as work of a device or of a thread.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ..kinds import Kind
from .events import Async, AsyncBegin, AsyncInstant, OldBegin
from .locations import place
from .parts import ASYNC, Builder, Part
from .times import nanoseconds

#: More slices without an end, and a larger share of all, are reported.
_FEW, _PART = 10, 0.1


class Mark(NamedTuple):
    """An async event. ``phase`` is b, e or n."""

    ts: int
    phase: str
    process: str
    category: str
    name: str
    #: Links it to others of its category.
    key: str


def marks(events: Iterable[Async]) -> tuple[list[Mark], int]:
    """Return the events, and the number without a valid time."""
    found, late = [], 0
    for event in events:
        ts = nanoseconds(bytes(event.ts))
        if ts is None:
            late += 1
            continue
        phase = "n" if type(event) is AsyncInstant else "b" if type(event) in (AsyncBegin, OldBegin) else "e"
        # Many events share each of them.
        process, category, name = map(sys.intern, (place(event.pid), event.cat or "", event.name))
        found.append(Mark(ts, phase, process, category, name, _key(event)))
    return found, late


def spanning(found: list[Mark], end_ns: int) -> tuple[Part, str]:
    """Return the slices, and a sentence where many have no end: these last until ``end_ns``, the end of the
    trace."""
    builder = Builder()
    labels: dict[tuple[str, str], str] = {}
    end_ns = max(end_ns, max(mark.ts for mark in found))
    slices = unclosed = 0
    for begin, stop in _pairs(found):
        called = begin.category or begin.name
        thread = f"{ASYNC}{called}"
        labels[begin.process, thread] = f"{called} async"
        lane = builder.lane(begin.process, thread)
        builder.add(begin.ts, (end_ns if stop is None else stop) - begin.ts, begin.name, lane, Kind.OTHER)
        slices += 1
        unclosed += stop is None
    part = builder.part()
    part.labels = labels
    many = unclosed > max(_FEW, _PART * slices)
    return part, (
        f"{unclosed} of {slices} async slices have no end; they extend to the end of the trace."
        if many
        else ""
    )


def _pairs(found: list[Mark]) -> Iterator[tuple[Mark, int | None]]:
    """Yield each begin with the time of its end; None without one. An end belongs to the innermost begin of
    its name."""
    begun: dict[tuple[str, str], list[Mark]] = {}
    for mark in sorted(found, key=lambda each: each.ts):
        if mark.phase == "n":
            yield mark, mark.ts
            continue
        waiting = begun.setdefault((mark.category, mark.key), [])
        if mark.phase == "b":
            waiting.append(mark)
        elif (at := _begin_of(mark, waiting)) is not None:
            yield waiting.pop(at), mark.ts
    for waiting in begun.values():
        for mark in waiting:
            yield mark, None


def _begin_of(end: Mark, waiting: list[Mark]) -> int | None:
    """Return the begin of an id. Each process may count its ids, but another process may end what one
    began."""
    fitting = [at for at, mark in enumerate(waiting) if end.name in ("", mark.name)]
    own = [at for at in fitting if waiting[at].process == end.process]
    return max(own or fitting, default=None)


def _key(event: Async) -> str:
    given: Any = event.id
    if isinstance(event.id2, dict):
        if "local" in event.id2:
            return f"{event.scope} {place(event.pid)} {place(event.id2['local'])}"
        given = event.id2.get("global", given)
    return f"{event.scope} {place(given)}"
