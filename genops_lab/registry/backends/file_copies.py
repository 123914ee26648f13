"""Copy one file from or into the store of an MLflow: in pieces, with progress, until the caller cancels it.

MLflow's own copies of a file report nothing, cannot be stopped, and begin anew after a broken line. Its client for
object stores stays in use: there a file is copied whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import mimetypes
import os
import posixpath
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genops_lab.core.call_progress import report_progress
from genops_lab.core.errors import Failed, NotFound, Unavailable
from genops_lab.registry.remote import RemoteFile

_CHUNK = 1 << 20
#: A piece of an answer: on a slow line it must come soon, for the progress and for a cancel.
_PIECE = 1 << 16
_PARTIAL, _NOT_SATISFIABLE = 206, 416
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def download(repository: Any, file: RemoteFile, place: Path) -> None:
    """Copy a file of an artifact repository to ``place``, which appears whole.

    An earlier part of the file beside ``place`` is continued where the server allows it. Raises Failed for a disk that
    is full or may not be written, Unavailable for a line that breaks, and the errors of MLflow.
    """
    while hasattr(repository, "repo") and not hasattr(repository, "parse_runs_uri"):
        repository = repository.repo
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part = _copied(repository, file, place)
        if differs(part, file):
            part.unlink()
            raise Unavailable(
                f"{file.path} came with another size or content than its MLflow says.",
                hint="The line may have broken. If it happens again, the file was changed after it was logged.",
            )
        part.replace(place)
    except OSError as error:
        if error.errno in _DISK:
            raise cannot_write(file.path, error) from error
        raise


def _copied(repository: Any, file: RemoteFile, place: Path) -> Path:
    """Return the path of the copy, which is not checked yet."""
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    if isinstance(repository, LocalArtifactRepository):
        part = _part(place, "local")
        with _reading(repository.get_local_path(file.path), file) as source, part.open("wb") as target:
            _write(iter(lambda: source.read(_CHUNK), b""), target, 0)
        return part
    if isinstance(repository, HttpArtifactRepository) and not _by_parts(repository):
        return _over_http(repository, file, place)
    whole = Path(tempfile.mkdtemp(prefix=".whole-", dir=place.parent))
    try:
        part = _part(place, "whole")
        Path(repository.download_artifacts(file.path, str(whole))).replace(part)
    finally:
        shutil.rmtree(whole, ignore_errors=True)
    return part


def _reading(path: str, file: RemoteFile) -> io.BufferedReader:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise Failed(
            f"Cannot read {file.path}: {error.strerror}.",
            hint="Check that GenOps Lab may read MLflow's files.",
        ) from error


def _by_parts(repository: Any) -> bool:
    """Return whether MLflow fetches from the object store behind its server, in parts at once."""
    asked = getattr(repository, "_is_multipart_download_enabled", None)
    return asked is not None and bool(asked())


def _over_http(repository: Any, file: RemoteFile, place: Path) -> Path:
    given = _earlier(place)
    start = given.stat().st_size if given else 0
    # Pieces of a compressed answer would be pieces of another file.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with (
        _line(file.path),
        _request(repository, file.path, "GET", stream=True, extra_headers=headers) as answer,
    ):
        if given and answer.status_code == _NOT_SATISFIABLE:  # nothing is missing, or the file became shorter
            return given
        answer.raise_for_status()
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified", "")
        part = _part(place, tag)
        if answer.status_code != _PARTIAL:
            start = 0
        # Without a hash to check at the end, only the same ETag says that the rest belongs to the part.
        elif given and (file.sha256 or (tag and given == part)):
            given.replace(part)
        elif given:
            given.unlink()
            answer.close()
            return _over_http(repository, file, place)
        with part.open("r+b" if start else "wb") as target:
            target.seek(start)
            _write(answer.iter_content(_PIECE), target, start)
    if file.size is not None and part.stat().st_size < file.size:
        raise _broken(file.path)
    return part


@contextlib.contextmanager
def _line(path: str) -> Iterator[None]:
    """Turn errors of a line and of a server into ours. Their texts name the server's address: left out."""
    import requests

    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status == 404:
            raise NotFound(
                f"The MLflow server does not have {path}.", hint="It may have been deleted or moved."
            ) from error
        raise Unavailable(
            f"The MLflow server answered with an error ({status}) while {path} was copied.",
            hint="Check the log of the MLflow server and its disk.",
        ) from error
    except requests.RequestException as error:
        raise _broken(path) from error


