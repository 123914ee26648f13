"""Find the line of the user's code for a moment of a thread, for a slice, and for work of the backward
pass."""

from __future__ import annotations

import re
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...models import Place
from ..columns import NOTHING, Bools, Columns, Int32, Int64, Sparse, present, summed
from ..kinds import Kind
from ..traces import Trace
from . import frames, markers
from .autograd import Backward, backward
from .enclosing import Enclosing
from .frames import Owner
from .naming import cells_of, place_of

#: Python frames around a backward pass, by version of torch.
_AUTOGRAD = re.compile(
    r"_engine_run_backward|run_backward of |torch/autograd/__init__\.py\(\d+\): (backward|grad)$"
)


class _PythonTree(NamedTuple):
    """Python frames: for each frame, the frame whose line counts, and the line of every frame of the user's
    code."""

    tree: Enclosing
    user: Int64
    line: Int64
    #: Frames called ``backward``.
    backward: Bools


class Lines:
    """The lines of one trace. A line is a position in ``places``; NOTHING: it is not known."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.places: list[Place] = []
        self._known: dict[Place, int] = {}
        self._marked = self._markers(whole_cells=False)
        self._cells = self._markers(whole_cells=True)
        self._python = self._frames()
        self._stacked, self._stack_line = self._stacks()

    @property
    def by_markers(self) -> bool:
        """Return whether any line comes from a marker."""
        return len(self._marked[0]) > 0

    @property
    def by_stacks(self) -> bool:
        """Return whether the trace has Python frames."""
        return len(self._python.tree) > 0 or len(self._stacked) > 0

    @cached_property
    def backward(self) -> tuple[Backward, Enclosing]:
        """Return the backward pass, and its operators as a tree."""
        passes = backward(self._columns)
        return passes, Enclosing(self._columns, passes.operators)

    def at(self, lane: Int32, ts: Int64) -> Int64:
        """Return the line of each moment of a lane: from a marker, a call stack, a Python frame, or only the
        cell."""
        found = self._of_members(self._marked, lane, ts)
        frames = (self._python.tree, self._python_lines)
        for members in ((self._stacked, self._stack_line), frames, self._cells):
            rest = np.flatnonzero(found == NOTHING)
            if len(rest):
                found[rest] = self._of_members(members, lane[rest], ts[rest])
        return found

    def inside(self, lane: Int32, ts: Int64, since: Int64) -> Int64:
        """Return the same, where the marker or frame began at ``since`` or later; a frame called ``backward``
        does not count."""
        found = self._of_members(self._marked, lane, ts, since)
        python = self._python
        place = python.tree.around(lane, ts)
        rest = np.flatnonzero((found == NOTHING) & (place != NOTHING))
        nearest = python.user[place[rest]]
        rest, nearest = rest[nearest != NOTHING], nearest[nearest != NOTHING]
        begins = self._columns.ts[python.tree.members[nearest]]
        own = (begins >= since[rest]) & ~python.backward[nearest]
        found[rest[own]] = python.line[nearest[own]]
        return found

    def waiting(self, process_lanes: list[int], own: int, ts: Int64) -> Int64:
        """Return the line of the thread that waited meanwhile, where it is known: the thread that called
        autograd, else the one with a marker, else the only other one. Other threads may also run the user's
        code."""
        found = np.full(len(ts), NOTHING, np.int64)
        reason = np.full(len(ts), -1, np.int8)
        several = np.zeros(len(ts), bool)
        used = {*self._marked[0].lanes, *self._python.tree.lanes}
        for number in process_lanes:
            if number == own or number not in used:
                continue
            lane = np.full(len(ts), number, np.int32)
            line = self.at(lane, ts)
            rank = np.where(line == NOTHING, -1, self._reason(lane, ts))
            several = np.where(rank > reason, False, several | (rank == reason))
            found = np.where(rank > reason, line, found)
            reason = np.maximum(reason, rank)
        return np.where(several, NOTHING, found)

    def _reason(self, lane: Int32, ts: Int64) -> npt.NDArray[np.int8]:
        """Return the evidence that a thread waits for autograd: 2, it called autograd; 1, it has a marker."""
        marked = self._of_members(self._marked, lane, ts) != NOTHING
        calls = self._of_members((self._python.tree, self._calls_autograd), lane, ts) != NOTHING
        found: npt.NDArray[np.int8] = np.where(calls, 2, marked).astype(np.int8)
        return found

    @cached_property
    def _python_lines(self) -> Int64:
        """Return the line of each Python frame; NOTHING where there is none."""
        nearest = self._python.user
        return np.where(nearest == NOTHING, NOTHING, self._python.line[nearest])

    @cached_property
    def _calls_autograd(self) -> Int64:
        """Return, for each Python frame, the call of autograd's engine around it; NOTHING where there is
        none."""
        columns, tree = self._columns, self._python.tree
        return tree.nearest(columns.named(_AUTOGRAD)[columns.name[tree.members]])

    def host_times(self) -> Int64:
        """Return the host time of each line without lines that it calls, in nanoseconds."""
        times = np.zeros(len(self.places), np.int64)
        if self.by_markers:
            tree, line = self._marked
            np.add.at(times, line, tree.own_times(np.arange(len(tree))))
        else:
            tree, line = self._python.tree, self._python.line
            chosen = np.flatnonzero(self._python.user == np.arange(len(tree)))
            np.add.at(times, line[chosen], tree.own_times(chosen))
        return times

    def _of_members(
        self, members: tuple[Enclosing, Int64], lane: Int32, ts: Int64, since: Int64 | None = None
    ) -> Int64:
        tree, line = members
        found = np.full(len(ts), NOTHING, np.int64)
        place = tree.around(lane, ts)
        there = np.flatnonzero(place != NOTHING)
        if since is not None:
            there = there[self._columns.ts[tree.members[place[there]]] >= since[there]]
        found[there] = line[place[there]]
        return found

    def _line(self, place: Place) -> int:
        number = self._known.setdefault(place, len(self.places))
        if number == len(self.places):
            self.places.append(place)
        return number

    def _markers(self, *, whole_cells: bool) -> tuple[Enclosing, Int64]:
        columns = self._columns
        of_name = np.full(len(columns.names), NOTHING, np.int64)
        cells = cells_of(columns)
        for number, name in enumerate(columns.names):
            marker = markers.parse(name)
            if marker is not None and (marker.line == markers.WHOLE_CELL) == whole_cells:
                of_name[number] = self._line(place_of(marker, cells))
        if not (of_name != NOTHING).any():
            return Enclosing(columns, np.zeros(0, np.int64)), np.zeros(0, np.int64)
        on_host = (columns.kind < Kind.COMPUTE) & (columns.kind != Kind.DEVICE_ANNOTATION)
        members = np.flatnonzero(on_host & (of_name[columns.name] != NOTHING))
        tree = Enclosing(columns, members)
        return tree, of_name[columns.name[tree.members]]

    def _frames(self) -> _PythonTree:
        columns = self._columns
        members = np.flatnonzero(columns.kind == Kind.PYTHON)
        tree = Enclosing(columns, members, _by_ids(columns, members))
        names = columns.name[tree.members]
        owner = np.zeros(len(columns.names), np.int8)
        line = np.full(len(columns.names), NOTHING, np.int64)
        backward = np.zeros(len(columns.names), bool)
        for number in np.unique(names).tolist():
            frame = frames.parse(columns.names[number])
            if frame is None:
                continue
            owner[number] = frame.owner
            if frame.owner != Owner.MACHINERY:
                line[number] = self._line(
                    Place(file=frame.file, line=frame.line, function=frame.function, whole_function=True)
                )
                backward[number] = frame.function == "backward"
        user = tree.nearest(owner[names] == Owner.USER)
        # If the stack has no user code, a line of an installed package is better than none.
        library = tree.nearest(owner[names] == Owner.LIBRARY)
        return _PythonTree(tree, np.where(user == NOTHING, library, user), line[names], backward[names])

    def _stacks(self) -> tuple[Enclosing, Int64]:
        columns = self._columns
        stacks = columns.sparse.get("stack")
        if stacks is None or not len(stacks):
            return Enclosing(columns, np.zeros(0, np.int64)), np.zeros(0, np.int64)
        of_text: dict[int, int] = {}
        for text in np.unique(stacks.value).tolist():
            frame = frames.innermost_of(columns.texts[text].strip('"'))
            if frame is not None:
                of_text[text] = self._line(Place(file=frame.file, line=frame.line, function=frame.function))
        line = np.array([of_text.get(text, NOTHING) for text in stacks.value.tolist()], np.int64)
        index = stacks.index.astype(np.int64)
        named = (line != NOTHING) & (columns.dur[index] > 0)
        return Enclosing(columns, index[named]), line[named]


def _by_ids(columns: Columns, members: Int64) -> Int64:
    """Return the caller of each frame, by Python's ids, else by times; positions in ``members``."""
    up = np.full(len(members), NOTHING, np.int64)
    ids, above = (_of_members(columns, column, members) for column in ("python_id", "python_parent"))
    sure = np.zeros(len(members), bool)
    sure[np.searchsorted(members, ids.index)] = True
    if len(ids) and len(above):
        order = np.argsort(ids.value, kind="stable")
        numbers, holders = ids.value[order], ids.index[order]
        found = np.minimum(np.searchsorted(numbers, above.value), len(numbers) - 1)
        known = numbers[found] == above.value
        child = np.searchsorted(members, above.index[known])
        parent = np.searchsorted(members, holders[found[known]])
        # A caller begins before its callee, on the same thread; other ids are invalid.
        sound = (parent < child) & (columns.lane[members[child]] == columns.lane[members[parent]])
        up[child[sound]] = parent[sound]
        sure[np.searchsorted(members, above.index)] = False
        sure[child[sound]] = True
    if not sure.all():
        timed = Enclosing(columns, members)
        place = np.searchsorted(members, timed.members)
        by_time = np.full(len(members), NOTHING, np.int64)
        by_time[place] = np.where(timed.up == NOTHING, NOTHING, place[timed.up])
        up = np.where(sure, up, by_time)
    return up


