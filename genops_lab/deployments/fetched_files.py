"""Keep the files of fetched repositories once, by their content: revisions have hard links to them.

``files/HASH`` are the contents, ``listings/REPOSITORY/REVISION.json`` what the hub listed, and ``fetching`` what has
arrived in part. Small files, whose SHA-256 the hub does not say, are copied. A file may be deleted at any time:
revisions keep their own links. All methods block.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from pathlib import Path

import msgspec

from genops_lab.core.paths import private_dir, write_private
from genops_lab.registry.remote import Listing, RemoteFile
from genops_lab.registry.unfinished import size_below

from .models import ModelFile

_READ_ONLY = 0o400


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """The listing of a repository at a revision as it was asked for, such as ``main``, and when."""

    repository: str
    asked: str
    listing: Listing
    at: float


class FetchedFiles:
    """The cache in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files = root / "files"
        self._listings = root / "listings"
        self._fetching = root / "fetching"

    def note(self, repository: str, asked: str, listing: Listing) -> None:
        """Keep a listing, by what was asked for and by its commit."""
        for revision in {asked, listing.revision}:
            path = self._listing(repository, revision)
            private_dir(self.root)
            private_dir(self._listings)
            private_dir(path.parent)
            found = Listed(repository=repository, asked=revision, listing=listing, at=time.time())
            write_private(path, msgspec.json.encode(found).decode())

    def listing(self, repository: str, asked: str) -> Listing | None:
        """Return the last listing of a repository at a revision, or None."""
        found = _read(self._listing(repository, asked))
        return found.listing if found is not None else None

    def listings(self) -> list[Listed]:
        """Return all listings of commits, the newest first."""
        found = [each for path in self._listings.glob("*/*.json") if (each := _read(path)) is not None]
        return sorted(
            (each for each in found if each.asked == each.listing.revision), key=lambda each: -each.at
        )

    def has(self, file: RemoteFile) -> bool:
        """Return whether the content of a file is here."""
        path = self._of(file)
        with contextlib.suppress(OSError):
            return path is not None and (file.size is None or path.stat().st_size == file.size)
        return False

    def link(self, file: RemoteFile, folder: Path) -> bool:
        """Give a folder a link to a file, or a copy where the disk has no links. Return whether the file is here."""
        path = self._of(file)
        if path is None or not self.has(file):
            return False
        _link(path, folder / file.path, copies=not file.sha256)
        return True

    def shared(self, folder: Path, files: list[ModelFile]) -> set[tuple[int, int]]:
        """Return device and inode of the files of a folder that are links to files here, of the same content.

        Files of others are refused where they have a second link: somebody could change them elsewhere.
        """
        found = set()
        for each in files:
            with contextlib.suppress(OSError):
                own, kept = (folder / each.path).lstat(), (self._files / each.sha256).lstat()
                if (own.st_dev, own.st_ino) == (kept.st_dev, kept.st_ino):
                    found.add((own.st_dev, own.st_ino))
        return found

    def fetching(self, repository: str, commit: str) -> Path:
        """Return the folder in which files of a commit arrive; parts of them stay there."""
        private_dir(self.root)
        private_dir(self._fetching)
        return private_dir(
            self._fetching / hashlib.sha256(f"{repository}@{commit}".encode()).hexdigest()[:24]
        )

    def keep(self, file: RemoteFile, arrived: Path, folder: Path) -> None:
        """Move a file that has arrived, and was compared with its hash, into a folder, and keep it."""
        target = folder / file.path
        private_dir(target.parent)
        arrived.replace(target)
        path = self._of(file)
        if path is not None:
            private_dir(self._files)
            if file.sha256:
                target.chmod(_READ_ONLY)  # its content belongs to all revisions
            _link(target, path, copies=not file.sha256)

    def done(self, fetching: Path) -> None:
        """Forget a folder of files that have all arrived."""
        shutil.rmtree(fetching, ignore_errors=True)

    def size(self, listing: Listing) -> int:
        """Return the bytes of a listing's files that are here."""
        return sum(each.size or 0 for each in listing.files if self.has(each))

    def total(self) -> int:
        """Return the bytes of all files, also of those that have arrived in part."""
        return size_below(self._files) + size_below(self._fetching)

    def delete_unused(self, used: set[tuple[str, str]]) -> int:
        """Delete all but the files of the repositories and commits in ``used``. Return the bytes that are deleted."""
        before = self.total()
        kept = set()
        for each in self.listings():
            if (each.repository, each.listing.revision) in used:
                kept |= {path.name for file in each.listing.files if (path := self._of(file)) is not None}
            else:
                shutil.rmtree(self._listing(each.repository, "").parent, ignore_errors=True)
        for path in self._files.glob("*"):
            if path.name not in kept:
                path.unlink(missing_ok=True)
        shutil.rmtree(self._fetching, ignore_errors=True)
        return before - self.total()

    def _of(self, file: RemoteFile) -> Path | None:
        name = file.sha256 or (f"git-{file.blob}" if file.blob else "")
        return self._files / name if name.replace("-", "").isalnum() else None

    def _listing(self, repository: str, revision: str) -> Path:
        name = hashlib.sha256(revision.encode()).hexdigest()[:16]
        return self._listings / repository.replace("/", "--") / f"{name}.json"


def _read(path: Path) -> Listed | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Listed)
    except (OSError, msgspec.DecodeError):
        return None


def _link(path: Path, target: Path, *, copies: bool) -> None:
    """Make ``target`` a link, or with ``copies`` and on a disk without links a copy."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{os.getpid()}.{time.monotonic_ns()}")
    linked = False
    if not copies:
        with contextlib.suppress(OSError):
            os.link(path, fresh)
            linked = True
    if not linked:
        shutil.copyfile(path, fresh)
    fresh.replace(target)
