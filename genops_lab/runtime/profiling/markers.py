"""The names of slices that tell a line or a cell: the contract of who records a profile and who reads it.

A marker is a slice (``record_function``) round what a line, or a cell, does::

    genops:line:<cell>:<line>
    genops:cell:<cell>

``<cell>`` is the id of a notebook's cell, or else a name (of a file, ``In[3]``), percent-encoded so that it holds no
colon (``urllib.parse.quote(name, safe="")``). ``<line>`` counts from 1. Where markers lie inside one another the
innermost holds, and one of a line holds over one of a cell. What they stand for is told beside the events, as far as
it is known: ``"genopsCells": [{"name": "<cell>", "number": 2, "lines": {"5": "loss.backward()"}}]``.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, Dict
from urllib.parse import quote

from ..cells import executed_cells
from ..display import shell

_KERNEL_SIDE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def line_marker(name: str, line: int) -> str:
    """The name of the slice round a line of the cell or file ``name``."""
    return f"genops:line:{quote(name, safe='')}:{line}"


def cell_marker(name: str) -> str:
    """The name of the slice round a whole cell."""
    return f"genops:cell:{quote(name, safe='')}"


def cell_names(shell: Any) -> Dict[str, str]:
    """The session's cells, by the file name that their code was compiled with: the cell's id, else ``In[n]``.

    Empty for a shell that does not tell (IPython before 7.27).
    """
    numbers = getattr(getattr(shell, "compile", None), "_filename_map", None)
    if not isinstance(numbers, dict):
        return {}
    ids = {cell.execution_count: cell.cell_id for cell in executed_cells(shell)}
    return {file: ids.get(number) or f"In[{number}]" for file, number in numbers.items()}


def own_files() -> Dict[str, str]:
    """The names of the session's cells, or of the script that has the ``with``, by their code's file name."""
    found = cell_names(shell())
    if not found:
        frame: Any = sys._getframe(1)
        while frame is not None and is_ours(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is not None:
            file = frame.f_code.co_filename
            found = {file: os.path.abspath(file)}
    return found


def is_ours(file: str) -> bool:
    """Whether code of this file stands between a recording and the code that it records."""
    return file.startswith(_KERNEL_SIDE) or file == contextlib.__file__
