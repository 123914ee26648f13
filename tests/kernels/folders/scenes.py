"""A user's machine and a host behind a real sshd, with folders on both, for tests in the test's own process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genops_lab.hosts.link.questions import Question
from genops_lab.kernels.folders.channel import Listed
from genops_lab.kernels.folders.download import Progress, Report
from genops_lab.kernels.folders.local_folder import Contents, place_of
from genops_lab.kernels.folders.plan import Pull, Push
from genops_lab.kernels.folders.transfer import Folder, Look
from tests.kernels.places import Place, Running, a_place
from tests.support.homes import temporary_home
from tests.support.sshd import Sshd


class Person:
    """Answers every question alike; None is nobody."""

    def __init__(self) -> None:
        self.answer: str | None = None
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> str | None:
        self.asked.append(question)
        return self.answer


class Scene:
    """``here`` is the project on the user's machine."""

    def __init__(self, place: Place, host: Sshd) -> None:
        self.place, self.host = place, host
        self.person = Person()
        place.remote.links.asker = self.person
        self.here = place.home.work / "proj"
        self.here.mkdir()

    @property
    def folders(self) -> Any:
        return self.place.remote.folders

    def there(self, root: Path | None = None) -> Path:
        """The project on the host."""
        memory = self.folders.memories.get(self.place.route.target, str((root or self.here).resolve()))
        return self.host.home / memory.there.removeprefix("~/")

    def folder(self, path: Path | None = None) -> Folder:
        self.place.do(self.place.remote.links.link(self.place.route).up())
        found: Folder = self.folders.folder(self.place.route, place_of(str(path or self.here)))
        return found

    def push(self, path: Path | None = None, **options: Any) -> Report:
        report: Report = self.place.do(self.folder(path).push(Progress(), always, **options))
        return report

    def pull(self, path: Path | None = None, **options: Any) -> Report:
        report: Report = self.place.do(self.folder(path).pull(Progress(), always_pull, **options))
        return report

    def look(self, path: Path | None = None) -> Look:
        found: Look = self.place.do(self.folder(path).look())
        return found

    def files_there(self) -> list[str]:
        """All files of the project there."""
        root = self.there()
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    @contextmanager
    def kernel(self, cwd: Path | None = None, **start: Any) -> Iterator[Running]:
        """A kernel of a notebook in the project."""
        manager = self.place.manager()
        manager.start_kernel(cwd=str(cwd or self.here), **start)
        running = Running(self.place, manager)
        try:
            yield running
        finally:
            running.close()


async def always(push: Push, found: Contents) -> bool:
    return True


async def always_pull(pull: Pull, there: Listed) -> bool:
    return True


@contextmanager
def a_scene() -> Iterator[Scene]:
    """A scene with a host of its own."""
    with temporary_home() as home, Sshd() as host, a_place(home, host.route(python=sys.executable)) as place:
        yield Scene(place, host)


def git(folder: Path, *arguments: str) -> None:
    """Run git there, as nobody in particular."""
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, env=os.environ.copy()
    )


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    """Make these files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
