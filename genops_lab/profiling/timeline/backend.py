"""Serve timelines in the profiler's worker process. They are built once and then memory-mapped; recent ones
stay open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import InvalidRequest, NotFound

from ..models import (
    FoundSlices,
    SliceDetails,
    SliceSearch,
    Sums,
    SumsQuery,
    TileKey,
    Timeline,
    TimelineRank,
    TimelineTile,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..engine.profile_folder import KeptRank
    from ..engine.timeline import slices, tiles, views
    from ..engine.timeline.clocks import RankClock

#: The files are mapped, so an open timeline takes memory only for names, texts and searches.
OPEN_TIMELINES, KEPT_SEARCHES = 12, 8
MOST_TILES, LAST_LEVEL = 64, 52
NAME_CHARACTERS, PATTERN_CHARACTERS = 200, 1000
LEVELS = "timeline"
#: Most ranks on one timeline.
MOST_TOGETHER = 256


class Timelines:
    """All timelines. ``folder`` is a profile's. ``trace`` is read where its columns are not stored yet.
    ``rank`` selects one trace; None means the only trace, or all ranks together."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, _Opened] = OrderedDict()
        # All ranks together open each rank's timeline.
        self._opening = threading.RLock()

    def prepare(self, folder: str, trace: str) -> None:
        """Build all that is needed. Raises NotFound, or InvalidRequest for a trace that cannot be read."""
        self._opened(folder, trace, None)

    def describe(self, folder: str, trace: str, rank: int | None) -> Timeline:
        """Return lanes and names."""
        from ..engine.profile_folder import kept_ranks

        ranks = kept_ranks(Path(folder), Path(trace))
        view = self._opened(folder, trace, rank).view
        lanes = view.lanes()
        return Timeline(
            span_us=max((lane.offset_us + lane.last_us for lane in lanes), default=0),
            lanes=lanes,
            names=[name[:NAME_CHARACTERS] for name in view.names],
            kinds=view.kinds.tobytes(),
            rank=ranks[0].rank if len(ranks) == 1 else rank,
            ranks=[_timeline_rank(each.clock) for each in ranks],
            together=min(len(ranks), MOST_TOGETHER),
        )

    def tiles(self, folder: str, trace: str, rank: int | None, keys: list[TileKey]) -> list[TimelineTile]:
        """Return tiles in the order of ``keys``. Raises InvalidRequest for invalid keys."""
        if not 1 <= len(keys) <= MOST_TILES:
            raise InvalidRequest(f"{len(keys)} tiles were requested.", hint=f"Request 1 to {MOST_TILES}.")
        view = self._opened(folder, trace, rank).view
        return [_packed(key, view) for key in keys]

    def slice(self, folder: str, trace: str, rank: int | None, number: int) -> SliceDetails:
        """Return the details of a slice. Raises NotFound."""
        view = self._opened(folder, trace, rank).view
        if not 0 <= number < view.slices:
            raise NotFound(f"This profile has no slice {number}.", hint="Select another one.")
        return view.details(number)

    def search(self, folder: str, trace: str, rank: int | None, asked: SliceSearch) -> FoundSlices:
        """Return the number of matching slices and the next one. Raises InvalidRequest for an invalid
        expression."""
        import numpy as np

        opened = self._opened(folder, trace, rank)
        names, matches = opened.find(asked.text, asked.regex)
        place = matches.next(asked.after, backwards=asked.backwards)
        return FoundSlices(
            count=len(matches.slices),
            place=place + 1,
            slice=opened.view.slice(int(matches.slices[place])) if place >= 0 else None,
            names=np.flatnonzero(names).astype("<i4").tobytes(),
        )

    def sums(self, folder: str, trace: str, rank: int | None, asked: SumsQuery) -> Sums:
        """Return sums of a period."""
        return self._opened(folder, trace, rank).view.sums(asked)

    def _opened(self, folder: str, trace: str, rank: int | None) -> _Opened:
        from ..engine.profile_folder import RANKS, kept_place, kept_ranks

        with self._opening:
            ranks = kept_ranks(Path(folder), Path(trace)) if rank is None else []
            several = len(ranks) > 1
            place = Path(folder) / RANKS if several else kept_place(Path(folder), Path(trace), rank).place
            if place not in self._open or not place.is_dir():
                view = self._together(folder, trace, ranks) if several else _one(folder, trace, rank)
                self._open[place] = _Opened(view)
            self._open.move_to_end(place)
            whole = Path(folder) / RANKS
            if whole in self._open:
                # Keep the view of all ranks: it has more ranks than timelines stay open.
                self._open.move_to_end(whole)
            while len(self._open) > OPEN_TIMELINES:
                self._open.popitem(last=False)
            return self._open[place]

    def _together(self, folder: str, trace: str, ranks: list[KeptRank]) -> views.View:
        from ..engine.timeline.views import Side, View

        def opened(rank: int) -> tiles.Timeline:
            return self._opened(folder, trace, rank).view.first

        return View(
            [
                Side(
                    each.rank,
                    each.clock.offset_ns,
                    partial(opened, each.rank),
                    each.clock.placed_by in ("reference", "collectives"),
                    each.clock.spread_ns,
                )
                for each in ranks[:MOST_TOGETHER]
            ]
        )


