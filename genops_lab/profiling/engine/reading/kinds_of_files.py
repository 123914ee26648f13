"""Find the kind of a file by its content: a trace, a memory snapshot, an export of Nsight Systems, a report
of Nsight Compute, or another file. In a folder of traces, other files are left out."""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

from genops_lab.core.errors import InvalidRequest, NotFound

#: One or more files and folders.
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
_HEAD = 1 << 16
#: Position of the magic of a tar archive.
_TAR = slice(257, 262)
_PIECE = 1 << 20
_GZIP = b"\x1f\x8b"
_ENDINGS = (".json", ".json.gz", ".sqlite", ".ncu-rep")
#: First bytes of a report of Nsight Compute.
NCU_REPORT = b"NVR\x00"
_DIGITS = re.compile(r"(\d+)")
#: Most traces in a folder; no training has more ranks.
MOST_TRACES = 1024


class FileKind(Enum):
    """The kinds of files that the engine reads."""

    TRACE = "a trace"
    SNAPSHOT = "a memory snapshot"
    NSIGHT = "an export of Nsight Systems"
    NSIGHT_COMPUTE = "a report of Nsight Compute"


_SNAPSHOT_KEYS = re.compile(
    rb'\s*\{\s*"(?:segments|device_traces|allocator_settings|external_annotations|user_metadata)"'
)
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive", "Unpack it, and give a file from it."),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "Unpack it: zstd -d FILE"),
    (_GZIP, "compressed by gzip twice", "Unpack it once: gunzip FILE"),
    (b"BZh", "compressed by bzip2", "Unpack it: bunzip2 FILE"),
    (b"\xfd7zXZ", "compressed by xz", "Unpack it: unxz FILE"),
    (b"\x89HDF", "an HDF5 file", "Export it as SQLite: nsys export --type sqlite FILE.nsys-rep"),
    (b"\xff\xfe", "text in UTF-16", "Save it as UTF-8."),
    (b"\xfe\xff", "text in UTF-16", "Save it as UTF-8."),
    (b"<", "an HTML page", "Give the trace file, not a web page."),
)
#: The expected kind by the end of the file's name, and the hint for another content.
_NAMED = {
    ".ncu-rep": (
        "a report of Nsight Compute",
        "Give a file that ncu wrote (ncu -o NAME ...). Copy it after ncu has ended, without changes.",
    ),
    ".sqlite": ("an export of Nsight Systems", "Make one: nsys export --type sqlite FILE.nsys-rep"),
    ".pickle": (
        "a memory snapshot",
        "Give a file from torch.cuda.memory._dump_snapshot, or the same data as JSON.",
    ),
}
_REPORTS = {
    ".nsys-rep": "nsys export --type sqlite",
    ".qdrep": "nsys export --type sqlite",
    ".qdstrm": "QdstrmImporter, then nsys export --type sqlite",
}


def paths_of(paths: Paths) -> list[Path]:
    """Return the paths as given."""
    return [Path(each) for each in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]


def files_of(paths: Paths) -> list[Path]:
    """Return the files; a folder stands for the traces in it, sorted by number.

    Raises NotFound for a folder without traces, and InvalidRequest for one with too many.
    """
    found: list[Path] = []
    for path in paths_of(paths):
        found += _inside(path) if path.is_dir() else [path]
    return found


def _inside(folder: Path) -> list[Path]:
    found = [each for each in folder.iterdir() if each.is_file() and each.name.endswith(_ENDINGS)]
    if not found:
        raise NotFound(f"There is no trace in {folder}.", hint=f"Traces end in {', '.join(_ENDINGS)}.")
    if len(found) > MOST_TRACES:
        raise InvalidRequest(
            f"{folder} has {len(found)} files that could be traces.",
            hint=f"Put the traces of one run into a separate folder, {MOST_TRACES} at most.",
        )
    # worker2 before worker10
    return sorted(found, key=lambda path: [each.zfill(20) for each in _DIGITS.split(path.name)])


@contextlib.contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Convert errors of the file system to errors of GenOps Lab."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", hint="Check the path.") from error
    except OSError as error:
        raise InvalidRequest(
            f"{path} could not be read: {error.strerror}.", hint="Check the path."
        ) from error


def kind_of_file(path: Path) -> FileKind:
    """Return the kind of a file. Raises NotFound, or InvalidRequest with the file's actual kind or the reason
    why it cannot be read."""
    with file_errors(path), path.open("rb") as stream:
        head = stream.read(_HEAD)
    packed = head.startswith(_GZIP)
    if packed:
        head = _inflated(head)
    if head.startswith(b"SQLite format 3\x00"):
        if packed:
            raise InvalidRequest(
                f"{path.name} is a database compressed by gzip.", hint=f"Unpack it: gunzip {path.name}"
            )
        return FileKind.NSIGHT
    if head.startswith(NCU_REPORT):
        return FileKind.NSIGHT_COMPUTE
    if path.suffix in _REPORTS:
        raise InvalidRequest(
            f"{path.name} looks like a report of Nsight Systems, which only Nsight Systems can read.",
            hint=f"Export it where Nsight Systems is installed: {_REPORTS[path.suffix]} {path.name}",
        )
    if head[:1] == b"\x80" or _SNAPSHOT_KEYS.match(head.removeprefix(b"\xef\xbb\xbf")):
        return FileKind.SNAPSHOT
    wanted = _NAMED[path.suffix][0] if path.suffix in _NAMED else "a trace"
    if head[_TAR.start : _TAR.stop] == b"ustar":
        raise InvalidRequest(
            f"{path.name} is not {wanted}: it is a tar archive.", hint="Unpack it, and give a file from it."
        )
    for beginning, what, hint in _OTHERS:
        if head.startswith(beginning):
            raise InvalidRequest(f"{path.name} is not {wanted}: it is {what}.", hint=hint)
    return FileKind.TRACE


