"""Render documents as text: coloured and fitted on a terminal, whole and plain in a pipe."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING

from .document import Block, Cell, Column, Document, Facts, Lines, Note, Table, Tone, clean

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_STYLES: dict[Tone, str] = {"": "", "good": "green", "busy": "yellow", "bad": "bold red", "dim": "dim"}
PIPE_WIDTH = 10_000
NOTEBOOK_WIDTH = 120
GAP = 2
#: In a pipe nothing is cut, and a column is padded to at most this many characters.
PADDED = 80


def render(document: Document, *, width: int = PIPE_WIDTH, color: bool = False) -> str:
    """Return the text without trailing spaces. Cells that do not fit into ``width`` end with an ellipsis."""
    from rich.console import Console

    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for position, block in enumerate(document.blocks):
        if position:
            console.print()
        _print(console, block)
    text = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def render_for_stdout(document: Document) -> str:
    """Return the text for standard output: fitted and coloured if it is a terminal."""
    if not sys.stdout.isatty():
        return render(document)
    width = os.get_terminal_size(sys.stdout.fileno()).columns
    color = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return render(document, width=max(40, width), color=color)


def _print(console: Console, block: Block) -> None:
    from rich.table import Table as Grid
    from rich.text import Text

    def text(cell: str | Cell, style: str = "") -> Text:
        if isinstance(cell, Cell):
            return Text(clean(cell.text), style=_STYLES[cell.tone])
        return Text(clean(cell), style=style)

    title = block.title if isinstance(block, (Table, Facts)) else ""
    if title:
        console.print(text(title, "bold"), soft_wrap=True)
    match block:
        case Table(rows=rows) if not rows:
            console.print(text(block.empty), soft_wrap=True)
        case Table():
            for row in _table_lines(block, console.width):
                console.print(row, soft_wrap=True)
        case Facts():
            grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
            grid.add_column(no_wrap=True, style="dim")
            grid.add_column(overflow="fold")
            for name, value in block.pairs:
                if value not in ("", Cell("")):
                    grid.add_row(clean(name), text(value))
            console.print(grid)
        case Lines():
            for line in block.lines:
                console.print(text(line.expandtabs()), soft_wrap=True)
        case Note():
            console.print(text(Cell(block.text, block.tone)), soft_wrap=True)


def _table_lines(table: Table, available: int) -> Iterator[Text]:
    """Yield rows in columns. Columns that may shrink give up what is wider than ``available``."""
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    headings: list[str | Cell] = [column.heading.upper() for column in table.columns]
    rows = [
        [Cell(clean(cell.text), cell.tone) if isinstance(cell, Cell) else Cell(clean(cell)) for cell in row]
        for row in (headings, *table.rows)
    ]
    natural = [max(cell_len(row[at].text) for row in rows) for at in range(len(headings))]
    places = _columns_with_room(table.columns, natural, available)
    columns, widths = [table.columns[at] for at in places], [natural[at] for at in places]
    piped = available == PIPE_WIDTH
    widths = [min(width, PADDED) for width in widths] if piped else widths
    excess = sum(widths) + GAP * (len(widths) - 1) - available
    for _ in range(max(0, excess)):
        shrinking = [
            at for at, column in enumerate(columns) if column.shrinks and widths[at] > column.narrowest
        ]
        if not shrinking:
            break
        widths[max(shrinking, key=widths.__getitem__)] -= 1
    for position, row in enumerate(_folded(rows, places, columns, widths)):
        line = Text()
        for column, width, cell in zip(columns, widths, row, strict=True):
            room = width - cell_len(cell.text)
            shown = cell.text if room >= 0 or piped else set_cell_size(cell.text, width - 1) + "…"
            padding = " " * max(0, room)
            line.append(padding if column.right else "")
            line.append(shown, style=_STYLES[cell.tone] if position else "bold")
            line.append(("" if column.right else padding) + " " * GAP)
        line.rstrip()
        yield line


def _folded(
    rows: Sequence[Sequence[Cell]], places: Sequence[int], columns: Sequence[Column], widths: Sequence[int]
) -> Iterator[Sequence[Cell]]:
    """Yield the rows of the shown columns; a cell that folds continues in rows of its own."""
    for row in rows:
        parts = [
            [Cell(text, row[at].tone) for text in wrap(row[at].text, width, break_on_hyphens=False)]
            if column.folds
            else [row[at]]
            for at, column, width in zip(places, columns, widths, strict=True)
        ]
        yield from zip_longest(*parts, fillvalue=Cell(""))


def _columns_with_room(columns: Sequence[Column], widths: Sequence[int], available: int) -> list[int]:
    """Return the positions of the columns that are shown."""
    places = list(range(len(columns)))

    def least() -> int:
        needed = [
            min(widths[at], columns[at].narrowest) if columns[at].shrinks else widths[at] for at in places
        ]
        return sum(needed) + GAP * (len(places) - 1)

    while least() > available and (leaving := [at for at in places if columns[at].leaves]):
        places.remove(min(leaving, key=lambda at: columns[at].leaves))
    return places
