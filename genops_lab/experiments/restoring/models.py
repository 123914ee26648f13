"""Define the wire types of restoring. Times in seconds since 1970, sizes in bytes."""

from __future__ import annotations

from typing import Any

import msgspec


class LeftOutFile(msgspec.Struct, frozen=True):
    """A changed file whose content was not kept: ``reason`` is large, binary, may hold secrets, ..."""

    path: str
    reason: str
    size: int = 0


class PackageDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A package with a different version now; ``then`` or ``now`` is empty if there was, or is, none."""

    name: str
    then: str
    now: str


class EnvironmentDifference(msgspec.Struct, frozen=True, kw_only=True):
    """``compared``: with the run's own environment as it is now, or not at all (``why``)."""

    compared: bool
    python_then: str = ""
    packages: list[PackageDifference] = []
    why: str = ""


class RestoredNotebook(msgspec.Struct, frozen=True, kw_only=True):
    """A notebook (nbformat 4.5) with the cells of a run, which the caller writes.

    ``name`` is a file name for it; ``redacted`` counts marks by kind; ``altered`` counts cells whose text
    does not match the hash that the run wrote.
    """

    run_id: str
    name: str
    notebook: dict[str, Any]
    cells: int
    redacted: dict[str, int] = {}
    altered: int = 0
    git_commit: str = ""
    git_branch: str = ""
    patch_files: int = 0
    environment: EnvironmentDifference


class RunPatch(msgspec.Struct, frozen=True, kw_only=True):
    """The uncommitted changes at the start of a run, for ``git apply``. ``redacted`` counts marks."""

    run_id: str
    git_commit: str
    text: str
    files: list[str] = []
    left_out: list[LeftOutFile] = []
    redacted: int = 0
