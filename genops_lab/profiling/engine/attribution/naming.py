"""Format markers for users: ``[2] line 5: loss.backward()``."""

from __future__ import annotations

import re

from ...models import Place
from ..columns import Columns, MarkedCell
from . import markers

#: Name of a cell without an id while it runs.
_INPUT = re.compile(r"In\[(\d{1,9})\]", re.ASCII)


def place_of(marker: markers.Marker, cells: dict[str, MarkedCell]) -> Place:
    """Return the line or the cell of a marker; the cell by its number in the notebook where it is known."""
    name, line = marker
    cell = cells.get(name, MarkedCell(name, None, {}))
    given = _INPUT.fullmatch(name)
    number = cell.number if cell.number is not None else given and int(given[1])
    file = f"[{number}]" if number is not None and (marker.is_cell or given) else name
    return Place(file=file, line=line, cell=name if marker.is_cell else "", text=cell.lines.get(line, ""))


def cells_of(columns: Columns) -> dict[str, MarkedCell]:
    """Return the cells of a trace by name."""
    return {cell.name: cell for cell in columns.cells}


def shown_names(columns: Columns) -> list[str]:
    """Return display names of a trace's slices."""
    cells = cells_of(columns)
    return [_shown(name, cells) for name in columns.names]


def _shown(name: str, cells: dict[str, MarkedCell]) -> str:
    if not name.startswith(markers.BEGINNING):
        return name
    marker = markers.parse(name)
    if marker is None:
        return name
    place = place_of(marker, cells)
    text = place.text.strip()
    return f"{place.where}: {text}" if text else place.where