def _broken(path: str) -> Unavailable:
    return Unavailable(
        f"The line broke while {path} was copied.", hint="Check the network, then try the same again."
    )


def _write(chunks: Iterator[bytes], target: Any, done: int) -> None:
    report_progress(done)
    for chunk in chunks:
        report_progress(done)  # a cancelled copy writes nothing more
        target.write(chunk)
        target.flush()
        done += len(chunk)
    report_progress(done)


def _part(place: Path, tag: str) -> Path:
    """Return the path of an unfinished copy. Its name has a digest of the server's ETag."""
    digest = hashlib.sha256(tag.encode()).hexdigest()[:8]
    return place.with_name(f".{hashlib.sha256(place.name.encode()).hexdigest()[:16]}.{digest}.part")


def _earlier(place: Path) -> Path | None:
    """Return the largest unfinished copy of a file; the others are deleted."""
    name = hashlib.sha256(place.name.encode()).hexdigest()[:16]
    found = sorted(place.parent.glob(f".{name}.*.part"), key=lambda each: each.stat().st_size)
    for each in found[:-1]:
        each.unlink()
    return found[-1] if found else None


class _Counted(io.FileIO):
    """A file that tells how much of it was read. A cancelled call cannot read on."""

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size) or b""
        report_progress(self.tell())
        return found


def upload(repository: Any, path: Path, folder: str) -> None:
    """Copy the file ``path`` into a folder of an artifact repository.

    Raises Failed for a disk that is full or may not be written, Unavailable for a broken line, and the errors of
    MLflow.
    """
    try:
        _sent(repository, path, folder)
    except OSError as error:
        if error.errno in _DISK:
            raise cannot_write(path.name, error, "the artifacts of MLflow") from error
        raise


def _sent(repository: Any, path: Path, folder: str) -> None:
    from mlflow.store.artifact.artifact_repo import StreamUploadMixin
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

    http: Any = repository if isinstance(repository, HttpArtifactRepository) else None
    if http is not None and not http._should_multipart_upload(str(path)):
        kind = {"Content-Type": mimetypes.guess_type(path.name)[0] or "application/octet-stream"}
        with _line(path.name), _Counted(path) as stream:
            place = posixpath.join(folder, path.name)
            _request(http, place, "PUT", data=stream, extra_headers=kind).raise_for_status()
    elif isinstance(repository, StreamUploadMixin):
        with _Counted(path) as stream:
            repository.log_artifact_from_stream(stream, path.name, folder or None)
    else:
        repository.log_artifact(str(path), folder or None)


def _request(repository: Any, path: str, method: str, **options: Any) -> Any:
    """Send a request about a file to the server, as MLflow's repository does."""
    from mlflow.utils import rest_utils

    mlflow: Any = rest_utils
    return mlflow.http_request(repository._host_creds, posixpath.join("/", path), method, **options)


def differs(place: Path, file: RemoteFile) -> bool:
    """Return whether a file has another size or sha256 than it should, as far as these are known."""
    if file.size is not None and place.stat().st_size != file.size:
        return True
    if not file.sha256:
        return False
    digest, size = hashlib.sha256(), place.stat().st_size
    with place.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            report_progress(size)
    return digest.hexdigest() != file.sha256


def cannot_write(what: str, error: OSError, where: str = "") -> Failed:
    """Return the error for a disk that is full or may not be written. ``where`` names it, if it is not the user's."""
    into = f" into {where}" if where else ""
    reason = os.strerror(error.errno) if error.errno else str(error)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Failed(
        f"Cannot write {what}{into}: {reason}.",
        hint="Free some disk space, then try again."
        if full
        else f"Check the rights of {where}."
        if where
        else "Name a folder that you may write to.",
    )