def no_trace(path: Path, reason: str) -> InvalidRequest:
    """Return the error for a file that is not a trace, for the kind that its name promises."""
    if path.suffix in _NAMED:
        wanted, hint = _NAMED[path.suffix]
        seen = "it has another format" if path.stat().st_size else "it is empty"
        return InvalidRequest(f"{path.name} is not {wanted}: {seen}.", hint=hint)
    return InvalidRequest(
        f"{path.name} is not a trace: {reason}.",
        hint="Give a Kineto or Chrome trace (JSON or gzipped JSON), such as torch.profiler exports.",
    )


def require_trace(path: Path) -> FileKind:
    """Return the kind of a file with times. Raises the errors of ``kind_of_file``, and InvalidRequest for a
    memory snapshot."""
    kind = kind_of_file(path)
    if kind is FileKind.SNAPSHOT:
        raise InvalidRequest(
            f"{path.name} is a memory snapshot: it has no times.",
            hint=f"Read its memory: genops profiles memory {path.name}",
        )
    return kind


def unpacked(path: Path, largest: int) -> bytes:
    """Return a file's bytes, unpacked if it is gzip. Raises InvalidRequest for more than ``largest``
    bytes."""
    with path.open("rb") as stream:
        head = stream.read(_PIECE)
        if not head.startswith(_GZIP):
            return head + stream.read()
        inflater = zlib.decompressobj(wbits=31)
        parts, size, pending = [], 0, head
        try:
            while pending and not inflater.eof:
                piece = inflater.decompress(pending, _PIECE * 4)
                parts.append(piece)
                size += len(piece)
                if size > largest:
                    raise InvalidRequest(
                        f"{path.name} unpacks to more than {largest >> 20:,} MiB.",
                        hint="Give a smaller file.",
                    )
                pending = inflater.unconsumed_tail or stream.read(_PIECE)
        except zlib.error as error:
            raise InvalidRequest(
                f"{path.name} is damaged: it cannot be unpacked.", hint="Copy it again."
            ) from error
    return b"".join(parts)


def _inflated(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, _HEAD)
    except zlib.error:
        return b""


#: Most files that are named; more are counted.
MOST_LISTED = 8


class LeftOut:
    """The reasons why files were left out. A file that the user named is refused instead."""

    def __init__(self, named: Iterable[Path] = ()) -> None:
        self._named = frozenset(named)
        self._reasons: dict[Path, InvalidRequest | NotFound] = {}

    @classmethod
    def of(cls, paths: Paths) -> tuple[list[Path], LeftOut]:
        """Return the files, and those that may be left out of them. Raises the errors of ``files_of``."""
        given = paths_of(paths)
        return files_of(given), cls(path for path in given if not path.is_dir())

    def by_kind(self, files: list[Path]) -> tuple[list[Path], list[Path]]:
        """Return traces and memory snapshots, in order. A report of Nsight Compute among traces is not a
        rank."""
        kinds: list[tuple[Path, FileKind]] = []
        for path in files:
            with self.reading(path):
                kinds.append((path, kind_of_file(path)))
        reports = [path for path, kind in kinds if kind is FileKind.NSIGHT_COMPUTE]
        traces = [path for path, kind in kinds if kind in (FileKind.TRACE, FileKind.NSIGHT)]
        for path in reports if traces else ():
            with self.reading(path):
                raise InvalidRequest(
                    f"{path.name} is a report of Nsight Compute, not a rank of the run of {traces[0].name}.",
                    hint=f"Read the report alone: genops profiles analyze {path.name}",
                )
        return traces or reports, [path for path, kind in kinds if kind is FileKind.SNAPSHOT]

    @contextlib.contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """Record an error of reading ``path`` as the reason; raise it again where the user named the file."""
        try:
            yield
        except (InvalidRequest, NotFound) as error:
            if path in self._named:
                raise
            self._reasons[path] = error

    def sentences(self) -> list[str]:
        """Return a sentence per file; the last one counts the remaining files."""
        found = [f"Left out: {reason.message}" for reason in self._reasons.values()]
        if len(found) <= MOST_LISTED + 1:
            return found
        return [*found[:MOST_LISTED], f"{len(found) - MOST_LISTED} more files were left out."]

    def require_any_of(self, files: list[Path]) -> None:
        """Raise an error if all files were left out: the reason, or InvalidRequest with the first one."""
        if not files or len(self._reasons) < len(files):
            return
        first = next(iter(self._reasons.values()))
        if len(files) == 1:
            raise first
        raise InvalidRequest(
            f"None of the {len(files)} files in {files[0].parent} could be read. {first.message}",
            hint=first.hint,
        )
