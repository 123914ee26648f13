"""Cut traces for the Perfetto UI, in the profiler's worker process."""

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

#: Folder below a profile's folder; the newest cuts stay.
CUTS, KEPT = "cuts", 3
#: Digits of a cut's name; a shorter name is the number of a rank whose whole trace is meant.
DIGITS = 16
#: Margin on each side of the requested period, relative to its length.
MARGIN = 0.5


class Cuts:
    """The cuts of all profiles. ``folder`` is a profile's."""

    def cut(self, folder: str, trace: str, asked: CutQuery) -> TraceCut:
        """Cut a trace, or answer that the whole trace is small enough. ``path`` of the answer is the cut's
        name.

        Raises InvalidRequest for an empty period and for a file that is not a JSON trace, NotFound for a
        missing slice or file, Conflict for a trace on a target.
        """
        from ..engine.profile_folder import kept_place
        from ..engine.reading.cutting import MOST_BYTES, Stretch, json_bytes, narrowed

        rank, _, file = kept_place(Path(folder), Path(trace), asked.rank)
        first, last = round(asked.first_us * 1000), round(asked.last_us * 1000)
        if first >= last:
            raise InvalidRequest("This period is empty.", hint="Give a period whose end is after its start.")
        check_is_here(Path(trace))
        size = json_bytes(file)
        columns = kept_columns(Path(folder), Path(trace), asked.rank)
        chosen = None if asked.slice is None else _slice(columns, asked.slice)
        whole = Stretch(0, int(columns.end.max()) if len(columns) else 0)
        # A client that does not know the trace's end requests more.
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
        """Return the path of the cut ``name``, also of a deleted one. Raises NotFound."""
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
    """Return display names for names of the trace."""
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
            hint=f"It needs up to {MOST_BYTES >> 20} MB of disk space in {cuts}.",
        ) from error
    whole = (path for path in cuts.iterdir() if not path.suffix)
    newest = sorted(whole, key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest[KEPT:]:
        path.unlink(missing_ok=True)
    return name, left_out
