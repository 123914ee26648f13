"""Keep what a copy of a version's files has so far, so that the next one goes on from there.

``ROOT/files`` becomes the new folder when it is whole. ``ROOT/about.json`` says which version it is. The process that
copies holds a lock in the Lab's folder: the disk of a pull may know no locks. All functions block.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from pathlib import Path

import msgspec

from genops_lab.core.errors import Conflict, Failed
from genops_lab.core.formatting import size_of
from genops_lab.core.locks import FileLock
from genops_lab.core.paths import private_dir, write_private

ENDING = ".genops-pull"
_LOCK = ".lock"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The version that is copied. ``folder`` is what it becomes, empty for a copy that is uploaded."""

    model: str
    version: str
    mlflow: str
    folder: str = ""


class Unfinished:
    """One unfinished copy. ``record`` is a file of the Lab that names the folder, if it is outside of the Lab's."""

    def __init__(self, root: Path, record: Path | None = None) -> None:
        self.root = root
        self.files = root / "files"
        self._record = record
        self._lock = FileLock(record.with_name(f"{record.name}{_LOCK}") if record else root / "lock")

    def open(self, about: About) -> None:
        """Take the copy up. Files of another version are deleted. Raises OSError, and Conflict while another copies."""
        self.root.mkdir(parents=True, exist_ok=True)
        if self._record is not None:
            private_dir(self._record.parent)
        if not self._lock.try_acquire():
            raise Conflict(
                f"{about.model} version {about.version} is being copied to {about.folder or 'the hub'} already.",
                hint="Wait until that task has ended, or cancel it.",
            )
        if self.about() != about:
            shutil.rmtree(self.files, ignore_errors=True)
            write_private(self.root / "about.json", msgspec.json.encode(about).decode())
        if self._record is not None:
            write_private(self._record, str(self.root))
        self.files.mkdir(exist_ok=True)

    def about(self) -> About | None:
        """Return what the copy is; None if nobody can tell."""
        try:
            return msgspec.json.decode((self.root / "about.json").read_bytes(), type=About)
        except (OSError, msgspec.DecodeError):
            return None

    def put(self, folder: Path, names: set[str]) -> None:
        """Make the files the new folder in one rename. Files of other names are deleted before. Raises OSError."""
        for each in sorted(self.files.rglob("*"), reverse=True):
            if not each.is_dir():
                if each.relative_to(self.files).as_posix() not in names:
                    each.unlink()
            elif not any(each.iterdir()):
                each.rmdir()
        self.files.rename(folder)

    def size(self) -> int:
        """Return the bytes that are there."""
        return size_below(self.files)

    def close(self) -> int:
        """Let others go on with the copy, and return the bytes that are there. Without any, nothing is left."""
        there = 0
        with contextlib.suppress(OSError):  # a disk that cannot be written keeps nothing either
            there = self.size()
            if not there and self._lock.held:
                self.delete()
        self._lock.release()
        return there

    def is_open(self) -> bool:
        """Return whether a process copies now."""
        if not self.root.is_dir():
            return False
        free = self._lock.try_acquire()
        self._lock.release()
        return not free

    def delete_if_free(self) -> bool:
        """Delete the copy, unless a process copies now. Return whether it is gone. Raises Failed."""
        if not self._lock.try_acquire():
            return False
        try:
            shutil.rmtree(self.root)
            self.delete()
        except OSError as error:
            raise Failed(
                f"Cannot delete {self.root}: {error.strerror}.", hint="Check the rights of the folder."
            ) from error
        finally:
            self._lock.release()
        return True

    def delete(self) -> None:
        """Delete the copy and its record."""
        shutil.rmtree(self.root, ignore_errors=True)
        if self._record is not None:
            self._record.unlink(missing_ok=True)
            self._lock.path.unlink(missing_ok=True)


def pulls_of(data_dir: Path) -> Path:
    """Return the folder with a file for each unfinished pull of this Lab."""
    return data_dir / "pulls"


def pull_into(folder: Path, records: Path) -> Unfinished:
    """Return the copy that becomes ``folder``. ``records``: see :func:`pulls_of`.

    >>> pull_into(Path("models/digits"), Path("pulls")).root.as_posix()
    'models/.digits.genops-pull'
    """
    root = folder.with_name(f".{folder.name}{ENDING}")
    return Unfinished(root, records / _digest(str(root)))


def push_from(scratch: Path, about: About) -> Unfinished:
    """Return the copy of a version that is uploaded."""
    return Unfinished(scratch / f"push-{_digest(about.mlflow, about.model, about.version)}")


def all_of(records: Path, scratch: Path) -> list[Unfinished]:
    """List the unfinished copies of this Lab."""
    found = [Unfinished(each) for each in sorted(scratch.glob("push-*"))]
    for record in sorted(each for each in records.glob("*") if each.suffix != _LOCK):
        root = Path(record.read_text())
        if root.name.endswith(ENDING) and root.is_dir():
            found.append(Unfinished(root, record))
        elif root.parent.is_dir():  # else its disk may not be mounted now
            record.unlink()
    return found


def size_below(folder: Path) -> int:
    """Return the bytes of all files below a folder; 0 for a folder that does not exist."""
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def check_room(folder: Path, size: int) -> None:
    """Raise Failed if the disk has less room than ``size`` bytes. Raises OSError."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise Failed(
            f"The files need {size_of(size)} more, and the disk of {folder} has {size_of(free)} left.",
            hint="Free some disk space, then try again.",
        )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
