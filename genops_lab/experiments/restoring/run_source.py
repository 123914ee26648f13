"""Decode a run's files below ``source/``, which :mod:`genops_lab.runtime.provenance` wrote.

Any of them may be missing or strange: everyone who can write to an MLflow can write these files.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

from genops_lab.runtime.artifacts import CELLS, FOLDER, INSTALLED, PATCH, RECORD

from .models import LeftOutFile

__all__ = ["CELLS", "FOLDER", "INSTALLED", "PATCH", "RECORD", "Kept", "KeptCell", "Record", "decoded"]

T = TypeVar("T")


class KeptCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that ran; ``execution_count`` is None for a script."""

    source: str
    execution_count: int | None = None
    sha256: str = ""
    cell_id: str = ""
    redacted: dict[str, int] = {}

    @property
    def altered(self) -> bool:
        """Whether the text differs from the one that was hashed."""
        return bool(self.sha256) and hashlib.sha256(self.source.encode()).hexdigest() != self.sha256


class KeptPatch(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the patch."""

    files: list[str] = []
    left_out: list[LeftOutFile] = []
    redacted: dict[str, dict[str, int]] = {}


class KeptGit(msgspec.Struct, frozen=True, kw_only=True):
    """The commit; ``patch`` is None if git did not answer in time."""

    commit: str = ""
    branch: str = ""
    remote: str = ""
    patch: KeptPatch | None = None


class KeptLock(msgspec.Struct, frozen=True, kw_only=True):
    """The project's lock file."""

    name: str = ""
    sha256: str = ""


class KeptEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """The Python that ran."""

    python: str = ""
    folders: list[str] = []
    lock_file: KeptLock | None = None


class KeptKernel(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel that ran."""

    name: str = ""
    remote: bool = False


class KeptGpu(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU that the process saw."""

    name: str = ""
    driver: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """``source/record.json``."""

    script: str = ""
    git: KeptGit | None = None
    environment: KeptEnvironment = KeptEnvironment()
    host: str = ""
    platform: str = ""
    kernel: KeptKernel = KeptKernel()
    gpus: list[KeptGpu] = []


class KeptDataset(msgspec.Struct, frozen=True, kw_only=True):
    """A data set of the run, of GenOps or of MLflow's own."""

    name: str
    digest: str
    source: str = ""
    context: str = ""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The whole source; ``record`` is None for an older GenOps Lab, or if the run ended before it was
    written.
    """

    cells: list[KeptCell]
    record: Record | None = None
    installed: str = ""
    has_patch: bool = False
    datasets: list[KeptDataset] = []


def decoded(text: str, kind: type[T]) -> T | None:
    """Decode JSON as this type; None if it does not fit."""
    try:
        return msgspec.json.decode(text.encode("utf-8", "replace"), type=kind)
    except (msgspec.DecodeError, RecursionError):
        return None
