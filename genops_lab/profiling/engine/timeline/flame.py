"""Build the merged call tree of a trace: for each path of names, the host time and the device time that it
started."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ...models import Flame, FlameNode
from ..attribution.naming import shown_names
from ..columns import NOTHING, Columns, Int64, summed
from ..kinds import ON_DEVICE, Kind, among
from ..nesting import parents
from ..sums.operators import launchers, own_times, owners

#: Nodes below this share of the host time and of the device time are merged.
SMALLEST = 1 / 2000
#: Most nodes; above it, more small nodes are merged.
MOST_NODES = 4000

_FRAMES = (Kind.ANNOTATION, Kind.OPERATOR, Kind.PYTHON, Kind.RUNTIME)
_NUMBERED = re.compile(r"^(ProfilerStep)#\d+$")
_OUTERMOST = "thread"
_WORDS = {
    Kind.ANNOTATION: "annotation",
    Kind.OPERATOR: "operator",
    Kind.PYTHON: "python",
    Kind.RUNTIME: "runtime",
}


def flame(columns: Columns) -> Flame:
    """Build the tree: threads, the calls of each thread, and the kernels that these calls started.

    A frame's host time is its length, but at most that of the frame around it. Kernels without a launch in
    the trace are below their stream.
    """
    tree = _Tree()
    around = parents(columns, _FRAMES)
    members = np.flatnonzero(among(columns.kind, _FRAMES))
    names, number_of = _names(columns)
    node = np.full(len(columns), NOTHING, np.int64)
    own = own_times(columns, members, around) if columns.has_clock else np.zeros(len(members), np.int64)
    rest, times = members, own
    while len(rest):
        outer = around[rest]
        ready = (outer == NOTHING) | (node[outer] != NOTHING)
        level, level_times = rest[ready], times[ready]
        above = around[level]
        lanes = columns.lane[level].astype(np.int64)
        parent = np.where(above == NOTHING, NOTHING - 1 - lanes, node[above])
        node[level] = tree.add(
            parent,
            number_of[columns.name[level]],
            columns.kind[level].astype(np.int64),
            names,
            level_times,
            columns,
        )
        rest, times = rest[~ready], times[~ready]
    device = np.flatnonzero(among(columns.kind, ON_DEVICE))
    owner = owners(columns, around, device, launchers(columns, device))
    parent = np.where(owner == NOTHING, NOTHING - 1 - columns.lane[device].astype(np.int64), node[owner])
    tree.add(
        parent,
        number_of[columns.name[device]],
        columns.kind[device].astype(np.int64),
        names,
        columns.lengths(device),
        columns,
    )
    return tree.as_wire()


def _names(columns: Columns) -> tuple[list[str], Int64]:
    """Return the names with all steps merged into one, and for each name of the trace its place among
    them."""
    place: dict[str, int] = {}
    numbers = [place.setdefault(_NUMBERED.sub(r"\1", name), len(place)) for name in shown_names(columns)]
    return list(place), np.array(numbers, np.int64)


@dataclass
class _Node:
    name: str
    kind: str
    parent: int
    count: int = 0
    host: int = 0
    device: int = 0


class _Tree:
    """Nodes in the order of their discovery, callers before callees. Times are in nanoseconds."""

    def __init__(self) -> None:
        self._nodes: list[_Node] = []
        self._place: dict[tuple[int, str, str], int] = {}

    def add(
        self, parent: Int64, name: Int64, kind: Int64, names: list[str], own: Int64, columns: Columns
    ) -> Int64:
        """Add slices with their own times; return their nodes. A parent below NOTHING stands for a lane."""
        if not len(parent):
            return np.empty(0, np.int64)
        keys, where = np.unique(np.stack([parent, name, kind], axis=1), axis=0, return_inverse=True)
        where = where.reshape(-1)
        count = np.bincount(where, minlength=len(keys))
        time = summed(where, own, len(keys))
        places = np.empty(len(keys), np.int64)
        for row, (above, named, kinded) in enumerate(keys.tolist()):
            around = self._lane(columns, NOTHING - 1 - above) if above < NOTHING else above
            on_device = kinded >= Kind.COMPUTE
            place = self._at(around, names[named], "kernel" if on_device else _WORDS[Kind(kinded)])
            node = self._nodes[place]
            node.count += int(count[row])
            if on_device:
                node.device += int(time[row])
            else:
                node.host += int(time[row])
            places[row] = place
        found: Int64 = places[where]
        return found

    def _lane(self, columns: Columns, number: int) -> int:
        lane = columns.lanes[number]
        word = f"stream {lane.stream} of device {lane.device}" if lane.device else f"thread {lane.thread}"
        named = lane.label if lane.thread in lane.label else f"{word} ({lane.label})" if lane.label else word
        return self._at(NOTHING, named, _OUTERMOST)

    def _at(self, parent: int, name: str, kind: str) -> int:
        place = self._place.setdefault((parent, name, kind), len(self._nodes))
        if place == len(self._nodes):
            self._nodes.append(_Node(name, kind, parent))
        return place

    def as_wire(self) -> Flame:
        """Return the visible nodes; the others are merged below their parent."""
        nodes = self._nodes
        for node in reversed(nodes):
            if node.parent != NOTHING:
                nodes[node.parent].host += node.host
                nodes[node.parent].device += node.device
        outermost = [node for node in nodes if node.parent == NOTHING]
        host, device = sum(node.host for node in outermost), sum(node.device for node in outermost)
        weights = [max(node.host / max(host, 1), node.device / max(device, 1)) for node in nodes]
        smallest = max([SMALLEST, *sorted(weights, reverse=True)[MOST_NODES - 1 : MOST_NODES]])
        kept: list[_Node] = []
        new_place = {NOTHING: NOTHING}
        rest: dict[int, _Node] = {}
        for place, node in enumerate(nodes):
            parent = new_place.get(node.parent)
            if parent is None:
                continue
            if weights[place] >= smallest:
                new_place[place] = len(kept)
                kept.append(_Node(node.name, node.kind, parent, node.count, node.host, node.device))
            else:
                other = rest.setdefault(parent, _Node("", "other", parent))
                other.count += node.count
                other.host += node.host
                other.device += node.device
        return Flame(
            host_us=host / 1000,
            device_us=device / 1000,
            nodes=[
                FlameNode(
                    name=node.name,
                    kind=node.kind,
                    parent=node.parent,
                    count=node.count,
                    host_us=node.host / 1000,
                    device_us=node.device / 1000,
                )
                for node in [*kept, *rest.values()]
            ],
        )
