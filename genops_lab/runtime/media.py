"""Make events of the pictures, histograms and tables that a run keeps by step."""

from __future__ import annotations

import base64
import json
import math
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .errors import GenOpsError
from .pictures import picture
from .values import clean

Made = Tuple[Dict[str, Any], str]

MAX_ROWS, MAX_COLUMNS, MAX_CELL_CHARACTERS = 1000, 100, 20_000
#: Bytes of one table's JSON, so that it travels in one message.
MAX_CHARACTERS = 3_000_000


def image_event(image: Any) -> Made:
    """Return the event's fields of a picture, and a note for the user. Raises GenOpsError."""
    made = picture(image)
    event = {"type": "image", "content": _text(made.content)}
    if made.small:
        event["small"] = _text(made.small)
    return event, made.note


def table_event(rows: Any) -> Made:
    """Return the event's fields of a table, and a note for the user. Raises GenOpsError."""
    made, note = table(rows)
    return {"type": "table", **made}, note


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


class MediaSteps:
    """Counts what one process keeps under each name. ``series`` differs for a process that continues the run."""

    def __init__(self, run_key: str) -> None:
        self._series = run_key[:8]
        self._next: Dict[Tuple[str, str], int] = {}
        self._count: Dict[Tuple[str, str], int] = {}

    def place(self, kind: str, name: str, step: Optional[int]) -> Dict[str, Any]:
        """Return the step, and the index (from 0) of this item among those of its kind and name."""
        key = (kind, name)
        at = self._next.get(key, 0) if step is None else int(step)
        index = self._count.get(key, 0)
        self._next[key], self._count[key] = at + 1, index + 1
        return {"step": at, "series": self._series, "index": index}


def table(rows: Any) -> Tuple[Dict[str, Any], str]:
    """Return ``{"columns": [...], "data": [[...]]}`` (pandas' ``orient="split"``) and a note on what was cut.

    ``rows``: a list of dicts, a dict of lists, or a pandas data frame. Raises GenOpsError.
    """
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        split = rows.head(MAX_ROWS + 1).to_dict(orient="split")
        total, columns, data = len(rows), list(split["columns"]), split["data"]
    else:
        total, columns, data = _plain(rows)
    notes = []
    if total > MAX_ROWS:
        notes.append(f"the first {MAX_ROWS:,} of {total:,} rows are kept")
    if len(columns) > MAX_COLUMNS:
        notes.append(f"the first {MAX_COLUMNS} of {len(columns)} columns are kept")
    kept: List[List[Any]] = []
    size = 0
    cut = False
    for row in data[:MAX_ROWS]:
        cells = [_cell(value) for value in row[:MAX_COLUMNS]]
        cut = cut or any(was_cut for _, was_cut in cells)
        size += len(json.dumps([value for value, _ in cells]))
        if size > MAX_CHARACTERS:
            notes = [f"the first {len(kept):,} of {total:,} rows are kept, because the rows are long"]
            break
        kept.append([value for value, _ in cells])
    if cut:
        notes.append(f"texts are cut to {MAX_CELL_CHARACTERS:,} characters")
    names = [clean(name)[:500] for name in columns[:MAX_COLUMNS]]
    return {"columns": names, "data": kept}, ", ".join(notes)


def _plain(rows: Any) -> Tuple[int, List[Any], List[List[Any]]]:
    if isinstance(rows, Mapping):
        columns = list(rows)
        values = [list(value) if isinstance(value, (list, tuple)) else [value] for value in rows.values()]
        longest = max([len(value) for value in values] or [0])
        data = [
            [value[place] if place < len(value) else None for value in values]
            for place in range(min(longest, MAX_ROWS))
        ]
        return longest, columns, data
    if isinstance(rows, Sequence) and not isinstance(rows, (str, bytes)):
        some = list(rows[:MAX_ROWS])
        if all(isinstance(row, Mapping) for row in some):
            columns = list(dict.fromkeys(name for row in some for name in row))
            return len(rows), columns, [[row.get(name) for name in columns] for row in some]
    raise GenOpsError(
        f"Rows of the type {type(rows).__name__} are not a table.",
        "Give a list of dicts, a dict of lists, or a pandas data frame.",
    )


def _cell(value: Any) -> Tuple[Any, bool]:
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if value is None or isinstance(value, (bool, int)):
        return value, False
    if isinstance(value, float):
        return (value if math.isfinite(value) else str(value)), False
    text = clean(value)
    return text[:MAX_CELL_CHARACTERS], len(text) > MAX_CELL_CHARACTERS
