"""Lineage as a tree of text."""

from __future__ import annotations

from collections.abc import Iterator

from genops_lab.lineage.models import Direction, Lineage, LineageEdge, LineageFold, LineageNode

from ..document import SHORT_ID, Block, Document, Facts, Lines, Note, clean, moment

#: Longest name in a line of the tree.
_MAX_NAME = 60
_NOUNS = {
    "data": ("data set", "data sets"),
    "base": ("base model", "base models"),
    "commit": ("commit", "commits"),
    "run": ("run", "runs"),
    "version": ("version", "versions"),
    "deployment": ("deployment", "deployments"),
}


def lineage_tree(found: Lineage, direction: Direction) -> Document:
    """``lineage show``."""
    nodes = {node.id: node for node in found.nodes}
    root = nodes[found.root]
    blocks: list[Block] = [Facts([*_facts(root)])]
    for upward, title, none in (
        (True, "Made from", "Nothing is known of what it was made from."),
        (False, "Stands on it", "Nothing stands on it."),
    ):
        if direction == ("down" if upward else "up"):
            continue
        neighbours: dict[str, list[tuple[str, LineageEdge]]] = {}
        for edge in found.edges:
            here, there = (edge.end, edge.start) if upward else (edge.start, edge.end)
            neighbours.setdefault(here, []).append((there, edge))
        lines = list(_branches(root.id, "", neighbours, nodes, upward, {root.id}))
        lines += [_fold(fold) for fold in found.folds if fold.upward == upward]
        blocks.append(Lines([f"{title}:", *lines]) if lines else Note(none, "dim"))
    return Document([*blocks, *(Note(note, "dim") for note in found.notes)])


def runs_without_version(found: list[LineageNode], of: str, more: bool) -> Document:
    """``lineage show --runs``."""
    if not found:
        return Document([Note(f"All runs of {of} lead to a version.", "dim")])
    note = (
        [Note(f"These are the newest {len(found):,} runs. A larger --limit shows more.", "dim")]
        if more
        else []
    )
    return Document([Lines([_line(node) for node in found]), *note])


def _fold(fold: LineageFold) -> str:
    noun = _NOUNS[fold.kind][fold.count != 1]
    if not fold.without_version:
        return f"and {fold.count:,} more {noun}"
    least = "at least " if fold.at_least else ""
    return f"and {least}{fold.count:,} {noun} without a version: --runs lists them"


def _branches(
    id: str,
    indent: str,
    neighbours: dict[str, list[tuple[str, LineageEdge]]],
    nodes: dict[str, LineageNode],
    upward: bool,
    drawn: set[str],
) -> Iterator[str]:
    """Yield the lines below a node. A node that is drawn again has no branches, so that circles end."""
    there = neighbours.get(id, [])
    for place, (other, edge) in enumerate(there):
        last = place == len(there) - 1
        again = other in drawn and bool(neighbours.get(other))
        text = f"{_relation(edge, upward)} {_line(nodes[other])}" + (" (see above)" if again else "")
        yield f"{indent}{'└─' if last else '├─'} {text}"
        if other not in drawn:
            drawn.add(other)
            yield from _branches(other, indent + ("   " if last else "│  "), neighbours, nodes, upward, drawn)


def _relation(edge: LineageEdge, upward: bool) -> str:
    """Say how the next node of the tree belongs to the one above it."""
    if edge.kind == "input":
        return f"{edge.context or 'input'}:"
    words = {
        "commit": ("made from", "used by"),
        "logged": ("logged by", "logged"),
        "evaluated": ("evaluated by", "evaluated"),
        "derived": ("derived from", "became"),
        "base": ("derived from", "became"),
        "serves": ("serves", "deployed as"),
    }
    return words[edge.kind][0 if upward else 1]


def _line(node: LineageNode) -> str:
    """Return a node in one line: its kind, its name and its most telling facts."""
    name = _cut(node.name)
    deleted = ["deleted"] if node.deleted else []
    if node.kind == "data":
        return _joined(f"data set {name} @{node.digest}", [_cut(node.source), *deleted])
    if node.kind == "run":
        title = f"run {name} ({node.run_id[:SHORT_ID]})" if name else f"run {node.run_id}"
        commit = (
            f"commit {node.commit[:SHORT_ID]}{' with changes' if node.dirty else ''}" if node.commit else ""
        )
        cells = f"{node.cells} cells" if node.cells else ""
        state = node.status.lower() if node.status not in ("", "FINISHED") else ""
        return _joined(title, [state, commit, _cut(node.source), cells, node.environment, *deleted])
    if node.kind == "version":
        return _joined(
            f"{name} version {node.version}", [", ".join(node.aliases), _cut(node.source), *deleted]
        )
    if node.kind == "deployment":
        return _joined(f"deployment {name}", [node.state, f"of {node.owner}" if node.owner else ""])
    return f"{_NOUNS[node.kind][0]} {name}"


def _joined(title: str, facts: list[str]) -> str:
    stated = ", ".join(filter(None, facts))
    return clean(f"{title}: {stated}" if stated else title)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 1]}…"


def _facts(node: LineageNode) -> Iterator[tuple[str, str]]:
    yield _NOUNS[node.kind][0], node.name or node.run_id
    yield "version", node.version
    yield "aliases", ", ".join(node.aliases)
    yield "digest", node.digest
    yield "run", node.run_id
    yield "state", "deleted" if node.deleted else node.state or node.status
    yield "experiment", node.experiment
    yield "started", moment(node.started_at)
    yield "commit", "" if node.kind == "commit" else f"{node.commit}{' with changes' if node.dirty else ''}"
    yield "source", node.source
    yield "cells", str(node.cells or "")
    yield "environment", node.environment
    yield "owner", node.owner
