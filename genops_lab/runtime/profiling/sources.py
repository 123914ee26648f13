"""What the markers of a trace stand for: cells' numbers and the text of the lines, without secrets."""

from __future__ import annotations

import linecache
import os
from typing import Any, Dict, Iterable, List, Tuple

from ..display import shell
from ..provenance import OFF_VARIABLE, redactor_now
from ..redaction import Redactor

#: Of a line so much is told, and so many lines.
MAX_TEXT = 200
MAX_LINES = 5000
#: Longer ones are not looked into for secrets, so nothing of them is told.
_MAX_LINE = 10_000


def marked_cells(files: Dict[str, str], marked: Iterable[Tuple[str, int]]) -> List[Dict[str, Any]]:
    """For each name of ``files`` with a marker (a file and a line; 0: the whole of it) its number and its lines.

    Of a cell that ran several times the numbers and lines of the last time hold. No text with GENOPS_NO_SOURCE set.
    """
    numbers, redactor = _numbers(), redactor_now()
    texts: Dict[str, List[str]] = {}
    told: Dict[str, Dict[str, Any]] = {}
    order = sorted(marked, key=lambda one: (numbers.get(one[0], 0), one))[:MAX_LINES]
    for file, line in order:
        cell = told.setdefault(files[file], {"name": files[file], "number": None, "lines": {}})
        cell["number"] = numbers.get(file) or cell["number"]
        if file not in texts:
            texts[file] = _lines(file, numbers.get(file, 0), redactor)
        text = texts[file][line - 1] if 0 < line <= len(texts[file]) else ""
        if text:
            cell["lines"][line] = text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
    return list(told.values())


def _numbers() -> Dict[str, int]:
    """The numbers of cells by their code's file name."""
    known = getattr(getattr(shell(), "compile", None), "_filename_map", None)
    return dict(known) if isinstance(known, dict) else {}


def _lines(file: str, number: int, redactor: Redactor) -> List[str]:
    """As they were typed (the file of a cell has its magics in other words), without secrets, which may be told by
    the lines around theirs."""
    if os.environ.get(OFF_VARIABLE):
        return []
    here = shell()
    typed: List[str] = list(here.history_manager.input_hist_raw) if number and here is not None else []
    if number < len(typed):
        lines = typed[number].split("\n")
        while lines and not lines[0].strip():  # IPython takes them off before it compiles
            del lines[0]
    else:
        lines = "".join(linecache.getlines(file)).split("\n")
    text = "\n".join(line if len(line) <= _MAX_LINE else "" for line in lines)
    return [line.strip() for line in redactor.redact(text).split("\n")]
