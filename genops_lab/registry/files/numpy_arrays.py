"""Judge NumPy's ``.npy`` files by their header: arrays of objects are pickles.

Source of the layout: ``numpy.lib.format``.
"""

from __future__ import annotations

import re

from .judged import Judged, code, data, unknown
from .source import Damaged, Source

FORMAT = "NumPy"
MAGIC = b"\x93NUMPY"
MAX_HEADER = 65_536
_REST = r", 'fortran_order': (True|False), 'shape': \((\d+L?,? ?)*\),? ?\}\s*"
_PLAIN = re.compile(r"\{'descr': '[<>|=]?[?biufcSUVmM]\d*(\[\w+\])?'" + _REST)
_RECORDS = re.compile(r"\{'descr': \[[\w\s'<>|=?,()\[\]]*\]" + _REST)
_OBJECTS = re.compile(r"""['"][<>|=]?O\d*['"]""")


def judge(source: Source) -> Judged:
    """Judge a ``.npy`` file. Raises Damaged."""
    major = source.read(6, 2)[0]
    width = {1: 2, 2: 4, 3: 4}.get(major)
    if width is None:
        return unknown(FORMAT, f"It has version {major} of NumPy's format.")
    length = int.from_bytes(source.read(8, width), "little")
    if length > MAX_HEADER:
        raise Damaged(f"Its header claims {length:,} bytes.")
    header = source.read(8 + width, length).decode("latin-1")
    if _PLAIN.fullmatch(header) or (_RECORDS.fullmatch(header) and not _OBJECTS.search(header)):
        return data(FORMAT)
    if _OBJECTS.search(header):
        return code(
            "NumPy objects",
            "It is a NumPy array of objects, which is a pickle: loading it can run any code.",
            pickle=True,
        )
    return unknown(FORMAT, "It is a NumPy array of an unknown type.")
