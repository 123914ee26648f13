"""The names of marker slices: the contract between the recorder and the reader of a profile.

A marker is a slice (``record_function``) around the work of a line or a cell::

    genops:line:<cell>:<line>
    genops:cell:<cell>

``<cell>`` is the id of a notebook's cell, or a name (of a file, ``In[3]``). It is percent-encoded, so that it
has no colon (``urllib.parse.quote(name, safe="")``). ``<line>`` counts from 1. The innermost marker counts,
and a line marker counts before a cell marker. Known texts of cells are stored beside the events:
``"genopsCells": [{"name": "<cell>", "number": 2, "lines": {"5": "loss.backward()"}}]``.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

#: Prefix of all markers.
BEGINNING = "genops:"
#: Line number of a marker for a whole cell.
WHOLE_CELL = 0

_MARKER = re.compile(
    r"genops:(?:line:(?P<of>[^:]+):(?P<line>[1-9][0-9]{0,8})|cell:(?P<cell>[^:]+))", re.ASCII
)
# The notebook format limits the length of cell ids (nbformat 4.5).
_CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)


class Marker(NamedTuple):
    """The content of a marker; ``line`` is WHOLE_CELL for a cell marker."""

    name: str
    line: int

    @property
    def is_cell(self) -> bool:
        """Return whether ``name`` is a cell's id, and not that of a file or an input."""
        return _CELL_ID.fullmatch(self.name) is not None


def line_marker(name: str, line: int) -> str:
    """Return the name of the slice around a line of the cell or file ``name``."""
    return f"genops:line:{quote(name, safe='')}:{line}"


def cell_marker(name: str) -> str:
    """Return the name of the slice around a whole cell."""
    return f"genops:cell:{quote(name, safe='')}"


def parse(text: str) -> Marker | None:
    """Return None for a name that is not a marker."""
    found = _MARKER.fullmatch(text)
    if found is None:
        return None
    if found["cell"] is not None:
        return Marker(unquote(found["cell"]), WHOLE_CELL)
    return Marker(unquote(found["of"]), int(found["line"]))
