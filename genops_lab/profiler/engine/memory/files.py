"""What a file says of memory, whichever kind of file it is."""

from __future__ import annotations

import os
from pathlib import Path

from genops_lab.core.errors import InvalidRequest

from ...models import MemorySummary
from ..reading.kinds_of_files import FileKind, kind_of_file
from . import snapshots


def memory(path: str | os.PathLike[str]) -> MemorySummary:
    """Of a memory snapshot, or of a trace with memory events. Raises InvalidRequest for a file without either."""
    from .. import analyze

    file = Path(path)
    if kind_of_file(file) is FileKind.SNAPSHOT:
        return snapshots.read(file)
    found = analyze(file).memory
    if found is None:
        raise InvalidRequest(
            f"{file.name} says nothing of memory.",
            hint="Record a trace with profile_memory=True, or the allocator's history: `%genops memory record`.",
        )
    return found
