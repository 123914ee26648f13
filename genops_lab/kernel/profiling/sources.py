"""What the markers of a trace stand for: cells' numbers and the text of the lines, without secrets."""

from __future__ import annotations

import linecache
import os
from typing import Any, Dict, Iterable, List, Tuple

from ..display import shell
from ..keeping import OFF_VARIABLE, redactor_now

#: Of a line so much is told, and so many lines.
MAX_TEXT = 200
MAX_LINES = 5000
#: Longer ones are not looked into for secrets, so nothing of them is told.
_MAX_LINE = 10_000


def marked_cells(files: Dict[str, str], marked: Iterable[Tuple[str, int]]) -> List[Dict[str, Any]]:
    """For each name of ``files`` with a marker (a file and a line; 0: the whole of it) its number and its lines.

    Of a cell that ran several times the numbers and lines of the last time hold. No text with GENOPS_NO_SOURCE set.
    """
    numbers = _numbers()
    told: Dict[str, Dict[str, Any]] = {}
    order = sorted(marked, key=lambda one: (numbers.get(one[0], 0), one))[:MAX_LINES]
    for file, line in order:
        cell = told.setdefault(files[file], {"name": files[file], "number": None, "lines": {}})
        cell["number"] = numbers.get(file) or cell["number"]
        text = _text(file, line, numbers.get(file, 0)) if line else ""
        if text:
            cell["lines"][line] = text
    found = list(told.values())
    _take_secrets_out(found)
    return found


def _numbers() -> Dict[str, int]:
    """The numbers of cells by their code's file name."""
    known = getattr(getattr(shell(), "compile", None), "_filename_map", None)
    return dict(known) if isinstance(known, dict) else {}


def _text(file: str, line: int, number: int) -> str:
    """As it was typed: the file of a cell has its magics in other words."""
    if os.environ.get(OFF_VARIABLE):
        return ""
    here = shell()
    typed: List[str] = list(here.history_manager.input_hist_raw) if number and here is not None else []
    lines = typed[number].split("\n") if number < len(typed) else linecache.getlines(file)
    text = lines[line - 1].strip() if line <= len(lines) else ""
    return text if len(text) <= _MAX_LINE else ""


def _take_secrets_out(cells: List[Dict[str, Any]]) -> None:
    places = [(cell, line) for cell in cells for line in cell["lines"]]
    if not places:
        return
    # A line may hold what splits lines elsewhere, so only the line end does here.
    harmless = redactor_now().redact("\n".join(cell["lines"][line] for cell, line in places)).split("\n")
    for (cell, line), text in zip(places, harmless):  # noqa: B905 - Python 3.8
        cell["lines"][line] = text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
