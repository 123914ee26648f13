"""A stretch of time cut out of a trace file: its events as they are written, as a smaller trace."""

from __future__ import annotations

import gzip
import json
import re
import secrets
from collections.abc import Mapping
from os import SEEK_END
from pathlib import Path
from typing import NamedTuple

from genops_lab.core.errors import InvalidRequest

from ..columns import Columns
from .cutter import Cutter
from .kinds_of_files import FileKind, kind_of_file

#: Of JSON. A browser takes some seconds for so much.
MOST_BYTES = 100 << 20
#: Events differ in length from the trace's mean.
_OVER = 1.5
#: Traces shrink in gzip to a fifth at least and a sixtieth at most, most to an eighteenth. Its last bytes tell the
#: size but for multiples of 4 GiB, and nothing of a file that is cut off.
_PACKED, _LEAST_PACKED, _MOST_PACKED = 18, 5, 60
_WRAP = 1 << 32
_LEVEL = 1
#: Halvings of a stretch that is too long: to a millionth.
_HALVINGS = 20
_NONE: Mapping[str, str] = {}


class Stretch(NamedTuple):
    """Nanoseconds after the columns' origin."""

    first: int
    last: int


class Written(NamedTuple):
    """Events, and those beyond the bound."""

    events: int
    left_out: int


def json_bytes(trace: Path) -> int:
    """About so many bytes of JSON; of most files exactly. Raises InvalidRequest for an export of Nsight Systems, and
    what :func:`kind_of_file` raises."""
    if kind_of_file(trace) is not FileKind.TRACE:
        raise InvalidRequest(
            f"{trace.name} is no trace in JSON, and the Perfetto UI reads no other here.",
            hint="Look at it in the timeline, or in the program that wrote it.",
        )
    size = trace.stat().st_size
    with trace.open("rb") as stream:
        if stream.read(2) != b"\x1f\x8b":
            return size
        stream.seek(-min(size, 4), SEEK_END)
        told = int.from_bytes(stream.read(4), "little")
    told += max(round((size * _PACKED - told) / _WRAP), 0) * _WRAP
    return min(max(told, size * _LEAST_PACKED), size * _MOST_PACKED)


def narrowed(columns: Columns, stretch: Stretch, around: int, most: int) -> Stretch:
    """The stretch, or as much of it on both sides of ``around`` as at most ``most`` slices lie in or reach into."""

    def of(share: float) -> Stretch:
        return Stretch(
            around - int((around - stretch.first) * share), around + int((stretch.last - around) * share)
        )

    def fits(share: float) -> bool:
        first, last = of(share)
        return int(((columns.ts <= last) & (columns.end >= first)).sum()) <= most

    if fits(1):
        return stretch
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return of(low)


def cut(
    trace: Path,
    target: Path,
    stretch: Stretch,
    origin_ns: int,
    most_bytes: int = MOST_BYTES,
    renamed: Mapping[str, str] = _NONE,
) -> Written:
    """Write the events that lie in a stretch or reach into it, the names of threads, and what counters held when it
    began (their last samples before it, at its beginning), as JSON in gzip; some under other names.

    Of damaged files what can be read. ``target`` is whole or not there. Raises what reading a trace raises.
    """
    names = _Renaming(renamed)
    source = Cutter(trace, stretch.first + origin_ns, stretch.last + origin_ns)
    bound = int(most_bytes * _OVER)
    events = size = left_out = 0
    temporary = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        with gzip.open(temporary, "wb", compresslevel=_LEVEL) as stream:
            stream.write(b'{"traceEvents":[')
            for kept in source.texts():
                while kept and size + sum(map(len, kept)) > bound:
                    left_out += len(kept) - len(kept) // 2
                    kept = kept[: len(kept) // 2]
                if kept:
                    text = names.of(b",\n".join(kept))
                    stream.write((b",\n" if events else b"") + text)
                    events, size = events + len(kept), size + len(text)
            stream.write(b"]}\n")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return Written(events, left_out)


class _Renaming:
    """Events under other names. Those of before need no escapes in JSON."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = {
            json.dumps(before).encode(): json.dumps(after).encode() for before, after in names.items()
        }
        self._any = re.compile(
            rb'("name"\s*:\s*)(' + b"|".join(re.escape(name) for name in sorted(self._names)) + b")"
        )

    def of(self, text: bytes) -> bytes:
        """The same events."""
        if not self._names:
            return text
        return self._any.sub(lambda found: found[1] + self._names[found[2]], text)