class _Opened:
    def __init__(self, view: views.View) -> None:
        self.view = view
        self._searches: OrderedDict[tuple[str, bool], tuple[npt.NDArray[np.bool_], slices.Matches]] = (
            OrderedDict()
        )
        self._searching = threading.Lock()

    def find(self, text: str, regex: bool) -> tuple[npt.NDArray[np.bool_], slices.Matches]:
        """Return the matching names and their slices."""
        with self._searching:
            if (text, regex) not in self._searches:
                names = _matching(self.view.names, text, regex)
                self._searches[text, regex] = names, self.view.matches(names)
            self._searches.move_to_end((text, regex))
            while len(self._searches) > KEPT_SEARCHES:
                self._searches.popitem(last=False)
            return self._searches[text, regex]


def _matching(names: list[str], text: str, regex: bool) -> npt.NDArray[np.bool_]:
    from genops_lab.core.arrow import strings
    from genops_lab.experiments.query.patterns import containing, matching, regex_fault

    if not text or len(text) > PATTERN_CHARACTERS:
        raise InvalidRequest(
            f"The search text has {len(text)} characters.",
            hint=f"Give 1 to {PATTERN_CHARACTERS} characters.",
        )
    words = strings(names)
    if not regex:
        return containing(words, text)
    fault = regex_fault(text)
    if fault is not None:
        raise InvalidRequest(
            f"{text!r} is not a regular expression: {fault.message}.",
            hint=fault.hint or "Correct it, or search for the plain text.",
        )
    return matching(words, f"(?i){text}")


def _one(folder: str, trace: str, rank: int | None) -> views.View:
    from ..engine.profile_folder import kept_columns, kept_place
    from ..engine.timeline import tiles
    from ..engine.timeline.views import View

    columns = kept_columns(Path(folder), Path(trace), rank)
    levels = kept_place(Path(folder), Path(trace), rank).place / LEVELS
    if not tiles.is_stored(levels):
        tiles.save(columns, levels)
    return View.of(tiles.Timeline(columns, levels))


def _timeline_rank(clock: RankClock) -> TimelineRank:
    return TimelineRank(
        rank=clock.rank,
        offset_us=clock.offset_ns / 1000,
        placed_by=clock.placed_by,
        matched=clock.matched,
        common=clock.common,
        spread_us=clock.spread_ns / 1000,
    )


def _packed(key: TileKey, view: views.View) -> TimelineTile:
    import numpy as np

    if not (0 <= key.level <= LAST_LEVEL and 0 <= key.index < 1 << (LAST_LEVEL - key.level)):
        raise InvalidRequest(
            f"There is no tile {key.index} of level {key.level}.",
            hint=f"Levels are 0 to {LAST_LEVEL}, and tiles are inside the trace.",
        )
    tile = view.tile(key.lane, key.level, key.index)
    items = tile.items
    dur = items.end - items.start
    values = {} if tile.values is None else tile.values._asdict()
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
        **{name: value.astype("<f8").tobytes() for name, value in values.items()},
    )
