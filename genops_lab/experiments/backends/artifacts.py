"""List, compare and hand out the files of runs, in the worker process."""

from __future__ import annotations

import functools
import hashlib
import posixpath
import shutil
import stat
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import msgspec

from genops_lab.core.errors import InvalidRequest, NotFound

from .client import MlflowBackend, mlflow_errors

#: Files of one run that are listed.
MAX_FILES = 5_000
_MAX_DEPTH = 12
_MAX_HASHED_BYTES = 64_000_000
_MAX_HASHED_TOGETHER = 512_000_000
_CHUNK_BYTES = 1 << 20


class ArtifactFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to read. The reader removes ``folder``, which was made for the file; empty if the file is
    MLflow's own.
    """

    path: str
    folder: str = ""


class MlflowArtifacts(MlflowBackend):
    """Reads the artifacts of one MLflow."""

    def locate(self, run_id: str, path: str) -> ArtifactFile:
        """Return one file: in place if it is on this machine, else as a copy in a new folder of the scratch.

        Raises InvalidRequest for a folder or a path that leaves the run's artifacts, and NotFound.
        """
        checked(path)
        with mlflow_errors(f"The artifacts of run {run_id} could not be read"):
            root = local_path(self._client.get_run(run_id).info.artifact_uri)
        if root is not None:
            return ArtifactFile(path=str(contained(root, path)))
        parent = posixpath.dirname(path)
        with mlflow_errors(f"The artifacts of run {run_id} could not be listed"):
            found = {entry.path: entry for entry in self._client.list_artifacts(run_id, parent or None)}
        if path not in found:
            raise _not_there(path)
        if found[path].is_dir:
            raise _is_folder(path)
        folder = tempfile.mkdtemp(prefix="artifact-", dir=self._scratch)
        try:
            with mlflow_errors(f"The artifact {path[:80]!r} of run {run_id} could not be read"):
                copy = self._client.download_artifacts(run_id, path, folder)
            file = contained(Path(folder), str(Path(copy).relative_to(folder)))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return ArtifactFile(path=str(file), folder=folder)

    def files(self, run_id: str) -> tuple[dict[str, int | None], bool]:
        """Return the sizes in bytes of a run's files by path, at most 5,000, and whether there are more."""
        files: dict[str, int | None] = {}
        pending: list[tuple[str | None, int]] = [(None, 0)]
        with mlflow_errors(f"The artifacts of run {run_id} could not be listed"):
            while pending:
                folder, depth = pending.pop()
                for entry in self._client.list_artifacts(run_id, folder):
                    if not entry.is_dir:
                        files[entry.path] = entry.file_size
                    elif depth < _MAX_DEPTH:
                        pending.append((entry.path, depth + 1))
                    if len(files) >= MAX_FILES:
                        return files, True
        return files, False


class Digests:
    """SHA-256 digests of files on this machine, up to 64 MB each and 512 MB together; empty for others."""

    def __init__(self, locations: dict[str, Path | None]) -> None:
        self._locations = locations
        self._known: dict[tuple[str, str], str] = {}
        self._left = _MAX_HASHED_TOGETHER

    def __call__(self, run_id: str, path: str) -> str:
        key = (run_id, path)
        if key not in self._known:
            self._known[key] = self._digest(self._locations.get(run_id), path)
        return self._known[key]

    def _digest(self, root: Path | None, path: str) -> str:
        if root is None:
            return ""
        try:
            file = contained(root, path)
            found = file.stat()
            if found.st_size > min(_MAX_HASHED_BYTES, self._left):
                return ""
            self._left -= found.st_size
            return _sha256(file, found.st_size, found.st_mtime_ns)
        except (OSError, NotFound, InvalidRequest):  # then the content stays unknown
            return ""


@functools.lru_cache(maxsize=10_000)
def _sha256(file: Path, _size: int, _changed_ns: int) -> str:
    """Return a digest from a cache, because another baseline asks for the same files again."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def local_path(location: str) -> Path | None:
    """Return the path of a location on this machine; None for other locations."""
    parts = urlsplit(location)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(url2pathname(parts.path))
    return Path(location) if ":/" not in location else None


def checked(path: str) -> None:
    """Raise InvalidRequest unless this is a relative path below a run's artifacts, in any number of URL
    encodings.
    """
    plain = path
    for _ in range(5):  # servers decode once more than expected
        parts = plain.replace("\\", "/").split("/")
        if not plain or "\0" in plain or any(part in ("", ".", "..") for part in parts):
            raise InvalidRequest(
                f"{path[:80]!r} is not the path of an artifact.",
                hint="Use a path from the run's list of artifacts.",
            )
        plain = unquote(plain)


def contained(root: Path, path: str) -> Path:
    """Return the plain file ``path`` below ``root``, with links followed.

    Raises NotFound, also for a file outside ``root``, and InvalidRequest for a folder.
    """
    checked(path)
    try:
        real_root = root.resolve(strict=True)
        file = (real_root / path).resolve(strict=True)
        mode = file.stat().st_mode
    except (OSError, RuntimeError, ValueError) as error:
        raise _not_there(path) from error
    if not file.is_relative_to(real_root):
        raise _not_there(path)
    if stat.S_ISDIR(mode):
        raise _is_folder(path)
    if not stat.S_ISREG(mode):
        raise _not_there(path)
    return file


def _not_there(path: str) -> NotFound:
    return NotFound(
        f"The run has no artifact {path[:80]!r}.", hint="Use a path from the run's list of artifacts."
    )


def _is_folder(path: str) -> InvalidRequest:
    return InvalidRequest(f"The artifact {path[:80]!r} is a folder.", hint="Name one of the files in it.")
