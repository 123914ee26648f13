"""Files of a folder of traces that are none: the others are read without them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from genops_lab.core.errors import InvalidRequest, NotFound

from .kinds_of_files import FileKind, Paths, files_of, kind_of_file, paths_of

#: More are counted.
TOLD = 8


class LeftOut:
    """Why files were left out. A file that somebody named is refused instead."""

    def __init__(self, named: Iterable[Path] = ()) -> None:
        self._named = frozenset(named)
        self._reasons: dict[Path, InvalidRequest | NotFound] = {}

    @classmethod
    def of(cls, paths: Paths) -> tuple[list[Path], LeftOut]:
        """The files that are meant, and what may be left out of them. Raises what ``files_of`` raises."""
        given = paths_of(paths)
        return files_of(given), cls(path for path in given if not path.is_dir())

    def by_kind(self, files: list[Path]) -> tuple[list[Path], list[Path]]:
        """Traces, and memory snapshots, in their order. What Nsight Compute measured is no rank beside traces."""
        kinds: list[tuple[Path, FileKind]] = []
        for path in files:
            with self.reading(path):
                kinds.append((path, kind_of_file(path)))
        reports = [path for path, kind in kinds if kind is FileKind.NSIGHT_COMPUTE]
        traces = [path for path, kind in kinds if kind in (FileKind.TRACE, FileKind.NSIGHT)]
        for path in reports if traces else ():
            with self.reading(path):
                raise InvalidRequest(
                    f"{path.name} is a report of Nsight Compute, and no rank of a run beside {traces[0].name}.",
                    hint=f"Read it by itself: genops profile analyze {path.name}",
                )
        return traces or reports, [path for path, kind in kinds if kind is FileKind.SNAPSHOT]

    @contextlib.contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """What reading ``path`` raises is its reason; raised again where the file was named."""
        try:
            yield
        except (InvalidRequest, NotFound) as error:
            if path in self._named:
                raise
            self._reasons[path] = error

    def told(self) -> list[str]:
        """A sentence a file; the last one counts those that are not told."""
        found = [f"Left out: {reason.message}" for reason in self._reasons.values()]
        if len(found) <= TOLD + 1:
            return found
        return [*found[:TOLD], f"{len(found) - TOLD} more files were left out."]

    def require_any_of(self, files: list[Path]) -> None:
        """Raises the reason, or InvalidRequest with the first one, where all files were left out."""
        if not files or len(self._reasons) < len(files):
            return
        first = next(iter(self._reasons.values()))
        if len(files) == 1:
            raise first
        raise InvalidRequest(
            f"None of the {len(files)} files in {files[0].parent} could be read. {first.message}",
            hint=first.hint,
        )
