"""Cheaper collections: one worker compiles for all, and none looks for garbage in what it collects."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

#: The worker that compiles.
FIRST = "gw0"

#: From so many files on, compiling them takes longer than a collection.
MANY = 60

#: Seconds after which the other workers collect anyway.
LONGEST_S = 120.0


@contextlib.contextmanager
def without_garbage() -> Iterator[None]:
    """Collect no garbage meanwhile, and never look at what was made then: the collected tests stay to the end."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def compiled_once(worker: str, root: Path, shared: Path) -> Iterator[None]:
    """Have the first worker collect alone where much must be compiled; each would compile it: 10 CPU seconds.

    ``shared``: a folder that the workers of a run share.
    """
    compiled = shared / "compiled"
    if worker == FIRST:
        try:
            yield
        finally:
            compiled.mkdir(exist_ok=True)
        return
    if sum(1 for file in (root / "tests").rglob("test_*.py") if not _is_compiled(file)) >= MANY:
        deadline = time.monotonic() + LONGEST_S
        while not compiled.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
    yield


def _is_compiled(file: Path) -> bool:
    """Whether pytest compiled a file after its last change."""
    changed = file.stat().st_mtime
    kept = (file.parent / "__pycache__").glob(f"{file.stem}.*-pytest-*.pyc")
    return any(os.path.getmtime(each) >= changed for each in kept)
