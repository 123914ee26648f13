"""Gather nodes and edges, choose which are shown, and give each its column. Pure functions of what was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec.structs import replace

from .models import EdgeKind, Lineage, LineageEdge, LineageFold, LineageNode, NodeKind

#: Deepest chain of derived versions that gets columns of its own.
MAX_DEPTH = 8
_FIRST_COLUMN: dict[NodeKind, int] = {"data": 0, "base": 0, "commit": 0, "run": 1, "version": 2}
_ACTIVE = ("preparing", "starting", "running", "stopping")


class Graph:
    """Nodes in the order of their discovery, each with the node by which it was found."""

    def __init__(self, root: LineageNode, *others: LineageNode) -> None:
        self.root = root.id
        self.nodes: dict[str, LineageNode] = {each.id: each for each in (root, *others)}
        self.edges: dict[tuple[str, str, EdgeKind], LineageEdge] = {}
        #: The neighbour on the way back to the root.
        self.found_by: dict[str, str] = {}
        self.ancestors: set[str] = set()
        self.notes: list[str] = []
        self._unread: list[LineageFold] = []

    def add(self, node: LineageNode, of: str, kind: EdgeKind, *, upward: bool, context: str = "") -> bool:
        """Add a neighbour of the node ``of`` and their edge. Return whether the node is new."""
        start, end = (node.id, of) if upward else (of, node.id)
        if start == end:  # a tag that names its own version
            return False
        known = self.edges.get((start, end, kind))
        if known is None or (context and context not in known.context.split(", ")):
            joined = ", ".join(filter(None, [known.context if known else "", context]))
            self.edges[start, end, kind] = LineageEdge(start=start, end=end, kind=kind, context=joined)
        if node.id in self.nodes:
            return False
        self.nodes[node.id] = node
        self.found_by[node.id] = of
        if upward:
            self.ancestors.add(node.id)
        return True

    def add_unread(self, runs: int, *, without_version: bool = False, at_least: bool = False) -> None:
        """Count runs below the root that are not read."""
        if runs > 0:
            self._unread.append(
                LineageFold(
                    kind="run", count=runs, upward=False, column=_FIRST_COLUMN["run"],
                    without_version=without_version, at_least=at_least,
                )
            )  # fmt: skip

    def note(self, text: str) -> None:
        """Keep a sentence about what could not be read, once."""
        if text not in self.notes:
            self.notes.append(text)

    def shown(self, limit: int) -> Lineage:
        """Return at most ``limit`` nodes: deployments and versions with aliases stay first, with the way to each."""
        kept = self._kept(limit)
        columns = self._columns()
        nodes = [replace(self.nodes[id], column=columns[id]) for id in self.nodes if id in kept]
        return Lineage(
            root=self.root,
            nodes=nodes,
            edges=[edge for edge in self.edges.values() if edge.start in kept and edge.end in kept],
            folds=self._folds(kept, columns),
            notes=self.notes,
        )

    def _kept(self, limit: int) -> set[str]:
        order = {id: place for place, id in enumerate(self.nodes)}
        kept = {self.root}
        for id in sorted(self.nodes, key=lambda id: (_rank(self.nodes[id]), order[id])):
            way = [id, *self._way(id)]
            missing = [each for each in way if each not in kept]
            if len(kept) + len(missing) <= limit:
                kept.update(missing)
        return kept

    def _way(self, id: str) -> Iterable[str]:
        while (id := self.found_by.get(id, "")) != "":
            yield id

    def _folds(self, kept: set[str], columns: dict[str, int]) -> list[LineageFold]:
        counts = Counter(
            (node.kind, columns[id], id in self.ancestors)
            for id, node in self.nodes.items()
            if id not in kept
        )
        groups = [each for each in self._unread if each.without_version]
        for each in self._unread:
            if not each.without_version:
                counts[each.kind, each.column, each.upward] += each.count
        return [
            LineageFold(kind=kind, count=count, upward=upward, column=column)
            for (kind, column, upward), count in counts.items()
        ] + groups

    def _columns(self) -> dict[str, int]:
        """Return the column of each node: sources, runs, versions, what is derived from those, deployments."""
        parents: dict[str, list[str]] = {}
        for edge in self.edges.values():
            if edge.kind == "derived":
                parents.setdefault(edge.end, []).append(edge.start)
        depths: dict[str, int] = {}
        versions = [id for id, node in self.nodes.items() if node.kind == "version"]
        # As often as the deepest chain is long: tags that form a circle end there too.
        for _ in range(MAX_DEPTH):
            for id in versions:
                depths[id] = min(
                    max((depths.get(up, 0) + 1 for up in parents.get(id, ())), default=0), MAX_DEPTH
                )
        last = 3 + max(depths.values(), default=0)
        return {
            id: last if node.kind == "deployment" else _FIRST_COLUMN[node.kind] + depths.get(id, 0)
            for id, node in self.nodes.items()
        }


def _rank(node: LineageNode) -> int:
    """Return how early a node is shown where not all are: 0 is first."""
    if node.kind == "deployment":
        return 0 if node.state in _ACTIVE else 1
    if node.kind == "version":
        return 2 if node.aliases else 4
    return 3 if node.kind in ("data", "base", "commit") else 5