def _of_members(columns: Columns, column: str, members: Int64) -> Sparse:
    given = columns.sparse.get(column, Sparse(np.zeros(0, np.int32), np.zeros(0, np.int64)))
    mine = np.isin(given.index, members)
    return Sparse(given.index[mine], given.value[mine])


#: Moments per block of work.
BLOCK = 1 << 17


def lines_of_moments(columns: Columns, lines: Lines, lane: Int32, ts: Int64) -> tuple[Int64, Bools]:
    """Return the line of each moment of a lane, and whether the moment is in the backward pass."""
    found, in_backward = np.empty(len(ts), np.int64), np.empty(len(ts), bool)
    for begin in range(0, len(ts), BLOCK):
        block = slice(begin, begin + BLOCK)
        found[block], in_backward[block] = _lines_of_block(columns, lines, lane[block], ts[block])
    return found, in_backward


def _lines_of_block(columns: Columns, lines: Lines, lane: Int32, ts: Int64) -> tuple[Int64, Bools]:
    found = lines.at(lane, ts)
    passes, tree = lines.backward
    node = tree.around(lane, ts)
    between = np.flatnonzero((node == NOTHING) & np.isin(lane, passes.threads))
    node[between] = tree.before(lane[between], ts[between])
    mine = np.flatnonzero(node != NOTHING)
    if len(mine):
        found[mine] = _backward_lines(
            columns, lines, tree, passes.forward, passes.operators, node[mine], lane[mine], ts[mine]
        )
    return found, node != NOTHING


