"""Traces cut for the Perfetto UI, in the profiler's worker process."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import Failed, InvalidRequest, NotFound
from genops_lab.core.paths import contained

from ..backends.engine_files import check_is_here, kept_columns
from ..models import CutQuery, CutSlice, TraceCut

if TYPE_CHECKING:
    from ..engine.columns import Columns
    from ..engine.reading.cutting import Stretch

#: Below a profile's folder; the ones cut last stay.
CUTS, KEPT = "cuts", 3
#: A cut's name has so many digits; a shorter one is the number of the rank whose whole trace is meant.
DIGITS = 16
#: On each side of the stretch that was asked for, of its length.
MARGIN = 0.5


class Cuts:
    """Cuts of all profiles. ``folder`` is a profile's."""

    def cut(self, folder: str, trace: str, asked: CutQuery) -> TraceCut:
        """Cut a trace, or say that the whole of it is small enough; ``path`` of the answer is the cut's name.

        Raises InvalidRequest for a stretch that is none and for what is no trace in JSON, NotFound for a slice or
        a file that is not there, Conflict for a trace on a target.
        """
        from ..engine.profile_folder import kept_place
        from ..engine.reading.cutting import MOST_BYTES, Stretch, json_bytes, narrowed

        rank, _, file = kept_place(Path(folder), Path(trace), asked.rank)
        first, last = round(asked.first_us * 1000), round(asked.last_us * 1000)
        if first >= last:
            raise InvalidRequest(
                "This stretch of time is empty.", hint="Ask for one that ends after it begins."
            )
        check_is_here(Path(trace))
        size = json_bytes(file)
        columns = kept_columns(Path(folder), Path(trace), asked.rank)
        chosen = None if asked.slice is None else _slice(columns, asked.slice)
        whole = Stretch(0, int(columns.end.max()) if len(columns) else 0)
        # Who does not know the trace's end asks for more than there is.
        last = max(first + 1, min(last, whole.last))
        around = (first + last) // 2 if chosen is None else int(chosen.ts_ns) - columns.origin_ns
        margin = round((last - first) * MARGIN)
        wanted = Stretch(max(whole.first, first - margin), min(whole.last, last + margin))
        kept, name, left_out = whole, f"{rank:x}", 0
        renamed = _renamed(columns)
        if size > MOST_BYTES:
            most = int(MOST_BYTES / size * max(len(columns), 1))
            kept = narrowed(columns, wanted, min(max(around, wanted.first), wanted.last), most)
        if kept != whole or renamed:
            name, left_out = _written(Path(folder), file, kept, columns.origin_ns, renamed)
        return TraceCut(
            path=name,
            title="",
            first_s=(first + columns.origin_ns) / 1e9,
            last_s=(last + columns.origin_ns) / 1e9,
            whole=kept == whole and not left_out,
            kept_first_us=kept.first / 1000,
            kept_last_us=kept.last / 1000,
            narrowed=kept not in (whole, wanted),
            left_out=left_out,
            slice=chosen,
        )

    def file(self, folder: str, trace: str, name: str) -> str:
        """Where the cut called ``name`` is, or was. Raises NotFound."""
        from ..engine.profile_folder import kept_place

        if len(name) < DIGITS:
            kept = kept_place(Path(folder), Path(trace), int(name, 16))
            if kept.rank == int(name, 16):
                return str(kept.file)
        return str(contained(Path(folder), CUTS, name))


def _slice(columns: Columns, number: int) -> CutSlice:
    if number >= len(columns):
        raise NotFound(f"This profile has no slice {number}.", hint="Select another one.")
    name = columns.names[columns.name[number]]
    return CutSlice(
        name=_renamed(columns).get(name, name),
        ts_ns=str(int(columns.ts[number]) + columns.origin_ns),
        dur_ns=str(int(columns.dur[number])),
    )


def _renamed(columns: Columns) -> dict[str, str]:
    """Names that a person is to see in place of the trace's own."""
    from ..engine.attribution.naming import shown_names

    names = zip(columns.names, shown_names(columns), strict=True)
    return {name: shown for name, shown in names if name != shown}


def _written(
    folder: Path, trace: Path, stretch: Stretch, origin_ns: int, renamed: dict[str, str]
) -> tuple[str, int]:
    from ..engine.reading.cutting import MOST_BYTES, cut

    cuts = folder / CUTS
    cuts.mkdir(mode=0o700, exist_ok=True)
    first, last = stretch
    name = hashlib.sha256(f"{trace} {first} {last}".encode()).hexdigest()[:DIGITS]
    try:
        left_out = cut(trace, cuts / name, stretch, origin_ns, renamed=renamed).left_out
    except OSError as error:
        raise Failed(
            f"A part of {trace.name} could not be written for the Perfetto UI: {error.strerror}.",
            hint=f"It takes up to {MOST_BYTES >> 20} MB below {cuts}.",
        ) from error
    whole = (path for path in cuts.iterdir() if not path.suffix)
    newest = sorted(whole, key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest[KEPT:]:
        path.unlink(missing_ok=True)
    return name, left_out
