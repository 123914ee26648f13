"""Folders on targets as documents."""

from __future__ import annotations

from genops_lab.kernels.folders.models import FolderFile, FolderResult, FolderState

from ..document import Block, Cell, Column, Document, Facts, Note, Row, Table, Tone, size

_CHANGES: dict[str, Tone] = {"new": "good", "changed": "busy", "deleted": "dim", "conflict": "bad"}


def _table(title: str, files: list[FolderFile], count: int) -> list[Block]:
    if not files:
        return []
    rows: list[Row] = [
        [
            Cell(each.change, _CHANGES[each.change]),
            each.path,
            "" if each.change == "deleted" else size(each.size),
            f"yours is {each.kept}" if each.kept else each.why,
        ]
        for each in files
    ]
    columns = [Column(""), Column(title, shrinks=True), Column("size", right=True), Column("", shrinks=True)]
    rest = count - len(files)
    return [Table(columns, rows), *([Note(f"and {rest:,} more", "dim")] if rest > 0 else [])]


def _reasons(title: str, files: list[FolderFile]) -> list[Block]:
    rows: list[Row] = [[each.path, each.why] for each in files]
    return [Table([Column(title, shrinks=True), Column("why", shrinks=True)], rows)] if rows else []


def state(shown: FolderState) -> Document:
    """``folders status``."""
    blocks: list[Block] = [Facts([("target", shown.target), ("here", shown.here), ("there", shown.there)])]
    blocks += _table("to push", shown.to_send, shown.to_send_count)
    blocks += _table("to pull", shown.to_bring, shown.to_bring_count)
    blocks += _table("changed on both sides", shown.conflicts, len(shown.conflicts))
    blocks += _reasons("not pushed", shown.left_out)
    if not (shown.to_send or shown.to_bring or shown.conflicts):
        blocks.append(Note("This folder and its copy are the same.", "good"))
    if shown.to_bring:
        blocks.append(Note("Pull them: genops pull", "dim"))
    if shown.conflicts:
        blocks.append(
            Note(
                "Files changed on both sides. Choose for each: genops pull --theirs PATH, or genops push --ours PATH. "
                "The other file is kept under another name.",
                "busy",
            )
        )
    if shown.message:
        blocks.append(Note(shown.message, "busy"))
    return Document(blocks)


def result(shown: FolderResult) -> Document:
    """``folders pull`` and ``folders push``."""
    blocks = _table(shown.direction, shown.done, shown.done_count)
    blocks += _table("changed on both sides", shown.conflicts, len(shown.conflicts))
    blocks += _reasons("failed", shown.failed)
    blocks.append(Note(shown.message, "busy" if shown.conflicts or shown.failed else "good"))
    if shown.conflicts:
        other = "genops pull --theirs PATH" if shown.direction == "brought" else "genops push --ours PATH"
        blocks.append(Note(f"No file that changed on both sides was overwritten. To choose: {other}", "dim"))
    return Document(blocks)