def _backward_lines(
    columns: Columns,
    lines: Lines,
    tree: Enclosing,
    forward: Int64,
    operators: Int64,
    node: Int64,
    lane: Int32,
    ts: Int64,
) -> Int64:
    operator = tree.members[node]
    # A checkpoint runs its forward pass again here, with its own frames.
    found = lines.inside(lane, ts, columns.ts[operator])
    gradient_of = forward[np.searchsorted(operators, operator)]
    rest = np.flatnonzero((found == NOTHING) & (gradient_of != NOTHING))
    made = gradient_of[rest]
    found[rest] = lines.at(columns.lane[made], columns.ts[made])
    rest = np.flatnonzero(found == NOTHING)
    found[rest] = lines.at(lane[rest], ts[rest])
    rest = np.flatnonzero(found == NOTHING)
    for number in present(len(columns.lanes), lane[rest]).tolist():
        here = rest[lane[rest] == number]
        process = columns.lanes[number].process
        together = [
            other for other, each in enumerate(columns.lanes) if each.process == process and not each.device
        ]
        found[here] = lines.waiting(together, number, ts[here])
    return found


MOST_LISTED = 3


class PlacesOf:
    """Maps slices to the lines with most of their time."""

    def __init__(self, trace: Trace, lines: Lines, device_line: Int64) -> None:
        """``device_line`` is the line of each slice of ``trace.device``."""
        self.lines = lines
        self._trace, self._device_line = trace, device_line

    def line_of(self, slices: Int64) -> Int64:
        """Return the position in ``lines.places`` of each device slice; NOTHING where it is not known."""
        found: Int64 = self._device_line[np.searchsorted(self._trace.device, slices)]
        return found

    def __call__(self, slices: Int64) -> list[Place]:
        """Return the lines. A host slice has the line of its start; a device slice has the line of its
        launch."""
        columns = self._trace.columns
        line = np.full(len(slices), NOTHING, np.int64)
        ran = columns.kind[slices] >= Kind.COMPUTE
        line[ran] = self.line_of(slices[ran])
        line[~ran] = self.lines.at(columns.lane[slices[~ran]], columns.ts[slices[~ran]])
        known = line != NOTHING
        time = summed(line[known], columns.lengths(slices[known]), len(self.lines.places))
        most = np.argsort(-time, kind="stable")[:MOST_LISTED]
        return [self.lines.places[each] for each in most.tolist() if time[each]]
