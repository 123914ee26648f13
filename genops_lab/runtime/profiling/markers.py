"""Names of slices that mark a line or a cell: the contract between recording and reading a profile.

A marker is a slice (``record_function``) around a line or a cell::

    genops:line:<cell>:<line>
    genops:cell:<cell>

``<cell>`` is the id of a notebook's cell, or else a name (of a file, ``In[3]``). It is percent-encoded, so
that it has no colon (``urllib.parse.quote(name, safe="")``). ``<line>`` counts from 1.

Of nested markers the innermost counts, and a line's marker counts before a cell's. The trace may also have
the cells' texts: ``"genopsCells": [{"name": "<cell>", "number": 2, "lines": {"5": "loss.backward()"}}]``.
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
    """Return the name of the slice around a line of the cell or file ``name``."""
    return f"genops:line:{quote(name, safe='')}:{line}"


def cell_marker(name: str) -> str:
    """Return the name of the slice around a whole cell."""
    return f"genops:cell:{quote(name, safe='')}"


def cell_names(shell: Any) -> Dict[str, str]:
    """Return the session's cells by the file name of their compiled code: the cell's id, else ``In[n]``.

    Empty for IPython before 7.27, which does not give these names.
    """
    numbers = getattr(getattr(shell, "compile", None), "_filename_map", None)
    if not isinstance(numbers, dict):
        return {}
    ids = {cell.execution_count: cell.cell_id for cell in executed_cells(shell)}
    return {file: ids.get(number) or f"In[{number}]" for file, number in numbers.items()}


def own_files() -> Dict[str, str]:
    """Return, by their code's file name, the session's cells, or the script that has the ``with``."""
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
    """Return whether code of this file lies between a recording and the code that it records."""
    return file.startswith(_KERNEL_SIDE) or file == contextlib.__file__
