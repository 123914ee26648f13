"""Read the code that ran: a session's cells in their order, or the script."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import time
import tokenize
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, TypeVar

from ..redaction.texts import Counts, Redactor, added, marks_in
from .values import MAX_TEXT_CHARACTERS

#: The latest cells of a long session are kept.
MAX_CELLS_CHARACTERS = 2_000_000
#: Bytes that spaces and line ends add to an entry, at most.
_INDENTATION = 500
_ATTRIBUTE = "_genops_cell_ids"
_Item = TypeVar("_Item")


class Cell(NamedTuple):
    """Code that ran at once. ``execution_count`` is None for a script; ``cell_id`` is the notebook's, or
    empty.
    """

    execution_count: Optional[int]
    source: str
    cell_id: str = ""


class CellIds:
    """Remembers which cell of the notebook each execution came from, because the shell's history does not."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._ids: Dict[int, Tuple[str, str]] = {}
        #: Duration of each execution in seconds, by its number.
        self.seconds: Dict[int, float] = {}
        self._begun = 0.0

    def register(self) -> None:
        """Listen to the shell. The cell that runs now has begun already."""
        parent = self._shell.get_parent() if hasattr(self._shell, "get_parent") else {}
        given = (parent or {}).get("metadata", {}).get("cellId")
        typed = self._shell.history_manager.input_hist_raw
        if isinstance(given, str) and len(typed) > 1:
            self._ids[len(typed) - 1] = (given, typed[-1])
        self._shell.events.register("pre_run_cell", self._before)
        self._shell.events.register("post_run_cell", self._after)
        setattr(self._shell, _ATTRIBUTE, self)

    def unregister(self) -> None:
        """Remove the listeners from the shell."""
        self._shell.events.unregister("pre_run_cell", self._before)
        self._shell.events.unregister("post_run_cell", self._after)
        delattr(self._shell, _ATTRIBUTE)

    def _after(self, result: Any) -> None:
        count = getattr(result, "execution_count", None)
        if isinstance(count, int) and self._begun:
            self.seconds[count] = time.monotonic() - self._begun

    def _before(self, info: Any) -> None:
        self._begun = time.monotonic()
        given = getattr(info, "cell_id", None)
        if not isinstance(given, str) or not getattr(info, "store_history", False):
            return
        # Depending on IPython's version, the history has this cell already or gets it next.
        typed, source = self._shell.history_manager.input_hist_raw, str(info.raw_cell).rstrip("\n")
        count = len(typed) - 1 if typed and typed[-1] == source else len(typed)
        self._ids[count + 1 if count in self._ids else count] = (given, source)

    def of(self, count: int, source: str) -> str:
        """Return the id of the cell that ran as ``count``, or an empty text."""
        cell_id, typed = self._ids.get(count, ("", ""))
        return cell_id if typed == source else ""


def seconds_of(shell: Any, count: Optional[int]) -> Optional[float]:
    """Return how long an execution of this session took, in seconds; None if it was not measured."""
    ids: Optional[CellIds] = getattr(shell, _ATTRIBUTE, None)
    return None if ids is None or count is None else ids.seconds.get(count)


def executed_cells(shell: Any) -> List[Cell]:
    """Return the cells of this session up to the present one, as they were typed."""
    ids: Optional[CellIds] = getattr(shell, _ATTRIBUTE, None)
    typed = list(shell.history_manager.input_hist_raw)
    cells = [
        Cell(count, text, ids.of(count, text) if ids is not None else "")
        for count, text in enumerate(typed)
        if count and text
    ]
    return _latest(cells, lambda cell: len(cell.source), MAX_CELLS_CHARACTERS)


def _latest(items: List[_Item], size_of: Callable[[_Item], int], most: int) -> List[_Item]:
    """Return the last items whose sizes add up to at most ``most``."""
    size = 0
    for index in range(len(items) - 1, -1, -1):
        size += size_of(items[index])
        if size > most:
            return items[index + 1 :]
    return items


def cell_id_of(shell: Any, count: int) -> str:
    """Return the notebook's id of the cell that ran as ``count`` in this session, or an empty text."""
    ids: Optional[CellIds] = getattr(shell, _ATTRIBUTE, None)
    typed = shell.history_manager.input_hist_raw
    return ids.of(count, typed[count]) if ids is not None and 0 <= count < len(typed) else ""


def script_cells(path: str) -> List[Cell]:
    """Return the script as one cell; no cell if it cannot be read or is too long."""
    try:
        if not path or os.path.getsize(path) > MAX_CELLS_CHARACTERS:
            return []
        with tokenize.open(path) as stream:
            return [Cell(None, stream.read())]
    except (OSError, SyntaxError, UnicodeDecodeError):
        return []


class KeptCells(NamedTuple):
    """The content of ``source/cells.json`` and ``source/notebook.py``, and the redaction marks in it."""

    as_json: str
    as_script: str
    redacted: Counts


def kept_cells(cells: List[Cell], redactor: Redactor) -> KeptCells:
    """Return the cells without secrets; the latest ones if all are too long for one text.

    ``sha256`` is the digest of the source as it is kept, in UTF-8.
    """
    entries: List[Dict[str, Any]] = []
    for cell in cells:
        source = redactor.redact(cell.source.encode("utf-8", "replace").decode())
        entry: Dict[str, Any] = {"execution_count": cell.execution_count, "source": source}
        entry["sha256"] = hashlib.sha256(source.encode()).hexdigest()
        if cell.cell_id:
            entry["cell_id"] = cell.cell_id
        counts = marks_in(source) if source != cell.source else {}
        if counts:
            entry["redacted"] = counts
        entries.append(entry)
    entries = _latest(
        entries,
        lambda entry: len(json.dumps(entry, ensure_ascii=False)) + _INDENTATION,
        MAX_TEXT_CHARACTERS,
    )
    total: Counts = functools.reduce(added, (entry.get("redacted", {}) for entry in entries), {})
    return KeptCells(json.dumps(entries, indent=1, ensure_ascii=False), _script(entries), total)


def _script(entries: List[Dict[str, Any]]) -> str:
    """Return the cells in the percent format, with their magics; a script as it is."""
    if [entry["execution_count"] for entry in entries] == [None]:
        return str(entries[0]["source"])
    cells = (f"# %% [{entry['execution_count']}]\n{entry['source'].rstrip()}" for entry in entries)
    return "\n\n".join(cells) + "\n"
