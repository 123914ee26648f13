"""The bytes of a trace file, inflated where it is compressed, up to where it is damaged."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

READ_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"


class Stream:
    """Iterated once, it gives the bytes in pieces; ``damage`` says afterwards what was met.

    ``begin``: where to begin in a file that is not compressed.
    """

    def __init__(self, path: Path, begin: int = 0) -> None:
        self.path = path
        self.damage = ""
        self.packed = False
        #: How far a file that is not compressed has been read.
        self.position = begin

    def __iter__(self) -> Iterator[bytes]:
        with self.path.open("rb") as stream:
            stream.seek(self.position)
            first = stream.read(READ_BYTES)
            self.packed = self.position == 0 and first.startswith(_GZIP)
            if not self.packed:
                while first:
                    self.position += len(first)
                    yield first
                    first = stream.read(READ_BYTES)
                return
            library = _inflating()
            inflater = library.decompressobj(wbits=31)
            pending = first
            while pending:
                try:
                    piece = inflater.decompress(pending, READ_BYTES)
                except library.error:
                    self.damage = "The compressed file is corrupt; it was read up to there."
                    return
                if piece:
                    yield piece
                pending = inflater.unconsumed_tail
                if inflater.eof:
                    # gzip files may be concatenated
                    pending = inflater.unused_data or stream.read(READ_BYTES)
                    if not _GZIP.startswith(pending[:2]):
                        if pending.strip(b"\0"):
                            self.damage = "What follows the compressed trace in its file was not read."
                        return
                    inflater = library.decompressobj(wbits=31)
                elif not pending:
                    pending = stream.read(READ_BYTES)
                    if not pending:
                        self.damage = "The compressed file is cut off; it was read up to there."


def _inflating() -> Any:
    """ISA-L, where it is installed, inflates some times faster than zlib."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib
