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

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

#: How all of them begin.
BEGINNING = "genops:"
#: The line of a marker that tells the cell alone.
WHOLE_CELL = 0

_MARKER = re.compile(
    r"genops:(?:line:(?P<of>[^:]+):(?P<line>[1-9][0-9]{0,8})|cell:(?P<cell>[^:]+))", re.ASCII
)
# The format of notebooks bounds the ids of cells (nbformat 4.5).
_CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)


class Marker(NamedTuple):
    """What a marker tells; ``line`` is WHOLE_CELL where it tells the cell alone."""

    name: str
    line: int

    @property
    def is_cell(self) -> bool:
        """Whether ``name`` is a cell's id; else it is that of a file or an input."""
        return _CELL_ID.fullmatch(self.name) is not None


def line_marker(name: str, line: int) -> str:
    """The name of the slice round a line of the cell or file ``name``."""
    return f"genops:line:{quote(name, safe='')}:{line}"


def cell_marker(name: str) -> str:
    """The name of the slice round a whole cell."""
    return f"genops:cell:{quote(name, safe='')}"


def parse(text: str) -> Marker | None:
    """None for a name that is no marker."""
    found = _MARKER.fullmatch(text)
    if found is None:
        return None
    if found["cell"] is not None:
        return Marker(unquote(found["cell"]), WHOLE_CELL)
    return Marker(unquote(found["of"]), int(found["line"]))
