"""Copy the files that an evaluation file names when the evaluation begins, so that later changes do not count."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.paths import private_dir
from genops_lab.genai.scorers.kinds import Scorer
from genops_lab.genai.scorers.programs import Function

from .evaluation_file import Evaluation
from .tools import check_files

_MOST_BYTES = 50_000_000


def contained(folder: Path, name: str) -> Path:
    """Return a file's path below a folder. Raises InvalidRequest, NotFound."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InvalidRequest(
            f"{name} is outside the folder of the evaluation file.", hint="Put it beside the evaluation file."
        )
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", hint=f"{name} is beside the evaluation file.")
    return path


def keep_files(file: Evaluation, source: Path, target: Path) -> None:
    """Copy the files of tools and of scorers. Blocks. Raises InvalidRequest, NotFound, OSError."""
    names = [each.file for each in file.tools if each.file]
    if file.harness:
        names += [each for each in (file.harness.task_file, *file.harness.files) if each]
    copy_files([*names, *files_of(file.scorers)], source, target)
    check_files(file.tools, target)


def files_of(scorers: Sequence[Scorer]) -> list[str]:
    """Return the names of the files that scorers need."""
    return [name for each in scorers if isinstance(each, Function) for name in (each.file, *each.files)]


def copy_files(names: Sequence[str], source: Path, target: Path) -> None:
    """Copy files by their names. Blocks. Raises InvalidRequest, NotFound, OSError."""
    private_dir(target)
    for name in names:
        path = contained(source, name)
        if path.stat().st_size > _MOST_BYTES:
            raise InvalidRequest(
                f"{name} has {path.stat().st_size:,} bytes.", hint=f"Use at most {_MOST_BYTES:,} bytes."
            )
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
