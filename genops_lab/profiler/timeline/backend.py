"""Timelines in the profiler's worker process: made once, then memory-mapped; the ones looked at last stay open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import InvalidRequest, NotFound

from ..backends.kept import kept_columns
from ..models import (
    FoundSlices,
    SliceDetails,
    SliceSearch,
    Sums,
    SumsQuery,
    TileKey,
    Timeline,
    TimelineTile,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..engine.columns import Columns
    from ..engine.timeline import slices, tiles

#: Their files are mapped, so an open one holds names, texts and what was searched.
OPEN_TIMELINES, KEPT_SEARCHES = 4, 8
MOST_TILES, LAST_LEVEL = 64, 52
NAME_CHARACTERS, PATTERN_CHARACTERS = 200, 1000
LEVELS = "timeline"


class Timelines:
    """All timelines. ``folder`` is a profile's; ``trace`` is read where its columns are not kept yet; ``rank`` is that
    of one of its traces, the first one's where it is None."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, _Opened] = OrderedDict()
        self._opening = threading.Lock()

    def prepare(self, folder: str, trace: str) -> None:
        """Have all there that is needed. Raises NotFound or InvalidRequest for a trace that cannot be read."""
        self._opened(folder, trace, None)

    def describe(self, folder: str, trace: str, rank: int | None) -> Timeline:
        """Lanes and names."""
        from ..engine.keeping import kept_ranks
        from ..engine.timeline.slices import lanes_of

        ranks = [each.rank for each in kept_ranks(Path(folder), Path(trace))]
        timeline = self._opened(folder, trace, rank).timeline
        ends = [lane.last_ns for lane in timeline.lanes.values()]
        return Timeline(
            span_us=max(ends, default=0) / 1000,
            lanes=lanes_of(timeline),
            names=[name[:NAME_CHARACTERS] for name in timeline.names],
            kinds=timeline.kinds.tobytes(),
            rank=ranks[0] if ranks and rank is None else rank,
            ranks=ranks,
        )

    def tiles(self, folder: str, trace: str, rank: int | None, keys: list[TileKey]) -> list[TimelineTile]:
        """Tiles in the order of ``keys``. Raises InvalidRequest for keys that are none."""
        if not 1 <= len(keys) <= MOST_TILES:
            raise InvalidRequest(f"{len(keys)} tiles were asked for.", hint=f"Ask for 1 to {MOST_TILES}.")
        timeline = self._opened(folder, trace, rank).timeline
        return [_packed(key, timeline) for key in keys]

    def slice(self, folder: str, trace: str, rank: int | None, number: int) -> SliceDetails:
        """All that is known of a slice. Raises NotFound."""
        from ..engine.timeline.slices import details

        timeline = self._opened(folder, trace, rank).timeline
        if not 0 <= number < len(timeline.columns):
            raise NotFound(f"This profile has no slice {number}.", hint="Select another one.")
        return details(timeline, number)

    def search(self, folder: str, trace: str, rank: int | None, asked: SliceSearch) -> FoundSlices:
        """How many slices match, and the next of them. Raises InvalidRequest for an expression that is none."""
        import numpy as np

        from ..engine.timeline.slices import slice_of

        opened = self._opened(folder, trace, rank)
        names, matches = opened.find(asked.text, asked.regex)
        place = matches.next(asked.after, backwards=asked.backwards)
        return FoundSlices(
            count=len(matches.slices),
            place=place + 1,
            slice=slice_of(opened.timeline, int(matches.slices[place])) if place >= 0 else None,
            names=np.flatnonzero(names).astype("<i4").tobytes(),
        )

    def sums(self, folder: str, trace: str, rank: int | None, asked: SumsQuery) -> Sums:
        """What lies in a stretch of time."""
        from ..engine.timeline.slices import sums

        return sums(self._opened(folder, trace, rank).timeline, asked)

    def _opened(self, folder: str, trace: str, rank: int | None) -> _Opened:
        from ..engine.keeping import kept_place

        with self._opening:
            place = kept_place(Path(folder), Path(trace), rank).place
            if place not in self._open or not place.is_dir():
                columns = kept_columns(Path(folder), Path(trace), rank)
                self._open[place] = _Opened(_made(columns, place / LEVELS))
            self._open.move_to_end(place)
            while len(self._open) > OPEN_TIMELINES:
                self._open.popitem(last=False)
            return self._open[place]


class _Opened:
    def __init__(self, timeline: tiles.Timeline) -> None:
        self.timeline = timeline
        self._searches: OrderedDict[tuple[str, bool], tuple[npt.NDArray[np.bool_], slices.Matches]] = (
            OrderedDict()
        )
        self._searching = threading.Lock()

    def find(self, text: str, regex: bool) -> tuple[npt.NDArray[np.bool_], slices.Matches]:
        """Which names match, and their slices."""
        from ..engine.timeline.slices import Matches

        with self._searching:
            if (text, regex) not in self._searches:
                names = _matching(self.timeline.names, text, regex)
                self._searches[text, regex] = names, Matches.of(self.timeline.columns, names)
            self._searches.move_to_end((text, regex))
            while len(self._searches) > KEPT_SEARCHES:
                self._searches.popitem(last=False)
            return self._searches[text, regex]


def _matching(names: list[str], text: str, regex: bool) -> npt.NDArray[np.bool_]:
    from genops_lab.core.arrow import strings
    from genops_lab.experiments.query.patterns import containing, matching, regex_fault

    if not text or len(text) > PATTERN_CHARACTERS:
        raise InvalidRequest(
            f"The text to search for has {len(text)} characters.",
            hint=f"Give 1 to {PATTERN_CHARACTERS} characters.",
        )
    words = strings(names)
    if not regex:
        return containing(words, text)
    fault = regex_fault(text)
    if fault is not None:
        raise InvalidRequest(
            f"{text!r} is no regular expression: {fault.message}.",
            hint=fault.hint or "Correct it, or search for the plain text.",
        )
    return matching(words, f"(?i){text}")


def _made(columns: Columns, levels: Path) -> tiles.Timeline:
    from ..engine.timeline import tiles

    if not tiles.is_stored(levels):
        tiles.save(columns, levels)
    return tiles.Timeline(columns, levels)


def _packed(key: TileKey, timeline: tiles.Timeline) -> TimelineTile:
    import numpy as np

    if not (0 <= key.level <= LAST_LEVEL and 0 <= key.index < 1 << (LAST_LEVEL - key.level)):
        raise InvalidRequest(
            f"There is no tile {key.index} of level {key.level}.",
            hint=f"Levels are 0 to {LAST_LEVEL}, and tiles lie in the trace.",
        )
    tile = timeline.tile(key.lane, key.level, key.index)
    items = tile.items
    dur = items.end - items.start
    return TimelineTile(
        lane=key.lane,
        level=key.level,
        index=key.index,
        cell_ns=tile.cell_ns,
        start=(items.start - tile.first_ns).astype("<f4").tobytes(),
        dur=dur.astype("<f4").tobytes(),
        covered=np.minimum(items.covered / np.maximum(dur, 1), 1).astype("<f4").tobytes(),
        name=items.name.astype("<i4").tobytes(),
        slice=items.slice.astype("<i4").tobytes(),
        count=items.count.astype("<i4").tobytes(),
        row=items.row.astype(np.uint8).tobytes(),
    )
